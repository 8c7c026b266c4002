"""The process that test_kill kills: a mixed load on a store, each thing done told on stdout once it is promised.

Two threads as in the program: the user's acts and undos, and a sync that fills, claims and acknowledges.
"""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from crmmail.model import Ack
from crmmail.ops import Verb
from crmmail.store import Store
from tests.store.told import GMAIL, INBOX, TRASH, mail, page

_OUT = threading.Lock()
VERBS = (Verb.TRASH, Verb.READ, Verb.UNREAD, Verb.FAVORITE, Verb.UNFAVORITE, Verb.ARCHIVE)


def tell(*words: object) -> None:
    with _OUT:
        sys.stdout.write(" ".join(map(str, words)) + "\n")
        sys.stdout.flush()


def sync(store: Store, seed: int) -> None:
    random_ = random.Random(seed)
    number = int(store.cursor("work") or 0)
    while True:
        text = b"From: Rui <r@x>\r\n\r\n" + b"palavra " * random_.randint(1, 400)
        told = (mail(number + more, raw=text) for more in range(random_.randint(1, 20)))
        upserts = tuple(told)
        number += len(upserts)
        store.ingest("work", page(*upserts, cursor=str(number)))
        tell("page", number)
        wishes = store.claim("work", 10)
        store.acknowledge("work", [Ack(wish.remote_id) for wish in wishes if random_.random() < 0.8])
        store.release("work")


def user(store: Store, seed: int) -> None:
    random_ = random.Random(seed)
    while True:
        wanted = store.ids(random_.choice((INBOX, INBOX, TRASH)), random_.randint(0, 50), random_.randint(1, 5))
        deed = random_.random()
        if deed < 0.8:
            verb = Verb.RECOVER if wanted and random_.random() < 0.2 else random_.choice(VERBS)
            act = store.perform(verb, wanted)
        else:
            act = store.undo() if deed < 0.92 else store.redo()
        if act is not None:
            tell("act", act.id, act.state)


def main(directory: str, seed: str) -> None:
    store = Store.open(Path(directory))
    store.register(GMAIL)
    tell("open")
    threading.Thread(target=sync, args=(store, int(seed)), daemon=True).start()
    user(store, int(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])
