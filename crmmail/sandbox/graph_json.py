"""Graph v1.0 shapes: a stored message or folder as the JSON of the API, and its errors. No I/O."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterable
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
    every = _plain_fields(mailbox, stored, raw) | {
        "id": identity,
        "webLink": f"https://outlook.example/mail/{identity}",
    }
    if NEED_PARTS.intersection(chosen):
        every |= _part_fields(raw, text_body=text_body)
    if "internetMessageHeaders" in chosen:
        every["internetMessageHeaders"] = [{"name": name, "value": value} for name, value in mime.headers(raw)]
    shown = {"@odata.etag": f'W/"{change_key(stored)}"', "id": identity}
    return shown | {name: every[name] for name in chosen if name in every}


def _plain_fields(mailbox: Mailbox, stored: Message, raw: bytes) -> dict[str, Any]:
    senders = people(raw, "From")
    draft = "DRAFT" in stored.labels
    received = stamp(stored.received_ms)
    sent = mime.date(header(raw, b"Date"))
    thread = str(mailbox.thread_of(stored.key))
    shown: dict[str, Any] = {
        "createdDateTime": received,
        "lastModifiedDateTime": stamp(mailbox.clock() * 1000) if stored.generation else received,
        "changeKey": change_key(stored),
        "categories": list(stored.categories),
        "receivedDateTime": received,
        "sentDateTime": sent.strftime("%Y-%m-%dT%H:%M:%SZ") if sent else received,
        "internetMessageId": header(raw, b"Message-ID"),
        "subject": mime.decode_header(mime.as_text(header(raw, b"Subject").encode("latin-1"), "utf-8")),
        "importance": stored.importance or importance(raw),
        "parentFolderId": stored.folder,
        "conversationId": opaque("AAQkAG", mailbox.address + thread),
        "conversationIndex": base64.b64encode(hashlib.blake2b(thread.encode(), digest_size=22).digest()).decode(),
        "isDeliveryReceiptRequested": False,
        "isReadReceiptRequested": bool(header(raw, b"Disposition-Notification-To")),
        "isRead": "UNREAD" not in stored.labels,
        "isDraft": draft,
        "inferenceClassification": "focused",
        "toRecipients": people(raw, "To"),
        "ccRecipients": people(raw, "Cc"),
        "bccRecipients": people(raw, "Bcc"),
        "replyTo": people(raw, "Reply-To"),
        "flag": {"flagStatus": stored.flag},
    }
    if senders:
        shown |= {"from": senders[0], "sender": (people(raw, "Sender") or senders)[0]}
    return shown


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
