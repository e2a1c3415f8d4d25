"""How a host tests itself: a fake mail server, real SQLite, public names only."""

import importlib
import sqlite3
from pathlib import Path

import pytest

from mailrouting import (
    AfterFetch,
    Department,
    Directory,
    EmailAccount,
    Endpoint,
    FirstRun,
    InboundSettings,
    MailProtocol,
    NamedAddress,
    OutboundSettings,
    TicketDefaults,
    parse_login,
)
from mailrouting.fetch import RunStatus
from mailrouting.testing import make_message, reply_to

SALES = EmailAccount(
    id="sales",
    address=NamedAddress.parse("Sales <sales@desk.example>"),
    inbound=InboundSettings(
        protocol=MailProtocol.IMAP,
        endpoint=Endpoint("imap.desk.example"),
        login=parse_login(r"agent@desk.example\sales@desk.example"),
        first_run=FirstRun.all(),
        processed=AfterFetch.move("Done"),
    ),
    outbound=OutboundSettings(endpoint=Endpoint("smtp.desk.example")),
    defaults=TicketDefaults(department="sales"),
)
DIRECTORY = Directory(
    accounts=(SALES,),
    departments=(Department(id="sales", name="Sales", outgoing="sales"),),
    default_account="sales",
)


@pytest.fixture
def host(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("host")


@pytest.fixture
def desk(host, tmp_path):
    return host.Desk(str(tmp_path / "help.sqlite"))


@pytest.fixture
def server(mail_server):
    mail_server.add_mailbox("sales@desk.example")
    mail_server.grant("agent@desk.example", "sales@desk.example")
    return mail_server


def entries(desk):
    with sqlite3.connect(desk.path) as db:
        rows = db.execute("select ticket, author, verified from entry order by rowid").fetchall()
    db.close()
    return rows


def test_a_mail_becomes_a_ticket_once(host, desk, server):
    """However often the mailbox is fetched, one mail is one ticket."""
    server.deliver(make_message(to="sales@desk.example"), to="sales@desk.example")
    first, second = (host.fetch(desk, DIRECTORY, server.open_session) for _ in range(2))
    assert [report.stored for report in (*first, *second)] == [1, 0]
    assert [row[0] for row in desk.rows("1")] == ["Printer on fire"]
    assert desk.rows("2") == []
    assert [mail.uid for mail in server.mails("sales@desk.example", "Done")] == ["1"]


def test_a_reply_is_added_to_its_ticket(host, desk, server):
    """A mail that answers a known mail is an entry, not a ticket."""
    question = make_message(to="sales@desk.example")
    more = reply_to(question, from_="carla@customer.example", to="sales@desk.example")
    for raw in (question, more):
        server.deliver(raw, to="sales@desk.example")
    host.fetch(desk, DIRECTORY, server.open_session)
    assert entries(desk) == [(1, "carla@customer.example", 1), (1, "carla@customer.example", 1)]


def test_a_lost_connection_loses_no_mail(host, desk, server):
    """The run that failed says so; the next one opens the ticket, once."""
    server.deliver(make_message(to="sales@desk.example"), to="sales@desk.example")
    server.drop_connection(before="MOVE")
    statuses = [host.fetch(desk, DIRECTORY, server.open_session)[0].status for _ in range(2)]
    assert statuses == [RunStatus.FAILED, RunStatus.DONE]
    assert len(desk.rows("1")) == 1
    assert desk.rows("2") == []


def test_the_answer_leaves_from_the_department(host, desk, server):
    """The address of an answer is the department's, and the trace says why."""
    server.deliver(make_message(to="sales@desk.example"), to="sales@desk.example")
    host.fetch(desk, DIRECTORY, server.open_session)
    resolution = host.answer(desk, DIRECTORY, "1")
    assert str(resolution.from_) == '"Sales" <sales@desk.example>'
    assert [str(to) for to in resolution.recipients.to] == ["carla@customer.example"]
    assert "department sales: accepted, it is the account sales" in map(str, resolution.trace)
