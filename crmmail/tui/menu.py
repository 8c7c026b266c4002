"""The Actions menu: what can be done with these messages now, each with its key."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from crmmail.i18n import _, ngettext
from crmmail.tui import words
from crmmail.tui.commands import ACT, COMMANDS, Command, Context, possible
from crmmail.tui.dialogs import HEADING, MOVES, Choices, Dialog
from crmmail.tui.keymap import Keymap


class ActionsMenu(Dialog[str]):
    """Answers the id of the command chosen. Its own key chooses a command too."""

    def __init__(self, keymap: Keymap, context: Context, targets: Sequence[int]) -> None:
        super().__init__()
        self.keymap = keymap
        self.count = len(targets)
        self.entries = entries(context)
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, commands, keys."""
        title = ngettext("Actions: {count} message", "Actions: {count} messages", self.count)
        with Vertical(id="box", classes="-menu"):
            yield Static(
                Content(title.format(count=words.number(self.count)) if self.count else _("Actions")), id="question"
            )
            yield self.choices
            yield Static(Content("Enter " + _("choose") + " · Esc " + _("close")), id="hint")

    def ready(self) -> None:
        """As high as it has entries."""
        self.choices.put(
            [(_(item.label), self.keymap.first(item.id)) if item else ("", HEADING) for item in self.entries]
        )
        self.choices.styles.height = max(1, min(len(self.entries), self.app.size.height - 8))
        self.choices.focus()

    def pressed(self, event: events.Key) -> None:
        """Move, choose, or press the command's own key."""
        from crmmail.tui.keyboard import stroke

        key = stroke(event)
        own = [item for item in self.entries if item and key in self.keymap.keys[item.id]]
        if event.key == "enter":
            event.stop()
            self._chosen()
        elif own:
            event.stop()
            self.dismiss(own[0].id)
        elif event.key in MOVES:
            event.stop()
            self.choices.move(MOVES[event.key])
        else:
            super().pressed(event)

    @on(Choices.Chosen)
    def _chosen(self) -> None:
        item = self.entries[self.choices.cursor] if self.entries else None
        self.dismiss(item.id if item else None)


def entries(context: Context) -> list[Command | None]:
    """What is possible, acts first; None where a gap sets groups apart."""
    found = [command for command in COMMANDS if command.menu and possible(command, context)]
    acts: list[Command | None] = [command for command in found if command.group == ACT]
    rest = [command for command in found if command.group != ACT]
    return [*acts, None, *rest] if acts and rest else [*acts, *rest]
