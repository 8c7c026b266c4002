"""The note of where each message of an IMAP mailbox lies: a cache, thrown away when it is broken and only then."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from crmmail.errors import StoreError
from crmmail.remotes import imap_index
from crmmail.remotes.imap_index import Index


def test_a_damaged_note_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "imap-work.db"
    path.write_bytes(b"no database at all " * 500)
    Index(path).close()
    assert path.read_bytes().startswith(b"SQLite format 3")


def test_a_note_that_another_holds_for_a_moment_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "imap-work.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.executescript("CREATE TABLE mark (x); BEGIN EXCLUSIVE; INSERT INTO mark VALUES (1)")
    connect = sqlite3.connect
    monkeypatch.setattr(imap_index.sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.05}))
    with pytest.raises(StoreError):
        Index(path)
    holder.execute("COMMIT")
    assert holder.execute("SELECT x FROM mark").fetchall() == [(1,)]
    assert connect(path).execute("SELECT x FROM mark").fetchall() == [(1,)], "the same file is still there"
