"""The guided sign-in: which provider, whose client, the code or the address, and how it ended.

The screen sees no network. It is given a `signing.Guide` that begins flows; a flow is followed in a thread of its own
and every event comes back as a message. Dismissed with `Done`, or None when the user left.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from crmmail.errors import CrmMailError, SignInError
from crmmail.i18n import _
from crmmail.signing import (
    Done,
    Event,
    Failed,
    Flow,
    Guide,
    Notice,
    ShowCode,
    ShowUrl,
    Wish,
    Working,
    can_open_browser,
)
from crmmail.tui import format
from crmmail.tui.closing import ClosesOnce

PROVIDERS = (("gmail", "Gmail"), ("outlook", "Outlook"))
DOCUMENT = "docs/connecting.md"


class SignInScreen(ClosesOnce, ModalScreen[Done | None]):
    """Sign in to a new mailbox, or again to one there is (`mailbox`)."""

    DEFAULT_CSS = """
    SignInScreen { align: center middle; }
    SignInScreen > #frame {
        width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; overflow-y: auto;
        background: $surface; color: $foreground; border: round $primary; border-title-color: $text-primary;
    }
    SignInScreen Static { width: 100%; height: auto; }
    SignInScreen OptionList { height: auto; margin: 1 0 0 0; background: $surface; }
    SignInScreen Input { margin: 1 0 0 0; background: $panel; }
    SignInScreen #large {
        margin: 1 0; padding: 1 2; text-align: center; text-style: bold; background: $panel; color: $text-primary;
    }
    SignInScreen #address { color: $text-primary; }
    SignInScreen #left { color: $foreground-muted; }
    SignInScreen #said { color: $text-warning; }
    SignInScreen.-failed #sentence { color: $text-error; text-style: bold; }
    SignInScreen.-done #sentence { color: $text-success; text-style: bold; }
    SignInScreen #keys { margin: 1 0 0 0; color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "leave", show=False),
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("c", "copy", show=False),
        Binding("o", "open", show=False),
        Binding("b", "browser", show=False),
        Binding("r", "again", show=False),
        Binding("p", "private_file", show=False),
        Binding("k", "client", show=False),
        Binding("enter", "finish", show=False),
    ]

    @dataclass
    class Told(Message):
        """The flow said something. `attempt` tells a flow that was left behind from the one that counts."""

        event: Event
        attempt: int

    def __init__(
        self,
        guide: Guide,
        mailbox: str = "",
        *,
        wish: Wish | None = None,
        opens: Callable[[], bool] = can_open_browser,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._guide = guide
        self._wish = wish or Wish()
        self._mailbox = mailbox
        self._opens = opens
        self._clock = clock
        self._flow: Flow | None = None
        self._attempt = 0
        self._shown: Event | None = None
        self._step = ""

    def compose(self) -> ComposeResult:
        """All parts there can be; each step shows some of them."""
        with Vertical(id="frame"):
            yield Static(id="sentence", markup=False)
            yield OptionList(*(Option(label, id=name) for name, label in PROVIDERS), id="providers", compact=True)
            yield Static(id="address", markup=False)
            yield Static(id="large", markup=False)
            yield Static(id="left", markup=False)
            yield Input(id="typed", compact=True)
            yield Static(id="said", markup=False)
            yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin with what is not known yet. A wish that was given says more than the mailbox's name."""
        self.query_one("#frame").border_title = _("Sign in")
        self.set_interval(1.0, self._count_down)
        if self._mailbox and not self._wish.provider:
            self._wish = self._guide.wish_for(self._mailbox)
        if self._wish.provider:
            self._with_client()
        else:
            self._choose()

    def on_unmount(self) -> None:
        """Nobody is there to answer any more."""
        self._stop()

    # the steps

    def _show(self, step: str, sentence: str, *, keys: str = "", **parts: str) -> None:
        """Show a step: its sentence, the parts it has, the keys that lead on."""
        self._step = step
        texts = {"sentence": sentence, "keys": keys, **parts}
        for name in ("sentence", "address", "large", "left", "said", "keys"):
            widget = self.query_one(f"#{name}", Static)
            shown = format.content(texts.get(name, ""), lines=True)
            widget.update(_linked(shown) if name == "address" else shown)
            widget.display = bool(texts.get(name))
        for name in ("failed", "done"):
            self.set_class(step == name, f"-{name}")
        self.query_one("#providers").display = step == "choose"
        self.query_one("#typed").display = step in ("client", "url")
        if step not in ("choose", "client"):
            self.set_focus(None)

    def _choose(self) -> None:
        self._show("choose", _("Which mailbox do you want to connect?"), keys=_("↑↓ choose · Enter go on · Esc leave"))
        self.query_one("#providers").focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._wish = dataclasses.replace(self._wish, provider=event.option_id or "")
        self._with_client()

    def _with_client(self) -> None:
        """Ask for the client id first where there is none: nothing works without."""
        try:
            lacking = self._guide.lacks_client(self._wish)
        except CrmMailError as error:
            self._failed(error)
            return
        if lacking:
            self._ask_client()
        else:
            self._begin()

    def _ask_client(self) -> None:
        google = self._wish.provider == "gmail"
        what = _("the path of the JSON file from Google") if google else _("the “Application (client) ID” from Entra")
        self._show(
            "client",
            _("crmmail signs in with an OAuth client of your own; making one takes five minutes.")
            + f" {DOCUMENT} "
            + _("shows how, step by step.")
            + "\n\n"
            + _("Then type here {what}:").format(what=what),
            keys=_("Enter go on · Esc leave"),
        )
        self._input("client-secret.json" if google else "00000000-0000-0000-0000-000000000000").focus()

    def _input(self, placeholder: str) -> Input:
        field = self.query_one("#typed", Input)
        field.value, field.placeholder = "", placeholder
        return field

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = event.value.strip()
        if self._step == "client" and typed:
            path = self._wish.provider == "gmail" and not typed.endswith(".apps.googleusercontent.com")
            client_id, client_file = ("", typed) if path else (typed, "")
            self._wish = dataclasses.replace(self._wish, client_id=client_id, client_file=client_file)
            self._begin()
        elif self._step == "url" and typed and self._flow is not None:
            self._flow.paste(typed)
            event.input.value = ""
        elif self._step == "url":
            self.set_focus(None)

    def _begin(self) -> None:
        """Start a flow, and a thread that follows it."""
        self._stop()
        self._show("working", _("One moment…"), keys=_("Esc cancel"))
        self._attempt += 1
        threading.Thread(
            target=self._follow, args=(self._wish, self._attempt), name="crmmail-sign-in", daemon=True
        ).start()

    def _follow(self, wish: Wish, attempt: int) -> None:
        """In a thread: making the flow imports msal or google-auth-oauthlib."""
        try:
            flow = self._guide.begin(wish)
            if attempt == self._attempt:
                self._flow = flow
            if attempt != self._attempt:
                flow.cancel()
            for event in flow.events():
                self.post_message(self.Told(event, attempt))
        except CrmMailError as error:
            self.post_message(self.Told(Failed(error), attempt))

    def _stop(self) -> None:
        self._attempt += 1
        self._shown = None
        if self._flow is not None:
            self._flow.cancel()
            self._flow = None

    # what the flow says

    def on_sign_in_screen_told(self, message: Told) -> None:
        """One event of the flow; those of a flow that was left behind say nothing."""
        message.stop()
        if message.attempt != self._attempt:
            return
        match message.event:
            case ShowCode() as event:
                self._code(event)
            case ShowUrl() as event:
                self._address(event)
            case Notice(error):
                self._say(str(error))
            case Working(sentence):
                self._show("working", sentence, keys=_("Esc cancel"))
            case Failed(error):
                self._failed(error)
            case Done() as event:
                self._done(event)

    def _code(self, event: ShowCode) -> None:
        self._shown = event
        self._show(
            "code",
            _("Open this address in any browser, on any device, and type the code there:"),
            address=event.url,
            large=" ".join(event.code),
            left=self._left(),
            keys=_("c copy the code · o open the address · b sign in by browser instead · Esc cancel")
            + "\n"
            + _("Does the page refuse? Your organisation may allow only one of the two ways: press b."),
        )

    def _address(self, event: ShowUrl) -> None:
        self._shown = event
        opened = self._opens()
        if opened:
            self.app.open_url(event.url)
        here = _("Your browser shows the sign-in.") if opened else _("Open this address in a browser:")
        self._show(
            "url",
            f"{event.why}\n{here}".strip(),
            address=event.url,
            left=self._left(),
            keys=_("c copy the address · o open it · Tab to the field below · Esc cancel")
            + "\n"
            + _("Browser on another machine? Paste the address it ends at, even if the page shows an error."),
        )
        self._input("http://127.0.0.1:…/?state=…&code=…")

    def _failed(self, error: CrmMailError) -> None:
        self._shown = None
        code = error.code if isinstance(error, SignInError) else ""
        ways = [_("r try again"), _("b by browser")] if code != "no_keyring" else [_("p keep it in a private file")]
        keys = " · ".join([*ways, _("k another client id"), _("Esc leave")])
        self._show("failed", error.sentence, said=error.next_step, keys=keys)

    def _done(self, event: Done) -> None:
        self._shown = event
        place = _("in a private file") if event.place == "file" else _("in the system's keyring")
        self._show(
            "done",
            _("Signed in as {address}.").format(address=event.address),
            left=_("The session is kept {place} and renewed by itself.").format(place=place),
            keys=_("Enter go to the mailbox"),
        )

    def _left(self) -> str:
        """The time left, as minutes and seconds."""
        until = getattr(self._shown, "expires_at", 0.0)
        minutes, seconds = divmod(max(0, round(until - self._clock())), 60)
        return _("{minutes}:{seconds:02d} left").format(minutes=minutes, seconds=seconds)

    def _count_down(self) -> None:
        if self._step in ("code", "url"):
            self.query_one("#left", Static).update(Content(self._left()))

    def _say(self, sentence: str) -> None:
        widget = self.query_one("#said", Static)
        widget.update(Content(format.clean(sentence, lines=True)))
        widget.display = bool(sentence)

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key means something only in the steps that show it."""
        steps = {
            "copy": ("code", "url"),
            "open": ("code", "url"),
            "browser": ("code", "failed"),
            "again": ("failed",),
            "client": ("failed",),
            "private_file": ("failed",),
            "finish": ("done",),
        }
        return self._step in steps[action] if action in steps else True

    def action_leave(self) -> None:
        """Out of here, at once; the flow is told, not waited for."""
        done = self._shown if isinstance(self._shown, Done) else None
        self._stop()
        self.dismiss(done)

    def action_finish(self) -> None:
        """The end of a good sign-in."""
        self.action_leave()

    def action_copy(self) -> None:
        """The code, or the address where there is no code."""
        match self._shown:
            case ShowCode(_url, code, _until):
                self.app.copy_to_clipboard(code)
                self._say(_("Code copied."))
            case ShowUrl(url, _why, _until):
                self.app.copy_to_clipboard(url)
                self._say(_("Address copied."))

    def action_open(self) -> None:
        """The address in this machine's browser."""
        if isinstance(self._shown, ShowCode | ShowUrl):
            self.app.open_url(self._shown.url)

    def action_browser(self) -> None:
        """The other way in."""
        if self._step == "code" and self._flow is not None:
            self._show("working", _("One moment…"), keys=_("Esc cancel"))
            self._flow.use_browser()
        elif self._step == "failed" and self._wish.provider:
            self._wish = dataclasses.replace(self._wish, browser=True)
            self._with_client()

    def action_again(self) -> None:
        """Once more from the step that makes sense."""
        if self._wish.provider:
            self._with_client()
        else:
            self._choose()

    def action_client(self) -> None:
        """Another OAuth client than the one that was refused."""
        if self._wish.provider:
            self._ask_client()

    def action_private_file(self) -> None:
        """The explicit choice of a 0600 file."""
        self._wish = dataclasses.replace(self._wish, token_store="file")
        self._begin()


def _linked(address: Content) -> Content:
    """An address as a link of the terminal's own (OSC 8): one click, also over SSH and across wrapped lines."""
    return address.stylize(Style(link=address.plain)) if address.plain.startswith("https://") else address
