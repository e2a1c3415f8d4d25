"""Keep everything in memory, for tests and for trying out (floor 6). Nothing survives the process."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Self

import attrs

from mailrouting.reading import MailSource
from mailrouting.reading.identity import IDENTITY_VERSION
from mailrouting.records import (
    Claim,
    Claims,
    Conclusion,
    Failure,
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    Outcome,
    OutcomeKind,
    Position,
    PutResult,
    PutStatus,
)
from mailrouting.storage import Capability
from mailrouting.stores._memory_accounts import MemoryAccounts
from mailrouting.stores._memory_mailboxes import Intake, Slot
from mailrouting.stores._memory_transaction import MemoryTransaction, transaction
from mailrouting.stores._memory_upkeep import MemoryUpkeep
from mailrouting.stores._values import (
    choose,
    erased_outcome,
    lost_claim,
    no_intake,
    no_raw,
    quarantine_outcome,
    refuse_foreign_positions,
    refuse_reopening,
    refuse_unplaced_mail,
    refuse_unstorable,
    utc_now,
)

__all__ = ["MemoryAccounts", "MemoryStorage", "MemoryTransaction"]


class MemoryStorage(MemoryUpkeep):
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
        self._by_delivery: dict[tuple[str, int, str], list[int]] = {}

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Say what this adapter declares."""
        return frozenset({Capability.SHARED_TRANSACTION, Capability.GUARDED_TRANSACTION})

    # intake

    def intake_put(
        self,
        mails: Sequence[IntakeMail],
        *,
        lease: Lease | None,
        now: datetime | None = None,
        rescan: bool = False,
    ) -> tuple[PutResult, ...]:
        """See `Storage.intake_put`."""
        now = now or self._clock()
        refuse_unplaced_mail(mails, lease)
        with self._changing(*mails, now):
            if lease is not None:
                self._leased(lease)
            return tuple(self._put(mail, now, rescan=rescan) for mail in mails)

    def _put(self, mail: IntakeMail, now: datetime, *, rescan: bool) -> PutResult:
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
            if (
                slot.intake_id == known
                or held.version != identity.version
                or (identity.delivery and held.delivery == identity.delivery)
            ):
                return PutResult(PutStatus.KNOWN, slot.intake_id)
            return PutResult(PutStatus.UID_CONFLICT, None)
        if known is None and rescan and identity.delivery:
            alike = self._by_delivery.get((mail.account_id, identity.version, identity.delivery))
            known = alike[0] if alike and len(alike) == 1 else None
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
            is_backlog=mail.is_backlog,
        )
        self._intake[row.id] = self._open[row.id] = Intake(row, mail.raw[:])
        self._by_fingerprint[mail.account_id, identity.version, identity.fingerprint] = row.id
        alike = mail.account_id, identity.version, identity.delivery
        self._by_delivery.setdefault(alike, []).append(row.id)
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
        after_id: int = 0,
        now: datetime | None = None,
    ) -> Claims:
        """See `Storage.intake_claim`."""
        now = now or self._clock()
        until = now + timedelta(seconds=visibility_seconds)
        with self._changing(worker, now):
            due = (
                (intake, intake.row.attempts)
                for intake in sorted(self._open.values(), key=lambda intake: intake.row.id)
                if intake.row.id > after_id
                and intake.is_due(now)
                and (account_ids is None or intake.row.account_id in account_ids)
            )
            taken, worn = choose(due, limit=limit, max_attempts=max_attempts)
            for intake in worn:
                self._finish(intake, quarantine_outcome(intake.row.attempts, intake.row.failure))
            return Claims(
                claimed=tuple(self._claim(intake, worker, now, until) for intake in taken),
                quarantined=tuple(intake.row for intake in worn),
            )

    def _claim(self, intake: Intake, worker: str, now: datetime, until: datetime) -> Claim:
        intake.claim_token += 1
        intake.claimed_by = worker
        intake.claimed_at = now
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

    def intake_give_back(self, claims: Sequence[Claim]) -> None:
        """See `Storage.intake_give_back`."""
        with self._changing():
            for claim in claims:
                intake = self._open.get(claim.row.id)
                if intake and intake.claimed_until and intake.claim_token == claim.token:
                    intake.claimed_until = None
                    intake.row = attrs.evolve(
                        intake.row, state=IntakeState.WAITING, attempts=intake.row.attempts - 1
                    )

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
                with transaction() as tx:
                    conclusion = write(tx)
                    self._refuse_misuse()
                    refuse_unstorable(conclusion)
            finally:
                self._writing = False
            self._finish(intake, conclusion.outcome)
            self._remember(conclusion.threads)
            return conclusion.outcome

    def intake_reopen(self, intake_id: int, *, now: datetime | None = None) -> IntakeRow:
        """See `Storage.intake_reopen`."""
        now = now or self._clock()
        with self._changing(now):
            intake = self._intake_at(intake_id)
            refuse_reopening(intake.row)
            intake.row = attrs.evolve(
                intake.row,
                state=IntakeState.WAITING,
                attempts=0,
                reopened=intake.row.reopened + 1,
                next_attempt_at=now,
                outcome=None,
            )
            self._open[intake_id] = intake
            return intake.row

    def _intake_at(self, intake_id: int) -> Intake:
        try:
            return self._intake[intake_id]
        except KeyError:
            raise no_intake(intake_id) from None

    def known_deliveries(self, account_id: str, deliveries: Sequence[str]) -> frozenset[str]:
        """See `Storage.known_deliveries`."""
        with self._reading():
            return frozenset(
                delivery
                for delivery in deliveries
                if (account_id, IDENTITY_VERSION, delivery) in self._by_delivery
            )

    def intake_row(self, intake_id: int) -> IntakeRow:
        """See `Storage.intake_row`."""
        with self._reading():
            return self._intake_at(intake_id).row

    def intake_raw(self, intake_id: int) -> MailSource:
        """See `Storage.intake_raw`."""
        with self._reading():
            intake = self._intake_at(intake_id)
            if not intake.row.has_raw:
                raise no_raw(intake_id)
            return intake.raw

    def intake_rows(
        self,
        *,
        account_id: str | None = None,
        state: IntakeState | None = None,
        outcome: OutcomeKind | None = None,
        content: str | None = None,
        other_than: int | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[IntakeRow, ...]:
        """See `Storage.intake_rows`."""
        with self._reading():
            found = (
                intake.row
                for intake in self._intake.values()
                if intake.row.id > after_id
                and intake.row.id != other_than
                and account_id in (None, intake.row.account_id)
                and state in (None, intake.row.state)
                and (outcome is None or (intake.row.outcome and intake.row.outcome.kind is outcome))
                and content in (None, intake.row.identity.content)
            )
            return tuple(islice(found, limit))

    # retention

    def purge(self, *, before: datetime, limit: int) -> int:
        """See `Storage.purge`."""
        with self._changing(before):
            found = (
                intake
                for intake in self._intake.values()
                if intake.row.has_raw and intake.row.outcome and intake.row.stored_at < before
            )
            gone = [*islice(found, limit)]
            for intake in gone:
                _forget(intake)
            return len(gone)

    def erase(self, intake_ids: Sequence[int]) -> int:
        """See `Storage.erase`."""
        erased = 0
        with self._changing():
            for intake in filter(None, map(self._intake.get, dict.fromkeys(intake_ids))):
                if intake.row.outcome is None:
                    self._finish(intake, erased_outcome())
                intake.row = attrs.evolve(intake.row, envelope=None, failure=None)
                erased += intake.row.has_raw
                _forget(intake)
        return erased

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


def _forget(intake: Intake) -> None:
    intake.raw = b""
    intake.row = attrs.evolve(intake.row, has_raw=False)
