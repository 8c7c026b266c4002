"""What follows in the cache from an edit of the desk: the directory at once, bound mail at once or bit by bit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from crmmail.model import Change
from crmmail.store import choices, directory, records, rematch

AT_ONCE = 200  # messages a choice names one by one; what it reaches beyond them comes bit by bit


def take_over(connection: sqlite3.Connection) -> Change:
    """Let the cache follow every edit it has not seen. A new cache takes over everything there is."""
    row = connection.execute("SELECT seen FROM known").fetchone()
    if row is None:
        accounts, contacts = records.keys(connection, records.ACCOUNT), records.keys(connection, records.CONTACT)
        directory.derive(connection, accounts, contacts)
        connection.execute("INSERT INTO known(seen) VALUES (?)", (records.newest(connection),))
        rematch.ask(connection, [rematch.OURSELVES])
        return Change(accounts=frozenset(accounts), crm=True)
    newest, touched = records.touched(connection, row[0])
    if newest == row[0]:
        return Change()
    connection.execute("UPDATE known SET seen = ?", (newest,))
    of = {kind: [key for found, key in touched if found == kind] for kind in {kind for kind, _key in touched}}
    change = _follow_accounts(connection, of.get(records.ACCOUNT, []), of.get(records.CONTACT, []))
    change |= _follow_choices(connection, of.get(records.CHOICE, []))
    asked = [_never_key(key) for key in of.get(records.NEVER, [])]
    asked += [rematch.OURSELVES for key in of.get(records.SETTING, []) if key == "own"]
    asked += [f"~{key}" for key in of.get(records.ALIAS, [])]
    rematch.ask(connection, asked)
    return change | Change(crm=True)


def _follow_accounts(connection: sqlite3.Connection, accounts: Sequence[str], contacts: Sequence[str]) -> Change:
    if not accounts and not contacts:
        return Change()
    before = directory.names(connection, accounts)
    handles = directory.derive(connection, accounts, contacts)
    after = directory.names(connection, accounts)
    gone = [uid for uid in accounts if uid in before and uid not in after]
    revived = {uid for uid in accounts if uid in after and uid not in before}
    known = connection.execute(  # a contact may have come before its account
        "SELECT h.key FROM json_each(?) j CROSS JOIN contact c ON c.account = j.value "
        "CROSS JOIN handle h ON h.contact = c.uid AND h.account = c.account",
        (json.dumps(list(revived)),),
    )
    rematch.ask(connection, [*(f"~{uid}" for uid in gone), *handles, *(row[0] for row in known)])
    heard_again = _choices_naming(connection, revived.union(gone))
    return Change(accounts=frozenset(accounts)) | _follow_choices(connection, heard_again)


def _choices_naming(connection: sqlite3.Connection, accounts: set[str]) -> list[str]:
    """The choices that name one of these accounts: they count again, or no longer, now that it came or went."""
    if not accounts or not connection.execute("SELECT 1 FROM record WHERE kind = 'choice' LIMIT 1").fetchone():
        return []
    aliases = records.of_kind(connection, records.ALIAS)
    found = []
    for key, text in records.of_kind(connection, records.CHOICE).items():
        plain = json.loads(text)
        named = (*plain.get("yes", ()), *plain.get("no", ()))
        if any(accounts.intersection(choices.succession(aliases, one)) for one in named):
            found.append(key)
    return found


def _follow_choices(connection: sqlite3.Connection, keys: Iterable[str]) -> Change:
    twins = [int(key[2:], 16) for key in keys if key[:2] in ("m:", "t:")]
    rules = [key[2:] if key[:2] == "a:" else f"@{key[2:]}" for key in keys if key[:2] in ("a:", "d:")]
    rematch.ask(connection, rules)
    change = Change()
    for start in range(0, len(twins), AT_ONCE):
        change |= rematch.at_once(connection, twins[start : start + AT_ONCE])
    return change


def _never_key(key: str) -> str:
    """What mail a never-rule is about, as `rematch` asks for it; a subject's tag may be anywhere."""
    return {"a": key[2:], "d": f"@{key[2:]}"}.get(key[0], rematch.EVERYTHING)
