"""A local Gmail, Graph and OAuth that speak their HTTP, quirks included, with scripted faults and a ledger."""

from __future__ import annotations

from crmmail.sandbox.server import Limits, Sandbox, User

__all__ = ["Limits", "Sandbox", "User"]
