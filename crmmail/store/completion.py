"""Whom the user is likely to mean: people ranked by how often and how lately they were written to.

Every message sent adds to the `score` of those it went to: most when it begins a conversation, for there somebody is
looked for, less when it answers, and little for a copy; every message received adds a trace to its sender's. What a
message adds halves each 20 days. Since all of it fades alike, the score is kept as of a fixed day and never has to be
recomputed: a message adds 2^((its day - that day) / 20). On top of it come those the talk is with right now (who was
written to, or has answered, in the last hours) and those who were written to together with whom the message already
goes to. Counted once per message (`message.counted`), whatever servers repeat.

How likely somebody is by all this is one half; the other is how likely one would type these letters for them: their
first name or initials rather than their surname, and hardly ever the domain (`fit`).
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from crmmail.model import Address, Draft, Headers
from crmmail.ops import DRAFTS, SENT, SPAM, TRASH
from crmmail.store import codec

HALF_LIFE_MS = 20 * 86_400_000
DAY_ZERO_MS = 1_577_836_800_000  # 2020: what is older counts as if it were of that day, or nearly nothing
TO, ANSWERED, COPIED, HEARD = 1.0, 0.4, 0.1, 0.004  # what a message adds: begun with, answered, copied to, from
LATELY_MS = 2 * 86_400_000
LATELY_MOST = 50
TALK = 10.0  # what being in a talk adds at its first moment, in messages written today
WRITTEN_HALF_MS, ANSWERED_HALF_MS = 8_640_000, 17_280_000  # and how fast that is over: 2.4 and 4.8 hours
TOGETHER = 60.0  # what a message that went to both adds to one when the other is entered already
ELSE, DOMAIN = 0.4, 0.05  # how often a surname or a domain is typed for somebody, where a first name is typed once
NEAR = 200  # people of an account: so many are asked for with whom they were written to
GROUP = 12  # recipients: in a larger one nobody belongs together
CROWD = 50  # recipients: beyond that a message says nothing about whom the user knows
AT_ONCE = 2_000

FEW = 300  # people who share a beginning: so many are looked at one by one; more are found by score soon enough
WEIGHED = 64  # of those found by score: beyond them nobody fits so much better that they would come first

_Row = tuple[str, str, str, str, float, int, int, int]
_Known = tuple[str, str, float, int, int]  # address, name, score, sent_ms, heard_ms
_ELSEWHERE = frozenset({SPAM, TRASH, DRAFTS})
_NOBODY = re.compile(r"(?:no|nao|não|do-?not)[-_.]?(?:reply|responda|responder)|mailer-daemon|postmaster|bounces?\b")
_WORD = re.compile(r"\w+")
_NOISE = re.compile(r"[\"'<>(),;]+")
_UPSERT = """INSERT INTO person(email, address, name, words, score, sent_ms, heard_ms, last_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(email) DO UPDATE SET score = score + excluded.score,
sent_ms = max(sent_ms, excluded.sent_ms), heard_ms = max(heard_ms, excluded.heard_ms),
name = iif(excluded.name != '' AND (excluded.last_ms >= last_ms OR name = ''), excluded.name, name),
words = iif(excluded.name != '' AND (excluded.last_ms >= last_ms OR name = ''), excluded.words, words),
last_ms = max(last_ms, excluded.last_ms)"""
_UPSERT_PAIR = """INSERT INTO person_pair(email, other, score) VALUES (?, ?, ?)
ON CONFLICT(email, other) DO UPDATE SET score = score + excluded.score"""
_LAST = "\U0010ffff"
_AMONG = "email IN (SELECT email FROM person_word WHERE word >= ? AND word < ?)"
# The inner query reads an index alone, in its order, until enough are found; where few can be, it reads only those.
_KNOWN = """SELECT p.address, p.name, p.score, p.sent_ms, p.heard_ms
FROM (SELECT email AS found FROM person WHERE {where} LIMIT ? + (SELECT count(*) FROM forgotten))
CROSS JOIN person p ON p.email = found
WHERE NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.email = p.email AND f.at_ms >= p.sent_ms)"""
_OWN = """SELECT p.address, p.name, p.score, p.sent_ms, p.heard_ms
FROM json_each(?) j CROSS JOIN person p ON p.email = j.value"""
_TOGETHER = """SELECT p.address, p.name, p.score, p.sent_ms, p.heard_ms, sum(q.score)
FROM json_each(?) j CROSS JOIN person_pair q ON q.email = j.value CROSS JOIN person p ON p.email = q.other
WHERE NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.email = p.email AND f.at_ms >= p.sent_ms){matching}
GROUP BY p.email"""


@lru_cache(8192)
def folded(text: str) -> str:
    """`text` without case and accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return codec.storable("".join(letter for letter in plain if not unicodedata.combining(letter)))


def _initials(plain: str) -> list[str]:
    """Of a folded name; where the surname comes first (`Sá, Rui`) both ways round."""
    parts = _WORD.findall(plain)
    if len(parts) < 2:
        return []
    first, last = parts[0][0], parts[-1][0]
    return [first + last, last + first] if "," in plain else [first + last]


@lru_cache(8192)
def words(name: str, email: str) -> str:
    """What a person is found by, each word after a space: of the name, the address, its domain, the initials."""
    local, _at, domain = folded(email).rpartition("@")
    spoken = folded(name).split()
    parts = _WORD.findall(folded(name))
    labels = domain.split(".")
    suffixes = [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]
    found = [*spoken, *parts, f"{local}@{domain}", *re.split(r"[._+-]+", local), *suffixes, *_initials(folded(name))]
    return " " + " ".join(dict.fromkeys(word for word in found if word))


@lru_cache(8192)
def _called(name: str, email: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What one types for somebody, and what one types less often; the domain is in neither."""
    plain = folded(name)
    _surname, comma, given = plain.partition(",")
    first = _WORD.findall(given if comma else plain)[:1]
    local = folded(email).rpartition("@")[0]
    others = (*plain.split(), *_WORD.findall(plain), *re.split(r"[._+-]+", local))
    return (*first, *_initials(plain), folded(email)), others


def fit(asked: Sequence[str], name: str, email: str) -> float:
    """How often one would type these beginnings for somebody they find, from 0 to 1."""
    called, others = _called(name, email)
    found = 1.0
    for word in asked:
        if not any(one.startswith(word) for one in called):
            found *= ELSE if any(one.startswith(word) for one in others) else DOMAIN
    return found


def asked_for(text: str) -> list[str]:
    """The beginnings of words that were typed."""
    return _NOISE.sub(" ", folded(text)).split()[:8]


def _worth(weight: float, at_ms: int) -> float:
    return float(weight * 2.0 ** ((max(at_ms, DAY_ZERO_MS) - DAY_ZERO_MS) / HALF_LIFE_MS))


# counting


def count(connection: sqlite3.Connection, numbers: Iterable[int], now_ms: int) -> None:
    """Count those of these messages that were not counted before and say who knows whom."""
    rows = connection.execute(
        "SELECT m.id, m.base, m.received_ms, m.sender, m.sender_email FROM json_each(?) j "
        "CROSS JOIN message m ON m.id = j.value WHERE m.counted = 0",
        (json.dumps(list(numbers)),),
    ).fetchall()
    if not rows:
        return
    own = _own(connection)
    added: list[_Row | None] = []
    pairs: list[tuple[str, str, float]] = []
    counted: list[tuple[int]] = []
    for number, base, received_ms, name, email in rows:
        folders = codec.text_state(base).folders
        if folders & _ELSEWHERE:
            continue
        at_ms = min(max(received_ms, 0), now_ms)
        if SENT in folders or folded(email) in own:
            people = list(_written_to(_headers(connection, number)))
            rows_of = [_row(who, weight, at_ms, own, sent=True) for who, weight in people]
            added += rows_of
            pairs += _pairs([row[0] for row in rows_of if row], at_ms)
        else:
            people = [(Address("" if name == email else name, email), HEARD)] if email else []
            added += [_row(who, weight, at_ms, own, sent=False) for who, weight in people]
        counted += [(number,)] if people else []
    _add(connection, added)
    connection.executemany(_UPSERT_PAIR, pairs)
    connection.executemany("UPDATE message SET counted = 1 WHERE id = ?", counted)


def _own(connection: sqlite3.Connection) -> frozenset[str]:
    """The addresses nobody writes to because they are the user's own."""
    found = [row[0] for row in connection.execute("SELECT address FROM mailbox")]
    told = connection.execute(
        "SELECT json_extract(i.value, '$.address.email') FROM identity, json_each(content) i WHERE json_valid(content)"
    )
    found += [row[0] for row in told if row[0]]
    return frozenset(map(folded, found))


def _headers(connection: sqlite3.Connection, number: int) -> Headers:
    row = connection.execute("SELECT packed FROM body WHERE message = ?", (number,)).fetchone()
    return codec.unpack(row[0])[0] if row else Headers()


def _written_to(headers: Headers) -> Iterator[tuple[Address, float]]:
    weight = ANSWERED if headers.in_reply_to else TO
    everybody = [*((who, weight) for who in headers.to), *((who, COPIED) for who in (*headers.cc, *headers.bcc))]
    if len(everybody) <= CROWD:
        yield from everybody


def _pairs(emails: Sequence[str], at_ms: int) -> Iterator[tuple[str, str, float]]:
    """Everybody with everybody else."""
    if len(emails) <= GROUP:
        yield from ((one, other, _worth(1.0, at_ms)) for one in emails for other in emails if one != other)


def _row(who: Address, weight: float, at_ms: int, own: frozenset[str], *, sent: bool) -> _Row | None:
    key = folded(who.email)
    if not key or key in own or _NOBODY.search(key):
        return None
    name, email = codec.storable(who.name), codec.storable(who.email)
    sent_ms, heard_ms = (at_ms, 0) if sent else (0, at_ms)
    return key, email, name, words(name, email), _worth(weight, at_ms), sent_ms, heard_ms, at_ms


def _add(connection: sqlite3.Connection, found: Iterable[_Row | None]) -> None:
    rows = [row for row in found if row is not None]
    before = connection.execute(
        "SELECT p.email, p.words FROM json_each(?) j CROSS JOIN person p ON p.email = j.value",
        (json.dumps(list({row[0] for row in rows})),),
    )
    known = set(before.fetchall())
    connection.executemany(_UPSERT, rows)
    fresh = {(word, row[0]) for row in rows if (row[0], row[3]) not in known for word in row[3].split()}
    connection.executemany("INSERT OR IGNORE INTO person_word(word, email) VALUES (?, ?)", sorted(fresh))


def meant(connection: sqlite3.Connection, draft: Draft, now_ms: int) -> None:
    """A message was queued: its recipients count as written to just now. The copy in Sent adds the rest."""
    own = _own(connection)
    rows = [_row(who, 0.0, now_ms, own, sent=True) for who in (*draft.to, *draft.cc, *draft.bcc)[:CROWD]]
    _add(connection, rows)


def recount(connection: sqlite3.Connection, now_ms: int) -> None:
    """Count everything anew: a mailbox has gone, and with it whom it knew."""
    connection.execute("DELETE FROM person")
    connection.execute("DELETE FROM person_word")
    connection.execute("DELETE FROM person_pair")
    connection.execute("UPDATE message SET counted = 0 WHERE counted")
    numbers = [row[0] for row in connection.execute("SELECT id FROM message")]
    for start in range(0, len(numbers), AT_ONCE):
        count(connection, numbers[start : start + AT_ONCE], now_ms)


def catch_up(connection: sqlite3.Connection, now_ms: int) -> None:
    """At start: a mirror made before people were counted is counted once."""
    if connection.execute("SELECT 1 FROM person LIMIT 1").fetchone() is None:
        recount(connection, now_ms)


# asking


def complete(
    connection: sqlite3.Connection,
    text: str,
    limit: int,
    now_ms: int,
    beside: Sequence[str] = (),
    own: Sequence[Address] = (),
) -> list[Address]:
    """The people all words of `text` are beginnings for, the likeliest first; '' names the likeliest of all.

    Three lists are merged: the first by score, read in its order until enough match, those of the last days, and those
    who were written to together with the addresses `beside`, which are not named again. `own`, the people of the
    account a message is for, come before all others, after them those who are usually written to with them.
    """
    asked = asked_for(text)
    entered = {folded(email) for email in beside}
    ours = {folded(one.email): one for one in own if _finds(asked, one)}
    found, company = _found(connection, asked, limit, now_ms, entered, [folded(one.email) for one in own])
    for row in connection.execute(_OWN, (json.dumps([*ours]),)).fetchall():
        found[folded(row[0])] = row
    fading = 2.0 ** (-(now_ms - DAY_ZERO_MS) / HALF_LIFE_MS)
    people = {key: ours.get(key) or Address(row[1], row[0]) for key, row in found.items()} | ours

    def likely(key: str) -> tuple[bool, float, float]:
        worth = _likely(found[key], now_ms) if key in found else 0.0
        worth += TOGETHER * company.get(key, 0.0) * fading
        fits = fit(asked, people[key].name, people[key].email)
        return key in ours, worth * fits, fits

    ranked = sorted((key for key in people if key not in entered), key=likely, reverse=True)
    return [people[key] for key in ranked[:limit]]


def likeliest(connection: sqlite3.Connection, people: Sequence[Address], now_ms: int) -> list[Address]:
    """`people`, the likeliest to be written to first; as they came where nothing is known."""
    keys = json.dumps([folded(one.email) for one in people])
    known = {folded(row[0]): _likely(row, now_ms) for row in connection.execute(_OWN, (keys,))}
    return sorted(people, key=lambda one: -known.get(folded(one.email), 0.0))


def _found(
    connection: sqlite3.Connection, asked: Sequence[str], limit: int, now_ms: int, entered: set[str], own: Sequence[str]
) -> tuple[dict[str, _Known], dict[str, float]]:
    """Who may be meant, by address, and what those were sent together with whom the message is to, or for."""
    matching = "".join(" AND instr(words, ?)" for _word in asked)
    marks = [f" {word}" for word in asked]
    rare = _rare(connection, asked)
    known = _KNOWN.format(where=f"{_AMONG if rare else '1'}{matching} ORDER BY score DESC")
    enough = max(WEIGHED if asked else 0, limit) + len(entered)
    rows: list[_Known] = connection.execute(known, (*rare, *marks, enough)).fetchall()
    lately = _KNOWN.format(where=f"last_ms > ? AND sent_ms > 0{matching} ORDER BY last_ms DESC")
    rows += connection.execute(lately, (now_ms - LATELY_MS, *marks, LATELY_MOST)).fetchall()
    company: dict[str, float] = {}
    near = [*entered, *(email for email in own[:NEAR] if email not in entered)]
    if near:
        together = connection.execute(_TOGETHER.format(matching=matching), (json.dumps(near), *marks))
        for address, name, score, sent_ms, heard_ms, shared in together:
            rows.append((address, name, score, sent_ms, heard_ms))
            company[folded(address)] = shared
    return {folded(row[0]): row for row in rows}, company


def _finds(asked: Sequence[str], one: Address) -> bool:
    found = words(one.name, one.email)
    return all(f" {word}" in found for word in asked)


def _rare(connection: sqlite3.Connection, asked: Sequence[str]) -> tuple[str, ...]:
    """The bounds of the words that begin like one of `asked`, when few people have such a word; else nothing."""
    for word in sorted(asked, key=len, reverse=True):
        bounds = (word, word + _LAST)
        query = "SELECT count(*) FROM (SELECT 1 FROM person_word WHERE word >= ? AND word < ? LIMIT ?)"
        if connection.execute(query, (*bounds, FEW)).fetchone()[0] < FEW:
            return bounds
    return ()


def _likely(row: _Known, now_ms: int) -> float:
    """How likely a person is meant, in messages written today."""
    _address, _name, score, sent_ms, heard_ms = row
    likely: float = score * 2.0 ** (-(now_ms - DAY_ZERO_MS) / HALF_LIFE_MS)
    if sent_ms:
        likely += TALK * 2.0 ** (-max(0, now_ms - sent_ms) / WRITTEN_HALF_MS)
        likely += TALK * 2.0 ** (-max(0, now_ms - heard_ms) / ANSWERED_HALF_MS)
    return likely


def forget(connection: sqlite3.Connection, email: str, now_ms: int) -> None:
    """Name this person no more, until they are written to again."""
    connection.execute("INSERT OR REPLACE INTO forgotten(email, at_ms) VALUES (?, ?)", (folded(email), now_ms))
