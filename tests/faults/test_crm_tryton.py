"""faults.json X01 … X04 on a real Tryton, behind a relay that loses its answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.store import Store
from tests.faults.crm_faults import CrmFaults
from tests.remotes import tryton_server
from tests.remotes.crm_world import TrytonWorld
from tests.remotes.tryton_server import Server
from tests.store.told import GMAIL


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    tryton_server.needed()
    with tryton_server.running() as started:
        yield started


@pytest.fixture
def world(server: Server) -> Iterator[TrytonWorld]:
    made = TrytonWorld(server)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "profile") as opened:
        opened.register(GMAIL)
        yield opened


class TestTrytonFaults(CrmFaults):
    messages = 12
