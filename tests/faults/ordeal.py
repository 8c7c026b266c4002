"""The same life of a mailbox for every row: fill, act, let others act, end up in agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crmmail import ops
from crmmail.model import State
from crmmail.ops import Verb
from tests.faults.world import World, letter

MESSAGES = 45


def through(world: World, cause: Callable[[], object], *, messages: int = MESSAGES) -> None:
    """Fill and live under the faults `cause` sets off (once for each part), then agree and rest."""
    world.furnish(messages)
    cause()
    world.settle()
    world.sandbox.faults.clear()
    world.settle()
    world.agree()
    expected = busy(world)
    cause()
    world.settle()
    world.sandbox.faults.clear()
    world.settle()
    assert world.there() == expected
    assert not world.rejected()
    once(world)
    world.rest()


def busy(world: World) -> dict[str, State]:
    """The user acts offline, others act on the server; returns what must come of it there."""
    world.sandbox.ledger.clear()
    inbox = world.ids("inbox")
    mine, others = inbox[:8], inbox[8:14]
    expected = world.there()
    able = world.remote.capabilities
    for verb, ids in ((Verb.TRASH, mine[:5]), (Verb.READ, mine[4:8]), (Verb.FAVORITE, mine[6:8])):
        for one in ids:
            if ops.allowed(verb, expected[one], able):
                expected[one] = ops.apply(expected[one], ops.delta_for(verb, expected[one], able))
        world.perform(verb, ids)
    others_act(world, others)
    return {one: expected.get(one, state) if one in mine else state for one, state in world.there().items()}


def others_act(world: World, ids: list[str]) -> None:
    """Another client reads, trashes and deletes, and three messages arrive."""
    server = world.server
    keys = [server.key_of(one) for one in ids]
    server.trash(keys[0])
    server.delete(keys[1])
    if server.gmail:
        server.modify(keys[2], add=["STARRED"], remove=["UNREAD"])
    else:
        server.modify(keys[2], remove=["UNREAD"])
    count = len(server.order)
    for number in range(3):
        server.deliver(letter(1000 + count + number))


def once(world: World) -> None:
    """Nothing the user did was done twice: at most one change of a kind for each message."""
    seen = [(entry.effect, entry.id, str(entry.detail)) for entry in world.sandbox.ledger.accepted(world.address)]
    assert len(seen) == len(set(seen))


def flags(state: State, **changes: bool) -> State:
    """`state` with some flags set."""
    return replace(state, **changes)
