"""The real program in a real terminal, showing mail made to attack it: nothing but text may arrive there."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from crmmail import config, mailboxes, model
from crmmail.store import Store
from tests.tty import escapes
from tests.tty.terminal import Terminal

HOSTILE = Path(__file__).parents[1] / "mail" / "hostile"
BASE_MS = 1_795_000_000_000
NEUTRAL = b"From: Ana <ana@cliente.example>\r\nTo: eu@nos.example\r\nSubject: Bom dia %d\r\n\r\nTudo bem por aqui.\r\n"
Fill = Callable[[Sequence[bytes]], None]


@pytest.fixture
def fill() -> Fill:
    """Put messages into a profile's inbox, the first one newest."""

    def put(messages: Sequence[bytes]) -> None:
        place = config.profile().make()
        with config.update(place) as settings:
            settings.mailboxes["work"] = config.MailboxSettings(provider="gmail", address="eu@nos.example", paused=True)
            settings.mark_read = "never"
        store = Store.open(place.data_dir)
        mailboxes.register(store, config.load(place))
        inbox = (model.Folder("work", "inbox", model.Role.INBOX, "Inbox", "INBOX"),)
        state = model.State(frozenset({"inbox"}), unread=True)
        for start in range(0, len(messages), 50):
            upserts = tuple(
                model.Incoming(f"m{number}", state, BASE_MS - number * 1000, raw)
                for number, raw in enumerate(messages[start : start + 50], start)
            )
            store.ingest("work", model.Page("c", upserts, folders=inbox, complete=True))
        assert store.count(model.Query("work")) == len(messages)
        store.close()

    return put


def open_each(count: int, *, headers: bool = False) -> tuple[bytes, list[str]]:
    """Start crmmail, open the newest message and every one after it; the bytes written, and each screen's text."""
    screens = []
    with Terminal(
        [sys.executable, "-m", "crmmail"],
        columns=110,
        rows=32,
        environment=dict(os.environ),
    ) as terminal:
        terminal.wait_for("Inbox")
        terminal.settle(0.3)
        terminal.type("enter")
        for number in range(1, count + 1):
            terminal.wait_for(place := rf"(?<!\d){number}/{count}\b")
            terminal.settle(0.02)
            screens.append(terminal.text)
            if headers:
                terminal.type("h")
                terminal.wait_for("Esc close")
                terminal.settle(0.02)
                terminal.type("escape")
                terminal.wait_for(place)
            terminal.type("J")
        terminal.type("escape")
        terminal.settle(0.1)
        terminal.type("ctrl+q")
        assert terminal.wait_for_end() == 0
        return bytes(terminal.raw), screens


def messages_in(folder: Path) -> list[Path]:
    names = {".eml", ".txt", ".raw", ".msg", ".test", ""}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in names)


def test_no_message_reaches_the_terminal_as_anything_but_text(fill: Fill) -> None:
    files = sorted(HOSTILE.glob("*.eml"))
    assert len(files) > 100
    fill([NEUTRAL % number for number in range(5)])
    allowed = set(escapes.kinds(open_each(5, headers=True)[0]))
    fill_again(fill, [path.read_bytes() for path in files])
    raw, screens = open_each(len(files), headers=True)
    assert set(escapes.kinds(raw)) - allowed == set()
    within = escapes.inside(raw)
    markers = [json.loads(path.with_suffix(".json").read_text()).get("marker") for path in files]
    leaked = [m for m in markers if m and (m.encode() in within or base64.b64encode(m.encode()) in within)]
    assert leaked == []
    assert all(screen.strip() for screen in screens)


def fill_again(fill: Fill, messages: Sequence[bytes]) -> None:
    """A fresh profile beside the last one."""
    os.environ["CRMMAIL_HOME"] += "-again"
    fill(messages)


def test_every_message_of_every_corpus_lists_and_opens(fill: Fill, shared: Path) -> None:
    files = [path for path in messages_in(shared / "corpora") if path.name not in ("LICENCE.txt", "SCHEMA.md")]
    assert len(files) > 700
    fill([path.read_bytes() for path in files])
    raw, screens = open_each(len(files))
    assert "Traceback" not in raw.decode("utf-8", "replace")
    assert all(screen.strip() for screen in screens)
