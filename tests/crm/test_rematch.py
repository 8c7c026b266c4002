"""What is looked at again after a change is enough: looking at all mail from scratch changes nothing more.

CRMMAIL_REMATCHES (30 unless told) and CRMMAIL_SEED choose how many changes, and which.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from crmmail.crm import match
from crmmail.crm.match import Own, People
from crmmail.crm.model import Ignored
from crmmail.model import Headers, Query
from crmmail.store import Store, binding, rematch
from crmmail.store.choices import Setting
from tests.crm.test_machine import SEED, World
from tests.store.test_belonging import letter
from tests.store.told import check, page, rows

CHANGES = int(os.environ.get("CRMMAIL_REMATCHES", "30"))
_BONDS = (
    "SELECT m.mailbox, m.remote_id, b.twin, b.people, b.evidence, b.bound, b.accounts, b.verdict, b.placed, b.flags "
    "FROM message m JOIN bond b ON b.message = m.id ORDER BY 1, 2"
)


class Spelling(World):
    """People write their address in several ways; those that mean the same person are known to."""

    def somebody(self) -> str:
        local, _at, host = super().somebody().partition("@")
        form = self.choose.choice(("{0}{1}", "{0}{1}", "{0}.{1}", "{0}{1}+x", "{0}.{1}+x"))
        if host == "gmail.com" and self.choose.random() < 0.3:
            host = "googlemail.com"
        return f"{form.format(local[0], local[1:])}@{host}"


def look(world: World, *, whole: bool) -> None:
    """Step through what is to be looked at again; to its end, or somewhere on the way."""
    while world.store.rematch_step(world.choose.choice((1, 3, 50, None))):
        if not whole and world.choose.random() < 0.3:
            return


def everything_again(store: Store) -> None:
    """Who takes part in every message, and whose it is, at once and as if nothing had been looked at before."""
    numbers = [int(str(row[0])) for row in rows(store, "SELECT id FROM message")]
    store._commit(lambda connection: binding.Binding(connection).run(numbers, afresh=True, reread=True))


def test_looking_at_what_a_change_touches_is_as_good_as_looking_at_everything(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"CRMMAIL_SEED={SEED}")
    monkeypatch.setattr(rematch, "STEP", 0)  # nothing at once: all of it in the steps of the background
    world = Spelling(store, SEED)
    for _turn in range(3):
        world.keep_account()
    for _turn in range(60):
        world.hear()
    changes: tuple[Callable[[], None], ...] = (
        world.keep_account, world.keep_contact, world.link, world.rules, world.merge, world.turn,
    )  # fmt: skip
    bound = set()
    for _turn in range(CHANGES):
        for whole in (False, True):
            world.choose.choice(changes)()
            world.choose.choice((world.hear, world.move, world.forget, world.act))()
            look(world, whole=whole)
        found = rows(store, _BONDS)
        everything_again(store)
        assert rows(store, _BONDS) == found
        bound |= {row[5] for row in found}
    check(store)
    assert bound == {"linked", "ignored", "queued"}


def test_a_conversation_of_many_months_is_read_once_when_who_we_are_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = [letter(number, f"p{number}@beta.example", thread=f"t{number % 20}") for number in range(200)]
    store.ingest("work", page(*letters, complete=True))
    while store.rematch_step():
        pass
    read: Counter[str] = Counter()
    people = match.read

    def counted(headers: Headers, flags: Iterable[str], own: Own) -> People:
        read[headers.message_id] += 1
        return people(headers, flags, own)

    monkeypatch.setattr(match, "read", counted)
    monkeypatch.setattr(rematch, "STEP", 0)
    store.set_ourselves(Setting(domains=frozenset({"beta.example"})))
    assert store.rematch_step(10)
    arrived = replace(letters[3], remote_id="late", received_ms=letters[150].received_ms + 1)
    store.ingest("work", page(arrived))
    while store.rematch_step(10):
        pass
    assert read.pop(letters[3].headers.message_id) <= 3  # two of it now, one read when it came
    assert set(read.values()) == {1}
    assert {store.verdict(number).why for number in store.ids(Query("work"))} == {Ignored.INTERNAL}
