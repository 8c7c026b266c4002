"""`kill -9` of the real program in a real terminal while somebody types, saves, attaches and sends.

Whatever was typed a second before is there afterwards, and no draft is ever missing. `CRMMAIL_KILLS` sets how many
moments are tried (4 when not set), `CRMMAIL_SEED` which.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crmmail import config, mailboxes, model
from crmmail.mail.parse import parse
from crmmail.store import Store
from tests.tty.terminal import Terminal

MOMENTS = int(os.environ.get("CRMMAIL_KILLS", "") or 4)
SECOND = 1.0 + 0.5  # the promise, and half a second for a slow disk and a machine with other things to do


@pytest.fixture
def place() -> config.Profile:
    """A profile with a mailbox that can send and reaches no server."""
    place = config.profile().make()
    with config.update(place) as settings:
        settings.mailboxes["work"] = config.MailboxSettings(provider="gmail", address="eu@nos.example", paused=True)
        settings.undo_send_seconds = 60
    store = Store.open(place.data_dir)
    mailboxes.register(store, config.load(place))
    inbox = (model.Folder("work", "inbox", model.Role.INBOX, "Inbox", "INBOX"),)
    store.ingest("work", model.Page("c", (), folders=inbox, complete=True))
    store.close()
    return place


@dataclass
class Writer:
    """Types, and remembers what it typed when."""

    terminal: Terminal
    rng: random.Random
    file: Path
    number: int
    typed: list[tuple[float, str]] = field(default_factory=list)
    sent: list[tuple[float, str]] = field(default_factory=list)
    subject: str = ""

    def begin(self) -> None:
        """A message of its own, its subject typed."""
        self.number += 1
        self.subject = f"s{self.number:04}"
        self.terminal.type("c")
        self.terminal.wait_for("New message")
        self.terminal.type("bruno@cliente.example", "tab", self.subject, "tab")
        self.terminal.wait_for(self.subject)
        self.typed.append((time.monotonic(), self.subject))

    def act(self) -> None:
        """One thing a writer does."""
        self.rng.choice((self.word, self.word, self.word, self.word, self.save, self.attach, self.send))()
        self.terminal.read(self.rng.uniform(0.0, 0.2))

    def word(self) -> None:
        self.number += 1
        word = f"w{self.number:04}"
        self.terminal.type(f"{word} ")
        self.typed.append((time.monotonic(), word))

    def save(self) -> None:
        self.terminal.type("\x13")  # Ctrl+S

    def attach(self) -> None:
        self.terminal.type("\x1ba")
        self.terminal.wait_for("Attach a file")
        self.terminal.type(self.file.name)  # the dialog begins in the home folder
        self.until(lambda text: text.count(self.file.name) > 1)
        self.terminal.type("enter")
        self.until(lambda text: "Attach a file" not in text and "Attaching" not in text)

    def send(self) -> None:
        self.sent.append((time.monotonic(), self.subject))
        for _again in range(6):  # while a file is being read it says that it waits, and is pressed again
            self.terminal.type("\n")  # Ctrl+J
            if self.comes(lambda text: "New message" not in text or "Send anyway" in text, 2.5):
                break
        if "Send anyway" in self.terminal.text:
            self.terminal.type("y")
            self.until(lambda text: "New message" not in text)
        self.begin()

    def until(self, condition: Callable[[str], bool]) -> None:
        """Read the screen until it is so."""
        assert self.comes(condition, 15), self.terminal.text

    def comes(self, condition: Callable[[str], bool], seconds: float) -> bool:
        """Read the screen until it is so, so long at most; whether it came to be."""
        deadline = time.monotonic() + seconds
        while not condition(self.terminal.text):
            if time.monotonic() > deadline:
                return False
            self.terminal.read(0.05)
        return True


def kept(place: config.Profile) -> tuple[dict[str, str], int]:
    """Subject → text of every draft and of every message in the outbox; and how many files are attached."""
    with Store.open(place.data_dir) as store:
        assert store.notices == []
        found = {draft.subject: draft.text for draft in store.drafts()}
        files = 0
        for draft in store.drafts():
            for enclosure in draft.enclosures:
                assert len(store.enclosure(enclosure.digest)) == enclosure.size
                files += 1
        for one in store.outgoing():
            assert one.subject not in found, "a message is a draft or in the outbox, never both"
            found[one.subject] = parse(store.mime(one.id)).body.text  # in the raw one, lines may break within a word
        return found, files


def test_at_most_the_last_second_is_missing_and_never_a_draft(place: config.Profile) -> None:
    rng = random.Random(os.environ.get("CRMMAIL_SEED", "7"))
    file = Path.home() / "anexo.bin"
    file.write_bytes(rng.randbytes(300_000))
    number, everything, files = 0, set[str](), 0
    for moment in range(MOMENTS):
        command = [sys.executable, "-m", "crmmail"]
        with Terminal(command, columns=100, rows=30, environment=dict(os.environ)) as terminal:
            terminal.wait_for("Inbox")
            terminal.settle(0.2)
            writer = Writer(terminal, rng, file, number)
            writer.begin()
            end = time.monotonic() + rng.uniform(0.3, 4.0)
            while time.monotonic() < end:
                writer.act()
            os.kill(terminal.pid, signal.SIGKILL)
            killed = time.monotonic()
        number = writer.number
        found, more = kept(place)
        text = " ".join((*found, *found.values()))
        everything |= {word for at, word in writer.typed if killed - at > SECOND}
        missing = {word for word in everything if word not in text}
        assert not missing, f"moment {moment}: {missing} of {writer.typed}, killed at {killed}"
        assert more >= files or writer.sent, "an attached file is gone"
        files = more
    assert everything
