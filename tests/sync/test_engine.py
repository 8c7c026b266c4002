"""The threads: none waits for another, none dies, all end at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from crmmail.errors import AuthRequired, Offline, SettingsError
from crmmail.model import Mailbox, Phase, Query
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.sync import Engine, Pace, run_once
from crmmail.sync.terms import Terms
from tests.sync.place import Fake, Place, mailbox

SOON = 10.0  # seconds a condition may take on a busy machine


def until(condition: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, what or "the condition did not come true"
        time.sleep(0.005)


class Slow(Fake):
    """A server that answers nothing until it is let go, or closed."""

    def __init__(self, name: str, place: Place) -> None:
        super().__init__(name, place)
        self.gate = threading.Event()
        self.asked = threading.Event()

    def changes(self, cursor, known):  # type: ignore[no-untyped-def]
        self.asked.set()
        self.gate.wait(60)
        if self.closed:
            raise Offline("Closed.")
        yield from super().changes(cursor, known)

    def close(self) -> None:
        super().close()
        self.gate.set()


class Town:
    """Several mailboxes with their servers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.places: dict[str, Place] = {}
        self.remotes: dict[str, Fake] = {}
        self.connections: list[str] = []
        self.refusals: dict[str, list[Exception]] = {}
        self.engine = Engine(store, self.connect, pace=Pace(shortest=30.0))

    def found(self, name: str, count: int = 3, kind: type[Fake] = Fake) -> Mailbox:
        self.places[name] = Place()
        for number in range(count):
            self.places[name].arrive(number)
        self.remotes[name] = kind(name, self.places[name])
        box = mailbox(name)
        self.store.register(box)
        return box

    def connect(self, box: Mailbox) -> Fake:
        self.connections.append(box.id)
        if errors := self.refusals.get(box.id):
            raise errors.pop(0)
        remote = self.remotes[box.id]
        remote.closed = False
        return remote

    def phase(self, name: str) -> Phase | None:
        status = self.store.statuses().get(name)
        return status.phase if status else None

    def synced(self, name: str) -> None:
        until(lambda: self.phase(name) is Phase.SYNCED, f"{name} is {self.store.statuses().get(name)}")


@pytest.fixture
def town(store: Store) -> Iterator[Town]:
    store.unregister("a")
    town = Town(store)
    yield town
    town.engine.stop(patience=SOON)


def test_every_mailbox_comes_in_agreement_by_itself(town: Town) -> None:
    for name in ("one", "two", "three"):
        town.found(name)
    town.engine.start()
    for name in ("one", "two", "three"):
        town.synced(name)
        assert town.store.count(Query(name)) == 3


def test_a_mailbox_whose_server_hangs_delays_no_other(town: Town) -> None:
    town.found("slow", kind=Slow)
    town.found("quick")
    town.engine.start()
    town.synced("quick")
    assert town.phase("slow") is not Phase.SYNCED


def test_stop_returns_at_once_even_while_a_server_hangs(town: Town) -> None:
    town.found("slow", kind=Slow)
    town.engine.start()
    slow = town.remotes["slow"]
    assert isinstance(slow, Slow)
    assert slow.asked.wait(SOON)
    started = time.monotonic()
    town.engine.stop()
    assert time.monotonic() - started < 0.5
    assert slow.closed


def test_an_act_reaches_the_server_by_a_wake_up_and_not_by_the_next_poll(town: Town) -> None:
    town.found("one")
    town.engine.start()
    town.synced("one")
    message = town.store.find("one", "m1")
    assert message is not None
    town.store.perform(Verb.FAVORITE, [message])
    town.engine.wake("one")
    until(lambda: town.places["one"].messages["m1"].starred)


def test_a_wanted_body_is_fetched(town: Town) -> None:
    town.found("one")
    town.remotes["one"].whole = False
    town.places["one"].withheld = {"m0", "m1", "m2"}
    town.engine.start()
    until(lambda: town.store.count(Query("one")) == 3)
    until(lambda: any(call.startswith("bodies") for call in town.places["one"].calls))
    town.places["one"].withheld = set()
    message = town.store.find("one", "m1")
    assert message is not None
    town.engine.want(message)
    until(lambda: (found := town.store.message(message)) and found.body)


def test_a_paused_mailbox_is_quiet_and_goes_on_when_resumed(town: Town) -> None:
    town.found("one")
    town.engine.start()
    town.synced("one")
    town.engine.pause("one")
    until(lambda: town.phase("one") is Phase.HELD)
    town.places["one"].arrive(9)
    calls = len(town.places["one"].calls)
    town.engine.wake("one")
    until(lambda: town.phase("one") is Phase.HELD)
    assert len(town.places["one"].calls) == calls
    town.engine.resume("one")
    until(lambda: town.store.count(Query("one")) == 4)
    town.synced("one")


def test_a_new_sign_in_connects_anew_and_sends_what_waited(town: Town) -> None:
    town.found("one")
    town.engine.start()
    town.synced("one")
    town.remotes["one"].script["apply"] = [AuthRequired("The session has ended.")]
    message = town.store.find("one", "m1")
    assert message is not None
    town.store.perform(Verb.TRASH, [message])
    town.engine.wake("one")
    until(lambda: town.phase("one") is Phase.SIGN_IN)
    connections = len(town.connections)
    town.engine.wake("one")
    town.engine.resume("one")
    until(lambda: "trash" in town.places["one"].messages["m1"].folders)
    assert len(town.connections) == connections + 1
    town.synced("one")


def test_a_mailbox_that_cannot_be_connected_says_why_and_is_tried_again(town: Town) -> None:
    town.found("one")
    town.refusals["one"] = [SettingsError("The client id is missing.", next_step="Name one.")]
    town.engine.start()
    until(lambda: town.phase("one") is Phase.ERROR)
    assert town.store.statuses()["one"].sentence == "The client id is missing."
    town.engine.wake("one")
    town.synced("one")


def test_a_thread_outlives_any_defect_and_leaves_no_mail_text_in_the_log(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.found("one")
    town.refusals["one"] = [RuntimeError("Dear Ana"), ZeroDivisionError("Dear Ana")]
    with caplog.at_level("INFO", "crmmail.sync"):
        town.engine.start()
        until(lambda: town.phase("one") is Phase.ERROR)
        town.engine.wake("one")
        until(lambda: len(town.connections) >= 2)
        town.engine.wake("one")
        town.synced("one")
    assert "RuntimeError" in caplog.text
    assert "Ana" not in caplog.text


def test_a_status_that_cannot_be_said_does_not_end_the_thread(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.found("one")
    say = town.store.say

    def broken(_: object) -> None:
        raise OSError("No.")

    monkeypatch.setattr(town.store, "say", broken)
    town.engine.start()
    until(lambda: town.connections)
    time.sleep(0.05)
    monkeypatch.setattr(town.store, "say", say)
    town.engine.resume("one")
    town.synced("one")


def test_a_removed_mailbox_is_left_alone(town: Town) -> None:
    town.found("one")
    town.engine.start()
    town.synced("one")
    town.engine.remove("one")
    calls = len(town.places["one"].calls)
    town.engine.wake()
    assert len(town.places["one"].calls) == calls
    assert town.remotes["one"].closed


def test_a_mailbox_added_while_running_is_filled(town: Town) -> None:
    town.engine.start()
    town.engine.add(town.found("new"))
    town.synced("new")


def test_run_once_ends_with_every_mailbox_in_agreement(town: Town) -> None:
    boxes = [town.found("one", 12), town.found("two", 7)]
    town.remotes["two"].whole = False
    outcomes = run_once(town.store, town.connect, boxes)
    assert {name: outcome.phase for name, outcome in outcomes.items()} == {"one": Phase.SYNCED, "two": Phase.SYNCED}
    assert not town.store.unfetched("two", 1)


def test_run_once_waits_as_long_as_its_patience_and_tells_what_went_wrong(town: Town) -> None:
    boxes = [town.found("one"), town.found("two"), town.found("three")]
    town.remotes["one"].script["changes"] = [Offline("No network.")] * 2
    town.remotes["two"].script["changes"] = [Offline("No network.")] * 100
    town.refusals["three"] = [AuthRequired("Nobody has signed in.")]
    slept: list[float] = []
    outcomes = run_once(town.store, town.connect, boxes, patience=30, sleep=slept.append)
    assert outcomes["one"].phase is Phase.SYNCED
    assert (outcomes["two"].phase, str(outcomes["two"].error)) == (Phase.OFFLINE, "No network.")
    assert outcomes["three"].phase is Phase.SIGN_IN
    assert sum(slept) <= 60


def test_a_reader_is_not_kept_waiting_by_the_threads(town: Town) -> None:
    town.found("one", 200)
    town.engine.start()
    slowest = 0.0
    for _ in range(50):
        started = time.perf_counter()
        town.store.window(Query("one"), 0, 50)
        slowest = max(slowest, time.perf_counter() - started)
        time.sleep(0.002)
    town.synced("one")
    assert slowest < 0.5


def test_a_mailbox_the_user_paused_is_not_asked_until_it_is_resumed(town: Town) -> None:
    town.found("one")
    town.found("two")
    paused = {"two"}
    town.engine = Engine(
        town.store, town.connect, pace=None, terms=lambda name: Terms(Pace(0.05, 0.1, 0.05), name in paused)
    )
    town.engine.start()
    town.synced("one")
    until(lambda: town.phase("two") is Phase.HELD)
    assert town.store.count(Query("two")) == 0
    town.engine.resume("two")
    town.synced("two")
