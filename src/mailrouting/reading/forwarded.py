"""Find the mail that was forwarded inside a text."""

import re
from collections.abc import Sequence

from mailrouting.reading.attributions import attribution_length, is_sender_line
from mailrouting.reading.header_addresses import parse_addresses
from mailrouting.reading.headers import clean
from mailrouting.reading.message import Forwarded, HeaderAddress
from mailrouting.reading.quote_marks import (
    has_forward_subject,
    is_forward_end,
    is_forward_marker,
    is_original_marker,
    is_rule,
    unquoted,
)
from mailrouting.reading.quoted_headers import read_quoted_header, split_joined_header

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
            found = _behind_marker(lines, index, end, subject)
            if found:
                return found
        elif says_forwarded:
            found = _bare(lines, index, subject)
            if found:
                return found
    return None


def _behind_marker(lines: Sequence[str], index: int, end: int, subject: str) -> Forwarded | None:
    start = index + 1
    rest = lines[index][end:].strip()
    if rest:
        # Yahoo's plain text has the marker and all fields on one line.
        lines = [*lines[:start], *split_joined_header(rest), "", *lines[start:]]
    while start < len(lines) and not unquoted(lines[start]).strip(" *\t"):
        start += 1
    found = _with_header(lines, index, start, least=2)
    if found is None and start < len(lines) and is_sender_line(lines[start]):
        found = _with_attribution(lines, index, start, 1, subject)
    return found


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
    return _with_attribution(lines, index, index, length, subject) if length else None


def _with_attribution(
    lines: Sequence[str], above: int, start: int, length: int, subject: str
) -> Forwarded:
    attribution = " ".join(lines[start : start + length])
    writer = _WRITER.search(attribution)
    return Forwarded(
        from_=HeaderAddress(_name(writer[1]), writer[2]) if writer else None,
        subject=_without_prefix(subject),
        date=attribution.strip("\ufeff \t"),
        text=_body(lines, start + length, is_quoted=lines[start].startswith(">")),
        comment=_comment(lines, above),
    )


def _without_prefix(subject: str) -> str:
    """Return the subject without `Fwd:`, in brackets (`[Fwd: Printer]`) or not."""
    prefix = _PREFIX.match(subject)
    if prefix is None:
        return subject
    rest = subject[prefix.end() :]
    return rest.removesuffix("]") if "[" in prefix.group() else rest


def _with_header(lines: Sequence[str], above: int, start: int, *, least: int) -> Forwarded | None:
    header = read_quoted_header(lines, start, least=least) if start < len(lines) else None
    if header is None:
        return None
    end = header.end
    if end < len(lines) and is_rule(lines[end]):
        end += 1  # SquirrelMail's header stands between two rules
    return Forwarded(
        from_=_author(header.fields["from"]),
        to=_addresses(header.fields.get("to", "")),
        cc=_addresses(header.fields.get("cc", "")),
        subject=header.fields.get("subject"),
        date=header.fields.get("date", ""),
        text=_body(lines, end, is_quoted=lines[start].lstrip().startswith(">")),
        comment=_comment(lines, above),
    )


def _author(value: str) -> HeaderAddress | None:
    """Return who wrote it: of `Ann on behalf of Bob` the first who has an address."""
    people = [one for text in _ON_BEHALF.split(value) for one in _addresses(text)[:1]]
    return next((one for one in people if "@" in one.address), people[0] if people else None)


def _addresses(value: str) -> tuple[HeaderAddress, ...]:
    value = _MAILTO_BRACKETS.sub(r"<\1>", value[:16384])
    value = _MAILTO.sub("", value)
    found, _ = parse_addresses(value.encode("utf-8", "replace"))
    return tuple(map(_person, found))


def _person(one: HeaderAddress) -> HeaderAddress:
    # A bare word is a person's name here: programs show names where they know them.
    if "@" not in one.address and not one.name:
        return HeaderAddress(one.address, "")
    # Where they know none, some write the address twice.
    return HeaderAddress("", one.address) if one.name == one.address else one


def _name(text: str) -> str:
    return clean(text.strip(" -–:"))


def _body(lines: Sequence[str], start: int, *, is_quoted: bool) -> str:
    end = next((n for n, line in enumerate(lines[start:], start) if is_forward_end(line)), None)
    body = [unquoted(line) if is_quoted else line for line in lines[start:end]]
    if not is_quoted and body:
        quoted = [line for line in body if line.strip()]
        if quoted and all(line.startswith(">") for line in quoted):
            body = [unquoted(line) for line in body]
    return "\n".join(body).strip("\n \t\r")


def _comment(lines: Sequence[str], above: int) -> str:
    while above and (not lines[above - 1].strip() or is_rule(lines[above - 1])):
        above -= 1
    return "\n".join(lines[:above]).strip("\n \t\ufeff")
