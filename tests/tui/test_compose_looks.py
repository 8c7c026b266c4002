"""How the composer looks, in both languages and two sizes. Looked at by a person whenever it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from crmmail import config, i18n
from crmmail.mailboxes import CAPABILITIES
from crmmail.model import Address, Draft, Enclosure, Identity, Mailbox, Phase, Status
from crmmail.store import Store
from crmmail.tui.app import CrmMail
from crmmail.tui.compose import ComposeScreen
from tests.tui.conftest import NOW, fill, incoming, until

TEXT = """Bom dia, Ana,

segue em anexo a proposta revista para a filial de Curitiba. O prazo de entrega
passa para 12 de dezembro; o resto fica como combinado na quinta-feira.

Abraço
Maria

Em 19 de nov. de 2026, Ana Souza escreveu:
> Você pode me enviar a proposta revista?
> O gerente da filial pergunta pelo prazo.
"""


@pytest.fixture
def post(store: Store) -> Store:
    """A mailbox that sends, and one message on its way out of each kind."""
    can = replace(CAPABILITIES["gmail"], send=True)
    store.register(Mailbox("gmail", "gmail", "maria@acme.example", "Maria Prado", "", can))
    store.say(Status("gmail", Phase.SYNCED, at=NOW))
    sales = Identity("gmail", Address("Vendas ACME", "vendas@acme.example"), verified=False)
    store.set_identities(
        "gmail", [Identity("gmail", Address("Maria Prado", "maria@acme.example"), default=True), sales]
    )
    fill(store, "gmail", [incoming(number, unread=number % 3 == 0) for number in range(40)])
    return store


def draft() -> Draft:
    people = (Address("Ana Souza", "ana.souza@cliente.example"), Address("Bruno Lima", "bruno@lima.example"))
    files = (
        Enclosure("Proposta Curitiba.pdf", "application/pdf", 1_240_000, "0" * 64),
        Enclosure("prazos.xlsx", "application/octet-stream", 48_200, "1" * 64),
    )
    return Draft(
        0,
        "gmail",
        "maria@acme.example",
        to=(*people, Address("financeiro", "")),
        cc=(Address("", "compras@cliente.example"),),
        subject="Re: Proposta para a filial de Curitiba",
        text=TEXT,
        kind="reply",
        enclosures=files,
    )


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("screen", ["new", "reply", "checks", "later", "outbox"])
def test_looks(post, snap_compare, monkeypatch, screen, language, size):
    i18n.use(language)
    monkeypatch.setattr(post, "complete", lambda *_asked, **_with: list(draft().to[:2]))

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, CrmMail)
        if screen == "outbox":
            _queue_some(post)
            await pilot.press("g", "o")
            await until(pilot, lambda: len(app.screen_stack) > 1)
        elif screen == "new":
            await pilot.press("c", "a", "n")
            await until(pilot, lambda: len(app.screen_stack) > 1 and post.drafts())
            await app.workers.wait_for_complete()
        else:
            app.main.write(draft())
            await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
            await pilot.pause()
            if screen != "reply":
                await pilot.press("ctrl+j" if screen == "checks" else "alt+w")
                await until(pilot, lambda: len(app.screen_stack) > 2)
        await pilot.pause(0.3)

    app = CrmMail(post, config.Settings(), clock=lambda: NOW)
    assert snap_compare(app, terminal_size=size, run_before=before)


def _queue_some(store: Store) -> None:
    from crmmail.model import SendState

    subjects = ("Proposta Curitiba", "Fatura 2026-1142", "Agenda de quinta", "Pedido 8841", "Relatório semanal")
    numbers = []
    for at, subject in enumerate(subjects):
        one = store.new_draft(Draft(0, "gmail", to=(Address("", "ana.souza@cliente.example"),), subject=subject))
        later = NOW + (8 if at == 0 else 64_000 if at == 1 else 0)
        numbers.append(store.queue(one, b"Subject: x\r\n\r\n", f"<{at}@x>", f"token-{at:05}", later).id)
    for number in numbers[2:]:
        store.claim_outgoing("gmail", NOW)
        states = {2: SendState.UNKNOWN, 3: SendState.FAILED, 4: SendState.ACCEPTED}
        error = {3: "The server refused the recipient.", 2: "The connection broke."}.get(numbers.index(number), "")
        store.note_outgoing(number, state=states[numbers.index(number)], error=error)
