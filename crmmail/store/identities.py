"""The addresses of ours, as the servers told them last: known also when they cannot be reached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from crmmail.model import Address, Identity, Mailbox
from crmmail.store import codec, mailboxes
from crmmail.store.faults import Damaged

OWN = "own:"  # before a mailbox's name: what the user set, beside what its server told


def keep(connection: sqlite3.Connection, mailbox: str, told: Iterable[Identity]) -> None:
    """Take over a mailbox's identities."""
    connection.execute(
        "INSERT OR REPLACE INTO identity(mailbox, content) VALUES (?, ?)", (mailbox, codec.identities_text(told))
    )


def keep_own(connection: sqlite3.Connection, mailbox: str, own: Sequence[Identity]) -> bool:
    """Take over what the user set for a mailbox, the one of its own address first; whether that was new."""
    text = codec.identities_text(own) if own else ""
    row = connection.execute("SELECT content FROM identity WHERE mailbox = ?", (OWN + mailbox,)).fetchone()
    if text == (row[0] if row else ""):
        return False
    if text:
        connection.execute("INSERT OR REPLACE INTO identity(mailbox, content) VALUES (?, ?)", (OWN + mailbox, text))
    else:
        connection.execute("DELETE FROM identity WHERE mailbox = ?", (OWN + mailbox,))
    return True


def known(connection: sqlite3.Connection, mailbox: str) -> list[Identity]:
    """Those of a mailbox ('': of all registered ones, in the user's order), the default one of each first."""
    told = dict(connection.execute("SELECT mailbox, content FROM identity").fetchall())
    found = [one for one in mailboxes.registered(connection) if mailbox in ("", one.id)]
    return [identity for one in found for identity in _of(one, told)]


def _of(mailbox: Mailbox, told: Mapping[str, str]) -> list[Identity]:
    """What was told of a mailbox, or the address it is connected with; over that what the user set."""
    identities = _read(told.get(mailbox.id, "[]"))
    own = _read(told.get(OWN + mailbox.id, "[]"))
    if not identities:
        identities = [Identity(mailbox.id, Address("" if own else mailbox.name, mailbox.address), default=True)]
    return overlaid(sorted(identities, key=lambda one: not one.default), own)


def _read(text: str) -> list[Identity]:
    try:
        return codec.text_identities(text)
    except Damaged:
        return []  # unreadable: asked again at the next synchronisation, or set again at the next start


def overlaid(told: Sequence[Identity], own: Sequence[Identity]) -> list[Identity]:
    """`told` with the names the user set, and the further addresses; one signature of the user's counts for all."""
    if not own:
        return list(told)
    by_email = {one.address.email.casefold(): one for one in own}
    signature = own[0].signature
    merged = [_named(one, by_email.pop(one.address.email.casefold(), None), signature) for one in told]
    return merged + [replace(one, default=False) for one in by_email.values()]


def _named(told: Identity, own: Identity | None, signature: str) -> Identity:
    name = own.address.name if own is not None else ""
    return replace(
        told,
        address=Address(name or told.address.name, told.address.email),
        signature=signature or told.signature,
    )
