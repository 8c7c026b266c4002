"""Graph: who is signed in, and the folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmmail.sandbox import graph_json as shapes
from crmmail.sandbox.graph import ME, READ, USER, WRITE, folder_fields, json_body, listing, method, page_of, the_folder
from crmmail.sandbox.graph_json import bad
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import Mailbox, Place

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

FOLDER = USER + r"/mailFolders/(?P<folder>[^/]+)"


@method(ME)
def me(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return {
        "@odata.context": f"{request.base}/v1.0/$metadata#users/$entity",
        "id": shapes.opaque("", mailbox.address)[:36],
        "displayName": mailbox.name,
        "givenName": mailbox.name.split()[0],
        "mail": mailbox.address,
        "userPrincipalName": mailbox.address,
        "otherMails": [],
        "proxyAddresses": [
            f"SMTP:{mailbox.address}",
            *(f"smtp:{alias['address']}" for alias in mailbox.aliases if alias.get("address")),
        ],
    }


def list_children(sandbox: Sandbox, request: Request, mailbox: Mailbox, parent: Place) -> dict[str, Any]:
    """The folders right below `parent`; hidden ones only when asked for."""
    hidden = request.one("includeHiddenFolders", request.one("includehiddenfolders")).lower() == "true"
    inside = [place for place in mailbox.places.values() if place.parent == parent.id and (hidden or not place.hidden)]
    page, following = page_of(sandbox, request, inside)
    wanted = folder_fields(request)
    return listing([shapes.folder(mailbox, place, wanted) for place in page], following, request, "mailFolders")


@method(READ)
def list_folders(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return list_children(sandbox, request, mailbox, the_folder("msgfolderroot", mailbox))


@method(READ)
def list_child_folders(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return list_children(sandbox, request, mailbox, the_folder(request.match["folder"], mailbox))


@method(READ)
def get_folder(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return shapes.folder(mailbox, the_folder(request.match["folder"], mailbox), folder_fields(request))


@method(WRITE)
def create_folder(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    body = json_body(request)
    name = str(body.get("displayName") or "").strip()
    parent = the_folder(request.match.get("folder") or "msgfolderroot", mailbox)
    if not name:
        raise bad("ErrorInvalidRequest", "The folder needs a displayName.")
    if any(one.parent == parent.id and one.name.lower() == name.lower() for one in mailbox.places.values()):
        raise bad("ErrorFolderExists", "A folder with the specified name already exists.", 409)
    place = mailbox.new_place(name, parent=parent.id, hidden=bool(body.get("isHidden")))
    mailbox.note(mailbox.address, "folder", place.id, name=name)
    return Response.of(shapes.folder(mailbox, place), 201)


@method(WRITE)
def update_folder(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    place = the_folder(request.match["folder"], mailbox)
    if place.system:
        raise bad("ErrorDeleteDistinguishedFolder", "A distinguished folder cannot be renamed.")
    place.name = str(json_body(request).get("displayName") or place.name)
    mailbox.touch(place)
    return shapes.folder(mailbox, place)


@method(WRITE)
def delete_folder(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    place = the_folder(request.match["folder"], mailbox)
    if place.system:
        raise bad("ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted.")
    mailbox.remove_folder(place)


ROUTES: list[Route] = [
    ("GET", USER, me),
    ("GET", USER + "/mailFolders", list_folders),
    ("POST", USER + "/mailFolders", create_folder),
    ("GET", FOLDER + "/childFolders", list_child_folders),
    ("POST", FOLDER + "/childFolders", create_folder),
    ("GET", FOLDER, get_folder),
    ("PATCH", FOLDER, update_folder),
    ("DELETE", FOLDER, delete_folder),
]
