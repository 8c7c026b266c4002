"""Every theme can be read, and none stops the program; without colour when NO_COLOR says so."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from crmmail.tui import ink
from crmmail.tui.dialogs import Confirm
from tests.tui.conftest import app_on, connect, fill, incoming, shown, until


def two_mailboxes(store):
    """Their stripes are the theme's colours too."""
    connect(store, "gmail")
    connect(store, "outlook", 1)
    for name in ("gmail", "outlook"):
        fill(store, name, [incoming(number, unread=number % 2 == 0) for number in range(9)])
    return store


def faint(app, within="Screen"):
    """What is written in a colour too near to its ground's, by the cells on the screen (behind a dialog all is dim)."""
    found = set()
    place = app.screen.query_one(within).region if within != "Screen" else app.screen.region
    for strip in app.screen._compositor.render_strips()[place.y : place.bottom]:
        for text, style, _control in strip.crop(place.x, place.right):
            colors = (style.color, style.bgcolor) if style else (None, None)
            if any(character.isalnum() for character in text) and all(color and color.triplet for color in colors):
                fore, back = (Color(*color.triplet) for color in colors)
                if ink.contrast(fore, back) < ink.LEGIBLE:
                    found.add((text.strip(), round(ink.contrast(fore, back), 1)))
    return found


async def test_a_theme_there_is_not_is_named_and_the_default_is_used(store):
    app = app_on(two_mailboxes(store), theme="midnight-snack")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "There is no theme “midnight-snack”." in shown(app))
        assert app.theme == "textual-dark"


@pytest.mark.parametrize("theme", sorted(BUILTIN_THEMES))
async def test_a_theme_can_be_read_in_every_pane_and_dialog(store, theme):
    app = app_on(two_mailboxes(store), theme=theme)
    async with app.run_test(size=(170, 30)) as pilot:
        await until(pilot, lambda: "All inboxes" in shown(app))
        assert faint(app) == set()
        await pilot.press("x", "j", "enter")
        await pilot.pause()
        assert faint(app) == set()
        await pilot.press("escape")
        await pilot.press("grave_accent")
        await pilot.pause()
        assert faint(app) == set()
        app.push_screen(Confirm("Sure?", "It cannot be undone.", "Delete"))
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("tab")
        await pilot.pause()
        assert faint(app, "#box") == set()


async def test_no_color_is_respected(store, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_on(two_mailboxes(store))
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("j", "x")
        colors = [
            color.triplet
            for strip in app.screen._compositor.render_strips()
            for _text, style, _control in strip
            for color in ((style.color, style.bgcolor) if style else ())
            if color and color.triplet
        ]
        assert [color for color in colors if len(set(color)) > 1] == []


@pytest.mark.parametrize("color", ["#ff8800", "$warning", "red", "no color at all"])
async def test_a_mailbox_has_the_color_it_was_given_or_one_of_the_themes(store, color):
    connect(store, "gmail")
    app = app_on(store)
    async with app.run_test(size=(120, 30)) as pilot:
        box = next(iter(app.main.boxes.values()))
        app.main.boxes[box.id] = type(box)(**{name: getattr(box, name) for name in box.__slots__} | {"color": color})
        app.main.dress()
        await pilot.pause()
        given = {"#ff8800": (255, 136, 0), "red": (255, 0, 0)}
        assert app.main.sidebar.stripes[box.id].triplet == given.get(color, app.main.sidebar.stripes[box.id].triplet)
