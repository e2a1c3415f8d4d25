"""Show the main job on a fake mail server and the small SQLite desk."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from mailrouting.accounts import (
    AfterFetch,
    EmailAccount,
    Endpoint,
    FirstRun,
    InboundSettings,
    OutboundSettings,
    TicketDefaults,
)
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.cli.state import check_state, create_state, naming_state
from mailrouting.directory import Department, Directory
from mailrouting.errors import ConfigurationError, OutboundUnresolvedError
from mailrouting.fetch import Fetcher, FetchReport
from mailrouting.hooks import RuleContext
from mailrouting.integrations.sqlite_desk import DeskTicket, SqliteDesk
from mailrouting.outbound import OutboundContext, Purpose, resolve
from mailrouting.reading import Kind, Message, read
from mailrouting.records import ThreadRecord, TraceStep, Verdict, VerdictKind
from mailrouting.stores.sqlite import SqliteStorage
from mailrouting.testing import (
    AttachedFile,
    FakeMailServer,
    delivery_failure,
    list_post,
    make_message,
    reply_to,
    vacation_reply,
)

__all__ = ["run_demo"]

SUPPORT = "support@desk.example"
SALES = "sales@desk.example"
HIROSHI = "田中 <tanaka@customer.example>"


def _account(name: str, address: str) -> EmailAccount:
    return EmailAccount(
        id=name,
        address=NamedAddress.parse(f"Desk {name.title()} <{address}>"),
        inbound=InboundSettings(
            protocol=MailProtocol.IMAP,
            endpoint=Endpoint("imap.desk.example"),
            login=parse_login(rf"agent@desk.example\{address}"),
            first_run=FirstRun.all(),
            processed=AfterFetch.move("Processed"),
            filtered=AfterFetch.mark_seen(),
            quarantined=AfterFetch.move("Failed"),
        ),
        outbound=OutboundSettings(endpoint=Endpoint("smtp.desk.example")),
        defaults=TicketDefaults(department=name),
    )


DIRECTORY = Directory(
    accounts=(_account("sales", SALES), _account("support", SUPPORT)),
    departments=(
        Department(id="sales", name="Sales", outgoing="sales"),
        Department(id="support", name="Support", outgoing="support"),
    ),
    default_account="support",
)


def newsletters(message: Message, _: RuleContext) -> Verdict | None:
    """Filter mailing lists: a rule as a host writes it."""
    if message.kind is not Kind.LIST:
        return None
    return Verdict(kind=VerdictKind.FILTER, reason="a mailing list's post")


def _mails() -> Iterator[tuple[str, bytes]]:
    """Yield mailbox and mail."""
    question = make_message(subject="Printer on fire", to=SUPPORT)
    answer = _answer(question)
    quote = make_message(
        subject="Offer for ten printers",
        to=f"Sales <{SALES}>, Support <{SUPPORT}>",
        text="We need ten of those that do not burn.\n",
    )
    yield SUPPORT, question
    yield SUPPORT, reply_to(answer, text="It still burns, I answer your mail.\n")
    yield SUPPORT, make_message(subject="About [#1]", to=SUPPORT, text="Any news?\n")
    yield SUPPORT, vacation_reply(answer)
    yield SUPPORT, delivery_failure(answer, recipient="carla@customer.example")
    yield SUPPORT, list_post()
    yield SALES, quote
    yield SUPPORT, quote
    yield (
        SUPPORT,
        make_message(
            subject="プリンターが動きません", text="助けてください。\n", from_=HIROSHI, to=SUPPORT
        ),
    )
    yield (
        SALES,
        make_message(
            subject="Счёт за март",
            text="Пришлите, пожалуйста, счёт.\n",
            from_="Ольга <olga@customer.example>",
            to=SALES,
        ),
    )
    yield (
        SUPPORT,
        make_message(
            subject="HTML only", text=None, html="<p>It <b>smokes</b> again.</p>", to=SUPPORT
        ),
    )
    yield (
        SUPPORT,
        make_message(
            subject="With a picture",
            to=SUPPORT,
            attachments=[AttachedFile("fire.png", b"\x89PNG\r\n", "image/png")],
        ),
    )
    yield SUPPORT, b"\x00\x01\x02 this is no mail at all"
    yield SUPPORT, make_message(subject="Loop", from_=f"Sales <{SALES}>", to=SUPPORT)


def _answer(question: bytes) -> bytes:
    """Make the answer that support is thought to have sent on ticket 1."""
    return reply_to(question, from_=f"Desk Support <{SUPPORT}>", text="Use the extinguisher.\n")


def run_demo(keep: Path | None) -> None:
    """Fetch a fake server's mail twice, and print what became of it.

    Args:
        keep: Where to keep the state, so that another demo continues there; None: nowhere.

    Raises:
        ConfigurationError: `keep` is no folder that can be written.
        StorageUnavailableError: The state is busy or away.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"--keep: {folder}: {error.strerror or error}",
                hint="Name a folder that may be written.",
            ) from error
        state = folder / "demo.sqlite"
        check_state(state, named="--keep")
        create_state(state, named="--keep")
        with naming_state(state):
            _run(state)


def _run(state: Path) -> None:
    server = FakeMailServer()
    for address in (SUPPORT, SALES):
        server.add_mailbox(address)
        server.grant("agent@desk.example", address)
    for address, raw in _mails():
        server.deliver(raw, to=address)
    answer = read(_answer(make_message(subject="Printer on fire", to=SUPPORT)))
    assert answer.message_id is not None
    desk = SqliteDesk(state)
    with SqliteStorage(state) as storage:
        # A host does this with every mail that it sends.
        storage.remember_threads(
            [ThreadRecord(message_id=answer.message_id, ticket="1", account_id="support")]
        )
        fetcher = Fetcher(
            accounts=DIRECTORY,
            storage=storage,
            desk=desk,
            open_session=server.open_session,
            clock=lambda: datetime.now(UTC),
            rules=[newsletters],
        )
        click.secho("Mails", bold=True)
        # Support first, so that its first question is ticket 1.
        for account_id in ("support", "sales"):
            for line in _mail_lines(fetcher.run(account_id), storage):
                click.echo(line)
        click.secho("\nTickets, and where an answer would leave from", bold=True)
        before = desk.tickets()
        for ticket in before:
            for line in _ticket_lines(ticket):
                click.echo(line)
        click.secho("\nThe same run again", bold=True)
        for report in fetcher.run_all():
            click.echo(f"{report.account_id:8} {report.stored} stored, {report.status.value}")
        click.echo(f"{len(before)} tickets before, {len(desk.tickets())} after")


def _mail_lines(report: FetchReport, storage: SqliteStorage) -> Iterator[str]:
    for converted in report.converted:
        outcome = converted.outcome
        subject = read(storage.intake_raw(converted.intake_id)[:]).subject or "(no subject)"
        if outcome is None:
            yield f"{report.account_id:8} {'later':11} {'':10} {subject}"
            continue
        ticket = f"ticket {outcome.ticket}" if outcome.ticket else ""
        yield f"{report.account_id:8} {outcome.kind.value:11} {ticket:10} {subject}"
        yield f"{'':31} {outcome.reason}"
    if report.error is not None:
        yield f"{report.account_id:8} {report.error}"


def _ticket_lines(ticket: DeskTicket) -> Iterator[str]:
    department = DIRECTORY.find_department(ticket.department)
    name = department.name if department else "no department"
    entries = "1 entry" if ticket.entries == 1 else f"{ticket.entries} entries"
    linked = f", linked to {', '.join(ticket.linked)}" if ticket.linked else ""
    yield f"{ticket.id:>3}  {ticket.subject} ({name}, {entries}{linked})"
    context = OutboundContext(
        department=ticket.department,
        received_by=ticket.received_as or ticket.account_id,
        from_=(ticket.requester,) if ticket.requester else (),
        reply_to=ticket.reply_to,
        return_path=ticket.return_path,
    )
    try:
        resolution = resolve(DIRECTORY, purpose=Purpose.REPLY, context=context)
    except OutboundUnresolvedError as error:
        yield f"     no address may answer: {error}"
        return
    to = ", ".join(str(address) for address in resolution.recipients.to) or "nobody"
    yield f"     From {resolution.from_} through account {resolution.account_id}, to {to}"
    yield f"     because {_chosen(resolution.trace)}"
    yield f"     automatic response {'allowed' if ticket.may_autorespond else 'not allowed'}"


def _chosen(trace: tuple[TraceStep, ...]) -> str:
    return next(f"{step.step}: {step.because}" for step in trace if step.verdict == "accepted")
