"""The addresses of ours, as the servers told them last: known also when they cannot be reached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from crmmail.model import Address, Identity, Mailbox
from crmmail.store import codec, mailboxes
from crmmail.store.faults import Damaged


def keep(connection: sqlite3.Connection, mailbox: str, told: Iterable[Identity]) -> None:
    """Take over a mailbox's identities."""
    connection.execute(
        "INSERT OR REPLACE INTO identity(mailbox, content) VALUES (?, ?)", (mailbox, codec.identities_text(told))
    )


def known(connection: sqlite3.Connection, mailbox: str) -> list[Identity]:
    """Those of a mailbox ('': of all registered ones, in the user's order), the default one of each first."""
    told = dict(connection.execute("SELECT mailbox, content FROM identity").fetchall())
    found = [one for one in mailboxes.registered(connection) if mailbox in ("", one.id)]
    return [identity for one in found for identity in _of(one, told)]


def _of(mailbox: Mailbox, told: Mapping[str, str]) -> list[Identity]:
    """What was told of a mailbox; where that is nothing, or unreadable, the address it is connected with."""
    try:
        identities = codec.text_identities(told.get(mailbox.id, "[]"))
    except Damaged:
        identities = []
    if not identities:
        return [Identity(mailbox.id, Address(mailbox.name, mailbox.address), default=True)]
    return sorted(identities, key=lambda one: not one.default)
