"""How the user wants one mailbox to be synchronised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crmmail.model import MAX_RECEIVED_MS
from crmmail.sync.pace import Pace


@dataclass(frozen=True, slots=True)
class Terms:
    """How often to ask its server; `paused`: not at all until the user resumes it.

    `months`: texts of messages up to this old are downloaded by themselves, older ones when they are opened. None: all
    texts; 0: none. Headers of everything are here in any case.
    """

    pace: Pace = field(default_factory=Pace)
    paused: bool = False
    months: int | None = None


TermsOf = Callable[[str], Terms]
"""The terms of a mailbox by its id; asked whenever it is connected anew, so that a changed setting counts."""


MONTH_SECONDS = 30.44 * 86_400


def since(months: int | None, now: float) -> int:
    """Milliseconds since the epoch: messages received from then on have their text downloaded unasked."""
    if months is None:
        return 0
    return MAX_RECEIVED_MS if months == 0 else max(0, int((now - months * MONTH_SECONDS) * 1000))
