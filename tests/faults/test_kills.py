"""Rows K02–K04 for syncing and operations: ended at each numbered point or at any moment, the end is the same.

After mbsync's scheme: an undisturbed run shows the end state and how many points there are; then one run is ended at
each point, the next one goes on, and both sides must end as if nothing had happened. `CRMMAIL_KILLS` sets how many
ends of each kind are tried for each provider (0: every point).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crmmail.model import State
from crmmail.sandbox import Sandbox, User
from crmmail.store import Store
from tests.faults import ended
from tests.faults import world as worlds
from tests.faults.world import PROVIDERS, SCOPES

KILLS = int(os.environ.get("CRMMAIL_KILLS", "8"))
MESSAGES = 60
NOON = 1_790_000_000.0


@dataclass
class Case:
    """One mailbox of its own and the process that syncs it."""

    sandbox: Sandbox
    provider: str
    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True)
        self.address = f"{self.directory.name}@example.com"
        self.sandbox.add_user(User(self.address, self.provider))
        self.server = self.sandbox.users[self.address].mailbox
        for number in range(MESSAGES):
            received = int(NOON * 1000) - (MESSAGES - number) * 60_000
            self.server.add(worlds.letter(number), folder="inbox", unread=True, received_ms=received)
        self.token = self.sandbox.grants.issue(self.address, SCOPES[self.provider], lifetime=1e9)

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        return ended.started(
            "victim", str(self.directory), self.provider, self.sandbox.http_url, self.token, **environment
        )

    def run(self, **environment: str) -> int:
        """Run to the end, whichever; the return code (negative: the signal)."""
        return ended.ran(self.start(**environment))

    def finish(self) -> tuple[dict[int, State], dict[int, State]]:
        """Go on to the end as the next process; both sides by the server's key, for ids differ between users."""
        assert self.run() == 0
        assert (self.directory / "done").exists()
        ended.intact(self.directory / "store")
        with Store.open(self.directory / "store") as store:
            assert store.outbox() == []
            local = worlds.here(store, self.provider)
        key = self.server.key_of
        return (
            {key(one): state for one, state in local.items()},
            {key(one): state for one, state in worlds.there(self.server).items()},
        )


@dataclass
class Undisturbed:
    """What happens when nobody interferes: the end state and the points passed on the way there."""

    end: dict[int, State]
    points: list[str]
    seconds: float


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with worlds.sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Undisturbed]:
    found = {}
    for provider in PROVIDERS:
        case = Case(sandbox, provider, tmp_path_factory.mktemp("undisturbed") / f"calm-{provider}")
        log = case.directory / "points"
        started = time.monotonic()
        assert case.run(CRMMAIL_FAULT_LOG=str(log)) == 0
        seconds = time.monotonic() - started
        local, remote = case.finish()
        assert local == remote
        found[provider] = Undisturbed(remote, log.read_text().split(), seconds)
    return found


def chosen(count: int, wanted: int) -> list[int]:
    """`wanted` of the points 1 … `count`, evenly spread; all when 0."""
    if not wanted or wanted >= count:
        return list(range(1, count + 1))
    return sorted({1 + round(step * (count - 1) / (wanted - 1)) for step in range(wanted)})


def agrees(case: Case, calm: Undisturbed, *, twice: bool = False) -> None:
    """The end is the undisturbed one; `twice` also runs once more and sees that nothing changes."""
    local, remote = case.finish()
    assert local == remote
    assert remote == calm.end
    if not twice:
        return
    writes = len(case.sandbox.ledger.accepted(case.address))
    assert case.finish() == (local, remote)
    assert len(case.sandbox.ledger.accepted(case.address)) == writes


@pytest.mark.parametrize("provider", PROVIDERS)
def test_k02_killed_at_a_numbered_point_the_end_is_the_same(
    sandbox: Sandbox, undisturbed: dict[str, Undisturbed], tmp_path: Path, provider: str
) -> None:
    calm = undisturbed[provider]
    assert len(set(calm.points)) >= 5
    for point in chosen(len(calm.points), KILLS):
        case = Case(sandbox, provider, tmp_path / f"{provider}-point-{point}")
        assert case.run(CRMMAIL_FAULT_AT=str(point)) == -signal.SIGKILL
        agrees(case, calm, twice=point % 4 == 0)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_k02_killed_again_and_again_on_the_way_the_end_is_the_same(
    sandbox: Sandbox, undisturbed: dict[str, Undisturbed], tmp_path: Path, provider: str
) -> None:
    case = Case(sandbox, provider, tmp_path / f"{provider}-again")
    for point in (3, 5, 8, 13, 21, 34):
        if case.run(CRMMAIL_FAULT_AT=str(point)) == 0:
            break
    agrees(case, undisturbed[provider], twice=True)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_k03_other_ends_are_no_worse_than_a_kill(
    sandbox: Sandbox, undisturbed: dict[str, Undisturbed], tmp_path: Path, name: str
) -> None:
    for provider in PROVIDERS:
        calm = undisturbed[provider]
        for point in chosen(len(calm.points), 3)[1:]:
            case = Case(sandbox, provider, tmp_path / f"{provider}-{name.lower()}-{point}")
            assert case.run(CRMMAIL_FAULT_AT=str(point), CRMMAIL_FAULT_SIGNAL=name) != 0
            agrees(case, calm)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_k04_killed_at_random_moments_no_acknowledged_act_is_lost(
    sandbox: Sandbox, undisturbed: dict[str, Undisturbed], tmp_path: Path, provider: str
) -> None:
    calm = undisturbed[provider]
    rng = random.Random(os.environ.get("CRMMAIL_SEED", "4"))
    for number in range(KILLS or 100):
        case = Case(sandbox, provider, tmp_path / f"{provider}-moment-{number}")
        ended.killed_after(case.start(), rng.uniform(0.3, 1.1) * calm.seconds)
        agrees(case, calm, twice=number % 4 == 0)
