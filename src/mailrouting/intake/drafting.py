"""Turn decisions into drafts for the host, and what it wrote into conclusions: pure."""

import hashlib

import attrs

from mailrouting.addresses import address_key
from mailrouting.directory import Directory
from mailrouting.reading import Defect, HeaderAddress, Kind, Message
from mailrouting.records import (
    Action,
    Conclusion,
    Decision,
    EntryDraft,
    EntryKind,
    IntakeRow,
    Outcome,
    OutcomeKind,
    ThreadRecord,
    TicketDraft,
    TraceStep,
    Verdict,
    VerdictKind,
    Written,
)

__all__ = ["conclusion", "draft_for", "idempotency_key", "overruled"]

_MOST_PARTICIPANTS = 50

_OUTCOMES = {
    Action.OPEN: OutcomeKind.CREATED,
    Action.APPEND: OutcomeKind.APPENDED,
    Action.BOUNCE: OutcomeKind.BOUNCE,
    Action.FILTER: OutcomeKind.FILTERED,
    Action.DUPLICATE: OutcomeKind.DUPLICATE,
    Action.QUARANTINE: OutcomeKind.QUARANTINED,
}
_TICKETED = frozenset({OutcomeKind.CREATED, OutcomeKind.APPENDED})
_VERDICTS = {
    VerdictKind.FILTER: Action.FILTER,
    VerdictKind.QUARANTINE: Action.QUARANTINE,
    VerdictKind.OPEN: Action.OPEN,
}


def idempotency_key(account_id: str, fingerprint: str) -> str:
    """Return the key that is the same on every try of the same mail of an account."""
    digest = hashlib.sha256(f"{account_id}\0{fingerprint}".encode()).hexdigest()
    return f"mr1-{digest}"


def overruled(decision: Decision, verdict: Verdict, directory: Directory) -> Decision:
    """Return the decision after `Prepares.prepare` gave a verdict of its own."""
    action = _VERDICTS[verdict.kind]
    opens = action is Action.OPEN
    # What was to be an entry has no defaults of a ticket yet.
    defaults = directory.account(decision.account_id).defaults
    step = TraceStep(step="prepare", verdict=verdict.kind.name.lower(), because=verdict.reason)
    return attrs.evolve(
        decision,
        action=action,
        because=verdict.reason,
        ticket=None,
        linked=(*decision.linked, *filter(None, [decision.ticket])) if opens else (),
        verified=True,
        department=verdict.department or decision.department or defaults.department,
        help_topic=verdict.help_topic or decision.help_topic or defaults.help_topic,
        priority=verdict.priority or decision.priority or defaults.priority,
        may_autorespond=decision.may_autorespond and opens,
        trace=(*decision.trace, step),
    )


def draft_for(
    message: Message,
    decision: Decision,
    directory: Directory,
    key: str,
    *,
    row: IntakeRow,
) -> TicketDraft | EntryDraft | None:
    """Return what to propose to the host; None when there is nothing to write."""
    writes_bounce = decision.action is Action.BOUNCE and decision.ticket is not None
    if decision.action not in (Action.OPEN, Action.APPEND) and not writes_bounce:
        return None
    entry = EntryDraft(
        idempotency_key=key,
        kind=_entry_kind(message),
        author=message.from_,
        verified=decision.verified and decision.action is not Action.BOUNCE,
        message=message,
        because=decision.because,
        notice=_notice(message, row),
    )
    if decision.action is not Action.OPEN:
        return entry
    return TicketDraft(
        idempotency_key=key,
        account_id=decision.account_id,
        received_as=decision.received_as.addr if decision.received_as else None,
        subject=message.subject or "",
        requester=message.from_,
        participants=_participants(message, directory),
        department=decision.department,
        help_topic=decision.help_topic,
        priority=decision.priority,
        linked=decision.linked,
        may_autorespond=decision.may_autorespond,
        entry=entry,
        is_backlog=row.is_backlog,
    )


def _notice(message: Message, row: IntakeRow) -> str:
    if not message.has_defect(Defect.SIZE_LIMIT):
        return ""
    return f"The mail has {row.size:_} octets and is too large: only its header was read."


def _entry_kind(message: Message) -> EntryKind:
    match message.kind:
        case Kind.BOUNCE | Kind.DELIVERY_NOTICE:
            return EntryKind.BOUNCE
        case Kind.PERSONAL | Kind.LIST:
            return EntryKind.MESSAGE
        case _:
            return EntryKind.AUTOMATIC


def _participants(message: Message, directory: Directory) -> tuple[HeaderAddress, ...]:
    """Return the others in To and Cc, less our own and the sender, at most fifty."""
    sender = address_key(message.from_.address) if message.from_ else ""
    others = {
        key: item
        for item in (*message.to, *message.cc)
        if item.address  # a group's or a list's bare name has none
        and (key := address_key(item.address)) != sender
        and directory.address_book.find(item.address) is None
    }
    return tuple(others.values())[:_MOST_PARTICIPANTS]


def conclusion(message: Message, decision: Decision, written: Written | None) -> Conclusion:
    """Return what to store once the host has written."""
    ticket = written.ticket if written else None
    kind = _OUTCOMES[decision.action]
    if kind in _TICKETED and message.has_defect(Defect.SIZE_LIMIT):
        kind = OutcomeKind.OVERSIZED
    outcome = Outcome(
        kind=kind,
        reason=decision.because,
        ticket=ticket,
        entry=written.entry if written else None,
        duplicate_of=decision.duplicate_of,
        responded=bool(written and written.respond and decision.may_autorespond),
        trace=decision.trace,
    )
    message_id = message.message_id
    if ticket is None or message_id is None or decision.action is Action.BOUNCE:
        return Conclusion(outcome=outcome)
    thread = ThreadRecord(message_id=message_id, ticket=ticket, account_id=decision.account_id)
    return Conclusion(outcome=outcome, threads=(thread,))
