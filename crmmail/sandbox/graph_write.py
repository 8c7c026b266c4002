"""Graph: drafts (JSON or MIME), replies and forwards, sending. Attachments are in `graph_attach`."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import graph_draft, mime, post
from crmmail.sandbox.fields import header
from crmmail.sandbox.graph import (
    SEND,
    USER,
    WRITE,
    applied,
    json_body,
    method,
    patch_state,
    show,
    the_folder,
    the_message,
)
from crmmail.sandbox.graph_draft import Draft
from crmmail.sandbox.graph_json import bad
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import DRAFT, Mailbox, Message

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

STATE = frozenset({"isRead", "flag", "categories"})
ACCEPTED = 202


# ---- drafts ------------------------------------------------------------------------------------------------------


def is_mime(request: Request) -> bool:
    """Whether the body is MIME in base64, not JSON."""
    return request.header("Content-Type").lower().startswith("text/plain")


def mime_body(request: Request) -> bytes:
    """The MIME of the body. Raises Problem."""
    try:
        return base64.b64decode(b"".join(request.body.split()), validate=True)
    except ValueError:
        raise bad("ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.") from None


def keep(mailbox: Mailbox, raw: bytes, folder: str = "drafts") -> Message:
    """A new draft. Every draft has a From and a Message-ID from the start."""
    changes: dict[str, str | None] = {}
    if not header(raw, b"From"):
        changes["From"] = f"{mailbox.name} <{mailbox.address}>"
    if not header(raw, b"Message-ID"):
        changes["Message-ID"] = post.fresh_message_id("prod.outlook.example")
    key = mailbox.add(mime.set_headers(raw, changes), folder=folder, labels=(DRAFT,))
    mailbox.announce(key)
    mailbox.note(mailbox.address, "draft", mailbox.id_of(key))
    return mailbox.get(key)


@method(WRITE)
def create(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    folder = the_folder(request.match.get("folder") or "drafts", mailbox).id
    if is_mime(request):
        message = keep(mailbox, mime_body(request), folder)
    else:
        body = json_body(request)
        message = keep(mailbox, new_draft(body).raw(), folder)
        patch_state(mailbox, message, {name: body[name] for name in STATE & body.keys()})
    return applied(request, show(request, mailbox, message), 201)


def new_draft(body: dict[str, Any]) -> Draft:
    """A draft from a message resource, attachments included. Raises Problem."""
    draft = Draft()
    graph_draft.apply(draft, body)
    draft.pieces = [graph_draft.file_piece(one) for one in body.get("attachments") or ()]
    return draft


@method(WRITE)
def update(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    body = json_body(request)  # `attachments` in it are ignored, as Graph does
    edits = {name: value for name, value in body.items() if name in graph_draft.EDITABLE}
    edits |= {n: body[n] for n in ("internetMessageHeaders", "singleValueExtendedProperties") if n in body}
    if edits and DRAFT in message.labels:
        draft = Draft.read(message.raw)
        graph_draft.apply(draft, edits)  # a new body replaces the quoted history
        mailbox.update(message.key, source=draft.raw())
    elif edits.keys() - {"importance"}:
        raise bad("ErrorInvalidPropertySet", f"Only a draft's {sorted(edits)[0]} can be changed.")
    patch_state(mailbox, message, {name: body[name] for name in STATE & body.keys()})
    return applied(request, show(request, mailbox, message))


# ---- replies and forwards ----------------------------------------------------------------------------------------


def answering(request: Request, mailbox: Mailbox, kind: str) -> bytes:
    """The MIME of a reply, reply to all, or forward of the message the path names. Raises Problem."""
    parent = the_message(request, mailbox).raw
    if is_mime(request):
        return mime_body(request)
    body = {name[:1].lower() + name[1:]: value for name, value in json_body(request).items()}
    inner = body.get("message") or {}
    if body.get("comment") and inner.get("body"):
        raise bad("ErrorInvalidRequest", "Either the comment or the body of the message may be given, not both.")
    if body.get("toRecipients") and inner.get("toRecipients"):
        raise bad("ErrorInvalidRequest", "Either toRecipients or message.toRecipients may be given, not both.")
    own = frozenset({mailbox.address, *(str(alias.get("address", "")).lower() for alias in mailbox.aliases)})
    if kind == "forward":
        draft = graph_draft.passed_on(parent)
        graph_draft.apply(draft, {"toRecipients": body.get("toRecipients") or ()})
    else:
        draft = graph_draft.answer(parent, own, everyone=kind == "replyAll")
    graph_draft.apply(draft, inner)
    if body.get("comment"):
        graph_draft.with_comment(draft, str(body["comment"]))
    return draft.raw()


def drafting(kind: str) -> Callable[[Sandbox, Request], Response]:
    """createReply, createReplyAll, createForward."""

    def work(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
        message = keep(mailbox, answering(request, mailbox, kind))
        return applied(request, show(request, mailbox, message), 201)

    return method(WRITE)(work)


def answering_at_once(kind: str) -> Callable[[Sandbox, Request], Response]:
    """reply, replyAll, forward: sent at once, no id comes back."""

    def work(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
        raw = answering(request, mailbox, kind)
        submit(sandbox, mailbox, keep(mailbox, raw))
        return Response(ACCEPTED)

    return method(SEND)(work)


# ---- sending -----------------------------------------------------------------------------------------------------


def submit(sandbox: Sandbox, mailbox: Mailbox, message: Message, *, save: bool = True) -> None:
    """Send a draft; its immutable id then finds the copy in Sent Items. Raises Problem."""
    raw = post.complete(message.raw, mailbox)
    if not graph_draft.addressed(raw) or not post.recipients(raw):
        raise bad("ErrorInvalidRecipients", "At least one recipient isn't valid., A message can't be sent without one.")
    if refused := post.refused(sandbox, post.recipients(raw)):
        raise bad("ErrorInvalidRecipients", f"At least one recipient isn't valid., {refused} is no valid recipient.")
    sender = mime.raw_addresses(raw, "From")
    allowed = {mailbox.address, *(str(alias.get("address", "")).lower() for alias in mailbox.aliases)}
    if sender and sender[0][1].lower() not in allowed:
        raise bad(
            "ErrorSendAsDenied", "The user account which was used to submit this request does not have the right.", 403
        )
    mailbox.guard(message.key)
    if sandbox.limits.graph_rewrites_message_id:
        raw = mime.set_headers(raw, {"Message-ID": post.fresh_message_id("prod.outlook.example")})
    mailbox.update(message.key, source=raw)
    post.hand_over(sandbox, mailbox, raw, mailbox.id_of(message.key))
    mailbox.modify(message.key, (), (DRAFT, "UNREAD"))
    if not save:
        mailbox.delete(message.key, effect="unsaved")
    elif sandbox.limits.send_lag:
        mailbox.move(message.key, "outbox")
        sandbox.later(sandbox.limits.send_lag, functools.partial(mailbox.move, message.key, "sentitems"))
    else:
        mailbox.move(message.key, "sentitems")


@method(SEND)
def send(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    if DRAFT not in message.labels:
        raise bad("ErrorInvalidOperation", "Cannot send a message that is not a draft.")
    submit(sandbox, mailbox, message)
    return Response(ACCEPTED)


@method(SEND)
def send_mail(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    if is_mime(request):
        submit(sandbox, mailbox, keep(mailbox, mime_body(request)))
        return Response(ACCEPTED)
    body = {name[:1].lower() + name[1:]: value for name, value in json_body(request).items()}
    draft = new_draft(body.get("message") or {})
    raw = draft.raw()
    if not graph_draft.addressed(raw):
        raise bad("ErrorInvalidRecipients", "At least one recipient isn't valid.")
    submit(sandbox, mailbox, keep(mailbox, raw), save=body.get("saveToSentItems", True) is not False)
    return Response(ACCEPTED)


def _routes() -> list[Route]:
    folder = USER + r"/mailFolders/(?P<folder>[^/]+)"
    routes: list[Route] = [
        ("POST", USER + "/(microsoft\\.graph\\.)?sendMail", send_mail),
        ("POST", USER + "/messages", create),
        ("POST", folder + "/messages", create),
    ]
    for base in (USER, folder):
        one = base + r"/messages/(?P<id>[^/]+)"
        routes += [("PATCH", one, update), ("POST", one + "/send", send)]
        for kind in ("reply", "replyAll", "forward"):
            create_kind = "create" + kind[0].upper() + kind[1:]
            routes.append(("POST", f"{one}/{create_kind}", drafting(kind)))
            routes.append(("POST", f"{one}/{kind}", answering_at_once(kind)))
    return routes


ROUTES: list[Route] = _routes()
