"""A link is opened only where it plainly goes to a web host, and never through a shell."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.mail.links import argv_for, host_of, is_misleading, may_open, shown_host, tidy


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG/a?b#c", "example.org"),
        ("http://user:pw@evil.test:8080/x", "evil.test"),
        ("https://www.bank.example@evil.test/%2F@x", "evil.test"),
        ("https://bank.example%2f.evil.test/", ""),
        ("https://bank.example\\@evil.test/", ""),
        ("https://exämple.org/", "xn--exmple-cua.org"),
        ("https://192.0.2.1/", "192.0.2.1"),
        ("https://[2001:db8::1]:443/", "[2001:db8::1]:443"),
        ("https://x.test:99x/", ""),
        ("https:///etc/passwd", ""),
        ("http:evil.test", ""),
        ("//evil.test", ""),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("--help", ""),
        ("https://x.test/a b", ""),
        ("https://x.test/\x1b]8;;", ""),
        ("https://x.test/" + "a" * 9_000, ""),
        ("mailto:a@b.org?subject=x", "b.org"),
    ],
)
def test_the_host_is_the_one_a_browser_would_ask(url: str, host: str) -> None:
    assert host_of(url) == host
    assert may_open(url) == bool(host)


@pytest.mark.parametrize(
    ("text", "url", "misleading"),
    [
        ("www.bank.example", "https://evil.test/", True),
        ("https://bank.example/login", "https://bank.example.evil.test/", True),
        ("bank.example", "https://www.bank.example/login", False),
        ("login.bank.example", "https://bank.example/", False),
        ("Sign in", "https://evil.test/", False),
        ("Sign in", "https://www.bank.example@evil.test/", True),
        ("a@bank.example", "mailto:a@evil.test", False),
        ("Version 1.2", "https://evil.test/", False),
    ],
)
def test_a_text_that_claims_another_host_is_misleading(text: str, url: str, misleading: bool) -> None:
    assert is_misleading(text, url) is misleading


def test_a_host_of_foreign_letters_is_readable_only_when_it_cannot_be_taken_for_another() -> None:
    assert shown_host("xn--exmple-cua.org") == "exämple.org"
    assert shown_host("xn--80ak6aa92e.com") == "xn--80ak6aa92e.com"  # 'apple' in Cyrillic
    assert shown_host("xn--wgv71a119e.jp") == "日本語.jp"
    assert shown_host("xn--" + "z" * 50) == "xn--" + "z" * 50


def test_the_launcher_gets_one_plain_argument() -> None:
    assert argv_for("http://x.test/$(touch%20x)`id`;x&y|z", "linux") == [
        "xdg-open",
        "http://x.test/%24(touch%20x)%60id%60;x&y%7Cz",
    ]
    assert argv_for("https://x.test/", "darwin") == ["open", "https://x.test/"]
    assert (argv_for("https://x.test/", "win32") or [""])[0] == "rundll32"
    assert argv_for("mailto:a@b.org") is None
    assert argv_for("-remote") is None


def test_a_browser_ignores_line_breaks_in_an_address_and_so_do_we() -> None:
    assert tidy(" java\tscript:\nx ") == "javascript:x"


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "http://",
                "https://",
                "mailto:",
                "//",
                "@",
                ":",
                "/",
                "\\",
                "%",
                "x.test",
                "-",
                "é",
                "[",
                "]",
                "\0",
                " ",
                "?",
            ]
        )
        | st.text(max_size=4),
        max_size=12,
    ).map("".join)
)
def test_whatever_may_be_opened_is_one_safe_argument(url: str) -> None:
    command = argv_for(url, "linux")
    if command is None:
        return
    assert re.fullmatch(r"(?i)https?://[A-Za-z0-9\-._~:/?#\[\]@!&()*+,;=%]+", command[1])
    assert host_of(url).isascii()
    shown_host(host_of(url))
