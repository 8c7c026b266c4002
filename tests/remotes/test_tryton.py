"""Tryton's connector before a real Tryton 8.2: the contract of all CRMs, and what is Tryton's own."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from crmmail.errors import AuthRequired, CrmMailError, Rejected, SettingsError
from tests.remotes import tryton_server
from tests.remotes.crm_contract import CrmContract, TakesFiles, acked, ids
from tests.remotes.crm_world import CrmWorld, TrytonWorld, everything, log, new_contact
from tests.remotes.tryton_server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    tryton_server.needed()
    with tryton_server.running() as started:
        yield started


@pytest.fixture
def world(server: Server) -> Iterator[TrytonWorld]:
    made = TrytonWorld(server)
    yield made
    made.close()


class TestTryton(CrmContract, TakesFiles):
    def files(self, world: CrmWorld) -> list[tuple[str, bytes]]:
        assert isinstance(world, TrytonWorld)
        rows = world.ask("model.ir.attachment.search_read", [], 0, None, [["name", "ASC"]], ["name", "data"])
        return [(row["name"], base64.b64decode(row["data"]["base64"])) for row in rows]


def test_a_tax_id_and_ways_of_contact_come_along(world: TrytonWorld) -> None:
    ways = [
        {"type": "website", "value": "https://acme.example"},
        {"type": "email", "value": "Contato@acme.example"},
        {"type": "phone", "value": "+551133334444"},
    ]
    tax = [["create", [{"type": "br_vat", "code": "11.222.333/0001-81"}]]]
    party = {"name": "Acme", "contact_mechanisms": [["create", ways]], "identifiers": tax}
    (acme,) = world.ask("model.party.party.create", [party])
    account = everything(world.connect()).accounts[str(acme)]
    assert account.tax_id == "11222333000181"
    assert account.addresses == ("contato@acme.example",)
    assert account.phone.replace(" ", "") == "+551133334444"
    assert account.domains == ("acme.example",)


def test_a_new_address_of_an_old_party_is_a_change(world: TrytonWorld) -> None:
    acme = world.add_account("Acme")
    crm = world.connect()
    first = everything(crm)
    way = {"party": int(acme), "type": "email", "value": "nova@acme.example"}
    world.ask("model.party.contact_mechanism.create", [way])
    assert everything(crm, first.cursor).accounts[acme].addresses == ("nova@acme.example",)


def test_a_party_that_becomes_a_person_of_a_company_is_an_account_no_more(world: TrytonWorld) -> None:
    acme, rui = world.add_account("Acme"), world.add_account("Rui")
    crm = world.connect()
    first = everything(crm)
    assert rui in first.accounts
    world.ask("model.party.relation.all.create", [{"from_": int(rui), "to": int(acme), "type": world.type}])
    later = everything(crm, first.cursor, (set(first.accounts), set(first.contacts)))
    assert rui not in later.accounts


def test_a_party_switched_off_is_gone(world: TrytonWorld) -> None:
    acme = world.add_account("Acme")
    crm = world.connect()
    first = everything(crm)
    world.ask("model.party.party.write", [int(acme)], {"active": False})
    assert any(acme in page.gone_accounts for page in everything(crm, first.cursor).pages)


def test_where_several_relations_could_make_a_contact_one_must_be_named(world: TrytonWorld) -> None:
    world.ask("model.party.relation.type.write", [world.type], {"name": "Employee"})
    world.ask("model.party.relation.type.create", [{"name": "Partner"}])
    with pytest.raises(SettingsError) as refused:
        world.connect().check()
    assert "Employee, Partner" in refused.value.sentence
    acme = world.add_account("Acme")
    ana = world.add_contact(acme, "Ana Lima", "ana@acme.example")
    assert everything(world.connect(relation="Employee")).contacts[ana].account == acme


def test_a_tryton_without_any_relation_gets_one_with_its_first_contact(world: TrytonWorld) -> None:
    world.ask("model.party.relation.type.delete", [world.type])
    acme = world.add_account("Acme")
    crm = world.connect()
    assert everything(crm).contacts == {}
    (made,) = ids(acked(crm, new_contact(acme, "rui@acme.example")))
    assert everything(crm).contacts[made].account == acme


def test_a_database_that_is_not_there_is_a_matter_of_settings(world: TrytonWorld) -> None:
    with pytest.raises(SettingsError) as refused:
        world.connect(database="nowhere").check()
    assert "database" in refused.value.sentence


def test_a_session_that_ran_out_is_renewed_without_a_word(world: TrytonWorld) -> None:
    acme = world.add_account("Acme")
    crm = world.connect()
    crm.check()
    world.fault("status", asks='"model\\.', status=401, body="", times=1)
    ids(acked(crm, log(acme)))
    world.fault("status", asks='"model\\.', status=401, body="")
    with pytest.raises(AuthRequired):
        acked(crm, log(acme, "<2@x.example>"))


def test_a_user_without_rights_is_told_so(world: TrytonWorld) -> None:
    login = {"name": "Leitor", "login": "leitor", "password": tryton_server.PASSWORD}
    world.ask("model.res.user.create", [login])
    acme = world.add_account("Acme")
    world.fault("status", asks=world.writes, status=403, body="")
    (ack,) = acked(world.connect(), log(acme))
    assert isinstance(ack.error, Rejected) and "permission" in ack.error.next_step


@pytest.mark.parametrize("kind", ["reset_after", "bad_json", "401"])
def test_no_traceback_shows_the_password_even_with_its_locals(world: TrytonWorld, kind: str) -> None:
    import io
    import traceback

    from rich.console import Console
    from rich.traceback import Traceback

    if kind == "401":
        world.revoke()
    else:
        world.fault(kind, asks="common.db.login")
    screen = io.StringIO()
    try:
        world.connect().timeline("1")
    except CrmMailError as error:
        parts = type(error), error, error.__traceback__
        Console(file=screen, width=300).print(Traceback.from_exception(*parts, show_locals=True, locals_max_string=400))
        screen.write("".join(traceback.format_exception(error)))
    assert "tryton.py" in screen.getvalue()
    assert tryton_server.PASSWORD not in screen.getvalue()


def test_the_shell_connects_it_with_the_password_on_its_input(
    world: TrytonWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io
    import json

    from crmmail import config, crms
    from crmmail.cli import main

    place = ["--url", world.relay.listener.url, "--database", world.database, "--user", tryton_server.USER]
    command = ["crm", "connect", "tryton", *place, "--token-store", "file", "--json"]
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    assert main(command) == 5
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tryton_server.PASSWORD}\n"))
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["as"] == tryton_server.USER
    profile = config.profile()
    crm = crms.connector(profile, config.load(profile))()
    assert everything(crm).accounts == {}
    crm.close()
