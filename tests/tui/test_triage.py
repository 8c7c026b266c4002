"""Triage from the keyboard: every verb from its key, the Actions menu and the palette; the cursor; undo."""

from __future__ import annotations

import pytest

from crmmail.model import Page, Patch, Query, State
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.tui.dialogs import Confirm
from crmmail.tui.help import Help
from crmmail.tui.menu import ActionsMenu
from crmmail.tui.palette import Palette
from tests.tui.conftest import NOW, app_on, connect, fill, inbox, incoming, raw, shown, type_ahead, until

TRASH = Query("gmail", "trash")


def state(store: Store, message: int) -> State:
    return store.states([message])[message][1]


VERBS = [  # verb, key, where, words typed in the palette, how one sees that it was done
    (Verb.READ, "I", "inbox", "mark as read", lambda now: not now.unread),
    (Verb.UNREAD, "U", "inbox", "mark as unread", lambda now: now.unread),
    (Verb.FAVORITE, "s", "inbox", "favorite", lambda now: now.starred),
    (Verb.TRASH, "d", "inbox", "send to trash", lambda now: "trash" in now.folders),
    (Verb.ARCHIVE, "e", "inbox", "archive", lambda now: "inbox" not in now.folders),
    (Verb.RECOVER, "u", "trash", "recover", lambda now: "trash" not in now.folders),
]


@pytest.mark.parametrize("way", ["key", "menu", "palette"])
@pytest.mark.parametrize(
    ("verb", "key", "where", "words", "done"), VERBS, ids=lambda value: getattr(value, "value", None)
)
async def test_a_verb_from_its_key_the_menu_and_the_palette(gmail, verb, key, where, words, done, way):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        if where == "trash":
            await pilot.press("g", "x")
        elif verb is Verb.UNREAD:
            await pilot.press("j")
        target = app.main.messages.cursor_id
        before = state(gmail, target)
        if way == "key":
            await pilot.press(key)
        elif way == "menu":
            await pilot.press("full_stop")
            await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
            labels = [item.id if item else "" for item in app.screen.entries]
            await pilot.press(*["down"] * sum(1 for label in labels[: labels.index(verb.value)] if label), "enter")
        else:
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, Palette))
            await pilot.press(*words.replace(" ", "\0").replace("\0", " ").replace(" ", "§").split("§")[0])
            app.screen._find(words)
            await pilot.press("enter")
        await until(pilot, lambda: done(state(gmail, target)))
        await until(pilot, lambda: "z Undo" in shown(app))
        await pilot.press("z")
        await until(pilot, lambda: state(gmail, target) == before)


async def test_redo_does_again_what_undo_took_back_to_any_depth(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*"ddddd")
        assert inbox(gmail) == start[5:]
        await pilot.press(*"zzzzz")
        assert inbox(gmail) == start
        await pilot.press(*"ZZZ")
        assert inbox(gmail) == start[3:]
        await pilot.press(*"uuu")
        assert inbox(gmail) == start


async def test_more_than_a_screen_of_acts_is_undone_and_done_again(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*"d" * 30)
        assert inbox(gmail) == start[30:]
        await pilot.press(*"z" * 30)
        assert inbox(gmail) == start
        await pilot.press(*"Z" * 30)
        assert inbox(gmail) == start[30:]


async def test_undo_reaches_past_any_number_of_messages_read_since(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("d", "enter", *"J" * 70)
        assert sum(act.kind == "read" for act in gmail.acts(100)) > 20
        await pilot.press("escape", "z")
        assert inbox(gmail) == start


async def test_unfavorite_is_on_the_same_key(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        target = app.main.messages.cursor_id
        await pilot.press("s")
        assert state(gmail, target).starred
        assert "★" in shown(app)
        await pilot.press("s")
        assert not state(gmail, target).starred


@pytest.mark.parametrize(
    ("provider", "key", "why"),
    [
        ("gmail", "D", "Only what is in the trash can be deleted permanently."),
        ("outlook", "D", "Only what is in the trash can be deleted permanently."),
        ("gmail", "U", "Already unread."),
    ],
)
async def test_the_key_of_a_verb_that_cannot_be_says_why(request, provider, key, why):
    store = request.getfixturevalue(provider)
    app = app_on(store)
    before = {one: state(store, one) for one in inbox(store, provider)}
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: why in shown(app))
        assert {one: state(store, one) for one in inbox(store, provider)} == before


async def test_where_there_is_no_message_the_key_of_a_verb_says_nothing(store):
    connect(store, "gmail")
    fill(store, "gmail", [])
    app = app_on(store)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("D", "d", "s")
        await pilot.pause()
        assert "trash can be" not in shown(app)
        assert "favorite" not in shown(app).lower().replace("favorites", "")


async def test_outlook_shows_no_favorites_anywhere(outlook):
    app = app_on(outlook)
    async with app.run_test(size=(120, 30)) as pilot:
        before = state(outlook, app.main.messages.cursor_id)
        await pilot.press("s")
        assert state(outlook, app.main.messages.cursor_id) == before
        assert "avorite" not in shown(app)
        await pilot.press("full_stop")
        await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
        assert "avorite" not in shown(app)
        assert "Archive" in shown(app)


async def test_holding_d_trashes_exactly_the_messages_shown_while_others_arrive(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("j", "j")
        for number in range(100):
            type_ahead(app, "d")
            if number % 2:
                fill(gmail, "gmail", [incoming(-number - 1)], cursor=str(number))
            if number % 10 == 0:
                await pilot.pause()
        await until(pilot, lambda: gmail.count(TRASH) == 102)
        assert set(start[2:102]) < set(gmail.ids(TRASH))
        assert app.main.messages.cursor_id == start[102]


async def test_the_cursor_stays_on_its_message_while_fifty_arrive(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*"jjj")
        held = app.main.messages.cursor_id
        fill(gmail, "gmail", [incoming(-number) for number in range(1, 51)], cursor="2")
        await until(pilot, lambda: app.main.messages.count == 250)
        assert app.main.messages.cursor_id == held
        assert app.main.messages.index == 53
        lines = shown(app).split("\n")
        assert any("▌" in line and "2 " in line for line in lines)


async def test_the_cursor_stays_on_its_message_when_most_of_the_list_leaves_around_it(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*"j" * 100, *"k" * 20)
        assert app.main.messages.cursor_id == start[80]
        left = [*start[:75], *start[125:]]
        gone = State(frozenset({"trash"}))
        gmail.ingest("gmail", Page(cursor="2", patches=tuple(Patch(gmail.locate(one)[1], state=gone) for one in left)))
        await until(pilot, lambda: app.main.messages.count == 50)
        assert app.main.messages.cursor_id == start[80]
        assert app.main.messages.pages.row(app.main.messages.index).id == start[80]


async def test_a_shorter_folder_is_shown_from_its_newest_however_far_down_the_one_before_was(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        gmail.ingest("gmail", Page(cursor="2", upserts=tuple(incoming(2000 + one, "trash") for one in range(60))))
        await pilot.press("G", "g", "x")
        trash = gmail.ids(TRASH)
        assert len(trash) == 62
        assert app.main.messages.cursor_id == trash[0]


async def test_the_next_older_takes_the_cursor_when_its_message_leaves(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*"jj")
        remote = gmail.locate(start[2])[1]
        gone = Patch(remote, state=State(frozenset({"trash"})))
        gmail.ingest("gmail", Page(cursor="3", patches=(gone,)))
        await until(pilot, lambda: app.main.messages.count == 199)
        assert app.main.messages.cursor_id == start[3]


async def test_what_leaves_the_list_is_no_longer_selected(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("x", "j", "x", "j", "x")
        assert app.main.messages.selected == set(start[:3])
        gone = Patch(gmail.locate(start[1])[1], state=State(frozenset({"x:1"})))
        gmail.ingest("gmail", Page(cursor="3", patches=(gone,), removals=(gmail.locate(start[2])[1],)))
        await until(pilot, lambda: app.main.messages.count == 198)
        assert app.main.messages.selected == {start[0]}
        await until(pilot, lambda: "1 selected" in shown(app))
        await pilot.press("d")
        assert "trash" not in state(gmail, start[1]).folders
        assert inbox(gmail) == start[3:]


async def test_undo_in_the_trash_takes_what_it_brings_back_out_of_the_selection(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("asterisk", "a", "asterisk", "a", "d", "g", "x", "asterisk", "a", "asterisk", "a")
        assert len(app.main.messages.selected) == 202
        await pilot.press("z")
        assert inbox(gmail) == start
        await until(pilot, lambda: app.main.messages.selected == set(gmail.ids(TRASH)))
        assert len(app.main.messages.selected) == 2


async def test_selection_by_x_range_and_all(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("x", "j", "j", "x")
        assert app.main.messages.selected == {start[0], start[2]}
        assert "2 selected" in shown(app)
        await pilot.press("escape")
        assert not app.main.messages.selected
        await pilot.press("V", "j", "j")
        assert app.main.messages.selected == set(start[2:5])
        await pilot.press("escape", "home", "shift+down", "shift+down")
        assert app.main.messages.selected == set(start[:3])
        await pilot.press("asterisk", "n")
        assert not app.main.messages.selected
        await pilot.press("asterisk", "a")
        seen = len(app.main.messages.selected)
        assert 10 < seen < 30
        assert "all 200" in shown(app)
        await pilot.press("asterisk", "a")
        assert app.main.messages.selected == set(start)
        await pilot.press("d")
        assert inbox(gmail) == []
        assert "200 moved to trash" in shown(app)
        await pilot.press("z")
        assert inbox(gmail) == start


async def test_selecting_by_state(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s", "asterisk", "s")
        assert app.main.messages.selected == {start[0]}
        await pilot.press("asterisk", "u")
        assert start[0] in app.main.messages.selected
        assert start[1] not in app.main.messages.selected
        await pilot.press("asterisk", "r")
        assert start[1] in app.main.messages.selected


async def test_deleting_permanently_asks_and_above_twenty_wants_the_number(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*["d"] * 25)
        await pilot.press("g", "number_sign")
        assert app.main.messages.count == 27
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert gmail.count(TRASH) == 27
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: gmail.count(TRASH) == 26)
        await pilot.press("asterisk", "a", "asterisk", "a", "D")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("1", "enter")
        assert gmail.count(TRASH) == 26
        await pilot.press("backspace", "2", "6", "enter")
        await until(pilot, lambda: gmail.count(TRASH) == 0)
        assert "The trash is empty" in shown(app)
        assert "Undo" not in shown(app).split("\n")[-2]


async def test_emptying_the_trash_is_in_its_actions_menu(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("g", "x", "full_stop")
        await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
        assert "Empty trash" in shown(app)
        assert "Recover from trash" in shown(app)
        assert "Send to trash" not in shown(app)
        await pilot.press("escape")
        await app.main.run_command("empty_trash")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: gmail.count(TRASH) == 0)


async def test_an_unknown_second_key_does_nothing_and_says_so(gmail):
    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("g")
        await until(pilot, lambda: "Favorites" in shown(app) and "g …" in shown(app))
        await pilot.press("d")
        assert app.main.messages.query_shown.folder == "drafts"
        await pilot.press("g", "i", "g", "z")
        assert "means nothing here" in shown(app)
        await pilot.press("g", "escape", "d")
        assert inbox(gmail) == start[1:]


async def test_a_refused_act_comes_back_with_its_sentence(gmail):
    from crmmail.errors import Rejected
    from crmmail.model import Ack

    app = app_on(gmail)
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("d")
        wish = gmail.claim("gmail", 10)[0]
        gmail.acknowledge("gmail", [Ack(wish.remote_id, error=Rejected("This folder is closed today."))])
        await until(pilot, lambda: "This folder is closed today." in shown(app))
        assert inbox(gmail) == start
        await pilot.press("g", "o")
        await until(pilot, lambda: "refused" in shown(app))
        assert "1 moved to trash: Revised quote for the Curitiba branch 0" in shown(app)
        await pilot.press("d")
        await until(pilot, lambda: not gmail.outbox())
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_keys_can_be_the_users_own(gmail):
    app = app_on(gmail, keys={"trash": "Y", "go_sent": "g z"})
    start = inbox(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("d")
        assert inbox(gmail) == start
        await pilot.press("Y")
        assert inbox(gmail) == start[1:]
        await pilot.press("g", "z")
        assert app.main.messages.query_shown.folder == "sent"


async def test_help_lists_the_keys_and_closes(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        assert "Send to trash" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_quitting_asks_first(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("q", "y")
        await until(pilot, lambda: not app.is_running)


async def test_hostile_subjects_are_shown_as_they_are(store):
    from tests.tui.conftest import connect

    connect(store, "gmail")
    subjects = ["[/urgent] x", "[b]bold[/b]", "[ @click=app.quit]x", "\x1b[31mred\x1b]0;title\x07", "‮gnp.exe", "[EXT]"]
    fill(
        store,
        "gmail",
        [
            incoming(at, content=raw(at, subject=" ".join(text.split()) if "\x1b" not in text else "x" + text))
            for at, text in enumerate(subjects)
            if "\x1b" not in text
        ],
    )
    app = app_on(store)
    async with app.run_test(size=(120, 30)) as pilot:
        text = shown(app)
        assert "[/urgent] x" in text
        assert "[b]bold[/b]" in text
        assert "[ @click=app.quit]x" in text
        assert "[EXT]" in text
        assert "‮" not in text
        await pilot.press("enter")
        assert "[/urgent] x" in shown(app)
        assert "\x1b" not in shown(app)


def test_the_frozen_moment_is_the_one_in_the_names():
    from datetime import UTC, datetime

    assert datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%d %H:%M") == "2026-11-22 14:32"
