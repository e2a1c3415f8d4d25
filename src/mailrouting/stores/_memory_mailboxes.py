"""Keep leases, streams and positions in memory, under one lock (floor 6)."""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import attrs

from mailrouting.auth import MailProtocol
from mailrouting.errors import StorageUnavailableError, TransactionMisuseError
from mailrouting.reading import MailIdentity
from mailrouting.records import (
    IntakeRow,
    IntakeState,
    Lease,
    MailboxKey,
    Outcome,
    Position,
    PositionState,
    Stream,
    Uid,
    Unacknowledged,
)
from mailrouting.stores._values import (
    FAR_AHEAD,
    LONGEST_WAIT,
    Numbering,
    lost_lease,
    refuse_foreign_positions,
    refuse_unstorable,
    uid_order,
)

__all__ = ["Intake", "MemoryMailboxes", "Slot"]


@attrs.define
class _Mailbox:
    token: int = 0
    lease: Lease | None = None
    taken_at: datetime | None = None
    numbering: Numbering | None = None
    cutoff: datetime | None = None


@attrs.define
class Slot:
    intake_id: int | None
    acknowledged: bool = False


@attrs.define
class Intake:
    row: IntakeRow
    raw: bytes
    claim_token: int = 0
    claimed_at: datetime | None = None
    claimed_until: datetime | None = None
    claimed_by: str = ""

    def is_due(self, now: datetime) -> bool:
        return self._waited(now) and not self._is_held(now)

    def _waited(self, now: datetime) -> bool:
        until = self.row.next_attempt_at
        return until is None or not now < until <= now + LONGEST_WAIT

    def _is_held(self, now: datetime) -> bool:
        if self.claimed_at is None or self.claimed_until is None:
            return False
        return self.claimed_until > now and self.claimed_at <= now + FAR_AHEAD

    def end(self, outcome: Outcome) -> None:
        self.row = attrs.evolve(self.row, state=IntakeState.DONE, outcome=outcome)
        self.claimed_until = None


class MemoryMailboxes:
    """Be the half of `MemoryStorage` that knows mailboxes."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        # Reentrant, so that a write hook may read.
        self._lock = threading.RLock()
        self._closed = False
        self._writing = False
        self._misused = False
        self._mailboxes: dict[MailboxKey, _Mailbox] = {}
        self._slots: dict[tuple[MailboxKey, int], dict[Uid, Slot]] = {}
        self._intake: dict[int, Intake] = {}

    @contextmanager
    def _reading(self) -> Generator[None]:
        with self._lock:
            if self._closed:
                raise StorageUnavailableError("the storage is closed")
            yield

    @contextmanager
    def _changing(self, *values: object) -> Generator[None]:
        with self._reading():
            if self._writing:
                self._misused = True
                self._refuse_misuse()
            refuse_unstorable(values)
            yield

    def _refuse_misuse(self) -> None:
        if self._misused:
            raise TransactionMisuseError(
                "a write hook changed the storage that is storing its outcome",
                hook="write",
                hint="Write the host's own rows only; return what is to be stored.",
            )

    def _leased(self, lease: Lease) -> _Mailbox:
        mailbox = self._mailboxes.get(lease.mailbox)
        held = mailbox.lease if mailbox else None
        if mailbox is None or held is None or held.token != lease.token:
            raise lost_lease(lease, held.token if held else None)
        return mailbox

    # leases and streams

    def lease_acquire(
        self, mailbox: MailboxKey, *, owner: str, ttl_seconds: float, now: datetime | None = None
    ) -> Lease | None:
        """See `Storage.lease_acquire`."""
        now = now or self._clock()
        with self._changing(mailbox, owner, now):
            state = self._mailboxes.setdefault(mailbox, _Mailbox())
            if (
                state.lease is not None
                and state.taken_at is not None
                and state.lease.expires_at > now
                and state.taken_at <= now + FAR_AHEAD
            ):
                return None
            state.token += 1
            state.taken_at = now
            state.lease = Lease(
                mailbox=mailbox,
                owner=owner,
                token=state.token,
                expires_at=now + timedelta(seconds=ttl_seconds),
            )
            return state.lease

    def lease_renew(
        self, lease: Lease, *, ttl_seconds: float, now: datetime | None = None
    ) -> Lease:
        """See `Storage.lease_renew`."""
        now = now or self._clock()
        expires_at = now + timedelta(seconds=ttl_seconds)
        with self._changing(expires_at):
            state = self._leased(lease)
            state.taken_at = now
            state.lease = attrs.evolve(lease, expires_at=expires_at)
            return state.lease

    def lease_release(self, lease: Lease) -> None:
        """See `Storage.lease_release`."""
        with self._changing():
            state = self._mailboxes.get(lease.mailbox)
            if state is not None and state.token == lease.token:
                state.lease = None

    def stream_open(
        self,
        lease: Lease,
        *,
        uidvalidity: int | None,
        uidnext: int | None,
        cutoff: datetime | None = None,
        renumbered: bool = False,
    ) -> Stream:
        """See `Storage.stream_open`."""
        with self._changing(cutoff):
            state = self._leased(lease)
            before = state.numbering
            if before is None:
                state.cutoff = cutoff
                after = Numbering.first(uidvalidity=uidvalidity, uidnext=uidnext)
            else:
                after = before.opened(
                    uidvalidity=uidvalidity, uidnext=uidnext, renumbered=renumbered
                )
            state.numbering = after
            return Stream(
                mailbox=lease.mailbox,
                generation=after.generation,
                cutoff=state.cutoff,
                is_new=before is None or before.generation != after.generation,
                first_uidnext=after.first_uidnext,
            )

    def positions(
        self, mailbox: MailboxKey, generation: int, uids: Sequence[Uid]
    ) -> Mapping[Uid, PositionState]:
        """See `Storage.positions`."""
        with self._reading():
            slots = self._slots.get((mailbox, generation), {})
            return {uid: self._state_of(slots[uid]) for uid in uids if uid in slots}

    def latest_positions(
        self, mailbox: MailboxKey, generation: int, *, limit: int
    ) -> tuple[tuple[Uid, MailIdentity], ...]:
        """See `Storage.latest_positions`."""
        with self._reading():
            slots = self._slots.get((mailbox, generation), {})
            found = [(uid, slot.intake_id) for uid, slot in slots.items() if slot.intake_id]
            if mailbox.protocol is MailProtocol.POP3:
                found.sort(key=lambda item: (item[1], item[0]), reverse=True)
            else:
                found.sort(key=lambda item: uid_order(item[0]), reverse=True)
            return tuple(
                (uid, self._intake[intake_id].row.identity) for uid, intake_id in found[:limit]
            )

    def _state_of(self, slot: Slot) -> PositionState:
        row = self._intake[slot.intake_id].row if slot.intake_id else None
        return PositionState(
            intake_id=slot.intake_id,
            outcome=row.outcome.kind if row and row.outcome else None,
            acknowledged=slot.acknowledged,
            size=row.size if row else None,
        )

    def _slots_at(self, position: Position) -> dict[Uid, Slot]:
        return self._slots.setdefault((position.mailbox, position.generation), {})

    # acknowledgement

    def unacknowledged(
        self, mailbox: MailboxKey, *, limit: int, concluded_only: bool
    ) -> tuple[Unacknowledged, ...]:
        """See `Storage.unacknowledged`."""
        with self._reading():
            state = self._mailboxes.get(mailbox)
            if state is None or state.numbering is None:
                return ()
            generation = state.numbering.generation
            found: list[Unacknowledged] = []
            for uid, slot in self._slots.get((mailbox, generation), {}).items():
                if slot.intake_id is None or slot.acknowledged:
                    continue
                outcome = self._state_of(slot).outcome
                if outcome is not None or not concluded_only:
                    position = Position(mailbox, generation, uid)
                    found.append(
                        Unacknowledged(position=position, intake_id=slot.intake_id, outcome=outcome)
                    )
            found.sort(key=lambda item: uid_order(item.position.uid))
            return tuple(found[:limit])

    def mark_acknowledged(self, positions: Sequence[Position], *, lease: Lease) -> None:
        """See `Storage.mark_acknowledged`."""
        refuse_foreign_positions(positions, lease)
        with self._changing():
            self._leased(lease)
            for position in positions:
                slot = self._slots_at(position).get(position.uid)
                if slot is not None:
                    slot.acknowledged = True
