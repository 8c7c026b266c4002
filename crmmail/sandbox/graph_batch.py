"""`POST /v1.0/$batch`: up to 20 requests as JSON. The outer answer is 200 whatever happens inside."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import graph_json as shapes
from crmmail.sandbox.http import Request, Response

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

MOST = 20


def batch(sandbox: Sandbox, request: Request) -> Response:
    """Answer each request; one whose dependency failed gets 424."""
    try:
        requests = request.json()["requests"]
        identities = [str(one["id"]) for one in requests]
    except (ValueError, KeyError, TypeError):
        return shapes.error(400, "BadRequest", "Invalid batch payload format.")
    if not requests or len(requests) > MOST:
        return shapes.error(
            400, "MaximumValueExceeded", f"Number of batch request steps exceeds the maximum of {MOST}."
        )
    if len(set(identities)) != len(identities):
        return shapes.error(400, "BadRequest", "The ids of batch requests must be unique.")
    statuses: dict[str, int] = {}
    answers = []
    for one in requests:
        answer = _answer(sandbox, request, one, statuses)
        statuses[str(one["id"])] = answer.status
        answers.append({"id": str(one["id"]), "status": answer.status, **_shape(answer)})
    return Response.of({"responses": answers})


def _answer(sandbox: Sandbox, outer: Request, one: dict[str, Any], statuses: dict[str, int]) -> Response:
    needed = [str(name) for name in one.get("dependsOn") or ()]
    if any(name not in statuses for name in needed):
        return shapes.error(400, "BadRequest", "dependsOn names a request that does not come before this one.")
    if any(statuses[name] >= 400 for name in needed):
        return shapes.error(424, "FailedDependency", "A request this one depends on has failed.")
    headers = {str(name): str(value) for name, value in (one.get("headers") or {}).items()}
    headers.setdefault("Host", outer.header("Host"))
    if outer.header("Authorization"):
        headers.setdefault("Authorization", outer.header("Authorization"))
    body, mime = one.get("body"), headers.get("Content-Type", "application/json")
    octets = b"" if body is None else json.dumps(body).encode()
    if isinstance(body, str) and "json" not in mime:
        octets = body.encode()
    target = "/v1.0/" + str(one.get("url", "")).lstrip("/")
    method = str(one.get("method", "GET")).upper()
    return sandbox.respond(Request(method, target, headers, octets, outer.scheme, outer.connection, inner=True))


def _shape(answer: Response) -> dict[str, Any]:
    headers = {"headers": answer.headers} if answer.headers else {}
    if not answer.body:
        return headers
    if "json" in answer.headers.get("Content-Type", ""):
        return {**headers, "body": answer.json()}
    return {**headers, "body": base64.b64encode(answer.body).decode()}


ROUTES: list[Route] = [("POST", r"/v1\.0/\$batch", batch)]
