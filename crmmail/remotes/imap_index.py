"""Which message lies where on an IMAP server: (folder, UID) → the id by which the rest of the program knows it.

IMAP names a message by its place, and the name changes with every move. The ids here come from what a message is
(`imap_text.identity`), so they stay through moves, a new UIDVALIDITY and a new download. This file is a cache like
`cache.db` and belongs to it by an epoch: when either is lost, everything is read again and nothing is downloaded twice.

What a page says is noted in the same transaction that `settle` ends once the page was taken: never ahead of the store.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crmmail.errors import CursorExpired, Offline
from crmmail.i18n import _
from crmmail.store.faults import explain, is_damage

_TABLES = """
CREATE TABLE IF NOT EXISTS folder(name TEXT PRIMARY KEY, validity INTEGER NOT NULL, modseq INTEGER NOT NULL,
  next INTEGER NOT NULL, filled INTEGER NOT NULL, compared REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message(folder TEXT NOT NULL, uid INTEGER NOT NULL, id TEXT NOT NULL, marks TEXT NOT NULL,
  PRIMARY KEY(folder, uid)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_id ON message(id);
CREATE TABLE IF NOT EXISTS lost(id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a folder was read. `modseq` 0: its server counts no changes; `compared`: when all marks were read."""

    name: str
    validity: int
    modseq: int = 0
    next: int = 0
    filled: bool = False
    compared: float = 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A message in its place. `marks`: its flags and labels as `imap_text.marks` writes them."""

    folder: str
    uid: int
    id: str
    marks: str


class Index:
    """One mailbox's places. Used by one thread at a time; `close` may come from another."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` None keeps it in memory."""
        self._path = path
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False
        self._open()

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise explain(error) from None  # held by another for a moment, or a full disk: nothing to throw away
            self._anew()

    def _anew(self) -> None:
        """A damaged note is a cache: it is made again."""
        self._connection.close()
        if self._path is not None:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._connect()

    def _connect(self) -> None:
        place = str(self._path) if self._path else ":memory:"
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
        self._connection = sqlite3.connect(place, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        """For good, once nobody uses it: never under a thread that reads. What was not settled is forgotten."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._closed and not self._users:
            self._connection.close()

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """The file stays open within. Raises Offline after `close`."""
        with self._lock:
            if self._closed and not self._users:
                raise Offline(_("The connection was closed."), reason="closed")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._let_go()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """What goes wrong with the file, as an error of ours: a damaged one is made again, and all is read anew."""
        try:
            with self.used():
                yield
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise explain(error) from None
            self._anew()
            raise CursorExpired(_("The note of where we stopped reading is damaged."), reason="index") from None

    def begin(self) -> None:
        """What follows is settled together."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")

    def settle(self) -> None:
        """The page that was given out last has been taken."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def forget(self) -> None:
        """It has not."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed meanwhile
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    # Notes

    def note(self, key: str) -> str:
        """A note, '' where there is none."""
        row = self._connection.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def write(self, key: str, value: str) -> None:
        """Keep a note; '' takes it out."""
        if value:
            self._run("INSERT OR REPLACE INTO note VALUES (?, ?)", (key, value))
        else:
            self._run("DELETE FROM note WHERE key = ?", (key,))

    def notes(self, prefix: str) -> dict[str, str]:
        """All notes whose key begins so."""
        rows = self._connection.execute(
            "SELECT key, value FROM note WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)
        )
        return dict(rows.fetchall())

    def reset(self, epoch: str) -> None:
        """Everything is read anew. Notes of what is under way stay: what was sent stays sent."""
        for table in ("folder", "message", "lost"):
            self._run(f"DELETE FROM {table}")
        self.write("epoch", epoch)

    # Folders

    def folders(self) -> dict[str, Seen]:
        """Every folder that was ever read."""
        rows = self._connection.execute("SELECT name, validity, modseq, next, filled, compared FROM folder").fetchall()
        return {row[0]: Seen(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows}

    def saw(self, seen: Seen) -> None:
        """Note how far a folder was read."""
        row = (seen.name, seen.validity, seen.modseq, seen.next, seen.filled, seen.compared)
        self._run("INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop(self, folder: str) -> None:
        """A folder is gone, or its UIDs mean nothing any more: where its messages are has to be found out."""
        self._run("INSERT OR IGNORE INTO lost SELECT id FROM message WHERE folder = ?", (folder,))
        self._run("DELETE FROM message WHERE folder = ?", (folder,))
        self._run("DELETE FROM folder WHERE name = ?", (folder,))

    # Messages

    def uids(self, folder: str) -> dict[int, str]:
        """UID → marks of everything in a folder."""
        return dict(self._connection.execute("SELECT uid, marks FROM message WHERE folder = ?", (folder,)).fetchall())

    def counts(self, folder: str) -> tuple[int, int, int]:
        """(messages, of them about to be expunged, unread of those that are not) of a folder."""
        row = self._connection.execute(
            "SELECT count(*), coalesce(sum(instr(marks, 'D') = 1), 0), "
            "coalesce(sum(instr(marks, 'D') != 1 AND instr(marks, 'S') = 0), 0) FROM message WHERE folder = ?",
            (folder,),
        ).fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def spots(self, folder: str, uids: Iterable[int]) -> dict[int, Spot]:
        """What lies at these places."""
        found: dict[int, Spot] = {}
        for chunk in _chunks(list(uids)):
            query = f"SELECT folder, uid, id, marks FROM message WHERE folder = ? AND uid IN ({_marks(chunk)})"
            found |= {row[1]: Spot(*row) for row in self._connection.execute(query, (folder, *chunk))}
        return found

    def places(self, ids: Iterable[str]) -> dict[str, list[Spot]]:
        """Where these messages lie: first where they are not about to be expunged."""
        found: dict[str, list[Spot]] = {}
        for chunk in _chunks(list(ids)):
            query = f"SELECT folder, uid, id, marks FROM message WHERE id IN ({_marks(chunk)}) "
            query += "ORDER BY instr(marks, 'D') = 1, folder, uid"
            for row in self._connection.execute(query, chunk):
                found.setdefault(row[2], []).append(Spot(*row))
        return found

    def put(self, spots: Iterable[Spot]) -> None:
        """Messages lie there."""
        rows = [(spot.folder, spot.uid, spot.id, spot.marks) for spot in spots]
        self.begin()
        self._connection.executemany("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?)", rows)

    def take(self, folder: str, uids: Sequence[int], *, lost: bool = True) -> None:
        """Nothing lies there any more. `lost`: what did may have moved."""
        self.begin()
        for chunk in _chunks(list(uids)):
            where = f"folder = ? AND uid IN ({_marks(chunk)})"
            if lost:
                self._run(f"INSERT OR IGNORE INTO lost SELECT id FROM message WHERE {where}", (folder, *chunk))
            self._run(f"DELETE FROM message WHERE {where}", (folder, *chunk))

    def lose(self, ids: Iterable[str]) -> None:
        """These are nowhere to be seen, though they may have a place."""
        self.begin()
        self._connection.executemany("INSERT OR IGNORE INTO lost VALUES (?)", [(one,) for one in ids])

    def missing(self) -> list[str]:
        """The ids that lost their place and have no other one."""
        return [
            str(row[0])
            for row in self._connection.execute(
                "SELECT id FROM lost WHERE NOT EXISTS "
                "(SELECT 1 FROM message WHERE message.id = lost.id AND instr(marks, 'D') != 1)"
            )
        ]

    def found(self) -> None:
        """What was missing has been told."""
        self._run("DELETE FROM lost")

    def ids(self) -> Iterator[str]:
        """Every message that is really there."""
        for row in self._connection.execute("SELECT DISTINCT id FROM message WHERE instr(marks, 'D') != 1"):
            yield row[0]

    def _run(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> None:
        self.begin()
        self._connection.execute(query, values)


def _chunks(values: list[object] | list[int] | list[str]) -> Iterator[list[object]]:
    for start in range(0, len(values), 500):
        yield list(values[start : start + 500])


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
