"""Gather what leads to a decision: read the mail, ask storage and host, write nothing."""

from collections.abc import Sequence
from typing import Protocol, TypeVar, cast

import attrs

from mailrouting.directory import Directory
from mailrouting.errors import HookError, MailroutingError
from mailrouting.hooks import HelpDesk, Rule, RuleContext
from mailrouting.intake.abilities import finds_by_number, knows_people
from mailrouting.intake.calling import calling, storable
from mailrouting.reading import Helpers, Kind, MailSource, Message, Reader, ReadingLimits, read
from mailrouting.records import Decision, Role, ThreadRecord, TicketId, TicketState, Verdict
from mailrouting.routing import Copies, People, RoutingPolicy, decide, receiving_account
from mailrouting.threads import Evidence, bounce_ids, gather, subject_numbers

__all__ = ["Explanation", "FindsThreads", "explain"]

Tx = TypeVar("Tx")

_MOST_MERGES = 5


class FindsThreads(Protocol):
    """Find whose tickets Message-IDs belong to; every `Storage` does."""

    def find_threads(self, message_ids: Sequence[str]) -> tuple[ThreadRecord, ...]:
        """Return the stored records of these ids."""
        ...


@attrs.frozen(kw_only=True)
class Explanation:
    """Say what would become of a mail, and why. Nothing was written.

    Attributes:
        message: The mail as read.
        evidence: What leads to a ticket, strongest first.
        decision: What would be done, with its trace.
    """

    message: Message
    evidence: tuple[Evidence, ...]
    decision: Decision


def explain(
    raw: MailSource,
    *,
    account: str,
    directory: Directory,
    threads: FindsThreads,
    desk: HelpDesk[Tx],
    rules: Sequence[Rule] = (),
    policy: RoutingPolicy | None = None,
    copies: Copies | None = None,
    limits: ReadingLimits | None = None,
    helpers: Helpers | None = None,
    reader: Reader = read,
) -> Explanation:
    """Run everything that leads to a decision, and write nothing.

    Args:
        raw: The mail.
        account: The id of the account that it would be fetched for.
        directory: What is configured.
        threads: Where Message-IDs are stored.
        desk: Asked to describe tickets, for numbers and for people; no write hook is called.
        rules: The host's rules.
        policy: The host's choices.
        copies: Other intake rows of the same mail; none when left out.
        limits: How far to look into the mail.
        helpers: What reading may use besides itself; nothing when left out.
        reader: What reads the mail.

    Raises:
        RecordNotFoundError: The directory has no such account.
        HookError: The desk, a rule or `reader` raised.
        StorageError: `threads` could not be asked.
    """
    policy = policy or RoutingPolicy()
    with calling("read", may_say=(MailroutingError,)):
        message = reader(raw, limits=limits or ReadingLimits(), helpers=helpers)
    is_report = message.kind in (Kind.BOUNCE, Kind.DELIVERY_NOTICE)
    ids = bounce_ids(message)
    stored = threads.find_threads(ids)
    evidence = gather(
        ids=ids,
        stored=stored,
        numbers={} if is_report else _tickets_by_number(message, desk, policy),
        account_id=_receiver(message, directory, account) if stored else account,
    )
    people = People(
        role=_role(message, desk),
        tickets={
            item.ticket: state
            for item in evidence
            if (state := _describe(item.ticket, desk)) is not None
        },
    )
    decision = decide(
        message,
        directory,
        fetched_for=account,
        evidence=evidence,
        rules=[_guarded(rule) for rule in rules],
        people=people,
        copies=copies,
        policy=policy,
    )
    return Explanation(message=message, evidence=evidence, decision=decision)


def _receiver(message: Message, directory: Directory, account: str) -> str:
    receiver, _, _ = receiving_account(message, directory, fetched_for=account)
    return receiver.id


def _tickets_by_number(
    message: Message, desk: HelpDesk[Tx], policy: RoutingPolicy
) -> dict[str, TicketId]:
    if not finds_by_number(desk):
        return {}
    found: dict[str, TicketId] = {}
    for number in subject_numbers(message, pattern=policy.number_pattern):
        with calling("find_by_number"):
            ticket = desk.find_by_number(number)
        if ticket is not None:
            found[number] = ticket
    return found


def _role(message: Message, desk: HelpDesk[Tx]) -> Role:
    if not knows_people(desk) or message.from_ is None:
        return Role.UNKNOWN
    with calling("role_of"):
        return desk.role_of(message.from_.address)


def _describe(ticket: TicketId, desk: HelpDesk[Tx]) -> TicketState | None:
    """Describe a ticket, or the one that it was merged into."""
    for _ in range(_MOST_MERGES):
        with calling("describe"):
            state = desk.describe(ticket)
        if state is None or state.merged_into is None:
            return state
        ticket = state.merged_into
    return None


def _guarded(rule: Rule) -> Rule:
    name = getattr(rule, "__name__", type(rule).__name__)

    def judged(message: Message, context: RuleContext) -> Verdict | None:
        with calling("rules"):
            verdict = cast("object", rule(message, context))
        if verdict is None:
            return None
        if isinstance(verdict, Verdict):
            return attrs.evolve(verdict, reason=storable(verdict.reason))
        raise HookError(
            f"the rule {name} returned {type(verdict).__name__}",
            hook="rules",
            hint="Return a Verdict, or None for no opinion.",
        )

    judged.__name__ = name  # the trace names the rule
    return judged
