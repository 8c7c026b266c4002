"""However the program is left, the terminal is as it was before."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Callable

import pytest

from tests.tty.terminal import Terminal

MODES = {b"1049": "the alternate screen", b"1000": "the mouse", b"1006": "the mouse", b"2004": "pasting"}


def quit_at_once(terminal: Terminal) -> None:
    terminal.type("ctrl+q")  # out of the guide
    terminal.wait_for("No mailbox is connected yet")
    terminal.type("ctrl+q")


def kill(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGTERM)


@pytest.mark.parametrize(("leave", "code"), [(quit_at_once, 0), (kill, 128 + signal.SIGTERM)])
def test_the_terminal_is_given_back_as_it_was(leave: Callable[[Terminal], None], code: int) -> None:
    command = [sys.executable, "-m", "crmmail"]
    with Terminal(command, columns=80, rows=24, environment=dict(os.environ)) as terminal:
        terminal.wait_for("Connect a mailbox")
        terminal.settle(0.3)
        assert not termios.tcgetattr(terminal._master)[3] & termios.ECHO
        leave(terminal)
        assert terminal.wait_for_end() == code
        written = bytes(terminal.raw)
        for mode, name in MODES.items():
            on, off = written.rfind(b"\x1b[?" + mode + b"h"), written.rfind(b"\x1b[?" + mode + b"l")
            assert off > on, f"{name} was not given back"
        assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l"), "the cursor was not given back"


def test_ctrl_c_says_how_to_leave_in_the_users_language() -> None:
    environment = {**os.environ, "LANGUAGE": "pt_BR"}
    command = [sys.executable, "-m", "crmmail", "demo", "--offline", "--messages", "20"]
    with Terminal(command, columns=80, rows=24, environment=environment) as terminal:
        terminal.wait_for("Todas as Entradas", 60)
        terminal.settle(0.5)
        terminal.type("\x03")
        terminal.wait_for(r"Ctrl\+Q sai do crmmail")
        assert "Do you want to quit" not in terminal.text
