"""What holds for every outgoing mail, whatever is configured."""

from hypothesis import given, settings, strategies as st

from mailrouting.accounts import (
    Alias,
    AliasUse,
    EmailAccount,
    Endpoint,
    MaySendAs,
    OtherFrom,
    OutboundAuth,
    OutboundSettings,
)
from mailrouting.addresses import AddressRole, AddrSpec, NamedAddress
from mailrouting.directory import Department, DepartmentStatus, Directory
from mailrouting.errors import OutboundUnresolvedError
from mailrouting.outbound import (
    CandidateOrder,
    OutboundContext,
    OutboundPolicy,
    Purpose,
    resolve,
)

OURS = ["a@one.example", "b@one.example", "c@two.example", "d@two.example", "A@ONE.example"]
THEIRS = ["x@one.example", "y@three.example", "z@four.example"]
ADDRESSES = st.sampled_from([*OURS, *THEIRS]).map(AddrSpec.parse)
NAMED = st.builds(NamedAddress, ADDRESSES, st.sampled_from(["", "Help", "Sales"]))
IDS = st.sampled_from(["one", "two", "three", "four"])
DEPARTMENT_IDS = st.sampled_from(["d", "e", "f"])
SMTP = st.builds(
    OutboundSettings,
    endpoint=st.just(Endpoint("localhost")),
    auth=st.just(OutboundAuth.NONE),
    may_send_as=st.builds(
        MaySendAs,
        addresses=st.lists(ADDRESSES, max_size=1).map(tuple),
        domains=st.lists(st.sampled_from(["one.example", "TWO.example"]), max_size=1).map(tuple),
    ),
    other_from=st.sampled_from(OtherFrom),
    bounce_address=st.none() | ADDRESSES,
    null_reverse_path=st.booleans(),
    enabled=st.sampled_from([True, True, False]),
)
ACCOUNTS = st.builds(
    EmailAccount,
    id=IDS,
    address=NAMED,
    aliases=st.lists(
        st.builds(Alias, address=NAMED, use=st.sampled_from(AliasUse)), max_size=2
    ).map(tuple),
    outbound=st.none() | SMTP,
    subaddress=st.none() | st.just("+"),
    catch_all_domains=st.sampled_from([(), (), ("three.example",)]),
    enabled=st.sampled_from([True, True, False]),
)
DIRECTORIES = st.builds(
    Directory,
    accounts=st.lists(ACCOUNTS, max_size=4).map(tuple),
    departments=st.lists(
        st.builds(
            Department,
            id=DEPARTMENT_IDS,
            name=st.just("D"),
            outgoing=st.none() | IDS,
            autoresponse=st.none() | IDS,
            parent=st.none() | DEPARTMENT_IDS,
            status=st.sampled_from(DepartmentStatus),
        ),
        max_size=3,
    ).map(tuple),
    default_account=st.none() | IDS,
    alert_account=st.none() | IDS,
    default_mta=st.none() | IDS,
    admin_address=st.none() | ADDRESSES,
    agent_addresses=st.lists(ADDRESSES, max_size=1).map(tuple),
    sending=st.booleans(),
)
PEOPLE = st.lists(
    st.sampled_from([*OURS, *THEIRS, "a+t@one.example", "Y <y@three.example>", "broken", "x\ny"]),
    max_size=3,
).map(tuple)
CONTEXTS = st.builds(
    OutboundContext,
    department=st.none() | DEPARTMENT_IDS,
    agent_choice=st.none() | IDS | ADDRESSES,
    answered_from=st.none() | ADDRESSES,
    received_by=st.none() | IDS | ADDRESSES,
    from_=PEOPLE,
    reply_to=PEOPLE,
    cc=PEOPLE,
    return_path=st.none() | st.sampled_from(["", "<>", "<x@one.example>", "a@one.example"]),
    notify=PEOPLE,
    suppressed=st.frozensets(st.sampled_from(["x@one.example", "y@three.example"])),
)
POLICIES = st.builds(OutboundPolicy, order=st.sampled_from(CandidateOrder))


def outcome(directory, purpose, context, policy):
    """Return the resolution and its trace; None and what was tried when there is none."""
    try:
        found = resolve(directory, purpose=purpose, context=context, policy=policy)
    except OutboundUnresolvedError as error:
        return None, error.tried
    return found, found.trace


def first_account(directory, account_id):
    """Find an account without asking the code under test."""
    return next(one for one in directory.accounts if one.id == account_id)


def may_send(account, address):
    """Say from the configuration alone whether a server sends an address as it is."""
    wanted = str(address).lower()
    own = {str(account.address.addr).lower()}
    own |= {str(one.address.addr).lower() for one in account.aliases if one.use is AliasUse.SEND_AS}
    allowed = account.outbound.may_send_as
    own |= {str(one).lower() for one in allowed.addresses}
    domains = {one.lower() for one in allowed.domains}
    return wanted in own or wanted.partition("@")[2] in domains


@settings(max_examples=600)
@given(DIRECTORIES, st.sampled_from(Purpose), CONTEXTS, POLICIES)
def test_no_from_is_named_that_its_server_may_not_send(directory, purpose, context, policy):
    """Each transport may send its From as it is, or by its own rule adds Sender or rewrites."""
    resolution, trace = outcome(directory, purpose, context, policy)
    assert trace
    assert all(step.step and step.verdict and step.because for step in trace)
    if resolution is None:
        return
    answering = first_account(directory, resolution.account_id)
    assert answering.enabled
    assert resolution.transports
    for plan in resolution.transports:
        server = first_account(directory, plan.account_id)
        assert server.enabled
        assert server.outbound.enabled
        assert server.id in {answering.id, directory.default_mta}
        if plan.sender is not None:
            assert server.outbound.other_from is OtherFrom.SENDER
            assert plan.sender == server.address
            assert not may_send(server, plan.from_.addr)
            assert plan.reply_to == ()
        elif plan.reply_to:
            [original] = plan.reply_to
            assert server.outbound.other_from is OtherFrom.REWRITE
            assert plan.from_.addr == server.address.addr
            assert not may_send(server, original.addr)
            assert str(original.addr) in plan.from_.name
        else:
            assert may_send(server, plan.from_.addr)


@given(DIRECTORIES, st.sampled_from(Purpose), CONTEXTS, POLICIES)
def test_the_answering_account_owns_what_it_answers_as(directory, purpose, context, policy):
    """The address is the account's own or one of its send-as aliases, never a retired one."""
    resolution, _ = outcome(directory, purpose, context, policy)
    if resolution is None:
        return
    account = first_account(directory, resolution.account_id)
    owned = [account.address]
    owned += [one.address for one in account.aliases if one.use is AliasUse.SEND_AS]
    for plan in resolution.transports:
        shown = plan.reply_to[0] if plan.reply_to else plan.from_
        assert shown in owned


@given(DIRECTORIES, st.sampled_from(Purpose), CONTEXTS, POLICIES)
def test_the_null_reverse_path_is_for_automatic_responses_where_told(
    directory, purpose, context, policy
):
    """`<>` goes out for an automatic response through an account that says so, and then always."""
    resolution, _ = outcome(directory, purpose, context, policy)
    for plan in resolution.transports if resolution else ():
        told = first_account(directory, plan.account_id).outbound.null_reverse_path
        assert (plan.reverse_path is None) == (purpose is Purpose.AUTORESPONSE and told)


@settings(max_examples=300)
@given(DIRECTORIES, st.sampled_from(Purpose), CONTEXTS, POLICIES)
def test_nobody_is_written_to_who_must_not_be(directory, purpose, context, policy):
    """Addresses that are ours by name and the suppressed are never recipients, and nobody is one twice."""
    resolution, _ = outcome(directory, purpose, context, policy)
    if resolution is None:
        return
    reached = [*resolution.recipients.to, *resolution.recipients.cc]
    keys = [one.addr.key for one in reached]
    assert len(keys) == len(set(keys))
    assert not context.suppressed.intersection(keys)
    own = {
        str(address.addr).lower()
        for account in directory.accounts
        for address in (account.address, *(alias.address for alias in account.aliases))
    }
    assert not own.intersection(keys)
    found = filter(None, (directory.address_book.find(one.addr) for one in reached))
    # In a catch-all domain colleagues have addresses too.
    assert all(one.role is AddressRole.CATCH_ALL for one in found)
    if purpose is Purpose.AUTORESPONSE:
        assert not resolution.recipients.cc
        assert all(str(one.addr) in (context.return_path or "") for one in reached)


@given(DIRECTORIES, st.sampled_from(Purpose), CONTEXTS, POLICIES)
def test_the_same_question_has_the_same_answer(directory, purpose, context, policy):
    """Nothing but the arguments decides."""
    first = outcome(directory, purpose, context, policy)
    assert outcome(directory, purpose, context, policy) == first
