"""Accounts and contacts as the cache holds them: found as one types, by address, by domain. Derived from the desk.

Every function works within a transaction of the store. What an edit of the desk touched is derived anew from the
record as it is now, so doing it twice, or once more after a crash, changes nothing.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

from crmmail.crm import domains, match
from crmmail.crm.model import Account, AccountRow, Contact
from crmmail.model import Address
from crmmail.store import cards, records
from crmmail.store.completion import folded

FEW = 3_000  # accounts with a word that begins so: that many are looked at one by one; else the list is read in order
INDEXED_CONTACTS = 200  # of one account, for its words
START = 3  # letters
Handle = tuple[str, str, str]
"""An address or @domain, whose it is, and by which contact ('' : the account's own)."""
_WORD = re.compile(r"\w+")
_NOISE = re.compile(r"[\"'<>(),;]+")
_LIKE = re.compile(r"[%_\\]")
_ESCAPED = r"\\\g<0>"
_LAST = "\U0010ffff"
_ROW = """SELECT a.uid, a.name, a.domain, a.tax_id, coalesce(f.total, 0), coalesce(f.unread, 0), coalesce(w.total, 0),
a.crm FROM json_each(?) j CROSS JOIN account a ON a.id = j.value
LEFT JOIN folder f ON f.mailbox = '' AND f.key = 'account:' || a.uid
LEFT JOIN folder w ON w.mailbox = '' AND w.key = 'waiting:' || a.uid ORDER BY j.key"""


# deriving


def derive(connection: sqlite3.Connection, accounts: Iterable[str], contacts: Iterable[str]) -> set[str]:
    """Take over these accounts and contacts as the desk has them now; the handles that differ (addresses, @domains)."""
    names = list(dict.fromkeys(contacts))
    people = [cards.text_contact(key, text) for key, text in records.many(connection, records.CONTACT, names).items()]
    owners = _owners(connection, names) | {contact.account for contact in people}
    wanted = list(dict.fromkeys([*accounts, *sorted(owners - {""})]))
    kept = {
        key: cards.text_account(key, text) for key, text in records.many(connection, records.ACCOUNT, wanted).items()
    }
    before = _handles(connection, wanted, names)
    after: set[Handle] = {
        (key, one.account, one.id) for one in people for told in one.addresses for key in (told, match.undotted(told))
    }
    after |= {(key, one.id, "") for one in kept.values() for key in handles_of(one)}
    connection.executemany("DELETE FROM contact WHERE uid = ?", [(name,) for name in names])
    connection.executemany(
        "INSERT INTO contact(uid, account, name, crm, remote) VALUES (?, ?, ?, ?, ?)",
        [(one.id, one.account, one.name, one.crm, one.remote_id) for one in people],
    )
    connection.executemany("DELETE FROM handle WHERE key = ? AND account = ? AND contact = ?", sorted(before - after))
    connection.executemany(
        "INSERT OR IGNORE INTO handle(key, account, contact) VALUES (?, ?, ?)", sorted(after - before)
    )
    _derive_lines(connection, wanted, kept)
    return {key for key, _account, _contact in before ^ after}


def _owners(connection: sqlite3.Connection, contacts: Sequence[str]) -> set[str]:
    query = "SELECT c.account FROM json_each(?) j CROSS JOIN contact c ON c.uid = j.value"
    return {row[0] for row in connection.execute(query, (json.dumps(contacts),))}


def _handles(connection: sqlite3.Connection, accounts: Sequence[str], contacts: Sequence[str]) -> set[Handle]:
    """What the directory holds of these accounts themselves and of these contacts."""
    rows = connection.execute(
        "SELECT h.key, h.account, h.contact FROM json_each(?) j CROSS JOIN handle h "
        "ON h.contact = '' AND h.account = j.value UNION ALL "
        "SELECT h.key, h.account, h.contact FROM json_each(?) j CROSS JOIN handle h ON h.contact = j.value",
        (json.dumps(accounts), json.dumps(contacts)),
    )
    return {(row[0], row[1], row[2]) for row in rows}


def handles_of(account: Account) -> set[str]:
    """What mail an account is known by without its contacts: its domains; where it names none, its website's."""
    told = account.domains or tuple(filter(None, (domains.usable(domains.of_website(account.website)),)))
    return {f"@{domain}" for domain in told}


def _derive_lines(connection: sqlite3.Connection, wanted: Sequence[str], kept: dict[str, Account]) -> None:
    """The accounts' rows, lines and words."""
    run = connection.executemany
    old = connection.execute(
        "SELECT a.id, a.uid, l.sort, l.words FROM json_each(?) j CROSS JOIN account a ON a.uid = j.value "
        "JOIN account_line l ON l.sort = a.sort AND l.account = a.id",
        (json.dumps(wanted),),
    ).fetchall()
    numbers = {uid: number for number, uid, _sort, _words in old}
    run("DELETE FROM account_line WHERE sort = ? AND account = ?", [(sort, number) for number, _u, sort, _w in old])
    gone = [(word, number) for number, _uid, _sort, words in old for word in words.split()]
    run("DELETE FROM account_word WHERE word = ? AND account = ?", gone)
    starts: Counter[str] = Counter()
    for _number, _uid, _sort, text in old:
        starts.subtract(_starts(text))
    run("DELETE FROM account WHERE uid = ?", [(uid,) for uid in wanted if uid not in kept])
    lines = []
    for uid, one in kept.items():
        domain = one.domains[0] if one.domains else domains.of_website(one.website)
        sort = " ".join(_WORD.findall(folded(one.name))) or "\uffff"
        row = connection.execute(
            "INSERT INTO account(id, uid, name, sort, domain, tax_id, crm, remote) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT(uid) DO UPDATE SET name = excluded.name, sort = excluded.sort, domain = excluded.domain, "
            "tax_id = excluded.tax_id, crm = excluded.crm, remote = excluded.remote RETURNING id",
            (numbers.get(uid), uid, one.name, sort, domain, one.tax_id, one.crm, one.remote_id),
        ).fetchone()
        lines.append((sort, int(row[0]), words(one, _people(connection, uid))))
    lines.sort()
    run("INSERT INTO account_line(sort, account, words) VALUES (?, ?, ?)", lines)
    fresh = sorted((word, number) for _sort, number, text in lines for word in text.split())
    run("INSERT OR IGNORE INTO account_word(word, account) VALUES (?, ?)", fresh)
    for _sort, _number, text in lines:
        starts.update(_starts(text))
    run(
        "INSERT INTO account_start(start, count) VALUES (?, ?) ON CONFLICT(start) DO UPDATE SET "
        "count = count + excluded.count",
        sorted(item for item in starts.items() if item[1]),
    )


def _starts(text: str) -> set[str]:
    """The beginnings of an account's words, up to `START` letters."""
    return {word[:length] for word in text.split() for length in range(1, min(len(word), START) + 1)}


def _people(connection: sqlite3.Connection, account: str) -> list[tuple[str, str]]:
    """(name, address) of an account's contacts."""
    return connection.execute(
        "SELECT c.name, coalesce(h.key, '') FROM contact c LEFT JOIN handle h ON h.contact = c.uid "
        "AND h.account = c.account WHERE c.account = ? LIMIT ?",
        (account, INDEXED_CONTACTS),
    ).fetchall()


def words(account: Account, people: Iterable[tuple[str, str]]) -> str:
    """What an account is found by, each word after a space: name, domains, tax id, its people and their addresses."""
    found: dict[str, None] = {}
    for text in (account.name, account.owner):
        spoken = folded(text)
        found.update(dict.fromkeys((*spoken.split(), *_WORD.findall(spoken))))
    for domain in (*account.domains, *filter(None, (domains.of_website(account.website),))):
        found.update(dict.fromkeys((domain, *domain.split(".")[:-1])))
    if account.tax_id:
        found[account.tax_id.lower()] = None
    for name, address in people:
        found.update(dict.fromkeys(_WORD.findall(folded(name))))
        if address:
            found.update(dict.fromkeys((address, address.rpartition("@")[2])))
    return " " + " ".join(word for word in found if word)


# asking


def _asked(text: str) -> list[str]:
    """The words typed; a tax id as it is stored, without what people write between its digits."""
    found = _NOISE.sub(" ", folded(text)).split()[:8]
    plain = [re.sub(r"[./-]", "", word) if re.fullmatch(r"[\d][\w./-]*", word) else word for word in found]
    return [word.lstrip("@") for word in plain if word.lstrip("@")]


def _search(connection: sqlite3.Connection, text: str) -> tuple[str, list[object], str]:
    """(FROM … WHERE …, its arguments, the order) for the accounts that `text` finds."""
    asked = _rarest_first(connection, _asked(text))
    matching = "".join(" AND l.words LIKE ? ESCAPE '\\'" for _word in asked)  # in half the time of instr
    marks: list[object] = [f"% {_LIKE.sub(_ESCAPED, word)}%" for word in asked]
    rare = _rare(connection, asked)
    if rare is None:
        return f"FROM account_line l WHERE 1{matching}", marks, "l.sort, l.account"
    among = (
        "FROM (SELECT DISTINCT account FROM account_word WHERE word >= ? AND word < ?) w CROSS JOIN account a "
        "ON a.id = w.account CROSS JOIN account_line l ON l.sort = a.sort AND l.account = a.id WHERE 1"
    )
    return f"{among}{matching}", [*rare, *marks], "l.sort, l.account"


def _rarest_first(connection: sqlite3.Connection, asked: Sequence[str]) -> list[str]:
    """Most lines then need one look: `asked` by how many accounts have a word with its first letters."""
    if len(asked) < 2:
        return list(asked)
    query = "SELECT count FROM account_start WHERE start = ?"
    return sorted(asked, key=lambda word: next(iter(connection.execute(query, (word[:START],))), (0,))[0])


def _rare(connection: sqlite3.Connection, asked: Sequence[str]) -> tuple[str, str] | None:
    """The bounds of the words that begin like one of `asked`, when few accounts have such a word."""
    for word in sorted(asked, key=len, reverse=True):
        bounds = (word, word + _LAST)
        query = "SELECT count(*) FROM (SELECT 1 FROM account_word WHERE word >= ? AND word < ? LIMIT ?)"
        if connection.execute(query, (*bounds, FEW)).fetchone()[0] < FEW:
            return bounds
    return None


def rows(connection: sqlite3.Connection, text: str, offset: int, limit: int) -> list[AccountRow]:
    """The accounts `text` finds, by name."""
    tail, arguments, order = _search(connection, text)
    numbers = connection.execute(
        f"SELECT l.account {tail} ORDER BY {order} LIMIT ? OFFSET ?", (*arguments, max(limit, 0), max(offset, 0))
    ).fetchall()
    return [AccountRow(*row) for row in connection.execute(_ROW, (json.dumps([row[0] for row in numbers]),))]


def count(connection: sqlite3.Connection, text: str) -> int:
    """How many accounts `text` finds."""
    asked = _asked(text)
    if not asked:
        query, arguments = "SELECT count(*) FROM account_line", []
    elif len(asked) == 1 and len(asked[0]) <= START:
        query, arguments = "SELECT coalesce((SELECT count FROM account_start WHERE start = ?), 0)", [asked[0]]
    elif len(asked) == 1 and _rare(connection, asked) is not None:
        query = "SELECT count(DISTINCT account) FROM account_word WHERE word >= ? AND word < ?"
        arguments = [asked[0], asked[0] + _LAST]
    else:
        tail, found, _order = _search(connection, text)
        query, arguments = f"SELECT count(*) {tail}", found  # type: ignore[assignment]
    return int(connection.execute(query, arguments).fetchone()[0])


def resolve(connection: sqlite3.Connection, uid: str) -> str:
    """The account another was merged into, else itself."""
    for _step in range(16):
        after = records.get(connection, records.ALIAS, uid)
        if after is None:
            return uid
        uid = after
    return uid


def account(connection: sqlite3.Connection, uid: str) -> Account | None:
    """The account of this id, or the one it was merged into."""
    key = resolve(connection, uid)
    text = records.get(connection, records.ACCOUNT, key)
    return None if text is None else cards.text_account(key, text)


def contacts(connection: sqlite3.Connection, uid: str) -> list[Contact]:
    """The contacts of an account, by name."""
    names = [row[0] for row in connection.execute("SELECT uid FROM contact WHERE account = ?", (uid,))]
    found = records.many(connection, records.CONTACT, names)
    return sorted((cards.text_contact(*item) for item in found.items()), key=lambda one: (folded(one.name), one.id))


def people(connection: sqlite3.Connection, uid: str) -> list[Address]:
    """Whom one can write to at an account: its contacts, each address once, then whom mail knows at its domains."""
    known = [Address(one.name, address) for one in contacts(connection, uid) for address in one.addresses]
    met = connection.execute(
        "SELECT p.name, p.address FROM handle h CROSS JOIN person_word w ON w.word = substr(h.key, 2) "
        "CROSS JOIN person p ON p.email = w.email WHERE h.contact = '' AND h.account = ? AND h.key LIKE '@%' "
        "AND NOT EXISTS (SELECT 1 FROM forgotten f WHERE f.email = p.email AND f.at_ms >= p.sent_ms) "
        "ORDER BY p.score DESC LIMIT ?",
        (uid, INDEXED_CONTACTS),
    )
    found = {folded(one.email): one for one in known}
    return [*found.values(), *(Address(*row) for row in met if folded(row[1]) not in found)]


def contact(connection: sqlite3.Connection, uid: str) -> Contact | None:
    """The contact of this id."""
    text = records.get(connection, records.CONTACT, uid)
    return None if text is None else cards.text_contact(uid, text)


def contacts_of(connection: sqlite3.Connection, addresses: Iterable[str]) -> list[Contact]:
    """The contacts that have one of these addresses."""
    rows = connection.execute(
        "SELECT DISTINCT h.contact FROM json_each(?) j CROSS JOIN handle h ON h.key = j.value WHERE h.contact != ''",
        (json.dumps([address.lower() for address in addresses]),),
    )
    found = records.many(connection, records.CONTACT, [row[0] for row in rows])
    return [cards.text_contact(*item) for item in found.items()]


def who_writes(connection: sqlite3.Connection, addresses: Iterable[str]) -> dict[str, list[Contact]]:
    """Address → the contacts whose mail comes from it, as `match` takes it: `+tags` and dots at Gmail mean nothing."""
    spelt = {address: match.spellings(address.lower()) for address in addresses}
    of: dict[str, list[str]] = {}
    rows = connection.execute(
        "SELECT h.key, h.contact FROM json_each(?) j CROSS JOIN handle h ON h.key = j.value WHERE h.contact != '' "
        "ORDER BY h.key, h.contact",
        (json.dumps(list({key for keys in spelt.values() for key in keys})),),
    )
    for key, uid in rows:
        of.setdefault(key, []).append(uid)
    kept = records.many(connection, records.CONTACT, {uid for uids in of.values() for uid in uids})
    people = {uid: cards.text_contact(uid, text) for uid, text in kept.items()}
    found = {address: next((of[key] for key in keys if key in of), []) for address, keys in spelt.items()}
    return {address: [people[uid] for uid in uids if uid in people] for address, uids in found.items() if uids}


def writers(connection: sqlite3.Connection, addresses: Iterable[str]) -> list[Contact]:
    """Those contacts, each once."""
    return list({one.id: one for some in who_writes(connection, addresses).values() for one in some}.values())


def names(connection: sqlite3.Connection, uids: Iterable[str]) -> dict[str, str]:
    """Id → name of those of these accounts that exist."""
    query = "SELECT a.uid, a.name FROM json_each(?) j CROSS JOIN account a ON a.uid = j.value"
    return dict(connection.execute(query, (json.dumps(list(uids)),)).fetchall())


def remote(connection: sqlite3.Connection, table: str, crm: str, remote_ids: Iterable[str]) -> dict[str, str]:
    """A CRM's ids → ours, of `account` or `contact`; through what was merged."""
    query = f"SELECT t.remote, t.uid FROM json_each(?) j CROSS JOIN {table} t ON t.crm = ? AND t.remote = j.value"
    return dict(connection.execute(query, (json.dumps(list(remote_ids)), crm)).fetchall())


def similar(connection: sqlite3.Connection, uid: str) -> list[AccountRow]:
    """Other accounts with a domain, address, tax id or normal name of this one."""
    numbers = connection.execute(
        "SELECT DISTINCT o.id FROM account a JOIN account o ON o.uid != a.uid WHERE a.uid = :uid AND ("
        "o.uid IN (SELECT t.account FROM handle h JOIN handle t ON t.key = h.key WHERE h.account = :uid) "
        "OR o.id IN (SELECT l.account FROM account_line l WHERE l.sort = a.sort) "
        "OR (a.tax_id != '' AND o.id IN (SELECT w.account FROM account_word w WHERE w.word = lower(a.tax_id)))) "
        "LIMIT 50",
        {"uid": uid},
    ).fetchall()
    return [AccountRow(*row) for row in connection.execute(_ROW, (json.dumps([row[0] for row in numbers]),))]
