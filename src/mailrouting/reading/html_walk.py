"""Walk through HTML by `str.find`: linear whatever stands in it.

`html.parser` of the stdlib is quadratic on hostile input, so it is not used.
"""

import html
import re
from typing import Protocol

__all__ = ["HtmlHandler", "attribute_of", "attributes_of", "is_hidden", "may_hide", "walk_html"]

# A whole tag as most are written, else the beginning of markup. The bounds keep the search linear.
_MARKUP = re.compile(
    r"<(?:(/?)([A-Za-z][A-Za-z0-9:]{0,40}+)"
    r"([^>\"]{0,400}+(?:\"[^\"]{0,2000}+\"[^>\"]{0,400}+){0,20}+)>|/?[A-Za-z]|[!?])"
)
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9:]{0,40})")
_LONGEST_TAG = 65536
_RAW = frozenset({"script", "style", "title", "textarea", "xmp"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "wbr"})
_HIDDEN = re.compile(
    r"(?<![-\w])(?:display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|mso-hide\s{0,9}:\s{0,9}all)",
    re.IGNORECASE,
)
# What `_HIDDEN` and `hidden` have in common; a number may stand for a letter of theirs.
_MAY_HIDE = re.compile(r"hid|none|&#", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"([A-Za-z][A-Za-z-]{0,40})(?:\s{0,9}=\s{0,9}(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?"
)


class HtmlHandler(Protocol):
    """Take what a walk meets, in order."""

    def text(self, source: str) -> None:
        """Take a text, its entities as they stand."""
        ...

    def start(self, name: str, tag: str) -> None:
        """Take a start tag: its name in lower case, and what stands behind the name."""
        ...

    def void(self, name: str, tag: str) -> None:
        """Take a tag of an element that has no content, as `br`."""
        ...

    def end(self, name: str) -> None:
        """Take an end tag: its name in lower case."""
        ...


def walk_html(source: str, handler: HtmlHandler) -> None:
    """Hand texts and tags to a handler; comments and the content of scripts are left out."""
    position = 0
    no_more: set[str] = set()
    search, text, start, end, void = (
        _MARKUP.search, handler.text, handler.start, handler.end, handler.void
    )  # fmt: skip
    while found := search(source, position):
        opening, following = found.span()
        if opening > position:
            text(source[position:opening])
        slash, name, tag = found.groups()
        if name is None:
            position = _markup(source, opening, handler, no_more)
            continue
        name = name.lower()
        position = following
        if slash:
            end(name)
        elif name in _VOID:
            void(name, tag)
        elif name in _RAW:
            start(name, tag)
            position = _behind_raw(source, following, name, no_more)
        else:
            start(name, tag)
    if position < len(source):
        text(source[position:])


def _markup(source: str, opening: int, handler: HtmlHandler, no_more: set[str]) -> int:
    """Handle what begins with `<`; return where to go on."""
    if source.startswith("<!--", opening):
        return (
            _behind("-->", source, opening + 4, no_more)
            or _behind(">", source, opening, no_more)
            or len(source)
        )
    name_match = _TAG_NAME.match(source, opening + 1)
    if not name_match:
        return _behind(">", source, opening, no_more) or len(source)
    end = _tag_end(source, name_match.end())
    tag = source[name_match.end() : end]
    name = name_match[1].lower()
    if source[opening + 1] == "/":
        handler.end(name)
    elif name in _VOID:
        handler.void(name, tag)
    else:
        handler.start(name, tag)
        if name in _RAW:
            return _behind_raw(source, min(end + 1, len(source)), name, no_more)
    return min(end + 1, len(source))


def _behind_raw(source: str, position: int, name: str, no_more: set[str]) -> int:
    """Return where the end tag of an element stands whose content is no markup."""
    if "</" + name in no_more:
        return position
    closing = _find_close(source, position, name)
    if closing < 0:
        no_more.add("</" + name)
        return position
    return closing


def _behind(mark: str, source: str, position: int, no_more: set[str]) -> int:
    """Return the index behind the next `mark`, 0 when there is none (and remember that)."""
    if mark in no_more:
        return 0
    found = source.find(mark, position)
    if found < 0:
        no_more.add(mark)
        return 0
    return found + len(mark)


def _find_close(source: str, position: int, name: str) -> int:
    found = re.compile(f"</{name}", re.IGNORECASE).search(source, position)
    return found.start() if found else -1


def _tag_end(source: str, position: int) -> int:
    """Return the index of the `>` that ends a tag; quoted values may hold one."""
    limit = min(len(source), position + _LONGEST_TAG)
    end = source.find(">", position, limit)
    if end < 0:
        return limit
    if source.find('"', position, end) < 0:
        return end
    for _ in range(50):
        # An odd number of quotes before it: this `>` stands inside a value.
        piece = source[position:end]
        if piece.count('"') % 2 == 0:
            break
        quote = source.find('"', end, limit)
        following = source.find(">", quote, limit) if quote >= 0 else -1
        if following < 0:
            break
        end = following
    return end


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes of a tag, names in lower case, values decoded; the first one wins."""
    found: dict[str, str] = {}
    for name, quoted, single, bare in _ATTRIBUTE.findall(tag[:8192]):
        value = quoted or single or bare
        found.setdefault(name.lower(), html.unescape(value) if "&" in value else value)
        if len(found) > 50:  # noqa: PLR2004
            break
    return found


def attribute_of(tag: str, wanted: str) -> str:
    """Return the value of one attribute, decoded; empty when there is none."""
    for name, quoted, single, bare in _ATTRIBUTE.findall(tag[:8192]):
        if name.lower() == wanted:
            return html.unescape(quoted or single or bare)
    return ""


def may_hide(tag: str) -> bool:
    """Tell whether it is worth asking `is_hidden`: most tags say nothing like it."""
    return _MAY_HIDE.search(tag) is not None


def is_hidden(attributes: dict[str, str]) -> bool:
    """Tell whether an element with these attributes is not shown."""
    style = attributes.get("style", "")
    return "hidden" in attributes or (bool(style) and _HIDDEN.search(style[:2000]) is not None)
