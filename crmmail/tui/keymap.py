"""Which keys lead to which commands: presets, the user's own keys over them, chords, and how a key is written.

A key is written as Textual names it ("ctrl+p", "pagedown") or as the character itself ("#", "G"); two of them with a
space between are a chord ("g i"). Where one key serves several commands, the first possible one in table order has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from crmmail.i18n import _
from crmmail.tui.commands import BY_ID, COMMANDS, Command, always

PRESETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gmail": {},
    "mutt": {
        "read": ("I",),
        "unread": ("N", "U", "_"),
        "favorite": ("F", "s"),
        "unfavorite": ("F", "s"),
        "select": ("t", "x"),
        "quit": ("q", "x"),
        "back": ("q", "i", "escape", "left"),
        "next_message": ("J", "j"),
        "previous_message": ("K", "k"),
        "page_on": ("space",),
        "refresh": ("$", "f5", "ctrl+r"),
        "top": ("=", "g g", "home"),
        "account_panel": (", i",),
    },
    "aerc": {
        "select": ("v", "x", "t"),
        "attachments": ("o", "v"),
        "headers": ("H", "h"),
        "archive": ("A", "e"),
        "filter": ("\\", "l"),
        "next_folder": ("J", "]"),
        "previous_folder": ("K", "["),
        "next_message": ("N", "ctrl+j"),
        "previous_message": ("P", "ctrl+p"),
        "palette": (":", "ctrl+k"),
        "link_account": (", a",),
        "private": (", p",),
    },
    "outlook": {
        "read": ("ctrl+q", "I"),
        "unread": ("ctrl+u", "U", "_"),
        "undo": ("ctrl+z", "z"),
        "search": ("ctrl+e", "/", "f3"),
        "refresh": ("f9", "f5", "ctrl+r"),
        "actions": ("shift+f10", "."),
        "next_message": ("ctrl+full_stop", "J"),
        "previous_message": ("ctrl+comma", "K"),
        "leave": ("ctrl+w",),
    },
}


def keys_of(command: Command, preset: str = "gmail", own: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The keys of a command: the user's own, else the preset's, else the table's."""
    if own and command.id in own:
        return tuple(_normal(key) for key in own[command.id].split(",") if key.strip())
    return PRESETS.get(preset, {}).get(command.id, command.keys)


def _normal(written: str) -> str:
    """A key as a user may write it ("Ctrl+P", "comma") in the form the table uses."""
    parts = written.split()
    return " ".join("," if part == "comma" else part.lower() if len(part) > 1 else part for part in parts)


@dataclass(frozen=True, slots=True)
class Keymap:
    """Which keys lead where. `single` and `chords` hold command ids in table order."""

    keys: Mapping[str, tuple[str, ...]]  # command id → its keys
    single: Mapping[str, tuple[Command, ...]] = field(default_factory=dict)
    chords: Mapping[str, Mapping[str, tuple[Command, ...]]] = field(default_factory=dict)

    @classmethod
    def build(cls, preset: str = "gmail", own: Mapping[str, str] | None = None) -> Keymap:
        """The keymap of a preset with the user's own keys over it."""
        keys = {command.id: keys_of(command, preset, own) for command in COMMANDS}
        single: dict[str, tuple[Command, ...]] = {}
        chords: dict[str, dict[str, tuple[Command, ...]]] = {}
        for command in COMMANDS:
            for key in keys[command.id]:
                first, _space, second = key.partition(" ")
                table = chords.setdefault(first, {}) if second else single
                table[second or first] = (*table.get(second or first, ()), command)
        return cls(keys, single, chords)

    def first(self, command_id: str) -> str:
        """The key to show for a command, readable; '' when it has none."""
        keys = self.keys.get(command_id, ())
        return shown(keys[0]) if keys else ""

    def all(self, command_id: str) -> str:
        """Every key of a command, readable."""
        return ", ".join(shown(key) for key in self.keys.get(command_id, ()))


def problems(preset: str, own: Mapping[str, str]) -> list[str]:
    """Sentences about the user's own keys that cannot work as written: unknown names, clashes, lost prefixes."""
    found = [_("There is no command “{id}”.").format(id=name) for name in own if name not in BY_ID]
    keymap = Keymap.build(preset, own)
    for name in own:
        for key in keymap.keys.get(name, ()):
            found.extend(_clashes(keymap, BY_ID[name], key))
    return found


def _clashes(keymap: Keymap, command: Command, key: str) -> Iterator[str]:
    first, _space, second = key.partition(" ")
    if not second and first in keymap.chords:
        yield _("“{key}” begins other keys, so “{id}” is never reached by it.").format(key=shown(key), id=command.id)
    table = keymap.chords.get(first, {}) if second else keymap.single
    for other in table.get(second or first, ()):
        if other is not command and other.panes & command.panes and other.needs is always:
            sentence = _("“{key}” is both “{id}” and “{other}”.")
            yield sentence.format(key=shown(key), id=command.id, other=other.id)


_READABLE = {
    "escape": "Esc",
    "enter": "Enter",
    "delete": "Del",
    "insert": "Ins",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "full_stop": ".",
    "comma": ",",
}


def shown(key: str) -> str:
    """A key as people read it: "ctrl+p" → "Ctrl+P", "g i" stays."""
    return " ".join(_stroke(stroke) for stroke in key.split(" "))


def _named(part: str) -> str:
    if part == "space":  # the one key whose name is not printed on it
        return _("Space")
    return _READABLE.get(part, part.capitalize() if len(part) > 1 else part)


def _stroke(stroke: str) -> str:
    parts = stroke.split("+") if len(stroke) > 1 else [stroke]
    *modifiers, last = [_named(part) for part in parts]
    return "+".join([*modifiers, last.upper() if modifiers and len(last) == 1 else last])
