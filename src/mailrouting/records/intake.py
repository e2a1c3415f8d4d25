"""Hold the rows in which all of it is kept."""

import enum
from datetime import datetime

import attrs

from mailrouting.auth import MailProtocol
from mailrouting.reading import MailIdentity, MailSource
from mailrouting.records.decisions import Outcome, OutcomeKind
from mailrouting.records.tickets import TicketId

__all__ = [
    "Claim",
    "Claims",
    "Conclusion",
    "Envelope",
    "Failure",
    "IntakeMail",
    "IntakeRow",
    "IntakeState",
    "Lease",
    "MailboxKey",
    "Pause",
    "Position",
    "PositionState",
    "PutResult",
    "PutStatus",
    "Stream",
    "ThreadRecord",
    "Uid",
    "Unacknowledged",
]

Uid = str
"""A mail's name within one generation of a mailbox: IMAP's UID in decimal, POP3's unique-id."""


@attrs.frozen
class MailboxKey:
    """Name a mailbox's folder for ever: no host name, so a moved server changes nothing.

    Attributes:
        account_id: Chosen by the host.
        protocol: IMAP or POP3.
        folder: Canonical name; `INBOX` in upper case (RFC 9051 §5.1).
    """

    account_id: str
    protocol: MailProtocol
    folder: str


@attrs.frozen
class Position:
    """Name a slot on a server: within one generation of a mailbox a UID means one mail.

    Attributes:
        mailbox: Which mailbox.
        generation: Which numbering of it: see `Stream`.
        uid: The mail's name in that numbering.
    """

    mailbox: MailboxKey
    generation: int
    uid: Uid


@attrs.frozen(kw_only=True)
class Lease:
    """Be a worker's hold on a mailbox.

    Attributes:
        mailbox: What is held.
        owner: Who holds it, for the operator.
        token: Fencing token: grows with every lease on this mailbox, for ever.
        expires_at: When it ends unless renewed.
    """

    mailbox: MailboxKey
    owner: str
    token: int
    expires_at: datetime


@attrs.frozen(kw_only=True)
class Stream:
    """Say how a mailbox's numbering stands.

    Attributes:
        mailbox: Which one.
        generation: Counts up when the server's numbering began anew.
        cutoff: Mail that arrived before is left alone, in every generation; None: all is taken.
        is_new: True when this generation began with this opening.
        first_uidnext: What the server told as its next UID when this generation began: mail with a
            lower one was there already. None when it did not tell.
    """

    mailbox: MailboxKey
    generation: int
    cutoff: datetime | None
    is_new: bool
    first_uidnext: int | None = None


@attrs.frozen(kw_only=True)
class Envelope:
    """Say what the delivering server knew, when mail is pushed to us (RFC 5321).

    Attributes:
        recipients: Forward-paths.
        reverse_path: Empty for the null reverse-path; None when unknown.
    """

    recipients: tuple[str, ...] = ()
    reverse_path: str | None = None


@attrs.frozen(kw_only=True)
class IntakeMail:
    """Be a mail about to be made durable.

    Attributes:
        account_id: The account that it was fetched for.
        raw: The mail, byte for byte. A memory map must stay as it is until the put has returned.
        identity: From `mailrouting.reading.identify`.
        position: Where it stands on the server; None for pushed mail.
        received_at: When the server received it (INTERNALDATE), if told.
        envelope: For pushed mail.
        is_backlog: It lay in the mailbox before that was fetched from, or numbered anew: nothing
            shall answer it now.
    """

    account_id: str
    raw: MailSource = attrs.field(repr=False)
    identity: MailIdentity
    position: Position | None = None
    received_at: datetime | None = None
    envelope: Envelope | None = None
    is_backlog: bool = False


class PutStatus(enum.Enum):
    """Say what putting a mail did."""

    CREATED = "a new intake row"
    KNOWN = "this mail at this position was here already"
    REAPPEARED = "this mail was here already, at another position"
    UID_CONFLICT = "the position holds another mail: nothing was written"


@attrs.frozen
class PutResult:
    """Say what became of one mail of a put.

    Attributes:
        status: What was done.
        intake_id: The row; None for a `UID_CONFLICT`.
    """

    status: PutStatus
    intake_id: int | None


class IntakeState(enum.Enum):
    """Say how far an intake row is."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"


@attrs.frozen(kw_only=True)
class Failure:
    """Say how an attempt failed, without content of the mail.

    Attributes:
        step: Where: `prepare`, `open_ticket`, `rules`, ...
        error_type: The error's class name.
        text: Bounded, printable text for the operator.
    """

    step: str
    error_type: str
    text: str


@attrs.frozen(kw_only=True)
class IntakeRow:
    """Be one mail that we took in, without its bytes.

    Attributes:
        id: Grows with every row of a storage.
        account_id: The account that it was fetched for.
        identity: Its digests.
        size: Octets of the raw mail.
        state: How far it is.
        attempts: Conversions begun and not given back.
        stored_at: When it became durable.
        received_at: When the server received it, if told.
        next_attempt_at: Not before this time; None: now.
        failure: How the last attempt failed.
        outcome: Set when `state` is `DONE`.
        envelope: For pushed mail.
        reopened: How often an outcome was taken back.
        has_raw: False when the mail's bytes were purged or erased.
        is_backlog: As it was put.
    """

    id: int
    account_id: str
    identity: MailIdentity
    size: int
    state: IntakeState
    attempts: int
    stored_at: datetime
    received_at: datetime | None = None
    next_attempt_at: datetime | None = None
    failure: Failure | None = None
    outcome: Outcome | None = None
    envelope: Envelope | None = None
    reopened: int = 0
    has_raw: bool = True
    is_backlog: bool = False


@attrs.frozen(kw_only=True)
class Claim:
    """Be a worker's hold on an intake row.

    Attributes:
        row: The row; its `attempts` counts this one.
        token: Changes with every claim of the row; a write with an old one is refused.
        raw: The mail; a large one is a memory map.
    """

    row: IntakeRow
    token: int
    raw: MailSource = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Claims:
    """Say what came of claiming.

    Attributes:
        claimed: What is to be converted now.
        quarantined: Rows that were tried too often, or whose mail is not to be had: they got their
            outcome instead, and somebody should be told.
    """

    claimed: tuple[Claim, ...] = ()
    quarantined: tuple[IntakeRow, ...] = ()


@attrs.frozen(kw_only=True)
class Pause:
    """Say that a person keeps an account from being fetched.

    Attributes:
        because: Why, for the operator.
        since: When it began.
    """

    because: str
    since: datetime


@attrs.frozen(kw_only=True)
class ThreadRecord:
    """Remember that a Message-ID belongs to a ticket. One id may belong to several.

    Attributes:
        message_id: Without `<>`.
        ticket: The host's ticket.
        account_id: The account that received or sent that mail.
        sent: True for mail that left from us: only such a mail can bounce.
    """

    message_id: str
    ticket: TicketId
    account_id: str
    sent: bool = False


@attrs.frozen(kw_only=True)
class Conclusion:
    """Be what a conversion wants stored, together with what the host wrote.

    Attributes:
        outcome: The one outcome.
        threads: Message-IDs to remember.
    """

    outcome: Outcome
    threads: tuple[ThreadRecord, ...] = ()


@attrs.frozen(kw_only=True)
class PositionState:
    """Say what is known of a position.

    Attributes:
        intake_id: The row; None for mail older than the cut-off, which has none.
        outcome: Its outcome, when it has one.
        acknowledged: Whether the server was told.
        size: The row's `size`; None when there is no row.
    """

    intake_id: int | None
    outcome: OutcomeKind | None
    acknowledged: bool
    size: int | None


@attrs.frozen(kw_only=True)
class Unacknowledged:
    """Name a mail whose outcome the server was not told yet.

    Attributes:
        position: Where it stands.
        intake_id: Its row.
        outcome: What happened to it; None when it has none yet (with `STORED` acknowledgement).
    """

    position: Position
    intake_id: int
    outcome: OutcomeKind | None
