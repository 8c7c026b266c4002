"""What the parts of the composer share: the draft, its fields, saving it.

A change is on the disk at most a second later, and before the screen changes. Saves run in a thread, one at a time, for
a slow disk must not hold up a key.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.timer import Timer

from crmmail.errors import CrmMailError, StoreError
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Draft, Identity, Mailbox, Outgoing
from crmmail.tui import words
from crmmail.tui.closing import ClosesOnce
from crmmail.tui.keyboard import Keyboard

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.tui.app import CrmMail
    from crmmail.tui.composer_account import AccountField
    from crmmail.tui.composer_body import Body
    from crmmail.tui.composer_fields import Files, Line, Sender
    from crmmail.tui.panels import NoticeLine
    from crmmail.tui.recipients import Recipients

SAVE_AGAIN_AFTER = 3  # seconds after a save the disk did not take
SAVE_AFTER = 0.6  # seconds from the first unsaved key to the save: with a slow disk still less than a second


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a composer ended. `kept`: there is a draft; `sent`: it waits for its time or its turn."""

    draft: Draft
    kept: bool = False
    sent: Outgoing | None = None
    discarded: bool = False


class Desk:
    """Saves one draft, in whatever thread: never two at a time, never an older state over a newer one."""

    def __init__(self, store: Store, draft: Draft) -> None:
        self.store = store
        self.saved = draft
        self._lock = threading.Lock()
        self._given = itertools.count(1)
        self._newest = 0

    def ticket(self) -> int:
        """A number for what is on the screen now: the higher, the newer."""
        return next(self._given)

    def save(self, wanted: Draft, ticket: int) -> Draft:
        """`wanted` on the disk: as it was saved, with its id. Something newer that is there already stays."""
        with self._lock:
            if ticket < self._newest:
                return self.saved
            self._newest = ticket
            if not self.saved.id:
                self.saved = self.store.new_draft(wanted)
            elif content(wanted) != content(self.saved) or wanted.cursor != self.saved.cursor:
                # The revision `wanted` rests on goes along: the store keeps a file that was attached since.
                self.saved = self.store.save_draft(replace(wanted, id=self.saved.id))
            return self.saved

    def enclose(self, wanted: Draft, ticket: int, path: Path) -> Draft:
        """Attach a file to the draft, saved first. Raises DraftError."""
        self.save(wanted, ticket)
        with self._lock:
            self.saved = self.store.enclose(self.saved.id, clean_line(path.name) or "file", _content_type(path), path)
            return self.saved


def _content_type(path: Path) -> str:
    import mimetypes

    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def content(draft: Draft) -> Draft:
    """What the user wrote of `draft`, without where it stands."""
    return replace(draft, id=0, cursor=0, revision=0, saved_ms=0, remote_id="")


class Composer(ClosesOnce, Keyboard, Screen[Outcome]):
    """The composer as its mixins see it."""

    takes_typing = True
    store: Store
    clock: Callable[[], float]
    draft: Draft  # as opened or saved last
    begun: Draft  # as opened
    desk: Desk
    boxes: dict[str, Mailbox]
    identities: list[Identity]
    sender: Sender
    customer: AccountField
    fields: dict[str, Recipients]
    subject: Line
    body: Body
    files: Files
    notice: NoticeLine
    markdown: bool = False
    busy: bool = False  # it is being sent or a file is being read: no second time
    sending: bool = False  # what is typed now would not be in the message: keys wait
    unsaved: bool = False  # the last save failed
    _save_timer: Timer | None = None

    @property
    def program(self) -> CrmMail:
        """The application, by its own type."""
        from crmmail.tui.app import CrmMail

        assert isinstance(self.app, CrmMail)
        return self.app

    def say(self, sentence: str, tone: str = words.OK, *ids: str) -> None:
        """What happened, and the commands that may follow, each with its key."""
        raise NotImplementedError

    def renew(self) -> None:
        """Title and footer as things stand."""
        raise NotImplementedError

    def show_draft(self, draft: Draft) -> None:
        """Fill the fields."""
        raise NotImplementedError

    def customer_circumstances(self, draft: Draft) -> dict[str, Any]:
        """What the checks need to know of the draft's account."""
        raise NotImplementedError

    def attach_next(self) -> None:
        """Take in the next of the files that wait."""
        raise NotImplementedError

    def written(self) -> Draft:
        """The draft as the screen shows it."""
        chosen = self.sender.identity
        return replace(
            self.draft,
            mailbox=chosen.mailbox if chosen else self.draft.mailbox,
            sender=chosen.address.email if chosen else self.draft.sender,
            to=self.fields["to"].everyone,
            cc=self.fields["cc"].everyone,
            bcc=self.fields["bcc"].everyone,
            subject=self.subject.value,
            text=self.body.text,
            cursor=self.body.place,
            markdown=self.markdown,
            enclosures=tuple(self.files.enclosures),
            account=self.customer.account,
        )

    @property
    def touched(self) -> bool:
        """Whether there is something to keep."""
        return bool(self.desk.saved.id) or content(self.written()) != content(self.begun)

    # --- saving

    def changed(self) -> None:
        """A field is another: it will be on the disk within a second."""
        if self._save_timer is None:
            self._save_timer = self.set_timer(SAVE_AFTER, self.save_soon)

    def save_soon(self) -> None:
        """Save in a thread."""
        self._stop_timer()
        if self.busy:
            self.changed()  # as soon as that is done
            return
        wanted, ticket = self.written(), self.desk.ticket()
        if self.touched:
            self.run_worker(
                lambda: self._save_in_thread(wanted, ticket), thread=True, exit_on_error=False, group="save"
            )

    def _save_in_thread(self, wanted: Draft, ticket: int) -> None:
        try:
            saved = self.desk.save(wanted, ticket)
        except CrmMailError as error:
            self.app.call_from_thread(self._not_saved, error)
        else:
            self.app.call_from_thread(self.was_saved, saved)

    def was_saved(self, saved: Draft) -> None:
        """It is on the disk."""
        self.draft = saved
        if self.unsaved:
            self.unsaved = False
            self.notice.say("", "")
        self.renew()

    def _not_saved(self, error: CrmMailError) -> None:
        """The disk did not take it: say so, and try again by itself, for the user may make room elsewhere."""
        self.unsaved = True
        if self._save_timer is None:
            self._save_timer = self.set_timer(SAVE_AGAIN_AFTER, self.save_soon)
        self.fail(error)
        self.renew()

    def save_now(self) -> Draft:
        """Save before this returns. Raises StoreError when the disk does not take it."""
        self._stop_timer()
        try:
            saved = self.desk.save(self.written(), self.desk.ticket())
        except CrmMailError as error:
            self._not_saved(error)
            raise
        self.was_saved(saved)
        return saved

    def _stop_timer(self) -> None:
        if self._save_timer is not None:
            self._save_timer.stop()
            self._save_timer = None

    def refuse_when_readonly(self) -> None:
        """Raises StoreError where only reading is possible."""
        if self.program.readonly:
            raise StoreError(_("Another crmmail is open on this profile: here you can only read."))

    def in_thread(self, work: Callable[[], None]) -> None:
        """Disk and MIME stay off the loop; what goes wrong becomes a sentence, and the composer goes on."""

        def careful() -> None:
            try:
                work()
            except CrmMailError as error:
                self.app.call_from_thread(self._stopped, error)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                trouble = StoreError(_("That did not work: {reason}").format(reason=reason))
                self.app.call_from_thread(self._stopped, trouble)

        self.busy = True
        self.run_worker(careful, thread=True, exit_on_error=False)

    def _stopped(self, error: CrmMailError) -> None:
        self.busy = self.sending = False
        self.fail(error)


def sendable(boxes: Sequence[Mailbox]) -> list[str]:
    """The mailboxes mail can be sent from."""
    return [box.id for box in boxes if box.capabilities.send]
