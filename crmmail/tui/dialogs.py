"""The small screens over the main one: a question, a question answered by a count, a list to pick from, a text.

All outside text is shown as `Content` after `format.clean`: never as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, Static

from crmmail.i18n import _
from crmmail.tui import format
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.scroll import PaintedScroll

R = TypeVar("R")


class Button(Static, can_focus=True):
    """A word to click or to press Enter on."""

    class Pressed(Message):
        """It was."""

        def __init__(self, button: Button) -> None:
            super().__init__()
            self.button = button

    def __init__(self, label: str, *, id: str, classes: str = "") -> None:
        super().__init__(Content(f" {format.clean(label)} "), id=id, classes=classes)

    def on_click(self) -> None:
        """Pressed by mouse."""
        self.post_message(self.Pressed(self))

    def on_key(self, event: events.Key) -> None:
        """Pressed by key."""
        if event.key in ("enter", "space"):
            event.stop()
            self.post_message(self.Pressed(self))


class Dialog(ClosesOnce, ModalScreen[R]):
    """A box in the middle; Esc leaves it without an answer."""

    def on_key(self, event: events.Key) -> None:
        """Textual calls the `on_` methods of every base class: the one here asks the one method that is overridden."""
        self.pressed(event)

    def on_mount(self) -> None:
        """Ready to be used."""
        self.ready()

    def ready(self) -> None:
        """Put the focus where it belongs."""

    def pressed(self, event: events.Key) -> None:
        """Esc and q lead out of every dialog; arrows go from button to button."""
        if event.key == "escape" or (event.key == "q" and not isinstance(self.focused, Input)):
            event.stop()
            self.dismiss(None)
        elif event.key in ("left", "right") and not isinstance(self.focused, Input):
            event.stop()
            self.focus_next() if event.key == "right" else self.focus_previous()


class Confirm(Dialog[bool]):
    """A question with one act. The safe button has the focus, unless the act is harmless."""

    def __init__(self, question: str, text: str, act: str, *, harmless: bool = False, bad: bool = False) -> None:
        super().__init__()
        self.question, self.text, self.act = question, text, act
        self.harmless, self.bad = harmless, bad

    def compose(self) -> ComposeResult:
        """Question, consequence, buttons."""
        with Vertical(id="box"):
            yield Static(Content(format.clean(self.question)), id="question")
            if self.text:
                yield Static(
                    Content(format.clean(self.text, lines=True)), id="text", classes="-bad" if self.bad else ""
                )
            yield from self.between()
            with Horizontal(id="buttons"):
                yield Button(f"{self.act}  {_('y')}", id="yes", classes="" if self.harmless else "-danger")
                yield Button(_("Cancel") + "  Esc", id="no")

    def between(self) -> ComposeResult:
        """Room for more between text and buttons."""
        yield from ()

    def ready(self) -> None:
        """Enter does what is safe."""
        self.query_one("#yes" if self.harmless else "#no").focus()

    def pressed(self, event: events.Key) -> None:
        """y and n answer."""
        if event.key in ("y", "n", _("y")):
            event.stop()
            self.dismiss(event.key != "n")
            return
        super().pressed(event)

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        self.answered(event.button.id == "yes")

    def answered(self, yes: bool) -> None:
        """The answer stands."""
        self.dismiss(yes)


class Notice(Dialog[None]):
    """A sentence too long for a line, to be read to its end."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.heading, self.text = title, text

    def compose(self) -> ComposeResult:
        """Title, sentence, the way out."""
        with Vertical(id="box"):
            yield Static(Content(format.clean(self.heading)), id="question")
            yield Static(Content(format.clean(self.text, lines=True)), id="text", classes="-bad")
            with Horizontal(id="buttons"):
                yield Button(_("Close") + "  Esc", id="no")

    def ready(self) -> None:
        """Enter closes it too."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def _button(self) -> None:
        self.dismiss(None)


class ConfirmCount(Confirm):
    """A question about so many messages that their number has to be typed."""

    def __init__(self, question: str, text: str, act: str, count: int) -> None:
        super().__init__(question, text, act)
        self.count = count

    def between(self) -> ComposeResult:
        """The number."""
        yield Static(Content(_("Type {count} to go on:").format(count=self.count)), id="ask")
        yield Input(id="count", compact=True, max_length=9)

    def ready(self) -> None:
        """Typing goes to the number."""
        self.query_one(Input).focus()

    def pressed(self, event: events.Key) -> None:
        """No single key answers here."""
        Dialog.pressed(self, event)

    @property
    def right(self) -> bool:
        """Whether the number typed is the one asked for."""
        return self.query_one(Input).value.strip() == str(self.count)

    @on(Input.Submitted)
    def _typed(self) -> None:
        self._decide()

    def answered(self, yes: bool) -> None:
        """Only with the right number."""
        if yes:
            self._decide()
        else:
            self.dismiss(False)

    def _decide(self) -> None:
        if self.right:
            self.dismiss(True)
        else:
            self.query_one("#ask", Static).update(
                Content(_("That is not the number. Type {count} to go on, or Esc to leave.").format(count=self.count))
            )


class Choices(PaintedScroll):
    """Lines to choose from, painted: (text, detail at the right, tone)."""

    INK = "choice"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"choice--{name}" for name in ("text", "detail", "cursor", "title")}

    def __init__(self, lines: Sequence[tuple[str, str]], *, start: int = 0, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines = list(lines)
        self.cursor = start

    class Chosen(Message):
        """A line was clicked."""

    def on_mount(self) -> None:
        """How much there is."""
        self.put(self.lines)

    def put(self, lines: Sequence[tuple[str, str]]) -> None:
        """Other lines."""
        self.lines = [
            (format.clean(text), detail if detail == HEADING else format.clean(detail)) for text, detail in lines
        ]
        self.cursor = max(0, min(self.cursor, len(self.lines) - 1))
        self.set_length(len(self.lines))
        self._follow()
        self.refresh()

    def move(self, by: int) -> None:
        """Move the cursor, over headings too."""
        goal = max(0, min(len(self.lines) - 1, self.cursor + by))
        while 0 <= goal < len(self.lines) and self.lines[goal][1] == HEADING and goal + (1 if by > 0 else -1) >= 0:
            goal += 1 if by > 0 else -1
        if 0 <= goal < len(self.lines) and self.lines[goal][1] != HEADING:
            self.cursor = goal
        self._follow()
        self.refresh()

    def scroll_by(self, by: int) -> None:
        """Scroll where there is nothing to choose."""
        self.cursor = -1
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, immediate=True)

    def _follow(self) -> None:
        self.reveal(self.cursor)

    def render_line(self, y: int) -> Strip:
        """One line: text left, detail right."""
        index, width = self.scroll_offset.y + y, self.size.width
        if index >= len(self.lines):
            return Strip.blank(width, self.ink())
        text, detail = self.lines[index]
        if detail == HEADING:
            heading = Segment(" " + format.cells(text, width - 2), self.ink("title"))
            return Strip([heading]).adjust_cell_length(width, self.ink())
        kind = "cursor" if index == self.cursor else ""
        detail = format.cut(detail, width // 2)
        room = max(8, width - 4 - format.width(detail))
        segments = [
            Segment(" " + format.cells(text, room) + " ", self.ink("text", kind)),
            Segment(detail + " ", self.ink("detail", kind)),
        ]
        return Strip(segments).adjust_cell_length(width, self.ink("", kind))

    def on_click(self, event: events.Click) -> None:
        """Choose by mouse."""
        index = self.scroll_offset.y + event.y
        if 0 <= index < len(self.lines) and self.lines[index][1] != HEADING:
            self.cursor = index
            self.refresh()
            self.post_message(self.Chosen())


HEADING = "\x00heading"
PAGE_MOVES = {
    "down": 1,
    "j": 1,
    "up": -1,
    "k": -1,
    "pagedown": 15,
    "pageup": -15,
    "space": 15,
    "home": -9999,
    "end": 9999,
}
MOVES = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 8, "pageup": -8, "home": -100_000, "end": 100_000}


class Picker(Dialog[int | tuple[str, int]]):
    """A list to pick one of. Enter answers its index; the other keys of `keys` answer (key, index)."""

    def __init__(
        self, title: str, lines: Sequence[tuple[str, str]], *, start: int = 0, keys: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self.heading = title
        self.choices = Choices(lines, start=start, id="choices")
        self.keys = dict(keys or {"enter": _("choose")})

    def compose(self) -> ComposeResult:
        """Title, lines, keys."""
        with Vertical(id="box"):
            yield Static(Content(format.clean(self.heading)), id="question")
            yield self.choices
            hints = [f"{'Enter' if key == 'enter' else key} {label}" for key, label in self.keys.items()]
            yield Static(Content(" · ".join([*hints, "Esc " + _("close")])), id="hint")

    def ready(self) -> None:
        """As high as its lines, as far as there is room."""
        self.choices.styles.height = max(1, min(len(self.choices.lines), self.app.size.height - 9))
        self.choices.focus()

    def pressed(self, event: events.Key) -> None:
        """Move, choose, leave."""
        key = event.key
        if key in self.keys and self.choices.lines:
            event.stop()
            self.dismiss(self.choices.cursor if key == "enter" else (key, self.choices.cursor))
        elif key in MOVES:
            event.stop()
            self.choices.move(MOVES[key])
        else:
            super().pressed(event)

    @on(Choices.Chosen)
    def _chosen(self) -> None:
        self.dismiss(self.choices.cursor)


class TextPane(ScrollView, can_focus=True):
    """Lines of clean text as they are; long ones are wrapped, or cut by the screen and reached sideways."""

    def __init__(self, text: str, *, wrap: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.text, self.wrap = text, wrap
        self.lines = text.split("\n")

    def on_mount(self) -> None:
        """How much there is; widths are measured only for the beginning, where nearly all long lines are."""
        if self.wrap:
            return
        widest = max((format.width(line) for line in self.lines[:2000]), default=0)
        self.virtual_size = Size(min(widest + 1, 4000), len(self.lines))

    def on_resize(self) -> None:
        """Wrapped lines follow the width."""
        if self.wrap and self.size.width:
            self.lines = format.wrap(self.text, self.size.width)
            self.virtual_size = Size(self.size.width, len(self.lines))

    def render_line(self, y: int) -> Strip:
        """One line, from where it is scrolled to."""
        left, top = self.scroll_offset
        width = self.size.width
        style = self.rich_style
        if top + y >= len(self.lines):
            return Strip.blank(width, style)
        line = self.lines[top + y][: 4000 + width]
        strip = Strip([Segment(line, style)])
        return strip.crop(left, left + width).adjust_cell_length(width, style)


class TextScreen(Dialog[None]):
    """A long text: headers, source."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.heading = title
        self.pane = TextPane(text, id="pane")

    def compose(self) -> ComposeResult:
        """Title, text, the way out."""
        with Vertical(id="whole"):
            yield Static(Content(format.clean(self.heading)), id="question")
            yield self.pane
            yield Static(Content("Esc " + _("close")), id="hint")

    def ready(self) -> None:
        """Keys scroll."""
        self.pane.focus()

    def pressed(self, event: events.Key) -> None:
        """Scroll by keys as everywhere."""
        if event.key in MOVES or event.key == "space":
            event.stop()
            height = max(1, self.pane.size.height - 1)
            by = {"pagedown": height, "pageup": -height, "space": height}.get(event.key) or MOVES[event.key]
            self.pane.scroll_to(y=self.pane.scroll_offset.y + by, animate=False, immediate=True)
        elif event.key in ("left", "right", "h", "l"):
            event.stop()
            by = 8 if event.key in ("right", "l") else -8
            self.pane.scroll_to(x=self.pane.scroll_offset.x + by, animate=False, immediate=True)
        else:
            super().pressed(event)
