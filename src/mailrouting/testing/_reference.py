"""Compare an adapter with a small model of what it promises, over many orders of events."""

from collections.abc import Callable, Sequence

import attrs
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from mailrouting.errors import StaleWriteError, StorageError
from mailrouting.records import (
    Claim,
    Conclusion,
    IntakeState,
    OutcomeKind,
    PositionState,
    PutResult,
    PutStatus,
    ThreadRecord,
)
from mailrouting.storage import Capability
from mailrouting.testing._kit import (
    FAILURE,
    MAILBOX,
    Opener,
    at,
    conclusion,
    mail,
    must_raise,
    position,
)

__all__ = ["check_against_reference"]

_MOST_ATTEMPTS = 2
_VISIBILITY = 60
_UIDS = ("1", "2", "3")

_NUMBERS = st.integers(min_value=0, max_value=3)
_SLOTS = st.sampled_from([int(uid) for uid in _UIDS])


@attrs.define
class _Row:
    id: int
    number: int
    attempts: int = 0
    claims: int = 0
    claimed_until: float | None = None
    not_before: float = 0
    outcome: OutcomeKind | None = None
    stored: float = 0
    reopened: int = 0
    has_raw: bool = True

    @property
    def state(self) -> IntakeState:
        if self.outcome:
            return IntakeState.DONE
        return IntakeState.WAITING if self.claimed_until is None else IntakeState.CLAIMED

    def is_due(self, now: float) -> bool:
        return not self.outcome and max(self.not_before, self.claimed_until or 0) <= now


@attrs.define
class _Claimed:
    claim: Claim = attrs.field(repr=False)
    row: _Row
    count: int

    @property
    def is_valid(self) -> bool:
        return self.row.state is IntakeState.CLAIMED and self.row.claims == self.count


class _BrokenHookError(Exception):
    """Be raised by a write."""


class _Machine(RuleBasedStateMachine):
    def __init__(self, opener: Opener) -> None:
        super().__init__()
        self.opener = opener
        self.storage = opener()
        self.durable = Capability.DURABLE in self.storage.capabilities
        self.now = 0.0
        self.generation = 1
        self.uidvalidity = 1
        self.rows: list[_Row] = []
        self.slots: dict[tuple[int, str], _Row] = {}
        self.acknowledged: set[tuple[int, str]] = set()
        self.threads: list[ThreadRecord] = []
        self.claims: list[_Claimed] = []
        taken = self.storage.lease_acquire(MAILBOX, owner="worker", ttl_seconds=1e9, now=at(0))
        assert taken is not None, "S1: a mailbox that nobody holds must be given"
        self.lease = taken
        self.storage.stream_open(self.lease, uidvalidity=1, uidnext=1)

    def teardown(self) -> None:
        self.storage.close()

    @rule(seconds=st.sampled_from([1, 30, 100]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.durable)
    @rule()
    def reopen(self) -> None:
        self.storage.close()
        self.storage = self.opener()

    @rule(uidvalidity=st.sampled_from([1, 2]))
    def open_stream(self, uidvalidity: int) -> None:
        is_new = uidvalidity != self.uidvalidity
        self.uidvalidity = uidvalidity
        self.generation += is_new
        stream = self.storage.stream_open(self.lease, uidvalidity=uidvalidity, uidnext=1)
        assert (stream.generation, stream.is_new) == (self.generation, is_new), "S3: generation"

    @rule(mails=st.lists(st.tuples(_NUMBERS, _SLOTS), min_size=1, max_size=3))
    def put(self, mails: list[tuple[int, int]]) -> None:
        results = self.storage.intake_put(
            [mail(number, uid=uid, generation=self.generation) for number, uid in mails],
            lease=self.lease,
            now=at(self.now),
        )
        assert len(results) == len(mails), "S4: one result a mail"
        for (number, uid), result in zip(mails, results, strict=True):
            assert result == self._put(number, str(uid), result), "S4: result of a put"

    def _put(self, number: int, uid: str, result: PutResult) -> PutResult:
        slot = (self.generation, uid)
        held = self.slots.get(slot)
        if held is not None:
            same = held.number == number
            return (
                PutResult(PutStatus.KNOWN, held.id)
                if same
                else PutResult(PutStatus.UID_CONFLICT, None)
            )
        for row in self.rows:
            if row.number == number:
                self.slots[slot] = row
                return PutResult(PutStatus.REAPPEARED, row.id)
        assert result.intake_id is not None, "S4: a mail that is new must have a row"
        assert all(row.id < result.intake_id for row in self.rows), "S12: ids must grow"
        row = _Row(result.intake_id, number, stored=self.now)
        self.rows.append(row)
        self.slots[slot] = row
        return PutResult(PutStatus.CREATED, row.id)

    @rule(limit=st.integers(min_value=1, max_value=3))
    def claim(self, limit: int) -> None:
        claims = self.storage.intake_claim(
            worker="worker",
            limit=limit,
            visibility_seconds=_VISIBILITY,
            max_attempts=_MOST_ATTEMPTS,
            now=at(self.now),
        )
        expected, worn = self._claim(limit)
        found = [claim.row.id for claim in claims.claimed]
        assert found == [row.id for row in expected], "S6, S24: which rows are claimed"
        told = [row.id for row in claims.quarantined]
        assert sorted(told) == [row.id for row in worn], "S6: which rows are told as quarantined"
        self.claims += [
            _Claimed(claim, row, row.claims)
            for claim, row in zip(claims.claimed, expected, strict=True)
        ]

    def _claim(self, limit: int) -> tuple[Sequence[_Row], Sequence[_Row]]:
        taken: list[_Row] = []
        worn: list[_Row] = []
        full = False
        for row in self.rows:
            if not row.is_due(self.now):
                continue
            if row.attempts >= _MOST_ATTEMPTS:
                # Past those that are taken an adapter may quarantine now, or when it comes by again.
                if not full or self.storage.intake_row(row.id).outcome:
                    row.outcome, row.claimed_until = OutcomeKind.QUARANTINED, None
                    worn.append(row)
            elif not full and row.attempts and taken:
                full = True
            elif not full:
                taken.append(row)
                full = row.attempts > 0 or len(taken) == limit
        for row in taken:
            row.attempts += 1
            row.claims += 1
            row.claimed_until = self.now + _VISIBILITY
        return taken, worn

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), counts=st.booleans(), wait=st.sampled_from([0, 40]))
    def fail(self, data: st.DataObject, counts: bool, wait: int) -> None:  # noqa: FBT001 - drawn
        claimed = data.draw(st.sampled_from(self.claims), label="claim")

        def end() -> None:
            self.storage.intake_fail(
                claimed.claim,
                FAILURE,
                retry_at=at(self.now + wait),
                counts=counts,
            )

        if not claimed.is_valid:
            with must_raise(StaleWriteError, "S9: a lost claim must raise StaleWriteError"):
                end()
            return
        end()
        claimed.row.claimed_until = None
        claimed.row.not_before = self.now + wait
        claimed.row.attempts -= not counts

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), raises=st.booleans())
    def conclude(self, data: st.DataObject, raises: bool) -> None:  # noqa: FBT001 - drawn
        claimed = data.draw(st.sampled_from(self.claims), label="claim")
        ended = conclusion(claimed.row.number)

        def write(_: object) -> Conclusion:
            if raises:
                raise _BrokenHookError
            return ended

        kind = _BrokenHookError if claimed.is_valid else StaleWriteError
        if raises or not claimed.is_valid:
            with must_raise(kind, f"S7: conclude must raise {kind.__name__} here"):
                self.storage.conclude(claimed.claim, write)
            return
        self.storage.conclude(claimed.claim, write)
        claimed.row.outcome, claimed.row.claimed_until = OutcomeKind.CREATED, None
        self.threads += ended.threads

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def reopen_a_row(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.rows), label="row")
        if row.outcome is not OutcomeKind.QUARANTINED or not row.has_raw:
            kind = StaleWriteError if row.has_raw else StorageError
            with must_raise(kind, "S23: what wrote for the host, or has no mail, stays as it is"):
                self.storage.intake_reopen(row.id, now=at(self.now))
            return
        self.storage.intake_reopen(row.id, now=at(self.now))
        row.outcome, row.attempts, row.not_before = None, 0, self.now
        row.reopened += 1

    @rule(age=st.sampled_from([0, 40]), limit=st.integers(min_value=1, max_value=2))
    def purge(self, age: int, limit: int) -> None:
        before = self.now - age
        gone = [row for row in self.rows if row.outcome and row.has_raw and row.stored < before]
        assert self.storage.purge(before=at(before), limit=limit) == len(gone[:limit]), "S29: purge"
        for row in gone[:limit]:
            row.has_raw = False

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.rows), label="row")
        assert self.storage.erase([row.id]) == row.has_raw, "S29: what erase says"
        row.has_raw = False
        if row.outcome is None:
            row.outcome, row.claimed_until = OutcomeKind.QUARANTINED, None

    @rule(uids=st.lists(_SLOTS, max_size=2))
    def acknowledge(self, uids: list[int]) -> None:
        positions = [position(uid, generation=self.generation) for uid in uids]
        self.storage.mark_acknowledged(positions, lease=self.lease)
        slots = {(self.generation, str(uid)) for uid in uids}
        self.acknowledged |= slots & self.slots.keys()

    @invariant()
    def rows_agree(self) -> None:
        found = [
            (
                row.id,
                row.state,
                row.attempts,
                row.outcome and row.outcome.kind,
                row.reopened,
                row.has_raw,
            )
            for row in self.storage.intake_rows()
        ]
        expected = [
            (row.id, row.state, row.attempts, row.outcome, row.reopened, row.has_raw)
            for row in self.rows
        ]
        assert found == expected, "S6 to S9, S23, S29: rows, states, attempts and outcomes"

    @invariant()
    def positions_agree(self) -> None:
        found = dict(self.storage.positions(MAILBOX, self.generation, _UIDS))
        expected = {
            uid: PositionState(
                intake_id=row.id,
                outcome=row.outcome,
                acknowledged=(generation, uid) in self.acknowledged,
                size=len(mail(row.number).raw),
            )
            for (generation, uid), row in self.slots.items()
            if generation == self.generation
        }
        assert found == expected, "S4, S10: positions"
        for concluded_only in (False, True):
            listed = self.storage.unacknowledged(MAILBOX, limit=9, concluded_only=concluded_only)
            assert [item.position.uid for item in listed] == sorted(
                uid
                for uid, state in expected.items()
                if not state.acknowledged and (state.outcome or not concluded_only)
            ), "S10: what the server was not told"

    @invariant()
    def threads_agree(self) -> None:
        ids = [record.message_id for record in self.threads]
        assert list(self.storage.find_threads(ids)) == self.threads, "S11: threads"


def check_against_reference(fresh: Callable[[], Opener], *, examples: int) -> None:
    """Fail with the shortest list of steps after which the adapter and the model differ."""

    class Run(_Machine):
        def __init__(self) -> None:
            super().__init__(fresh())

    run_state_machine_as_test(
        Run,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            database=None,
            # The same steps every time: an adapter's build must not fail by chance.
            derandomize=True,
            # One failure, as short as it gets; its explanation would take as long again.
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
