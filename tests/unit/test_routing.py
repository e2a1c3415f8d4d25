"""Whose ticket a mail belongs to, what else becomes of it, and whether it may be answered."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given, strategies as st

from mailrouting.accounts import (
    Alias,
    AliasUse,
    ArrivesIn,
    EmailAccount,
    Endpoint,
    FirstRun,
    InboundSettings,
    TicketDefaults,
    TrustedAuthentication,
)
from mailrouting.addresses import AddressRole, NamedAddress
from mailrouting.auth import MailProtocol, parse_login
from mailrouting.directory import Directory
from mailrouting.errors import RecordNotFoundError
from mailrouting.reading import (
    Defect,
    Kind,
    Message,
    identify,
    parse_authentication_results,
    read,
    remainder,
)
from mailrouting.records import (
    Action,
    Authenticity,
    IntakeRow,
    IntakeState,
    Outcome,
    OutcomeKind,
    Role,
    TicketState,
    Verdict,
    VerdictKind,
)
from mailrouting.routing import (
    Copies,
    People,
    RoutingPolicy,
    SeveralOurs,
    SubjectNumber,
    authenticity,
    decide,
    receiving_account,
)
from mailrouting.testing import (
    delivery_failure,
    list_post,
    make_message,
    vacation_reply,
)
from mailrouting.threads import Evidence, EvidenceKind

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CARLA = "carla@customer.example"
PROVED = "mx.desk.example; dmarc=pass header.from=customer.example"


def account(name, *, domain="desk.example", mailbox=True, **changes):
    """Make an account, with a mailbox unless told otherwise."""
    inbound = InboundSettings(
        protocol=MailProtocol.IMAP,
        endpoint=Endpoint("mail.desk.example"),
        login=parse_login(f"{name}@{domain}"),
        first_run=FirstRun.all(),
    )
    return EmailAccount(
        **{
            "id": name,
            "address": NamedAddress.parse(f"{name}@{domain}"),
            "inbound": inbound if mailbox else None,
            **changes,
        }
    )


def alias(address, use=AliasUse.SEND_AS):
    """Make an alias."""
    return Alias(address=NamedAddress.parse(address), use=use)


HELP = account(
    "help",
    subaddress="+",
    aliases=(alias("support@desk.example"), alias("old@desk.example", AliasUse.RETIRED)),
    catch_all_domains=("all.example",),
    trusted_authentication=TrustedAuthentication(authserv_ids=("mx.desk.example",)),
    defaults=TicketDefaults(department="first", help_topic="general", priority="normal"),
)
SALES = account("sales")
DIRECTORY = Directory(accounts=(HELP, SALES), default_account="help")


def mail(**changes):
    """Read a built mail."""
    return read(make_message(**changes))


def run(message, **changes):
    """Decide for a mail that was fetched for the help account."""
    return decide(message, **{"directory": DIRECTORY, "fetched_for": "help", **changes})


def stored(ticket="1", account_id="help", *, sent=False):
    """Make evidence of a stored Message-ID."""
    return Evidence(
        kind=EvidenceKind.STORED_ID,
        ticket=ticket,
        value="id@x.example",
        account_id=account_id,
        sent=sent,
    )


def number(ticket="1"):
    """Make evidence of a subject number."""
    return Evidence(kind=EvidenceKind.SUBJECT_NUMBER, ticket=ticket, value=ticket)


def people(*states, role=Role.UNKNOWN):
    """Make what the host knows."""
    return People(role=role, tickets={state.ticket: state for state in states})


def ticket(name="1", *, on=(CARLA,), **changes):
    """Make a ticket's state; Carla is on it."""
    return TicketState(ticket=name, participants=on, **{"account_id": "help", **changes})


def step(decision, name):
    """Return the verdicts of a step."""
    return [one.verdict for one in decision.trace if one.step == name]


@pytest.mark.parametrize(
    ("evidence", "participant", "proved", "action", "verified"),
    [
        (stored(), True, True, Action.APPEND, True),
        (stored(), True, False, Action.APPEND, True),
        (stored(), False, True, Action.OPEN, True),
        (stored(), False, False, Action.OPEN, True),
        (number(), True, True, Action.APPEND, True),
        (number(), True, False, Action.APPEND, False),
        (number(), False, True, Action.OPEN, True),
        (number(), False, False, Action.OPEN, True),
    ],
)
def test_the_table_of_evidence_and_sender(evidence, participant, proved, action, verified):
    """Each cell of the design's table: append, append unverified, or a new linked ticket."""
    message = mail(headers={"Authentication-Results": PROVED} if proved else None)
    state = ticket(on=(CARLA,) if participant else ("other@customer.example",))
    decision = run(message, evidence=[evidence], people=people(state))
    assert (decision.action, decision.verified) == (action, verified)
    if action is Action.APPEND:
        assert (decision.ticket, decision.linked) == ("1", ())
    else:
        assert (decision.ticket, decision.linked) == (None, ("1",))
        assert "linked to 1" in decision.because


def test_a_policy_may_keep_unproved_numbers_out():
    """With NEW_LINKED an unproved sender's number opens a ticket of its own."""
    policy = RoutingPolicy(subject_number=SubjectNumber.NEW_LINKED)
    case = {"evidence": [number()], "people": people(ticket()), "policy": policy}
    assert run(mail(), **case).linked == ("1",)
    proved = mail(headers={"Authentication-Results": PROVED})
    assert run(proved, **case).action is Action.APPEND


def test_participants_are_compared_folded():
    """Case and IDNA make no stranger of a participant."""
    state = ticket(on=("not an address", "CARLA@Bücher.example"))
    message = mail(from_="carla@xn--bcher-kva.example")
    assert run(message, evidence=[stored()], people=people(state)).ticket == "1"


def test_an_ambiguous_from_is_no_participant():
    """Two addresses in From are nobody's proof, whoever is first."""
    message = mail(from_=f"{CARLA}, evil@x.example")
    assert Defect.AMBIGUOUS_FROM in message.defects
    decision = run(message, evidence=[stored()], people=people(ticket()))
    assert (decision.action, decision.linked) == (Action.OPEN, ("1",))


def test_a_mail_without_from_is_no_participants():
    """Without a From a mail opens a linked ticket."""
    message = attrs.evolve(mail(), from_=None)
    assert run(message, evidence=[stored()], people=people(ticket(on=("",)))).linked == ("1",)


@pytest.mark.parametrize(("proved", "action"), [(True, Action.APPEND), (False, Action.OPEN)])
def test_only_a_proved_agent_may_write_on_any_ticket(proved, action):
    """From alone makes nobody an agent."""
    message = mail(headers={"Authentication-Results": PROVED} if proved else None)
    known = people(ticket(on=()), role=Role.AGENT)
    assert run(message, evidence=[stored()], people=known).action is action


def test_a_ticket_that_takes_no_entries_is_linked():
    """A reply to a closed ticket opens a new one, linked to it."""
    closed = people(ticket(accepts_entries=False))
    decision = run(mail(), evidence=[stored()], people=closed)
    assert (decision.action, decision.linked) == (Action.OPEN, ("1",))


def test_a_merged_ticket_is_followed():
    """Evidence for a merged ticket leads to the one that took its place."""
    known = People(tickets={"1": ticket("5")})
    decision = run(mail(), evidence=[stored()], people=known)
    assert (decision.action, decision.ticket) == (Action.APPEND, "5")


def test_a_ticket_that_is_gone_is_passed_over():
    """Evidence for a ticket that the host does not have any more leads nowhere."""
    decision = run(mail(), evidence=[stored()])
    assert (decision.action, decision.linked) == (Action.OPEN, ())
    assert step(decision, "reply") == ["passed over"]


def test_evidence_of_another_mailbox_only_links():
    """An id of another account's mail leads to that account's ticket: a new one here, linked."""
    elsewhere = people(ticket(account_id="sales"))
    decision = run(mail(), evidence=[stored(account_id="sales")], people=elsewhere)
    assert (decision.action, decision.linked) == (Action.OPEN, ("1",))
    moved_here = people(ticket(account_id="help"))
    assert run(mail(), evidence=[stored(account_id="sales")], people=moved_here).ticket == "1"


def test_contradictions_are_reported():
    """Evidence for several tickets is in the trace; the strongest one decides."""
    known = people(ticket("1"), ticket("2"))
    decision = run(mail(), evidence=[stored("1"), number("2")], people=known)
    assert decision.ticket == "1"
    assert step(decision, "reply") == ["contradiction", "append"]
    merged = People(tickets={"1": ticket("2"), "2": ticket("2")})
    decision = run(mail(), evidence=[stored("1"), number("2")], people=merged)
    assert step(decision, "reply") == ["append"]


def test_weaker_evidence_is_asked_when_stronger_leads_nowhere():
    """A closed ticket by id does not keep the mail from the open one by number."""
    known = people(ticket("1", accepts_entries=False), ticket("2"))
    decision = run(mail(), evidence=[stored("1"), number("2")], people=known)
    assert (decision.action, decision.ticket, decision.linked) == (Action.APPEND, "2", ())


def received(message, directory=DIRECTORY, fetched_for="help"):
    """Return account and address."""
    found, own, because = receiving_account(message, directory, fetched_for=fetched_for)
    assert because
    return found.id, str(own.addr) if own else None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Delivered-To": "support@desk.example"}, "support@desk.example"),
        ({"X-Original-To": "old@desk.example"}, "old@desk.example"),
        ({"Delivered-To": "mailbox-17"}, "help@desk.example"),
    ],
)
def test_our_servers_delivery_header_comes_first(fields, expected):
    """What our server wrote says more than To; a mailbox name of its own says nothing."""
    assert received(mail(to="help@desk.example", headers=fields)) == ("help", expected)


def test_only_the_topmost_delivery_headers_count():
    """What stands below the second delivery header was there before our server."""
    raw = b"".join(b"Delivered-To: %s\r\n" % one for one in (b"a@x.example", b"b@x.example"))
    forged = raw + b"Delivered-To: support@desk.example\r\n" + make_message()
    assert received(read(forged)) == ("help", "help@desk.example")


@pytest.mark.parametrize(
    ("to", "cc", "expected", "role"),
    [
        ("x@y.example, HELP@desk.example", None, "help@desk.example", AddressRole.PRIMARY),
        ("x@y.example", "support@desk.example", "support@desk.example", AddressRole.ALIAS),
        ("help+t1@desk.example", None, "help@desk.example", AddressRole.SUBADDRESS),
        ("any@all.example", None, "any@all.example", AddressRole.CATCH_ALL),
    ],
)
def test_else_to_and_cc_are_asked(to, cc, expected, role):
    """The first of ours in To, then Cc."""
    decision = run(mail(to=to, cc=cc))
    assert (str(decision.received_as.addr), decision.received_as.role) == (expected, role)


def test_else_it_is_the_account_it_was_fetched_for():
    """A mail that names none of ours (Bcc, a list) is its mailbox's."""
    assert received(mail(to="list@y.example")) == ("help", None)


def test_an_address_with_its_own_mailbox_does_not_win_elsewhere():
    """A mail to both mailboxes is in each the own one's, whatever the order."""
    message = mail(to="sales@desk.example, help@desk.example")
    assert received(message) == ("help", "help@desk.example")
    assert received(message, fetched_for="sales") == ("sales", "sales@desk.example")
    assert received(mail(to="sales@desk.example")) == ("help", None)


@pytest.mark.parametrize(
    "off",
    [
        attrs.evolve(SALES, enabled=False),
        attrs.evolve(SALES, inbound=attrs.evolve(SALES.inbound, enabled=False)),
        attrs.evolve(SALES, inbound=None),
    ],
)
def test_a_mailbox_that_is_not_fetched_has_no_copy_of_its_own(off):
    """Mail for an account whose mailbox is not fetched counts where it is found."""
    directory = Directory(accounts=(HELP, off))
    assert received(mail(to="sales@desk.example"), directory)[0] == "sales"


def test_an_address_that_arrives_here_wins_here_only():
    """An account without a mailbox has its mail where it arrives, and not in another one's."""
    shop = account("shop", inbound=ArrivesIn("sales"))
    lost = account("lost", inbound=ArrivesIn("nobody"))
    directory = Directory(accounts=(HELP, SALES, shop, lost))
    message = mail(to="shop@desk.example, help@desk.example")
    assert received(message, directory, "sales") == ("shop", "shop@desk.example")
    assert received(message, directory, "help") == ("help", "help@desk.example")
    assert received(mail(to="lost@desk.example"), directory) == ("lost", "lost@desk.example")


def test_an_unknown_account_is_an_error():
    """Mail is fetched for accounts that are configured."""
    with pytest.raises(RecordNotFoundError):
        run(mail(), fetched_for="nobody")


def test_the_receiving_accounts_defaults_hold():
    """Department, topic and priority of a new ticket are the receiving account's."""
    decision = run(mail())
    assert (decision.department, decision.help_topic, decision.priority) == (
        "first",
        "general",
        "normal",
    )
    shop = account("shop", inbound=ArrivesIn("help"), defaults=TicketDefaults(department="shop"))
    directory = Directory(accounts=(HELP, shop))
    decision = run(mail(to="shop@desk.example"), directory=directory)
    assert (decision.account_id, decision.department) == ("shop", "shop")


@pytest.mark.parametrize(
    "sender",
    ["help@desk.example", "support@desk.example", "OLD@desk.example", "help+x@desk.example"],
)
@pytest.mark.parametrize("field", ["From", "Sender"])
def test_mail_from_our_own_addresses_is_filtered(sender, field):
    """Primary, alias, retired and subaddress are ours; as Sender too."""
    decision = run(mail(headers={field: sender}), evidence=[stored()], people=people(ticket()))
    assert decision.action is Action.FILTER
    assert field in decision.because
    assert not decision.may_autorespond


def test_a_catch_all_domain_is_no_loop():
    """Colleagues write from the domain whose other addresses all arrive here."""
    assert run(mail(from_="boss@all.example")).action is Action.OPEN


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"\r\n\r\nbody"])
def test_what_cannot_be_read_is_set_aside(raw):
    """A mail without any header is quarantined, with a reason and a trace."""
    decision = run(read(raw))
    assert decision.action is Action.QUARANTINE
    assert decision.because == "it has no header that can be read"
    assert step(decision, "reading") == ["unreadable"]


def test_what_the_reader_failed_on_is_set_aside_for_that():
    """The reason blames no header where there is one."""
    decision = run(attrs.evolve(mail(), defects=(Defect.READER_FAULT,)))
    assert (decision.action, decision.because) == (Action.QUARANTINE, "the reader failed on it")


def test_what_routing_does_not_read_sets_no_mail_aside(monkeypatch):
    """Deciding reads neither the reply nor what was forwarded, so their faults do not count."""

    def fail(*_args, **_options):
        raise RecursionError

    monkeypatch.setattr(remainder, "view_reply", fail)
    monkeypatch.setattr(remainder, "find_forwarded", fail)
    message = mail()
    assert run(message).action is Action.OPEN
    assert Defect.READER_FAULT in message.defects


def test_a_fault_in_what_routing_reads_sets_the_mail_aside(monkeypatch):
    """A sender that the reader failed on is not taken for no sender."""

    def fail(*_args, **_options):
        raise RecursionError

    monkeypatch.setattr(remainder.People, "first", fail)
    assert run(mail()).action is Action.QUARANTINE


def test_a_bounce_of_known_mail_names_its_ticket():
    """A bounce goes to the ticket of the mail that it returns, a closed one too."""
    report = read(delivery_failure(make_message()))
    known = People(tickets={"1": ticket("5", accepts_entries=False, on=())})
    decision = run(report, evidence=[number("2"), stored("1", sent=True)], people=known)
    assert (decision.action, decision.ticket) == (Action.BOUNCE, "5")
    assert not decision.may_autorespond


def test_a_report_about_mail_that_we_did_not_send_touches_no_ticket():
    """Anybody may forge a report; a customer's own Message-ID leads it nowhere."""
    report = read(delivery_failure(make_message()))
    decision = run(report, evidence=[stored("1")], people=people(ticket()))
    assert (decision.action, decision.ticket) == (Action.BOUNCE, None)


def test_a_squatted_id_does_not_capture_its_owners_reply():
    """Of several tickets with one id the sender's own counts, whichever came first."""
    squatters = ticket("1", on=("eve@evil.example", CARLA), requester="eve@evil.example")
    own = ticket("2", requester=CARLA)
    evidence = [stored("1"), stored("2")]
    decision = run(mail(), evidence=evidence, people=people(squatters, own))
    assert (decision.action, decision.ticket) == (Action.APPEND, "2")
    both = people(squatters, attrs.evolve(own, requester="other@customer.example"))
    unclear = run(mail(), evidence=evidence, people=both)
    assert (unclear.action, unclear.linked) == (Action.OPEN, ("1", "2"))


def test_one_id_in_two_of_our_mailboxes_is_no_rivalry():
    """A mail to two mailboxes has a ticket in each; the answer goes to that of its own."""
    here, there = ticket("1"), ticket("2", account_id="sales")
    evidence = [stored("1"), stored("2", account_id="sales")]
    decision = run(mail(), evidence=evidence, people=people(here, there))
    assert (decision.action, decision.ticket) == (Action.APPEND, "1")


@pytest.mark.parametrize(
    "subject", ["Out of Office: Re: Printer", "Automatic reply: Printer", "Abwesenheitsnotiz: x"]
)
def test_a_weak_sign_alone_forbids_an_automatic_response(subject):
    """A subject does not make a mail automatic, but enough to leave it unanswered by a machine."""
    decision = run(mail(subject=subject))
    assert decision.action is Action.OPEN
    assert not decision.may_autorespond
    assert "may be automatic" in decision.autorespond_because


def test_a_bounce_of_unknown_mail_names_none():
    """A bounce never opens a ticket, and a subject number does not place it."""
    report = read(delivery_failure(make_message(to="help@desk.example")))
    decision = run(report, evidence=[number()], people=people(ticket(on=("mailer-daemon",))))
    assert (decision.action, decision.ticket) == (Action.BOUNCE, None)
    assert run(report, evidence=[stored()]).ticket is None


def test_rules_do_not_see_bounces():
    """A bounce is one whatever the host's rules say."""
    report = read(delivery_failure(make_message()))
    assert run(report, rules=[pytest.fail]).action is Action.BOUNCE


def test_the_first_verdict_counts():
    """Rules are asked in order until one has a verdict; the trace names it."""

    def no_opinion(message, context):
        return None

    def spam(message, context):
        return Verdict(kind=VerdictKind.FILTER, reason="spam")

    decision = run(mail(), rules=[no_opinion, spam, pytest.fail])
    assert (decision.action, decision.because) == (Action.FILTER, "spam")
    assert decision.trace[-2].because == "spam: spam"


def test_a_rule_may_be_any_callable():
    """A rule without a name is named by its class."""

    class Spam:
        def __call__(self, message, context):
            return Verdict(kind=VerdictKind.QUARANTINE, reason="virus")

    decision = run(mail(), rules=[Spam()])
    assert decision.action is Action.QUARANTINE
    assert decision.trace[-2].because == "Spam: virus"


def test_a_rule_may_open_a_ticket_of_its_own():
    """OPEN wins over evidence; what the rule leaves out comes from the account."""
    verdict = Verdict(kind=VerdictKind.OPEN, reason="VIP", department="vip", priority="high")
    decision = run(
        mail(),
        rules=[lambda message, context: verdict],
        evidence=[stored()],
        people=people(ticket()),
    )
    assert (decision.action, decision.ticket) == (Action.OPEN, None)
    assert (decision.department, decision.help_topic, decision.priority) == (
        "vip",
        "general",
        "high",
    )


def test_a_rule_that_raises_is_not_hidden():
    """`decide` adds nothing to what a rule raises; who calls it says whose rule it was."""

    def broken(message, context):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(mail(), rules=[broken])


def row(number, *, account_id="help", at=NOW, outcome=OutcomeKind.CREATED, responded=False):
    """Make an intake row; each one's ticket has its number."""
    return IntakeRow(
        id=number,
        account_id=account_id,
        identity=identify(b""),
        size=0,
        state=IntakeState.WAITING,
        attempts=1,
        stored_at=at,
        outcome=outcome
        and Outcome(kind=outcome, reason="", ticket=f"T{number}", responded=responded),
    )


def copies(*others, account_id="help"):
    """Make copies of row 9."""
    return Copies(row=row(9, account_id=account_id, outcome=None), others=others)


FIRST_WINS = RoutingPolicy(several_ours=SeveralOurs.FIRST_WINS)


def test_copies_in_several_mailboxes_are_linked_tickets():
    """By default each mailbox has its ticket, linked to the one before."""
    decision = run(mail(), copies=copies(row(1, account_id="sales")))
    assert (decision.action, decision.linked) == (Action.OPEN, ("T1",))


def test_with_first_wins_a_later_copy_is_a_duplicate():
    """The policy FIRST_WINS opens one ticket."""
    decision = run(mail(), copies=copies(row(1, account_id="sales")), policy=FIRST_WINS)
    assert (decision.action, decision.duplicate_of) == (Action.DUPLICATE, 1)


def test_a_list_copy_in_the_same_mailbox_is_a_duplicate():
    """A direct copy and a list's copy, within the hour, are one ticket."""
    early = row(1, at=NOW - timedelta(minutes=59), outcome=OutcomeKind.APPENDED)
    assert run(mail(), copies=copies(early)).duplicate_of == 1


@pytest.mark.parametrize("policy", [None, FIRST_WINS])
@pytest.mark.parametrize("other", ["help", "sales"])
def test_after_the_hour_it_is_a_new_mail(policy, other):
    """A mail that comes back a day later is taken in, whatever its Message-ID says."""
    old = row(1, account_id=other, at=NOW - timedelta(days=1))
    decision = run(mail(), copies=copies(old), policy=policy)
    assert (decision.action, decision.linked) == (Action.OPEN, ())


@pytest.mark.parametrize("kind", [OutcomeKind.FILTERED, OutcomeKind.QUARANTINED, None])
def test_a_copy_that_became_no_ticket_is_none(kind):
    """What was filtered, set aside or is not converted yet suppresses nothing."""
    decision = run(mail(), copies=copies(row(1, outcome=kind)), policy=FIRST_WINS)
    assert (decision.action, decision.linked) == (Action.OPEN, ())


def test_without_a_message_id_nothing_is_a_copy():
    """Mail without an id is never taken for another."""
    message = mail(message_id=None)
    assert run(message, copies=copies(row(1)), policy=FIRST_WINS).action is Action.OPEN


def test_without_a_row_there_are_no_copies():
    """`explain` of a mail that was never stored knows no copies."""
    assert run(mail(), copies=Copies(others=(row(1),))).action is Action.OPEN


def test_a_person_who_wrote_to_us_may_be_answered():
    """The usual mail may be answered, and the reason is given."""
    decision = run(mail())
    assert decision.may_autorespond
    assert "a person wrote to us" in decision.autorespond_because
    assert step(decision, "automatic response") == ["allowed"]


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"headers": {"Auto-Submitted": "auto-generated"}}, "no person's: automatic"),
        ({"headers": {"Precedence": "bulk"}}, "no person's: list"),
        ({"headers": {"List-Id": "<x.y.example>"}}, "no person's: list"),
        ({"return_path": None}, "no Return-Path"),
        ({"return_path": "<>"}, "the reverse-path is null"),
        ({"headers": {"X-Auto-Response-Suppress": "DR, AutoReply"}}, "asks for none"),
        ({"headers": {"X-Auto-Response-Suppress": "All"}}, "asks for none"),
        ({"to": "x@y.example"}, "none of our addresses"),
        ({"from_": f"{CARLA}, dora@customer.example"}, "no single sender"),
        ({"return_path": "carla-owner@customer.example"}, "the reverse-path is no person's"),
        ({"return_path": "carla@elsewhere.example"}, "is not that of From"),
        ({"from_": "no-reply@shop.example"}, "is no person"),
        ({"from_": "noreply@shop.example", "return_path": "x@shop.example"}, "is no person"),
        ({"from_": "root", "return_path": "root"}, "no address that can be written to"),
        ({"return_path": "carla@example"}, "is not that of From"),
        ({"headers": {"Auto-Submitted": "no"}}, None),
        ({"headers": {"X-Auto-Response-Suppress": "DR, NDR, OOF"}}, None),
        ({"return_path": "bounce-x=y@mail.customer.example"}, "the reverse-path is no person's"),
        ({"return_path": "carla@mail.customer.example"}, None),
        ({"to": "any@all.example"}, None),
    ],
)
def test_who_is_not_answered_automatically(changes, because):
    """Each reason against an automatic response (RFC 3834 §2) is found and told."""
    decision = run(mail(**changes))
    assert decision.action is Action.OPEN
    assert decision.may_autorespond is (because is None)
    if because:
        assert because in decision.autorespond_because


@pytest.mark.parametrize(
    "raw", [vacation_reply(make_message(from_="help@desk.example", to=CARLA)), list_post()]
)
def test_only_personal_mail_is_answered(raw):
    """Automatic mail and lists open tickets at most."""
    decision = run(read(raw))
    assert (decision.action, decision.may_autorespond) == (Action.OPEN, False)


def test_an_account_may_forbid_responses():
    """The account's own setting comes before everything."""
    silent = attrs.evolve(HELP, defaults=TicketDefaults(autorespond=False))
    decision = run(mail(), directory=Directory(accounts=(silent,)))
    assert "defaults" in decision.autorespond_because


def test_a_mail_without_from_is_not_answered():
    """There is nobody to answer."""
    decision = run(attrs.evolve(mail(), from_=None))
    assert decision.autorespond_because == "there is no From"


@pytest.mark.parametrize(
    ("other", "may"),
    [
        (row(1, account_id="sales", responded=True), False),
        (row(1, account_id="sales", responded=False), True),
        (row(1, account_id="sales", outcome=None), False),
        (row(20, account_id="sales", outcome=None), True),
    ],
)
def test_one_copy_alone_is_answered(other, may):
    """The first copy answers, unless another one already did."""
    assert run(mail(), copies=copies(other)).may_autorespond is may


def test_an_entry_is_not_answered():
    """Only a new ticket is confirmed."""
    decision = run(mail(), evidence=[stored()], people=people(ticket()))
    assert not decision.may_autorespond


MICROSOFT = TrustedAuthentication(topmost_without_id=True)


def proof(*fields, from_=CARLA, trusted=HELP.trusted_authentication):
    """Say whether a mail with these Authentication-Results is proved."""
    raw = b"".join(b"Authentication-Results: %s\r\n" % field.encode() for field in fields)
    message = read(raw + make_message(from_=from_))
    found, because = authenticity(message, attrs.evolve(HELP, trusted_authentication=trusted))
    assert because
    return found is Authenticity.AUTHENTICATED


@pytest.mark.parametrize(
    "field",
    [
        PROVED,
        (
            "MX.desk.example 1; spf=pass smtp.mailfrom=x.example;\r\n dmarc=pass (p=none) "
            "header.from=Customer.Example"
        ),
        'mx.desk.example; dmarc = pass (a "b; (c) \\) d) header.from = "customer.example"',
        "mx.desk.example; dmarc/1=PASS header.from=customer.example policy.dmarc=none",
    ],
)
def test_a_trusted_servers_dmarc_pass_proves_from(field):
    """DMARC passed for From's domain, said by a server that the account trusts."""
    assert proof(field)


@pytest.mark.parametrize(
    "field",
    [
        "mx.evil.example; dmarc=pass header.from=customer.example",
        "mx.desk.example; dmarc=passx header.from=customer.example",
        "mx.desk.example; dmarc=pass-ish header.from=customer.example",
        "mx.desk.example; dmarc=fail header.from=customer.example",
        "mx.desk.example; dmarc=pass",
        "mx.desk.example; dmarc=pass header.from=evil.example",
        "mx.desk.example; dmarc=pass header.from=customer.example.evil.example",
        "mx.desk.example; dmarc=pass header.from=evil.example header.from=customer.example",
        "mx.desk.example; dmarc=pass header.from=customer.example header.from=evil.example",
        "mx.desk.example; dkim=pass header.d=customer.example; spf=pass",
        "mx.desk.example; xdmarc=pass header.from=customer.example",
        "mx.desk.example; none",
        "mx.desk.example",
        "",
        ";",
        "dmarc=pass header.from=customer.example",
        # What a sender chose must not speak for the server.
        (
            'mx.desk.example; spf=pass smtp.mailfrom="; dmarc=pass header.from=customer.example '
            '"@evil.example; dmarc=fail header.from=customer.example'
        ),
        'mx.desk.example; spf=pass smtp.mailfrom="; dmarc=pass header.from=customer.example;"',
        "mx.desk.example; spf=pass (; dmarc=pass header.from=customer.example)",
        (
            'mx.desk.example; spf=pass (" ); dmarc=fail header.from=customer.example; (" ); '
            "dmarc=pass header.from=customer.example"
        ),
        'mx.desk.example; dmarc=pass smtp.mailfrom="x header.from=customer.example"@evil.example',
        "mx.desk.example; dmarc=pass header.from=customer.example; dmarc=fail header.from=x.example",
        'mx.desk.example; dmarc=pass header.from=customer.example; reason="open',
        "mx.desk.example; dmarc=pass header.from=customer.example (open",
        "mx.desk.example; spf=pass ) ; dmarc=pass header.from=customer.example",
    ],
)
def test_what_proves_nothing(field):
    """Another server, another verdict, another domain, or words that the sender chose."""
    assert not proof(field)


def test_only_the_topmost_field_counts():
    """A sender can write any field below our server's."""
    assert proof(PROVED, "mx.evil.example; dmarc=fail header.from=customer.example")
    assert not proof("mx.desk.example; dmarc=fail header.from=customer.example", PROVED)
    assert not proof("mx.evil.example; none", PROVED)


def test_the_topmost_without_an_id():
    """Microsoft writes no authserv-id; an account may trust that form, and only that."""
    field = (
        "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=customer.example; dkim=pass; "
        "dmarc=pass action=none header.from=customer.example;compauth=pass reason=100"
    )
    assert proof(field, trusted=MICROSOFT)
    assert proof("dmarc=pass header.from=customer.example", trusted=MICROSOFT)
    assert not proof(field)
    assert not proof(PROVED, trusted=MICROSOFT)
    assert not proof("mx.evil.example; none", field, trusted=MICROSOFT)


def test_without_trust_nothing_is_proved():
    """By default no field is believed; no field at all proves nothing either."""
    assert not proof(PROVED, trusted=None)
    assert not proof(PROVED, trusted=TrustedAuthentication())
    assert not proof()


def test_an_ambiguous_from_is_never_proved():
    """With two senders nobody knows which one DMARC meant."""
    assert not proof(PROVED, from_=f"{CARLA}, dora@customer.example")


ADDRESSES = st.sampled_from(
    [
        CARLA,
        "help@desk.example",
        "sales@desk.example",
        "help+x@desk.example",
        "x@all.example",
        "mailer-daemon@x.example",
        "no address",
        f"{CARLA}, evil@x.example",
        "<>",
    ]
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["Sender", "Delivered-To", "Auto-Submitted", "Precedence", "List-Id", "Cc",
         "Authentication-Results", "X-Auto-Response-Suppress", "Message-ID", "Return-Path"]
    ),
    ADDRESSES
    | st.sampled_from([PROVED, "auto-replied", "bulk", "All"])
    | st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"])),
    max_size=4,
)  # fmt: skip
BUILT = st.builds(
    make_message,
    subject=st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"])),
    from_=ADDRESSES,
    to=ADDRESSES,
    return_path=st.sampled_from(["", None, "<>", "x@y.example"]),
    headers=FIELDS,
)
RAW = st.binary(max_size=200) | BUILT | BUILT.map(delivery_failure) | BUILT.map(vacation_reply)
TICKETS = st.sampled_from(["1", "2", "3"])
EVIDENCE = st.lists(
    st.builds(stored, TICKETS, st.sampled_from(["help", "sales"])) | st.builds(number, TICKETS)
)
STATES = st.dictionaries(
    TICKETS,
    st.builds(
        ticket,
        TICKETS,
        on=st.lists(ADDRESSES).map(tuple),
        accepts_entries=st.booleans(),
        account_id=st.sampled_from(["help", "sales", None]),
    ),
)
OTHERS = st.lists(
    st.builds(
        row,
        st.integers(1, 20).filter(lambda number: number != 9),
        account_id=st.sampled_from(["help", "sales"]),
        outcome=st.sampled_from([*OutcomeKind, None]),
        responded=st.booleans(),
    )
)


@given(
    raw=RAW,
    evidence=EVIDENCE,
    states=STATES,
    others=OTHERS,
    role=st.sampled_from(Role),
    policy=st.builds(
        RoutingPolicy,
        several_ours=st.sampled_from(SeveralOurs),
        subject_number=st.sampled_from(SubjectNumber),
    ),
)
def test_every_decision_keeps_its_promises(*, raw, evidence, states, others, role, policy):
    """Whatever comes: a reason, a trace, no foreign ticket, no answer to anything but a person."""
    message = read(raw)
    decision = run(
        message,
        evidence=evidence,
        people=People(role=role, tickets=states),
        copies=copies(*others),
        policy=policy,
    )
    assert decision.because
    assert decision.autorespond_because
    assert decision.trace
    assert all(one.step and one.verdict and one.because for one in decision.trace)
    assert decision.account_id in {"help", "sales"}
    named = {states[item.ticket].ticket for item in evidence if item.ticket in states}
    if decision.action is Action.APPEND:
        assert decision.ticket in named
        assert Defect.AMBIGUOUS_FROM not in message.defects
    if decision.action is Action.BOUNCE:
        assert decision.ticket in named | {None}
    assert (decision.ticket is not None) <= (decision.action in {Action.APPEND, Action.BOUNCE})
    if decision.may_autorespond:
        assert decision.action is Action.OPEN
        assert message.kind is Kind.PERSONAL
        assert message.return_path
    if decision.action is not Action.OPEN:
        assert decision.linked == ()
    assert (decision.duplicate_of is not None) is (decision.action is Action.DUPLICATE)


@given(st.text(alphabet='abc;="()\\ /', max_size=60))
def test_no_field_breaks_the_proof(field):
    """Any Authentication-Results field is judged, and garbage proves nothing."""
    message = attrs.evolve(mail(), authentication_results=(parse_authentication_results(field),))
    for trusted in (HELP.trusted_authentication, MICROSOFT):
        found, because = authenticity(message, attrs.evolve(HELP, trusted_authentication=trusted))
        assert found is Authenticity.UNPROVED
        assert because


def test_a_message_made_by_hand_is_judged_too():
    """Values that the reader would not make raise nothing."""
    assert run(Message(raw=b"")).action is Action.QUARANTINE
