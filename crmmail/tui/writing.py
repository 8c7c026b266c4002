"""Writing, as the main screen sees it: new message, replies, drafts, and the seconds in which sending can be undone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.timer import Timer

from crmmail.errors import CrmMailError
from crmmail.i18n import _
from crmmail.model import Change, Draft, Message, Outgoing, Role, SendState
from crmmail.tui import outgoing_lines, words
from crmmail.tui.acts import Acts
from crmmail.tui.commands import READER
from crmmail.tui.going import Going
from crmmail.tui.reading import Reading
from crmmail.tui.telling import Telling

if TYPE_CHECKING:
    from crmmail.tui.composer_base import Outcome


class Writing(Reading, Acts, Telling, Going):
    """Commands that begin a message, and undo for sending."""

    sent_last: tuple[Outgoing, float] | None = None  # and when: what `z` takes back until something else is done
    _countdown: Timer | None = None
    _watching: Timer | None = None
    _progress: str = ""  # what was said last of an upload
    _told: set[tuple[int, SendState]] = set()  # replaced, never changed in place

    # --- opening the composer

    def write(self, draft: Draft, *, notice: str = "", attach: tuple[Path, ...] = (), keep: bool = False) -> None:
        """Open the composer on a draft, and take the files of `attach` in. `keep` it even when nothing is changed."""
        from crmmail.tui.compose import ComposeScreen

        if draft.id and not self.program.readonly and self.store.draft_opened(draft):
            notice = notice or _("This draft was changed elsewhere too: the other version stands beside it in Drafts.")
        screen = ComposeScreen(
            self.store, self.keymap, draft, clock=self.clock, notice=notice, attach=attach, keep=keep
        )
        self.app.push_screen(screen, self.wrote)

    def wrote(self, outcome: Outcome | None) -> None:
        """The composer closed: say what became of it."""
        from crmmail.tui.compose import outcome_sentence

        self.program.drain()
        if outcome is None:
            return
        if outcome.sent is not None:
            self._sent(outcome.sent)
        elif sentence := outcome_sentence(outcome):
            self.say(sentence, words.OK, *(("undo",) if outcome.discarded else ("go_drafts",)))
        self.program.wake()

    def write_for(self, draft: Draft) -> None:
        """A message for an account, from the identity used in the mailbox in view."""
        shown = self.messages.query_shown.mailbox
        identities = self.store.identities(shown) or self.store.identities()
        sender = identities[0] if identities else None
        from crmmail.mail import quote

        text = quote.signed("", sender.signature) if sender else ""
        mailbox, address = (sender.mailbox, sender.address.email) if sender else (shown, "")
        self.write(replace(draft, mailbox=mailbox, sender=address, text=text))

    def action_compose(self) -> None:
        """A new message, from the mailbox in view."""
        self.write_for(Draft(0))

    def action_reply(self) -> None:
        """Answer whom it came from."""
        self._answer("reply")

    def action_reply_all(self) -> None:
        """Answer everybody."""
        self._answer("reply_all")

    def action_forward(self) -> None:
        """Pass it on: its text quoted with its files, or whole as a file."""
        from crmmail.tui.dialogs import Picker

        message = self._answered()
        if message is None:
            return
        if not message.body or not message.body.attachments:
            self._begin("forward", message)
            return
        lines = [(_("Its text, with its attachments"), ""), (_("The whole message as a file"), ".eml")]

        def chosen(index: int | tuple[str, int] | None) -> None:
            if isinstance(index, int):
                self._begin("forward", message, whole=index == 1)

        self.app.push_screen(Picker(_("What should be forwarded?"), lines), chosen)

    def action_forward_whole(self) -> None:
        """Pass the whole message on as a file, byte by byte."""
        message = self._answered()
        if message is not None:
            self._begin("forward", message, whole=True)

    def _answer(self, kind: str) -> None:
        message = self._answered()
        if message is not None:
            self._begin(kind, message)

    def _answered(self) -> Message | None:
        """The one message a reply is about: its text must be here to be quoted."""
        targets = self.targets
        message = self.store.message(targets[0]) if len(targets) == 1 else None
        if message is None:
            self.hint(_("Select a single message to reply to."))
        elif message.body is None:
            self.program.want(message.row.id)
            self.hint(_("The message has not been downloaded yet."))
            return None
        return message

    def _begin(self, kind: str, message: Message, *, whole: bool = False) -> None:
        """In a thread: the quote, and the files of a forward, which may be large."""
        selection = self.screen.get_selected_text() or "" if self.pane == READER else ""

        def work() -> None:
            from crmmail.mail import reply

            raw = self.store.raw(message.row.id) or b""
            links = self.store.links([message.row.id])
            draft = reply.begin(
                reply.Kind(kind),
                message,
                self.store.identities(),
                hints=reply.hints(raw),
                selection=selection,
                account=links[0].account if links else "",
                below=self.program.settings.reply_below,
            )
            draft = replace(draft, remote_thread=self.store.remote_thread(message.row.id, draft.mailbox))
            if kind == "forward":
                draft = self._carrying(replace(draft, text="\n") if whole else draft, raw, whole=whole)
            self.app.call_from_thread(self.write, draft)

        self._in_thread_worker(work)

    def _carrying(self, draft: Draft, raw: bytes, *, whole: bool) -> Draft:
        """In a thread: a forward with what it carries along, kept in the store."""
        from crmmail.mail import compose

        files = [compose.carried_whole(raw)] if whole else compose.carried(raw)
        if not files:
            return draft
        draft = self.store.new_draft(draft)
        for file in files:
            draft = self.store.enclose(draft.id, file.name, file.content_type, file.content)
        return draft

    # --- drafts

    def open_message(self, message: int) -> None:
        """In the drafts, go on writing; everywhere else, read."""
        if not self.open_draft(message):
            super().open_message(message)

    def action_go_drafts(self) -> None:
        """The drafts; without any mailbox, those of this computer to choose from."""
        if self.boxes:
            self._to_folder(Role.DRAFTS)
            return
        from crmmail.tui import draft_rows
        from crmmail.tui.dialogs import Picker

        drafts = self.store.drafts()
        if not drafts:
            self.hint(_("There are no drafts."))
            return
        lines = [(row.subject, row.sender) for row in map(draft_rows.row, drafts)]

        def chosen(index: int | tuple[str, int] | None) -> None:
            if isinstance(index, int):
                self.write(drafts[index])

        self.app.push_screen(Picker(_("Drafts"), lines), chosen)

    def action_go_outbox(self) -> None:
        """Mail on its way, what waits for the server, and what it refused."""
        from crmmail.tui.outbox import Outbox

        self.app.push_screen(Outbox(self.store, self.keymap, clock=self.clock), self._from_outbox)

    def open_draft(self, message: int) -> bool:
        """Enter in the drafts: go on writing. Whether `message` is a draft."""
        if message < 0:
            draft = self.store.draft(-message)
            if draft is None:
                self.hint(_("This draft no longer exists."))
            else:
                self.write(draft)
            return True
        if self.messages.query_shown.folder != Role.DRAFTS.value or self.program.readonly or not self.sends:
            return False
        self._in_thread_worker(lambda: self._adopt(message))
        return True

    def _adopt(self, message: int) -> None:
        draft = self.store.adopt_draft(message)
        self.app.call_from_thread(self.write, draft)

    def action_discard_draft(self) -> None:
        """Throw the draft under the cursor away; undo brings it back."""
        number = -(self.messages.cursor_id or 0)
        if number > 0 and self.store.discard_draft(number):
            self._show_own()
            self.say(_("Draft discarded"), words.OK, "undo")
            self.program.wake()

    @property
    def sends(self) -> bool:
        """Whether there is anything to write for: a mailbox that sends, or none at all yet."""
        return not self.boxes or any(box.capabilities.send for box in self.boxes.values())

    # --- the undo window

    def _sent(self, outgoing: Outgoing) -> None:
        self.sent_last = (outgoing, self.clock())
        self._stop_countdown()
        self.refresh_journal()
        self._count()
        if outgoing.not_before > self.clock():
            self._countdown = self.set_interval(1.0, self._count)
        self.renew()

    def _count(self) -> None:
        """Say how long it can still be brought back."""
        if self.sent_last is None:
            self._stop_countdown()
            return
        outgoing = self.sent_last[0]
        left = outgoing.not_before - self.clock()
        if left > 0 and outgoing.id not in {one.id for one in self.store.outgoing(outgoing_lines.WAITING)}:
            self._forget_sent()  # cancelled in the outbox, or in another way no longer ours to bring back
            return
        if left > self.program.settings.undo_send_seconds + 1:
            when = words.moment(outgoing.not_before)
            self._stop_countdown()
            self.say(_("Will be sent {time}").format(time=when), words.OK, "undo", "go_outbox")
        elif left > 0:
            self.say(_("Sending in {seconds} s").format(seconds=math.ceil(left)), words.BUSY, "unsend")
        else:
            self._stop_countdown()
            offline = "" if self.program.online else " " + _("It will be sent when you are back online.")
            self.say(_("On its way.") + offline, words.OK, "go_outbox")
            self.program.wake()

    def _forget_sent(self) -> None:
        self.sent_last = None
        self._stop_countdown()
        self.notice.say("", "")
        self.refresh_journal()
        self.renew()

    def _stop_countdown(self) -> None:
        if self._countdown is not None:
            self._countdown.stop()
            self._countdown = None

    def action_unsend(self) -> None:
        """Bring back what was sent last."""
        self.action_undo()

    def action_undo(self) -> None:
        """Take the last act back; sending is one."""
        if self.sent_last is None or self._done_since(self.sent_last[1]):
            super().action_undo()
            return
        outgoing = self.sent_last[0]
        self.sent_last = None
        self._stop_countdown()
        draft = self.store.unsend(outgoing.id)
        self.program.drain()
        self.refresh_journal()
        if draft is None:
            self.say(_("Too late: the message is already on its way."), words.WARN, "go_outbox")
            self.renew()
        else:
            self.write(draft, notice=_("Brought back: nothing was sent."))

    action_undo_too = action_undo

    def _done_since(self, moment: float) -> bool:
        act = self.store.turnable(back=True)
        return act is not None and act.created_ms > moment * 1000

    def refresh_journal(self) -> None:
        """Sending can be undone too."""
        super().refresh_journal()
        self.undoable = self.undoable or self.sent_last is not None

    def _from_outbox(self, outgoing: Outgoing | None) -> None:
        """From the outbox back into the composer."""
        if outgoing is None:
            return
        try:
            draft = self.store.to_draft(outgoing.id)
        except CrmMailError as error:
            self.fail(error)
            return
        self.sent_last = None
        self._stop_countdown()
        self.write(draft, notice=_("Brought back: nothing was sent."))

    def _watch(self) -> None:
        """While a large message is uploaded, how far it is, unless something else was said meanwhile."""
        going = self.store.outgoing((SendState.SENDING,))
        if not going and self._watching is not None:
            self._watching.stop()
            self._watching = None
            if self.notice.text == self._progress:
                self.say(_("On its way."), words.OK, "go_outbox")
        elif going and self._watching is None:
            self._watching = self.set_interval(0.5, self._watch)
        uploads = self.program.uploads
        for one in going:
            far = outgoing_lines.progress(uploads.get(one.id))
            if far and (
                not self.notice.text or self.notice.text.startswith((_("On its way."), self._progress or "\0"))
            ):
                self.say(_("Uploading: {progress}").format(progress=far), words.BUSY, "go_outbox")
                self._progress = self.notice.text

    def tell(self, change: Change) -> None:
        """A message that could not be sent is said, not left in the outbox; each once."""
        super().tell(change)
        if not change.outbox:
            return
        self._watch()
        troubled = self.store.outgoing(outgoing_lines.NEEDS_USER)
        fresh = [one for one in troubled if (one.id, one.state) not in self._told]
        self._told = {(one.id, one.state) for one in troubled}
        for one in fresh[-1:]:
            about = (
                _("Not sent: “{subject}”.")
                if one.state is SendState.FAILED
                else _("Unknown whether “{subject}” went out.")
            )
            subject = one.subject or _("(no subject)")
            self.say(f"{about.format(subject=subject)} {one.error}".strip(), words.BAD, "go_outbox")
