"""Bring HTML into a form that no parser can choke on: few tags, well nested, not deep.

Parsers that follow the HTML standard are quadratic in nesting, and an element that formats text
and is never closed is built anew in every paragraph behind it. What leaves here has neither. It
is not safe to show by itself: a sanitiser must follow.
"""

import html
from collections.abc import Mapping

import attrs

from mailrouting.reading.html_hidden import Veil, is_hidden
from mailrouting.reading.html_rules import BREAKS_OUT, FOREIGN, implied_ends, is_self_closed
from mailrouting.reading.html_walk import attributes_of, walk_html

__all__ = ["MOST_DEPTH", "balanced_html"]

MOST_DEPTH = 256
_MOST_FORMATTING = 16
_MOST_OPEN = 2000
_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"}
)
_DROPPED = frozenset({
    "applet", "audio", "canvas", "frameset", "iframe", "math", "noembed", "noframes", "object",
    "script", "select", "style", "svg", "template", "title", "video",
})  # fmt: skip
_NEVER_TEXT = frozenset({"script", "style"})
# Right inside these stand only these; parsers move anything else out of the table.
_ROWS = frozenset({"colgroup", "table", "tbody", "tfoot", "thead", "tr"})
_IN_ROWS = _ROWS | {"caption", "td", "th"}


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
    if balancer.hidden or balancer.veil.is_veiled:
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
    # Name of each open element that is not left out, and its role: `written`, `hidden` or `veil`.
    open_tags: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])
    open_count: dict[str, int] = attrs.Factory(dict[str, int])
    depth: int = 0
    formatting: int = 0
    hidden: int = 0
    veil: Veil = attrs.Factory(Veil)

    def text(self, source: str) -> None:
        if not self.hidden and not self.veil.is_veiled:
            self.written.append(html.escape(html.unescape(source), quote=False))

    def start(self, name: str, tag: str) -> None:
        attributes = attributes_of(tag) if tag.strip("/ ") else {}
        self.end_others(name)
        if name in FOREIGN and is_self_closed(tag):
            return
        role = self.role(name, tag, attributes)
        if role == "written":
            self.write(name, attributes)
            self.depth += 1
            self.formatting += name in _FORMATTING
        elif role == "hidden" and len(self.open_tags) < _MOST_OPEN:
            self.hidden += 1
        elif role != "veil":
            return  # its end tag, if any, ends nothing or an outer one of its name
        self.open_tags.append((name, role))
        self.open_count[name] = self.open_count.get(name, 0) + 1

    def void(self, name: str, tag: str) -> None:
        self.end_others(name)
        if self.hidden or self.veil.is_invisible or name not in self.allowed:
            return
        attributes = attributes_of(tag)
        if self.shows_all or not is_hidden(name, attributes):
            self.write(name, attributes)

    def end_others(self, name: str) -> None:
        """End the elements that the start of another one ends."""
        if self.hidden and name in BREAKS_OUT and not self.open_count.get("foreignobject"):
            for foreign in FOREIGN:
                while self.open_count.get(foreign):
                    self.end(foreign)
        for ended in implied_ends(name, self.open_tags, self.open_count):
            self.end(ended)

    def role(self, name: str, tag: str, attributes: dict[str, str]) -> str:
        is_asked = not self.shows_all and self.veil.may_change(name, tag)
        is_dropped = name in _NEVER_TEXT or (
            not self.shows_all and (name in _DROPPED or (is_asked and is_hidden(name, attributes)))
        )
        if self.hidden or is_dropped:
            return "hidden"
        changes = (
            is_asked
            and len(self.open_tags) < _MOST_OPEN
            and self.veil.begin(name, attributes, len(self.open_tags))
        )
        is_many = name in _FORMATTING and self.formatting >= _MOST_FORMATTING
        is_misplaced = (
            bool(self.open_tags) and self.open_tags[-1][0] in _ROWS and name not in _IN_ROWS
        )
        is_written = (
            name in self.allowed and self.depth < MOST_DEPTH and not is_many and not is_misplaced
        )
        if is_written:
            return "written"
        return "veil" if changes else "left out"

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
        self.veil.end(len(self.open_tags))
        if role == "hidden":
            self.hidden -= 1
        elif role == "written":
            self.written.append(f"</{name}>")
            self.depth -= 1
            self.formatting -= name in _FORMATTING
        return name

    def close_all(self) -> None:
        while self.open_tags:
            self.close()
