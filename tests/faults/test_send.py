"""Rows S01–S08, S11–S13, R05 and A07 for Gmail and Graph: whatever happens, a message goes out once or is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from crmmail.model import Address, Draft, Phase, SendState
from crmmail.sandbox import mime
from tests.faults import world as worlds
from tests.faults.posting import OPEN, WAITING, content, deliveries, drafts, once, post, queue, state
from tests.faults.world import PROVIDERS, SCOPES, World

SEND = r"(/drafts/send|/messages/[^/]+/send)(\?|$)"
SAVE = r"(upload/gmail/v1/users/me/drafts|/v1\.0/me/messages)(\?|$)"


@pytest.fixture
def filled(world: World) -> World:
    world.furnish(5)
    for key in [key for key, message in world.server.messages.items() if message.draft_id or "DRAFT" in message.labels]:
        world.server.delete(key)
    world.settle()
    world.sandbox.ledger.clear()
    return world


def test_a_queued_message_goes_out_once_and_is_seen_in_sent_and_here(filled: World) -> None:
    queued = queue(filled, 1)
    post(filled)
    once(filled, queued)
    filled.settle()
    number = filled.store.find(filled.provider, state(filled, queued).remote_id)
    assert number is not None
    assert "sent" in filled.store.states([number])[number][1].folders
    filled.rest()


def test_several_messages_go_out_in_one_step(filled: World) -> None:
    queued = [queue(filled, number) for number in range(5)]
    filled.step()
    assert len(deliveries(filled)) == 5
    post(filled)
    once(filled, *queued)


def test_a_held_message_waits_for_its_time_and_the_step_says_when(filled: World) -> None:
    queued = queue(filled, 1, delay=10.0)
    outcome = filled.step()
    assert deliveries(filled) == []
    assert 0 < outcome.wait <= 10.0
    filled.clock.advance(outcome.wait)
    filled.step()
    assert deliveries(filled) == list(queued.recipients)


@pytest.mark.parametrize("row", ["S01", "S02", "S03", "S04"])
def test_s01_to_s04_a_lost_or_wrong_answer_delivers_once(filled: World, row: str) -> None:
    queued = queue(filled, 1)
    filled.sandbox.faults.preset(row)
    post(filled)
    once(filled, queued)


@pytest.mark.parametrize("kind", ["reset_unread", "reset_before", "reset_after", "truncate", "bad_json", "html"])
@pytest.mark.parametrize("path", [SEND, SAVE])
@pytest.mark.parametrize("times", [1, 3])
def test_every_answer_on_the_way_may_be_lost_several_times(filled: World, kind: str, path: str, times: int) -> None:
    queued = queue(filled, 1)
    fault = filled.sandbox.faults.add(kind, path=path, times=times)
    post(filled)
    assert fault.fired
    once(filled, queued)


def test_after_a_lost_answer_it_is_told_as_unknown_and_not_sent_before_a_look(filled: World) -> None:
    queued = queue(filled, 1)
    filled.sandbox.faults.preset("S03")
    filled.step()
    assert state(filled, queued).state is SendState.UNKNOWN
    assert state(filled, queued).error
    assert filled.store.unsend(queued.id) is None
    post(filled)
    once(filled, queued)
    assert len(filled.sandbox.ledger.asked("/send")) == 1


@pytest.mark.parametrize("lag", [30.0, 120.0, 170.0])
@pytest.mark.parametrize("row", ["", "S03", "S04"])
def test_s05_sent_shows_it_late(filled: World, lag: float, row: str) -> None:
    filled.sandbox.limits.send_lag = lag
    queued = queue(filled, 1)
    if row:
        filled.sandbox.faults.preset(row)
    post(filled)
    once(filled, queued)
    assert len(filled.sandbox.ledger.asked("/send")) == 1


@pytest.mark.parametrize("row", ["", "S03"])
def test_s06_a_message_id_the_server_replaced_is_read_back(filled: World, row: str) -> None:
    filled.sandbox.limits.graph_rewrites_message_id = True
    filled.sandbox.limits.rewrite_message_id = True
    queued = queue(filled, 1)
    if row:
        filled.sandbox.faults.preset(row)
    post(filled)
    once(filled, queued)
    assert state(filled, queued).sent_message_id not in ("", queued.message_id)


@pytest.mark.parametrize("status", [400, 403, 413])
def test_s07_a_permanent_refusal_fails_with_its_reason_and_is_not_tried_again(filled: World, status: int) -> None:
    body = {"error": {"code": status, "message": "This mailbox may not send to the moon."}}
    filled.sandbox.faults.add("status", path=SEND, status=status, body=body)
    queued = queue(filled, 1)
    post(filled)
    failed = state(filled, queued)
    assert failed.state is SendState.FAILED
    assert "to the moon" in failed.error
    for _ in range(3):
        filled.clock.advance(1000)
        filled.step()
    assert len(filled.sandbox.ledger.asked("/send")) == 1
    assert deliveries(filled) == []
    filled.sandbox.faults.clear()
    filled.store.resend(queued.id)
    post(filled)
    once(filled, queued)


def test_s07_a_failed_message_goes_back_to_the_drafts_when_asked(filled: World) -> None:
    filled.sandbox.faults.add("status", path=SEND, status=400, body={"error": {"code": 400, "message": "No."}})
    queued = queue(filled, 1)
    post(filled)
    draft = filled.store.to_draft(queued.id)
    assert draft.subject == queued.subject
    assert state(filled, queued).state is SendState.CANCELLED
    filled.sandbox.faults.clear()
    post(filled)
    assert deliveries(filled) == []


def test_s07_what_is_too_large_is_refused_before_it_is_uploaded(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(filled.remote), "limit_bytes", 10_000)
    queued = queue(filled, 1, size=20_000)
    post(filled)
    assert state(filled, queued).state is SendState.FAILED
    assert "too large" in state(filled, queued).error
    assert filled.sandbox.ledger.asked("/send") == []
    assert drafts(filled) == []


def test_s08_one_refused_recipient_of_three_fails_the_whole_message_and_is_named(filled: World) -> None:
    filled.sandbox.limits.refused_recipients = frozenset({"nobody@example.net"})
    queued = queue(filled, 1, to="one@example.net, nobody@example.net, two@example.net")
    post(filled)
    failed = state(filled, queued)
    assert failed.state is SendState.FAILED
    assert "nobody@example.net" in failed.error
    assert deliveries(filled) == []


def test_s11_reading_back_what_was_sent_may_fail_and_it_stays_sent(filled: World) -> None:
    queued = queue(filled, 1)
    first = 2 if filled.provider == "outlook" else 1  # before that the draft is read, not what was sent
    reads = range(first, first + 4)
    filled.sandbox.faults.add("status", method="GET", path=r"/messages/[^/?]+\?", status=503, nth=reads, times=4)
    for _ in range(4):
        filled.step()
        assert state(filled, queued).state in (SendState.ACCEPTED, SendState.SEEN)
        filled.clock.advance(70)
    post(filled)
    once(filled, queued)


def test_s12_undo_within_the_window_brings_the_draft_back_and_nothing_goes_out(filled: World) -> None:
    queued = queue(filled, 1, delay=10.0)
    filled.step()
    draft = filled.store.unsend(queued.id)
    assert draft is not None
    filled.clock.advance(20)
    post(filled)
    assert deliveries(filled) == []
    assert state(filled, queued).state is SendState.CANCELLED


def test_s12_undo_and_claim_at_the_same_moment_have_one_winner(filled: World) -> None:
    import threading

    outcomes = []
    for number in range(20):
        queued = queue(filled, number, delay=0.001)
        gate = threading.Barrier(2)
        undone: list[Draft | None] = []

        def undo(number: int = queued.id, gate: threading.Barrier = gate, undone: list[Draft | None] = undone) -> None:
            gate.wait()
            undone.append(filled.store.unsend(number))

        thread = threading.Thread(target=undo)
        thread.start()
        gate.wait()
        filled.clock.advance(0.01)
        post(filled, until=WAITING)
        thread.join()
        outcomes.append(undone[0] is None)
        assert (queued.recipients[0] in deliveries(filled)) is (undone[0] is None)
    assert len(deliveries(filled)) == sum(outcomes)


def test_s13_the_version_that_was_queued_is_the_one_that_goes(filled: World) -> None:
    draft = filled.store.new_draft(Draft(0, filled.provider, to=(Address("", "friend1@example.net"),), subject="first"))
    from tests.faults.posting import raw

    filled.sandbox.pause()
    queued = filled.store.queue(draft, raw(filled, 1), "<out1@example.com>", "token-1")
    filled.step()
    edited = filled.store.save_draft(replace(draft, subject="second", text="another text"))
    filled.sandbox.resume()
    post(filled, until=OPEN)
    once(filled, queued)
    assert filled.store.draft(edited.id) is not None


def test_the_servers_own_draft_is_sent_and_does_not_stay_behind(filled: World) -> None:
    from tests.faults.posting import raw

    kept = filled.remote.save_draft(raw(filled, 1, token="an-earlier-version"))  # type: ignore[attr-defined]
    draft = filled.store.new_draft(
        Draft(0, filled.provider, to=(Address("", "friend1@example.net"),), remote_id=kept.remote_draft)
    )
    queued = filled.store.queue(draft, raw(filled, 1), "<out1@example.com>", "token-1")
    post(filled)
    once(filled, queued)


@pytest.mark.parametrize("user_changed", [True, False])
def test_a_draft_removed_elsewhere_while_its_answer_is_awaited_is_told_as_unknown(
    filled: World, user_changed: bool
) -> None:
    """Neither a draft nor in Sent: it cannot be decided, so it is asked and never sent by itself."""
    queued = queue(filled, 1)
    filled.sandbox.faults.preset("S02")
    filled.step()
    for one in drafts(filled):
        filled.server.delete(filled.server.key_of(one))
    for _ in range(8):
        filled.clock.advance(max(filled.step().wait, 60.0))
    assert state(filled, queued).state is SendState.UNKNOWN
    assert "may have been sent" in state(filled, queued).error
    assert deliveries(filled) == []
    if user_changed:
        filled.store.resend(queued.id)
        post(filled)
        once(filled, queued)
    else:
        filled.store.mark_sent(queued.id)
        for _ in range(3):
            filled.clock.advance(max(filled.step().wait, 60.0))
        assert deliveries(filled) == []


def test_send_again_after_it_went_out_does_not_send_again(filled: World) -> None:
    filled.sandbox.limits.send_lag = 20.0
    queued = queue(filled, 1)
    filled.sandbox.faults.preset("S03")
    filled.step()
    assert state(filled, queued).state is SendState.UNKNOWN
    filled.sandbox.clock.advance(30)
    filled.store.resend(queued.id)
    post(filled)
    once(filled, queued)


def test_an_accepted_draft_that_has_not_moved_yet_is_not_sent_again(make: Callable[..., World]) -> None:
    """Exchange accepts with 202 and moves the draft a little later: seeing it at once proves nothing."""
    world = make("outlook")
    world.settle()
    queued = queue(world, 1)
    world.sandbox.faults.preset("S03")
    looks = world.sandbox.faults.add("act", method="GET", path=r"/messages/[^/?]+\?", times=1)
    world.step()
    assert state(world, queued).state is SendState.UNKNOWN
    sent = next(message for message in world.server.messages.values() if b"token-1" in message.raw)
    folder = sent.folder
    sent.labels, sent.folder = sent.labels | {"DRAFT"}, world.server.place("drafts").id

    def move() -> None:
        if world.clock.now - world.started > 8:
            sent.labels, sent.folder = sent.labels - {"DRAFT"}, folder

    looks.call, looks.times = move, 100
    post(world)
    once(world, queued)
    assert len(world.sandbox.ledger.asked("/send")) == 1


def test_r05_accepted_with_retry_after_is_accepted(make: Callable[..., World]) -> None:
    world = make("outlook")
    world.settle()
    queued = queue(world, 1)
    world.sandbox.faults.preset("R05")
    post(world)
    once(world, queued)
    assert len(world.sandbox.ledger.asked("/send")) == 1


def test_told_to_slow_down_while_sending_waits_as_told_and_goes_on_reading(filled: World) -> None:
    body = {"error": {"code": 429, "message": "User-rate limit exceeded. (Mail sending)"}}
    filled.sandbox.faults.add("status", path=SEND, status=429, headers={"Retry-After": "300"}, body=body, times=1)
    queued = [queue(filled, number) for number in range(3)]
    outcome = filled.step()
    assert outcome.error is None
    assert [state(filled, one).state for one in queued] == [SendState.QUEUED] * 3
    assert len(filled.sandbox.ledger.asked("/send")) == 1
    filled.clock.advance(299)
    filled.step()
    assert deliveries(filled) == []
    filled.clock.advance(10)
    post(filled)
    once(filled, *queued)


class Renewing(httpx.Auth):
    """A session that renews after a 401 and asks once more, as the real one does."""

    def __init__(self, fresh: Callable[[], str]) -> None:
        self.fresh = fresh
        self.token = fresh()
        self.renewed = 0

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]
        request.headers["Authorization"] = f"Bearer {self.token}"
        if (yield request).status_code == 401:
            self.token = self.fresh()
            self.renewed += 1
            request.headers["Authorization"] = f"Bearer {self.token}"
            yield request


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("lost", [False, True])
def test_a07_a_token_that_ends_at_the_send_is_renewed_and_it_goes_once(
    make: Callable[..., World], provider: str, lost: bool
) -> None:
    world = make(provider)
    auth = Renewing(lambda: world.sandbox.grants.issue(world.address, SCOPES[provider], lifetime=1e9))
    world.remote.close()
    world.store.close()
    world.auth = auth
    world.connect = lambda: worlds.connect(provider, world.sandbox.http_url, auth)  # type: ignore[method-assign]
    world.open()
    world.settle()
    queued = queue(world, 1)
    world.sandbox.faults.preset("A07")
    if lost:
        world.sandbox.faults.add("reset_after", path=SEND, nth=(2,), times=1)
    post(world)
    assert auth.renewed == 1
    once(world, queued)


def test_a07_a_session_that_is_over_keeps_the_message_and_sends_it_after_the_sign_in(filled: World) -> None:
    queued = queue(filled, 1)
    filled.sandbox.faults.add("status", path=SEND, status=401, body={"error": {"code": 401, "message": "no"}}, times=1)
    outcome = filled.step()
    assert outcome.phase is Phase.SIGN_IN
    assert state(filled, queued).state is SendState.QUEUED
    filled.sync.resume()
    post(filled)
    once(filled, queued)


def test_a_missing_permission_to_send_is_asked_for_and_reading_goes_on(make: Callable[..., World]) -> None:
    world = make("outlook")
    auth = world.auth
    assert isinstance(auth, worlds.Bearer)
    auth.token = world.sandbox.grants.issue(world.address, "Mail.ReadWrite", lifetime=1e9)
    world.settle()
    queued = queue(world, 1)
    outcome = world.step()
    assert outcome.phase is Phase.SIGN_IN
    assert world.sync.scope_wanted.endswith("Mail.Send")
    assert state(world, queued).state is SendState.QUEUED
    auth.token = world.sandbox.grants.issue(world.address, SCOPES["outlook"], lifetime=1e9)
    world.sync.resume()
    world.clock.advance(700)
    post(world)
    once(world, queued)


def test_offline_for_a_day_everything_goes_once_when_the_network_is_back(filled: World) -> None:
    filled.sandbox.pause()
    queued = [queue(filled, number) for number in range(4)]
    for _ in range(5):
        filled.clock.advance(max(filled.step().wait, 20_000))
        assert all(state(filled, one).state is SendState.QUEUED for one in queued)
    filled.sandbox.resume()
    post(filled)
    once(filled, *queued)


def test_a_large_message_survives_a_reset_every_few_requests(filled: World) -> None:
    queued = queue(filled, 1, size=9_000_000)
    filled.sandbox.faults.add("reset_before", method="PUT", every=3)
    filled.sandbox.faults.add("reset_after", method="PUT", nth=(4, 7))
    post(filled)
    once(filled, queued)
    sent = filled.server.get(filled.server.key_of(state(filled, queued).remote_id))
    files = [leaf.content for leaf in mime.leaves(mime.parse(sent.raw)) if leaf.attached]
    assert files == [content(9_000_000)]
