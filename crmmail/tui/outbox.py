"""The outbox: mail on its way, what waits for a server, and what one refused, each with a way on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from crmmail.i18n import _, ngettext
from crmmail.model import Change, Op, OpState, Outgoing, SendState
from crmmail.tui import format, outgoing_lines, words
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.commands import OUTBOX, Context
from crmmail.tui.dialogs import Choices
from crmmail.tui.keymap import Keymap
from crmmail.tui.listed import Listed

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.tui.app import CrmMail

Entry = Outgoing | list[Op]


class Outbox(ClosesOnce, Listed, ModalScreen["Outgoing | None"]):
    """One line a message on its way, one line an act. Answers the message that shall be a draft again."""

    def __init__(self, store: Store, keymap: Keymap, *, clock: Callable[[], float]) -> None:
        super().__init__()
        self.store = store
        self.keymap = keymap
        self.clock = clock
        self.entries: list[Entry] = []
        self.subjects: dict[int, str] = {}  # act → subject, where it is about one message
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, entries, what is to be known of the chosen one, keys."""
        with Vertical(id="box", classes="-help"):
            yield Static(Content(_("Outbox")), id="question")
            yield self.choices
            yield Static(id="text")
            yield Static(id="hint")

    def on_mount(self) -> None:
        """Read it; seconds count down."""
        self.choices.styles.height = max(3, min(16, self.app.size.height - 14))
        self.choices.focus()
        self.read()
        self.set_interval(1.0, self._tick)

    def read(self) -> None:
        """Read the outbox again; the cursor stays on its entry."""
        before = self.chosen
        name = self._label(before) if before is not None else None
        ops = sorted(self.store.outbox(), key=lambda op: op.act, reverse=True)
        self.subjects = {act.id: act.subject for act in self.store.acts(among={op.act for op in ops})}
        acts: list[Entry] = [list(some) for _act, some in groupby(ops, key=lambda op: op.act)]
        self.entries = [*outgoing_lines.shown(self.store.outgoing()), *acts]
        names = [self._label(entry) for entry in self.entries]
        if name in names:
            self.choices.cursor = names.index(name)
        self._paint()

    def _paint(self) -> None:
        lines = [self._line(entry) for entry in self.entries]
        self.choices.put(lines or [(_("Everything has reached the server."), "")])
        self.explain()

    def _tick(self) -> None:
        moving = (SendState.HELD, SendState.SENDING)
        if any(isinstance(one, Outgoing) and one.state in moving for one in self.entries):
            self._paint()

    def _label(self, entry: Entry) -> tuple[str, int]:
        return ("mail", entry.id) if isinstance(entry, Outgoing) else ("act", entry[0].act)

    def _line(self, entry: Entry) -> tuple[str, str]:
        if isinstance(entry, Outgoing):
            return outgoing_lines.line(entry, self.clock(), self._mail_program.uploads.get(entry.id))
        refused = [op for op in entry if op.state is OpState.REJECTED]
        waiting = max((op.not_before for op in entry), default=0.0)
        if refused:
            state = _("refused")
        elif waiting > self.clock():
            state = _("waiting until {time}").format(time=words.clock(waiting))
        elif any(op.state is OpState.SENDING for op in entry):
            state = _("on its way")
        else:
            state = _("waiting")
        done, subject = words.done(entry[0].kind, len(entry)), self.subjects.get(entry[0].act, "")
        return f"{done}: {subject}" if subject else done, state

    @property
    def chosen(self) -> Entry | None:
        """What is under the cursor."""
        return self.entries[self.choices.cursor] if 0 <= self.choices.cursor < len(self.entries) else None

    @property
    def mail(self) -> Outgoing | None:
        """The message on its way under the cursor."""
        return self.chosen if isinstance(self.chosen, Outgoing) else None

    @property
    def ops(self) -> list[Op]:
        """The act under the cursor."""
        return self.chosen if isinstance(self.chosen, list) else []

    def explain(self) -> None:
        """What became of the chosen one, and what can be done."""
        sentence = outgoing_lines.explanation(self.mail) if self.mail else ""
        sentence = sentence or next((op.error for op in self.ops if op.error), "")
        self.query_one("#text", Static).update(Content(format.clean(sentence)))
        self.tell_keys(OUTBOX)

    def publish(self, change: Change) -> None:
        """The store changed."""
        if change.outbox or change.rejected:
            self.read()

    # --- Keyboard

    def context(self) -> Context:
        """Only the commands of the outbox, and what the chosen entry allows."""
        return Context(
            pane=OUTBOX,
            outbox=len(self.entries),
            sending=self.mail.state.value if self.mail else "",
            acts=len(self.ops),
        )

    # --- changes of messages

    def action_retry(self) -> None:
        """Ask the server again."""
        if self.ops:
            self.store.retry(self.ops[0].act)
            self._wake()
            self.app.call_next(self.read)

    def action_discard(self) -> None:
        """Give it up: the message stays as the server has it."""
        if self.ops:
            count = len(self.ops)
            self.store.discard(self.ops[0].act)
            self.read()
            self.hint(ngettext("{count} change discarded", "{count} changes discarded", count).format(count=count))

    # --- mail on its way

    def action_look_again(self) -> None:
        """Ask the server once more whether it has it."""
        if self.mail is not None and self.mail.state is SendState.UNKNOWN:
            self.store.note_outgoing(self.mail.id, not_before=self.clock())
        self._wake()
        self.hint(_("Looking again; the result will show here."))

    def action_send_again(self) -> None:
        """Queue it again; where it may already have gone out, after a question."""
        from crmmail.tui.dialogs import Confirm

        mail = self.mail
        if mail is None:
            return
        if mail.state is not SendState.UNKNOWN:
            self._resend(mail)
            return
        dialog = Confirm(
            _("Send it again?"),
            _("It may already have gone out; the recipients would then get it twice."),
            _("Send again"),
        )
        self.app.push_screen(dialog, lambda sure: self.guarded(lambda: self._resend(mail)) if sure else None)

    def _resend(self, mail: Outgoing) -> None:
        self.store.resend(mail.id)
        self.read()
        self.hint(_("Queued again."))
        self._wake()

    def action_mark_sent(self) -> None:
        """The user knows that it went out."""
        if self.mail is not None:
            self.store.mark_sent(self.mail.id)
            self.read()
            self.hint(_("Marked as sent."))

    def action_to_draft(self) -> None:
        """Do not send it: it is a draft again, and the composer opens on it."""
        if self.mail is not None:
            self.dismiss(self.mail)

    def action_cancel_sending(self) -> None:
        """Do not send it: it waits among the drafts."""
        if self.mail is not None:
            self.store.to_draft(self.mail.id)
            self.read()
            self.hint(_("Cancelled: the message is back in Drafts."))

    @property
    def _mail_program(self) -> CrmMail:
        return self.app  # type: ignore[return-value]

    def _wake(self) -> None:
        self._mail_program.wake()

    def action_close_outbox(self) -> None:
        """Back."""
        self.dismiss(None)

    action_palette = action_refresh = action_help = action_close_outbox
