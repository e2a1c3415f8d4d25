"""Attachments: calendars, protected parts, winmail.dat, files inside a text, limits."""

import binascii

import pytest

from mailrouting.reading import (
    Defect,
    Helpers,
    Protection,
    ReadingLimits,
    TnefContents,
    TnefFile,
    read,
)


def mixed(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    """Build a multipart of whole parts."""
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/" + kind + b"; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def part(content_type: bytes, body: bytes = b"x") -> bytes:
    """Build one part."""
    return b"Content-Type: " + content_type + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("content_type", "body", "method"),
    [
        (b"text/calendar; method=REQUEST", b"BEGIN:VCALENDAR", "REQUEST"),
        (b"text/calendar; charset=utf-8; method=reply", b"", "REPLY"),
        (b"text/calendar", b"BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\n", "CANCEL"),
        (b"application/ics; name=invite.ics", b"METHOD : publish\n", "PUBLISH"),
        (b'text/calendar; method="a b"', b"BEGIN:VCALENDAR\r\nX-METHOD:ADD\r\n", None),
        (b"text/x-other; method=REQUEST", b"METHOD:CANCEL\r\n", None),
    ],
)
def test_calendar_part_has_its_method(content_type, body, method):
    """The parameter tells it, else the calendar; a calendar is never the body."""
    message = read(mixed(part(b"text/plain", b"See the invitation"), part(content_type, body)))
    assert message.text == "See the invitation"
    assert [one.calendar_method for one in message.attachments] == [method]


@pytest.mark.parametrize(
    ("content_type", "protection"),
    [
        (b"application/pkcs7-mime; smime-type=enveloped-data", Protection.SMIME_ENCRYPTED),
        (b"application/pkcs7-mime; smime-type=authEnveloped-data", Protection.SMIME_ENCRYPTED),
        (b"application/x-pkcs7-mime; name=smime.p7m", Protection.SMIME_ENCRYPTED),
        (b"application/pkcs7-mime; smime-type=signed-data", Protection.SMIME_SIGNED),
        (b"application/pkcs7-signature", Protection.SMIME_SIGNED),
        (b"application/pgp-signature", Protection.PGP_SIGNED),
        (b"application/pgp-encrypted", Protection.PGP_ENCRYPTED),
        (b"application/pdf", None),
    ],
)
def test_protected_part_is_marked(content_type, protection):
    """A part says by its type how it is protected; its bytes stay as they are (T52)."""
    message = read(mixed(part(b"text/plain", b"hi"), part(content_type, b"\x01\x02")))
    (attachment,) = message.attachments
    assert (attachment.protection, attachment.content) == (protection, b"\x01\x02")
    assert message.protection is protection


@pytest.mark.parametrize(
    ("raw", "protection"),
    [
        (mixed(part(b"text/plain"), kind=b'signed; protocol="application/pgp-signature"'), Protection.PGP_SIGNED),
        (mixed(part(b"text/plain"), kind=b"signed; protocol=application/pkcs7-signature"), Protection.SMIME_SIGNED),
        (mixed(part(b"text/plain"), kind=b"encrypted"), Protection.PGP_ENCRYPTED),
        (mixed(part(b"application/pkcs7-signature"), part(b"application/pgp-encrypted")), Protection.PGP_ENCRYPTED),
        (b"\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ\r\n", Protection.PGP_ENCRYPTED),
        (b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: x\r\n", Protection.PGP_SIGNED),
        (b"\r\n> -----BEGIN PGP MESSAGE-----\r\n", None),
        (b"\r\nhello\r\n", None),
    ],
)  # fmt: skip
def test_mail_says_how_it_is_protected(raw, protection):
    """The structure, a part or PGP armour in the text tells; encrypted wins over signed."""
    assert read(raw).protection is protection


WINMAIL = part(b"application/ms-tnef; name=winmail.dat", b"tnef")


def test_winmail_without_a_reader_stays_closed():
    """It is an attachment, and a defect says why."""
    message = read(mixed(part(b"text/plain", b"hi"), WINMAIL))
    assert [one.filename for one in message.attachments] == ["winmail.dat"]
    assert Defect.TNEF_CLOSED in message.defects


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/ms-tnef",
        b"application/vnd.ms-tnef",
        b"application/octet-stream; name=WinMail.dat",
    ],
)
def test_winmail_is_opened_in_its_place(content_type):
    """Its files stand where it stood, their names made safe; its text is taken when none is there."""
    helpers = Helpers(
        open_tnef=lambda data: TnefContents(
            files=(
                TnefFile(name="../a.txt", content=data, content_type="text/plain"),
                TnefFile(name="", content=b"i", content_id="c@x"),
            ),
            text="from outlook",
            html='<img src="cid:c@x">',
        )
    )
    message = read(mixed(part(content_type, b"tnef"), part(b"image/png")), helpers=helpers)
    assert [(one.filename, one.safe_name) for one in message.attachments] == [
        ("../a.txt", "a.txt"),
        (None, "attachment.bin"),
        (None, "attachment.png"),
    ]
    assert [one.inline for one in message.attachments] == [False, True, False]
    assert message.attachments[0].content == b"tnef"
    assert (message.text, message.html) == ("from outlook", '<img src="cid:c@x">')
    assert Defect.TNEF_CLOSED not in message.defects


def test_text_of_the_mail_wins_over_the_one_in_winmail():
    """What every mail program shows is the body."""
    helpers = Helpers(open_tnef=lambda _: TnefContents(text="other", html="<p>other</p>"))
    message = read(mixed(part(b"text/plain", b"hi"), WINMAIL), helpers=helpers)
    assert (message.text, message.html, message.attachments) == ("hi", None, ())


def test_html_in_winmail_gives_a_text():
    """Where there is only HTML, the text is made of it."""
    helpers = Helpers(open_tnef=lambda _: TnefContents(html="<p>hi</p>"))
    assert read(WINMAIL, helpers=helpers).text == "hi"


@pytest.mark.parametrize("fails", [True, False])
def test_winmail_that_cannot_be_opened_is_kept(fails):
    """A helper that raises or gives up loses nothing."""

    def open_tnef(data: bytes) -> TnefContents | None:
        if fails:
            raise ValueError(data)
        return None

    message = read(mixed(WINMAIL), helpers=Helpers(open_tnef=open_tnef))
    assert [one.content for one in message.attachments] == [b"tnef"]
    assert Defect.TNEF_CLOSED in message.defects
    assert (Defect.HELPER_FAULT in message.defects) is fails


def uuencoded(name: bytes, data: bytes) -> bytes:
    """Encode a file as programs do."""
    lines = [binascii.b2a_uu(data[i : i + 45]) for i in range(0, len(data), 45)]
    return b"begin 644 " + name + b"\n" + b"".join(lines) + b"`\nend\n"


def test_uuencoded_files_leave_the_text():
    """A whole block becomes an attachment; the words around it stay."""
    data = bytes(range(256))
    raw = b"\n" + b"before\n" + uuencoded(b"a b.bin", data) + b"between\n" + uuencoded(b"c", b"C")
    message = read(raw + b"after\n")
    assert message.text == "before\nbetween\nafter\n"
    assert [(one.filename, one.content) for one in message.attachments] == [
        ("a b.bin", data),
        ("c", b"C"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "begin 644 a\nwhat I meant\nend\n",
        "begin 644 a\n%2&5L;&\\\nno end",
        "we begin 644 a\n%2&5L;&\\\n`\nend\n",
        "begin 644 a\n`\nend\n",
        "begin with this\nend\n",
    ],
)
def test_text_that_only_looks_uuencoded_stays(text):
    """Anything but a whole block is the sender's text."""
    message = read(b"\n" + text.encode())
    assert (message.text, message.attachments) == (text, ())


def test_uuencoded_line_without_its_trailing_spaces_is_read():
    """Editors cut them off."""
    message = read(b'\nbegin 644 a\n#" \n`\nend\n')
    assert message.attachments[0].content == b"\x08\x00\x00"


@pytest.mark.parametrize(
    ("fields", "body", "text"),
    [
        (b"format=flowed", b"one \r\ntwo\r\nthree", "one two\nthree"),
        (b"format=flowed; delsp=yes", b"one \r\ntwo", "onetwo"),
        (b"format=Flowed", b"> one \r\n> two\r\n>> deep \r\nmine", "> one two\n>> deep \nmine"),
        (b"format=flowed", b"yes \r\n-- \r\nAnn", "yes \n-- \nAnn"),
        (b"format=flowed", b" From here\r\n  two", "From here\n two"),
        (b"format=fixed", b"one \r\ntwo", "one \ntwo"),
    ],
)
def test_flowed_text_is_joined(fields, body, text):
    """Soft line breaks are undone by quote depth, the signature's mark stays (RFC 3676 §4)."""
    assert read(part(b"text/plain; " + fields, body)).text == text


def test_attachments_over_the_limit_are_listed_without_content():
    """Their names are there, the rest is in the raw mail."""
    parts = [part(b"application/pdf; name=a%d.pdf" % i, b"data") for i in range(5)]
    message = read(mixed(*parts), limits=ReadingLimits(attachments=3))
    assert [one.is_complete for one in message.attachments] == [True] * 3 + [False] * 2
    assert (message.attachments[4].filename, message.attachments[4].content) == ("a4.pdf", b"")
    assert message.attachments[4].size == len(b"data")
    assert Defect.ATTACHMENT_LIMIT in message.defects


@pytest.mark.parametrize("limits", [ReadingLimits(part_bytes=10), ReadingLimits(decoded_bytes=15)])
def test_decoded_bytes_are_bounded(limits):
    """Past the limit nothing more is decoded, and a defect says so."""
    parts = [part(b"application/pdf; name=a.pdf", b"x" * 9)] * 2
    parts.append(part(b"application/pdf; name=b.pdf", b"x" * 30))
    message = read(mixed(*parts), limits=limits)
    assert not message.attachments[2].is_complete
    assert Defect.DECODED_LIMIT in message.defects


def test_body_over_the_limit_stays_an_attachment():
    """A text that is too large to decode is listed."""
    message = read(part(b"text/plain", b"x" * 100), limits=ReadingLimits(part_bytes=10))
    assert message.text is None
    assert [one.is_complete for one in message.attachments] == [False]


def test_uuencoded_file_over_the_limit_is_listed():
    """A file in the text counts as decoded bytes too."""
    raw = b"\n" + uuencoded(b"a", b"x" * 100)
    message = read(raw, limits=ReadingLimits(decoded_bytes=200))
    assert [one.is_complete for one in message.attachments] == [False]
