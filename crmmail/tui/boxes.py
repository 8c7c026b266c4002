"""The Mailboxes screen: which there are, how each stands, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Static

from crmmail.errors import CrmMailError
from crmmail.i18n import N_, _, ngettext
from crmmail.model import Change, Mailbox
from crmmail.tui import format, words
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.commands import COMMANDS, MAILBOXES, Command, Context, possible
from crmmail.tui.dialogs import Choices
from crmmail.tui.keyboard import Keyboard
from crmmail.tui.keymap import Keymap
from crmmail.tui.panels import Entry, KeyLines, Painted

if TYPE_CHECKING:
    from crmmail.connecting import Checked
    from crmmail.store import Store
    from crmmail.tui.app import CrmMail

COLORS = (
    (N_("automatic"), ""),
    (N_("blue"), "#3b82f6"),
    (N_("green"), "#22c55e"),
    (N_("yellow"), "#eab308"),
    (N_("orange"), "#f97316"),
    (N_("red"), "#ef4444"),
    (N_("pink"), "#ec4899"),
    (N_("purple"), "#a855f7"),
    (N_("turquoise"), "#14b8a6"),
    (N_("grey"), "#94a3b8"),
)
PROVIDERS = {"gmail": "Gmail", "outlook": "Outlook", "imap": "IMAP"}


class BoxLines(Choices):
    """The mailboxes, each with the stripe it wears in All inboxes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = Choices.COMPONENT_CLASSES

    def __init__(self, *, id: str) -> None:
        super().__init__([], id=id)
        self.stripes: list[Color] = []

    def render_line(self, y: int) -> Strip:
        """A stripe, then the line."""
        index = self.scroll_offset.y + y
        strip = super().render_line(y)
        if index >= len(self.stripes):
            return strip
        kind = "cursor" if index == self.cursor else ""
        stripe = Segment("▌", self.ink("", kind) + Style(color=self.stripes[index]))
        return Strip([stripe, *strip.crop(1)]).adjust_cell_length(self.size.width)


class Mailboxes(ClosesOnce, Keyboard, ModalScreen[None]):
    """One line a mailbox; below it what is to be known of the chosen one, and the keys."""

    def __init__(self, store: Store, keymap: Keymap) -> None:
        super().__init__()
        self.store = store
        self.keymap = keymap
        self.boxes: list[Mailbox] = []
        self.choices = BoxLines(id="choices")
        self.keys = KeyLines(id="keys")
        self.tested = ""  # what the last test found
        self.clicked = -1  # the line clicked last

    def compose(self) -> ComposeResult:
        """Title, mailboxes, the chosen one, keys."""
        with Vertical(id="box", classes="-palette"):
            yield Static(id="question")
            yield self.choices
            yield Static(id="text")
            yield self.keys

    def on_mount(self) -> None:
        """Read them."""
        self.choices.focus()
        self.read()

    @property
    def program(self) -> CrmMail:
        """The application, by its own type."""
        from crmmail.tui.app import CrmMail

        assert isinstance(self.app, CrmMail)
        return self.app

    def read(self) -> None:
        """Read the mailboxes again; the cursor stays on its one."""
        before = self.chosen
        self.boxes = self.store.mailboxes()
        names = [box.id for box in self.boxes]
        if before is not None and before.id in names:
            self.choices.cursor = names.index(before.id)
        statuses = self.store.statuses()
        lines = []
        for number, box in enumerate(self.boxes, 1):
            state, _tone = words.state(statuses.get(box.id), self.keymap.first("box_sign_in"))
            lines.append((f"{number}  {box.name or box.address}", f"{PROVIDERS.get(box.provider, '')} · {state}"))
        main = self.program.main
        self.choices.stripes = [main.sidebar.stripes.get(box.id) or main.stripe(box) for box in self.boxes]
        self.choices.styles.height = max(1, min(len(lines) or 1, self.app.size.height - 14))
        self.choices.put(lines or [(_("No mailbox is connected yet"), "")])
        self.query_one("#question", Static).update(Content(_("Mailboxes")))
        self._explain()

    @property
    def chosen(self) -> Mailbox | None:
        """The mailbox under the cursor."""
        return self.boxes[self.choices.cursor] if 0 <= self.choices.cursor < len(self.boxes) else None

    def _explain(self) -> None:
        box = self.chosen
        lines = self._facts(box) if box is not None else []
        if self.tested:
            lines = [*lines[:1], self.tested]
        self.query_one("#text", Static).update(format.content("\n".join(lines), lines=True))
        context = self.context()
        useful = [one for one in COMMANDS if one.footer and MAILBOXES in one.panes and possible(one, context)]
        useful.sort(key=lambda one: one.footer != 5 and one.footer)
        self.keys.put(
            Entry(self.keymap.first(one.id), _(one.short or one.label), one.id) for one in useful if one.id != "help"
        )

    def _facts(self, box: Mailbox) -> list[str]:
        """Address, state with its sentence, who sends, what waits."""
        status = self.store.statuses().get(box.id)
        senders = [format.person_in_full(one.address) for one in self.store.identities(box.id)]
        lines = [box.address]
        if status is not None and status.sentence:
            lines.append(f"{status.sentence} {status.next_step}".strip())
        lines.append(_("Sends as: {who}").format(who=", ".join(senders)))
        signature = next((one.signature for one in self.store.identities(box.id) if one.signature), "")
        if signature:
            lines.append(_("Signature: {text}").format(text=format.cut(" / ".join(signature.split("\n")), 50)))
        settings = self.program.settings.mailboxes.get(box.id)
        if settings is not None and settings.download != "all":
            lines.append(said(settings.download))
        waiting = self._waiting(box.id)
        if waiting:
            text = ngettext("{count} thing waits for its server.", "{count} things wait for its server.", waiting)
            lines.append(text.format(count=waiting))
        return lines

    def _waiting(self, name: str) -> int:
        from crmmail.tui.outgoing_lines import WAITING

        acts = sum(op.mailbox == name for op in self.store.outbox())
        return acts + sum(one.mailbox == name for one in self.store.outgoing(WAITING))

    def publish(self, change: Change) -> None:
        """The store changed."""
        if change.mailboxes or change.outbox:
            self.read()

    def speak(self) -> None:
        """Another language."""
        self.read()

    # --- Keyboard

    def context(self) -> Context:
        """What can be done with the chosen mailbox."""
        box = self.chosen
        settings = self.program.settings.mailboxes.get(box.id) if box is not None else None
        return Context(
            pane=MAILBOXES,
            mailboxes=len(self.boxes),
            box=box.provider if box is not None and settings is not None else "",
            held=settings is not None and settings.paused,
        )

    def hint(self, sentence: str) -> None:
        """Below the list."""
        self.query_one("#text", Static).update(Content(format.clean(sentence)))

    def fail(self, error: CrmMailError) -> None:
        """Below the list."""
        self.hint(str(error))

    def show_prefix(self, entries: Iterable[Command]) -> None:
        """There is no room for the panel here."""

    def _move(self, by: int) -> None:
        self.tested = ""
        self.choices.move(by)
        self._explain()

    @on(Choices.Chosen)
    def _clicked(self) -> None:
        """A click chooses; another one on the same opens its form."""
        self.tested = ""
        again, self.clicked = self.clicked == self.choices.cursor, self.choices.cursor
        self._explain()
        if again:
            self.clicked = -1
            self.action_box_edit()

    @on(Painted.Pressed)
    async def _pressed(self, event: Painted.Pressed) -> None:
        """A key was pressed by mouse."""
        await self.run_command(event.command)

    def action_down(self) -> None:
        """Next mailbox."""
        self._move(1)

    def action_up(self) -> None:
        """Previous mailbox."""
        self._move(-1)

    def action_page_down(self) -> None:
        """The last."""
        self._move(len(self.boxes))

    def action_page_up(self) -> None:
        """The first."""
        self._move(-len(self.boxes))

    action_bottom, action_top = action_page_down, action_page_up

    # --- what can be done

    def action_box_edit(self) -> None:
        """Name, sender, signature, further addresses, how often to ask."""
        from crmmail.tui.box_form import BoxForm

        box = self.chosen
        if box is not None:
            name = box.id
            settings = self.program.settings.mailboxes[name]

            def keep(changed: dict[str, object]) -> None:
                self.program.change_mailbox(name, changed)

            self.app.push_screen(BoxForm(settings, keep), lambda _done: self.read())

    def action_box_new(self) -> None:
        """Connect another."""
        self.dismiss(None)
        self.program.connect()

    def action_box_sign_in(self) -> None:
        """A new session, or another password or server."""
        box = self.chosen
        if box is not None:
            self.dismiss(None)
            self.program.sign_in(box.id)

    def action_box_color(self) -> None:
        """Its stripe."""
        from crmmail.tui.dialogs import Picker

        box = self.chosen
        if box is None:
            return
        values = [value for _name, value in COLORS]
        start = values.index(box.color) if box.color in values else 0

        def choose(at: int | tuple[str, int] | None) -> None:
            if isinstance(at, int):
                self.guarded(lambda: self.program.change_mailbox(box.id, {"color": values[at]}))
                self.program.main.dress()
                self.read()

        self.app.push_screen(Picker(_("Colour"), [(_(name), "") for name, _value in COLORS], start=start), choose)

    def action_box_download(self) -> None:
        """Whose texts come by themselves."""
        from crmmail.tui.dialogs import Picker

        box = self.chosen
        if box is None:
            return
        now = self.program.settings.mailboxes[box.id].download
        values = [value for value, _name in downloads(now)]

        def choose(at: int | tuple[str, int] | None) -> None:
            if isinstance(at, int):
                self.guarded(lambda: self.program.change_mailbox(box.id, {"download": values[at]}))
                self.read()

        lines = [(name, "") for _value, name in downloads(now)]
        self.app.push_screen(Picker(_("How much to download"), lines, start=values.index(now)), choose)

    def action_box_up(self) -> None:
        """Further up."""
        self._shift(-1)

    def action_box_down(self) -> None:
        """Further down."""
        self._shift(1)

    def _shift(self, by: int) -> None:
        names, at = [box.id for box in self.boxes], self.choices.cursor
        goal = at + by
        if 0 <= goal < len(names):
            names[at], names[goal] = names[goal], names[at]
            self.program.order_mailboxes(names)
            self.read()

    def action_box_pause(self) -> None:
        """Not synchronised until it is resumed."""
        self._pause(paused=True)

    def action_box_resume(self) -> None:
        """Synchronised again."""
        self._pause(paused=False)

    def _pause(self, *, paused: bool) -> None:
        if self.chosen is not None:
            self.program.pause_mailbox(self.chosen.id, paused=paused)
            self.read()

    def action_box_test(self) -> None:
        """Every step of reaching its server, and what to mend."""
        box = self.chosen
        if box is None:
            return
        self.tested = _("Trying {address} …").format(address=box.address)
        self._explain()

        def tell(checks: Sequence[Checked]) -> None:
            if self.is_attached and self.chosen is not None and self.chosen.id == box.id:
                self.tested = found(checks)
                self._explain()

        self.program.test_mailbox(box.id, tell)

    def action_box_domains(self) -> None:
        """Which domains are ours: mail among them is internal, for every mailbox."""
        from crmmail.crm import domains
        from crmmail.tui.box_form import DomainsForm

        said = self.store.ourselves()

        def keep(wanted: frozenset[str]) -> None:
            self.store.set_ourselves(replace(said, domains=wanted))
            self.program.drain()

        hosts = {domains.of_address(box.address) for box in self.boxes}
        own = sorted(host for host in hosts if host and not domains.is_shared(host, said.shared))
        self.app.push_screen(DomainsForm(sorted(said.domains), own, keep))

    def action_box_remove(self) -> None:
        """Forget it here, after a question."""
        from crmmail.tui.box_form import RemoveBox

        box = self.chosen
        if box is None:
            return
        drafts = len(self.store.drafts(box.id))

        def answer(wish: str | None) -> None:
            if wish:
                self.program.remove_mailbox(box.id, drafts=wish == "drafts")

        self.app.push_screen(RemoveBox(box, drafts, self._waiting(box.id)), answer)

    def action_box_close(self) -> None:
        """Back."""
        self.dismiss(None)

    action_palette = action_refresh = action_help = action_box_close

    def action_leave(self) -> None:
        """Leave the program."""
        self.app.exit()


def downloads(now: str) -> list[tuple[str, str]]:
    """(setting, in words) of what can be chosen; a number of months the file names is among them."""
    months = sorted({1, 3, 12, 36, *([int(now)] if now.isdigit() else [])})
    return [
        ("all", _("Everything")),
        *((str(count), said(str(count))) for count in months),
        ("headers", said("headers")),
    ]


def said(download: str) -> str:
    """The setting `download` in words."""
    if download == "headers":
        return _("Headers only; a text when it is opened")
    if download == "all":
        return _("Everything")
    text = ngettext("Texts of the last {count} month", "Texts of the last {count} months", int(download))
    return text.format(count=download)


def found(checks: Sequence[Checked]) -> str:
    """What a test found, in few lines: what is to be mended, or that all is well."""
    failed = [check for check in checks if not check.ok]
    if not failed:
        return "✓ " + _("All is well.") + "\n" + checks[0].sentence
    return "\n".join(f"✗ {check.sentence} {check.next_step}".strip() for check in failed)
