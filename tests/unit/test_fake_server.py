"""The fake mail server by itself: what it holds, what it records, and POP3's ways."""

import threading
from datetime import UTC, datetime

import attrs
import pytest

from mailrouting.auth import MailProtocol
from mailrouting.errors import (
    ConfigurationError,
    ConnectError,
    FolderNotFoundError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
)
from mailrouting.testing.loopback import LoopbackImap
from mailrouting.testing.server import CommandRecord, FakeMailServer

USER = "help@example.org"


@pytest.fixture
def server():
    """Return a server with one mailbox."""
    fake = FakeMailServer()
    fake.add_mailbox(
        USER, password="secret-marker", folders=("Done",), addresses=("sales@x.example",)
    )
    return fake


def pop3(server):
    """Open the mailbox by POP3."""
    session = server.open_mailbox(USER, protocol=MailProtocol.POP3)
    session.open_folder("INBOX", writable=True)
    return session


def listed(session):
    """Return all UIDs."""
    return [uid for window in session.list_uids() for uid in window]


def test_delivered_mail_is_there_at_once(server):
    """Mail comes by user name or address, with rising UIDs and times, as frozen values."""
    first = server.deliver(b"one", to=USER)
    second = server.deliver(b"two", to="sales@x.example", flags=[r"\Flagged"])
    server.deliver(b"three", to=USER, folder="Done", received_at=datetime(2020, 1, 1, tzinfo=UTC))
    mails = server.mails(USER)
    assert [(found.uid, found.raw) for found in mails] == [(first, b"one"), (second, b"two")]
    assert mails[0].received_at < mails[1].received_at
    assert mails[1].flags == {r"\Flagged"}
    assert server.mails(USER, "Done")[0].received_at.year == 2020
    assert server.folders(USER) == ("INBOX", "Done")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        mails[0].raw = b""


def test_the_clock_is_the_tests_own():
    """With a clock, mail arrives when it says."""
    when = datetime(2031, 5, 1, tzinfo=UTC)
    server = FakeMailServer(clock=lambda: when)
    server.add_mailbox(USER)
    server.deliver(b"", to=USER)
    assert server.mails(USER)[0].received_at == when


def test_mistakes_of_a_test_are_told(server):
    """Unknown names say what there is, and a mailbox is added once."""
    for mistake in (
        lambda: server.deliver(b"", to="nobody"),
        lambda: server.deliver(b"", to=USER, folder="Nowhere"),
        lambda: server.mails("nobody"),
        lambda: server.add_mailbox(USER),
        server.drop_connection,
        lambda: server.drop_connection(before="FETCH", after="FETCH"),
    ):
        with pytest.raises(ConfigurationError):
            mistake()


def test_every_repr_says_what_it_holds(server):
    """Reprs count things, and show neither mail nor secret."""
    server.deliver(b"body-marker", to=USER)
    session = server.open_mailbox(USER)
    assert repr(server) == "<FakeMailServer: 1 mailbox, 1 mail, 1 open session>"
    assert repr(session) == f"<FakeSession 1 of {USER}: no folder open>"
    session.open_folder("INBOX", writable=True)
    assert "INBOX" in repr(session)
    session.close()
    assert "closed" in repr(session)
    server.go_offline()
    assert "0 open sessions, offline" in repr(server)
    loopback = LoopbackImap(server)
    assert "stopped" in repr(loopback)
    with loopback:
        assert f"port {loopback.port}" in repr(loopback)
    shown = f"{server.mails(USER)} {server.commands} {server.state.mailboxes}"
    assert "body-marker" not in shown
    assert "secret-marker" not in shown


def test_commands_are_recorded_in_order(server):
    """Each is a frozen value with session, verb and arguments."""
    uid = server.deliver(b"x", to=USER)
    session = server.open_mailbox(USER)
    session.open_folder("INBOX", writable=True)
    session.move([uid], "Done")
    session.close()
    assert server.commands == (
        CommandRecord(session=1, verb="LOGIN", arguments=(USER,)),
        CommandRecord(session=1, verb="SELECT", arguments=("INBOX",)),
        CommandRecord(session=1, verb="MOVE", arguments=("1", "Done")),
        CommandRecord(session=1, verb="LOGOUT", arguments=()),
    )
    server.forget_commands()
    assert server.commands == ()


def test_a_fault_strikes_the_nth_command(server):
    """Faults count only their own verb, and strike as often as told."""
    server.deliver(b"x", to=USER)
    server.answer_no("FETCH", "LIMIT", nth=2, times=2)
    session = server.open_mailbox(USER)
    session.open_folder("INBOX", writable=True)
    answers = []
    for _ in range(4):
        try:
            answers.append(len(session.stat(["1"])))
        except SessionError as error:
            answers.append(error.response_code)
    assert answers == [1, "LIMIT", "LIMIT", 1]


def test_going_offline_ends_open_sessions(server):
    """A session that was open is lost; closing it does not raise."""
    session = server.open_mailbox(USER)
    server.go_offline()
    with pytest.raises(SessionLostError):
        session.open_folder("INBOX", writable=True)
    session.close()
    other = FakeMailServer()
    other.add_mailbox(USER)
    kept = other.open_mailbox(USER)
    other.go_offline()
    kept.close()


def test_a_large_folder_comes_in_windows(server):
    """As on a real server, listing needs several windows."""
    uids = [server.deliver(b"", to=USER) for _ in range(1200)]
    session = server.open_mailbox(USER)
    session.open_folder("INBOX", writable=True)
    windows = list(session.list_uids())
    assert len(windows) > 1
    assert listed(session) == uids


def test_without_uidplus_deleted_mail_is_only_marked():
    """It stays for others to expunge, and is not listed any more."""
    server = FakeMailServer(without=["uidplus"])
    server.add_mailbox(USER)
    uid = server.deliver(b"", to=USER)
    session = server.open_mailbox(USER)
    session.open_folder("INBOX", writable=True)
    assert session.delete([uid]) == {uid}
    assert listed(session) == []
    assert server.mails(USER)[0].flags == {r"\Deleted"}


def test_pop3_has_one_folder_and_no_flags(server):
    """No UIDVALIDITY, no features, no other folders, and each mail ends with a line end."""
    server.deliver(b"abc", to=USER, flags=[r"\Seen"])
    session = server.open_mailbox(USER, protocol=MailProtocol.POP3)
    status = session.open_folder("INBOX", writable=True)
    assert (status.uidvalidity, status.uidnext, status.messages) == (None, None, 1)
    assert session.features == frozenset()
    (info,) = session.stat(listed(session))
    assert (info.size, info.received_at, info.flags) == (5, None, frozenset())
    with pytest.raises(FolderNotFoundError) as caught:
        session.open_folder("Done", writable=True)
    assert caught.value.available == ("INBOX",)
    for call in (
        lambda: session.mark_seen(["1"]),
        lambda: session.move(["1"], "Done"),
        lambda: session.ensure_folder("New"),
    ):
        with pytest.raises(SessionError, match="POP3"):
            call()


def test_pop3_deletes_when_the_session_is_closed(server):
    """DELE is a wish until QUIT; a lost connection forgets it."""
    for number in range(3):
        server.deliver(b"%d" % number, to=USER)
    lost = pop3(server)
    uids = listed(lost)
    assert lost.delete(uids[:1]) == set(uids[:1])
    assert listed(lost) == uids[1:]
    server.drop_connection(before="QUIT")
    lost.close()
    assert len(server.mails(USER)) == 3
    session = pop3(server)
    assert session.delete([*uids[:2], "unknown"]) == {*uids[:2], "unknown"}
    assert len(server.mails(USER)) == 3
    session.close()
    assert [found.unique_id for found in server.mails(USER)] == uids[2:]


def test_pop3_unique_ids_change_with_the_generation(server):
    """As on Dovecot they are made of UIDVALIDITY and UID."""
    server.deliver(b"x", to=USER)
    before = listed(pop3(server))
    assert before == [server.mails(USER)[0].unique_id]
    (found,) = pop3(server).read(before)
    assert (found.uid, found.raw, found.received_at) == (before[0], b"x\r\n", None)
    server.roll_uidvalidity(USER)
    assert listed(pop3(server)) != before
    assert list(pop3(server).read(before)) == []


def test_pop3_mails_with_one_unique_id_are_named_by_content(server):
    """Equal ones are one mail and go together; a different one is a mail of its own."""
    uids = [server.deliver(raw, to=USER) for raw in (b"a\r\n", b"b\r\n", b"a\r\n", b"c\r\n")]
    server.share_unique_id(USER, *uids[:3])
    session = pop3(server)
    names = listed(session)
    assert [mail.raw for mail in session.read(names)] == [b"a\r\n", b"b\r\n", b"c\r\n"]
    assert [info.uid for info in session.stat(names)] == names == listed(pop3(server))
    session.delete(names[:1])
    session.close()
    assert [mail.raw for mail in server.mails(USER)] == [b"b\r\n", b"c\r\n"]


def test_pop3_without_unique_ids_only_empties_a_mailbox():
    """To read only is a configuration error; to delete is possible, by content."""
    server = FakeMailServer(without=("UIDL",))
    server.add_mailbox(USER)
    server.deliver(b"a\r\n", to=USER)
    session = server.open_mailbox(USER, protocol=MailProtocol.POP3)
    with pytest.raises(ConfigurationError, match="UIDL"):
        session.open_folder("INBOX", writable=False)
    session.open_folder("INBOX", writable=True)
    ((uid,),) = session.list_uids()
    assert [mail.raw for mail in session.read([uid])] == [b"a\r\n"]


@pytest.mark.parametrize("protocol", [MailProtocol.IMAP, MailProtocol.POP3])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [("answer_garbage", PeerProtocolError), ("go_silent", SessionLostError)],
)
def test_garbage_and_silence_end_a_session(server, protocol, fault, expected):
    """Once, at the command that was named, and at the login with the error of a login."""
    uid = server.deliver(b"a\r\n", to=USER)
    verb = {MailProtocol.IMAP: "FETCH", MailProtocol.POP3: "RETR"}[protocol]
    getattr(server, fault)(verb)
    session = server.open_mailbox(USER, protocol=protocol)
    session.open_folder("INBOX", writable=False)
    (uids,) = session.list_uids()
    with pytest.raises(expected):
        list(session.read(uids))
    with pytest.raises(SessionLostError):
        session.check()
    getattr(server, fault)("LOGIN")
    with pytest.raises({SessionLostError: ConnectError}.get(expected, expected)):
        server.open_mailbox(USER, protocol=protocol)
    assert server.mails(USER)[0].uid == uid
    assert server.state.open_sessions == set()


def test_many_threads_may_use_one_server(server):
    """UIDs stay unique, and each mail is moved once, whoever asks."""

    def work():
        for _ in range(50):
            server.deliver(b"x", to=USER)
        session = server.open_mailbox(USER)
        session.open_folder("INBOX", writable=True)
        session.move(listed(session), "Done")
        session.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.mails(USER)) + len(server.mails(USER, "Done")) == 400
    uids = [int(found.uid) for found in server.mails(USER, "Done")]
    assert uids == sorted(set(uids))
