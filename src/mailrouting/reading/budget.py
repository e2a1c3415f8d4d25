"""Hold the decoded parts of one mail within its limits."""

import attrs

from mailrouting.reading.content import Content, content_of, measure
from mailrouting.reading.header_block import Report
from mailrouting.reading.limits import ReadingLimits
from mailrouting.reading.message import Defect, MailSource
from mailrouting.reading.scan import Part

__all__ = ["Budget"]


@attrs.define
class Budget:
    """Decode parts until the limits are reached; what is over them is not decoded at all."""

    raw: MailSource
    limits: ReadingLimits
    report: Report
    spent: int = 0
    # Where the parts begin that were counted: a body that is listed as a file too counts once.
    counted: set[int] = attrs.Factory(set[int])

    def content(self, part: Part) -> bytes | None:
        """Return the decoded bytes of a part, or None when they are over a limit."""
        if not self._may_look(part):
            return None
        content = content_of(self.raw, part, self.report)
        return content if self._count(part, len(content)) else None

    def beginning(self, part: Part, most: int) -> tuple[bytes, bool] | None:
        """Return at most so many of the first decoded bytes of a part, and whether these are all.

        None when the part is over a limit.
        """
        if part.end - part.start <= most:
            content = self.content(part)
            return None if content is None else (content, True)
        measured = self.measure(part)
        if measured is None:
            return None
        if measured.size <= most:
            return bytes(measured), True
        return measured.beginning(most), False

    def measure(self, part: Part) -> Content | None:
        """Return where a part stands and what it decodes to, or None when it is over a limit."""
        if not self._may_look(part):
            return None
        content = measure(self.raw, part, self.report)
        return content if self._count(part, content.size) else None

    def spend(self, size: int) -> bool:
        """Count decoded bytes; return False when they are over a limit."""
        self.spent += size
        is_within = size <= self.limits.part_bytes and self.spent <= self.limits.decoded_bytes
        if not is_within:
            self.report(Defect.DECODED_LIMIT)
        return is_within

    def _count(self, part: Part, size: int) -> bool:
        if part.start in self.counted:
            return True
        self.counted.add(part.start)
        return self.spend(size)

    def _may_look(self, part: Part) -> bool:
        # Half of what is encoded, or less, may be left of it: only more is surely over the limit.
        encoded = part.end - part.start
        if encoded <= 2 * self.limits.part_bytes and self.spent < self.limits.decoded_bytes:
            return True
        self.report(Defect.DECODED_LIMIT)
        return False
