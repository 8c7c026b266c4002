"""A sandbox with one mailbox, and a remote connected to it, for each provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.remotes.world import GmailWorld, GraphWorld, World


@pytest.fixture
def worlds() -> Iterator[Callable[[type[World]], World]]:
    """Makes worlds that end with the test."""
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(kind())


@pytest.fixture
def gmail(worlds: Callable[[type[World]], World]) -> World:
    """A Gmail mailbox on a sandbox of its own."""
    return worlds(GmailWorld)


@pytest.fixture
def outlook(worlds: Callable[[type[World]], World]) -> World:
    """An Outlook mailbox on a sandbox of its own."""
    return worlds(GraphWorld)
