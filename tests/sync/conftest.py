"""A store on disk, a small server, and clocks that stand still."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crmmail.model import Query, State
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.sync import Outcome, RemoteSync
from tests.sync.place import Fake, Place, mailbox
from tests.waiting import Clock


@dataclass
class Desk:
    """Everything one test needs to sync the mailbox `a`."""

    store: Store
    place: Place
    remote: Fake
    clock: Clock
    sync: RemoteSync = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.sync = RemoteSync(self.store, self.remote, self.clock, timer=self.clock.timer, rng=random.Random(1))

    def step(self) -> Outcome:
        return self.sync.step()

    def settle(self, rounds: int = 60) -> Outcome:
        """Step until nothing is left to do, letting all waits pass."""
        for _ in range(rounds):
            outcome = self.sync.step()
            if not outcome.more and not outcome.error and not self.pending():
                return outcome
            self.clock.advance(outcome.wait)
        raise AssertionError(f"not settled: {outcome}")

    def pending(self) -> int:
        return len([op for op in self.store.outbox() if op.state in ("pending", "sending")])

    def id(self, remote_id: str) -> int:
        found = self.store.find("a", remote_id)
        assert found is not None
        return found

    def do(self, verb: Verb, *remote_ids: str) -> None:
        assert self.store.perform(verb, [self.id(one) for one in remote_ids]) is not None

    def here(self) -> dict[str, State]:
        """The local state by remote id, every message of the mailbox."""
        ids: set[int] = set()
        for folder in self.store.folders("a"):
            ids.update(self.store.ids(Query("a", folder.key)))
        return {self.store.locate(one)[1]: state for one, (_, state) in self.store.states(sorted(ids)).items()}  # type: ignore[index]

    def agree(self) -> bool:
        return self.here() == self.place.messages


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store.open(tmp_path / "store", clock=clock)
    store.register(mailbox("a"))
    yield store
    store.close()


@pytest.fixture
def desk(store: Store, clock: Clock) -> Desk:
    place = Place()
    return Desk(store, place, Fake("a", place), clock)
