"""The list of accounts: searched as one types, and every act on it undone by one key."""

from __future__ import annotations

import threading

import pytest

from crmmail.crm.model import Account, Contact
from crmmail.tui import account_files
from crmmail.tui.account_files import ImportPreview
from crmmail.tui.account_picker import AccountPicker
from crmmail.tui.accounts import AccountsScreen
from crmmail.tui.composer_dialogs import FilePicker
from crmmail.tui.dialogs import Confirm, Notice, Picker
from crmmail.tui.form import Form
from tests.tui.conftest import app_on, shown, until


@pytest.fixture
def customers(gmail):
    """Forty accounts with a contact each."""
    for number in range(40):
        account = gmail.save_account(Account("", f"Empresa {number:02} Ltda", (f"empresa{number:02}.example",)))
        gmail.save_contact(Contact("", account.id, f"Maria {number}", (f"maria@empresa{number:02}.example",)))
    return gmail


async def opened(pilot):
    await pilot.press("g", "c")
    await until(pilot, lambda: isinstance(pilot.app.screen, AccountsScreen))
    return pilot.app.screen


def names(store):
    return [row.name for row in store.accounts("", 0, 500)]


async def test_the_list_follows_the_typing_and_escape_leads_to_single_keys(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        assert "40 accounts" in shown(app)
        await pilot.press(*"maria 17")
        await until(pilot, lambda: screen.rows.pages.count == 1)
        assert "Empresa 17" in shown(app)
        await pilot.press("escape", "slash")
        assert screen.line.value == "maria 17"
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_a_slash_begins_the_search_that_has_begun_and_an_empty_list_names_the_key_that_works(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("slash", *"maria 17")
        await until(pilot, lambda: screen.rows.pages.count == 1)
        await pilot.press(*"x")
        await until(pilot, lambda: "Ctrl+N makes one" in shown(app))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, Form))


async def test_a_key_pressed_before_the_list_followed_acts_on_what_was_typed(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        await pilot.press(*"empresa 31", "f2")
        await until(pilot, lambda: isinstance(app.screen, Form))
        assert app.screen.values["name"] == "Empresa 31 Ltda"


async def test_an_account_is_made_changed_removed_and_each_is_undone(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("escape", "c")
        await until(pilot, lambda: isinstance(app.screen, Form))
        await pilot.press(*"Zeta", "tab", *"zeta.example", "tab", *"11222333000182")
        await until(pilot, lambda: "a digit is wrong" in shown(app))
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, Form)
        await pilot.press("backspace", "1", "ctrl+s")
        await until(pilot, lambda: "Zeta" in names(customers))
        await until(pilot, lambda: app.screen is screen)
        assert "Zeta is an account now" in shown(app)
        made = customers.account(customers.accounts("zeta", 0, 1)[0].id)
        assert (made.tax_id, made.domains) == ("11222333000181", ("zeta.example",))
        await pilot.press("G", "d")
        await until(pilot, lambda: "Zeta" not in names(customers))
        await pilot.press("z")
        await until(pilot, lambda: "Zeta" in names(customers))
        await pilot.press("z")
        await until(pilot, lambda: "Zeta" not in names(customers))
        assert "Undone: account created" in shown(app)
        await pilot.press("Z")
        await until(pilot, lambda: "Zeta" in names(customers))
        assert "Done again: account created" in shown(app)


async def test_what_is_changed_is_told_apart_from_what_is_made(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, Form))
        await pilot.press("end", "x", "ctrl+s")
        await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: "Empresa 00 Ltdax is changed" in shown(app))
        await pilot.press("escape", "z")
        await until(pilot, lambda: "Undone: account saved" in shown(app))


async def test_what_was_typed_in_a_form_is_not_lost_by_one_key(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, Form))
        form = app.screen
        await pilot.press("x", "escape")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("n")
        await until(pilot, lambda: app.screen is form)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.screen is screen)
        assert names(customers)[0] == "Empresa 00 Ltda"


async def test_a_second_account_of_the_same_customer_is_asked_about(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, Form))
        await pilot.press(*"Outra", "tab", *"empresa05.example", "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        assert "There is an account like it: Empresa 05 Ltda" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert "Outra" not in names(customers)


async def test_two_accounts_become_one_and_undo_parts_them(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        gone = screen.rows.row.id
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, AccountPicker))
        await pilot.press(*"empresa 07", "enter")
        await until(pilot, lambda: app.screen is screen)
        kept = customers.accounts("empresa 07", 0, 1)[0].id
        assert {one.name for one in customers.contacts(kept)} == {"Maria 0", "Maria 7"}
        assert customers.account(gone).id == kept
        await pilot.press("escape", "z")
        await until(pilot, lambda: len(customers.contacts(kept)) == 1)
        assert customers.account(gone).id == gone


async def test_contacts_are_listed_added_and_removed(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        account = screen.rows.row.id
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        assert "maria@empresa00.example" in shown(app)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Form))
        await pilot.press(*"Rui", "tab", *"rui@", "ctrl+s")
        assert "not a valid address" in shown(app)
        await pilot.press(*"empresa00.example", "ctrl+s")
        await until(pilot, lambda: len(customers.contacts(account)) == 2)
        await until(pilot, lambda: app.screen is screen)
        assert "Rui is a contact now" in shown(app)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("j", "d")
        await until(pilot, lambda: len(customers.contacts(account)) == 1)
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("escape", "z")
        await until(pilot, lambda: len(customers.contacts(account)) == 2)


async def test_an_empty_list_names_the_keys_that_fill_it(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        text = shown(app)
        assert "No accounts yet" in text
        assert "Ctrl+N makes one" in text


async def test_hostile_names_stay_letters_in_the_list(gmail):
    gmail.save_account(Account("", "[/red] [@click=app.exit]x[/] \u202egnp"))
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        assert "[/red] [@click=app.exit]x[/]" in shown(app)
        assert "\u202e" not in shown(app)


async def test_the_list_comes_back_where_it_was_left(customers):
    app = app_on(customers)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press(*"empresa", "down", "down")
        left = screen.chosen
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.main)
        again = await opened(pilot)
        assert again.line.value == "empresa"
        assert again.chosen == left


HEADER = "Empresa;E-mail;Nome;CNPJ\n"


async def chosen_file(pilot, path):
    await pilot.press("f7")
    await until(pilot, lambda: isinstance(pilot.app.screen, FilePicker))
    pilot.app.screen.query_one("#typed").value = str(path)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportPreview))


async def test_a_file_is_shown_before_it_is_taken_over_and_one_undo_takes_it_back(customers, tmp_path):
    path = tmp_path / "clientes.csv"
    rows = (
        "Nova Ltda;rui@nova.example;Rui;11222333000181\nEmpresa 03 Ltda;novo@empresa03.example;Zé;\nRuim;sem arroba;;\n"
    )
    path.write_text(HEADER + rows, encoding="cp1252")
    app = app_on(customers, download_folder=str(tmp_path))
    async with app.run_test(size=(110, 34)) as pilot:
        screen = await opened(pilot)
        await chosen_file(pilot, path)
        text = shown(app)
        assert "“;” · cp1252" in text
        assert "Nova Ltda · Rui" in text
        assert "Left out" in text
        assert "2 new accounts, 2 new contacts" in text
        said = dict(account_files.lines(app.screen.plan))
        assert (said["Empresa"], said["CNPJ"]) == ("Account", "CNPJ / CPF")
        assert not {"company", "tax_id", "contact_phone"} & set(said.values()), "words, not names of the program's own"
        await pilot.press("n")
        await until(pilot, lambda: app.screen is screen)
        assert customers.account_count() == 40
        await chosen_file(pilot, path)
        await pilot.press("y")
        await until(pilot, lambda: customers.accounts("nova", 0, 1))
        await until(pilot, lambda: "new account" in app.screen.notice.text)
        assert app.screen.notice.text == "2 new accounts, 2 new contacts · 2 left out"
        assert any(one.name == "Zé" for one in customers.contacts(customers.accounts("empresa 03", 0, 1)[0].id))
        await pilot.press("escape", "z")
        await until(pilot, lambda: customers.account_count() == 40)


async def test_what_is_no_list_of_accounts_is_said_in_a_sentence(customers, tmp_path):
    path = tmp_path / "foto.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    app = app_on(customers, download_folder=str(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, FilePicker))
        app.screen.query_one("#typed").value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Notice))
        told = " ".join(shown(app).replace("│", " ").split())
        assert "foto.csv names no account and no contact" in told
        assert "such as Company, Name or E-mail." in told, "to its end, also on a narrow terminal"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert customers.account_count() == 40


async def test_what_is_exported_can_be_imported_again_and_changes_nothing(customers, tmp_path):
    app = app_on(customers, download_folder=str(tmp_path))
    async with app.run_test(size=(110, 34)) as pilot:
        screen = await opened(pilot)
        for name in ("contas.csv", "contas.vcf"):
            await pilot.press("f12")
            await until(pilot, lambda: isinstance(app.screen, Form))
            app.screen.query_one("#field-file").value = str(tmp_path / name)
            await pilot.press("ctrl+s")
            await until(pilot, (tmp_path / name).exists)
            await until(pilot, lambda: app.screen is screen)
            await chosen_file(pilot, tmp_path / name)
            assert "Nothing in it is new." in shown(app)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
        assert (tmp_path / "contas.csv").stat().st_mode & 0o077 == 0


async def test_an_import_goes_on_when_the_list_is_left_and_says_what_it_did(customers, tmp_path, monkeypatch):
    path = tmp_path / "muitos.csv"
    path.write_text(HEADER + "".join(f"Nova {n} Ltda;rui@nova{n}.example;Rui;\n" for n in range(60)), encoding="utf-8")
    monkeypatch.setattr(account_files, "OFTEN", 0.0)
    left, import_rows = threading.Event(), customers.import_rows

    def waiting(*arguments, progress, dry_run=False):
        def told(rows):
            assert dry_run or left.wait(10)
            progress(rows)

        return import_rows(*arguments, progress=told, dry_run=dry_run)

    monkeypatch.setattr(customers, "import_rows", waiting)
    app = app_on(customers, download_folder=str(tmp_path))
    async with app.run_test(size=(110, 34)) as pilot:
        await opened(pilot)
        await chosen_file(pilot, path)
        await pilot.press("y", "escape", "escape")
        await until(pilot, lambda: app.screen is app.main)
        left.set()
        await until(pilot, lambda: "60 new" in app.main.notice.text)
        assert customers.account_count() == 100
