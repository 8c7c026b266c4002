"""One table of everything the user can do; pure, standard library only.

Keys, footer, Actions menu, palette, `?` help, the panel after a prefix key, docs/keys.md and the verbs of the command
line all derive from `COMMANDS`. What is possible right now is asked in one way: `possible(command, context)`.

A key is written as Textual names it ("ctrl+p", "pagedown") or as the character itself ("#", "G"); two of them with a
space between are a chord ("g i"). Where one key serves several commands, the first possible one in table order has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crmmail.i18n import N_
from crmmail.ops import Verb
from crmmail.tui.account_commands import ACCOUNT_LIST, CLASSIFYING, CUSTOMERS, LOG_QUEUE
from crmmail.tui.command import ACT, FIND, GO, GROUPS, MOVE, PROGRAM, READ, SELECT, Command, always, possible
from crmmail.tui.context import (
    ACCOUNTS,
    ANYWHERE,
    COMPOSE,
    LIST,
    MAIL,
    MAILBOXES,
    MAIN,
    NOWHERE,
    OUTBOX,
    PANEL,
    READER,
    SIDEBAR,
    Context,
)
from crmmail.tui.mailbox_commands import BOXES, GOING
from crmmail.tui.writing_commands import ANSWERS, SENDING, WRITING

__all__ = [
    "ACCOUNTS", "ACT", "ANYWHERE", "BY_ID", "COMMANDS", "COMPOSE", "GO", "GROUPS", "LIST", "MAIL", "MAILBOXES", "MAIN",
    "MOVE", "NOWHERE", "OUTBOX", "PANEL", "READER", "SIDEBAR", "Command", "Context", "always", "keys_table", "possible",
]  # fmt: skip


def _allows(verb: Verb) -> Callable[[Context], bool]:
    return lambda context: verb in context.verbs


def _targets(context: Context) -> bool:
    return context.targets > 0


def _rows(context: Context) -> bool:
    return context.rows > 0


def _reading(context: Context) -> bool:
    return context.reading


def _act(verb: Verb, keys: tuple[str, ...], label: str, help: str, short: str, footer: int) -> Command:
    return Command(
        verb.value, keys, label, ACT, help, short, MAIL, _allows(verb), verb, footer, menu=True, cli=verb.value
    )


COMMANDS: tuple[Command, ...] = (
    *CLASSIFYING,
    *ANSWERS,
    # The seed's order: read, unread, favorite, unfavorite, trash; then recover and delete, which live in the trash.
    _act(Verb.READ, ("I",), N_("Mark as read"), N_("The message counts as read."), N_("Read"), 60),
    _act(Verb.UNREAD, ("U", "_"), N_("Mark as unread"), N_("The message counts as new again."), N_("Unread"), 61),
    _act(Verb.FAVORITE, ("s", "F", "insert"), N_("Favorite"), N_("Put it among the favorites."), N_("Favorite"), 40),
    _act(Verb.UNFAVORITE, ("s", "F", "insert"), N_("Remove favorite"), N_("Take it out of the favorites."), "", 41),
    _act(
        Verb.TRASH,
        ("d", "#", "delete"),
        N_("Send to trash"),
        N_("Without a question: it can be undone at any time."),
        N_("Trash"),
        20,
    ),
    _act(
        Verb.RECOVER,
        ("u",),
        N_("Recover from trash"),
        N_("Back to the folder it came from, flags as they were."),
        N_("Recover"),
        21,
    ),
    _act(
        Verb.DELETE,
        ("D", "shift+delete"),
        N_("Delete message permanently"),
        N_("Asks first: this cannot be undone."),
        N_("Delete"),
        22,
    ),
    _act(Verb.ARCHIVE, ("e",), N_("Archive"), N_("Out of the inbox, but kept."), N_("Archive"), 30),
    Command(
        "empty_trash",
        (),
        N_("Empty trash"),
        ACT,
        N_("Deletes everything in the trash for good. Asks first."),
        needs=lambda context: context.folder == "trash" and context.rows > 0,
        menu=True,
    ),
    Command(
        "undo",
        ("z", "ctrl+z"),
        N_("Undo"),
        ACT,
        N_("Takes the last act back: any number of times, offline and after a restart too."),
        panes=MAIN | {ACCOUNTS},
        needs=lambda context: context.undoable,
        footer=50,
        menu=True,
        cli="undo",
    ),
    Command(
        "redo",
        ("Z", "ctrl+y"),
        N_("Redo"),
        ACT,
        N_("Does again what was undone."),
        panes=MAIN | {ACCOUNTS},
        needs=lambda context: context.redoable,
        menu=True,
        cli="redo",
    ),
    *WRITING,
    *CUSTOMERS,
    # --- select
    Command(
        "select",
        ("x", "t"),
        N_("Select or unselect"),
        SELECT,
        short=N_("Select"),
        panes=frozenset({LIST}),
        needs=_rows,
        footer=70,
        menu=True,
    ),
    Command(
        "range",
        ("V",),
        N_("Select a range"),
        SELECT,
        N_("Move to its other end; Esc ends it."),
        panes=frozenset({LIST}),
        needs=_rows,
    ),
    Command("range_down", ("shift+down",), N_("Select downwards"), SELECT, panes=frozenset({LIST}), needs=_rows),
    Command("range_up", ("shift+up",), N_("Select upwards"), SELECT, panes=frozenset({LIST}), needs=_rows),
    Command(
        "select_all",
        ("* a", "ctrl+a"),
        N_("Select all"),
        SELECT,
        N_("First what the list has loaded; again: everything in the folder."),
        panes=frozenset({LIST}),
        needs=_rows,
        menu=True,
    ),
    Command(
        "select_none",
        ("* n",),
        N_("Select none"),
        SELECT,
        panes=frozenset({LIST}),
        needs=lambda context: context.selected > 0,
    ),
    Command("select_read", ("* r",), N_("Select read"), SELECT, panes=frozenset({LIST}), needs=_rows),
    Command("select_unread", ("* u",), N_("Select unread"), SELECT, panes=frozenset({LIST}), needs=_rows),
    Command(
        "select_starred",
        ("* s",),
        N_("Select favorites"),
        SELECT,
        panes=frozenset({LIST}),
        needs=lambda context: context.favorites and context.rows > 0,
    ),
    # --- read
    Command(
        "open",
        ("enter", "o", "right"),
        N_("Open"),
        READ,
        panes=frozenset({LIST, SIDEBAR}),
        needs=lambda context: context.rows > 0 or context.pane == SIDEBAR,
        footer=10,
    ),
    Command(
        "back",
        ("escape", "q", "u", "left"),
        N_("Back to the list"),
        READ,
        short=N_("Back"),
        panes=frozenset({READER}),
        footer=5,
    ),
    Command("next_message", ("J",), N_("Next message"), READ, short=N_("Next"), panes=MAIL, needs=_reading, footer=80),
    Command("previous_message", ("K",), N_("Previous message"), READ, panes=MAIL, needs=_reading),
    Command(
        "thread_next",
        ("n",),
        N_("Next in the conversation"),
        READ,
        panes=frozenset({READER}),
        needs=lambda context: context.thread > 1,
    ),
    Command(
        "thread_previous",
        ("p",),
        N_("Previous in the conversation"),
        READ,
        panes=frozenset({READER}),
        needs=lambda context: context.thread > 1,
    ),
    Command("page_on", ("space",), N_("Scroll on, then the next message"), READ, panes=frozenset({READER})),
    Command(
        "quotes",
        ("T",),
        N_("Show or fold quoted text"),
        READ,
        short=N_("Quotes"),
        panes=frozenset({READER}),
        needs=lambda context: context.quotes,
        footer=75,
        menu=True,
    ),
    Command(
        "show_all",
        ("S",),
        N_("Show the whole message"),
        READ,
        panes=frozenset({READER}),
        needs=lambda context: context.cut,
        menu=True,
    ),
    Command(
        "attachments",
        ("v",),
        N_("Attachments"),
        READ,
        N_("Save one, save all, or open one."),
        panes=frozenset({READER}),
        needs=lambda context: context.attachments > 0,
        footer=65,
        menu=True,
    ),
    Command(
        "links",
        ("L",),
        N_("Links"),
        READ,
        N_("Every link with the host it really leads to."),
        panes=frozenset({READER}),
        needs=lambda context: context.links > 0,
        footer=66,
        menu=True,
    ),
    Command("headers", ("h",), N_("Show all headers"), READ, panes=frozenset({READER}), needs=_targets, menu=True),
    Command(
        "raw",
        ("ctrl+o",),
        N_("Show the source"),
        READ,
        N_("The message as it came over the network."),
        panes=MAIL,
        needs=_targets,
        menu=True,
    ),
    # --- move
    Command("down", ("j", "down"), N_("Down"), MOVE, panes=ANYWHERE),
    Command("up", ("k", "up"), N_("Up"), MOVE, panes=ANYWHERE),
    Command("page_down", ("pagedown", "ctrl+d"), N_("Page down"), MOVE, panes=ANYWHERE),
    Command("page_up", ("pageup", "ctrl+b"), N_("Page up"), MOVE, panes=ANYWHERE),
    Command("list_page", ("space",), N_("Page down"), MOVE, panes=frozenset({LIST, SIDEBAR})),
    Command("top", ("g g", "home"), N_("To the top"), MOVE, panes=ANYWHERE),
    Command("bottom", ("G", "end"), N_("To the end"), MOVE, panes=ANYWHERE),
    Command("next_folder", ("]",), N_("Next folder"), MOVE),
    Command("previous_folder", ("[",), N_("Previous folder"), MOVE),
    Command("next_pane", ("tab", "f6"), N_("Next pane"), MOVE, short=N_("Pane"), footer=90),
    Command("previous_pane", ("shift+tab", "shift+f6"), N_("Previous pane"), MOVE),
    # The second key is a dead one on Brazilian keyboards, hence the first.
    Command("folders", ("f2", "`"), N_("Show or hide the folders"), MOVE),
    # --- go
    Command("go_inbox", ("g i",), N_("Inbox"), GO),
    Command("go_favorites", ("g s",), N_("Favorites"), GO, needs=lambda context: context.favorites),
    Command("go_drafts", ("g d",), N_("Drafts"), GO),
    Command("go_sent", ("g t",), N_("Sent"), GO),
    Command("go_trash", ("g #", "g x"), N_("Trash"), GO),
    Command("go_all", ("g a",), N_("All mail"), GO),
    Command("go_outbox", ("g o",), N_("Outbox"), GO, N_("What waits for the server, and what it refused.")),
    Command("go_unified", ("g u",), N_("All inboxes"), GO, needs=lambda context: context.mailboxes > 1),
    *GOING,
    # --- find
    Command("search", ("/", "ctrl+f"), N_("Search"), FIND, N_("In all folders of the mailbox."), footer=85),
    Command("filter", ("l", "\\"), N_("Filter this list"), FIND, short=N_("Filter"), panes=MAIL),
    Command(
        "leave_search",
        ("escape",),
        N_("Leave the search"),
        FIND,
        panes=frozenset({LIST, SIDEBAR}),
        needs=lambda context: context.searching and not context.selected,
        short=N_("All"),
        footer=5,
    ),
    Command(
        "unselect",
        ("escape",),
        N_("Unselect"),
        SELECT,
        panes=frozenset({LIST}),
        needs=lambda context: context.selected > 0,
        footer=5,
    ),
    Command("to_list", ("escape",), N_("Back to the list"), MOVE, short=N_("Back"), panes=frozenset({SIDEBAR, PANEL})),
    # --- program
    Command("actions", (".",), N_("Actions"), PROGRAM, N_("A menu of all that can be done now."), footer=15),
    Command("palette", ("ctrl+p", "ctrl+k"), N_("Find a command"), PROGRAM, panes=ANYWHERE),
    Command(
        "refresh", ("f5", "ctrl+r"), N_("Ask the server for new mail"), PROGRAM, short=N_("Refresh"), panes=ANYWHERE
    ),
    Command(
        "sign_in",
        ("C",),
        N_("Sign in again"),
        PROGRAM,
        short=N_("Sign in"),
        needs=lambda context: context.trouble == "sign_in",
        footer=1,
        menu=True,
    ),
    Command(
        "allow_removal",
        ("C",),
        N_("Decide about the pause"),
        PROGRAM,
        short=N_("Decide"),
        needs=lambda context: context.trouble == "paused",
        footer=1,
        menu=True,
    ),
    Command("connect", ("C",), N_("Connect a mailbox"), PROGRAM, short=N_("Connect")),
    Command(
        "connect_crm",
        (),
        N_("Connect a CRM"),
        PROGRAM,
        N_("SharpSpring, Tryton, this computer, or one that takes a copy."),
    ),
    *SENDING,
    *BOXES,
    *ACCOUNT_LIST,
    *LOG_QUEUE,
    Command("close_outbox", ("escape", "q", "left"), N_("Back"), PROGRAM, panes=frozenset({OUTBOX}), footer=5),
    Command("language", (), N_("Switch the language"), PROGRAM),
    Command("theme", (), N_("Choose a theme"), PROGRAM),
    Command("keys_preset", (), N_("Choose the keys"), PROGRAM, N_("Those of Gmail, mutt, aerc or Outlook.")),
    Command("help", ("?", "f1"), N_("Help"), PROGRAM, panes=ANYWHERE, footer=95),
    Command("quit", ("q",), N_("Quit"), PROGRAM, N_("Asks first."), panes=frozenset({LIST, SIDEBAR}), footer=99),
    Command("leave", ("ctrl+q",), N_("Quit at once"), PROGRAM, panes=ANYWHERE | {NOWHERE, COMPOSE}),
    # Last, because `u` means something better in the reader and in the trash.
    Command(
        "undo_too",
        ("u",),
        N_("Undo"),
        ACT,
        panes=frozenset({LIST}),
        needs=lambda context: context.folder != "trash" and context.undoable,
    ),
)

BY_ID: Mapping[str, Command] = {command.id: command for command in COMMANDS}


def keys_table(lang: str = "", preset: str = "gmail") -> str:
    """docs/keys.md: every command with its keys, as Markdown in `lang` ('' = the current language)."""
    from crmmail.tui import keys_doc

    return keys_doc.table(lang, preset)
