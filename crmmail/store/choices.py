"""What the user said of mail: whose it is, whose it never is, who we are. Records of the desk, read for `crm.match`.

A choice's key says what it is about: `m:` one message and its copies, `t:` the conversation that message is in (both by
its Message-ID and sender, never by a row of the cache), `a:` an address, `d:` a domain.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crmmail.crm import domains, match
from crmmail.crm.match import Choice, Known, Own, People
from crmmail.store import records
from crmmail.store.faults import Damaged

OWN = "own"
"""Key of the setting that says who we are."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the user says of us: company domains besides those of the mailboxes, and hosts that many share."""

    domains: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    log_internal: bool = False  # mail between colleagues is logged too


def setting(connection: sqlite3.Connection) -> Setting:
    """Who we are, as far as the user said."""
    text = records.get(connection, records.SETTING, OWN)
    if text is None:
        return Setting()
    plain = _loaded(text)
    return Setting(
        frozenset(plain.get("domains", ())), frozenset(plain.get("shared", ())), bool(plain.get("log_internal"))
    )


def setting_text(said: Setting) -> str:
    """A Setting as it is stored."""
    return json.dumps(
        {"domains": sorted(said.domains), "shared": sorted(said.shared), "log_internal": said.log_internal}
    )


def own(connection: sqlite3.Connection, said: Setting) -> Own:
    """Who we are: the mailboxes' addresses and identities, and the domains of these that are no free mail's."""
    found = [row[0] for row in connection.execute("SELECT address FROM mailbox")]
    told = connection.execute(
        "SELECT json_extract(i.value, '$.address.email') FROM identity, json_each(content) i WHERE json_valid(content)"
    )
    found += [row[0] for row in told if row[0]]
    addresses = {email.lower() for email in found} | {match.plain(email.lower()) for email in found}
    hosts = {domains.of_address(email) for email in addresses} - {""}
    ours = {host for host in hosts if not domains.is_shared(host, said.shared)} | said.domains
    return Own(frozenset(addresses), frozenset(ours), said.shared)


def resolved(aliases: Mapping[str, str], account: str) -> str:
    """The account that one was merged into, else itself."""
    return succession(aliases, account)[-1]


def succession(aliases: Mapping[str, str], account: str) -> list[str]:
    """An account, the one it was merged into, the one that was merged into, and so on."""
    found = [account]
    while found[-1] in aliases and len(found) <= 16:
        found.append(aliases[found[-1]])
    return found


def choice_text(choice: Choice, **about: object) -> str:
    """A choice as it is stored; `about` says what it was made on, for whoever reads the file."""
    return json.dumps({"yes": sorted(choice.yes), "no": sorted(choice.no)} | about, ensure_ascii=False)


def text_choice(text: str | None) -> Choice:
    """The Choice stored as `text`."""
    if text is None:
        return match.NO_CHOICE
    plain = _loaded(text)
    return Choice(frozenset(plain.get("yes", ())), frozenset(plain.get("no", ())))


def _loaded(text: str) -> dict[str, list[str]]:
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise Damaged(str(error)) from error
    if not isinstance(plain, dict):
        raise Damaged("a choice is no object")
    return plain


def key(scope: str, twin: int) -> str:
    """The record's key of a choice on a message (`m`) or its conversation (`t`)."""
    return f"{scope}:{twin:x}"


def of_messages(connection: sqlite3.Connection, twins: Iterable[int]) -> dict[tuple[str, int], Choice]:
    """("m" or "t", twin) → what the user said of those of these messages they said something of."""
    wanted = {key(scope, twin): (scope, twin) for twin in twins for scope in ("m", "t")}
    found = records.many(connection, records.CHOICE, wanted)
    return {wanted[name]: text_choice(text) for name, text in found.items()}


def known(
    connection: sqlite3.Connection,
    peoples: Iterable[People],
    said: Setting,
    aliases: Mapping[str, str],
    *,
    chosen: bool,
) -> Known:
    """What is known of these people: the accounts they and their domains stand for, rules, never-lists."""
    emails = {email for people in peoples for email in (*people.first, *people.others)}
    keys = {name for email in emails for name in match.keys(email)}
    handles: dict[str, tuple[str, ...]] = {}
    rows = connection.execute(
        "SELECT DISTINCT h.key, h.account FROM json_each(?) j CROSS JOIN handle h ON h.key = j.value "
        "CROSS JOIN account a ON a.uid = h.account ORDER BY h.key, h.account",
        (json.dumps(list(keys)),),
    )
    for name, account in rows:
        handles[name] = (*handles.get(name, ()), account)
    never, tags = never_lists(connection)
    rules = _rules(connection, keys, aliases) if chosen else {}
    return Known(handles, rules, never, tags, said.shared)


def _rules(connection: sqlite3.Connection, keys: Iterable[str], aliases: Mapping[str, str]) -> dict[str, Choice]:
    wanted = {f"d:{name[1:]}" if name.startswith("@") else f"a:{name}": name for name in keys}
    found = records.many(connection, records.CHOICE, wanted)
    said = {wanted[name]: lasting(text_choice(text), aliases) for name, text in found.items()}
    there = existing(connection, said.values())
    return {name: Choice(choice.yes & there, choice.no) for name, choice in said.items()}


def lasting(choice: Choice, aliases: Mapping[str, str]) -> Choice:
    """A choice with merged accounts under the id they have now."""
    if not aliases:
        return choice
    return Choice(*(frozenset(resolved(aliases, one) for one in side) for side in (choice.yes, choice.no)))


def existing(connection: sqlite3.Connection, choices: Iterable[Choice]) -> frozenset[str]:
    """Those accounts that choices name and that (still) exist."""
    named = {account for choice in choices for account in choice.yes}
    rows = connection.execute(
        "SELECT a.uid FROM json_each(?) j CROSS JOIN account a ON a.uid = j.value", (json.dumps(list(named)),)
    )
    return frozenset(row[0] for row in rows)


def never_lists(connection: sqlite3.Connection) -> tuple[frozenset[str], tuple[str, ...]]:
    """(addresses and @domains, case-folded subject tags) that are never bound and never logged."""
    names = records.keys(connection, records.NEVER)
    plain = {"a:": "", "d:": "@"}
    listed = frozenset(plain[name[:2]] + name[2:] for name in names if name[:2] in plain)
    return listed, tuple(name[2:] for name in names if name.startswith("t:"))
