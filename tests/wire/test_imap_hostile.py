"""Servers that break, lie, drip, flood or attack: every time one of our errors, in time."""

import base64
import contextlib
import mmap
import re
import socket
import struct
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
    ConnectError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
    StorageUnavailableError,
    TlsError,
)
from mailrouting.wire._imap_client import _Client
from mailrouting.wire._imap_protocol import Protocol

SECRET = "marker-secret-77aa"
CAPABILITIES = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE"
QUICK = Timeouts(connect=2, silence=2, command=2)
SHORT = Timeouts(connect=0.3, silence=0.3, command=0.3)
SELECT = (
    "* 3 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n"
    "* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 9] n\r\n{tag} OK [READ-WRITE] done\r\n"
)
CLOSE = object()


class Scripted:
    """Answer each verb with a line of text, bytes, a function of the connection, or CLOSE."""

    def __init__(self, greeting="* OK hello\r\n", **answers):
        self.greeting = greeting
        self.answers = {
            "CAPABILITY": f"* CAPABILITY {CAPABILITIES}\r\n{{tag}} OK done\r\n",
            "AUTHENTICATE": f"{{tag}} OK [CAPABILITY {CAPABILITIES}] welcome\r\n",
            "SELECT": SELECT,
            "LOGOUT": "* BYE bye\r\n{tag} OK done\r\n",
        } | answers
        self.lines = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.listener.close()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def _serve(self):
        connection, _ = self.listener.accept()
        connection.settimeout(10)
        try:
            with connection, connection.makefile("rb") as lines:
                self._say(connection, self.greeting, "")
                for line in lines:
                    # A TLS handshake is no line of words.
                    words = [*line.decode("latin-1").split(), "*", "*", "*"][:3]
                    self.lines.append(line.decode("latin-1"))
                    verb = words[2] if words[1] == "UID" else words[1]
                    answer = self.answers.get(verb.upper(), "{tag} BAD unknown\r\n")
                    if isinstance(answer, list):
                        answer = answer.pop(0)
                    if answer is CLOSE:
                        return
                    self._say(connection, answer, words[0])
        except OSError:
            pass

    @staticmethod
    def _say(connection, answer, tag):
        if callable(answer):
            answer(connection, tag)
        elif isinstance(answer, bytes):
            connection.sendall(answer.replace(b"{tag}", tag.encode()))
        else:
            connection.sendall(answer.replace("{tag}", tag).encode("latin-1"))


def drip(connection, tag):
    """Send one octet after the other, each soon enough for a socket's own timeout."""
    connection.settimeout(0.05)
    for _ in range(200):
        connection.sendall(b"*")
        with contextlib.suppress(TimeoutError):
            if not connection.recv(1):
                return


def hang_up(connection, tag):
    """End the connection."""
    connection.shutdown(socket.SHUT_RDWR)


def stall(connection, tag):
    """Say nothing until the client goes."""
    connection.recv(1)


def open_at(server, *, tls=TlsMode.CLEARTEXT, timeouts=QUICK, credential=None, scratch=None):
    """Open a session on a scripted server."""
    account = EmailAccount(
        id="support",
        address=NamedAddress.parse("help@example.org"),
        inbound=InboundSettings(
            protocol=MailProtocol.IMAP,
            endpoint=Endpoint("127.0.0.1", server.port, tls),
            login=parse_login("help@example.org"),
            first_run=FirstRun.all(),
        ),
    )
    return connect(
        account,
        StaticCredentials({"support": credential or Password.of(SECRET)}),
        tls=tls_context(),
        timeouts=timeouts,
        scratch=scratch,
    )


def opened(server, *, timeouts=QUICK, scratch=None):
    """Open a session and its INBOX."""
    session = open_at(server, timeouts=timeouts, scratch=scratch)
    session.open_folder("INBOX", writable=True)
    return session


def fetch_line(items, uid=1):
    """Write a FETCH answer."""
    return f"* 1 FETCH (UID {uid} {items})\r\n"


STATS = fetch_line("RFC822.SIZE 10 FLAGS () INTERNALDATE NIL") + "{tag} OK done\r\n"
LARGE = fetch_line("RFC822.SIZE 3000000") + "{tag} OK done\r\n"


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        ("* BYE [UNAVAILABLE] too many connections\r\n", ConnectError),
        (hang_up, ConnectError),
        ("SSH-2.0-OpenSSH_9\r\n", PeerProtocolError),
        ("* PREAUTH welcome anybody\r\n", PeerProtocolError),
        ("220 smtp.example ESMTP\r\n", PeerProtocolError),
        ("* OK " + "x" * 1_100_000 + "\r\n", PeerProtocolError),
        (drip, ConnectError),
        (stall, ConnectError),
    ],
    ids=["bye", "empty", "ssh", "preauth", "smtp", "endless line", "drip", "stall"],
)
def test_a_wrong_greeting_is_told(greeting, expected):
    """F34: Nothing is sent that would give a secret away, and nobody waits for long."""
    started = time.monotonic()
    with Scripted(greeting) as server:
        with pytest.raises(expected) as caught:
            open_at(server, timeouts=SHORT)
        assert type(caught.value) is expected
        assert time.monotonic() - started < 3
    assert all("CAPABILITY" in line for line in server.lines)
    if "UNAVAILABLE" in str(greeting):
        assert "too many connections" in str(caught.value)


def test_plain_text_where_tls_is_expected_is_a_tls_error():
    """F34, F50: The hint names the likely cause: the wrong port."""
    with Scripted() as server, pytest.raises(TlsError, match="wrong version") as caught:
        open_at(server, tls=TlsMode.IMPLICIT)
    assert "port" in caught.value.hint


def test_a_server_that_hangs_up_in_the_handshake_is_a_connect_error():
    """No TLS alert, just the end: it may be busy."""
    with (
        Scripted(hang_up) as server,
        pytest.raises(ConnectError, match=r"hung up|reset"),
    ):
        open_at(server, tls=TlsMode.IMPLICIT)


def test_text_before_tls_is_not_taken_for_an_answer_inside():
    """An attacker in the middle can add a line after the OK to STARTTLS: the session ends."""
    with (
        Scripted(
            CAPABILITY="* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK done\r\n",
            STARTTLS="{tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        ) as server,
        pytest.raises(PeerProtocolError, match="STARTTLS"),
    ):
        open_at(server, tls=TlsMode.STARTTLS)
    assert SECRET not in "".join(server.lines)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("{tag} NO [AUTHENTICATIONFAILED] wrong: " + SECRET + "\r\n", AuthenticationError),
        ("{tag} NO no [LIMIT] here\r\n", AuthenticationError),
        ("{tag} NO [LIMIT] later\r\n", ConnectError),
        ("* BYE [UNAVAILABLE] later\r\n", ConnectError),
        ("{tag} BAD what is " + SECRET + "\r\n", PeerProtocolError),
        (CLOSE, ConnectError),
        (drip, ConnectError),
        (stall, ConnectError),
    ],
    ids=["refused", "code elsewhere", "busy", "bye", "bad", "eof", "drip", "stall"],
)
def test_a_login_that_fails_is_judged_by_what_was_said(answer, expected):
    """F35: Only a tagged NO is about the password; echoed secrets are starred out."""
    with Scripted(AUTHENTICATE=answer) as server, pytest.raises(expected) as caught:
        open_at(server, timeouts=SHORT)
    error = caught.value
    assert type(error) is expected
    assert SECRET not in f"{error} {error.hint} {vars(error)}"
    assert error.__context__ is None


def test_a_password_that_is_echoed_as_it_was_sent_is_starred_out():
    """Inside a quoted string two characters are escaped; the echo is known all the same."""
    secret = 'marker-"quoted\\-88bb'

    def echo(connection, tag):
        connection.sendall(f"{tag} BAD what is {server.lines[-1]}".encode())

    with (
        Scripted(CAPABILITY="* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n", LOGIN=echo) as server,
        pytest.raises(PeerProtocolError) as caught,
    ):
        open_at(server, credential=Password.of(secret))
    assert "marker-" in "".join(server.lines)
    assert "marker-" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    ("mechanism", "challenge", "shown", "answer"),
    [
        ("XOAUTH2", b'{"status":"401","scope":"mail"}', "(status 401)", ""),
        ("OAUTHBEARER", b'{"status":"invalid_token"}', "(status invalid_token)", "AQ=="),
        ("XOAUTH2", b"[1]", "", ""),
        ("XOAUTH2", b"no json", "", ""),
        ("XOAUTH2", b"[" * 3000, "", ""),
        ("PLAIN", b"more?", "", "*"),
        ("PLAIN", None, "", "*"),
    ],
)
def test_a_second_challenge_never_gets_the_secret(mechanism, challenge, shown, answer):
    """The status in it is told, the answer is empty or ends the exchange."""
    coded = "not base64!" if challenge is None else base64.b64encode(challenge).decode()
    answers = []

    def challenge_it(connection, tag):
        connection.sendall(f"+ {coded}\r\n".encode())
        said = b""
        while not said.endswith(b"\r\n"):
            said += connection.recv(100)
        answers.append(said.decode())
        connection.sendall(f"{tag} NO [AUTHENTICATIONFAILED] no\r\n".encode())

    credential = Password.of(SECRET) if mechanism == "PLAIN" else Bearer.of(SECRET)
    capabilities = f"* CAPABILITY IMAP4rev1 SASL-IR AUTH={mechanism}\r\n{{tag}} OK done\r\n"
    with (
        Scripted(CAPABILITY=capabilities, AUTHENTICATE=challenge_it) as server,
        pytest.raises(AuthenticationError) as caught,
    ):
        open_at(server, credential=credential)
    assert answers == [f"{answer}\r\n"]
    assert shown in str(caught.value)
    assert caught.value.mechanism == mechanism
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CLOSE, SessionLostError),
        ("* BYE server goes down\r\n", SessionLostError),
        (stall, SessionLostError),
        (drip, SessionLostError),
        ("* 1 FETCH (UID 1 RFC822.SIZE", SessionLostError),
        ("{tag} BAD no\r\n", PeerProtocolError),
        ("X999 OK not yours\r\n", PeerProtocolError),
        ("hello\r\n", PeerProtocolError),
        ("* 1 FETCH (UID 1 RFC822.SIZE 10\r\n{tag} OK done\r\n", PeerProtocolError),
        ("* 1 FETCH (UID x RFC822.SIZE 10)\r\n{tag} OK done\r\n", PeerProtocolError),
        ("* 1 FETCH " + "(" * 20_000 + "\r\n{tag} OK done\r\n", PeerProtocolError),
        ("* 1 FETCH (UID 1 X {99999999999}\r\n", PeerProtocolError),
        ("* 1 FETCH (UID 1 X {99999999999999999999999}\r\n", PeerProtocolError),
        ("* 1 FETCH (" + "x" * 1_100_000, PeerProtocolError),
        ("{tag} OK\r\n", PeerProtocolError),
        ("* OK mind the gap {9}\r\n", SessionLostError),
        ("* 1 FETCH (UID 1 RFC822.SIZE {3}\r\n", SessionLostError),
    ],
    ids=[
        "eof", "bye", "stall", "drip", "half line", "bad", "other tag", "garbage", "open list",
        "odd uid", "deep", "huge literal", "absurd literal", "endless line", "bare ok",
        "text like a literal", "stall in a literal",
    ],
)  # fmt: skip
def test_a_broken_answer_ends_the_session_with_our_error(answer, expected):
    """F22, F24 to F26, F30, F31, F33: Within the deadline, with the right class, and the session is dead afterwards."""
    with Scripted(FETCH=answer) as server:
        session = opened(server, timeouts=SHORT)
        started = time.monotonic()
        with pytest.raises(expected) as caught:
            session.stat(["1"])
        assert time.monotonic() - started < 3
        assert type(caught.value) is expected
        assert caught.value.command == "FETCH"
        assert caught.value.__context__ is None
        with pytest.raises(SessionLostError):
            session.list_uids().__next__()
        session.close()


def test_a_connection_that_ends_in_the_middle_of_a_mail_loses_nothing():
    """F22: EOF inside a literal is a lost session, never a short mail."""

    def cut(connection, tag):
        connection.sendall(b"* 1 FETCH (UID 1 BODY[] {10}\r\n12345")
        hang_up(connection, tag)

    with Scripted(FETCH=[STATS, cut]) as server:
        session = opened(server)
        with pytest.raises(SessionLostError, match="closed the connection"):
            list(session.read(["1"]))


def test_a_flood_is_cut_off_before_it_fills_the_memory():
    """F27: Unasked lines without end are refused after some megabytes."""

    def flood(connection, tag):
        line = b"* 1 FETCH (UID 5 FLAGS (" + b"x" * 60_000 + b"))\r\n"
        for _ in range(2000):
            connection.sendall(line)

    with Scripted(FETCH=flood) as server:
        session = opened(server)
        tracemalloc.start()
        with pytest.raises(PeerProtocolError, match="octets"):
            session.stat(["1"])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 60_000_000


@pytest.mark.parametrize(
    "answer",
    [
        SELECT.replace("UIDVALIDITY 7", "UIDVALIDITY 0"),
        SELECT.replace("UIDVALIDITY 7", "UIDVALIDITY 99999999999"),
        SELECT.replace("* 3 EXISTS\r\n", ""),
        SELECT.replace("* 3 EXISTS", "* x EXISTS"),
    ],
    ids=["zero", "too large", "no count", "odd count"],
)
def test_a_folder_without_its_numbers_is_not_opened(answer):
    """UIDs mean nothing without UIDVALIDITY."""
    with Scripted(SELECT=answer) as server:
        session = open_at(server)
        with pytest.raises(PeerProtocolError):
            session.open_folder("INBOX", writable=True)
        with pytest.raises(SessionLostError):
            session.open_folder("INBOX", writable=True)


@pytest.mark.parametrize(
    "answer",
    [
        "* NO [UIDNOTSTICKY] not here\r\n" + SELECT,
        SELECT.replace("* OK [UIDVALIDITY 7] v\r\n", ""),
    ],
    ids=["not sticky", "no uidvalidity"],
)
def test_uids_that_do_not_last_are_a_refusal(answer):
    """F14: UIDNOTSTICKY or no UIDVALIDITY (RFC 4315): positions would mean other mails tomorrow."""
    with Scripted(SELECT=answer) as server:
        session = open_at(server)
        with pytest.raises(SessionError, match="do not last") as caught:
            session.open_folder("INBOX", writable=True)
        assert caught.value.response_code == "UIDNOTSTICKY"
        session.close()


def test_a_missing_uidnext_is_none():
    """F14: Old servers do not tell it; mail is listed all the same."""
    without = SELECT.replace("* OK [UIDNEXT 9] n\r\n", "")
    with Scripted(SELECT=without, SEARCH="* SEARCH 3 1 2\r\n{tag} OK done\r\n") as server:
        session = open_at(server)
        assert session.open_folder("INBOX", writable=True).uidnext is None
        assert list(session.list_uids()) == [("1", "2", "3")]
        session.close()


def test_a_huge_folder_is_listed_in_windows():
    """F28, F55: Past fifty thousand mails by sequence numbers, so that no line grows too long."""
    count = 120_000

    def search(connection, tag):
        low, high = re.search(r"SEARCH (\d+):(\S+) UNDELETED", server.lines[-1]).groups()
        last = count if high == "*" else int(high)
        # Sparse: every UID is a thousand times its place.
        found = " ".join(str(place * 1000) for place in range(int(low), last + 1))
        connection.sendall(f"* SEARCH {found}\r\n{tag} OK done\r\n".encode())

    with Scripted(SELECT=SELECT.replace("* 3 ", f"* {count} "), SEARCH=search) as server:
        session = opened(server)
        windows = list(session.list_uids())
        session.close()
    assert all(len(window) <= 5000 for window in windows)
    uids = [int(uid) for window in windows for uid in window]
    assert uids == [place * 1000 for place in range(1, count + 1)]
    assert sum("SEARCH" in line for line in server.lines) == 24


@pytest.mark.parametrize(
    ("told", "size", "year"),
    [
        ('RFC822.SIZE 10 INTERNALDATE "01-Jul-2025 12:00:00 +0200" FLAGS (\\Seen)', 10, 2025),
        ('RFC822.SIZE "x" INTERNALDATE "99-Foo-2025 12:00:00 +0200" FLAGS NIL', None, None),
        ('INTERNALDATE "01-Jan-9999 23:59:59 -1200"', None, None),
        ("RFC822.SIZE NIL INTERNALDATE NIL FLAGS (1 (2))", None, None),
        ("X-OTHER 1", None, None),
    ],
)
def test_senseless_hints_are_none(told, size, year):
    """F21, F48: Sizes and dates that make no sense are not told, and no mail is lost for them."""
    with Scripted(FETCH=fetch_line(told) + "{tag} OK done\r\n") as server:
        session = opened(server)
        (info,) = session.stat(["1"])
        session.close()
    assert info.size == size
    assert (info.received_at.year if info.received_at else None) == year


@pytest.mark.parametrize(
    "answer",
    [
        "{tag} OK done\r\n",
        fetch_line("BODY[] NIL") + "{tag} OK done\r\n",
        fetch_line("FLAGS ()") + "{tag} OK done\r\n",
        "* 1 FETCH (FLAGS ())\r\n{tag} OK done\r\n",
        fetch_line('BODY[] "other"', uid=5) + "{tag} OK done\r\n",
    ],
    ids=["silence", "nil", "flags only", "no uid", "another mail"],
)
@pytest.mark.parametrize("stats", [STATS, LARGE], ids=["small", "large"])
def test_an_answer_without_the_mail_means_unknown(answer, stats):
    """F16, F17: M4: it is left out, whether it is read at once or in parts."""
    with Scripted(FETCH=[stats, answer]) as server:
        session = opened(server)
        assert list(session.read(["1"])) == []
        session.close()


@pytest.mark.parametrize(("octets", "read"), [(0, 0), (20, 0), (260, 1), (500, 1), (600, 1)])
def test_less_than_half_of_what_was_told_is_not_the_mail(octets, read):
    """F20: A body that is cut short is left out, so nothing is done with the original."""
    stats = fetch_line("RFC822.SIZE 500") + "{tag} OK done\r\n"
    body = fetch_line(f"BODY[] {{{octets}}}\r\n{'x' * octets}") + "{tag} OK done\r\n"
    with Scripted(FETCH=[stats, body]) as server:
        session = opened(server)
        assert len(list(session.read(["1"]))) == read
        session.close()


def partial_answers(raw, size, *, cut=None):
    """Answer partial fetches of a mail as a server does; `cut` is the most it sends at once."""

    def answer(connection, tag):
        line = server_lines[-1]
        asked = re.search(r"<(\d+)\.(\d+)>", line)
        if asked is None:
            told = fetch_line(f"RFC822.SIZE {size}" if size is not None else "FLAGS ()").encode()
        else:
            start, length = int(asked[1]), int(asked[2])
            part = raw[start : start + min(length, cut or length)]
            told = b"* 1 FETCH (UID 1 BODY[]<%d> {%d}\r\n%s)\r\n" % (start, len(part), part)
        connection.sendall(told + tag.encode() + b" OK done\r\n")

    server_lines = []
    return answer, server_lines


@pytest.mark.parametrize(
    ("length", "size", "cut"),
    [
        (3_000_000, 3_000_000, None),
        (3_000_000, None, None),
        (3 * 1024 * 1024, 3 * 1024 * 1024, None),
        (3_000_000, 3_500_000, None),
        (3_000_000, 2_500_000, None),
        (3_000_000, 3_000_000, 100_000),
        (10, None, None),
        (0, None, None),
    ],
    ids=["exact", "untold", "whole parts", "too much told", "too little told", "small parts",
         "small untold", "empty untold"],
)  # fmt: skip
def test_parts_are_put_together_whatever_size_is_told(length, size, cut):
    """F20, F21: RFC822.SIZE is a hint: the mail ends where nothing more comes."""
    raw = bytes(index % 251 for index in range(length))
    answer, lines = partial_answers(raw, size, cut=cut)
    with Scripted(FETCH=answer) as server:
        server.lines = lines
        session = opened(server)
        (found,) = session.read(["1"])
        session.close()
    assert found.raw[:] == raw


def test_a_large_mail_is_a_map_of_a_file_without_a_name(tmp_path):
    """It takes no memory of ours, and nothing is left behind while it is still read."""
    raw = b"y" * 3_000_000
    answer, lines = partial_answers(raw, len(raw))
    with Scripted(FETCH=answer) as server:
        server.lines = lines
        session = opened(server, scratch=tmp_path)
        (found,) = session.read(["1"])
        session.close()
    assert isinstance(found.raw, mmap.mmap)
    assert list(tmp_path.iterdir()) == []
    assert found.raw[:] == raw


def test_a_scratch_folder_that_cannot_be_written_is_the_storages_trouble(tmp_path):
    """The session goes on, and the mail stays where it is."""
    raw = b"y" * 3_000_000
    answer, lines = partial_answers(raw, len(raw))
    with Scripted(FETCH=answer) as server:
        server.lines = lines
        session = opened(server, scratch=tmp_path / "nowhere")
        with pytest.raises(StorageUnavailableError) as caught:
            list(session.read(["1"]))
        assert caught.value.hint
        assert [info.uid for info in session.stat(["1"])] == ["1"]
        session.close()


def test_two_bodies_of_one_mail_end_the_session():
    """F19: neither can be trusted, and nothing is taken for the other mail."""
    two = fetch_line("BODY[] {3}\r\nabc") + fetch_line("BODY[] {3}\r\nxyz") + "{tag} OK done\r\n"
    with Scripted(FETCH=[STATS, two]) as server:
        session = opened(server)
        with pytest.raises(PeerProtocolError):
            list(session.read(["1"]))


def test_flags_of_other_mails_in_an_answer_are_passed_over():
    """F18: what other clients do to mails comes in between, of this mail and of others."""
    answer = (
        fetch_line("FLAGS (\\Seen)", uid=9)
        + fetch_line("FLAGS (\\Flagged)")
        + fetch_line("BODY[] {10}\r\n0123456789")
        + fetch_line("FLAGS (\\Seen)")
        + "* 3 EXPUNGE\r\n{tag} OK done\r\n"
    )
    with Scripted(FETCH=[STATS, answer]) as server:
        session = opened(server)
        assert [(mail.uid, mail.raw) for mail in session.read(["1"])] == [("1", b"0123456789")]
        session.close()


def test_a_stray_continuation_is_passed_over():
    """F32: a line with a plus that nobody waits for is no answer."""
    with Scripted(FETCH="+ go on\r\n" + STATS) as server:
        session = opened(server)
        assert [info.uid for info in session.stat(["1"])] == ["1"]
        session.close()


def test_a_reset_in_the_middle_of_a_mail_is_a_lost_session():
    """F23: RST instead of an end."""

    def reset(connection, tag):
        connection.sendall(b"* 1 FETCH (UID 1 BODY[] {10}\r\n12345")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with Scripted(FETCH=[STATS, reset]) as server:
        session = opened(server)
        with pytest.raises(SessionLostError):
            list(session.read(["1"]))


def test_a_folder_that_turns_read_only_is_a_setting():
    """F36: told in the middle it is a refusal with its code, as at SELECT, and never a retry."""
    with Scripted(MOVE="{tag} NO [READ-ONLY] since now\r\n", LIST="{tag} OK done\r\n") as server:
        session = opened(server)
        with pytest.raises(SessionError) as caught:
            session.move(["1"], "INBOX")
        assert type(caught.value) is SessionError
        assert caught.value.response_code == "READ-ONLY"
        assert not caught.value.retryable
        session.close()


def test_a_server_that_ignores_the_part_may_send_the_whole():
    """F62: Exchange does so: the whole mail is accepted, with and without an origin."""
    raw = b"y" * 3_000_000
    for key in (b"BODY[]", b"BODY[]<0>"):
        whole = b"* 1 FETCH (UID 1 %s {%d}\r\n%s)\r\n{tag} OK done\r\n" % (key, len(raw), raw)
        with Scripted(FETCH=[LARGE, whole]) as server:
            session = opened(server)
            assert [found.raw[:] for found in session.read(["1"])] == [raw]
            session.close()


@pytest.mark.parametrize(
    "lie",
    [
        b"BODY[]<5> {3}\r\nabc",
        b"BODY[]<0> 12",
        b"BODY[] (1 2)",
        b'BODY[]<1048576> "abc"',
    ],
)
def test_another_part_than_asked_for_is_not_taken(lie):
    """F62: A part must carry its origin, or a mail would be put together wrongly."""
    answer = b"* 1 FETCH (UID 1 " + lie + b")\r\n{tag} OK done\r\n"
    with Scripted(FETCH=[LARGE, answer]) as server:
        session = opened(server)
        with pytest.raises(PeerProtocolError):
            list(session.read(["1"]))


def test_a_mail_without_end_is_given_up():
    """F21: A server that always has one more part does not hold us for ever."""
    part = b"z" * 1024 * 1024

    def more(connection, tag):
        asked = re.search(r"<(\d+)\.", server.lines[-1])
        start = int(asked[1])
        told = b"* 1 FETCH (UID 1 BODY[]<%d> {%d}\r\n%s)\r\n" % (start, len(part), part)
        connection.sendall(told + tag.encode() + b" OK done\r\n")

    with Scripted(FETCH=[LARGE, *[more] * 100]) as server:
        session = opened(server)
        with pytest.raises(PeerProtocolError, match="goes on"):
            list(session.read(["1"]))


def test_a_part_that_comes_a_second_time_whole_is_refused():
    """F62: After the first part a whole mail would double what is there."""
    first = b"* 1 FETCH (UID 1 BODY[]<0> {3}\r\nabc)\r\n{tag} OK done\r\n"
    second = b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n{tag} OK done\r\n"
    with Scripted(FETCH=[LARGE, first, second]) as server:
        session = opened(server)
        with pytest.raises(PeerProtocolError, match="another part"):
            list(session.read(["1"]))


def test_a_later_part_that_is_too_long_is_refused():
    """F62: Only the first answer may be the whole mail; a later one has at most what was asked for."""
    first = fetch_line("BODY[]<0> {3}\r\nabc") + "{tag} OK done\r\n"
    size = 1024 * 1024 + 1
    second = fetch_line(f"BODY[]<3> {{{size}}}\r\n{'d' * size}") + "{tag} OK done\r\n"
    with Scripted(FETCH=[LARGE, first, second]) as server:
        session = opened(server)
        with pytest.raises(PeerProtocolError, match="another part"):
            list(session.read(["1"]))


@pytest.mark.parametrize("behaviour", [stall, drip])
def test_a_command_ends_at_its_deadline_however_long_a_silence_may_be(behaviour):
    """F24, F25: The deadline is that of the whole command, not of the next octet."""
    with Scripted(FETCH=behaviour) as server:
        session = opened(server, timeouts=Timeouts(connect=2, silence=30, command=0.3))
        started = time.monotonic()
        with pytest.raises(SessionLostError, match="too long"):
            session.stat(["1"])
        assert 0.2 < time.monotonic() - started < 3


def test_what_a_server_volunteers_does_not_heap_up():
    """F18, F27: Unasked lines are dropped with their command, one that says READ-ONLY too."""
    noise = "* OK [READ-ONLY] now\r\n* 9 EXISTS\r\n* X-NOISE 1\r\n"
    with Scripted(FETCH=noise + STATS) as server:
        session = opened(server)
        for _ in range(3):
            assert len(session.stat(["1"])) == 1
            assert not session._connection.protocol.untagged_responses
        session.close()


@pytest.mark.parametrize(
    "answer",
    [
        "* SEARCH 1 2\r\n* SEARCH 3\r\n{tag} OK done\r\n",
        "* SEARCH one two\r\n{tag} OK done\r\n",
    ],
)
def test_a_senseless_list_ends_the_session(answer):
    """F29: A list that cannot be read is not taken for an empty one."""
    with Scripted(SEARCH=answer) as server:
        session = opened(server)
        with pytest.raises(PeerProtocolError):
            list(session.list_uids())


def headers_and_listing(*, fetch="OK", search="OK", told=""):
    """Answer a SEARCH only when the FETCH behind it has come: whoever waits in between waits long."""
    tags = []
    header = "* 1 FETCH (UID 1 BODY[HEADER]<0> {5}\r\na\r\n\r\n)\r\n"

    def both(connection, tag):
        said = f"{header if fetch == 'OK' else ''}{tag} {fetch} done\r\n"
        if len(tags) == 1:
            said += f"* SEARCH 2 1\r\n{told}{tags[0]} {search} done\r\n"
        connection.sendall(said.encode())

    later = "* SEARCH 1 2 3\r\n{tag} OK done\r\n"
    return {"FETCH": both, "SEARCH": [lambda _, tag: tags.append(tag), later, later]}


def test_who_looks_at_headers_first_has_the_listing_with_them():
    """One round trip for both; the next listing is asked for anew."""
    with Scripted(**headers_and_listing()) as server:
        session = opened(server)
        assert list(session.read_headers(["1"])) == [("1", b"a\r\n\r\n")]
        assert list(session.list_uids()) == [("1", "2")]
        assert list(session.list_uids()) == [("1", "2", "3")]
        session.close()
    assert sum("SEARCH" in line for line in server.lines) == 2


@pytest.mark.parametrize(
    "answers", [{"told": "* 4 EXISTS\r\n"}, {"search": "NO"}, {"fetch": "NO"}], ids=str
)
def test_a_listing_that_came_along_and_may_lack_mail_is_not_used(answers):
    """Mail came meanwhile, or one of the two was refused: the folder is listed again."""
    with Scripted(**headers_and_listing(**answers)) as server:
        session = opened(server)
        with contextlib.suppress(SessionError):
            list(session.read_headers(["1"]))
        assert list(session.list_uids()) == [("1", "2", "3")]
        session.close()


def test_what_a_server_claims_about_changes_is_looked_at():
    """M3, F9: an OK to MOVE and STORE is not enough; the mails must be gone, the flags there."""
    with Scripted(
        MOVE="{tag} OK done\r\n",
        STORE="{tag} OK done\r\n",
        EXPUNGE="{tag} OK done\r\n",
        SEARCH=[
            "* SEARCH 2\r\n{tag} OK done\r\n",
            "* SEARCH 2\r\n{tag} OK done\r\n",
            "* SEARCH 1 9\r\n{tag} OK done\r\n",
        ],
    ) as server:
        session = opened(server)
        assert session.move(["1", "2"], "Done") == {"1"}
        assert session.delete(["1", "2"]) == {"1"}
        assert session.mark_seen(["1", "2"]) == {"1"}
        session.close()


def test_a_failing_list_of_folders_hides_no_refusal():
    """SELECT's NO with a code that says so is a missing folder, even when LIST fails as well."""
    with Scripted(SELECT="{tag} NO [NONEXISTENT] no\r\n", LIST="{tag} NO not now\r\n") as server:
        session = open_at(server)
        with pytest.raises(LookupError) as caught:
            session.open_folder("Nowhere", writable=True)
        assert caught.value.available == ()
        session.close()


def test_a_folder_that_exists_but_is_refused_is_no_missing_folder():
    """NO without such a code, for a folder that is listed, is the server's refusal."""
    with Scripted(
        SELECT="{tag} NO [NOPERM] not yours\r\n",
        LIST='* LIST () "/" Shared\r\n{tag} OK done\r\n',
    ) as server:
        session = open_at(server)
        with pytest.raises(SessionError, match="not yours") as caught:
            session.open_folder("Shared", writable=True)
        assert type(caught.value) is SessionError
        session.close()


def test_an_interrupt_closes_the_connection():
    """After Ctrl-C in the middle of a command nothing may read the rest of its answer."""

    class Interrupted(Timeouts):
        def for_command(self, octets):
            return 5.0

    with Scripted(SEARCH=stall) as server:
        session = opened(server, timeouts=Interrupted())
        waiting = session._connection

        def interrupt():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            waiting.run("SEARCH", interrupt)
        with pytest.raises(SessionLostError):
            session.stat(["1"])


def test_the_private_names_of_the_libraries_below_exist():
    """What is overridden or called of imapclient and imaplib is still there."""
    for name in (
        "_command",
        "_command_complete",
        "_simple_command",
        "_get_capabilities",
        "_append_untagged",
        "_untagged_response",
        "_log",
    ):
        assert callable(getattr(Protocol.__mro__[1], name))
    assert callable(_Client.__mro__[1]._create_IMAP4)
    with Scripted() as server:
        session = open_at(server)
        assert session._connection.protocol.debug == 0
        session.close()
