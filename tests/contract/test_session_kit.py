"""The session kit catches what it is there to catch: a planted defect for each obligation."""

import inspect

import attrs
import pytest

from mailrouting.auth import MailProtocol
from mailrouting.errors import SessionLostError
from mailrouting.testing.conformance import SessionConformance


class Twin:
    """A sound session, until a subclass plants a defect."""

    def __init__(self, session, hands):
        self.session, self.hands = session, hands

    def __getattr__(self, name):
        return getattr(self.session, name)


class ReadsMarkSeen(Twin):
    """Reading is `BODY[]`, not `BODY.PEEK[]`."""

    def read(self, uids):
        for mail in self.session.read(uids):
            self.hands.set_flag(mail.uid, r"\Seen")
            yield mail


class ClosesWithClose(Twin):
    """Leaving is CLOSE, which expunges what anybody marked."""

    def close(self):
        for mail in self.hands.server.mails("help@example.org"):
            if r"\Deleted" in mail.flags:
                self.hands.remove(mail.uid)
        self.session.close()


class DeletesAll(Twin):
    """A plain EXPUNGE takes the neighbour along."""

    def delete(self, uids):
        return self.session.delete(uids) and self.session.delete(
            [uid for window in self.session.list_uids() for uid in window][:1]
        )


class BelievesOk(Twin):
    """What was named is said to be seen, whether it is there or not."""

    def mark_seen(self, uids):
        self.session.mark_seen(uids)
        return frozenset(uids)


class CopiesInsteadOfMoving(Twin):
    """The copy arrives and the mail stays."""

    def move(self, uids, folder):
        kept = {mail.uid: mail.raw for mail in self.session.read(uids)}
        gone = self.session.move(uids, folder)
        for raw in kept.values():
            self.hands.deliver(raw)
        return gone


class MovesNothing(Twin):
    """An OK that did nothing is taken for done."""

    def move(self, uids, folder):
        return frozenset(uids)


class FailsOnTheVanished(Twin):
    """A mail that is gone is an error."""

    def stat(self, uids):
        infos = self.session.stat(uids)
        if len(infos) < len(set(uids)):
            raise SessionLostError("a mail is missing")
        return infos


class ReadsIntoTheVoid(Twin):
    """A mail that is gone is read as an empty one."""

    def read(self, uids):
        found = {mail.uid: mail for mail in self.session.read(uids)}
        for uid in dict.fromkeys(uids):
            yield found.get(uid) or attrs.evolve(next(iter(found.values())), uid=uid, raw=b"")


class SharesOneReading(Twin):
    """A second reading ends the first."""

    def read(self, uids):
        self.reading = self.session.read(uids)
        while (mail := next(self.reading, None)) is not None:
            yield mail


class ReadsOnAnywhere(Twin):
    """A reading goes on in whatever folder is open."""

    def read(self, uids):
        for uid in dict.fromkeys(uids):
            yield from list(self.session.read([uid]))


class ShowsItsSecret(Twin):
    """The password is in its repr."""

    def __repr__(self):
        return f"<session {self.hands.secret}>"


class LeaksTheLibrary(Twin):
    """An error of Python's own gets out."""

    def delete(self, uids):
        try:
            return self.session.delete(uids)
        except Exception as error:
            raise OSError("refused") from error


class ListsTheLastTwice(Twin):
    """The list is `n:*`, which always has the last mail."""

    def list_uids(self):
        window = ()
        for window in self.session.list_uids():
            yield window
        if window:
            yield window[-1:]


class ListsEmptyWindows(Twin):
    """A window without mail is yielded."""

    def list_uids(self):
        yield from self.session.list_uids()
        yield ()


class ListsDeleted(Twin):
    """Mail that others marked deleted is offered."""

    def list_uids(self):
        mails = self.hands.server.mails("help@example.org")
        yield tuple(mail.uid for mail in mails)


class SortsAnswers(Twin):
    """Answers come in the server's order."""

    def stat(self, uids):
        return tuple(sorted(self.session.stat(uids), key=lambda info: int(info.uid)))


class AsksForNothing(Twin):
    """An empty question costs a round trip."""

    def stat(self, uids):
        self.session.check()
        return self.session.stat(uids)


class Undots(Twin):
    """A line that begins with a dot loses it."""

    def read(self, uids):
        for mail in self.session.read(uids):
            yield attrs.evolve(mail, raw=mail.raw.replace(b"\r\n..", b"\r\n."))


class CutsAtAMegabyte(Twin):
    """Only the first part of a large mail is read."""

    def read(self, uids):
        for mail in self.session.read(uids):
            yield attrs.evolve(mail, raw=mail.raw[: 1024 * 1024])


class HeadersWithoutTheirEnd(Twin):
    """The empty line is left out."""

    def read_headers(self, uids):
        for uid, header in self.session.read_headers(uids):
            yield uid, header.removesuffix(b"\r\n")


class CountsFromOne(Twin):
    """UIDs are sequence numbers."""

    def list_uids(self):
        self.names = [uid for window in self.session.list_uids() for uid in window]
        if self.names:
            yield tuple(str(number) for number in range(1, len(self.names) + 1))

    def read(self, uids):
        for uid in uids:
            for mail in self.session.read([self.names[int(uid) - 1]]):
                yield attrs.evolve(mail, uid=uid)


class IgnoresUidvalidity(Twin):
    """UIDVALIDITY is told as it was for ever."""

    def open_folder(self, folder, *, writable):
        status = self.session.open_folder(folder, writable=writable)
        return attrs.evolve(status, uidvalidity=7)


class CreatesAgain(Twin):
    """A folder that exists is an error."""

    def ensure_folder(self, folder):
        if folder in self.hands.server.folders("help@example.org"):
            raise SessionLostError("it exists")
        self.session.ensure_folder(folder)


class OpensForWriting(Twin):
    """A folder is always open for writing."""

    def open_folder(self, folder, *, writable):
        status = self.session.open_folder(folder, writable=True)
        return attrs.evolve(status, writable=writable)


class TakesRanges(Twin):
    """A range is taken for UIDs."""

    def delete(self, uids):
        if "1:*" in uids:
            uids = [uid for window in self.session.list_uids() for uid in window]
        return self.session.delete(uids)


class PretendsToMove(Twin):
    """POP3 says yes to what it cannot do."""

    def move(self, uids, folder):
        return frozenset()


class NeverHearsOfMail(Twin):
    """NOOP's answer is thrown away."""

    def check(self):
        self.session.check()
        return False


class AlwaysHearsOfMail(Twin):
    """Every NOOP leads to another listing."""

    def check(self):
        return self.session.check() or True


class DiesOfANo(Twin):
    """A clean refusal ends the session."""

    def open_folder(self, folder, *, writable):
        try:
            return self.session.open_folder(folder, writable=writable)
        except LookupError:
            self.session.close()
            raise


class SurvivesItsEnd(Twin):
    """After the end answers come from memory."""

    def stat(self, uids):
        try:
            self.told = self.session.stat(uids)
        except SessionLostError:
            return ()
        return self.told


CAUGHT = [
    ("M1", ReadsMarkSeen, "test_looking_changes_nothing"),
    ("M2", ClosesWithClose, "test_what_others_marked_survives"),
    ("M2", DeletesAll, "test_only_named_mail_is_deleted"),
    ("M3", BelievesOk, "test_seen_is_what_carries_the_flag"),
    ("M3", CopiesInsteadOfMoving, "test_moved_is_what_is_gone"),
    ("M3", MovesNothing, "test_moved_is_what_is_gone"),
    ("M3", MovesNothing, "test_many_mails_are_moved"),
    ("M4", FailsOnTheVanished, "test_the_vanished_is_left_out"),
    ("M4", ReadsIntoTheVoid, "test_the_vanished_is_left_out"),
    ("M5", SharesOneReading, "test_answers_may_be_left"),
    ("M5", ReadsOnAnywhere, "test_no_reading_goes_on_in_another_folder"),
    ("M6", ShowsItsSecret, "test_no_secret_shows"),
    ("M6", LeaksTheLibrary, "test_a_folder_open_for_reading_is_not_changed"),
    ("M7", ListsTheLastTwice, "test_every_mail_is_listed_once"),
    ("M7", ListsEmptyWindows, "test_an_empty_folder_lists_nothing"),
    ("M7", ListsDeleted, "test_deleted_mail_is_not_listed"),
    ("M8", SortsAnswers, "test_the_order_asked_for_is_kept"),
    ("M8", AsksForNothing, "test_nothing_asked_is_nothing_answered"),
    ("M9", Undots, "test_every_octet_is_read"),
    ("M9", CutsAtAMegabyte, "test_large_mail_is_read_whole"),
    ("M9", HeadersWithoutTheirEnd, "test_headers_are_the_beginning_of_the_mail"),
    ("M10", CountsFromOne, "test_a_uid_lasts"),
    ("M10", IgnoresUidvalidity, "test_a_renumbered_folder"),
    ("M11", CreatesAgain, "test_again_is_as_once"),
    ("M12", OpensForWriting, "test_a_folder_open_for_reading_is_not_changed"),
    ("M12", TakesRanges, "test_no_name_carries_a_command"),
    ("M12", PretendsToMove, "test_what_cannot_be_done_is_refused"),
    ("M13", NeverHearsOfMail, "test_check_tells_of_new_mail"),
    ("M13", AlwaysHearsOfMail, "test_check_tells_of_new_mail"),
    ("M13", NeverHearsOfMail, "test_check_on_a_session_that_keeps_nothing"),
    ("M14", DiesOfANo, "test_a_refusal_changes_nothing"),
    ("M14", SurvivesItsEnd, "test_a_cut_connection_is_lost"),
    ("M14", SurvivesItsEnd, "test_a_closed_session_is_lost"),
]
ON_POP3 = {"test_what_cannot_be_done_is_refused", "test_check_on_a_session_that_keeps_nothing"}
"""Tests of what a session lacks."""


def run(twin, name, hands_class):
    """Run one test of the kit as an author's test class would, with every of its parameters."""
    test = getattr(SessionConformance, name)
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for values in marks[0].args[1] if marks else [None]:
        protocol = MailProtocol.POP3 if name in ON_POP3 else MailProtocol.IMAP
        hands = hands_class(protocol=protocol)
        sessions = []

        def open_inbox(*, writable=True, hands=hands, sessions=sessions):
            sessions.append(hands.open_session())
            sessions[-1].open_folder("INBOX", writable=writable)
            return sessions[-1]

        sound = hands.open_session
        hands.open_session = lambda sound=sound, hands=hands: twin(sound(), hands)
        arguments = {"hands": hands, "opened": open_inbox}
        if marks:
            arguments[marks[0].args[0]] = values
        wanted = inspect.signature(test).parameters
        test(Kit(), **{key: value for key, value in arguments.items() if key in wanted})
        for session in sessions:
            session.close()


class Kit(SessionConformance):
    """The kit as an author has it, collected by nobody."""

    __test__ = False

    def mailbox(self, fresh_dir):
        raise AssertionError("tests get their hands by argument here")


@pytest.mark.parametrize(
    ("obligation", "twin", "name"), CAUGHT, ids=[f"{row[1].__name__}-{row[2]}" for row in CAUGHT]
)
def test_a_planted_defect_is_caught(obligation, twin, name, fake_hands):
    """Each planted defect fails the test that is there for it, which names the obligation."""
    with pytest.raises((AssertionError, pytest.fail.Exception, SessionLostError)) as caught:
        run(twin, name, fake_hands)
    assert obligation in f"{getattr(SessionConformance, name).__doc__} {caught.value}"


@pytest.mark.parametrize("name", sorted({row[2] for row in CAUGHT}))
def test_a_sound_session_passes_the_same_way(name, fake_hands):
    """The same tests, run the same way, pass with the session that has no defect."""
    run(Twin, name, fake_hands)


def test_every_obligation_has_its_twin_and_every_test_an_obligation():
    """No number without a planted defect, and no test of the kit without a number."""
    assert {row[0] for row in CAUGHT} == {f"M{number}" for number in range(1, 15)}
    for name, test in inspect.getmembers(SessionConformance, inspect.isfunction):
        if name.startswith("test_"):
            assert test.__doc__.startswith("M"), name


def test_a_missing_hook_is_one_error():
    """A class without the hook is refused when it is made; the error says what to write."""
    with pytest.raises(TypeError, match=r"(?s)TestMine must say.*def mailbox\(self, fresh_dir\)"):
        type("TestMine", (SessionConformance,), {})


def test_an_overridden_test_is_refused():
    """A test of the kit cannot be overridden; the error says what to write instead."""
    members = {"mailbox": lambda self, folder: None, "test_no_secret_shows": lambda self: None}
    with pytest.raises(TypeError, match=r'known_gaps = \{"test_no_secret_shows"'):
        type("TestMine", (SessionConformance,), members)


def test_a_known_gap_is_strict():
    """A known gap becomes a strict xfail with its reason; one that names no test is refused."""
    members = {"mailbox": lambda self, folder: None}
    kit = type(
        "TestMine",
        (SessionConformance,),
        members | {"known_gaps": {"test_no_secret_shows": "issue 12"}},
    )
    marks = {mark.name: mark for mark in kit.test_no_secret_shows.pytestmark}
    assert marks["xfail"].kwargs == {"strict": True, "reason": "issue 12"}
    with pytest.raises(TypeError, match="test_nothing"):
        type("TestMine", (SessionConformance,), members | {"known_gaps": {"test_nothing": ""}})


class HandsOnly:
    """Hands without any of the abilities that are small protocols."""

    def __init__(self, hands):
        for name in ("secret", "open_session", "deliver", "remove", "contents"):
            setattr(self, name, getattr(hands, name))


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("test_deleted_mail_is_not_listed", "set_flag"),
        ("test_what_others_marked_survives", "set_flag"),
        ("test_a_renumbered_folder", "renumber"),
        ("test_a_cut_connection_is_lost", "cut"),
    ],
)
def test_a_skip_names_the_ability(name, missing, fake_hands):
    """A test that needs more hands than there are is skipped, and says which."""
    with pytest.raises(pytest.skip.Exception, match=missing):
        run(Twin, name, lambda protocol: HandsOnly(fake_hands(protocol=protocol)))
