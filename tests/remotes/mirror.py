"""A local copy in memory: what any store must do with the pages of a remote, in the fewest words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from crmmail import ops
from crmmail.model import Ack, Folder, Incoming, Page, State, Wish
from crmmail.remotes import Remote


@dataclass
class Mirror:
    """Messages by remote id. `pages` keeps every page seen, `added` counts how often an id came in anew."""

    cursor: str = ""
    messages: dict[str, Incoming] = field(default_factory=dict)
    folders: tuple[Folder, ...] = ()
    pages: list[Page] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def known(self, ids: Iterable[str]) -> frozenset[str]:
        return frozenset(i for i in ids if i in self.messages and self.messages[i].raw is not None)

    def take(self, page: Page) -> None:
        self.pages.append(page)
        for incoming in page.upserts:
            self._upsert(incoming)
        for patch in page.patches:
            if (old := self.messages.get(patch.remote_id)) is not None:
                base = patch.state or old.state or State()
                state = ops.apply(base, patch.delta) if patch.delta else base
                self.messages[patch.remote_id] = replace(old, state=state)
        for gone in page.removals:
            self.messages.pop(gone, None)
        if page.keep is not None:
            self._reconcile(page.keep, page.scope)
        self.folders = self.folders if page.folders is None else page.folders
        self.cursor = page.cursor

    def _upsert(self, incoming: Incoming) -> None:
        old = self.messages.get(incoming.remote_id)
        if incoming.raw is not None:
            self.fetched.append(incoming.remote_id)
        if old is None and incoming.state is None:
            return  # a body that came when its message had gone already
        if old is not None:
            incoming = replace(
                incoming,
                raw=incoming.raw if incoming.raw is not None else old.raw,
                headers=incoming.headers or old.headers,
                state=incoming.state or old.state,
                received_ms=incoming.received_ms or old.received_ms,
            )
        self.messages[incoming.remote_id] = incoming

    def _reconcile(self, keep: frozenset[str], scope: str | None) -> None:
        for remote_id, message in list(self.messages.items()):
            in_scope = scope is None or (message.state is not None and scope in message.state.folders)
            if in_scope and remote_id not in keep:
                del self.messages[remote_id]

    def pull(self, remote: Remote, pages: int | None = None) -> Mirror:
        """Take all pages, or the first few as when the program is killed after them."""
        for number, page in enumerate(remote.changes(self.cursor, self.known), 1):
            self.take(page)
            if number == pages:
                break
        return self

    def fill(self, remote: Remote) -> Mirror:
        """Pull, then fetch the bodies that are still missing."""
        self.pull(remote)
        missing = [i for i, message in self.messages.items() if message.raw is None]
        for incoming in remote.bodies(missing):
            self._upsert(incoming)
        return self

    def push(self, remote: Remote, wishes: Iterable[Wish]) -> dict[str, Ack]:
        """Apply wishes and take their answers."""
        acks = {ack.remote_id: ack for ack in remote.apply(list(wishes))}
        for ack in acks.values():
            if ack.state is None:
                continue
            if ack.state.gone:
                self.messages.pop(ack.remote_id, None)
            elif ack.remote_id in self.messages:
                self.messages[ack.remote_id] = replace(self.messages[ack.remote_id], state=ack.state)
        return acks

    def states(self) -> dict[str, State | None]:
        return {remote_id: message.state for remote_id, message in self.messages.items()}

    def newest(self) -> list[str]:
        """Ids by server time, the newest first."""
        return sorted(self.messages, key=lambda i: -self.messages[i].received_ms)

    def one(self, folder: str = "inbox") -> str:
        """The newest message of a folder."""
        return next(i for i in self.newest() if folder in (self.messages[i].state or State()).folders)
