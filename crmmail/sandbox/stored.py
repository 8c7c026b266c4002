"""What a mailbox keeps: a message, a place for messages, an event. And what can be wrong about asking for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Raw = bytes | Callable[[], bytes]
Note = Callable[..., None]

GMAIL_SYSTEM = (
    *("INBOX", "UNREAD", "STARRED", "IMPORTANT", "SPAM", "TRASH", "SENT", "DRAFT", "CHAT"),
    *(f"CATEGORY_{name}" for name in ("PERSONAL", "SOCIAL", "PROMOTIONS", "UPDATES", "FORUMS")),
)
GMAIL_ROLES = {"inbox": "INBOX", "drafts": "DRAFT", "sent": "SENT", "trash": "TRASH", "spam": "SPAM"}
OUTLOOK_FOLDERS = (  # well-known name, display name, role
    ("inbox", "Inbox", "inbox"),
    ("drafts", "Drafts", "drafts"),
    ("sentitems", "Sent Items", "sent"),
    ("deleteditems", "Deleted Items", "trash"),
    ("junkemail", "Junk Email", "spam"),
    ("archive", "Archive", "archive"),
    ("outbox", "Outbox", ""),
    ("conversationhistory", "Conversation History", ""),
    ("clutter", "Clutter", ""),
    ("recoverableitemsdeletions", "Deletions", ""),
    ("recoverableitemspurges", "Purges", ""),
)
OUTLOOK_HIDDEN = frozenset({"clutter", "recoverableitemsdeletions", "recoverableitemspurges"})
UNREAD, STARRED, DRAFT = "UNREAD", "STARRED", "DRAFT"


class Missing(Exception):
    """No such message, folder or label."""


class Refused(Exception):
    """This mailbox refuses the change; the text is the sentence for the user."""


@dataclass(slots=True, eq=False)
class Message:
    """One message. `key` sorts by the time it was received; `generation` counts its moves (mutable Graph ids)."""

    key: int
    source: Raw
    received_ms: int
    labels: frozenset[str]
    folder: str = ""  # Outlook: the id of the one folder it is in
    sequence: int = 0  # of its last change
    generation: int = 0
    thread_key: int = 0  # 0: not worked out yet
    size_known: int = -1
    flag: str = "notFlagged"
    categories: tuple[str, ...] = ()
    draft_id: str = ""
    importance: str = ""

    @property
    def raw(self) -> bytes:
        """The message as bytes."""
        return self.source if isinstance(self.source, bytes) else self.source()

    @property
    def size(self) -> int:
        """Bytes of the raw message."""
        if self.size_known < 0:
            self.size_known = len(self.raw)
        return self.size_known


@dataclass(slots=True, eq=False)
class Place:
    """A label or a folder."""

    id: str
    name: str
    role: str = ""
    system: bool = False
    well_known: str = ""  # Graph's locale-independent name
    parent: str = ""
    hidden: bool = False
    search: bool = False  # a search folder: shows, holds nothing
    sequence: int = 0
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: `added`, `deleted`, `labels`, `changed` or `moved`."""

    sequence: int
    kind: str
    key: int
    thread: int  # 0: not worked out at the time
    labels: frozenset[str]  # after it
    gained: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    source: str = ""  # the folder it left
    target: str = ""  # the folder it is in now
    generation: int = 0  # moves it had made before this


def tally(messages: Iterable[Message]) -> dict[str, list[int]]:
    """[messages, unread] of every label and folder."""
    counts: dict[str, list[int]] = {}
    for message in messages:
        unread = UNREAD in message.labels
        for place in (*message.labels, message.folder):
            entry = counts.setdefault(place, [0, 0])
            entry[0] += 1
            entry[1] += unread
    return counts
