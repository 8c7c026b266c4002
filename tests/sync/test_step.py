"""One round of one mailbox."""

from __future__ import annotations

import errno

import pytest

from crmmail.errors import (
    AuthRequired,
    CursorExpired,
    Offline,
    Rejected,
    ScopeRequired,
    StoreError,
    Transient,
)
from crmmail.model import OpState, Phase, State
from crmmail.ops import Verb
from tests.sync.conftest import Desk


def filled(desk: Desk, count: int = 5) -> Desk:
    for number in range(count):
        desk.place.arrive(number)
    desk.settle()
    desk.place.calls.clear()
    return desk


# The first fill and what follows


def test_a_first_fill_ends_synced_with_everything_here(desk: Desk) -> None:
    for number in range(35):
        desk.place.arrive(number)
    outcome = desk.step()
    assert outcome.phase is Phase.SYNCED
    assert outcome.changed == 35
    assert desk.agree()


def test_the_newest_messages_are_readable_while_older_ones_still_come(desk: Desk) -> None:
    for number in range(30):
        desk.place.arrive(number)
    desk.remote.script["page"] = [None, Offline("Gone.")]
    assert desk.step().phase is Phase.OFFLINE
    assert set(desk.here()) == {f"m{number}" for number in range(20, 30)}
    assert desk.store.message(desk.id("m29")).body is not None  # type: ignore[union-attr]


def test_a_fill_that_broke_off_goes_on_and_does_not_fetch_twice(desk: Desk) -> None:
    for number in range(30):
        desk.place.arrive(number)
    desk.remote.script["page"] = [None, Offline("Gone."), None, Offline("Again.")]
    desk.settle()
    assert desk.agree()
    assert desk.store.statuses()["a"].phase is Phase.SYNCED


def test_progress_is_said_while_filling(desk: Desk) -> None:
    for number in range(30):
        desk.place.arrive(number)
    said = []
    desk.remote.before_page = lambda: said.append(desk.store.statuses().get("a"))
    desk.step()
    assert [(status.phase, status.done, status.total) for status in said[1:]] == [  # type: ignore[union-attr]
        (Phase.FILLING, 10, 30),
        (Phase.FILLING, 20, 30),
    ]


def test_another_clients_changes_arrive(desk: Desk) -> None:
    filled(desk)
    desk.place.change("m1", State(frozenset({"inbox"}), unread=False, starred=True))
    desk.place.change("m2", None)
    desk.place.arrive(9)
    assert desk.step().phase is Phase.SYNCED
    assert desk.agree()


def test_a_second_step_changes_nothing(desk: Desk) -> None:
    filled(desk)
    desk.do(Verb.TRASH, "m1")
    desk.step()
    written = list(desk.place.ledger)
    outcome = desk.step()
    assert (outcome.changed, outcome.pushed, desk.place.ledger) == (0, 0, written)


# The user's acts


def test_acts_reach_the_server_and_the_echo_changes_nothing(desk: Desk) -> None:
    filled(desk)
    desk.do(Verb.TRASH, "m1", "m2")
    desk.do(Verb.FAVORITE, "m3")
    outcome = desk.step()
    assert (outcome.pushed, outcome.changed) == (3, 0)
    assert desk.place.messages["m1"].folders == {"trash"}
    assert desk.place.messages["m3"].starred
    assert desk.agree()


def test_twenty_trashes_are_one_call(desk: Desk) -> None:
    filled(desk, 20)
    desk.do(Verb.TRASH, *(f"m{number}" for number in range(20)))
    desk.step()
    assert [call for call in desk.place.calls if call.startswith("apply")] == ["apply 20"]


def test_acts_made_during_a_long_fill_are_pushed_between_its_pages(desk: Desk) -> None:
    for number in range(40):
        desk.place.arrive(number)
    pages = []

    def act() -> None:
        pages.append(None)
        if len(pages) == 2:
            desk.do(Verb.FAVORITE, "m39")

    desk.remote.before_page = act
    desk.step()
    order = [call for call in desk.place.calls if call == "page" or call.startswith("wish")]
    assert order == ["page", "page", "wish m39", "page", "page"]


def test_a_refused_act_comes_back_with_its_sentence_and_the_others_are_made(desk: Desk) -> None:
    filled(desk)
    desk.remote.answers["m1"] = [Rejected("The label is read-only.")]
    desk.do(Verb.TRASH, "m1", "m2")
    outcome = desk.step()
    assert (outcome.pushed, outcome.rejected) == (1, 1)
    assert desk.agree()
    assert [(op.remote_id, op.state, op.error) for op in desk.store.outbox()] == [
        ("m1", OpState.REJECTED, "The label is read-only.")
    ]


def test_a_refusal_that_names_no_message_is_narrowed_down_to_the_one_it_means(desk: Desk) -> None:
    filled(desk, 16)
    desk.do(Verb.TRASH, *(f"m{number}" for number in range(16)))
    plain = desk.remote.apply

    def picky(wishes):  # type: ignore[no-untyped-def]
        if any(wish.remote_id == "m5" for wish in wishes):
            raise Rejected("One of them is bad.")
        yield from plain(wishes)

    desk.remote.apply = picky  # type: ignore[method-assign]
    outcome = desk.step()
    assert (outcome.pushed, outcome.rejected) == (15, 1)
    assert "trash" not in desk.here()["m5"].folders
    assert desk.pending() == 0


def test_an_act_on_a_vanished_message_is_reported_and_leaves_nothing_waiting(desk: Desk) -> None:
    filled(desk)
    reports: list[tuple[int, str]] = []
    desk.store.subscribe(lambda change: reports.extend(change.rejected))
    del desk.place.messages["m1"]
    desk.place.history.append("m1")
    desk.do(Verb.FAVORITE, "m1")
    assert desk.settle().phase is Phase.SYNCED
    assert "m1" not in desk.here()
    assert desk.pending() == 0
    assert [sentence for _act, sentence in reports] == ["The message no longer exists on the server."]


def test_deleting_for_good_what_is_gone_already_is_no_refusal(desk: Desk) -> None:
    filled(desk)
    desk.do(Verb.TRASH, "m1")
    desk.settle()
    desk.do(Verb.DELETE, "m1")
    desk.place.change("m1", None)
    assert desk.settle().phase is Phase.SYNCED
    assert desk.store.outbox() == []


def test_a_failure_of_one_message_delays_that_one_alone(desk: Desk) -> None:
    filled(desk)
    desk.remote.answers["m1"] = [Transient("Inner error.", status=500)]
    desk.do(Verb.TRASH, "m1", "m2")
    outcome = desk.step()
    assert outcome.error is None
    assert outcome.pushed == 1
    assert outcome.phase is Phase.SYNCING
    assert "1 change" in outcome.sentence
    desk.clock.advance(outcome.wait)
    assert desk.step().phase is Phase.SYNCED
    assert desk.agree()


def test_a_throttled_message_in_a_batch_holds_the_whole_mailbox_as_told(desk: Desk) -> None:
    filled(desk)
    desk.remote.answers["m1"] = [Transient("Slow down.", status=429, retry_after=40)]
    desk.do(Verb.TRASH, "m1", "m2")
    outcome = desk.step()
    assert outcome.phase is Phase.WAITING
    assert outcome.wait >= 40
    calls = list(desk.place.calls)
    desk.clock.advance(39)
    desk.step()
    assert desk.place.calls == calls
    desk.clock.advance(3)
    desk.settle()
    assert desk.agree()


def test_a_message_without_an_answer_is_asked_again(desk: Desk) -> None:
    filled(desk)
    plain = desk.remote.apply
    desk.remote.apply = lambda wishes: iter(())  # type: ignore[method-assign]
    desk.do(Verb.TRASH, "m1")
    assert desk.step().pushed == 0
    assert desk.pending() == 1
    desk.remote.apply = plain  # type: ignore[method-assign]
    desk.settle()
    assert desk.agree()


def test_what_was_answered_before_the_connection_broke_is_kept(desk: Desk) -> None:
    filled(desk)
    desk.do(Verb.TRASH, "m1", "m2", "m3")
    desk.remote.script["wish"] = [None, None, Offline("Gone.")]
    assert desk.step().phase is Phase.OFFLINE
    assert desk.pending() == 1
    desk.settle()
    assert sorted(desk.place.ledger) == ["m1", "m2", "m3"]
    assert desk.agree()


def test_acts_go_on_while_offline_and_drain_in_order(desk: Desk) -> None:
    filled(desk)
    desk.remote.script["apply"] = [Offline("Gone.")] * 3
    for verb in (Verb.FAVORITE, Verb.READ, Verb.TRASH):
        desk.do(verb, "m1")
        assert desk.step().phase is Phase.OFFLINE
    assert desk.here()["m1"] == State(frozenset({"trash"}), unread=False, starred=True)
    desk.settle()
    assert desk.place.ledger == ["m1"]
    assert desk.agree()


def test_what_a_dead_process_had_claimed_is_sent_after_the_restart(desk: Desk) -> None:
    filled(desk)
    desk.do(Verb.TRASH, "m1")
    assert desk.store.claim("a", 10)
    desk.restart()
    desk.step()
    assert desk.place.messages["m1"].folders == {"trash"}


# Trouble


def test_after_a_told_wait_no_call_is_made_before_its_time_whatever_wakes_us(desk: Desk) -> None:
    filled(desk)
    desk.remote.script["changes"] = [Transient("Slow down.", status=429, retry_after=30)]
    assert desk.step().wait >= 30
    desk.place.calls.clear()
    desk.do(Verb.TRASH, "m1")
    for _ in range(29):
        desk.clock.advance(1)
        assert desk.step().phase is Phase.WAITING
    assert desk.place.calls == []
    desk.clock.advance(3)
    assert desk.step().phase is Phase.SYNCED


def test_failures_in_a_row_wait_longer_and_longer(desk: Desk) -> None:
    filled(desk)
    desk.remote.script["changes"] = [Transient("Broken.", status=500)] * 8
    waits = []
    for _ in range(8):
        outcome = desk.step()
        waits.append(outcome.wait)
        desk.clock.advance(outcome.wait)
    assert all(1 <= wait <= 64 for wait in waits)
    assert waits[-1] > waits[3] > waits[0]
    assert desk.step().phase is Phase.SYNCED


def test_offline_is_tried_again_at_once_when_woken(desk: Desk) -> None:
    filled(desk)
    desk.remote.script["changes"] = [Offline("No network.")]
    assert desk.step().phase is Phase.OFFLINE
    assert desk.step().phase is Phase.SYNCED


def test_an_ended_session_keeps_the_queue_and_is_not_tried_until_resumed(desk: Desk) -> None:
    filled(desk)
    desk.remote.script["apply"] = [AuthRequired("The session has ended.", next_step="Sign in again.")]
    desk.do(Verb.TRASH, "m1")
    outcome = desk.step()
    assert (outcome.phase, outcome.sentence) == (Phase.SIGN_IN, "The session has ended.")
    assert desk.store.statuses()["a"].next_step == "Sign in again."
    calls = len(desk.place.calls)
    desk.do(Verb.TRASH, "m2")
    assert desk.step().phase is Phase.SIGN_IN
    assert len(desk.place.calls) == calls
    desk.sync.resume()
    assert desk.step().pushed == 2
    assert desk.agree()


@pytest.mark.parametrize("raised", [True, False])
def test_a_missing_permission_delays_only_the_acts_that_need_it(desk: Desk, raised: bool) -> None:
    filled(desk)
    desk.do(Verb.TRASH, "m1")
    desk.settle()
    lacking = ScopeRequired("Deleting for good needs a wider permission.", scope="full")
    if raised:
        desk.remote.script["apply"] = [lacking]
    else:
        desk.remote.answers["m1"] = [lacking]
    desk.do(Verb.DELETE, "m1")
    desk.do(Verb.FAVORITE, "m2")
    outcome = desk.step()
    assert desk.place.messages["m2"].starred
    assert "m1" in desk.place.messages
    assert outcome.phase is Phase.SIGN_IN
    assert desk.sync.scope_wanted == "full"
    desk.sync.resume()
    assert desk.step().phase is Phase.SYNCED
    assert desk.sync.scope_wanted == ""
    assert desk.agree()


def test_an_expired_cursor_is_read_over_without_doubles_or_losses(desk: Desk) -> None:
    filled(desk, 25)
    desk.place.change("m3", None)
    desk.place.change("m4", State(frozenset({"trash"}), unread=False))
    desk.place.arrive(30)
    desk.do(Verb.FAVORITE, "m5")
    desk.place.forget()
    assert desk.settle().phase is Phase.SYNCED
    assert desk.agree()
    assert len(desk.store.acts(10)) == 1


def test_a_server_that_forgets_every_cursor_is_not_read_for_ever(desk: Desk) -> None:
    filled(desk)
    fills = 0
    for _ in range(50):
        desk.place.forget()
        desk.place.calls.clear()
        outcome = desk.step()
        fills += "page" in desk.place.calls
        desk.clock.advance(max(outcome.wait, 1))
        if desk.clock.ticks > 3600:
            break
    assert fills <= 4


def test_a_server_that_forgets_even_while_it_is_read_over_is_waited_for(desk: Desk) -> None:
    filled(desk)
    desk.place.forget()
    desk.remote.script["page"] = [CursorExpired("Forgotten again.")]
    outcome = desk.step()
    assert isinstance(outcome.error, CursorExpired)
    assert outcome.wait >= 1
    desk.settle()
    assert desk.agree()


def test_a_full_disk_pauses_with_a_sentence_and_goes_on_when_there_is_space(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(desk)
    desk.place.arrive(7)
    ingest = desk.store.ingest

    def full(*_: object) -> None:
        raise StoreError("The disk is full.", next_step="Free some space.")

    monkeypatch.setattr(desk.store, "ingest", full)
    outcome = desk.step()
    assert (outcome.phase, outcome.sentence, outcome.next_step) == (
        Phase.PAUSED,
        "The disk is full.",
        "Free some space.",
    )
    monkeypatch.setattr(desk.store, "ingest", ingest)
    assert desk.settle().phase is Phase.SYNCED
    assert desk.agree()


def test_no_space_for_the_operating_system_is_told_the_same_way(desk: Desk) -> None:
    filled(desk)
    desk.remote.script["changes"] = [OSError(errno.ENOSPC, "x")]  # type: ignore[list-item]
    assert desk.step().phase is Phase.PAUSED


def test_a_defect_is_said_logged_by_class_and_place_and_tried_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    filled(desk)
    desk.remote.script["changes"] = [KeyError("Dear Ana")]  # type: ignore[list-item]
    with caplog.at_level("INFO", "crmmail.sync"):
        outcome = desk.step()
    assert outcome.phase is Phase.ERROR
    assert "KeyError at place.py" in caplog.text
    assert "Ana" not in caplog.text
    desk.clock.advance(outcome.wait)
    assert desk.step().phase is Phase.SYNCED


def test_the_log_holds_no_sentence_of_a_server(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    filled(desk)
    desk.remote.script["changes"] = [Transient("Dear Ana", status=503, reason="busy\nevil: Ana")]
    with caplog.at_level("DEBUG", "crmmail.sync"):
        desk.step()
    assert "Transient (503 busy)" in caplog.text
    assert "Ana" not in caplog.text


def test_a_server_that_sends_one_page_for_ever_is_left_alone(desk: Desk) -> None:
    filled(desk)
    page = next(desk.remote.changes("", lambda ids: frozenset()))

    def circle(cursor, known):  # type: ignore[no-untyped-def]
        while True:
            yield page

    plain, desk.remote.changes = desk.remote.changes, circle  # type: ignore[method-assign]
    outcome = desk.step()
    assert isinstance(outcome.error, Transient)
    desk.remote.changes = plain  # type: ignore[method-assign]
    desk.clock.advance(outcome.wait)
    assert desk.step().phase is Phase.SYNCED
    assert desk.agree()


def test_a_clock_set_back_two_hours_delays_nothing(desk: Desk) -> None:
    filled(desk)
    desk.remote.answers["m1"] = [Transient("Inner error.", status=500)]
    desk.do(Verb.TRASH, "m1")
    desk.remote.script["changes"] = [None, Transient("Busy.", status=503, retry_after=20)]
    desk.step()
    desk.clock.now -= 7200
    desk.clock.advance(16)
    outcome = desk.step()
    assert outcome.pushed == 1
    desk.clock.advance(25)
    assert desk.step().phase is Phase.SYNCED


# Honest status


def test_synced_is_not_said_while_the_server_counts_more(desk: Desk) -> None:
    filled(desk)
    desk.place.count_off_by = 2
    outcome = desk.step()
    assert outcome.phase is Phase.SYNCING
    assert "2 messages" in outcome.sentence
    assert desk.store.statuses()["a"].missing == {"inbox": 2}


def test_counts_that_keep_differing_are_repaired_by_reading_everything_once_an_hour(desk: Desk) -> None:
    filled(desk)
    desk.place.count_off_by = 1
    fills = []
    start = desk.clock.ticks
    while desk.clock.ticks < start + 3 * 3600:
        desk.place.calls.clear()
        outcome = desk.step()
        if "page" in desk.place.calls:
            fills.append(desk.clock.ticks)
        desk.clock.advance(max(outcome.wait, 1.0))
    assert 2 <= len(fills) <= 3
    desk.place.count_off_by = 0
    assert desk.step().phase is Phase.SYNCED


def test_a_message_lost_here_comes_back_by_the_repair(desk: Desk) -> None:
    filled(desk)
    from crmmail.model import Page

    desk.store.ingest("a", Page(desk.store.cursor("a"), removals=("m2",)))
    for _ in range(4):
        desk.clock.advance(desk.step().wait)
    assert desk.agree()
    assert desk.store.statuses()["a"].phase is Phase.SYNCED


def test_waiting_acts_keep_synced_from_being_said(desk: Desk) -> None:
    filled(desk)
    desk.remote.answers["m1"] = [Transient("Inner error.", status=500)] * 3
    desk.do(Verb.TRASH, "m1")
    assert desk.step().phase is Phase.SYNCING


# Bodies


def test_bodies_follow_the_list_newest_first(desk: Desk) -> None:
    desk.remote.whole = False
    for number in range(25):
        desk.place.arrive(number)
    outcome = desk.settle()
    asked = [call.split()[1] for call in desk.place.calls if call.startswith("bodies")]
    assert asked == ["m24", "m14", "m4"]
    assert outcome.phase is Phase.SYNCED
    assert not desk.store.unfetched("a", 1)


def test_the_body_the_user_wants_is_fetched_before_everything_else(desk: Desk) -> None:
    desk.remote.whole = False
    for number in range(40):
        desk.place.arrive(number)
    desk.remote.script["page"] = [None, None, Offline("Gone.")]
    desk.step()
    desk.place.calls.clear()
    desk.sync.want("m25")
    desk.step()
    assert desk.place.calls[0] == "bodies m25"
    assert desk.store.message(desk.id("m25")).body is not None  # type: ignore[union-attr]


def test_a_body_wanted_during_a_fill_does_not_wait_for_its_end(desk: Desk) -> None:
    desk.remote.whole = False
    for number in range(40):
        desk.place.arrive(number)
    pages = []

    def wish() -> None:
        pages.append(None)
        if len(pages) == 2:
            desk.sync.want("m35")

    desk.remote.before_page = wish
    desk.step()
    order = [call for call in desk.place.calls if call == "page" or call.startswith("bodies")]
    assert order[:4] == ["page", "page", "bodies m35", "page"]


def test_a_body_the_server_does_not_give_is_not_asked_for_again_and_again(desk: Desk) -> None:
    desk.remote.whole = False
    for number in range(12):
        desk.place.arrive(number)
    desk.place.withheld = {"m11", "m3"}
    desk.settle()
    asked = []
    for _ in range(4):
        desk.place.calls.clear()
        desk.step()
        asked.append([call for call in desk.place.calls if call.startswith("bodies")])
    assert asked == [["bodies m11 m3"], [], [], []]
    desk.place.withheld = set()
    desk.sync.want("m3")
    desk.step()
    assert desk.store.message(desk.id("m3")).body is not None  # type: ignore[union-attr]


def test_one_refused_body_does_not_keep_back_the_others(desk: Desk) -> None:
    desk.remote.whole = False
    for number in range(5):
        desk.place.arrive(number)
    desk.remote.script["bodies"] = [Rejected("One of them is too large.")]
    desk.settle()
    assert not desk.store.unfetched("a", 10)


# Interruptions


def test_an_interrupted_step_ends_at_the_next_page_and_the_next_goes_on(desk: Desk) -> None:
    for number in range(40):
        desk.place.arrive(number)
    pages = []

    def stop() -> None:
        pages.append(None)
        if len(pages) == 2:
            desk.sync.interrupt()

    desk.remote.before_page = stop
    assert desk.step().more
    assert len(pages) == 2
    calls = len(desk.place.calls)
    desk.step()
    assert len(desk.place.calls) == calls
    desk.remote.before_page = lambda: None
    desk.sync.resume()
    assert desk.step().phase is Phase.SYNCED
    assert desk.agree()


def test_polls_slow_down_when_nothing_happens_and_quicken_with_new_mail(desk: Desk) -> None:
    filled(desk)
    waits = []
    for _ in range(12):
        waits.append(desk.step().wait)
    assert waits[-1] == 300
    desk.place.arrive(9)
    assert desk.step().wait == 15
