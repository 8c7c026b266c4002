"""The real `crmmail` in a terminal of 200 × 50: how long from the key until the screen shows what it did.

Nothing in it is instrumented. What a step waits for is known beforehand, because the mail is generated: the position
in the list, the number of messages in the title, the subject in the reader.
"""

from __future__ import annotations

import email.header
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import profiles
from tests.bench.emulator import Terminal
from tests.bench.session import Session, tree_memory_kb

COLUMNS, ROWS = 200, 50
LIST_ROWS = 46  # non-blank rows of a full list
LIST_COLUMN = 40  # a column inside the list
QUIET_MS = 260.0  # longer than the reader waits before it follows the cursor
TURNS = {"next": 30, "page down": 12, "end": 5, "open": 10, "trash": 15, "undo": 15}

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

    def __init__(self, home: Path, count: int, measured: Measured) -> None:
        self.count = count
        self.measured = measured
        self.place = 1  # the cursor's, counted from 1
        mail = profiles.letters(count)
        self.last = subject(mail[-1].raw())
        self.subjects = [subject(letter.raw()) for letter in mail[: sum(TURNS.values())]]
        command = [str(Path(sys.executable).with_name("crmmail"))]
        self.session = Session(command, COLUMNS, ROWS, {"CRMMAIL_HOME": str(home)})

    def run(self) -> None:
        """All steps, then the end."""
        session = self.session
        try:
            self._until("start", session.start_ns, self._full(self.count), seconds=60, quiet=900)
            self.measured.memory.append(tree_memory_kb(session.pid)["pss_kb"] / 1024)
            self._reading()
            self._moving()
            self._acting()
            self.measured.memory.append(tree_memory_kb(session.pid)["pss_kb"] / 1024)
            self._until("quit", session.type("<c-q>"), "exit", seconds=10)
        finally:
            session.close()

    def _moving(self) -> None:
        self._key("home", "<home>", on(self.subjects[0], row=1))
        self.place = 1
        for _ in range(TURNS["next"]):
            self._step()
        for _ in range(TURNS["page down"]):
            self._key("page down", "<pgdn>", moved(self.session.term))
        for _ in range(TURNS["end"]):
            self._key("end", "G", on(self.last))
            self._key("home", "<home>", on(self.subjects[0], row=1))

    def _step(self, quiet: float = QUIET_MS) -> None:
        self._key("next", "j", on(self.subjects[self.place], row=self.place + 1), quiet=quiet)
        self.place += 1

    def _reading(self) -> None:
        """Open: the message's own subject and body stand in the reader, and the keys go there."""
        for _ in range(TURNS["open"]):
            self._step(quiet=0)
            wanted = self.subjects[self.place - 1][:20]
            self._key("open", "<enter>", lambda term, wanted=wanted: opened(term, wanted))
            self._key("close", "q", lambda term: "Esc Back" not in term.text()[-1])

    def _acting(self) -> None:
        """Trash the first message again and again: it is gone, the next one is under the cursor, the title counts."""
        left = self.count
        for turn in range(TURNS["trash"]):
            left -= 1
            self._key("trash", "d", both(self._full(left), on(self.subjects[turn + 1], row=1)))
        for turn in range(TURNS["undo"]):
            left += 1
            gone = TURNS["trash"] - turn - 1
            self._key("undo", "z", both(self._full(left), shows(self.subjects[gone])))

    def _key(self, step: str, keys: str, condition: Condition, *, quiet: float = QUIET_MS) -> None:
        self._until(step, self.session.type(keys), condition, quiet=quiet)

    def _until(
        self, step: str, since: int, condition: Condition | str, *, seconds: float = 10, quiet: float = QUIET_MS
    ) -> None:
        seen = self.session.wait(since, condition, seconds, quiet)
        if not seen["ok"]:
            raise Missed(f"{step}:\n" + "\n".join(self.session.term.text()))
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
    """The list shows other messages than it does now, all rows of it, and the cursor is among them."""
    before = list(term.text())

    def holds(later: Terminal) -> bool:
        text = later.text()
        return cursor(later) > 1 and all(old != new for old, new in zip(before[3:-3], text[3:-3], strict=True))

    return holds


def shows(wanted: str) -> Condition:
    """A row of the list names this subject."""
    return lambda term: any(wanted[:16] in row[LIST_COLUMN : COLUMNS // 2] for row in term.text())


def both(one: Condition, other: Condition) -> Condition:
    return lambda term: one(term) and other(term)


def opened(term: Terminal, wanted: str) -> bool:
    """Whether the message with this subject is in the reader, with its headers, and has the keys."""
    text = term.text()
    pane = [row[COLUMNS // 2 :] for row in text[1:8]]
    return "Esc Back" in text[-1] and any(wanted in row for row in pane) and any("From " in row for row in pane)


def subject(raw: bytes) -> str:
    """The decoded subject of a message."""
    value = email.message_from_bytes(raw)["Subject"] or ""
    return str(email.header.make_header(email.header.decode_header(value)))


def measure(work: Path, count: int, rounds: int) -> Measured:
    """`rounds` runs on fresh copies of the profile of `count` messages, after one that warms the file cache."""
    source, measured = profiles.profile(work, count), Measured()
    for turn in range(rounds + 1):
        home = profiles.copy(source, work / "run")
        sink = measured if turn else Measured()
        Driver(home, count, sink).run()
    shutil.rmtree(work / "run", ignore_errors=True)
    return measured
