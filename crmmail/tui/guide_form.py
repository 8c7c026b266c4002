"""The guide's fields: user, password, the two servers, a certificate. Arrows and Tab go from one to the next."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from crmmail.connecting import IMAP_PORT, SMTP_PORT, STARTTLS, TLS, Form, Server
from crmmail.i18n import _

SECURITIES = {TLS: "TLS", STARTTLS: "STARTTLS"}
SIDES = ("imap", "smtp")


class Security(Static, can_focus=True):
    """TLS or STARTTLS; Space, Enter or the arrows change it."""

    class Changed(Message):
        """The other one."""

        def __init__(self, security: Security) -> None:
            super().__init__()
            self.security = security

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.value = TLS

    def put(self, value: str) -> None:
        """Show it."""
        self.value = value
        self.update(Content(f" {SECURITIES[value]} ▾"))

    def _turn(self) -> None:
        self.put(STARTTLS if self.value == TLS else TLS)
        self.post_message(self.Changed(self))

    def on_key(self, event: events.Key) -> None:
        """Change it."""
        if event.key in ("space", "enter", "left", "right"):
            event.stop()
            self._turn()

    def on_click(self) -> None:
        """Change it."""
        self.focus()
        self._turn()


class Fields(Vertical):
    """A `Form` to fill in. `short`: only the password, the rest is known."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    DEFAULT_CSS = """
    Fields { height: auto; width: 100%; }
    Fields .line { height: 1; width: 100%; }
    Fields .label { width: 20; height: 1; color: $foreground-muted; }
    Fields Input { width: 1fr; background: $panel; }
    Fields Input:focus { background: $primary-muted; }
    Fields #imap_port, Fields #smtp_port { width: 7; margin: 0 0 0 1; }
    Fields Security { width: 13; height: 1; margin: 0 0 0 1; background: $panel; }
    Fields Security:focus { background: $primary; }
    Fields .-wrong { background: $error-muted; }
    """

    class Ready(Message):
        """Enter in a form with nothing missing."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.form = Form("")

    def compose(self) -> ComposeResult:
        """One line a subject."""
        yield self._line("user", Input(id="user", compact=True))
        yield self._line("password", Input(id="password", password=True, compact=True))
        for side in SIDES:
            yield self._line(
                side,
                Input(id=f"{side}_host", compact=True),
                Input(id=f"{side}_port", compact=True, max_length=5),
                Security(id=f"{side}_security"),
            )
        yield self._line("ca_file", Input(id="ca_file", compact=True))

    def _line(self, name: str, *fields: Widget) -> Widget:
        return Horizontal(Static(id=f"label-{name}", classes="label"), *fields, classes="line", id=f"line-{name}")

    def put(self, form: Form, *, short: bool) -> None:
        """Show a form; the labels in the language of now."""
        self.form = form
        labels = {
            "user": _("User name"),
            "password": _("App password") if form.gmail else _("Password"),
            "imap": _("Reading (IMAP)"),
            "smtp": _("Sending (SMTP)"),
            "ca_file": _("Certificate file"),
        }
        for name, label in labels.items():
            self.query_one(f"#label-{name}", Static).update(Content(label))
            self.query_one(f"#line-{name}").display = name == "password" or not short
        for name, value in (("user", form.user), ("password", form.password), ("ca_file", form.ca_file)):
            self.query_one(f"#{name}", Input).value = value
        self.query_one("#ca_file", Input).placeholder = _("only for a server with a certificate of its own")
        for side, server in zip(SIDES, (form.imap, form.smtp), strict=True):
            self.query_one(f"#{side}_host", Input).value = server.host
            self.query_one(f"#{side}_port", Input).value = str(server.port or "")
            self.query_one(f"#{side}_security", Security).put(server.security)
        self.mark("")

    def read(self) -> Form:
        """The form as it is filled in; a port that is no number is 0."""
        from dataclasses import replace

        return replace(
            self.form,
            user=self._text("user") or self.form.address,
            password=self.query_one("#password", Input).value,
            imap=self._server("imap"),
            smtp=self._server("smtp"),
            ca_file=self._text("ca_file"),
        )

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _server(self, side: str) -> Server:
        port = self._text(f"{side}_port")
        number = int(port) if port.isascii() and port.isdigit() else 0
        return Server(self._text(f"{side}_host"), number, self.query_one(f"#{side}_security", Security).value)

    def mark(self, name: str) -> None:
        """Show which field has to be mended, and go there; '' for none."""
        for field in self.query("Input, Security"):
            field.set_class(field.id == name, "-wrong")
        if name:
            self.query_one(f"#{name}").focus()

    def begin(self) -> None:
        """Go to the first field that is empty."""
        self.query_one(f"#{self._missing() or 'password'}").focus()

    def _missing(self) -> str:
        names = ("user", "password", "imap_host", "imap_port", "smtp_host", "smtp_port")
        shown = (name for name in names if self.query_one(f"#{name}").parent.display)  # type: ignore[union-attr]
        return next((name for name in shown if not self.query_one(f"#{name}", Input).value.strip()), "")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        missing = self._missing()
        if missing:
            self.query_one(f"#{missing}").focus()
        else:
            self.post_message(self.Ready())

    @on(Security.Changed)
    def _turned(self, event: Security.Changed) -> None:
        """The usual port of the other way, where the port was the usual one."""
        event.stop()
        side = str(event.security.id).partition("_")[0]
        usual = IMAP_PORT if side == "imap" else SMTP_PORT
        port = self.query_one(f"#{side}_port", Input)
        if port.value in ("", *(str(number) for number in usual.values())):
            port.value = str(usual[event.security.value])
