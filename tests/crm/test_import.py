"""Files of accounts and contacts: every CRM's export, what is broken, and that one undo takes it all back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmmail.crm import rows, sheet, vcard
from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row, Skipped
from crmmail.crm.upsert import normal_name
from crmmail.errors import SettingsError
from crmmail.store import Store
from crmmail.store.importing import Imported
from tests.store.told import Clock

# The heads of exports as crm.md §6 tells them, one row each: Acme (acme.example) with Ana Souza (ana@acme.example).
EXPORTS = {
    "hubspot companies": "Name,Company domain name,Phone number,City,Industry\nAcme,acme.example,11 5555,SP,IT\n",
    "hubspot contacts": "First Name,Last Name,Email,Company name,Phone number,Job title,Website URL\n"
    "Ana,Souza,ana@acme.example,Acme,11 5555,CFO,https://acme.example\n",
    "salesforce accounts": "Account Name,Website,Phone,Billing City,Industry,Type\n"
    "Acme,www.acme.example,11 5555,SP,IT,x\n",
    "salesforce contacts": "First Name,Last Name,Email,Account Name,Title,Phone,Mobile\n"
    "Ana,Souza,ana@acme.example,Acme,CFO,11 5555,11 9999\n",
    "odoo": "id,name,is_company,company_name,country_id,phone,mobile,email,vat,website\n"
    "a,Acme,True,,Brasil,11 5555,,contato@acme.example,11222333000181,acme.example\n"
    "b,Ana Souza,False,Acme,Brasil,11 5555,,ana@acme.example,,\n",
    "espocrm accounts": "name,website,emailAddress,phoneNumber,type,industry\n"
    "Acme,acme.example,contato@acme.example,1,x,y\n",
    "espocrm contacts": "salutationName,firstName,lastName,emailAddress,phoneNumber,accountName\n"
    "Sra,Ana,Souza,ana@acme.example,11 5555,Acme\n",
    "pipedrive organizations": "Organization - Name,Organization - Address,Organization - Website\n"
    "Acme,Rua A,acme.example\n",
    "pipedrive people": "Person - Name,Person - Email,Person - Phone,Person - Organization\n"
    "Ana Souza,ana@acme.example,11 5555,Acme\n",
    "sharpspring accounts": "accountName,website,phone,industry,billingCity\nAcme,acme.example,11 5555,IT,SP\n",
    "sharpspring leads": "Email,First Name,Last Name,Company Name,Title,Phone Number\n"
    "ana@acme.example,Ana,Souza,Acme,CFO,11 5555\n",
    "senior accounts": "name;fantasyName;cnpj;generalEmail;financialEmail;url\n"
    "Acme;Acme;11.222.333/0001-81;contato@acme.example;nf@acme.example;acme.example\n",
    "senior contacts": "name;email;active\nAna Souza;ana@acme.example;true\n",
    "google": "First Name,Last Name,Organization Name,E-mail 1 - Value,Phone 1 - Value\n"
    "Ana,Souza,Acme,ana@acme.example,11 5555\n",
    "outlook": "First Name,Last Name,Company,E-mail Address,Mobile Phone\nAna,Souza,Acme,ana@acme.example,11 9999\n",
    "by hand": "Empresa;Nome;E-mail;Telefone;Cargo;Site\nAcme;Ana Souza;ana@acme.example;11 5555;CFO;acme.example\n",
}


def written(tmp_path: Path, content: str | bytes, name: str = "file.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def taken(store: Store, path: Path, **more: bool) -> Imported:
    found = vcard.read(path) if path.suffix == ".vcf" else sheet.read(path, sheet.shape(path))
    return store.import_rows(found, path.name, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("export", EXPORTS)
def test_every_crms_export_is_understood(store: Store, tmp_path: Path, export: str) -> None:
    done = taken(store, written(tmp_path, EXPORTS[export]))
    assert done.skipped == ()
    account = next((store.account(row.id) for row in store.accounts("acme")), None)
    person = store.contact_of("ana@acme.example")
    of_accounts, of_people = "Acme" in EXPORTS[export], "ana@acme" in EXPORTS[export]
    assert (account is not None and account.name == "Acme") is of_accounts
    assert (person is not None and person.name == "Ana Souza") is of_people
    if account is not None and of_people and person is not None:
        assert person.account == account.id
    if account is not None and "acme.example" in EXPORTS[export].replace("@acme.example", "") and not of_people:
        assert store.accounts_known_by("@acme.example") == [account.id]
    if "11222333000181" in EXPORTS[export] or "0001-81" in EXPORTS[export]:
        assert account is not None and account.tax_id == "11222333000181"
        assert store.contact_of("contato@acme.example") is not None
    again = taken(store, written(tmp_path, EXPORTS[export]))
    assert again.act is None  # the same once more changes nothing


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separator_and_encoding_are_found(store: Store, tmp_path: Path, encoding: str, separator: str) -> None:
    text = "\r\n".join(
        separator.join(cells)
        for cells in (("Razão Social", "Domínio", "Observações"), ("Ação São João", "acao.example", '"a\r\nb"'))
    )
    taken(store, written(tmp_path, text.encode(encoding)))
    account = store.account(store.accounts("acao")[0].id)
    assert account is not None
    assert (account.name, account.domains, account.notes) == ("Ação São João", ("acao.example",), "a\nb")


def test_an_import_updates_by_address_then_domain_then_name_and_one_undo_reverts_it(
    store: Store, tmp_path: Path
) -> None:
    by_mail = store.save_account(Account("", "Alfa"))
    store.save_contact(Contact("", by_mail.id, "Rui", addresses=("rui@free.example",)))
    by_domain = store.save_account(Account("", "Beta", domains=("beta.example",), owner="old"))
    by_name = store.save_account(Account("", "Comércio São José Ltda."))
    before = [store.account(one.id) for one in (by_mail, by_domain, by_name)]
    text = (
        "Empresa,Domínio,E-mail,Nome,Cargo,Responsável\n"
        "Alfa,,rui@free.example,Rui Sá,CEO,\n"
        "Beta Holding,beta.example,bea@beta.example,Bea,,new\n"
        "COMERCIO SAO JOSE,,,,,Lia\n"
        "Nova,nova.example,noa@nova.example,Noa,,\n"
    )
    done = taken(store, written(tmp_path, text))
    tally = done.tally
    assert (tally.accounts_new, tally.accounts_changed, tally.contacts_new, tally.contacts_changed) == (1, 2, 2, 1)
    rui = store.contact_of("rui@free.example")
    assert rui is not None and (rui.account, rui.name, rui.role) == (by_mail.id, "Rui Sá", "CEO")
    beta = store.account(by_domain.id)
    assert beta is not None and (beta.name, beta.owner) == ("Beta", "new")
    assert store.account_count() == 4
    undone = store.undo()
    assert undone is not None and undone.kind == "import"
    assert [store.account(one.id) for one in (by_mail, by_domain, by_name)] == before
    assert (store.account_count(), store.contact_of("bea@beta.example")) == (3, None)
    store.redo()
    assert store.account_count() == 4


def test_a_broken_row_costs_only_itself_and_is_told(store: Store, tmp_path: Path) -> None:
    text = (
        "Company,Domain,CNPJ,E-mail,Name\n"
        "One,one.example,,a@one.example,A\n"
        ",,,,\n"
        ",,,not an address,\n"
        f"Long,{'x' * 200_000},,,\n"
        "Two,gmail.com,11.222.333/0001-82,bad@@,B\n"
        "Three,three.example\n"
    )
    done = taken(store, written(tmp_path, text))
    assert sorted(row.name for row in store.accounts()) == ["One", "Three", "Two"]
    assert {one.number for one in done.skipped} == {4, 5, 6}
    assert any("CNPJ" in one.why for one in done.skipped)


def test_a_dry_run_tells_what_would_happen_and_does_nothing(store: Store, tmp_path: Path) -> None:
    done = taken(store, written(tmp_path, EXPORTS["by hand"]), dry_run=True)
    assert (done.tally.accounts_new, done.tally.contacts_new, done.act) == (1, 1, None)
    assert (store.account_count(), store.acts()) == (0, [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "names no account"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "names no account"),
        (b"date,amount\n2026-01-01,5\n", "date, amount"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_a_sentence(
    store: Store, tmp_path: Path, content: bytes, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        taken(store, written(tmp_path, content))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.write(b"Company\n")
        os.truncate(file.fileno(), 1_000_000_000)
    with pytest.raises(SettingsError, match="1000 MB"):
        sheet.shape(path)
    with pytest.raises(SettingsError, match="1000 MB"):
        list(vcard.read(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        sheet.shape(tmp_path / "nothing.csv")


def test_an_import_that_breaks_off_leaves_nothing(store: Store, directory: Path, clock: Clock) -> None:
    def broken() -> Iterator[Row | Skipped]:
        for number in range(1200):
            yield Row(number, Account("", f"Firma {number}"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.import_rows(broken(), "file")
    assert store.account_count() == 0
    assert store.undo() is None


def test_escape_sequences_in_a_vcard_do_not_reach_the_screen(store: Store, tmp_path: Path) -> None:
    card = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Souza;Ana\r\nFN:Ana \x1b]52;c;x\x07Souza\\, Dr.\r\nORG:Acme\\; Filhos;TI\r\n"
        "item1.EMAIL;TYPE=INTERNET:ana@acme.exam\r\n ple\r\nTEL:+55 11\r\nNOTE:a\\nb\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:4.0\r\nKIND:org\r\nFN:Beta\r\nURL:https://beta.example\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:2.1\r\nFN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:Jos=C3=A9\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:cut"
    )
    done = taken(store, written(tmp_path, card, "file.vcf"))
    person = store.contact_of("ana@acme.example")
    assert person is not None
    assert "\x1b" not in person.name and person.name.endswith("Souza, Dr.")
    assert [row.name for row in store.accounts()] == ["Acme; Filhos", "Beta"]
    assert {one.name for one in store.contacts("")} == {"José"}
    assert [one.number for one in done.skipped] == [4, 5]


def test_no_vcard_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no vCard"):
        list(vcard.read(written(tmp_path, "hello", "x.vcf")))


_TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cf")), max_size=30).map(rows.line)


@given(name=_TEXT.filter(bool), person=_TEXT, phone=_TEXT)
def test_what_is_exported_is_safe_and_comes_back_the_same(name: str, person: str, phone: str) -> None:
    account = Account("", name, domains=("acme.example",), website="https://acme.example", notes="a,b;c")
    contact = Contact("", "", person or "Ana", ("ana@acme.example",), rows.phones([phone]))
    text = "".join(sheet.write([(account, [contact])]))
    import csv
    import io
    import tempfile

    for cells in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    with tempfile.TemporaryDirectory() as place:
        path = written(Path(place), text)
        found = [one for one in sheet.read(path, sheet.shape(path)) if isinstance(one, Row)]
    assert len(found) == 1 and found[0].account is not None and found[0].contact is not None
    assert found[0].account.domains == account.domains
    assert found[0].contact.addresses == contact.addresses
    assert found[0].account.name == rows.line(name)


def test_vcards_that_are_exported_come_back_the_same(store: Store, tmp_path: Path) -> None:
    account = Account("", "Acme, S/A; Filhos", website="https://acme.example")
    people = [Contact("", "", "Ana Çouza " * 12, ("ana@acme.example", "a@acme.example"), ("+55 11",), "CFO")]
    taken(store, written(tmp_path, "".join(vcard.write([(account, people)])), "out.vcf"))
    (row,) = store.accounts()
    (person,) = store.contacts(row.id)
    assert (row.name, person.addresses, person.phones, person.role) == (
        account.name, people[0].addresses, people[0].phones, "CFO",
    )  # fmt: skip


def test_names_are_compared_without_case_accents_and_legal_form() -> None:
    assert normal_name("Padaria São João Ltda. ME") == normal_name("PADARIA SAO JOAO") == "padaria sao joao"
    assert normal_name("SA") == "sa"
