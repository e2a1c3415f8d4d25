"""Two workers on one SQLite file: each account is polled by one of them, as often as it says."""

import queue
import threading
from collections import Counter, deque
from concurrent.futures import Executor, Future
from datetime import timedelta
from itertools import pairwise

import pytest

from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import FakeClock, RecordingDesk
from mailrouting.worker import Worker, WorkerLimits

EVERY = 60
ACCOUNTS = 10
POLLS = {"SELECT", "EXAMINE", "NOOP"}


class SteppedPool(Executor):
    """Run one job when asked to, in the thread that asks."""

    def __init__(self):
        self.waiting = deque()

    def submit(self, fn, /, *args, **kwargs):
        job = Future()
        self.waiting.append((job, fn))
        return job

    def step(self):
        """Run the job that waits longest; say whether there was one."""
        if not self.waiting:
            return False
        job, fn = self.waiting.popleft()
        job.set_result(fn())
        return True


class Conductor:
    """Move one clock for several threads: only while all of them wait."""

    def __init__(self, clock, threads):
        self._clock = clock
        self._threads = threads
        self._wakes = {}
        self._changed = threading.Condition()

    def wait(self, name, seconds):
        """Wait until so many seconds have passed on the clock."""
        with self._changed:
            wake = self._wakes[name] = self._clock() + timedelta(seconds=seconds)
            self._move()
            self._changed.wait_for(lambda: self._clock() >= wake)
            del self._wakes[name]

    def leave(self):
        """Take a thread out that has ended."""
        with self._changed:
            self._threads -= 1
            self._move()

    def _move(self):
        if self._wakes and len(self._wakes) == self._threads:
            self._clock.now = max(self._clock.now, min(self._wakes.values()))
            self._changed.notify_all()


class Killed(BaseException):
    """End a worker as a power cut does."""


class Inbox:
    """Wait with the conductor once all that was begun is done; end the worker in time."""

    def __init__(self, name, conductor, clock, pool):
        self.name, self.conductor, self.clock, self.pool = name, conductor, clock, pool
        self.items = deque()
        self.end_at = None
        self.end = lambda: None

    def put(self, item):
        self.items.append(item)

    def get(self, block, timeout):
        while not self.items:
            if self.pool.step():
                continue
            self.conductor.wait(self.name, timeout)
            if self.end_at is not None and self.clock() >= self.end_at:
                self.end_at = None
                self.end()
            if not self.items:
                raise queue.Empty
        return self.items.popleft()


class CountsHealths(SqliteStorage):
    """Count the healths that are written."""

    written = 0

    def save_health(self, health):
        self.written += 1
        super().save_health(health)


class Pair:
    """Hold two workers that share accounts and a file, each with connections of its own."""

    def __init__(self, world, path):
        self.world = world
        self.conductor = Conductor(world.clock, 2)
        self.storages = {name: CountsHealths(path, clock=world.clock) for name in ("one", "two")}
        self.polls = []
        self.inboxes, self.workers = {}, {}
        for name, storage in self.storages.items():
            pool = SteppedPool()
            self.inboxes[name] = Inbox(name, self.conductor, world.clock, pool)
            self.workers[name] = Worker(
                world.fetcher(storage=storage, worker=name, desk=RecordingDesk()),
                limits=WorkerLimits(),
                on_report=lambda report, name=name: self.polls.append(
                    (world.clock(), name, report.account_id)
                ),
                pool=pool,
                inbox=self.inboxes[name],
            )

    def ends(self, name, *, seconds, killed=False):
        """Say when a worker ends, and how."""

        def kill():
            raise Killed

        inbox = self.inboxes[name]
        inbox.end_at = self.world.clock() + timedelta(seconds=seconds)
        inbox.end = kill if killed else self.workers[name].stop

    def run(self):
        """Run both to their ends."""

        def work(name):
            try:
                self.workers[name].run()
            except Killed:
                pass
            finally:
                self.conductor.leave()

        threads = [threading.Thread(target=work, args=(name,)) for name in self.workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def gaps(self, account_id):
        """Return the seconds between polls of an account, whoever made them."""
        at = [moment for moment, _, name in self.polls if name == account_id]
        return [(later - earlier).total_seconds() for earlier, later in pairwise(at)]


@pytest.fixture
def pair(make_world, tmp_path):
    """Return two workers with idle accounts."""
    world = make_world(clock=FakeClock())
    for number in range(ACCOUNTS):
        world.add(f"a{number}", fetch_every=timedelta(seconds=EVERY))
    made = Pair(world, tmp_path / "state.db")
    yield made
    for storage in made.storages.values():
        storage.close()


def asked(world):
    """Count how often the server was asked for new mail."""
    return Counter(world.verbs())["NOOP"]


def test_an_idle_account_is_polled_by_one_of_two_workers(pair):
    """Each is asked about once a `fetch_every`, and a health is written every few minutes only."""
    for name in pair.workers:
        pair.ends(name, seconds=3600)
    pair.run()
    usual = ACCOUNTS * 3600 / EVERY
    assert 0.8 * usual <= asked(pair.world) <= usual
    assert pair.world.verbs().count("LOGIN") <= 2 * ACCOUNTS, "both may begin, one goes on"
    written = sum(storage.written for storage in pair.storages.values())
    assert written <= ACCOUNTS * (3600 / 300 + 2)


@pytest.mark.parametrize(("first", "other"), [("one", "two"), ("two", "one")])
def test_what_a_worker_that_stops_kept_is_polled_by_the_other_at_its_usual_time(pair, first, other):
    """A clean stop hands its accounts over; nobody waits for what it had kept for itself."""
    pair.ends(first, seconds=1800)
    pair.ends(other, seconds=2400)
    pair.run()
    assert {name for _, name, _ in pair.polls[-ACCOUNTS:]} == {other}
    for number in range(ACCOUNTS):
        assert max(pair.gaps(f"a{number}")) <= 2 * EVERY


@pytest.mark.parametrize(("first", "other"), [("one", "two"), ("two", "one")])
def test_what_a_killed_worker_kept_is_polled_by_the_other_soon(pair, first, other):
    """It comes free when the killed worker is overdue by some minutes."""
    pair.ends(first, seconds=1800, killed=True)
    pair.ends(other, seconds=3600)
    pair.run()
    last = {account_id: name for _, name, account_id in pair.polls}
    assert set(last.values()) == {other}
    for number in range(ACCOUNTS):
        assert max(pair.gaps(f"a{number}")) <= EVERY + 6 * 60 + 10


def test_a_worker_of_the_same_name_goes_on_where_a_killed_one_was(pair):
    """What was kept under its name is its own, and due at the usual time."""
    world = pair.world
    pair.ends("one", seconds=600, killed=True)
    pair.ends("two", seconds=1)
    pair.run()
    kept = [
        account.id
        for account in world.accounts.directory().accounts
        if pair.storages["one"].health(account.id).kept_by == "one"
    ]
    assert kept
    world.clock.advance(seconds=EVERY)
    fetchers = {
        name: world.fetcher(storage=pair.storages[name], worker=name) for name in ("one", "two")
    }
    assert set(kept) <= set(fetchers["one"].due())
    assert not set(kept) & set(fetchers["two"].due())
