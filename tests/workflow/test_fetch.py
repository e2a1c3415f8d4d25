"""Collect, convert, acknowledge: what a run does, and what it does when something is wrong."""

import threading
from datetime import UTC, date, datetime, timedelta

import attrs
import pytest

from mailrouting.accounts import (
    AcknowledgeWhen,
    AfterFetch,
    ArrivesIn,
    EmailAccount,
    FirstRun,
)
from mailrouting.addresses import NamedAddress
from mailrouting.auth import MailProtocol
from mailrouting.directory import Directory
from mailrouting.errors import (
    ConfigurationError,
    FolderNotFoundError,
    PeerProtocolError,
    RecordNotFoundError,
    SessionLostError,
    StaleWriteError,
    StorageUnavailableError,
    TlsError,
)
from mailrouting.fetch import FetchLimits, RunStatus
from mailrouting.health import HealthState
from mailrouting.reading import ReadingLimits, read
from mailrouting.records import (
    EntryKind,
    IntakeState,
    MailboxKey,
    OutcomeKind,
    Role,
    TicketDraft,
    TryLater,
    Verdict,
    VerdictKind,
    Written,
)
from mailrouting.routing import RoutingPolicy, SeveralOurs
from mailrouting.stores.memory import MemoryStorage
from mailrouting.testing import (
    RecordingDesk,
    delivery_failure,
    list_post,
    make_message,
    reply_to,
    vacation_reply,
)

HELP = "help@desk.example"
CHANGING = {"STORE", "MOVE", "EXPUNGE", "DELE", "CREATE", "COPY"}


def own_mail():
    """Make a mail that is filtered: it comes from our own address."""
    return make_message(subject="Loop", from_=HELP)


def test_a_mail_becomes_a_ticket(world):
    """A mail becomes a ticket with requester, subject and account; the report says so."""
    world.server.deliver(make_message(), to=world.add())
    report = world.run()
    assert (report.status, report.stored, report.error) == (RunStatus.DONE, 1, None)
    assert report.outcomes == {OutcomeKind.CREATED: 1}
    assert report.because == ""
    (ticket,) = world.desk.tickets.values()
    assert ticket.draft.requester.address == "carla@customer.example"
    assert (ticket.draft.subject, ticket.draft.account_id) == ("Printer on fire", "help")
    assert str(ticket.draft.received_as) == HELP
    assert ticket.draft.entry.kind is EntryKind.MESSAGE
    row = world.storage.intake_row(1)
    assert row.outcome.ticket == ticket.id
    assert row.outcome.trace
    assert world.desk.events == [("help", "converted", "intake 1: created")]


def test_a_second_run_opens_nothing_twice(world):
    """What was taken in is not read again."""
    world.server.deliver(make_message(), to=world.add())
    world.run()
    world.server.forget_commands()
    report = world.run()
    assert (report.stored, report.converted, report.acknowledged) == (0, (), 0)
    assert len(world.desk.tickets) == 1
    assert not any("BODY.PEEK[]" in record.arguments for record in world.server.commands)


def test_a_reply_is_added_to_its_ticket(world):
    """A reply by the requester is an entry of the ticket, in the same run too."""
    address = world.add()
    first = make_message()
    world.server.deliver(first, to=address)
    world.server.deliver(
        reply_to(first, from_="Carla <carla@customer.example>", to=HELP), to=address
    )
    assert world.run().outcomes == {OutcomeKind.CREATED: 1, OutcomeKind.APPENDED: 1}
    assert [entry.verified for entry in world.desk.tickets["1"].entries] == [True]


def test_a_bounce_is_noted_on_its_ticket(world):
    """A bounce about a mail that the host remembered is a note, and its reports are recorded."""
    address = world.add()
    ours = make_message(from_=HELP, to="carla@customer.example", message_id="out1@desk.example")
    world.server.deliver(make_message(), to=address)
    world.run()
    world.storage.remember_threads([_thread("out1@desk.example", "1")])
    world.server.deliver(delivery_failure(ours), to=address)
    assert world.run().outcomes == {OutcomeKind.BOUNCE: 1}
    [note] = world.desk.tickets["1"].entries
    assert (note.kind, note.verified) == (EntryKind.BOUNCE, False)
    assert [report.recipient for report in world.desk.bounces] == ["carla@customer.example"]


def test_a_bounce_of_unknown_mail_writes_nothing(world):
    """A bounce about a mail that nobody knows is an outcome, and no ticket."""
    world.server.deliver(delivery_failure(make_message(to=HELP)), to=world.add())
    assert world.run().outcomes == {OutcomeKind.BOUNCE: 1}
    assert not world.desk.tickets
    assert not world.desk.bounces


def test_a_receipt_is_added_to_its_ticket(world):
    """A read receipt opens no ticket when it names the mail it is about (RFC 8098)."""
    address = world.add()
    world.server.deliver(make_message(), to=address)
    world.run()
    world.storage.remember_threads([_thread("out1@desk.example", "1")])
    world.server.deliver(
        b"From: carla@customer.example\r\nTo: help@desk.example\r\nSubject: Read: Re: Printer\r\n"
        b"Message-ID: <receipt@customer.example>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n"
        b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nRead.\r\n"
        b"--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        b"Original-Message-ID: <out1@desk.example>\r\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n",
        to=address,
    )
    assert world.run().outcomes == {OutcomeKind.APPENDED: 1}
    assert [entry.kind for entry in world.desk.tickets["1"].entries] == [EntryKind.AUTOMATIC]


def _thread(message_id, ticket, account="help"):
    from mailrouting.records import ThreadRecord

    return ThreadRecord(message_id=message_id, ticket=ticket, account_id=account, sent=True)


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\x00\xff no mail", b"\r\n\r\nonly a body"])
def test_what_is_no_mail_is_quarantined_with_its_bytes(world, raw):
    """A broken or empty mail is set aside, its bytes are kept, and those behind it go on."""
    address = world.add()
    world.server.deliver(raw, to=address)
    world.server.deliver(make_message(), to=address)
    assert world.run().outcomes == {OutcomeKind.CREATED: 1, OutcomeKind.QUARANTINED: 1}
    assert world.storage.intake_raw(1) == raw
    assert world.desk.events[0] == ("help", "quarantined", "intake 1: quarantined")


def test_run_is_for_known_accounts_with_a_mailbox(world):
    """An unknown account is an error; one without a mailbox is skipped."""
    with pytest.raises(RecordNotFoundError):
        world.run("nobody")
    world.add()
    world.put(
        EmailAccount(
            id="sales",
            address=NamedAddress.parse("sales@desk.example"),
            inbound=ArrivesIn("help"),
        )
    )
    assert world.run("sales").because == "it has no mailbox of its own"
    assert [report.account_id for report in world.fetcher().run_all()] == ["help"]


def test_keep_touches_nothing(world):
    """With KEEP the folder is opened for reading only, and nothing is changed."""
    world.server.deliver(make_message(), to=world.add())
    assert world.run().acknowledged == 1
    assert "EXAMINE" in world.verbs()
    assert not CHANGING & set(world.verbs())


def test_each_outcome_has_its_own_end(world):
    """Processed, filtered and quarantined mail is treated as its own setting says."""
    address = world.add(
        processed=AfterFetch.move("Done"),
        filtered=AfterFetch.mark_seen(),
        quarantined=AfterFetch.move("Failed"),
    )
    good, broken = make_message(), b"\x00"
    for raw in (good, own_mail(), broken):
        world.server.deliver(raw, to=address)
    assert world.run().acknowledged == 3
    assert world.raws(folder="Done") == [good]
    assert world.raws(folder="Failed") == [broken]
    (kept,) = world.server.mails(HELP)
    assert kept.flags == {"\\Seen"}


def test_deleting_takes_only_what_has_an_outcome(world):
    """With DELETE a mail goes when it has its outcome, not before."""
    address = world.add(processed=AfterFetch.delete())
    for subject in ("One", "Two"):
        world.server.deliver(make_message(subject=subject), to=address)
    world.desk.script = [RuntimeError("no")]
    world.run()
    assert len(world.raws()) == 1
    world.clock.advance(seconds=61)
    assert world.run().acknowledged == 1
    assert world.raws() == []
    assert world.desk.subjects == ["Two", "One"]


def test_stored_acknowledges_before_converting(world):
    """With STORED the server is told as soon as the bytes are safe, as `processed` says."""
    address = world.add(
        processed=AfterFetch.move("Done"),
        filtered=AfterFetch.move("Filtered"),
        acknowledge_when=AcknowledgeWhen.STORED,
    )
    for raw in (make_message(), own_mail(), b"\x00"):
        world.server.deliver(raw, to=address)
    seen = []
    world.desk.on_prepare = lambda draft: seen.append(len(world.raws(folder="Done"))) or draft
    assert world.run().acknowledged == 3
    assert seen == [3]
    assert len(world.raws(folder="Done")) == 3
    assert world.outcomes() == [
        OutcomeKind.CREATED,
        OutcomeKind.FILTERED,
        OutcomeKind.QUARANTINED,
    ]


def test_stored_treats_all_alike_whatever_is_known(world):
    """With STORED, what has an outcome when the server is told goes where `processed` says."""
    address = world.add(
        processed=AfterFetch.move("Done"),
        filtered=AfterFetch.move("Filtered"),
        acknowledge_when=AcknowledgeWhen.STORED,
    )
    world.server.deliver(own_mail(), to=address)
    world.server.drop_connection(before="CREATE")
    world.run()
    world.fetcher().convert()
    assert world.outcomes() == [OutcomeKind.FILTERED]
    world.run()
    assert len(world.raws(folder="Done")) == 1


def test_a_refused_move_leaves_mail_and_ticket(world):
    """When the server refuses to move, the ticket stays, health says so, the next run moves."""
    world.server.deliver(make_message(), to=world.add(processed=AfterFetch.move("Done")))
    world.server.answer_no("MOVE", "OVERQUOTA")
    report = world.run()
    assert (report.status, report.acknowledged) == (RunStatus.DONE, 0)
    assert report.error.response_code == "OVERQUOTA"
    assert report.because == str(report.error)
    assert len(world.raws()) == 1
    health = world.storage.health("help")
    assert (health.state, health.trouble.error_type) == (HealthState.DEGRADED, "SessionError")
    assert health.trouble.hint
    assert world.run().acknowledged == 1
    assert world.raws() == []
    assert len(world.desk.tickets) == 1
    assert world.storage.health("help").state is HealthState.OK
    assert [event for _, event, _ in world.desk.events] == [
        "converted",
        "account-failed",
        "account-recovered",
    ]


def test_a_refusal_is_not_repeated_in_one_run(world):
    """After a refusal the same thing is not asked again in this run; other outcomes go on."""
    address = world.add(processed=AfterFetch.move("Done"), filtered=AfterFetch.mark_seen())
    for number in range(3):
        world.server.deliver(make_message(subject=str(number)), to=address)
        world.server.deliver(own_mail().replace(b"Loop", b"%d" % number), to=address)
    world.server.answer_no("MOVE", times=None)
    report = world.run(limits=FetchLimits(batch_mails=2))
    assert world.verbs().count("MOVE") == 1
    assert report.acknowledged == 3
    assert [bool(mail.flags) for mail in world.server.mails(HELP)] == [False, True] * 3


def test_a_refused_folder_is_created_only_once(world):
    """The target folder is made when a move misses it, and not again."""
    address = world.add(processed=AfterFetch.move("Done"))
    for number in range(3):
        world.server.deliver(make_message(subject=str(number)), to=address)
    world.run(limits=FetchLimits(batch_mails=1))
    assert world.verbs().count("CREATE") == 1
    assert world.verbs().count("MOVE") == 1 + 1


def test_several_batches_are_acknowledged_together(world):
    """A round trip for each batch would be wasted: one MOVE names the mails of all."""
    address = world.add(processed=AfterFetch.move("INBOX/Done"))
    for number in range(7):
        world.server.deliver(make_message(subject=str(number)), to=address)
    report = world.run(limits=FetchLimits(batch_mails=2))
    assert (report.stored, report.acknowledged) == (7, 7)
    moves = [command for command in world.server.commands if command.verb == "MOVE"]
    assert moves[-1].arguments == ("1:7", "INBOX/Done")


def test_what_was_not_acknowledged_before_a_break_is_told_by_the_next_run(world):
    """Between two batches the connection may end: the outcomes are kept, and told later."""
    address = world.add(processed=AfterFetch.move("Done"))
    for number in range(6):
        world.server.deliver(make_message(subject=str(number)), to=address)
    world.server.drop_connection(before="FETCH", nth=5)
    report = world.run(limits=FetchLimits(batch_mails=2))
    assert len(world.desk.subjects) >= 4
    world.run()
    assert world.raws() == []
    assert len(world.raws(folder="Done")) == 6
    assert sorted(world.desk.subjects) == [str(number) for number in range(6)]
    assert report.stored >= 4


def test_many_refused_mails_hide_no_others(world):
    """More refused mails than are told at once do not keep those behind them waiting."""
    address = world.add(
        processed=AfterFetch.move("Done"), filtered=AfterFetch.mark_seen(), max_per_fetch=700
    )
    for number in range(510):
        world.server.deliver(make_message(subject=str(number)), to=address)
    world.server.deliver(own_mail(), to=address)
    world.server.answer_no("MOVE", times=None)
    world.run(limits=FetchLimits(batch_mails=600))
    assert world.server.mails(HELP)[-1].flags == {"\\Seen"}


def test_a_vanished_mail_needs_no_flag(world):
    """A mail that another client removed before it is flagged is done."""
    uid = world.server.deliver(make_message(), to=world.add(processed=AfterFetch.mark_seen()))
    world.desk.on_prepare = lambda draft: world.server.expunge_elsewhere(HELP, uid) or draft
    assert world.run().acknowledged == 1
    assert world.run().acknowledged == 0


def test_a_flag_that_does_not_stay_is_told_again(world):
    """A mail that is there and does not carry the flag is not done."""
    world.server.deliver(make_message(), to=world.add(processed=AfterFetch.mark_seen()))

    class Forgetful(_Wrapped):
        def mark_seen(self, uids):
            return frozenset()

    world.opener = lambda account: Forgetful(world.server.open_session(account))
    assert world.run().acknowledged == 0
    world.opener = world.server.open_session
    assert world.run().acknowledged == 1


class _Wrapped:
    """Pass everything on to a session."""

    def __init__(self, session):
        self.session = session

    def __getattr__(self, name):
        return getattr(self.session, name)


def test_pop3_deletes_again_what_a_lost_quit_left(world):
    """On POP3 a mail counts as deleted only when the next login does not see it."""
    world.server.deliver(
        make_message(), to=world.add(protocol=MailProtocol.POP3, processed=AfterFetch.delete())
    )
    world.server.drop_connection(before="QUIT")
    assert world.run().acknowledged == 0
    assert len(world.raws()) == 1
    assert world.run().acknowledged == 0
    assert world.raws() == []
    assert world.run().acknowledged == 1
    assert len(world.desk.tickets) == 1


def test_a_failed_hook_is_tried_again_later(world):
    """What a hook raises costs an attempt; after the wait the mail becomes a ticket."""
    address = world.add()
    world.server.deliver(make_message(), to=address)
    world.server.deliver(make_message(subject="Neighbour"), to=address)
    world.desk.script = [KeyError("secret of the mail")]
    report = world.run()
    assert (report.status, report.retried) == (RunStatus.DONE, 1)
    assert world.desk.subjects == ["Neighbour"]
    failure = world.storage.intake_row(1).failure
    assert (failure.step, failure.error_type) == ("open_ticket", "KeyError")
    assert "doubles.py" in failure.text
    assert "secret" not in failure.text
    assert ("help", "failed", "intake 1: KeyError") in world.desk.events
    world.clock.advance(seconds=59)
    assert world.run().converted == ()
    world.clock.advance(seconds=1)
    assert world.run().outcomes == {OutcomeKind.CREATED: 1}
    assert world.desk.subjects == ["Neighbour", "Printer on fire"]


def test_a_hook_that_always_fails_ends_in_quarantine(world):
    """After the last attempt the mail is set aside with its bytes; neighbours are unharmed."""
    address = world.add(quarantined=AfterFetch.move("Failed"))
    poison = make_message(subject="Poison")
    world.server.deliver(poison, to=address)
    world.server.deliver(make_message(subject="Neighbour"), to=address)

    def prepare(draft):
        if isinstance(draft, TicketDraft) and draft.subject == "Poison":
            raise ValueError("scanner")
        return draft

    world.desk.on_prepare = prepare
    waits = []
    for _ in range(5):
        report = world.run()
        row = world.storage.intake_row(1)
        if row.next_attempt_at:
            waits.append((row.next_attempt_at - world.clock()).total_seconds())
        world.clock.advance(seconds=7200)
    assert waits == [60, 300, 1800, 7200]
    assert report.outcomes == {OutcomeKind.QUARANTINED: 1}
    assert report.converted[0].failure.error_type == "ValueError"
    assert "(5 attempts)" in world.storage.intake_row(1).outcome.reason
    assert world.storage.intake_raw(1) == poison
    assert world.raws(folder="Failed") == [poison]
    assert world.desk.subjects == ["Neighbour"]
    assert world.desk.events[-1] == ("help", "quarantined", "intake 1: ValueError")


@pytest.mark.parametrize("answer", [TryLater(reason="scanner is away"), None])
def test_try_later_and_an_ill_host_give_the_attempt_back(world, answer):
    """TryLater and StorageUnavailableError never count against the mail."""
    world.server.deliver(make_message(), to=world.add())

    def prepare(draft):
        if answer is None:
            raise StorageUnavailableError("the host's database is away")
        return answer

    world.desk.on_prepare = prepare
    for _ in range(8):
        assert world.run().retried == 1
        assert world.storage.intake_row(1).attempts == 0
        world.clock.advance(seconds=60)
    world.desk.on_prepare = lambda draft: draft
    assert world.run().outcomes == {OutcomeKind.CREATED: 1}


@pytest.mark.parametrize("seconds", [0, -5, float("nan"), float("inf"), 1e300])
def test_a_strange_wait_ends_the_run_all_the_same(world, seconds):
    """A wait of nothing, less or for ever neither spins nor breaks a run."""
    world.server.deliver(make_message(), to=world.add())
    world.desk.on_prepare = lambda draft: TryLater(reason="later", after_seconds=seconds)
    report = world.run()
    assert (report.status, report.retried) == (RunStatus.DONE, 1)
    row = world.storage.intake_row(1)
    assert row.attempts == 0
    assert row.next_attempt_at <= world.clock() + timedelta(days=1)


def test_a_run_ends_although_mails_come_due_again(world):
    """A mail that is due again before the run is over waits for the next one."""
    address = world.add()
    for number in range(3):
        world.server.deliver(make_message(subject=str(number)), to=address)

    def prepare(draft):
        world.clock.advance(seconds=70)
        return TryLater(reason="slow")

    world.desk.on_prepare = prepare
    assert len(world.run().converted) == 3
    assert [row.attempts for row in world.storage.intake_rows()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("kind", "outcome", "tickets"),
    [
        (VerdictKind.FILTER, OutcomeKind.FILTERED, 0),
        (VerdictKind.QUARANTINE, OutcomeKind.QUARANTINED, 0),
        (VerdictKind.OPEN, OutcomeKind.CREATED, 1),
    ],
)
def test_prepare_may_give_a_verdict(world, kind, outcome, tickets):
    """A verdict of `prepare` ends the mail, with its reason and in the trace."""
    world.server.deliver(make_message(), to=world.add())
    world.desk.on_prepare = lambda draft: Verdict(
        kind=kind, reason="the scanner said so", department="security"
    )
    assert world.run().outcomes == {outcome: 1}
    assert len(world.desk.tickets) == tickets
    found = world.storage.intake_row(1).outcome
    assert found.reason == "the scanner said so"
    assert found.trace[-1].step == "prepare"
    assert [ticket.draft.department for ticket in world.desk.tickets.values()] == (
        ["security"] * tickets
    )


def test_prepare_may_turn_an_entry_into_a_ticket(world):
    """Such a ticket has the account's defaults, is linked, and answers nobody automatically."""
    from mailrouting.accounts import TicketDefaults

    address = world.add(account={"defaults": TicketDefaults(department="first", priority="low")})
    world.server.deliver(make_message(), to=address)
    world.server.deliver(make_message(subject="Re: [#1]"), to=address)  # would be unverified
    world.desk.on_prepare = lambda draft: (
        draft
        if isinstance(draft, TicketDraft)
        else Verdict(kind=VerdictKind.OPEN, reason="too old", priority="high")
    )
    world.run()
    second = world.desk.tickets["2"].draft
    assert (second.department, second.priority) == ("first", "high")
    assert second.linked == ("1",)
    assert second.entry.verified
    assert not second.may_autorespond


def test_prepare_may_change_the_draft(world):
    """What `prepare` returns is what is written."""
    world.server.deliver(make_message(), to=world.add())
    world.desk.on_prepare = lambda draft: attrs.evolve(draft, subject="[scanned]")
    world.run()
    assert world.desk.subjects == ["[scanned]"]


@pytest.mark.parametrize(
    "change",
    [
        lambda draft: draft.entry,
        lambda draft: attrs.evolve(draft, idempotency_key="other"),
        lambda draft: None,
    ],
)
def test_prepare_must_return_the_draft(world, change):
    """Another kind of draft, another key or nothing at all is the hook's error, not a ticket."""
    world.server.deliver(make_message(), to=world.add())
    world.desk.on_prepare = change
    (converted,) = world.run().converted
    assert converted.failure.step == "prepare"
    assert not world.desk.tickets


@pytest.mark.parametrize(
    "written", [None, "1", Written(ticket=""), Written(ticket="1" * 256), Written(ticket=1)]
)
def test_a_write_hook_must_say_what_it_wrote(world, written):
    """Anything but a ticket id of 1 to 255 characters is the hook's error, and rolled back."""

    class Careless(RecordingDesk):
        def open_ticket(self, draft, tx):
            super().open_ticket(draft, tx)
            return written

    world.desk = Careless()
    world.server.deliver(make_message(), to=world.add())
    (converted,) = world.run().converted
    assert converted.failure.step == "open_ticket"
    assert "returned" in converted.failure.text
    assert not world.desk.tickets


@pytest.mark.parametrize("hook", ["describe", "find_by_number", "role_of", "record_bounces"])
def test_every_hook_is_named_in_its_failure(world, hook):
    """A failure names the hook that raised, and the mail is tried again."""
    address = world.add()
    world.server.deliver(make_message(), to=address)
    world.run()
    world.storage.remember_threads([_thread("out1@desk.example", "1")])

    def broken(*args):
        raise LookupError

    setattr(world.desk, hook, broken)
    bounce = delivery_failure(make_message(message_id="out1@desk.example"))
    world.server.deliver(
        bounce if hook == "record_bounces" else make_message(subject="Re: [#1]"), to=address
    )
    if hook == "describe":
        world.desk.find_by_number = lambda number: "1"
    (converted,) = world.run().converted
    assert (converted.failure.step, converted.failure.error_type) == (hook, "LookupError")
    assert not world.desk.bounces
    assert not world.desk.tickets["1"].entries


@pytest.mark.parametrize("rule", [lambda message, context: 1 / 0, lambda message, context: True])
def test_a_broken_rule_fails_the_mail_only(world, rule):
    """A rule that raises, or returns no verdict, is named; the mail is tried again."""
    world.server.deliver(make_message(), to=world.add())
    report = world.run(rules=[rule])
    assert (report.status, report.converted[0].failure.step) == (RunStatus.DONE, "rules")


def test_an_observer_that_raises_harms_nothing(world, caplog):
    """What `observe` raises is logged; the ticket stays."""

    def observe(*args):
        raise RuntimeError

    world.desk.observe = observe
    world.server.deliver(make_message(), to=world.add())
    assert world.run().outcomes == {OutcomeKind.CREATED: 1}
    assert "observe raised" in caplog.text


def test_a_desk_needs_no_abilities(world):
    """A desk with the three methods that every host has is enough."""

    class Plain:
        def open_ticket(self, draft, tx):
            return Written(ticket=f"T-{draft.subject}")

        def add_entry(self, ticket, entry, tx):
            return Written(ticket=ticket)

        def describe(self, ticket):
            return None

    world.desk = Plain()
    address = world.add()
    for raw in (make_message(subject="[#7]"), delivery_failure(make_message())):
        world.server.deliver(raw, to=address)
    assert world.run().outcomes == {OutcomeKind.CREATED: 1, OutcomeKind.BOUNCE: 1}
    assert world.storage.intake_row(1).outcome.ticket == "T-[#7]"


class KeyedDesk(RecordingDesk):
    """Write outside of the transaction, and find what was written by its key."""

    def __init__(self):
        super().__init__()
        self.by_key = {}

    def open_ticket(self, draft, tx):
        self.by_key[draft.idempotency_key] = super().open_ticket(draft, None)
        return self.by_key[draft.idempotency_key]

    def lookup(self, key):
        return self.by_key.get(key)


class LosesCommits(MemoryStorage):
    """Lose the first commits after the hook wrote."""

    losses = 2

    def conclude(self, claim, write):
        def lossy(tx):
            conclusion = write(tx)
            if self.losses:
                self.losses -= 1
                raise StorageUnavailableError("the disk went away")
            return conclusion

        return super().conclude(claim, lossy)


def test_a_lost_commit_opens_no_second_ticket(make_world):
    """A desk that finds by key is asked before it writes again, although no attempt counted."""
    world = make_world(desk=KeyedDesk(), storage=LosesCommits())
    world.server.deliver(make_message(), to=world.add())
    for _ in range(3):
        report = world.run()
        world.clock.advance(seconds=120)
    assert report.outcomes == {OutcomeKind.CREATED: 1}
    assert world.storage.intake_row(1).outcome.ticket == "1"
    assert len(world.desk.tickets) == 1


def test_a_lookup_that_fails_or_lies_writes_nothing(make_world):
    """A lookup that raises or returns no `Written` fails the attempt; nothing is opened twice."""
    for answer in (lambda key: 1 / 0, lambda key: "1"):
        world = make_world(desk=KeyedDesk())
        world.desk.lookup = answer
        world.server.deliver(make_message(), to=world.add())
        (converted,) = world.run().converted
        assert converted.failure.step == "lookup"
        assert not world.desk.tickets


@pytest.mark.parametrize("processed", [AfterFetch.keep(), AfterFetch.move("Done")])
def test_a_new_numbering_opens_nothing_twice(world, processed):
    """After a UIDVALIDITY change everything is read again and recognised."""
    address = world.add(processed=processed)
    world.server.deliver(make_message(), to=address)
    world.run()
    if processed.folder:
        world.server.deliver(make_message(), to=address)  # a person moved it back
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.stored, report.reappeared, report.acknowledged) == (0, 1, 1)
    assert len(world.desk.tickets) == 1


def test_a_mail_removed_elsewhere_leaves_no_row(world):
    """A mail that another client removes between listing and reading is nothing at all."""
    address = world.add()
    gone = world.server.deliver(make_message(subject="Gone"), to=address)
    world.server.deliver(make_message(subject="Here"), to=address)

    class Raced(_Wrapped):
        def read(self, uids):
            world.server.expunge_elsewhere(HELP, gone)
            return self.session.read(uids)

    world.opener = lambda account: Raced(world.server.open_session(account))
    report = world.run()
    assert (report.stored, report.error) == (1, None)
    assert world.desk.subjects == ["Here"]


@pytest.mark.parametrize("verb", ["SEARCH", "FETCH", "MOVE", "CREATE", "LOGOUT"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_connection_is_mended_by_the_next_run(world, verb, when):
    """Wherever the connection ends, the next run finishes the work and nothing comes twice."""
    address = world.add(processed=AfterFetch.move("Done"))
    raws = [make_message(subject=str(number)) for number in range(3)]
    for raw in raws:
        world.server.deliver(raw, to=address)
    world.server.drop_connection(**{when: verb})
    report = world.run()
    if verb != "LOGOUT":
        assert isinstance(report.error, SessionLostError)
        assert report.status is RunStatus.FAILED
        assert world.storage.health("help").state is HealthState.DEGRADED
    report = world.run()
    assert (report.status, report.error) == (RunStatus.DONE, None)
    assert world.raws() == []
    assert world.raws(folder="Done") == raws
    assert sorted(world.desk.subjects) == ["0", "1", "2"]


def test_a_mail_that_breaks_every_session_takes_none_before_it_along(world):
    """What was read before the connection broke is stored, run after run."""
    address = world.add()
    for number in range(3):
        world.server.deliver(make_message(subject=str(number)), to=address)
    world.server.drop_connection(before="FETCH", nth=3)
    report = world.run()
    assert (report.status, report.stored) == (RunStatus.FAILED, 2)
    assert "hung up" in report.because
    assert world.storage.intake_row(2).state is IntakeState.WAITING
    world.server.drop_connection(before="FETCH")
    report = world.run()
    assert report.outcomes == {OutcomeKind.CREATED: 2}


def test_another_mail_under_a_known_uid_is_reported(world):
    """Two mails under one UID are the server's fault: reported, nothing lost or mixed."""
    world.server.deliver(make_message(), to=world.add())

    class TwoBodies(_Wrapped):
        def read(self, uids):
            for mail in self.session.read(uids):
                yield mail
                yield attrs.evolve(mail, raw=make_message(subject="Other"))

    world.opener = lambda account: TwoBodies(world.server.open_session(account))
    report = world.run()
    assert isinstance(report.error, PeerProtocolError)
    world.opener = world.server.open_session
    world.run()
    assert world.desk.subjects == ["Printer on fire"]


def test_trouble_of_accounts_stays_their_own(world):
    """Different failures land in the health of their accounts, with hints; others go on."""
    for name in ("a-login", "b-folder", "c-offline", "d-odd", "e-config", "f-fine"):
        address = world.add(name)
        world.server.deliver(make_message(to=address, subject=name), to=address)
    world.server.refuse_login("a-login@desk.example")
    world.change("b-folder", folder="Nowhere")
    world.change("e-config", max_per_fetch=0)
    usual = world.opener

    def open_session(account):
        if account.id == "c-offline":
            raise TlsError("the certificate has expired", hint="Renew it.")
        if account.id == "d-odd":
            raise ZeroDivisionError
        return usual(account)

    world.opener = open_session
    reports = {report.account_id: report for report in world.fetcher().run_all()}
    states = {name: world.storage.health(name).state for name in reports}
    assert states == {
        "a-login": HealthState.AUTH_FAILED,
        "b-folder": HealthState.MISCONFIGURED,
        "c-offline": HealthState.MISCONFIGURED,
        "d-odd": HealthState.DEGRADED,
        "e-config": HealthState.MISCONFIGURED,
        "f-fine": HealthState.OK,
    }
    assert isinstance(reports["b-folder"].error, FolderNotFoundError)
    for name in list(reports)[:5]:
        assert reports[name].status is RunStatus.FAILED
        assert reports[name].because
        assert world.storage.health(name).trouble.hint, name
        assert world.storage.health(name).next_attempt_at > world.clock()
    assert "max_per_fetch" in reports["e-config"].because
    assert world.desk.subjects == ["f-fine"]
    failed = [(who, what) for who, event, what in world.desk.events if event == "account-failed"]
    assert failed == [
        ("a-login", "AuthenticationError"),
        ("b-folder", "FolderNotFoundError"),
        ("c-offline", "TlsError"),
        ("d-odd", "HookError"),
        ("e-config", "AccountError"),
    ]


def test_one_notice_on_failure_and_one_on_recovery(world):
    """A failure that lasts is announced once; so is its end; `since` stays with the state."""
    world.add()
    world.server.go_offline()
    begun = world.clock()
    for _ in range(3):
        world.run()
        world.clock.advance(seconds=600)
    health = world.storage.health("help")
    assert (health.failures, health.since) == (3, begun)
    world.server.go_online()
    world.run()
    assert [event for _, event, _ in world.desk.events] == ["account-failed", "account-recovered"]


def test_an_outage_at_connecting_is_degraded(world):
    """A server that cannot be reached is tried again soon."""
    world.add()
    world.server.go_offline()
    assert world.run().status is RunStatus.FAILED
    assert world.storage.health("help").state is HealthState.DEGRADED


@pytest.mark.parametrize(
    ("switch", "because"),
    [
        ("account", "the account is disabled"),
        ("mailbox", "fetching its mailbox is switched off"),
        ("directory", "fetching is switched off for all accounts"),
        ("lease", "another worker is at it"),
    ],
)
def test_what_is_not_to_run_is_skipped_with_its_reason(world, switch, because):
    """A skipped run connects to nothing and says why."""
    world.server.deliver(make_message(), to=world.add())
    account = world.accounts.directory().account("help")
    if switch == "account":
        world.put(attrs.evolve(account, enabled=False))
    elif switch == "mailbox":
        world.change(enabled=False)
    elif switch == "directory":
        world.accounts.replace(attrs.evolve(world.accounts.directory(), fetching=False))
    else:
        mailbox = MailboxKey("help", MailProtocol.IMAP, "INBOX")
        world.storage.lease_acquire(mailbox, owner="other", ttl_seconds=60, now=world.clock())
    report = world.run()
    assert (report.status, report.because) == (RunStatus.SKIPPED, because)
    assert world.server.commands == ()
    assert world.storage.health("help") is None


def test_a_mailbox_is_free_after_every_run(world):
    """The lease is given back after success, failure and a programming error."""
    world.add(folder="inbox")
    mailbox = MailboxKey("help", MailProtocol.IMAP, "INBOX")

    class Broken(_Wrapped):
        def list_uids(self):
            raise AssertionError

    for opener in (world.opener, lambda account: Broken(world.server.open_session(account))):
        world.opener = opener
        report = world.run()
        lease = world.storage.lease_acquire(mailbox, owner="t", ttl_seconds=9, now=world.clock())
        assert lease is not None
        world.storage.lease_release(lease)
    assert report.status is RunStatus.FAILED
    assert "AssertionError" in report.because
    assert "0 open sessions" in repr(world.server)


def test_an_interrupt_ends_the_run_and_frees_the_mailbox(world):
    """Ctrl-C in a hook is raised, nothing of the hook stays, and the mailbox is free at once."""
    world.server.deliver(make_message(), to=world.add())
    world.desk.script = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert not world.desk.tickets
    assert world.run().status is RunStatus.DONE
    world.clock.advance(seconds=600)
    assert world.run().outcomes == {OutcomeKind.CREATED: 1}


def test_a_run_that_lost_its_mailbox_touches_nothing(world):
    """When another worker took the mailbox over meanwhile, the server is left to that one."""
    world.server.deliver(make_message(), to=world.add(processed=AfterFetch.move("Done")))

    def prepare(draft):
        world.clock.advance(seconds=1000)
        mailbox = MailboxKey("help", MailProtocol.IMAP, "INBOX")
        world.storage.lease_acquire(mailbox, owner="other", ttl_seconds=60, now=world.clock())
        return draft

    world.desk.on_prepare = prepare
    report = world.run()
    assert isinstance(report.error, StaleWriteError)
    assert len(world.raws()) == 1
    assert world.storage.health("help") is None
    world.clock.advance(seconds=61)
    world.run()
    assert world.raws() == []
    assert len(world.desk.tickets) == 1


def test_an_account_removed_meanwhile_stops_no_other(world):
    """`run_all` goes on when an account is removed while others run."""
    world.add("a")
    world.add("b")
    world.add("c")
    seen = []
    for report in world.fetcher().run_all():
        seen.append(report.account_id)
        if report.account_id == "a":
            world.accounts.remove("b")
    assert seen == ["a", "c"]


@pytest.mark.parametrize(
    "method", ["lease_acquire", "stream_open", "positions", "intake_put", "intake_claim",
               "unacknowledged", "mark_acknowledged", "lease_renew", "save_health", "lease_release"]
)  # fmt: skip
def test_a_storage_that_is_away_loses_nothing(make_world, method):
    """Whatever the storage cannot do, the run says so, and the next one finishes."""

    class Away(MemoryStorage):
        away = True

    def refuse(self, *args, **kwargs):
        if self.away:
            raise StorageUnavailableError("busy")
        return getattr(MemoryStorage, method)(self, *args, **kwargs)

    setattr(Away, method, refuse)
    world = make_world(storage=Away())
    world.server.deliver(make_message(), to=world.add(processed=AfterFetch.move("Done")))
    report = world.run()
    if method != "lease_release":
        assert isinstance(report.error, StorageUnavailableError)
        assert report.status is RunStatus.FAILED
    world.storage.away = False
    world.clock.advance(seconds=1000)
    assert world.run().status is RunStatus.DONE
    assert world.raws() == []
    assert len(world.desk.tickets) == 1


OLD = datetime(2026, 2, 1, tzinfo=UTC)
NEW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_all_takes_in_everything(world):
    """With ALL, old mail becomes tickets too."""
    address = world.add(first_run=FirstRun.all())
    world.server.deliver(make_message(), to=address, received_at=OLD)
    assert world.run().stored == 1


def test_since_leaves_older_mail_alone_in_every_numbering(world):
    """What arrived before the day is skipped, also when the server numbers anew."""
    address = world.add(first_run=FirstRun.since_date(date(2026, 2, 10)))
    world.server.deliver(make_message(subject="Old"), to=address, received_at=OLD)
    world.server.deliver(make_message(subject="New"), to=address, received_at=NEW)
    report = world.run()
    assert (report.stored, report.too_old) == (1, 1)
    world.server.roll_uidvalidity(HELP)
    report = world.run()
    assert (report.reappeared, report.too_old) == (1, 1)
    assert world.desk.subjects == ["New"]
    assert world.run().too_old == 0


def test_only_new_leaves_what_is_there_alone(world):
    """With ONLY_NEW nothing that was there becomes a ticket; what comes later does."""
    address = world.add(first_run=FirstRun.only_new(), processed=AfterFetch.delete())
    world.server.deliver(make_message(), to=address, received_at=world.clock())
    report = world.run()
    assert (report.stored, report.too_old) == (0, 1)
    world.clock.advance(seconds=600)
    world.server.deliver(make_message(subject="New"), to=address, received_at=world.clock())
    assert world.run().stored == 1
    assert world.desk.subjects == ["New"]
    assert len(world.raws()) == 1


def test_only_new_takes_what_arrives_during_the_first_run(world):
    """A mail that arrives between opening and listing is new, and not skipped with the old."""
    address = world.add(first_run=FirstRun.only_new())
    world.server.deliver(make_message(), to=address)

    class Raced(_Wrapped):
        def list_uids(self):
            world.server.deliver(make_message(subject="New"), to=address)
            return self.session.list_uids()

    world.opener = lambda account: Raced(world.server.open_session(account))
    report = world.run()
    assert (report.stored, report.too_old) == (1, 1)
    assert world.desk.subjects == ["New"]


def test_only_new_on_pop3(world):
    """POP3 tells no arrival time: what the first login lists is old, the rest is new."""
    address = world.add(protocol=MailProtocol.POP3, first_run=FirstRun.only_new())
    world.server.deliver(make_message(), to=address)
    assert world.run().too_old == 1
    world.server.deliver(make_message(subject="New"), to=address)
    assert world.run().stored == 1


def test_the_stored_cutoff_wins_over_a_later_setting(world):
    """Changing `first_run` later takes in no old mail and skips no new one."""
    address = world.add(first_run=FirstRun.only_new())
    world.server.deliver(make_message(subject="Old"), to=address, received_at=OLD)
    world.run()
    world.change(first_run=FirstRun.all())
    world.server.roll_uidvalidity(HELP)
    assert world.run().stored == 0
    world.change(first_run=FirstRun.since_date(date(2030, 1, 1)))
    world.server.deliver(make_message(subject="New"), to=address, received_at=world.clock())
    world.run()
    assert world.desk.subjects == ["New"]


def test_the_next_run_goes_on_where_max_per_fetch_ended(world):
    """A run takes in at most `max_per_fetch` mails; the next one goes on there."""
    address = world.add(max_per_fetch=2)
    for number in range(5):
        world.server.deliver(make_message(subject=str(number)), to=address)
    assert [world.run().stored for _ in range(4)] == [2, 2, 1, 0]
    assert world.desk.subjects == ["0", "1", "2", "3", "4"]


def test_batches_are_bounded_by_bytes_and_mails(world):
    """A put comes at latest when the bytes or the mails of a batch are reached."""
    puts = []

    class Counts(MemoryStorage):
        def intake_put(self, mails, **how):
            puts.append(len(mails))
            return super().intake_put(mails, **how)

    world.storage = Counts()
    address = world.add()
    for number in range(5):
        world.server.deliver(make_message(subject=str(number), text="x" * 1000), to=address)
    world.run(limits=FetchLimits(batch_mails=3))
    assert puts == [3, 2]
    puts.clear()
    for number in range(5):
        world.server.deliver(make_message(subject=f"b{number}", text="x" * 1000), to=address)
    world.run(limits=FetchLimits(batch_bytes=2000))
    assert puts == [2, 2, 1]


@pytest.mark.parametrize(("policy", "tickets"), [("PER_MAILBOX", 2), ("FIRST_WINS", 1)])
def test_a_mail_to_two_mailboxes_follows_the_policy(world, policy, tickets):
    """Two linked tickets, or one and a duplicate; one automatic response at most."""
    world.desk.respond = True
    for name in ("help", "sales"):
        address = world.add(name)
        world.run(name)
        world.server.deliver(
            make_message(
                to="help@desk.example, sales@desk.example",
                headers={"Received": f"for <{address}>; Mon, 2 Mar 2026 08:30:01 +0000"},
            ),
            to=address,
        )
    policy = RoutingPolicy(several_ours=SeveralOurs[policy])
    list(world.fetcher(policy=policy).run_all())
    assert [ticket.draft.account_id for ticket in world.desk.tickets.values()] == (
        ["help", "sales"][:tickets]
    )
    assert [ticket.draft.linked for ticket in world.desk.tickets.values()] == (
        [(), ("1",)][:tickets]
    )
    rows = world.storage.intake_rows()
    assert [row.outcome.responded for row in rows] == [True, False]
    assert rows[1].outcome.duplicate_of == (1 if tickets == 1 else None)


def test_two_workers_on_one_storage_make_each_ticket_once(world):
    """Two fetchers on two threads, each on its own account, convert each mail once."""
    for name in ("a", "b"):
        address = world.add(name)
        for number in range(30):
            world.server.deliver(make_message(to=address, subject=f"{name}{number}"), to=address)
    _together(lambda: world.run("a"), lambda: world.run("b"))
    assert sorted(world.desk.subjects) == sorted(f"{n}{i}" for n in "ab" for i in range(30))
    assert world.outcomes() == [OutcomeKind.CREATED] * 60


def test_two_converters_of_one_account_make_each_ticket_once(world):
    """`convert` may run anywhere at once: a claim is one worker's."""
    address = world.add(processed=AfterFetch.move("Done"))
    for number in range(30):
        world.server.deliver(make_message(subject=str(number)), to=address)
    fetcher = world.fetcher()
    _together(world.run, fetcher.convert, fetcher.convert)
    world.run()
    assert sorted(world.desk.subjects, key=int) == [str(number) for number in range(30)]
    assert world.raws() == []


def _together(*calls):
    raised = []

    def guarded(call):
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - a thread must tell
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []


def test_a_claim_taken_over_leaves_the_outcome_to_the_other(world):
    """A worker that was too slow writes nothing; the one that took over does."""
    world.server.deliver(make_message(), to=world.add())
    fast = []

    def prepare(draft):
        if not fast:
            fast.append("me")
            world.clock.advance(seconds=601)
            world.fetcher().convert()
        return draft

    world.desk.on_prepare = prepare
    (converted,) = world.run().converted
    assert (converted.outcome, converted.failure.step) == (None, "claim")
    assert len(world.desk.tickets) == 1
    assert world.outcomes() == [OutcomeKind.CREATED]


def test_a_claim_taken_over_and_failed_harms_no_other(world):
    """A slow worker that fails on a mail it no longer holds goes on with the next."""
    address = world.add()
    for number in range(2):
        world.server.deliver(make_message(subject=str(number)), to=address)
    fast = []

    def prepare(draft):
        if not fast:
            fast.append("me")
            world.clock.advance(seconds=601)
            world.fetcher().convert()
            raise ValueError
        return draft

    world.desk.on_prepare = prepare
    report = world.run()
    assert report.status is RunStatus.DONE
    assert sorted(world.desk.subjects) == ["0", "1"]


def test_what_waits_is_converted_without_a_server(world):
    """`convert` needs no connection, and heeds the accounts it is given."""
    for name in ("a", "b"):
        address = world.add(name)
        world.server.deliver(make_message(to=address, subject=name), to=address)
    world.desk.script = [RuntimeError(), RuntimeError()]
    list(world.fetcher().run_all())
    world.server.go_offline()
    world.clock.advance(seconds=60)
    assert len(world.fetcher().convert(["b"])) == 1
    assert world.desk.subjects == ["b"]
    assert len(world.fetcher().convert()) == 1


def test_rows_of_a_removed_account_are_kept(world):
    """Mail of an account that is gone is not converted, and its bytes stay."""
    raw = make_message()
    world.server.deliver(raw, to=world.add())
    world.desk.script = [RuntimeError()]
    world.run()
    world.accounts.replace(Directory())
    world.clock.advance(seconds=60)
    (converted,) = world.fetcher().convert()
    assert converted.failure.error_type == "RecordNotFoundError"
    assert world.storage.intake_raw(1) == raw


def test_kinds_of_mail_reach_the_desk(world):
    """A list's post is a message without a response; a vacation notice is automatic."""
    world.desk.respond = True
    address = world.add()
    world.run()
    ours = make_message(from_=HELP, to="carla@customer.example")
    world.server.deliver(list_post(), to=address)
    world.server.deliver(vacation_reply(ours), to=address)
    world.server.deliver(make_message(), to=address)
    world.run()
    drafts = [ticket.draft for ticket in world.desk.tickets.values()]
    assert [draft.entry.kind for draft in drafts] == [
        EntryKind.MESSAGE,
        EntryKind.AUTOMATIC,
        EntryKind.MESSAGE,
    ]
    assert [draft.may_autorespond for draft in drafts] == [False, False, True]
    rows = world.storage.intake_rows()
    assert [row.outcome.responded for row in rows] == [False, False, True]


def test_others_on_a_mail_are_possible_participants(world):
    """To and Cc without our own addresses, the sender and what has no address."""
    world.server.deliver(
        make_message(
            to="help@desk.example, Dora <dora@customer.example>, undisclosed-recipients:;",
            cc="CARLA@customer.example, Dora Again <Dora@customer.example>, Just A Name,"
            " Emil <emil@xn--bcher-kva.example>, EMIL <EMIL@XN--BCHER-KVA.example>",
        ),
        to=world.add(),
    )
    world.run()
    participants = world.desk.tickets["1"].draft.participants
    assert [item.address.casefold() for item in participants] == [
        "dora@customer.example",
        "emil@xn--bcher-kva.example",
    ]


def test_how_far_a_mail_is_looked_into_is_the_hosts_choice(world):
    """The limits of reading reach the reader: of a mail that is larger only the header counts."""
    raw = make_message(text="the body")
    world.server.deliver(raw, to=world.add())
    world.run(reading=ReadingLimits(size=len(raw) - 1))
    message = world.desk.tickets["1"].draft.entry.message
    assert (message.subject, message.text) == (read(raw).subject, None)


def test_a_mail_without_an_id_is_a_ticket_without_a_thread(world):
    """No Message-ID opens a ticket all the same."""
    world.server.deliver(make_message(message_id=None), to=world.add())
    assert world.run().outcomes == {OutcomeKind.CREATED: 1}
    assert world.storage.find_threads([""]) == ()


def test_a_long_id_is_remembered_and_found_again(world):
    """As long as a line can be, a Message-ID still leads its answer to the ticket."""
    question = make_message(message_id="x" * 900 + "@a.example")
    address = world.add()
    for raw in (question, reply_to(question, from_="Carla <carla@customer.example>", to=address)):
        world.server.deliver(raw, to=address)
    assert world.run().outcomes == {OutcomeKind.CREATED: 1, OutcomeKind.APPENDED: 1}


def test_agents_are_known_to_rules(world):
    """A rule sees the role of the sender, the account, and whether From is proved."""
    world.desk.agents.add("carla@customer.example")
    world.server.deliver(make_message(), to=world.add())
    seen = []
    world.run(rules=[lambda message, context: seen.append(context)])
    assert [(one.role, one.account.id, one.authenticated) for one in seen] == [
        (Role.AGENT, "help", False)
    ]


def test_a_configuration_problem_fetches_nothing(world):
    """An account with an error in its settings is not connected to; a warning is no error."""
    world.server.deliver(make_message(), to=world.add(processed=AfterFetch.move("INBOX")))
    report = world.run()
    assert isinstance(report.error, ConfigurationError)
    assert world.server.commands == ()
    world.change(processed=AfterFetch.keep(), folder="INBOX")
    assert world.run().stored == 1


class NoTransaction(MemoryStorage):
    """Be a storage whose transaction is not the host's."""

    capabilities = frozenset()


class LooksUp(RecordingDesk):
    """Be a desk that finds what it wrote."""

    def lookup(self, idempotency_key):
        return None


def test_parts_that_cannot_keep_the_promise_are_refused(world):
    """Without a shared transaction the desk must find what it wrote, or a crash doubles a ticket."""
    with pytest.raises(ConfigurationError, match=r"lookup\(\)") as refused:
        world.fetcher(storage=NoTransaction())
    assert "FindsByKey" in refused.value.hint
    assert world.fetcher(storage=NoTransaction(), desk=LooksUp())


def test_a_clock_without_a_zone_is_refused(world):
    """A naive time would be compared with the server's; that is said at once."""
    with pytest.raises(ConfigurationError, match="zone"):
        world.fetcher(clock=lambda: datetime(2026, 3, 2))  # noqa: DTZ001 - the point


def test_due_accounts_run_and_others_wait(world):
    """An account is due when new, when its interval has passed, or when its backoff is over."""
    world.add("calm", fetch_every=timedelta(minutes=5))
    world.add("locked", fetch_every=timedelta(minutes=5))
    world.server.refuse_login("locked@desk.example", "AUTHENTICATIONFAILED")

    def due():
        return [report.account_id for report in world.fetcher().run_due()]

    assert due() == ["calm", "locked"]
    assert due() == []
    world.clock.advance(seconds=301)
    assert due() == ["calm"], "a refused login waits longer, so that it is not locked out"
    world.clock.advance(seconds=900)
    assert due() == ["calm", "locked"], "the one that waits longest comes first"
    assert world.run("locked").status is RunStatus.FAILED, "run() tries at once"


class WithholdingSession:
    """Be a session that lists some mails and never gives them out."""

    def __init__(self, session, withheld):
        self._session = session
        self._withheld = withheld

    def __getattr__(self, name):
        return getattr(self._session, name)

    def read(self, uids):
        return (mail for mail in self._session.read(uids) if mail.uid not in self._withheld)


def test_mail_that_is_not_given_out_takes_no_others_place_and_is_named(world):
    """It stays on the server; the others are taken in, and the account says what is wrong."""
    address = world.add(max_per_fetch=1)
    withheld = {world.server.deliver(make_message(subject="a"), to=address)}
    world.server.deliver(make_message(subject="b"), to=address)
    opener = world.opener
    report = world.run(open_session=lambda account: WithholdingSession(opener(account), withheld))
    assert (report.stored, report.unread, report.status) == (1, 1, RunStatus.DONE)
    assert "UID 1 first" in str(report.error)
    assert world.storage.health("help").state is HealthState.DEGRADED
    assert world.desk.subjects == ["b"]
    assert world.run().stored == 1, "once it is given out it is taken in"
    assert world.run().unread == 0


@pytest.mark.parametrize(
    "later",
    [
        TryLater(reason="a\0b \ud800"),
        TryLater(reason=None),
        TryLater(reason="soon", after_seconds="60"),
    ],
)
def test_an_odd_wish_of_one_mail_harms_no_other(world, later):
    """A text or number that cannot be stored fails its own mail at most; the next ones come in."""
    address = world.add()
    for subject in ("odd", "fine"):
        world.server.deliver(make_message(subject=subject), to=address)
    world.desk.on_prepare = lambda draft: later if draft.subject == "odd" else draft
    report = world.run()
    assert (report.status, report.retried, world.desk.subjects) == (RunStatus.DONE, 1, ["fine"])


def test_a_verdict_with_an_unstorable_reason_holds(world):
    """A rule's NUL is replaced; its verdict counts all the same."""
    world.server.deliver(make_message(), to=world.add())
    verdict = Verdict(kind=VerdictKind.FILTER, reason="a\0b")
    report = world.run(rules=[lambda message, context: verdict])
    assert report.outcomes == {OutcomeKind.FILTERED: 1}
    assert report.converted[0].outcome.reason == "a\N{REPLACEMENT CHARACTER}b"
