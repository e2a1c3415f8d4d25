"""The message builder: deterministic, valid, and read back as what it claims to be."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from mailrouting.reading import Kind, read
from mailrouting.testing import (
    AttachedFile,
    delivery_failure,
    list_post,
    make_message,
    reply_to,
    vacation_reply,
)

ONE_LINE = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"])).map(str.strip)
IMAGE = AttachedFile("logo.png", b"\x89PNG", "image/png", "logo@desk")
FILE = AttachedFile("Bericht ü.pdf", b"%PDF\r\n" * 30, "application/pdf")


def full():
    """Build a mail with everything."""
    return make_message(
        text="Grüße\n",
        html="<p>Grüße <img src='cid:logo@desk'></p>",
        cc="Ä Ö <a@b.example>, d@e.example",
        attachments=(IMAGE, FILE),
        in_reply_to="x" * 120 + "@y.example",
        references=["z" * 120 + "@y.example"] * 3,
    )


def test_the_same_arguments_give_the_same_bytes():
    """Nothing random is in a built mail."""
    assert full() == full()
    assert make_message() != make_message(subject="Other")
    first, second = read(make_message()), read(make_message(text="Other"))
    assert first.message_id != second.message_id


def test_a_built_mail_has_no_defects():
    """What is built is valid mail, whole, with lines that end as they should."""
    raw = full()
    message = read(raw)
    assert message.defects == ()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert message.text.strip() == "Grüße"
    assert [(one.filename, one.content) for one in message.attachments] == [
        ("logo.png", IMAGE.content),
        ("Bericht ü.pdf", FILE.content),
    ]
    assert message.in_reply_to == ("x" * 120 + "@y.example",)
    assert [one.name for one in message.cc] == ["Ä Ö", ""]


@given(subject=ONE_LINE, header=ONE_LINE)
def test_any_one_line_text_comes_back(subject, header):
    """Subjects and further fields are read back as they were given."""
    message = read(make_message(subject=subject, headers={"X-Test": header}))
    assert message.subject.split() == subject.split()
    assert " ".join(message.header("x-test")).split() == header.split()
    assert message.message_id


def test_a_field_of_two_lines_is_refused():
    """No value can add another field."""
    for changes in ({"subject": "a\r\nBcc: b"}, {"from_": "a\n"}, {"headers": {"X": "a\rb"}}):
        with pytest.raises(ValueError, match="one line"):
            make_message(**changes)


def test_fields_can_be_left_out_or_replaced():
    """None leaves a field out; `headers` replaces, whatever its case."""
    message = read(
        make_message(
            message_id=None,
            date=None,
            return_path=None,
            text=None,
            headers={"subject": "Replaced", "Content-Type": "text/html"},
        )
    )
    assert (message.message_id, message.date, message.return_path) == (None, None, None)
    assert message.header("subject") == ("Replaced",)
    assert message.header("content-type") == ("text/html",)
    assert read(make_message(text=None, html="<p>Hi</p>")).html.strip() == "<p>Hi</p>"
    when = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read(make_message(date=when)).date == when


@pytest.mark.parametrize(
    ("from_", "given", "expected"),
    [
        ("Carla <carla@customer.example>", "", "carla@customer.example"),
        ("carla@customer.example, evil@x.example", "", "carla@customer.example"),
        ("carla@customer.example", "other@x.example", "other@x.example"),
        ("carla@customer.example", "<>", ""),
    ],
)
def test_the_return_path(from_, given, expected):
    """Left out it is From's first address; `<>` is the null reverse-path."""
    assert read(make_message(from_=from_, return_path=given)).return_path == expected


def test_a_reply_answers_its_mail():
    """A reply goes back, with In-Reply-To and the whole chain of References."""
    first = make_message()
    second = reply_to(first)
    third = reply_to(second, from_="x@y.example", to="z@y.example", subject="Other")
    ids = [read(raw).message_id for raw in (first, second)]
    message = read(second)
    assert message.from_.address == "help@desk.example"
    assert message.to[0].address == "carla@customer.example"
    assert message.subject == "Re: Printer on fire"
    assert (message.in_reply_to, message.references) == ((ids[0],), (ids[0],))
    message = read(third)
    assert (message.in_reply_to, message.references) == ((ids[1],), tuple(ids))
    assert (message.from_.address, message.subject) == ("x@y.example", "Other")


def test_a_reply_to_a_mail_without_an_id_names_none():
    """Where there is no Message-ID there is nothing to refer to."""
    message = read(reply_to(make_message(message_id=None)))
    assert (message.in_reply_to, message.references) == ((), ())
    assert read(reply_to(b"Subject: x\r\n\r\n")).from_.address == "help@desk.example"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (make_message(), Kind.PERSONAL),
        (reply_to(make_message()), Kind.PERSONAL),
        (vacation_reply(make_message()), Kind.AUTOMATIC_REPLY),
        (list_post(), Kind.LIST),
        (delivery_failure(make_message()), Kind.BOUNCE),
        (delivery_failure(make_message(), status="4.2.2"), Kind.BOUNCE),
    ],
)
def test_the_catalogue_is_read_as_what_it_claims(raw, kind):
    """Every builder's mail is of its kind, and without defects."""
    message = read(raw)
    assert message.kind is kind
    assert message.defects == ()


def test_a_delivery_failure_reports_its_mail():
    """Recipient, status and the original's id are in the report."""
    message = read(delivery_failure(make_message(message_id="a@b.example")))
    (report,) = message.bounces
    assert (report.recipient, report.status, report.action) == (
        "help@desk.example",
        "5.1.1",
        "failed",
    )
    assert report.address_dead
    assert message.original_message_id == "a@b.example"
    assert message.return_path == ""
    delayed = read(delivery_failure(make_message(), recipient="x@y.example", status="4.2.2"))
    assert (delayed.bounces[0].action, delayed.bounces[0].recipient) == ("delayed", "x@y.example")


def test_a_vacation_notice_names_the_mail():
    """A vacation notice answers the mail and has the null reverse-path."""
    first = make_message()
    message = read(vacation_reply(first))
    assert message.in_reply_to == (read(first).message_id,)
    assert message.return_path == ""
