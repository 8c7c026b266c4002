"""Processes that tests end: how they are started, awaited and ended, and what must be whole after whichever end."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def started(module: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """`python -m tests.faults.MODULE ARGUMENTS`, with these variables besides the environment's."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ran(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end, whichever; the return code (negative: the signal). A failure of its own is the test's."""
    output, _ = process.communicate(timeout=120)
    if process.returncode > 0 and b"KeyboardInterrupt" not in output:
        raise AssertionError(output.decode()[-2000:])
    return process.returncode


def killed_after(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End it at that moment, unless it has ended before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()


def intact(store: Path) -> None:
    """Both files of a store are whole."""
    for name in ("desk.db", "cache.db"):
        connection = sqlite3.connect(store / name)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), name
        connection.close()
