"""The first run: counted before, cut off where the account says, and nothing old is answered."""

from datetime import UTC, date, datetime, timedelta

import attrs
import pytest

from mailrouting.accounts import AfterFetch, ArrivesIn, FirstRun
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol
from mailrouting.errors import (
    ConfigurationError,
    ConnectError,
    HookError,
    RecordNotFoundError,
    SessionLostError,
)
from mailrouting.fetch import FetchLimits, FirstRunPreview, RunStatus
from mailrouting.hooks import Event
from mailrouting.records import Verdict, VerdictKind
from mailrouting.testing import make_message

HELP = "help@desk.example"
OLD = datetime(2026, 2, 1, tzinfo=UTC)
SINCE = FirstRun.since_date(date(2026, 2, 10))


def fill(world):
    """Put three old mails and two new ones on the server."""
    for number in range(3):
        raw = make_message(
            subject=f"old {number}",
            headers={"Received": "from a by b; Sun, 1 Feb 2026 08:30:00 +0000"},
        )
        world.server.deliver(raw, to=HELP, received_at=OLD)
    for number in range(2):
        raw = make_message(
            subject=f"new {number}",
            headers={"Received": "from a by b; Mon, 2 Mar 2026 08:30:00 +0000"},
        )
        world.server.deliver(raw, to=HELP, received_at=world.clock())


@pytest.mark.parametrize("protocol", [MailProtocol.IMAP, MailProtocol.POP3])
@pytest.mark.parametrize(
    ("first_run", "older"), [(FirstRun.all(), 0), (SINCE, 3), (FirstRun.only_new(), 5)]
)
def test_a_preview_counts_what_the_first_run_does(world, protocol, first_run, older):
    """Total, older and taken are what the run then does; nothing is read or written before."""
    world.add(protocol=protocol, first_run=first_run)
    fill(world)
    found = world.fetcher().preview("help")
    assert found == FirstRunPreview(account_id="help", total=5, older=older, would_take=5 - older)
    assert not any("BODY.PEEK[]" in record.arguments for record in world.server.commands)
    assert "0 open sessions" in repr(world.server)
    assert world.storage.intake_rows() == ()
    assert world.storage.health("help") is None
    report = world.run()
    assert (report.stored, report.too_old) == (found.would_take, found.older)
    told = [detail for _, event, detail in world.desk.events if event is Event.FIRST_RUN]
    assert told == ([f"{older} left alone, {5 - older} taken in"] if older else [])


def test_what_comes_after_the_first_run_is_new_whatever_the_servers_clock_says(world):
    """The UID tells it: a server's clock may be wrong, and a person may move an old mail in."""
    address = world.add(first_run=FirstRun.only_new())
    fill(world)
    assert world.run().too_old == 5
    for hours in (2, 9000):
        raw = make_message(subject=f"{hours} hours ago")
        arrived = world.clock() - timedelta(hours=hours)
        world.server.deliver(raw, to=address, received_at=arrived)
    report = world.run()
    assert (report.stored, report.too_old) == (2, 0)
    assert world.desk.subjects == ["2 hours ago", "9000 hours ago"]


def test_a_first_run_on_pop3_that_broke_takes_in_nothing_old_later(world):
    """When the first listing broke, the mails' own Received fields tell what is old."""
    world.add(protocol=MailProtocol.POP3, first_run=FirstRun.only_new())
    fill(world)
    session = world.server.open_session
    world.opener = lambda account: Unlisted(session(account))
    assert world.run().status is RunStatus.FAILED
    world.opener = session
    world.clock.advance(seconds=7200)
    dated_by_its_sender = make_message(
        subject="new",
        date=OLD,
        headers={"Received": "from a by b; Mon, 2 Mar 2026 10:30:00 +0000"},
    )
    world.server.deliver(dated_by_its_sender, to=HELP)
    world.server.deliver(make_message(subject="nobody stamped it", date=OLD), to=HELP)
    report = world.run()
    assert report.too_old == 3
    assert sorted(world.desk.subjects) == ["new", "new 0", "new 1", "nobody stamped it"]


class Unlisted:
    """Be a session that ends before it lists a mail."""

    def __init__(self, session):
        self.session = session

    def __getattr__(self, name):
        return getattr(self.session, name)

    def list_uids(self):
        raise SessionLostError("the connection ended")


def test_a_preview_says_why_it_cannot_be(world):
    """Unknown account, no mailbox, a contradiction, no server, a broken opener: each a clear error."""
    fetcher = world.fetcher()
    with pytest.raises(RecordNotFoundError):
        fetcher.preview("nobody")
    world.add()
    account = world.accounts.directory().account("help")
    sales = attrs.evolve(
        account,
        id="sales",
        address=NamedAddress.parse("sales@desk.example"),
        inbound=ArrivesIn("help"),
    )
    world.put(sales)
    with pytest.raises(ConfigurationError, match="no mailbox of its own"):
        fetcher.preview("sales")
    world.server.go_offline()
    with pytest.raises(ConnectError):
        fetcher.preview("help")
    with pytest.raises(HookError):
        world.fetcher(open_session=lambda account: 1 / 0).preview("help")
    world.change(max_per_fetch=0)
    with pytest.raises(ConfigurationError, match="max_per_fetch"):
        fetcher.preview("help")


@pytest.mark.parametrize("protocol", [MailProtocol.IMAP, MailProtocol.POP3])
def test_backlog_is_marked_and_never_answered(world, protocol):
    """What lay there is a ticket that says so, and gets no automatic response; later mail does."""
    world.desk.respond = True
    world.add(protocol=protocol)
    world.server.deliver(make_message(subject="lay there"), to=HELP)
    world.run()
    world.server.deliver(make_message(subject="came later"), to=HELP, received_at=world.clock())
    world.run()
    drafts = [ticket.draft for ticket in world.desk.tickets.values()]
    assert [draft.is_backlog for draft in drafts] == [True, False]
    assert [draft.may_autorespond for draft in drafts] == [False, True]
    rows = world.storage.intake_rows()
    assert [row.outcome.responded for row in rows] == [False, True]
    assert [row.is_backlog for row in rows] == [True, False]
    assert "before this mailbox was fetched" in rows[0].outcome.trace[-1].because


def test_backlog_of_several_runs_stays_backlog(world):
    """A first run that `max_per_fetch` cuts into several marks all that lay there."""
    world.add(max_per_fetch=2)
    for number in range(5):
        world.server.deliver(make_message(subject=f"old {number}"), to=HELP)
    world.run()
    world.server.deliver(make_message(subject="new"), to=HELP)
    for _ in range(3):
        world.run()
    assert [row.is_backlog for row in world.storage.intake_rows()] == [True] * 5 + [False]


def take_in(world):
    """Put a mail into a mailbox whose mail is moved away, each outcome to its folder."""
    world.add(
        processed=AfterFetch.move("Done"),
        filtered=AfterFetch.move("Filtered"),
        quarantined=AfterFetch.move("Failed"),
    )
    raw = make_message(subject="mail")
    world.server.deliver(raw, to=HELP)
    return raw


def move_back(world, folder):
    """Let a person move what is in a folder back."""
    folders = world.server.state.mailboxes[HELP].folders
    source, target = folders[folder], folders["INBOX"]
    numbers = list(source.mails)
    source.copy_to(numbers, target)
    source.remove(numbers)


def told(world):
    """Return the details of what reappeared."""
    return [detail for _, event, detail in world.desk.events if event is Event.REAPPEARED]


def test_f15_a_ticket_that_is_moved_back_stays_one(world):
    """F15: Processed to INBOX: no new ticket, an event, and the mail is moved away again."""
    raw = take_in(world)
    world.run()
    assert world.raws() == []
    move_back(world, "Done")
    report = world.run()
    assert (report.stored, report.reappeared, report.reopened) == (0, 1, 0)
    assert report.acknowledged == 1
    assert world.raws(folder="Done") == [raw]
    assert len(world.desk.tickets) == 1
    assert told(world) == ["intake 1: created"]


def test_f15_a_quarantined_mail_that_is_moved_back_is_tried_anew(world):
    """F15: Failed to INBOX means: try again. Its attempts begin anew."""
    raw = take_in(world)
    world.desk.script = [RuntimeError()]
    world.run(limits=FetchLimits(max_attempts=1))
    assert world.raws(folder="Failed") == [raw]
    move_back(world, "Failed")
    report = world.run()
    assert (report.reappeared, report.reopened) == (1, 1)
    assert world.raws(folder="Done") == [raw]
    assert world.desk.subjects == ["mail"]
    assert world.storage.intake_row(1).reopened == 1
    assert told(world) == ["intake 1: quarantined, tried anew"]


def test_f15_a_filtered_mail_that_is_moved_back_is_looked_at_anew(world):
    """F15: what a rule filtered is judged again, by the rules of today."""
    take_in(world)
    verdict = Verdict(kind=VerdictKind.FILTER, reason="no")
    world.run(rules=[lambda message, context: verdict])
    move_back(world, "Filtered")
    assert world.run().reopened == 1
    assert world.desk.subjects == ["mail"]
    assert told(world) == ["intake 1: filtered, tried anew"]


def test_a_mail_that_reappears_while_it_waits_is_left_waiting(world):
    """A second copy of what has no outcome yet changes nothing; both places are told at last."""
    raw = take_in(world)
    world.desk.script = [RuntimeError()]
    world.run()
    world.server.deliver(raw, to=HELP)
    world.run()
    assert told(world) == ["intake 1: waits"]
    world.clock.advance(seconds=3600)
    world.run()
    assert world.raws() == []
    assert len(world.desk.tickets) == 1


def test_mail_that_was_erased_is_not_tried_anew(world):
    """What has no bytes any more keeps its outcome when it reappears."""
    world.add(quarantined=AfterFetch.move("Failed"))
    world.server.deliver(b"\x00 no mail", to=HELP)
    world.run()
    world.storage.erase([1])
    move_back(world, "Failed")
    report = world.run()
    assert (report.reappeared, report.reopened) == (1, 0)
