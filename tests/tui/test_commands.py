"""The one table: ids, keys, presets, and what derives from it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crmmail import config, i18n
from crmmail.ops import Verb
from crmmail.tui import keymap
from crmmail.tui.accounts import AccountsScreen
from crmmail.tui.boxes import Mailboxes
from crmmail.tui.commands import (
    ACCOUNTS,
    BY_ID,
    COMMANDS,
    COMPOSE,
    LIST,
    MAIN,
    OUTBOX,
    READER,
    Context,
    keys_table,
    possible,
)
from crmmail.tui.compose import ComposeScreen
from crmmail.tui.context import LOGGING, MAILBOXES
from crmmail.tui.keymap import PRESETS, Keymap
from crmmail.tui.log_queue import LogQueue
from crmmail.tui.main import MainScreen
from crmmail.tui.outbox import Outbox


def test_ids_are_unique_and_every_command_has_its_method():
    assert len(BY_ID) == len(COMMANDS)
    for command in COMMANDS:
        screens = {COMPOSE: ComposeScreen, OUTBOX: Outbox, MAILBOXES: Mailboxes, ACCOUNTS: AccountsScreen}
        screens[LOGGING] = LogQueue
        found = [MainScreen] if command.panes & MAIN else []
        found += [screen for pane, screen in screens.items() if pane in command.panes]
        for screen in found:
            assert callable(getattr(screen, f"action_{command.id}")), (command.id, screen)


def test_the_default_keys_are_those_promised():
    promised = {
        "go_inbox": "g i", "go_favorites": "g s", "go_drafts": "g d", "go_sent": "g t", "go_trash": "g # g x",
        "go_all": "g a", "go_outbox": "g o", "top": "g g home", "bottom": "G end", "select_all": "* a ctrl+a",
        "select_none": "* n", "select_read": "* r", "select_unread": "* u", "select_starred": "* s",
        "down": "j down", "up": "k up", "open": "enter o", "favorite": "s F insert", "read": "I", "unread": "U _",
        "trash": "d # delete", "recover": "u", "delete": "D shift+delete", "undo": "z", "redo": "Z", "archive": "e",
        "select": "x t", "range": "V", "search": "/ ctrl+f", "filter": "l \\", "next_folder": "]",
        "previous_folder": "[", "next_pane": "tab f6", "actions": ".", "palette": "ctrl+p ctrl+k", "headers": "h",
        "raw": "ctrl+o", "attachments": "v", "links": "L", "refresh": "f5 ctrl+r", "help": "? f1", "quit": "q",
        "leave": "ctrl+q", "next_message": "J", "previous_message": "K", "thread_next": "n", "thread_previous": "p",
        "compose": "c m", "reply": "r", "reply_all": "a R", "forward": "f",
        "compose_send": "ctrl+j ctrl+enter alt+s f9", "compose_save": "ctrl+s", "compose_close": "escape",
        "compose_cc": "alt+c f3", "compose_bcc": "alt+b f4", "compose_from": "alt+f f2", "compose_attach": "alt+a f5",
        "compose_clear": "alt+x", "compose_editor": "ctrl+g",
        "go_accounts": "g c", "link_account": "A", "account_panel": "i", "select_account": "* c",
        "compose_account": "alt+l",
    }  # fmt: skip
    for name, keys in promised.items():
        mine = " ".join(BY_ID[name].keys)
        assert all(key in mine for key in keys.split()), name


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_shadows_a_command_that_is_always_possible(preset):
    keys = Keymap.build(preset)
    for table in (keys.single, *keys.chords.values()):
        for key, found in table.items():
            unconditional = [command for command in found if command.needs.__name__ == "always"]
            for at, command in enumerate(unconditional):
                later = unconditional[at + 1 :]
                clash = [other.id for other in later if other.panes & command.panes]
                assert not clash, f"{preset}: {key} is {command.id} and {clash}"
    assert not set(keys.single) & set(keys.chords), "a key cannot be a command and a prefix"


@pytest.mark.parametrize("preset", PRESETS)
def test_in_no_preset_does_a_key_for_mail_mean_something_about_accounts_in_another_folder(preset):
    """Such as A: archive in the inbox of aerc's keys, and a link to an account where nothing can be archived."""
    keys = Keymap.build(preset)
    customers = {"link_account", "private", "private_thread", "account_panel", "next_account", "previous_account"}
    for key, found in keys.single.items():
        named = {command.id for command in found if command.panes & MAIN}
        assert not (named & customers and named - customers), f"{preset}: {key} is {named}"


def test_every_preset_names_known_commands():
    for name, changes in PRESETS.items():
        assert set(changes) <= set(BY_ID), name
    assert tuple(PRESETS) == config.KEY_PRESETS


def test_one_key_means_what_is_possible_where_it_is_pressed():
    keys = Keymap.build()

    def meaning(key: str, **context: object) -> str:
        found = (command for command in keys.single[key] if possible(command, Context(**context)))  # type: ignore[arg-type]
        return next(found).id

    assert meaning("u", pane=LIST, folder="trash", verbs=frozenset({Verb.RECOVER})) == "recover"
    assert meaning("u", pane=LIST, undoable=True) == "undo_too"
    assert meaning("u", pane=READER) == "back"
    assert meaning("s", verbs=frozenset({Verb.FAVORITE})) == "favorite"
    assert meaning("s", verbs=frozenset({Verb.UNFAVORITE})) == "unfavorite"
    assert meaning("q", pane=READER) == "back"
    assert meaning("q", pane=LIST) == "quit"
    assert meaning("escape", pane=LIST, selected=2, searching=True) == "unselect"
    assert meaning("escape", pane=LIST, searching=True) == "leave_search"


def test_problems_with_own_keys_are_told():
    assert keymap.problems("gmail", {}) == []
    assert "no command" in keymap.problems("gmail", {"nonsense": "x"})[0]
    assert "begins other keys" in keymap.problems("gmail", {"help": "g"})[0]
    assert any("both" in sentence for sentence in keymap.problems("gmail", {"help": "j"}))


def test_keys_are_written_as_people_read_them():
    assert keymap.shown("ctrl+p") == "Ctrl+P"
    assert keymap.shown("shift+delete") == "Shift+Del"
    assert keymap.shown("g #") == "g #"
    assert keymap.shown("pagedown") == "PgDn"
    assert (keymap.shown("space"), keymap.shown("comma l")) == ("Space", ", l")
    i18n.use("pt_BR")
    try:
        assert (keymap.shown("space"), keymap.shown("comma l")) == ("Espaço", ", l")
    finally:
        i18n.use("en")


def test_the_key_table_is_complete_in_both_languages_and_leaves_the_language_alone():
    for language in ("en", "pt_BR"):
        text = keys_table(language)
        assert all(f"`{command.id}`" in text for command in COMMANDS)
    assert i18n.language() == "en"
    assert keys_table("pt_BR").startswith("# ")


def test_the_table_needs_no_textual():
    code = "import sys, crmmail.tui.commands as c; c.keys_table(); sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_verbs_of_the_shell_are_the_verbs_of_the_table():
    from crmmail.cli import VERBS

    assert {command.cli for command in COMMANDS if command.cli} == {*VERBS, "undo", "redo"}


def test_headers_are_shown_of_a_message_only():
    headers = BY_ID["headers"]
    assert possible(headers, Context(pane=READER, reading=True, targets=1))
    assert not possible(headers, Context(pane=READER, reading=True, targets=0))
