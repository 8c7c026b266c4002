"""The CRM that is always there: this computer. What is chosen to be logged is kept beside the accounts themselves.

The accounts are the store's own, so there is nothing to mirror and nothing to create. An entry outlives the mail it
tells of: a message deleted, a mailbox removed, a cache lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from crmmail.crm import entry
from crmmail.crm.model import CrmAck, CrmCapabilities, CrmOp, CrmPage, LogEntry, TimelineEntry
from crmmail.errors import CursorExpired, Rejected
from crmmail.i18n import _
from crmmail.remotes.crm import Mirrored, missing_record, place_of

CURSOR = "local"


class Desk(Protocol):
    """Where entries are kept: the store."""

    def keep_entry(self, account: str, told: TimelineEntry) -> str: ...
    def kept_entries(self, account: str) -> list[TimelineEntry]: ...


class Local:
    """`desk` None: nothing can be kept yet, as while it is being connected."""

    capabilities = CrmCapabilities(log=True, timeline=True)

    def __init__(self, name: str, desk: Desk | None) -> None:
        self.name = name
        self.place = place_of(name)
        self._desk = desk

    def check(self) -> str:
        """Whoever sits here."""
        return _("you, on this computer")

    def changes(self, cursor: str, mirrored: Mirrored) -> Iterator[CrmPage]:
        """Its accounts are here already: one empty page."""
        if cursor not in ("", CURSOR):
            raise CursorExpired(_("The CRM's mirror is filled anew."))
        yield CrmPage(CURSOR, complete=True)

    def apply(self, ops: Sequence[CrmOp]) -> Iterator[CrmAck]:
        """As `Crm` says; an entry that is there is left as it is."""
        for op in ops:
            try:
                yield CrmAck(op.key, self._keep(op))
            except Rejected as refused:
                yield CrmAck(op.key, error=refused)

    def _keep(self, op: CrmOp) -> str:
        if not isinstance(op, LogEntry):
            raise Rejected(_("Accounts and contacts of this computer are here already."))
        told = TimelineEntry(op.when_ms, op.sender, entry.title(op), entry.note(op), entry.key_of(op.key), sent=op.sent)
        kept = self._desk.keep_entry(op.account, told) if self._desk is not None else ""
        if not kept:
            raise missing_record()
        return kept

    def timeline(self, account: str) -> list[TimelineEntry]:
        """As `Crm` says."""
        return self._desk.kept_entries(account) if self._desk is not None else []

    def close(self) -> None:
        """There is no connection."""
