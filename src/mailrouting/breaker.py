"""Tell a host that is ill from a mail that is poison (floor 3a): pure transitions.

An attempt counts against a mail only when it failed alone. When three different mails in a row
fail in the same step with the same error, the desk is ill: conversion pauses, and one mail a
backoff step is tried, another one each time, until one succeeds. What failed before something
succeeded is blamed itself from then on, so that no number of bad mails can stop a desk for ever.
"""

from datetime import datetime, timedelta

import attrs

from mailrouting.health import DeskFailure, DeskHealth

__all__ = ["after_mail_failed", "after_mail_succeeded", "is_probe_due", "may_be_blamed", "well"]

_IN_A_ROW = 3
_MOST_BLAMED = 100
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(minutes=30)
_GRACE = timedelta(days=1)


def well(desk: str, *, now: datetime) -> DeskHealth:
    """Return the health of a desk that nothing is known of."""
    return DeskHealth(desk=desk, since=now)


def is_probe_due(health: DeskHealth, *, now: datetime) -> bool:
    """Tell whether a paused desk is to be tried with one mail."""
    wait = timedelta() if health.next_probe_at is None else health.next_probe_at - now
    # One that is further away was meant by a clock that was put back since.
    return wait <= timedelta() or wait > _LONGEST_WAIT


def after_mail_succeeded(health: DeskHealth, *, now: datetime) -> DeskHealth:
    """Return the health after a mail got its outcome; the same value when nothing changed."""
    if not health.recent and not health.paused:
        return health
    return DeskHealth(
        desk=health.desk,
        since=now,
        last_probe=health.last_probe,
        blamed=_blaming(health.blamed, *(one.intake_id for one in health.recent)),
        succeeded_at=now,
    )


def after_mail_failed(
    health: DeskHealth, failure: DeskFailure, *, now: datetime, jitter: float
) -> DeskHealth:
    """Return the health after a mail failed; the same value when the mail alone is to blame.

    Args:
        health: The health before.
        failure: What failed.
        now: The time.
        jitter: From 0 to 1: which part of the wait's second half to use.
    """
    if health.paused:
        return attrs.evolve(
            health,
            probes=health.probes + 1,
            next_probe_at=now + _wait(health.probes + 1, jitter),
            last_probe=failure.intake_id,
            blamed=_blaming(health.blamed, failure.intake_id),
        )
    if failure.intake_id in health.blamed:
        return health
    alike = tuple(
        one
        for one in health.recent
        if (one.step, one.error_type) == (failure.step, failure.error_type)
        and one.intake_id != failure.intake_id
    )
    recent = (*alike, failure)
    if len(recent) < _IN_A_ROW:
        return attrs.evolve(health, recent=recent, since=health.since if health.recent else now)
    return attrs.evolve(
        health,
        recent=recent,
        since=now,
        paused=True,
        probes=0,
        next_probe_at=now + _wait(0, jitter),
        last_probe=failure.intake_id,
    )


def may_be_blamed(
    health: DeskHealth, intake_id: int, *, stored_at: datetime, now: datetime
) -> bool:
    """Tell whether a mail that failed at its last attempt may be given up.

    Not while nothing at all has succeeded since it came, for a day: on a quiet desk one mail alone
    meets a host that is ill.

    Args:
        health: The health before this attempt.
        intake_id: The mail.
        stored_at: When it came.
        now: The time.
    """
    if intake_id in health.blamed or not health.recent:
        return True
    worked_since = health.succeeded_at is not None and health.succeeded_at >= stored_at
    return worked_since or now - health.since >= _GRACE


def _wait(probes: int, jitter: float) -> timedelta:
    doubled: int = 2 ** min(probes, 16)
    wait = min(_FIRST_WAIT * doubled, _LONGEST_WAIT)
    return wait / 2 + wait / 2 * jitter


def _blaming(blamed: tuple[int, ...], *ids: int) -> tuple[int, ...]:
    kept = [one for one in blamed if one not in ids]
    return (*kept, *ids)[-_MOST_BLAMED:]
