"""Microsoft Graph v1.0 mail: /me, folders, messages, state changes. Quirks per reference sheet §2 are kept.

Drafts, sending and attachments are in `graph_write`, delta in `graph_delta`, $batch in `graph_batch`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from crmmail.sandbox import graph_json as shapes
from crmmail.sandbox import graph_query, mime
from crmmail.sandbox.fields import header
from crmmail.sandbox.graph_json import Problem, bad
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import UNREAD, Mailbox, Message, Missing, Place, Refused

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

Work = Callable[["Sandbox", Request, Mailbox], Any]

WRITE = frozenset({"Mail.ReadWrite"})
READ = WRITE | {"Mail.Read"}
SEND = frozenset({"Mail.Send"})
ME = frozenset({"User.Read", "User.ReadBasic.All"}) | READ
BUSY = "Application is over its MailboxConcurrency limit."
USER = r"/v1\.0/(?:me|users/(?P<user>[^/]+))"


def method(scopes: frozenset[str]) -> Callable[[Work], Callable[[Sandbox, Request], Response]]:
    """Make a handler of `work`: token, scope, concurrency and errors around it. `work` returns JSON or a Response."""

    def wrap(work: Work) -> Callable[[Sandbox, Request], Response]:
        @functools.wraps(work)
        def handle(sandbox: Sandbox, request: Request) -> Response:
            try:
                mailbox = enter(sandbox, request, scopes)
                with sandbox.in_flight(mailbox.address, sandbox.limits.graph_concurrency) as fits:
                    if not fits:
                        return shapes.error(429, "ApplicationThrottled", BUSY, Retry_After="1")
                    with mailbox.lock:
                        return finish(work(sandbox, request, mailbox))
            except Problem as problem:
                return problem.response
            except Missing:
                return shapes.missing().response
            except Refused as refused:
                return shapes.error(403, "ErrorAccessDenied", str(refused))

        return handle

    return wrap


def enter(sandbox: Sandbox, request: Request, scopes: frozenset[str]) -> Mailbox:
    """The mailbox the request may work on. Raises Problem."""
    if not request.header("Authorization"):
        raise bad("InvalidAuthenticationToken", "Access token is empty.", 401)
    grant = sandbox.authorized(request)
    user = sandbox.users.get(grant.user) if grant else None
    if grant is None or user is None or user.provider != "outlook":
        known = sandbox.grants.known(request.header("Authorization").partition(" ")[2].strip())
        told = "Lifetime validation failed, the token is expired." if known else "IDX14100: JWT is not well formed."
        raise bad("InvalidAuthenticationToken", told, 401, WWW_Authenticate='Bearer realm="", error="invalid_token"')
    if not {scope.rsplit("/", 1)[-1] for scope in grant.scopes} & scopes:
        raise bad("ErrorAccessDenied", "Access is denied. Check credentials and try again.", 403)
    asked = request.match.get("user", "")
    if asked.lower() not in ("", "me", "me-token-to-replace", user.address):
        raise bad("ErrorAccessDenied", "Access is denied. Check credentials and try again.", 403)
    if len(request.body) > sandbox.limits.graph_body:
        raise bad("RequestEntityTooLarge", "The request body is too large.", 413)
    return user.mailbox


def finish(result: Any) -> Response:
    """The answer for what a handler returned."""
    if isinstance(result, Response):
        return result
    return Response(204) if result is None else Response.of(result)


def preferences(request: Request) -> dict[str, str]:
    """The Prefer header as a dict: {'idtype': 'ImmutableId', 'odata.maxpagesize': '100', …}."""
    found = re.findall(r'([\w.-]+)\s*=\s*"?([^",;]*)"?', request.header("Prefer"))
    return {name.lower(): value.strip() for name, value in found}


def immutable(request: Request) -> bool:
    """Whether ids are to be the ones that survive a move."""
    return preferences(request).get("idtype", "").lower() == "immutableid"


def show(request: Request, mailbox: Mailbox, message: Message, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
    """The message as this request wants it."""
    text = preferences(request).get("outlook.body-content-type", "").lower() == "text"
    return shapes.message(mailbox, message, wanted, immutable=immutable(request), text_body=text)


def applied(request: Request, answer: Any, status: int = 200, **headers: str) -> Response:
    """JSON, saying which preference was kept."""
    if immutable(request):
        headers["Preference_Applied"] = 'IdType="ImmutableId"'
    if isinstance(answer, dict) and "@odata.context" not in answer:
        answer = {"@odata.context": f"{request.base}/v1.0/$metadata#messages/$entity", **answer}
    return Response.of(answer, status, **headers)


def json_body(request: Request) -> dict[str, Any]:
    """The JSON body. Raises Problem."""
    try:
        body = request.json()
    except ValueError:
        raise bad("BadRequest", "Unable to read JSON request payload.") from None
    if not isinstance(body, dict):
        raise bad("BadRequest", "Unable to read JSON request payload.")
    return body


def the_message(request: Request, mailbox: Mailbox) -> Message:
    """The message the path names. Raises Missing."""
    message = mailbox.get(mailbox.key_of(request.match["id"]))
    named = request.match.get("folder")
    if named and mailbox.place(named).id != message.folder:
        raise Missing(request.match["id"])
    return message


def the_folder(name: str, mailbox: Mailbox) -> Place:
    """The folder with this id or well-known name (in any case). Raises Missing."""
    place = mailbox.places.get(name)
    if place:
        return place
    for candidate in mailbox.places.values():
        if candidate.well_known and candidate.well_known == name.lower():
            return candidate
    raise Missing(name)


def count(request: Request, name: str, default: int, most: int) -> int:
    """A number parameter, capped. Raises Problem."""
    text = request.one(name) or (preferences(request).get("odata.maxpagesize", "") if name == "$top" else "")
    if not text:
        return default
    if not text.isdigit() or (name == "$top" and not 0 < int(text) <= most):
        raise bad("BadRequest", f"The value of {name} is not a number between 1 and {most}.")
    return int(text)


def link(request: Request, **changes: str) -> str:
    """The absolute address of this list with other parameters: a next link."""
    names = {name.replace("_", "$", 1) for name in changes}
    kept = [(name, value) for name, value in request.query if name not in names]
    kept += [(name.replace("_", "$", 1), value) for name, value in changes.items()]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in kept)
    return f"{request.base}{request.path}?{query}"


def page_of(sandbox: Sandbox, request: Request, items: list[Any]) -> tuple[list[Any], str]:
    """(items, next link or ''): `$skip` arithmetic, as Graph does it, with what the script wants to go wrong."""
    size, skip = count(request, "$top", 10, 1000), count(request, "$skip", 0, 1 << 31)
    page, more = items[skip : skip + size], len(items) > skip + size
    following = skip + size if more else 0
    fault = sandbox.faults.paging(request)
    match fault.kind if fault else "":
        case "page_empty":
            return [], link(request, _skip=str(skip))
        case "page_repeat":
            following = skip or -1
        case "page_loop":
            following = -1
        case "page_overlap" if following:
            following -= 1
        case "page_shuffle":
            page = page[::-1]
    return page, link(request, _skip=str(max(following, 0))) if following else ""


def folder_fields(request: Request) -> tuple[str, ...]:
    """$select of a folder request."""
    return tuple(name.strip() for name in request.one("$select").split(",") if name.strip())


def listing(page: list[Any], following: str, request: Request, what: str) -> dict[str, Any]:
    """A collection answer."""
    answer = {"@odata.context": f"{request.base}/v1.0/$metadata#{what}", "value": page}
    return answer | ({"@odata.nextLink": following} if following else {})


# ---- messages ----------------------------------------------------------------------------------------------------


def matching(sandbox: Sandbox, request: Request, mailbox: Mailbox, folder: str) -> list[Message]:
    """The messages a list request means, in its order. Raises Problem."""
    clause, query = request.one("$filter"), request.one("$search")
    if query and (clause or request.one("$orderby")):
        raise bad("SearchWithFilter", "The query parameter '$search' cannot be combined with '$filter' or '$orderby'.")
    filtered = graph_query.Filter(clause, mailbox)
    key, descending = graph_query.ordering(request.one("$orderby"), filtered)
    test = graph_query.search(query, mailbox, sandbox.clock()) if query else filtered.test
    source = mailbox.newest_first() if descending else mailbox.oldest_first()
    hidden = {place.id for place in mailbox.places.values() if place.well_known.startswith("recoverable")}
    found = [m for m in source if (m.folder == folder if folder else m.folder not in hidden) and test(m)]
    if key:
        found.sort(key=key, reverse=descending)
    return found[:1000] if query else found


def answer_list(sandbox: Sandbox, request: Request, mailbox: Mailbox, folder: str) -> Response:
    """A page of messages."""
    wanted = graph_query.selected(request.one("$select"))
    found = matching(sandbox, request, mailbox, folder)
    page, following = page_of(sandbox, request, found)
    answer = listing([show(request, mailbox, message, wanted) for message in page], following, request, "messages")
    if request.one("$count").lower() == "true":
        answer["@odata.count"] = len(found)
    return applied(request, answer)


@method(READ)
def list_messages(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return answer_list(sandbox, request, mailbox, "")


@method(READ)
def list_folder_messages(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return answer_list(sandbox, request, mailbox, the_folder(request.match["folder"], mailbox).id)


def expanded(request: Request, message: Message) -> dict[str, Any]:
    """What $expand adds: the attachments, or headers as MAPI properties."""
    clause = request.one("$expand")
    more: dict[str, Any] = {}
    if re.match(r"attachments\b", clause):
        found = [leaf for leaf in mime.leaves(mime.parse(message.raw)) if leaf.attached]
        moment = shapes.stamp(message.received_ms)
        more["attachments"] = [shapes.attachment(leaf, moment, content=True) for leaf in found]
    if "singleValueExtendedProperties" in clause:
        asked = [tag for tag in re.findall(r"String (0x\w+)", clause) if tag.lower() in shapes.MAPI]
        values = [(tag, header(message.raw, shapes.MAPI[tag.lower()].encode())) for tag in asked]
        more["singleValueExtendedProperties"] = [{"id": f"String {t}", "value": v} for t, v in values if v]
    return more


@method(READ)
def get_message(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    wanted = graph_query.selected(request.one("$select"))
    message = the_message(request, mailbox)
    return applied(request, show(request, mailbox, message, wanted) | expanded(request, message))


@method(READ)
def get_mime(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return Response(200, the_message(request, mailbox).raw, {"Content-Type": "text/plain"})


def destination(request: Request, mailbox: Mailbox) -> str:
    """The folder a move or copy goes to. Raises Problem."""
    body = {name.lower(): value for name, value in json_body(request).items()}
    try:
        return the_folder(str(body.get("destinationid") or ""), mailbox).id
    except Missing:
        raise bad("ErrorInvalidIdMalformed", "Id is malformed or the destination folder does not exist.") from None


@method(WRITE)
def move(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    moved = mailbox.move(message.key, destination(request, mailbox))
    return applied(request, show(request, mailbox, moved), 201)


@method(WRITE)
def copy(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = the_message(request, mailbox)
    target = destination(request, mailbox)
    labels = message.labels
    key = mailbox.add(message.source, folder=target, labels=labels, received_ms=message.received_ms)
    mailbox.announce(key)
    mailbox.note(mailbox.address, "copy", mailbox.id_of(key), target=target)
    return applied(request, show(request, mailbox, mailbox.get(key)), 201)


@method(WRITE)
def delete(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    """Soft delete: Deleted Items first, what is there already goes where only recovery sees it."""
    message = the_message(request, mailbox)
    bin_id = mailbox.place("deleteditems").id
    onward = mailbox.place("recoverableitemsdeletions").id if message.folder == bin_id else bin_id
    mailbox.move(message.key, onward)


@method(WRITE)
def permanent_delete(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    mailbox.delete(the_message(request, mailbox).key)


FLAGS = ("notFlagged", "complete", "flagged")


def patch_state(mailbox: Mailbox, message: Message, body: dict[str, Any]) -> None:
    """Take isRead, flag, categories and importance from a PATCH. Raises Problem."""
    if "isRead" in body:
        read = bool(body["isRead"])
        mailbox.modify(message.key, () if read else (UNREAD,), (UNREAD,) if read else ())
    if "flag" in body:
        status = (body["flag"] or {}).get("flagStatus", "notFlagged")
        if status not in FLAGS:
            raise bad("ErrorInvalidRequest", f"'{status}' is no flagStatus.")
        mailbox.update(message.key, flag=status)
    if "categories" in body:
        mailbox.update(message.key, categories=tuple(map(str, body["categories"] or ())))
    if "importance" in body:
        mailbox.update(message.key, importance=str(body["importance"]))


@method(READ)
def no_such_delta(_sandbox: Sandbox, _request: Request, _mailbox: Mailbox) -> Any:
    raise bad("ErrorInvalidRequest", "Change tracking is supported per folder only.")


def _routes() -> list[Route]:
    folder = USER + r"/mailFolders/(?P<folder>[^/]+)"
    routes: list[Route] = [
        ("GET", folder + "/messages", list_folder_messages),
        ("GET", USER + "/messages", list_messages),
        ("GET", USER + r"/messages/(microsoft\.graph\.)?delta(\(\))?", no_such_delta),
    ]
    for base in (USER, folder):
        one = base + r"/messages/(?P<id>[^/]+)"
        routes += [
            ("GET", one, get_message),
            ("GET", one + r"/\$value", get_mime),
            ("POST", one + "/move", move),
            ("POST", one + "/copy", copy),
            ("DELETE", one, delete),
            ("POST", one + "/permanentDelete", permanent_delete),
        ]
    return routes


ROUTES: list[Route] = _routes()
