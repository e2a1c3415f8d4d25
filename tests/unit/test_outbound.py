"""From which address a mail leaves, through which server, to whom, and why."""

import attrs
import pytest

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
from mailrouting.addresses import AddrSpec, NamedAddress
from mailrouting.directory import Department, DepartmentStatus, Directory
from mailrouting.errors import OutboundUnresolvedError
from mailrouting.outbound import (
    CandidateOrder,
    OutboundContext,
    OutboundPolicy,
    Purpose,
    recipients,
    resolve,
)

SMTP = OutboundSettings(endpoint=Endpoint("localhost"), auth=OutboundAuth.NONE)


def account(name, *, outbound=SMTP, **changes):
    """Make an account whose id, name and address are alike."""
    address = NamedAddress.parse(f"{name.title()} <{name}@example.org>")
    return EmailAccount(id=name, address=address, outbound=outbound, **changes)


def alias(text, use=AliasUse.SEND_AS):
    """Make an alias."""
    return Alias(address=NamedAddress.parse(text), use=use)


SALES = account(
    "sales",
    subaddress="+",
    catch_all_domains=("all.example",),
    aliases=(
        alias("Shop <shop@example.org>"),
        alias("quotes@example.org", AliasUse.RECEIVE_ONLY),
        alias("old@example.org", AliasUse.RETIRED),
    ),
)
DESK = Directory(
    accounts=(
        SALES,
        account("parent"),
        account("robot"),
        account("default"),
        account("alert"),
        account("off", enabled=False),
        account("silent", outbound=None),
    ),
    departments=(
        Department(id="sales", name="Sales", outgoing="sales", autoresponse="robot", parent="top"),
        Department(id="plain", name="Plain", parent="top"),
        Department(id="top", name="Top", outgoing="parent"),
        Department(
            id="closed",
            name="Closed",
            outgoing="sales",
            autoresponse="sales",
            parent="half",
            status=DepartmentStatus.DISABLED,
        ),
        Department(
            id="half", name="Half", outgoing="sales", status=DepartmentStatus.ARCHIVED, parent="top"
        ),
        Department(id="lost", name="Lost", outgoing="nobody"),
        Department(id="ill", name="Ill", outgoing="off"),
    ),
    default_account="default",
    alert_account="alert",
    admin_address=AddrSpec.parse("admin@example.net"),
)
CUSTOMER = ("Customer <customer@example.net>",)


def answer(*, purpose=Purpose.REPLY, desk=DESK, policy=None, **context):
    """Resolve with a customer, and what else is given."""
    context = OutboundContext(from_=CUSTOMER, **context)
    return resolve(desk, purpose=purpose, context=context, policy=policy)


def spec(text):
    """Read an addr-spec."""
    return AddrSpec.parse(text)


@pytest.mark.parametrize(
    ("purpose", "context", "expected"),
    [
        (Purpose.REPLY, {}, "default"),
        (Purpose.REPLY, {"department": "sales"}, "sales"),
        (Purpose.REPLY, {"department": "plain"}, "parent"),
        (Purpose.REPLY, {"department": "closed"}, "parent"),
        (Purpose.REPLY, {"department": "lost"}, "default"),
        (Purpose.REPLY, {"department": "ill"}, "default"),
        (Purpose.REPLY, {"department": "unheard of"}, "default"),
        (Purpose.REPLY, {"received_by": "robot"}, "robot"),
        (Purpose.REPLY, {"received_by": "off"}, "default"),
        (Purpose.REPLY, {"department": "sales", "received_by": "robot"}, "sales"),
        (Purpose.REPLY, {"department": "sales", "answered_from": spec("robot@example.org")}, "robot"),
        (Purpose.REPLY, {"answered_from": spec("gone@example.org")}, "default"),
        (Purpose.REPLY, {"agent_choice": "alert", "answered_from": spec("robot@example.org")}, "alert"),
        (Purpose.REPLY, {"agent_choice": spec("alert@example.org")}, "alert"),
        (Purpose.REPLY, {"agent_choice": "off", "department": "sales"}, "sales"),
        (Purpose.REPLY, {"agent_choice": "nobody"}, "default"),
        (Purpose.REPLY, {"agent_choice": "silent"}, "default"),
        (Purpose.AUTORESPONSE, {"department": "sales"}, "robot"),
        (Purpose.AUTORESPONSE, {"department": "sales", "agent_choice": "alert"}, "robot"),
        (Purpose.AUTORESPONSE, {"department": "plain"}, "parent"),
        (Purpose.AUTORESPONSE, {"department": "closed"}, "parent"),
        (Purpose.AUTORESPONSE, {}, "default"),
        (Purpose.ALERT, {}, "alert"),
        (Purpose.ALERT, {"department": "sales"}, "sales"),
        (Purpose.SYSTEM, {}, "alert"),
    ],
)  # fmt: skip
def test_candidates_are_tried_in_order(purpose, context, expected):
    """The first candidate that exists, is enabled and can be sent answers."""
    resolution = answer(purpose=purpose, **context)
    assert resolution.account_id == expected
    assert resolution.from_ == DESK.account(expected).address
    accepted = [step for step in resolution.trace if step.verdict == "accepted"]
    assert expected in accepted[0].because


def test_policy_may_prefer_the_address_that_the_customer_wrote_to():
    """With RECEIVED_FIRST it comes before the department, never before the ticket's own."""
    policy = OutboundPolicy(order=CandidateOrder.RECEIVED_FIRST)
    context = {"department": "sales", "received_by": "robot"}
    assert answer(policy=policy, **context).account_id == "robot"
    answered = answer(policy=policy, answered_from=spec("alert@example.org"), **context)
    assert answered.account_id == "alert"


@pytest.mark.parametrize(
    ("received_by", "expected"),
    [
        ("shop@example.org", '"Shop" <shop@example.org>'),
        ("SHOP@example.org", '"Shop" <shop@example.org>'),
        ("shop+token@example.org", '"Shop" <shop@example.org>'),
        ("sales+token@example.org", '"Sales" <sales@example.org>'),
        ("quotes@example.org", '"Sales" <sales@example.org>'),
        ("old@example.org", '"Sales" <sales@example.org>'),
        ("old+token@example.org", '"Sales" <sales@example.org>'),
        ("anything@all.example", '"Sales" <sales@example.org>'),
    ],
)
def test_a_ticket_answers_as_what_the_customer_wrote_to(received_by, expected):
    """A send-as alias answers as itself; behind any other address its account answers."""
    resolution = answer(received_by=spec(received_by))
    assert (resolution.account_id, str(resolution.from_)) == ("sales", expected)


@pytest.mark.parametrize("choice", ["old@example.org", "quotes@example.org", "x@all.example"])
def test_an_agent_cannot_choose_what_nothing_leaves_from(choice):
    """An explicit choice is taken exactly or not at all, and the trace says why."""
    resolution = answer(agent_choice=spec(choice))
    assert resolution.account_id == "default"
    [step] = [step for step in resolution.trace if step.step == "agent's choice"]
    assert step.verdict == "passed over"
    assert choice in step.because


def with_mta(*, silent_from="silent", mta=None, **settings):
    """Answer from an account without a server, so that mail leaves through the default MTA."""
    relay = account("relay", outbound=attrs.evolve(SMTP, **settings)) if mta is None else mta
    desk = Directory(
        accounts=(account("silent", outbound=None), relay),
        default_account=silent_from,
        default_mta="relay",
    )
    return answer(desk=desk)


def test_the_default_mta_sends_as_it_is_what_it_may():
    """A domain of `may_send_as` lets another account's From through untouched."""
    resolution = with_mta(may_send_as=MaySendAs(domains=("example.org",)))
    [plan] = resolution.transports
    assert (plan.account_id, str(plan.from_.addr), plan.sender, plan.reply_to) == (
        "relay",
        "silent@example.org",
        None,
        (),
    )
    assert resolution.reverse_path == spec("silent@example.org")


def test_the_default_mta_may_add_a_sender():
    """With SENDER the From stays, Sender and reverse-path are the server's own."""
    resolution = with_mta(other_from=OtherFrom.SENDER)
    assert str(resolution.from_.addr) == "silent@example.org"
    assert resolution.sender == NamedAddress.parse("Relay <relay@example.org>")
    assert resolution.reply_to == ()
    assert resolution.reverse_path == spec("relay@example.org")


def test_the_default_mta_may_rewrite_from():
    """With REWRITE the original is in Reply-To and in the name."""
    resolution = with_mta(other_from=OtherFrom.REWRITE)
    assert resolution.account_id == "silent"
    assert str(resolution.from_) == '"Silent (silent@example.org)" <relay@example.org>'
    assert resolution.reply_to == (NamedAddress.parse("Silent <silent@example.org>"),)
    assert resolution.sender is None
    assert resolution.reverse_path == spec("relay@example.org")


def test_a_rewritten_from_without_a_name_shows_the_address():
    """An original without a name gives its address as the name."""
    bare = EmailAccount(id="bare", address=NamedAddress.parse("bare@b.example"))
    relay = account("relay", outbound=attrs.evolve(SMTP, other_from=OtherFrom.REWRITE))
    desk = Directory(accounts=(bare, relay), default_account="bare", default_mta="relay")
    assert str(answer(desk=desk).from_) == '"bare@b.example" <relay@example.org>'


def test_a_server_that_refuses_leaves_the_next_candidate():
    """With REFUSE, mail leaves as the default MTA's own address at last."""
    resolution = with_mta(other_from=OtherFrom.REFUSE)
    assert resolution.account_id == "relay"
    assert str(resolution.from_.addr) == "relay@example.org"
    verdicts = [(step.step, step.verdict) for step in resolution.trace]
    at = verdicts.index(("default account", "passed over"))
    assert verdicts[at : at + 3] == [
        ("default account", "passed over"),
        ("server of silent", "passed over"),
        ("server of relay", "passed over"),
    ]
    assert ("default MTA", "accepted") in verdicts


def test_both_servers_are_planned_in_order():
    """An account's own server comes first, the default MTA takes over when it fails."""
    desk = attrs.evolve(
        DESK,
        accounts=(
            *DESK.accounts,
            account("relay", outbound=attrs.evolve(SMTP, other_from=OtherFrom.SENDER)),
        ),
        default_mta="relay",
    )
    plans = answer(desk=desk, department="sales").transports
    assert [(plan.account_id, plan.sender is not None) for plan in plans] == [
        ("sales", False),
        ("relay", True),
    ]


def test_a_disabled_account_does_not_answer_through_the_default_mta():
    """An account that is switched off is passed over, though another server could send it."""
    relay = account("relay", outbound=attrs.evolve(SMTP, other_from=OtherFrom.SENDER))
    desk = Directory(
        accounts=(account("off", enabled=False), relay), default_account="off", default_mta="relay"
    )
    resolution = answer(desk=desk)
    assert resolution.account_id == "relay"
    assert "the account off is disabled" in [step.because for step in resolution.trace]


@pytest.mark.parametrize(
    ("relay", "because"),
    [
        (account("relay", enabled=False), "the account is disabled"),
        (account("relay", outbound=None), "the account has no outbound server"),
        (account("relay", outbound=attrs.evolve(SMTP, enabled=False)), "its outbound server is disabled"),
    ],
)  # fmt: skip
def test_without_a_server_nothing_is_resolved(relay, because):
    """No way out is an error that has every step with its reason."""
    with pytest.raises(OutboundUnresolvedError) as caught:
        with_mta(mta=relay)
    assert because in [step.because for step in caught.value.tried]
    assert caught.value.hint


def test_an_empty_directory_tells_all_it_looked_for():
    """Even with nothing configured, the error names each place that was looked at."""
    with pytest.raises(OutboundUnresolvedError) as caught:
        resolve(Directory(), purpose=Purpose.AUTORESPONSE)
    assert [step.step for step in caught.value.tried] == [
        "automatic-response account",
        "agent's choice",
        "ticket",
        "department",
        "received by",
        "default account",
        "default MTA",
    ]
    assert {step.verdict for step in caught.value.tried} == {"passed over"}
    with pytest.raises(OutboundUnresolvedError) as caught:
        resolve(Directory(), purpose=Purpose.ALERT)
    assert "alert account" in [step.step for step in caught.value.tried]


def test_with_sending_switched_off_the_answer_is_the_same():
    """A host can show what would happen; the trace says that nothing leaves for now."""
    off = answer(desk=attrs.evolve(DESK, sending=False), department="sales")
    on = answer(department="sales")
    assert attrs.evolve(off, trace=on.trace) == on
    assert off.trace[0].step == "sending"
    assert off.trace[1:] == on.trace


@pytest.mark.parametrize(
    ("purpose", "settings", "expected"),
    [
        (Purpose.REPLY, {}, "default@example.org"),
        (Purpose.AUTORESPONSE, {}, "default@example.org"),
        (Purpose.AUTORESPONSE, {"bounce_address": spec("b@example.org")}, "b@example.org"),
        (Purpose.REPLY, {"bounce_address": spec("b@example.org")}, "b@example.org"),
        (Purpose.AUTORESPONSE, {"null_reverse_path": True}, None),
        (Purpose.AUTORESPONSE, {"null_reverse_path": True, "bounce_address": spec("b@example.org")}, None),
        (Purpose.REPLY, {"null_reverse_path": True}, "default@example.org"),
        (Purpose.ALERT, {"null_reverse_path": True}, "default@example.org"),
        (Purpose.SYSTEM, {"null_reverse_path": True}, "default@example.org"),
    ],
)  # fmt: skip
def test_the_reverse_path_is_ours_or_null_where_the_account_says_so(purpose, settings, expected):
    """Bounces come back to us; only automatic responses may leave with `<>`, and only if told."""
    desk = Directory(
        accounts=(account("default", outbound=attrs.evolve(SMTP, **settings)),),
        default_account="default",
    )
    path = answer(desk=desk, purpose=purpose).reverse_path
    assert expected == (None if path is None else str(path))


def reach(purpose=Purpose.REPLY, **context):
    """Return To and Cc as texts."""
    found = recipients(DESK, purpose=purpose, context=OutboundContext(**context))
    return [str(one) for one in found.to], [str(one) for one in found.cc]


def test_a_reply_goes_to_reply_to_before_from():
    """Reply-To stands for From when it is there."""
    assert reach(from_=("a@b.example",)) == (["a@b.example"], [])
    assert reach(from_=("a@b.example",), reply_to=("r@b.example", "s@b.example")) == (
        ["r@b.example", "s@b.example"],
        [],
    )


@pytest.mark.parametrize(
    "reply_to", [("sales+x@example.org",), ("old@example.org",), ("not an address",), ("no@b.example",)]
)  # fmt: skip
def test_an_unusable_reply_to_leaves_from(reply_to):
    """Our own address, a broken or a suppressed one in Reply-To does not swallow the reply."""
    suppressed = frozenset({"no@b.example"})
    to, _ = reach(from_=("a@b.example",), reply_to=reply_to, suppressed=suppressed)
    assert to == ["a@b.example"]


def test_cc_is_without_us_the_suppressed_and_those_in_to():
    """Nobody gets a reply twice, and none of ours gets one at all."""
    to, cc = reach(
        from_=("a@b.example", "A@B.example"),
        cc=(
            "A@b.example",
            "Help <sales@example.org>",
            "x@all.example",
            "c@d.example",
            '"C" <C@D.example>',
            "no@b.example",
            "broken@",
        ),
        suppressed=frozenset({"no@b.example"}),
    )
    # In a catch-all domain colleagues have addresses too.
    assert (to, cc) == (["a@b.example"], ["x@all.example", "c@d.example"])


def test_without_a_customer_nobody_in_cc_is_written_to():
    """When nobody is left in To, the mail goes to nobody, and the trace says so."""
    resolution = resolve(
        DESK,
        purpose=Purpose.REPLY,
        context=OutboundContext(
            from_=("a@b.example",), cc=("c@d.example",), suppressed=frozenset({"a@b.example"})
        ),
    )
    assert (resolution.recipients.to, resolution.recipients.cc) == ((), ())
    assert ("from", "a@b.example is suppressed") in [
        (step.step, step.because) for step in resolution.trace
    ]
    assert resolution.trace[-1].because == "nobody is left in To"


@pytest.mark.parametrize(
    ("return_path", "expected"),
    [
        ("<a@b.example>", ["a@b.example"]),
        ("a@b.example", ["a@b.example"]),
        ("<>", []),
        ("", []),
        (None, []),
        ("<sales@example.org>", []),
        ("<<a@b.example>", []),
    ],
)
def test_an_automatic_response_goes_to_the_return_path_only(return_path, expected):
    """Never to From, Reply-To or Cc; with a null Return-Path to nobody (RFC 3834)."""
    to, cc = reach(
        Purpose.AUTORESPONSE,
        from_=("f@b.example",),
        reply_to=("r@b.example",),
        cc=("c@b.example",),
        return_path=return_path,
    )
    assert (to, cc) == (expected, [])


def test_an_automatic_response_with_nowhere_to_go_says_so():
    """The resolution has no recipients, and its trace the reason."""
    resolution = answer(purpose=Purpose.AUTORESPONSE, return_path="<>")
    assert resolution.recipients.to == ()
    assert resolution.trace[-1].step == "return-path"


def test_alerts_go_to_those_who_are_named():
    """Alerts have no default; a system notice falls to the admin."""
    assert reach(Purpose.ALERT, notify=("jane@example.org", "sales@example.org")) == (
        ["jane@example.org"],
        [],
    )
    assert reach(Purpose.ALERT, from_=("a@b.example",)) == ([], [])
    assert reach(Purpose.SYSTEM) == (["admin@example.net"], [])
    assert reach(Purpose.SYSTEM, notify=("ops@example.net",)) == (["ops@example.net"], [])
    nobody = recipients(Directory(), purpose=Purpose.SYSTEM, context=OutboundContext())
    assert nobody.to == ()


def test_a_hostile_address_does_not_flood_the_trace():
    """What a stranger wrote is quoted short and escaped."""
    found = recipients(
        DESK, purpose=Purpose.REPLY, context=OutboundContext(from_=("x\r\n" * 9999,))
    )
    assert all(len(step.because) < 300 and "\n" not in step.because for step in found.trace)
