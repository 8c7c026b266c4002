"""The same journey on each CRM, through the interface: connect, mirror, see the customer, correct a link, write.

The mailbox is the sandbox's Gmail, the CRM the sandbox's SharpSpring or a real Tryton, filled with 5,000 accounts and
20,000 contacts; what was logged is read by another client. A CRM with a dropbox address alone, and the one that needs
no server, have their accounts from a file; the first is read in the mailbox behind its address, the other by another
process. `CRMMAIL_JOURNEY_SIZE=500` makes them smaller.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from crmmail import config, crms, mailboxes
from crmmail.config import profile
from crmmail.crm import entry
from crmmail.crm.connection import CrmWish
from crmmail.crm.model import Account, Contact, LogStatus, Reason, Unlogged, Visibility
from crmmail.model import Query, SendState
from crmmail.sandbox import User, sharpspring
from crmmail.store import Store
from crmmail.sync import Engine, Pace, RemoteSync
from crmmail.sync.crm_thread import crm_once
from crmmail.tui.account_files import ImportPreview
from crmmail.tui.accounts import AccountsScreen
from crmmail.tui.app import CrmMail
from crmmail.tui.compose import ComposeScreen
from crmmail.tui.composer_dialogs import FilePicker
from crmmail.tui.connect_crm import ConnectCrmScreen
from crmmail.tui.dialogs import Confirm
from crmmail.tui.log_screens import LogSettings
from crmmail.tui.timeline import Timeline
from tests.remotes import tryton_server
from tests.remotes.crm_world import CrmWorld, SharpSpringWorld, TrytonWorld
from tests.remotes.tryton_server import PASSWORD, USER, Server
from tests.remotes.world import GmailWorld

ACCOUNTS = int(os.environ.get("CRMMAIL_JOURNEY_SIZE", "5000"))
CONTACTS = 4 * ACCOUNTS
ME = "me@example.com"
CUSTOMER, DOMAIN, PERSON = "Cedro Alimentos", "cedroalimentos.example", "bia.souza@cedroalimentos.example"
DROPBOX = "4711@bcc.crm.example"
STRANGER = "Rui Costa <rui@casa-do-rui.example>"


def letter(sender: str, subject: str, key: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"], message["Message-ID"] = sender, ME, subject, key
    message.set_content(f"Bom dia,\n\n{subject}.\n")
    return message.as_bytes()


class Journey:
    """The program on a profile with one mailbox, as somebody uses it."""

    def __init__(self, place: config.Profile, store: Store, mail: GmailWorld, world: CrmWorld) -> None:
        self.place, self.store, self.mail, self.world = place, store, mail, world
        self.settings = config.load(place)

    def engine(self) -> Engine:
        pace = Pace(shortest=0.2, longest=0.5, interval=0.2)
        link = crms.link(self.place, self.settings, self.store)
        return Engine(self.store, lambda _box: self.mail.connect(), pace=pace, crm=link)

    async def run(self, answers: tuple[str, ...], kind: int) -> None:
        app = CrmMail(self.store, self.settings, engine=self.engine, place=self.place)
        async with app.run_test(size=(140, 40)) as pilot:
            threading.Thread(target=app.start_engine, daemon=True).start()
            await until(pilot, lambda: app.engine)
            await self.connect(pilot, answers, kind)
            await self.mirror(pilot)
            await self.choose_to_log(pilot)
            await self.read(pilot)
            await self.correct(pilot)
            await self.write(pilot)
            await self.look_back(pilot)
        assert app.engine is not None

    async def connect(self, pilot: Pilot[Any], answers: tuple[str, ...], kind: int) -> None:
        await pilot.press("ctrl+p", *"connect", "space", *"a", "space", *"crm", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConnectCrmScreen))
        await pilot.press(*["down"] * kind, "enter")
        for answer in answers:
            await pilot.press(*answer, "enter")
        await until(pilot, lambda: "Connected as" in shown(pilot))
        await pilot.press("enter")

    async def mirror(self, pilot: Pilot[Any]) -> None:
        name = self.settings.crm.kind
        seconds = 240.0
        await until(pilot, lambda: "Copying accounts and contacts from the CRM" in shown(pilot))
        await until(pilot, lambda: self.store.account_count() >= ACCOUNTS, seconds)
        await until(pilot, lambda: len(self.store.mirrored(name)[1]) >= CONTACTS, seconds)
        await until(pilot, lambda: self.said() == "synced", seconds)
        await until(pilot, lambda: not self.store.rematching().total, seconds)

    def said(self) -> str:
        status = self.store.said(f"crm.{self.settings.crm.kind}")
        return str(status.phase) if status else ""

    async def choose_to_log(self, pilot: Pilot[Any]) -> None:
        await pilot.press("comma", "s")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogSettings))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogSettings))
        await pilot.press("v", "v", "escape")
        assert self.store.log_setting(mailbox="work").visibility is Visibility.FULL

    def arrives(self, sender: str, subject: str, key: str) -> None:
        self.mail.mailbox.deliver(letter(sender, subject, key), received_ms=int(time.time() * 1000))

    def newest(self, subject: str) -> int:
        rows = self.store.window(Query("work", "inbox"), 0, 5)
        return next((row.id for row in rows if row.subject == subject), 0)

    async def read(self, pilot: Pilot[Any]) -> None:
        """A customer's mail comes in and is opened: whose it is stands beside it."""
        self.arrives(f"Bia Souza <{PERSON}>", "Pedido de junho", "<pedido@cedro.example>")
        await until(pilot, lambda: self.newest("Pedido de junho"))
        await pilot.press("g", "g", "enter")
        await until(pilot, lambda: "Pedido de junho" in shown(pilot))
        await pilot.press("i")
        await until(pilot, lambda: CUSTOMER in shown(pilot))
        (link,) = self.store.links([self.newest("Pedido de junho")])
        assert (link.name, link.reason) == (CUSTOMER, Reason.ADDRESS)
        await pilot.press("escape")

    async def correct(self, pilot: Pilot[Any]) -> None:
        """Somebody nobody knows writes for the same customer: linked by hand."""
        self.arrives(STRANGER, "Nota da Cedro", "<nota@casa-do-rui.example>")
        await until(pilot, lambda: self.newest("Nota da Cedro"))
        await pilot.press("g", "g")
        await pilot.press("A")
        await until(pilot, lambda: "Picker" in type(pilot.app.screen).__name__)
        await pilot.press(*"cedro", "space", *"alim")
        await until(pilot, lambda: CUSTOMER in shown(pilot))
        await pilot.press("enter")
        await pilot.pause(0.1)
        await pilot.press("m")
        await until(pilot, lambda: self.store.links([self.newest("Nota da Cedro")]))
        (link,) = self.store.links([self.newest("Nota da Cedro")])
        assert (link.name, link.reason) == (CUSTOMER, Reason.MANUAL)

    async def write(self, pilot: Pilot[Any]) -> None:
        """A message to the customer, its account chosen first; it goes out."""
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, ComposeScreen))
        screen = pilot.app.screen
        assert isinstance(screen, ComposeScreen)
        await pilot.press("alt+l", *"cedro", "space", *"alim")
        await until(pilot, lambda: screen.offers.display)
        await pilot.press("enter")
        await until(pilot, lambda: screen.customer.account)
        screen.go_to(("to",))
        await pilot.press(*PERSON, "comma")
        screen.go_to(("subject",))
        await pilot.press(*"Proposta")
        screen.go_to(("text",))
        await pilot.press(*"Segue.")
        await pilot.press("ctrl+j")
        await until(pilot, lambda: self.store.outgoing() or "?" in shown(pilot), 10)
        await until(pilot, lambda: self.store.outgoing([SendState.SEEN]), 30)

    async def look_back(self, pilot: Pilot[Any]) -> None:
        """All of it is in the CRM, on the customer, and on the timeline here."""
        await self.logged(pilot)
        await pilot.press("g", "c")
        await pilot.press(*"cedro", "space", *"alim")
        await until(pilot, lambda: CUSTOMER in shown(pilot))
        await pilot.press("enter")
        await pilot.pause(0.2)
        await pilot.press("comma", "t")
        await until(pilot, lambda: isinstance(pilot.app.screen, Timeline))
        for subject in ("Pedido de junho", "Nota da Cedro", "Proposta"):
            await until(pilot, lambda subject=subject: subject in shown(pilot))

    async def logged(self, pilot: Pilot[Any]) -> None:
        """Each message went to the CRM, once."""
        numbers = [self.newest("Pedido de junho"), self.newest("Nota da Cedro")]
        await until(
            pilot,
            lambda: {self.store.log_states([one])[one].status for one in numbers} == {LogStatus.LOGGED},
            60,
        )
        await until(pilot, lambda: len(self.world.entries_on(self.customer)) == 3, 60)

    customer = ""


class FromFile(Journey):
    """With accounts that no CRM tells: a file brings them."""

    def __init__(self, place: config.Profile, store: Store, mail: GmailWorld, path: Path) -> None:
        super().__init__(place, store, mail, CrmWorld())
        self.path = path

    async def take_in(self, pilot: Pilot[Any]) -> None:
        await pilot.press("g", "c")
        await until(pilot, lambda: isinstance(pilot.app.screen, AccountsScreen))
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(pilot.app.screen, FilePicker))
        pilot.app.screen.query_one("#typed", Input).value = str(self.path)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ImportPreview), 60)
        await pilot.press("y")

    async def mirror(self, pilot: Pilot[Any]) -> None:
        seconds = 240.0
        await until(pilot, lambda: self.store.account_count() == ACCOUNTS, seconds)
        await until(pilot, lambda: len(self.store.contacts(self.store.accounts("cedro alim", 0, 1)[0].id)) > 0, seconds)
        await until(pilot, lambda: not self.store.rematching().total, seconds)
        await until(pilot, lambda: isinstance(pilot.app.screen, AccountsScreen))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.screen is pilot.app.screen_stack[0])


class LocalJourney(FromFile):
    """With the CRM that is always there: nothing leaves the computer."""

    async def connect(self, pilot: Pilot[Any], answers: tuple[str, ...], kind: int) -> None:
        await super().connect(pilot, answers, kind)
        await self.take_in(pilot)

    async def logged(self, pilot: Pilot[Any]) -> None:
        """Each message is kept beside its account, once."""
        (customer,) = self.store.accounts("cedro alim", 0, 2)
        await until(pilot, lambda: len(self.store.kept_entries(customer.id)) == 3, 60)
        numbers = [self.newest("Pedido de junho"), self.newest("Nota da Cedro"), *self.store.ids(Query("work", "sent"))]
        states = self.store.log_states(numbers)
        assert {(one.status, one.crm) for one in states.values()} == {(LogStatus.LOGGED, "local")}


class DropboxJourney(FromFile):
    """With a CRM that is an address and nothing else: it can only be sent a copy."""

    async def connect(self, pilot: Pilot[Any], answers: tuple[str, ...], kind: int) -> None:
        await super().connect(pilot, answers, kind)
        await self.take_in(pilot)

    async def logged(self, pilot: Pilot[Any]) -> None:
        """What we sent went there; what we received says why it did not."""
        numbers = [self.newest("Pedido de junho"), self.newest("Nota da Cedro")]
        await until(pilot, lambda: self.sent_states() == [(LogStatus.LOGGED, DROPBOX)], 60)
        states = self.store.log_states(numbers)
        assert {(states[one].status, states[one].why) for one in numbers} == {(LogStatus.NOT_LOGGED, Unlogged.RECEIVED)}

    def sent_states(self) -> list[tuple[LogStatus, str]]:
        states = self.store.log_states(self.store.ids(Query("work", "sent"))).values()
        return [(one.status, one.remote_id) for one in states]


def shown(pilot: Pilot[Any]) -> str:
    return "\n".join(line.text for line in pilot.app.screen._compositor.render_strips())


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"it never came to that; on the screen:\n{shown(pilot)}"
        await pilot.pause(0.02)


@pytest.fixture
def mail() -> Iterator[GmailWorld]:
    with GmailWorld() as made:
        yield made


@pytest.fixture
def place() -> config.Profile:
    made = profile().make()
    with config.update(made) as settings:
        settings.token_store = "file"
        settings.undo_send_seconds = 0
        settings.mailboxes["work"] = config.MailboxSettings("gmail", ME, name="Work")
    return made


def travel(
    place: config.Profile, mail: GmailWorld, world: CrmWorld, customer: str, answers: tuple[str, ...], kind: int
) -> None:
    with Store.open(place.data_dir) as store:
        mailboxes.register(store, config.load(place))
        journey = Journey(place, store, mail, world)
        journey.customer = customer
        asyncio.run(journey.run(answers, kind))
    told = [entry.key_in(text) for text in world.entries_on(customer)]
    assert told[:2] == ["<pedido@cedro.example>", "<nota@casa-do-rui.example>"]
    assert len(set(told)) == 3
    assert len(world.entries_on("")) == 3, "nothing was logged anywhere else"


def export(path: Path) -> None:
    """A CRM's export as many companies have one: `ACCOUNTS` accounts, `CONTACTS` people, a line for each of them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("Company Name", "Company Domain Name", "First Name", "Last Name", "Email"))
        rows.writerow((CUSTOMER, DOMAIN, "Bia", "Souza", PERSON))
        for number in range(CONTACTS - 1):
            company = number % (ACCOUNTS - 1)
            domain = f"empresa{company}.example"
            rows.writerow((f"Empresa {company}", domain, "Ana", f"Lima {number}", f"ana{number}@{domain}"))


def test_the_journey_with_nothing_but_this_computer(place: config.Profile, mail: GmailWorld, tmp_path: Path) -> None:
    export(tmp_path / "export.csv")
    with Store.open(place.data_dir) as store:
        mailboxes.register(store, config.load(place))
        asyncio.run(LocalJourney(place, store, mail, tmp_path / "export.csv").run((), 3))
    told = read_elsewhere()
    assert [one["addresses"] for one in told["contacts"]] == [[PERSON]]
    assert {one["title"] for one in told["timeline"]} == {"Pedido de junho", "Nota da Cedro", "Proposta"}
    assert all(one["message"] for one in told["timeline"])


def test_what_was_logged_on_this_computer_outlives_the_mail(
    place: config.Profile, mail: GmailWorld, tmp_path: Path
) -> None:
    with Store.open(place.data_dir) as store:
        mailboxes.register(store, config.load(place))
        cedro = store.save_account(Account("", CUSTOMER, (DOMAIN,)))
        store.save_contact(Contact("", cedro.id, "Bia Souza", (PERSON,)))
        crms.ProfileCrmGuide(place, config.load(place)).connect(CrmWish("local"))
        mail.mailbox.deliver(letter(PERSON, "Pedido de junho", "<pedido@cedro.example>"))
        RemoteSync(store, mail.connect()).step()
        link = crms.link(place, config.load(place), store)
        assert link is not None
        assert crm_once(store, link.connect).logged == 0, "nothing was chosen"
        store.log_now(store.ids(Query("work", "inbox")))
        assert crm_once(store, link.connect).logged == 1
    for file in place.data_dir.glob("cache.db*"):
        file.unlink()
    (entry,) = read_elsewhere()["timeline"]
    assert (entry["title"], entry["message"], entry["message_id"]) == (
        "E-mail received",
        None,
        "<pedido@cedro.example>",
    )


def read_elsewhere() -> dict[str, Any]:
    """The customer as another process tells it."""
    command = [sys.executable, "-m", "crmmail", "account", CUSTOMER, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_the_journey_with_a_dropbox_address(place: config.Profile, mail: GmailWorld, tmp_path: Path) -> None:
    export(tmp_path / "export.csv")
    for address in (DROPBOX, PERSON):
        mail.box.add_user(User(address, "gmail"))
    with Store.open(place.data_dir) as store:
        mailboxes.register(store, config.load(place))
        asyncio.run(DropboxJourney(place, store, mail, tmp_path / "export.csv").run((DROPBOX,), 2))
    (copy,) = letters_of(mail, DROPBOX)
    (received,) = letters_of(mail, PERSON)
    assert [copy[name].addresses[0].addr_spec for name in ("From", "To")] == [ME, PERSON]
    assert (copy["Subject"], len(copy["To"].addresses)) == ("Proposta", 1)
    assert copy["Message-ID"] == received["Message-ID"]
    assert copy.get_content().strip() == "Segue."
    for one in (copy, received):
        assert one["Bcc"] is None
        assert DROPBOX not in one.as_string(), "the address is on the envelope alone"


def letters_of(mail: GmailWorld, address: str) -> list[EmailMessage]:
    """All that somebody's mailbox holds, read over the wire by a program that is not ours."""
    token = mail.box.grants.issue(address, mail.scopes)
    told = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{mail.box.http_url}/gmail/v1/users/me", headers=told, trust_env=False) as client:
        keys = [one["id"] for one in client.get("/messages").json().get("messages", [])]
        raws = [client.get(f"/messages/{key}", params={"format": "raw"}).json()["raw"] for key in keys]
    parser = BytesParser(EmailMessage, policy=policy.default)
    return [parser.parsebytes(base64.urlsafe_b64decode(raw + "==")) for raw in raws]


def test_the_journey_with_sharpspring(place: config.Profile, mail: GmailWorld) -> None:
    world = SharpSpringWorld()
    try:
        world.company.fill(ACCOUNTS - 1, CONTACTS - 1)
        customer = world.add_account(CUSTOMER, f"https://www.{DOMAIN}")
        world.add_contact(customer, "Bia Souza", PERSON)
        url = f"{world.sandbox.http_url}{sharpspring.PATH}"
        travel(place, mail, world, customer, (*world.keys, "", url), 0)
    finally:
        world.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    tryton_server.needed()
    with tryton_server.running() as started:
        yield started


def test_the_journey_with_tryton(place: config.Profile, mail: GmailWorld, server: Server) -> None:
    world = TrytonWorld(server)
    try:
        tryton_server.crowd(server, world.type, ACCOUNTS - 1, CONTACTS - 1)
        customer = world.add_account(CUSTOMER, f"https://www.{DOMAIN}")
        world.add_contact(customer, "Bia Souza", PERSON)
        answers = (world.relay.listener.url, world.database, USER, PASSWORD, "", "")
        travel(place, mail, world, customer, answers, 1)
    finally:
        world.close()
