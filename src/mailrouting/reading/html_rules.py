"""Know which elements end others, as the tree construction of WHATWG HTML §13.2.6 has it."""

import re
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BREAKS_OUT", "FOREIGN", "implied_ends", "is_self_closed"]

_MOST_BETWEEN = 64
_BARE_VALUE = re.compile(r"=[ \t\n\f\r]{0,99}[^ \t\n\f\r\"'>]{1,999}\Z")
_CELL = frozenset({"caption", "table", "td", "th"})
_BUTTON_SCOPE = _CELL | {"button", "object"}
_LISTS = frozenset({"dl", "ol", "table", "ul"})
_ENDS_P = frozenset({
    "address", "article", "aside", "blockquote", "center", "dd", "details", "dialog", "dir", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hgroup", "hr", "li", "listing", "main", "menu", "nav", "ol", "p", "plaintext", "pre", "search",
    "section", "summary", "table", "ul", "xmp",
})  # fmt: skip
_P = frozenset({"p"})
_ROWS = frozenset({"tbody", "tfoot", "thead"})
# Elements that end one that is still open, and what hides that one from them.
_ENDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "a": (frozenset({"a"}), _CELL),
    "dd": (frozenset({"dd", "dt"}), _LISTS),
    "dt": (frozenset({"dd", "dt"}), _LISTS),
    "li": (frozenset({"li"}), _LISTS),
    "option": (frozenset({"option"}), frozenset({"select", "table"})),
    "td": (frozenset({"td", "th"}), frozenset({"table", "tr"})),
    "th": (frozenset({"td", "th"}), frozenset({"table", "tr"})),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
    **dict.fromkeys(_ROWS, (_ROWS, frozenset({"table"}))),
}
FOREIGN = frozenset({"math", "svg"})
# These leave SVG and MathML, whose own elements they cannot be (§13.2.6.5).
BREAKS_OUT = frozenset({
    "b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em", "embed", "h1",
    "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing", "menu", "meta", "nobr", "ol",
    "p", "pre", "ruby", "s", "small", "span", "strike", "strong", "sub", "sup", "table", "tt", "u", "ul",
    "var",
})  # fmt: skip


def implied_ends(
    name: str, open_tags: Sequence[tuple[str, str]], open_count: Mapping[str, int]
) -> Iterator[str]:
    """Return the open elements that the start of another one ends; end each before the next.

    Args:
        name: The element that begins.
        open_tags: The open elements, outermost first: the name of each, and what it is to you.
        open_count: How many of each name are open.
    """
    if name in _ENDS:
        yield from _found(open_tags, *_ENDS[name])
    if name in _ENDS_P and open_count.get("p"):
        yield from _found(open_tags, _P, _BUTTON_SCOPE)


def _found(
    open_tags: Sequence[tuple[str, str]], names: frozenset[str], boundaries: frozenset[str]
) -> Iterator[str]:
    """Return the innermost of these elements, unless a boundary stands inside it."""
    for found, _ in open_tags[: -_MOST_BETWEEN - 1 : -1]:
        if found in names:
            yield found
            return
        if found in boundaries:
            return


def is_self_closed(tag: str) -> bool:
    """Tell whether a tag ends with a slash that belongs to no value; `tag` is what is behind its name.

    It counts for `svg` and `math` only: HTML has no self-closed elements (§13.2.6.5).
    """
    return tag.endswith("/") and _BARE_VALUE.search(tag) is None
