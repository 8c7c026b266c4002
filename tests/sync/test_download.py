"""How much is downloaded: everything, the texts of some months, or headers only. The same for every provider."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.model import Mailbox, Phase, Query
from crmmail.store import Store
from crmmail.sync import Outcome, RemoteSync
from crmmail.sync.terms import MONTH_SECONDS, since
from tests.remotes.imap_world import ImapWorld
from tests.remotes.world import START, GmailWorld, GraphWorld, World

COUNT, KEPT = 10, 4
NOW = START / 1000 + (COUNT - KEPT) * 60 + MONTH_SECONDS  # a month ago lies between the old messages and the KEPT last
KINDS: dict[str, type[World]] = {"gmail": GmailWorld, "outlook": GraphWorld, "imap": ImapWorld}


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with KINDS[request.param]() as world:
        yield world


@pytest.fixture
def store(tmp_path: Path, world: World) -> Iterator[Store]:
    with Store.open(tmp_path, clock=lambda: NOW) as store:
        store.register(Mailbox("work", world.provider, "me@example.com", "Work", "", world.can))
        yield store


def sync(store: Store, world: World, months: int | None) -> RemoteSync:
    options = {"headers_first": months is not None} if world.provider == "gmail" else {}
    return RemoteSync(store, world.connect(**options), lambda: NOW, months=months)


def settled(running: RemoteSync) -> Outcome:
    for _count in range(30):
        outcome = running.step()
        assert outcome.error is None
        if not outcome.more:
            return outcome
    raise AssertionError("it never ends")


def heard(store: Store, running: RemoteSync, subject: str) -> Outcome:
    """Steps until the newest message is that; Dovecot needs a moment to find what was laid into its folder."""
    deadline = time.monotonic() + 10
    while True:
        outcome = settled(running)
        if subjects(store)[0] == subject:
            return outcome
        assert time.monotonic() < deadline, "it did not arrive"
        time.sleep(0.05)


def texts(store: Store) -> list[str]:
    """The subjects of messages whose text is here, newest first."""
    rows = store.window(Query("work"), 0, 100)
    found = [(row, store.message(row.id)) for row in rows]
    return [row.subject for row, message in found if message is not None and message.body is not None]


def subjects(store: Store) -> list[str]:
    return [row.subject for row in store.window(Query("work"), 0, 100)]


def proposals(*numbers: int) -> list[str]:
    return [f"Proposta {number}" for number in numbers]


def test_the_texts_of_the_last_months_come_by_themselves_and_the_headers_of_all(store: Store, world: World) -> None:
    ids = world.add(COUNT)
    running = sync(store, world, 1)
    assert settled(running).phase is Phase.SYNCED
    assert subjects(store) == proposals(*reversed(range(COUNT)))
    assert texts(store) == proposals(9, 8, 7, 6)
    running.want(ids[0])
    settled(running)
    assert texts(store) == proposals(9, 8, 7, 6, 0)
    world.deliver()
    heard(store, running, "Proposta 10")
    assert texts(store)[0] == "Proposta 10"


def test_headers_only_leaves_every_text_to_be_opened(store: Store, world: World) -> None:
    ids = world.add(COUNT)
    running = sync(store, world, 0)
    assert settled(running).phase is Phase.SYNCED
    assert subjects(store) == proposals(*reversed(range(COUNT)))
    assert texts(store) == []
    world.deliver()
    world.read(ids[3], unread=True)
    assert heard(store, running, "Proposta 10").phase is Phase.SYNCED
    assert texts(store) == []
    assert [row.subject for row in store.window(Query("work"), 0, 100) if row.unread][-1] == "Proposta 3"


def test_wanting_more_later_downloads_the_rest_and_wanting_less_loses_nothing(store: Store, world: World) -> None:
    world.add(COUNT)
    settled(sync(store, world, 1))
    settled(sync(store, world, None))
    assert texts(store) == proposals(*reversed(range(COUNT)))
    settled(sync(store, world, 0))
    assert texts(store) == proposals(*reversed(range(COUNT)))


def test_a_month_is_counted_back_from_now() -> None:
    assert since(None, NOW) == 0
    assert since(1, NOW) == int((NOW - MONTH_SECONDS) * 1000)
    assert since(999, 1000.0) == 0
    assert since(0, NOW) > NOW * 1000
