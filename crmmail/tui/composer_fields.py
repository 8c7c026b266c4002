"""The composer's one-line fields: sender, subject, and the attached files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.message import Message
from textual.widgets import Input

from crmmail.i18n import _, ngettext, pgettext
from crmmail.mail.recipients import typed
from crmmail.mail.text import clean_line
from crmmail.model import Enclosure, Identity
from crmmail.tui import format
from crmmail.tui.panels import Painted, Span, fill

LINES = 4  # of attachments, at most


class Line(Input):
    """One line of text; up and down lead to the fields around it."""

    def take(self, event: events.Key) -> bool:
        """Enter goes on to the next field too; whether the key meant something here."""
        if event.key not in ("down", "enter", "up"):
            return False
        self.screen.focus_previous() if event.key == "up" else self.screen.focus_next()
        return True

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted becomes one line."""
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(clean_line(event.text))


class Sender(Painted, can_focus=True):
    """From: one of our identities. Left and right change it, Enter lists them."""

    PREFIX = "sender"
    PARTS = ("value", "quiet", "warn")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"sender--{name}" for name in PARTS}

    class Changed(Message):
        """Another identity."""

    class Asked(Message):
        """The user wants to choose from the list."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.identities: list[Identity] = []
        self.identity: Identity | None = None
        self.wanted = ""  # the address of a draft whose identity is not there
        self.missing = ""  # what there is to say without any identity
        self.key = ""

    def put(self, identities: Iterable[Identity], mailbox: str, address: str) -> None:
        """Offer these; show the one of the draft, else the first."""
        self.identities = list(identities)
        wanted = address.casefold()
        named = [one for one in self.identities if one.address.email.casefold() == wanted]
        here = [one for one in self.identities if one.mailbox == mailbox]
        found = [one for one in named if one.mailbox == mailbox] or named or here or self.identities
        self.identity = found[0] if found else None
        self.wanted = "" if named else address
        self.renew()

    def choose(self, index: int) -> None:
        """Another one."""
        if self.identities and self.identities[index % len(self.identities)] is not self.identity:
            self.identity = self.identities[index % len(self.identities)]
            self.renew()
            self.post_message(self.Changed())

    @property
    def signature(self) -> str:
        """What it signs with."""
        return self.identity.signature if self.identity else ""

    @property
    def index(self) -> int:
        """Which one it is."""
        return self.identities.index(self.identity) if self.identity in self.identities else 0

    def take(self, event: events.Key) -> bool:
        """Change it by keys; whether the key meant something here."""
        steps = {"left": -1, "right": 1}
        if event.key in steps:
            self.choose(self.index + steps[event.key])
        elif event.key in ("enter", "space"):
            self.post_message(self.Asked())
        elif event.key in ("down", "up"):
            self.screen.focus_next() if event.key == "down" else self.screen.focus_previous()
        else:
            return False
        return True

    def on_click(self, event: events.Click) -> None:
        """The list."""
        self.focus()
        self.post_message(self.Asked())

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """The address; what is wrong with it; the key that changes it."""
        if self.identity is None:
            return [[(format.cut(self.missing, width), "warn", "")]]
        several = len(self.identities) > 1
        right: list[Span] = [(f"{self.key} ▾ ", "quiet", "")] if several else []
        left: list[Span] = [(format.cut(format.clean(typed(self.identity.address)), width - 24), "value", "")]
        if not self.identity.verified:
            left.append(("  " + _("not verified"), "warn", ""))
        return [fill(left, right, width)]


class Files(Painted, can_focus=True):
    """The attachments: arrows choose one, Del takes it out, Enter adds one."""

    PREFIX = "files"
    PARTS = ("label", "chip", "chosen", "quiet", "warn")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"files--{name}" for name in PARTS}

    class Asked(Message):
        """The user wants to attach one more."""

    @dataclass
    class Removed(Message):
        """One was taken out."""

        enclosure: Enclosure

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.enclosures: list[Enclosure] = []
        self.at = 0
        self.weight, self.limit = 0, 0  # of the whole message, bytes
        self.key = ""
        self._places: list[tuple[int, int, int, int]] = []

    def put(self, enclosures: Iterable[Enclosure]) -> None:
        """Show these."""
        self.enclosures = list(enclosures)
        self.at = min(self.at, max(0, len(self.enclosures) - 1))
        self.lay_out()

    def weigh(self, weight: int, limit: int) -> None:
        """How large the message is, of how much the provider takes (0: not known)."""
        if (weight, limit) != (self.weight, self.limit):
            self.weight, self.limit = weight, limit
            self.lay_out()

    def take(self, event: events.Key) -> bool:
        """Choose, remove, add; whether the key meant something here."""
        steps = {"left": -1, "right": 1}
        if event.key in steps and self.enclosures:
            self.at = (self.at + steps[event.key]) % len(self.enclosures)
            self.lay_out()
        elif event.key in ("delete", "backspace") and self.enclosures:
            self.post_message(self.Removed(self.enclosures[self.at]))
        elif event.key in ("enter", "space"):
            self.post_message(self.Asked())
        elif event.key in ("down", "up"):
            self.screen.focus_next() if event.key == "down" else self.screen.focus_previous()
        else:
            return False
        return True

    def on_focus(self) -> None:
        """The chosen one shows."""
        self.lay_out()

    def on_blur(self) -> None:
        """None is chosen."""
        self.lay_out()

    def on_resize(self) -> None:
        """Other line ends."""
        self.lay_out()

    def lay_out(self) -> None:
        """Paint anew, as high as it needs."""
        if not self.is_attached or not self.size.width:
            return
        lines = self.spans(self.size.width)
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self._shown = lines
        self.refresh()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """The field's name, the files with their sizes, the sum at the right of the first line."""
        name = pgettext("field", "Attachments")  # Portuguese: what to do there, not what is there
        label = f" {name}  "
        right = self._sum()
        room = width - format.width(right[0][0]) - 1
        lines: list[list[Span]] = [[(label, "label", "")]]
        used, indent = format.width(label), format.width(label)
        self._places = []
        for index, one in enumerate(self.enclosures):
            text = format.cut(format.clean(one.name), max(8, width - indent - 16))
            text = f" {text} {format.size(one.size)} "
            if used + format.width(text) > (room if len(lines) == 1 else width) and used > indent:
                lines.append([(" " * indent, "", "")])
                used = indent
            part = "chosen" if self.has_focus and index == self.at else "chip"
            self._places.append((len(lines) - 1, used, used + format.width(text), index))
            lines[-1] += [(text, part, ""), (" ", "", "")]
            used += format.width(text) + 1
        lines[0] = fill(lines[0], right, width)
        return lines[:LINES]

    def _sum(self) -> list[Span]:
        if not self.enclosures:
            return [(_("{key} attaches a file").format(key=self.key) + " ", "quiet", "")]
        count = len(self.enclosures)
        total = format.size(self.weight)
        words = ngettext("{count} file", "{count} files", count).format(count=count)
        if self.limit:
            words += " · " + _("{size} of {limit}").format(size=total, limit=format.size(self.limit))
        return [(words + " ", "warn" if self.limit and self.weight > self.limit else "quiet", "")]

    def on_click(self, event: events.Click) -> None:
        """Choose by mouse; beside the files: add one."""
        self.focus()
        found = (index for line, start, stop, index in self._places if line == event.y and start <= event.x < stop)
        index = next(found, None)
        if index is None:
            self.post_message(self.Asked())
        else:
            self.at = index
            self.lay_out()
