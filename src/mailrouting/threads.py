"""Collect the evidence for whose ticket a mail belongs to (floor 3a): pure.

Which ids and numbers to look up, and what the answers prove. Evidence says which ticket, never
who wrote: what may be done with it is `mailrouting.routing`'s matter.
"""

import enum
import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

from mailrouting.reading import Message
from mailrouting.records import ThreadRecord, TicketId

__all__ = [
    "DEFAULT_NUMBER_PATTERN",
    "Evidence",
    "EvidenceKind",
    "bounce_ids",
    "gather",
    "referenced_ids",
    "subject_numbers",
]

_MOST_IDS = 20
_MOST_NUMBERS = 3
_LONGEST_SUBJECT = 998

DEFAULT_NUMBER_PATTERN = re.compile(r"#([0-9]{1,18})(?![0-9A-Za-z])")
"""`#4711`, bare or in brackets: the number as people see it in a subject."""


class EvidenceKind(enum.Enum):
    """Say what leads to a ticket, strongest first."""

    STORED_ID = "a Message-ID that is stored with it"
    SUBJECT_NUMBER = "its number in the subject"


@attrs.frozen(kw_only=True)
class Evidence:
    """Say that something in a mail leads to a ticket.

    Attributes:
        kind: What.
        ticket: Where to.
        value: The Message-ID or number that was found.
        account_id: The account whose mail the Message-ID was; None for a subject number.
        sent: Whether that mail left from us.
    """

    kind: EvidenceKind
    ticket: TicketId
    value: str
    account_id: str | None = None
    sent: bool = False


def _usable(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, ids)))[:_MOST_IDS]


def referenced_ids(message: Message) -> tuple[str, ...]:
    """Return the Message-IDs that this mail answers, best first.

    In-Reply-To, then References from the newest (RFC 5322 §3.6.4), at most 20 together.
    """
    return _usable((*message.in_reply_to, *reversed(message.references)))


def bounce_ids(message: Message) -> tuple[str, ...]:
    """Return the Message-IDs of the mail that this one is about, best first.

    For a report (bounce, receipt, feedback) that of the mail it reports on, then what it answers.
    """
    original = (message.original_message_id,) if message.original_message_id else ()
    return _usable((*original, *referenced_ids(message)))


def subject_numbers(
    message: Message, *, pattern: re.Pattern[str] = DEFAULT_NUMBER_PATTERN
) -> tuple[str, ...]:
    """Return the ticket numbers that the subject names, at most three.

    Args:
        message: The mail.
        pattern: With one group that holds the number. It sees at most 998 characters.
    """
    subject = (message.subject or "")[:_LONGEST_SUBJECT]
    found = (match.group(1) for match in pattern.finditer(subject))
    return tuple(dict.fromkeys(found))[:_MOST_NUMBERS]


def gather(
    *,
    ids: Sequence[str],
    stored: Iterable[ThreadRecord],
    numbers: Mapping[str, TicketId],
    account_id: str,
) -> tuple[Evidence, ...]:
    """Return the evidence, strongest first, once for each ticket and kind.

    Stored ids come in the order of `ids`. Of one id that belongs to several tickets, those of the
    mail's own account come first: two mailboxes may hold copies of one mail, each with its ticket.

    Args:
        ids: From `referenced_ids` or `bounce_ids`.
        stored: What the storage knows about them.
        numbers: Number to ticket, for the numbers of the subject that the host knows.
        account_id: The account that received this mail.
    """
    order = {message_id: index for index, message_id in enumerate(ids)}
    records = sorted(
        (record for record in stored if record.message_id in order),
        key=lambda record: (
            order[record.message_id],
            record.account_id != account_id,
            not record.sent,
        ),
    )
    found = [
        Evidence(
            kind=EvidenceKind.STORED_ID,
            ticket=record.ticket,
            value=record.message_id,
            account_id=record.account_id,
            sent=record.sent,
        )
        for record in records
    ]
    found += [
        Evidence(kind=EvidenceKind.SUBJECT_NUMBER, ticket=ticket, value=number)
        for number, ticket in numbers.items()
    ]
    strongest: dict[tuple[EvidenceKind, TicketId], Evidence] = {}
    for evidence in found:
        strongest.setdefault((evidence.kind, evidence.ticket), evidence)
    return tuple(strongest.values())
