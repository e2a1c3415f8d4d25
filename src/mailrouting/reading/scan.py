"""Cut a mail into its parts: one pass over the bytes, no recursion, limits on everything.

A multipart's parts are found by its boundary lines alone (RFC 2046 §5.1.1). A nested mail
(message/rfc822) stays one part: what stands in it is not this mail.
"""

import functools
import re
from collections.abc import Container

import attrs

from mailrouting.reading.header_block import HeaderBlock, Report, plain_header, read_header
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import Defect, MailSource
from mailrouting.reading.parameters import MediaType, parse_media_type

__all__ = ["Part", "scan"]

_LONGEST_KNOWN = 200
_OWN_TO_A_MAIL = re.compile(rb"boundary|name|<")
_CR, _LF = b"\r\n"
_LONGEST_DELIMITER = 300  # a boundary line with its trailing white space


@attrs.define
class Part:
    """Hold one part of a mail.

    Attributes:
        header: Its fields.
        media: Its Content-Type.
        start: Where its body begins in the mail.
        end: Where its body ends.
        parent: Index of the multipart that it is in; -1 for the mail itself.
        children: How many parts were found in it.
        opaque: True for a part that was not looked into although it is a multipart, and for the
            rest of a mail behind a limit.
    """

    header: HeaderBlock
    media: MediaType
    start: int
    end: int
    parent: int
    children: int = 0
    opaque: bool = False


def scan(raw: MailSource, *, limits: ReadingLimits, report: Report) -> list[Part]:
    """Return the parts in the order in which they begin; the mail itself is the first."""
    end = len(raw)
    header = read_header(raw, 0, end, limits=limits, report=report, is_top=True)
    top = _part(raw, header, end, parent=-1, is_digest=False)
    parts = [top]
    if end > limits.size:
        report(Defect.SIZE_LIMIT)
        top.opaque = True
        return parts
    header_limits = (limits.header_bytes, limits.header_fields, limits.value_bytes)
    _Scanner(raw, limits, report, parts, is_roomy=min(header_limits) >= _LONGEST_KNOWN).run()
    return parts


@attrs.define
class _Scanner:
    """Find the parts of the multiparts that are open.

    Attributes:
        is_roomy: True when the limits let every header be read that `_leaf` takes.
        open_parts: The multiparts that are open, the innermost last.
        owners: Which of them has a boundary: of several with one boundary the innermost.
    """

    raw: MailSource
    limits: ReadingLimits
    report: Report
    parts: list[Part]
    is_roomy: bool
    open_parts: list[int] = attrs.Factory(list[int])
    owners: dict[bytes, int] = attrs.Factory(dict[bytes, int])

    def run(self) -> None:
        parts = self.parts
        self.open(0)
        position = parts[0].start
        while self.open_parts:
            found = _next_delimiter(self.raw, position, self.owners)
            if found is None:
                self.report(Defect.MISSING_END)
                break
            before, after, boundary, closes = found
            owner = self.owners[boundary]
            parts[-1].end = min(parts[-1].end, max(before, parts[-1].start))
            outer = parts[owner].parent if closes else owner
            if self.open_parts[-1] > outer:
                self.close_within(outer, before)
            if closes:
                position = after
            elif len(parts) > self.limits.parts:
                self.leave_rest(after, owner)
                break
            else:
                position = self.add(after, owner)
        if any(not parts[index].children for index in self.open_parts):
            self.report(Defect.BAD_BOUNDARY)

    def add(self, start: int, owner: int) -> int:
        """Add the part that begins here; return where its body begins."""
        self.parts[owner].children += 1
        end = len(self.raw)
        is_digest = self.parts[owner].media.full == "multipart/digest"
        if self.is_roomy and not is_digest:
            leaf = _leaf(self.raw, start, end, parent=owner)
            if leaf:
                self.parts.append(leaf)
                return leaf.start
        header = read_header(self.raw, start, end, limits=self.limits, report=self.report)
        self.parts.append(_part(self.raw, header, end, parent=owner, is_digest=is_digest))
        self.open(len(self.parts) - 1)
        return header.body_start

    def leave_rest(self, start: int, owner: int) -> None:
        """Add all that is left as one part that is not looked into."""
        self.report(Defect.PART_LIMIT)
        rest = HeaderBlock([], start)
        self.parts.append(Part(rest, MediaType(), start, len(self.raw), owner, opaque=True))

    def open(self, index: int) -> None:
        """Look into a multipart from here on, if it is one and may be looked into."""
        part = self.parts[index]
        if part.media.main != "multipart":
            return
        boundary = part.media.boundary
        if not boundary or len(boundary) > self.limits.boundary:
            self.report(Defect.BAD_BOUNDARY)
        elif len(self.open_parts) >= self.limits.depth:
            self.report(Defect.DEPTH_LIMIT)
            part.opaque = True
        else:
            if boundary in self.owners:
                # RFC 2046 §5.1.2 forbids it. The lines of both are alike: they close inside out.
                self.report(Defect.BAD_BOUNDARY)
            self.open_parts.append(index)
            self.owners[boundary] = index

    def close_within(self, outer: int, end: int) -> None:
        """Close every multipart inside another; -1 closes the mail itself too."""
        while self.open_parts and self.open_parts[-1] > outer:
            inner = self.parts[self.open_parts.pop()]
            inner.end = min(inner.end, end)
            if not inner.children:
                self.report(Defect.BAD_BOUNDARY)
        self.owners = {self.parts[index].media.boundary: index for index in self.open_parts}


def _leaf(raw: MailSource, start: int, end: int, *, parent: int) -> Part | None:
    """Return a part that begins as parts of most mail do; None for any other."""
    stop = raw.find(b"\r\n\r\n", start, start + _LONGEST_KNOWN)
    block = raw[start : stop + 4] if stop >= 0 else b""
    known = _known_leaf(block) if block and not _OWN_TO_A_MAIL.search(block) else None
    if known is None:
        return None
    header, media = known
    return Part(header, media, start + header.body_start, end, parent)


# The same few headers begin nearly all text parts. A pure function of a short block; what is kept
# is bounded, and holds nothing that is a mail's own: no boundary, no name, no id.
@functools.lru_cache(maxsize=128)
def _known_leaf(block: bytes) -> tuple[HeaderBlock, MediaType] | None:
    """Return the header of a leaf, and its Content-Type; None for what is not plain."""
    header = plain_header(block)
    if header is None:
        return None
    media = parse_media_type(header.first(b"content-type"))
    return None if media.main == "multipart" else (header, media)


def _part(raw: MailSource, header: HeaderBlock, end: int, *, parent: int, is_digest: bool) -> Part:
    value = header.first(b"content-type")
    media = parse_media_type(value, default="message/rfc822" if is_digest else "text/plain")
    return Part(header, media, min(header.body_start, len(raw)), end, parent)


def _next_delimiter(
    raw: MailSource, position: int, boundaries: Container[bytes]
) -> tuple[int, int, bytes, bool] | None:
    """Return end of the part before, start of the next, the boundary, and whether it closes."""
    while True:
        # One byte is looked for many times faster than two, and base64 has no dash at all.
        dash = raw.find(b"-", position)
        dashes = raw.find(b"--", dash) if dash >= 0 else -1
        if dashes < 0:
            return None
        if dashes and raw[dashes - 1] != _LF:
            line = raw.find(b"\n--", dashes)
            if line < 0:
                return None
            dashes = line + 1
        newline = raw.find(b"\n", dashes, dashes + _LONGEST_DELIMITER)
        stop = newline if newline >= 0 else min(len(raw), dashes + _LONGEST_DELIMITER)
        token = raw[dashes + 2 : stop].rstrip(b" \t\r")
        closes = token not in boundaries and token.endswith(b"--")
        boundary = token[:-2] if closes else token
        if boundary in boundaries:
            before = dashes
            # The line end before it belongs to the delimiter, not to the part.
            before -= before > 0
            before -= before > 0 and raw[before - 1] == _CR
            return before, min(stop + 1, len(raw)), boundary, closes
        position = dashes + 2
