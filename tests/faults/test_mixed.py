"""Everything at once: the user, other clients, faults, restarts and absences, mixed by a seed.

`CRMMAIL_SEEDS` sets how many mixtures are tried for each provider; a failing seed is in the test's name.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from crmmail.model import State
from crmmail.ops import Verb
from tests.faults.world import PROVIDERS, World, letter

SEEDS = int(os.environ.get("CRMMAIL_SEEDS", "6"))
DEEDS = 60
API = r"/(gmail|batch|v1\.0)"
VERBS = [verb for verb in Verb if verb not in (Verb.DELETE, Verb.RESTORE)]
FAULTS = (
    {"kind": "reset_unread"},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate", "at": 60},
    {"kind": "bad_json"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 500, "headers": {"Retry-After": "20"}},
    {"kind": "late_status", "status": 502},
    {"kind": "page_repeat"},
    {"kind": "page_overlap"},
    {"kind": "expired"},
)


class Mixture:
    """One life by chance. Half of the messages are the user's to change, the others are left to other clients."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        world.furnish(40)
        world.settle()
        # Gmail refuses labels on drafts, stars among them: a refusal has its own tests.
        ids = sorted(one for one, state in world.there().items() if "drafts" not in state.folders)
        self.mine = ids[::2]
        self.theirs = ids[1::2]
        self.wished = {one: state for one, state in world.here().items() if one in self.mine}
        self.down = False

    def live(self) -> None:
        deeds = [self.act, self.act, self.act, self.undo, self.redo, self.other, self.other, self.fault, self.step]
        deeds += [self.step, self.step, self.restart, self.absence, self.forget]
        for _ in range(DEEDS):
            self.rng.choice(deeds)()
        if self.down:
            self.world.sandbox.resume()
        self.world.sandbox.faults.clear()
        self.world.settle()

    def look(self) -> None:
        """What the user sees of the messages only the user changes is what must come of them."""
        shown = self.world.here()
        self.wished = {one: shown[one] for one in self.mine}

    def act(self) -> None:
        self.world.perform(self.rng.choice(VERBS), self.rng.sample(self.mine, self.rng.randint(1, 6)))
        self.look()

    def undo(self) -> None:
        self.world.store.undo()
        self.look()

    def redo(self) -> None:
        self.world.store.redo()
        self.look()

    def other(self) -> None:
        server = self.world.server
        what = self.rng.randrange(4)
        alive = [one for one in self.theirs if one in self.world.there()]
        if what == 0 or not alive:
            server.deliver(letter(5000 + len(server.events)))
            return
        key = server.key_of(self.rng.choice(alive))
        if what == 1:
            server.delete(key)
        elif what == 2:
            server.trash(key)
        else:
            server.modify(key, add=["UNREAD"] if self.rng.random() < 0.5 else [], remove=["UNREAD"])

    def fault(self) -> None:
        kind = self.rng.choice(FAULTS)
        start = self.rng.randint(1, 6)
        self.world.sandbox.faults.add(**{"path": API, "nth": (start, start + 2), "times": 2, **kind})  # type: ignore[arg-type]

    def step(self) -> None:
        outcome = self.world.step()
        self.world.clock.advance(self.rng.choice((0.1, max(outcome.wait, 0.1))))

    def restart(self) -> None:
        self.world.reopen()

    def absence(self) -> None:
        self.down = not self.down
        if self.down:
            self.world.sandbox.pause()
        else:
            self.world.sandbox.resume()

    def forget(self) -> None:
        if self.rng.random() < 0.3:
            self.world.server.expire_cursors()


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_whatever_happens_both_sides_end_as_the_user_wished(
    make: Callable[..., World], provider: str, seed: int
) -> None:
    mixture = Mixture(make(provider), seed)
    mixture.live()
    world = mixture.world
    final: dict[str, State] = world.there()
    assert not world.rejected()
    assert {one: final.get(one) for one in mixture.mine} == mixture.wished
    world.rest()
