"""Scripted faults: what goes wrong, for which request, how often.

    sandbox.faults.add("status", path=r"/messages", status=503, times=3)
    sandbox.faults.preset("N03", path=r"/history", at=120)
    sandbox.faults.refuse("ana@example.com", message_id, "This message is under legal hold.")

A fault counts the requests its method and path match, and fires on those that `nth`, `every`, `first` or
`probability` (with `seed`) picks; `times` ends it. `asks` also looks into the body, for an API that has one address
for all its methods. Kinds, by the moment they act:

| when | kinds |
|---|---|
| before the body is read | `reset_unread` |
| before the work is done | `latency`, `reset_before`, `silent`, `act` (calls `call()` first: something else changes) |
| instead of the work (also inside a batch) | `status`, `redirect`, `html`, `missing` |
| the work is done, the answer is changed | `late_status`, `extra_headers`, `bad_json` |
| the work is done, the wire fails | `reset_after`, `truncate`, `wrong_length`, `drip`, `endless` |
| while a list is cut into pages | `page_empty`, `page_repeat`, `page_loop`, `page_overlap`, `page_shuffle`, `expired` |
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from crmmail.sandbox.http import Request, Response, Wire

BEFORE = frozenset({"reset_unread", "latency", "reset_before", "silent", "act"})
INSTEAD = frozenset({"status", "redirect", "html", "missing"})
AFTER = frozenset({"late_status", "extra_headers", "bad_json"})
WIRE = frozenset({"reset_after", "truncate", "wrong_length", "drip", "endless"})
PAGING = frozenset({"page_empty", "page_repeat", "page_loop", "page_overlap", "page_shuffle", "expired"})
KINDS = BEFORE | INSTEAD | AFTER | WIRE | PAGING

ERROR_PAGE = "<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body><h1>Hello</h1></body></html>"


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong. `fired` tells how often it did, `seen` how many requests it was asked about."""

    kind: str
    method: str = "*"
    path: str = ""  # a regular expression searched in the path with its query
    asks: str = ""  # one searched in the body: such a fault cannot be of the kind that acts before it is read
    user: str = ""
    nth: tuple[int, ...] = ()  # 1 is the first matching request
    every: int = 0
    first: int = 0
    probability: float = 1.0
    seed: int = 0
    times: int | None = None
    status: int = 503
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    at: int = 0  # the byte of the body where it is cut
    rate: int = 10_000_000  # bytes a second of an endless body
    location: str = ""
    call: Callable[[], Any] | None = None
    seen: int = 0
    fired: int = 0
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no fault; there are {', '.join(sorted(KINDS))}")
        re.compile(self.path)
        re.compile(self.asks)
        self.chance.seed(self.seed)

    def meets(self, request: Request) -> bool:
        """Whether `request` is one this fault counts."""
        return (
            self.method in ("*", request.method)
            and (not self.user or self.user == request.user)
            and re.search(self.path, request.target) is not None
            and (not self.asks or re.search(self.asks, request.body.decode("utf-8", "replace")) is not None)
        )

    def strikes(self) -> bool:
        """Count a request that `meets`, and say whether this one is hit."""
        self.seen += 1
        if self.times is not None and self.fired >= self.times:
            return False
        hit = (
            (not self.nth or self.seen in self.nth)
            and (not self.every or self.seen % self.every == 0)
            and (not self.first or self.seen <= self.first)
            and (self.probability >= 1.0 or self.chance.random() < self.probability)
        )
        self.fired += hit
        return hit

    # The moments of an exchange, in order.

    def before_body(self, wire: Wire) -> None:
        """The head is read, the body is not."""
        if self.kind == "reset_unread":
            wire.reset()

    def before_work(self, wire: Wire, request: Request) -> None:
        """The request is read whole, nothing is done."""
        if self.kind == "latency":
            wire.wait(self.seconds)
        elif self.kind == "reset_before":
            wire.reset()
        elif self.kind == "silent":
            wire.wait(self.seconds or 3600)
            wire.close()
        elif self.kind == "act" and self.call:
            self.call()

    def answer(self, request: Request) -> Response | None:
        """An answer given instead of doing the work; None where this fault is of another moment."""
        match self.kind:
            case "status":
                return self._scripted(self.status)
            case "html":
                return Response.text(ERROR_PAGE, 200, "text/html; charset=utf-8")
            case "redirect":
                return Response(302, b"", {"Location": self.location or f"http://localhost:9{request.target}"})
            case "missing":
                return missing(request)
            case _:
                return None

    def on_response(self, request: Request, response: Response) -> Response:
        """The work is done: the answer may still be replaced."""
        if self.kind == "late_status":
            return self._scripted(self.status)
        if self.kind == "extra_headers":
            response.headers.update(self.headers)
        if self.kind == "bad_json":
            response.body = response.body[: max(1, len(response.body) - 7)]
        return response

    def on_wire(self, wire: Wire, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        """The bytes are ready: they may be cut, slowed or never end."""
        match self.kind:
            case "reset_after":
                wire.reset()
            case "truncate":
                wire.send(head + body[: self.at])
                wire.close()
            case "wrong_length":
                wire.send(re.sub(rb"(?i)(Content-Length: )\d+", rb"\g<1>%d" % (len(body) + 512), head) + body)
                wire.close()
            case "drip":
                self._drip(wire, head + body)
            case "endless":
                self._pour(wire, head)
        return head, body

    def _scripted(self, status: int) -> Response:
        body = self.body if isinstance(self.body, str) else json.dumps(self.body if self.body is not None else {})
        return Response(status, body.encode(), {"Content-Type": "application/json", **self.headers})

    def _drip(self, wire: Wire, octets: bytes) -> None:
        for number in range(len(octets)):
            wire.wait(self.seconds or 5.0)
            if wire.stopping.is_set():
                break
            wire.send(octets[number : number + 1])
        wire.close()

    def _pour(self, wire: Wire, head: bytes) -> None:
        wire.send(re.sub(rb"(?i)Content-Length: \d+", b"Connection: close", head) + b'{"messages":["')
        block = b"x" * max(1, self.rate // 20)
        while not wire.stopping.is_set():
            wire.send(block)
            wire.wait(0.05)
        wire.close()


def missing(request: Request) -> Response:
    """404 in the words of whichever API was asked."""
    from crmmail.sandbox import gmail_json, graph_json

    if request.path.startswith("/v1.0"):
        return graph_json.error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return gmail_json.error(404, "Requested entity was not found.", "notFound", "NOT_FOUND")


class Faults:
    """The script. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.active: list[Fault] = []
        self.refusals: dict[tuple[str, str], str] = {}  # (address, message id) → sentence

    def add(self, kind: str | Fault, *, nth: int | Iterable[int] = (), **options: Any) -> Fault:
        """Put a fault in the script; see `Fault` for the options. `nth` may be one number."""
        chosen = (nth,) if isinstance(nth, int) else tuple(nth)
        fault = kind if isinstance(kind, Fault) else Fault(kind, nth=chosen, **options)
        with self._lock:
            self.active.append(fault)
        return fault

    def preset(self, row: str, **changes: Any) -> list[Fault]:
        """The faults of a row of faults.json (`N01` … `S06`); `changes` override the options of each."""
        return [self.add(Fault(**{**options, **changes})) for options in PRESETS[row]]

    def refuse(self, address: str, message_id: str, sentence: str) -> None:
        """From now on every change of this message is refused, with `sentence`."""
        self.refusals[address.lower(), message_id] = sentence

    def allow(self, address: str, message_id: str) -> None:
        """Take a refusal back."""
        self.refusals.pop((address.lower(), message_id), None)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self.active.clear()
            self.refusals.clear()

    def plan(self, request: Request) -> list[Fault]:
        """The faults of the connection and the answer that hit `request`, in the order they were added."""
        return self._hits(request, BEFORE | AFTER | WIRE, reading=False)

    def plan_read(self, request: Request) -> list[Fault]:
        """The same for those that look into the body, once it is read."""
        return self._hits(request, BEFORE | AFTER | WIRE, reading=True)

    def answer(self, request: Request) -> Response | None:
        """What is answered instead of doing the work, or None: all is well."""
        hits = self._hits(request, INSTEAD)
        return hits[0].answer(request) if hits else None

    def paging(self, request: Request) -> Fault | None:
        """The fault that hits this list request, if any: `page_*` or `expired`."""
        hits = self._hits(request, PAGING)
        return hits[0] if hits else None

    def _hits(self, request: Request, kinds: frozenset[str], reading: bool | None = None) -> list[Fault]:
        with self._lock:
            wanted = [one for one in self.active if one.kind in kinds and reading in (None, bool(one.asks))]
            candidates = [fault for fault in wanted if fault.meets(request)]
            return [fault for fault in candidates if fault.strikes()]


def _gmail_limit(reason: str) -> dict[str, Any]:
    return {
        "error": {
            "code": 403,
            "message": "User Rate Limit Exceeded",
            "status": "PERMISSION_DENIED",
            "errors": [{"domain": "usageLimits", "reason": reason, "message": "User Rate Limit Exceeded"}],
        }
    }


def _retry(after: str | None) -> dict[str, Any]:
    headers = {} if after is None else {"Retry-After": after}
    body = {"error": {"code": 429, "message": "Too many requests", "status": "RESOURCE_EXHAUSTED"}}
    return {"kind": "status", "status": 429, "headers": headers, "body": body, "times": 1}


_UNAUTHORIZED = {"kind": "status", "status": 401, "body": {"error": {"code": 401, "message": "Invalid Credentials"}}}
_SEND = {"method": "POST", "path": r"(/send|/sendMail)(\?|$)", "times": 1}

PRESETS: dict[str, list[dict[str, Any]]] = {
    "N01": [{"kind": "reset_unread", "method": "GET", "times": 1}],
    "N02": [{"kind": "reset_before", "method": "GET", "times": 1}],
    "N03": [{"kind": "truncate", "method": "GET", "at": 40, "times": 1}],
    "N04": [{"kind": "bad_json", "times": 1}],
    "N04-length": [{"kind": "wrong_length", "times": 1}],
    "N04-html": [{"kind": "html", "times": 1}],
    "N05": [{"kind": "drip", "seconds": 5.0, "times": 1}],
    "N06": [{"kind": "silent", "times": 1}],
    "N07": [{"kind": "endless", "times": 1}],
    "N09": [{"kind": "redirect", "times": 1}],
    "R01": [_retry("3")],
    "R02": [_retry("Wed, 01 Jan 2025 00:00:00 GMT")],
    "R02-negative": [_retry("-5")],
    "R02-huge": [_retry("1000000000")],
    "R02-absent": [_retry(None)],
    "R03": [{"kind": "status", "status": 403, "body": _gmail_limit("rateLimitExceeded"), "times": 1}],
    "R03-user": [{"kind": "status", "status": 403, "body": _gmail_limit("userRateLimitExceeded"), "times": 1}],
    "R04": [{"kind": "status", "status": status, "nth": (n,)} for n, status in enumerate((500, 502, 503, 504), 1)],
    "R05": [{"kind": "extra_headers", "headers": {"Retry-After": "30"}, **_SEND}],
    "A01": [{**_UNAUTHORIZED, "times": 1}],
    "A02": [_UNAUTHORIZED],
    "A03": [{"kind": "status", "status": 400, "path": r"/token", "body": {"error": "invalid_grant"}}],
    "A04": [{"kind": "reset_after", "path": r"/token", "times": 1}],
    "A07": [{**_UNAUTHORIZED, **_SEND}],
    "C01": [{"kind": "expired", "path": r"/history", "times": 1}],
    "C02": [{"kind": "expired", "path": r"delta", "times": 1, "status": 410}],
    "C02-unknown": [{"kind": "expired", "path": r"delta", "times": 1, "body": "syncStateNotFound", "status": 400}],
    "C02-resync": [{"kind": "expired", "path": r"delta", "times": 1, "body": "resyncRequired", "status": 400}],
    "C04": [{"kind": "page_repeat", "times": 1}],
    "C04-overlap": [{"kind": "page_overlap"}],
    "C04-order": [{"kind": "page_shuffle"}],
    "C05": [{"kind": "page_loop"}],
    "C05-empty": [{"kind": "page_empty", "times": 1}],
    "C06": [{"kind": "missing", "method": "GET", "path": r"/messages/(?!delta)[^/?]+(\?|/\$value|$)", "times": 1}],
    "C12": [{"kind": "reset_before", "every": 50}],
    "S01": [{"kind": "reset_unread", **_SEND}],
    "S02": [{"kind": "reset_before", **_SEND}],
    "S03": [{"kind": "reset_after", **_SEND}],
    "S04": [{"kind": "late_status", "status": 503, **_SEND}],
    "S07": [
        {"kind": "status", "status": 400, "body": {"error": {"code": 400, "message": "Recipient refused"}}, **_SEND}
    ],
}
