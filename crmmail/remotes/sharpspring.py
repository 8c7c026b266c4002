"""SharpSpring, sold today as Constant Contact's Lead Gen & CRM: accounts and leads mirrored, mail logged as notes.

There is no search by name, so the mirror is the only place to search. It is kept by ranges of dates: each round asks
for what changed since a little before the last one, so that a change may be told twice and is never missed. Deleted
rows are told by nobody: once a day the ids there are, are compared with the ids we have.
What the product's own mail synchronisation logs can be neither read nor written here; logging is `createNotes`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
    TimelineEntry,
)
from crmmail.errors import Rejected, Transient
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.remotes import refusals
from crmmail.remotes import sharpspring_json as told
from crmmail.remotes.crm import Mirrored, bad_keys, missing_record, number_of, place_of, same_record, server_time
from crmmail.remotes.http import Wire, decoded
from crmmail.remotes.pace import Bucket
from crmmail.remotes.sharpspring_json import Cursor

if TYPE_CHECKING:
    from collections.abc import Mapping

API = "https://api.sharpspring.com/pubapi/v1.2/"
PAGE = 500  # objects of one answer
CALLS_PER_SECOND, BURST = 8.0, 2.0  # together never more than the 10 a second there may be
OVERLAP = 120.0  # seconds asked for twice: clocks of its servers may differ
SWEEP_EVERY = 86_400.0
AHEAD = 86_400.0  # the end of an open range lies this far in the future
RECENT = 7 * 86_400.0  # an account of the same name made since then is the one we meant to make
STEPS_BACK = 3
KINDS = {"accounts": ("getAccounts", "account"), "leads": ("getLeads", "lead")}


class SharpSpring:
    """One company. `keys` are the account id and the secret key; `authors` our own addresses, to sign notes with."""

    capabilities = CrmCapabilities(create_account=True, create_contact=True, log=True, timeline=True)

    def __init__(
        self,
        name: str,
        keys: tuple[str, str],
        *,
        url: str = "",
        ca_file: str | None = None,
        authors: Sequence[str] = (),
        pace: Bucket | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.place = place_of(url or API, keys[0])
        self._keys = {"X-Account-Id": Secret(keys[0]), "Authorization": Secret(f"Bearer {keys[1]}")}
        self._wire = Wire(url or API, None, ca_file)
        self._pace = pace or Bucket(CALLS_PER_SECOND, BURST)
        self._authors = [author.lower() for author in authors]
        self._clock = clock
        self._numbers = iter(range(1, 1_000_000_000))
        self._server_time = 0.0
        self._users: list[Mapping[str, Any]] | None = None
        self._labels: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"SharpSpring({self.name!r}, ***)"

    def close(self) -> None:
        """End all connections and all waiting for the limit."""
        self._pace.stop()
        self._wire.close()

    def check(self) -> str:
        """The name of the user our notes are signed with."""
        return told.names(self._people()).get(self._author(), "") or self.name

    # The mirror

    def changes(self, cursor: str, mirrored: Mirrored) -> Iterator[CrmPage]:
        """As `Crm` says."""
        place = told.cursor(cursor) if cursor else None
        if place is None or place.filling:
            place = place or Cursor(filling="accounts", since=self._now(), swept=self._now())
            place = yield from self._fill(place)
        yield from self._watch(place, mirrored)

    def _fill(self, place: Cursor) -> Generator[CrmPage, None, Cursor]:
        """Both listings from where we stopped; returns the place after them.

        A row that vanished before our place would move the rest up by one: each page begins with the last row of the
        page before, and where it does not, we step back a page.
        """
        back = 0
        while place.filling:
            kind = place.filling
            rows = self._listing(kind, max(0, place.offset - 1) if place.last else place.offset)
            if place.last and place.offset and not any(told.identifier(row) == place.last for row in rows):
                back += 1
                place = replace(place, offset=max(0, place.offset - PAGE) if back <= STEPS_BACK else 0, last="")
                continue
            place = self._further(place, rows)
            page = self._page(kind, rows, place)
            total = place.done + (PAGE if place.filling else 0)
            yield replace(page, progress=(place.done, total))
        return place

    @staticmethod
    def _further(place: Cursor, rows: Sequence[Mapping[str, Any]]) -> Cursor:
        fresh = len(rows) - bool(place.last)
        if len(rows) >= PAGE:
            last = told.identifier(rows[-1])
            return replace(place, offset=place.offset + fresh, last=last, done=place.done + fresh)
        following = "leads" if place.filling == "accounts" else ""
        return replace(place, filling=following, offset=0, last="", done=place.done + fresh)

    def _listing(self, kind: str, offset: int) -> list[Mapping[str, Any]]:
        method, name = KINDS[kind]
        return told.rows(self._call(method, where={}, limit=PAGE, offset=offset), name, kind)

    def _page(self, kind: str, rows: Sequence[Mapping[str, Any]], place: Cursor) -> CrmPage:
        """Rows as nouns; leads that are no longer active are gone for us."""
        if kind == "accounts":
            found = [told.account(row, told.names(self._people()), self._own_fields()) for row in rows]
            return CrmPage(place.dumps(), accounts=tuple(one for one in found if one))
        people = [told.contact(row) for row in rows if told.active(row)]
        gone = [told.identifier(row) for row in rows if not told.active(row)]
        return CrmPage(
            place.dumps(),
            contacts=tuple(one for one in people if one),
            gone_contacts=tuple(one for one in gone if one),
        )

    def _watch(self, place: Cursor, mirrored: Mirrored) -> Iterator[CrmPage]:
        """What changed, told with the old place until all of it is: only the last page moves on."""
        now = self._now()
        start = place.since - OVERLAP
        for kind in KINDS:
            for rows in self._range(kind, start, now + AHEAD):
                if rows:
                    yield self._page(kind, rows, place)
        further = replace(place, since=now)
        page = CrmPage("")
        if now - place.swept >= SWEEP_EVERY:
            page = self._sweep(mirrored)
            further = replace(further, swept=now)
        yield replace(page, cursor=further.dumps(), complete=True)

    def _range(self, kind: str, start: float, end: float) -> Iterator[list[Mapping[str, Any]]]:
        """What was changed from `start` to `end`. A full answer is asked for in halves, not in pages: a row changed
        meanwhile leaves the range, and pages behind it would move up and lose one."""
        rows = self._dated(kind, start, end, "update", 0)
        if len(rows) >= PAGE and end - start > 2:
            latest = min(end, self._server_time) if self._server_time > start else end
            middle = (start + latest) / 2
            yield from self._range(kind, start, middle)
            yield from self._range(kind, middle, end)
            return
        yield rows
        offset = 0
        while len(rows) >= PAGE:  # so many in one second: an import, which is over
            offset += PAGE
            rows = self._dated(kind, start, end, "update", offset)
            yield rows

    def _dated(self, kind: str, start: float, end: float, by: str, offset: int) -> list[Mapping[str, Any]]:
        method, name = KINDS[kind]
        asked = {"startDate": told.stamp(start), "endDate": told.stamp(end), "timestamp": by}
        return told.rows(self._call(f"{method}DateRange", **asked, limit=PAGE, offset=offset), name, kind)

    def _sweep(self, mirrored: Mirrored) -> CrmPage:
        """Everything there is against everything we have: what is missing is gone."""
        there = {kind: self._all_ids(kind) for kind in KINDS}
        accounts, contacts = mirrored()
        return CrmPage(
            "",
            gone_accounts=tuple(sorted(accounts - there["accounts"])),
            gone_contacts=tuple(sorted(contacts - there["leads"])),
        )

    def _all_ids(self, kind: str) -> set[str]:
        """Every id of a kind. Pages overlap by a row, and one that does not is asked for again from further back."""
        ids: set[str] = set()
        offset, last, back = 0, "", 0
        while True:
            rows = self._listing(kind, max(0, offset - 1) if last else offset)
            found = [told.identifier(row) for row in rows]
            if last and last not in found and back < STEPS_BACK:
                offset, last, back = max(0, offset - PAGE), "", back + 1
                continue
            ids.update(found)
            if len(rows) < PAGE:
                return ids - {""}
            offset, last = offset + len(rows) - bool(last), found[-1]

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
        """A note on the account, unless one with this Message-ID is there. The answers must be about what was asked."""
        rows = told.rows(self._call("getAccount", id=number_of(op.account)), "account", "accounts")
        same_record(op.account, map(told.identifier, rows))
        if not rows:
            raise missing_record()
        if known := self._noted(op):
            return known
        fault("crm.looked")
        made = self._written("createNotes", "creates", told.note(op, self._author()))
        fault("crm.written")
        return self._settled(made, lambda: self._noted(op))

    def _noted(self, op: LogEntry) -> str:
        """The id of the note of this message, '' when there is none."""
        if op.contacts:
            notes = told.rows(self._call("getContactNotes", id=number_of(op.contacts[0])), "note", "notes")
            same_record(op.contacts[0], (told.identifier(row, "whoID") for row in notes))
        else:
            notes = told.rows(self._call("getAccountNotes", id=number_of(op.account)), "note", "notes")
            same_record(op.account, (told.identifier(row, "whatID") for row in notes))
        wanted = entry.key_of(op.key)
        texts = ((row, str(row.get("note") or "")) for row in notes)
        found = (row for row, text in texts if wanted in (entry.key_in(told.unescaped(text)), entry.key_in(text)))
        return next((told.identifier(row) for row in found), "")

    def _create_account(self, op: NewAccount) -> str:
        """An account; SharpSpring has no key of ours, so one of the same name made lately is taken for it."""
        wanted = op.account.name.strip().casefold()

        def find() -> str:
            now, offset = self._now(), 0
            while rows := self._dated("accounts", now - RECENT, now + AHEAD, "create", offset):
                same = (row for row in rows if told.line(row, "accountName").casefold() == wanted)
                if row := next(same, None):
                    return told.identifier(row)
                offset += PAGE
            return ""

        if known := find():
            return known
        made = self._written("createAccounts", "creates", told.new_account(op, self._author()))
        return self._settled(made, find)

    def _create_contact(self, op: NewContact) -> str:
        """A lead; its address is its key there, so the one that has it is the one that was meant."""
        address = next(iter(op.contact.addresses), "")
        if not address:
            raise Rejected(_("SharpSpring keeps people by their e-mail address, and this contact has none."))

        def find() -> str:
            rows = told.rows(self._call("getLeads", where={"emailAddress": address}, limit=PAGE, offset=0), "lead")
            same = [row for row in rows if told.line(row, "emailAddress").lower() == address.lower()]
            lead = next((row for row in same if told.identifier(row)), None)
            if lead is None:
                return ""
            if op.account and not told.identifier(lead, "accountID"):
                change = {"id": told.identifier(lead), "accountID": op.account}
                done = self._written("updateLeadsV2", "updates", change)
                if done.error is not None:
                    raise done.error
            return told.identifier(lead)

        if known := find():
            return known
        made = self._written("createLeads", "creates", told.new_contact(op, address))
        known = find() if made.code in told.EXISTS else ""
        return known or self._settled(made, find)

    def _written(self, method: str, key: str, item: dict[str, Any]) -> told.Written:
        return told.written(self._call(method, objects=[item]), key)

    @staticmethod
    def _settled(made: told.Written, find: Callable[[], str]) -> str:
        """The id of what was made. Raises the refusal, and Transient where nobody can say: the next try looks."""
        if made.error is not None:
            raise made.error
        remote_id = made.remote_id or find()
        if not remote_id:
            raise Transient(_("The CRM did not say whether it took the entry; crmmail looks again."))
        return remote_id

    def timeline(self, account: str) -> list[TimelineEntry]:
        """As `Crm` says."""
        notes = told.rows(self._call("getAccountNotes", id=number_of(account)), "note", "notes")
        same_record(account, (told.identifier(row, "whatID") for row in notes))
        people = told.names(self._people())
        return sorted((told.timeline_entry(row, people) for row in notes), key=lambda one: -one.when_ms)

    # Calls

    def _author(self) -> str:
        """The id of the user who signs: the one with one of our addresses, else the first."""
        people = self._people()
        ours = [row for row in people if told.line(row, "emailAddress").lower() in self._authors]
        found = next((told.identifier(row) for row in [*ours, *people] if told.identifier(row)), "")
        if not found:
            raise Rejected(_("There is no active user in SharpSpring to sign the entries with."))
        return found

    def _people(self) -> list[Mapping[str, Any]]:
        if self._users is None:
            self._users = told.rows(self._call("getUserProfiles", where={"isActive": 1}), "userProfile", "userProfiles")
        return self._users

    def _own_fields(self) -> dict[str, str]:
        """The company's own fields: system name → label. They come unescaped, unlike the others."""
        if self._labels is None:
            rows = told.rows(self._call("getFields", where={"isCustom": 1}, limit=PAGE, offset=0), "field", "fields")
            own = [row for row in rows if str(row.get("isCustom")) == "1"]
            self._labels = {str(row.get("systemName")): told.line(row, "label") for row in own}
        return self._labels

    def _now(self) -> float:
        """The server's clock, as its last answer told it."""
        if not self._server_time:
            self._people()
        return self._server_time

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        """One call. Raises the error of the whole call; those of single objects are in the answer."""
        self._pace.take(1.0)
        body = {"method": method, "params": params, "id": str(next(self._numbers))}
        reading = method.startswith("get")
        answer = self._wire.call("POST", "/", json=body, repeatable=reading, headers=self._keys)
        if answer.status == 401:
            raise bad_keys()
        if answer.status >= 300:
            raise refusals.refusal(answer.status, decoded(answer.body), answer.headers)
        payload = answer.json()
        self._server_time = server_time(answer.headers) or self._clock()
        if error := told.whole_error(payload):
            raise error
        if payload.get("id") is not None and str(payload["id"]) != body["id"]:
            raise Transient(_("The CRM's answer belongs to another question."))
        return payload
