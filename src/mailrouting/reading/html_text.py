"""Make text of HTML in one linear pass.

What a reader of the mail does not see (style, script, hidden elements) is left out. The result is
for reading and for the reply view; it is not sanitised HTML.
"""

import html
import re
from collections.abc import Callable

import attrs

from mailrouting.reading.html_walk import (
    attribute_of,
    attributes_of,
    is_hidden,
    may_hide,
    walk_html,
)

__all__ = ["html_to_text"]

# White space that is more than a single blank.
_SPACE = re.compile(
    r"(?: (?=[ \t\r\n\f\u200b\ufeff])|[\t\r\n\f\u200b\ufeff])[ \t\r\n\f\u200b\ufeff]*+"
)
_RULE = "-" * 20
_UNDOES_NOTHING = frozenset({"", "paragraph", "block"})
_MOST_OPEN = 2000
_LONGEST_SHOWN = 100
"""Pieces of a link's text in which its target is looked for."""
_DROPPED = frozenset({"script", "style", "head", "title", "noscript", "template", "object", "svg"})
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "table"})
_BLOCK = _PARAGRAPH | frozenset(
    {
        "address", "article", "aside", "body", "center", "dd", "div", "dt", "fieldset", "footer",
        "form", "header", "li", "main", "nav", "section", "tr", "blockquote", "figure",
    }
)  # fmt: skip
_IMPLIED_END = frozenset({"p", "li", "td", "th", "tr", "dt", "dd", "option"})


@attrs.define
class _Page:
    """Collect the lines of the text."""

    lines: list[str] = attrs.Factory(list[str])
    current: list[str] = attrs.Factory(list[str])
    quote_depth: int = 0
    pre_depth: int = 0
    ends_in_space: bool = True

    def text(self, text: str) -> None:
        if self.pre_depth:
            first, *others = text.replace("\r\n", "\n").split("\n")
            self.current.append(first)
            for line in others:
                self.line()
                self.current.append(line)
            return
        text = _SPACE.sub(" ", text)
        if self.ends_in_space:
            text = text.removeprefix(" ")
        if text:
            self.current.append(text)
            self.ends_in_space = text[-1] == " "

    def line(self) -> None:
        """End the line that is being written."""
        self._end_line("".join(self.current))

    def fresh_line(self) -> None:
        """End the line that is being written, if anything stands in it."""
        self.ends_in_space = True
        if not self.current:
            return
        text = "".join(self.current)
        if text.strip():
            self._end_line(text)
        else:
            self.current = []

    def _end_line(self, text: str) -> None:
        text = text.replace("\xa0", " ").rstrip()
        if self.quote_depth:
            text = "> " * min(self.quote_depth, 20) + text
        self.lines.append(text)
        self.current = []
        self.ends_in_space = True

    def paragraph(self) -> None:
        self.fresh_line()
        if self.lines and self.lines[-1].strip("> "):
            self.line()


@attrs.define
class _Scanner:
    page: _Page = attrs.Factory(_Page)
    shows_all: bool = False
    # Name of each open element, and its role: what its end must undo.
    open_tags: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])
    open_count: dict[str, int] = attrs.Factory(dict[str, int])
    hidden: int = 0
    list_counters: list[int] = attrs.Factory(list[int])

    def text(self, source: str) -> None:
        if not self.hidden:
            self.page.text(html.unescape(source) if "&" in source else source)

    def start(self, name: str, tag: str) -> None:
        if name in _IMPLIED_END:
            if self.open_tags and self.open_tags[-1][0] == name:
                self.end(name)
        elif name == "body":
            self.end("head")
        if self.hidden or name in _DROPPED or (tag and not self.shows_all and _hides(tag)):
            role = "hidden"
            self.hidden += 1
        else:
            begin = _BEGIN.get(name)
            role = begin(self, tag) if begin else ""
        if len(self.open_tags) < _MOST_OPEN:
            self.open_tags.append((name, role))
            self.open_count[name] = self.open_count.get(name, 0) + 1
        elif role not in _UNDOES_NOTHING:
            self.leave(role)

    def begin_paragraph(self, _tag: str) -> str:
        self.page.paragraph()
        return "paragraph"

    def begin_block(self, _tag: str) -> str:
        self.page.fresh_line()
        return "block"

    def begin_quote(self, _tag: str) -> str:
        self.page.paragraph()
        self.page.quote_depth += 1
        return "quote"

    def begin_pre(self, _tag: str) -> str:
        self.page.paragraph()
        self.page.pre_depth += 1
        return "pre"

    def begin_link(self, tag: str) -> str:
        target = attribute_of(tag, "href") if tag else ""
        return f"link {len(self.page.lines)} {len(self.page.current)} {target}"

    def begin_list(self, _tag: str) -> str:
        self.around_list()
        self.list_counters.append(-1)
        return "list"

    def begin_numbered(self, _tag: str) -> str:
        self.around_list()
        self.list_counters.append(0)
        return "list"

    def begin_item(self, _tag: str) -> str:
        self.page.fresh_line()
        self.page.current.append(self.bullet())
        return "block"

    def begin_cell(self, _tag: str) -> str:
        if self.page.current:
            self.page.text(" ")
        return ""

    def bullet(self) -> str:
        if not self.list_counters:
            return "* "
        indent = "  " * min(len(self.list_counters) - 1, 10)
        if self.list_counters[-1] >= 0:
            self.list_counters[-1] += 1
            return f"{indent}{self.list_counters[-1]}. "
        return f"{indent}* "

    def around_list(self) -> None:
        """Separate a list from what is around it; a list in a list has no blank line."""
        (self.page.fresh_line if self.list_counters else self.page.paragraph)()

    def void(self, name: str, tag: str) -> None:
        if name == "br":
            self.page.line()
        elif self.hidden:
            return
        elif name == "hr":
            self.page.fresh_line()
            self.page.text(_RULE)
            self.page.line()
        elif name == "img" and (alt := attribute_of(tag, "alt")).strip():
            self.page.text(alt)

    def end(self, name: str) -> None:
        if not self.open_count.get(name):
            # A stray end tag costs nothing; `</p>` alone still is a paragraph.
            if name == "p" and not self.hidden:
                self.page.paragraph()
            return
        found = ""
        while found != name:
            found, role = self.open_tags.pop()
            self.open_count[found] -= 1
            if role:
                self.leave(role)

    def leave(self, role: str) -> None:
        """Undo what the beginning of an element did."""
        page = self.page
        if role == "paragraph":
            page.paragraph()
        elif role == "block":
            page.fresh_line()
        elif role == "hidden":
            self.hidden -= 1
        elif role == "quote":
            page.fresh_line()
            page.quote_depth -= 1
            page.paragraph()
        elif role == "pre":
            page.pre_depth -= 1
            page.paragraph()
        elif role == "list":
            self.list_counters.pop()
            self.around_list()
        else:
            self.link(role)

    def link(self, role: str) -> None:
        """Add the target behind a link whose text does not show it."""
        _, lines, pieces, target = role.split(" ", 3)
        page = self.page
        if not target.lower().startswith(("http://", "https://")) or len(target) > 2000:  # noqa: PLR2004
            return
        # Bounded: many links may be open around one long line.
        shown = "".join(page.current[int(pieces) :][:_LONGEST_SHOWN])
        shown = shown if int(lines) == len(page.lines) else "x"
        bare = target.partition("://")[2].rstrip("/")
        if shown.strip() and bare not in shown:
            page.text(f" ({target})")


# What the beginning of an element does; it returns the role. Others change nothing by themselves.
_BEGIN: dict[str, Callable[[_Scanner, str], str]] = {
    **dict.fromkeys(_BLOCK, _Scanner.begin_block),
    **dict.fromkeys(_PARAGRAPH, _Scanner.begin_paragraph),
    "blockquote": _Scanner.begin_quote,
    "pre": _Scanner.begin_pre,
    "a": _Scanner.begin_link,
    "ul": _Scanner.begin_list,
    "ol": _Scanner.begin_numbered,
    "li": _Scanner.begin_item,
    "td": _Scanner.begin_cell,
    "th": _Scanner.begin_cell,
}


def _hides(tag: str) -> bool:
    return may_hide(tag) and is_hidden(attributes_of(tag))


def html_to_text(source: str) -> str:
    r"""Return the text that a reader of the page sees.

    Quotes are marked with `> `, list items with `* ` or their number, a link's target follows in
    parentheses unless its text shows it.

    >>> html_to_text("<p>Dear all,<div>see <b>this</b><style>p {}</style></div>")
    'Dear all,\nsee this'
    """
    scanner = _Scanner()
    walk_html(source, scanner)
    if scanner.hidden:
        # A hidden element that nobody closed would hide the rest of the mail: show it all.
        scanner = _Scanner(shows_all=True)
        walk_html(source, scanner)
    scanner.page.fresh_line()
    return _collapsed(scanner.page.lines)


def _collapsed(lines: list[str]) -> str:
    """Join the lines; at most one blank line in a row, none at the ends."""
    kept: list[str] = []
    for line in lines:
        is_blank = not line.strip("> ")
        if is_blank and (not kept or not kept[-1].strip("> ")):
            continue
        kept.append(line.rstrip())
    while kept and not kept[-1].strip("> "):
        kept.pop()
    return "\n".join(kept)
