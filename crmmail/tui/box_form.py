"""The Mailboxes screen's dialogs: what a mailbox is called and sends as, and whether it shall go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from crmmail.errors import CrmMailError
from crmmail.i18n import _, ngettext
from crmmail.model import Mailbox
from crmmail.tui import format
from crmmail.tui.dialogs import Button, Dialog
from crmmail.tui.in_order import InOrder

if TYPE_CHECKING:
    from crmmail.config import MailboxSettings

MOST_SIGNATURE = 4000


class BoxForm(InOrder, Dialog[bool]):
    """Name, sender, further addresses, signature, how often to ask. `keep` raises CrmMailError for what cannot be."""

    DEFAULT_CSS = """
    BoxForm { align: center middle; background: $background 60%; }
    BoxForm .line { height: 1; }
    BoxForm .label { width: 24; height: 1; color: $foreground-muted; }
    BoxForm Input { width: 1fr; background: $surface; }
    BoxForm Input:focus { background: $primary-muted; }
    BoxForm TextArea { height: 4; width: 1fr; border: none; padding: 0; background: $surface; }
    BoxForm #tall { height: 4; }
    BoxForm TextArea:focus { border: none; background: $primary-muted; }
    BoxForm #ask { margin: 1 0 0 0; }
    """

    def __init__(self, settings: MailboxSettings, keep: Callable[[dict[str, object]], None]) -> None:
        super().__init__()
        self.settings = settings
        self.keep = keep

    def compose(self) -> ComposeResult:
        """One line a setting."""
        box = self.settings
        with Vertical(id="box", classes="-palette"):
            yield Static(Content(format.clean(box.address)), id="question")
            yield self._line(
                _("Name in the folders"), Input(box.name, placeholder=box.address, id="name", compact=True)
            )
            yield self._line(_("Your name in messages"), Input(box.sender_name, id="sender_name", compact=True))
            further = ", ".join(box.identities)
            yield self._line(
                _("Further addresses"), Input(further, placeholder="Vendas <vendas@…>", id="identities", compact=True)
            )
            polls = str(box.poll_seconds or "")
            yield self._line(
                _("Ask every … seconds"), Input(polls, placeholder=_("as for all"), id="poll_seconds", compact=True)
            )
            with Horizontal(id="tall"):
                yield Static(Content(_("Signature")), classes="label")
                yield TextArea(box.signature, id="signature", compact=True)
            yield Static(id="ask")
            with Horizontal(id="buttons"):
                yield Button(_("Save") + "  Ctrl+J", id="yes")
                yield Button(_("Cancel") + "  Esc", id="no")

    def _line(self, label: str, field: Input) -> Horizontal:
        return Horizontal(Static(Content(label), classes="label"), field, classes="line")

    def ready(self) -> None:
        """Begin with the name."""
        self.query_one("#ask").display = False
        self.query_one("#name").focus()

    def pressed(self, event: events.Key) -> None:
        """Ctrl+J and F9 save; arrows go from field to field; Esc leaves all as it was."""
        inside = isinstance(self.focused, TextArea)
        if event.key in ("ctrl+j", "f9"):
            event.stop()
            self._save()
        elif event.key == "escape":
            event.stop()
            self.dismiss(False)
        elif event.key in ("down", "up") and not inside:
            event.stop()
            self.focus_next() if event.key == "down" else self.focus_previous()

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.focus_next()

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        self._save() if event.button.id == "yes" else self.dismiss(False)

    def _save(self) -> None:
        try:
            self.keep(self._read())
        except CrmMailError as error:
            ask = self.query_one("#ask", Static)
            ask.update(format.content(str(error), lines=True))
            ask.display = True
            return
        self.dismiss(True)

    def _read(self) -> dict[str, object]:
        """What is filled in, as settings."""
        from crmmail.mail.recipients import parse_recipients, typed

        polls = self._text("poll_seconds")
        return {
            "name": self._text("name"),
            "sender_name": self._text("sender_name"),
            "identities": [typed(person) for person in parse_recipients(self._text("identities"))],
            "poll_seconds": int(polls) if polls.isascii() and polls.isdigit() else 1 if polls else 0,
            "signature": format.clean(self.query_one("#signature", TextArea).text[:MOST_SIGNATURE], lines=True).strip(
                "\n"
            ),
        }

    def _text(self, name: str) -> str:
        return format.clean(self.query_one(f"#{name}", Input).value).strip()


class DomainsForm(InOrder, Dialog[bool]):
    """Our own domains besides those of the mailboxes, one setting for all of them."""

    DEFAULT_CSS = """
    DomainsForm { align: center middle; background: $background 60%; }
    DomainsForm Input { background: $surface; }
    DomainsForm #ask, DomainsForm #buttons { margin: 1 0 0 0; }
    """

    def __init__(
        self, domains: Sequence[str], mailboxes: Sequence[str], keep: Callable[[frozenset[str]], None]
    ) -> None:
        super().__init__()
        self.domains, self.mailboxes, self.keep = domains, mailboxes, keep

    def compose(self) -> ComposeResult:
        """What internal means, the domains, buttons."""
        text = _("Mail among these domains is internal: it belongs to no account and is not logged, unless you say so.")
        known = _("Those of your mailboxes count without being written here: {domains}.")
        with Vertical(id="box", classes="-palette"):
            yield Static(Content(_("Internal domains")), id="question")
            lines = [text, *([known.format(domains=", ".join(self.mailboxes))] if self.mailboxes else [])]
            yield Static(format.content("\n".join(lines), lines=True), id="text")
            yield Input(", ".join(self.domains), placeholder="nos.example, filial.example", id="domains", compact=True)
            yield Static(id="ask")
            with Horizontal(id="buttons"):
                yield Button(_("Save") + "  Ctrl+J", id="yes")
                yield Button(_("Cancel") + "  Esc", id="no")

    def ready(self) -> None:
        """Begin with the domains."""
        self.query_one("#ask").display = False
        self.query_one("#domains").focus()

    def pressed(self, event: events.Key) -> None:
        """Ctrl+J and F9 save; Esc leaves all as it was."""
        if event.key in ("ctrl+j", "f9"):
            event.stop()
            self._save()
        elif event.key == "escape":
            event.stop()
            self.dismiss(False)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self._save()

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        self._save() if event.button.id == "yes" else self.dismiss(False)

    def _save(self) -> None:
        from crmmail.crm import domains

        typed = self.query_one("#domains", Input).value.replace(",", " ").replace(";", " ").split()
        wrong = [text for text in typed if "." not in domains.normal(text)]
        if wrong:
            ask = self.query_one("#ask", Static)
            ask.update(format.content(_("“{text}” is not a domain.").format(text=wrong[0][:80])))
            ask.display = True
            return
        try:
            self.keep(frozenset(domains.normal(text) for text in typed))
        except CrmMailError as error:
            self.query_one("#ask", Static).update(format.content(str(error), lines=True))
            self.query_one("#ask").display = True
            return
        self.dismiss(True)


class RemoveBox(Dialog[str]):
    """Whether to forget a mailbox: 'yes', or 'drafts' for its drafts too. The safe button has the focus."""

    DEFAULT_CSS = "RemoveBox { align: center middle; background: $background 60%; }"

    def __init__(self, box: Mailbox, drafts: int, waiting: int) -> None:
        super().__init__()
        self.box, self.drafts, self.waiting = box, drafts, waiting

    def compose(self) -> ComposeResult:
        """Question, what stays and what goes, buttons."""
        with Vertical(id="box"):
            question = _("Remove {address}?").format(address=self.box.address)
            yield Static(Content(format.clean(question)), id="question")
            yield Static(Content(self._consequences()), id="text")
            with Horizontal(id="buttons"):
                yield Button(_("Remove") + f"  {_('y')}", id="yes", classes="-danger")
                if self.drafts:
                    yield Button(_("Drafts too") + "  d", id="drafts", classes="-danger")
                yield Button(_("Cancel") + "  Esc", id="no")

    def _consequences(self) -> str:
        lines = [_("Its copy here and its session are deleted; nothing is changed on its server.")]
        if self.drafts:
            text = ngettext(
                "{count} draft stays, unless you say so.", "{count} drafts stay, unless you say so.", self.drafts
            )
            lines.append(text.format(count=self.drafts))
        if self.waiting:
            text = ngettext(
                "{count} thing still waits for its server: it goes on when you connect it again.",
                "{count} things still wait for its server: they go on when you connect it again.",
                self.waiting,
            )
            lines.append(text.format(count=self.waiting))
        lines.append(_("Links to customers stay."))
        return "\n".join(lines)

    def ready(self) -> None:
        """Enter does what is safe."""
        self.query_one("#no").focus()

    def pressed(self, event: events.Key) -> None:
        """y and d answer; all else as everywhere."""
        if event.key in ("y", _("y")):
            event.stop()
            self.dismiss("yes")
        elif event.key == "d" and self.drafts:
            event.stop()
            self.dismiss("drafts")
        elif event.key == "n":
            event.stop()
            self.dismiss(None)
        else:
            super().pressed(event)

    @on(Button.Pressed)
    def _button(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id if event.button.id in ("yes", "drafts") else None)
