"""Mail that is too large, or that breaks the connection: it stops no other, and is never lost."""

import pytest

from mailrouting.accounts import AcknowledgeWhen, AfterFetch
from mailrouting.errors import PeerProtocolError, SessionLostError
from mailrouting.fetch import RunStatus
from mailrouting.health import HealthState
from mailrouting.reading import ReadingLimits
from mailrouting.records import OutcomeKind
from mailrouting.testing import make_message, reply_to

HELP = "help@desk.example"
SMALL = ReadingLimits(size=2000)


def test_a_mail_that_is_too_large_becomes_a_ticket_with_its_header(world):
    """Header and reason, kept whole, treated as quarantined on the server, never answered."""
    world.desk.respond = True
    address = world.add(processed=AfterFetch.move("Done"), quarantined=AfterFetch.move("Failed"))
    world.run()
    raw = make_message(text="x" * 5000)
    world.server.deliver(raw, to=address)
    world.server.deliver(make_message(subject="small"), to=address)
    report = world.run(reading=SMALL)
    assert report.outcomes == {OutcomeKind.CREATED: 1, OutcomeKind.OVERSIZED: 1}
    draft = world.desk.tickets["1"].draft
    assert draft.subject == "Printer on fire"
    assert draft.entry.message.text is None
    assert f"{len(raw):_} octets" in draft.entry.notice
    assert world.desk.tickets["2"].draft.entry.notice == ""
    assert (draft.may_autorespond, world.storage.intake_row(1).outcome.responded) == (False, False)
    assert "too large" in world.storage.intake_row(1).outcome.trace[-1].because
    assert world.storage.intake_raw(1) == raw
    assert world.raws(folder="Failed") == [raw]
    assert len(world.raws(folder="Done")) == 1


def test_a_reply_that_is_too_large_is_an_entry_with_the_reason(world):
    """It belongs to its ticket all the same."""
    address = world.add(quarantined=AfterFetch.move("Failed"))
    first = make_message()
    large = reply_to(first, from_="Carla <carla@customer.example>", to=HELP) + b"x" * 5000
    for raw in (first, large):
        world.server.deliver(raw, to=address)
    world.run(reading=SMALL)
    [entry] = world.desk.tickets["1"].entries
    assert "too large" in entry.notice
    assert world.outcomes() == [OutcomeKind.CREATED, OutcomeKind.OVERSIZED]
    assert world.raws(folder="Failed") == [large]


def test_an_oversized_mail_that_is_moved_back_opens_no_second_ticket(world):
    """It has a ticket: its outcome is for ever."""
    raw = make_message(text="x" * 5000)
    world.server.deliver(raw, to=world.add(quarantined=AfterFetch.move("Failed")))
    world.run(reading=SMALL)
    folders = world.server.state.mailboxes[HELP].folders
    folders["Failed"].copy_to([1], folders["INBOX"])
    report = world.run(reading=SMALL)
    assert (report.reappeared, report.reopened) == (1, 0)
    assert len(world.desk.tickets) == 1


class Breaks:
    """Be a session that ends when it reads some mails."""

    def __init__(self, session, uids, error):
        self._session = session
        self._uids = uids
        self._error = error

    def __getattr__(self, name):
        return getattr(self._session, name)

    def read(self, uids):
        for mail in self._session.read(uids):
            if mail.uid in self._uids:
                self._session.close()
                raise self._error
            yield mail


@pytest.mark.parametrize(
    "error", [SessionLostError("the server hung up"), PeerProtocolError("an odd answer")]
)
@pytest.mark.parametrize("when", AcknowledgeWhen)
def test_a_mail_that_breaks_session_after_session_blocks_no_other(world, error, when):
    """After two broken runs those behind it are read; it stays there and is named; later it comes."""
    address = world.add(processed=AfterFetch.move("Done"), acknowledge_when=when)
    bad = {world.server.deliver(make_message(subject="bad 0"), to=address)}
    for number in range(3):
        world.server.deliver(make_message(subject=f"good {number}"), to=address)
    bad.add(world.server.deliver(make_message(subject="bad 1"), to=address))
    world.server.deliver(make_message(subject="good 3"), to=address)
    usual = world.opener
    world.opener = lambda account: Breaks(usual(account), bad, error)
    assert [world.run().status for _ in range(2)] == [RunStatus.FAILED] * 2
    assert world.desk.subjects == []
    for _ in range(3):
        report = world.run()
        assert (report.status, report.unread) == (RunStatus.DONE, 2)
        assert "UID 1 first" in report.because
        health = world.storage.health("help")
        assert (health.state, health.next_attempt_at) == (HealthState.DEGRADED, None)
    assert sorted(world.desk.subjects) == [f"good {number}" for number in range(4)]
    assert len(world.raws()) == 2
    world.opener = usual
    assert world.run().stored == 2
    assert world.raws() == []
    assert world.storage.health("help").state is HealthState.OK


def test_a_server_that_breaks_every_session_ends_the_run(world):
    """When every mail breaks the session, a wary run gives up after some and names them."""
    address = world.add()
    uids = {world.server.deliver(make_message(subject=str(n)), to=address) for n in range(30)}
    usual = world.opener
    world.opener = lambda account: Breaks(usual(account), uids, SessionLostError("gone"))
    for _ in range(2):
        world.run()
    world.server.forget_commands()
    report = world.run()
    assert (report.status, report.stored) == (RunStatus.DONE, 0)
    assert report.unread == world.verbs().count("LOGIN") == 10


def test_a_network_that_fails_elsewhere_is_no_bad_mail(world):
    """A wary run that breaks while listing fails as any other."""
    world.server.deliver(make_message(), to=world.add())
    for _ in range(3):
        world.server.drop_connection(before="SEARCH")
        assert world.run().status is RunStatus.FAILED
    assert world.run().stored == 1
