"""Any mailbox by IMAP (RFC 9051 and, where offered, CONDSTORE, QRESYNC, MOVE, UIDPLUS, LIST-STATUS; Gmail's own)."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from crmmail.errors import CursorExpired, Rejected
from crmmail.i18n import _
from crmmail.model import Ack, Capabilities, Incoming, Page, Wish
from crmmail.remotes import Known, imap_roles
from crmmail.remotes.dial import Server
from crmmail.remotes.imap_idle import Bell
from crmmail.remotes.imap_index import Index, Spot
from crmmail.remotes.imap_line import Line
from crmmail.remotes.imap_round import Layout, Round, layout
from crmmail.remotes.imap_send import ImapSending
from crmmail.remotes.imap_wishes import Wishes
from crmmail.remotes.submit import Submission

if TYPE_CHECKING:
    from crmmail.auth.password import Login

PLAIN = Capabilities(labels=False, favorites=True, archive=True, trash=True, delete_forever=True, send=True)
GMAIL = replace(PLAIN, labels=True)
PIECE_BYTES = 1 << 20  # of a large message, in one answer
AT_ONCE_BYTES = 4 << 20  # of small messages, in one answer
LARGEST_BYTES = 150 << 20  # a message beyond is not downloaded


class Imap(ImapSending):
    """A mailbox on an IMAP server. `labels`: use Gmail's labels where the server has them.

    `index`: the file that remembers where each message lies; without one it is read again at every start.
    """

    def __init__(
        self,
        mailbox: str,
        *,
        login: Login,
        server: Server,
        index: Path | None = None,
        smtp: Server | None = None,
        address: str = "",
        sent_copy: str = "auto",
        labels: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`smtp` None: a mailbox that only reads. `sent_copy` as in the settings; `address`: whom mail is sent from."""
        self.mailbox = mailbox
        self.capabilities = GMAIL if labels else PLAIN
        self._line = Line(server, login)
        self._login = login
        self._bell: Bell | None = None
        self._index = Index(index)
        self._labels = labels
        self._clock = clock
        self._place: Layout | None = None
        self._submission = Submission(smtp, login) if smtp else None
        self._address = address
        self._sent_copy = sent_copy

    def close(self) -> None:
        """End all connections."""
        if self._bell is not None:
            self._bell.stop()
        self._line.close()
        self._index.close()

    def listen(self, news: Callable[[], None]) -> None:
        """See `Listener`: a connection of its own that stays in IDLE, where the server has that."""
        if self._bell is None:
            self._bell = Bell(self.mailbox, self._line.server, self._login, news)
            self._bell.start()

    def changes(self, cursor: str, known: Known) -> Iterator[Page]:
        """Everything since `cursor`: '' reads all, newest first, headers before bodies."""
        with self._index.guarded():
            yield from self._changes(cursor, known)

    def _changes(self, cursor: str, known: Known) -> Iterator[Page]:
        self._index.forget()
        epoch = self._epoch(cursor)
        told = json.dumps({"imap": epoch})
        try:
            place = self._layout()
            reading = Round(self._line, self._index, place, known, self.mailbox, self._clock)
            first = True
            for page in reading.pages():
                if page.complete:
                    place = self._layout() if reading.changed else place
                folders = self._folders(place) if page.complete or first else None
                yield replace(page, cursor=told, folders=folders)
                first = False
        finally:
            self._index.forget()

    def _epoch(self, cursor: str) -> str:
        """Which reading the cursor belongs to; a new one for ''."""
        if not cursor:
            epoch = secrets.token_hex(8)
            self._index.reset(epoch)
            self._index.write("sweep", "1")
            self._index.settle()
            return epoch
        try:
            epoch = str(json.loads(cursor)["imap"])
        except (ValueError, KeyError, TypeError):
            raise CursorExpired(_("The note of where we stopped reading is damaged.")) from None
        if epoch != self._index.note("epoch"):
            raise CursorExpired(_("The note of where we stopped reading is damaged."))
        return epoch

    def _layout(self) -> Layout:
        self._place = layout(self._line, self._labels)
        return self._place

    def _folders(self, place: Layout) -> tuple:  # type: ignore[type-arg]
        counts = {}
        for one in place.folders:
            _count, deleted, _unread = self._index.counts(one.name)
            messages = max(0, one.status.get("MESSAGES", 0) - deleted)
            counts[one.name] = (messages, min(one.status.get("UNSEEN", 0), messages))
        return imap_roles.folders_of(place.folders, dict(place.roles), counts, self.mailbox)

    # Bodies

    def bodies(self, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        """The raw messages of these ids, folder by folder; what is gone is left out."""
        with self._index.guarded():
            yield from self._all_bodies(remote_ids)

    def _all_bodies(self, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        self._index.settle()
        places = self._index.places(remote_ids)
        spots = [places[one][0] for one in remote_ids if one in places]
        for folder in dict.fromkeys(spot.folder for spot in spots):
            mine = [spot for spot in spots if spot.folder == folder]
            try:
                yield from self._bodies(folder, mine)
            except Rejected as error:
                if error.reason not in ("nonexistent", "cannot"):
                    raise

    def _bodies(self, folder: str, spots: Sequence[Spot]) -> Iterator[Incoming]:
        seen = self._index.folders().get(folder)
        if seen is None:
            return
        self._line.at(folder, seen.validity)
        items = "RFC822.SIZE X-GM-THRID" if self._place is not None and self._place.labels else "RFC822.SIZE"
        told = self._line.fetch([spot.uid for spot in spots], items)
        sizes = {uid: one.size for uid, one in told.items()}
        threads = {spot.id: told[spot.uid].gmail_thread for spot in spots if spot.uid in told}
        for incoming in self._raws(folder, seen.validity, spots, sizes):
            thread = threads.get(incoming.remote_id, 0)
            yield replace(incoming, remote_thread=format(thread, "x")) if thread else incoming

    def _raws(self, folder: str, validity: int, spots: Sequence[Spot], sizes: Mapping[int, int]) -> Iterator[Incoming]:
        """Small messages several at a time, large ones by themselves."""
        small: list[Spot] = []
        held = 0
        for spot in spots:
            size = sizes.get(spot.uid, -1)
            if 0 <= size <= PIECE_BYTES:
                if small and held + size > AT_ONCE_BYTES:
                    yield from self._whole(folder, validity, small, held)
                    small, held = [], 0
                small.append(spot)
                held += size
        yield from self._whole(folder, validity, small, held)
        for spot in spots:
            if PIECE_BYTES < sizes.get(spot.uid, -1) <= LARGEST_BYTES:
                raw = self._in_pieces(folder, validity, spot.uid)
                if raw:
                    yield Incoming(spot.id, None, 0, raw=raw, size=len(raw))

    def _whole(self, folder: str, validity: int, spots: Sequence[Spot], size: int) -> Iterator[Incoming]:
        if not spots:
            return
        self._line.at(folder, validity)
        told = self._line.fetch([spot.uid for spot in spots], "BODY.PEEK[]", expecting=2 * size + (1 << 20))
        for spot in spots:
            one = told.get(spot.uid)
            if one is not None and one.body:
                yield Incoming(spot.id, None, 0, raw=one.body, size=len(one.body))

    def _in_pieces(self, folder: str, validity: int, uid: int) -> bytes:
        """A large message piece by piece, so that no single answer takes for ever; b'' when it went meanwhile."""
        raw = bytearray()
        while len(raw) < LARGEST_BYTES:
            self._line.at(folder, validity)
            told = self._line.fetch([uid], f"BODY.PEEK[]<{len(raw)}.{PIECE_BYTES}>").get(uid)
            piece = told.body if told is not None else None
            if piece is None:
                return b""
            raw += piece
            if len(piece) < PIECE_BYTES:
                break
        return bytes(raw)

    def _raw_draft(self, validity: int, uid: int) -> bytes:
        return self._in_pieces(self._drafts_name(), validity, uid)

    # The user's wishes

    def apply(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        """Make the wishes true, folder by folder, in as few commands as possible."""
        with self._index.guarded():
            self._index.settle()
            try:
                place = self._place or self._layout()
                yield from Wishes(self._line, self._index, place, self._layout).apply(wishes)
            finally:
                self._index.forget()
