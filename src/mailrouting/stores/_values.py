"""Share what our stores need: rules, checks and numbers for columns (floor 6)."""

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Self, TypeVar, overload

import attrs

from mailrouting.errors import RecordNotFoundError, StaleWriteError
from mailrouting.records import (
    Claim,
    Failure,
    IntakeMail,
    IntakeRow,
    Lease,
    Outcome,
    OutcomeKind,
    Position,
    TraceStep,
)

__all__ = [
    "FAR_AHEAD",
    "LONGEST_WAIT",
    "REOPENABLE",
    "Numbering",
    "choose",
    "chunks",
    "erased_outcome",
    "instant",
    "lost_claim",
    "lost_lease",
    "lost_mail_outcome",
    "micros",
    "moment",
    "no_intake",
    "no_raw",
    "quarantine_outcome",
    "refuse_foreign_positions",
    "refuse_reopening",
    "refuse_unplaced_mail",
    "refuse_unstorable",
    "uid_order",
    "utc_now",
]

FAR_AHEAD = timedelta(hours=1)
"""A hold made, or a hit counted, so long after now was so by a clock that is wrong (S25).

Clocks of living workers differ by less; nothing that one of them holds may be taken from it.
"""

LONGEST_WAIT = timedelta(hours=25)
"""A wait that is longer was meant by a clock that is wrong: nobody waits longer than a day (S25)."""

REOPENABLE = frozenset({OutcomeKind.QUARANTINED, OutcomeKind.FILTERED})
"""Outcomes that wrote nothing for the host."""

_STORABLE = frozenset({bytes, int, bool, float, type(None)})

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
    _refuse_each((value,))


def _refuse_each(values: Iterable[object]) -> None:
    for value in values:
        kind: type = type(value)
        if type(value) is str:  # said so for the type checkers
            if "\0" in value or not value.isascii():
                _refuse_text(value)
        elif kind not in _STORABLE:
            _refuse_each(_parts_of(kind)(value))


@functools.cache
def _parts_of(kind: type[Any]) -> Callable[[Any], Iterable[object]]:
    """Return what takes a value of this type apart."""
    if issubclass(kind, datetime):
        return _zoned
    if issubclass(kind, str):
        return lambda text: (text[:],)
    if issubclass(kind, tuple | list | frozenset):
        return iter
    names = [one.name for one in getattr(kind, "__attrs_attrs__", ())]
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda value: [getattr(value, name) for name in names]


def _zoned(time: datetime) -> Iterable[object]:
    if time.tzinfo is None:
        raise ValueError(f"time without a zone cannot be stored: {time!r}")
    return ()


def _refuse_text(text: str) -> None:
    if "\0" in text:
        raise ValueError(f"text with NUL cannot be stored: {text[:80]!r}")
    text.encode()  # UnicodeEncodeError is a ValueError


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
        first_uidnext: The one told when this generation began.
    """

    generation: int
    uidvalidity: int | None
    uidnext: int | None
    first_uidnext: int | None

    @classmethod
    def first(cls, *, uidvalidity: int | None, uidnext: int | None) -> Self:
        """Return the numbering of the first opening ever."""
        return cls(generation=1, uidvalidity=uidvalidity, uidnext=uidnext, first_uidnext=uidnext)

    def opened(
        self, *, uidvalidity: int | None, uidnext: int | None, renumbered: bool
    ) -> "Numbering":
        """Return the numbering after an opening; what the server did not tell is no evidence."""
        is_new = (
            renumbered
            or (
                self.uidvalidity is not None
                and uidvalidity is not None
                and uidvalidity != self.uidvalidity
            )
            or (self.uidnext is not None and uidnext is not None and uidnext < self.uidnext)
        )
        kept = None if is_new else self.uidnext
        return Numbering(
            generation=self.generation + is_new,
            uidvalidity=self.uidvalidity if uidvalidity is None else uidvalidity,
            uidnext=kept if uidnext is None else uidnext,
            first_uidnext=uidnext if is_new else self.first_uidnext,
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


def no_raw(intake_id: int) -> RecordNotFoundError:
    """Make the error of asking for bytes that were purged or erased."""
    return RecordNotFoundError(
        f"the mail of intake {intake_id} was purged or erased",
        hint="What is kept is its row: identity, outcome and trace.",
    )


def refuse_reopening(row: IntakeRow) -> None:
    """Refuse to take back an outcome that wrote for the host, or that is not there.

    Raises:
        StaleWriteError: It is one of these.
        RecordNotFoundError: There is no mail to try anew.
    """
    kind = row.outcome.kind if row.outcome else None
    if kind not in REOPENABLE:
        raise StaleWriteError(
            f"intake {row.id} cannot be reopened: it is {kind.value if kind else row.state.value}",
            expected=None,
            found=None,
            hint="Only quarantined and filtered mail can be tried anew.",
        )
    if not row.has_raw:
        raise no_raw(row.id)


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


def lost_mail_outcome(error: Exception) -> Outcome:
    """Return the outcome of a row whose mail is not to be had."""
    reason = f"its mail is not in the spool: {error}"
    return Outcome(
        kind=OutcomeKind.QUARANTINED,
        reason=reason,
        trace=(TraceStep(step="claim", verdict="no mail", because=reason),),
    )


def erased_outcome() -> Outcome:
    """Return the outcome of a row that was erased before it had one."""
    reason = "erased before it was converted"
    return Outcome(
        kind=OutcomeKind.QUARANTINED,
        reason=reason,
        trace=(TraceStep(step="erase", verdict="erased", because=reason),),
    )


def choose(
    due: Iterable[tuple[_T, int]], *, limit: int, max_attempts: int
) -> tuple[list[_T], list[_T]]:
    """Return which of the rows that are due one claim takes (S24), and which are worn out.

    Args:
        due: Each with its attempts, lowest id first.
        limit: At most so many are taken.
        max_attempts: A row with so many attempts is worn out.
    """
    taken: list[_T] = []
    worn: list[_T] = []
    for row, attempts in due:
        if attempts >= max_attempts:
            worn.append(row)
            continue
        if attempts and taken:
            break
        taken.append(row)
        if attempts or len(taken) == limit:
            break
    return taken, worn


def uid_order(uid: str) -> tuple[int, str]:
    """Return a key that sorts IMAP's decimal UIDs by number, and any other text all the same."""
    return len(uid), uid


def chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """Cut into lists of at most `size`: databases bound the parameters of one statement."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


@overload
def micros(time: datetime) -> int: ...
@overload
def micros(time: datetime | None) -> int | None: ...
def micros(time: datetime | None) -> int | None:
    """Return microseconds since 1970 UTC: exact, and ordered as the times are."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def moment(value: int | None) -> datetime | None:
    """Return the time of `micros`, or None for None."""
    return None if value is None else instant(value)


def instant(value: int) -> datetime:
    """Return the time of `micros`."""
    return _EPOCH + value * _MICROSECOND
