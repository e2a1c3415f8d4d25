"""Make text of HTML in one linear pass.

What a reader of the mail does not see (style, script, hidden elements) is left out. The result is
for reading and for the reply view; it is not sanitised HTML.
"""

import html
import re
from collections.abc import Callable

import attrs

from mailrouting.reading.html_hidden import Veil, is_hidden, may_hide
from mailrouting.reading.html_lines import MOST_TEXT, Page
from mailrouting.reading.html_rules import BREAKS_OUT, FOREIGN, implied_ends, is_self_closed
from mailrouting.reading.html_walk import attribute_of, attributes_of, walk_html

__all__ = ["PageText", "html_to_text", "text_of_page"]

_RULE = "-" * 20
_UNDOES_NOTHING = frozenset({"", "paragraph", "block"})
_MOST_OPEN = 2000
_MOST_SHOWN = 100  # pieces of a link's text in which its target is looked for
_LONGEST_TARGET = 2000
# The content of a `noscript` is shown: no mail program runs scripts. What is not shown of a `head`
# are its own elements: any other ends it, even where nothing else says so (§13.2.6.4.4).
_DROPPED = frozenset({
    "iframe", "noembed", "noframes", "object", "script", "style", "svg", "template", "title",
})  # fmt: skip
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "table"})
_BLOCK = _PARAGRAPH | frozenset(
    {
        "address", "article", "aside", "body", "center", "dd", "div", "dt", "fieldset", "footer",
        "form", "header", "li", "main", "nav", "section", "tr", "blockquote", "figure",
    }
)  # fmt: skip
# What browsers write where people indent a paragraph: they quote nobody.
_INDENTS = re.compile(
    r"style\s?=\s?[\"']margin: ?0(?:px)? 0(?:px)? 0(?:px)? 40px; ?border: ?(?:none|0)",
    re.IGNORECASE,
)
_ODD = FOREIGN | {"head"}
_IMPLIED_END = frozenset({"p", "li", "td", "th", "tr", "dt", "dd", "option"})


@attrs.frozen
class PageText:
    """Hold the text of a page, at most how much memory it takes, and whether it is all of it."""

    text: str
    size: int
    is_whole: bool


@attrs.frozen
class _Link:
    """Hold a link that is open: its target, and where in the line its text begins."""

    target: str
    mark: int
    pieces: int


@attrs.define
class _Scanner:
    page: Page = attrs.Factory(Page)
    shows_all: bool = False
    # Name of each open element, and its role: what its end must undo.
    open_tags: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])
    open_count: dict[str, int] = attrs.Factory(dict[str, int])
    hidden: int = 0
    veil: Veil = attrs.Factory(Veil)
    is_veiled: bool = False
    list_counters: list[int] = attrs.Factory(list[int])
    links: list[_Link] = attrs.Factory(list[_Link])

    def text(self, source: str) -> None:
        if not self.hidden and not self.is_veiled:
            self.page.text(html.unescape(source) if "&" in source else source)

    def start(self, name: str, tag: str) -> None:
        open_tags, around = self.open_tags, self.veil.around
        if name in _IMPLIED_END and open_tags and open_tags[-1][0] == name:
            self.end(name)
        if self.hidden or around:
            self.end_hidden(name)
        if name in _ODD and (name == "head" or is_self_closed(tag)):
            return
        may_hide_it = (tag or around) and not self.shows_all
        if self.hidden or name in _DROPPED or (may_hide_it and self.hides(name, tag)):
            role = "hidden"
            self.hidden += 1
        else:
            begin = _BEGIN.get(name)
            role = begin(self, tag) if begin else ""
        if len(open_tags) < _MOST_OPEN:
            open_tags.append((name, role))
            self.open_count[name] = self.open_count.get(name, 0) + 1
        elif role not in _UNDOES_NOTHING:
            self.leave(role)

    def end_hidden(self, name: str) -> None:
        """End what the start of an element ends: what it hid is shown again."""
        if name in BREAKS_OUT and not self.open_count.get("foreignobject"):
            while self.open_count.get("svg"):
                self.end("svg")
        for ended in implied_ends(name, self.open_tags, self.open_count):
            self.end(ended)

    def hides(self, name: str, tag: str) -> bool:
        """Tell whether an element hides all that is in it; take note if it hides its own text."""
        if not self.veil.may_change(name, tag):
            return False
        attributes = attributes_of(tag)
        if is_hidden(name, attributes):
            return True
        if len(self.open_tags) < _MOST_OPEN:
            self.veil.begin(name, attributes, len(self.open_tags))
            self.is_veiled = self.veil.is_veiled
        return False

    def begin_paragraph(self, _tag: str) -> str:
        self.page.paragraph()
        return "paragraph"

    def begin_block(self, _tag: str) -> str:
        self.page.fresh_line()
        return "block"

    def begin_quote(self, tag: str) -> str:
        self.page.paragraph()
        if _INDENTS.search(tag) and "cite" not in tag.lower():
            return "paragraph"
        self.page.quote_depth += 1
        return "quote"

    def begin_pre(self, _tag: str) -> str:
        self.page.paragraph()
        self.page.pre_depth += 1
        return "pre"

    def begin_link(self, tag: str) -> str:
        target = attribute_of(tag, "href") if tag else ""
        self.links.append(_Link(target, self.page.mark, len(self.page.current)))
        return "link"

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
        if not self.is_veiled:
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
        if self.hidden or self.veil.around:
            self.end_hidden(name)
        if name == "br":
            self.page.line()
        elif self.hidden or self.veil.is_invisible:
            return
        elif name == "hr":
            self.page.fresh_line()
            self.page.text(_RULE)
            self.page.line()
        elif name == "img" and (alt := attribute_of(tag, "alt")).strip() and not _hides(tag):
            self.page.text(alt)

    def end(self, name: str) -> None:
        if not self.open_count.get(name):
            # A stray end tag costs nothing; `</p>` alone still is a paragraph, `</br>` a line end.
            if name == "p" and not self.hidden:
                self.page.paragraph()
            elif name == "br":
                self.page.line()
            return
        open_tags, around = self.open_tags, self.veil.around
        found = ""
        while found != name:
            found, role = open_tags.pop()
            self.open_count[found] -= 1
            if around:
                self.veil.end(len(open_tags))
                self.is_veiled = self.veil.is_veiled
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
            self.end_link(self.links.pop())

    def end_link(self, link: _Link) -> None:
        """Add the target behind a link whose text does not show it."""
        page, target = self.page, link.target
        if not target.lower().startswith(("http://", "https://")) or len(target) > _LONGEST_TARGET:
            return
        # Bounded: many links may be open around one long line.
        shown = "".join(page.current[link.pieces :][:_MOST_SHOWN])
        shown = shown if link.mark == page.mark else "x"
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
    return may_hide(tag) and is_hidden("img", attributes_of(tag))


def html_to_text(source: str) -> str:
    r"""Return the text that a reader of the page sees.

    Quotes are marked with `> `, at most ten deep; list items with `* ` or their number; a link's
    target follows in parentheses unless its text shows it. Scripts, styles and what an element hides
    by its own attributes are left out. A text of more than 12 MiB in memory is cut.

    >>> html_to_text("<p>Dear all,<div>see <b>this</b><style>p {}</style></div>")
    'Dear all,\nsee this'
    """
    return text_of_page(source).text


def text_of_page(source: str, *, most: int = MOST_TEXT) -> PageText:
    """Return the text that a reader of the page sees, within `most` bytes of memory."""
    scanner = _Scanner(Page(most))
    walk_html(source, scanner)
    if scanner.hidden or scanner.is_veiled:
        # A hidden element that nobody closed would hide the rest of the mail: show it all.
        scanner = _Scanner(Page(most), shows_all=True)
        walk_html(source, scanner)
    text = scanner.page.joined()
    return PageText(text, scanner.page.size, is_whole=not scanner.page.is_cut)
