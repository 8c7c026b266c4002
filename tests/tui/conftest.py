"""A store filled as a server would fill it, and the application on it: no thread, no network, one frozen moment."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import textual
from textual import events
from textual.app import App
from textual.pilot import Pilot

from crmmail import config, i18n
from crmmail.mailboxes import CAPABILITIES
from crmmail.model import Folder, Incoming, Mailbox, Page, Phase, Query, Role, State, Status
from crmmail.store import Store
from crmmail.tui.app import CrmMail

NOW = 1_795_357_920.0  # 2026-11-22 14:32 UTC
TEXTUAL = "8.2.8"
MINUTE = 60_000

PEOPLE = (
    "Ana Souza <ana.souza@acme.example>",
    "Bruno Lima <bruno@lima.example>",
    "Financeiro ACME <financeiro@acme.example>",
    "Müller, Jörg <joerg@mueller.example>",
)
SUBJECTS = (
    "Revised quote for the Curitiba branch",
    "Re: Meeting on Thursday",
    "Invoice 2026-1142",
    "Pedido 8841: prazo de entrega",
    "Weekly report",
)


def pytest_configure(config: pytest.Config) -> None:
    """Snapshots belong to one version of Textual; another draws some cells differently."""
    if config.getoption("snapshot_update", default=False) and textual.__version__ != TEXTUAL:
        raise pytest.UsageError(f"snapshots are made with Textual {TEXTUAL}, this is {textual.__version__}")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests without a plug-in."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**wanted), 60))
    return True


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same everywhere: language, time zone, colours."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("NO_COLOR", "COLORTERM", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    i18n.use("en")
    yield
    i18n.use("en")


def raw(
    number: int, subject: str = "", sender: str = "", text: str = "", attachment: str = "", html: str = ""
) -> bytes:
    """A message as it comes from a server."""
    message = EmailMessage()
    message["Subject"] = subject or f"{SUBJECTS[number % len(SUBJECTS)]} {number}"
    message["From"] = sender or PEOPLE[number % len(PEOPLE)]
    message["To"] = "me@example.com"
    message["Date"] = "Sun, 22 Nov 2026 14:00:00 +0000"
    message["Message-ID"] = f"<{number}@acme.example>"
    message.set_content(text or f"Hello,\n\nthis is message {number}.\n\nKind regards\n")
    if html:
        message.add_alternative(html, subtype="html")
    if attachment:
        message.add_attachment(b"%PDF-1.4 " + b"x" * 2000, maintype="application", subtype="pdf", filename=attachment)
    return message.as_bytes()


def incoming(number: int, folder: str = "inbox", *, content: bytes | None = None, **flags: bool) -> Incoming:
    """Message `number`: the higher, the older."""
    state = State(frozenset({folder}), **flags)
    received = int(NOW * 1000) - number * 7 * MINUTE
    return Incoming(f"m{number}", state, received, raw=content or raw(number), remote_thread=f"t{number}")


def folders(mailbox: str) -> tuple[Folder, ...]:
    """The folders a server has."""
    system = [Folder(mailbox, role, Role(role), role, role) for role in ("inbox", "drafts", "sent", "trash", "spam")]
    if mailbox == "outlook":
        system.append(Folder(mailbox, "archive", Role.ARCHIVE, "Archive", "archive"))
    return (*system, Folder(mailbox, "x:1", Role.OTHER, "Clientes", "1"))


def fill(store: Store, mailbox: str, messages: Iterable[Incoming], cursor: str = "1") -> None:
    """A page from the server."""
    store.ingest(mailbox, Page(cursor=cursor, upserts=tuple(messages), folders=folders(mailbox), complete=True))


def connect(store: Store, provider: str, position: int = 0) -> None:
    """A mailbox of this provider, named like it."""
    address = {"gmail": "me@gmail.example", "outlook": "me@outlook.example"}[provider]
    store.register(Mailbox(provider, provider, address, provider.title(), "", CAPABILITIES[provider], position))
    store.say(Status(provider, Phase.SYNCED, at=NOW))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store without mailboxes."""
    opened = Store.open(tmp_path, clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def gmail(store: Store) -> Store:
    """One Gmail mailbox: 200 in the inbox, every third unread; two in the trash."""
    connect(store, "gmail")
    inbox = [incoming(number, unread=number % 3 == 0) for number in range(200)]
    fill(store, "gmail", [*inbox, incoming(900, "trash"), incoming(901, "trash")])
    return store


@pytest.fixture
def outlook(store: Store) -> Store:
    """One Outlook mailbox: 50 in the inbox."""
    connect(store, "outlook")
    fill(store, "outlook", [incoming(number, unread=number % 3 == 0) for number in range(50)])
    return store


def app_on(store: Store, **settings: Any) -> CrmMail:
    """The application on a store."""
    return CrmMail(store, config.Settings(**settings), clock=lambda: NOW)


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Wait for a condition, 10 s at most."""
    for _attempt in range(500):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError("what was waited for did not happen")


def type_ahead(app: App[Any], keys: Iterable[str]) -> None:
    """Keys faster than the screen: all are in the queue before the first is looked at."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


def shown(app: App[Any]) -> str:
    """The text on the screen, line by line."""
    return "\n".join(line.text for line in app.screen._compositor.render_strips())


def inbox(store: Store, mailbox: str = "gmail") -> list[int]:
    """The ids in the inbox, newest first."""
    return store.ids(Query(mailbox))


Flow = Callable[[Pilot[Any]], Awaitable[None]]
