"""Hostile mail: each attack ends in a message, a defect and a short time."""

import base64
import gzip
import time

import pytest

from mailrouting.reading import Defect, ReadingLimits, read, reader as reader_module

HEAD = b"From: a@x.org\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
MIB = 1 << 20


def fill(pattern: bytes, size: int = MIB // 4) -> bytes:
    """Repeat a pattern up to a size."""
    return (pattern * (size // len(pattern) + 1))[:size]


def nested(depth: int) -> bytes:
    """Open multiparts inside multiparts."""
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )


def typed(content_type: bytes, body: bytes) -> bytes:
    """Build a mail of one type."""
    return HEAD + b"Content-Type: " + content_type + b"\r\n\r\n" + body


def read_in_time(raw: bytes):
    """Read, with a generous allowance for a busy machine: quadratic work takes far longer."""
    # This thread's own time, whatever else runs; a noisy machine gets two more tries.
    bound = 4 * max(len(raw) / MIB, 0.5)
    for _ in range(3):
        begin = time.thread_time()
        message = read(raw)
        taken = time.thread_time() - begin
        if taken < bound:
            break
    assert taken < bound
    assert Defect.READER_FAULT not in message.defects
    assert message.raw is raw
    return message


def test_depth_bomb_stays_an_attachment():
    """Three thousand nested multiparts are not walked (T38)."""
    message = read_in_time(HEAD + nested(3000) + b"text")
    assert Defect.DEPTH_LIMIT in message.defects
    assert len(message.attachments) == 1
    assert message.attachments[0].content.endswith(b"text")


def test_nesting_below_the_limit_is_read():
    """Twenty levels are read to the innermost text."""
    assert read(HEAD + nested(20) + b"\r\ntext").text == "text"


def test_many_parts_stay_one_attachment():
    """Of 300 000 parts the first are read (T39)."""
    message = read_in_time(typed(b"multipart/mixed; boundary=b", b"--b\r\n\r\nx\r\n" * 300_000))
    assert Defect.PART_LIMIT in message.defects
    assert len(message.attachments) == 1


def test_header_flood_is_cut():
    """Of a million fields the first are read (T40)."""
    message = read_in_time(b"a: b\r\n" * 1_000_000 + b"\r\nbody")
    assert len(message.header_fields) <= 1001
    assert message.text == "body"
    assert Defect.HEADER_LIMIT in message.defects


@pytest.mark.parametrize(
    "raw",
    [
        b"From: " + b"a" * 3_000_000 + b"\r\n\r\nbody",
        b"Subject: x\r\n" + b" y\r\n" * 200_000,
        b"Subject: x\r\n" + b"-" * 200_000 + b"\r\n\r\nbody",
        b"Subject: x\r\n" + b"a b " * 50_000 + b"\r\n\r\nbody",
        b"\r" * MIB,
        b"\n" * MIB,
        b"\0" * MIB,
        b"From: a\r" * 100_000,
        b"x" * MIB,
    ],
)
def test_odd_headers_are_read_in_time(raw):
    """Long lines, endless folding, bare CR, blank lines and NUL are linear."""
    read_in_time(raw)


@pytest.mark.parametrize(
    "pattern",
    [
        b'"', b"(", b"<", b":", b",", b";", b"a@b,", b"<a@b", b'<"', b":;", b"()", b"(a)b ", b"\\", b"@",
        b"=?", b"=?a?q?", b"=?a?q? ", b"=?utf-8?q?x?= ", b'"a" ', b"<a@b> ", b" ",
    ],
)  # fmt: skip
def test_hostile_address_fields_are_linear(pattern):
    """No address field, id list or encoded word takes long (T41)."""
    value = fill(pattern, 16_000)
    read_in_time(
        b"".join(name + value + b"\r\n" for name in (b"From: ", b"References: ", *[b"To: "] * 12))
    )


@pytest.mark.parametrize(
    "pattern", [b";", b";a=b", b";a", b" ", b';a="', b'="', b"(", b" (a)", b"; name*0=a;name*1=b"]
)
def test_hostile_parameters_are_linear(pattern):
    """No Content-Type or Content-Disposition takes long (T41)."""
    value = fill(pattern, 16_000)
    part = b"--b\r\nContent-Type: a/b;" + value + b"\r\nContent-Disposition: attachment;" + value
    read_in_time(typed(b"multipart/mixed; boundary=b", (part + b"\r\n\r\nx\r\n") * 60))


@pytest.mark.parametrize(
    "pattern",
    [
        b"<a ", b"</", b"<?", b"<![", b"<!--", b"<", b"&", b"&#", b"<div>", b"<p>", b"</p>", b"<ul><li>",
        b'<a href="', b'<a ">', b"<script>", b"<style></", b"<blockquote>", b'<div style="display:none">',
        b'<a href="http://x.org/y">t', b"<b></i>", b"<pre>\n", b"cid:", b"<title>",
    ],
)  # fmt: skip
def test_hostile_html_is_linear(pattern):
    """No HTML takes long: html.parser is quadratic on several of these (ecosystem study, §0)."""
    read_in_time(typed(b"text/html", fill(pattern)))


@pytest.mark.parametrize(
    "pattern",
    [
        b"On ", b"> ", b">", b"On 1\n", b"From: \n", b"From: a\nTo: b\n", b"-- \n", b"-", b"_\n", b" ", b"\n",
        b"On a <b@c\n", b"wrote:\n", b"Le <", b"begin forwarded message:\n", b"Sent from my \n",
        b"---- Forwarded message ---- From: a To: b Subject: c\n", b"<mailto:", b"a@b.c: 550 unknown user\n",
        b"From: a\nTo: b\nDate: c\n", b"On 1 Jan 2026 x wrote:\ny\n", b"--\n", b"-- \nx\n", b"Sent from my iPhone \n", b"Sent from ",
        b"a? ", b"On 1 Jan 2026 crashed. x\nwrote:\n", b"--\n1 1 1 1 1 1.", b"sorry ", b"> a\nb\n",
        "في ".encode() + b"1:11 \xd9\x85\xd9\x86 " * 40 + b":\n", "ב-".encode() + " ב-1:11".encode() * 40 + b":\n", b"Hello " * 90,
    ],
)  # fmt: skip
def test_hostile_text_is_linear(pattern):
    """Neither the reply view, nor forwards, nor bounces take long (T43)."""
    read_in_time(typed(b"text/plain", fill(pattern)))
    read_in_time(
        b"From: MAILER-DAEMON@x.org\r\nSubject: Fwd: Undelivered\r\nReturn-Path: <>\r\n\r\n"
        b"could not be delivered\n---- Forwarded message ----\n" + fill(pattern)
    )


def test_bounce_that_names_thousands_is_read_in_time():
    """Of the addresses in a bounce's text so many are judged as real bounces name."""
    lines = [b" ".join(b"u%d@b%d.c" % (line, one) for one in range(80)) for line in range(300)]
    message = read_in_time(
        b"From: MAILER-DAEMON@x.org\r\nSubject: Undelivered\r\nReturn-Path: <>\r\n\r\n"
        b"could not be delivered\n" + b" x\n".join(lines)
    )
    assert [one.recipient for one in message.bounces] == ["u0@b0.c"]


@pytest.mark.parametrize(
    ("encoding", "pattern"),
    [
        (b"base64", b"="),
        (b"base64", b"A="),
        (b"quoted-printable", b"=\r"),
        (b"quoted-printable", b"= "),
        (b"base64", b"QUJD\n"),
        (b"base64", b"QUJD\n\n"),
        (b"base64", b"A b\n"),
        (b"x-uuencode", b"M\n"),
    ],
)
def test_hostile_encodings_are_linear(encoding, pattern):
    """No transfer encoding takes long."""
    body = b"begin 644 a\n" + fill(pattern)
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    read_in_time(HEAD + field + b"\r\n" + body)


@pytest.mark.parametrize("pattern", [b"\r--", b"\n--", b"\n--" + b" " * 280, b"--b", b"\n--b-"])
def test_hostile_boundaries_are_linear(pattern):
    """Lines that nearly are boundaries cost nothing extra."""
    read_in_time(typed(b"multipart/mixed; boundary=b", fill(pattern)))


def test_long_boundary_is_not_split_by():
    """A boundary beyond the limit splits nothing; the body stays the text."""
    boundary = b"b" * 500
    body = b"--" + boundary + b"\r\n\r\ntext\r\n"
    message = read(typed(b"multipart/mixed; boundary=" + boundary, body))
    assert "text" in message.text
    assert Defect.BAD_BOUNDARY in message.defects


def test_many_equal_names_are_made_unique_in_time():
    """Hundreds of attachments with one name get hundreds of names."""
    part = b"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n"
    message = read_in_time(typed(b"multipart/mixed; boundary=b", part * 400))
    assert len({one.safe_name for one in message.attachments}) == 400


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?q?x=0d=0aB?= <a@b>",
        b'"a" <a@[>',
        b'"',
        b"jo@",
        b"\xff\xfe <a@b>",
        b"=?x?q?=ZZ?=",
        b"<",
        b"@",
    ],
)
def test_headers_that_break_the_stdlib_are_read(value):
    """Access to these fields raises in the stdlib's modern policy (T29); not here."""
    fields = b"".join(
        name + b": " + value + b"\r\n"
        for name in (
            b"From",
            b"To",
            b"Subject",
            b"Date",
            b"Message-ID",
            b"Content-Type",
            b"Return-Path",
        )
    )
    read_in_time(fields + b"\r\nbody")


def test_internal_fault_becomes_a_defect(monkeypatch):
    """A fault of the reader itself keeps the mail and is named; nobody sees an exception."""

    def fail(*_args, **_options):
        raise RecursionError

    monkeypatch.setattr(reader_module, "scan", fail)
    message = read(b"From: a@x.org\r\n\r\nbody")
    assert message.raw == b"From: a@x.org\r\n\r\nbody"
    assert message.defects == (Defect.READER_FAULT,)


@pytest.mark.parametrize("raw", ["From: a@x.org", None, 7, bytearray(b"From: a@x.org")])
def test_what_is_no_mail_is_the_callers_mistake(raw):
    """A text, nothing or bytes that may change are refused at once, with what is taken."""
    with pytest.raises(TypeError, match="takes bytes or a memory map, not"):
        read(raw)


def test_every_defect_has_a_sentence():
    """Operators see a sentence, not a name alone."""
    assert all(defect.sentence.endswith(".") for defect in Defect)
    assert len({defect.sentence for defect in Defect}) == len(Defect)


def test_limits_can_be_set():
    """A host may look less far."""
    message = read(HEAD + nested(5) + b"\r\ntext", limits=ReadingLimits(depth=2))
    assert Defect.DEPTH_LIMIT in message.defects


def test_hundreds_of_attachments_of_one_name_are_numbered_without_a_gap():
    """Each is unique and has the next number, however many there are."""
    part = b"--b\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nx\r\n"
    mail = b"From: a@b.c\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    message = read(mail + part * 90 + b"--b--\r\n")
    expected = ["a.txt", *(f"a ({number}).txt" for number in range(2, 91))]
    assert [attachment.safe_name for attachment in message.attachments] == expected


def test_archive_is_never_unpacked():
    """A compressed file stays the bytes that were sent, whatever it would grow to (T42)."""
    bomb = gzip.compress(bytes(MIB))
    field = (
        b"Content-Disposition: attachment; filename=a.gz\r\nContent-Transfer-Encoding: base64\r\n"
    )
    message = read(HEAD + field + b"\r\n" + base64.encodebytes(bomb))
    assert message.attachments[0].content == bomb


def test_nested_archive_of_mails_is_one_attachment():
    """A mail in a mail in a mail is one part: what stands in it is not this mail (T42)."""
    nested_mail = b"Content-Type: message/rfc822\r\n\r\n" * 2000 + b"Subject: x\r\n\r\ntext"
    message = read_in_time(HEAD + nested_mail)
    assert len(message.attachments) == 1
    assert message.text is None


@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"<svg onload=alert(1)>", b"MZ\x90"]
)
def test_declared_type_is_kept_and_believed_by_nobody(content):
    """A file that lies about its type has that type, its own bytes, and is no HTML body (T49)."""
    field = b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n"
    message = read(HEAD + field + b"\r\n" + content)
    (attachment,) = message.attachments
    assert (attachment.content_type, attachment.content) == ("text/plain", content)
    assert message.html is None


def test_html_in_a_plain_text_stays_text():
    """What calls itself plain is never taken for HTML (T49)."""
    message = read(typed(b"text/plain", b"<b>hi</b>"))
    assert (message.text, message.html) == ("<b>hi</b>", None)


def test_both_forms_of_an_alternative_are_shown():
    """A harmless text does not hide an HTML form that says something else (T51)."""
    parts = b"--b\r\n\r\nharmless\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>pay here</p>\r\n--b--"
    message = read(typed(b"multipart/alternative; boundary=b", parts))
    assert message.text.strip() == "harmless"
    assert "pay here" in message.html


@pytest.mark.parametrize(
    "source",
    [
        b"<a" + b" b=c" * 50_000 + b">text",
        b"<p style='" + b"display:" * 50_000 + b"'>text",
        b'<a title="' + b"x" * 500_000,
        b"<div>" * 100_000 + b"text" + b"</div>" * 100_000,
        b"<table><tr><td>" * 20_000 + b"text",
        b'<a href="' * 50_000 + b">text",
    ],
)
def test_hostile_tags_are_linear(source):
    """Neither attributes nor nesting take long: parsers by the standard do (ecosystem study, §f)."""
    read_in_time(typed(b"text/html", source))


def test_line_of_megabytes_is_read():
    """A line has no longest length (ecosystem study, §d)."""
    message = read_in_time(HEAD + b"\r\n" + b"x" * 20_000_000)
    assert len(message.text) == 20_000_000


def test_many_open_links_around_one_long_line():
    """Thousands of nested links that end together cost no more than their number."""
    raw = b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n"
    links = 1990
    read_in_time(raw + b"<a href=http://b.example>" * links + b"x<q>" * 240_000 + b"</a>" * links)


def test_a_refusal_that_names_many_recipients_is_judged_once():
    """The one reason of a bounce whose header names many addresses is looked for once."""
    field = b"X-Failed-Recipients: " + b", ".join(b"p%d@b.example" % n for n in range(190))
    text = b"550 5.1.1 user unknown, not p@b.example\r\n" * 290
    head = b"From: MAILER-DAEMON@b.example\r\nReturn-Path: <>\r\nSubject: failure notice\r\n"
    read_in_time(head + b"\r\n".join([field] * 20) + b"\r\n\r\n" + text)
