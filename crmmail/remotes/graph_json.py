"""Microsoft Graph's mail JSON ↔ our nouns. Pure; shapes as in Graph v1.0's metadata for message and mailFolder."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from crmmail import ops
from crmmail.errors import CursorExpired
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Address, Delta, Folder, Headers, Incoming, Patch, Role, State, Wish

WELL_KNOWN = {
    Role.INBOX: "inbox",
    Role.DRAFTS: "drafts",
    Role.SENT: "sentitems",
    Role.TRASH: "deleteditems",
    Role.SPAM: "junkemail",
    Role.ARCHIVE: "archive",
}
"""Names that work as folder ids in every language; archive may be missing in a mailbox."""
ASIDE = ("outbox", "conversationhistory")
"""Folders Exchange keeps for itself: nobody's business while they hold nothing."""
SELECT = ",".join(
    (
        "id,conversationId,internetMessageId,subject,from,sender,toRecipients,ccRecipients,bccRecipients,replyTo",
        "receivedDateTime,sentDateTime,isRead,isDraft,hasAttachments,parentFolderId,bodyPreview",
    )
)
FOLDER_SELECT = "id,displayName,parentFolderId,childFolderCount,unreadItemCount,totalItemCount,isHidden"
_PEOPLE = 500  # of one header; a list row shows three
_DESTINATIONS = {role.value: name for role, name in WELL_KNOWN.items()}


@dataclass(slots=True)
class Place:
    """Where reading stands.

    `links` holds each folder's next or delta link, `reading` the folders whose first full round is not over,
    `removed` the ids that some folder no longer has and whose fate is not known yet.
    """

    links: dict[str, str] = field(default_factory=dict)
    reading: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    done: int = 0
    total: int = 0

    def dump(self) -> str:
        """The cursor the store keeps."""
        plain: dict[str, Any] = {"links": self.links}
        plain |= {"removed": sorted(self.removed)} if self.removed else {}
        plain |= {"reading": sorted(self.reading), "done": self.done, "total": self.total} if self.reading else {}
        return json.dumps(plain)


def load_place(cursor: str) -> Place:
    """The Place a cursor holds; '' is the start. Raises CursorExpired for one that is not ours."""
    if not cursor:
        return Place()
    try:
        plain = json.loads(cursor)
        links = {str(folder): str(link) for folder, link in plain["links"].items()}
        reading, removed = set(map(str, plain.get("reading", ()))), set(map(str, plain.get("removed", ())))
        return Place(links, reading, removed, int(plain.get("done", 0)), int(plain.get("total", 0)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CursorExpired(_("The note of where we stopped reading is damaged.")) from error


# Folders


def folders_of(
    items: Iterable[Mapping[str, Any]], roles: Mapping[str, Role], mailbox: str, aside: Container[str] = ()
) -> list[Folder]:
    """The folder list: those with a role in the interface's order, then the others as the server lists them.

    `roles` maps folder ids to roles. Search folders show what others hold and are left out, hidden ones too; the ids
    in `aside` are hidden while they are empty.
    """
    shown = {str(item["id"]): item for item in items if item.get("id") and _is_shown(item)}
    order = list(WELL_KNOWN)
    ranked = sorted(shown, key=lambda i: order.index(roles[i]) if i in roles else len(order))
    folders = [_folder(shown[i], roles, shown, mailbox) for i in ranked]
    return [replace(one, hidden=one.remote_id in aside and one.server_total == 0) for one in folders]


def _is_shown(item: Mapping[str, Any]) -> bool:
    return not item.get("isHidden") and "mailSearchFolder" not in str(item.get("@odata.type") or "")


def _folder(item: Mapping[str, Any], roles: Mapping[str, Role], shown: Mapping[str, Any], mailbox: str) -> Folder:
    remote_id, parent = str(item["id"]), str(item.get("parentFolderId") or "")
    return Folder(
        mailbox,
        folder_key(remote_id, roles),
        roles.get(remote_id, Role.OTHER),
        clean_line(str(item.get("displayName") or ""), 200),
        remote_id,
        folder_key(parent, roles) if parent in shown else "",
        server_total=_number(item.get("totalItemCount")),
        server_unread=_number(item.get("unreadItemCount")),
    )


def folder_key(remote_id: str, roles: Mapping[str, Role]) -> str:
    """The key of a folder id."""
    role = roles.get(remote_id)
    return role.value if role else f"x:{remote_id}"


def destination(key: str) -> str:
    """What a move names as its goal: a well-known name or an id."""
    return key[2:] if key.startswith("x:") else _DESTINATIONS.get(key, key)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# Messages


def is_removed(item: Mapping[str, Any]) -> bool:
    """Whether a delta item says that the folder no longer has this message."""
    return "@removed" in item


def is_whole(item: Mapping[str, Any]) -> bool:
    """Whether an item describes a message fully; updates may hold only the fields that changed."""
    return "receivedDateTime" in item and "isRead" in item and "subject" in item


def incoming(item: Mapping[str, Any], folder: str) -> Incoming:
    """A whole message item in the folder with this key, without its raw message."""
    received = moment_ms(item.get("receivedDateTime"))
    sent = moment_ms(item.get("sentDateTime"))
    return Incoming(
        remote_id=str(item["id"]),
        state=state_in(item, folder),
        received_ms=received if received is not None else sent or 0,
        headers=headers(item),
        snippet=clean_line(str(item.get("bodyPreview") or ""), 300),
        remote_thread=str(item.get("conversationId") or ""),
        has_attachments=bool(item.get("hasAttachments")),
    )


def state_in(item: Mapping[str, Any], folder: str) -> State:
    """The State of an item that names `isRead`. Outlook's flag is a task, not a star: it mirrors nothing."""
    return State(frozenset({folder}), unread=not item.get("isRead"))


def patch(item: Mapping[str, Any], folder: str) -> Patch:
    """What an item changes about a message we have: merged, for it may name only what changed."""
    unread = None if "isRead" not in item else not item["isRead"]
    return Patch(str(item["id"]), delta=Delta(move=folder, unread=unread))


def headers(item: Mapping[str, Any]) -> Headers:
    """The headers a message item tells, clean. Those for threading come with the raw message only."""
    sender = _people([item.get("from") or item.get("sender")])
    return Headers(
        subject=clean_line(str(item.get("subject") or "")),
        sender=sender[0] if sender else Address("", ""),
        reply_to=_people(item.get("replyTo")),
        to=_people(item.get("toRecipients")),
        cc=_people(item.get("ccRecipients")),
        bcc=_people(item.get("bccRecipients")),
        date_ms=moment_ms(item.get("sentDateTime")),
        message_id=_message_id(item.get("internetMessageId")),
    )


def _people(value: Any) -> tuple[Address, ...]:
    found = []
    for person in value[:_PEOPLE] if isinstance(value, list) else ():
        address = person.get("emailAddress") if isinstance(person, Mapping) else None
        if isinstance(address, Mapping):
            found.append(_address(clean_line(str(address.get("name") or ""), 200), str(address.get("address") or "")))
    return tuple(found)


def _address(name: str, email: str) -> Address:
    email = clean_line(email, 320)
    valid = email.count("@") == 1 and " " not in email  # else an internal address such as /O=EXCHANGELABS/…
    return Address("" if name == email else name, email if valid else "")


def _message_id(value: Any) -> str:
    text = clean_line(str(value or ""), 998)
    return text if text.startswith("<") and text.endswith(">") and " " not in text else ""


def moment_ms(value: Any) -> int | None:
    """ISO 8601 as Graph writes it (up to seven decimals, Z) in milliseconds, None for anything else."""
    try:
        moment = datetime.fromisoformat(str(value)[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000)


# Wishes


def goal(wish: Wish) -> str:
    """The folder key a wish moves its message to, '' for none."""
    if wish.delta.move is not None:
        return wish.delta.move if frozenset({wish.delta.move}) != wish.base.folders else ""
    return min(wish.delta.add, default="")  # also where it was last heard to be: a lost answer may have moved it


def after(wish: Wish, told: Mapping[str, Any] | None, folder_of: Mapping[str, str]) -> State:
    """The State once a wish came true: what the server told of it (a message item), and the wish for the rest.

    `folder_of` maps folder ids to keys.
    """
    wished = ops.apply(wish.base, wish.delta)
    target = goal(wish)
    folders = frozenset({target}) if target else wish.base.folders
    told = told or {}
    folder = folder_of.get(str(told.get("parentFolderId") or ""))
    unread = not told["isRead"] if isinstance(told.get("isRead"), bool) else wished.unread
    return State(frozenset({folder}) if folder else folders, unread)
