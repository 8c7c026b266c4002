"""Rows A01–A06 as a mailbox meets them: real sessions over TLS, ended, renewed and fought over in the middle of a sync.

What a session does by itself is tested in tests/auth; here it is the mail that must not suffer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crmmail.auth import session_for
from crmmail.auth.session import Session, renewer
from crmmail.auth.tokens import TokenStore
from crmmail.model import Phase
from crmmail.ops import Verb
from crmmail.sandbox import Sandbox, consent, person
from crmmail.signing import Done
from crmmail.sync import Engine, Pace
from tests.faults.ordeal import busy
from tests.faults.world import ADDRESSES, PROVIDERS, World, letter, mailbox

API = r"/(gmail|batch|v1\.0)"


@dataclass
class Signed:
    """A mailbox whose user has signed in for real."""

    world: World
    tokens: TokenStore
    name: str
    sandbox: Sandbox
    ticks: float = 0.0
    hours: float = 0.0
    renewals_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.renewals_before = self.renewals()

    def renewals(self) -> int:
        return len(consent.of(self.sandbox).renewals)

    def renewed(self) -> int:
        return self.renewals() - self.renewals_before

    def revoke(self) -> None:
        consent.of(self.sandbox).revoke(ADDRESSES[self.world.provider])
        self.sandbox.grants.revoke_all(ADDRESSES[self.world.provider])


@pytest.fixture
def sign(make: Callable[..., World], sandbox: Sandbox, tmp_path: Path) -> Callable[[str], Signed]:
    """Signs in a user of a provider."""
    consent.of(sandbox).interval = 0
    tokens = TokenStore(tmp_path / "profile", allow_file=True, use_keyring=False)

    def signer(provider: str) -> Signed:
        box = person.settings(sandbox, provider)
        assert isinstance(person.sign_in(sandbox, provider, box, tokens, ADDRESSES[provider]), Done)
        holder: list[Signed] = []
        session = Session(
            provider,
            tokens,
            renewer(box),
            clock=lambda: time.time() + (holder[0].hours * 3600 if holder else 0.0),
            monotonic=lambda: time.monotonic() + (holder[0].ticks if holder else 0.0),
        )
        world = make(provider, auth=session)
        world.furnish(30)
        world.settle()
        holder.append(Signed(world, tokens, provider, sandbox))
        return holder[0]

    return signer


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a01_one_401_in_the_middle_costs_one_renewal_and_the_sync_goes_on(
    sign: Callable[[str], Signed], provider: str
) -> None:
    signed = sign(provider)
    expected = busy(signed.world)
    signed.ticks += 600
    signed.sandbox.faults.preset("A01", path=API, nth=(2,))
    assert signed.world.step().error is None
    assert signed.renewed() <= 1  # a part of a batch is asked again first: its 401 may be the part's own
    signed.world.settle()
    assert signed.world.there() == expected
    signed.world.rest()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("nth", [1, 2, 3, 5])
def test_a01_a_token_that_ends_at_any_call_of_a_round_is_renewed_once(
    sign: Callable[[str], Signed], provider: str, nth: int
) -> None:
    signed = sign(provider)
    expected = busy(signed.world)
    signed.ticks += 600
    signed.sandbox.faults.add(
        "act", path=API, nth=(nth,), call=lambda: signed.sandbox.grants.expire(ADDRESSES[provider])
    )
    assert signed.world.step().error is None
    signed.world.settle()
    assert signed.renewed() == 1
    assert signed.world.there() == expected
    signed.world.rest()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a01_an_access_token_that_ends_is_renewed_without_a_word(sign: Callable[[str], Signed], provider: str) -> None:
    signed = sign(provider)
    signed.ticks += 3600
    expected = busy(signed.world)
    signed.world.settle()
    assert signed.renewed() == 1
    assert signed.world.there() == expected
    signed.world.rest()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a02_401_after_the_renewal_pauses_that_mailbox_and_keeps_its_queue(
    sign: Callable[[str], Signed], provider: str
) -> None:
    signed = sign(provider)
    world = signed.world
    targets = world.ids("inbox")[:3]
    signed.sandbox.faults.preset("A02", path=API)
    world.perform(Verb.TRASH, targets)
    outcome = world.step()
    assert outcome.phase is Phase.SIGN_IN
    assert outcome.sentence
    asked = len(signed.sandbox.ledger.requests)
    for _ in range(5):
        world.clock.advance(30)
        assert world.step().phase is Phase.SIGN_IN
    assert len(signed.sandbox.ledger.requests) == asked
    assert len(world.pending()) == 3
    assert all("trash" in world.here()[one].folders for one in targets)
    signed.sandbox.faults.clear()
    again(signed)
    assert all("trash" in world.there()[one].folders for one in targets)
    world.rest()


def again(signed: Signed) -> None:
    """The user signs in again; the app resumes the mailbox."""
    box = person.settings(signed.sandbox, signed.name)
    done = person.sign_in(signed.sandbox, signed.name, box, signed.tokens, ADDRESSES[signed.name])
    assert isinstance(done, Done)
    signed.world.sync.resume()
    signed.world.settle()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a03_a_revoked_grant_asks_to_sign_in_and_the_other_mailbox_goes_on(
    sign: Callable[[str], Signed], provider: str
) -> None:
    over = sign(provider)
    other = sign(PROVIDERS[1 - PROVIDERS.index(provider)])
    over.revoke()
    over.world.perform(Verb.TRASH, over.world.ids("inbox")[:2])
    over.ticks += 3600
    assert over.world.step().phase is Phase.SIGN_IN
    other.world.server.deliver(letter(500))
    other.world.settle()
    other.world.rest()
    assert len(over.world.pending()) == 2
    renewals = over.renewals()
    for _ in range(4):
        over.world.clock.advance(700)
        over.ticks += 700
        assert over.world.step().phase is Phase.SIGN_IN
    assert over.renewals() - renewals <= 1
    again(over)
    over.world.rest()


def test_a03_two_threads_of_the_engine_one_mailbox_signed_out(sign: Callable[[str], Signed]) -> None:
    out, fine = sign("gmail"), sign("outlook")
    out.revoke()
    out.ticks += 3600
    store = fine.world.store
    remotes = {"gmail": out.world.connect(), "outlook": fine.world.connect()}
    store.register(mailbox("gmail", remotes["gmail"].capabilities))
    engine = Engine(store, lambda box: remotes[box.id], pace=Pace(shortest=0.05, longest=0.05, interval=0.05))
    engine.start()
    try:
        until(lambda: store.statuses()["gmail"].phase is Phase.SIGN_IN)
        fine.world.server.deliver(letter(900))
        until(lambda: fine.world.here().keys() == fine.world.there().keys())
        assert store.statuses()["gmail"].phase is Phase.SIGN_IN
    finally:
        engine.stop(patience=10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a04_a_lost_answer_of_the_renewal_ends_in_sync_or_in_one_request_to_sign_in(
    sign: Callable[[str], Signed], provider: str
) -> None:
    signed = sign(provider)
    expected = busy(signed.world)
    signed.ticks += 3600
    signed.sandbox.faults.preset("A04")
    asked = 0
    for _ in range(12):
        outcome = signed.world.step()
        asked += outcome.phase is Phase.SIGN_IN
        signed.world.clock.advance(max(outcome.wait, 0.01))
        signed.ticks += max(outcome.wait, 0.01)
        if outcome.phase in (Phase.SYNCED, Phase.SIGN_IN):
            break
    assert asked <= 1
    if asked:
        again(signed)
    signed.world.settle()
    assert signed.world.there() == expected
    signed.world.rest()


@pytest.mark.parametrize("hours", [-2.0, 2.0])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a05_a_clock_two_hours_off_makes_no_storm(sign: Callable[[str], Signed], provider: str, hours: float) -> None:
    signed = sign(provider)
    signed.hours = hours
    started = signed.renewals()
    for _ in range(20):
        signed.world.server.deliver(letter(600 + len(signed.world.server.order)))
        outcome = signed.world.step()
        assert outcome.error is None
        signed.world.clock.advance(15)
        signed.ticks += 15
    assert signed.renewals() - started <= 5  # five minutes
    signed.world.settle()
    signed.world.rest()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a06_two_programs_of_one_profile_renew_at_the_same_time(
    sign: Callable[[str], Signed], sandbox: Sandbox, provider: str
) -> None:
    signed = sign(provider)
    box = person.settings(sandbox, provider)
    other = session_for(provider, box, signed.tokens)
    signed.ticks += 3600
    busy(signed.world)
    failures: list[BaseException] = []

    def race() -> None:
        try:
            other.token(refused=other.token())
        except Exception as error:  # noqa: BLE001 - of the other thread, told by the test
            failures.append(error)

    thread = threading.Thread(target=race)
    thread.start()
    outcome = signed.world.step()
    thread.join()
    assert failures == []
    assert outcome.error is None
    signed.world.settle()
    signed.world.rest()
