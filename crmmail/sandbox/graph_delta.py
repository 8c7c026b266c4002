"""Graph's change tracking: `messages/delta` of a folder and `mailFolders/delta`.

A token says which folder, since when, and how far a round has come; it holds everything, so it survives a restart
of the sandbox. The first round walks the folder; later ones walk the events since the last delta link.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import graph_json as shapes
from crmmail.sandbox import graph_query
from crmmail.sandbox.graph import READ, USER, applied, count, folder_fields, immutable, method, show, the_folder
from crmmail.sandbox.graph_json import bad
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import Event, Mailbox, Message, Place

if TYPE_CHECKING:
    from crmmail.sandbox.faults import Fault
    from crmmail.sandbox.server import Route, Sandbox

Token = dict[str, Any]
MOST_FILTERED = 5000  # messages that a $filter on receivedDateTime yields at most


def write(token: Token) -> str:
    """A token as text."""
    return base64.urlsafe_b64encode(json.dumps(token, sort_keys=True).encode()).decode().rstrip("=")


def read(request: Request) -> Token | None:
    """The token a request carries, None for a first call. Raises Problem."""
    text = request.one("$skiptoken") or request.one("$deltatoken")
    if not text:
        return None
    try:
        token = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return dict(token)
    except (ValueError, TypeError):
        raise bad("ErrorInvalidUrlQuery", "Badly formed token.") from None


def follow(request: Request, token: Token, *, last: bool) -> dict[str, str]:
    """The absolute link that goes on with `token`."""
    name = "$deltatoken" if last else "$skiptoken"
    key = "@odata.deltaLink" if last else "@odata.nextLink"
    return {key: f"{request.base}{request.path}?{name}={write(token)}"}


def check(sandbox: Sandbox, request: Request, mailbox: Mailbox, token: Token | None) -> Fault | None:
    """The fault planned for this page. Raises Problem where the token has expired."""
    fault = sandbox.faults.paging(request)
    planned = fault is not None and fault.kind == "expired"
    made: int = token.get("since") or token.get("at") or 0 if token else 0
    if token and (planned or made < mailbox.oldest_sequence):
        code = str(fault.body or "") if fault else ""
        if code:
            raise bad(code, f"{code}: the sync state generation is not found.", fault.status if fault else 400)
        where = f"{request.base}{request.path}?$deltatoken="
        raise bad("resyncRequired", "Resync required. The token has expired.", 410, Location=where)
    return fault


@method(READ)
def messages(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    folder = the_folder(request.match["folder"], mailbox)
    token = read(request)
    fault = check(sandbox, request, mailbox, token)
    if token is None:
        token = start(request, mailbox, folder)
    if "since" in token:
        page, after = changes(sandbox, mailbox, folder, token, request)
    else:
        page, after = first_round(request, mailbox, folder, token)
    page, after = disturb(fault, page, token, after)
    last = "since" in after and "position" not in after
    answer = {"@odata.context": f"{request.base}/v1.0/$metadata#Collection(message)", "value": page}
    return applied(request, answer | follow(request, after, last=last))


def start(request: Request, mailbox: Mailbox, folder: Place) -> Token:
    """The token of a first call. $select, $filter, $orderby and the page size count from here on. Raises Problem."""
    wanted = graph_query.selected(request.one("$select"))
    filtered = graph_query.Filter(request.one("$filter"), mailbox)
    if request.one("$search") or set(filtered.properties) - {"receivedDateTime"}:
        raise bad("ErrorInvalidUrlQuery", "The query is not supported with change tracking.")
    order = request.one("$orderby")
    if order.lower() not in ("", "receiveddatetime desc"):
        raise bad("ErrorInvalidUrlQuery", "Change tracking sorts by receivedDateTime desc only.")
    return {
        "folder": folder.id,
        "at": mailbox.sequence,
        "select": list(wanted),
        "filter": request.one("$filter"),
        "newest": bool(order),
        "kinds": request.one("changeType"),
        "size": count(request, "$top", 10, 1000),
    }


def size_of(request: Request, token: Token) -> int:
    """Items on a page: what Prefer says now, else what the first call said."""
    return count(request, "$top", int(token["size"]), 1000)


def settled(token: Token, since: int) -> Token:
    """The token of a delta link: the round is over."""
    kept = {name: token[name] for name in ("folder", "select", "filter", "newest", "kinds", "size")}
    return {**kept, "since": since}


def first_round(request: Request, mailbox: Mailbox, folder: Place, token: Token) -> tuple[list[Any], Token]:
    """A page of the folder as it is. Without $orderby the order is the server's own: here the oldest first."""
    test = graph_query.Filter(token["filter"], mailbox).test
    edge = token.get("edge")
    source = mailbox.newest_first(edge) if token["newest"] else mailbox.oldest_first(edge)
    size, done = size_of(request, token), int(token.get("done", 0))
    limit = MOST_FILTERED - done if token["filter"] else 1 << 31
    page: list[Message] = []
    for message in source:
        if message.folder == folder.id and test(message) and token["kinds"] in ("", "created"):
            if len(page) == min(size, limit):
                if limit <= size:
                    break
                onward = {**token, "edge": page[-1].key, "done": done + len(page)}
                return [show(request, mailbox, one, tuple(token["select"])) for one in page], onward
            page.append(message)
    shown = [show(request, mailbox, one, tuple(token["select"])) for one in page]
    return shown, settled(token, token["at"])


def changes(
    sandbox: Sandbox, mailbox: Mailbox, folder: Place, token: Token, request: Request
) -> tuple[list[Any], Token]:
    """A page of what happened in the folder since the last delta link."""
    until = int(token.get("until", mailbox.sequence))
    events = mailbox.events_after(int(token["since"]), until)
    hole = sandbox.limits.skip_returned_messages
    items = tellings(folder, events, stable=immutable(request), hole=hole)
    position, size = int(token.get("position", 0)), size_of(request, token)
    test = graph_query.Filter(token["filter"], mailbox).test
    page = []
    for one in items[position : position + size]:
        message = mailbox.messages.get(one.key)
        if token["kinds"] not in ("", "deleted" if one.kind == "removed" else one.kind):
            continue
        if one.kind == "removed" or message is None or message.folder != folder.id:
            page.append(removed(mailbox, one))
        elif test(message):
            page.append(show(request, mailbox, message, tuple(token["select"])))
    if len(items) > position + size:
        return page, {**token, "until": until, "position": position + size}
    return page, settled(token, until)


@dataclass(slots=True)
class Telling:
    """One item of a delta round: `created`, `updated` or `removed`; `generation` of the id it is removed by."""

    key: int
    kind: str
    generation: int = 0xFFFF


def tellings(folder: Place, events: list[Event], *, stable: bool, hole: bool) -> list[Telling]:
    """What a round tells of `events`. With immutable ids (`stable`) a message that left and came back is only told
    as removed (providers.md §2.3); with mutable ones its old id is removed and its new one created."""
    left: dict[int, Telling] = {}
    stays: dict[int, Telling] = {}
    for event in events:
        if event.source == folder.id:
            generation = 0xFFFF if stable else event.generation
            left.setdefault(event.key, Telling(event.key, "removed", generation))
            stays.pop(event.key, None)
        elif event.target == folder.id:
            came = event.kind in ("added", "moved")
            before = stays.pop(event.key, None)
            stays[event.key] = Telling(
                event.key, "created" if came or (before and before.kind == "created") else "updated"
            )
    if stable and hole:
        stays = {key: one for key, one in stays.items() if key not in left}
    elif stable:
        left = {key: one for key, one in left.items() if key not in stays}
    return [*left.values(), *stays.values()]


def removed(mailbox: Mailbox, one: Telling) -> dict[str, Any]:
    """The tombstone of a message that is not in the folder any more, moved or deleted: Graph says the same of both."""
    identity = mailbox.old_id(one.key, one.generation)
    return {"@odata.type": "#microsoft.graph.message", "id": identity, "@removed": {"reason": "deleted"}}


def disturb(fault: Fault | None, page: list[Any], before: Token, after: Token) -> tuple[list[Any], Token]:
    """What the script wants to go wrong with a page."""
    again = before if "since" not in before else {**before, "position": before.get("position", 0)}
    match fault.kind if fault else "":
        case "page_empty":
            return [], again
        case "page_repeat":
            return page, again
        case "page_loop":
            rewound = {name: value for name, value in again.items() if name not in ("edge", "done")}
            return page, {**rewound, **({"position": 0} if "since" in again else {})}
        case "page_overlap":
            return page + page[-1:], after
        case "page_shuffle":
            return page[::-1], after
        case _:
            return page, after


@method(READ)
def folders(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    token = read(request)
    check(sandbox, request, mailbox, token)
    since = int(token["since"]) if token else -1
    wanted = tuple(token["select"]) if token else folder_fields(request)
    shown = [
        shapes.folder(mailbox, place, wanted)
        for place in mailbox.places.values()
        if place.sequence > since and place.well_known != "msgfolderroot" and not place.hidden
    ]
    gone: list[Any] = []
    if token:
        late = [place for place in mailbox.removed_places if place.sequence > since]
        gone = [{"id": place.id, "@removed": {"reason": "deleted"}} for place in late]
    answer = {"@odata.context": f"{request.base}/v1.0/$metadata#Collection(mailFolder)", "value": shown + gone}
    settled_token = {"since": mailbox.sequence, "select": list(wanted)}
    return Response.of(answer | follow(request, settled_token, last=True))


ROUTES: list[Route] = [
    ("GET", USER + r"/mailFolders/(microsoft\.graph\.)?delta(\(\))?", folders),
    ("GET", USER + r"/mailFolders/(?P<folder>[^/]+)/messages/(microsoft\.graph\.)?delta(\(\))?", messages),
]
