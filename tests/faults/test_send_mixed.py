"""Sending under everything at once: faults, restarts, absences, a slow Sent folder and other clients, by a seed.

`CRMMAIL_SENDS` sets how many seeds are tried for each provider; a failing seed is in the message.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.model import Outgoing, SendState
from crmmail.sandbox import Limits, Sandbox, User
from tests.faults.posting import OPEN, deliveries, drafts, queue, state
from tests.faults.world import PROVIDERS, World

SEEDS = int(os.environ.get("CRMMAIL_SENDS", "50"))
FIRST = int(os.environ.get("CRMMAIL_SENDS_FROM", "0"))
API = r"/(gmail|batch|upload|v1\.0)"
SENDING = r"(/drafts|/send|/v1\.0/me/messages)(\?|/|$)"
DEEDS = 14
FAULTS = (
    {"kind": "reset_unread"},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate", "at": 60},
    {"kind": "bad_json"},
    {"kind": "html"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500, "headers": {"Retry-After": "20"}},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "7"}},
    {"kind": "status", "status": 401, "body": {"error": {"code": 401, "message": "Invalid Credentials"}}},
    {"kind": "late_status", "status": 502},
    {"kind": "late_status", "status": 503},
    {"kind": "extra_headers", "headers": {"Retry-After": "30"}},
)


class Posting:
    """One life by chance, of a few messages."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.queued: list[Outgoing] = []
        self.undone: set[int] = set()
        self.removed = False
        self.down = False
        limits = world.sandbox.limits
        limits.send_lag = self.rng.choice((0.0, 0.0, 3.0, 30.0, 120.0))
        limits.graph_rewrites_message_id = self.rng.random() < 0.5
        limits.rewrite_message_id = self.rng.random() < 0.7

    def live(self) -> None:
        self.write()
        deeds = [self.write, self.fault, self.fault, self.fault, self.step, self.step, self.step, self.step]
        deeds += [self.restart, self.absence, self.undo, self.remove]
        for _ in range(DEEDS):
            self.rng.choice(deeds)()
        if self.down:
            self.world.sandbox.resume()
        self.world.sandbox.faults.clear()
        for _ in range(40):
            self.step(patient=True)
            if not self.world.store.outgoing(OPEN) or self.undecided(quiet=True):
                break

    def write(self) -> None:
        if len(self.queued) < 3:
            delay = self.rng.choice((0.0, 0.0, 10.0))
            self.queued.append(
                queue(self.world, len(self.queued), delay=delay, size=self.rng.choice((0, 0, 0, 40_000)))
            )

    def fault(self) -> None:
        kind = self.rng.choice(FAULTS)
        start = self.rng.randint(1, 3)
        path = self.rng.choice((API, SENDING, r"/send(\?|$)"))
        self.world.sandbox.faults.add(**{"path": path, "nth": (start, start + 2), "times": 2, **kind})  # type: ignore[arg-type]

    def step(self, *, patient: bool = False) -> None:
        outcome = self.world.step()
        if outcome.error:
            self.world.sync.resume()  # the user signs in again, looks at what is said, goes on
        waits = (max(outcome.wait, 1.0),) if patient else (0.5, max(outcome.wait, 0.1), 40.0)
        self.world.clock.advance(self.rng.choice(waits))
        self.world.sandbox.clock.offset = self.world.clock.now - self.world.started

    def restart(self) -> None:
        self.world.reopen()

    def absence(self) -> None:
        self.down = not self.down
        if self.down:
            self.world.sandbox.pause()
        else:
            self.world.sandbox.resume()

    def undo(self) -> None:
        for one in self.queued:
            if one.id not in self.undone and self.world.store.unsend(one.id) is not None:
                self.undone.add(one.id)

    def remove(self) -> None:
        """Another client throws a draft away; rarely, for then nobody can know."""
        if self.rng.random() < 0.1:
            for one in drafts(self.world):
                self.world.server.delete(self.world.server.key_of(one))
                self.removed = True

    def undecided(self, *, quiet: bool = False) -> list[Outgoing]:
        found = [one for one in self.world.store.outgoing((SendState.UNKNOWN,)) if "may have been sent" in one.error]
        return found if not quiet or len(found) == len(self.world.store.outgoing(OPEN)) else []

    def judge(self) -> Counter[str]:
        """Nobody gets a message twice; nobody misses one of which we say, or let believe, that it went."""
        counts = Counter(deliveries(self.world))
        told: Counter[str] = Counter()
        for one in self.queued:
            now = state(self.world, one)
            arrived = counts.pop(one.recipients[0], 0)
            assert arrived <= 1, "sent twice"
            if one.id in self.undone:
                assert arrived == 0, "sent though undone"
            elif now.state is SendState.UNKNOWN:
                assert self.removed, f"unknown without a cause: {now.error}"
            else:
                assert now.state is SendState.SEEN, f"{now.state}: {now.error}"
                assert arrived == 1, "lost"
            told[now.state] += 1
        assert not counts
        return told


@pytest.fixture(scope="module")
def office() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_message_is_sent_twice_or_lost_and_what_is_undecided_is_told(
    office: Sandbox, tmp_path: Path, provider: str, part: int
) -> None:
    told: Counter[str] = Counter()
    for seed in range(FIRST + part, FIRST + SEEDS, 10):
        address = f"{provider}{seed}@example.com"
        office.limits = Limits()
        office.clock.offset = 0.0
        office.add_user(User(address, provider))
        world = World(office, provider, tmp_path / str(seed), address=address)
        posting = Posting(world, seed)
        try:
            posting.live()
            told += posting.judge()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        finally:
            world.close()
            office.faults.clear()
            office.ledger.clear()
            del office.users[address]
    print(f"{provider} {part}: {dict(told)}")
    assert told
    assert not office.ledger.failures
