"""Test what a session tells without changing anything: M1, M4, M5, M7, M8, M9, M10, M13."""

import contextlib
from collections.abc import Callable

import pytest

from mailrouting.errors import SessionLostError
from mailrouting.session import MailSession, SessionFeature
from mailrouting.testing._session_kit import (
    FlagsMail,
    MailboxHands,
    RenumbersMail,
    SessionKit,
    command_count,
    left_in,
    listed,
    sample,
)

__all__ = ["LookingObligations"]

_Open = Callable[..., MailSession]
_NOBODY = "4000000000"

_BODIES = (
    b".\r\n..\r\n.dots at line ends.\r\n\r\n.\r\n",
    bytes(range(128, 256)) + b"\r\n",
    b"x" * 10_000 + b"\r\n",
    b"\r\n\r\n\r\n",
    b"* 1 FETCH (UID 1)\r\n+OK\r\n-ERR\r\nA1 OK done\r\n)\r\n{5}\r\n",
)


class LookingObligations(SessionKit):
    """Hold the session to what it promises about looking."""

    def test_looking_changes_nothing(self, hands: MailboxHands, opened: _Open) -> None:
        """M1: after listing, asking, reading and leaving, another client sees what it saw."""
        self.fill(hands, 3)
        before = hands.contents()
        session = opened()
        uids = listed(session)
        session.stat(uids)
        assert len(list(session.read(uids))) == len(uids)
        assert len(list(session.read_headers(uids))) == len(uids)
        session.check()
        session.close()
        after = hands.contents()
        # What POP3 reads a server may mark seen for its other clients; nobody can ask it not to.
        has_flags = SessionFeature.FLAGS in session.features
        told = [(mail.raw, mail.flags if has_flags else None) for mail in after]
        assert told == [(mail.raw, mail.flags if has_flags else None) for mail in before], (
            "M1: looking at mail changed it"
        )

    def test_the_vanished_is_left_out(self, hands: MailboxHands, opened: _Open) -> None:
        """M4: a mail that another client removed is missing from answers, and is no error."""
        raws = self.fill(hands, 3)
        session = opened()
        uids = listed(session)
        hands.remove(uids[1])
        asked, there = [uids[0], _NOBODY, uids[1], uids[2]], [uids[0], uids[2]]
        # POP3 shows a mail until the session ends, whatever others do.
        allowed = [there] if SessionFeature.KEEPS in session.features else [there, uids]
        read = {mail.uid: mail.raw for mail in session.read(asked)}
        assert list(read) in allowed, "M4: reading names other mails than there are"
        assert read[uids[0]] == raws[0], "M4: what is still there was not read rightly"
        assert read[uids[2]] == raws[2], "M4: what is still there was not read rightly"
        assert [uid for uid, _ in session.read_headers(asked)] in allowed, (
            "M4: headers name other mails than there are"
        )
        assert [info.uid for info in session.stat(asked)] in allowed, (
            "M4: stat names other mails than there are"
        )

    def test_answers_may_be_left(self, hands: MailboxHands, opened: _Open) -> None:
        """M5: what is read mail by mail can be interleaved with anything, and goes on."""
        raws = self.fill(hands, 4)
        session = opened()
        windows = session.list_uids()
        uids = list(next(windows))
        reading, headers = session.read(uids), session.read_headers(uids)
        first = next(reading)
        next(headers)
        assert len(session.stat(uids)) == len(uids), "M5: another call is answered wrongly"
        assert [mail.raw for mail in session.read(uids[2:])] == raws[2:], (
            "M5: a second reading is answered wrongly"
        )
        rest = [mail.raw for mail in reading]
        assert [first.raw, *rest] == raws, "M5: a reading that was left does not go on rightly"
        assert len(list(headers)) == len(uids) - 1, "M5: headers that were left do not go on"
        assert [uid for window in windows for uid in window] == [], "M5: a listing names mail twice"
        del reading
        next(session.read(uids))
        session.close()

    def test_no_reading_goes_on_in_another_folder(self, hands: MailboxHands, opened: _Open) -> None:
        """M5: when a folder is opened, what was begun in the one before ends with an error."""
        self.fill(hands, 3)
        session = opened()
        uids = listed(session)
        left = (session.read(uids), session.read_headers(uids), session.list_uids())
        for answers in left[:2]:
            next(answers)
        session.open_folder("INBOX", writable=True)
        for answers in left[:2]:
            with self.refused(hands, "M5: a reading went on in a folder that was opened anew"):
                list(answers)
        assert listed(session) == uids, "M5: the folder that is open now is not served"

    def test_every_mail_is_listed_once(self, hands: MailboxHands, opened: _Open) -> None:
        """M7: in order of arrival, none twice, none left out, no window empty."""
        raws = self.fill(hands, 12)
        session = opened(writable=False)
        windows = list(session.list_uids())
        assert all(windows), "M7: a window is empty"
        uids = [uid for window in windows for uid in window]
        assert [mail.raw for mail in session.read(uids)] == raws, (
            "M7: listed is not every mail once, in order of arrival"
        )
        assert len(uids) == len(set(uids)), "M7: a UID is listed twice"

    def test_an_empty_folder_lists_nothing(self, hands: MailboxHands, opened: _Open) -> None:
        """M7: no mail, no window."""
        del hands
        session = opened()
        assert list(session.list_uids()) == [], "M7: an empty folder lists something"

    def test_deleted_mail_is_not_listed(self, hands: MailboxHands, opened: _Open) -> None:
        """M7: what another client marked deleted is not offered."""
        if not isinstance(hands, FlagsMail):
            pytest.skip("the mailbox has no set_flag(): another client can mark nothing")
        self.fill(hands, 3)
        session = opened()
        self.require(session, SessionFeature.FLAGS)
        uids = listed(session)
        hands.set_flag(uids[1], r"\Deleted")
        assert listed(opened()) == [uids[0], uids[2]], "M7: mail that is marked deleted is listed"

    def test_the_order_asked_for_is_kept(self, hands: MailboxHands, opened: _Open) -> None:
        """M8: answers come in the order asked for, each mail once."""
        self.fill(hands, 4)
        session = opened()
        uids = listed(session)
        asked = [uids[2], uids[0], uids[3], uids[2], uids[0]]
        wanted = [uids[2], uids[0], uids[3]]
        assert [mail.uid for mail in session.read(asked)] == wanted, "M8: read keeps no order"
        assert [uid for uid, _ in session.read_headers(asked)] == wanted, (
            "M8: read_headers keeps no order"
        )
        assert [info.uid for info in session.stat(asked)] == wanted, "M8: stat keeps no order"

    def test_nothing_asked_is_nothing_answered(self, hands: MailboxHands, opened: _Open) -> None:
        """M8: an empty question has an empty answer, and takes no turn."""
        self.fill(hands, 1)
        session = opened()
        before = command_count(hands)
        assert session.stat([]) == (), "M8: stat answers what was not asked"
        assert list(session.read([])) == [], "M8: read answers what was not asked"
        assert list(session.read_headers([])) == [], "M8: read_headers answers what was not asked"
        assert session.delete([]) == frozenset(), "M8: delete answers what was not asked"
        assert command_count(hands) == before, "M8: an empty question was sent"

    @pytest.mark.parametrize("body", _BODIES, ids=["dots", "8-bit", "long line", "empty", "syntax"])
    def test_every_octet_is_read(self, hands: MailboxHands, opened: _Open, body: bytes) -> None:
        """M9: whatever looks like the protocol, or is forbidden in mail, comes as it is."""
        raw = sample(1, body=body)
        hands.deliver(raw)
        session = opened()
        (found,) = session.read(listed(session))
        assert found.raw == raw, f"M9: {raw!r} came back as {bytes(found.raw)!r}"
        assert found.received_at is None or found.received_at.tzinfo is not None, (
            "M9: a time of arrival has no zone"
        )

    def test_large_mail_is_read_whole(self, hands: MailboxHands, opened: _Open) -> None:
        """M9: mail of several megabytes among small ones comes whole, in order."""
        line = bytes(range(33, 111)) + b"\r\n"
        sizes = (1, 40_000, 1, 65_537, 26_215, 1)
        raws = [sample(number, body=line * size) for number, size in enumerate(sizes)]
        for raw in raws:
            hands.deliver(raw)
        session = opened(writable=False)
        for raw, found in zip(raws, session.read(listed(session)), strict=True):
            assert len(found.raw) == len(raw), f"M9: of {len(raw)} octets {len(found.raw)} came"
            assert found.raw[:] == raw, "M9: a large mail came back changed"

    def test_headers_are_the_beginning_of_the_mail(
        self, hands: MailboxHands, opened: _Open
    ) -> None:
        """M9: read_headers gives what read begins with, to the empty line."""
        raws = self.fill(hands, 2)
        session = opened()
        headers = [header for _, header in session.read_headers(listed(session))]
        wanted = [raw[: raw.index(b"\r\n\r\n") + 4] for raw in raws]
        assert headers == wanted, "M9: a header is not the beginning of its mail"

    def test_a_uid_lasts(self, hands: MailboxHands, opened: _Open) -> None:
        """M10: in another session, and when mail came and went, a UID means the same mail."""
        raws = self.fill(hands, 3)
        first = opened()
        uids = listed(first)
        first.close()
        hands.remove(uids[0])
        hands.deliver(sample(4))
        second = opened()
        assert listed(second)[:2] == uids[1:], "M10: a UID changed between sessions"
        assert [mail.raw for mail in second.read(uids[1:])] == raws[1:], (
            "M10: a UID means another mail now"
        )
        assert len(set(listed(second)) | set(uids)) == len(raws) + 1, "M10: a UID was used again"

    def test_numbers_of_a_folder(self, hands: MailboxHands, opened: _Open) -> None:
        """M10: the count is right, UIDNEXT is past every mail, and UIDVALIDITY stays."""
        self.fill(hands, 3)
        session = opened()
        uids = listed(session)
        told = [session.open_folder("INBOX", writable=writable) for writable in (True, False)]
        for status, writable in zip(told, (True, False), strict=True):
            assert status.messages == len(uids), "M10: the number of mails is wrong"
            assert status.writable is writable, "M12: it is open for another use than asked for"
            if status.uidnext is not None:
                assert status.uidnext > max(map(int, uids)), "M10: UIDNEXT was given out already"
        assert told[0].uidvalidity == told[1].uidvalidity, "M10: UIDVALIDITY changed by itself"

    def test_a_renumbered_folder(self, hands: MailboxHands, opened: _Open) -> None:
        """M10: under the old numbers nothing is read or changed; the new ones say that they are."""
        if not isinstance(hands, RenumbersMail):
            pytest.skip("the mailbox has no renumber(): its numbers never change")
        raws = self.fill(hands, 3)
        session = opened()
        status = session.open_folder("INBOX", writable=True)
        uids = listed(session)
        hands.remove(uids[0])
        hands.renumber()
        by_uid = dict(zip(uids, raws, strict=True))
        # What the server hangs up on is done as well as what it answers by the old numbers.
        with contextlib.suppress(SessionLostError):
            for mail in session.read(uids):
                assert mail.raw == by_uid[mail.uid], "M10: an old UID was read as another mail"
            session.delete(uids[:1])
        session.close()
        assert left_in(hands) == raws[1:], "M10: an old UID was used to delete another mail"
        again = opened()
        anew = again.open_folder("INBOX", writable=True)
        if status.uidvalidity is not None:
            assert anew.uidvalidity != status.uidvalidity, "M10: the new numbers look like the old"
        else:
            assert not set(listed(again)) & set(uids), "M10: a unique-id means another mail"

    def test_check_tells_of_new_mail(self, hands: MailboxHands, opened: _Open) -> None:
        """M13: from the moment that mail came until it is listed."""
        self.fill(hands, 1)
        session = opened()
        self.require(session, SessionFeature.KEEPS)
        known = listed(session)
        assert not session.check(), "M13: nothing came, and it says so every time"
        hands.deliver(sample(2))
        assert session.check(), "M13: a mail came, and check says no"
        session.stat(known)
        assert session.check(), "M13: a mail came and was not listed, and check says no"
        assert len(listed(session)) == len(known) + 1, "M13: the new mail is not listed"
        hands.deliver(sample(3))
        session.stat(known)
        assert session.check(), "M13: what another answer told is forgotten"
        assert len(listed(session)) == len(known) + 2, "M13: the newest mail is not listed"

    def test_check_on_a_session_that_keeps_nothing(
        self, hands: MailboxHands, opened: _Open
    ) -> None:
        """M13: where only a new session sees new mail, check always says that mail may be there."""
        del hands
        session = opened()
        if SessionFeature.KEEPS in session.features:
            pytest.skip("the session sees new mail itself")
        assert session.check(), "M13: a session that cannot see new mail says that there is none"
