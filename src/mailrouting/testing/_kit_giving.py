"""Test what intake needs beside the rest: claims given back, deliveries known: S30 to S32."""

import attrs

from mailrouting.errors import StaleWriteError
from mailrouting.records import IntakeState
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
    lease,
    mail,
    must_raise,
    opened,
    position,
    pushed,
    put,
)
from mailrouting.testing._kit_levels import Level, of_level, preview

__all__ = ["GivingObligations"]

_VERY_MANY = 70_000
"""More than SQLite (32,766) and PostgreSQL (65,535) take as parameters of one statement."""


@of_level(Level.ONE_WORKER)
class GivingObligations(StorageKit):
    """Hold the adapter to what intake gives back and asks for."""

    def test_claims_given_back(self, storage: Storage[object]) -> None:
        """S30: claims given back leave no trace: due at once, no attempt, no failure."""
        put(storage, 1, 2, 3)
        before = storage.intake_rows()
        claims = claim(storage)
        storage.intake_give_back(claims[1:])
        assert storage.intake_rows()[1:] == before[1:], "S30: what was given back has changed"
        assert storage.intake_row(before[0].id).state is IntakeState.CLAIMED, "S30: others stay"
        again = claim(storage)
        assert [one.row.id for one in again] == [row.id for row in before[1:]], "S30: due at once"
        with must_raise(StaleWriteError, "S30: a claim that was given back must be lost"):
            storage.conclude(claims[1], lambda _: conclusion(2))

    def test_lost_claims_given_back(self, storage: Storage[object]) -> None:
        """S30: a claim that somebody took over, or that is done, stays as it is."""
        put(storage, 1, 2, 3)
        old = claim(storage)
        storage.conclude(old[1], lambda _: conclusion(2))
        taken = claim_one(storage, now=at(61), limit=1)
        storage.intake_fail(old[2], FAILURE, retry_at=at(99), counts=True)
        rows = storage.intake_rows()
        storage.intake_give_back(old)
        storage.intake_give_back(())
        assert storage.intake_rows() == rows, "S30: a lost claim was given back"
        storage.conclude(taken, lambda _: conclusion(1))

    def test_claims_after_an_id(self, storage: Storage[object]) -> None:
        """S6: with `after_id` only higher ids are claimed."""
        first, second, third = (row.id for row in (put(storage, 1, 2, 3), storage.intake_rows())[1])
        for after, expected in ((second, [third]), (third, []), (0, [first, second])):
            claims = storage.intake_claim(
                worker="worker",
                limit=9,
                visibility_seconds=60,
                max_attempts=5,
                after_id=after,
                now=NOW,
            )
            found = [one.row.id for one in claims.claimed]
            assert found == expected, f"S6: claimed {found} after {after}"

    @of_level(Level.WHOLE)
    def test_known_deliveries(self, storage: Storage[object]) -> None:
        """S31: deliveries are known of the account that has them, and of no other."""
        put(storage, 1, 2)
        known = [mail(number).identity.delivery for number in (1, 2)]
        asked = [*known, mail(3).identity.delivery]
        found = storage.known_deliveries(ACCOUNT, asked)
        assert found == frozenset(known), "S31: which deliveries are known"
        assert storage.known_deliveries(ACCOUNT, []) == frozenset()
        assert storage.known_deliveries("other", asked) == frozenset(), "S31: of this account"

    @of_level(Level.WHOLE)
    def test_known_deliveries_of_another_recipe(self, storage: Storage[object]) -> None:
        """S31: identities of another recipe are not compared."""
        other = pushed(1)
        old = attrs.evolve(other, identity=attrs.evolve(other.identity, version=0))
        storage.intake_put([old], lease=None, now=NOW)
        found = storage.known_deliveries(ACCOUNT, [other.identity.delivery])
        assert found == frozenset(), "S31: another recipe was compared"

    def test_backlog_is_kept(self, storage: Storage[object]) -> None:
        """S4: that a mail lay there before comes back as it was put."""
        held = opened(storage)
        mails = [attrs.evolve(mail(1), is_backlog=True), mail(2)]
        storage.intake_put(mails, lease=held, now=NOW)
        found = [row.is_backlog for row in storage.intake_rows()]
        assert found == [True, False], "S4: is_backlog came back changed"
        assert [one.row.is_backlog for one in claim(storage)] == [True, False]

    @preview(until="0.2")
    def test_any_number_of_ids(self, storage: Storage[object]) -> None:
        """S32: more ids than a database takes in one statement are asked about, and told, at once."""
        put(storage, 1, _VERY_MANY)
        uids = [str(number) for number in range(1, _VERY_MANY + 1)]
        assert {*storage.positions(MAILBOX, 1, uids)} == {"1", uids[-1]}, (
            f"S32: {_VERY_MANY} positions were asked about, and two are known"
        )
        for claimed in claim(storage):
            storage.conclude(claimed, lambda _: conclusion(_VERY_MANY))
        ids = [f"{number}@example.org" for number in range(1, _VERY_MANY + 1)]
        assert len(storage.find_threads(ids)) == 1, (
            f"S32: {_VERY_MANY} Message-IDs were asked about, and one is known"
        )
        held = lease(storage)
        storage.mark_acknowledged([position(int(uid)) for uid in uids], lease=held)
        assert storage.unacknowledged(MAILBOX, limit=10, concluded_only=False) == (), (
            f"S32: {_VERY_MANY} positions were acknowledged, and some stayed"
        )
