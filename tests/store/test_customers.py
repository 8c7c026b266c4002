"""Accounts and contacts: found as one types, changed by acts that undo turns, kept through a lost cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from crmmail.crm.model import Account, Contact
from crmmail.errors import SettingsError
from crmmail.store import Store
from tests.store.told import Clock


def names(store: Store, text: str = "") -> list[str]:
    found = [row.name for row in store.accounts(text)]
    assert store.account_count(text) == len(found)
    return found


@pytest.fixture
def acme(store: Store) -> Account:
    account = store.save_account(
        Account("", "Padaria São João", domains=("padaria.example",), tax_id="11.222.333/0001-81")
    )
    store.save_contact(Contact("", account.id, "Zoë Ribeiro", addresses=("Zoe@Padaria.example",)))
    store.save_account(Account("", "Ação Ltda", website="https://www.acao.example/contato"))
    return account


@pytest.mark.parametrize(
    "text",
    ["padar", "sao joao", "JOÃO", "zoe@pad", "zoë", "ribeiro pada", "@padaria.ex", "11.222.333/00", "112223330001"],
)
def test_an_account_is_found_by_name_domain_person_address_and_tax_id(store: Store, acme: Account, text: str) -> None:
    assert names(store, text) == ["Padaria São João"]


def test_accounts_stand_in_the_order_of_their_names_without_accents(store: Store, acme: Account) -> None:
    assert names(store) == ["Ação Ltda", "Padaria São João"]
    assert names(store, "acao.ex") == ["Ação Ltda"]
    assert names(store, "nobody") == []


def test_an_account_keeps_normal_forms(store: Store, acme: Account) -> None:
    assert store.account(acme.id) == acme
    assert acme.tax_id == "11222333000181"
    assert store.contacts(acme.id)[0].addresses == ("zoe@padaria.example",)
    assert store.contact_of("ZOE@padaria.example") == store.contacts(acme.id)[0]
    assert store.accounts_known_by("@padaria.example") == [acme.id]


@pytest.mark.parametrize("domain", ["gmail.com", "com.br", "mail.uol.com.br", "no domain", "1.2.3.4"])
def test_a_domain_that_tells_no_company_is_refused(store: Store, domain: str) -> None:
    with pytest.raises(SettingsError, match="cannot tell"):
        store.save_account(Account("", "Acme", domains=(domain,)))
    assert names(store) == []


def test_bad_input_is_refused_with_a_sentence(store: Store) -> None:
    for account in (Account("", "  "), Account("", "Acme", tax_id="11.222.333/0001-82")):
        with pytest.raises(SettingsError):
            store.save_account(account)
    for contact in (Contact("", "", ""), Contact("", "", "Rui", addresses=("rui",))):
        with pytest.raises(SettingsError):
            store.save_contact(contact)


def test_every_change_of_an_account_can_be_undone_and_redone(store: Store, acme: Account) -> None:
    store.save_account(Account(acme.id, "Panificadora", domains=("pani.example",)))
    assert names(store, "pani") == ["Panificadora"]
    assert store.undo() is not None
    assert store.account(acme.id) == acme
    assert names(store, "pani") == []
    assert store.redo() is not None
    assert names(store, "padar") == ["Panificadora"]  # by its contact's address
    assert store.accounts_known_by("@padaria.example") == []


def test_removing_takes_the_contacts_along_and_undo_brings_all_back(store: Store, acme: Account) -> None:
    assert store.remove_account(acme.id) is not None
    assert (store.account(acme.id), store.contact_of("zoe@padaria.example"), names(store)) == (
        None,
        None,
        ["Ação Ltda"],
    )
    store.undo()
    assert names(store, "zoe@") == ["Padaria São João"]


def test_merging_loses_nothing_and_the_old_id_still_leads_there(store: Store, acme: Account) -> None:
    twin = store.save_account(Account("", "Padaria S. João ME", domains=("sj.example",), phone="+55 11 5555"))
    person = store.save_contact(Contact("", twin.id, "Ivo", addresses=("ivo@sj.example",)))
    store.merge_accounts(acme.id, [twin.id])
    whole = store.account(twin.id)
    assert whole is not None
    assert (whole.id, whole.domains, whole.phone) == (acme.id, ("padaria.example", "sj.example"), "+55 11 5555")
    assert {one.name for one in store.contacts(acme.id)} == {"Zoë Ribeiro", "Ivo"}
    store.undo()
    assert store.account(twin.id) == twin
    assert store.contact(person.id) == person


def test_a_lost_cache_loses_no_account(store: Store, acme: Account, directory: Path, clock: Clock) -> None:
    before = store.accounts("")
    store.close()
    for file in directory.glob("cache.db*"):
        file.unlink()
    with Store.open(directory, clock=clock) as again:
        assert again.accounts("") == before
        assert names(again, "zoe@pad") == ["Padaria São João"]


def test_signs_of_a_pattern_are_letters_like_any_other(store: Store) -> None:
    store.save_account(Account("", "100% Acme"))
    store.save_account(Account("", "1005 Acme"))
    store.save_account(Account("", "a_b Acme"))
    store.save_account(Account("", "axb Acme"))
    assert names(store, "acme 100%") == ["100% Acme"]
    assert names(store, "acme a_b") == ["a_b Acme"]
    assert names(store, "acme \\") == []
    assert names(store, "acme %") == []
