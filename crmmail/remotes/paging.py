"""Following a server's "next page" without following it for ever."""

from __future__ import annotations

from collections import Counter

from crmmail.errors import Transient
from crmmail.i18n import _

TIMES = 3  # a page may be repeated once in a while; one that keeps leading back is a circle


class LoopGuard:
    """Notices a server whose next page is one we have been on."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def check(self, token: str) -> None:
        """Raises Transient when `token` came too often: what was read cannot be called complete."""
        self._seen[token] += 1
        if self._seen[token] > TIMES:
            raise Transient(_("The server's list goes round in circles."), reason="loop")
