"""A running sandbox, one client for each API, and a judge that reads every answer they get."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.contract import gmail_contract, graph_contract, graph_type

ANA, BRUNO = "ana@example.com", "bruno@example.com"
MODIFY = "https://www.googleapis.com/auth/gmail.modify"
EVERYTHING = "https://mail.google.com/"
MAIL = "Mail.ReadWrite Mail.Send User.Read offline_access"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
START_MS = 1_790_000_000_000  # 2026-09-21


def letter(subject: str = "Proposta", text: str = "Segue a proposta.\r\n", **headers: str) -> bytes:
    """A small mail as bytes; header names with underscores for hyphens."""
    message = EmailMessage()
    message["From"] = headers.pop("From", "Carla Dias <carla@cliente.example>")
    message["To"] = headers.pop("To", ANA)
    message["Subject"] = subject
    message["Message-ID"] = headers.pop("Message_ID", f"<{abs(hash((subject, text)))}@cliente.example>")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def url64(raw: bytes) -> str:
    """base64url without padding, as clients send it."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([(ANA, "gmail"), (BRUNO, "outlook")]) as running:
        yield running


def judge_gmail(response: httpx.Response) -> None:
    """Every good JSON answer must be one Google's document knows."""
    response.read()
    contract = gmail_contract()
    method = contract.route(response.request.method, response.request.url.path) if contract else None
    if contract and method and response.status_code == 200 and response.content:
        assert contract.problems(method, response.json()) == []


def judge_graph(response: httpx.Response) -> None:
    """Every good JSON answer must be one Microsoft's document knows."""
    response.read()
    contract = graph_contract()
    kind = graph_type(response.request.method, response.request.url.path)
    if not (contract and kind) or response.status_code not in (200, 201) or not response.content:
        return
    body = response.json()
    for item in body.get("value", [body]):
        assert contract.problems(kind, item) == []


Connect = Callable[..., httpx.Client]


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Connect]:
    """Make a client for a user with these scopes; answers are judged by the provider's own document."""
    clients: list[httpx.Client] = []

    def make(address: str, scopes: str, **headers: str) -> httpx.Client:
        gmail = sandbox.users[address].provider == "gmail"
        client = httpx.Client(
            base_url=sandbox.http_url + ("/gmail/v1/users/me" if gmail else "/v1.0/me"),
            headers={"Authorization": f"Bearer {sandbox.grants.issue(address, scopes)}", **headers},
            event_hooks={"response": [judge_gmail if gmail else judge_graph]},
            timeout=10,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def gmail(connect: Connect) -> httpx.Client:
    return connect(ANA, MODIFY)


@pytest.fixture
def graph(connect: Connect) -> httpx.Client:
    """Asks for immutable ids, as every sensible client does."""
    return connect(BRUNO, MAIL, **IMMUTABLE)


@pytest.fixture
def ana(sandbox: Sandbox) -> Mailbox:
    return sandbox.mailbox(ANA)


@pytest.fixture
def bruno(sandbox: Sandbox) -> Mailbox:
    return sandbox.mailbox(BRUNO)


def fill(mailbox: Mailbox, count: int, **where: Any) -> list[str]:
    """`count` messages a minute apart, newest last; returns their ids."""
    keys = [
        mailbox.add(letter(f"Mensagem {number}"), received_ms=START_MS + number * 60_000, **where)
        for number in range(count)
    ]
    return [mailbox.id_of(key) for key in keys]
