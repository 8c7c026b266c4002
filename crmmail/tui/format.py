"""The text gate of the interface: what a widget paints has passed here.

Widths are terminal cells, never characters. Everything is pure, linear, and made for being called per painted row.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells, set_cell_size

from crmmail import i18n
from crmmail.i18n import _, ngettext, pgettext
from crmmail.mail.text import clean_line, clean_text
from crmmail.model import Address

if TYPE_CHECKING:
    from textual.content import Content

ELLIPSIS = "…"
FOLD_LINES = 3  # quotes up to this long stay open: folding them would save nothing

_ATTRIBUTION_ENDS = ("wrote:", "escreveu:", "écrit :", "schrieb:", "escribió:", "scritto:")


def clean(text: str, *, lines: bool = False) -> str:
    """`text` from outside as harmless text: one line, or with `lines` several."""
    return clean_text(text) if lines else clean_line(text)


def content(text: str, *, lines: bool = False) -> Content:
    """`text` cleaned, as Content that shows it character by character: no markup, no link, no action."""
    from textual.content import Content

    return Content(clean(text, lines=lines))


def width(text: str) -> int:
    """Terminal cells that `text`, already clean, takes."""
    return len(text) if text.isascii() else cell_len(text)


def cells(text: str, room: int) -> str:
    """Clean `text` in exactly `room` cells: padded, or cut with '…'. A wide character is never cut in half."""
    taken = width(text)
    if taken > room:
        text = cut(text, room)
        taken = width(text)
    return text + " " * (room - taken)


def cut(text: str, room: int) -> str:
    """Clean `text` in at most `room` cells, '…' where something is left out."""
    if room <= 0:
        return ""
    if width(text) <= room:
        return text
    if text.isascii():
        return text[: room - 1] + ELLIPSIS
    # No character takes less than no cell: what cannot fit is not measured.
    return set_cell_size(_head(text, room - 1), room - 1).rstrip(" ") + ELLIPSIS


def _head(text: str, room: int) -> str:
    """Enough of `text` for `room` cells, zero-width characters allowed for, so that a huge line costs no more."""
    return text[: 4 * room + 16]


def right(text: str, room: int) -> str:
    """Clean `text` at the right end of `room` cells."""
    shown = cut(text, room)
    return " " * (room - width(shown)) + shown


def wrap(text: str, columns: int) -> list[str]:
    """Clean `text` (lines allowed) in lines of at most `columns` cells, broken at spaces where there are any.

    A quoted line keeps its '> ' in front of what is wrapped. Linear in the length of `text`.
    """
    columns = max(columns, 1)
    wrapped: list[str] = []
    for line in text.split("\n"):
        if len(line) <= columns and width(line) <= columns:
            wrapped.append(line)
        else:
            wrapped.extend(_wrapped(line, columns))
    return wrapped


def _wrapped(line: str, columns: int) -> list[str]:
    prefix = line[: _quote_end(line)]
    most = columns // 2 if columns > 3 else 0  # a wide character must fit beside it
    prefix = prefix if len(prefix) <= most else ""
    indent = prefix or " " * min(len(line) - len(line.lstrip(" ")), most)
    room = columns - len(indent)
    lines: list[str] = []
    row: list[str] = []
    used = 0
    for word in line[len(indent) :].split(" "):
        taken = width(word)
        if row and used + 1 + taken > room:
            lines.append(indent + " ".join(row))
            row, used = [], 0
        if taken > room:
            *full, word = chop_cells(word, room)
            lines.extend(indent + piece for piece in full)
            taken = width(word)
        used += taken + (1 if row else 0)
        row.append(word)
    return [*lines, indent + " ".join(row)]


def _quote_end(line: str) -> int:
    """How long the run of '>' and spaces at the start of a quoted line is; 0 for one that is not quoted."""
    if not line.startswith(">"):
        return 0
    end = 0
    while end < len(line) and line[end] in "> ":
        end += 1
    return end


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of a body that are shown together; `folded` ones stand behind one line until asked for."""

    lines: tuple[str, ...]
    folded: bool = False


def fold_quotes(lines: Sequence[str]) -> list[Block]:
    """The lines in blocks: quotes of more than FOLD_LINES lines folded, with the line that introduces them."""
    blocks: list[Block] = []
    start, quoted = 0, False
    for position, is_quote in enumerate([*_quote_marks(lines), None]):
        if is_quote is quoted:
            continue
        if position > start:
            _add_block(blocks, tuple(lines[start:position]), quoted and position - start > FOLD_LINES)
        start, quoted = position, bool(is_quote)
    return blocks


def _quote_marks(lines: Sequence[str]) -> list[bool]:
    """For each line whether it is quoted; empty lines between quotes count with them, and so does the attribution."""
    marks = [line.startswith(">") for line in lines]
    last = -1
    for position, line in enumerate(lines):
        if marks[position]:
            if 0 <= last < position - 1:
                marks[last:position] = [True] * (position - last)
            last = position
        elif line.strip():
            last = -1
    for position, line in enumerate(lines):
        follows = position + 1 < len(lines) and marks[position + 1]
        if follows and not marks[position] and line.rstrip().endswith(_ATTRIBUTION_ENDS):
            marks[position] = True
    return marks


def _add_block(blocks: list[Block], lines: tuple[str, ...], folded: bool) -> None:
    if blocks and not folded and not blocks[-1].folded:
        blocks[-1] = Block(blocks[-1].lines + lines)
    else:
        blocks.append(Block(lines, folded))


def folded_line(block: Block) -> str:
    """What stands for a folded block."""
    count = len(block.lines)
    return ngettext("··· {count} quoted line", "··· {count} quoted lines", count).format(count=count)


@lru_cache(maxsize=4)
def _months(_language: str) -> tuple[str, ...]:
    """The short month names. Ours, not Babel's: it takes 60 ms to import, and the first list is waiting."""
    return tuple(pgettext("short months", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split())


def when(milliseconds: int, now: float) -> str:
    """A moment (ms since the epoch) for a list, in local time: '14:32' today, '12 Nov' this year, else '12/11/24'.

    `now` in seconds. At most eight cells wide in every language.
    """
    moment, today = time.localtime(milliseconds / 1000), time.localtime(now)
    if moment[:3] == today[:3]:
        return f"{moment.tm_hour:02}:{moment.tm_min:02}"
    if moment.tm_year == today.tm_year:
        return f"{moment.tm_mday} {_months(i18n.language())[moment.tm_mon - 1]}"
    return f"{moment.tm_mday:02}/{moment.tm_mon:02}/{moment.tm_year % 100:02}"


def size(count: int) -> str:
    """Bytes as people say them: '812 B', '14 kB', '3.2 MB' (decimal, with the language's own decimal mark)."""
    if count < 1_000:
        return f"{count} B"
    power = min((len(str(count)) - 1) // 3, 3)
    amount = count / 1_000**power
    digits = f"{amount:.0f}" if amount >= 9.95 else f"{amount:.1f}"
    return f"{digits.replace('.', ',') if i18n.language() == 'pt_BR' else digits} {('B', 'kB', 'MB', 'GB')[power]}"


def person(address: Address) -> str:
    """A person in a list: the name, else the address, else that there is none."""
    return address.name or address.email or _("(no sender)")


def person_in_full(address: Address) -> str:
    """A person in the reader: name and true address, or that the address is not valid."""
    if not address.email:
        return _("{name} (invalid address)").format(name=address.name) if address.name else _("(no sender)")
    return f"{address.name} <{address.email}>" if address.name else address.email


def people(addresses: Iterable[Address], most: int = 3) -> str:
    """Persons for a list row: the first few, and how many more."""
    everyone = list(addresses)
    names = [person(address) for address in everyone[:most]]
    rest = len(everyone) - len(names)
    return ", ".join(names) + (_(" and {count} more").format(count=rest) if rest > 0 else "")
