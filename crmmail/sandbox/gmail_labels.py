"""Gmail API v1: labels, and the addresses a user may send as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmmail.sandbox import gmail_json as shapes
from crmmail.sandbox.gmail import ALIASES, LABELS, LABELS_READ, body_of, method
from crmmail.sandbox.http import Request
from crmmail.sandbox.mailbox import Mailbox, Missing, Place

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox


def label_line(place: Place) -> dict[str, Any]:
    """A Label as a list shows it: without counts."""
    kind = "system" if place.system else "user"
    return {"id": place.id, "name": place.name, "type": kind, **place.extras}


@method(LABELS_READ, 1, "ListLabels")
def list_labels(_sandbox: Sandbox, _request: Request, mailbox: Mailbox) -> Any:
    return {"labels": [label_line(place) for place in mailbox.places.values()]}


def the_label(request: Request, mailbox: Mailbox) -> Place:
    """The label the path names. Raises Missing."""
    try:
        return mailbox.places[request.match["id"]]
    except KeyError:
        raise Missing(request.match["id"]) from None


@method(LABELS_READ, 1, "GetLabel")
def get_label(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    place = the_label(request, mailbox)
    total, unread = mailbox.counts(place.id)
    inside = [message for message in mailbox.messages.values() if place.id in message.labels]
    threads = {mailbox.thread_of(message.key) for message in inside}
    waiting = {mailbox.thread_of(message.key) for message in inside if "UNREAD" in message.labels}
    counts = {
        "messagesTotal": total,
        "messagesUnread": unread,
        "threadsTotal": len(threads),
        "threadsUnread": len(waiting),
    }
    return label_line(place) | counts


LABEL_FIELDS = ("labelListVisibility", "messageListVisibility", "color")


def set_label(mailbox: Mailbox, place: Place, body: dict[str, Any]) -> None:
    """Take name, visibility and colour from `body`. Raises Problem."""
    name = body.get("name", place.name)
    taken = any(other.name.lower() == str(name).lower() for other in mailbox.places.values() if other is not place)
    if not name or not isinstance(name, str):
        raise shapes.bad("Invalid label name", "invalidArgument")
    if taken:
        raise shapes.bad("Label name exists or conflicts", "aborted", 409)
    place.name = name
    place.extras |= {field: body[field] for field in LABEL_FIELDS if field in body}


@method(LABELS, 5, "CreateLabel")
def create_label(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    body = body_of(request)
    probe = Place("", "")
    set_label(mailbox, probe, body)
    place = mailbox.new_place(probe.name, extras=probe.extras)
    mailbox.note(mailbox.address, "folder", place.id, name=place.name)
    return label_line(place)


@method(LABELS, 5, "UpdateLabel")
def update_label(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    place = the_label(request, mailbox)
    if place.system:
        raise shapes.bad("Invalid update request", "invalidArgument")
    set_label(mailbox, place, body_of(request))
    return label_line(place)


@method(LABELS, 5, "DeleteLabel")
def delete_label(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    place = the_label(request, mailbox)
    if place.system:
        raise shapes.bad("Invalid delete request", "invalidArgument")
    for message in list(mailbox.messages.values()):
        if place.id in message.labels:
            mailbox.modify(message.key, (), (place.id,))
    del mailbox.places[place.id]


def aliases(mailbox: Mailbox) -> list[dict[str, Any]]:
    """The SendAs resources: the primary one has no verificationStatus (providers.md §1.5)."""
    primary = {
        "sendAsEmail": mailbox.address,
        "displayName": mailbox.name,
        "replyToAddress": "",
        "signature": "",
        "isPrimary": True,
        "isDefault": not any(alias.get("isDefault") for alias in mailbox.aliases),
    }
    return [primary, *mailbox.aliases]


@method(ALIASES, 1, "ListSendAs")
def list_aliases(_sandbox: Sandbox, _request: Request, mailbox: Mailbox) -> Any:
    return {"sendAs": aliases(mailbox)}


@method(ALIASES, 1, "GetSendAs")
def get_alias(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    for alias in aliases(mailbox):
        if alias["sendAsEmail"] == request.match["id"]:
            return alias
    raise Missing(request.match["id"])


def _routes() -> list[Route]:
    base = r"/gmail/v1/users/(?P<user>[^/]+)"
    one = r"/(?P<id>[^/]+)"
    return [
        ("GET", base + "/labels", list_labels),
        ("POST", base + "/labels", create_label),
        ("GET", base + "/labels" + one, get_label),
        ("PUT", base + "/labels" + one, update_label),
        ("PATCH", base + "/labels" + one, update_label),
        ("DELETE", base + "/labels" + one, delete_label),
        ("GET", base + "/settings/sendAs", list_aliases),
        ("GET", base + "/settings/sendAs" + one, get_alias),
    ]


ROUTES: list[Route] = _routes()
