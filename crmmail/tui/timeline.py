"""What happened with an account: our mail and the CRM's entries, newest first, to read and to open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from crmmail.crm.model import Account, TimelineEntry
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.model import Change
from crmmail.tui import format
from crmmail.tui.dialogs import MOVES, Dialog
from crmmail.tui.scroll import PaintedScroll

if TYPE_CHECKING:
    from crmmail.store import Store

PARTS = ("date", "who", "title", "text", "key", "quiet")


class Entries(PaintedScroll):
    """Two lines an entry, painted: when, direction, who, title; then the beginning of the text."""

    INK = "time"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"time--{name}" for name in (*PARTS, "cursor")}

    class Opened(Message):
        """The entry under the cursor was clicked twice."""

    def __init__(self, *, clock: Callable[[], float], id: str) -> None:
        super().__init__(id=id)
        self.clock = clock
        self.entries: Sequence[TimelineEntry] = ()
        self.cursor = 0
        self.words = _("One moment…")

    def put(self, entries: Sequence[TimelineEntry]) -> None:
        """Show these."""
        self.entries = entries
        self.words = "" if entries else _("Nothing happened with this account yet.")
        self.set_length(2 * len(entries))
        self.refresh()

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(len(self.entries) - 1, self.cursor + by))
        self.reveal(2 * self.cursor + 1)
        self.reveal(2 * self.cursor)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of an entry."""
        index, second = divmod(self.scroll_offset.y + y, 2)
        width = self.size.width
        if index >= len(self.entries):
            segments = [Segment(f" {self.words}", self.ink("quiet"))] if y == 0 and self.words else []
            return Strip(segments).adjust_cell_length(width, self.ink())
        kind = "cursor" if index == self.cursor else ""
        spans = self._second(self.entries[index], width) if second else self._first(self.entries[index], width)
        return Strip([Segment(text, self.ink(part, kind)) for text, part in spans]).adjust_cell_length(
            width, self.ink("", kind)
        )

    def _first(self, entry: TimelineEntry, width: int) -> list[tuple[str, str]]:
        sign = "→" if entry.sent else "←" if entry.message or entry.message_id else "•"
        who = format.cells(format.clean(entry.who), max(8, min(26, width // 4)))
        when = format.right(format.when(entry.when_ms, self.clock()), 8)
        room = width - format.width(who) - 14
        return [
            (f" {when} ", "date"),
            (f"{sign} ", "key"),
            (f"{who}  ", "who"),
            (format.cut(format.clean(entry.title) or _("(no subject)"), max(4, room)), "title"),
        ]

    def _second(self, entry: TimelineEntry, width: int) -> list[tuple[str, str]]:
        text = format.clean(entry.text[:500]) if entry.text else ""
        if not entry.message and not text:
            text = _("in the CRM")
        return [(" " * 12 + format.cut(text, max(4, width - 14)), "text")]

    def on_click(self, event: events.Click) -> None:
        """Click: cursor; double click: open."""
        index = (self.scroll_offset.y + event.y) // 2
        if index < len(self.entries):
            self.move(index - self.cursor)
            if event.chain > 1:
                self.post_message(self.Opened())


class Timeline(Dialog[int]):
    """Answers the message to read, where the entry is one of ours."""

    def __init__(self, store: Store, account: Account, *, clock: Callable[[], float]) -> None:
        super().__init__()
        self.store, self.account = store, account
        self.entries = Entries(clock=clock, id="entries")

    def compose(self) -> ComposeResult:
        """Title, entries, the way out."""
        with Vertical(id="whole"):
            title = _("Timeline of {name}").format(name=format.clean(self.account.name))
            yield Static(Content(title), id="question")
            yield self.entries
            yield Static(Content(f"Enter {_('open')} · ↑↓ · Esc {_('close')}"), id="hint")

    def ready(self) -> None:
        """What is here at once; the CRM is asked for what the team wrote there."""
        self.entries.focus()
        self.read()

    def publish(self, change: Change) -> None:
        """The CRM told something of this account, or mail of it moved."""
        if self.account.id in change.accounts:
            self.read()

    def read(self) -> None:
        """Read it in a thread: an account may have thousands of messages."""

        def work() -> None:
            try:
                found = self.store.timeline(self.account.id)
            except CrmMailError as error:
                self.app.call_from_thread(self._failed, error)
            else:
                self.app.call_from_thread(self.entries.put, found)

        self.run_worker(work, thread=True, exit_on_error=False)

    def _failed(self, error: CrmMailError) -> None:
        self.query_one("#hint", Static).update(Content(format.clean(str(error))))

    def pressed(self, event: events.Key) -> None:
        """Move, open, leave."""
        if event.key in MOVES:
            event.stop()
            self.entries.move(MOVES[event.key])
        elif event.key == "enter":
            event.stop()
            self._open()
        else:
            super().pressed(event)

    @on(Entries.Opened)
    def _open(self) -> None:
        entry = self.entries.entries[self.entries.cursor] if self.entries.entries else None
        if entry is not None and entry.message:
            self.dismiss(entry.message)
        elif entry is not None:
            text = format.clean(entry.text, lines=True) if entry.text else _("The CRM tells no more of it.")
            from crmmail.tui.dialogs import TextScreen

            self.app.push_screen(TextScreen(entry.title, text))
