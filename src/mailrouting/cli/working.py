"""Run what is due until a signal says to stop."""

import os
import signal
import sqlite3
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import count
from types import FrameType

import attrs
import click

from mailrouting.cli.assembling import assemble, session_opener
from mailrouting.cli.config import Config
from mailrouting.cli.fetching import OVERLAPPED, WORKER
from mailrouting.cli.progress import Printer, progress
from mailrouting.cli.state import alone, check_state, create_state, naming_state
from mailrouting.fetch import FetchReport, RunStatus
from mailrouting.isolation import Isolation
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.worker import Worker, WorkerLimits

__all__ = ["run_worker", "watch"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def watch(config: Config, *, as_json: bool) -> bool:
    """Fetch what is due, one account after another, until a signal; False when another is at it.

    Raises:
        ConfigurationError: `ca_file` or `state` cannot be used; nothing was fetched.
        StorageUnavailableError: The state is busy or away.
    """
    named = f"{config.path}: state"
    check_state(config.state, named=named)
    with alone(config.state, named=named) as is_alone:
        if not is_alone:
            click.echo(f"mailrouting: {OVERLAPPED} on {config.state}, this one ends", err=True)
            return False
        limits = WorkerLimits(threads=1, per_host=1)
        return _work(config, limits, name=WORKER, isolation=None, as_json=as_json)


def run_worker(
    config: Config, *, limits: WorkerLimits, isolation: Isolation | None, as_json: bool
) -> bool:
    """Run what is due in many threads until a signal; say whether all of them ended in time.

    Raises:
        ConfigurationError: `ca_file` or `state` cannot be used; nothing was fetched.
        StorageUnavailableError: The state is busy or away.
    """
    check_state(config.state, named=f"{config.path}: state")
    with _place(config) as name:
        return _work(config, limits, name=name, isolation=isolation, as_json=as_json)


@contextmanager
def _place(config: Config) -> Generator[str]:
    """Take the first name that no living worker has: what its holder held is ours to give back."""
    with ExitStack() as stack:
        for number in count(1):
            state = config.state.with_name(f"{config.state.name}.worker-{number}")
            is_ours = stack.enter_context(alone(state, named=f"{config.path}: state"))
            if is_ours:
                yield f"mailrouting worker {number}"
                return


def _work(
    config: Config,
    limits: WorkerLimits,
    *,
    name: str,
    isolation: Isolation | None,
    as_json: bool,
) -> bool:
    open_session = session_opener(config)
    create_state(config.state, named=f"{config.path}: state")
    with (
        naming_state(config.state),
        SqliteStorage(config.state) as storage,
        isolation or nullcontext(),
        progress(state=config.state, as_json=as_json) as (listener, show),
    ):
        # Alone under this name, whatever it still holds was held by a process that is dead.
        storage.abandon(name)
        fetcher = assemble(config, storage, open_session, listener=listener, worker=name)
        if isolation is not None:
            fetcher = attrs.evolve(fetcher, reader=isolation)
        worker = Worker(fetcher, limits=limits, on_report=show if as_json else _Newsworthy(show))
        with _stopped_by_signals(worker):
            left = worker.run()
        if left:
            click.echo(f"mailrouting: still at work, and left: {', '.join(left)}", err=True)
            sys.stdout.flush()
            # Storage and Python would wait for their threads. What they hold is given back by the
            # next worker of this name, or when its time has passed.
            os._exit(1)
    return True


@contextmanager
def _stopped_by_signals(worker: Worker[sqlite3.Connection]) -> Generator[None]:
    """Stop the worker by the first signal; a second one ends the process at once."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        worker.stop()

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Newsworthy:
    """Pass reports on that say something new: work that was done, trouble that begins or changes."""

    def __init__(self, show: Printer) -> None:
        self._show = show
        self._trouble: dict[str, str] = {}

    def __call__(self, report: FetchReport) -> None:
        if report.status is RunStatus.SKIPPED:
            return
        trouble = type(report.error).__name__ if report.error else ""
        is_news = trouble != self._trouble.get(report.account_id, "")
        self._trouble[report.account_id] = trouble
        if is_news or report.stored or report.converted:
            self._show(report)
