"""Gmail's JSON ↔ our nouns. Pure; shapes as in Google's discovery document `gmail.v1`."""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmmail import ops
from crmmail.errors import CursorExpired
from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Delta, Folder, Headers, Incoming, Patch, Role, State, Wish

SYSTEM = {"INBOX": Role.INBOX, "DRAFT": Role.DRAFTS, "SENT": Role.SENT, "TRASH": Role.TRASH, "SPAM": Role.SPAM}
_LABELS = {role.value: label for label, role in SYSTEM.items()}
_FIXED = frozenset({"SENT", "DRAFT"})  # the server sets these; a request to is refused
UNREAD, STARRED = "UNREAD", "STARRED"
COUNTED = tuple(SYSTEM)
"""Labels whose counts are asked for: those where the server's number and ours mean the same."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading stands: the history id, and while a fill goes on, how far it came.

    `token` is the page of the id list being fetched, `stale` says that messages from before this fill are in the
    local copy, so that their labels must be read again.
    """

    history: str = ""
    filling: bool = False
    token: str = ""
    done: int = 0
    total: int = 0
    stale: bool = False


def dump_place(place: Place) -> str:
    """`place` as the cursor the store keeps."""
    if not place.filling:
        return json.dumps({"history": place.history})
    fill = {"token": place.token, "done": place.done, "total": place.total, "stale": place.stale}
    return json.dumps({"history": place.history, "fill": fill})


def load_place(cursor: str) -> Place:
    """The Place a cursor holds; '' is the start. Raises CursorExpired for one that is not ours."""
    if not cursor:
        return Place(filling=True)
    try:
        plain = json.loads(cursor)
        fill = plain.get("fill")
        if fill is None:
            return Place(str(int(plain["history"])))
        done, total = int(fill["done"]), int(fill["total"])
        return Place(str(int(plain["history"])), True, str(fill["token"]), done, total, bool(fill["stale"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CursorExpired(_("The note of where we stopped reading is damaged.")) from error


def key(label: str) -> str | None:
    """The folder key of a label id, None for labels that are flags or Google's own sorting (CATEGORY_*, CHAT, ...).

    All of Google's own ids are upper case (`YELLOW_STAR` too); the user's are like `Label_42`.
    """
    role = SYSTEM.get(label)
    if role is not None:
        return role.value
    return None if label == label.upper() else f"x:{label}"


def label_of(folder: str) -> str:
    """The label id behind a folder key, '' where there is none (archive is the lack of INBOX)."""
    return folder[2:] if folder.startswith("x:") else _LABELS.get(folder, "")


def state_of(labels: Iterable[str]) -> State:
    """The State that label ids mean."""
    present = set(labels)
    folders = frozenset(folder for folder in map(key, present) if folder is not None)
    return State(folders, UNREAD in present, STARRED in present)


def delta_of(plus: Iterable[str], minus: Iterable[str]) -> Delta:
    """The change that added and removed label ids mean."""
    added, removed = state_of(plus), state_of(minus)
    return Delta(
        add=added.folders,
        remove=removed.folders,
        unread=True if added.unread else False if removed.unread else None,
        starred=True if added.starred else False if removed.starred else None,
    )


def wanted_labels(wish: Wish) -> tuple[frozenset[str], frozenset[str]]:
    """The label ids to add and to remove for a wish."""
    delta = wish.delta
    add, remove = set(map(label_of, delta.add)), set(map(label_of, delta.remove))
    if delta.move is not None:
        add = {label_of(delta.move)}
        remove = set(map(label_of, wish.base.folders)) - add
    for label, flag in ((UNREAD, delta.unread), (STARRED, delta.starred)):
        if flag is not None:
            (add if flag else remove).add(label)
    nothing = _FIXED | {""}
    return frozenset(add - nothing), frozenset(remove - nothing)


def after(wish: Wish) -> State:
    """What the message is once the wish came true, for answers that say nothing of it."""
    return ops.apply(wish.base, wish.delta)


def incoming(message: Mapping[str, Any]) -> Incoming:
    """A message resource (any format) as Incoming; `raw` None when it is absent or no base64."""
    return Incoming(
        remote_id=str(message["id"]),
        state=state_of(labels_in(message) or ()),
        received_ms=_number(message.get("internalDate")),
        raw=_bytes(message.get("raw")),
        headers=_headers(message.get("payload")),
        snippet=clean_line(html.unescape(str(message.get("snippet") or "")), 300),
        size=_number(message.get("sizeEstimate")),
        remote_thread=str(message.get("threadId") or ""),
    )


def _headers(payload: Any) -> Headers | None:
    """The headers that the format `metadata` tells, None in the formats without."""
    pairs = payload.get("headers") if isinstance(payload, Mapping) else None
    if not isinstance(pairs, list):
        return None
    from crmmail.mail.parse import headers_from

    return headers_from((str(pair.get("name")), str(pair.get("value"))) for pair in pairs if isinstance(pair, Mapping))


def labels_in(message: Mapping[str, Any]) -> list[str] | None:
    """The label ids a message resource names; None when it names none, which may also mean that it has none."""
    labels = message.get("labelIds")
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else None


def _number(value: Any) -> int:
    """int64 comes as a string."""
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def _bytes(raw: Any) -> bytes | None:
    """base64url, its padding perhaps missing."""
    if not isinstance(raw, str):
        return None
    try:
        return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        return None


def ids_in(answer: Mapping[str, Any]) -> list[str]:
    """The ids of a messages.list page, each once, in its order; the key is absent when there are none."""
    items = answer.get("messages") or ()
    return list(dict.fromkeys(str(item["id"]) for item in items if isinstance(item, Mapping) and item.get("id")))


def folders_of(
    labels: Sequence[Mapping[str, Any]], counts: Mapping[str, Mapping[str, Any]], mailbox: str
) -> list[Folder]:
    """The folder list: the system folders in the interface's order, then the user's labels by name.

    `counts` holds labels.get answers by id. A `/` in a label's name nests it where the label above exists.
    """
    system = [_folder(mailbox, label, role.value, role, label, "", counts.get(label)) for label, role in SYSTEM.items()]
    own = {
        str(item["name"]): item for item in labels if item.get("id") and key(str(item["id"])) not in (None, *_LABELS)
    }
    return system + [_own_folder(mailbox, name, own) for name in sorted(own, key=str.casefold)]


def _own_folder(mailbox: str, name: str, own: Mapping[str, Mapping[str, Any]]) -> Folder:
    above, _slash, leaf = name.rpartition("/")
    parent = f"x:{own[above]['id']}" if above in own and leaf else ""
    label = str(own[name]["id"])
    hidden = own[name].get("labelListVisibility") == "labelHide"
    folder = _folder(mailbox, label, f"x:{label}", Role.OTHER, leaf if parent else name, parent, None)
    return folder if not hidden else _hidden(folder)


def _hidden(folder: Folder) -> Folder:
    return Folder(folder.mailbox, folder.key, folder.role, folder.name, folder.remote_id, folder.parent, hidden=True)


def _folder(
    mailbox: str, label: str, folder: str, role: Role, name: str, parent: str, count: Mapping[str, Any] | None
) -> Folder:
    total = _number(count.get("messagesTotal")) if count else None
    unread = _number(count.get("messagesUnread")) if count else None
    return Folder(mailbox, folder, role, name, label, parent, server_total=total, server_unread=unread)


@dataclass(slots=True)
class Event:
    """All that a stretch of history says of one message. `labels` is the newest full set told, if any."""

    id: str
    gone: bool = False
    labels: list[str] | None = None
    plus: set[str] = field(default_factory=set)
    minus: set[str] = field(default_factory=set)

    def patch(self) -> Patch:
        """The change for the local copy.

        What was added and removed is laid over the full set: whether a server fills `labelIds` with the labels at
        the time of the event or with today's, and leaves it out when there are none, the end is the same.
        """
        if self.labels is None:
            return Patch(self.id, delta=delta_of(self.plus, self.minus))
        return Patch(self.id, state=state_of((set(self.labels) - self.minus) | self.plus))


def events_of(answer: Mapping[str, Any]) -> dict[str, Event]:
    """What a history.list page says, folded by message id, in the order messages first appear."""
    events: dict[str, Event] = {}
    for record in answer.get("history") or ():
        for name in ("messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"):
            for item in record.get(name) or ():
                _fold(events, name, item)
    return events


def _fold(events: dict[str, Event], name: str, item: Mapping[str, Any]) -> None:
    message = item.get("message") or {}
    if not message.get("id"):
        return
    event = events.setdefault(str(message["id"]), Event(str(message["id"])))
    labels = labels_in(message)
    if labels is not None:
        event.labels = labels
    touched = {label for label in item.get("labelIds") or () if isinstance(label, str)}
    if name == "messagesAdded":
        event.gone = False
    elif name == "messagesDeleted":
        event.gone = True
    elif name == "labelsAdded":
        event.plus |= touched
        event.minus -= touched
    else:
        event.minus |= touched
        event.plus -= touched
