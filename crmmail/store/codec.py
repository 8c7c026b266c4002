"""Values of the model ↔ columns. What cannot be decoded raises Damaged."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from crmmail import ops
from crmmail.model import (
    Address,
    Attachment,
    Body,
    Capabilities,
    Delta,
    Draft,
    Enclosure,
    Headers,
    Identity,
    Link,
    State,
)
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


def unpack_headers(packed: bytes) -> tuple[Headers, tuple[str, ...]]:
    """The headers and the body's warnings of what `pack` packed, in half the time."""
    return _decoded(_unpacked_headers, zlib.decompress(packed))


def _unpacked_headers(text: bytes) -> tuple[Headers, tuple[str, ...]]:
    headers, body = json.loads(text)
    return _headers(headers), tuple(body.get("flags", ())) if body else ()


def _headers(plain: Mapping[str, Any]) -> Headers:
    people = {name: tuple(Address(**item) for item in plain[name]) for name in ("reply_to", "to", "cc", "bcc")}
    return _fields(Headers, plain, sender=Address(**plain["sender"]), **people)


def _unpacked(text: bytes) -> tuple[Headers, Body | None]:
    headers, body = json.loads(text)
    whole = _headers(headers)
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


def readable(columns: str, texts: frozenset[str]) -> str:
    """`columns` for a SELECT that no flipped bit breaks: Python refuses a row for one text that is no UTF-8."""
    names = columns.split(", ")
    return ", ".join(f"CAST({name} AS BLOB)" if name in texts else name for name in names)


def decoded(row: Iterable[Any], keep: frozenset[int] = frozenset()) -> list[Any]:
    """A row read through `readable`, bytes as text again but for the places in `keep`; what is broken fits no hash."""
    return [
        item.decode("utf-8", "replace") if isinstance(item, bytes) and place not in keep else item
        for place, item in enumerate(row)
    ]


_OF_THE_ROW = ("id", "mailbox", "remote_id", "saved_ms", "revision")  # what the columns of a draft's row say of it


def draft_text(draft: Draft) -> str:
    """What the user wrote, without where it stands."""
    plain = _plain(draft)
    for name in _OF_THE_ROW:
        del plain[name]
    return json.dumps(plain, separators=(",", ":"))


def text_draft(text: str, **row: Any) -> Draft:
    """The Draft stored as `text`; `row`: what its columns say."""
    return _decoded(lambda given: _draft(json.loads(given), row), text)


def _draft(plain: Mapping[str, Any], row: Mapping[str, Any]) -> Draft:
    people = {name: tuple(Address(**item) for item in plain[name]) for name in ("to", "cc", "bcc")}
    enclosures = tuple(Enclosure(**item) for item in plain["enclosures"])
    return _fields(Draft, plain, **people, enclosures=enclosures, **row)


def identities_text(identities: Iterable[Identity]) -> str:
    """Identities as they are stored."""
    return json.dumps([_plain(one) for one in identities], separators=(",", ":"))


def text_identities(text: str) -> list[Identity]:
    """The identities stored as `text`."""
    return _decoded(lambda given: [_identity(plain) for plain in json.loads(given)], text)


def _identity(plain: Mapping[str, Any]) -> Identity:
    return _fields(Identity, plain, address=Address(**plain["address"]))
