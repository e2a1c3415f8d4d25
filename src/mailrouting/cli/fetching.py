"""Run the accounts of a configuration, and show how far it is."""

import fcntl
import json
import random
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from mailrouting.accounts import InboundSettings
from mailrouting.cli.config import Config
from mailrouting.connect import opener, tls_context
from mailrouting.errors import StorageUnavailableError
from mailrouting.fetch import Fetcher, FetchReport, RunStatus
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.stores.sqlite import SqliteStorage

__all__ = ["run_fetch"]

WORKER = "mailrouting fetch"

Listener = Callable[[str, str, str], None]


def run_fetch(config: Config, *, account_ids: tuple[str, ...], as_json: bool) -> bool:
    """Fetch the accounts and report each; return whether all of them succeeded.

    Raises:
        RecordNotFoundError: An account of `account_ids` does not exist; nothing was fetched.
        StorageUnavailableError: Another fetch is at work on the state; nothing was fetched.
        StorageError: The state cannot be opened.
    """
    directory = config.directory
    names = account_ids or tuple(
        account.id for account in directory.accounts if isinstance(account.inbound, InboundSettings)
    )
    for name in names:
        directory.account(name)
    worked = True
    with (
        _alone(config.state),
        SqliteStorage(config.state) as storage,
        _progress(as_json=as_json) as listener,
    ):
        # Alone, whatever an earlier run still holds was held by a process that is dead.
        storage.abandon(WORKER)
        fetcher = Fetcher(
            accounts=directory,
            storage=storage,
            desk=SqliteDesk(config.state, listener=listener),
            open_session=opener(config.credentials, tls=tls_context(ca_file=config.ca_file)),
            clock=lambda: datetime.now(UTC),
            worker=WORKER,
            jitter=random.random,
        )
        for name in names:
            report = fetcher.run(name)
            worked = worked and report.status is not RunStatus.FAILED and report.error is None
            click.echo(json.dumps(_as_dict(report)) if as_json else "\n".join(_lines(report)))
    return worked


@contextmanager
def _alone(state: Path) -> Generator[None]:
    """Hold the state's lock file; the kernel lets it go when the process dies, however it does."""
    with state.with_name(f"{state.name}.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageUnavailableError(
                f"another fetch is at work on {state}",
                hint="Wait until it is done, or give each command a state of its own.",
            ) from None
        yield


def _silent(_account_id: str, _event: str, _detail: str) -> None:
    """Say nothing: standard output is for the machine."""


@contextmanager
def _progress(*, as_json: bool) -> Generator[Listener]:
    """Show each mail as it is converted: a live line on a terminal, lines of text in a pipe."""
    if as_json:
        yield _silent
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - slow to import

        counted = 0
        with Console(stderr=True).status("connecting") as status:

            def show(account_id: str, event: str, detail: str) -> None:
                nonlocal counted
                counted += event == "converted"
                status.update(f"{account_id}: {counted} mails, {event} {detail}")

            yield show
    else:
        yield lambda account_id, event, detail: click.echo(
            f"{account_id}: {event} {detail}".rstrip(), err=True
        )


def _lines(report: FetchReport) -> Iterator[str]:
    counts = ", ".join(f"{count} {kind.value}" for kind, count in report.outcomes.items())
    line = f"{report.account_id}: {report.status.value}"
    if report.status is RunStatus.SKIPPED:
        yield f"{line}, {report.because}"
        return
    yield (
        f"{line}, {report.stored} stored, {counts or 'nothing converted'},"
        f" {report.retried} to try again, {report.acknowledged} acknowledged"
    )
    if report.error is not None:
        yield f"  {type(report.error).__name__}: {report.error}"
        if report.error.hint:
            yield f"  {report.error.hint}"


def _as_dict(report: FetchReport) -> dict[str, object]:
    error = report.error
    return {
        "account": report.account_id,
        "status": report.status.value,
        "because": report.because,
        "stored": report.stored,
        "reappeared": report.reappeared,
        "skipped": report.skipped,
        "acknowledged": report.acknowledged,
        "retried": report.retried,
        "outcomes": {kind.value: count for kind, count in report.outcomes.items()},
        "error": error and {"type": type(error).__name__, "text": str(error), "hint": error.hint},
    }
