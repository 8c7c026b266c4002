"""The least a list in Textual can cost: one line-by-line list over the same store, nothing beside it.

    python tests/bench/floor.py DATA_DIRECTORY

What the whole interface adds to it is the interface's own; what this costs is the machine's and the framework's.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from crmmail.model import Query, Row
from crmmail.store import Store

PAGE = 128
QUERY = Query("gmail", "inbox")
PLAIN, FRESH, CURSOR = Style(), Style(bold=True), Style(bgcolor="#0c304c")


class BareList(ScrollView, can_focus=True):
    """Reads pages of rows as they come on screen and paints each line once."""

    DEFAULT_CSS = "BareList { height: 1fr; }"
    BINDINGS = [
        Binding("j", "move(1)"),
        Binding("pagedown", "page(1)"),
        Binding("home", "edge(0)"),
        Binding("G", "edge(1)"),
    ]
    cursor = reactive(0, repaint=False)

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.pages: dict[int, list[Row]] = {}
        self.strips: dict[tuple[int, bool], Strip] = {}
        self.count = store.count(QUERY)

    def on_mount(self) -> None:
        self.virtual_size = Size(self.app.size.width, self.count)
        self.focus()

    def row(self, index: int) -> Row | None:
        page = index // PAGE
        if page not in self.pages:
            self.pages[page] = self.store.window(QUERY, page * PAGE, PAGE)
        return self.pages[page][index % PAGE] if index % PAGE < len(self.pages[page]) else None

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.size.width
        key = (index, index == self.cursor)
        if key not in self.strips:
            self.strips[key] = self._paint(self.row(index), key[1], width)
        return self.strips[key]

    def _paint(self, row: Row | None, chosen: bool, width: int) -> Strip:
        if row is None:
            return Strip.blank(width)
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(row.received_ms / 1000))
        style = (FRESH if row.unread else PLAIN) + (CURSOR if chosen else PLAIN)
        text = f"  {'●' if row.unread else ' '} {day} {row.sender[:24]:24} {row.subject[:70]:70} {row.snippet}"
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)

    def watch_cursor(self, old: int, new: int) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if top <= new < top + height:
            for index in (old, new):
                self.refresh(Region(0, index - top, self.size.width, 1))
            return
        self.scroll_to(y=new if new < top else new - height + 1, animate=False, immediate=True)

    def action_move(self, by: int) -> None:
        self.cursor = max(0, min(self.count - 1, self.cursor + by))

    def action_page(self, by: int) -> None:
        self.action_move(by * self.size.height)

    def action_edge(self, end: int) -> None:
        self.cursor = self.count - 1 if end else 0


class Floor(App[None]):
    BINDINGS = [Binding("ctrl+q", "quit", priority=True)]

    def compose(self) -> ComposeResult:
        yield BareList(Store.open(Path(sys.argv[1])))


if __name__ == "__main__":
    Floor().run()
