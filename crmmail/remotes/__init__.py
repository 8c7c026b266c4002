"""What the rest of the program knows of a place on the network.

A remote has a cursor and an inbox for wishes. Every write is at-least-once and therefore idempotent: a wish whose
answer was lost is simply made again. Modules beside this one keep pure JSON ↔ model functions on top and one class
with I/O below; quirks of a server are told in the module that meets them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from crmmail.model import Ack, Capabilities, Identity, Incoming, Outgoing, Page, Wish

Known = Callable[[Iterable[str]], frozenset[str]]
"""Of these remote ids, those the local copy already has (so that an interrupted fill does not ask twice)."""


class Remote(Protocol):
    """A mailbox's server. Used by one thread at a time; `close()` may come from another and ends a waiting call."""

    mailbox: str
    capabilities: Capabilities

    def changes(self, cursor: str, known: Known) -> Iterator[Page]:
        """What happened since `cursor` ('' = never asked: first fill, newest first), page by page.

        Each page's cursor may be stored the moment the page is: going on from it repeats or loses nothing.
        Raises CursorExpired, AuthRequired, Transient or Rejected (`errors`).
        """
        ...

    def apply(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        """Make the wishes true, in as few calls as possible; one Ack each, in any order.

        A refusal of one message is an Ack with `error` set; what concerns them all (offline, session over, told to
        wait) is raised, and the wishes without an Ack stay pending. A message that is gone acks with its state gone.
        """
        ...

    def bodies(self, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        """The raw messages of these ids, in any order; ids that are gone are left out."""
        ...

    def close(self) -> None:
        """End all connections."""
        ...


class Listener(Protocol):
    """A remote whose server says by itself when something happens."""

    def listen(self, news: Callable[[], None]) -> None:
        """Call `news`, from a thread of its own, whenever the server tells of something in the inbox; until `close`.

        It only makes the next look come sooner: what happened is asked for by `changes`, and looked for without it too.
        """
        ...


# Sending


TOKEN_HEADER = "X-Crmmail-Id"
"""Our own header. Its value names one content, so that a draft whose creation was not answered is found again."""

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all) of an upload."""


@dataclass(frozen=True, slots=True)
class DraftRef:
    """A draft on the server. `remote_draft` is a handle only the remote reads: it also knows which version was meant.

    `remote_id` is the message that stands for it in the Drafts folder. `conflict`: somebody else had changed the
    draft that was to be replaced (or removed it), so this one was made beside it and theirs was left alone.
    """

    remote_draft: str
    remote_id: str
    remote_thread: str = ""
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class SentRef:
    """A message the server has accepted. `remote_id`: its copy in Sent, `message_id`: as the server changed it.

    `seen`: the copy is in Sent. `wait`: seconds the server asked us to stay away for.
    """

    remote_id: str = ""
    message_id: str = ""
    remote_thread: str = ""
    seen: bool = False
    wait: float = 0.0


class Where(enum.StrEnum):
    """Where an outgoing message was found."""

    DRAFT = "draft"  # still a draft: it has not gone out
    SENT = "sent"
    NOWHERE = "nowhere"  # neither; the server may be slow to show it


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What looking for an outgoing message found. `ready`: the draft holds the whole message as it was queued."""

    kind: Where
    draft: DraftRef | None = None
    sent: SentRef | None = None
    ready: bool = False


class Sender(Protocol):
    """The sending half of a remote with the capability `send`. One thread at a time, the same as the other half.

    No call is repeated by itself except where making it twice changes nothing: whoever gets no answer looks first.
    """

    capabilities: Capabilities
    limit_bytes: int
    """The largest message, as bytes of MIME, that the provider takes."""
    settle_seconds: float
    """How long a sent draft may still look like one: what is seen earlier after a lost answer proves nothing."""

    def identities(self) -> list[Identity]:
        """The addresses of ours that mail can be sent from, the default one first."""
        ...

    def save_draft(
        self,
        mime: bytes,
        remote_draft: str = "",
        remote_thread: str = "",
        progress: Progress | None = None,
        *,
        doubtful: bool = False,
    ) -> DraftRef:
        """Keep `mime` among the server's drafts, in the place of `remote_draft` where that is still as we left it.

        `doubtful`: an earlier call may have been carried out without an answer; a draft that carries the token of
        `mime` is then taken for it. Raises Rejected (too large, malformed), Transient, AuthRequired, ScopeRequired.
        """
        ...

    def delete_draft(self, remote_draft: str) -> bool:
        """Remove a draft for good; False when it was changed by somebody else meanwhile and stays."""
        ...

    def draft_at(self, remote_id: str) -> DraftRef | None:
        """The draft that the message `remote_id` of the Drafts folder stands for, in the version that is there now.

        None when no draft has that message (any more): removed, sent, or replaced where that makes a new message.
        Asked once for a draft begun elsewhere before it is saved back or removed; where a message is its own draft
        (Graph, IMAP), that it is there, and among the drafts, is all there is to find out.
        """
        ...

    def send_draft(self, remote_draft: str) -> SentRef:
        """Send the draft. A second call cannot deliver it twice. Any error but those of `look` leaves doubt."""
        ...

    def look(self, outgoing: Outgoing) -> Whereabouts:
        """Where a message on its way is now: among the drafts, in Sent, or nowhere."""
        ...
