"""The token bucket."""

from __future__ import annotations

import threading

import pytest

from crmmail.errors import Offline
from crmmail.remotes.pace import Bucket


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_free_and_then_the_rate_counts() -> None:
    clock = Clock()
    bucket = Bucket(80, 1200, clock)
    for _ in range(60):
        bucket.take(20)
    assert bucket.delay(20) == pytest.approx(0.25)
    clock.now += 0.25
    assert bucket.delay(20) == 0


def test_no_minute_exceeds_googles_limit() -> None:
    clock = Clock()
    bucket = Bucket(80, 1200, clock)
    spent = 0
    while clock.now < 60:
        if bucket.delay(300) <= 0:
            bucket.take(300)
            spent += 300
        else:
            clock.now += 0.5
    assert spent <= 6000


def test_a_clock_that_jumps_back_gives_nothing_and_takes_nothing() -> None:
    clock = Clock()
    clock.now = 100
    bucket = Bucket(10, 10, clock)
    bucket.take(10)
    clock.now = 50
    assert bucket.delay(10) == 1
    clock.now = 51
    assert bucket.delay(10) == 0


def test_a_call_dearer_than_the_bucket_goes_out_when_it_is_full() -> None:
    clock = Clock()
    bucket = Bucket(10, 10, clock)
    bucket.take(50)
    assert bucket.delay(10) == 5
    clock.now += 5
    assert bucket.delay(10) == 0


def test_stopping_ends_a_wait() -> None:
    bucket = Bucket(0.001, 1)
    bucket.take(1)
    caught: list[Offline] = []

    def wait() -> None:
        try:
            bucket.take(1)
        except Offline as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    bucket.stop()
    thread.join(5)
    assert len(caught) == 1
