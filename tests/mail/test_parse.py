"""A message is read whole: its structure, its body, its warnings."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.mail import mime
from crmmail.mail.parse import headers_of, parse, unflowed
from crmmail.model import Parsed
from tests.mail.surfaces import controls


def multipart(kind: str, *parts: str, boundary: str = "b") -> str:
    lines = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{lines}--{boundary}--\r\n'


def read(text: str) -> Parsed:
    return parse(text.encode())


PLAIN = "Content-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = "Content-Type: text/html; charset=utf-8\r\n\r\n"
PICTURE = "Content-Type: image/png; name=p.png\r\nContent-ID: <p@x>\r\n\r\nPNG"
FILE = "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=f.pdf\r\n\r\n%PDF"


def names(parsed: Parsed) -> list[tuple[str, bool]]:
    return [(item.name, item.inline) for item in parsed.body.attachments]


def test_a_letter_with_both_views_and_a_file() -> None:
    alternative = multipart("alternative", PLAIN + "Plain words", HTML + "<p>Rich <b>words</b></p>", boundary="i")
    parsed = read("From: a@b.org\r\nSubject: S\r\n" + multipart("mixed", alternative, FILE))
    assert (parsed.body.text, parsed.body.html_text) == ("Plain words", "Rich words")
    assert names(parsed) == [("f.pdf", False)]
    assert parsed.snippet == "Plain words"
    assert not parsed.body.from_html


def test_two_views_that_say_the_same_are_one() -> None:
    parsed = read(multipart("alternative", PLAIN + "Same words\r\nhere", HTML + "<p>Same <b>words</b> here"))
    assert parsed.body.html_text == ""


def test_html_is_read_where_the_plain_text_is_only_a_stub() -> None:
    body = "<p>" + "Long text of a newsletter. " * 40 + "<a href=https://x.test>go</a>"
    parsed = read(multipart("alternative", PLAIN + "Please view this in a browser: http://y.test", HTML + body))
    assert parsed.body.from_html
    assert parsed.body.text.startswith("Long text")
    assert [(link.number, link.host) for link in parsed.body.links] == [(1, "x.test")]


def test_html_alone_is_read() -> None:
    parsed = read(HTML + "<p>Only rich")
    assert (parsed.body.text, parsed.body.from_html, parsed.body.html_text) == ("Only rich", True, "")


def test_a_picture_in_the_text_is_listed_as_part_of_it() -> None:
    parsed = read(multipart("related", HTML + "<p>See <img src=cid:p@x alt=chart>", PICTURE))
    assert parsed.body.text == "See chart"
    assert names(parsed) == [("p.png", True)]


def test_html_parts_are_rendered_apart() -> None:
    parsed = read(multipart("mixed", HTML + "<p>one<div style='display:none'>", HTML + "two</div>", PLAIN + "three"))
    assert parsed.body.text == "one\n\ntwo\n\nthree"


def test_links_of_both_views_share_their_numbers() -> None:
    plain = "See http://x.test/a, and (http://x.test/b)."
    rich = "<a href='http://x.test/b'>b</a> <a href='http://x.test/c'>c</a> of other words"
    parsed = read(multipart("alternative", PLAIN + plain, HTML + rich))
    assert [link.url for link in parsed.body.links] == ["http://x.test/a", "http://x.test/b", "http://x.test/c"]
    assert parsed.body.html_text == "b [2] c [3] of other words"


def test_a_forwarded_message_is_one_attachment() -> None:
    parsed = read(multipart("mixed", PLAIN + "fyi", "Content-Type: message/rfc822\r\n\r\nSubject: Inner\r\n\r\nx"))
    assert names(parsed) == [("Inner.eml", False)]
    assert parsed.body.text == "fyi"


def test_a_part_without_a_header_keeps_its_first_line() -> None:
    assert read(multipart("mixed", "\r\nNote: keep me")).body.text == "Note: keep me"


def test_a_message_cut_off_in_a_part_is_shown_and_listed() -> None:
    parsed = read('Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\ncut he')
    assert parsed.body.text == "first\n\ncut he"
    assert names(parsed) == [("attachment-1.txt", True)]
    assert "ambiguous_structure" in parsed.body.flags


def test_a_boundary_that_never_comes_leaves_the_text() -> None:
    assert read('Content-Type: multipart/mixed; boundary="b"\r\n\r\njust text').body.text == "just text"


def test_an_inner_boundary_does_not_swallow_the_outer_one() -> None:
    inner = multipart("mixed", PLAIN + "INNER", boundary="a")
    parsed = read(multipart("mixed", inner, FILE, boundary="ab"))
    assert parsed.body.text == "INNER"
    assert names(parsed) == [("f.pdf", False)]


def test_an_invitation_alone_is_shown_as_its_source() -> None:
    parsed = read("Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nSUMMARY:Lunch")
    assert "SUMMARY:Lunch" in parsed.body.text
    assert len(parsed.body.attachments) == 1


def test_two_names_for_one_attachment_are_a_warning() -> None:
    part = 'Content-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment; filename="b.exe"\r\n\r\nx'
    parsed = read(multipart("mixed", part))
    assert names(parsed) == [("b.exe", False)]
    assert "ambiguous_attachment_name" in parsed.body.flags


def test_two_content_types_are_a_warning() -> None:
    parsed = read("Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n<b>x</b>")
    assert parsed.body.flags == ("invalid_sender", "ambiguous_structure")
    assert parsed.body.text == "<b>x</b>"


def test_the_date_falls_back_to_what_the_server_said() -> None:
    received = "Received: from x by y; Sat, 1 Nov 2025 10:00:00 +0000\r\n"
    assert read(received + "Date: never\r\n\r\n").headers.date_ms == 1_761_991_200_000
    assert read("\r\n").headers.date_ms is None


@pytest.mark.parametrize(
    ("line", "bulk"),
    [
        ("List-Unsubscribe: <https://news.example/out>", True),
        ("Precedence: bulk", True),
        ("precedence:  Junk ", True),
        ("Auto-Submitted: auto-generated", True),
        ("Auto-Submitted: auto-replied; owner-email=x@y.example", True),
        ("Auto-Submitted: no", False),
        ("Auto-Submitted: no (a person)", False),
        ("Precedence: first-class", False),
        ("List-Unsubscribe:", False),
        ("X-Nothing: 1", False),
    ],
)
def test_what_goes_to_many_or_was_written_by_a_program_says_so(line: str, bulk: bool) -> None:
    assert headers_of(f"From: a@x.org\r\n{line}\r\n\r\nText".encode()).bulk is bulk


def test_the_snippet_is_what_the_sender_wrote() -> None:
    parsed = read(PLAIN + "\r\nHello\r\nthere\r\n\r\nOn Mon, 1 Nov, Ana wrote:\r\n> old\r\n-- \r\nsignature")
    assert parsed.snippet == "Hello there"


def test_flowed_lines_are_joined_within_their_quote() -> None:
    assert unflowed("one \ntwo\n> a \n> b\n-- \nsig") == "one two\n> a b\n-- \nsig"
    assert unflowed("日 \n本", delete_space=True) == "日本"
    assert unflowed(" >not quoted\n> q \nplain") == ">not quoted\n> q \nplain"


@pytest.mark.parametrize(
    "raw",
    [
        b'Content-Type: multipart/mixed; boundary="-"\n\n' + b"-" * 3_000_000,
        b'Content-Type: multipart/mixed; boundary="x"\n\n' + b"--x\n" * 300_000,
        b'Content-Type: multipart/mixed; boundary="x"\n\n' + b"--xy\n" * 300_000,
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(20_000)),
        b"\r\n" * 1_000_000,
        b" " * 2_000_000,
        b"\r" * 2_000_000,
        b"a: b\n " * 300_000,
        b"From: " + b'"\\' * 500_000,
        b"Content-Type: text/plain; format=flowed\n\n" + b"a \n" * 400_000,
        b"\n" + b"> " * 500_000,
        b"\n" + b"http://a" * 100_000,
    ],
    ids=lambda raw: str(raw[-12:]),
)
def test_no_structure_makes_reading_slow(raw: bytes) -> None:
    start = time.process_time()
    parse(raw)
    assert time.process_time() - start < 2


def test_a_walk_stops_at_its_limits() -> None:
    tree = mime.walk(b'Content-Type: multipart/mixed; boundary="x"\n\n' + b"--x\n\na\n" * 5_000 + b"--x--\n")
    assert tree.too_complex
    assert len(tree.leaves) <= mime.PARTS_LIMIT


fragments = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b"Content-Type: text/html\r\n",
            b"\r\n",
            b"--b\r\n",
            b"--b--\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"From: a@b.org\r\n",
            b"<p>",
            b"=?utf-8?q?=0A?=",
            b"Content-Disposition: attachment; filename=../x\r\n",
            b"Content-Type: multipart/alternative; boundary=c\r\n",
            b"--c\r\n",
        ]
    )
    | st.binary(max_size=12),
    max_size=30,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(fragments)
def test_any_bytes_are_a_message(raw: bytes) -> None:
    parsed = parse(raw)
    assert controls(parsed) == []
    assert parsed.size == len(raw)
    leaves = mime.walk(raw).leaves
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
    assert all(item.part < len(leaves) for item in parsed.body.attachments)
