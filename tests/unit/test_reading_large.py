"""Large mail: read from a memory map, decoded when asked for, and never more than it must."""

import base64
import binascii
import copy
import mmap
import pickle
import random
import tempfile
import tracemalloc

import attrs
import pytest
from hypothesis import example, given, strategies as st

from mailrouting.reading import Attachment, Defect, Message, read, to_json_dict

HEAD = b"From: a@x.org\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
MIB = 1 << 20


def mixed(*parts: bytes) -> bytes:
    """Build a mail of a text and parts."""
    written = b"".join(b"--b\r\n" + part + b"\r\n" for part in (b"\r\ntext", *parts))
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + written + b"--b--\r\n"


def attached(encoding: bytes, body: bytes) -> bytes:
    """Build a part that is an attachment."""
    return (
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: "
        + encoding
        + b"\r\n\r\n"
        + body
    )


def mapped(raw: bytes) -> mmap.mmap:
    """Map a file that holds a mail; the map outlives the file's name and handle."""
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def everything(message: Message) -> tuple[object, ...]:
    """Return all that a message says, contents included."""
    contents = [one.content for one in message.attachments]
    return to_json_dict(message), message.header_fields, contents, message.raw


def peak(raw: bytes) -> int:
    """Return the most memory that reading takes, and taking each content once."""
    tracemalloc.start()
    try:
        for one in read(raw).attachments:
            assert len(one.content) == one.size
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [
        mixed(attached(b"base64", base64.encodebytes(random.Random(1).randbytes(300_000)))),
        mixed(attached(b"quoted-printable", b"a=20b=\r\nc\r\n" * 10_000)),
        mixed(attached(b"x-uuencode", b"begin 644 a\r\n#8V%T\r\n`\r\nend\r\n")),
        mixed(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody"),
        mixed(b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n"),
        b"From a@x.org Mon Mar  2 09:15:00 2026\n" + HEAD + b"\r\nbody",
        b"\xef\xbb\xbf" + HEAD + b"\r\nbody",
        b"\r\n\r\n" + HEAD + b"\r\nbody",
        HEAD.replace(b"\r\n", b"\r") + b"\rbody\r",
        b"no header at all",
        HEAD
        + b"Return-Path: <>\r\n\r\nThe mail could not be delivered.\n<b@x.org>: 550 no such user",
    ],
)
def test_memory_map_reads_as_its_bytes(raw):
    """A mail means the same, whether it is in memory or in a mapped file."""
    with mapped(raw) as source:
        message = read(source)
        assert everything(message) == everything(read(raw))
        assert message == read(raw)


def test_content_is_read_from_the_map_when_asked_for():
    """No content was copied before: behind a closed map there is none."""
    with mapped(mixed(attached(b"base64", b"YWJj\r\n" * 10_000))) as source:
        (attachment,) = read(source).attachments
        assert attachment.content == b"abc" * 10_000
    with pytest.raises(ValueError, match="closed"):
        _ = attachment.content


def test_large_attachments_are_decoded_one_at_a_time():
    """The peak is one decoded attachment, not all, and no second copy of it."""
    body = base64.encodebytes(bytes(2 * MIB))
    raw = mixed(*[attached(b"base64", body)] * 4)
    assert peak(raw) < 2.5 * MIB


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"base64", b"=*="),
        (b"base64", b"A="),
        (b"base64", b"=*=A"),
        (b"base64", b"*"),
        (b"x-uuencode", b"M\r\n"),
        (b"x-uuencode", b"M\r"),
        (b"quoted-printable", b"=\r\n"),
        (b"quoted-printable", b"=00"),
    ],
)
def test_no_transfer_encoding_takes_much_memory(encoding, body):
    """The peak stays within four times the mail and 32 MiB, however broken the body is."""
    text = b"begin 644 a\r\n" if encoding == b"x-uuencode" else b""
    text += body * (MIB // len(body))
    assert peak(mixed(attached(encoding, text))) < 8 * MIB
    assert peak(HEAD + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + text) < 36 * MIB


def test_uuencoded_lines_grow_no_mail():
    """A short line may stand for 45 zeros, but a mail of such lines is cut and marked."""
    raw = mixed(attached(b"x-uuencode", b"begin 644 a\r\n" + b"M\r\n" * 100_000))
    message = read(raw)
    assert Defect.BAD_ENCODING in message.defects
    assert message.attachments[0].content.strip(b"\0") == b""
    assert len(message.attachments[0].content) <= 2 * len(raw) + 45


def test_short_uuencoded_lines_stand_for_zeros():
    """Blanks at a line's end, which some servers strip, stand for zeros."""
    lines = [binascii.b2a_uu(bytes(45)).replace(b"`", b" ").rstrip() for _ in range(2)]
    lines += [binascii.b2a_uu(bytes(range(45))) for _ in range(10)]
    body = b"begin 644 a\r\n" + b"\r\n".join(line.rstrip(b"\n") for line in lines) + b"\r\nend\r\n"
    (attachment,) = read(mixed(attached(b"x-uuencode", body))).attachments
    assert attachment.content == bytes(90) + bytes(range(45)) * 10


@given(
    pieces=st.lists(
        st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([1, 2, 3000])), max_size=8
    ),
    junk=st.sampled_from([b"", b"*", b"\r\n", b" \t", b"-" * 70_000]),
)
@example(pieces=[(b"a", 1)] * 2, junk=b"\n" * 65_535)
@example(pieces=[(b"ab", 30_000), (b"abc", 30_000)], junk=b"")
def test_joined_base64_pieces_are_all_decoded(pieces, junk):
    """Several encoded pieces in one body give their contents, wherever slices and rubbish fall."""
    contents = [piece * times for piece, times in pieces]
    body = junk.join(base64.b64encode(content) for content in contents)
    (attachment,) = read(mixed(attached(b"base64", body))).attachments
    assert attachment.content == b"".join(contents)
    assert attachment.size == len(attachment.content)


@given(
    content=st.binary(max_size=300),
    times=st.sampled_from([1, 100, 500]),
    width=st.integers(1, 100),
    line_end=st.sampled_from([b"\r\n", b"\n", b" \r\n", b"\r\n\t"]),
)
def test_clean_base64_is_no_defect(content, times, width, line_end):
    """Lines of any length are clean, and decode to what was encoded."""
    letters = base64.b64encode(content * times)
    lines = [letters[start : start + width] for start in range(0, len(letters), width)]
    message = read(mixed(attached(b"base64", line_end.join(lines))))
    assert message.attachments[0].content == content * times
    assert message.attachments[0].size == len(content * times)
    assert Defect.BAD_ENCODING not in message.defects


@pytest.mark.parametrize("body", [b"QUI", b"QUJDR", b"Q===", b"QQ==QQ==", b"=QQ=", b"QU*JD", b"="])
def test_base64_that_is_not_clean_is_a_defect(body):
    """Whatever is decoded, somebody can see that it was broken; long bodies are no exception."""
    for text in (body, b"QUJD" * 50_000 + body):
        message = read(mixed(attached(b"base64", text)))
        assert Defect.BAD_ENCODING in message.defects
        assert message.attachments[0].size == len(message.attachments[0].content)


def test_nested_mail_is_named_by_its_header_alone():
    """A large nested mail has its name and size without being decoded as a whole."""
    inner = b"Subject: inner\r\n\r\n" + b"x" * (4 * MIB)
    raw = mixed(b"Content-Type: message/rfc822\r\n\r\n" + inner)
    tracemalloc.start()
    try:
        (attachment,) = read(raw).attachments
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()
    assert attachment.safe_name == "inner.eml"
    assert attachment.size == len(inner)


def test_attachment_is_a_value():
    """It can be made, compared, evolved and pickled, its content included."""
    (found,) = read(mixed(attached(b"base64", base64.encodebytes(b"abc")))).attachments
    made = Attachment(
        filename="a.pdf", safe_name="a.pdf", content_type="application/pdf", size=3, content=b"abc"
    )
    assert found == made
    assert hash(found) == hash(made)
    assert attrs.evolve(found, content=b"other") != made
    assert pickle.loads(pickle.dumps(found)).content == b"abc"


def test_a_message_of_a_map_can_be_copied_and_pickled():
    """A copy holds bytes: it needs neither the map nor its file any more."""
    raw = mixed(attached(b"base64", base64.encodebytes(b"x" * 5000)))
    source = mapped(raw)
    message = read(source)
    alone = pickle.loads(pickle.dumps(message.attachments[0]))
    copies = [
        pickle.loads(pickle.dumps(message)),
        copy.copy(message),
        copy.deepcopy(message),
    ]
    source.close()
    assert alone.content == b"x" * 5000
    for one in copies:
        assert everything(one) == everything(read(raw))
