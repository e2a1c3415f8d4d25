"""One behaviour of mail sessions: in process, by IMAP over loopback, and on a real Dovecot."""

import base64
import logging
import ssl
from datetime import UTC, datetime
from functools import partial

import attrs
import pytest

from mailrouting.accounts import (
    ArrivesIn,
    EmailAccount,
    Endpoint,
    FirstRun,
    InboundSettings,
    TlsMode,
)
from mailrouting.addresses import NamedAddress
from mailrouting.auth import Bearer, Dialect, MailProtocol, Password, parse_login
from mailrouting.connect import StaticCredentials, Timeouts, connect, opener, tls_context
from mailrouting.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    FolderNotFoundError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
    TlsError,
)
from mailrouting.session import Direction, SessionFeature
from mailrouting.testing.loopback import LoopbackImap
from mailrouting.testing.server import FakeMailServer

USER = "help@example.org"
AGENT = "agent@example.org"
SECRET = 'marker-9c1f "x\\y"'
WHEN = datetime(2025, 7, 1, 12, 30, 15, tzinfo=UTC)
FOLDER = "Erledigt & mehr: Größe"


def mail(number, *, size=0):
    """Return a mail that differs from the others."""
    head = f"Subject: mail {number}\r\nMessage-ID: <{number}@x>\r\n\r\n"
    return head.encode() + b"\xff body\r\n" + b"0123456789abcd\r\n" * size


def account_at(endpoint, login=USER, **changes):
    """Return an account whose mailbox is there."""
    return EmailAccount(
        id="support",
        address=NamedAddress.parse("Help <help@example.org>"),
        inbound=InboundSettings(
            protocol=MailProtocol.IMAP,
            endpoint=endpoint,
            login=parse_login(login),
            first_run=FirstRun.all(),
            **changes,
        ),
    )


class InProcess:
    """The in-process face of the fake server."""

    def __init__(self):
        self.server = FakeMailServer()
        self.server.add_mailbox(USER, password=SECRET)
        self.deliver = partial(self.server.deliver, to=USER)
        self.expunge_elsewhere = partial(self.server.expunge_elsewhere, USER)
        self.flag_elsewhere = partial(self.server.flag_elsewhere, USER)
        self.open = partial(self.server.open_mailbox, USER)

    def flags(self, folder="INBOX"):
        return {mail.uid: set(mail.flags) for mail in self.server.mails(USER, folder)}


class Loopback(InProcess):
    """Its loopback face, through our IMAP client."""

    def __init__(self, imap, server, tls):
        self.server = server
        self.deliver = partial(self.server.deliver, to=USER)
        self.expunge_elsewhere = partial(self.server.expunge_elsewhere, USER)
        self.flag_elsewhere = partial(self.server.flag_elsewhere, USER)
        self.open = partial(
            connect, account_at(imap.endpoint), StaticCredentials({"support": SECRET}), tls=tls
        )


class OnDovecot:
    """A mailbox of its own on a real Dovecot."""

    def __init__(self, dovecot, user):
        self._dovecot, self._user = dovecot, user
        self.deliver = partial(dovecot.deliver, to=user)
        self.expunge_elsewhere = partial(dovecot.expunge_elsewhere, user)
        self.flag_elsewhere = partial(dovecot.flag_elsewhere, user)
        self.open = partial(
            connect,
            account_at(Endpoint(dovecot.host, dovecot.tls_port, TlsMode.IMPLICIT), user),
            StaticCredentials({"support": dovecot.password}),
            tls=tls_context(dovecot.ca_file),
        )

    def flags(self, folder="INBOX"):
        return self._dovecot.flags(self._user, folder)


@pytest.fixture(
    params=["in-process", "loopback", pytest.param("dovecot", marks=pytest.mark.dovecot)]
)
def world(request):
    """Return an empty mailbox, its sessions, and another client's hands."""
    if request.param == "in-process":
        yield InProcess()
    elif request.param == "loopback":
        server = FakeMailServer()
        server.add_mailbox(USER, password=SECRET)
        with LoopbackImap(server, tls=request.getfixturevalue("server_tls")) as imap:
            yield Loopback(imap, server, request.getfixturevalue("client_tls"))
    else:
        user = f"u{abs(hash(request.node.name))}@example.org"
        yield OnDovecot(request.getfixturevalue("dovecot"), user)


@pytest.fixture
def session(world):
    """Return a session that is closed afterwards."""
    opened = world.open()
    yield opened
    opened.close()


def test_an_opened_folder_tells_how_it_stands(world, session):
    """UIDVALIDITY is there, UIDNEXT is past the last mail, and the count is right."""
    world.deliver(mail(1))
    last = world.deliver(mail(2))
    status = session.open_folder("INBOX", writable=True)
    assert status.uidvalidity > 0
    assert status.uidnext > int(last)
    assert (status.messages, status.writable) == (2, True)
    assert session.features == set(SessionFeature)


def test_a_missing_folder_names_those_that_exist(session):
    """The error says what there is, and the session goes on."""
    with pytest.raises(FolderNotFoundError) as caught:
        session.open_folder("Nowhere", writable=False)
    assert "INBOX" in caught.value.available
    assert "Nowhere" in str(caught.value)
    assert caught.value.hint
    assert session.open_folder("inbox", writable=False).messages == 0


def test_uids_are_listed_in_order_without_deleted_mail(world, session):
    """A mail that another client marked deleted is not offered."""
    uids = [world.deliver(mail(number)) for number in range(4)]
    world.flag_elsewhere(uids[1], r"\Deleted")
    session.open_folder("INBOX", writable=True)
    assert [uid for window in session.list_uids() for uid in window] == [uids[0], *uids[2:]]


def test_an_empty_folder_lists_nothing(session):
    """No window is yielded for an empty folder."""
    session.open_folder("INBOX", writable=True)
    assert list(session.list_uids()) == []


def test_stat_keeps_the_order_asked_for_and_leaves_out_what_vanished(world, session):
    """F16: Sizes, flags and dates come in the caller's order; an absent UID is no error."""
    uids = [
        world.deliver(mail(number, size=number), received_at=WHEN, flags=[r"\Seen"])
        for number in range(3)
    ]
    world.expunge_elsewhere(uids[1])
    session.open_folder("INBOX", writable=True)
    infos = session.stat([uids[2], uids[1], uids[0], "4000000000", uids[2]])
    assert [info.uid for info in infos] == [uids[2], uids[0]]
    assert infos[1].size == len(mail(0))
    assert infos[1].received_at == WHEN
    assert r"\Seen" in infos[1].flags


def test_read_gives_the_bytes_and_leaves_mail_unseen(world, session):
    """M1, M4: bytes as delivered, in the order asked for, nothing marked, no error for absence."""
    uids = [world.deliver(mail(number), received_at=WHEN) for number in range(3)]
    world.expunge_elsewhere(uids[1])
    session.open_folder("INBOX", writable=True)
    read = list(session.read([uids[2], uids[1], uids[0]]))
    assert [(found.uid, found.raw) for found in read] == [(uids[2], mail(2)), (uids[0], mail(0))]
    assert {found.received_at for found in read} == {WHEN}
    assert all(r"\Seen" not in flags for flags in world.flags().values())


def test_large_mail_is_read_whole(world, session):
    """A mail past the batch budget comes in parts and is put together rightly."""
    sizes = (170_000, 131_072 + 3, 1, 140_000)
    uids = [world.deliver(mail(number, size=size)) for number, size in enumerate(sizes)]
    session.open_folder("INBOX", writable=False)
    read = list(session.read(uids))
    assert [found.raw[:] for found in read] == [
        mail(number, size=size) for number, size in enumerate(sizes)
    ]


def test_headers_are_the_beginning_of_what_is_read(world, session):
    """M1, M4, M8, M9: to the empty line, in the order asked for, nothing marked."""
    raws = [
        mail(1),
        b"Subject: no end\r\n",
        b"\r\nonly a body\r\n",
        b"X-Long: " + b"x" * 300_000 + b"\r\n\r\n",
    ]
    uids = [world.deliver(raw) for raw in raws]
    session.open_folder("INBOX", writable=True)
    found = dict(session.read_headers([uids[2], uids[0], "4000000000", uids[3], uids[2]]))
    assert found == {uids[2]: b"\r\n", uids[0]: mail(1)[: mail(1).index(b"\r\n\r\n") + 4]}
    assert list(found) == [uids[2], uids[0]]
    assert dict(session.read_headers([uids[1]]))[uids[1]].startswith(b"Subject: no end\r\n")
    assert all(r"\Seen" not in flags for flags in world.flags().values())


def test_check_says_whether_mail_came_that_was_not_listed(world, session):
    """M13: on a kept session one question tells, until the mail is listed."""
    session.open_folder("INBOX", writable=True)
    assert not session.check()
    uids = [world.deliver(mail(1))]
    assert session.check()
    assert session.check()
    assert [uid for window in session.list_uids() for uid in window] == uids
    assert not session.check()
    world.expunge_elsewhere(uids[0])
    uids.append(world.deliver(mail(2)))
    session.mark_seen(uids[1:])
    assert session.check()
    assert [uid for window in session.list_uids() for uid in window] == uids[1:]


def test_mark_seen_returns_only_what_carries_the_flag(world, session):
    """M3: a mail that is gone is not said to be seen."""
    uids = [world.deliver(mail(number)) for number in range(3)]
    world.expunge_elsewhere(uids[0])
    session.open_folder("INBOX", writable=True)
    assert session.mark_seen(uids[:2]) == {uids[1]}
    flags = world.flags()
    assert r"\Seen" in flags[uids[1]]
    assert r"\Seen" not in flags[uids[2]]


def test_move_takes_only_what_it_names(world, session):
    """M2: named mail is in the other folder; what others marked deleted is still here."""
    uids = [world.deliver(mail(number)) for number in range(4)]
    session.ensure_folder(FOLDER)
    session.open_folder("INBOX", writable=True)
    world.flag_elsewhere(uids[3], r"\Deleted")
    world.expunge_elsewhere(uids[0])
    assert session.move(uids[:2], FOLDER) == set(uids[:2])
    assert set(world.flags()) == {uids[2], uids[3]}
    assert session.open_folder(FOLDER, writable=False).messages == 1


def test_a_move_to_a_missing_folder_leaves_the_mail(world, session):
    """The error says which folders there are; nothing is moved."""
    uid = world.deliver(mail(1))
    session.open_folder("INBOX", writable=True)
    with pytest.raises(FolderNotFoundError) as caught:
        session.move([uid], "Nowhere")
    assert "INBOX" in caught.value.available
    assert set(world.flags()) == {uid}


def test_delete_takes_only_what_it_names(world, session):
    """M2: mail that others marked deleted survives."""
    uids = [world.deliver(mail(number)) for number in range(3)]
    world.flag_elsewhere(uids[2], r"\Deleted")
    session.open_folder("INBOX", writable=True)
    assert session.delete([uids[0]]) == {uids[0]}
    session.close()
    assert set(world.flags()) == {uids[1], uids[2]}


def test_ensure_folder_is_idempotent(session):
    """Twice is as once, and INBOX is always there."""
    session.ensure_folder(FOLDER)
    session.ensure_folder(FOLDER)
    session.ensure_folder("inbox")
    assert session.open_folder(FOLDER, writable=True).messages == 0


def test_a_folder_open_for_reading_is_not_changed(world, session):
    """Without `writable` every change is refused and no mail differs."""
    uid = world.deliver(mail(1))
    status = session.open_folder("INBOX", writable=False)
    assert not status.writable
    for change in (session.mark_seen, session.delete, partial(session.move, folder="INBOX")):
        with pytest.raises(SessionError, match="reading only"):
            change([uid])
    assert r"\Seen" not in world.flags()[uid]


def test_no_mails_are_no_command(world, session):
    """Empty sets are answered with empty sets."""
    session.open_folder("INBOX", writable=True)
    assert session.stat([]) == ()
    assert list(session.read([])) == []
    assert session.mark_seen([]) == session.delete([]) == session.move([], "INBOX") == frozenset()


def test_without_a_folder_nothing_is_sent(session):
    """A session says that a folder must be opened first."""
    for call in (session.stat, session.mark_seen, session.delete):
        with pytest.raises(SessionError, match="no folder is open"):
            call(["1"])
    with pytest.raises(SessionError, match="no folder is open"):
        list(session.list_uids())


def test_a_closed_session_is_lost(world, session):
    """`close` is idempotent, and later calls say so."""
    session.open_folder("INBOX", writable=True)
    session.close()
    session.close()
    assert "closed" in repr(session)
    for call in (partial(session.open_folder, writable=True), session.ensure_folder):
        with pytest.raises(SessionLostError, match="closed"):
            call("INBOX2")
    with pytest.raises(SessionLostError, match="closed"):
        session.stat(["1"])


@pytest.mark.parametrize("bad", ["a\r\nX1 DELETE INBOX", "a\nb", "a\0b", "", "\ud800"])
def test_a_folder_name_cannot_carry_a_command(world, session, bad):
    """CR, LF, NUL and lone surrogates are refused before anything is sent."""
    session.open_folder("INBOX", writable=True)
    calls = (
        partial(session.open_folder, bad, writable=False),
        partial(session.ensure_folder, bad),
        partial(session.move, ["1"], bad),
    )
    for call in calls:
        with pytest.raises(ConfigurationError):
            call()
    assert session.open_folder("INBOX", writable=True).messages == 0


@pytest.mark.parametrize(
    "bad", ["1\r\nX1 EXPUNGE", "1:*", "*", "0", "-1", "4294967296", "٣", "", "1,2", " 1"]
)
def test_a_uid_cannot_carry_a_command(world, session, bad):
    """What is no UID is refused before anything is sent."""
    uid = world.deliver(mail(1))
    session.open_folder("INBOX", writable=True)
    calls = (session.stat, session.mark_seen, session.delete, partial(session.move, folder="X"))
    for call in calls:
        with pytest.raises(ConfigurationError, match="no IMAP UID"):
            call([bad])
    with pytest.raises(ConfigurationError, match="no IMAP UID"):
        list(session.read([bad]))
    assert set(world.flags()) == {uid}


@pytest.fixture(params=["in-process", "loopback"])
def fake(request, server_tls, client_tls):
    """Return a fake server, and how to open a session on it."""
    server = FakeMailServer()
    server.add_mailbox(USER, password=SECRET, folders=("INBOX", "Done"))
    if request.param == "in-process":
        yield server, server.open_session, account_at(Endpoint("fake.invalid"))
        return
    with LoopbackImap(server, tls=server_tls) as imap:
        open_session = opener(StaticCredentials({"support": SECRET}), tls=client_tls)
        yield server, open_session, account_at(imap.endpoint)


@pytest.mark.parametrize("bad", ["a\r\nX1 DELETE INBOX", "a\0b"])
def test_refused_arguments_leave_no_trace_on_the_server(fake, bad):
    """Nothing of an injection reaches the server, not even a part."""
    server, open_session, account = fake
    session = open_session(account)
    session.open_folder("INBOX", writable=True)
    server.forget_commands()
    for call in (
        partial(session.open_folder, bad, writable=False),
        partial(session.ensure_folder, bad),
        partial(session.move, ["1"], bad),
        partial(session.stat, [bad]),
        partial(session.delete, [bad]),
    ):
        with pytest.raises(ConfigurationError):
            call()
    assert server.commands == ()
    session.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AUTHENTICATIONFAILED", AuthenticationError),
        ("AUTHORIZATIONFAILED", AuthenticationError),
        ("EXPIRED", AuthenticationError),
        (None, AuthenticationError),
        ("UNAVAILABLE", ConnectError),
        ("INUSE", ConnectError),
        ("LIMIT", ConnectError),
    ],
)
def test_a_refused_login_is_judged_by_its_code(fake, code, expected):
    """F35: Only the response code tells a wrong password from a busy server."""
    server, open_session, account = fake
    server.refuse_login(USER, code)
    with pytest.raises(expected) as caught:
        open_session(account)
    error = caught.value
    assert type(error) is expected
    assert (error.response_code, error.account_id) == (code, "support")
    assert error.hint
    server.accept_login(USER)
    open_session(account).close()


def test_a_server_that_is_away_is_a_connect_error(fake):
    """Refused or hung up before the login: a retry may help."""
    server, open_session, account = fake
    server.go_offline()
    with pytest.raises(ConnectError) as caught:
        open_session(account)
    assert caught.value.retryable
    server.go_online()
    server.drop_connection(before="LOGIN")
    with pytest.raises(ConnectError):
        open_session(account)
    open_session(account).close()


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("SEARCH", lambda session: list(session.list_uids())),
        ("FETCH", lambda session: session.stat(["1"])),
        ("FETCH", lambda session: list(session.read(["1"]))),
        ("STORE", lambda session: session.mark_seen(["1"])),
        ("MOVE", lambda session: session.move(["1"], "Done")),
        ("EXPUNGE", lambda session: session.delete(["1"])),
        ("CREATE", lambda session: session.ensure_folder("New")),
        ("EXAMINE", lambda session: session.open_folder("INBOX", writable=False)),
    ],
)
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_dropped_connection_is_a_lost_session(fake, verb, call, side):
    """F22, F41: Whenever the server hangs up, the session is lost and stays so."""
    server, open_session, account = fake
    server.deliver(mail(1), to=USER)
    session = open_session(account)
    session.open_folder("INBOX", writable=True)
    server.drop_connection(**{side: verb})
    with pytest.raises(SessionLostError) as caught:
        call(session)
    assert caught.value.retryable
    with pytest.raises(SessionLostError):
        session.stat(["1"])
    session.close()


def test_what_was_done_before_the_drop_stays_done(fake):
    """`after` loses the answer, `before` the command."""
    server, open_session, account = fake
    for side, left in (("before", 1), ("after", 0)):
        uid = server.deliver(mail(1), to=USER)
        session = open_session(account)
        session.open_folder("INBOX", writable=True)
        server.drop_connection(**{side: "MOVE"})
        with pytest.raises(SessionLostError):
            session.move([uid], "Done")
        assert len(server.mails(USER)) == left
        for found in server.mails(USER):
            server.expunge_elsewhere(USER, found.uid)


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("SEARCH", lambda session: list(session.list_uids())),
        ("FETCH", lambda session: list(session.read(["1"]))),
        ("STORE", lambda session: session.mark_seen(["1"])),
        ("MOVE", lambda session: session.move(["1"], "Done")),
        ("EXPUNGE", lambda session: session.delete(["1"])),
        ("CREATE", lambda session: session.ensure_folder("New")),
        ("SELECT", lambda session: session.open_folder("INBOX", writable=True)),
    ],
)
def test_a_clean_no_is_a_session_error_and_the_session_goes_on(fake, verb, call):
    """A NO is told with its code, and the same call succeeds when it is over."""
    server, open_session, account = fake
    server.deliver(mail(1), to=USER)
    session = open_session(account)
    session.open_folder("INBOX", writable=True)
    server.answer_no(verb, "OVERQUOTA")
    with pytest.raises(SessionError) as caught:
        call(session)
    assert type(caught.value) is SessionError
    assert (caught.value.response_code, caught.value.command) == ("OVERQUOTA", verb)
    if verb == "SELECT":
        session.open_folder("INBOX", writable=True)
    call(session)
    session.close()


def test_a_read_only_folder_is_a_setting_to_correct(fake):
    """F36: Asked for writing it is refused with a hint; for reading it opens."""
    server, open_session, account = fake
    server.read_only(USER, "INBOX")
    session = open_session(account)
    with pytest.raises(SessionError, match="read-only") as caught:
        session.open_folder("INBOX", writable=True)
    assert caught.value.response_code == "READ-ONLY"
    assert caught.value.hint
    assert not session.open_folder("INBOX", writable=False).writable
    assert session.open_folder("Done", writable=True).writable
    session.close()


def test_a_new_generation_ends_the_session(fake):
    """F10: UIDs of the old generation are never used in the new one."""
    server, open_session, account = fake
    server.deliver(mail(1), to=USER)
    session = open_session(account)
    before = session.open_folder("INBOX", writable=True)
    server.roll_uidvalidity(USER)
    with pytest.raises(SessionLostError):
        session.delete(["1"])
    session = open_session(account)
    assert session.open_folder("INBOX", writable=True).uidvalidity > before.uidvalidity
    assert len(server.mails(USER)) == 1
    session.close()


def test_shared_mailboxes_are_opened_by_grant(fake):
    """The agent authenticates, the shared mailbox is opened; without the grant it is not."""
    server, open_session, account = fake
    server.add_mailbox(AGENT, password=SECRET)
    server.deliver(mail(1), to=USER)
    shared = attrs.evolve(
        account, inbound=attrs.evolve(account.inbound, login=parse_login(rf"{AGENT}\{USER}"))
    )
    with pytest.raises(AuthenticationError):
        open_session(shared)
    server.grant(AGENT, USER)
    session = open_session(shared)
    assert session.open_folder("INBOX", writable=False).messages == 1
    session.close()


@pytest.fixture
def server():
    """Return a fake server with an agent, a shared mailbox and a grant."""
    fake = FakeMailServer()
    fake.add_mailbox(USER, password="other-secret", folders=("Done",))
    fake.add_mailbox(AGENT, password=SECRET)
    fake.grant(AGENT, USER)
    return fake


def open_at(imap, tls, *, login=AGENT, secret=SECRET, **changes):
    """Open a session on a loopback server."""
    account = account_at(imap.endpoint, login, **changes)
    return connect(account, StaticCredentials({"support": secret}), tls=tls)


def logins(server):
    """Return how sessions logged in."""
    return [
        (command.verb, *command.arguments)
        for command in server.commands
        if command.verb in {"LOGIN", "AUTHENTICATE"}
    ]


@pytest.mark.parametrize(
    ("credential", "dialect", "expected"),
    [
        (Password.of(SECRET), Dialect.SASL, ("AUTHENTICATE", "PLAIN", AGENT, USER)),
        (Password.of(SECRET), Dialect.EXCHANGE, ("LOGIN", rf"{AGENT}\{USER}")),
        (
            Password.of(SECRET),
            Dialect.MASTER_USER,
            ("AUTHENTICATE", "PLAIN", f"{USER}*{AGENT}", ""),
        ),
        (Bearer.of("token-marker"), Dialect.SASL, ("AUTHENTICATE", "OAUTHBEARER", USER)),
    ],
)
def test_each_dialect_sends_its_identities(server_tls, client_tls, credential, dialect, expected):
    """What goes on the wire is what the design's table says, with and without SASL-IR."""
    for without in (), ("SASL-IR",):
        server = FakeMailServer(without=without)
        server.add_mailbox(USER)
        server.add_mailbox(AGENT, password=credential.secret.reveal())
        server.add_mailbox(f"{USER}*{AGENT}", password=credential.secret.reveal())
        server.grant(AGENT, USER)
        login = rf"{AGENT}\{USER}"
        with LoopbackImap(server, tls=server_tls) as imap:
            open_at(imap, client_tls, login=login, secret=credential, dialect=dialect).close()
        assert logins(server) == [expected]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_refused_token_is_sent_once_and_its_status_is_told(server_tls, client_tls, mechanism):
    """The error challenge is answered without the token, and says why."""
    other = {"XOAUTH2": "OAUTHBEARER", "OAUTHBEARER": "XOAUTH2"}[mechanism]
    server = FakeMailServer(without=(f"AUTH={other}",))
    server.add_mailbox(USER, password="another-token")
    with LoopbackImap(server, tls=server_tls) as imap, pytest.raises(AuthenticationError) as caught:
        open_at(imap, client_tls, login=USER, secret=Bearer.of("token-marker"))
    assert caught.value.mechanism == mechanism
    assert caught.value.response_code == "AUTHENTICATIONFAILED"
    assert "invalid_token" in str(caught.value)
    assert "token-marker" not in str(caught.value)
    assert logins(server) == [("AUTHENTICATE", mechanism, USER)]


def test_one_attempt_a_login(server, server_tls, client_tls):
    """After a NO no second identity or mechanism is tried."""
    with LoopbackImap(server, tls=server_tls) as imap, pytest.raises(AuthenticationError):
        open_at(imap, client_tls, secret="wrong")
    assert len(logins(server)) == 1


def test_starttls_comes_before_the_login(server, server_tls, client_tls):
    """The password travels only when TLS is on."""
    with LoopbackImap(server, tls=server_tls, starttls=True) as imap:
        session = open_at(imap, client_tls)
        assert session.open_folder("INBOX", writable=True).messages == 0
        session.close()
    verbs = [command.verb for command in server.commands]
    assert verbs.index("STARTTLS") < verbs.index("AUTHENTICATE")


@pytest.mark.parametrize("refused", [True, False])
def test_starttls_fails_closed(server_tls, client_tls, refused):
    """Not offered, or refused: no login goes out in plain text."""
    server = FakeMailServer(without=() if refused else ("STARTTLS",))
    server.add_mailbox(USER, password=SECRET)
    server.answer_no("STARTTLS")
    with (
        LoopbackImap(server, tls=server_tls, starttls=True) as imap,
        pytest.raises(TlsError, match="STARTTLS") as caught,
    ):
        open_at(imap, client_tls, login=USER)
    assert "CLEARTEXT" in caught.value.hint
    assert logins(server) == []


def test_cleartext_is_used_only_when_named(server, client_tls):
    """An endpoint that says CLEARTEXT is served; the default never falls back to it."""
    with LoopbackImap(server) as imap:
        open_at(imap, client_tls).close()
        count = len(server.commands)
        account = account_at(Endpoint(imap.host, imap.port, TlsMode.IMPLICIT))
        with pytest.raises((TlsError, ConnectError)):
            connect(account, StaticCredentials({"support": SECRET}), tls=client_tls)
        assert len(server.commands) == count


def test_four_troubles_are_four_errors(server, server_tls, client_tls):
    """Unreachable, untrusted, refused and missing folder differ in type, and each says what to do."""
    errors = []
    with LoopbackImap(server, tls=server_tls) as imap:
        session = open_at(imap, client_tls)
        attempts = (
            partial(open_at, imap, tls_context()),
            partial(open_at, imap, client_tls, secret="wrong"),
            partial(session.open_folder, "Nowhere", writable=True),
        )
        for attempt in attempts:
            with pytest.raises(SessionError) as caught:
                attempt()
            errors.append(caught.value)
        session.close()
        gone = imap.endpoint
    account = account_at(gone)
    with pytest.raises(SessionError) as caught:
        connect(account, StaticCredentials({"support": SECRET}), tls=client_tls)
    errors.append(caught.value)
    assert [type(error) for error in errors] == [
        TlsError,
        AuthenticationError,
        FolderNotFoundError,
        ConnectError,
    ]
    assert len({error.hint for error in errors}) == len(errors)
    assert all(error.hint and error.endpoint == f"127.0.0.1:{gone.port}" for error in errors)


def test_a_certificate_for_another_name_is_not_trusted(authority, client_tls, server):
    """The chain alone is not enough."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example.net").configure_cert(context)
    with LoopbackImap(server, tls=context) as imap, pytest.raises(TlsError, match="IP address"):
        open_at(imap, client_tls)
    assert server.commands == ()


@pytest.mark.parametrize("starttls", [True, False])
def test_old_tls_is_refused(authority, client_tls, server, starttls):
    """A server with nothing newer than TLS 1.1 is not spoken to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        LoopbackImap(server, tls=context, starttls=starttls) as imap,
        pytest.raises((TlsError, ConnectError, PeerProtocolError)),
    ):
        open_at(imap, client_tls)
    assert logins(server) == []


def test_no_secret_shows_anywhere(server, server_tls, client_tls, caplog):
    """Passwords and tokens are in no log line at DEBUG, no repr and no error."""
    caplog.set_level(logging.DEBUG)
    shown = []
    for credential in (Password.of("wrong-marker"), Bearer.of("wrong-marker")):
        for dialect in Dialect:
            with LoopbackImap(server, tls=server_tls) as imap:
                with pytest.raises(AuthenticationError) as caught:
                    open_at(imap, client_tls, secret=credential, dialect=dialect)
                error = caught.value
                shown += [repr(error), str(vars(error)), repr(error.__context__), error.hint]
                session = open_at(imap, client_tls)
                shown += [repr(session), repr(imap), repr(server), repr(server.commands)]
                session.close()
    text = "\n".join([caplog.text, *shown])
    for secret in ("wrong-marker", SECRET):
        for form in (secret, base64.b64encode(f"\0{AGENT}\0{secret}".encode()).decode()):
            assert form not in text
    assert "mail.example" not in text


def test_an_error_holds_no_exception_of_the_libraries_below(server, server_tls, client_tls):
    """Frames and raw lines of imaplib do not hang on our errors."""
    with LoopbackImap(server, tls=server_tls) as imap:
        with pytest.raises(AuthenticationError) as caught:
            open_at(imap, client_tls, secret="wrong")
        assert caught.value.__context__ is None
        session = open_at(imap, client_tls)
        session.open_folder("INBOX", writable=True)
        server.drop_connection(after="SEARCH")
        server.deliver(mail(1), to=AGENT)
        session.open_folder("INBOX", writable=True)
        with pytest.raises(SessionLostError) as lost:
            list(session.list_uids())
        assert lost.value.__context__ is None


@pytest.mark.parametrize("secret", ["pässwörd", "日本"])
def test_secrets_beyond_ascii_go_by_plain_only(server_tls, client_tls, secret):
    """PLAIN carries UTF-8; the LOGIN command cannot, and says so before anything is sent."""
    for without, works in ((), True), (("AUTH=PLAIN",), False):
        server = FakeMailServer(without=without)
        server.add_mailbox(USER, password=secret)
        with LoopbackImap(server, tls=server_tls) as imap:
            if works:
                open_at(imap, client_tls, login=USER, secret=secret).close()
            else:
                with pytest.raises(ConfigurationError, match="ASCII"):
                    open_at(imap, client_tls, login=USER, secret=secret)
                assert logins(server) == []


def test_logindisabled_is_respected(server_tls, client_tls):
    """A server that offers no way to log in gets no password."""
    server = FakeMailServer(without=("AUTH=PLAIN", "LOGIN"))
    server.add_mailbox(USER, password=SECRET)
    with (
        LoopbackImap(server, tls=server_tls) as imap,
        pytest.raises(ConfigurationError, match="offers"),
    ):
        open_at(imap, client_tls, login=USER)
    assert logins(server) == []


@pytest.mark.parametrize("secret", ["a\r\nX1 CREATE evil", "a\0b", "a\nb"])
@pytest.mark.parametrize("dialect", [Dialect.SASL, Dialect.EXCHANGE])
def test_a_secret_cannot_carry_a_command(server, server_tls, client_tls, secret, dialect):
    """CR, LF and NUL in a secret are refused before the command is built."""
    with LoopbackImap(server, tls=server_tls) as imap, pytest.raises(ConfigurationError) as caught:
        open_at(imap, client_tls, secret=secret, dialect=dialect)
    assert secret not in str(caught.value)
    assert {command.verb for command in server.commands} <= {"CAPABILITY"}


@pytest.mark.parametrize("without", [("MOVE",), ("MOVE", "UIDPLUS")])
def test_without_move_mail_is_copied_and_only_it_is_removed(server_tls, client_tls, without):
    """Neither a plain EXPUNGE nor CLOSE is ever sent; what others marked stays."""
    server = FakeMailServer(without=without)
    server.add_mailbox(USER, password=SECRET, folders=("Done",))
    uids = [server.deliver(mail(number), to=USER) for number in range(3)]
    server.flag_elsewhere(USER, uids[2], r"\Deleted")
    with LoopbackImap(server, tls=server_tls) as imap:
        session = open_at(imap, client_tls, login=USER)
        session.open_folder("INBOX", writable=True)
        assert session.move([uids[0]], "Done") == {uids[0]}
        assert session.delete([uids[1]]) == {uids[1]}
        assert list(session.list_uids()) == []
        session.close()
    assert [found.raw for found in server.mails(USER, "Done")] == [mail(0)]
    assert uids[2] in {found.uid for found in server.mails(USER)}
    removed = {(command.verb, *command.arguments) for command in server.commands}
    expunged = {entry for entry in removed if entry[0] in {"EXPUNGE", "CLOSE"}}
    assert expunged == (set() if "UIDPLUS" in without else {("EXPUNGE", "1"), ("EXPUNGE", "2")})


@pytest.mark.parametrize("without", [(), ("MOVE",), ("MOVE", "UIDPLUS")])
@pytest.mark.parametrize("times", [1, None])
def test_a_race_with_another_client_loses_no_mail(server_tls, client_tls, without, times):
    """F9, F40: EXPUNGEISSUED means that nothing was done: once it is tried again, and then left."""
    server = FakeMailServer(without=without)
    server.add_mailbox(USER, password=SECRET, folders=("Done",))
    uid = server.deliver(mail(1), to=USER)
    server.answer_no("COPY" if without else "MOVE", "EXPUNGEISSUED", times=times)
    with LoopbackImap(server, tls=server_tls) as imap:
        session = open_at(imap, client_tls, login=USER)
        session.open_folder("INBOX", writable=True)
        moved = session.move([uid], "Done")
        session.close()
    assert moved == (set() if times is None else {uid})
    assert len(server.mails(USER, "Done")) == len(moved)
    left = [found.flags for found in server.mails(USER) if r"\Deleted" not in found.flags]
    assert len(left) == 1 - len(moved)


def test_reading_never_asks_for_what_marks_seen(server, server_tls, client_tls):
    """Only BODY.PEEK is fetched, many mails with one command."""
    uids = [server.deliver(mail(number), to=AGENT) for number in range(150)]
    with LoopbackImap(server, tls=server_tls) as imap:
        session = open_at(imap, client_tls)
        session.open_folder("INBOX", writable=True)
        assert len(list(session.read(uids))) == len(uids)
        session.close()
    fetched = [command.arguments[1] for command in server.commands if command.verb == "FETCH"]
    assert fetched == ["RFC822.SIZE FLAGS INTERNALDATE", "BODY.PEEK[]"]


def test_a_reading_does_not_go_on_in_another_folder(server, server_tls, client_tls):
    """UIDs mean other mails there, so the reading ends with an error."""
    for number in range(3):
        server.deliver(mail(number, size=100_000), to=AGENT)
    with LoopbackImap(server, tls=server_tls) as imap:
        session = open_at(imap, client_tls)
        session.open_folder("INBOX", writable=True)
        reading = session.read(["1", "2", "3"])
        next(reading)
        session.open_folder("INBOX", writable=True)
        with pytest.raises(SessionError, match="another folder"):
            next(reading)
        session.close()


def test_mail_that_comes_and_goes_is_followed(server, server_tls, client_tls):
    """Unasked EXISTS and EXPUNGE lines between answers do no harm."""
    uids = [server.deliver(mail(number), to=AGENT) for number in range(3)]
    with LoopbackImap(server, tls=server_tls) as imap:
        session = open_at(imap, client_tls)
        session.open_folder("INBOX", writable=True)
        for uid in uids[:2]:
            server.expunge_elsewhere(AGENT, uid)
            server.deliver(mail(9), to=AGENT)
            assert [info.uid for info in session.stat(uids)] == uids[uids.index(uid) + 1 :]
        assert list(session.list_uids()) == [("3", "4", "5")]
        session.close()


def test_an_account_without_a_mailbox_of_its_own_is_not_opened(client_tls, server):
    """The error says which account should be opened instead."""
    account = account_at(Endpoint("imap.example.org"))
    for inbound in (None, ArrivesIn("other")):
        foreign = attrs.evolve(account, inbound=inbound)
        for attempt in (partial(connect, credentials=StaticCredentials({})), server.open_session):
            with pytest.raises(ConfigurationError, match="mailbox of its own"):
                attempt(foreign)


def test_static_credentials_show_no_secret():
    """Their repr names accounts only, and a missing one is a configuration error."""
    credentials = StaticCredentials({"support": SECRET, "token": Bearer.of(SECRET)})
    assert SECRET not in repr(credentials)
    assert credentials.get("support", Direction.INBOUND) == Password.of(SECRET)
    assert credentials.get("token", Direction.OUTBOUND) == Bearer.of(SECRET)
    with pytest.raises(ConfigurationError, match="'other'"):
        credentials.get("other", Direction.INBOUND)


def test_a_ca_file_that_is_none_is_a_configuration_error(tmp_path):
    """Missing and senseless files are told, with the file's name."""
    for content in (None, b"no certificate"):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"ca\.pem"):
            tls_context(path)


def test_the_name_service_and_closed_ports_are_connect_errors(client_tls):
    """A host that does not exist is told apart from one that refuses."""
    account = account_at(Endpoint("no-such-host.invalid"))
    with pytest.raises(ConnectError, match="name"):
        connect(
            account,
            StaticCredentials({"support": SECRET}),
            tls=client_tls,
            timeouts=Timeouts(connect=5),
        )


@pytest.mark.dovecot
@pytest.mark.parametrize("mode", list(TlsMode))
@pytest.mark.parametrize(
    ("login", "dialect"),
    [
        ("shared@corp.example", Dialect.SASL),
        (r"agent@corp.example\shared@corp.example", Dialect.SASL),
        (r"agent@corp.example\shared@corp.example", Dialect.MASTER_USER),
    ],
)
def test_dovecot_opens_the_mailbox_that_the_login_names(dovecot, login, dialect, mode):
    """RFC 4616's authorization identity and master users work on a real server."""
    uid = dovecot.deliver(mail(1), to="shared@corp.example")
    port = dovecot.tls_port if mode is TlsMode.IMPLICIT else dovecot.port
    account = account_at(Endpoint(dovecot.host, port, mode), login, dialect=dialect)
    session = connect(
        account,
        StaticCredentials({"support": dovecot.password}),
        tls=tls_context(dovecot.ca_file),
    )
    session.open_folder("INBOX", writable=False)
    assert [found.raw for found in session.read([uid])] == [mail(1)]
    session.close()


@pytest.mark.dovecot
def test_dovecot_refuses_a_wrong_password(dovecot):
    """The response code of a real server is understood."""
    account = account_at(Endpoint(dovecot.host, dovecot.tls_port, TlsMode.IMPLICIT))
    with pytest.raises(AuthenticationError) as caught:
        connect(
            account,
            StaticCredentials({"support": "wrong-marker"}),
            tls=tls_context(dovecot.ca_file),
        )
    assert caught.value.response_code == "AUTHENTICATIONFAILED"
    assert "wrong-marker" not in str(caught.value)
