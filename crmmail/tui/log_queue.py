"""What waits to be told to the CRM, what it refused, what asks, and what was told last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from crmmail.crm.model import LogState, LogStatus
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.model import Change
from crmmail.tui import account_words, format
from crmmail.tui.dialogs import MOVES, Choices, Dialog

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.store.logbook import Op

WAITING = (LogStatus.QUEUED, LogStatus.FAILED, LogStatus.ASK)  # what can be given up


class LogQueue(Dialog[None]):
    """One line a message or account the CRM is told of."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.ops: list[Op] = []
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, lines, what is to be known of the chosen one, keys."""
        with Vertical(id="box", classes="-help"):
            yield Static(Content(_("To the CRM")), id="question")
            yield self.choices
            yield Static(id="ask")
            yield Static(id="hint")

    def ready(self) -> None:
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
        self._explain()

    def _words(self, op: Op) -> str:
        return account_words.log_state(LogState(0, LogStatus(op.state), crm=op.crm))[0]

    @property
    def op(self) -> Op | None:
        """What is under the cursor."""
        return self.ops[self.choices.cursor] if 0 <= self.choices.cursor < len(self.ops) else None

    def _explain(self) -> None:
        op = self.op
        status = LogStatus(op.state) if op else None
        text = op.error if op else ""
        if status is LogStatus.ASK:
            text = f"{text} " + _("Open the message and press {key}: there you decide.").format(key=", l")
        self.query_one("#ask", Static).update(Content(format.clean(text)))
        keys = ["r " + _("try again")] if status is LogStatus.FAILED else []
        keys += ["d " + _("give it up")] if status in WAITING else []
        self.query_one("#hint", Static).update(Content(" · ".join([*keys, "Esc " + _("close")])))

    def publish(self, change: Change) -> None:
        """The store changed."""
        if change.crm:
            self.read()

    def pressed(self, event: events.Key) -> None:
        """Move, try again, give up."""
        if event.key in MOVES:
            event.stop()
            self.choices.move(MOVES[event.key])
            self._explain()
        elif event.key in ("r", "d", "delete") and self.op is not None:
            event.stop()
            self._act(self.op, again=event.key == "r")
        else:
            super().pressed(event)

    def _act(self, op: Op, *, again: bool) -> None:
        try:
            self.store.retry_log(op.id) if again else self.store.cancel_log(op.id)
        except CrmMailError as error:
            self.query_one("#ask", Static).update(Content(format.clean(str(error))))
            return
        self.read()

    @on(Choices.Chosen)
    def _clicked(self) -> None:
        self._explain()
