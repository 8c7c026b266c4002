"""What a file of accounts and contacts says, row by row, whatever it is written in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from crmmail.crm import domains, tax
from crmmail.crm.model import Account, Contact
from crmmail.mail.text import clean_line, clean_text

LONGEST = 500  # characters of a value of one line
MANY = 50  # values of one cell
_SEPARATED = re.compile(r"[;,\s|]+")
_ADDRESS = re.compile(r"[^\s@<>()\[\]\"',;:]{1,128}@[^\s@<>()\[\]\"',;:]{1,250}\Z")
_GUARD = re.compile(r"'(?=[=+\-@\t\r])")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the account and the person it speaks of, not linked yet. `number` counts from 1, the header included."""

    number: int
    account: Account | None = None
    contact: Contact | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row, or a value of it, that was not taken over, and why."""

    number: int
    why: str


def line(text: str) -> str:
    """A value as it may be kept: one clean line, without the guard an export puts before a formula."""
    return clean_line(_GUARD.sub("", text.strip(), count=1), LONGEST).strip()


def notes(text: str) -> str:
    """Several lines, clean."""
    return clean_text(text, 20_000).strip()


def addresses(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the addresses in a cell, what in it is none)."""
    parts = [part.strip("<>'\"").lower() for part in _SEPARATED.split(line(text)) if part][:MANY]
    good = [part for part in parts if _is_address(part)]
    return tuple(dict.fromkeys(good)), tuple(part for part in parts if not _is_address(part))


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.match(text)) and bool(domains.of_address(text))


def phones(texts: Iterable[str]) -> tuple[str, ...]:
    """The phones in some cells."""
    found = (part.strip() for text in texts for part in line(text).split(";"))
    return tuple(dict.fromkeys(part for part in found if part))[:MANY]


def told_domains(*cells: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the domains in cells that name a company, what tells none)."""
    good: list[str] = []
    bad: list[str] = []
    for part in (part for cell in cells for part in _SEPARATED.split(line(cell)) if part):
        host = domains.of_website(part) if "/" in part else domains.normal(part)
        found = domains.usable(host) if host else ""
        (good if found else bad).append(found or part)
    return tuple(dict.fromkeys(good)), tuple(bad)


def tax_id(text: str) -> tuple[str, str]:
    """(a valid CNPJ or CPF, what was no valid one)."""
    plain = line(text)
    found = tax.normal(plain)
    return found, "" if found or not plain else plain
