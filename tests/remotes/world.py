"""A server with one mailbox, seen from both sides: what a remote tells of it and what it really holds."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import httpx

from crmmail.model import Capabilities, Delta, State, Wish
from crmmail.remotes import Remote
from crmmail.remotes.gmail import Gmail
from crmmail.remotes.graph import Graph
from crmmail.sandbox import Limits, Sandbox, User
from crmmail.sandbox.mailbox import Mailbox
from tests.remotes.mirror import Mirror
from tests.waiting import Patient

START = 1_700_000_000_000  # ms; message n was received n minutes later


class Bearer(httpx.Auth):
    """A fixed token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self.token}"
        yield request


def letter(number: int) -> bytes:
    """A small message; the number tells it from all others."""
    lines = (
        f"Message-ID: <{number}@example.org>",
        "From: Ana Souza <ana@example.org>",
        "To: me@example.com",
        f"Subject: Proposta {number}",
        "Content-Type: text/plain; charset=utf-8",
        "",
        f"Mensagem {number}.",
    )
    return "\r\n".join(lines).encode()


class World:
    """One mailbox on one sandbox. `remote` is connected to it; all remotes are closed at the end."""

    provider = ""
    scopes = ""

    def __init__(self) -> None:
        self.user = User("me@example.com", self.provider)
        self.box = Sandbox([self.user], limits=Limits())
        self.remotes: list[Remote] = []
        self._numbers = iter(range(1_000_000))

    def __enter__(self) -> World:
        self.box.start()
        return self

    def __exit__(self, *_: object) -> None:
        for remote in self.remotes:
            remote.close()
        self.box.stop()

    @property
    def mailbox(self) -> Mailbox:
        return self.user.mailbox

    @property
    def can(self) -> Capabilities:
        raise NotImplementedError

    def connect(self, **options: Any) -> Any:
        """A new remote, with a new token."""
        remote = self.make(
            Bearer(self.box.grants.issue(self.user.address, options.pop("scopes", self.scopes))), options
        )
        self.remotes.append(remote)
        return remote

    def make(self, auth: httpx.Auth, options: dict[str, Any]) -> Remote:
        raise NotImplementedError

    def add(self, count: int = 1, **where: Any) -> list[str]:
        """Messages that were always there, each a minute younger than the one before; their remote ids."""
        ids = []
        for _ in range(count):
            number = next(self._numbers)
            key = self.mailbox.add(letter(number), received_ms=START + number * 60_000, **where)
            ids.append(self.mailbox.id_of(key))
        return ids

    def deliver(self, **where: Any) -> str:
        """A message arrives."""
        number = next(self._numbers)
        key = self.mailbox.deliver(letter(number), received_ms=START + number * 60_000, **where)
        return self.mailbox.id_of(key)

    def key(self, remote_id: str) -> int:
        return self.mailbox.key_of(remote_id)

    def folder_key(self, place: str) -> str:
        """The folder key of a role or of the id of a place of one's own."""
        raise NotImplementedError

    def truth(self) -> dict[str, State | None]:
        """What the server holds."""
        return {self.mailbox.id_of(key): self.state(key) for key in self.mailbox.messages}

    def state(self, key: int) -> State:
        raise NotImplementedError

    def move(self, remote_id: str, place: str) -> None:
        """Somebody else moves a message to a folder, by role or id."""
        raise NotImplementedError

    def read(self, remote_id: str, unread: bool = False) -> None:
        """Somebody else marks a message."""
        add, remove = (("UNREAD",), ()) if unread else ((), ("UNREAD",))
        self.mailbox.modify(self.key(remote_id), add, remove)

    def wish(self, mirror: Mirror, remote_id: str, delta: Delta) -> Wish:
        state = mirror.messages[remote_id].state
        assert state is not None
        return Wish(remote_id, delta, state)

    def new_folder(self, name: str) -> str:
        """A label or folder of one's own; its id."""
        return self.mailbox.new_place(name).id

    def changes_asked(self) -> int:
        """How many calls that change something the server accepted."""
        return len(self.box.ledger.accepted(self.user.address))


class GmailWorld(World):
    provider = "gmail"
    scopes = "https://mail.google.com/"

    @property
    def can(self) -> Capabilities:
        return Gmail.capabilities

    def make(self, auth: httpx.Auth, options: dict[str, Any]) -> Remote:
        pace = None if "units_per_second" in options else Patient(self.box.clock.advance)
        options = {"pace": pace, "base_url": self.box.http_url} | options
        return Gmail("work", auth=auth, **options)

    def folder_key(self, place: str) -> str:
        return place if not place.startswith("Label_") else f"x:{place}"

    def state(self, key: int) -> State:
        labels = self.mailbox.messages[key].labels
        roles = {"INBOX": "inbox", "DRAFT": "drafts", "SENT": "sent", "TRASH": "trash", "SPAM": "spam"}
        folders = {roles[label] for label in labels if label in roles}
        folders |= {f"x:{label}" for label in labels if label.startswith("Label_")}
        return State(frozenset(folders), "UNREAD" in labels, "STARRED" in labels)

    def move(self, remote_id: str, place: str) -> None:
        places = {"inbox": "INBOX", "trash": "TRASH", "spam": "SPAM", "archive": ""}
        target = places.get(place, place)
        self.mailbox.modify(self.key(remote_id), {target} - {""}, {"INBOX", "TRASH", "SPAM"} - {target})


class GraphWorld(World):
    provider = "outlook"
    scopes = "https://graph.microsoft.com/Mail.ReadWrite Mail.ReadWrite"

    @property
    def can(self) -> Capabilities:
        return Capabilities(archive=True, delete_forever=True)

    def make(self, auth: httpx.Auth, options: dict[str, Any]) -> Remote:
        options = {"pace": Patient(self.box.clock.advance), "base_url": f"{self.box.http_url}/v1.0"} | options
        return Graph("work", auth=auth, **options)

    def new_folder(self, name: str, parent: str = "msgfolderroot") -> str:
        return self.mailbox.new_place(name, parent=self.mailbox.place(parent).id).id

    def folder_key(self, place: str) -> str:
        found = self.mailbox.place(place)
        return found.role or f"x:{found.id}"

    def state(self, key: int) -> State:
        message = self.mailbox.messages[key]
        return State(frozenset({self.folder_key(message.folder)}), "UNREAD" in message.labels)

    def move(self, remote_id: str, place: str) -> None:
        self.mailbox.move(self.key(remote_id), self.mailbox.place(place).id)


def gone(mirror: Mirror, ids: Iterable[str]) -> bool:
    """Whether none of `ids` is in the local copy."""
    return not set(ids) & mirror.messages.keys()
