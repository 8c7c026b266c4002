"""Mail in the outbox: states a person can tell apart, the answers each allows. Times and paths as people type them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from crmmail.model import Address, Draft, SendState
from crmmail.tui import outgoing_lines
from crmmail.tui.compose import ComposeScreen
from crmmail.tui.composer_body import plain
from crmmail.tui.composer_dialogs import begun_anew, completions, moment, proposals, shortened
from crmmail.tui.dialogs import Confirm
from crmmail.tui.outbox import Outbox
from tests.tui.conftest import NOW, shown, until
from tests.tui.test_compose import app_on, clock, post, write  # noqa: F401

STATES = {
    SendState.FAILED: "not sent",
    SendState.UNKNOWN: "unknown whether it went out",
    SendState.ACCEPTED: "accepted by the server",
    SendState.SEEN: "sent: seen in Sent",
    SendState.SENDING: "being sent",
    SendState.QUEUED: "queued",
    SendState.HELD: "sends in 8 s",
}


def queued(store, state: SendState, subject: str = "Proposta") -> int:
    """A message on its way, in this state."""
    draft = store.new_draft(Draft(0, "gmail", to=(Address("", "ana@x.example"),), subject=subject))
    not_before = NOW + 8 if state is SendState.HELD else 0.0
    token = f"token-{draft.id:06}"
    one = store.queue(draft, b"Subject: x\r\n\r\n", f"<{token}@x>", token, not_before)
    if state not in (SendState.HELD, SendState.QUEUED):
        store.claim_outgoing("gmail", NOW)
        if state is not SendState.SENDING:
            store.note_outgoing(one.id, state=state, error="The line broke." if state in ("failed", "unknown") else "")
    return one.id


async def opened(pilot) -> Outbox:
    await pilot.press("g", "o")
    await until(pilot, lambda: isinstance(pilot.app.screen, Outbox))
    await pilot.pause()
    return pilot.app.screen


@pytest.mark.parametrize("state", STATES)
async def test_every_state_has_its_words(post, clock, state):  # noqa: F811
    queued(post, state)
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await opened(pilot)
        assert STATES[state] in shown(app)
        assert "Proposta" in shown(app)
        if state in (SendState.FAILED, SendState.UNKNOWN):
            assert "The line broke." in shown(app)


class Uploading:
    """An engine that uploads."""

    def __init__(self) -> None:
        self.far: dict[int, tuple[int, int]] = {}

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def wake(self, mailbox_id=None) -> None: ...
    def want(self, message_id) -> None: ...
    def scope_wanted(self, mailbox_id) -> str:
        return ""

    def uploads(self):
        return dict(self.far)


async def test_a_large_upload_shows_how_far_it_is_in_the_outbox_and_below_the_list(post, clock):  # noqa: F811
    engine = Uploading()
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        app.engine = engine
        number = queued(post, SendState.SENDING)
        engine.far[number] = (12_000_000, 30_000_000)
        await until(pilot, lambda: "Uploading: 12 MB of 30 MB (40 %)" in shown(app))
        await opened(pilot)
        await until(pilot, lambda: "12 MB of 30 MB (40 %)" in shown(app))
        engine.far[number] = (29_900_000, 30_000_000)
        await until(pilot, lambda: "30 MB of 30 MB (99 %)" in shown(app))
        await pilot.press("escape")
        engine.far.clear()
        post.note_outgoing(number, state=SendState.ACCEPTED)
        await until(pilot, lambda: "On its way." in shown(app))


async def test_the_progress_of_an_upload_overwrites_no_other_news(post, clock):  # noqa: F811
    engine = Uploading()
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        app.engine = engine
        number = queued(post, SendState.SENDING)
        app.screen.say("Something else happened.")
        engine.far[number] = (12_000_000, 30_000_000)
        await pilot.pause(0.8)
        assert "Something else happened." in shown(app)


def test_a_small_upload_is_not_worth_a_word():
    assert outgoing_lines.progress((1, 900_000)) == outgoing_lines.progress(None) == ""


def test_the_words_of_all_states_differ():
    assert len(set(STATES.values())) == len(STATES)
    assert {SendState.FAILED, SendState.UNKNOWN} == outgoing_lines.NEEDS_USER


async def test_a_failed_message_is_sent_again_marked_or_called_off(post, clock):  # noqa: F811
    first, second, third = (queued(post, SendState.FAILED, subject) for subject in ("One", "Two", "Three"))
    app = app_on(post, clock)

    def states() -> dict[int, SendState]:
        return {one.id: one.state for one in post.outgoing()}

    async with app.run_test(size=(120, 30)) as pilot:
        screen = await opened(pilot)
        assert screen.mail.id == third
        await pilot.press("r")
        await until(pilot, lambda: states()[third] is SendState.QUEUED)
        screen.choices.cursor = 0
        screen.read()
        await pilot.press("g", "g", "s")
        await until(pilot, lambda: SendState.ACCEPTED in states().values())
        await pilot.press("g", "g", "d")
        await until(pilot, lambda: SendState.CANCELLED in states().values())
        assert len(post.drafts()) == 1
        assert set(states().values()) == {SendState.QUEUED, SendState.ACCEPTED, SendState.CANCELLED}
        assert {first, second, third} == set(states())


async def test_an_unknown_one_is_looked_for_and_sent_again_only_after_a_question(post, clock):  # noqa: F811
    number = queued(post, SendState.UNKNOWN)
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("l")
        await until(pilot, lambda: "Looking again" in shown(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "get it twice" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert post.outgoing()[0].state is SendState.UNKNOWN
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: post.outgoing()[0].state is SendState.QUEUED)
        assert post.outgoing()[0].id == number


async def test_enter_takes_a_waiting_message_back_into_the_composer(post, clock):  # noqa: F811
    queued(post, SendState.HELD)
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        assert app.screen.subject.value == "Proposta"
        assert post.outgoing()[0].state is SendState.CANCELLED


async def test_what_went_cannot_be_called_off(post, clock):  # noqa: F811
    queued(post, SendState.SEEN)
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await opened(pilot)
        await pilot.press("d", "r", "s", "e", "enter")
        assert post.outgoing()[0].state is SendState.SEEN
        assert isinstance(app.screen, Outbox)


async def test_a_failure_is_said_where_the_user_is(post, clock):  # noqa: F811
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        queued(post, SendState.FAILED, "Contrato")
        await until(pilot, lambda: "Not sent: “Contrato”. The line broke." in shown(app))


SUNDAY = datetime(2026, 11, 22, 14, 32)
TIMES = [
    ("17:30", datetime(2026, 11, 22, 17, 30)),
    ("8h", datetime(2026, 11, 23, 8, 0)),
    ("14:32", datetime(2026, 11, 23, 14, 32)),
    ("24/11 9:00", datetime(2026, 11, 24, 9, 0)),
    ("1/2 8h30", datetime(2027, 2, 1, 8, 30)),
    ("31/12/2027 23:59", datetime(2027, 12, 31, 23, 59)),
    ("+2h", datetime(2026, 11, 22, 16, 32)),
    ("45 min", datetime(2026, 11, 22, 15, 17)),
    ("3d", datetime(2026, 11, 25, 14, 32)),
    ("21/11/2026 9:00", None),
    ("31/2 9:00", None),
    ("25:00", None),
    ("9", None),
    ("soon", None),
    ("", None),
]


@pytest.mark.parametrize(("typed", "expected"), TIMES)
def test_a_typed_time_is_understood_or_refused_and_always_ahead(typed, expected):
    assert moment(typed, SUNDAY) == expected


def test_usual_times_are_ahead_and_none_is_there_twice():
    for now in (SUNDAY, SUNDAY.replace(hour=19), datetime(2026, 11, 24, 7, 0), datetime(2026, 12, 31, 23, 30)):
        times = [then for _words, then in proposals(now)]
        assert all(then > now for then in times)
        assert len(set(times)) == len(times)
        assert times[-1].hour == 8
    assert [then.weekday() for _words, then in proposals(datetime(2026, 11, 24, 7, 0))][-1] == 0


def test_paths_complete_folders_first_and_hidden_ones_only_when_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("Abc.txt", "abd.txt", ".secret"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "abe").mkdir()
    assert [path.name for path in completions("~/ab")] == ["abe", "Abc.txt", "abd.txt"]
    assert [path.name for path in completions("~/.s")] == [".secret"]
    assert completions("~/no/such/") == []
    assert [begun_anew(text) for text in ("~/", "~//tmp/x", "/a/b/~/c", "/a/b")] == ["~/", "/tmp/x", "~/c", "/a/b"]
    assert completions("\x00/") == []
    assert shortened(tmp_path / "abe") == "~/abe"
    assert shortened(Path("/")) == ""


def test_the_editor_takes_text_and_nothing_a_terminal_obeys():
    assert plain("a\r\nb\rc\u2028d\x1b[31m\x00\x9b\u202e") == "a\nb\nc\nd[31m"
    assert plain("❤️ ação 日本 👩‍👩‍👧") == "❤️ ação 日本 👩‍👩‍👧"


async def test_calling_off_in_the_outbox_ends_the_countdown(post, clock):  # noqa: F811
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await write(pilot)
        await pilot.press("ctrl+j")
        await until(pilot, lambda: app.screen is app.main)
        assert "Sending in 10 s" in shown(app)
        outbox = await opened(pilot)
        await outbox.run_command("cancel_sending")
        await until(pilot, lambda: [one.state for one in post.outgoing()] == [SendState.CANCELLED])
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await until(pilot, lambda: "Sending in" not in shown(app))
        assert app.main._countdown is None
        assert "Bring back" not in shown(app)
        clock.now += 11
        app.main._count()
        assert "On its way" not in shown(app)
