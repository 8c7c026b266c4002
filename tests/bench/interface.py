"""The real `crmmail` in a terminal of 200 × 50: how long from the key until the screen shows what it did.

Nothing in it is instrumented. What a step waits for is known beforehand, because the mail is generated: the position
in the list, the number of messages in the title, the subject in the reader.
"""

from __future__ import annotations

import email.header
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import profiles
from tests.bench.emulator import Terminal
from tests.bench.session import Session, tree_memory_kb

COLUMNS, ROWS = 200, 50
READER_COLUMNS = 150  # narrow enough that the reader takes the list's place
LIST_ROWS = 46  # non-blank rows of a full list
SIDEBAR, LIST_COLUMN = 26, 40  # where the folders end, about; a column inside the list
QUIET_MS = 190.0  # longer than the reader waits before it follows the cursor
TURNS = {
    "next": 40,
    "page down": 20,
    "end": 12,
    "open": 20,
    "trash": 40,
    "undo": 40,
}  # of a few, the p95 is the slowest

Condition = Callable[[Terminal], bool]


@dataclass(slots=True)
class Measured:
    """Milliseconds by step, and the memory (PSS) in MB once the list stood and at the end."""

    times: dict[str, list[float]] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)

    def add(self, step: str, milliseconds: float) -> None:
        self.times.setdefault(step, []).append(milliseconds)


class Missed(Exception):
    """The screen did not show what a step expects; the text is the screen."""


class Driver:
    """One run of the program on a copy of a profile."""

    def __init__(self, home: Path, count: int, measured: Measured, columns: int = COLUMNS) -> None:
        self.count = count
        self.measured = measured
        self.place = 1  # the cursor's, counted from 1
        mail = profiles.letters(count)
        self.last = subject(mail[-1].raw())
        self.subjects = [subject(letter.raw()) for letter in mail[: sum(TURNS.values()) + ROWS]]
        command = [str(Path(sys.executable).with_name("crmmail"))]
        self.session = Session(command, columns, ROWS, {"CRMMAIL_HOME": str(home)})

    def run(self) -> None:
        """All steps, then the end."""
        session = self.session
        try:
            self._until("start", session.start_ns, self._full(self.count), seconds=60, quiet=900)
            self.measured.memory.append(tree_memory_kb(session.pid)["pss_kb"] / 1024)
            self._moving()
            self._acting()
            self.measured.memory.append(tree_memory_kb(session.pid)["pss_kb"] / 1024)
            self._until("quit", session.type("<c-q>"), "exit", seconds=10)
        finally:
            session.close()

    def warm(self) -> None:
        """Start and leave."""
        try:
            self._until("start", self.session.start_ns, self._full(self.count), seconds=60)
        finally:
            self.session.close()

    def read(self) -> None:
        """Open messages where the reader takes the list's place."""
        session = self.session
        try:
            self._until("start", session.start_ns, self._full(self.count), seconds=60, quiet=900, count=False)
            for _ in range(TURNS["open"]):
                self._step(count=False)
                wanted = self.subjects[self.place - 1][:20]
                self._key("open", "<enter>", lambda term, wanted=wanted: opened(term, wanted))
                self._key("close", "q", on(self.subjects[self.place - 1], row=self.place))
        finally:
            session.close()

    def _moving(self) -> None:
        for _ in range(TURNS["next"]):
            self._step()
        for _ in range(TURNS["page down"]):
            self._key("page down", "<pgdn>", moved(self.session.term))
        for _ in range(TURNS["end"]):
            self._key("end", "G", on(self.last))
            self._key("home", "<home>", on(self.subjects[0], row=1))

    def _step(self, *, count: bool = True) -> None:
        self._key("next", "j", on(self.subjects[self.place], row=self.place + 1), count=count)
        self.place += 1

    def _acting(self) -> None:
        """Trash the first message again and again, then take it all back: every row of the list is the right one."""
        for turn in range(TURNS["trash"]):
            self._key("trash", "d", rows_show(self.subjects[turn + 1 :]))
        for turn in range(TURNS["undo"]):
            self._key("undo", "z", rows_show(self.subjects[TURNS["trash"] - turn - 1 :]))

    def _key(self, step: str, keys: str, condition: Condition, *, count: bool = True) -> None:
        self._until(step, self.session.type(keys), condition, count=count)

    def _until(
        self,
        step: str,
        since: int,
        condition: Condition | str,
        *,
        seconds: float = 10,
        quiet: float = QUIET_MS,
        count: bool = True,
    ) -> None:
        seen = self.session.wait(since, condition, seconds, quiet)
        if not seen["ok"]:
            raise Missed(f"{step}:\n" + "\n".join(self.session.term.text()))
        if count:
            self.measured.add(step, seen["match_ms"])

    @staticmethod
    def _full(count: int) -> Condition:
        words = re.compile(rf"(?<![\d,]){count:,} message")

        def holds(term: Terminal) -> bool:
            text = term.text()
            return bool(words.search(text[0])) and sum(1 for row in text if row) >= LIST_ROWS

        return holds


def cursor(term: Terminal) -> int:
    """The row of the terminal with the cursor's background; 0 while there is none, or two."""
    backgrounds = [term.screen.buffer[row][LIST_COLUMN].bg for row in range(1, ROWS - 2)]
    usual = max(set(backgrounds), key=backgrounds.count)
    odd = [row for row, background in enumerate(backgrounds, 1) if background != usual]
    return odd[0] if len(odd) == 1 else 0


def on(wanted: str, row: int = 0) -> Condition:
    """The cursor is on the message with this subject (and in this row of the terminal)."""

    def holds(term: Terminal) -> bool:
        at = cursor(term)
        return at > 0 and row in (0, at) and wanted[:16] in term.text()[at]

    return holds


def moved(term: Terminal) -> Condition:
    """The list shows other messages than it does now, down to its last row, and the cursor is among them.

    A row here and there may read like the one that stood in its place: the same sender, subject and day.
    """
    before = list(term.text())

    def holds(later: Terminal) -> bool:
        text = later.text()
        other = [old != new for old, new in zip(before[3:-3], text[3:-3], strict=True)]
        return cursor(later) > 1 and other[-1] and sum(other) > 0.9 * len(other)

    return holds


def rows_show(subjects: Sequence[str]) -> Condition:
    """The first, a middle and the last row of the list show the messages that belong there."""

    def holds(term: Terminal) -> bool:
        text = term.text()
        return all(subjects[row - 1][:14] in text[row] for row in (1, (ROWS - 3) // 2, ROWS - 3))

    return holds


def opened(term: Terminal, wanted: str) -> bool:
    """Whether the message with this subject is in the reader, with its headers and its end."""
    text = [row[SIDEBAR:] for row in term.text()]
    return any(wanted in row for row in text[1:4]) and any("From " in row for row in text[1:8]) and cursor(term) == 0


def subject(raw: bytes) -> str:
    """The decoded subject of a message."""
    value = email.message_from_bytes(raw)["Subject"] or ""
    return str(email.header.make_header(email.header.decode_header(value)))


def measure(work: Path, count: int, rounds: int) -> Measured:
    """`rounds` runs on fresh copies of the profile of `count` messages, after a start that warms the file cache."""
    source, measured = profiles.profile(work, count), Measured()
    for turn in range(rounds + 1):
        home = profiles.copy(source, work / "run")
        if turn == 0:
            Driver(home, count, Measured()).warm()
            continue
        Driver(home, count, measured).run()
        Driver(home, count, measured, READER_COLUMNS).read()
    shutil.rmtree(work / "run", ignore_errors=True)
    return measured
