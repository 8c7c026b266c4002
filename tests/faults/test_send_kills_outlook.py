"""Row K01 on Outlook: ended at every numbered step of sending, each message goes out once and none is lost.

A file for each provider, so that they run beside each other.
"""

from __future__ import annotations

from pathlib import Path

from crmmail.sandbox import Sandbox
from tests.faults.send_kills import ended_at_each_step


def test_k01_killed_at_a_numbered_step_each_message_goes_out_once(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        ended_at_each_step(sandbox, "outlook", tmp_path)
