"""Bring HTML into a form that no parser can choke on: few tags, well nested, not deep.

Parsers that follow the HTML standard are quadratic in nesting, and an element that formats text
and is never closed is built anew in every paragraph behind it. What leaves here has neither. It
is not safe to show by itself: a sanitiser must follow.
"""

import html
from collections.abc import Mapping

import attrs

from mailrouting.reading.html_walk import attributes_of, is_hidden, walk_html

__all__ = ["MOST_DEPTH", "balanced_html"]

MOST_DEPTH = 256
_MOST_FORMATTING = 16
_MOST_OPEN = 2000
_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"}
)
_DROPPED = frozenset({
    "applet", "audio", "canvas", "frameset", "head", "iframe", "math", "noembed", "noframes",
    "noscript", "object", "script", "select", "style", "svg", "template", "title", "video",
})  # fmt: skip
_NEVER_TEXT = frozenset({"script", "style"})
_CELL = frozenset({"caption", "table", "td", "th"})
_LISTS = frozenset({"dl", "ol", "table", "ul"})
_ENDS_P = frozenset({
    "address", "blockquote", "center", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "li",
    "ol", "p", "pre", "table", "ul",
})  # fmt: skip
# Elements that end one that is still open, and what hides that one from them.
_ENDS = {
    "a": (frozenset({"a"}), _CELL),
    "dd": (frozenset({"dd", "dt"}), _LISTS),
    "dt": (frozenset({"dd", "dt"}), _LISTS),
    "li": (frozenset({"li"}), _LISTS),
    "td": (frozenset({"td", "th"}), frozenset({"table", "tr"})),
    "th": (frozenset({"td", "th"}), frozenset({"table", "tr"})),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
}
_P = frozenset({"p"})
# Right inside these stand only these; parsers move anything else out of the table.
_ROWS = frozenset({"colgroup", "table", "tbody", "tfoot", "thead", "tr"})
_IN_ROWS = _ROWS | {"caption", "td", "th"}
_MOST_BETWEEN = 64


def balanced_html(source: str, allowed: Mapping[str, frozenset[str]]) -> str:
    """Write HTML anew with the allowed elements only, each closed, at most 256 deep.

    Elements that are not allowed leave their content; scripts, styles and hidden elements leave
    nothing. Elements that are too deep are flattened: their content stays.

    >>> balanced_html("<p onclick=x>Hi<b>you<script>x()</script></p>", {"p": frozenset(), "b": frozenset()})
    '<p>Hi<b>you</b></p>'

    Args:
        source: The HTML.
        allowed: Elements, each with the names of its attributes that are kept.
    """
    balancer = _Balancer(allowed)
    walk_html(source, balancer)
    if balancer.hidden:
        # A hidden element that nobody closed would hide the rest of the mail: show it all.
        balancer = _Balancer(allowed, shows_all=True)
        walk_html(source, balancer)
    balancer.close_all()
    return "".join(balancer.written)


@attrs.define
class _Balancer:
    allowed: Mapping[str, frozenset[str]]
    shows_all: bool = False
    written: list[str] = attrs.Factory(list[str])
    # Name of each open element that is not left out, and its role: `written` or `hidden`.
    open_tags: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])
    open_count: dict[str, int] = attrs.Factory(dict[str, int])
    depth: int = 0
    formatting: int = 0
    hidden: int = 0

    def text(self, source: str) -> None:
        if not self.hidden:
            self.written.append(html.escape(html.unescape(source), quote=False))

    def start(self, name: str, tag: str) -> None:
        attributes = attributes_of(tag) if tag.strip("/ ") else {}
        if name == "body":
            self.end("head")
        if name in _ENDS:
            self.end_open(*_ENDS[name])
        if name in _ENDS_P:
            self.end_open(_P, _CELL)
        role = self.role(name, attributes)
        if role == "written":
            self.write(name, attributes)
            self.depth += 1
            self.formatting += name in _FORMATTING
        elif role == "hidden" and len(self.open_tags) < _MOST_OPEN:
            self.hidden += 1
        else:
            return  # its end tag, if any, ends nothing or an outer one of its name
        self.open_tags.append((name, role))
        self.open_count[name] = self.open_count.get(name, 0) + 1

    def void(self, name: str, tag: str) -> None:
        if not self.hidden and name in self.allowed:
            self.write(name, attributes_of(tag))

    def end_open(self, names: frozenset[str], boundaries: frozenset[str]) -> None:
        """End an open element of these names, unless a boundary stands in between."""
        if not any(self.open_count.get(name) for name in names):
            return
        for found, _ in self.open_tags[: -_MOST_BETWEEN - 1 : -1]:
            if found in names:
                self.end(found)
                return
            if found in boundaries:
                return

    def role(self, name: str, attributes: dict[str, str]) -> str:
        is_dropped = name in _NEVER_TEXT or (
            not self.shows_all and (name in _DROPPED or is_hidden(attributes))
        )
        if self.hidden or is_dropped:
            return "hidden"
        is_many = name in _FORMATTING and self.formatting >= _MOST_FORMATTING
        is_misplaced = (
            bool(self.open_tags) and self.open_tags[-1][0] in _ROWS and name not in _IN_ROWS
        )
        is_written = (
            name in self.allowed and self.depth < MOST_DEPTH and not is_many and not is_misplaced
        )
        return "written" if is_written else "left out"

    def write(self, name: str, attributes: dict[str, str]) -> None:
        kept = "".join(
            f' {key}="{html.escape(value)}"'
            for key, value in attributes.items()
            if key in self.allowed[name]
        )
        self.written.append(f"<{name}{kept}>")

    def end(self, name: str) -> None:
        if not self.open_count.get(name):
            return
        found = ""
        while found != name:
            found = self.close()

    def close(self) -> str:
        name, role = self.open_tags.pop()
        self.open_count[name] -= 1
        if role == "hidden":
            self.hidden -= 1
        else:
            self.written.append(f"</{name}>")
            self.depth -= 1
            self.formatting -= name in _FORMATTING
        return name

    def close_all(self) -> None:
        while self.open_tags:
            self.close()
