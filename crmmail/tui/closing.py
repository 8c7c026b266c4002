"""A screen over others closes once, and only itself, whatever is pressed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete

if TYPE_CHECKING:
    from textual.screen import Screen

    Base = Screen[Any]
else:
    Base = object


class ClosesOnce(Base):
    """Mix into a screen. Textual's `dismiss` closes what is on top: the screen below, or one that came over this."""

    _answer: tuple[Any] | None = None

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close, with an answer, as soon as nothing is over this; nothing when it was answered before."""
        if self._answer is not None:
            return AwaitComplete()
        self._answer = (result,)
        return self._close()

    def on_screen_resume(self) -> None:
        """What was over this is gone."""
        if self._answer is not None:
            self._close()

    def _close(self) -> AwaitComplete:
        if self._answer is None or self.app.screen is not self:
            return AwaitComplete()
        return super().dismiss(self._answer[0])
