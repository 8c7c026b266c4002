"""Values of the model ↔ columns. What cannot be decoded raises Damaged."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from crmmail import ops
from crmmail.model import Address, Attachment, Body, Capabilities, Delta, Headers, Link, State
from crmmail.store.faults import Damaged

T = TypeVar("T")
INDEXED_CHARACTERS = 64_000  # of a body; what follows is found by nobody and would be a way to fill the disk
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RecursionError)


def _decoded(work: Callable[[Any], T], value: Any) -> T:
    try:
        return work(value)
    except _UNREADABLE as error:
        raise Damaged(str(error)) from error


@lru_cache(8192)  # a mailbox has few distinct states: 100,000 messages share some dozens
def state_text(state: State) -> str:
    """`state` as it is stored."""
    return ops.dumps(state)


@lru_cache(8192)
def text_state(text: str) -> State:
    """The State stored as `text`."""
    return _decoded(ops.load_state, text)


@lru_cache(8192)
def text_delta(text: str) -> Delta:
    """The Delta stored as `text`."""
    return _decoded(ops.load_delta, text)


def storable(text: str) -> str:
    """`text` without what UTF-8 cannot hold: lone surrogates come out of servers' JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _plain(value: Any) -> Any:
    names = getattr(value, "__dataclass_fields__", None)
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _fields(kind: type[T], plain: Mapping[str, Any], **built: Any) -> T:
    names = kind.__dataclass_fields__  # type: ignore[attr-defined]
    given = {name: tuple(item) if isinstance(item, list) else item for name, item in plain.items() if name in names}
    return kind(**(given | built))


def pack(headers: Headers, body: Body | None) -> bytes:
    """Headers and body as one compressed JSON, so that opening a message is one row."""
    text = json.dumps([_plain(headers), _plain(body)], separators=(",", ":"))
    return zlib.compress(text.encode(), 1)


def unpack(packed: bytes) -> tuple[Headers, Body | None]:
    """What `pack` packed."""
    return _decoded(_unpacked, zlib.decompress(packed))


def _unpacked(text: bytes) -> tuple[Headers, Body | None]:
    headers, body = json.loads(text)
    people = {name: tuple(Address(**item) for item in headers[name]) for name in ("reply_to", "to", "cc", "bcc")}
    whole = _fields(Headers, headers, sender=Address(**headers["sender"]), **people)
    if body is None:
        return whole, None
    links = tuple(_fields(Link, item) for item in body["links"])
    attachments = tuple(_fields(Attachment, item) for item in body["attachments"])
    return whole, _fields(Body, body, links=links, attachments=attachments)


def capabilities_text(can: Capabilities) -> str:
    """`can` as it is stored."""
    return json.dumps(_plain(can), separators=(",", ":"))


def text_capabilities(text: str) -> Capabilities:
    """The Capabilities stored as `text`."""
    return _decoded(lambda plain: _fields(Capabilities, json.loads(plain)), text)


def indexed(headers: Headers, body: Body | None) -> tuple[str, str, str, str]:
    """The words a message is found by: subject, sender, recipients, text.

    The index keeps no copy, and taking a message out needs exactly what was put in: a change here needs a new
    CACHE_VERSION whose step rebuilds the index.
    """
    sender = f"{headers.sender.name} {headers.sender.email}"
    recipients = " ".join(f"{person.name} {person.email}" for person in headers.to + headers.cc + headers.bcc)
    text = ""
    if body is not None:
        names = " ".join(item.name for item in body.attachments)
        text = f"{body.text} {names}"[:INDEXED_CHARACTERS]
    subject, sender, recipients, text = (storable(item) for item in (headers.subject, sender, recipients, text))
    return subject, sender, recipients[:INDEXED_CHARACTERS], text


def number_of(*parts: str, bits: int = 53) -> int:
    """A number that always is the same for the same texts and fits a JSON double."""
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - bits)


def row_hash(*content: object) -> bytes:
    """The seal of a journal row: SQLite itself notices 3 % of flipped bits, this all in the content."""
    return hashlib.sha256(repr(content).encode("utf-8", "replace")).digest()


def no_headers(subject: str, sender: str, email: str) -> tuple[Headers, None]:
    """What can be said of a message whose headers have not come yet."""
    return Headers(subject=subject, sender=Address(sender, email)), None
