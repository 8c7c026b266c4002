"""Graph's calls: immutable ids asked for every time, paced, up to twenty in a batch whose parts are each checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmmail.errors import AuthRequired, RemoteError, Transient
from crmmail.i18n import _
from crmmail.remotes import refusals
from crmmail.remotes.http import JSON_LIMIT, RAW_LIMIT, Wire
from crmmail.remotes.pace import Bucket

SCOPE = "https://graph.microsoft.com/Mail.ReadWrite"
IMMUTABLE = 'IdType="ImmutableId"'
CALLS_PER_BATCH = 20
REQUESTS_PER_SECOND, BURST = 9.0, 4000.0
"""4,000 + 600 s × 9 stays below the 10,000 requests in ten minutes that one program may make to one mailbox."""
ROUNDS = 4  # how often the throttled parts of one batch are asked again before the sync thread is told to wait
LONGEST_REST = 8.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch: `url` relative to the service root; `prefer` beyond immutable ids."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None
    prefer: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one call of a batch. `body` is its JSON (None: none)."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.status < 300

    @property
    def told(self) -> Mapping[str, Any]:
        """The body as an object, empty when it is none."""
        return self.body if isinstance(self.body, Mapping) else {}

    def error(self) -> RemoteError:
        """What the refusal means."""
        return refusals.refusal(self.status, self.body, self.headers, scope=SCOPE)


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
        return self._wire.ok("GET", url, headers=headers, limit=RAW_LIMIT).body

    def relative(self, link: str) -> str:
        """A link of the server's as a path below our root. Raises Transient when it lies elsewhere."""
        return self._wire.relative(link)

    def together(self, calls: Sequence[Call]) -> tuple[dict[int, Part], RemoteError | None]:
        """The answers by position, and the error that kept the missing ones away, if any are.

        Each part has its own status, 429 and Retry-After inside a batch that is 200: those are asked again, a few
        times.
        """
        done: dict[int, Part] = {}
        waiting = list(range(len(calls)))
        error: RemoteError | None = None
        for attempt in range(ROUNDS):
            errors: list[RemoteError] = []
            for number, part in self._batches([(number, calls[number]) for number in waiting]).items():
                passing = _passing(part)
                if passing is not None:
                    errors.append(passing)
                elif part is not None:
                    done[number] = part
            waiting = [number for number in waiting if number not in done]
            if not waiting:
                return done, None
            error = _gravest(errors)
            if attempt == ROUNDS - 1 or not self._rested(error, attempt):
                break
        return done, error

    def _batches(self, calls: Sequence[tuple[int, Call]]) -> dict[int, Part | None]:
        found: dict[int, Part | None] = {}
        for start in range(0, len(calls), CALLS_PER_BATCH):
            chunk = calls[start : start + CALLS_PER_BATCH]
            self._pace.take(len(chunk))
            body = {"requests": [_request(number, call) for number, call in chunk]}
            headers = {"Prefer": preferring()}
            answer = self._wire.json("POST", "/$batch", json=body, headers=headers, limit=2 * JSON_LIMIT)
            parts = _parts(answer)
            found |= {number: parts.get(str(number)) for number, _call in chunk}
        return found

    def _rested(self, error: RemoteError, attempt: int) -> bool:
        """Prepare another round: wait as told, or have the token renewed. False when it is too long to wait here."""
        if isinstance(error, AuthRequired):
            if attempt:
                return False
            self.get("/me/mailFolders/inbox?$select=id")  # a part's 401 never reaches the session; this one's does
            return True
        seconds = error.retry_after if isinstance(error, Transient) and error.retry_after else 2.0**attempt
        if seconds > LONGEST_REST:
            return False
        self._pace.rest(seconds)
        return True


def _request(number: int, call: Call) -> dict[str, Any]:
    headers = {"Prefer": preferring(call.prefer)}
    request: dict[str, Any] = {"id": str(number), "method": call.method, "url": call.url}
    if call.body is not None:
        request |= {"body": dict(call.body)}
        headers |= {"Content-Type": "application/json"}
    return request | {"headers": headers}


def _parts(answer: Mapping[str, Any]) -> dict[str, Part]:
    found = {}
    for item in answer.get("responses") or ():
        if not isinstance(item, Mapping) or not isinstance(item.get("status"), int):
            continue
        told = item.get("headers")
        headers = {str(name).lower(): str(text) for name, text in told.items()} if isinstance(told, Mapping) else {}
        found[str(item.get("id"))] = Part(item["status"], headers, item.get("body"))
    return found


def _passing(part: Part | None) -> RemoteError | None:
    """Why a part has to be asked for again; None when its answer stands."""
    if part is None:
        return Transient(_("The server's answer was cut off or makes no sense."))
    if part.ok:
        return None
    error = part.error()
    return error if isinstance(error, Transient | AuthRequired) else None


def _gravest(errors: Sequence[RemoteError]) -> RemoteError:
    """The end of the session before everything else, then the longest wait."""
    over = next((error for error in errors if isinstance(error, AuthRequired)), None)
    waits = [error for error in errors if isinstance(error, Transient)]
    return over or max(waits, key=lambda error: error.retry_after or 0.0)
