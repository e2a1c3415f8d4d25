"""Explaining a mail: everything that leads to a decision, and nothing written."""

import pytest

from mailrouting.errors import HookError, RecordNotFoundError
from mailrouting.fetch import explain
from mailrouting.reading import Helpers
from mailrouting.records import Action, OutcomeKind, Role, TicketState, Verdict, VerdictKind
from mailrouting.testing import (
    delivery_failure,
    list_post,
    make_message,
    reply_to,
    vacation_reply,
)

FIRST = make_message()
HELP = "help@desk.example"
CARLA = "carla@customer.example"
MAILS = {
    "new": make_message(subject="Another one"),
    "reply": reply_to(FIRST, from_=CARLA, to=HELP),
    "stranger": reply_to(FIRST, from_="eve@evil.example", to=HELP),
    "number": make_message(subject="Re: [#1] Printer", text="Number"),
    "own": make_message(from_=HELP),
    "bounce": delivery_failure(FIRST),
    "vacation": vacation_reply(make_message(from_=HELP, to=CARLA)),
    "list": list_post(),
    "broken": b"\x00",
}
ENDS = {
    Action.OPEN: OutcomeKind.CREATED,
    Action.APPEND: OutcomeKind.APPENDED,
    Action.BOUNCE: OutcomeKind.BOUNCE,
    Action.FILTER: OutcomeKind.FILTERED,
    Action.QUARANTINE: OutcomeKind.QUARANTINED,
}


@pytest.fixture
def running(world):
    """Return a world with one ticket."""
    world.server.deliver(FIRST, to=world.add())
    world.run()
    return world


def ask(world, raw, **changes):
    """Explain a mail of the help account."""
    return explain(
        raw,
        **{
            "account": "help",
            "directory": world.accounts.directory(),
            "threads": world.storage,
            "desk": world.desk,
            **changes,
        },
    )


@pytest.mark.parametrize("name", MAILS)
def test_explaining_says_what_converting_does(running, name):
    """The explained decision is what then happens, with the same reason and the same steps."""
    decision = ask(running, MAILS[name]).decision
    running.server.deliver(MAILS[name], to=HELP)
    (converted,) = running.run().converted
    outcome = converted.outcome
    assert outcome.kind is ENDS[decision.action]
    assert outcome.reason == decision.because
    assert outcome.trace == decision.trace
    if decision.ticket is not None:
        assert outcome.ticket == decision.ticket


@pytest.mark.parametrize("name", MAILS)
def test_explaining_writes_nothing(running, name):
    """No command reaches the server, no hook writes, no row, thread or health changes."""
    running.server.forget_commands()

    def state():
        return (
            running.storage.intake_rows(),
            running.storage.find_threads(["x"]),
            running.storage.health("help"),
            dict(running.desk.tickets),
            list(running.desk.bounces),
            list(running.desk.events),
            running.server.commands,
        )

    def write(*args):
        raise AssertionError("a write hook was called")

    for hook in ("open_ticket", "add_entry", "record_bounces", "prepare"):
        setattr(running.desk, hook, write)
    before = state()
    first = ask(running, MAILS[name])
    assert state() == before
    assert ask(running, MAILS[name]).decision == first.decision


def test_the_evidence_is_shown(running):
    """An explanation has the mail as read, and what leads where."""
    explained = ask(running, reply_to(FIRST, from_=CARLA, to=HELP, subject="Re: [#1]"))
    assert explained.message.subject == "Re: [#1]"
    assert [(one.kind.name, one.ticket) for one in explained.evidence] == [
        ("STORED_ID", "1"),
        ("SUBJECT_NUMBER", "1"),
    ]


def test_merged_tickets_are_followed(running):
    """A merge is followed to where it ends; one that never ends is a ticket that is gone."""
    running.server.deliver(make_message(subject="Two"), to=HELP)
    running.run()
    running.desk.merged = {"1": "2"}
    assert ask(running, MAILS["reply"]).decision.ticket == "2"
    running.desk.merged = {"1": "2", "2": "1"}
    assert ask(running, MAILS["reply"]).decision.action is Action.OPEN


def test_roles_and_rules_are_asked(running):
    """A rule sees the role that the host gives; what it says is explained under its name."""

    def no_agents(message, context):
        if context.role is Role.CUSTOMER:
            return Verdict(kind=VerdictKind.FILTER, reason="customers may not")
        return None

    class Named:
        def __call__(self, message, context):
            return no_agents(message, context)

    for rule, name in ((no_agents, "no_agents"), (Named(), "Named")):
        decision = ask(running, MAILS["new"], rules=[rule]).decision
        assert decision.because == "customers may not"
        assert any(one.because == f"{name}: customers may not" for one in decision.trace)


def test_what_the_host_raises_is_named(running):
    """A hook that raises is a `HookError` with its cause; a row is not involved."""

    def broken(*args):
        raise KeyError

    running.desk.describe = broken
    with pytest.raises(HookError) as caught:
        ask(running, MAILS["reply"])
    assert caught.value.hook == "describe"
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(HookError) as caught:
        ask(running, MAILS["new"], rules=[broken])
    assert caught.value.hook == "rules"


def test_an_unknown_account_is_an_error(running):
    """Only a configured account can have fetched a mail."""
    with pytest.raises(RecordNotFoundError):
        ask(running, MAILS["new"], account="nobody")


def test_a_desk_with_three_methods_is_enough(running):
    """No optional ability is needed to explain."""

    class Plain:
        open_ticket = add_entry = None

        def describe(self, ticket):
            return TicketState(ticket=ticket, participants=(CARLA,), account_id="help")

    assert ask(running, MAILS["reply"], desk=Plain()).decision.ticket == "1"
    assert ask(running, MAILS["number"], desk=Plain()).decision.action is Action.OPEN


def test_helpers_reach_the_reading(world):
    """What is passed to `explain` and to the fetcher helps to read every mail."""
    helpers = Helpers(guess_charset=lambda _: "windows-1251")
    raw = b"From: carla@customer.example\r\nTo: help@desk.example\r\n\r\n\xcf\xf0\xe8\xe2\xe5\xf2"
    world.server.deliver(raw, to=world.add())
    assert ask(world, raw, helpers=helpers).message.text == "Привет"
    world.run(helpers=helpers)
    (draft,) = [ticket.draft for ticket in world.desk.tickets.values()]
    assert draft.entry.message.text == "Привет"
