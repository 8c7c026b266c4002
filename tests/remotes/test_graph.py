"""Outlook: the contract, and what only Graph does."""

from __future__ import annotations

from tests.remotes.contract import RemoteContract
from tests.remotes.world import GraphWorld


class TestGraph(RemoteContract):
    world_kind = GraphWorld
