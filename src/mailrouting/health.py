"""Judge how an account is (floor 3a): pure transitions, stored by the storage.

An account's failure never stops the others. What failed, since when and what to do is kept here
until the account works again.
"""

import enum
from datetime import datetime, timedelta

import attrs

from mailrouting.errors import (
    AuthenticationError,
    ConfigurationError,
    FolderNotFoundError,
    MailroutingError,
    SessionError,
    TlsError,
)

__all__ = [
    "AccountHealth",
    "DeskFailure",
    "DeskHealth",
    "HealthState",
    "Trouble",
    "after_failure",
    "after_host_trouble",
    "after_success",
    "due_at",
    "is_fresh",
    "kept",
    "shown_state",
]

_LONGEST_TEXT = 500


class HealthState(enum.Enum):
    """Say how an account is, and by that whose move it is."""

    OK = "ok"
    DEGRADED = "degraded"
    """A server or a network is in trouble: it is tried again."""
    AUTH_FAILED = "auth-failed"
    """The login was refused: a person must look, and frequent tries may lock it out."""
    MISCONFIGURED = "misconfigured"
    """A setting cannot work: a person must change it."""
    SILENT = "silent"
    """It works, and no mail came for as long as the account names: perhaps none reaches it."""
    PAUSED = "paused"
    """A person keeps it from being fetched. Not stored with the health: see `shown_state`."""


@attrs.frozen(kw_only=True)
class Trouble:
    """Say what is wrong, without secrets.

    Attributes:
        error_type: The error's class name.
        text: The fact.
        hint: What to do.
    """

    error_type: str
    text: str
    hint: str


@attrs.frozen(kw_only=True)
class AccountHealth:
    """Say how an account is.

    Attributes:
        account_id: Which.
        state: How it is.
        since: When this state began.
        checked_at: When it was looked at last.
        last_success_at: When a run succeeded last; None: never.
        failures: Failed runs in a row.
        next_attempt_at: When the next try is due after a failure; None: at its usual time.
        trouble: What is wrong; None when `state` is `OK` or `SILENT`.
        quiet_since: When mail came last; before the first one, when a run succeeded first.
        kept_by: The worker that keeps the account's connection open and asks it for new mail; None:
            nobody.
        kept_until: Until then others leave the account to that worker; None: when `kept_by` is.
    """

    account_id: str
    state: HealthState
    since: datetime
    checked_at: datetime
    last_success_at: datetime | None = None
    failures: int = 0
    next_attempt_at: datetime | None = None
    trouble: Trouble | None = None
    quiet_since: datetime | None = None
    kept_by: str | None = None
    kept_until: datetime | None = None


@attrs.frozen(kw_only=True)
class DeskFailure:
    """Say which mail a host's desk could not take, and how it failed.

    Attributes:
        intake_id: The mail.
        step: Where it failed.
        error_type: The error's class name.
    """

    intake_id: int
    step: str
    error_type: str


@attrs.frozen(kw_only=True)
class DeskHealth:
    """Say how a host's desk takes mail; `mailrouting.breaker` has the transitions.

    Attributes:
        desk: Which.
        since: When the desk was paused; else when the first of `recent` failed, or something
            succeeded again.
        recent: The last failures of different mails with nothing that succeeded between, oldest
            first, three at most.
        paused: Whether conversion waits for the desk.
        probes: Failed probes in a row, while it is paused.
        next_probe_at: When the next mail is tried, while it is paused.
        last_probe: The mail that was tried last while it was paused; the next probe is another.
        blamed: Mails that failed before something else succeeded: when one fails again it is its
            own failure, and no sign of an ill desk.
        succeeded_at: When a mail succeeded after others had failed, the last time.
    """

    desk: str
    since: datetime
    recent: tuple[DeskFailure, ...] = ()
    paused: bool = False
    probes: int = 0
    next_probe_at: datetime | None = None
    last_probe: int = 0
    blamed: tuple[int, ...] = ()
    succeeded_at: datetime | None = None


# First wait and longest wait. A refused login waits long from the start: servers lock out.
_WAITS = {
    HealthState.DEGRADED: (timedelta(minutes=1), timedelta(minutes=30)),
    HealthState.AUTH_FAILED: (timedelta(minutes=15), timedelta(hours=6)),
    HealthState.MISCONFIGURED: (timedelta(minutes=15), timedelta(hours=1)),
}


# RFC 9051 §7.1, RFC 5530, RFC 4315: rights and abilities, which no waiting changes.
_PERSONS_MOVE = frozenset(
    {"READ-ONLY", "PERMANENTFLAGS", "UIDNOTSTICKY", "NOPERM", "CANNOT", "PRIVACYREQUIRED"}
)


_PUT_BACK = timedelta(minutes=5)
"""A clock that says less than at the last look, by more than this, was put back.

A poll too many costs little, so little is enough. A storage waits an hour until it takes away what
a worker holds, because that worker may live (S25).
"""


_FRESH = timedelta(minutes=5)
_GRACE = timedelta(minutes=1)
"""For a worker whose threads are busy when an account is due."""


def _state_for(error: MailroutingError) -> HealthState:
    if isinstance(error, AuthenticationError):
        return HealthState.AUTH_FAILED
    if isinstance(error, ConfigurationError | TlsError | FolderNotFoundError):
        return HealthState.MISCONFIGURED
    if isinstance(error, SessionError) and error.response_code in _PERSONS_MOVE:
        return HealthState.MISCONFIGURED
    return HealthState.DEGRADED


def shown_state(health: AccountHealth | None, *, is_paused: bool) -> HealthState | None:
    """Return the state that people are to see; None when the account was never looked at."""
    if is_paused:
        return HealthState.PAUSED
    return health.state if health else None


def due_at(
    health: AccountHealth | None,
    *,
    fetch_every: timedelta,
    now: datetime,
    worker: str | None = None,
) -> datetime:
    """Return when an account is due, which may be over.

    Args:
        health: Its health; None when it was never looked at: it is due now. So is one that was
            looked at in the future, because the clock was put back since.
        fetch_every: How often it runs while all is well.
        now: The time.
        worker: For whom: what another keeps is due for this one when that one is overdue. None:
            for whoever keeps it.
    """
    if health is None or health.checked_at - now > _PUT_BACK:
        return now
    if health.kept_until is not None and worker not in {None, health.kept_by}:
        return health.kept_until
    return health.next_attempt_at or health.checked_at + fetch_every


def kept(health: AccountHealth, *, worker: str, fetch_every: timedelta) -> AccountHealth:
    """Return the health of an account whose connection a worker keeps.

    That worker asks the server every `fetch_every`, and writes a health only when the last one is
    no longer `is_fresh`; others leave the account to it for as long as that may take.

    Args:
        health: After a run that succeeded.
        worker: Who keeps it.
        fetch_every: How often it runs.
    """
    until = health.checked_at + fetch_every + _FRESH + _GRACE
    return attrs.evolve(health, kept_by=worker, kept_until=until)


def is_fresh(health: AccountHealth, *, now: datetime) -> bool:
    """Tell whether a health is so new that a poll which found nothing need not be noted."""
    return abs(now - health.checked_at) < _FRESH


def after_success(
    health: AccountHealth | None,
    *,
    account_id: str,
    now: datetime,
    has_mail: bool = False,
    silent_after: timedelta | None = None,
) -> AccountHealth:
    """Return the health after a run that succeeded.

    Args:
        health: The health before; None when there was none.
        account_id: Which account.
        now: The time.
        has_mail: Whether mail came with this run.
        silent_after: How long the account may be without mail; None: for ever.
    """
    before = health.quiet_since if health else None
    # The clock may have been put back since.
    quiet_since = now if has_mail or before is None else min(before, now)
    is_silent = silent_after is not None and now - quiet_since >= silent_after
    state = HealthState.SILENT if is_silent else HealthState.OK
    return AccountHealth(
        account_id=account_id,
        state=state,
        since=health.since if health and health.state is state else now,
        checked_at=now,
        last_success_at=now,
        quiet_since=quiet_since,
    )


def after_failure(
    health: AccountHealth | None,
    error: MailroutingError,
    *,
    account_id: str,
    now: datetime,
    jitter: float,
    is_partial: bool = False,
) -> AccountHealth:
    """Return the health after a run that failed.

    The wait doubles with every failure in a row, up to a longest one by cause.

    Args:
        health: The health before; None when there was none.
        error: What failed.
        account_id: Which account.
        now: The time.
        jitter: From 0 to 1: which part of the wait's second half to use, so that accounts which
            fail together do not come back together.
        is_partial: The run went through, and only some mail made trouble: the next one comes at
            its usual time.
    """
    state = _state_for(error)
    failures = (health.failures if health else 0) + 1
    first, longest = _WAITS[state]
    wait = min(first * 2 ** min(failures - 1, 16), longest)
    return AccountHealth(
        account_id=account_id,
        state=state,
        since=health.since if health and health.state is state else now,
        checked_at=now,
        last_success_at=health.last_success_at if health else None,
        failures=failures,
        next_attempt_at=None if is_partial else now + wait / 2 + wait / 2 * jitter,
        trouble=Trouble(
            error_type=type(error).__name__, text=str(error)[:_LONGEST_TEXT], hint=error.hint
        ),
        quiet_since=health.quiet_since if health else None,
    )


def after_host_trouble(
    health: AccountHealth | None, desk: DeskHealth, *, account_id: str, now: datetime
) -> AccountHealth:
    """Return the health after a run that stored mail for a desk that is paused.

    The account is `DEGRADED`, but it has not failed: it goes on at its usual time.

    Args:
        health: The health before; None when there was none.
        desk: The paused desk.
        account_id: Which account.
        now: The time.
    """
    step, error_type = "", ""
    if desk.recent:
        step, error_type = desk.recent[-1].step, desk.recent[-1].error_type
    was_degraded = health is not None and health.state is HealthState.DEGRADED
    return AccountHealth(
        account_id=account_id,
        state=HealthState.DEGRADED,
        since=health.since if health and was_degraded else now,
        checked_at=now,
        last_success_at=now,
        quiet_since=health.quiet_since if health else None,
        trouble=Trouble(
            error_type=error_type,
            text=f"the host's desk is paused since {desk.since.isoformat()}: {step} fails",
            hint="Look at the host: mail is stored, and converted as soon as it takes mail again.",
        ),
    )
