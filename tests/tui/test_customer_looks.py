"""How accounts, panel, queue and log preview look, in both languages and two sizes. Looked at whenever they change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from crmmail import i18n
from crmmail.crm.model import Account, Contact, CrmCapabilities, CrmPage, RemoteAccount, RemoteContact
from crmmail.store import Store
from crmmail.tui.accounts import AccountsScreen
from tests.tui.conftest import app_on, connect, fill, incoming, raw, until

NAMES = ("Aurora Têxtil", "Baobá Celulose", "Cedro Móveis", "Farol Bebidas", "Granito Engenharia", "Ipê Alimentos")
TEXT = "Bom dia,\n\na proposta para a filial de Curitiba está certa. Podem faturar.\n\nAbraço\n"


@pytest.fixture
def desk(store: Store) -> Store:
    """Customers of a CRM and of our own, mail of theirs over half a year, some of it uncertain."""
    connect(store, "gmail")
    store.register_crm("sharpspring", CrmCapabilities(log=True, timeline=True))
    acme = RemoteAccount(
        "7740912",
        "ACME Indústria Ltda",
        ("acme.example",),
        "11222333000181",
        phone="+55 41 3344-0101",
        owner="Maria Prado",
    )
    people = (
        RemoteContact("501", "7740912", "Ana Souza", ("ana.souza@acme.example",), role="Compras"),
        RemoteContact("502", "7740912", "Financeiro", ("financeiro@acme.example",)),
    )
    store.mirror("sharpspring", CrmPage("1", (acme,), people, complete=True))
    for number, name in enumerate(NAMES):
        account = store.save_account(Account(f"a{number}", name, (f"conta{number}.example",)))
        if number < 2:
            store.save_contact(Contact(f"c{number}", account.id, "Jörg Müller", ("joerg@mueller.example",)))
    received = [
        incoming(number, unread=number % 5 == 0, content=raw(number, text=TEXT, sender=sender(number)))
        for number in (*range(30), *range(500, 30_000, 900))
    ]
    fill(store, "gmail", received)
    while store.rematch_step():
        pass
    return store


def sender(number: int) -> str:
    return ("Ana Souza <ana.souza@acme.example>", "Jörg Müller <joerg@mueller.example>")[number % 3 == 1]


async def accounts(pilot: Pilot[Any]) -> None:
    await pilot.press("g", "c")
    await until(pilot, lambda: isinstance(pilot.app.screen, AccountsScreen))
    await pilot.press("down")


async def detail(pilot: Pilot[Any]) -> None:
    await pilot.press("comma", "o")
    if pilot.app.size.width < 100:
        await pilot.press("tab")


async def panel(pilot: Pilot[Any]) -> None:
    await pilot.press("enter", "i")


async def queue(pilot: Pilot[Any]) -> None:
    await pilot.press("g", "q")


async def preview(pilot: Pilot[Any]) -> None:
    await pilot.press("comma", "l")
    await until(pilot, lambda: len(pilot.app.screen_stack) > 1)


SCREENS: dict[str, Callable[[Pilot[Any]], Awaitable[None]]] = {
    "accounts": accounts, "detail": detail, "panel": panel, "queue": queue, "preview": preview,
}  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("screen", SCREENS)
def test_looks(desk, snap_compare, screen, language, size):
    i18n.use(language)

    async def before(pilot: Pilot[Any]) -> None:
        await SCREENS[screen](pilot)
        await pilot.pause(0.2)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause(0.3)

    assert snap_compare(app_on(desk, mark_read="never"), terminal_size=size, run_before=before)
