"""Read mails whole over IMAP: small ones many at a time, large ones in parts."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from mailrouting.reading import MailSource
from mailrouting.records import Uid
from mailrouting.session import MailInfo, RawMail
from mailrouting.wire._imap_client import Connection
from mailrouting.wire._scratch import Scratch

__all__ = [
    "LARGEST_NUMBER",
    "LONGEST_HEADER",
    "UIDS_A_COMMAND",
    "flag_names",
    "mail_info",
    "number_told",
    "parts",
    "read_headers",
    "read_mails",
]

_T = TypeVar("_T")

LARGEST_NUMBER = 2**32 - 1
LONGEST_HEADER = 256 * 1024
UIDS_A_COMMAND = 500
"""Ten digits and a comma each stay below the 8192 octets that servers must accept (RFC 7162 §4)."""

_BATCH_OCTETS = 2 * 1024 * 1024
_BATCH_MAILS = UIDS_A_COMMAND
_CHUNK = 1024 * 1024
_LARGEST_UNTOLD = 64 * 1024 * 1024
"""Where a server tells no size, a mail larger than this is taken for an endless one."""

_SLACK = 8 * 1024 * 1024
_WHOLE = b"BODY[]"
_HEADER = b"BODY[HEADER]"
_HEADERS_A_COMMAND = 50
_EARLIEST_YEAR = 1980
_LATEST_YEAR = 2200


def read_mails(
    connection: Connection, infos: Sequence[MailInfo], *, scratch: Path | None
) -> Iterator[RawMail]:
    r"""Yield the mails' bytes in that order; one that vanished is left out.

    `BODY.PEEK[]` leaves `\Seen` alone (RFC 9051 §6.4.5). Large mail goes part by part into a file
    in the folder `scratch`.

    Raises:
        StorageUnavailableError: The file cannot be written; the session goes on.
        SessionError: The server refused.
        SessionLostError: The connection ended.
        PeerProtocolError: An answer is not the part that was asked for.
    """
    for batch in _batches(infos):
        if len(batch) == 1 and (batch[0].size is None or batch[0].size > _BATCH_OCTETS):
            large = _in_parts(connection, batch[0], scratch)
            bodies = {} if large is None else {batch[0].uid: large}
        else:
            bodies = _together(connection, batch)
        for info in batch:
            raw = bodies.pop(info.uid, None)  # let go of each as it is handed over
            # Servers count a little differently; half of a mail is no whole one.
            if raw is not None and len(raw) >= (info.size or 0) // 2:
                yield RawMail(uid=info.uid, raw=raw, received_at=info.received_at)


def read_headers(
    connection: Connection,
    numbers: Sequence[int],
    *,
    listed: Callable[[frozenset[int]], None] | None = None,
) -> Iterator[tuple[Uid, bytes]]:
    """Yield the mails' headers in that order; one that vanished, or is too long, is left out.

    `listed` is told all mails of the folder that are not deleted, asked for in the first round trip.

    Raises:
        SessionError: The server refused.
        SessionLostError: The connection ended.
        PeerProtocolError: The answer makes no sense.
    """
    # One octet more than is taken, so that a header that was cut is known as such.
    item = f"BODY.PEEK[HEADER]<0.{LONGEST_HEADER + 1}>"
    for some in parts(numbers, _HEADERS_A_COMMAND):
        fetch = partial(connection.client.fetch, some, [item])
        if listed is not None:
            fetch = partial(_fetch_and_list, connection, fetch, listed)
            listed = None
        told = connection.run("FETCH", fetch, octets=len(some) * LONGEST_HEADER)
        for number in some:
            answer = told.get(number, {})
            header = answer.get(_HEADER + b"<0>", answer.get(_HEADER))
            if isinstance(header, bytes) and len(header) <= LONGEST_HEADER:
                yield str(number), header


def _fetch_and_list(
    connection: Connection, fetch: Callable[[], _T], listed: Callable[[frozenset[int]], None]
) -> _T:
    told, flight = connection.protocol.beside(("UID", "SEARCH", "UNDELETED"), fetch)
    if flight.found is not None and flight.refusals == (None,):
        listed(flight.found)
    return told


def _batches(infos: Sequence[MailInfo]) -> Iterator[list[MailInfo]]:
    """Group mails that are read with one command; a large one, or of unknown size, alone."""
    batch: list[MailInfo] = []
    octets = 0
    for info in infos:
        size = _BATCH_OCTETS + 1 if info.size is None else info.size
        if batch and (octets + size > _BATCH_OCTETS or len(batch) == _BATCH_MAILS):
            yield batch
            batch, octets = [], 0
        batch.append(info)
        octets += size
    if batch:
        yield batch


def _together(connection: Connection, batch: Sequence[MailInfo]) -> dict[str, MailSource]:
    numbers = [int(info.uid) for info in batch]
    told = connection.run(
        "FETCH",
        lambda: connection.client.fetch(numbers, ["BODY.PEEK[]"]),
        octets=sum(info.size or 0 for info in batch),
    )
    bodies: dict[str, MailSource] = {}
    for number in numbers:
        body = told.get(number, {}).get(_WHOLE)
        if isinstance(body, bytes):
            bodies[str(number)] = body
    return bodies


def _in_parts(connection: Connection, info: MailInfo, folder: Path | None) -> MailSource | None:
    """Read one mail part after part, until nothing more comes; None when it vanished."""
    limit = _LARGEST_UNTOLD if info.size is None else 2 * info.size + _SLACK
    scratch = Scratch(folder)
    offset = 0
    try:
        while (part := _part(connection, info, offset)) is not None:
            scratch.write(part)
            offset += len(part)
            if offset > limit:
                connection.close()
                raise connection.place.broken(
                    f"mail {info.uid} goes on after {offset} octets", command="FETCH"
                )
            # A short part that ends before the told size may be the server's own limit: ask on.
            at_end = len(part) < _CHUNK and info.size is not None and offset >= info.size
            if not part or at_end or len(part) > _CHUNK:
                return scratch.finish()
        return None
    finally:
        scratch.close()


def _part(connection: Connection, info: MailInfo, offset: int) -> bytes | None:
    """Read one part; the first may be the whole mail, as Exchange may send it."""
    number = int(info.uid)
    told = connection.run(
        "FETCH",
        lambda: connection.client.fetch([number], [f"BODY.PEEK[]<{offset}.{_CHUNK}>"]),
        octets=max(_CHUNK, info.size or 0),
    ).get(number, {})
    part = told.get(b"BODY[]<%d>" % offset)
    if isinstance(part, bytes) and (len(part) <= _CHUNK or not offset):
        return part
    whole = told.get(_WHOLE)
    if isinstance(whole, bytes) and not offset:
        return whole
    if not any(key.startswith(_WHOLE) and told[key] is not None for key in told):
        return None
    connection.close()
    raise connection.place.broken(
        f"it sent another part of mail {info.uid} than octets {offset} to {offset + _CHUNK}",
        command="FETCH",
    )


def number_told(value: object) -> int | None:
    """Return a UID or UIDVALIDITY as told, unless it makes no sense."""
    return value if isinstance(value, int) and 0 < value <= LARGEST_NUMBER else None


def mail_info(number: int, told: dict[bytes, object]) -> MailInfo:
    """Return what a FETCH told of a mail; what makes no sense is not told."""
    size, flags = told.get(b"RFC822.SIZE"), told.get(b"FLAGS")
    return MailInfo(
        uid=str(number),
        size=size if isinstance(size, int) and size >= 0 else None,
        received_at=_received_at(told.get(b"INTERNALDATE")),
        flags=frozenset(flag_names(flags)),
    )


def flag_names(flags: object) -> Iterator[str]:
    """Yield the flags of a list as told."""
    if isinstance(flags, tuple):
        for flag in cast("tuple[object, ...]", flags):
            if isinstance(flag, bytes):
                yield flag.decode("ascii", "replace")


def _received_at(told: object) -> datetime | None:
    if not isinstance(told, datetime) or told.tzinfo is None:
        return None
    return told.astimezone(UTC) if _EARLIEST_YEAR <= told.year <= _LATEST_YEAR else None


def parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield the numbers, at most so many at a time."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
