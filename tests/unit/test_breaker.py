"""How a desk that is ill is told from mails that are poison."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given, strategies as st

from mailrouting.breaker import (
    after_mail_failed,
    after_mail_succeeded,
    is_probe_due,
    may_be_blamed,
    well,
)
from mailrouting.health import DeskFailure

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def failure(intake_id, step="open_ticket", error_type="OperationalError"):
    """Be one failed mail."""
    return DeskFailure(intake_id=intake_id, step=step, error_type=error_type)


def fail(health, *ids, now=NOW, jitter=1.0, **kind):
    """Let mails fail one after the other."""
    for intake_id in ids:
        health = after_mail_failed(health, failure(intake_id, **kind), now=now, jitter=jitter)
    return health


def test_three_different_mails_in_a_row_pause_the_desk():
    """The third mail that fails alike pauses the desk; the first two, and one twice, do not."""
    health = fail(well("desk", now=NOW), 1, 2, 2, 1)
    assert not health.paused
    assert [one.intake_id for one in health.recent] == [2, 1]
    health = fail(health, 3, now=NOW + MINUTE)
    assert health.paused
    assert (health.since, health.next_probe_at) == (NOW + MINUTE, NOW + 2 * MINUTE)
    assert health.last_probe == 3


@pytest.mark.parametrize("kind", [{"step": "prepare"}, {"error_type": "KeyError"}])
def test_failures_that_differ_pause_nothing(kind):
    """Another step or another error begins a new row; `since` stays, as nothing succeeded."""
    health = fail(well("desk", now=NOW), 1, 2)
    health = fail(health, 3, now=NOW + MINUTE, **kind)
    assert not health.paused
    assert (len(health.recent), health.since) == (1, NOW)


def test_a_success_between_ends_the_row_and_blames_what_failed():
    """After a success the mails that failed before count as signs of an ill desk no more."""
    health = after_mail_succeeded(fail(well("desk", now=NOW), 1, 2), now=NOW + MINUTE)
    assert (health.recent, health.blamed, health.succeeded_at) == ((), (1, 2), NOW + MINUTE)
    assert fail(health, 1, 2) is health
    assert not fail(health, 1, 3, 2, 4).paused
    assert fail(health, 1, 3, 2, 4, 5).paused


def test_a_success_of_a_well_desk_changes_nothing():
    """So that a success costs no write."""
    health = well("desk", now=NOW)
    assert after_mail_succeeded(health, now=NOW + MINUTE) is health


def test_probes_come_later_and_later():
    """Each failed probe doubles the wait, up to half an hour; jitter spreads its second half."""
    health = fail(well("desk", now=NOW), 1, 2, 3)
    waits = []
    for number in range(4, 11):
        waits.append((health.next_probe_at - NOW) / MINUTE)
        health = fail(health, number, step="another")
        assert (health.paused, health.last_probe) == (True, number)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert fail(well("desk", now=NOW), 1, 2, 3, jitter=0.0).next_probe_at == NOW + MINUTE / 2


def test_a_probe_is_due_at_its_time():
    """Not before, and from then on."""
    health = fail(well("desk", now=NOW), 1, 2, 3)
    assert not is_probe_due(health, now=NOW)
    assert is_probe_due(health, now=NOW + MINUTE)
    assert is_probe_due(well("desk", now=NOW), now=NOW)


def test_f48_a_probe_is_due_when_the_clock_was_put_back():
    """F48: a probe further away than any wait was meant by a clock that was wrong."""
    health = fail(well("desk", now=NOW), 1, 2, 3)
    assert is_probe_due(health, now=NOW - timedelta(days=1))
    assert not is_probe_due(health, now=NOW - MINUTE)


def test_a_successful_probe_resumes_and_blames_all_that_failed():
    """The desk is well again; what failed meanwhile pauses it no more."""
    health = fail(well("desk", now=NOW), 1, 2, 3, 4, 5)
    health = after_mail_succeeded(health, now=NOW + MINUTE)
    assert not health.paused
    assert (health.probes, health.next_probe_at, health.since) == (0, None, NOW + MINUTE)
    assert set(health.blamed) == {1, 2, 3, 4, 5}
    assert fail(health, 1, 2, 3, 4, 5) is health


def test_a_lone_mail_is_not_given_up_while_nothing_works():
    """For a day; unless something succeeded since it came, or others did when it had failed."""
    came = NOW - MINUTE
    health = fail(well("desk", now=NOW), 1)
    ask = {"stored_at": came, "now": NOW + timedelta(hours=23)}
    assert not may_be_blamed(health, 1, **ask)
    assert not may_be_blamed(fail(health, 2, step="other"), 1, **ask)
    assert may_be_blamed(attrs.evolve(health, blamed=(2,)), 2, **ask)
    assert may_be_blamed(well("desk", now=NOW), 1, **ask)
    assert may_be_blamed(health, 1, stored_at=came, now=NOW + timedelta(hours=24))
    worked = attrs.evolve(health, succeeded_at=NOW)
    assert may_be_blamed(worked, 1, **ask)
    assert not may_be_blamed(attrs.evolve(health, succeeded_at=came - MINUTE), 1, **ask)


STEPS = st.lists(
    st.tuples(
        st.integers(1, 6), st.sampled_from(["ok", "open_ticket", "prepare"]), st.floats(0, 1)
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_the_state_makes_sense(steps):
    """Bounded, paused only with a time to try again, and a success always resumes."""
    health, now = well("desk", now=NOW), NOW
    for intake_id, what, jitter in steps:
        before, now = health, now + MINUTE
        if what == "ok":
            health = after_mail_succeeded(health, now=now)
            assert not health.paused
            assert not health.recent
        else:
            health = fail(health, intake_id, now=now, jitter=jitter, step=what)
            assert health.paused or not before.paused
        assert health.paused == (health.next_probe_at is not None) == (len(health.recent) == 3)
        assert len({one.intake_id for one in health.recent}) == len(health.recent) <= 3
        assert len(set(health.blamed)) == len(health.blamed)
        assert not health.paused or now < health.next_probe_at <= now + timedelta(minutes=30)


@given(st.integers(3, 90), st.integers(0, 5))
def test_no_number_of_poison_mails_stops_a_desk_for_ever(poison, good):
    """Mails that fail and one that succeeds behind them: after its success no poison pauses."""
    health = well("desk", now=NOW)
    for intake_id in range(1, poison + 1):
        health = fail(health, intake_id)
    health = after_mail_succeeded(health, now=NOW)
    for _ in range(good):
        health = fail(health, *range(1, poison + 1))
        assert not health.paused
        assert all(
            may_be_blamed(health, one, stored_at=NOW, now=NOW) for one in range(1, poison + 1)
        )
