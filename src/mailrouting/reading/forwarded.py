"""Find the mail that was forwarded inside a text."""

import re
from collections.abc import Sequence

from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.headers import clean
from mailrouting.reading.message import Forwarded, HeaderAddress
from mailrouting.reading.quote_marks import (
    attribution_length,
    has_forward_subject,
    is_forward_marker,
    is_original_marker,
    is_rule,
    read_quoted_header,
    split_joined_header,
    unquoted,
)

__all__ = ["find_forwarded"]

_MOST_LINES = 2000
_MAILTO = re.compile(
    r"<mailto:[^<>]{0,320}>?(?=>|\s|[,;]|$)|<mailto:[^<>]{0,320}>|(?<=\S)<https?:[^<>]{0,500}>"
)
_MAILTO_BRACKETS = re.compile(r"\[mailto:([^\]\s]{1,320})\]")
_ON_BEHALF = re.compile(
    r"\s(?:on behalf of|im auftrag von|de la part de|en nombre de)\s", re.IGNORECASE
)
_PREFIX = re.compile(r"\s{0,5}[^\s:：]{1,12}\s{0,2}[:：]\s{0,5}")
_WRITER = re.compile(
    r"[\"“”„«»']?\s{0,2}([^\"“”„«»<>,\d:]{1,80}?)\s{0,2}[\"“”„«»']?\s{0,2}<([^<>\s]{3,320})>"
)


def find_forwarded(text: str, *, subject: str) -> Forwarded | None:
    """Return the forwarded mail, or None.

    A marker (`Begin forwarded message:`) is enough. A bare quoted header or an attribution counts
    only when the subject says that the mail was forwarded: otherwise it is a reply's quote.

    Args:
        text: The text of the mail.
        subject: Its subject, prefix included.
    """
    lines = text.split("\n", _MOST_LINES)
    says_forwarded = has_forward_subject(subject)
    for index, line in enumerate(lines[:_MOST_LINES]):
        end = is_forward_marker(line)
        if end:
            found = _behind_marker(lines, index, end)
            if found:
                return found
        elif says_forwarded:
            found = _bare(lines, index, subject)
            if found:
                return found
    return None


def _behind_marker(lines: Sequence[str], index: int, end: int) -> Forwarded | None:
    start = index + 1
    rest = lines[index][end:].strip()
    if rest:
        # Yahoo's plain text has the marker and all fields on one line.
        lines = [*lines[:start], *split_joined_header(rest), "", *lines[start:]]
    while start < len(lines) and not unquoted(lines[start]).strip(" *\t"):
        start += 1
    return _with_header(lines, index, start, least=2)


def _bare(lines: Sequence[str], index: int, subject: str) -> Forwarded | None:
    line = lines[index]
    if is_original_marker(line) or is_rule(line):
        start = index + 1
        while start < min(len(lines), index + 3) and not unquoted(lines[start]).strip():
            start += 1
        return _with_header(lines, index, start, least=2)
    found = _with_header(lines, index, index, least=3)
    if found:
        return found
    length = attribution_length(lines, index)
    if not length:
        return None
    attribution = " ".join(lines[index : index + length])
    writer = _WRITER.search(attribution)
    body = _body(lines, index + length, is_quoted=lines[index].startswith(">"))
    prefix = _PREFIX.match(subject)
    return Forwarded(
        from_=HeaderAddress(_name(writer[1]), writer[2]) if writer else None,
        subject=subject[prefix.end() :] if prefix else subject,
        date=attribution.strip("\ufeff \t"),
        text=body,
        comment=_comment(lines, index),
    )


def _with_header(lines: Sequence[str], above: int, start: int, *, least: int) -> Forwarded | None:
    header = read_quoted_header(lines, start, least=least) if start < len(lines) else None
    if header is None:
        return None
    from_ = _addresses(_ON_BEHALF.split(header.fields["from"])[0])
    return Forwarded(
        from_=from_[0] if from_ else None,
        to=_addresses(header.fields.get("to", "")),
        cc=_addresses(header.fields.get("cc", "")),
        subject=header.fields.get("subject"),
        date=header.fields.get("date", ""),
        text=_body(lines, header.end, is_quoted=lines[start].lstrip().startswith(">")),
        comment=_comment(lines, above),
    )


def _addresses(value: str) -> tuple[HeaderAddress, ...]:
    value = _MAILTO_BRACKETS.sub(r"<\1>", value[:16384])
    value = _MAILTO.sub("", value)
    found, _ = parse_addresses(value.encode("utf-8", "replace"))
    # A bare word is a person's name here: programs show names where they know them.
    return tuple(
        one if "@" in one.address or one.name else HeaderAddress(one.address, "") for one in found
    )


def _name(text: str) -> str:
    return clean(text.strip(" -–:"))


def _body(lines: Sequence[str], start: int, *, is_quoted: bool) -> str:
    body = [unquoted(line) if is_quoted else line for line in lines[start:]]
    if not is_quoted and body:
        quoted = [line for line in body if line.strip()]
        if quoted and all(line.startswith(">") for line in quoted):
            body = [unquoted(line) for line in body]
    return "\n".join(body).strip("\n \t\r")


def _comment(lines: Sequence[str], above: int) -> str:
    while above and (not lines[above - 1].strip() or is_rule(lines[above - 1])):
        above -= 1
    return "\n".join(lines[:above]).strip("\n \t\ufeff")
