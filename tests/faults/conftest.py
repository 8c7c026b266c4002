"""A sandbox, a world of each provider, and the watch over what is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crmmail.sandbox import Sandbox
from tests.faults import world as worlds
from tests.faults.world import PROVIDERS, SECRET, World


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with worlds.sandbox() as running:
        yield running


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds, and closes them."""
    made: list[World] = []

    def maker(provider: str, **options: Any) -> World:
        directory = options.pop("directory", tmp_path / f"{provider}{len(made)}")
        made.append(World(sandbox, provider, directory, **options))
        return made[-1]

    yield maker
    for one in made:
        one.close()


@pytest.fixture(params=PROVIDERS)
def world(request: pytest.FixtureRequest, make: Callable[..., World]) -> World:
    """One mailbox of each provider in turn."""
    return make(request.param)


@pytest.fixture(autouse=True)
def discreet(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """No secret and no mail text in our logs, whatever happened."""
    caplog.set_level(logging.DEBUG, "crmmail")
    yield
    for record in caplog.get_records("call"):
        text = record.getMessage() + str(record.exc_text or "")
        assert SECRET not in text
        assert "sandbox." not in text, "a token"
        assert "@" not in text, "an address"
