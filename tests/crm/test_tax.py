"""Tax ids: CNPJ with and without letters and CPF are known by their check digits, however they are written."""

from __future__ import annotations

import pytest

from crmmail.crm import tax
from crmmail.crm.model import Account
from crmmail.errors import SettingsError
from crmmail.store import Store

# The worked examples of Receita Federal (CNPJ with letters: Nota Técnica Cocad 49/2024) and numbers computed by hand.
RIGHT = {
    "11.222.333/0001-81": "11222333000181",
    "12.345.678/0001-95": "12345678000195",
    "12.ABC.345/01DE-35": "12ABC34501DE35",
    "12.abc.345/01de-35": "12ABC34501DE35",
    "123.456.789-09": "12345678909",
    "111 444 777 35": "11144477735",
    "2345678000195": "",  # no zero was lost here: with it the digits are wrong
}
WRONG = (
    "11.222.333/0001-80",  # one check digit off
    "12.ABC.345/01DE-36",
    "12.ABD.345/01DE-35",  # one letter off
    "12.ABC.345/01DE-3A",  # check digits are digits
    "123.456.789-00",
    "111.111.111-11",  # adds up, yet nobody has it
    "00000000000000",
    "1234",
    "not a number",
    "",
)


@pytest.mark.parametrize(("written", "kept"), RIGHT.items())
def test_a_number_is_kept_in_its_compact_form(written: str, kept: str) -> None:
    assert tax.normal(written) == kept


@pytest.mark.parametrize("written", WRONG)
def test_a_number_whose_digits_are_wrong_is_none(written: str) -> None:
    assert tax.normal(written) == ""


def test_zeros_a_spreadsheet_dropped_are_put_back() -> None:
    assert tax.normal("191") == ""  # that many are not lost by a spreadsheet
    assert tax.normal("6990590000123") == "06990590000123"
    assert tax.normal("272") == ""
    assert tax.normal("1234567890") == "01234567890"


@pytest.mark.parametrize("plain", ["11222333000181", "12ABC34501DE35", "12345678909"])
def test_what_is_shown_reads_back_as_the_same(plain: str) -> None:
    assert tax.shown(plain) != plain
    assert tax.normal(tax.shown(plain)) == plain


@pytest.mark.parametrize("plain", ["11222333000181", "12ABC34501DE35", "12345678909"])
def test_only_one_pair_of_check_digits_is_right(plain: str) -> None:
    right = [digits for digits in range(100) if tax.normal(f"{plain[:-2]}{digits:02}")]
    assert right == [int(plain[-2:])]


def test_an_account_is_not_saved_with_a_wrong_number_and_the_sentence_names_it(store: Store) -> None:
    with pytest.raises(SettingsError, match=r"11\.222\.333/0001-80 is no valid CNPJ or CPF"):
        store.save_account(Account("", "Acme", tax_id="11.222.333/0001-80"))
    kept = store.save_account(Account("", "Acme", tax_id="12.abc.345/01de-35"))
    assert store.accounts("12.ABC.345")[0].id == kept.id
