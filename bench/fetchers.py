"""Turn what is in a mailbox into stored tickets and move it away, once with each program.

Run in a fresh process for each turn: `python fetchers.py NAME HOST PORT USER PASSWORD FOLDER COUNT`.
Prints the seconds of the work; imports and the making of tables are not counted.
"""

import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs

__all__ = ["FETCHERS", "Mailbox"]

Work = Callable[[], int]
"""Fetch all; return how many tickets there are now."""


@attrs.frozen
class Mailbox:
    """Say where mail is, and where the state may be kept."""

    host: str
    port: int
    user: str
    password: str
    folder: Path
    count: int


def with_mailrouting(mailbox: Mailbox) -> Work:
    """Fetch with this library and its small desk; every commit reaches the disk (FULL)."""
    from mailrouting.accounts import (
        AfterFetch,
        EmailAccount,
        Endpoint,
        FirstRun,
        InboundSettings,
        TlsMode,
    )
    from mailrouting.addresses import NamedAddress
    from mailrouting.auth import MailProtocol, parse_login
    from mailrouting.connect import StaticCredentials, opener, tls_context
    from mailrouting.directory import Directory
    from mailrouting.fetch import Fetcher
    from mailrouting.integrations.sqlite_desk import SqliteDesk
    from mailrouting.stores.sqlite import SqliteStorage

    inbound = InboundSettings(
        protocol=MailProtocol.IMAP,
        endpoint=Endpoint(mailbox.host, mailbox.port, TlsMode.CLEARTEXT),
        login=parse_login(mailbox.user),
        first_run=FirstRun.all(),
        max_per_fetch=mailbox.count,
        processed=AfterFetch.move("Done"),
    )
    account = EmailAccount(
        id="help", address=NamedAddress.parse("help@example.com"), inbound=inbound
    )
    path = mailbox.folder / "state.sqlite"
    storage, desk = SqliteStorage(path), SqliteDesk(path)
    fetcher = Fetcher(
        accounts=Directory(accounts=(account,)),
        storage=storage,
        desk=desk,
        open_session=opener(StaticCredentials({"help": mailbox.password}), tls=tls_context()),
        clock=lambda: datetime.now(UTC),
    )

    def work() -> int:
        report = fetcher.run("help")
        if report.error is not None or report.acknowledged != mailbox.count:
            raise SystemExit(f"mailrouting: {report}")
        return sum(report.outcomes.values())

    return work


_TABLES = """
create table ticket (id integer primary key, subject text, requester text, created text);
create table entry (id integer primary key, ticket integer, text text, html text);
create table attachment (id integer primary key, entry integer, name text, content blob);
create table message_id (id text, ticket integer);
"""


def _store(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.executescript(_TABLES)
    return connection


def _insert(connection: sqlite3.Connection, mail: object) -> None:
    from imap_tools import MailMessage

    assert isinstance(mail, MailMessage)
    ticket = connection.execute(
        "insert into ticket values (null, ?, ?, ?)",
        (mail.subject, mail.from_, str(mail.date)),
    ).lastrowid
    entry = connection.execute(
        "insert into entry values (null, ?, ?, ?)", (ticket, mail.text, mail.html)
    ).lastrowid
    connection.executemany(
        "insert into attachment values (null, ?, ?, ?)",
        [(entry, one.filename, one.payload) for one in mail.attachments],
    )
    connection.execute(
        "insert into message_id values (?, ?)", (mail.headers.get("message-id", ("",))[0], ticket)
    )


def with_imap_tools_each(mailbox: Mailbox) -> Work:
    """Fetch with imap-tools as its users do: read, insert, commit and move one after the other."""
    from imap_tools import MailBoxUnencrypted

    connection = _store(mailbox.folder / "tickets.sqlite")

    def work() -> int:
        with MailBoxUnencrypted(mailbox.host, mailbox.port).login(
            mailbox.user, mailbox.password
        ) as box:
            box.folder.create("Done")
            for mail in box.fetch(bulk=False, mark_seen=False):
                _insert(connection, mail)
                connection.commit()
                assert mail.uid
                box.move(mail.uid, "Done")
        return int(connection.execute("select count(*) from ticket").fetchone()[0])

    return work


def with_imap_tools_bulk(mailbox: Mailbox) -> Work:
    """Fetch with imap-tools, a hundred mails a command; one commit and one move for all."""
    from imap_tools import MailBoxUnencrypted

    connection = _store(mailbox.folder / "tickets.sqlite")

    def work() -> int:
        with MailBoxUnencrypted(mailbox.host, mailbox.port).login(
            mailbox.user, mailbox.password
        ) as box:
            box.folder.create("Done")
            uids = []
            for mail in box.fetch(bulk=100, mark_seen=False):
                _insert(connection, mail)
                uids.append(mail.uid or "")
            connection.commit()
            box.move(uids, "Done", chunks=1000)
        return int(connection.execute("select count(*) from ticket").fetchone()[0])

    return work


def with_django_helpdesk(mailbox: Mailbox) -> Work:
    """Fetch with django-helpdesk's process_email, its own settings, templates and a dummy mailer."""
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": mailbox.folder / "helpdesk.sqlite",
            }
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.sites",
            "django.contrib.admin",
            "django.contrib.humanize",
            "rest_framework",
            "helpdesk",
        ],
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
        HELPDESK_TEAMS_MODE_ENABLED=False,
        MEDIA_ROOT=str(mailbox.folder),
        SECRET_KEY="bench",  # noqa: S106 - of a database that lives for seconds
        SITE_ID=1,
        USE_TZ=True,
        LOGGING_CONFIG=None,
        SILENCED_SYSTEM_CHECKS=["*"],
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("loaddata", "emailtemplate.json", verbosity=0)
    from helpdesk.email import process_email
    from helpdesk.models import Queue, Ticket

    Queue.objects.create(
        title="Help",
        slug="help",
        email_address="help@example.com",
        allow_email_submission=True,
        email_box_type="imap",
        email_box_host=mailbox.host,
        email_box_port=mailbox.port,
        email_box_user=mailbox.user,
        email_box_pass=mailbox.password,
        email_box_imap_folder="INBOX",
        email_box_interval=0,
    )

    def work() -> int:
        process_email(quiet=True)
        return int(Ticket.objects.count())

    return work


FETCHERS: dict[str, Callable[[Mailbox], Work]] = {
    "mailrouting": with_mailrouting,
    "imap-tools bulk": with_imap_tools_bulk,
    "imap-tools each": with_imap_tools_each,
    "django-helpdesk": with_django_helpdesk,
}


def main() -> None:
    """Run one fetcher; print its seconds."""
    name, host, port, user, password, folder, count = sys.argv[1:]
    mailbox = Mailbox(host, int(port), user, password, Path(folder), int(count))
    work = FETCHERS[name](mailbox)
    began = time.perf_counter()
    tickets = work()
    took = time.perf_counter() - began
    if tickets != mailbox.count:
        raise SystemExit(f"{name} made {tickets} tickets of {mailbox.count} mails")
    print(took)


if __name__ == "__main__":
    main()
