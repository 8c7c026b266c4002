"""Turning an act of many edits (an import): edit by edit in short transactions, so that no key waits for it. Undo and
redo do, and whatever turns back an import that broke off.

How far it is stands on the desk, in a record of its own: after a crash the next step goes on there. Doing an edit
twice changes nothing, for a record that is not what the edit left is left alone.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, replace

from crmmail.model import Act
from crmmail.store import records

TURNING = "turning"
"""Kind of the record, and state of the act meanwhile."""
AT_ONCE = 4  # edits: an act of so few is turned where it was asked for
_ABOVE = 2**62


@dataclass(frozen=True, slots=True)
class Turning:
    """An act being turned: up to which edit (not included) it is done, and the newest act when it was asked for.

    `dead`: nobody can do it again, for it never was done.
    """

    back: bool
    edit: int
    newest: int
    dead: bool = False


def begin(connection: sqlite3.Connection, act: Act, *, back: bool) -> Act | None:
    """Have an act of many edits turned by `step`: the act, as turned. None for one of few."""
    count = connection.execute("SELECT count(*) FROM edit WHERE act = ?", (act.id,)).fetchone()[0]
    if count <= AT_ONCE:
        return None
    newest = int(connection.execute("SELECT max(id) FROM act").fetchone()[0])
    _begun(connection, act.id, Turning(back, _ABOVE if back else 0, newest))
    return replace(act, state="undone" if back else "done")


def abandon_running(connection: sqlite3.Connection) -> int:
    """Have `step` turn back what was left half done. How many acts."""
    acts = connection.execute("SELECT id FROM act WHERE state = ?", (records.RUNNING,)).fetchall()
    for (act,) in acts:
        _begun(connection, act, Turning(True, _ABOVE, act, dead=True))
    return len(acts)


def _begun(connection: sqlite3.Connection, act: int, now: Turning) -> None:
    _keep(connection, act, now)
    connection.execute("UPDATE act SET state = ? WHERE id = ?", (TURNING, act))


def under_way(connection: sqlite3.Connection) -> bool:
    """Whether an act is being turned."""
    return connection.execute("SELECT 1 FROM record WHERE kind = ? LIMIT 1", (TURNING,)).fetchone() is not None


def step(connection: sqlite3.Connection) -> bool:
    """Turn the next edit; False when no act is being turned."""
    for key, text in records.of_kind(connection, TURNING).items():
        now = Turning(**json.loads(text))
        edit = records.turn_edit(connection, int(key), now.edit, back=now.back)
        if edit is not None:
            _keep(connection, int(key), replace(now, edit=edit))
        else:
            _finish(connection, int(key), now)
        return True
    return False


def _keep(connection: sqlite3.Connection, act: int, now: Turning) -> None:
    records.put(connection, TURNING, str(act), json.dumps(asdict(now)))


def _finish(connection: sqlite3.Connection, act: int, now: Turning) -> None:
    """What was undone can be done again, unless something new was done meanwhile."""
    later = connection.execute(
        "SELECT 1 FROM act WHERE id > ? AND (state != 'final' OR kind = 'delete') LIMIT 1", (now.newest,)
    ).fetchone()
    state = "dead" if now.dead else "done" if not now.back else "dead" if later else "undone"
    connection.execute("UPDATE act SET state = ? WHERE id = ? AND state = ?", (state, act, TURNING))
    records.put(connection, TURNING, str(act), None)
