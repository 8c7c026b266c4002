"""The account's panel beside the message: painted lines, a click on one runs its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.strip import Strip

from crmmail.crm.model import Briefing
from crmmail.i18n import _
from crmmail.tui import format, panel_lines
from crmmail.tui.panel_lines import Frame
from crmmail.tui.panels import Painted
from crmmail.tui.scroll import PaintedScroll
from crmmail.tui.text_lines import TextLine


class LinesPane(PaintedScroll, can_focus=False):
    """Lines of spans, laid out for the width there is."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: list[TextLine] = []

    def layout_for(self, width: int) -> list[TextLine]:
        """The lines for `width` cells."""
        raise NotImplementedError

    def lay_out(self) -> None:
        """Lay out anew; lines that stay as they were are not painted again."""
        fresh = self.layout_for(self.size.width - 2) if self.size.width > 8 else []
        if fresh != self.lines:
            self.lines = fresh
            self.set_length(len(fresh))
            self.refresh()

    def scroll_lines(self, by: int) -> None:
        """Scroll."""
        self.jump(self.scroll_offset.y + by)

    def on_resize(self, event: events.Resize) -> None:
        """Other line ends."""
        self.lay_out()

    def activity_changed(self) -> None:
        """The margin shows whether keys scroll here."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line, a cell of margin at the left."""
        index, width, base = self.scroll_offset.y + y, self.size.width, self.ink()
        margin = Segment("▌" if self.active else " ", self.ink("key" if self.active else ""))
        spans = self.lines[index].spans if index < len(self.lines) else ()
        segments = [margin, *(Segment(text, self.ink(part)) for text, part in spans)]
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: events.Click) -> None:
        """A line leads to its command."""
        index = self.scroll_offset.y + event.y
        if 0 <= index < len(self.lines) and self.lines[index].command:
            self.post_message(Painted.Pressed(self.lines[index].command))


class AccountPanel(LinesPane):
    """Whose mail the message shown is. `message_id` says which message the lines are of."""

    INK = "who"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"who--{name}" for name in panel_lines.PARTS}

    def __init__(self, *, clock: Callable[[], float], id: str) -> None:
        super().__init__(id=id)
        self.clock = clock
        self.keys: Callable[[], Mapping[str, str]] = dict
        self.briefing: Briefing | None = None
        self.classify = False
        self.trouble = ""

    @property
    def message_id(self) -> int | None:
        """The message it is about."""
        return self.briefing.message if self.briefing else None

    def show(self, briefing: Briefing | None, *, classify: bool = False, trouble: str = "") -> None:
        """Show what is known of a message; another message begins at the top."""
        if self.message_id != (briefing.message if briefing else None):
            self.jump(0)
        self.briefing, self.classify, self.trouble = briefing, classify, trouble
        self.lay_out()

    def layout_for(self, width: int) -> list[TextLine]:
        """The briefing's lines, or why there are none."""
        if self.briefing is None:
            text = self.trouble or _("The account of the message under the cursor stands here.")
            return [TextLine(((line, "quiet"),)) for line in format.wrap(text, width)]
        frame = Frame(width, self.clock(), self.keys(), self.classify)
        return panel_lines.layout(self.briefing, frame)
