"""The note of where each message of an IMAP mailbox lies: a cache, thrown away when it is broken and only then."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.auth.password import Login
from crmmail.auth.secrets import Secret
from crmmail.errors import Offline, StoreError
from crmmail.remotes import imap_index
from crmmail.remotes.dial import Server
from crmmail.remotes.imap import Imap
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


def is_open(index: Index) -> bool:
    try:
        index._connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_it_is_closed_when_nobody_uses_it_any_more_and_not_under_whoever_does(tmp_path: Path) -> None:
    index = Index(tmp_path / "imap-work.db")
    with index.guarded():
        index.write("epoch", "1")
        threading.Thread(target=index.close).start()
        time.sleep(0.05)
        with index.used():
            assert index.note("epoch") == "1"
        index.settle()
        assert is_open(index)
    assert not is_open(index)
    index.close()
    with pytest.raises(Offline), index.guarded():
        raise AssertionError("it was closed for good")
    with sqlite3.connect(tmp_path / "imap-work.db") as again:
        assert again.execute("SELECT value FROM note").fetchall() == [("1",)]


def test_what_was_not_settled_when_it_was_closed_is_forgotten(tmp_path: Path) -> None:
    index = Index(tmp_path / "imap-work.db")
    pages = reading(index)
    next(pages)
    index.close()
    assert is_open(index), "the page before is not settled yet"
    pages.close()
    assert not is_open(index)
    assert Index(tmp_path / "imap-work.db").note("epoch") == ""


def reading(index: Index) -> Iterator[int]:
    with index.guarded():
        index.write("epoch", "1")
        yield 1
        index.settle()


def test_a_mailbox_that_is_closed_lets_go_of_its_note(tmp_path: Path) -> None:
    login = Login("me@mail.example", lambda _refused: Secret("x"))
    mailbox = Imap("work", login=login, server=Server("imap", "127.0.0.1", 1), index=tmp_path / "imap-work.db")
    mailbox.close()
    assert not is_open(mailbox._index)
    with pytest.raises(Offline):
        mailbox.draft_at("1")
    with pytest.raises(Offline):
        next(mailbox.changes("", lambda _folder: ()))
