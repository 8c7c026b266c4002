"""Recipients as people type and paste them: commas, semicolons, lines, names with or without brackets."""

from __future__ import annotations

import re

from crmmail.mail import addresses
from crmmail.mail.text import clean_line
from crmmail.model import Address

PASTE_LIMIT = 200_000  # characters
RECIPIENTS_LIMIT = 2_000

_LINES = re.compile(r"[\r\n\v\f\x85\u2028\u2029]+")
_BARE = re.compile(r"[\s,;]+")


def parse_recipients(text: str) -> list[Address]:
    """The persons in `text`, each address once. What is no valid address has `email` '' and keeps what was typed."""
    found: dict[str, Address] = {}
    for line in _LINES.split(text[:PASTE_LIMIT]):
        for person in _of_line(line.replace("\t", " ").strip(" ,;")):
            found.setdefault(person.email.casefold() or f"\n{person.name}", person)
            if len(found) >= RECIPIENTS_LIMIT:
                return list(found.values())
    return list(found.values())


def _of_line(line: str) -> list[Address]:
    """One pasted line. Without a bracket or a quote, spaces between addresses count as commas."""
    if not line:
        return []
    if not re.search(r'[<>"(]', line) and line.count("@") > 1:
        words = [word for word in _BARE.split(line) if word]
        emails = [addresses.addr_spec(word) for word in words]
        if all(emails):
            return [_as_typed(Address("", email)) for email in emails]
    people = [_as_typed(person) for person in addresses.parse(line.encode("utf-8", "replace"), RECIPIENTS_LIMIT)]
    found = [person for person in people if person.email or person.name]
    shown = "" if found else clean_line(line)  # a lone quote names nobody, and is not lost either
    return [Address(shown, "")] if shown else found


def _as_typed(person: Address) -> Address:
    """`person` with an ASCII address, or as invalid: a local part in other letters reaches few servers."""
    if person.email.isascii():
        return person
    shown = f"{person.name} <{person.email}>" if person.name else person.email
    return Address(clean_line(shown), "")


def typed(person: Address) -> str:
    """`person` as it can be typed and pasted again: `parse_recipients` reads it back."""
    if not person.email or not person.name:
        return person.email or person.name
    if re.search(r'[,;:<>()\[\]@"\\]', person.name):
        name = person.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{name}" <{person.email}>'
    return f"{person.name} <{person.email}>"
