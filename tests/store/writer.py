"""The process that test_drafts kills while it types, attaches, discards and queues; each promise is told on stdout."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

from crmmail.model import Draft
from crmmail.store import Store
from tests.store.told import GMAIL
from tests.store.worker import tell


def write(store: Store, random_: random.Random, turn: int) -> None:
    """One message from its first letter to one of its ends."""
    draft = store.new_draft(Draft(0, "work", subject=f"s{turn}", text="0"))
    tell("draft", draft.id, draft.revision, "open")
    for step in range(1, random_.randint(2, 12)):
        if random_.random() < 0.25:
            draft = store.enclose(draft.id, f"f{step}", "text/plain", random_.randbytes(random_.randint(1, 200_000)))
        else:
            draft = store.save_draft(replace(draft, text=draft.text + f" {step}", cursor=step))
        tell("draft", draft.id, draft.revision, "open")
    end = random_.random()
    if end < 0.3:
        store.discard_draft(draft.id)
        tell("draft", draft.id, draft.revision, "discarded")
        if end < 0.15:
            store.undo()
            tell("draft", draft.id, draft.revision, "open")
    elif end < 0.7:
        mime = draft.text.encode() * 1000
        queued = store.queue(draft, mime, f"<{random_.random()}@x>", f"token-{random_.random()}", 0)
        tell("queued", queued.id, draft.id)
        if end < 0.5 and (claimed := store.claim_outgoing("work", 4e9)) is not None:
            tell("claimed", claimed.id, claimed.attempts)


def main(directory: str, seed: str) -> None:
    random_ = random.Random(int(seed))
    store = Store.open(Path(directory))
    store.register(GMAIL)
    store.release_outgoing("work")
    tell("open")
    turn = 0
    while True:
        turn += 1
        write(store, random_, turn)


if __name__ == "__main__":
    main(*sys.argv[1:])
