"""Any order of deeds, answers, refusals, pages, undos and restarts keeps every invariant of `told.check`.

The machine plays a server beside the store. What the server grants it applies to its own copy, so that at the end,
when everything is sent and told, both sides must be the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crmmail import ops
from crmmail.errors import Rejected
from crmmail.model import Ack, Delta, Incoming, Patch, State, Wish
from crmmail.ops import Verb
from crmmail.store import Store
from tests.store.told import GMAIL, OUTLOOK, Clock, check, mail, page, shown, state

NUMBERS = st.integers(0, 9)
FOLDERS = st.sampled_from([("inbox",), ("inbox", "x:1"), ("x:1",), ("trash",), ("spam",), ("sent",), ()])
STATES = st.builds(
    lambda folders, unread, starred: state(*folders, unread=unread, starred=starred), FOLDERS, *([st.booleans()] * 2)
)
MOVES = st.sampled_from(["inbox", "trash", "x:1", "archive"])
VERBS = st.sampled_from([verb for verb in Verb if verb is not Verb.RESTORE])
EXAMPLES = int(os.environ.get("CRMMAIL_MACHINE_EXAMPLES", "25"))


class Sides(RuleBasedStateMachine):
    """A store and the two servers it mirrors."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="crmmail-machine-"))
        self.clock = Clock()
        self.servers: dict[str, dict[str, State]] = {"work": {}, "home": {}}
        self.flying: dict[str, dict[str, Wish]] = {"work": {}, "home": {}}
        self._open()

    def _open(self) -> None:
        self.store = Store.open(self.root / "profile", clock=self.clock)
        self.store.register(GMAIL)
        self.store.register(OUTLOOK)

    @initialize()
    def first_pages(self) -> None:
        for mailbox in self.servers:
            for number in range(6):
                self._tell(mailbox, number, state("inbox", unread=number % 2 == 0))

    def _tell(self, mailbox: str, number: int, of: State) -> None:
        if mailbox == "home":
            of = State(frozenset(sorted(of.folders)[:1] or ["archive"]), of.unread)
        self.servers[mailbox][f"m{number}"] = of
        self.store.ingest(mailbox, page(self._incoming(mailbox, f"m{number}")))

    def _incoming(self, mailbox: str, name: str) -> Incoming:
        return mail(int(name[1:]), self.servers[mailbox][name], thread=f"t{int(name[1:]) % 4}")

    @rule(mailbox=st.sampled_from(["work", "home"]), number=NUMBERS, of=STATES)
    def server_tells(self, mailbox: str, number: int, of: State) -> None:
        if f"m{number}" not in self.flying[mailbox]:
            self._tell(mailbox, number, of)

    @rule(number=NUMBERS, add=MOVES, unread=st.none() | st.booleans())
    def server_tells_a_difference(self, number: int, add: str, unread: bool | None) -> None:
        server = self.servers["work"]
        name = f"m{number}"
        if name in self.flying["work"]:
            return
        delta = Delta(add=frozenset({add}), unread=unread)
        if name in server:
            server[name] = ops.apply(server[name], delta)
        self.store.ingest("work", page(patches=(Patch(name, delta=delta),)))

    @rule(mailbox=st.sampled_from(["work", "home"]), number=NUMBERS)
    def server_removes(self, mailbox: str, number: int) -> None:
        if f"m{number}" not in self.flying[mailbox]:
            self.servers[mailbox].pop(f"m{number}", None)
            self.store.ingest(mailbox, page(removals=(f"m{number}",)))

    @rule(mailbox=st.sampled_from(["work", "home"]))
    def server_tells_all(self, mailbox: str) -> None:
        if not self.flying[mailbox]:
            server = self.servers[mailbox]
            told = (self._incoming(mailbox, name) for name in server)
            self.store.ingest(mailbox, page(*told, keep=frozenset(server), complete=True))

    @rule(verb=VERBS, mailbox=st.sampled_from(["work", "home"]), numbers=st.lists(NUMBERS, min_size=1, max_size=5))
    def user_does(self, verb: Verb, mailbox: str, numbers: list[int]) -> None:
        ids = [found for number in numbers if (found := self.store.find(mailbox, f"m{number}"))]
        self.store.perform(verb, ids)

    @rule()
    def user_undoes(self) -> None:
        self.store.undo()

    @rule()
    def user_redoes(self) -> None:
        self.store.redo()

    @rule(which=st.integers(0, 20), keep=st.booleans())
    def user_answers_a_refusal(self, which: int, keep: bool) -> None:
        refused = [op for op in self.store.outbox() if op.error]
        if refused:
            (self.store.retry if keep else self.store.discard)(refused[which % len(refused)].act)

    @rule(mailbox=st.sampled_from(["work", "home"]), limit=st.integers(1, 5))
    def sync_claims(self, mailbox: str, limit: int) -> None:
        for wish in self.store.claim(mailbox, limit):
            assert wish.remote_id not in self.flying[mailbox]
            self.flying[mailbox][wish.remote_id] = wish

    @precondition(lambda self: any(self.flying.values()))
    @rule(refuse=st.sets(NUMBERS), own_word=st.booleans())
    def server_answers(self, refuse: set[int], own_word: bool) -> None:
        for mailbox, flying in self.flying.items():
            acks = [self._answer(mailbox, wish, refuse, own_word) for wish in flying.values()]
            flying.clear()
            self.store.acknowledge(mailbox, acks)

    def _answer(self, mailbox: str, wish: Wish, refuse: set[int], own_word: bool) -> Ack:
        server, name = self.servers[mailbox], wish.remote_id
        if name not in server:
            return Ack(name, error=Rejected("Gone.", gone=True))
        if int(name[1:]) in refuse:
            return Ack(name, error=Rejected("No."))
        after = ops.apply(server[name], wish.delta)
        if after.gone:
            del server[name]
        else:
            server[name] = after
        return Ack(name, state=after if own_word else None)

    @precondition(lambda self: any(self.flying.values()))
    @rule(wait=st.integers(0, 50))
    def sync_is_told_to_wait(self, wait: int) -> None:
        for mailbox, flying in self.flying.items():
            self.store.defer(mailbox, list(flying), self.clock.now + wait, "Later.")
            flying.clear()

    @rule()
    def time_passes(self) -> None:
        self.clock.now += 30

    @rule(lose_cache=st.booleans())
    def program_restarts(self, lose_cache: bool) -> None:
        self.store.close()
        for flying in self.flying.values():
            flying.clear()
        if lose_cache:
            for path in (self.root / "profile").glob("cache.db*"):
                path.unlink()
        self._open()
        if lose_cache:
            for mailbox in self.servers:
                self.server_tells_all(mailbox)

    @invariant()
    def everything_agrees(self) -> None:
        check(self.store)

    def teardown(self) -> None:
        try:
            self._settle()
        finally:
            self.store.close()
            shutil.rmtree(self.root)

    def _settle(self) -> None:
        """All is granted and told: nothing is left open, and both sides are the same."""
        self.clock.now += 1000
        for _turn in range(20):
            self.server_answers(set(), own_word=True)
            for mailbox in self.servers:
                self.sync_claims(mailbox, 100)
        for mailbox, server in self.servers.items():
            self.server_tells_all(mailbox)
            assert shown(self.store, mailbox) == server
        assert not [op for op in self.store.outbox() if not op.error]
        check(self.store)


Sides.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBothSides = Sides.TestCase
