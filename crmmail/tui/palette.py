"""The command palette: type some letters of a command, see its key, run it."""

from __future__ import annotations

import unicodedata

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from crmmail.i18n import _
from crmmail.tui.commands import COMMANDS, GO, MOVE, Command, Context, possible
from crmmail.tui.dialogs import Choices, Dialog
from crmmail.tui.keymap import Keymap

_ALIASES = {"undo_too", "list_page", "palette"}  # the same under another key, or this very screen


def plain(text: str) -> str:
    """`text` without accents and capitals, as people type it."""
    split = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in split if not unicodedata.combining(letter))


def _title(command: Command) -> str:
    return f"{_(command.group)}: {_(command.label)}" if command.group == GO else _(command.label)


def matches(typed: str, context: Context) -> list[Command]:
    """The possible commands whose words contain all words typed.

    Those that begin with them come first, then those that say little else.
    """
    wanted = plain(typed).split()
    found: list[tuple[int, int, int, Command]] = []
    for place, command in enumerate(COMMANDS):
        if command.id in _ALIASES or (command.group == MOVE and not wanted) or not possible(command, context):
            continue
        label = plain(_(command.label))
        text = f"{label} {plain(_(command.help))} {plain(_(command.group))} {command.id}"
        if all(word in text for word in wanted):
            begins = bool(wanted) and label.startswith(wanted[0])
            inside = all(word in label for word in wanted)
            rank = 0 if begins else 1 if inside else 2
            found.append((rank, len(label.split()) if wanted else 0, place, command))
    return [item[-1] for item in sorted(found, key=lambda item: item[:3])]


class Palette(Dialog[str]):
    """Answers the id of the command chosen."""

    def __init__(self, keymap: Keymap, context: Context) -> None:
        super().__init__()
        self.keymap = keymap
        self.context = context
        self.found: list[Command] = []
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """A line to type in, what it finds."""
        with Vertical(id="box", classes="-palette"):
            yield Input(placeholder=_("Type what you want to do"), id="typed", compact=True)
            yield self.choices
            yield Static(Content("Enter " + _("run") + " · Esc " + _("close")), id="hint")

    def ready(self) -> None:
        """Everything, until something is typed."""
        self.choices.styles.height = max(3, min(14, self.app.size.height - 8))
        self._find("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._find(event.value)

    def _find(self, typed: str) -> None:
        self.found = matches(typed, self.context)
        self.choices.cursor = 0
        self.choices.put(
            [(_title(item), self.keymap.first(item.id)) for item in self.found] or [(_("No such command"), "")]
        )

    def pressed(self, event: events.Key) -> None:
        """Arrows move while typing goes on."""
        if event.key in ("down", "up", "pagedown", "pageup"):
            event.stop()
            self.choices.move({"down": 1, "up": -1, "pagedown": 10, "pageup": -10}[event.key])
        elif event.key == "escape":
            event.stop()
            self.dismiss(None)

    @on(Input.Submitted)
    @on(Choices.Chosen)
    def _chosen(self) -> None:
        self.dismiss(self.found[self.choices.cursor].id if self.found else None)
