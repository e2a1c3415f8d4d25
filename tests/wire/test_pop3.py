"""One behaviour of POP3 sessions: in process, over loopback, and on a real Dovecot."""

import base64
import logging
import mmap
import ssl
from functools import partial

import pytest
from hypothesis import given, strategies as st

from mailrouting.accounts import EmailAccount, Endpoint, FirstRun, InboundSettings, TlsMode
from mailrouting.addresses import NamedAddress
from mailrouting.auth import Bearer, Dialect, MailProtocol, parse_login
from mailrouting.connect import StaticCredentials, connect, opener, tls_context
from mailrouting.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    FolderNotFoundError,
    SessionError,
    SessionLostError,
    StorageUnavailableError,
    TlsError,
)
from mailrouting.testing.loopback import LoopbackPop3
from mailrouting.testing.server import FakeMailServer
from mailrouting.wire._pop3_text import DottedText

USER = "help@example.org"
AGENT = "agent@example.org"
SECRET = 'marker-5e2d "x\\y z'
OPENED = []


def mail(number, *, body=b"body"):
    """Return a mail that differs from the others."""
    return b"Subject: mail %d\r\nMessage-ID: <%d@x>\r\n\r\n%s\r\n" % (number, number, body)


def account_at(endpoint, login=USER, **changes):
    """Return an account whose mailbox is there."""
    return EmailAccount(
        id="support",
        address=NamedAddress.parse("Help <help@example.org>"),
        inbound=InboundSettings(
            protocol=MailProtocol.POP3,
            endpoint=endpoint,
            login=parse_login(login),
            first_run=FirstRun.all(),
            **changes,
        ),
    )


def opened(session):
    """Return a session that is closed at the test's end."""
    OPENED.append(session)
    return session


@pytest.fixture(autouse=True)
def _close_sessions():
    yield
    while OPENED:
        OPENED.pop().close()


def open_at(pop3, tls=None, *, secret=SECRET, **changes):
    """Open a session on a loopback server."""
    account = account_at(pop3.endpoint, **changes)
    return opened(connect(account, StaticCredentials({"support": secret}), tls=tls))


def listed(session, *, writable=True):
    """Open INBOX and return all UIDs."""
    session.open_folder("INBOX", writable=writable)
    return [uid for window in session.list_uids() for uid in window]


def read(session, uids):
    """Return the mails' octets."""
    return [bytes(found.raw) for found in session.read(uids)]


def verbs(server):
    """Return what the server was asked, without arguments."""
    return [command.verb for command in server.commands]


@pytest.fixture
def server():
    """Return a server with a mailbox, and an agent who may open it."""
    fake = FakeMailServer()
    fake.add_mailbox(USER, password=SECRET)
    fake.add_mailbox(AGENT, password=SECRET)
    fake.grant(AGENT, USER)
    return fake


@pytest.fixture
def pop3(server):
    """Return the server's loopback face, in plain text."""
    with LoopbackPop3(server) as face:
        yield face


class OnFake:
    """A mailbox on the fake server, in process or over loopback."""

    def __init__(self, server, open_session):
        self.open = lambda: opened(open_session())
        self.deliver = partial(server.deliver, to=USER)
        self.expunge_elsewhere = partial(server.expunge_elsewhere, USER)
        self._server = server

    def raws(self):
        return [mail.raw for mail in self._server.mails(USER)]


class OnDovecot:
    """A mailbox of its own on a real Dovecot."""

    def __init__(self, dovecot, user):
        self.deliver = partial(dovecot.deliver, to=user)
        self.expunge_elsewhere = partial(dovecot.expunge_elsewhere, user)
        self._dovecot, self._user = dovecot, user
        open_session = partial(
            connect,
            account_at(Endpoint(dovecot.host, dovecot.pop3_tls_port, TlsMode.IMPLICIT), user),
            StaticCredentials({"support": dovecot.password}),
            tls=tls_context(dovecot.ca_file),
        )
        self.open = lambda: opened(open_session())

    def raws(self):
        return [raw for raw, _ in self._dovecot.contents(self._user)]


@pytest.fixture(
    params=[
        "in-process",
        "loopback",
        "loopback, one command at a time",
        pytest.param("dovecot", marks=pytest.mark.dovecot),
    ]
)
def world(request, server_tls, client_tls):
    """Return an empty mailbox, its sessions, and another client's hands."""
    if request.param == "dovecot":
        user = f"p{abs(hash(request.node.name))}@example.org"
        yield OnDovecot(request.getfixturevalue("dovecot"), user)
        return
    fake = FakeMailServer(without=("PIPELINING",) if "one" in request.param else ())
    fake.add_mailbox(USER, password=SECRET)
    if request.param == "in-process":
        yield OnFake(fake, partial(fake.open_mailbox, USER, protocol=MailProtocol.POP3))
        return
    with LoopbackPop3(fake, tls=server_tls) as face:
        yield OnFake(fake, partial(open_at, face, client_tls))


@pytest.fixture
def session(world):
    """Return a session that is closed afterwards."""
    opened = world.open()
    yield opened
    opened.close()


def test_an_opened_maildrop_tells_how_it_stands(world):
    """One folder, no UIDVALIDITY, no UIDNEXT, no feature; and mail that is there at the login."""
    world.deliver(mail(1))
    session = world.open()
    status = session.open_folder("inbox", writable=True)
    assert (status.uidvalidity, status.uidnext) == (None, None)
    assert (status.messages, status.writable) == (1, True)
    assert session.features == set()
    with pytest.raises(FolderNotFoundError) as caught:
        session.open_folder("Done", writable=True)
    assert caught.value.available == ("INBOX",)
    world.deliver(mail(2))
    assert session.check() is True
    assert len(listed(session)) == 1
    session.close()
    assert len(listed(world.open())) == 2


def test_mails_keep_names_order_and_octets(world):
    """Across sessions; sizes are told, and each UID counts once."""
    mails = [mail(number, body=b".dot\r\n..\r\n.\r\n" * number) for number in range(4)]
    for raw in mails:
        world.deliver(raw)
    session = world.open()
    uids = listed(session)
    assert len(set(uids)) == 4
    asked = [uids[2], uids[0], uids[2], uids[3]]
    assert read(session, asked) == [mails[2], mails[0], mails[3]]
    assert [(info.uid, info.size) for info in session.stat(asked)] == [
        (uids[number], len(mails[number])) for number in (2, 0, 3)
    ]
    headers = [raw[: raw.index(b"\r\n\r\n") + 4] for raw in mails]
    assert list(session.read_headers(asked)) == [
        (uids[number], headers[number]) for number in (2, 0, 3)
    ]
    session.close()
    assert listed(world.open()) == uids
    assert world.raws() == mails


@pytest.mark.parametrize("length", [5_000, 100_000])
def test_a_long_line_is_a_line(world, length):
    """F43: 5,000 or 100,000 octets without a line end are read as they are."""
    mails = [mail(1, body=b"x" * length + b"\r\n." + b"y" * length), mail(2)]
    for raw in mails:
        world.deliver(raw)
    session = world.open()
    assert read(session, listed(session)) == mails


def test_large_mail_is_a_map_and_leaves_nothing_behind(server, pop3, tmp_path):
    """Over 1 MiB a mail is in a file without a name, in the folder that was told."""
    raw = mail(1, body=b".\r\n." * 700_000)
    server.deliver(raw, to=USER)
    server.deliver(mail(2), to=USER)
    account = account_at(pop3.endpoint)
    open_session = opener(StaticCredentials({"support": SECRET}), scratch=tmp_path)
    session = opened(open_session(account))
    large, small = session.read(listed(session))
    assert isinstance(large.raw, mmap.mmap)
    assert large.raw[:] == raw
    assert small.raw == mail(2)
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_that_cannot_be_written_is_our_trouble(server, pop3, tmp_path):
    """The error names the disk, not the server; small mail needs none."""
    server.deliver(mail(1, body=b"x" * 2_000_000), to=USER)
    account = account_at(pop3.endpoint)
    session = opened(
        connect(account, StaticCredentials({"support": SECRET}), scratch=tmp_path / "missing")
    )
    with pytest.raises(StorageUnavailableError, match="large mail") as caught:
        read(session, listed(session))
    assert "temporary files" in caught.value.hint
    assert len(server.mails(USER)) == 1


def test_deletions_are_done_at_quit(world):
    """Until then they are a wish; asked for again they are no error."""
    for number in range(3):
        world.deliver(mail(number))
    session = world.open()
    uids = listed(session)
    assert len(read(session, uids)) == 3
    assert session.delete(uids[:2]) == set(uids[:2])
    assert session.delete([*uids[:1], "unknown"]) == {uids[0], "unknown"}
    assert listed(session) == uids[2:]
    assert read(session, uids) == [mail(2)]
    assert session.stat(uids[:2]) == ()
    assert session.open_folder("INBOX", writable=True).messages == 1
    assert world.raws() == [mail(number) for number in range(3)]
    session.close()
    assert world.raws() == [mail(2)]
    session.close()


def test_what_pop3_cannot_do_is_refused(session):
    """Flags and folders, and before anything is sent."""
    session.open_folder("INBOX", writable=False)
    calls = (
        lambda: session.mark_seen(["1"]),
        lambda: session.move(["1"], "Done"),
        lambda: session.ensure_folder("Done"),
        lambda: session.delete(["1"]),
    )
    for call in calls:
        with pytest.raises(SessionError, match="was not sent"):
            call()


def test_without_a_folder_nothing_is_sent(session):
    """Listing, reading and deleting need an open folder."""
    for call in (
        lambda: next(session.list_uids()),
        lambda: session.stat(["1"]),
        lambda: read(session, ["1"]),
        lambda: list(session.read_headers(["1"])),
        session.check,
        lambda: session.delete(["1"]),
    ):
        with pytest.raises(SessionError, match="no folder is open"):
            call()


def test_a_closed_session_is_lost(world):
    """Nothing works after close but close."""
    world.deliver(mail(1))
    session = world.open()
    (uid,) = listed(session)
    session.close()
    for call in (
        lambda: session.open_folder("INBOX", writable=True),
        lambda: next(session.list_uids()),
        lambda: read(session, [uid]),
        lambda: session.mark_seen([uid]),
        lambda: session.delete([uid]),
        session.check,
    ):
        with pytest.raises(SessionLostError):
            call()
    session.close()
    assert world.raws() == [mail(1)]


def test_a_mail_that_another_session_removes_is_no_error(world):
    """It is left out of what is read, and the others come."""
    uids = [world.deliver(mail(number)) for number in range(3)]
    session = world.open()
    names = listed(session)
    world.expunge_elsewhere(uids[1])
    assert read(session, names) == [mail(0), mail(2)]
    assert session.delete(names) >= {names[0], names[2]}
    session.close()
    assert world.raws() == []


@pytest.mark.parametrize("bad", ["1\r\nDELE 2", "1\n", "1\0", "", "\ud800"])
def test_a_uid_or_folder_cannot_carry_a_command(world, session, bad):
    """It is refused before anything is sent, and the session goes on."""
    world.deliver(mail(1))
    session.open_folder("INBOX", writable=True)
    for call in (
        lambda: session.open_folder(bad, writable=True),
        lambda: session.stat([bad]),
        lambda: read(session, [bad]),
        lambda: list(session.read_headers([bad])),
        lambda: session.delete([bad]),
    ):
        with pytest.raises(ConfigurationError):
            call()
    assert session.check()


def test_reading_may_be_left_in_the_middle(world):
    """Other methods are called meanwhile, and it goes on where it was."""
    for number in range(4):
        world.deliver(mail(number))
    session = world.open()
    uids = listed(session)
    reading = session.read(uids)
    assert next(reading).raw == mail(0)
    assert read(session, uids[3:]) == [mail(3)]
    assert session.delete(uids[:1]) == set(uids[:1])
    assert [found.raw for found in reading] == [mail(1), mail(2), mail(3)]


# The login


@pytest.mark.parametrize(
    "sent",
    [
        (USER, Dialect.SASL, (), ("AUTH", "PLAIN", USER, "")),
        (USER, Dialect.SASL, ("AUTH=PLAIN",), ("PASS", USER)),
        (USER, Dialect.SASL, ("CAPA",), ("PASS", USER)),
        (USER, Dialect.SASL, ("USER",), ("AUTH", "PLAIN", USER, "")),
        (rf"{AGENT}\{USER}", Dialect.SASL, (), ("AUTH", "PLAIN", AGENT, USER)),
        (rf"{AGENT}\{USER}", Dialect.EXCHANGE, (), ("PASS", rf"{AGENT}\{USER}")),
        (rf"{AGENT}\{USER}", Dialect.MASTER_USER, ("AUTH=PLAIN",), ("PASS", f"{USER}*{AGENT}")),
    ],
)  # fmt: skip
def test_each_dialect_sends_its_identity_once(server_tls, client_tls, sent):
    """The table of the design, by what the server got."""
    login, dialect, without, expected = sent
    fake = FakeMailServer(without=without)
    fake.add_mailbox(USER, password=SECRET)
    fake.add_mailbox(AGENT, password=SECRET)
    fake.grant(AGENT, USER)
    fake.deliver(mail(1), to=USER)
    with LoopbackPop3(fake, tls=server_tls) as face:
        session = open_at(face, client_tls, login=login, dialect=dialect)
        assert len(listed(session)) == 1
        session.close()
    logins = [one for one in fake.commands if one.verb in {"AUTH", "PASS"}]
    assert [(one.verb, *one.arguments) for one in logins] == [expected]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_opens_the_shared_mailbox(server_tls, client_tls, mechanism):
    """The user is the mailbox, and the token says who authenticates."""
    other = {"XOAUTH2": "OAUTHBEARER", "OAUTHBEARER": "XOAUTH2"}[mechanism]
    fake = FakeMailServer(without=(f"AUTH={other}",))
    fake.add_mailbox(USER)
    fake.add_mailbox(AGENT, password="token-marker")
    fake.grant(AGENT, USER)
    with LoopbackPop3(fake, tls=server_tls) as face:
        bearer = Bearer.of("token-marker")
        open_at(face, client_tls, login=rf"{AGENT}\{USER}", secret=bearer).close()
        with pytest.raises(AuthenticationError, match="invalid_token") as caught:
            open_at(face, client_tls, login=USER, secret=Bearer.of("wrong-marker"))
    assert caught.value.mechanism == mechanism
    assert "wrong-marker" not in f"{caught.value} {vars(caught.value)}"
    assert [one.arguments for one in fake.commands if one.verb == "AUTH"] == [(mechanism, USER)] * 2


def test_a_shared_mailbox_needs_plain_or_a_dialect(server_tls, client_tls):
    """USER and PASS cannot say it, and nothing is tried."""
    fake = FakeMailServer(without=("AUTH=PLAIN",))
    fake.add_mailbox(USER, password=SECRET)
    with (
        LoopbackPop3(fake, tls=server_tls) as face,
        pytest.raises(ConfigurationError, match="PLAIN"),
    ):
        open_at(face, client_tls, login=rf"{AGENT}\{USER}")
    assert set(verbs(fake)) <= {"CAPA"}


@pytest.mark.parametrize("without", [(), ("AUTH=PLAIN",)])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AUTH", AuthenticationError),
        (None, AuthenticationError),
        ("IN-USE", ConnectError),
        ("LOGIN-DELAY", ConnectError),
        ("SYS/TEMP", ConnectError),
        ("SYS/PERM", SessionError),
    ],
)
def test_a_refused_login_is_judged_by_its_code(without, code, expected):
    """RFC 2449 and RFC 3206; one attempt, whatever it says."""
    fake = FakeMailServer(without=without)
    fake.add_mailbox(USER, password=SECRET)
    fake.refuse_login(USER, code)
    with LoopbackPop3(fake) as face, pytest.raises(SessionError) as caught:
        open_at(face)
    assert type(caught.value) is expected
    assert caught.value.response_code == code
    assert len([verb for verb in verbs(fake) if verb in {"AUTH", "PASS"}]) == 1
    assert caught.value.__context__ is None


def test_a_refused_user_name_is_a_refused_login(server_tls, client_tls):
    """The secret is not sent after it."""
    fake = FakeMailServer(without=("AUTH=PLAIN", "CAPA", "USER"))
    fake.add_mailbox(USER, password=SECRET)
    with (
        LoopbackPop3(fake, tls=server_tls) as face,
        pytest.raises(AuthenticationError, match="use AUTH"),
    ):
        open_at(face, client_tls)
    assert "PASS" not in verbs(fake)


@pytest.mark.parametrize("secret", ["a\r\nDELE 1", "a\0b", "a\nb"])
@pytest.mark.parametrize("dialect", [Dialect.SASL, Dialect.EXCHANGE])
def test_a_secret_cannot_carry_a_command(server, pop3, secret, dialect):
    """T6: it is refused before it is sent, and not shown."""
    with pytest.raises(ConfigurationError) as caught:
        open_at(pop3, secret=secret, dialect=dialect)
    assert secret not in str(caught.value)
    assert set(verbs(server)) <= {"CAPA"}


def test_secrets_beyond_ascii_go_by_plain_only(server_tls, client_tls):
    """USER and PASS have no charset (RFC 1939); PLAIN is UTF-8."""
    for without, opens in (((), True), (("AUTH=PLAIN",), False)):
        fake = FakeMailServer(without=without)
        fake.add_mailbox(USER, password="pässwörd")
        with LoopbackPop3(fake, tls=server_tls) as face:
            if opens:
                open_at(face, client_tls, secret="pässwörd").close()
                continue
            with pytest.raises(ConfigurationError, match="ASCII"):
                open_at(face, client_tls, secret="pässwörd")


def test_no_secret_shows_anywhere(server, pop3, caplog):
    """Not in errors, representations or logs."""
    caplog.set_level(logging.DEBUG)
    session = open_at(pop3)
    said = [repr(session), str(server.commands)]
    session.close()
    said.append(repr(session))
    server.refuse_login(USER)
    with pytest.raises(AuthenticationError) as caught:
        open_at(pop3)
    said += [str(caught.value), str(vars(caught.value)), caplog.text]
    coded = base64.b64encode(f"\0{USER}\0{SECRET}".encode()).decode()
    assert not any(SECRET in text or coded in text for text in said)
    assert "help@example.org" in said[0]


# TLS


def test_stls_comes_before_everything(server, server_tls, client_tls):
    """The first command is STLS; what can be done is asked inside TLS."""
    with LoopbackPop3(server, tls=server_tls, starttls=True) as face:
        session = open_at(face, client_tls)
        assert listed(session) == []
        session.close()
    assert verbs(server)[:3] == ["STLS", "CAPA", "AUTH"]


def test_stls_fails_closed(server, server_tls, client_tls):
    """Refused: no login goes out in plain text."""
    server.answer_no("STLS")
    with (
        LoopbackPop3(server, tls=server_tls, starttls=True) as face,
        pytest.raises(TlsError, match="STLS") as caught,
    ):
        open_at(face, client_tls)
    assert "CLEARTEXT" in caught.value.hint
    assert verbs(server) == ["STLS"]


def test_cleartext_is_used_only_when_named(server, pop3, client_tls):
    """The default never falls back to it."""
    open_at(pop3).close()
    count = len(server.commands)
    account = account_at(Endpoint(pop3.host, pop3.port, TlsMode.IMPLICIT))
    with pytest.raises((TlsError, ConnectError)):
        connect(account, StaticCredentials({"support": SECRET}), tls=client_tls)
    assert len(server.commands) == count


@pytest.mark.parametrize("starttls", [True, False])
def test_an_unknown_certificate_is_not_trusted(server, server_tls, starttls):
    """The system's authorities do not know this one, and nothing is sent inside."""
    with (
        LoopbackPop3(server, tls=server_tls, starttls=starttls) as face,
        pytest.raises(TlsError),
    ):
        open_at(face)
    assert set(verbs(server)) <= {"STLS"}


def test_a_certificate_for_another_name_is_not_trusted(server, client_tls, authority):
    """The name is verified, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("pop.example.org").configure_cert(context)
    with LoopbackPop3(server, tls=context) as face, pytest.raises(TlsError):
        open_at(face, client_tls)
    assert verbs(server) == []


# How a session ends (F44)


@pytest.mark.parametrize(
    ("fault", "left"), [({"before": "QUIT"}, 2), ({"after": "QUIT"}, 0)], ids=["lost", "unread"]
)
def test_quit_that_is_lost_or_unread_is_unknown(server, pop3, fault, left):
    """F44: close says nothing, and the next login sees what became of it."""
    for number in range(2):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    assert session.delete(uids) == set(uids)
    server.drop_connection(**fault)
    session.close()
    assert len(server.mails(USER)) == left
    assert len(listed(open_at(pop3))) == left


def test_deletions_without_quit_are_none(server, pop3):
    """F44: a connection that ends takes no mail with it."""
    for number in range(2):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    server.drop_connection(after="DELE", nth=2)
    with pytest.raises(SessionLostError):
        session.delete(uids)
    session.close()
    assert listed(open_at(pop3)) == uids


def test_deletions_of_an_earlier_run_are_committed_before_a_mail_is_read(server, pop3):
    """A mail that breaks every session does not keep those before it on the server."""
    for number in range(3):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    session.delete(uids[:2])
    server.drop_connection(before="RETR")
    with pytest.raises(SessionLostError):
        read(session, uids[2:])
    session.close()
    assert [found.raw for found in server.mails(USER)] == [mail(2)]


def test_a_hundred_deletions_are_committed_before_more_is_read(server, pop3):
    """A sub-session ends in between, and reading goes on where it was, by new numbers."""
    for number in range(210):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    got = []
    for start in range(0, 210, 105):
        part = uids[start : start + 105]
        reading = session.read(part)
        got.append(next(reading).raw)
        if start:
            assert len(server.mails(USER)) == 105
        got += [found.raw for found in reading]
        session.delete(part)
    assert got == [mail(number) for number in range(210)]
    assert verbs(server).count("AUTH") == 2
    session.close()
    assert server.mails(USER) == ()


def test_reading_goes_on_after_another_login(server, pop3):
    """A reading and a listing that were left in the middle find their mails by name."""
    for number in range(210):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    listing, reading = session.list_uids(), session.read(uids[100:])
    next(listing)
    assert next(reading).raw == mail(100)
    session.delete(uids[:100])
    assert read(session, uids[209:]) == [mail(209)]  # commits, and logs in again
    server.deliver(mail(999), to=USER)
    assert [found.raw for found in reading] == [mail(number) for number in range(101, 210)]
    assert list(listing) == []
    assert verbs(server).count("QUIT") == 1


@pytest.mark.parametrize("verb", ["LOGIN", "LIST"])
def test_a_second_login_that_fails_is_a_lost_session(server, pop3, verb):
    """What was deleted before it is gone, and no mail was lost."""
    for number in range(2):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    session.delete(uids[:1])
    server.answer_no(verb, "SYS/TEMP")
    with pytest.raises(SessionLostError, match="opened again") as caught:
        read(session, uids[1:])
    assert caught.value.__context__ is None
    assert [found.raw for found in server.mails(USER)] == [mail(1)]
    with pytest.raises(SessionLostError):
        session.check()


# What names a mail (F45)


def test_equal_mails_with_one_unique_id_are_one(server, pop3):
    """F45: RFC 1939 §7 allows it: they are read once and deleted together."""
    uids = [server.deliver(raw, to=USER) for raw in (mail(1), mail(2), mail(1))]
    server.share_unique_id(USER, uids[0], uids[2])
    session = open_at(pop3)
    names = listed(session)
    assert len(names) == 2
    assert read(session, names) == [mail(1), mail(2)]
    assert names == listed(open_at(pop3))
    session.delete(names[:1])
    session.close()
    assert [found.raw for found in server.mails(USER)] == [mail(2)]


def test_different_mails_with_one_unique_id_are_not_taken_for_one(server, pop3):
    """F45: a server that breaks RFC 1939 costs no mail."""
    uids = [server.deliver(mail(number), to=USER) for number in range(3)]
    server.share_unique_id(USER, *uids)
    session = open_at(pop3)
    names = listed(session)
    assert read(session, names) == [mail(0), mail(1), mail(2)]
    session.delete(names[1:2])
    session.close()
    assert [found.raw for found in server.mails(USER)] == [mail(0), mail(2)]


def test_unique_ids_that_change_are_new_names(server, pop3):
    """F45: the old ones mean nothing any more, and nothing is deleted by them."""
    server.deliver(mail(1), to=USER)
    before = listed(open_at(pop3))
    server.roll_uidvalidity(USER)
    session = open_at(pop3)
    after = listed(session)
    assert not set(before) & set(after)
    assert read(session, before) == []
    session.delete(before)
    session.close()
    assert len(server.mails(USER)) == 1


def test_a_maildrop_that_is_rebuilt_ends_the_session(server, pop3):
    """F45: as real servers do it; nothing is deleted under old numbers."""
    for number in range(2):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    read(session, uids)
    session.delete(uids[:1])
    server.roll_uidvalidity(USER)
    with pytest.raises(SessionLostError):
        read(session, uids[1:])
    session.close()
    assert len(server.mails(USER)) == 2


@pytest.fixture
def bare():
    """Return a server that knows neither UIDL nor PIPELINING nor TOP nor CAPA."""
    fake = FakeMailServer(without=("UIDL", "PIPELINING", "TOP", "CAPA"))
    fake.add_mailbox(USER, password=SECRET)
    for number in range(3):
        fake.deliver(mail(number), to=USER)
    return fake


def test_without_uidl_a_mailbox_can_be_emptied(bare):
    """F45: mails are named by what they hold, in this session and the next."""
    with LoopbackPop3(bare) as face:
        first = open_at(face)
        names = listed(first)
        first.close()
        session = open_at(face)
        session.open_folder("INBOX", writable=True)
        assert [info.uid for info in session.stat(names)] == names  # before anything is listed
        assert list(session.list_uids()) == [tuple(names)]
        assert read(session, names) == [mail(0), mail(1), mail(2)]
        session.delete(names[:2])
        session.close()
    assert [found.raw for found in bare.mails(USER)] == [mail(2)]


def test_without_uidl_mail_cannot_be_kept(bare):
    """F45: it could not be known again; the error says what to set."""
    with LoopbackPop3(bare) as face, pytest.raises(ConfigurationError, match="UIDL") as caught:
        listed(open_at(face), writable=False)
    assert "delete" in caught.value.hint


def test_without_top_headers_are_read_from_the_mail(bare):
    """The server sends all of it; the rest is left out."""
    with LoopbackPop3(bare) as face:
        session = open_at(face)
        names = listed(session)
        assert [header for _, header in session.read_headers(names[:1])] == [
            b"Subject: mail 0\r\nMessage-ID: <0@x>\r\n\r\n"
        ]


def test_a_header_that_is_too_long_is_left_out(server, pop3):
    """256 KiB are no header that anybody wants to look at."""
    server.deliver(b"X: " + b"y" * 300_000 + b"\r\n\r\nbody\r\n", to=USER)
    server.deliver(mail(1), to=USER)
    session = open_at(pop3)
    assert len(list(session.read_headers(listed(session)))) == 1


# Speed


def test_a_server_that_pipelines_is_asked_for_many_at_once(server, pop3):
    """Small mails come together, a large one alone; the order stays."""
    mails = [mail(1), mail(2, body=b"x" * 3_000_000), *(mail(number) for number in range(3, 300))]
    for raw in mails:
        server.deliver(raw, to=USER)
    session = open_at(pop3)
    assert read(session, listed(session)) == mails


def test_many_deletions_are_written_in_parts(server, pop3):
    """No more commands are under way than the buffers of a line hold; all of them are done."""
    for number in range(500):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    assert session.delete(uids) == set(uids)
    session.close()
    assert server.mails(USER) == ()


def test_a_refused_mail_is_left_there(server, pop3):
    """RETR -ERR: the others come, and it is still told, so that somebody looks."""
    for number in range(3):
        server.deliver(mail(number), to=USER)
    session = open_at(pop3)
    uids = listed(session)
    server.answer_no("RETR", "SYS/TEMP", nth=2)
    assert read(session, uids) == [mail(0), mail(2)]
    assert [info.uid for info in session.stat(uids)] == uids
    server.answer_no("DELE", times=1)
    assert session.delete(uids) == set(uids[1:])
    server.answer_no("DELE", "SYS/PERM", times=1)
    with pytest.raises(SessionError, match="DELE") as caught:
        session.delete(uids)
    assert caught.value.response_code == "SYS/PERM"


@pytest.mark.parametrize("verb", ["LIST", "UIDL"])
def test_a_refused_listing(server, pop3, verb):
    """LIST -ERR refuses the folder; UIDL -ERR means that there are no names."""
    server.deliver(mail(1), to=USER)
    server.answer_no(verb, "SYS/TEMP")
    session = open_at(pop3)
    with pytest.raises(SessionError if verb == "LIST" else ConfigurationError):
        session.open_folder("INBOX", writable=False)
    assert session.open_folder("INBOX", writable=False).messages == 1


@pytest.mark.parametrize("mode", list(TlsMode))
@pytest.mark.parametrize(
    ("login", "dialect"),
    [
        (r"{user}", Dialect.SASL),
        (r"{master}\{user}", Dialect.SASL),
        (r"{master}\{user}", Dialect.MASTER_USER),
    ],
)
@pytest.mark.dovecot
def test_dovecot_opens_the_mailbox_that_the_login_names(dovecot, login, dialect, mode):
    """The same mail is there, by every way in."""
    user = "pop-shared@example.org"
    dovecot.deliver(mail(1), to=user)
    port = dovecot.pop3_tls_port if mode is TlsMode.IMPLICIT else dovecot.pop3_port
    name = login.format(user=user, master=dovecot.master)
    session = opened(
        connect(
            account_at(Endpoint("localhost", port, mode), name, dialect=dialect),
            StaticCredentials({"support": dovecot.password}),
            tls=tls_context(dovecot.ca_file),
        )
    )
    assert read(session, listed(session)[:1]) == [mail(1)]
    session.close()


@pytest.mark.dovecot
def test_dovecot_refuses_a_wrong_password(dovecot):
    """Its response code says that it is the password."""
    account = account_at(Endpoint("localhost", dovecot.pop3_tls_port, TlsMode.IMPLICIT))
    with pytest.raises(AuthenticationError) as caught:
        connect(
            account,
            StaticCredentials({"support": "wrong-marker"}),
            tls=tls_context(dovecot.ca_file),
        )
    assert caught.value.response_code == "AUTH"


# The text of an answer


def stuffed(octets):
    """Write octets as RFC 1939 §3 wants it."""
    lines = octets.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


@given(
    lines=st.lists(st.text("x.\r\n", max_size=6).map(str.encode)),
    cuts=st.lists(st.integers(0, 60)),
    follows=st.sampled_from([b"", b"+OK\r\n", b".\r\n"]),
)
def test_dots_are_undone_however_the_octets_come(lines, cuts, follows):
    """The mail is what it was, in pieces of any size, and what follows is not touched."""
    octets = b"".join(line + b"\r\n" for line in lines)
    sent = stuffed(octets) + follows
    text, got = DottedText(), b""
    for cut in (*cuts, len(sent)):
        while not text.ended and sent:
            piece, used = text.feed(sent[: max(cut, 1)])
            got, sent = got + piece, sent[used:]
            if cut < len(sent):
                break
    assert text.ended
    assert (got, sent) == (octets, follows)
    assert text.count == len(octets)
