"""Python's garbage collection, moved out of the way of keys.

Left to itself it runs in the middle of a paint: 14 ms of the start, and 11 ms of every twentieth key, for each painted
line is a reference cycle (a strip holds itself in its own caches). Here it runs while the user rests; the automatic
one stays as a safety net for keys held down and for long fills.
"""

from __future__ import annotations

import gc

NET = (25_000, 20, 100)  # allocations before the automatic one: some 4 s of a key held down, 3 ms a time
WORTH_IT = 1_000  # allocations; below, a collection would cost more than it brings
YOUNG_ONES = 20  # collections of what is young to one of everything


def pause() -> None:
    """No collection until `resume`: nothing made during the start is garbage."""
    gc.disable()


def resume() -> None:
    """From now on automatically, but seldom. What there is stays: later collections need not walk through it."""
    gc.freeze()
    gc.set_threshold(*NET)
    gc.enable()


def collect() -> None:
    """Nobody waits: 1 ms for what is young, each twentieth time 10 ms for everything."""
    young, times, _old = gc.get_count()
    if young + times * NET[0] >= WORTH_IT:
        gc.collect(2 if _old >= YOUNG_ONES else 1)
