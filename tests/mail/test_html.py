"""HTML becomes what a careful person would copy off the page."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.mail.html import render
from crmmail.mail.html_hidden import Sheet
from crmmail.mail.html_tokens import tokens
from crmmail.model import Link
from tests.mail.surfaces import CONTROL


def text(source: str) -> str:
    return render(source).text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<p>Hello  <b>big</b>\n world</p><p>Two", "Hello big world\n\nTwo"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("x &amp; y &lt;z&gt; &copy;&nbsp;&#8364; &bogus; &#x110000000;", "x & y <z> © € &bogus; \ufffd"),
        ("<ul><li>one<li><p>two</p><ul><li>in</ul><li>three</ul>after", "• one\n• two\n  • in\n• three\n\nafter"),
        ("<ol start=3><li>c<li>d</ol>", "3. c\n4. d"),
        (
            "<p>I say<blockquote>you said<blockquote>I said</blockquote></blockquote>ok",
            "I say\n\n> you said\n>\n> > I said\n\nok",
        ),
        ("<pre>def f():\n    return 1\n</pre>", "def f():\n    return 1"),
        ("<hr>x", "─" * 24 + "\nx"),
        ("a<!-- no -->b<!doctype x><?php y ?>c<!-->d", "abcd"),
        ("1 < 2 and 3 <4 <", "1 < 2 and 3 <4 <"),
        ("<script>alert('</p>')</script>ok<style>p{}</style><title>no</title>", "ok"),
        ("<img src=http://x.test/a.png alt='A logo'>", "A logo"),
        ("<p>a</i></b></p></table>b", "a\n\nb"),
        ("<a\x0chref='https://x.test'\x0ctitle=y>z</a>", "z [1]"),
        ("", ""),
    ],
)
def test_a_page_reads_like_a_page(source: str, shown: str) -> None:
    assert text(source) == shown


def test_a_table_of_figures_keeps_its_columns() -> None:
    rows = "<tr><th>Item<th>Price</tr><tr><td>Apples</td><td>10</td></tr><tr><td>日本</td><td>2</td>"
    assert text(f"<table>{rows}</table>") == "Item   │ Price\nApples │ 10\n日本   │ 2"


def test_a_table_for_layout_reads_from_top_to_bottom() -> None:
    inner = "<table><tr><td><p>Left</p><p>more</p></td><td>Right</td></tr></table>"
    assert text(f"<table><tr><td>{inner}</td></tr><tr><td></td></tr></table>") == "Left\n\nmore\nRight"


@pytest.mark.parametrize(
    "hidden",
    [
        '<div style="display:none">{}</div>',
        '<div style="DISPLAY : None !important"><p><b>{}</b></p></div>',
        "<p hidden>{}</p>",
        '<span style="font-size:0px">{}</span>',
        '<span style="font-size: 1px">{}</span>',
        '<div style="visibility:hidden">{}</div>',
        '<div style="opacity:0.0">{}</div>',
        '<div style="max-height:0;overflow:hidden">{}</div>',
        '<div style="height:0;overflow:hidden">{}</div>',
        '<div style="mso-hide:all">{}</div>',
        '<div style="text-indent:-9999px">{}</div>',
        '<div style="position:absolute;left:-5000px">{}</div>',
        '<div style="color:#fff;background:#ffffff">{}</div>',
        '<div style="color:white">{}</div>',
        '<table><tr><td bgcolor="#336699"><font color="#336699">{}</font></td></tr></table>',
        '<div style="color:rgba(0,0,0,0)">{}</div>',
        "<style>.pre{{display:none}} #x{{font-size:0}}</style><p class='a pre'>{}</p>",
        "<style>td.pre, #x{{font-size:0}}</style><p id=x>{}</p>",
        "<template>{}</template><noembed>x</noembed>",
    ],
)
def test_what_the_sender_hides_is_not_read(hidden: str) -> None:
    assert text(f"<p>SEEN</p>{hidden.format('SECRET')}<p>END</p>") == "SEEN\n\nEND"


@pytest.mark.parametrize(
    "visible",
    [
        "<td bgcolor=#003366><font color=white>SEEN</font></td>",
        "<style>.b{background:#00f}</style><a class=b style='color:#fff'>SEEN</a>",
        "<style>@media (max-width:600px){.m{display:none}} .n{color:red}</style><p class=m>SEEN</p>",
        "<p style='font-size:11px;max-width:100%;opacity:1'>SEEN</p>",
        "<table background=x.png><tr><td style='color:#fff'>SEEN</td></tr></table>",
        "<noscript>SEEN</noscript><p style='background:url(x) #fff;color:#fff'>SEEN</p>",
    ],
)
def test_what_a_browser_shows_is_read(visible: str) -> None:
    assert "SEEN" in text(visible)


def test_only_covert_hiding_is_called_that() -> None:
    assert not render('<div style="display:none;font-size:0">preview</div>x').hidden
    assert render('<div style="font-size:0">approve</div>x').hidden


def test_links_are_numbered_with_their_real_host() -> None:
    page = render(
        '<a href="https://evil.test/x">www.bank.example</a> <a href=" https://good.test/\na ">here</a> '
        '<a href="https://evil.test/x">again</a> <a href="https://good.test/a"><img src=x></a> '
        '<a href="mailto:a@b.org">a@b.org</a> <a href="javascript:alert(1)">no</a> <a href="#top">up</a>'
    )
    assert page.text == "www.bank.example [1] here [2] again [1] a@b.org [3] no up"
    assert page.links == (
        Link(1, "www.bank.example", "https://evil.test/x", "evil.test", True),
        Link(2, "here", "https://good.test/a", "good.test"),
        Link(3, "a@b.org", "mailto:a@b.org", "b.org"),
    )


def test_a_link_of_nothing_but_an_image_is_named_by_its_host() -> None:
    assert text("<a href=https://x.test/a><img src=y></a>") == "x.test [1]"


def test_what_would_have_been_fetched_is_counted() -> None:
    page = render(
        "<img src=https://t.test/1.gif><img src=cid:a><img src='data:image/png;base64,x'><img srcset='//t.test/2 2x'>"
        "<td background=http://t.test/3><p style='background:url(http://t.test/4)'>x"
        "<style>@import 'http://t.test/5'; a{background:url(http://t.test/6)}</style><link href=http://t.test/7>"
    )
    assert page.blocked_images == 7


@pytest.mark.parametrize(
    "source",
    [
        "<!--" * 125_000,
        "<p " + " ".join(f"a{number}=1" for number in range(50_000)) + ">x",
        "<div>" * 100_000 + "x",
        "<ul><li>" * 20_000 + "x",
        "<table><tr><td>" * 20_000 + "x",
        "<blockquote>" * 20_000 + "x",
        "<" * 1_000_000,
        '<a href="' * 60_000,
        "<a b='" * 60_000,
        "<a b=\"'" * 60_000,
        "</div>" * 60_000,
        "<b>" * 190 + "</i>" * 49_000,
        "<style>" + "a{" * 200_000,
        "<style>" + "@media{" * 60_000,
        "<script>" * 60_000,
        "&#" + "9" * 500_000 + ";" + "&a" * 200_000,
        "<a href=http://x.test>" * 49_000 + "text " * 1_000,
        "<tr>" * 50_000 + "<td>x" * 40_000,
        "<table>" + "<tr><td>a<td>b" * 16_000,
        "<li>" * 49_000 + "x",
        "<p style='" + "a:b;" * 200_000 + "'>x",
        "<style>" + ".a{display:none}" * 20_000 + "</style>" + "<p class='a b c d'>" * 20_000,
    ],
    ids=lambda source: source[:12],
)
def test_nothing_makes_rendering_slow(source: str) -> None:
    start = time.process_time()
    render(source)
    assert time.process_time() - start < 2


def test_reaching_a_limit_is_said() -> None:
    assert render("<i>x</i>" * 30_000).too_complex
    assert render("x" * 1_100_000).too_complex
    assert not render("<p>x</p>" * 1_000).too_complex


def test_rules_for_other_screens_hide_nothing() -> None:
    sheet = Sheet()
    sheet.read(
        "@import 'x'; .a{display:none} @media print{.b{display:none}} /* .c{display:none} */ .d,p.e{font-size:0}"
    )
    assert sheet.hiding == {".a", ".d", ".e"}


markup = st.lists(
    st.sampled_from(
        [
            "<p>",
            "</p>",
            "<a href='http://x.test'>",
            "</a>",
            "<table>",
            "<tr>",
            "<td>",
            "</table>",
            "<ul>",
            "<li>",
            "</ul>",
            "<pre>",
            "<blockquote>",
            "</blockquote>",
            "<style>",
            "</style>",
            "<!--",
            "-->",
            "<",
            ">",
            "'",
            '"',
            "&#x1b;",
            "&",
            "=",
            "/",
            "<br/>",
            "<div style='display:none'>",
            "</div>",
            "<img alt=x src=http://a>",
            "\x1b",
            "\u202e",
            "text ",
            "\n",
        ]
    )
    | st.text(max_size=5),
    max_size=60,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(markup)
def test_any_markup_becomes_clean_text(source: str) -> None:
    page = render(source)
    assert not CONTROL.search(page.text.replace("\n", ""))
    assert [link.number for link in page.links] == list(range(1, len(page.links) + 1))
    assert sum(1 for _ in tokens(source)) <= len(source)
