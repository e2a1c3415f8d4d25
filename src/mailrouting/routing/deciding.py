"""Go through the steps, and apply the table of evidence and sender."""

import enum
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

import attrs

from mailrouting.accounts import EmailAccount
from mailrouting.addresses import AddressRole, AddrSpec, OwnAddress
from mailrouting.directory import Directory
from mailrouting.errors import AddressError
from mailrouting.hooks import Rule, RuleContext
from mailrouting.reading import Defect, Kind, Message
from mailrouting.records import (
    Action,
    Authenticity,
    Decision,
    OutcomeKind,
    Role,
    TicketId,
    TicketState,
    TraceStep,
    Verdict,
    VerdictKind,
)
from mailrouting.routing.receiving import authenticity, receiving_account
from mailrouting.routing.responding import Copies, may_autorespond
from mailrouting.threads import DEFAULT_NUMBER_PATTERN, Evidence, EvidenceKind

__all__ = ["People", "RoutingPolicy", "SeveralOurs", "SubjectNumber", "decide"]

# Two deliveries of one mail to one mailbox (a list and a direct copy) come within this time; a mail
# that comes back later is a new mail, whatever its Message-ID says.
DUPLICATE_WINDOW = timedelta(hours=1)


class SeveralOurs(enum.Enum):
    """Say what a mail to several of our mailboxes becomes."""

    PER_MAILBOX = "a ticket for each mailbox, linked, with one automatic response at most"
    FIRST_WINS = "one ticket: copies that are converted later are duplicates"


class SubjectNumber(enum.Enum):
    """Say what a ticket's number in the subject may do when From is not proved."""

    APPEND_UNVERIFIED = "a participant's mail is added, shown to agents only"
    NEW_LINKED = "a new ticket with a link"


@attrs.frozen(kw_only=True)
class RoutingPolicy:
    """Hold the choices that routing leaves to the host.

    Attributes:
        several_ours: What a mail to several of our mailboxes becomes.
        subject_number: What a guessable number may do.
        number_pattern: How a ticket number looks in a subject; one group holds it.
    """

    several_ours: SeveralOurs = SeveralOurs.PER_MAILBOX
    subject_number: SubjectNumber = SubjectNumber.APPEND_UNVERIFIED
    number_pattern: re.Pattern[str] = DEFAULT_NUMBER_PATTERN


@attrs.frozen(kw_only=True)
class People:
    """Say what the host knows of the people and tickets that a mail points to.

    Attributes:
        role: Who From belongs to.
        tickets: Each ticket that the evidence names, as the host describes it now, merges
            followed; a ticket that is gone is missing.
    """

    role: Role = Role.UNKNOWN
    tickets: Mapping[TicketId, TicketState] = attrs.field(factory=dict[TicketId, TicketState])


@attrs.define
class _Case:
    """Carry one mail through the steps."""

    message: Message
    directory: Directory
    people: People
    policy: RoutingPolicy
    copies: Copies
    account: EmailAccount
    received_as: OwnAddress | None
    authenticity: Authenticity
    trace: list[TraceStep]
    linked: dict[TicketId, None] = attrs.field(factory=dict[TicketId, None])

    def note(self, step: str, verdict: str, because: str) -> None:
        self.trace.append(TraceStep(step=step, verdict=verdict, because=because))

    @property
    def authenticated(self) -> bool:
        return self.authenticity is Authenticity.AUTHENTICATED

    def end(
        self,
        action: Action,
        because: str,
        *,
        ticket: TicketId | None = None,
        verified: bool = True,
        duplicate_of: int | None = None,
        verdict: Verdict | None = None,
    ) -> Decision:
        opens = action is Action.OPEN
        defaults = self.account.defaults
        may, why = False, "only a new ticket is responded to"
        if opens:
            may, why = may_autorespond(
                self.message,
                account=self.account,
                book=self.directory.address_book,
                copies=self.copies,
            )
        self.note("automatic response", "allowed" if may else "not allowed", why)
        return Decision(
            action=action,
            because=because,
            account_id=self.account.id,
            received_as=self.received_as,
            ticket=ticket,
            linked=tuple(self.linked) if opens else (),
            verified=verified,
            duplicate_of=duplicate_of,
            department=((verdict and verdict.department) or defaults.department) if opens else None,
            help_topic=((verdict and verdict.help_topic) or defaults.help_topic) if opens else None,
            priority=((verdict and verdict.priority) or defaults.priority) if opens else None,
            authenticity=self.authenticity,
            may_autorespond=may,
            autorespond_because=why,
            trace=tuple(self.trace),
        )


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
    case = _Case(
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
        or _reply(case, evidence)
        or _new(case)
    )


# --- the steps: each ends the case or returns None --------------------------------------------


def _unreadable(case: _Case) -> Decision | None:
    message = case.message
    if Defect.READER_FAULT in message.defects or not message.header_fields:
        because = "it has no header that can be read"
        case.note("reading", "unreadable", because)
        return case.end(Action.QUARANTINE, because)
    return None


def _own_loop(case: _Case) -> Decision | None:
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


def _report(case: _Case, evidence: Sequence[Evidence]) -> Decision | None:
    kind = case.message.kind
    if kind not in (Kind.BOUNCE, Kind.DELIVERY_NOTICE):
        return None
    for item in evidence:
        if item.kind is EvidenceKind.STORED_ID and item.ticket in case.people.tickets:
            ticket = case.people.tickets[item.ticket].ticket
            because = f"a {kind.value} about <{item.value}>, a mail of ticket {ticket}"
            case.note("report", kind.value, because)
            return case.end(Action.BOUNCE, because, ticket=ticket)
    because = f"a {kind.value} about no mail that we know"
    case.note("report", kind.value, because)
    return case.end(Action.BOUNCE, because)


def _copy(case: _Case) -> Decision | None:
    """Judge copies of this mail: two mails are copies only when they share id, From and body."""
    row = case.copies.row
    if row is None or case.message.message_id is None:
        return None
    for other in case.copies.others:
        if other.outcome is None or other.outcome.kind not in _TICKETED:
            continue
        same_account = other.account_id == row.account_id
        if abs(other.stored_at - row.stored_at) > DUPLICATE_WINDOW:
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


_TICKETED = frozenset({OutcomeKind.CREATED, OutcomeKind.APPENDED})


def _rules(case: _Case, rules: Sequence[Rule]) -> Decision | None:
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


def _reply(case: _Case, evidence: Sequence[Evidence]) -> Decision | None:
    known = case.people.tickets
    if len({known[item.ticket].ticket for item in evidence if item.ticket in known}) > 1:
        named = ", ".join(f"{item.ticket} by {item.kind.value}" for item in evidence)
        case.note("reply", "contradiction", f"the evidence names several tickets: {named}")
    for item in evidence:
        ended = _judge(case, item)
        if ended is not None:
            return ended
    if not evidence:
        case.note("reply", "none", "nothing leads to a ticket")
    return None


def _judge(case: _Case, item: Evidence) -> Decision | None:
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


def _link(case: _Case, ticket: TicketId, because: str) -> None:
    case.note("reply", "linked only", because)
    case.linked[ticket] = None


def _participates(case: _Case, state: TicketState) -> bool:
    sender = case.message.from_
    if sender is None or Defect.AMBIGUOUS_FROM in case.message.defects:
        return False
    if case.people.role is Role.AGENT and case.authenticated:
        return True
    key = _address_key(sender.address)
    return any(_address_key(address) == key for address in state.participants)


def _address_key(address: str) -> str:
    try:
        return AddrSpec.parse(address).key
    except AddressError:
        return address.casefold()


def _new(case: _Case) -> Decision:
    because = "a new request"
    if case.linked:
        because = f"a new ticket, linked to {', '.join(case.linked)}"
    case.note("new ticket", "open", because)
    return case.end(Action.OPEN, because)
