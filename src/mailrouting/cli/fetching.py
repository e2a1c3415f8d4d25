"""Run the accounts of a configuration, and show how far it is."""

import json
import random
import sqlite3
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from mailrouting.cli.config import Config
from mailrouting.cli.showing import printable
from mailrouting.cli.state import alone, check_state, create_state, naming_state
from mailrouting.connect import opener, tls_context
from mailrouting.errors import ConfigurationError, FolderNotFoundError, StorageError
from mailrouting.fetch import Fetcher, FetchReport, RunStatus
from mailrouting.hooks import Event, Listener
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.session import SessionOpener
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["run_fetch"]

WORKER = "mailrouting fetch"
_OVERLAPPED = "another fetch is at work"

Printer = Callable[[FetchReport], None]


def run_fetch(config: Config, *, account_ids: tuple[str, ...], due: bool, as_json: bool) -> bool:
    """Fetch the accounts and report each; return whether all of them succeeded.

    While another fetch is at work on the state, all are skipped, which is no failure.

    Args:
        config: What to fetch into what.
        account_ids: Only these; empty: all that have a mailbox.
        due: Only those whose time has come; not together with `account_ids`.
        as_json: One object a line instead of text.

    Raises:
        ConfigurationError: An account does not exist, or `ca_file` or `state` cannot be used;
            nothing was fetched.
        StorageUnavailableError: The state is busy or away.
    """
    for name in account_ids:
        config.require_account(name, named="--account")
    names = account_ids or tuple(account.id for account in config.directory.fetched_accounts())
    open_session = _opener(config)
    named = f"{config.path}: state"
    check_state(config.state, named=named)
    with alone(config.state, named=named) as is_alone:
        if not is_alone:
            click.echo(f"mailrouting: {_OVERLAPPED} on {config.state}, this one ends", err=True)
            for name in names:
                report = FetchReport(account_id=name, status=RunStatus.SKIPPED, because=_OVERLAPPED)
                _print(report, state=config.state, as_json=as_json)
            return True
        create_state(config.state, named=named)
        with naming_state(config.state):
            return _run(config, open_session, account_ids=account_ids, due=due, as_json=as_json)


def _opener(config: Config) -> SessionOpener:
    try:
        context = tls_context(ca_file=config.ca_file)
    except ConfigurationError as error:
        raise ConfigurationError(f"{config.path}: ca_file: {error}", hint=error.hint) from error
    return opener(config.credentials, tls=context)


def _run(
    config: Config,
    open_session: SessionOpener,
    *,
    account_ids: tuple[str, ...],
    due: bool,
    as_json: bool,
) -> bool:
    """Run the accounts of these ids, or all, or those that are due."""
    worked = True
    names = account_ids or tuple(account.id for account in config.directory.fetched_accounts())
    with (
        SqliteStorage(config.state) as storage,
        _progress(state=config.state, as_json=as_json) as (listener, show),
    ):
        # Alone, whatever an earlier run still holds was held by a process that is dead.
        storage.abandon(WORKER)
        fetcher = Fetcher(
            accounts=config.directory,
            storage=storage,
            desk=SqliteDesk(config.state, listener=listener),
            open_session=open_session,
            clock=lambda: datetime.now(UTC),
            worker=WORKER,
            jitter=random.random,
        )
        for report in fetcher.run_due() if due else map(fetcher.run, names):
            worked = worked and report.status is not RunStatus.FAILED and report.error is None
            show(report)
        if not account_ids:
            for report in _pushed(fetcher, config):
                show(report)
    return worked


def _pushed(fetcher: Fetcher[sqlite3.Connection], config: Config) -> Iterator[FetchReport]:
    """Convert what `accept` has kept for accounts that have no mailbox."""
    for account in config.directory.accounts:
        if account.mailbox is None and account.enabled:
            converted = fetcher.convert([account.id])
            if converted:
                yield FetchReport(account_id=account.id, status=RunStatus.DONE, converted=converted)


def _silent(_account_id: str, _event: Event, _detail: str) -> None:
    """Say nothing: a failure is told with its report, and standard output is for the machine."""


def _tell(account_id: str, event: Event, detail: str) -> None:
    if event is not Event.ACCOUNT_FAILED:  # its error follows
        click.echo(printable(f"{account_id}: {event.value} {detail}".rstrip()), err=True)


@contextmanager
def _progress(*, state: Path, as_json: bool) -> Generator[tuple[Listener, Printer]]:
    """Show each mail as it is converted: a live line on a terminal, lines of text in a pipe."""

    def show(report: FetchReport) -> None:
        _print(report, state=state, as_json=as_json)

    if as_json:
        yield _silent, show
    elif sys.stderr.isatty():
        with _live(show) as both:
            yield both
    else:
        yield _tell, show


@contextmanager
def _live(show: Printer) -> Generator[tuple[Listener, Printer]]:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415 - likewise

    counted = 0
    with Console(stderr=True).status("connecting") as status:

        def update(account_id: str, event: Event, detail: str) -> None:
            nonlocal counted
            if event is Event.ACCOUNT_FAILED:  # its error follows
                return
            counted += event is Event.CONVERTED
            # As text: a name in brackets is no markup.
            status.update(Text(printable(f"{account_id}: {counted} mails, {event.value} {detail}")))

        def above(report: FetchReport) -> None:
            # A live line holds both streams: it is taken away while a result is printed.
            status.stop()
            show(report)
            status.start()

        yield update, above


def _print(report: FetchReport, *, state: Path, as_json: bool) -> None:
    click.echo(json.dumps(_as_dict(report)) if as_json else printable(_line(report)))
    for line in _trouble_lines(report, state):
        click.echo(printable(line), err=True)


def _line(report: FetchReport) -> str:
    line = f"{report.account_id}: {report.status.value}"
    if report.status is RunStatus.SKIPPED:
        return f"{line}, {report.because}"
    counts = ", ".join(f"{count} {kind.value}" for kind, count in report.outcomes.items())
    return (
        f"{line}, {report.stored} stored, {counts or 'nothing converted'},"
        f" {report.retried} to try again, {report.acknowledged} acknowledged"
    )


def _trouble_lines(report: FetchReport, state: Path) -> Iterator[str]:
    error = report.error
    if error is None:
        return
    where = f"{state}: " if isinstance(error, StorageError) else ""
    yield f"{report.account_id}: {type(error).__name__}: {where}{error}"
    if error.hint:
        yield f"  {error.hint}"


def _as_dict(report: FetchReport) -> dict[str, object]:
    return {
        "account": report.account_id,
        "status": report.status.value,
        "because": report.because,
        "stored": report.stored,
        "reappeared": report.reappeared,
        "too_old": report.too_old,
        "acknowledged": report.acknowledged,
        "retried": report.retried,
        "outcomes": {kind.value: count for kind, count in report.outcomes.items()},
        "error": _error_as_dict(report),
    }


def _error_as_dict(report: FetchReport) -> dict[str, object] | None:
    error = report.error
    if error is None:
        return None
    found: dict[str, object] = {
        "type": type(error).__name__,
        "text": str(error),
        "hint": error.hint,
    }
    if isinstance(error, FolderNotFoundError):
        found["available"] = list(error.available)
    return found
