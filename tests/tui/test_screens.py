"""Layout, folders, search, language, mouse, and the states a mailbox can be in."""

from __future__ import annotations

import gettext
import random

import pytest
from textual import events

from crmmail import i18n
from crmmail.model import Phase, Query, Status
from crmmail.ops import Verb
from crmmail.signing import Done
from crmmail.tui.commands import COMMANDS, Context
from crmmail.tui.composer_base import Composer
from crmmail.tui.dialogs import Confirm, Dialog
from crmmail.tui.form import Field, Form
from crmmail.tui.menu import ActionsMenu
from crmmail.tui.palette import Palette, matches
from tests.tui.conftest import NOW, app_on, connect, fill, incoming, raw, shown, type_ahead, until


@pytest.fixture
def both(gmail):
    """A Gmail and an Outlook mailbox."""
    connect(gmail, "outlook", 1)
    fill(
        gmail,
        "outlook",
        [incoming(number, content=raw(number, subject=f"From Outlook {number}")) for number in range(20)],
    )
    return gmail


async def test_two_mailboxes_open_in_all_inboxes_with_a_section_each(both):
    app = app_on(both)
    async with app.run_test(size=(120, 40)) as pilot:
        text = shown(app)
        order = [text.index(word) for word in ("All inboxes", "me@gmail.example", "Favorites", "me@outlook.example")]
        assert order == sorted(order)
        side = "\n".join(line[:28] for line in text.split("\n"))
        assert side.count("Favorites") == 1
        seed = [side.index(word) for word in ("Inbox", "Favorites", "Drafts", "Sent", "Trash", "Spam", "Clientes")]
        assert seed == sorted(seed)
        assert app.main.messages.count == 220
        await pilot.press("g", "m")
        assert app.main.messages.query_shown == Query("gmail")
        await pilot.press("g", "m")
        assert app.main.messages.query_shown == Query("outlook")
        await pilot.press("g", "u")
        assert app.main.messages.query_shown == Query("")


async def test_folders_by_keys_brackets_sidebar_and_mouse(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("j", "j")
        left_at = app.main.messages.cursor_id
        await pilot.press("g", "x")
        assert app.main.messages.count == 2
        await pilot.press("g", "i")
        assert app.main.messages.cursor_id == left_at
        await pilot.press("right_square_bracket")
        assert app.main.messages.query_shown.folder == "favorites"
        await pilot.press("left_square_bracket", "tab")
        assert app.main.sidebar.active
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: app.main.messages.query_shown.folder == "drafts")
        assert app.main.messages.active
        line = next(at for at, entry in enumerate(app.main.sidebar.lines) if entry.folder == "sent")
        await pilot.click("#sidebar", offset=(6, line))
        await until(pilot, lambda: app.main.messages.query_shown.folder == "sent")


async def test_one_pane_at_a_time_on_a_narrow_terminal(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "me@gmail.example" not in shown(app)
        await pilot.press("tab")
        assert "me@gmail.example" in shown(app)
        await pilot.press("escape")
        assert "me@gmail.example" not in shown(app)
        await pilot.press("enter")
        assert not app.main.messages.display
        await pilot.resize_terminal(130, 30)
        await until(pilot, lambda: app.main.sidebar.display)
        assert app.main.reader.display
        await pilot.resize_terminal(200, 40)
        await until(pilot, lambda: app.main.messages.display)


async def test_a_terminal_too_small_says_so_and_no_key_acts(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(30, 6)) as pilot:
        assert "Too small" in shown(app)
        app.main.say("Something happened")
        await pilot.pause()
        assert "Something happened" not in shown(app)
        await pilot.press("d", "d")
        assert gmail.count(Query("gmail")) == 200
        await pilot.resize_terminal(90, 24)
        await until(pilot, lambda: "Revised quote" in shown(app))


async def test_the_footer_and_every_line_fit_the_width(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(72, 24)) as pilot:
        for width in (72, 40, 110, 250):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            assert all(len(line) <= width for line in shown(app).split("\n"))


async def test_search_follows_the_typing_and_escape_leads_back(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("j", "j")
        left_at = app.main.messages.cursor_id
        await pilot.press("slash", *"pedido")
        await until(pilot, lambda: app.main.messages.count < 60)
        assert "found" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.main.messages.active)
        assert "Pedido" in shown(app)
        await pilot.press("escape")
        assert app.main.messages.query_shown == Query("gmail")
        assert app.main.messages.cursor_id == left_at
        await pilot.press("l", *"nosuchword")
        await until(pilot, lambda: "Nothing found" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.main.messages.count == 200)
        assert app.main.messages.active


async def test_the_language_switches_live(gmail, monkeypatch):
    """With words of its own, so that it does not depend on how far the catalogue is."""
    portuguese = {"Inbox": "Caixa de Entrada", "Sent": "Itens Enviados", "Actions": "Ações", "Trash": "Lixeira"}

    class Catalogue(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return portuguese.get(message, message)

    known = {"en": gettext.NullTranslations(), "pt_BR": Catalogue()}
    monkeypatch.setattr(i18n._gettext, "translation", lambda _name, _place, wish, **_options: known[wish[0]])
    app = app_on(gmail)
    async with app.run_test(size=(120, 30)) as pilot:
        assert "Inbox" in shown(app)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, Palette))
        await pilot.press(*"language", "enter")
        await until(pilot, lambda: "Caixa de Entrada" in shown(app))
        assert "Itens Enviados" in shown(app)
        assert "Ações" in shown(app)
        assert "d Lixeira" in shown(app)
        app.use_language("en")
        await until(pilot, lambda: "Inbox" in shown(app))


async def test_a_theme_changes_every_colour_at_once(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        before = app.main.messages.ink().bgcolor
        app.use_theme("textual-light")
        await until(pilot, lambda: app.main.messages.ink().bgcolor != before)


async def test_click_moves_double_click_opens_marks_and_stars_can_be_clicked(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.click("#list", offset=(30, 4))
        assert app.main.messages.index == 4
        await pilot.click("#list", offset=(1, 5))
        assert len(app.main.messages.selected) == 1
        await pilot.press("escape")
        await pilot.click("#list", offset=(4, 2))
        await until(pilot, lambda: app.main.messages.row.starred)
        await pilot.click("#list", offset=(30, 3), times=2)
        await until(pilot, lambda: app.main.reading)


async def test_the_actions_button_and_the_footer_can_be_clicked(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.click("#title", offset=(93, 0))
        await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        place = shown(app).split("\n")[-1].index("Trash")
        await pilot.click("#footer", offset=(place, 0))
        await until(pilot, lambda: gmail.count(Query("gmail")) == 199)


async def test_the_wheel_takes_the_cursor_along(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        app.main.messages.jump(50)
        await pilot.pause()
        top = app.main.messages.scroll_offset.y
        assert top <= app.main.messages.index < top + app.main.messages.size.height


async def test_without_a_mailbox_the_welcome_names_the_ways_in(store):
    app = app_on(store)
    async with app.run_test(size=(80, 24)) as pilot:
        text = shown(app)
        assert "No mailbox is connected yet" in text
        assert "crmmail demo" in text
        assert "C connects" in text
        await pilot.press("d", "enter", "x", "g", "i", "slash", "escape")
        await until(pilot, lambda: "No mailbox is connected yet" in shown(app))


STATES = [
    (Status("gmail", Phase.OFFLINE, "No answer.", at=NOW), "Offline", ""),
    (Status("gmail", Phase.FILLING, done=340, total=2000), "Filling 340 of 2,000", ""),
    (Status("gmail", Phase.SIGN_IN, "The session has ended."), "Sign in again (C)", "C Sign in"),
    (Status("gmail", Phase.PAUSED, "Half of the inbox would go."), "Paused: decide (C)", "C Decide"),
    (Status("gmail", Phase.SYNCED, at=NOW, missing={"inbox": 3}), "3 missing", ""),
    (Status("gmail", Phase.SYNCED, at=NOW), "Synced 14:32", ""),
]


@pytest.mark.parametrize(("status", "words", "foot"), STATES, ids=[status.phase.value for status, *_rest in STATES])
async def test_a_state_is_said_where_it_is_seen_with_the_key_that_leads_out(gmail, status, words, foot):
    app = app_on(gmail)
    async with app.run_test(size=(120, 30)) as pilot:
        gmail.say(status)
        await until(pilot, lambda: shown(app).count(words) == 2)
        assert foot in shown(app)


async def test_the_fuse_is_decided_by_the_user(gmail, monkeypatch):
    allowed: list[str] = []
    monkeypatch.setattr(gmail, "allow_mass_removal", allowed.append)
    app = app_on(gmail)
    async with app.run_test(size=(120, 30)) as pilot:
        gmail.say(Status("gmail", Phase.PAUSED, "Half of the inbox would go."))
        await until(pilot, lambda: "Paused" in shown(app))
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Half of the inbox would go." in shown(app)
        await pilot.press("y")
        await until(pilot, lambda: allowed == ["gmail"])


async def test_changes_from_other_threads_arrive_whole(gmail):
    import threading

    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        writers = [
            threading.Thread(
                target=lambda start=start: [
                    fill(gmail, "gmail", [incoming(-start - step)], cursor=f"{start}{step}") for step in range(10)
                ]
            )
            for start in (1000, 2000, 3000)
        ]
        for writer in writers:
            writer.start()
        await until(pilot, lambda: app.main.messages.count == 230)
        for writer in writers:
            writer.join()


async def test_the_age_of_the_access_stands_beside_the_state(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(140, 30)) as pilot:
        assert "access renewed" not in shown(app)
        app.main.show_sessions({"gmail": NOW - 27 * 60})
        await until(pilot, lambda: "Synced 14:32 · access renewed 14:05" in shown(app))
        app.main.show_sessions({"gmail": NOW - 26 * 3600})
        await until(pilot, lambda: "access renewed 21/11 12:32" in shown(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "access renewed" not in shown(app))
        assert "Synced 14:32" in shown(app)


async def test_a_mailbox_that_comes_to_need_the_user_says_why_and_the_key(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(140, 30)) as pilot:
        gmail.say(Status("gmail", Phase.SIGN_IN, "Deleting for good needs one more permission.", "Allow it."))
        await until(pilot, lambda: "Deleting for good needs one more permission. Allow it. · C Sign in" in shown(app))
        await pilot.press("j", "d")
        gmail.say(Status("gmail", Phase.SIGN_IN, "Deleting for good needs one more permission.", "Allow it.", at=NOW))
        await pilot.pause(0.05)
        assert "1 moved to trash" in shown(app), "it is said once"


async def test_an_empty_list_says_why_as_soon_as_that_is_known(store):
    connect(store, "gmail")
    app = app_on(store)
    async with app.run_test(size=(100, 30)) as pilot:
        assert "All done" in shown(app)
        store.say(Status("gmail", Phase.SIGN_IN, "The session is over."))
        await until(pilot, lambda: "Session expired" in shown(app))


async def test_the_key_beside_a_mailbox_out_of_view_signs_in_to_it_once_none_in_view_needs_it(store, monkeypatch):
    connect(store, "gmail")
    connect(store, "outlook", 1)
    asked: list[str] = []
    app = app_on(store)
    monkeypatch.setattr(app, "sign_in", asked.append)
    async with app.run_test(size=(120, 36)) as pilot:
        store.say(Status("outlook", Phase.SIGN_IN, "The session is over."))
        app.main.show_folder("gmail", "inbox")
        await until(pilot, lambda: "C Sign in" in shown(app))
        await pilot.press("C")
        assert asked == ["outlook"]
        store.say(Status("gmail", Phase.SIGN_IN, "The session is over."))
        await until(pilot, lambda: shown(app).count("Sign in again (C)") >= 2)
        await pilot.press("C")
        assert asked == ["outlook", "gmail"]


async def test_who_signs_in_again_stays_with_what_the_session_was_needed_for(store):
    connect(store, "gmail")
    app = app_on(store)
    async with app.run_test(size=(100, 30)) as pilot:
        app.main.show_folder("gmail", "trash")
        app._signed_in(Done("me@gmail.example", "file", "gmail"))
        await until(pilot, lambda: "Signed in to me@gmail.example again" in shown(app))
        assert app.main.messages.query_shown == Query("gmail", "trash")


async def test_what_the_store_had_to_mend_is_said_at_the_start_and_when_it_happens(store):
    connect(store, "gmail")
    store.notices.append("An import that broke off is taken back: nothing of it stays.")
    app = app_on(store)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "An import that broke off is taken back" in shown(app))
        assert store.notices == []
        store.notices.append("The local copy was damaged; it fills again.")
        store.say(Status("gmail", Phase.SYNCING))
        await until(pilot, lambda: "The local copy was damaged" in shown(app))


def test_the_palette_names_what_says_little_else_first():
    context = Context(rows=9, targets=1, verbs=frozenset(Verb))
    labels = [command.label for command in matches("crm", context) if "CRM" in command.label]
    assert labels[:2] == ["To the CRM", "Connect a CRM"]
    assert [command.label for command in matches("mark as", context)][:2] == ["Mark as read", "Mark as unread"]
    found = matches("", context)
    assert found == [command for command in COMMANDS if command in found], "nothing typed: as they stand in the menu"


@pytest.mark.parametrize("keys", ["question_mark", "full_stop", "g b", "g o", "q", "ctrl+k", "D"])
@pytest.mark.parametrize("often", ["escape", "q", "enter"])
async def test_what_is_pressed_too_often_closes_one_screen(gmail, keys, often):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("g", "number_sign")
        await until(pilot, lambda: app.main.messages.count == 2)
        await pilot.press(*keys.split())
        await until(pilot, lambda: app.screen is not app.main)
        type_ahead(app, [often] * 4)
        await pilot.pause(0.3)
        assert app.screen_stack[0] is app.main
        assert often != "escape" or app.screen is app.main
    assert app._exception is None


async def test_escape_twice_in_a_question_of_the_composer_leaves_the_composer_open(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Composer))
        await pilot.press("alt+a")
        await until(pilot, lambda: isinstance(app.screen, Dialog))
        dialog = app.screen
        for _turn in range(3):
            dialog.post_message(events.Key("escape", None))
        await pilot.pause(0.3)
        assert isinstance(app.screen, Composer)


async def test_what_came_over_a_screen_stays_when_that_is_answered(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("full_stop")
        await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
        menu = app.screen
        over = Confirm("Over it?", "", "Yes")
        await app.push_screen(over)
        for _turn in range(2):
            menu.post_message(events.Key("escape", None))
        await pilot.pause(0.2)
        assert app.screen is over
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_what_is_typed_right_behind_the_slash_is_searched_for(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        type_ahead(app, "/dde")
        await until(pilot, lambda: "0 found" in shown(app))
        assert app.main._find_line.value == "dde"
        await pilot.press("escape")
        await until(pilot, lambda: "200 messages" in shown(app))


async def test_a_search_opened_again_and_again_leaves_no_line_behind(gmail):
    app = app_on(gmail)
    chance = random.Random(3)
    async with app.run_test(size=(100, 30)) as pilot:
        for _turn in range(30):
            type_ahead(app, chance.choices(["/", "escape", "/", "enter", "tab"], k=5))
            await pilot.pause(chance.choice([0.0, 0.0, 0.01]))
        for _turn in range(4):
            await pilot.press("escape")
            await pilot.pause(0.05)
        assert (app.focused, app.main._find_line) == (None, None)
        assert not app.main.query("FindInput")
    assert app._exception is None


@pytest.mark.parametrize("often", range(1, 5))
async def test_the_composer_left_as_soon_as_it_is_opened(gmail, often):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        type_ahead(app, ["c", *["escape"] * often] * 2)
        await pilot.pause(0.5)
        assert app.screen_stack[0] is app.main
    assert app._exception is None


async def test_a_form_asks_once_whether_to_leave(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        form = Form("Account", [Field("name", "Name")])
        await app.push_screen(form)
        await pilot.press(*"Acme")
        for _turn in range(4):
            form.post_message(events.Key("escape", None))
        await pilot.pause(0.3)
        assert [type(screen) for screen in app.screen_stack[1:]] == [Form, Confirm]
