"""Define the commands. Each imports what it needs when it is called: `inspect` starts fast."""

import contextlib
import io
import json
import mmap
import sys
from collections.abc import Generator
from pathlib import Path

import click

from mailrouting.cli.common import FAILED, config_option, load, stop
from mailrouting.cli.operators import accounts, intake
from mailrouting.cli.piping import accept
from mailrouting.cli.running import fetch, worker
from mailrouting.cli.showing import inspection_lines, printable
from mailrouting.errors import MailroutingError

__all__ = ["main"]

_LARGE = 1024 * 1024
_file = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.group()
@click.version_option(package_name="mailrouting")
def main() -> None:
    """Turn mailboxes into tickets, and say why."""
    # Whatever the locale says: mail is in every script.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _bytes(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


@contextlib.contextmanager
def _source(path: Path) -> Generator[bytes | mmap.mmap, None, None]:
    """Give what `read` reads from: a large file as a memory map."""
    if str(path) == "-" or not path.is_file() or path.stat().st_size < _LARGE:
        yield _bytes(path)
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as source:
        yield source


@main.command()
@click.argument("string")
def login(string: str) -> None:
    r"""Say who logs in with STRING and whose mailbox is opened.

    For instance: mailrouting login 'agent@example.org\sales@example.org'
    """
    from mailrouting.cli.logins import describe_login  # noqa: PLC0415 - likewise

    try:
        for line in describe_login(string):
            click.echo(line)
    except MailroutingError as error:
        stop(error)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line and file.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def inspect(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Show what the reader understands of mails.

    Exit status: 0 when every file was read, 1 when one was not. With --json always 0: the file's
    object says why in `error`.
    """
    from mailrouting.integrations.reading_helpers import installed_helpers  # noqa: PLC0415 - likewise
    from mailrouting.reading import read, to_json_dict  # noqa: PLC0415 - likewise

    helpers = installed_helpers()
    status = 0
    for path in files:
        found: dict[str, object] = {"file": str(path)}
        try:
            with _source(path) as source:
                found |= to_json_dict(read(source, helpers=helpers))
        except OSError as error:
            found["error"] = error.strerror or type(error).__name__
        if as_json:
            click.echo(json.dumps(found, ensure_ascii=False))
        elif "error" in found:
            click.echo(printable(f"mailrouting: {path}: {found['error']}"), err=True)
            status = FAILED
        else:
            for line in inspection_lines(found):
                click.echo(line)
    sys.exit(status)


@main.command()
@config_option
@click.option("--account", "account_id", help="The account it would be fetched for.")
@click.argument("file", type=_file)
def explain(file: Path, config_path: Path, account_id: str | None) -> None:
    """Say what would become of the mail in FILE, step by step; write nothing."""
    from mailrouting.cli.explaining import explain_mail  # noqa: PLC0415 - likewise

    config = load(config_path)
    try:
        for line in explain_mail(_bytes(file), config=config, account_id=account_id):
            click.echo(printable(line))
    except MailroutingError as error:
        stop(error)


@main.command()
@config_option
@click.option(
    "--purpose",
    type=click.Choice(["reply", "autoresponse", "alert", "system"]),
    default="reply",
    show_default=True,
)
@click.option("--department", help="The ticket's department.")
@click.option("--received-by", help="The account or address that the customer wrote to.")
@click.option("--answered-from", help="The address that the ticket answers from already.")
@click.option("--choice", help="The account or address that the agent chose.")
@click.option("--to", "customer", help="The customer's address.")
def resolve(
    *,
    config_path: Path,
    purpose: str,
    department: str | None,
    received_by: str | None,
    answered_from: str | None,
    choice: str | None,
    customer: str | None,
) -> None:
    """Say which address a mail would leave from, and why."""
    from mailrouting.cli.explaining import explain_sender  # noqa: PLC0415 - likewise

    config = load(config_path)
    try:
        for line in explain_sender(
            config.directory,
            purpose=purpose,
            department=department,
            received_by=received_by,
            answered_from=answered_from,
            choice=choice,
            customer=customer,
        ):
            click.echo(line)
    except MailroutingError as error:
        stop(error)


@main.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the state in this folder.")
def demo(keep: Path | None) -> None:
    """Run the main job on a fake mail server: mails, tickets, and where answers leave from."""
    from mailrouting.cli.demo import run_demo  # noqa: PLC0415 - likewise

    try:
        run_demo(keep)
    except MailroutingError as error:
        stop(error)


for _command in (accept, accounts, fetch, intake, worker):
    main.add_command(_command)
