"""The composer: account, sender, people, subject, message, attachments, in this order; every key below one's fingers.

It covers the main screen; keys typed in its fields are text and nothing else. Closing keeps the draft.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from crmmail.errors import CrmMailError
from crmmail.i18n import N_, _, pgettext
from crmmail.mail.reply import Kind
from crmmail.mail.text import clean_line
from crmmail.model import Address, Change, Draft
from crmmail.tui import commands, words
from crmmail.tui.commands import COMPOSE, Command, Context, possible
from crmmail.tui.composer_account import AccountField, ForAccount
from crmmail.tui.composer_base import Desk, Outcome, content, sendable
from crmmail.tui.composer_body import Body
from crmmail.tui.composer_fields import Files, Line, Sender
from crmmail.tui.composer_files import Inserting
from crmmail.tui.composer_sending import Sending
from crmmail.tui.composer_typing import Typing
from crmmail.tui.dialogs import Button
from crmmail.tui.keymap import Keymap
from crmmail.tui.panels import Entry, FooterLine, NoticeLine, Painted, Title, TitleLine
from crmmail.tui.recipients import MOST, Recipients, Suggestions
from crmmail.tui.writing_commands import COMPOSER

if TYPE_CHECKING:
    from crmmail.store import Store

PEOPLE = ("to", "cc", "bcc")
TITLES = {
    Kind.REPLY: N_("Reply"),
    Kind.REPLY_ALL: N_("Reply all"),
    Kind.FORWARD: N_("Forward"),
}


class ComposeScreen(Typing, Sending, Inserting, ForAccount):
    """Writes one draft. Dismissed with an `Outcome`."""

    AUTO_FOCUS = ""

    def __init__(
        self,
        store: Store,
        keymap: Keymap,
        draft: Draft,
        *,
        clock: Callable[[], float],
        notice: str = "",
        attach: Sequence[Path] = (),
        keep: bool = False,
    ) -> None:
        super().__init__()
        self.store, self.keymap, self.clock = store, keymap, clock
        self.draft = self.begun = draft
        self.desk = Desk(store, draft)
        self.boxes = {box.id: box for box in store.mailboxes()}
        can = set(sendable(list(self.boxes.values())))
        self.identities = [one for one in store.identities() if one.mailbox in can]
        self.sender = Sender(id="sender")
        self.customer = AccountField(self.find_accounts, id="customer")
        self.fields = {name: Recipients(self._complete, id=name) for name in PEOPLE}
        self.subject = Line(id="subject", compact=True, max_length=900)
        self.body = Body(id="body")
        self.files = Files(id="files")
        self.title_line = TitleLine(id="title")
        self.notice = NoticeLine(id="notice")
        self.footer = FooterLine(id="footer")
        self.offers = Suggestions(id="offers")
        self.cleared: Draft | None = None
        self._opening = notice
        self._to_attach = list(attach)
        self._signature = ""  # the one in the text
        self._keep = keep  # what it was opened with is worth a draft, also unchanged

    def _complete(self, text: str) -> list[Address]:
        try:
            beside = [person.email for field in self.fields.values() for person in field.people if person.email]
            return self.store.complete(text, MOST, beside, self.customer.account)
        except CrmMailError:
            return []  # typing goes on without suggestions

    # --- what stands where

    def compose(self) -> ComposeResult:
        """The fields in their order."""
        labels = {"to": _("To"), "cc": _("Cc"), "bcc": _("Bcc")}
        yield self.title_line
        with Vertical(id="fields"):
            yield from self._row(pgettext("field", "Accounts"), self.customer)
            yield from self._row(_("From"), self.sender)
            for name in PEOPLE:
                yield from self._row(labels[name], self.fields[name])
            yield from self._row(_("Subject"), self.subject)
        yield self.body
        yield self.files
        with Horizontal(id="ends"):
            yield Button(f"{_('Clear fields')}  {self.keymap.first('compose_clear')}", id="clear")
            yield Button(f"{_('Send')}  {self.keymap.first('compose_send')}", id="send", classes="-main")
        yield self.notice
        yield self.footer
        yield self.offers

    def _row(self, label: str, field: Painted | Line) -> ComposeResult:
        with Horizontal(classes="row", id=f"row-{field.id}"):
            yield Static(Content(f" {label}"), classes="label")
            yield field

    def on_mount(self) -> None:
        """Show the draft; the cursor where there is something to do."""
        if self._answer is not None:  # left before it stood
            return
        self.offers.display = False
        self.sender.key = self.keymap.first("compose_from")
        self.files.key = self.keymap.first("compose_attach")
        self.sender.missing = self._missing()
        self.show_draft(self.draft)
        self.begun = _emptied(self.written()) if self._keep else self.written()
        (self.body if self.draft.to or self.draft.bcc or self.draft.cc else self.fields["to"]).focus()
        if self._opening:
            self.say(self._opening, words.WARN)
        elif self.sender.identity is None:
            self.say(self.sender.missing, words.WARN)

        self.attach_next()

    def attach_next(self) -> None:
        """The files the composer was opened with, one after the other."""
        if self._to_attach:
            self.attach(self._to_attach.pop(0))

    def _missing(self) -> str:
        if not self.boxes:
            return _("No mailbox is connected yet; your draft is kept. `crmmail connect` connects one.")
        return _("These mailboxes cannot send yet; your draft is kept.")

    def show_draft(self, draft: Draft) -> None:
        """Fill the fields."""
        self.sender.put(self.identities, draft.mailbox, draft.sender)
        self.customer.put_account(self.store.account(draft.account) if draft.account else None)
        self._signature = self.sender.signature
        for name, people in (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc)):
            self.fields[name].put(people)
            self._show_row(name, name == "to" or bool(people))
        with self.subject.prevent(Line.Changed):
            self.subject.value = clean_line(draft.subject)
        with self.body.prevent(Body.Changed):
            self.body.put(draft.text, draft.cursor)
        self.markdown = draft.markdown
        self.files.put(draft.enclosures)
        self.weigh()
        self.renew()

    def _show_row(self, name: str, shown: bool) -> None:
        self.query_one(f"#row-{name}").display = shown

    def renew(self) -> None:
        """Title and footer as things stand."""
        subject = self.subject.value.strip()
        kind = _(TITLES.get(Kind(self.draft.kind), "")) if self.draft.kind in TITLES else _("New message")
        if self._save_timer is None and self.desk.saved.saved_ms:
            state, tone = _("Draft saved {time}").format(time=words.clock(self.desk.saved.saved_ms / 1000)), words.OK
        else:
            state, tone = _("Not saved yet"), words.QUIET
        if not self.touched:
            state, tone = "", words.QUIET
        self.title_line.say(Title(kind, subject, "", state, tone, self.keymap.first("compose_menu")))
        useful = sorted((one for one in commands.COMMANDS if one.footer and COMPOSE in one.panes), key=_place)
        self.footer.put([Entry(self.keymap.first(one.id), _(one.short or one.label), one.id) for one in useful])

    # --- Keyboard

    def context(self) -> Context:
        """Only the composer's commands."""
        return Context(pane=COMPOSE, cleared=self.cleared is not None)

    def hint(self, sentence: str) -> None:
        """Something in passing."""
        self.notice.say(sentence, words.QUIET)

    def say(self, sentence: str, tone: str = words.OK, *ids: str) -> None:
        """What happened, and the commands that may follow, each with its key."""
        hints = [(self.keymap.first(name), _(commands.BY_ID[name].label), name) for name in ids]
        self.notice.say(sentence, tone, hints)

    def fail(self, error: CrmMailError) -> None:
        """What went wrong, and what to do."""
        self.notice.say(str(error), words.BAD)

    def show_prefix(self, entries: Iterable[Command]) -> None:
        """There are no prefix keys here."""

    @on(Painted.Pressed)
    async def _pressed(self, event: Painted.Pressed) -> None:
        if event.command:
            await self.run_command("compose_menu" if event.command in ("actions", "folders") else event.command)

    def publish(self, change: Change) -> None:
        """The store changed: perhaps a mailbox was connected meanwhile."""
        if change.mailboxes:
            self.boxes = {box.id: box for box in self.store.mailboxes()}
            can = set(sendable(list(self.boxes.values())))
            self.identities = [one for one in self.store.identities() if one.mailbox in can]
            chosen = self.sender.identity
            self.sender.put(
                self.identities,
                chosen.mailbox if chosen else self.draft.mailbox,
                chosen.address.email if chosen else self.draft.sender,
            )

    # --- the user writes

    @on(Recipients.Changed)
    @on(Line.Changed)
    @on(Body.Changed)
    @on(Sender.Changed)
    def _edited(self) -> None:
        if self.cleared is not None and content(self.written()) != content(_emptied(self.cleared)):
            self.cleared = None
        first = self._save_timer is None
        self.changed()
        if first:
            self.call_after_refresh(self.renew)

    @on(Sender.Changed)
    def _other_sender(self) -> None:
        self._sign()
        self.weigh()

    def _sign(self) -> None:
        """Another identity signs otherwise; a signature that was edited stays."""
        from crmmail.mail import quote

        before, self._signature = self._signature, self.sender.signature
        text, place = self.body.text, self.body.place
        signed = text if before == self._signature else quote.resigned(text, before, self._signature)
        if signed != text:
            behind = not signed.startswith(text[:place])
            self.body.put(signed, max(0, place + (len(signed) - len(text) if behind else 0)))

    @on(Recipients.Offered)
    def _offered(self, event: Recipients.Offered) -> None:
        self.offers.follow(event.field)

    # --- commands

    def action_compose_save(self) -> None:
        """Save now."""
        self.save_now()
        self.say(_("Draft saved"), words.OK)

    def action_compose_close(self) -> None:
        """Close; what was written is kept."""
        if self.busy:
            self.hint(_("One moment: still working on it."))
            return
        for field in self.fields.values():
            field.finish()
        if not self.touched:
            self.dismiss(Outcome(self.draft))
            return
        self.refuse_when_readonly()
        self.dismiss(Outcome(self.save_now(), kept=True))

    def action_compose_discard(self) -> None:
        """Throw the draft away; undo brings it back."""
        if self.busy or not self.touched:
            self.dismiss(Outcome(self.draft))
            return
        saved = self.save_now()
        self.store.discard_draft(saved.id)
        self.dismiss(Outcome(saved, discarded=True))

    def action_compose_clear(self) -> None:
        """Empty all fields; it can be taken back."""
        self.cleared = self.written()
        self.show_draft(_emptied(self.cleared))
        self.changed()
        self.fields["to"].focus()
        self.say(_("Fields cleared"), words.OK, "compose_unclear")

    def action_compose_unclear(self) -> None:
        """Bring the fields back."""
        if self.cleared is not None:
            before, self.cleared = self.cleared, None
            self.show_draft(before)
            self.body.focus()
            self.changed()
            self.say(_("Fields restored"))

    def action_compose_from(self) -> None:
        """Choose the sender from all identities."""
        from crmmail.mail.recipients import typed
        from crmmail.tui.dialogs import Picker

        if not self.identities:
            self.say(self.sender.missing, words.WARN)
            return
        lines = [
            (typed(one.address), _("not verified") if not one.verified else self.boxes[one.mailbox].provider)
            for one in self.identities
        ]

        def chosen(index: int | tuple[str, int] | None) -> None:
            if isinstance(index, int):
                self.sender.choose(index)

        self.app.push_screen(Picker(_("Send from"), lines, start=self.sender.index), chosen)

    @on(Sender.Asked)
    def _sender_asked(self) -> None:
        self.action_compose_from()

    def _toggle(self, name: str) -> None:
        field = self.fields[name]
        shown = self.query_one(f"#row-{name}").display
        if shown and field.has_focus and not field.everyone:
            self.fields["to"].focus()
            self._show_row(name, False)
        else:
            self._show_row(name, True)
            self.call_after_refresh(field.focus)

    def action_compose_cc(self) -> None:
        """Show the field for copies, or hide it while it is empty."""
        self._toggle("cc")

    def action_compose_bcc(self) -> None:
        """Show the field for blind copies, or hide it while it is empty."""
        self._toggle("bcc")

    def action_compose_markdown(self) -> None:
        """Markdown on or off."""
        self.markdown = not self.markdown
        self.changed()
        self.say(_("Markdown: sent as text and as formatted text") if self.markdown else _("Sent as plain text"))

    def action_compose_menu(self) -> None:
        """All of the composer's commands with their keys."""
        from crmmail.tui.dialogs import Picker

        context = self.context()
        found = [one for one in COMPOSER if one.id != "compose_menu" and possible(one, context)]
        lines = [(_(one.label), self.keymap.first(one.id)) for one in found]

        async def chosen(index: int | tuple[str, int] | None) -> None:
            if isinstance(index, int):
                await self.run_command(found[index].id)

        self.app.push_screen(Picker(_("Message"), lines), chosen)

    def action_leave(self) -> None:
        """Leave the program: the draft is kept."""
        if self.touched and not self.program.readonly:
            self.save_now()
        self.app.exit()

    @on(Button.Pressed)
    async def _button(self, event: Button.Pressed) -> None:
        event.stop()
        await self.run_command("compose_send" if event.button.id == "send" else "compose_clear")


def _place(command: Command) -> int:
    return command.footer


def _emptied(draft: Draft) -> Draft:
    """The draft with nothing in its fields but the sender."""
    return replace(draft, account="", to=(), cc=(), bcc=(), subject="", text="", cursor=0, enclosures=())


def outcome_sentence(outcome: Outcome) -> str:
    """What to tell after a composer closed without sending."""
    if outcome.discarded:
        return _("Draft discarded")
    return _("Draft saved: you will find it in Drafts") if outcome.kept else ""
