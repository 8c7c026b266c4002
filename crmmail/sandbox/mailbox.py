"""The truth of one mailbox on the server: messages, places, and everything that happened to them in order.

One class serves both providers. A Gmail mailbox keeps a message in any number of labels (UNREAD and STARRED among
them); an Outlook mailbox keeps it in exactly one folder, with UNREAD as a label of its own that never shows. Raw
messages are bytes, or a callable that yields them, and are not read before somebody asks.

Every change takes the next number of `sequence` and leaves an `Event`: Gmail's history ids and Graph's delta tokens
are such numbers. `add` is for mail that was there before the story begins and leaves no event; `deliver` leaves one.
"""

from __future__ import annotations

import bisect
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from crmmail.sandbox import ids
from crmmail.sandbox.conversations import Conversations
from crmmail.sandbox.fields import header
from crmmail.sandbox.stored import (
    DRAFT,
    GMAIL_ROLES,
    GMAIL_SYSTEM,
    OUTLOOK_FOLDERS,
    OUTLOOK_HIDDEN,
    STARRED,
    UNREAD,
    Event,
    Message,
    Missing,
    Note,
    Place,
    Raw,
    Refused,
    tally,
)

__all__ = ["DRAFT", "STARRED", "UNREAD", "Event", "Mailbox", "Message", "Missing", "Place", "Refused", "header"]


class Mailbox:
    """Everything a provider keeps for one user. Every method is safe from any thread."""

    def __init__(
        self,
        address: str,
        provider: str = "gmail",
        *,
        name: str = "",
        clock: Callable[[], float] = time.time,
        note: Note | None = None,
        refusal: Callable[[str], str | None] = lambda _id: None,
    ) -> None:
        self.address = address
        self.provider = provider
        self.name = name or address.partition("@")[0].title()
        self.clock = clock
        self.note: Note = note or (lambda *_args, **_detail: None)
        self.refusal = refusal
        self.lock = threading.RLock()
        self.messages: dict[int, Message] = {}
        self.order: list[int] = []  # keys, oldest first
        self.events: list[Event] = []
        self.removed_places: list[Place] = []
        self.sequence = 1000
        self.oldest_sequence = 1000  # cursors before it have expired
        self.places: dict[str, Place] = {}
        self.aliases: list[dict[str, Any]] = []
        self.uploads: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self.conversations = Conversations(self.messages)
        self._counts: tuple[int, dict[str, list[int]]] = (-1, {})
        self._furnish()

    def _furnish(self) -> None:
        if self.gmail:
            for label in GMAIL_SYSTEM:
                self.places[label] = Place(
                    label, label, next((r for r, p in GMAIL_ROLES.items() if p == label), ""), True
                )
            return
        root = self.new_place("Top of Information Store", well_known="msgfolderroot", system=True)
        for known, name, role in OUTLOOK_FOLDERS:
            hidden = known in OUTLOOK_HIDDEN
            self.new_place(name, role=role, well_known=known, system=True, parent=root.id, hidden=hidden)

    @property
    def gmail(self) -> bool:
        """Whether this is a Gmail mailbox (labels), not an Outlook one (folders)."""
        return self.provider == "gmail"

    # ---- names -------------------------------------------------------------------------------------------------

    def id_of(self, key: int, *, immutable: bool = True) -> str:
        """The id the API shows: lower-case hex (Gmail), or opaque (Graph; changes on moves unless immutable)."""
        if self.gmail:
            return format(key, "x")
        return self.old_id(key, ids.IMMUTABLE if immutable else self.messages[key].generation)

    def old_id(self, key: int, generation: int) -> str:
        """Graph's id of a message, gone or not, after `generation` moves (`ids.IMMUTABLE`: the stable one)."""
        return ids.of_message(self.address, key, generation)

    def key_of(self, item: str) -> int:
        """The key behind an API id. Raises Missing for ids of nothing, of another user, or from before a move."""
        try:
            key, generation = (ids.read_hex(item), ids.IMMUTABLE) if self.gmail else ids.read(self.address, item)
        except ValueError:
            raise Missing(item) from None
        message = self.messages.get(key)
        if message is None or generation not in (ids.IMMUTABLE, message.generation):
            raise Missing(item)
        return key

    def new_place(self, name: str, *, role: str = "", well_known: str = "", system: bool = False, **more: Any) -> Place:
        """A new label or folder, with an id of its own."""
        with self.lock:
            number = next(self._numbers)
            identity = f"Label_{number}" if self.gmail else ids.of_folder(self.address, number)
            place = Place(identity, name, role, system, well_known, sequence=self._next(), **more)
            self.places[identity] = place
            return place

    def place(self, name: str) -> Place:
        """The label or folder with this id, role or well-known name. Raises Missing."""
        if found := self.places.get(name):
            return found
        for candidate in self.places.values():
            if name and name in (candidate.role, candidate.well_known):
                return candidate
        raise Missing(name)

    def role_place(self, role: str) -> str:
        """The id of the label or folder for `role`; '' for Gmail's archive, which is no place at all."""
        return "" if self.gmail and role == "archive" else self.place(role).id

    # ---- putting mail in ---------------------------------------------------------------------------------------

    def add(
        self,
        raw: Raw,
        *,
        folder: str = "inbox",
        unread: bool = False,
        starred: bool = False,
        received_ms: int | None = None,
        labels: Iterable[str] = (),
        thread: int | None = None,
        key: int | None = None,
        size: int = -1,
    ) -> int:
        """Put a message there as if it had always been; returns its key. `folder` is a role or an id.

        `thread` is the key of another message of the same thread (None: worked out from the headers when asked).
        """
        with self.lock:
            received = int(self.clock() * 1000) if received_ms is None else received_ms
            chosen = self._new_key(received) if key is None else key
            places = set(labels) | ({UNREAD} if unread else set()) | ({STARRED} if starred and self.gmail else set())
            home = self.role_place(folder) if folder else ""
            if self.gmail and home:
                places.add(home)
            message = Message(chosen, raw, received, frozenset(places), "" if self.gmail else home)
            message.sequence = self.sequence
            message.size_known = size
            message.flag = "flagged" if starred and not self.gmail else "notFlagged"
            if not self.gmail and folder == "drafts":
                message.labels |= {DRAFT}
            if self.gmail and folder == "drafts":
                message.draft_id = f"r{chosen}"
            if thread is not None:
                self._join(message, thread)
            self._insert(message)
            return chosen

    def _join(self, message: Message, thread: int) -> None:
        """Put a new message into the thread of the message `thread`; 0: one of its own, whatever its headers say."""
        parent = self.messages.get(thread)
        message.thread_key = (parent.thread_key if parent else 0) or thread or message.key
        if parent:
            parent.thread_key = message.thread_key

    def deliver(self, raw: Raw, **where: Any) -> int:
        """Mail arrives: like `add`, unread, in the inbox, and it makes history. Returns its key."""
        with self.lock:
            key = self.add(raw, **{"unread": True, **where})
            self.announce(key)
            self.note(self.address, "deliver", self.id_of(key))
            return key

    def announce(self, key: int) -> None:
        """Make the arrival of `key` part of the history."""
        message = self.messages[key]
        self._record("added", message, gained=message.labels, target=message.folder)

    def _new_key(self, received_ms: int) -> int:
        base = max(received_ms, 1) << 20
        key = base
        while key in self.messages:
            key += 1
        return key

    def _insert(self, message: Message) -> None:
        self.messages[message.key] = message
        if self.order and message.key < self.order[-1]:
            bisect.insort(self.order, message.key)
        else:
            self.order.append(message.key)
        self.conversations.note(message)
        self._counts = (-1, {})

    def _next(self) -> int:
        self.sequence += 3  # history ids rise, with holes
        return self.sequence

    def _record(self, kind: str, message: Message, **what: Any) -> None:
        message.sequence = self._next()
        # The thread may still be unknown (0): working it out would read mail nobody has asked for.
        self.events.append(Event(message.sequence, kind, message.key, message.thread_key, message.labels, **what))
        for place in (what.get("source"), what.get("target")):
            if place in self.places:
                self.places[place].sequence = message.sequence
        self._counts = (-1, {})

    # ---- changing it -------------------------------------------------------------------------------------------

    def get(self, key: int) -> Message:
        """The message. Raises Missing."""
        try:
            return self.messages[key]
        except KeyError:
            raise Missing(str(key)) from None

    def guard(self, key: int) -> None:
        """Raises Refused where the script says that changes of this message are."""
        if sentence := self.refusal(self.id_of(key)):
            raise Refused(sentence)

    def modify(self, key: int, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Message:
        """Add and remove labels. What changes nothing leaves no event."""
        with self.lock:
            message = self.get(key)
            self.guard(key)
            after = (message.labels - frozenset(remove)) | frozenset(add)
            gained, lost = after - message.labels, message.labels - after
            if gained or lost:
                message.labels = after
                self._record("labels", message, gained=gained, lost=lost, target=message.folder)
                self.note(self.address, "modify", self.id_of(key), added=sorted(gained), removed=sorted(lost))
            return message

    def update(self, key: int, **changes: Any) -> Message:
        """Outlook: set `flag`, `categories`, `source` (the raw message of a draft) or `importance`."""
        with self.lock:
            message = self.get(key)
            self.guard(key)
            real = {name: value for name, value in changes.items() if getattr(message, name) != value}
            for name, value in real.items():
                setattr(message, name, value)
            if "source" in real:
                message.size_known = -1
            if real:
                self._record("changed", message, target=message.folder)
                told = {name: value for name, value in real.items() if name != "source"}
                self.note(self.address, "update", self.id_of(key), **told)
            return message

    def move(self, key: int, folder: str) -> Message:
        """Outlook: move to another folder. The mutable id changes, the immutable one does not."""
        with self.lock:
            message = self.get(key)
            self.guard(key)
            target = self.place(folder).id
            if target != message.folder:
                source, message.folder = message.folder, target
                message.generation += 1
                before = message.generation - 1
                self._record("moved", message, source=source, target=target, generation=before)
                self.note(self.address, "move", self.id_of(key), source=source, target=target)
            return message

    def trash(self, key: int) -> Message:
        """Gmail: TRASH in, INBOX and SPAM out; other labels stay."""
        return self.modify(key, ("TRASH",), ("INBOX", "SPAM"))

    def untrash(self, key: int) -> Message:
        """Gmail: TRASH out. INBOX does not come back (providers.md §1.4)."""
        return self.modify(key, (), ("TRASH",))

    def delete(self, key: int, *, effect: str = "delete") -> None:
        """Gone for good."""
        with self.lock:
            message = self.get(key)
            self.guard(key)
            message.thread_key = self.thread_of(key)
            del self.messages[key]
            position = bisect.bisect_left(self.order, key)
            del self.order[position]
            left = {"source": message.folder, "generation": message.generation}
            self._record("deleted", message, lost=message.labels, **left)
            self.note(self.address, effect, self.id_of(key))

    def touch(self, place: Place) -> None:
        """Note that a folder itself has changed."""
        with self.lock:
            place.sequence = self._next()

    def remove_folder(self, place: Place) -> None:
        """Outlook: delete a folder with everything in it and below it."""
        with self.lock:
            for child in [one for one in self.places.values() if one.parent == place.id]:
                self.remove_folder(child)
            for key in [message.key for message in self.messages.values() if message.folder == place.id]:
                self.delete(key)
            self.touch(place)
            self.removed_places.append(self.places.pop(place.id))

    def withhold(self, message: Message) -> None:
        """Take a message out as if it had not arrived yet; `restore` puts it in."""
        with self.lock:
            del self.messages[message.key]
            del self.order[bisect.bisect_left(self.order, message.key)]
            self.events = [event for event in self.events if event.key != message.key]
            self._counts = (-1, {})

    def restore(self, message: Message) -> None:
        """Put in what `withhold` took out, as a new arrival."""
        with self.lock:
            self._insert(message)
            self.announce(message.key)

    def expire_cursors(self) -> None:
        """Forget the past: every history id and delta token given so far is too old."""
        with self.lock:
            self._next()
            self.oldest_sequence = self.sequence

    # ---- reading it --------------------------------------------------------------------------------------------

    def newest_first(self, before: int | None = None) -> Iterator[Message]:
        """Messages from the newest (or the first older than the key `before`) to the oldest."""
        start = len(self.order) if before is None else bisect.bisect_left(self.order, before)
        for position in range(start - 1, -1, -1):
            yield self.messages[self.order[position]]

    def oldest_first(self, after: int | None = None) -> Iterator[Message]:
        """Messages from the oldest (or the first newer than the key `after`) to the newest."""
        start = 0 if after is None else bisect.bisect_right(self.order, after)
        for position in range(start, len(self.order)):
            yield self.messages[self.order[position]]

    def events_after(self, sequence: int, until: int | None = None) -> list[Event]:
        """What happened after `sequence`, up to and with `until`."""
        start = bisect.bisect_right(self.events, sequence, key=lambda event: event.sequence)
        end = len(self.events)
        if until is not None:
            end = bisect.bisect_right(self.events, until, key=lambda event: event.sequence)
        return self.events[start:end]

    def counts(self, place: str) -> tuple[int, int]:
        """(messages, unread) in a label or folder."""
        with self.lock:
            if self._counts[0] != self.sequence:
                self._counts = (self.sequence, tally(self.messages.values()))
            total, unread = self._counts[1].get(place, (0, 0))
            return total, unread

    def by_message_id(self, identity: str) -> int | None:
        """The key of the message with this Message-ID header (angle brackets optional)."""
        with self.lock:
            return self.conversations.find(identity)

    def draft(self, identity: str) -> Message:
        """Gmail: the message a draft id stands for now. Raises Missing."""
        with self.lock:
            for message in self.messages.values():
                if message.draft_id and message.draft_id == identity:
                    return message
            raise Missing(identity)

    def thread_of(self, key: int) -> int:
        """The key of the thread: that of its first message, as far as the headers tell."""
        with self.lock:
            return self.conversations.thread_of(self.get(key))

    def state(self) -> dict[str, dict[str, Any]]:
        """Every message as plain values by its (immutable) id: what tests compare the local copy with."""
        with self.lock:
            return {
                self.id_of(message.key): {
                    "labels": sorted(message.labels),
                    "folder": message.folder,
                    "unread": UNREAD in message.labels,
                    "starred": STARRED in message.labels,
                    "flag": message.flag,
                    "received_ms": message.received_ms,
                }
                for message in self.oldest_first()
            }
