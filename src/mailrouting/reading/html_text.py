"""Make text of HTML in one linear pass.

What a reader of the mail does not see (style, script, hidden elements) is left out. The result is
for reading and for the reply view; it is not sanitised HTML.
"""

import html
import re

import attrs

from mailrouting.reading.html_walk import attributes_of, is_hidden, walk_html

__all__ = ["html_to_text"]

_SPACE = re.compile(r"[ \t\r\n\f\u200b\ufeff]+")
_MOST_OPEN = 2000
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
            self.ends_in_space = text.endswith(" ")

    def line(self) -> None:
        """End the line that is being written."""
        text = "".join(self.current).replace("\xa0", " ").rstrip()
        self.lines.append("> " * min(self.quote_depth, 20) + text)
        self.current = []
        self.ends_in_space = True

    def fresh_line(self) -> None:
        if self.current and "".join(self.current).strip():
            self.line()
        else:
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
    open_tags: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])
    open_count: dict[str, int] = attrs.Factory(dict[str, int])
    hidden: int = 0
    list_counters: list[int] = attrs.Factory(list[int])

    def text(self, source: str) -> None:
        if not self.hidden:
            self.page.text(html.unescape(source))

    def start(self, name: str, tag: str) -> None:
        page = self.page
        attributes = attributes_of(tag) if " " in tag or "\n" in tag or "\t" in tag else {}
        if name in _IMPLIED_END and self.open_tags and self.open_tags[-1][0] == name:
            self.end(name)
        if name == "body":
            self.end("head")
        role = ""
        if (
            self.hidden
            or name in _DROPPED
            or (not self.shows_all and attributes and is_hidden(attributes))
        ):
            role = "hidden"
            self.hidden += 1
        elif name == "blockquote":
            role = "quote"
            page.paragraph()
            page.quote_depth += 1
        elif name == "pre":
            role = "pre"
            page.paragraph()
            page.pre_depth += 1
        elif name == "a":
            role = attributes.get("href", "")
            role = f"link {len(page.lines)} {len(page.current)} {role}"
        elif name in ("ul", "ol"):
            (page.fresh_line if self.list_counters else page.paragraph)()
            role = "list"
            self.list_counters.append(0 if name == "ol" else -1)
        elif name == "li":
            page.fresh_line()
            page.current.append(self.bullet())
        elif name in ("td", "th"):
            if page.current:
                page.text(" ")
        elif name in _PARAGRAPH:
            page.paragraph()
        elif name in _BLOCK:
            page.fresh_line()
        if len(self.open_tags) < _MOST_OPEN:
            self.open_tags.append((name, role))
            self.open_count[name] = self.open_count.get(name, 0) + 1
        elif role:
            self.leave(name, role)

    def bullet(self) -> str:
        indent = "  " * min(max(len(self.list_counters) - 1, 0), 10)
        if self.list_counters and self.list_counters[-1] >= 0:
            self.list_counters[-1] += 1
            return f"{indent}{self.list_counters[-1]}. "
        return f"{indent}* "

    def void(self, name: str, tag: str) -> None:
        if name == "br":
            self.page.line()
        elif self.hidden:
            return
        elif name == "hr":
            self.page.fresh_line()
            self.page.text("-" * 20)
            self.page.line()
        elif name == "img" and (alt := attributes_of(tag).get("alt", "")).strip():
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
            self.leave(found, role)

    def leave(self, name: str, role: str) -> None:
        page = self.page
        if role == "hidden":
            self.hidden -= 1
            return
        if role == "quote":
            page.fresh_line()
            page.quote_depth -= 1
            page.paragraph()
        elif role == "pre":
            page.pre_depth -= 1
            page.paragraph()
        elif role == "list":
            self.list_counters.pop()
            (page.fresh_line if self.list_counters else page.paragraph)()
        elif role.startswith("link "):
            self.link(role)
        elif name in _PARAGRAPH:
            page.paragraph()
        elif name in _BLOCK:
            page.fresh_line()

    def link(self, role: str) -> None:
        """Add the target behind a link whose text does not show it."""
        _, lines, pieces, target = role.split(" ", 3)
        page = self.page
        if not target.lower().startswith(("http://", "https://")) or len(target) > 2000:  # noqa: PLR2004
            return
        shown = "".join(page.current[int(pieces) :]) if int(lines) == len(page.lines) else "x"
        bare = target.partition("://")[2].rstrip("/")
        if shown.strip() and bare not in shown:
            page.text(f" ({target})")


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
