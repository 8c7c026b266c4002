"""Rows K02 and K04 with X01 and X03: the program is ended while the CRM's thread mirrors and logs, and starts again.

In the end the CRM holds one entry a message and none twice, none is lost, what nobody could decide stands in the queue
as a question, and the mirror is the CRM: the sandbox's SharpSpring, a real Tryton, this computer.
`CRMMAIL_CRM_KILLS` sets how many times it is ended in each test.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crmmail.crm import entry
from crmmail.crm.model import LogStatus
from crmmail.sandbox import sharpspring
from crmmail.store import Store
from tests.faults import teller
from tests.remotes import tryton_server
from tests.remotes.crm_world import CrmWorld, LocalWorld, SharpSpringWorld, TrytonWorld, everything
from tests.remotes.tryton_server import PASSWORD, Server

KILLS = int(os.environ.get("CRMMAIL_CRM_KILLS", "4"))
LIVES = 4  # ends of one profile before it may go on in peace
FIRST, MORE = 10, 4  # messages of the first life, and how many arrive in each further one
OF_EACH = ("crm.looked", "crm.written", "crm.answered", "crm.acknowledged", "store.kept")  # passed for every message
CROWD = (250, 400)  # accounts and contacts: several pages, each written in several pieces
ROOT = Path(__file__).parents[2]


class Case:
    """A CRM of its own, a profile of its own, and the process that keeps them in agreement."""

    kind, name = "", teller.CRM
    world: CrmWorld

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.messages, self.renamed = FIRST, 0
        self.begin()
        self.cedro = self.world.add_account("Cedro", "https://cedro.example")
        self.beta = self.world.add_account("Beta", "https://beta.example")
        self.world.add_contact(self.cedro, "Bia Souza", "bia@cedro.example")

    def begin(self) -> None:
        """Make its world."""
        raise NotImplementedError

    def place(self) -> tuple[str, ...]:
        """Where the process finds the CRM."""
        return ()

    def rename(self) -> None:
        """Somebody changes an account in the CRM."""
        self.renamed += 1
        self.world.rename(self.beta, f"Beta {self.renamed}")

    def close(self) -> None:
        self.world.close()

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.faults.teller", str(self.directory), str(self.messages), self.kind]
        return subprocess.Popen(
            [*command, *self.place()],
            cwd=ROOT,
            env={**os.environ, "CRMMAIL_TEST_KEY": self.secret, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    secret = ""

    def run(self, **environment: str) -> int:
        """Run to the end, whichever; the return code (negative: the signal)."""
        process = self.start(**environment)
        output, _ = process.communicate(timeout=120)
        if process.returncode > 0:
            raise AssertionError(output.decode()[-2000:])
        return process.returncode

    def told(self) -> Counter[tuple[str, str]]:
        """(account, Message-ID) of each entry in the CRM, as another client reads it."""
        return Counter((account, entry.key_in(text)) for account, text in self.world.entries())

    def between(self) -> None:
        """After an end: nothing is there twice. More mail is to come, and somebody changes an account in the CRM."""
        assert set(self.told().values()) <= {1}
        self.messages += MORE
        self.rename()

    def judge(self) -> dict[int, LogStatus]:
        """Go on to the end: each message is told once or asks, and the mirror is the CRM. How the messages stand."""
        assert self.run() == 0
        told = self.told()
        for name in ("desk.db", "cache.db"):
            connection = sqlite3.connect(self.directory / "store" / name)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.close()
        with Store.open(self.directory / "store") as store:
            stand = teller.stand(store, self.messages)
            assert sorted(stand) == list(range(1, self.messages + 1)), "no message is lost"
            logged = [number for number, status in stand.items() if status is LogStatus.LOGGED]
            assert told == {(self.cedro, f"<{number}@cedro.example>"): 1 for number in logged}
            self._asks(store, [number for number in stand if number not in logged])
            self._mirrors(store)
        return stand

    def _asks(self, store: Store, undecided: list[int]) -> None:
        """What is not told stands in the queue, with the reason."""
        assert set(undecided) <= set(teller.MOVED)
        asking = {op.key for op in store.log_queue() if op.state == LogStatus.ASK and op.error}
        assert asking == {f"log:<{number}@cedro.example>" for number in undecided}
        assert store.log_waiting(self.name)[0] == 0

    def _mirrors(self, store: Store) -> None:
        assert store.mirrored(self.name) == self.rows()
        assert [row.name for row in store.accounts("beta", 0, 9) if row.name.startswith("Beta")] == [
            f"Beta {self.renamed}" if self.renamed else "Beta"
        ]

    def rows(self) -> tuple[frozenset[str], frozenset[str]]:
        """The ids of the accounts and of the contacts in the CRM."""
        there = everything(self.world.connect())
        return frozenset(there.accounts), frozenset(there.contacts)


class SharpSpringCase(Case):
    kind = "sharpspring"
    world: SharpSpringWorld

    def begin(self) -> None:
        self.world = SharpSpringWorld()
        self.world.company.fill(*CROWD)
        self.secret = self.world.keys[1]

    def place(self) -> tuple[str, ...]:
        return f"{self.world.sandbox.http_url}{sharpspring.PATH}", self.world.keys[0]

    def close(self) -> None:
        super().close()
        assert self.world.sandbox.ledger.failures == []

    def rows(self) -> tuple[frozenset[str], frozenset[str]]:
        tables = self.world.company.tables
        active = (key for key, lead in tables.leads.items() if lead["active"])
        return frozenset(map(str, tables.accounts)), frozenset(map(str, active))


class TrytonCase(Case):
    kind, secret = "tryton", PASSWORD
    world: TrytonWorld
    server: Server

    def begin(self) -> None:
        self.world = TrytonWorld(self.server)
        tryton_server.crowd(self.server, self.world.type, *CROWD)

    def place(self) -> tuple[str, ...]:
        return self.world.relay.listener.url, self.world.database


class LocalCase(Case):
    """This computer: the accounts are the profile's own, and nobody else can change them."""

    kind = name = "local"
    world: LocalWorld

    def begin(self) -> None:
        profile = self.directory / "store"
        self.world = LocalWorld(Store.open(profile), profile)

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        self.world.store.close()  # there is one program on a profile at a time
        return super().start(**environment)

    def rename(self) -> None:
        """There is nobody."""

    def rows(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(), frozenset()


@dataclass
class Calm:
    """The points passed when nobody interferes, by name, how often each is; and how long it takes."""

    points: Counter[str]
    seconds: float


Make = Callable[[Path], Case]


@pytest.fixture(scope="module", params=["sharpspring", "local", "tryton"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    if request.param == "tryton":
        tryton_server.needed()
        with tryton_server.running() as TrytonCase.server:
            yield TrytonCase
    else:
        yield {"sharpspring": SharpSpringCase, "local": LocalCase}[request.param]


@pytest.fixture(scope="module")
def calm(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    case = make(tmp_path_factory.mktemp("calm") / "case")
    log = case.directory / "points"
    started = time.monotonic()
    assert case.run(CRMMAIL_FAULT_LOG=str(log)) == 0
    seconds = time.monotonic() - started
    stand = case.judge()
    case.close()
    assert {stand[number] for number in teller.MOVED} == {LogStatus.ASK}
    return Calm(Counter(log.read_text().split()), seconds)


def lives(make: Make, tmp_path: Path, count: int) -> Iterator[Case]:
    """A case for each end; after `LIVES` of them, or the last, it is judged."""
    for number in range(count):
        if number % LIVES == 0:
            case = make(tmp_path / f"case{number}")
        yield case
        case.between()
        if number % LIVES == LIVES - 1 or number == count - 1:
            case.judge()
            case.close()


def test_k02_ended_at_a_named_point_each_message_is_told_once(make: Make, calm: Calm, tmp_path: Path) -> None:
    names = sorted(name for name in calm.points if name.startswith(("crm.", "store.log", "store.kept")))
    assert {"crm.claimed", "crm.answered", "crm.acknowledged", "crm.mirrored", "store.log_claimed"} < set(names)
    rng = random.Random(os.environ.get("CRMMAIL_SEED", "2"))
    rng.shuffle(names)
    worst = ("crm.written", "store.kept")  # it is there and we have not heard of it
    names.sort(key=lambda name: name not in worst)
    assert names[0] in worst
    ended = 0
    for number, case in enumerate(lives(make, tmp_path, KILLS)):
        name = names[number % len(names)]
        often = 1 + calm.points[name] // 3 if number % LIVES == 0 else MORE if name in OF_EACH else 1
        ended += case.run(CRMMAIL_FAULT_AT=f"{name}:{rng.randint(1, often)}") == -signal.SIGKILL
    assert ended > KILLS // 2


def test_k04_ended_at_any_moment_each_message_is_told_once(make: Make, calm: Calm, tmp_path: Path) -> None:
    rng = random.Random(os.environ.get("CRMMAIL_SEED", "4"))
    for case in lives(make, tmp_path, KILLS):
        process = case.start()
        try:
            process.wait(rng.uniform(0.4, 1.0) * calm.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
