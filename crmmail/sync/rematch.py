"""A thread that looks again at mail whose account may have changed: in small steps, so that nothing waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from crmmail.errors import places
from crmmail.model import Change

AFTER_TROUBLE = 60.0

log = logging.getLogger("crmmail.sync")


class Rematching(Protocol):
    """What it asks of the store."""

    def rematch_step(self) -> bool: ...
    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]: ...


class Rematcher(threading.Thread):
    """Runs until nothing is left, and again when something changed whose mail is whose."""

    def __init__(self, store: Rematching) -> None:
        super().__init__(name="sync-rematch", daemon=True)
        self._store = store
        self._signal = threading.Event()
        self._ending = False
        self._forget = store.subscribe(self._heard)

    def _heard(self, change: Change) -> None:
        if change.crm:
            self._signal.set()

    def end(self) -> None:
        """Stop after the step that runs."""
        self._ending = True
        self._forget()
        self._signal.set()

    def run(self) -> None:
        while not self._ending:
            self._signal.clear()
            wait = self._work()
            if not self._ending:
                self._signal.wait(wait)

    def _work(self) -> float | None:
        """Step until nothing is left; the seconds until it looks again by itself, None for never."""
        try:
            while not self._ending and self._store.rematch_step():
                pass  # a step is short, and lets those who wait for the store go first
        except Exception as error:  # noqa: BLE001 - the edge: a thread never dies quietly
            log.error("rematch: %s at %s", type(error).__name__, places(error))
            return AFTER_TROUBLE
        return None
