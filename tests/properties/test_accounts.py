"""Accounts and directories as plain data, whatever is configured."""

import json
from datetime import timedelta

from hypothesis import given, settings, strategies as st

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
    TicketDefaults,
    TlsMode,
    TrustedAuthentication,
    account_from_dict,
    account_to_dict,
)
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.auth import Dialect, Login, MailProtocol
from mailrouting.directory import (
    Department,
    DepartmentStatus,
    Directory,
    directory_from_dict,
    directory_to_dict,
)
from mailrouting.errors import AccountError

PRINTABLE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=12)
IDS = st.sampled_from(["a", "b", "c", "desk 4", "ü"])
ADDRESSES = st.sampled_from(
    ["a@b.example", '"a<b"@c.example', "ü@bücher.example", "x+y@[192.0.2.1]"]
).map(AddrSpec.parse)
NAMED = st.builds(NamedAddress, ADDRESSES, PRINTABLE)
LOGINS = st.builds(
    Login.of,
    username=PRINTABLE.filter(bool) | st.sampled_from(["a@b\\c", "/x", "none"]),
    authname=st.none() | PRINTABLE.filter(bool),
)
ENDPOINTS = st.builds(
    Endpoint,
    st.sampled_from(["mail.example", "imaps://mail.example:993", "tls://x", "[::1]"]) | PRINTABLE,
    st.none() | st.integers(-1, 70000),
    st.none() | st.sampled_from(TlsMode),
)
AFTER = st.builds(AfterFetch, st.sampled_from(AfterAction), st.none() | PRINTABLE)
INBOUND = st.builds(
    InboundSettings,
    protocol=st.sampled_from(MailProtocol),
    endpoint=ENDPOINTS,
    login=LOGINS,
    first_run=st.builds(FirstRun, st.sampled_from(FirstRunKind), st.none() | st.dates()),
    dialect=st.sampled_from(Dialect),
    master_user_separator=PRINTABLE,
    folder=st.sampled_from(["INBOX", "inbox"]) | PRINTABLE,
    fetch_every=st.timedeltas(timedelta(days=-9), timedelta(days=9999)),
    max_per_fetch=st.integers(-1, 10**6),
    processed=AFTER,
    filtered=AFTER,
    quarantined=AFTER,
    acknowledge_when=st.sampled_from(AcknowledgeWhen),
    silent_after_hours=st.none() | st.integers(-1, 10**6),
    enabled=st.booleans(),
)
OUTBOUND = st.builds(
    OutboundSettings,
    endpoint=ENDPOINTS,
    auth=st.sampled_from(OutboundAuth) | LOGINS,
    may_send_as=st.builds(
        MaySendAs,
        addresses=st.lists(ADDRESSES, max_size=2).map(tuple),
        domains=st.lists(PRINTABLE, max_size=2).map(tuple),
    ),
    other_from=st.sampled_from(OtherFrom),
    per_minute=st.none() | st.integers(),
    per_day=st.none() | st.integers(),
    bounce_address=st.none() | ADDRESSES,
    null_reverse_path=st.booleans(),
    enabled=st.booleans(),
)
ACCOUNTS = st.builds(
    EmailAccount,
    id=IDS,
    address=NAMED,
    aliases=st.lists(
        st.builds(Alias, address=NAMED, use=st.sampled_from(AliasUse)), max_size=2
    ).map(tuple),
    inbound=st.none() | st.builds(ArrivesIn, IDS) | INBOUND,
    outbound=st.none() | OUTBOUND,
    defaults=st.builds(TicketDefaults, department=st.none() | IDS, autorespond=st.booleans()),
    subaddress=st.none() | st.sampled_from(["+", "-", "", "a", "@"]),
    catch_all_domains=st.lists(PRINTABLE, max_size=2).map(tuple),
    trusted_authentication=st.none()
    | st.builds(
        TrustedAuthentication,
        authserv_ids=st.lists(PRINTABLE, max_size=2).map(tuple),
        topmost_without_id=st.booleans(),
    ),
    enabled=st.booleans(),
)
MAYBE_ID = st.none() | IDS
DIRECTORIES = st.builds(
    Directory,
    accounts=st.lists(ACCOUNTS, max_size=3).map(tuple),
    departments=st.lists(
        st.builds(
            Department,
            id=IDS,
            name=PRINTABLE,
            outgoing=MAYBE_ID,
            autoresponse=MAYBE_ID,
            parent=MAYBE_ID,
            status=st.sampled_from(DepartmentStatus),
            private=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    default_account=MAYBE_ID,
    alert_account=MAYBE_ID,
    default_mta=MAYBE_ID,
    admin_address=st.none() | ADDRESSES,
    agent_addresses=st.lists(ADDRESSES, max_size=2).map(tuple),
    fetching=st.booleans(),
    sending=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(ACCOUNTS)
def test_an_account_reads_back_exactly(account):
    """Writing, JSON and reading give an equal account, sensible or not."""
    assert account_from_dict(json.loads(json.dumps(account_to_dict(account)))) == account


@given(DIRECTORIES)
def test_a_directory_reads_back_exactly(directory):
    """Writing, JSON and reading give an equal directory."""
    data = json.loads(json.dumps(directory_to_dict(directory)))
    assert directory_from_dict(data) == directory


@given(DIRECTORIES, ACCOUNTS)
def test_any_configuration_can_be_checked(directory, account):
    """Looking for problems never raises, and a pair of field and code is told once a field."""
    for problem in directory.problems(account):
        assert problem.field
        assert problem.message
    known = {"", *(one.id for one in directory.accounts)}
    assert {account_id for account_id, _ in directory.all_problems()} <= known
    for one in directory.accounts:
        assert all(problem.field for problem in directory.removal_problems(one.id))


@settings(max_examples=200)
@given(ACCOUNTS, st.data())
def test_a_broken_dictionary_is_an_account_error(account, data):
    """Whatever stands in any place, reading ends in an account or in an AccountError with a field."""
    plain = json.loads(json.dumps(account_to_dict(account)))
    place = plain
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    try:
        read = account_from_dict(plain)
    except AccountError as error:
        broken = error.field
    else:
        broken = None
        assert account_from_dict(account_to_dict(read)) == read
    assert broken != ""
