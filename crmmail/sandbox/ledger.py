"""What the sandbox was asked and what it accepted, in order: the judge of every test about losing or doubling."""

from __future__ import annotations

import contextvars
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from crmmail.sandbox.http import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """One HTTP request as it came in. The token itself is not kept."""

    number: int
    at: float
    method: str
    target: str  # the path with its query, as sent
    host: str
    scheme: str
    connection: int
    authorized: bool  # whether an Authorization header was there
    user: str
    agent: str
    prefer: str
    received: int  # bytes of body
    inner: bool = False  # came inside a batch
    status: int = 0
    sent: int = 0  # bytes of body before compression

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect the server accepted: `effect` is deliver, add, modify, move, delete, draft, send, folder, …"""

    number: int
    user: str
    method: str
    path: str
    effect: str
    id: str
    detail: dict[str, Any] = field(default_factory=dict)


current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("request", default=None)


class Ledger:
    """Thread-safe and append-only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: list[Asked] = []
        self.entries: list[Entry] = []
        self.failures: list[str] = []  # tracebacks of defects of the sandbox itself; empty, one hopes
        self._units: Counter[str] = Counter()

    def ask(self, asked: Asked) -> None:
        """Note a request with its answer's status."""
        with self._lock:
            self.requests.append(asked)

    def accept(self, user: str, effect: str, item: str, **detail: Any) -> None:
        """Note an effect, as the work of the request now being answered (none: the test's or the demo's own)."""
        request = current.get()
        method, path = (request.method, request.path) if request else ("", "")
        with self._lock:
            self.entries.append(Entry(len(self.entries) + 1, user, method, path, effect, item, detail))

    def charge(self, user: str, units: int) -> None:
        """Count quota units against `user`."""
        with self._lock:
            self._units[user] += units

    def units(self, user: str) -> int:
        """The quota units `user` has used."""
        return self._units[user]

    def accepted(self, user: str = "", effect: str = "", *, asked_only: bool = True) -> list[Entry]:
        """The effects, in order; `asked_only` leaves out what no request asked for."""
        with self._lock:
            entries = list(self.entries)
        return [
            entry
            for entry in entries
            if (not user or entry.user == user)
            and (not effect or entry.effect == effect)
            and (entry.method or not asked_only)
        ]

    def sends(self, user: str = "") -> list[Entry]:
        """Every mail that went out, with its `recipients`, `subject` and `digest`."""
        return self.accepted(user, "send")

    def duplicates(self) -> list[Entry]:
        """The sends whose content went out before from the same user."""
        seen: set[tuple[str, str]] = set()
        twice = []
        for entry in self.sends():
            key = (entry.user, str(entry.detail.get("digest")))
            if key in seen:
                twice.append(entry)
            seen.add(key)
        return twice

    def asked(self, path: str = "", method: str = "") -> list[Asked]:
        """The requests whose path or query contains `path`."""
        with self._lock:
            requests = list(self.requests)
        return [one for one in requests if path in one.target and method in ("", one.method)]

    def clear(self) -> None:
        """Forget everything so far."""
        with self._lock:
            self.requests.clear()
            self.entries.clear()
            self._units.clear()

    def plain(self) -> dict[str, Any]:
        """The ledger as JSON-ready values, for another process."""
        with self._lock:
            return {
                "requests": [asdict(one) for one in self.requests],
                "entries": [asdict(one) for one in self.entries],
                "units": dict(self._units),
            }
