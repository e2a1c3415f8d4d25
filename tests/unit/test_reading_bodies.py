"""Bodies, charsets, HTML made text, and attachments."""

import base64
import unicodedata

import pytest

from mailrouting.reading import CharsetStep, Defect, Helpers, ReadingLimits, read, to_json_dict


def part(content_type: bytes, body: bytes, *fields: bytes) -> bytes:
    """Build a part."""
    return b"\r\n".join([b"Content-Type: " + content_type, *fields, b"", body])


def multipart(subtype: bytes, *parts: bytes, boundary: bytes = b"frontier") -> bytes:
    """Build a multipart of parts."""
    delimited = b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts)
    return (
        b"Content-Type: multipart/" + subtype + b'; boundary="' + boundary + b'"\r\n\r\n'
        b"preamble\r\n" + delimited + b"--" + boundary + b"--\r\nepilogue\r\n"
    )


def mail(entity: bytes) -> bytes:
    """Build a mail around an entity."""
    return b"From: ann@example.org\r\nSubject: hi\r\nMIME-Version: 1.0\r\n" + entity


def html_text(source: str) -> str:
    """Return the text that is made of HTML."""
    return read(mail(part(b"text/html; charset=utf-8", source.encode()))).text


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        (b"utf-8", "été".encode(), "été"),
        (b"iso-8859-1", "“été”".encode("cp1252"), "“été”"),
        (b"us-ascii", "été".encode(), "été"),
        (b"koi8-r", "привет".encode("koi8-r"), "привет"),
        (b"gb2312", "镕基".encode("gbk"), "镕基"),
        (b"ks_c_5601-1987", "안녕".encode("cp949"), "안녕"),
        (b"x-sjis", "テスト".encode("cp932"), "テスト"),
        (b"iso-2022-jp", "テスト".encode("iso-2022-jp"), "テスト"),
        (b"iso-2022-jp", b'\x1b$BF|K\\8l-!\x1b(B a\x1b$B-"!\n\x1b(I1\x1b(B', "日本語① a②?\nｱ"),
        (b"iso-2022-jp", "日本語".encode("cp932") + b"\x1b$B-!", "日本語①"),
        (b"windows-1251", "привет".encode("cp1251"), "привет"),
        (b"windows-1251", "привет, мир".encode(), "привет, мир"),
        (b"gb2312", "我的打印机着火了，请尽快帮助我".encode(), "我的打印机着火了，请尽快帮助我"),
        (b"gb2312", "联通".encode("gbk"), "联通"),
        (b"utf-16", "hi".encode("utf-16-be").join([b"\xfe\xff", b""]), "hi"),
        (b'"utf8"', "été".encode(), "été"),
        (b"unicode-1-1-utf-8", "été".encode(), "été"),
        (b"windows1252", b"\xe9t\xe9", "été"),
    ],
)
def test_charset_labels_mean_what_they_mean_in_practice(label, data, text):
    """A label is read as browsers read it."""
    message = read(mail(part(b"text/plain; charset=" + label, data)))
    assert message.text == text
    assert Defect.UNKNOWN_CHARSET not in message.defects


@pytest.mark.parametrize(
    "label",
    [
        b"utf-7", b"idna", b"punycode", b"unicode_escape", b"raw_unicode_escape", b"undefined",
        b"base64", b"zlib", b"hex", b"rot13", b"no-such-charset", b"../../x", b"<", b"_",
    ],
)  # fmt: skip
def test_charsets_that_are_none_are_refused(label):
    """Python's codecs that are no charsets are never used; the text is read anyway (T50)."""
    message = read(mail(part(b"text/plain; charset=" + label, b"+AGE- \\u0041 \xc3\xa9t\xc3\xa9")))
    assert message.text == "+AGE- \\u0041 été"
    assert Defect.UNKNOWN_CHARSET in message.defects


def test_text_that_breaks_its_charset_is_utf8_when_it_can_be():
    """A wrong label is overruled by valid UTF-8, else by what loses least; each is a defect."""
    right = read(mail(part(b"text/plain; charset=gb2312", "привет é".encode())))
    wrong = read(mail(part(b"text/plain; charset=utf-8", b"\xe9t\xe9")))
    torn = read(mail(part(b"text/plain; charset=utf-8", "Grüße".encode() + b" \xff")))
    assert wrong.text == "été"
    assert torn.text == "Grüße \ufffd"
    assert Defect.BAD_CHARSET in wrong.defects
    assert Defect.BAD_CHARSET in torn.defects
    assert right.text


def test_undeclared_bytes_are_utf8_or_windows_1252():
    """Without a label UTF-8 is tried first."""
    assert read(b"\r\n" + "é".encode()).text == "é"
    assert read(b"\r\n\xe9").text == "é"


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        (b"base64", base64.b64encode(b"Hello, you"), "Hello, you"),
        (b"BASE64", b"SGVs\r\nbG8=!", "Hello"),
        (b"base64", b"SGVsbG8=SGVsbG8=", "HelloHello"),
        (b"base64", b"SGVsbG8", "Hello"),
        (b"base64", b"SGVsbG8gA", "Hello "),
        (b"quoted-printable", b"=C3=A9t=C3=A9 =\r\nend=ZZ", "été end=ZZ"),
        (b"7bit", b"plain", "plain"),
        (b"x-uuencode", b"begin 644 a\n%2&5L;&\\\n`\nend\n", "Hello"),
        (b"x-uuencode", b"begin 644 a\n%2&5L;&\\@@@\n`\nend\n", "Hello"),
        (b"x-uuencode", b"begin 644 a\n%2&5L;&\\\n\xff\xff\xff\n", "Hello"),
        (b"no-such", b"as it is", "as it is"),
        (b"x-uuencode", b"no beginning", "no beginning"),
    ],
)
def test_transfer_encodings_are_undone_as_far_as_possible(encoding, body, text):
    """Broken encodings give what can be had."""
    field = b"Content-Transfer-Encoding: " + encoding
    assert read(mail(part(b"text/plain; charset=utf-8", body, field))).text == text


@pytest.mark.parametrize(
    ("body", "text", "is_defect"),
    [
        (b"It is =\rthe printer\r\nagain", "It is the printer\nagain", True),
        (b"It is =\r\r\nthe printer", "It is the printer", True),
        (b"It is =\r", "It is ", True),
        (b"It is = \t\r\nthe printer", "It is the printer", False),
        (b"It is =\nthe printer", "It is the printer", False),
    ],
)
def test_soft_line_break_loses_no_text(body, text, is_defect):
    """A lone CR ends a line here too, and white space before a line end is none (RFC 2045 §6.7)."""
    field = b"Content-Transfer-Encoding: quoted-printable"
    message = read(mail(part(b"text/plain", body, field)))
    assert message.text == text
    assert (Defect.BAD_ENCODING in message.defects) is is_defect
    attached = read(mail(part(b"application/x-log; name=a", body, field)))
    assert attached.attachments[0].content.replace(b"\r", b"") == text.encode()
    assert (Defect.BAD_ENCODING in attached.defects) is is_defect


FOOTER = b"_______________________________________________\r\nUsers list\r\nUsers@lists.example\r\n"


@pytest.mark.parametrize("size", [5, 40, 57, 58, 114, 171, 2000])
@pytest.mark.parametrize("footer", [FOOTER, b"\r\n-- \r\nUnsubscribe\r\nhere, please\r\n"])
def test_footer_behind_base64_is_text(size, footer):
    """List servers append plain text to an encoded body: both are read, and it is a defect."""
    body = base64.encodebytes(b"x" * size).replace(b"\n", b"\r\n") + footer
    field = b"Content-Transfer-Encoding: base64"
    message = read(mail(part(b"text/plain", body, field)))
    assert message.text == "x" * size + "\n" + footer.decode().replace("\r", "")
    assert Defect.BAD_ENCODING in message.defects
    attached = read(mail(part(b"text/x-log; name=a", body, field))).attachments[0]
    assert attached.content == b"x" * size + b"\r\n" + footer
    assert attached.size == len(attached.content)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"SGVsbG8=\r\nSGVsbG8=", "HelloHello"),
        (base64.b64encode(b"x" * 60) + b"\r\n\r\n" + base64.b64encode(b"y" * 60), "x" * 60 + "y" * 60),
        (b"SGVs\r\nbG8!gZnJpZW5k", "Hello friend"),
        (b"\r\n" + base64.b64encode(b"Hello") + b"\r\n!", "Hello"),
    ],
)  # fmt: skip
def test_broken_base64_is_no_footer(body, text):
    """Text stands behind base64 only where words or a rule do."""
    field = b"Content-Transfer-Encoding: base64"
    assert read(mail(part(b"text/plain", body, field))).text == text


@pytest.mark.parametrize(
    "body",
    [
        "Hello, my printer burns.\n",
        "Dear help desk,\n\nthe printer does not work!\n\nThanks\nCarla\n",
        "<html><body><p>My printer burns</p></body></html>\n",
    ],
)
def test_plain_text_that_is_called_base64_is_text(body):
    """Some gateways decode a text and leave the field: the words are read, and it is a defect."""
    field = b"Content-Transfer-Encoding: base64"
    message = read(mail(part(b"text/plain", body.encode(), field)))
    assert message.text == body
    assert Defect.BAD_ENCODING in message.defects


def test_unknown_transfer_encoding_is_a_defect():
    """An unknown encoding is named."""
    field = b"Content-Transfer-Encoding: x-gzip64"
    assert Defect.BAD_ENCODING in read(mail(part(b"text/plain", b"x", field))).defects


def test_alternative_gives_text_and_html():
    """Of two forms of one text both are kept apart."""
    message = read(
        mail(
            multipart(
                b"alternative", part(b"text/plain", b"plain"), part(b"text/html", b"<p>rich</p>")
            )
        )
    )
    assert (message.text, message.html, message.attachments) == ("plain", "<p>rich</p>", ())


def test_html_alone_gives_text_too():
    """Where there is only HTML, the text is made from it."""
    message = read(mail(part(b"text/html", b"<p>rich</p>")))
    assert (message.text, message.html) == ("rich", "<p>rich</p>")


def test_empty_plain_form_does_not_hide_the_html():
    """A blank text/plain beside HTML counts for nothing."""
    message = read(
        mail(multipart(b"alternative", part(b"text/plain", b" \r\n"), part(b"text/html", b"rich")))
    )
    assert message.text == "rich"


def test_texts_one_below_the_other_are_joined():
    """A text, a picture and more text are one text; so is the footer of a list."""
    inner = multipart(
        b"alternative",
        part(b"text/plain", b"one"),
        part(b"text/html", b"<b>one</b>"),
        boundary=b"inner",
    )
    message = read(
        mail(
            multipart(
                b"mixed",
                inner,
                part(b"image/png", b"x", b"Content-Disposition: inline"),
                part(b"text/plain", b"two", b"Content-Disposition: inline"),
            )
        )
    )
    assert message.text == "one\ntwo"
    assert message.html == "<b>one</b>"
    assert [one.content_type for one in message.attachments] == ["image/png"]
    assert message.attachments[0].inline


def test_text_file_is_an_attachment():
    """A text part with a name, or marked as attachment, is no body."""
    message = read(
        mail(
            multipart(
                b"mixed",
                part(b"text/plain", b"body"),
                part(b"text/plain; name=log.txt", b"log", b"Content-Disposition: inline"),
                part(b"text/plain", b"note", b"Content-Disposition: attachment"),
            )
        )
    )
    assert message.text == "body"
    assert [(one.filename, one.content) for one in message.attachments] == [
        ("log.txt", b"log"),
        (None, b"note"),
    ]


def test_body_with_a_file_name_is_a_file_too():
    """A named text that is shown as the body is also listed, so its file can be saved."""
    message = read(
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; name=a.txt\r\n\r\nhello\r\n--b--\r\n"
    )
    assert message.text == "hello"
    assert [one.filename for one in message.attachments] == ["a.txt"]


def test_mail_that_is_one_attachment_has_no_text():
    """A picture alone is an attachment, and there is no body."""
    message = read(mail(part(b"image/png", b"\x89PNG", b"Content-Disposition: attachment")))
    assert message.text is None
    assert message.attachments[0].content == b"\x89PNG"
    assert message.attachments[0].safe_name == "attachment.png"


def test_mail_without_body_has_no_attachment():
    """A header alone has an empty text and nothing attached."""
    message = read(b"Content-Type: application/pdf\r\n\r\n")
    assert message.attachments == ()


def test_inline_is_what_the_html_shows():
    """Only a Content-ID that the HTML uses makes a part inline."""
    message = read(
        mail(
            multipart(
                b"related",
                part(b"text/html", b'<img src="cid:used%40x">'),
                part(b"image/png", b"1", b"Content-ID: <used@x>"),
                part(b"image/png", b"2", b"Content-ID: <unused@x>"),
            )
        )
    )
    assert [(one.content_id, one.inline) for one in message.attachments] == [
        ("used@x", True),
        ("unused@x", False),
    ]


def test_nested_mail_is_an_eml_named_by_its_subject():
    """A mail inside a mail is one attachment; its text is not this mail's text."""
    nested = b"From: bob@example.org\r\nSubject: =?utf-8?q?Old/=C3=A9t=C3=A9?=\r\n\r\nold text"
    message = read(
        mail(multipart(b"mixed", part(b"text/plain", b"see"), part(b"message/rfc822", nested)))
    )
    assert message.text == "see"
    (attachment,) = message.attachments
    assert (attachment.safe_name, attachment.filename) == ("Old_été.eml", None)
    assert attachment.content == nested


def test_digest_holds_mails():
    """A part of a multipart/digest is a mail where nothing else is said (RFC 2046 §5.1.5)."""
    entity = multipart(b"digest", b"\r\nSubject: one\r\n\r\ntext")
    assert read(mail(entity)).attachments[0].content_type == "message/rfc822"


@pytest.mark.parametrize(
    ("field", "filename"),
    [
        (b"attachment; filename=a.txt", "a.txt"),
        (b'attachment; filename="a b;c.txt"', "a b;c.txt"),
        (b"attachment; filename=a b.txt", "a b.txt"),
        (b"attachment; filename*=utf-8''%C3%A9t%C3%A9.txt", "été.txt"),
        (b"attachment; filename*0=long; filename*1=name.txt", "longname.txt"),
        (b"attachment; filename*0*=utf-8''%C3%A9t%C3; filename*1*=%A9.txt", "été.txt"),
        (b"attachment; filename*1=b.txt; filename*0=a", "ab.txt"),
        (b'attachment; filename="=?utf-8?q?=C3=A9t=C3=A9.txt?="', "été.txt"),
        ('attachment; filename="été.txt"'.encode(), "été.txt"),
        (b'attachment; filename="C:\\dir\\a.txt"', "C:\\dir\\a.txt"),
        (b'attachment; filename="a\\"b.txt"', 'a"b.txt'),
        (b"attachment; nonsense; filename=a.txt", "a.txt"),
        (b"attachment; filename=a.txt (the log)", "a.txt"),
        (b"attachment;;; filename = a.txt", "a.txt"),
    ],
)
def test_file_name_is_read_in_every_spelling(field, filename):
    """RFC 2231, RFC 2047 and raw names are all decoded."""
    message = read(mail(part(b"text/plain", b"x", b"Content-Disposition: " + field)))
    assert message.attachments[0].filename == filename


def test_conflicting_names_are_a_defect():
    """Of several names the first is taken, the extended one before all, and it is said (T47)."""
    message = read(
        mail(
            multipart(
                b"mixed",
                part(b"a/b", b"x", b"Content-Disposition: attachment; filename=a; filename=b.exe"),
                part(b"a/b; name=c; name=d", b"x"),
                part(b"a/b", b"x", b"Content-Disposition: attachment; filename=e; filename*0=f"),
            )
        )
    )
    assert [one.filename for one in message.attachments] == ["a", "c", "f"]
    assert Defect.FILENAME_CONFLICT in message.defects


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\a.txt", "a.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u200b.htaccess", "htaccess"),
        ("CON.txt", "_CON.txt"),
        ("nul", "_nul"),
        ("a.txt...", "a.txt"),
        ("a<b>:c|d?.txt", "a_b__c_d_.txt"),
        ("..", "attachment.txt"),
        ("/", "attachment.txt"),
        ("é".encode().decode(), "é"),
    ],
)
def test_safe_name_is_harmless(name, safe):
    """Paths, bidi marks, device names and forbidden characters are gone (T46, T48)."""
    field = (
        b"Content-Disposition: attachment; filename*=utf-8''"
        + "".join(f"%{byte:02x}" for byte in name.encode()).encode()
    )
    attachment = read(mail(part(b"text/plain", b"x", field))).attachments[0]
    assert attachment.safe_name == safe


def test_safe_names_are_short_and_keep_their_extension():
    """A long name is cut before its extension, in characters and in bytes."""
    for letter in ("a", "é", "漢"):
        field = f'Content-Disposition: attachment; filename="{letter * 300}.pdf"'.encode()
        name = read(mail(part(b"text/plain", b"x", field))).attachments[0].safe_name
        assert name.endswith(".pdf")
        assert len(name) <= 150
        assert len(name.encode()) <= 200
        assert unicodedata.is_normalized("NFC", name)


def test_safe_names_are_unique_without_regard_to_case():
    """Equal names get a number before the extension."""
    field = b"Content-Disposition: attachment; filename="
    message = read(
        mail(
            multipart(
                b"mixed",
                *[part(b"a/b", b"x", field + name) for name in (b"a.txt", b"A.TXT", b"a.txt")],
            )
        )
    )
    assert [one.safe_name for one in message.attachments] == ["a.txt", "A (2).TXT", "a (3).txt"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two<br>three</div>", "one\ntwo\nthree"),
        ("a  <b>b</b>\n c", "a b c"),
        ("<ul><li>one<li>two<ol><li>x</ol></ul>", "* one\n* two\n  1. x"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<blockquote>quoted<br>more</blockquote>mine", "> quoted\n> more\n\nmine"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ('<a href="https://x.org/y">here</a>', "here (https://x.org/y)"),
        ('<a href="https://x.org/">x.org</a>', "x.org"),
        ('<a href="mailto:a@x.org">mail</a>', "mail"),
        ("<script>alert('<p>no</p>')</script>yes", "yes"),
        ("<head><title>no</title><style>p {}</style></head><body>yes", "yes"),
        ("<head><meta charset=x><body>yes", "yes"),
        ('<div style="display: none">no</div>yes', "yes"),
        ("<p hidden>no</p>yes", "yes"),
        ('<p style="-webkit-backface-visibility: hidden">yes</p>', "yes"),
        ('<div style="display:none"><p>lost?', "lost?"),
        ("<!-- no --> yes", "yes"),
        ("<!-- no > yes", "yes"),
        ("<!DOCTYPE html><?xml?>yes", "yes"),
        ("1 < 2 &amp; 3 &gt; 2", "1 < 2 & 3 > 2"),
        ('<img src="x" alt="logo"><hr>end', "logo\n--------------------\nend"),
        ('<p title="a > b">yes</p>', "yes"),
        ("<script>never closed", ""),
        ("</div></p>stray", "stray"),
        ("yes<", "yes<"),
        ("yes<a", "yes"),
    ],
)
def test_html_becomes_text_as_people_see_it(source, text):
    """Blocks, lists, tables, quotes and links are text; what is hidden is not."""
    assert html_text(source) == text


def test_missing_final_boundary_loses_nothing():
    """The last part goes to the end of the mail, and a defect says so."""
    raw = mail(multipart(b"mixed", part(b"text/plain", b"one"))).partition(b"--frontier--")[0]
    message = read(raw)
    assert message.text == "one\n"
    assert Defect.MISSING_END in message.defects


@pytest.mark.parametrize(
    "content_type",
    [b"multipart/mixed", b"multipart/mixed; boundary=other", b'multipart/mixed; boundary=""'],
)
def test_multipart_without_parts_is_text(content_type):
    """Where no part begins, all of it is the text."""
    message = read(mail(part(content_type, b"all there is")))
    assert message.text == "all there is"


def test_boundary_of_the_outer_multipart_ends_the_inner_one():
    """An inner multipart that nobody closed ends where the outer one goes on."""
    inner = b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\none"
    message = read(mail(multipart(b"mixed", inner, part(b"text/plain", b"two"))))
    assert message.text == "one\ntwo"


def test_part_with_header_only_does_not_eat_the_next():
    """A boundary directly behind a part's header ends that part."""
    raw = mail(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n--b\r\n\r\ntext\r\n--b--\r\n"
    )
    assert read(raw).text == "text"


def test_limits_keep_the_rest_as_an_attachment():
    """Past the limit of parts the rest is one opaque part."""
    parts = [part(b"text/plain", b"%d" % number) for number in range(10)]
    message = read(mail(multipart(b"mixed", *parts)), limits=ReadingLimits(parts=4))
    assert message.text == "0\n1\n2\n3"
    assert message.attachments[-1].content.count(b"--frontier") == 6
    assert Defect.PART_LIMIT in message.defects


def test_mail_over_the_size_limit_keeps_its_header():
    """A mail that is too large is not looked into; its header is read."""
    raw = mail(multipart(b"mixed", part(b"text/plain", b"x" * 500)))
    message = read(raw, limits=ReadingLimits(size=300))
    assert (message.subject, message.text) == ("hi", None)
    assert message.raw == raw
    assert Defect.SIZE_LIMIT in message.defects


@pytest.mark.parametrize(
    ("content_type", "data", "step", "codec"),
    [
        (b"text/plain; charset=koi8-r", b"\xc1\xc2", CharsetStep.DECLARED, "koi8-r"),
        (b"text/plain; charset=iso-8859-1", b"\xe9", CharsetStep.DECLARED, "cp1252"),
        (b"text/plain; charset=iso-8859-1", b"ascii", CharsetStep.DECLARED, "utf-8"),
        (b"text/plain; charset=iso-8859-1", "é".encode(), CharsetStep.UTF_8, "utf-8"),
        (b"text/plain; charset=gb2312", b"\xd0\xbf\xd1\x80\xff", CharsetStep.GUESSED, "cp1251"),
        (b"text/plain", b"\xe9\xe8", CharsetStep.GUESSED, "cp1251"),
        (b"text/plain; charset=us-ascii", b"\xe9\xe8", CharsetStep.GUESSED, "cp1251"),
        (b"text/plain; charset=no-such", b"\xe9\xe8", CharsetStep.GUESSED, "cp1251"),
        (b"text/html", b'<meta charset="koi8-r"><p>\xc1', CharsetStep.DECLARED, "koi8-r"),
        (
            b"text/html",
            b"<META content='text/html; charset=koi8-r'>\xc1",
            CharsetStep.DECLARED,
            "koi8-r",
        ),
        (b"text/html", b"\x98", CharsetStep.FALLBACK, "cp1252"),
        (b"text/plain", "é".encode(), CharsetStep.UTF_8, "utf-8"),
    ],
)
def test_step_to_the_charset_is_told(content_type, data, step, codec):
    """Declared, UTF-8, the guesser that was passed in, Windows-1252: the first that fits."""
    helpers = Helpers(guess_charset=lambda _: "windows-1251")
    (found,) = read(b"Content-Type: " + content_type + b"\r\n\r\n" + data, helpers=helpers).charsets
    assert (found.step, found.codec) == (step, codec)
    assert found.content_type == content_type.partition(b";")[0].decode()
    declared = content_type.partition(b"charset=")[2].decode()
    assert found.declared == (declared or ("koi8-r" if b"koi8" in data else None))


@pytest.mark.parametrize("label", [None, "utf-7", "no-such", "utf-8"])
def test_guess_that_does_not_help_is_left_out(label):
    """A guess outside our table, or one that the bytes do not fit, is none."""
    message = read(b"\r\n\xe9t\xe9", helpers=Helpers(guess_charset=lambda _: label))
    assert (message.text, message.charsets[0].step) == ("été", CharsetStep.FALLBACK)


def test_guesser_that_raises_is_a_defect():
    """The text is read without it."""
    message = read(b"\r\n\xe9", helpers=Helpers(guess_charset=lambda data: str(1 // len(data[1:]))))
    assert message.text == "é"
    assert Defect.HELPER_FAULT in message.defects


def test_description_is_plain_json_without_lone_surrogates():
    """Every key of the description is there, and every text can be encoded."""
    import json

    message = read(
        mail(
            multipart(
                b"mixed",
                part(b"text/plain", b"see"),
                part(b"a/b; name=x", b"x", b"Content-ID: <\xed\xa0\x80@x>"),
            )
        )
    )
    described = to_json_dict(message)
    json.dumps(described, ensure_ascii=False).encode()
    assert list(described) == [
        "from", "sender", "reply_to", "to", "cc", "bcc", "subject", "message_id", "date",
        "in_reply_to", "references", "text", "html", "reply", "forwarded", "charsets", "protection",
        "attachments", "kind", "feedback_type", "bounces", "automatic_signs", "authentication_results", "defects",
    ]  # fmt: skip
    assert described["from"] == {"name": "", "address": "ann@example.org"}
    assert described["attachments"][0]["size"] == 1
