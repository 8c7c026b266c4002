"""The main screen: folders, list, reader, account; what is shown where, and what follows when the store changes.

Below 100 columns one pane at a time, from 100 folders beside the list, from 160 the reader beside both. The account's
panel stands at the right, below 100 columns under the rest; the folders give way to it where all are too many.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rich.color import Color as RichColor
from textual import on
from textual.app import ComposeResult
from textual.color import Color, ColorParseError
from textual.containers import Horizontal
from textual.geometry import Region
from textual.strip import Strip

from crmmail import ops
from crmmail.model import Change, Mailbox, Phase, Query, Role, State, Status
from crmmail.ops import Verb
from crmmail.tui import words
from crmmail.tui.account_panel import AccountPanel
from crmmail.tui.commands import ACCOUNTS, LIST, NOWHERE, PANEL, READER, SIDEBAR, Context
from crmmail.tui.customer_log import CustomerLog
from crmmail.tui.detail import AccountCard
from crmmail.tui.finding import Finding
from crmmail.tui.keymap import Keymap
from crmmail.tui.message_list import MessageList
from crmmail.tui.panels import FooterLine, NoticeLine, Painted, PrefixPanel, TitleLine, TooSmall
from crmmail.tui.reader import Reader
from crmmail.tui.screen_base import MIDDLE, NARROW, TINY, WIDE
from crmmail.tui.sidebar import Sidebar
from crmmail.tui.writing import Writing

if TYPE_CHECKING:
    from crmmail.store import Store

MIDDLE_FROM, WIDE_FROM = 100, 160  # columns
ROOMY_FROM = 190  # columns: folders, list, reader and account beside each other
PANEL_WIDTH, PANEL_HEIGHT, CARD_WIDTH = 38, 11, 40  # cells
LEAST = (40, 8)  # columns and rows; below, nothing could be shown that a key acts on
HELD = 0.03  # seconds between two commands; sooner it is a key held down, and what stands around the list may follow
_VERBS_LOOKED_AT = 200  # targets whose state decides which verbs are offered; the store decides for each in the end
NEEDS_USER = {Phase.SIGN_IN: "sign_in", Phase.PAUSED: "allow_removal"}  # and the command that is the user's answer
STRIPES = ("primary", "accent", "success", "warning", "secondary", "error")


class Panes(Horizontal):
    """Beside one another they cover it all: its own ground need not be painted."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Nothing; where a pane should leave a gap, the screen's ground shows."""
        return []


class MainScreen(Writing, Finding, CustomerLog):
    """Folders, list and reader. Commands are `action_<id>` of the mixins by subject."""

    AUTO_FOCUS = ""

    def __init__(self, store: Store, keymap: Keymap, *, clock: Callable[[], float]) -> None:
        super().__init__()
        self.store = store
        self.keymap = keymap
        self.clock = clock
        self.boxes: dict[str, Mailbox] = {box.id: box for box in store.mailboxes()}
        self.statuses: dict[str, Status] = store.statuses()
        self.remembered: dict[tuple[str, str], int] = {}
        start = Query("" if len(self.boxes) > 1 else next(iter(self.boxes), ""))
        self.messages = MessageList(store, start, clock=clock, id="list")
        self.messages.active = True  # not in on_mount: a key typed ahead may have opened a message by then
        self.sidebar = Sidebar(store, key=lambda: self.keymap.first("sign_in"), id="sidebar")
        self.sidebar.mark(start.mailbox, start.folder)
        self.reader = Reader(clock=clock, id="reader")
        self.panel = AccountPanel(clock=clock, id="panel")
        self.card = AccountCard(id="card")
        self.has_accounts = store.account_count() > 0
        self.title_line = TitleLine(id="title")
        self.notice = NoticeLine(id="notice")
        self.footer = FooterLine(id="footer")
        self.prefix_panel = PrefixPanel(id="prefix")
        self.panes = Panes(id="panes")
        self.too_small = TooSmall(LEAST, id="small")
        self.undoable = self.redoable = False
        self.renewed: dict[str, float] = {}
        self._verbs: tuple[tuple[int, ...], frozenset[Verb]] = ((), frozenset())
        self._late_due = self._renewal_due = False
        self._commanding = False
        self._settled_at = 0.0

    def compose(self) -> ComposeResult:
        """Title, panes, notice, footer."""
        self.fit_panes()
        yield self.title_line
        with self.panes:
            yield self.sidebar
            yield self.card
            yield self.messages
            yield self.reader
            yield self.panel
        yield self.too_small
        yield self.notice
        yield self.footer
        yield self.prefix_panel

    def on_mount(self) -> None:
        """The first list is already read; paint everything around it."""
        self.messages.empty = self.empty_text
        self.reader.hints = self.reader_hints
        self.panel.keys = self.panel_keys
        self.card.keys = self.card_keys
        self.dress()
        self.refresh_journal()
        self.renew()
        self.brief()
        self.tell_notices()

    # --- what is possible

    @property
    def pane(self) -> str:
        """Where keys go."""
        if self.arrangement == TINY:
            return NOWHERE
        return self.active_pane

    @property
    def targets(self) -> list[int]:
        """The messages an act touches: bound here, when the key is pressed."""
        if self.pane == READER and self.reader.message_id is not None:
            return [self.reader.message_id]
        return self.messages.targets

    def context(self) -> Context:
        """What the screen shows right now."""
        query, targets = self.messages.query_shown, self.targets
        return Context(
            pane=self.pane,
            folder=query.folder,
            rows=self.messages.count,
            targets=len(targets),
            selected=len(self.messages.selected),
            verbs=self._possible_verbs(tuple(targets[:_VERBS_LOOKED_AT])),
            reading=self.reading,
            **self.reader.facts(),
            searching=self.searching,
            undoable=self.undoable,
            redoable=self.redoable,
            favorites=any(box.capabilities.favorites for box in self.boxes.values()),
            mailboxes=len(self.boxes),
            trouble=self.trouble,
            sends=self.sends,
            draft=self.pane == LIST and len(targets) == 1 and targets[0] < 0,
            unsendable=self.sent_last is not None,
            **self.customer_facts(targets),
        )

    def _possible_verbs(self, targets: tuple[int, ...]) -> frozenset[Verb]:
        if self._verbs[0] != targets:
            self._verbs = (targets, frozenset(self._verbs_of(targets)) if targets else frozenset())
        return self._verbs[1]

    def _verbs_of(self, targets: tuple[int, ...]) -> Iterable[Verb]:
        states: list[tuple[State, Mailbox]] = [
            (state, self.boxes[mailbox])
            for mailbox, state in self.store.states(targets).values()
            if mailbox in self.boxes
        ]
        for verb in Verb:
            if any(ops.allowed(verb, state, box.capabilities) for state, box in states):
                yield verb

    @property
    def trouble(self) -> str:
        """What a mailbox needs the user for: 'sign_in', 'paused' or ''."""
        status = self.troubled()
        return status.phase.value if status else ""

    def troubled(self) -> Status | None:
        """The first mailbox that needs the user, those in view before the others: the folders name the key for all."""
        shown = self.messages.query_shown.mailbox
        troubled = [status for status in self.statuses.values() if status.phase in NEEDS_USER]
        return min(troubled, key=lambda status: shown not in ("", status.mailbox), default=None)

    # --- following the store

    async def run_command(self, command_id: str) -> None:
        """A key paints what it did, then, once, what stands around that: neither at each of its steps."""
        if self._commanding:
            await super().run_command(command_id)
            return
        self._commanding = True
        try:
            await super().run_command(command_id)
        finally:
            self._commanding = False
            if not self.program.busy:
                self.paint_now()
            self._settle()

    def _settle(self) -> None:
        held = time.monotonic() - self._settled_at < HELD
        self._settled_at = time.monotonic()
        if held and (self._late_due or self._renewal_due):
            self._late_due = True
            self.call_after_refresh(self._late)
        elif self._late_due:
            self._late()
        elif self._renewal_due:
            self.renew()

    def renew(self) -> None:
        """Title, place and footer as things stand: within a command, at its end."""
        self._renewal_due = self._commanding
        if not self._commanding:
            super().renew()

    def publish(self, change: Change) -> None:
        """The store changed: the list at once, what stands around it at the end of the command or after the paint."""
        if change.mailboxes:
            self._hear_states()
        self._verbs = ((), frozenset())
        if self._concerns_list(change):
            self.messages.reload(mine=self.acting)
            self.messages.unselect_gone(change.messages)
        if self.reader.message_id in change.messages and (self.reading or self._under_cursor()):
            self.refresh_reader()
        self.tell(change)
        self.customers_changed(change)
        if not self._late_due:
            self._late_due = True
            if not self._commanding:
                self.call_after_refresh(self._late)

    def _concerns_list(self, change: Change) -> bool:
        query = self.messages.query_shown
        if query.text or change.messages or (change.crm and (query.account or self.classifying)):
            return True
        return any(folder == query.folder and query.mailbox in ("", mailbox) for mailbox, folder in change.folders)

    def _hear_states(self) -> None:
        before, self.statuses = self.statuses, self.store.statuses()
        self.boxes = {box.id: box for box in self.store.mailboxes()}
        if not self.messages.count:
            self.messages.refresh()  # an empty list says why it is empty
        for name, status in self.statuses.items():
            new = name not in before or before[name].phase is not status.phase
            if new and status.phase in NEEDS_USER and status.sentence:
                command = NEEDS_USER[status.phase]
                self.say(f"{status.sentence} {status.next_step}".strip(), words.WARN, command)

    def show_sessions(self, renewed: dict[str, float]) -> None:
        """When each mailbox's access was last renewed."""
        self.renewed = renewed
        self.renew()

    def _under_cursor(self) -> bool:
        """Whether the preview is still of the message the cursor is on; another one follows in a moment."""
        return self.reader.message_id == self.messages.cursor_id

    def _late(self) -> None:
        if not self._late_due:
            return
        self._late_due = False
        self.sidebar.reload()
        self.refresh_journal()
        self.renew()

    def dress(self) -> None:
        """Stars only where the mailbox has them, stripes only where several mailboxes mix."""
        query = self.messages.query_shown
        shown = [box for box in self.boxes.values() if query.mailbox in ("", box.id)]
        self.messages.stars = any(box.capabilities.favorites for box in shown)
        colors = {box.id: self.stripe(box) for box in self.boxes.values()}
        self.messages.stripes = colors if len(shown) > 1 else {}
        self.messages.accounts = self.has_accounts and not query.account and not self.classifying
        self.sidebar.stripes = colors
        self.messages.forget_colors()

    def stripe(self, box: Mailbox) -> RichColor:
        """The colour it wears in All inboxes: the user's, by number or name; else one of the theme's own."""
        variables = self.app.theme_variables
        wish = box.color.lstrip("$")
        with contextlib.suppress(ColorParseError):
            return Color.parse(variables.get(wish, wish)).rich_color
        return Color.parse(variables[STRIPES[box.position % len(STRIPES)]]).rich_color

    # --- folders and panes

    def go_to_pane(self, pane: str) -> None:
        """Send the keys to a pane. Textual's focus would restyle and repaint the whole screen for it, 30 ms."""
        self.active_pane = pane
        for name, widget in (
            (LIST, self.messages),
            (READER, self.reader),
            (SIDEBAR, self.side),
            (PANEL, self.panel),
        ):
            widget.activate(name == pane)
        self.renew()

    def on_resize(self) -> None:
        """Another size, perhaps another arrangement."""
        self.fit_panes()

    def fit_panes(self) -> None:
        """Which panes are shown. Set directly: CSS classes would restyle everything, twice at start."""
        width = self.app.size.width
        self.arrangement = NARROW if width < MIDDLE_FROM else MIDDLE if width < WIDE_FROM else WIDE
        if self.app.size.width < LEAST[0] or self.app.size.height < LEAST[1]:
            self.arrangement = TINY
        for around in (self.panes, self.title_line, self.notice, self.footer):
            around.display = self.arrangement != TINY
        self.too_small.display = self.arrangement == TINY
        self.reader.display = self.reading or self.arrangement == WIDE
        self.messages.display = not self.reading or self.arrangement == WIDE
        self.panel.display = self.panel_shown and self.arrangement != TINY
        gives = self.arrangement == NARROW or (self.panel.display and width < ROOMY_FROM)
        for side in (self.sidebar, self.card):
            side.display = side is self.side and (not gives or self.folders_over)
            side.set_class(gives, "-over")
        self.panel.styles.dock = "bottom" if self.arrangement == NARROW else "right"
        self.panel.styles.width = "100%" if self.arrangement == NARROW else PANEL_WIDTH
        self.panel.styles.height = PANEL_HEIGHT if self.arrangement == NARROW else "100%"

    @property
    def side(self) -> Sidebar | AccountCard:
        """What stands at the left: the folders, or the card of the account that is shown."""
        return self.card if self.account_shown else self.sidebar

    def show_folder(self, mailbox: str, folder: str) -> None:
        """Show a folder; the cursor is where it was left there."""
        before = self.messages.query_shown
        self.account_shown = ""
        if self.messages.cursor_id is not None and not before.text and not before.account:
            self.remembered[before.mailbox, before.folder] = self.messages.cursor_id
        self.searching = False
        self.messages.show(Query(mailbox, folder), self.remembered.get((mailbox, folder)))
        self.sidebar.mark(mailbox, folder)
        self.dress()
        self.close_reader()
        self.folders_over = False
        self.fit_panes()
        self.go_to_pane(LIST)
        self.notice.say("", "")
        self.renew()
        self.brief()

    @on(Sidebar.Chosen)
    def _chosen(self, event: Sidebar.Chosen) -> None:
        if event.folder == ACCOUNTS:
            self.action_go_accounts()
        else:
            self.show_folder(event.mailbox, event.folder)

    @on(Sidebar.StatusClicked)
    async def _status_clicked(self, event: Sidebar.StatusClicked) -> None:
        status = self.statuses.get(event.mailbox)
        if status and status.phase in NEEDS_USER:
            self.show_folder(event.mailbox, Role.INBOX.value)
            await self.run_command(NEEDS_USER[status.phase])
        elif status and status.sentence:
            self.notice.say(f"{status.sentence} {status.next_step}".strip(), words.WARN)

    @on(Painted.Pressed)
    async def _pressed(self, event: Painted.Pressed) -> None:
        self.show_prefix(())
        self.prefix = ""
        await self.run_command(event.command)

    @on(MessageList.SelectionChanged)
    def _selection_changed(self) -> None:
        self._verbs = ((), frozenset())
        self.renew()

    def speak(self) -> None:
        """Another language: everything is painted anew."""
        self.sidebar.reload()
        self.reader.lay_out()
        self.notice.say("", "")
        self.messages.reload()
        self.messages.forget_colors()
        self.reader.forget_colors()
        self.panel.lay_out()
        self.card.lay_out()
        self.renew()
