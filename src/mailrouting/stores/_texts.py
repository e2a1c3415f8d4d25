"""Turn values into texts for columns, and back (floor 6)."""

import json

from mailrouting.health import AccountHealth, DeskFailure, DeskHealth, HealthState, Trouble
from mailrouting.records import Envelope, Failure, Outcome, OutcomeKind, TraceStep
from mailrouting.stores._values import instant, micros, moment

__all__ = [
    "desk_health_from_text",
    "desk_health_to_text",
    "envelope_from_text",
    "envelope_to_text",
    "failure_from_text",
    "failure_to_text",
    "health_from_text",
    "health_to_text",
    "outcome_from_text",
    "outcome_to_text",
]


_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def _to_text(values: object) -> str:
    return _ENCODER.encode(values)


def failure_to_text(failure: Failure) -> str:
    """Return JSON."""
    return _to_text([failure.step, failure.error_type, failure.text])


def failure_from_text(text: str | None) -> Failure | None:
    """Return what `failure_to_text` was given."""
    if text is None:
        return None
    step, error_type, what = json.loads(text)
    return Failure(step=step, error_type=error_type, text=what)


def envelope_to_text(envelope: Envelope | None) -> str | None:
    """Return JSON, or None for None."""
    if envelope is None:
        return None
    return _to_text([envelope.recipients, envelope.reverse_path])


def envelope_from_text(text: str | None) -> Envelope | None:
    """Return what `envelope_to_text` was given."""
    if text is None:
        return None
    recipients, reverse_path = json.loads(text)
    return Envelope(recipients=tuple(recipients), reverse_path=reverse_path)


def outcome_to_text(outcome: Outcome) -> str:
    """Return JSON."""
    return _to_text(
        {
            "kind": outcome.kind.value,
            "reason": outcome.reason,
            "ticket": outcome.ticket,
            "entry": outcome.entry,
            "duplicate_of": outcome.duplicate_of,
            "responded": outcome.responded,
            "trace": [[step.step, step.verdict, step.because] for step in outcome.trace],
        }
    )


def outcome_from_text(text: str | None) -> Outcome | None:
    """Return what `outcome_to_text` was given."""
    if text is None:
        return None
    values = json.loads(text)
    return Outcome(
        kind=OutcomeKind(values["kind"]),
        reason=values["reason"],
        ticket=values["ticket"],
        entry=values["entry"],
        duplicate_of=values["duplicate_of"],
        responded=values["responded"],
        trace=tuple(
            TraceStep(step=step, verdict=verdict, because=because)
            for step, verdict, because in values["trace"]
        ),
    )


def health_to_text(health: AccountHealth) -> str:
    """Return JSON, without the account's id."""
    trouble = health.trouble
    return _to_text(
        {
            "state": health.state.value,
            "since": micros(health.since),
            "checked_at": micros(health.checked_at),
            "last_success_at": micros(health.last_success_at),
            "failures": health.failures,
            "next_attempt_at": micros(health.next_attempt_at),
            "trouble": trouble and [trouble.error_type, trouble.text, trouble.hint],
            "quiet_since": micros(health.quiet_since),
            "kept_by": health.kept_by,
            "kept_until": micros(health.kept_until),
        }
    )


def health_from_text(account_id: str, text: str) -> AccountHealth:
    """Return what `health_to_text` was given."""
    values = json.loads(text)
    trouble = values["trouble"]
    return AccountHealth(
        account_id=account_id,
        state=HealthState(values["state"]),
        since=instant(values["since"]),
        checked_at=instant(values["checked_at"]),
        last_success_at=moment(values["last_success_at"]),
        failures=values["failures"],
        next_attempt_at=moment(values["next_attempt_at"]),
        trouble=trouble and Trouble(error_type=trouble[0], text=trouble[1], hint=trouble[2]),
        # Not in healths of an older version.
        quiet_since=moment(values.get("quiet_since")),
        kept_by=values.get("kept_by"),
        kept_until=moment(values.get("kept_until")),
    )


def desk_health_to_text(health: DeskHealth) -> str:
    """Return JSON, without the desk's name."""
    return _to_text(
        {
            "since": micros(health.since),
            "recent": [[one.intake_id, one.step, one.error_type] for one in health.recent],
            "paused": health.paused,
            "probes": health.probes,
            "next_probe_at": micros(health.next_probe_at),
            "last_probe": health.last_probe,
            "blamed": health.blamed,
            "succeeded_at": micros(health.succeeded_at),
        }
    )


def desk_health_from_text(desk: str, text: str) -> DeskHealth:
    """Return what `desk_health_to_text` was given."""
    values = json.loads(text)
    return DeskHealth(
        desk=desk,
        since=instant(values["since"]),
        recent=tuple(
            DeskFailure(intake_id=intake_id, step=step, error_type=error_type)
            for intake_id, step, error_type in values["recent"]
        ),
        paused=values["paused"],
        probes=values["probes"],
        next_probe_at=moment(values["next_probe_at"]),
        last_probe=values["last_probe"],
        blamed=tuple(values["blamed"]),
        succeeded_at=moment(values["succeeded_at"]),
    )
