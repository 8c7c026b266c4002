"""A field for people: chips, and a line to type in, completed from whom one wrote to before.

What was typed is never thrown away: an address that is not valid stays as it was typed, marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.message import Message

from crmmail.i18n import _
from crmmail.mail import addresses
from crmmail.mail.recipients import parse_recipients, typed
from crmmail.model import Address
from crmmail.tui import format
from crmmail.tui.panels import Painted, Span

LINES_WRITING, LINES_RESTING = 4, 2  # how high the field grows with and without the focus
MOST = 8  # suggestions
_SEPARATORS = ",;"
PARTS = ("chip", "wrong", "chosen", "text", "caret", "quiet")


class Recipients(Painted, can_focus=True):
    """To, Cc or Bcc. `people` are its chips; `text` is what is being typed."""

    PREFIX = "people"
    PARTS = PARTS
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"people--{name}" for name in PARTS}

    class Changed(Message):
        """Other people, or other text."""

    @dataclass
    class Offered(Message):
        """There are suggestions to show below `field`, or none any more."""

        field: Recipients

    def __init__(self, complete: Callable[[str], Sequence[Address]], *, id: str) -> None:
        super().__init__(id=id)
        self.complete = complete
        self.people: list[Address] = []
        self.text = ""
        self.at = 0
        self.chosen: int | None = None
        self.offers: list[Address] = []
        self.offer = 0
        self._places: list[tuple[int, int, int, int]] = []  # line, from, to, chip

    def put(self, people: Iterable[Address]) -> None:
        """Show these, without a word to anybody."""
        self.people, self.text, self.at, self.chosen = list(people), "", 0, None
        self._lay_out()

    @property
    def everyone(self) -> tuple[Address, ...]:
        """The chips, and what is being typed as if it were finished."""
        return self._merged(parse_recipients(self.text))

    def _merged(self, more: Iterable[Address]) -> tuple[Address, ...]:
        found = {person.email.casefold() or f"\n{person.name}": person for person in more}
        known = {person.email.casefold() or f"\n{person.name}" for person in self.people}
        return (*self.people, *(person for key, person in found.items() if key not in known))

    # --- changing

    def add(self, people: Iterable[Address]) -> None:
        """More chips, each address once."""
        self.people = list(self._merged(people))
        self._changed()

    def finish(self) -> None:
        """What was typed becomes chips."""
        if self.text.strip(" ,;"):
            people, self.text, self.at = parse_recipients(self.text), "", 0
            self.add(people)
        elif self.text:
            self.text, self.at = "", 0
            self._changed()
        self._offer(())

    def _insert(self, text: str) -> None:
        self.chosen = None
        self.text = self.text[: self.at] + text + self.text[self.at :]
        self.at += len(text)
        self._changed(search=True)

    def _cut(self, start: int, stop: int) -> None:
        self.text = self.text[:start] + self.text[stop:]
        self.at = start
        self._changed(search=True)

    def _remove(self, index: int) -> None:
        if 0 <= index < len(self.people):
            del self.people[index]
            self.chosen = min(index, len(self.people) - 1) if self.chosen is not None and self.people else None
            self._changed()

    def _reopen(self, index: int) -> None:
        """A chip becomes text again, to be corrected."""
        self.finish()
        self.text = typed(self.people.pop(index))
        self.at, self.chosen = len(self.text), None
        self._changed()

    def _changed(self, *, search: bool = False) -> None:
        self._lay_out()
        self.post_message(self.Changed())
        self._offer(self.complete(self.text.strip()) if search and self.text.strip() else ())

    def _offer(self, offers: Iterable[Address]) -> None:
        known = {person.email.casefold() for person in self.people}
        fresh = [person for person in offers if person.email.casefold() not in known][:MOST]
        if fresh or self.offers:
            self.offers, self.offer = fresh, 0
            self.post_message(self.Offered(self))

    def propose(self, people: Iterable[Address]) -> None:
        """Suggest people before anything is typed."""
        self._offer(people)

    def accept(self, index: int | None = None) -> None:
        """Take a suggestion."""
        person = self.offers[self.offer if index is None else index]
        self.text, self.at = "", 0
        self.add((person,))

    # --- keys

    def take(self, event: events.Key) -> bool:
        """Typing, chips and suggestions; whether the key meant something here."""
        if event.key in _KEYS:
            return _KEYS[event.key](self)
        if event.is_printable and event.character:
            self._type(event.character)
            return True
        return False

    def _type(self, character: str) -> None:
        begun = self.text.strip()
        listed = character in _SEPARATORS and begun and begun.count('"') % 2 == 0
        whole = character == " " and "<" not in begun and '"' not in begun and addresses.addr_spec(begun)
        if listed or whole:
            self.finish()
        elif character not in (*_SEPARATORS, " ") or begun:
            self._insert(character)

    def on_paste(self, event: events.Paste) -> None:
        """A list of people becomes chips; a piece of text is typed."""
        event.stop()
        found = parse_recipients(event.text)
        if len(found) > 1 or (found and found[0].email):
            self.finish()
            self.add(found)
        else:
            self._insert(format.clean(" ".join(event.text.split())))

    def _enter(self) -> bool:
        if self.chosen is not None:
            self._reopen(self.chosen)
        elif self.offers:
            self.accept()
        elif self.text:
            self.finish()
        else:
            self.screen.focus_next()
        return True

    def _tab(self) -> bool:
        """Take what is offered. An address typed to its end is what is meant: Tab goes on to the next field."""
        typed_out = self.text.strip().casefold()
        if self.offers and self.text and not addresses.addr_spec(typed_out):
            self.accept()
            return True
        for number, offer in enumerate(self.offers):
            if self.text and offer.email.casefold() == typed_out:
                self.offer = number
                self.accept()  # with the name it is known under
                break
        self.finish()
        return False

    def _back(self) -> bool:
        if self.chosen is not None:
            self._remove(self.chosen)
        elif self.at:
            self._cut(self.at - 1, self.at)
        else:
            self._remove(len(self.people) - 1)
        return True

    def _delete(self) -> bool:
        if self.chosen is not None:
            self._remove(self.chosen)
        else:
            self._cut(self.at, self.at + 1)
        return True

    def _word(self) -> bool:
        start = len(self.text[: self.at].rstrip().rpartition(" ")[0])
        self._cut(start, self.at)
        return True

    def _line(self) -> bool:
        self._cut(0, self.at)
        return True

    def _left(self) -> bool:
        if self.chosen is not None:
            self.chosen = max(0, self.chosen - 1)
        elif self.at:
            self.at -= 1
        elif self.people:
            self.chosen = len(self.people) - 1
        self._lay_out()
        return True

    def _right(self) -> bool:
        if self.chosen is not None:
            self.chosen = self.chosen + 1 if self.chosen + 1 < len(self.people) else None
        else:
            self.at = min(len(self.text), self.at + 1)
        self._lay_out()
        return True

    def _home(self) -> bool:
        self.at, self.chosen = 0, None
        self._lay_out()
        return True

    def _end(self) -> bool:
        self.at, self.chosen = len(self.text), None
        self._lay_out()
        return True

    def _vertical(self, by: int) -> bool:
        if self.offers:
            self.offer = (self.offer + by) % len(self.offers)
            self.post_message(self.Offered(self))
        elif by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()
        return True

    def close_offers(self) -> bool:
        """No suggestions; whether there were any."""
        had = bool(self.offers)
        self._offer(())
        return had

    def on_focus(self) -> None:
        """More room while writing. Textual notes the focus only after this."""
        self.call_next(self._lay_out)

    def on_blur(self) -> None:
        """Leaving finishes what was typed."""
        self.chosen = None
        self.finish()
        self.call_next(self._lay_out)

    # --- painting

    def on_resize(self) -> None:
        """Chips wrap anew."""
        self._lay_out()

    def _lay_out(self) -> None:
        if not self.is_attached or not self.size.width:
            return
        lines = self.spans(self.size.width)
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self._shown = lines
        self.refresh()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """Chips, then the text with its caret; the last lines while writing, the first and how many more at rest."""
        self._places = []
        lines: list[list[Span]] = [[]]
        used = 0
        for index, person in enumerate(self.people):
            text = f" {self._words(person, max(8, width - 3))} "
            if used and used + format.width(text) + 1 > width:
                lines.append([])
                used = 0
            part = "chosen" if index == self.chosen else "chip" if person.email else "wrong"
            self._places.append((len(lines) - 1, used, used + format.width(text), index))
            lines[-1] += [(text, part, ""), (" ", "", "")]
            used += format.width(text) + 1
        return self._writing(lines, used, width) if self.has_focus else self._resting(lines, width)

    def _words(self, person: Address, room: int) -> str:
        mark = "" if person.email else " ✗"
        return format.cut(format.clean(typed(person)), room - len(mark)) + mark

    def _writing(self, lines: list[list[Span]], used: int, width: int) -> list[list[Span]]:
        shown = format.clean(self.text[: self.at]), format.clean(self.text[self.at :])
        if used and used + format.width("".join(shown)) + 1 > width:
            lines.append([])
            used = 0
        room = max(4, width - used - 1)
        before = shown[0]
        while format.width(before) > room:
            before = before[max(1, (format.width(before) - room) // 2) :]
        after = format.cut(shown[1], max(1, room - format.width(before)))
        if self.chosen is None:
            lines[-1] += [(before, "text", ""), (after[:1] or " ", "caret", ""), (after[1:], "text", "")]
        top = max(0, len(lines) - LINES_WRITING)
        if self.chosen is not None:
            top = min(top, next(line for line, _from, _to, index in self._places if index == self.chosen))
        self._places = [(line - top, start, stop, index) for line, start, stop, index in self._places]
        return lines[top : top + LINES_WRITING]

    def _resting(self, lines: list[list[Span]], width: int) -> list[list[Span]]:
        if len(lines) <= LINES_RESTING:
            return lines
        hidden = sum(1 for line, *_place, _index in self._places if line >= LINES_RESTING)
        more = " " + _("and {count} more").format(count=hidden)
        kept = lines[:LINES_RESTING]
        while kept[-1] and sum(format.width(span[0]) for span in kept[-1]) + format.width(more) > width:
            kept[-1] = kept[-1][:-2]
            hidden += 1
            more = " " + _("and {count} more").format(count=hidden)
        kept[-1] = [*kept[-1], (more, "quiet", "")]
        return kept

    def on_click(self, event: events.Click) -> None:
        """A click chooses a chip, or goes to the text."""
        self.focus()
        found = (index for line, start, stop, index in self._places if line == event.y and start <= event.x < stop)
        self.chosen = next(found, None)
        self._lay_out()


_KEYS: dict[str, Callable[[Recipients], bool]] = {
    "enter": Recipients._enter,
    "tab": Recipients._tab,
    "backspace": Recipients._back,
    "delete": Recipients._delete,
    "ctrl+w": Recipients._word,
    "ctrl+backspace": Recipients._word,
    "ctrl+u": Recipients._line,
    "left": Recipients._left,
    "right": Recipients._right,
    "home": Recipients._home,
    "ctrl+a": Recipients._home,
    "end": Recipients._end,
    "ctrl+e": Recipients._end,
    "down": lambda field: field._vertical(1),
    "up": lambda field: field._vertical(-1),
}


class Suggestions(Painted):
    """The list below the field: whom one wrote to before. Enter or Tab takes one."""

    PREFIX = "offer"
    PARTS = ("name", "email", "cursor")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"offer--{name}" for name in PARTS}

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.field: Recipients | None = None

    def follow(self, field: Recipients) -> None:
        """Show the suggestions of `field` below it, or nothing."""
        self.field = field if field.offers and field.has_focus else None
        self.display = self.field is not None
        if self.field is not None:
            region, room = field.region, self.app.size
            width = min(64, room.width - region.x - 1)
            height = min(len(field.offers), max(1, room.height - region.bottom - 2))
            self.styles.width, self.styles.height = width, height
            self.styles.offset = (region.x, region.bottom)
            self._shown = self.spans(width)
            self.refresh()

    def spans(self, width: int) -> Sequence[Sequence[Span]]:
        """Name left, address right."""
        if self.field is None:
            return []
        return [self._line(person, width, index) for index, person in enumerate(self.field.offers)]

    def _line(self, person: Address, width: int, index: int) -> list[Span]:
        name = format.cut(format.clean(person.name or person.email), width // 2)
        email = format.cut(format.clean(person.email if person.name else ""), width - format.width(name) - 4)
        gap = " " * max(1, width - format.width(name) - format.width(email) - 2)
        if self.field is not None and index == self.field.offer:
            return [(f" {name}{gap}{email} ", "cursor", "")]
        return [(f" {name}{gap}", "name", ""), (f"{email} ", "email", "")]

    def on_click(self, event: events.Click) -> None:
        """Take the one under the mouse."""
        event.stop()
        if self.field is not None and event.y < len(self.field.offers):
            self.field.accept(event.y)
            self.field.focus()
