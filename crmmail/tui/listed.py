"""A screen that is one list of choices with the commands of the chosen one: moving, and saying something below it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.tui import format
from crmmail.tui.commands import COMMANDS, Command, possible
from crmmail.tui.dialogs import Choices
from crmmail.tui.keyboard import Keyboard


class Listed(Keyboard):
    """Mix into a modal screen with a `#text` for sentences and a `#hint` for keys below its `choices`."""

    choices: Choices

    def explain(self) -> None:
        """Say what is to be known of the chosen line, and its keys."""
        raise NotImplementedError

    @property
    def _screen(self) -> ModalScreen[Any]:
        assert isinstance(self, ModalScreen)
        return self

    def tell_keys(self, pane: str) -> None:
        """The keys that mean something now, in lines that tear none apart."""
        context = self.context()
        useful = [one for one in COMMANDS if one.footer and pane in one.panes and possible(one, context)]
        useful.sort(key=lambda one: one.footer != 5 and one.footer)
        keys = [f"{self.keymap.first(one.id)} {_(one.short or one.label)}" for one in useful if one.id != "help"]
        hint = self._screen.query_one("#hint", Static)
        hint.update(Content("\n".join(packed(keys, hint.content_size.width or 60))))

    def hint(self, sentence: str) -> None:
        """Below the list."""
        self._screen.query_one("#text", Static).update(Content(format.clean(sentence)))

    def fail(self, error: CrmMailError) -> None:
        """Below the list."""
        self.hint(str(error))

    def show_prefix(self, entries: Iterable[Command]) -> None:
        """There is no room for the panel here: the keys stand in the list."""

    def _move(self, by: int) -> None:
        self.choices.move(by)
        self.explain()

    def on_choices_chosen(self) -> None:
        """A line was clicked. (By its name: Textual looks for `@on` only in classes of its own.)"""
        self.explain()

    def action_down(self) -> None:
        """Next entry."""
        self._move(1)

    def action_up(self) -> None:
        """Previous entry."""
        self._move(-1)

    def action_page_down(self) -> None:
        """A screenful down."""
        self._move(10)

    def action_page_up(self) -> None:
        """A screenful up."""
        self._move(-10)

    def action_top(self) -> None:
        """The first."""
        self._move(-len(self.choices.lines))

    def action_bottom(self) -> None:
        """The last."""
        self._move(len(self.choices.lines))

    def action_leave(self) -> None:
        """Leave the program."""
        self._screen.app.exit()


def packed(entries: list[str], width: int) -> list[str]:
    """`entries` with dots between them, in lines of `width` cells: none is torn apart."""
    lines: list[str] = []
    for entry in entries:
        longer = f"{lines[-1]} · {entry}" if lines else ""
        if longer and format.width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(entry)
    return lines
