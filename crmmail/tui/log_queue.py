"""What waits to be told to the CRM, what it refused, what asks, and what was told last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from crmmail.crm.model import LogState, LogStatus
from crmmail.i18n import _
from crmmail.model import Change
from crmmail.tui import account_words
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.commands import Context
from crmmail.tui.context import LOGGING
from crmmail.tui.dialogs import Choices
from crmmail.tui.keymap import Keymap
from crmmail.tui.listed import Listed

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.store.logbook import Op

OPEN, DECIDE, ACCOUNT = "open", "decide", "account"
Answer = tuple[str, int | str]
"""What to do with which message; ACCOUNT: which account to show."""


class LogQueue(ClosesOnce, Listed, ModalScreen["Answer | None"]):
    """One line a message or account the CRM is told of."""

    def __init__(self, store: Store, keymap: Keymap) -> None:
        super().__init__()
        self.store = store
        self.keymap = keymap
        self.ops: list[Op] = []
        self.message = 0  # what is under the cursor, where it is one and here
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, lines, what is to be known of the chosen one, keys."""
        with Vertical(id="box", classes="-help"):
            yield Static(Content(_("To the CRM")), id="question")
            yield self.choices
            yield Static(id="text")
            yield Static(id="hint")

    def on_mount(self) -> None:
        """Read it."""
        self.choices.styles.height = max(3, min(16, self.app.size.height - 12))
        self.choices.focus()
        self.read()

    def read(self) -> None:
        """Read the queue again; the cursor stays on its line."""
        before = self.op
        self.ops = self.store.log_queue()
        at = next((at for at, op in enumerate(self.ops) if before and op.id == before.id), None)
        if at is not None:
            self.choices.cursor = at
        lines = [(op.subject or op.key.partition(":")[2], self._words(op)) for op in self.ops]
        self.choices.put(lines or [(_("Nothing waits, and nothing was told yet."), "")])
        self.explain()

    def _words(self, op: Op) -> str:
        return account_words.log_state(LogState(0, LogStatus(op.state), crm=op.crm))[0]

    @property
    def op(self) -> Op | None:
        """What is under the cursor."""
        return self.ops[self.choices.cursor] if 0 <= self.choices.cursor < len(self.ops) else None

    def explain(self) -> None:
        """What became of the chosen one, and what can be done."""
        self.message = self.store.message_of_log(self.op.id) if self.op else 0
        self.hint(self.op.error if self.op else "")
        self.tell_keys(LOGGING)

    def publish(self, change: Change) -> None:
        """The store changed."""
        if change.crm:
            self.read()

    def context(self) -> Context:
        """Only the commands of this list, and what the chosen line allows."""
        return Context(pane=LOGGING, logging=self.op.state if self.op else "", logs_mail=self.message > 0)

    def action_log_open(self) -> None:
        """The message; where it is no message, or no longer here, its account."""
        if self.message:
            self.dismiss((OPEN, self.message))
        elif self.op is not None:
            self.dismiss((ACCOUNT, self.op.account))

    def action_log_decide(self) -> None:
        """Exactly what would be told, and the keys that decide."""
        self.dismiss((DECIDE, self.message))

    def action_log_again(self) -> None:
        """Try again what failed."""
        if self.op is not None:
            self.store.retry_log(self.op.id)
            self.read()

    def action_log_give_up(self) -> None:
        """It is not told."""
        if self.op is not None:
            self.store.cancel_log(self.op.id)
            self.read()

    def action_log_close(self) -> None:
        """Back."""
        self.dismiss(None)

    action_palette = action_refresh = action_help = action_log_close
