"""What a CRM tells becomes accounts and contacts here; what the user changed stays; what is gone there goes here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crmmail.crm.model import (
    Contact,
    CrmCapabilities,
    CrmPage,
    LogSetting,
    RemoteAccount,
    RemoteContact,
    Visibility,
)
from crmmail.store import Store
from tests.store.told import GMAIL, Clock

CRM = "sharpspring"
ACME = RemoteAccount("71", "Acme Ltda", domains=("acme.example",), website="https://acme.example", owner="Ana")
BIA = RemoteContact("9", "71", "Bia Souza", ("bia@acme.example",), role="Compras")


def page(cursor: str = "1", **told: object) -> CrmPage:
    return CrmPage(cursor, **told)  # type: ignore[arg-type]


@pytest.fixture
def filled(store: Store) -> Store:
    store.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
    return store


def only(store: Store) -> str:
    (row,) = store.accounts()
    return row.id


def test_accounts_and_contacts_are_found_with_where_they_are_from(filled: Store) -> None:
    account = filled.account(only(filled))
    assert account is not None
    assert (account.name, account.domains, account.owner) == ("Acme Ltda", ("acme.example",), "Ana")
    assert (account.crm, account.remote_id) == (CRM, "71")
    (contact,) = filled.contacts(account.id)
    assert (contact.name, contact.addresses, contact.role) == ("Bia Souza", ("bia@acme.example",), "Compras")
    assert filled.contact_of("bia@acme.example") == contact
    assert filled.crm_cursor(CRM) == "1"
    assert filled.mirrored(CRM) == ({"71"}, {"9"})
    assert filled.mirrored("tryton") == (frozenset(), frozenset())


def test_the_same_page_twice_is_the_same_as_once(filled: Store) -> None:
    before = filled.account(only(filled))
    filled.mirror(CRM, page("2", accounts=(ACME,), contacts=(BIA,)))
    assert filled.account(only(filled)) == before
    assert len(filled.contacts(only(filled))) == 1
    assert filled.crm_cursor(CRM) == "2"


def test_a_field_nobody_changed_here_follows_the_crm_and_one_the_user_changed_stays(filled: Store) -> None:
    account = filled.account(only(filled))
    assert account is not None
    filled.save_account(replace(account, name="Acme do Brasil"))
    filled.mirror(CRM, page(accounts=(replace(ACME, name="Acme SA", owner="Rui", phone="+55 11 1"),)))
    now = filled.account(account.id)
    assert now is not None
    assert (now.name, now.owner, now.phone) == ("Acme do Brasil", "Rui", "+55 11 1")


def test_an_account_the_user_took_out_is_not_brought_back(filled: Store) -> None:
    filled.remove_account(only(filled))
    filled.mirror(CRM, page(accounts=(replace(ACME, owner="Rui"),)))
    assert filled.accounts() == []
    filled.undo()
    assert len(filled.accounts()) == 1


def test_what_is_gone_in_the_crm_is_gone_here_and_comes_back_as_what_it_was(filled: Store) -> None:
    uid = only(filled)
    filled.mirror(CRM, page(gone_accounts=("71",), gone_contacts=("9",)))
    assert (filled.accounts(), filled.contact_of("bia@acme.example")) == ([], None)
    assert filled.mirrored(CRM) == (frozenset(), frozenset())
    filled.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
    assert only(filled) == uid
    assert len(filled.contacts(uid)) == 1


def test_what_the_user_changed_outlives_its_end_in_the_crm_as_an_account_of_our_own(filled: Store) -> None:
    account = filled.account(only(filled))
    assert account is not None
    filled.save_account(replace(account, notes="Paga em dia."))
    filled.mirror(CRM, page(gone_accounts=("71",)))
    now = filled.account(account.id)
    assert now is not None
    assert (now.crm, now.remote_id, now.notes) == ("", "", "Paga em dia.")


def test_a_merged_account_keeps_what_the_crm_tells_of_it(filled: Store) -> None:
    filled.mirror(CRM, page(accounts=(RemoteAccount("72", "Acme Filial"),)))
    keep, other = (filled.accounts(name)[0].id for name in ("ltda", "filial"))
    filled.merge_accounts(keep, [other])
    filled.mirror(CRM, page(contacts=(RemoteContact("10", "72", "Rui Lima", ("rui@filial.example",)),)))
    assert {one.name for one in filled.contacts(keep)} == {"Bia Souza", "Rui Lima"}


def test_a_contact_made_here_before_is_the_crms_contact_and_not_doubled(filled: Store) -> None:
    uid = only(filled)
    filled.save_contact(Contact("", uid, "Rui", ("rui@acme.example",)))
    filled.mirror(CRM, page(contacts=(RemoteContact("10", "71", "Rui Lima", ("rui@acme.example",)),)))
    assert sorted(one.name for one in filled.contacts(uid)) == ["Bia Souza", "Rui"]
    assert filled.contact_of("rui@acme.example").remote_id == "10"  # type: ignore[union-attr]


def test_a_contact_told_before_its_account_finds_it_later(store: Store) -> None:
    store.mirror(CRM, page(contacts=(BIA,)))
    store.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
    assert [one.name for one in store.contacts(only(store))] == ["Bia Souza"]


def test_a_companys_own_addresses_count_for_it(store: Store) -> None:
    store.mirror("tryton", page(accounts=(replace(ACME, addresses=("contato@acme.example",)),)))
    found = store.contact_of("contato@acme.example")
    assert found is not None and found.account == only(store)
    assert store.mirrored("tryton") == ({"71"}, frozenset())
    store.mirror("tryton", page(gone_accounts=("71",)))
    assert store.contact_of("contato@acme.example") is None


def test_what_no_account_could_be_known_by_is_left_out(store: Store) -> None:
    odd = RemoteAccount("5", "Odd", domains=("gmail.com", "com.br", "odd.example"), tax_id="123", website="gmail.com")
    store.mirror(CRM, page(accounts=(odd,)))
    account = store.account(only(store))
    assert account is not None
    assert (account.domains, account.tax_id) == (("odd.example",), "")


def test_forgetting_the_crm_keeps_its_accounts_and_doubles_none(filled: Store) -> None:
    uid = only(filled)
    filled.forget_crm(CRM)
    assert filled.crm_cursor(CRM) == ""
    filled.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
    assert only(filled) == uid


def test_a_mirror_survives_the_loss_of_the_cache(directory: Path, clock: Clock) -> None:
    with Store.open(directory, clock=clock) as store:
        store.register(GMAIL)
        store.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
        uid = only(store)
    for path in directory.glob("cache.db*"):
        path.unlink()
    with Store.open(directory, clock=clock) as store:
        assert only(store) == uid
        assert store.mirrored(CRM) == ({"71"}, {"9"})
        store.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
        assert len(store.accounts()) == 1


def test_another_company_under_the_same_name_takes_no_account_over(filled: Store) -> None:
    filled.settle_crm(CRM, "company a")
    assert filled.crm_cursor(CRM) == "1"
    uid = only(filled)
    filled.settle_crm(CRM, "company a")
    assert (filled.crm_cursor(CRM), len(filled.mirrored(CRM)[0])) == ("1", 1)
    filled.settle_crm(CRM, "company b")
    assert filled.crm_cursor(CRM) == ""
    assert filled.mirrored(CRM) == (frozenset(), frozenset())
    filled.mirror(CRM, page(accounts=(RemoteAccount("71", "Another"),), contacts=(RemoteContact("9", "71", "Gil"),)))
    kept = filled.account(uid)
    assert kept is not None
    assert (kept.name, kept.crm, kept.remote_id) == ("Acme Ltda", "", "")
    assert [one.name for one in filled.contacts(uid)] == ["Bia Souza"]
    assert sorted(row.name for row in filled.accounts()) == ["Acme Ltda", "Another"]


def test_reading_everything_again_stays_with_the_same_company(filled: Store) -> None:
    filled.settle_crm(CRM, "company a")
    filled.forget_crm(CRM)
    filled.settle_crm(CRM, "company a")
    filled.mirror(CRM, page(accounts=(ACME,), contacts=(BIA,)))
    assert len(filled.accounts()) == 1


def test_what_was_chosen_to_be_logged_in_one_crm_is_not_told_to_another(filled: Store) -> None:
    filled.set_log_setting(LogSetting(on=True, visibility=Visibility.FULL), mailbox="work")
    filled.settle_crm(CRM, "company a")
    assert filled.log_setting(mailbox="work").on, "said before any CRM was connected"
    filled.register_crm(CRM, CrmCapabilities(log=True))
    filled.settle_crm(CRM, "company a")
    assert filled.log_setting(mailbox="work").on, "connected again"
    filled.set_log_setting(LogSetting(on=False), account="a1")
    filled.register_crm("other", CrmCapabilities(log=True))
    filled.settle_crm("other", "company b")
    assert filled.log_setting(mailbox="work") == LogSetting(None, Visibility.FULL, None)
    assert filled.log_setting(account="a1").on is False
    assert list(filled.crms()) == ["other"]
    filled.set_log_setting(LogSetting(on=True), mailbox="work")
    filled.settle_crm("other", "company b")
    assert filled.log_setting(mailbox="work").on
    filled.settle_crm("other", "company c")
    assert filled.log_setting(mailbox="work").on is None
