"""Gmail API shapes: a stored message as the JSON of the API, its errors, its partial responses. No I/O."""

from __future__ import annotations

import base64
import email.message
import html
import re
from typing import Any

from crmmail.sandbox import mime
from crmmail.sandbox.http import Response
from crmmail.sandbox.mailbox import Mailbox, Message

SCOPE = "https://www.googleapis.com/auth/"
FULL_SCOPE = "https://mail.google.com/"
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


class Problem(Exception):
    """A request the API answers with an error."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def error(status: int, message: str, reason: str, state: str = "", domain: str = "global", **more: Any) -> Response:
    """An error answer in Google's shape. `more` adds fields to the error (details, …)."""
    one: dict[str, Any] = {"message": message, "domain": domain, "reason": reason}
    if status == 401:
        one |= {"location": "Authorization", "locationType": "header"}
    body = {"code": status, "message": message, "errors": [one], "status": state or STATUSES.get(status, "UNKNOWN")}
    return Response.of({"error": {**body, **more}}, status)


def bad(message: str, reason: str = "badRequest", status: int = 400, state: str = "") -> Problem:
    """A Problem for a request that makes no sense."""
    return Problem(error(status, message, reason, state))


def missing() -> Problem:
    """404 as Gmail says it."""
    return Problem(error(404, "Requested entity was not found.", "notFound"))


def unauthorized() -> Problem:
    """401: no token, an expired one, or a wrong one."""
    response = error(401, UNAUTHENTICATED, "authError")
    response.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    return Problem(response)


def lacks_scope(method: str) -> Problem:
    """403: the token is good, but was not given for this."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": "gmail.googleapis.com", "method": f"caribou.api.proto.MailboxService.{method}"},
    }
    message = "Request had insufficient authentication scopes."
    response = error(403, message, "insufficientPermissions", details=[info])
    response.headers["WWW-Authenticate"] = (
        'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="https://mail.google.com/"'
    )
    return Problem(response)


def b64(content: bytes) -> str:
    """base64url, as Gmail sends it (padded)."""
    return base64.urlsafe_b64encode(content).decode()


def unb64(text: str) -> bytes:
    """base64url or base64, padded or not. Raises ValueError."""
    plain = text.replace("+", "-").replace("/", "_").rstrip("=")
    if not re.fullmatch(r"[\w-]*", plain, re.ASCII):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))


def reference(mailbox: Mailbox, message: Message) -> dict[str, Any]:
    """`{id, threadId}`"""
    return {"id": mailbox.id_of(message.key), "threadId": mailbox.id_of(mailbox.thread_of(message.key))}


def labelled(mailbox: Mailbox, message: Message) -> dict[str, Any]:
    """`{id, threadId, labelIds}`: the answer to a change. `labelIds` is absent when there are none."""
    labels = {"labelIds": sorted(message.labels)} if message.labels else {}
    return {**reference(mailbox, message), **labels}


def resource(mailbox: Mailbox, message: Message, form: str, wanted: list[str] | None = None) -> dict[str, Any]:
    """The Message resource in `form` minimal, metadata, full or raw; `wanted` headers for metadata."""
    raw = message.raw
    tree = mime.parse(raw)
    shown = labelled(mailbox, message) | {
        "snippet": html.escape(mime.preview(list(mime.leaves(tree)), 200), quote=True).replace("&#x27;", "&#39;"),
        "sizeEstimate": message.size,
        "historyId": str(message.sequence),
        "internalDate": str(message.received_ms),
    }
    if form == "raw":
        shown["raw"] = b64(raw)
    elif form == "metadata":
        names = {name.lower() for name in wanted or []}
        pairs = mime.headers(raw)
        kept = [{"name": n, "value": v} for n, v in pairs if not names or n.lower() in names]
        shown["payload"] = {"mimeType": tree.get_content_type(), "headers": kept}
    elif form == "full":
        shown["payload"] = payload(tree, mime.headers(raw))
    return shown


def payload(
    part: email.message.Message, pairs: list[tuple[str, str]] | None = None, number: str = "", depth: int = 0
) -> dict[str, Any]:
    """The MessagePart tree. Small text is inline, everything with a file name only behind an attachment id."""
    named = pairs if pairs is not None else [(n, mime.decode_header(str(v))) for n, v in part.items()]
    shown: dict[str, Any] = {
        "partId": number,
        "mimeType": part.get_content_type(),
        "filename": mime.file_name(part),
        "headers": [{"name": name, "value": value} for name, value in named],
    }
    inner = part.get_payload() if part.is_multipart() else None
    if isinstance(inner, list) and depth < mime.MAX_DEPTH:
        shown["body"] = {"size": 0}
        shown["parts"] = [
            payload(child, None, f"{number}.{position}".lstrip("."), depth + 1)
            for position, child in enumerate(inner)
            if isinstance(child, email.message.Message)
        ]
        return shown
    leaf = next(mime.leaves(part, number), None)
    content = leaf.content if leaf else b""
    shown["body"] = {"size": len(content)}
    if leaf and (leaf.name or leaf.attached):
        shown["body"]["attachmentId"] = attachment_id(number)
    elif content:
        shown["body"]["data"] = b64(content)
    return shown


_serial = iter(range(1, 1 << 62))


def attachment_id(number: str) -> str:
    """An attachment id. Short-lived: every get makes new ones (providers.md §1.2)."""
    return "ANGjdJ" + b64(f"{next(_serial)}:{number}".encode()).rstrip("=")


def attachment_part(identity: str) -> str:
    """The partId in an attachment id. Raises ValueError."""
    if not identity.startswith("ANGjdJ"):
        raise ValueError(identity)
    return unb64(identity[6:]).decode().partition(":")[2]


# ---- partial responses -------------------------------------------------------------------------------------------

FIELD_NAMES = frozenset(
    re.findall(
        r"\w+",
        "attachmentId backgroundColor body color data displayName draft drafts emailAddress filename headers history "
        "historyId id internalDate isDefault isPrimary labelIds labelListVisibility labels labelsAdded labelsRemoved "
        "message messageListVisibility messages messagesAdded messagesDeleted messagesTotal messagesUnread mimeType "
        "name nextPageToken partId parts payload raw replyToAddress resultSizeEstimate sendAs sendAsEmail signature "
        "size sizeEstimate snippet textColor threadId threads threadsTotal threadsUnread treatAsAlias type value "
        "verificationStatus",
    )
)
_TOKEN = re.compile(r"[A-Za-z0-9_.@$-]+|\*|[(),/]")
Tree = dict[str, Any]


def selector(text: str) -> Tree:
    """`messages(id,threadId),nextPageToken` as a tree. Raises ValueError."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise ValueError(text)
    tree, rest = _fields(tokens)
    if rest or not tree:
        raise ValueError(text)
    return tree


def _fields(tokens: list[str]) -> tuple[Tree, list[str]]:
    tree: Tree = {}
    while tokens and tokens[0] != ")":
        tokens = _path(tree, tokens)
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
            if not tokens:
                raise ValueError("ends with a comma")
    return tree, tokens


def _path(tree: Tree, tokens: list[str]) -> list[str]:
    name, *tokens = tokens
    if name != "*" and name not in FIELD_NAMES:
        raise ValueError(name)
    if tokens and tokens[0] == "/":
        return _path(tree.setdefault(name, {}), tokens[1:])
    if tokens and tokens[0] == "(":
        inner, tokens = _fields(tokens[1:])
        if not tokens or not inner:
            raise ValueError("unbalanced")
        tree.setdefault(name, {}).update(inner)
        return tokens[1:]
    tree[name] = {}
    return tokens


def select(value: Any, tree: Tree) -> Any:
    """What of `value` the selector keeps."""
    if not tree:
        return value
    if isinstance(value, list):
        return [select(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    anything = tree.get("*")
    rest: Tree = anything or {}
    return {
        key: select(item, tree.get(key, rest)) for key, item in value.items() if key in tree or anything is not None
    }
