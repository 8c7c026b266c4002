"""Row D01: the disk fills up in the middle of a sync. A real one of 8 MB where the machine lets us make it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmmail.model import Phase
from crmmail.ops import Verb
from tests.faults.world import PROVIDERS, World, letter


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a file system of its own needs the right to mount one")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_d01_a_full_disk_pauses_with_a_sentence_and_syncing_goes_on_when_there_is_space(
    make: Callable[..., World], small_disk: Path, provider: str
) -> None:
    world = make(provider, directory=small_disk / "store")
    world.furnish(12)
    world.settle()
    ballast = small_disk / "ballast"
    fill(ballast)
    for number in range(40):
        world.server.deliver(letter(7000 + number) + incompressible(number))
    outcome = world.step()
    for _ in range(5):
        if outcome.phase is Phase.PAUSED:
            break
        outcome = world.step()
    assert outcome.phase is Phase.PAUSED
    assert "full" in outcome.sentence
    assert outcome.next_step
    assert len(world.here()) >= 12
    ballast.unlink()
    world.clock.advance(outcome.wait)
    targets = world.ids("inbox")[:2]
    world.perform(Verb.TRASH, targets)
    world.settle()
    assert all("trash" in world.there()[one].folders for one in targets)
    world.rest()
    world.reopen()
    world.settle()
    world.rest()


def fill(ballast: Path, leave: int = 300_000) -> None:
    """Leave `leave` bytes of the disk."""
    import os

    free = os.statvfs(ballast.parent)
    ballast.write_bytes(b"x" * max(0, free.f_bavail * free.f_frsize - leave))


def incompressible(seed: int) -> bytes:
    """20 kB of text that does not shrink."""
    import base64
    import random

    return base64.encodebytes(random.Random(seed).randbytes(15_000))
