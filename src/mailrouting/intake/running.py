"""Run one account: hold its mailbox, visit it, and say how it went."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

import attrs

from mailrouting.accounts import AcknowledgeWhen, EmailAccount, InboundSettings, canonical_folder
from mailrouting.directory import Directory
from mailrouting.errors import (
    MailroutingError,
    PeerProtocolError,
    SessionLostError,
    StaleWriteError,
)
from mailrouting.health import (
    AccountHealth,
    HealthState,
    after_failure,
    after_host_trouble,
    after_success,
    is_fresh,
    kept,
)
from mailrouting.hooks import Event
from mailrouting.intake.calling import calling, ours
from mailrouting.intake.checking import refuse_problems
from mailrouting.intake.draining import Drained
from mailrouting.intake.holding import Hold
from mailrouting.intake.keeping import KeptSession
from mailrouting.intake.progress import Progress
from mailrouting.intake.reports import FetchReport, RunStatus, failed, skipped
from mailrouting.intake.tools import Tools
from mailrouting.intake.visiting import Visit
from mailrouting.records import Lease, MailboxKey
from mailrouting.session import MailSession, SessionOpener, TellsProgress

__all__ = ["AccountRun"]

Tx = TypeVar("Tx")

_log = logging.getLogger(__name__)

_BREAKS = frozenset({SessionLostError.__name__, PeerProtocolError.__name__})
_BREAKS_IN_A_ROW = 2
_MOST_SESSIONS = 10


@attrs.define(kw_only=True)
class AccountRun(Generic[Tx]):
    """Carry one account through a run; made anew for each.

    Attributes:
        account: Which account.
        inbound: Its mailbox.
        directory: What is configured.
        tools: Storage, clock, limits.
        drain: Converts what waits of these accounts, until it is to stop.
        open_session: Opens the mailbox.
        kept: The connection of an earlier run; None: open one and close it.
        accepts_rescan: Whether a person said yes to old mail after a new numbering.
    """

    account: EmailAccount
    inbound: InboundSettings
    directory: Directory
    tools: Tools[Tx]
    drain: Callable[[Sequence[str], Callable[[], bool]], Drained]
    open_session: SessionOpener
    kept: KeptSession | None = None
    accepts_rescan: bool = False

    def run(self) -> FetchReport:
        """Run the account; what fails is in the report and in the account's health."""
        try:
            drained = self._drained_alone()
            if drained is not None and self._is_quiet(drained):
                return FetchReport(account_id=self.account.id, status=RunStatus.DONE)
            lease = self._acquire()
        except Exception as error:  # noqa: BLE001 - one account's trouble stops no other
            return failed(self.account.id, ours(error))
        if lease is None:
            return skipped(self.account.id, "another worker is at it")
        progress = Progress(account_id=self.account.id)
        hold = Hold(
            storage=self.tools.storage,
            lease=lease,
            clock=self.tools.clock,
            ttl_seconds=self.tools.limits.lease_seconds,
        )
        if drained is not None:
            _note(progress, drained)
        try:
            return self._work(progress, hold)
        finally:
            self._release(hold.lease)

    # a kept connection with nothing new: one question to the server, and no write

    def _drained_alone(self) -> Drained | None:
        """Convert what waits when the server has nothing new; None when it may have something."""
        if self.kept is None or not self.kept.has_nothing_new(self.inbound):
            return None
        return self.drain([self.account.id], self.tools.stopping)

    def _is_quiet(self, drained: Drained) -> bool:
        """Tell whether nothing is left to do; the health is written only now and then."""
        storage = self.tools.storage
        concluded_only = self.inbound.acknowledge_when is AcknowledgeWhen.CONVERTED
        if drained.converted or storage.unacknowledged(
            self._key, limit=1, concluded_only=concluded_only
        ):
            return False
        health, now = storage.health(self.account.id), self.tools.clock()
        if health is None or health.trouble is not None or drained.desk.paused:
            return False
        after = self._after_success(health, has_mail=False)
        if after.state is not health.state:
            return False  # silent from now on: that is told, and by the holder of the mailbox
        if not is_fresh(health, now=now) or health.kept_by != after.kept_by:
            storage.save_health(after)
        return True

    def _after_success(self, before: AccountHealth | None, *, has_mail: bool) -> AccountHealth:
        hours = self.inbound.silent_after_hours
        after = after_success(
            before,
            account_id=self.account.id,
            now=self.tools.clock(),
            has_mail=has_mail,
            silent_after=None if hours is None else timedelta(hours=hours),
        )
        if self.kept is None or not self.kept.is_settled:
            return after
        return kept(after, worker=self.tools.worker, fetch_every=self.inbound.fetch_every)

    # holding the mailbox

    @property
    def _key(self) -> MailboxKey:
        folder = canonical_folder(self.inbound.folder)
        return MailboxKey(self.account.id, self.inbound.protocol, folder)

    def _acquire(self) -> Lease | None:
        return self.tools.storage.lease_acquire(
            self._key,
            owner=self.tools.worker,
            ttl_seconds=self.tools.limits.lease_seconds,
            now=self.tools.clock(),
        )

    def _release(self, lease: Lease) -> None:
        try:
            self.tools.storage.lease_release(lease)
        except MailroutingError as error:
            _log.warning("a lease stays until it ends by itself: %s", error)

    def _work(self, progress: Progress, hold: Hold) -> FetchReport:
        before: AccountHealth | None = None
        try:
            before = self.tools.storage.health(self.account.id)
            refuse_problems(self.account, self.directory)
            self._convert(progress, hold)  # what waits needs no server
            self._visit(progress, hold, is_wary=_is_wary(before))
        except Exception as error:  # noqa: BLE001 - one account's trouble stops no other
            progress.error = ours(error)
        try:
            self._note_health(progress, before)
        except Exception as error:  # noqa: BLE001 - likewise
            progress.error = progress.error or ours(error)
        return progress.report()

    def _convert(self, progress: Progress, hold: Hold) -> None:
        def is_to_end() -> bool:
            return self.tools.stopping() or not hold.is_kept()

        _note(progress, self.drain([self.account.id], is_to_end))

    # visiting the server

    def _visit(self, progress: Progress, hold: Hold, *, is_wary: bool) -> None:
        """Visit the mailbox; a mail that breaks session after session is passed over."""
        for _ in range(_MOST_SESSIONS):
            session, is_kept = self._session()
            if isinstance(session, TellsProgress):
                session.on_progress(hold.keep)
            visit = Visit(
                inbound=self.inbound,
                session=session,
                tools=self.tools,
                convert=lambda: self._convert(progress, hold),
                hold=hold,
                progress=progress,
                is_kept=is_kept,
                is_wary=is_wary,
                accepts_rescan=self.accepts_rescan,
            )
            is_whole = False
            try:
                visit.run()
                is_whole = True
            except (SessionLostError, PeerProtocolError):
                uid = visit.broken_at
                if not is_wary or uid is None:
                    raise
                progress.breaking.append(uid)
            finally:
                self._leave(session, progress, is_whole=is_whole)
            if is_whole:
                break
        progress.unread[:0] = progress.breaking

    def _session(self) -> tuple[MailSession, bool]:
        kept = self.kept.take(self.inbound) if self.kept else None
        if kept is not None:
            return kept, True
        with calling("open_session", may_say=(MailroutingError,)):
            return self.open_session(self.account), False

    def _leave(self, session: MailSession, progress: Progress, *, is_whole: bool) -> None:
        if isinstance(session, TellsProgress):
            session.on_progress(None)
        if self.kept is None or not is_whole:
            session.close()
            return
        is_settled = progress.is_settled and progress.trouble is None
        self.kept.keep(session, self.inbound, is_settled=is_settled)

    # saying how it went

    def _note_health(self, progress: Progress, before: AccountHealth | None) -> None:
        if isinstance(progress.error, StaleWriteError):
            return  # another worker has the mailbox: how it is, that one will say
        account_id, now, trouble = self.account.id, self.tools.clock(), progress.trouble
        if trouble is not None:
            after = after_failure(
                before,
                trouble,
                account_id=account_id,
                now=now,
                jitter=self.tools.jitter(),
                is_partial=progress.error is None,
            )
        elif progress.desk is not None and progress.desk.paused:
            after = after_host_trouble(before, progress.desk, account_id=account_id, now=now)
        else:
            after = self._after_success(before, has_mail=progress.stored > 0)
        self.tools.storage.save_health(after)
        had_failed = before is not None and before.failures > 0
        was_silent = before is not None and before.state is HealthState.SILENT
        is_silent = after.state is HealthState.SILENT
        if after.failures and not had_failed:
            self.tools.tell(account_id, Event.ACCOUNT_FAILED, type(trouble).__name__)
        elif not after.failures and (had_failed or (was_silent and not is_silent)):
            self.tools.tell(account_id, Event.ACCOUNT_RECOVERED, "")
        if is_silent and not was_silent:
            self.tools.tell(
                account_id, Event.ACCOUNT_SILENT, f"for {self.inbound.silent_after_hours} hours"
            )


def _note(progress: Progress, drained: Drained) -> None:
    progress.converted += drained.converted
    progress.desk = drained.desk


def _is_wary(before: AccountHealth | None) -> bool:
    """Tell whether the last runs broke, so that one mail may be what breaks them."""
    return (
        before is not None
        and before.failures >= _BREAKS_IN_A_ROW
        and before.trouble is not None
        and before.trouble.error_type in _BREAKS
    )
