"""The whole guide driven by keys, in the real program, against Dovecot, SMTP, the sandbox and a DNS server."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from crmmail import config
from crmmail.auth.tokens import TokenStore
from crmmail.sandbox import consent, person
from crmmail.sandbox.server import Sandbox, User
from crmmail.signing import ShowCode, ShowUrl
from crmmail.store import Store
from crmmail.tui.app import CrmMail
from crmmail.tui.guide import GuideScreen
from crmmail.tui.guide_form import Security
from crmmail.tui.sign_in import SignInScreen
from tests.guide.conftest import ANA, APP_PASSWORD, GMAIL, PASSWORD, Servers
from tests.guide.stage import choices, shown, until
from tests.mailservers.dovecot import free_port
from tests.network import Nameserver, Zone, nameserver
from tests.tui.conftest import type_ahead

Keys = Callable[[CrmMail, Pilot[None]], Awaitable[None]]


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    """Knows of two domains who keeps their mail, of all others nothing."""
    zone: Zone = {
        ("lumen.example", "MX"): ["1 aspmx.l.google.com."],
        ("contoso.example", "MX"): ["0 contoso-example.mail.protection.outlook.com."],
    }
    with nameserver(zone) as server:
        yield server


@pytest.fixture
def settings(place: config.Profile, dns: Nameserver) -> config.Settings:
    """A first run: no mailbox, secrets in a file, and nobody asked but the DNS server of the test."""
    with config.update(place) as changed:
        changed.token_store = "file"
        changed.dns_server = dns.place
        changed.autoconfig_url = "https://localhost:1/{domain}"
    return config.load(place)


def play(store: Store, settings: config.Settings, place: config.Profile, keys: Keys) -> CrmMail:
    """Run the program at 80×24 and press `keys`."""
    app = CrmMail(store, settings, place=place)

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            if not settings.mailboxes:
                await guide(app, pilot)
            await keys(app, pilot)

    asyncio.run(run())
    return app


async def guide(app: CrmMail, pilot: Pilot[None]) -> GuideScreen:
    await until(pilot, lambda: isinstance(app.screen, GuideScreen) and app.screen._step)
    assert isinstance(app.screen, GuideScreen)
    return app.screen


async def step(app: CrmMail, pilot: Pilot[None], name: str) -> None:
    await until(pilot, lambda: isinstance(app.screen, GuideScreen) and app.screen._step == name, 20)


async def failed(app: CrmMail, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: app.screen.has_class("-failed"), 20)
    await pilot.pause()


async def type_in(app: CrmMail, pilot: Pilot[None], name: str, text: str) -> None:
    """Go down to a field by keys alone and write `text` instead of what stands there."""
    for _count in range(12):
        if app.focused is not None and app.focused.id == name:
            break
        await pilot.press("tab")
    assert isinstance(app.focused, Input)
    assert app.focused.id == name
    type_ahead(app, ["home", "ctrl+k", *text])
    await pilot.pause()


async def to_the_form(app: CrmMail, pilot: Pilot[None], address: str = ANA) -> None:
    type_ahead(app, [*address, "enter"])
    await step(app, pilot, "ways")
    assert choices(app)[0] == "Password and servers"
    await pilot.press("enter")
    await step(app, pilot, "form")


async def fill(app: CrmMail, pilot: Pilot[None], servers: Servers, **other: str) -> None:
    """The whole form, with `other` values for some fields."""
    values = {
        "password": PASSWORD,
        "imap_host": "127.0.0.1",
        "imap_port": str(servers.dovecot.imaps_port),
        "smtp_host": "127.0.0.1",
        "smtp_port": str(servers.sink.port),
        "ca_file": servers.ca_file,
    } | other
    for name, text in values.items():
        await type_in(app, pilot, name, text)


def kept(place: config.Profile, name: str) -> config.MailboxSettings:
    return config.load(place).mailboxes[name]


def password(place: config.Profile, name: str) -> str:
    held = TokenStore.open(place.data_dir, profile=place.name, choice="file").get(name)
    assert held is not None
    return str(held.password)


def test_a_plain_imap_host_that_nobody_knows(store, settings, place, servers: Servers) -> None:
    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        assert "Nobody could tell" not in shown(app)
        await fill(app, pilot, servers)
        await pilot.press("enter")
        await step(app, pilot, "done")
        assert f"{ANA} is connected" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert app.main.messages.query_shown.mailbox == "cliente"

    app = play(store, settings, place, keys)
    box = kept(place, "cliente")
    assert (box.provider, box.address, box.user) == ("imap", ANA, "")
    assert (box.imap_host, box.imap_port, box.imap_security) == ("127.0.0.1", servers.dovecot.imaps_port, "tls")
    assert (box.smtp_port, box.smtp_security, box.ca_file) == (servers.sink.port, "tls", servers.ca_file)
    assert password(place, "cliente") == PASSWORD
    assert PASSWORD not in place.config_file.read_text(encoding="utf-8")
    assert [box.id for box in app.store.mailboxes()] == ["cliente"]


def test_a_host_with_starttls_only_is_found_out_and_mended_by_keys(store, settings, place, servers: Servers) -> None:
    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        ports = {"imap_port": str(servers.dovecot.imap_port), "smtp_port": str(servers.dovecot.submission_port)}
        await fill(app, pilot, servers, **ports)
        for wrong in ("imap_security", "smtp_security"):
            await pilot.press("ctrl+j")
            await step(app, pilot, "trial")
            await failed(app, pilot)
            assert "STARTTLS" in shown(app)
            assert config.load(place).mailboxes == {}
            await pilot.press("enter")
            await step(app, pilot, "form")
            assert isinstance(app.focused, Security)
            assert app.focused.id == wrong
            await pilot.press("space")
        await pilot.press("ctrl+j")
        await step(app, pilot, "done")

    play(store, settings, place, keys)
    box = kept(place, "cliente")
    assert (box.imap_security, box.imap_port) == ("starttls", servers.dovecot.imap_port)
    assert (box.smtp_security, box.smtp_port) == ("starttls", servers.dovecot.submission_port)


def test_a_wrong_password_is_said_and_can_be_typed_again(store, settings, place, servers: Servers) -> None:
    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        await fill(app, pilot, servers, password="p1o com queijo")
        await pilot.press("enter")
        await failed(app, pilot)
        assert "refused the name or the password" in " ".join(shown(app).split())
        assert "p1o com queijo" not in shown(app)
        assert config.load(place).mailboxes == {}
        assert TokenStore.open(place.data_dir, choice="file").get("cliente") is None
        await pilot.press("enter")
        await step(app, pilot, "form")
        assert app.focused is not None
        assert app.focused.id == "password"
        await type_in(app, pilot, "password", PASSWORD)
        await pilot.press("enter")
        await step(app, pilot, "done")

    play(store, settings, place, keys)
    assert password(place, "cliente") == PASSWORD


def test_keys_faster_than_the_screen_land_where_they_were_typed(store, settings, place, servers: Servers) -> None:
    """As a password manager types: everything is in the queue before the first key is looked at."""

    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        values = [PASSWORD, "127.0.0.1", str(servers.dovecot.imaps_port), "", "127.0.0.1", str(servers.sink.port), ""]
        typed: list[str] = []
        for text in values:
            typed += [*(["home", "ctrl+k", *text] if text else []), "tab"]
        type_ahead(app, [*typed, *servers.ca_file, "enter"])
        await step(app, pilot, "done")
        assert "com queijo" not in shown(app)

    play(store, settings, place, keys)
    box = kept(place, "cliente")
    assert (box.imap_host, box.imap_port, box.smtp_port) == ("127.0.0.1", servers.dovecot.imaps_port, servers.sink.port)
    assert password(place, "cliente") == PASSWORD


def test_a_password_is_on_no_screen(store, settings, place, servers: Servers) -> None:
    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        await type_in(app, pilot, "password", "geheim-123")
        await pilot.pause()
        assert "geheim" not in shown(app)
        await pilot.press("shift+tab")
        await pilot.pause()
        assert "geheim" not in shown(app)
        assert "geheim" not in repr(app.screen.query_one("#password"))

    play(store, settings, place, keys)


def test_a_closed_port_is_said_and_leads_to_its_field(store, settings, place, servers: Servers) -> None:
    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        closed = free_port()
        await fill(app, pilot, servers, imap_port=str(closed))
        await pilot.press("enter")
        await failed(app, pilot)
        assert f"127.0.0.1:{closed} does not accept connections" in shown(app)
        await pilot.press("enter")
        await step(app, pilot, "form")
        assert app.focused is not None
        assert app.focused.id == "imap_port"
        await type_in(app, pilot, "imap_port", str(servers.dovecot.imaps_port))
        await pilot.press("ctrl+j")
        await step(app, pilot, "done")

    play(store, settings, place, keys)


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """(port, fingerprint) of a TLS server that vouches for itself."""
    import hashlib

    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    from crmmail.sandbox import tls

    _pem, certificate, key = tls._authority()
    assert isinstance(certificate, x509.Certificate)
    private = key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both = tmp_path / "self.pem"
    both.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _sender = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(line, server_side=True) as protected:
                    heard = protected.recv(100)
                    assert not heard, "something was said to a server nobody vouches for"
            except OSError:
                line.close()

    threading.Thread(target=serve, daemon=True).start()
    digest = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    yield listener.getsockname()[1], ":".join(re.findall("..", digest))
    listener.close()


def test_a_self_signed_certificate_is_refused_with_its_fingerprint_and_the_reason(
    store, settings, place, servers: Servers, self_signed: tuple[int, str]
) -> None:
    port, fingerprint = self_signed

    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await to_the_form(app, pilot)
        await fill(app, pilot, servers, imap_port=str(port), ca_file="")
        await pilot.press("ctrl+j")
        await failed(app, pilot)
        text = "".join(re.sub(r"[│\s]", "", line) for line in shown(app).split("\n"))
        assert "itisself-signed" in text
        assert fingerprint in text
        assert config.load(place).mailboxes == {}
        await pilot.press("enter")
        await step(app, pilot, "form")
        assert app.focused is not None
        assert app.focused.id == "ca_file"

    play(store, settings, place, keys)


@pytest.mark.parametrize("typed", ["ana", "ana@", "@cliente.example"])
def test_an_address_without_a_domain_is_said_and_can_be_corrected(store, settings, place, typed: str) -> None:
    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await pilot.press(*typed, "enter")
        await failed(app, pilot)
        assert "no domain" in shown(app) or "no name before" in shown(app)
        assert isinstance(app.focused, Input)
        await pilot.press("home", "ctrl+k", *ANA, "enter")
        await step(app, pilot, "ways")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.main)

    play(store, settings, place, keys)


def test_gmail_by_app_password_with_the_steps_that_come_before_it(
    store, settings: config.Settings, place, servers: Servers, tmp_path: Path
) -> None:
    """A server of our own stands in for Gmail's, through the file of providers."""
    own = tmp_path / "providers.toml"
    own.write_text(
        f"""[google]
name = "Gmail"
domains = ["gmail.com"]
mx = ["google.com"]
imap = ["127.0.0.1", {servers.dovecot.imaps_port}, "tls"]
smtp = ["127.0.0.1", {servers.sink.port}, "tls"]
app_password = true
ca_file = "{servers.ca_file}"
""",
        encoding="utf-8",
    )
    settings.providers_file = str(own)

    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        type_ahead(app, [*GMAIL, "enter"])
        await step(app, pilot, "ways")
        assert "Google Workspace" in shown(app)
        assert choices(app)[:2] == ["Sign in with Google", "Gmail with an app password"]
        await pilot.press("down", "enter")
        await step(app, pilot, "form")
        await pilot.pause()
        assert "administrator" in shown(app)
        read = shown(app)
        await pilot.press("pagedown")
        await pilot.pause()
        read += shown(app)
        for word in ("2-Step Verification", "Enable IMAP", "apppasswords", "16 letters"):
            assert word in read
        assert app.focused is not None
        assert app.focused.id == "password"
        type_ahead(app, [*"abcd efgh ijkl mnop", "enter"])
        await step(app, pilot, "done")

    play(store, settings, place, keys)
    assert password(place, "lumen") == APP_PASSWORD
    assert kept(place, "lumen").address == GMAIL


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    users = [User(GMAIL), User("eva@lumen.example"), User("bruno@hotmail.com", "outlook")]
    users += [User("bia@contoso.example", "outlook"), User("rui@contoso.example", "outlook")]
    with Sandbox(users) as running:
        consent.of(running).interval = 0
        yield running


@pytest.fixture
def signed(sandbox: Sandbox, settings: config.Settings, place: config.Profile) -> config.Settings:
    """A mailbox of each provider stands already: a further one goes through the same client and servers."""
    for name, provider, address in (
        ("gmail", "gmail", "eva@lumen.example"),
        ("outlook", "outlook", "rui@contoso.example"),
    ):
        settings.mailboxes[name] = person.settings(sandbox, provider, address)
    with config.update(place) as changed:
        changed.mailboxes.update(settings.mailboxes)
    return settings


@pytest.mark.parametrize(
    ("address", "way", "said"),
    [
        (GMAIL, "browser", "Google Workspace"),
        ("bruno@hotmail.com", "code", "Microsoft mailbox"),
        ("bia@contoso.example", "code", "Microsoft 365"),
    ],
    ids=["gmail by browser", "outlook by device code", "microsoft 365 behind a domain of ones own"],
)
def test_signing_in_with_the_provider(
    store, signed: config.Settings, place, sandbox: Sandbox, address: str, way: str, said: str
) -> None:
    results: list[Any] = []

    async def keys(app: CrmMail, pilot: Pilot[None]) -> None:
        await pilot.press("C")
        await guide(app, pilot)
        type_ahead(app, [*address, "enter"])
        await step(app, pilot, "ways")
        assert said in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SignInScreen) and app.screen._step in ("code", "url"))
        screen = app.screen
        assert isinstance(screen, SignInScreen)
        event = screen._shown
        assert isinstance(event, ShowCode if way == "code" else ShowUrl)
        if isinstance(event, ShowCode):
            person.type_code(sandbox, event.code, address)
        elif isinstance(event, ShowUrl):
            await asyncio.to_thread(person.browse, sandbox, event.url, address)
        await until(pilot, lambda: f"Signed in as {address}" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        results.append(app.main.messages.query_shown.mailbox)

    play(store, signed, place, keys)
    assert kept(place, results[0]).address == address
    assert results[0] in ("gmail2", "outlook2")
