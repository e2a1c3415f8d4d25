"""The doubles that hosts test with behave like the things that they stand for."""

from datetime import UTC, datetime

import pytest

from mailrouting.hooks import Event
from mailrouting.reading import read
from mailrouting.records import EntryDraft, EntryKind, Role, TicketDraft
from mailrouting.stores.memory import MemoryTransaction
from mailrouting.testing import FakeClock, RecordingDesk, make_message


def entry(key="k1"):
    """Make a draft of an entry."""
    message = read(make_message())
    return EntryDraft(
        idempotency_key=key,
        kind=EntryKind.MESSAGE,
        author=message.from_,
        verified=True,
        message=message,
    )


def draft(subject="Printer", *, with_requester=True):
    """Make a draft of a ticket."""
    first = entry()
    return TicketDraft(
        idempotency_key="k1",
        account_id="help",
        received_as=None,
        subject=subject,
        requester=first.author if with_requester else None,
        participants=(),
        department=None,
        help_topic=None,
        priority=None,
        linked=(),
        may_autorespond=True,
        entry=first,
    )


def test_the_clock_stands_until_it_is_moved():
    """The clock says the same time until it is told to move, either way."""
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    assert clock() == clock()
    clock.advance(seconds=90)
    clock.advance(seconds=-30)
    assert clock() == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert repr(clock) == "FakeClock(2026-01-01T00:01:00+00:00)"
    assert FakeClock()().tzinfo is UTC


def test_the_desk_keeps_what_it_is_given():
    """Tickets and entries are kept in order, and said back."""
    desk = RecordingDesk()
    desk.respond = True
    written = desk.open_ticket(draft("One"), object())
    desk.open_ticket(draft("Two"), object())
    added = desk.add_entry("1", entry(), object())
    assert (written.ticket, written.entry, written.respond) == ("1", "1.0", True)
    assert (added.ticket, added.entry) == ("1", "1.1")
    assert desk.subjects == ["One", "Two"]
    assert len(desk.tickets["1"].entries) == 1
    assert repr(desk) == "<RecordingDesk with 2 tickets: ['One', 'Two']>"


def test_the_desk_describes_its_tickets():
    """The requester and whoever was added take part; closed and merged are said."""
    desk = RecordingDesk()
    assert desk.describe("1") is None
    desk.open_ticket(draft(), object())
    desk.open_ticket(draft(with_requester=False), object())
    desk.participants["1"] = ("dora@customer.example",)
    desk.closed.add("1")
    desk.merged["2"] = "1"
    first, second = desk.describe("1"), desk.describe("2")
    assert first.participants == ("carla@customer.example", "dora@customer.example")
    assert (first.accepts_entries, first.account_id, first.merged_into) == (False, "help", None)
    assert (second.participants, second.accepts_entries, second.merged_into) == ((), True, "1")
    assert (desk.find_by_number("1"), desk.find_by_number("9")) == ("1", None)


def test_the_desk_knows_people():
    """Agents are told, customers are those who have a ticket."""
    desk = RecordingDesk()
    desk.agents.add("alice@desk.example")
    assert desk.role_of("carla@customer.example") is Role.UNKNOWN
    desk.open_ticket(draft(), object())
    desk.open_ticket(draft(with_requester=False), object())
    assert desk.role_of("carla@customer.example") is Role.CUSTOMER
    assert desk.role_of("alice@desk.example") is Role.AGENT


def test_a_rollback_undoes_every_write():
    """What a memory transaction rolls back is gone from the desk."""
    desk = RecordingDesk()
    desk.open_ticket(draft(), object())
    undoes = []
    tx = MemoryTransaction([], undoes)
    desk.add_entry("1", entry(), tx)
    desk.add_entry("1", entry("k2"), tx)
    desk.open_ticket(draft("Two"), tx)
    desk.record_bounces(("report",), tx)
    for undo in reversed(undoes):
        undo()
    assert desk.subjects == ["Printer"]
    assert desk.tickets["1"].entries == ()
    assert desk.bounces == []


def test_the_script_raises_after_the_write():
    """A scripted error strikes when the hook has written: the worst moment."""
    desk = RecordingDesk()
    desk.script = [KeyError("x"), None]
    with pytest.raises(KeyError):
        desk.open_ticket(draft(), object())
    assert len(desk.tickets) == 1
    desk.open_ticket(draft(), object())
    assert desk.script == []


def test_prepare_and_observe():
    """`prepare` changes nothing unless told; events are kept."""
    desk = RecordingDesk()
    one = draft()
    assert desk.prepare(one) is one
    desk.on_prepare = lambda _: None
    assert desk.prepare(one) is None
    desk.observe("help", Event.CONVERTED, "intake 1")
    assert desk.events == [("help", Event.CONVERTED, "intake 1")]
