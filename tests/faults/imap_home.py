"""A local copy of a mailbox on a real Dovecot, and everything needed to say whether the two agree."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crmmail.errors import RemoteError
from crmmail.model import Address, Draft, Mailbox, Op, OpState, Outgoing, SendState, State
from crmmail.ops import Verb
from crmmail.remotes.imap import Imap
from crmmail.store import Store
from crmmail.sync import Outcome, RemoteSync
from tests.faults.posting import OPEN, letter
from tests.faults.world import here
from tests.remotes.imap_world import ImapWorld
from tests.waiting import Clock

NAME = "imap"


@dataclass
class Home:
    """One user's crmmail. Waits pass by moving `clock`."""

    world: ImapWorld
    directory: Path
    options: dict[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    store: Store = field(init=False)
    remote: Imap = field(init=False)
    sync: RemoteSync = field(init=False)

    def __post_init__(self) -> None:
        self.clock.now = time.time()
        self.open()

    def open(self) -> None:
        """Start as a new process does."""
        self.store = Store.open(self.directory, clock=self.clock)
        self.remote = self.world.connect(index=self.directory / "imap.db", clock=self.clock, **self.options)
        self.remote.mailbox = NAME
        self.store.register(Mailbox(NAME, "imap", self.world.address, capabilities=self.remote.capabilities))
        self.sync = RemoteSync(self.store, self.remote, self.clock, timer=self.clock.timer, rng=random.Random(1))

    def close(self) -> None:
        self.remote.close()
        self.store.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def step(self) -> Outcome:
        return self.sync.step()

    def settle(self, rounds: int = 60) -> Outcome:
        """Step until nothing is left to do, letting all waits pass."""
        outcome = self.sync.step()
        for _ in range(rounds):
            busy = outcome.more or outcome.error or outcome.changed or outcome.pushed or self.pending()
            if not busy and not self.store.missing(NAME) and not self.store.unfetched(NAME, 1):
                return outcome
            self.clock.advance(max(outcome.wait, 0.01))
            outcome = self.sync.step()
        raise AssertionError(f"not settled: {outcome}, missing {self.store.missing(NAME)}")

    def perform(self, verb: Verb, remote_ids: Iterable[str]) -> int:
        found = [number for one in remote_ids if (number := self.store.find(NAME, one)) is not None]
        act = self.store.perform(verb, found)
        return act.count if act else 0

    def pending(self) -> list[Op]:
        return [op for op in self.store.outbox() if op.state in (OpState.PENDING, OpState.SENDING)]

    def rejected(self) -> list[Op]:
        return [op for op in self.store.outbox() if op.state is OpState.REJECTED]

    def here(self) -> dict[str, State]:
        return here(self.store, NAME)

    def there(self) -> dict[str, State | None]:
        found = {}
        for held in self.world.side.messages.values():
            marks = next(
                one["marks"] for one in self.world.admin.fetch(held.folder, "BODY.PEEK[]") if one["uid"] == held.uid
            )
            if not marks.startswith("D"):
                key = self.world.folder_key(held.folder)
                found[held.remote_id] = State(frozenset({key}), "S" not in marks, "F" in marks)
        return found

    def agree(self) -> None:
        """Both sides hold the same messages in the same state, bodies included."""
        local, remote = self.here(), self.there()
        differing = {one: (local.get(one), remote.get(one)) for one in local.keys() | remote.keys()}
        differing = {one: pair for one, pair in differing.items() if pair[0] != pair[1]}
        assert not differing, str(differing)
        for held in self.world.side.messages.values():
            number = self.store.find(NAME, held.remote_id)
            assert number is not None
            assert self.store.raw(number) == held.raw

    # Sending

    def queue(self, number: int, *, delay: float = 0.0, **options: Any) -> Outgoing:
        to = options.get("to") or f"friend{number}@example.net"
        draft = self.store.new_draft(Draft(0, NAME, self.world.address, to=(Address("", to),), subject=f"out {number}"))
        mime = letter(self.world.address, number, **options)
        return self.store.queue(
            draft, mime, f"<out{number}@example.com>", f"token-{number}", self.clock.now + delay if delay else 0.0
        )

    def state(self, outgoing: Outgoing) -> Outgoing:
        return next(one for one in self.store.outgoing() if one.id == outgoing.id)

    def post(self, rounds: int = 40, *, until: tuple[SendState, ...] = OPEN) -> None:
        """Step, letting all waits pass, until no message is in one of the states `until`."""
        for _ in range(rounds):
            with suppress(RemoteError):
                outcome = self.sync.step()
            if not self.store.outgoing(until):
                return
            self.clock.advance(max(outcome.wait, 0.01))
        raise AssertionError([one.state for one in self.store.outgoing(until)])

    def delivered(self) -> list[str]:
        return [to for one in self.world.sink.messages for to in one.recipients]

    def in_sent(self) -> list[bytes]:
        return [held.raw for held in self.world.side.messages.values() if held.folder == "Sent"]

    def in_drafts(self) -> list[bytes]:
        return [held.raw for held in self.world.side.messages.values() if held.folder == "Drafts"]
