"""Clocks moved by hand, and waits that pass by them. Light: the processes that tests end import it too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crmmail.remotes.pace import Bucket

NO_QUOTA = 1e9


@dataclass
class Clock:
    """Time of day (`now`) and a monotonic timer, both moved by hand."""

    now: float = 1_790_000_000.0
    ticks: float = 100.0

    def __call__(self) -> float:
        return self.now

    def timer(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.ticks += seconds


class Patient(Bucket):
    """No quota, and a rest takes no time: `advance` moves the clocks by it instead."""

    def __init__(self, advance: Callable[[float], object]) -> None:
        super().__init__(NO_QUOTA, NO_QUOTA)
        self._advance = advance
        self.rested: list[float] = []

    def rest(self, seconds: float) -> None:
        """Wait `seconds` of the test's time. Raises Offline when stopped."""
        super().rest(0.0)
        self.rested.append(seconds)
        self._advance(seconds)
