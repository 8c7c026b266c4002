"""How often the server is asked."""

from __future__ import annotations

from crmmail.sync.pace import Pace


def test_quiet_polls_grow_from_fifteen_seconds_to_five_minutes() -> None:
    pace, waits = Pace(), []
    for _ in range(12):
        waits.append(pace.interval)
        pace = pace.quiet()
    assert waits[0] == 15
    assert waits == sorted(waits)
    assert waits[-1] == 300


def test_anything_lively_brings_the_short_interval_back() -> None:
    pace = Pace(interval=300.0)
    assert pace.lively().interval == 15


def test_the_bounds_are_settings() -> None:
    pace = Pace(shortest=60, longest=90, interval=60)
    assert pace.quiet().quiet().quiet().interval == 90
    assert pace.lively().interval == 60
