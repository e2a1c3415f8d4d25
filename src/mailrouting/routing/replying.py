"""Apply the table of evidence and sender: whose ticket a reply belongs to."""

from collections.abc import Sequence

from mailrouting.addresses import address_key
from mailrouting.reading import Defect
from mailrouting.records import Action, Decision, Role, TicketId, TicketState
from mailrouting.routing.case import Case, SubjectNumber
from mailrouting.threads import Evidence, EvidenceKind

__all__ = ["reply"]


def reply(case: Case, evidence: Sequence[Evidence]) -> Decision | None:
    """Append to the first ticket where the sender may write; link the others."""
    known = case.people.tickets
    if len({known[item.ticket].ticket for item in evidence if item.ticket in known}) > 1:
        named = ", ".join(f"{item.ticket} by {item.kind.value}" for item in evidence)
        case.note("reply", "contradiction", f"the evidence names several tickets: {named}")
    for item in _unrivalled(case, evidence):
        ended = _judge(case, item)
        if ended is not None:
            return ended
    if not evidence:
        case.note("reply", "none", "nothing leads to a ticket")
    return None


def _unrivalled(case: Case, evidence: Sequence[Evidence]) -> list[Evidence]:
    """Drop what one Message-ID says for several tickets of this account, but for the sender's own.

    Whoever knows an id can send mail that carries it, so which came first decides nothing.
    """
    kept: list[Evidence] = []
    for item in evidence:
        rivals = [
            other
            for other in evidence
            if other.kind is EvidenceKind.STORED_ID
            and other.value == item.value
            and _may_append(case, other)
        ]
        if (
            item not in rivals
            or len({_ticket(case, other) for other in rivals}) == 1
            or _is_requester(case, item)
        ):
            kept.append(item)
        else:
            because = f"<{item.value}> leads to other tickets as well"
            _link(case, _ticket(case, item), because)
    return kept


def _ticket(case: Case, item: Evidence) -> TicketId:
    return case.people.tickets[item.ticket].ticket


def _may_append(case: Case, item: Evidence) -> bool:
    state = case.people.tickets.get(item.ticket)
    return (
        state is not None
        and state.accepts_entries
        and case.account.id in (item.account_id, state.account_id)
        and _participates(case, state)
    )


def _is_requester(case: Case, item: Evidence) -> bool:
    sender, requester = case.message.from_, case.people.tickets[item.ticket].requester
    return (
        sender is not None
        and requester is not None
        and address_key(sender.address) == address_key(requester)
    )


def _judge(case: Case, item: Evidence) -> Decision | None:
    """Apply the table of evidence and sender to one piece of evidence."""
    what = f"{item.kind.value} ({item.value}) leads to ticket {item.ticket}"
    state = case.people.tickets.get(item.ticket)
    if state is None:
        case.note("reply", "passed over", f"{what}, which is gone")
        return None
    ticket = state.ticket
    if not state.accepts_entries:
        _link(case, ticket, f"{what}, which takes no more entries")
        return None
    if item.account_id not in (None, case.account.id) and state.account_id != case.account.id:
        _link(case, ticket, f"{what}, which belongs to another mailbox")
        return None
    if not _participates(case, state):
        _link(case, ticket, f"{what}, but the sender is not on it")
        return None
    if item.kind is EvidenceKind.STORED_ID or case.authenticated:
        case.note("reply", "append", f"{what}, and the sender is on it")
        return case.end(Action.APPEND, what, ticket=ticket)
    if case.policy.subject_number is SubjectNumber.NEW_LINKED:
        _link(case, ticket, f"{what}, but nothing proves the sender")
        return None
    case.note("reply", "append unverified", f"{what}; the sender's address is on it, unproved")
    return case.end(Action.APPEND, what, ticket=ticket, verified=False)


def _link(case: Case, ticket: TicketId, because: str) -> None:
    case.note("reply", "linked only", because)
    case.linked[ticket] = None


def _participates(case: Case, state: TicketState) -> bool:
    sender = case.message.from_
    if sender is None or case.message.has_defect(Defect.AMBIGUOUS_FROM):
        return False
    if case.people.role is Role.AGENT and case.authenticated:
        return True
    key = address_key(sender.address)
    return any(address_key(address) == key for address in state.participants)
