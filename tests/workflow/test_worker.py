"""Many accounts, run when they are due, in threads that do not hinder each other."""

import queue
import random
import threading
from collections import Counter, deque
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from mailrouting.accounts import ArrivesIn, EmailAccount, Endpoint
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol
from mailrouting.errors import ConfigurationError, ConnectError, StorageUnavailableError
from mailrouting.fetch import RunStatus
from mailrouting.health import HealthState
from mailrouting.hooks import Event
from mailrouting.integrations.sqlite_desk import SqliteDesk
from mailrouting.reading import identify
from mailrouting.records import IntakeMail, MailboxKey
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import make_message
from mailrouting.worker import Worker, WorkerLimits


class SteppedPool(Executor):
    """Run one job when asked to, in the thread that asks: what a test sees happens in its order."""

    def __init__(self):
        self.waiting = deque()
        self.most = 0

    def submit(self, fn, /, *args, **kwargs):
        job = Future()
        self.waiting.append((job, fn))
        self.most = max(self.most, len(self.waiting))
        return job

    def step(self):
        """Run the job that waits longest; say whether there was one."""
        if not self.waiting:
            return False
        job, fn = self.waiting.popleft()
        try:
            job.set_result(fn())
        except BaseException as error:  # noqa: BLE001 - as a thread's pool does
            job.set_exception(error)
        return True


class MovingInbox:
    """Be a worker's inbox that moves the clock when all that was begun is done."""

    def __init__(self, clock, pool=None):
        self.clock = clock
        self.pool = pool
        self.items = deque()
        self.at = []

    def put(self, item):
        self.items.append(item)

    def get(self, block, timeout):
        while not self.items:
            if self.pool is not None and self.pool.step():
                continue
            self._pass(timeout)
            if not self.items:
                raise queue.Empty
        return self.items.popleft()

    def _pass(self, seconds):
        self.clock.advance(seconds=seconds)
        while self.at and self.at[0][0] <= self.clock():
            self.at.pop(0)[1]()


class Bench:
    """Hold a world with a worker whose time the test moves."""

    def __init__(self, world, **limits):
        self.world = world
        self.pool = SteppedPool()
        self.inbox = MovingInbox(world.clock, self.pool)
        self.reports = []
        self.limits = WorkerLimits(**limits)

    def run(self, *, seconds, **changes):
        """Run a worker for so long; return what it returns."""
        worker = self.worker(**changes)
        began = self.world.clock()
        self.inbox.at.append((began + timedelta(seconds=seconds), worker.stop))
        self.inbox.at.sort(key=lambda item: item[0])
        return worker.run()

    def worker(self, **changes):
        return Worker(
            self.world.fetcher(**changes),
            limits=self.limits,
            on_report=self.reports.append,
            pool=self.pool,
            inbox=self.inbox,
        )

    @property
    def ran(self):
        return Counter(report.account_id for report in self.reports)


@pytest.fixture
def bench(world):
    """Return a bench with the usual limits."""
    return Bench(world)


def test_every_account_runs_when_it_is_due(bench):
    """At once when it is new, then each time `fetch_every` has passed."""
    for name in ("a", "b"):
        bench.world.add(name)
    bench.run(seconds=301)
    assert bench.ran == {"a": 2, "b": 2}


def test_an_account_that_is_added_or_removed_meanwhile_is_noticed(bench):
    """The configuration is read again with each look."""
    bench.world.add("a")
    now = bench.world.clock()
    bench.inbox.at.append((now + timedelta(seconds=60), lambda: bench.world.add("b")))
    bench.inbox.at.append((now + timedelta(seconds=61), lambda: bench.world.accounts.remove("a")))
    bench.run(seconds=700)
    assert bench.ran == {"a": 1, "b": 3}


def test_f48_a_clock_that_is_put_back_stops_nobody(bench):
    """F48: the worker goes on within a look, and runs each account now and then as often as before."""
    bench.world.add("a")
    worker = bench.worker()
    clock, at = bench.world.clock, bench.inbox.at

    def put_back():
        clock.advance(seconds=-timedelta(days=1).total_seconds())
        at.append((clock() + timedelta(seconds=310), worker.stop))

    at.append((clock() + timedelta(seconds=150), put_back))
    worker.run()
    assert bench.ran == {"a": 3}


def test_a_removed_account_that_was_due_is_skipped(bench):
    """Between look and run an account may vanish; that is no failure."""
    bench.world.add("a")
    submit = bench.pool.submit

    def remove_first(fn, /):
        bench.world.accounts.remove("a")
        bench.pool.submit = submit
        return submit(fn)

    bench.pool.submit = remove_first
    bench.run(seconds=2)
    assert [(r.account_id, r.status, r.because) for r in bench.reports] == [
        ("a", RunStatus.SKIPPED, "it is gone")
    ]


def test_no_more_run_at_once_than_are_allowed(world):
    """The number of threads bounds what is begun, and all have their turn."""
    bench = Bench(world, threads=3, per_host=3, kept=0)
    for number in range(10):
        world.add(f"a{number}")
    bench.run(seconds=2)
    # One more converts pushed mail.
    assert bench.pool.most <= 4
    assert sorted(bench.ran.values()) == [1] * 10


def test_one_server_has_so_many_accounts_at_most(world):
    """The cap is for the server that is meant, however its name is written."""
    bench = Bench(world, threads=8, per_host=2, kept=0)
    for number in range(6):
        host = ("mail.one.example", "imaps://MAIL.one.example:993")[number % 2]
        world.add(f"one{number}", endpoint=Endpoint(host))
    world.add("two", endpoint=Endpoint("mail.two.example"))
    begun = []
    submit = bench.pool.submit

    def record(fn, /):
        begun.append(len(bench.pool.waiting))
        return submit(fn)

    bench.pool.submit = record
    bench.run(seconds=2)
    assert bench.pool.most == 3
    assert sum(bench.ran.values()) == 7


def test_a_host_that_cannot_be_read_is_its_accounts_own_trouble(bench):
    """An endpoint that makes no sense fails that account, in words, and no other."""
    bench.world.add("good")
    bench.world.add("bad", endpoint=Endpoint("not a host"))
    bench.run(seconds=2)
    states = {report.account_id: report.status for report in bench.reports}
    assert states == {"good": RunStatus.DONE, "bad": RunStatus.FAILED}


def test_what_fails_waits_longer_and_longer(bench):
    """The backoff is that of the account's health, not that of the worker's looks."""
    bench.world.add("a")
    bench.world.server.refuse_login("a@desk.example")
    bench.run(seconds=3600)
    health = bench.world.storage.health("a")
    assert health.state is HealthState.AUTH_FAILED
    # 15 and 30 minutes, less the part that spreads them.
    assert bench.ran["a"] == 3


def test_accounts_that_fail_together_do_not_come_back_together(world):
    """500 mailboxes of a dead server come back spread over half of their wait (F52)."""

    def down(_):
        raise ConnectError("refused")

    chance = random.Random(52)
    bench = Bench(world, threads=32, per_host=32, look_seconds=1)
    for number in range(500):
        world.add(f"a{number}")
    bench.run(seconds=29, open_session=down, jitter=chance.random)
    assert len(bench.reports) == 500
    waits = Counter(
        int((world.storage.health(f"a{number}").next_attempt_at - world.clock.now).total_seconds())
        for number in range(500)
    )
    assert max(waits.values()) < 40
    assert len(waits) >= 29


def test_what_comes_out_of_a_thread_is_that_accounts_failure(bench):
    """A hook that ends its thread costs its own account a run; the others and the worker go on."""
    address = bench.world.add("a")
    bench.world.add("b")
    bench.world.server.deliver(make_message(to=address), to=address)
    bench.world.desk.script = [SystemExit()]
    bench.run(seconds=2)
    by_name = {report.account_id: report for report in bench.reports}
    assert by_name["b"].status is RunStatus.DONE
    assert by_name["a"].status is RunStatus.FAILED
    assert "SystemExit" in by_name["a"].because
    health = bench.world.storage.health("a")
    assert (health.state, health.failures) == (HealthState.DEGRADED, 1)


def test_a_health_that_cannot_be_kept_stops_nobody(bench):
    """What came out of a thread is in the report even when the storage is away."""
    bench.world.add("a")
    bench.world.add("b")
    original = bench.world.storage.save_health

    def away(health):
        if health.account_id == "a":
            raise StorageUnavailableError("away")
        original(health)

    bench.world.storage.save_health = away

    def leave(account):
        if account.id == "a":
            raise KeyboardInterrupt
        return bench.world.server.open_session(account)

    bench.run(seconds=2, open_session=leave)
    assert {r.account_id: r.status for r in bench.reports} == {
        "a": RunStatus.FAILED,
        "b": RunStatus.DONE,
    }


def test_a_mailbox_that_another_worker_holds_is_not_asked_for_at_every_look(bench):
    """It is skipped, and looked at again in half a minute or later."""
    bench.world.add("a")
    mailbox = MailboxKey(
        "a", bench.world.accounts.directory().account("a").mailbox.protocol, "INBOX"
    )
    bench.world.storage.lease_acquire(
        mailbox, owner="other", ttl_seconds=900, now=bench.world.clock()
    )
    bench.run(seconds=120)
    assert {report.status for report in bench.reports} == {RunStatus.SKIPPED}
    assert 2 <= bench.ran["a"] <= 4


def test_a_storage_that_is_away_is_asked_again(bench, caplog):
    """Nothing runs while what is due cannot be read; then everything does."""
    bench.world.add("a")
    original, calls = bench.world.storage.health, []

    def away(account_id):
        calls.append(account_id)
        if len(calls) < 4:
            raise StorageUnavailableError("away")
        return original(account_id)

    bench.world.storage.health = away
    bench.run(seconds=60)
    assert bench.ran == {"a": 1}
    assert "what is due cannot be read" in caplog.text


def test_whoever_hears_reports_and_raises_stops_nobody(world, caplog):
    """A listener's own trouble is logged."""
    world.add("a")
    world.add("b")
    pool = SteppedPool()
    inbox = MovingInbox(world.clock, pool)

    def bad(report):
        raise ValueError(report.account_id)

    worker = Worker(world.fetcher(), on_report=bad, pool=pool, inbox=inbox)
    inbox.at.append((world.clock() + timedelta(seconds=1), worker.stop))
    assert worker.run() == ()
    assert caplog.text.count("on_report raised") == 2


def test_pushed_mail_is_converted_though_no_mailbox_is_polled(bench):
    """Mail of an account without a mailbox has its outcome soon after it came."""
    bench.world.add("a")
    bench.world.put(
        EmailAccount(
            id="pushed",
            address=NamedAddress.parse("pushed@desk.example"),
            inbound=ArrivesIn("a"),
        )
    )
    raw = make_message(subject="pushed", to="pushed@desk.example")

    def push():
        mail = IntakeMail(account_id="pushed", raw=raw, identity=identify(raw))
        bench.world.storage.intake_put([mail], lease=None, now=bench.world.clock())

    now = bench.world.clock()
    bench.inbox.at.append((now + timedelta(seconds=20), push))
    bench.run(seconds=30)
    assert bench.world.desk.subjects == ["pushed"]


def test_conversion_that_fails_is_tried_again(bench, caplog):
    """A storage that is away while pushed mail is converted harms no account."""
    bench.world.put(EmailAccount(id="pushed", address=NamedAddress.parse("pushed@desk.example")))

    def away(**_):
        raise StorageUnavailableError("away")

    bench.world.storage.intake_claim = away
    assert bench.run(seconds=11) == ()
    assert caplog.text.count("(pushed mail): away") == 3


def test_stop_finishes_the_mail_in_hand_and_gives_the_lease_back(bench):
    """Of five mails the one in hand is finished; another worker may begin at once."""
    address = bench.world.add("a")
    for number in range(5):
        bench.world.server.deliver(make_message(subject=f"m{number}", to=address), to=address)
    worker = bench.worker()
    original = bench.world.desk.open_ticket

    def stop_in_hand(draft, tx):
        written = original(draft, tx)
        worker.stop()
        return written

    bench.world.desk.open_ticket = stop_in_hand
    assert worker.run() == ()
    assert bench.world.desk.subjects == ["m0"]
    bench.world.desk.open_ticket = original
    assert bench.world.run("a").status is RunStatus.DONE
    assert sorted(bench.world.desk.subjects) == [f"m{number}" for number in range(5)]


def test_stop_before_run_does_nothing(bench):
    """A worker that is stopped before it began begins nothing."""
    bench.world.add("a")
    worker = bench.worker()
    worker.stop()
    assert worker.run() == ()
    assert bench.reports == []


def test_the_fetchers_own_stop_stops_the_worker(bench):
    """What the host passed as `stopping` is asked too."""
    bench.world.add("a")
    worker = bench.worker(stopping=lambda: bool(bench.reports))
    assert worker.run() == ()
    assert bench.ran == {"a": 1}


def test_a_stop_waits_so_long_and_names_who_is_still_at_work(world):
    """A server that hangs holds its account's thread, and the worker ends in time without it."""
    world.add("hangs")
    world.add("works")
    release, entered = threading.Event(), threading.Event()
    inbox = MovingInbox(world.clock)
    real, seen = queue.SimpleQueue(), []

    class Both(MovingInbox):
        """Wait for what is sure to come, and move the clock for what is not."""

        def get(self, block, timeout):
            if len(seen) < 1:
                return real.get(True, 30)
            return super().get(block, timeout)

        def put(self, item):
            real.put(item)

    inbox = Both(world.clock)

    def hang(account):
        if account.id == "hangs":
            entered.set()
            release.wait(60)
        return world.server.open_session(account)

    def on_report(report):
        seen.append(report.account_id)
        assert entered.wait(30)
        worker.stop()

    worker = Worker(
        world.fetcher(open_session=hang),
        limits=WorkerLimits(stop_seconds=7),
        on_report=on_report,
        inbox=inbox,
    )
    began = world.clock()
    assert worker.run() == ("hangs",)
    assert seen == ["works"]
    assert world.clock() - began == timedelta(seconds=7)
    release.set()


@pytest.mark.parametrize("name", ["threads", "per_host", "look_seconds", "stop_seconds"])
def test_limits_are_above_nothing(name):
    """A worker without threads or time is refused by name."""
    with pytest.raises(ConfigurationError, match=name):
        WorkerLimits(**{name: 0})


def test_two_workers_on_one_file_make_one_ticket_a_mail(make_world, tmp_path):
    """Two workers, real threads, twenty accounts, one SQLite file: each mail is one ticket."""
    path = tmp_path / "state.sqlite"
    wanted, workers, converted = set(), [], Counter()

    def hear(_account_id, event, detail):
        converted[detail] += event is Event.CONVERTED
        if len(converted) == len(wanted):
            for worker in workers:
                worker.stop()

    with SqliteStorage(path) as storage, SqliteStorage(path) as other:
        world = make_world(storage=storage, desk=SqliteDesk(path, listener=hear))
        for number in range(20):
            address = world.add(f"a{number}")
            for mail in range(3):
                wanted.add(f"{number}.{mail}")
                raw = make_message(subject=f"{number}.{mail}", to=address)
                world.server.deliver(raw, to=address)
        for name, handle in (("one", storage), ("two", other)):
            fetcher = world.fetcher(storage=handle, worker=name, clock=lambda: datetime.now(UTC))
            workers.append(Worker(fetcher, limits=WorkerLimits(threads=4, look_seconds=0.05)))
        threads = [threading.Thread(target=worker.run) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        subjects = [ticket.subject for ticket in world.desk.tickets()]
    assert sorted(subjects) == sorted(wanted)


def test_a_connection_is_kept_and_asked_once_a_poll(bench):
    """One login for many polls; a poll that finds nothing is one question."""
    bench.world.add("a")
    bench.run(seconds=1000)
    assert bench.ran == {"a": 4}
    verbs = Counter(bench.world.verbs())
    assert (verbs["LOGIN"], verbs["NOOP"], verbs["LOGOUT"]) == (1, 3, 1)


def test_so_many_connections_are_kept_and_no_more(world):
    """Two accounts are asked on the connection that they have, each time; the others log in anew."""
    bench = Bench(world, kept=2)
    for number in range(5):
        world.add(f"a{number}")
    bench.run(seconds=1000)
    verbs = Counter(world.verbs())
    assert (verbs["LOGIN"], verbs["NOOP"], verbs["LOGOUT"]) == (2 + 3 * 4, 2 * 3, 2 + 3 * 4)


def test_an_account_that_is_left_alone_gives_its_place_to_another(world):
    """While it is paused its connection is closed, and the next account's stays open."""
    bench = Bench(world, kept=1)
    for name in ("a", "b"):
        world.add(name)
    began = world.clock()
    pause = partial(world.storage.pause, "a", because="moves", now=began)
    bench.inbox.at.append((began + timedelta(seconds=100), pause))
    bench.run(seconds=1000)
    assert bench.ran == {"a": 1, "b": 4}
    verbs = Counter(world.verbs())
    # Both at first, b anew with its second poll, and then it is asked.
    assert (verbs["LOGIN"], verbs["NOOP"], verbs["LOGOUT"]) == (3, 2, 3)


def test_an_account_whose_connection_cannot_be_kept_takes_no_place(world):
    """A POP3 session ends with its poll: the place is for those that can use it."""
    bench = Bench(world, threads=1, per_host=1, kept=1)
    world.add("a", protocol=MailProtocol.POP3)
    world.add("b")
    bench.run(seconds=1000)
    assert Counter(world.verbs())["NOOP"] == 3


def test_keeping_may_be_switched_off(world):
    """Then each poll logs in anew."""
    bench = Bench(world, kept=0)
    world.add("a")
    bench.run(seconds=301)
    assert Counter(world.verbs())["LOGIN"] == 2


def test_a_paused_account_is_left_alone_until_it_is_resumed(bench):
    """Nobody logs in meanwhile; a run by name says why."""
    bench.world.add("a")
    bench.world.storage.pause("a", because="moves", now=bench.world.clock())
    report = bench.world.run("a")
    assert (report.status, report.because) == (RunStatus.SKIPPED, "it is paused: moves")
    began = bench.world.clock()
    bench.inbox.at.append((began + timedelta(seconds=60), lambda: bench.world.storage.resume("a")))
    bench.run(seconds=50)
    assert bench.reports == []
    bench.run(seconds=20)
    assert bench.ran == {"a": 1}


def test_a_silent_account_is_told_once_and_when_mail_comes_again(bench):
    """One notice when it becomes silent, one when it is well again."""
    address = bench.world.add("a", silent_after_hours=2)
    bench.run(seconds=4 * 3600)
    assert bench.world.storage.health("a").state is HealthState.SILENT
    bench.world.server.deliver(make_message(to=address), to=address)
    bench.run(seconds=600)
    told = [event for event in bench.world.desk.events if "account" in event[1].value]
    assert told == [
        ("a", Event.ACCOUNT_SILENT, "for 2 hours"),
        ("a", Event.ACCOUNT_RECOVERED, ""),
    ]


def test_a_failure_is_told_once_and_so_is_its_end(bench):
    """However many runs fail between: one notice each."""
    bench.world.add("a")
    bench.world.server.refuse_login("a@desk.example")
    bench.run(seconds=7200)
    bench.world.server.accept_login("a@desk.example")
    bench.run(seconds=7200)
    assert bench.ran["a"] > 4
    assert [event for _, event, _ in bench.world.desk.events] == [
        Event.ACCOUNT_FAILED,
        Event.ACCOUNT_RECOVERED,
    ]
