"""Test the end of a conversion: S7, S8, S11, S17, S18."""

import threading
from collections.abc import Callable
from functools import partial

import attrs
import pytest

from mailrouting.errors import StaleWriteError, StorageUnavailableError, TransactionMisuseError
from mailrouting.records import (
    Conclusion,
    IntakeState,
    Outcome,
    OutcomeKind,
    ThreadRecord,
    TraceStep,
)
from mailrouting.storage import Capability, Storage
from mailrouting.testing._kit import (
    FAILURE,
    NOW,
    StorageKit,
    at,
    claim,
    claim_one,
    conclusion,
    must_raise,
    put,
    snapshot,
)
from mailrouting.testing._kit_levels import Level, of_level

__all__ = ["ConcludeObligations"]

_OUTCOME = Outcome(
    kind=OutcomeKind.DUPLICATE,
    reason="another copy \U0001f4e8 'of' \"it\"",
    ticket="T\u0301",
    entry="E",
    duplicate_of=12,
    responded=True,
    trace=(
        TraceStep(step="reply", verdict="passed over", because="no id is known"),
        TraceStep(step="copy", verdict="found", because=""),
    ),
)


class _HookError(Exception):
    """Be what a host's hook may raise."""


class _HookInterruptError(BaseException):
    """Be what ends a process."""


@of_level(Level.ONE_WORKER)
class ConcludeObligations(StorageKit):
    """Hold the adapter to what it promises about outcomes, threads and the host's rows."""

    def test_an_outcome_is_stored(self, storage: Storage[object]) -> None:
        """S7: the outcome is returned and stored whole, and the row is done."""
        put(storage, 1)
        claimed = claim_one(storage)
        returned = storage.conclude(claimed, lambda _: Conclusion(outcome=_OUTCOME))
        row = storage.intake_row(claimed.row.id)
        assert (returned, row.outcome) == (_OUTCOME, _OUTCOME)
        assert (row.state, row.attempts) == (IntakeState.DONE, 1)
        assert claim(storage, now=at(10**6)) == (), "S8: a row that is done was claimed"

    def test_write_runs_once(self, storage: Storage[object]) -> None:
        """S7: `write` is called once; a lost claim is found before."""
        put(storage, 1)
        claimed = claim_one(storage)
        calls: list[object] = []

        def write(tx: object) -> Conclusion:
            calls.append(tx)
            return conclusion(1)

        storage.conclude(claimed, write)
        with must_raise(StaleWriteError, "S8: a second conclude must raise StaleWriteError"):
            storage.conclude(claimed, write)
        assert len(calls) == 1, "S7: write must not be called when the claim is lost"

    def test_an_outcome_is_for_ever(self, storage: Storage[object]) -> None:
        """S8: a second outcome is refused, and the first stays."""
        put(storage, 1)
        claimed = claim_one(storage)
        storage.conclude(claimed, lambda _: conclusion(1))
        before = snapshot(storage, 1, 2)
        with must_raise(StaleWriteError, "S8: a second conclude must raise StaleWriteError"):
            storage.conclude(claimed, lambda _: conclusion(2))
        with must_raise(StaleWriteError, "S8: what is done can no longer fail"):
            storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=False)
        assert snapshot(storage, 1, 2) == before, "S8: the first outcome must stay for ever"

    def test_a_failed_claim_concludes_nothing(self, storage: Storage[object]) -> None:
        """S7: an attempt that was failed cannot conclude."""
        put(storage, 1)
        claimed = claim_one(storage)
        storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=True)
        with must_raise(StaleWriteError, "S7: a claim that failed must not conclude"):
            storage.conclude(claimed, lambda _: conclusion(1))

    @pytest.mark.parametrize("kind", [_HookError, _HookInterruptError])
    def test_a_write_that_raises(self, storage: Storage[object], kind: type[BaseException]) -> None:
        """S7: what `write` raises comes through unchanged, and leaves no trace; a retry works."""
        put(storage, 1)
        claimed = claim_one(storage)
        before = snapshot(storage, 1)
        error = kind("the host says no")

        def write(tx: object) -> Conclusion:
            if Capability.SHARED_TRANSACTION in storage.capabilities:
                self.host_write(tx, "half")
            raise error

        found: BaseException | None = None
        try:
            storage.conclude(claimed, write)
        except BaseException as raised:  # noqa: BLE001 - it is judged below
            found = raised
        assert found is error, f"S7: what write raises must come through unchanged, not {found!r}"
        assert snapshot(storage, 1) == before, "S7: a write that raised left a trace"
        storage.conclude(claimed, lambda _: conclusion(1))

    def test_the_host_commits_with_us(self, storage: Storage[object]) -> None:
        """S7: the host's rows are there with the outcome, and not without it."""
        self.require(storage, Capability.SHARED_TRANSACTION)
        put(storage, 1, 2, 3)
        good, bad, lost = claim(storage)

        def write(tx: object) -> Conclusion:
            self.host_write(tx, "kept")
            return conclusion(1)

        def refused(tx: object) -> Conclusion:
            self.host_write(tx, "lost")
            ended = conclusion(2)
            return attrs.evolve(ended, outcome=attrs.evolve(ended.outcome, reason="\0"))

        storage.conclude(good, write)
        with must_raise(ValueError, "S13: a NUL in a reason must be refused with ValueError"):
            storage.conclude(bad, refused)
        storage.intake_fail(lost, FAILURE, retry_at=at(60), counts=True)
        with must_raise(StaleWriteError, "S7: a lost claim must raise StaleWriteError"):
            storage.conclude(lost, write)
        assert self.words(storage) == ["kept"], (
            "S7: the host's rows must be there exactly when the outcome is"
        )

    def test_threads(self, storage: Storage[object]) -> None:
        """S11: every record of an id is returned, oldest first, equal ones once."""
        records = [
            ThreadRecord(message_id=message_id, ticket=ticket, account_id="a")
            for message_id, ticket in (("x", "9"), ("y", "8"), ("x", "1"), ("z", "7"))
        ]
        put(storage, 1)
        claimed = claim_one(storage)
        ended = attrs.evolve(conclusion(1), threads=(records[0],))
        storage.conclude(claimed, lambda _: ended)
        for _ in range(2):
            storage.remember_threads(records)
        assert storage.find_threads(["z", "x", "x", "none"]) == (
            records[0],
            records[2],
            records[3],
        ), "S11: every record once, oldest first"
        assert storage.find_threads([]) == ()

    @of_level(Level.MANY_WORKERS)
    def test_a_busy_storage(self, storage: Storage[object]) -> None:
        """S16, S17: a write beside a long `write` goes through or says that it is unavailable."""
        put(storage, 1)
        claimed = claim_one(storage)
        found: list[BaseException | None] = []

        def beside() -> None:
            try:
                storage.remember_threads(conclusion(2).threads)
            except BaseException as error:  # noqa: BLE001 - it is judged below
                found.append(error)
            else:
                found.append(None)

        thread = threading.Thread(target=beside)

        def write(_: object) -> Conclusion:
            thread.start()
            # A storage with one lock holds it until this returns.
            thread.join(timeout=0.2)
            return conclusion(1)

        storage.conclude(claimed, write)
        thread.join()
        assert found[0] is None or isinstance(found[0], StorageUnavailableError), (
            f"S16: a busy storage must raise StorageUnavailableError, it raised {found[0]!r}"
        )
        assert storage.intake_row(claimed.row.id).outcome is not None

    @of_level(Level.MANY_WORKERS)
    @pytest.mark.parametrize("swallowed", [False, True], ids=["raised", "swallowed"])
    @pytest.mark.parametrize("how", ["commit", "rollback", "storage"])
    def test_misuse_is_stopped(
        self,
        storage: Storage[object],
        how: str,
        swallowed: bool,  # noqa: FBT001 - pytest passes it
    ) -> None:
        """S18: a hook that ends the transaction, or uses the storage, is stopped; S7 holds."""
        self.require(storage, Capability.GUARDED_TRANSACTION)
        put(storage, 1)
        claimed = claim_one(storage)

        def write(tx: object) -> Conclusion:
            if Capability.SHARED_TRANSACTION in storage.capabilities:
                self.host_write(tx, "half")
            misuse: Callable[[], object] | None = getattr(tx, how, None)
            if how == "storage":
                misuse = partial(storage.remember_threads, conclusion(3).threads)
            if misuse is None:
                pytest.skip(f"{type(tx).__name__} has no {how}()")
            try:
                misuse()
            except Exception:
                if not swallowed:
                    raise
            return conclusion(1)

        before = snapshot(storage, 1, 3)
        with must_raise(
            TransactionMisuseError, f"S18: {how} in a write must raise TransactionMisuseError"
        ):
            storage.conclude(claimed, write)
        assert snapshot(storage, 1, 3) == before, "S18: a misused transaction left a trace"
        if Capability.SHARED_TRANSACTION in storage.capabilities:
            assert self.words(storage) == [], "S18: half of the hook's work stayed"
        storage.conclude(claimed, lambda _: conclusion(1))
