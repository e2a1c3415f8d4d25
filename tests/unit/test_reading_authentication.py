"""Authentication-Results by RFC 8601, and as servers really write it."""

import pytest
from hypothesis import given, strategies as st

from mailrouting.reading import (
    AuthenticationResults,
    MethodResult,
    ReadingLimits,
    parse_authentication_results,
    read,
)

GMAIL = (
    "mx.google.com; dkim=pass header.i=@x.example header.s=s1 header.b=AbC/d12; "
    "spf=pass (google.com: domain of a@x.example designates 192.0.2.1 as permitted sender) "
    "smtp.mailfrom=a@x.example; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=x.example"
)
MICROSOFT = (
    "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=x.example; dkim=pass (signature was verified) "
    "header.d=x.example;dmarc=pass action=none header.from=x.example;compauth=pass reason=100"
)


def methods(found: AuthenticationResults) -> list[tuple[str, str]]:
    """Return methods and results."""
    return [(one.method, one.result) for one in found.results]


def test_gmail_writes_its_name_and_comments():
    """Comments are left out, properties keep their order and spelling."""
    found = parse_authentication_results(GMAIL)
    assert found.authserv_id == "mx.google.com"
    assert methods(found) == [("dkim", "pass"), ("spf", "pass"), ("dmarc", "pass")]
    assert found.results[0].properties == (
        ("header.i", "@x.example"),
        ("header.s", "s1"),
        ("header.b", "AbC/d12"),
    )
    assert found.results[2] == MethodResult(
        method="dmarc", result="pass", properties=(("header.from", "x.example"),)
    )
    assert found.raw == GMAIL


def test_microsoft_writes_no_name():
    """Without an authserv-id the first result is a result, and its own words are properties."""
    found = parse_authentication_results(MICROSOFT)
    assert found.authserv_id == ""
    assert methods(found)[0] == ("spf", "pass")
    assert found.results[2].properties == (("action", "none"), ("header.from", "x.example"))
    assert (found.results[3].method, found.results[3].reason) == ("compauth", "100")


@pytest.mark.parametrize(
    ("value", "authserv_id", "results"),
    [
        ("mx.x.org; none", "mx.x.org", []),
        ("mx.x.org 1; none", "mx.x.org", []),
        ("mx.x.org", "mx.x.org", []),
        ('"mx x.org"; spf=pass', "mx x.org", [("spf", "pass")]),
        ("(c) mx.x.org (d (e)) ; SPF/1 = Pass", "mx.x.org", [("spf", "pass")]),
        ("mx.x.org;; ;spf=pass;", "mx.x.org", [("spf", "pass")]),
        ("mx.x.org; dmarc=pass=fail", "mx.x.org", [("dmarc", "")]),
        ("mx.x.org; word dmarc=pass", "mx.x.org", []),
        ('mx.x.org; spf=pass smtp.mailfrom="x; dmarc=pass"@y', "mx.x.org", [("spf", "pass")]),
        (r"mx.x.org; spf=pass (a \) ; dmarc=pass)", "mx.x.org", [("spf", "pass")]),
        ("mx.x.org; dmarc=pass (not closed; spf=fail", "", []),
        ('mx.x.org; dmarc=pass header.from="x', "", []),
        ("mx.x.org; dmarc=pass ) spf=fail", "", []),
        ("mx.x.org; /=pass", "mx.x.org", []),
        ("", "", []),
    ],
)
def test_forms_and_forgeries(value, authserv_id, results):
    """What is quoted or in a comment is no result; a field that is cut off says nothing."""
    found = parse_authentication_results(value)
    assert (found.authserv_id, methods(found)) == (authserv_id, results)


def test_quoted_values_keep_their_characters():
    """Separators inside quotes belong to the value."""
    found = parse_authentication_results(
        'mx.x.org; spf=fail reason="a; b=c" smtp.mailfrom="q r"@x.org'
    )
    assert found.results[0].reason == "a; b=c"
    assert found.results[0].values("smtp.mailfrom") == ("q r@x.org",)


def test_private_characters_do_not_become_separators():
    """No character of the field can stand for a quoted separator."""
    found = parse_authentication_results("mx.x.org; spf=pass\ue001 dmarc\ue002pass x=a\ue000b")
    assert methods(found) == [("spf", "pass\ufffd")]
    assert found.results[0].properties == (("x", "a\ufffdb"),)


def test_property_that_stands_twice_is_shown_twice():
    """A second header.from cannot replace the first unseen."""
    found = parse_authentication_results("mx; dmarc=pass header.from=a.org header.from=b.org")
    assert found.results[0].values("header.from") == ("a.org", "b.org")


def test_position_counts_the_received_fields_above():
    """Where a field stands says which server may have written it."""
    message = read(
        b"Authentication-Results: top; spf=pass\r\nReceived: from a\r\nReceived: from b\r\n"
        b"Authentication-Results: below; spf=pass\r\nFrom: a@b.c\r\n\r\nx"
    )
    found = [(one.authserv_id, one.position) for one in message.authentication_results]
    assert found == [("top", 0), ("below", 2)]


def test_nested_mail_adds_no_results():
    """Fields of an attached mail are that mail's (RFC 8601 §4.1, T16)."""
    message = read(
        b"From: a@b.c\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Authentication-Results: mx; dmarc=pass header.from=b.c\r\n\r\nx"
    )
    assert message.authentication_results == ()


def test_field_that_the_limit_cuts_says_nothing():
    """Behind the cut a fail might stand."""
    field = b"Authentication-Results: mx; dmarc=pass header.from=b.c; " + b"x" * 500
    message = read(field + b"\r\n\r\nx", limits=ReadingLimits(value_bytes=200))
    assert message.authentication_results[0].results == ()


def test_too_many_results_say_nothing():
    """A field with hundreds of results is no server's."""
    assert parse_authentication_results("mx" + "; spf=pass" * 201).results == ()


@given(st.text(alphabet='ab;="()\\ ./\ue001', max_size=80))
def test_no_text_breaks_the_parser(value):
    """Whatever stands in the field is parsed, and no method or result holds a separator."""
    found = parse_authentication_results(value)
    for one in found.results:
        assert one.method
        assert found.raw == value
