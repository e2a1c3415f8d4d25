"""Define the commands for operators. Each imports what it needs when it is called."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from mailrouting.cli.common import FAILED, config_option, load, stop
from mailrouting.errors import MailroutingError, RecordNotFoundError, StaleWriteError

if TYPE_CHECKING:
    from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["accounts", "intake"]

_Rest = ParamSpec("_Rest")

_OUTCOMES = ("created", "appended", "bounce", "filtered", "duplicate", "quarantined", "oversized")
_INTAKE_ID = click.IntRange(0, 2**63 - 1)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_account_option = click.option("--account", "account_id", help="Only this account.")


def _on_state(
    work: "Callable[Concatenate[SqliteStorage, _Rest], int | None]",
) -> Callable[..., None]:
    """Run a command on the state of `--config`; what it returns is the exit status."""

    def run(config_path: Path, *args: _Rest.args, **kwargs: _Rest.kwargs) -> None:
        from mailrouting.cli.operating import opened  # noqa: PLC0415 - see the module's docstring

        try:
            with opened(load(config_path)) as storage:
                status = work(storage, *args, **kwargs)
        except MailroutingError as error:
            stop(error)
        sys.exit(status or 0)

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return config_option(run)


@click.group(invoke_without_command=True)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="A TOML file.")
@_json_option
@click.pass_context
def accounts(context: click.Context, config_path: Path | None, *, as_json: bool) -> None:
    """Say how each account is, or pause one.

    Without a command: state, since when, last success, next try, and how many mails have which
    outcome. States: new, ok, degraded, auth-failed, misconfigured, silent, paused, removed.
    """
    if context.invoked_subcommand is not None:
        return
    if config_path is None:
        raise click.UsageError("Missing option '--config'.")
    from mailrouting.cli.listing import show  # noqa: PLC0415 - see the module's docstring
    from mailrouting.cli.operating import account_rows, opened  # noqa: PLC0415 - likewise

    config = load(config_path)
    try:
        with opened(config) as storage:
            show(account_rows(config, storage), as_json=as_json)
    except MailroutingError as error:
        stop(error)


@accounts.command()
@config_option
@click.option("--because", required=True, help="Why, for whoever looks.")
@click.argument("name")
def pause(config_path: Path, name: str, because: str) -> None:
    """Keep the account NAME from being fetched, until it is resumed."""
    from mailrouting.cli.operating import opened  # noqa: PLC0415 - see the module's docstring
    from mailrouting.intake.calling import storable  # noqa: PLC0415 - likewise

    config = load(config_path)
    try:
        config.require_account(name, named="NAME")
        with opened(config) as storage:
            storage.pause(name, because=storable(because))
    except MailroutingError as error:
        stop(error)
    click.echo(f"{name}: paused")


@accounts.command()
@click.argument("name")
@_on_state
def resume(storage: "SqliteStorage", name: str) -> int:
    """Let the account NAME be fetched again."""
    if name not in storage.paused():
        click.echo(f"mailrouting: {name} is not paused", err=True)
        return FAILED
    storage.resume(name)
    click.echo(f"{name}: resumed")
    return 0


@click.group()
def intake() -> None:
    """Look at the mail that was taken in, and try, export or forget it."""


@intake.command("list")
@_account_option
@click.option("--state", type=click.Choice(["waiting", "claimed", "done"]), help="Only these.")
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="Only with this outcome.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many."
)
@_json_option
@_on_state
def list_rows(
    storage: "SqliteStorage",
    *,
    account_id: str | None,
    state: str | None,
    outcome: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List mails by id, without their content."""
    from mailrouting.cli.listing import show  # noqa: PLC0415 - see the module's docstring
    from mailrouting.cli.operating import intake_rows  # noqa: PLC0415 - likewise

    rows = intake_rows(storage, account_id=account_id, state=state, outcome=outcome, limit=limit)
    show(rows, as_json=as_json)


@intake.command("show")
@click.argument("intake_id", type=_INTAKE_ID)
@_json_option
@_on_state
def show_row(storage: "SqliteStorage", *, intake_id: int, as_json: bool) -> None:
    """Say all that is known of one mail: outcome, every step to it, the last failure."""
    from mailrouting.cli.listing import show  # noqa: PLC0415 - see the module's docstring
    from mailrouting.cli.operating import shown  # noqa: PLC0415 - likewise
    from mailrouting.cli.showing import inspection_lines  # noqa: PLC0415 - likewise

    found = shown(storage.intake_row(intake_id))
    if as_json:
        show([found], as_json=True)
        return
    for line in inspection_lines(found):
        click.echo(line)


@intake.command()
@click.argument("intake_ids", type=_INTAKE_ID, nargs=-1)
@_account_option
@click.option(
    "--every",
    type=click.Choice(["quarantined", "filtered"]),
    help="Every mail with this outcome instead of those named.",
)
@_on_state
def retry(
    storage: "SqliteStorage",
    *,
    intake_ids: tuple[int, ...],
    account_id: str | None,
    every: str | None,
) -> int:
    """Try quarantined or filtered mail anew, with the next fetch.

    Any other outcome wrote for the host and is for ever. Exit status: 0, or 1 when a mail cannot be
    tried.
    """
    from mailrouting.cli.operating import with_outcome  # noqa: PLC0415 - see the module's docstring
    from mailrouting.records import OutcomeKind  # noqa: PLC0415 - likewise

    if bool(intake_ids) is (every is not None):
        raise click.UsageError("Name mails, or say --every; not both.")
    ids = list(intake_ids)
    if every is not None:
        ids = list(with_outcome(storage, account_id=account_id, outcomes=[OutcomeKind(every)]))
    status = 0
    for intake_id in ids:
        try:
            storage.intake_reopen(intake_id)
        except (RecordNotFoundError, StaleWriteError) as error:
            click.echo(f"mailrouting: intake {intake_id}: {error}", err=True)
            status = FAILED
        else:
            click.echo(f"intake {intake_id}: waiting")
    return status


@intake.command()
@click.argument("intake_id", type=_INTAKE_ID)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that is not there yet.",
)
@_on_state
def export(storage: "SqliteStorage", *, intake_id: int, output: Path | None) -> None:
    """Write a mail byte for byte to standard output, or into a file of mode 0600."""
    from mailrouting.cli.operating import private_file, write_mail  # noqa: PLC0415 - see the module's docstring

    if output is None:
        write_mail(storage, intake_id, sys.stdout.buffer)
        return
    storage.intake_raw(intake_id)  # an error leaves no file behind
    with private_file(output) as file:
        write_mail(storage, intake_id, file)


@intake.command()
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0),
    required=True,
    help="Days since it was stored.",
)
@_on_state
def purge(storage: "SqliteStorage", *, days: float) -> None:
    """Forget the bytes of old mail that has its outcome; outcome and trace stay."""
    from mailrouting.cli.operating import days_ago  # noqa: PLC0415 - see the module's docstring
    from mailrouting.retention import purge_before  # noqa: PLC0415 - likewise

    click.echo(f"{purge_before(storage, days_ago(days))} mails forgotten")


@intake.command()
@click.argument("address")
@_account_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@_on_state
def erase(storage: "SqliteStorage", *, address: str, account_id: str | None, yes: bool) -> None:
    """Forget every mail that names ADDRESS in its header or envelope, at once and for ever.

    Tickets are the host's own and stay.
    """
    from mailrouting.retention import erase_address, rows_naming  # noqa: PLC0415 - see the module's docstring

    if not yes:
        found = sum(1 for _ in rows_naming(storage, address, account_id=account_id))
        click.confirm(f"Forget {found} mails for ever?", abort=True)
    erased = erase_address(storage, address, account_id=account_id)
    click.echo(f"{len(erased)} mails forgotten")
