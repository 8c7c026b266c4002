"""Gmail API v1: profile, messages, threads, labels, history, aliases. Quirks per reference sheet §1 are kept.

Writing mail (send, drafts, insert, import, uploads) is in `gmail_write`, the batch endpoint in `gmail_batch`.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import gmail_json as shapes
from crmmail.sandbox import gmail_query, mime
from crmmail.sandbox.gmail_json import FULL_SCOPE, SCOPE, Problem
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import Mailbox, Message, Missing, Refused

if TYPE_CHECKING:
    from crmmail.sandbox.server import Grant, Route, Sandbox

Work = Callable[["Sandbox", Request, Mailbox], Any]

FULL = frozenset({FULL_SCOPE})
MODIFY = FULL | {SCOPE + "gmail.modify"}
READ = MODIFY | {SCOPE + "gmail.readonly"}
LOOK = READ | {SCOPE + "gmail.metadata"}
LABELS = MODIFY | {SCOPE + "gmail.labels"}
LABELS_READ = LOOK | LABELS
COMPOSE = MODIFY | {SCOPE + "gmail.compose"}
COMPOSE_READ = COMPOSE | READ
SEND = COMPOSE | {SCOPE + "gmail.send"}
INSERT = MODIFY | {SCOPE + "gmail.insert"}
ALIASES = READ | {SCOPE + "gmail.settings.basic"}
SETTABLE = frozenset({"INBOX", "UNREAD", "STARRED", "IMPORTANT", "SPAM", "TRASH"})


def method(scopes: frozenset[str], units: int, name: str) -> Callable[[Work], Callable[[Sandbox, Request], Response]]:
    """Make a handler of `work`: token, scope, quota and errors around it. `work` returns JSON, or a Response."""

    def wrap(work: Work) -> Callable[[Sandbox, Request], Response]:
        @functools.wraps(work)
        def handle(sandbox: Sandbox, request: Request) -> Response:
            try:
                mailbox = enter(sandbox, request, scopes, units, name)
                with mailbox.lock:
                    result = work(sandbox, request, mailbox)
                return finish(request, result)
            except Problem as problem:
                return problem.response
            except Missing:
                return shapes.missing().response
            except Refused as refused:
                return shapes.error(400, str(refused), "failedPrecondition", "FAILED_PRECONDITION")

        return handle

    return wrap


def enter(sandbox: Sandbox, request: Request, scopes: frozenset[str], units: int, name: str) -> Mailbox:
    """The mailbox the request may work on. Raises Problem."""
    grant = sandbox.authorized(request)
    user = sandbox.users.get(grant.user) if grant else None
    if grant is None or user is None or user.provider != "gmail":
        raise shapes.unauthorized()
    if not grant.scopes & scopes:
        raise shapes.lacks_scope(name)
    asked = request.match.get("user", "me")
    if asked not in ("me", user.address):
        raise Problem(shapes.error(403, f"Delegation denied for {user.address}", "forbidden"))
    metadata_only(request, grant)
    if not sandbox.spend(user.address, units):
        message = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'."
        raise Problem(shapes.error(403, message, "userRateLimitExceeded", "PERMISSION_DENIED", "usageLimits"))
    return user.mailbox


def metadata_only(request: Request, grant: Grant) -> None:
    """The metadata scope alone sees neither bodies nor search. Raises Problem."""
    if grant.scopes & READ or not grant.scopes & LOOK:
        return
    if request.one("q"):
        raise Problem(shapes.error(403, "Metadata scope does not support 'q' parameter", "forbidden"))
    form = request.one("format", "full").lower()
    if form in ("full", "raw") and "messageId" not in request.match and "/messages/" in request.path:
        raise Problem(shapes.error(403, f"Metadata scope doesn't allow format {form.upper()}", "forbidden"))


def finish(request: Request, result: Any) -> Response:
    """The JSON answer, cut down to `fields`. Raises Problem for a selector that makes no sense."""
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204)
    if fields := request.one("fields"):
        try:
            tree = shapes.selector(fields)
        except ValueError:
            raise shapes.bad(f"Invalid field selection {fields}", "invalidParameter") from None
        result = shapes.select(result, tree)
    return Response.of(result)


def body_of(request: Request) -> dict[str, Any]:
    """The JSON body. Raises Problem."""
    try:
        body = request.json()
    except ValueError:
        raise shapes.bad("Invalid JSON payload received.", "parseError") from None
    if not isinstance(body, dict):
        raise shapes.bad("Invalid JSON payload received. Root element must be a message.", "parseError")
    return body


def number(request: Request, name: str, default: int, most: int) -> int:
    """A positive integer parameter, capped. Raises Problem."""
    text = request.one(name)
    if not text:
        return default
    if not text.isdigit():
        raise shapes.bad(f"Invalid value at '{name}' (TYPE_UINT32), \"{text}\"", "invalidParameter")
    return min(int(text) or default, most)


def write_token(**where: Any) -> str:
    """An opaque page token."""
    return base64.urlsafe_b64encode(json.dumps(where, sort_keys=True).encode()).decode().rstrip("=")


def read_token(request: Request) -> dict[str, Any]:
    """What a page token says ({} without one). Raises Problem."""
    text = request.one("pageToken")
    if not text:
        return {}
    try:
        found = json.loads(shapes.unb64(text))
    except ValueError:
        raise shapes.bad("Invalid pageToken", "invalidArgument") from None
    return found if isinstance(found, dict) else {}


# ---- profile and messages ----------------------------------------------------------------------------------------


@method(LOOK | COMPOSE, 1, "GetProfile")
def profile(_sandbox: Sandbox, _request: Request, mailbox: Mailbox) -> Any:
    return {
        "emailAddress": mailbox.address,
        "messagesTotal": len(mailbox.messages),
        "threadsTotal": len({mailbox.thread_of(key) for key in mailbox.messages}),
        "historyId": str(mailbox.sequence),
    }


def matching(sandbox: Sandbox, request: Request, mailbox: Mailbox, before: int | None) -> Iterator[Message]:
    """The messages a list request means, newest first. Raises Problem."""
    wanted = frozenset(request.all("labelIds"))
    for label in wanted - mailbox.places.keys():
        raise shapes.bad(f"Invalid label: {label}", "invalidArgument")
    query = request.one("q")
    test = gmail_query.compile_query(query, mailbox, sandbox.clock())
    everywhere = request.one("includeSpamTrash") == "true" or gmail_query.looks_everywhere(query)
    hidden = frozenset() if everywhere else frozenset({"SPAM", "TRASH"}) - wanted
    for message in mailbox.newest_first(before):
        if wanted <= message.labels and not message.labels & hidden and test(message):
            yield message


def page_of(
    sandbox: Sandbox, request: Request, items: Iterator[Any], size: int, start: Any, last: Callable[[Any], Any]
) -> tuple[list[Any], str]:
    """(items, next page token or ''), with whatever the script wants to go wrong between pages."""
    fault = sandbox.faults.paging(request)
    kind = fault.kind if fault else ""
    if kind == "page_empty":
        return [], write_token(at=start)
    page: list[Any] = []
    token = ""
    for item in items:
        if len(page) == size:
            token = write_token(at=last(page[-1]))
            break
        page.append(item)
    if kind == "page_repeat":
        token = write_token(at=start)
    elif kind == "page_loop":
        token = write_token(at=None)
    elif kind == "page_overlap" and token:
        token = write_token(at=last(page[-1]) + 1)
    elif kind == "page_shuffle":
        page.reverse()
    return page, token


@method(LOOK, 5, "ListMessages")
def list_messages(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    start = read_token(request).get("at")
    found = matching(sandbox, request, mailbox, start)
    size = number(request, "maxResults", 100, 500)
    page, token = page_of(sandbox, request, found, size, start, lambda message: message.key)
    answer: dict[str, Any] = {"resultSizeEstimate": len(page) if not token else max(201, len(page))}
    if page:
        answer["messages"] = [shapes.reference(mailbox, message) for message in page]
    if token:
        answer["nextPageToken"] = token
    return answer


@method(LOOK, 20, "GetMessage")
def get_message(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    form = request.one("format", "full").lower()
    if form not in ("full", "raw", "metadata", "minimal"):
        raise shapes.bad(f"Invalid value at 'format': \"{form}\"", "invalidParameter")
    message = mailbox.get(mailbox.key_of(request.match["id"]))
    return shapes.resource(mailbox, message, form, request.all("metadataHeaders"))


def label_change(body: dict[str, Any], mailbox: Mailbox) -> tuple[list[str], list[str]]:
    """The labels to add and to remove. Raises Problem for those that do not exist or cannot be set."""
    add, remove = body.get("addLabelIds") or [], body.get("removeLabelIds") or []
    if len(add) > 100 or len(remove) > 100:
        raise shapes.bad("Too many labels", "invalidArgument")
    for label in (*add, *remove):
        place = mailbox.places.get(label)
        if place is None or (place.system and label not in SETTABLE and not label.startswith("CATEGORY_")):
            raise shapes.bad(f"Invalid label: {label}", "invalidArgument")
    if both := set(add) & set(remove):
        raise shapes.bad(f"Cannot both add and remove the same label: {sorted(both)[0]}", "invalidArgument")
    return add, remove


def change(mailbox: Mailbox, key: int, add: Iterable[str], remove: Iterable[str]) -> Message:
    """Change labels; a draft takes none (providers.md §1.4)."""
    message = mailbox.get(key)
    if "DRAFT" in message.labels and set(add) - {"TRASH", "UNREAD"}:
        raise shapes.bad("Drafts cannot have labels", "invalidArgument")
    return mailbox.modify(key, add, remove)


@method(MODIFY, 5, "ModifyMessage")
def modify(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    key = mailbox.key_of(request.match["id"])
    return shapes.labelled(mailbox, change(mailbox, key, *label_change(body_of(request), mailbox)))


def some_keys(body: dict[str, Any], mailbox: Mailbox) -> list[int]:
    """The keys of `ids` that exist: batch calls give no guarantee for the others. Raises Problem."""
    ids = body.get("ids") or []
    if not ids or len(ids) > 1000:
        raise shapes.bad("No message ids specified." if not ids else "Too many message ids.", "invalidArgument")
    keys = []
    for item in ids:
        try:
            keys.append(mailbox.key_of(item))
        except Missing:
            continue
    return keys


@method(MODIFY, 50, "BatchModifyMessages")
def batch_modify(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    body = body_of(request)
    add, remove = label_change(body, mailbox)
    keys = some_keys(body, mailbox)
    for key in keys:
        mailbox.guard(key)  # all or nothing: one refusal refuses the call
    for key in keys:
        change(mailbox, key, add, remove)


@method(MODIFY, 20, "TrashMessage")
def trash(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return shapes.labelled(mailbox, mailbox.trash(mailbox.key_of(request.match["id"])))


@method(MODIFY, 5, "UntrashMessage")
def untrash(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    return shapes.labelled(mailbox, mailbox.untrash(mailbox.key_of(request.match["id"])))


@method(FULL, 10, "DeleteMessage")
def delete(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    mailbox.delete(mailbox.key_of(request.match["id"]))


@method(FULL, 50, "BatchDeleteMessages")
def batch_delete(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    keys = some_keys(body_of(request), mailbox)
    for key in keys:
        mailbox.guard(key)
    for key in keys:
        mailbox.delete(key)


@method(READ, 20, "GetAttachment")
def get_attachment(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    message = mailbox.get(mailbox.key_of(request.match["messageId"]))
    try:
        part = shapes.attachment_part(request.match["id"])
    except ValueError:
        raise shapes.bad("Invalid attachment token", "invalidArgument") from None
    for leaf in mime.leaves(mime.parse(message.raw)):
        if leaf.number == part:
            return {"size": len(leaf.content), "data": shapes.b64(leaf.content)}
    raise Missing(part)


def _routes() -> list[Route]:
    base = r"/gmail/v1/users/(?P<user>[^/]+)"
    one = r"/(?P<id>[^/]+)"
    return [
        ("GET", base + "/profile", profile),
        ("GET", base + "/messages", list_messages),
        ("POST", base + "/messages/batchModify", batch_modify),
        ("POST", base + "/messages/batchDelete", batch_delete),
        ("GET", base + "/messages" + one, get_message),
        ("DELETE", base + "/messages" + one, delete),
        ("POST", base + "/messages" + one + "/modify", modify),
        ("POST", base + "/messages" + one + "/trash", trash),
        ("POST", base + "/messages" + one + "/untrash", untrash),
        ("GET", base + "/messages/(?P<messageId>[^/]+)/attachments" + one, get_attachment),
    ]


ROUTES: list[Route] = _routes()
