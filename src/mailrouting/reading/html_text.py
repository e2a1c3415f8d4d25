"""Make text of HTML: one pass by `str.find`, linear whatever stands in it.

`html.parser` of the stdlib is quadratic on hostile input, so it is not used. What a reader of the
mail does not see (style, script, hidden elements) is left out. The result is for reading and for
the reply view; it is not sanitised HTML.
"""

import html
import re

import attrs

__all__ = ["html_to_text"]

_MARKUP = re.compile(r"<(?:/?[A-Za-z]|[!?])")
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9:]{0,40})")
_SPACE = re.compile(r"[ \t\r\n\f\u200b\ufeff]+")
_LONGEST_TAG = 65536
_MOST_OPEN = 2000
_DROPPED = frozenset({"script", "style", "head", "title", "noscript", "template", "object", "svg"})
_RAW = frozenset({"script", "style", "title", "textarea", "xmp"})
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "table"})
_BLOCK = _PARAGRAPH | frozenset(
    {
        "address", "article", "aside", "body", "center", "dd", "div", "dt", "fieldset", "footer",
        "form", "header", "li", "main", "nav", "section", "tr", "blockquote", "figure",
    }
)  # fmt: skip
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "wbr"})
_IMPLIED_END = frozenset({"p", "li", "td", "th", "tr", "dt", "dd", "option"})
_HIDDEN = re.compile(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|mso-hide\s{0,9}:\s{0,9}all",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(
    r"([A-Za-z][A-Za-z-]{0,40})(?:\s{0,9}=\s{0,9}(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?"
)


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

    def start(self, name: str, tag: str) -> None:
        page = self.page
        if name == "br":
            page.line()
            return
        attributes = _attributes(tag) if " " in tag or "\n" in tag or "\t" in tag else {}
        if name in _VOID:
            if not self.hidden:
                self.void(name, attributes)
            return
        if name in _IMPLIED_END and self.open_tags and self.open_tags[-1][0] == name:
            self.end(name)
        if name == "body":
            self.end("head")
        role = ""
        if (
            self.hidden
            or name in _DROPPED
            or (not self.shows_all and attributes and _is_hidden(attributes))
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

    def void(self, name: str, attributes: dict[str, str]) -> None:
        if name == "hr":
            self.page.fresh_line()
            self.page.text("-" * 20)
            self.page.line()
        elif name == "img" and attributes.get("alt", "").strip():
            self.page.text(attributes["alt"])

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
    scanner = _scanned(source, shows_all=False)
    if scanner.hidden:
        # A hidden element that nobody closed would hide the rest of the mail: show it all.
        scanner = _scanned(source, shows_all=True)
    return _collapsed(scanner.page.lines)


def _scanned(source: str, *, shows_all: bool) -> _Scanner:
    scanner = _Scanner(shows_all=shows_all)
    position = 0
    no_more: set[str] = set()
    while position < len(source):
        found = _MARKUP.search(source, position)
        opening = found.start() if found else len(source)
        if opening > position and not scanner.hidden:
            scanner.page.text(html.unescape(source[position:opening]))
        if opening == len(source):
            break
        position = _markup(source, opening, scanner, no_more)
    scanner.page.fresh_line()
    return scanner


def _markup(source: str, opening: int, scanner: _Scanner, no_more: set[str]) -> int:
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
        scanner.end(name)
    else:
        scanner.start(name, tag)
        if name in _RAW and "</" + name not in no_more:
            closing = _find_close(source, end, name)
            if closing < 0:
                no_more.add("</" + name)
            else:
                return closing
    return min(end + 1, len(source))


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


def _attributes(tag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(tag[:8192]):
        value = match[2] or match[3] or match[4] or ""
        found.setdefault(match[1].lower(), html.unescape(value) if "&" in value else value)
        if len(found) > 50:  # noqa: PLR2004
            break
    return found


def _is_hidden(attributes: dict[str, str]) -> bool:
    style = attributes.get("style", "")
    return "hidden" in attributes or (bool(style) and _HIDDEN.search(style[:2000]) is not None)


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
