"""Search and filter: a line to type in, the list follows while typing, Esc leads back to where one was."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import events, on
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from crmmail.i18n import _
from crmmail.model import Query, Role
from crmmail.tui.commands import LIST
from crmmail.tui.screen_base import MailScreen

TYPING_PAUSE = 0.06  # seconds without a key before the list follows; a fast typist's pause is about 0.1


class FindInput(Input):
    """The line to type in. Enter, Tab and ↓ go to what was found, Esc leaves."""

    @dataclass
    class Left(Message):
        """The user is done typing in this line. `keep` the result, or go back."""

        line: FindInput
        keep: bool

    def on_key(self, event: events.Key) -> None:
        """Keys that leave the line."""
        if event.key in ("escape", "down", "enter", "tab"):
            event.stop()
            event.prevent_default()
            self.post_message(self.Left(self, event.key != "escape"))


class Finding(MailScreen):
    """Commands that search."""

    _before: tuple[Query, int | None] | None = None
    _find_line: FindInput | None = None
    _find_timer: Timer | None = None
    _find_base: Query = Query()

    async def action_search(self) -> None:
        """Search all folders of the mailbox; in an account's own view, its mail."""
        query = self.messages.query_shown
        if query.account:
            await self._ask(replace(query, text=""), _("Search this account's mail"))
            return
        folder = query.folder if query.mailbox == "" else Role.ALL.value
        await self._ask(Query(query.mailbox, folder), _("Search all folders"))

    async def action_filter(self) -> None:
        """Filter the list that is shown."""
        query = self.messages.query_shown
        await self._ask(replace(query, text=""), _("Filter this list"))

    async def _ask(self, base: Query, title: str) -> None:
        shown = self.messages.query_shown
        if not self.searching:
            self._before = (shown, self.messages.cursor_id)
        self._find_base = base
        if self._find_line is None:
            self._find_line = FindInput(shown.text, placeholder=title, compact=True)
            await self.mount(self._find_line, before=self.notice)
        self.set_focus(self._find_line)  # at once: `focus` would let the keys behind this one be commands

    @on(Input.Changed, "FindInput")
    def _typed(self, event: Input.Changed) -> None:
        if self._find_timer is not None:
            self._find_timer.stop()
        self._find_timer = self.set_timer(TYPING_PAUSE, lambda: self._find(event.value))

    def _find(self, text: str) -> None:
        text = text.strip()
        goal = replace(self._find_base, text=text)
        if not text and self._before:
            goal = self._before[0]
        if goal != self.messages.query_shown:
            self.searching = bool(text)
            self.guarded(lambda: self.messages.show(goal))
            self.renew()

    @on(FindInput.Left)
    async def _left(self, event: FindInput.Left) -> None:
        if event.line is not self._find_line:  # it was left already; another one may have been opened
            return
        self._find_line = None
        if self._find_timer is not None:
            self._find_timer.stop()
        if event.keep:
            self._find(event.line.value)
        self.set_focus(None)  # the next key is the list's
        await event.line.remove()
        if not event.keep or not self.messages.query_shown.text:
            self.action_leave_search()
        self.go_to_pane(LIST)

    def action_leave_search(self) -> None:
        """Back to the list as it was before the search."""
        self.searching = False
        if self._before is not None:
            query, cursor = self._before
            self._before = None
            if query != self.messages.query_shown:
                self.messages.show(query, cursor)
        self.renew()
