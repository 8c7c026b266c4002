"""The terminal, read and written by the event loop itself.

Textual has a thread for either: between a key and what it shows each hand-over costs as much as moving the cursor does
(0.4 to 0.7 ms), a slow terminal stops the loop once thirty writes wait, and leaving waits for both threads.
"""

from __future__ import annotations

import os
import select
import signal
import time
from codecs import getincrementaldecoder

from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

AT_ONCE = 4096  # bytes read at a time
AT_HAND = 0.001  # seconds a terminal has to take a page: a pseudo-terminal holds 8 kB, a page is 20
BEHIND = 1 << 20  # bytes that wait for the terminal; beyond, it is told nothing more but, later, the whole screen
BROKEN_OFF = b"\x18\x1b[?2026l"  # whatever sequence was begun (CAN), and a paint held back until it is whole
PATIENCE = 1.0  # seconds a terminal has for the last words
HANGUP = 128 + signal.SIGHUP


class Terminal(LinuxDriver):
    """Textual's driver with its input and output on the loop; its threads where the system does not allow that."""

    _parser: XTermParser
    _out: int | None = None  # the terminal opened anew: only so may writing not wait without changing the shell's file
    _waiting: bytearray
    _due = _watched = _behind = _listening = False

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        self._waiting = bytearray()
        self._parser = XTermParser(self._debug)
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        if self._out is None:
            self._out = self._opened()
        self._listening = self._listen()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    # --- what is typed

    def _listen(self) -> bool:
        try:
            self._loop.add_reader(self.fileno, self._readable)
        except (NotImplementedError, OSError):  # a file cannot be waited for
            return False
        return True

    def _run_input_thread(self) -> None:
        if not self._listening:
            super()._run_input_thread()

    def _readable(self) -> None:
        try:
            data = os.read(self.fileno, AT_ONCE)
        except InterruptedError:
            return
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self._loop.remove_reader(self.fileno)
            self._app.exit(return_code=HANGUP)
            return
        for event in self._parser.feed(self._decode(data)):
            self.process_message(event)
        self._wait_for_more()

    def _wait_for_more(self) -> None:
        """An Escape that nothing follows is the key of that name."""
        if self._parser._timeout_time is not None:
            self._loop.call_later(ESCAPE_DELAY, self._nothing_followed)

    def _nothing_followed(self) -> None:
        for event in self._parser.tick():
            self.process_message(event)
        self._wait_for_more()

    def send_message(self, message: Message) -> None:
        """To the application: it is on the same loop, and needs no task for it."""
        if self._listening:
            self._app.post_message(message)
        else:
            super().send_message(message)

    def disable_input(self) -> None:
        """Read no more."""
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self.fileno)
        super().disable_input()

    # --- what is shown

    def _opened(self) -> int | None:
        if self._file is None:
            return None
        try:
            return os.open(os.ttyname(self._file.fileno()), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # no terminal, or one that belongs to somebody else
            return None

    def write(self, data: str) -> None:
        """Kept until `flush`, or until the loop has a moment: a paint and what is around it are one piece."""
        if self._out is None or self._file is None:
            super().write(data)
            return
        if len(self._waiting) > BEHIND:
            self._behind = True
            return
        self._waiting += data.encode(self._file.encoding, self._file.errors or "strict")
        if not self._due:
            self._due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """As much as the terminal takes now; the rest when it takes more."""
        self._due = False
        if self._out is None:
            return
        full = self._written(self._out, 0.0 if self._watched else AT_HAND)
        if full != self._watched:
            self._watched = full
            if full:
                self._loop.add_writer(self._out, self.flush)
            else:
                self._loop.remove_writer(self._out)
        if self._behind and not full:
            self._behind = False
            self._app.screen.refresh()

    def _written(self, out: int, patience: float) -> bool:
        """Write what waits; whether something still does after so many seconds."""
        end = 0.0
        while self._waiting:
            try:
                del self._waiting[: os.write(out, self._waiting)]
            except BlockingIOError:
                now = time.monotonic()
                end = end or now + patience
                if now >= end:
                    return True
                select.select((), (out,), (), end - now)
            except OSError:  # the terminal is gone; its input says so too
                self._waiting.clear()
        return False

    def stop_application_mode(self) -> None:
        """Give the terminal back. Where it is behind, what was still to be painted no longer matters."""
        if self._watched:
            self._waiting[:] = BROKEN_OFF
        self._behind = False
        super().stop_application_mode()

    def close(self) -> None:
        """The last words are waited for, but not for long."""
        if self._out is not None:
            self._written(self._out, PATIENCE)
            self._loop.remove_writer(self._out)
            os.close(self._out)
            self._out, self._watched = None, False
        super().close()
