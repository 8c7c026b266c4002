"""What stands beside a message, and what an account looks like: read from local data, bounded in every direction.

Of an account's mail the newest `LOOKED_AT` messages tell the last exchange, files and identities; figures look at half
a year. All functions read within one snapshot.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from crmmail.crm import match
from crmmail.crm.model import Account, Contact, Figures, FileSeen, Owes, TimelineEntry, Week
from crmmail.model import ID_SEQUENCE_BITS, Address, Draft, Row
from crmmail.store import choices, codec, diary, directory, drafts, ties, window

LOOKED_AT = 200  # messages of an account
TALK = 50  # messages of a conversation
FILES, FILES_OPENED = 6, 12
WEEKS = 26
COUNTED = 20_000  # messages of half a year: beyond that the figures are of the newest
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday
ANSWERED_WITHIN_MS = 30 * DAY_MS  # later than that it is a new talk and no answer
_MAIL = """SELECT m.id, m.thread, b.people, m.received_ms, m.sender_email, m.has_attachments
FROM folder f CROSS JOIN place p ON p.folder = f.id CROSS JOIN message m ON m.id = p.message
CROSS JOIN bond b ON b.message = m.id WHERE f.mailbox = '' AND f.key = ? AND p.message >= ?
ORDER BY p.message DESC LIMIT ?"""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message of an account, as far as figures need it."""

    id: int
    thread: int
    sent: bool
    word: bool  # from one side to the other, by a person
    received_ms: int
    sender: str
    has_attachments: bool


def mail_of(connection: sqlite3.Connection, account: str, limit: int, since_ms: int = 0) -> list[Mail]:
    """An account's newest messages since a moment."""
    rows = connection.execute(_MAIL, (f"account:{account}", since_ms << ID_SEQUENCE_BITS, limit)).fetchall()
    found = []
    for number, thread, text, received_ms, sender, attachments in rows:
        people = ties.text_people(text)
        word = match.owes(people) in (Owes.WE, Owes.THEY)
        found.append(Mail(number, thread, people.sent, word, received_ms, sender, bool(attachments)))
    return found


# beside a message


@dataclass(frozen=True, slots=True)
class Exchange:
    """The last mail of an account, both ways."""

    received: Row | None = None
    sent: Row | None = None
    identities: tuple[str, ...] = ()
    files: tuple[FileSeen, ...] = ()


def exchange(connection: sqlite3.Connection, account: str) -> Exchange:
    """What went to and fro with an account lately."""
    mail = mail_of(connection, account, LOOKED_AT)
    received = next((one.id for one in mail if not one.sent), 0)
    sent = next((one.id for one in mail if one.sent), 0)
    rows = {row.id: row for row in window.of_ids(connection, [number for number in (received, sent) if number])}
    own = choices.own(connection, choices.setting(connection))
    mine = dict.fromkeys(one.sender.lower() for one in mail if one.sent and own.is_me(one.sender.lower()))
    return Exchange(rows.get(received), rows.get(sent), tuple(mine), _files(connection, mail))


def _files(connection: sqlite3.Connection, mail: Sequence[Mail]) -> tuple[FileSeen, ...]:
    """The last attachments, both ways."""
    found: list[FileSeen] = []
    for one in [each for each in mail if each.has_attachments][:FILES_OPENED]:
        row = connection.execute("SELECT packed FROM body WHERE message = ?", (one.id,)).fetchone()
        body = codec.unpack(row[0])[1] if row else None
        for item in body.attachments if body else ():
            if not item.inline:
                found.append(FileSeen(one.id, item.name, item.size, one.received_ms, one.sent))
        if len(found) >= FILES:
            break
    return tuple(found[:FILES])


def talk(connection: sqlite3.Connection, message: int) -> tuple[list[str], Owes, int]:
    """(the addresses in a message's conversation, who owes whom an answer there, since when)."""
    rows = connection.execute(
        "SELECT b.people, m.received_ms, json_extract(m.shown, '$.folders') FROM message m "
        "JOIN bond b ON b.message = m.id WHERE m.thread = (SELECT thread FROM message WHERE id = ?) "
        "AND m.shown IS NOT NULL ORDER BY m.id DESC LIMIT ?",
        (message, TALK),
    ).fetchall()
    addresses: dict[str, None] = {}
    owes, since_ms = Owes.NOBODY, 0
    for text, received_ms, folders in rows:
        people = ties.text_people(text)
        addresses.update(dict.fromkeys((*people.first, *people.others)))
        aside = {"drafts", "trash", "spam"}.intersection(json.loads(folders or "[]"))
        owed = match.owes(people)
        if not since_ms and not aside and owed is not None:
            owes, since_ms = owed, received_ms
    return list(addresses), owes, since_ms


def present(
    connection: sqlite3.Connection, account: str, addresses: Sequence[str]
) -> tuple[tuple[Contact, ...], tuple[Address, ...]]:
    """(the account's contacts among these addresses, who is nobody's contact, by the name they go by)."""
    writing = directory.who_writes(connection, addresses)
    people = {one.id: one for some in writing.values() for one in some}.values()
    unknown = [address for address in addresses if not writing.get(address)]
    rows = connection.execute(
        "SELECT p.email, p.name FROM json_each(?) j CROSS JOIN person p ON p.email = j.value", (json.dumps(unknown),)
    )
    names = dict(rows.fetchall())
    strangers = tuple(Address(names.get(address, ""), address) for address in unknown)
    return tuple(one for one in people if one.account == account), strangers


def drafts_for(connection: sqlite3.Connection, account: Account | None, addresses: Iterable[str]) -> tuple[Draft, ...]:
    """The open drafts written for an account, or to one of these addresses, newest first."""
    wanted = set(addresses)
    found = []
    for kept in drafts.rows(connection, "state = 'open'"):
        draft = kept.draft
        told = {person.email.lower() for person in (*draft.to, *draft.cc, *draft.bcc)}
        if (account is not None and draft.account == account.id) or told & wanted:
            found.append(draft)
    return tuple(found)


def counts(connection: sqlite3.Connection, account: str) -> tuple[int, int, int]:
    """(messages, unread ones, conversations that wait for our answer) of an account."""
    rows = connection.execute(
        "SELECT key, total, unread FROM folder WHERE mailbox = '' AND key IN (?, ?)",
        (f"account:{account}", f"waiting:{account}"),
    )
    found = {key.partition(":")[0]: (total, unread) for key, total, unread in rows}
    total, unread = found.get("account", (0, 0))
    return total, unread, found.get("waiting", (0, 0))[0]


# an account in numbers


def figures(connection: sqlite3.Connection, account: str, now_ms: int) -> Figures:
    """Mail a week over half a year, and how fast each side answers (median seconds)."""
    last = now_ms - (now_ms - MONDAY_MS) % WEEK_MS
    first = max(0, last - (WEEKS - 1) * WEEK_MS)
    mail = mail_of(connection, account, COUNTED, first)
    received: Counter[int] = Counter()
    sent: Counter[int] = Counter()
    for one in mail:
        (sent if one.sent else received)[(one.received_ms - MONDAY_MS) // WEEK_MS] += 1
    weeks = range((first - MONDAY_MS) // WEEK_MS, (last - MONDAY_MS) // WEEK_MS + 1)
    ours, theirs = _answers(mail)
    return Figures(
        tuple(Week(number * WEEK_MS + MONDAY_MS, received[number], sent[number]) for number in weeks),
        median(ours) / 1000 if ours else None,
        median(theirs) / 1000 if theirs else None,
        len(ours),
        len(theirs),
    )


def _answers(mail: Sequence[Mail]) -> tuple[list[int], list[int]]:
    """How long (ms) each first answer to the other side took: ours, theirs."""
    asked: dict[int, Mail] = {}
    ours: list[int] = []
    theirs: list[int] = []
    for one in reversed(mail):
        if not one.word:
            continue
        before = asked.get(one.thread)
        if before is None or before.sent != one.sent:
            if before is not None and one.received_ms - before.received_ms <= ANSWERED_WITHIN_MS:
                (ours if one.sent else theirs).append(one.received_ms - before.received_ms)
            asked[one.thread] = one
    return ours, theirs


# what happened


def timeline(connection: sqlite3.Connection, account: str, limit: int) -> list[TimelineEntry]:
    """Our mail with an account, what its CRM told and what was logged here, newest first; a message that several know
    of stands once, as ours."""
    numbers = [one.id for one in mail_of(connection, account, limit)]
    sent = {one.id: one.sent for one in mail_of(connection, account, limit)}
    headers = dict(
        connection.execute(
            "SELECT m.id, m.message_id FROM json_each(?) j CROSS JOIN message m ON m.id = j.value",
            (json.dumps(numbers),),
        ).fetchall()
    )
    mail = [
        TimelineEntry(
            row.received_ms, row.sender, row.subject, row.snippet, headers.get(row.id, ""), "", row.id, sent[row.id]
        )
        for row in window.of_ids(connection, numbers)
    ]
    known = {entry.message_id for entry in mail if entry.message_id}
    others = {entry.message_id or entry: entry for entry in diary.entries(connection, account)}
    others |= {entry.message_id or entry: entry for entry in told_timeline(connection, account)}
    told = [entry for entry in others.values() if entry.message_id not in known]
    return sorted((*mail, *told), key=lambda entry: -entry.when_ms)[:limit]


def told_timeline(connection: sqlite3.Connection, account: str) -> list[TimelineEntry]:
    """What the CRM told of an account when it was asked last."""
    row = connection.execute("SELECT content FROM timeline WHERE account = ?", (account,)).fetchone()
    return [TimelineEntry(**plain) for plain in json.loads(row[0])] if row else []


def keep_timeline(connection: sqlite3.Connection, account: str, entries: Iterable[TimelineEntry], now_ms: int) -> None:
    """Take over what the CRM tells of an account."""
    names = TimelineEntry.__dataclass_fields__
    plain = [{name: getattr(entry, name) for name in names} for entry in entries]
    connection.execute(
        "INSERT OR REPLACE INTO timeline(account, read_ms, content) VALUES (?, ?, ?)",
        (account, now_ms, codec.storable(json.dumps(plain, ensure_ascii=False))),
    )
