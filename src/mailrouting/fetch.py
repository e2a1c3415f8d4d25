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

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import attrs

from mailrouting.accounts import EmailAccount, InboundSettings
from mailrouting.errors import AccountError, ConfigurationError, RecordNotFoundError
from mailrouting.health import due_at
from mailrouting.hooks import FindsByKey, HelpDesk, Rule
from mailrouting.intake.accepting import accept
from mailrouting.intake.attempting import Attempts
from mailrouting.intake.calling import ours
from mailrouting.intake.checking import refuse_problems
from mailrouting.intake.converting import Converter
from mailrouting.intake.draining import Drain, Drained
from mailrouting.intake.explaining import Explanation, FindsThreads, explain
from mailrouting.intake.keeping import KeptSession
from mailrouting.intake.limits import FetchLimits
from mailrouting.intake.previewing import preview
from mailrouting.intake.reports import (
    Accepted,
    Converted,
    FetchReport,
    FirstRunPreview,
    RunStatus,
    failed,
    skipped,
)
from mailrouting.intake.running import AccountRun
from mailrouting.intake.telling import Teller
from mailrouting.intake.tools import Tools
from mailrouting.reading import Helpers, MailSource, Reader, ReadingLimits, read
from mailrouting.records import Envelope
from mailrouting.routing import RoutingPolicy
from mailrouting.session import SessionOpener
from mailrouting.storage import Accounts, Capability, Storage

__all__ = [
    "Accepted",
    "Converted",
    "Explanation",
    "FetchLimits",
    "FetchReport",
    "Fetcher",
    "FindsThreads",
    "FirstRunPreview",
    "KeptSession",
    "RunStatus",
    "explain",
]

Tx = TypeVar("Tx")


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
        desk_name: The desk's name in the storage; two desks on one storage need two names.
        worker: Who runs, for leases, claims and connections that are kept: a name for each process.
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
    desk_name: str = "desk"
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
        time in its health, so that a refused login is not locked out. One that is paused is not,
        nor one whose connection another worker keeps, until that one is overdue.

        Raises:
            StorageError: The healths cannot be read.
        """
        now = self.clock()
        due: list[tuple[datetime, str]] = []
        paused = self.storage.paused()
        for account in self.accounts.directory().accounts:
            if account.mailbox is not None and account.id not in paused:
                health = self.storage.health(account.id)
                every = account.mailbox.fetch_every
                at = due_at(health, fetch_every=every, now=now, worker=self.worker)
                due.append((at, account.id))
        return tuple(account_id for at, account_id in sorted(due) if at <= now)

    def run(
        self, account_id: str, *, kept: KeptSession | None = None, accept_rescan: bool = False
    ) -> FetchReport:
        """Collect, convert and acknowledge one account's mail.

        What fails is in the report and in the account's health. May be called again at once: what
        was done is not done twice.

        Args:
            account_id: Which account.
            kept: Holds the connection from run to run, so that a poll with nothing new is one
                question to the server and writes nothing, not even `checked_at` every time.
            accept_rescan: Say yes to old mail that a server's new numbering brings up: this run
                takes all of it in, whatever `max_per_fetch` says.

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
            pause = self.storage.paused().get(account.id)
        except Exception as error:  # noqa: BLE001 - one account's trouble stops no other
            return failed(account.id, ours(error))
        if pause is not None:
            return skipped(account.id, f"it is paused: {pause.because}")
        return AccountRun(
            account=account,
            inbound=inbound,
            directory=directory,
            tools=self._tools(),
            drain=self._drain,
            open_session=self.open_session,
            kept=kept,
            accepts_rescan=accept_rescan,
        ).run()

    def preview(self, account_id: str) -> FirstRunPreview:
        """Count what a first run of an account would take in and leave alone.

        Looks at the mailbox as it is now and at `first_run` as it is set now; what earlier runs
        did does not matter. Reads no mail and writes nothing, here or there.

        Raises:
            RecordNotFoundError: The directory has no such account.
            ConfigurationError: The account has no mailbox of its own, or contradicts itself.
            SessionError: The mailbox cannot be opened.
            HookError: `open_session` raised.
        """
        directory = self.accounts.directory()
        account = directory.account(account_id)
        inbound = _own_mailbox(account)
        refuse_problems(account, directory)
        return preview(account, inbound, self.open_session, now=self.clock())

    def accept(
        self,
        raw: MailSource,
        *,
        account: str,
        envelope: Envelope | None = None,
        received_at: datetime | None = None,
        convert: bool = False,
    ) -> Accepted:
        """Take in a mail that is pushed: by an MTA's pipe, LMTP or a webhook.

        When this returns, the mail is as durable as the storage makes it, and whoever pushed it may
        forget it. The same mail twice is one row. A mail that is too large to be read is taken in
        too; its ticket has the header and the reason.

        Args:
            raw: The mail, byte for byte.
            account: The account's id; it needs no mailbox of its own.
            envelope: What the delivering server knew; what is no text in it is replaced.
            received_at: When it came; by default now. Of two mails alike that have neither a
                Message-ID nor a Received field, it tells whether they are one.
            convert: Convert what waits of the account too; else the next run does.

        Raises:
            RecordNotFoundError: The directory has no such account.
            AccountError: The account is disabled, or fetching is switched off.
            StorageError: The storage failed; unless it was in converting, nothing was kept.
        """
        directory = self.accounts.directory()
        accepted = accept(
            raw,
            account=directory.account(account),
            directory=directory,
            tools=self._tools(),
            envelope=envelope,
            received_at=received_at,
        )
        if not convert:
            return accepted
        found = {item.intake_id: item for item in self.convert([account])}
        return attrs.evolve(accepted, converted=found.get(accepted.intake_id))

    def convert(self, account_ids: Sequence[str] | None = None) -> tuple[Converted, ...]:
        """Convert what waits, without a connection to any server.

        Ends when nothing is due, when the desk is paused because mail after mail failed alike, or
        when `stopping` says so. Raises nothing for a mail that fails: it is tried again later and
        at last quarantined.

        Args:
            account_ids: Only rows of these accounts; None: of all.

        Raises:
            StorageError: The storage itself failed.
        """
        return self._drain(account_ids, self.stopping).converted

    def _run_each(self, account_ids: Sequence[str]) -> Iterator[FetchReport]:
        for account_id in account_ids:
            try:
                yield self.run(account_id)
            except RecordNotFoundError:  # removed since we began
                continue

    def _tools(self) -> Tools[Tx]:
        return Tools(
            storage=self.storage,
            clock=self.clock,
            jitter=self.jitter,
            limits=self.limits,
            worker=self.worker,
            stopping=self.stopping,
            tell=Teller(self.desk),
        )

    def _drain(self, account_ids: Sequence[str] | None, is_to_end: Callable[[], bool]) -> Drained:
        tools = attrs.evolve(self._tools(), stopping=is_to_end)
        converter = Converter(
            storage=self.storage,
            desk=self.desk,
            rules=self.rules,
            policy=self.policy,
            reading=self.reading,
            helpers=self.helpers,
            reader=self.reader,
        )
        return Drain(
            tools=tools,
            attempts=Attempts(converter=converter, tools=tools),
            directory=self.accounts.directory,
            account_ids=account_ids,
            name=self.desk_name,
        ).run()


def _own_mailbox(account: EmailAccount) -> InboundSettings:
    if account.mailbox is None:
        raise AccountError(
            f"account {account.id!r} has no mailbox of its own",
            account_id=account.id,
            field="inbound",
        )
    return account.mailbox
