"""Choose the text and the HTML body among a mail's parts (RFC 2046 §5.1.4)."""

from collections.abc import Sequence

import attrs

from mailrouting.reading.charsets import decode
from mailrouting.reading.content import content_of
from mailrouting.reading.header_block import Report
from mailrouting.reading.html_text import html_to_text
from mailrouting.reading.message import Defect
from mailrouting.reading.names import part_name
from mailrouting.reading.parameters import parse_parameters
from mailrouting.reading.scan import Part

__all__ = ["Bodies", "choose_bodies", "disposition_of", "part_text"]


@attrs.frozen
class Bodies:
    """Hold the bodies, and which parts they were made from."""

    text: str | None
    html: str | None
    indexes: frozenset[int]


@attrs.define
class _Group:
    """Collect the forms of one text: one leaf, or all leaves of a multipart/alternative."""

    plain: list[str] = attrs.Factory(list[str])
    html: list[str] = attrs.Factory(list[str])


def choose_bodies(raw: bytes, parts: Sequence[Part], report: Report) -> Bodies:
    """Join the texts that a mail program would show one below the other.

    Of a multipart/alternative the plain form gives the text and the HTML form the HTML; a text
    that comes as HTML only is in both.
    """
    groups: dict[int, _Group] = {}
    indexes: set[int] = set()
    for index, part in enumerate(parts):
        alternative = _alternative(parts, index)
        if not _is_body(part, is_first=not indexes, is_alternative=alternative >= 0):
            continue
        indexes.add(index)
        group = groups.setdefault(alternative if alternative >= 0 else index, _Group())
        text = part_text(raw, part, report)
        (group.html if part.media.full == "text/html" else group.plain).append(text)
    html = [piece for group in groups.values() for piece in group.html]
    texts = [_text_of(group) for group in groups.values()]
    return Bodies(
        text=_joined(texts) if groups else None,
        html=_joined(html) if html else None,
        indexes=frozenset(indexes),
    )


def part_text(raw: bytes, part: Part, report: Report) -> str:
    """Decode a part's text: transfer encoding, charset, line ends as LF, no NUL."""
    label = part.media.parameters.token("charset")
    text, is_known, fits = decode(content_of(raw, part, report), label or None)
    if not is_known:
        report(Defect.UNKNOWN_CHARSET)
    elif not fits:
        report(Defect.BAD_CHARSET)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def disposition_of(part: Part) -> str:
    """Return `attachment`, `inline`, another word, or an empty text."""
    value = part.header.first(b"content-disposition")
    return parse_parameters(value)[0] if value else ""


def _alternative(parts: Sequence[Part], index: int) -> int:
    """Return the index of the outermost multipart/alternative around a part, or -1."""
    found = -1
    while (index := parts[index].parent) >= 0:
        if parts[index].media.full == "multipart/alternative":
            found = index
    return found


def _is_body(part: Part, *, is_first: bool, is_alternative: bool) -> bool:
    if part.opaque or part.children:
        return False
    if part.media.main == "multipart":
        return True  # no part was found in it: what stands there is all the text there is
    if part.media.full not in ("text/plain", "text/html"):
        return False
    disposition = disposition_of(part)
    if disposition == "attachment":
        return False
    # A file that a program merely shows inline is still a file.
    return is_first or is_alternative or part_name(part)[0] is None


def _text_of(group: _Group) -> str:
    plain = _joined(group.plain)
    if plain.strip() or not group.html:
        return plain
    return html_to_text(_joined(group.html))


def _joined(texts: list[str]) -> str:
    joined: list[str] = []
    for text in texts:
        if not text.strip() and len(texts) > 1:
            continue
        if joined and not joined[-1].endswith("\n"):
            joined.append("\n")
        joined.append(text)
    return "".join(joined)
