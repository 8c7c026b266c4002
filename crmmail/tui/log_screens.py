"""What a CRM is told: the exact entry of a message, and what is logged at all. Nothing is, until it is chosen here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from crmmail.crm.model import LogEntry, LogSetting, LogState, LogStatus, Visibility
from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.tui import account_words, format, log_lines
from crmmail.tui.dialogs import MOVES, Choices, Confirm, Dialog, TextPane

if TYPE_CHECKING:
    from crmmail.store import Store

OPEN = (LogStatus.NOT_LOGGED, LogStatus.ASK, LogStatus.FAILED)  # where logging can still be asked for


class LogPreview(Dialog[str]):
    """The entry of one message, word for word. Answers what to do: log | private | settings."""

    def __init__(self, state: LogState, entry: LogEntry | None, crm: str, account: str, *, files: bool = True) -> None:
        super().__init__()
        self.state, self.entry = state, entry
        text = log_lines.payload(entry, crm, account, files=files) if entry else _("Nothing is told of this message.")
        self.pane = TextPane(text, wrap=True, id="pane")

    def compose(self) -> ComposeResult:
        """Where it stands, the entry, the keys."""
        sentence, _tone = account_words.log_state(self.state)
        with Vertical(id="whole"):
            title = _("This is all the CRM is told") if self.entry else _("The CRM is not told of this message")
            yield Static(Content(title), id="question")
            yield Static(Content(format.clean(sentence)), id="ask")
            yield self.pane
            keys = [f"{key} {label}" for key, label in self._keys()]
            yield Static(Content(" · ".join([*keys, "Esc " + _("close")])), id="hint")

    def _keys(self) -> list[tuple[str, str]]:
        keys = [("l", _("log it now"))] if self.entry and self.state.status in OPEN else []
        if self.state.status is not LogStatus.LOGGED:
            keys.append(("P", _("private")))
        return [*keys, ("s", _("choose what is logged"))]

    def ready(self) -> None:
        """Keys scroll."""
        self.pane.focus()

    def pressed(self, event: events.Key) -> None:
        """Answer, or scroll."""
        answers = {"l": "log", "P": "private", "s": "settings"}
        allowed = {key for key, _label in self._keys()}
        if event.character in answers and event.character in allowed:
            event.stop()
            self.dismiss(answers[event.character])
        elif event.key in MOVES or event.key == "space":
            event.stop()
            height = max(1, self.pane.size.height - 1)
            by = {"pagedown": height, "pageup": -height, "space": height}.get(event.key) or MOVES[event.key]
            self.pane.scroll_to(y=self.pane.scroll_offset.y + by, animate=False, immediate=True)
        else:
            super().pressed(event)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose mail a choice is about: a mailbox's, or an account's."""

    label: str
    mailbox: str = ""
    account: str = ""


class LogSettings(Dialog[None]):
    """What is logged, by mailbox and for the account at hand. Every choice counts from the moment it is made."""

    def __init__(self, store: Store, places: list[Place], *, readonly: bool = False) -> None:
        super().__init__()
        self.store, self.places, self.readonly = store, places, readonly
        self.choices = Choices([], id="choices")

    def compose(self) -> ComposeResult:
        """Title, what it means, places, keys."""
        crms = ", ".join(map(account_words.crm_name, self.store.crms()))
        with Vertical(id="box", classes="-help"):
            yield Static(Content(_("What is logged")), id="question")
            told = _("Mail of linked accounts, from the moment you choose it; older mail only when you ask.")
            none = _("No CRM is connected: nothing is logged. “Connect a CRM” ({key}) begins it, on this computer too.")
            none = none.format(key="Ctrl+P")
            where = _("Told to: {crm}").format(crm=crms) if crms else none
            yield Static(Content(f"{told}\n{where}"), id="text")
            yield self.choices
            yield Static(id="ask")
            keys = ("Enter " + _("on or off"), "v " + _("how much"), "f " + _("files"), "Esc " + _("close"))
            yield Static(Content(" · ".join(keys)), id="hint")

    def ready(self) -> None:
        """As high as it has lines."""
        self.choices.styles.height = max(1, min(len(self.places) + 1, self.app.size.height - 14))
        self.choices.focus()
        self.read()

    def read(self) -> None:
        """What is chosen now."""
        lines = [(place.label, self._words(place)) for place in self.places]
        internal = _("logged too") if self.store.ourselves().log_internal else _("stays here")
        self.choices.put([*lines, (_("Mail between colleagues"), internal)])

    def setting(self, place: Place) -> LogSetting:
        """What was chosen for a place."""
        return self.store.log_setting(mailbox=place.mailbox, account=place.account)

    def _words(self, place: Place) -> str:
        said = self.setting(place)
        return log_lines.followed(said) if place.account else log_lines.setting(said)

    @property
    def place(self) -> Place | None:
        """The one under the cursor; None for the line about colleagues."""
        at = self.choices.cursor
        return self.places[at] if 0 <= at < len(self.places) else None

    def pressed(self, event: events.Key) -> None:
        """Change what is under the cursor."""
        acts = {"enter": self._toggle, "space": self._toggle, "v": self._wider, "f": self._files}
        if event.key in acts:
            event.stop()
            self._do(acts[event.key])
        elif event.key in MOVES:
            event.stop()
            self.choices.move(MOVES[event.key])
        else:
            super().pressed(event)

    @on(Choices.Chosen)
    def _clicked(self) -> None:
        self._do(self._toggle)

    def _do(self, act: object) -> None:
        assert callable(act)
        if self.readonly:
            self.say(_("Another crmmail is open on this profile: here you can only read."))
            return
        try:
            act()
        except CrmMailError as error:
            self.say(str(error))

    def say(self, sentence: str) -> None:
        """Below the list."""
        self.query_one("#ask", Static).update(Content(format.clean(sentence)))

    def _toggle(self) -> None:
        place = self.place
        if place is None:
            internal = not self.store.ourselves().log_internal
            self._sure(internal, lambda: self._internal(internal))
            return
        said = self.setting(place)
        wish = log_lines.next_on(said, account=bool(place.account))
        self._sure(bool(wish), lambda: self._put(place, replace(said, on=wish)))

    def _sure(self, on: bool, act: object) -> None:
        """Before something is told that was not told before: say what, and ask."""
        assert callable(act)
        if not on:
            act()
            return
        text = _("From now on the CRM is told of it without a question. See what: Esc, then {key} on a message.")

        def decided(sure: bool | None) -> None:
            if sure:
                self._do(act)

        self.app.push_screen(Confirm(_("Log this mail?"), text.format(key=", l"), _("Log it")), decided)

    def _internal(self, wish: bool) -> None:
        self.store.set_ourselves(replace(self.store.ourselves(), log_internal=wish))
        self.read()

    def _put(self, place: Place, said: LogSetting) -> None:
        if said.on and said.visibility is None and not place.account:
            said = replace(said, visibility=Visibility.METADATA)
        self.store.set_log_setting(said, mailbox=place.mailbox, account=place.account)
        self.read()
        self.say("")

    def _wider(self) -> None:
        if self.place is not None:
            said = self.setting(self.place)
            self._put(self.place, replace(said, visibility=log_lines.next_visibility(said)))

    def _files(self) -> None:
        if self.place is None:
            return
        said = self.setting(self.place)
        self._put(self.place, replace(said, attachments=not said.attachments))
        can = self.store.crms()
        if not said.attachments and can and not any(one.attachments for one in can.values()):
            self.say(log_lines.no_files(next(iter(can))) + ".")
        elif said.visibility is not Visibility.FULL and not said.attachments:
            self.say(_("Files go along only where the text does: v."))
