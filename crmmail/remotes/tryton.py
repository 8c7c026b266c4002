"""Tryton 8 over its JSON-RPC: parties mirrored as accounts and contacts, mail logged as notes on the account's party.

Tryton is the CRM our tests run for real. Signing in costs the server a password hash (0.2 s), so a session is kept and
renewed when it is refused. There is one address for what needs no database (`/rpc/`) and one for each database
(`/NAME/rpc/`); both answer 200 with an `error` for what the server understood and refuses.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from crmmail.auth.secrets import Secret
from crmmail.crm import entry
from crmmail.crm.model import (
    CrmAck,
    CrmCapabilities,
    CrmOp,
    CrmPage,
    LogEntry,
    NewAccount,
    NewContact,
    RemoteContact,
    TimelineEntry,
)
from crmmail.errors import Rejected, SettingsError, Transient
from crmmail.faultpoint import fault
from crmmail.i18n import _, language
from crmmail.mail.text import clean_line
from crmmail.remotes import refusals
from crmmail.remotes import tryton_json as told
from crmmail.remotes.crm import Mirrored, bad_keys, missing_record, number_of, place_of, same_record, server_time
from crmmail.remotes.http import Wire, decoded
from crmmail.remotes.tryton_json import Cursor

PAGE = 500
OVERLAP = 120.0  # seconds asked for twice: a transaction that began before our question may end after it
SWEEP_EVERY = 86_400.0
MAJOR = 8
EVEN_INACTIVE = {"active_test": False}  # as a context: rows that were switched off are told too
Row = Mapping[str, Any]


class Tryton:
    """One database of one server. `relation` names the type that binds a person to a company ('' : the only one)."""

    capabilities = CrmCapabilities(
        create_account=True, create_contact=True, log=True, attachments=True, timeline=True, search=True
    )

    def __init__(
        self,
        name: str,
        keys: tuple[str, str],
        *,
        url: str,
        database: str,
        relation: str = "",
        ca_file: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.place = place_of(url.rstrip("/"), database)
        self._user, self._password = keys[0], Secret(keys[1])
        self._database = f"/{quote(database, safe='')}/rpc/"
        self._relation_name = relation
        self._relation: int | None = None
        self._wire = Wire(url, None, ca_file)
        self._session = Secret("")
        self._clock = clock
        self._server_time = 0.0

    def __repr__(self) -> str:
        return f"Tryton({self.name!r}, ***)"

    def close(self) -> None:
        """End all connections."""
        self._wire.close()

    def check(self) -> str:
        """The user's name. Raises SettingsError for a server of another generation or an ambiguous relation."""
        version = str(self._ask("/rpc/", "common.server.version", []))
        if not version.startswith(f"{MAJOR}."):
            raise SettingsError(
                _("This is Tryton {version}; crmmail speaks with Tryton {major}.").format(
                    version=clean_line(version, 20), major=f"{MAJOR}.x"
                ),
                next_step=_("Check the server's address."),
            )
        self._relation_type()
        return self._user

    # The mirror

    def changes(self, cursor: str, mirrored: Mirrored) -> Iterator[CrmPage]:
        """As `Crm` says."""
        place = told.cursor(cursor) if cursor else None
        if place is None or place.filling:
            place = place or self._beginning()
            place = yield from self._fill(place)
        yield from self._watch(place, mirrored)

    def _beginning(self) -> Cursor:
        total = int(self._model("party.party", "search_count", [], 0, None))
        return Cursor("accounts", since=self._server_time, swept=self._server_time, total=total)

    def _fill(self, place: Cursor) -> Generator[CrmPage, None, Cursor]:
        """Parties by their id, first those that are accounts, then the relations that make the others contacts."""
        while place.filling == "accounts":
            rows = self._search("party.party", [["id", ">", place.last]], told.PARTY_FIELDS, limit=PAGE)
            page = self._accounts(rows)
            done = place.done + len(page.accounts)
            place = replace(place, last=int(rows[-1]["id"]) if rows else place.last, done=done)
            if len(rows) < PAGE:
                place = replace(place, filling="contacts", last=0)
            yield replace(page, cursor=place.dumps(), progress=(done, max(place.total, done)))
        while place.filling == "contacts":
            bonds = self._bonds([["id", ">", place.last]], limit=PAGE)
            page = CrmPage("", contacts=tuple(self._contacts(bonds)))
            done = place.done + len(page.contacts)
            place = replace(place, last=int(bonds[-1]["id"]) if bonds else place.last, done=done)
            if len(bonds) < PAGE:
                place = replace(place, filling="", last=0)
            yield replace(page, cursor=place.dumps(), progress=(done, max(place.total, done)))
        return place

    def _watch(self, place: Cursor, mirrored: Mirrored) -> Iterator[CrmPage]:
        """What changed, told with the old place until all of it is: only the last page moves on."""
        changed = self._changed_parties(place.since - OVERLAP)
        now = self._server_time
        ids = sorted(changed)
        for start in range(0, len(ids), PAGE):
            some = ids[start : start + PAGE]
            rows = self._search("party.party", [["id", "in", some]], told.PARTY_FIELDS, context=EVEN_INACTIVE)
            page = self._accounts(rows)
            people = tuple(self._contacts(self._bonds([["from_", "in", some]])))
            persons = tuple(person.remote_id for person in people)  # who was an account before is none any more
            yield replace(page, cursor=place.dumps(), contacts=people, gone_accounts=(*page.gone_accounts, *persons))
        further, page = replace(place, since=now), CrmPage("")
        if now - place.swept >= SWEEP_EVERY:
            page, further = self._sweep(mirrored), replace(further, swept=now)
        yield replace(page, cursor=further.dumps(), complete=True)

    def _changed_parties(self, since: float) -> set[int]:
        """Parties made or changed, or whose ways of contact, tax ids or relations were."""
        changed = told.changed_since(since)
        rows = self._search("party.party", [changed], ["id"], context=EVEN_INACTIVE)
        ids = {int(row["id"]) for row in rows}
        for model in ("party.contact_mechanism", "party.identifier"):
            ids |= {int(row["party"]) for row in self._search(model, [changed], ["party"]) if row.get("party")}
        return ids | {int(row["from_"]) for row in self._bonds([changed])}

    def _accounts(self, rows: Sequence[Row]) -> CrmPage:
        """Those of the parties that are accounts; those switched off are gone for us."""
        alive = [row for row in rows if row.get("active", True)]
        ids = [int(row["id"]) for row in alive]
        persons = {told.identifier(bond, "from_") for bond in self._bonds([["from_", "in", ids]])} if ids else set()
        firms = [row for row in alive if told.identifier(row) not in persons]
        mechanisms, taxes = self._mechanisms(firms), self._taxes(firms)
        found = (
            told.account(row, mechanisms.get(told.identifier(row), []), taxes.get(told.identifier(row), []))
            for row in firms
        )
        gone = tuple(told.identifier(row) for row in rows if not row.get("active", True))
        return CrmPage("", accounts=tuple(one for one in found if one), gone_accounts=gone, gone_contacts=gone)

    def _contacts(self, bonds: Sequence[Row]) -> Iterator[RemoteContact]:
        """The persons at the `from` end; one of several companies belongs to the first."""
        company = {told.identifier(bond, "from_"): told.identifier(bond, "to") for bond in reversed(bonds)}
        ids = sorted(int(one) for one in company if one)
        rows = self._search("party.party", [["id", "in", ids]], told.PARTY_FIELDS) if ids else []
        mechanisms = self._mechanisms(rows)
        for row in rows:
            identifier = told.identifier(row)
            if person := told.contact(row, company.get(identifier, ""), mechanisms.get(identifier, [])):
                yield person

    def _mechanisms(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        return self._of_parties("party.contact_mechanism", rows, told.MECHANISM_FIELDS)

    def _taxes(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        return self._of_parties("party.identifier", rows, ["party", "type", "code"])

    def _of_parties(self, model: str, rows: Sequence[Row], fields: list[str]) -> dict[str, list[Row]]:
        ids = [int(row["id"]) for row in rows]
        return told.grouped(self._search(model, [["party", "in", ids]], fields)) if ids else {}

    def _bonds(self, domain: list[Any], limit: int | None = None) -> list[Row]:
        """Relations of our type; none where there is no such type yet."""
        kind = self._relation_type()
        if not kind:
            return []
        return self._search("party.relation.all", [["type", "=", kind], *domain], ["from_", "to"], limit=limit)

    def _sweep(self, mirrored: Mirrored) -> CrmPage:
        """Every id there is against those we have: what is missing is gone, and a person is no account."""
        there = {str(one) for one in self._model("party.party", "search", [], 0, None, None)}
        persons = {told.identifier(bond, "from_") for bond in self._bonds([])}
        accounts, contacts = mirrored()
        return CrmPage(
            "",
            gone_accounts=tuple(sorted(accounts - (there - persons))),
            gone_contacts=tuple(sorted(contacts - (there & persons))),
        )

    # Writing

    def apply(self, ops: Sequence[CrmOp]) -> Iterator[CrmAck]:
        """As `Crm` says."""
        for op in ops:
            try:
                yield CrmAck(op.key, self._apply(op))
            except Rejected as refused:
                yield CrmAck(op.key, error=refused)

    def _apply(self, op: CrmOp) -> str:
        match op:
            case LogEntry():
                return self._log(op)
            case NewAccount():
                return self._create_account(op)
            case NewContact():
                return self._create_contact(op)

    def _log(self, op: LogEntry) -> str:
        """A note, after its files: once the note is there, all of it is."""
        parties = self._search("party.party", [["id", "=", number_of(op.account)]], ["name"])
        same_record(op.account, map(told.identifier, parties))
        if not parties:
            raise missing_record()
        if known := self._noted(op):
            return known
        fault("crm.looked")
        for file in op.attachments:
            made = told.attachment(op, file)
            asked = [[name, "=", made[name]] for name in ("resource", "name", "description")]
            if not self._search("ir.attachment", asked, ["id"]):
                self._create("ir.attachment", made)
        remote_id = self._create("ir.note", told.note(op))
        fault("crm.written")
        return remote_id

    def _noted(self, op: LogEntry) -> str:
        """The id of the note of this message on this account, '' when there is none."""
        key = entry.key_of(op.key)
        pattern = f"%{key}%".replace(
            "\\", "_"
        )  # some databases read it as an escape; what matches besides is sorted out
        asked = [["resource", "=", f"{told.PARTY},{op.account}"], ["message", "like", pattern]]
        found = self._search("ir.note", asked, told.NOTE_FIELDS)
        same_record(op.account, (told.party_of(row.get("resource")) for row in found))
        return next((told.identifier(row) for row in found if entry.key_in(str(row.get("message"))) == key), "")

    def _create_account(self, op: NewAccount) -> str:
        """A party; one of the very same name that is no person is taken for it."""
        name = clean_line(op.account.name, 300)
        rows = self._search("party.party", [["name", "=", name]], ["name"])
        firms = self._accounts(rows).accounts
        return firms[0].remote_id if firms else self._create("party.party", told.new_account(op))

    def _create_contact(self, op: NewContact) -> str:
        """A party with its addresses and its relation to the company; the one that has an address already is it."""
        asked = [["type", "=", "email"], ["value", "in", list(op.contact.addresses)]]
        ways = self._search("party.contact_mechanism", asked, ["party"]) if op.contact.addresses else []
        known = next((told.identifier(row, "party") for row in ways if told.identifier(row, "party")), "")
        remote_id = known or self._create("party.party", told.new_contact(op))
        fault("crm.written")
        if op.account and op.account != remote_id and not self._bonds([["from_", "=", int(remote_id)]]):
            bond = {"from_": int(remote_id), "to": number_of(op.account), "type": self._relation_type(make=True)}
            self._create("party.relation.all", bond)
        return remote_id

    def timeline(self, account: str) -> list[TimelineEntry]:
        """As `Crm` says."""
        resource = f"{told.PARTY},{number_of(account)}"
        rows = self._search("ir.note", [["resource", "=", resource]], told.NOTE_FIELDS)
        same_record(account, (told.party_of(row.get("resource")) for row in rows))
        return sorted(map(told.timeline_entry, rows), key=lambda one: -one.when_ms)

    # Calls

    def _relation_type(self, *, make: bool = False) -> int:
        """The type that makes contacts, 0 where there is none. Raises SettingsError when it must be named."""
        if self._relation is None or (make and not self._relation):
            rows = self._search("party.relation.type", [], ["name"])
            names = {clean_line(str(row.get("name") or ""), 80): int(row["id"]) for row in rows}
            if not self._relation_name and len(names) > 1 and told.RELATION_NAME not in names:
                raise SettingsError(
                    _("This Tryton has several types of relations: {names}.").format(names=", ".join(sorted(names))),
                    next_step=_("Name the one that binds a person to a company: relation."),
                )
            only = next(iter(names)) if len(names) == 1 else told.RELATION_NAME
            wanted = self._relation_name or only
            self._relation = names.get(wanted, 0)
            if make and not self._relation:
                self._relation = int(self._create("party.relation.type", {"name": wanted}))
        return self._relation

    def _search(
        self,
        model: str,
        domain: list[Any],
        fields: list[str],
        *,
        limit: int | None = None,
        context: dict[str, Any] | None = None,
    ) -> list[Row]:
        """Rows by id. Raises Transient for an answer that is no list of rows."""
        rows = self._model(model, "search_read", domain, 0, limit, [["id", "ASC"]], fields, context=context)
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "id" in row for row in rows):
            raise Transient(_("The CRM's answer makes no sense."))
        return rows

    def _create(self, model: str, values: dict[str, Any]) -> str:
        made = self._model(model, "create", [values], repeatable=False)
        if not isinstance(made, list) or len(made) != 1 or not isinstance(made[0], int):
            raise Transient(_("The CRM did not say whether it took the entry; crmmail looks again."))
        return str(made[0])

    def _model(
        self, model: str, method: str, *params: Any, repeatable: bool = True, context: dict[str, Any] | None = None
    ) -> Any:
        """One call of a model's method, signed in. A session that ran out is renewed once."""
        fresh = not self._session
        if fresh:
            self._sign_in()
        asked = (f"model.{model}.{method}", [*params, context or {}])
        try:
            return self._ask(self._database, *asked, session=self._session, repeatable=repeatable)
        except _SignedOut:
            if fresh:
                raise bad_keys() from None
            self._sign_in()
        try:
            return self._ask(self._database, *asked, session=self._session, repeatable=repeatable)
        except _SignedOut:
            raise bad_keys() from None

    def _sign_in(self) -> None:
        given = [self._user, _Veiled(password=self._password), language()]
        try:
            told_session = self._ask(self._database, "common.db.login", given)
        except _SignedOut:
            raise bad_keys() from None
        except Rejected as refused:
            if refused.reason == "LoginException":
                raise bad_keys(reason="LoginException") from None
            raise
        if not isinstance(told_session, list) or len(told_session) < 2:
            raise Transient(_("The CRM's answer makes no sense."))
        ticket = f"{self._user}:{told_session[0]}:{told_session[1]}"
        self._session = Secret(base64.b64encode(ticket.encode()).decode())

    def _ask(
        self, path: str, method: str, params: list[Any], *, session: Secret | None = None, repeatable: bool = False
    ) -> Any:
        """One call. Raises _SignedOut for a session or password that is refused."""
        headers = {"Authorization": Secret(f"Session {session}")} if session else {}
        body = {"id": 1, "method": method, "params": params}
        answer = self._wire.call("POST", path, json=body, headers=headers, repeatable=repeatable)
        if answer.status == 401:
            raise _SignedOut
        if answer.status in (403, 404):
            raise _unreachable(path, method, answer.status)
        if answer.status >= 300:
            raise refusals.refusal(answer.status, decoded(answer.body), answer.headers)
        payload = answer.json()
        self._server_time = server_time(answer.headers) or self._clock()
        if payload.get("error") is not None:
            raise told.refusal(payload["error"])
        return payload.get("result")


class _SignedOut(Exception):
    """The server does not know the session, or not the password."""


class _Veiled(dict[str, Any]):
    """Parameters that hold the password: crash screens show local variables by their repr."""

    def __repr__(self) -> str:
        return "{***}"


def _unreachable(path: str, method: str, status: int) -> Rejected | SettingsError:
    if status == 404:
        return SettingsError(
            _("There is no such database on this Tryton server, or it is an older one than 8."),
            next_step=_("Check the address and the name of the database."),
        )
    return Rejected(
        _("This user may not use {method} in Tryton.").format(method=clean_line(method, 80)),
        next_step=_("Ask its administrator for the permission to read and write parties and notes."),
        status=status,
        reason="forbidden",
    )
