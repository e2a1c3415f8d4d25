"""Walk through HTML by `str.find`: linear whatever stands in it.

`html.parser` of the stdlib is quadratic on hostile input, so it is not used.
"""

import html
import html.entities
import re
from typing import Protocol

__all__ = ["HtmlHandler", "attribute_of", "attributes_of", "walk_html"]

# Only these are white space in a tag (WHATWG HTML §13.2.5).
_BLANK = r"[ \t\n\f\r]"
# A whole tag as most are written, else the beginning of markup. A quote means something only where a
# value begins (§13.2.5.37), so tags with any other go the long way. The bounds keep it linear.
_MARKUP = re.compile(
    r"<(?:(/?)([A-Za-z][^ \t\n\f\r/>]{0,40}+)"
    r"([^>\"'=]{0,400}+(?:(?<=[\w-])=(?:\"[^\"]{0,2000}+\"|'[^']{0,2000}+'"
    r"|[^ \t\n\f\r>\"'=]{1,400}+(?=[ \t\n\f\r>]))[^>\"'=]{0,400}+){0,20}+)>|/?[A-Za-z]|[!?])"
)
_TAG_NAME = re.compile(r"/?([A-Za-z][^ \t\n\f\r/>]{0,40}+)")
_LONGEST_TAG = 65536
_LONGEST_TEXT = 16384
_LONGEST_ENTITY = 40
_RAW = {
    name: re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE)
    for name in (
        "iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp",
    )
}  # fmt: skip
_VOID = frozenset({
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen",
    "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
_COMMENT_END = re.compile(r"--!?>")
# A comment may end before it has begun (§13.2.5.43, §13.2.5.44).
_EMPTY_COMMENTS = ("<!-->", "<!--->")
_MOST_ATTRIBUTES = 50
_ATTRIBUTE = re.compile(
    r"([^ \t\n\f\r/>][^ \t\n\f\r/>=]*+)"
    rf"(?:{_BLANK}*+={_BLANK}*+(?:\"([^\"]*+)\"|'([^']*+)'|([^ \t\n\f\r>]*+)))?"
)
_BETWEEN = re.compile(r"[ \t\n\f\r/]*+")
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,9}+;?|#[xX][0-9A-Fa-f]{1,8}+;?|[A-Za-z][A-Za-z0-9]{0,40}+;?(?!=))"
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
            if opening - position > _LONGEST_TEXT:
                position = _long_text(source, position, opening, handler)
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
        position = _long_text(source, position, len(source), handler)
        text(source[position:])


def _long_text(source: str, start: int, end: int, handler: HtmlHandler) -> int:
    """Hand over a text in pieces but for the last one, so that no copy is large; return its start."""
    while end - start > _LONGEST_TEXT:
        cut = start + _LONGEST_TEXT
        reference = source.rfind("&", cut - _LONGEST_ENTITY, cut)
        cut = cut if reference < 0 else reference
        handler.text(source[start:cut])
        start = cut
    return start


def _markup(source: str, opening: int, handler: HtmlHandler, no_more: set[str]) -> int:
    """Handle what begins with `<`; return where to go on."""
    if source.startswith("<!--", opening):
        return _behind_comment(source, opening, no_more)
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


def _behind_comment(source: str, opening: int, no_more: set[str]) -> int:
    for empty in _EMPTY_COMMENTS:
        if source.startswith(empty, opening):
            return opening + len(empty)
    if "-->" not in no_more:
        found = _COMMENT_END.search(source, opening + 4)
        if found:
            return found.end()
        no_more.add("-->")
    # To a browser all the rest is a comment: words are not given up for that.
    return _behind(">", source, opening, no_more) or len(source)


def _behind_raw(source: str, position: int, name: str, no_more: set[str]) -> int:
    """Return where the end tag of an element stands whose content is no markup."""
    if "</" + name in no_more:
        return position
    closing = _RAW[name].search(source, position)
    if closing is None:
        no_more.add("</" + name)
        return position
    return closing.start()


def _behind(mark: str, source: str, position: int, no_more: set[str]) -> int:
    """Return the index behind the next `mark`, 0 when there is none (and remember that)."""
    if mark in no_more:
        return 0
    found = source.find(mark, position)
    if found < 0:
        no_more.add(mark)
        return 0
    return found + len(mark)


def _tag_end(source: str, position: int) -> int:
    """Return the index of the `>` that ends a tag; a value in quotes may hold one."""
    limit = min(len(source), position + _LONGEST_TAG)
    while position < limit:
        position = _between_end(source, position, limit)
        found = _ATTRIBUTE.match(source, position, limit)
        if found is None:
            return position
        position = found.end()
    return limit


def _between_end(source: str, position: int, limit: int) -> int:
    found = _BETWEEN.match(source, position, limit)
    return found.end() if found else position


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes of a tag, names in lower case, values decoded; the first one wins."""
    found: dict[str, str] = {}
    for one in _ATTRIBUTE.finditer(tag):
        found.setdefault(one[1].lower(), _value(one[2] or one[3] or one[4] or ""))
        if len(found) > _MOST_ATTRIBUTES:
            break
    return found


def attribute_of(tag: str, wanted: str) -> str:
    """Return the value of one attribute, decoded; empty when there is none."""
    for one in _ATTRIBUTE.finditer(tag):
        if one[1].lower() == wanted:
            return _value(one[2] or one[3] or one[4] or "")
    return ""


def _value(written: str) -> str:
    return _REFERENCE.sub(_decoded, written) if "&" in written else written


def _decoded(reference: re.Match[str]) -> str:
    """Decode a reference; in a value an old one without `;` ends where the word ends (§13.2.5.73)."""
    written = reference[0]
    if written.startswith("&#") or written.endswith(";"):
        return html.unescape(written)
    return html.entities.html5.get(written[1:], written)
