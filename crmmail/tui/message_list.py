"""The message list: painted, not mounted. Its cost is that of the lines on screen, at any size of the mailbox.

The cursor is bound to a message, not to a place: what arrives or leaves above never moves it to another message, and
when its own message leaves, the next older one takes its place. Moving it repaints two lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from crmmail.model import Query, Row
from crmmail.tui import format, rows
from crmmail.tui.pages import Pages
from crmmail.tui.scroll import BarredScroll

if TYPE_CHECKING:
    from crmmail.store import Store

_STRIPS_KEPT = 2048
PREPARED_AT_ONCE = 10  # lines: 1 ms
_LOOKS = tuple(product(("", "cursor", "blurred", "marked"), (False, True), (False, True)))  # kind, marked, thumb
ASKED_ONE_BY_ONE = 20  # messages: for more of them the ids of the whole list are read at once
REACTION = 0.3  # seconds: a key pressed sooner after a change was meant for what stood there before


class MessageList(BarredScroll, can_focus=False):
    """Rows of a query, a cursor on one message, a selection of ids."""

    INK = "list"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"list--{name}" for name in (*rows.PARTS, "cursor", "blurred", "marked")}

    @dataclass
    class Moved(Message):
        """The cursor is on another message, or on none."""

        id: int | None

    @dataclass
    class Opened(Message):
        """The user wants to read this message."""

        id: int

    @dataclass
    class StarClicked(Message):
        """The star of this row was clicked."""

        row: Row

    class SelectionChanged(Message):
        """Other messages are selected than before."""

    def __init__(self, store: Store, query: Query, *, clock: Callable[[], float], id: str | None = None) -> None:
        super().__init__(id=id)
        self.store = store
        self.clock = clock
        self.pages = Pages(store, query)
        self.index = 0
        self.cursor_id: int | None = None
        self.selected: set[int] = set()
        self.range_from: int | None = None
        self.stars = False
        self.stripes: dict[str, Color] = {}
        self.empty: Callable[[], Iterable[str]] = tuple
        self.accounts = False  # whether there is a column for them
        self._strips: dict[tuple[int, str, bool, bool], Strip] = {}
        self._width = 0
        self._following = False
        self._jumped = 0.0
        self._settle(0)
        self.set_length(self.count)

    # --- what it shows

    @property
    def query_shown(self) -> Query:
        """What the list holds."""
        return self.pages.query

    @property
    def count(self) -> int:
        """How many messages that are."""
        return self.pages.count

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self.pages.row(self.index)

    @property
    def targets(self) -> list[int]:
        """What an act touches: the selection, else the message under the cursor."""
        if self.selected:
            return sorted(self.selected, reverse=True)
        return [] if self.cursor_id is None else [self.cursor_id]

    def show(self, query: Query, cursor: int | None = None) -> None:
        """Show another list, the cursor on message `cursor` where it is in it, else on the newest."""
        self.pages = Pages(self.store, query)
        self.selected = set()
        self.range_from = None
        self._settle(0 if cursor is None else self.pages.position(cursor))
        self._forget()
        with self._cursor_held():
            self.set_length(self.count)
            self.jump(max(0, self.index - self.size.height // 2))
        self.post_message(self.Moved(self.cursor_id))

    def reload(self, *, mine: bool = False) -> None:
        """The list changed in the store: read again what is on screen and keep the cursor on its message.

        `mine`: by the user's own act. When something else took the message from under the cursor, keys wait a moment.
        """
        top, height = self.scroll_offset.y, self.size.height
        seen = self.pages.rows(top, top + height)
        old_index, old_id, old_count = self.index, self.cursor_id, self.count
        self.pages = Pages(self.store, self.pages.query)
        self._settle(old_index if old_id is None else self._place_of(old_id, old_index))
        shift = self.index - old_index if old_id == self.cursor_id else 0
        with self._cursor_held():
            if self.count != old_count:
                self.set_length(self.count)
            if shift and not (top == 0 and self.index < height):
                self.jump(top + shift)
            self.reveal(self.index)
        if self.scroll_offset.y == top:
            self._repaint_changed(top, height, seen, old_index)
        else:
            self.refresh()
        if self.cursor_id != old_id:
            self._jumped = 0.0 if mine or old_id is None else time.monotonic()
            self.post_message(self.Moved(self.cursor_id))

    def _place_of(self, message: int, index: int) -> int:
        """Where a message stands or would stand. Mostly where it stood: counting up to it costs 4 ms at 100,000."""
        above, here = self.pages.row(index - 1), self.pages.row(index)
        if (above is None or above.id > message) and here is not None and here.id <= message:
            return index
        return self.pages.position(message)

    @property
    def aimed(self) -> bool:
        """Whether the user can have seen what the cursor is on: it was not moved by others a moment ago."""
        return time.monotonic() - self._jumped > REACTION

    def _settle(self, index: int) -> None:
        self.index = max(0, min(index, self.count - 1))
        row = self.pages.row(self.index)
        self.cursor_id = row.id if row else None

    def _repaint_changed(self, top: int, height: int, seen: list[Row], old_index: int) -> None:
        """Only the lines whose row is another than before."""
        now = self.pages.rows(top, top + height)
        if not now or not seen:
            self._forget()
            self.refresh()
            return
        longest = max(len(now), len(seen))
        differing = [at for at in range(longest) if now[at : at + 1] != seen[at : at + 1]]
        differing += [index - top for index in {old_index, self.index} if old_index != self.index]
        known = {row.id: row for row in seen}
        for row in now:
            if known.get(row.id, row) != row:
                self._drop_strips(row.id)
        if differing:
            self.refresh_lines(top + min(differing), max(differing) - min(differing) + 1)

    def _drop_strips(self, message: int) -> None:
        for look in _LOOKS:
            self._strips.pop((message, *look), None)

    # --- moving

    def move(self, by: int) -> None:
        """Move the cursor `by` rows."""
        self.go(self.index + by)

    def page(self, direction: int) -> None:
        """Move the cursor a screenful; one line stays for orientation."""
        self.go(self.index + direction * max(1, self.size.height - 1))

    def go(self, index: int) -> None:
        """Put the cursor on the row at `index`, or the nearest there is."""
        index = max(0, min(index, self.count - 1))
        if index == self.index and self.cursor_id is not None:
            return
        old = self.index
        self._settle(index)
        if self.range_from is not None:
            self._select_range()
        if not self._keep_in_view():
            self.refresh_line(old)
            self.refresh_line(self.index)
        self.post_message(self.Moved(self.cursor_id))

    def go_to(self, message: int) -> None:
        """Put the cursor on a message, where it is in the list."""
        index = self.pages.position(message)
        row = self.pages.row(index)
        if row and row.id == message:
            self.go(index)

    def _keep_in_view(self) -> bool:
        """Scroll so that the cursor is on screen; whether that was necessary."""
        with self._cursor_held():
            return self.reveal(self.index)

    @contextmanager
    def _cursor_held(self) -> Iterator[None]:
        """Scroll without taking the cursor along: the list moves, not the user."""
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Wheel and scrollbar take the cursor along, so that no key ever acts on a message out of sight."""
        super().watch_scroll_y(old_value, new_value)
        top, height = round(new_value), self.size.height
        if self._following or not height or top <= self.index < top + height:
            return
        self._settle(top if self.index < top else top + height - 1)
        self.post_message(self.Moved(self.cursor_id))

    # --- selecting

    def unselect_gone(self, changed: Set[int]) -> None:
        """Of these messages, those that left the list are no longer selected: a key acts on what can be seen."""
        asked = self.selected & changed
        if len(asked) > ASKED_ONE_BY_ONE:
            gone = asked.difference(self.pages.ids(0, self.count))
        else:
            gone = {message for message in asked if not self.pages.holds(message)}
        if gone:
            self.selected -= gone
            self.post_message(self.SelectionChanged())

    def toggle(self) -> None:
        """Select the message under the cursor, or take it out of the selection."""
        if self.cursor_id is not None:
            self.selected ^= {self.cursor_id}
            self.refresh_line(self.index)
            self.post_message(self.SelectionChanged())

    def toggle_range(self) -> None:
        """Begin a range here, or end the one begun."""
        self.range_from = self.cursor_id if self.range_from is None else None
        if self.range_from is not None:
            self._select_range()

    def extend(self, by: int) -> None:
        """Select while moving (Shift and an arrow)."""
        if self.range_from is None:
            self.range_from = self.cursor_id
        self.move(by)
        self._select_range()

    def _select_range(self) -> None:
        if self.range_from is None:
            return
        start = self.pages.position(self.range_from)
        low, high = sorted((start, self.index))
        self.select(self.pages.ids(low, high - low + 1))

    def select(self, messages: Iterable[int]) -> None:
        """Select exactly these."""
        self.selected = set(messages)
        self.refresh()
        self.post_message(self.SelectionChanged())

    def clear_selection(self) -> None:
        """Select nothing."""
        self.range_from = None
        if self.selected:
            self.select(())

    @property
    def visible_rows(self) -> list[Row]:
        """The rows that are visible."""
        return self.pages.rows(self.scroll_offset.y, self.scroll_offset.y + self.size.height)

    # --- painting

    def forget_colors(self) -> None:
        """Another theme, or other stripes."""
        super().forget_colors()
        self._strips = {}

    def on_resize(self, event: events.Resize) -> None:
        """Columns depend on the width; the cursor stays on screen."""
        if self.size.width != self._width:
            self._forget()
        with self._cursor_held():
            self.set_length(self.count)
            self.reveal(self.index)

    def activity_changed(self) -> None:
        """The cursor line shows whether keys go here."""
        self.refresh_line(self.index)

    def _forget(self) -> None:
        self._strips = {}
        self.refresh()

    def paint_lines(self, lines: Sequence[int]) -> list[Strip]:
        """Every line of a paint with one look at where the list stands."""
        top = self.scroll_offset.y
        thumb = self.thumb(top, self.size.height)
        return [self._line(top + y, y, y in thumb) for y in lines]

    def render_line(self, y: int) -> Strip:
        """One line of the pane."""
        top = self.scroll_offset.y
        return self._line(top + y, y, y in self.thumb(top, self.size.height))

    def _line(self, index: int, y: int, thumb: bool) -> Strip:
        """A row, or a line of the text that an empty list shows."""
        row = self.pages.row(index)
        if row is None:
            return self._filtered(self._empty_line(y))
        marked = row.id in self.selected
        kind = "marked" if marked else ""
        if index == self.index:
            kind = "cursor" if self.active else "blurred"
        return self._strip(row, kind, marked, thumb)

    def _strip(self, row: Row, kind: str, marked: bool, thumb: bool) -> Strip:
        """The whole line, kept: a strip seen before brings along what Textual has worked out about it."""
        strip = self._strips.get((row.id, kind, marked, thumb))
        if strip is None:
            if len(self._strips) > _STRIPS_KEPT:
                self._strips.clear()
            strip = self._strips[row.id, kind, marked, thumb] = self._filtered(self._paint(row, kind, marked, thumb))
        return strip

    def _filtered(self, strip: Strip) -> Strip:
        """As the terminal can show it (NO_COLOR, colours by number)."""
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, self.below)
        return strip

    # --- while nobody waits

    def prepare(self) -> bool:
        """Paint some of the lines that the next key may show, at most 1 ms of work; whether there are more."""
        top, height = self.scroll_offset.y, self.size.height
        last, page = self.count - 1, max(1, height - 1)
        painted = 0
        for index in (self.index + page, self.index - page, last, 0):
            cursor = max(0, min(index, last))
            first = min(top, cursor) if cursor < top + height else cursor - height + 1
            thumb = self.thumb(first, height)
            for y in range(min(height, self.count - first)):
                painted += self._prepare_line(first + y, cursor, y in thumb)
                if painted >= PREPARED_AT_ONCE:
                    return True
        return False

    def _prepare_line(self, index: int, cursor: int, thumb: bool) -> bool:
        row = self.pages.row(index)
        if row is None or row.id in self.selected:
            return False
        kind = "" if index != cursor else "cursor" if self.active else "blurred"
        known = (row.id, kind, False, thumb) in self._strips
        if not known:
            self._strip(row, kind, False, thumb).render(self.app.console)
        return not known

    def go_to_share(self, share: float) -> None:
        """The cursor goes along with the thumb."""
        self.go(round(share * (self.count - 1)))

    def _paint(self, row: Row, kind: str, marked: bool, thumb: bool) -> Strip:
        self._width = self.size.width
        layout = rows.columns(self.size.width - 1, star=self.stars, account=self.accounts)
        date = format.when(row.received_ms, self.clock())
        color = self.stripes.get(row.mailbox)
        stripe = self.ink("", kind) + Style(color=color) if color else None
        segments = rows.line(row, layout, self.ink, kind, marked=marked, date=date, stripe=stripe)
        segments.append(self.bar(thumb))
        # Told its length, a strip need not measure every character of a page again.
        return Strip(segments, layout.width + 1)

    def _empty_line(self, y: int) -> Strip:
        width, plain = self.size.width, self.ink()
        text = [] if self.count else list(self.empty())
        at = y - max(1, self.size.height // 3)
        if not 0 <= at < len(text):
            return Strip.blank(width, plain)
        words = format.cut(format.clean(text[at]), width)
        left = max(0, (width - format.width(words)) // 2)
        style = self.ink("fresh" if at == 0 else "snippet")
        return Strip([Segment(" " * left, plain), Segment(words, style)]).adjust_cell_length(width, plain)

    # --- the mouse

    def on_click(self, event: events.Click) -> None:
        """Click: cursor, mark or star; double click: open."""
        index = self.scroll_offset.y + event.y
        row = self.pages.row(index)
        if row is None or self.is_bar(event.x):
            return
        self._width = self.size.width
        layout = rows.columns(self.size.width - 1, star=self.stars, account=self.accounts)
        self.go(index)
        if event.chain > 1 and event.x >= layout.star_end:
            self.post_message(self.Opened(row.id))
        elif event.x < layout.mark_end:
            self.toggle()
        elif event.x < layout.star_end:
            self.post_message(self.StarClicked(row))
