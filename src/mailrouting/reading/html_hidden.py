"""Tell what of an HTML page is not shown, by the attributes of its elements.

Only what stands in the page itself is looked at: attributes and `style`. In doubt text is shown:
words that a person may have seen are never dropped on half an evidence.
"""

import re
from collections.abc import Mapping

import attrs

__all__ = ["Veil", "is_hidden", "may_hide"]

_LONGEST_STYLE = 2000
# Comments and strings of CSS; one that is not closed goes to the end.
_NO_CODE = re.compile(r"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)")
_ZERO = re.compile(r"[+-]?(?:0+\.?0*+|\.0++)(?:[a-z]{1,4}|%)?")
_RELATIVE_SIZE = re.compile(r"[\d.+]{1,20}(?:em|ex|ch|%)|inherit|unset|smaller|larger")
# Elements whose height can be set: neither those in a line nor the parts of a table.
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "fieldset", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "li", "main", "nav", "ol", "p", "pre",
    "section", "ul",
})  # fmt: skip
_BLOCK_DISPLAYS = frozenset({"block", "inline-block", "flex", "grid", "list-item", "flow-root"})
# Controls have a size of their own; a table has one where no doctype is (WHATWG HTML §15.3.8).
_OWN_SIZE = frozenset({"button", "input", "select", "table", "textarea"})


def may_hide(tag: str) -> bool:
    """Tell whether it is worth asking about a tag: most say nothing like it."""
    tag = tag.lower()
    if "hidden" in tag or "&#" in tag:
        return True
    if "style" not in tag:
        return False
    return (
        ("none" in tag and "display" in tag)
        or "opacity" in tag
        or "/*" in tag
        or "font-size:0" in tag
        or "font-size: 0" in tag
        or "font-size:." in tag
        or "font-size :" in tag
    )


def is_hidden(name: str, attributes: Mapping[str, str]) -> bool:
    """Tell whether an element is not shown, nor anything that stands in it.

    `mso-hide:all` says nothing: one program alone obeys it, and buttons that all others show have it.
    """
    if not attributes:
        return False
    style = _declarations(attributes.get("style", ""))
    display = style.get("display")
    # The attribute is a rule of the browser's own style sheet: any `display` beats it (§15.3.1).
    if display == "none" or (display is None and "hidden" in attributes):
        return True
    return _is_zero(style.get("opacity")) or _has_no_height(name, style)


def _has_no_height(name: str, style: Mapping[str, str]) -> bool:
    if style.get("overflow") != "hidden":
        return False
    if not (_is_zero(style.get("max-height")) or _is_zero(style.get("height"))):
        return False
    if style.get("display", "block" if name in _BLOCKS else "inline") not in _BLOCK_DISPLAYS:
        return False
    # Padding shows what overflows: pictures that keep their proportions are made so.
    return all(
        _is_zero(number)
        for key, value in style.items()
        if key.startswith(("padding", "min-height"))
        for number in value.split()
    )


@attrs.define
class Veil:
    """Know whether text is shown where the walk is, by styles that an inner element can undo.

    Attributes:
        is_small: The font has no size. Pictures are seen all the same.
        is_invisible: Nothing is seen, but takes its place.
    """

    is_small: bool = False
    is_invisible: bool = False
    # What was the case around each element that changed it, and how many were open around that.
    around: list[tuple[int, bool, bool]] = attrs.Factory(list[tuple[int, bool, bool]])

    @property
    def is_veiled(self) -> bool:
        """Tell whether text is not shown."""
        return self.is_small or self.is_invisible

    def may_change(self, name: str, tag: str) -> bool:
        """Tell whether it is worth asking about a tag; most say nothing of a font or visibility."""
        if not self.around:
            return may_hide(tag)
        if name in _OWN_SIZE or name == "font":
            return True
        lower = tag.lower()
        return "font" in lower or "visib" in lower or may_hide(lower)

    def begin(self, name: str, attributes: Mapping[str, str], depth: int) -> bool:
        """Take the start of an element that `depth` elements are open around; tell if it matters."""
        style = _declarations(attributes.get("style", ""))
        small = _small(name, attributes, style, is_small=self.is_small)
        invisible = _invisible(style.get("visibility", ""), is_invisible=self.is_invisible)
        if (small, invisible) == (self.is_small, self.is_invisible):
            return False
        self.around.append((depth, self.is_small, self.is_invisible))
        self.is_small, self.is_invisible = small, invisible
        return True

    def end(self, depth: int) -> None:
        """Take the end of an element; `depth` elements are still open."""
        while self.around and self.around[-1][0] >= depth:
            _, self.is_small, self.is_invisible = self.around.pop()


def _small(
    name: str, attributes: Mapping[str, str], style: Mapping[str, str], *, is_small: bool
) -> bool:
    size = style.get("font-size")
    if "font" in style:
        return False
    if size is None:
        has_own = name in _OWN_SIZE or (name == "font" and "size" in attributes)
        return is_small and not has_own
    if _is_zero(size):
        return True
    return is_small and _RELATIVE_SIZE.fullmatch(size) is not None


def _invisible(value: str, *, is_invisible: bool) -> bool:
    if value in ("hidden", "collapse"):
        return True
    return is_invisible and value in ("", "inherit", "unset")


def _is_zero(value: str | None) -> bool:
    return value is not None and _ZERO.fullmatch(value) is not None


def _declarations(style: str) -> dict[str, str]:
    """Return the properties that count: the last of each, but what is `!important` before others."""
    found: dict[str, str] = {}
    important: set[str] = set()
    if not style:
        return found
    for declaration in _NO_CODE.sub("", style[:_LONGEST_STYLE].lower()).split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip()
        value, _, mark = value.partition("!")
        value = value.strip()
        mark = mark.strip()
        if not value or mark not in ("", "important") or (name in important and not mark):
            continue
        if mark:
            important.add(name)
        found[name] = value
    return found
