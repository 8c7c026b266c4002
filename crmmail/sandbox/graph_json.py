"""Graph v1.0 shapes: a stored message or folder as the JSON of the API, and its errors. No I/O."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from crmmail.sandbox import mime
from crmmail.sandbox.fields import header
from crmmail.sandbox.http import Response
from crmmail.sandbox.mailbox import Mailbox, Message, Place

BODY_FIELDS = frozenset({"body", "uniqueBody"})
ON_REQUEST = frozenset({"internetMessageHeaders", "uniqueBody"})  # only when $select names them
FIELDS = (
    *("id", "createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "receivedDateTime", "sentDateTime"),
    *("hasAttachments", "internetMessageId", "subject", "bodyPreview", "importance", "parentFolderId"),
    *("conversationId", "conversationIndex", "isDeliveryReceiptRequested", "isReadReceiptRequested", "isRead"),
    *("isDraft", "webLink", "inferenceClassification", "body", "sender", "from", "toRecipients", "ccRecipients"),
    *("bccRecipients", "replyTo", "flag", "internetMessageHeaders", "uniqueBody"),
)
FOLDER_FIELDS = (
    *("id", "displayName", "parentFolderId", "childFolderCount", "unreadItemCount", "totalItemCount", "isHidden"),
)
MAPI = {"0x1042": "In-Reply-To", "0x1039": "References", "0x1035": "Message-ID"}
NEED_PARTS = frozenset({"body", "uniqueBody", "bodyPreview", "hasAttachments"})


class Problem(Exception):
    """A request the API answers with an error."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def error(status: int, code: str, message: str, **headers: str) -> Response:
    """An error answer in Graph's shape."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    request_id = str(uuid.uuid4())
    inner = {"date": now, "request-id": request_id, "client-request-id": request_id}
    return Response.of({"error": {"code": code, "message": message, "innerError": inner}}, status, **headers)


def bad(code: str, message: str, status: int = 400, **headers: str) -> Problem:
    """A Problem with this code."""
    return Problem(error(status, code, message, **headers))


def missing() -> Problem:
    """404 as Exchange says it."""
    return bad("ErrorItemNotFound", "The specified object was not found in the store.", 404)


def stamp(ms: float) -> str:
    """Milliseconds since the epoch as Graph writes a moment (whole seconds)."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "0001-01-01T00:00:00Z"


def person(name: str, address: str) -> dict[str, Any]:
    """A recipient."""
    return {"emailAddress": {"name": name or address, "address": address}}


def people(raw: bytes, name: str) -> list[dict[str, Any]]:
    """The recipients in a header."""
    return [person(*pair) for pair in mime.raw_addresses(raw, name)]


def opaque(prefix: str, text: str) -> str:
    """A long id that says nothing."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=24).digest()
    return prefix + base64.urlsafe_b64encode(digest).decode() + "AAA="


def change_key(message: Message) -> str:
    """The version of a message."""
    return base64.b64encode(message.sequence.to_bytes(12, "big")).decode()


def message(
    mailbox: Mailbox, stored: Message, wanted: Iterable[str] = (), *, immutable: bool, text_body: bool = False
) -> dict[str, Any]:
    """The message resource, all default fields or the `wanted` ones; `text_body` asks for plain text bodies."""
    chosen = tuple(wanted) or tuple(name for name in FIELDS if name not in ON_REQUEST)
    raw = stored.raw
    identity = mailbox.id_of(stored.key, immutable=immutable)
    shown: dict[str, Any] = {"@odata.etag": f'W/"{change_key(stored)}"', "id": identity}
    parts = _part_fields(raw, text_body=text_body) if NEED_PARTS.intersection(chosen) else {}
    for name in chosen:
        if name in parts:
            shown[name] = parts[name]
        elif name in MAKERS:
            shown[name] = MAKERS[name](mailbox, stored, raw)
    if "webLink" in chosen:
        shown["webLink"] = f"https://outlook.example/mail/{identity}"
    for name in ("from", "sender"):
        if shown.get(name, True) is None:
            del shown[name]  # mail without a sender has neither
    return shown


Make = Callable[[Mailbox, Message, bytes], Any]


def _received(_mailbox: Mailbox, stored: Message, _raw: bytes) -> str:
    return stamp(stored.received_ms)


def _changed(mailbox: Mailbox, stored: Message, _raw: bytes) -> str:
    return stamp(mailbox.clock() * 1000 if stored.generation else stored.received_ms)


def _sent(_mailbox: Mailbox, stored: Message, raw: bytes) -> str:
    said = mime.date(header(raw, b"Date"))
    return said.strftime("%Y-%m-%dT%H:%M:%SZ") if said else stamp(stored.received_ms)


def _subject(_mailbox: Mailbox, _stored: Message, raw: bytes) -> str:
    return mime.decode_header(mime.as_text(header(raw, b"Subject").encode("latin-1"), "utf-8"))


def _conversation(mailbox: Mailbox, stored: Message, _raw: bytes) -> str:
    return opaque("AAQkAG", f"{mailbox.address}{mailbox.thread_of(stored.key)}")


def _conversation_index(mailbox: Mailbox, stored: Message, _raw: bytes) -> str:
    thread = str(mailbox.thread_of(stored.key)).encode()
    return base64.b64encode(hashlib.blake2b(thread, digest_size=22).digest()).decode()


def _people(name: str) -> Make:
    return lambda _mailbox, _stored, raw: people(raw, name)


def _sender(*names: str) -> Make:
    return lambda _mailbox, _stored, raw: next((found[0] for name in names if (found := people(raw, name))), None)


MAKERS: dict[str, Make] = {
    "createdDateTime": _received,
    "lastModifiedDateTime": _changed,
    "changeKey": lambda _mailbox, stored, _raw: change_key(stored),
    "categories": lambda _mailbox, stored, _raw: list(stored.categories),
    "receivedDateTime": _received,
    "sentDateTime": _sent,
    "internetMessageId": lambda _mailbox, _stored, raw: header(raw, b"Message-ID"),
    "subject": _subject,
    "importance": lambda _mailbox, stored, raw: stored.importance or importance(raw),
    "parentFolderId": lambda _mailbox, stored, _raw: stored.folder,
    "conversationId": _conversation,
    "conversationIndex": _conversation_index,
    "isDeliveryReceiptRequested": lambda _mailbox, _stored, _raw: False,
    "isReadReceiptRequested": lambda _mailbox, _stored, raw: bool(header(raw, b"Disposition-Notification-To")),
    "isRead": lambda _mailbox, stored, _raw: "UNREAD" not in stored.labels,
    "isDraft": lambda _mailbox, stored, _raw: "DRAFT" in stored.labels,
    "inferenceClassification": lambda _mailbox, _stored, _raw: "focused",
    "sender": _sender("Sender", "From"),
    "from": _sender("From"),
    "toRecipients": _people("To"),
    "ccRecipients": _people("Cc"),
    "bccRecipients": _people("Bcc"),
    "replyTo": _people("Reply-To"),
    "flag": lambda _mailbox, stored, _raw: {"flagStatus": stored.flag},
    "internetMessageHeaders": lambda _m, _s, raw: [{"name": n, "value": v} for n, v in mime.headers(raw)],
}


def importance(raw: bytes) -> str:
    """low, normal or high, from the headers clients write."""
    said = (header(raw, b"Importance") or header(raw, b"X-Priority")).lower()
    if said.startswith(("high", "1", "2")):
        return "high"
    return "low" if said.startswith(("low", "4", "5")) else "normal"


def _part_fields(raw: bytes, *, text_body: bool) -> dict[str, Any]:
    parts = list(mime.leaves(mime.parse(raw)))
    kind, content = mime.body(parts)
    if text_body and kind == "html":
        plain = mime.body_leaf(parts, "text/plain")
        kind, content = "text", plain.text if plain else mime.html_to_text(content)
    shown = {"contentType": kind, "content": content}
    return {
        "body": shown,
        "uniqueBody": shown,
        "bodyPreview": mime.preview(parts, 255),
        "hasAttachments": any(leaf.attached and not (leaf.inline or leaf.content_id) for leaf in parts),
    }


def folder(mailbox: Mailbox, place: Place, wanted: Iterable[str] = ()) -> dict[str, Any]:
    """The mailFolder resource."""
    total, unread = mailbox.counts(place.id)
    children = [one for one in mailbox.places.values() if one.parent == place.id and not one.hidden]
    every: dict[str, Any] = {
        "id": place.id,
        "displayName": place.name,
        "parentFolderId": place.parent or place.id,
        "childFolderCount": len(children),
        "unreadItemCount": unread,
        "totalItemCount": total,
        "isHidden": place.hidden,
    }
    chosen = tuple(wanted)
    shown = {name: value for name, value in every.items() if name == "id" or not chosen or name in chosen}
    if place.search:
        kept = {"isSupported": True, "includeNestedFolders": True, "sourceFolderIds": [], "filterQuery": ""}
        shown = {"@odata.type": "#microsoft.graph.mailSearchFolder", **shown, **(kept if not chosen else {})}
    return shown


def attachment_id(number: str) -> str:
    """A Graph attachment id; stable while the message is."""
    return "AAMkAttach" + base64.urlsafe_b64encode(f"part:{number}:".encode()).decode()


def attachment(leaf: mime.Leaf, moment: str, *, content: bool) -> dict[str, Any]:
    """The fileAttachment or itemAttachment resource, with its bytes when `content`."""
    item = leaf.content_type == "message/rfc822"
    shown: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.itemAttachment" if item else "#microsoft.graph.fileAttachment",
        "@odata.mediaContentType": leaf.content_type,
        "id": attachment_id(leaf.number),
        "lastModifiedDateTime": moment,
        "name": leaf.name or (_item_name(leaf) if item else "attachment"),
        "contentType": None if item else leaf.content_type,
        "size": len(leaf.content),
        "isInline": bool(leaf.inline or leaf.content_id),
    }
    if not item:
        shown |= {"contentId": leaf.content_id or None, "contentLocation": None}
        if content:
            shown["contentBytes"] = base64.b64encode(leaf.content).decode()
    return shown


def _item_name(leaf: mime.Leaf) -> str:
    return mime.first(mime.headers(leaf.content), "Subject") or "message"
