"""Hold what the steps share: the host's choices and knowledge, and the case they work on."""

import enum
import re
from collections.abc import Mapping

import attrs

from mailrouting.accounts import EmailAccount
from mailrouting.addresses import OwnAddress
from mailrouting.directory import Directory
from mailrouting.reading import Message
from mailrouting.records import (
    Action,
    Authenticity,
    Decision,
    Role,
    TicketId,
    TicketState,
    TraceStep,
    Verdict,
)
from mailrouting.routing.responding import Copies, may_autorespond
from mailrouting.threads import DEFAULT_NUMBER_PATTERN

__all__ = ["Case", "People", "RoutingPolicy", "SeveralOurs", "SubjectNumber"]


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
class Case:
    """Carry one mail through the steps; inside of this room only."""

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
        """Leave a step in the trace."""
        self.trace.append(TraceStep(step=step, verdict=verdict, because=because))

    @property
    def authenticated(self) -> bool:
        """Tell whether From is proved."""
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
        """Make the decision that ends the case."""
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
