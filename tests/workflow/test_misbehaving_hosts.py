"""Hosts that mishandle the storage's transaction: a clear error, and never a second ticket."""

import sqlite3
from contextlib import closing, suppress

import pytest

from mailrouting.accounts import AfterFetch, EmailAccount, Endpoint, FirstRun, InboundSettings
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.directory import Directory
from mailrouting.errors import RecordNotFoundError, SessionLostError, StaleWriteError
from mailrouting.fetch import Fetcher
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.records import IntakeState, OutcomeKind
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import make_message

ADDRESS = "help@desk.example"
ACCOUNT = EmailAccount(
    id="help",
    address=NamedAddress.parse(ADDRESS),
    inbound=InboundSettings(
        protocol=MailProtocol.IMAP,
        endpoint=Endpoint("imap.desk.example"),
        login=parse_login(ADDRESS),
        first_run=FirstRun.all(),
        processed=AfterFetch.move("Done"),
    ),
)


class MisbehavingDesk(SqliteDesk):
    """Write the ticket, and then do what a write hook must not."""

    def __init__(self, path, misbehave):
        super().__init__(path)
        self.path = path
        self.misbehave = misbehave

    def open_ticket(self, draft, tx):
        written = super().open_ticket(draft, tx)
        if self.misbehave is not None:
            self.misbehave(self, tx)
        return written


def with_tx(desk, tx):
    """Commit at the end of a block."""
    with tx:
        tx.execute("insert into desk_participant values (1, 'x')")


def commit(desk, tx):
    """Commit."""
    tx.commit()


def rollback(desk, tx):
    """Roll back."""
    tx.rollback()


def begin(desk, tx):
    """Begin again."""
    tx.execute("begin")


def executescript(desk, tx):
    """Run a script, which commits first."""
    tx.executescript("select 1")


def second_connection(desk, tx):
    """Write through another connection to the same file."""
    with closing(sqlite3.connect(desk.path, timeout=0)) as other:
        other.execute("insert into desk_participant values (1, 'x')")
        other.commit()


def commit_and_hide(desk, tx):
    """Commit, and hide the refusal."""
    with suppress(sqlite3.Error):
        tx.commit()


def raises(desk, tx):
    """Fail with a text that holds content."""
    raise KeyError("content of the mail")


@pytest.fixture
def path(tmp_path):
    """Return the file of tickets and intake."""
    return tmp_path / "desk.sqlite"


@pytest.fixture
def fetcher(path, mail_server, mail_clock):
    """Return a function that makes a fetcher with a desk, over one mail on the server."""
    mail_server.add_mailbox(ADDRESS)
    mail_server.deliver(make_message(to=ADDRESS), to=ADDRESS)
    with SqliteStorage(path, clock=mail_clock) as storage:
        yield lambda misbehave: Fetcher(
            accounts=Directory(accounts=(ACCOUNT,)),
            storage=storage,
            desk=MisbehavingDesk(path, misbehave),
            open_session=mail_server.open_session,
            clock=mail_clock,
        )


@pytest.mark.parametrize(
    "misbehave",
    [with_tx, commit, rollback, begin, executescript, second_connection, commit_and_hide],
)
def test_a_hook_that_mishandles_the_transaction_leaves_nothing(
    misbehave, fetcher, path, mail_clock, mail_server
):
    """The attempt fails as TransactionMisuseError, no ticket stays; done right, there is one."""
    bad = fetcher(misbehave)
    report = bad.run("help")
    [converted] = report.converted
    assert converted.outcome is None
    assert converted.failure.error_type == "TransactionMisuseError"
    assert converted.failure.step == "open_ticket"
    assert bad.desk.tickets() == ()
    assert [len(mail_server.mails(ADDRESS, "INBOX"))] == [1]

    mail_clock.advance(seconds=3600)
    good = fetcher(None)
    assert good.run("help").outcomes == {OutcomeKind.CREATED: 1}
    mail_clock.advance(seconds=3600)
    bad.run("help")
    assert len(good.desk.tickets()) == 1
    assert len(mail_server.mails(ADDRESS, "Done")) == 1


def test_a_hook_that_raises_leaves_nothing_and_is_tried_again(fetcher, path, mail_clock):
    """What the hook wrote is rolled back; the failure names the place, not the error's text."""
    bad = fetcher(raises)
    [converted] = bad.run("help").converted
    assert (converted.failure.step, converted.failure.error_type) == ("open_ticket", "KeyError")
    assert "content of the mail" not in converted.failure.text
    assert bad.desk.tickets() == ()
    mail_clock.advance(seconds=3600)
    assert fetcher(None).run("help").outcomes == {OutcomeKind.CREATED: 1}


def test_a_hook_that_always_fails_ends_in_quarantine_with_the_mail_kept(fetcher, mail_clock):
    """After the last attempt the row is set aside with its bytes; no ticket is ever opened."""
    bad = fetcher(commit)
    for _ in range(8):
        bad.run("help")
        mail_clock.advance(seconds=8 * 3600)
    [row] = bad.storage.intake_rows(state=IntakeState.DONE)
    assert row.outcome.kind is OutcomeKind.QUARANTINED
    assert bad.storage.intake_raw(row.id) == make_message(to=ADDRESS)
    assert bad.desk.tickets() == ()


@pytest.mark.parametrize("error", [RecordNotFoundError, StaleWriteError, SessionLostError])
def test_errors_of_ours_that_a_hook_raises_are_its_own(fetcher, mail_clock, error):
    """A hook that raises an error of ours failed in its step, and its claim is not lost."""

    def raises_ours(desk, tx):
        if error is StaleWriteError:
            raise StaleWriteError("of another storage", expected=1, found=2)
        raise error("of another storage")

    [converted] = fetcher(raises_ours).run("help").converted
    assert (converted.failure.step, converted.failure.error_type) == ("open_ticket", error.__name__)
    mail_clock.advance(seconds=3600)
    assert fetcher(None).run("help").outcomes == {OutcomeKind.CREATED: 1}
