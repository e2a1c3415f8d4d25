"""Undo what programs do to plain text: soft line breaks (RFC 3676), uuencoded files in it."""

import binascii
import re
from collections.abc import Iterator

import attrs

__all__ = ["EmbeddedFile", "may_hold_files", "take_uuencoded", "unflowed"]

# An object for each short line of a text would take many times the text.
_MANY = 16384
_MOST_PIECES = 1024

_BEGIN = re.compile(r"^begin [0-7]{3,4} ([^\n]{1,255})$", re.MULTILINE)
_UU_LINE = re.compile(r"[ -`]{1,90}")
_MOST_FILES = 50
_SIGNATURE = "-- "
_LONGEST_UU_LINE = 45


def unflowed(text: str, *, delsp: bool) -> str:
    r"""Join the lines of a format=flowed text (RFC 3676 §4.1), quote depth by quote depth.

    >>> unflowed("> one \n> two\nthree \nfour\n", delsp=False)
    '> one two\nthree four\n'

    Args:
        text: The text with LF as line end.
        delsp: True when the space before a soft line break is no part of the text.
    """
    written: list[str] = []
    pieces: list[str] = []
    depth = 0
    is_first, is_open = True, False
    for line in _lines(text):
        bare = line.lstrip(">")
        found_depth = len(line) - len(bare)
        bare = bare.removeprefix(" ")  # space-stuffing
        is_mark = bare == _SIGNATURE
        if not is_open or found_depth != depth or is_mark:
            pieces.append(
                ("" if is_first else "\n") + (">" * found_depth + " " if found_depth else "")
            )
        depth, is_first = found_depth, False
        is_open = bare.endswith(" ") and not is_mark
        pieces.append(bare[:-1] if is_open and delsp else bare)
        if len(pieces) > _MOST_PIECES:
            written.append("".join(pieces))
            pieces.clear()
    return "".join([*written, *pieces])


def _lines(text: str) -> Iterator[str]:
    """Return the lines of a text as `split` does, but a part of them at a time."""
    start = 0
    while (end := text.find("\n", start + _MANY)) >= 0:
        yield from text[start:end].split("\n")
        start = end + 1
    yield from text[start:].split("\n")


@attrs.frozen
class EmbeddedFile:
    """Hold a file that stood in a text."""

    name: str
    content: bytes


def may_hold_files(text: str) -> bool:
    """Tell whether it is worth taking uuencoded files out of a text."""
    return "\nend" in text and "begin " in text


def take_uuencoded(text: str) -> tuple[str, tuple[EmbeddedFile, ...]]:
    """Return a text without its uuencoded files, and the files.

    Only a block that is whole, from `begin` to `end`, is one; anything else stays text.
    """
    if not may_hold_files(text):
        return text, ()
    kept: list[str] = []
    files: list[EmbeddedFile] = []
    position = search_from = 0
    while len(files) < _MOST_FILES and (begin := _BEGIN.search(text, search_from)):
        found = _block(text, begin.end() + 1)
        if found is None:
            search_from = begin.end()
            continue
        content, end = found
        kept.append(text[position : begin.start()])
        files.append(EmbeddedFile(begin[1].strip(), content))
        position = search_from = end
    kept.append(text[position:])
    return ("".join(kept) if files else text), tuple(files)


def _block(text: str, position: int) -> tuple[bytes, int] | None:
    """Return the bytes of a block and where it ends; None for what is none."""
    decoded = bytearray()
    while position < len(text):
        stop = text.find("\n", position, position + 200)
        stop = min(len(text), position + 200) if stop < 0 else stop
        line = text[position:stop]
        position = min(stop + 1, len(text))
        if line.rstrip() == "end" and decoded:
            return bytes(decoded), position
        if line.strip() in ("`", ""):
            continue
        piece = _uu_line(line)
        if piece is None:
            return None
        decoded += piece
    return None


def _uu_line(line: str) -> bytes | None:
    if not _UU_LINE.fullmatch(line):
        return None
    length = (ord(line[0]) - 32) & 63
    if length > _LONGEST_UU_LINE:
        return None
    # Editors drop trailing spaces, encoders add a check character: the length byte counts.
    needed = 1 + (length + 2) // 3 * 4
    try:
        return binascii.a2b_uu(line[:needed].ljust(needed))
    except binascii.Error:
        return None
