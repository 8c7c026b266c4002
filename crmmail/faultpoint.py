"""Numbered places where a test may end this process, so that "it may stop anywhere" can be tried instead of believed.

`fault("push.claimed")` does nothing unless a test armed it through the environment:

    CRMMAIL_FAULT_AT=17                  the seventeenth point passed, whichever it is
    CRMMAIL_FAULT_AT=push.claimed:2      the second pass of that point
    CRMMAIL_FAULT_SIGNAL=TERM            KILL when not said
    CRMMAIL_FAULT_LOG=file               one name per pass is appended, to count and to name the points

The scheme is mbsync's (`run-tests.pl`, `-Ts<step>`): abort at each step, resume, compare with the undisturbed end.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

_at = os.environ.get("CRMMAIL_FAULT_AT", "")
_log = os.environ.get("CRMMAIL_FAULT_LOG", "")
_passed: Counter[str] = Counter()


def fault(name: str) -> None:
    """Pass the point `name`: nothing happens outside of the tests that armed it."""
    if _at or _log:
        _pass(name)


def _pass(name: str) -> None:
    _passed[name] += 1
    if _log:
        with Path(_log).open("a", encoding="utf-8") as trace:
            trace.write(f"{name}\n")
    if _at in (str(_passed.total()), f"{name}:{_passed[name]}"):
        os.kill(os.getpid(), signal.Signals[f"SIG{os.environ.get('CRMMAIL_FAULT_SIGNAL', 'KILL')}"])
