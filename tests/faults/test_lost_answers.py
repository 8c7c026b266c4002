"""A change was made there, its answer was lost, and the user has changed their mind meanwhile."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmmail import ops
from crmmail.model import Delta, State
from crmmail.ops import Verb
from tests.faults.world import World

API = r"/(gmail|batch|v1\.0)"
PAIRS = [
    (first, second)
    for first, second in product((Verb.READ, Verb.UNREAD, Verb.FAVORITE, Verb.TRASH, Verb.ARCHIVE), repeat=2)
    if first is not second
]


def lose_answers(world: World) -> None:
    """Everything the server does from now on, it does unheard."""
    world.sandbox.faults.add("reset_after", path=API, method="POST")
    world.sandbox.faults.add("reset_after", path=API, method="PATCH")
    world.sandbox.faults.add("reset_before", path=API, method="GET")


@pytest.fixture
def filled(world: World) -> World:
    world.furnish(24)
    world.settle()
    return world


def act_unheard(world: World, verb: Verb, targets: list[str]) -> None:
    if not world.perform(verb, targets):
        pytest.skip(f"{verb} makes no sense for these here")
    lose_answers(world)
    assert world.step().error is not None
    world.sandbox.faults.clear()


@pytest.mark.parametrize("verb", [Verb.READ, Verb.UNREAD, Verb.FAVORITE, Verb.TRASH, Verb.ARCHIVE])
def test_undo_after_a_lost_answer_restores_the_server_exactly(filled: World, verb: Verb) -> None:
    before, labels = filled.there(), filled.server.state()
    act_unheard(filled, verb, filled.ids("inbox"))
    assert filled.there() != before
    assert filled.store.undo() is not None
    assert filled.here() == before
    filled.settle()
    assert filled.there() == before
    assert filled.server.state() == labels
    filled.rest()


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_last_word_counts_after_a_lost_answer(filled: World, first: Verb, second: Verb) -> None:
    targets = filled.ids("inbox")
    act_unheard(filled, first, targets)
    filled.perform(second, targets)
    wished = filled.here()
    filled.settle()
    assert filled.there() == wished
    filled.rest()


def test_the_last_word_counts_after_a_lost_answer_and_a_restart(filled: World) -> None:
    targets = filled.ids("inbox")
    act_unheard(filled, Verb.TRASH, targets)
    filled.reopen()
    filled.perform(Verb.RECOVER, targets)
    wished = filled.here()
    filled.settle()
    assert filled.there() == wished
    filled.rest()


FOLDERS = st.frozensets(st.sampled_from(["inbox", "trash", "archive", "x:1"]), max_size=3)
STATES = st.builds(State, folders=FOLDERS, unread=st.booleans(), starred=st.booleans())
FLAGS = st.sampled_from([None, True, False])
DELTAS = st.builds(
    Delta, move=st.sampled_from([None, "trash", "inbox"]), add=FOLDERS, remove=FOLDERS, unread=FLAGS, starred=FLAGS
)


@given(STATES, st.lists(DELTAS, max_size=5), st.data())
def test_a_certain_delta_ends_the_same_whatever_the_server_had_made(
    base: State, pending: list[Delta], data: st.DataObject
) -> None:
    tried = data.draw(st.integers(0, len(pending)))
    made = data.draw(st.integers(0, tried))
    delta = ops.certain(base, pending, tried)
    wanted = ops.project(base, pending)
    assert ops.apply(ops.project(base, pending[:made]), delta or Delta()) == wanted
    if not tried:
        assert delta == ops.compact(base, pending)
