"""The message itself: Textual's editor, plain, wrapped softly, without highlighting."""

from __future__ import annotations

import re

from textual import events
from textual.document._wrapped_document import WrappedDocument
from textual.widgets import TextArea

from crmmail.i18n import _

_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# What a terminal would obey, and what turns the order of letters around. Emoji keep their variation selectors.
_UNSAFE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` as it may stand in the editor: our line ends, nothing a terminal obeys."""
    return _UNSAFE.sub("", _BREAKS.sub("\n", text))


class _Wrapped(WrappedDocument):
    """Textual adds up the height over all lines, once for every line it paints: 50 ms a key at 200 KB."""

    @property
    def height(self) -> int:
        return len(self._offset_to_line_info)


class Body(TextArea):
    """Text to write. `place` is the cursor as a number of characters from the beginning."""

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            compact=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            placeholder=_("Message"),
        )
        self.cursor_blink = False

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(text, language)
        self.wrapped_document.__class__ = _Wrapped  # made anew it would be wrapped twice

    @property
    def place(self) -> int:
        """Where the cursor is, in characters."""
        row, column = self.cursor_location
        lines = self.document.lines
        return sum(len(line) + 1 for line in lines[:row]) + column

    def put(self, text: str, place: int) -> None:
        """Another text, the cursor in it."""
        self.load_text(plain(text))
        self.move_to(place)

    def move_to(self, place: int) -> None:
        """The cursor `place` characters from the beginning."""
        left = max(0, place)
        for row, line in enumerate(self.document.lines):
            if left <= len(line):
                self.move_cursor((row, left))
                return
            left -= len(line) + 1
        self.move_cursor(self.document.end)

    def insert_here(self, text: str) -> None:
        """Put `text` where the cursor is, as if typed."""
        result = self.insert(plain(text), maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    async def on_paste(self, event: events.Paste) -> None:
        """Whatever the clipboard holds is text: line ends are made ours, control characters go."""
        event.stop()
        event.prevent_default()
        if result := self._replace_via_keyboard(plain(event.text), *self.selection):
            self.move_cursor(result.end_location)
