"""Hold what routing says, and what in the end happened."""

import enum

import attrs

from mailrouting.addresses import OwnAddress
from mailrouting.records.tickets import TicketId

__all__ = [
    "Action",
    "Authenticity",
    "Decision",
    "Outcome",
    "OutcomeKind",
    "TraceStep",
]


@attrs.frozen
class TraceStep:
    """Say what one step of a decision found.

    Attributes:
        step: What was looked at, for instance `reply`.
        verdict: What came of it in a word or two, for instance `passed over`.
        because: Why, in a sentence for the operator.
    """

    step: str
    verdict: str
    because: str

    def __str__(self) -> str:
        return f"{self.step}: {self.verdict}, {self.because}"


class Action(enum.Enum):
    """Say what is to be done with a mail."""

    OPEN = "open a ticket"
    APPEND = "add an entry to a ticket"
    BOUNCE = "note a report about a mail of ours"
    FILTER = "open nothing"
    DUPLICATE = "open nothing: another copy was taken in"
    QUARANTINE = "set aside for a person"


class Authenticity(enum.Enum):
    """Say whether the sender in From is proved."""

    AUTHENTICATED = "a server that the account trusts found DMARC passed for the From domain"
    UNPROVED = "nothing that the account trusts says who sent it"


@attrs.frozen(kw_only=True)
class Decision:
    """Say what is to be done with a mail, and why.

    Attributes:
        action: What to do.
        because: Why, in a sentence.
        account_id: The account that received the mail.
        received_as: Our address that it was written to, if one of ours is named.
        ticket: For `APPEND` the ticket; for `BOUNCE` the ticket it is about, when known.
        linked: Tickets to link to a new one.
        verified: For `APPEND`: False when the entry is to be shown to agents only.
        duplicate_of: For `DUPLICATE`: the intake id of the copy that counts.
        department: For `OPEN`.
        help_topic: For `OPEN`.
        priority: For `OPEN`.
        authenticity: Whether the sender is proved.
        may_autorespond: Whether an automatic response is allowed.
        autorespond_because: Why, or why not.
        trace: Every step in order.
    """

    action: Action
    because: str
    account_id: str
    received_as: OwnAddress | None = None
    ticket: TicketId | None = None
    linked: tuple[TicketId, ...] = ()
    verified: bool = True
    duplicate_of: int | None = None
    department: str | None = None
    help_topic: str | None = None
    priority: str | None = None
    authenticity: Authenticity = Authenticity.UNPROVED
    may_autorespond: bool = False
    autorespond_because: str = ""
    trace: tuple[TraceStep, ...] = ()


class OutcomeKind(enum.Enum):
    """Say what in the end happened to an intake row. Exactly one, for ever."""

    CREATED = "created"
    APPENDED = "appended"
    BOUNCE = "bounce"
    FILTERED = "filtered"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    OVERSIZED = "oversized"
    """A ticket or an entry with the header alone: the mail is larger than is looked into."""


@attrs.frozen(kw_only=True)
class Outcome:
    """Say what happened to a mail, and why.

    Attributes:
        kind: What happened.
        reason: Why, in a sentence.
        ticket: The ticket it opened or was added to, if any.
        entry: The entry, when the host named it.
        duplicate_of: The intake id of the copy that counts, for `DUPLICATE`.
        responded: Whether an automatic response was asked for.
        trace: The decision's steps.
    """

    kind: OutcomeKind
    reason: str
    ticket: TicketId | None = None
    entry: str | None = None
    duplicate_of: int | None = None
    responded: bool = False
    trace: tuple[TraceStep, ...] = ()
