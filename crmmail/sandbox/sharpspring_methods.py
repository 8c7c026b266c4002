"""The methods of SharpSpring's Open API over the tables. A method answers (result, error) or raises Refusal."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from crmmail.sandbox.sharpspring_tables import ACCOUNT_FIELDS, CUSTOM_FIELD, LEAD_FIELDS, Row, Tables, since

COMPANY_ZONE = -3  # hours: what /v1/ tells times in
MOST_OBJECTS = 500
LONGEST_NOTE = 65_535
STAMP = "%Y-%m-%d %H:%M:%S"
ENTITIES = ("lead", "opportunity", "account")
NOTE_FIELDS = ("id", "authorID", "title", "note", "pinned", "whatID", "whatType", "whoID", "whoType")
STANDARD = {*ACCOUNT_FIELDS, *LEAD_FIELDS, *NOTE_FIELDS}
Answer = tuple[Any, Any]


class Refusal(Exception):
    """An error of the whole call, or of one object in it."""

    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def told(self) -> Row:
        """As the API writes it."""
        return {"code": self.code, "message": self.message, "data": self.data or []}


@dataclass(slots=True)
class Work:
    """What one call works on. `note` writes an effect into the sandbox's ledger."""

    tables: Tables
    note: Callable[..., None]
    offset_hours: int = 0

    def stamp(self, seconds: float) -> str:
        """A moment as the API writes it."""
        return datetime.fromtimestamp(seconds, timezone(timedelta(hours=self.offset_hours))).strftime(STAMP)

    def seconds(self, text: Any) -> float:
        """A moment as the API reads it. Raises Refusal."""
        try:
            moment = datetime.strptime(str(text), STAMP)  # noqa: DTZ007 - the zone follows
        except ValueError:
            raise Refusal(205, "Invalid parameters.", params="date") from None
        return (moment.replace(tzinfo=UTC) - timedelta(hours=self.offset_hours)).timestamp()


def perform(work: Work, method: str, params: Any) -> Answer:
    """Do what `method` says. Raises Refusal for what concerns the whole call."""
    if not isinstance(params, dict):
        raise Refusal(205, "Invalid parameters.")
    known = METHODS.get(method)
    if known is None:
        raise Refusal(204, "Invalid method signature.")
    return known(work, params)


# Reading


def _fields(work: Work, row: Row, names: Iterable[str]) -> Row:
    """A row as it is answered: every value a text, standard fields escaped for HTML, own ones as they are."""
    told = {name: _text(row.get(name), name in STANDARD) for name in names}
    told |= {name: _text(value, False) for name, value in row.items() if name == CUSTOM_FIELD}
    return told | {"createTimestamp": work.stamp(row["_created"]), "updateTimestamp": work.stamp(row["_updated"])}


def _text(value: Any, escaped: bool) -> Any:
    if value is None:
        return None
    return html.escape(str(value)) if escaped else str(value)


def _page(params: Row, rows: Sequence[Row]) -> Sequence[Row]:
    limit, offset = params.get("limit"), params.get("offset")
    limit = MOST_OBJECTS if limit is None else limit
    offset = 0 if offset is None else offset
    if not (isinstance(limit, int) and isinstance(offset, int)) or offset < 0:
        raise Refusal(205, "Invalid parameters.")
    return rows[offset : offset + min(limit, MOST_OBJECTS)]


def _where(params: Row, allowed: Sequence[str]) -> tuple[str, list[str]]:
    """The one key `where` may have with its values; ('', []) for all rows."""
    where = params.get("where")
    if where is None:
        raise Refusal(206, "Missing parameters.", params="where")
    if not where:
        return "", []
    if not isinstance(where, dict) or len(where) != 1 or next(iter(where)) not in allowed:
        raise Refusal(205, "Invalid parameters.", params=list(where))
    key, value = next(iter(where.items()))
    return key, [str(one).lower() for one in (value if isinstance(value, list) else [value])]


def _listing(kind: str, name: str, keys: Sequence[str], names: Sequence[str]) -> Callable[[Work, Row], Answer]:
    def method(work: Work, params: Row) -> Answer:
        key, wanted = _where(params, keys)
        rows = list(getattr(work.tables, kind).values())
        if key:
            rows = [row for row in rows if str(row.get(key) or "").lower() in wanted]
        elif kind == "leads":
            rows = [row for row in rows if row.get("active")]
        return {name: [_fields(work, row, names) for row in _page(params, rows)]}, None

    return method


def _range(kind: str, name: str, names: Sequence[str]) -> Callable[[Work, Row], Answer]:
    def method(work: Work, params: Row) -> Answer:
        if lacking := [key for key in ("startDate", "endDate", "timestamp") if not params.get(key)]:
            raise Refusal(206, "Missing parameters.", params=lacking)
        if params["timestamp"] not in ("create", "update"):
            raise Refusal(205, "Invalid parameters.", params="timestamp")
        start, end = work.seconds(params["startDate"]), work.seconds(params["endDate"])
        # The API counts in whole seconds, so the last one is in the range to its end.
        rows = since(getattr(work.tables, kind).values(), params["timestamp"], start, end + 0.999_999)
        return {name: [_fields(work, row, names) for row in _page(params, rows)]}, None

    return method


def _single(kind: str, name: str, names: Sequence[str]) -> Callable[[Work, Row], Answer]:
    def method(work: Work, params: Row) -> Answer:
        row = getattr(work.tables, kind).get(_number(params.get("id")))
        return {name: [] if row is None else [_fields(work, row, names)]}, None

    return method


def _number(value: Any) -> int:
    return int(value) if str(value if value is not None else "").isdigit() else 0


def user_profiles(work: Work, params: Row) -> Answer:
    """getUserProfiles: `where` takes several keys here."""
    where = params.get("where") or {}
    names = ("id", "firstName", "lastName", "emailAddress", "isActive")
    rows = [
        row
        for row in work.tables.users.values()
        if all(str(row.get(key) or "").lower() == str(value).lower() for key, value in where.items())
    ]
    return {"userProfile": [{name: _text(row[name], True) for name in names} for row in _page(params, rows)]}, None


def fields(_work: Work, params: Row) -> Answer:
    """getFields: the fields of a company's own, for it has some."""
    _where(params, ("isCustom", "relationship", "id"))
    rows = [{"id": "1", "systemName": name, "label": name, "isCustom": "0"} for name in sorted(STANDARD)]
    rows.append({"id": "901", "systemName": CUSTOM_FIELD, "label": "Porte da empresa", "isCustom": "1"})
    return {"field": list(_page(params, rows))}, None


def events(_work: Work, params: Row) -> Answer:
    """getEvents: what the product's own mail synchronisation logs is not told, and nothing else happens here."""
    _where(params, ("leadID", "createTimestamp"))
    return {"events": []}, None


def _notes_of(entity: str) -> Callable[[Work, Row], Answer]:
    who = "who" if entity == "lead" else "what"

    def method(work: Work, params: Row) -> Answer:
        identifier = _number(params.get("id"))
        if not identifier:
            raise Refusal(206, "Missing parameters.", params="id")
        rows = [
            row
            for row in work.tables.notes.values()
            if row.get(f"{who}Type") == entity and _number(row.get(f"{who}ID")) == identifier
        ]
        return [_fields(work, row, NOTE_FIELDS) for row in rows], None

    return method


# Writing


def _each(params: Row, key: str, one: Callable[[Row], Row]) -> Answer:
    """Do `one` for every object; each has its own result, and errors are told a second time as a list."""
    objects = params.get("objects")
    if objects is None:
        raise Refusal(207, "Missing objects array.")
    if not isinstance(objects, list):
        raise Refusal(208, "Object is malformed (expected array, got scalar).")
    if len(objects) > MOST_OBJECTS:
        raise Refusal(209, "Attempting to execute an excess amount of queries.")
    results, errors = [], []
    for item in objects:
        try:
            if not isinstance(item, dict):
                raise Refusal(208, "Object is malformed (expected array, got scalar).")
            results.append({"success": True, "error": None, **one(item)})
        except Refusal as refusal:
            results.append({"success": False, "error": refusal.told()})
            errors.append(refusal.told())
    return {key: results}, errors or None


def create_accounts(work: Work, params: Row) -> Answer:
    def one(item: Row) -> Row:
        if not item.get("accountName"):
            raise Refusal(206, "Missing parameters.", params=["accountName"])
        identifier = work.tables.add("accounts", _taken(item, ACCOUNT_FIELDS))
        work.note("account", identifier, name=item["accountName"])
        return {"id": identifier}

    return _each(params, "creates", one)


def create_leads(work: Work, params: Row) -> Answer:
    def one(item: Row) -> Row:
        address = str(item.get("emailAddress") or "")
        if "@" not in address:
            raise Refusal(205, "Invalid parameters.", params=["emailAddress"])
        if work.tables.lead_of(address) is not None:
            raise Refusal(301, "Entry already exists", params=[address])
        account = _number(item.get("accountID"))
        if account and account not in work.tables.accounts:
            raise Refusal(303, "Foreign key constraint failed.", params=["accountID"])
        row = {"active": 1, **_taken(item, LEAD_FIELDS)} | ({"accountID": account} if account else {})
        identifier = work.tables.add("leads", row)
        work.note("lead", identifier, address=address, account=account)
        return {"id": identifier}

    return _each(params, "creates", one)


def _taken(item: Row, names: Sequence[str]) -> Row:
    return {name: item[name] for name in (*names, CUSTOM_FIELD) if name in item and name not in ("id",)}


def _updating(kind: str, names: Sequence[str], *, silent: bool = False) -> Callable[[Work, Row], Answer]:
    """`silent`: an unknown id, or an address that is another's, is a success that changes nothing."""

    def method(work: Work, params: Row) -> Answer:
        def one(item: Row) -> Row:
            identifier = _number(item.get("id"))
            address = str(item.get("emailAddress") or "")
            other = work.tables.lead_of(address) if kind == "leads" and address else None
            if identifier not in getattr(work.tables, kind):
                if silent:
                    return {}
                raise Refusal(214, "Object does not exist.", params=["id"])
            if other is not None and other["id"] != identifier:
                if silent:
                    return {}
                raise Refusal(213, "Object already exists.", params=["emailAddress"])
            if not work.tables.touch(kind, identifier, _taken(item, names)):
                raise Refusal(302, "No table rows affected")
            work.note("update", identifier, kind=kind)
            return {}

        return _each(params, "updates", one)

    return method


def _deleting(kind: str) -> Callable[[Work, Row], Answer]:
    def method(work: Work, params: Row) -> Answer:
        def one(item: Row) -> Row:
            if getattr(work.tables, kind).pop(_number(item.get("id")), None) is None:
                raise Refusal(214, "Object does not exist.", params=["id"])
            work.note("delete", _number(item.get("id")), kind=kind)
            return {}

        return _each(params, "deletes", one)

    return method


def create_notes(work: Work, params: Row) -> Answer:
    def one(item: Row) -> Row:
        if lacking := [name for name in ("authorID", "note") if not item.get(name)]:
            raise Refusal(206, "Missing parameters.", params=lacking)
        if _number(item["authorID"]) not in work.tables.users:
            raise Refusal(214, "Object does not exist.", params=["authorID"])
        bound = [_bound(work, item, side) for side in ("who", "what")]
        if not any(bound):
            raise Refusal(206, "Missing parameters.", params=["whoID", "whatID"])
        if len(str(item["note"])) > LONGEST_NOTE:
            raise Refusal(205, "Invalid parameters.", params=["note"])
        identifier = work.tables.add("notes", _taken(item, NOTE_FIELDS))
        work.note("note", identifier, note=str(item["note"]), **{k: item.get(k) for k in ("whoID", "whatID", "title")})
        return {"id": identifier}

    return _each(params, "creates", one)


def _bound(work: Work, item: Row, side: str) -> bool:
    """Whether the note hangs on something on this side (`who`, `what`). Raises Refusal for what is not there."""
    identifier, kind = item.get(f"{side}ID"), item.get(f"{side}Type")
    if not identifier:
        return False
    if kind not in ENTITIES:
        raise Refusal(205, "Invalid parameters.", params=[f"{side}Type"])
    rows = work.tables.leads if kind == "lead" else work.tables.accounts
    if _number(identifier) not in rows:
        raise Refusal(220 if kind == "lead" else 214, f"Invalid {side}ID.", params=[f"{side}ID"])
    return True


METHODS: dict[str, Callable[[Work, Row], Answer]] = {
    "getAccounts": _listing("accounts", "account", ("id", "ownerID"), ACCOUNT_FIELDS),
    "getAccountsDateRange": _range("accounts", "account", ACCOUNT_FIELDS),
    "getAccount": _single("accounts", "account", ACCOUNT_FIELDS),
    "createAccounts": create_accounts,
    "updateAccounts": _updating("accounts", ACCOUNT_FIELDS),
    "deleteAccounts": _deleting("accounts"),
    "getLeads": _listing("leads", "lead", ("id", "emailAddress"), LEAD_FIELDS),
    "getLeadsDateRange": _range("leads", "lead", LEAD_FIELDS),
    "getLead": _single("leads", "lead", LEAD_FIELDS),
    "createLeads": create_leads,
    "updateLeads": _updating("leads", LEAD_FIELDS, silent=True),
    "updateLeadsV2": _updating("leads", LEAD_FIELDS),
    "deleteLeads": _deleting("leads"),
    "getUserProfiles": user_profiles,
    "getFields": fields,
    "getEvents": events,
    "createNotes": create_notes,
    "deleteNotes": _deleting("notes"),
    "getAccountNotes": _notes_of("account"),
    "getContactNotes": _notes_of("lead"),
}
