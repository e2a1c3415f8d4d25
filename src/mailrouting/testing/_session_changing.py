"""Test what a session does to mail, and what it refuses: M2, M3, M6, M11, M12, M14."""

from collections.abc import Callable

import pytest

from mailrouting.errors import ConfigurationError, FolderNotFoundError, SessionLostError
from mailrouting.session import MailSession, SessionFeature
from mailrouting.testing._session_kit import (
    CutsConnections,
    FlagsMail,
    MailboxHands,
    SessionKit,
    check_hidden,
    command_count,
    left_in,
    listed,
    sample,
)

__all__ = ["ChangingObligations"]

_Open = Callable[..., MailSession]
_TARGET = "Kit & mehr: Größe"
_SPLITTING = ("1\r\nX1 DELETE INBOX", "1\nQUIT", "1:*", "a\0b", "")


class ChangingObligations(SessionKit):
    """Hold the session to what it promises about changing."""

    def test_only_named_mail_is_deleted(self, hands: MailboxHands, opened: _Open) -> None:
        """M2, M3: named mail is gone at the latest when the session is closed; the rest is there."""
        raws = self.fill(hands, 4)
        session = opened()
        uids = listed(session)
        assert session.delete([uids[2], uids[0]]) <= {uids[0], uids[2]}, (
            "M3: what was not named is said to be gone"
        )
        assert not set(listed(session)) & {uids[0], uids[2]}, "M3: what is deleted is still listed"
        session.close()
        assert left_in(hands) == [raws[1], raws[3]], "M2: other mail is gone than was named"

    def test_what_others_marked_survives(self, hands: MailboxHands, opened: _Open) -> None:
        r"""M2: mail that another client marked `\Deleted` outlives deleting, moving and closing."""
        if not isinstance(hands, FlagsMail):
            pytest.skip("the mailbox has no set_flag(): another client can mark nothing")
        raws = self.fill(hands, 4)
        session = opened()
        uids = listed(session)
        hands.set_flag(uids[0], r"\Deleted")
        session.delete([uids[1]])
        if SessionFeature.FOLDERS in session.features:
            session.ensure_folder(_TARGET)
            session.move([uids[2]], _TARGET)
        session.open_folder("INBOX", writable=True)
        session.close()
        assert raws[0] in [mail.raw for mail in hands.contents()], (
            "M2: mail that another client marked was destroyed"
        )

    def test_seen_is_what_carries_the_flag(self, hands: MailboxHands, opened: _Open) -> None:
        """M3: only mail that is there and is marked now is said to be seen; nothing else is."""
        self.fill(hands, 3)
        session = opened()
        self.require(session, SessionFeature.FLAGS)
        uids = listed(session)
        hands.remove(uids[0])
        assert session.mark_seen(uids[:2]) == {uids[1]}, (
            "M3: said to be seen is not what carries the flag"
        )
        seen = [r"\Seen" in mail.flags for mail in hands.contents()]
        assert seen == [True, False], "M2: other mail is marked than was named"

    def test_moved_is_what_is_gone(self, hands: MailboxHands, opened: _Open) -> None:
        """M2, M3: named mail is in the other folder, once; the rest is where it was."""
        raws = self.fill(hands, 4)
        session = opened()
        self.require(session, SessionFeature.FOLDERS)
        session.ensure_folder(_TARGET)
        uids = listed(session)
        assert session.move([uids[3], uids[1]], _TARGET) == {uids[1], uids[3]}, (
            "M3: said to be moved is not what was"
        )
        assert listed(session) == [uids[0], uids[2]], "M3: what was moved is still listed"
        session.close()
        assert left_in(hands) == [raws[0], raws[2]], "M2: other mail is gone than was named"
        assert sorted(left_in(hands, _TARGET)) == [raws[1], raws[3]], (
            "M3: what was moved is not in the other folder, each once"
        )

    def test_many_mails_are_moved(self, hands: MailboxHands, opened: _Open) -> None:
        """M3: many mails with gaps between their UIDs go with one call."""
        self.fill(hands, 30)
        session = opened()
        self.require(session, SessionFeature.FOLDERS)
        session.ensure_folder(_TARGET)
        uids = listed(session)
        assert session.move(uids[::2], _TARGET) == set(uids[::2]), "M3: some were not moved"
        assert listed(session) == uids[1::2], "M2: other mail is gone than was named"

    def test_no_secret_shows(self, hands: MailboxHands, opened: _Open) -> None:
        """M6: neither an open nor a closed session shows what logged it in."""
        session = opened()
        check_hidden(hands, [repr(session), str(session), repr(session.features)])
        session.close()
        check_hidden(hands, [repr(session), str(session)])

    def test_again_is_as_once(self, hands: MailboxHands, opened: _Open) -> None:
        """M11: deleting, marking, moving, creating and closing twice does no harm."""
        raws = self.fill(hands, 4)
        session = opened()
        uids = listed(session)
        if SessionFeature.FLAGS in session.features:
            for _ in range(2):
                assert session.mark_seen(uids[:1]) == {uids[0]}, "M11: marking again fails"
        if SessionFeature.FOLDERS in session.features:
            for _ in range(2):
                session.ensure_folder(_TARGET)
                session.ensure_folder("inbox")
            for _ in range(2):
                assert session.move([uids[1]], _TARGET) <= {uids[1]}, "M11: moving again fails"
            moved = left_in(hands, _TARGET)
            assert moved == [raws[1]], "M11: moving again made another copy"
        for _ in range(2):
            assert session.delete([uids[2]]) <= {uids[2]}, "M11: deleting again fails"
        session.close()
        session.close()
        left = left_in(hands)
        assert raws[0] in left, "M11: something else was changed"
        assert raws[3] in left, "M11: something else was changed"
        assert raws[2] not in left, "M11: what was deleted twice is there"

    def test_a_folder_open_for_reading_is_not_changed(
        self, hands: MailboxHands, opened: _Open
    ) -> None:
        """M12: without `writable` every change is refused, and nothing is different."""
        self.fill(hands, 2)
        session = opened(writable=False)
        before, uids = hands.contents(), listed(session)
        with self.refused(hands, "M12: a folder open for reading was changed by delete"):
            session.delete(uids)
        if SessionFeature.FLAGS in session.features:
            with self.refused(hands, "M12: a folder open for reading was changed by mark_seen"):
                session.mark_seen(uids)
        if SessionFeature.FOLDERS in session.features:
            with self.refused(hands, "M12: a folder open for reading was changed by move"):
                session.move(uids, "INBOX")
        session.close()
        assert hands.contents() == before, "M12: a folder open for reading was changed"

    def test_without_a_folder_nothing_is_done(self, hands: MailboxHands) -> None:
        """M12: what needs an open folder says that none is open."""
        self.fill(hands, 1)
        session = hands.open_session()
        calls: tuple[Callable[[], object], ...] = (
            lambda: list(session.list_uids()),
            lambda: session.stat(["1"]),
            lambda: list(session.read(["1"])),
            lambda: list(session.read_headers(["1"])),
            lambda: session.delete(["1"]),
            session.check,
        )
        before = command_count(hands)
        for call in calls:
            with self.refused(hands, "M12: it works without an open folder"):
                call()
        assert command_count(hands) == before, "M12: something was sent without an open folder"
        session.close()

    def test_what_cannot_be_done_is_refused(self, hands: MailboxHands, opened: _Open) -> None:
        """M12: what `features` do not name raises an error, and sends nothing."""
        self.fill(hands, 1)
        session = opened()
        uids, before = listed(session), command_count(hands)
        if {SessionFeature.FLAGS, SessionFeature.FOLDERS} <= session.features:
            pytest.skip("the session can do all of it")
        if SessionFeature.FLAGS not in session.features:
            with self.refused(hands, "M12: it marks mail though it has not FLAGS"):
                session.mark_seen(uids)
        if SessionFeature.FOLDERS not in session.features:
            with self.refused(hands, "M12: it moves mail though it has not FOLDERS"):
                session.move(uids, "INBOX")
            with self.refused(hands, "M12: it creates folders though it has not FOLDERS"):
                session.ensure_folder("Other")
        assert command_count(hands) == before, "M12: something was sent that cannot be done"

    @pytest.mark.parametrize("splitting", _SPLITTING)
    def test_no_name_carries_a_command(
        self, hands: MailboxHands, opened: _Open, splitting: str
    ) -> None:
        """M12: a UID or folder name with a line end, a NUL or a range in it is never sent."""
        self.fill(hands, 2)
        session = opened()
        contents, before = hands.contents(), command_count(hands)
        calls: list[Callable[[], object]] = [
            lambda: session.stat([splitting]),
            lambda: list(session.read([splitting])),
            lambda: list(session.read_headers([splitting])),
            lambda: session.delete([splitting]),
        ]
        if SessionFeature.FLAGS in session.features:
            calls.append(lambda: session.mark_seen([splitting]))
        if SessionFeature.FOLDERS in session.features:
            calls.append(lambda: session.move([splitting], "INBOX"))
        for call in calls:
            try:
                answer = call()
            except ConfigurationError:
                continue
            assert not (isinstance(answer, list | tuple) and answer), "M12: a mail has no such UID"
        if splitting != "1:*":
            with self.refused(hands, "M12: a folder's name carries a command"):
                session.open_folder(splitting, writable=False)
        assert command_count(hands) == before, "M12: a name that carries a command was sent"
        session.close()
        assert hands.contents() == contents, "M12: a name that carries a command changed mail"

    def test_a_refusal_changes_nothing(self, hands: MailboxHands, opened: _Open) -> None:
        """M14: after a clean refusal the mails are as they were, and the session goes on."""
        raws = self.fill(hands, 2)
        session = opened()
        uids = listed(session)
        if SessionFeature.FOLDERS in session.features:
            with pytest.raises(FolderNotFoundError) as caught:
                session.move(uids, "Kit nowhere")
            assert "INBOX" in caught.value.available, "M14: the error names no folder that exists"
            assert caught.value.hint, "M14: the error says not what to do"
        with pytest.raises(FolderNotFoundError):
            session.open_folder("Kit nowhere", writable=True)
        session.open_folder("INBOX", writable=True)
        assert [mail.raw for mail in session.read(uids)] == raws, "M14: the session does not go on"
        session.close()
        assert left_in(hands) == raws, "M14: a refusal changed something"

    def test_a_closed_session_is_lost(self, hands: MailboxHands, opened: _Open) -> None:
        """M14: after close every method says so, and nothing is done."""
        raws = self.fill(hands, 2)
        session = opened()
        uids = listed(session)
        session.close()
        self._is_lost(session, uids)
        assert left_in(hands) == raws, "M14: a closed session did something"

    def test_a_cut_connection_is_lost(self, hands: MailboxHands, opened: _Open) -> None:
        """M14: when the server hung up, the next call says so, and no call pretends."""
        if not isinstance(hands, CutsConnections):
            pytest.skip("the mailbox has no cut(): its server never hangs up")
        raws = self.fill(hands, 2)
        session = opened()
        uids = listed(session)
        hands.cut()
        self._is_lost(session, uids)
        session.close()
        assert left_in(hands) == raws, "M14: a lost session did something"
        hands.deliver(sample(3))
        assert listed(opened())[:2] == uids, "M14: a new session does not see what was there"

    @staticmethod
    def _is_lost(session: MailSession, uids: list[str]) -> None:
        calls: list[Callable[[], object]] = [
            lambda: list(session.read(uids)),
            lambda: session.stat(uids),
            lambda: list(session.list_uids()),
            lambda: list(session.read_headers(uids)),
            lambda: session.delete(uids),
            lambda: session.open_folder("INBOX", writable=True),
            session.check,
        ]
        for call in calls:
            with pytest.raises(SessionLostError) as caught:
                call()
            assert caught.value.retryable, "M14: a lost session may be opened anew"
