"""faults.json X01 … X04 on the sandbox's SharpSpring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.store import Store
from tests.faults.crm_faults import CrmFaults
from tests.remotes.crm_world import SharpSpringWorld
from tests.store.told import GMAIL


@pytest.fixture
def world() -> Iterator[SharpSpringWorld]:
    made = SharpSpringWorld()
    yield made
    made.close()
    assert made.sandbox.ledger.failures == []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "profile") as opened:
        opened.register(GMAIL)
        yield opened


class TestSharpSpringFaults(CrmFaults):
    pass
