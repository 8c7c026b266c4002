"""Mail that came before an account was known: looked at again in small steps, so that no key press ever waits for it.

What is to be looked at stands in the cache's `rematch` table: an address, an @ and a domain, `~` and an account's id
for all that is bound to it, `*` for all mail, `*own` for all mail because who we are has changed. A step commits how
far it came together with what it bound: after a crash the next one goes on there. Mail that arrives meanwhile is bound
by what is known now, so nothing is done twice.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from crmmail.model import Change
from crmmail.store import binding, choices, ties
from crmmail.store.weighing import Weighing

T = TypeVar("T")
EVERYTHING, OURSELVES = "*", "*own"
MANY = 1_000  # addresses and domains: beyond that it is cheaper to look at all mail once
STEP = 120  # messages: how many the first step takes; `Pace` finds what fits
SHORTEST, LONGEST = 20, 400  # messages
GOAL = 0.004  # seconds a step may hold the lock: a key that waits for it still answers within a frame
PAUSE = 0.0005  # seconds after a step: whoever waits for the lock has it first, for locks are not fair
_PARTY = """SELECT p.message FROM party_address a CROSS JOIN party p ON p.address = a.id
WHERE a.reversed >= ? AND a.reversed <= ?"""
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
    under_way = int(connection.execute("SELECT count(*) FROM rematch").fetchone()[0])
    rows = [(key, secrets.token_hex(8), total, edit) for key in wanted if (total := _count(connection, key))]
    connection.executemany(
        "INSERT OR REPLACE INTO rematch(key, asked, message, done, total, edit) VALUES (?, ?, -1, 0, ?, ?)", rows
    )
    if under_way + len(rows) > MANY:
        connection.execute("DELETE FROM rematch WHERE key NOT LIKE '*%'")
        ask(connection, [EVERYTHING])


def minding_ourselves(connection: sqlite3.Connection, work: Callable[[], T]) -> tuple[T, bool]:
    """Do `work`, and have all mail looked at again when it changed who we are: its answer, and whether it did."""
    before = choices.own(connection, choices.setting(connection))
    answer = work()
    changed = choices.own(connection, choices.setting(connection)) != before
    if changed:
        ask(connection, [OURSELVES])
    return answer, changed


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


@dataclass(frozen=True, slots=True)
class Plan:
    """The messages of an address or a domain, oldest first, found once for all steps. `asked` says for which asking:
    mail that came later is bound by what was known then, so it need not be in it.
    """

    asked: str
    messages: array[int]


@dataclass(slots=True)
class Ahead:
    """The messages further down that were looked at already, in the conversation of a newer one. Of one asking; what
    a step noted counts once it is committed (`keep`).
    """

    asked: str = ""
    messages: set[int] = field(default_factory=set)
    noted: tuple[str, Sequence[int], Collection[int]] = ("", (), ())

    def left(self, asked: str, numbers: Sequence[int]) -> list[int]:
        """Those of these messages that were not."""
        return [number for number in numbers if asked != self.asked or number not in self.messages]

    def note(self, asked: str, numbers: Sequence[int], looked: Collection[int]) -> None:
        """A step came to `numbers`, the last of them the lowest, and looked at all these."""
        self.noted = asked, numbers, looked

    def keep(self) -> None:
        """What the step noted is so."""
        asked, numbers, looked = self.noted
        self.noted = "", (), ()
        if asked and asked != self.asked:
            self.asked, self.messages = asked, set()
        self.messages.difference_update(numbers)
        self.messages.update(number for number in looked if number < numbers[-1])


@dataclass(slots=True)
class Pace:
    """How much of what a step takes: what a thread that steps remembers from one to the next."""

    size: int = STEP
    plan: Plan | None = None
    weighing: Weighing = field(default_factory=Weighing)
    ahead: Ahead = field(default_factory=Ahead)

    def took(self, seconds: float) -> None:
        """A step is committed. It took so long, on a machine as busy as it is: the next takes as many as fit."""
        fitting = int(self.size * GOAL / max(seconds, GOAL / 4))
        self.size = max(SHORTEST, min(LONGEST, (self.size + fitting) // 2))
        self.ahead.keep()


def plan(connection: sqlite3.Connection, before: Plan | None = None) -> Plan | None:
    """The plan for the next step, `before` where it still is the one; None where none is needed. Reads only."""
    row = connection.execute("SELECT key, asked FROM rematch ORDER BY key LIMIT 1").fetchone()
    if row is None or row[0][0] in "*~":
        return None
    if before is not None and before.asked == row[1]:
        return before
    spans = ties.bounds(row[0])
    query = " UNION ".join([_PARTY] * len(spans)) + " ORDER BY 1"
    found = array("q")
    for (number,) in connection.execute(query, [bound for span in spans for bound in span]):
        found.append(number)
    return Plan(row[1], found)


def step(connection: sqlite3.Connection, limit: int | None = None, pace: Pace | None = None) -> Change | None:
    """Look at the next messages; None when there is nothing left to do. `pace`: what the steps before found out."""
    pace = pace or Pace()
    row = connection.execute("SELECT key, message, edit, asked FROM rematch ORDER BY key LIMIT 1").fetchone()
    if row is None:
        return None
    key, message, edit, asked = row
    found = _next(connection, key, message, limit or pace.size, plan(connection, pace.plan))
    if not found:
        connection.execute("DELETE FROM rematch WHERE key = ?", (key,))
        return Change()
    numbers = pace.ahead.left(asked, found) if key[0] in "*~" else _stale(connection, found, edit)
    binder = binding.Binding(connection, pace.weighing)
    change = binder.run(numbers, afresh=True, reread=key == OURSELVES)
    pace.ahead.note(asked, found, binder.looked)
    connection.execute(
        "UPDATE rematch SET message = ?, done = min(total, done + ?) WHERE key = ? AND asked = ?",
        (found[-1], len(found), key, asked),
    )
    return change


def _stale(connection: sqlite3.Connection, numbers: Sequence[int], edit: int) -> list[int]:
    """Those of these messages that were not weighed since, as part of a conversation that was looked at before."""
    rows = connection.execute(
        "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.message = j.value WHERE b.weighed < ?",
        (json.dumps(list(dict.fromkeys(numbers))), edit),
    )
    return [row[0] for row in rows]


def _next(connection: sqlite3.Connection, key: str, message: int, limit: int, planned: Plan | None) -> list[int]:
    """What comes after `message` (-1: first): the newest first, for these are looked at by the user."""
    if planned is not None:
        end = bisect_left(planned.messages, message) if message >= 0 else len(planned.messages)
        return list(reversed(planned.messages[max(0, end - limit) : end]))
    below = "<" if message >= 0 else ">"
    if key.startswith("*"):
        query = f"SELECT id FROM message WHERE id {below} ? AND shown IS NOT NULL ORDER BY id DESC LIMIT ?"
        return [row[0] for row in connection.execute(query, (message, limit))]
    query = f"SELECT p.message {_BOUND} AND p.message {below} ? ORDER BY p.message DESC LIMIT ?"
    return [row[0] for row in connection.execute(query, (f"account:{key[1:]}", message, limit))]


def at_once(connection: sqlite3.Connection, twins: Sequence[int]) -> Change:
    """Bind the messages with these twin numbers, and their conversations, now."""
    rows = connection.execute(
        "SELECT b.message FROM json_each(?) j CROSS JOIN bond b ON b.twin = j.value", (json.dumps(list(twins)),)
    )
    return binding.rebind(connection, [row[0] for row in rows])
