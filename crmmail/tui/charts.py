"""Small charts of numbers in block characters, one line each. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crmmail.i18n import _, ngettext

BLOCKS = "▁▂▃▄▅▆▇█"
_STEPS = ((60, "min"), (24, "h"), (7, "d"))


def spark(values: Sequence[float], width: int, most: float = 0.0) -> str:
    """The last `width` of `values` as columns; `most` is what a full one stands for (0: the highest of them).

    Nothing is a dot, so that the least there is can be told from none.
    """
    shown = list(values)[-width:] if width > 0 else []
    top = most or max(shown, default=0.0)
    return "".join(_block(value, top) for value in shown)


def _block(value: float, top: float) -> str:
    if value <= 0 or top <= 0:
        return "·"
    return BLOCKS[min(len(BLOCKS) - 1, round(value / top * (len(BLOCKS) - 1)))]


def span(seconds: float) -> str:
    """A duration as people say it: '40 min', '3 h', '2 d', '5 weeks'."""
    amount = max(0.0, seconds) / 60
    for size, unit in _STEPS:
        if amount < size:
            return f"{max(1, round(amount))} {unit}"
        amount /= size
    weeks = max(1, round(amount))
    return ngettext("{count} week", "{count} weeks", weeks).format(count=weeks)


def ago(seconds: float) -> str:
    """How long ago something was: 'now', '3 h ago'."""
    return _("now") if seconds < 60 else _("{span} ago").format(span=span(seconds))


def scale(seconds: float, width: int) -> str:
    """A duration as a bar of at most `width` cells: a full one stands for a week, each step for three times as much."""
    if seconds <= 0 or width <= 0:
        return ""
    steps = math.log(max(seconds, 60) / 60, 3) / math.log(7 * 24 * 60, 3)
    full = max(1, min(width, round(steps * width)))
    return "▰" * full + "▱" * (width - full)
