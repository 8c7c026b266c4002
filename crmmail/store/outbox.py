"""The sync side of the journal: what is to be sent, and what became of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from crmmail import ops
from crmmail.errors import CrmMailError, Rejected
from crmmail.model import Ack, Change, Op, OpState, State, Wish
from crmmail.store import binding, codec, journal
from crmmail.store.journal import Entry
from crmmail.store.projection import Projection


def claim(connection: sqlite3.Connection, mailbox: str, limit: int, now: float) -> tuple[list[Wish], list[str]]:
    """Take the due ops of up to `limit` messages: their wishes, and the remote ids where nothing is left to send."""
    wishes: list[Wish] = []
    settled: list[str] = []
    for group in journal.claimable(connection, mailbox, limit, now):
        wish = _wish(connection, group)
        numbers = [entry.id for entry in group]
        journal.set_state(connection, numbers, OpState.DONE if wish is None else OpState.SENDING)
        if wish is None:
            settled.append(group[0].remote_id)
        else:
            wishes.append(wish)
    return wishes, settled


def _wish(connection: sqlite3.Connection, group: Sequence[Entry]) -> Wish | None:
    """The fold of a message's ops over the server's last word; a message no longer here counts as it was then."""
    first = group[0]
    row = _message(connection, first.mailbox, first.remote_id)
    base = codec.text_state(row[1] if row else first.before)
    # What was on its way once may have arrived: "nothing to do" must not rest on a base that has not heard of it.
    tried = max((place for place, entry in enumerate(group, 1) if entry.attempts), default=0)
    delta = ops.certain(base, [codec.text_delta(entry.delta) for entry in group], tried)
    return None if delta is None else Wish(first.remote_id, delta, base, group[-1].message_id)


def _message(connection: sqlite3.Connection, mailbox: str, remote_id: str) -> tuple[int, str] | None:
    found: tuple[int, str] | None = connection.execute(
        "SELECT id, base FROM message WHERE mailbox = ? AND remote_id = ?", (mailbox, remote_id)
    ).fetchone()
    return found


@dataclass(slots=True)
class Answers:
    """What a batch of acks says, read from the journal before either file is written."""

    done: list[int] = field(default_factory=list)  # op ids
    rejected: list[tuple[int, str]] = field(default_factory=list)  # (op id, sentence)
    acts: list[tuple[int, str]] = field(default_factory=list)  # (act id, sentence) refused
    renamed: list[tuple[str, str]] = field(default_factory=list)  # remote id then, now
    bases: dict[str, State] = field(default_factory=dict)  # remote id → the server's new truth
    gone: list[str] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)  # local ids to project anew


def read_acks(connection: sqlite3.Connection, mailbox: str, acks: Iterable[Ack]) -> Answers:
    """Match acks with the ops on their way."""
    answers = Answers()
    for ack in acks:
        name = codec.storable(ack.remote_id)
        group = journal.entries(connection, "mailbox = ? AND remote_id = ? AND state IN ('sending')", (mailbox, name))
        if ack.error is not None:
            _refused(answers, name, group, ack.error)
        else:
            _accepted(connection, answers, mailbox, name, group, ack)
    return answers


def _refused(answers: Answers, name: str, group: Sequence[Entry], error: Exception) -> None:
    sentence = codec.storable(error.sentence if isinstance(error, CrmMailError) else str(error))
    answers.rejected += [(entry.id, sentence) for entry in group]
    answers.acts += [(act, sentence) for act in dict.fromkeys(entry.act for entry in group)]
    if isinstance(error, Rejected) and error.gone:
        answers.gone.append(name)


def _accepted(
    connection: sqlite3.Connection, answers: Answers, mailbox: str, name: str, group: Sequence[Entry], ack: Ack
) -> None:
    answers.done += [entry.id for entry in group]
    row = _message(connection, mailbox, name)
    state = ack.state
    if state is None and row is not None:
        state = ops.project(codec.text_state(row[1]), [codec.text_delta(entry.delta) for entry in group])
    if state is not None and state.gone:
        answers.gone.append(name)
    elif state is not None:
        answers.bases[name] = state
    if ack.remote_id_now and ack.remote_id_now != ack.remote_id:
        answers.renamed.append((name, codec.storable(ack.remote_id_now)))


def settle_cache(connection: sqlite3.Connection, mailbox: str, answers: Answers) -> Change:
    """The server's new truth becomes base, before the desk forgets the ops: a crash between repeats a send only."""
    projection = Projection(connection)
    for name, state in answers.bases.items():
        row = _message(connection, mailbox, name)
        if row is not None:
            connection.execute("UPDATE message SET base = ? WHERE id = ?", (codec.state_text(state), row[0]))
    doomed = [row[0] for name in answers.gone if (row := _message(connection, mailbox, name))]
    for old, new in answers.renamed:
        doomed += _rename(connection, mailbox, old, new)
    threads = _threads(connection, doomed)
    copies, unbound = binding.forget(connection, doomed)
    projection.remove(doomed)
    return projection.finish() | unbound | binding.rebind(connection, copies, threads)


def _threads(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[int]:
    """The conversations messages are part of: who stays in one may belong elsewhere when another message goes."""
    query = "SELECT DISTINCT thread FROM message WHERE id IN (SELECT value FROM json_each(?))"
    return [row[0] for row in connection.execute(query, (json.dumps(list(numbers)),))]


def _rename(connection: sqlite3.Connection, mailbox: str, old: str, new: str) -> list[int]:
    """Give a message its new server id; the ids of rows that became doubles by it."""
    mine, other = _message(connection, mailbox, old), _message(connection, mailbox, new)
    if mine is None:
        return []
    if other is not None:
        return [mine[0]]
    connection.execute("UPDATE message SET remote_id = ? WHERE id = ?", (new, mine[0]))
    return []


def settle_desk(connection: sqlite3.Connection, mailbox: str, answers: Answers) -> None:
    """Close the ops that were answered."""
    journal.set_state(connection, answers.done, OpState.DONE)
    for number, sentence in answers.rejected:
        journal.set_state(connection, [number], OpState.REJECTED, sentence)
    journal.bury_rejected(connection, {act for act, _sentence in answers.acts})
    for old, new in answers.renamed:
        journal.rekey(connection, mailbox, old, new)


def defer(
    connection: sqlite3.Connection, mailbox: str, remote_ids: Iterable[str], not_before: float, sentence: str
) -> None:
    """Ask again later: what was on its way waits until `not_before` (seconds since the epoch)."""
    connection.execute(
        "UPDATE op SET state = 'pending', attempts = attempts + 1, not_before = ?, error = ? "
        "WHERE mailbox = ? AND state IN ('sending') AND remote_id IN (SELECT value FROM json_each(?))",
        (not_before, codec.storable(sentence), mailbox, json.dumps([codec.storable(name) for name in remote_ids])),
    )


def inspect(connection: sqlite3.Connection) -> int:
    """At start: nothing is on its way, and open ops that are not what was written go to quarantine; how many."""
    count = "SELECT count(*) FROM quarantine"
    before = connection.execute(count).fetchone()[0]
    journal.entries(connection, "state IN ('pending', 'sending')", ())
    release(connection, None)
    return int(connection.execute(count).fetchone()[0]) - int(before)


def release(connection: sqlite3.Connection, mailbox: str | None) -> int:
    """Nothing is on its way any more (a crash, an error that ended the batch): how many ops wait again."""
    where, arguments = ("", ()) if mailbox is None else ("mailbox = ? AND ", (mailbox,))
    cursor = connection.execute(
        "UPDATE op SET state = 'pending', attempts = attempts + 1 "
        f"WHERE {where}state = 'sending' AND state IN ('pending', 'sending')",
        arguments,
    )
    return cursor.rowcount


def hasten(connection: sqlite3.Connection, mailbox: str) -> int:
    """What waits after a failure is due now (signed in again, consent given, clock set back): how many ops."""
    cursor = connection.execute(
        "UPDATE op SET not_before = 0 WHERE mailbox = ? "
        "AND state IN ('pending', 'sending') AND state = 'pending' AND error != '' AND not_before > 0",
        (mailbox,),
    )
    return cursor.rowcount


def unsent(connection: sqlite3.Connection) -> list[Op]:
    """What the registered mailboxes' servers have not confirmed, or refused: oldest first."""
    known = "mailbox IN (SELECT id FROM mailbox)"
    open_ops = journal.entries(connection, f"{known} AND state IN ('pending', 'sending')", ())
    refused = journal.entries(connection, f"{known} AND state = 'rejected'", ())
    return [journal.as_op(entry) for entry in sorted(open_ops + refused, key=lambda entry: entry.id)]


def retry(connection: sqlite3.Connection, act: int) -> list[Entry]:
    """Ask the server again for what it refused; deferred ops of the act no longer wait."""
    group = journal.entries(connection, "act = ? AND state IN ('rejected', 'pending')", (act,))
    connection.executemany(
        "UPDATE op SET attempts = CASE state WHEN 'rejected' THEN 0 ELSE attempts END, state = 'pending', "
        "not_before = 0, error = '' WHERE id = ?",
        [(entry.id,) for entry in group],
    )
    connection.execute("UPDATE act SET state = 'done' WHERE id = ? AND state = 'dead' AND ?", (act, bool(group)))
    return group


def discard(connection: sqlite3.Connection, act: int) -> list[Entry]:
    """Give up what was refused or not sent yet of an act; nothing of it can be undone or redone after that."""
    group = journal.entries(connection, "act = ? AND state IN ('rejected', 'pending')", (act,))
    journal.set_state(connection, [entry.id for entry in group], OpState.UNDONE)
    connection.execute(
        "UPDATE act SET state = 'dead' WHERE id = ? AND state != 'final' "
        "AND NOT EXISTS (SELECT 1 FROM op WHERE op.act = act.id AND op.state != 'undone')",
        (act,),
    )
    return group


def local_ids(connection: sqlite3.Connection, names: Iterable[tuple[str, str]]) -> list[int]:
    """The local ids of the (mailbox, remote id) pairs that are here."""
    found = (_message(connection, mailbox, remote_id) for mailbox, remote_id in dict.fromkeys(names))
    return [row[0] for row in found if row]
