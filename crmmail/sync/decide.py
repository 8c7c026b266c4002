"""What to do about an error, as a pure table: no clock, no network, no chance but the `jitter` it is given.

Offline                 try again, sooner when woken         queue kept
Transient               wait as told, or 1, 2, 4 … 64 s      queue kept, no call before the time
AuthRequired            ask to sign in                       queue kept
ScopeRequired           ask for the wider consent            queue kept
CursorExpired           read everything again                nothing doubled, nothing lost
Rejected                a sentence, and no further attempt
StoreError, full disk   pause with a sentence                looks again by itself: space may be freed
anything else           a defect: said, logged, tried again
"""

from __future__ import annotations

import enum
import errno
import math
from dataclasses import dataclass

from crmmail.errors import (
    AuthRequired,
    CrmMailError,
    CursorExpired,
    Offline,
    Rejected,
    RemoteError,
    ScopeRequired,
    StoreError,
    Transient,
)
from crmmail.i18n import _
from crmmail.model import Phase
from crmmail.store.faults import FuseBlown

FIRST_WAIT, LONGEST_BACKOFF, LONGEST_TOLD = 1.0, 64.0, 3600.0  # seconds
SIGN_IN_WAIT = 600.0  # the user may have signed in from another window: look at the token store again
PAUSE_WAIT = 60.0  # space may have been freed
QUESTION_WAIT = 900.0  # the server may take back what blew the fuse; the user's answer comes by a wake-up
REFUSED_WAIT = 900.0  # the whole mailbox is refused (an administrator's rule): not a matter of seconds


class Move(enum.StrEnum):
    """What happens next."""

    RETRY = "retry"
    SIGN_IN = "sign_in"
    CONSENT = "consent"
    RESYNC = "resync"
    REJECT = "reject"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one error. `wait` in seconds from now, `at` the same as time of day, for the eye.

    `held`: a wake-up does not shorten the wait. `expected` is False for what only a defect raises.
    """

    move: Move
    phase: Phase
    wait: float
    at: float
    sentence: str
    next_step: str = ""
    held: bool = True
    expected: bool = True


def decide(error: BaseException, attempts: int, now: float, jitter: float = 0.5) -> Decision:
    """What to do about `error` after `attempts` earlier failures in a row, at `now` (seconds since the epoch).

    `jitter` is a number of 0 ≤ j < 1 that spreads clients which failed together.
    """
    match error:
        case AuthRequired():
            return _decision(Move.SIGN_IN, Phase.SIGN_IN, SIGN_IN_WAIT, now, error)
        case ScopeRequired():
            return _decision(Move.CONSENT, Phase.SIGN_IN, SIGN_IN_WAIT, now, error)
        case CursorExpired():
            return _decision(Move.RESYNC, Phase.SYNCING, backoff(attempts, jitter), now, error)
        case Rejected():
            return _decision(Move.REJECT, Phase.ERROR, REFUSED_WAIT, now, error)
        case Offline():
            return _decision(Move.RETRY, Phase.OFFLINE, backoff(attempts, jitter), now, error, held=False)
        case Transient():
            return _decision(Move.RETRY, Phase.WAITING, told(error.retry_after, attempts, jitter), now, error)
        case FuseBlown():
            return _decision(Move.PAUSE, Phase.PAUSED, QUESTION_WAIT, now, error, held=False)
        case StoreError():
            return _decision(Move.PAUSE, Phase.PAUSED, PAUSE_WAIT, now, error, held=False)
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = StoreError(_("The disk is full."), next_step=_("Free some space; crmmail goes on by itself."))
            return _decision(Move.PAUSE, Phase.PAUSED, PAUSE_WAIT, now, full, held=False)
        case RemoteError():
            return _decision(Move.RETRY, Phase.ERROR, backoff(attempts, jitter), now, error)
        case CrmMailError():
            return _decision(Move.PAUSE, Phase.ERROR, PAUSE_WAIT, now, error, held=False)
        case _:
            return _unexpected(attempts, now, jitter)


def backoff(attempts: int, jitter: float) -> float:
    """Seconds to wait after `attempts` earlier failures: 1, 2, 4 … 64, of which chance takes up to a half."""
    span = min(LONGEST_BACKOFF, FIRST_WAIT * 2.0 ** min(attempts, 10))
    return max(FIRST_WAIT, span * (1.0 - jitter / 2))


def told(retry_after: float | None, attempts: int, jitter: float) -> float:
    """Seconds to wait when the server named `retry_after`: never less than it said within 1 s … 1 h, up to 1 s more."""
    if retry_after is None or math.isnan(retry_after):
        return backoff(attempts, jitter)
    return min(LONGEST_TOLD, max(FIRST_WAIT, retry_after) + jitter)


def _decision(move: Move, phase: Phase, wait: float, now: float, error: CrmMailError, *, held: bool = True) -> Decision:
    return Decision(move, phase, wait, now + wait, error.sentence, error.next_step, held)


def _unexpected(attempts: int, now: float, jitter: float) -> Decision:
    wait = backoff(attempts + 2, jitter)
    return Decision(
        Move.RETRY,
        Phase.ERROR,
        wait,
        now + wait,
        _("Something unexpected happened while syncing."),
        _("crmmail tries again by itself; the log names the place."),
        expected=False,
    )
