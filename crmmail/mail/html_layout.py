"""Lines out of running text: the flow of a page or of one table cell, and tables made of such cells."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

QUOTES_SHOWN = 20
INDENTS_SHOWN = 12
CELL_WIDTH = 40
TABLE_WIDTH = 100
COLUMNS_LIMIT = 12
RULE = "─" * 24


@dataclass(slots=True)
class Flow:
    """Text being set into lines: what blocks, quotes and lists do to it."""

    lines: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    quotes: int = 0
    preformatted: int = 0
    gap: bool = False  # an empty line is due before the next one
    marker: str = ""  # of a list item that has no line yet
    indents: list[str] = field(default_factory=list)
    lists: list[int] = field(default_factory=list)  # next number, -1 where the list has bullets
    last_quotes: int = 0  # of the line set last

    def add(self, text: str) -> None:
        """Running text. In preformatted text its line breaks count."""
        if not self.preformatted:
            self.inline.append(text)
            return
        first, *rest = text.replace("\r\n", "\n").split("\n")
        self.inline.append(first)
        for line in rest:
            self.break_line()
            self.inline.append(line)

    def append(self, text: str) -> None:
        """`text` directly after what was said last, in the last line if that is closed already."""
        if "".join(self.inline).strip() or not self.lines or self.gap:
            self.inline = ["".join(self.inline).rstrip(), text if self.inline else text.lstrip()]
        else:
            self.lines[-1] += text

    def line(self) -> None:
        """End the line that is being set, if there is one."""
        joined = "".join(self.inline)
        self.inline.clear()
        text = joined.rstrip() if self.preformatted else " ".join(joined.split())
        if text:
            self._emit(text)

    def break_line(self) -> None:
        """A line break the author set; two of them leave an empty line."""
        count = len(self.lines)
        self.line()
        if len(self.lines) == count:
            self.gap = True

    def paragraph(self) -> None:
        """End the line and keep an empty one before the next."""
        self.line()
        self.gap = self.gap or not self.marker

    def rule(self) -> None:
        """A horizontal line."""
        self.line()
        self._emit(RULE)

    def block(self, lines: list[str]) -> None:
        """Lines already set, such as a table's."""
        self.line()
        for line in lines:
            if line:
                self._emit(line)
            else:
                self.gap = True
        self.gap = True

    def open_list(self, *, numbered: bool, start: str) -> None:
        """A list; nested ones follow without an empty line."""
        self.line()
        if self.lists:
            self.gap = False
        first = int(start) if start.isdigit() and len(start) < 6 else 1
        self.lists.append(first if numbered else -1)

    def close_list(self) -> None:
        """The end of the innermost list."""
        if self.lists:
            self.lists.pop()
        self.gap = not self.lists

    def item(self) -> None:
        """An item of the innermost list."""
        self.line()
        number = self.lists[-1] if self.lists else -1
        if number >= 0:
            self.lists[-1] = number + 1
        self.marker = f"{number}. " if number >= 0 else "• "
        self.indents.append(" " * len(self.marker))

    def end_item(self) -> None:
        """The end of an item."""
        self.line()
        self.marker = ""
        if self.indents:
            self.indents.pop()
        self.gap = self.gap and not self.lists

    def finish(self) -> list[str]:
        """All lines."""
        self.line()
        return self.lines

    def _emit(self, text: str) -> None:
        quotes = "> " * min(self.quotes, QUOTES_SHOWN)
        if self.gap and self.lines and self.lines[-1].strip("> "):
            self.lines.append(("> " * min(self.quotes, self.last_quotes, QUOTES_SHOWN)).rstrip())
        self.gap = False
        self.last_quotes = self.quotes
        indents = self.indents[:INDENTS_SHOWN]
        if self.marker:
            indents = [*indents[:-1], self.marker]
            self.marker = ""
        self.lines.append(f"{quotes}{''.join(indents)}{text}")


@dataclass(slots=True)
class Table:
    """A table being read. `flows`: how many flows were open when it began; above them is the open cell's."""

    flows: int
    rows: list[list[list[str]]] = field(default_factory=list)

    def add(self, cell: list[str]) -> None:
        """A finished cell, as its lines."""
        if not self.rows:
            self.rows.append([])
        self.rows[-1].append(cell)

    def lines(self) -> list[str]:
        """A grid where the cells are short, else (tables are used for layout) one cell below the other."""
        rows = [row for row in self.rows if any(row)]
        if _is_grid(rows):
            return _grid(rows)
        set_lines: list[str] = []
        for row in rows:
            cells = [cell for cell in row if cell]
            if all(len(cell) == 1 for cell in cells) and sum(len(cell[0]) for cell in cells) <= TABLE_WIDTH:
                set_lines.append("  ".join(cell[0] for cell in cells))
                continue
            for cell in cells:
                set_lines.extend(cell)
        return set_lines


def _is_grid(rows: list[list[list[str]]]) -> bool:
    wide = [row for row in rows if sum(map(bool, row)) > 1]
    if len(wide) < 2 or max(map(len, rows)) > COLUMNS_LIMIT:
        return False
    return all(len(cell) <= 1 and (not cell or len(cell[0]) <= 2 * CELL_WIDTH) for row in rows for cell in row)


def _grid(rows: list[list[list[str]]]) -> list[str]:
    columns = max(map(len, rows))
    texts = [[cell[0] if cell else "" for cell in row] + [""] * (columns - len(row)) for row in rows]
    used = [column for column in range(columns) if any(row[column] for row in texts)]
    widths = {column: min(max(cell_width(row[column]) for row in texts), CELL_WIDTH) for column in used}
    if sum(widths.values()) > TABLE_WIDTH:
        widths = dict.fromkeys(used, 0)
    set_lines = []
    for row in texts:
        padded = (row[column] + " " * (widths[column] - cell_width(row[column])) for column in used)
        set_lines.append(" │ ".join(padded).rstrip(" │"))
    return set_lines


def cell_width(text: str) -> int:
    """Terminal cells `text` takes, near enough to set columns."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
