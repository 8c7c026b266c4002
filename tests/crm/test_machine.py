"""Random events: at every moment each message is linked, ignored or queued, and nothing depends on the order of things.

CRMMAIL_EVENTS (10,000 for the whole) and CRMMAIL_SEED choose more, and which.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

from crmmail.crm.model import (
    Account,
    Contact,
    CrmCapabilities,
    CrmPage,
    LogEntry,
    LogSetting,
    NeverBy,
    RemoteAccount,
    RemoteContact,
    Scope,
    Visibility,
)
from crmmail.model import Address, Headers, Incoming, Page, Query, State
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.store.choices import Setting
from tests.store.told import BORN_MS, GMAIL, OUTLOOK, Clock, check

EVENTS = int(os.environ.get("CRMMAIL_EVENTS", "400"))
SEED = int(os.environ.get("CRMMAIL_SEED", "395444631"))  # merged accounts, tombstones and rematches meet in it
ME = "ana@acme.example"
HOSTS = ("alfa.example", "beta.example", "gama.example", "mail.alfa.example", "gmail.com", "acme.example")


class World:
    """A store, what its servers hold, and a hand that does anything at all."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.choose = random.Random(seed)
        self.mail: dict[str, dict[str, Incoming]] = {"work": {}, "home": {}}
        self.born = 0

    def somebody(self) -> str:
        return f"p{self.choose.randrange(4)}@{self.choose.choice(HOSTS)}"

    def some(self) -> list[int]:
        every = [
            number for box in self.mail for name in self.mail[box] if (number := self.store.find(box, name)) is not None
        ]
        return self.choose.sample(every, min(len(every), self.choose.randrange(1, 3)))

    def account(self) -> str:
        rows = self.store.accounts("", 0, 50)
        return self.choose.choice(rows).id if rows else ""

    def event(self) -> None:
        self.choose.choices(
            (self.hear, self.move, self.forget, self.act, self.link, self.keep_account, self.keep_contact, self.rules,
             self.merge, self.turn, self.look_again),
            (8, 3, 2, 3, 4, 2, 2, 1, 1, 2, 4),
        )[0]()  # fmt: skip

    def hear(self) -> None:
        self.born += 1
        number = self.born
        sent = self.choose.random() < 0.3
        other, third = self.somebody(), self.somebody()
        people = (Address("", other), *([Address("", third)] if self.choose.random() < 0.3 else []))
        told = Headers(
            self.choose.choice(("Oi b", "[private] b", "Re: Oi b")), Address("", ME if sent else other),
            to=people if sent else (Address("", ME), *people[1:]), message_id=f"<{number}@x.example>",
            list_id="<l>" if self.choose.random() < 0.05 else "", bulk=self.choose.random() < 0.05,
        )  # fmt: skip
        thread = f"t{self.choose.randrange(12)}" if self.choose.random() < 0.5 else ""
        folder = self.choose.choice(("sent",) if sent else ("inbox", "inbox", "spam", "archive", "trash"))
        letter = Incoming(
            f"m{number}", State(frozenset({folder}), unread=self.choose.random() < 0.5),
            BORN_MS + self.choose.randrange(1, 10**6) * 1000, headers=told, remote_thread=thread or f"alone{number}",
        )  # fmt: skip
        for box in ("work", "home")[: self.choose.choice((1, 1, 1, 2))]:
            self.mail[box][letter.remote_id] = letter
            self.store.ingest(box, Page("c", (letter,)))

    def _one(self) -> tuple[str, Incoming] | None:
        box = self.choose.choice(("work", "home"))
        return (box, self.choose.choice(list(self.mail[box].values()))) if self.mail[box] else None

    def move(self) -> None:
        if (found := self._one()) is not None:
            box, letter = found
            state = State(frozenset({self.choose.choice(("inbox", "spam", "trash", "drafts"))}), unread=True)
            self.mail[box][letter.remote_id] = moved = replace(letter, state=state)
            self.store.ingest(box, Page("c", (moved,)))

    def forget(self) -> None:
        if (found := self._one()) is not None:
            del self.mail[found[0]][found[1].remote_id]
            self.store.allow_mass_removal(found[0])  # the fuse is not what this is about
            self.store.ingest(found[0], Page("c", removals=(found[1].remote_id,)))

    def act(self) -> None:
        self.store.perform(self.choose.choice((Verb.READ, Verb.UNREAD, Verb.FAVORITE)), self.some())

    def link(self) -> None:
        account = self.account()
        scope = self.choose.choice((Scope.MESSAGE, Scope.THREAD))
        some = self.some()
        if not account or not some:
            return
        if self.choose.random() < 0.5:
            self.store.link(some, account, scope, also=self.choose.random() < 0.2)
        else:
            self.store.unlink(some, account, scope)

    def keep_account(self) -> None:
        known = self.account() if self.choose.random() < 0.5 else ""
        host = self.choose.choice(HOSTS[:3])
        self.store.save_account(Account(known, f"Conta {host}", domains=(host,) if self.choose.random() < 0.7 else ()))
        if known and self.choose.random() < 0.3:
            self.store.remove_account(known)

    def keep_contact(self) -> None:
        if account := self.account():
            self.store.save_contact(Contact("", account, "", addresses=(self.somebody(),)))

    def rules(self) -> None:
        if self.choose.random() < 0.3:
            self.store.set_ourselves(Setting(frozenset(self.choose.sample(HOSTS[1:3], self.choose.randrange(2)))))
        else:
            change = self.store.never if self.choose.random() < 0.5 else self.store.allow
            change(NeverBy.ADDRESS, self.somebody())
            change(NeverBy.TAG, "[private]")

    def merge(self) -> None:
        self.store.merge_accounts(self.account(), [self.account()])

    def turn(self) -> None:
        (self.store.undo if self.choose.random() < 0.6 else self.store.redo)()

    def look_again(self) -> None:
        while self.store.rematch_step(self.choose.choice((1, 7, 250))):
            if self.choose.random() < 0.2:
                return

    def verdicts(self) -> dict[tuple[str, str], object]:
        found = {}
        for box, letters in self.mail.items():
            for name in letters:
                number = self.store.find(box, name)
                assert number is not None
                told = self.store.verdict(number)
                links = tuple(sorted((link.account, link.reason, link.detail) for link in told.links))
                found[box, name] = (told.bound, links, told.why, frozenset(one.account for one in told.candidates))
        return found


def test_linked_ignored_and_queued_are_all_whatever_happens(store: Store, directory: Path, clock: Clock) -> None:
    print(f"CRMMAIL_SEED={SEED}")
    world = World(store, SEED)
    for turn in range(EVENTS):
        world.event()
        if turn % 20 == 0:
            held = sum(len(letters) for letters in world.mail.values())
            assert sum(store.bound_counts().values()) == held
    while store.rematch_step():
        pass
    check(store)
    before = world.verdicts()
    lists = {row.id: store.count(Query(account=row.id)) for row in store.accounts("", 0, 500)}
    states = {key: store.states([store.find(*key) or 0]) for key in before}
    store.close()
    for file in directory.glob("cache.db*"):
        file.unlink()
    with Store.open(directory, clock=clock) as again:
        world.store = again
        for box in (GMAIL, OUTLOOK):
            again.register(box)
            letters = list(world.mail[box.id].values())
            world.choose.shuffle(letters)
            again.ingest(box.id, Page("c", tuple(letters)))
        while again.rematch_step():
            pass
        check(again)
        assert world.verdicts() == before
        assert {row.id: again.count(Query(account=row.id)) for row in again.accounts("", 0, 500)} == lists
        assert {key: again.states([again.find(*key) or 0]) for key in before}.keys() == states.keys()


MAILS = int(os.environ.get("CRMMAIL_MAILS", "300"))


def test_two_customers_never_see_each_others_mail(store: Store, clock: Clock) -> None:
    print(f"CRMMAIL_SEED={SEED}")
    choose = random.Random(SEED)
    clock.now = BORN_MS / 1000
    store.register_crm("crm", CrmCapabilities(log=True))
    sides = ("alfa", "beta")
    store.mirror(
        "crm",
        CrmPage(
            "1",
            tuple(RemoteAccount(side, side.title(), (f"{side}.example",)) for side in sides),
            tuple(RemoteContact(f"c{side}", side, side, (f"boss@{side}.example",)) for side in sides),
        ),
    )
    accounts = {side: store.accounts(side)[0].id for side in sides}
    store.set_log_setting(LogSetting(True, Visibility.FULL), mailbox="work")
    meant: dict[int, str] = {}
    told: list[LogEntry] = []
    for number in range(MAILS):
        side = choose.choice(sides)
        raw = (
            f"From: {choose.choice(('boss', 'x', 'y'))}@{side}.example\r\nTo: {ME}\r\nMessage-ID: <{number}@x>\r\n"
            f"Subject: secret of {side}\r\n\r\nsecret of {side} {number}\r\n"
        ).encode()
        letter = Incoming(f"m{number}", State(frozenset({"inbox"})), BORN_MS + number * 1000, raw)
        store.ingest("work", Page("c", (replace(letter, remote_thread=f"{side}{number // 3}"),)))
        meant[store.find("work", f"m{number}") or 0] = side
        if choose.random() < 0.1:  # bound to the other side by mistake, and put right before anything leaves
            wrong = accounts[sides[side == "alfa"]]
            some = choose.choice(list(meant))
            right = accounts[meant[some]]
            wrong = accounts["beta" if meant[some] == "alfa" else "alfa"]
            store.link([some], wrong, choose.choice((Scope.MESSAGE, Scope.THREAD)))
            if choose.random() < 0.5:
                store.undo()
            else:
                store.link([some], right, Scope.THREAD)
        if choose.random() < 0.2:
            while store.log_step():
                pass
            told += [one for one in store.claim_log("crm", 500) if isinstance(one, LogEntry)]
    while store.log_step() or store.rematch_step():
        pass
    told += [one for one in store.claim_log("crm", MAILS) if isinstance(one, LogEntry)]
    for side, account in accounts.items():
        other = sides[side == "alfa"]
        listed = store.ids(Query(account=account))
        assert [number for number in listed if meant[number] != side] == []
        assert len(listed) == list(meant.values()).count(side)
        assert [row.subject for row in store.window(Query(account=account), 0, MAILS) if other in row.subject] == []
        assert f"secret of {other}" not in repr([entry for entry in told if entry.account == side])
    assert len(told) > MAILS * 0.7
