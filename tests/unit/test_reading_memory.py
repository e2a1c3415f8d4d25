"""The memory that reading takes: within four times the mail and 32 MiB, or the text is cut."""

import tracemalloc

import attrs
import pytest

from mailrouting.reading import Defect, ReadingLimits, read

HEAD = b"From: a@x.org\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
MIB = 1 << 20
EMOJI = "\U0001f600".encode()


def fill(pattern: bytes, size: int) -> bytes:
    """Repeat a pattern up to a size."""
    return (pattern * (size // len(pattern) + 1))[:size]


def typed(content_type: bytes, body: bytes) -> bytes:
    """Build a mail of one type, in UTF-8."""
    return HEAD + b"Content-Type: " + content_type + b"; charset=utf-8\r\n\r\n" + body


def page(body: bytes) -> bytes:
    """Build a mail of HTML."""
    return typed(b"text/html", body)


def read_in_bounds(raw: bytes, scale: int = 1):
    """Read all of a mail, and weigh that; with a scale all is so many times smaller, the bound too."""
    limits = ReadingLimits()
    limits = attrs.evolve(limits, body=limits.body // scale, html_text=limits.html_text // scale)
    tracemalloc.start()
    try:
        message = read(raw, limits=limits)
        assert Defect.READER_FAULT not in message.defects
        assert message.reply is not None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(raw) + 32 * MIB // scale
    return message


@pytest.mark.parametrize(
    ("before", "pattern"),
    [
        (b"<blockquote>" * 20, b"x<br>"),
        (b"<blockquote>" * 20, b"<p>x"),
        (b"<blockquote>" * 20, b"<hr>"),
        (b"<blockquote>" * 20 + b"<pre>", b"x\n"),
        (b"<ol>" * 12, b"<li>x"),
        (b"<table>" * 12, b"<td>xy"),
        (b"<pre>", b"xy\n"),
        (b"", b"xy\n"),
        (b"", b"xy<b>"),
    ],
)
def test_small_elements_take_little_memory(before, pattern):
    """A Python object for each line, cell or item would be many times the mail; so would quote marks."""
    read_in_bounds(page(before + fill(pattern, 5 * MIB // 16)), scale=16)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"text/html", EMOJI + fill(b"word ", 5 * MIB)),
        (b"text/html", b"&#128512;" + fill(b"word ", 5 * MIB)),
        (b"text/html", fill(EMOJI, 5 * MIB)),
        (b"text/html", EMOJI + fill(b"word\r\n", 12 * MIB)),
        (b"text/plain", EMOJI + fill(b"word ", 5 * MIB)),
        (b"text/plain", EMOJI + fill(b"word\r\n", 6 * MIB)),
        (b"text/plain", EMOJI + fill(b"wo\rrd\0\r\n", 5 * MIB)),
        (b"text/plain; format=flowed", EMOJI + fill(b"a longer line \r\n", 5 * MIB)),
        (b"text/plain", EMOJI + fill(b"word ", 4 * MIB) + b"\nbegin 644 a\n#86)C\n`\nend\n"),
    ],
)
def test_wide_characters_take_little_memory(content_type, body):
    """One character beyond U+FFFF makes all of a Python text four times as large."""
    message = read_in_bounds(typed(content_type, body))
    assert len(message.text) > 2 * MIB or len(message.text) == len(body) // 4


def test_delivery_status_of_megabytes_takes_little_memory():
    """Of a report as much is read as its recipients may take."""
    body = b"Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; b@x.org\r\nStatus: 5.1.1\r\n\r\n"
    raw = HEAD + b"Return-Path: <>\r\nContent-Type: message/delivery-status\r\n\r\n"
    message = read_in_bounds(raw + body + EMOJI + fill(b"X: word\r\n", 9 * MIB))
    assert [one.recipient for one in message.bounces] == ["b@x.org"]


def test_text_made_from_html_is_cut_and_marked():
    """What is cut is said, and the HTML has all of it."""
    source = b"<p>first</p>" + b"<hr>" * 1000 + b"<p>last</p>"
    message = read(page(source), limits=ReadingLimits(html_text=4000))
    assert message.text.startswith("first\n")
    assert len(message.text) == 3999
    assert Defect.BODY_LIMIT in message.defects
    assert message.html == source.decode()


@pytest.mark.parametrize(
    ("letter", "expected"), [("x", 1000), ("ü", 1000), ("€", 500), ("😀", 250)]
)
def test_width_of_characters_counts(letter, expected):
    """A text may have as many characters as their width in memory allows."""
    for source in (letter + "a" * 5000, "<p>" + "a" * 40 + f"</p>{letter}" + "a" * 5000):
        message = read(page(source.encode()), limits=ReadingLimits(html_text=1000))
        assert expected - 3 <= len(message.text) <= expected


@pytest.mark.parametrize("content_type", [b"text/plain", b"text/html"])
def test_body_that_is_cut_is_an_attachment_too(content_type):
    """Whatever a limit leaves out of the text, somebody can open it."""
    body = "é".encode() * 3000
    message = read(typed(content_type, body), limits=ReadingLimits(body=1001, decoded_bytes=8000))
    assert message.text == "é" * 500
    assert Defect.BODY_LIMIT in message.defects
    assert Defect.BAD_CHARSET not in message.defects
    assert [one.content for one in message.attachments] == [body]
    assert message.attachments[0].is_complete


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32", "gb18030", "iso-2022-jp"])
def test_body_is_cut_between_characters(codec):
    """A torn character at the end is no fault of the mail's charset."""
    lines = "日本\r\n" * 300
    field = b"Content-Type: text/plain; charset=" + codec.encode() + b"\r\n\r\n"
    message = read(HEAD + field + lines.encode(codec), limits=ReadingLimits(body=1001))
    assert set(message.text.split("\n")) <= {"日本", "日", ""}
    assert Defect.BODY_LIMIT in message.defects
    assert Defect.BAD_CHARSET not in message.defects


def test_bodies_share_their_room():
    """The room is for all bodies together; the one that finds none stays an attachment."""
    parts = [b"a" * 600, b"b" * 600, b"c" * 600]
    written = b"".join(b"--b\r\n\r\n" + one + b"\r\n" for one in parts)
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + written + b"--b--\r\n"
    message = read(raw, limits=ReadingLimits(body=1000))
    assert message.text == "a" * 600 + "\n" + "b" * 400
    assert [one.content for one in message.attachments] == parts[1:]


def test_text_after_a_wide_one_has_less_room():
    """Joined, the letters of the first body are as wide as those of the second."""
    parts = [b"a" * 300, EMOJI * 300]
    written = b"".join(
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + one + b"\r\n" for one in parts
    )
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + written + b"--b--\r\n"
    message = read(raw, limits=ReadingLimits(body=1600))
    assert message.text == "a" * 300 + "\n" + "\U0001f600" * 100


def test_named_body_counts_once():
    """A body that is listed as a file too takes its part of the limit once."""
    raw = HEAD + b"Content-Type: text/plain; name=a.txt\r\n\r\n" + b"x" * 600
    message = read(raw, limits=ReadingLimits(decoded_bytes=1000))
    assert message.attachments[0].is_complete
    assert Defect.DECODED_LIMIT not in message.defects
