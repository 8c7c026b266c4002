"""Reading what is still whole out of a damaged desk.db, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from crmmail.store import connections, drafts, journal, outgoing
from crmmail.store.faults import BROKEN, is_damage

CHECKED_BYTES = 4_000_000  # a journal of some ten thousand acts; a full check of more would be felt at start
MAX_TRIED = 200_000  # ids tried one by one across an unreadable stretch
_ACT = "id, kind, count, created_ms, state, subject, hash"
_ACT_STATES = frozenset({"done", "undone", "dead", "final", "running"})


def is_sound(path: Path, *, thorough: bool = False) -> bool:
    """Whether SQLite finds the file in order: fully checked while it is small, else its schema only."""
    connection = connections.connect(path)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if path.stat().st_size > CHECKED_BYTES and not thorough:
            return True
        return bool(connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except BROKEN as error:
        if not is_damage(error):
            raise
        return False
    finally:
        connection.close()


def rescue(damaged: Path, desk: sqlite3.Connection) -> tuple[int, int]:
    """Copy the intact acts and ops of `damaged` into the new `desk`; returns how many were saved and lost."""
    saved = lost = 0
    source = _open_damaged(damaged, desk)
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
        more_saved, more_lost = _rescue_writing(source, desk)
        saved, lost = saved + more_saved, lost + more_lost
        desk.execute("COMMIT")
    finally:
        if desk.in_transaction:
            desk.execute("ROLLBACK")
        source.close()
    return saved, lost


def _rescue_writing(source: sqlite3.Connection, desk: sqlite3.Connection) -> tuple[int, int]:
    """Copy what the user wrote; (saved, lost).

    A message that waited to be sent may have gone out after what this file still knows: its fate must be looked up.
    """
    saved = lost = 0
    for row in _rows(source, "blob", "id, digest, packed, content"):
        _copy(desk, "blob", "id, digest, packed, content", row)
    for row in _rows(source, "draft", drafts.COLUMNS):
        kept = drafts.Kept(*row)
        saved, lost = saved + kept.intact, lost + (not kept.intact)
        _copy(desk, "draft", drafts.COLUMNS, row)
    for row in _rows(source, "draft_turn", "act AS id, draft, other, hash"):
        _copy(desk, "draft_turn", "act, draft, other, hash", row)
    for row in _rows(source, "outgoing", outgoing.COLUMNS):
        saved += 1
        _copy(desk, "outgoing", outgoing.COLUMNS, row)
    for table, columns in (
        ("record", "id, kind, key, content, hash"),
        ("edit", "id, act, content, hash"),
        ("crm_op", "id, crm, key, state, content, hash, attempts, not_before, remote, error"),
    ):
        for row in _rows(source, table, columns):
            saved += 1
            _copy(desk, table, columns, row)
    drafts.inspect(desk)
    desk.execute("UPDATE outgoing SET state = 'unknown' WHERE state IN ('held', 'queued', 'sending')")
    for table, columns in (("identity", "mailbox, content"), ("forgotten", "email, at_ms")):
        for row in _until_damage(source, f"SELECT {columns} FROM {table}"):
            _copy(desk, table, columns, row)
    return saved, lost


def _copy(desk: sqlite3.Connection, table: str, columns: str, row: Sequence[Any]) -> None:
    marks = ", ".join("?" * len(row))
    desk.execute(f"INSERT OR IGNORE INTO {table}({columns}) VALUES ({marks})", row)


def _open_damaged(damaged: Path, desk: sqlite3.Connection) -> sqlite3.Connection:
    """A connection that reads whatever pages are there.

    `writable_schema` makes SQLite open a file shorter than its header says. Where the first page, which holds header
    and schema, is unreadable, the one of the new desk takes its place: the same script has put the same tables on
    the same pages. Its count of pages is made invalid, so that SQLite takes it from the file's size.
    """
    for attempt in (1, 2):
        source = connections.connect(damaged)
        try:
            source.execute("PRAGMA writable_schema = ON")
            source.execute("SELECT id FROM op LIMIT 1").fetchone()
        except BROKEN:
            if attempt == 1:
                source.close()
                _replace_first_page(damaged, desk)
        else:
            break
    return source


def _replace_first_page(damaged: Path, desk: sqlite3.Connection) -> None:
    desk.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fresh = Path(desk.execute("PRAGMA database_list").fetchone()[2])
    with fresh.open("rb") as source:
        page = bytearray(source.read(desk.execute("PRAGMA page_size").fetchone()[0]))
    page[18:20] = b"\1\1"  # no WAL: that of the damaged file is not to be trusted
    page[92:96] = b"\xff\xff\xff\xff"
    with damaged.open("r+b") as target:
        target.write(page)


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
    except BROKEN as error:
        if not is_damage(error) and "no such table" not in str(error):
            raise
