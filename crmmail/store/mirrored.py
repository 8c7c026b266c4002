"""What a CRM told, on the desk: its accounts and contacts as records, and beside each what the CRM said of it last.

Three values decide a field: what the CRM said before, what it says now, what stands here. A field nobody changed here
follows the CRM; one the user changed stays. An account the user removed is not brought back; one the CRM no longer has
goes with it, unless the user has changed it: then it stays as an account of our own, and comes back under the same id
when the CRM has it again. Every function works within a transaction of the store.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crmmail.crm import domains, tax
from crmmail.crm.model import LOCAL, Account, Contact, CrmPage, RemoteAccount, RemoteContact
from crmmail.mail.text import clean_line, clean_text
from crmmail.store import cards, directory, records

ACCOUNT, CONTACT = "account", "contact"
OWN_ADDRESSES = "@"
"""Before a remote id: the contact that holds a company's own mail addresses, which an account has no place for."""
_ACCOUNT_FIELDS = ("name", "domains", "tax_id", "website", "phone", "owner", "notes", "fields")
_CONTACT_FIELDS = ("account", "name", "addresses", "phones", "role")
LAST = ""
"""In the place of a CRM's name: the one that was connected last."""
Wanted = dict[records.Key, str | None]


def told_key(crm: str, kind: str, remote_id: str) -> str:
    """The key of what a CRM said of one of its rows."""
    return f"{crm}:{kind}:{remote_id}"


def cursor(connection: sqlite3.Connection, crm: str) -> str:
    """How far the CRM was heard, '' for never."""
    text = records.get(connection, records.CRM, crm)
    return str(json.loads(text).get("cursor", "")) if text else ""


def ids(connection: sqlite3.Connection, crm: str) -> tuple[frozenset[str], frozenset[str]]:
    """The remote ids of the accounts and of the contacts that are mirrored."""
    keys = records.keys(connection, records.TOLD)
    found = []
    for kind in (ACCOUNT, CONTACT):
        start = told_key(crm, kind, "")
        names = (key.removeprefix(start) for key in keys if key.startswith(start))
        found.append(frozenset(name for name in names if not name.startswith(OWN_ADDRESSES)))
    return found[0], found[1]


def take(connection: sqlite3.Connection, crm: str, page: CrmPage) -> int:
    """Take over a page together with its cursor; how many records differ."""
    return records.write(connection, 0, _Page(connection, crm, page).wanted())


def forget(connection: sqlite3.Connection, crm: str) -> None:
    """Forget how far the CRM was heard: the next round reads everything again, and doubles nothing."""
    records.write(connection, 0, {(records.CRM, crm): json.dumps({"place": _place(connection, crm)})})


def _place(connection: sqlite3.Connection, crm: str) -> str:
    text = records.get(connection, records.CRM, crm)
    return str(json.loads(text).get("place", "")) if text else ""


def settle(connection: sqlite3.Connection, crm: str, place: str) -> int:
    """Note which place this CRM is: whose rows its ids name. How many records differ.

    Another one than before (another company, another database) has other rows under the same ids: what was mirrored
    from the former stays, as accounts and contacts of our own. What was chosen to be logged was chosen for the former:
    it is not told to another one before it is chosen again.
    """
    before, last = _place(connection, crm), _place(connection, LAST)
    wanted: Wanted = {}
    if before != place:
        wanted = _let_go(connection, crm) if before else {}
        cursor_kept = "" if before else cursor(connection, crm)
        wanted[records.CRM, crm] = json.dumps({"cursor": cursor_kept, "place": place})
    if last != place:
        wanted[records.CRM, LAST] = json.dumps({"place": place})
        wanted |= _choices_over(connection) if last else {}
    return records.write(connection, 0, wanted)


def _choices_over(connection: sqlite3.Connection) -> Wanted:
    """Nothing is chosen to be logged; how much of it would be, stays."""
    said = records.under(connection, records.SETTING, "log:")
    return {
        (records.SETTING, key): json.dumps({**plain, "on": None, "since_ms": 0})
        for key, plain in ((key, json.loads(text)) for key, text in said.items())
        if plain.get("on")
    }


def end_all(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """These CRMs are no longer connected: what they told stays, what waited for them is given up."""
    for name in names:
        records.write(connection, 0, {(records.CONNECTED, name): None})
        connection.execute("UPDATE crm_op SET state = 'cancelled' WHERE crm = ? AND state != 'logged'", (name,))


def _let_go(connection: sqlite3.Connection, crm: str) -> Wanted:
    starts = (f"{crm}:", f"gone:{crm}:")
    wanted: Wanted = {
        (records.TOLD, key): None for key in records.keys(connection, records.TOLD) if key.startswith(starts)
    }
    for key, text in records.of_kind(connection, records.ACCOUNT).items():
        account = cards.text_account(key, text)
        if account.crm == crm:
            wanted[records.ACCOUNT, key] = cards.account_text(replace(account, crm=LOCAL, remote_id=""))
    for key, text in records.of_kind(connection, records.CONTACT).items():
        contact = cards.text_contact(key, text)
        if contact.crm == crm:
            wanted[records.CONTACT, key] = cards.contact_text(replace(contact, crm=LOCAL, remote_id=""))
    return wanted


class _Page:
    """One page on its way into records."""

    def __init__(self, connection: sqlite3.Connection, crm: str, page: CrmPage) -> None:
        self._connection = connection
        self._crm = crm
        self._page = page
        self._wanted: Wanted = {}
        self._told = self._known()
        self._uids = {key: str(kept["uid"]) for key, kept in self._told.items()}

    def wanted(self) -> Wanted:
        """Every record as it shall be."""
        kept = {"cursor": self._page.cursor, "place": _place(self._connection, self._crm)}
        self._wanted[records.CRM, self._crm] = json.dumps(kept)
        for account in self._page.accounts:
            self._account(account)
        for contact in self._page.contacts:
            self._contact(contact.remote_id, _card(contact, self._uid_of(contact.account)))
        for kind, gone in ((ACCOUNT, self._page.gone_accounts), (CONTACT, self._page.gone_contacts)):
            for remote_id in gone:
                self._gone(kind, remote_id)
        return self._wanted

    def _known(self) -> dict[str, dict[str, Any]]:
        """What the CRM said before of every row this page is about, and of the accounts its contacts belong to."""
        page = self._page
        accounts = [*(one.remote_id for one in page.accounts), *page.gone_accounts]
        contacts = [*(one.remote_id for one in page.contacts), *page.gone_contacts]
        contacts += [OWN_ADDRESSES + one for one in accounts]
        named = [one.account for one in page.contacts if one.account]
        keys = [told_key(self._crm, ACCOUNT, one) for one in (*accounts, *named)]
        keys += [told_key(self._crm, CONTACT, one) for one in contacts]
        keys += [_gone_key(key) for key in keys]
        found = records.many(self._connection, records.TOLD, dict.fromkeys(keys))
        return {key: json.loads(text) for key, text in found.items()}

    def _uid_of(self, remote_account: str) -> str:
        """Our account for one of the CRM's, '' where there is none (yet)."""
        uid = self._uids.get(told_key(self._crm, ACCOUNT, remote_account), "") if remote_account else ""
        return directory.resolve(self._connection, uid) if uid else ""

    def _account(self, remote: RemoteAccount) -> None:
        said = _account_said(remote)
        key = told_key(self._crm, ACCOUNT, remote.remote_id)
        before, revived = self._told.get(key), self._told.get(_gone_key(key))
        uid = str((before or revived or {}).get("uid", "")) or self._adopted_account(remote.remote_id)
        here = self._account_here(directory.resolve(self._connection, uid)) if uid else None
        uid = here.id if here else uid or cards.new_id()
        self._note(key, uid, said)
        if here is None and before is not None:
            return  # the user took it out here; it stays out
        fresh = Account(uid, crm=self._crm, remote_id=remote.remote_id, **_tuples(said))
        kept = fresh if here is None else _merged(here, fresh, (before or {}).get("said", {}), _ACCOUNT_FIELDS)
        if here is not None and here.crm not in (LOCAL, self._crm):
            kept = replace(kept, crm=here.crm, remote_id=here.remote_id)
        self._wanted[records.ACCOUNT, uid] = cards.account_text(kept)
        own = OWN_ADDRESSES + remote.remote_id
        if remote.addresses or told_key(self._crm, CONTACT, own) in self._told:
            self._contact(own, Contact("", uid, remote.name, remote.addresses))

    def _contact(self, remote_id: str, said: Contact) -> None:
        key = told_key(self._crm, CONTACT, remote_id)
        before, revived = self._told.get(key), self._told.get(_gone_key(key))
        uid = str((before or revived or {}).get("uid", "")) or self._adopted_contact(remote_id, said)
        here = self._contact_here(uid) if uid else None
        uid = uid or cards.new_id()
        plain = {name: getattr(said, name) for name in _CONTACT_FIELDS}
        self._note(key, uid, plain)
        if here is None and before is not None:
            return
        fresh = replace(said, id=uid, crm=self._crm, remote_id="" if remote_id.startswith(OWN_ADDRESSES) else remote_id)
        kept = fresh if here is None else _merged(here, fresh, (before or {}).get("said", {}), _CONTACT_FIELDS)
        if not (kept.name or kept.addresses):
            return
        self._wanted[records.CONTACT, uid] = cards.contact_text(kept)

    def _note(self, key: str, uid: str, said: Mapping[str, Any]) -> None:
        self._uids[key] = uid
        self._wanted[records.TOLD, key] = json.dumps({"uid": uid, "said": said}, ensure_ascii=False)
        if _gone_key(key) in self._told:
            self._wanted[records.TOLD, _gone_key(key)] = None

    def _gone(self, kind: str, remote_id: str) -> None:
        """The CRM no longer has it: out, unless the user has changed it."""
        key = told_key(self._crm, kind, remote_id)
        before = self._told.get(key)
        if before is None or (records.TOLD, key) in self._wanted:
            return
        self._wanted[records.TOLD, key] = None
        self._wanted[records.TOLD, _gone_key(key)] = json.dumps({"uid": before["uid"], "said": {}})
        uid = str(before["uid"])
        if kind == CONTACT:
            person = self._contact_here(uid)
            ours = "" if remote_id.startswith(OWN_ADDRESSES) else remote_id
            if person is not None and person.crm == self._crm and person.remote_id == ours:
                same = _is_as_said(person, before["said"], _CONTACT_FIELDS)
                own = replace(person, crm=LOCAL, remote_id="")
                self._wanted[records.CONTACT, uid] = None if same else cards.contact_text(own)
            return
        account = self._account_here(uid)
        if account is not None and account.remote_id == remote_id:
            same = _is_as_said(account, before["said"], _ACCOUNT_FIELDS)
            alone = replace(account, crm=LOCAL, remote_id="")
            self._wanted[records.ACCOUNT, uid] = None if same else cards.account_text(alone)
        if told_key(self._crm, CONTACT, OWN_ADDRESSES + remote_id) in self._told:
            self._gone(CONTACT, OWN_ADDRESSES + remote_id)

    # what is here already

    def _account_here(self, uid: str) -> Account | None:
        text = self._wanted.get((records.ACCOUNT, uid)) or records.get(self._connection, records.ACCOUNT, uid)
        return cards.text_account(uid, text) if text else None

    def _contact_here(self, uid: str) -> Contact | None:
        text = self._wanted.get((records.CONTACT, uid)) or records.get(self._connection, records.CONTACT, uid)
        return cards.text_contact(uid, text) if text else None

    def _adopted_account(self, remote_id: str) -> str:
        """An account of ours that was created in the CRM: it knows its remote id before the CRM tells of it."""
        row = self._connection.execute(
            "SELECT uid FROM account WHERE crm = ? AND remote = ? AND crm != ''", (self._crm, remote_id)
        ).fetchone()
        return str(row[0]) if row else ""

    def _adopted_contact(self, remote_id: str, said: Contact) -> str:
        """A contact of ours that was created in the CRM, or one of the same account with one of these addresses."""
        row = self._connection.execute(  # `crm != ''` is what lets the index be used
            "SELECT uid FROM contact WHERE crm = ? AND remote = ? AND crm != '' AND remote != ''",
            (self._crm, remote_id),
        ).fetchone()
        if row:
            return str(row[0])
        for found in directory.contacts_of(self._connection, said.addresses) if said.addresses else ():
            if found.crm == LOCAL and found.account == said.account:
                return found.id
        return ""


def _gone_key(key: str) -> str:
    return f"gone:{key}"


def _account_said(remote: RemoteAccount) -> dict[str, Any]:
    """An account as it may be kept here: a tax id or domain that is none is left out, not an error."""
    usable = (domains.usable(domain) for domain in remote.domains)
    return {
        "name": clean_line(remote.name, 300) or f"#{remote.remote_id}",
        "domains": [domain for domain in dict.fromkeys(usable) if domain],
        "tax_id": tax.normal(remote.tax_id),
        "website": clean_line(remote.website, 500),
        "phone": clean_line(remote.phone, 100),
        "owner": clean_line(remote.owner, 200),
        "notes": clean_text(remote.notes, 20_000),
        "fields": [[clean_line(name, 100), clean_line(value, 500)] for name, value in remote.fields],
    }


def _tuples(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, in the types of an Account."""
    fields = tuple((name, value) for name, value in said["fields"])
    return {**said, "domains": tuple(said["domains"]), "fields": fields}


def _card(remote: RemoteContact, account: str) -> Contact:
    """A contact as it may be kept here."""
    addresses = (clean_line(one, 320).lower() for one in remote.addresses)
    return Contact(
        "",
        account,
        clean_line(remote.name, 300),
        tuple(dict.fromkeys(one for one in addresses if "@" in one)),
        tuple(clean_line(phone, 100) for phone in remote.phones),
        clean_line(remote.role, 200),
    )


def _plain(value: Any) -> Any:
    """A value as JSON brings it back."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _merged(here: Any, fresh: Any, said: Mapping[str, Any], names: Sequence[str]) -> Any:
    """`here` with the CRM's word for every field that is empty here or as the CRM said before."""
    changed = {
        name: getattr(fresh, name)
        for name in names
        if not getattr(here, name) or (name in said and _plain(getattr(here, name)) == _plain(said[name]))
    }
    return replace(here, **changed, crm=fresh.crm, remote_id=fresh.remote_id)


def _is_as_said(here: Any, said: Mapping[str, Any], names: Iterable[str]) -> bool:
    return all(_plain(getattr(here, name)) == _plain(said.get(name)) for name in names)
