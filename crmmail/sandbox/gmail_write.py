"""Gmail API v1: sending, drafts, insert and import, as JSON or through the upload endpoints.

Kept as Gmail does it: the Message-ID is replaced on send, an unverified From is silently replaced too, an update
gives a draft's message a new id, and a thread is joined only when header, subject and `threadId` agree.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import json
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import gmail_json as shapes
from crmmail.sandbox import mime, post
from crmmail.sandbox.fields import header, header_values
from crmmail.sandbox.gmail import (
    COMPOSE,
    COMPOSE_READ,
    INSERT,
    SEND,
    body_of,
    method,
    number,
    page_of,
    read_token,
)
from crmmail.sandbox.gmail_labels import aliases
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import Mailbox, Message

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

MOST_SENT = 36_700_160
MOST_INSERTED = 157_286_400
NO_RAW = "'raw' RFC822 payload message string or uploading message via /upload/* URL required"
Receive = Callable[["Sandbox", Request, Mailbox, dict[str, Any], bytes], Any]


# ---- how mail comes in -------------------------------------------------------------------------------------------


def receiver(scopes: frozenset[str], units: int, name: str, most: int) -> Callable[[Receive], Any]:
    """Make a handler of `receive(sandbox, request, mailbox, resource, raw)`, whatever way the mail came."""

    def wrap(receive: Receive) -> Any:
        @method(scopes, units, name)
        def handle(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
            taken = take(request, mailbox)
            if isinstance(taken, Response):
                return taken
            resource, raw = taken
            if len(raw) > most:
                raise shapes.bad("Message too large", "uploadTooLarge", 413)
            return receive(sandbox, request, mailbox, resource, raw)

        return handle

    return wrap


def take(request: Request, mailbox: Mailbox) -> tuple[dict[str, Any], bytes] | Response:
    """(the resource as sent, the raw message or b''), or the answer to one step of a resumable upload."""
    if "upload/" not in request.path:
        resource = body_of(request)
        holder = resource.get("message") or {} if "/drafts" in request.path else resource
        return resource, raw_of(holder)
    kind = request.one("uploadType") or ("resumable" if request.path.startswith("/resumable/") else "media")
    match kind:
        case "media":
            return {}, request.body
        case "multipart":
            return related(request)
        case "resumable":
            return resume(request, mailbox)
        case _:
            raise shapes.bad(f"Invalid upload type: {kind}", "badRequest")


def raw_of(holder: dict[str, Any]) -> bytes:
    """The decoded `raw` of a Message resource (b'' when it has none). Raises Problem."""
    try:
        return shapes.unb64(str(holder.get("raw") or ""))
    except ValueError:
        raise shapes.bad("Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed") from None


def related(request: Request) -> tuple[dict[str, Any], bytes]:
    """A multipart/related upload: a JSON part, then the message. Raises Problem."""
    whole = b"Content-Type: " + request.header("Content-Type").encode("latin-1", "replace") + b"\r\n\r\n" + request.body
    tree = email.message_from_bytes(whole, policy=email.policy.HTTP)
    parts = list(tree.iter_parts()) if tree.get_content_maintype() == "multipart" else []
    if len(parts) != 2:
        raise shapes.bad("Multipart body must have a metadata part and a media part.")
    boundary = tree.get_boundary() or ""
    pieces = request.body.split(b"--" + boundary.encode())
    media = pieces[2].lstrip(b"\r\n")
    media = media.removesuffix(b"\n").removesuffix(b"\r")  # the line end belongs to the boundary
    ends = [found.end() for found in re.finditer(rb"\r?\n\r?\n", media)]  # some clients end the part's header with LF
    raw = media[ends[0] :] if ends else b""
    try:
        payload = parts[0].get_payload(decode=True)
        metadata = json.loads(payload if isinstance(payload, bytes) and payload.strip() else b"{}")
    except ValueError:
        raise shapes.bad("Invalid JSON payload received.", "parseError") from None
    return dict(metadata), raw


def resume(request: Request, mailbox: Mailbox) -> tuple[dict[str, Any], bytes] | Response:
    """A resumable upload: the first call opens it, the following ones bring the bytes. Raises Problem."""
    identity = request.one("upload_id")
    if not identity:
        identity = secrets.token_urlsafe(24)
        mailbox.uploads[identity] = {"resource": body_of(request), "raw": b""}
        mark = "&" if "?" in request.target else "?"
        location = f"{request.base}{request.target}{mark}upload_id={identity}"
        return Response(200, b"", {"Location": location, "X-GUploader-UploadID": identity})
    upload = mailbox.uploads.get(identity)
    if upload is None:
        raise shapes.missing()
    found = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", request.header("Content-Range"))
    start = int(found.group(1)) if found and found.group(1) else len(upload["raw"])
    if start > len(upload["raw"]):
        raise shapes.bad("The chunk does not follow the last one.", "badRequest")
    upload["raw"] = upload["raw"][:start] + request.body
    total = found.group(3) if found else str(len(upload["raw"]))
    if total == "*" or len(upload["raw"]) < int(total):
        have = {"Range": f"bytes=0-{len(upload['raw']) - 1}"} if upload["raw"] else {}
        return Response(308, b"", have)
    del mailbox.uploads[identity]
    return upload["resource"], upload["raw"]


# ---- sending -----------------------------------------------------------------------------------------------------


def submit(sandbox: Sandbox, mailbox: Mailbox, raw: bytes, thread: str) -> Message:
    """Send a mail; returns its copy in Sent. Raises Problem."""
    if post.is_bare(raw):
        raise shapes.bad(NO_RAW, "invalidArgument")
    to = post.recipients(raw)
    if not to:
        raise shapes.bad("Recipient address required", "invalidArgument")
    if refused := post.refused(sandbox, to):
        raise shapes.bad(f"Invalid To header: {refused}", "invalidArgument")
    raw = post.complete(raw, mailbox)
    changes: dict[str, str | None] = {}
    if sender := replaced_sender(raw, mailbox):
        changes["From"] = sender
    if sandbox.limits.rewrite_message_id or not header(raw, b"Message-ID"):
        changes["Message-ID"] = post.fresh_message_id("mail.gmail.com")
    raw = mime.set_headers(raw, changes)
    labels = {"SENT"} | ({"INBOX", "UNREAD"} if mailbox.address in to else set())
    key = mailbox.add(raw, folder="", labels=labels, thread=joined(mailbox, raw, thread))
    mailbox.announce(key)
    message = mailbox.get(key)
    post.hand_over(sandbox, mailbox, raw, mailbox.id_of(key))
    return message


def hide_for_a_while(sandbox: Sandbox, mailbox: Mailbox, message: Message) -> None:
    """Where sent mail is slow to show: take it out of the mailbox and put it back later."""
    if sandbox.limits.send_lag:
        mailbox.withhold(message)
        sandbox.later(sandbox.limits.send_lag, lambda: mailbox.restore(message))


def replaced_sender(raw: bytes, mailbox: Mailbox) -> str:
    """The From Gmail writes instead of one that is no verified alias; '' when it may stay."""
    usable = {alias["sendAsEmail"].lower(): alias for alias in aliases(mailbox) if verified(alias)}
    said = mime.raw_addresses(raw, "From")
    if said and said[0][1].lower() in usable:
        return ""
    default = next((alias for alias in usable.values() if alias.get("isDefault")), aliases(mailbox)[0])
    return f"{default.get('displayName') or ''} <{default['sendAsEmail']}>".strip()


def verified(alias: dict[str, Any]) -> bool:
    """Whether mail may go out as this alias: the primary one has no status at all."""
    return str(alias.get("verificationStatus", "accepted")) == "accepted"


def joined(mailbox: Mailbox, raw: bytes, thread: str) -> int | None:
    """The key of the thread a mail joins: `threadId` counts only when references and subject agree. Raises Problem."""
    if not thread:
        return None
    try:
        wanted = int(thread, 16)
    except ValueError:
        raise shapes.bad("Invalid thread_id value", "invalidArgument") from None
    inside = [message for message in mailbox.messages.values() if mailbox.thread_of(message.key) == wanted]
    if not inside:
        raise shapes.missing()
    named = set(re.findall(r"<[^<>\s]+>", " ".join(header_values(raw))))
    subject = base_subject(raw)
    for message in inside:
        if header(message.raw, b"Message-ID") in named and base_subject(message.raw) == subject:
            return wanted
    return 0


def base_subject(raw: bytes) -> str:
    """The subject without Re: and Fwd:."""
    subject = mime.first(mime.headers(raw), "Subject")
    return re.sub(r"(?i)^(\s*(re|fwd|fw)\s*:)+", "", subject).strip().lower()


@receiver(SEND, 100, "SendMessage", MOST_SENT)
def send(sandbox: Sandbox, _request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes) -> Any:
    message = submit(sandbox, mailbox, raw, str(resource.get("threadId") or ""))
    answer = shapes.labelled(mailbox, message)
    hide_for_a_while(sandbox, mailbox, message)
    return answer


# ---- insert and import -------------------------------------------------------------------------------------------


def put(request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes, default: str) -> Any:
    """Put a mail there as IMAP APPEND would; the Message-ID stays. Raises Problem."""
    if post.is_bare(raw):
        raise shapes.bad(NO_RAW, "invalidArgument")
    labels = resource.get("labelIds") or []
    for label in labels:
        if label not in mailbox.places or label == "DRAFT":
            raise shapes.bad(f"Invalid label: {label}", "invalidArgument")
    dated = mime.date(header(raw, b"Date"))
    by_header = request.one("internalDateSource", default) == "dateHeader" and dated
    received = int(dated.timestamp() * 1000) if by_header and dated else None
    thread = joined(mailbox, raw, str(resource.get("threadId") or ""))
    key = mailbox.add(raw, folder="", labels=labels, received_ms=received, thread=thread)
    mailbox.announce(key)
    mailbox.note(mailbox.address, "add", mailbox.id_of(key), labels=sorted(labels))
    return shapes.labelled(mailbox, mailbox.get(key))


@receiver(INSERT, 25, "InsertMessage", MOST_INSERTED)
def insert(_sandbox: Sandbox, request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes) -> Any:
    return put(request, mailbox, resource, raw, "receivedTime")


@receiver(INSERT, 25, "ImportMessage", MOST_INSERTED)
def import_message(_sandbox: Sandbox, request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes) -> Any:
    return put(request, mailbox, resource, raw, "dateHeader")


# ---- drafts ------------------------------------------------------------------------------------------------------


def draft_line(mailbox: Mailbox, message: Message) -> dict[str, Any]:
    """A Draft resource around a bare reference."""
    return {"id": message.draft_id, "message": shapes.reference(mailbox, message)}


def store_draft(mailbox: Mailbox, resource: dict[str, Any], raw: bytes, identity: str) -> Message:
    """A new message for a draft. Raises Problem."""
    if post.is_bare(raw):
        raise shapes.bad(NO_RAW, "invalidArgument")
    thread = str((resource.get("message") or {}).get("threadId") or "")
    if not header(raw, b"Message-ID"):
        raw = mime.set_headers(raw, {"Message-ID": post.fresh_message_id("mail.gmail.com")})
    key = mailbox.add(raw, folder="drafts", thread=joined(mailbox, raw, thread))
    message = mailbox.get(key)
    message.draft_id = identity or f"r{key}"
    mailbox.announce(key)
    return message


@receiver(COMPOSE, 10, "CreateDraft", MOST_SENT)
def create_draft(_sandbox: Sandbox, _request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes) -> Any:
    message = store_draft(mailbox, resource, raw, "")
    mailbox.note(mailbox.address, "draft", message.draft_id)
    line = draft_line(mailbox, message)
    return line | {"message": shapes.labelled(mailbox, message)}


@receiver(COMPOSE, 15, "UpdateDraft", MOST_SENT)
def update_draft(_sandbox: Sandbox, request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes) -> Any:
    old = mailbox.draft(request.match["id"])
    mailbox.guard(old.key)
    if not resource.get("message", {}).get("threadId"):
        thread = mailbox.id_of(mailbox.thread_of(old.key))
        resource = {"message": {"threadId": thread if mailbox.thread_of(old.key) != old.key else ""}}
    message = store_draft(mailbox, resource, raw, old.draft_id)  # the inner message id changes at every update
    mailbox.delete(old.key, effect="replace")
    mailbox.note(mailbox.address, "draft", message.draft_id, updated=True)
    return draft_line(mailbox, message) | {"message": shapes.labelled(mailbox, message)}


@method(COMPOSE_READ, 5, "ListDrafts")
def list_drafts(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    start = read_token(request).get("at")
    found = (message for message in mailbox.newest_first(start) if message.draft_id)
    size = number(request, "maxResults", 100, 500)
    page, token = page_of(sandbox, request, found, size, start, lambda message: message.key)
    answer: dict[str, Any] = {"resultSizeEstimate": len(page)}
    if page:
        answer["drafts"] = [draft_line(mailbox, message) for message in page]
    if token:
        answer["nextPageToken"] = token
    return answer


@method(COMPOSE_READ, 20, "GetDraft")
def get_draft(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = mailbox.draft(request.match["id"])
    form = request.one("format", "full").lower()
    return {"id": message.draft_id, "message": shapes.resource(mailbox, message, form)}


@method(COMPOSE, 10, "DeleteDraft")
def delete_draft(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    mailbox.delete(mailbox.draft(request.match["id"]).key)


@receiver(SEND - {"https://www.googleapis.com/auth/gmail.send"}, 100, "SendDraft", MOST_SENT)
def send_draft(sandbox: Sandbox, _request: Request, mailbox: Mailbox, resource: dict[str, Any], raw: bytes) -> Any:
    draft = mailbox.draft(str(resource.get("id") or ""))
    mailbox.guard(draft.key)
    thread = mailbox.thread_of(draft.key)
    message = submit(sandbox, mailbox, raw or draft.raw, "")
    mailbox.delete(draft.key, effect="replace")  # the draft is gone, the sent mail has an id of its own
    if thread != draft.key and thread in mailbox.messages:
        message.thread_key = thread
    answer = shapes.labelled(mailbox, message)
    hide_for_a_while(sandbox, mailbox, message)
    return answer


def _routes() -> list[Route]:
    base = r"/gmail/v1/users/(?P<user>[^/]+)"
    draft = base + r"/drafts/(?P<id>[^/]+)"
    uploads = [
        ("POST", base + "/messages/send", send),
        ("POST", base + "/messages/import", import_message),
        ("POST", base + "/messages", insert),
        ("POST", base + "/drafts/send", send_draft),
        ("POST", base + "/drafts", create_draft),
        ("PUT", draft, update_draft),
    ]
    plain: list[Route] = [
        *uploads,
        ("GET", base + "/drafts", list_drafts),
        ("GET", draft, get_draft),
        ("DELETE", draft, delete_draft),
    ]
    raw = [(verb, "(?:/resumable)?/upload" + path, handler) for verb, path, handler in uploads]
    chunks = [("PUT", path, handler) for verb, path, handler in raw if verb == "POST"]
    return [*plain, *raw, *chunks]


ROUTES: list[Route] = _routes()
