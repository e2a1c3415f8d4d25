"""HTML of a mail, made safe to show."""

import re
import sys
import time

import pytest
from hypothesis import given, strategies as st

from mailrouting.errors import ConfigurationError
from mailrouting.integrations.safe_html import LONGEST_HTML, sanitise_html
from mailrouting.reading.html_balance import MOST_DEPTH, balanced_html


@pytest.mark.parametrize(
    ("source", "safe"),
    [
        ("<p onclick=x()>Hi <b>you</b></p>", "<p>Hi <b>you</b></p>"),
        ("<script>x()</script>a<style>p{}</style>", "a"),
        ("a<script>x()", "a"),
        ('<a href="javascript:x()">l</a>', '<a rel="noopener noreferrer nofollow">l</a>'),
        ('<a href=" java&#10;script:x()">l</a>', '<a rel="noopener noreferrer nofollow">l</a>'),
        ('<a href="data:text/html,x">l</a>', '<a rel="noopener noreferrer nofollow">l</a>'),
        (
            '<a href="https://x.org/?a=1&amp;b=2" target=_top id=x class=y>l</a>',
            '<a href="https://x.org/?a=1&amp;b=2" rel="noopener noreferrer nofollow">l</a>',
        ),
        ('<a href="cid:x">l</a>', '<a rel="noopener noreferrer nofollow">l</a>'),
        ('<img src="https://t.example/pixel.gif" alt="you" onerror=x>', '<img alt="you">'),
        ('<img src="//t.example/pixel.gif">', "<img>"),
        ('<img src="data:image/png;base64,AA==">', "<img>"),
        ('<img src="CID:a@b" width=3>', '<img src="cid:a@b" width="3">'),
        ('<img src="cid:">', "<img>"),
        ('<img srcset="https://t.example/1 1x" src="cid:a">', '<img src="cid:a">'),
        ('<table background="https://t.example/x"><tr><td>1</table>', "<table><tbody><tr><td>1</td></tr></tbody></table>"),
        ('<p style="color:red;position:fixed">a</p>', '<p style="color:red">a</p>'),
        ('<p style="background:url(https://t.example/x)">a</p>', "<p>a</p>"),
        ('<p style="color:re\\64">a</p>', "<p>a</p>"),
        ("<form action=x><input name=p><button>go</button></form>", "go"),
        ("<iframe src=x>in</iframe><object>o</object><embed src=x>a", "a"),
        ("<svg><a xlink:href=x>s</a></svg><math><mi>m</mi></math>a", "a"),
        ('<meta http-equiv=refresh content="0;url=x"><base href=x><link rel=stylesheet href=x>a', "a"),
        ("<p>seen</p><div style='display:none'>not <b>seen</b></div>", "<p>seen</p>"),
        ("<div style='display:none'>all that there is", '<div style="">all that there is</div>'),
        ("<select><option>all that there is", "all that there is"),
        ("<!-- c --><![CDATA[x]]>a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        ("<head><title>t</title></head><body bgcolor=red>a</body>", "a"),
        ("<o:p>office</o:p><unknown>u", "officeu"),
        ("<p>a<p>b<ul><li>1<li>2</ul>c", "<p>a</p><p>b</p><ul><li>1</li><li>2</li></ul>c"),
        ("<b><i>a</b>b</i>", "<b><i>a</i></b>b"),
        ("", ""),
        ("1 < 2 && 3 > 2", "1 &lt; 2 &amp;&amp; 3 &gt; 2"),
    ],
)  # fmt: skip
def test_only_what_is_harmless_is_left(source, safe):
    """No script, form, frame, style sheet or remote load; what people read stays (T45)."""
    assert sanitise_html(source) == safe


def test_inline_image_gets_the_hosts_address():
    """The host maps a Content-ID to where it serves the image, or drops the source."""
    source = '<img src="cid:a@b"><img src="cid:other">'
    served = sanitise_html(source, cid_url=lambda cid: "/files/7" if cid == "a@b" else None)
    assert served == '<img src="/files/7"><img>'


def test_missing_extra_is_a_clear_error(monkeypatch):
    """Without nh3 the error says what to install."""
    monkeypatch.setitem(sys.modules, "nh3", None)
    with pytest.raises(ConfigurationError) as caught:
        sanitise_html("<p>a")
    assert "mailrouting[html]" in caught.value.hint


def test_deep_nesting_is_flattened():
    """What stands too deep stays as text; the sanitiser never sees the depth."""
    balanced = balanced_html("<div>" * 1000 + "deep" + "</div>" * 1000, {"div": frozenset()})
    assert balanced == "<div>" * MOST_DEPTH + "deep" + "</div>" * MOST_DEPTH


def test_source_is_cut_at_its_limit():
    """Of a source beyond the limit the beginning is shown."""
    assert len(sanitise_html("a" * (LONGEST_HTML + 10))) == LONGEST_HTML


_TITLED = "".join(f"<b title={i}>" for i in range(250))


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 40_000,
        "<table>" * 30_000,
        "<table><tr><td>" * 14_000,
        "<" * 200_000,
        "<p " + "a=1 " * 50_000,
        "<!--" * 50_000,
        "<a href=x>" * 20_000,
        "<p><b><i><u><s><em><tt>" * 9_000,
        "<p>" + _TITLED + "</p>" + "<p>x</p>" * 25_000,
        "<p>" + _TITLED + "<div>x</div>" * 17_000,
        "<ul><li>" + _TITLED + "<li>x</li>" * 20_000,
        "<dl><dt>" + _TITLED + "<dd>x</dd>" * 20_000,
        "<table><tr>" + _TITLED + "<td>x</td>y" * 18_000,
        "<div hidden>" * 17_000,
    ],
)
def test_hostile_html_is_linear(source):
    """Nesting, open formatting and broken tags cost no more than their bytes (T45)."""
    begun = time.thread_time()
    safe = sanitise_html(source)
    assert time.thread_time() - begun < 5
    assert len(safe) < 6 * len(source) + 1000


_PIECES = st.sampled_from(
    ["<p>", "</p>", "<b>", "</b>", "<table>", "<td>", "</table>", "<script>", "</script>", "<svg>", "<style>",
     '<img src="https://t.example/x">', "<img src=cid:a>", "<a href='javascript:x'>", "<!--", "-->", "text",
     "<li onclick=x>", "<div style=display:none>", "</div>", "<math>", "<![CDATA[", "]]>", "&lt;script&gt;", '"', "'", ">", "<",
     "<textarea>", "</textarea>", "<title>", "<noscript>", "\0", "<form>", "<a title='<img src=x onerror=y>'>"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_nothing_dangerous_survives(source):
    """Whatever is put together, no tag in the result can load, run or submit anything."""
    safe = sanitise_html(source)
    for tag in re.findall(r"<[^>]*>", safe):
        assert not re.match(r"<(?:script|style|svg|math|form|title|textarea|noscript)", tag)
        assert not re.search(r"""javascript:|src="(?!cid:)""", tag)
        names = re.sub(r'"[^"]*"', "", tag)  # what stands in a value is text
        assert not re.search(r"\s(?:on\w+|srcset|background)=", names)
    assert sanitise_html(safe) == sanitise_html(sanitise_html(safe))
