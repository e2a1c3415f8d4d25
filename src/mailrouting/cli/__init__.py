"""Hold the `mailrouting` command (floor 9; extra `cli`)."""

import os
import sys
from typing import NoReturn

__all__ = ["run"]

_EXTRA = ("click", "rich")
_EX_TEMPFAIL = 75  # sysexits.h


def run() -> None:
    """Run the command, or say in one line what to install or what the system refused."""
    try:
        from mailrouting.cli.main import main  # noqa: PLC0415 - the extra may be missing

        main()
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        _end(
            f"mailrouting: the command needs {error.name}, which is not installed\n"
            "  Install the extra `cli`: pip install 'mailrouting[cli]', or '.[cli]' in a clone."
        )
    except OSError as error:
        _forget_output()
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        _end(f"mailrouting: {where}{error.strerror or error}")


def _end(text: str) -> NoReturn:
    if sys.argv[1:2] != ["accept"]:
        sys.exit(text)
    # A mail server gives mail back to its sender when it hears a status that it does not know.
    print(text, file=sys.stderr)  # noqa: T201 - click may be what is missing
    sys.exit(_EX_TEMPFAIL)


def _forget_output() -> None:
    """Let go of what standard output did not take, or Python tries once more when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
