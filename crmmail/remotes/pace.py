"""Staying below a server's quota: a token bucket in the server's own units, on the monotonic clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from crmmail.errors import Offline
from crmmail.i18n import _


class Bucket:
    """`rate` units a second flow in, at most `burst` are kept. Safe for several threads; `stop()` ends all waiting."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._level = burst
        self._at = clock()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def delay(self, units: float) -> float:
        """Seconds until `units` may be spent."""
        with self._lock:
            return self._delay(units)

    def take(self, units: float) -> None:
        """Spend `units`, waiting until they are there. Raises Offline when stopped meanwhile."""
        while True:
            with self._lock:
                seconds = self._delay(units)
                if seconds <= 0:
                    self._level -= units
                    return
            self.rest(seconds)

    def rest(self, seconds: float) -> None:
        """Wait `seconds`, because the server asked for it. Raises Offline when stopped meanwhile."""
        if self._stopped.wait(seconds):
            raise Offline(_("The connection was closed."))

    def stop(self) -> None:
        """End every wait, now and later."""
        self._stopped.set()

    def _delay(self, units: float) -> float:
        now = self._clock()
        self._level = min(self._burst, self._level + max(now - self._at, 0.0) * self._rate)
        self._at = now
        # A call dearer than the whole bucket goes out when the bucket is full; the debt is paid afterwards.
        return max(min(units, self._burst) - self._level, 0.0) / self._rate
