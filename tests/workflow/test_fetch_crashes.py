"""Kill the process before every single call to the outside, and see that nothing is lost or doubled."""

import functools
import itertools

import pytest

from mailrouting.accounts import AcknowledgeWhen, AfterFetch
from mailrouting.auth import MailProtocol
from mailrouting.records import OutcomeKind
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import (
    FakeClock,
    RecordingDesk,
    delivery_failure,
    list_post,
    make_message,
    reply_to,
)

FIRST = make_message()
MAILS = (
    FIRST,
    reply_to(FIRST, from_="carla@customer.example", to="help@desk.example"),
    make_message(subject="Our own", from_="help@desk.example"),
    b"\x00\xff no mail at all",
    delivery_failure(FIRST),
    list_post(),
)
ENDS = [
    OutcomeKind.CREATED,
    OutcomeKind.APPENDED,
    OutcomeKind.FILTERED,
    OutcomeKind.QUARANTINED,
    OutcomeKind.BOUNCE,
    OutcomeKind.CREATED,
]
MODES = {
    "keep": {},
    "seen": {"processed": AfterFetch.mark_seen(), "filtered": AfterFetch.mark_seen()},
    "move": {
        "processed": AfterFetch.move("Done"),
        "filtered": AfterFetch.move("Filtered"),
        "quarantined": AfterFetch.move("Failed"),
    },
    "delete": {"processed": AfterFetch.delete(), "quarantined": AfterFetch.move("Failed")},
    "delete on POP3": {"protocol": MailProtocol.POP3, "processed": AfterFetch.delete()},
    "move when stored": {
        "processed": AfterFetch.move("Done"),
        "acknowledge_when": AcknowledgeWhen.STORED,
    },
}


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Let the process die at the nth call, and stay dead."""

    def __init__(self, calls):
        self.left = calls
        self.burnt = False

    def burn(self):
        self.left -= 1
        if self.left < 0:
            self.burnt = True
            raise Killed


def mortal(cls, *, after=False):
    """Return a class whose public methods burn `self.fuse`, before and perhaps after they act."""

    def wrap(method):
        @functools.wraps(method)
        def wrapped(self, *args, **kwargs):
            self.fuse.burn()
            result = method(self, *args, **kwargs)
            if after:
                self.fuse.burn()
            return result

        return wrapped

    names = [name for name in dir(cls) if not name.startswith("_")]
    methods = {name: wrap(getattr(cls, name)) for name in names if callable(getattr(cls, name))}
    return type(f"Mortal{cls.__name__}", (cls,), {**methods, "fuse": Fuse(10**9)})


class MortalSession:
    """Burn a fuse before every call on a session, and before every item that it yields."""

    def __init__(self, session, fuse):
        self._session = session
        self._fuse = fuse

    @property
    def features(self):
        return self._session.features

    def list_uids(self):
        return self._items(self._session.list_uids())

    def read(self, uids):
        return self._items(self._session.read(uids))

    def _items(self, items):
        self._fuse.burn()
        for item in items:
            yield item
            self._fuse.burn()

    def __getattr__(self, name):
        method = getattr(self._session, name)

        def burning(*args, **kwargs):
            self._fuse.burn()
            return method(*args, **kwargs)

        return burning


class KeyedDesk(RecordingDesk):
    """Keep tickets elsewhere: no transaction undoes them, but the key finds them."""

    def __init__(self):
        super().__init__()
        self.by_key = {}

    def open_ticket(self, draft, tx):
        assert draft.idempotency_key not in self.by_key
        written = super().open_ticket(draft, None)
        self.by_key[draft.idempotency_key] = written
        return written

    def add_entry(self, ticket, entry, tx):
        assert entry.idempotency_key not in self.by_key
        written = super().add_entry(ticket, entry, None)
        self.by_key[entry.idempotency_key] = written
        return written

    def lookup(self, key):
        return self.by_key.get(key)


@pytest.fixture
def begin(make_world):
    """Return what makes a mortal world with mail in it."""

    def begin(mode, desk=RecordingDesk):
        clock = FakeClock()
        world = make_world(
            clock=clock,
            desk=mortal(desk, after=True)(),
            storage=mortal(MemoryStorage)(clock=clock),
        )
        address = world.add(**MODES[mode])
        for raw in MAILS:
            world.server.deliver(raw, to=address)
        return world

    return begin


def live(world, calls):
    """Run with a fuse; return whether the process died."""
    fuse = Fuse(calls)
    world.desk.fuse = world.storage.fuse = fuse
    world.opener = lambda account: MortalSession(world.server.open_session(account), fuse)
    try:
        report = world.run()
    except Killed:
        # The dead keep nothing; a new process comes when lease and claim have ended.
        world.clock.advance(seconds=3600)
    else:
        assert report.error is None
    finally:
        world.desk.fuse = world.storage.fuse = Fuse(10**9)
    return fuse.burnt


def state(world):
    """Return all that must not depend on when somebody died."""
    address = "help@desk.example"
    return (
        [
            (ticket.draft.subject, len(ticket.entries), ticket.draft.entry.message.raw)
            for ticket in world.desk.tickets.values()
        ],
        world.outcomes(),
        {
            folder: [(mail.raw, mail.flags) for mail in world.server.mails(address, folder)]
            for folder in world.server.folders(address)
        },
    )


@pytest.mark.parametrize("desk", [RecordingDesk, KeyedDesk])
@pytest.mark.parametrize("mode", MODES)
def test_a_death_at_any_call_loses_and_doubles_nothing(begin, mode, desk):
    """Whenever the process dies, one fresh run ends where an undisturbed one does."""
    undisturbed = begin(mode, desk)
    assert not live(undisturbed, 10**6)
    expected = state(undisturbed)
    assert expected[1] == ENDS
    for calls in itertools.count():
        world = begin(mode, desk)
        died = live(world, calls)
        assert not live(world, 10**6)
        assert state(world) == expected, f"after a death at call {calls}"
        world.run()  # POP3 is seen to have deleted at the next login only
        again = world.run()
        assert (again.stored, again.converted, again.acknowledged) == ((0, (), 0)), calls
        if not died:
            assert calls > 40
            return


@pytest.mark.parametrize("mode", ["move", "delete on POP3"])
def test_two_deaths_in_a_row_lose_and_double_nothing(begin, mode):
    """A second death at any call of the run after the first changes nothing either."""
    undisturbed = begin(mode)
    live(undisturbed, 10**6)
    expected = state(undisturbed)
    for first, second in itertools.product(range(3, 90, 9), range(0, 90, 8)):
        world = begin(mode)
        live(world, first)
        live(world, second)
        live(world, 10**6)
        assert state(world) == expected, f"after deaths at calls {first} and {second}"


def test_a_death_with_a_new_numbering_doubles_nothing(begin):
    """When the server numbers its mail anew while we are dead, known mail stays known."""
    undisturbed = begin("keep")
    live(undisturbed, 10**6)
    tickets, outcomes, _ = state(undisturbed)
    for calls in itertools.count():
        world = begin("keep")
        died = live(world, calls)
        world.server.roll_uidvalidity("help@desk.example")
        assert not live(world, 10**6)
        assert state(world)[:2] == (tickets, outcomes), f"after a death at call {calls}"
        if not died:
            return


def test_a_mail_that_kills_takes_no_other_along(begin):
    """A mail whose hook kills the process each time is quarantined; its neighbours are not."""
    world = begin("move")
    calls = 0

    def deadly(draft):
        nonlocal calls
        if getattr(draft, "subject", "") == "Printer on fire":
            calls += 1
            raise Killed
        return draft

    world.desk.on_prepare = deadly
    for _ in range(5):
        live(world, 10**6)
    live(world, 10**6)
    assert calls == 5
    assert world.outcomes() == [
        OutcomeKind.QUARANTINED,
        OutcomeKind.CREATED,
        OutcomeKind.FILTERED,
        OutcomeKind.QUARANTINED,
        OutcomeKind.BOUNCE,
        OutcomeKind.CREATED,
    ]
    assert world.raws(folder="Failed") == [MAILS[0], MAILS[3]]
    assert world.storage.intake_raw(1) == MAILS[0]
