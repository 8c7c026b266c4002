"""One line of the list of accounts, and where its columns are. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from crmmail.crm.model import AccountRow
from crmmail.i18n import _, pgettext
from crmmail.tui import format, words

PARTS = ("bar", "name", "fresh", "domain", "unread", "waiting", "quiet", "head")
Styles = Callable[[str, str], Style]
NUMBER = 9


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; 0 where a column is left out."""

    width: int
    name: int
    domain: int
    tax: int
    total: int


def columns(width: int) -> Columns:
    """The columns of a list `width` cells wide: name, unread and waiting always, the rest as there is room."""
    domain = min(30, width // 4) if width >= 56 else 0
    tax = 20 if width >= 110 else 0
    total = NUMBER if width >= 76 else 0
    taken = 3 + 2 * NUMBER + total + (domain + 2 if domain else 0) + tax
    return Columns(width, max(8, width - taken), domain, tax, total)


def heading(shape: Columns, styles: Styles) -> list[Segment]:
    """What the columns hold."""
    text = "  " + format.cells(_("Account"), shape.name)
    if shape.domain:
        text += "  " + format.cells(_("Domain"), shape.domain)
    if shape.tax:
        text += format.cells(_("Tax id"), shape.tax)
    text += format.right(pgettext("messages", "Unread"), NUMBER) + format.right(_("Waiting"), NUMBER)
    if shape.total:
        text += format.right(_("Mail"), NUMBER)
    return [Segment(format.cells(text, shape.width), styles("head", ""))]


def line(row: AccountRow, shape: Columns, styles: Styles, kind: str, tax_id: str = "") -> list[Segment]:
    """The segments of one row, exactly `shape.width` cells. `tax_id` as it is written."""
    pieces = [
        ("▌ " if kind else "  ", "bar"),
        (format.cells(format.clean(row.name) or _("(no name)"), shape.name), "fresh" if row.unread else "name"),
    ]
    if shape.domain:
        pieces.append(("  " + format.cells(format.clean(row.domain), shape.domain), "domain"))
    if shape.tax:
        pieces.append((format.cells(format.clean(tax_id), shape.tax), "quiet"))
    pieces.append((format.right(_count(row.unread), NUMBER), "unread"))
    pieces.append((format.right(_count(row.waiting), NUMBER), "waiting"))
    if shape.total:
        pieces.append((format.right(_count(row.total), NUMBER), "quiet"))
    pieces.append((" ", "quiet"))
    return [Segment(text, styles(part, kind)) for text, part in pieces]


def _count(number: int) -> str:
    return words.number(number) if number else ""
