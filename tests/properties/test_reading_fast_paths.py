"""What reads ordinary mail fast gives what the exact reading gives."""

import binascii

from hypothesis import example, given, strategies as st

from mailrouting.reading import (
    Defect,
    Kind,
    attributions,
    content,
    dates,
    evidence,
    header_addresses,
    header_block,
    headers,
    ids,
    kind,
    parameters,
    people,
    quote_marks,
    reply,
    scan,
)
from mailrouting.reading.limits import DEFAULT, ReadingLimits
from mailrouting.reading.line_ends import with_lf
from mailrouting.reading.message import HeaderAddress
from mailrouting.reading.reports import NO_REPORTS, Reports

_HEADER_PIECES = st.sampled_from(
    [
        b"From: a@example.org", b"Subject:  two  words ", b"subject:x", b"X-Empty:", b"To:\t a, b\t", b" folded", b"\tfolded ",
        b"  ", b"--b", b"--x: y", b"a b: c", b"x :y", b"From a@b 09:15", b">From a 09:15", b"\0", b"\r", b"\xe9", b":", b"x\0y: z",
    ]
)  # fmt: skip
_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"])
_ANY_LINES = st.lists(st.tuples(_HEADER_PIECES, _ENDS), max_size=8).map(
    lambda lines: b"".join(line + end for line, end in lines)
)
_ONE_END = st.tuples(
    st.lists(_HEADER_PIECES, max_size=8), st.sampled_from([b"\r\n", b"\n"]), st.binary(max_size=9)
).map(lambda mail: mail[1].join([*mail[0], b"", mail[2]]))
_LIMITS = st.sampled_from(
    [DEFAULT, ReadingLimits(header_fields=3), ReadingLimits(header_bytes=40, value_bytes=8)]
)


@given(_ONE_END | _ANY_LINES | st.binary(max_size=60), _LIMITS, st.booleans(), st.integers(0, 3))
@example(b"X: a\n  \n b\n\n", DEFAULT, True, 0)
@example(b"X: \r\n b \r\n\r\nbody", DEFAULT, False, 0)
def test_a_plain_header_reads_as_any_header(data, limits, is_top, start):
    """Where the one pass over a header answers, the reading line by line finds the same."""
    plain = header_block._plain_header(data, start, len(data), limits=limits, is_top=is_top)
    if plain is None:
        return
    met: list[Defect] = []
    exact = header_block._any_header(
        data, start, len(data), limits=limits, report=met.append, is_top=is_top
    )
    assert met == []
    assert plain.fields == exact.fields
    assert plain.body_start == exact.body_start
    for name in exact.names:
        assert plain.all(name) == exact.all(name)
        assert plain.first(name) == exact.first(name)


_ADDRESS_PIECES = st.sampled_from(
    [
        "Ann Lee", " ", ", ", ",", "<a.b@example.org>", "<a@b>", "a@b.example", '"Lee, Ann" ', '"', "<", ">", "(x)", ":", ";", "@",
        "=?utf-8?q?J=C3=BC?=", "=?utf-8?b?w7w=?=", "'x'", "\\", "é", "<mailto:a@b>", "\t", "  ", "\x00", "=", "''", "<>",
    ]
)  # fmt: skip


@given(st.lists(_ADDRESS_PIECES, max_size=9).map("".join), st.integers(0, 4))
@example('"" <a@b>', 4)
@example("a@b, Ann <a@b>, ", 1)
def test_ordinary_addresses_read_as_any_addresses(text, limit):
    """Where the pattern for ordinary lists answers, the reading by RFC 5322 finds the same."""
    ordinary = header_addresses._ordinary_addresses(text)
    if ordinary is not None:
        expected = header_addresses._any_addresses(text, limit=limit)
        assert (tuple(ordinary[:limit]), len(ordinary) > limit) == expected


_WORD_PIECES = st.sampled_from(
    [
        "=?utf-8?q?", "=?UTF-8?B?", "=?iso-8859-1?Q?", "=?utf-8*en?b?", "=?utf-7?q?", "=?shift_jis?b?", "=?x?b?", "?=", "=?", "?",
        "=", "=C3", "=A9", "w6", "w6k=", "w7w", "_", " ", "\r\n ", "a", "AB", "é", "g1@=", "+AOk-", "77u/", "\t",
    ]
)  # fmt: skip


@given(st.lists(_WORD_PIECES, max_size=14).map("".join))
@example("=?utf-8?b?w6?= =?utf-8?b?k=?= =?utf-8?b?w6k=?= x =?utf-8?q?=C3?= =?UTF-8?Q?=A9?=")
@example("=?utf-8?q?a?=AB=?utf-8?q?b?=")
def test_plain_words_decode_as_any_words(text):
    """Where the pattern for encoded words answers, the walk over abuses finds the same."""
    plain = headers._decode_plain_words(text)
    if plain is not None:
        assert plain == headers._decode_any_words(text)


@given(st.lists(_WORD_PIECES, max_size=4).map("".join) | st.text("QUJDw6k=+/", max_size=12))
@example("QUJD")
def test_strict_base64_decodes_as_loose_base64(text):
    """What is valid decodes the same with and without the tolerance."""
    data = text.encode()
    assert headers._base64(data) == headers._loose_base64(data)


_ID_PIECES = st.sampled_from(
    [
        "<",
        ">",
        "a",
        "1@b",
        "<1@b>",
        "> <",
        "> ",
        " ",
        "\t",
        "\x00",
        "é",
        "\xa0",
        ",",
        "(x)",
        "\u2028",
    ]
)


@given(st.lists(_ID_PIECES, max_size=8).map("".join))
@example("<1@b> <2@b> <1@b>")
@example("<1@b>  <2@b>")
@example(f"<{'x' * 999}>")
def test_plain_ids_read_as_any_ids(text):
    """What is cut from a value of ids and nothing else is what the pattern finds in it."""
    value = text.encode()
    if ids._PLAIN_IDS.fullmatch(value):
        exact = [ids._without_space(found) for found in ids._ANGLE.findall(text)]
        assert ids._plain_ids(value) == exact
        assert max(map(len, exact)) <= ids.LONGEST_ID
    assert ids._without_space(text) == ids._SPACE.sub("", text)


_PATH_PIECES = st.sampled_from(
    [b"<", b">", b"<a@b>", b"a", b"@", b".", b"@b", b" ", b'"', b"(", b",", b"\xe9", b"=?", b"+", b"=20"]
)  # fmt: skip


@given(st.lists(_PATH_PIECES, max_size=6).map(b"".join))
@example(b"<>")
@example(b"<a+b=20@b.a>")
def test_a_plain_return_path_reads_as_any_address(value):
    """Where the pattern for an ordinary reverse-path answers, the address reader finds the same."""
    if people._PLAIN_PATH.fullmatch(value):
        addresses, _ = header_addresses.parse_addresses(value)
        assert [one.address for one in addresses] == [value[1:-1].decode()]


_TEXT_PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"=", b" ", b"\t", b"=0D", b"=0A", b"x", b"=3D", b"=\r\n", b"= \r\n"]
)


@given(st.lists(_TEXT_PIECES, max_size=8).map(b"".join))
@example(b"==\r\n")
@example(b"= \r\r\n")
def test_line_ends_are_found_in_one_pass(body):
    """The quick searches find every line end that needs more than the usual."""
    assert with_lf(body) == body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    exact = binascii.a2b_qp(content._SOFT_BREAK.sub(b"=\n", body))
    # Behind `==` a line end is text, and keeps its CR when nothing had to be changed.
    assert with_lf(content._from_quoted_printable(body)) == with_lf(exact)
    is_torn = body.count(b"=\r") != body.count(b"=\r\n")
    assert bool(content._LONE_SOFT_BREAK.search(body)) is is_torn


_DATE_PIECES = {
    "day": st.sampled_from(["Mon, ", "Sun, ", "mon, ", ""]),
    "number": st.integers(0, 32).map(str) | st.sampled_from(["01", "09"]),
    "month": st.sampled_from(["Jan", "Feb", "Sep", "Dec", "dec", "Foo"]),
    "year": st.sampled_from(["2000", "2026", "2099", "1999", "99", "2100"]),
    "time": st.sampled_from(["09:15:00", "23:59:59", "24:00:00", "09:15", "09:60:00", "00:00:60"]),
    "zone": st.sampled_from(["+0100", "-0000", "-0530", "+1400", "+1500", "GMT", "+0060", "+0100 (CET)", ""]),
}  # fmt: skip


@given(st.fixed_dictionaries(_DATE_PIECES))
def test_a_plain_date_reads_as_any_date(pieces):
    """Where the pattern for ordinary dates answers, the tolerant reading finds the same."""
    text = "{day}{number} {month} {year} {time} {zone}".format(**pieces)
    assert dates.parse_date(text) == dates._any(text)


_PARAMETER_PIECES = st.sampled_from(
    [
        b"text/plain", b"multipart/mixed", b"text", b";", b"; ", b"charset=utf-8", b"charset=", b'name="a b"', b'"a;b"', b"=", b"\\",
        b"(x)", b" ", b"name*0*=utf-8''a", b"boundary=--x=_1", b"\xe9", b"'", b"\x85", b"NAME=X", b'boundary="=_(x)"', b"/", b":",
    ]
)  # fmt: skip


@given(st.lists(_PARAMETER_PIECES, max_size=8).map(b"".join))
@example(b"text/plain; charset=utf-8")
@example(b'multipart/mixed; boundary="=_alt_1"')
def test_plain_parameters_read_as_any_parameters(value):
    """Where the patterns for ordinary fields answer, the tolerant reading finds the same."""
    text = value.decode("latin-1")
    plain = parameters._plain_parameters(text)
    exact = parameters._any_parameters(text)
    assert plain in (None, exact)
    typed = parameters._TYPE.fullmatch(exact[0])
    found = parameters.parse_media_type(value, default="x/y")
    assert found.parameters == exact[1]
    assert found.full == exact[0] or not typed


_LINES = st.lists(
    st.sampled_from(
        [
            "On Mon, 2 Mar 2026 Ann <a@b.c>", "wrote:", "Ann <a@b.c> wrote:", "> On Monday", "> said", "", " ", "text", "2026-03-02 Ann <a@b.c>",
            "From: a@b.c", "To: b@c.d", "Subject: x", "---- Original Message ----", "____________", "> From: a@b.c", "-----", "-- ",
            "Begin forwarded message:", "*From:* a", "On 2 March", "Ann schrieb：", "w dniu 2.03.2026 Ann", "<a@b.c>", "\ufeff--x", "w" * 401,
        ]
    ),
    max_size=12,
)  # fmt: skip


@given(_LINES)
@example(["On Monday Ann <a@b.c>", "", "", "wrote:"])
def test_earlier_mail_begins_only_where_it_may(lines):
    """The exact rules find nothing on a line that the cheap look leaves out."""
    here, above = attributions.may_begin(lines)
    for index, line in enumerate(lines):
        if index not in here:
            assert not reply._earlier_mail_begins(lines, index)
            assert quote_marks._FORWARD_MARKER.match(line) is None
            assert index in above or not attributions.attribution_length(lines, index)


_LEAF_PIECES = st.sampled_from(
    [
        b"Content-Type: text/plain; charset=utf-8", b"Content-Type: text/html;", b" charset=utf-8", b"Content-Type: multipart/mixed",
        b"Content-Transfer-Encoding:  base64 ", b"--b", b"X: y", b"no field", b"Content-Type: text/plain; name=x", b"", b"x: \0", b"y: \r",
        b"Content-Type: multipart/mixed; boundary=b", b"Content-ID: <1@b>", b"z: " + b"z" * 200, b"content-type: message/rfc822",
    ]
)  # fmt: skip


@given(
    st.lists(_LEAF_PIECES, max_size=4),
    st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
    st.binary(max_size=9),
    st.integers(0, 2),
)
@example([b"Content-Type: text/plain; charset=utf-8", b""], b"\r\n", b"body", 1)
def test_a_known_part_header_reads_as_any_header(lines, ending, body, start):
    """A part header that is remembered is what reading it anew gives, and has no defect."""
    data = b"-" * start + ending.join([*lines, b"", body])
    leaf = scan._leaf(data, start, len(data), parent=0)
    if leaf is None:
        return
    met: list[Defect] = []
    header = header_block._any_header(
        data, start, len(data), limits=DEFAULT, report=met.append, is_top=False
    )
    assert met == []
    assert leaf == scan.Part(leaf.header, leaf.media, header.body_start, len(data), 0)
    assert leaf.media == parameters.parse_media_type(header.first(b"content-type"))
    assert leaf.header.fields == header.fields
    assert [leaf.header.all(name) for name in header.names] == [
        header.all(name) for name in header.names
    ]


_BASE64_PIECES = st.sampled_from(
    [b"QUJD", b"QUI=", b"QQ==", b"=", b"Q", b"\r\n", b" ", b"-", b"Q=Q"]
)


@given(st.lists(_BASE64_PIECES, max_size=8).map(b"".join), st.sampled_from([b"", b"QUJD" * 16_384]))
@example(b"QQ==\r\n", b"")
@example(b"Q===", b"")
@example(b"QUJD=", b"")
@example(b"QUJD====", b"")
def test_base64_is_measured_as_it_decodes(body, before):
    """A clean body has the size that strict decoding gives; any other has none."""
    body = before + body
    clean = body.translate(None, b"\r\n \t")
    try:
        expected = len(binascii.a2b_base64(clean, strict_mode=True))
    except binascii.Error:
        expected = None
    if len(clean) % 4 or clean.endswith(b"==="):  # the strict decoder lets too much padding pass
        expected = None
    assert content._clean_size(body, 0, len(body)) == expected


_KIND_FIELDS = st.sampled_from(
    [
        (b"Delivered-To", b"help@example.com"), (b"Delivered-To", b"AutoResponder"), (b"Delivered-To", b"=?utf-8?q?autoresponder?="),
        (b"Precedence", b"bulk"), (b"List-Id", b"<x>"), (b"Auto-Submitted", b"no"), (b"X-Loop", b"yes"), (b"X-Failed-Recipients", b"a@b"),
        (b"Subject", b"x"), (b"In-Reply-To", b"<1@b>"), (b"X-Precedence", b"list"), (b"X-Auto-Response-Suppress", b"All"),
    ]
)  # fmt: skip
_SENDERS = st.builds(
    HeaderAddress,
    st.sampled_from(["", "Ann", "Mail Delivery System", "mail delivery \u017fystem", "Jürgen"]),
    st.sampled_from(
        ["ann@b", "mailer-daemon@b", "root@b", "noreply@b", "x-owner@b", "bounces", ""]
    ),
)
_MEDIA = st.sampled_from(
    ["text/plain", "multipart/report", "multipart/report; report-type=delivery-status"]
)


_EVIDENCE = st.builds(
    evidence.Evidence,
    header=st.lists(_KIND_FIELDS, max_size=3).map(
        lambda fields: header_block.HeaderBlock(fields, 0)
    ),
    media=_MEDIA.map(lambda text: parameters.parse_media_type(text.encode())),
    reports=st.sampled_from([NO_REPORTS, Reports(is_receipt=True)]),
    sender=st.none() | _SENDERS,
    return_path=st.sampled_from([None, "", "null", "ann@b", "postmaster@b", "x-bounces@b"]),
    subject=st.sampled_from(["", "printer", "Out of office", "Undelivered mail", "Re: x"]),
    text=st.just("Your message could not be delivered."),
    returns_mail=st.booleans(),
    recipients=st.lists(st.sampled_from(["help@b", "x-bounce@b", "BOUNCES@b"]), max_size=2).map(
        tuple
    ),
)


@given(_EVIDENCE)
def test_a_mail_that_shows_nothing_is_personal(shown):
    """Where the cheap look finds no sign, the rules find none either."""
    if kind._shows_nothing(shown):
        assert kind._judged(shown) == kind.Judgement(Kind.PERSONAL, ())
