"""Name attachments: as sent, and harmlessly."""

import re
import unicodedata

from mailrouting.reading.parameters import parse_parameters
from mailrouting.reading.scan import Part

__all__ = ["part_name", "safe_name"]

_LONGEST = 150
_LONGEST_BYTES = 200
_LONGEST_EXTENSION = 16
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_DEVICES = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)", re.IGNORECASE
)
# Control, format (bidi, zero width), surrogate, private use, line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_EXTENSIONS = {
    "application/pdf": ".pdf",
    "application/pgp-signature": ".asc",
    "application/pkcs7-signature": ".p7s",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "message/delivery-status": ".txt",
    "message/rfc822": ".eml",
    "message/global": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/rfc822-headers": ".txt",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
}


def part_name(part: Part) -> tuple[str | None, bool]:
    """Return the file name of a part as sent, and whether it has several that differ."""
    name: str | None = None
    conflict = False
    disposition = part.header.first(b"content-disposition")
    if disposition:
        name, conflict = parse_parameters(disposition)[1].text("filename")
    if not name:
        name, other_conflict = part.media.parameters.text("name")
        conflict = conflict or other_conflict
    return name or None, conflict


def safe_name(name: str, *, content_type: str, taken: set[str]) -> str:
    r"""Make a name that is harmless in a folder of any system, and add it to `taken`.

    No path, no control, bidi or zero-width character, no leading dot, no device name of Windows;
    at most 150 characters and 200 bytes of UTF-8, its extension kept; unique without regard to
    case.

    >>> safe_name("../../etc/pass\u202ewd.txt", content_type="text/plain", taken=set())
    'passwd.txt'
    """
    visible = _visible(name[:2000])
    base = visible.rstrip(" ./\\").replace("\\", "/").rpartition("/")[2]
    base = _FORBIDDEN.sub("_", base).strip(" .")
    if not base:
        base = "attachment" + _EXTENSIONS.get(content_type, ".bin")
    if _DEVICES.fullmatch(base.partition(".")[0].strip()):
        base = "_" + base
    stem, extension = _split(base)
    unique = _numbered(stem, extension, taken)
    taken.add(unique.casefold())
    return unique


def _visible(name: str) -> str:
    if name.isascii() and name.isprintable():
        return name
    return "".join(
        " " if character in "\t\r\n" else character
        for character in unicodedata.normalize("NFC", name)
        if character in "\t\r\n" or unicodedata.category(character) not in _INVISIBLE
    )


def _numbered(stem: str, extension: str, taken: set[str]) -> str:
    """Return the name with the next free number; found by halving, for hundreds of one name."""

    def candidate(number: int) -> str:
        return _shortened(stem, f" ({number})" if number > 1 else "", extension)

    first = candidate(1)
    if first.casefold() not in taken:
        return first
    last, free = 1, 2
    while candidate(free).casefold() in taken:
        last, free = free, free * 2
    while free - last > 1:
        middle = (last + free) // 2
        if candidate(middle).casefold() in taken:
            last = middle
        else:
            free = middle
    return candidate(free)


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _LONGEST_EXTENSION or " " in extension:
        return name, ""
    return stem, dot + extension


def _shortened(stem: str, number: str, extension: str) -> str:
    room = _LONGEST - len(number) - len(extension)
    stem = stem[:room]
    byte_room = _LONGEST_BYTES - len((number + extension).encode())
    stem = stem.encode()[: max(byte_room, 1)].decode("utf-8", "ignore")
    return (stem.rstrip(" .") or "_") + number + extension
