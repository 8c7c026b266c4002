"""Pasted recipients: every valid address is found once, everything else is kept as it was typed."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmmail.mail.recipients import RECIPIENTS_LIMIT, parse_recipients, typed
from crmmail.model import Address

A, B, C = Address("", "a@x.org"), Address("", "b@x.org"), Address("", "c@x.org")
ANA = Address("Ana Silva", "ana@x.org")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a@x.org", [A]),
        ("a@x.org, b@x.org;c@x.org", [A, B, C]),
        ("a@x.org\nb@x.org\r\nc@x.org\r", [A, B, C]),
        ("a@x.org b@x.org\tc@x.org", [A, B, C]),
        ("a@x.org,\n  b@x.org;\n;,\nc@x.org,", [A, B, C]),
        ("a@x.org, A@X.ORG, a@x.org", [A]),
        ("Ana Silva <ana@x.org>", [ANA]),
        ("Ana Silva <ana@x.org>; a@x.org", [ANA, A]),
        ('"Silva, Ana" <ana@x.org>, a@x.org', [Address("Silva, Ana", "ana@x.org"), A]),
        (
            "Silva, Ana <ana@x.org>; Souza, Bia <b@x.org>",
            [Address("Silva, Ana", "ana@x.org"), Address("Souza, Bia", "b@x.org")],
        ),
        ("<a@x.org>", [A]),
        ("mailto:a@x.org", [A]),
        ("a@x.org (Ana)", [Address("Ana", "a@x.org")]),
        ("Team: a@x.org, b@x.org;", [A, B]),
        ("ana@exämple.org", [Address("", "ana@xn--exmple-cua.org")]),
        ("nobody", [Address("nobody", "")]),
        ("a@x.org, nobody; b@x.org", [A, Address("nobody", ""), B]),
        ("a@", [Address("a@", "")]),
        ("joão@x.org", [Address("joão@x.org", "")]),
        ("João <joão@x.org>", [Address("João <joão@x.org>", "")]),
        ("Silva\nAna Silva <ana@x.org>", [Address("Silva", ""), ANA]),
        ("", []),
        (" ,; \n", []),
    ],
)
def test_pasted_lists_are_read(text: str, found: list[Address]) -> None:
    assert parse_recipients(text) == found


@pytest.mark.parametrize(
    "person",
    [A, ANA, Address("Silva, Ana", "ana@x.org"), Address('Ana "Zé" Silva', "ana@x.org"), Address("a\\b", "ana@x.org"),
     Address("João <x>", "ana@x.org"), Address("x@y.z", "ana@x.org"), Address("nobody", ""), Address("Team: A",
      "ana@x.org")],
)  # fmt: skip
def test_what_is_shown_to_be_typed_is_read_back(person: Address) -> None:
    assert parse_recipients(typed(person)) == [person]


@pytest.mark.parametrize("text", ['"', '""', '" "', "<>"])
def test_what_names_nobody_stays_as_it_was_typed_to_be_mended(text: str) -> None:
    assert parse_recipients(text) == [Address(text, "")]
    assert parse_recipients(f"ana@x.org\n{text}")[0] == Address("", "ana@x.org")


@example('"')
@example("@:é@a")
@given(st.text())
def test_nothing_that_is_pasted_becomes_an_unsafe_address(text: str) -> None:
    for person in parse_recipients(text):
        assert not set(person.email) & set("\r\n\0 <>,;")
        assert person.email.isascii()
        assert person.email or person.name


def test_a_huge_paste_is_cut_and_quick() -> None:
    started = time.perf_counter()
    assert len(parse_recipients("\n".join(f"u{number}@x.org" for number in range(9_000)))) == RECIPIENTS_LIMIT
    parse_recipients("(" * 100_000)
    parse_recipients('"' * 100_000)
    assert time.perf_counter() - started < 3
