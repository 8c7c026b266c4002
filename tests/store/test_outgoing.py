"""What was queued is what goes, once; every state is what is so; every way back is a whole draft."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crmmail.errors import DraftError, StoreError
from crmmail.model import Change, Draft, Outgoing, SendState
from crmmail.store import Store, outgoing
from tests.store.test_drafts import FULL, written
from tests.store.told import GMAIL, Clock, rows

MIME = b"From: ana@acme.example\r\nSubject: Proposta\r\n\r\nsegue\r\n" * 50
EXAMPLES = int(os.environ.get("CRMMAIL_MACHINE_EXAMPLES", "25"))
HELD, QUEUED, SENDING, UNKNOWN = SendState.HELD, SendState.QUEUED, SendState.SENDING, SendState.UNKNOWN


def queued(store: Store, token: str = "token-1", after: float = 0, draft: Draft = FULL, mime: bytes = MIME) -> Outgoing:
    saved = store.new_draft(draft)
    saved = store.enclose(saved.id, "a.pdf", "application/pdf", b"%PDF-" + token.encode())
    not_before = store._clock() + after if after else 0.0
    return store.queue(saved, mime, f"<{token}@acme.example>", token, not_before)


def test_queueing_takes_the_draft_out_of_the_lists_and_keeps_the_message_byte_for_byte(
    store: Store, directory: Path, clock: Clock, heard: Callable[[], Change]
) -> None:
    out = queued(store)
    assert (out.state, out.attempts, out.token, out.message_id) == (QUEUED, 0, "token-1", "<token-1@acme.example>")
    assert out.recipients == ("rui@acme.example", "", "x@y.example", "c@y.example")
    change = heard()
    assert change.outbox and ("work", "drafts") in change.folders
    assert store.drafts() == []
    store.close()
    with Store.open(directory, clock=clock) as again:
        assert again.outgoing() == [out]
        assert again.mime(out.id) == MIME
        assert again.outgoing_counts() == {QUEUED: 1}


def test_a_draft_is_queued_once_whatever_is_pressed(store: Store) -> None:
    draft = store.new_draft(FULL)
    store.queue(draft, MIME, "<1@x>", "token-1", 0)
    with pytest.raises(DraftError):
        store.queue(draft, MIME, "<2@x>", "token-2", 0)
    with pytest.raises(DraftError):
        store.queue(FULL, MIME, "<2@x>", "token-1", 0)
    gone = store.new_draft(FULL)
    store.discard_draft(gone.id)
    with pytest.raises(DraftError):
        store.queue(gone, MIME, "<3@x>", "token-3", 0)
    assert len(store.outgoing()) == 1
    assert store.drafts() == []


def test_unsend_inside_the_window_gives_the_whole_draft_back(store: Store, clock: Clock) -> None:
    out = queued(store, after=10)
    assert out.state is HELD
    clock.now += 9.9
    draft = store.unsend(out.id)
    assert draft is not None
    assert replace(written(draft), enclosures=()) == FULL
    assert store.enclosure(draft.enclosures[0].digest) == b"%PDF-token-1"
    assert store.drafts() == [draft]
    assert store.outgoing([SendState.CANCELLED])[0].id == out.id
    assert store.claim_outgoing("work", clock() + 100) is None
    assert store.queue(draft, MIME, "<2@x>", "token-2", 0).state is QUEUED


def test_after_the_window_unsend_says_that_it_is_too_late(store: Store, clock: Clock) -> None:
    out = queued(store, after=10)
    clock.now += 10
    assert store.unsend(out.id) is None
    assert store.drafts() == []
    assert store.claim_outgoing("work", clock()) is not None
    assert store.unsend(out.id) is None
    assert store.unsend(9999) is None


def test_what_is_held_is_claimed_when_its_time_has_come_and_only_then(store: Store, clock: Clock) -> None:
    later = queued(store, "token-1", after=3600)
    now = queued(store, "token-2")
    claimed = store.claim_outgoing("work", clock())
    assert claimed == replace(now, state=SENDING, attempts=1)
    assert store.claim_outgoing("work", clock()) is None
    assert store.claim_outgoing("home", clock() + 9999) is None
    claimed = store.claim_outgoing("work", clock() + 3600)
    assert claimed == replace(later, state=SENDING, attempts=1)


def test_two_threads_never_claim_the_same_message(store: Store, clock: Clock) -> None:
    for number in range(30):
        queued(store, f"token-{number}")
    claimed: list[int] = []

    def take() -> None:
        while (out := store.claim_outgoing("work", clock())) is not None:
            claimed.append(out.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [out.id for out in store.outgoing([SENDING])]
    assert len(claimed) == 30


def test_undo_and_claim_at_the_same_moment_have_one_outcome(store: Store, clock: Clock) -> None:
    """S12: the draft comes back, or the message goes: never both, never neither."""
    for number in range(40):
        out = queued(store, f"token-{number}", after=10)
        came_back: list[Draft | None] = []
        thread = threading.Thread(target=lambda out=out, back=came_back: back.append(store.unsend(out.id)))
        thread.start()
        claimed = store.claim_outgoing("work", clock() + 10)
        thread.join()
        assert (claimed is None) == (came_back[0] is not None)
        assert len(store.drafts()) == sum(one.state is SendState.CANCELLED for one in store.outgoing())


def test_what_is_typed_after_queueing_never_goes_with_it(store: Store, clock: Clock) -> None:
    """S13."""
    draft = store.new_draft(FULL)
    out = store.queue(draft, MIME, "<1@x>", "token-1", clock() + 10)
    other = store.save_draft(replace(draft, text="mudei de ideia"))
    assert store.mime(out.id) == MIME
    back = store.unsend(out.id)
    assert back is not None and back.text == FULL.text
    assert {one.text for one in store.drafts()} == {FULL.text, other.text}


def test_what_was_on_its_way_when_the_program_ended_is_unknown_and_not_sent_again(
    store: Store, directory: Path, clock: Clock, heard: Callable[[], Change]
) -> None:
    out = queued(store)
    store.claim_outgoing("work", clock())
    store.close()
    with Store.open(directory, clock=clock) as again:
        again.register(GMAIL)
        assert again.release_outgoing("home") == 0
        assert again.release_outgoing("work") == 1
        assert again.outgoing([UNKNOWN]) == [replace(out, state=UNKNOWN, attempts=1)]
        assert again.claim_outgoing("work", clock() + 9999) is None


@pytest.mark.parametrize(
    "alteration",
    [
        "UPDATE blob SET content = CAST('Subject: outro' AS BLOB) WHERE digest = '{digest}'",
        "UPDATE blob SET content = zeroblob(10), packed = 0 WHERE digest = '{digest}'",
        "DELETE FROM blob WHERE digest = '{digest}'",
        "UPDATE outgoing SET recipients = '[\"eve@x.example\"]'",
        "UPDATE outgoing SET token = CAST(x'ff' AS TEXT)",
        "UPDATE outgoing SET message_id = CAST(x'3cff3e' AS TEXT)",
        "UPDATE outgoing SET draft = 77",
    ],
)
def test_what_was_altered_on_the_disk_fails_and_is_never_sent(
    store: Store, directory: Path, clock: Clock, alteration: str
) -> None:
    """D08."""
    out = queued(store)
    store.close()
    connection = sqlite3.connect(directory / "desk.db")
    connection.executescript(alteration.format(digest=out.digest))
    connection.close()
    with Store.open(directory, clock=clock) as again:
        again.register(GMAIL)
        sound = queued(again, "token-2", mime=b"another")
        claimed = again.claim_outgoing("work", clock())
        assert claimed is not None and claimed.id == sound.id
        (failed,) = again.outgoing([SendState.FAILED])
        assert failed.id == out.id and "altered" in failed.error
        again.resend(out.id)
        assert again.claim_outgoing("work", clock()) is None
        assert again.outgoing([SendState.FAILED])[0].id == out.id


def test_the_senders_notes_are_kept_and_nothing_else_can_be_noted(store: Store, clock: Clock) -> None:
    out = queued(store)
    store.claim_outgoing("work", clock())
    noted = store.note_outgoing(out.id, remote_draft="r1", error="Offline.", state=QUEUED, not_before=clock() + 60)
    assert store.outgoing() == [noted]
    assert (noted.state, noted.remote_draft, noted.not_before, noted.attempts) == (QUEUED, "r1", clock() + 60, 1)
    assert store.claim_outgoing("work", clock() + 59) is None
    again = store.claim_outgoing("work", clock() + 60)
    assert again is not None and (again.attempts, again.error) == (2, "")
    seen = store.note_outgoing(out.id, state=SendState.SEEN, remote_id="m1", sent_message_id="<new@google>")
    assert (seen.remote_id, seen.sent_message_id) == ("m1", "<new@google>")
    for wrong in ({"digest": "0"}, {"attempts": 0}, {"recipients": ()}):
        with pytest.raises(TypeError):
            store.note_outgoing(out.id, **wrong)
    with pytest.raises(StoreError):
        store.note_outgoing(9999, state=SendState.SEEN)


@pytest.mark.parametrize("before", list(SendState))
@pytest.mark.parametrize("after", list(SendState))
def test_only_lawful_states_follow_each_other(
    store: Store, directory: Path, before: SendState, after: SendState
) -> None:
    out = queued(store)
    store._commit(lambda connection: connection.execute("UPDATE outgoing SET state = ?", (before.value,)))
    if after is before or after in outgoing.NEXT[before]:
        assert store.note_outgoing(out.id, state=after).state is after
    else:
        with pytest.raises(StoreError):
            store.note_outgoing(out.id, state=after)
        assert store.outgoing()[0].state is before


def test_what_has_left_is_never_queued_again() -> None:
    for state in (SendState.ACCEPTED, SendState.SEEN, SendState.CANCELLED):
        assert not outgoing.NEXT[state] & {HELD, QUEUED, SENDING, UNKNOWN}
    assert set(outgoing.NEXT) == set(SendState)


def test_the_users_answers_for_an_unknown_message(store: Store, clock: Clock) -> None:
    outs = [queued(store, f"token-{number}") for number in range(3)]
    for _out in outs:
        store.claim_outgoing("work", clock())
    store.release_outgoing("work")
    assert store.resend(outs[0].id).state is QUEUED
    assert store.mark_sent(outs[1].id).state is SendState.ACCEPTED
    draft = store.to_draft(outs[2].id)
    assert replace(written(draft), enclosures=()) == FULL
    assert store.drafts() == [draft]
    for number in (outs[1].id, outs[2].id):
        with pytest.raises((StoreError, DraftError)):
            store.resend(number)
    with pytest.raises(StoreError):
        store.to_draft(outs[1].id)


def test_a_waiting_message_can_be_taken_back_to_write_on(store: Store) -> None:
    out = queued(store)
    draft = store.to_draft(out.id)
    assert replace(written(draft), enclosures=()) == FULL
    assert store.claim_outgoing("work", 4e9) is None


def test_a_draft_that_was_lost_is_made_anew_from_the_message(store: Store, directory: Path, clock: Clock) -> None:
    out = queued(store, mime=b"From: ana@acme.example\r\nTo: rui@acme.example\r\nSubject: Oi\r\n\r\ntexto\r\n")
    store.close()
    connection = sqlite3.connect(directory / "desk.db")
    connection.execute("UPDATE draft SET content = 'x'")
    connection.commit()
    connection.close()
    with Store.open(directory, clock=clock) as again:
        draft = again.to_draft(out.id)
        assert (draft.subject, draft.text.strip()) == ("Oi", "texto")
        assert again.drafts() == [draft]


def test_what_was_sent_long_ago_is_let_go_and_what_is_undecided_never(
    store: Store, directory: Path, clock: Clock
) -> None:
    seen, failed = queued(store, "token-1"), queued(store, "token-2")
    for out, state in ((seen, SendState.SEEN), (failed, SendState.FAILED)):
        assert store.claim_outgoing("work", clock()) is not None
        store.note_outgoing(out.id, state=state)
    store.close()
    clock.now += 40 * 86_400
    with Store.open(directory, clock=clock) as again:
        assert [one.id for one in again.outgoing()] == [failed.id]
        assert again.mime(failed.id) == MIME
        assert rows(again, "SELECT count(*) FROM draft") == [(1,)]
        assert again.to_draft(failed.id).text == FULL.text


class Desk(RuleBasedStateMachine):
    """Any order of typing, queueing, claiming, answers, undos, time and restarts: no draft lost, nothing sent twice."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="crmmail-desk-"))
        self.clock = Clock()
        self.texts: dict[int, str] = {}  # drafts the user still has, as typed last
        self.discarded: list[int] = []
        self.sent: dict[int, int] = {}  # outgoing id → draft, on its way or gone
        self.flying: list[int] = []
        self.number = 0
        self.store = Store.open(self.root / "profile", clock=self.clock)
        self.store.register(GMAIL)

    def _pick(self, which: int) -> Draft | None:
        there = sorted(self.texts.keys() - set(self.discarded) - set(self.sent.values()))
        return self.store.draft(there[which % len(there)]) if there else None

    @rule()
    def user_begins(self) -> None:
        self.number += 1
        draft = self.store.new_draft(Draft(0, "work", text=f"t{self.number}"))
        self.texts[draft.id] = draft.text

    @rule(which=st.integers(0, 9), stale=st.booleans())
    def user_types(self, which: int, stale: bool) -> None:
        if (draft := self._pick(which)) is not None:
            self.number += 1
            typed = replace(draft, text=f"t{self.number}", revision=0 if stale else draft.revision)
            assert self.store.save_draft(typed).id == draft.id
            self.texts[draft.id] = typed.text

    @rule(which=st.integers(0, 9))
    def user_attaches(self, which: int) -> None:
        if (draft := self._pick(which)) is not None:
            added = self.store.enclose(draft.id, "a", "text/plain", draft.text.encode())
            assert len(added.enclosures) == len(draft.enclosures) + 1

    @rule(which=st.integers(0, 9))
    def user_discards(self, which: int) -> None:
        if (draft := self._pick(which)) is not None:
            assert self.store.discard_draft(draft.id) is not None
            self.discarded.append(draft.id)

    @rule()
    def user_undoes(self) -> None:
        act = self.store.undo()
        assert (act is None) == (not self.discarded)
        if act is not None:
            self.discarded.remove(self.store.draft_of(act.id) or 0)

    @rule()
    def user_redoes(self) -> None:
        act = self.store.redo()
        if act is not None:
            self.discarded.append(self.store.draft_of(act.id) or 0)

    @rule(which=st.integers(0, 9), delay=st.sampled_from([0, 10]))
    def user_sends(self, which: int, delay: int) -> None:
        if (draft := self._pick(which)) is not None:
            self.number += 1
            token = f"token-{self.number}"
            out = self.store.queue(draft, draft.text.encode(), f"<{token}>", token, self.clock() + delay)
            self.sent[out.id] = draft.id

    @rule(which=st.integers(0, 9), late=st.booleans())
    def user_takes_back(self, which: int, late: bool) -> None:
        if not self.sent:
            return
        number = sorted(self.sent)[which % len(self.sent)]
        state = {one.id: one.state for one in self.store.outgoing()}[number]
        if late and state in (HELD, QUEUED, SendState.FAILED, UNKNOWN):
            draft: Draft | None = self.store.to_draft(number)
        else:
            draft = self.store.unsend(number)
        if draft is not None:
            assert draft.id == self.sent.pop(number)
            assert draft.text == self.texts[draft.id]

    @rule()
    def sender_claims(self) -> None:
        out = self.store.claim_outgoing("work", self.clock())
        if out is not None:
            assert out.id not in self.flying
            assert self.store.mime(out.id).decode() == self.texts[out.draft]
            self.flying.append(out.id)

    @rule(state=st.sampled_from([QUEUED, SendState.ACCEPTED, SendState.SEEN, SendState.FAILED, UNKNOWN]))
    def server_answers(self, state: SendState) -> None:
        if self.flying:
            self.store.note_outgoing(self.flying.pop(), state=state)

    @rule(which=st.integers(0, 9))
    def user_sends_again(self, which: int) -> None:
        undecided = self.store.outgoing([SendState.FAILED, UNKNOWN])
        if undecided:
            self.store.resend(undecided[which % len(undecided)].id)

    @rule(seconds=st.sampled_from([1, 9, 60]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def program_starts_again(self) -> None:
        self.store.close()
        self.store = Store.open(self.root / "profile", clock=self.clock)
        assert not self.store.notices
        self.store.register(GMAIL)
        assert self.store.release_outgoing("work") == len(self.flying)
        self.flying.clear()

    @invariant()
    def everything_typed_is_somewhere(self) -> None:
        there = {one.id: one.text for one in self.store.drafts()}
        queued_ones = set(self.sent.values())
        assert there == {
            number: text
            for number, text in self.texts.items()
            if number not in queued_ones and number not in self.discarded
        }
        assert {one.id for one in self.store.outgoing() if one.state is not SendState.CANCELLED} == set(self.sent)
        assert [one.id for one in self.store.outgoing([SENDING])] == sorted(self.flying)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.root)


TestDesk = Desk.TestCase
TestDesk.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
