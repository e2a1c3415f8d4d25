"""Read address lists as they really come (RFC 5322 §3.4), in one pass.

Encoded words are decoded after the list is split, so what stands inside one can neither become an
address nor split one in two. A `;` separates as a `,` does, a missing `>` ends at the next
separator, a word without an `@` is an address too.
"""

import re

import attrs

from mailrouting.reading.headers import clean, decode_words, raw_text
from mailrouting.reading.message import HeaderAddress

__all__ = ["parse_addresses"]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_PLAIN = re.compile(r'[^"(<,;:\\]++')
# Behind `<`: quoted parts may hold anything, the rest anything but a bracket.
_ANGLE = re.compile(r'<((?:"(?:[^"\\]|\\.)*+"|[^<>"])*+)>', re.DOTALL)
_LOOSE_ANGLE = re.compile(r"<([^<>,;]*+)")
_COMMENT = re.compile(r"\([^()]*+\)")
_AROUND_MARK = re.compile(r"\s*+([@.])\s*+")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\]|\\.)*+"\s*+@\s*+\S++', re.DOTALL)
# One ordinary mailbox of a list: a name or a quoted one before a bracket, or an address alone.
_ATOMS = r"[A-Za-z0-9_.+=-]++@[A-Za-z0-9.-]++"
_ORDINARY = re.compile(
    rf"""[ \t]*+(?:(?:"([^"\\]*+)"|([^"(),:;<>@\\]*+))[ \t]*+<({_ATOMS})>|({_ATOMS}))[ \t]*+(?:,|\Z)"""
)


@attrs.define
class _Mailbox:
    """Collect one mailbox while it is read."""

    raw: list[str] = attrs.Factory(list[str])
    shown: list[str] = attrs.Factory(list[str])
    comments: list[str] = attrs.Factory(list[str])
    angle: str | None = None
    has_mark: bool = False

    def add(self, raw: str, shown: str | None = None) -> None:
        self.raw.append(raw)
        self.has_mark = self.has_mark or "@" in raw
        self.shown.append(raw if shown is None else shown)

    @property
    def is_empty(self) -> bool:
        return self.angle is None and not "".join(self.raw).strip()


def parse_addresses(value: bytes, *, limit: int = 200) -> tuple[tuple[HeaderAddress, ...], bool]:
    """Read the addresses of one field.

    >>> parse_addresses(b'"Doe, J." <j@example.org>, team: a@example.org; (Bob) b@example.org')[0][2]
    HeaderAddress(name='Bob', address='b@example.org')

    Args:
        value: The field's value, unfolded.
        limit: How many addresses are read.

    Returns:
        The addresses in order, and whether there were more.
    """
    text = raw_text(value)
    ordinary = _ordinary_addresses(text)
    if ordinary is None:
        return _any_addresses(text, limit=limit)
    return tuple(ordinary[:limit]), len(ordinary) > limit


def _ordinary_addresses(text: str) -> list[HeaderAddress] | None:
    """Read a list that is written as nearly all are; None for any other."""
    found: list[HeaderAddress] = []
    position = 0
    end = len(text)
    while position < end:
        match = _ORDINARY.match(text, position)
        if match is None:
            return None
        quoted, phrase, address, bare = match.groups()
        name = quoted or phrase
        found.append(HeaderAddress(_shown(name) if name else "", address or bare))
        position = match.end()
    return found


def _any_addresses(text: str, *, limit: int) -> tuple[tuple[HeaderAddress, ...], bool]:
    found: list[HeaderAddress] = []
    box = _Mailbox()
    position = 0
    comments_end = True
    last_semicolon = text.rfind(";")
    while position < len(text) and len(found) <= limit:
        character = text[position]
        if character == '"' and (quoted := _QUOTED.match(text, position)):
            box.add(quoted.group(), _PAIR.sub(r"\1", quoted[1]))
            position = quoted.end()
        elif character == "(" and comments_end:
            end = _comment_end(text, position)
            # A comment that never ends is none, and neither is any behind it.
            comments_end = end > 0
            if comments_end:
                box.comments.append(_PAIR.sub(r"\1", text[position + 1 : end - 1]))
                box.add(" ")
                position = end
        elif character == "<":
            box, position = _angle(text, position, box, found)
        elif character in ",;":
            if box.raw:
                _finish(box, found)
                box = _Mailbox()
            position += 1
        elif character == ":" and position < last_semicolon and not box.has_mark:
            box = _Mailbox()  # what stood there is the name of a group
            position += 1
        elif plain := _PLAIN.match(text, position):
            box.add(plain.group())
            position = plain.end()
        else:
            box.add(character)
            position += 1
    _finish(box, found)
    return tuple(found[:limit]), len(found) > limit


def _comment_end(text: str, position: int) -> int:
    """Return the index behind the comment, 0 when it has no end."""
    depth = 0
    for match in _PARENTHESIS.finditer(text, position):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return 0


def _angle(
    text: str, position: int, box: _Mailbox, found: list[HeaderAddress]
) -> tuple[_Mailbox, int]:
    match = _ANGLE.match(text, position) or _LOOSE_ANGLE.match(text, position)
    inner = match[1] if match else ""
    end = match.end() if match else position + 1
    earlier = box.angle
    if earlier is not None:
        if "@" in earlier and "@" in inner:
            # Two addresses without a separator are two addresses: neither may hide.
            _finish(box, found)
            box = _Mailbox()
        elif "@" in earlier:
            return box, end
        else:
            box.add(f"<{earlier}>")
    box.angle = inner
    box.add(" ")
    return box, end


def _finish(box: _Mailbox, found: list[HeaderAddress]) -> None:
    if box.is_empty:
        return
    name = clean(decode_words("".join(box.shown).strip()))
    if box.angle is None:
        name, address = _bare("".join(box.raw).strip(), name)
    else:
        address = _address(box.angle)
        if not address and "@" in name and " " not in name:
            name, address = "", name  # `a@example.org <>`
    if not name and box.comments:
        name = clean(decode_words(box.comments[0]))
    if name or address:
        found.append(HeaderAddress(_unquoted(" ".join(name.split())), address))


def _bare(raw: str, name: str) -> tuple[str, str]:
    """Tell name and address apart where there are no brackets."""
    quoted = _QUOTED_LOCAL.search(raw)
    if quoted:
        rest = clean(decode_words(raw[: quoted.start()] + raw[quoted.end() :]))
        return rest, _address(quoted.group())
    if "@" not in raw:
        # A word alone is a local address, several words are a name.
        if "=?" in raw or '"' in raw or len(raw.split()) != 1:
            return name, ""
        return "", _address(raw)
    words = _AROUND_MARK.sub(r"\1", raw).split()
    address = next(word for word in words if "@" in word)
    others = [word for word in words if word is not address]
    return clean(decode_words(" ".join(others))), _address(address)


def _address(text: str) -> str:
    text = clean(text)
    if "(" in text and not text.startswith('"'):
        text = _COMMENT.sub("", text)
    if text.startswith("@") and ":" in text:
        text = text.rpartition(":")[2]  # a source route (RFC 5322 §4.4)
    if text[:7].lower() == "mailto:":
        text = text[7:]
    if not text.startswith('"'):
        text = _AROUND_MARK.sub(r"\1", text).strip(" '\"<>")
    return text


def _shown(name: str) -> str:
    """Return a name before a bracket as it is shown."""
    name = name.strip()
    if "=?" in name:
        name = decode_words(name).strip()
    if not name.isprintable():
        name = clean(name)
    if "  " in name or not name.isprintable():
        name = " ".join(name.split())
    return _unquoted(name)


def _unquoted(name: str) -> str:
    """Drop quotes that stand around a decoded name for a second time."""
    if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
        return name[1:-1].strip()
    return name
