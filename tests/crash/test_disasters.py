"""Let disaster strike in the middle of a run: at the server, at its disk, at the state."""

import os
import resource
import signal
import sqlite3
import threading
import tracemalloc
from contextlib import closing

import pytest

from crashing.children import Child
from crashing.enumeration import Enumeration, Scenario
from crashing.lives import ACCOUNT, Case, Recipe, case
from crashing.mails import ADDRESS, MAILS
from crashing.servers import DovecotMailbox
from mailrouting.accounts import (
    AfterFetch,
    EmailAccount,
    Endpoint,
    FirstRun,
    InboundSettings,
    TlsMode,
)
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.connect import StaticCredentials, connect
from mailrouting.errors import SessionError, StorageUnavailableError
from mailrouting.health import HealthState
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import FakeMailServer, make_message
from mailrouting.testing.loopback import LoopbackImap

pytestmark = pytest.mark.timeout(1800)

MOVE = {
    "processed": AfterFetch.move("Done"),
    "filtered": AfterFetch.move("Filtered"),
    "quarantined": AfterFetch.move("Failed"),
}
SERVERS = [pytest.param("dovecot", marks=pytest.mark.dovecot), "fake"]


def _check(found, *, harmed=True):
    assert found.struck or not harmed, "no run was harmed"
    assert found.clean, "\n".join(found.odd[:20])


@pytest.fixture
def begin(dovecot, tmp_path, request):
    """Return what begins a case at Dovecot, outside of any enumeration."""
    opened = []

    def begin(*mails, recipe=None, **inbound):
        name = f"{request.node.name.replace('[', '-').rstrip(']')}-{len(opened)}"
        made = case(
            tmp_path / name,
            DovecotMailbox(dovecot, name),
            inbound=inbound,
            mails=mails,
            recipe=recipe or Recipe(),
            measured=True,
        )
        opened.append(made)
        return made.__enter__()

    yield begin
    for made in opened:
        made.__exit__(None, None, None)


def _words(counted):
    return sorted(counted.elements())


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", [{}, MOVE], ids=["keep", "move"])
def test_a_new_numbering_under_an_open_folder_loses_and_doubles_nothing(lab, is_long, server, mode):
    """F10: when the UIDs are given out anew while a run has the folder open, the next run mends it."""
    _check(
        Enumeration(Scenario(lab=lab(server), inbound=mode)).disturbed(
            lambda case: case.mailbox.renumber(), **({} if is_long else {"most": 4})
        ),
        harmed=bool(mode),  # a run that only reads asks for little
    )


@pytest.mark.dovecot
def test_a_server_process_that_is_killed_loses_and_doubles_nothing(dovecot, lab, is_long):
    """F41: when Dovecot's process of the session is killed at any step, the next run mends it."""

    def kill_sessions(case):
        for pid in dovecot.sessions(case.mailbox.name):
            os.kill(pid, signal.SIGKILL)

    _check(
        Enumeration(Scenario(lab=lab("dovecot"), inbound=MOVE)).disturbed(
            kill_sessions, **({} if is_long else {"most": 5})
        )
    )


@pytest.mark.dovecot
def test_a_server_that_is_restarted_loses_and_doubles_nothing(dovecot, lab, is_long):
    """F42: when Dovecot is killed and started anew in the middle of a batch, the next run mends it."""
    _check(
        Enumeration(Scenario(lab=lab("dovecot"), inbound=MOVE), lanes=1).disturbed(
            lambda case: dovecot.restart(), most=20 if is_long else 3
        )
    )


@pytest.mark.dovecot
def test_a_restored_mailbox_without_its_newest_mail_creates_nothing(begin):
    """F12: when a backup comes back and the next UID is lower, what is there stays known."""
    one = begin(*MAILS[:2])
    one.live()
    one.mailbox.back_up()
    one.mailbox.deliver(MAILS[4])
    one.live()
    one.mailbox.restore()
    assert one.live().error == ""
    assert _words(one.state().entries) == ["word-0", "word-1", "word-4"]
    assert _words(one.state().folders["INBOX"]) == ["word-0", "word-1"]


class _Vanishing(Recipe):
    """Let another client remove the first mail between listing and reading."""

    def __init__(self, dovecot):
        self._dovecot = dovecot

    def session(self, session):
        return _VanishingSession(session, self._dovecot)


class _VanishingSession:
    def __init__(self, session, dovecot):
        self._session = session
        self._dovecot = dovecot

    @property
    def features(self):
        return self._session.features

    def list_uids(self):
        name = repr(self._session).split()[2]
        for window in self._session.list_uids():
            self._dovecot.expunge_elsewhere(name, window[0])
            yield window

    def __getattr__(self, name):
        return getattr(self._session, name)


@pytest.mark.dovecot
def test_a_mail_that_vanishes_between_listing_and_reading_leaves_no_trace(dovecot, begin):
    """F16: no error, no row, and those beside it are taken in."""
    one = begin(*MAILS, recipe=_Vanishing(dovecot), **MOVE)
    ran = one.live()
    assert ran.error == ""
    rows = one.state().rows
    assert sorted(word for word, _ in rows) == ["word-1", "word-2", "word-3", "word-4"]


@pytest.mark.dovecot
def test_mail_that_a_person_puts_back_opens_no_second_ticket(begin):
    """F15: what has a ticket and comes back to the inbox is only acknowledged again."""
    one = begin(*MAILS, **MOVE)
    one.live()
    before = one.state()
    one.mailbox.put_back("Done", "word-4")
    assert "word-4" in one.state().folders["INBOX"]
    assert one.live().error == ""
    assert one.state() == before


class _Unrecorded(Recipe):
    class storage(SqliteStorage):  # noqa: N801 - a recipe names its parts
        """Be away whenever it is to be recorded that the server was told."""

        def mark_acknowledged(self, positions, *, lease):
            raise StorageUnavailableError("away")


@pytest.mark.dovecot
@pytest.mark.parametrize("server", ["moved", "seen"])
def test_what_the_server_was_told_and_nobody_recorded_is_told_again(begin, server):
    """F7: a record that fails is an error, and the next run makes it without a second ticket."""
    seen = {"processed": AfterFetch.mark_seen(), "filtered": AfterFetch.mark_seen()}
    one = begin(*MAILS, recipe=_Unrecorded(), **(MOVE if server == "moved" else seen))
    assert "away" in one.live().error
    one.recipe = Recipe()
    for _ in range(2):
        assert one.live().error == ""
    found = one.state()
    assert found.rows.total() == len(MAILS)
    assert _words(found.entries) == ["word-0", "word-1", "word-4"]
    if server == "moved":
        assert found.folders["INBOX"].total() == 0
        assert all(count == 1 for mails in found.folders.values() for count in mails.values())


class _FullDisk(Recipe):
    def begin(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, hard))


@pytest.mark.dovecot
def test_a_full_disk_acknowledges_nothing_and_loses_nothing(begin):
    """F49: mail that cannot be kept stays on the server; with room again it becomes a ticket."""
    large = make_message(subject="large", text=f"word-5\n{'x' * 70}\n" * 20_000)
    one = begin(*MAILS[:2], large, recipe=_FullDisk(), **MOVE)
    ran = one.live()
    assert "spool" in ran.error
    inbox = one.state().folders["INBOX"]
    assert inbox["word-5"] == 1
    with SqliteStorage(one.folder / "state.sqlite") as storage:
        health = storage.health(ACCOUNT)
    assert health.state is HealthState.DEGRADED
    one.recipe = Recipe()
    assert one.live().error == ""
    found = one.state()
    assert set(found.entries) == {"word-0", "word-1", "word-5"}
    assert sorted(found.folders["Done"].elements()) == ["word-0", "word-1", "word-5"]


@pytest.mark.dovecot
def test_a_locked_database_loses_nothing_and_says_so(begin):
    """F5: while another program holds the state's lock, runs fail clearly; then all is taken in."""
    one = begin(*MAILS, **MOVE)
    one.live(at=1)  # makes the file
    with closing(sqlite3.connect(one.folder / "state.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        ran = one.live()
        assert "busy" in ran.error
        assert one.state().rows.total() == 0
        assert one.mailbox.folders()["INBOX"].total() == len(MAILS)
    assert one.live().error == ""
    assert one.state().rows.total() == len(MAILS)
    assert one.mailbox.folders()["INBOX"].total() == 0


def test_a_first_run_over_a_huge_mailbox_is_bounded_and_goes_on(tmp_path):
    """F55: of 200,000 mails a run takes what it may, in 24 MiB; the next one goes on from there."""
    server = FakeMailServer()
    server.add_mailbox("huge", password="pw")
    for number in range(200_000):
        server.deliver(b"Subject: %d\r\n\r\nword-%d\r\n" % (number, number), to="huge")

    with LoopbackImap(server) as loopback:
        one = Case(tmp_path, _Huge(loopback.endpoint), {"max_per_fetch": 40}, Recipe(), False)

        def weighed():
            tracemalloc.start()
            one.warm()
            return tracemalloc.get_traced_memory()[1]

        assert Child(weighed).result() < 24 * 2**20
        assert one.live().error == ""
        assert _words(one.state().entries) == sorted(f"word-{number}" for number in range(80))


class _Huge:
    """Be the mailbox of many mails."""

    name = "huge"
    password = "pw"
    protocol = MailProtocol.IMAP

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def folders(self):
        return {}


def test_threads_that_share_a_session_are_refused():
    """F56: a command while another thread waits for its answer is refused, and no answer is mixed up."""
    server = FakeMailServer()
    server.add_mailbox(ADDRESS, password="pw")
    for number in range(50):
        server.deliver(make_message(subject=f"mail {number}"), to=ADDRESS)
    with LoopbackImap(server) as loopback:
        account = EmailAccount(
            id=ACCOUNT,
            address=NamedAddress.parse(ADDRESS),
            inbound=InboundSettings(
                protocol=MailProtocol.IMAP,
                endpoint=Endpoint(loopback.host, loopback.port, TlsMode.CLEARTEXT),
                login=parse_login(ADDRESS),
                first_run=FirstRun.all(),
            ),
        )
        session = connect(account, StaticCredentials({ACCOUNT: "pw"}))
        session.open_folder("INBOX", writable=False)
        uids = [str(number) for number in range(1, 51)]
        refused, answers = [], []

        def ask():
            for _ in range(200):
                try:
                    answers.append([info.uid for info in session.stat(uids)])
                except SessionError as error:
                    refused.append(error)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.close()
    assert refused
    assert all("another thread" in str(error) for error in refused)
    assert all(answer == uids for answer in answers)
