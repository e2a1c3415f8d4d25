"""Identities: what they ignore and what they tell apart."""

import mmap
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailrouting.reading import delivery_identity, identify

MAIL = (
    b"Received: from a by b; Mon, 2 Mar 2026 09:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nFrom: Ann <ann@example.org>\r\n"
    b"Date: Mon, 2 Mar 2026 09:00:00 +0000\r\n\r\nHello\0there\r\n"
)


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"\r\n", b"\n"),
        MAIL.replace(b"\0", b"\x80"),
        MAIL + b"\r\n\r\n",
        b"From ann Mon Mar  2 09:00:00 2026\n" + MAIL,
        b"X-Mozilla-Status: 0001\r\nX-UID: 7\r\nX-Keywords: a\r\n b\r\n" + MAIL,
        b"Status: RO\r\nContent-Length: 5\r\nLines: 1\r\n" + MAIL,
    ],
)
def test_what_servers_and_stores_change_is_ignored(other):
    """Line ends, NUL, store fields and final newlines do not change any identity."""
    assert identify(other) == identify(MAIL)


def test_another_delivery_has_another_fingerprint_and_the_same_content():
    """A second delivery of one mail differs in Received only."""
    other = MAIL.replace(b"from a by b", b"from a by c")
    assert identify(other).fingerprint != identify(MAIL).fingerprint
    assert identify(other).delivery != identify(MAIL).delivery
    assert identify(other).content == identify(MAIL).content


def test_rendered_anew_is_the_same_delivery():
    """A server that changes the body leaves the delivery as it is."""
    other = MAIL.replace(b"Hello", b"Hallo")
    assert identify(other).delivery == identify(MAIL).delivery
    assert identify(other).fingerprint != identify(MAIL).fingerprint
    assert identify(other).content != identify(MAIL).content


def test_message_id_alone_does_not_make_content_equal():
    """A guessed Message-ID with another sender is another mail."""
    other = MAIL.replace(b"ann@example.org", b"eve@example.org")
    assert identify(other).content != identify(MAIL).content


@pytest.mark.parametrize(
    "value", [b"ann@example.org", b"Ann <ANN@example.org>", b'"a" <ann@example.org>']
)
def test_the_way_from_is_written_does_not_matter_for_content(value):
    """Only the addr-spec counts, without regard to case."""
    other = MAIL.replace(b"Ann <ann@example.org>", value)
    assert identify(other).content == identify(MAIL).content


def test_time_counts_only_without_received_and_message_id():
    """Two mails without any trace are told apart by when they came."""
    bare = b"Subject: alarm\r\n\r\non fire\r\n"
    one = datetime(2026, 3, 2, 9, tzinfo=UTC)
    two = one + timedelta(hours=1)
    assert identify(bare, received_at=one) != identify(bare, received_at=two)
    assert identify(MAIL, received_at=one) == identify(MAIL, received_at=two)


def test_time_is_compared_as_utc():
    """The same moment in two zones, or without a zone, is the same."""
    bare = b"Subject: alarm\r\n\r\n"
    utc = datetime(2026, 3, 2, 9, tzinfo=UTC)
    berlin = utc.astimezone(timezone(timedelta(hours=1)))
    assert identify(bare, received_at=utc) == identify(bare, received_at=berlin)
    assert identify(bare, received_at=utc) == identify(bare, received_at=utc.replace(tzinfo=None))


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\r\r", b"no header", b"From:\n\n", b"From: x\n"])
def test_anything_has_an_identity(raw):
    """Rubbish is identified, as hex digests of a known version."""
    identity = identify(raw)
    assert identity.version == 1
    assert all(len(bytes.fromhex(d)) == 32 for d in (identity.fingerprint, identity.content))


def test_a_body_without_header_is_a_body():
    """A leading blank line ends an empty header."""
    assert identify(b"\nStatus: text\n") != identify(b"\n\n")


def test_a_forged_twin_with_another_answer_address_is_another_mail():
    """Same id, From and body with another Reply-To or Date is no copy, so it suppresses nothing."""
    true = b"Message-ID: <1@x>\r\nFrom: a@b.c\r\nDate: today\r\n\r\nhelp\r\n"
    content = identify(true).content
    assert identify(b"Received: by mx\r\n" + true).content == content
    assert identify(b"Reply-To: eve@evil.example\r\n" + true).content != content
    assert identify(true.replace(b"today", b"later")).content != content


@pytest.mark.parametrize("ends", [b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("shift", range(-4, 5))
def test_large_mail_is_the_same_wherever_a_slice_ends(shift, ends):
    """Line ends and the header's end count the same at every place of a large mail."""
    padding = b"X-Padding: " + b"x" * (256 * 1024 - 60 + shift) + b"\n"
    plain = b"Message-ID: <1@example.org>\n" + padding + b"Subject: b\n\n\nbody\0\n\n\n" * 3
    assert identify(plain.replace(b"\n", ends)) == identify(plain.rstrip(b"\n"))


def test_a_memory_map_has_the_identity_of_its_bytes(tmp_path):
    """A file is named as its bytes are."""
    raw = MAIL + b"line\r\n" * 100_000
    (tmp_path / "mail").write_bytes(raw)
    with (
        (tmp_path / "mail").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert identify(mapped) == identify(raw)


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n"])
def test_the_header_alone_tells_the_delivery(end):
    """The header names the delivery, with or without the line that ends it."""
    header = MAIL.partition(b"\r\n\r\n")[0]
    assert delivery_identity(header + end) == identify(MAIL).delivery


def test_mail_that_nothing_names_has_no_delivery():
    """Without Message-ID and Received no delivery is told from another."""
    assert identify(b"Date: Mon, 2 Mar 2026 09:00:00 +0000\r\n\r\nx").delivery == ""
    assert delivery_identity(b"Subject: a\r\n") == ""
    assert identify(b"Received: a\r\n\r\n").delivery != ""
