"""Every operation with the server stopped: it works here at once, drains when the server is back, and undo restores it.

The second half of what triage must show: a refused operation comes back with its sentence, and undo leaves the server
exactly as it was, Gmail's labels included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crmmail import ops
from crmmail.model import OpState, Phase, State
from crmmail.ops import Verb
from tests.faults.world import PROVIDERS, World, letter

REVERSIBLE = [verb for verb in Verb if verb not in (Verb.DELETE, Verb.RESTORE)]
CASES = [(provider, verb) for provider in PROVIDERS for verb in Verb if verb is not Verb.RESTORE]


def possible(world: World, verb: Verb, state: State) -> bool:
    return ops.allowed(verb, state, world.remote.capabilities)


def filled(make: Callable[..., World], provider: str) -> World:
    """A mailbox with messages in every state an operation may meet, labels of the user's own included."""
    world = make(provider)
    labels = ["Label_1", "Label_2"] if world.server.gmail else []
    if labels:
        from crmmail.sandbox.mailbox import Place

        for label in labels:
            world.server.places[label] = Place(label, label.replace("_", " "))
    for number, (folder, unread, starred) in enumerate(
        (folder, unread, starred)
        for folder in ("inbox", "trash", "spam", "sent")
        for unread in (True, False)
        for starred in ((True, False) if labels else (False,))
        for _ in range(2)
    ):
        world.server.add(
            letter(number),
            folder=folder,
            unread=unread,
            starred=starred,
            labels=labels[: number % 3],
            received_ms=int(world.clock.now * 1000) - number * 60_000,
        )
    world.settle()
    return world


@pytest.mark.parametrize(("provider", "verb"), CASES)
def test_each_operation_works_offline_and_drains_when_the_server_returns(
    make: Callable[..., World], provider: str, verb: Verb
) -> None:
    world = filled(make, provider)
    before = world.there()
    targets = [one for one, state in before.items() if possible(world, verb, state)]
    if not targets:
        assert verb in (Verb.FAVORITE, Verb.UNFAVORITE)
        assert provider == "outlook"
        return
    world.sandbox.pause()
    assert world.perform(verb, targets) == len(targets)
    shown = world.here()
    assert all(not possible(world, verb, shown[one]) for one in targets if one in shown)
    assert world.step().phase is Phase.OFFLINE
    assert world.there() == before
    assert len(world.pending()) == len(targets)
    world.sandbox.resume()
    world.settle()
    expected = {
        one: ops.apply(state, ops.delta_for(verb, state, world.remote.capabilities))
        for one, state in before.items()
        if one in targets
    }
    remote = world.there()
    assert {one: remote[one] for one in targets if one in remote} == {
        one: state for one, state in expected.items() if not state.gone
    }
    assert {one: state for one, state in remote.items() if one not in targets} == {
        one: state for one, state in before.items() if one not in targets
    }
    world.rest()


@pytest.mark.parametrize(("provider", "verb"), [case for case in CASES if case[1] in REVERSIBLE])
@pytest.mark.parametrize("offline", [True, False])
def test_undo_restores_the_server_exactly_whether_the_act_was_sent_or_not(
    make: Callable[..., World], provider: str, verb: Verb, offline: bool
) -> None:
    world = filled(make, provider)
    before, labels = world.there(), world.server.state()
    targets = [one for one, state in before.items() if possible(world, verb, state)]
    if not targets:
        return
    if offline:
        world.sandbox.pause()
    world.perform(verb, targets)
    if offline:
        assert world.step().phase is Phase.OFFLINE
    else:
        world.settle()
        assert world.there() != before
    assert world.store.undo() is not None
    assert world.here() == before
    if offline:
        world.sandbox.resume()
    world.settle()
    assert world.there() == before
    assert world.server.state() == labels
    world.rest()
    assert world.store.redo() is not None
    world.settle()
    assert world.there() != before
    world.rest()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_trashed_message_recovers_to_where_it_was_with_its_flags(make: Callable[..., World], provider: str) -> None:
    world = filled(make, provider)
    before, labels = world.there(), world.server.state()
    targets = world.ids("inbox")
    world.perform(Verb.TRASH, targets)
    world.settle()
    world.reopen()
    world.perform(Verb.RECOVER, targets)
    world.settle()
    assert world.there() == before
    assert world.server.state() == labels
    world.rest()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_long_history_made_offline_across_restarts_is_undone_to_the_last_act(
    make: Callable[..., World], provider: str
) -> None:
    world = filled(make, provider)
    before, labels = world.there(), world.server.state()
    world.sandbox.pause()
    inbox = world.ids("inbox")
    for verb in (Verb.UNREAD, Verb.FAVORITE, Verb.ARCHIVE, Verb.TRASH, Verb.RECOVER, Verb.READ):
        world.perform(verb, inbox)
    world.reopen()
    world.sandbox.resume()
    world.settle()
    world.reopen()
    world.sandbox.pause()
    while world.store.undo() is not None:
        pass
    assert world.here() == before
    world.sandbox.resume()
    world.settle()
    assert world.there() == before
    assert world.server.state() == labels
    world.rest()


@pytest.mark.parametrize(
    ("provider", "verb"),
    [(p, v) for p in PROVIDERS for v in (Verb.READ, Verb.TRASH, Verb.ARCHIVE, Verb.DELETE)],
)
def test_a_refused_operation_comes_back_with_its_sentence(
    make: Callable[..., World], provider: str, verb: Verb
) -> None:
    world = filled(make, provider)
    before = world.there()
    targets = [one for one, state in before.items() if possible(world, verb, state)]
    stubborn = targets[0]
    world.sandbox.faults.refuse(world.address, stubborn, "This message is under legal hold.")
    told: list[Any] = []
    world.store.subscribe(lambda change: told.extend(change.rejected))
    world.perform(verb, targets)
    world.settle()
    assert [sentence for _act, sentence in told] == ["This message is under legal hold."]
    assert world.here()[stubborn] == before[stubborn]
    assert world.there()[stubborn] == before[stubborn]
    assert [(op.remote_id, op.state, op.error) for op in world.store.outbox()] == [
        (stubborn, OpState.REJECTED, "This message is under legal hold.")
    ]
    world.rest()
    world.sandbox.faults.allow(world.address, stubborn)
    world.store.retry(told[0][0])
    world.settle()
    assert world.store.outbox() == []
    assert world.there().get(stubborn) != before[stubborn]
    world.rest()
