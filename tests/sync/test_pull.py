"""Pages cut small, and servers that go in circles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.errors import Transient
from crmmail.model import Delta, Folder, Incoming, Page, Patch, Role, State
from crmmail.sync.pull import SLICE_BYTES, SLICE_MESSAGES, SLICE_PATCHES, Circle, slices


def incoming(number: int, size: int = 10) -> Incoming:
    return Incoming(f"m{number}", State(), number, raw=b"x" * size)


def page(messages: int = 0, patches: int = 0, size: int = 10, **rest: object) -> Page:
    changed = tuple(Patch(f"m{number}", delta=Delta(unread=False)) for number in range(patches))
    return Page("next", tuple(incoming(number, size) for number in range(messages)), changed, **rest)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(0, 120), st.integers(0, 900), st.sampled_from([10, SLICE_BYTES // 3, SLICE_BYTES * 2]))
def test_slices_say_together_what_the_page_said(messages: int, patches: int, size: int) -> None:
    whole = page(messages % 7 if size > 10 else messages, patches, size, removals=("gone",), complete=True)
    parts = list(slices(whole, "resting"))
    assert sum((part.upserts for part in parts), ()) == whole.upserts
    assert sum((part.patches for part in parts), ()) == whole.patches
    assert [part.cursor for part in parts] == ["resting"] * (len(parts) - 1) + ["next"]
    assert [part.removals for part in parts if part.removals] == [("gone",)]
    assert [part.complete for part in parts] == [False] * (len(parts) - 1) + [True]


@settings(deadline=None)
@given(st.integers(1, 200))
def test_no_slice_holds_more_than_a_key_may_wait_for(messages: int) -> None:
    for part in slices(page(messages, messages * 5), ""):
        assert len(part.upserts) <= SLICE_MESSAGES
        assert len(part.patches) <= SLICE_PATCHES


def test_a_message_comes_before_the_patch_that_may_concern_it() -> None:
    parts = list(slices(page(60, 500), ""))
    last_message = max(index for index, part in enumerate(parts) if part.upserts)
    first_patch = min(index for index, part in enumerate(parts) if part.patches)
    assert first_patch >= last_message


def test_the_folder_list_comes_first_and_once() -> None:
    folders = (Folder("a", "inbox", Role.INBOX, "Inbox", "INBOX"),)
    parts = list(slices(page(60, folders=folders), ""))
    assert [part.folders for part in parts] == [folders] + [None] * (len(parts) - 1)


def test_an_empty_page_still_moves_the_cursor() -> None:
    assert [part.cursor for part in slices(Page("next"), "resting")] == ["next"]


def test_a_page_may_come_twice_but_not_for_ever() -> None:
    circle = Circle()
    circle.check(page(3))
    circle.check(page(3))
    with pytest.raises(Transient):
        for _ in range(10):
            circle.check(page(3))


def test_many_empty_pages_are_not_a_circle_until_there_is_no_end_of_them() -> None:
    circle = Circle()
    for _ in range(100):
        circle.check(Page("same"))
    with pytest.raises(Transient):
        for _ in range(1000):
            circle.check(Page("same"))
