"""Test what comes again: numbering, rescans, reopened rows, clocks: S20 to S25."""

from pathlib import Path

import attrs

from mailrouting.auth import MailProtocol
from mailrouting.errors import RecordNotFoundError, StaleWriteError
from mailrouting.reading import identify
from mailrouting.records import (
    Claims,
    IntakeMail,
    IntakeState,
    MailboxKey,
    OutcomeKind,
    PutStatus,
)
from mailrouting.storage import Storage
from mailrouting.testing._kit import (
    ACCOUNT,
    FAILURE,
    MAILBOX,
    NOW,
    StorageKit,
    at,
    claim,
    claim_one,
    conclusion,
    ending,
    lease,
    mail,
    must_raise,
    opened,
    position,
    pushed,
    put,
)
from mailrouting.testing._kit_levels import Level, of_level

__all__ = ["AgainObligations"]

_POP3 = MailboxKey(ACCOUNT, MailProtocol.POP3, "INBOX")
_HOUR = 3600
_TAKEN_BACK = (OutcomeKind.QUARANTINED, OutcomeKind.FILTERED)


def _rendered(number: int, body: str, *, uid: int, generation: int = 1) -> IntakeMail:
    """Return the mail of this number with a body as a server renders it."""
    raw = (
        f"Received: by a id {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n{body}\r\n"
    ).encode()
    return mail(number, uid=uid, generation=generation, raw=raw)


def _all(storage: Storage[object], *, now_seconds: float, limit: int, most: int) -> Claims:
    return storage.intake_claim(
        worker="worker",
        limit=limit,
        visibility_seconds=60,
        max_attempts=most,
        now=at(now_seconds),
    )


@of_level(Level.WHOLE)
class AgainObligations(StorageKit):
    """Hold the adapter to what it promises about things that come again."""

    def test_renumbered_by_evidence(self, storage: Storage[object]) -> None:
        """S20: `renumbered` begins a generation though the server told nothing new."""
        held = opened(storage)
        storage.intake_put([mail(1)], lease=held, now=NOW)
        stream = storage.stream_open(held, uidvalidity=7, uidnext=1000, renumbered=True)
        assert (stream.generation, stream.is_new) == (2, True), "S20: a generation must begin"
        again = storage.stream_open(held, uidvalidity=7, uidnext=1000)
        assert (again.generation, again.is_new) == (2, False), "S20: and it must be stored"

    def test_first_uidnext(self, tmp_path: Path) -> None:
        """S20: the first uidnext of a generation stays as long as the generation, and is stored."""
        opener = self.opener(tmp_path)
        with opener() as storage:
            held = lease(storage)
            told = ((7, None, None), (7, 40, None), (8, 50, 50), (8, 90, 50), (8, 20, 20))
            for uidvalidity, uidnext, expected in told:
                stream = storage.stream_open(held, uidvalidity=uidvalidity, uidnext=uidnext)
                assert stream.first_uidnext == expected, (
                    f"S20: wrong first_uidnext after uidvalidity {uidvalidity}, uidnext {uidnext}"
                )
            stream = storage.stream_open(held, uidvalidity=8, uidnext=30, renumbered=True)
            assert stream.first_uidnext == 30, "S20: a renumbering has its own first uidnext"  # noqa: PLR2004 - as told

    @of_level(Level.ONE_WORKER)
    def test_latest_positions(self, storage: Storage[object]) -> None:
        """S21: the highest UIDs by number come first, with the identity of their mail."""
        held = opened(storage)
        storage.intake_put([mail(9), mail(100), mail(10), mail(99)], lease=held, now=NOW)
        storage.intake_skip([position(500)], lease=held)
        found = storage.latest_positions(MAILBOX, 1, limit=3)
        assert found == tuple((str(uid), mail(uid).identity) for uid in (100, 99, 10)), (
            "S21: the highest UIDs that have a mail must come first"
        )
        assert storage.latest_positions(MAILBOX, 2, limit=3) == (), "S21: only that generation"

    @of_level(Level.ONE_WORKER)
    def test_latest_positions_of_pop3(self, storage: Storage[object]) -> None:
        """S21: POP3's unique-ids have no order: what was stored last comes first."""
        held = opened(storage, _POP3)
        for number, uid in ((1, "zz"), (2, "a"), (3, "mmmm")):
            one = mail(number, mailbox=_POP3)
            assert one.position is not None
            one = attrs.evolve(one, position=attrs.evolve(one.position, uid=uid))
            storage.intake_put([one], lease=held, now=NOW)
        found = [uid for uid, _ in storage.latest_positions(_POP3, 1, limit=2)]
        assert found == ["mmmm", "a"], "S21: of POP3 the mail that was stored last comes first"

    def test_a_rescan_knows_what_a_server_renders_anew(self, storage: Storage[object]) -> None:
        """S22: with `rescan` the same delivery is the same mail; without, or without one, it is not."""
        held = opened(storage)
        (first,) = storage.intake_put([_rendered(1, "old", uid=1)], lease=held, now=NOW)
        new = _rendered(1, "new", uid=8, generation=2)
        storage.stream_open(held, uidvalidity=8, uidnext=9)
        (again,) = storage.intake_put([new], lease=held, now=NOW, rescan=True)
        assert (again.status, again.intake_id) == (PutStatus.REAPPEARED, first.intake_id), (
            "S22: a rescan must know a mail by its delivery"
        )
        for rescan in (True, False):
            (known,) = storage.intake_put([new], lease=held, now=NOW, rescan=rescan)
            assert (known.status, known.intake_id) == (PutStatus.KNOWN, first.intake_id), (
                "S22: the same delivery at its own position is known"
            )
        other = _rendered(1, "newer", uid=9, generation=2)
        (created,) = storage.intake_put([other], lease=held, now=NOW)
        assert created.status is PutStatus.CREATED, "S22: only a rescan looks at the delivery"

    def test_a_rescan_takes_no_mail_for_another(self, storage: Storage[object]) -> None:
        """S22: no delivery, one of several rows, or a row of another account is no match."""
        held = opened(storage)
        for uid, body in ((1, "one"), (2, "two")):
            storage.intake_put([_rendered(1, body, uid=uid)], lease=held, now=NOW)
        storage.stream_open(held, uidvalidity=8, uidnext=9)
        without = IntakeMail(
            account_id=ACCOUNT,
            raw=b"Subject: a\r\n\r\nold",
            identity=identify(b"Subject: a\r\n\r\nold"),
            position=position(1, generation=2),
        )
        storage.intake_put([without], lease=held, now=NOW)
        elsewhere = attrs.evolve(_rendered(7, "x", uid=7), account_id="other", position=None)
        storage.intake_put([elsewhere], lease=None, now=NOW)
        new = b"Subject: a\r\n\r\nnew"
        mails = (
            _rendered(1, "three", uid=5, generation=2),
            attrs.evolve(
                without, raw=new, identity=identify(new), position=position(6, generation=2)
            ),
            _rendered(7, "y", uid=7, generation=2),
        )
        for one in mails:
            (result,) = storage.intake_put([one], lease=held, now=NOW, rescan=True)
            assert result.status is PutStatus.CREATED, f"S22: {one.raw!r} was taken for another"

    def test_reopening(self, storage: Storage[object]) -> None:
        """S23: quarantined and filtered mail can be tried anew, as often as it takes."""
        put(storage, 1)
        for times, kind in enumerate(_TAKEN_BACK, start=1):
            claimed = claim_one(storage)
            assert claimed.row.attempts == 1, "S23: a reopened row begins without attempts"
            storage.conclude(claimed, ending(kind))
            row = storage.intake_reopen(claimed.row.id, now=NOW)
            assert (row.state, row.attempts, row.outcome, row.reopened) == (
                IntakeState.WAITING,
                0,
                None,
                times,
            ), f"S23: {kind.value} mail must wait again"
            assert storage.intake_row(row.id) == row
            with must_raise(StaleWriteError, "S23: a claim from before must not conclude"):
                storage.conclude(claimed, lambda _: conclusion(1))

    def test_reopening_what_cannot_be(self, storage: Storage[object]) -> None:
        """S23: mail that waits, is claimed, or wrote for the host stays as it is."""
        put(storage, 1, 2)
        claimed = claim(storage, limit=1)[0]
        storage.conclude(claimed, lambda _: conclusion(1))
        waiting = storage.intake_rows(state=IntakeState.WAITING)[0]
        with must_raise(StaleWriteError, "S23: a ticket cannot be taken back"):
            storage.intake_reopen(claimed.row.id, now=NOW)
        with must_raise(StaleWriteError, "S23: what waits has no outcome to take back"):
            storage.intake_reopen(waiting.id, now=NOW)
        with must_raise(RecordNotFoundError, "S23: an unknown row must be said to be unknown"):
            storage.intake_reopen(10**9, now=NOW)
        assert storage.intake_row(waiting.id) == waiting
        outcome = storage.intake_row(claimed.row.id).outcome
        assert outcome == conclusion(1).outcome, (
            "S8: an outcome that wrote for the host is for ever"
        )

    @of_level(Level.MANY_WORKERS)
    def test_tried_mail_is_claimed_alone(self, storage: Storage[object]) -> None:
        """S24: a mail that its worker died of is claimed alone, so that it takes no other along."""
        ids = [result.intake_id for result in put(storage, 1, 2, 3, 4)]
        first = claim(storage, limit=2)
        second = claim_one(storage, limit=1)
        storage.intake_fail(first[0], FAILURE, retry_at=NOW, counts=False)
        storage.intake_fail(second, FAILURE, retry_at=NOW, counts=True)
        orders: list[list[int]] = []
        while claims := claim(storage, now=at(61), limit=10):
            orders.append([claimed.row.id for claimed in claims])
        assert orders == [[ids[0]], [ids[1]], [ids[2]], [ids[3]]], (
            "S24: a row that was tried must be claimed alone, in its place"
        )

    @of_level(Level.ONE_WORKER)
    def test_quarantined_rows_are_told(self, storage: Storage[object]) -> None:
        """S6: the claim that quarantines a row tells it, and takes what is behind it."""
        worn, fresh = (result.intake_id for result in put(storage, 1, 2))
        assert worn is not None
        claim(storage, limit=1)
        found = _all(storage, now_seconds=61, limit=1, most=1)
        assert [row.id for row in found.quarantined] == [worn], "S6: a quarantined row must be told"
        assert found.quarantined[0] == storage.intake_row(worn), "S6: as it is stored"
        assert [claimed.row.id for claimed in found.claimed] == [fresh], "S6: others are claimed"
        assert _all(storage, now_seconds=61, limit=1, most=1) == Claims(), "S6: told once"

    @of_level(Level.MANY_WORKERS)
    def test_a_lease_from_the_future(self, storage: Storage[object]) -> None:
        """S25: a lease made by a clock far ahead has ended; a little ahead it holds."""
        for ahead, is_void in ((_HOUR - 1, False), (_HOUR + 1, True)):
            lease(storage, now=at(ahead))
            taken = storage.lease_acquire(MAILBOX, owner="next", ttl_seconds=60, now=NOW)
            assert (taken is not None) is is_void, (
                f"S25: a lease made {ahead} seconds ahead must {'end' if is_void else 'hold'}"
            )
            storage.abandon("worker")

    @of_level(Level.MANY_WORKERS)
    def test_a_lease_renewed_from_the_future(self, storage: Storage[object]) -> None:
        """S25: a lease renewed by a clock far ahead has ended."""
        storage.lease_renew(lease(storage), ttl_seconds=60, now=at(10 * _HOUR))
        taken = storage.lease_acquire(MAILBOX, owner="next", ttl_seconds=60, now=at(1))
        assert taken is not None, "S25: a lease renewed far ahead keeps the mailbox"

    @of_level(Level.MANY_WORKERS)
    def test_a_claim_from_the_future(self, storage: Storage[object]) -> None:
        """S25: a claim made by a clock far ahead has ended; a little ahead it holds."""
        put(storage, 1)
        claim_one(storage, now=at(_HOUR - 1))
        assert claim(storage) == (), "S25: a claim made a little ahead must hold"
        claim_one(storage, now=at(3 * _HOUR))
        claim_one(storage)

    @of_level(Level.MANY_WORKERS)
    def test_a_wait_into_the_far_future(self, storage: Storage[object]) -> None:
        """S25: a next attempt more than 25 hours away is due; one that is nearer is not."""
        storage.intake_put([pushed(1)], lease=None, now=NOW)
        for hours, is_due in ((24, False), (26, True)):
            claimed = claim_one(storage, now=at(30 * _HOUR) if is_due else NOW)
            storage.intake_fail(claimed, FAILURE, retry_at=at(hours * _HOUR), counts=False)
            assert bool(claim(storage)) is is_due, (
                f"S25: a next attempt in {hours} hours must {'be due' if is_due else 'wait'}"
            )
