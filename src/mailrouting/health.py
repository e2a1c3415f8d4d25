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
    TlsError,
)

__all__ = ["AccountHealth", "HealthState", "Trouble", "after_failure", "after_success"]

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
        trouble: What is wrong; None when `state` is `OK`.
    """

    account_id: str
    state: HealthState
    since: datetime
    checked_at: datetime
    last_success_at: datetime | None = None
    failures: int = 0
    next_attempt_at: datetime | None = None
    trouble: Trouble | None = None


# First wait and longest wait. A refused login waits long from the start: servers lock out.
_WAITS = {
    HealthState.DEGRADED: (timedelta(minutes=1), timedelta(minutes=30)),
    HealthState.AUTH_FAILED: (timedelta(minutes=15), timedelta(hours=6)),
    HealthState.MISCONFIGURED: (timedelta(minutes=15), timedelta(hours=1)),
}


def _state_for(error: MailroutingError) -> HealthState:
    if isinstance(error, AuthenticationError):
        return HealthState.AUTH_FAILED
    if isinstance(error, ConfigurationError | TlsError | FolderNotFoundError):
        return HealthState.MISCONFIGURED
    return HealthState.DEGRADED


def after_success(health: AccountHealth | None, *, account_id: str, now: datetime) -> AccountHealth:
    """Return the health after a run that succeeded."""
    since = health.since if health and health.state is HealthState.OK else now
    return AccountHealth(
        account_id=account_id,
        state=HealthState.OK,
        since=since,
        checked_at=now,
        last_success_at=now,
    )


def after_failure(
    health: AccountHealth | None,
    error: MailroutingError,
    *,
    account_id: str,
    now: datetime,
    jitter: float,
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
        next_attempt_at=now + wait / 2 + wait / 2 * jitter,
        trouble=Trouble(
            error_type=type(error).__name__, text=str(error)[:_LONGEST_TEXT], hint=error.hint
        ),
    )
