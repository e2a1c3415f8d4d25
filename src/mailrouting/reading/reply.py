"""Tell the sender's own words from what is quoted and from the signature.

Spans of the text, line by line; nothing is cut out. In doubt a line is visible.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from mailrouting.reading.message import ReplyView, Span, SpanKind
from mailrouting.reading.quote_marks import (
    attribution_length,
    is_forward_marker,
    is_original_marker,
    is_rule,
    may_begin,
    read_quoted_header,
)

__all__ = ["view_reply"]

# Looking a member up in its class takes as long as a call.
_VISIBLE, _QUOTED, _SIGNATURE = SpanKind.VISIBLE, SpanKind.QUOTED, SpanKind.SIGNATURE
_MOST_LINES = 2000
_LONGEST_SIGNATURE = 30
_QUOTED_LINE = re.compile(r"[ \t]{0,3}>")
_SIGNATURE_MARK = re.compile(r"(?:--|—|__|-- )[ \t\xa0]{0,3}")
_MARKS = frozenset("-—_")
_DECORATION = re.compile(r"[\s\-_=*#~+ᐧ—]{1,200}")
_DEVICE = re.compile(
    r"[\s(<\[*]{0,5}(?:(?:sent|gesendet|envoyé|enviado|inviato|verzonden|sendt|skickat|skickades|lähetetty|wysłane|wysłano|отправлено|надіслано|küldve"
    r"|odesláno|trimis|gönderildi) (?:from|with|via|by|von|vom|mit|depuis|de|à partir|desde|do|da|dal|met|van|vanaf|fra|från|z|ze|с|с моего|з|iphone"
    r"|min|mein)\b|from my \w|get \[?outlook|von meinem \w+ gesendet|diese nachricht wurde von meine[mr]|從我的|发自我的|從我|iphoneから送信"
    r"|downloaded from|posted from my)",
    re.IGNORECASE,
)
_LONGEST_DEVICE_LINE = 160


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
            if not _marked_quote_follows(lines, index):
                _mark(kinds, begin, len(lines))
                return
            _mark(kinds, begin, index)
            index = _mark_quoted_lines(lines, kinds, index)
            is_attributed = True
            continue
        if begin in here and _earlier_mail_begins(lines, index):
            if _QUOTED_LINE.match(lines[index]):
                index = _mark_quoted_lines(lines, kinds, index)
                continue
            behind = _behind_header(lines, index)
            if behind and not any(line.strip() for line in lines[:index]):
                # The mail is nothing but a forwarded one: its text is what there is to see.
                _mark(kinds, 0, behind)
                return
            if _marked_quote_follows(lines, index + 1):
                _mark(kinds, index, index + 1)
                index = _mark_quoted_lines(lines, kinds, index + 1)
                continue
            _mark(kinds, index, len(lines))
            return
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
    if is_forward_marker(line) or is_original_marker(line):
        return True
    if is_rule(line):
        following = index + 1
        while following < min(len(lines), index + 3) and not lines[following].strip():
            following += 1
        return following < len(lines) and read_quoted_header(lines, following) is not None
    return not line.startswith(">") and read_quoted_header(lines, index) is not None


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
    """Tell whether a line is the torn end of the quoted line above: quotes go on around it."""
    return (
        index + 1 < len(lines)
        and _QUOTED_LINE.match(lines[index - 1]) is not None
        and len(lines[index - 1]) > 60  # noqa: PLR2004
        and _QUOTED_LINE.match(lines[index + 1]) is not None
        and len(lines[index].split()) <= 3  # noqa: PLR2004
    )


def _mark_trailing_quote(lines: Sequence[str], kinds: list[SpanKind]) -> None:
    """Mark a block of `>` at the end; one that is answered below stays, as its context."""
    index = len(lines)
    while index and (
        not lines[index - 1].strip() or kinds[index - 1] is _QUOTED or _is_quoted(lines[index - 1])
    ):
        index -= 1
    if index and any(map(_is_quoted, lines[index:])):
        _mark(kinds, index, len(lines))


def _mark_signature(lines: Sequence[str], kinds: list[SpanKind]) -> None:
    end = len(lines)
    while end and (kinds[end - 1] is _QUOTED or not lines[end - 1].strip()):
        end -= 1
    for index in range(end - 1, max(end - _LONGEST_SIGNATURE, 0) - 1, -1):
        if kinds[index] is _QUOTED:
            break
        line = lines[index]
        if (
            line[:1] in _MARKS
            and _SIGNATURE_MARK.fullmatch(line)
            and any(line.strip() for line in lines[:index])
        ):
            _mark(kinds, index, end, _SIGNATURE)
            end = index
    while end > 1 and kinds[end - 1] is not _QUOTED and _is_farewell_of_a_device(lines[end - 1]):
        end -= 1
        kinds[end] = _SIGNATURE


def _is_farewell_of_a_device(line: str) -> bool:
    if not line.strip() or _DECORATION.fullmatch(line[:250]):
        return True
    return len(line) <= _LONGEST_DEVICE_LINE and _DEVICE.match(line) is not None


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
