"""How a session stands, as it is shown."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Standing(enum.StrEnum):
    """How a session stands."""

    ACTIVE = "active"
    RENEWING = "renewing"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SessionState:
    """What is shown of a session. Times are seconds since the epoch; 0 where there is none.

    `expires_at` is when the user would have to sign in again if no renewal came between.
    """

    state: Standing
    address: str = ""
    signed_in_at: float = 0.0
    renewed_at: float = 0.0
    expires_at: float = 0.0
    place: str = ""  # what keeps the tokens: a keyring's name or 'file'
    problem: str = ""  # one sentence, when there is something to say
    scopes: tuple[str, ...] = ()
