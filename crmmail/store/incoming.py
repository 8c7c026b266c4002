"""What a remote tells, made ready for the tables before the write lock is taken: parsing, compressing, indexing."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from crmmail.errors import places
from crmmail.model import Address, Body, Headers, Incoming, Parsed, State
from crmmail.store import codec

SHOWN_RECIPIENTS = 5
MAX_REFERENCES = 100
_INT64 = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """An Incoming as columns. `packed`, `words` None: it brought neither raw nor headers."""

    remote_id: str
    state: State | None
    received_ms: int
    thread: int | None  # None: found by its references, within the transaction
    keys: tuple[int, ...]  # its own Message-ID first, then its references, as numbers
    subject: str
    sender: str
    sender_email: str
    recipients: str
    snippet: str
    message_id: str
    remote_thread: str
    has_attachments: bool
    size: int
    raw: bytes | None
    packed: bytes | None
    words: tuple[str, str, str, str] | None
    told: tuple[Headers, tuple[str, ...]] | None  # headers and warnings, for whoever asks whose it is


def prepare(mailbox: str, incoming: Incoming) -> Prepared:
    """`incoming` parsed, compressed and cut into columns. Never raises for what a message contains."""
    parsed = _read(incoming)
    headers = parsed.headers if parsed else incoming.headers
    body = parsed.body if parsed else None
    known = headers or Headers()
    attachments = any(not item.inline for item in body.attachments) if body else incoming.has_attachments
    identifiers = (known.message_id, *known.references[-MAX_REFERENCES:], known.in_reply_to)
    return Prepared(
        remote_id=codec.storable(incoming.remote_id),
        state=incoming.state,
        received_ms=min(max(incoming.received_ms, -_INT64), _INT64),
        thread=codec.number_of(mailbox, "thread", incoming.remote_thread) if incoming.remote_thread else None,
        keys=tuple(codec.number_of(mailbox, "id", item) for item in identifiers if item),
        subject=codec.storable(known.subject),
        sender=codec.storable(known.sender.name or known.sender.email),
        sender_email=codec.storable(known.sender.email),
        recipients=codec.storable(_names(known.to + known.cc)),
        snippet=codec.storable((parsed.snippet if parsed else "") or incoming.snippet),
        message_id=codec.storable(known.message_id),
        remote_thread=codec.storable(incoming.remote_thread),
        has_attachments=attachments,
        size=min(max(incoming.size or (parsed.size if parsed else 0), 0), _INT64),
        raw=None if incoming.raw is None else zlib.compress(incoming.raw, 6),
        packed=codec.pack(headers, body) if headers else None,
        words=codec.indexed(headers, body) if headers else None,
        told=(headers, body.flags if body else ()) if headers else None,
    )


def _read(incoming: Incoming) -> Parsed | None:
    if incoming.raw is None:
        return None
    from crmmail.mail.parse import parse

    try:
        return parse(incoming.raw)
    except Exception as error:  # noqa: BLE001 - one unreadable message must not stop its page; it is kept raw
        what = (len(incoming.raw), type(error).__name__, places(error))
        logging.getLogger(__name__).error("a message of %d bytes could not be parsed: %s at %s", *what)
        return Parsed(incoming.headers or Headers(), Body("", flags=("unreadable",)), "", len(incoming.raw))


def _names(people: Iterable[Address]) -> str:
    names = [person.name or person.email for person in people]
    shown = ", ".join(names[:SHOWN_RECIPIENTS])
    return f"{shown}, …" if len(names) > SHOWN_RECIPIENTS else shown
