"""Forms whose keys are carried out in the order they were typed, however fast: by hand or by a password manager.

Textual hands a key to the focused widget's queue and an unused one back up: a Tab would overtake the letters before it,
and a password typed right behind it would land in another field, in the open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual import events
from textual.widgets import Input, TextArea

if TYPE_CHECKING:
    from textual.screen import Screen

    Base = Screen[Any]
else:
    Base = object

_TURNS = 200  # of the loop, at most, for a field to take what waits for it
_MOVES = {"tab": 1, "shift+tab": -1, "down": 1, "up": -1}


class InOrder(Base):
    """A screen with fields. The application gives it every key before any widget has it."""

    async def press(self, event: events.Key) -> bool:
        """Carry out what a key means in the field, or between fields; whether it meant anything."""
        await self._settled()
        field = self.focused
        if isinstance(field, Input | TextArea) and await self._taken(field, event):
            return True
        if event.key in _MOVES and field is not None:
            self.focus_next() if _MOVES[event.key] > 0 else self.focus_previous()
            return True
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                return True
        return False

    async def _settled(self) -> None:
        """What came before this key is done: in the field, and in what follows from it (another step or field)."""
        for _turn in range(_TURNS):
            above = self.focused.ancestors_with_self if self.focused is not None else [self]
            if not any(node.message_queue_size for node in above if node is not self.app):
                return
            await asyncio.sleep(0)

    async def _taken(self, field: Input | TextArea, event: events.Key) -> bool:
        for binding in field._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, field):
                return True
        if event.is_printable or (event.key == "enter" and isinstance(field, TextArea)):
            await field._on_key(event)
            return True
        return False
