"""Be a small help desk in SQLite (floor 9): what the command and the examples write tickets to.

Its tables stand in the same file as the storage's, so a ticket and the outcome of its mail commit
together. It is a whole host in one page, to learn from and to start with.
"""

import sqlite3
from pathlib import Path

import attrs

from mailrouting.hooks import Event, Listener
from mailrouting.records import (
    EntryDraft,
    Role,
    TicketDraft,
    TicketId,
    TicketState,
    Written,
)
from mailrouting.stores._sqlite_executor import SqliteExecutor
from mailrouting.stores._values import utc_now

__all__ = ["DeskEntry", "DeskTicket", "SqliteDesk"]

_SCHEMA = (
    """create table if not exists desk_ticket (
        id integer primary key,
        idempotency_key text not null unique,
        account_id text not null,
        received_as text,
        subject text not null,
        requester text,
        reply_to text,
        return_path text,
        department text,
        priority text,
        linked text not null,
        may_autorespond integer not null,
        status text not null default 'open'
    )""",
    """create table if not exists desk_entry (
        id integer primary key,
        idempotency_key text not null unique,
        ticket integer not null references desk_ticket (id),
        kind text not null,
        author text,
        verified integer not null,
        text text not null,
        attachments text not null
    )""",
    "create index if not exists desk_entry_ticket on desk_entry (ticket)",
    """create table if not exists desk_participant (
        ticket integer not null references desk_ticket (id),
        address text not null,
        primary key (ticket, address)
    ) without rowid""",
    "create index if not exists desk_participant_address on desk_participant (address)",
)


@attrs.frozen(kw_only=True)
class DeskTicket:
    """Be a ticket as it is stored.

    Attributes:
        id: Its number, as text.
        subject: As received.
        account_id: The account that received its first mail.
        received_as: Our address that it was written to.
        requester: Who opened it; None when the mail named nobody.
        reply_to: Where the requester wants answers, if not at the sender's address.
        return_path: The reverse-path of the first mail; None when unknown.
        department: Where it was put.
        priority: How urgent a rule or its account found it; None when nobody said.
        linked: Tickets that its first mail pointed to.
        may_autorespond: Whether its first mail may be answered automatically.
        entries: How many entries it has.
    """

    id: TicketId
    subject: str
    account_id: str
    received_as: str | None
    requester: str | None
    reply_to: tuple[str, ...]
    return_path: str | None
    department: str | None
    priority: str | None
    linked: tuple[TicketId, ...]
    may_autorespond: bool
    entries: int


@attrs.frozen(kw_only=True)
class DeskEntry:
    """Be an entry as it is stored.

    Attributes:
        ticket: The ticket it is on.
        kind: `message`, `automatic` or `bounce`.
        author: From; None when the mail named nobody.
        verified: False when it is to be shown to agents only.
        text: The body.
        attachments: Names of the attachments.
    """

    ticket: TicketId
    kind: str
    author: str | None
    verified: bool
    text: str
    attachments: tuple[str, ...]


def _silent(account_id: str, event: str, detail: str) -> None:
    """Listen to nothing."""


class SqliteDesk:
    """Keep tickets in SQLite; a `HelpDesk[sqlite3.Connection]`.

    May be shared by threads: it writes through the connection it is given and reads through one of
    its own for each thread. Like the storage it closes them before the process forks.

    >>> import tempfile
    >>> desk = SqliteDesk(Path(tempfile.mkdtemp()) / "desk.sqlite")
    >>> desk.tickets()
    ()
    """

    def __init__(self, path: Path, *, listener: Listener = _silent) -> None:
        """Open the file, and make the tables that are missing.

        Args:
            path: The same file as the storage's.
            listener: Told of every event: account id, event, detail.
        """
        self._path = path
        self._listener = listener
        self._executor = SqliteExecutor(str(path), busy_timeout_seconds=5.0, clock=utc_now)
        for statement in _SCHEMA:
            self._executor.execute(statement, ())

    def close(self) -> None:
        """Close the connections that it reads through. Idempotent; it cannot be asked after it."""
        self._executor.close()

    # the hooks

    def open_ticket(self, draft: TicketDraft, tx: sqlite3.Connection) -> Written:
        """Write a ticket and its first entry."""
        message = draft.entry.message
        ticket = tx.execute(
            "insert into desk_ticket (idempotency_key, account_id, received_as, subject, requester,"
            " reply_to, return_path, department, priority, linked, may_autorespond)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning id",
            (
                draft.idempotency_key,
                draft.account_id,
                str(draft.received_as) if draft.received_as else None,
                draft.subject,
                draft.requester.address if draft.requester else None,
                " ".join(item.address for item in message.reply_to),
                message.return_path,
                draft.department,
                draft.priority,
                " ".join(draft.linked),
                draft.may_autorespond,
            ),
        ).fetchone()[0]
        if draft.requester is not None:
            tx.execute(
                "insert into desk_participant values (?, ?)", (ticket, draft.requester.address)
            )
        return Written(
            ticket=str(ticket),
            entry=self._entry(str(ticket), draft.entry, tx),
            respond=draft.may_autorespond,
        )

    def add_entry(self, ticket: TicketId, entry: EntryDraft, tx: sqlite3.Connection) -> Written:
        """Write an entry."""
        return Written(ticket=ticket, entry=self._entry(ticket, entry, tx))

    def _entry(self, ticket: TicketId, entry: EntryDraft, tx: sqlite3.Connection) -> str:
        row = tx.execute(
            "insert into desk_entry (idempotency_key, ticket, kind, author, verified, text,"
            " attachments) values (?, ?, ?, ?, ?, ?, ?) returning id",
            (
                entry.idempotency_key,
                int(ticket),
                entry.kind.name.lower(),
                entry.author.address if entry.author else None,
                entry.verified,
                entry.message.text or entry.notice,
                "\n".join(attachment.safe_name for attachment in entry.message.attachments),
            ),
        ).fetchone()
        return str(row[0])

    def describe(self, ticket: TicketId) -> TicketState | None:
        """Say who is on a ticket."""
        rows = self._executor.rows(
            "select account_id, status, requester, address from desk_ticket"
            " left join desk_participant on ticket = id where id = ?",
            (ticket,),
        )
        if not rows:
            return None
        account_id, status, requester, _ = rows[0]
        return TicketState(
            ticket=ticket,
            participants=tuple(row[3] for row in rows if row[3] is not None),
            accepts_entries=status == "open",
            account_id=account_id,
            requester=requester,
        )

    def find_by_number(self, number: str) -> TicketId | None:
        """Find a ticket: its id is its number."""
        rows = self._executor.rows("select id from desk_ticket where id = ?", (number,))
        return str(rows[0][0]) if rows else None

    def role_of(self, address: str) -> Role:
        """Know those who have a ticket."""
        rows = self._executor.rows(
            "select 1 from desk_participant where address = ? limit 1", (address,)
        )
        return Role.CUSTOMER if rows else Role.UNKNOWN

    def observe(self, account_id: str, event: Event, detail: str) -> None:
        """Pass the event on."""
        self._listener(account_id, event, detail)

    # what a screen would show

    def tickets(self) -> tuple[DeskTicket, ...]:
        """List every ticket by number."""
        rows = self._executor.rows(
            "select id, subject, account_id, received_as, requester, reply_to, return_path,"
            " department, priority, linked, may_autorespond,"
            " (select count(*) from desk_entry where ticket = desk_ticket.id)"
            " from desk_ticket order by id",
            (),
        )
        return tuple(
            DeskTicket(
                id=str(row[0]),
                subject=row[1],
                account_id=row[2],
                received_as=row[3],
                requester=row[4],
                reply_to=tuple(row[5].split()),
                return_path=row[6],
                department=row[7],
                priority=row[8],
                linked=tuple(row[9].split()),
                may_autorespond=bool(row[10]),
                entries=row[11],
            )
            for row in rows
        )

    def entries(self, ticket: TicketId) -> tuple[DeskEntry, ...]:
        """List a ticket's entries in the order they came."""
        rows = self._executor.rows(
            "select kind, author, verified, text, attachments from desk_entry"
            " where ticket = ? order by id",
            (ticket,),
        )
        return tuple(
            DeskEntry(
                ticket=ticket,
                kind=kind,
                author=author,
                verified=bool(verified),
                text=text,
                attachments=tuple(attachments.splitlines()),
            )
            for kind, author, verified, text, attachments in rows
        )

    def __repr__(self) -> str:
        return f"SqliteDesk({str(self._path)!r})"
