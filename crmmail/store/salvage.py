"""Reading what is still whole out of a damaged desk.db, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crmmail.store import connections, journal
from crmmail.store.faults import is_damage

CHECKED_BYTES = 4_000_000  # a journal of some ten thousand acts; a full check of more would be felt at start
MAX_TRIED = 200_000  # ids tried one by one across an unreadable stretch
_ACT = "id, kind, count, created_ms, state, subject, hash"
_ACT_STATES = frozenset({"done", "undone", "dead", "final"})


def is_sound(path: Path, *, thorough: bool = False) -> bool:
    """Whether SQLite finds the file in order: fully checked while it is small, else its schema only."""
    connection = connections.connect(path)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if path.stat().st_size > CHECKED_BYTES and not thorough:
            return True
        return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return False
    finally:
        connection.close()


def rescue(damaged: Path, desk: sqlite3.Connection) -> tuple[int, int]:
    """Copy the intact acts and ops of `damaged` into the new `desk`; returns how many were saved and lost."""
    saved = lost = 0
    source = connections.connect(damaged)
    desk.execute("BEGIN IMMEDIATE")
    try:
        for row in _rows(source, "act", _ACT):
            good = row[4] in _ACT_STATES and row[6] == journal.act_seal(row[1], row[2], row[3], row[5])
            saved, lost = saved + good, lost + (not good)
            if good:
                desk.execute(f"INSERT OR IGNORE INTO act({_ACT}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for row in _rows(source, "op", journal.OP_COLUMNS):
            entry = journal.Entry(*row)
            saved, lost = saved + entry.intact, lost + (not entry.intact)
            if entry.intact:
                marks = ", ".join("?" * len(row))
                desk.execute(f"INSERT OR IGNORE INTO op({journal.OP_COLUMNS}) VALUES ({marks})", row)
            else:
                journal.note_broken(desk, entry)
        desk.execute("COMMIT")
    finally:
        if desk.in_transaction:
            desk.execute("ROLLBACK")
        source.close()
    return saved, lost


def _rows(source: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Every readable row: from the front to the first bad page, from the back to the last, then id by id between."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        rows = _until_damage(source, f"SELECT {columns} FROM {table} ORDER BY id {order}")
        for row in rows:
            number = row[0]
            if not isinstance(number, int) or number in seen:
                break
            seen.add(number)
            yield row
    if not seen:
        return
    gap = [number for number in range(1, max(seen)) if number not in seen] if max(seen) < MAX_TRIED else []
    for number in gap:
        yield from _until_damage(source, f"SELECT {columns} FROM {table} WHERE id = {number}")


def _until_damage(source: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from source.execute(query)
    except sqlite3.Error as error:
        if not is_damage(error) and "no such table" not in str(error):
            raise
