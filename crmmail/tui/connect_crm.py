"""Connecting a CRM: which one, what it must be told, the trial, how it ended.

The screen sees no network: it is given a `connection.CrmGuide`, which tries in a thread. Dismissed with `CrmConnected`,
or None when the user left; nothing is kept before the CRM answered.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from crmmail.crm.connection import BCC, LABELS, LOCAL, QUESTIONS, CrmConnected, CrmGuide, CrmWish
from crmmail.errors import CrmMailError, SignInError
from crmmail.i18n import _
from crmmail.tui import format
from crmmail.tui.closing import ClosesOnce

MOST_QUESTIONS = max(len(asked) for asked in QUESTIONS.values())
DOCUMENT = "docs/crm.md"


class ConnectCrmScreen(ClosesOnce, ModalScreen[CrmConnected | None]):
    """Connect a CRM; `kind` of the one to connect again."""

    DEFAULT_CSS = """
    ConnectCrmScreen { align: center middle; }
    ConnectCrmScreen > #frame {
        width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; overflow-y: auto;
        background: $surface; color: $foreground; border: round $primary; border-title-color: $text-primary;
    }
    ConnectCrmScreen #frame > Static { width: 100%; height: auto; }
    ConnectCrmScreen OptionList { height: auto; margin: 1 0 0 0; background: $surface; }
    ConnectCrmScreen #form { height: auto; margin: 1 0 0 0; }
    ConnectCrmScreen .line { height: 1; width: 100%; }
    ConnectCrmScreen .label { width: 18; height: 1; color: $foreground-muted; }
    ConnectCrmScreen Input { width: 1fr; background: $panel; }
    ConnectCrmScreen Input:focus { background: $primary-muted; }
    ConnectCrmScreen Input.-wrong { background: $error-muted; }
    ConnectCrmScreen #said { color: $text-warning; margin: 1 0 0 0; }
    ConnectCrmScreen.-failed #said { color: $text-error; }
    ConnectCrmScreen.-done #sentence { color: $text-success; text-style: bold; }
    ConnectCrmScreen #keys { margin: 1 0 0 0; color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "leave", show=False),
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("ctrl+j,ctrl+enter", "try", show=False, priority=True),
        Binding("p", "private_file", show=False),
        Binding("r", "again", show=False),
        Binding("enter", "finish", show=False),
    ]

    @dataclass
    class Told(Message):
        """The trial ended. `attempt` tells one that was left behind from the one that counts."""

        end: CrmConnected | CrmMailError
        attempt: int

    def __init__(self, guide: CrmGuide, kind: str = "", *, token_store: str = "") -> None:
        super().__init__()
        self._guide = guide
        self._kind = kind
        self._token_store = token_store
        self._attempt = 0
        self._step = ""
        self._end: CrmConnected | None = None

    def compose(self) -> ComposeResult:
        """All parts there can be; each step shows some of them."""
        with Vertical(id="frame"):
            yield Static(id="sentence", markup=False)
            yield OptionList(*(Option(_(label), id=kind) for kind, label in LABELS.items()), id="kinds", compact=True)
            with Vertical(id="form"):
                for number in range(MOST_QUESTIONS):
                    with Horizontal(classes="line", id=f"line{number}"):
                        yield Static(id=f"label{number}", classes="label", markup=False)
                        yield Input(id=f"answer{number}", compact=True)
            yield Static(id="said", markup=False)
            yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin with what is not known yet."""
        self.query_one("#frame").border_title = _("Connect a CRM")
        if self._kind:
            self._ask()
        else:
            self._choose()

    def on_unmount(self) -> None:
        """Nobody is there to answer any more."""
        self._attempt += 1

    # the steps

    def _show(self, step: str, sentence: str, *, said: str = "", keys: str = "") -> None:
        self._step = step
        for name, text in (("sentence", sentence), ("said", said), ("keys", keys)):
            widget = self.query_one(f"#{name}", Static)
            widget.update(format.content(text, lines=True))
            widget.display = bool(text)
        for name in ("failed", "done"):
            self.set_class(step == name, f"-{name}")
        self.query_one("#kinds").display = step == "choose"
        self.query_one("#form").display = step in ("form", "working", "failed")

    def _choose(self) -> None:
        self._show("choose", _("Which CRM do you want to connect?"), keys=_("↑↓ choose · Enter go on · Esc leave"))
        self.query_one("#kinds").focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._kind = event.option_id or ""
        self._ask()

    def _ask(self) -> None:
        """The questions of this CRM, the first field ready for typing. Where there is none, the trial."""
        asked = QUESTIONS[self._kind]
        for number in range(MOST_QUESTIONS):
            self.query_one(f"#line{number}").display = number < len(asked)
        for number, question in enumerate(asked):
            self.query_one(f"#label{number}", Static).update(Content(_(question.label)))
            field = self._field(number)
            field.password, field.placeholder = question.secret, _(question.hint)
            field.value = ""
        if asked:
            self._form()
        else:
            self._begin(self._wish())

    def _form(self, said: str = "", *, failed: bool = False, wrong: int = -1) -> None:
        """The form as it is filled in; `wrong` is the field to mend."""
        explained = _("{document} shows where to find these, and what is shared with the CRM.").format(
            document=DOCUMENT
        )
        step = "failed" if failed else "form"
        ways = [_("Enter next field"), _("Ctrl+J connect"), _("Esc leave")]
        self._show(step, f"{_(LABELS[self._kind])}\n{explained}", said=said, keys=" · ".join(ways))
        for number in range(len(QUESTIONS[self._kind])):
            self._field(number).disabled = False
            self._field(number).set_class(number == wrong, "-wrong")
        if QUESTIONS[self._kind]:
            self._field(max(wrong, 0)).focus()

    def _field(self, number: int) -> Input:
        return self.query_one(f"#answer{number}", Input)

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        """Enter goes to the next field, and from the last one on to the trial."""
        event.stop()
        number = int((event.input.id or "answer0").removeprefix("answer"))
        if number + 1 < len(QUESTIONS[self._kind]):
            self._field(number + 1).focus()
        else:
            self.action_try()

    def action_try(self) -> None:
        """Ask the CRM who we are, in a thread."""
        if self._step not in ("form", "failed"):
            return
        wish = self._wish()
        if lacking := wish.lacks():
            number = QUESTIONS[self._kind].index(lacking[0])
            self._form(_("“{label}” is missing.").format(label=_(lacking[0].label)), wrong=number)
            return
        self._begin(wish)

    def _wish(self) -> CrmWish:
        asked = QUESTIONS[self._kind]
        given = [self._field(number).value.strip() for number in range(len(asked))]
        answers = {one.name: text for one, text in zip(asked, given, strict=True) if not one.secret}
        secret = next((text for one, text in zip(asked, given, strict=True) if one.secret), "")
        return CrmWish(self._kind, answers, secret, self._token_store)

    def _begin(self, wish: CrmWish) -> None:
        self._attempt += 1
        for number in range(len(QUESTIONS[self._kind])):
            self._field(number).disabled = True
        self._show("working", _("Asking the CRM who we are…"), keys=_("Esc cancel"))
        self.set_focus(None)
        threading.Thread(target=self._try, args=(wish, self._attempt), name="crmmail-crm", daemon=True).start()

    def _try(self, wish: CrmWish, attempt: int) -> None:
        """In the thread."""
        try:
            end: CrmConnected | CrmMailError = self._guide.connect(wish, lambda: attempt == self._attempt)
        except CrmMailError as error:
            end = error
        self.post_message(self.Told(end, attempt))

    def on_connect_crm_screen_told(self, message: Told) -> None:
        """The trial's end; that of one which was left behind says nothing here."""
        message.stop()
        if message.attempt != self._attempt:
            return
        if isinstance(message.end, CrmConnected):
            self._done(message.end)
        elif isinstance(message.end, SignInError) and message.end.code == "no_keyring":
            self._show("keyring", message.end.sentence, keys=_("p keep it in a private file · Esc leave"))
        else:
            self._form(str(message.end), failed=True)

    def _done(self, end: CrmConnected) -> None:
        self._end = end
        lines = [_("Connected as {who}.").format(who=end.who), ""]
        if end.place:
            where = _("in a private file") if end.place == "file" else _("in the system's keyring")
            lines.append(_("Its secret is kept {place}.").format(place=where))
        copied = _("Its accounts are being copied here; nothing is logged before you say so.")
        sent = _("It gets a blind copy of mail to your customers, once you say so.")
        kept = _("What you choose to log stays on the account's timeline, on this computer alone.")
        lines.append({BCC: sent, LOCAL: kept}.get(end.name, copied))
        for number in range(MOST_QUESTIONS):
            self._field(number).value = ""
        self._show("done", "\n".join(lines), keys=_("Enter go on"))

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key means something only in the steps that show it."""
        steps = {"private_file": ("keyring",), "finish": ("done",), "try": ("form", "failed"), "again": ("keyring",)}
        return self._step in steps[action] if action in steps else True

    def action_leave(self) -> None:
        """Out of here; a trial that runs keeps nothing any more."""
        self._attempt += 1
        self.dismiss(self._end)

    def action_finish(self) -> None:
        """The end of a good one."""
        self.action_leave()

    def action_private_file(self) -> None:
        """The explicit choice of a 0600 file."""
        self._token_store = "file"
        self._begin(self._wish())

    def action_again(self) -> None:
        """Once more, perhaps with the keyring open now."""
        self._begin(self._wish())
