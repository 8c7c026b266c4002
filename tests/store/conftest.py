"""A store in a fresh directory, a clock that stands still, and short ways to say what a server tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmmail.model import Change
from crmmail.store import Store
from tests.store.told import GMAIL, OUTLOOK, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "profile"


@pytest.fixture
def store(directory: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(directory, clock=clock) as opened:
        opened.register(GMAIL)
        opened.register(OUTLOOK)
        yield opened


@pytest.fixture
def heard(store: Store) -> Callable[[], Change]:
    """What was published since the last call, merged."""
    changes: list[Change] = []
    store.subscribe(changes.append)

    def take() -> Change:
        merged = Change()
        while changes:
            merged |= changes.pop(0)
        return merged

    return take
