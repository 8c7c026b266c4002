"""The forms of accounts and contacts: their fields, what is wrong with one, what the values make. Pure.

Domains, addresses and phones are lists in one line, set apart by commas; custom fields are lines of "name: value".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from crmmail.crm import domains, tax
from crmmail.crm.model import Account, Contact
from crmmail.i18n import _
from crmmail.mail import addresses
from crmmail.mail.text import clean_line, clean_text
from crmmail.tui.form import Field, Values

_APART = re.compile(r"[,;\s]+")
_PHONES = re.compile(r"[,;]+")


def parts(text: str) -> tuple[str, ...]:
    """The items of a list in one line, each once."""
    return tuple(dict.fromkeys(part for part in _APART.split(text.strip()) if part))


def name_problem(text: str) -> str:
    """An account needs a name."""
    return "" if text.strip() else _("A name is needed.")


def domains_problem(text: str) -> str:
    """Domains must be some, and of nobody else."""
    for part in parts(text):
        if not domains.normal(part):
            return _("“{text}” is not a domain.").format(text=clean_line(part, 40))
        if not domains.usable(part):
            return _("Anybody may have an address at {domain}: it names no customer.").format(domain=part)
    return ""


def tax_problem(text: str) -> str:
    """A tax id must be a valid CNPJ or CPF; nothing is said of one that is still being typed."""
    plain = tax.compact(text)
    if not plain or tax.normal(text):
        return ""
    if len(plain) < 11:
        return _("A CPF has 11 digits, a CNPJ 14.")
    return _("That is no valid CNPJ or CPF: a digit is wrong.")


def addresses_problem(text: str) -> str:
    """Every address must be one."""
    for part in parts(text):
        if not addresses.addr_spec(part):
            return _("“{text}” is not a valid address.").format(text=clean_line(part, 60))
    return ""


def fields_problem(text: str) -> str:
    """Custom fields are lines of "name: value"."""
    for line in text.splitlines():
        if line.strip() and not line.partition(":")[0].strip():
            return _("Write each field as: name: value")
        if line.strip() and ":" not in line:
            return _("Write each field as: name: value")
    return ""


def account_fields(account: Account) -> list[Field]:
    """The form of an account."""
    own = "\n".join(f"{name}: {value}" for name, value in account.fields)
    return [
        Field("name", _("Name"), account.name, problem=name_problem),
        Field("domains", _("Domains"), ", ".join(account.domains), "acme.example", problem=domains_problem),
        Field("tax_id", "CNPJ / CPF", tax.shown(account.tax_id), "12.345.678/0001-95", problem=tax_problem),
        Field("website", _("Website"), account.website),
        Field("phone", _("Phone"), account.phone),
        Field("owner", _("Owner"), account.owner),
        Field("notes", _("Notes"), account.notes, lines=3),
        Field("fields", _("More"), own, _("name: value"), lines=2, problem=fields_problem),
    ]


def account_of(values: Values, account: Account) -> Account:
    """`account` with what the form says."""
    own = [line.partition(":") for line in values["fields"].splitlines() if line.strip()]
    return replace(
        account,
        name=clean_line(values["name"]).strip(),
        domains=tuple(dict.fromkeys(domains.normal(part) for part in parts(values["domains"]))),
        tax_id=tax.normal(values["tax_id"]),
        website=clean_line(values["website"]).strip(),
        phone=clean_line(values["phone"]).strip(),
        owner=clean_line(values["owner"]).strip(),
        notes=clean_text(values["notes"]).strip(),
        fields=tuple((clean_line(name).strip(), clean_line(value).strip()) for name, _colon, value in own),
    )


def contact_fields(contact: Contact) -> list[Field]:
    """The form of a contact."""
    return [
        Field("name", _("Name"), contact.name),
        Field("addresses", _("Addresses"), ", ".join(contact.addresses), problem=addresses_problem),
        Field("phones", _("Phones"), ", ".join(contact.phones)),
        Field("role", _("Role"), contact.role),
    ]


def contact_whole(values: Values) -> str:
    """A contact needs a name or an address."""
    return "" if values["name"].strip() or values["addresses"].strip() else _("A name or an address is needed.")


def contact_of(values: Values, contact: Contact) -> Contact:
    """`contact` with what the form says."""
    phones = (clean_line(part).strip() for part in _PHONES.split(values["phones"]))
    return replace(
        contact,
        name=clean_line(values["name"]).strip(),
        addresses=tuple(dict.fromkeys(part.lower() for part in parts(values["addresses"]))),
        phones=tuple(dict.fromkeys(phone for phone in phones if phone)),
        role=clean_line(values["role"]).strip(),
    )


def same_named(account: Account, others: Sequence[Account]) -> Account | None:
    """The one of `others` that looks like the same customer: tax id, domain, or name."""
    name = account.name.casefold()
    for other in others:
        if other.id == account.id:
            continue
        same_tax = bool(account.tax_id) and account.tax_id == other.tax_id
        if same_tax or set(account.domains) & set(other.domains) or other.name.casefold() == name:
            return other
    return None
