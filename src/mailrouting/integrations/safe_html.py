"""Make the HTML of a mail safe to show, through the extra `html` (nh3).

An allow-list of elements and attributes; nothing that loads, runs or submits. Show the result in
a sandboxed frame all the same: two walls are better than one.
"""

import re
from collections.abc import Callable

from mailrouting.errors import ConfigurationError
from mailrouting.reading.html_balance import balanced_html

__all__ = ["LONGEST_HTML", "sanitise_html"]

LONGEST_HTML = 2_000_000

_EVERYWHERE = frozenset({"align", "bgcolor", "dir", "lang", "style", "title", "valign"})
_OWN = {
    "a": {"href"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "font": {"color", "face", "size"},
    "hr": {"size", "width"},
    "img": {"alt", "height", "src", "width"},
    "li": {"value"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing", "height", "width"},
    "td": {"colspan", "height", "rowspan", "width"},
    "th": {"colspan", "height", "rowspan", "scope", "width"},
    "ul": {"type"},
}
_ELEMENTS = (
    "a abbr address b big blockquote br caption center cite code col colgroup dd del div dl dt em font"
    " h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre q s samp small span strike strong sub sup table"
    " tbody td tfoot th thead tr tt u ul var wbr"
)
_ALLOWED = {name: _EVERYWHERE | _OWN.get(name, set()) for name in _ELEMENTS.split()}
_SCHEMES = {"cid", "http", "https", "mailto", "tel"}
_STYLES = {
    "background-color", "border", "border-collapse", "color", "direction", "font-family", "font-size",
    "font-style", "font-weight", "line-height", "margin", "padding", "text-align", "text-decoration",
    "vertical-align", "white-space", "width",
}  # fmt: skip
# What could load or hide something inside a value: functions, escapes, at-rules, comments.
_RISKY_STYLE = re.compile(r"[\\@(]|/\*|[\x00-\x1f]")


def sanitise_html(source: str, *, cid_url: Callable[[str], str | None] | None = None) -> str:
    """Return HTML that is safe to show: no script, form, frame, no style sheet, no remote load.

    Images are kept when they come with the mail (`cid:`); of any other the `alt` text is left.
    Links to http, https, mailto and tel are kept, with `rel="noopener noreferrer nofollow"`.
    Hidden elements are dropped, so that what is shown is what the text says. Nesting deeper than
    256 is flattened before the sanitiser sees it. Never slow: linear in the source.

    >>> sanitise_html('<p onclick="x()">Hello <img src="https://t.example/1.gif" alt="you"></p>')
    '<p>Hello <img alt="you"></p>'

    Args:
        source: The HTML as `Message.html` has it; what is behind 2,000,000 characters is left out.
        cid_url: Gives the address at which the host serves an inline image, from its Content-ID
            without `<>`; None drops the image's source. Without it `cid:` stays.

    Raises:
        ConfigurationError: The extra `html` is not installed.
    """
    try:
        import nh3  # noqa: PLC0415 - an extra is imported where it is used
    except ImportError as error:
        raise ConfigurationError(
            "Sanitised HTML needs the library nh3", hint="Install mailrouting[html]."
        ) from error

    def kept(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "src":
            return _image_source(value, cid_url)
        if attribute == "style":
            return None if _RISKY_STYLE.search(value) else value
        is_cid_link = tag == "a" and value.strip()[:4].lower() == "cid:"
        return None if is_cid_link else value

    return nh3.clean(
        balanced_html(source[:LONGEST_HTML], _ALLOWED),
        tags=set(_ALLOWED),
        attributes={name: set(attributes) for name, attributes in _ALLOWED.items()},
        attribute_filter=kept,
        url_schemes=_SCHEMES,
        filter_style_properties=_STYLES,
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


def _image_source(value: str, cid_url: Callable[[str], str | None] | None) -> str | None:
    """Return the source of an image that comes with the mail; None for any other."""
    scheme, _, cid = value.strip().partition(":")
    if scheme.lower() != "cid" or not cid:
        return None
    return cid_url(cid) if cid_url else f"cid:{cid}"
