"""Collect the lines of a text that is made from HTML, within a bound of memory.

A Python object for each short line would take many times the text: lines are joined as they come.
"""

import re

import attrs

__all__ = ["MOST_TEXT", "Page", "bytes_a_character"]

MOST_TEXT = 12 * 1024 * 1024
"""Bytes that a text may take in memory."""
_WIDEST = 4
_MOST_LINES = 256
_MOST_PIECES = 512
_LONG = 4096
_DEEPEST_QUOTE = 10
_QUOTES = tuple("> " * depth for depth in range(_DEEPEST_QUOTE + 1))
_BLANK_QUOTES = tuple(map(str.rstrip, _QUOTES))
# White space that is more than a single blank.
_SPACE = re.compile(
    r"(?: (?=[ \t\r\n\f\u200b\ufeff])|[\t\r\n\f\u200b\ufeff])[ \t\r\n\f\u200b\ufeff]*+"
)


def bytes_a_character(text: str) -> int:
    """Return what each character of a text takes in memory: 1, 2 or 4 bytes, by the widest of them.

    >>> bytes_a_character("Grüße"), bytes_a_character("5 €"), bytes_a_character("\U0001f600")
    (1, 2, 4)
    """
    if text.isascii():
        return 1
    widest = max(text)
    return 1 if widest <= "\xff" else 2 if widest <= "\uffff" else _WIDEST


@attrs.define
class Page:
    """Collect the lines of the text.

    Attributes:
        most: Bytes that the text may take.
        mark: Changes when the line does: what was in `current` before is no longer.
        is_cut: True when the text became too long; the rest is left out.
    """

    most: int = MOST_TEXT
    current: list[str] = attrs.Factory(list[str])
    quote_depth: int = 0
    pre_depth: int = 0
    ends_in_space: bool = True
    mark: int = 0
    is_cut: bool = False
    # The last lines; the pieces of a long line; the text before them, the length of all that, and
    # the width of its characters, 0 as long as it does not matter.
    _lines: list[str] = attrs.Factory(list[str])
    _line_begin: list[str] = attrs.Factory(list[str])
    _written: list[str] = attrs.Factory(list[str])
    _length: int = 0
    _width: int = 0
    # A blank line that is written when another follows; and whether there was any before it.
    _blank: str | None = None
    _has_lines: bool = False

    @property
    def size(self) -> int:
        """Return at most how many bytes the text takes that was written so far."""
        return self._length * (self._width or _WIDEST)

    def text(self, text: str) -> None:
        """Add text to the line."""
        if self.pre_depth:
            first, *others = text.replace("\r\n", "\n").split("\n")
            self._add(first)
            for line in others:
                self.line()
                self._add(line)
            return
        text = _SPACE.sub(" ", text)
        if self.ends_in_space:
            text = text.removeprefix(" ")
        if text:
            self._add(text)
            self.ends_in_space = text[-1] == " "

    def _add(self, text: str) -> None:
        self.current.append(text)
        if len(self.current) > _MOST_PIECES or len(text) > _LONG:
            self.mark += 1
            begun = self._kept("".join(self.current).replace("\xa0", " "), 0)
            self._line_begin += begun
            self.current = []

    def line(self) -> None:
        """End the line that is being written."""
        self._end_line("".join(self.current))

    def fresh_line(self) -> None:
        """End the line that is being written, if anything stands in it."""
        self.ends_in_space = True
        current = self.current
        if not current and not self._line_begin:
            return
        text = current[0] if len(current) == 1 else "".join(current)
        if self._line_begin or text.strip():
            self._end_line(text)
        else:
            self.current = []

    def paragraph(self) -> None:
        """End the line that is being written, with a blank one behind it."""
        self.fresh_line()
        if self._blank is None and self._has_lines:
            self._blank = _BLANK_QUOTES[min(self.quote_depth, _DEEPEST_QUOTE)]

    def joined(self) -> str:
        """Return the text; at most one blank line in a row, none at the ends."""
        self.fresh_line()
        self._write()
        return "\n".join(self._written)

    def _end_line(self, text: str) -> None:
        self.mark += 1
        self.current = []
        self.ends_in_space = True
        text = text.replace("\xa0", " ")
        if self._line_begin:
            self._length -= sum(map(len, self._line_begin))  # it is counted again, with its line
            text = "".join([*self._line_begin, text])
            self._line_begin = []
        text = text.rstrip()
        blank, lines = self._blank, self._lines
        is_blank = not text.strip("> ")
        if is_blank and (blank is not None or not self._has_lines):
            return
        if self.quote_depth:
            text = _QUOTES[min(self.quote_depth, _DEEPEST_QUOTE)] + text
        if is_blank:
            self._blank = text.rstrip()
            return
        if blank is not None:
            lines.append(blank)
            self._blank = None
        self._has_lines = True
        lines.append(text)
        if len(lines) > _MOST_LINES or len(text) > _LONG:
            self._write()

    def _write(self) -> None:
        if self._lines:
            self._written += self._kept("\n".join(self._lines), 1)
            self._lines = []

    def _kept(self, text: str, more: int) -> list[str]:
        """Return a text, or its beginning, or nothing; `more` is what stands between such texts."""
        length = self._length + len(text) + more
        if length * _WIDEST > self.most:
            before = () if self._width else (*self._written, *self._line_begin)
            self._width = max(self._width, *map(bytes_a_character, (*before, text)))
            room = self.most // self._width - self._length - more
            if room < len(text):
                self.is_cut = True
                text = text[: max(room, 0)]
                length = self._length + len(text) + more
        self._length = length
        return [text] if text else []
