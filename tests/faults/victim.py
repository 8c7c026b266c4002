"""The process the kill tests end: fills a mailbox, acts on it and syncs, and goes on where an earlier one was ended.

    python -m tests.faults.victim DIRECTORY PROVIDER URL TOKEN

`DIRECTORY/acknowledged` gets a line for every act once the store has returned from it; that is the promise the tests
hold it to. Which act comes next is read from the journal, as a user would go on after a crash.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from crmmail.model import OpState, Query
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.sync import RemoteSync
from tests.faults import world

ACTS = 24
UNDO_EVERY = 5


def main(directory: Path, provider: str, url: str, token: str) -> None:
    store = Store.open(directory / "store")
    remote = world.connect(provider, url, world.Bearer(token))
    store.register(world.mailbox(provider, remote.capabilities))
    sync = RemoteSync(store, remote, rng=random.Random(1))
    settle(store, sync)
    live(store, sync, provider, directory / "acknowledged")
    settle(store, sync)
    (directory / "done").write_text("done")


def settle(store: Store, sync: RemoteSync) -> None:
    """Step until a step has nothing left to do."""
    for _ in range(200):
        outcome = sync.step()
        pending = [op for op in store.outbox() if op.state in (OpState.PENDING, OpState.SENDING)]
        if not (outcome.more or outcome.changed or outcome.pushed or outcome.error or pending):
            return
    raise SystemExit(f"not settled: {outcome.phase} {type(outcome.error).__name__} {outcome.sentence}")


def live(store: Store, sync: RemoteSync, provider: str, acknowledged: Path) -> None:
    """Act after act, an undo now and then, a step after some: from where the journal says that we are."""
    promised = len(acknowledged.read_text().splitlines()) if acknowledged.exists() else 0
    plan = script()
    position = where(store, plan)
    if position < promised:
        raise SystemExit(f"lost: {promised} deeds were acknowledged, {position} are in the journal")
    for number in range(position, len(plan)):
        deed(store, provider, plan[number])
        with acknowledged.open("a") as book:
            book.write(f"{number}\n")
        if number % 3 == 2:
            sync.step()


def script() -> list[str]:
    """What the user does: acts by number, each on its own message, and undos."""
    plan: list[str] = []
    for number in range(ACTS):
        plan.append(str(number))
        if number % UNDO_EVERY == UNDO_EVERY - 1:
            plan.append("undo")
    return plan


def where(store: Store, plan: list[str]) -> int:
    """How many deeds of `plan` the journal holds: each leaves one act more, or one act undone more."""
    acts = store.acts(1000)
    goal = (len(acts), sum(act.state in ("undone", "dead") for act in acts))
    made = undone = 0
    for position, one in enumerate(plan):
        if (made, undone) == goal:
            return position
        undone += one == "undo"
        made += one != "undo"
    return len(plan)


def deed(store: Store, provider: str, what: str) -> None:
    if what == "undo":
        if store.undo() is None:
            raise SystemExit("nothing to undo")
        return
    number = int(what)
    ids = target(store, provider, number)
    able = {box.id: box.capabilities for box in store.mailboxes()}[provider]
    verbs = [Verb.TRASH, Verb.READ, Verb.ARCHIVE, Verb.FAVORITE if able.favorites else Verb.READ]
    if store.perform(verbs[number % len(verbs)], ids) is None:
        raise SystemExit(f"act {number} was not possible")


def target(store: Store, provider: str, number: int) -> list[int]:
    """The messages of act `number`: by subject, for lists move while acts are made."""
    wanted = {f"{world.SECRET} subject {number * 2 + more}" for more in (0, 1)}
    keys = [folder.key for folder in store.folders(provider) if folder.role not in ("favorites", "all")]
    rows = [row for key in keys for row in store.window(Query(provider, key), 0, 1000)]
    return [row.id for row in rows if row.subject in wanted]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
