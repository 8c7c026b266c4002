"""A message too large for one request to Graph: fields first, then attachments one by one, the large ones in ranges.

What this way changes, for Graph takes no MIME here: of a text in two versions only the HTML one goes (Exchange writes
the plain one itself), a forwarded message goes as the file it is, and boundaries and header order are the server's.
In-Reply-To and References are refused as headers and go as the MAPI properties they become (providers.md §2.4).
"""

from __future__ import annotations

import base64
import email
import email.message
import email.policy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from crmmail.errors import Rejected, Transient
from crmmail.i18n import _
from crmmail.remotes import TOKEN_HEADER, Progress, refusals
from crmmail.remotes.graph_calls import Calls
from crmmail.remotes.http import Answer, decoded

ATTACHED_AT_ONCE = 2_900_000
"""Bytes of an attachment that fit one JSON request of 4 MB as base64; from 3 MB on only a session is allowed."""
RANGE = 10 * 327_680  # below 4 MB, a multiple of 320 KiB
PATIENCE = 4  # failures in a row without a byte more
_RECIPIENTS = {"toRecipients": "To", "ccRecipients": "Cc", "bccRecipients": "Bcc", "replyTo": "Reply-To"}
_PROPERTIES = {"In-Reply-To": "String 0x1042", "References": "String 0x1039"}
_LOOSE = email.policy.compat32.clone(linesep="\r\n", max_line_length=None)


@dataclass(frozen=True, slots=True)
class Piece:
    """An attachment on its way."""

    name: str
    content_type: str
    content: bytes
    content_id: str = ""


def assemble(calls: Calls, mime: bytes, found: Mapping[str, Any], progress: Progress | None) -> dict[str, Any]:
    """Make a draft of `mime`, going on with `found` ({}: none), an earlier try that was interrupted. The message."""
    resource, pieces = taken_apart(mime)
    total = sum(len(piece.content) for piece in pieces)
    told, have = dict(found), 0
    if told:
        have = _kept(calls, told, pieces)
    if not told or have < 0:
        told, have = calls.change("POST", "/me/messages", json=resource), 0
    if not told.get("id"):
        raise Transient(_("The server's answer was cut off or makes no sense."))
    done = sum(len(piece.content) for piece in pieces[:have])
    for piece in pieces[have:]:
        start = done

        def report(part: int, before: int = start) -> None:
            if progress is not None:
                progress(before + part, total)

        _attach(calls, str(told["id"]), piece, report)
        done += len(piece.content)
        report(len(piece.content))
    return told


def taken_apart(mime: bytes) -> tuple[dict[str, Any], list[Piece]]:
    """A message of our own as Graph's message resource, and its attachments in order."""
    message = email.message_from_bytes(mime, policy=email.policy.default)
    text = message.get_body(("html", "plain"))
    resource: dict[str, Any] = {
        "subject": str(message["Subject"] or ""),
        "body": {"contentType": "text", "content": ""},
        "internetMessageHeaders": [{"name": TOKEN_HEADER, "value": str(message[TOKEN_HEADER] or "")}],
    }
    if text is not None:
        resource["body"] = {"contentType": _kind(text), "content": _text(text)}
    if message["From"]:
        resource["from"] = _people(message, "From")[0]
    if message["Message-ID"]:
        resource["internetMessageId"] = str(message["Message-ID"]).strip()
    resource |= {name: found for name, header in _RECIPIENTS.items() if (found := _people(message, header))}
    properties = [
        {"id": tag, "value": " ".join(str(message[header]).split())}
        for header, tag in _PROPERTIES.items()
        if message[header]
    ]
    if properties:
        resource["singleValueExtendedProperties"] = properties
    return resource, [_piece(part) for part in _attached(email.message_from_bytes(mime, policy=_LOOSE))]


def _kind(part: email.message.Message) -> str:
    return "html" if part.get_content_type() == "text/html" else "text"


def _text(part: email.message.Message) -> str:
    content = part.get_payload(decode=True)
    return content.decode(part.get_content_charset("utf-8"), "replace") if isinstance(content, bytes) else ""


def _people(message: email.message.EmailMessage, header: str) -> list[dict[str, Any]]:
    value = message[header]
    return [
        {"emailAddress": {"name": one.display_name or one.addr_spec, "address": one.addr_spec}}
        for one in (value.addresses if value else ())
    ]


def _attached(message: email.message.Message) -> Iterator[email.message.Message]:
    """The parts that are files: every leaf with a file name, and attached messages."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, email.message.Message):
                yield from _attached(part)
    elif message.get_content_disposition() == "attachment" or message.get_content_type() == "message/rfc822":
        yield message


def _piece(part: email.message.Message) -> Piece:
    from email.header import decode_header, make_header

    name = str(make_header(decode_header(part.get_filename() or ""))) or _("message") + ".eml"
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        inner = part.get_payload(0)
        content = inner.as_bytes(policy=_LOOSE) if isinstance(inner, email.message.Message) else b""
    else:
        decoded_content = part.get_payload(decode=True)
        content = decoded_content if isinstance(decoded_content, bytes) else b""
    return Piece(name, part.get_content_type(), content, str(part.get("Content-ID") or "").strip().strip("<>"))


# Attachments


def _kept(calls: Calls, told: Mapping[str, Any], pieces: Sequence[Piece]) -> int:
    """How many of `pieces` an interrupted draft already has; -1 when it has something else and is no beginning.

    By name and order: an attachment is there whole or not at all, and the size Graph tells is not its length.
    """
    path = f"/me/messages/{quote(str(told['id']), safe='=')}/attachments?$top=500&$select=name,size"
    listed = calls.get(path).get("value") or ()
    names = [str(one.get("name") or "") for one in listed if isinstance(one, Mapping)]
    return len(names) if names == [piece.name for piece in pieces[: len(names)]] else -1


def _attach(calls: Calls, message: str, piece: Piece, report: Callable[[int], None]) -> None:
    path = f"/me/messages/{quote(message, safe='=')}/attachments"
    if len(piece.content) > ATTACHED_AT_ONCE:
        _in_ranges(calls, path, piece, report)
        return
    resource: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": piece.name,
        "contentType": piece.content_type,
        "contentBytes": base64.b64encode(piece.content).decode(),
    }
    if piece.content_id:
        resource |= {"isInline": True, "contentId": piece.content_id}
    calls.change("POST", path, json=resource)


def _in_ranges(calls: Calls, path: str, piece: Piece, report: Callable[[int], None]) -> None:
    """One attachment by an upload session. Its address holds the right to write: our token stays away from it."""
    size = len(piece.content)
    item = {"attachmentType": "file", "name": piece.name, "size": size, "contentType": piece.content_type}
    place = str(calls.change("POST", f"{path}/createUploadSession", json={"AttachmentItem": item}).get("uploadUrl"))
    done, failures = 0, 0
    while done < size:
        if failures > PATIENCE:
            raise Transient(_("The upload was interrupted; it starts again."))
        end = min(done + RANGE, size)
        told = {"Content-Range": f"bytes {done}-{end - 1}/{size}", "Content-Type": "application/octet-stream"}
        before = done
        try:
            answer = _passed(calls.unsigned("PUT", place, piece.content[done:end], told))
            if answer.status == 201 or (answer.status == 200 and end == size):
                return
            done = min(_expected(answer), size - 1)
        except Transient as error:
            calls.rest(min(error.retry_after or 2.0 ** (failures - 1), 8.0))
            done = _asked(calls, place, before)
        failures = 0 if done > before else failures + 1
        report(done)


def _passed(answer: Answer) -> Answer:
    """The answer, unless it is a refusal. 416 means that the server is at another place than we thought."""
    if answer.status < 300:
        return answer
    if answer.status in (404, 409, 410, 416):  # of the session, not of the message
        raise Transient(_("The upload was interrupted; it starts again."), status=answer.status)
    raise refusals.refusal(answer.status, decoded(answer.body), answer.headers)


def _asked(calls: Calls, place: str, before: int) -> int:
    """Where to go on. Raises Transient when the session is over: whether by its last range, the next try finds out."""
    try:
        return _expected(_passed(calls.unsigned("GET", place)))
    except Transient as error:
        if error.status in (404, 410):
            raise
        return before


def _expected(answer: Answer) -> int:
    """The first byte the server has not got."""
    ranges = answer.json().get("nextExpectedRanges") or ["0-"]
    found = re.match(r"\d{1,12}", str(ranges[0]))
    if not found:
        raise Rejected(_("The server's answer was cut off or makes no sense."), status=answer.status)
    return int(found[0])
