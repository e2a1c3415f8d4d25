"""Test opening, closing, company and death: S6, S14, S15; and the model of all: S1 to S13."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs

from mailrouting.errors import StorageUnavailableError
from mailrouting.records import Conclusion, Envelope, IntakeState
from mailrouting.storage import Capability, Storage
from mailrouting.testing._crash import Operation, dies_before_line, in_child, lines_to_die_at
from mailrouting.testing._kit import (
    ACCOUNT,
    FAILURE,
    MAILBOX,
    NOW,
    Opener,
    StorageKit,
    at,
    claim,
    conclusion,
    lease,
    mail,
    must_raise,
    opened,
    pushed,
    put,
    snapshot,
)
from mailrouting.testing._kit_levels import Level, of_level
from mailrouting.testing._reference import check_against_reference

__all__ = ["LifeObligations"]

_ROWS = 24
_MOST_LINES = 120


def _claim_all(storage: Storage[object]) -> Iterator[int]:
    while claims := claim(storage, limit=1):
        yield claims[0].row.id


@of_level(Level.MANY_WORKERS)
class LifeObligations(StorageKit):
    """Hold the adapter to what it promises about its life."""

    @of_level(Level.ONE_WORKER)
    def test_close_twice(self, tmp_path: Path) -> None:
        """S14: closing twice is closing once."""
        storage = self.opener(tmp_path)()
        storage.close()
        storage.close()

    @of_level(Level.ONE_WORKER)
    def test_use_after_close(self, tmp_path: Path) -> None:
        """S14: use after close raises StorageUnavailableError."""
        with self.opener(tmp_path)() as storage:
            put(storage, 1, 2)
            held = lease(storage)
            claimed, other = claim(storage)
        uses: dict[str, Callable[[], object]] = {
            "lease_acquire": lambda: storage.lease_acquire(
                MAILBOX, owner="x", ttl_seconds=1, now=NOW
            ),
            "lease_renew": lambda: storage.lease_renew(held, ttl_seconds=1, now=NOW),
            "lease_release": lambda: storage.lease_release(held),
            "positions": lambda: storage.positions(MAILBOX, 1, ["1"]),
            "intake_put": lambda: storage.intake_put([pushed(1)], lease=None, now=NOW),
            "intake_claim": lambda: claim(storage),
            "intake_fail": lambda: storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=True),
            "conclude": lambda: storage.conclude(other, lambda _: conclusion(1)),
            "intake_rows": storage.intake_rows,
            "find_threads": lambda: storage.find_threads(["x"]),
            "health": lambda: storage.health(ACCOUNT),
        }
        for name, use in uses.items():
            with must_raise(
                StorageUnavailableError,
                f"S14: {name} after close must raise StorageUnavailableError",
            ):
                use()

    @of_level(Level.ONE_WORKER)
    def test_clock_of_the_storage(self, storage: Storage[object]) -> None:
        """S6: without `now` the storage's own clock counts, and it runs with the world's."""
        held = storage.lease_acquire(MAILBOX, owner="worker", ttl_seconds=60)
        assert held is not None
        storage.intake_put([pushed(1)], lease=None)
        (claimed,) = storage.intake_claim(
            worker="worker", limit=1, visibility_seconds=60, max_attempts=5
        ).claimed
        left = (held.expires_at - claimed.row.stored_at).total_seconds()
        assert abs(left - 60) < 60, "times without `now` must come from one clock"  # noqa: PLR2004 - the lease's minute

    def test_everything_survives(self, tmp_path: Path) -> None:
        """S15: what was returned is there when the data is opened again."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            self.require(storage, Capability.DURABLE)
            put(storage, 1, 2, 3)
            done, failed, held = claim(storage)
            storage.conclude(done, lambda _: conclusion(1))
            storage.intake_fail(failed, FAILURE, retry_at=at(9), counts=True)
            letter = attrs.evolve(pushed(9), envelope=Envelope(recipients=("a@example.org",)))
            storage.intake_put([letter], lease=None, now=NOW)
            first = opened(storage)
            before = snapshot(storage, 1, 2, 3)
        with opener() as storage:
            assert snapshot(storage, 1, 2, 3) == before, "S15: something was lost, or changed"
            again = storage.lease_acquire(MAILBOX, owner="other", ttl_seconds=60, now=NOW)
            assert again is None, "S15: a lease was lost"
            assert lease(storage, now=at(61)).token > first.token, "S1: tokens grow for ever"
            storage.conclude(held, lambda _: conclusion(3))

    def test_threads_share_a_storage(self, storage: Storage[object]) -> None:
        """S6: of threads that claim at once, each gets rows of its own."""
        expected = [result.intake_id for result in put(storage, *range(_ROWS))]
        self._claims_apart([storage] * 4, expected)

    def test_handles_share_the_data(self, tmp_path: Path) -> None:
        """S6: of handles that claim at once, each gets rows of its own."""
        opener = self.opener(tmp_path)
        with ExitStack() as stack:
            handles = [stack.enter_context(opener())]
            self.require(handles[0], Capability.MULTI_HANDLE)
            handles += [stack.enter_context(opener()) for _ in range(3)]
            expected = [result.intake_id for result in put(handles[0], *range(_ROWS))]
            self._claims_apart(handles, expected)

    @staticmethod
    def _claims_apart(handles: list[Storage[object]], expected: list[int | None]) -> None:
        found: list[int] = []
        errors: list[BaseException] = []
        start = threading.Barrier(len(handles))

        def work(storage: Storage[object]) -> None:
            try:
                start.wait()
                found.extend(_claim_all(storage))
            except BaseException as error:  # noqa: BLE001 - it is judged below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(storage,)) for storage in handles]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == [], "S6: claiming at once must not fail"
        assert sorted(found) == expected, "S6: each row must be claimed by one worker"

    def test_processes_share_the_data(self, tmp_path: Path) -> None:
        """S6: of processes that claim at once, each gets rows of its own."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            self.require(storage, Capability.MULTI_PROCESS)
            expected = [result.intake_id for result in put(storage, *range(_ROWS))]

        def work() -> str:
            with opener() as storage:
                return " ".join(str(intake_id) for intake_id in _claim_all(storage))

        answers = [in_child(work) for _ in range(3)]
        found = [int(word) for answer in answers for word in answer().split()]
        assert sorted(found) == expected, "S6: each row must be claimed by one worker"

    def test_death_while_putting(self, tmp_path: Path) -> None:
        """S4: a process killed at any line of a put leaves all of the batch, or nothing."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            self.require(storage, Capability.DURABLE)
            held = opened(storage)

        def batch(first: int) -> Operation:
            mails = [mail(first), mail(first + 1)]
            return lambda storage: storage.intake_put(mails, lease=held, now=NOW)

        first = 0
        for line in lines_to_die_at(opener, batch(first), most=_MOST_LINES):
            first += 2
            died = dies_before_line(opener, batch(first), line=line)
            with opener() as storage:
                known = storage.positions(MAILBOX, 1, [str(first), str(first + 1)])
                for state in known.values():
                    assert state.intake_id is not None
                    storage.intake_raw(state.intake_id)
            assert len(known) == 2 or (died and not known), (  # noqa: PLR2004 - a batch is two
                f"S4: killed before its line {line}, a put of two mails left {len(known)}"
            )

    def test_death_while_concluding(self, tmp_path: Path) -> None:
        """S7: a process killed at any line of a conclude leaves everything of it, or nothing."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            self.require(storage, Capability.DURABLE)
            put(storage, *range(_MOST_LINES + 1))
            claims = claim(storage, limit=_MOST_LINES + 1)
            shared = Capability.SHARED_TRANSACTION in storage.capabilities

        def ending(number: int) -> Operation:
            def write(tx: object) -> Conclusion:
                if shared:
                    self.host_write(tx, f"T{number}")
                return conclusion(number)

            return lambda storage: storage.conclude(claims[number], write)

        expected: list[str] = ["T0"] * shared
        for number, line in enumerate(
            lines_to_die_at(opener, ending(0), most=_MOST_LINES), start=1
        ):
            died = dies_before_line(opener, ending(number), line=line)
            with opener() as storage:
                row = storage.intake_row(claims[number].row.id)
                threads = storage.find_threads([f"{number}@example.org"])
            done = row.state is IntakeState.DONE
            parts = (row.outcome is not None, bool(threads), done or died)
            assert parts == (done, done, True), (
                f"S7: killed before its line {line}, a conclude left a half: {row}, {threads}"
            )
            expected += [f"T{number}"] * (done and shared)
        if shared:
            with opener() as storage:
                assert self.words(storage) == expected, (
                    "S7: after a death the host's rows were not those of the outcomes"
                )

    def test_death_while_claiming(self, tmp_path: Path) -> None:
        """S6: a process killed at any line of a claim has counted its attempt, or claimed nothing."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            self.require(storage, Capability.DURABLE)
            put(storage, *range(_MOST_LINES + 1))

        def one(storage: Storage[object]) -> None:
            claim(storage, limit=1)

        claimed = 1
        for line in lines_to_die_at(opener, one, most=_MOST_LINES):
            died = dies_before_line(opener, one, line=line)
            with opener() as storage:
                rows = storage.intake_rows(state=IntakeState.CLAIMED, limit=1000)
            assert [row.attempts for row in rows] == [1] * len(rows)
            assert len(rows) - claimed in ((0, 1) if died else (1,)), (
                f"S6: killed before its line {line}, a claim of one row left {len(rows) - claimed}"
            )
            claimed = len(rows)

    @of_level(Level.WHOLE)
    def test_against_the_reference(self, tmp_path: Path) -> None:
        """S3 to S11: whatever is done in whatever order, the adapter agrees with a small model."""
        runs = itertools.count()

        def fresh() -> Opener:
            folder = tmp_path / f"run{next(runs)}"
            folder.mkdir()
            return self.opener(folder)

        check_against_reference(fresh, examples=self.model_examples)
