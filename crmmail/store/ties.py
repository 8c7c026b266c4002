"""The texts of `bond` rows ↔ `crm.match` values, what makes copies of a message one, and who takes part in which.

Most messages of an account have the same few people, so decoding is nearly always a look into a cache.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache

from crmmail.crm import match
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


# Lines of fields with tabs between, for JSON took a fifth of the time of binding; addresses and ids hold neither.


def people_text(people: People) -> str:
    """Who takes part, as it is stored."""
    fields = ("1" if people.sent else "", people.why or "", people.machine or "")
    return codec.storable("\t".join(fields) + "\n" + "\t".join(people.first) + "\n" + "\t".join(people.others))


@lru_cache(8192)
def text_people(text: str) -> People:
    """The People stored as `text`."""
    if not text:
        return People(why=Ignored.INVALID_SENDER)
    try:
        head, first, others = text.split("\n")
        sent, why, machine = head.split("\t")
        return People(bool(sent), _items(first), _items(others), _why(why), _why(machine))
    except ValueError as error:
        raise Damaged(str(error)) from error


def _items(text: str) -> tuple[str, ...]:
    return tuple(text.split("\t")) if text else ()


def _why(text: str) -> Ignored | None:
    return Ignored(text) if text else None


def evidence_text(evidence: Evidence) -> str:
    """What the people say, as it is stored."""
    lines = (
        f"{evidence.why or ''}\t{evidence.machine or ''}",
        _matches_text(evidence.matches),
        _matches_text(evidence.chosen),
        "\t".join(sorted(evidence.refused)),
    )
    return "\n".join(lines)


@lru_cache(8192)
def text_evidence(text: str) -> Evidence:
    """The Evidence stored as `text`."""
    try:
        head, matches, chosen, refused = text.split("\n")
        why, machine = head.split("\t")
        return Evidence(_matches(matches), _matches(chosen), frozenset(_items(refused)), _why(why), _why(machine))
    except ValueError as error:
        raise Damaged(str(error)) from error


def _matches_text(matches: Sequence[Match]) -> str:
    return "\t".join([f"{one.account} {int(one.reason)} {one.detail}" for one in matches])


def _matches(text: str) -> tuple[Match, ...]:
    found = (one.split(" ", 2) for one in _items(text))
    return tuple(Match(account, Reason(int(reason)), detail) for account, reason, detail in found)


def verdict_text(decision: Decision) -> str:
    """A verdict's matches, or why it is ignored, as it is stored beside its kind."""
    return f"{decision.why or ''}\n{_matches_text(decision.matches)}"


@lru_cache(8192)
def text_verdict(bound: str, text: str) -> Decision:
    """The Decision stored as `text`."""
    try:
        why, matches = text.split("\n")
        return Decision(Bound(bound), _matches(matches), _why(why))
    except ValueError as error:
        raise Damaged(str(error)) from error


# who takes part in which message


@lru_cache(8192)
def reverse(email: str) -> tuple[int, str]:
    """An address as `party_address` holds it: (id, the domain turned round before what stands at it)."""
    local, _at, domain = email.rpartition("@")
    turned = f"{'.'.join(reversed(domain.split('.')))}@{local}"
    return codec.number_of("address", email), codec.storable(turned)


def spellings(turned: str) -> list[tuple[int, str]]:
    """The other rows of `party_address` that mail with this one is found by."""
    domain, _at, local = turned.partition("@")
    email = f"{local}@{'.'.join(reversed(domain.split('.')))}"
    return [reverse(spelt) for spelt in match.spellings(email) if spelt != email]


def named(people: People) -> set[str]:
    """The addresses a message is found by when what is known of one changes: its people's, however they are spelt."""
    return {spelt for email in (*people.first, *people.others) for spelt in match.spellings(email)}


def join(connection: sqlite3.Connection, rows: Iterable[tuple[int, People]]) -> None:
    """Note who takes part in which message."""
    found = [(*reverse(email), number) for number, people in rows for email in named(people)]
    connection.executemany(
        "INSERT OR IGNORE INTO party_address(id, reversed) VALUES (?, ?)", {row[:2] for row in found}
    )
    connection.executemany(
        "INSERT OR IGNORE INTO party(address, message) VALUES (?, ?)", sorted((row[0], row[2]) for row in found)
    )


def part(connection: sqlite3.Connection, rows: Iterable[tuple[int, People]]) -> None:
    """They take part no longer."""
    connection.executemany(
        "DELETE FROM party WHERE address = ? AND message = ?",
        [(reverse(email)[0], number) for number, people in rows for email in named(people)],
    )


def bounds(key: str) -> tuple[tuple[str, str], ...]:
    """The ranges of reversed addresses an address, or an @ and a domain with all below it, stands for."""
    if not key.startswith("@"):
        turned = reverse(key)[1]
        return ((turned, turned),)
    turned = ".".join(reversed(key[1:].split(".")))
    return ((f"{turned}.", f"{turned}.{_LAST}"), (f"{turned}@", f"{turned}@{_LAST}"))
