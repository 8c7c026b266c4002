"""The local copy: two SQLite files behind one door (docs/architecture.md)."""

from crmmail.store.faults import FuseBlown
from crmmail.store.store import Store

__all__ = ["FuseBlown", "Store"]
