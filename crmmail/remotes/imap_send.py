"""An IMAP mailbox's sending half: drafts by APPEND, sending by SMTP, and finding out what became of it.

SMTP gives no handle for "once", so the draft on the server is made one: before the content is said to the SMTP server
the draft is marked as being submitted ($SubmitPending, RFC 5550, and a note of ours where keywords do not stay). A
draft with that mark has perhaps gone out: it is looked for in Sent, and never sent again by itself. What was accepted
is moved from Drafts to Sent, unless the server has filed a copy there; that failing makes nothing unsent.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from crmmail.errors import Offline, Rejected, RemoteError, Transient
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.model import Address, Identity, Outgoing
from crmmail.remotes import TOKEN_HEADER, DraftRef, Progress, SentRef, Where, Whereabouts, imap_text
from crmmail.remotes.imap_index import Index
from crmmail.remotes.imap_line import Line
from crmmail.remotes.imap_round import Layout
from crmmail.remotes.outbound import WHOLE_LIMIT, check_size, headers_of, parted, token_of
from crmmail.remotes.submit import AT_THE_DOOR, Submission

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
PENDING, SUBMITTED = "$SubmitPending", "$Submitted"
UNSENT = "-"  # our note that it has not gone out, whatever the keywords say
ASK_SIZE_ABOVE = 5_000_000  # bytes; smaller ones every server takes


@dataclass(frozen=True, slots=True)
class _Draft:
    """A message in the drafts folder. `state`: '' a draft, else how far its sending got."""

    uid: int
    token: str
    state: str = ""


def noting(
    work: Callable[Concatenate[ImapSending, Given], Answer],
) -> Callable[Concatenate[ImapSending, Given], Answer]:
    """A method that reads or writes the index: it stays open meanwhile, whoever closes the mailbox."""

    @functools.wraps(work)
    def held(self: ImapSending, /, *given: Given.args, **more: Given.kwargs) -> Answer:
        with self._index.used():
            return work(self, *given, **more)

    return held


class ImapSending:
    """Mixed into `Imap`, which has the connection, the index and the folders."""

    mailbox: str
    limit_bytes = WHOLE_LIMIT
    settle_seconds = 0.0
    _line: Line
    _index: Index
    _place: Layout | None
    _layout: Callable[[], Layout]
    _submission: Submission | None
    _address: str
    _sent_copy: str

    def identities(self) -> list[Identity]:
        """The mailbox's own address: IMAP knows of no others."""
        return [Identity(self.mailbox, Address("", self._address), default=True)] if self._address else []

    # Drafts

    @noting
    def save_draft(
        self,
        mime: bytes,
        remote_draft: str = "",
        remote_thread: str = "",
        progress: Progress | None = None,
        *,
        doubtful: bool = False,
    ) -> DraftRef:
        """See `Sender`. A draft that carries the same token is the same content, and is not made again."""
        check_size(mime, self.limit_bytes)
        self._learn_limit(len(mime))
        token = token_of(mime)
        validity = self._drafts()
        found = self._with_token(token) if doubtful else None
        if found is not None:
            self._mark(found, "")
            uid = found.uid
            if progress is not None:
                progress(len(mime), len(mime))
        else:
            uid = self._appended(mime, token, progress)
        old, _version = parted(remote_draft)
        conflict = bool(old) and old != f"{validity}.{uid}" and not self.delete_draft(remote_draft)
        return self._reference(validity, uid, conflict=conflict)

    @noting
    def delete_draft(self, remote_draft: str) -> bool:
        """See `Sender`. Another client's change is another message here, which is left alone."""
        old, _version = parted(remote_draft)
        validity = self._drafts(fresh=True)
        where, _dot, number = old.partition(".")
        if where != str(validity) or not number.isdigit():
            return True
        uid = int(number)
        if uid not in self._line.fetch([uid], "FLAGS"):
            return bool(self._index.note(f"removed {old}")) or not self._replaced(uid)
        self._remove(validity, uid)
        return True

    @noting
    def draft_at(self, remote_id: str) -> DraftRef | None:
        """See `Sender`."""
        validity = self._drafts(fresh=True)
        name = self._drafts_name()
        uids = [spot.uid for spot in self._index.places([remote_id]).get(remote_id, ()) if spot.folder == name]
        seen = self._index.folders().get(name)
        first = seen.next if seen is not None and seen.validity == validity else 1
        for uid in uids or self._line.search("UID", f"{max(first, 1)}:*"):
            told = self._line.fetch([uid], self._everything()).get(uid)
            if told is not None and (uids or imap_text.identity(told) == remote_id):
                return DraftRef(f"{validity}.{uid}", remote_id)
        return None

    def _learn_limit(self, size: int) -> None:
        """What the SMTP server takes at most, asked before anything large is uploaded."""
        submission = self._submission
        if submission is None or submission.size or size <= ASK_SIZE_ABOVE:
            return
        if told := submission.learn():
            self.limit_bytes = min(WHOLE_LIMIT, told)
        check_size(bytes(size), self.limit_bytes)

    def _everything(self) -> str:
        place = self._place or self._layout()
        return place.everything

    def _drafts_name(self) -> str:
        return self._own_folder("drafts", "Drafts")

    def _own_folder(self, key: str, usual: str) -> str:
        """The wire name of a folder with a role; made when there is none."""
        place = self._place or self._layout()
        name = place.name(key)
        if not name:
            place = self._layout()
            name = place.name(key)
        if not name:
            self._line.create(self._line.prefix + usual)
            name = self._layout().name(key) or self._line.prefix + usual
        return name

    def _drafts(self, *, fresh: bool = False) -> int:
        """Go to the drafts folder; its UIDVALIDITY."""
        return self._line.select(self._drafts_name(), fresh=fresh).validity

    def _appended(self, mime: bytes, token: str, progress: Progress | None) -> int:
        validity, uid = self._line.append(self._drafts_name(), mime, r"\Draft \Seen", progress)
        if progress is not None:
            progress(len(mime), len(mime))
        if uid and validity == self._drafts():
            return uid
        found = self._with_token(token)
        if found is None:
            raise Transient(_("The server took the draft and does not show it."), reason="append")
        return found.uid

    def _with_token(self, token: str) -> _Draft | None:
        """The newest draft that carries `token`."""
        if not token:
            return None
        self._drafts()
        uids = self._line.search("UNDELETED", "HEADER", TOKEN_HEADER, imap_text.quoted(token))
        return self._draft(uids[-1]) if uids else None

    def _draft(self, uid: int) -> _Draft | None:
        """What the drafts folder holds under `uid`, None for nothing."""
        self._drafts()
        told = self._line.fetch([uid], f"FLAGS BODY.PEEK[HEADER.FIELDS ({TOKEN_HEADER})]").get(uid)
        if told is None or imap_text.is_deleted(told.marks or ""):
            return None
        token = token_of((told.body or b"") + b"\r\n")
        noted = self._index.note(f"send {token}") if token else ""
        return _Draft(uid, token, "" if noted == UNSENT else noted or told.keywords)

    def _replaced(self, uid: int) -> bool:
        """Whether a draft came after ours, which is gone: then somebody changed it, and did not just remove it."""
        newer = [one for one in self._line.search("UNDELETED", "UID", f"{uid + 1}:*") if one > uid]
        return bool(newer)

    def _remove(self, validity: int, uid: int) -> None:
        """Exactly this one, for good; where that cannot be, it is only marked."""
        self._line.at(self._drafts_name(), validity)
        if self._is_gmail():
            self._discard(uid)
            return
        self._line.store([uid], "+FLAGS", r"\Deleted")
        if self._line.offers("UIDPLUS"):
            self._line.expunge([uid])
        self._index.write(f"removed {validity}.{uid}", "1")
        self._index.settle()

    def _discard(self, uid: int) -> None:
        """Gmail: what is expunged anywhere but in the trash may stay as an archived message."""
        trash = self._own_folder("trash", "Trash")
        moved = self._line.move([uid], trash)
        if moved.uids:
            self._line.at(trash, moved.validity)
            self._line.store(moved.uids.values(), "+FLAGS", r"\Deleted")
            self._line.expunge(moved.uids.values())

    def _reference(self, validity: int, uid: int, *, conflict: bool = False) -> DraftRef:
        self._drafts()
        told = self._line.fetch([uid], self._everything()).get(uid)
        if told is None:
            raise Transient(_("The server took the draft and does not show it."), reason="append")
        return DraftRef(f"{validity}.{uid}", imap_text.identity(told), conflict=conflict)

    def _mark(self, draft: _Draft, state: str) -> None:
        """How far the sending of a draft got: on the server where it keeps keywords, and here."""
        self._index.write(f"send {draft.token}", state or UNSENT)
        self._index.settle()
        self._drafts()
        for keyword in (PENDING, SUBMITTED):
            try:
                self._line.store([draft.uid], "+FLAGS" if keyword == state else "-FLAGS", keyword)
            except Rejected:
                return  # keywords do not stay here; the note does

    # Sending

    @noting
    def send_draft(self, remote_draft: str) -> SentRef:
        """See `Sender`."""
        submission = self._submission
        if submission is None:
            raise Rejected(
                _("No server for sending is set for this mailbox."),
                next_step=_("Name it: smtp_host in the settings, or connect the mailbox again with --smtp-host."),
                reason="no_smtp",
            )
        draft, mime = self._to_send(remote_draft)
        begun = False

        def begins() -> None:
            nonlocal begun
            self._mark(draft, PENDING)
            begun = True
            fault("smtp.marked")

        try:
            submission.send(mime, begins)
        except RemoteError as error:
            if not begun:
                self._index.write(f"send {draft.token}", UNSENT)
                self._index.settle()
            elif not isinstance(error, Offline):
                self._mark(draft, "")  # a clear no: it is a draft again
            raise
        return self._sent(draft, mime)

    def _to_send(self, remote_draft: str) -> tuple[_Draft, bytes]:
        """The draft and its bytes. Raises before anything is said to the SMTP server."""
        old, _version = parted(remote_draft)
        where, _dot, number = old.partition(".")
        validity = self._drafts(fresh=True)
        draft = self._draft(int(number)) if where == str(validity) and number.isdigit() else None
        if draft is None:
            raise Rejected(_("The draft is no longer on the server."), reason="gone", gone=True)
        if draft.state:
            raise Offline(_("It may have been sent already."), reason="submitted")
        raw = self._raw_draft(validity, draft.uid)
        if not raw:
            raise Transient(_("The server does not give the draft back."), status=AT_THE_DOOR, reason="draft")
        return draft, raw

    def _raw_draft(self, validity: int, uid: int) -> bytes:
        raise NotImplementedError

    def _sent(self, draft: _Draft, mime: bytes) -> SentRef:
        """It is accepted: whatever fails from here on, it is sent."""
        fault("smtp.accepted")
        fields = headers_of(mime)
        identity = str(fields.get("Message-ID") or "").strip()
        try:
            self._mark(draft, SUBMITTED)
            fault("smtp.noted")
            self._mark_answered(str(fields.get("In-Reply-To") or "").strip())
            return self._filed(draft, identity)
        except (RemoteError, sqlite3.Error):
            return SentRef(message_id=identity)

    def _mark_answered(self, parent: str) -> None:
        """Other clients show by \\Answered what was replied to; where it lies, if it still does."""
        place = self._place or self._layout()
        for key in ("inbox", "archive") if parent and not place.labels else ():
            if name := place.name(key):
                self._line.select(name, fresh=True)
                uids = self._line.search("UNDELETED", "HEADER", "Message-ID", imap_text.quoted(parent))
                if uids:
                    self._line.store(uids, "+FLAGS", r"\Answered")
                    return

    def _filed(self, draft: _Draft, identity: str) -> SentRef:
        """See to the copy in Sent: the server's own one, or the draft itself."""
        found = None if self._sent_copy == "append" else self._in_sent(identity, draft.token)
        if found is None and self._files_copy():
            name = self._drafts_name()
            sent = self._own_folder("sent", "Sent")
            self._line.select(name)
            self._line.store([draft.uid], "-FLAGS", r"\Draft")
            if self._line.offers("MOVE"):
                self._line.move([draft.uid], sent)
            else:
                self._line.copy([draft.uid], sent)
                self._remove(self._drafts(), draft.uid)
            found = self._in_sent(identity, draft.token)
        elif found is not None or self._sent_copy == "server" or self._is_gmail():
            self._remove(self._drafts(), draft.uid)
        fault("imap.filed")
        self._index.write(f"send {draft.token}", "")
        self._index.settle()
        return found or SentRef(message_id=identity)

    def _files_copy(self) -> bool:
        return self._sent_copy != "server" and not self._is_gmail()

    def _is_gmail(self) -> bool:
        """Gmail files what its SMTP server takes; a second copy would be a second message."""
        return self._line.offers("X-GM-EXT-1")

    def _in_sent(self, identity: str, token: str = "") -> SentRef | None:
        """The copy in Sent of a message: by its Message-ID, or where the server gave it another, by our own field."""
        place = self._place or self._layout()
        name = place.name("sent")
        if not name or not identity:
            return None
        self._line.select(name)
        for field, value in (("Message-ID", identity), (TOKEN_HEADER, token)):
            uids = self._line.search("UNDELETED", "HEADER", field, imap_text.quoted(value)) if value else []
            told = self._line.fetch([uids[-1]], self._everything()).get(uids[-1]) if uids else None
            if told is not None:
                named = str(headers_of((told.body or b"") + b"\r\n").get("Message-ID") or "").strip()
                return SentRef(imap_text.identity(told), named or identity, seen=True)
        return None

    @noting
    def look(self, outgoing: Outgoing) -> Whereabouts:
        """See `Sender`. A marked draft that is not in Sent is nowhere: nobody knows whether it went."""
        found = self._in_sent(outgoing.sent_message_id or outgoing.message_id, outgoing.token)
        draft = self._with_token(outgoing.token)
        if draft is None and outgoing.remote_draft:
            where, _dot, number = parted(outgoing.remote_draft)[0].partition(".")
            same = where == str(self._drafts()) and number.isdigit()
            draft = self._draft(int(number)) if same else None
        if found is not None:
            if draft is not None and draft.token == outgoing.token:
                self._remove(self._drafts(), draft.uid)
            return Whereabouts(Where.SENT, sent=found)
        if draft is None:
            return Whereabouts(Where.NOWHERE)
        if draft.state == SUBMITTED:
            return Whereabouts(Where.SENT, sent=self._filed(draft, outgoing.message_id))
        if draft.state == PENDING:
            return Whereabouts(Where.NOWHERE)
        reference = self._reference(self._drafts(), draft.uid)
        return Whereabouts(Where.DRAFT, reference, ready=draft.token == outgoing.token)
