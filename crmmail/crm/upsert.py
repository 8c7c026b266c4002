"""Rows of a file into accounts and contacts that are there already, or new. Pure.

Who a row speaks of is found by its e-mail, then its domain or tax id, then its name without case, accents and legal
form. What the row says wins over what is there; what it leaves empty stays; lists grow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from crmmail.crm import columns, domains
from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row

_FORMS = (
    "ltda me epp eireli sa mei cia s a inc llc ltd limited corp corporation co company gmbh ag kg bv nv sl srl spa "
    "sarl sas plc oy ab as aps"
)
_LEGAL = frozenset(_FORMS.split())
_WORD = re.compile(r"\w+")


def normal_name(name: str) -> str:
    """A name to compare by: without case, accents, punctuation and legal form."""
    words = _WORD.findall(columns.folded(name))
    while len(words) > 1 and words[-1] in _LEGAL:
        words.pop()
    return " ".join(words)


@dataclass(slots=True)
class Known:
    """What is there, by what it is found by; `account` and `contact` fetch a record. Grows with what is added."""

    account: Callable[[str], Account | None]
    contact: Callable[[str], Contact | None]
    by_email: dict[str, str] = field(default_factory=dict)  # → contact
    by_domain: dict[str, str] = field(default_factory=dict)  # → account
    by_tax_id: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What an import does, or would do."""

    rows: int = 0
    accounts_new: int = 0
    accounts_changed: int = 0
    contacts_new: int = 0
    contacts_changed: int = 0
    unchanged: int = 0


class Upsert:
    """Takes rows one by one. `accounts` and `contacts` hold what is to be written; the caller may empty them."""

    def __init__(self, known: Known, new_id: Callable[[], str]) -> None:
        self._known = known
        self._new_id = new_id
        self._fresh: set[str] = set()
        self.accounts: dict[str, Account] = {}
        self.contacts: dict[str, Contact] = {}
        self.tally = Tally()

    def take(self, row: Row) -> None:
        """Find whom a row speaks of, or make them, and note what changes."""
        self.tally.rows += 1
        before = (
            self.tally.accounts_new,
            self.tally.accounts_changed,
            self.tally.contacts_new,
            self.tally.contacts_changed,
        )
        person = self._person(row.contact) if row.contact else None
        account = self._account(row, person)
        if row.contact is not None:
            self._take_contact(row.contact, person, account)
        after = (
            self.tally.accounts_new,
            self.tally.accounts_changed,
            self.tally.contacts_new,
            self.tally.contacts_changed,
        )
        self.tally.unchanged += before == after

    def _person(self, told: Contact) -> Contact | None:
        for email in told.addresses:
            found = self._known.by_email.get(email)
            if found is not None and (person := self.contacts.get(found) or self._known.contact(found)) is not None:
                return person
        return None

    def _account(self, row: Row, person: Contact | None) -> str:
        """The account of a row, written when it changes; '' for none."""
        found = self._find(row, person)
        if row.account is None:
            return found
        kept = (self.accounts.get(found) or self._known.account(found)) if found else None
        account = replace(row.account, id=self._new_id()) if kept is None else _updated(kept, row.account)
        if kept is None:
            self.tally.accounts_new += 1
            self._fresh.add(account.id)
        elif account != kept and account.id not in self._fresh:
            self.tally.accounts_changed += account.id not in self.accounts
        if account != kept:
            self.accounts[account.id] = account
            self._learn(account)
        return account.id

    def _find(self, row: Row, person: Contact | None) -> str:
        known, told = self._known, row.account
        if told is None:
            hosts = [domains.of_address(email) for email in row.contact.addresses] if row.contact else []
            named = person.account if person else ""
            return named or _by_domain(known.by_domain, [host for host in hosts if not domains.is_shared(host)])
        name = normal_name(told.name)
        if person is not None and person.account:
            kept = self.accounts.get(person.account) or known.account(person.account)
            if kept is not None and normal_name(kept.name) == name:
                return kept.id
        site = domains.usable(domains.of_website(told.website))
        return (
            known.by_tax_id.get(told.tax_id, "")
            or _by_domain(known.by_domain, [*told.domains, *([site] if site else [])])
            or known.by_name.get(name, "")
        )

    def _learn(self, account: Account) -> None:
        site = domains.usable(domains.of_website(account.website)) if not account.domains else ""
        for domain in (*account.domains, *([site] if site else [])):
            self._known.by_domain.setdefault(domain, account.id)
        if account.tax_id:
            self._known.by_tax_id.setdefault(account.tax_id, account.id)
        self._known.by_name.setdefault(normal_name(account.name), account.id)

    def _take_contact(self, told: Contact, person: Contact | None, account: str) -> None:
        if person is None:
            person = self._namesake(told, account)
        kept = person
        contact = (
            replace(told, id=self._new_id(), account=account)
            if kept is None
            else replace(
                kept,
                account=account or kept.account,
                name=told.name or kept.name,
                addresses=tuple(dict.fromkeys((*kept.addresses, *told.addresses))),
                phones=tuple(dict.fromkeys((*kept.phones, *told.phones))),
                role=told.role or kept.role,
            )
        )
        if contact == kept:
            return
        if kept is None:
            self.tally.contacts_new += 1
            self._fresh.add(contact.id)
        elif contact.id not in self._fresh:
            self.tally.contacts_changed += contact.id not in self.contacts
        self.contacts[contact.id] = contact
        for email in contact.addresses:
            self._known.by_email.setdefault(email, contact.id)
        if not contact.addresses:
            self._known.by_name.setdefault(f"{account}\n{normal_name(contact.name)}", contact.id)

    def _namesake(self, told: Contact, account: str) -> Contact | None:
        """A person without an address is the same when the account and the name are."""
        if told.addresses:
            return None
        found = self._known.by_name.get(f"{account}\n{normal_name(told.name)}", "")
        return (self.contacts.get(found) or self._known.contact(found)) if found else None


def _by_domain(known: Mapping[str, str], hosts: list[str]) -> str:
    """The account of one of these domains, or of one above it."""
    return next((known[one] for host in hosts for one in domains.parents(host) if one in known), "")


def _updated(kept: Account, told: Account) -> Account:
    told_fields = dict(told.fields)
    return replace(
        kept,
        domains=tuple(dict.fromkeys((*kept.domains, *told.domains))),
        tax_id=told.tax_id or kept.tax_id,
        website=told.website or kept.website,
        phone=told.phone or kept.phone,
        owner=told.owner or kept.owner,
        notes=told.notes or kept.notes,
        fields=tuple(item for item in kept.fields if item[0] not in told_fields) + told.fields,
    )
