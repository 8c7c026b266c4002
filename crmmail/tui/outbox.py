"""The outbox: what waits for a server, and what one refused, with its sentence and a way on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from crmmail.errors import CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.model import Change, Op, OpState
from crmmail.tui import format, words
from crmmail.tui.commands import OUTBOX, Command, Context
from crmmail.tui.dialogs import Choices
from crmmail.tui.keyboard import Keyboard
from crmmail.tui.keymap import Keymap

if TYPE_CHECKING:
    from crmmail.store import Store


class Outbox(Keyboard, ModalScreen[None]):
    """One line an act. `r` tries a refused one again, `d` gives it up."""

    def __init__(self, store: Store, keymap: Keymap, *, clock: Callable[[], float]) -> None:
        super().__init__()
        self.store = store
        self.keymap = keymap
        self.clock = clock
        self.acts: list[list[Op]] = []
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, acts, keys."""
        with Vertical(id="box", classes="-help"):
            yield Static(Content(_("Outbox")), id="question")
            yield self.choices
            yield Static(id="text")
            first = self.keymap.first
            hint = _("{retry} try again · {discard} give up · {close} close").format(
                retry=first("retry"), discard=first("discard"), close=first("close_outbox")
            )
            yield Static(Content(hint), id="hint")

    def on_mount(self) -> None:
        """Read it."""
        self.choices.styles.height = max(3, min(16, self.app.size.height - 12))
        self.choices.focus()
        self.read()

    def read(self) -> None:
        """Read the outbox again."""
        ops = sorted(self.store.outbox(), key=lambda op: op.act, reverse=True)
        self.acts = [list(some) for _act, some in groupby(ops, key=lambda op: op.act)]
        self.choices.put([self._line(some) for some in self.acts] or [(_("Everything has reached the server."), "")])
        self._explain()

    def _line(self, ops: list[Op]) -> tuple[str, str]:
        refused = [op for op in ops if op.state is OpState.REJECTED]
        waiting = max((op.not_before for op in ops), default=0.0)
        if refused:
            state = _("refused")
        elif waiting > self.clock():
            state = _("waits until {time}").format(time=words.clock(waiting))
        elif any(op.state is OpState.SENDING for op in ops):
            state = _("on its way")
        else:
            state = _("waits")
        return words.done(ops[0].kind, len(ops)), state

    @property
    def chosen(self) -> list[Op]:
        """The act under the cursor."""
        return self.acts[self.choices.cursor] if 0 <= self.choices.cursor < len(self.acts) else []

    def _explain(self) -> None:
        sentence = next((op.error for op in self.chosen if op.error), "")
        self.query_one("#text", Static).update(Content(format.clean(sentence)))

    def publish(self, change: Change) -> None:
        """The store changed."""
        if change.outbox or change.rejected:
            self.read()

    # --- Keyboard

    def context(self) -> Context:
        """Only the commands of the outbox."""
        return Context(pane=OUTBOX, outbox=len(self.acts))

    def hint(self, sentence: str) -> None:
        """Below the list."""
        self.query_one("#text", Static).update(Content(format.clean(sentence)))

    def fail(self, error: CrmMailError) -> None:
        """Below the list."""
        self.hint(str(error))

    def show_prefix(self, entries: Iterable[Command]) -> None:
        """There is no room for the panel here: the keys stand in the list."""

    def action_down(self) -> None:
        """Next act."""
        self.choices.move(1)
        self._explain()

    def action_up(self) -> None:
        """Previous act."""
        self.choices.move(-1)
        self._explain()

    def action_page_down(self) -> None:
        """A screenful down."""
        self.choices.move(10)
        self._explain()

    def action_page_up(self) -> None:
        """A screenful up."""
        self.choices.move(-10)
        self._explain()

    def action_top(self) -> None:
        """The newest."""
        self.choices.move(-len(self.acts))
        self._explain()

    def action_bottom(self) -> None:
        """The oldest."""
        self.choices.move(len(self.acts))
        self._explain()

    def action_retry(self) -> None:
        """Ask the server again."""
        if self.chosen:
            self.store.retry(self.chosen[0].act)
            self.app.call_next(self.read)

    def action_discard(self) -> None:
        """Give it up: the message stays as the server has it."""
        if self.chosen:
            count = len(self.chosen)
            self.store.discard(self.chosen[0].act)
            self.read()
            self.hint(ngettext("{count} change given up", "{count} changes given up", count).format(count=count))

    def action_close_outbox(self) -> None:
        """Back."""
        self.dismiss(None)

    action_palette = action_refresh = action_help = action_close_outbox

    def action_leave(self) -> None:
        """Leave the program."""
        self.app.exit()
