"""Gmail: the contract, and what only Gmail does."""

from __future__ import annotations

from tests.remotes.contract import RemoteContract
from tests.remotes.world import GmailWorld


class TestGmail(RemoteContract):
    world_kind = GmailWorld
