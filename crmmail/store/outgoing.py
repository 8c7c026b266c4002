"""Messages on their way out: what was queued is what goes, once, and every state is told as it is.

    held ──► queued ──► sending ──► accepted ──► seen
      │         │          │ ├────► failed ──► (queued, cancelled, accepted: the user's answers)
      └► cancelled ◄───────┘ └────► unknown ──► (seen, accepted, queued, failed, cancelled)

A message is claimed by compare-and-set with its attempt counted before the network is touched, and only when its
bytes still have the digest they were queued under. What was on its way when the process ended is `unknown`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crmmail.errors import DraftError, StoreError
from crmmail.i18n import N_, _
from crmmail.model import Draft, Outgoing, SendState
from crmmail.store import blobs, codec, completion, drafts, remote_drafts
from crmmail.store.blobs import Blob

ALTERED = N_("The queued message was altered on the disk; it was not sent.")
MARKED = N_("Marked as sent by you.")

S = SendState
NEXT: Mapping[SendState, frozenset[SendState]] = {
    S.HELD: frozenset({S.QUEUED, S.SENDING, S.FAILED, S.CANCELLED}),
    S.QUEUED: frozenset({S.HELD, S.SENDING, S.FAILED, S.CANCELLED}),
    S.SENDING: frozenset({S.QUEUED, S.ACCEPTED, S.SEEN, S.FAILED, S.UNKNOWN}),
    S.ACCEPTED: frozenset({S.SEEN}),
    S.SEEN: frozenset(),
    S.FAILED: frozenset({S.QUEUED, S.ACCEPTED, S.CANCELLED}),
    S.UNKNOWN: frozenset({S.QUEUED, S.ACCEPTED, S.SEEN, S.FAILED, S.CANCELLED}),
    S.CANCELLED: frozenset(),
}
"""The states that may follow each state. A message that is cancelled, or seen in Sent, stays so."""

WAITING = frozenset({S.HELD, S.QUEUED})
_SEALED = "id, draft, mailbox, subject, recipients, message_id, digest, token"
_FREE = "state, not_before, attempts, remote_draft, remote_id, sent_message_id, remote_thread, error"
COLUMNS = f"{_SEALED}, hash, {_FREE}"
_NUMBERS = frozenset({"id", "draft", "hash", "not_before", "attempts"})
_READABLE = codec.readable(COLUMNS, frozenset(COLUMNS.split(", ")) - _NUMBERS)
_BYTES = frozenset({COLUMNS.split(", ").index("hash")})
_NOTED = frozenset(_FREE.split(", ")) - {"attempts"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the outgoing table; `intact`: it says what was queued."""

    outgoing: Outgoing
    intact: bool


def entries(
    connection: sqlite3.Connection, where: str, arguments: Sequence[object] = (), limit: int = -1
) -> list[Entry]:
    """The rows that fulfil `where`, oldest first; -1: all of them."""
    found = connection.execute(
        f"SELECT {_READABLE} FROM outgoing WHERE {where} ORDER BY id LIMIT ?", (*arguments, limit)
    )
    return [_entry(codec.decoded(row, _BYTES)) for row in found]


def _entry(row: Sequence[Any]) -> Entry:
    number, draft, mailbox, subject, recipients, message_id, digest, token, sealed, state, *free = row
    intact = sealed == codec.row_hash(*row[:8])
    known = state in SendState.__members__.values()
    outgoing = Outgoing(
        number,
        draft,
        mailbox,
        SendState(state) if known else SendState.FAILED,
        subject,
        _texts(recipients),
        message_id,
        digest,
        token,
        *free,
    )
    return Entry(outgoing, intact and known)


def _texts(text: object) -> tuple[str, ...]:
    """The recipients as stored; none where they cannot be read: the row is not intact then."""
    try:
        return tuple(str(item) for item in json.loads(str(text)))
    except (ValueError, TypeError):
        return ()


def entry(connection: sqlite3.Connection, number: int) -> Entry:
    """One row. Raises StoreError when there is none."""
    found = entries(connection, "id = ?", (number,))
    if not found:
        raise StoreError(_("This message is no longer in the outbox."))
    return found[0]


def listed(connection: sqlite3.Connection, states: Iterable[SendState] | None) -> list[Outgoing]:
    """What is in these states (None: everything), oldest first."""
    wanted = json.dumps([state.value for state in (SendState if states is None else states)])
    found = entries(connection, "state IN (SELECT value FROM json_each(?))", (wanted,))
    return [one.outgoing for one in found]


def counts(connection: sqlite3.Connection) -> dict[SendState, int]:
    """How many messages are in each state that has any."""
    found = connection.execute("SELECT CAST(state AS BLOB), count(*) FROM outgoing GROUP BY state").fetchall()
    told = [codec.decoded(row) for row in found]
    return {SendState(state): count for state, count in told if state in SendState.__members__.values()}


def queue(
    connection: sqlite3.Connection, draft: Draft, mime: Blob, message_id: str, token: str, not_before: float, now: float
) -> Outgoing:
    """Put a message into the outbox and its draft out of the lists. Raises DraftError when it is not open any more."""
    kept = drafts.row(connection, draft.id, *drafts.STATES) if draft.id else None
    if draft.id and (kept is None or kept.state != drafts.OPEN):
        raise drafts.gone()
    if connection.execute("SELECT 1 FROM outgoing WHERE token = ?", (token,)).fetchone():
        raise drafts.gone()
    saved = drafts.save(connection, draft, int(now * 1000))
    drafts.set_state(connection, saved.id, drafts.OPEN, drafts.QUEUED)
    blobs.put(connection, mime)
    recipients = json.dumps([one.email for one in (*draft.to, *draft.cc, *draft.bcc)])
    texts = [codec.storable(text) for text in (draft.mailbox, draft.subject, recipients, message_id)]
    state = SendState.HELD if not_before > now else SendState.QUEUED
    cursor = connection.execute(
        "INSERT INTO outgoing(draft, mailbox, subject, recipients, message_id, digest, token, state, not_before, "
        "attempts, remote_draft, remote_id, sent_message_id, remote_thread, error, changed_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, '', '', ?, '', ?)",
        (saved.id, *texts, mime.digest, token, state, not_before, saved.remote_id, draft.remote_thread, now * 1000),
    )
    number = int(cursor.lastrowid or 0)
    sealed = codec.row_hash(number, saved.id, *texts, mime.digest, token)
    connection.execute("UPDATE outgoing SET hash = ? WHERE id = ?", (sealed, number))
    completion.meant(connection, draft, int(now * 1000))
    return entry(connection, number).outgoing


def due(connection: sqlite3.Connection, mailbox: str, now: float) -> tuple[Entry, tuple[int, bytes] | None] | None:
    """The oldest message whose time has come, with the row of its bytes."""
    found = entries(
        connection, "mailbox = ? AND state IN ('held', 'queued') AND not_before <= ?", (mailbox, now), limit=1
    )
    if not found:
        return None
    return found[0], blobs.row(connection, found[0].outgoing.digest)


def take(connection: sqlite3.Connection, number: int, now: float) -> Outgoing | None:
    """Compare and set to `sending`, the attempt counted; None when somebody was faster."""
    changed = connection.execute(
        "UPDATE outgoing SET state = 'sending', attempts = attempts + 1, error = '', changed_ms = ? "
        "WHERE id = ? AND state IN ('held', 'queued') AND not_before <= ?",
        (int(now * 1000), number, now),
    )
    return entry(connection, number).outgoing if changed.rowcount else None


def refuse(connection: sqlite3.Connection, number: int, now: float) -> bool:
    """What waits is not what was queued: it fails, and is never sent."""
    changed = connection.execute(
        "UPDATE outgoing SET state = 'failed', error = ?, changed_ms = ? WHERE id = ? AND state IN ('held', 'queued')",
        (_(ALTERED), int(now * 1000), number),
    )
    return bool(changed.rowcount)


def note(connection: sqlite3.Connection, number: int, now: float, changes: Mapping[str, Any]) -> Outgoing:
    """Write down what became of a message. Raises StoreError for a state that cannot follow the present one."""
    unknown = changes.keys() - _NOTED
    if unknown:
        raise TypeError(f"not to be noted: {', '.join(sorted(unknown))}")
    before = entry(connection, number).outgoing
    after = replace(before, **changes)
    if after.state != before.state and after.state not in NEXT[before.state]:
        raise StoreError(
            _("A message that is “{before}” cannot become “{after}”.").format(before=before.state, after=after.state)
        )
    names = sorted(changes)
    values = [codec.storable(value) if isinstance(value, str) else value for value in map(changes.get, names)]
    columns = "".join(f"{name} = ?, " for name in names)
    connection.execute(f"UPDATE outgoing SET {columns}changed_ms = ? WHERE id = ?", (*values, int(now * 1000), number))
    return after


def release(connection: sqlite3.Connection, mailbox: str, now: float) -> int:
    """What was on its way when nobody sends any more: whether it went out is not known. How many."""
    changed = connection.execute(
        "UPDATE outgoing SET state = 'unknown', changed_ms = ? WHERE mailbox = ? AND state = 'sending'",
        (int(now * 1000), mailbox),
    )
    return changed.rowcount


# the user's answers


def unsend(connection: sqlite3.Connection, number: int, now: float) -> Draft | None:
    """Inside the window: the draft as it was, open again. None: too late."""
    changed = connection.execute(
        "UPDATE outgoing SET state = 'cancelled', changed_ms = ? WHERE id = ? AND state = 'held' AND not_before > ?",
        (int(now * 1000), number, now),
    )
    return _reopened(connection, number, now) if changed.rowcount else None


def to_draft(connection: sqlite3.Connection, number: int, now: float) -> Draft:
    """Give up sending and go on writing. Raises StoreError for what is on its way, accepted or cancelled."""
    found = entry(connection, number).outgoing
    note(connection, number, now, {"state": SendState.CANCELLED})
    if found.attempts:
        connection.execute(  # what was to be sent has taken the place of the server's draft
            "UPDATE draft SET pushed = 0, remote_draft = ? WHERE id = ?", (found.remote_draft, found.draft)
        )
    return _reopened(connection, number, now)


def _reopened(connection: sqlite3.Connection, number: int, now: float) -> Draft:
    """The draft of an outgoing message, open; made anew from the message's own bytes where it was lost."""
    outgoing = entry(connection, number).outgoing
    drafts.set_state(connection, outgoing.draft, drafts.QUEUED, drafts.OPEN)
    kept = drafts.row(connection, outgoing.draft, drafts.OPEN)
    if kept is not None:
        return kept.draft
    raw = blobs.unpack(outgoing.digest, blobs.row(connection, outgoing.digest))
    fresh, files = remote_drafts.from_message(outgoing.mailbox, raw, ())
    for _enclosure, blob in files:
        blobs.put(connection, blob)
    return drafts.insert(connection, fresh, int(now * 1000))


def resend(connection: sqlite3.Connection, number: int, now: float) -> Outgoing:
    """Queue a failed or unknown message again. Raises StoreError when it is in another state."""
    found = entry(connection, number).outgoing
    if found.state not in (SendState.FAILED, SendState.UNKNOWN):
        raise DraftError(_("Only a message that failed, or may not have gone out, can be sent again."))
    again = {"state": SendState.QUEUED, "not_before": 0.0, "error": "", "remote_draft": ""}  # it may be gone
    return note(connection, number, now, again)


def mark_sent(connection: sqlite3.Connection, number: int, now: float) -> Outgoing:
    """The user says that it went out."""
    return note(connection, number, now, {"state": SendState.ACCEPTED, "error": _(MARKED)})
