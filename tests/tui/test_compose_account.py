"""Writing for an account: found or made while typing, its people proposed, what must not be mixed asked about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crmmail.crm.model import Account, Contact, Reason
from crmmail.mailboxes import CAPABILITIES
from crmmail.model import Address, Identity, Mailbox, Phase, Query, Status
from crmmail.store import Store
from crmmail.store.choices import Setting
from crmmail.tui.compose import ComposeScreen
from crmmail.tui.composer_dialogs import Checks
from crmmail.tui.form import Form
from tests.tui.conftest import NOW, app_on, fill, inbox, incoming, raw, shown, until


@pytest.fixture
def desk(tmp_path):
    """A mailbox that sends; ACME with two contacts, Lima with one."""
    store = Store.open(tmp_path / "data", clock=lambda: NOW)
    can = replace(CAPABILITIES["gmail"], send=True)
    store.register(Mailbox("gmail", "gmail", "me@gmail.example", "Maria Prado", "", can))
    store.say(Status("gmail", Phase.SYNCED, at=NOW))
    store.set_identities("gmail", [Identity("gmail", Address("Maria Prado", "me@gmail.example"), default=True)])
    fill(store, "gmail", [incoming(number) for number in range(8)])
    acme = store.save_account(Account("", "ACME Ltda", ("acme.example",)))
    store.save_contact(Contact("", acme.id, "Ana Souza", ("ana.souza@acme.example",)))
    store.save_contact(Contact("", acme.id, "Financeiro", ("financeiro@acme.example",)))
    lima = store.save_account(Account("", "Lima & Filhos", ("lima.example",)))
    store.save_contact(Contact("", lima.id, "Bruno Lima", ("bruno@lima.example",)))
    while store.rematch_step():
        pass
    yield store
    store.close()


async def composer(pilot) -> ComposeScreen:
    await until(pilot, lambda: isinstance(pilot.app.screen, ComposeScreen))
    await pilot.pause()
    return pilot.app.screen


def name_of(store, account):
    found = store.account(account)
    return found.name if found else ""


async def test_accounts_is_the_first_field_and_its_only_contact_becomes_the_recipient(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        text = shown(app)
        assert text.index("Accounts") < text.index("From") < text.index("To ")
        await pilot.press("alt+l", *"lim")
        await until(pilot, lambda: screen.offers.display)
        await pilot.press("enter")
        await until(pilot, lambda: screen.customer.account)
        assert name_of(desk, screen.customer.account) == "Lima & Filhos"
        assert [one.email for one in screen.fields["to"].people] == ["bruno@lima.example"]


async def test_of_several_contacts_one_is_chosen(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+l", *"acme", "enter")
        await until(pilot, lambda: screen.fields["to"].offers)
        assert {one.email for one in screen.fields["to"].offers} == {
            "ana.souza@acme.example",
            "financeiro@acme.example",
        }
        await pilot.press("down", "enter")
        assert len(screen.fields["to"].people) == 1


def wrote(store, number, who):
    """A message to `who` in the Sent folder."""
    sent = raw(number, sender="Maria Prado <me@gmail.example>").replace(b"To: me@example.com", f"To: {who}".encode())
    fill(store, "gmail", [incoming(number, "sent", content=sent)])


async def test_the_contact_one_writes_to_is_proposed_first_and_found_without_accents(desk):
    acme = desk.accounts("acme")[0]
    desk.save_contact(Contact("", acme.id, "Inês Sá", ("ines@acme.example",)))
    wrote(desk, 20, "ines@acme.example")
    for number in range(21, 25):
        wrote(desk, number, "Ingrid Alves <ingrid@livre.example>")
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+l", *"acme", "enter")
        to = screen.fields["to"]
        await until(pilot, lambda: to.offers)
        assert [one.name for one in to.offers] == ["Inês Sá", "Ana Souza", "Financeiro"]
        await pilot.press(*"ine")
        assert [one.name for one in to.offers] == ["Inês Sá"]
        await pilot.press("backspace")
        assert [one.name for one in to.offers] == ["Inês Sá", "Ingrid Alves"]


async def test_an_account_is_made_on_the_spot_and_kept_with_the_draft(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press(*"rui@novo.example", "tab", "alt+l", *"Novo")
        await until(pilot, lambda: screen.offers.display)
        assert "New account: Novo" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Form))
        assert app.screen.values["domains"] == "novo.example"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: screen.customer.account)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert name_of(desk, desk.drafts()[0].account) == "Novo"


async def test_replies_inherit_the_account(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        message = next(m for m in inbox(desk) if desk.message(m).headers.sender.email == "bruno@lima.example")
        app.main.messages.go_to(message)
        await pilot.press("r")
        screen = await composer(pilot)
        assert name_of(desk, screen.customer.account) == "Lima & Filhos"
        assert "Lima & Filhos" in shown(app)


async def forward(pilot, desk, to: str, way: str = "forward") -> ComposeScreen:
    """Bruno's message, about to be passed on."""
    message = next(m for m in inbox(desk) if desk.message(m).headers.sender.email == "bruno@lima.example")
    pilot.app.main.messages.go_to(message)
    getattr(pilot.app.main, f"action_{way}")()
    screen = await composer(pilot)
    assert name_of(desk, screen.customer.account) == "Lima & Filhos"
    screen.fields["to"].put([Address("", to)])
    await pilot.press("ctrl+j")
    return screen


@pytest.mark.parametrize("way", ["forward", "forward_whole"])
@pytest.mark.parametrize("to", ["sub@fornecedor.example", "colega@ours.example"])
async def test_a_forward_belongs_to_the_account_of_what_it_passes_on(desk, way, to):
    desk.set_ourselves(Setting(domains=frozenset({"ours.example"})))
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await forward(pilot, desk, to, way)
        await until(pilot, desk.outgoing)
    fill(desk, "gmail", [incoming(90, "sent", content=desk.mime(desk.outgoing()[0].id))])
    (link,) = desk.links(desk.ids(Query("gmail", "sent")))
    assert (link.name, link.reason) == ("Lima & Filhos", Reason.MANUAL)


@pytest.mark.parametrize("to", ["ana.souza@acme.example", "Ana.Souza+nf@acme.example"])
async def test_a_forward_to_another_customer_is_asked_about_and_is_theirs_without_the_account(desk, to):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await forward(pilot, desk, to)
        await until(pilot, lambda: isinstance(app.screen, Checks))
        assert "is a contact of ACME Ltda" in " ".join(shown(app).replace("│", " ").split())
        assert desk.outgoing() == []
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("alt+l", "backspace")
        await until(pilot, lambda: screen.customer.account == "")
        await pilot.press("ctrl+j")
        await until(pilot, desk.outgoing)
    fill(desk, "gmail", [incoming(90, "sent", content=desk.mime(desk.outgoing()[0].id))])
    (link,) = desk.links(desk.ids(Query("gmail", "sent")))
    assert (link.name, link.reason) == ("ACME Ltda", Reason.ADDRESS)


async def test_a_contact_of_another_account_and_one_in_blind_copy_are_asked_about(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+l", *"lim", "enter")
        await until(pilot, lambda: screen.fields["to"].people)
        screen.fields["cc"].put([Address("Ana", "ana.souza@acme.example")])
        screen.fields["bcc"].put([Address("Bruno", "bruno@lima.example")])
        screen.subject.value = "Proposta"
        screen.body.put("Segue.", 0)
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks))
        text = " ".join(shown(app).replace("│", " ").split())
        assert "ana.souza@acme.example is a contact of ACME Ltda" in text
        assert "bruno@lima.example of Lima & Filhos stands in blind copy" in text


async def test_a_colleague_of_whom_it_is_to_is_asked_about_in_blind_copy_also_where_no_account_was_chosen(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        screen.fields["to"].put([Address("Ana", "ana.souza@acme.example"), Address("", "who@nowhere.example")])
        screen.fields["cc"].put([Address("Bruno", "bruno@lima.example")])
        screen.fields["bcc"].put([Address("", "financeiro@acme.example")])
        screen.subject.value = "Proposta"
        screen.body.put("Segue.", 0)
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks))
        text = " ".join(shown(app).replace("│", " ").split())
        assert "financeiro@acme.example of ACME Ltda stands in blind copy" in text
        assert "bruno@lima.example" not in text, "nobody said that it is for ACME alone"
        await pilot.press("escape")
        screen.fields["to"].put([Address("Ana", "ana.souza@acme.example"), Address("Bruno", "bruno@lima.example")])
        await pilot.press("ctrl+j")
        await until(pilot, lambda: app.screen is not screen)
        assert not isinstance(app.screen, Checks), "two customers are addressed: it is for neither alone"


async def test_an_account_without_people_leads_to_whom_to_write_to(desk):
    desk.save_account(Account("", "Vazia SA"))
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+l", *"vaz", "enter")
        await until(pilot, lambda: screen.customer.account)
        assert screen.fields["to"].has_focus


async def test_taking_the_account_out_and_clearing_the_fields_leave_none(desk):
    app = app_on(desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+l", *"lim", "enter")
        await until(pilot, lambda: screen.customer.account)
        await pilot.press("alt+x")
        assert screen.customer.account == ""
        await pilot.press("alt+z")
        await until(pilot, lambda: screen.customer.account)
        await pilot.press("alt+l", "backspace")
        assert screen.customer.account == ""
        assert screen.written().account == ""
