"""A CRM with something in it, seen from both sides: what our connector tells of it and what it really holds."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from crmmail.crm.model import Account, Contact, CrmPage, LogEntry, LogFile, NewAccount, NewContact, Visibility
from crmmail.remotes.crm import Crm
from crmmail.remotes.local import Local
from crmmail.remotes.pace import Bucket
from crmmail.remotes.sharpspring import SharpSpring
from crmmail.remotes.tryton import Tryton
from crmmail.sandbox import Sandbox, sharpspring
from crmmail.sandbox.faults import Fault, Faults
from crmmail.sandbox.http import Listener, Request, Response
from crmmail.sandbox.sharpspring_tables import CUSTOM_FIELD
from crmmail.store import Store
from tests.remotes.tryton_server import PASSWORD, USER, Colleague, Server

WHEN = 1_790_000_000_000  # ms: 2026-09-21 14:13 UTC
Entry = tuple[str, str]  # account's remote id, text


def log(account: str, key: str = "<1@cliente.example>", **changes: Any) -> LogEntry:
    """A message to be logged."""
    entry: dict[str, Any] = {
        "key": key,
        "account": account,
        "contacts": (),
        "sent": False,
        "when_ms": WHEN,
        "sender": "Carla Dias <carla@acme.example>",
        "recipients": ("ana@lumen.example",),
        "subject": "Proposta & preço",
        "text": "Bom dia.\n\nSegue a proposta.\nCarla",
        "attachments": (),
        "visibility": Visibility.FULL,
    }
    return LogEntry(**{**entry, **changes})


def new_account(name: str = "Nova Ltda", **fields: Any) -> NewAccount:
    return NewAccount(Account("a1b2", name, **fields))


def new_contact(account: str, *addresses: str, name: str = "Rui Costa") -> NewContact:
    return NewContact(Contact("c1d2", "a1b2", name, addresses), account)


class CrmWorld:
    """One CRM. `connect` makes a connector; all are closed at the end."""

    kind = ""

    def __init__(self) -> None:
        self.connected: list[Crm] = []

    def close(self) -> None:
        for crm in self.connected:
            crm.close()

    def connect(self, **options: Any) -> Crm:
        crm = self.make(options)
        self.connected.append(crm)
        return crm

    def make(self, options: dict[str, Any]) -> Crm:
        raise NotImplementedError

    def add_account(self, name: str, website: str = "") -> str:
        raise NotImplementedError

    def add_contact(self, account: str, name: str, address: str) -> str:
        raise NotImplementedError

    def rename(self, account: str, name: str) -> None:
        raise NotImplementedError

    def remove_account(self, account: str) -> None:
        raise NotImplementedError

    def remove_contact(self, contact: str) -> None:
        raise NotImplementedError

    def entries(self) -> list[Entry]:
        """Every entry there is, in the order they were made, as another client reads them."""
        raise NotImplementedError

    def entries_on(self, account: str) -> list[str]:
        """The texts on one account; on all of them for ''."""
        return [text for one, text in self.entries() if account in ("", one)]

    def fault(self, kind: str, **options: Any) -> Fault:
        """Something goes wrong with the calls that `asks` (a word in their body) picks."""
        raise NotImplementedError

    def lie(self, account: str, other: str) -> None:
        """From now on the CRM answers with `other`'s record when asked for `account`'s."""
        raise NotImplementedError

    def revoke(self) -> None:
        """Our keys are no longer good."""
        raise NotImplementedError

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Nobody answers for a while."""
        raise NotImplementedError
        yield

    writes = ""  # what the body of a call that writes an entry has in it
    creates = ""  # … that creates an account


class SharpSpringWorld(CrmWorld):
    """The sandbox's SharpSpring."""

    kind = "sharpspring"
    writes = '"createNotes"'
    creates = '"createAccounts"'

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = Sandbox().start()
        self.company = sharpspring.of(self.sandbox)
        self.company.per_second = 10_000

    def close(self) -> None:
        super().close()
        self.sandbox.stop()

    @property
    def keys(self) -> tuple[str, str]:
        return self.company.account_id, self.company.secret_key

    def make(self, options: dict[str, Any]) -> Crm:
        url = f"{self.sandbox.http_url}{sharpspring.PATH}"
        given: dict[str, Any] = {"url": url, "pace": Bucket(1e6, 1e6), "keys": self.keys, **options}
        return SharpSpring("crm", given.pop("keys"), **given)

    def add_account(self, name: str, website: str = "") -> str:
        row = {"accountName": name, "website": website, "ownerID": 313_001_001, CUSTOM_FIELD: "Pequeno & ágil"}
        return str(self.company.tables.add("accounts", row))

    def add_contact(self, account: str, name: str, address: str) -> str:
        first, _, last = name.partition(" ")
        row = {"firstName": first, "lastName": last, "emailAddress": address, "active": 1, "title": "Compras"}
        return str(self.company.tables.add("leads", {**row, "accountID": int(account) if account else None}))

    def rename(self, account: str, name: str) -> None:
        self.company.tables.touch("accounts", int(account), {"accountName": name})

    def remove_account(self, account: str) -> None:
        del self.company.tables.accounts[int(account)]

    def remove_contact(self, contact: str) -> None:
        del self.company.tables.leads[int(contact)]

    def entries(self) -> list[Entry]:
        keys = {"X-Account-Id": self.company.account_id, "Authorization": f"Bearer {self.company.secret_key}"}
        found: list[tuple[int, Entry]] = []
        for account in {int(note.get("whatID") or 0) for note in self.company.tables.notes.values()}:
            body = {"method": "getAccountNotes", "params": {"id": account}, "id": 1}
            url = f"{self.sandbox.http_url}{sharpspring.PATH}"
            notes = httpx.post(url, json=body, headers=keys, trust_env=False).json()["result"]
            unescape = __import__("html").unescape
            found += [(int(note["id"]), (str(account), unescape(f"{note['title']}\n{note['note']}"))) for note in notes]
        return [entry for _number, entry in sorted(found)]

    def fault(self, kind: str, **options: Any) -> Fault:
        return self.sandbox.faults.add(kind, **options)

    def lie(self, account: str, other: str) -> None:
        row = {"id": other, "accountName": "Other"}
        body = {"result": {"account": [row]}, "error": None}
        self.fault("status", asks=rf'"getAccount".*"id": ?{account}\b', status=200, body=body)

    def revoke(self) -> None:
        self.company.revoked = True

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.sandbox.pause()
        try:
            yield
        finally:
            self.sandbox.resume()


class LocalWorld(CrmWorld):
    """This computer: the accounts of a store, and what lies beside them on the disk."""

    kind = "local"

    def __init__(self, store: Store, directory: Path) -> None:
        super().__init__()
        self.store, self.desk = store, directory / "desk.db"

    def make(self, options: dict[str, Any]) -> Crm:
        return Local("local", self.store)

    def add_account(self, name: str, website: str = "") -> str:
        return self.store.save_account(Account("", name, website=website)).id

    def add_contact(self, account: str, name: str, address: str) -> str:
        return self.store.save_contact(Contact("", account, name, (address,))).id

    def remove_account(self, account: str) -> None:
        self.store.remove_account(account)

    def entries(self) -> list[Entry]:
        with contextlib.closing(sqlite3.connect(f"file:{self.desk}?mode=ro", uri=True)) as other:
            rows = other.execute("SELECT key, content FROM record WHERE kind = 'entry' ORDER BY id").fetchall()
        kept = [(key.partition("\n")[0], json.loads(content)) for key, content in rows]
        return [(account, f"{one['title']}\n{one['text']}") for account, one in kept]


class Relay:
    """Stands before a real server and plays the sandbox's faults on its wire."""

    def __init__(self, url: str) -> None:
        import time

        self.faults = Faults()
        self.now = time.time
        self._upstream = httpx.Client(base_url=url, trust_env=False, timeout=60)
        self.listener = Listener(self)
        self.listener.open()

    def plan(self, request: Request) -> list[Fault]:
        return self.faults.plan(request)

    def plan_read(self, request: Request) -> list[Fault]:
        return self.faults.plan_read(request)

    def respond(self, request: Request) -> Response:
        if scripted := self.faults.answer(request):
            return scripted
        kept = {name: request.header(name) for name in ("Authorization", "Content-Type") if request.header(name)}
        answer = self._upstream.request(request.method, request.target, content=request.body, headers=kept)
        headers = {"Content-Type": answer.headers.get("Content-Type", ""), "Date": answer.headers.get("Date", "")}
        return Response(answer.status_code, answer.content, headers)

    def compresses(self, request: Request) -> bool:
        return False

    def close(self) -> None:
        self.listener.close()
        self._upstream.close()


class TrytonWorld(CrmWorld):
    """A database of a real Tryton, behind a relay that can lose answers."""

    kind = "tryton"
    writes = '"model.ir.note.create"'
    creates = '"model.party.party.create"'

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.database = server.fresh()
        self.relay = Relay(server.url)
        self.ask = Colleague(server.url, self.database)
        (self.type,) = self.ask("model.party.relation.type.create", [{"name": "Contact of"}])

    def close(self) -> None:
        super().close()
        self.ask.close()
        self.relay.close()

    @property
    def keys(self) -> tuple[str, str]:
        return USER, PASSWORD

    def make(self, options: dict[str, Any]) -> Crm:
        given: dict[str, Any] = {
            "url": self.relay.listener.url,
            "database": self.database,
            "keys": self.keys,
            **options,
        }
        return Tryton("crm", given.pop("keys"), **given)

    def add_account(self, name: str, website: str = "") -> str:
        ways = [["create", [{"type": "website", "value": website}]]] if website else []
        return str(self.ask("model.party.party.create", [{"name": name, "contact_mechanisms": ways}])[0])

    def add_contact(self, account: str, name: str, address: str) -> str:
        ways = [["create", [{"type": "email", "value": address}]]]
        (person,) = self.ask("model.party.party.create", [{"name": name, "contact_mechanisms": ways}])
        if account:
            bond = {"from_": person, "to": int(account), "type": self.type}
            self.ask("model.party.relation.all.create", [bond])
        return str(person)

    def rename(self, account: str, name: str) -> None:
        self.ask("model.party.party.write", [int(account)], {"name": name})

    def remove_account(self, account: str) -> None:
        bonds = self.ask("model.party.relation.all.search", [["to", "=", int(account)]], 0, None, None)
        self.ask("model.party.relation.all.delete", bonds)
        self.ask("model.party.party.delete", [int(account)])

    def remove_contact(self, contact: str) -> None:
        bonds = self.ask("model.party.relation.all.search", [["from_", "=", int(contact)]], 0, None, None)
        self.ask("model.party.relation.all.delete", bonds)
        self.ask("model.party.party.delete", [int(contact)])

    def entries(self) -> list[Entry]:
        fields = ["resource", "message"]
        notes = self.ask("model.ir.note.search_read", [], 0, None, [["id", "ASC"]], fields)
        return [(str(note["resource"]).partition(",")[2], note["message"]) for note in notes]

    def fault(self, kind: str, **options: Any) -> Fault:
        return self.relay.faults.add(kind, **options)

    def lie(self, account: str, other: str) -> None:
        body = {"id": 1, "result": [{"id": int(other), "name": "Other"}]}
        asks = rf'party\.party\.search_read.*"id", ?"=", ?{account}\]'
        self.fault("status", asks=asks, status=200, body=body)

    def revoke(self) -> None:
        self.fault("status", status=401, body="")

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        self.relay.listener.close(keep_port=True)
        try:
            yield
        finally:
            self.relay.listener.open()


def everything(crm: Crm, cursor: str = "", known: tuple[set[str], set[str]] | None = None) -> Mirror:
    """What a mirror holds after a round from `cursor`."""
    mirror = Mirror(*(known or (set(), set())))
    for page in crm.changes(cursor, lambda: (frozenset(mirror.accounts), frozenset(mirror.contacts))):
        mirror.take(page)
    return mirror


class Mirror:
    """The smallest store there can be for pages."""

    def __init__(self, accounts: set[str] | None = None, contacts: set[str] | None = None) -> None:
        self.accounts: dict[str, Any] = dict.fromkeys(accounts or ())
        self.contacts: dict[str, Any] = dict.fromkeys(contacts or ())
        self.pages: list[CrmPage] = []

    def take(self, page: CrmPage) -> None:
        self.pages.append(page)
        self.accounts |= {one.remote_id: one for one in page.accounts}
        self.contacts |= {one.remote_id: one for one in page.contacts}
        for gone in page.gone_accounts:
            self.accounts.pop(gone, None)
        for gone in page.gone_contacts:
            self.contacts.pop(gone, None)

    @property
    def cursor(self) -> str:
        return self.pages[-1].cursor

    @property
    def truth(self) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
        """Account id → name, contact id → (account, first address)."""
        return (
            {key: one.name for key, one in self.accounts.items()},
            {key: (one.account, one.addresses[0]) for key, one in self.contacts.items()},
        )


def file(name: str = "proposta.pdf", content: bytes = b"%PDF-1.4 ...") -> LogFile:
    return LogFile(name, "application/pdf", content)
