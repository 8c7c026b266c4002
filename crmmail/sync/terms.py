"""How the user wants one mailbox to be synchronised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crmmail.sync.pace import Pace


@dataclass(frozen=True, slots=True)
class Terms:
    """How often to ask its server; `paused`: not at all until the user resumes it."""

    pace: Pace = field(default_factory=Pace)
    paused: bool = False


TermsOf = Callable[[str], Terms]
"""The terms of a mailbox by its id; asked whenever it is connected anew, so that a changed setting counts."""
