"""One configured account: endpoints, values, URLs and plain dictionaries."""

import json
from datetime import date, datetime, timedelta

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
    OtherFrom,
    OutboundAuth,
    OutboundSettings,
    Severity,
    TicketDefaults,
    TlsMode,
    TrustedAuthentication,
    account_from_dict,
    account_to_dict,
)
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.auth import Dialect, Login, MailProtocol, parse_login
from mailrouting.errors import AccountError

MARKER = "planted-secret-7c1f"
IMAP, POP3, SMTP = MailProtocol.IMAP, MailProtocol.POP3, MailProtocol.SMTP
IMPLICIT, STARTTLS, CLEARTEXT = TlsMode.IMPLICIT, TlsMode.STARTTLS, TlsMode.CLEARTEXT
HELP = NamedAddress.parse("Help <help@example.org>")
FULL = EmailAccount(
    id="help",
    address=HELP,
    aliases=(Alias(address=NamedAddress.parse("old@example.org"), use=AliasUse.RETIRED),),
    inbound=InboundSettings(
        protocol=IMAP,
        endpoint=Endpoint("imaps://mail.example.org"),
        login=parse_login(r"agent@example.org\help@example.org"),
        dialect=Dialect.MASTER_USER,
        master_user_separator="%",
        folder="Shared",
        fetch_every=timedelta(seconds=90),
        max_per_fetch=30,
        processed=AfterFetch.move("Done"),
        filtered=AfterFetch.mark_seen(),
        quarantined=AfterFetch.delete(),
        acknowledge_when=AcknowledgeWhen.STORED,
        silent_after_hours=48,
        first_run=FirstRun.since_date(date(2026, 1, 31)),
        enabled=False,
    ),
    outbound=OutboundSettings(
        endpoint=Endpoint("mail.example.org", 587, STARTTLS),
        auth=parse_login("none"),
        may_send_as=MaySendAs(addresses=(AddrSpec.parse("x@y.example"),), domains=("z.example",)),
        other_from=OtherFrom.REWRITE,
        per_minute=30,
        per_day=1000,
        bounce_address=AddrSpec.parse("help@example.org"),
        null_reverse_path=True,
    ),
    defaults=TicketDefaults(department="d", help_topic="t", priority="p", autorespond=False),
    subaddress="+",
    catch_all_domains=("all.example",),
    trusted_authentication=TrustedAuthentication(authserv_ids=("mx.example",)),
    enabled=False,
)


@pytest.mark.parametrize(
    ("endpoint", "protocol", "expected", "tls"),
    [
        (Endpoint("mail.example"), IMAP, "mail.example:993", IMPLICIT),
        (Endpoint("mail.example"), POP3, "mail.example:995", IMPLICIT),
        (Endpoint("mail.example"), SMTP, "mail.example:465", IMPLICIT),
        (Endpoint("mail.example", 993), IMAP, "mail.example:993", IMPLICIT),
        (Endpoint("mail.example", 143), IMAP, "mail.example:143", STARTTLS),
        (Endpoint("mail.example", 110), POP3, "mail.example:110", STARTTLS),
        (Endpoint("mail.example", 587), SMTP, "mail.example:587", STARTTLS),
        (Endpoint("mail.example", 25), SMTP, "mail.example:25", STARTTLS),
        (Endpoint("mail.example", 10143), IMAP, "mail.example:10143", IMPLICIT),
        (Endpoint("mail.example:10143"), IMAP, "mail.example:10143", IMPLICIT),
        (Endpoint("mail.example:143", 143), IMAP, "mail.example:143", STARTTLS),
        (Endpoint("mail.example", None, STARTTLS), SMTP, "mail.example:587", STARTTLS),
        (Endpoint("mail.example", None, CLEARTEXT), IMAP, "mail.example:143", CLEARTEXT),
        (Endpoint("mail.example", 143, CLEARTEXT), IMAP, "mail.example:143", CLEARTEXT),
        (Endpoint("ssl://mail.example"), POP3, "mail.example:995", IMPLICIT),
        (Endpoint("ssl://mail.example", 4433), IMAP, "mail.example:4433", IMPLICIT),
        (Endpoint("tls://mail.example"), IMAP, "mail.example:993", IMPLICIT),
        (Endpoint("tls://mail.example", 587), SMTP, "mail.example:587", STARTTLS),
        (Endpoint("tls://mail.example", 993), IMAP, "mail.example:993", IMPLICIT),
        (Endpoint("tls://mail.example", 2525, STARTTLS), SMTP, "mail.example:2525", STARTTLS),
        (Endpoint("starttls://mail.example"), IMAP, "mail.example:143", STARTTLS),
        (Endpoint("plain://127.0.0.1:2143"), IMAP, "127.0.0.1:2143", CLEARTEXT),
        (Endpoint("plain://localhost"), SMTP, "localhost:25", CLEARTEXT),
        (Endpoint("IMAPS://Mail.Example:993/"), IMAP, "mail.example:993", IMPLICIT),
        (Endpoint("imap://mail.example"), IMAP, "mail.example:143", STARTTLS),
        (Endpoint("imap://mail.example:993"), IMAP, "mail.example:993", IMPLICIT),
        (Endpoint("imap://mail.example", None, CLEARTEXT), IMAP, "mail.example:143", CLEARTEXT),
        (Endpoint("smtp://mail.example"), SMTP, "mail.example:587", STARTTLS),
        (Endpoint("submissions://mail.example"), SMTP, "mail.example:465", IMPLICIT),
        (Endpoint("[::1]:1143"), IMAP, "[::1]:1143", IMPLICIT),
        (Endpoint("2001:DB8::1"), IMAP, "[2001:db8::1]:993", IMPLICIT),
        (Endpoint(" bücher.example\t"), IMAP, "xn--bcher-kva.example:993", IMPLICIT),
    ],
)
def test_what_people_type_becomes_host_port_and_tls(endpoint, protocol, expected, tls):
    """Scheme, port and mode complete each other; nothing given is implicit TLS."""
    resolved = endpoint.resolve(protocol)
    assert (str(resolved), resolved.tls) == (expected, tls)
    assert endpoint.problems(protocol) == ()


@pytest.mark.parametrize(
    ("endpoint", "protocol", "field", "code"),
    [
        (Endpoint(""), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("mail example"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("mail.example/INBOX"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("-mail.example"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("mail..example"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("[192.0.2.1]"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("[::zz]"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("a" * 64 + ".example"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint(".".join(["a" * 60] * 5)), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("mail.example\r\n"), IMAP, "endpoint.host", "host-unreadable"),
        (Endpoint("gopher://mail.example"), IMAP, "endpoint.host", "scheme-unknown"),
        (Endpoint("mail.example", 0), IMAP, "endpoint.port", "port-range"),
        (Endpoint("mail.example", -1), IMAP, "endpoint.port", "port-range"),
        (Endpoint("mail.example:65536"), IMAP, "endpoint.host", "port-range"),
        (Endpoint("mail.example:993", 143), IMAP, "endpoint.port", "port-twice"),
        (Endpoint("mail.example", 995), IMAP, "endpoint.port", "port-protocol"),
        (Endpoint("pop3s://mail.example"), IMAP, "endpoint.host", "scheme-protocol"),
        (Endpoint("ssl://mail.example", None, STARTTLS), IMAP, "endpoint.tls", "tls-scheme"),
        (Endpoint("plain://mail.example", None, IMPLICIT), IMAP, "endpoint.tls", "tls-scheme"),
        (Endpoint("tls://mail.example", None, CLEARTEXT), IMAP, "endpoint.tls", "tls-scheme"),
        (Endpoint("mail.example", 993, STARTTLS), IMAP, "endpoint.tls", "tls-port"),
        (Endpoint("mail.example", 143, IMPLICIT), IMAP, "endpoint.tls", "tls-port"),
        (Endpoint("mail.example", 993, CLEARTEXT), IMAP, "endpoint.tls", "tls-port"),
        (Endpoint("ssl://mail.example", 587), SMTP, "endpoint.tls", "tls-port"),
        (Endpoint("tls://mail.example", 2525), SMTP, "endpoint.tls", "tls-ambiguous"),
    ],
)
def test_a_contradiction_is_a_problem_not_a_guess(endpoint, protocol, field, code):
    """What contradicts itself is named by its field, and is never resolved."""
    problems = endpoint.problems(protocol)
    assert (field, code) in [(problem.field, problem.code) for problem in problems]
    assert {problem.severity for problem in problems} == {Severity.ERROR}
    with pytest.raises(AccountError) as caught:
        endpoint.resolve(protocol)
    assert caught.value.field == problems[0].field
    assert str(problems[0]) == f"{problems[0].field}: {caught.value}"


def test_all_contradictions_are_told_at_once():
    """A form can show every problem of an endpoint after one try."""
    problems = Endpoint("pop3s://mail.example:995", 143, STARTTLS).problems(IMAP)
    assert {problem.code for problem in problems} == {
        "port-twice",
        "scheme-protocol",
        "tls-scheme",
    }


def test_a_login_typed_into_the_host_is_not_quoted():
    """A password typed before the host does not come back in the message."""
    [problem] = Endpoint(f"imaps://user:{MARKER}@mail.example").problems(IMAP)
    assert MARKER not in str(problem)


@pytest.mark.parametrize("account_id", ["", "x" * 256, "a\nb", "\x85", "a\ud800"])
def test_an_account_id_is_short_and_printable(account_id):
    """An id that no store could keep is refused when the account is made."""
    with pytest.raises(AccountError) as caught:
        EmailAccount(id=account_id, address=HELP)
    assert caught.value.field == "id"


def test_nothing_happens_to_mail_unless_chosen():
    """The defaults leave the mailbox as it is; the first run has to be chosen."""
    first_run = attrs.fields(InboundSettings).first_run
    assert first_run.default is attrs.NOTHING
    inbound = InboundSettings(
        protocol=IMAP,
        endpoint=Endpoint("mail.example"),
        login=parse_login("help"),
        first_run=FirstRun.only_new(),
    )
    assert {inbound.processed, inbound.filtered, inbound.quarantined} == {AfterFetch.keep()}
    assert inbound.acknowledge_when is AcknowledgeWhen.CONVERTED
    assert inbound.folder == "INBOX"
    assert inbound.enabled


def test_may_send_as_covers_its_addresses_and_domains_only():
    """Addresses compare by key; a domain does not stand for its subdomains."""
    may = MaySendAs(addresses=(AddrSpec.parse("a@b.example"),), domains=("C.example",))
    assert may.covers(AddrSpec.parse("A@B.example"))
    assert may.covers(AddrSpec.parse("any@c.EXAMPLE"))
    assert not may.covers(AddrSpec.parse("x@b.example"))
    assert not may.covers(AddrSpec.parse("x@sub.c.example"))


def test_a_url_makes_an_account():
    """Scheme, login, host, folder and the folders to move to are read from a URL."""
    account = EmailAccount.from_url(
        "imaps://agent%40acme.example%5Chelp%40acme.example@imap.acme.example:1993/In%20Box"
        "?archive=Done%2F2026&quarantined=Odd",
        id="help",
        address=HELP,
        first_run=FirstRun.all(),
    )
    assert account == EmailAccount(
        id="help",
        address=HELP,
        inbound=InboundSettings(
            protocol=IMAP,
            endpoint=Endpoint("imaps://imap.acme.example:1993"),
            login=parse_login(r"agent@acme.example\help@acme.example"),
            folder="In Box",
            processed=AfterFetch.move("Done/2026"),
            filtered=AfterFetch.keep(),
            quarantined=AfterFetch.move("Odd"),
            first_run=FirstRun(FirstRunKind.ALL),
        ),
    )


def test_a_url_without_a_folder_reads_the_inbox():
    """The folder is INBOX unless the path says otherwise, and POP3 has its own schemes."""
    account = EmailAccount.from_url(
        "pop3s://help@pop.example", id="help", address="help@b.example", first_run=FirstRun.all()
    )
    assert (account.inbound.protocol, account.inbound.folder) == (POP3, "INBOX")
    assert str(account.inbound.endpoint.resolve(POP3)) == "pop.example:995"
    assert account.address == NamedAddress.parse("help@b.example")


@pytest.mark.parametrize(
    ("url", "field"),
    [
        (f"imaps://help:{MARKER}@mail.example", "inbound.login"),
        (f"imaps://help:{MARKER}@x@mail.example", "inbound.login"),
        (f"imaps://help;AUTH={MARKER}@mail.example", "inbound.login"),
        (f"imaps://help@mail.example?password={MARKER}", "url"),
        (f"imaps://help@mail.example?archive=A&archive={MARKER}", "url"),
        (f"imaps://help@mail.example#{MARKER}", "url"),
        ("imaps://help@mail.example?archive=", "url"),
        (f"imaps://help:{MARKER}/x@mail.example", "inbound.login"),
        (f"imaps://mail.example/{MARKER}", "inbound.login"),
        (f"smtps://{MARKER}@mail.example", "inbound.protocol"),
        (MARKER, "url"),
        (f"imaps://help@mail.example/\n{MARKER}", "url"),
        (f"imaps://help@mail.example/%0A{MARKER}", "inbound.folder"),
        (f"imaps://help%FF{MARKER}@mail.example", "inbound.login"),
        (f"imaps://%5C{MARKER}@mail.example", "inbound.login"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url, field):
    """A password, an unknown parameter or a broken name is an error that shows nothing of it."""
    with pytest.raises(AccountError) as caught:
        EmailAccount.from_url(url, id="help", address=HELP, first_run=FirstRun.all())
    error = caught.value
    assert (error.field, error.account_id) == (field, "help")
    assert error.hint
    shown = f"{error!r} {error} {vars(error)} {error.__cause__!r} {error.__context__!r}"
    assert MARKER not in shown


def test_a_url_needs_a_valid_address():
    """An address that is none is named as the wrong field."""
    with pytest.raises(AccountError) as caught:
        EmailAccount.from_url(
            "imaps://help@b.example", id="help", address="nobody", first_run=FirstRun.all()
        )
    assert caught.value.field == "address"


def test_a_dictionary_writes_everything_plainly():
    """Every field is there, in words, so that a later default changes no stored account."""
    data = account_to_dict(FULL)
    assert data["schema"] == 1
    assert data["address"] == '"Help" <help@example.org>'
    assert data["aliases"] == [{"address": "old@example.org", "use": "retired"}]
    assert data["inbound"] == {
        "protocol": "imap",
        "endpoint": "imaps://mail.example.org",
        "login": r"agent@example.org\help@example.org",
        "dialect": "master-user",
        "master_user_separator": "%",
        "folder": "Shared",
        "fetch_every": 90,
        "max_per_fetch": 30,
        "processed": {"action": "move", "folder": "Done"},
        "filtered": "mark-seen",
        "quarantined": "delete",
        "acknowledge_when": "stored",
        "silent_after_hours": 48,
        "first_run": {"kind": "since", "since": "2026-01-31"},
        "enabled": False,
    }
    assert data["outbound"]["auth"] == {"login": "none"}
    assert data["outbound"]["endpoint"] == {
        "host": "mail.example.org",
        "port": 587,
        "tls": "starttls",
    }
    assert data.keys() == {"schema"} | {field.name for field in attrs.fields(EmailAccount)}


def test_a_dictionary_goes_through_json_and_back():
    """What is written reads back as an equal account, JSON between them."""
    assert account_from_dict(json.loads(json.dumps(account_to_dict(FULL)))) == FULL


@pytest.mark.parametrize(
    "change",
    [
        {"inbound": ArrivesIn("other")},
        {"inbound": None, "outbound": None},
        {"inbound": attrs.evolve(FULL.inbound, login=Login.of(username="/odd", authname="a"))},
        {"inbound": attrs.evolve(FULL.inbound, login=Login.of(username="a\\b\\c"))},
        {"inbound": attrs.evolve(FULL.inbound, fetch_every=timedelta(milliseconds=1500))},
        {"inbound": attrs.evolve(FULL.inbound, first_run=FirstRun.all())},
        {"inbound": attrs.evolve(FULL.inbound, processed=AfterFetch(AfterAction.KEEP, "odd"))},
        {"outbound": attrs.evolve(FULL.outbound, auth=OutboundAuth.NONE)},
        {"outbound": attrs.evolve(FULL.outbound, auth=Login.of(username="/odd"))},
        {"address": NamedAddress(AddrSpec.parse("a@b.example"), ' a "quoted" <name> \\ ')},
        {"trusted_authentication": TrustedAuthentication(topmost_without_id=True)},
    ],
)
def test_every_form_of_a_value_reads_back(change):
    """Values that no short form can say are written in full, and read back equal."""
    account = attrs.evolve(FULL, **change)
    assert account_from_dict(json.loads(json.dumps(account_to_dict(account)))) == account


def test_what_is_left_out_has_its_default():
    """A person writes only what matters; TOML brings days as days."""
    account = account_from_dict(
        {
            "schema": 1,
            "id": "help",
            "address": {"addr": "help@example.org", "name": "Help"},
            "inbound": {
                "protocol": "imap",
                "endpoint": {"host": "mail.example.org"},
                "login": "help@example.org",
                "first_run": {"kind": "since", "since": date(2026, 1, 31)},
                "fetch_every": 1.5,
            },
        }
    )
    assert account.inbound.first_run == FirstRun.since_date(date(2026, 1, 31))
    assert account.inbound.fetch_every == timedelta(seconds=1.5)
    assert account.address == HELP
    assert account.outbound is None
    assert account.enabled


def nested(data, path, value):
    """Return plain data with one value changed; the last key may be new."""
    copy = json.loads(json.dumps(data))
    *way, last = path
    place = copy
    for key in way:
        place = place[key]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "field", "found"),
    [
        (["schema"], 2, "schema", "2"),
        (["schema"], None, "schema", "nothing"),
        (["schema"], True, "schema", "True"),
        (["id"], 7, "id", "7"),
        (["id"], "", "id", "0 characters"),
        (["enabled"], 1, "enabled", "1"),
        (["colour"], "red", "colour", "unknown"),
        (["address"], "nobody", "address", "its end"),
        (["address"], None, "address", "nothing"),
        (["address"], {"addr": "a@b.example", "name": "a\nb"}, "address", "control"),
        (["aliases"], "a@b.example", "aliases", "'a@b.example'"),
        (["aliases"], [{"address": 3}], "aliases[0].address", "3"),
        (["aliases", 0, "use"], "sometimes", "aliases[0].use", "'sometimes'"),
        (["inbound"], "mailbox", "inbound", "'mailbox'"),
        (["inbound", "protocol"], "imap4", "inbound.protocol", "'imap4'"),
        (["inbound", "protocol"], ["imap"], "inbound.protocol", "list"),
        (["inbound", "login"], "a\\\\b", "inbound.login", "position 2"),
        (["inbound", "login"], {"authname": "a"}, "inbound.login.username", "nothing"),
        (["inbound", "login"], {"username": ""}, "inbound.login", "its end"),
        (["inbound", "login"], {"username": "a", "x": 1}, "inbound.login.x", "unknown"),
        (["inbound", "fetch_every"], "5m", "inbound.fetch_every", "'5m'"),
        (["inbound", "fetch_every"], True, "inbound.fetch_every", "True"),
        (["inbound", "fetch_every"], 10**400, "inbound.fetch_every", "type int"),
        (["inbound", "fetch_every"], float("nan"), "inbound.fetch_every", "nan"),
        (["inbound", "max_per_fetch"], True, "inbound.max_per_fetch", "True"),
        (["inbound", "max_per_fetch"], 1.0, "inbound.max_per_fetch", "1.0"),
        (["inbound", "processed"], {"action": "move", "to": "x"}, "inbound.processed.to", "unknown"),
        (["inbound", "processed"], "archive", "inbound.processed", "'archive'"),
        (["inbound", "processed"], {"folder": "x"}, "inbound.processed.action", "nothing"),
        (["inbound", "first_run", "since"], "31.1.2026", "inbound.first_run.since", "31.1.2026"),
        (["inbound", "endpoint"], {"host": "a", "port": "993"}, "inbound.endpoint.port", "'993'"),
        (["inbound", "arrives_in"], "x", "inbound.arrives_in", "unknown"),
        (["inbound"], {"arrives_in": 3}, "inbound.arrives_in", "3"),
        (["outbound", "auth"], "password", "outbound.auth", "'password'"),
        (["outbound", "auth"], {"login": "a", "x": 1}, "outbound.auth.x", "unknown"),
        (["outbound", "auth"], {}, "outbound.auth.login", "nothing"),
        (["outbound", "bounce_address"], 3, "outbound.bounce_address", "3"),
        (["outbound", "bounce_address"], "x", "outbound.bounce_address", "position 1"),
        (["outbound", "may_send_as", "domains"], [1], "outbound.may_send_as.domains[0]", "1"),
        (["defaults", "department"], "x" * 99 + "\0", None, None),
    ],
)  # fmt: skip
def test_a_wrong_dictionary_names_the_field_and_what_was_found(path, value, field, found):
    """The error has the dotted field, what was found and, where it applies, what is expected."""
    data = (
        nested(account_to_dict(FULL), path, value)
        if field != "schema"
        else {**account_to_dict(FULL), "schema": value}
    )
    if field is None:
        assert account_from_dict(data).defaults.department == value
        return
    with pytest.raises(AccountError) as caught:
        account_from_dict(data)
    assert caught.value.field == field
    assert found in str(caught.value)
    assert caught.value.account_id == (data["id"] if isinstance(data["id"], str) else None)


def test_a_missing_field_is_named():
    """A field without a default must be there."""
    data = account_to_dict(FULL)
    del data["inbound"]["first_run"]
    with pytest.raises(AccountError, match="no default") as caught:
        account_from_dict(data)
    assert caught.value.field == "inbound.first_run"


def test_a_time_of_day_is_no_day():
    """A date with a time is refused where a day is meant."""
    data = account_to_dict(FULL)
    data["inbound"]["first_run"] = {"kind": "since", "since": datetime(2026, 1, 31)}  # noqa: DTZ001 - the point
    with pytest.raises(AccountError):
        account_from_dict(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["password"], MARKER),
        (["inbound", "password"], MARKER),
        (["outbound", "auth"], {"login": "a", "password": MARKER}),
        (["inbound", "login"], {"username": "a", "password": MARKER}),
        (["inbound", "login"], [MARKER]),
        (["inbound", "endpoint" ], f"imaps://a:{MARKER}@b"),
    ],
)  # fmt: skip
def test_a_secret_in_a_dictionary_is_refused_and_not_shown(path, value):
    """Secrets are no part of an account: a key for one is unknown, and its value is not echoed."""
    data = nested(account_to_dict(FULL), path, value)
    with pytest.raises(AccountError) as caught:
        account_from_dict(data).inbound.endpoint.resolve(IMAP)
    error = caught.value
    assert MARKER not in f"{error!r} {vars(error)} {error.__cause__!r} {error.__context__!r}"
