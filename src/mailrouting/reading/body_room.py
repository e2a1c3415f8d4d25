"""Hold the bodies of a mail within the memory that they may take as text."""

from collections.abc import Iterable

import attrs

from mailrouting.reading.html_lines import bytes_a_character

__all__ = ["BodyRoom", "cut_bytes"]

_WIDEST = 4
_LONGEST_LINE = 4096
_MOST_TAIL = 3


@attrs.define
class BodyRoom:
    """Count what the bodies take: joined, each character takes what the widest one of all does.

    Attributes:
        most: Bytes of memory for all of them.
    """

    most: int
    _length: int = 0
    _width: int = 1

    def bytes_left(self) -> int:
        """Return how many bytes of the next body to decode: more could not stay."""
        return max(self.most // self._width - self._length, 0)

    def take(self, length: int) -> bool:
        """Make room for a body that fits however wide it is, even twice; False for a longer one."""
        is_short = length <= self.most // (_WIDEST * 2) - self._length
        if is_short:
            self._length += length
        return is_short

    def cut(self, text: str, *, earlier: Iterable[str], copies: int = 1) -> str:
        """Return the text, or what of it there is room for.

        Args:
            text: The next body.
            earlier: The bodies before it; they are looked at only if it is long.
            copies: How often it will be in memory at once.
        """
        room = self.most // (_WIDEST * copies) - self._length
        if len(text) > room:
            self._width = max(self._width, *map(bytes_a_character, (text, *earlier)))
            room = self.most // (self._width * copies) - self._length
            text = text[: max(room, 0)]
        self._length += len(text)
        return text


def cut_bytes(content: bytes, *, unit: int) -> bytes:
    """Return bytes that were cut off anywhere without the torn character at their end.

    Args:
        content: The bytes.
        unit: Bytes of the smallest character, 1 for all charsets that are ASCII in part.
    """
    if unit > 1:
        return content[: len(content) // _WIDEST * _WIDEST]
    line_end = content.rfind(b"\n", len(content) - _LONGEST_LINE)
    if line_end >= 0:
        return content[: line_end + 1]
    # What UTF-8 begins with so many bytes more to come.
    for tail in range(1, min(_MOST_TAIL, len(content)) + 1):
        byte = content[-tail]
        if byte >= 0xC0:  # noqa: PLR2004
            return content[:-tail]
        if byte < 0x80:  # noqa: PLR2004
            break
    return content
