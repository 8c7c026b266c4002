"""From the composer to the outbox: the checks, the message built in a thread, the queue with its undo window."""

from __future__ import annotations

import uuid
from dataclasses import replace

from crmmail.crm import dropbox
from crmmail.errors import DraftError
from crmmail.i18n import _
from crmmail.mail import checks
from crmmail.mail.checks import Circumstances, Finding
from crmmail.model import Draft, Headers, Identity, Outgoing, Query, Role
from crmmail.tui import words
from crmmail.tui.composer_base import Composer, Outcome

LOOKED_AT = 50  # messages of a search for whom one wrote to last


class Sending(Composer):
    """Commands that send."""

    def action_compose_send(self) -> None:
        """Send it, after the checks; it can be taken back for some seconds."""
        self._send(self.clock() + max(0, self.program.settings.undo_send_seconds))

    def action_compose_later(self) -> None:
        """Choose a time first."""
        from crmmail.tui.composer_dialogs import SendLater

        self.app.push_screen(SendLater(self.clock()), self._at)

    def _at(self, then: float | None) -> None:
        if then is not None:
            self.guarded(lambda: self._send(then))

    def _send(self, not_before: float) -> None:
        if self.busy:
            self.notice.say(_("One moment: still working on it."), words.QUIET)
            return
        self.refuse_when_readonly()
        for field in self.fields.values():
            field.finish()
        identity = self.sender.identity
        if identity is None:
            self.save_now()
            self.say(self.sender.missing, words.WARN)
            return
        wanted, ticket = self.written(), self.desk.ticket()
        self._stop_timer()
        self.sending = True
        self.say(_("Checking…"), words.QUIET)
        self.in_thread(lambda: self._look(wanted, ticket, identity, not_before))

    def _look(self, wanted: Draft, ticket: int, identity: Identity, not_before: float) -> None:
        """In a thread: what was written is kept, then checked."""
        saved = self.desk.save(wanted, ticket)
        findings = checks.check(saved, self.circumstances(saved, identity))
        self.app.call_from_thread(self._looked, saved, identity, not_before, findings)

    def circumstances(self, draft: Draft, identity: Identity) -> Circumstances:
        """What the checks need to know of the world."""
        from crmmail.mail.compose import estimated_size

        parent = self.store.message(draft.parent) if draft.parent else None
        box = self.boxes.get(identity.mailbox)
        return Circumstances(
            identity=identity,
            own=tuple(one.address.email for one in self.identities),
            parent=parent.headers if parent else None,
            last_sender=self._last_sender(draft, parent.headers if parent else None),
            size=estimated_size(draft),
            limit=checks.LIMITS.get(box.provider, 0) if box else 0,
            **self.customer_circumstances(draft),
        )

    def _last_sender(self, draft: Draft, parent: Headers | None) -> str:
        """Our address this conversation was last written from, else the one the first recipient last heard from."""
        own = {one.address.email.casefold() for one in self.identities}
        if parent is not None and draft.parent:
            for row in reversed(self.store.thread(draft.parent)):
                if row.sender_email.casefold() in own:
                    return row.sender_email
        first = next((person.email for person in draft.to if person.email), "")
        if not first:
            return ""
        for mailbox in self.boxes:
            query = Query(mailbox, Role.SENT.value, text=f"to:{first}")
            for number in self.store.ids(query, 0, 1):
                found = self.store.message(number)
                if found and found.headers.sender.email.casefold() in own:
                    return found.headers.sender.email
        return ""

    def _looked(self, saved: Draft, identity: Identity, not_before: float, findings: tuple[Finding, ...]) -> None:
        from crmmail.tui.composer_dialogs import Checks

        self.busy = self.sending = False
        self.was_saved(saved)
        if not findings:
            self._queue(saved, identity, not_before)
            return
        self.say("", "")

        def decided(sure: bool | None) -> None:
            if sure:
                # The time to think does not count: the window begins now.
                self._queue(saved, identity, max(not_before, self.clock() + self.program.settings.undo_send_seconds))
            else:
                self.go_to(findings[0].fields)

        self.app.push_screen(Checks(findings), decided)

    def go_to(self, fields: tuple[str, ...]) -> None:
        """The cursor where the first finding is."""
        name = next(iter(fields), "text")
        if name in self.fields:
            self.fields[name].parent.display = True  # type: ignore[union-attr]
            self.fields[name].focus()
        else:
            {"sender": self.sender, "subject": self.subject, "enclosures": self.files}.get(name, self.body).focus()

    def _queue(self, saved: Draft, identity: Identity, not_before: float) -> None:
        self.sending = True
        self.in_thread(lambda: self._build(saved, identity, not_before))

    def _build(self, saved: Draft, identity: Identity, not_before: float) -> None:
        """In a thread: the bytes, then one transaction that takes the draft out of the lists."""
        from crmmail.mail import compose

        token = uuid.uuid4().hex
        message_id = compose.new_message_id(identity.address.email, token)
        # The server's conversation exists in one mailbox only: an answer from another starts its own there.
        thread = saved.remote_thread if identity.mailbox == saved.mailbox else ""
        if saved.parent:
            thread = self.store.remote_thread(saved.parent, identity.mailbox)
        saved = replace(saved, mailbox=identity.mailbox, sender=identity.address.email, remote_thread=thread)
        if not saved.mailbox:
            raise DraftError(_("No mailbox is connected to send from."))
        if self.store.takes_copy(saved):
            saved = dropbox.copied(saved, self.program.settings.crm.address)
        mime = compose.build(
            saved,
            identity,
            self.store.enclosure,
            message_id=message_id,
            token=token,
            now=self.clock(),
            keep_bcc=True,
        )
        queued = self.store.queue(saved, mime, message_id, token, not_before)
        self.app.call_from_thread(self._queued, saved, queued)

    def _queued(self, saved: Draft, queued: Outgoing) -> None:
        self.busy = False
        self.dismiss(Outcome(saved, sent=queued))
