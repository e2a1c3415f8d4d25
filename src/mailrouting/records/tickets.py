"""Hold what the host says of its tickets, and what a mail proposes."""

import enum

import attrs

from mailrouting.addresses import AddrSpec
from mailrouting.reading import HeaderAddress, Message

__all__ = [
    "EntryDraft",
    "EntryKind",
    "Role",
    "TicketDraft",
    "TicketId",
    "TicketState",
    "TryLater",
    "Verdict",
    "VerdictKind",
    "Written",
]

TicketId = str
"""The host's id of a ticket."""


class VerdictKind(enum.Enum):
    """Say what a rule wants done with a mail."""

    FILTER = "open nothing, keep the row and the reason"
    OPEN = "open a new ticket whatever the evidence says"
    QUARANTINE = "set it aside for a person"


@attrs.frozen(kw_only=True)
class Verdict:
    """Be a rule's answer, or that of `Prepares.prepare`.

    Attributes:
        kind: What to do.
        reason: Why, in a sentence for the operator.
        department: With `OPEN`: the department, instead of the account's default.
        help_topic: With `OPEN`: likewise.
        priority: With `OPEN`: likewise.
    """

    kind: VerdictKind
    reason: str
    department: str | None = None
    help_topic: str | None = None
    priority: str | None = None


@attrs.frozen(kw_only=True)
class TryLater:
    """Ask for another try: something that the host needs is away. The attempt is given back.

    Attributes:
        reason: What is away.
        after_seconds: How long to wait at least.
    """

    reason: str
    after_seconds: float = 60.0


@attrs.frozen(kw_only=True)
class Written:
    """Say what a write hook wrote.

    Attributes:
        ticket: The ticket's id, 1 to 255 characters.
        entry: The entry's id, when the host has one.
        respond: True when an automatic response shall be sent; only heeded where the decision
            allows one.
    """

    ticket: TicketId
    entry: str | None = None
    respond: bool = False


class Role(enum.Enum):
    """Say who an address belongs to, as far as the host knows."""

    UNKNOWN = "nobody that the host knows"
    CUSTOMER = "a known user"
    AGENT = "an agent of the help desk"


@attrs.frozen(kw_only=True)
class TicketState:
    """Describe a ticket of the host, as far as routing must know it.

    Attributes:
        ticket: Its id.
        participants: Addresses of requester, collaborators and agents on it.
        accepts_entries: False when a reply shall open a new, linked ticket (closed for good).
        merged_into: The ticket that took its place, if any.
        account_id: The account that it answers from, if that is set.
        requester: The address that opened it. Of several tickets that one Message-ID leads to, it
            tells which is the sender's own.
    """

    ticket: TicketId
    participants: tuple[str, ...] = ()
    accepts_entries: bool = True
    merged_into: TicketId | None = None
    account_id: str | None = None
    requester: str | None = None


class EntryKind(enum.Enum):
    """Say what an entry is."""

    MESSAGE = "written by a person, or to be read as if"
    AUTOMATIC = "an automatic response or notice"
    BOUNCE = "a report about a mail that we sent: an internal note"


@attrs.frozen(kw_only=True)
class EntryDraft:
    """Propose an entry on a ticket.

    Everything that comes from the mail is untrusted text.

    Attributes:
        idempotency_key: The same on every try of the same mail; unique among mails.
        kind: What it is.
        author: From, as read; None when the mail has none.
        verified: False for a report, and when only a guessable sign, such as a subject number, or
            a sender that nothing proves, leads here: tell agents, show the sender nothing of the
            ticket and add no participant.
        message: The mail as read: text, HTML, reply view, attachments, ids, raw bytes.
        because: Why it belongs here, in a sentence.
        notice: What agents must know about the mail, such as that it is too large and only its
            header was read; empty when there is nothing.
    """

    idempotency_key: str
    kind: EntryKind
    author: HeaderAddress | None
    verified: bool
    message: Message = attrs.field(repr=False)
    because: str = ""
    notice: str = ""


@attrs.frozen(kw_only=True)
class TicketDraft:
    """Propose a ticket.

    Everything that comes from the mail is untrusted text.

    Attributes:
        idempotency_key: The same on every try of the same mail; unique among mails.
        account_id: The account that received the mail.
        received_as: Our address that it was written to; None when none of ours is named.
        subject: The subject as read; empty when there is none.
        requester: From, as read; None when the mail has none.
        participants: Others in To and Cc, less our own: possible collaborators.
        department: From the account's defaults or a rule; None means the host's default.
        help_topic: Likewise.
        priority: Likewise.
        linked: Tickets that this mail points to without the right to write there.
        may_autorespond: Whether an automatic response is allowed at all.
        entry: The first entry.
        is_backlog: The mail lay in the mailbox before that was fetched from: nothing answers it.
    """

    idempotency_key: str
    account_id: str
    received_as: AddrSpec | None
    subject: str
    requester: HeaderAddress | None
    participants: tuple[HeaderAddress, ...]
    department: str | None
    help_topic: str | None
    priority: str | None
    linked: tuple[TicketId, ...]
    may_autorespond: bool
    entry: EntryDraft
    is_backlog: bool = False
