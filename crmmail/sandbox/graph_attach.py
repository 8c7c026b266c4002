"""Graph: attachments, read and written, small ones at once and large ones through an upload session."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import graph_json as shapes
from crmmail.sandbox import mime
from crmmail.sandbox.graph import READ, USER, WRITE, json_body, listing, method, page_of, the_message
from crmmail.sandbox.graph_draft import Draft, Piece, file_piece
from crmmail.sandbox.graph_json import bad
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import DRAFT, Mailbox, Message, Missing

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

MOST_SMALL = 3 * 1024 * 1024
MOST_LARGE = 150 * 1024 * 1024
MOST_RANGE = 4 * 1024 * 1024


def attached(message: Message) -> list[mime.Leaf]:
    """The attachments of a message, in order."""
    return [leaf for leaf in mime.leaves(mime.parse(message.raw)) if leaf.attached]


def the_leaf(request: Request, message: Message) -> mime.Leaf:
    """The attachment the path names. Raises Missing."""
    wanted = request.match["attachment"]
    for leaf in attached(message):
        if shapes.attachment_id(leaf.number) == wanted:
            return leaf
    raise Missing(wanted)


def shown(leaf: mime.Leaf, message: Message, request: Request, *, content: bool) -> dict[str, Any]:
    """The attachment with the fields $select names."""
    every = shapes.attachment(leaf, shapes.stamp(message.received_ms), content=content)
    wanted = {name.strip() for name in request.one("$select").split(",") if name.strip()}
    kept = {name: value for name, value in every.items() if not wanted or name in wanted or name[0] == "@"}
    return kept | {"id": every["id"]}


@method(READ)
def list_attachments(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    page, following = page_of(sandbox, request, attached(message))
    return listing([shown(leaf, message, request, content=True) for leaf in page], following, request, "attachments")


@method(READ)
def get_attachment(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    return shown(the_leaf(request, message), message, request, content=True)


@method(READ)
def get_content(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    leaf = the_leaf(request, the_message(request, mailbox))
    kind = "text/plain" if leaf.content_type == "message/rfc822" else leaf.content_type
    return Response(200, leaf.content, {"Content-Type": kind})


def attach(mailbox: Mailbox, message: Message, piece: Piece) -> mime.Leaf:
    """Put an attachment into a draft. Raises Problem."""
    if DRAFT not in message.labels:
        raise bad("ErrorInvalidOperation", "Attachments can be added to drafts only.")
    draft = Draft.read(message.raw)
    draft.pieces.append(piece)
    mailbox.update(message.key, source=draft.raw())
    return attached(message)[-1]


@method(WRITE)
def add_attachment(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    piece = file_piece(json_body(request))
    if len(piece.content) > MOST_SMALL:
        raise bad("ErrorMessageSizeExceeded", "Attachments of 3 MB or more need an upload session.", 413)
    leaf = attach(mailbox, message, piece)
    return Response.of(shapes.attachment(leaf, shapes.stamp(mailbox.clock() * 1000), content=True), 201)


@method(WRITE)
def delete_attachment(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    message = the_message(request, mailbox)
    position = attached(message).index(the_leaf(request, message))
    draft = Draft.read(message.raw)
    del draft.pieces[position]
    mailbox.update(message.key, source=draft.raw())


# ---- upload sessions ---------------------------------------------------------------------------------------------


@method(WRITE)
def create_session(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    body = json_body(request)
    item = body.get("AttachmentItem") or body.get("attachmentItem") or {}
    size = int(item.get("size") or 0)
    if not item.get("name") or not 0 < size <= MOST_LARGE:
        raise bad("ErrorInvalidRequest", "AttachmentItem needs a name and a size of up to 150 MB.")
    token = secrets.token_urlsafe(24)
    mailbox.uploads[token] = {"key": message.key, "item": item, "size": size, "content": b""}
    owner = shapes.opaque("", mailbox.address)[:24]
    url = (
        f"{request.base}/api/v1.0/Users('{owner}')/AttachmentSessions('{token}')?authtoken={secrets.token_urlsafe(32)}"
    )
    return Response.of(
        {
            "@odata.context": f"{request.base}/v1.0/$metadata#microsoft.graph.uploadSession",
            "uploadUrl": url,
            "expirationDateTime": shapes.stamp((mailbox.clock() + 3600) * 1000),
            "nextExpectedRanges": ["0-"],
        },
        201,
    )


def put_range(sandbox: Sandbox, request: Request) -> Response:
    """A range of bytes, in order. The address carries the authority: an Authorization header is refused."""
    token = request.match["token"]
    mailbox = next((user.mailbox for user in sandbox.users.values() if token in user.mailbox.uploads), None)
    if request.header("Authorization"):
        return shapes.error(401, "InvalidAuthenticationToken", "The upload address must be used without a token.")
    if mailbox is None:
        return shapes.error(404, "ErrorItemNotFound", "The upload session was not found.")
    upload = mailbox.uploads[token]
    if request.method == "DELETE":
        del mailbox.uploads[token]
        return Response(204)
    if request.method == "GET":
        return _expecting(upload)
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.header("Content-Range"))
    if not found or len(request.body) > MOST_RANGE:
        return shapes.error(400, "ErrorInvalidRequest", "A Content-Range of at most 4 MB is needed.")
    first, last, total = (int(part) for part in found.groups())
    if first != len(upload["content"]) or last - first + 1 != len(request.body) or total != upload["size"]:
        return shapes.error(416, "InvalidContentRange", "The range does not follow the last one.")
    upload["content"] += request.body
    if len(upload["content"]) < total:
        return _expecting(upload)
    return _complete(request, mailbox, token)


def _expecting(upload: dict[str, Any]) -> Response:
    return Response.of({"nextExpectedRanges": [str(len(upload["content"])) + "-"]})


def _complete(request: Request, mailbox: Mailbox, token: str) -> Response:
    upload = mailbox.uploads.pop(token)
    item = upload["item"]
    with mailbox.lock:
        message = mailbox.get(upload["key"])
        kind = str(item.get("contentType") or "application/octet-stream")
        inline, cid = bool(item.get("isInline")), str(item.get("contentId") or "")
        leaf = attach(mailbox, message, Piece(str(item["name"]), kind, upload["content"], inline, cid))
        identity = mailbox.id_of(message.key)
    location = f"{request.base}/v1.0/me/messages/{identity}/attachments/{shapes.attachment_id(leaf.number)}"
    return Response(201, b"", {"Location": location})


def _routes() -> list[Route]:
    routes: list[Route] = [("*", r"/api/v1\.0/Users\([^)]*\)/AttachmentSessions\('(?P<token>[^']+)'\)", put_range)]
    for base in (USER, USER + r"/mailFolders/(?P<folder>[^/]+)"):
        every = base + r"/messages/(?P<id>[^/]+)/attachments"
        one = every + r"/(?P<attachment>[^/]+)"
        routes += [
            ("GET", every, list_attachments),
            ("POST", every, add_attachment),
            ("POST", every + r"/(microsoft\.graph\.)?createUploadSession", create_session),
            ("GET", one, get_attachment),
            ("GET", one + r"/\$value", get_content),
            ("DELETE", one, delete_attachment),
        ]
    return routes


ROUTES: list[Route] = _routes()
