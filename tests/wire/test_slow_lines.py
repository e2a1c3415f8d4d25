"""A mail that takes longer than a lease, over real sockets: one worker reads it to its end."""

from datetime import timedelta

import pytest

from mailrouting.accounts import AfterFetch, EmailAccount, FirstRun, InboundSettings
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.connect import StaticCredentials, opener
from mailrouting.directory import Directory
from mailrouting.errors import MailroutingError, StaleWriteError, StorageUnavailableError
from mailrouting.fetch import Fetcher, FetchLimits, RunStatus
from mailrouting.records import MailboxKey
from mailrouting.session import TellsProgress
from mailrouting.stores.memory import MemoryAccounts, MemoryStorage
from mailrouting.testing import FakeClock, FakeMailServer, RecordingDesk, make_message
from mailrouting.testing.loopback import LoopbackImap, LoopbackPop3

USER = "help@desk.example"
LIFE = 900
STEP = 150
LARGE = make_message(text="0123456789abcdef\n" * (192 * 1024))
FACES = {MailProtocol.IMAP: LoopbackImap, MailProtocol.POP3: LoopbackPop3}


class SlowLine:
    """Be a clock on which minutes pass at every look while a mail comes."""

    def __init__(self, server, storage):
        self.time = FakeClock()
        self.at_each = lambda: None
        self._server, self._storage = server, storage

    def __call__(self):
        if self._is_reading():
            self.time.advance(seconds=STEP)
            self.at_each()
        return self.time()

    def _is_reading(self):
        if self._storage.intake_rows():
            return False
        return any(record.verb in {"FETCH", "RETR"} for record in self._server.commands)


class Line:
    """Hold one mailbox behind a slow line."""

    def __init__(self, protocol, face, server, storage):
        self.server, self.storage, self.desk = server, storage, RecordingDesk()
        self.clock = SlowLine(server, storage)
        self.mailbox = MailboxKey("help", protocol, "INBOX")
        account = EmailAccount(
            id="help",
            address=NamedAddress.parse(USER),
            inbound=InboundSettings(
                protocol=protocol,
                endpoint=face.endpoint,
                login=parse_login(USER),
                first_run=FirstRun.all(),
                processed=AfterFetch.delete(),
            ),
        )
        self.opener = opener(StaticCredentials({"help": "pw"}))
        self.accounts = MemoryAccounts(Directory(accounts=(account,)))

    def run(self):
        """Poll once."""
        return Fetcher(
            accounts=self.accounts,
            storage=self.storage,
            desk=self.desk,
            open_session=self.opener,
            clock=self.clock,
            limits=FetchLimits(lease_seconds=LIFE),
        ).run("help")

    def taken_by_another(self):
        """Try to take the mailbox, as another worker does."""
        return self.storage.lease_acquire(
            self.mailbox, owner="other", ttl_seconds=LIFE, now=self.clock.time()
        )


class SometimesAway(MemoryStorage):
    """Fail at a renewal of the lease, when told how."""

    failure = None

    def lease_renew(self, lease, *, ttl_seconds, now=None):
        if self.failure is not None:
            raise self.failure
        return super().lease_renew(lease, ttl_seconds=ttl_seconds, now=now)


@pytest.fixture(params=FACES)
def line(request):
    """Return a slow line with one large mail at its end."""
    server = FakeMailServer()
    server.add_mailbox(USER, password="pw")
    server.deliver(LARGE, to=USER)
    with FACES[request.param](server) as face:
        yield Line(request.param, face, server, SometimesAway())


def test_the_lease_is_renewed_while_a_large_mail_comes(line):
    """However long one mail takes, nobody else gets the mailbox, and it becomes one ticket."""
    began, taken = line.clock.time(), []

    line.clock.at_each = lambda: taken.append(line.taken_by_another())
    report = line.run()
    assert (report.status, report.stored, report.error) == (RunStatus.DONE, 1, None)
    assert line.clock.time() - began > timedelta(seconds=LIFE), "it took longer than a lease"
    assert len(taken) > LIFE / STEP
    assert set(taken) == {None}
    assert len(line.desk.tickets) == 1
    assert line.server.mails(USER) == ()


def test_a_lease_that_was_lost_is_seen_while_a_large_mail_comes(line):
    """The run ends before the mail has come, writes nothing, and leaves the server to the other."""

    def rival():
        line.clock.at_each = lambda: None
        line.clock.time.advance(seconds=2 * LIFE)
        assert line.taken_by_another() is not None

    line.clock.at_each = rival
    report = line.run()
    assert isinstance(report.error, StaleWriteError)
    assert "lease" in report.because
    assert (line.storage.intake_rows(), line.storage.health("help")) == ((), None)
    assert len(line.server.mails(USER)) == 1
    assert line.taken_by_another() is None, "it is still the other's"


@pytest.mark.parametrize("failure", [StorageUnavailableError("busy"), ZeroDivisionError()])
def test_a_storage_that_fails_while_a_mail_comes_is_not_the_servers_fault(line, failure):
    """The report names the storage's trouble, and the next run takes the mail in."""
    line.storage.failure = failure
    report = line.run()
    assert type(report.error) in {StorageUnavailableError, MailroutingError}
    assert isinstance(report.error.__cause__ or report.error, type(failure))
    assert line.storage.intake_rows() == ()
    line.storage.failure = None
    assert line.run().stored == 1


def test_nobody_hears_of_progress_who_asked_to_hear_no_more(line):
    """A session tells of octets until it is told None."""
    session = line.opener(line.accounts.directory().account("help"))
    assert isinstance(session, TellsProgress)
    heard = []
    session.on_progress(lambda: heard.append(1))
    session.open_folder("INBOX", writable=True)
    assert heard
    heard.clear()
    session.on_progress(None)
    assert len([*session.read([uid for window in session.list_uids() for uid in window])]) == 1
    session.close()
    assert not heard
