"""Kill at every step, resume, kill again, resume; compare with a life that nobody disturbed."""

import gc
import itertools
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from crashing.children import ChildError, in_lanes, stop
from crashing.lives import Recipe, State, case
from crashing.mails import MAILS
from crashing.wire import KillingWire
from mailrouting.records import OutcomeKind

_MOST_STEPS = 2000
_MOST_RESUMES = 4
_MEASURED = 4
"""So many cases of a lane write their coverage: all run the same lines."""

_OUTCOMES = frozenset(kind.value for kind in OutcomeKind)
_SHARED_MEMORY = Path("/dev/shm")


@attrs.define
class Tally:
    """Count what an enumeration found.

    Attributes:
        kills: Processes that were killed.
        lost: Mails that have no outcome, or not the entry that they should have.
        doubled: Entries and rows that a mail has too many.
        struck: Runs that a disaster ended with an error.
        odd: What else is not as in an undisturbed life, in words.
    """

    kills: int = 0
    lost: int = 0
    doubled: int = 0
    struck: int = 0
    odd: list = attrs.field(factory=list)

    def add(self, other):
        self.kills += other.kills
        self.lost += other.lost
        self.doubled += other.doubled
        self.struck += other.struck
        self.odd += other.odd

    @property
    def clean(self):
        return not (self.lost or self.doubled or self.odd)

    def __str__(self):
        return f"kills={self.kills} lost={self.lost} doubled={self.doubled}"


@attrs.frozen(kw_only=True)
class Scenario:
    """Say what is enumerated.

    Attributes:
        lab: Serves mailboxes: a context manager that yields what opens one by its name.
        inbound: Inbound settings of the account.
        mails: What is in the mailbox at the beginning.
        outcomes: How many mails have an outcome at the end; None: all that were there at first.
        prelude: What the case went through before the lives that are enumerated.
        between: What happens to the case after each death.
        copies_may_stay: Whether a folder that mail is moved to may hold more copies of it.
        settles_late: Whether a resume may leave work to the one after it.
        recipe: How a run is put together.
    """

    lab: object
    inbound: dict
    mails: tuple = MAILS
    outcomes: int | None = None
    prelude: object = None
    between: object = None
    copies_may_stay: bool = False
    replies_may_open: bool = False
    settles_late: bool = False
    recipe: Recipe = attrs.field(factory=Recipe)


class Enumeration:
    """Enumerate a scenario in lanes, each a process with mailboxes of its own."""

    def __init__(self, scenario, *, lanes=2):
        self._scenario = scenario
        self._lanes = lanes

    def single(self, *, most=_MOST_STEPS):
        """Kill before and after every step (or a spread of `most`), then resume."""

        def points(lab, lane):
            steps = spread(range(1, lab.steps + 1), most)
            for at in steps[lane :: self._lanes]:
                yield lab.lived([at])

        return self._tally(points)

    def double(self, *, first, second=_MOST_STEPS):
        """Kill at a spread of `first` steps; each time kill the resume at every one of its steps."""

        def points(lab, lane):
            firsts = spread(range(1, lab.steps + 1), first)
            for one in firsts[lane :: self._lanes]:
                yield from lab.lived_twice(one, most=second)

        return self._tally(points)

    def overtaken(self, *, most=_MOST_STEPS):
        """Halt a worker at every step until its lease is over and another has done its work."""
        # The other may be refused: the first can have stopped in the middle of its transaction.
        return self.disturbed(lambda case: case.live(), most=most)

    def disturbed(self, disaster, *, most=_MOST_STEPS):
        """Halt a run at every step until the disaster has happened to its case."""

        def points(lab, lane):
            for at in spread(range(1, lab.steps + 1), most)[lane :: self._lanes]:
                yield lab.disturbed(at, disaster)

        return self._tally(points)

    def together(self, workers, *, times):
        """Let so many workers run at once, again and again."""

        def points(lab, lane):
            for _ in range(times)[lane :: self._lanes]:
                yield lab.together(workers)

        return self._tally(points)

    def on_the_wire(self, *, most):
        """Kill when a spread of octets has gone over the wire, in whatever command or answer."""

        def points(lab, lane):
            with lab.wire() as wire:
                for octets in spread(range(wire.needed), most)[lane :: self._lanes]:
                    yield lab.cut(wire, octets)

        return self._tally(points)

    def _tally(self, points):
        def lane(number):
            tally = Tally()
            gc.freeze()  # what is never looked at again is never copied for a child

            with _lab(self._scenario, number) as lab:
                for found in points(lab, number):
                    tally.add(found)
            return tally

        whole = Tally()
        for tally in in_lanes(lane, self._lanes):
            whole.add(tally)
        return whole


def spread(numbers, most):
    """Return at most so many of the numbers, evenly."""
    numbers = list(numbers)
    if len(numbers) <= most:
        return numbers
    return sorted({numbers[len(numbers) * one // most] for one in range(most)})


@contextmanager
def _lab(scenario, lane):
    with ExitStack() as stack:
        shared = str(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mr-crash-", dir=shared))
        open_mailbox = stack.enter_context(scenario.lab(f"lane-{lane}"))
        yield _Lab(scenario, Path(folder), open_mailbox)


class _Lab:
    """Run cases of one scenario in one lane."""

    def __init__(self, scenario, folder, open_mailbox):
        self._scenario = scenario
        self._folder = folder
        self._open_mailbox = open_mailbox
        self._numbers = itertools.count()
        with self._case() as one:
            one.warm()
        with self._case() as one:
            ran = one.live()
            assert ran is not None
            assert ran.error == "", ran.error
            self._settle(one)
            self.steps = ran.steps
            self._expected = one.state()
            outcomes = len(scenario.mails) if scenario.outcomes is None else scenario.outcomes
            assert sorted(_ended(self._expected.rows).values()) == [1] * outcomes, self._expected

    @contextmanager
    def _case(self):
        number = next(self._numbers)
        name = f"case-{number}"
        scenario = self._scenario
        made = case(
            self._folder / name,
            self._open_mailbox(name),
            inbound=scenario.inbound,
            mails=scenario.mails,
            recipe=scenario.recipe,
            measured=number < _MEASURED,
        )
        with made as one:
            if scenario.prelude:
                scenario.prelude(one)
            yield one

    def lived(self, deaths):
        """Die at these steps, one life after the other; then live on; return what was found."""
        tally = Tally()
        with self._case() as one:
            for at in deaths:
                tally.kills += one.live(at) is None
                if self._scenario.between:
                    self._scenario.between(one)
            self._conclude(one, tally, f"after deaths at {deaths}")
        return tally

    def lived_twice(self, first, *, most):
        """Die at this step, then at every step of the resume in turn."""
        with self._case() as one:
            one.live(first)
            if self._scenario.between:
                self._scenario.between(one)
            resumed = one.live()
        for second in spread(range(1, resumed.steps + 1), most):
            yield self.lived([first, second])

    @contextmanager
    def wire(self):
        """Put a wire before the server that kills; learn how much a whole run needs of it."""
        with self._case() as one, KillingWire(one.mailbox.endpoint) as wire:
            one.mailbox.endpoint = wire.endpoint
            child = one.begin()
            wire.arm(child.pid, octets=None)
            assert child.result() is not None
            wire.needed = wire.passed
            yield wire

    def cut(self, wire, octets):
        """Die when so many octets are through; then live on; return what was found."""
        tally = Tally()
        with self._case() as one:
            straight, one.mailbox.endpoint = one.mailbox.endpoint, wire.endpoint
            wire.disarm()
            child = one.begin()
            wire.arm(child.pid, octets=octets)
            tally.kills += child.result() is None
            one.mailbox.endpoint = straight
            if self._scenario.between:
                self._scenario.between(one)
            self._conclude(one, tally, f"after {octets} octets")
        return tally

    def disturbed(self, at, disaster):
        """Halt at this step; let disaster strike; go on; return what was found."""
        tally = Tally()
        with self._case() as one:
            run = one.begin(at, end=stop)
            if run.until_stopped():
                disaster(one)
                run.wake()
            tally.struck += bool(run.result().error)
            self._conclude(one, tally, f"disturbed at {at}")
        return tally

    def together(self, workers):
        """Let workers run at once; return what was found."""
        tally = Tally()
        with self._case() as one:
            for child in [one.begin() for _ in range(workers)]:
                child.result()
            self._conclude(one, tally, f"{workers} at once")
        return tally

    def _conclude(self, one, tally, when):
        """Live on, and add what differs from an undisturbed life."""
        try:
            self._settle(one)
        except ChildError as error:
            tally.odd.append(f"{when}: {error}")
        else:
            self._compare(one.state(), tally, when)

    def _settle(self, one):
        """Run until a run changes nothing: POP3 sees at its next login only what it deleted."""
        before = None
        for _ in range(_MOST_RESUMES):
            ran = one.live()
            if ran.error:
                raise ChildError(f"a resume said: {ran.error}")
            after = one.state()
            if not self._scenario.settles_late or after == before:
                return
            before = after

    def _compare(self, found: State, tally, when):
        expected = self._expected
        lost = Counter()
        doubled = Counter()
        for want, have in (
            (expected.entries, found.entries),
            (_ended(expected.rows), _ended(found.rows)),
            (_words(expected.rows), _words(found.rows)),
        ):
            lost |= want - have
            doubled |= have - want
        tally.lost += lost.total()
        tally.doubled += doubled.total()
        if lost or doubled:
            tally.odd.append(f"{when}: lost {lost}, doubled {doubled}, {found}")
        elif found.rows != expected.rows and not self._scenario.replies_may_open:
            tally.odd.append(f"{when}: {found.rows}, not {expected.rows}")
        elif not self._same_folders(found.folders):
            tally.odd.append(f"{when}: {found.folders}, not {expected.folders}")

    def _same_folders(self, found):
        expected = self._expected.folders
        if not self._scenario.copies_may_stay:
            return found == expected
        return found["INBOX"] == expected["INBOX"] and {
            name: set(mails) for name, mails in found.items()
        } == {name: set(mails) for name, mails in expected.items()}


def _words(rows):
    """Count the rows of each mail."""
    return Counter(word for word, _ in rows.elements())


def _ended(rows):
    """Count the rows of each mail that have their outcome."""
    return Counter(word for word, kind in rows.elements() if kind in _OUTCOMES)
