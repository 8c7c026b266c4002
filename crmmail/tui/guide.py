"""Connecting a mailbox, step by step: the address, the way in, the password and servers, the trial, the end.

The screen sees no network: `connecting.Setup` finds out and tries in a thread; every answer comes back as a message.
Signing in with a provider is a screen of its own (`sign_in`). Dismissed with `Done`, or None when the user left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from crmmail.connecting import Checked, Form, Found, Kind, Part, Setup, draft
from crmmail.errors import CrmMailError, SignInError
from crmmail.i18n import _, language
from crmmail.signing import Done, Guide, Wish
from crmmail.tui import format, guide_words
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.dialogs import MOVES, Button, Choices
from crmmail.tui.guide_form import Fields
from crmmail.tui.guide_words import APP_PASSWORD, GOOGLE, MICROSOFT, SERVERS
from crmmail.tui.in_order import InOrder

ADDRESS, LOOKING, WAYS, FORM, TRIAL, DONE = "address", "looking", "ways", "form", "trial", "done"
COLUMNS = 70  # of the text within the frame
Told = Found | Checked | Done | CrmMailError | None


class GuideScreen(ClosesOnce, InOrder, ModalScreen[Done | None]):
    """Connect a mailbox; `form`: mend and try one there is."""

    DEFAULT_CSS = """
    GuideScreen { align: center middle; }
    GuideScreen > #frame {
        width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; overflow-y: auto;
        background: $surface; color: $foreground; border: round $primary; border-title-color: $text-primary;
    }
    GuideScreen #frame > Static { width: 100%; height: auto; }
    GuideScreen #sentence { margin: 0 0 1 0; }
    GuideScreen #typed { background: $panel; }
    GuideScreen #choices { height: auto; background: $surface; }
    GuideScreen #text { height: auto; max-height: 11; scrollbar-size-vertical: 1; color: $foreground; }
    GuideScreen #steps { width: 100%; height: auto; color: $foreground; text-wrap: nowrap; }
    GuideScreen #frame > #trial { margin: 0; }
    GuideScreen #said { color: $text-warning; margin: 1 0 0 0; }
    GuideScreen.-failed #said { color: $text-error; }
    GuideScreen.-done #sentence { color: $text-success; text-style: bold; }
    GuideScreen #buttons { margin: 1 0 0 0; }
    GuideScreen #keys { margin: 1 0 0 0; color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "back", show=False),
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False, priority=True),
        Binding("ctrl+j", "try", show=False, priority=True),
        Binding("f2", "all_fields", show=False),
        Binding("f4", "language", show=False),
        Binding("enter", "go_on", show=False),
        Binding("pagedown", "scroll(1)", show=False),
        Binding("pageup", "scroll(-1)", show=False),
        Binding("r", "again", show=False),
        Binding("p", "private_file", show=False),
        *(Binding(key, f"move({by})", show=False) for key, by in MOVES.items() if not key.startswith("page")),
    ]

    @dataclass
    class Answer(Message):
        """The thread has something to tell. `attempt` tells one that was left behind from the one that counts."""

        told: Told
        attempt: int

    def __init__(
        self,
        setup: Setup,
        signing: Guide,
        *,
        form: Form | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._setup = setup
        self._signing = signing
        self._clock = clock
        self._attempt = 0
        self._step = ""
        self._found = Found(form.address) if form else Found("")
        self._form = form or Form("")
        self._mending = form is not None
        self._short = False
        self._told: list[Checked] = []
        self._done: Done | None = None
        self._no_keyring = False

    def compose(self) -> ComposeResult:
        """All parts there can be; each step shows some of them."""
        with Vertical(id="frame"):
            yield Static(id="sentence", markup=False)
            yield Input(id="typed", compact=True)
            yield Choices([], id="choices")
            with VerticalScroll(id="text", can_focus=False):
                yield Static(id="steps", markup=False)
            yield Fields(id="fields")
            yield Static(id="trial", markup=False)
            yield Static(id="said", markup=False)
            with Horizontal(id="buttons"):
                yield Button(_("Go on"), id="on")
                yield Button(_("Back"), id="off")
            yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin with the address, or with the form that has to be mended."""
        self.query_one("#on").can_focus = self.query_one("#off").can_focus = False
        if self._mending:
            self._ask_form()
        else:
            self._ask_address()

    def on_unmount(self) -> None:
        """Nobody is there to answer any more."""
        self._attempt += 1

    # the steps

    def _show(self, step: str, sentence: str, *, keys: str = "", said: str = "", steps: str = "") -> None:
        self._step = step
        self.query_one("#frame").border_title = _("Connect a mailbox")
        for name, text in (("sentence", sentence), ("said", said), ("keys", keys)):
            widget = self.query_one(f"#{name}", Static)
            widget.update(format.content(text, lines=True))
            widget.display = bool(text)
        self.query_one("#steps", Static).update(format.content(steps, lines=True))
        pane = self.query_one("#text")
        pane.display, pane.styles.max_height = bool(steps), max(4, self.app.size.height - 14)
        for name, steps_shown in (
            ("typed", (ADDRESS,)),
            ("choices", (WAYS,)),
            ("fields", (FORM,)),
            ("trial", (TRIAL,)),
        ):
            self.query_one(f"#{name}").display = step in steps_shown
        self.set_class(step == DONE, "-done")
        self.remove_class("-failed")
        for name, label in (("on", _("Go on")), ("off", _("Leave") if step == ADDRESS else _("Back"))):
            self.query_one(f"#{name}", Button).update(Content(f" {label} "))
        self.query_one("#on").display = step not in (LOOKING, TRIAL)
        self.query_one("#off").display = step != DONE
        if step not in (ADDRESS, FORM):
            self.set_focus(None)

    def _ask_address(self, said: str = "") -> None:
        other = "Português: F4" if language() == "en" else "English: F4"
        self._show(
            ADDRESS,
            _("Which e-mail address do you want to connect?")
            + "\n"
            + _("Your mail stays where it is; crmmail works on a copy of it."),
            said=said,
            keys=_("Enter go on · Esc leave") + f" · {other}",
        )
        field = self.query_one("#typed", Input)
        field.placeholder = "ana@cliente.example"
        field.focus()

    def _look_up(self) -> None:
        address = self.query_one("#typed", Input).value.strip()
        self._show(
            LOOKING, _("Finding out who keeps the mail of {address} …").format(address=address), keys=_("Esc back")
        )
        self._run(lambda tell: tell(self._setup.recognise(address)))

    def _ask_way(self) -> None:
        lines = [(label, word) for _id, label, word in guide_words.ways(self._found)]
        sentence = guide_words.recognised(self._found) + "\n" + _("How do you want to connect?")
        self._show(WAYS, sentence, keys=_("↑↓ choose · Enter go on · Esc back"))
        choices = self.query_one("#choices", Choices)
        choices.put(lines)
        choices.styles.height = len(lines)

    def _chosen(self) -> None:
        way = guide_words.ways(self._found)[max(0, self.query_one("#choices", Choices).cursor)][0]
        if way in (GOOGLE, MICROSOFT):
            self._sign_in(way)
            return
        self._form = draft(self._found)
        self._short = way == APP_PASSWORD or (self._found.kind is Kind.IMAP)
        if way == SERVERS:
            self._form = replace(self._form, gmail=False)
        self._ask_form()

    def _sign_in(self, provider: str) -> None:
        from crmmail.tui.sign_in import SignInScreen

        wish = Wish(provider)
        self.app.push_screen(SignInScreen(self._signing, wish=wish, clock=self._clock), self._signed_in)

    def _signed_in(self, done: Done | None) -> None:
        if done is not None:
            self.dismiss(done)

    def _ask_form(self, mend: str = "", said: str = "") -> None:
        steps = guide_words.numbered(guide_words.gmail_steps(), COLUMNS) if self._form.gmail and self._short else ""
        sentence = _("Connect {address}").format(address=self._form.address)
        if not steps:
            sentence += "\n" + guide_words.password_hint(self._found)
        keys = [_("Enter go on"), _("Tab next field"), _("Ctrl+J try now")]
        keys += [_("F2 all fields")] if self._short else []
        keys[1:2] = [_("PgUp PgDn read on")] if steps else keys[1:2]
        self._show(FORM, sentence, keys=" · ".join([*keys, _("Esc back")]), said=said, steps=steps)
        if mend and mend != "password":
            self._short = False
        fields = self.query_one(Fields)
        fields.put(self._form, short=self._short)
        self.set_class(bool(mend), "-failed")
        fields.mark(mend) if mend else fields.begin()

    def _try(self) -> None:
        self._form = self.query_one(Fields).read() if self._step == FORM else self._form
        self._told.clear()
        self._no_keyring = False
        self._show(TRIAL, _("Trying the settings. Nothing is saved before all of it works."), keys=_("Esc stop"))
        self._paint_trial(ended=False)
        form = self._form
        self._run(lambda tell: self._tried(form, tell))

    def _tried(self, form: Form, tell: Callable[[Told], None]) -> None:
        """In a thread: every step, then the end of it; kept only when all of it went well."""
        good, sent = True, False
        for told in self._setup.tried(form):
            tell(told)
            good, sent = good and told.ok, sent or told.part is Part.SENDING
        tell(self._setup.keep(form) if good and sent else None)

    def _paint_trial(self, *, ended: bool) -> None:
        styles = {
            "ok": "$text-success",
            "bad": "bold $text-error",
            "busy": "$text-primary",
            "quiet": "$foreground-muted",
        }
        lines = guide_words.trial(self._told, ended=ended)
        painted = [
            Content.styled(format.clean(piece), styles.get(tone, "bold"))
            for tone, line in lines
            for piece in format.wrap(line, COLUMNS)
        ]
        self.query_one("#trial", Static).update(Content("\n").join(painted))

    def _failed(self) -> None:
        """A step went wrong: its sentence, what to do, and the way back to the field."""
        self._paint_trial(ended=True)
        last = self._told[-1]
        self.query_one("#sentence", Static).update(Content(_("That did not work yet. Nothing was saved.")))
        said = last.next_step if last.part is not Part.FORM else f"{last.sentence} {last.next_step}"
        self._say(said, _("Enter correct it · r try again · Esc back"))
        self.query_one("#on").display = True

    def _say(self, said: str, keys: str) -> None:
        for name, text in (("said", said), ("keys", keys)):
            widget = self.query_one(f"#{name}", Static)
            widget.update(format.content(text, lines=True))
            widget.display = bool(text)
        self.add_class("-failed")

    def _refused(self, error: CrmMailError) -> None:
        """Something else than a step: the address, the file of settings, the keyring."""
        if self._step == LOOKING:
            self._ask_address(str(error))
            self.add_class("-failed")
            return
        self._no_keyring = isinstance(error, SignInError) and error.code == "no_keyring"
        if not self._no_keyring:
            self._say(str(error), _("r try again · Esc back"))
            return
        self.query_one("#trial").display = False
        self.query_one("#sentence", Static).update(Content(_("All of it works. Nothing was saved yet.")))
        question = _("Keep the password in a private file instead, readable by you alone?")
        self._say(f"{error}\n\n{question}", _("p keep it in a private file · Esc back"))

    def _finished(self, done: Done) -> None:
        self._done = done
        place = _("in a private file") if done.place == "file" else _("in the system's keyring")
        self._show(
            DONE,
            _("{address} is connected.").format(address=done.address)
            + "\n"
            + _("The password is kept {place}.").format(place=place),
            keys=_("Enter go to the mailbox"),
        )

    # the thread

    def _run(self, work: Callable[[Callable[[Told], None]], None]) -> None:
        """Work in a thread; what it tells comes back as messages, errors too."""
        self._attempt += 1
        attempt = self._attempt

        def tell(told: Told) -> None:
            self.post_message(self.Answer(told, attempt))

        def run() -> None:
            try:
                work(tell)
            except CrmMailError as error:
                tell(error)

        threading.Thread(target=run, name="crmmail-guide", daemon=True).start()

    def on_guide_screen_answer(self, message: Answer) -> None:
        """What the thread told; that of an attempt left behind says nothing."""
        message.stop()
        if message.attempt != self._attempt:
            return
        match message.told:
            case Found() as found:
                self._found = found
                self.query_one("#choices", Choices).cursor = 0
                self._ask_way()
            case Checked() as checked:
                self._told.append(checked)
                self._paint_trial(ended=not checked.ok)
            case Done() as done:
                self._finished(done)
            case CrmMailError() as error:
                self._refused(error)
            case None:
                self._failed()

    # keys and clicks

    @on(Input.Submitted, "#typed")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        self._look_up()

    @on(Fields.Ready)
    def _ready(self) -> None:
        self._try()

    @on(Choices.Chosen)
    def _clicked(self) -> None:
        self._chosen()

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "off":
            self.action_back()
        else:
            self.action_go_on()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key means something only in the steps that show it."""
        failed = self._step == TRIAL and self.has_class("-failed")
        possible = {
            "try": self._step == FORM,
            "all_fields": self._step == FORM and self._short,
            "language": self._step == ADDRESS,
            "scroll": self._step == FORM,
            "again": failed,
            "private_file": failed and self._no_keyring,
            "move": self._step == WAYS,
        }
        return possible.get(action, True)

    def action_go_on(self) -> None:
        """On from here: what Enter and the button do."""
        match self._step:
            case "address":
                self._look_up()
            case "ways":
                self._chosen()
            case "form":
                self._try()
            case "trial" if self.has_class("-failed") and not self._no_keyring:
                self._ask_form(self._told[-1].field if self._told and not self._told[-1].ok else "")
            case "done":
                self.dismiss(self._done)

    def action_back(self) -> None:
        """One step back; from the first one out."""
        self._attempt += 1
        match self._step:
            case "looking" | "ways":
                self._ask_address()
            case "form" if not self._mending:
                self._ask_way()
            case "trial":
                self._ask_form()
            case _:
                self.dismiss(self._done)

    def action_leave(self) -> None:
        """Out of here, at once."""
        self.dismiss(self._done)

    def action_try(self) -> None:
        """Try what is filled in."""
        self._try()

    def action_all_fields(self) -> None:
        """Show what is known already, too."""
        self._form = self.query_one(Fields).read()
        self._short = False
        self._ask_form()

    def action_language(self) -> None:
        """The other language, for all of the program."""
        typed = self.query_one("#typed", Input).value
        use = getattr(self.app, "use_language", None)
        if use is not None:
            use("pt_BR" if language() == "en" else "en")
        self._ask_address()
        self.query_one("#typed", Input).value = typed

    def action_again(self) -> None:
        """Once more with the same settings."""
        self.remove_class("-failed")
        self._try()

    def action_private_file(self) -> None:
        """The explicit choice of a 0600 file."""
        self._form = replace(self._form, token_store="file")
        self.action_again()

    def action_move(self, by: int) -> None:
        """Another way."""
        self.query_one("#choices", Choices).move(by)

    def action_scroll(self, by: int) -> None:
        """Read on in the steps."""
        pane = self.query_one("#text")
        pane.scroll_relative(y=by * max(1, pane.size.height - 1), animate=False)
