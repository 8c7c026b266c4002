"""A screen over others closes once, whatever is pressed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete

if TYPE_CHECKING:
    from textual.screen import Screen

    Base = Screen[Any]
else:
    Base = object


class ClosesOnce(Base):
    """Mix into a screen. Textual's `dismiss` closes what is on top: a second Esc would take the screen below."""

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close, with an answer; nothing when this is closed already."""
        return super().dismiss(result) if self in self.app.screen_stack else AwaitComplete()
