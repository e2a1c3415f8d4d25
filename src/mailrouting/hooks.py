"""Name what the host brings: its tickets, its people, its rules (floor 3b).

`HelpDesk` is what every host has. The other protocols are optional abilities: a desk that has the
method has the ability. Reading, look-ups, `describe` and `prepare` run with no transaction; only
then the storage begins one and calls a write hook inside a savepoint.

A write hook writes through the `tx` it is given and must not begin, commit or roll back, nor write
through another connection: `TransactionMisuseError`, and nothing of it stays. What it raises
becomes a `HookError`; the attempt counts, unless it raised `StorageUnavailableError`.
"""

import enum
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import attrs

from mailrouting.accounts import EmailAccount
from mailrouting.reading import BounceReport, Message
from mailrouting.records import (
    EntryDraft,
    Role,
    TicketDraft,
    TicketId,
    TicketState,
    TryLater,
    Verdict,
    Written,
)

__all__ = [
    "Event",
    "FindsByKey",
    "FindsByNumber",
    "HelpDesk",
    "KnowsPeople",
    "Listener",
    "Observes",
    "Prepares",
    "RecordsBounces",
    "Rule",
    "RuleContext",
]

Tx_contra = TypeVar("Tx_contra", contravariant=True)


class HelpDesk(Protocol[Tx_contra]):
    """Write tickets. `Tx_contra` is the storage's transaction, for instance `sqlite3.Connection`."""

    def open_ticket(self, draft: TicketDraft, tx: Tx_contra) -> Written:
        """Open a ticket with its first entry, through `tx`.

        Called once for each try of a mail; when `tx` is used for all writing, exactly one ticket
        stays. A host that writes elsewhere must implement `FindsByKey`.
        """
        ...

    def add_entry(self, ticket: TicketId, entry: EntryDraft, tx: Tx_contra) -> Written:
        """Add an entry to a ticket, through `tx`."""
        ...

    def describe(self, ticket: TicketId) -> TicketState | None:
        """Say who is on a ticket and whether it takes entries; None when it is gone.

        Called with no transaction open, so it may be slow.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """Look at a draft before anything is written: virus scan, look-ups, HTTP."""

    def prepare(
        self, draft: TicketDraft | EntryDraft
    ) -> TicketDraft | EntryDraft | TryLater | Verdict:
        """Return the draft, changed or not, a wish to try later, or a verdict that ends it.

        Called with no transaction open, so it may be slow. May be called again for the same
        mail. A draft must come back as the kind it was, with its idempotency key.
        """
        ...


@runtime_checkable
class FindsByKey(Protocol):
    """Find what an earlier try wrote, for hosts whose tickets do not live in the storage's file."""

    def lookup(self, idempotency_key: str) -> Written | None:
        """Return what was written under this key, or None.

        The host must hold the key unique on its side.
        """
        ...


@runtime_checkable
class FindsByNumber(Protocol):
    """Find a ticket by the number that people see."""

    def find_by_number(self, number: str) -> TicketId | None:
        """Return the ticket with this number, or None. The number is untrusted text."""
        ...


@runtime_checkable
class KnowsPeople(Protocol):
    """Know who an address belongs to."""

    def role_of(self, address: str) -> Role:
        """Say who this address belongs to. From alone proves nothing; routing heeds that."""
        ...


@runtime_checkable
class RecordsBounces(Protocol[Tx_contra]):
    """Take note of addresses that cannot be written to."""

    def record_bounces(self, reports: tuple[BounceReport, ...], tx: Tx_contra) -> None:
        """Note the reports, through `tx`: called in the transaction that stores the outcome.

        Only called for a bounce of a mail that is known to be ours.
        """
        ...


class Event(enum.StrEnum):
    """Say what happened."""

    CONVERTED = "converted"
    """A mail has its outcome; the detail names row and kind."""
    FAILED = "failed"
    """A try failed and comes again; the detail names row and error."""
    QUARANTINED = "quarantined"
    """A mail was set aside for a person; the detail names row and reason in a word."""
    ACCOUNT_FAILED = "account-failed"
    """An account that was well failed; the detail names the error. Said once, not each run."""
    ACCOUNT_RECOVERED = "account-recovered"
    """An account that had failed, or was silent, is well again."""
    ACCOUNT_SILENT = "account-silent"
    """No mail came for as long as the account names; the detail says how long. Said once."""
    REAPPEARED = "reappeared"
    """A mail that was taken in stands at another place; the detail names row and what is done."""
    FIRST_RUN = "first-run"
    """A mailbox was opened for the first time, and older mail left alone; the detail counts."""
    RESCAN = "rescan"
    """A server numbered a mailbox anew, and it is read again; the detail says which time."""
    RESCAN_STOPPED = "rescan-stopped"
    """A rescan would have taken in much old mail, and waits for a person; the detail counts."""
    DESK_PAUSED = "desk-paused"
    """Three mails in a row failed alike: conversion waits; the detail names step and error."""
    DESK_RESUMED = "desk-resumed"
    """A mail was converted again, and conversion goes on."""


Listener = Callable[[str, Event, str], None]
"""Hear of an event: account id, event, detail; what `Observes.observe` is."""


@runtime_checkable
class Observes(Protocol):
    """Hear what happened, after it did."""

    def observe(self, account_id: str, event: Event, detail: str) -> None:
        """Take note of an event.

        Called outside of any transaction; what it raises is reported and harms no mail. No
        argument holds content of a mail or a secret.
        """
        ...


@attrs.frozen(kw_only=True)
class RuleContext:
    """Tell a rule what it cannot see in the message.

    Attributes:
        account: The account that received the mail.
        role: Who From belongs to, as far as the host knows; From alone proves nothing.
        authenticated: Whether the account trusts that From is who it says.
    """

    account: EmailAccount
    role: Role
    authenticated: bool


Rule = Callable[[Message, RuleContext], Verdict | None]
"""Judge a mail: a verdict, or None for no opinion. The first verdict counts. A rule changes nothing."""
