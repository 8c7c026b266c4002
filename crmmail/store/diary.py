"""The log of the CRM that is this computer: entries of accounts, as records of the desk, found by their Message-ID."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace

from crmmail.crm import entry
from crmmail.crm.model import TimelineEntry
from crmmail.store import codec, records


def key(account: str, message_id: str) -> str:
    """The key of an account's entry about a message: those of one account stand together."""
    return f"{account}\n{hashlib.sha256(message_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


def keep(connection: sqlite3.Connection, account: str, told: TimelineEntry) -> tuple[str, bool]:
    """Keep an entry unless one of this message is there: (its id, whether it is new)."""
    name = key(account, told.message_id)
    number = name.partition("\n")[2]
    if records.get(connection, records.ENTRY, name) is not None:
        return number, False
    text = codec.storable(json.dumps(asdict(replace(told, remote_id=number)), ensure_ascii=False))
    records.put(connection, records.ENTRY, name, text)
    return number, True


def texts(connection: sqlite3.Connection, account: str) -> dict[str, str]:
    """The records of an account's entries."""
    return records.under(connection, records.ENTRY, f"{account}\n")


def entries(connection: sqlite3.Connection, account: str) -> list[TimelineEntry]:
    """What was kept of an account, newest first, without the line each is found by."""
    found = [TimelineEntry(**json.loads(text)) for text in texts(connection, account).values()]
    return sorted((replace(one, text=entry.body_in(one.text)) for one in found), key=lambda one: -one.when_ms)


def moved(connection: sqlite3.Connection, others: Sequence[str], into: str) -> dict[records.Key, str | None]:
    """The edits that give `into` what was kept of `others`; '' : nobody, they go."""
    wanted: dict[records.Key, str | None] = {}
    for account in others:
        for name, text in texts(connection, account).items():
            wanted[records.ENTRY, name] = None
            if into:
                wanted[records.ENTRY, f"{into}\n{name.partition(chr(10))[2]}"] = text
    return wanted
