"""Reading: opening, going on, quotes, links, attachments, source, conversations; what is shown of a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmmail.model import Incoming, Page, Query, State
from crmmail.store import Store
from crmmail.tui.dialogs import Confirm, Picker, TextScreen
from tests.tui.conftest import NOW, app_on, connect, fill, inbox, incoming, raw, shown, until

QUOTED = "I agree.\n\nOn Monday Ana wrote:\n> one\n> two\n> three\n> four\n> five\n\nBruno\n"
HTML = (
    '<p>Hello <a href="https://evil.example/login">https://bank.example</a> and '
    '<a href="https://ok.example/page">our page</a><img src="http://track.example/x.png"></p>'
)


@pytest.fixture
def letters(store: Store) -> Store:
    """A mailbox with one message of each kind, newest first: quoted, linked, with an attachment, long, not fetched."""
    connect(store, "gmail")
    long = "\n".join(f"line {number} of a very long message" for number in range(4000))
    fill(
        store,
        "gmail",
        [
            incoming(1, content=raw(1, subject="Quoted", text=QUOTED), unread=True),
            incoming(2, content=raw(2, subject="Linked", text="see", html=HTML)),
            incoming(3, content=raw(3, subject="Attached", attachment="Proposta [2].pdf")),
            incoming(4, content=raw(4, subject="Long", text=long)),
        ],
    )
    bare = Incoming("m5", State(frozenset({"inbox"})), int(NOW * 1000) - 9_000_000, snippet="soon here")
    store.ingest("gmail", Page(cursor="2", upserts=(bare,)))
    return store


async def test_opening_marks_as_read_at_once_and_undo_goes_past_it(letters):
    app = app_on(letters)
    first = inbox(letters)[0]
    async with app.run_test(size=(90, 30)) as pilot:
        await pilot.press("d", "g", "x", "enter")
        assert not letters.states([first])[first][1].unread
        await pilot.press("escape", "z")
        assert first in inbox(letters)


@pytest.mark.parametrize(("wish", "unread"), [("never", True), ("0.05", False), ("at_once", False)])
async def test_when_a_message_counts_as_read_is_a_setting(letters, wish, unread):
    app = app_on(letters, mark_read=wish)
    first = inbox(letters)[0]
    async with app.run_test(size=(90, 30)) as pilot:
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert letters.states([first])[first][1].unread is unread


async def test_all_that_was_opened_is_read_however_fast_the_next_follows(store):
    connect(store, "gmail")
    fill(store, "gmail", [incoming(n, content=raw(n, text=f"text {n}"), unread=True) for n in range(1, 4)])
    app, (first, second, third) = app_on(store), inbox(store)
    async with app.run_test(size=(90, 30)) as pilot:
        app.main.open_message(first)
        app.main.open_message(second)
        await pilot.pause()
        states = store.states([first, second, third])
        assert [states[one][1].unread for one in (first, second, third)] == [False, False, True]


async def test_the_thumb_beside_a_long_text_can_be_dragged(letters):
    app = app_on(letters)
    async with app.run_test(size=(90, 30)) as pilot:
        await pilot.press("j", "j", "j", "enter")
        reader = app.main.reader
        await until(pilot, lambda: "line 0 of" in shown(app) and reader.max_scroll_y > 1000)
        right = reader.size.width - 1
        await pilot.mouse_down(reader, offset=(right, reader.size.height - 1))
        await until(pilot, lambda: reader.scroll_offset.y == reader.max_scroll_y)
        await pilot.hover(reader, offset=(right - 5, reader.size.height // 2))
        await until(pilot, lambda: 0.4 < reader.scroll_offset.y / reader.max_scroll_y < 0.6)
        await pilot.mouse_up(reader, offset=(right - 5, reader.size.height // 2))
        await pilot.hover(reader, offset=(right, 0))
        assert reader.scroll_offset.y / reader.max_scroll_y > 0.4


async def test_quoted_text_is_folded_until_asked_for(letters):
    app = app_on(letters)
    async with app.run_test(size=(90, 30)) as pilot:
        await pilot.press("enter")
        assert "I agree." in shown(app)
        assert "five" not in shown(app)
        assert "quoted lines" in shown(app)
        await pilot.press("T")
        assert "five" in shown(app)
        await pilot.press("T")
        assert "five" not in shown(app)


async def test_going_on_and_back_while_reading(letters):
    app = app_on(letters)
    async with app.run_test(size=(90, 30)) as pilot:
        await pilot.press("enter", "J")
        assert "Linked" in shown(app)
        await pilot.press("K")
        assert "Quoted" in shown(app)
        await pilot.press("K")
        assert "first message" in shown(app)
        await pilot.press("escape")
        assert app.main.messages.active
        assert "Attached" in shown(app)


async def test_trash_while_reading_opens_the_next_and_undo_brings_it_back(letters):
    app = app_on(letters)
    first = inbox(letters)[0]
    async with app.run_test(size=(90, 30)) as pilot:
        await pilot.press("enter", "d")
        assert "Linked" in shown(app)
        assert app.main.reader.active
        await pilot.press("z")
        assert first in inbox(letters)


async def test_a_link_shows_its_real_host_and_asks_before_it_opens(letters, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("crmmail.tui.launch.open_url", opened.append)
    app = app_on(letters)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("j", "enter")
        text = shown(app)
        assert "evil.example" in text
        assert "not what it claims" in text
        assert "1 image blocked" in text
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "evil.example" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert opened == []
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: opened == ["https://ok.example/page"])


async def test_attachments_are_saved_and_opened_only_after_a_question(letters, tmp_path: Path, monkeypatch):
    opened: list[Path] = []
    monkeypatch.setattr("crmmail.tui.launch.open_file", opened.append)
    folder = tmp_path / "downloads"
    app = app_on(letters, download_folder=str(folder))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("j", "j", "enter")
        assert "Proposta [2].pdf" in shown(app)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: "1 attachment saved" in shown(app))
        saved = [path for path in folder.iterdir() if path.is_file()]
        assert [path.suffix for path in saved] == [".pdf"]
        assert saved[0].read_bytes().startswith(b"%PDF")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "application/pdf" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert opened == []
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: len(opened) == 1)


async def test_headers_and_source(letters):
    app = app_on(letters)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("enter", "h")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        assert "Message-ID: <1@acme.example>" in shown(app)
        assert "I agree" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        assert "I agree" in shown(app)
        await pilot.press("q")
        await until(pilot, lambda: app.screen is app.main)


async def test_a_long_message_is_cut_until_the_whole_is_asked_for(letters):
    app = app_on(letters)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("j", "j", "j", "enter", "end")
        assert "shows the whole message" in shown(app)
        await pilot.press("S", "end")
        assert "line 3999" in shown(app)


async def test_a_body_that_is_not_here_yet_is_asked_for_and_appears(letters):
    wanted: list[int] = []
    app = app_on(letters)
    async with app.run_test(size=(100, 30)) as pilot:
        app.want = wanted.append  # type: ignore[method-assign]
        await pilot.press("end", "enter")
        assert "Fetching the message" in shown(app)
        last = inbox(letters)[-1]
        assert wanted == [last]
        whole = Incoming("m5", State(frozenset({"inbox"})), int(NOW * 1000) - 9_000_000, raw=raw(5, text="Here I am"))
        letters.ingest("gmail", Page(cursor="3", upserts=(whole,)))
        await until(pilot, lambda: "Here I am" in shown(app))


async def test_the_conversation_is_walked_with_n_and_p(store):
    connect(store, "gmail")
    pages = [
        Incoming(
            f"c{number}",
            State(frozenset({"inbox"})),
            int(NOW * 1000) - number * 60_000,
            raw=raw(number, subject=f"Part {9 - number}"),
            remote_thread="together",
        )
        for number in range(3)
    ]
    fill(store, "gmail", [*pages, incoming(50)])
    app = app_on(store)
    async with app.run_test(size=(100, 30)) as pilot:
        assert " 3 " in shown(app)
        await pilot.press("j", "enter")
        assert "2 of 3" in shown(app)
        await pilot.press("n")
        assert "3 of 3" in shown(app)
        await pilot.press("n")
        assert "ends here" in shown(app)
        await pilot.press("p", "p")
        assert "1 of 3" in shown(app)


async def test_the_wide_layout_shows_the_message_the_cursor_rests_on_without_reading_it(letters):
    app = app_on(letters)
    first = inbox(letters)[0]
    async with app.run_test(size=(180, 40)) as pilot:
        await until(pilot, lambda: "I agree." in shown(app))
        assert letters.states([first])[first][1].unread
        await pilot.press("j")
        await until(pilot, lambda: "evil.example" in shown(app))
        assert "Long" in shown(app)
        assert letters.count(Query("gmail")) == 5


async def test_space_scrolls_and_then_goes_to_the_next(letters):
    app = app_on(letters)
    async with app.run_test(size=(90, 12)) as pilot:
        await pilot.press("enter")
        for _press in range(4):
            await pilot.press("space")
        assert app.main.messages.index >= 1
