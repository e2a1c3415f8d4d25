"""Name a mail by its bytes, so that the same delivery is known again.

It needs no reading of the mail: a mail that no parser understands has an identity too. The recipe
has a version, because what was stored under one recipe must not be compared with another.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import attrs

from mailrouting.reading.message import MailSource

__all__ = ["IDENTITY_VERSION", "MailIdentity", "delivery_identity", "identify"]

IDENTITY_VERSION = 1

_SLICE = 256 * 1024

# What mail stores write into the header of a mail that they keep (mbox, Maildir, Thunderbird).
_STORE_FIELDS = frozenset(
    {
        b"status",
        b"x-status",
        b"x-uid",
        b"x-uidl",
        b"x-keywords",
        b"x-tuid",
        b"x-offlineimap",
        b"content-length",
        b"lines",
    }
)
_STORE_PREFIX = b"x-mozilla-"
_COUNTING_FIELDS = (b"received", b"message-id", b"date", b"from", b"reply-to")
_FIELD_END = re.compile(rb"\n(?![ \t])")
_ANGLE_ADDRESS = re.compile(rb"<([^<>]{1,998})>")
_BARE_ADDRESS = re.compile(rb"[^\s<>,;:()\"]{1,998}@[^\s<>,;:()\"]{1,998}")


@attrs.frozen(kw_only=True)
class MailIdentity:
    """Hold three names of one mail, each a SHA-256 in hex digits or empty.

    Attributes:
        version: The recipe. Only identities of one version can be compared.
        fingerprint: The same delivery, seen again: every byte but what servers change (line ends,
            NUL, fields that a store adds, final newlines).
        delivery: The same delivery although a server renders its body anew: Message-ID, all
            Received fields, Date. Empty, and equal to no other, for a mail with neither a
            Message-ID nor a Received field.
        content: The same mail in two mailboxes: Message-ID, address in From, Date, Reply-To, body.
            Whoever forges a twin to have the true mail taken for its copy gains nothing: all that
            an answer needs is the same.
    """

    version: int
    fingerprint: str
    delivery: str
    content: str


def identify(raw: MailSource, *, received_at: datetime | None = None) -> MailIdentity:
    r"""Compute the identity of a mail. Never raises; linear in its size.

    A memory map is digested in slices, so that a large mail costs no copy of itself.

    >>> one = identify(b"Message-ID: <1@example.org>\r\n\r\nhello\r\n")
    >>> one == identify(b"Status: RO\nMessage-ID: <1@example.org>\n\nhello\n\n")
    True

    Args:
        raw: The mail.
        received_at: When the server took it in. It counts only for a mail with neither a Received
            nor a Message-ID field: two of those may be alike and yet be two mails. A time without
            a zone is read as UTC.
    """
    header, pieces = _parts(raw)
    fields = [field for field in _fields(header) if not _is_store_field(field[0])]
    values = _values(fields)
    received, message_ids = values[b"received"], values[b"message-id"]

    fingerprint = hashlib.sha256(b"".join([b"%b:%b\n" % field for field in fields]))
    fingerprint.update(b"\n")
    body = hashlib.sha256()
    for piece in pieces:
        fingerprint.update(piece)
        body.update(piece)
    if received_at is not None and not received and not message_ids:
        fingerprint.update(b"\n" + _utc(received_at).isoformat().encode())

    message_id = [value.strip(b"<> ") for value in message_ids[:1]]
    return MailIdentity(
        version=IDENTITY_VERSION,
        fingerprint=fingerprint.hexdigest(),
        delivery=_delivery(values),
        content=_digest(
            [
                b"content",
                *message_id,
                b"",
                _from_address(values[b"from"]),
                b"",
                *values[b"date"],
                b"",
                *values[b"reply-to"],
                body.hexdigest().encode(),
            ]
        ),
    )


def delivery_identity(header: bytes) -> str:
    r"""Compute `MailIdentity.delivery` of a mail from its header alone. Never raises.

    >>> header = b"Message-ID: <1@example.org>\r\n\r\n"
    >>> delivery_identity(header) == identify(header + b"hello\r\n").delivery
    True

    Args:
        header: The header section; the empty line that ends it may be there or not.
    """
    return _delivery(_values(_fields(_parts(header)[0])))


def _delivery(values: dict[bytes, list[bytes]]) -> str:
    received, message_ids = values[b"received"], values[b"message-id"]
    if not received and not message_ids:
        return ""
    return _digest([b"delivery", *message_ids, b"", *received, b"", *values[b"date"]])


def _normalised(raw: MailSource) -> Iterator[bytes]:
    """Yield the mail in slices, without what servers change.

    They show NUL as NUL (POP3) or as 0x80 (IMAP); line ends and final newlines vary too.
    """
    size = len(raw)
    start = newlines = 0
    while start < size:
        end = min(start + _SLICE, size)
        piece = raw[start:end]
        if end < size and piece.endswith(b"\r"):  # its LF may be the next octet
            piece, end = piece[:-1], end - 1
        start = end
        piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"\x80")
        text = piece.rstrip(b"\n")
        if text:
            yield b"\n" * newlines + text
            newlines = 0
        newlines += len(piece) - len(text)


def _parts(raw: MailSource) -> tuple[bytes, Iterator[bytes]]:
    """Return header and body; the body in slices."""
    pieces = _normalised(raw)
    head = bytearray()
    start: int | None = None
    searched = 0
    for piece in pieces:
        head += piece
        if start is None:
            start = _start(head)
        if start is None:
            continue
        if head.startswith(b"\n", start):
            return b"", _chained(head[start + 1 :], pieces)
        end = head.find(b"\n\n", max(start, searched - 1))
        if end >= 0:
            return bytes(head[start:end]), _chained(head[end + 2 :], pieces)
        searched = len(head)
    return bytes(head[len(head) if start is None else start :]), pieces


def _start(head: bytearray) -> int | None:
    """Return where the header begins; None while that cannot be told."""
    if not head.startswith(b"From "):
        return 0
    # The separator line of an mbox is its store's.
    end = head.find(b"\n")
    return end + 1 if end >= 0 else None


def _chained(first: bytearray, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield bytes(first)
    yield from rest


def _fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Return pairs of lower-case name and value with its folded lines."""
    found: list[tuple[bytes, bytes]] = []
    for field in _FIELD_END.split(header):
        name, _, value = field.partition(b":")
        if b"\n" in name:  # the colon stands in a folded line: it ends no name
            name, newline, lines = field.partition(b"\n")
            value = newline + lines
        if field:
            found.append((name.strip().lower(), value))
    return found


def _is_store_field(name: bytes) -> bool:
    return name in _STORE_FIELDS or name.startswith(_STORE_PREFIX)


def _values(fields: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    """Return the values of the fields that count, each with one space between its words."""
    found: dict[bytes, list[bytes]] = {name: [] for name in _COUNTING_FIELDS}
    for name, value in fields:
        if name in found:
            found[name].append(b" ".join(value.split()))
    return found


def _from_address(values: list[bytes]) -> bytes:
    for value in values[:1]:
        angle: list[bytes] = _ANGLE_ADDRESS.findall(value[:16384])
        if angle:
            return angle[-1].strip().lower()
        # A bounded look: a pattern with two open ends is quadratic on a long field.
        bare = _BARE_ADDRESS.search(value[:1998])
        return bare.group().lower() if bare else value.lower()
    return b""


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _digest(pieces: Iterable[bytes]) -> str:
    # A length before each piece keeps ("ab", "c") apart from ("a", "bc").
    return hashlib.sha256(
        b"".join([b"%d:%b" % (len(piece), piece) for piece in pieces])
    ).hexdigest()
