"""`?`: every key, by group, from the one table; what works where one is comes first."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from crmmail import __version__
from crmmail.i18n import _
from crmmail.tui import format
from crmmail.tui.commands import COMMANDS, GROUPS
from crmmail.tui.dialogs import HEADING, PAGE_MOVES, Choices, Dialog
from crmmail.tui.keymap import Keymap

_ALIASES = {"undo_too", "list_page"}


class Help(Dialog[None]):
    """A list to read; Esc closes it."""

    def __init__(self, keymap: Keymap, pane: str) -> None:
        super().__init__()
        self.keymap = keymap
        self.pane = pane
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, keys, the way out."""
        with Vertical(id="box", classes="-help"):
            yield Static(Content(_("Keys") + f" · crmmail {__version__}"), id="question")
            yield self.choices
            hint = _("Change them in config.toml · {key} finds commands · Esc closes")
            yield Static(Content(hint.format(key=self.keymap.first("palette"))), id="hint")

    def ready(self) -> None:
        """As high as the screen allows."""
        self.choices.put(lines(self.keymap, min(86, self.app.size.width - 8)))
        self.choices.styles.height = max(3, self.app.size.height - 8)
        self.choices.focus()

    def pressed(self, event: events.Key) -> None:
        """Scroll."""
        if event.key in PAGE_MOVES:
            event.stop()
            self.choices.scroll_by(PAGE_MOVES[event.key])
        elif event.key == "question_mark":
            event.stop()
            self.dismiss(None)
        else:
            super().pressed(event)


def lines(keymap: Keymap, width: int) -> list[tuple[str, str]]:
    """Groups and their commands: (text, keys); what does not fit beside the keys goes on below."""
    out: list[tuple[str, str]] = []
    for group in GROUPS:
        out += [("", HEADING)] if out else []
        out.append((_(group), HEADING))
        for command in COMMANDS:
            if command.group == group and command.id not in _ALIASES and keymap.keys[command.id]:
                text = _(command.label) + (f". {_(command.help)}" if command.help else "")
                keys = keymap.all(command.id)
                first, *more = format.wrap(text, max(20, width - format.width(keys) - 6))
                out += [(first, keys), *((f"  {line}", "") for line in more)]
    return out
