"""Short ways to say what a server tells, and what must hold of any store at any moment."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

from crmmail import ops
from crmmail.model import Address, Capabilities, Headers, Incoming, Mailbox, Page, Query, State
from crmmail.store import Store

GMAIL = Mailbox(
    "work",
    "gmail",
    "ana@acme.example",
    "Work",
    capabilities=Capabilities(labels=True, favorites=True, archive=True, delete_forever=True),
)
OUTLOOK = Mailbox(
    "home",
    "outlook",
    "ana@casa.example",
    "Home",
    capabilities=Capabilities(archive=True, delete_forever=True),
    position=1,
)
INBOX, TRASH, ALL = Query("work", "inbox"), Query("work", "trash"), Query("work", "all")
FAVORITES, EVERY_INBOX = Query("work", "favorites"), Query("", "inbox")
BORN_MS = 1_700_000_000_000


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def state(*folders: str, unread: bool = False, starred: bool = False) -> State:
    return State(frozenset(folders), unread, starred)


def headers(subject: str = "Proposta", sender: str = "Rui Sá <rui@acme.example>", **more: object) -> Headers:
    name, _, email = sender.rstrip(">").partition(" <")
    return Headers(subject=subject, sender=Address(name, email), **more)  # type: ignore[arg-type]


def mail(number: int, of: State | None = None, *, subject: str = "", thread: str = "", **more: object) -> Incoming:
    """Message `number` of the server, received `number` seconds after the first; in the inbox unless told otherwise."""
    given = {
        "headers": headers(subject or f"Assunto {number}", message_id=f"<{number}@acme.example>"),
        "snippet": f"Olá {number}",
        "remote_thread": thread or f"t{number}",
    } | more
    return Incoming(f"m{number}", of or state("inbox"), BORN_MS + number * 1000, **given)  # type: ignore[arg-type]


def page(*upserts: Incoming, cursor: str = "c", **more: object) -> Page:
    return Page(cursor, upserts=upserts, **more)  # type: ignore[arg-type]


def filled(store: Store, count: int, mailbox: str = "work", of: State | None = None) -> list[int]:
    """`count` messages in one mailbox's inbox; their ids, newest first."""
    store.ingest(mailbox, page(*(mail(number, of) for number in range(count)), complete=True))
    return store.ids(Query(mailbox, "inbox"))


def shown(store: Store, mailbox: str = "work") -> dict[str, State]:
    """Remote id → the state that lists show."""
    every = rows(store, "SELECT id, remote_id FROM message WHERE mailbox = ?", mailbox)
    states = store.states([number for number, _ in every])
    return {name: states[number][1] for number, name in every}


def rows(store: Store, query: str, *arguments: object) -> list[tuple[object, ...]]:
    """What SQL says, past the API: for the invariants only."""
    directory: Path = store._directory
    connection = sqlite3.connect(directory / "desk.db")
    try:
        connection.execute("ATTACH DATABASE ? AS cache", (str(directory / "cache.db"),))
        return connection.execute(query, arguments).fetchall()
    finally:
        connection.close()


def check(store: Store) -> None:
    """What must hold at any moment: view == project(base, pending), counters == recount, index == messages."""
    messages = rows(store, "SELECT id, mailbox, remote_id, thread, base, shown, unread, starred, pending FROM message")
    pending: dict[tuple[object, object], list[ops.Delta]] = {}
    for mailbox, remote_id, delta in rows(
        store, "SELECT mailbox, remote_id, delta FROM op WHERE state IN ('pending', 'sending') ORDER BY id"
    ):
        pending.setdefault((mailbox, remote_id), []).append(ops.load_delta(str(delta)))
    places: set[tuple[object, object, int, int]] = set()
    threads: Counter[object] = Counter()
    for number, mailbox, remote_id, thread, base, text, unread, starred, waits in messages:
        deltas = pending.get((mailbox, remote_id), [])
        after = ops.project(ops.load_state(str(base)), deltas)
        assert ops.load_state(str(text)) == after, remote_id
        assert (bool(unread), bool(starred), bool(waits)) == (after.unread, after.starred, bool(deltas))
        flags = after.unread | after.starred << 1
        keys = [] if after.gone else sorted(after.folders)
        lists = [(mailbox, key) for key in keys]
        if not after.gone and not after.folders & {"trash", "spam"}:
            threads[thread] += 1
            lists += [(mailbox, "all")] + [(mailbox, "favorites")] * after.starred
        if "inbox" in keys:
            lists.append(("", "inbox"))
        places |= {(owner, key, int(str(number)), flags) for owner, key in lists}
    bonds = rows(store, "SELECT message, placed, flags FROM bond ORDER BY message")
    assert [number for number, _placed, _flags in bonds] == sorted(int(str(row[0])) for row in messages)
    for number, placed, held in bonds:
        places |= {("", key, int(str(number)), int(str(held))) for key in filter(None, str(placed).split(","))}
    stored = rows(store, "SELECT f.mailbox, f.key, p.message, p.flags FROM place p JOIN folder f ON f.id = p.folder")
    assert set(stored) == places
    totals = Counter((owner, key) for owner, key, _number, _flags in places)
    unread_totals = Counter((owner, key) for owner, key, _number, flags in places if flags & 1)
    for owner, key, total, unread in rows(store, "SELECT mailbox, key, total, unread FROM folder"):
        assert (total, unread) == (totals[owner, key], unread_totals[owner, key]), (owner, key)
    assert dict(rows(store, "SELECT id, count FROM thread")) == dict(threads)
    found = rows(store, "SELECT rowid FROM search WHERE search MATCH 'rui OR b' ORDER BY rowid")
    indexed = rows(store, "SELECT message FROM body ORDER BY message")
    assert found == indexed
    assert rows(store, "SELECT message FROM body WHERE message NOT IN (SELECT id FROM message)") == []
