"""One writer connection for the process, one reader for each thread.

SQLite before 3.51.3 may corrupt a WAL file when two connections write or checkpoint at once
(https://sqlite.org/wal.html#walresetbug), and its own waiting between writers is unfair; so everything that writes
goes through the one connection under one lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crmmail.faultpoint import fault
from crmmail.store.files import CACHE, DESK

BUSY_MS = 5_000
TIDIED_BYTES = 2_000_000  # a WAL this long is brought home by the sync side, so that no key press has to
UNTENDED_PAGES = 8_000  # 32 MB: the key press does it after all when no sync has for very long


class Connection(sqlite3.Connection):
    """A connection that remembers where the last windows began: folder → (data version, offset, message id)."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.anchors: dict[int, tuple[int, int, int]] = {}


def connect(path: Path, *, readonly: bool = False, create: bool = False) -> Connection:
    """A connection in autocommit mode; transactions are always opened by hand."""
    mode = "ro" if readonly else "rwc" if create else "rw"
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=BUSY_MS / 1000,
        factory=Connection,
    )


def attach_cache(connection: sqlite3.Connection, directory: Path, *, readonly: bool) -> None:
    """Attach the cache beside the desk."""
    mode = "ro" if readonly else "rw"
    connection.execute("ATTACH DATABASE ? AS cache", (f"file:{quote(str(directory / CACHE))}?mode={mode}",))


def tune_writer(connection: sqlite3.Connection) -> None:
    """WAL for both; what exists nowhere else is on the disk before the user is told, the mirror may lag."""
    for name, level in (("main", "FULL"), ("cache", "NORMAL")):
        connection.execute(f"PRAGMA {name}.journal_mode = WAL")
        connection.execute(f"PRAGMA {name}.synchronous = {level}")
        connection.execute(f"PRAGMA {name}.journal_size_limit = 0")  # so that the file's size tells what is in it
    connection.execute("PRAGMA cache.cache_size = -8000")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA wal_autocheckpoint = {UNTENDED_PAGES}")


class WriteLock:
    """A re-entrant lock that knows whether anybody waits for it: what works for long in short steps can step aside."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: list[None] = []  # growing and shrinking a list is one step of the interpreter; counting is not

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._waiting.append(None)
            try:
                self._lock.acquire()
            finally:
                self._waiting.pop()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def wanted(self) -> bool:
        """Whether another thread waits for it now."""
        return bool(self._waiting)


class _Reader:
    """A thread's own read-only connection; closed with its thread."""

    def __init__(self, directory: Path, generation: int) -> None:
        self.generation = generation
        self.connection = connect(directory / DESK, readonly=True)
        attach_cache(self.connection, directory, readonly=True)
        self.connection.execute("PRAGMA query_only = 1")
        self.connection.execute("PRAGMA temp_store = MEMORY")

    def __del__(self) -> None:
        connection = getattr(self, "connection", None)
        if connection is not None:
            connection.close()


class Connections:
    """The writer (None when read-only) with its lock, and the readers."""

    def __init__(self, directory: Path, writer: sqlite3.Connection | None) -> None:
        self._directory = directory
        self.writer = writer
        self.lock = WriteLock()
        self.generation = 0
        self._local = threading.local()

    def replace(self, writer: sqlite3.Connection | None) -> None:
        """Go on with newly opened files: every reader opens anew at its next use."""
        self.generation += 1
        self.drop_writer()
        self.writer = writer

    def drop_writer(self) -> None:
        """Close the writer, if there is one."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A read transaction on this thread's connection: all its statements see the same moment."""
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None or reader.generation != self.generation:
            self._local.reader = reader = _Reader(self._directory, self.generation)
        connection = reader.connection
        if connection.in_transaction:  # a reading within a reading
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.rollback()  # ends the reading; SQLite has already done so after some errors

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writer within BEGIN IMMEDIATE … COMMIT; rolled back when the block raises."""
        with self.lock:
            writer = self.writer
            assert writer is not None
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                fault("store.commit")
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise

    def tidy(self) -> None:
        """Bring long WAL files home; called where nobody waits for the answer.

        Without success (full disk, damage) nothing is lost: what is in the WAL stays there, and the next reading or
        writing meets the same trouble and tells it.
        """
        for name, file in (("main", DESK), ("cache", CACHE)):
            wal = self._directory / f"{file}-wal"
            if wal.exists() and wal.stat().st_size > TIDIED_BYTES:
                with self.lock, suppress(sqlite3.Error):
                    if self.writer is not None:
                        self.writer.execute(f"PRAGMA {name}.wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the writer and this thread's reader; other threads' go with their threads."""
        self._local = threading.local()
        with self.lock:
            self.drop_writer()
