"""What holds for every mail that can be sent."""

import json
import re

from hypothesis import example, given, strategies as st

from mailrouting.reading import Defect, identify, read, to_json_dict

_NAMES = st.sampled_from(
    [
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"References", b"Content-Type", b"Return-Path",
        b"Content-Disposition", b"Content-Transfer-Encoding", b"Auto-Submitted", b"X-Priority", b"Fr\0om",
    ]
)  # fmt: skip
_PIECES = st.sampled_from(
    [
        b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"<", b">", b"@", b'"', b"(", b")", b",", b";", b":", b"\\", b"a", b" ",
        b"\r\n ", b"\r", b"\0", b"\xff", b"\xc3\xa9", b"multipart/mixed; boundary=b", b"text/html", b"charset=",
        b"filename*0*=", b"utf-16", b"%ff", b"message/rfc822", b"base64", b"name=", b"=", b"'", b"Mon, 2 Mar 2026",
        b"multipart/report; report-type=delivery-status; boundary=b", b"message/delivery-status", b"/", b"-",
    ]
)  # fmt: skip
_VALUES = st.lists(_PIECES, max_size=12).map(b"".join)
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES), max_size=8).map(
    lambda fields: b"".join(name + b": " + value + b"\r\n" for name, value in fields)
)
_BODY_PIECES = st.sampled_from(
    [
        b"\r\n", b"\n", b"--b\r\n", b"--b--\r\n", b"> ", b"On Mon, Mar 2, 2026 at 9:00 A wrote:\n", b"-- \n", b"From: a@b\n",
        b"<div>", b"</div>", b"<!--", b"<style>", b"&amp;", b"text ", b"\xff", b"=3D", b"a@b.c 550 5.1.1 unknown user\n",
        b"Content-Type: text/html\r\n\r\n", b"Content-Type: multipart/alternative; boundary=b\r\n\r\n", b"Subject: x\n",
        b"---- Forwarded message ----\n", b"To: c@d\n", b"Action: failed\r\n", b"Final-Recipient: rfc822; a@b\r\n",
    ]
)  # fmt: skip
_MAILS = st.tuples(_FIELDS, st.lists(_BODY_PIECES, max_size=25).map(b"".join)).map(
    lambda pair: pair[0] + b"\r\n" + pair[1]
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@given(st.binary(max_size=2000) | _MAILS)
@example(b"")
@example(b"\r\n--")
@example(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b")
def test_no_bytes_break_the_reader(raw):
    """Whatever comes is read without an internal fault, and can be written as JSON."""
    message = read(raw)
    assert message.raw == raw
    assert Defect.READER_FAULT not in message.defects
    json.dumps(to_json_dict(message), ensure_ascii=False).encode()


@given(_MAILS)
def test_texts_of_the_header_hold_no_control_character(raw):
    """Nothing that is echoed into another header can begin a new field."""
    message = read(raw)
    people = (*message.from_all, *message.to)
    texts = [message.subject or "", message.message_id or "", *message.references]
    texts += [text for one in people for text in (one.name, one.address)]
    texts += [one.filename or "" for one in message.attachments]
    assert not [text for text in texts if _CONTROL.search(text)]


@given(_MAILS)
def test_reply_view_loses_nothing(raw):
    """The spans cover the text without gap or overlap."""
    message = read(raw)
    reply = message.reply
    assert reply.text == (message.text or "")
    assert "".join(reply.text[span.start : span.end] for span in reply.spans) == reply.text


@given(_MAILS)
def test_safe_names_are_harmless_and_unique(raw):
    """No name leaves its folder, hides its end or meets another."""
    names = [one.safe_name for one in read(raw).attachments]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert name.strip(" .")
        assert not set(name) & set('/\\:*?"<>|')
        assert len(name) <= 150


@given(_MAILS)
def test_line_ends_do_not_change_identity(raw):
    """A mail has one identity whether its lines end in CRLF or LF."""
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert identify(raw) == identify(lines) == identify(lines.replace(b"\n", b"\r\n"))
