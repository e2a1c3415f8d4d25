"""Tell the sender's own words from what is quoted and from the signature.

Spans of the text, line by line; nothing is cut out. In doubt a line is visible.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from mailrouting.reading.attributions import (
    attribution_length,
    introduces,
    is_programs_attribution,
    may_begin,
)
from mailrouting.reading.message import ReplyView, Span, SpanKind
from mailrouting.reading.quote_marks import is_forward_marker, is_original_marker, is_rule
from mailrouting.reading.quoted_headers import is_programs_header, read_quoted_header
from mailrouting.reading.signatures import signature_begin

__all__ = ["view_reply"]

# Looking a member up in its class takes as long as a call.
_VISIBLE, _QUOTED, _SIGNATURE = SpanKind.VISIBLE, SpanKind.QUOTED, SpanKind.SIGNATURE
_MOST_LINES = 2000
_QUOTED_LINE = re.compile(r"[ \t]{0,3}>")
_SENTENCE_ENDS = (".", "?", "!", ":", ";")
_MOST_TORN_WORDS = 3
_SHORTEST_WRAPPED = 72
_ANSWERS = frozenset({
    "yes", "no", "ok", "okay", "done", "none", "ja", "nein", "doch", "oui", "non", "si", "sí", "nee", "nej", "tak", "nie", "да", "нет",
    "nei", "não", "sim", "kyllä", "ei",
})  # fmt: skip


def view_reply(text: str, *, longest: int) -> ReplyView:
    """Divide a text into visible, quoted and signature.

    Behind an attribution (`On Monday Ann wrote:`) quoted lines are quoted and other lines, the
    inline answers, stay visible; where none of them is marked by `>`, all of it is the quote.

    Args:
        text: The whole text.
        longest: How many characters are looked at; the rest counts as visible.
    """
    if not text:
        return ReplyView()
    lines = text[:longest].split("\n", _MOST_LINES)
    looked_at = lines[:_MOST_LINES]
    kinds = [_VISIBLE] * len(lines)
    _mark_quotes(looked_at, kinds)
    _mark_signature(looked_at, kinds)
    return ReplyView(text, _spans(text, lines, kinds))


def _mark_quotes(lines: Sequence[str], kinds: list[SpanKind]) -> None:
    index = 0
    is_attributed = False
    here, above = may_begin(lines)
    for begin in sorted(here | above):
        if begin < index:
            continue
        if is_attributed:
            _mark_each_quoted_line(lines, kinds, index, begin)
        index = begin
        length = attribution_length(lines, index)
        if length:
            index += length
            if _marked_quote_follows(lines, index):
                _mark(kinds, begin, index)
                index = _mark_quoted_lines(lines, kinds, index)
                is_attributed = True
            elif is_programs_attribution(lines[begin:index]):
                # Below nothing, the quote that has lost its marks may hold the answers.
                is_top = not any(line.strip() for line in lines[:begin])
                _mark(kinds, begin, index if is_top else len(lines))
                return
            else:
                index = begin
            continue
        if begin not in here or not _earlier_mail_begins(lines, index):
            continue
        if _QUOTED_LINE.match(lines[index]):
            index = _mark_quoted_lines(lines, kinds, index)
            continue
        behind = _behind_header(lines, index)
        behind = behind or index + 1
        if not any(line.strip() for line in lines[:index]):
            # The mail is nothing but a forwarded one: its text is what there is to see.
            _mark(kinds, 0, behind)
            return
        if not _marked_quote_follows(lines, behind):
            _mark(kinds, index, len(lines))
            return
        _mark(kinds, index, behind)
        index = _mark_quoted_lines(lines, kinds, behind)
        is_attributed = True
    if is_attributed:
        _mark_each_quoted_line(lines, kinds, index, len(lines))
    _mark_trailing_quote(lines, kinds)


def _mark_each_quoted_line(
    lines: Sequence[str], kinds: list[SpanKind], start: int, end: int
) -> None:
    for index in range(start, end):
        if _is_quoted(lines[index]):
            kinds[index] = _QUOTED


def _earlier_mail_begins(lines: Sequence[str], index: int) -> bool:
    line = lines[index]
    if is_original_marker(line):
        return True
    if is_forward_marker(line):
        # `Forwarded:` alone is a word; the dashes of a marker are not.
        return not line.lstrip("> *\ufeff")[:1].isalpha() or _behind_header(lines, index + 1) > 0
    if is_rule(line):
        following = index + 1
        while following < min(len(lines), index + 3) and not lines[following].strip():
            following += 1
        header = read_quoted_header(lines, following) if following < len(lines) else None
        return header is not None and (
            is_programs_header(header) or (header.is_sent and "subject" in header.fields)
        )
    header = None if line.startswith(">") else read_quoted_header(lines, index)
    return header is not None and is_programs_header(header)


def _behind_header(lines: Sequence[str], index: int) -> int:
    """Return the line behind a quoted header that begins at or below a marker; 0 for none."""
    for start in range(index, min(len(lines), index + 3)):
        header = read_quoted_header(lines, start, least=2)
        if header:
            return header.end
    return 0


def _marked_quote_follows(lines: Sequence[str], index: int) -> bool:
    while index < len(lines) and not lines[index].strip():
        index += 1
    return index < len(lines) and _is_quoted(lines[index])


def _is_quoted(line: str) -> bool:
    return line.startswith(">") or (
        line.startswith((" ", "\t")) and _QUOTED_LINE.match(line) is not None
    )


def _mark_quoted_lines(lines: Sequence[str], kinds: list[SpanKind], index: int) -> int:
    """Mark lines with `>` and blank lines between them; return the first line behind them."""
    begin = end = index
    while index < len(lines):
        if _is_quoted(lines[index]):
            end = index + 1
        elif lines[index].strip() and not _is_wrapped(lines, index):
            break
        index += 1
    _mark(kinds, begin, end)
    return index


def _is_wrapped(lines: Sequence[str], index: int) -> bool:
    """Tell whether a line is the torn end of the quoted line above, not an answer.

    Quotes go on around it, it goes on in the middle of a sentence, and its first word had no room.
    """
    if index + 1 >= len(lines) or not _QUOTED_LINE.match(lines[index + 1]):
        return False
    above, torn = lines[index - 1].rstrip(), lines[index].split()
    return (
        _QUOTED_LINE.match(above) is not None
        and not above.endswith(_SENTENCE_ENDS)
        and len(torn) <= _MOST_TORN_WORDS
        and torn[0][0].islower()
        and torn[0].rstrip(".,!").lower() not in _ANSWERS
        and len(above) + 1 + len(torn[0]) > _SHORTEST_WRAPPED
    )


def _mark_trailing_quote(lines: Sequence[str], kinds: list[SpanKind]) -> None:
    """Mark a block of `>` at the end.

    One that is answered below stays, as its context; so does one that a person announces.
    """
    index = len(lines)
    while index and (
        not lines[index - 1].strip() or kinds[index - 1] is _QUOTED or _is_quoted(lines[index - 1])
    ):
        index -= 1
    if index and introduces(lines[index - 1]):
        return
    if index and any(map(_is_quoted, lines[index:])):
        _mark(kinds, index, len(lines))


def _mark_signature(lines: Sequence[str], kinds: list[SpanKind]) -> None:
    end = len(lines)
    while end and (kinds[end - 1] is _QUOTED or not lines[end - 1].strip()):
        end -= 1
    begin = signature_begin(lines, end, is_free=lambda index: kinds[index] is not _QUOTED)
    if begin < end:
        _mark(kinds, begin, end, _SIGNATURE)


def _mark(kinds: list[SpanKind], start: int, end: int, kind: SpanKind = _QUOTED) -> None:
    kinds[start:end] = [kind] * (end - start)


def _spans(text: str, lines: Sequence[str], kinds: Sequence[SpanKind]) -> tuple[Span, ...]:
    spans: list[Span] = []
    position = first = 0
    for kind, same in groupby(kinds):
        end = first + len(list(same))
        size = sum(map(len, lines[first:end])) + end - first  # with their line ends
        start, position = position, min(position + size, len(text))
        spans.append(Span(kind, start, position))
        first = end
    if position < len(text):
        spans.append(Span(_VISIBLE, position, len(text)))
    return tuple(spans)
