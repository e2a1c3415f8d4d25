"""Name a mail by its bytes, so that the same delivery is known again.

It needs no reading of the mail: a mail that no parser understands has an identity too. The recipe
has a version, because what was stored under one recipe must not be compared with another.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime

import attrs

__all__ = ["IDENTITY_VERSION", "MailIdentity", "identify"]

IDENTITY_VERSION = 1

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
_ANGLE_ADDRESS = re.compile(rb"<([^<>]{1,998})>")
_BARE_ADDRESS = re.compile(rb"[^\s<>,;:()\"]{1,998}@[^\s<>,;:()\"]{1,998}")


@attrs.frozen(kw_only=True)
class MailIdentity:
    """Hold three names of one mail, each a SHA-256 in hex digits.

    Attributes:
        version: The recipe. Only identities of one version can be compared.
        fingerprint: The same delivery, seen again: every byte but what servers change (line ends,
            NUL, fields that a store adds, final newlines).
        delivery: The same delivery although a server renders its body anew: Message-ID, all
            Received fields, Date.
        content: The same mail in two mailboxes: Message-ID, address in From, Date, Reply-To, body.
            Whoever forges a twin to have the true mail taken for its copy gains nothing: all that
            an answer needs is the same.
    """

    version: int
    fingerprint: str
    delivery: str
    content: str


def identify(raw: bytes, *, received_at: datetime | None = None) -> MailIdentity:
    r"""Compute the identity of a mail. Never raises; linear in its size.

    >>> one = identify(b"Message-ID: <1@example.org>\r\n\r\nhello\r\n")
    >>> one == identify(b"Status: RO\nMessage-ID: <1@example.org>\n\nhello\n\n")
    True

    Args:
        raw: The mail.
        received_at: When the server took it in. It counts only for a mail with neither a Received
            nor a Message-ID field: two of those may be alike and yet be two mails. A time without
            a zone is read as UTC.
    """
    # Servers show NUL as NUL (POP3) or as 0x80 (IMAP); line ends and final newlines vary too.
    text = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"\x80").rstrip(b"\n")
    header, body = _split(text)
    fields = [field for field in _fields(header) if not _is_store_field(field[0])]
    received = _values(fields, b"received")
    message_ids = _values(fields, b"message-id")

    names = hashlib.sha256()
    for name, lines in fields:
        names.update(name + b":" + lines + b"\n")
    names.update(b"\n")
    names.update(body)
    if received_at is not None and not received and not message_ids:
        names.update(b"\n" + _utc(received_at).isoformat().encode())

    message_id = [value.strip(b"<> ") for value in message_ids[:1]]
    return MailIdentity(
        version=IDENTITY_VERSION,
        fingerprint=names.hexdigest(),
        delivery=_digest(
            [b"delivery", *message_ids, b"", *received, b"", *_values(fields, b"date")]
        ),
        content=_digest(
            [
                b"content",
                *message_id,
                b"",
                _from_address(fields),
                b"",
                *_values(fields, b"date"),
                b"",
                *_values(fields, b"reply-to"),
                hashlib.sha256(body).hexdigest().encode(),
            ]
        ),
    )


def _split(text: bytes) -> tuple[bytes, bytes]:
    if text.startswith(b"From "):  # the separator line of an mbox is its store's
        text = text.partition(b"\n")[2]
    if text.startswith(b"\n"):
        return b"", text[1:]
    header, _, body = text.partition(b"\n\n")
    return header, body


def _fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Return pairs of lower-case name and value with its folded lines."""
    found: list[tuple[bytes, list[bytes]]] = []
    for line in header.split(b"\n"):
        if line[:1] in (b" ", b"\t") and found:
            found[-1][1].append(line)
        elif line:
            name, _, value = line.partition(b":")
            found.append((name.strip().lower(), [value]))
    return [(name, b"\n".join(lines)) for name, lines in found]


def _is_store_field(name: bytes) -> bool:
    return name in _STORE_FIELDS or name.startswith(_STORE_PREFIX)


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [b" ".join(value.split()) for found, value in fields if found == name]


def _from_address(fields: list[tuple[bytes, bytes]]) -> bytes:
    for value in _values(fields, b"from")[:1]:
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
    digest = hashlib.sha256()
    for piece in pieces:
        # A length before each piece keeps ("ab", "c") apart from ("a", "bc").
        digest.update(b"%d:" % len(piece))
        digest.update(piece)
    return digest.hexdigest()
