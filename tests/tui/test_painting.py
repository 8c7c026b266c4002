"""What a key costs: what it did, then what is around it, nothing that stands; the rest while nobody waits."""

from __future__ import annotations

import gc
import random

import pyte
import pytest

from crmmail.tui import garbage
from crmmail.tui.app import CrmMail
from crmmail.tui.painting import Lines
from tests.tui.conftest import app_on, inbox, shown, until


def frames_of(app):
    """The text of each frame from now on."""
    frames = []
    app.post_display_hook = lambda: frames.append(shown(app))
    return frames


@pytest.mark.parametrize(
    ("key", "at_once", "told"),
    [
        ("d", "gone", ("1 moved to trash", "199 messages", "z Undo")),
        ("s", "★", ("1 added to favorites", "★")),
        ("z", "Revised quote for the Curitiba branch 0", ("Undone: 1 moved to trash", "200 messages")),
    ],
)
async def test_an_act_is_painted_first_and_then_once_what_is_around_it(gmail, key, at_once, told):
    app = app_on(gmail)
    async with app.run_test(size=(120, 30)) as pilot:
        if key == "z":
            await pilot.press("d")
        await pilot.pause(0.05)
        frames = frames_of(app)
        await pilot.press(key)
        await until(pilot, lambda: frames)
        await pilot.pause(0.05)
        if at_once == "gone":
            assert "Curitiba branch 0" not in frames[0]
        else:
            assert at_once in frames[0]
        assert all(words in frames[-1] for words in told)
        assert len(dict.fromkeys(frames)) <= 2


async def test_the_preview_of_a_message_that_leaves_is_not_painted_again(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(200, 40)) as pilot:
        await pilot.press("j")
        await until(pilot, lambda: app.main.reader.message_id == inbox(gmail)[1])
        laid_out = []
        wrap = app.main.reader.lay_out
        app.main.reader.lay_out = lambda: (laid_out.append(app.main.reader.message_id), wrap())
        await pilot.press("d")
        await until(pilot, lambda: laid_out)
        assert laid_out == [inbox(gmail)[1]]


@pytest.mark.parametrize("key", ["pagedown", "G"])
async def test_what_the_next_key_shows_is_painted_before_it_is_pressed(gmail, key):
    app = app_on(gmail)
    async with app.run_test(size=(120, 30)) as pilot:
        messages = app.main.messages
        await pilot.press("j")
        rested = len(messages._strips)
        await until(pilot, lambda: len(messages._strips) > rested + messages.size.height)
        await pilot.pause(0.3)
        while messages.prepare():
            pass  # what a look that changed meanwhile left to do
        painted = []
        paint = messages._paint
        messages._paint = lambda row, *look: (painted.append(row.id), paint(row, *look))[1]
        before = shown(app)
        await pilot.press(key)
        assert shown(app) != before
        assert painted == []


async def test_prepared_lines_look_like_those_painted_in_time(gmail):
    looks = []
    for prepare in (True, False):
        app = app_on(gmail)
        async with app.run_test(size=(120, 30)) as pilot:
            messages = app.main.messages
            while prepare and messages.prepare():
                pass
            await pilot.press("pagedown")
            looks.append([list(strip) for strip in messages.render_lines(messages.size.region)])
    assert looks[0] == looks[1]


async def test_garbage_is_collected_in_the_rest_after_the_keys_and_not_under_them(gmail):
    app = app_on(gmail)
    ran = []

    def heard(phase, facts):
        if phase == "stop":
            ran.append(facts["generation"])

    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause(0.3)
        assert gc.get_threshold() == garbage.NET
        gc.collect()
        gc.callbacks.append(heard)
        try:
            await pilot.press(*["pagedown"] * 3)
            assert ran == []
            await until(pilot, lambda: ran)
        finally:
            gc.callbacks.remove(heard)


KEYS = (
    *("j", "k", "down", "up", "pagedown", "pageup", "G", "home", "d", "z", "Z", "s", "U", "x", "V", "escape", "enter"),
    *("q", "tab", "i", "[", "]", "F", "g", "I", "T", "H", "question_mark", "full_stop", "slash", "u", "comma", "r"),
)


@pytest.mark.parametrize(("size", "seed"), [((80, 24), 1), ((120, 30), 2), ((200, 40), 3)])
async def test_what_was_painted_key_by_key_is_what_a_whole_paint_would_show(gmail, size, seed, monkeypatch):
    terminal, whole = pyte.Screen(*size), pyte.Screen(*size)
    stream, whole_stream = pyte.Stream(terminal), pyte.Stream(whole)
    straight = []

    def display(app, _screen, update):
        if update is not None and app._running:
            straight.append(isinstance(update, Lines))
            stream.feed(update.render_segments(app.console).replace("\n", ""))

    monkeypatch.setattr(CrmMail, "_display", display)
    app = app_on(gmail)
    chance = random.Random(seed)
    async with app.run_test(size=size) as pilot:
        for _turn in range(40):
            key = chance.choice(KEYS)
            await pilot.press(key)
            await pilot.pause(0.2 if chance.random() < 0.2 else None)  # the reader follows
            lines = (strip.render(app.console) for strip in app.screen._compositor.render_strips())
            whole_stream.feed("".join(f"\x1b[{y};1H{line}" for y, line in enumerate(lines, 1)))
            for y in range(size[1]):
                assert terminal.buffer[y] == whole.buffer[y], (key, y)
    assert sum(straight) > 10
