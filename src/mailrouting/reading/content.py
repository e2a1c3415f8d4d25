"""Undo the transfer encoding of a part's body (RFC 2045 §6), as far as it goes.

A body is measured when the mail is read and decoded when it is asked for, both in slices, so that
a large one costs its decoded bytes and nothing beside them.
"""

import binascii
import enum
import io
import re

import attrs

from mailrouting.reading.footers import footer_start, is_plain
from mailrouting.reading.header_block import Report
from mailrouting.reading.line_ends import LONE_CR
from mailrouting.reading.message import Defect, MailSource
from mailrouting.reading.scan import Part

__all__ = ["Content", "content_of", "measure"]

_SLICE = 64 * 1024
_SMALL = 16 * 1024
_WHITE = b"\r\n \t"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_LETTERS + b"="))
_PADDED = (2, 3)  # how many letters of a last group stand before its padding
_SOFT_BREAK = re.compile(rb"=[ \t]*+(?:\r{0,3}+\n|\r)")
# These begin with the rare letter, and look back: the search runs from one line end to the next.
_LONE_SOFT_BREAK = re.compile(rb"\r(?<==\r)(?!\n)")
_PADDED_LINE = re.compile(rb"\n(?:(?<=[ \t]\n)|(?<=[ \t]\r\n))")
_LINE = re.compile(rb"([^\r\n]*+)(?:\r\n|\r|\n|\Z)")
_LAST_LINES = frozenset({b"end", b"`", b""})
# A short line of uuencode may stand for 45 zeros: so far more than was sent may come of it.
_MOST_GROWTH = 2


class _Encoding(enum.Enum):
    IDENTITY = enum.auto()
    BASE64 = enum.auto()
    BROKEN_BASE64 = enum.auto()
    BASE64_WITH_FOOTER = enum.auto()
    QUOTED_PRINTABLE = enum.auto()
    UUENCODE = enum.auto()


_ENCODINGS = {
    **dict.fromkeys((b"", b"7bit", b"8bit", b"binary", b"7-bit", b"8-bit", b"none"), _Encoding.IDENTITY),
    b"base64": _Encoding.BASE64,
    b"quoted-printable": _Encoding.QUOTED_PRINTABLE,
    **dict.fromkeys((b"x-uuencode", b"uuencode", b"x-uue", b"uue"), _Encoding.UUENCODE),
}  # fmt: skip


# Looking a member up in its class takes as long as a call.
_IDENTITY, _BASE64 = _Encoding.IDENTITY, _Encoding.BASE64
_BROKEN_BASE64 = _Encoding.BROKEN_BASE64
_QUOTED_PRINTABLE = _Encoding.QUOTED_PRINTABLE


@attrs.frozen
class Content:
    """Hold where a body stands; `bytes()` decodes it, anew each time.

    Attributes:
        size: Bytes that it decodes to.
    """

    _source: MailSource = attrs.field(repr=False)
    _start: int
    _end: int
    _encoding: _Encoding
    size: int

    def __bytes__(self) -> bytes:
        """Return the decoded bytes."""
        return _decoded(self._source, self._start, self._end, self._encoding)

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or a pickle holds: of a memory map, the bytes of this body."""
        state = {field.name: getattr(self, field.name) for field in attrs.fields(Content)}
        if not isinstance(self._source, bytes):
            source = self._source[self._start : self._end]
            state.update(_source=source, _start=0, _end=len(source))
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take what `__getstate__` returned."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def beginning(self, size: int) -> bytes:
        """Return about as many of the first decoded bytes, without decoding the rest."""
        # No encoding takes more than three bytes for one.
        end = min(self._end, self._start + 4 * size)
        encoding = self._encoding
        if end < self._end and encoding in (_Encoding.BASE64, _Encoding.BASE64_WITH_FOOTER):
            encoding = _BROKEN_BASE64  # cut off in the middle of a group
        return _decoded(self._source, self._start, end, encoding)[:size]


def content_of(source: MailSource, part: Part, report: Report) -> bytes:
    """Return the decoded bytes of a part; never raises."""
    encoding = _encoding(part, report)
    if encoding is _IDENTITY:
        return source[part.start : part.end]
    if encoding is _QUOTED_PRINTABLE:
        body = source[part.start : part.end]
        _check_soft_breaks(body, report)
        return _from_quoted_printable(body)
    if encoding is _BASE64 and part.end - part.start <= _SMALL:
        # The common case: one pass over clean lines finds their faults too.
        try:
            body = source[part.start : part.end].translate(None, _WHITE)
            return binascii.a2b_base64(body, strict_mode=True)
        except binascii.Error:
            pass
    return bytes(measure(source, part, report))


def measure(source: MailSource, part: Part, report: Report) -> Content:
    """Find what a part decodes to, without keeping it; never raises."""
    start, end = part.start, part.end
    encoding = _encoding(part, report)
    if encoding is _Encoding.IDENTITY:
        return Content(source, start, end, encoding, end - start)
    if encoding is _Encoding.BASE64:
        size = _clean_size(source, start, end)
        if size is not None:
            return Content(source, start, end, encoding, size)
        report(Defect.BAD_ENCODING)
        encoding = _broken(source[start:end]) if part.media.main == "text" else _BROKEN_BASE64
    if encoding is _QUOTED_PRINTABLE:
        _check_soft_breaks(source[start:end], report)
    if encoding is _Encoding.UUENCODE:
        decoded, is_whole = _uudecoded(source[start:end])
        if not is_whole:
            report(Defect.BAD_ENCODING)
        return Content(source, start, end, encoding, len(decoded))
    size = len(_decoded(source, start, end, encoding))
    return Content(source, start, end, encoding, size)


def _broken(body: bytes) -> _Encoding:
    if footer_start(body):
        return _Encoding.BASE64_WITH_FOOTER
    return _IDENTITY if is_plain(body) else _BROKEN_BASE64


def _encoding(part: Part, report: Report) -> _Encoding:
    if part.opaque:
        return _Encoding.IDENTITY
    value = part.header.first(b"content-transfer-encoding") or b""
    plain = _ENCODINGS.get(value)
    if plain:
        return plain
    word = value.partition(b";")[0].partition(b"(")[0].strip(b" \t\"'.").lower()
    known = _ENCODINGS.get(word)
    if known is None:
        report(Defect.BAD_ENCODING)
        return _Encoding.IDENTITY
    return known


def _decoded(source: MailSource, start: int, end: int, encoding: _Encoding) -> bytes:
    if encoding is _Encoding.BASE64:
        # It skips line ends itself, and was found to have nothing else to skip.
        with memoryview(source) as whole, whole[start:end] as letters:
            return binascii.a2b_base64(letters)
    if encoding is _BROKEN_BASE64:
        return _broken_base64(source, start, end)
    body = source[start:end]
    if encoding is _Encoding.QUOTED_PRINTABLE:
        return _from_quoted_printable(body)
    if encoding is _Encoding.BASE64_WITH_FOOTER:
        return _with_footer(body)
    if encoding is _Encoding.UUENCODE:
        return _uudecoded(body)[0]
    return body


def _from_quoted_printable(body: bytes) -> bytes:
    if _PADDED_LINE.search(body) or LONE_CR.search(body):
        # a2b_qp takes neither white space (RFC 2045 §6.7 (3)) nor a lone CR behind `=` for a soft
        # line break, and drops what follows that CR up to the next LF.
        body = _SOFT_BREAK.sub(b"=\n", body)
    return binascii.a2b_qp(body)


def _check_soft_breaks(body: bytes, report: Report) -> None:
    if _LONE_SOFT_BREAK.search(body):
        report(Defect.BAD_ENCODING)


def _with_footer(body: bytes) -> bytes:
    start = footer_start(body)
    text = binascii.a2b_base64(body[:start])
    return text + (b"" if text.endswith(b"\n") else b"\r\n") + body[start:]


def _clean_size(source: MailSource, start: int, end: int) -> int | None:
    """Return what base64 decodes to when it is whole groups and white space, else None."""
    letters = 0
    for position in range(start, end, _SLICE):
        piece = source[position : min(position + _SLICE, end)]
        others = piece.translate(None, _LETTERS)
        letters += len(piece) - len(others)
        if odd := others.translate(None, _WHITE):
            # Only padding can be right, and only at the end: it fills the last group.
            if not odd.startswith(b"=") or letters % 4 not in _PADDED:
                return None
            rest = source[position + piece.index(b"=") : end].translate(None, _WHITE)
            return letters * 3 // 4 if rest == b"=" * (4 - letters % 4) else None
    return letters // 4 * 3 if letters % 4 == 0 else None


def _broken_base64(source: MailSource, start: int, end: int) -> bytes:
    """Decode what is there; padding ends a group, not the text: some programs join pieces."""
    decoded = io.BytesIO()
    open_group = b""
    for position in range(start, end, _SLICE):
        data = source[position : min(position + _SLICE, end)].translate(None, _NOT_BASE64)
        *closed, rest = data.split(b"=")
        for piece in closed:
            decoded.write(_group(open_group + piece))
            open_group = b""
        rest = open_group + rest
        whole = len(rest) - len(rest) % 4
        decoded.write(binascii.a2b_base64(rest[:whole]))
        open_group = rest[whole:]
    decoded.write(_group(open_group))
    return decoded.getvalue()


def _group(data: bytes) -> bytes:
    if len(data) % 4 == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


def _uudecoded(body: bytes) -> tuple[bytes, bool]:
    """Return what the lines decode to, and whether all of them could be read."""
    begin = body.find(b"begin ")
    first = _LINE.match(body, begin) if begin >= 0 else None
    if first is None:
        return body, False
    decoded = io.BytesIO()
    room = _MOST_GROWTH * len(body)
    for found in _LINE.finditer(body, first.end()):
        line = found[1]
        if line.strip() in _LAST_LINES:
            break
        try:
            room -= decoded.write(binascii.a2b_uu(line))
        except binascii.Error:
            # Some encoders write trailing rubbish: the length byte says how much counts.
            length = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                room -= decoded.write(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                return decoded.getvalue(), False
        if room < 0:
            return decoded.getvalue(), False
    return decoded.getvalue(), True
