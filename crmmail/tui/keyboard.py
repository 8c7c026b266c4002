"""From a pressed key to a command: one stroke, or a chord after a prefix. Used by every screen that runs commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual import events

from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.ops import Verb
from crmmail.tui import words
from crmmail.tui.commands import BY_ID, Command, Context, possible
from crmmail.tui.keymap import Keymap, shown

_MODIFIERS = ("ctrl", "alt", "super", "hyper", "meta")


def stroke(event: events.Key) -> str:
    """The key as the command table writes it: the character where there is one, else Textual's name."""
    if event.key == "space" or event.key.split("+")[0] in _MODIFIERS:
        return event.key
    if event.character and event.character.isprintable() and not event.character.isspace():
        return event.character
    return event.key


class Keyboard:
    """What a screen needs to run commands from keys. The screen gives `keymap`, `context` and `action_<id>`."""

    keymap: Keymap
    prefix: str = ""
    struck: str = ""  # the key that is being carried out; '' when it was no key
    takes_typing: bool = False  # the screen itself tells typing from commands (the composer)

    def context(self) -> Context:
        """What the screen shows right now."""
        raise NotImplementedError

    def hint(self, sentence: str) -> None:
        """Tell the user something in passing."""
        raise NotImplementedError

    def fail(self, error: CrmMailError) -> None:
        """Tell the user what went wrong and what to do next."""
        raise NotImplementedError

    def show_prefix(self, entries: Iterable[Command]) -> None:
        """Show, or with no entries hide, what may follow the prefix."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The only gate: a command of the table is possible or it does not happen. All else is Textual's own."""
        command = BY_ID.get(action)
        return True if command is None else possible(command, self.context())

    async def press(self, event: events.Key) -> bool:
        """Carry out what a key means here; whether it meant anything."""
        self.struck = key = stroke(event)
        try:
            if self.prefix:
                await self._after_prefix(key)
                return True
            if key in self.keymap.chords:
                self.prefix = key
                self.show_prefix(self.after(key))
                return True
            found = self.keymap.single.get(key, ())
            return await self._first(found) or self._say_why(found)
        finally:
            self.struck = ""

    async def _after_prefix(self, key: str) -> None:
        prefix, self.prefix = self.prefix, ""
        found = self.keymap.chords.get(prefix, {}).get(key, ())
        self.show_prefix(())
        if key == "escape" or await self._first(found):
            return
        self.hint(
            _("{keys} means nothing here. {prefix} shows what may follow.").format(
                keys=f"{shown(prefix)} {shown(key)}", prefix=shown(prefix)
            )
        )

    async def _first(self, commands: Iterable[Command]) -> bool:
        """Run the first of them that is possible now."""
        context = self.context() if commands else None
        for command in commands:
            if context is not None and possible(command, context):
                await self.run_command(command.id)
                return True
        return False

    def _say_why(self, commands: Iterable[Command]) -> bool:
        """Say why the key of a verb does nothing to the messages it is meant for; whether there was one to explain."""
        context = self.context()
        verb = next((one.verb for one in commands if one.verb and context.pane in one.panes), None)
        unknown = verb in (Verb.FAVORITE, Verb.UNFAVORITE) and not context.favorites  # where there is no such thing
        if verb is None or unknown or not context.targets:
            return False
        self.hint(words.nothing(verb))
        return True

    def after(self, prefix: str) -> list[Command]:
        """The commands that are possible after a prefix, in table order, each once."""
        context = self.context()
        found = (command for some in self.keymap.chords.get(prefix, {}).values() for command in some)
        return [command for command in dict.fromkeys(found) if possible(command, context)]

    async def run_command(self, command_id: str) -> None:
        """Run a command by its id: from a key, the menu, the palette or a click. Errors become sentences."""
        if not self.check_action(command_id, ()):
            return
        try:
            result = getattr(self, f"action_{command_id}")()
            if result is not None:
                await result
        except CrmMailError as error:
            self.fail(error)

    def guarded(self, act: Callable[[], None]) -> None:
        """Run what a click or a dialog decided; errors become sentences."""
        try:
            act()
        except CrmMailError as error:
            self.fail(error)
