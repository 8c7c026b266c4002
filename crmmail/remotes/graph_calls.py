"""Graph's calls: immutable ids asked for every time, paced, up to twenty in a batch whose parts are each checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from crmmail.errors import RemoteError, Transient
from crmmail.i18n import _
from crmmail.remotes.batching import Part, persevere
from crmmail.remotes.http import RAW_LIMIT, Answer, Wire
from crmmail.remotes.pace import Bucket

SCOPE = "https://graph.microsoft.com/Mail.ReadWrite"
SEND_SCOPE = "https://graph.microsoft.com/Mail.Send"
IMMUTABLE = 'IdType="ImmutableId"'
CALLS_PER_BATCH = 20
REQUESTS_PER_SECOND, BURST = 9.0, 4000.0
"""4,000 + 600 s × 9 stays below the 10,000 requests in ten minutes that one program may make to one mailbox."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch: `url` relative to the service root; `prefer` beyond immutable ids."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None
    prefer: str = ""


def preferring(extra: str = "") -> str:
    """One Prefer header: several would be dropped by some proxies."""
    return f"{IMMUTABLE}, {extra}" if extra else IMMUTABLE


class Calls:
    """Calls to one mailbox. Safe for the few threads that fetch bodies."""

    def __init__(self, wire: Wire, pace: Bucket) -> None:
        self._wire = wire
        self._pace = pace

    def close(self) -> None:
        """End all connections and all waiting."""
        self._pace.stop()
        self._wire.close()

    def get(self, url: str, prefer: str = "") -> dict[str, Any]:
        """The JSON of one call; `url` is a path or a link of the server's."""
        self._pace.take(1)
        return self._wire.json("GET", url, headers={"Prefer": preferring(prefer)})

    def raw(self, url: str) -> bytes:
        """The bytes of one call."""
        self._pace.take(1)
        headers = {"Prefer": preferring(), "Accept": "*/*"}
        answer = self._wire.ok("GET", url, headers=headers, limit=RAW_LIMIT)
        if answer.headers.get("content-type", "").lower().startswith("text/html"):  # MIME is told as text/plain
            raise Transient(_("Something between here and the server answered instead of it."), status=answer.status)
        return answer.body

    def change(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """The JSON a call answers that is not made again by itself (unless `repeatable`), {} for none."""
        answer = self.once(method, url, **options)
        return answer.json() if answer.body else {}

    def once(self, method: str, url: str, **options: Any) -> Answer:
        """The answer of a call that is not made again by itself (unless `repeatable`)."""
        self._pace.take(1)
        headers = {"Prefer": preferring(), **options.pop("headers", {})}
        return self._wire.ok(method, url, headers=headers, **options)

    def unsigned(self, method: str, url: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """The answer, whatever its status, of a call without our token to an address that needs none."""
        return self._wire.call(method, url, signed=False, content=content, headers=dict(headers or {}))

    def rest(self, seconds: float) -> None:
        """Wait a little. Raises Offline when the connection is closed meanwhile."""
        self._pace.rest(seconds)

    def relative(self, link: str) -> str:
        """A link of the server's as a path below our root. Raises Transient when it lies elsewhere."""
        return self._wire.relative(link)

    def together(self, calls: Sequence[Call]) -> tuple[dict[int, Part], RemoteError | None]:
        """The answers by position, and the error that kept the missing ones away, if any are."""
        renew = partial(self.get, "/me/mailFolders/inbox?$select=id")
        return persevere(len(calls), lambda numbers: self._batches(calls, numbers), renew, self._pace.rest)

    def _batches(self, calls: Sequence[Call], numbers: Sequence[int]) -> dict[int, Part]:
        found: dict[int, Part] = {}
        for start in range(0, len(numbers), CALLS_PER_BATCH):
            chunk = numbers[start : start + CALLS_PER_BATCH]
            self._pace.take(len(chunk))
            body = {"requests": [_request(number, calls[number]) for number in chunk]}
            headers = {"Prefer": preferring()}
            answer = self._wire.json("POST", "/$batch", json=body, headers=headers, repeatable=True)
            found |= _parts(answer)
        return found


def _request(number: int, call: Call) -> dict[str, Any]:
    headers = {"Prefer": preferring(call.prefer)}
    request: dict[str, Any] = {"id": str(number), "method": call.method, "url": call.url}
    if call.body is not None:
        request |= {"body": dict(call.body)}
        headers |= {"Content-Type": "application/json"}
    return request | {"headers": headers}


def _parts(answer: Mapping[str, Any]) -> dict[int, Part]:
    found = {}
    for item in answer.get("responses") or ():
        if (
            not isinstance(item, Mapping)
            or not isinstance(item.get("status"), int)
            or not str(item.get("id")).isdigit()
        ):
            continue
        told = item.get("headers")
        headers = {str(name).lower(): str(text) for name, text in told.items()} if isinstance(told, Mapping) else {}
        body = item.get("body")
        damaged = body is not None and not isinstance(body, Mapping)
        found[int(str(item["id"]))] = Part(item["status"], headers, body, damaged)
    return found
