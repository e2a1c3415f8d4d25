"""Test intake: S4, S5, S6, S9, S12, S13."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import attrs

from mailrouting.auth import MailProtocol
from mailrouting.errors import RecordNotFoundError, StaleWriteError
from mailrouting.health import AccountHealth, HealthState, Trouble
from mailrouting.records import (
    Envelope,
    Failure,
    IntakeState,
    MailboxKey,
    OutcomeKind,
    Position,
    PutStatus,
    ThreadRecord,
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
    mail,
    must_raise,
    opened,
    position,
    pushed,
    put,
    snapshot,
)
from mailrouting.testing._kit_levels import Level, of_level

__all__ = ["IntakeObligations"]

_OTHER = MailboxKey("sales", MailProtocol.IMAP, "INBOX")
_RAWS = (b"", b"\0", b"a\0b\r\n\0", bytes(range(256)), b"\xff" * 100_000, "é\U0001f4e8".encode())
# Pairs that a database may take for one: case, accents, forms of one letter, trailing space.
_ALIKE = ("a", "A", "á", "a\u0301", "a ", " a", "ａ", "\U0001d41a", "a%", "a_", "a'--", "")


@of_level(Level.ONE_WORKER)
class IntakeObligations(StorageKit):
    """Hold the adapter to what it promises about intake."""

    def test_put_results_in_order(self, storage: Storage[object]) -> None:
        """S4: one result a mail, in order: new, known, elsewhere before, and a conflict."""
        held = opened(storage)
        first = storage.intake_put([mail(1), mail(2)], lease=held, now=NOW)
        assert [result.status for result in first] == [PutStatus.CREATED] * 2
        second = storage.intake_put(
            [mail(2), mail(1, uid=9), mail(3, uid=1), mail(4), mail(4)], lease=held, now=NOW
        )
        one, two = (result.intake_id for result in first)
        four = second[3].intake_id
        assert [(result.status, result.intake_id) for result in second] == [
            (PutStatus.KNOWN, two),
            (PutStatus.REAPPEARED, one),
            (PutStatus.UID_CONFLICT, None),
            (PutStatus.CREATED, four),
            (PutStatus.KNOWN, four),
        ], "S4: one result for each mail, in order"
        states = storage.positions(MAILBOX, 1, ["1", "2", "4", "9"])
        assert {uid: state.intake_id for uid, state in states.items()} == {
            "1": one,
            "2": two,
            "4": four,
            "9": one,
        }, "S4: a position that holds another mail must not be touched"
        assert [row.id for row in storage.intake_rows()] == [one, two, four]

    def test_put_is_one_transaction(self, storage: Storage[object]) -> None:
        """S4: when one mail of a batch is refused, none of it is stored."""
        held = opened(storage)
        bad = attrs.evolve(mail(2), position=Position(MAILBOX, 1, "2\0"))
        with must_raise(ValueError, "S13: a UID with NUL must be refused with ValueError"):
            storage.intake_put([mail(1), bad], lease=held, now=NOW)
        assert storage.intake_rows() == (), "S4: half of a refused batch was stored"
        assert not storage.positions(MAILBOX, 1, ["1"]), "S4: half of a refused batch was stored"

    def test_accounts_are_apart(self, storage: Storage[object]) -> None:
        """S4: the same mail fetched for two accounts has two rows."""
        opened(storage)
        other = opened(storage, _OTHER)
        results = (
            *storage.intake_put([pushed(1)], lease=None, now=NOW),
            *storage.intake_put([mail(1, mailbox=_OTHER)], lease=other, now=NOW),
        )
        assert [result.status for result in results] == [PutStatus.CREATED] * 2
        rows = storage.intake_rows()
        assert [row.account_id for row in rows] == [ACCOUNT, _OTHER.account_id]
        same = storage.intake_rows(content=rows[0].identity.content)
        assert [row.id for row in same] == [row.id for row in rows], "copies must be found"
        others = storage.intake_rows(content=rows[0].identity.content, other_than=rows[0].id)
        assert [row.id for row in others] == [rows[1].id], "a row is no copy of itself"

    def test_pushed_mail(self, storage: Storage[object]) -> None:
        """S4: pushed mail needs no lease, and is stored once for its account."""
        envelope = Envelope(recipients=("a@example.org", "b@example.org"), reverse_path="")
        sent = attrs.evolve(pushed(1), envelope=envelope, received_at=at(-5.25))
        statuses = [storage.intake_put([sent], lease=None, now=NOW)[0].status for _ in range(2)]
        assert statuses == [PutStatus.CREATED, PutStatus.KNOWN]
        (row,) = storage.intake_rows()
        assert (row.envelope, row.received_at, row.stored_at) == (envelope, at(-5.25), NOW)
        assert (row.identity, row.size, row.state) == (
            sent.identity,
            len(sent.raw),
            IntakeState.WAITING,
        )

    def test_raw_mail_is_whole(self, storage: Storage[object]) -> None:
        """S5: every byte comes back, NUL and 8-bit ones included."""
        held = opened(storage)
        mails = [mail(number, raw=raw) for number, raw in enumerate(_RAWS)]
        # Some of these have one fingerprint; this is about bytes.
        mails = [
            attrs.evolve(one, identity=attrs.evolve(one.identity, fingerprint=str(number)))
            for number, one in enumerate(mails)
        ]
        results = storage.intake_put(mails, lease=held, now=NOW)
        claims = claim(storage)
        for raw, result, claimed in zip(_RAWS, results, claims, strict=True):
            assert result.intake_id is not None
            found = storage.intake_raw(result.intake_id)
            assert found == raw, f"S5: {raw[:40]!r} came back as {found[:40]!r}"
            assert claimed.raw == raw, f"S5: {raw[:40]!r} was claimed as {claimed.raw[:40]!r}"
            assert claimed.row.size == len(raw)

    def test_a_row_is_claimed_once(self, storage: Storage[object]) -> None:
        """S6: lowest id first, up to the limit, each row by one worker."""
        ids = [result.intake_id for result in put(storage, 1, 2, 3)]
        first = [claimed.row.id for claimed in claim(storage, limit=2)]
        second = [claimed.row.id for claimed in claim(storage)]
        assert first == ids[:2], "S6: rows must be claimed lowest id first, up to the limit"
        assert second == ids[2:], "S6: a row that is claimed must not be claimed again"
        assert claim(storage) == (), "S6: a row that is claimed must not be claimed again"

    def test_a_claim_counts_its_attempt(self, tmp_path: Path) -> None:
        """S6: the attempt is stored before the claim is returned."""
        with self.opener(tmp_path)() as storage:
            put(storage, 1)
            claimed = claim_one(storage)
            row = storage.intake_row(claimed.row.id)
            assert claimed.row == row, "S6: a claim must hold the row as it is stored"
            assert (row.attempts, row.state) == (1, IntakeState.CLAIMED)

    def test_a_claim_may_be_taken_over(self, storage: Storage[object]) -> None:
        """S6: after its visibility a claim may be taken over; then the old one is lost."""
        put(storage, 1)
        old = claim_one(storage)
        assert claim(storage, now=at(59)) == (), "S6: a claim holds for its visibility"
        new = claim_one(storage, now=at(61))
        assert new.token != old.token, "S6: each claim needs a token of its own"
        assert new.row.attempts == old.row.attempts + 1
        with must_raise(StaleWriteError, "S7: a lost claim must not conclude"):
            storage.conclude(old, lambda _: conclusion(1))
        with must_raise(StaleWriteError, "S9: a lost claim must not fail the attempt"):
            storage.intake_fail(old, FAILURE, retry_at=NOW, counts=True)
        storage.conclude(new, lambda _: conclusion(1))

    def test_claims_of_some_accounts(self, storage: Storage[object]) -> None:
        """S6: only rows of the accounts asked for are claimed."""
        for account_id in ("a", "b", "c"):
            storage.intake_put([pushed(1, account_id=account_id)], lease=None, now=NOW)
        assert claim(storage, account_ids=[]) == ()
        found = claim(storage, account_ids=["c", "a"])
        assert [claimed.row.account_id for claimed in found] == ["a", "c"]

    def test_too_many_attempts(self, storage: Storage[object]) -> None:
        """S6: a row with too many attempts is quarantined, its last failure is the reason."""
        worn, fresh = (result.intake_id for result in put(storage, 1, 2))
        assert worn is not None
        for _ in range(2):
            claimed = claim_one(storage, limit=1, max_attempts=2)
            assert claimed.row.id == worn
            storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=True)
        other = claim_one(storage, limit=1, max_attempts=2)
        assert other.row.id == fresh, "S6: a row over max_attempts must not be claimed"
        row = storage.intake_row(worn)
        assert (row.state, row.attempts) == (IntakeState.DONE, 2)
        assert row.outcome is not None
        assert row.outcome.kind is OutcomeKind.QUARANTINED
        assert FAILURE.text in row.outcome.reason, "S6: the last failure must be the reason"

    def test_an_attempt_that_died_counts(self, storage: Storage[object]) -> None:
        """S6: a worker that dies again and again does not keep its mail for ever."""
        put(storage, 1)
        claim(storage, max_attempts=1)
        assert claim(storage, max_attempts=1, now=at(61)) == ()
        (row,) = storage.intake_rows(state=IntakeState.DONE)
        assert row.outcome is not None
        assert row.outcome.kind is OutcomeKind.QUARANTINED

    def test_a_failed_attempt(self, storage: Storage[object]) -> None:
        """S9: the claim is free again at its time; the failure is kept, the attempt counts."""
        put(storage, 1)
        claimed = claim_one(storage)
        storage.intake_fail(claimed, FAILURE, retry_at=at(30), counts=True)
        row = storage.intake_row(claimed.row.id)
        assert (row.state, row.attempts) == (IntakeState.WAITING, 1)
        assert (row.failure, row.next_attempt_at) == (FAILURE, at(30))
        assert claim(storage, now=at(29)) == (), "S6: not before next_attempt_at"
        again = claim_one(storage, now=at(30))
        assert (again.row.attempts, again.row.failure) == (2, FAILURE)
        with must_raise(StaleWriteError, "S9: a claim that failed is over"):
            storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=False)

    def test_an_attempt_given_back(self, storage: Storage[object]) -> None:
        """S9: an attempt that was not the mail's fault does not count."""
        put(storage, 1)
        for _ in range(3):
            claimed = claim_one(storage, max_attempts=1)
            assert claimed.row.attempts == 1, "S9: counts=False must give the attempt back"
            storage.intake_fail(claimed, FAILURE, retry_at=NOW, counts=False)
        assert [row.attempts for row in storage.intake_rows()] == [0]

    def test_listing(self, storage: Storage[object]) -> None:
        """S12: rows are listed by id, filtered, page by page."""
        ids = [result.intake_id for result in put(storage, 5, 4, 3, 2, 1)]
        storage.intake_put([pushed(1, account_id="other")], lease=None, now=NOW)
        claimed = claim(storage, limit=2)
        storage.conclude(claimed[0], lambda _: conclusion(5))
        found = [row.id for row in storage.intake_rows(account_id=ACCOUNT)]
        assert found == ids, "S12: rows must be listed by id"
        page = storage.intake_rows(account_id=ACCOUNT, after_id=found[1], limit=2)
        assert [row.id for row in page] == ids[2:4], "S12: a page begins after its id"
        done = storage.intake_rows(state=IntakeState.DONE)
        assert [row.id for row in done] == ids[:1]
        waiting = storage.intake_rows(account_id=ACCOUNT, state=IntakeState.WAITING)
        assert [row.id for row in waiting] == ids[2:]

    def test_what_was_returned_is_a_value(self, storage: Storage[object]) -> None:
        """S12: rows, claims and states do not change when the storage does."""
        put(storage, 1)
        before = (storage.intake_rows(), storage.positions(MAILBOX, 1, ["1"]))
        kept = (attrs.evolve(before[0][0]), dict(before[1]))
        claimed = claim_one(storage)
        storage.conclude(claimed, lambda _: conclusion(1))
        assert (before[0][0], dict(before[1])) == kept, "S12: a returned value changed"

    def test_unknown_rows(self, storage: Storage[object]) -> None:
        """S12: a row that is not there is an error that says so."""
        with must_raise(RecordNotFoundError, "an unknown row must raise RecordNotFoundError"):
            storage.intake_row(10**9)
        with must_raise(RecordNotFoundError, "an unknown mail must raise RecordNotFoundError"):
            storage.intake_raw(10**9)

    def test_texts_are_compared_exactly(self, storage: Storage[object]) -> None:
        """S13: texts that look alike are apart, and come back as they were."""
        for text in _ALIKE:
            held = opened(storage, MailboxKey(text, MailProtocol.IMAP, text))
            at_text = Position(held.mailbox, 1, text)
            one = attrs.evolve(pushed(1), account_id=text, position=at_text)
            (result,) = storage.intake_put([one], lease=held, now=NOW)
            assert result.status is PutStatus.CREATED, f"S13: {text!r} was taken for another"
            record = ThreadRecord(message_id=text, ticket=text, account_id=text)
            storage.remember_threads([record])
        assert [row.account_id for row in storage.intake_rows()] == list(_ALIKE)
        for text in _ALIKE:
            record = ThreadRecord(message_id=text, ticket=text, account_id=text)
            assert storage.find_threads([text]) == (record,), f"S13: {text!r} was not kept apart"
            key = MailboxKey(text, MailProtocol.IMAP, text)
            assert list(storage.positions(key, 1, list(_ALIKE))) == [text]

    def test_nul_is_refused(self, storage: Storage[object]) -> None:
        """S13: a text with NUL is refused, never cut, wherever it stands."""
        nul = "a\0b"
        held = opened(storage)
        storage.intake_put([mail(1)], lease=held, now=NOW)
        claimed = claim_one(storage)
        before = snapshot(storage, 1)
        ended = conclusion(1)
        writes: dict[str, Callable[[], object]] = {
            "owner": lambda: storage.lease_acquire(MAILBOX, owner=nul, ttl_seconds=1, now=at(99)),
            "account_id": lambda: storage.intake_put(
                [pushed(2, account_id=nul)], lease=None, now=NOW
            ),
            "recipient": lambda: storage.intake_put(
                [attrs.evolve(pushed(2), envelope=Envelope(recipients=(nul,)))],
                lease=None,
                now=NOW,
            ),
            "uid": lambda: storage.intake_skip([Position(MAILBOX, 1, nul)], lease=held),
            "failure": lambda: storage.intake_fail(
                claimed,
                Failure(step="a", error_type="b", text=nul),
                retry_at=NOW,
                counts=True,
            ),
            "reason": lambda: storage.conclude(
                claimed,
                lambda _: attrs.evolve(ended, outcome=attrs.evolve(ended.outcome, reason=nul)),
            ),
            "message_id": lambda: storage.remember_threads(
                [ThreadRecord(message_id=nul, ticket="1", account_id="a")]
            ),
        }
        for name, write in writes.items():
            with must_raise(ValueError, f"S13: a NUL in {name} must be refused with ValueError"):
                write()
        assert snapshot(storage, 1) == before, "S13: a refused write changed something"

    def test_health(self, storage: Storage[object]) -> None:
        """S12: an account's health comes back as it was saved; the last one holds."""
        assert storage.health(ACCOUNT) is None
        ill = AccountHealth(
            account_id=ACCOUNT,
            state=HealthState.DEGRADED,
            since=NOW,
            checked_at=at(0.000001),
            last_success_at=NOW - timedelta(days=400),
            failures=3,
            next_attempt_at=at(90),
            trouble=Trouble(error_type="ConnectError", text="\U0001f4e8 'x\"", hint=""),
            quiet_since=at(-0.000001),
            kept_by="worker",
            kept_until=at(0.000002),
        )
        well = AccountHealth(account_id=ACCOUNT, state=HealthState.OK, since=NOW, checked_at=NOW)
        for health in (ill, well, ill):
            storage.save_health(health)
            assert storage.health(ACCOUNT) == health, "S13: health must come back unchanged"
        assert storage.health("other") is None

    def test_a_skipped_position_is_taken_in_after_all(self, storage: Storage[object]) -> None:
        """S4: a position without a mail is no conflict."""
        held = opened(storage)
        storage.intake_skip([position(1)], lease=held)
        (result,) = storage.intake_put([mail(1)], lease=held, now=NOW)
        assert result.status is PutStatus.CREATED
        state = storage.positions(MAILBOX, 1, ["1"])["1"]
        assert (state.intake_id, state.acknowledged) == (result.intake_id, False)
