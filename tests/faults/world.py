"""One mailbox, its server over real HTTP, and everything needed to say whether they agree.

The server's side is asked of the sandbox's own state and ledger, never of the client.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from crmmail.model import Capabilities, Mailbox, Op, OpState, Query, State
from crmmail.ops import Verb
from crmmail.remotes import Remote
from crmmail.remotes.gmail import Gmail
from crmmail.remotes.graph import Graph
from crmmail.remotes.http import Wire
from crmmail.remotes.pace import Bucket
from crmmail.sandbox import Sandbox, User
from crmmail.sandbox.mailbox import Mailbox as Server
from crmmail.store import Store
from crmmail.sync import Outcome, RemoteSync
from tests.waiting import NO_QUOTA, Clock, Patient

PROVIDERS = ("gmail", "outlook")
ADDRESSES = {"gmail": "ana@example.com", "outlook": "bruno@example.com"}
SCOPES = {
    "gmail": "https://www.googleapis.com/auth/gmail.modify https://mail.google.com/",
    "outlook": "Mail.ReadWrite Mail.Send",
}
GMAIL_ROLES = {"INBOX": "inbox", "DRAFT": "drafts", "SENT": "sent", "TRASH": "trash", "SPAM": "spam"}
GMAIL_IGNORED = ("UNREAD", "STARRED", "IMPORTANT", "CHAT")
GRAPH_ROLES = {
    "inbox": "inbox",
    "drafts": "drafts",
    "sentitems": "sent",
    "deleteditems": "trash",
    "junkemail": "spam",
    "archive": "archive",
}
SECRET = "canary"  # in every subject and body, and in no log


class Bearer(httpx.Auth):
    """A token that never ends; the rows about sessions use the real thing."""

    def __init__(self, token: str) -> None:
        self.token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self.token}"
        yield request


def letter(number: int) -> bytes:
    """The generated message `number`."""
    return (
        f"From: Sender {number} <sender{number % 7}@example.net>\r\nTo: me@example.org\r\n"
        f"Subject: {SECRET} subject {number}\r\nMessage-ID: <m{number}@example.net>\r\n"
        f"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"{SECRET} body of message {number}.\r\n"
    ).encode()


def furnish(server: Server, count: int, now: float, seed: int = 1) -> None:
    """Put `count` messages into several folders of a server, some of them read or starred."""
    rng = random.Random(seed)
    folders = ["inbox"] * 6 + ["sent", "trash", "spam", "drafts"]
    for number in range(count):
        starred = server.gmail and rng.random() < 0.2
        received = int(now * 1000) - (count - number) * 60_000
        server.add(
            letter(number),
            folder=rng.choice(folders),
            unread=rng.random() < 0.5,
            starred=starred,
            received_ms=received,
        )


def there(server: Server) -> dict[str, State]:
    """The server's truth in our words: every message a mail client sees, by its id."""
    found = {}
    for remote_id, message in server.state().items():
        state = _gmail(message) if server.gmail else _graph(server, message)
        if state is not None:
            found[remote_id] = state
    return found


def _gmail(message: dict[str, Any]) -> State:
    labels = [label for label in message["labels"] if label not in GMAIL_IGNORED and not label.startswith("CATEGORY_")]
    return State(
        frozenset(GMAIL_ROLES.get(label, f"x:{label}") for label in labels), message["unread"], message["starred"]
    )


def _graph(server: Server, message: dict[str, Any]) -> State | None:
    place = server.places[message["folder"]]
    if place.hidden or place.well_known.startswith("recoverable"):
        return None
    return State(frozenset({GRAPH_ROLES.get(place.well_known, f"x:{place.id}")}), message["unread"])


@dataclass
class World:
    """A sandbox user of one provider and a local copy of the mailbox. Waits pass by moving `clock`."""

    sandbox: Sandbox
    provider: str
    directory: Path
    clock: Clock = field(default_factory=Clock)
    store: Store = field(init=False)
    remote: Remote = field(init=False)
    sync: RemoteSync = field(init=False)
    limits: dict[str, float] = field(default_factory=dict)  # of the wire: seconds, connect, read
    auth: httpx.Auth | None = None
    address: str = ""
    cleanup: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        import time

        self.clock.now = self.started = time.time()
        self.address = self.address or ADDRESSES[self.provider]
        self.server = self.sandbox.users[self.address].mailbox
        if self.auth is None:
            self.auth = Bearer(self.sandbox.grants.issue(self.address, SCOPES[self.provider], lifetime=1e9))
        self.open()

    def open(self) -> None:
        """Start as a new process does."""
        self.store = Store.open(self.directory, clock=self.clock)
        self.remote = self.connect()
        self.store.register(mailbox(self.provider, self.remote.capabilities))
        self.sync = RemoteSync(self.store, self.remote, self.clock, timer=self.clock.timer, rng=random.Random(1))

    def connect(self) -> Remote:
        """A new connection; with a real session over TLS, for its token is shown to nothing else."""
        if isinstance(self.auth, Bearer):
            return connect(self.provider, self.sandbox.http_url, self.auth, self.limits, clock=self.clock)
        return connect(self.provider, self.sandbox.https_url, self.auth, ca_file=self.sandbox.ca_file, clock=self.clock)

    def close(self) -> None:
        self.remote.close()
        self.store.close()
        while self.cleanup:
            self.cleanup.pop()()

    def reopen(self) -> None:
        self.close()
        self.open()

    def furnish(self, count: int) -> None:
        furnish(self.server, count, self.clock.now)

    # Acting

    def step(self) -> Outcome:
        return self.sync.step()

    def settle(self, rounds: int = 200) -> Outcome:
        """Step until nothing is left to do, letting all waits pass."""
        outcome = self.sync.step()
        for _ in range(rounds):
            if self._settled(outcome):
                return outcome
            self.clock.advance(max(outcome.wait, 0.01))
            outcome = self.sync.step()
        raise AssertionError(f"not settled: {outcome} missing {self.store.missing(self.provider)}")

    def _settled(self, outcome: Outcome) -> bool:
        """Whether a step had nothing to do, to tell or to wait for."""
        busy = outcome.more or outcome.error or outcome.changed or outcome.pushed or self.pending()
        behind = self.store.missing(self.provider) or self.store.unfetched(self.provider, 1)
        return not busy and not behind

    def perform(self, verb: Verb, remote_ids: Iterable[str]) -> int:
        """The user acts on those of `remote_ids` that are here; how many the store accepted."""
        ids = [found for one in remote_ids if (found := self.store.find(self.provider, one)) is not None]
        act = self.store.perform(verb, ids)
        return act.count if act else 0

    # Comparing

    def pending(self) -> list[Op]:
        return [op for op in self.store.outbox() if op.state in (OpState.PENDING, OpState.SENDING)]

    def rejected(self) -> list[Op]:
        return [op for op in self.store.outbox() if op.state is OpState.REJECTED]

    def here(self) -> dict[str, State]:
        """The local truth: every message of the mailbox, by the server's id."""
        return here(self.store, self.provider)

    def there(self) -> dict[str, State]:
        return there(self.server)

    def ids(self, folder: str) -> list[str]:
        """The server's ids in a folder, oldest first."""
        return [remote_id for remote_id, state in self.there().items() if folder in state.folders]

    def writes(self) -> list[tuple[str, str]]:
        """What the server accepted of us: (effect, message), in order."""
        return [(entry.effect, entry.id) for entry in self.sandbox.ledger.accepted(self.address)]

    def agree(self) -> None:
        """Both sides hold the same messages in the same state, each once, bodies included."""
        local, remote = self.here(), self.there()
        assert set(local) == set(remote), (
            f"lost {sorted(set(remote) - set(local))}, left over {sorted(set(local) - set(remote))}"
        )
        differing = {one: (local[one], remote[one]) for one in local if local[one] != remote[one]}
        assert not differing, str(differing)
        shown = Counter(
            row.remote_id
            for folder in self.store.folders(self.provider)
            if folder.role not in ("favorites", "all")
            for row in self.store.window(Query(self.provider, folder.key), 0, 100_000)
        )
        expected = Counter({one: len(state.folders) for one, state in remote.items() if state.folders})
        assert shown == expected
        assert not self.store.unfetched(self.provider, 10)
        assert self.wrong_bodies() == []

    def wrong_bodies(self) -> list[str]:
        """The ids whose bytes here are not the server's."""
        wrong = []
        for remote_id in self.there():
            number = self.store.find(self.provider, remote_id)
            if number is None or self.store.raw(number) != self.server.get(self.server.key_of(remote_id)).raw:
                wrong.append(remote_id)
        return wrong

    def rest(self) -> None:
        """Running again changes nothing: no write there, no row here."""
        self.agree()
        before, snapshot = self.writes(), self.picture()
        for _ in range(2):
            outcome = self.sync.step()
            assert not outcome.error
            assert (outcome.pushed, outcome.changed, outcome.more) == (0, 0, False)
            self.clock.advance(outcome.wait)
        assert self.writes() == before
        assert self.picture() == snapshot

    def picture(self) -> list[tuple[Any, ...]]:
        """Every row as every list shows it."""
        return [
            (folder.key, folder.total, folder.unread, row)
            for folder in self.store.folders(self.provider)
            for row in self.store.window(Query(self.provider, folder.key), 0, 100_000)
        ]


def here(store: Store, name: str) -> dict[str, State]:
    """The local truth of a mailbox: every message by the server's id."""
    ids: set[int] = set()
    for folder in store.folders(name):
        ids.update(store.ids(Query(name, folder.key)))
    found = {}
    for number, (_mailbox, state) in store.states(sorted(ids)).items():
        place = store.locate(number)
        assert place is not None
        found[place[1]] = state
    return found


def mailbox(provider: str, capabilities: Capabilities) -> Mailbox:
    return Mailbox(provider, provider, ADDRESSES[provider], capabilities=capabilities)


def replace_id(box: Mailbox, name: str) -> Mailbox:
    """The same mailbox under another id."""
    return replace(box, id=name)


def connect(
    provider: str,
    url: str,
    auth: httpx.Auth | None,
    limits: dict[str, float] | None = None,
    ca_file: Path | None = None,
    clock: Clock | None = None,
) -> Remote:
    """The real remote of a provider, pointed at a sandbox without a quota; waits a server asks for pass by `clock`."""
    pace = Bucket(NO_QUOTA, NO_QUOTA) if clock is None else Patient(clock.advance)
    wire: dict[str, Any] = {"auth": auth, "ca_file": ca_file, "pace": pace}
    if provider == "gmail":
        if limits:
            wire["wire"] = Wire(url, auth, **limits)  # type: ignore[arg-type]
        return Gmail("gmail", base_url=url, **wire)
    if limits:
        wire["wire"] = Wire(f"{url}/v1.0", auth, **limits)  # type: ignore[arg-type]
    return Graph("outlook", base_url=f"{url}/v1.0", **wire)


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with one user of each provider, on its own ports."""
    with Sandbox([User(ADDRESSES["gmail"], "gmail"), User(ADDRESSES["outlook"], "outlook")]) as running:
        yield running
