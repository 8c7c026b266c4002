"""The reader: lines of text, painted as the list is. Opening costs one read from the store and the wrapping of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.selection import Selection
from textual.strip import Strip

from crmmail.i18n import _
from crmmail.model import Message
from crmmail.tui import format, text_lines
from crmmail.tui.panels import Painted
from crmmail.tui.scroll import BarredScroll
from crmmail.tui.text_lines import Shape, TextLine

PARTS = (
    "subject",
    "label",
    "value",
    "address",
    "text",
    "quote",
    "fold",
    "link",
    "host",
    "rule",
    "warn",
    "bad",
    "quiet",
    "attachment",
    "thumb",
)
TEXT_WIDTH = 100  # longer lines are hard to read


def _marked(strip: Strip, start: int, end: int) -> Strip:
    """`strip` with the cells from `start` to `end` as selected."""
    before, inside, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
    return Strip.join([before, inside.apply_style(Style(reverse=True)), after])


class Reader(BarredScroll, can_focus=False):
    """One message, or nothing."""

    INK = "read"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"read--{name}" for name in PARTS}

    def __init__(self, *, clock: Callable[[], float], id: str | None = None) -> None:
        super().__init__(id=id)
        self.clock = clock
        self.message: Message | None = None
        self.thread: tuple[int, int] = (1, 1)
        self.shape = Shape(0)
        self.hints: Callable[[], tuple[tuple[str, str], ...]] = tuple
        self._lines: list[TextLine] = []
        self._quotes = False

    @property
    def message_id(self) -> int | None:
        """The message shown."""
        return self.message.row.id if self.message else None

    @property
    def line_count(self) -> int:
        """How long the text is."""
        return len(self._lines)

    def facts(self) -> dict[str, Any]:
        """What commands need to know of the message: fields of `commands.Context`."""
        body = self.message.body if self.message else None
        if body is None:
            return {"thread": self.thread[1]}
        return {
            "thread": self.thread[1],
            "links": len(body.links),
            "attachments": len(body.attachments),
            "quotes": self._quotes,
            "cut": len(body.text) > text_lines.CAP and not self.shape.whole,
        }

    def show(self, message: Message | None, thread: tuple[int, int] = (1, 1)) -> None:
        """Show a message from its beginning; the same one again keeps its place and its folds."""
        same = message is not None and message.row.id == self.message_id
        if same and (message, thread) == (self.message, self.thread) and self.shape.width == self._text_width:
            return
        self.message, self.thread = message, thread
        if not same:
            self.shape = Shape(self.shape.width)
            self.jump(0)
        self._quotes = bool(message and message.body and text_lines.has_quotes(message.body))
        self.lay_out()

    def toggle_quotes(self) -> None:
        """Unfold quoted text, or fold it."""
        self.shape = replace(self.shape, quotes=not self.shape.quotes)
        self.lay_out()

    def show_whole(self) -> None:
        """Also what is beyond the cap."""
        self.shape = replace(self.shape, whole=True)
        self.lay_out()

    def scroll_lines(self, by: int) -> bool:
        """Scroll; whether that was possible."""
        before = self.scroll_offset.y
        self.jump(before + by)
        return self.scroll_offset.y != before

    @property
    def _text_width(self) -> int:
        """While it is hidden, that of the last time it was shown: mostly the next one's too."""
        return min(self.size.width - 3, TEXT_WIDTH) if self.size.width else self.shape.width

    def lay_out(self) -> None:
        """Wrap the text anew: another message, width, language or keys."""
        self._wrap()
        self.refresh()

    def _wrap(self) -> None:
        width = self._text_width
        if width > 10 and self.message is not None:
            self.shape = replace(self.shape, width=width, key=self.hints())
            self._lines = text_lines.layout(self.message, self.shape, self.thread)
        elif self.message is None:
            self._lines = []
        self.set_length(len(self._lines))

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew."""
        if self._text_width != self.shape.width:
            self.lay_out()

    def paint_lines(self, lines: Sequence[int]) -> list[Strip]:
        """Wrapped for the width there is: shown for the first time it is painted before it hears of its size."""
        if self.message is not None and self._text_width != self.shape.width:
            self._wrap()
        return super().paint_lines(lines)

    def render_line(self, y: int) -> Strip:
        """One line of text, a cell of margin at the left, the scrollbar at the right."""
        top, (width, height) = self.scroll_offset.y, self.size
        index, base = top + y, self.ink()
        if index >= len(self._lines):
            return self._nothing(y, width) if self.message is None else Strip.blank(width, base)
        segments = [Segment(text, self.ink(part)) for text, part in self._lines[index].spans]
        strip = Strip([Segment(" ", base), *segments]).adjust_cell_length(width - 1, base)
        selection = self.text_selection
        span = selection.get_span(index) if selection is not None else None
        if span is not None:
            start, end = (format.width(self._plain(index)[:at]) if at > 0 else at for at in span)
            strip = _marked(strip, start, width - 1 if end < 0 else end)
        # The bar is no text: it has no place in a selection.
        return Strip([*strip.apply_offsets(0, index), self.bar(y in self.thumb(top, height))], width)

    def _plain(self, index: int) -> str:
        return " " + "".join(text for text, _part in self._lines[index].spans)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text: what a reply quotes, what is copied."""
        lines = "\n".join(self._plain(index).rstrip() for index in range(len(self._lines)))
        text = selection.extract(lines)
        return "\n".join(line.removeprefix(" ") for line in text.split("\n")), "\n"

    def _nothing(self, y: int, width: int) -> Strip:
        """The wide layout before anything is opened."""
        if y != self.size.height // 3:
            return Strip.blank(width, self.ink())
        words = _("Enter opens a message here")
        left = " " * max(0, (width - format.width(words)) // 2)
        return Strip([Segment(left + words, self.ink("quiet"))]).adjust_cell_length(width, self.ink())

    def on_click(self, event: events.Click) -> None:
        """Folds, attachments and links lead to their command."""
        index = self.scroll_offset.y + event.y
        if not self.is_bar(event.x) and 0 <= index < len(self._lines) and self._lines[index].command:
            self.post_message(Painted.Pressed(self._lines[index].command))
