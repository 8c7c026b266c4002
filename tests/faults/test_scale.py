"""Row C12: a large mailbox over a connection that breaks every fifty calls. `CRMMAIL_SCALE` sets its size."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from crmmail.sandbox import Sandbox, User
from tests.faults.world import PROVIDERS, World

MESSAGES = int(os.environ.get("CRMMAIL_SCALE", "5000"))
SHARE = {"gmail": 1.0, "outlook": 0.4}  # one call for each body there: the same breaks with fewer messages


def fill(world: World) -> int:
    """Fill the mailbox; the calls it took, parts of batches counted one by one."""
    world.sandbox.ledger.clear()
    world.furnish(int(MESSAGES * SHARE[world.provider]))
    world.settle(rounds=100_000)
    return len(world.sandbox.ledger.requests)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_c12_a_connection_that_breaks_every_fifty_calls_costs_less_than_a_third_more(
    make: Callable[..., World], sandbox: Sandbox, provider: str
) -> None:
    calm = fill(make(provider))
    twin = sandbox.add_user(User(f"second-{provider}@example.com", provider))
    world = make(provider, address=twin.address)
    broken = sandbox.faults.add("reset_before", path=r"/(gmail|batch|v1\.0)", every=50)
    calls = fill(world)
    assert broken.fired >= 5
    sandbox.faults.clear()
    assert calls + broken.fired <= 1.3 * calm
    world.rest()
