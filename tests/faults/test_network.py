"""Rows N01–N07, N09 and R01–R04 of the fault list: what a network and a busy server do to every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from crmmail.model import Phase, Query
from crmmail.ops import Verb
from crmmail.sandbox import Sandbox
from crmmail.sandbox.faults import PRESETS
from crmmail.sync import Outcome
from tests.faults.ordeal import busy, once, through
from tests.faults.world import PROVIDERS, World

API = r"/(gmail|batch|v1\.0)"  # any call to a mail API, none to a token endpoint


def every(world: World, kind: str, **options: Any) -> Callable[[], None]:
    """A fault that hits every third request to the API, until it is cleared."""

    def cause() -> None:
        world.sandbox.faults.add(kind, **{"path": API, "every": 3, "times": 25, **options})

    return cause


def test_undisturbed_a_mailbox_agrees_and_rests(world: World) -> None:
    through(world, lambda: None)


def test_n01_reset_before_the_request_is_read(world: World) -> None:
    through(world, every(world, "reset_unread"))


def test_n02_reset_after_the_request_before_the_answer(world: World) -> None:
    through(world, every(world, "reset_before"))


def test_n02_reset_after_the_work_was_done(world: World) -> None:
    """The answer to a write is lost too: made again, it changes nothing."""
    world.furnish(45)
    world.settle()
    expected = busy(world)
    every(world, "reset_after")()
    world.settle()
    world.sandbox.faults.clear()
    world.settle()
    assert world.there() == expected
    world.rest()


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 33, 80, 150, 300, 500, 700, 1000, 1500, 2500, 4000, 6000])
def test_n03_an_answer_cut_at_any_byte_is_dropped_whole(make: Callable[..., World], cut: int) -> None:
    world = make(PROVIDERS[cut % 2])
    through(world, every(world, "truncate", at=cut, every=4), messages=30)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_n03_a_cut_answer_moves_no_cursor(make: Callable[..., World], provider: str) -> None:
    world = make(provider)
    world.furnish(20)
    world.settle()
    world.server.deliver(b"Subject: x\r\n\r\nx")
    before, picture = world.store.cursor(provider), world.picture()
    world.sandbox.faults.add("truncate", path=API, at=25)
    assert world.step().error is not None
    assert (world.store.cursor(provider), world.picture()) == (before, picture)


@pytest.mark.parametrize("kind", ["bad_json", "wrong_length", "html"])
def test_n04_answers_that_are_no_answers(world: World, kind: str) -> None:
    through(world, every(world, kind))


def test_n05_a_byte_now_and_then_ends_at_the_deadline_and_readers_do_not_wait(world: World) -> None:
    world.furnish(30)
    world.settle()
    world.close()
    world.limits = {"seconds": 0.8, "connect": 0.5, "read": 0.5}
    world.open()
    world.sandbox.faults.add("drip", path=API, seconds=0.2)
    outcomes: list[Outcome] = []
    started = time.monotonic()
    thread = threading.Thread(target=lambda: outcomes.append(world.step()))
    thread.start()
    slowest = 0.0
    while thread.is_alive():
        asked_at = time.perf_counter()
        world.store.window(Query(world.provider), 0, 50)
        slowest = max(slowest, time.perf_counter() - asked_at)
        thread.join(0.01)
    assert time.monotonic() - started < 5
    assert outcomes[0].phase is Phase.OFFLINE
    assert slowest < 0.1
    world.sandbox.faults.clear()
    world.settle()
    world.rest()


def test_n06_a_server_that_never_answers_is_offline_after_the_time_limit(world: World) -> None:
    world.close()
    world.limits = {"seconds": 5.0, "connect": 0.5, "read": 0.4}
    world.open()
    world.furnish(5)
    world.sandbox.faults.add("silent", path=API)
    started = time.monotonic()
    assert world.step().phase is Phase.OFFLINE
    assert time.monotonic() - started < 4
    assert world.store.statuses()[world.provider].phase is Phase.OFFLINE
    world.sandbox.faults.clear()
    world.settle()
    world.rest()


def test_n07_an_endless_body_is_cut_at_the_cap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    world.furnish(5)
    world.settle()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    world.sandbox.faults.add("endless", path=API, rate=200_000_000, times=1)
    assert world.step().error is not None
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024  # KiB; client and server both live in this process
    world.sandbox.faults.clear()
    world.settle()
    world.rest()


def test_n09_a_redirect_to_another_host_is_not_followed_with_the_token(world: World, sandbox: Sandbox) -> None:
    through(world, every(world, "redirect", location="http://localhost:9/stolen", times=4))
    assert {one.host.partition(":")[0] for one in sandbox.ledger.requests} == {"127.0.0.1"}


# Throttling and failing servers


def asked(world: World) -> int:
    return len(world.sandbox.ledger.requests)


def test_r01_nobody_is_called_before_the_time_a_server_named_and_others_go_on(
    make: Callable[..., World], sandbox: Sandbox
) -> None:
    told, free = make("gmail"), make("outlook")
    for world in (told, free):
        world.furnish(10)
        world.settle()
    sandbox.faults.preset("R01", path="/gmail", headers={"Retry-After": "60"})
    assert told.step().phase is Phase.WAITING
    told.perform(Verb.TRASH, told.ids("inbox")[:2])
    silent = asked(told)
    for _ in range(5):
        told.clock.advance(11)
        told.step()
    assert asked(told) == silent
    free.server.deliver(b"Subject: x\r\n\r\nx")
    assert free.step().phase is Phase.SYNCED
    assert len(free.here()) == 11
    told.clock.advance(7)
    told.settle()
    told.rest()


@pytest.mark.parametrize(
    ("row", "shortest", "longest"),
    [("R02", 1, 2), ("R02-negative", 1, 2), ("R02-huge", 3600, 3600), ("R02-absent", 1, 2)],
)
def test_r02_strange_waits_are_clamped(world: World, row: str, shortest: float, longest: float) -> None:
    world.furnish(10)
    world.settle()
    world.sandbox.faults.preset(row, path=API)
    outcome = world.step()
    assert outcome.phase is Phase.WAITING
    assert shortest <= outcome.wait <= longest
    world.settle()
    world.rest()


@pytest.mark.parametrize("row", ["R03", "R03-user"])
def test_r03_gmails_other_word_for_too_fast_is_understood(make: Callable[..., World], row: str) -> None:
    world = make("gmail")
    world.sandbox.faults.preset(row, path=API)
    assert world.step().phase is Phase.WAITING
    through(world, lambda: world.sandbox.faults.preset(row, path=API, times=3), messages=20)


@pytest.mark.parametrize("burst", [1, 2, 5, 20])
def test_r04_bursts_of_server_errors_end_in_success(world: World, burst: int) -> None:
    def cause() -> None:
        for number, status in enumerate((500, 502, 503, 504) * 5, 1):
            if number <= burst:
                world.sandbox.faults.add("status", path=API, nth=(number,), status=status)

    through(world, cause)


def test_r04_waits_grow_while_a_server_keeps_failing(world: World) -> None:
    world.furnish(5)
    world.sandbox.faults.add("status", path=API, status=503)
    waits = []
    for _ in range(9):
        outcome = world.step()
        waits.append(outcome.wait)
        world.clock.advance(outcome.wait)
    assert all(1 <= wait <= 65 for wait in waits)
    assert max(waits) > 30
    world.sandbox.faults.clear()
    world.settle()
    world.rest()


def test_every_preset_of_these_rows_is_survived(world: World) -> None:
    """The sandbox's own reading of the rows, each once on the way."""
    rows = ("N01", "N02", "N03", "N04", "N04-length", "N04-html", "N09", "R01", "R02", "R02-absent", "R03", "R04")
    assert set(rows) <= set(PRESETS)
    world.furnish(30)
    for row in rows:
        world.sandbox.faults.preset(row, path=API)
        world.settle()
        world.sandbox.faults.clear()
        expected = busy(world)
        world.sandbox.faults.preset(row, path=API)
        world.settle()
        world.sandbox.faults.clear()
        world.settle()
        assert world.there() == expected
        once(world)
        for _ in range(20):
            world.server.deliver(b"Subject: refill\r\n\r\nx")
        world.settle()
    world.rest()
