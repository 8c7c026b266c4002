"""kill -9 at random moments: both files stay whole and nothing that was promised is lost (faults.json K02, K04)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from crmmail.store import Store
from tests.store.told import GMAIL, INBOX, check, rows

KILLS = int(os.environ.get("CRMMAIL_KILLS", "60"))
CHECKED_EVERY = 5  # the whole invariant is slower than a kill


def killed(directory: Path, seed: int, after: float) -> list[list[str]]:
    """Run the worker, kill it `after` seconds of work; what it had told by then."""
    root = Path(__file__).parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.store.worker", str(directory), str(seed)],
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
    )
    assert worker.stdout is not None
    told = [worker.stdout.readline().split()]
    assert told[0] == ["open"]
    time.sleep(after)  # the moment is what is random here
    worker.kill()
    told += [line.split() for line in worker.stdout.read().splitlines()]
    worker.wait()
    worker.stdout.close()
    return told


def test_nothing_promised_is_lost_by_a_kill_at_any_moment(directory: Path) -> None:
    seed = int(os.environ.get("CRMMAIL_KILL_SEED", str(random.randrange(1 << 30))))
    print(f"CRMMAIL_KILL_SEED={seed}")
    random_ = random.Random(seed)
    acts: dict[int, str] = {}
    pages = promised = 0
    # On a loaded machine a process may promise little before its end: go on until the kills had something to lose.
    for turn in range(KILLS * 5):
        if turn >= KILLS and promised > KILLS:
            break
        told = killed(directory, random_.randrange(1 << 30), random_.random() * 0.15)
        for words in told:
            if words[:1] == ["act"] and len(words) == 3:
                acts[int(words[1])] = words[2]
                promised += 1
            elif words[:1] == ["page"] and len(words) == 2:
                pages = int(words[1])
        with Store.open(directory) as store:
            store.register(GMAIL)
            assert not store.notices
            _holds(store, acts, pages, thorough=turn % CHECKED_EVERY == 0 or turn >= KILLS - 1)
            pages = int(store.cursor("work") or 0)
    assert promised > KILLS


def _holds(store: Store, acts: dict[int, str], pages: int, *, thorough: bool) -> None:
    for name in ("main", "cache"):
        assert rows(store, f"PRAGMA {name}.quick_check") == [("ok",)]
    assert int(store.cursor("work") or 0) >= pages
    assert len(rows(store, "SELECT id FROM message")) == int(store.cursor("work") or 0)
    here = {act.id: act.state for act in store.acts(1_000_000)}
    assert set(acts) <= set(here)
    # One deed may have been promised to the disk and killed before it was told; whatever was told is so, or was
    # turned (undone, redone, dead) by that one.
    differing = [number for number, state in acts.items() if here[number] != state and here[number] != "dead"]
    assert len(differing) <= 1
    acts.update(here)
    assert store.count(INBOX) == len(store.ids(INBOX))
    if thorough:
        check(store)
