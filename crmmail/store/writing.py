"""The store's door for what the user writes: drafts, the outbox, identities, people. `Store` inherits it."""

from __future__ import annotations

import abc
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from crmmail.errors import StoreError
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.model import Act, Address, Change, Draft, Identity, Outgoing, Role, Row, SendState
from crmmail.store import blobs, completion, directory, drafts, identities, outgoing, rematch, remote_drafts, window
from crmmail.store.connections import Connections
from crmmail.store.drafts import Kept
from crmmail.store.outgoing import Entry
from crmmail.store.remote_drafts import Attempt, Followed, Standing

T = TypeVar("T")


class Writing(abc.ABC):
    """Every method is safe from any thread; what writes is on the disk when it returns."""

    _clock: Callable[[], float]
    _connections: Connections

    @abc.abstractmethod
    def _now_ms(self) -> int: ...

    @abc.abstractmethod
    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T: ...

    @abc.abstractmethod
    def _commit(self, work: Callable[[sqlite3.Connection], T]) -> T: ...

    @abc.abstractmethod
    def _writing(self) -> AbstractContextManager[None]: ...

    @abc.abstractmethod
    def _gather(self, change: Change) -> None: ...

    def _as_ourselves(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A transaction; when it changed who we are, all mail is looked at again in the background."""
        answer, changed = self._commit(
            lambda connection: rematch.minding_ourselves(connection, lambda: work(connection))
        )
        self._gather(Change(crm=changed))
        return answer

    # drafts

    def new_draft(self, draft: Draft) -> Draft:
        """Begin a draft: the same with its id."""
        return self._draft_deed(lambda connection: drafts.insert(connection, draft, self._now_ms()))

    def save_draft(self, draft: Draft) -> Draft:
        """The next revision of a draft. The answer has another id when it was queued meanwhile: a draft of its own.

        A file attached since `draft.revision` stays attached; where the server keeps it is never changed by this.
        """
        return self._draft_deed(lambda connection: drafts.save(connection, draft, self._now_ms()))

    def _draft_deed(self, work: Callable[[sqlite3.Connection], Draft]) -> Draft:
        with self._writing():
            draft = self._commit(work)
            fault("store.draft")
            self._gather(_drafts_changed(draft.mailbox))
        return draft

    def draft(self, number: int) -> Draft | None:
        """An open draft; None when it was queued or discarded, or never was."""
        return self._read(lambda connection: _noun(drafts.row(connection, number, drafts.OPEN)))

    def drafts(self, mailbox: str = "") -> list[Draft]:
        """The open drafts of a mailbox ('': of all, and those of none), newest saved first."""
        where = "state = 'open' AND (mailbox = ? OR ? = '')"
        return self._read(lambda connection: [one.draft for one in drafts.rows(connection, where, (mailbox, mailbox))])

    def drafted(self, mailbox: str = "") -> dict[int, int]:
        """Message of a Drafts folder → our open draft that it is the server's copy of: one line for both."""
        return self._read(lambda connection: remote_drafts.listed(connection, mailbox))

    def discard_draft(self, number: int) -> Act | None:
        """Take a draft out of the lists; undo brings the whole of it back. None when it was not open."""
        return self._draft_act(lambda connection: drafts.discard(connection, number, self._now_ms()))

    def clear_draft(self, number: int) -> Act | None:
        """Empty a draft's fields (not its sender); undo fills them again. None when it was not open."""
        return self._draft_act(lambda connection: drafts.clear(connection, number, self._now_ms()))

    def _draft_act(self, work: Callable[[sqlite3.Connection], tuple[Act, str] | None]) -> Act | None:
        with self._writing():
            done = self._commit(work)
            fault("store.draft")
            if done is None:
                return None
            self._gather(_drafts_changed(done[1]))
        return done[0]

    def draft_of(self, act: int) -> int | None:
        """The draft an act of kind `discard` or `clear` is about."""
        found = self._read(lambda connection: drafts.of_act(connection, act))
        return found[0] if found else None

    def _tell_turned(self, act: Act) -> None:
        """After undo or redo: the list of drafts differs."""
        if act.kind in drafts.KINDS:
            found = self._read(lambda connection: drafts.of_act(connection, act.id))
            self._gather(_drafts_changed(found[1] if found else ""))

    def enclose(self, number: int, name: str, content_type: str, content: bytes | Path) -> Draft:
        """Attach bytes or a file to an open draft. DraftError, the draft untouched, when it cannot be read whole.

        Slow for large files (reading, compressing, the disk): call it off the event loop.
        """
        blob = blobs.make(blobs.read(content) if isinstance(content, Path) else content)
        answer = self._draft_deed(
            lambda connection: drafts.enclose(connection, number, name, content_type, blob, self._now_ms())
        )
        self._connections.tidy()
        return answer

    def enclosure(self, digest: str) -> bytes:
        """The bytes of an attached file. Raises StoreError when the disk has changed or lost them."""
        return blobs.unpack(digest, self._read(lambda connection: blobs.row(connection, digest)))

    # drafts on the server

    def adopt_draft(self, message: int) -> Draft:
        """Go on writing a message of the server's Drafts folder. Raises StoreError when it is not downloaded.

        Where ours and the server's have both changed since they were one, both are kept.
        """
        row, raw, ours = self._read(lambda connection: _drafted(connection, message))
        if raw is None or row is None:
            if ours is not None:
                return ours
            raise StoreError(
                _("This draft has not been downloaded yet."), next_step=_("Wait a moment, then open it again.")
            )
        own = [one.address.email for one in self.identities(row.mailbox)]
        fresh, files = remote_drafts.from_message(row.mailbox, raw, own)
        digest, before = remote_drafts.digest_of(raw), self.drafts_parted()
        draft = self._draft_deed(
            lambda connection: remote_drafts.adopt(connection, row.remote_id, fresh, files, digest, self._now_ms())
        )
        with self._writing():
            self._gather(Change(parted=self.drafts_parted() - before))
        return draft

    def drafts_to_push(self, mailbox: str) -> list[Standing]:
        """What the server's Drafts folder must still hear of: drafts it lacks, discarded ones it still has."""
        return self._read(lambda connection: remote_drafts.standings(connection, mailbox))

    def note_draft_attempt(self, number: int, attempt: Attempt | None) -> None:
        """A draft is about to be saved on the server (None: that try left nothing behind)."""
        with self._writing():
            self._commit(lambda connection: remote_drafts.note_attempt(connection, number, attempt))

    def note_draft(
        self,
        number: int,
        pushed: int,
        *,
        remote_draft: str = "",
        remote_message: str = "",
        digest: str = "",
        parted: bool = False,
    ) -> None:
        """The server has revision `pushed` under these names ('' when it was removed there).

        `parted`: another client has changed it too, and both stay.
        """
        names = {"draft": remote_draft, "message": remote_message, "digest": digest}
        with self._writing():
            self._commit(lambda connection: remote_drafts.note(connection, number, pushed, parted=parted, **names))
            found = self._read(lambda connection: drafts.row(connection, number, *drafts.STATES))
            self._gather(_drafts_changed(found.mailbox if found else ""))
            self._gather(Change(parted=frozenset({number}) if parted else frozenset()))

    def drafts_parted(self) -> frozenset[int]:
        """The open drafts another client has changed too, until they are opened; its version stands beside them."""
        return self._read(remote_drafts.parted)

    def draft_opened(self, draft: Draft) -> bool:
        """The user goes on with a draft. Whether another client has changed it too and that has not been said yet."""
        if draft.id not in self.drafts_parted():
            return False
        with self._writing():
            self._commit(lambda connection: connection.execute("UPDATE draft SET parted = 0 WHERE id = ?", (draft.id,)))
            self._gather(_drafts_changed(draft.mailbox))
        return True

    def drafts_followed(self, mailbox: str) -> list[Followed]:
        """The drafts nothing was typed in since the server got them, and where their copies are in the local copy."""
        return self._read(lambda connection: remote_drafts.followed(connection, mailbox))

    def note_draft_digest(self, number: int, remote_message: str, raw: bytes) -> None:
        """What the server's copy of a draft says, heard for the first time."""
        digest = remote_drafts.digest_of(raw)
        with self._writing():
            self._commit(lambda connection: remote_drafts.note_digest(connection, number, remote_message, digest))

    def draft_went_elsewhere(self, draft: Draft) -> bool:
        """The server's copy was removed, sent or changed by another client: that is what counts now. False when it was
        typed in here meanwhile: then it stays. What is saved into it later is kept as a draft of its own.
        """
        with self._writing():
            done = self._commit(lambda connection: remote_drafts.step_aside(connection, draft.id, draft.revision))
            self._gather(_drafts_changed(draft.mailbox))
        return done

    # the outbox

    def queue(self, draft: Draft, mime: bytes, message_id: str, token: str, not_before: float = 0.0) -> Outgoing:
        """Queue `mime`, held until `not_before` (seconds since the epoch). The draft leaves the lists.

        One transaction. DraftError when the draft was queued or discarded meanwhile: nothing is queued twice.
        """
        blob = blobs.make(mime)
        now = self._clock()
        queued = self._outgoing_deed(
            lambda connection: outgoing.queue(connection, draft, blob, message_id, token, not_before, now)
        )
        fault("store.queued")
        return queued

    def _outgoing_deed(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._writing():
            answer = self._commit(work)
            self._gather(Change(outbox=True))
            if isinstance(answer, Draft | Outgoing):
                self._gather(_drafts_changed(answer.mailbox))
        return answer

    def unsend(self, number: int) -> Draft | None:
        """Inside the window: the whole draft, open again. None: too late (`to_draft` takes back what nobody sends)."""
        now = self._clock()
        return self._outgoing_deed(lambda connection: outgoing.unsend(connection, number, now))

    def outgoing(self, states: Iterable[SendState] | None = None) -> list[Outgoing]:
        """What is in these states (all), oldest first."""
        wanted = None if states is None else list(states)
        return self._read(lambda connection: outgoing.listed(connection, wanted))

    def outgoing_counts(self) -> dict[SendState, int]:
        """How many messages are in each state that has any."""
        return self._read(outgoing.counts)

    def mime(self, number: int) -> bytes:
        """The message exactly as it was queued. Raises StoreError when it is gone or was altered."""
        digest, found = self._read(lambda connection: _mime_row(connection, number))
        return blobs.unpack(digest, found)

    def claim_outgoing(self, mailbox: str, now: float) -> Outgoing | None:
        """Take the oldest message that is due: SENDING, its attempt counted, on the disk. None: nothing is due.

        One whose row or bytes are not what was queued becomes FAILED and is passed over.
        """
        while (found := self._read(lambda connection: outgoing.due(connection, mailbox, now))) is not None:
            claimed = self._take(found[0], found[1], now)
            fault("store.claimed")
            if claimed is not None:
                return claimed
        return None

    def _take(self, entry: Entry, row: tuple[int, bytes] | None, now: float) -> Outgoing | None:
        """Claim one message; its bytes were read and are proved outside of the write lock."""
        number = entry.outgoing.id
        if self._is_whole(entry, row):
            return self._outgoing_deed(lambda connection: outgoing.take(connection, number, now))
        self._outgoing_deed(lambda connection: outgoing.refuse(connection, number, now))
        return None

    def _is_whole(self, entry: Entry, row: tuple[int, bytes] | None) -> bool:
        try:
            blobs.unpack(entry.outgoing.digest, row)
        except StoreError:
            return False
        return entry.intact

    def note_outgoing(self, number: int, **changes: Any) -> Outgoing:
        """Write down what became of a message: `state`, `remote_draft`, `remote_id`, `sent_message_id`,
        `remote_thread`, `error`, `not_before`. Raises StoreError for a state that cannot follow the present one.
        """
        now = self._clock()
        noted = self._outgoing_deed(lambda connection: outgoing.note(connection, number, now, changes))
        fault("store.noted")
        return noted

    def release_outgoing(self, mailbox: str) -> int:
        """Nothing of this mailbox is on its way any more: what was, is UNKNOWN and must be looked for. How many."""
        now = self._clock()
        return self._outgoing_deed(lambda connection: outgoing.release(connection, mailbox, now))

    def resend(self, number: int) -> Outgoing:
        """The user's answer for a failed or unknown message: queue it again."""
        now = self._clock()
        return self._outgoing_deed(lambda connection: outgoing.resend(connection, number, now))

    def mark_sent(self, number: int) -> Outgoing:
        """The user's answer for a failed or unknown message: it went out."""
        now = self._clock()
        return self._outgoing_deed(lambda connection: outgoing.mark_sent(connection, number, now))

    def to_draft(self, number: int) -> Draft:
        """Give up sending what waits, failed or is unknown: the whole draft, open again."""
        now = self._clock()
        return self._outgoing_deed(lambda connection: outgoing.to_draft(connection, number, now))

    # people

    def complete(self, text: str, limit: int = 8, beside: Sequence[str] = (), account: str = "") -> list[Address]:
        """Whom `text` may be the beginning of (of a word of the name, the address, the domain; or the initials).

        `beside`: the addresses the message goes to already; `account`: whom it is for, whose people come first.
        """

        def found(connection: sqlite3.Connection) -> list[Address]:
            own = directory.people(connection, account) if account else []
            return completion.complete(connection, text, limit, self._now_ms(), beside, own)

        return self._read(found)

    def likeliest(self, people: Sequence[Address]) -> list[Address]:
        """These people, whom one is likeliest to write to first; as they came where nothing is known."""
        return self._read(lambda connection: completion.likeliest(connection, people, self._now_ms()))

    def forget_completion(self, email: str) -> None:
        """Name this person no more, until the user writes to them again."""
        with self._writing():
            self._commit(lambda connection: completion.forget(connection, email, self._now_ms()))

    # identities

    def identities(self, mailbox: str = "") -> list[Identity]:
        """The addresses to send from, of one mailbox or all; a mailbox's own while the server has told none."""
        return self._read(lambda connection: identities.known(connection, mailbox))

    def use_identities(self, mailbox: str, own: Sequence[Identity]) -> None:
        """What the user set for a mailbox: name and signature of its own address first, then further addresses."""
        kept = list(own)
        with self._writing():
            if self._as_ourselves(lambda connection: identities.keep_own(connection, mailbox, kept)):
                self._gather(Change(mailboxes=frozenset({mailbox})))

    def set_identities(self, mailbox: str, told: Iterable[Identity]) -> None:
        """Take over a mailbox's identities."""
        kept = list(told)
        with self._writing():
            self._as_ourselves(lambda connection: identities.keep(connection, mailbox, kept))
            self._gather(Change(mailboxes=frozenset({mailbox})))


def _drafted(connection: sqlite3.Connection, message: int) -> tuple[Row | None, bytes | None, Draft | None]:
    """A message of a Drafts folder, its bytes, and the draft of ours it is the copy of."""
    row = next(iter(window.of_ids(connection, [message])), None)
    if row is None:
        return None, None, None
    return row, window.raw(connection, message), remote_drafts.ours(connection, row.mailbox, row.remote_id)


def _noun(kept: Kept | None) -> Draft | None:
    return kept.draft if kept else None


def _mime_row(connection: sqlite3.Connection, number: int) -> tuple[str, tuple[int, bytes] | None]:
    digest = outgoing.entry(connection, number).outgoing.digest
    return digest, blobs.row(connection, digest)


def _drafts_changed(mailbox: str) -> Change:
    """The Drafts list of a mailbox (and of all of them) differs."""
    return Change(folders=frozenset({(mailbox, Role.DRAFTS.value), ("", Role.DRAFTS.value)}))
