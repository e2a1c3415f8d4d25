"""What is done where a server lacks MOVE, UIDPLUS, keywords or flags that last (F39, F40)."""

from functools import partial

import pytest

from mailrouting.accounts import EmailAccount, Endpoint, FirstRun, InboundSettings, TlsMode
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.connect import StaticCredentials, connect, tls_context
from mailrouting.errors import FolderNotFoundError, SessionError, SessionLostError
from mailrouting.testing.loopback import LoopbackImap
from mailrouting.testing.server import FakeMailServer

USER = "help@example.org"
SECRET = "fallback-marker"


def mail(number):
    """Return a mail; all have the same size."""
    return f"Message-ID: <{number}@x>\r\n\r\nmail {number}\r\n".encode()


def open_at(endpoint, *, username=USER, secret=SECRET, tls=None):
    """Open a session."""
    account = EmailAccount(
        id="support",
        address=NamedAddress.parse("help@example.org"),
        inbound=InboundSettings(
            protocol=MailProtocol.IMAP,
            endpoint=endpoint,
            login=parse_login(username),
            first_run=FirstRun.all(),
        ),
    )
    return connect(account, StaticCredentials({"support": secret}), tls=tls)


class World:
    """A fake server without some extensions, on loopback, with three mails."""

    def __init__(self, imap, server):
        self.server = server
        self._endpoint = imap.endpoint
        self.uids = [server.deliver(mail(number), to=USER) for number in range(3)]

    def open(self):
        session = open_at(self._endpoint)
        session.open_folder("INBOX", writable=True)
        return session

    def left(self):
        mails = self.server.mails(USER)
        return [found.raw for found in mails if r"\Deleted" not in found.flags]

    def done(self):
        return sorted(found.raw for found in self.server.mails(USER, "Done"))

    def verbs(self):
        return [command.verb for command in self.server.commands]


@pytest.fixture
def world(request):
    """Return a server without what the test's parameter names."""
    server = FakeMailServer(without=request.param)
    server.add_mailbox(USER, password=SECRET, folders=("INBOX", "Done"))
    with LoopbackImap(server) as imap:
        yield World(imap, server)


no_move = pytest.mark.parametrize("world", [("MOVE",)], indirect=True)


@pytest.mark.parametrize(
    "world", [("MOVE",), ("MOVE", "UIDPLUS"), ("MOVE", "UIDPLUS", "KEYWORDS")], indirect=True
)
def test_without_move_each_mail_arrives_once(world):
    """F40: copied, then marked deleted or expunged, and the other mail stays."""
    session = world.open()
    assert session.move(world.uids[:2], "Done") == set(world.uids[:2])
    assert session.move(world.uids[:2], "Done") == set(world.uids[:2])
    session.close()
    assert world.done() == [mail(0), mail(1)]
    assert world.left() == [mail(2)]


@pytest.mark.parametrize("world", [("MOVE",), ("MOVE", "UIDPLUS")], indirect=True)
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("verb", "nth"),
    [("FETCH", 1), ("STORE", 1), ("COPY", 1), ("STORE", 2), ("EXPUNGE", 1), ("SEARCH", 1)],
)
def test_a_lost_session_leads_to_no_second_copy(world, side, verb, nth):
    """F40: wherever the connection ends without MOVE, the next session makes it whole."""
    session = world.open()
    world.server.drop_connection(**{side: verb}, nth=nth)
    if verb != "EXPUNGE" or "UIDPLUS" not in world.server.state.without:
        with pytest.raises(SessionLostError):
            session.move(world.uids[:2], "Done")
    session.close()
    again = world.open()
    assert again.move(world.uids[:2], "Done") == set(world.uids[:2])
    again.close()
    assert world.done() == [mail(0), mail(1)]
    assert world.left() == [mail(2)]


@no_move
def test_lost_again_while_it_is_looked_for(world):
    """F2, F40: the connection ends a second time, at every step of the recovery."""
    steps = ("FETCH", "EXAMINE", "SEARCH", "SELECT", "STORE", "EXPUNGE")
    for verb in steps:
        session = world.open()
        world.server.drop_connection(after="COPY")
        with pytest.raises(SessionLostError):
            session.move(world.uids[:1], "Done")
        session = world.open()
        world.server.drop_connection(after=verb)
        with pytest.raises(SessionLostError):
            session.move(world.uids[:1], "Done")
        session = world.open()
        assert session.move(world.uids[:1], "Done") == {world.uids[0]}
        session.close()
        assert world.done() == [mail(0)], verb
        for found in world.server.mails(USER, "Done"):
            world.server.expunge_elsewhere(USER, found.uid, "Done")
        world.uids[0] = world.server.deliver(mail(0), to=USER)


@no_move
def test_another_mail_of_the_same_size_is_no_copy(world):
    """What is in the other folder is compared by its whole header."""
    world.server.deliver(mail(7), to=USER, folder="Done")
    world.server.flag_elsewhere(USER, world.uids[0], "$MrMoving")
    session = world.open()
    assert session.move(world.uids[:1], "Done") == {world.uids[0]}
    session.close()
    assert world.done() == [mail(0), mail(7)]


@no_move
def test_nothing_that_a_mail_says_is_sent_to_find_its_copy(world):
    """The other folder is searched by size; a Message-ID could carry a command."""
    evil = b'Message-ID: <x"\r\n X1 EXPUNGE>\r\n\r\nbody\r\n'
    uid = world.server.deliver(evil, to=USER)
    world.server.deliver(evil, to=USER, folder="Done")
    world.server.flag_elsewhere(USER, uid, "$MrMoving")
    session = world.open()
    world.server.forget_commands()
    assert session.move([uid], "Done") == {uid}
    session.close()
    assert world.done() == [evil]
    assert "COPY" not in world.verbs()
    sent = [" ".join(command.arguments) for command in world.server.commands]
    assert not any("x" in words and "Message-ID" in words for words in sent)


@no_move
def test_mail_is_read_on_after_the_other_folder_was_looked_at(world):
    """The folder is open again as before, and mail that came meanwhile is not missed."""
    world.server.flag_elsewhere(USER, world.uids[0], "$MrMoving")
    session = world.open()
    reading = session.read(world.uids[1:])
    next(reading)
    assert session.move(world.uids[:1], "Done") == {world.uids[0]}
    assert [found.raw for found in reading] == [mail(2)]
    assert session.check()
    assert list(session.list_uids()) == [tuple(world.uids[1:])]
    session.close()


@no_move
def test_a_folder_renumbered_meanwhile_ends_the_session(world):
    """M10: after looking into the other folder the UIDs must still mean the same mails."""
    world.server.flag_elsewhere(USER, world.uids[0], "$MrMoving")
    session = world.open()
    state = world.server.state
    command = state.command

    def renumbering(number, verb, *arguments):
        if verb == "EXAMINE":
            world.server.roll_uidvalidity(USER)
        return command(number, verb, *arguments)

    state.command = renumbering
    with pytest.raises(SessionLostError, match="numbered anew"):
        session.move(world.uids[:1], "Done")
    assert len(world.left()) == 3
    assert world.done() == []


@no_move
def test_a_copy_that_is_refused_leaves_no_mark(world):
    """F39: over quota or without the folder the mail stays as it was."""
    session = world.open()
    with pytest.raises(FolderNotFoundError):
        session.move(world.uids, "Nowhere")
    world.server.answer_no("COPY", "OVERQUOTA")
    with pytest.raises(SessionError, match="OVERQUOTA"):
        session.move(world.uids, "Done")
    session.close()
    assert {flag for found in world.server.mails(USER) for flag in found.flags} == set()
    assert len(world.left()) == 3


@pytest.mark.parametrize("world", [("MOVE", "KEYWORDS")], indirect=True)
def test_without_keywords_a_lost_session_never_loses_the_mail(world):
    """F40: nothing can be marked there, so a second copy is the worst that comes of it."""
    session = world.open()
    world.server.drop_connection(after="COPY")
    with pytest.raises(SessionLostError):
        session.move(world.uids[:1], "Done")
    again = world.open()
    again.move(world.uids[:1], "Done")
    again.close()
    assert set(world.done()) == {mail(0)}
    assert len(world.left()) == 2
    assert not any("$MrMoving" in str(command) for command in world.server.commands)


@pytest.mark.parametrize("world", [("FLAGS", "KEYWORDS", "MOVE")], indirect=True)
def test_a_flag_that_does_not_last_is_refused(world):
    r"""PERMANENTFLAGS without it: `\Seen` would be gone with the session, so nothing is sent."""
    session = world.open()
    world.server.forget_commands()
    changes = (session.mark_seen, session.delete, partial(session.move, folder="Done"))
    for change in changes:
        with pytest.raises(SessionError, match="does not keep") as caught:
            change(world.uids)
        assert caught.value.response_code == "PERMANENTFLAGS"
        assert caught.value.hint
    assert "STORE" not in world.verbs()
    assert "COPY" not in world.verbs()
    session.close()


@pytest.mark.parametrize("world", [()], indirect=True)
def test_a_created_folder_is_subscribed_to(world):
    """People's programs show the archive; that a server refuses it is no trouble."""
    session = world.open()
    session.ensure_folder("Neu & alt")
    world.server.answer_no("SUBSCRIBE")
    session.ensure_folder("Other")
    session.close()
    assert {"Neu & alt", "Other"} <= set(world.server.folders(USER))
    subscribed = [
        command.arguments for command in world.server.commands if command.verb == "SUBSCRIBE"
    ]
    assert subscribed == [("Neu & alt",), ("Other",)]


@pytest.mark.parametrize("world", [()], indirect=True)
def test_a_folder_is_left_before_the_logout(world):
    """UNSELECT where it is offered: a server that expunges at the end finds nothing open."""
    session = world.open()
    session.close()
    assert world.verbs()[-2:] == ["UNSELECT", "LOGOUT"]
    session = open_at(world._endpoint)
    session.close()
    assert world.verbs().count("UNSELECT") == 1


@pytest.mark.dovecot
def test_a_begun_copy_is_found_on_dovecot(dovecot):
    """F40: sizes, headers and keywords of a real server serve as those of the fake."""
    user = "fallback@example.org"
    uids = [dovecot.deliver(mail(number), to=user) for number in range(2)]
    endpoint = Endpoint(dovecot.host, dovecot.tls_port, TlsMode.IMPLICIT)
    session = open_at(
        endpoint, username=user, secret=dovecot.password, tls=tls_context(dovecot.ca_file)
    )
    session._capabilities -= {"MOVE"}
    session.ensure_folder("Done")
    session.open_folder("INBOX", writable=True)
    with dovecot.client(user, "INBOX") as client:
        client.uid("STORE", uids[0], "+FLAGS", "($MrMoving)")
        client.uid("COPY", uids[0], "Done")
    assert session.move(uids, "Done") == set(uids)
    session.close()
    assert sorted(raw for raw, _ in dovecot.contents(user, "Done")) == [mail(0), mail(1)]
    assert dovecot.contents(user) == []
