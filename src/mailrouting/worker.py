"""Run many accounts when they are due (floor 7b).

A worker keeps account from account: each runs in a thread of its own for as long as it takes, so
many at once, and so many on one server. What fails waits by its health; a server that hangs takes
the threads of its own accounts until its deadlines pass. Several workers, in one process or in
many, share the accounts of one storage: leases keep them apart, and who keeps an account's
connection is in its health. Give each process a `Fetcher(worker=...)` of its own.
"""

import logging
import queue
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import attrs

from mailrouting.accounts import InboundSettings
from mailrouting.directory import Directory
from mailrouting.errors import (
    AccountError,
    ConfigurationError,
    MailroutingError,
    RecordNotFoundError,
)
from mailrouting.fetch import Fetcher, FetchReport, KeptSession, RunStatus
from mailrouting.health import after_failure
from mailrouting.intake.calling import ours
from mailrouting.intake.reports import failed, skipped

__all__ = ["Inbox", "Job", "Worker", "WorkerLimits"]

Tx = TypeVar("Tx")

_log = logging.getLogger(__name__)

_REST = timedelta(seconds=30)
_CONVERSION = "(pushed mail)"
_PARTING = "(parting)"

Job = Future[FetchReport | None]


class Inbox(Protocol):
    """Be where threads and signal handlers leave word for a worker; `queue.SimpleQueue` is one."""

    def put(self, item: Job | None, /) -> None:
        """Leave word; may be called from any thread and from a signal handler."""
        ...

    def get(self, block: bool, timeout: float, /) -> Job | None:  # noqa: FBT001 - as `queue` has it
        """Wait for word, and take it.

        Raises:
            queue.Empty: None came in time.
        """
        ...


def _positive(_: object, field: "attrs.Attribute[Any]", value: float) -> None:
    if value <= 0:
        raise ConfigurationError(
            f"{field.name}: found {value!r}, expected more than 0", hint="Raise it."
        )


@attrs.frozen(kw_only=True)
class WorkerLimits:
    """Bound what a worker does at once.

    Attributes:
        threads: Accounts that run at the same time.
        per_host: Of those, accounts on one server; less than `threads`, or a server that hangs
            takes them all.
        look_seconds: How often configuration and healths are read again: so late an account may
            run, and pushed mail be converted.
        stop_seconds: How long a stop waits for what is at work.
        kept: Connections that stay open between runs, where the server can keep them. Of more
            accounts than that, the others log in anew for each poll.

    Raises:
        ConfigurationError: A number is not above 0.
    """

    threads: int = attrs.field(default=8, validator=_positive)
    per_host: int = attrs.field(default=4, validator=_positive)
    look_seconds: float = attrs.field(default=5.0, validator=_positive)
    stop_seconds: float = attrs.field(default=30.0, validator=_positive)
    kept: int = 100


def _nobody(_: FetchReport) -> None:
    """Hear no report."""


class Worker(Generic[Tx]):
    """Run what is due, until it is stopped.

    An account is due as for `Fetcher.run_due`. Mail that waits and belongs to no account at work,
    because it was pushed or its account has no mailbox, is converted beside them.

    `run` is for one thread. `stop` may be called from any thread and from a signal handler.

    Args:
        fetcher: Runs one account. Storage, desk, credentials and rules are used by many threads at
            once.
        limits: Bounds.
        on_report: Hears of every run, in the thread of `run`.
        pool: Where accounts run; closed by the caller. By default threads of the worker's own.
        inbox: Where word is left; pass one that moves a test's clock instead of waiting.
    """

    def __init__(
        self,
        fetcher: Fetcher[Tx],
        *,
        limits: WorkerLimits | None = None,
        on_report: Callable[[FetchReport], None] = _nobody,
        pool: Executor | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self._host_stops = fetcher.stopping
        self._fetcher = attrs.evolve(fetcher, stopping=self._is_to_stop)
        self._limits = limits or WorkerLimits()
        self._on_report = on_report
        self._pool = pool
        self._inbox: Inbox = inbox or queue.SimpleQueue()
        self._is_stopping = False
        self._looked_at = self._look_at = self._now()
        self._directory = Directory()
        self._ready: list[tuple[str, str]] = []
        self._resting: dict[str, datetime] = {}
        self._hosts: dict[str, str] = {}
        self._jobs: dict[Job, str] = {}
        self._kept: dict[str, KeptSession] = {}

    def stop(self) -> None:
        """Ask `run` to end: mails in hand are finished, leases given back, nothing is begun."""
        self._is_stopping = True
        self._inbox.put(None)

    def run(self) -> tuple[str, ...]:
        """Run what is due until `stop`; then wait for what is at work, as long as the limits say.

        Trouble of an account is in its report and its health. While storage or configuration are
        away it tries again with every look.

        What is returned names the accounts that are still at work although the time is over: a
        server or a hook holds them. Nothing is lost when the process ends then; Python itself
        waits for their threads when it ends.
        """
        pool = self._pool or ThreadPoolExecutor(
            self._limits.threads + 2, thread_name_prefix="mailrouting"
        )
        try:
            while not self._is_to_stop():
                self._look(pool)
                self._start(pool)
                self._await(self._look_at, most=self._limits.look_seconds)
            return self._finish(pool)
        finally:
            if self._pool is None:
                pool.shutdown(wait=False, cancel_futures=True)

    def _is_to_stop(self) -> bool:
        return self._is_stopping or self._host_stops()

    def _now(self) -> datetime:
        return self._fetcher.clock()

    # what is due

    def _look(self, pool: Executor) -> None:
        """Find out what is due, and have waiting mail converted, when it is time to look."""
        now = self._now()
        if self._looked_at <= now < self._look_at:
            return
        if now < self._looked_at:  # the clock was put back: whoever rests would rest too long
            self._resting.clear()
        self._looked_at = now
        self._look_at = now + timedelta(seconds=self._limits.look_seconds)
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        try:
            self._directory = self._fetcher.accounts.directory()
            due = self._fetcher.due()
        except Exception as error:  # noqa: BLE001 - the host's code; the next look asks again
            _log.warning("what is due cannot be read: %s", ours(error))
            return
        at_work = {*self._jobs.values()}
        busy = {*at_work, *self._resting}
        self._ready = [
            (name, _host(account.mailbox))
            for name in due
            if name not in busy
            and (account := self._directory.find_account(name)) is not None
            and account.mailbox is not None
        ]
        # Those are paused, disabled, removed or put off: others may have their places.
        self._part(pool, self._kept.keys() - busy - {name for name, _ in self._ready})
        if _CONVERSION not in at_work:
            self._convert(pool, exclude={*at_work, *(name for name, _ in self._ready)})

    def _convert(self, pool: Executor, *, exclude: set[str]) -> None:
        names = [
            account.id
            for account in self._directory.accounts
            if account.enabled and account.id not in exclude
        ]
        if names:
            self._submit(pool, _CONVERSION, lambda: self._converted(names))

    def _converted(self, names: list[str]) -> None:
        self._fetcher.convert(names)

    # running it

    def _start(self, pool: Executor) -> None:
        """Start what is due, as long as there is room for it and on its server."""
        held: list[tuple[str, str]] = []
        on_host = Counter(self._hosts.values())
        for number, (name, host) in enumerate(self._ready):
            if len(self._hosts) >= self._limits.threads:
                held += self._ready[number:]
                break
            if on_host[host] >= self._limits.per_host:
                held.append((name, host))
                continue
            on_host[host] += 1
            self._hosts[name] = host
            self._submit(pool, name, partial(self._run_account, name, self._kept_for(name)))
        self._ready = held

    def _kept_for(self, name: str) -> KeptSession | None:
        """Return what holds the account's connection; None while all places are taken."""
        # Whoever has a place keeps it. Did the one that ran longest ago give way, no sweep of more
        # accounts than places would find a connection open.
        if name not in self._kept and len(self._kept) >= self._limits.kept:
            return None
        return self._kept.setdefault(name, KeptSession())

    def _part(self, pool: Executor, names: Iterable[str]) -> None:
        """Close connections; not in this thread, for a server may be slow to part."""
        for name in names:
            self._submit(pool, _PARTING, partial(self._let_go, name, self._kept.pop(name)))

    def _let_go(self, name: str, kept: KeptSession) -> None:
        """Close a connection, and leave its account to whoever finds it due."""
        kept.close()
        storage = self._fetcher.storage
        health = storage.health(name)
        if health is not None and health.kept_by == self._fetcher.worker:
            storage.save_health(attrs.evolve(health, kept_by=None, kept_until=None))

    def _run_account(self, name: str, kept: KeptSession | None) -> FetchReport:
        try:
            return self._fetcher.run(name, kept=kept)
        except RecordNotFoundError:  # removed since we looked
            return skipped(name, "it is gone")

    def _submit(self, pool: Executor, name: str, work: Callable[[], FetchReport | None]) -> None:
        job = pool.submit(work)
        self._jobs[job] = name
        job.add_done_callback(self._inbox.put)

    def _await(self, until: datetime, *, most: float) -> None:
        """Wait for word, until then; take note of all that has come.

        Never longer than so many seconds: the clock may have been put back meanwhile.
        """
        seconds = min(max(0.0, (until - self._now()).total_seconds()), most)
        try:
            while True:
                job = self._inbox.get(True, seconds)
                if job is not None:
                    self._note(job)
                seconds = 0.0
        except queue.Empty:
            return

    def _note(self, job: Job) -> None:
        """Take note of a job that is done."""
        name = self._jobs.pop(job)
        self._hosts.pop(name, None)
        error = job.exception()
        if name in (_CONVERSION, _PARTING):
            if error is not None:
                _log.warning("%s: %s", name, _our(error))
            return
        if name in self._kept and not self._kept[name].is_open:
            del self._kept[name]
        report = self._blame(name, error) if error else job.result()
        assert report is not None
        self._resting[name] = self._now() + self._rest_of(name, report)
        try:
            self._on_report(report)
        except Exception:  # noqa: BLE001 - whoever listens stops no account
            _log.exception("on_report raised")

    def _rest_of(self, name: str, report: FetchReport) -> timedelta:
        """Say how long an account is left alone at least, whatever its health says."""
        account = self._directory.find_account(name)
        if report.status is RunStatus.DONE and account is not None and account.mailbox is not None:
            # A poll of a kept connection that finds nothing is in no health.
            return account.mailbox.fetch_every
        # Whoever holds it is at it, or its health could not be kept: do not ask at every look.
        return _REST * (1 + self._fetcher.jitter())

    def _blame(self, name: str, error: BaseException) -> FetchReport:
        """Make what came out of a thread the account's own failure."""
        trouble = _our(error)
        storage = self._fetcher.storage
        try:
            health = after_failure(
                storage.health(name),
                trouble,
                account_id=name,
                now=self._now(),
                jitter=self._fetcher.jitter(),
            )
            storage.save_health(health)
        except Exception as other:  # noqa: BLE001 - then its report alone says it
            _log.warning("account %r: its health cannot be kept: %s", name, ours(other))
        return failed(name, trouble)

    # the end

    def _finish(self, pool: Executor) -> tuple[str, ...]:
        until = self._now() + timedelta(seconds=self._limits.stop_seconds)
        self._part(pool, self._kept.keys() - self._hosts.keys())
        while self._jobs and self._now() < until:
            self._await(until, most=self._limits.stop_seconds)
            self._part(pool, self._kept.keys() - self._hosts.keys())  # which were at work
        return tuple(sorted({*self._jobs.values()} - {_PARTING}))


def _host(inbound: InboundSettings) -> str:
    try:
        return inbound.endpoint.resolve(inbound.protocol).host
    except AccountError:  # its run will say it
        return str(inbound.endpoint.host)


def _our(error: BaseException) -> MailroutingError:
    if isinstance(error, Exception):
        return ours(error)
    wrapper = MailroutingError(
        f"{type(error).__name__} was raised in an account's thread",
        hint="Let no hook end the process: its thread alone ends.",
    )
    wrapper.__cause__ = error
    return wrapper
