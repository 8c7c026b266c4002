"""Messages being written: rows of the desk, each sealed with a hash, durable when the transaction is.

A draft is `open` (listed), `discarded` (one undo away), `queued` (on its way, kept to be brought back) or `elsewhere`
(its copy on the server went another way, and nothing had been typed here since). What the row's content no longer seals
goes to quarantine; its text comes back as a new draft that names no recipients, for nothing typed may be lost and
nothing altered may be sent.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from crmmail.errors import DraftError
from crmmail.i18n import _
from crmmail.model import Act, Draft, Enclosure
from crmmail.store import blobs, codec, journal
from crmmail.store.blobs import Blob

OPEN, DISCARDED, QUEUED, ELSEWHERE = "open", "discarded", "queued", "elsewhere"
STATES = frozenset({OPEN, DISCARDED, QUEUED, ELSEWHERE})
DISCARD, CLEAR = "discard", "clear"
KINDS = frozenset({DISCARD, CLEAR})
"""Act kinds of ours: undo and redo turn them in `turn`."""
COLUMNS = (
    "id, mailbox, state, content, revision, saved_ms, enclosed, remote_draft, remote_message, remote_digest, pushed, "
    "attempt, hash"
)
_TEXTS = frozenset({"mailbox", "state", "content", "remote_draft", "remote_message", "remote_digest", "attempt"})
_READABLE = codec.readable(COLUMNS, _TEXTS)
_BYTES = frozenset({COLUMNS.split(", ").index("hash")})


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the draft table."""

    id: int
    mailbox: str
    state: str
    content: str
    revision: int
    saved_ms: int
    enclosed: int
    remote_draft: str
    remote_message: str
    remote_digest: str
    pushed: int
    attempt: str
    hash: bytes

    @property
    def intact(self) -> bool:
        """Whether the content is what was written."""
        return self.hash == seal(self) and self.state in STATES

    @property
    def draft(self) -> Draft:
        """The noun. Raises Damaged."""
        return codec.text_draft(
            self.content,
            id=self.id,
            mailbox=self.mailbox,
            remote_id=self.remote_draft,
            saved_ms=self.saved_ms,
            revision=self.revision,
        )


def seal(kept: Kept) -> bytes:
    """The hash of what was written; what the server calls it may change without it."""
    return codec.row_hash(kept.id, kept.mailbox, kept.content, kept.revision, kept.saved_ms)


def rows(connection: sqlite3.Connection, where: str, arguments: Sequence[object] = ()) -> list[Kept]:
    """The intact drafts that fulfil `where`, newest saved first; broken ones go to quarantine on the way."""
    found = connection.execute(f"SELECT {_READABLE} FROM draft WHERE {where}", arguments).fetchall()
    kept = [Kept(*codec.decoded(row, _BYTES)) for row in found]
    if not all(one.intact for one in kept) and not connection.execute("PRAGMA query_only").fetchone()[0]:
        for one in kept:
            if not one.intact:
                quarantine(connection, one)
    return sorted((one for one in kept if one.intact), key=lambda one: (-one.saved_ms, -one.id))


def row(connection: sqlite3.Connection, number: int, *states: str) -> Kept | None:
    """The intact draft `number`, when it is in one of `states`."""
    found = rows(connection, "id = ?", (number,))
    return found[0] if found and found[0].state in states else None


def quarantine(connection: sqlite3.Connection, broken: Kept) -> None:
    """Move an altered row away, and begin a draft with what can still be read of its text."""
    connection.execute(
        "INSERT INTO quarantine(source, content, at) VALUES ('draft', ?, unixepoch())", (_readable(broken.content),)
    )
    connection.execute("DELETE FROM draft WHERE id = ?", (broken.id,))
    if broken.state != QUEUED and (rescued := _rescued(connection, broken)) is not None:
        insert(connection, rescued, broken.saved_ms if isinstance(broken.saved_ms, int) else 0)


def _readable(content: object) -> str:
    return content if isinstance(content, str) else repr(content)


def _rescued(connection: sqlite3.Connection, broken: Kept) -> Draft | None:
    """Subject, text and whole files of an altered row, for nobody; None when there is nothing to read."""
    try:
        plain = json.loads(broken.content)
        subject, text = str(plain["subject"]), str(plain["text"])
    except (ValueError, TypeError, KeyError):
        return None
    enclosures = []
    for item in plain.get("enclosures") or ():
        try:
            enclosure = Enclosure(str(item["name"]), str(item["content_type"]), int(item["size"]), str(item["digest"]))
        except (ValueError, TypeError, KeyError):
            continue
        if blobs.has(connection, enclosure.digest):
            enclosures.append(enclosure)
    mailbox = broken.mailbox if isinstance(broken.mailbox, str) else ""
    return Draft(0, mailbox=mailbox, subject=subject, text=text, enclosures=tuple(enclosures))


def inspect(connection: sqlite3.Connection) -> int:
    """At start: quarantine altered rows; how many."""
    before = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
    rows(connection, "1")
    return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0] - before)


# writing


def insert(connection: sqlite3.Connection, draft: Draft, now_ms: int, state: str = OPEN, **remote: str) -> Draft:
    """A new row; the draft with its id."""
    cursor = connection.execute(
        "INSERT INTO draft(state, enclosed, remote_draft, remote_message, remote_digest, pushed, attempt) "
        "VALUES (?, 0, ?, ?, ?, 0, '')",
        (state, draft.remote_id, remote.get("message", ""), remote.get("digest", "")),
    )
    number = int(cursor.lastrowid or 0)
    return write(connection, replace(draft, id=number, revision=0), now_ms)


def write(connection: sqlite3.Connection, draft: Draft, now_ms: int, enclosed: int | None = None) -> Draft:
    """Put `draft` into its row as the next revision."""
    saved = replace(draft, revision=draft.revision + 1, saved_ms=now_ms, mailbox=codec.storable(draft.mailbox))
    content = codec.draft_text(saved)
    hashed = codec.row_hash(saved.id, saved.mailbox, content, saved.revision, saved.saved_ms)
    connection.execute(
        "UPDATE draft SET mailbox = ?, content = ?, revision = ?, saved_ms = ?, hash = ?, "
        "enclosed = coalesce(?, enclosed) WHERE id = ?",
        (saved.mailbox, content, saved.revision, saved.saved_ms, hashed, enclosed, saved.id),
    )
    return saved


def save(connection: sqlite3.Connection, draft: Draft, now_ms: int) -> Draft:
    """The next revision of a draft.

    One that is queued meanwhile goes out as it was queued: what was typed since becomes a draft of its own. One that
    was discarded stays so, and undo brings back the latest; one that was removed elsewhere and is typed in here is kept
    as a copy. A file attached since the caller last heard stays attached. A new place of the cursor is no change for
    the server; in another mailbox, the copy in the first is to be removed.
    """
    kept = row(connection, draft.id, *STATES)
    if kept is None:
        return insert(connection, replace(draft, remote_id=""), now_ms)
    before = kept.draft
    if kept.state == QUEUED:
        if codec.draft_text(draft) == kept.content:
            return before
        return insert(connection, replace(draft, remote_id=""), now_ms)
    enclosures = draft.enclosures
    if draft.revision < kept.enclosed:
        enclosures += tuple(one for one in before.enclosures if one not in enclosures)
    merged = replace(draft, enclosures=enclosures, revision=kept.revision, remote_id=kept.remote_draft)
    same = codec.draft_text(replace(merged, cursor=before.cursor)) == kept.content and merged.mailbox == kept.mailbox
    if kept.state == ELSEWHERE:
        if same:
            return before
        set_state(connection, kept.id, ELSEWHERE, OPEN)
    if merged.mailbox != kept.mailbox and (kept.remote_draft or kept.remote_message or kept.attempt):
        _leave_behind(connection, kept, now_ms)
        merged = replace(merged, remote_id="")
    saved = write(connection, merged, now_ms)
    if same and kept.pushed == kept.revision:
        connection.execute("UPDATE draft SET pushed = revision WHERE id = ?", (saved.id,))
    return saved


def _leave_behind(connection: sqlite3.Connection, kept: Kept, now_ms: int) -> None:
    """A draft moves to another mailbox: its copy on the old one's server becomes a discarded draft, to be removed."""
    old = insert(connection, kept.draft, now_ms, DISCARDED, message=kept.remote_message, digest=kept.remote_digest)
    connection.execute("UPDATE draft SET attempt = ? WHERE id = ?", (kept.attempt, old.id))
    connection.execute(
        "UPDATE draft SET remote_draft = '', remote_message = '', remote_digest = '', attempt = '', pushed = 0 "
        "WHERE id = ?",
        (kept.id,),
    )


def enclose(
    connection: sqlite3.Connection, number: int, name: str, content_type: str, blob: Blob, now_ms: int
) -> Draft:
    """Attach bytes to an open draft. Raises DraftError when it is no longer open."""
    kept = row(connection, number, OPEN)
    if kept is None:
        raise gone()
    blobs.put(connection, blob)
    draft = kept.draft
    added = Enclosure(codec.storable(name), codec.storable(content_type), blob.size, blob.digest)
    larger = replace(draft, enclosures=(*draft.enclosures, added))
    return write(connection, larger, now_ms, enclosed=kept.revision + 1)


def gone() -> DraftError:
    """The draft is not open any more."""
    return DraftError(
        _("This message is no longer a draft: it has been sent or discarded in the meantime."),
        next_step=_("Check the outbox, or undo."),
    )


def set_state(connection: sqlite3.Connection, number: int, before: str, after: str) -> bool:
    """Compare and set."""
    changed = connection.execute("UPDATE draft SET state = ? WHERE id = ? AND state = ?", (after, number, before))
    return changed.rowcount == 1


# undoable acts


def discard(connection: sqlite3.Connection, number: int, now_ms: int) -> tuple[Act, str] | None:
    """Take a draft out of the lists; (the act, its mailbox), None when it is not open."""
    kept = row(connection, number, OPEN)
    if kept is None:
        return None
    set_state(connection, number, OPEN, DISCARDED)
    return _record(connection, DISCARD, kept, "", now_ms), kept.mailbox


def clear(connection: sqlite3.Connection, number: int, now_ms: int) -> tuple[Act, str] | None:
    """Empty every field of a draft but its sender; (the act, its mailbox), None when it is not open."""
    kept = row(connection, number, OPEN)
    if kept is None:
        return None
    draft = kept.draft
    empty = Draft(
        draft.id,
        draft.mailbox,
        draft.sender,
        markdown=draft.markdown,
        account=draft.account,
        remote_id=draft.remote_id,
        revision=draft.revision,
    )
    act = _record(connection, CLEAR, kept, kept.content, now_ms)
    write(connection, empty, now_ms)
    return act, kept.mailbox


def _record(connection: sqlite3.Connection, kind: str, kept: Kept, other: str, now_ms: int) -> Act:
    act = journal.record(connection, kind, 1, codec.storable(kept.draft.subject), now_ms)
    connection.execute(
        "INSERT INTO draft_turn(act, draft, other, hash) VALUES (?, ?, ?, ?)",
        (act.id, kept.id, other, codec.row_hash(act.id, kept.id, other)),
    )
    return act


def turn(connection: sqlite3.Connection, act: Act, now_ms: int, *, back: bool) -> int:
    """Undo (`back`) or redo an act of ours: 1, or 0 when there is nothing left to turn."""
    found = connection.execute(
        "SELECT draft, CAST(other AS BLOB), hash FROM draft_turn WHERE act = ?", (act.id,)
    ).fetchone()
    if found is None:
        return 0
    number, other, sealed = codec.decoded(found, frozenset({2}))
    if sealed != codec.row_hash(act.id, number, other):
        return 0
    if act.kind == DISCARD:
        states = (DISCARDED, OPEN) if back else (OPEN, DISCARDED)
        return int(row(connection, number, states[0]) is not None and set_state(connection, number, *states))
    kept = row(connection, number, OPEN)
    if kept is None:
        return 0
    connection.execute(
        "UPDATE draft_turn SET other = ?, hash = ? WHERE act = ?",
        (kept.content, codec.row_hash(act.id, number, kept.content), act.id),
    )
    now = kept.draft
    turned = codec.text_draft(
        other, id=number, mailbox=now.mailbox, remote_id=now.remote_id, revision=now.revision, saved_ms=now.saved_ms
    )
    write(connection, turned, now_ms)
    return 1


def of_act(connection: sqlite3.Connection, act: int) -> tuple[int, str] | None:
    """(draft, its mailbox) an act of ours is about."""
    found: tuple[int, str] | None = connection.execute(
        "SELECT d.id, d.mailbox FROM draft_turn t JOIN draft d ON d.id = t.draft WHERE t.act = ?", (act,)
    ).fetchone()
    return found


def sweep(connection: sqlite3.Connection, before_ms: int) -> None:
    """Let go of what nobody came back for: discarded before that time, or sent and seen; then of their files."""
    connection.execute(
        "UPDATE act SET state = 'final' WHERE state IN ('done', 'undone') AND created_ms < ? "
        "AND id IN (SELECT act FROM draft_turn)",
        (before_ms,),
    )
    connection.execute("DELETE FROM draft_turn WHERE act IN (SELECT id FROM act WHERE state IN ('final', 'dead'))")
    connection.execute(
        "DELETE FROM draft WHERE state IN ('discarded', 'elsewhere') AND saved_ms < ? "
        "AND remote_draft = '' AND remote_message = '' AND attempt = '' "
        "AND NOT EXISTS (SELECT 1 FROM draft_turn t WHERE t.draft = draft.id)",
        (before_ms,),
    )
    connection.execute(
        "DELETE FROM draft WHERE state = 'queued' AND NOT EXISTS (SELECT 1 FROM outgoing o WHERE o.draft = draft.id "
        "AND NOT (o.state IN ('seen', 'cancelled') AND o.changed_ms < ?))",
        (before_ms,),
    )
    connection.execute("DELETE FROM outgoing WHERE state IN ('seen', 'cancelled') AND changed_ms < ?", (before_ms,))
    blobs.collect(connection)
