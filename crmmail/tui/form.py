"""A form: labelled fields one below the other, each checked as it is typed, saved by one key.

What a field holds is text and stays as typed until it is saved; what is wrong with it stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from crmmail.i18n import _
from crmmail.tui import format
from crmmail.tui.composer_body import plain
from crmmail.tui.dialogs import Button, Confirm, Dialog

Values = Mapping[str, str]


def fine(text: str) -> str:
    """Anything may be typed here."""
    return ""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form. `problem` says what is wrong with a text, '' where nothing is."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    lines: int = 1  # more than one: a small editor
    problem: Callable[[str], str] = fine


class Form(Dialog[Values]):
    """Answers the values when they are saved. `also` says what is wrong with all of them together."""

    def __init__(
        self, title: str, fields: Sequence[Field], *, text: str = "", also: Callable[[Values], str] | None = None
    ) -> None:
        super().__init__()
        self.heading, self.fields, self.text = title, tuple(fields), text
        self.also = also

    def compose(self) -> ComposeResult:
        """Title, fields, what is wrong, buttons."""
        with Vertical(id="box", classes="-form"):
            yield Static(Content(format.clean(self.heading)), id="question")
            if self.text:
                yield Static(Content(format.clean(self.text, lines=True)), id="text")
            with VerticalScroll(id="rows", can_focus=False):
                for field in self.fields:
                    with Horizontal(classes="form-row"):
                        yield Static(Content(field.label), classes="form-label")
                        yield self._editor(field)
            yield Static(id="ask")
            with Horizontal(id="buttons"):
                yield Button(_("Save") + "  Ctrl+S", id="yes")
                yield Button(_("Cancel") + "  Esc", id="no")

    def _editor(self, field: Field) -> Input | TextArea:
        if field.lines == 1:
            value = format.clean(field.value)
            return Input(value, placeholder=field.hint, id=f"field-{field.name}", compact=True, max_length=1000)
        area = TextArea(
            plain(field.value),
            id=f"field-{field.name}",
            compact=True,
            soft_wrap=True,
            highlight_cursor_line=False,
            placeholder=field.hint,
        )
        area.styles.height = field.lines
        area.cursor_blink = False
        return area

    def ready(self) -> None:
        """Typing goes to the first field."""
        rows = sum(field.lines for field in self.fields)
        self.query_one("#rows").styles.height = max(3, min(rows, self.app.size.height - 9 - 2 * bool(self.text)))
        self.query_one(f"#field-{self.fields[0].name}").focus()
        self._tell()

    @property
    def values(self) -> dict[str, str]:
        """What the fields hold."""
        return {field.name: self._value(field) for field in self.fields}

    def _value(self, field: Field) -> str:
        widget = self.query_one(f"#field-{field.name}")
        return widget.text if isinstance(widget, TextArea) else widget.value if isinstance(widget, Input) else ""

    @property
    def problem(self) -> tuple[str, str]:
        """(field, sentence) of the first thing that is wrong; two empty texts when nothing is."""
        values = self.values
        for field in self.fields:
            if sentence := field.problem(values[field.name]):
                return field.name, sentence
        return "", self.also(values) if self.also else ""

    @property
    def touched(self) -> bool:
        """Whether anything was changed."""
        return any(
            self._value(field) != (format.clean(field.value) if field.lines == 1 else plain(field.value))
            for field in self.fields
        )

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _tell(self) -> None:
        self.query_one("#ask", Static).update(Content(format.clean(self.problem[1])))

    @on(Input.Submitted)
    def _next(self) -> None:
        """Enter goes on; from the last field it saves."""
        last = self.query_one(f"#field-{self.fields[-1].name}")
        self.save() if self.focused is last else self.focus_next()

    def save(self) -> None:
        """Answer, when nothing is wrong; else go where it is."""
        name, sentence = self.problem
        if sentence:
            self._tell()
            if name:
                self.query_one(f"#field-{name}").focus()
            return
        self.dismiss(self.values)

    def pressed(self, event: events.Key) -> None:
        """Ctrl+S saves, arrows go from field to field, Esc leaves: twice, when something would be lost."""
        if event.key == "ctrl+s":
            event.stop()
            self.save()
        elif event.key in ("down", "up") and isinstance(self.focused, Input):
            event.stop()
            self.focus_next() if event.key == "down" else self.focus_previous()
        elif event.key == "escape":
            event.stop()
            self.leave()
        elif not isinstance(self.focused, TextArea):
            super().pressed(event)

    def leave(self) -> None:
        """Without saving; what was typed is not thrown away unasked."""
        if not self.touched:
            self.dismiss(None)
            return
        if self.app.screen is not self:  # it is asked already
            return
        question = Confirm(_("Leave without saving?"), _("What you changed here is lost."), _("Leave"))
        self.app.push_screen(question, self._left)

    def _left(self, sure: bool | None) -> None:
        if sure:
            self.dismiss(None)

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        event.stop()
        self.save() if event.button.id == "yes" else self.leave()
