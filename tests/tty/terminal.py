"""A pseudo-terminal with the program in it: type keys, wait for what the screen shows, keep every byte it wrote."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import pyte

KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "space": " ", "up": "\x1b[A", "down": "\x1b[B", "pagedown": "\x1b[6~",
    "pageup": "\x1b[5~", "home": "\x1b[H", "end": "\x1b[F", "ctrl+o": "\x0f", "ctrl+q": "\x11", "ctrl+p": "\x10",
}  # fmt: skip
# What a terminal is asked at start; unanswered, a program waits for its own time limit.
ANSWERS = ((b"\x1b[c", b"\x1b[?62;22c"), (b"\x1b[6n", b"\x1b[1;1R"), (b"\x1b[?u", b"\x1b[?0u"))


class Terminal:
    """Runs `command` in a terminal of `columns` × `rows`; ends its process group when the block is left."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 100,
        rows: int = 30,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.raw = bytearray()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._answered = 0
        self.exit_code: int | None = None
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})})
            try:
                os.execvp(command[0], list(command))
            finally:
                os._exit(127)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @classmethod
    def python(cls, code: str, *arguments: str, **options: object) -> Terminal:
        """Run Python `code` with this interpreter."""
        return cls([sys.executable, "-c", code, *arguments], **options)  # type: ignore[arg-type]

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)

    def read(self, seconds: float = 0.05) -> bool:
        """Take in what the program writes within `seconds`; False when it has ended."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is closed
            chunk = b""
        if not chunk:
            if self.exit_code is None:
                self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return False
        self.raw += chunk
        self._stream.feed(chunk)
        self._answer()
        return True

    def _answer(self) -> None:
        for question, answer in ANSWERS:
            if question in self.raw[self._answered :]:
                os.write(self._master, answer)
        self._answered = max(0, len(self.raw) - 8)

    def settle(self, quiet: float = 0.15, limit: float = 10.0) -> None:
        """Wait until nothing was written for `quiet` seconds."""
        end = time.monotonic() + limit
        size = -1
        while len(self.raw) != size and time.monotonic() < end:
            size = len(self.raw)
            if not self.read(quiet):
                return

    def type(self, *keys: str) -> None:
        """Press keys: names from KEYS, or text as it is."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())

    @property
    def text(self) -> str:
        """The screen, a line a row, trailing blanks cut.

        Not pyte's `display`, which takes a whole screen for granted: between two chunks half of a wide character may
        have been written over.
        """
        screen = self.screen
        rows = ("".join(screen.buffer[y][x].data for x in range(screen.columns)) for y in range(screen.lines))
        return "\n".join(row.rstrip() for row in rows)

    def wait_for(self, pattern: str, limit: float = 15.0) -> str:
        """Read until `pattern` (a regular expression) is on the screen; returns the screen's text."""
        end = time.monotonic() + limit
        while not re.search(pattern, self.text):
            if time.monotonic() > end:
                raise AssertionError(f"{pattern!r} did not appear:\n{self.text}")
            if not self.read():
                raise AssertionError(f"the program ended ({self.exit_code}) before {pattern!r} appeared:\n{self.text}")
        return self.text

    def wait_for_end(self, limit: float = 15.0) -> int:
        """Read until the program ends; returns its exit code."""
        end = time.monotonic() + limit
        while self.read():
            if time.monotonic() > end:
                raise AssertionError(f"the program did not end:\n{self.text}")
        assert self.exit_code is not None
        return self.exit_code
