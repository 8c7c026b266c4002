"""SharpSpring's JSON as our nouns and back. Pure.

Errors come in HTTP 200, on two levels: of the whole call (`error` is an object) and of single objects (`error` is a
list, and each object's result has its own). Standard fields come escaped for HTML, a company's own fields do not.
Sources: Constant Contact knowledge base 50374, 50570 (codes), 50889 (leads), 50891 (accounts), 54792 (notes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from crmmail.crm import domains, entry
from crmmail.crm.model import LogEntry, NewAccount, NewContact, RemoteAccount, RemoteContact, TimelineEntry
from crmmail.errors import CursorExpired, Rejected, RemoteError, Transient
from crmmail.i18n import _
from crmmail.mail.text import clean_line, clean_text
from crmmail.remotes.crm import bad_keys

STAMP = "%Y-%m-%d %H:%M:%S"
NOTHING_CHANGED, EXISTS = 302, (213, 301)
_KEYS = (103, 104, 105)
_DAILY, _TOO_FAST, _UNKNOWN = 106, 107, 999
DAY_WAIT = 3600.0  # seconds; the day's calls come back at midnight UTC, so we look every hour
_ESCAPED = re.compile(r"&(amp|lt|gt|quot|apos|#0?39|#x27);")
_PLAIN = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "#39": "'", "#039": "'", "#x27": "'"}
_OWN_FIELD = re.compile(r"_[0-9a-f]{8,}$")  # the system name of a company's own field ends in a hash
_SHOWN = {"industry": "industry", "billingCity": "city", "billingState": "state"}
SENT_LIMIT = 500  # characters of a field we send


# Errors


def refusal(error: Mapping[str, Any]) -> RemoteError:
    """What one error object means."""
    code = error.get("code")
    code = code if isinstance(code, int) else int(code) if isinstance(code, str) and code.isdigit() else 0
    said = clean_line(str(error.get("message") or ""), 200)
    reason = str(code)
    if code in _KEYS:
        return bad_keys(200, reason)
    if code == _DAILY:
        sentence = _("The CRM's calls for today are used up; it goes on tomorrow.")
        return Transient(sentence, status=200, reason=reason, retry_after=DAY_WAIT)
    if code == _TOO_FAST:
        return Transient(_("The CRM asks us to slow down."), status=200, reason=reason, retry_after=1.0)
    if code == _UNKNOWN:
        sentence = _("The CRM has a problem: {sentence}").format(sentence=said)
        return Transient(sentence, status=200, reason=reason)
    sentence = _("The CRM refused: {sentence} (code {code})").format(sentence=said or "?", code=code)
    return Rejected(sentence, status=200, reason=reason)


def whole_error(payload: Mapping[str, Any]) -> RemoteError | None:
    """The error of the whole call, None where there is none or where it is told object by object.

    A list beside results is theirs; but what an object is told of keys or limits concerns everything.
    """
    error = payload.get("error")
    if isinstance(error, Mapping):
        return refusal(error)
    if isinstance(error, list):
        told = [refusal(one) for one in error if isinstance(one, Mapping)]
        general = [one for one in told if not isinstance(one, Rejected)]
        if general:
            return general[0]
        if told and not isinstance(payload.get("result"), Mapping):
            return told[0]
    elif error:
        return refusal({"message": str(error)})
    return None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one object: its id, or the error. Both empty: nobody knows."""

    remote_id: str = ""
    error: RemoteError | None = None
    code: int = 0
    done: bool = False


def written(payload: Mapping[str, Any], key: str) -> Written:
    """The result of a call that wrote one object; `key` is creates or updates."""
    result = payload.get("result")
    items = result.get(key) if isinstance(result, Mapping) else None
    item = items[0] if isinstance(items, list) and items and isinstance(items[0], Mapping) else {}
    error = item.get("error")
    listed = payload.get("error")
    if not error and isinstance(listed, list) and listed:
        error = listed[0]  # told in the list alone: believe the worse of the two
    if isinstance(error, Mapping):
        told = refusal(error)
        code = int(told.reason or 0)
        return Written(error=None if code == NOTHING_CHANGED else told, code=code, done=code == NOTHING_CHANGED)
    if item.get("success") is False:
        return Written(error=refusal({}))
    return Written(remote_id=_id(item.get("id")), done=item.get("success") is True)


def rows(payload: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """The rows of an answer, under whichever of `names` they stand; the notes come without a name. Raises Transient."""
    result = payload.get("result")
    for name in names:
        if isinstance(result, Mapping) and isinstance(result.get(name), list):
            result = result[name]
    if isinstance(result, Mapping) and not result:
        result = []
    if not isinstance(result, list):
        raise Transient(_("The CRM's answer makes no sense."), status=200)
    return [row for row in result if isinstance(row, Mapping)]


# Reading


def unescaped(text: str) -> str:
    """`text` with the five escapes of HTML undone once: what reads `&amp;amp;` was typed as `&amp;`."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[1]], text)


def line(row: Mapping[str, Any], name: str, limit: int = 300) -> str:
    """A standard field as one clean line, '' for none."""
    value = row.get(name)
    return clean_line(unescaped(str(value)), limit) if value is not None else ""


def _id(value: Any) -> str:
    text = str(value if value is not None else "").strip()
    return text if text.isdigit() and int(text) else ""


def identifier(row: Mapping[str, Any], name: str = "id") -> str:
    """An id in a row, '' where it is none."""
    return _id(row.get(name))


def account(row: Mapping[str, Any], owners: Mapping[str, str], labels: Mapping[str, str]) -> RemoteAccount | None:
    """An account, None for a row that is none. `owners`: user id → name; `labels`: own fields' system name → label."""
    remote_id, name = identifier(row), line(row, "accountName")
    if not remote_id or not name:
        return None
    website = line(row, "website", 500)
    domain = domains.of_website(website)
    fields = [(label, line(row, name)) for name, label in _SHOWN.items()]
    own = [name for name in row if isinstance(name, str) and (name in labels or _OWN_FIELD.search(name))]
    fields += [
        (labels.get(name, _OWN_FIELD.sub("", name)), clean_line(str(row[name]), 300))
        for name in sorted(own)
        if row[name]
    ]
    return RemoteAccount(
        remote_id,
        name,
        domains=(domain,) if domain else (),
        website=website,
        phone=line(row, "phone", 80),
        owner=owners.get(identifier(row, "ownerID"), ""),
        fields=tuple((label, value) for label, value in fields if value),
    )


def contact(row: Mapping[str, Any]) -> RemoteContact | None:
    """A lead, None for a row that is none: an unknown id may be answered with an empty lead."""
    remote_id = identifier(row)
    address = line(row, "emailAddress").lower()
    name = clean_line(f"{line(row, 'firstName')} {line(row, 'lastName')}")
    if not remote_id or not (address or name):
        return None
    phones = (line(row, key, 80) for key in ("phoneNumber", "officePhoneNumber", "mobilePhoneNumber"))
    return RemoteContact(
        remote_id,
        identifier(row, "accountID"),
        name or address,
        addresses=(address,) if "@" in address else (),
        phones=tuple(dict.fromkeys(phone for phone in phones if phone)),
        role=line(row, "title"),
    )


def active(row: Mapping[str, Any]) -> bool:
    """Whether a lead still counts."""
    return str(row.get("active", 1)) not in ("0", "False", "false", "")


def timeline_entry(row: Mapping[str, Any], users: Mapping[str, str]) -> TimelineEntry:
    """A note as it stands on the timeline."""
    text = clean_text(unescaped(str(row.get("note") or "")))
    made = str(row.get("createTimestamp") or row.get("updateTimestamp") or "")
    return TimelineEntry(
        entry.when_in(text) or milliseconds(made),
        users.get(identifier(row, "authorID"), ""),
        line(row, "title"),
        entry.body_in(text),
        entry.key_in(text),
        identifier(row),
    )


def milliseconds(stamp: str) -> int:
    """A time as /v1.2/ tells it (UTC) in ms, 0 for none."""
    try:
        return int(datetime.strptime(stamp, STAMP).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0


def stamp(seconds: float) -> str:
    """A moment as /v1.2/ reads it."""
    return datetime.fromtimestamp(seconds, UTC).strftime(STAMP)


# Writing


def note(log: LogEntry, author: str) -> dict[str, Any]:
    """A log entry as a note on its account and, where there is one, the person it was exchanged with."""
    told: dict[str, Any] = {
        "authorID": author,
        "title": entry.title(log),
        "note": entry.note(log),
        "whatID": log.account,
        "whatType": "account",
    }
    return told | ({"whoID": log.contacts[0], "whoType": "lead"} if log.contacts else {})


def new_account(op: NewAccount, author: str) -> dict[str, Any]:
    """What createAccounts is given."""
    made = op.account
    website = made.website or (f"https://{made.domains[0]}" if made.domains else "")
    told = {"accountName": made.name, "website": website, "phone": made.phone, "ownerID": author}
    return {name: clean_line(value, SENT_LIMIT) for name, value in told.items() if value}


def new_contact(op: NewContact, address: str) -> dict[str, Any]:
    """What createLeads is given."""
    first, _space, last = op.contact.name.partition(" ")
    told = {
        "emailAddress": address,
        "firstName": first,
        "lastName": last,
        "title": op.contact.role,
        "phoneNumber": op.contact.phones[0] if op.contact.phones else "",
        "accountID": op.account,
    }
    return {name: clean_line(value, SENT_LIMIT) for name, value in told.items() if value}


# Where we are


@dataclass(frozen=True, slots=True)
class Cursor:
    """Our place. `filling` is accounts or leads while the mirror is first filled, '' afterwards.

    `offset` and `last` (the id before it) are the place in that listing, `since` the server's time our knowledge is of,
    `swept` when we last looked for what is gone. Times in seconds since the epoch, on the server's clock.
    """

    filling: str = ""
    offset: int = 0
    last: str = ""
    since: float = 0.0
    swept: float = 0.0
    done: int = 0

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
        if made.filling not in ("", "accounts", "leads") or not isinstance(made.since, int | float):
            raise ValueError
        return made
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CursorExpired(_("The CRM's mirror is filled anew.")) from None


def names(users: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """User id → name, or address where there is no name."""
    told = {identifier(row): f"{line(row, 'firstName')} {line(row, 'lastName')}".strip() for row in users}
    return {identifier(row): told[identifier(row)] or line(row, "emailAddress") for row in users}
