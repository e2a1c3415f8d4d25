"""Write for people at a terminal: short, and nothing that a mail could make the terminal do."""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from typing import cast

__all__ = ["inspection_lines", "printable"]

_MOST_LINES = 21
_MOST_PART_LINES = 3
_MOST_CHARACTERS = 400
# Control, half surrogate pairs, line and paragraph separators.
_ESCAPED = frozenset({"Cc", "Cs", "Zl", "Zp"})
# What changes the direction of the text around it (UAX #9).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return a text with escapes for what steers a terminal or turns the text around.

    >>> printable("red\x1b[31m \u202eexe")
    'red\\x1b[31m \\u202eexe'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if character in _BIDI or unicodedata.category(character) in _ESCAPED
        else character
        for character in text
    )


def inspection_lines(found: Mapping[str, object]) -> Iterator[str]:
    """Yield what `inspect` found, key and value; cut parts say how much is missing."""
    for key, value in found.items():
        if key == "reply" and isinstance(value, dict):
            for part, text in cast("dict[str, str]", value).items():
                yield from _entry(f"reply {part}", text, most=_MOST_PART_LINES)
        else:
            yield from _entry(key, value, most=_MOST_LINES)
    yield ""


def _entry(key: str, value: object, *, most: int) -> Iterator[str]:
    if value in (None, [], ""):
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    for number, line in enumerate(lines[:most]):
        yield f"{'' if number else key:>16}  {printable(_shortened(line))}".rstrip()
    if len(lines) > most:
        yield f"{'':>16}  … {_counted(len(lines) - most, 'more line')}"


def _shortened(line: str) -> str:
    missing = len(line) - _MOST_CHARACTERS
    if missing <= 0:
        return line
    return f"{line[:_MOST_CHARACTERS]} … {_counted(missing, 'more character')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
