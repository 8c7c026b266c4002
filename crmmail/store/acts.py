"""Perform, undo, redo: the desk's half of what the user does. The projection follows in the store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from crmmail import ops
from crmmail.errors import SettingsError
from crmmail.i18n import _
from crmmail.model import Act, Capabilities, Delta, OpState, State
from crmmail.ops import Verb
from crmmail.store import codec, drafts, journal, records, turning
from crmmail.store.journal import Subject, Turn

Done = tuple[Act, list[int]]
"""The act and the local ids of the messages it moved."""


def perform(
    connection: sqlite3.Connection, verb: Verb, ids: Sequence[int], now_ms: int, *, quiet: bool = False
) -> Done | None:
    """Record `verb` for those of `ids` that it is allowed for; None when there is none."""
    can = journal.mailbox_capabilities(connection)
    shares = [
        (subject, _delta(connection, verb, subject, can[subject.mailbox]))
        for subject in journal.subjects(connection, ids)
        if subject.mailbox in can and not subject.shown.gone and ops.allowed(verb, subject.shown, can[subject.mailbox])
    ]
    if not shares:
        return None
    act = journal.record(connection, verb.value, len(shares), _title(connection, shares), now_ms, quiet=quiet)
    journal.append(connection, act.id, verb.value, shares)
    return act, [subject.id for subject, _delta in shares]


def _delta(connection: sqlite3.Connection, verb: Verb, subject: Subject, can: Capabilities) -> Delta:
    origin = journal.origin(connection, subject.mailbox, subject.remote_id) if verb is Verb.RECOVER else None
    return ops.delta_for(verb, subject.shown, can, origin)


def _title(connection: sqlite3.Connection, shares: Sequence[tuple[Subject, Delta]]) -> str:
    if len(shares) != 1:
        return ""
    row = connection.execute("SELECT subject FROM message WHERE id = ?", (shares[0][0].id,)).fetchone()
    return str(row[0])


def turn(connection: sqlite3.Connection, now_ms: int, *, back: bool) -> Done | None:
    """Undo the newest act that stands (`back`), or redo the one undone last. None when there is none.

    An act that has nothing left to turn (its messages are gone) is closed and the next one is taken. A large one of
    the CRM side's is only begun here. Raises SettingsError while such a one is under way.
    """
    if turning.under_way(connection):
        raise SettingsError(
            _("Undoing or redoing an import is still under way."), next_step=_("Try again when the list is at rest.")
        )
    can = journal.mailbox_capabilities(connection)
    while (act := turnable(connection, back=back)) is not None:
        moved: list[int] = []
        if act.kind in records.KINDS and (begun := turning.begin(connection, act, back=back)) is not None:
            return begun, moved
        if act.kind in drafts.KINDS:
            turned = drafts.turn(connection, act, now_ms, back=back)
        elif act.kind in records.KINDS:
            turned = records.turn(connection, act.id, back=back)
        else:
            turned, moved = _turn_all(connection, act, can, back=back)
        state = ("undone" if back else "done") if turned else "dead"
        connection.execute("UPDATE act SET state = ? WHERE id = ?", (state, act.id))
        if turned:
            return Act(act.id, act.kind, turned, act.created_ms, state, act.subject), moved
    return None


def turnable(connection: sqlite3.Connection, *, back: bool) -> Act | None:
    """The act that undo (`back`) or redo takes next, as far back as the journal goes."""
    return journal.latest(connection, "done" if back else "undone", newest=back)


def _turn_all(
    connection: sqlite3.Connection, act: Act, can: Mapping[str, Capabilities], *, back: bool
) -> tuple[int, list[int]]:
    """Turn an act for every message it can be turned for: how many, and the local ids of those that are here.

    What is about to be deleted for good stays as it is; what is not here (a cache downloaded again) can only have
    its unsent op withdrawn, for what it would lead back to is not known.
    """
    turns = journal.turns(connection, act.id, back=back)
    found = _located(connection, [(item.first.mailbox, item.first.remote_id) for item in turns])
    queued, withdrawn, moved = [], [], []
    for item in turns:
        subject = found.get((item.first.mailbox, item.first.remote_id))
        if subject is not None and (subject.shown.gone or subject.mailbox not in can):
            continue
        if subject is not None:
            moved.append(subject.id)
        if item.withdrawn is not None:
            withdrawn.append(item.withdrawn)
        elif subject is not None:
            queued.append((subject, _back_to(item, subject.shown, can[subject.mailbox], back=back)))
    journal.set_state(connection, withdrawn, OpState.UNDONE)
    journal.append(connection, act.id, Verb.RESTORE.value, queued, back=int(back))
    return len(queued) + len(withdrawn), moved


def _back_to(turn: Turn, now: State, can: Capabilities, *, back: bool) -> Delta:
    return ops.delta_for(Verb.RESTORE, now, can, journal.goal(turn.first, now, can, back=back))


def _located(connection: sqlite3.Connection, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Subject]:
    found = {}
    for mailbox, remote_id in names:
        row = connection.execute(
            "SELECT id, mailbox, remote_id, message_id, shown FROM message "
            "WHERE mailbox = ? AND remote_id = ? AND shown IS NOT NULL",
            (mailbox, remote_id),
        ).fetchone()
        if row is not None:
            found[mailbox, remote_id] = Subject(row[0], row[1], row[2], row[3], codec.text_state(row[4]))
    return found


def newest(connection: sqlite3.Connection, limit: int, among: Sequence[int] | None) -> list[Act]:
    """Acts, newest first: `limit` of all (-1: no limit), or of those with these numbers."""
    which = "" if among is None else "WHERE id IN (SELECT value FROM json_each(?))"
    arguments: list[object] = [] if among is None else [json.dumps(list(among))]
    rows = connection.execute(
        f"SELECT id, kind, count, created_ms, state, subject FROM act {which} ORDER BY id DESC LIMIT ?",
        (*arguments, limit),
    )
    return [Act(*row) for row in rows]
