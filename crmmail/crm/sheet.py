"""CSV files of accounts and contacts, in and out.

In: separator and encoding are sniffed (Excel in Brazil writes `;` and Windows-1252), columns found by `columns`, a
broken row costs only itself. Out: every cell is guarded against being taken for a formula.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crmmail.crm import columns, rows
from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row, Skipped
from crmmail.errors import SettingsError
from crmmail.i18n import _

LARGEST = 200_000_000  # bytes: the largest CRM takes 150 MB (HubSpot)
SNIFFED = 65_536
SEPARATORS = ",;\t|"
COLUMNS = (
    "Account",
    "Domains",
    "Tax id",
    "Website",
    "Phone",
    "Owner",
    "Notes",
    "Contact",
    "E-mail",
    "Contact phone",
    "Role",
)
_FORMULA = tuple("=+-@\t\r")
_YES = frozenset({"1", "true", "yes", "sim", "t", "y", "x", "verdadeiro"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is written, and what its columns mean."""

    encoding: str
    separator: str
    headers: tuple[str, ...]
    meanings: Mapping[int, str]


def shape(path: Path) -> Shape:
    """What `path` is. Raises SettingsError with a sentence when it is nothing that can be imported."""
    size, beginning = _beginning(path)
    if size > LARGEST:
        raise SettingsError(
            _("{file} holds {size} MB; more than {most} MB are not imported at once.").format(
                file=path.name, size=size // 1_000_000, most=LARGEST // 1_000_000
            ),
            next_step=_("Split it into smaller files."),
        )
    encoding = _encoding(beginning)
    text = beginning.decode(encoding, "replace")
    if "\0" in text or not text.strip():
        raise _other_shape(path, ())
    head = text.lstrip("\ufeff\r\n").split("\n", 1)[0]
    separator = max(SEPARATORS, key=lambda one: (_unquoted(head, one), -SEPARATORS.index(one)))
    headers = tuple(rows.line(cell) for cell in next(csv.reader([head], delimiter=separator), []))
    meanings = columns.meanings(headers)
    if not set(meanings.values()) & {"company", "name", "first", "last", "email"}:
        raise _other_shape(path, headers)
    return Shape(encoding, separator, headers, meanings)


def _beginning(path: Path) -> tuple[int, bytes]:
    try:
        with path.open("rb") as file:
            return path.stat().st_size, file.read(SNIFFED)
    except OSError as error:
        raise SettingsError(
            _("{file} cannot be read: {why}.").format(file=path.name, why=error.strerror or type(error).__name__),
            next_step=_("Check its name and whether you may read it."),
        ) from error


def _other_shape(path: Path, headers: Sequence[str]) -> SettingsError:
    shown = ", ".join(headers)[:200] or "–"
    return SettingsError(
        _("{file} names no account and no contact: its columns are {columns}.").format(file=path.name, columns=shown),
        next_step=_("Its first line must name a column such as Company, Name or E-mail."),
    )


def _encoding(beginning: bytes) -> str:
    if beginning.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning, final=len(beginning) < SNIFFED)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _unquoted(head: str, separator: str) -> int:
    return sum(part.count(separator) for part in head.split('"')[::2])


def read(path: Path, known: Shape) -> Iterator[Row | Skipped]:
    """The rows of a file, each by itself: what of one cannot be used is told as Skipped."""
    with path.open(encoding=known.encoding, errors="replace", newline="") as file:
        reader = csv.reader(_without_nul(file), delimiter=known.separator)
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Skipped(number, _("it cannot be read ({why})").format(why=error))
                continue
            if number == 1 or not any(cell.strip() for cell in cells):
                continue
            yield from _row(number, cells, known.meanings)


def _without_nul(file: Iterable[str]) -> Iterator[str]:
    for line in file:
        yield line.replace("\0", "")


def _row(number: int, cells: Sequence[str], meanings: Mapping[int, str]) -> Iterator[Row | Skipped]:
    told: dict[str, list[str]] = {}
    for place, meaning in meanings.items():
        if place < len(cells) and cells[place].strip():
            told.setdefault(meaning, []).append(cells[place])
    if rows.line(_first(told, "is_company")).lower() in _YES:
        told = _as_company(told)
    emails, wrong = rows.addresses(" ".join(told.get("email", ())))
    account, doubts = _account(told)
    name = rows.line(_first(told, "name")) or rows.line(f"{_first(told, 'first')} {_first(told, 'last')}")
    own, wrong_too = rows.addresses(" ".join(told.get("account_email", ())))
    doubts += [_("{text} is no e-mail address").format(text=text) for text in (*wrong, *wrong_too)]
    contact = None
    if name or emails:
        contact = Contact(
            "", "", name, emails, rows.phones(told.get("contact_phone", ())), rows.line(_first(told, "role"))
        )
    elif own and account is not None:
        contact = Contact("", "", account.name, own)
    if account is None and contact is None:
        yield Skipped(number, "; ".join(doubts) or _("it names nobody"))
        return
    yield Row(number, account, contact)
    for doubt in doubts:
        yield Skipped(number, doubt)


def _first(told: Mapping[str, Sequence[str]], meaning: str) -> str:
    return next(iter(told.get(meaning, ())), "")


def _as_company(told: dict[str, list[str]]) -> dict[str, list[str]]:
    """An Odoo row that is a company: its name is the account's, its address the account's own."""
    moved = {"name": "company", "email": "account_email"}
    return {moved.get(meaning, meaning): cells for meaning, cells in told.items() if meaning != "company"}


def _account(told: Mapping[str, Sequence[str]]) -> tuple[Account | None, list[str]]:
    """The account a row names, and what of it cannot be used."""
    name = rows.line(_first(told, "company")) or rows.line(_first(told, "alias"))
    known, bad = rows.told_domains(*told.get("domain", ()))
    number, wrong = rows.tax_id(_first(told, "tax_id"))
    doubts = [_("{domain} is no domain of a company").format(domain=domain) for domain in bad]
    doubts += [_("{number} is no valid CNPJ or CPF").format(number=wrong)] if wrong else []
    if not name:
        return None, doubts
    account = Account(
        id="",
        name=name,
        domains=known,
        tax_id=number,
        website=rows.line(_first(told, "website")),
        phone="; ".join(rows.phones(told.get("phone", ()))),
        owner=rows.line(_first(told, "owner")),
        notes=rows.notes(_first(told, "notes")),
    )
    return account, doubts


# out


def safe(cell: str) -> str:
    """A cell no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def write(accounts: Iterable[tuple[Account, Sequence[Contact]]]) -> Iterator[str]:
    """Lines of CSV, one for each contact; an account without any has one of its own."""
    yield _line(COLUMNS)
    for account, people in accounts:
        head = (
            account.name, "; ".join(account.domains), account.tax_id, account.website, account.phone, account.owner,
            account.notes,
        )  # fmt: skip
        for one in people or (Contact("", "", ""),):
            yield _line((*head, one.name, "; ".join(one.addresses), "; ".join(one.phones), one.role))


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([safe(cell) for cell in cells])
    return out.getvalue()
