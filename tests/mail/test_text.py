"""The text gate lets nothing through that a terminal, a list row or SQLite would trip over."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.mail.charsets import codec_for, decode
from crmmail.mail.text import clean_line, clean_text
from tests.mail.surfaces import CONTROL, INVISIBLE

anything = st.text(st.characters(codec=None), max_size=300) | st.text(
    st.sampled_from("a b\x1b\x9b\x00\n\r\t\u2028\u200d\u202e\ufe0f\u0301é日👨\U000e0041\ud800"), max_size=60
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Re: Proposal", "Re: Proposal"),
        ("a\x1b]52;c;eA==\x07b", "a\ufffd]52;c;eA==\ufffdb"),
        ("a\x9b2Jb", "a\ufffd2Jb"),
        ("one\r\ntwo\tthree\u2028four\x0bfive\x85six", "one two three four five six"),
        ("gpj\u202egnp.exe", "gpjgnp.exe"),
        ("pay\u200b\u2060\ufeffpal", "paypal"),
        ("so\u00adft", "soft"),
        ("❤\ufe0f love", "❤ love"),
        ("a\U000e0068\U000e0069b", "ab"),
        ("\ud83d lone", "\ufffd lone"),
        ("\u3164\uffa0", ""),
        ("  much   space ", "much space"),
    ],
)
def test_a_line_is_harmless(text: str, clean: str) -> None:
    assert clean_line(text) == clean


def test_a_body_keeps_its_lines_and_the_joiners_that_join() -> None:
    assert clean_text("a\r\nb\rc\x0cd\u2029e") == "a\nb\nc\nd\ne"
    assert clean_text("👨\u200d👩\u200d👧 fish\u200der") == "👨\u200d👩\u200d👧 fisher"
    assert clean_text("1\tx") == "1       x"


def test_a_letter_carries_at_most_eight_marks() -> None:
    assert clean_line("e" + "\u0301" * 500 + "x") == "e" + "\u0301" * 8 + "x"


def test_a_cut_line_says_so() -> None:
    assert clean_line("x" * 100, 10) == "xxxxxxxxx…"


def test_plain_text_is_cleaned_at_megabytes_a_second() -> None:
    body = "An ordinary line of ordinary mail, nothing odd in it.\n" * 20_000
    start = time.process_time()
    assert clean_text(body, 2_000_000) == body
    assert time.process_time() - start < 0.2


@settings(max_examples=300, deadline=None)
@given(anything)
def test_no_text_leaves_a_control_or_anything_unseen_in_a_line(text: str) -> None:
    line = clean_line(text)
    assert not CONTROL.search(line)
    assert not INVISIBLE.search(line)
    assert clean_line(line) == line
    line.encode("utf-8")


@settings(max_examples=300, deadline=None)
@given(anything)
def test_no_text_leaves_a_control_in_a_body(text: str) -> None:
    body = clean_text(text)
    assert not CONTROL.search(body.replace("\n", ""))
    assert clean_text(body) == body


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["", "utf-8", "utf-7", "utf-16", "us-ascii", "iso-2022-jp", "big5", "x-no"]),
)
def test_any_bytes_decode_in_any_charset(octets: bytes, charset: str) -> None:
    decode(octets, charset).encode("utf-8")


@pytest.mark.parametrize(
    "charset", ["hex", "zlib", "rot13", "idna", "unicode_escape", "undefined", "../../etc/passwd", "x" * 99]
)
def test_a_codec_that_is_no_charset_of_mail_is_not_looked_up(charset: str) -> None:
    assert codec_for(charset) == ""
    assert decode("olá".encode(), charset) == "olá"


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        ("ação".encode(), "", "ação"),
        ("ação".encode("cp1252"), "us-ascii", "ação"),
        ("ação".encode("cp1252"), "utf-8", "ação"),
        ("“quote”".encode("cp1252"), "iso-8859-1", "“quote”"),
        ("中文".encode("gb18030"), "GB2312", "中文"),
        ("ｶﾅ①".encode("cp932"), "Shift_JIS", "ｶﾅ①"),
        ("日本語".encode("iso-2022-jp"), "ISO-2022-JP", "日本語"),
        ("한국어".encode("cp949"), "ks_c_5601-1987", "한국어"),
        ("olá".encode("utf-16"), "utf-16", "olá"),
        ("caf\xe9".encode("latin-1") + b" \xc3\xa9", "utf-8", "caf\ufffd é"),
        ("ação".encode("cp1252"), "ansi", "ação"),
    ],
)
def test_bytes_are_read_as_the_sender_meant_them(octets: bytes, charset: str, text: str) -> None:
    assert unicodedata.normalize("NFC", decode(octets, charset)) == text
