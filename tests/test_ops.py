"""What the lists show is a pure fold: base, then everything the user did since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crmmail import ops
from crmmail.model import Capabilities, Delta, State
from crmmail.ops import Verb

GMAIL = Capabilities(labels=True, favorites=True, archive=True, delete_forever=True)
OUTLOOK = Capabilities(archive=True, delete_forever=True)
KEYS = st.frozensets(st.sampled_from(["inbox", "trash", "sent", "drafts", "spam", "archive", "x:1", "x:2"]))
STATES = st.builds(State, folders=KEYS, unread=st.booleans(), starred=st.booleans())
FLAGS = st.none() | st.booleans()
DELTAS = st.builds(
    Delta, move=st.none() | st.sampled_from(["inbox", "trash"]), add=KEYS, remove=KEYS, unread=FLAGS, starred=FLAGS
)


@given(STATES, STATES)
def test_the_difference_leads_from_one_state_to_the_other(before: State, after: State) -> None:
    assert ops.apply(before, ops.difference(before, after)) == after


@given(STATES, st.lists(DELTAS, max_size=5))
def test_a_compacted_delta_has_the_effect_of_all(base: State, pending: list[Delta]) -> None:
    once = ops.compact(base, pending)
    assert ops.project(base, [once] if once else []) == ops.project(base, pending)


@given(STATES, DELTAS)
def test_applying_a_delta_twice_is_applying_it_once(base: State, delta: Delta) -> None:
    assert ops.apply(ops.apply(base, delta), delta) == ops.apply(base, delta)


@given(STATES, DELTAS)
def test_the_journal_reads_back_what_it_wrote(state: State, delta: Delta) -> None:
    assert ops.load_state(ops.dumps(state)) == state
    assert ops.load_delta(ops.dumps(delta)) == delta


@given(STATES, st.sampled_from([GMAIL, OUTLOOK]), st.sampled_from(list(ops.REVERSIBLE - {Verb.RESTORE})))
def test_every_reversible_verb_is_undone_exactly(before: State, can: Capabilities, verb: Verb) -> None:
    after = ops.apply(before, ops.delta_for(verb, before, can))
    assert ops.apply(after, ops.delta_for(Verb.RESTORE, after, can, before)) == before


def test_star_and_unstar_is_nothing_to_send() -> None:
    assert ops.compact(State(frozenset({"inbox"})), [Delta(starred=True), Delta(starred=False)]) is None


def test_the_echo_of_our_own_change_shows_nothing_new() -> None:
    pending = [Delta(unread=False)]
    unheard, heard = State(frozenset({"inbox"}), unread=True), State(frozenset({"inbox"}), unread=False)
    assert ops.project(unheard, pending) == ops.project(heard, pending)


def test_a_change_of_another_attribute_shows_while_ours_is_pending() -> None:
    starred_elsewhere = State(frozenset({"inbox"}), unread=True, starred=True)
    assert ops.project(starred_elsewhere, [Delta(unread=False)]) == State(frozenset({"inbox"}), False, True)


def test_trash_keeps_the_labels_of_gmail_and_replaces_the_folder_of_outlook() -> None:
    state = State(frozenset({"inbox", "x:7"}))
    assert ops.apply(state, ops.delta_for(Verb.TRASH, state, GMAIL)).folders == {"trash", "x:7"}
    assert ops.apply(state, ops.delta_for(Verb.TRASH, state, OUTLOOK)).folders == {"trash"}


def test_recover_goes_back_to_where_it_came_from_with_its_flags() -> None:
    before = State(frozenset({"x:7"}), unread=True, starred=True)
    read_in_trash = State(frozenset({"trash", "x:7"}), unread=False, starred=True)
    assert ops.apply(read_in_trash, ops.delta_for(Verb.RECOVER, read_in_trash, GMAIL, before)) == before


def test_recover_of_unknown_origin_goes_to_the_inbox() -> None:
    trashed = State(frozenset({"trash", "x:7"}))
    assert ops.apply(trashed, ops.delta_for(Verb.RECOVER, trashed, GMAIL)).folders == {"inbox", "x:7"}
    assert ops.apply(trashed, ops.delta_for(Verb.RECOVER, trashed, OUTLOOK)).folders == {"inbox"}


def test_a_mailbox_without_favorites_allows_none() -> None:
    state = State(frozenset({"inbox"}))
    assert ops.allowed(Verb.FAVORITE, state, GMAIL)
    assert not ops.allowed(Verb.FAVORITE, state, OUTLOOK)


def test_permanent_deletion_and_recovery_exist_only_in_the_trash() -> None:
    for verb in (Verb.DELETE, Verb.RECOVER):
        assert not ops.allowed(verb, State(frozenset({"inbox"})), GMAIL)
        assert ops.allowed(verb, State(frozenset({"trash"})), GMAIL)
