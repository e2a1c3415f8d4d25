"""Text from HTML says what a person saw: all of that, and nothing else (WHATWG HTML is the measure)."""

import pytest

from mailrouting.integrations.safe_html import sanitise_html
from mailrouting.reading import html_to_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<head><p>yes", "yes"),
        ("<head><title>no</title><meta x>yes", "yes"),
        ("<html><head></head><body>yes", "yes"),
        ("<svg/>yes", "yes"),
        ("<svg width=1 />yes", "yes"),
        ("<svg><path d=M0></svg>yes", "yes"),
        ("<svg><p>yes", "yes"),
        ("<svg><a x=b/>no</svg>yes", "yes"),
        ("<svg x=b/>no</svg>yes", "yes"),
        ("<noscript>yes</noscript>", "yes"),
        ("<iframe><p>no</p></iframe>yes", "yes"),
        ("<noframes>no</noframes>yes", "yes"),
        ("<!-->yes", "yes"),
        ("<!--->yes", "yes"),
        ("<!-- no --!>yes", "yes"),
        ("<!-- no ->no -->yes", "yes"),
        ("<!--[if mso]>no<![endif]--><!--[if !mso]><!-->yes<!--<![endif]-->", "yes"),
        ("yes</br>yes", "yes\nyes"),
        ("<style-x>yes</style-x>", "yes"),
    ],
)
def test_markup_is_read_as_browsers_read_it(source, text):
    """What ends an element or a comment ends it here too."""
    assert html_to_text(source) == text


@pytest.mark.parametrize(
    "tag",
    [
        "<p title='5\" x'>",
        "<p title='5\" x' id='a\"b'>",
        '<p title="it\'s > that">',
        "<p title='a > b'>",
        "<p title=don't>",
        '<p ">',
        "<p title = 'a > b' >",
        '<p x="a"y="b>c">',
        '<p x=a"b>',
        "<p title=''>",
        '<p x="' + "a" * 3000 + '>">',
        "<p" + " x='>'" * 30 + ">",
    ],
)
def test_quote_means_something_only_where_a_value_begins(tag):
    """No quote elsewhere swallows the text behind the tag, and a value may hold anything."""
    assert html_to_text(f'{tag}yes</p><b title="q">too</b>') == "yes\n\ntoo"


def test_reference_in_a_link_is_decoded_as_browsers_do():
    """`&copy` without a semicolon is part of an address; `&amp;` is an ampersand."""
    source = '<a href="https://x.org/?a=1&copy=2&amp;b=3&#38;reg4&lt">go</a>'
    assert html_to_text(source) == "go (https://x.org/?a=1&copy=2&b=3&reg4<)"


SHOWN = [
    '<p style="display:none;display:block">yes</p>',
    '<p hidden style="display:block">yes</p>',
    '<p style="display:none!ie">yes</p>',
    '<p style="/* display:none */color:red">yes</p>',
    "<p style=\"font-family:'display:none'\">yes</p>",
    "<p data_hidden>yes</p>",
    "<p o:hidden=1>yes</p>",
    "<p data-hidden=1 title=hidden>yes</p>",
    "<p style=display:none>no<div>yes</div>",
    "<p style=display:none>no<b>no<section>yes</section>",
    "<dl><dd hidden>no<dd>yes</dl>",
    "<table><tr hidden><td>no<tr><td>yes</table>",
    "<table><tr><td style='display:none'><i>no<td>yes</table>",
    "<a style='mso-hide:all'>yes</a>",
    "<p style='opacity:0.5'>yes</p>",
    "<p style='font-size:0.9em'>yes</p>",
    "<div style='font-size:0'><span style='font-size:14px'>yes</span></div>",
    "<div style='font-size:0'><table><tr><td>yes</table></div>",
    "<div style='font-size:0px'><p style='font:12px serif'>yes</p></div>",
    "<div style='font-size:0'><font size=2>yes</font></div>",
    "<div style='font-size:0'>no<p style='font-size:1em'>no<i style='font-size:small'>yes</i></p>no</div>",
    "<p style='font-size:0'>no<div>yes</div>",
    "<div style='visibility:hidden'>no<b style='visibility:visible'>yes</b>no</div>",
    "<span style='max-height:0;overflow:hidden'>yes</span>",
    "<table><tr><td style='height:0;overflow:hidden'>yes</table>",
    "<div style='height:0;padding-bottom:56%;overflow:hidden'>yes</div>",
    "<div style='max-height:0'>yes</div>",
]
HIDDEN = [
    "<p style='display:none!important;display:block'>no</p>yes",
    "<p style='display:block;DISPLAY : NONE'>no</p>yes",
    "<p style='display:/**/none'>no</p>yes",
    "<p style='display:non&#101;'>no</p>yes",
    "<p hidden=''>no<b>no</b></p>yes",
    "<p style='display:none'><b style='display:block'>no</b></p>yes",
    "<p style='opacity:0'>no</p>yes",
    "<p style='opacity: 0.0'><b style='opacity:1'>no</b></p>yes",
    "<p style='font-size:0'>no</p>yes",
    "<p style='font-size: 0.0px'>no<b style='font-size:2em'>no</b></p>yes",
    "<p style='font-size:.0em'>no<b style='font-size:150%'>no</b></p>yes",
    "<p style='visibility:hidden'>no<b>no</b></p>yes",
    "<div style='max-height:0px;overflow:hidden'>no<b>no</b></div>yes",
    "<div style='height:0;padding:0 0px;overflow:hidden'>no</div>yes",
    "<span style='display:block;max-height:0;overflow:hidden'>no</span>yes",
    "<div style='display:none'><p>no<section>no</section></div>yes",
    "<img hidden alt=no>yes",
    "<ul style='font-size:0'><li>no</ul>yes",
]


@pytest.mark.parametrize("source", SHOWN)
def test_text_that_people_saw_is_there(source):
    """Half an evidence hides nothing, and what an inner element shows again is shown."""
    assert html_to_text(source) == "yes"


@pytest.mark.parametrize("source", HIDDEN)
def test_text_that_nobody_saw_is_left_out(source):
    """Whatever way it is hidden in the element itself, what it holds is not text."""
    assert html_to_text(source) == "yes"


@pytest.mark.parametrize("source", [*SHOWN, *HIDDEN])
def test_sanitised_html_hides_the_same(source):
    """What the host shows as HTML says what the text says."""
    safe = sanitise_html(source)
    assert "yes" in safe
    assert "no" not in html_to_text(safe)


@pytest.mark.parametrize("style", ["font-size:0", "visibility:hidden", "display:none"])
def test_hidden_element_that_nobody_closed_hides_nothing(style):
    """It would hide the rest of the mail; that much is never dropped."""
    assert html_to_text(f"<div style='{style}'><p>all that there is") == "all that there is"
    assert "all that there is" in sanitise_html(f"<div style='{style}'><p>all that there is")


def test_picture_is_seen_where_letters_have_no_size():
    """A font without size takes the letters away, not the picture; one that is invisible is gone."""
    assert html_to_text("<div style='font-size:0'>no<img alt=logo></div>") == "logo"
    assert html_to_text("<div style='visibility:hidden'><img alt=no></div>yes") == "yes"


def test_quote_marks_have_a_deepest_level():
    """Behind ten levels a quote is not marked deeper."""
    assert html_to_text("<blockquote>" * 30 + "deep") == "> " * 10 + "deep"


@pytest.mark.parametrize("length", [300, 5000, 70_000, 200_000])
def test_long_text_is_whole(length):
    """Texts, lines and links come out as they are, however many pieces they are made in."""
    words = "word &amp; " * (length // 10)
    assert html_to_text(words) == ("word & " * (length // 10)).rstrip()
    rows = "<p>a<br>b</p>" * (length // 10)
    assert html_to_text(rows) == "\n\n".join(["a\nb"] * (length // 10))
    pieces = '<a href="http://x.org/">' + "<b>ab</b>" * (length // 10) + "</a>"
    assert html_to_text(pieces) == "ab" * (length // 10) + " (http://x.org/)"


@pytest.mark.parametrize(
    ("attributes", "is_quote"),
    [
        ('style="margin: 0px 0px 0px 40px; border: none; padding: 0px;"', False),
        ("class=webkit style='margin:0 0 0 40px;border:none'", False),
        ('type="cite" style="margin: 0 0 0 40px; border: none"', True),
        ('style="margin:0 0 0 .8ex;border-left:1px #ccc solid"', True),
    ],
)
def test_paragraph_that_a_browser_indents_is_no_quote(attributes, is_quote):
    """Browsers indent by a `blockquote`: the words in it are the sender's own."""
    page = f"<p>The list</p><blockquote {attributes}><p>one</p></blockquote><p>end</p>"
    text = html_to_text(page)
    assert "one" in text
    assert ("> one" in text) is is_quote
