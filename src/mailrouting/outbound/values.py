"""Hold what goes into the decision about outgoing mail, and what comes out (floor 4)."""

import enum

import attrs

from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.records import TraceStep

__all__ = [
    "CandidateOrder",
    "OutboundContext",
    "OutboundPolicy",
    "Purpose",
    "Recipients",
    "Resolution",
    "TransportPlan",
    "passed_over",
]


class Purpose(enum.Enum):
    """Say what a mail is for."""

    REPLY = "reply"
    """An agent answers the customer."""
    AUTORESPONSE = "autoresponse"
    """Nobody wrote it: a confirmation, a vacation notice (RFC 3834)."""
    ALERT = "alert"
    """Agents are told about a ticket."""
    SYSTEM = "system"
    """Operators are told about the help desk itself."""


class CandidateOrder(enum.Enum):
    """Say which address is preferred where a ticket has not answered yet."""

    DEPARTMENT_FIRST = "department-first"
    """The department's, then the one that the customer wrote to."""
    RECEIVED_FIRST = "received-first"
    """The one that the customer wrote to, then the department's."""


@attrs.frozen(kw_only=True)
class OutboundPolicy:
    """Hold a host's choices about addresses.

    Attributes:
        order: Which address is preferred.
    """

    order: CandidateOrder = CandidateOrder.DEPARTMENT_FIRST


@attrs.frozen(kw_only=True)
class OutboundContext:
    """Hold what is known of the ticket and of its customer.

    Addresses of other people are texts as they were received; one that cannot be read is passed
    over with a reason.

    Attributes:
        department: The ticket's department, by id.
        agent_choice: What the agent chose to send from: an account's id, else one of our
            addresses.
        answered_from: The address that this ticket answers from already.
        received_by: What the customer wrote to: an account's id, else one of our addresses.
        from_: The customer's From.
        reply_to: The customer's Reply-To.
        cc: Who else is to have a reply.
        return_path: Return-Path of the mail that is answered; None, empty or `<>` is null.
        notify: Who is told by an alert or a system notice.
        suppressed: `AddrSpec.key` of those who must not be written to.
    """

    department: str | None = None
    agent_choice: str | AddrSpec | None = None
    answered_from: AddrSpec | None = None
    received_by: str | AddrSpec | None = None
    from_: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    return_path: str | None = None
    notify: tuple[str, ...] = ()
    suppressed: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class Recipients:
    """Hold who gets a mail. None of them is ours or suppressed; nobody is in it twice.

    Attributes:
        to: For the To field; empty when nobody is left to write to: then nothing is sent.
        cc: For the Cc field.
        trace: Who was passed over, and why.
    """

    to: tuple[NamedAddress, ...] = ()
    cc: tuple[NamedAddress, ...] = ()
    trace: tuple[TraceStep, ...] = ()


@attrs.frozen(kw_only=True)
class TransportPlan:
    """Hold how a mail looks when it leaves through one account's server.

    Attributes:
        account_id: The account whose outbound settings are used.
        from_: The From field.
        sender: The Sender field, or None for no such field.
        reply_to: The Reply-To field, empty for no such field.
        reverse_path: MAIL FROM (RFC 5321 §4.1.1.2); None is the null reverse-path `<>`.
    """

    account_id: str
    from_: NamedAddress
    sender: NamedAddress | None
    reply_to: tuple[NamedAddress, ...]
    reverse_path: AddrSpec | None


@attrs.frozen(kw_only=True)
class Resolution:
    """Hold the address that a mail leaves from, how, to whom, and why.

    Attributes:
        account_id: The account that answers; the mail may leave through another's server.
        transports: The servers to try, in order; at least one.
        recipients: Who gets it.
        trace: Every step of the decision, in order.
    """

    account_id: str
    transports: tuple[TransportPlan, ...]
    recipients: Recipients
    trace: tuple[TraceStep, ...]

    @property
    def from_(self) -> NamedAddress:
        """The From field with the first transport."""
        return self.transports[0].from_

    @property
    def sender(self) -> NamedAddress | None:
        """The Sender field with the first transport, or None."""
        return self.transports[0].sender

    @property
    def reply_to(self) -> tuple[NamedAddress, ...]:
        """The Reply-To field with the first transport."""
        return self.transports[0].reply_to

    @property
    def reverse_path(self) -> AddrSpec | None:
        """The reverse-path with the first transport; None is `<>`."""
        return self.transports[0].reverse_path


def passed_over(step: str, because: str) -> TraceStep:
    """Make a step of the trace that led nowhere."""
    return TraceStep(step, "passed over", because)
