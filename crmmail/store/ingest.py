"""A page of a remote's news, within one cache transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from crmmail import ops
from crmmail.errors import StoreError
from crmmail.i18n import _
from crmmail.model import ID_SEQUENCE_BITS, MAX_RECEIVED_MS, Change, Folder, Headers, Page, Patch, State, message_id
from crmmail.store import binding, codec, completion, projection
from crmmail.store.faults import FuseBlown
from crmmail.store.incoming import Prepared

FUSE_SMALLEST = 20  # a folder below this may empty itself without a question
_SEQUENCE = 1 << ID_SEQUENCE_BITS


@dataclass(slots=True)
class _Known:
    """What the cache holds of a message a page speaks of."""

    id: int
    base: str
    shown: str | None
    thread: int
    whole: int


def unkept(connection: sqlite3.Connection, mailbox: str, page: Page) -> list[str]:
    """The remote ids the local copy has in the page's scope and `page.keep` does not name. Read before the lock."""
    if page.keep is None:
        return []
    query = "SELECT remote_id FROM message WHERE mailbox = ?"
    arguments: tuple[str, ...] = (mailbox,)
    if page.scope is not None:
        query += " AND EXISTS (SELECT 1 FROM json_each(base, '$.folders') WHERE value = ?)"
        arguments = (mailbox, page.scope)
    stays = page.keep | {item.remote_id for item in page.upserts}
    return [row[0] for row in connection.execute(query, arguments) if row[0] not in stays]


def _ended(page: Page) -> dict[str, None]:
    """The messages a page tells to be gone, in whatever words; the last word on a message counts."""
    gone = {item.remote_id: bool(item.state and item.state.gone) for item in page.upserts}
    for patch in page.patches:
        told = patch.delta is not None and patch.delta.gone
        gone[patch.remote_id] = told or (patch.state.gone if patch.state else gone.get(patch.remote_id, False))
    return {name: None for name, is_gone in gone.items() if is_gone}


class Ingest:
    """Applies one page. Create it within the transaction, call `run` once."""

    def __init__(self, connection: sqlite3.Connection, mailbox: str) -> None:
        self._connection = connection
        self._mailbox = mailbox
        self._known: dict[str, _Known] = {}
        self._projection = projection.Projection(connection)
        self._touched: dict[int, None] = {}
        self._repainted: set[int] = set()
        self._born: set[int] = set()
        self._told: dict[int, tuple[Headers, tuple[str, ...]]] = {}
        self._bereaved: set[int] = set()  # conversations that lost a message
        self._left: set[int] = set()  # copies of what was removed
        self._unbound = Change()

    def run(self, page: Page, prepared: Sequence[Prepared], unkept: Sequence[str], now_ms: int) -> Change:
        """The whole page: removals behind the fuse, folders, upserts, patches, cursor."""
        ended = _ended(page)
        prepared = [item for item in prepared if item.remote_id not in ended]
        stays = {item.remote_id for item in prepared}
        doomed = [
            name for name in dict.fromkeys(map(codec.storable, (*page.removals, *ended, *unkept))) if name not in stays
        ]
        self._look_up([*stays, *doomed, *(patch.remote_id for patch in page.patches)])
        filled, labels = self._mailbox_facts()
        leaves = self._unlabel(page.scope, unkept) if labels and page.scope and unkept else ()
        self._remove([name for name in doomed if name not in leaves])
        mailboxes = self._list_folders(page.folders) if page.folders is not None else frozenset()
        for item in prepared:
            self._upsert(item)
        for patch in page.patches:
            if patch.remote_id not in ended:
                self._patch(patch)
        self._projection.refresh(list(self._touched))
        change = self._projection.finish() | self._bind()
        completion.count(self._connection, {**self._touched, **dict.fromkeys(self._repainted)}, now_ms)
        self._advance(page, now_ms)
        arrived = frozenset(self._projection.arrivals & self._born) if filled else frozenset()
        return change | Change(messages=frozenset(self._repainted), mailboxes=mailboxes, arrived=arrived)

    def _bind(self) -> Change:
        """Say whose the mail is that is new or moved."""
        moved = {*self._touched, *self._repainted, *self._projection.messages, *self._left}
        binder = binding.Binding(self._connection)
        return self._unbound | binder.run(moved, threads=self._bereaved, told=self._told)

    def _mailbox_facts(self) -> tuple[bool, bool]:
        row = self._connection.execute(
            "SELECT filled, capabilities FROM mailbox WHERE id = ?", (self._mailbox,)
        ).fetchone()
        if row is None:
            raise StoreError(_("The mailbox {name} is not connected.").format(name=self._mailbox))
        return bool(row[0]), codec.text_capabilities(row[1]).labels

    def _look_up(self, remote_ids: Iterable[str]) -> None:
        rows = self._connection.execute(
            "SELECT m.remote_id, m.id, m.base, m.shown, m.thread, m.whole FROM json_each(?) j "
            "CROSS JOIN message m ON m.mailbox = ? AND m.remote_id = j.value",
            (json.dumps([codec.storable(name) for name in remote_ids]), self._mailbox),
        )
        self._known = {row[0]: _Known(*row[1:]) for row in rows}

    # removals

    def _unlabel(self, scope: str, unkept: Sequence[str]) -> frozenset[str]:
        """Where messages wear labels, one that left a folder lost the label and still exists."""
        for name in unkept:
            if (known := self._known.get(name)) is not None:
                base = codec.text_state(known.base)
                self._rebase(known, replace(base, folders=base.folders - {scope}))
        return frozenset(unkept)

    def _remove(self, remote_ids: Sequence[str]) -> None:
        self._connection.executemany(
            "DELETE FROM wanted WHERE mailbox = ? AND remote_id = ?", [(self._mailbox, name) for name in remote_ids]
        )
        doomed = [self._known.pop(name) for name in remote_ids if name in self._known]
        if not doomed:
            return
        self._fuse(doomed)
        numbers = [known.id for known in doomed]
        self._bereaved.update(known.thread for known in doomed)
        left, self._unbound = binding.forget(self._connection, numbers)
        self._left |= left
        self._projection.remove(numbers)

    def _fuse(self, doomed: Sequence[_Known]) -> None:
        """Count what pages took out of each folder since the last complete one; stop when it is more than half."""
        leaving: Counter[str] = Counter()
        for known in doomed:
            leaving.update(codec.text_state(known.shown or known.base).folders)
        allowed = self._connection.execute(
            "SELECT allow_removal FROM mailbox WHERE id = ?", (self._mailbox,)
        ).fetchone()[0]
        for key, count in leaving.items():
            row = self._connection.execute(
                "SELECT total, removed FROM folder WHERE mailbox = ? AND key = ?", (self._mailbox, key)
            ).fetchone()
            total, removed = row or (0, 0)
            whole, gone = total + removed, removed + count
            if not allowed and whole >= FUSE_SMALLEST and gone * 2 > whole:
                raise FuseBlown(self._mailbox, key, gone, whole, removed)
            self._connection.execute(
                "UPDATE folder SET removed = ? WHERE mailbox = ? AND key = ?", (gone, self._mailbox, key)
            )

    # folders

    def _list_folders(self, folders: Sequence[Folder]) -> frozenset[str]:
        """Take over the server's folder list; the mailbox changed when it differs from ours."""
        query = "SELECT key, role, name, remote_id, parent, hidden, server_total, server_unread, listed FROM folder"
        mine = (self._mailbox,)
        before = self._connection.execute(f"{query} WHERE mailbox = ? AND listed ORDER BY key", mine).fetchall()
        self._connection.execute("UPDATE folder SET listed = 0 WHERE mailbox = ?", mine)
        for folder in folders:
            texts = (folder.key, folder.role.value, folder.name, folder.remote_id, folder.parent)
            self._connection.execute(
                "INSERT INTO folder(mailbox, key, role, name, remote_id, parent, hidden, server_total, server_unread, "
                "listed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT(mailbox, key) DO UPDATE SET "
                "role = excluded.role, name = excluded.name, remote_id = excluded.remote_id, parent = excluded.parent, "
                "hidden = excluded.hidden, server_total = excluded.server_total, "
                "server_unread = excluded.server_unread, listed = 1",
                (
                    self._mailbox,
                    *(codec.storable(text) for text in texts),
                    folder.hidden,
                    folder.server_total,
                    folder.server_unread,
                ),
            )
        after = self._connection.execute(f"{query} WHERE mailbox = ? AND listed ORDER BY key", mine).fetchall()
        return frozenset({self._mailbox}) if before != after else frozenset()

    # messages

    def _upsert(self, item: Prepared) -> None:
        known = self._known.get(item.remote_id)
        if known is None:
            # A body that arrives after its message was removed says nothing of where it lies: it is not mail of ours.
            if item.state is not None:
                self._insert(item)
            return
        if item.state is not None:
            self._rebase(known, item.state)
        if item.packed is not None and (item.raw is not None or known.whole != 1):
            self._rewrite(known, item)

    def _insert(self, item: Prepared) -> None:
        number = self._free_id(item)
        thread = self._thread(item)
        base = codec.state_text(item.state)
        self._connection.execute(
            "INSERT INTO message(id, mailbox, remote_id, thread, subject, sender, sender_email, recipients, snippet, "
            "received_ms, has_attachments, size, whole, base, message_id, remote_thread) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                number,
                self._mailbox,
                item.remote_id,
                thread,
                item.subject,
                item.sender,
                item.sender_email,
                item.recipients,
                item.snippet,
                item.received_ms,
                item.has_attachments,
                item.size,
                item.raw is not None,
                base,
                item.message_id,
                item.remote_thread,
            ),
        )
        self._connection.execute(
            "DELETE FROM wanted WHERE mailbox = ? AND remote_id = ?", (self._mailbox, item.remote_id)
        )
        self._known[item.remote_id] = _Known(number, base, None, thread, int(item.raw is not None))
        self._store_body(number, item)
        self._touched[number] = None
        self._born.add(number)

    def _free_id(self, item: Prepared) -> int:
        """The id that sorts by time and is the same after every new download; twins step aside by a millisecond.

        A step, not the next number: thousands with one timestamp would else form one long cluster to probe through.
        """
        number = message_id(item.received_ms, codec.number_of(self._mailbox, item.remote_id, bits=ID_SEQUENCE_BITS))
        step = -_SEQUENCE if item.received_ms > MAX_RECEIVED_MS // 2 else _SEQUENCE
        while self._connection.execute("SELECT 1 FROM message WHERE id = ?", (number,)).fetchone():
            number += step
        return number

    def _rewrite(self, known: _Known, item: Prepared) -> None:
        """Take over headers and body of a message known before, keeping its id and its place in the lists."""
        row = self._connection.execute("SELECT packed FROM body WHERE message = ?", (known.id,)).fetchone()
        if row is not None and row[0] == item.packed and item.raw is None:
            return
        if row is not None:
            projection.unindex(self._connection, known.id, row[0])
        thread = known.thread if item.thread is None and not item.keys else self._thread(item)
        shown = None if known.shown is None else codec.text_state(known.shown)
        self._projection.change_thread(self._mailbox, shown, known.thread, thread)
        known.thread = thread
        if item.raw is not None:
            known.whole = 1
        self._connection.execute(
            "UPDATE message SET thread = ?, subject = ?, sender = ?, sender_email = ?, recipients = ?, snippet = ?, "
            "has_attachments = ?, size = max(size, ?), whole = ?, message_id = ? WHERE id = ?",
            (
                thread,
                item.subject,
                item.sender,
                item.sender_email,
                item.recipients,
                item.snippet,
                item.has_attachments,
                item.size,
                known.whole,
                item.message_id,
                known.id,
            ),
        )
        self._store_body(known.id, item)
        self._repainted.add(known.id)

    def _store_body(self, number: int, item: Prepared) -> None:
        if item.packed is None or item.words is None:
            return
        if item.told is not None:
            self._told[number] = item.told
        run = self._connection.execute
        run("INSERT OR REPLACE INTO body(message, packed) VALUES (?, ?)", (number, item.packed))
        if item.raw is not None:
            run("INSERT OR REPLACE INTO raw(message, bytes) VALUES (?, ?)", (number, item.raw))
        projection.index(self._connection, number, item.words)

    def _thread(self, item: Prepared) -> int:
        """The server's thread where it has one; else that of any message sharing a Message-ID with this one."""
        if item.thread is not None:
            return item.thread
        if not item.keys:
            return codec.number_of(self._mailbox, "alone", item.remote_id)
        keys = json.dumps(item.keys)
        rows = self._connection.execute(
            "SELECT DISTINCT thread FROM thread_key WHERE key IN (SELECT value FROM json_each(?)) ORDER BY thread",
            (keys,),
        ).fetchall()
        thread = int(rows[0][0]) if rows else item.keys[-1]
        self._connection.executemany(
            "INSERT OR REPLACE INTO thread_key(key, thread) VALUES (?, ?)", [(key, thread) for key in item.keys]
        )
        for (other,) in rows[1:]:
            self._merge(int(other), thread)
        return thread

    def _merge(self, other: int, thread: int) -> None:
        """A message links two threads: `other` becomes part of `thread`."""
        run = self._connection.execute
        rows = run("SELECT id, mailbox, shown FROM message WHERE thread = ?", (other,)).fetchall()
        for number, mailbox, shown in rows:
            state = None if shown is None else codec.text_state(shown)
            self._projection.change_thread(mailbox, state, other, thread)
            self._repainted.add(number)
        for known in self._known.values():
            if known.thread == other:
                known.thread = thread
        run("UPDATE message SET thread = ? WHERE thread = ?", (thread, other))
        run("UPDATE thread_key SET thread = ? WHERE thread = ?", (thread, other))

    def _rebase(self, known: _Known, base: State) -> None:
        text = codec.state_text(base)
        if text != known.base:
            known.base = text
            self._connection.execute("UPDATE message SET base = ? WHERE id = ?", (text, known.id))
            self._touched[known.id] = None

    def _patch(self, patch: Patch) -> None:
        """A change of a message known here; one never seen is remembered, so that sync fetches it."""
        known = self._known.get(codec.storable(patch.remote_id))
        if known is None:
            self._connection.execute(
                "INSERT OR IGNORE INTO wanted(mailbox, remote_id) VALUES (?, ?)",
                (self._mailbox, codec.storable(patch.remote_id)),
            )
            return
        base = patch.state if patch.state is not None else codec.text_state(known.base)
        self._rebase(known, base if patch.delta is None else ops.apply(base, patch.delta))

    def _advance(self, page: Page, now_ms: int) -> None:
        run = self._connection.execute
        run("UPDATE mailbox SET cursor = ? WHERE id = ?", (page.cursor, self._mailbox))
        if page.complete:
            run(
                "UPDATE mailbox SET filled = 1, heard_ms = ?, allow_removal = 0 WHERE id = ?",
                (now_ms, self._mailbox),
            )
            run("UPDATE folder SET removed = 0 WHERE mailbox = ? AND removed", (self._mailbox,))
