"""SharpSpring's connector before the sandbox: the contract of all CRMs, and what is SharpSpring's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crmmail.errors import AuthRequired, Rejected, Transient
from crmmail.remotes import sharpspring_json as told
from crmmail.remotes.pace import Bucket
from tests.remotes.crm_contract import CrmContract, acked, ids
from tests.remotes.crm_world import SharpSpringWorld, everything, log, new_contact


@pytest.fixture
def world() -> Iterator[SharpSpringWorld]:
    made = SharpSpringWorld()
    yield made
    made.close()
    assert made.sandbox.ledger.failures == []


class TestSharpSpring(CrmContract):
    pass


def test_it_stays_below_ten_calls_a_second_while_it_mirrors(world: SharpSpringWorld) -> None:
    world.company.per_second = 10
    world.company.fill(3000, 6000)
    mirror = everything(world.connect(pace=None))
    assert (len(mirror.accounts), len(mirror.contacts)) == (3000, 6000)
    moments = [asked.at for asked in world.sandbox.ledger.asked("/pubapi")]
    assert len(moments) > 20
    assert max(sum(1 for other in moments if one <= other < one + 1.0) for one in moments) <= 10


def test_texts_are_unescaped_once_and_own_fields_left_alone(world: SharpSpringWorld) -> None:
    acme = world.add_account("Tom &amp; Jerry <Ltda>")
    account = everything(world.connect()).accounts[acme]
    assert account.name == "Tom &amp; Jerry <Ltda>"
    assert ("Porte da empresa", "Pequeno & ágil") in account.fields
    assert account.owner == "Ana Souza"


def test_a_row_that_vanishes_between_two_pages_takes_no_other_with_it(world: SharpSpringWorld) -> None:
    world.company.fill(1200, 0)
    accounts = world.company.tables.accounts
    first, second, *_rest = accounts
    world.fault(
        "act",
        asks=r'"getAccounts".*"offset": ?499',
        call=lambda: [accounts.pop(first, None), accounts.pop(second, None)],
    )
    mirror = everything(world.connect())
    assert set(mirror.accounts) - {str(first), str(second)} == {str(one) for one in accounts}


def test_more_changes_than_an_answer_holds_are_all_told(world: SharpSpringWorld) -> None:
    world.company.fill(10, 0)
    crm = world.connect()
    first = everything(crm)
    world.sandbox.clock.advance(600)
    world.company.fill(0)
    made = [world.add_account(f"Conta {number}") for number in range(1100)]
    assert set(everything(crm, first.cursor).accounts) >= set(made)


def test_a_lead_that_is_no_longer_active_is_gone(world: SharpSpringWorld) -> None:
    acme = world.add_account("Acme")
    ana = world.add_contact(acme, "Ana Lima", "ana@acme.example")
    crm = world.connect()
    first = everything(crm)
    world.company.tables.touch("leads", int(ana), {"active": 0})
    assert any(ana in page.gone_contacts for page in everything(crm, first.cursor).pages)


def test_entries_are_signed_by_the_user_with_our_address(world: SharpSpringWorld) -> None:
    users = world.company.tables.users
    users[7] = {"id": 7, "firstName": "Rui", "lastName": "Costa", "emailAddress": "Rui@lumen.example", "isActive": 1}
    acme = world.add_account("Acme")
    crm = world.connect(authors=["rui@lumen.example"])
    assert crm.check() == "Rui Costa"
    ids(acked(crm, log(acme)))
    (note,) = world.company.tables.notes.values()
    assert str(note["authorID"]) == "7"


def test_an_entry_hangs_on_the_person_as_well_as_on_the_account(world: SharpSpringWorld) -> None:
    acme = world.add_account("Acme")
    ana = world.add_contact(acme, "Ana Lima", "ana@acme.example")
    ids(acked(world.connect(), log(acme, contacts=(ana,), sent=True)))
    (note,) = world.company.tables.notes.values()
    assert (note["whoType"], str(note["whoID"]), note["whatType"], str(note["whatID"])) == (
        "lead",
        ana,
        "account",
        acme,
    )
    assert note["title"] == "E-mail sent: Proposta & preço"


def refused(code: int, message: str = "No") -> dict[str, Any]:
    return {"code": code, "message": message, "data": []}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"result": None, "error": refused(105), "id": None}, AuthRequired),
        ({"result": None, "error": refused(106), "id": None}, Transient),
        ({"result": None, "error": refused(107), "id": None}, Transient),
        ({"result": None, "error": refused(999), "id": None}, Transient),
        ({"result": {"creates": [{"success": False, "error": refused(107)}]}, "error": [refused(107)]}, Transient),
        ({"result": {"creates": []}, "error": None}, Transient),
        ({"result": {"creates": [{"success": True, "error": None}]}, "error": None}, Transient),
    ],
)
def test_an_error_inside_200_is_an_error(world: SharpSpringWorld, body: Any, error: type[Exception]) -> None:
    acme = world.add_account("Acme")
    crm = world.connect()
    world.fault("status", asks=world.writes, status=200, body={**body, "id": None})
    with pytest.raises(error):
        acked(crm, log(acme))


@pytest.mark.parametrize(
    "body",
    [
        {"result": None, "error": refused(205, "Invalid parameters."), "id": None},
        {"result": {"creates": [{"success": False, "error": refused(205, "Invalid parameters.")}]}, "error": None},
        {"result": {"creates": [{"success": True, "id": 5}]}, "error": [refused(205, "Invalid parameters.")]},
        {"result": None, "error": [refused(205, "Invalid parameters.")]},
    ],
)
def test_a_refusal_on_either_level_is_told_in_its_own_words(world: SharpSpringWorld, body: Any) -> None:
    acme = world.add_account("Acme")
    world.fault("status", asks=world.writes, status=200, body={**body, "id": None}, times=1)
    first, second = acked(world.connect(), log(acme), log(acme, "<2@x.example>"))
    assert isinstance(first.error, Rejected)
    assert "Invalid parameters." in first.error.sentence
    assert second.error is None


def test_a_days_limit_waits_an_hour_and_a_seconds_limit_a_second() -> None:
    waits = {code: told.refusal({"code": code}) for code in (106, 107)}
    assert [error.retry_after for error in waits.values() if isinstance(error, Transient)] == [3600.0, 1.0]


def test_a_change_without_effect_is_no_error() -> None:
    answer = {"result": {"updates": [{"success": False, "error": refused(302)}]}, "error": [refused(302)]}
    assert told.written(answer, "updates").done


def test_a_contact_without_an_address_cannot_be_made_there(world: SharpSpringWorld) -> None:
    (ack,) = acked(world.connect(), new_contact(world.add_account("Acme")))
    assert isinstance(ack.error, Rejected) and "e-mail address" in ack.error.sentence


def test_an_empty_lead_is_nobody() -> None:
    assert told.contact({"id": "", "emailAddress": None}) is None
    assert told.contact({"id": "5", "emailAddress": "", "firstName": None}) is None


def test_the_pace_is_ended_with_the_connection(world: SharpSpringWorld) -> None:
    crm = world.connect(pace=Bucket(0.001, 0.5))
    import threading

    timer = threading.Timer(0.2, crm.close)
    timer.start()
    with pytest.raises(Transient):
        crm.check()
        crm.timeline("5")
    timer.join()
