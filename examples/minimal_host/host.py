"""A help desk in one page: its tickets in SQLite, its mail by mailrouting."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import mailrouting
from mailrouting.session import SessionOpener
from mailrouting.stores.sqlite import SqliteStorage

SCHEMA = """
create table if not exists ticket (
    id integer primary key, subject text, requester text, department text, account text);
create table if not exists entry (ticket integer, author text, verified integer, text text);
"""


class Desk:
    def __init__(self, path: str) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA)

    def open_ticket(
        self, draft: mailrouting.TicketDraft, tx: sqlite3.Connection
    ) -> mailrouting.Written:
        requester = draft.requester.address if draft.requester else ""
        values = (draft.subject, requester, draft.department, draft.account_id)
        insert = "insert into ticket (subject, requester, department, account) values (?, ?, ?, ?)"
        return self.add_entry(str(tx.execute(insert, values).lastrowid), draft.entry, tx)

    def add_entry(
        self, ticket: str, entry: mailrouting.EntryDraft, tx: sqlite3.Connection
    ) -> mailrouting.Written:
        author = entry.author.address if entry.author else ""
        values = (ticket, author, entry.verified, entry.message.text)
        tx.execute("insert into entry values (?, ?, ?, ?)", values)
        return mailrouting.Written(ticket=ticket)

    def describe(self, ticket: str) -> mailrouting.TicketState | None:
        for _, requester, _, account in self.rows(ticket):
            return mailrouting.TicketState(
                ticket=ticket, participants=(requester,), account_id=account
            )
        return None

    def rows(self, ticket: str) -> list[tuple[str, str, str | None, str]]:
        query = "select subject, requester, department, account from ticket where id = ?"
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(query, (ticket,)).fetchall()


def fetch(
    desk: Desk, directory: mailrouting.Directory, open_session: SessionOpener
) -> list[mailrouting.FetchReport]:
    with SqliteStorage(desk.path) as storage:
        fetcher = mailrouting.Fetcher(
            accounts=directory,
            storage=storage,
            desk=desk,
            open_session=open_session,
            clock=lambda: datetime.now(UTC),
        )
        return list(fetcher.run_all())


def answer(desk: Desk, directory: mailrouting.Directory, ticket: str) -> mailrouting.Resolution:
    ((_, requester, department, account),) = desk.rows(ticket)
    context = mailrouting.OutboundContext(
        department=department, received_by=account, from_=(requester,)
    )
    return mailrouting.resolve(directory, purpose=mailrouting.Purpose.REPLY, context=context)
