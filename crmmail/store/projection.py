"""view = project(base, pending), written to the indexed columns.

A `Projection` lives for one cache transaction: it gathers what moves, writes it in a few batches at the end, keeps
the counters in step and tells what really differs as a `Change`.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from crmmail import ops
from crmmail.model import Change, Delta, Role, State
from crmmail.store import codec

INBOX, TRASH, SPAM = ops.INBOX, ops.TRASH, ops.SPAM
ALL, FAVORITES = Role.ALL.value, Role.FAVORITES.value
Place = tuple[str, str]  # (mailbox, folder key)
OPEN = "op.state IN ('pending', 'sending')"  # literally the condition of the partial indexes
NOWHERE: frozenset[Place] = frozenset()
ROLES = frozenset(role.value for role in Role)


@lru_cache(8192)
def places(mailbox: str, state: State | None) -> frozenset[Place]:
    """The lists a message in `state` stands in, views included."""
    if state is None or state.gone:
        return NOWHERE
    found = {(mailbox, key) for key in state.folders}
    if not state.folders & {TRASH, SPAM}:
        found.add((mailbox, ALL))
        if state.starred:
            found.add((mailbox, FAVORITES))
    if INBOX in state.folders:
        found.add(("", INBOX))
    return frozenset(found)


def flags_of(state: State | None) -> int:
    """1 unread, 2 starred."""
    return 0 if state is None else state.unread | state.starred << 1


class Projection:
    """Re-projects messages within one cache transaction; `finish()` writes the rest and returns the Change."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._folders: dict[Place, int] = {}
        self._totals: dict[Place, list[int]] = defaultdict(lambda: [0, 0])
        self._threads: dict[int, int] = defaultdict(int)
        self._out: list[tuple[int, int]] = []
        self._in: list[tuple[int, int, int]] = []
        self._rows: list[tuple[str, int, int, int, int]] = []
        self.folders: set[Place] = set()
        self.messages: set[int] = set()
        self.arrivals: set[int] = set()  # now shown unread in an inbox, and not shown at all before

    def folder(self, place: Place) -> int:
        """The number of a folder, made when it is met for the first time (its name comes with the folder list)."""
        number = self._folders.get(place)
        if number is None:
            role = place[1] if place[1] in ROLES else Role.OTHER.value
            row = self._connection.execute(
                "INSERT INTO folder(mailbox, key, role) VALUES (?, ?, ?) "
                "ON CONFLICT(mailbox, key) DO UPDATE SET key = key RETURNING id",
                (*place, role),
            ).fetchone()
            number = self._folders[place] = int(row[0])
        return number

    def expect(self, mailbox: str, keys: Iterable[str]) -> None:
        """Look up the numbers of these lists at once: many are met in one go."""
        rows = self._connection.execute(
            "SELECT f.key, f.id FROM json_each(?) j CROSS JOIN folder f ON f.mailbox = ? AND f.key = j.value",
            (json.dumps(list(keys)), mailbox),
        )
        self._folders.update({(mailbox, key): number for key, number in rows})

    def refresh(self, ids: Sequence[int]) -> None:
        """Fold the open ops over the base of these messages and note what differs from what is shown."""
        deltas = self._open_deltas(ids)
        rows = self._connection.execute(
            "SELECT m.id, m.mailbox, m.thread, m.base, m.shown, m.pending FROM json_each(?) j "
            "CROSS JOIN message m ON m.id = j.value",
            (json.dumps(list(ids)),),
        ).fetchall()
        for number, mailbox, thread, base, shown, pending in rows:
            folded = deltas.get(number)
            before = None if shown is None else codec.text_state(shown)
            after = codec.text_state(base)
            if folded:
                after = ops.project(after, folded)
            waits = bool(folded)
            if after == before and waits == bool(pending):
                continue
            self._rows.append((codec.state_text(after), after.unread, after.starred, waits, number))
            self.messages.add(number)
            self._move(number, mailbox, thread, before, after)

    def _open_deltas(self, ids: Sequence[int]) -> dict[int, list[Delta]]:
        found: dict[int, list[Delta]] = {}
        if not self._connection.execute(f"SELECT 1 FROM op WHERE {OPEN} LIMIT 1").fetchone():
            return found
        rows = self._connection.execute(
            "SELECT m.id, op.delta FROM json_each(?) j CROSS JOIN message m ON m.id = j.value "
            "CROSS JOIN op ON op.mailbox = m.mailbox AND op.remote_id = m.remote_id "
            f"WHERE {OPEN} ORDER BY op.id",
            (json.dumps(list(ids)),),
        )
        for number, delta in rows:
            found.setdefault(number, []).append(codec.text_delta(delta))
        return found

    def _move(self, number: int, mailbox: str, thread: int, before: State | None, after: State | None) -> None:
        old, new = places(mailbox, before), places(mailbox, after)
        old_flags, new_flags = flags_of(before), flags_of(after)
        for place in old - new:
            self._out.append((self.folder(place), number))
            self._count(place, -1, -(old_flags & 1))
        for place in new - old:
            self._in.append((self.folder(place), number, new_flags))
            self._count(place, 1, new_flags & 1)
        if old_flags != new_flags:
            for place in new & old:
                self._in.append((self.folder(place), number, new_flags))
                self._count(place, 0, (new_flags & 1) - (old_flags & 1))
        visible = ((mailbox, ALL) in new) - ((mailbox, ALL) in old)
        if visible:
            self._threads[thread] += visible
        if before is None and new_flags & 1 and ("", INBOX) in new:
            self.arrivals.add(number)

    def stand(self, place: Place, numbers: Sequence[int], before: int | None, after: int | None) -> None:
        """Messages stand in a list with these flags now, and stood there with those before (None: not at all)."""
        folder = self.folder(place)
        if after is None:
            self._out += [(folder, number) for number in numbers]
        elif after != before:
            self._in += [(folder, number, after) for number in numbers]
        total = (after is not None) - (before is not None)
        unread = ((after or 0) & 1) - ((before or 0) & 1)
        self._count(place, total * len(numbers), unread * len(numbers))

    def _count(self, place: Place, total: int, unread: int) -> None:
        self.folders.add(place)
        counts = self._totals[place]
        counts[0] += total
        counts[1] += unread

    def change_thread(self, mailbox: str, shown: State | None, old: int, new: int) -> None:
        """Keep the thread counts when a message moves from thread `old` to `new`."""
        if old != new and (mailbox, ALL) in places(mailbox, shown):
            self._threads[old] -= 1
            self._threads[new] += 1

    def remove(self, ids: Iterable[int]) -> None:
        """Take messages out altogether: rows, raw, body, search index."""
        wanted = json.dumps(list(ids))
        rows = self._connection.execute(
            "SELECT m.id, m.mailbox, m.thread, m.shown, b.packed FROM json_each(?) j "
            "CROSS JOIN message m ON m.id = j.value LEFT JOIN body b ON b.message = m.id",
            (wanted,),
        ).fetchall()
        for number, mailbox, thread, shown, packed in rows:
            self._move(number, mailbox, thread, None if shown is None else codec.text_state(shown), None)
            self.messages.add(number)
            if packed is not None:
                unindex(self._connection, number, packed)
        for rows_of in ("message WHERE id", "raw WHERE message", "body WHERE message"):
            self._connection.execute(f"DELETE FROM {rows_of} IN (SELECT value FROM json_each(?))", (wanted,))

    def finish(self) -> Change:
        """Write everything noted; the Change holds the lists and messages that look different now."""
        run = self._connection.executemany
        run("UPDATE message SET shown = ?, unread = ?, starred = ?, pending = ? WHERE id = ?", self._rows)
        run("DELETE FROM place WHERE folder = ? AND message = ?", self._out)
        self._in.sort()
        run("INSERT OR REPLACE INTO place(folder, message, flags) VALUES (?, ?, ?)", self._in)
        counts = [(total, unread, self.folder(place)) for place, (total, unread) in self._totals.items()]
        run("UPDATE folder SET total = total + ?, unread = unread + ? WHERE id = ?", counts)
        threads = [(thread, count) for thread, count in self._threads.items() if count]
        run(
            "INSERT INTO thread(id, count) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET count = count + excluded.count",
            threads,
        )
        run("DELETE FROM thread WHERE id = ? AND count <= 0", [(thread,) for thread, count in threads if count < 0])
        return Change(folders=frozenset(self.folders), messages=frozenset(self.messages))


def unindex(connection: sqlite3.Connection, number: int, packed: bytes) -> None:
    """Take a message out of the search index, which needs exactly what was put in."""
    connection.execute(
        "INSERT INTO search(search, rowid, subject, sender, recipients, text) VALUES ('delete', ?, ?, ?, ?, ?)",
        (number, *codec.indexed(*codec.unpack(packed))),
    )


def index(connection: sqlite3.Connection, number: int, words: tuple[str, str, str, str]) -> None:
    """Make a message findable by `words` (subject, sender, recipients, text)."""
    connection.execute(
        "INSERT INTO search(rowid, subject, sender, recipients, text) VALUES (?, ?, ?, ?, ?)", (number, *words)
    )


def unfinished(connection: sqlite3.Connection) -> list[int]:
    """The messages with open ops, and those the cache still believes to have some."""
    rows = connection.execute(
        "SELECT id FROM message WHERE pending = 1 UNION SELECT m.id FROM op CROSS JOIN message m "
        "ON m.mailbox = op.mailbox AND m.remote_id = op.remote_id WHERE op.state IN ('pending', 'sending')"
    )
    return [row[0] for row in rows]
