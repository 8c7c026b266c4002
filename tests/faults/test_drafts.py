"""Drafts on the server: whatever breaks, what was typed is there once, and what another client wrote is not touched."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import crmmail.sync.drafts
from crmmail.mail.parse import parse
from crmmail.model import Address, Draft, Query, Role
from crmmail.sandbox import Limits, Sandbox, User
from crmmail.sync.drafts import LONGEST, LOOK_AGAIN, QUIET, due
from tests.faults.posting import deliveries, post, raw
from tests.faults.world import PROVIDERS, SECRET, World

SAVE = r"(upload/gmail/v1/users/me/drafts|gmail/v1/users/me/drafts|/v1\.0/me/messages(?!.*value))"
SEEDS = int(os.environ.get("CRMMAIL_DRAFT_LIVES", "40"))


@pytest.fixture
def calm(world: World) -> World:
    """A mailbox with some mail and no drafts, in agreement."""
    world.furnish(3)
    for remote_id in world.ids("drafts"):
        world.server.delete(world.server.key_of(remote_id))
    world.settle()
    world.sandbox.ledger.clear()
    return world


def write(world: World, text: str, **changes: Any) -> Draft:
    options = {"to": (Address("", "friend@example.net"),), "subject": f"{SECRET} draft", "text": f"{SECRET} {text}"}
    return world.store.new_draft(Draft(0, world.provider, world.address, **(options | changes)))


def edit(world: World, draft: Draft, text: str) -> Draft:
    world.clock.advance(1)
    now = world.store.draft(draft.id)
    assert now is not None
    return world.store.save_draft(replace(now, text=f"{SECRET} {text}"))


def keep(world: World, rounds: int = 60) -> None:
    """Let time pass until the server has heard of everything and both sides hold the same."""
    for _ in range(rounds):
        world.clock.advance(QUIET + 1)
        outcome = world.step()
        if not outcome.error and not world.store.drafts_to_push(world.provider):
            break
        world.clock.advance(outcome.wait if outcome.wait < 1000 else 1)
    assert world.store.drafts_to_push(world.provider) == []
    world.settle()


def there(world: World) -> list[str]:
    """What the server's drafts say, oldest first."""
    bytes_of = [world.server.get(world.server.key_of(one)).raw for one in world.ids("drafts")]
    return [said(one) for one in bytes_of]


def said(message: bytes) -> str:
    return parse(message).body.text.replace(SECRET, "").strip()


def change_elsewhere(world: World, remote_id: str, text: str) -> None:
    """Another client writes another text into a draft."""
    theirs = raw(world, 1, token="another-client").replace(b"text of 1.", text.encode())
    if world.provider == "gmail":
        handle = world.remote.draft_at(remote_id).remote_draft  # type: ignore[attr-defined]
        world.remote.save_draft(theirs, handle)  # type: ignore[attr-defined]
    else:
        world.server.update(world.server.key_of(remote_id), source=theirs)


def remove_elsewhere(world: World, remote_id: str) -> None:
    key = world.server.key_of(remote_id)
    if world.provider == "gmail":
        world.server.delete(key)
    else:
        world.server.move(key, world.server.place("deleteditems").id)


def lines(world: World) -> list[int]:
    """What the list of drafts shows: the server's messages, and those of ours it does not stand for."""
    listed = world.store.window(Query(world.provider, Role.DRAFTS.value), 0, 100)
    mine = {draft.id for draft in world.store.drafts(world.provider)} - set(
        world.store.drafted(world.provider).values()
    )
    return [row.id for row in listed] + [-number for number in mine]


# When


@pytest.mark.parametrize(
    ("saved", "unheard", "wait"),
    [(100.0, 100.0, QUIET), (98.0, 60.0, QUIET - 2), (100.0, 30.0, 0.0), (100.0, 100.0 + QUIET - LONGEST, QUIET)],
)
def test_a_draft_is_pushed_after_a_pause_and_after_a_minute_at_the_latest(
    saved: float, unheard: float, wait: float
) -> None:
    assert due(saved, unheard, 100.0) == pytest.approx(wait)


def test_while_somebody_types_the_server_is_left_alone_and_hears_of_it_within_a_minute(calm: World) -> None:
    draft = write(calm, "typing")
    started = calm.clock.now
    while not there(calm):
        assert calm.clock.now - started <= LONGEST + 3
        outcome = calm.step()
        assert outcome.wait <= QUIET or there(calm)
        draft = edit(calm, draft, f"typing since {started}, now {calm.clock.now}")
    assert calm.clock.now - started > LONGEST - 5


def test_a_draft_is_on_the_server_after_a_pause_and_once(calm: World) -> None:
    draft = write(calm, "first words")
    calm.step()
    assert there(calm) == []
    keep(calm)
    assert there(calm) == ["first words"]
    edit(calm, draft, "second words")
    keep(calm)
    assert there(calm) == ["second words"]
    assert len(lines(calm)) == 1
    calm.rest()


def test_moving_the_cursor_is_nothing_to_tell_the_server(calm: World) -> None:
    draft = write(calm, "words")
    keep(calm)
    writes = len(calm.writes())
    now = calm.store.draft(draft.id)
    assert now is not None
    assert calm.store.save_draft(replace(now, cursor=3)).cursor == 3
    keep(calm)
    assert len(calm.writes()) == writes


def test_a_draft_with_an_address_half_typed_and_no_subject_goes_there_too(calm: World) -> None:
    people = (Address("bruno@", ""), Address("", "ana@example.net"), Address("", "josé@example.net"))
    draft = write(calm, "half done", to=people, subject="")
    keep(calm)
    assert there(calm) == ["half done"]
    assert calm.store.draft(draft.id).to == people  # type: ignore[union-attr]


def test_discarding_removes_it_there_and_undo_brings_it_back_there_too(calm: World) -> None:
    draft = write(calm, "words")
    keep(calm)
    act = calm.store.discard_draft(draft.id)
    assert act is not None
    keep(calm)
    assert (there(calm), lines(calm)) == ([], [])
    calm.store.undo()
    keep(calm)
    assert there(calm) == ["words"]
    calm.rest()


def test_a_draft_that_moves_to_another_mailbox_leaves_nothing_behind(calm: World) -> None:
    draft = write(calm, "words")
    keep(calm)
    now = calm.store.draft(draft.id)
    assert now is not None
    moved = calm.store.save_draft(replace(now, mailbox="another"))
    assert moved.id == draft.id
    keep(calm)
    assert there(calm) == []
    assert [one.draft.text for one in calm.store.drafts_to_push("another")] == [draft.text]
    calm.store.save_draft(replace(moved, mailbox=calm.provider))
    keep(calm)
    assert there(calm) == ["words"]


# Begun elsewhere


def adopted(world: World, text: str) -> tuple[Draft, str]:
    """A draft another client began, opened here; and its id there."""
    begun = raw(world, 1, token="begun-elsewhere").replace(b"text of 1.", text.encode())
    remote_id = world.connect().save_draft(begun).remote_id  # type: ignore[attr-defined]
    world.settle()
    number = world.store.find(world.provider, remote_id)
    assert number is not None
    return world.store.adopt_draft(number), remote_id


def test_a_draft_begun_elsewhere_is_gone_on_with_and_saved_back_in_its_place(calm: World) -> None:
    draft, _remote_id = adopted(calm, "begun there")
    writes = len(calm.writes())
    keep(calm)
    assert len(calm.writes()) == writes, "only looking changes nothing"
    edit(calm, draft, "begun there, ended here")
    keep(calm)
    assert there(calm) == ["begun there, ended here"]
    assert len(lines(calm)) == 1
    calm.rest()


def test_a_draft_begun_elsewhere_can_be_thrown_away_here(calm: World) -> None:
    draft, _remote_id = adopted(calm, "begun there")
    calm.store.discard_draft(draft.id)
    keep(calm)
    assert (there(calm), lines(calm)) == ([], [])


def test_sending_a_draft_begun_elsewhere_leaves_no_second_copy(calm: World) -> None:
    draft, _remote_id = adopted(calm, "begun there")
    draft = edit(calm, draft, "and sent")
    calm.store.queue(draft, raw(calm, 2), "<out2@example.com>", "token-2")
    post(calm)
    keep(calm)
    assert deliveries(calm) == ["friend2@example.net"]
    assert (there(calm), lines(calm)) == ([], [])


def test_a_draft_begun_elsewhere_and_changed_there_meanwhile_is_not_overwritten(calm: World) -> None:
    draft, remote_id = adopted(calm, "begun there")
    change_elsewhere(calm, remote_id, "went on there")
    edit(calm, draft, "went on here")
    keep(calm)
    assert sorted(there(calm)) == ["went on here", "went on there"]
    assert len(lines(calm)) == 2
    # At Gmail a changed draft is another message: whether the one that was opened was changed or removed is not told.
    assert calm.store.drafts_parted() == (set() if calm.provider == "gmail" else {draft.id})
    calm.rest()


# Changed elsewhere


def test_a_conflict_keeps_both(calm: World) -> None:
    draft = write(calm, "one")
    keep(calm)
    change_elsewhere(calm, calm.ids("drafts")[0], "theirs")
    edit(calm, draft, "ours")
    assert calm.store.drafts_parted() == frozenset()
    keep(calm)
    assert sorted(there(calm)) == ["ours", "theirs"]
    assert len(lines(calm)) == 2
    assert calm.store.drafts_parted() == {draft.id}
    calm.rest()


def test_what_changed_there_and_not_here_is_what_is_opened(calm: World) -> None:
    write(calm, "one")
    keep(calm)
    change_elsewhere(calm, calm.ids("drafts")[0], "theirs")
    calm.settle()
    keep(calm)
    (line,) = lines(calm)
    opened = calm.store.adopt_draft(line)
    assert "theirs" in opened.text
    edit(calm, opened, "theirs and mine")
    keep(calm)
    assert there(calm) == ["theirs and mine"]
    assert len(lines(calm)) == 1


def test_a_draft_thrown_away_elsewhere_goes_here_too(calm: World) -> None:
    draft = write(calm, "one")
    keep(calm)
    remove_elsewhere(calm, calm.ids("drafts")[0])
    calm.settle()
    keep(calm)
    assert calm.store.draft(draft.id) is None
    assert (there(calm), lines(calm)) == ([], [])
    calm.rest()


def test_one_thrown_away_elsewhere_while_it_is_open_here_is_kept_when_something_is_typed(calm: World) -> None:
    draft = write(calm, "one")
    keep(calm)
    open_here = calm.store.draft(draft.id)
    assert open_here is not None
    remove_elsewhere(calm, calm.ids("drafts")[0])
    calm.settle()
    keep(calm)
    calm.store.save_draft(open_here)
    assert lines(calm) == [], "closing the composer is no wish to keep it"
    calm.store.save_draft(replace(open_here, text=f"{SECRET} one more word"))
    keep(calm)
    assert there(calm) == ["one more word"]


def test_one_thrown_away_elsewhere_after_something_was_typed_here_is_kept(calm: World) -> None:
    draft = write(calm, "one")
    keep(calm)
    edit(calm, draft, "two")
    remove_elsewhere(calm, calm.ids("drafts")[0])
    calm.settle()
    keep(calm)
    assert there(calm) == ["two"]
    assert len(lines(calm)) == 1


def test_a_draft_sent_by_another_client_is_no_draft_here_any_more(calm: World) -> None:
    draft = write(calm, "one")
    keep(calm)
    reference = calm.remote.draft_at(calm.ids("drafts")[0])  # type: ignore[attr-defined]
    calm.remote.send_draft(reference.remote_draft)  # type: ignore[attr-defined]
    calm.settle()
    keep(calm)
    assert calm.store.draft(draft.id) is None
    assert lines(calm) == []
    assert len(deliveries(calm)) == 1


def test_a_draft_discarded_here_and_changed_there_stays_there(calm: World) -> None:
    draft = write(calm, "one")
    keep(calm)
    change_elsewhere(calm, calm.ids("drafts")[0], "theirs")
    calm.store.discard_draft(draft.id)
    keep(calm)
    assert there(calm) == ["theirs"]


# What goes wrong


@pytest.mark.parametrize("kind", ["reset_unread", "reset_before", "reset_after", "truncate", "bad_json", "html"])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("later", ["", "and more"])
def test_a_lost_answer_while_saving_makes_no_second_draft(calm: World, kind: str, times: int, later: str) -> None:
    draft = write(calm, "one")
    keep(calm)
    edit(calm, draft, "two")
    fault = calm.sandbox.faults.add(kind, path=SAVE, times=times)
    calm.clock.advance(QUIET + 1)
    calm.step()
    if later:
        edit(calm, draft, later)
    keep(calm)
    assert fault.fired
    assert there(calm) == [later or "two"]
    assert len(lines(calm)) == 1
    calm.rest()


@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_sent_right_after_a_save_without_an_answer_it_goes_once_and_leaves_no_draft(calm: World, kind: str) -> None:
    draft = write(calm, "one")
    fault = calm.sandbox.faults.add(kind, method="POST", path=SAVE, times=1)
    calm.clock.advance(QUIET + 1)
    calm.step()
    assert fault.fired
    now = calm.store.draft(draft.id)
    assert now is not None
    calm.store.queue(now, raw(calm, 1), "<out1@example.com>", "token-1")
    post(calm)
    keep(calm)
    assert deliveries(calm) == ["friend1@example.net"]
    assert (there(calm), lines(calm)) == ([], [])


def test_what_a_lost_answer_left_and_another_client_changed_is_kept(calm: World) -> None:
    draft = write(calm, "one")
    calm.sandbox.faults.add("reset_after", method="POST", path=SAVE, times=1)
    calm.clock.advance(QUIET + 1)
    calm.step()
    (remote_id,) = calm.ids("drafts")
    if calm.provider == "gmail":
        change_elsewhere(calm, remote_id, "theirs")
    else:  # Outlook leaves our own field where it was
        message = calm.server.get(calm.server.key_of(remote_id)).raw
        calm.server.update(calm.server.key_of(remote_id), source=message.replace(b" one", b" theirs"))
    edit(calm, draft, "two")
    keep(calm)
    assert sorted(there(calm)) == ["theirs", "two"]


def test_a_refused_draft_stays_here_and_is_tried_again_when_it_is_another(
    calm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(calm.remote), "limit_bytes", 10_000)
    draft = write(calm, "x" * 20_000)
    for _ in range(4):
        calm.clock.advance(70)
        assert not calm.step().error
    assert there(calm) == []
    assert calm.store.draft(draft.id) is not None
    edit(calm, draft, "short")
    keep(calm)
    assert there(calm) == ["short"]


def test_a_refusal_of_the_server_holds_up_no_other_draft(calm: World) -> None:
    body = {"error": {"code": 400, "message": "Not this one."}}
    calm.sandbox.faults.add("status", method="POST", path=SAVE, status=400, body=body, times=1)
    first, second = write(calm, "one"), write(calm, "two")
    for _ in range(4):
        calm.clock.advance(QUIET + 1)
        calm.step()
    assert len(there(calm)) == 1
    edit(calm, first, "one again")
    edit(calm, second, "two again")
    keep(calm)
    assert sorted(there(calm)) == ["one again", "two again"]


class Killed(BaseException):
    """The process ends here."""


def kill_at(monkeypatch: pytest.MonkeyPatch, point: str, nth: int) -> Counter[str]:
    """End the running step at the `nth` pass of `point`; how often each was passed."""
    passed: Counter[str] = Counter()

    def fault(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == nth:
            raise Killed

    monkeypatch.setattr(crmmail.sync.drafts, "fault", fault)
    return passed


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("point", ["draft.attempted", "draft.saved", "draft.noted", "draft.deleted"])
def test_ended_between_two_steps_the_next_process_keeps_it_once(
    calm: World, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    passed = kill_at(monkeypatch, point, nth)
    first = write(calm, "first")
    for stage in range(4):
        if stage in (1, 2):
            edit(calm, first, f"first, {stage}")
        elif stage == 3:
            second = write(calm, "second")
            calm.store.discard_draft(first.id)
        try:
            keep(calm)
        except Killed:
            calm.reopen()
            keep(calm)
    assert passed[point], passed
    assert there(calm) == ["second"]
    assert [draft.id for draft in calm.store.drafts()] == [second.id]
    assert len(lines(calm)) == 1
    calm.rest()


# By chance

FAULTS = (
    {"kind": "reset_unread"},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncate", "at": 60},
    {"kind": "bad_json"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "7"}},
    {"kind": "late_status", "status": 502},
)


class Life:
    """Somebody writes, here and on a telephone, while the network fails."""

    def __init__(self, world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.rng, self.patch = world, random.Random(seed), monkeypatch
        self.words = (f"w{number}" for number in range(1000))
        self.here: set[str] = set()  # typed here and not let go of: must be there at the end
        self.theirs: set[str] = set()  # typed elsewhere: must be there at the end
        self.sent: list[str] = []

    def live(self) -> None:
        deeds = [self.begin, self.type, self.type, self.fault, self.fault, self.step, self.step, self.step]
        deeds += [self.kill, self.elsewhere, self.discard, self.send]
        for _ in range(16):
            self.rng.choice(deeds)()
        self.world.sandbox.faults.clear()
        self.patch.undo()
        for _ in range(3):
            self.world.clock.advance(LOOK_AGAIN)
            keep(self.world)

    def text(self, draft: Draft) -> str:
        return draft.text.replace(SECRET, "").strip()

    def begin(self) -> None:
        if len(self.world.store.drafts()) < 3:
            word = next(self.words)
            write(self.world, word)
            self.here.add(word)

    def any(self) -> Draft | None:
        drafts = self.world.store.drafts()
        return self.rng.choice(drafts) if drafts else None

    def type(self) -> None:
        if draft := self.any():
            word = next(self.words)
            edit(self.world, draft, word)
            self.here.discard(self.text(draft))
            self.theirs.discard(self.text(draft))
            self.here.add(word)

    def fault(self) -> None:
        start = self.rng.randint(1, 3)
        self.world.sandbox.faults.add(path=SAVE, nth=(start, start + 1), times=2, **self.rng.choice(FAULTS))  # type: ignore[arg-type]

    def step(self) -> None:
        self.world.clock.advance(self.rng.choice((1, QUIET + 1, 70)))
        try:
            self.world.step()
        except Killed:
            self.patch.undo()
            self.world.reopen()

    def kill(self) -> None:
        kill_at(self.patch, self.rng.choice(("draft.attempted", "draft.saved", "draft.noted")), 1)

    def elsewhere(self) -> None:
        ids = self.world.ids("drafts")
        if not ids:
            return
        remote_id, word = self.rng.choice(ids), next(self.words)
        before = said(self.world.server.get(self.world.server.key_of(remote_id)).raw)
        self.world.sandbox.faults.clear()
        change_elsewhere(self.world, remote_id, word)
        self.theirs.discard(before)
        self.theirs.add(word)
        if self.text_is_only_there(before):
            self.here.discard(before)

    def text_is_only_there(self, word: str) -> bool:
        """Whether nothing was typed here since the server got `word`: then what counts is what was made of it there."""
        return word in self.here

    def discard(self) -> None:
        if self.rng.random() < 0.3 and (draft := self.any()):
            self.world.store.discard_draft(draft.id)
            self.here.discard(self.text(draft))
            self.theirs.discard(self.text(draft))

    def send(self) -> None:
        if self.rng.random() < 0.3 and (draft := self.any()):
            number = 100 + len(self.sent)
            self.world.store.queue(draft, raw(self.world, number), f"<out{number}@example.com>", f"token-{number}")
            self.sent.append(f"friend{number}@example.net")
            self.here.discard(self.text(draft))
            self.theirs.discard(self.text(draft))

    def judge(self) -> None:
        found = Counter(there(self.world))
        assert all(count == 1 for count in found.values()), f"twice: {found}"
        assert self.here | self.theirs <= set(found), f"lost: {(self.here | self.theirs) - set(found)}"
        assert len(lines(self.world)) == len(found), "the list shows one line for each"
        assert sorted(deliveries(self.world)) == sorted(self.sent)


@pytest.fixture(scope="module")
def office() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("provider", PROVIDERS)
def test_by_chance_nothing_typed_is_lost_or_doubled(
    office: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    for seed in range(SEEDS):
        address = f"{provider}{seed}@example.com"
        office.limits = Limits()
        office.clock.offset = 0.0
        office.add_user(User(address, provider))
        world = World(office, provider, tmp_path / str(seed), address=address)
        life = Life(world, seed, monkeypatch)
        try:
            world.settle()
            life.live()
            life.judge()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        finally:
            world.close()
            office.faults.clear()
            office.ledger.clear()
            del office.users[address]
