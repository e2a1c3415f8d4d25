"""A host that is down and a mail that is poison are told apart: nothing is lost to either."""

import sqlite3
from datetime import timedelta

import pytest
from hypothesis import given, settings, strategies as st

from mailrouting.accounts import AfterFetch
from mailrouting.errors import StorageUnavailableError
from mailrouting.fetch import FetchLimits, RunStatus
from mailrouting.health import HealthState
from mailrouting.hooks import Event
from mailrouting.records import OutcomeKind, TicketDraft
from mailrouting.testing import make_message

QUICK = FetchLimits(max_attempts=2)


def deliver(world, count, *, to, subject="mail", first=0):
    """Put mails on the server."""
    for number in range(first, first + count):
        world.server.deliver(make_message(subject=f"{subject} {number}"), to=to)


def refusing(world, is_ill, error=ConnectionError):
    """Let `prepare` raise for the mails that `is_ill` names."""

    def prepare(draft):
        if isinstance(draft, TicketDraft) and is_ill(draft.subject):
            raise error("the desk says no")
        return draft

    world.desk.on_prepare = prepare


def poll(world, *, minutes, every=5, **changes):
    """Poll the account for so long."""
    for _ in range(minutes // every):
        world.run(**changes)
        world.clock.advance(seconds=every * 60)


def told(world, event):
    """Return the details of an event."""
    return [detail for _, kind, detail in world.desk.events if kind is event]


@pytest.mark.parametrize(
    "error", [ConnectionError, StorageUnavailableError, sqlite3.OperationalError]
)
def test_f59_a_host_that_is_down_for_hours_costs_no_mail(world, error):
    """F59: 500 mails, the host down for three hours: none quarantined, 500 tickets after."""
    address = world.add(processed=AfterFetch.move("Done"), max_per_fetch=1000)
    deliver(world, 500, to=address)
    back = world.clock() + timedelta(hours=3)
    refusing(world, lambda _: world.clock() < back, error)
    poll(world, minutes=180)
    assert len(world.storage.intake_rows(limit=1000)) == 500, "collecting goes on"
    assert not world.desk.tickets
    poll(world, minutes=60)
    assert len(world.desk.tickets) == 500
    rows = world.storage.intake_rows(limit=1000)
    assert {row.outcome.kind for row in rows} == {OutcomeKind.CREATED}
    assert world.raws() == []
    assert len(told(world, Event.DESK_PAUSED)) == len(told(world, Event.DESK_RESUMED)) == 1
    assert not told(world, Event.QUARANTINED)
    assert len(told(world, Event.FAILED)) < 20, "an ill host is asked rarely"


def test_an_ill_host_gives_the_attempts_back_and_says_so(world):
    """The three attempts do not count; the account is degraded by its host, and still polled."""
    address = world.add()
    deliver(world, 5, to=address)
    refusing(world, lambda _: True)
    report = world.run()
    assert [row.attempts for row in world.storage.intake_rows()] == [0] * 5
    assert [row.failure is not None for row in world.storage.intake_rows()] == [True] * 3 + [
        False
    ] * 2
    assert (report.status, report.error, report.desk_paused) == (RunStatus.DONE, None, True)
    assert "paused" in report.because
    assert told(world, Event.DESK_PAUSED) == ["desk: prepare ConnectionError"]
    health = world.storage.health("help")
    assert (health.state, health.failures, health.next_attempt_at) == (
        HealthState.DEGRADED,
        0,
        None,
    )
    assert "host's desk" in health.trouble.text
    assert Event.ACCOUNT_FAILED not in [event for _, event, _ in world.desk.events]
    refusing(world, lambda _: False)
    poll(world, minutes=20)
    assert len(world.desk.tickets) == 5
    assert world.storage.health("help").state is HealthState.OK
    assert Event.ACCOUNT_RECOVERED not in [event for _, event, _ in world.desk.events]


def test_a_paused_desk_is_tried_with_one_mail_a_step(world):
    """Before its time nothing is tried; then one mail, another one each time."""
    address = world.add()
    deliver(world, 8, to=address)
    tried = []
    refusing(world, lambda subject: tried.append(subject) or True)
    world.run(jitter=lambda: 1.0)
    assert tried == ["mail 0", "mail 1", "mail 2"]
    assert world.run().converted == ()
    for minutes in (1, 2, 4):
        world.clock.advance(seconds=minutes * 60 - 1)
        assert world.run(jitter=lambda: 1.0).converted == ()
        world.clock.advance(seconds=1)
        assert len(world.run(jitter=lambda: 1.0).converted) == 1
    assert tried[3:] == ["mail 3", "mail 4", "mail 5"]
    assert [row.attempts for row in world.storage.intake_rows()] == [0] * 8


@pytest.mark.parametrize("poison", [1, 2, 3, 4, 7])
def test_poison_mails_in_a_row_stop_no_neighbour(world, poison):
    """Bad mails that come first are quarantined in the end, the others become tickets."""
    address = world.add(quarantined=AfterFetch.move("Failed"))
    deliver(world, poison, to=address, subject="poison")
    deliver(world, 20, to=address, subject="good")
    refusing(world, lambda subject: subject.startswith("poison"))
    poll(world, minutes=4 * 60)
    assert len(world.desk.tickets) == 20
    poll(world, minutes=36 * 60, every=60)
    kinds = world.outcomes()
    assert kinds == [OutcomeKind.QUARANTINED] * poison + [OutcomeKind.CREATED] * 20
    assert len(world.raws(folder="Failed")) == poison
    assert len(told(world, Event.DESK_PAUSED)) <= 1


def test_a_mail_that_alone_fails_is_quarantined_while_neighbours_flow(world):
    """With a neighbour at each poll, `max_attempts` tries are all that a bad mail gets."""
    address = world.add()
    deliver(world, 1, to=address, subject="poison")
    refusing(world, lambda subject: subject.startswith("poison"))
    for number in range(6):
        deliver(world, 1, to=address, subject="good", first=number)
        world.run()
        world.clock.advance(seconds=7200)
    row = world.storage.intake_row(1)
    assert row.outcome.kind is OutcomeKind.QUARANTINED
    assert row.attempts == 5
    assert len(world.desk.tickets) == 6


def test_a_lone_mail_outlives_a_host_that_is_down_over_night(world):
    """On a quiet desk one mail is not given up while nothing at all works; after a day it is."""
    deliver(world, 1, to=world.add())
    back = world.clock() + timedelta(hours=14)
    refusing(world, lambda _: world.clock() < back)
    poll(world, minutes=17 * 60, every=30)
    assert world.outcomes() == [OutcomeKind.CREATED]
    deliver(world, 1, to="help@desk.example", first=1)
    refusing(world, lambda _: True)
    poll(world, minutes=24 * 60, every=30)
    assert world.outcomes()[1] is None
    poll(world, minutes=5 * 60, every=30)
    assert world.outcomes()[1] is OutcomeKind.QUARANTINED


def test_failures_that_differ_are_the_mails_own(world):
    """Three mails that fail each in its own way pause nothing and are charged."""
    address = world.add()
    deliver(world, 4, to=address)
    errors = iter([KeyError, ValueError, TypeError])

    def prepare(draft):
        if draft.subject != "mail 3":
            raise next(errors)
        return draft

    world.desk.on_prepare = prepare
    report = world.run()
    assert not report.desk_paused
    assert [row.attempts for row in world.storage.intake_rows()] == [1, 1, 1, 1]
    assert [item.intake_id for item in report.converted] == [1, 2, 3, 4]


@pytest.mark.parametrize("hook", ["open_ticket", "prepare"])
def test_f60_a_deadlock_gives_the_attempt_back(world, hook):
    """F60: busy or deadlocked as often as it likes, the mail is tried until it gets through."""
    deliver(world, 2, to=world.add())
    busy = StorageUnavailableError("deadlock detected")
    if hook == "open_ticket":
        world.desk.script = [busy] * 12
    else:
        left = [busy] * 12

        def prepare(draft):
            if left:
                raise left.pop()
            return draft

        world.desk.on_prepare = prepare
    poll(world, minutes=60, limits=QUICK)
    assert world.outcomes() == [OutcomeKind.CREATED] * 2
    assert len(world.desk.tickets) == 2


def test_what_other_workers_found_is_heeded(world):
    """A desk that one worker found ill is left alone by the others, for every account."""
    for name in ("a", "b"):
        deliver(world, 4, to=world.add(name))
    refusing(world, lambda _: True)
    world.run("a")
    seen = []
    refusing(world, lambda subject: seen.append(subject) or True)
    assert world.run("b", worker="other").desk_paused
    assert seen == []
    assert world.run("b", desk_name="another").desk_paused, "another desk is found ill by itself"
    assert len(seen) == 3


def test_f5_f6_storage_trouble_while_converting_loses_nothing(world):
    """F5, F6: a storage that fails after the hook wrote leaves nothing of it, and the mail waits."""
    deliver(world, 3, to=world.add())
    world.desk.script = [sqlite3.OperationalError("disk I/O error")]
    report = world.run()
    assert report.outcomes == {OutcomeKind.CREATED: 2}
    assert report.retried == 1
    poll(world, minutes=10)
    assert sorted(world.desk.subjects) == ["mail 0", "mail 1", "mail 2"]


def test_mail_whose_worker_died_again_and_again_is_told_and_quarantined(world):
    """F46: what kills its process is set aside after its attempts, and event and report say so."""
    deliver(world, 3, to=world.add())

    class Killed(BaseException):
        pass

    def prepare(draft):
        if draft.subject == "mail 0":
            raise Killed
        return draft

    world.desk.on_prepare = prepare
    for _ in range(5):
        with pytest.raises(Killed):
            world.run()
        world.clock.advance(seconds=601)
    report = world.run()
    assert report.outcomes == {OutcomeKind.QUARANTINED: 1, OutcomeKind.CREATED: 2}
    assert [row.attempts for row in world.storage.intake_rows()] == [5, 1, 1]
    assert told(world, Event.QUARANTINED) == ["intake 1: attempts"]


def test_a_slow_hook_does_not_lose_the_claims_behind_it(world):
    """F47: what was claimed together and not begun in half the visibility is claimed anew."""
    deliver(world, 6, to=world.add())
    others = []

    def prepare(draft):
        world.clock.advance(seconds=250)
        others.extend(
            world.fetcher(worker="other", desk=world.desk)
            .storage.intake_claim(
                worker="other", limit=9, visibility_seconds=1, max_attempts=5, now=world.clock()
            )
            .claimed
        )
        return draft

    world.desk.on_prepare = prepare
    report = world.run()
    assert report.outcomes == {OutcomeKind.CREATED: 6}
    assert others == []


def test_f47_a_hook_that_hangs_loses_its_claim_and_its_commit(world):
    """F47: past its visibility another worker takes the mail; what the slow one wrote is undone."""
    deliver(world, 1, to=world.add())
    slow = []

    def prepare(draft):
        if not slow:
            slow.append(draft)
            world.clock.advance(seconds=700)
            assert len(world.fetcher(worker="other").convert()) == 1
        return draft

    world.desk.on_prepare = prepare
    report = world.run()
    assert report.converted[0].failure.step == "claim"
    assert len(world.desk.tickets) == 1
    assert world.outcomes() == [OutcomeKind.CREATED]


def test_many_mails_are_claimed_with_one_commit(world):
    """First tries are claimed together: one claim a hundred mails, and one that finds nothing."""
    deliver(world, 150, to=world.add(max_per_fetch=500))
    claims = []
    claim = world.storage.intake_claim

    def counted(**how):
        found = claim(**how)
        claims.append(len(found.claimed))
        return found

    world.storage.intake_claim = counted
    assert world.run().outcomes == {OutcomeKind.CREATED: 150}
    assert [count for count in claims if count] == [100, 50]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_the_host_does_every_mail_has_one_outcome_in_the_end(make_world, data):
    """An outage and bad mails in any order: no good mail is quarantined, no ticket comes twice."""
    world = make_world()
    address = world.add(processed=AfterFetch.move("Done"))
    poison = data.draw(st.sets(st.integers(0, 11), max_size=5), label="poison")
    start = data.draw(st.integers(0, 600), label="the outage begins")
    length = data.draw(st.integers(0, 180), label="and lasts")
    begun = world.clock()

    def is_ill(subject):
        minute = (world.clock() - begun) / timedelta(minutes=1)
        return start <= minute < start + length or int(subject.split()[1]) in poison

    refusing(world, is_ill)
    for number in range(12):
        deliver(world, 1, to=address, first=number)
        poll(world, minutes=60, every=10)
    refusing(world, lambda subject: int(subject.split()[1]) in poison)
    for number in range(12, 24):  # while nothing succeeds, bad mail looks like an ill host
        deliver(world, 1, to=address, first=number)
        poll(world, minutes=4 * 60, every=60)
    assert world.outcomes() == [
        OutcomeKind.QUARANTINED if number in poison else OutcomeKind.CREATED for number in range(24)
    ]
    assert len(world.desk.tickets) == 24 - len(poison)
