"""Waits that a server asks for, passed by moving a clock: what a test shows needs the moment after, not the wait."""

from __future__ import annotations

from collections.abc import Callable

from crmmail.remotes.pace import Bucket

NO_QUOTA = 1e9


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
