"""How often to ask a server for news: often while something happens, seldom while nothing does. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

GROWTH = 1.5  # 15 s reach 5 min after eight quiet questions, about 12 minutes


@dataclass(frozen=True, slots=True)
class Pace:
    """The time until the next question, in seconds, between `shortest` and `longest`."""

    shortest: float = 15.0
    longest: float = 300.0
    interval: float = 15.0

    def lively(self) -> Pace:
        """The user did something or new mail came: ask soon again."""
        return replace(self, interval=self.shortest)

    def quiet(self) -> Pace:
        """Nothing happened since the last question: ask a little later next time."""
        return replace(self, interval=min(self.longest, max(self.shortest, self.interval * GROWTH)))
