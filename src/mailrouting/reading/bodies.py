"""Choose the text and the HTML body among a mail's parts (RFC 2046 §5.1.4)."""

import functools
import re
from collections.abc import Iterable, Sequence

import attrs

from mailrouting.reading.body_room import BodyRoom, cut_bytes
from mailrouting.reading.budget import Budget
from mailrouting.reading.charsets import (
    ASCII_ONLY,
    CharsetStep,
    Decoded,
    GuessCharset,
    codec_for,
    decode_text,
)
from mailrouting.reading.content import content_of, measure
from mailrouting.reading.flowed import EmbeddedFile, may_hold_files, take_uuencoded, unflowed
from mailrouting.reading.header_block import Report
from mailrouting.reading.helpers import TnefContents
from mailrouting.reading.html_text import PageText, text_of_page
from mailrouting.reading.line_ends import with_lf
from mailrouting.reading.message import Defect, MailSource, TextCharset
from mailrouting.reading.names import part_name
from mailrouting.reading.parameters import parse_parameters
from mailrouting.reading.scan import Part

__all__ = ["Bodies", "choose_bodies", "disposition_of", "part_text", "with_tnef"]

# What a browser looks at before it decides (WHATWG HTML, "prescan").
_META_WITHIN = 1024
_LONGEST_KNOWN_LABEL = 40
# Subtypes of text that programs read.
_DATA = frozenset({
    "text/calendar", "text/csv", "text/directory", "text/rfc822-headers", "text/tab-separated-values",
    "text/vcard", "text/x-vcalendar", "text/x-vcard",
})  # fmt: skip
_META = re.compile(
    rb"<meta\s[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE
)


@attrs.frozen(kw_only=True)
class Bodies:
    """Hold the bodies, which parts they were made from, and the files that stood in a text."""

    text: str | None
    html: str | None
    indexes: frozenset[int]
    charsets: tuple[TextCharset, ...] = ()
    files: tuple[EmbeddedFile, ...] = ()


@attrs.define
class _Group:
    """Collect the forms of one text: one leaf, or all leaves of a multipart/alternative."""

    plain: list[str] = attrs.Factory(list[str])
    html: list[str] = attrs.Factory(list[str])


def choose_bodies(budget: Budget, parts: Sequence[Part], guess: GuessCharset | None) -> Bodies:
    """Join the texts that a mail program would show one below the other.

    Of a multipart/alternative the plain form gives the text and the HTML form the HTML; a text
    that comes as HTML only is in both. Where neither is, a text of another subtype is read as plain
    (RFC 2046 §4.1.4). What there is no room for, and what no codec reads, stays an attachment.
    """
    room = BodyRoom(budget.limits.body)
    groups: dict[int, _Group] = {}
    indexes: set[int] = set()
    charsets: list[TextCharset] = []
    files: list[EmbeddedFile] = []
    for index, group_index in _chosen(parts):
        body = _body(budget, parts[index], room, groups.values(), guess)
        if body is None:
            continue  # it stays an attachment without content
        text, charset, is_whole = body
        del body
        if is_whole:
            indexes.add(index)
        group = groups.setdefault(group_index, _Group())
        charsets.append(charset)
        # Each step frees the text before it: two of them are as much as there is room for.
        text = _lines(text)
        if parts[index].media.full == "text/html":
            group.html.append(text)
            continue
        if _is_flowed(parts[index]):
            text = unflowed(text, delsp=_deletes_space(parts[index]))
        text, found = take_uuencoded(text)
        files += found
        group.plain.append(text)
        del text
    html = [piece for group in groups.values() for piece in group.html]
    return Bodies(
        text=_text_of_all(budget, groups.values()) if groups else None,
        html=_joined(html) if html else None,
        indexes=frozenset(indexes),
        charsets=tuple(charsets),
        files=tuple(files),
    )


def _chosen(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Return the parts that are bodies, each with the index of the text that it is a form of."""
    found: list[tuple[int, int]] = []
    for index, part in enumerate(parts):
        if part.opaque or part.children:
            continue
        alternative = _alternative(parts, index)
        if _is_body(part, is_first=not found, is_alternative=alternative >= 0):
            found.append((index, alternative if alternative >= 0 else index))
    return found or [(index, index) for index, part in enumerate(parts) if _is_like_text(part)][:1]


def _body(
    budget: Budget,
    part: Part,
    room: BodyRoom,
    earlier: Iterable[_Group],
    guess: GuessCharset | None,
) -> tuple[str, TextCharset, bool] | None:
    """Decode a body as far as there is room; its bytes are gone when it returns.

    Returns:
        The text, how its charset was found, and whether all of the body can be read in it; None for
        a body that is over a limit.
    """
    found = budget.beginning(part, room.bytes_left())
    if found is None:
        return None
    content, is_whole = found
    label = _label(part, content)
    unit = _unit(label)
    if not is_whole:
        content = cut_bytes(content, unit=unit)
    if unit == 1 and b"\r" in content and b"\0" not in content:
        # Bytes have one width: in a text the same would take up to four times as much.
        content = with_lf(content)
    decoded = _decoded(content, label, budget.report, guess)
    del content, found
    text = decoded.text
    if not room.take(len(text)):
        is_copied = _is_flowed(part) or may_hold_files(text) or "\0" in text or "\r" in text
        others = (one for group in earlier for one in (*group.plain, *group.html))
        text = room.cut(text, earlier=others, copies=2 if is_copied else 1)
        is_whole = is_whole and len(text) == len(decoded.text)
    if not is_whole:
        budget.report(Defect.BODY_LIMIT)
    is_whole = is_whole and decoded.codec != ASCII_ONLY
    return text, _charset(part.media.full, label, decoded), is_whole


def _is_flowed(part: Part) -> bool:
    return part.media.parameters.token("format").lower() == "flowed"


def _deletes_space(part: Part) -> bool:
    return part.media.parameters.token("delsp").lower() == "yes"


def _unit(label: str) -> int:
    """Return the bytes of a charset's smallest character; but for two families that is ASCII."""
    codec = codec_for(label) if label else None
    if codec is None or not codec.startswith(("utf-16", "utf-32")):
        return 1
    return 4 if codec.startswith("utf-32") else 2


def part_text(raw: MailSource, part: Part, report: Report, *, most: int | None = None) -> str:
    """Decode a part's text, or `most` bytes: transfer encoding, charset, line ends as LF, no NUL."""
    if most is None or part.end - part.start <= most:
        content = content_of(raw, part, report)
    else:
        content = measure(raw, part, report).beginning(most)
    return _lines(_decoded(content, _label(part, content), report, None).text)


def _charset(content_type: str, label: str, decoded: Decoded) -> TextCharset:
    is_short = len(label) <= _LONGEST_KNOWN_LABEL and len(content_type) <= _LONGEST_KNOWN_LABEL
    known = _known_charset if is_short else _known_charset.__wrapped__
    return known(content_type, label, decoded.codec, decoded.step)


# The same few values describe nearly all texts: a pure function, bounded, of short words only.
@functools.lru_cache(maxsize=128)
def _known_charset(content_type: str, label: str, codec: str, step: CharsetStep) -> TextCharset:
    return TextCharset(content_type=content_type, declared=label or None, codec=codec, step=step)


def _label(part: Part, content: bytes) -> str:
    """Return the charset that the part declares, else the one that its HTML names."""
    label = part.media.parameters.token("charset")
    if label or part.media.full != "text/html":
        return label
    found = _META.search(content[:_META_WITHIN])
    named = found[1].decode("ascii") if found else ""
    # What was found by its ASCII letters is in no charset of wider ones.
    return named if _unit(named) == 1 else "utf-8"


def _decoded(content: bytes, label: str, report: Report, guess: GuessCharset | None) -> Decoded:
    decoded = decode_text(content, label or None, guess)
    if decoded.step is CharsetStep.DECLARED:
        return decoded
    if label and codec_for(label) is None:
        report(Defect.UNKNOWN_CHARSET)
    elif (decoded.step is CharsetStep.FALLBACK and (label or "\ufffd" in decoded.text)) or (
        decoded.step is CharsetStep.UTF_8 and codec_for(label or "utf-8") not in ("utf-8", "cp1252")
    ):
        report(Defect.BAD_CHARSET)
    return decoded


def _lines(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def disposition_of(part: Part) -> str:
    """Return `attachment`, `inline`, another word, or an empty text."""
    value = part.header.first(b"content-disposition")
    return parse_parameters(value)[0] if value else ""


def _alternative(parts: Sequence[Part], index: int) -> int:
    """Return the index of the outermost multipart/alternative around a part, or -1."""
    found = -1
    index = parts[index].parent
    while index >= 0:
        part = parts[index]
        if part.media.full == "multipart/alternative":
            found = index
        index = part.parent
    return found


def _is_body(part: Part, *, is_first: bool, is_alternative: bool) -> bool:
    if part.media.main == "multipart":
        return True  # no part was found in it: what stands there is all the text there is
    if part.media.full not in ("text/plain", "text/html"):
        return False
    disposition = disposition_of(part)
    if disposition == "attachment":
        return False
    # A file that a program merely shows inline is still a file.
    return is_first or is_alternative or part_name(part)[0] is None


def _is_like_text(part: Part) -> bool:
    """Tell whether a part of another subtype of text may be all the words that a mail has."""
    if part.opaque or part.media.main != "text" or part.media.full in _DATA:
        return False
    return disposition_of(part) != "attachment" and part_name(part)[0] is None


def _text_of_all(budget: Budget, groups: Iterable[_Group]) -> str:
    room = budget.limits.html_text
    texts: list[str] = []
    for group in groups:
        plain = _joined(group.plain)
        if not group.html or (plain and not plain.isspace()):
            texts.append(plain)
            continue
        page = _page(_joined(group.html), budget, most=room)
        room -= page.size
        texts.append(page.text)
    return _joined(texts)


def _page(source: str, budget: Budget, *, most: int) -> PageText:
    page = text_of_page(source, most=most)
    if not page.is_whole:
        budget.report(Defect.BODY_LIMIT)
    return page


def with_tnef(bodies: Bodies, tnef: TnefContents, budget: Budget) -> Bodies:
    """Return the bodies of a mail whose text stands in a winmail.dat."""
    text = tnef.text
    if not text and tnef.html:
        text = _page(tnef.html, budget, most=budget.limits.html_text).text
    return attrs.evolve(bodies, text=text or None, html=tnef.html)


def _joined(texts: list[str]) -> str:
    joined: list[str] = []
    for text in texts:
        if len(texts) > 1 and (not text or text.isspace()):
            continue
        if joined and not joined[-1].endswith("\n"):
            joined.append("\n")
        joined.append(text)
    return "".join(joined)
