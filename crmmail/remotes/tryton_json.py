"""Tryton's JSON as our nouns and back. Pure. Paths and values are those of Tryton 8 (trytond.protocols.dispatcher).

A party is a company or a person, and Tryton does not say which. Here a party is a contact when it stands at the `from`
end of a relation of one chosen type (such as "Contact of"), and an account when it does not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crmmail.crm import domains, entry
from crmmail.crm.model import LogEntry, LogFile, NewAccount, NewContact, RemoteAccount, RemoteContact, TimelineEntry
from crmmail.errors import CursorExpired, Rejected, RemoteError, Transient
from crmmail.i18n import _
from crmmail.mail.text import clean_line, clean_text

PARTY = "party.party"
PARTY_FIELDS = ["name", "active"]
MECHANISM_FIELDS = ["party", "type", "value"]
PHONES = ("phone", "mobile")
TAX_IDS = ("br_vat", "br_cnpj", "br_cpf", "eu_vat")  # a CNPJ is br_vat since Tryton 6.8
NOTE_FIELDS = ["message", "create_date", "create_uid.rec_name", "resource"]
RELATION_NAME = "Contact of"
"""What the relation type is called that we make where there is none."""


def refusal(error: Any) -> RemoteError:
    """What an `error` in an answer of 200 means: a list, its first item the kind, the rest the words."""
    kind = clean_line(str(error[0]), 80) if isinstance(error, list) and error else clean_line(str(error), 80)
    words = error[1] if isinstance(error, list) and len(error) > 1 else ""
    said = words[0] if isinstance(words, list) and words else words
    sentence = clean_line(str(said or kind), 200)
    if kind in ("ConcurrencyException", "LockError") or "OperationalError" in kind:
        return Transient(_("The CRM has a problem: {sentence}").format(sentence=sentence), status=200, reason=kind)
    return Rejected(_("The CRM refused: {sentence}").format(sentence=sentence), status=200, reason=kind)


def identifier(row: Mapping[str, Any], name: str = "id") -> str:
    """An id in a row, '' where there is none."""
    value = row.get(name)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else ""


def grouped(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows by the party they belong to."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(identifier(row, "party"), []).append(row)
    return found


def _values(mechanisms: Iterable[Mapping[str, Any]], *kinds: str) -> list[str]:
    found = (clean_line(str(row.get("value") or ""), 300) for row in mechanisms if row.get("type") in kinds)
    return list(dict.fromkeys(value for value in found if value))


def account(
    row: Mapping[str, Any], mechanisms: Sequence[Mapping[str, Any]], taxes: Sequence[Mapping[str, Any]]
) -> RemoteAccount | None:
    """A party as an account, None for a row that is none."""
    remote_id = identifier(row)
    if not remote_id:
        return None
    addresses = [value.lower() for value in _values(mechanisms, "email") if "@" in value]
    websites = _values(mechanisms, "website")
    found = dict.fromkeys(domains.of_website(site) for site in websites)
    codes = [str(tax.get("code") or "") for kind in TAX_IDS for tax in taxes if tax.get("type") == kind]
    return RemoteAccount(
        remote_id,
        clean_line(str(row.get("name") or ""), 300) or (addresses[0] if addresses else f"#{remote_id}"),
        domains=tuple(domain for domain in found if domain),
        tax_id=next(("".join(filter(str.isalnum, code)).upper() for code in codes), ""),
        website=websites[0] if websites else "",
        phone=next(iter(_values(mechanisms, *PHONES)), ""),
        addresses=tuple(addresses),
    )


def contact(row: Mapping[str, Any], company: str, mechanisms: Sequence[Mapping[str, Any]]) -> RemoteContact | None:
    """A party as a contact of `company`, None for a row that is none."""
    remote_id = identifier(row)
    if not remote_id:
        return None
    addresses = tuple(value.lower() for value in _values(mechanisms, "email") if "@" in value)
    name = clean_line(str(row.get("name") or ""), 300) or next(iter(addresses), f"#{remote_id}")
    return RemoteContact(remote_id, company, name, addresses, tuple(_values(mechanisms, *PHONES)))


def party_of(resource: Any) -> str:
    """The id of the party a note or a file hangs on, '' for anything else."""
    model, _comma, number = str(resource or "").partition(",")
    return number if model == PARTY and number.isdigit() else ""


def timeline_entry(row: Mapping[str, Any]) -> TimelineEntry:
    """A note as it stands on the timeline; its first line heads it."""
    text = clean_text(str(row.get("message") or ""))
    head, _newline, rest = text.partition("\n")
    author = row.get("create_uid.")
    who = author.get("rec_name") if isinstance(author, Mapping) else ""
    when = entry.when_in(rest.lstrip("\n")) or milliseconds(row.get("create_date"))
    return TimelineEntry(
        when, clean_line(str(who or ""), 200), clean_line(head, 300), entry.body_in(rest), entry.key_in(text),
        identifier(row),
    )  # fmt: skip


def note(log: LogEntry) -> dict[str, Any]:
    """A log entry as a note on its account. Tryton's notes have no title: it is the first line."""
    return {"resource": f"{PARTY},{log.account}", "message": f"{entry.title(log)}\n\n{entry.note(log)}"}


def attachment(log: LogEntry, file: LogFile) -> dict[str, Any]:
    """An attachment of a message, on the same account and under the same key."""
    content = {"__class__": "bytes", "base64": base64.b64encode(file.content).decode()}
    return {
        "resource": f"{PARTY},{log.account}",
        "name": clean_line(file.name, 200) or "attachment",
        "type": "data",
        "data": content,
        "description": entry.KEY_LINE + entry.key_of(log.key),
    }


def new_account(op: NewAccount) -> dict[str, Any]:
    """A party for an account of ours."""
    made = op.account
    website = made.website or (f"https://{made.domains[0]}" if made.domains else "")
    ways = [("website", website), ("phone", made.phone)]
    return _party(made.name, [(kind, value) for kind, value in ways if value])


def new_contact(op: NewContact) -> dict[str, Any]:
    """A party for a contact of ours."""
    made = op.contact
    ways = [("email", address) for address in made.addresses] + [("phone", phone) for phone in made.phones]
    return _party(made.name, ways)


def _party(name: str, ways: Sequence[tuple[str, str]]) -> dict[str, Any]:
    rows = [{"type": kind, "value": clean_line(value, 300)} for kind, value in ways]
    return {"name": clean_line(name, 300), **({"contact_mechanisms": [["create", rows]]} if rows else {})}


# Times


def moment(seconds: float) -> dict[str, Any]:
    """A moment as Tryton's JSON has it (UTC)."""
    at = datetime.fromtimestamp(seconds, UTC)
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{part: getattr(at, part) for part in parts}}


def milliseconds(value: Any) -> int:
    """A moment of Tryton's JSON in ms, 0 for none."""
    if not isinstance(value, Mapping):
        return 0
    try:
        numbers = [int(value[part]) for part in ("year", "month", "day", "hour", "minute", "second")]
        return int(datetime(*numbers, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]  # six numbers
    except (KeyError, ValueError, TypeError):
        return 0


def changed_since(seconds: float) -> list[Any]:
    """The condition for rows made or changed since then; a row never changed has no write_date."""
    return ["OR", [["create_date", ">=", moment(seconds)]], [["write_date", ">=", moment(seconds)]]]


# Where we are


@dataclass(frozen=True, slots=True)
class Cursor:
    """Our place. While `filling` (accounts or contacts), `last` is the highest id told.

    `since` and `swept` are times of the server in seconds, as in sharpspring_json.
    """

    filling: str = ""
    last: int = 0
    since: float = 0.0
    swept: float = 0.0
    done: int = 0
    total: int = 0

    def dumps(self) -> str:
        """As it is stored."""
        return json.dumps({"v": 1, **asdict(self)}, separators=(",", ":"))


def cursor(text: str) -> Cursor:
    """The cursor that was stored. Raises CursorExpired."""
    try:
        plain = json.loads(text)
        if plain.pop("v") != 1:
            raise ValueError
        made = replace(Cursor(), **plain)
        if made.filling not in ("", "accounts", "contacts") or not isinstance(made.since, int | float):
            raise ValueError
        return made
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CursorExpired(_("The CRM's mirror is filled anew.")) from None
