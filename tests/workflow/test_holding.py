"""A mailbox is held for as long as work on it goes on, whatever the session can tell."""

import pytest

from mailrouting.accounts import AcknowledgeWhen, AfterFetch
from mailrouting.auth import MailProtocol
from mailrouting.errors import StaleWriteError
from mailrouting.records import MailboxKey, Verdict, VerdictKind
from mailrouting.testing import make_message

MAILS = 12
LOUD = Verdict(kind=VerdictKind.FILTER, reason="loud")


class Slow:
    """Take minutes for each mail and command, and tell nobody that something comes."""

    def __init__(self, session, pass_minutes):
        self._session = session
        self._pass = pass_minutes

    def __getattr__(self, name):
        return getattr(self._session, name)

    def read(self, uids):
        for mail in self._session.read(uids):
            self._pass(5)
            yield mail

    def move(self, uids, folder):
        self._pass(5)
        return self._session.move(uids, folder)


@pytest.fixture
def rival(world):
    """Return what takes the mailbox if it is free, as another worker does."""

    def take():
        mailbox = MailboxKey("help", MailProtocol.IMAP, "INBOX")
        return world.storage.lease_acquire(
            mailbox, owner="other", ttl_seconds=900, now=world.clock()
        )

    return take


def fill(world, **inbound):
    """Put mails into a mailbox."""
    address = world.add(
        processed=AfterFetch.move("Done"), filtered=AfterFetch.move("Filtered"), **inbound
    )
    for number in range(MAILS):
        world.server.deliver(make_message(subject=str(number)), to=address)


@pytest.mark.parametrize("when", AcknowledgeWhen)
def test_a_batch_may_take_longer_than_a_lease(world, rival, when):
    """Between mails, conversions and commands the lease is renewed: nobody else gets the mailbox."""
    fill(world, acknowledge_when=when)
    taken = []

    def pass_minutes(minutes):
        world.clock.advance(seconds=60 * minutes)
        taken.append(rival())

    def prepare(draft):
        pass_minutes(5)
        return LOUD if draft.subject == "3" else draft

    world.opener = lambda account: Slow(world.server.open_session(account), pass_minutes)
    world.desk.on_prepare = prepare
    report = world.run()
    assert (report.stored, report.acknowledged, report.error) == (MAILS, MAILS, None)
    assert len(taken) > 2 * MAILS
    assert set(taken) == {None}
    assert len(world.desk.tickets) == MAILS - 1


def test_converting_ends_when_the_lease_is_lost(world, rival):
    """What was converted stays; the rest is left to the other worker, and the server too."""
    fill(world)

    def prepare(draft):
        if not world.desk.tickets:
            world.clock.advance(seconds=1000)
            assert rival() is not None
        return draft

    world.desk.on_prepare = prepare
    report = world.run()
    assert isinstance(report.error, StaleWriteError)
    assert (len(report.converted), report.acknowledged) == (1, 0)
    assert len(world.raws()) == MAILS
    world.clock.advance(seconds=1000)
    assert world.run().acknowledged == MAILS
    assert len(world.desk.tickets) == MAILS
