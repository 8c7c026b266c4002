"""The terminal as the program drives it: keys in their order, a slow or stopped terminal, the shell and back."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tty.terminal import Terminal

DEMO = "import sys; from crmmail.cli import main; sys.exit(main(['demo', '--offline', '--messages', '200']))"
IMPATIENT = "import crmmail.tui.terminal as t; t.BEHIND, t.PATIENCE = 20_000, 20; " + DEMO
PLACE = re.compile(r"(\d+)/\d+\s*$", re.MULTILINE)


def demo(code: str = DEMO, **more: str) -> Terminal:
    return Terminal.python(code, columns=120, rows=40, environment={**os.environ, **more})


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with demo() as opened:
        opened.wait_for("All inboxes", 60)
        opened.settle(0.5)
        yield opened


def place(terminal: Terminal) -> int:
    """The cursor's place in the list, as the screen tells it."""
    found = PLACE.search(terminal.text)
    assert found, terminal.text
    return int(found[1])


def test_keys_typed_at_once_are_carried_out_in_their_order(terminal: Terminal) -> None:
    terminal.type("j" * 20 + "k" * 3 + "\x1b[B" * 4)
    terminal.settle(0.5)
    assert place(terminal) == 1 + 20 - 3 + 4


def test_escape_alone_is_a_key(terminal: Terminal) -> None:
    terminal.type("enter")
    terminal.wait_for("From  ")
    began = time.monotonic()
    terminal.type("escape")
    terminal.settle(0.4)
    assert "From  " not in terminal.text
    assert time.monotonic() - began < 3


def test_what_is_no_utf_8_is_no_reason_to_end(terminal: Terminal) -> None:
    os.write(terminal._master, b"\xff\xfe\xc3")
    terminal.settle(0.3)
    terminal.type("jj")
    terminal.settle(0.5)
    assert place(terminal) == 3


def test_a_terminal_that_takes_nothing_holds_up_no_key_and_shows_everything_later() -> None:
    with demo(IMPATIENT) as terminal:
        terminal.wait_for("All inboxes", 60)
        terminal.settle(0.5)
        total = int(re.search(r"([\d,]+) messages", terminal.text)[1].replace(",", ""))  # type: ignore[index]
        for turn in range(60):  # 60 pages are some 400 kB; nobody reads
            terminal.type("d" if turn % 6 == 5 else "pagedown" if turn // 6 % 2 == 0 else "pageup")
            time.sleep(0.02)
        terminal.wait_for(f"{total - 10:,} messages")
        terminal.settle(0.5)
        late = terminal.text
        terminal.type("tab", "tab")  # the same again, painted line by line
        terminal.settle(0.3)
        terminal.type("?")
        terminal.settle(0.5)
        terminal.type("escape")
        terminal.settle(0.5)
        assert terminal.text == late
        assert len(terminal.raw) < 300_000


def test_a_terminal_that_is_behind_is_given_back_nevertheless() -> None:
    with demo(IMPATIENT) as terminal:
        terminal.wait_for("All inboxes", 60)
        terminal.settle(0.5)
        for turn in range(40):
            terminal.type("home" if turn % 2 else "G")
            time.sleep(0.02)
        os.kill(terminal.pid, signal.SIGTERM)
        time.sleep(3)  # it says its last words and waits for somebody to read them
        assert terminal.wait_for_end() == 128 + signal.SIGTERM
        written = bytes(terminal.raw)
        assert written.rfind(b"\x1b[?1049l") > written.rfind(b"\x1b[?1049h")
        assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l")


def test_stopped_by_the_shell_and_called_back(terminal: Terminal) -> None:
    terminal.type("jj")
    terminal.settle(0.3)
    os.kill(terminal.pid, signal.SIGTSTP)
    terminal.settle(0.3)
    assert os.waitpid(terminal.pid, os.WUNTRACED)[1] >> 8 == signal.SIGSTOP
    written = bytes(terminal.raw)
    assert written.rfind(b"\x1b[?1049l") > written.rfind(b"\x1b[?1049h")
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.settle(0.5)
    assert bytes(terminal.raw).rfind(b"\x1b[?1049h") >= len(written)
    terminal.screen.reset()
    terminal._stream.feed(bytes(terminal.raw[len(written) :]))
    assert "All inboxes" in terminal.text  # painted anew: what the shell showed is gone
    terminal.type("j")
    terminal.settle(0.5)
    assert place(terminal) == 4


def test_an_editor_has_the_keyboard_while_it_is_open(tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import sys\nprint('READY', flush=True)\nline = input()\n"
        "open(sys.argv[1], 'a', encoding='utf-8').write(f'\\nsaid: {line}\\n')\n"
    )
    with demo(VISUAL=f"{sys.executable} {editor}") as terminal:
        terminal.wait_for("All inboxes", 60)
        terminal.settle(0.5)
        terminal.type("c")
        terminal.wait_for("Subject")
        terminal.settle(0.5)
        terminal.type("\x07")
        terminal.wait_for("READY")
        terminal.type("typed in the editor", "enter")
        terminal.wait_for("said: typed in the editor")
        terminal.settle(0.5)
        terminal.type("and here")
        terminal.wait_for("and here")


def test_the_program_ends_when_its_terminal_goes_though_hangups_are_ignored() -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); " + DEMO
    with demo(code) as terminal:
        terminal.wait_for("All inboxes", 60)
        terminal.settle(0.5)
        os.close(terminal._master)
        terminal._master = os.open(os.devnull, os.O_RDONLY)
        end = time.monotonic() + 10
        while not (ended := os.waitpid(terminal.pid, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.05)
        terminal.exit_code = os.waitstatus_to_exitcode(ended[1]) if ended[0] else None
        assert terminal.exit_code == 128 + signal.SIGHUP
