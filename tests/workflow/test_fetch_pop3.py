"""Whole runs by POP3, over a real socket, into a real file."""

from collections import Counter

import pytest

from mailrouting.accounts import AfterFetch
from mailrouting.auth import MailProtocol
from mailrouting.connect import StaticCredentials, opener
from mailrouting.health import HealthState
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import FakeClock, make_message
from mailrouting.testing.loopback import LoopbackPop3

MAILS = [
    make_message(subject=f"mail {number}", message_id=f"{number}@customer.example").replace(
        b"\r\n\r\n", b"\r\nReceived: from x; Mon, 2 Mar 2026 09:00:0%d +0000\r\n\r\n" % number, 1
    )
    for number in range(4)
]


@pytest.fixture
def world(make_world, tmp_path):
    """Return a world whose mailbox is opened by POP3 over loopback, and kept in a file."""
    clock = FakeClock()
    path = tmp_path / "state.sqlite"
    with SqliteStorage(path, clock=clock) as storage:
        world = make_world(clock=clock, storage=storage, desk=SqliteDesk(path))
        with LoopbackPop3(world.server) as face:
            world.opener = opener(StaticCredentials({"help": "correct horse"}))
            world.settings = {"protocol": MailProtocol.POP3, "endpoint": face.endpoint}
            yield world


def subjects(world):
    """Return how often each subject became a ticket."""
    return Counter(ticket.subject for ticket in world.desk.tickets())


def test_mail_is_kept_and_known(world):
    """Keep: a second run reads nothing again."""
    address = world.add(**world.settings)
    for raw in MAILS:
        world.server.deliver(raw, to=address)
    assert world.run().stored == 4
    world.server.forget_commands()
    assert (world.run().stored, world.raws()) == (0, MAILS)
    assert "RETR" not in world.verbs()
    assert subjects(world) == Counter(f"mail {number}" for number in range(4))


def test_mail_is_deleted_and_acknowledged_when_it_is_gone(world):
    """F44: QUIT deletes; the next run sees that it did."""
    address = world.add(**world.settings, processed=AfterFetch.delete())
    for raw in MAILS:
        world.server.deliver(raw, to=address)
    first = world.run()
    assert (first.stored, first.acknowledged, first.error) == (4, 0, None)
    assert world.raws() == []
    assert world.run().acknowledged == 4


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("verb", ["AUTH", "LIST", "UIDL", "RETR", "DELE", "QUIT"])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_line_that_drops_anywhere_costs_no_mail(world, side, verb, nth):
    """F44: the next runs end where all is well: four tickets, and nothing left."""
    address = world.add(**world.settings, processed=AfterFetch.delete())
    for raw in MAILS:
        world.server.deliver(raw, to=address)
    world.server.drop_connection(**{side: "LOGIN" if verb == "AUTH" else verb}, nth=nth)
    for _ in range(5):
        world.run()
        world.clock.advance(seconds=3600)
    assert subjects(world) == Counter(f"mail {number}" for number in range(4))
    assert world.raws() == []
    assert world.storage.health("help").state is HealthState.OK


def test_a_mail_that_breaks_every_session_keeps_none_back(world):
    """Those before it become tickets and are deleted, though QUIT is never reached after it."""
    address = world.add(**world.settings, processed=AfterFetch.delete())
    for raw in MAILS[:2]:
        world.server.deliver(raw, to=address)
    world.server.drop_connection(before="QUIT")
    world.run()
    assert len(world.raws()) == 2
    world.server.deliver(MAILS[2], to=address)
    for _ in range(2):
        world.server.drop_connection(before="RETR")
        world.clock.advance(seconds=3600)
        world.run()
    assert world.raws() == MAILS[2:3]
    assert subjects(world) == Counter(["mail 0", "mail 1"])


def test_new_unique_ids_open_no_second_ticket(world):
    """F45: all mail is read once more, and known by its content."""
    address = world.add(**world.settings)
    for raw in MAILS:
        world.server.deliver(raw, to=address)
    world.run()
    world.server.roll_uidvalidity(address)
    world.clock.advance(seconds=3600)
    world.run()
    assert subjects(world) == Counter(f"mail {number}" for number in range(4))


@pytest.mark.parametrize("processed", [AfterFetch.keep(), AfterFetch.delete()])
def test_a_shared_unique_id_costs_no_mail(world, processed):
    """F45: equal mails are one ticket, different ones are two."""
    address = world.add(**world.settings, processed=processed)
    uids = [world.server.deliver(raw, to=address) for raw in (*MAILS, MAILS[0])]
    world.server.share_unique_id(address, *uids)
    world.run()
    world.run()
    assert subjects(world) == Counter(f"mail {number}" for number in range(4))
    assert len(world.raws()) == (5 if processed == AfterFetch.keep() else 0)


def test_a_unique_id_that_is_given_out_again_costs_no_mail(world):
    """F45: a mail that comes under the name of a known one, beside it, is read all the same."""
    address = world.add(**world.settings, processed=AfterFetch.delete())
    first = world.server.deliver(MAILS[0], to=address)
    world.server.drop_connection(before="QUIT")
    world.run()
    second = world.server.deliver(MAILS[1], to=address)
    world.server.share_unique_id(address, first, second)
    for _ in range(3):
        world.clock.advance(seconds=3600)
        world.run()
    assert subjects(world) == Counter(["mail 0", "mail 1"])
    assert world.raws() == []


@pytest.mark.parametrize("keep", [True, False])
def test_without_uidl_mail_is_taken_in_or_nothing_happens(world, keep):
    """F45: a mailbox can be emptied; to keep mail is a setting to correct, and says so."""
    world.server.state.without = frozenset({"UIDL"})
    processed = AfterFetch.keep() if keep else AfterFetch.delete()
    address = world.add(**world.settings, processed=processed)
    for raw in MAILS:
        world.server.deliver(raw, to=address)
    report = world.run()
    if keep:
        assert "UIDL" in str(report.error)
        assert world.storage.health("help").state is HealthState.MISCONFIGURED
    assert len(world.raws()) == (4 if keep else 0)
    assert len(subjects(world)) == (0 if keep else 4)


def test_a_large_mail_goes_through(world):
    """Three megabytes on one line, from the socket to the storage, octet for octet."""
    raw = MAILS[0] + b"." * 3_000_000 + b"\r\n"
    address = world.add(**world.settings, processed=AfterFetch.delete())
    world.server.deliver(raw, to=address)
    assert world.run().error is None
    (row,) = world.storage.intake_rows()
    assert world.storage.intake_raw(row.id)[:] == raw
    assert world.raws() == []
