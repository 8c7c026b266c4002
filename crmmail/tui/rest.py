"""What is done while the user rests, so that the next key need not wait for it: garbage, lines of the next pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from crmmail.tui import garbage

REST = 0.2  # seconds without a key: later than the preview of the wide layout, sooner than most next keys
PAUSE = 0.002  # seconds between two pieces of what is prepared: a key gets in


class Rest:
    """Notices that the keys pause. `prepare` does a little (1 ms) and answers whether there is more."""

    def __init__(self, prepare: Callable[[], bool]) -> None:
        self._prepare = prepare
        self._key_at = 0.0  # of the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def put_off(self) -> None:
        """A key was pressed."""
        loop = asyncio.get_running_loop()
        self._key_at = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(REST, self._begin)

    def cancel(self) -> None:
        """Nothing is done any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _left(self) -> float:
        """Seconds until this is a rest; one millisecond more or less does not matter."""
        left = self._key_at + REST - asyncio.get_running_loop().time()
        return left if left > 0.001 else 0.0

    def _begin(self) -> None:
        if left := self._left():
            self._timer = asyncio.get_running_loop().call_later(left, self._begin)
        else:
            garbage.collect()
            self._go_on()

    def _go_on(self) -> None:
        """A little of what the next keys will need, again and again until all is there or a key comes."""
        loop = asyncio.get_running_loop()
        more = self._prepare()
        if left := self._left():
            self._timer = loop.call_later(left, self._begin)
        else:
            self._timer = loop.call_later(PAUSE, self._go_on) if more else None
