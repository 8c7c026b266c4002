"""What must hold of every CRM when things go wrong (faults.json X01 … X04), with the store and real mail.

Mix into a test class with a `world` fixture (a CRM) and a `store` fixture.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from crmmail.crm import entry
from crmmail.crm.model import Account, Contact, LogSetting, LogStatus, NeverBy, Scope, Visibility
from crmmail.model import Incoming, Page, Phase
from crmmail.remotes.http import Wire
from crmmail.store import Store
from crmmail.sync import Engine, Pace
from crmmail.sync.crm import CrmOutcome, CrmSync
from crmmail.sync.crm_thread import CrmLink
from tests.remotes.crm_world import CrmWorld
from tests.remotes.world import GmailWorld
from tests.store.told import GMAIL, state
from tests.waiting import Clock

ME = GMAIL.address
FULL = LogSetting(on=True, visibility=Visibility.FULL)


def letter(number: int, sender: str, subject: str = "") -> bytes:
    lines = [f"From: {sender}", f"To: {ME}", f"Subject: {subject or f'Assunto {number}'}"]
    return "\r\n".join([*lines, f"Message-ID: <{number}@cedro.example>", "", f"Texto {number}."]).encode()


class Office:
    """A store with mail, a CRM that knows Cedro and Beta, and one that keeps them in agreement."""

    def __init__(self, store: Store, world: CrmWorld, clock: Clock) -> None:
        self.store, self.world, self.clock = store, world, clock
        self.cedro = world.add_account("Cedro", "https://cedro.example")
        self.beta = world.add_account("Beta", "https://beta.example")
        world.add_contact(self.cedro, "Bia Souza", "bia@cedro.example")
        self.begin()
        assert self.sync.step().error is None
        store.set_log_setting(FULL, mailbox="work")

    def begin(self) -> None:
        """As after a new start of the program."""
        crm = self.world.connect()
        self.sync = CrmSync(self.store, crm, self.clock, timer=self.clock.timer, rng=random.Random(1))

    def hear(self, *numbers: int, sender: str = "Bia <bia@cedro.example>", subject: str = "") -> list[int]:
        """Mail from Cedro arrives."""
        born = int(self.clock.now * 1000)
        upserts = []
        for number in numbers:
            raw = letter(number, sender, subject)
            upserts.append(Incoming(f"m{number}", state("inbox"), born + number, raw=raw, remote_thread=f"t{number}"))
        self.store.ingest("work", Page(f"c{numbers[-1]}", upserts=tuple(upserts), complete=True))
        return [self.store.find("work", f"m{number}") or 0 for number in numbers]

    def until_quiet(self, rounds: int = 200) -> CrmOutcome:
        """Step, letting all waits pass, until nothing waits."""
        for _ in range(rounds):
            outcome = self.sync.step()
            if outcome.error is None and self.store.log_waiting(self.sync.crm)[0] == 0:
                return outcome
            self.clock.advance(max(outcome.wait, 1))
        raise AssertionError(f"it never became quiet: {outcome}")

    def status(self, message: int) -> LogStatus:
        return self.store.log_states([message])[message].status

    def keys(self) -> list[str]:
        """The Message-IDs of all entries in the CRM, as another client reads them."""
        return [entry.key_in(text) for _account, text in self.world.entries()]


def ids(*numbers: int) -> list[str]:
    return [f"<{number}@cedro.example>" for number in numbers]


class CrmFaults:
    """Each kind of CRM runs these."""

    messages = 24

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def office(self, store: Store, world: CrmWorld, clock: Clock) -> Office:
        store._clock = clock
        return Office(store, world, clock)

    def test_mail_of_a_linked_account_becomes_one_entry_each_in_order(self, office: Office) -> None:
        numbers = list(range(1, 8))
        messages = office.hear(*numbers)
        office.until_quiet()
        assert office.keys() == ids(*numbers)
        assert {office.status(message) for message in messages} == {LogStatus.LOGGED}
        assert {account for account, _text in office.world.entries()} == {office.cedro}

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_answers_lost_at_random_make_no_second_entry_and_lose_none(self, office: Office, seed: int) -> None:
        """X01"""
        rng = random.Random(seed)
        for kind in ("reset_after", "reset_before", "late_status", "truncate", "bad_json"):
            office.world.fault(kind, asks=office.world.writes, probability=0.15, seed=rng.randrange(10**6), at=3)
        office.world.fault("reset_after", probability=0.03, seed=rng.randrange(10**6))
        numbers = list(range(1, self.messages + 1))
        messages: list[int] = []
        for number in numbers:
            messages += office.hear(number)
            outcome = office.sync.step()
            office.clock.advance(max(outcome.wait, 1))
            if rng.random() < 0.2:
                office.begin()
        office.until_quiet()
        assert office.keys() == ids(*numbers)
        assert {office.status(message) for message in messages} == {LogStatus.LOGGED}

    def test_an_hour_without_the_crm_keeps_the_queue_and_its_order_and_mail_goes_on(self, office: Office) -> None:
        """X02"""
        messages: list[int] = []
        with office.world.down():
            for minute in range(60):
                if minute % 10 == 0:
                    messages += office.hear(minute + 1)
                    assert office.store.message(messages[-1]) is not None
                outcome = office.sync.step()
                assert outcome.logged == 0
                office.clock.advance(60)
            assert {office.status(message) for message in messages} == {LogStatus.QUEUED}
        office.begin()
        office.until_quiet()
        assert office.keys() == ids(1, 11, 21, 31, 41, 51)

    def test_a_message_bound_anew_while_it_waits_goes_to_one_account_or_asks_and_never_to_both(
        self, office: Office
    ) -> None:
        """X03"""
        with office.world.down():
            (message,) = office.hear(1)
            assert office.sync.step().logged == 0
            beta = office.store.accounts("beta")[0].id
            office.store.link([message], beta, scope=Scope.MESSAGE)
        office.clock.advance(120)
        for _ in range(3):
            office.sync.step()
            office.clock.advance(120)
        told = office.world.entries()
        assert len(told) <= 1
        assert office.status(message) in (LogStatus.LOGGED, LogStatus.ASK)
        if told:
            assert told[0][0] == office.cedro

    def test_an_answer_about_another_account_is_an_alarm_and_no_entry(self, office: Office) -> None:
        """X04"""
        office.world.lie(office.cedro, office.beta)
        (message,) = office.hear(1)
        office.sync.step()
        assert office.world.entries() == []
        found = office.store.log_states([message])[message]
        assert found.status is LogStatus.FAILED
        assert office.beta in found.error

    def test_keys_revoked_in_the_middle_keep_the_queue_until_new_ones_are_there(self, office: Office) -> None:
        fault = office.world.fault("status", status=401, body="")
        messages = office.hear(1, 2)
        assert office.sync.step().phase is Phase.SIGN_IN
        assert {office.status(message) for message in messages} == {LogStatus.QUEUED}
        fault.times = 0
        office.begin()
        office.until_quiet()
        assert office.keys() == ids(1, 2)

    def test_an_account_made_here_is_created_there_once_and_told_back_as_the_same(self, office: Office) -> None:
        store = office.store
        made = store.save_account(Account("", "Nova Ltda", ("nova.example",)))
        store.save_contact(Contact("", made.id, "Rui Lima", ("rui@nova.example",)))
        assert store.push_account(made.id, "crm")
        office.world.fault("reset_after", asks=office.world.creates, times=1)
        office.until_quiet()
        account = store.account(made.id)
        assert account is not None
        assert account.crm == "crm" and account.remote_id
        office.clock.advance(1000)
        office.sync.look_now()
        assert office.sync.step().error is None
        assert [row.id for row in store.accounts("nova")] == [made.id]
        assert len(store.contacts(made.id)) == 1
        (message,) = office.hear(1, sender="Rui <rui@nova.example>")
        office.until_quiet()
        assert [one for one, _text in office.world.entries()] == [account.remote_id]
        assert office.status(message) is LogStatus.LOGGED

    @pytest.mark.parametrize("seed", [1, 2])
    def test_no_byte_of_private_internal_or_never_logged_mail_reaches_the_wire(
        self, office: Office, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        call = Wire.call

        def recorded(wire: Wire, method: str, url: str, **options: Any) -> Any:
            told.append(json.dumps(options.get("json"), ensure_ascii=False))
            return call(wire, method, url, **options)

        monkeypatch.setattr(Wire, "call", recorded)
        rng, store = random.Random(seed), office.store
        store.never(NeverBy.ADDRESS, "never@cedro.example")
        secret: list[str] = []
        for number in range(1, 25):
            kind = rng.choice(["open", "private", "internal", "never", "late"])
            sender = {"internal": f"colega@{ME.partition('@')[2]}", "never": "never@cedro.example"}
            canary = f"canary{number}{kind}"
            with office.world.down() if kind == "late" else contextlib.nullcontext():
                (message,) = office.hear(number, sender=sender.get(kind, "bia@cedro.example"), subject=canary)
                if kind == "private" or kind == "late":
                    if kind == "late":
                        office.sync.step()
                    store.set_private([message])
            secret += [canary] if kind != "open" else []
            office.clock.advance(max(office.sync.step().wait, 1))
        office.until_quiet()
        wire = "\n".join(told)
        assert "canary" in wire
        assert [one for one in secret if one in wire] == []

    def test_a_crm_that_hangs_holds_up_no_mail(self, office: Office) -> None:
        """X02, with the threads."""
        office.world.fault("silent", seconds=20)
        mail = GmailWorld()
        with mail:
            link = CrmLink("crm", office.world.connect)
            pace = Pace(shortest=0.05, longest=0.1, interval=0.05)
            engine = Engine(office.store, lambda _box: mail.connect(), pace=pace, crm=link)
            engine.add(GMAIL)
            engine.begin_crm()
            try:
                arrived = mail.deliver()
                until(lambda: office.store.find("work", arrived) is not None)
            finally:
                engine.stop(5)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.01)
