"""Row K01: killed again and again, and at moments of no particular kind, each message goes out once."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.sandbox import Sandbox
from tests.faults import ended
from tests.faults.send_kills import KILLS, Case, calm
from tests.faults.world import PROVIDERS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("provider", PROVIDERS)
def test_k01_killed_again_and_again_each_message_goes_out_once(sandbox: Sandbox, tmp_path: Path, provider: str) -> None:
    case = Case(sandbox, provider, tmp_path / f"{provider}-again")
    for step in ("send.after_send:1", "send.draft_saved:1", "send.looked:1", "send.noted:1", "send.before_send:1"):
        if case.run(CRMMAIL_FAULT_AT=step) == 0:
            break
    case.judge()
    case.rests()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_k01_killed_at_random_moments_of_sending(sandbox: Sandbox, tmp_path: Path, provider: str) -> None:
    rng = random.Random(os.environ.get("CRMMAIL_SEED", "4"))
    seconds = calm(sandbox, provider, tmp_path).seconds
    for number in range(int(KILLS or 3) or 100):
        case = Case(sandbox, provider, tmp_path / f"{provider}-moment-{number}")
        ended.killed_after(case.start(), rng.uniform(0.3, 1.0) * seconds)
        case.judge()
