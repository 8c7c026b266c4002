"""The process that `send_kills` ends: queues a few messages and sends them, going on where an earlier one was ended.

    python -m tests.faults.poster DIRECTORY PROVIDER URL TOKEN ADDRESS

`DIRECTORY/queued` gets a line for every message once the store has taken it: that is the promise. Waits pass at once.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from crmmail.model import Address, Draft
from crmmail.store import Store
from crmmail.sync import RemoteSync
from tests.faults import world
from tests.faults.posting import OPEN, letter
from tests.waiting import Clock

SIZES = (0, 0, 3_500_000, 0)


def main(directory: Path, provider: str, url: str, token: str, address: str) -> None:
    clock = Clock(now=time.time())
    store = Store.open(directory / "store", clock=clock)
    remote = world.connect(provider, url, world.Bearer(token))
    store.register(world.mailbox(provider, remote.capabilities))
    sync = RemoteSync(store, remote, clock, timer=clock.timer, rng=random.Random(1))
    for number, size in enumerate(SIZES):
        queue(store, provider, address, number, size)
        with (directory / "queued").open("a") as book:
            book.write(f"token-{number}\n")
    for _ in range(60):
        outcome = sync.step()
        if not store.outgoing(OPEN):
            break
        clock.advance(max(outcome.wait, 0.01))
    else:
        raise SystemExit(f"not settled: {[one.state for one in store.outgoing()]} {outcome.phase}")
    for _ in range(2):
        sync.step()
    (directory / "done").write_text("done")


def queue(store: Store, provider: str, address: str, number: int, size: int) -> None:
    """Write and queue a message, unless an earlier process did, at whichever step it was ended."""
    token = f"token-{number}"
    if any(one.token == token for one in store.outgoing()):
        return
    subject = f"{world.SECRET} outgoing {number}"
    draft = next((one for one in store.drafts() if one.subject == subject), None)
    if draft is None:
        person = Address("", f"friend{number}@example.net")
        draft = store.new_draft(Draft(0, provider, address, to=(person,), subject=subject))
    store.queue(draft, letter(address, number, size=size), f"<out{number}@example.com>", token)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:6])
