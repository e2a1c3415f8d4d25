"""One snapshot of what is configured, and what is wrong with it."""

from datetime import date, timedelta

import attrs
import pytest

from mailrouting.accounts import (
    AcknowledgeWhen,
    AfterAction,
    AfterFetch,
    Alias,
    AliasUse,
    ArrivesIn,
    EmailAccount,
    Endpoint,
    FirstRun,
    FirstRunKind,
    InboundSettings,
    MaySendAs,
    OutboundAuth,
    OutboundSettings,
    TicketDefaults,
    TlsMode,
    TrustedAuthentication,
)
from mailrouting.addresses import AddressRole, AddrSpec, NamedAddress
from mailrouting.auth import Dialect, MailProtocol, parse_login
from mailrouting.directory import (
    Department,
    DepartmentStatus,
    Directory,
    Severity,
    directory_from_dict,
    directory_to_dict,
)
from mailrouting.errors import AccountError, RecordNotFoundError

INBOUND = InboundSettings(
    protocol=MailProtocol.IMAP,
    endpoint=Endpoint("imaps://mail.example.org"),
    login=parse_login("help@example.org"),
    first_run=FirstRun.only_new(),
)
OUTBOUND = OutboundSettings(endpoint=Endpoint("submissions://mail.example.org"))
HELP = EmailAccount(
    id="help",
    address=NamedAddress.parse("Help <help@example.org>"),
    inbound=INBOUND,
    outbound=OUTBOUND,
)
SALES = EmailAccount(
    id="sales",
    address=NamedAddress.parse("Sales <sales@example.org>"),
    aliases=(
        Alias(address=NamedAddress.parse("shop@example.org")),
        Alias(address=NamedAddress.parse("quotes@example.org"), use=AliasUse.RECEIVE_ONLY),
        Alias(address=NamedAddress.parse("old@example.org"), use=AliasUse.RETIRED),
    ),
    inbound=attrs.evolve(INBOUND, login=parse_login("sales@example.org")),
    outbound=OUTBOUND,
    catch_all_domains=("sales.example",),
)
DESK = Directory(
    accounts=(HELP, SALES),
    departments=(
        Department(id="support", name="Support", outgoing="help"),
        Department(id="closed", name="Closed", status=DepartmentStatus.DISABLED),
    ),
    default_account="help",
    admin_address=AddrSpec.parse("admin@example.org"),
    agent_addresses=(AddrSpec.parse("jane@example.org"),),
)


def inbound(**changes):
    """Change the mailbox of the first account."""
    return attrs.evolve(HELP, inbound=attrs.evolve(INBOUND, **changes))


def outbound(**changes):
    """Change the outbound settings of the first account."""
    return attrs.evolve(HELP, outbound=attrs.evolve(OUTBOUND, **changes))


def aliased(*texts, use=AliasUse.SEND_AS):
    """Give the first account aliases."""
    aliases = tuple(Alias(address=NamedAddress.parse(text), use=use) for text in texts)
    return attrs.evolve(HELP, aliases=aliases)


def addressed(text, **changes):
    """Give the first account another address."""
    return attrs.evolve(HELP, address=NamedAddress.parse(text), **changes)


E, W = Severity.ERROR, Severity.WARNING


@pytest.mark.parametrize(
    ("account", "field", "code", "severity"),
    [
        (addressed("SALES@example.org"), "address", "address-taken", E),
        (addressed("old@example.org"), "address", "address-taken", E),
        (aliased("sales@example.org"), "aliases[0].address", "address-taken", E),
        (aliased("x@b.example", "X@b.example"), "aliases[1].address", "address-twice", E),
        (aliased("help@example.org"), "aliases[0].address", "address-twice", E),
        (addressed("Admin@example.org"), "address", "address-admin", E),
        (addressed("jane@example.org"), "address", "address-agent", E),
        (aliased("jane@example.org"), "aliases[0].address", "address-agent", E),
        (attrs.evolve(HELP, catch_all_domains=("SALES.example",)), "catch_all_domains[0]", "domain-taken", E),
        (attrs.evolve(HELP, catch_all_domains=("no domain",)), "catch_all_domains[0]", "domain-invalid", E),
        (attrs.evolve(HELP, subaddress=""), "subaddress", "subaddress-separator", E),
        (attrs.evolve(HELP, subaddress="a"), "subaddress", "subaddress-separator", E),
        (attrs.evolve(HELP, subaddress="."), "subaddress", "subaddress-separator", E),
        (addressed(f"{'x' * 32}@b.example", subaddress="+"), "address", "subaddress-too-long", E),
        (attrs.evolve(aliased(f"{'x' * 32}@b.example"), subaddress="+"), "aliases[0].address", "subaddress-too-long", E),
        (addressed('"a b"@b.example', subaddress="+"), "address", "subaddress-quoted", E),
        (attrs.evolve(HELP, inbound=ArrivesIn("help")), "inbound.arrives_in", "arrives-in-itself", E),
        (attrs.evolve(HELP, inbound=ArrivesIn("nobody")), "inbound.arrives_in", "account-unknown", E),
        (attrs.evolve(HELP, inbound=ArrivesIn("none")), "inbound.arrives_in", "account-without-mailbox", E),
        (attrs.evolve(HELP, inbound=ArrivesIn("guest")), "inbound.arrives_in", "account-without-mailbox", E),
        (attrs.evolve(HELP, inbound=ArrivesIn("off")), "inbound.arrives_in", "account-disabled", W),
        (attrs.evolve(HELP, inbound=ArrivesIn("asleep")), "inbound.arrives_in", "account-disabled", W),
        (attrs.evolve(HELP, inbound=ArrivesIn("sales")), "outbound.auth", "no-inbound-login", E),
        (attrs.evolve(HELP, inbound=None), "outbound.auth", "no-inbound-login", E),
        (inbound(protocol=MailProtocol.SMTP), "inbound.protocol", "protocol-inbound", E),
        (inbound(endpoint=Endpoint("")), "inbound.endpoint.host", "host-unreadable", E),
        (inbound(endpoint=Endpoint("a", 993, TlsMode.STARTTLS)), "inbound.endpoint.tls", "tls-port", E),
        (inbound(endpoint=Endpoint("plain://a")), "inbound.endpoint.tls", "cleartext-password", W),
        (inbound(dialect=Dialect.MASTER_USER), "inbound.login", "master-user-unnamed", W),
        (inbound(dialect=Dialect.MASTER_USER, master_user_separator=""), "inbound.master_user_separator", "separator-empty", E),
        (inbound(fetch_every=timedelta(0)), "inbound.fetch_every", "not-positive", E),
        (inbound(fetch_every=timedelta(seconds=-1)), "inbound.fetch_every", "not-positive", E),
        (inbound(max_per_fetch=0), "inbound.max_per_fetch", "not-positive", E),
        (inbound(silent_after_hours=0), "inbound.silent_after_hours", "not-positive", E),
        (inbound(first_run=FirstRun(FirstRunKind.SINCE)), "inbound.first_run", "date-missing", E),
        (inbound(first_run=FirstRun(FirstRunKind.ALL, date(2026, 1, 1))), "inbound.first_run", "date-contradicts", E),
        (inbound(folder=""), "inbound.folder", "folder-invalid", E),
        (inbound(folder="a\r\nb"), "inbound.folder", "folder-invalid", E),
        (inbound(protocol=MailProtocol.POP3, endpoint=Endpoint("a"), folder="Sent"), "inbound.folder", "pop3-folder", E),
        (inbound(protocol=MailProtocol.POP3, endpoint=Endpoint("a"), processed=AfterFetch.mark_seen()), "inbound.processed", "pop3-mark-seen", E),
        (inbound(protocol=MailProtocol.POP3, endpoint=Endpoint("a"), filtered=AfterFetch.move("Done")), "inbound.filtered", "pop3-move", E),
        (inbound(processed=AfterFetch(AfterAction.MOVE)), "inbound.processed", "folder-missing", E),
        (inbound(processed=AfterFetch(AfterAction.KEEP, "Done")), "inbound.processed", "folder-unused", E),
        (inbound(quarantined=AfterFetch.move("inbox")), "inbound.quarantined", "folder-fetched", E),
        (inbound(folder="In", filtered=AfterFetch.move("In")), "inbound.filtered", "folder-fetched", E),
        (inbound(filtered=AfterFetch.move("")), "inbound.filtered", "folder-invalid", E),
        (inbound(processed=AfterFetch.delete(), acknowledge_when=AcknowledgeWhen.STORED), "inbound.processed", "delete-stored", W),
        (inbound(filtered=AfterFetch.move("No"), acknowledge_when=AcknowledgeWhen.STORED), "inbound.acknowledge_when", "stored-one-way", W),
        (inbound(login=parse_login("SALES@example.org")), "inbound", "mailbox-taken", E),
        (inbound(login=parse_login(r"agent@example.org\sales@example.org")), "inbound", "mailbox-taken", E),
        (inbound(login=parse_login("sales@example.org"), protocol=MailProtocol.POP3, endpoint=Endpoint("mail.example.org")), "inbound", "mailbox-taken", E),
        (inbound(login=parse_login("sales@example.org"), folder="inbox"), "inbound", "mailbox-taken", E),
        (outbound(endpoint=Endpoint("imaps://a")), "outbound.endpoint.host", "scheme-protocol", E),
        (outbound(endpoint=Endpoint("plain://a")), "outbound.endpoint.tls", "cleartext-password", W),
        (outbound(may_send_as=MaySendAs(domains=("a b",))), "outbound.may_send_as.domains[0]", "domain-invalid", E),
        (outbound(per_minute=0), "outbound.per_minute", "not-positive", E),
        (outbound(per_day=-1), "outbound.per_day", "not-positive", E),
        (outbound(bounce_address=AddrSpec.parse("b@c.example")), "outbound.bounce_address", "bounce-elsewhere", W),
        (attrs.evolve(HELP, defaults=TicketDefaults(department="none")), "defaults.department", "department-unknown", E),
        (attrs.evolve(HELP, defaults=TicketDefaults(department="closed")), "defaults.department", "department-inactive", W),
        (attrs.evolve(HELP, trusted_authentication=TrustedAuthentication()), "trusted_authentication", "trusts-nothing", W),
        (attrs.evolve(HELP, trusted_authentication=TrustedAuthentication(authserv_ids=("",))), "trusted_authentication.authserv_ids", "authserv-id-empty", E),
    ],
)  # fmt: skip
def test_each_thing_that_can_be_wrong_with_an_account_is_found(account, field, code, severity):
    """Each check names its field, a stable code, how bad it is, and a sentence."""
    none = EmailAccount(id="none", address=NamedAddress.parse("none@example.org"))
    guest = attrs.evolve(none, id="guest", address=NamedAddress.parse("guest@example.org"))
    off = attrs.evolve(HELP, id="off", address=NamedAddress.parse("off@example.org"), enabled=False)
    asleep = attrs.evolve(
        off,
        id="asleep",
        address=NamedAddress.parse("zz@example.org"),
        enabled=True,
        inbound=attrs.evolve(INBOUND, enabled=False),
    )
    others = (none, attrs.evolve(guest, inbound=ArrivesIn("sales")), off, asleep)
    desk = attrs.evolve(DESK, accounts=(*DESK.accounts, *others))
    problems = desk.problems(account)
    assert (field, code, severity) in [(one.field, one.code, one.severity) for one in problems]
    assert all(problem.message.endswith(".") for problem in problems)


@pytest.mark.parametrize(
    "account",
    [
        HELP,
        SALES,
        attrs.evolve(HELP, id="new", address=NamedAddress.parse("new@b.example"), inbound=None, outbound=None),
        attrs.evolve(HELP, inbound=ArrivesIn("sales"), outbound=None),
        inbound(login=parse_login("sales@example.org"), folder="Other"),
        inbound(login=parse_login("sales@example.org"), enabled=False),
        attrs.evolve(inbound(login=parse_login("sales@example.org")), enabled=False),
        inbound(protocol=MailProtocol.POP3, endpoint=Endpoint("a"), processed=AfterFetch.delete()),
        inbound(protocol=MailProtocol.POP3, endpoint=Endpoint("a"), dialect=Dialect.EXCHANGE),
        inbound(acknowledge_when=AcknowledgeWhen.STORED),
        inbound(
            acknowledge_when=AcknowledgeWhen.STORED,
            processed=AfterFetch.move("Done"),
            filtered=AfterFetch.move("Done"),
            quarantined=AfterFetch.move("Done"),
        ),
        outbound(endpoint=Endpoint("plain://localhost"), auth=OutboundAuth.NONE),
        outbound(auth=parse_login("own"), bounce_address=AddrSpec.parse("any@sales.example")),
        addressed(f"{'x' * 31}@b.example", subaddress="+"),
        attrs.evolve(HELP, defaults=TicketDefaults(department="support")),
        attrs.evolve(HELP, trusted_authentication=TrustedAuthentication(topmost_without_id=True)),
        aliased(f"{'x' * 60}@b.example", use=AliasUse.RETIRED),
    ],
)  # fmt: skip
def test_what_is_fine_has_no_problems(account):
    """An account that makes sense among the others has none, new, changed or as it is."""
    assert DESK.problems(account) == ()


def test_all_problems_of_an_account_are_told_at_once():
    """A form shows everything after one try."""
    account = attrs.evolve(
        inbound(max_per_fetch=0, folder="", processed=AfterFetch(AfterAction.MOVE)),
        address=NamedAddress.parse("sales@example.org"),
    )
    assert [problem.code for problem in DESK.problems(account)] == [
        "not-positive",
        "folder-invalid",
        "folder-missing",
        "address-taken",
    ]


def test_an_account_is_checked_against_the_others_not_against_its_older_self():
    """What it gives up is free, what another has is taken, whatever stands under its own id."""
    old = aliased("bounces@example.org")
    desk = attrs.evolve(DESK, accounts=(old, SALES))
    gives_up = outbound(bounce_address=AddrSpec.parse("bounces@example.org"))
    assert [one.code for one in desk.problems(gives_up)] == ["bounce-elsewhere"]
    shared = attrs.evolve(SALES, aliases=(*SALES.aliases, *old.aliases))
    desk = attrs.evolve(DESK, accounts=(old, shared))
    assert desk.problems(gives_up) == ()
    assert [one.code for one in desk.problems(old)] == ["address-taken"]


def test_accounts_that_are_fetched_have_a_mailbox_of_their_own():
    """Others' mail arrives elsewhere; whether fetching is switched on is another question."""
    guest = attrs.evolve(HELP, id="guest", inbound=ArrivesIn("help"))
    off = attrs.evolve(SALES, enabled=False)
    desk = Directory(accounts=(off, guest, attrs.evolve(HELP, id="none", inbound=None), HELP))
    assert [account.id for account in desk.fetched_accounts()] == ["sales", "help"]
    assert (guest.mailbox, HELP.mailbox) == (None, INBOUND)


def test_without_departments_of_our_own_names_are_the_hosts_affair():
    """A host that keeps departments to itself may use any name."""
    account = attrs.evolve(HELP, defaults=TicketDefaults(department="anything"))
    assert Directory().problems(account) == ()


@pytest.mark.parametrize(
    ("changes", "field", "code", "severity"),
    [
        ({"default_account": "nobody"}, "default_account", "account-unknown", E),
        ({"alert_account": "nobody"}, "alert_account", "account-unknown", E),
        ({"default_mta": "nobody"}, "default_mta", "account-unknown", E),
        ({"default_account": "off"}, "default_account", "account-disabled", W),
        ({"default_account": None}, "default_account", "default-missing", W),
        ({"default_mta": "off"}, "default_mta", "mta-cannot-send", E),
        ({"departments": (Department(id="d", name="D", outgoing="nobody"),)}, "departments[0].outgoing", "account-unknown", E),
        ({"departments": (Department(id="d", name="D", autoresponse="off"),)}, "departments[0].autoresponse", "account-disabled", W),
        ({"departments": (Department(id="d", name="D", parent="e"),)}, "departments[0].parent", "department-unknown", E),
        ({"departments": (Department(id="d", name="D", parent="d"),)}, "departments[0].parent", "parent-cycle", E),
        ({"departments": (Department(id="d", name="D", parent="e"), Department(id="e", name="E", parent="d"))}, "departments[1].parent", "parent-cycle", E),
        ({"departments": (Department(id="d", name="D"), Department(id="d", name="E"))}, "departments", "id-twice", E),
        ({"accounts": (HELP, SALES, attrs.evolve(HELP, address=NamedAddress.parse("x@b.example")))}, "accounts", "id-twice", E),
    ],
)  # fmt: skip
def test_what_points_nowhere_in_a_directory_is_found(changes, field, code, severity):
    """Dangling references, cycles and ids that stand twice are problems of the directory."""
    off = EmailAccount(id="off", address=NamedAddress.parse("off@example.org"), enabled=False)
    desk = attrs.evolve(DESK, **{"accounts": (HELP, SALES, off), **changes})
    found = [
        (one.field, one.code, one.severity)
        for account_id, one in desk.all_problems()
        if account_id == ""
    ]
    assert (field, code, severity) in found


def test_a_sound_directory_has_no_problems():
    """Parents, aliases, defaults and a default MTA that all exist give nothing to tell."""
    desk = attrs.evolve(
        DESK,
        departments=(
            *DESK.departments,
            Department(id="emea", name="EMEA", parent="support", autoresponse="sales"),
            Department(id="below", name="Below", parent="emea"),
        ),
        alert_account="sales",
        default_mta="sales",
    )
    assert desk.all_problems() == ()
    assert Directory().all_problems() == ()


def test_problems_of_accounts_are_told_with_their_ids():
    """Each account's problems come with its id."""
    desk = attrs.evolve(DESK, accounts=(attrs.evolve(HELP, subaddress="a"), SALES))
    assert [(one, problem.code) for one, problem in desk.all_problems()] == [
        ("help", "subaddress-separator")
    ]


def test_a_department_above_a_cycle_is_not_blamed():
    """Only those in a cycle are above themselves."""
    departments = (
        Department(id="d", name="D", parent="e"),
        Department(id="e", name="E", parent="e"),
    )
    desk = attrs.evolve(DESK, departments=departments)
    assert [problem.field for _, problem in desk.all_problems()] == ["departments[1].parent"]
    assert [one.id for one in desk.lineage("d")] == ["d", "e"]
    assert list(desk.lineage("nobody")) == list(desk.lineage(None)) == []


def test_what_points_at_an_account_is_told_before_it_is_removed():
    """Defaults and mailboxes forbid it, departments fall back."""
    guest = EmailAccount(
        id="guest", address=NamedAddress.parse("g@b.example"), inbound=ArrivesIn("help")
    )
    desk = attrs.evolve(
        DESK, accounts=(HELP, SALES, guest), alert_account="help", default_mta="sales"
    )
    assert [(one.field, one.severity) for one in desk.removal_problems("help")] == [
        ("default_account", E),
        ("alert_account", E),
        ("accounts[2].inbound.arrives_in", E),
        ("departments[0].outgoing", W),
    ]
    assert [one.field for one in desk.removal_problems("sales")] == ["default_mta"]
    assert desk.removal_problems("guest") == ()
    with pytest.raises(RecordNotFoundError):
        desk.removal_problems("nobody")


def test_records_are_found_by_id():
    """The lookups return the record, None, or raise a LookupError, as their names say."""
    assert DESK.account("help") is DESK.find_account("help") is HELP
    assert DESK.department("support").name == "Support"
    assert DESK.find_account("nobody") is DESK.find_account(None) is None
    assert DESK.find_department("nobody") is DESK.find_department(None) is None
    for look_up in (DESK.account, DESK.department):
        with pytest.raises(LookupError, match="nobody"):
            look_up("nobody")


def test_of_records_with_one_id_the_first_counts():
    """Where ids stand twice, the directory works on with the first one."""
    twin = attrs.evolve(HELP, address=NamedAddress.parse("twin@b.example"))
    assert Directory(accounts=(HELP, twin)).account("help") is HELP


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("Sales@example.org", AddressRole.PRIMARY),
        ("shop@example.org", AddressRole.ALIAS),
        ("quotes@example.org", AddressRole.RECEIVE_ONLY),
        ("old@example.org", AddressRole.RETIRED),
        ("shop+x@example.org", AddressRole.SUBADDRESS),
        ("any@sales.example", AddressRole.CATCH_ALL),
    ],
)
def test_the_address_book_knows_each_role(address, role):
    """Own address, aliases, subaddresses and catch-all domains are ours, each as what it is."""
    sales = attrs.evolve(SALES, subaddress="+", enabled=False)
    own = Directory(accounts=(HELP, sales)).address_book.find(address)
    assert (own.account_id, own.role) == ("sales", role)


def test_people_in_a_catch_all_domain_are_not_ours():
    """Agents and the admin stay people, though all other mail of their domain arrives with us."""
    people = [AddrSpec.parse("jane@sales.example"), AddrSpec.parse("root@sales.example")]
    desk = attrs.evolve(DESK, agent_addresses=(people[0],), admin_address=people[1])
    assert [desk.address_book.find(one) for one in people] == [None, None]
    assert desk.address_book.find("other@sales.example") is not None


def test_an_account_has_its_own_address_before_anothers_alias():
    """Where an alias and another's own address are the same, the owner of the address has it."""
    thief = attrs.evolve(SALES, aliases=(Alias(address=HELP.address),))
    desk = Directory(accounts=(thief, HELP))
    assert desk.address_book.find("help@example.org").account_id == "help"


def test_a_directory_in_a_dictionary_names_the_nested_field():
    """An error deep in a directory says which account and which field it is."""
    data = directory_to_dict(DESK)
    data["accounts"][1]["inbound"]["protocol"] = "imap4"
    with pytest.raises(AccountError) as caught:
        directory_from_dict(data)
    assert caught.value.field == "accounts[1].inbound.protocol"
    data = directory_to_dict(DESK)
    data["accounts"][0]["id"] = ""
    with pytest.raises(AccountError) as caught:
        directory_from_dict(data)
    assert caught.value.field == "accounts[0].id"
    assert directory_from_dict(directory_to_dict(DESK)) == DESK
