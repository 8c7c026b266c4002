"""Sending over SMTP under everything at once: cuts on both lines, refusals, restarts, absences, by a seed.

`CRMMAIL_IMAP_SENDS` sets how many seeds are tried; a failing seed is in the message.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from crmmail.model import Outgoing, SendState
from tests.faults.imap_home import Home
from tests.faults.posting import OPEN
from tests.remotes.imap_world import ImapWorld

SEEDS = int(os.environ.get("CRMMAIL_IMAP_SENDS", "12"))
FIRST = int(os.environ.get("CRMMAIL_IMAP_SENDS_FROM", "0"))
PARTS = 4
DEEDS = 14
BEFORE = ("^EHLO", "^AUTH", "^MAIL", "^RCPT")
READING = ("^APPEND", "^SELECT", "^UID STORE", "^UID SEARCH", "^UID FETCH", "^UID MOVE", "^AUTHENTICATE", ".")
ACCEPTED = b"250 2.0.0 queued"


class Posting:
    """One life by chance, of a few messages."""

    def __init__(self, home: Home, seed: int) -> None:
        self.home = home
        self.rng = random.Random(seed)
        self.queued: list[Outgoing] = []
        self.undone: set[int] = set()
        self.doubtful: list[object] = []  # what may leave a message of which nobody knows
        self.down = False

    def live(self) -> None:
        self.write()
        deeds = [self.write, self.cut_reading, self.cut_sending, self.cut_content, self.refuse, self.garble]
        deeds += [self.step] * 5 + [self.restart, self.absence, self.undo, self.file]
        for _ in range(DEEDS):
            self.rng.choice(deeds)()
        self._mend()
        for _ in range(30):
            self.step(patient=True)
            left = self.home.store.outgoing(OPEN)
            if all(one.state is SendState.UNKNOWN and "may have been sent" in one.error for one in left):
                break

    def _mend(self) -> None:
        if self.down:
            self.absence()
        self.home.world.between.cuts.clear()
        self.home.world.post.cuts.clear()
        self.home.world.post.rewrite = None
        self.home.world.sink.reject.clear()

    def write(self) -> None:
        if len(self.queued) < 3:
            delay = self.rng.choice((0.0, 0.0, 10.0))
            size = self.rng.choice((0, 0, 40_000))
            self.queued.append(self.home.queue(len(self.queued), delay=delay, size=size))

    def cut_reading(self) -> None:
        how = self.rng.choice(("before", "after"))
        self.home.world.between.cut(self.rng.choice(READING), how, nth=self.rng.randint(1, 3), times=2)

    def cut_sending(self) -> None:
        how = self.rng.choice(("before", "after"))
        command = self.rng.choice((*BEFORE, "^DATA$"))
        self.home.world.post.cut(command, how)
        self.doubtful.append(how == "after" and command == "^DATA$")

    def cut_content(self) -> None:
        self.home.world.post.cut(self.rng.choice((r"^\.$", "^Subject:", "^MIME-Version:")), "before")
        self.doubtful.append(True)

    def refuse(self) -> None:
        """Told to come again; always in words that mean a clear no."""
        self.home.world.sink.reject = {self.rng.choice(("MAIL", "RCPT", "DATA")): "451 4.3.0 Not now"}

    def garble(self) -> None:
        """The yes is one no client understands."""
        self.home.world.post.rewrite = lambda told: b"Thank you!\r\n" if told.startswith(ACCEPTED) else told
        self.doubtful.append(True)

    def step(self, *, patient: bool = False) -> None:
        outcome = self.home.step()
        if outcome.error:
            self.home.sync.resume()
        waits = (max(outcome.wait, 1.0),) if patient else (0.5, max(outcome.wait, 0.1), 40.0)
        self.home.clock.advance(self.rng.choice(waits))

    def restart(self) -> None:
        self.home.reopen()

    def absence(self) -> None:
        self.down = not self.down
        self.home.world.post.refusing = self.down
        (self.home.world._pause if self.down else self.home.world._resume)()

    def undo(self) -> None:
        for one in self.queued:
            if one.id not in self.undone and self.home.store.unsend(one.id) is not None:
                self.undone.add(one.id)

    def file(self) -> None:
        """The server shows in Sent what it took, as many do, a little later."""
        there = b"".join(self.home.in_sent())
        for number, one in enumerate(self.queued):
            taken = [got.raw for got in self.home.world.sink.messages if got.recipients == list(one.recipients)]
            if taken and f"X-Crmmail-Id: token-{number}".encode() not in there:
                self.home.world.admin.append("Sent", taken[0])

    def judge(self) -> Counter[str]:
        """Nobody gets a message twice; nobody misses one of which we say, or let believe, that it went."""
        counts = Counter(self.home.delivered())
        copies = Counter(number for number in range(3) for raw in self.home.in_sent() if _is(raw, number))
        told: Counter[str] = Counter()
        for number, one in enumerate(self.queued):
            now = self.home.state(one)
            arrived = counts.pop(one.recipients[0], 0)
            assert arrived <= 1, "sent twice"
            if one.id in self.undone:
                assert arrived == 0, "sent though undone"
            elif now.state is SendState.UNKNOWN:
                assert any(self.doubtful), f"unknown without a cause: {now.error}"
                assert "may have been sent" in now.error
                assert any(_is(raw, number) for raw in self.home.in_drafts()), "its text is nowhere on the server"
            else:
                assert now.state is SendState.SEEN, f"{now.state}: {now.error}"
                assert arrived == 1, "lost"
                assert copies[number] == 1, f"{copies[number]} copies in Sent"
            told[now.state] += 1
        assert not counts
        return told


def _is(raw: bytes, number: int) -> bool:
    return f"X-Crmmail-Id: token-{number}\r\n".encode() in raw


@pytest.mark.parametrize("part", range(PARTS))
def test_over_smtp_no_message_is_sent_twice_or_lost_and_what_is_undecided_is_told(tmp_path: Path, part: int) -> None:
    told: Counter[str] = Counter()
    for seed in range(FIRST + part, FIRST + SEEDS, PARTS):
        with ImapWorld() as world:
            home = Home(world, tmp_path / str(seed))
            posting = Posting(home, seed)
            try:
                posting.live()
                told += posting.judge()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            finally:
                home.close()
    print(f"imap {part}: {dict(told)}")
    assert told
