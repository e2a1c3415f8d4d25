"""Hold the values that travel between the rooms (floor 2b): no behaviour but naming.

What a mail proposes (drafts), what routing says (`Decision`), what in the end happened
(`Outcome`), and the intake rows in which it all is kept. Everything here is frozen and compares
by value; times are time-zone aware; ids that the host gives are texts of at most 255 characters.
"""

from mailrouting.records.decisions import (
    Action,
    Authenticity,
    Decision,
    Outcome,
    OutcomeKind,
    TraceStep,
)
from mailrouting.records.intake import (
    Claim,
    Conclusion,
    Envelope,
    Failure,
    IntakeMail,
    IntakeRow,
    IntakeState,
    Lease,
    MailboxKey,
    Position,
    PositionState,
    PutResult,
    PutStatus,
    Stream,
    ThreadRecord,
    Uid,
    Unacknowledged,
)
from mailrouting.records.tickets import (
    EntryDraft,
    EntryKind,
    Role,
    TicketDraft,
    TicketId,
    TicketState,
    TryLater,
    Verdict,
    VerdictKind,
    Written,
)

__all__ = [
    "Action",
    "Authenticity",
    "Claim",
    "Conclusion",
    "Decision",
    "EntryDraft",
    "EntryKind",
    "Envelope",
    "Failure",
    "IntakeMail",
    "IntakeRow",
    "IntakeState",
    "Lease",
    "MailboxKey",
    "Outcome",
    "OutcomeKind",
    "Position",
    "PositionState",
    "PutResult",
    "PutStatus",
    "Role",
    "Stream",
    "ThreadRecord",
    "TicketDraft",
    "TicketId",
    "TicketState",
    "TraceStep",
    "TryLater",
    "Uid",
    "Unacknowledged",
    "Verdict",
    "VerdictKind",
    "Written",
]
