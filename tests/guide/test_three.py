"""Three mailboxes of three kinds at once: each says its own state, none waits for another, replies fit theirs."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from crmmail import config, mailboxes
from crmmail.auth import password
from crmmail.model import Folder, Incoming, Page, Phase, Query, Role, State
from crmmail.sandbox import consent, person
from crmmail.sandbox.server import Sandbox, User
from crmmail.store import Store
from crmmail.sync import Engine
from crmmail.tui.app import CrmMail
from crmmail.tui.compose import ComposeScreen
from tests.guide.conftest import ANA, PASSWORD
from tests.guide.stage import shown, until

EVA, RUI = "eva@lumen.example", "rui@contoso.example"
ADDRESSES = {"google": EVA, "corp": RUI, "own": ANA}


def letter(subject: str, to: str) -> bytes:
    return (
        f"From: Bia <bia@cliente.test>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@cliente.test>\r\n"
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nOi\r\n"
    ).encode()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([User(EVA), User(RUI, "outlook")]) as running:
        consent.of(running).interval = 0
        for address in (EVA, RUI):
            for number in range(3):
                running.mailbox(address).deliver(letter(f"{number} for {address}", address))
        yield running


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word: offline at its worst."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=take, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()
    for line in held:
        line.close()


@pytest.fixture
def three(place: config.Profile, sandbox: Sandbox, silent: int) -> config.Settings:
    """Google is well, the session at Microsoft has ended, and the own server is silent."""
    with config.update(place) as settings:
        settings.token_store = "file"
        settings.mailboxes["own"] = config.MailboxSettings("imap", ANA, imap_host="127.0.0.1", imap_port=silent)
        settings.mailboxes["own"].smtp_host, settings.mailboxes["own"].smtp_port = "127.0.0.1", silent
        settings.mailboxes["corp"] = person.settings(sandbox, "outlook", RUI)
        settings.mailboxes["google"] = person.settings(sandbox, "gmail", EVA)
    settings = config.load(place)
    tokens = mailboxes.tokens(place, settings)
    password.keep("own", settings.mailboxes["own"], tokens, PASSWORD)
    for name in ("google", "corp"):
        person.sign_in(sandbox, name, settings.mailboxes[name], tokens, ADDRESSES[name])
    consent.of(sandbox).revoke(RUI)
    sandbox.grants.revoke_all(RUI)
    return settings


def engine(store: Store, place: config.Profile, settings: config.Settings) -> Engine:
    mailboxes.register(store, settings)
    return Engine(store, mailboxes.connector(place, settings), terms=mailboxes.terms(settings))


def test_one_is_silent_one_has_expired_one_is_well_and_none_delays_another(
    store: Store, place, three: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmmail.remotes.dial.CONNECT_SECONDS", 6.0)
    running = engine(store, place, three)
    app = CrmMail(store, three, place=place)
    app.engine = running

    async def run() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            started = time.monotonic()
            await asyncio.to_thread(running.start)
            await until(pilot, lambda: phase(store, "google") is Phase.SYNCED)
            await until(pilot, lambda: phase(store, "corp") is Phase.SIGN_IN)
            assert time.monotonic() - started < 5.0
            assert phase(store, "own") not in (Phase.SYNCED, Phase.SIGN_IN)
            assert store.count(Query("google")) == 3
            await until(pilot, lambda: phase(store, "own") is Phase.OFFLINE, 20)
            await until(pilot, lambda: states(app)["own"] == "Offline")
            assert states(app)["google"].startswith("Synced")
            assert states(app)["corp"].startswith("Sign in again")
            assert "Synced" in shown(app)

    try:
        asyncio.run(run())
    finally:
        running.stop()


def phase(store: Store, name: str) -> Phase | None:
    status = store.statuses().get(name)
    return status.phase if status else None


def states(app: CrmMail) -> dict[str, str]:
    """What the sidebar says of each mailbox."""
    return {line.mailbox: line.text for line in app.main.sidebar.lines if line.kind == "status"}


@pytest.mark.parametrize(("kept_in", "written_to"), itertools.product(ADDRESSES, ADDRESSES))
def test_a_reply_comes_from_whom_it_was_written_to_whatever_mailbox_it_lies_in(
    store: Store, place, kept_in: str, written_to: str
) -> None:
    with config.update(place) as changed:
        for name, provider in (("own", "imap"), ("corp", "outlook"), ("google", "gmail")):
            changed.mailboxes[name] = config.MailboxSettings(provider, ADDRESSES[name])
        changed.mailboxes["own"].imap_host = changed.mailboxes["own"].smtp_host = "mail.cliente.example"
    settings = config.load(place)
    mailboxes.register(store, settings)
    folders = (Folder(kept_in, "inbox", Role.INBOX, "INBOX", "INBOX"),)
    message = Incoming("1", State(frozenset({"inbox"})), 1_795_000_000_000, letter("Proposta", ADDRESSES[written_to]))
    store.ingest(kept_in, Page("1", (message,), folders=folders, complete=True))
    app = CrmMail(store, settings)

    async def run(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        assert isinstance(app.screen, ComposeScreen)
        identity = app.screen.sender.identity
        assert identity is not None
        assert (identity.mailbox, identity.address.email) == (written_to, ADDRESSES[written_to])

    async def play() -> None:
        async with app.run_test(size=(100, 30)) as pilot:
            await run(pilot)

    asyncio.run(play())
