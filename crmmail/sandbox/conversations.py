"""Which messages belong together, by their Message-IDs. Nothing is read before somebody asks."""

from __future__ import annotations

import re

from crmmail.sandbox.fields import header, header_values
from crmmail.sandbox.stored import Message


class Conversations:
    """Finds messages by Message-ID and threads by reference, in the `messages` of a mailbox."""

    def __init__(self, messages: dict[int, Message]) -> None:
        self._messages = messages
        self._ids: dict[str, int] | None = None  # Message-ID → key, once somebody has asked

    def note(self, message: Message) -> None:
        """A message has come in."""
        if self._ids is not None and (identity := header(message.raw, b"Message-ID")):
            self._ids.setdefault(identity, message.key)

    def find(self, identity: str) -> int | None:
        """The key of the message with this Message-ID (angle brackets optional)."""
        if self._ids is None:
            self._ids = {}
            for key in sorted(self._messages):
                self.note(self._messages[key])
        found = self._ids.get(f"<{identity.strip().strip('<>')}>")
        return found if found in self._messages else None

    def thread_of(self, message: Message) -> int:
        """The key of the thread's first message, as far as the headers tell. Long chains and circles end."""
        walked: list[Message] = []
        while not message.thread_key:
            message.thread_key = message.key  # ends a circle of references
            walked.append(message)
            message = self._messages[self._parent(message)]
        for child in walked:
            child.thread_key = message.thread_key
        return message.thread_key

    def _parent(self, message: Message) -> int:
        """The key of the nearest message here that this one answers; its own when there is none."""
        named = re.findall(r"<[^<>\s]+>", " ".join(header_values(message.raw)))
        for identity in reversed(named):
            found = self.find(identity)
            if found is not None and found != message.key:
                return found
        return message.key
