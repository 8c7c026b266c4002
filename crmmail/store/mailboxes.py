"""The mailboxes of the profile: their registration, folders they always have, how much of them is here."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from crmmail.model import ID_SEQUENCE_BITS, MAX_RECEIVED_MS, Change, Mailbox
from crmmail.store import binding, codec, projection, window
from crmmail.store.projection import Projection

REMOVED_AT_ONCE = 500


def register(connection: sqlite3.Connection, mailbox: Mailbox) -> None:
    """Add a mailbox or take over its new description; its cursor and mail stay."""
    connection.execute(
        "INSERT INTO mailbox(id, provider, address, name, color, capabilities, position) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(id) DO UPDATE SET provider = excluded.provider, address = excluded.address, "
        "name = excluded.name, color = excluded.color, capabilities = excluded.capabilities, "
        "position = excluded.position",
        (
            mailbox.id,
            mailbox.provider,
            mailbox.address,
            mailbox.name,
            mailbox.color,
            codec.capabilities_text(mailbox.capabilities),
            mailbox.position,
        ),
    )
    view = Projection(connection)
    view.folder(("", projection.INBOX))
    for key in window.ALWAYS:
        view.folder((mailbox.id, key))


def registered(connection: sqlite3.Connection) -> list[Mailbox]:
    """All mailboxes, in the user's order."""
    rows = connection.execute(
        "SELECT id, provider, address, name, color, capabilities, position FROM mailbox ORDER BY position, id"
    )
    return [
        Mailbox(name, provider, address, title, color, codec.text_capabilities(can), position)
        for name, provider, address, title, color, can, position in rows
    ]


def unregister(connection: sqlite3.Connection, mailbox: str) -> Change:
    """Forget a mailbox's local copy. Its ops stay in the journal: they go on when it is connected again."""
    numbers = [row[0] for row in connection.execute("SELECT id FROM message WHERE mailbox = ?", (mailbox,))]
    view = Projection(connection)
    left: set[int] = set()
    unbound = Change()
    for start in range(0, len(numbers), REMOVED_AT_ONCE):
        some = numbers[start : start + REMOVED_AT_ONCE]
        copies, change = binding.forget(connection, some)
        left, unbound = left | copies, unbound | change
        view.remove(some)
    change = view.finish() | unbound | binding.rebind(connection, left)
    connection.execute("DELETE FROM folder WHERE mailbox = ?", (mailbox,))
    connection.execute("DELETE FROM wanted WHERE mailbox = ?", (mailbox,))
    connection.execute("DELETE FROM mailbox WHERE id = ?", (mailbox,))
    return change | Change(mailboxes=frozenset({mailbox}))


def missing(connection: sqlite3.Connection, mailbox: str) -> dict[str, int]:
    """Folder key → what the server says it holds minus what we hold of the server's word; only where it said so."""
    drift: Counter[str] = Counter()
    rows = connection.execute("SELECT base, shown FROM message WHERE pending = 1 AND mailbox = ?", (mailbox,))
    for base, shown in rows:
        here, there = (projection.places(mailbox, codec.text_state(text)) for text in (shown, base))
        drift.update(key for owner, key in there - here if owner)
        drift.subtract(key for owner, key in here - there if owner)
    folders = connection.execute(
        "SELECT key, server_total - total FROM folder WHERE mailbox = ? AND listed AND server_total IS NOT NULL",
        (mailbox,),
    )
    return {key: difference - drift[key] for key, difference in folders if difference - drift[key]}


def whole(connection: sqlite3.Connection, mailbox: str, remote_ids: Iterable[str]) -> frozenset[str]:
    """Those of `remote_ids` whose raw message is here (or is known not to be had)."""
    return _among(connection, mailbox, remote_ids, "AND m.whole")


def here(connection: sqlite3.Connection, mailbox: str, remote_ids: Iterable[str]) -> frozenset[str]:
    """Those of `remote_ids` that have a row, with or without raw."""
    return _among(connection, mailbox, remote_ids, "")


def _among(connection: sqlite3.Connection, mailbox: str, remote_ids: Iterable[str], more: str) -> frozenset[str]:
    rows = connection.execute(
        "SELECT j.value FROM json_each(?) j CROSS JOIN message m ON m.mailbox = ? AND m.remote_id = j.value " + more,
        (json.dumps([codec.storable(name) for name in remote_ids]), mailbox),
    )
    return frozenset(row[0] for row in rows)


def unfetched(connection: sqlite3.Connection, mailbox: str, limit: int, since_ms: int = 0) -> list[str]:
    """What is still to be downloaded: first what was only heard of, then rows without raw since then, newest first."""
    wanted = connection.execute("SELECT remote_id FROM wanted WHERE mailbox = ? LIMIT ?", (mailbox, limit)).fetchall()
    bare = connection.execute(
        "SELECT remote_id FROM message WHERE mailbox = ? AND whole = 0 AND id >= ? ORDER BY id DESC LIMIT ?",
        (mailbox, min(since_ms, MAX_RECEIVED_MS) << ID_SEQUENCE_BITS, limit - len(wanted)),
    ).fetchall()
    return [row[0] for row in wanted + bare]


def unavailable(connection: sqlite3.Connection, mailbox: str, remote_ids: Iterable[str]) -> None:
    """The server has no raw message for these: they are not asked for again."""
    pairs = [(mailbox, codec.storable(name)) for name in remote_ids]
    connection.executemany("DELETE FROM wanted WHERE mailbox = ? AND remote_id = ?", pairs)
    connection.executemany("UPDATE message SET whole = 2 WHERE mailbox = ? AND remote_id = ? AND whole = 0", pairs)
