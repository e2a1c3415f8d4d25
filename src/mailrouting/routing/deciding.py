"""Go through the steps, one after the other."""

from collections.abc import Sequence
from datetime import timedelta

from mailrouting.addresses import AddressRole
from mailrouting.directory import Directory
from mailrouting.hooks import Rule, RuleContext
from mailrouting.reading import Defect, Kind, Message
from mailrouting.records import Action, Decision, OutcomeKind, TraceStep, VerdictKind
from mailrouting.routing.case import Case, People, RoutingPolicy, SeveralOurs
from mailrouting.routing.receiving import authenticity, receiving_account
from mailrouting.routing.replying import reply
from mailrouting.routing.responding import Copies
from mailrouting.threads import Evidence

__all__ = ["decide"]

# Two deliveries of one mail to one mailbox (a list and a direct copy) come within this time; a mail
# that comes back later is a new mail, whatever its Message-ID says.
_DUPLICATE_WINDOW = timedelta(hours=1)
_TICKETED = frozenset({OutcomeKind.CREATED, OutcomeKind.APPENDED, OutcomeKind.OVERSIZED})


def decide(
    message: Message,
    directory: Directory,
    *,
    fetched_for: str,
    evidence: Sequence[Evidence] = (),
    rules: Sequence[Rule] = (),
    people: People | None = None,
    copies: Copies | None = None,
    policy: RoutingPolicy | None = None,
) -> Decision:
    """Decide what is to be done with a mail.

    The same arguments give the same decision. Nothing is written and nobody is asked but the
    rules, in their order, until one has a verdict.

    Args:
        message: The mail as read.
        directory: What is configured.
        fetched_for: The account whose mailbox it was in.
        evidence: From `threads.gather`, strongest first; for a report, about the mail it reports.
        rules: The host's rules.
        people: What the host knows.
        copies: Other intake rows of the same mail.
        policy: The host's choices.

    Raises:
        RecordNotFoundError: `fetched_for` is not in the directory.
    """
    people = people or People()
    trace: list[TraceStep] = []
    account, received_as, because = receiving_account(message, directory, fetched_for=fetched_for)
    trace.append(TraceStep(step="account", verdict=account.id, because=because))
    proof, because = authenticity(message, account)
    trace.append(TraceStep(step="sender", verdict=proof.name.lower(), because=because))
    case = Case(
        message=message,
        directory=directory,
        people=people,
        policy=policy or RoutingPolicy(),
        copies=copies or Copies(),
        account=account,
        received_as=received_as,
        authenticity=proof,
        trace=trace,
    )
    return (
        _unreadable(case)
        or _own_loop(case)
        or _report(case, evidence)
        or _copy(case)
        or _rules(case, rules)
        or reply(case, evidence)
        or _new(case)
    )


def _unreadable(case: Case) -> Decision | None:
    message = case.message
    # What is postponed and read below must be read before it is asked whether the reader failed.
    _ = (message.sender, message.suppress_responses)
    if message.from_ is None and not message.header_fields:
        because = "it has no header that can be read"
    elif message.has_defect(Defect.READER_FAULT):
        because = "the reader failed on it"
    else:
        return None
    case.note("reading", "unreadable", because)
    return case.end(Action.QUARANTINE, because)


def _own_loop(case: Case) -> Decision | None:
    book = case.directory.address_book
    for field, item in (("From", case.message.from_), ("Sender", case.message.sender)):
        own = book.find(item.address) if item else None
        # A catch-all domain is also where colleagues write from.
        if own is not None and own.role is not AddressRole.CATCH_ALL:
            because = f"{field} is {own.addr}, an address of ours"
            case.note("own loop", "caught", because)
            return case.end(Action.FILTER, because)
    case.note("own loop", "none", "the sender is not one of our addresses")
    return None


def _report(case: Case, evidence: Sequence[Evidence]) -> Decision | None:
    kind = case.message.kind
    if kind not in (Kind.BOUNCE, Kind.DELIVERY_NOTICE):
        return None
    for item in evidence:
        state = case.people.tickets.get(item.ticket)
        # Anybody may write a report; one about mail that we did not send is nobody's business.
        if item.sent and state is not None:
            because = f"a {kind.value} about <{item.value}>, a mail of ticket {state.ticket}"
            case.note("report", kind.value, because)
            return case.end(Action.BOUNCE, because, ticket=state.ticket)
    because = f"a {kind.value} about no mail that we know to be ours"
    case.note("report", kind.value, because)
    return case.end(Action.BOUNCE, because)


def _copy(case: Case) -> Decision | None:
    """Judge copies of this mail: two mails are copies only when they share id, From and body."""
    row = case.copies.row
    if row is None or case.message.message_id is None:
        return None
    for other in case.copies.others:
        if other.outcome is None or other.outcome.kind not in _TICKETED:
            continue
        same_account = other.account_id == row.account_id
        if abs(other.stored_at - row.stored_at) > _DUPLICATE_WINDOW:
            continue
        if same_account or case.policy.several_ours is SeveralOurs.FIRST_WINS:
            because = f"intake {other.id} of account {other.account_id} holds the same mail"
            case.note("copies", "duplicate", because)
            return case.end(Action.DUPLICATE, because, duplicate_of=other.id)
        if other.outcome.ticket is not None:
            because = f"account {other.account_id} has a copy, ticket {other.outcome.ticket}"
            case.note("copies", "linked", because)
            case.linked[other.outcome.ticket] = None
    return None


def _rules(case: Case, rules: Sequence[Rule]) -> Decision | None:
    context = RuleContext(
        account=case.account, role=case.people.role, authenticated=case.authenticated
    )
    for rule in rules:
        verdict = rule(case.message, context)
        if verdict is None:
            continue
        name = getattr(rule, "__name__", type(rule).__name__)
        case.note("rules", verdict.kind.name.lower(), f"{name}: {verdict.reason}")
        match verdict.kind:
            case VerdictKind.FILTER:
                return case.end(Action.FILTER, verdict.reason)
            case VerdictKind.QUARANTINE:
                return case.end(Action.QUARANTINE, verdict.reason)
            case VerdictKind.OPEN:
                return case.end(Action.OPEN, verdict.reason, verdict=verdict)
    case.note("rules", "none", f"{len(rules)} rules, none has a verdict")
    return None


def _new(case: Case) -> Decision:
    because = "a new request"
    if case.linked:
        because = f"a new ticket, linked to {', '.join(case.linked)}"
    case.note("new ticket", "open", because)
    return case.end(Action.OPEN, because)
