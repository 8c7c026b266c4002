"""Gmail API v1: threads, and the history that sync follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import gmail_json as shapes
from crmmail.sandbox.gmail import (
    FULL,
    LOOK,
    MODIFY,
    Work,
    body_of,
    change,
    label_change,
    matching,
    method,
    number,
    page_of,
    read_token,
    write_token,
)
from crmmail.sandbox.http import Request
from crmmail.sandbox.mailbox import Event, Mailbox, Message, Missing

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox


# ---- threads -----------------------------------------------------------------------------------------------------


def in_thread(mailbox: Mailbox, thread: str) -> list[Message]:
    """The messages of a thread, oldest first. Raises Missing."""
    wanted = shapes_id(thread)
    found = [message for message in mailbox.oldest_first() if mailbox.thread_of(message.key) == wanted]
    if not found:
        raise Missing(thread)
    return found


def shapes_id(item: str) -> int:
    """A hex id as a number. Raises Missing."""
    try:
        return int(item, 16)
    except ValueError:
        raise Missing(item) from None


@method(LOOK, 10, "ListThreads")
def list_threads(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    start = read_token(request).get("at")
    size = number(request, "maxResults", 100, 500)
    seen = {mailbox.thread_of(m.key) for m in mailbox.newest_first() if start is not None and m.key >= start}

    def fresh() -> Iterator[Message]:
        for message in matching(sandbox, request, mailbox, start):
            thread = mailbox.thread_of(message.key)
            if thread not in seen:
                seen.add(thread)
                yield message

    page, token = page_of(sandbox, request, fresh(), size, start, lambda message: message.key)
    answer: dict[str, Any] = {"resultSizeEstimate": len(page) if not token else max(201, len(page))}
    if page:
        answer["threads"] = [thread_line(mailbox, message) for message in page]
    if token:
        answer["nextPageToken"] = token
    return answer


def thread_line(mailbox: Mailbox, newest: Message) -> dict[str, Any]:
    """`{id, snippet, historyId}` of the thread of its newest message."""
    shown = shapes.resource(mailbox, newest, "minimal")
    return {"id": shown["threadId"], "snippet": shown["snippet"], "historyId": shown["historyId"]}


@method(LOOK, 40, "GetThread")
def get_thread(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    form = request.one("format", "full").lower()
    if form not in ("full", "metadata", "minimal"):
        raise shapes.bad(f"Invalid value at 'format': \"{form}\"", "invalidParameter")
    found = in_thread(mailbox, request.match["id"])
    wanted = request.all("metadataHeaders")
    return {
        "id": request.match["id"],
        "historyId": str(max(message.sequence for message in found)),
        "messages": [shapes.resource(mailbox, message, form, wanted) for message in found],
    }


def on_thread(act: Callable[[Mailbox, Message, Request], Any]) -> Work:
    """Work that does `act` to every message now in the thread."""

    def work(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
        for message in in_thread(mailbox, request.match["id"]):
            act(mailbox, message, request)
        return {"id": request.match["id"]}

    return work


def _modify_one(mailbox: Mailbox, message: Message, request: Request) -> None:
    change(mailbox, message.key, *label_change(body_of(request), mailbox))


modify_thread = method(MODIFY, 10, "ModifyThread")(on_thread(_modify_one))
trash_thread = method(MODIFY, 20, "TrashThread")(on_thread(lambda mailbox, message, _: mailbox.trash(message.key)))
untrash_thread = method(MODIFY, 20, "UntrashThread")(on_thread(lambda mailbox, m, _: mailbox.untrash(m.key)))


@method(FULL, 20, "DeleteThread")
def delete_thread(_sandbox: Sandbox, request: Request, mailbox: Mailbox) -> None:
    for message in in_thread(mailbox, request.match["id"]):
        mailbox.delete(message.key)


# ---- history -----------------------------------------------------------------------------------------------------

HISTORY_TYPES = ("messageAdded", "messageDeleted", "labelAdded", "labelRemoved")


@method(LOOK, 2, "ListHistory")
def history(sandbox: Sandbox, request: Request, mailbox: Mailbox) -> Any:
    start = request.one("startHistoryId")
    if not start.isdigit():
        raise shapes.bad("Missing or invalid startHistoryId", "invalidArgument")
    fault = sandbox.faults.paging(request)
    if (fault and fault.kind == "expired") or int(start) < mailbox.oldest_sequence or int(start) > mailbox.sequence:
        raise shapes.missing()  # Gmail says 404, not 410
    position = read_token(request).get("at") or int(start)
    size = number(request, "maxResults", 100, 500)
    events = mailbox.events_after(position)
    page, more = events[:size], len(events) > size
    token = write_token(at=page[-1].sequence) if more else ""
    if fault:
        page, token = _odd_history(fault.kind, page, token, position, int(start))
    records = [record for event in page if (record := history_record(mailbox, event, request))]
    answer: dict[str, Any] = {"historyId": str(mailbox.sequence)}
    if records:
        answer["history"] = records  # a page whose records were all filtered out has a token and no history
    if token:
        answer["nextPageToken"] = token
    return answer


def _odd_history(kind: str, page: list[Event], token: str, at: int, start: int) -> tuple[list[Event], str]:
    match kind:
        case "page_empty":
            return [], write_token(at=at)
        case "page_repeat":
            return page, write_token(at=at)
        case "page_loop":
            return page, write_token(at=start)
        case "page_overlap" if token and page:
            return page, write_token(at=page[-1].sequence - 1)
        case "page_shuffle":
            return page[::-1], token
        case _:
            return page, token


def history_record(mailbox: Mailbox, event: Event, request: Request) -> dict[str, Any] | None:
    """The History resource of an event; None when the request's filters leave nothing of it."""
    kinds = request.all("historyTypes") or HISTORY_TYPES
    label = request.one("labelId")
    if label and label not in event.labels | event.lost:
        return None
    thread = mailbox.thread_of(event.key) if event.key in mailbox.messages else event.thread or event.key
    plain = {"id": mailbox.id_of(event.key), "threadId": mailbox.id_of(thread)}
    shown = plain | ({"labelIds": sorted(event.labels)} if event.labels else {})
    record: dict[str, Any] = {"id": str(event.sequence), "messages": [plain]}
    if event.kind == "added" and "messageAdded" in kinds:
        record["messagesAdded"] = [{"message": shown}]
    elif event.kind == "deleted" and "messageDeleted" in kinds:
        record["messagesDeleted"] = [{"message": shown}]
    elif event.kind == "labels":
        if event.gained and "labelAdded" in kinds:
            record["labelsAdded"] = [{"message": shown, "labelIds": sorted(event.gained)}]
        if event.lost and "labelRemoved" in kinds:
            record["labelsRemoved"] = [{"message": shown, "labelIds": sorted(event.lost)}]
    return record if len(record) > 2 else None


def _routes() -> list[Route]:
    base = r"/gmail/v1/users/(?P<user>[^/]+)"
    one = r"/(?P<id>[^/]+)"
    return [
        ("GET", base + "/threads", list_threads),
        ("GET", base + "/threads" + one, get_thread),
        ("DELETE", base + "/threads" + one, delete_thread),
        ("POST", base + "/threads" + one + "/modify", modify_thread),
        ("POST", base + "/threads" + one + "/trash", trash_thread),
        ("POST", base + "/threads" + one + "/untrash", untrash_thread),
        ("GET", base + "/history", history),
    ]


ROUTES: list[Route] = _routes()
