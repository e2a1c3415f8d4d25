"""Header fields: what `read` makes of them, and the defects it names."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailrouting.reading import Defect, HeaderAddress, Priority, ReadingLimits, read


def mail(*fields: bytes, body: bytes = b"Hello\r\n") -> bytes:
    """Build a mail of fields and a body."""
    return b"\r\n".join([*fields, b"", body])


def from_(value: bytes):
    """Return the sender that is read of a From value."""
    return read(mail(b"From: " + value)).from_


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        (b"ann@example.org", "", "ann@example.org"),
        (b"Ann <ann@example.org>", "Ann", "ann@example.org"),
        (b'"Doe, Ann" <ann@example.org>', "Doe, Ann", "ann@example.org"),
        (b'"Ann \\"A\\" Doe" <ann@example.org>', 'Ann "A" Doe', "ann@example.org"),
        (b"ann@example.org (Ann Doe)", "Ann Doe", "ann@example.org"),
        (b"(a (nested) comment) ann@example.org", "a (nested) comment", "ann@example.org"),
        (b"=?utf-8?q?Doe=2C_J=C3=BCrgen?= <j@example.org>", "Doe, Jürgen", "j@example.org"),
        (b'"=?utf-8?b?SsO8cmdlbg==?=" <j@example.org>', "Jürgen", "j@example.org"),
        ("Jürgen <j@example.org>".encode(), "Jürgen", "j@example.org"),
        ("Jürgen <j@example.org>".encode("cp1252"), "Jürgen", "j@example.org"),
        (b"Ann <ann@example.org", "Ann", "ann@example.org"),
        (b"ann @ example . org", "", "ann@example.org"),
        (b"Ann Doe ann@example.org", "Ann Doe", "ann@example.org"),
        (b'"john doe"@example.org', "", '"john doe"@example.org'),
        (b"<@relay.example,@hub.example:ann@example.org>", "", "ann@example.org"),
        (b"<mailto:ann@example.org>", "", "ann@example.org"),
        (b"Pete(A chap) <pete(his account)@example.org>", "Pete", "pete@example.org"),
        (b"'Ann' <ann@example.org>", "Ann", "ann@example.org"),
        (b"root", "", "root"),
        (b'"Ann Doe"', "Ann Doe", ""),
        (b"ann@example.org <>", "", "ann@example.org"),
        (b"Ticket: 5 <ann@example.org>", "Ticket: 5", "ann@example.org"),
        (b'"a" <a@[>', "a", "a@["),
        (b"jo@", "", "jo@"),
        (b"Ann <not an address> <ann@example.org>", "Ann <not an address>", "ann@example.org"),
        (b"Ann (half a comment <ann@example.org>", "Ann (half a comment", "ann@example.org"),
    ],
)
def test_address_is_read_as_people_write_it(value, name, address):
    """Names, comments, quotes, encoded words and slips give the address that is meant."""
    assert from_(value) == HeaderAddress(name, address)


def test_encoded_word_never_becomes_an_address():
    """What stands inside an encoded word is a name, also when it looks like an address."""
    assert from_(b"=?utf-8?q?Boss_=3Cboss=40example.org=3E?=") == HeaderAddress(
        "Boss <boss@example.org>", ""
    )


def test_groups_and_semicolons_separate_addresses():
    """A group's name is no address, and `;` separates as `,` does."""
    message = read(mail(b"To: Team: a@x.org, b@x.org;, c@x.org; d@x.org", b"Cc: undisclosed:;"))
    assert [one.address for one in message.to] == ["a@x.org", "b@x.org", "c@x.org", "d@x.org"]
    assert message.cc == ()


def test_several_to_fields_are_joined():
    """Addresses of repeated fields come in order, and the repetition is a defect."""
    message = read(mail(b"To: a@x.org", b"To: b@x.org"))
    assert [one.address for one in message.to] == ["a@x.org", "b@x.org"]
    assert Defect.DUPLICATE_FIELD in message.defects


def test_addresses_beyond_the_limit_are_left_out():
    """A field with very many addresses is read up to the limit, and the rest is a defect."""
    message = read(mail(b"To: " + b"a@x.org," * 300))
    assert len(message.to) == 200
    assert Defect.ADDRESS_LIMIT in message.defects


@pytest.mark.parametrize(
    "raw",
    [
        mail(b"From: a@x.org", b"From: evil@y.org"),
        mail(b"From: a@x.org, evil@y.org"),
        mail(b"From: <a@x.org> <evil@y.org>"),
        mail(b"From: alice@good)bob@evil"),
        mail(b"From: a@x.org\rFrom: evil@y.org"),
    ],
)
def test_ambiguous_from_is_a_defect(raw):
    """Two possible senders are never silently one (T27)."""
    assert Defect.AMBIGUOUS_FROM in read(raw).defects


def test_bare_cr_ends_a_header_line():
    """A field behind a bare CR is a field of its own, and a defect says so."""
    message = read(mail(b"From: a@x.org\rFrom: evil@y.org"))
    assert [one.address for one in message.from_all] == ["a@x.org", "evil@y.org"]
    assert Defect.BARE_CR in message.defects


def test_address_in_display_name_is_a_defect():
    """A name that shows another address is marked, and the address stays the real one (T26)."""
    message = read(mail(b'From: "support@corp.example" <evil@x.org>'))
    assert message.from_ == HeaderAddress("support@corp.example", "evil@x.org")
    assert Defect.ADDRESS_IN_NAME in message.defects


@pytest.mark.parametrize(
    "name", ["help＠corp.example", "help﹫corp.example", "\u202eelpmaxe\u202c", "\u2066help\u2069"]
)
def test_name_that_passes_for_an_address_is_a_defect(name):
    """Other commercial ats, and what turns the direction of text, are marked as well (T26)."""
    for written in (name.encode(), b"=?utf-8?b?" + base64.b64encode(name.encode()) + b"?="):
        message = read(mail(b"From: " + written + b" <evil@x.org>"))
        assert message.from_.address == "evil@x.org"
        assert Defect.ADDRESS_IN_NAME in message.defects


@pytest.mark.parametrize("name", ["Ann Lee", "Åsa Öberg", "\u200fדנה\u200f", "李雷"])
def test_honest_names_have_no_defect(name):
    """Letters of any script are a name, and so are the mere marks of direction."""
    assert read(mail(f"From: {name} <ann@x.org>".encode())).defects == ()


@pytest.mark.parametrize(
    "value", [b"ann@x.org (Ann Lee)", b"(Ann Lee) ann@x.org", b"<ann@x.org> (Ann Lee)"]
)
def test_comment_is_the_name_where_there_is_no_other(value):
    """The form that RFC 822 programs wrote names the person in a comment (RFC 5322 §3.4)."""
    assert read(mail(b"From: " + value)).from_ == HeaderAddress("Ann Lee", "ann@x.org")


@pytest.mark.parametrize(
    ("raw", "defect"),
    [
        (b"From : a@x.org\r\nSubject : hi\r\n\r\n", Defect.SPACE_BEFORE_COLON),
        (b"\r\n\r\nFrom: a@x.org\r\nSubject: hi\r\n\r\n", Defect.LEADING_BLANK_LINES),
        (b"Fr\0om: a@x.org\r\nSubject: hi\r\n\r\n", Defect.NUL),
        (
            b"From joe Mon Mar  2 09:00:00 2026\r\nFrom: a@x.org\r\nSubject: hi\r\n\r\n",
            Defect.MBOX_LINE,
        ),
        (b"From joe@x.org\nFrom: a@x.org\nSubject: hi\n\n", Defect.MBOX_LINE),
        (b"From: a@x.org\r\nSubject: hi\r\nno field here\r\n", Defect.MISSING_BLANK_LINE),
    ],
)
def test_header_that_hides_is_read_all_the_same(raw, defect):
    """Ways to hide a header from a parser are read and named (T28)."""
    message = read(raw)
    assert message.from_ == HeaderAddress("", "a@x.org")
    assert message.subject == "hi"
    assert defect in message.defects


def test_mail_of_an_old_mac_is_read():
    """A mail whose only line ends are CR has header and body."""
    message = read(b"From: a@x.org\rSubject: hi\r\rOne\rTwo\r")
    assert (message.subject, message.text) == ("hi", "One\nTwo\n")


def test_utf8_mark_before_the_header_is_skipped():
    """A byte order mark does not hide the first field."""
    assert read(b"\xef\xbb\xbfSubject: hi\r\n\r\n").subject == "hi"


def test_mail_without_header_is_all_body():
    """Text alone is a body, with a defect."""
    message = read(b"\r\nJust text\r\n")
    assert message.text == "Just text\n"
    assert {Defect.NO_HEADER, Defect.MISSING_FROM} <= set(message.defects)


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (b"Plain", "Plain"),
        (b"folded\r\n\tline", "folded line"),
        (b"=?UTF-8?Q?=C3=A9t=C3=A9?= =?UTF-8?Q?_ol=C3=A9?=", "été olé"),
        (b"=?utf-8?b?4p2?= =?utf-8?b?k77iP?= end", "❤️ end"),
        (b"=?utf-8?q?=E2=9D?= =?utf-8?q?=A4?=", "❤"),
        (b"=?iso-2022-jp?B?GyRCJUYlOSVIGyhC?=", "テスト"),
        (b"\x1b$B%F%9%H\x1b(B", "テスト"),
        (b"=?iso-8859-1*en?q?=E9t=E9?=", "été"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"=?utf-8?q?Why?=20not?=", "Why?=20not".replace("?=20", "? ")),
        (b"=?utf-8?b?SGVsbG8", "Hello"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?x y?q?abc?=", "=?x y?q?abc?="),
        (b"=?utf-8?q?", "=?utf-8?q?"),
        (b"=?unknown-1?q?=C3=A9t=C3=A9?=", "été"),
        (b"=?utf-7?q?+AGEAYg-?=", "ab"),
        (b"50% =?= off", "50% =?= off"),
        (b"=?utf-8?q?x=0d=0aBcc:_all=40x.org?=", "x Bcc: all@x.org"),
    ],
)
def test_subject_is_decoded_and_one_line(value, subject):
    """Encoded words in all their abuses; a control character never survives."""
    assert read(mail(b"Subject: " + value)).subject == subject


def test_encoded_words_beyond_the_limit_stay():
    """Of very many encoded words the first are decoded."""
    subject = read(mail(b"Subject: " + b"=?utf-8?q?a?= x " * 300)).subject
    assert subject is not None
    assert subject.startswith("a x a x")
    assert "=?utf-8?q?a?=" in subject


def test_message_ids_are_read_without_brackets_oldest_first():
    """Ids lose brackets, comments and text around them, and stand once."""
    message = read(
        mail(
            b"Message-ID: <3@x.org>",
            b"In-Reply-To: Your message of Monday <2@x.org>",
            b"References: <1@x.org> (Bob)\r\n\t<2@x.org> <2@x.org> <3\r\n @x.org>",
        )
    )
    assert message.message_id == "3@x.org"
    assert message.in_reply_to == ("2@x.org",)
    assert message.references == ("1@x.org", "2@x.org", "3@x.org")


def test_ids_without_brackets_are_ids():
    """Programs that forget the brackets still thread."""
    message = read(mail(b"Message-ID: 1@x.org", b"References: 2@x.org 3@x.org word"))
    assert message.message_id == "1@x.org"
    assert message.references == ("2@x.org", "3@x.org")


def test_empty_message_id_is_none():
    """A field with nothing in it is no id."""
    assert read(mail(b"Message-ID: <>")).message_id is None


@pytest.mark.parametrize("value", [b"Doe, Ann <ann@x.org>", b"Doe; ann@x.org", b"Doe, <ann@x.org>"])
def test_sender_is_who_has_an_address(value):
    """A name with a bare comma is two entries: the sender is the one that can be written to."""
    message = read(b"From: " + value + b"\r\n\r\nhello")
    assert message.from_.address == "ann@x.org"
    assert Defect.AMBIGUOUS_FROM in message.defects


def test_sender_without_an_at_is_the_first():
    """Where nobody has an address, who stands first is the sender."""
    assert read(b"From: MAILER-DAEMON, root\r\n\r\nhello").from_.address == "MAILER-DAEMON"


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (
            b"Mon, 2 Mar 2026 09:00:00 +0100",
            datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=1))),
        ),
        (b"2 Mar 26 09:00 GMT (London)", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        (b"2026-03-02T09:00:00Z", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        (b"2026-03-02T09:00:00", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        (b"Mon, 2 Mar 2026 09:00:60 -0000", datetime(2026, 3, 2, 9, 0, 59, tzinfo=UTC)),
        (b"Mon, 2 Mar 2026 09:00:00 +02:00", datetime(2026, 3, 2, 7, tzinfo=UTC)),
        (b"Mon, 2 Mar 2026 09:00:00 GMT-0530", datetime(2026, 3, 2, 14, 30, tzinfo=UTC)),
        (b"2 Mar 2026 09:00", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        (b"Mon, 2 Mar 2026 9:00 PM +0100", datetime(2026, 3, 2, 20, tzinfo=UTC)),
        (b"Mon, March 2, 2026 9:00 p.m.", datetime(2026, 3, 2, 21, tzinfo=UTC)),
        (b"Mon, March 2, 2026 9:00:30am", datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC)),
        (b"2 Mar 2026 12:30 AM GMT", datetime(2026, 3, 2, 0, 30, tzinfo=UTC)),
        (b"2 Mar 2026 12:30 PM GMT", datetime(2026, 3, 2, 12, 30, tzinfo=UTC)),
        (b"2 Mar 2026 21:00 PM", datetime(2026, 3, 2, 21, tzinfo=UTC)),
        (b"2026-03-02 9:00 PM", datetime(2026, 3, 2, 21, tzinfo=UTC)),
        (b"Mon, 2 Mar 2026 09:00:00 +9900", datetime(2026, 3, 2, 9, tzinfo=UTC)),
    ],
)
def test_date_is_aware(value, date):
    """A date without a usable zone is UTC."""
    message = read(mail(b"Date: " + value))
    assert message.date == date
    assert message.date_text == value.decode()


@pytest.mark.parametrize(
    "value", [b"soon", b"2 Mar 1969 09:00 GMT", b"2 Mar 3609 09:00 GMT", b"31 Feb 2026 00:00 GMT"]
)
def test_unusable_date_is_a_defect(value):
    """A date outside 1970 to 2100, or none at all, is left out; its text stays."""
    message = read(mail(b"Date: " + value))
    assert message.date is None
    assert message.date_text == value.decode()
    assert Defect.BAD_DATE in message.defects


def test_delivery_fields_are_in_header_order():
    """Delivered-To, X-Original-To and Envelope-To keep their order, topmost first."""
    message = read(
        mail(b"X-Original-To: a@x.org", b"Delivered-To: b@x.org", b"Envelope-To: <c@x.org>")
    )
    assert message.delivered_to == ("a@x.org", "b@x.org", "c@x.org")


@pytest.mark.parametrize(
    ("fields", "return_path"),
    [
        ([], None),
        ([b"Return-Path: <>"], ""),
        ([b"Return-Path: <a@x.org>", b"Return-Path: <>"], "a@x.org"),
    ],
)
def test_return_path_is_the_topmost(fields, return_path):
    """The null reverse-path and a missing field are different things."""
    assert read(mail(*fields, b"From: a@x.org")).return_path == return_path


@pytest.mark.parametrize(
    ("field", "priority"),
    [
        (b"X-Priority: 1 (Highest)", Priority.HIGH),
        (b"Importance: high", Priority.HIGH),
        (b"X-MSMail-Priority: Normal", Priority.NORMAL),
        (b"X-Priority: 5", Priority.LOW),
        (b"X-Priority: soon", None),
        (b"X-Other: 1", None),
    ],
)
def test_priority_is_read(field, priority):
    """What programs write as priority has three values, or none."""
    assert read(mail(field)).priority is priority


def test_fields_can_be_looked_up():
    """`header` returns all decoded values without regard to case."""
    message = read(
        mail(
            b"Authentication-Results: mx.x.org; spf=pass",
            b"authentication-results: other; spf=fail",
            b"X-Auto-Response-Suppress: OOF, AutoReply",
            b"Reply-To: help@x.org",
            b"Sender: Bob <bob@x.org>",
            b"Bcc: c@x.org",
        )
    )
    values = ("mx.x.org; spf=pass", "other; spf=fail")
    assert message.header("Authentication-Results") == values
    assert tuple(one.raw for one in message.authentication_results) == values
    assert message.suppress_responses == {"oof", "autoreply"}
    assert message.reply_to == (HeaderAddress("", "help@x.org"),)
    assert message.sender == HeaderAddress("Bob", "bob@x.org")
    assert message.bcc == (HeaderAddress("", "c@x.org"),)


def test_long_value_is_cut_with_a_defect():
    """A value beyond the limit is read in part."""
    message = read(mail(b"Subject: " + b"x" * 40_000))
    assert message.subject == "x" * 16_384
    assert Defect.VALUE_LIMIT in message.defects


def test_long_header_is_cut_but_the_body_is_found():
    """Fields beyond the limit are left out; the body still begins behind the blank line."""
    raw = b"Subject: hi\r\n" + b"X: y\r\n" * 50 + b"\r\nbody\r\n"
    message = read(raw, limits=ReadingLimits(header_fields=10))
    assert (message.subject, message.text) == ("hi", "body\n")
    assert Defect.HEADER_LIMIT in message.defects


def test_encoded_words_in_authentication_results_stay_encoded():
    """A sender cannot smuggle a result into the field by encoding it into an address."""
    field = b"mx.x.org; spf=pass smtp.mailfrom==?utf-8?q?x=3B_dmarc=3Dpass?=@evil.example"
    message = read(b"Authentication-Results: " + field + b"\r\nFrom: a@b.c\r\n\r\nx")
    (found,) = message.authentication_results
    assert found.raw == field.decode()
    assert [one.method for one in found.results] == ["spf"]
