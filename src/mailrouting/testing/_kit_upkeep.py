"""Test what operators and retention need: S26 to S29."""

import mmap
import threading
from pathlib import Path

import attrs
import pytest

from mailrouting.errors import RecordNotFoundError, StaleWriteError
from mailrouting.health import DeskFailure, DeskHealth
from mailrouting.reading import identify
from mailrouting.records import (
    Envelope,
    IntakeMail,
    IntakeState,
    OutcomeKind,
    Pause,
    PutStatus,
)
from mailrouting.storage import Capability, Storage
from mailrouting.testing._kit import (
    ACCOUNT,
    FAILURE,
    NOW,
    Opener,
    StorageKit,
    at,
    claim,
    claim_one,
    conclusion,
    ending,
    mail,
    must_raise,
    opened,
    pushed,
    put,
)
from mailrouting.testing._kit_levels import Level, of_level

__all__ = ["UpkeepObligations"]

_LARGE = b"Message-ID: <large@example.org>\r\n\r\n" + bytes(range(256)) * 2500
_HITS = 24


def _large(account_id: str = ACCOUNT, *, raw: bytes | mmap.mmap = _LARGE) -> IntakeMail:
    return IntakeMail(account_id=account_id, raw=raw, identity=identify(raw))


@of_level(Level.WHOLE)
class UpkeepObligations(StorageKit):
    """Hold the adapter to what it promises beside mailboxes and mail."""

    @of_level(Level.ONE_WORKER)
    def test_large_mail_is_whole(self, tmp_path: Path) -> None:
        """S5: a large mail comes back byte for byte, given as bytes or as a memory map."""
        file = tmp_path / "large.eml"
        file.write_bytes(_LARGE)
        folder = tmp_path / "data"
        folder.mkdir()
        with self.opener(folder)() as storage, file.open("rb") as handle:
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                mails = [_large("mapped", raw=mapped), _large("bytes")]
                results = storage.intake_put(mails, lease=None, now=NOW)
            claims = claim(storage)
            for result, claimed in zip(results, claims, strict=True):
                assert result.intake_id is not None
                found = storage.intake_raw(result.intake_id)
                assert found[:] == _LARGE, "S5: a large mail came back changed"
                assert claimed.raw[:] == _LARGE, "S5: a large mail was claimed changed"
                assert claimed.row.size == len(_LARGE)

    @of_level(Level.MANY_WORKERS)
    def test_large_mail_survives(self, tmp_path: Path) -> None:
        """S15: a large mail is there when the data is opened again."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            self.require(storage, Capability.DURABLE)
            storage.intake_put([_large()], lease=None, now=NOW)
        with opener() as storage:
            claimed = claim_one(storage)
            assert claimed.raw[:] == _LARGE, "S15: a large mail was lost, or changed"

    @of_level(Level.ONE_WORKER)
    def test_desk_health(self, storage: Storage[object]) -> None:
        """S26: a desk's health comes back as it was saved; the last one holds."""
        assert storage.desk_health("desk") is None
        ill = DeskHealth(
            desk="desk",
            since=NOW,
            recent=(
                DeskFailure(intake_id=1, step="open_ticket", error_type="OSError"),
                DeskFailure(intake_id=2, step="\U0001f4e8", error_type=""),
            ),
            paused=True,
            probes=2,
            next_probe_at=at(0.000001),
            last_probe=7,
            blamed=(1, 2**40),
            succeeded_at=at(-5),
        )
        for health in (ill, DeskHealth(desk="desk", since=NOW), ill):
            storage.save_desk_health(health)
            assert storage.desk_health("desk") == health, "S26: a desk's health came back changed"
        assert storage.desk_health("other") is None

    @of_level(Level.ONE_WORKER)
    def test_pauses(self, tmp_path: Path) -> None:
        """S26: a pause is kept with its reason until it is taken back."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            assert storage.paused() == {}
            storage.pause("b", because="moving", now=NOW)
            storage.pause("a", because="", now=at(1))
            storage.pause("b", because="still moving", now=at(2))
            expected = {
                "a": Pause(because="", since=at(1)),
                "b": Pause(because="still moving", since=NOW),
            }
            assert storage.paused() == expected, "S26: pauses came back changed"
            for _ in range(2):
                storage.resume("a")
            assert list(storage.paused()) == ["b"], "S26: what is resumed is not paused"

    def test_outcome_counts(self, storage: Storage[object]) -> None:
        """S27: each row counts once, by its outcome or its state, for its account."""
        assert storage.outcome_counts() == {}
        put(storage, 1, 2, 3, 4)
        storage.intake_put([pushed(1, account_id="other")], lease=None, now=NOW)
        first, second, _ = claim(storage, limit=3)
        storage.conclude(first, lambda _: conclusion(1))
        storage.conclude(second, ending(OutcomeKind.FILTERED))
        ours = {
            OutcomeKind.CREATED: 1,
            OutcomeKind.FILTERED: 1,
            IntakeState.CLAIMED: 1,
            IntakeState.WAITING: 1,
        }
        expected = {ACCOUNT: ours, "other": {IntakeState.WAITING: 1}}
        assert storage.outcome_counts() == expected, "S27: every row counts once"
        assert storage.outcome_counts(ACCOUNT) == {ACCOUNT: ours}, "S27: only of this account"
        assert storage.outcome_counts("nobody") == {}

    def test_rows_of_an_outcome(self, storage: Storage[object]) -> None:
        """S12: rows can be listed by outcome."""
        ids = [result.intake_id for result in put(storage, 1, 2, 3)]
        for claimed, kind in zip(
            claim(storage), (OutcomeKind.QUARANTINED, OutcomeKind.CREATED), strict=False
        ):
            storage.conclude(claimed, ending(kind))
        for kind, expected in ((OutcomeKind.QUARANTINED, ids[:1]), (OutcomeKind.CREATED, ids[1:2])):
            found = [row.id for row in storage.intake_rows(outcome=kind)]
            assert found == expected, (
                f"S12: rows that are {kind.value} must be listed, and no other"
            )

    def test_hits_within_a_window(self, storage: Storage[object]) -> None:
        """S28: hits of one bucket and key count while they are in the window."""

        def hit(key: str, seconds: float, *, bucket: str = "loop") -> int:
            return storage.count(bucket, key, window_seconds=60, now=at(seconds))

        assert [hit("a", 0), hit("a", 30), hit("a", 59)] == [1, 2, 3], "S28: each hit counts"
        assert (hit("b", 59), hit("a", 59, bucket="rate")) == (1, 1), "S28: apart by bucket and key"
        assert hit("a", 61) == 3, "S28: a hit that left the window must not count"  # noqa: PLR2004 - 30, 59, 61
        assert hit("a", 1000) == 1, "S28: hits that left the window must not count"
        hit("a", 10**6)
        assert hit("a", 1001) < 3, "S25: a hit made by a clock far ahead must not count"  # noqa: PLR2004 - 1000, 1001

    def test_hits_at_once(self, tmp_path: Path) -> None:
        """S28: of hits at once no two get the same number."""
        opener: Opener = self.opener(tmp_path)
        numbers: list[int] = []
        with opener() as storage:

            def work() -> None:
                numbers.extend(
                    storage.count("b", "k", window_seconds=60, now=NOW) for _ in range(_HITS // 4)
                )

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(numbers) == [*range(1, _HITS + 1)], "S28: two hits got the same number"

    def test_purge(self, storage: Storage[object]) -> None:
        """S29: the bytes of old mail that is done go, up to the limit; rows and names stay."""
        held = opened(storage)
        for number in range(1, 5):
            storage.intake_put([mail(number)], lease=held, now=at(number))
        storage.intake_put([_large()], lease=None, now=at(5))
        claims = claim(storage, now=at(10))
        for claimed in (claims[0], claims[2], claims[3], claims[4]):
            storage.conclude(claimed, lambda _: conclusion(1))
        before = storage.intake_rows()
        assert storage.purge(before=at(4), limit=1) == 1, "S29: up to the limit"
        assert [row.has_raw for row in storage.intake_rows()] == [False, True, True, True, True], (
            "S29: lowest id first"
        )
        assert storage.purge(before=at(4), limit=9) == 1, "S29: mail that is not done stays"
        assert storage.purge(before=at(4), limit=9) == 0, "S29: a purged mail is not purged again"
        assert storage.purge(before=at(6), limit=9) == 2, "S29: large mail too"  # noqa: PLR2004 - the fourth and the large one
        rows = storage.intake_rows()
        assert [attrs.evolve(row, has_raw=True) for row in rows] == list(before), (
            "S29: a purge forgets the bytes, and nothing else"
        )
        for row in rows:
            if not row.has_raw:
                with must_raise(RecordNotFoundError, "S29: purged mail must be said to be gone"):
                    storage.intake_raw(row.id)
        again = [mail(1, uid=77), mail(3)]
        results = storage.intake_put(again, lease=held, now=at(20))
        assert [(result.status, result.intake_id) for result in results] == [
            (PutStatus.REAPPEARED, rows[0].id),
            (PutStatus.KNOWN, rows[2].id),
        ], "S29: a purged mail that comes again is known"

    def test_purged_mail_is_not_reopened(self, storage: Storage[object]) -> None:
        """S23: without its bytes a mail cannot be tried anew."""
        put(storage, 1)
        claimed = claim_one(storage)
        outcome = storage.conclude(claimed, ending(OutcomeKind.QUARANTINED))
        storage.purge(before=at(1), limit=9)
        with must_raise(RecordNotFoundError, "S23: purged mail must be said to be gone"):
            storage.intake_reopen(claimed.row.id, now=NOW)
        assert storage.intake_row(claimed.row.id).outcome == outcome

    def test_erase(self, storage: Storage[object]) -> None:
        """S29: bytes, envelope and failure go at once, whatever the state; the rest stays."""
        letter = attrs.evolve(
            pushed(1, account_id="a"), envelope=Envelope(recipients=("a@example.org",))
        )
        storage.intake_put([letter, pushed(2, account_id="a"), _large("a")], lease=None, now=NOW)
        failed, held, done = claim(storage)
        storage.intake_fail(failed, FAILURE, retry_at=NOW, counts=True)
        storage.conclude(done, lambda _: conclusion(3))
        ids = [claimed.row.id for claimed in (failed, held, done)]
        assert storage.erase([*ids, ids[0], 10**9]) == len(ids), "S29: erase says how many"
        assert storage.erase(ids) == 0, "S29: erasing twice is erasing once"
        with must_raise(StaleWriteError, "S29: a claim on an erased row is lost"):
            storage.conclude(held, lambda _: conclusion(2))
        rows = [storage.intake_row(intake_id) for intake_id in ids]
        assert [(row.envelope, row.failure, row.has_raw) for row in rows] == [
            (None, None, False)
        ] * 3, "S29: bytes, envelope and failure must be gone"
        kinds = [row.outcome and row.outcome.kind for row in rows]
        assert kinds == [OutcomeKind.QUARANTINED] * 2 + [OutcomeKind.CREATED], (
            "S29: an erased row without an outcome must get one; another stays"
        )
        assert rows[0].identity == letter.identity, "S29: the identity must stay"
        assert claim(storage, now=at(10**4)) == (), "S29: an erased row must not be claimed"
        (known,) = storage.intake_put([letter], lease=None, now=NOW)
        assert known.status is PutStatus.KNOWN, "S29: an erased mail that comes again is known"

    def test_a_copy_outlives_the_erased(self, storage: Storage[object]) -> None:
        """S29: of two rows with the same bytes one may be erased; the other stays whole."""
        results = storage.intake_put([_large("a"), _large("b")], lease=None, now=NOW)
        first, second = (result.intake_id for result in results)
        assert first is not None
        assert second is not None
        storage.erase([first])
        try:
            found = storage.intake_raw(second)[:]
        except RecordNotFoundError as error:
            pytest.fail(f"S29: erasing one row took another's mail: {error}")
        assert found == _LARGE, "S29: erasing one row changed another's mail"
