"""For row K01: a mailbox of its own, the process that sends from it, and the verdict on what became of its mail.

`CRMMAIL_KILLS` sets how many steps are tried for each provider (0: every one; not set: the first of each kind).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from crmmail.model import SendState
from crmmail.sandbox import Sandbox, User, mime
from crmmail.store import Store
from tests.faults import ended
from tests.faults.poster import SIZES
from tests.faults.posting import content
from tests.faults.world import SCOPES

KILLS = os.environ.get("CRMMAIL_KILLS", "")


@dataclass
class Case:
    """A mailbox of its own and the process that sends from it."""

    sandbox: Sandbox
    provider: str
    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True)
        self.address = f"{self.directory.name}@example.com"
        self.sandbox.add_user(User(self.address, self.provider))
        self.server = self.sandbox.users[self.address].mailbox
        self.token = self.sandbox.grants.issue(self.address, SCOPES[self.provider], lifetime=1e9)

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        place = (self.sandbox.http_url, self.token, self.address)
        return ended.started("poster", str(self.directory), self.provider, *place, **environment)

    def run(self, **environment: str) -> int:
        """Run to the end, whichever; the return code (negative: the signal)."""
        return ended.ran(self.start(**environment))

    def judge(self) -> None:
        """Go on to the end: each message went out once, whole, and is seen; nothing is left among the drafts."""
        assert self.run() == 0
        ended.intact(self.directory / "store")
        arrived = Counter(to for entry in self.sandbox.ledger.sends(self.address) for to in entry.detail["recipients"])
        assert arrived == {f"friend{number}@example.net": 1 for number in range(len(SIZES))}
        with Store.open(self.directory / "store") as store:
            assert [one.state for one in store.outgoing()] == [SendState.SEEN] * len(SIZES)
            assert store.drafts() == []
        left = [message for message in self.server.messages.values() if "DRAFT" in message.labels]
        assert left == []
        files = [
            leaf.content
            for message in self.server.messages.values()
            for leaf in mime.leaves(mime.parse(message.raw))
            if leaf.attached
        ]
        assert files == [content(size) for size in SIZES if size]

    def rests(self) -> None:
        """Once more changes nothing there."""
        writes = len(self.sandbox.ledger.accepted(self.address))
        assert self.run() == 0
        assert len(self.sandbox.ledger.accepted(self.address)) == writes


@dataclass
class Calm:
    """The steps of sending, by name and pass, when nobody interferes; and how long it takes."""

    steps: list[str]
    seconds: float


def calm(sandbox: Sandbox, provider: str, directory: Path) -> Calm:
    """What passes when nobody interferes."""
    case = Case(sandbox, provider, directory / f"calm-{provider}")
    log = case.directory / "points"
    started = time.monotonic()
    assert case.run(CRMMAIL_FAULT_LOG=str(log)) == 0
    seconds = time.monotonic() - started
    passed: Counter[str] = Counter()
    steps = []
    for name in log.read_text().split():
        passed[name] += 1
        if name.startswith(("send.", "store.queued", "store.claimed", "store.noted", "store.draft")):
            steps.append(f"{name}:{passed[name]}")
    case.judge()
    return Calm(steps, seconds)


def chosen(steps: list[str]) -> list[str]:
    """Every step, some of them, or the first of each kind and the large message's."""
    if KILLS:
        count = int(KILLS) or len(steps)
        return sorted(set(steps[:: max(1, len(steps) // count)]))
    return [step for step in steps if step.endswith(":1")] + ["send.draft_saved:3", "send.after_send:3"]


def ended_at_each_step(sandbox: Sandbox, provider: str, directory: Path) -> None:
    """Killed at a numbered step, the next process delivers each message once."""
    steps = calm(sandbox, provider, directory).steps
    assert {"send.claimed:1", "send.draft_saved:1", "send.before_send:1", "send.after_send:1"} < set(steps)
    for step in chosen(steps):
        case = Case(sandbox, provider, directory / f"{provider}-{step.replace(':', '-').replace('_', '-')}")
        assert case.run(CRMMAIL_FAULT_AT=step) == -signal.SIGKILL, step
        case.judge()
        if step.startswith("send.after"):
            case.rests()
