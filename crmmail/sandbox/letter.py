"""What a sandbox mailbox is filled with: a message whose bytes are made or read only when somebody asks.

The plan of 100,000 messages costs a few megabytes; their bytes would cost half a gigabyte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and where it lies.

    `place` is a system folder (inbox, sent, drafts, trash, spam, archive). `labels` are names of the user's own
    labels or folders: where a message has one folder only, `archive` with a label means the folder of that name.
    `thread` is equal for the messages of one conversation ('' where nothing is known of it).
    """

    received_ms: int  # ms since the epoch, UTC
    place: str
    source: Callable[[], bytes] = field(repr=False, compare=False)
    labels: tuple[str, ...] = ()
    unread: bool = False
    starred: bool = False
    thread: str = ""
    name: str = ""  # where it came from: a file, or the number of the generated message

    def raw(self) -> bytes:
        """The RFC 5322 message, lines ending in CRLF where it was generated. Raises OSError for a file that is gone."""
        return self.source()
