"""A CRM's rounds: what waits is logged once and in order, changes are mirrored, trouble is said, nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from crmmail.crm.model import (
    Account,
    CrmAck,
    CrmCapabilities,
    CrmOp,
    CrmPage,
    LogEntry,
    RemoteAccount,
    TimelineEntry,
)
from crmmail.errors import AuthRequired, CursorExpired, Offline, Rejected, StoreError, Transient
from crmmail.model import Change, Phase, Status
from crmmail.remotes.crm import Mirrored
from crmmail.sync.crm import FUSE_FROM, PORTION, CrmSync
from crmmail.sync.crm_thread import CrmWorker
from tests.remotes.crm_world import log
from tests.waiting import Clock


@dataclass
class Desk:
    """The store's side in memory: a queue, a mirror, what was said."""

    queue: dict[str, LogEntry] = field(default_factory=dict)
    sending: set[str] = field(default_factory=set)
    logged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    cursor: str = ""
    pages: list[CrmPage] = field(default_factory=list)
    accounts: set[str] = field(default_factory=set)
    said: list[Status] = field(default_factory=list)
    broken: Exception | None = None
    registered: object = None
    settled: str = ""
    stuck: int = 0  # queued, and waiting for something else
    timelines: dict[str, list[str]] = field(default_factory=dict)
    callback: Callable[[Change], None] = lambda _change: None

    def crm_cursor(self, crm: str) -> str:
        return self.cursor

    def mirror(self, crm: str, page: CrmPage) -> Change:
        if self.broken:
            raise self.broken
        self.pages.append(page)
        self.cursor = page.cursor
        self.accounts |= {one.remote_id for one in page.accounts}
        self.accounts -= set(page.gone_accounts)
        return Change()

    def mirrored(self, crm: str) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.accounts), frozenset()

    def register_crm(self, name: str, capabilities: CrmCapabilities) -> None:
        self.registered = (name, capabilities)

    def settle_crm(self, crm: str, place: str) -> None:
        self.settled = place

    def log_step(self) -> bool:
        return False

    def claim_log(self, crm: str, limit: int) -> Sequence[CrmOp]:
        due = [key for key in self.queue if key not in self.sending][:limit]
        self.sending |= set(due)
        return [self.queue[key] for key in due]

    def acknowledge_log(self, crm: str, acks: Sequence[CrmAck]) -> None:
        for ack in acks:
            del self.queue[ack.key]
            if ack.error is None:
                self.logged.append(ack.key)
            else:
                self.failed[ack.key] = str(ack.error)

    def release_log(self, crm: str) -> None:
        self.sending.clear()

    def log_waiting(self, crm: str) -> tuple[int, float]:
        return len(self.queue) + self.stuck, 0.0 if self.stuck else math.inf

    def account(self, uid: str) -> Account | None:
        return Account(uid, "Acme", crm="crm", remote_id=f"r{uid}") if uid in self.accounts else None

    def keep_timeline(self, account: str, entries: Iterable[TimelineEntry]) -> None:
        self.timelines[account] = [entry.title for entry in entries]

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        self.callback = callback
        return lambda: None

    def say(self, status: Status) -> None:
        self.said.append(status)

    def put(self, *numbers: int) -> None:
        for number in numbers:
            key = f"<{number}@x.example>"
            self.queue[key] = log("1", key)


def keys(*numbers: int) -> list[str]:
    return [f"<{number}@x.example>" for number in numbers]


@dataclass
class Place:
    """A CRM of a few lines. `meets` is called with each entry before it is kept."""

    name: str = "crm"
    place: str = "here"
    capabilities: CrmCapabilities = field(default_factory=lambda: CrmCapabilities(log=True))
    entries: list[str] = field(default_factory=list)
    told: list[CrmPage] = field(default_factory=lambda: [CrmPage("1", complete=True)])
    cursors: list[str] = field(default_factory=list)
    meets: Callable[[CrmOp], None] = lambda _op: None
    trouble: Exception | None = None
    silent: bool = False
    closed: bool = False

    def check(self) -> str:
        return "me"

    def changes(self, cursor: str, mirrored: Mirrored) -> Iterator[CrmPage]:
        self.cursors.append(cursor)
        if self.trouble:
            raise self.trouble
        yield from self.told

    def apply(self, ops: Sequence[CrmOp]) -> Iterator[CrmAck]:
        for op in ops:
            try:
                self.meets(op)
            except Rejected as refused:
                yield CrmAck(op.key, error=refused)
                continue
            if op.key not in self.entries:
                self.entries.append(op.key)
            if not self.silent:
                yield CrmAck(op.key, str(len(self.entries)))

    def timeline(self, account: str) -> list[TimelineEntry]:
        if self.trouble:
            raise self.trouble
        return [TimelineEntry(1, "Rui", f"note on {account}")]

    def close(self) -> None:
        self.closed = True


@dataclass
class Scene:
    desk: Desk
    place: Place
    clock: Clock
    sync: CrmSync


@pytest.fixture
def scene() -> Scene:
    desk, place, clock = Desk(), Place(), Clock()
    return Scene(desk, place, clock, CrmSync(desk, place, clock, timer=clock.timer, poll=300))


def fails(error: Exception, *, at: str = "") -> Callable[[CrmOp], None]:
    def meet(op: CrmOp) -> None:
        if at in ("", op.key):
            raise error

    return meet


def test_what_waits_is_logged_in_order_and_said(scene: Scene) -> None:
    scene.desk.put(*range(45))
    outcome = scene.sync.step()
    assert scene.place.entries == scene.desk.logged == keys(*range(45))
    assert (outcome.phase, outcome.logged) == (Phase.SYNCED, 45)
    assert scene.desk.said[-1].phase is Phase.SYNCED
    assert scene.desk.said[-1].mailbox == "crm.crm"
    assert scene.desk.registered == ("crm", scene.place.capabilities)
    assert scene.desk.settled == "here"


def test_what_waits_for_something_else_is_not_asked_for_all_the_time(scene: Scene) -> None:
    scene.desk.stuck = 1
    outcome = scene.sync.step()
    assert (outcome.phase, outcome.wait) == (Phase.SYNCING, pytest.approx(30))


def test_a_crm_that_is_down_keeps_the_queue_and_its_order_and_goes_on_by_itself(scene: Scene) -> None:
    """faults.json X02"""
    scene.desk.put(1, 2, 3)
    scene.place.meets = fails(Offline("down"), at=keys(2)[0])
    outcome = scene.sync.step()
    assert isinstance(outcome.error, Offline)
    assert (scene.desk.logged, list(scene.desk.queue), scene.desk.sending) == (keys(1), keys(2, 3), set())
    assert scene.desk.said[-1].phase is Phase.OFFLINE
    for _ in range(60):
        scene.clock.advance(60)
        assert scene.sync.step().logged == 0
    scene.place.meets = lambda _op: None
    assert scene.sync.step().logged == 2
    assert scene.place.entries == keys(1, 2, 3)


def test_a_wait_the_crm_asks_for_is_kept_even_when_woken(scene: Scene) -> None:
    scene.desk.put(1)
    scene.place.meets = fails(Transient("busy", retry_after=30))
    assert scene.sync.step().wait >= 30
    scene.place.meets = lambda _op: None
    scene.clock.advance(20)
    assert scene.sync.step().logged == 0
    scene.clock.advance(11)
    assert scene.sync.step().logged == 1


def test_a_refused_entry_holds_up_no_other(scene: Scene) -> None:
    scene.desk.put(1, 2, 3)
    scene.place.meets = fails(Rejected("No such account."), at=keys(2)[0])
    outcome = scene.sync.step()
    assert (outcome.logged, outcome.refused) == (2, 1)
    assert scene.desk.failed == {keys(2)[0]: "No such account."}
    assert scene.place.entries == keys(1, 3)


def test_keys_that_no_longer_work_are_a_question_and_keep_the_queue(scene: Scene) -> None:
    scene.desk.put(1)
    scene.place.meets = fails(AuthRequired("The CRM does not accept these keys.", next_step="Connect it again."))
    assert scene.sync.step().phase is Phase.SIGN_IN
    assert scene.desk.said[-1].next_step == "Connect it again."
    assert list(scene.desk.queue) == keys(1)


def test_an_answer_that_never_comes_is_tried_again_and_made_once(scene: Scene) -> None:
    scene.desk.put(1, 2)
    scene.place.silent = True
    assert isinstance(scene.sync.step().error, Transient)
    assert scene.desk.sending == set()
    scene.place.silent = False
    scene.clock.advance(120)
    scene.sync.step()
    assert scene.desk.logged == scene.place.entries == keys(1, 2)


def test_what_a_process_that_died_had_claimed_is_free_again(scene: Scene) -> None:
    scene.desk.put(1)
    scene.desk.claim_log("crm", 5)
    assert scene.sync.step().logged == 1


def test_a_crm_that_cannot_log_is_asked_for_its_accounts_only(scene: Scene) -> None:
    scene.place.capabilities = CrmCapabilities()
    scene.desk.put(1)
    scene.sync.step()
    assert (scene.place.entries, len(scene.desk.pages)) == ([], 1)


def test_the_first_fill_says_how_far_it_is_and_logs_between_its_pages(scene: Scene) -> None:
    scene.place.told = [
        CrmPage("1", progress=(500, 2000)),
        CrmPage("2", progress=(1000, 2000)),
        CrmPage("3", complete=True),
    ]
    put = scene.desk.mirror

    def mirror(crm: str, page: CrmPage) -> Change:
        scene.desk.put(int(page.cursor))
        return put(crm, page)

    scene.desk.mirror = mirror  # type: ignore[method-assign]
    scene.sync.step()
    filling = [(one.done, one.total) for one in scene.desk.said if one.phase is Phase.FILLING]
    assert filling == [(0, 0), (500, 2000), (1000, 2000)]
    assert scene.desk.logged == keys(1, 2, 3)


def test_a_large_page_is_written_in_portions_and_its_cursor_with_the_last(scene: Scene) -> None:
    accounts = tuple(RemoteAccount(str(number), "x") for number in range(2 * PORTION + 1))
    scene.place.told = [
        CrmPage("1", accounts=accounts[:1]),
        CrmPage("2", accounts, gone_accounts=("9",), complete=True),
    ]
    scene.sync.step()
    sizes = [(one.cursor, len(one.accounts), one.gone_accounts, one.complete) for one in scene.desk.pages]
    first, last = ("1", PORTION, (), False), ("2", 1, ("9",), True)
    assert sizes == [("1", 1, (), False), first, first, last]


def test_news_are_asked_for_at_the_pace_that_was_set_and_at_once_when_wished(scene: Scene) -> None:
    assert scene.sync.step().wait == pytest.approx(300)
    scene.clock.advance(100)
    scene.sync.step()
    assert scene.place.cursors == [""]
    scene.sync.look_now()
    scene.sync.step()
    assert scene.place.cursors == ["", "1"]
    scene.clock.advance(301)
    scene.sync.step()
    assert scene.place.cursors == ["", "1", "1"]


def test_a_cursor_the_crm_forgot_is_begun_anew(scene: Scene) -> None:
    scene.desk.cursor = "old"
    scene.place.trouble = CursorExpired("gone")
    scene.sync.step()
    scene.place.trouble = None
    scene.clock.advance(120)
    scene.sync.step()
    assert scene.place.cursors == ["old", ""]


def test_a_full_disk_is_a_pause_and_not_the_end(scene: Scene) -> None:
    scene.desk.put(1)
    scene.desk.broken = StoreError("The disk is full.")
    assert scene.sync.step().phase is Phase.PAUSED
    scene.desk.broken = None
    scene.clock.advance(61)
    assert scene.sync.step().phase is Phase.SYNCED


def test_a_page_that_would_take_most_accounts_away_is_not_applied(scene: Scene) -> None:
    scene.desk.accounts = {str(number) for number in range(2 * FUSE_FROM)}
    gone = tuple(str(number) for number in range(FUSE_FROM + 1))
    scene.place.told = [CrmPage("9", gone_accounts=gone, complete=True)]
    outcome = scene.sync.step()
    assert outcome.phase is Phase.PAUSED
    assert f"{FUSE_FROM + 1} of the {2 * FUSE_FROM} accounts" in outcome.sentence
    assert len(scene.desk.accounts) == 2 * FUSE_FROM
    scene.place.told = [CrmPage("9", gone_accounts=gone[:FUSE_FROM], complete=True)]
    scene.clock.advance(1000)
    assert scene.sync.step().phase is Phase.SYNCED


def test_an_unexpected_defect_is_said_and_the_next_round_works(scene: Scene) -> None:
    scene.place.trouble = ZeroDivisionError("a defect")
    assert scene.sync.step().phase is Phase.ERROR
    scene.place.trouble = None
    scene.clock.advance(300)
    assert scene.sync.step().phase is Phase.SYNCED


def test_the_timeline_of_an_account_somebody_looks_at_is_read_first(scene: Scene) -> None:
    scene.place.capabilities = CrmCapabilities(log=True, timeline=True)
    scene.desk.accounts = {"a"}
    scene.sync.want_timeline("a")
    scene.sync.want_timeline("nobody")
    scene.sync.step()
    assert scene.desk.timelines == {"a": ["note on ra"]}


def test_a_timeline_the_crm_refuses_is_given_up_and_one_it_cannot_give_now_is_asked_for_again(scene: Scene) -> None:
    scene.place.capabilities = CrmCapabilities(log=True, timeline=True)
    scene.desk.accounts = {"a"}
    for trouble in (Rejected("No."), Offline("away")):
        scene.sync.want_timeline("a")
        scene.place.trouble = trouble
        scene.sync.step()
        assert scene.desk.timelines == {}
        scene.clock.advance(1000)
    scene.place.trouble = None
    scene.sync.step()
    assert scene.desk.timelines == {"a": ["note on ra"]}


# The thread


def until(condition: Callable[[], bool]) -> None:
    import time

    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.005)


def test_the_thread_logs_what_it_is_woken_for_and_ends_when_told() -> None:
    desk, place = Desk(), Place()
    worker = CrmWorker(desk, "crm", lambda: place, poll=3600)
    worker.start()
    until(lambda: bool(desk.said) and desk.said[-1].phase is Phase.SYNCED)
    desk.put(1)
    worker.nudge()
    until(lambda: desk.logged == keys(1))
    worker.end()
    worker.join(5)
    assert not worker.is_alive()
    assert place.closed


def test_the_thread_hears_of_mail_that_arrives_and_never_wakes_itself() -> None:
    desk, place = Desk(), Place()
    worker = CrmWorker(desk, "crm", lambda: place, poll=3600)
    worker.start()
    until(lambda: bool(desk.said) and desk.said[-1].phase is Phase.SYNCED)
    rounds = len(desk.said)
    desk.put(1)
    desk.callback(Change(arrived=frozenset({1})))
    until(lambda: desk.logged == keys(1))
    until(lambda: len(desk.said) > rounds)
    worker.end()
    worker.join(5)


def test_a_crm_that_cannot_even_be_connected_says_why_and_is_tried_again_when_resumed() -> None:
    desk, place = Desk(), Place()
    trouble: list[Exception] = [AuthRequired("The CRM's keys are not on this computer.", next_step="Connect it again.")]

    def connect() -> Place:
        if trouble:
            raise trouble[0]
        return place

    worker = CrmWorker(desk, "crm", connect, poll=3600)
    worker.start()
    until(lambda: bool(desk.said) and desk.said[-1].phase is Phase.SIGN_IN)
    trouble.clear()
    worker.resume()
    until(lambda: desk.said[-1].phase is Phase.SYNCED)
    worker.pause()
    until(lambda: desk.said[-1].phase is Phase.PAUSED)
    worker.end()
    worker.join(5)
