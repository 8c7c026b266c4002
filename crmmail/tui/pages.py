"""A window on a list in the store: pages of rows read when first looked at, forgotten when the list changes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from crmmail.model import Query, Role, Row
from crmmail.tui import draft_rows

if TYPE_CHECKING:
    from crmmail.store import Store

PAGE = 64
KEPT = 64  # pages: 4,096 rows, about 3 MB


class Pages:
    """Rows by their place in the list. Reads cost one query a page (≤ 1 ms)."""

    def __init__(self, store: Store, query: Query) -> None:
        self.store = store
        self.query = query
        drafts = query.folder == Role.DRAFTS.value and not query.text
        self.local = draft_rows.rows(store, query.mailbox) if drafts else []  # on top: what no server has yet
        parted = store.drafts_parted() if drafts else frozenset()
        self.parted = {one for one, draft in store.drafted(query.mailbox).items() if draft in parted} if parted else ()
        self.count = len(self.local) + store.count(query)
        self._pages: OrderedDict[int, list[Row]] = OrderedDict()

    def row(self, index: int) -> Row | None:
        """The row at `index`, None beyond the end."""
        if not 0 <= index < self.count:
            return None
        if index < len(self.local):
            return self.local[index]
        index -= len(self.local)
        page = self._page(index // PAGE)
        at = index % PAGE
        return page[at] if at < len(page) else None

    def rows(self, start: int, stop: int) -> list[Row]:
        """The rows from `start` up to `stop`, as many as there are."""
        start, stop = max(start, 0), min(stop, self.count)
        found = self.local[start:stop]
        start, stop = max(start - len(self.local), 0), stop - len(self.local)
        while start < stop:
            number, at = divmod(start, PAGE)
            found += self._page(number)[at : at + stop - start]
            start = (number + 1) * PAGE
        return found

    def _page(self, number: int) -> list[Row]:
        page = self._pages.get(number)
        if page is None:
            page = self.store.window(self.query, number * PAGE, PAGE)
            if self.parted:
                page = [draft_rows.marked(row) if row.id in self.parted else row for row in page]
            self._pages[number] = page
            if len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        return page

    def position(self, message: int) -> int:
        """Where `message` stands, or would stand."""
        if message < 0:
            return next((at for at, row in enumerate(self.local) if row.id == message), 0)
        return len(self.local) + self.store.position(self.query, message)

    def ids(self, start: int, count: int) -> list[int]:
        """The ids of `count` rows from `start` on."""
        own = [row.id for row in self.local[start : start + count]]
        beyond = max(0, start - len(self.local))
        return own + (self.store.ids(self.query, beyond, count - len(own)) if count > len(own) else [])

    def holds(self, message: int) -> bool:
        """Whether `message` is in the list."""
        row = self.row(self.position(message))
        return row is not None and row.id == message
