"""Choosing an account: a line to type in, what it finds; and how far a link reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from crmmail.crm.model import AccountRow, Link, Scope
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.tui import account_words, format
from crmmail.tui.dialogs import Choices, Dialog

if TYPE_CHECKING:
    from crmmail.store import Store

R = TypeVar("R")
FOUND = 50  # accounts listed
PAUSE = 0.05  # seconds without a key before the list follows
_MOVES = {"down": 1, "up": -1, "pagedown": 8, "pageup": -8}


class Typed(Input):
    """The line to type in; its screen may want a digit for itself."""

    def on_key(self, event: events.Key) -> None:
        """A digit may be an answer instead of text."""
        taker = self.screen
        if event.character and isinstance(taker, LinkPicker) and taker.take_number(event.character):
            event.stop()
            event.prevent_default()


class Finder(Dialog[R], Generic[R]):
    """A line to type in over a list of accounts that follows."""

    def __init__(self, store: Store, title: str, *, without: str = "") -> None:
        super().__init__()
        self.store, self.heading, self.without = store, title, without
        self.found: list[AccountRow] = []
        self.choices = Choices([], id="choices")
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Title, line, list, keys."""
        with Vertical(id="box", classes="-palette"):
            yield Static(Content(format.clean(self.heading)), id="question")
            yield Typed(placeholder=_("Name, domain, address or tax id"), id="typed", compact=True)
            yield self.choices
            yield Static(id="hint")

    def ready(self) -> None:
        """The list as it is before anything is typed."""
        self.choices.styles.height = max(3, min(12, self.app.size.height - 10))
        self.query_one(Input).focus()
        self.tell()
        self.follow("")

    def tell(self) -> None:
        """The keys."""
        self.query_one("#hint", Static).update(Content("Enter " + _("choose") + " · Esc " + _("close")))

    @property
    def typed(self) -> str:
        """What is being looked for."""
        return self.query_one(Input).value.strip()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE, lambda: self.follow(event.value.strip()))

    def follow(self, text: str) -> None:
        """List what `text` finds."""
        try:
            rows = self.store.accounts(text, 0, FOUND)
        except CrmMailError as error:
            self.query_one("#hint", Static).update(Content(format.clean(str(error))))
            return
        self.found = [row for row in rows if row.id != self.without]
        self.choices.cursor = 0
        self.choices.put(self.lines() or [(_("No such account"), "")])

    def lines(self) -> list[tuple[str, str]]:
        """What the list shows."""
        return [(row.name, row.domain) for row in self.found]

    def up_to_date(self) -> None:
        """Enter may come faster than the list follows."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            self.follow(self.typed)

    def pressed(self, event: events.Key) -> None:
        """Arrows move while typing goes on."""
        if event.key in _MOVES:
            event.stop()
            self.choices.move(_MOVES[event.key])
        else:
            super().pressed(event)

    @on(Input.Submitted)
    @on(Choices.Chosen)
    def _chosen(self) -> None:
        self.up_to_date()
        self.chosen(max(0, self.choices.cursor))

    def chosen(self, at: int) -> None:
        """A line was chosen."""
        raise NotImplementedError


class AccountPicker(Finder[str]):
    """Answers the id of an account."""

    def chosen(self, at: int) -> None:
        """That one."""
        if at < len(self.found):
            self.dismiss(self.found[at].id)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the user decided about a message. `account` '' with `what` 'new' or 'unlink' or 'never'."""

    what: str  # link | new | unlink | never
    scope: Scope
    account: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a decision may spread: whom the message is with."""

    sender: str
    domain: str = ""  # '' where the domain is nobody's own
    thread: int = 1  # messages of the conversation

    @property
    def scopes(self) -> list[Scope]:
        """Those that make sense here."""
        found = [Scope.MESSAGE]
        if self.thread > 1:
            found.append(Scope.THREAD)
        if self.sender:
            found.append(Scope.SENDER)
        if self.domain:
            found.append(Scope.DOMAIN)
        return found


LETTERS = {Scope.MESSAGE: "m", Scope.THREAD: "t", Scope.SENDER: "s", Scope.DOMAIN: "d"}


class LinkPicker(Finder[Decision]):
    """Two keys: the account, then how far. Candidates come first and have numbers while nothing is typed."""

    def __init__(
        self, store: Store, title: str, candidates: Sequence[Link], reach: Reach, *, linked: bool, ask: bool = True
    ) -> None:
        super().__init__(store, title)
        self.candidates = list(candidates)[:9]
        self.reach, self.linked, self.ask = reach, linked, ask
        self._choice: tuple[str, str, str] | None = None  # what, account, name
        self._rows: list[tuple[str, str, str]] = []

    def lines(self) -> list[tuple[str, str]]:
        """Candidates, then what was found, then what else can be decided."""
        shown: list[tuple[str, str]] = []
        self._rows = []
        first = [] if self.typed else self.candidates
        for number, link in enumerate(first, 1):
            shown.append((f"{number} {format.clean(link.name)}", account_words.reason(link)))
            self._rows.append(("link", link.account, link.name))
        known = {link.account for link in first}
        for row in self.found:
            if row.id not in known:
                indent = "  " if first else ""
                shown.append((f"{indent}{row.name}", row.domain))
                self._rows.append(("link", row.id, row.name))
        fresh = f": {self.typed}" if self.typed else ""
        shown.append(("+ " + _("New account") + fresh, "Ctrl+N"))
        self._rows.append(("new", "", self.typed))
        if self.linked:
            shown.append(("− " + _("Unlink"), "Del"))
            self._rows.append(("unlink", "", ""))
        shown.append(("∅ " + _("Never: to no account, and never logged"), "F8"))
        self._rows.append(("never", "", ""))
        return shown

    def tell(self) -> None:
        """The keys of the first step."""
        numbers = "1–9 · " if self.candidates else ""
        self.query_one("#hint", Static).update(Content(f"{numbers}↑↓ Enter {_('choose')} · Esc {_('close')}"))

    def chosen(self, at: int) -> None:
        """The first step chooses what, the second how far."""
        if self._choice is not None:
            self._decide(self._scopes[min(at, len(self._scopes) - 1)])
        elif at < len(self._rows):
            self._take(self._rows[at])

    @property
    def _scopes(self) -> list[Scope]:
        scopes = self.reach.scopes
        if self._choice is not None and self._choice[0] == "never":
            return [one for one in scopes if one in (Scope.SENDER, Scope.DOMAIN)]
        return scopes

    def _take(self, choice: tuple[str, str, str]) -> None:
        self._choice = choice
        if len(self._scopes) < 2 or not self.ask:
            self._decide(self._scopes[0] if self._scopes else Scope.MESSAGE)
            return
        self.query_one(Input).display = False
        self.set_focus(None)
        what, _account, name = choice
        title = {"link": name, "new": _("New account"), "unlink": _("Unlink"), "never": _("Never")}[what]
        self.query_one("#question", Static).update(Content(f"{format.clean(title)}: {_('how far?')}"))
        self.choices.cursor = 0
        self.choices.styles.height = len(self._scopes)
        self.choices.put([(f"{number} {self._said(one)}", LETTERS[one]) for number, one in enumerate(self._scopes, 1)])
        count = len(self._scopes)
        self.query_one("#hint", Static).update(Content(f"1–{count} · Enter {_('choose')} · Esc {_('close')}"))

    def _said(self, scope: Scope) -> str:
        return account_words.scope(scope, sender=self.reach.sender, domain=self.reach.domain)

    def _decide(self, scope: Scope) -> None:
        assert self._choice is not None
        what, account, name = self._choice
        self.dismiss(Decision(what, scope, account, name))

    def pressed(self, event: events.Key) -> None:
        """Numbers and letters answer; while typing only where nothing is typed yet."""
        if self._choice is not None:
            self._second(event)
            return
        own = {"ctrl+n": "new", "delete": "unlink", "f8": "never"}.get(event.key)
        if own and (own != "unlink" or (self.linked and not self.typed)):
            event.stop()
            self._take(next(row for row in self._rows if row[0] == own))
        else:
            super().pressed(event)

    def _second(self, event: events.Key) -> None:
        scopes = self._scopes
        if event.key.isdigit() and 0 < int(event.key) <= len(scopes):
            event.stop()
            self._decide(scopes[int(event.key) - 1])
        elif found := [one for one in scopes if LETTERS[one] == event.key]:
            event.stop()
            self._decide(found[0])
        elif event.key == "enter":
            event.stop()
            self.chosen(max(0, self.choices.cursor))
        else:
            super().pressed(event)

    def take_number(self, character: str) -> bool:
        """A number while nothing is typed chooses a candidate."""
        if not self.typed and character.isdigit() and 0 < int(character) <= len(self.candidates):
            self._take(self._rows[int(character) - 1])
            return True
        return False
