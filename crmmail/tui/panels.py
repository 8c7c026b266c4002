"""The lines around the list: title above, toasts and footer below; and the panel of a prefix key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from crmmail.i18n import _
from crmmail.tui import format, words
from crmmail.tui.ink import Ink

Span = tuple[str, str, str]
"""(text, name of its part, command a click runs or '')."""


class Painted(Widget):
    """A widget whose lines are spans in the styles of its component classes, each span clickable."""

    PREFIX: ClassVar[str] = "panel"
    PARTS: ClassVar[tuple[str, ...]] = ()

    @dataclass
    class Pressed(Message):
        """A span that stands for a command was clicked."""

        command: str

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.ink = Ink(self, self.PREFIX)
        self._look = ""
        self._shown: Sequence[Sequence[Span]] = ()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """What to paint, line by line."""
        raise NotImplementedError

    def renew(self) -> None:
        """Repaint, but only when something would look different."""
        fresh = self.spans(self.size.width)
        if fresh != self._shown:
            self._shown = fresh
            self.refresh()

    def notify_style_update(self) -> None:
        """The theme changed."""
        super().notify_style_update()
        look = f"{self.app.theme} {self.rich_style}"
        if look != self._look:
            self._look = look
            self.ink.clear()

    def on_resize(self) -> None:
        """What fits depends on the width."""
        self.renew()

    def render_line(self, y: int) -> Strip:
        """One line."""
        line = self._shown[y] if y < len(self._shown) else ()
        segments = [Segment(text, self.ink(part)) for text, part, _command in line]
        return Strip(segments).adjust_cell_length(self.size.width, self.ink())

    def on_click(self, event: events.Click) -> None:
        """Run the command under the mouse."""
        line = self._shown[event.y] if event.y < len(self._shown) else ()
        at = 0
        for text, _part, command in line:
            at += format.width(text)
            if event.x < at:
                if command:
                    self.post_message(self.Pressed(command))
                return


def fill(left: Sequence[Span], right: Sequence[Span], width: int, part: str = "") -> list[Span]:
    """Left and right parts with the gap between; the right one gives way when there is no room."""
    used = sum(format.width(text) for text, _part, _command in left)
    tail = sum(format.width(text) for text, _part, _command in right)
    if used + tail + 1 > width:
        return list(left)
    return [*left, (" " * (width - used - tail), part, ""), *right]


@dataclass(frozen=True, slots=True)
class Title:
    """What the line above the list says."""

    folder: str = ""
    mailbox: str = ""
    counts: str = ""
    state: str = ""
    tone: str = ""
    key: str = ""  # of the Actions menu
    session: str = ""  # how old the access is


class TitleLine(Painted):
    """Folder, mailbox, counts, sync state, and the button of the Actions menu."""

    PREFIX = "title"
    PARTS = ("folder", "mailbox", "counts", "button", words.OK, words.BUSY, words.WARN, words.BAD, words.QUIET)
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"title--{name}" for name in PARTS}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = Title()

    def say(self, title: Title) -> None:
        """Show another title."""
        self.title = title
        self.renew()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """Whole from 100 cells up; below it first the session's age, then the mailbox and the counts give way."""
        title = self.title
        button = f" {_('Actions')} {title.key} ▾ "
        room = width - format.width(button) - 2
        state: list[Span] = [("● ", title.tone, ""), (title.state + "  ", "counts", "")] if title.state else []
        right: list[Span] = [*state, (button, "button", "actions")]
        folder = format.cut(format.clean(title.folder), max(room // 2, 8))
        left: list[Span] = [(f" {folder} ", "folder", "folders")]
        for text, part in ((title.mailbox, "mailbox"), (title.counts, "counts")):
            taken = sum(format.width(span[0]) for span in (*left, *right))
            if text and taken + format.width(text) + 4 <= width:
                left.append((f" {text} ", part, ""))
        spent = sum(format.width(span[0]) for span in (*left, *right))
        if title.session and state and spent + format.width(title.session) + 4 <= width:
            right[1:2] = [(f"{title.state} · {title.session}  ", "counts", "")]
        line = fill(left, right, width)
        return [line if len(line) > len(left) else fill(left, right[-1:], width)]


class NoticeLine(Painted):
    """One line that tells what just happened and which key takes it back; else where the cursor is."""

    PREFIX = "notice"
    PARTS = ("text", "key", "place", words.OK, words.BUSY, words.WARN, words.BAD, words.QUIET)
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"notice--{name}" for name in PARTS}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.text = ""
        self.tone = ""
        self.hints: tuple[tuple[str, str, str], ...] = ()  # (key, what it does, command)
        self.place = ""

    def say(self, text: str, tone: str = words.OK, hints: Sequence[tuple[str, str, str]] = ()) -> None:
        """Show a sentence, and the keys that follow from it."""
        self.text, self.tone, self.hints = format.clean(text), tone, tuple(hints)
        self.renew()

    def put(self, place: str) -> None:
        """Show where the cursor is."""
        self.place = place
        self.renew()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """The sentence, its keys, and the place at the right where it fits."""
        right: list[Span] = [(self.place + " ", "place", "")] if self.place else []
        if not self.text:
            return [fill([(" ", "", "")], right, width)]
        hints = sum(format.width(f" · {key} {label}") for key, label, _command in self.hints)
        text = format.cut(self.text, max(10, width - hints - 4))
        left: list[Span] = [(" ▌", self.tone, ""), (" " + text, "text", "")]
        for key, label, command in self.hints:
            left += [(" · ", "place", ""), (key, "key", command), (f" {label}", "text", command)]
        return [fill(left, right, width)]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the footer."""

    key: str
    label: str
    command: str


class FooterLine(Painted):
    """The most useful keys here and now; as many as fit, never wrapped."""

    PREFIX = "foot"
    PARTS = ("key", "label")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"foot--{name}" for name in PARTS}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: tuple[Entry, ...] = ()

    def put(self, entries: Iterable[Entry]) -> None:
        """Show these, most useful first."""
        self.entries = tuple(entries)
        self.renew()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """Entries from the left until one does not fit."""
        line: list[Span] = []
        used = 0
        for entry in self.entries:
            need = format.width(entry.key) + format.width(entry.label) + 4
            if used + need > width:
                break
            line += [(f" {entry.key} ", "key", entry.command), (f"{entry.label}  ", "label", entry.command)]
            used += need
        return [line]


class KeyLines(FooterLine):
    """Keys in a dialog, as many lines as they need; each can be pressed by mouse."""

    def renew(self) -> None:
        """As high as the keys need."""
        self.styles.height = max(1, len(self.spans(self.size.width)))
        super().renew()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """Entries from the left; one that does not fit begins the next line."""
        lines: list[list[Span]] = [[]]
        used = 0
        for entry in self.entries:
            need = format.width(entry.key) + format.width(entry.label) + 3
            if lines[-1] and used + need - 2 > width:
                lines.append([])
                used = 0
            lines[-1] += [(f"{entry.key} ", "key", entry.command), (entry.label, "label", entry.command)]
            lines[-1].append(("  ", "", ""))
            used += need
        return lines


class PrefixPanel(Painted):
    """What may follow a prefix key. Stays until a key is pressed; there is no time limit."""

    PREFIX = "prefix"
    PARTS = ("title", "key", "label")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"prefix--{name}" for name in PARTS}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.prefix = ""
        self.entries: tuple[Entry, ...] = ()

    def put(self, prefix: str, entries: Sequence[Entry]) -> None:
        """Offer these after `prefix`."""
        self.prefix, self.entries = prefix, tuple(entries)
        self.styles.height = len(self.spans(self.app.size.width))
        self.display = True
        self._shown = self.spans(self.app.size.width)
        self.refresh()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """The keys in columns, read downwards."""
        if not self.entries:
            return []
        cell = max(format.width(entry.label) for entry in self.entries) + 8
        across = max(1, min((width - 2) // cell, 4))
        down = -(-len(self.entries) // across)
        lines: list[list[Span]] = [[(f" {self.prefix} …", "title", "")]]
        for y in range(down):
            line: list[Span] = []
            for entry in self.entries[y::down]:
                line.append((f" {entry.key:>4} ", "key", entry.command))
                line.append((format.cells(entry.label, cell - 6), "label", entry.command))
            lines.append(line)
        return lines


class TooSmall(Widget):
    """Instead of everything, when the terminal is too small to show what a key would act on."""

    def __init__(self, least: tuple[int, int], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.least = least

    def render(self) -> Content:
        """One sentence."""
        width, height = self.least
        return Content(_("Too small: {width} × {height} at least. Ctrl+Q quits.").format(width=width, height=height))
