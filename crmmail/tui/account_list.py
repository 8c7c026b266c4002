"""The list of accounts: a painted window over the store, as the message list is."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from crmmail.crm import tax
from crmmail.crm.model import AccountRow
from crmmail.tui import account_rows, format
from crmmail.tui.scroll import PaintedScroll

if TYPE_CHECKING:
    from crmmail.store import Store

PAGE, KEPT = 64, 32


class AccountPages:
    """Accounts by their place in the list, read a page at a time. May be made in a thread: the first page is read."""

    def __init__(self, store: Store, text: str = "") -> None:
        self.store, self.text = store, text
        self.count = store.account_count(text)
        self._pages: OrderedDict[int, list[AccountRow]] = OrderedDict()
        self.row(0)

    def row(self, index: int) -> AccountRow | None:
        """The account at `index`, None beyond the end."""
        if not 0 <= index < self.count:
            return None
        number, at = divmod(index, PAGE)
        if number not in self._pages:
            self._pages[number] = list(self.store.accounts(self.text, number * PAGE, PAGE))
            if len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        page = self._pages[number]
        return page[at] if at < len(page) else None

    def near(self, account: str, index: int) -> int:
        """Where `account` stands, looked for on the pages around `index`; `index` where it is not there."""
        for at in range(max(0, index - PAGE), min(self.count, index + PAGE)):
            row = self.row(at)
            if row is not None and row.id == account:
                return at
        return index


class AccountList(PaintedScroll, can_focus=False):
    """Rows of accounts under a heading, the cursor on one of them."""

    INK = "accounts"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"accounts--{name}" for name in (*account_rows.PARTS, "cursor", "blurred")}

    @dataclass
    class Opened(Message):
        """The user wants to see this account."""

        id: str

    class Moved(Message):
        """The cursor is on another account."""

    def __init__(self, store: Store, *, id: str) -> None:
        super().__init__(id=id)
        self.pages = AccountPages(store)
        self.index = 0
        self.empty: tuple[str, ...] = ()
        self.set_length(self.pages.count)

    @property
    def row(self) -> AccountRow | None:
        """The account under the cursor."""
        return self.pages.row(self.index)

    def put(self, pages: AccountPages) -> None:
        """Show other pages; another search begins at its best, the same one keeps the cursor on its account."""
        same, here = pages.text == self.pages.text, self.row
        self.pages = pages
        index = pages.near(here.id, self.index) if same and here is not None else 0
        self.index = max(0, min(index, pages.count - 1))
        self.set_length(pages.count)
        self.reveal(self.index)
        self.refresh()
        self.post_message(self.Moved())

    def go(self, index: int) -> None:
        """Put the cursor on the row at `index`, or the nearest there is."""
        index = max(0, min(index, self.pages.count - 1))
        old, self.index = self.index, index
        if not self.reveal(index):
            self.refresh_line(old)
            self.refresh_line(index)
        self.post_message(self.Moved())

    def move(self, by: int) -> None:
        """Move the cursor `by` rows."""
        self.go(self.index + by)

    def activity_changed(self) -> None:
        """The cursor line shows whether keys go here."""
        self.refresh_line(self.index)

    def on_resize(self, event: events.Resize) -> None:
        """Columns depend on the width."""
        self.set_length(self.pages.count)
        self.reveal(self.index)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One account, or of the text that an empty list shows."""
        index, width = self.scroll_offset.y + y, self.size.width
        row = self.pages.row(index)
        if row is None:
            return self._empty_line(y, width)
        kind = ("cursor" if self.active else "blurred") if index == self.index else ""
        shape = account_rows.columns(width)
        tax_id = tax.shown(row.tax_id) if row.tax_id and shape.tax else ""
        segments = account_rows.line(row, shape, self.ink, kind, tax_id)
        return Strip(segments).adjust_cell_length(width, self.ink("", kind))

    def _empty_line(self, y: int, width: int) -> Strip:
        at = y - max(1, self.size.height // 3)
        if self.pages.count or not 0 <= at < len(self.empty):
            return Strip.blank(width, self.ink())
        words = format.cut(format.clean(self.empty[at]), width)
        left = " " * max(0, (width - format.width(words)) // 2)
        style = self.ink("fresh" if at == 0 else "quiet")
        return Strip([Segment(left, self.ink()), Segment(words, style)]).adjust_cell_length(width, self.ink())

    def on_click(self, event: events.Click) -> None:
        """Click: cursor; double click: open."""
        index = self.scroll_offset.y + event.y
        row = self.pages.row(index)
        if row is None:
            return
        self.go(index)
        if event.chain > 1:
            self.post_message(self.Opened(row.id))
