"""Hold doubles for the host's side: a desk that records, a clock that is set by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs

from mailrouting.hooks import Event
from mailrouting.reading import BounceReport
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
from mailrouting.stores.memory import MemoryTransaction

__all__ = ["FakeClock", "RecordedTicket", "RecordingDesk"]


class FakeClock:
    """Be a clock that stands still until it is told to move.

    >>> clock = FakeClock()
    >>> clock.advance(seconds=90)
    >>> clock().isoformat()
    '2026-03-02T09:01:30+00:00'
    """

    def __init__(self, now: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self.now: datetime = now

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def advance(self, *, seconds: float) -> None:
        """Move forward, or back."""
        self.now += timedelta(seconds=seconds)

    def __repr__(self) -> str:
        return f"FakeClock({self.now.isoformat()})"


@attrs.frozen(kw_only=True)
class RecordedTicket:
    """Be a ticket of a `RecordingDesk`.

    Attributes:
        id: The number, as text.
        draft: What it was opened from.
        entries: What was added later, in order.
    """

    id: TicketId
    draft: TicketDraft
    entries: tuple[EntryDraft, ...] = ()


def _as_it_is(draft: TicketDraft | EntryDraft) -> TicketDraft | EntryDraft:
    return draft


class RecordingDesk:
    """Be a help desk in memory that keeps what it was given, as plain values.

    Its tickets follow the transaction of a `MemoryStorage`: what is rolled back is gone here too.
    With another storage it does not follow; use that storage's own tables for a test of both. May be
    asked from several threads, as the storage's lock lets one write at a time.

    Attributes:
        tickets: Every ticket by id, in the order of opening.
        participants: Further addresses on a ticket, by ticket id; the requester always is.
        agents: Addresses of agents.
        closed: Ids of tickets that take no more entries.
        merged: Ticket id to the id of the ticket that took its place.
        bounces: Every report that was recorded.
        events: Every `(account_id, event, detail)` that was observed.
        script: What the next write hooks do, first one first: an exception to raise, or None.
        on_prepare: What `prepare` does.
        respond: What hooks answer in `Written.respond`.
    """

    def __init__(self) -> None:
        self.tickets: dict[TicketId, RecordedTicket] = {}
        self.participants: dict[TicketId, tuple[str, ...]] = {}
        self.agents: set[str] = set()
        self.closed: set[TicketId] = set()
        self.merged: dict[TicketId, TicketId] = {}
        self.bounces: list[BounceReport] = []
        self.events: list[tuple[str, Event, str]] = []
        self.script: list[BaseException | None] = []
        self.on_prepare: Callable[
            [TicketDraft | EntryDraft], TicketDraft | EntryDraft | TryLater | Verdict
        ] = _as_it_is
        self.respond = False

    def open_ticket(self, draft: TicketDraft, tx: object) -> Written:
        """Record a new ticket."""
        ticket = str(len(self.tickets) + 1)
        self._follow(tx, lambda: self.tickets.pop(ticket))
        self.tickets[ticket] = RecordedTicket(id=ticket, draft=draft)
        self._play()
        return Written(ticket=ticket, entry=f"{ticket}.0", respond=self.respond)

    def add_entry(self, ticket: TicketId, entry: EntryDraft, tx: object) -> Written:
        """Record an entry on a ticket."""
        before = self.tickets[ticket]
        self._follow(tx, lambda: self.tickets.update({ticket: before}))
        self.tickets[ticket] = attrs.evolve(before, entries=(*before.entries, entry))
        self._play()
        return Written(ticket=ticket, entry=f"{ticket}.{len(before.entries) + 1}")

    def describe(self, ticket: TicketId) -> TicketState | None:
        """Describe a recorded ticket."""
        if ticket not in self.tickets:
            return None
        requester = self.tickets[ticket].draft.requester
        return TicketState(
            ticket=ticket,
            participants=(
                *((requester.address,) if requester else ()),
                *self.participants.get(ticket, ()),
            ),
            accepts_entries=ticket not in self.closed,
            merged_into=self.merged.get(ticket),
            account_id=self.tickets[ticket].draft.account_id,
            requester=requester.address if requester else None,
        )

    def prepare(
        self, draft: TicketDraft | EntryDraft
    ) -> TicketDraft | EntryDraft | TryLater | Verdict:
        """Do what `on_prepare` says."""
        return self.on_prepare(draft)

    def find_by_number(self, number: str) -> TicketId | None:
        """Find a ticket: its id is its number."""
        return number if number in self.tickets else None

    def role_of(self, address: str) -> Role:
        """Know agents by `agents`, and requesters as customers."""
        if address in self.agents:
            return Role.AGENT
        requesters = {
            ticket.draft.requester.address
            for ticket in tuple(self.tickets.values())
            if ticket.draft.requester
        }
        return Role.CUSTOMER if address in requesters else Role.UNKNOWN

    def record_bounces(self, reports: tuple[BounceReport, ...], tx: object) -> None:
        """Record the reports."""
        before = list(self.bounces)

        def undo() -> None:
            self.bounces[:] = before

        self._follow(tx, undo)
        self.bounces += reports

    def observe(self, account_id: str, event: Event, detail: str) -> None:
        """Record the event."""
        self.events.append((account_id, event, detail))

    @property
    def subjects(self) -> list[str]:
        """List the tickets' subjects in the order of opening."""
        return [ticket.draft.subject for ticket in tuple(self.tickets.values())]

    def _play(self) -> None:
        scripted = self.script.pop(0) if self.script else None
        if scripted is not None:
            raise scripted

    def _follow(self, tx: object, undo: Callable[[], object]) -> None:
        if isinstance(tx, MemoryTransaction):
            tx.on_rollback(undo)

    def __repr__(self) -> str:
        return f"<RecordingDesk with {len(self.tickets)} tickets: {self.subjects!r}>"
