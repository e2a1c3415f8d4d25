"""Read and write IMAP's syntax, as much as the loopback server needs (RFC 3501 §9)."""

import base64
import re
from collections.abc import Collection, Iterable
from datetime import datetime

__all__ = [
    "decode_folder",
    "encode_folder",
    "flag_list",
    "internal_date",
    "matches",
    "quoted",
    "tokens",
]

_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\]|\\.)*)"|\((?P<list>[^()]*)\)|(?P<atom>[^\s"()]+)', re.ASCII
)
_SHIFTED = re.compile(r"&([^-]*)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+|&")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def tokens(line: str) -> list[str]:
    r"""Split a command into its words; quotes and parentheses are taken off.

    >>> tokens(r'a1 UID STORE 1 +FLAGS (\Seen) "a \"b\""')
    ['a1', 'UID', 'STORE', '1', '+FLAGS', '\\Seen', 'a "b"']
    """
    words: list[str] = []
    for found in _TOKEN.finditer(line):
        if found["quoted"] is not None:
            words.append(re.sub(r"\\(.)", r"\1", found["quoted"]))
        elif found["list"] is not None:
            words.append(found["list"])
        else:
            words.append(found["atom"])
    return words


def quoted(text: str) -> str:
    """Write a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def matches(sequence_set: str, numbers: Collection[int]) -> list[int]:
    """Return those of the numbers that a sequence-set names, ascending.

    >>> matches("2:3,9:*", [1, 2, 5])
    [2, 5]
    """
    largest = max(numbers, default=0)
    named: set[int] = set()
    for part in sequence_set.split(","):
        ends = [largest if end == "*" else int(end) for end in part.split(":")]
        low, high = min(ends), max(ends)
        named.update(number for number in numbers if low <= number <= high)
    return sorted(named)


def decode_folder(name: str) -> str:
    """Read modified UTF-7 (RFC 3501 §5.1.3).

    >>> decode_folder("Entw&APw-rfe &- mehr")
    'Entwürfe & mehr'
    """

    def unshift(found: re.Match[str]) -> str:
        coded = found[1].replace(",", "/")
        padded = coded + "=" * (-len(coded) % 4)
        return base64.b64decode(padded).decode("utf-16-be") if coded else "&"

    return _SHIFTED.sub(unshift, name)


def encode_folder(name: str) -> str:
    """Write modified UTF-7 (RFC 3501 §5.1.3).

    >>> encode_folder("Entwürfe & mehr")
    'Entw&APw-rfe &- mehr'
    """

    def shift(found: re.Match[str]) -> str:
        if found[0] == "&":
            return "&-"
        coded = base64.b64encode(found[0].encode("utf-16-be")).decode("ascii")
        return f"&{coded.rstrip('=').replace('/', ',')}-"

    return _UNPRINTABLE.sub(shift, name)


def internal_date(when: datetime) -> str:
    """Write a date-time (RFC 3501 §9); month names are English in every locale."""
    return f'"{when:%d}-{_MONTHS[when.month - 1]}-{when:%Y %H:%M:%S} {when:%z}"'


def flag_list(flags: Iterable[str]) -> str:
    """Write flags in parentheses."""
    return f"({' '.join(sorted(flags))})"
