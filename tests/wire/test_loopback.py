"""The loopback server's IMAP, as another client sees it: the standard library's."""

import imaplib
import socket
import ssl
import threading
from functools import partial

import pytest
import trustme

from mailrouting.testing.loopback import LoopbackImap
from mailrouting.testing.server import FakeMailServer

USER = "help@example.org"
RAW = b"Subject: x\r\n\r\nbody of a mail\r\n"


@pytest.fixture
def server():
    """Return a server with three mails."""
    fake = FakeMailServer()
    fake.add_mailbox(USER, password="pw", folders=("Done", "Größe"))
    for _ in range(3):
        fake.deliver(RAW, to=USER)
    return fake


@pytest.fixture
def client(server):
    """Return a client that is logged in."""
    with LoopbackImap(server) as imap, imaplib.IMAP4(imap.host, imap.port, timeout=10) as opened:
        opened.login(USER, "pw")
        yield opened


def test_outside_its_block_it_has_no_port(server):
    """A port that nobody listens on is not told."""
    imap = LoopbackImap(server)
    for ask in (lambda: imap.port, lambda: imap.endpoint):
        with pytest.raises(RuntimeError, match="with block"):
            ask()


def test_body_marks_seen_and_peek_does_not(server, client):
    """The difference that the library must never get wrong is there to be seen."""
    client.select("INBOX")
    assert client.uid("FETCH", "1", "(BODY.PEEK[])")[1][0][1] == RAW
    assert client.uid("FETCH", "2", "(BODY[])")[1][0][1] == RAW
    assert [sorted(mail.flags) for mail in server.mails(USER)] == [[], [r"\Seen"], []]


def test_a_part_has_its_origin(client):
    """Partial fetches are cut as asked."""
    client.select("INBOX", readonly=True)
    answer = client.uid("FETCH", "1", "(BODY.PEEK[]<9.4>)")[1][0]
    assert b"BODY[]<9>" in answer[0]
    assert answer[1] == RAW[9:13]


def test_flags_are_stored_and_told(server, client):
    """STORE adds and removes, tells the result, and on EXAMINE does nothing at all."""
    client.select("INBOX")
    assert b"Flagged" in client.uid("STORE", "1:2", "+FLAGS", r"(\Flagged \Seen)")[1][0]
    client.uid("STORE", "2", "-FLAGS.SILENT", r"(\Seen)")
    client.select("INBOX", readonly=True)
    assert client.uid("STORE", "3", "+FLAGS", r"(\Seen)") == ("OK", [None])
    flags = [sorted(mail.flags) for mail in server.mails(USER)]
    assert flags == [[r"\Flagged", r"\Seen"], [r"\Flagged"], []]


def test_search_knows_the_criteria_that_clients_use(client):
    """ALL, UNSEEN, UID and sequence numbers."""
    client.select("INBOX")
    client.uid("STORE", "1", "+FLAGS", r"(\Seen)")
    found = [
        client.uid("SEARCH", *criteria)[1][0].split()
        for criteria in (["ALL"], ["UNSEEN"], ["UID", "2:*"], ["1:2", "UNSEEN"])
    ]
    assert found == [[b"1", b"2", b"3"], [b"2", b"3"], [b"2", b"3"], [b"2"]]


def test_expunge_takes_only_what_is_marked(server, client):
    """UID EXPUNGE of an unmarked mail leaves it; the client is told the sequence number."""
    client.select("INBOX")
    client.uid("STORE", "2", "+FLAGS", r"(\Deleted)")
    client.uid("EXPUNGE", "1:3")
    assert [mail.uid for mail in server.mails(USER)] == ["1", "3"]
    assert client.untagged_responses["EXPUNGE"] == [b"2"]


def test_folders_are_listed_and_told(client):
    """LIST knows wildcards and modified UTF-7, STATUS the numbers, CREATE what exists."""
    names = [line.split()[-1] for line in client.list()[1]]
    assert names == [b'"INBOX"', b'"Done"', b'"Gr&APYA3w-e"']
    assert len(client.list('""', "D%")[1]) == 1
    assert b"MESSAGES 3 UIDNEXT 4" in client.status("INBOX", "(MESSAGES UIDNEXT)")[1][0]
    status, text = client.create("Done")
    assert (status, b"ALREADYEXISTS" in text[0]) == ("NO", True)
    assert client.status("Nowhere", "(MESSAGES)")[0] == "NO"


def test_a_read_only_folder_refuses_to_move(server, client):
    """MOVE needs the right to change the folder."""
    client.select("INBOX", readonly=True)
    status, text = client._simple_command("UID", "MOVE", "1", "Done")
    assert (status, b"READ-ONLY" in text[0]) == ("NO", True)
    assert len(server.mails(USER)) == 3


def say(sock, lines, command):
    """Send a command as it is; return the tagged answer."""
    sock.sendall(f"a {command}\r\n".encode())
    return next(line for line in lines if line.startswith(b"a ")).decode()


def test_what_it_does_not_know_is_bad(server):
    """Unknown commands, wrong arguments and commands of another state are answered with BAD."""
    with (
        LoopbackImap(server) as imap,
        socket.create_connection((imap.host, imap.port), timeout=10) as sock,
        sock.makefile("rb") as lines,
    ):
        answer = partial(say, sock, lines)
        assert answer("SELECT INBOX").startswith("a BAD")
        assert answer(f"LOGIN {USER} pw").startswith("a OK")
        for command in ("UID SEARCH ALL", "UID THREAD X", "XATOM", "SELECT", "LOGIN a b", ""):
            assert answer(command).startswith("a BAD"), command
        assert answer("SELECT INBOX").startswith("a OK")
        for command in (
            "UID FETCH x:y (FLAGS)",
            "UID FETCH 1 (BODYSTRUCTURE)",
            "FETCH 1 (FLAGS)",
            "EXPUNGE",
            "STARTTLS",
        ):
            assert answer(command).startswith("a BAD"), command
        for command in ("NOOP", "ID NIL", "CAPABILITY", "UNSELECT", "LOGOUT"):
            assert answer(command).startswith("a OK"), command


def test_extensions_that_are_left_out_are_bad():
    """A server without MOVE and UIDPLUS does not know the commands either."""
    server = FakeMailServer(without=("MOVE", "UIDPLUS"))
    server.add_mailbox(USER, password="pw", folders=("Done",))
    with LoopbackImap(server) as imap, imaplib.IMAP4(imap.host, imap.port, timeout=10) as client:
        client.login(USER, "pw")
        client.select("INBOX")
        for command in (("UID", "MOVE", "1", "Done"), ("UID", "EXPUNGE", "1")):
            with pytest.raises(imaplib.IMAP4.error, match="BAD"):
                client.xatom(*command)


def test_logins_are_judged(server):
    """Wrong passwords, cancelled exchanges, odd responses and unknown mechanisms are refused."""
    with LoopbackImap(server) as imap, imaplib.IMAP4(imap.host, imap.port, timeout=10) as client:
        for attempt in (
            lambda: client.login(USER, "wrong"),
            lambda: client.login("nobody", "pw"),
            lambda: client.authenticate("PLAIN", lambda _: None),
            lambda: client.authenticate("PLAIN", lambda _: b"one field"),
            lambda: client.authenticate("XOAUTH2", lambda _: b"neither user nor token"),
            lambda: client.authenticate("SCRAM-SHA-256", lambda _: b""),
            lambda: client.xatom("AUTHENTICATE", "PLAIN", "not-base64!"),
            lambda: client.xatom("STARTTLS"),
        ):
            with pytest.raises(imaplib.IMAP4.error):
                attempt()
        assert client.login(f"{USER}", "pw")[0] == "OK"


def test_no_login_before_starttls(server):
    """A server that waits for STARTTLS refuses LOGIN, and says so in its capabilities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with (
        LoopbackImap(server, tls=context, starttls=True) as imap,
        imaplib.IMAP4(imap.host, imap.port, timeout=10) as client,
    ):
        assert {"LOGINDISABLED", "STARTTLS"} <= set(client.capabilities)
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login(USER, "pw")


def test_literals_are_read(server):
    """Names and passwords may come as literals, with and without waiting."""
    with (
        LoopbackImap(server) as imap,
        socket.create_connection((imap.host, imap.port), timeout=10) as sock,
        sock.makefile("rb") as lines,
    ):
        lines.readline()
        sock.sendall(b"a LOGIN {16}\r\n")
        assert lines.readline().startswith(b"+ ")
        sock.sendall(USER.encode() + b" {2+}\r\npw\r\n")
        assert lines.readline().startswith(b"a OK")


def test_a_dropped_connection_ends_in_the_middle(server):
    """The client gets half of the answer: the worst place to end."""
    server.drop_connection(after="FETCH")
    with LoopbackImap(server) as imap:
        client = imaplib.IMAP4(imap.host, imap.port, timeout=10)
        client.login(USER, "pw")
        client.select("INBOX")
        with pytest.raises(imaplib.IMAP4.abort, match=r"EOF|unterminated"):
            client.uid("FETCH", "1:3", "(BODY.PEEK[])")
        client.shutdown()


def test_leaving_the_block_ends_every_thread(server):
    """Clients that still wait are cut off, and no thread is left."""
    before = threading.active_count()
    with LoopbackImap(server) as imap:
        clients = [imaplib.IMAP4(imap.host, imap.port, timeout=10) for _ in range(3)]
        assert threading.active_count() > before
    assert threading.active_count() == before
    for client in clients:
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.noop()
        client.shutdown()
