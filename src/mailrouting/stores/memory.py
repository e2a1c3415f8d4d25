"""Keep everything in memory, for tests and for trying out (floor 6). Nothing survives the process."""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Self

import attrs

from mailrouting.health import AccountHealth
from mailrouting.records import (
    Claim,
    Conclusion,
    Failure,
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    Outcome,
    Position,
    PutResult,
    PutStatus,
    ThreadRecord,
)
from mailrouting.storage import Capability
from mailrouting.stores._memory_accounts import MemoryAccounts
from mailrouting.stores._memory_mailboxes import Intake, MemoryMailboxes, Slot
from mailrouting.stores._values import (
    lost_claim,
    no_intake,
    quarantine_outcome,
    refuse_foreign_positions,
    refuse_unplaced_mail,
    refuse_unstorable,
    utc_now,
)

__all__ = ["MemoryAccounts", "MemoryStorage", "MemoryTransaction"]


class MemoryTransaction:
    """Let a host in memory take part: what it changes commits with the outcome, or is undone.

    Callbacks must not raise. Nothing else can be done with it, so it needs no guard.
    """

    def __init__(
        self, commits: list[Callable[[], object]], undoes: list[Callable[[], object]]
    ) -> None:
        self._commits = commits
        self._undoes = undoes

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call this when the write succeeded, just before the outcome is seen. In order."""
        self._commits.append(callback)

    def on_rollback(self, callback: Callable[[], object]) -> None:
        """Call this when the write failed, to undo what was done. Last first."""
        self._undoes.append(callback)


@contextmanager
def _transaction() -> Generator[MemoryTransaction]:
    commits: list[Callable[[], object]] = []
    undoes: list[Callable[[], object]] = []
    try:
        yield MemoryTransaction(commits, undoes)
        for callback in commits:
            callback()
    except BaseException:
        for callback in reversed(undoes):
            callback()
        raise


class MemoryStorage(MemoryMailboxes):
    """Be a `Storage` in memory, with one lock around everything.

    >>> with MemoryStorage() as storage:
    ...     storage.intake_rows()
    ()

    Args:
        clock: Used where no `now` is given.
    """

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(clock)
        self._open: dict[int, Intake] = {}
        self._by_fingerprint: dict[tuple[str, int, str], int] = {}
        self._threads: dict[str, dict[ThreadRecord, int]] = {}
        self._thread_count = 0
        self._health: dict[str, AccountHealth] = {}

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what this adapter declares."""
        return frozenset({Capability.SHARED_TRANSACTION, Capability.GUARDED_TRANSACTION})

    # intake

    def intake_put(
        self, mails: Sequence[IntakeMail], *, lease: Lease | None, now: datetime | None = None
    ) -> tuple[PutResult, ...]:
        """See `Storage.intake_put`."""
        now = now or self._clock()
        refuse_unplaced_mail(mails, lease)
        with self._changing(*mails, now):
            if lease is not None:
                self._leased(lease)
            return tuple(self._put(mail, now) for mail in mails)

    def _put(self, mail: IntakeMail, now: datetime) -> PutResult:
        identity = mail.identity
        key = (mail.account_id, identity.version, identity.fingerprint)
        known = self._by_fingerprint.get(key)
        if mail.position is None:
            return PutResult(PutStatus.KNOWN, known) if known else self._create(mail, now)
        slots = self._slots_at(mail.position)
        slot = slots.get(mail.position.uid)
        if slot and slot.intake_id:
            held = self._intake[slot.intake_id].row.identity
            # Identities of two recipes cannot be compared; the position is the same.
            if slot.intake_id == known or held.version != identity.version:
                return PutResult(PutStatus.KNOWN, slot.intake_id)
            return PutResult(PutStatus.UID_CONFLICT, None)
        result = PutResult(PutStatus.REAPPEARED, known) if known else self._create(mail, now)
        slots[mail.position.uid] = Slot(result.intake_id)
        return result

    def _create(self, mail: IntakeMail, now: datetime) -> PutResult:
        identity = mail.identity
        row = IntakeRow(
            id=len(self._intake) + 1,
            account_id=mail.account_id,
            identity=identity,
            size=len(mail.raw),
            state=IntakeState.WAITING,
            attempts=0,
            stored_at=now,
            received_at=mail.received_at,
            envelope=mail.envelope,
        )
        self._intake[row.id] = self._open[row.id] = Intake(row, bytes(mail.raw))
        self._by_fingerprint[mail.account_id, identity.version, identity.fingerprint] = row.id
        return PutResult(PutStatus.CREATED, row.id)

    def intake_skip(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """See `Storage.intake_skip`."""
        refuse_foreign_positions(positions, lease)
        with self._changing(*positions):
            self._leased(lease)
            for position in positions:
                slot = Slot(None, acknowledged=True)
                self._slots_at(position).setdefault(position.uid, slot)

    def intake_claim(
        self,
        *,
        worker: str,
        limit: int,
        visibility_seconds: float,
        max_attempts: int,
        account_ids: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> tuple[Claim, ...]:
        """See `Storage.intake_claim`."""
        now = now or self._clock()
        until = now + timedelta(seconds=visibility_seconds)
        with self._changing(worker, now):
            due = [
                intake
                for intake in self._open.values()
                if intake.is_due(now)
                and (account_ids is None or intake.row.account_id in account_ids)
            ]
            for intake in due:
                if intake.row.attempts >= max_attempts:
                    self._finish(
                        intake, quarantine_outcome(intake.row.attempts, intake.row.failure)
                    )
            waiting = [intake for intake in due if intake.row.outcome is None]
            return tuple(self._claim(intake, worker, until) for intake in waiting[:limit])

    def _claim(self, intake: Intake, worker: str, until: datetime) -> Claim:
        intake.claim_token += 1
        intake.claimed_by = worker
        intake.claimed_until = until
        intake.row = attrs.evolve(
            intake.row,
            state=IntakeState.CLAIMED,
            attempts=intake.row.attempts + 1,
            next_attempt_at=None,
        )
        return Claim(row=intake.row, token=intake.claim_token, raw=intake.raw)

    def abandon(self, worker: str) -> None:
        """See `Storage.abandon`."""
        with self._changing(worker):
            for state in self._mailboxes.values():
                if state.lease is not None and state.lease.owner == worker:
                    state.lease = None
            for intake in self._open.values():
                if intake.claimed_until is not None and intake.claimed_by == worker:
                    intake.claimed_until = None
                    intake.row = attrs.evolve(intake.row, state=IntakeState.WAITING)

    def _claimed(self, claim: Claim) -> Intake:
        intake = self._open.get(claim.row.id)
        found = intake.claim_token if intake and intake.claimed_until else None
        if intake is None or found != claim.token:
            raise lost_claim(claim, found)
        return intake

    def _finish(self, intake: Intake, outcome: Outcome) -> None:
        intake.end(outcome)
        del self._open[intake.row.id]

    def intake_fail(
        self,
        claim: Claim,
        failure: Failure,
        *,
        retry_at: datetime,
        counts: bool,
    ) -> None:
        """See `Storage.intake_fail`."""
        with self._changing(failure, retry_at):
            intake = self._claimed(claim)
            intake.claimed_until = None
            intake.row = attrs.evolve(
                intake.row,
                state=IntakeState.WAITING,
                attempts=intake.row.attempts - (not counts),
                next_attempt_at=retry_at,
                failure=failure,
            )

    def conclude(
        self,
        claim: Claim,
        write: Callable[[MemoryTransaction], Conclusion],
    ) -> Outcome:
        """See `Storage.conclude`."""
        with self._changing():
            intake = self._claimed(claim)
            self._writing, self._misused = True, False
            try:
                with _transaction() as tx:
                    conclusion = write(tx)
                    self._refuse_misuse()
                    refuse_unstorable(conclusion)
            finally:
                self._writing = False
            self._finish(intake, conclusion.outcome)
            self._remember(conclusion.threads)
            return conclusion.outcome

    def _intake_at(self, intake_id: int) -> Intake:
        try:
            return self._intake[intake_id]
        except KeyError:
            raise no_intake(intake_id) from None

    def intake_row(self, intake_id: int) -> IntakeRow:
        """See `Storage.intake_row`."""
        with self._reading():
            return self._intake_at(intake_id).row

    def intake_raw(self, intake_id: int) -> bytes:
        """See `Storage.intake_raw`."""
        with self._reading():
            return self._intake_at(intake_id).raw

    def intake_rows(
        self,
        *,
        account_id: str | None = None,
        state: IntakeState | None = None,
        content: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[IntakeRow, ...]:
        """See `Storage.intake_rows`."""
        with self._reading():
            found = (
                intake.row
                for intake in self._intake.values()
                if intake.row.id > after_id
                and account_id in (None, intake.row.account_id)
                and state in (None, intake.row.state)
                and content in (None, intake.row.identity.content)
            )
            return tuple(islice(found, limit))

    # threads and health

    def find_threads(self, message_ids: Sequence[str]) -> tuple[ThreadRecord, ...]:
        """See `Storage.find_threads`."""
        with self._reading():
            found: dict[ThreadRecord, int] = {}
            for message_id in message_ids:
                found.update(self._threads.get(message_id, {}))
            return tuple(sorted(found, key=found.__getitem__))

    def remember_threads(self, records: Sequence[ThreadRecord]) -> None:
        """See `Storage.remember_threads`."""
        with self._changing(*records):
            self._remember(records)

    def _remember(self, records: Sequence[ThreadRecord]) -> None:
        for record in records:
            self._thread_count += 1
            known = self._threads.setdefault(record.message_id, {})
            known.setdefault(record, self._thread_count)

    def health(self, account_id: str) -> AccountHealth | None:
        """See `Storage.health`."""
        with self._reading():
            return self._health.get(account_id)

    def save_health(self, health: AccountHealth) -> None:
        """See `Storage.save_health`."""
        with self._changing(health):
            self._health[health.account_id] = health

    def close(self) -> None:
        """See `Storage.close`."""
        with self._lock:
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
