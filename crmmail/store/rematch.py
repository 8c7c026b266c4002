"""Mail that came before an account was known: looked at again in small steps, so that no key press ever waits for it.

What is to be looked at stands in the cache's `rematch` table: an address, an @ and a domain, `~` and an account's id
for all that is bound to it, `*` for all mail, `*own` for all mail because who we are has changed. A step commits how
far it came together with what it bound: after a crash the next one goes on there. Mail that arrives meanwhile is bound
by what is known now, so nothing is done twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crmmail.model import Change
from crmmail.store import binding, ties

EVERYTHING, OURSELVES = "*", "*own"
MANY = 1_000  # addresses and domains: beyond that it is cheaper to look at all mail once
STEP = 120  # messages: 5 ms
PAUSE = 0.0005  # seconds between steps: whoever waits for the lock has it first, for locks are not fair
_PARTY = """SELECT a.reversed, p.message FROM party_address a CROSS JOIN party p ON p.address = a.id
WHERE a.reversed >= ? AND a.reversed <= ? AND (a.reversed > ? OR p.message > ?)
ORDER BY a.reversed, p.message LIMIT ?"""
_BOUND = "FROM folder f CROSS JOIN place p ON p.folder = f.id WHERE f.mailbox = '' AND f.key = ?"
_COUNT = """SELECT count(*) FROM party_address a CROSS JOIN party p ON p.address = a.id
WHERE a.reversed >= ? AND a.reversed <= ?"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the mail to look at again is done; nothing is left when `total` is 0."""

    done: int = 0
    total: int = 0


def ask(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Have the mail of these addresses and @domains (or `*`) looked at again, from its beginning."""
    wanted = list(dict.fromkeys(keys))
    if len(wanted) > MANY:
        wanted = [key for key in wanted if key.startswith(("*", "~"))] + [EVERYTHING]
    edit = int(next(iter(connection.execute("SELECT seen FROM known")), (0,))[0])
    rows = [(key, total, edit) for key in wanted if (total := _count(connection, key))]
    connection.executemany(
        "INSERT OR REPLACE INTO rematch(key, address, message, done, total, edit) VALUES (?, '', -1, 0, ?, ?)", rows
    )


def _count(connection: sqlite3.Connection, key: str) -> int:
    if key.startswith("*"):
        return int(connection.execute("SELECT count(*) FROM message").fetchone()[0])
    if key.startswith("~"):
        row = connection.execute(f"SELECT count(*) {_BOUND}", (f"account:{key[1:]}",)).fetchone()
        return int(row[0])
    return sum(int(connection.execute(_COUNT, span).fetchone()[0]) for span in ties.bounds(key))


def progress(connection: sqlite3.Connection) -> Progress:
    """How far it is."""
    row = connection.execute("SELECT total(done), total(total) FROM rematch").fetchone()
    return Progress(int(row[0]), int(row[1]))


def step(connection: sqlite3.Connection, limit: int = STEP) -> Change | None:
    """Look at the next messages; None when there is nothing left to do."""
    row = connection.execute("SELECT key, address, message, edit FROM rematch ORDER BY key LIMIT 1").fetchone()
    if row is None:
        return None
    key, address, message, edit = row
    found = _next(connection, key, address, message, limit)
    if not found:
        connection.execute("DELETE FROM rematch WHERE key = ?", (key,))
        return Change()
    numbers = _stale(connection, [number for _address, number in found], edit, whatever=key[0] in "*~")
    change = binding.Binding(connection).run(numbers, afresh=True, reread=key == OURSELVES)
    connection.execute(
        "UPDATE rematch SET address = ?, message = ?, done = done + ? WHERE key = ?", (*found[-1], len(found), key)
    )
    return change


def _stale(connection: sqlite3.Connection, numbers: Sequence[int], edit: int, *, whatever: bool) -> list[int]:
    """Those of these messages that were not weighed since, as part of a conversation that was looked at before."""
    if whatever:
        return list(numbers)
    rows = connection.execute(
        "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.message = j.value WHERE b.weighed < ?",
        (json.dumps(list(dict.fromkeys(numbers))), edit),
    )
    return [row[0] for row in rows]


def _next(connection: sqlite3.Connection, key: str, address: str, message: int, limit: int) -> list[tuple[str, int]]:
    """(reversed address, message) of what comes next."""
    if key.startswith("*"):  # the newest first: these are looked at by the user
        below = "id < ?" if message >= 0 else "id > ?"
        query = f"SELECT '', id FROM message WHERE {below} AND shown IS NOT NULL ORDER BY id DESC LIMIT ?"
        return connection.execute(query, (message, limit)).fetchall()
    if key.startswith("~"):
        below = "p.message < ?" if message >= 0 else "p.message > ?"
        query = f"SELECT '', p.message {_BOUND} AND {below} ORDER BY p.message DESC LIMIT ?"
        return connection.execute(query, (f"account:{key[1:]}", message, limit)).fetchall()
    found: list[tuple[str, int]] = []
    for low, high in ties.bounds(key):
        if len(found) < limit and high >= address:
            found += connection.execute(
                _PARTY, (max(low, address), high, address, message, limit - len(found))
            ).fetchall()
    return found


def at_once(connection: sqlite3.Connection, twins: Sequence[int]) -> Change:
    """Bind the messages with these twin numbers, and their conversations, now."""
    rows = connection.execute(
        "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.twin = j.value", (json.dumps(list(twins)),)
    )
    return binding.rebind(connection, [row[0] for row in rows])
