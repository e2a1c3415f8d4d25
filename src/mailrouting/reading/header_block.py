"""Split a header from its body, in bytes, with one reading for each way to get it wrong.

CR, LF and CRLF all end a line here (a stray CR before CRLF belongs to it), so a field that hides
behind a bare CR is a field for us as it is for the program that shows the mail.
"""

import re
from collections.abc import Callable, KeysView
from itertools import chain

from mailrouting.reading.limits import DEFAULT, ReadingLimits
from mailrouting.reading.line_ends import LONE_CR
from mailrouting.reading.message import Defect, MailSource

__all__ = ["HeaderBlock", "plain_header", "read_header"]

Report = Callable[[Defect], None]

_LINE_END = re.compile(rb"\r{0,3}\n|\r")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_BLANK_LINES = re.compile(rb"[\r\n]*")
_FIELD = re.compile(rb"([!-9;-~]+)([ \t]*):")
# Bound to the beginning of a line: a long name without a colon must not be tried at each letter.
_FIELDS = re.compile(rb"^([!-9;-~]++):([^\n]*+(?:\n[ \t][^\n]*+)*+)\n", re.MULTILINE)
_MBOX_LINE = re.compile(rb">?From [^\r\n:]{1,200}\d\d:\d\d")


class HeaderBlock:
    """Hold the fields of a header and where the body begins; values are unfolded when asked for.

    Attributes:
        body_start: Where the body begins in the mail.
        names: The names of its fields in lower case.
    """

    __slots__ = ("_fields", "_is_folded", "_values", "body_start", "names")

    def __init__(
        self, fields: list[tuple[bytes, bytes]], body_start: int, *, is_folded: bool = False
    ) -> None:
        """Make a header of names and values; folded ones have LF as line end."""
        self.body_start: int = body_start
        self._fields = fields
        self._is_folded = is_folded
        self._values: dict[bytes, list[bytes]] = {}
        values = self._values
        self.names: KeysView[bytes] = values.keys()
        for name, value in fields:
            lowered = name.lower()
            if lowered in values:
                values[lowered].append(value)
            else:
                values[lowered] = [value]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Return name as written and value of each field, topmost first."""
        if not self._is_folded:
            return self._fields
        return [(name, _unfolded(value)) for name, value in self._fields]

    def count(self, name: bytes) -> int:
        """Return how many fields have a name; it is in lower case."""
        return len(self._values.get(name, ()))

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of a field, topmost first; `name` is in lower case."""
        values = self._values.get(name)
        if values is None:
            return []
        return [_unfolded(value) for value in values] if self._is_folded else values

    def first(self, name: bytes) -> bytes | None:
        """Return the topmost value of a field; `name` is in lower case."""
        values = self._values.get(name)
        if values is None:
            return None
        return _unfolded(values[0]) if self._is_folded else values[0]


def _unfolded(value: bytes) -> bytes:
    if b"\n" in value:
        return b" ".join([line.strip(b" \t") for line in value.split(b"\n")])
    return value.strip(b" \t")


def read_header(
    data: MailSource,
    start: int,
    end: int,
    *,
    limits: ReadingLimits,
    report: Report,
    is_top: bool = False,
) -> HeaderBlock:
    """Read the header of `data[start:end]`.

    Args:
        data: The mail.
        start: Where the header begins.
        end: Where the part ends at the latest.
        limits: Past them, fields are left out; the body still begins behind the blank line.
        report: Called with each defect.
        is_top: True for the mail's own header: mbox lines and blank lines before it are skipped.
    """
    plain = _plain_header(data, start, end, limits=limits, is_top=is_top)
    return plain or _any_header(data, start, end, limits=limits, report=report, is_top=is_top)


def plain_header(block: bytes) -> HeaderBlock | None:
    """Read a part's short header with its blank line; None for one that is not plain."""
    header = _plain_header(block, 0, len(block), limits=DEFAULT, is_top=False)
    return HeaderBlock(header.fields, header.body_start) if header else None


def _plain_header(
    data: MailSource, start: int, end: int, *, limits: ReadingLimits, is_top: bool
) -> HeaderBlock | None:
    """Read a header that nothing is wrong with, in one pass; None for any other."""
    newline = data.find(b"\n", start, end)
    has_cr = newline > start and data[newline - 1 : newline] == b"\r"
    blank_line = b"\r\n\r\n" if has_cr else b"\n\n"
    stop = data.find(blank_line, start, min(end, start + limits.header_bytes))
    if stop < 0:
        return None
    body_start = stop + len(blank_line)
    block = data[start : body_start - len(blank_line) // 2]
    if has_cr and not LONE_CR.search(block):
        block = block.replace(b"\r", b"")
    if b"\r" in block or b"\0" in block:
        return None
    if not is_top and (block.startswith(b"--") or b"\n--" in block):
        return None
    fields: list[tuple[bytes, bytes]] = _FIELDS.findall(block)
    size = 2 * len(fields) + sum(map(len, chain.from_iterable(fields)))
    # What is no field lies between two, and is missing from the sum.
    if size != len(block) or len(fields) > limits.header_fields:
        return None
    if len(block) > limits.value_bytes and any(
        len(value) > limits.value_bytes for _, value in fields
    ):
        return None
    return HeaderBlock(fields, body_start, is_folded=True)


def _any_header(
    data: MailSource, start: int, end: int, *, limits: ReadingLimits, report: Report, is_top: bool
) -> HeaderBlock:
    position = _skip_rubbish(data, start, end, report) if is_top else start
    header_start = position
    lines: list[tuple[bytes, list[bytes]]] = []
    while position < end:
        if position - header_start > limits.header_bytes or len(lines) > limits.header_fields:
            report(Defect.HEADER_LIMIT)
            position = _behind_blank_line(data, position, end)
            break
        ending = _LINE_END.search(data, position, end)
        stop, following = ending.span() if ending else (end, end)
        if ending and ending.group() == b"\r":
            report(Defect.BARE_CR)
        # One line may be the whole mail: never take more of it than the header may have.
        line = data[position : min(stop, position + limits.header_bytes)]
        if not line:
            position = following
            break
        if b"\0" in line:
            report(Defect.NUL)
            line = line.replace(b"\0", b"")
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1][1].append(b" " + line.strip(b" \t"))
        elif not line.strip():
            position = following
            break
        elif line.startswith(b"--") and not is_top:
            # A boundary line: this part has a header only.
            break
        elif field := _FIELD.match(line):
            if field.group(2):
                report(Defect.SPACE_BEFORE_COLON)
            lines.append((field.group(1), [line[field.end() :].strip(b" \t")]))
        elif not _MBOX_LINE.match(line):
            report(Defect.MISSING_BLANK_LINE)
            break
        position = following
    fields = [
        (name, _value(pieces, limits, report)) for name, pieces in lines[: limits.header_fields]
    ]
    return HeaderBlock(fields, position)


def _value(pieces: list[bytes], limits: ReadingLimits, report: Report) -> bytes:
    value = b"".join(pieces)
    if len(value) > limits.value_bytes:
        report(Defect.VALUE_LIMIT)
    return value[: limits.value_bytes]


def _skip_rubbish(data: MailSource, start: int, end: int, report: Report) -> int:
    """Return where the first field may begin: behind blank lines, a BOM and an mbox line."""
    position = start
    if data[position : position + 3] == b"\xef\xbb\xbf":
        position += 3
    blank = _BLANK_LINES.match(data, position, end)
    blank_end = blank.end() if blank else position
    if blank_end > position and _FIELD.match(data[blank_end : blank_end + 1000]):
        report(Defect.LEADING_BLANK_LINES)
        position = blank_end
    is_field = _FIELD.match(data[position : position + 1000])
    if data[position : position + 6].startswith((b"From ", b">From ")) and not is_field:
        report(Defect.MBOX_LINE)
        ending = _LINE_END.search(data, position, end)
        position = ending.end() if ending else end
    return position


def _behind_blank_line(data: MailSource, position: int, end: int) -> int:
    found = _BLANK_LINE.search(data, max(position - 1, 0), end)
    return found.end() if found else end
