"""Take mail in: collect, convert, acknowledge, explain (floor 5).

The order of steps is the promise. COLLECT makes raw mail durable before anything else happens to
it. CONVERT claims a row, which counts the attempt before the try, and ends it in exactly one
outcome, together with what the host writes, in one transaction. ACKNOWLEDGE touches the server
last, by the outcome. Whatever dies in between:

- before the put: the server still has the mail, and it is read again;
- after the put: the position is known, and the row is claimed when its visibility has passed;
- inside the host's hook: nothing of it stays, the row is tried again and at last quarantined;
- after the outcome: the position has an outcome, and only the acknowledgement is repeated.

So a mail that stays on the server until one successful run ends in one outcome and at most one
ticket. Nothing is concluded from a mail's absence.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import attrs

from mailrouting.accounts import (
    AcknowledgeWhen,
    EmailAccount,
    InboundSettings,
    canonical_folder,
)
from mailrouting.directory import Directory
from mailrouting.errors import (
    ConfigurationError,
    MailroutingError,
    PeerProtocolError,
    RecordNotFoundError,
    StaleWriteError,
)
from mailrouting.health import HealthState, after_failure, after_success
from mailrouting.hooks import Event, FindsByKey, HelpDesk, Observes, Rule
from mailrouting.intake.acknowledging import Acknowledger, touches_server
from mailrouting.intake.attempting import Attempts
from mailrouting.intake.calling import calling, ours
from mailrouting.intake.checking import refuse_problems
from mailrouting.intake.collecting import Batch, Collector, FetchLimits, cutoff
from mailrouting.intake.converting import Converter
from mailrouting.intake.explaining import Explanation, FindsThreads, explain
from mailrouting.intake.reports import Converted, FetchReport, RunStatus, failed, skipped
from mailrouting.reading import Helpers, Reader, ReadingLimits, read
from mailrouting.records import Lease, MailboxKey, PutStatus
from mailrouting.routing import RoutingPolicy
from mailrouting.session import MailSession, SessionOpener
from mailrouting.storage import Accounts, Capability, Storage

__all__ = [
    "Converted",
    "Explanation",
    "FetchLimits",
    "FetchReport",
    "Fetcher",
    "FindsThreads",
    "RunStatus",
    "explain",
]

Tx = TypeVar("Tx")

_log = logging.getLogger(__name__)


@attrs.define
class _Run:
    """Carry one account's run through its steps."""

    account: EmailAccount
    inbound: InboundSettings
    directory: Directory
    lease: Lease
    stored: int = 0
    reappeared: int = 0
    too_old: int = 0
    unread: int = 0
    acknowledged: int = 0
    converted: list[Converted] = attrs.field(factory=list[Converted])
    error: MailroutingError | None = None

    def report(self, status: RunStatus) -> FetchReport:
        return FetchReport(
            account_id=self.account.id,
            status=status,
            because=str(self.error or ""),
            stored=self.stored,
            reappeared=self.reappeared,
            too_old=self.too_old,
            unread=self.unread,
            converted=tuple(self.converted),
            acknowledged=self.acknowledged,
            error=self.error,
        )


@attrs.frozen(kw_only=True)
class Fetcher(Generic[Tx]):
    """Run accounts: from their mailboxes to the host's tickets.

    Holds no state of its own. Threads and processes may run the same accounts at once when storage,
    desk and credentials allow it: leases and claims keep them apart.

    Attributes:
        accounts: What is configured; asked once a run.
        storage: Where everything is kept.
        desk: The host's hooks.
        open_session: Opens an account's mailbox, for instance `mailrouting.connect.opener(...)`.
        clock: Returns the time, with its zone.
        rules: The host's rules, in order.
        policy: The host's choices of routing.
        limits: Bounds of a run.
        reading: How far to look into a mail.
        helpers: What reading may use besides itself; see `mailrouting.integrations.reading_helpers`.
        reader: What reads a mail: in this process, or a `mailrouting.isolation.Isolation`.
        worker: Who runs, for leases and claims.
        jitter: Returns a number from 0 to 1 to spread retries; pass `random.random`.
        stopping: Asked between mails and batches: once it says yes, a run ends early and cleanly,
            and the next one goes on there.
    """

    accounts: Accounts
    storage: Storage[Tx]
    desk: HelpDesk[Tx]
    open_session: SessionOpener
    clock: Callable[[], datetime]
    rules: Sequence[Rule] = ()
    policy: RoutingPolicy = attrs.field(factory=RoutingPolicy)
    limits: FetchLimits = attrs.field(factory=FetchLimits)
    reading: ReadingLimits = attrs.field(factory=ReadingLimits)
    helpers: Helpers = attrs.field(factory=Helpers)
    reader: Reader = read
    worker: str = "fetch"
    jitter: Callable[[], float] = lambda: 0.5
    stopping: Callable[[], bool] = lambda: False

    def __attrs_post_init__(self) -> None:
        """Refuse parts that could not keep the promise together.

        Raises:
            ConfigurationError: The storage shares no transaction with the host and the desk has no
                `lookup`, or the clock tells no time zone.
        """
        shares = Capability.SHARED_TRANSACTION in self.storage.capabilities
        if not shares and not isinstance(self.desk, FindsByKey):
            raise ConfigurationError(
                "the storage shares no transaction with the host, and the desk has no lookup(): "
                "after a crash a mail could open a second ticket",
                hint="Implement FindsByKey, or take a storage that declares SHARED_TRANSACTION.",
            )
        if self.clock().tzinfo is None:
            raise ConfigurationError(
                "the clock returns a time without a zone, expected one with it",
                hint="Pass for instance lambda: datetime.now(UTC).",
            )

    def run_all(self) -> Iterator[FetchReport]:
        """Run every account with a mailbox, in the directory's order; yield each report.

        One account's trouble is in its report and never stops the others.
        """
        accounts = self.accounts.directory().fetched_accounts()
        yield from self._run_each([account.id for account in accounts])

    def run_due(self) -> Iterator[FetchReport]:
        """Run every account that is `due`, one after another. For cron, timers and loops.

        Raises:
            StorageError: The healths cannot be read.
        """
        yield from self._run_each(self.due())

    def due(self) -> tuple[str, ...]:
        """Name the accounts whose time has come, the one that waits longest first.

        An account is due when it is new, when `fetch_every` has passed, or, after a failure, at the
        time in its health, so that a refused login is not locked out.

        Raises:
            StorageError: The healths cannot be read.
        """
        now = self.clock()
        due: list[tuple[datetime, str]] = []
        for account in self.accounts.directory().accounts:
            if account.mailbox is not None:
                health = self.storage.health(account.id)
                usual = health.checked_at + account.mailbox.fetch_every if health else now
                due.append(((health and health.next_attempt_at) or usual, account.id))
        return tuple(account_id for at, account_id in sorted(due) if at <= now)

    def run(self, account_id: str) -> FetchReport:
        """Collect, convert and acknowledge one account's mail.

        What fails is in the report and in the account's health. May be called again at once: what
        was done is not done twice.

        Raises:
            RecordNotFoundError: The directory has no such account.
        """
        directory = self.accounts.directory()
        account = directory.account(account_id)
        inbound = account.mailbox
        if inbound is None:
            return skipped(account.id, "it has no mailbox of its own")
        for is_on, because in (
            (directory.fetching, "fetching is switched off for all accounts"),
            (account.enabled, "the account is disabled"),
            (inbound.enabled, "fetching its mailbox is switched off"),
            (not self.stopping(), "the worker is stopping"),
        ):
            if not is_on:
                return skipped(account.id, because)
        try:
            lease = self._lease(account, inbound)
        except Exception as error:  # noqa: BLE001 - one account's trouble stops no other
            return failed(account.id, ours(error))
        if lease is None:
            return skipped(account.id, "another worker is at it")
        run = _Run(account=account, inbound=inbound, directory=directory, lease=lease)
        try:
            return self._hold(run)
        finally:
            self._release(run.lease)

    def convert(self, account_ids: Sequence[str] | None = None) -> tuple[Converted, ...]:
        """Convert what waits, without a connection to any server.

        Ends when nothing is due, or `stopping` says so. Raises nothing for a mail that fails: it is
        tried again later and at last quarantined.

        Args:
            account_ids: Only rows of these accounts; None: of all.

        Raises:
            StorageError: The storage itself failed.
        """
        attempts = Attempts(
            converter=Converter(
                storage=self.storage,
                desk=self.desk,
                rules=self.rules,
                policy=self.policy,
                reading=self.reading,
                helpers=self.helpers,
                reader=self.reader,
            ),
            clock=self.clock,
            max_attempts=self.limits.max_attempts,
            tell=self._tell,
        )
        done: dict[int, Converted] = {}
        while not self.stopping():
            directory = self.accounts.directory()
            claims = self.storage.intake_claim(
                worker=self.worker,
                limit=self.limits.claim_mails,
                visibility_seconds=self.limits.visibility_seconds,
                max_attempts=self.limits.max_attempts,
                account_ids=account_ids,
                now=self.clock(),
            )
            for row in claims.quarantined:
                done[row.id] = attempts.note_quarantined(row)
            if not claims.claimed:
                break
            for claim in claims.claimed:
                # Due again while the others were tried: no endless run.
                if claim.row.id in done or self.stopping():
                    attempts.give_back(claim)
                else:
                    done[claim.row.id] = attempts.attempt(claim, directory)
        return tuple(done.values())

    def _run_each(self, account_ids: Sequence[str]) -> Iterator[FetchReport]:
        for account_id in account_ids:
            try:
                yield self.run(account_id)
            except RecordNotFoundError:  # removed since we began
                _log.info("account %r is gone", account_id)

    def _lease(self, account: EmailAccount, inbound: InboundSettings) -> Lease | None:
        return self.storage.lease_acquire(
            MailboxKey(account.id, inbound.protocol, canonical_folder(inbound.folder)),
            owner=self.worker,
            ttl_seconds=self.limits.lease_seconds,
            now=self.clock(),
        )

    def _hold(self, run: _Run) -> FetchReport:
        status = RunStatus.DONE
        try:
            self._run(run)
        except Exception as error:  # noqa: BLE001 - one account's trouble stops no other
            run.error, status = ours(error), RunStatus.FAILED
        try:
            self._note_health(run)
        except Exception as error:  # noqa: BLE001 - likewise
            run.error, status = run.error or ours(error), RunStatus.FAILED
        return run.report(status)

    def _release(self, lease: Lease) -> None:
        try:
            self.storage.lease_release(lease)
        except MailroutingError as error:
            _log.warning("a lease stays until it ends by itself: %s", error)

    def _run(self, run: _Run) -> None:
        refuse_problems(run.account, run.directory)
        run.converted += self.convert([run.account.id])  # what waits needs no server
        session = self._open(run.account)
        try:
            status = session.open_folder(run.inbound.folder, writable=touches_server(run.inbound))
            stream = self.storage.stream_open(
                run.lease,
                uidvalidity=status.uidvalidity,
                uidnext=status.uidnext,
                cutoff=cutoff(run.inbound.first_run, self.clock()),
            )
            acknowledger = Acknowledger(session=session, storage=self.storage, inbound=run.inbound)
            self._settle(run, acknowledger)  # what an earlier run left
            collector = Collector(
                account_id=run.account.id,
                inbound=run.inbound,
                session=session,
                storage=self.storage,
                stream=stream,
                uidnext=status.uidnext,
                limits=self.limits,
            )
            for batch in collector.batches():
                self._put(run, batch)
                if not batch.cut_short:
                    self._settle(run, acknowledger)
                if self.stopping():
                    break
            run.unread = len(collector.unread)
            run.error = run.error or collector.trouble
        finally:
            session.close()

    def _open(self, account: EmailAccount) -> MailSession:
        with calling("open_session"):
            return self.open_session(account)

    def _put(self, run: _Run, batch: Batch) -> None:
        now = self.clock()
        if batch.old:
            self.storage.intake_skip(batch.old, lease=run.lease)
            run.too_old += len(batch.old)
        results = self.storage.intake_put(batch.mails, lease=run.lease, now=now)
        statuses = [result.status for result in results]
        run.stored += statuses.count(PutStatus.CREATED)
        run.reappeared += statuses.count(PutStatus.REAPPEARED)
        if PutStatus.UID_CONFLICT in statuses:
            raise PeerProtocolError(
                "the server shows another mail under a UID that it had given out before",
                account_id=run.account.id,
                command="FETCH",
                hint="Nothing was lost or written; ask the server's operator for a new UIDVALIDITY.",
            )

    def _settle(self, run: _Run, acknowledger: Acknowledger) -> None:
        """Convert and acknowledge what is stored, in the order that the account wants."""
        converts_first = run.inbound.acknowledge_when is AcknowledgeWhen.CONVERTED
        if converts_first:
            run.converted += self.convert([run.account.id])
        # Converting may take long: whoever took the mailbox over is alone with the server.
        run.lease = self.storage.lease_renew(
            run.lease, ttl_seconds=self.limits.lease_seconds, now=self.clock()
        )
        try:
            acknowledger.acknowledge(run.lease)
        finally:
            run.acknowledged = acknowledger.told
            run.error = acknowledger.refusal
        if not converts_first:
            run.converted += self.convert([run.account.id])

    def _note_health(self, run: _Run) -> None:
        if isinstance(run.error, StaleWriteError):
            return  # another worker has the mailbox: how it is, that one will say
        account_id = run.account.id
        before = self.storage.health(account_id)
        now = self.clock()
        if run.error is None:
            after = after_success(before, account_id=account_id, now=now)
        else:
            after = after_failure(
                before, run.error, account_id=account_id, now=now, jitter=self.jitter()
            )
        self.storage.save_health(after)
        was_ok = before is None or before.state is HealthState.OK
        if run.error is not None and was_ok:
            self._tell(account_id, Event.ACCOUNT_FAILED, type(run.error).__name__)
        elif run.error is None and not was_ok:
            self._tell(account_id, Event.ACCOUNT_RECOVERED, "")

    def _tell(self, account_id: str, event: Event, detail: str) -> None:
        if not isinstance(self.desk, Observes):
            return
        try:
            self.desk.observe(account_id, event, detail)
        except Exception:  # noqa: BLE001 - whoever listens stops no mail
            _log.exception("observe raised on %s", event.value)
