"""The sandbox's own levers, for whoever runs it in another process (the demo, a test of another client).

| | |
|---|---|
| `GET /__sandbox/state` | users, clock, limits |
| `GET /__sandbox/state/{address}` | every message of a user: labels, folder, flags |
| `GET /__sandbox/ledger` | requests, effects, quota units |
| `POST /__sandbox/deliver?address=…&folder=inbox` | the body is a raw message that arrives now; answers `{"id"}` |
| `POST /__sandbox/fault` | `{"kind": …, …}` or `{"preset": "N01", …}` (see `faults`) |
| `DELETE /__sandbox/fault` | ends all faults and refusals |
| `POST /__sandbox/refuse` | `{"address", "id", "sentence"}`; without a sentence the refusal ends |
| `POST /__sandbox/token` | `{"address", "scopes", "lifetime"}` → `{"token"}` |
| `POST /__sandbox/revoke`, `/expire` | `{"address"}`: every access token of the user |
| `POST /__sandbox/cursors` | `{"address"}`: history ids and delta tokens given so far have expired |
| `POST /__sandbox/clock` | `{"advance": seconds}` |
| `POST /__sandbox/limits` | `{"gmail_units_per_minute": 6000, …}` |
| `POST /__sandbox/pause` | `{"seconds": 3}`: connections are refused, then the server is back |

Requests that come from a web page (they carry an Origin) are refused.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.mailbox import Mailbox, Missing

if TYPE_CHECKING:
    from crmmail.sandbox.server import Route, Sandbox

Work = Callable[["Sandbox", Request], Any]


def lever(work: Work) -> Callable[[Sandbox, Request], Response]:
    """Make a handler of `work`: JSON out, a sentence for what is wrong."""

    @functools.wraps(work)
    def handle(sandbox: Sandbox, request: Request) -> Response:
        if request.header("Origin"):
            return Response.of({"error": "Not from a web page."}, 403)
        try:
            return Response.of(work(sandbox, request) or {})
        except (KeyError, ValueError, TypeError, AttributeError, Missing) as wrong:
            return Response.of({"error": f"{type(wrong).__name__}: {wrong}"}, 400)

    return handle


def mailbox_of(sandbox: Sandbox, request: Request) -> Mailbox:
    """The mailbox of the address in the path, the query or the body. Raises KeyError."""
    address = request.match.get("address") or request.one("address") or request.json()["address"]
    return sandbox.mailbox(str(address))


@lever
def state(sandbox: Sandbox, _request: Request) -> Any:
    users = [{"address": u.address, "provider": u.provider, "name": u.name} for u in sandbox.users.values()]
    return {"users": users, "clock": sandbox.clock(), "limits": limits_of(sandbox)}


def limits_of(sandbox: Sandbox) -> dict[str, Any]:
    """The limits as JSON can say them."""
    return {name: sorted(v) if isinstance(v, frozenset) else v for name, v in asdict(sandbox.limits).items()}


@lever
def mailbox_state(sandbox: Sandbox, request: Request) -> Any:
    return mailbox_of(sandbox, request).state()


@lever
def ledger(sandbox: Sandbox, _request: Request) -> Any:
    return sandbox.ledger.plain()


@lever
def deliver(sandbox: Sandbox, request: Request) -> Any:
    mailbox = sandbox.mailbox(request.one("address"))
    key = mailbox.deliver(request.body, folder=request.one("folder", "inbox"))
    return {"id": mailbox.id_of(key)}


@lever
def add_fault(sandbox: Sandbox, request: Request) -> Any:
    options = request.json()
    if preset := options.pop("preset", ""):
        return {"faults": len(sandbox.faults.preset(preset, **options))}
    sandbox.faults.add(options.pop("kind"), **options)
    return {"faults": 1}


@lever
def clear_faults(sandbox: Sandbox, _request: Request) -> Any:
    sandbox.faults.clear()


@lever
def refuse(sandbox: Sandbox, request: Request) -> Any:
    body = request.json()
    if body.get("sentence"):
        sandbox.faults.refuse(body["address"], body["id"], body["sentence"])
    else:
        sandbox.faults.allow(body["address"], body["id"])


@lever
def issue(sandbox: Sandbox, request: Request) -> Any:
    body = request.json()
    return {"token": sandbox.grants.issue(body["address"], body["scopes"], float(body.get("lifetime", 3600)))}


@lever
def revoke(sandbox: Sandbox, request: Request) -> Any:
    sandbox.grants.revoke_all(mailbox_of(sandbox, request).address)


@lever
def expire(sandbox: Sandbox, request: Request) -> Any:
    sandbox.grants.expire(mailbox_of(sandbox, request).address)


@lever
def expire_cursors(sandbox: Sandbox, request: Request) -> Any:
    mailbox_of(sandbox, request).expire_cursors()


@lever
def advance(sandbox: Sandbox, request: Request) -> Any:
    sandbox.clock.advance(float(request.json()["advance"]))
    return {"clock": sandbox.clock()}


@lever
def set_limits(sandbox: Sandbox, request: Request) -> Any:
    for name, value in request.json().items():
        getattr(sandbox.limits, name)
        setattr(sandbox.limits, name, value)
    return limits_of(sandbox)


@lever
def pause(sandbox: Sandbox, request: Request) -> Any:
    seconds = float(request.json().get("seconds", 1.0))
    down = threading.Timer(0.05, sandbox.pause)  # after this answer is out
    up = threading.Timer(0.05 + seconds, sandbox.resume)
    for timer in (down, up):
        timer.daemon = True
        timer.start()


ROUTES: list[Route] = [
    ("GET", "/__sandbox/state", state),
    ("GET", "/__sandbox/state/(?P<address>[^/]+)", mailbox_state),
    ("GET", "/__sandbox/ledger", ledger),
    ("POST", "/__sandbox/deliver", deliver),
    ("POST", "/__sandbox/fault", add_fault),
    ("DELETE", "/__sandbox/fault", clear_faults),
    ("POST", "/__sandbox/refuse", refuse),
    ("POST", "/__sandbox/token", issue),
    ("POST", "/__sandbox/revoke", revoke),
    ("POST", "/__sandbox/expire", expire),
    ("POST", "/__sandbox/cursors", expire_cursors),
    ("POST", "/__sandbox/clock", advance),
    ("POST", "/__sandbox/limits", set_limits),
    ("POST", "/__sandbox/pause", pause),
]
