"""The texts of `bond` rows ↔ `crm.match` values, what makes copies of a message one, and who takes part in which.

Most messages of an account have the same few people, so decoding is nearly always a look into a cache.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache

from crmmail.crm.match import Decision, Evidence, Match, People
from crmmail.crm.model import Bound, Ignored, Reason
from crmmail.store import codec
from crmmail.store.faults import Damaged

_LAST = "\U0010ffff"


def twin(mailbox: str, remote_id: str, message_id: str, sender: str) -> int:
    """The same number for all copies of a message: its Message-ID and sender; without one, for this message alone."""
    if message_id:
        return codec.number_of("twin", message_id, sender.lower())
    return codec.number_of("alone", mailbox, remote_id)


@lru_cache(8192)
def people_text(people: People) -> str:
    """Who takes part, as it is stored."""
    plain = [int(people.sent), people.first, people.others, people.why or "", people.machine or ""]
    return codec.storable(json.dumps(plain, ensure_ascii=False, separators=(",", ":")))


@lru_cache(8192)
def text_people(text: str) -> People:
    """The People stored as `text`."""
    if not text:
        return People(why=Ignored.INVALID_SENDER)
    try:
        sent, first, others, why, machine = json.loads(text)
        return People(bool(sent), tuple(first), tuple(others), _why(why), _why(machine))
    except (ValueError, TypeError) as error:
        raise Damaged(str(error)) from error


def _why(text: str) -> Ignored | None:
    return Ignored(text) if text else None


@lru_cache(8192)
def evidence_text(evidence: Evidence) -> str:
    """What the people say, as it is stored."""
    plain = [
        [_plain(one) for one in evidence.matches],
        [_plain(one) for one in evidence.chosen],
        sorted(evidence.refused),
        evidence.why or "",
        evidence.machine or "",
    ]
    return json.dumps(plain, separators=(",", ":"))


@lru_cache(8192)
def text_evidence(text: str) -> Evidence:
    """The Evidence stored as `text`."""
    try:
        matches, chosen, refused, why, machine = json.loads(text)
        return Evidence(_matches(matches), _matches(chosen), frozenset(refused), _why(why), _why(machine))
    except (ValueError, TypeError) as error:
        raise Damaged(str(error)) from error


def _plain(one: Match) -> list[object]:
    return [one.account, int(one.reason), one.detail]


def _matches(plain: Iterable[Sequence[object]]) -> tuple[Match, ...]:
    return tuple(Match(str(account), Reason(reason), str(detail)) for account, reason, detail in plain)  # type: ignore[arg-type]


@lru_cache(8192)
def verdict_text(decision: Decision) -> str:
    """A verdict's matches, or why it is ignored, as it is stored beside its kind."""
    return json.dumps([[_plain(one) for one in decision.matches], decision.why or ""], separators=(",", ":"))


@lru_cache(8192)
def text_verdict(bound: str, text: str) -> Decision:
    """The Decision stored as `text`."""
    try:
        matches, why = json.loads(text)
        return Decision(Bound(bound), _matches(matches), _why(why))
    except (ValueError, TypeError) as error:
        raise Damaged(str(error)) from error


# who takes part in which message


@lru_cache(8192)
def _reversed(email: str) -> tuple[int, str]:
    local, _at, domain = email.rpartition("@")
    turned = f"{'.'.join(reversed(domain.split('.')))}@{local}"
    return codec.number_of("address", email), codec.storable(turned)


def join(connection: sqlite3.Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Note (message, address) of who takes part in what."""
    found = [(*_reversed(email), number) for number, email in rows]
    connection.executemany(
        "INSERT OR IGNORE INTO party_address(id, reversed) VALUES (?, ?)", {row[:2] for row in found}
    )
    connection.executemany(
        "INSERT OR IGNORE INTO party(address, message) VALUES (?, ?)", sorted((row[0], row[2]) for row in found)
    )


def part(connection: sqlite3.Connection, rows: Iterable[tuple[int, str]]) -> None:
    """Take (message, address) out again."""
    connection.executemany(
        "DELETE FROM party WHERE address = ? AND message = ?",
        [(_reversed(email)[0], number) for number, email in rows],
    )


def bounds(key: str) -> tuple[tuple[str, str], ...]:
    """The ranges of reversed addresses an address, or an @ and a domain with all below it, stands for."""
    if not key.startswith("@"):
        turned = _reversed(key)[1]
        return ((turned, turned),)
    turned = ".".join(reversed(key[1:].split(".")))
    return ((f"{turned}.", f"{turned}.{_LAST}"), (f"{turned}@", f"{turned}@{_LAST}"))
