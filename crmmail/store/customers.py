"""The store's door for accounts and contacts. `Store` inherits it.

Whatever changes here is an act of the journal: undo and redo work, an import of 50,000 rows included.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from crmmail.crm import domains, tax
from crmmail.crm.model import Account, AccountRow, Contact
from crmmail.errors import SettingsError
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.mail.text import clean_line, clean_text
from crmmail.model import Act, Change
from crmmail.store import cards, diary, directory, following, records, rematch
from crmmail.store.writing import Writing


class Customers(Writing):
    """Every method is safe from any thread; what writes is on the disk when it returns."""

    _pace: rematch.Pace

    # reading

    def accounts(self, text: str = "", offset: int = 0, limit: int = 100) -> list[AccountRow]:
        """The accounts that all words of `text` begin a word of (name, domain, address, tax id, person), by name."""
        return self._read(lambda connection: directory.rows(connection, text, offset, limit))

    def account_count(self, text: str = "") -> int:
        """How many accounts `text` finds."""
        return self._read(lambda connection: directory.count(connection, text))

    def account(self, uid: str) -> Account | None:
        """The account of this id, or the one it was merged into."""
        return self._read(lambda connection: directory.account(connection, uid))

    def contacts(self, account: str) -> list[Contact]:
        """The contacts of an account, by name."""
        return self._read(lambda connection: directory.contacts(connection, account))

    def contact(self, uid: str) -> Contact | None:
        """The contact of this id."""
        return self._read(lambda connection: directory.contact(connection, uid))

    def contact_of(self, address: str) -> Contact | None:
        """Who writes from this address; None for nobody, or when several accounts claim it."""
        found = self.who_writes([address]).get(address, [])
        return found[0] if len({one.account for one in found}) == 1 else None

    def who_writes(self, addresses: Iterable[str]) -> dict[str, list[Contact]]:
        """Address → the contacts who write from it, however it is spelt; without those that are nobody's."""
        wanted = list(addresses)
        return self._read(lambda connection: directory.who_writes(connection, wanted))

    def accounts_known_by(self, key: str) -> list[str]:
        """The accounts an address, or an @ and a domain, stands for."""
        query = "SELECT DISTINCT account FROM handle WHERE key = ? AND account != '' ORDER BY account"
        return [row[0] for row in self._read(lambda connection: connection.execute(query, (key.lower(),)).fetchall())]

    # writing

    def save_account(self, account: Account) -> Account:
        """Create (`id` '') or change an account; the account as it is kept.

        Raises SettingsError for one without a name, with a tax id whose check digits are wrong, or with a domain
        that cannot tell a company (free mail, a public suffix).
        """
        kept = checked_account(account)
        kind = records.SAVE_ACCOUNT if account.id else records.CREATE_ACCOUNT
        self._records_deed(kind, 1, kept.name, {(records.ACCOUNT, kept.id): cards.account_text(kept)})
        return kept

    def save_contact(self, contact: Contact) -> Contact:
        """Create (`id` '') or change a contact; the contact as it is kept. Raises SettingsError for a bad address."""
        kept = checked_contact(contact)
        title = kept.name or kept.addresses[0]
        kind = records.SAVE_CONTACT if contact.id else records.CREATE_CONTACT
        self._records_deed(kind, 1, title, {(records.CONTACT, kept.id): cards.contact_text(kept)})
        return kept

    def remove_account(self, uid: str) -> Act | None:
        """Take an account and its contacts out; mail bound to it is bound anew. None when it is not there."""
        found = self.account(uid)
        if found is None:
            return None
        wanted: dict[records.Key, str | None] = {(records.ACCOUNT, found.id): None}
        wanted |= {(records.CONTACT, one.id): None for one in self.contacts(found.id)}
        wanted |= self._read(lambda connection: diary.moved(connection, [found.id], ""))
        return self._records_deed(records.REMOVE_ACCOUNT, 1, found.name, wanted)

    def remove_contact(self, uid: str) -> Act | None:
        """Take a contact out. None when it is not there."""
        found = self.contact(uid)
        if found is None:
            return None
        return self._records_deed(records.REMOVE_CONTACT, 1, found.name, {(records.CONTACT, uid): None})

    def merge_accounts(self, keep: str, others: Sequence[str]) -> Act | None:
        """Make one account of several: contacts, domains, fields and every link of `others` go to `keep`.

        Nothing that `keep` says is overwritten. None when there is nothing to merge.
        """
        into = self.account(keep)
        rest = [found for found in map(self.account, others) if found is not None and into and found.id != into.id]
        if into is None or not rest:
            return None
        wanted: dict[records.Key, str | None] = {}
        for other in {found.id: found for found in rest}.values():
            into = merged(into, other)
            wanted[records.ACCOUNT, other.id] = None
            wanted[records.ALIAS, other.id] = into.id
            for one in self.contacts(other.id):
                wanted[records.CONTACT, one.id] = cards.contact_text(replace(one, account=into.id))
        wanted[records.ACCOUNT, into.id] = cards.account_text(into)
        gone = [found.id for found in rest]
        wanted |= self._read(lambda connection: diary.moved(connection, gone, into.id))
        return self._records_deed(records.MERGE_ACCOUNTS, len(rest) + 1, into.name, wanted)

    def _records_deed(self, kind: str, count: int, title: str, wanted: Mapping[records.Key, str | None]) -> Act | None:
        """Write records as one act, derive what follows from it. None when nothing differs."""
        with self._writing():
            act = self._commit(lambda connection: _recorded(connection, kind, count, title, self._now_ms(), wanted))
            fault("store.records")
            if act is not None:
                self._derive()
        return act

    def _derive(self) -> None:
        """Let the directory follow the desk."""
        self._gather(self._commit(following.take_over))
        fault("store.derived")
        if self._read(rematch.progress).total <= rematch.STEP:  # little mail: at once
            while (change := self._commit(rematch.step)) is not None:
                self._gather(change)

    def _tell_turned(self, act: Act) -> None:
        """After undo or redo: the directory follows the records."""
        super()._tell_turned(act)
        if act.kind in records.KINDS:
            self._gather(Change(crm=True))  # what is left of a large one goes on in the background
            self._derive()


def _recorded(
    connection: sqlite3.Connection,
    kind: str,
    count: int,
    title: str,
    now_ms: int,
    wanted: Mapping[records.Key, str | None],
) -> Act | None:
    if not records.differ(connection, wanted):
        return None
    act = records.begin(connection, kind, count, title, now_ms)
    records.write(connection, act.id, wanted)
    return act


def checked_account(account: Account) -> Account:
    """An account as it may be kept: cleaned, its domains and tax id in normal form. Raises SettingsError."""
    name = clean_line(account.name).strip()
    if not name:
        raise SettingsError(_("An account needs a name."), next_step=_("Type its name."))
    found = []
    for told in account.domains:
        domain = domains.usable(told)
        if not domain:
            raise SettingsError(
                _("{domain} cannot tell whose mail it is: it is no domain, or one that many share.").format(
                    domain=clean_line(told)
                ),
                next_step=_("Leave it out, and name the addresses as contacts instead."),
            )
        found.append(domain)
    tax_id = tax.normal(account.tax_id)
    if account.tax_id.strip() and not tax_id:
        raise SettingsError(
            _("{number} is no valid CNPJ or CPF.").format(number=clean_line(account.tax_id)),
            next_step=_("Check its digits, or leave it empty."),
        )
    return replace(
        account,
        id=account.id or cards.new_id(),
        name=name,
        domains=tuple(dict.fromkeys(found)),
        tax_id=tax_id,
        website=clean_line(account.website).strip(),
        phone=clean_line(account.phone).strip(),
        owner=clean_line(account.owner).strip(),
        notes=clean_text(account.notes),
        fields=tuple((clean_line(key), clean_line(value)) for key, value in account.fields),
    )


def checked_contact(contact: Contact) -> Contact:
    """A contact as it may be kept. Raises SettingsError for an address that is none, or for nothing at all."""
    from crmmail.mail import addresses

    found = []
    for told in contact.addresses:
        parsed = addresses.parse_one(told.encode("utf-8", "replace"))
        if not parsed.email or parsed.name:
            raise SettingsError(
                _("{address} is not an e-mail address.").format(address=clean_line(told)),
                next_step=_("Write it like name@company.example."),
            )
        found.append(parsed.email.lower())
    name = clean_line(contact.name).strip()
    if not name and not found:
        raise SettingsError(_("A contact needs a name or an address."), next_step=_("Type one of them."))
    return replace(
        contact,
        id=contact.id or cards.new_id(),
        name=name,
        addresses=tuple(dict.fromkeys(found)),
        phones=tuple(clean_line(phone).strip() for phone in contact.phones if phone.strip()),
        role=clean_line(contact.role).strip(),
    )


def merged(into: Account, other: Account) -> Account:
    """`into` with what only `other` says."""
    gained = {
        name: getattr(into, name) or getattr(other, name)
        for name in ("tax_id", "website", "phone", "owner", "visibility")
    }
    if not into.crm:
        gained |= {"crm": other.crm, "remote_id": other.remote_id}
    known = dict(into.fields)
    return replace(
        into,
        **gained,
        domains=tuple(dict.fromkeys((*into.domains, *other.domains))),
        notes="\n\n".join(dict.fromkeys(filter(None, (into.notes, other.notes)))),
        fields=into.fields + tuple(item for item in other.fields if item[0] not in known),
    )
