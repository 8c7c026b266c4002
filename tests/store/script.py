"""The process that test_steps ends at every numbered point: a fixed day of mail against a server in a file.

It can be run again after any end and goes on where it was: the user's deeds are done until the journal has them, the
server's pages are told from the stored cursor on, and wishes are made until they are answered.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from crmmail import ops
from crmmail.errors import Rejected
from crmmail.model import Ack, Patch, Wish
from crmmail.ops import Verb
from crmmail.store import Store
from tests.store.told import GMAIL, INBOX, mail, page, shown, state

PAGES = (
    page(*(mail(number, state("inbox", unread=True)) for number in range(6)), cursor="1"),
    page(mail(6), patches=(Patch("m0", state=state("inbox", starred=True)),), cursor="2"),
    page(mail(7), removals=("m5",), cursor="3", complete=True),
)
DEEDS = ((Verb.TRASH, (4, 3)), (Verb.FAVORITE, (2,)), None, (Verb.READ, (1, 2)), (Verb.TRASH, (1,)), None)


class Server:
    """Labels in a file; every wish may come twice."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def apply(self, wish: Wish) -> Ack:
        if wish.remote_id == "m3":
            return Ack(wish.remote_id, error=Rejected("Never this one."))
        known = json.loads(self._path.read_text()) if self._path.exists() else {}
        before = ops.load_state(known[wish.remote_id]) if wish.remote_id in known else wish.base
        known[wish.remote_id] = ops.dumps(ops.apply(before, wish.delta))
        self._path.write_text(json.dumps(known))
        return Ack(wish.remote_id)


def do(store: Store, turn: int) -> None:
    """Deed number `turn`, unless the journal already has it: an act has a number, an undone one says so."""
    deed = DEEDS[turn]
    acts = sorted(store.acts(100), key=lambda act: act.id)
    performed = sum(one is not None for one in DEEDS[: turn + 1])
    if deed is not None and len(acts) < performed:
        verb, numbers = deed
        store.perform(verb, [store.find("work", f"m{number}") or 0 for number in numbers])
    elif deed is None and len(acts) == performed and acts[-1].state == "done":
        store.undo()


def push(store: Store, server: Server) -> None:
    while wishes := store.claim("work", 2):
        store.acknowledge("work", [server.apply(wish) for wish in wishes])


def main(root: str) -> None:
    server = Server(Path(root) / "server.json")
    with Store.open(Path(root) / "profile") as store:
        store.register(GMAIL)
        for told in PAGES:
            if store.cursor("work") < told.cursor:
                store.ingest("work", told)
            for turn in range((int(told.cursor) - 1) * 2, int(told.cursor) * 2):
                do(store, turn)
            push(store, server)
        end = {name: ops.dumps(of) for name, of in sorted(shown(store).items())}
        open_ops = [op.state for op in store.outbox()]
        print(json.dumps([end, store.count(INBOX), open_ops, [act.state for act in store.acts(100)]]))


if __name__ == "__main__":
    main(*sys.argv[1:])
