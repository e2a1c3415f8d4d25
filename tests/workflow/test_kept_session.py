"""A connection that is kept between runs: one question a poll, and the same promise."""

import attrs
import pytest

from mailrouting.accounts import AfterFetch
from mailrouting.auth import MailProtocol
from mailrouting.fetch import KeptSession, RunStatus
from mailrouting.health import HealthState
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import make_message

HELP = "help@desk.example"


class CountsWrites(MemoryStorage):
    """Count the methods that change something."""

    def __init__(self, **how):
        super().__init__(**how)
        self.writes = []

    def _changing(self, *values):
        import sys

        self.writes.append(sys._getframe(1).f_code.co_name)
        return super()._changing(*values)


@pytest.fixture
def kept():
    """Return what holds a connection."""
    return KeptSession()


def verbs(world):
    """Return the commands since the last look."""
    found = world.verbs()
    world.server.forget_commands()
    return found


@pytest.mark.parametrize("processed", [AfterFetch.keep(), AfterFetch.move("Done")])
def test_a_poll_with_nothing_new_is_one_question_and_no_write(make_world, kept, processed):
    """Login once; then one NOOP a poll, and the storage is not written to."""
    from mailrouting.testing import FakeClock

    clock = FakeClock()
    world = make_world(clock=clock, storage=CountsWrites(clock=clock))
    world.add(processed=processed)
    world.server.deliver(make_message(), to=HELP)
    world.fetcher().run("help", kept=kept)
    assert "LOGOUT" not in verbs(world)
    writes = world.storage.writes
    writes.clear()
    for _ in range(4):
        world.clock.advance(seconds=60)
        report = world.fetcher().run("help", kept=kept)
        assert (report.status, report.error, report.stored) == (RunStatus.DONE, None, 0)
        assert verbs(world) == ["NOOP"]
    assert set(writes) <= {"intake_claim"}, "memory claims nothing, under its lock"
    world.clock.advance(seconds=240)
    verbs(world)
    world.fetcher().run("help", kept=kept)
    assert verbs(world) == ["NOOP"]
    assert world.storage.health("help").checked_at == world.clock(), "now and then it says so"
    kept.close()
    kept.close()
    assert "0 open sessions" in repr(world.server)


def test_new_mail_on_a_kept_connection_is_taken_in(world, kept):
    """It is seen at the next poll, without a login and without looking at old headers."""
    world.add(processed=AfterFetch.move("Done"))
    for number in range(3):
        world.server.deliver(make_message(subject=str(number)), to=HELP)
        report = world.fetcher().run("help", kept=kept)
        assert (report.stored, report.acknowledged) == (1, 1)
    assert world.verbs().count("LOGIN") == 1
    assert not any("BODY.PEEK[HEADER]" in record.arguments for record in world.server.commands)
    assert world.desk.subjects == ["0", "1", "2"]


def test_what_others_converted_is_acknowledged_on_a_kept_connection(world, kept):
    """A converter elsewhere gives an outcome; the next poll tells the server."""
    world.add(processed=AfterFetch.move("Done"))
    world.server.deliver(make_message(), to=HELP)
    world.desk.script = [RuntimeError()]
    world.fetcher().run("help", kept=kept)
    world.clock.advance(seconds=60)
    world.fetcher(worker="other").convert()
    assert world.fetcher().run("help", kept=kept).acknowledged == 1
    assert world.raws() == []


def test_what_waited_is_converted_and_acknowledged_on_a_kept_connection(world, kept):
    """A retry that comes due is made although the server has nothing new."""
    world.add(processed=AfterFetch.move("Done"))
    world.server.deliver(make_message(), to=HELP)
    world.desk.script = [RuntimeError()]
    world.fetcher().run("help", kept=kept)
    world.clock.advance(seconds=60)
    report = world.fetcher().run("help", kept=kept)
    assert (len(report.converted), report.acknowledged) == (1, 1)
    assert world.raws() == []


def test_a_kept_connection_that_broke_is_opened_anew_in_the_same_run(world, kept):
    """A server that hung up meanwhile costs nothing."""
    world.add()
    world.fetcher().run("help", kept=kept)
    world.server.go_offline()
    world.server.go_online()
    world.server.deliver(make_message(), to=HELP)
    report = world.fetcher().run("help", kept=kept)
    assert (report.status, report.stored) == (RunStatus.DONE, 1)
    assert world.storage.health("help").state is HealthState.OK


def test_a_run_that_fails_keeps_no_connection(world, kept):
    """After a failure the next run logs in."""
    world.add()
    world.server.drop_connection(before="SEARCH")
    assert world.fetcher().run("help", kept=kept).status is RunStatus.FAILED
    assert world.fetcher().run("help", kept=kept).status is RunStatus.DONE
    assert world.verbs().count("LOGIN") == 2


def test_what_is_left_is_looked_at_again(world, kept):
    """Neither a full budget nor refused mail makes a kept mailbox quiet."""
    world.add(max_per_fetch=2)
    for number in range(5):
        world.server.deliver(make_message(subject=str(number)), to=HELP)
    assert [world.fetcher().run("help", kept=kept).stored for _ in range(4)] == [2, 2, 1, 0]


def test_other_settings_need_another_connection(world, kept):
    """A changed folder is opened with a login of its own."""
    world.add()
    world.fetcher().run("help", kept=kept)
    world.change(max_per_fetch=7)
    world.fetcher().run("help", kept=kept)
    assert world.verbs().count("LOGIN") == 2
    assert "1 open session" in repr(world.server)


def test_pop3_is_not_kept(world, kept):
    """Only a new POP3 session sees new mail."""
    world.add(protocol=MailProtocol.POP3)
    for number in range(2):
        world.server.deliver(make_message(subject=str(number)), to=HELP)
        assert world.fetcher().run("help", kept=kept).stored == 1
        assert "0 open sessions" in repr(world.server)


def test_a_renumbered_folder_is_seen_on_a_kept_connection(world, kept):
    """The server hangs up, the folder is opened anew, and nothing is opened twice."""
    world.add()
    world.server.deliver(make_message(), to=HELP)
    world.fetcher().run("help", kept=kept)
    world.server.roll_uidvalidity(HELP)
    report = world.fetcher().run("help", kept=kept)
    assert (report.status, report.stored, report.reappeared) == (RunStatus.DONE, 0, 1)


def test_a_disabled_account_asks_nothing(world, kept):
    """Switched off means that not even the kept connection is used."""
    world.add()
    world.fetcher().run("help", kept=kept)
    account = world.accounts.directory().account("help")
    world.put(attrs.evolve(account, enabled=False))
    verbs(world)
    assert world.fetcher().run("help", kept=kept).status is RunStatus.SKIPPED
    assert verbs(world) == []
