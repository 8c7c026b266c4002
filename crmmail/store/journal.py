"""The durable journal of what the user did: acts (the unit of undo) and their ops (one for each message).

All functions work within a transaction that the store opened. An op's content is sealed with a hash; one that no
longer fits goes to quarantine and is never sent. `back` tells where an op leads: 0 to what the act wanted, 1 to what
was before it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from crmmail import ops
from crmmail.model import Act, Capabilities, Delta, Op, OpState, State
from crmmail.ops import Verb
from crmmail.store import codec

OP_COLUMNS = (
    "id, act, mailbox, remote_id, kind, delta, before, message_id, back, state, attempts, not_before, error, hash"
)
ORIGIN_DEPTH = 50  # ops of one message looked through for where it was before the trash


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the op table."""

    id: int
    act: int
    mailbox: str
    remote_id: str
    kind: str
    delta: str
    before: str
    message_id: str
    back: int
    state: str
    attempts: int
    not_before: float
    error: str
    hash: bytes

    @property
    def intact(self) -> bool:
        """Whether the content is what was written."""
        return self.hash == seal(self) and self.state in _STATES


_STATES = frozenset(state.value for state in OpState)


@dataclass(frozen=True, slots=True)
class Subject:
    """A message an act is about, as it is shown at that moment."""

    id: int
    mailbox: str
    remote_id: str
    message_id: str
    shown: State


def seal(entry: Entry) -> bytes:
    """The hash of what an op means; where it stands (state, attempts) may change without it."""
    return codec.row_hash(
        entry.act, entry.mailbox, entry.remote_id, entry.kind, entry.delta, entry.before, entry.message_id, entry.back
    )


def act_seal(kind: str, count: int, created_ms: int, subject: str) -> bytes:
    """The hash of an act's content."""
    return codec.row_hash(kind, count, created_ms, subject)


def entries(connection: sqlite3.Connection, where: str, arguments: Sequence[object]) -> list[Entry]:
    """The intact ops that fulfil `where`, oldest first; broken ones go to quarantine on the way."""
    rows = connection.execute(f"SELECT {OP_COLUMNS} FROM op WHERE {where} ORDER BY id", arguments).fetchall()
    found = [Entry(*row) for row in rows]
    broken = [entry for entry in found if not entry.intact]
    if not broken:
        return found
    if connection.in_transaction and not connection.execute("PRAGMA query_only").fetchone()[0]:
        quarantine(connection, broken)
    return [entry for entry in found if entry.intact]


def quarantine(connection: sqlite3.Connection, broken: Iterable[Entry]) -> None:
    """Move ops whose content is not what was written out of the journal."""
    for entry in broken:
        note_broken(connection, entry)
        connection.execute("DELETE FROM op WHERE id = ?", (entry.id,))


def note_broken(connection: sqlite3.Connection, entry: Entry) -> None:
    """Keep what is left of a broken op where nothing acts on it."""
    content = json.dumps([repr(getattr(entry, name)) for name in Entry.__dataclass_fields__])
    connection.execute("INSERT INTO quarantine(source, content, at) VALUES ('op', ?, unixepoch())", (content,))


def record(
    connection: sqlite3.Connection, kind: str, count: int, subject: str, now_ms: int, *, quiet: bool = False
) -> Act:
    """A new act: whatever was undone before can no longer be redone.

    A `quiet` one leaves undo and redo as they were.
    """
    if not quiet:
        connection.execute("UPDATE act SET state = 'dead' WHERE state = 'undone'")
    state = "final" if quiet or kind == Verb.DELETE else "done"
    cursor = connection.execute(
        "INSERT INTO act(kind, count, created_ms, state, subject, hash) VALUES (?, ?, ?, ?, ?, ?)",
        (kind, count, now_ms, state, subject, act_seal(kind, count, now_ms, subject)),
    )
    return Act(int(cursor.lastrowid or 0), kind, count, now_ms, state, subject)


def append(
    connection: sqlite3.Connection, act: int, kind: str, shares: Iterable[tuple[Subject, Delta]], back: int = 0
) -> None:
    """Write an op for each message of an act."""
    connection.executemany(
        "INSERT INTO op(act, mailbox, remote_id, kind, delta, before, message_id, back, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_columns(act, kind, subject, delta, back) for subject, delta in shares],
    )


def _columns(act: int, kind: str, subject: Subject, delta: Delta, back: int) -> tuple[object, ...]:
    content = (
        act,
        subject.mailbox,
        subject.remote_id,
        kind,
        ops.dumps(delta),
        codec.state_text(subject.shown),
        subject.message_id,
        back,
    )
    return (*content, codec.row_hash(*content))


def origin(connection: sqlite3.Connection, mailbox: str, remote_id: str) -> State | None:
    """What a message in the trash was before it got there: asked of the journal, None when we did not put it there."""
    rows = connection.execute(
        "SELECT delta, before FROM op WHERE mailbox = ? AND remote_id = ? AND state IN ('pending', 'sending', 'done') "
        "ORDER BY id DESC LIMIT ?",
        (mailbox, remote_id, ORIGIN_DEPTH),
    )
    for delta, before_text in rows:
        before = codec.text_state(before_text)
        after = ops.apply(before, codec.text_delta(delta))
        if before.folders != after.folders:
            return before if ops.TRASH in after.folders - before.folders else None
    return None


# undo and redo


def latest(connection: sqlite3.Connection, state: str, *, newest: bool) -> Act | None:
    """The act that undo (newest done) or redo (oldest undone) is about."""
    order = "DESC" if newest else "ASC"
    row = connection.execute(
        f"SELECT id, kind, count, created_ms, state, subject FROM act WHERE state = ? ORDER BY id {order} LIMIT 1",
        (state,),
    ).fetchone()
    return Act(*row) if row else None


def set_state(connection: sqlite3.Connection, ids: Iterable[int], state: OpState, error: str = "") -> None:
    """Move ops to another state."""
    connection.executemany("UPDATE op SET state = ?, error = ? WHERE id = ?", [(state, error, item) for item in ids])


@dataclass(frozen=True, slots=True)
class Turn:
    """How one message's share of an act is turned back (or forth again)."""

    first: Entry  # the op of the key press: its `before` is what undo leads to
    withdrawn: int | None = None  # op never sent: simply no longer meant (None: the opposite must be sent too)


def turns(connection: sqlite3.Connection, act: int, *, back: bool) -> list[Turn]:
    """What undoing (`back`) or redoing an act takes for each of its messages; those already there are left out."""
    history: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries(connection, "act = ?", (act,)):
        history.setdefault((entry.mailbox, entry.remote_id), []).append(entry)
    found = [_turn(entries_of, back) for entries_of in history.values()]
    return [turn for turn in found if turn is not None]


def _turn(history: Sequence[Entry], back: bool) -> Turn | None:
    """One message: its latest op that is still meant says where the act stands, and what the opposite takes."""
    first = history[0]
    meant = [entry for entry in history if entry.state != OpState.UNDONE]
    if not meant:
        # Not the withdrawn op itself: it would be folded before whatever was queued since, and lose against it.
        return None if back else Turn(first)
    last = meant[-1]
    if last.back == int(back) or last.state == OpState.REJECTED:
        return None
    if last.state == OpState.PENDING and not last.attempts:  # tried once, it may have arrived: the opposite is sent
        return Turn(first, withdrawn=last.id)
    return Turn(first)


def goal(entry: Entry, now: State, can: Capabilities, *, back: bool) -> State:
    """Where undo or redo leads a message that now is in state `now`.

    An act that moved it is undone exactly: folder, star and unread as they were. One that only set a flag gives
    only that flag back, so that what happened to the message elsewhere since is not undone with it.
    """
    before = codec.text_state(entry.before)
    after = ops.apply(before, codec.text_delta(entry.delta))
    wanted, other = (before, after) if back else (after, before)
    if before.folders != after.folders:
        if not can.labels or back:
            return replace(wanted, gone=now.gone)
        folders = (now.folders - (other.folders - wanted.folders)) | (wanted.folders - other.folders)
        return replace(wanted, folders=folders, gone=now.gone)
    return replace(
        now,
        unread=now.unread if before.unread == after.unread else wanted.unread,
        starred=now.starred if before.starred == after.starred else wanted.starred,
    )


# the sync side


def claimable(connection: sqlite3.Connection, mailbox: str, limit: int, now: float) -> list[list[Entry]]:
    """The ops to send, grouped by message in the order they were asked for.

    A message with an op on its way waits. Of one with a deferred op nothing after that op is taken: sending a later
    op first and the earlier one again after it would end in the wrong state.
    """
    rows = connection.execute(
        "SELECT remote_id FROM op WHERE mailbox = ? AND state IN ('pending', 'sending') ORDER BY id", (mailbox,)
    )
    seen: set[str] = set()
    groups: list[list[Entry]] = []
    for (name,) in rows:
        if len(groups) == limit:
            break
        if name not in seen and (group := _due(connection, mailbox, name, now)):
            groups.append(group)
        seen.add(name)
    return groups


def _due(connection: sqlite3.Connection, mailbox: str, remote_id: str, now: float) -> list[Entry]:
    where = "mailbox = ? AND remote_id = ? AND state IN ('pending', 'sending')"
    group = entries(connection, where, (mailbox, remote_id))
    if any(entry.state == OpState.SENDING for entry in group):
        return []
    return list(takewhile(lambda entry: entry.not_before <= now, group))


def rekey(connection: sqlite3.Connection, mailbox: str, old: str, new: str) -> None:
    """The server gave a message another id: everything the journal says of it follows."""
    for entry in entries(connection, "mailbox = ? AND remote_id = ?", (mailbox, old)):
        moved = replace(entry, remote_id=new)
        connection.execute("UPDATE op SET remote_id = ?, hash = ? WHERE id = ?", (new, seal(moved), entry.id))


def bury_rejected(connection: sqlite3.Connection, acts: Iterable[int]) -> None:
    """An act refused for all its messages has nothing left to undo."""
    connection.executemany(
        "UPDATE act SET state = 'dead' WHERE id = ? AND state = 'done' "
        "AND NOT EXISTS (SELECT 1 FROM op WHERE op.act = act.id AND op.state != 'rejected')",
        [(act,) for act in acts],
    )


def as_op(entry: Entry) -> Op:
    """The model's noun for a row."""
    return Op(
        entry.id,
        entry.act,
        entry.mailbox,
        entry.remote_id,
        entry.kind,
        codec.text_delta(entry.delta),
        codec.text_state(entry.before),
        OpState(entry.state),
        entry.attempts,
        entry.not_before,
        entry.error,
        entry.message_id,
    )


def subjects(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Subject]:
    """The messages of `ids` that are here, in the order of `ids`."""
    rows = connection.execute(
        "SELECT m.id, m.mailbox, m.remote_id, m.message_id, m.shown FROM json_each(?) j "
        "CROSS JOIN message m ON m.id = j.value WHERE m.shown IS NOT NULL ORDER BY j.key",
        (json.dumps(list(dict.fromkeys(ids))),),
    )
    return [
        Subject(number, mailbox, remote_id, header, codec.text_state(shown))
        for number, mailbox, remote_id, header, shown in rows
    ]


def mailbox_capabilities(connection: sqlite3.Connection) -> Mapping[str, Capabilities]:
    """What each registered mailbox can do."""
    rows = connection.execute("SELECT id, capabilities FROM mailbox")
    return {name: codec.text_capabilities(text) for name, text in rows}
