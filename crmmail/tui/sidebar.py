"""The folders: "All inboxes" first when there are several mailboxes, then a section a mailbox. Painted, not mounted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from crmmail.i18n import _
from crmmail.model import Folder, Mailbox, Phase, Query, Role, Status
from crmmail.tui import format, words
from crmmail.tui.account_commands import CLASSIFY, WAITING
from crmmail.tui.context import ACCOUNTS
from crmmail.tui.scroll import PaintedScroll

if TYPE_CHECKING:
    from crmmail.store import Store

TOTALS = {Role.DRAFTS, Role.TRASH}  # here the total says more than what is unread
UNCOUNTED = {Role.SENT, Role.ALL}
QUIET = {Role.DRAFTS, Role.TRASH, Role.SPAM, Role.FAVORITES, Role.ARCHIVE}  # counted without calling for attention
TONES = (words.OK, words.BUSY, words.WARN, words.BAD, words.QUIET)
PARTS = ("name", "address", "folder", "fresh", "count", "total", *TONES)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the sidebar. `folder` '' where it cannot be chosen."""

    text: str
    kind: str  # unified | accounts | classify | mailbox | status | folder | gap
    mailbox: str = ""
    folder: str = ""
    count: int = 0
    quiet: bool = False  # the count is no call to read
    tone: str = ""
    depth: int = 0


def lines(
    mailboxes: list[Mailbox],
    folders: Mapping[str, list[Folder]],
    statuses: Mapping[str, Status],
    key: str,
    customers: tuple[int, int, int] = (0, 0, 0),
) -> list[Line]:
    """What the sidebar shows, from top to bottom. `key` is the one that signs in.

    `customers`: (accounts, messages that wait for our answer, messages to classify); without accounts there are none.
    """
    out: list[Line] = []
    if len(mailboxes) > 1:
        fresh = sum(found.unread for box in folders.values() for found in box if found.role is Role.INBOX)
        out.append(Line(_("All inboxes"), "unified", "", Role.INBOX.value, fresh))
    if customers[0]:
        out.append(Line(_("Accounts"), "accounts", "", ACCOUNTS, customers[0], quiet=True))
        out.append(Line(_("Waiting for you"), "waiting", "", WAITING, customers[1]))
        out.append(Line(_("To classify"), "classify", "", CLASSIFY, customers[2]))
    if out:
        out.append(Line("", "gap"))
    for box in mailboxes:
        text, tone = words.state(statuses.get(box.id), key)
        out.append(Line(box.name or box.address or box.id, "mailbox", box.id))
        if box.name and box.name != box.address:
            out.append(Line(box.address, "address", box.id))
        out.append(Line(text, "status", box.id, tone=tone))
        known = {found.remote_id: found for found in folders.get(box.id, [])}
        out += [_folder_line(found, known) for found in folders.get(box.id, []) if _visible(found, box)]
        out.append(Line("", "gap"))
    return out[:-1]


def _visible(found: Folder, box: Mailbox) -> bool:
    return not found.hidden and (found.role is not Role.FAVORITES or box.capabilities.favorites)


def _folder_line(found: Folder, known: Mapping[str, Folder]) -> Line:
    depth, above = 0, known.get(found.parent)
    while above and above.role is Role.OTHER and depth < 4:
        depth, above = depth + 1, known.get(above.parent)
    count = found.total if found.role in TOTALS else 0 if found.role in UNCOUNTED else found.unread
    return Line(words.folder(found), "folder", found.mailbox, found.key, count, found.role in QUIET, depth=depth)


class Sidebar(PaintedScroll, can_focus=False):
    """Folders to choose from. `cursor` is where keys are, `shown` what the list holds."""

    INK = "side"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"side--{name}" for name in (*PARTS, "cursor", "shown", "stripe")}

    @dataclass
    class Chosen(Message):
        """The user went to this folder."""

        mailbox: str
        folder: str

    @dataclass
    class StatusClicked(Message):
        """A mailbox's state was clicked."""

        mailbox: str

    def __init__(self, store: Store, *, key: Callable[[], str], id: str | None = None) -> None:
        super().__init__(id=id)
        self.store = store
        self.key = key
        self.stripes: dict[str, Color] = {}
        self.lines: list[Line] = []
        self._accounts: int | None = None
        self.cursor = 0
        self.shown = ("", Role.INBOX.value)
        self.reload()

    def reload(self) -> bool:
        """Read folders, counts and states again; whether a mailbox needs the user to sign in."""
        boxes = self.store.mailboxes()
        folders = {box.id: self.store.folders(box.id) for box in boxes}
        statuses = self.store.statuses()
        fresh = lines(boxes, folders, statuses, self.key(), self._customers())
        if fresh != self.lines:
            before, self.lines = self.lines, fresh
            if len(before) != len(fresh):
                self._follow()
                self.set_length(len(fresh))
                self.refresh()
            else:
                for index in (at for at, line in enumerate(fresh) if line != before[at]):
                    self.refresh_line(index)
        return any(status.phase is Phase.SIGN_IN for status in statuses.values())

    def forget_accounts(self) -> None:
        """There are more accounts or fewer: counted again at the next reading. At 100,000 that takes 2 ms."""
        self._accounts = None

    def _customers(self) -> tuple[int, int, int]:
        if self._accounts is None:
            self._accounts = self.store.account_count()
        if not self._accounts:
            return 0, 0, 0
        return self._accounts, self.store.count(Query("", WAITING)), self.store.count(Query("", CLASSIFY))

    def mark(self, mailbox: str, folder: str) -> None:
        """The list now shows this folder."""
        self.shown = (mailbox, folder)
        self._follow()
        self.refresh()

    def _follow(self) -> None:
        places = [index for index, line in enumerate(self.lines) if (line.mailbox, line.folder) == self.shown]
        if places:
            self.cursor = places[0]

    @property
    def choices(self) -> list[int]:
        """Indices of the lines that can be chosen."""
        return [index for index, line in enumerate(self.lines) if line.folder]

    def move(self, by: int) -> None:
        """Move the cursor over `by` folders."""
        choices = self.choices
        if not choices:
            return
        here = choices.index(self.cursor) if self.cursor in choices else 0
        self.cursor = choices[max(0, min(len(choices) - 1, here + by))]
        self.reveal(self.cursor)
        self.refresh()

    def choose(self) -> None:
        """Go to the folder under the cursor."""
        if 0 <= self.cursor < len(self.lines) and self.lines[self.cursor].folder:
            line = self.lines[self.cursor]
            self.post_message(self.Chosen(line.mailbox, line.folder))

    def neighbour(self, by: int) -> tuple[str, str] | None:
        """The folder `by` places after the one shown; None at the ends."""
        lists = (self.lines[index] for index in self.choices if self.lines[index].folder != ACCOUNTS)
        places = [(line.mailbox, line.folder) for line in lists]
        if self.shown not in places:
            return places[0] if places else None
        at = places.index(self.shown) + by
        return places[at] if 0 <= at < len(places) else None

    # --- painting

    def activity_changed(self) -> None:
        """The cursor shows where keys go; left alone it returns to the folder shown."""
        self._follow()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the sidebar."""
        index, width = self.scroll_offset.y + y, self.size.width
        if index >= len(self.lines):
            return Strip.blank(width, self.ink())
        line = self.lines[index]
        kind = self._kind(index, line)
        return Strip(self._segments(line, kind, width)).adjust_cell_length(width, self.ink("", kind))

    def _kind(self, index: int, line: Line) -> str:
        if self.active and index == self.cursor:
            return "cursor"
        return "shown" if line.folder and (line.mailbox, line.folder) == self.shown else ""

    def _segments(self, line: Line, kind: str, width: int) -> list[Segment]:
        text = format.clean(line.text)
        plain = self.ink("", kind)
        match line.kind:
            case "gap":
                return []
            case "mailbox":
                stripe = plain + Style(color=self.stripes.get(line.mailbox))
                return [Segment("▌", stripe), Segment(format.cells(text, width - 2), self.ink("name"))]
            case "address":
                return [Segment("  ", plain), Segment(format.cells(text, width - 3), self.ink("address"))]
            case "status":
                return [
                    Segment(" ● ", self.ink(line.tone)),
                    Segment(format.cells(text, width - 4), self.ink("address")),
                ]
        count = words.number(line.count) if line.count else ""
        indent = " " * ((3 if line.kind == "folder" else 1) + line.depth * 2)
        name = "fresh" if count and not line.quiet else "folder"
        room = max(width - len(indent) - len(count) - 2, 1)
        return [
            Segment(indent, plain),
            Segment(format.cells(text, room), self.ink(name, kind)),
            Segment(f" {count} ", self.ink("" if kind == "cursor" else "total" if line.quiet else "count", kind)),
        ]

    # --- the mouse

    def on_click(self, event: events.Click) -> None:
        """Go to the folder clicked; a mailbox's state leads to what it needs."""
        index = self.scroll_offset.y + event.y
        if not 0 <= index < len(self.lines):
            return
        line = self.lines[index]
        if line.folder:
            self.cursor = index
            self.choose()
        elif line.kind == "status":
            self.post_message(self.StatusClicked(line.mailbox))
        elif line.kind in ("mailbox", "address"):
            self.post_message(self.Chosen(line.mailbox, Role.INBOX.value))
