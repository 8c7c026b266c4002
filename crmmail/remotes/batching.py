"""What Google's and Microsoft's batches have in common: a success as a whole says nothing of its parts.

A part may be throttled, cut off or failed for the moment while the batch around it is 200 OK. Such parts are asked
again, a few times: programs that look at the batch alone lose mail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmmail.errors import AuthRequired, RemoteError, Transient
from crmmail.i18n import _
from crmmail.remotes import refusals

ROUNDS = 4  # how often parts are asked again before the sync thread is told to wait
LONGEST_REST = 8.0  # seconds to wait here; the user's acts wait too


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one call of a batch. `body` is its JSON (None: none, or not to be read)."""

    status: int
    headers: Mapping[str, str]
    body: Any
    damaged: bool = False  # there was a body, and it was no JSON object

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.status < 300

    @property
    def told(self) -> Mapping[str, Any]:
        """The body as an object, empty when it is none."""
        return self.body if isinstance(self.body, Mapping) else {}

    def error(self, scope: str = "") -> RemoteError:
        """What the refusal means; `scope` names the permission that was needed."""
        return refusals.refusal(self.status, self.body, self.headers, scope=scope)


def persevere(
    count: int,
    ask: Callable[[list[int]], Mapping[int, Part]],
    renew: Callable[[], object],
    rest: Callable[[float], None],
) -> tuple[dict[int, Part], RemoteError | None]:
    """The lasting answers to calls 0 … count-1, and the error that kept the missing ones away, if any are.

    `ask` makes the calls with these numbers, `renew` has the token renewed, `rest` waits some seconds.
    """
    done: dict[int, Part] = {}
    waiting = list(range(count))
    error: RemoteError | None = None
    for attempt in range(ROUNDS):
        parts = ask(waiting)
        errors = [trouble for number in waiting if (trouble := _passing(parts.get(number))) is not None]
        done |= {number: parts[number] for number in waiting if _passing(parts.get(number)) is None}
        waiting = [number for number in waiting if number not in done]
        if not waiting:
            return done, None
        error = _gravest(errors)
        if attempt == ROUNDS - 1 or not _prepared(error, attempt, renew, rest):
            break
    return done, error


def _prepared(error: RemoteError, attempt: int, renew: Callable[[], object], rest: Callable[[float], None]) -> bool:
    """Get ready for another round. False when the wait would be too long to spend here."""
    if isinstance(error, AuthRequired):
        if attempt:
            return False
        renew()  # a part's 401 never reaches the session; this one's does
        return True
    seconds = error.retry_after if isinstance(error, Transient) and error.retry_after else 2.0**attempt
    if seconds > LONGEST_REST:
        return False
    rest(seconds)
    return True


def _passing(part: Part | None) -> RemoteError | None:
    """Why a part has to be asked for again; None when its answer stands."""
    if part is None or (part.ok and part.damaged):
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
