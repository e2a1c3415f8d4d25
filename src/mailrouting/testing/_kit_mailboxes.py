"""Test leases, streams and acknowledgement: S1, S2, S3, S10."""

from collections.abc import Callable
from datetime import timedelta

from mailrouting.auth import MailProtocol
from mailrouting.errors import StaleWriteError
from mailrouting.records import Lease, MailboxKey, OutcomeKind
from mailrouting.storage import Storage
from mailrouting.testing._kit import (
    MAILBOX,
    NOW,
    StorageKit,
    at,
    claim,
    claim_one,
    conclusion,
    lease,
    mail,
    must_raise,
    opened,
    position,
    put,
    snapshot,
)
from mailrouting.testing._kit_levels import Level, of_level

__all__ = ["MailboxObligations"]

_OTHER = MailboxKey("support", MailProtocol.IMAP, "Archive")

_GENERATIONS = (
    # uidvalidity and uidnext as told one after the other, and the generation that they make
    (7, 100, 1),
    (7, 100, 1),
    (7, 180, 1),
    (9, 180, 2),
    (8, 200, 3),
    (8, 150, 4),
    (8, 150, 4),
    (7, 100, 5),
)


@of_level(Level.ONE_WORKER)
class MailboxObligations(StorageKit):
    """Hold the adapter to what it promises about mailboxes."""

    def test_one_lease_at_a_time(self, storage: Storage[object]) -> None:
        """S1: while a lease is valid, nobody else gets the mailbox; another mailbox is free."""
        lease(storage)
        again = storage.lease_acquire(MAILBOX, owner="other", ttl_seconds=60, now=at(59))
        assert again is None, "S1: a held mailbox was given a second time"
        lease(storage, _OTHER)

    def test_a_lease_ends(self, storage: Storage[object]) -> None:
        """S1: a mailbox may be taken over once its lease has ended."""
        first = lease(storage)
        second = storage.lease_acquire(MAILBOX, owner="other", ttl_seconds=60, now=at(61))
        assert second is not None, "S1: a lease that has ended still keeps the mailbox"
        assert second.token > first.token, "S1: the token must grow"

    def test_a_renewed_lease_holds(self, storage: Storage[object]) -> None:
        """S1: a lease that is renewed keeps its token and the mailbox."""
        first = lease(storage)
        renewed = storage.lease_renew(first, ttl_seconds=60, now=at(50))
        assert (renewed.token, renewed.expires_at) == (first.token, at(110))
        again = storage.lease_acquire(MAILBOX, owner="other", ttl_seconds=60, now=at(100))
        assert again is None, "S1: a renewed lease did not keep the mailbox"

    def test_tokens_grow_for_ever(self, storage: Storage[object]) -> None:
        """S1: each lease has a higher token than any before, released ones included."""
        tokens: list[int] = []
        for _ in range(4):
            held = lease(storage)
            tokens.append(held.token)
            storage.lease_release(held)
            storage.lease_release(held)
        assert tokens == sorted(set(tokens)), f"S1: tokens must grow for ever, got {tokens}"

    def test_a_lost_lease_releases_nothing(self, storage: Storage[object]) -> None:
        """S1: releasing a lease that was taken over leaves the new one alone."""
        old = lease(storage)
        lease(storage, now=at(61))
        storage.lease_release(old)
        again = storage.lease_acquire(MAILBOX, owner="third", ttl_seconds=60, now=at(62))
        assert again is None, "S1: a lost lease released that of its successor"

    def test_a_lost_lease_writes_nothing(self, storage: Storage[object]) -> None:
        """S2: each write with a lease that was taken over raises, and changes nothing."""
        lost = opened(storage)
        storage.intake_put([mail(1)], lease=lost, now=NOW)
        taken = lease(storage, now=at(61))
        self._writes_nothing(storage, lost, "taken over")
        storage.lease_release(taken)
        self._writes_nothing(storage, taken, "released")

    @staticmethod
    def _writes_nothing(storage: Storage[object], lost: Lease, how: str) -> None:
        before = snapshot(storage, 1, 2)
        writes: dict[str, Callable[[], object]] = {
            "intake_put": lambda: storage.intake_put([mail(2)], lease=lost, now=at(62)),
            "intake_skip": lambda: storage.intake_skip([position(2)], lease=lost),
            "mark_acknowledged": lambda: storage.mark_acknowledged([position(1)], lease=lost),
            "lease_renew": lambda: storage.lease_renew(lost, ttl_seconds=60, now=at(62)),
            "stream_open": lambda: storage.stream_open(lost, uidvalidity=99, uidnext=1),
        }
        for name, write in writes.items():
            with must_raise(
                StaleWriteError,
                f"S2: {name} with a lease that was {how} must raise StaleWriteError",
            ):
                write()
            assert snapshot(storage, 1, 2) == before, f"S2: {name} with a lost lease wrote"

    @of_level(Level.MANY_WORKERS)
    def test_a_dead_worker_is_abandoned(self, storage: Storage[object]) -> None:
        """S19: what a worker holds comes free at once; it writes no more; others keep theirs."""
        held = opened(storage)
        storage.intake_put([mail(1)], lease=held, now=NOW)
        claimed = claim_one(storage)
        storage.abandon("somebody else")
        assert storage.lease_acquire(MAILBOX, owner="next", ttl_seconds=60, now=NOW) is None
        assert claim(storage) == (), "S19: only the named worker's claims end"
        for _ in range(2):
            storage.abandon("worker")
        self._writes_nothing(storage, held, "abandoned")
        with must_raise(StaleWriteError, "S19: an abandoned claim must not conclude"):
            storage.conclude(claimed, lambda _: conclusion(1))
        again = claim_one(storage)
        assert again.row.attempts == claimed.row.attempts + 1, "S19: attempts stay counted"
        taken = storage.lease_acquire(MAILBOX, owner="next", ttl_seconds=60, now=NOW)
        assert taken is not None, "S19: the mailbox must be free at once"
        assert taken.token > held.token, "S1: a token grows for ever"

    def test_generations_count_up(self, storage: Storage[object]) -> None:
        """S3: a uidvalidity that differs, up or down, or a lower uidnext begins a generation."""
        held = lease(storage)
        before = 0
        for uidvalidity, uidnext, expected in _GENERATIONS:
            stream = storage.stream_open(held, uidvalidity=uidvalidity, uidnext=uidnext)
            told = f"uidvalidity {uidvalidity}, uidnext {uidnext}"
            assert stream.generation == expected, f"S3: wrong generation after {told}"
            assert stream.is_new == (expected != before), f"S3: wrong is_new after {told}"
            before = expected

    def test_numbering_that_is_not_told(self, storage: Storage[object]) -> None:
        """S3: a server without these numbers (POP3) stays in one generation."""
        held = lease(storage)
        for _ in range(2):
            stream = storage.stream_open(held, uidvalidity=None, uidnext=None)
            assert stream.generation == 1, "S3: nothing told is no new generation"

    def test_the_first_cutoff_stays(self, storage: Storage[object]) -> None:
        """S3: the cut-off of the first opening holds in every generation."""
        held = lease(storage)
        first = NOW - timedelta(days=3)
        for uidvalidity, cutoff in ((1, first), (1, NOW), (2, None)):
            stream = storage.stream_open(held, uidvalidity=uidvalidity, uidnext=1, cutoff=cutoff)
            assert stream.cutoff == first, "S3: the first cut-off must stay for ever"
        without = lease(storage, _OTHER)
        for cutoff in (None, NOW):
            stream = storage.stream_open(without, uidvalidity=1, uidnext=1, cutoff=cutoff)
            assert stream.cutoff is None, "S3: no cut-off at first is a cut-off that stays, too"

    def test_unacknowledged_lowest_first(self, storage: Storage[object]) -> None:
        """S10: positions are listed by number, with their outcome, up to the limit."""
        put(storage, 10, 9, 100, 11)
        done = claim(storage)[0]
        storage.conclude(done, lambda _: conclusion(10))
        listed = storage.unacknowledged(MAILBOX, limit=3, concluded_only=False)
        assert [item.position for item in listed] == [position(9), position(10), position(11)], (
            "S10: unacknowledged must list the lowest first"
        )
        assert [item.outcome for item in listed] == [None, OutcomeKind.CREATED, None]
        only = storage.unacknowledged(MAILBOX, limit=3, concluded_only=True)
        assert [item.intake_id for item in only] == [done.row.id]

    def test_acknowledged_takes_off(self, storage: Storage[object]) -> None:
        """S10: what the server was told is not listed again; saying it twice is fine."""
        held = opened(storage)
        storage.intake_put([mail(1), mail(2)], lease=held, now=NOW)
        for _ in range(2):
            storage.mark_acknowledged([position(1), position(77)], lease=held)
            listed = storage.unacknowledged(MAILBOX, limit=9, concluded_only=False)
            assert [item.position for item in listed] == [position(2)]
        states = storage.positions(MAILBOX, 1, ["1", "2", "77"])
        assert {uid: state.acknowledged for uid, state in states.items()} == {
            "1": True,
            "2": False,
        }, "S10: positions must say what was acknowledged"

    def test_positions_tell_of_their_rows(self, storage: Storage[object]) -> None:
        """S10: a position tells of its row the id, the outcome and the size; without one, nothing."""
        held = opened(storage)
        first, second = mail(1), mail(2, raw=b"Message-ID: <2@example.org>\r\n\r\n" + b"x" * 9000)
        one, two = (
            result.intake_id for result in storage.intake_put([first, second], lease=held, now=NOW)
        )
        storage.intake_skip([position(3)], lease=held)
        claimed, _ = claim(storage)
        storage.conclude(claimed, lambda _: conclusion(1))
        states = storage.positions(MAILBOX, 1, ["1", "2", "3"])
        assert {
            uid: (state.intake_id, state.outcome, state.size) for uid, state in states.items()
        } == {
            "1": (one, OutcomeKind.CREATED, len(first.raw)),
            "2": (two, None, len(second.raw)),
            "3": (None, None, None),
        }, "S10: positions must tell id, outcome and size of their rows"

    def test_only_the_present_generation(self, storage: Storage[object]) -> None:
        """S10: positions of an older generation are not listed."""
        held = opened(storage)
        storage.intake_put([mail(1)], lease=held, now=NOW)
        storage.stream_open(held, uidvalidity=8, uidnext=1000)
        storage.intake_put([mail(1, uid=5, generation=2)], lease=held, now=NOW)
        listed = storage.unacknowledged(MAILBOX, limit=9, concluded_only=False)
        assert [item.position for item in listed] == [position(5, generation=2)], (
            "S10: only positions of the present generation may be listed"
        )

    def test_skipped_positions(self, storage: Storage[object]) -> None:
        """S10: skipped mail is known and has no row; nobody is to be told about it."""
        held = opened(storage)
        storage.intake_put([mail(2)], lease=held, now=NOW)
        storage.intake_skip([position(1), position(2)], lease=held)
        states = storage.positions(MAILBOX, 1, ["1", "2", "3"])
        assert {uid: state.intake_id is None for uid, state in states.items()} == {
            "1": True,
            "2": False,
        }, "intake_skip must remember what is unknown and leave alone what is known"
        listed = storage.unacknowledged(MAILBOX, limit=9, concluded_only=False)
        assert [item.position for item in listed] == [position(2)]
