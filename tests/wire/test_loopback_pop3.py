"""The loopback server's POP3, as another client sees it: the standard library's."""

import poplib
import socket

import pytest

from mailrouting.testing.loopback import LoopbackPop3
from mailrouting.testing.server import FakeMailServer

USER = "help@example.org"
RAW = b"Subject: x\r\n\r\n.body of a mail\r\nand more\r\n"


@pytest.fixture
def server():
    """Return a server with three mails, the last without a line end."""
    fake = FakeMailServer()
    fake.add_mailbox(USER, password="p w")
    for raw in (RAW, RAW, RAW[:-2]):
        fake.deliver(raw, to=USER)
    return fake


@pytest.fixture
def pop3(server):
    """Return its face."""
    with LoopbackPop3(server) as face:
        yield face


@pytest.fixture
def client(pop3):
    """Return a client that is logged in."""
    opened = poplib.POP3(pop3.host, pop3.port, timeout=10)
    opened.user(USER)
    opened.pass_("p w")
    yield opened
    opened.close()


def test_it_tells_what_it_can(pop3):
    """CAPA names commands, extensions and mechanisms, until the login."""
    opened = poplib.POP3(pop3.host, pop3.port, timeout=10)
    told = opened.capa()
    assert told["SASL"] == ["PLAIN", "XOAUTH2", "OAUTHBEARER"]
    assert {"USER", "UIDL", "TOP", "PIPELINING", "RESP-CODES"} <= set(told)
    opened.user(USER)
    opened.pass_("p w")
    assert "SASL" not in opened.capa()
    opened.quit()


def test_mails_are_listed_and_read(client):
    """Numbers from 1, sizes as sent, unique-ids, and dots doubled on the way."""
    assert client.stat() == (3, 3 * len(RAW))
    assert client.list()[1] == [b"%d %d" % (number, len(RAW)) for number in (1, 2, 3)]
    assert client.list(2) == b"+OK 2 %d" % len(RAW)
    assert client.uidl(3).split()[2] == client.uidl()[1][2].split()[1]
    assert len({line.split()[1] for line in client.uidl()[1]}) == 3
    assert client.retr(3)[1] == RAW.splitlines()
    assert client.top(1, 0)[1] == [b"Subject: x", b""]
    assert client.top(1, 1)[1] == RAW.splitlines()[:3]
    assert client.noop() == b"+OK"


def test_deletions_are_done_at_quit(server, client):
    """Until then RSET takes them back, and a deleted mail is not there."""
    client.dele(1)
    client.dele(2)
    assert client.stat()[0] == 1
    for call in (lambda: client.retr(1), lambda: client.dele(2), lambda: client.list(1)):
        with pytest.raises(poplib.error_proto, match="no such message"):
            call()
    client.rset()
    client.dele(3)
    assert len(server.mails(USER)) == 3
    client.quit()
    assert [mail.raw for mail in server.mails(USER)] == [RAW, RAW]


def test_what_makes_no_sense_is_refused(client):
    """Unknown commands, wrong numbers and arguments; the session goes on."""
    calls = (
        lambda: client.retr(4),
        lambda: client.retr(0),
        lambda: client.retr("x"),
        lambda: client._shortcmd("RETR"),
        lambda: client._shortcmd("TOP 1"),
        lambda: client._shortcmd("XTND"),
        lambda: client._shortcmd("USER again"),
    )
    for call in calls:
        with pytest.raises(poplib.error_proto, match="-ERR"):
            call()
    assert client.stat()[0] == 3


@pytest.mark.parametrize(
    "line", ["AUTH PLAIN not-base64!", "AUTH PLAIN eA==", "AUTH XOAUTH2 eA==", "AUTH CRAM-MD5", "STAT", "PASS x", "AUTH"]
)  # fmt: skip
def test_a_stranger_gets_nothing(pop3, line):
    """Wrong responses and commands before the login are refused; no session begins."""
    opened = poplib.POP3(pop3.host, pop3.port, timeout=10)
    with pytest.raises(poplib.error_proto, match="-ERR"):
        opened._shortcmd(line)
    opened.quit()


def test_an_exchange_may_be_given_up(pop3):
    """`*` ends it (RFC 5034 §4)."""
    opened = poplib.POP3(pop3.host, pop3.port, timeout=10)
    opened._putcmd("AUTH PLAIN")
    assert opened._getline()[0] == b"+ "
    with pytest.raises(poplib.error_proto, match="gave up"):
        opened._shortcmd("*")
    opened.quit()


def test_stls_begins_anew(server, server_tls, client_tls):
    """Before it nobody logs in."""
    with LoopbackPop3(server, tls=server_tls, starttls=True) as face:
        opened = poplib.POP3(face.host, face.port, timeout=10)
        with pytest.raises(poplib.error_proto, match="unknown"):
            opened.user(USER)
        assert "STLS" in opened.capa()
        opened.stls(client_tls)
        opened.user(USER)
        opened.pass_("p w")
        assert opened.stat()[0] == 3
        opened.quit()


def test_commands_may_come_together(server, pop3):
    """PIPELINING: the answers come in order."""
    with socket.create_connection((pop3.host, pop3.port), timeout=10) as sock:
        lines = ["USER help@example.org", "PASS p w", "DELE 1", "RETR 2", "NOOP", "QUIT"]
        sock.sendall("".join(f"{line}\r\n" for line in lines).encode())
        answers = sock.makefile("rb").read()
    assert answers.count(b"+OK") == 7
    assert answers.endswith(
        b"\r\n..body of a mail\r\nand more\r\n.\r\n+OK\r\n+OK until next time\r\n"
    )
    assert len(server.mails(USER)) == 2


def test_faults_strike_here_too(server, pop3):
    """Dropped in the middle, refused, garbage and silence, each by the command's name."""

    def opened():
        client = poplib.POP3(pop3.host, pop3.port, timeout=10)
        client.user(USER)
        client.pass_("p w")
        return client

    server.drop_connection(after="RETR")
    dropped = opened()
    with pytest.raises((poplib.error_proto, OSError)):
        dropped.retr(1)
    dropped.close()
    server.answer_no("RETR", "SYS/TEMP")
    server.answer_garbage("STAT")
    client = opened()
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
        client.retr(1)
    with pytest.raises(poplib.error_proto, match="nonsense"):
        client.stat()
    server.go_silent("NOOP")
    client.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.noop()
    client.close()
    server.answer_no("LOGIN", "IN-USE")
    late = poplib.POP3(pop3.host, pop3.port, timeout=10)
    late.user(USER)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        late.pass_("p w")
    late.close()
    server.go_offline()
    with socket.create_connection((pop3.host, pop3.port), timeout=10) as sock:
        assert sock.recv(100) == b""


def test_secrets_are_not_recorded(server, client):
    """What was asked is there to be looked at, without PASS's secret."""
    client.quit()
    told = [(one.verb, one.arguments) for one in server.commands]
    assert told == [("PASS", (USER,)), ("QUIT", ())]
