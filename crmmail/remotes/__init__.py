"""What the rest of the program knows of a place on the network.

A remote has a cursor and an inbox for wishes. Every write is at-least-once and therefore idempotent: a wish whose
answer was lost is simply made again. Modules beside this one keep pure JSON ↔ model functions on top and one class
with I/O below; quirks of a server are told in the module that meets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from crmmail.model import Ack, Capabilities, Incoming, Page, Wish

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
