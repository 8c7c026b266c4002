"""The CRM side's records on the desk, and the journal of how they were edited.

A record is a sealed text under (kind, key). `write` takes any number of them to new contents as one edit; the edits of
an act hold what was before and what came after, so one pair of functions undoes a corrected link, a merge and an import
of 50,000 rows alike. An edit without an act (`act` 0: a CRM told it) only names what it touched: the directory in the
cache catches up with edits, in their order, and forgets none after a crash.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence

from crmmail.model import Act
from crmmail.store import codec, journal

ACCOUNT, CONTACT = "account", "contact"
CHOICE = "choice"  # what the user said of one message, conversation, sender or domain: whose it is, whose it is not
NEVER = "never"
PRIVATE = "private"
ALIAS = "alias"  # an account that was merged into another
SETTING = "setting"
CRM = "crm"  # how far a CRM was heard
CONNECTED = "connected"  # a CRM, and what it can do
ENTRY = "entry"  # what was logged of an account on this computer
TOLD = "told"  # an account or contact as its CRM told it last

CREATE_ACCOUNT, CREATE_CONTACT = "create_account", "create_contact"
SAVE_ACCOUNT, SAVE_CONTACT = "save_account", "save_contact"
REMOVE_ACCOUNT, REMOVE_CONTACT, MERGE_ACCOUNTS, IMPORT = "remove_account", "remove_contact", "merge_accounts", "import"
LINK, UNLINK, NEVER_AGAIN, HIDE, SET = "link", "unlink", "never", "private", "crm_setting"
KINDS = frozenset(
    {SAVE_ACCOUNT, SAVE_CONTACT, REMOVE_ACCOUNT, REMOVE_CONTACT, MERGE_ACCOUNTS, IMPORT, LINK, UNLINK, NEVER_AGAIN}
    | {HIDE, SET, CREATE_ACCOUNT, CREATE_CONTACT}
)
"""Act kinds of ours: undo and redo turn them in `turn`."""

Key = tuple[str, str]
"""Kind and key."""

RUNNING = "running"
"""State of an act whose edits are still being written: one that nobody writes any more is turned back (`turning`)."""


def seal(kind: str, key: str, content: str) -> bytes:
    """The hash of a record."""
    return codec.row_hash(kind, key, content)


def get(connection: sqlite3.Connection, kind: str, key: str) -> str | None:
    """The content of a record; None when there is none, or not what was written."""
    return many(connection, kind, [key]).get(key)


def many(connection: sqlite3.Connection, kind: str, keys: Iterable[str]) -> dict[str, str]:
    """The contents of those of these records that are there and intact."""
    rows = connection.execute(
        "SELECT r.key, CAST(r.content AS BLOB), r.hash FROM json_each(?) j CROSS JOIN record r "
        "ON r.kind = ? AND r.key = j.value",
        (json.dumps(list(keys)), kind),
    )
    return dict(_intact(kind, rows))


def under(connection: sqlite3.Connection, kind: str, prefix: str) -> dict[str, str]:
    """The intact records whose keys begin with `prefix`."""
    rows = connection.execute(
        "SELECT key, CAST(content AS BLOB), hash FROM record WHERE kind = ? AND key >= ? AND key < ?",
        (kind, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)),
    )
    return dict(_intact(kind, rows))


def of_kind(connection: sqlite3.Connection, kind: str) -> dict[str, str]:
    """All intact records of a kind."""
    rows = connection.execute("SELECT key, CAST(content AS BLOB), hash FROM record WHERE kind = ?", (kind,))
    return dict(_intact(kind, rows))


def _intact(kind: str, rows: Iterable[tuple[str, bytes, bytes]]) -> Iterable[tuple[str, str]]:
    for key, content, sealed in rows:
        text = content.decode("utf-8", "replace")
        if seal(kind, key, text) == sealed:
            yield key, text


def write(connection: sqlite3.Connection, act: int, wanted: Mapping[Key, str | None]) -> int:
    """Take records to these contents (None: gone) as one edit of `act`; how many differ from what they were."""
    before = _contents(connection, wanted)
    changes = [(kind, key, before.get((kind, key)), after) for (kind, key), after in wanted.items()]
    changes = [change for change in changes if change[2] != change[3]]
    if changes:
        _put(connection, changes)
        _note(connection, act, changes if act else [change[:2] for change in changes])
    return len(changes)


def _contents(connection: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, str]:
    of: dict[str, list[str]] = {}
    for kind, key in keys:
        of.setdefault(kind, []).append(key)
    return {(kind, key): text for kind, names in of.items() for key, text in many(connection, kind, names).items()}


def _put(connection: sqlite3.Connection, changes: Sequence[tuple[str, str, str | None, str | None]]) -> None:
    connection.executemany(
        "DELETE FROM record WHERE kind = ? AND key = ?", [change[:2] for change in changes if change[3] is None]
    )
    connection.executemany(
        "INSERT INTO record(kind, key, content, hash) VALUES (?, ?, ?, ?) "
        "ON CONFLICT(kind, key) DO UPDATE SET content = excluded.content, hash = excluded.hash",
        [(kind, key, after, seal(kind, key, after)) for kind, key, _before, after in changes if after is not None],
    )


def _note(connection: sqlite3.Connection, act: int, changes: Sequence[Sequence[str | None]]) -> None:
    content = zlib.compress(json.dumps(changes, separators=(",", ":")).encode(), 1)
    connection.execute(
        "INSERT INTO edit(act, content, hash) VALUES (?, ?, ?)", (act, content, codec.row_hash(act, content))
    )


def _edits(connection: sqlite3.Connection, where: str, argument: int) -> list[tuple[int, list[list[str | None]]]]:
    rows = connection.execute(f"SELECT id, act, content, hash FROM edit WHERE {where} ORDER BY id", (argument,))
    return [
        (number, json.loads(zlib.decompress(content)))
        for number, act, content, sealed in rows
        if sealed == codec.row_hash(act, content)
    ]


def put(connection: sqlite3.Connection, kind: str, key: str, content: str | None) -> None:
    """Write a record that no act and no directory is about."""
    _put(connection, [(kind, key, None, content)])


def turn(connection: sqlite3.Connection, act: int, *, back: bool) -> int:
    """Undo (`back`) or redo the edits of an act; how many records moved.

    A record that something else (a CRM) changed since stays as it is now.
    """
    found = _edits(connection, "act = ?", act)
    return _turned(connection, [change for _number, changes in found for change in changes], back=back)


def turn_edit(connection: sqlite3.Connection, act: int, after: int, *, back: bool) -> int | None:
    """Undo the edit of an act that comes before edit `after` (redo the one behind it): its number, None for the end."""
    beyond = "max(id) FROM edit WHERE act = ? AND id < ?" if back else "min(id) FROM edit WHERE act = ? AND id > ?"
    number = connection.execute(f"SELECT {beyond}", (act, after)).fetchone()[0]
    if number is None:
        return None
    for _number, changes in _edits(connection, "id = ?", number):
        _turned(connection, changes, back=back)
    return int(number)


def _turned(connection: sqlite3.Connection, changes: Iterable[Sequence[str | None]], *, back: bool) -> int:
    first: dict[Key, str | None] = {}
    last: dict[Key, str | None] = {}
    for kind, key, before, after in changes:
        first.setdefault((str(kind), str(key)), before)
        last[str(kind), str(key)] = after
    there, here = (first, last) if back else (last, first)
    now = _contents(connection, there)
    moved = [
        (kind, key, now.get((kind, key)), there[kind, key])
        for kind, key in there
        if now.get((kind, key)) == here[kind, key] != there[kind, key]
    ]
    if moved:
        _put(connection, moved)
        _note(connection, 0, [change[:2] for change in moved])
    return len(moved)


def touched(connection: sqlite3.Connection, seen: int) -> tuple[int, list[Key]]:
    """(the newest edit, what edits after `seen` touched)."""
    found: dict[Key, None] = {}
    newest = seen
    for number, changes in _edits(connection, "id > ?", seen):
        newest = max(newest, number)
        found.update(dict.fromkeys((str(change[0]), str(change[1])) for change in changes))
    return newest, list(found)


def newest(connection: sqlite3.Connection) -> int:
    """The number of the last edit ever made."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'edit'").fetchone()
    return int(row[0]) if row else 0


def sweep(connection: sqlite3.Connection, seen: int) -> None:
    """Let go of edits nothing needs any more: those no act can turn and the directory has taken over."""
    connection.execute(
        "DELETE FROM edit WHERE id <= ? AND (act = 0 OR act IN (SELECT id FROM act WHERE state IN ('final', 'dead')))",
        (seen,),
    )


def of_act(connection: sqlite3.Connection, act: int) -> list[Key]:
    """What an act touched."""
    return list({(str(c[0]), str(c[1])): None for _n, changes in _edits(connection, "act = ?", act) for c in changes})


def begin(connection: sqlite3.Connection, kind: str, count: int, subject: str, now_ms: int) -> Act:
    """An act of ours."""
    return journal.record(connection, kind, count, codec.storable(subject), now_ms)


def keys(connection: sqlite3.Connection, kind: str) -> list[str]:
    """The keys of all records of a kind."""
    return [row[0] for row in connection.execute("SELECT key FROM record WHERE kind = ?", (kind,))]


def differ(connection: sqlite3.Connection, wanted: Mapping[Key, str | None]) -> bool:
    """Whether writing these would change anything."""
    before = _contents(connection, wanted)
    return any(before.get(key) != content for key, content in wanted.items())


def finish(connection: sqlite3.Connection, act: int, count: int) -> None:
    """An act that was written in several goes is whole: it can be undone, and says how much it changed."""
    kind, created_ms, subject = connection.execute(
        "SELECT kind, created_ms, subject FROM act WHERE id = ?", (act,)
    ).fetchone()
    connection.execute(
        "UPDATE act SET state = 'done', count = ?, hash = ? WHERE id = ?",
        (count, journal.act_seal(kind, count, created_ms, subject), act),
    )
