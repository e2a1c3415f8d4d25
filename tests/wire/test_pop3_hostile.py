"""POP3 servers that break, lie, drip, flood or attack: every time one of our errors, in time."""

import base64
import contextlib
import re
import socket
import threading
import time
import tracemalloc

import pytest

from mailrouting.accounts import EmailAccount, Endpoint, FirstRun, InboundSettings, TlsMode
from mailrouting.addresses import NamedAddress
from mailrouting.auth import Bearer, MailProtocol, Password, parse_login
from mailrouting.connect import StaticCredentials, Timeouts, connect, tls_context
from mailrouting.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
    TlsError,
)

SECRET = "marker-secret-31bd"
QUICK = Timeouts(connect=2, silence=2, command=2)
SHORT = Timeouts(connect=0.3, silence=0.3, command=0.3, bytes_per_second=10**9)
CLOSE = object()
MAIL = b"Subject: x\r\n\r\nbody\r\n"


class Scripted:
    """Answer each verb with bytes, a function of the connection, a list of these, or CLOSE."""

    def __init__(self, greeting=b"+OK hello\r\n", **answers):
        self.greeting = greeting
        self.answers = {
            "CAPA": b"+OK\r\nUSER\r\nSASL PLAIN\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n",
            "AUTH": self._login,
            "LIST": b"+OK\r\n1 20\r\n2 20\r\n3 20\r\n.\r\n",
            "UIDL": b"+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n",
            "RETR": b"+OK\r\n" + MAIL + b".\r\n",
            "DELE": b"+OK\r\n",
            "QUIT": b"+OK\r\n",
        } | answers
        self.lines = []
        self.sessions = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        for session in self.sessions:
            session.close()
        self.listener.close()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def _serve(self):
        connection, _ = self.listener.accept()
        connection.settimeout(10)
        try:
            with connection, connection.makefile("rb") as self.file:
                self._say(connection, self.greeting)
                for line in self.file:
                    self.lines.append(line.decode("latin-1"))
                    verb = (line.decode("latin-1").split() or ["*"])[0]
                    answer = self.answers.get(verb.upper(), b"-ERR unknown\r\n")
                    if isinstance(answer, list):
                        answer = answer.pop(0)
                    if answer is CLOSE:
                        return
                    self._say(connection, answer)
        except OSError:
            pass

    @staticmethod
    def _say(connection, answer):
        if callable(answer):
            answer(connection)
        else:
            connection.sendall(answer)

    def _login(self, connection):
        connection.sendall(b"+ \r\n")
        self.lines.append(self.file.readline().decode())
        connection.sendall(b"+OK welcome\r\n")


def drip(connection):
    """Send one octet after the other, each soon enough for a socket's own timeout."""
    connection.settimeout(0.05)
    connection.sendall(b"+OK")
    for _ in range(200):
        connection.sendall(b" ")
        with contextlib.suppress(TimeoutError):
            if not connection.recv(1):
                return


def hang_up(connection):
    """End the connection."""
    connection.shutdown(socket.SHUT_RDWR)


def stall(connection):
    """Say nothing until the client goes."""
    connection.recv(1)


def flood(line):
    """Return what says the same line until nobody listens."""

    def say(connection):
        connection.sendall(b"+OK\r\n")
        while True:
            connection.sendall(line * 1000)

    return say


def open_at(server, *, tls=TlsMode.CLEARTEXT, timeouts=QUICK, credential=None):
    """Open a session and its INBOX on a scripted server, which closes it at its end."""
    account = EmailAccount(
        id="support",
        address=NamedAddress.parse("help@example.org"),
        inbound=InboundSettings(
            protocol=MailProtocol.POP3,
            endpoint=Endpoint("127.0.0.1", server.port, tls),
            login=parse_login("help@example.org"),
            first_run=FirstRun.all(),
        ),
    )
    session = connect(
        account,
        StaticCredentials({"support": credential or Password.of(SECRET)}),
        tls=tls_context(),
        timeouts=timeouts,
    )
    server.sessions.append(session)
    session.open_folder("INBOX", writable=True)
    return session


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (b"-ERR [SYS/TEMP] too many connections\r\n", ConnectError),
        (hang_up, ConnectError),
        (b"+OK half a line", ConnectError),
        (b"SSH-2.0-OpenSSH_9\r\n", PeerProtocolError),
        (b"220 smtp.example ESMTP\r\n", PeerProtocolError),
        (b"* OK IMAP4rev1 ready\r\n", PeerProtocolError),
        (b"+OKAY\r\n", PeerProtocolError),
        (b"+OK bare line feed\n", PeerProtocolError),
        (b"+OK " + b"x" * 100_000 + b"\r\n", PeerProtocolError),
        (b"\0\xff" * 50 + b"\r\n", PeerProtocolError),
        (drip, ConnectError),
        (stall, ConnectError),
    ],
    ids=[
        "busy", "empty", "half", "ssh", "smtp", "imap", "ok ay", "line feed", "endless line",
        "garbage", "drip", "stall",
    ],
)  # fmt: skip
def test_a_wrong_greeting_is_told(greeting, expected):
    """Nothing is sent that would give a secret away, and nobody waits for long."""
    started = time.monotonic()
    if greeting == b"+OK half a line":

        def greeting(connection):
            connection.sendall(b"+OK half a line")
            hang_up(connection)

    with Scripted(greeting) as server:
        with pytest.raises(expected) as caught:
            open_at(server, timeouts=SHORT)
        assert type(caught.value) is expected
        assert caught.value.__context__ is None
        assert time.monotonic() - started < 3
    assert server.lines == []
    if "busy" in str(greeting):
        assert "too many connections" in str(caught.value)
        assert caught.value.response_code == "SYS/TEMP"


def test_plain_text_where_tls_is_expected_is_a_tls_error():
    """The hint names the likely cause: the wrong port."""
    with Scripted() as server, pytest.raises(TlsError) as caught:
        open_at(server, tls=TlsMode.IMPLICIT)
    assert "port" in caught.value.hint


def test_text_before_tls_is_not_taken_for_an_answer_inside():
    """T9: an attacker in the middle can add an answer after the one to STLS: the session ends."""
    with (
        Scripted(STLS=b"+OK go\r\n+OK\r\nSASL PLAIN\r\n.\r\n") as server,
        pytest.raises(PeerProtocolError, match="plain text"),
    ):
        open_at(server, tls=TlsMode.STARTTLS)
    assert SECRET not in "".join(server.lines)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"-ERR [AUTH] wrong: " + SECRET.encode() + b"\r\n", AuthenticationError),
        (b"-ERR no [IN-USE] here\r\n", AuthenticationError),
        (b"-ERR [in-use] other session\r\n", ConnectError),
        (b"-ERR [SYS/PERM] disk broken\r\n", SessionError),
        (b"what is " + SECRET.encode() + b"\r\n", PeerProtocolError),
        (CLOSE, ConnectError),
        (drip, ConnectError),
        (stall, ConnectError),
    ],
    ids=["refused", "code elsewhere", "busy", "broken", "garbage", "eof", "drip", "stall"],
)
def test_a_login_that_fails_is_judged_by_what_was_said(answer, expected):
    """Only -ERR without a code of trouble is about the password; echoed secrets are starred out."""
    with Scripted(AUTH=answer) as server, pytest.raises(expected) as caught:
        open_at(server, timeouts=SHORT)
    error = caught.value
    assert type(error) is expected
    assert SECRET not in f"{error} {error.hint} {vars(error)}"
    assert error.__context__ is None


def test_a_password_that_is_echoed_is_starred_out():
    """By USER and PASS, too."""

    def echo(connection):
        connection.sendall(f"-ERR no: {server.lines[-1]}".encode())

    capabilities = b"+OK\r\nUSER\r\n.\r\n"
    with (
        Scripted(CAPA=capabilities, USER=b"+OK\r\n", PASS=echo) as server,
        pytest.raises(AuthenticationError) as caught,
    ):
        open_at(server)
    assert f"PASS {SECRET}\r\n" in server.lines
    assert SECRET not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    ("mechanism", "challenge", "shown", "answer"),
    [
        ("XOAUTH2", b'{"status":"401","scope":"mail"}', "(status 401)", ""),
        ("OAUTHBEARER", b'{"status":"invalid_token"}', "(status invalid_token)", "AQ=="),
        ("XOAUTH2", b"no json", "", ""),
        ("PLAIN", b"more?", "", "*"),
        ("PLAIN", None, "", "*"),
    ],
)
def test_a_second_challenge_never_gets_the_secret(mechanism, challenge, shown, answer):
    """The status in it is told, the answer is empty or ends the exchange."""
    coded = b"not base64!" if challenge is None else base64.b64encode(challenge)
    said = []

    def challenge_it(connection):
        for text in (b"", coded):
            connection.sendall(b"+ " + text + b"\r\n")
            said.append(server.file.readline().decode())
        connection.sendall(b"-ERR [AUTH] no\r\n")

    credential = Password.of(SECRET) if mechanism == "PLAIN" else Bearer.of(SECRET)
    capabilities = f"+OK\r\nSASL {mechanism}\r\n.\r\n".encode()
    with (
        Scripted(CAPA=capabilities, AUTH=challenge_it) as server,
        pytest.raises(AuthenticationError) as caught,
    ):
        open_at(server, credential=credential)
    assert said[1] == f"{answer}\r\n"
    assert shown in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("capabilities", [b"+OK\r\n.\r\n", b"+OK\r\nSASL CRAM-MD5\r\n.\r\n"])
def test_a_server_that_offers_nothing_that_fits_is_told_so(capabilities):
    """APOP and CRAM-MD5 are not tried."""
    with (
        Scripted(b"+OK <1@pop.example>\r\n", CAPA=capabilities) as server,
        pytest.raises(ConfigurationError, match="needs PLAIN or USER/PASS"),
    ):
        open_at(server)
    assert server.lines == ["CAPA\r\n"]


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        (b"+OK\r\nx 20\r\n.\r\n", b"+OK\r\n.\r\n"),
        (b"+OK\r\n1 20\r\n1 20\r\n.\r\n", b"+OK\r\n.\r\n"),
        (b"+OK\r\n\r\n.\r\n", b"+OK\r\n.\r\n"),
        (b"+OK\r\n1 20\r\n.\r\n", b"+OK\r\n1 a\r\n1 b\r\n.\r\n"),
        (b"+OK\r\n9999999999999999 20\r\n.\r\n", b"+OK\r\n.\r\n"),
        (b"+OK\r\n\xb2 20\r\n.\r\n", b"+OK\r\n.\r\n"),
        (b"+OK\r\n-1 20\r\n.\r\n", b"+OK\r\n.\r\n"),
        (b"hello\r\n", b"+OK\r\n.\r\n"),
        (b"+OK\r\n1 20\r\n.\r\n", b"a\r\n"),
    ],
)
def test_a_listing_that_makes_no_sense_ends_the_session(listed, named):
    """No number is guessed: a wrong one would mean another mail."""
    with Scripted(LIST=listed, UIDL=named) as server, pytest.raises(PeerProtocolError):
        open_at(server)


def test_what_a_listing_adds_is_overlooked():
    """A server's own words after a size, no size, a long or missing name: RFC 1939 §5 allows some."""
    listed = b"+OK 3\r\n1 20 extra\r\n2 many\r\n3 20\r\n4 20\r\n.\r\n"
    named = b"+OK\r\n1 a extra\r\n2 \r\n3 " + b"x" * 300 + b"\r\n7 z\r\n.\r\n"
    with Scripted(LIST=listed, UIDL=named) as server:
        session = open_at(server)
        ((first, *others),) = session.list_uids()
        assert first == "a"
        # The others are named by their content, which is the same here.
        assert len(others) == 1
        assert others[0].startswith("sha256 ")
        assert [info.size for info in session.stat([first, *others])] == [20, None]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CLOSE, SessionLostError),
        (stall, SessionLostError),
        (drip, SessionLostError),
        (b"hello\r\n", PeerProtocolError),
        (b"+OK " + b"x" * 100_000 + b"\r\n", PeerProtocolError),
    ],
    ids=["eof", "stall", "drip", "garbage", "endless line"],
)
def test_a_broken_answer_ends_the_session_with_our_error(answer, expected):
    """Within the deadline, with the right class, and the session is dead afterwards."""
    with Scripted(RETR=answer) as server:
        session = open_at(server, timeouts=SHORT)
        started = time.monotonic()
        with pytest.raises(expected) as caught:
            list(session.read(["a"]))
        assert time.monotonic() - started < 3
        assert type(caught.value) is expected
        assert caught.value.command == "RETR"
        assert caught.value.__context__ is None
        with pytest.raises(SessionLostError):
            session.check()
        session.close()


def test_what_came_whole_before_a_break_is_not_lost():
    """The mails before the one that breaks the session are handed over first."""

    def cut(connection):
        connection.sendall(b"+OK\r\nSubject: half")
        hang_up(connection)

    whole = b"+OK\r\n" + MAIL + b".\r\n"
    with Scripted(RETR=[whole, whole, cut]) as server:
        session = open_at(server)
        reading = session.read(["a", "b", "c"])
        assert [next(reading).raw, next(reading).raw] == [MAIL, MAIL]
        with pytest.raises(SessionLostError):
            next(reading)


def test_a_bare_line_feed_ends_no_mail():
    """Only CRLF, a dot and CRLF do (RFC 1939 §3): a mail cannot cut itself short."""
    raw = b"Subject: x\r\n\r\na\n.\nb\n.\r\nc\r.\r\n"
    with Scripted(RETR=b"+OK\r\n" + raw + b".\r\n") as server:
        assert next(open_at(server).read(["a"])).raw == raw


@pytest.mark.parametrize("size", [20, 0])
def test_a_mail_without_end_is_cut_off(size):
    """T11: octets are counted, whatever LIST said; memory stays small."""
    listing = f"+OK\r\n1 {size}\r\n.\r\n".encode()
    with Scripted(
        LIST=listing, UIDL=b"+OK\r\n1 a\r\n.\r\n", RETR=flood(b"x" * 80 + b"\r\n")
    ) as server:
        session = open_at(server)
        tracemalloc.start()
        with pytest.raises(PeerProtocolError):
            list(session.read(["a"]))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


def test_a_listing_without_end_is_cut_off():
    """T11: so many lines no maildrop has."""
    with (
        Scripted(LIST=flood(b"1 20\r\n")) as server,
        pytest.raises(PeerProtocolError, match="twice"),
    ):
        open_at(server)
    numbers = iter(range(1, 10**9))

    def count(connection):
        connection.sendall(b"+OK\r\n")
        while True:
            lines = (f"{next(numbers)} {'9' * 60_000}\r\n" for _ in range(10))
            connection.sendall("".join(lines).encode())

    with (
        Scripted(LIST=count) as server,
        pytest.raises(PeerProtocolError, match="more octets"),
    ):
        open_at(server, timeouts=Timeouts(connect=2, silence=2, command=30))


def test_a_size_is_a_hint():
    """A mail that is larger or smaller than LIST said is read whole."""
    large = b"Subject: large\r\n\r\n" + b"y" * 3_000_000 + b"\r\n"
    answers = [b"+OK\r\n" + raw + b".\r\n" for raw in (large, b"", MAIL)]
    with Scripted(RETR=answers) as server:
        session = open_at(server)
        assert [bytes(found.raw) for found in session.read(["a", "b", "c"])] == [large, b"", MAIL]


def test_a_mail_that_drips_has_a_deadline():
    """Each octet comes in time for a socket, all together do not."""

    def drip_mail(connection):
        connection.sendall(b"+OK\r\n")
        connection.settimeout(0.05)
        for _ in range(200):
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                connection.recv(1)

    with Scripted(RETR=drip_mail) as server:
        session = open_at(server, timeouts=SHORT)
        started = time.monotonic()
        with pytest.raises(SessionLostError, match="slow"):
            list(session.read(["a"]))
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("answer", [CLOSE, stall, drip, b"garbage\r\n", b"-ERR some stay\r\n"])
def test_close_never_raises_and_never_hangs(answer):
    """F44: whatever QUIT brings, the caller goes on; the next login sees what is left."""
    with Scripted(QUIT=answer) as server:
        session = open_at(server, timeouts=SHORT)
        session.delete(["a"])
        started = time.monotonic()
        session.close()
        assert time.monotonic() - started < 3
        assert server.lines[-1] == "QUIT\r\n"


def test_login_delay_is_respected():
    """RFC 2449 §6.5: where the server wants time between logins, a session is not divided."""
    capabilities = b"+OK\r\nUSER\r\nSASL PLAIN\r\nPIPELINING\r\nLOGIN-DELAY 300\r\n.\r\n"
    with Scripted(CAPA=capabilities) as server:
        session = open_at(server)
        session.delete(["a"])
        assert [found.raw for found in session.read(["b"])] == [MAIL]
        session.close()
    assert re.findall(r"DELE|RETR|QUIT", "".join(server.lines)) == ["DELE", "RETR", "QUIT"]
