"""How an account's health follows from what its runs ran into."""

from datetime import UTC, datetime, timedelta

import pytest

from mailrouting.errors import (
    AccountError,
    AuthenticationError,
    ConnectError,
    FolderNotFoundError,
    HookError,
    PeerProtocolError,
    SessionError,
    SessionLostError,
    StorageUnavailableError,
    TlsError,
)
from mailrouting.health import HealthState, after_failure, after_success, due_at

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def fail(error, *, before=None, now=NOW, jitter=1.0):
    """Let a run fail."""
    return after_failure(before, error, account_id="help", now=now, jitter=jitter)


@pytest.mark.parametrize(
    ("error", "state", "minutes"),
    [
        (ConnectError("no"), HealthState.DEGRADED, 1),
        (SessionLostError("no"), HealthState.DEGRADED, 1),
        (PeerProtocolError("no"), HealthState.DEGRADED, 1),
        (StorageUnavailableError("no"), HealthState.DEGRADED, 1),
        (HookError("no", hook="open_session"), HealthState.DEGRADED, 1),
        (AuthenticationError("no"), HealthState.AUTH_FAILED, 15),
        (TlsError("no"), HealthState.MISCONFIGURED, 15),
        (FolderNotFoundError("no"), HealthState.MISCONFIGURED, 15),
        (AccountError("no"), HealthState.MISCONFIGURED, 15),
        (SessionError("no", response_code="READ-ONLY"), HealthState.MISCONFIGURED, 15),
        (SessionError("no", response_code="UIDNOTSTICKY"), HealthState.MISCONFIGURED, 15),
        (SessionError("no", response_code="OVERQUOTA"), HealthState.DEGRADED, 1),
    ],
)
def test_the_cause_says_whose_move_it_is(error, state, minutes):
    """Trouble on the way is tried again soon; what a person must mend is tried rarely."""
    health = fail(error)
    assert health.state is state
    assert health.next_attempt_at == NOW + timedelta(minutes=minutes)
    assert (health.failures, health.since, health.last_success_at) == (1, NOW, None)


def test_the_trouble_is_kept_with_its_hint():
    """Type, text and hint are kept; the text is bounded."""
    health = fail(ConnectError("x" * 900, hint="Look at the firewall."))
    assert health.trouble.error_type == "ConnectError"
    assert health.trouble.text == "x" * 500
    assert health.trouble.hint == "Look at the firewall."


@pytest.mark.parametrize(
    ("error", "minutes"),
    [
        (ConnectError("no"), [1, 2, 4, 8, 16, 30, 30]),
        (AuthenticationError("no"), [15, 30, 60, 120, 240, 360, 360]),
        (TlsError("no"), [15, 30, 60, 60]),
    ],
)
def test_the_wait_doubles_up_to_a_longest(error, minutes):
    """Each failure in a row waits twice as long, up to the cause's longest wait."""
    health, waits = None, []
    for _ in minutes:
        health = fail(error, before=health)
        waits.append((health.next_attempt_at - NOW) / timedelta(minutes=1))
    assert waits == minutes


def test_a_thousand_failures_overflow_nothing():
    """An account that failed for years still has its longest wait."""
    health = None
    for _ in range(1000):
        health = fail(ConnectError("no"), before=health)
    assert health.next_attempt_at == NOW + timedelta(minutes=30)


def test_jitter_spreads_the_second_half_of_the_wait():
    """Accounts that fail together do not come back together."""
    waits = [
        (fail(ConnectError("no"), jitter=jitter).next_attempt_at - NOW).total_seconds()
        for jitter in (0.0, 0.5, 1.0)
    ]
    assert waits == [30, 45, 60]


def test_since_belongs_to_the_state():
    """`since` stays while the state does, and begins anew with another one."""
    later = NOW + timedelta(hours=1)
    first = fail(ConnectError("no"))
    assert fail(SessionLostError("no"), before=first, now=later).since == NOW
    other = fail(AuthenticationError("no"), before=first, now=later)
    assert (other.since, other.failures) == (later, 2)


def test_success_ends_the_trouble_and_is_remembered():
    """A success forgets failures; a failure after it remembers the success."""
    later = NOW + timedelta(hours=1)
    first = after_success(None, account_id="help", now=NOW)
    assert (first.state, first.since, first.last_success_at) == (HealthState.OK, NOW, NOW)
    again = after_success(first, account_id="help", now=later)
    assert (again.since, again.checked_at) == (NOW, later)
    failed = fail(ConnectError("no"), before=again, now=later)
    assert (failed.failures, failed.last_success_at) == (1, later)
    mended = after_success(failed, account_id="help", now=later)
    assert (mended.failures, mended.next_attempt_at, mended.trouble) == (0, None, None)
    assert mended.since == later


def test_an_account_without_mail_for_as_long_as_it_names_is_silent():
    """Counted from the last mail, or from the first run when none ever came; mail ends it."""
    two_days = timedelta(days=2)

    def succeed(before, *, hours, has_mail=False, silent_after=two_days):
        return after_success(
            before,
            account_id="help",
            now=NOW + timedelta(hours=hours),
            has_mail=has_mail,
            silent_after=silent_after,
        )

    first = succeed(None, hours=0)
    assert (first.state, first.quiet_since) == (HealthState.OK, NOW)
    mail = succeed(first, hours=10, has_mail=True)
    assert mail.quiet_since == NOW + timedelta(hours=10)
    assert succeed(mail, hours=57).state is HealthState.OK
    silent = succeed(mail, hours=58)
    assert (silent.state, silent.since) == (HealthState.SILENT, NOW + timedelta(hours=58))
    assert succeed(silent, hours=60).since == silent.since
    assert succeed(silent, hours=60, silent_after=None).state is HealthState.OK
    assert succeed(silent, hours=61, has_mail=True).state is HealthState.OK


def test_a_failure_does_not_forget_since_when_no_mail_came():
    """Silence is counted on through failures."""
    ok = after_success(None, account_id="help", now=NOW)
    failed = fail(ConnectError("no"), before=ok, now=NOW + timedelta(hours=1))
    assert failed.quiet_since == NOW
    again = after_success(
        failed,
        account_id="help",
        now=NOW + timedelta(hours=2),
        silent_after=timedelta(hours=2),
    )
    assert again.state is HealthState.SILENT


def test_an_account_is_due_at_its_usual_time_or_at_its_next_attempt():
    """One that nobody looked at is due now."""
    often = timedelta(minutes=5)
    well, ill = after_success(None, account_id="help", now=NOW), fail(ConnectError("no"))
    assert due_at(None, fetch_every=often, now=NOW) == NOW
    assert due_at(well, fetch_every=often, now=NOW) == NOW + often
    assert due_at(ill, fetch_every=often, now=NOW) == NOW + timedelta(minutes=1)


@pytest.mark.parametrize("minutes", [6, 525_600])
@pytest.mark.parametrize("works", [True, False])
def test_f48_an_account_that_was_looked_at_in_the_future_is_due(minutes, works):
    """F48: a clock that was wrong and is put right delays no account."""
    later = NOW + timedelta(minutes=minutes)
    after = after_success(None, account_id="help", now=later)
    health = after if works else fail(AuthenticationError("no"), now=later)
    assert due_at(health, fetch_every=timedelta(hours=1), now=NOW) == NOW


def test_f48_silence_is_not_counted_from_the_future():
    """F48: after the clock was put back an account still becomes silent."""
    day = timedelta(days=1)
    health = after_success(None, account_id="help", now=NOW + 400 * day, has_mail=True)
    health = after_success(health, account_id="help", now=NOW, silent_after=day)
    assert health.state is HealthState.OK
    health = after_success(health, account_id="help", now=NOW + day, silent_after=day)
    assert health.state is HealthState.SILENT
