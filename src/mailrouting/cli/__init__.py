"""Hold the `mailrouting` command (floor 9; extra `cli`)."""

import sys

__all__ = ["run"]


def run() -> None:
    """Run the command, or say what to install."""
    try:
        from mailrouting.cli.main import main  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(f"The command needs {error.name}. Install it with: pip install 'mailrouting[cli]'")
    main()
