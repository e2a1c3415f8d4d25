"""Show how far a run is, and what came of it: for people, for pipes, for machines."""

import json
import logging
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mailrouting.cli.showing import printable
from mailrouting.errors import FolderNotFoundError, StorageError
from mailrouting.fetch import FetchReport, RunStatus
from mailrouting.hooks import Event, Listener
from mailrouting.intake import telling

__all__ = ["Printer", "print_report", "progress"]

Printer = Callable[[FetchReport], None]


def _silent(_account_id: str, _event: Event, _detail: str) -> None:
    """Say nothing: a failure is told with its report, and standard output is for the machine."""


def _tell(account_id: str, event: Event, detail: str) -> None:
    if event is not Event.ACCOUNT_FAILED:  # its error follows
        click.echo(printable(f"{account_id}: {event.value} {detail}".rstrip()), err=True)


@contextmanager
def progress(*, state: Path, as_json: bool) -> Generator[tuple[Listener, Printer]]:
    """Show each mail as it is converted: a live line on a terminal, lines of text in a pipe."""

    def show(report: FetchReport) -> None:
        print_report(report, state=state, as_json=as_json)

    if as_json:
        yield _silent, show
    elif sys.stderr.isatty():
        with _told_once(), _live(show) as both:
            yield both
    else:
        with _told_once():
            yield _tell, show


@contextmanager
def _told_once() -> Generator[None]:
    """Keep events from the log, which writes to standard error too when nobody set it up."""
    log = logging.getLogger(telling.__name__)
    nowhere, before = logging.NullHandler(), log.propagate
    log.addHandler(nowhere)
    log.propagate = False
    try:
        yield
    finally:
        log.propagate = before
        log.removeHandler(nowhere)


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


def print_report(report: FetchReport, *, state: Path, as_json: bool) -> None:
    """Print a result on standard output, and its trouble on standard error."""
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
