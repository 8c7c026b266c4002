"""The nouns of a session, made so that no log line, traceback or crash screen can show what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, SupportsIndex


class Secret(str):
    """A text whose `repr` (and that of any slice) is ***: crash screens show local variables by their repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    def __getitem__(self, key: SupportsIndex | slice) -> Secret:
        return Secret(super().__getitem__(key))


NONE = Secret("")
_VEILED = frozenset({"access_token", "refresh_token", "id_token", "code", "device_code", "client_info"})


def veil(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A server's answer, or a redirect's fields, with its secrets as Secret."""
    return {key: Secret(value) if key in _VEILED and isinstance(value, str) else value for key, value in answer.items()}


@dataclass(frozen=True, slots=True)
class Tokens:
    """One mailbox's session as it is kept. Times are seconds since the epoch.

    `client_id` and `client_secret` are kept beside the tokens they belong to: a refresh token is worthless without
    them, and the environment variable they came from may be gone by tomorrow.
    """

    provider: str
    client_id: str
    access_token: Secret
    expires_at: float  # of the access token; 0: not said
    signed_in_at: float
    renewed_at: float
    refresh_token: Secret = NONE
    client_secret: Secret = NONE
    password: Secret = NONE  # of a mailbox reached by IMAP: its own, or an app password
    cache: Secret = NONE  # msal's serialized token cache, which holds Microsoft's refresh token
    address: str = ""
    scopes: tuple[str, ...] = ()
    ended: str = ""  # why renewal is over; '' while it is not

    def dumps(self) -> str:
        """As JSON; the one place where the secrets are written out."""
        return json.dumps(
            {key: value for key, value in asdict(self).items() if value not in ("", ())}, separators=(",", ":")
        )

    def __repr__(self) -> str:
        return f"Tokens({self.provider!r}, {self.address!r}, renewed_at={self.renewed_at:.0f}, ***)"


_SECRETS = frozenset({"access_token", "refresh_token", "client_secret", "cache", "password"})
_TIMES = frozenset({"expires_at", "signed_in_at", "renewed_at"})


def load(text: str) -> Tokens:
    """The Tokens that `dumps` wrote. ValueError, without the text in it, when it is something else."""
    try:
        plain = json.loads(text)
        known = {item.name for item in fields(Tokens)}
        absent: dict[str, Any] = {"client_id": "", "access_token": NONE, "expires_at": 0.0}
        return Tokens(**(absent | _typed(plain, known)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError("not a session") from None


def _typed(plain: dict[str, Any], known: set[str]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for key, value in plain.items():
        if key not in known:
            continue
        if key in _TIMES:
            typed[key] = float(value)
        elif key == "scopes":
            typed[key] = tuple(str(scope) for scope in value)
        else:
            typed[key] = (Secret if key in _SECRETS else str)(value)
    return typed
