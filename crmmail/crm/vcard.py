"""vCards (RFC 2426 and 6350), in and out: a person with the company of ORG; a company by KIND:org or its own ORG."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crmmail.crm import rows
from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row, Skipped
from crmmail.errors import SettingsError
from crmmail.i18n import _

LARGEST = 100_000_000  # bytes
LONGEST_CARD = 200_000  # characters: a photo is left out line by line before this counts
_FIELD = re.compile(r"(?:[\w-]+\.)?([\w-]+)((?:;[^:]*?)?):(.*)\Z", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_COMPONENT = re.compile(r"(?<!\\);")
_LEFT_OUT = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})


def read(path: Path) -> Iterator[Row | Skipped]:
    """The cards of a file, each by itself; numbered from 1. Raises SettingsError when it holds none."""
    number = 0
    for card in _cards(path):
        number += 1
        if isinstance(card, str):
            yield Skipped(number, card)
            continue
        yield from _row(number, card)
    if not number:
        raise SettingsError(
            _("{file} holds no vCard.").format(file=path.name), next_step=_("Export the contacts as vCard or CSV.")
        )


_Fields = list[tuple[str, str]]


def _cards(path: Path) -> Iterator[_Fields | str]:
    """The fields of each card, or why it cannot be read."""
    card: _Fields | None = None
    size = 0
    for name, value in _fields(path):
        if name == "BEGIN" and value.strip().upper() == "VCARD":
            if card is not None:
                yield _("it has no end")
            card, size = [], 0
        elif card is None:
            continue
        elif name == "END":
            yield card if size <= LONGEST_CARD else _("it is too long")
            card = None
        elif name not in _LEFT_OUT:
            size += len(value)
            if size <= LONGEST_CARD:
                card.append((name, value))
    if card is not None:
        yield _("it has no end")


def _fields(path: Path) -> Iterator[tuple[str, str]]:
    for logical in _unfolded(path):
        found = _FIELD.match(logical)
        if found is None:
            continue
        name, parameters, value = found[1].upper(), found[2].upper(), found[3]
        if "QUOTED-PRINTABLE" in parameters:
            value = quopri.decodestring(value.encode("utf-8", "replace")).decode("utf-8", "replace")
        if name == "BEGIN" or name == "END" or value:
            yield name, value


def _unfolded(path: Path) -> Iterator[str]:
    """Logical lines; a continuation beyond any sense is dropped."""
    try:
        if path.stat().st_size > LARGEST:
            raise SettingsError(
                _("{file} holds {size} MB; more than {most} MB are not imported at once.").format(
                    file=path.name, size=path.stat().st_size // 1_000_000, most=LARGEST // 1_000_000
                ),
                next_step=_("Split it into smaller files."),
            )
        with path.open(encoding="utf-8-sig", errors="replace", newline=None) as file:
            held = ""
            for line in file:
                plain = line.rstrip("\n")
                if plain[:1] in (" ", "\t") or (held.endswith("=") and "QUOTED-PRINTABLE" in held.upper()):
                    if len(held) < LONGEST_CARD:
                        held = (held.removesuffix("=") if plain[:1] not in (" ", "\t") else held) + plain.lstrip(" \t")
                    continue
                if held:
                    yield held
                held = plain
            if held:
                yield held
    except OSError as error:
        raise SettingsError(
            _("{file} cannot be read: {why}.").format(file=path.name, why=error.strerror or type(error).__name__),
            next_step=_("Check its name and whether you may read it."),
        ) from error


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def _row(number: int, fields: _Fields) -> Iterator[Row | Skipped]:
    def first(name: str) -> str:
        return next((value for found, value in fields if found == name), "")

    def every(name: str) -> list[str]:
        return [_plain(value) for found, value in fields if found == name]

    parts = [_plain(part) for part in _COMPONENT.split(first("N"))]
    name = rows.line(_plain(first("FN"))) or rows.line(" ".join(reversed(parts[:2])))
    company = rows.line(_plain(_COMPONENT.split(first("ORG"))[0]))
    emails, wrong = rows.addresses(" ".join(value.removeprefix("mailto:") for value in every("EMAIL")))
    phones = rows.phones(value.removeprefix("tel:") for value in every("TEL"))
    is_company = first("KIND").strip().lower() == "org" or (bool(company) and name == company)
    account = None
    if company or is_company:
        website, notes = (first("URL"), first("NOTE")) if is_company else ("", "")
        account = Account(
            "", company or name, website=rows.line(_plain(website)), notes=rows.notes(_plain(notes)),
            phone="; ".join(phones) if is_company else "",
        )  # fmt: skip
    contact = None
    if not is_company and (name or emails):
        contact = Contact("", "", name, emails, phones, rows.line(_plain(first("TITLE"))))
    elif is_company and emails:
        contact = Contact("", "", account.name if account else name, emails)
    if (account is None and contact is None) or (account is not None and not account.name):
        yield Skipped(number, _("it names nobody"))
        return
    yield Row(number, account, contact)
    for text in wrong:
        yield Skipped(number, _("{text} is no e-mail address").format(text=text))


# out


def write(accounts: Iterable[tuple[Account, Sequence[Contact]]]) -> Iterator[str]:
    """vCard 3.0, which everything reads: a card for each account, and one for each contact."""
    for account, people in accounts:
        if account.name:
            yield _card(
                ("FN", account.name), ("N", ""), ("ORG", account.name), ("TEL", account.phone),
                ("URL", account.website), ("NOTE", account.notes),
            )  # fmt: skip
        for one in people:
            yield _card(
                ("FN", one.name or one.addresses[0]), ("N", one.name), ("ORG", account.name),
                *(("EMAIL;TYPE=INTERNET", address) for address in one.addresses),
                *(("TEL", phone) for phone in one.phones), ("TITLE", one.role),
            )  # fmt: skip


def _card(*fields: tuple[str, str]) -> str:
    lines = ["BEGIN:VCARD", "VERSION:3.0"]
    lines += [
        f"{name}:{_escaped(value)}{';;;;' if name == 'N' else ''}" for name, value in fields if value or name == "N"
    ]
    return "\r\n".join([*(_folded(line) for line in lines), "END:VCARD", ""])


def _escaped(value: str) -> str:
    plain = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return plain.replace("\r\n", "\n").replace("\n", "\\n")


def _folded(line: str) -> str:
    """Lines of at most 75 octets, never cut within a character."""
    parts: list[str] = []
    held = ""
    for letter in line:
        if len((held + letter).encode()) > (75 if not parts else 74):
            parts.append(held)
            held = ""
        held += letter
    return "\r\n ".join([*parts, held])
