"""Read the address fields of one header."""

import functools
import re

from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.header_block import HeaderBlock, Report
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import Defect, HeaderAddress

__all__ = ["People", "read_return_path"]

_LONGEST_KNOWN = 200
_PLAIN_PATH = re.compile(rb"<[A-Za-z0-9_.+=-]++@[A-Za-z0-9.-]++>")


# A help desk's mail is written to the same few addresses: a pure function of a short value, bounded.
# Other fields differ from mail to mail.
@functools.lru_cache(maxsize=64)
def _known_addresses(value: bytes, limit: int) -> tuple[tuple[HeaderAddress, ...], bool]:
    return parse_addresses(value, limit=limit)


class People:
    """Read address fields, each once."""

    __slots__ = ("_header", "_known", "_limits", "_report", "has_more")

    def __init__(self, header: HeaderBlock, limits: ReadingLimits, report: Report) -> None:
        """Take the header; `report` is called when a field has too many addresses."""
        self._header = header
        self._limits = limits
        self._report = report
        self._known: dict[bytes, tuple[HeaderAddress, ...]] = {}
        self.has_more: set[bytes] = set()

    def read(self, name: bytes) -> tuple[HeaderAddress, ...]:
        """Return the addresses of all fields of a name, in order; `name` is in lower case."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._parsed(name)
        return known

    def first(self, name: bytes) -> HeaderAddress | None:
        """Return the first address of the fields of a name, if there is one.

        A word alone is none where another has an `@`: in `Doe, Ann <ann@example.org>` the comma
        was meant as part of the name.
        """
        found = self.read(name)
        if len(found) > 1 and "@" not in found[0].address:
            return next((one for one in found if "@" in one.address), found[0])
        return found[0] if found else None

    def _parsed(self, name: bytes) -> tuple[HeaderAddress, ...]:
        found: tuple[HeaderAddress, ...] = ()
        is_ours = name == b"to"
        for value in self._header.all(name):
            limit = self._limits.addresses - len(found)
            if is_ours and len(value) <= _LONGEST_KNOWN:
                addresses, is_more = _known_addresses(value, limit)
            else:
                addresses, is_more = parse_addresses(value, limit=limit)
            found += addresses
            if is_more:
                self.has_more.add(name)
                self._report(Defect.ADDRESS_LIMIT)
                break
        return found


def read_return_path(header: HeaderBlock) -> str | None:
    """Return the address in the topmost Return-Path; empty for a null one, None for no such field."""
    value = header.first(b"return-path")
    if value is None:
        return None
    if _PLAIN_PATH.fullmatch(value):
        return value[1:-1].decode("ascii")
    addresses, _ = parse_addresses(value, limit=1)
    return addresses[0].address if addresses else ""
