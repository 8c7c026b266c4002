"""`POST /batch/gmail/v1`: many requests in one, as multipart/mixed. The outer answer is 200 whatever happens inside."""

from __future__ import annotations

import email
import email.message
import email.policy
import http.client
import io
import secrets
from typing import TYPE_CHECKING

from crmmail.sandbox import gmail_json as shapes
from crmmail.sandbox.http import Request, Response, encode

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

MOST = 100
TOO_MANY = "Too many concurrent requests for user"


def batch(sandbox: Sandbox, request: Request) -> Response:
    """Answer each part on its own; those beyond what may run at once get 429 (providers.md §1.7)."""
    kind = request.header("Content-Type")
    if not kind.startswith("multipart/mixed"):
        return shapes.error(400, "Failed to parse batch request, error: wrong content type.", "badRequest")
    whole = b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n" + request.body
    tree = email.message_from_bytes(whole, policy=email.policy.HTTP)
    parts = (
        [part for part in tree.get_payload() if isinstance(part, email.message.Message)] if tree.is_multipart() else []
    )
    if not parts or len(parts) > MOST:
        return shapes.error(400, f"The batch request may contain 1 to {MOST} requests.", "badRequest")
    answers = []
    for position, part in enumerate(parts):
        answer = _answer(sandbox, request, part, position)
        identity = str(part.get("Content-ID", f"<{position}>")).strip()
        answers.append((f"<response-{identity.strip('<>')}>", answer))
    return _join(sandbox, answers)


def _answer(sandbox: Sandbox, outer: Request, part: email.message.Message, position: int) -> Response:
    inner = _inner(outer, part)
    if inner is None:
        return shapes.error(400, "Failed to parse the inner request.", "badRequest")
    if position >= sandbox.limits.gmail_batch_concurrency:
        return shapes.error(429, TOO_MANY, "rateLimitExceeded", "RESOURCE_EXHAUSTED", "usageLimits")
    if inner.path.startswith(("/upload/", "/batch", "/resumable/")):
        return shapes.error(404, "Not Found", "notFound")
    return sandbox.respond(inner)


def _inner(outer: Request, part: email.message.Message) -> Request | None:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return None
    reader = io.BytesIO(payload.lstrip(b"\r\n"))
    line = reader.readline().decode("latin-1").split()
    if len(line) < 2:
        return None
    headers = http.client.parse_headers(reader)
    if "Authorization" not in headers and outer.header("Authorization"):
        headers["Authorization"] = outer.header("Authorization")
    headers["Host"] = outer.header("Host")
    target = line[1]
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return Request(line[0].upper(), target, headers, reader.read(), outer.scheme, outer.connection, inner=True)


def _join(sandbox: Sandbox, answers: list[tuple[str, Response]]) -> Response:
    boundary = "batch_" + secrets.token_urlsafe(16)
    pieces = []
    for identity, answer in answers:
        head, body = encode(answer, compress=False, now=sandbox.clock())
        pieces.append(
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {identity}\r\n\r\n".encode(
                "latin-1", "replace"
            )
            + head
            + body
            + b"\r\n"
        )
    whole = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return Response(200, whole, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


ROUTES: list[Route] = [("POST", "/batch(/gmail/v1)?", batch)]
