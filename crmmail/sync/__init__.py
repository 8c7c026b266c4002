"""Keeping the local copy and the servers in agreement: `decide` (pure), `RemoteSync.step`, `Engine` (threads)."""

from __future__ import annotations

from crmmail.sync.decide import Decision, Move, decide
from crmmail.sync.engine import Engine, run_once
from crmmail.sync.pace import Pace
from crmmail.sync.step import Outcome, RemoteSync

__all__ = ["Decision", "Engine", "Move", "Outcome", "Pace", "RemoteSync", "decide", "run_once"]
