"""Rows S01-S07, S12 and S13 for IMAP and SMTP: whatever happens, a message goes out once or is told as unknown.

The rest of the rows about sending is in test_imap.py; S04 (accepted, and refused in the answer) is in SMTP's own words.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from crmmail.model import Address, Draft, Outgoing, SendState
from tests.faults.imap_home import NAME, Home
from tests.faults.posting import OPEN, WAITING, content, letter
from tests.remotes.imap_world import ImapWorld

SETTLED = (SendState.HELD, SendState.QUEUED, SendState.SENDING)  # what `post` waits to be over, UNKNOWN being an end


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Callable[..., Home]]:
    with ExitStack() as stack:

        def make(**options: object) -> Home:
            world = stack.enter_context(ImapWorld())
            home = Home(world, tmp_path / world.address, options)
            stack.callback(home.close)
            return home

        yield make


@pytest.fixture
def home(homes: Callable[..., Home]) -> Home:
    return homes()


def once(home: Home, *queued: Outgoing) -> None:
    """Each of `queued` went out exactly once, as it was queued, and one copy of it lies in Sent."""
    assert sorted(home.delivered()) == sorted(to for one in queued for to in one.recipients)
    copies = home.in_sent()
    assert len(copies) == len(queued)
    for one in queued:
        now = home.state(one)
        assert now.state is SendState.SEEN, f"{now.state}: {now.error}"
        assert any(f"X-Crmmail-Id: {one.token}".encode() in raw for raw in copies)
        assert any(f"Message-ID: {now.sent_message_id}".encode() in raw for raw in copies)
    assert home.in_drafts() == []


def unknown(home: Home, queued: Outgoing) -> None:
    """It is told as unknown, stays so however long one waits, and nothing more goes out by itself."""
    before = home.delivered()
    for _ in range(8):
        home.clock.advance(300.0)
        home.step()
    told = home.state(queued)
    assert told.state is SendState.UNKNOWN
    assert "may have been sent" in told.error
    assert home.delivered() == before
    assert len(home.in_drafts()) == 1


# S01-S04: lost and wrong answers


@pytest.mark.parametrize("command", ["^EHLO", "^AUTH", "^MAIL", "^RCPT", "^DATA$"])
@pytest.mark.parametrize("times", [1, 3])
def test_s01_a_line_that_breaks_before_the_content_leaves_no_doubt(home: Home, command: str, times: int) -> None:
    cut = home.world.post.cut(command, "before", times=times)
    queued = home.queue(1)
    home.post()
    assert cut.fired == times
    once(home, queued)


@pytest.mark.parametrize("command", ["^EHLO", "^AUTH", "^MAIL", "^RCPT"])
def test_s01_an_answer_lost_before_the_content_leaves_no_doubt(home: Home, command: str) -> None:
    home.world.post.cut(command, "after", times=3)
    queued = home.queue(1)
    home.post()
    once(home, queued)


@pytest.mark.parametrize("where", [r"^Subject:", r"^\.$"], ids=["in the headers", "before the final dot"])
def test_s02_content_cut_short_is_not_delivered_and_told_as_unknown(home: Home, where: str) -> None:
    home.world.post.cut(where, "before")
    queued = home.queue(1)
    home.post(until=SETTLED)
    assert home.delivered() == []
    unknown(home, queued)
    home.store.resend(queued.id)
    home.post()
    once(home, queued)


def test_s03_accepted_and_the_answer_lost_is_unknown_until_sent_shows_it(home: Home) -> None:
    home.world.post.cut("^DATA$", "after")
    queued = home.queue(1)
    home.post(until=SETTLED)
    assert home.store.unsend(queued.id) is None
    unknown(home, queued)
    home.world.admin.append("Sent", home.world.sink.messages[0].raw)
    home.post()
    once(home, queued)


def test_s03_what_the_user_says_went_out_is_not_sent(home: Home) -> None:
    home.world.post.cut("^DATA$", "after")
    queued = home.queue(1)
    home.post(until=SETTLED)
    home.store.mark_sent(queued.id)
    for _ in range(4):
        home.clock.advance(300.0)
        home.step()
    assert home.delivered() == ["friend1@example.net"]
    assert home.state(queued).state in (SendState.ACCEPTED, SendState.SEEN)


NONSENSE = [b"Thank you!\r\n", b"<html>queued</html>\r\n", b"354 go on\r\n", b"999 9.9.9 ?\r\n", b"250" + b"x" * 9000]


@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
def test_s04_accepted_and_a_senseless_answer_is_unknown_and_not_sent_again(home: Home, answer: bytes) -> None:
    def garble(told: bytes) -> bytes:
        return answer if told.startswith(b"250 2.0.0 queued") else told

    home.world.post.rewrite = garble
    queued = home.queue(1)
    home.post(until=SETTLED)
    assert home.delivered() == ["friend1@example.net"]
    unknown(home, queued)
    home.world.admin.append("Sent", home.world.sink.messages[0].raw)
    home.post()
    once(home, queued)


@pytest.mark.parametrize("answer", [b"251 2.1.0 forwarded\r\n", b"250-2.0.0 queued\r\n250 as 17\r\n"])
def test_s04_every_yes_is_a_yes(home: Home, answer: bytes) -> None:
    home.world.post.rewrite = lambda told: answer if told.startswith(b"250 2.0.0 queued") else told
    queued = home.queue(1)
    home.post()
    once(home, queued)


@pytest.mark.parametrize("code", [421, 451, 452])
def test_s04_told_to_come_again_after_the_content_it_comes_again_and_goes_once(home: Home, code: int) -> None:
    home.world.sink.reject["DATA"] = f"{code} 4.3.0 Not now"
    queued = home.queue(1)
    for _ in range(3):
        home.clock.advance(home.step().wait)
    assert home.state(queued).state is SendState.QUEUED
    assert "Not now" in home.state(queued).error
    home.world.sink.reject.clear()
    home.post()
    once(home, queued)


# S05, S06: what Sent shows


@pytest.mark.parametrize("lag", [30.0, 120.0, 170.0])
@pytest.mark.parametrize("lost", [False, True])
def test_s05_sent_shows_it_late(homes: Callable[..., Home], lag: float, lost: bool) -> None:
    home = homes(sent_copy="server")
    if lost:
        home.world.post.cut("^DATA$", "after")
    queued = home.queue(1)
    home.post(until=SETTLED)
    began = home.clock.now
    while home.clock.now - began < lag:
        assert home.state(queued).state is (SendState.UNKNOWN if lost else SendState.ACCEPTED)
        home.clock.advance(max(home.step().wait, 1.0))
    home.world.admin.append("Sent", home.world.sink.messages[0].raw)
    home.post()
    once(home, queued)


@pytest.mark.parametrize("lost", [False, True])
def test_s06_a_message_id_the_server_replaced_is_read_back(homes: Callable[..., Home], lost: bool) -> None:
    home = homes(sent_copy="server")
    if lost:
        home.world.post.cut("^DATA$", "after")
    queued = home.queue(1)
    home.post(until=SETTLED)
    taken = home.world.sink.messages[0].raw
    home.world.admin.append("Sent", taken.replace(b"<out1@example.com>", b"<another@relay.example>"))
    home.post()
    once(home, queued)
    assert home.state(queued).sent_message_id == "<another@relay.example>"


# S07: refusals


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_s07_a_permanent_refusal_fails_with_its_reason_and_is_not_tried_again(home: Home, command: str) -> None:
    home.world.sink.reject[command] = "554 5.7.1 This mailbox may not send to the moon."
    queued = home.queue(1)
    home.post()
    assert home.state(queued).state is SendState.FAILED
    assert "to the moon" in home.state(queued).error
    asked = len(home.world.post.commands)
    for _ in range(3):
        home.clock.advance(1000)
        home.step()
    assert len(home.world.post.commands) == asked
    assert home.delivered() == []
    home.world.sink.reject.clear()
    home.store.resend(queued.id)
    home.post()
    once(home, queued)


def test_s07_a_failed_message_goes_back_to_the_drafts_when_asked(home: Home) -> None:
    home.world.sink.reject["DATA"] = "554 5.7.1 No."
    queued = home.queue(1)
    home.post()
    draft = home.store.to_draft(queued.id)
    assert draft.subject == "out 1"
    assert home.state(queued).state is SendState.CANCELLED
    home.world.sink.reject.clear()
    home.post()
    home.clock.advance(1000)
    home.step()
    assert home.delivered() == []


# What the server cannot carry


def eight_bit(home: Home) -> bytes:
    """A message that holds another one whole, as it came: in 8 bits."""
    return letter(home.world.address, 1).replace(b"7bit", b"8bit").replace(b"text of", "café à".encode())


def test_eight_bits_to_a_server_that_takes_seven_end_in_a_sentence_and_go_once_it_takes_them(home: Home) -> None:
    home.world.post.rewrite = lambda told: told.replace(b"250-8BITMIME\r\n", b"")
    queued = enqueue(home, eight_bit(home), "friend1@example.net")
    home.post()
    assert home.state(queued).state is SendState.FAILED
    assert "takes only 7-bit messages" in home.state(queued).error
    assert "Attach the forwarded message as a file" in home.state(queued).error
    assert not any(command.startswith(("MAIL", "DATA")) for command in home.world.post.commands)
    assert home.delivered() == []
    home.world.post.rewrite = None
    home.store.resend(queued.id)
    home.post()
    once(home, queued)
    assert "BODY=8BITMIME" in home.world.sink.messages[0].options
    assert "café à".encode() in home.world.sink.messages[0].raw


def test_letters_beyond_ascii_in_an_address_end_in_a_sentence_where_the_server_does_not_take_them(home: Home) -> None:
    home.world.post.rewrite = lambda told: told.replace(b"250-SMTPUTF8\r\n", b"")
    queued = home.queue(1, to="joão@example.net")
    home.post()
    assert home.state(queued).state is SendState.FAILED
    assert "does not take addresses with letters beyond ASCII" in home.state(queued).error
    assert "Use another address of this person" in home.state(queued).error
    assert home.delivered() == []
    draft = home.store.to_draft(queued.id)
    assert [one.email for one in draft.to] == ["joão@example.net"]
    home.world.post.rewrite = None
    again = home.queue(2, to="joão@example.net")
    home.post()
    assert home.state(again).state is SendState.SEEN
    assert home.delivered() == ["joão@example.net"]


def enqueue(home: Home, mime: bytes, to: str) -> Outgoing:
    draft = home.store.new_draft(Draft(0, NAME, home.world.address, to=(Address("", to),), subject="out 1"))
    return home.store.queue(draft, mime, "<out1@example.com>", "token-1", 0.0)


# S12, S13: undoing and editing


def test_s12_undo_within_the_window_brings_the_draft_back_and_nothing_goes_out(home: Home) -> None:
    queued = home.queue(1, delay=10.0)
    outcome = home.step()
    assert 0 < outcome.wait <= 10.0
    assert home.store.unsend(queued.id) is not None
    home.clock.advance(20)
    home.post()
    assert home.delivered() == []
    assert home.state(queued).state is SendState.CANCELLED


def test_s12_undo_and_claim_at_the_same_moment_have_one_winner(home: Home) -> None:
    kept = 0
    for number in range(8):
        queued = home.queue(number, delay=0.001)
        gate = threading.Barrier(2)
        undone: list[Draft | None] = []

        def undo(number: int = queued.id, gate: threading.Barrier = gate, undone: list[Draft | None] = undone) -> None:
            gate.wait()
            undone.append(home.store.unsend(number))

        thread = threading.Thread(target=undo)
        thread.start()
        gate.wait()
        home.clock.advance(0.01)
        home.post(until=WAITING)
        thread.join()
        kept += undone[0] is None
        assert (queued.recipients[0] in home.delivered()) is (undone[0] is None)
    assert len(home.delivered()) == kept


def test_s13_the_version_that_was_queued_is_the_one_that_goes(home: Home) -> None:
    address = home.world.address
    draft = home.store.new_draft(Draft(0, NAME, address, to=(Address("", "friend1@example.net"),), subject="first"))
    home.world.post.refusing = True
    queued = home.store.queue(draft, letter(address, 1), "<out1@example.com>", "token-1", 0.0)
    home.step()
    edited = home.store.save_draft(replace(draft, subject="second", text="another text"))
    home.world.post.refusing = False
    home.post(until=OPEN)
    assert home.delivered() == ["friend1@example.net"]
    assert b"outgoing 1" in home.world.sink.messages[0].raw
    assert home.state(queued).state is SendState.SEEN
    assert home.store.draft(edited.id) is not None


def test_offline_for_a_day_everything_goes_once_when_the_network_is_back(home: Home) -> None:
    home.world._pause()
    home.world.post.refusing = True
    queued = [home.queue(number) for number in range(4)]
    for _ in range(5):
        home.clock.advance(max(home.step().wait, 20_000))
        assert all(home.state(one).state is SendState.QUEUED for one in queued)
    home.world._resume()
    home.world.post.refusing = False
    home.post()
    once(home, *queued)


def test_a_large_message_survives_breaks_while_it_is_put_among_the_drafts(home: Home) -> None:
    home.world.between.cut("^APPEND", "before", times=2)
    home.world.between.cut("^APPEND", "after", times=1)
    queued = home.queue(1, size=3_000_000)
    home.post()
    once(home, queued)
    import email

    (part,) = [one for one in email.message_from_bytes(home.in_sent()[0]).walk() if one.get_filename()]
    assert part.get_payload(decode=True) == content(3_000_000)
