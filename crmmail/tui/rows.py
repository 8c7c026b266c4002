"""How a message becomes one painted line of the list: columns from the width, segments from the row. No widget here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from crmmail.i18n import _
from crmmail.model import Row
from crmmail.tui import format

UNREAD, STAR, NO_STAR, MARK, ATTACHED, WAITING = "●", "★", "☆", "✓", "⊕", "↑"
Styles = Callable[[str, str], Style]
"""(part of a line, kind of it) → style. Kinds: '', cursor, blurred, marked."""

PARTS = ("bar", "dot", "star", "sender", "count", "account", "subject", "snippet", "sign", "date", "fresh", "thumb")


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; 0 leaves a column out. `mark` and `star_at` are where the mouse finds them."""

    width: int
    sender: int
    account: int
    rest: int
    date: int
    star: bool

    @property
    def mark_end(self) -> int:
        """Clicks left of this select."""
        return 3

    @property
    def star_end(self) -> int:
        """Clicks from `mark_end` to here toggle the star."""
        return 5 if self.star else 3


def columns(width: int, *, star: bool, account: bool) -> Columns:
    """The columns of a list `width` cells wide."""
    left = 6 if star else 4
    date = 8
    sender = max(10, min(26, width * 24 // 100))
    company = max(10, min(20, width // 8)) if account and width >= 70 else 0
    rest = width - left - sender - 4 - (company + 2 if company else 0) - 5 - date - 1
    return Columns(width, sender, company, max(rest, 4), date, star)


def line(
    row: Row, columns: Columns, styles: Styles, kind: str, *, marked: bool, date: str, stripe: Style | None
) -> list[Segment]:
    """The segments of one row, exactly `columns.width` cells."""

    def part(name: str) -> Style:
        return styles(name, kind)

    who = part("fresh" if row.unread else "sender")
    count = str(min(row.thread_count, 999)) if row.thread_count > 1 else ""
    here = kind in ("cursor", "blurred")
    pieces = [
        ("▌", part("bar")) if here else ("▌", stripe) if stripe else (" ", part("snippet")),
        (MARK if marked else " ", part("dot")),
        (f"{UNREAD} " if row.unread else "  ", part("dot")),
    ]
    if columns.star:
        pieces.append((f"{STAR} " if row.starred else "  ", part("star")))
    pieces.append((format.cells(format.clean(row.sender) or _("(no sender)"), columns.sender), who))
    pieces.append((f"{count:>3} ", part("count")))
    if columns.account:
        pieces.append((format.cells(format.clean(row.account), columns.account) + "  ", part("account")))
    pieces.extend(_words(row, columns.rest, who if row.unread else part("subject"), part("snippet")))
    signs = f" {WAITING if row.pending else ' '} {ATTACHED if row.has_attachments else ' '} "
    pieces.append((signs, part("sign")))
    pieces.append((format.right(date, columns.date) + " ", part("fresh" if row.unread else "date")))
    return _joined(pieces)


def _joined(pieces: list[tuple[str, Style]]) -> list[Segment]:
    """As few segments as possible, for painting costs by the segment: blanks take the style before them."""
    texts = [pieces[0][0]]
    drawn = [pieces[0][1]]
    for text, style in pieces[1:]:
        if style is drawn[-1] or text.isspace():
            texts[-1] += text
        else:
            texts.append(text)
            drawn.append(style)
    return [Segment(text, style) for text, style in zip(texts, drawn, strict=True)]


def _words(row: Row, width: int, subject: Style, snippet: Style) -> list[tuple[str, Style]]:
    """Subject, then as much of the snippet as fits."""
    title = format.clean(row.subject) or _("(no subject)")
    used = format.width(title)
    if used + 6 > width or not row.snippet:
        return [(format.cells(title, width), subject)]
    return [(title + "  ", subject), (format.cells(format.clean(row.snippet), width - used - 2), snippet)]
