"""Know what one POP3 session sees: the numbers that its mails have now, and the names that last."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import attrs

from mailrouting.errors import MailroutingError
from mailrouting.records import Uid
from mailrouting.wire._pop3_client import ErrReply, Garbled, Pop3Connection

__all__ = ["Maildrop", "forget_vanished", "list_maildrop", "name_by_content", "retrieve"]

_T = TypeVar("_T")

_BATCH_OCTETS = 2 * 1024 * 1024
_BATCH_MAILS = 200
_SLACK = 8 * 1024 * 1024
_LISTING_OCTETS = 2 * 1024 * 1024
_LONGEST_LISTING = 32 * 1024 * 1024
_LONGEST_UNIQUE_ID = 255
"""RFC 1939 §7 allows 70; what is longer than this names nothing."""

_BY_CONTENT = "sha256 "
"""Begins a name that we gave; a unique-id has no space (RFC 1939 §7)."""


@attrs.define
class Maildrop:
    """Be the mails of one session; RFC 1939 keeps their numbers until it ends.

    Attributes:
        sizes: Octets of each mail as LIST told them, by number; 0 where it told none.
        names: The name of each mail that has one, by number.
        unnamed: Mails without a unique-id of their own: the server has no UIDL, or gives one to
            several mails, as RFC 1939 §7 lets it for equal ones. They are named by content.
        has_unique_ids: Whether the server knows UIDL.
        marked: Numbers that DELE was accepted for.
    """

    sizes: dict[int, int]
    names: dict[int, Uid]
    unnamed: set[int]
    has_unique_ids: bool
    marked: set[int] = attrs.field(factory=set[int])
    _numbers: dict[Uid, list[int]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._numbers = {}
        for number, uid in self.names.items():
            self._numbers.setdefault(uid, []).append(number)

    def numbers(self, uid: Uid) -> list[int]:
        """Return the mails of that name, all with the same octets; none when it is gone."""
        return self._numbers.get(uid, [])

    def size(self, uid: Uid) -> int | None:
        """Return the octets of a mail that is there; None when LIST told no size."""
        return self.sizes[self.numbers(uid)[0]] or None

    def has(self, uid: Uid) -> bool:
        """Tell whether a mail of that name is there and not marked deleted."""
        numbers = self.numbers(uid)
        return bool(numbers) and not self.marked.issuperset(numbers)

    def may_hide(self, uid: Uid) -> bool:
        """Say whether a mail that has no name yet could be the one of this name."""
        return bool(self.unnamed) and uid.startswith(_BY_CONTENT)

    def name(self, number: int, digest: str) -> None:
        """Name a mail by its content."""
        uid = _BY_CONTENT + digest
        self.unnamed.discard(number)
        self.names[number] = uid
        self._numbers.setdefault(uid, []).append(number)

    def forget(self, number: int) -> None:
        """Take out a mail that vanished."""
        self.sizes.pop(number, None)
        self.unnamed.discard(number)
        uid = self.names.pop(number, None)
        if uid is not None:
            self._numbers[uid].remove(number)


def list_maildrop(connection: Pop3Connection) -> Maildrop:
    """Ask once for sizes and names of all mails.

    Raises:
        SessionError: The server refused LIST.
        SessionLostError: The connection ended.
        PeerProtocolError: An answer is no list, or the two contradict each other.
    """
    told: list[dict[int, str] | ErrReply] = []
    connection.ask_all(
        "LIST",
        ["LIST", "UIDL"],
        lambda: _pairs(connection.listed()),
        into=told,
        octets=[_LISTING_OCTETS] * 2,
        spare=_LONGEST_LISTING,
    )
    listed, named = told
    if isinstance(listed, ErrReply):
        raise connection.refusal("LIST", listed)
    unique_ids = {} if isinstance(named, ErrReply) else named
    sizes = {number: int(size) if size.isdigit() else 0 for number, size in listed.items()}
    used: dict[str, int] = {}
    for uid in unique_ids.values():
        used[uid] = used.get(uid, 0) + 1
    names = {
        number: uid
        for number in sizes
        if 0 < len(uid := unique_ids.get(number, "")) <= _LONGEST_UNIQUE_ID and used[uid] == 1
    }
    return Maildrop(
        sizes=sizes,
        names=names,
        unnamed=sizes.keys() - names.keys(),
        has_unique_ids=not isinstance(named, ErrReply),
    )


def _pairs(lines: Iterator[bytes]) -> dict[int, str]:
    """Read lines of a number and a word; what follows is a server's own (RFC 1939 §5)."""
    pairs: dict[int, str] = {}
    for line in lines:
        number, *rest = line.decode("ascii", "backslashreplace").split() or [""]
        if not (number.isascii() and number.isdigit() and 0 < len(number) < 10):  # noqa: PLR2004
            raise Garbled("a line of its list begins with no number")
        if int(number) in pairs:
            raise Garbled("its list has a number twice")
        pairs[int(number)] = rest[0] if rest else ""
    return dict(sorted(pairs.items()))


def name_by_content(connection: Pop3Connection, maildrop: Maildrop, numbers: Sequence[int]) -> None:
    """Read mails that have no name, and give them one that every session gives them.

    Raises:
        SessionLostError: The connection ended.
        PeerProtocolError: An answer makes no sense.
    """
    unnamed = [number for number in numbers if number in maildrop.unnamed]

    def digest(limit: int) -> str:
        octets = hashlib.sha256()
        connection.body(octets.update, limit=limit)
        return octets.hexdigest()

    for number, name in retrieve(connection, maildrop, unnamed, digest):
        maildrop.name(number, name)


def retrieve(
    connection: Pop3Connection,
    maildrop: Maildrop,
    numbers: Sequence[int],
    take: Callable[[int], _T],
    *,
    command: str = "RETR {}",
    most: int | None = None,
) -> Iterator[tuple[int, _T]]:
    """Yield mails in that order, many at a time; one that vanished or is refused is left out.

    No answer is outstanding when one is yielded, so anything else may be asked between.

    Args:
        connection: Where.
        maildrop: Knows their sizes; a mail that vanished is taken out of it.
        numbers: Which.
        take: Reads one mail of so many octets at most.
        command: What to send for each.
        most: Octets that one answer has at most.

    Raises:
        SessionLostError: The connection ended; what came whole was yielded.
        PeerProtocolError: An answer makes no sense; likewise.
    """
    for batch in _batches(maildrop, numbers, most=most):
        came: list[tuple[int, _T] | ErrReply] = []
        sizes = [maildrop.sizes[number] for number in batch]
        turns = iter(batch)

        def answer(turns: Iterator[int] = turns) -> tuple[int, _T]:
            number = next(turns)
            return number, take(2 * maildrop.sizes[number] + _SLACK)

        error: MailroutingError | None = None
        try:
            connection.ask_all(
                command.split(" ", maxsplit=1)[0],
                [command.format(number) for number in batch],
                answer,
                into=came,
                octets=[size if most is None else min(size, most) for size in sizes],
                spare=_SLACK,
            )
        except MailroutingError as failure:
            error = failure
        else:
            refused = [
                number for number, one in zip(batch, came, strict=True) if isinstance(one, ErrReply)
            ]
            forget_vanished(connection, maildrop, refused)
        for one in came:
            if not isinstance(one, ErrReply):
                yield one
        if error is not None:
            raise error


def _batches(
    maildrop: Maildrop, numbers: Sequence[int], *, most: int | None
) -> Iterator[list[int]]:
    """Group mails that are asked for together; a large one alone."""
    batch: list[int] = []
    octets = 0
    for number in numbers:
        if number not in maildrop.sizes:
            continue
        size = maildrop.sizes[number] if most is None else min(maildrop.sizes[number], most)
        if batch and (octets + size > _BATCH_OCTETS or len(batch) == _BATCH_MAILS):
            yield batch
            batch, octets = [], 0
        batch.append(number)
        octets += size
    if batch:
        yield batch


def forget_vanished(connection: Pop3Connection, maildrop: Maildrop, refused: Sequence[int]) -> None:
    """Take out what another session removed; what the server only refuses stays.

    Raises:
        SessionLostError: The connection ended.
        PeerProtocolError: An answer makes no sense.
    """
    if not refused:
        return
    told: list[str | ErrReply] = []
    connection.ask_all(
        "LIST", [f"LIST {number}" for number in refused], connection.status, into=told
    )
    for number, one in zip(refused, told, strict=True):
        if isinstance(one, ErrReply):
            maildrop.forget(number)
