"""What is to be told to the CRMs, as rows of the desk: who chose what, what waits, what became of it.

All functions work within a transaction of the store. A row names what is to be logged and to which account, as it was
when it was queued; the entry itself is built when it is claimed, and passes the fence again then.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crmmail.crm import dropbox, fence
from crmmail.crm.connection import LOCAL
from crmmail.crm.fence import Chosen, Rules
from crmmail.crm.model import (
    Account,
    Bound,
    Ignored,
    LogEntry,
    LogFile,
    LogSetting,
    LogState,
    LogStatus,
    Unlogged,
    Visibility,
)
from crmmail.model import Body, Headers
from crmmail.store import choices, codec, directory, records, ties

QUEUED, SENDING, LOGGED, FAILED = (
    one.value for one in (LogStatus.QUEUED, LogStatus.SENDING, LogStatus.LOGGED, LogStatus.FAILED)
)
ASK, CANCELLED = LogStatus.ASK.value, "cancelled"
LOG, ACCOUNT, CONTACT = "log:", "account:", "contact:"
COLUMNS = "id, crm, key, state, content, hash, attempts, not_before, remote, error"


@dataclass(frozen=True, slots=True)
class Op:
    """One thing a CRM is to be told: `key` is `log:` and a Message-ID, `account:` or `contact:` and our id."""

    id: int
    crm: str
    key: str
    state: str
    account: str
    subject: str = ""
    twin: int = 0  # what the message and its copies are found by
    attempts: int = 0
    not_before: float = 0.0
    remote_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as far as logging needs it."""

    id: int
    mailbox: str
    remote_id: str
    message_id: str
    twin: int
    thread: int
    subject: str
    received_ms: int
    whole: int
    folders: frozenset[str]
    accounts: tuple[str, ...]  # linked
    why: Ignored | None


# who chose what


def setting(connection: sqlite3.Connection, of: str) -> LogSetting:
    """What was chosen for `mailbox:ID` or `account:ID`."""
    text = records.get(connection, records.SETTING, f"log:{of}")
    return _setting(json.loads(text)) if text else LogSetting()


def _setting(plain: dict[str, Any]) -> LogSetting:
    seen = plain.get("visibility")
    return LogSetting(plain.get("on"), Visibility(seen) if seen else None, plain.get("attachments"))


def setting_text(said: LogSetting, since_ms: int) -> str:
    """A LogSetting as it is stored; mail from before `since_ms` is not logged by itself."""
    return json.dumps(
        {"on": said.on, "visibility": said.visibility, "attachments": said.attachments, "since_ms": since_ms}
    )


def since(connection: sqlite3.Connection, of: str) -> int:
    """Since when (ms) a setting is on; 0 when it is not."""
    text = records.get(connection, records.SETTING, f"log:{of}")
    plain = json.loads(text) if text else {}
    return int(plain.get("since_ms") or 0) if plain.get("on") else 0


def any_on(connection: sqlite3.Connection) -> bool:
    """Whether anything is logged at all."""
    rows = connection.execute(
        "SELECT CAST(content AS BLOB) FROM record WHERE kind = 'setting' AND key >= 'log:' AND key < 'log;'"
    )
    return any(json.loads(row[0]).get("on") for row in rows)


def rules(connection: sqlite3.Connection) -> Rules:
    """What holds for all mail."""
    said = choices.setting(connection)
    never, tags = choices.never_lists(connection)
    return Rules(choices.own(connection, said), never, tags, said.log_internal)


def chosen(connection: sqlite3.Connection, letter: Letter, account: Account) -> Chosen:
    """What is logged of this message with this account."""
    of_account = setting(connection, f"account:{account.id}")
    if account.visibility is not None and of_account.visibility is None:
        of_account = replace(of_account, visibility=account.visibility)
    return fence.chosen(setting(connection, f"mailbox:{letter.mailbox}"), of_account)


# messages


def letters(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[Letter]:
    """These messages, as far as they are here."""
    rows = connection.execute(
        "SELECT m.id, m.mailbox, m.remote_id, m.message_id, b.twin, m.thread, m.subject, m.received_ms, m.whole, "
        "m.shown, b.bound, b.verdict FROM json_each(?) j CROSS JOIN message m ON m.id = j.value CROSS JOIN bond b "
        "ON b.message = m.id WHERE m.shown IS NOT NULL ORDER BY j.key",
        (json.dumps(list(numbers)),),
    )
    found = []
    for row in rows:
        decision = ties.text_verdict(row[10], row[11])
        linked = tuple(one.account for one in decision.matches) if decision.bound is Bound.LINKED else ()
        found.append(Letter(*row[:9], folders=codec.text_state(row[9]).folders, accounts=linked, why=decision.why))  # type: ignore[misc]
    return found


def is_private(connection: sqlite3.Connection, letter: Letter) -> bool:
    """Whether the user keeps this message, or any copy of any message of its conversation, to themselves."""
    if connection.execute("SELECT 1 FROM record WHERE kind = 'private' LIMIT 1").fetchone() is None:
        return False
    own = records.many(connection, records.PRIVATE, {choices.key("m", letter.twin)})
    return bool(own) or is_talk_private(connection, letter)


def is_talk_private(connection: sqlite3.Connection, letter: Letter) -> bool:
    """Whether the user said so of its whole conversation."""
    twins = connection.execute(
        "SELECT b.twin FROM message m CROSS JOIN bond b ON b.message = m.id WHERE m.thread = ?", (letter.thread,)
    )
    return bool(records.many(connection, records.PRIVATE, {choices.key("t", row[0]) for row in twins}))


def content(connection: sqlite3.Connection, letter: Letter) -> tuple[Headers, Body] | None:
    """Headers and body of a message; None while it is not downloaded whole."""
    row = connection.execute("SELECT packed FROM body WHERE message = ?", (letter.id,)).fetchone()
    if row is None or not letter.whole:
        return None
    headers, body = codec.unpack(row[0])
    return None if body is None else (headers, body)


def refusal(
    connection: sqlite3.Connection, letter: Letter, told: tuple[Headers, Body] | None, said: Rules
) -> Unlogged | None:
    """What is against logging a message, whatever was chosen. What is not here cannot be judged, and so does not go."""
    if is_private(connection, letter):
        return Unlogged.PRIVATE
    if told is None:
        return Unlogged.NOT_HERE
    found = fence.refusal(told[0], told[1].flags, letter.folders, said)
    if found is None and letter.why is Ignored.NEVER:
        return Unlogged.NEVER
    return found


def entry(
    connection: sqlite3.Connection, letter: Letter, told: tuple[Headers, Body], account: Account, crm: str, said: Rules
) -> LogEntry:
    """What the CRM called `crm` would be told, exactly. On this computer an account is known by our own id."""
    choice, there = chosen(connection, letter, account), account.id if crm == LOCAL else account.remote_id
    people = [one.email.lower() for one in (told[0].sender, *told[0].to, *told[0].cc) if one.email]
    contacts = [
        one.remote_id
        for one in directory.writers(connection, people)
        if one.account == account.id and one.crm == account.crm and one.remote_id
    ]
    return fence.entry(
        told[0], told[1], letter.received_ms, said.own, choice, there, contacts,
        lambda: _files(connection, letter, told[1]),
    )  # fmt: skip


def _files(connection: sqlite3.Connection, letter: Letter, body: Body) -> list[LogFile]:
    import zlib

    from crmmail.mail import attachments

    row = connection.execute("SELECT bytes FROM raw WHERE message = ?", (letter.id,)).fetchone()
    if row is None:
        return []
    raw = zlib.decompress(row[0])
    return [
        LogFile(item.name, item.content_type, attachments.content(raw, item.part))
        for item in body.attachments
        if not item.inline and item.size <= fence.FILE_LIMIT
    ]


# the queue


def ops(connection: sqlite3.Connection, where: str, arguments: Sequence[object]) -> list[Op]:
    """The intact ops that fulfil `where`, oldest first."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM crm_op WHERE {where} ORDER BY id", arguments).fetchall()
    return [_op(row) for row in rows if row[5] == seal(row[1], row[2], row[4])]


def _op(row: Sequence[Any]) -> Op:
    number, crm, key, state, text, _hash, attempts, not_before, remote, error = row
    plain = json.loads(text)
    subject, twin = plain.get("subject", ""), plain.get("twin", 0)
    return Op(number, crm, key, state, plain["account"], subject, twin, attempts, not_before, remote, error)


def message_of(connection: sqlite3.Connection, number: int) -> int:
    """A message that op `number` tells of, one that can be shown; 0 for none."""
    for op in ops(connection, "id = ?", (number,)):
        row = connection.execute(
            "SELECT m.id FROM bond b CROSS JOIN message m ON m.id = b.message "
            "WHERE b.twin = ? AND m.shown IS NOT NULL ORDER BY m.id LIMIT 1",
            (op.twin,),
        ).fetchone()
        return int(row[0]) if row and op.key.startswith(LOG) else 0
    return 0


def seal(crm: str, key: str, text: str) -> bytes:
    """The hash of what an op means."""
    return codec.row_hash(crm, key, text)


def put(connection: sqlite3.Connection, crm: str, key: str, account: str, subject: str = "", twin: int = 0) -> bool:
    """Queue an op, once for ever for its key: one that was cancelled or failed is queued anew, no other is touched."""
    text = codec.storable(json.dumps({"account": account, "subject": subject, "twin": twin}, ensure_ascii=False))
    done = connection.execute(
        "INSERT INTO crm_op(crm, key, state, content, hash, attempts, not_before, remote, error) "
        "VALUES (?, ?, ?, ?, ?, 0, 0, '', '') ON CONFLICT(crm, key) DO UPDATE SET state = excluded.state, "
        "content = excluded.content, hash = excluded.hash, not_before = 0, error = '' "
        "WHERE crm_op.state IN ('cancelled', 'failed', 'ask')",
        (crm, key, QUEUED, text, seal(crm, key, text)),
    )
    return done.rowcount > 0


def note(connection: sqlite3.Connection, numbers: Iterable[int], state: str, **more: object) -> None:
    """Move ops to a state."""
    columns = "".join(f", {name} = ?" for name in more)
    connection.executemany(
        f"UPDATE crm_op SET state = ?{columns} WHERE id = ?",
        [(state, *more.values(), number) for number in numbers],
    )


def states(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, LogState]:
    """Where each of these messages stands."""
    found = letters(connection, numbers)
    names = json.dumps([f"{LOG}{letter.message_id}" for letter in found if letter.message_id])
    rows = connection.execute(
        "SELECT o.id FROM json_each(?) j CROSS JOIN crm_op o ON o.key = j.value WHERE o.crm IN "
        "(SELECT key FROM record WHERE kind = 'connected')",
        (names,),
    ).fetchall()
    many = ",".join(str(row[0]) for row in rows)
    queued = {op.key: op for op in ops(connection, f"id IN ({many})", ())} if rows else {}
    said = rules(connection)
    connected = frozenset(records.keys(connection, records.CONNECTED))
    return {
        letter.id: _state(connection, letter, queued.get(f"{LOG}{letter.message_id}"), said, connected)
        for letter in found
    }


def _state(
    connection: sqlite3.Connection, letter: Letter, op: Op | None, said: Rules, connected: frozenset[str]
) -> LogState:
    if op is not None and op.state != CANCELLED:
        return LogState(letter.id, LogStatus(op.state), None, op.account, op.crm, op.id, op.remote_id, op.error)
    why, account = why_not(connection, letter, said, connected)
    asks = why is Unlogged.SEVERAL
    return LogState(letter.id, LogStatus.ASK if asks else LogStatus.NOT_LOGGED, why, account.id if account else "")


def told_to(account: Account, connected: frozenset[str]) -> str:
    """The CRM an account's mail is told to: its own, else one that takes any account of ours; '' for none."""
    if account.crm in connected and account.remote_id:
        return account.crm
    return next((name for name in (dropbox.NAME, LOCAL) if name in connected), "")


def why_not(
    connection: sqlite3.Connection, letter: Letter, said: Rules, connected: frozenset[str], *, asked: bool = False
) -> tuple[Unlogged | None, Account | None]:
    """(why a message is not logged by itself; when `asked`, why it cannot be, the account it would go to)."""
    if not connected:
        return Unlogged.NO_CRM, None
    told = content(connection, letter)
    against = refusal(connection, letter, told, said)
    if against is not None:
        return against, None
    if not letter.accounts:
        return Unlogged.NO_ACCOUNT, None
    if len(letter.accounts) > 1:
        return Unlogged.SEVERAL, None
    account = directory.account(connection, letter.accounts[0])
    if account is None:
        return Unlogged.NO_ACCOUNT, None
    crm = told_to(account, connected)
    if not crm:
        return Unlogged.NOT_IN_CRM, account
    if crm == dropbox.NAME and told is not None and not said.own.is_me(told[0].sender.email.lower()):
        return Unlogged.RECEIVED, account
    if asked:
        return None, account
    choice = chosen(connection, letter, account)
    if not choice.on:
        return (Unlogged.NOT_CHOSEN if choice.on is None else Unlogged.OFF), account
    if told is not None and fence.is_automatic(told[0]):
        return Unlogged.AUTOMATIC, account
    on_since = since(connection, f"account:{account.id}") or since(connection, f"mailbox:{letter.mailbox}")
    return (Unlogged.NOT_CHOSEN if letter.received_ms < on_since else None), account
