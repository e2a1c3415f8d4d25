"""How a mail is cut into parts, and which of them are its text."""

import base64

import pytest

from mailrouting.reading import Defect, ReadingLimits, read


def mail(*fields: bytes, body: bytes) -> bytes:
    """Build a mail of fields and a body."""
    return b"\r\n".join([b"From: ann@example.org", *fields, b"", body])


def part(content_type: bytes, body: bytes, *fields: bytes) -> bytes:
    """Build a part with the boundary line above it."""
    return b"\r\n".join([b"--b", b"Content-Type: " + content_type, *fields, b"", body, b""])


def mixed(*parts: bytes) -> bytes:
    """Build a multipart/mixed of parts."""
    field = b"Content-Type: multipart/mixed; boundary=b"
    return mail(field, body=b"".join(parts) + b"--b--\r\n")


PDF = part(b"application/pdf; name=later.pdf", b"PDF")


def test_what_follows_a_multipart_with_the_boundary_of_its_outer_is_read():
    """The first closing line ends the inner multipart; the outer one goes on, with a defect."""
    inner = part(b"text/plain", b"one") + part(b"text/html", b"<p>one") + b"--b--\r\n"
    message = read(mixed(part(b"multipart/alternative; boundary=b", inner), PDF))
    assert (message.text, message.html) == ("one", "<p>one")
    assert [(one.filename, one.content) for one in message.attachments] == [("later.pdf", b"PDF")]
    assert message.has_defect(Defect.BAD_BOUNDARY)


def test_multipart_with_the_boundary_of_its_outer_that_nobody_closes_loses_nothing():
    """With one closing line for both, all parts are found, and the defects say what is wrong."""
    inner = part(b"multipart/alternative; boundary=b", part(b"text/plain", b"one"))
    message = read(mixed(inner, PDF))
    assert message.text == "one\n"
    assert [one.filename for one in message.attachments] == ["later.pdf"]
    assert set(message.defects) == {Defect.BAD_BOUNDARY, Defect.MISSING_END}


def test_empty_multipart_with_the_boundary_of_its_outer_hides_nothing():
    """What follows its header belongs to the inner one, for its lines are the same."""
    message = read(mixed(part(b"multipart/mixed; boundary=b", b""), part(b"text/plain", b"two")))
    assert message.text == "two"
    assert message.has_defect(Defect.BAD_BOUNDARY)


def test_three_multiparts_of_one_boundary_are_closed_one_by_one():
    """Each closing line ends the innermost multipart that is open."""
    innermost = part(b"multipart/related; boundary=b", part(b"text/plain", b"one") + b"--b--\r\n")
    inner = part(b"multipart/mixed; boundary=b", innermost + PDF + b"--b--\r\n")
    message = read(mixed(inner, part(b"image/png; name=last.png", b"PNG")))
    assert [one.filename for one in message.attachments] == ["later.pdf", "last.png"]
    assert message.text == "one"


@pytest.mark.parametrize(
    "raw",
    [
        mail(b"Content-Type: multipart/mixed; boundary=b", body=b"all there is\r\n"),
        mixed(part(b"multipart/mixed; boundary=other", b"all there is")),
    ],
)
def test_multipart_in_which_no_part_begins_is_a_defect(raw):
    """All of it is the text, and a defect says that its boundary was not found."""
    message = read(raw)
    assert message.text.rstrip() == "all there is"
    assert message.has_defect(Defect.BAD_BOUNDARY)


@pytest.mark.parametrize("content_type", [b"text/markdown", b"text/enriched", b"text/x-anything"])
@pytest.mark.parametrize("is_in_multipart", [False, True])
def test_text_of_an_unknown_subtype_is_the_text_where_there_is_no_other(
    content_type, is_in_multipart
):
    """RFC 2046 §4.1.4: a subtype of text that is not known is read as plain."""
    raw = mail(b"Content-Type: " + content_type + b"; charset=utf-8", body="# Grüße\r\n".encode())
    if is_in_multipart:
        raw = mixed(part(content_type + b"; charset=utf-8", "# Grüße".encode()), PDF)
    message = read(raw)
    assert message.text.rstrip() == "# Grüße"
    assert [one.filename for one in message.attachments] == ["later.pdf"] * is_in_multipart
    assert [one.content_type for one in message.charsets] == [content_type.decode()]


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Type: text/calendar",
        b"Content-Type: text/vcard",
        b"Content-Type: text/csv",
        b"Content-Type: text/rfc822-headers",
        b"Content-Type: text/markdown; name=notes.md",
        b"Content-Type: text/markdown\r\nContent-Disposition: attachment",
    ],
)
def test_text_that_is_data_or_a_file_is_an_attachment(field):
    """Calendars, cards, tables, headers and what has a file name are no words to a reader."""
    message = read(mail(field, body=b"BEGIN:X\r\n"))
    assert message.text is None
    assert [one.content for one in message.attachments] == [b"BEGIN:X\r\n"]


def test_text_of_an_unknown_subtype_beside_plain_text_is_an_attachment():
    """Where there is a text, markdown is a file as any other."""
    message = read(mixed(part(b"text/markdown", b"# Notes"), part(b"text/plain", b"Hello")))
    assert message.text == "Hello"
    assert [one.content_type for one in message.attachments] == ["text/markdown"]


def test_named_text_stays_a_file_when_the_first_text_is_over_a_limit():
    """A body that is too large makes no body of the next file."""
    raw = mixed(part(b"text/plain", b"x" * 4000), part(b"text/plain; name=notes.txt", b"note"))
    message = read(raw, limits=ReadingLimits(part_bytes=1000))
    assert message.text is None
    assert [one.filename for one in message.attachments] == [None, "notes.txt"]


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        (b"utf-32", "utf-32-le"),
        (b"utf-32le", "utf-32-le"),
        (b"utf-32be", "utf-32-be"),
        (b"utf-16", "utf-16-le"),
        (b"utf-16be", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("has_mark", [False, True])
def test_wide_charsets_are_read_in_their_byte_order(label, codec, has_mark):
    """A label names the order, a byte order mark beats it; the mark is no part of the text."""
    text = ("\ufeff" if has_mark else "") + "Grüße"
    body = base64.b64encode(text.encode(codec))
    fields = (b"Content-Type: text/plain; charset=" + label, b"Content-Transfer-Encoding: base64")
    message = read(mail(*fields, body=body))
    assert (message.text, message.charsets[0].codec) == ("Grüße", codec)
    swapped = codec.replace("le", "xx").replace("be", "le").replace("xx", "be")
    body = base64.b64encode(("\ufeff" + "Grüße").encode(swapped))
    assert read(mail(*fields, body=body)).text == "Grüße"


def test_html_that_names_a_wide_charset_in_plain_letters_is_utf_8():
    """A `meta` that can be read as ASCII is not in UTF-16 (WHATWG HTML, "prescan")."""
    source = '<meta charset="utf-16"><p>Grüße an all</p>'.encode()
    for body in (source, source + b" "):
        message = read(mail(b"Content-Type: text/html", body=body))
        assert message.text == "Grüße an all"
        assert message.charsets[0].codec == "utf-8"


CHINESE = b"hi \x1b$)A\x0e=;;;\x0f there\r\n"


@pytest.mark.parametrize("label", [b"; charset=iso-2022-cn", b"; charset=ISO-2022-CN-EXT", b""])
def test_text_that_no_codec_reads_is_a_defect_and_is_kept(label):
    """Python has no codec for ISO-2022-CN: what is lost is marked, and the bytes are attached."""
    message = read(mail(b"Content-Type: text/plain" + label, body=CHINESE))
    assert message.text == "hi \ufffd there\n"
    assert message.has_defect(Defect.UNKNOWN_CHARSET if label else Defect.BAD_CHARSET)
    assert [one.content for one in message.attachments] == [CHINESE]


def test_escapes_of_another_country_are_not_taken_for_japanese():
    """Without a label the escapes say whose they are: here they are Korean."""
    body = "안녕하세요".encode("iso2022-kr")
    message = read(mail(b"Content-Type: text/plain", body=body))
    assert (message.text, message.charsets[0].codec) == ("안녕하세요", "iso2022-kr")
