"""Keys of the composer, all in the application's own queue: in the order they were typed, however fast.

Textual hands a key to the focused widget's queue and an unused one back up to the application's. A Tab or a Send typed
right behind a letter would then overtake it: the letter would land in the wrong field, or miss the message.
"""

from __future__ import annotations

import asyncio

from textual import events
from textual.widgets import Input, TextArea

from crmmail.tui.commands import COMPOSE, possible
from crmmail.tui.composer_base import Composer
from crmmail.tui.composer_fields import Files, Line, Sender
from crmmail.tui.recipients import Recipients

_TURNS = 50  # of the loop, at most, for a field to take what waits for it
_MOVES = {"tab": 1, "shift+tab": -1}


class Typing(Composer):
    """From a key to a command, a field, or the next field."""

    async def press(self, event: events.Key) -> bool:
        """Carry out what a key means; whether it meant anything."""
        if self.sending:
            return True
        await self._pasted()
        if event.key == "escape" and sum(field.close_offers() for field in (self.customer, *self.fields.values())):
            return True
        return await self._command(event) or await self._typed(event) or self._moved(event)

    async def _pasted(self) -> None:
        """What is pasted goes to the field's own queue: let it in before the key that came after it."""
        for _turn in range(_TURNS):
            if self.focused is None or not self.focused.message_queue_size:
                return
            await asyncio.sleep(0)

    async def _command(self, event: events.Key) -> bool:
        """Only keys that type nothing are commands here."""
        if event.is_printable and "+" not in event.key:
            return False
        context = self.context()
        for command in self.keymap.single.get(event.key, ()):
            if COMPOSE in command.panes and possible(command, context):
                await self.run_command(command.id)
                return True
        return False

    async def _typed(self, event: events.Key) -> bool:
        field = self.focused
        if isinstance(field, Recipients | Sender | Files | Line) and field.take(event):
            return True
        if not isinstance(field, Input | TextArea):
            return False
        for binding in field._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, field):
                return True
        if event.is_printable or event.key == "enter":
            await field._on_key(event)
            return True
        return False

    def _moved(self, event: events.Key) -> bool:
        if event.key not in _MOVES:
            return False
        self.focus_next() if _MOVES[event.key] > 0 else self.focus_previous()
        return True
