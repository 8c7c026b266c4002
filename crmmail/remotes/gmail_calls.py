"""Gmail's calls: paced in quota units, several to a batch, with the throttled parts of a batch asked again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from crmmail.errors import AuthRequired, Rejected, RemoteError, Transient
from crmmail.i18n import _
from crmmail.model import Incoming
from crmmail.remotes import gmail_batch, gmail_json, refusals
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
}
"""Quota units a call costs, table of 2026-05 (Gmail API, "Usage limits")."""
MODIFY_SCOPE = "https://www.googleapis.com/auth/gmail.modify"
DELETE_SCOPE = "https://mail.google.com/"
UNITS_PER_SECOND = 80.0
BURST = 1200.0
"""With 80 a second this stays below 6,000 units in any minute, Google's limit for projects since 2026-05."""
GETS_PER_BATCH = 15
ROUNDS = 4  # how often the throttled parts of one batch are asked again before the sync thread is told to wait
LONGEST_REST = 8.0


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
        self._wire.ok("POST", USER + path, json=body, scope=scope)

    def together(self, calls: Sequence[Call], limit: int = JSON_LIMIT) -> tuple[dict[int, Answer], RemoteError | None]:
        """The answers by position, and the error that kept the missing ones away, if any are.

        Parts that are throttled, cut off or failed for the moment are asked again, a few times: the batch around
        them is a success all the same, which is how other programs lose mail.
        """
        done: dict[int, Answer] = {}
        waiting = list(range(len(calls)))
        error: RemoteError | None = None
        for attempt in range(ROUNDS):
            answers = self._batch([calls[number] for number in waiting], limit)
            errors: list[RemoteError] = []
            for place, number in enumerate(waiting):
                answer = answers.get(place)
                again = _passing(answer)
                if again is not None:
                    errors.append(again)
                elif answer is not None:
                    done[number] = answer
            waiting = [number for number in waiting if number not in done]
            if not waiting:
                return done, None
            error = _gravest(errors)
            if attempt == ROUNDS - 1 or not self._rested(error, attempt):
                break
        return done, error

    def _rested(self, error: RemoteError, attempt: int) -> bool:
        """Prepare another round: wait as told, or have the token renewed. False when it is too long to wait here."""
        if isinstance(error, AuthRequired):
            if attempt:
                return False
            self.get("/profile", "profile")  # a part's 401 never reaches the session; this one's does
            return True
        seconds = error.retry_after if isinstance(error, Transient) and error.retry_after else 2.0**attempt
        if seconds > LONGEST_REST:
            return False
        self._pace.rest(seconds)
        return True

    def _batch(self, calls: Sequence[Call], limit: int) -> dict[int, Answer]:
        self._pace.take(sum(call.units for call in calls))
        if len(calls) == 1:
            return {0: self._single(calls[0], limit)}
        boundary = f"batch_{secrets.token_hex(12)}"
        headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        content = gmail_batch.request_body(calls, boundary)
        answer = self._wire.ok("POST", "/batch/gmail/v1", content=content, headers=headers, limit=limit)
        return gmail_batch.answers(answer.headers.get("content-type", ""), answer.body)

    def _single(self, call: Call, limit: int) -> Answer:
        body = {"json": call.body} if call.body is not None else {}
        return self._wire.call(call.method, call.path, limit=limit, **body)

    def fetch(self, ids: Sequence[str], first: int, size: int) -> Iterator[Fetched]:
        """The raw messages of `ids` in portions of at most `size`, `first` in the first one.

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
            more = self._raw(chunk)
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
            answers, error = self.together(calls, RAW_LIMIT)
        except TooLarge:
            return self._split(ids, form)
        fetched = Fetched(error=error)
        for number, answer in answers.items():
            self._sort(ids[number], answer, fetched)
        return fetched

    def _sort(self, message: str, answer: Answer, fetched: Fetched) -> None:
        payload = decoded(answer.body)
        if answer.status < 300:
            if isinstance(payload, dict) and payload.get("id") == message:
                fetched.messages.append(gmail_json.incoming(payload))
            return
        refused = refusals.refusal(answer.status, payload, answer.headers, scope=MODIFY_SCOPE)
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


def _passing(answer: Answer | None) -> RemoteError | None:
    """Why a part of a batch has to be asked for again; None when its answer stands."""
    if answer is None:
        return Transient(_("The server's answer was cut off or makes no sense."))
    payload = decoded(answer.body)
    if answer.status < 300:
        return (
            None
            if payload is not None or not answer.body
            else Transient(_("The server's answer was cut off or makes no sense."))
        )
    error = refusals.refusal(answer.status, payload, answer.headers)
    return error if isinstance(error, Transient | AuthRequired) else None


def _gravest(errors: Sequence[RemoteError]) -> RemoteError:
    """The end of the session before everything else, then the longest wait."""
    over = next((error for error in errors if isinstance(error, AuthRequired)), None)
    waits = [error for error in errors if isinstance(error, Transient)]
    return over or max(waits, key=lambda error: error.retry_after or 0.0)
