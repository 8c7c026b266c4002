"""Gmail's calls: paced in quota units, several to a batch, with the throttled parts of a batch asked again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

from crmmail.errors import Rejected, RemoteError
from crmmail.model import Incoming
from crmmail.remotes import gmail_batch, gmail_json
from crmmail.remotes.batching import Part, persevere
from crmmail.remotes.gmail_batch import Call
from crmmail.remotes.http import JSON_LIMIT, RAW_LIMIT, Answer, TooLarge, Wire, decoded
from crmmail.remotes.pace import Bucket

USER = "/gmail/v1/users/me"
UNITS = {
    "profile": 1.0,
    "list": 5.0,
    "get": 20.0,
    "labels": 1.0,
    "history": 2.0,
    "modify": 5.0,
    "batchModify": 50.0,
    "delete": 10.0,
    "batchDelete": 50.0,
    "aliases": 1.0,
    "listDrafts": 5.0,
    "getDraft": 20.0,
    "createDraft": 10.0,
    "updateDraft": 15.0,
    "deleteDraft": 10.0,
    "sendDraft": 100.0,
}
"""Quota units a call costs, table of 2026-05 (Gmail API, "Usage limits")."""
MODIFY_SCOPE = "https://www.googleapis.com/auth/gmail.modify"
DELETE_SCOPE = "https://mail.google.com/"
UNITS_PER_SECOND = 80.0
BURST = 1200.0
"""With 80 a second this stays below 6,000 units in any minute, Google's limit for projects since 2026-05."""
GETS_PER_BATCH = 15


@dataclass(slots=True)
class Fetched:
    """What a batch of gets brought: messages, ids that are gone, and why the rest is missing."""

    messages: list[Incoming] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    error: RemoteError | None = None


class Calls:
    """Calls to one Gmail mailbox."""

    def __init__(self, wire: Wire, pace: Bucket) -> None:
        self._wire = wire
        self._pace = pace

    def close(self) -> None:
        """End all connections and all waiting for quota."""
        self._pace.stop()
        self._wire.close()

    def get(self, path: str, kind: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        self._pace.take(UNITS[kind])
        return self._wire.json("GET", USER + path, params=query)

    def post(self, path: str, kind: str, body: dict[str, Any], scope: str = "") -> None:
        self._pace.take(UNITS[kind])
        answer = self._wire.ok("POST", USER + path, json=body, scope=scope, repeatable=True)
        if answer.body:
            answer.json()  # a page for people in between says 200 too: what it answered has not been done

    def once(self, method: str, url: str, kind: str, **options: Any) -> Answer:
        """The answer, whatever its status, of a call that is not made again by itself; `url` from the root on."""
        self._pace.take(UNITS[kind])
        return self._wire.call(method, url, **options)

    def put(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """One piece of an upload, whatever the answer's status."""
        return self._wire.call("PUT", url, content=content, headers=dict(headers))

    def rest(self, seconds: float) -> None:
        """Wait a little. Raises Offline when the connection is closed meanwhile."""
        self._pace.rest(seconds)

    def together(self, calls: Sequence[Call], limit: int = JSON_LIMIT) -> tuple[dict[int, Part], RemoteError | None]:
        """The answers by position, and the error that kept the missing ones away, if any are."""
        renew = partial(self.get, "/profile", "profile")
        return persevere(len(calls), lambda numbers: self._batch(calls, numbers, limit), renew, self._pace.rest)

    def _batch(self, calls: Sequence[Call], numbers: Sequence[int], limit: int) -> dict[int, Part]:
        self._pace.take(sum(calls[number].units for number in numbers))
        if len(numbers) == 1:
            return {numbers[0]: _part(self._single(calls[numbers[0]], limit))}
        boundary = f"batch_{secrets.token_hex(12)}"
        headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        content = gmail_batch.request_body([calls[number] for number in numbers], boundary)
        url = "/batch/gmail/v1"
        answer = self._wire.ok("POST", url, content=content, headers=headers, limit=limit, repeatable=True)
        answers = gmail_batch.answers(answer.headers.get("content-type", ""), answer.body)
        return {numbers[place]: _part(inner) for place, inner in answers.items() if place < len(numbers)}

    def _single(self, call: Call, limit: int) -> Answer:
        body: dict[str, Any] = {"json": call.body} if call.body is not None else {}
        return self._wire.call(call.method, call.path, limit=limit, repeatable=True, **body)

    def fetch(self, ids: Sequence[str], first: int, size: int, form: str = "raw") -> Iterator[Fetched]:
        """The messages of `ids`, raw or as `metadata`, in portions of at most `size`, `first` in the first one.

        A portion goes out early rather than wait for quota.
        """
        portion, limit = Fetched(), first
        for start in range(0, len(ids), GETS_PER_BATCH):
            chunk = ids[start : start + GETS_PER_BATCH]
            count = len(portion.messages) + len(portion.gone)
            full = count + len(chunk) > limit or self._pace.delay(UNITS["get"] * len(chunk)) > 1.0
            if count and full:
                yield portion
                portion, limit = Fetched(), size
            more = self._raw(chunk, form)
            portion.messages += more.messages
            portion.gone += more.gone
            portion.error = more.error
            if portion.error is not None:
                break
        if portion.messages or portion.gone or portion.error is not None:
            yield portion

    def _raw(self, ids: Sequence[str], form: str = "raw") -> Fetched:
        calls = [Call("GET", f"{USER}/messages/{quote(i, safe='')}?format={form}", UNITS["get"]) for i in ids]
        try:
            parts, error = self.together(calls, RAW_LIMIT)
        except TooLarge:
            return self._split(ids, form)
        fetched = Fetched(error=error)
        for number, part in parts.items():
            self._sort(ids[number], part, fetched)
        return fetched

    def _sort(self, message: str, part: Part, fetched: Fetched) -> None:
        if part.ok:
            if part.told.get("id") == message:
                fetched.messages.append(gmail_json.incoming(part.told))
            return
        refused = part.error(MODIFY_SCOPE)
        if not isinstance(refused, Rejected):
            fetched.error = refused
        elif refused.gone:
            fetched.gone.append(message)
        # Any other refusal concerns this message alone; it must not hold up the rest, and every full read asks again.

    def _split(self, ids: Sequence[str], form: str) -> Fetched:
        """A batch too large to hold: in halves; a single message too large for that without its body."""
        if len(ids) == 1:
            return self._raw(ids, "metadata") if form == "raw" else Fetched()
        fetched, middle = Fetched(), len(ids) // 2
        for half in (ids[:middle], ids[middle:]):
            more = self._raw(half, form)
            fetched.messages += more.messages
            fetched.gone += more.gone
            fetched.error = fetched.error or more.error
        return fetched


def _part(answer: Answer) -> Part:
    payload = decoded(answer.body) if answer.body else None
    return Part(answer.status, answer.headers, payload, damaged=bool(answer.body) and payload is None)
