"""The text gate of the interface: widths in cells, no markup, nothing that a terminal obeys."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from crmmail import i18n
from crmmail.mail.text import clean_line, clean_text
from crmmail.model import Address
from crmmail.tui import format

letters = st.text(st.sampled_from("ab c日本👨\u200d👩é\u0301ｱ한…"), max_size=60).map(clean_line)


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("Hello", 8, "Hello   "),
        ("Hello", 4, "Hel…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…  "[:3]),
        ("é" * 4, 3, "éé…"),
        ("Hello", 1, "…"),
        ("Hello", 0, ""),
    ],
)
def test_a_cell_of_a_row_is_cut_or_padded(text: str, room: int, shown: str) -> None:
    assert format.cells(text, room).rstrip() == shown.rstrip()
    assert cell_len(format.cells(text, room)) == room


@settings(max_examples=400, deadline=None)
@given(letters, st.integers(0, 30))
def test_a_cell_is_always_as_wide_as_asked(text: str, room: int) -> None:
    assert cell_len(format.cells(text, room)) == room
    assert cell_len(format.cut(text, room)) <= room
    assert cell_len(format.right(text, room)) == room


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("ab c>日👨\u200d👩e\u0301\n "), max_size=120).map(clean_text), st.integers(2, 30))
def test_wrapping_keeps_every_word_and_fits(text: str, columns: int) -> None:
    lines = format.wrap(text, columns)
    assert all(format.width(line) <= columns for line in lines)
    assert "".join("".join(lines).replace(">", "").split()) == "".join(text.replace(">", "").split())


def test_lines_break_at_spaces_and_keep_their_quotes_and_indent() -> None:
    assert format.wrap("one two three", 8) == ["one two", "three"]
    assert format.wrap("> quoted words here", 10) == ["> quoted", "> words", "> here"]
    assert format.wrap("  in deep words", 9) == ["  in deep", "  words"]
    assert format.wrap("abcdefgh", 3) == ["abc", "def", "gh"]
    assert format.wrap("a\n\nb", 3) == ["a", "", "b"]


@pytest.mark.parametrize("piece", ["a", "a ", " ", ">", "日", "> a ", "\n", "e\u0301"])
def test_wrapping_a_megabyte_is_linear(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    format.wrap(text, 80)
    assert time.process_time() - start < 3


def test_foreign_text_is_shown_letter_by_letter() -> None:
    hostile = "[@click=app.quit]Read[/] [EXT] [/nope] [b"
    shown = format.content(hostile)
    assert (shown.plain, list(shown.spans)) == (hostile, [])
    assert format.clean("a\x1b[2J\nb") == "a\ufffd[2J b"
    assert format.clean("a\nb", lines=True) == "a\nb"


def test_long_quotes_are_folded_with_the_line_that_introduces_them() -> None:
    lines = ["Hi", "", "On Monday, Ana wrote:", "> a", "> b", "", "> c", "", "Bye", "> short"]
    blocks = format.fold_quotes(lines)
    assert [(block.folded, len(block.lines)) for block in blocks] == [(False, 2), (True, 5), (False, 3)]
    assert [line for block in blocks for line in block.lines] == lines
    assert format.folded_line(blocks[1]) == "··· 5 quoted lines"
    assert format.fold_quotes([]) == []


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc]


def test_dates_in_lists_are_short_and_in_the_users_language() -> None:
    now = ms(2026, 11, 22, 16) / 1000
    moments = (ms(2026, 11, 22, 9, 5), ms(2026, 2, 3), ms(2024, 12, 31, 23, 59))
    assert [format.when(moment, now) for moment in moments] == ["09:05", "3 Feb", "31/12/24"]
    i18n.use("pt_BR")
    assert [format.when(moment, now) for moment in moments] == ["09:05", "3 fev", "31/12/24"]


def test_a_date_costs_microseconds() -> None:
    format.when(0, 0.0)
    start = time.process_time()
    for _ in range(10_000):
        format.when(1_790_000_000_000, 1_795_000_000.0)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (14_321, "14 kB"),
        (3_200_000, "3.2 MB"),
        (2_500_000_000, "2.5 GB"),
    ],
)
def test_sizes_are_said_as_people_say_them(count: int, shown: str) -> None:
    assert format.size(count) == shown
    i18n.use("pt_BR")
    assert format.size(count) == shown.replace(".", ",")


def test_people_are_named_and_their_true_address_is_at_hand() -> None:
    ana, bob, nobody = Address("Ana", "a@x.org"), Address("", "b@y.org"), Address("x@our.org", "")
    assert format.person(ana) == "Ana"
    assert format.people([ana, bob, ana, ana, ana]) == "Ana, b@y.org, Ana and 2 more"
    assert format.person_in_full(ana) == "Ana <a@x.org>"
    assert format.person_in_full(bob) == "b@y.org"
    assert format.person_in_full(nobody) == "x@our.org (invalid address)"
    assert format.person(Address("", "")) == format.person_in_full(Address("", "")) == "(no sender)"
