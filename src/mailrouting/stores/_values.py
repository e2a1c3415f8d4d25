"""Share what our stores need: rules, checks, and texts and numbers for columns (floor 6)."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

import attrs

from mailrouting.errors import RecordNotFoundError, StaleWriteError
from mailrouting.health import AccountHealth, HealthState, Trouble
from mailrouting.records import (
    Claim,
    Envelope,
    Failure,
    IntakeMail,
    Lease,
    Outcome,
    OutcomeKind,
    Position,
    TraceStep,
)

__all__ = [
    "Numbering",
    "chunks",
    "envelope_from_text",
    "envelope_to_text",
    "failure_from_text",
    "failure_to_text",
    "health_from_text",
    "health_to_text",
    "lost_claim",
    "lost_lease",
    "micros",
    "moment",
    "no_intake",
    "outcome_from_text",
    "outcome_to_text",
    "quarantine_outcome",
    "refuse_foreign_positions",
    "refuse_unplaced_mail",
    "refuse_unstorable",
    "uid_order",
    "utc_now",
]

_T = TypeVar("_T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


def refuse_unstorable(value: object) -> None:
    """Refuse a NUL, a lone surrogate or a time without a zone anywhere in a value.

    PostgreSQL stores no NUL, C strings end at it, and UTF-8 has no lone surrogates: every store
    refuses what one of them could not give back.

    Raises:
        ValueError: There is one.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"text with NUL cannot be stored: {value[:80]!r}")
        if not value.isascii():
            value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"time without a zone cannot be stored: {value!r}")
    elif isinstance(value, tuple | list | frozenset):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            refuse_unstorable(item)  # pyright: ignore[reportUnknownArgumentType]
    else:
        for field in getattr(type(value), "__attrs_attrs__", ()):
            refuse_unstorable(getattr(value, field.name))


def refuse_foreign_positions(positions: Sequence[Position], lease: Lease) -> None:
    """Refuse positions outside the leased mailbox.

    Raises:
        ValueError: There is one.
    """
    for position in positions:
        if position.mailbox != lease.mailbox:
            raise ValueError(f"position is in {position.mailbox}, the lease holds {lease.mailbox}")


def refuse_unplaced_mail(mails: Sequence[IntakeMail], lease: Lease | None) -> None:
    """Refuse fetched mail without its lease, and mail of another mailbox.

    Raises:
        ValueError: A position needs a lease on its mailbox; a lease needs positions.
    """
    if lease is not None:
        positions = [mail.position for mail in mails if mail.position is not None]
        if len(positions) != len(mails):
            raise ValueError("mail put with a lease must have a position")
        refuse_foreign_positions(positions, lease)
    elif any(mail.position is not None for mail in mails):
        raise ValueError("mail with a position must be put with the lease on its mailbox")


@attrs.frozen(kw_only=True)
class Numbering:
    """Hold how a server numbered a mailbox when it was opened last.

    Attributes:
        generation: Ours; counts up only.
        uidvalidity: The last one told.
        uidnext: The last one told in this generation.
    """

    generation: int
    uidvalidity: int | None
    uidnext: int | None

    def opened(self, *, uidvalidity: int | None, uidnext: int | None) -> "Numbering":
        """Return the numbering after an opening; what the server did not tell is no evidence."""
        is_new = (
            self.uidvalidity is not None
            and uidvalidity is not None
            and uidvalidity != self.uidvalidity
        ) or (self.uidnext is not None and uidnext is not None and uidnext < self.uidnext)
        kept = None if is_new else self.uidnext
        return Numbering(
            generation=self.generation + is_new,
            uidvalidity=self.uidvalidity if uidvalidity is None else uidvalidity,
            uidnext=kept if uidnext is None else uidnext,
        )


def lost_lease(lease: Lease, found: int | None) -> StaleWriteError:
    """Make the error of a write with a lease that is lost; `found` is the token that holds."""
    return StaleWriteError(
        f"the lease on {lease.mailbox} is lost", expected=lease.token, found=found
    )


def lost_claim(claim: Claim, found: int | None) -> StaleWriteError:
    """Make the error of a write with a claim that is lost; `found` is the token that holds."""
    return StaleWriteError(
        f"the claim on intake {claim.row.id} is lost", expected=claim.token, found=found
    )


def no_intake(intake_id: int) -> RecordNotFoundError:
    """Make the error of asking for a row that is not there."""
    return RecordNotFoundError(f"there is no intake {intake_id}")


def quarantine_outcome(attempts: int, failure: Failure | None) -> Outcome:
    """Return the outcome of a row that was tried often enough."""
    last = (
        f"the last failed in {failure.step} with {failure.error_type}: {failure.text}"
        if failure
        else "the last ended without an error: the process died, or ran past its claim"
    )
    reason = f"{attempts} attempts; {last}"
    return Outcome(
        kind=OutcomeKind.QUARANTINED,
        reason=reason,
        trace=(TraceStep(step="attempts", verdict="used up", because=reason),),
    )


def uid_order(uid: str) -> tuple[int, str]:
    """Return a key that sorts IMAP's decimal UIDs by number, and any other text all the same."""
    return len(uid), uid


def chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """Cut into lists of at most `size`: databases bound the parameters of one statement."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def micros(time: datetime | None) -> int | None:
    """Return microseconds since 1970 UTC: exact, and ordered as the times are."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def moment(value: int | None) -> datetime | None:
    """Return the time of `micros`."""
    return None if value is None else _EPOCH + value * _MICROSECOND


def _to_text(values: object) -> str:
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


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
        }
    )


def health_from_text(account_id: str, text: str) -> AccountHealth:
    """Return what `health_to_text` was given."""
    values = json.loads(text)
    trouble = values["trouble"]
    return AccountHealth(
        account_id=account_id,
        state=HealthState(values["state"]),
        since=_EPOCH + values["since"] * _MICROSECOND,
        checked_at=_EPOCH + values["checked_at"] * _MICROSECOND,
        last_success_at=moment(values["last_success_at"]),
        failures=values["failures"],
        next_attempt_at=moment(values["next_attempt_at"]),
        trouble=trouble and Trouble(error_type=trouble[0], text=trouble[1], hint=trouble[2]),
    )
