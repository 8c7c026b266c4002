"""A CRM reached by its dropbox address alone: what it is sent a blind copy of, it files by itself.

The copy goes out with the message (`crm.dropbox` says when), so nothing is left to do here but to say whether it did.
Such a CRM cannot be read, and mail that was received cannot be logged there: it would have to be sent by us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from crmmail.crm.model import CrmAck, CrmCapabilities, CrmOp, CrmPage, LogEntry, TimelineEntry
from crmmail.errors import CursorExpired, Rejected, SettingsError
from crmmail.i18n import _
from crmmail.remotes.crm import Mirrored, place_of

CURSOR = "bcc"


class Dropbox:
    """`went(key, address)`: whether the message of this Message-ID left with a copy to the address."""

    capabilities = CrmCapabilities(log=True)

    def __init__(self, name: str, address: str, went: Callable[[str, str], bool]) -> None:
        self.name = name
        self.place = place_of(address)
        self._address = address
        self._went = went

    def check(self) -> str:
        """The address. Raises SettingsError when it is none."""
        local, at, domain = self._address.rpartition("@")
        if not (local and at and "." in domain) or any(ch.isspace() or ch in '<>,;"' for ch in self._address):
            raise SettingsError(
                _("“{address}” is not an e-mail address.").format(address=self._address[:80]),
                next_step=_("Copy it from where the CRM explains logging by e-mail."),
            )
        return self._address

    def changes(self, cursor: str, mirrored: Mirrored) -> Iterator[CrmPage]:
        """Nothing can be read: one empty page."""
        if cursor not in ("", CURSOR):
            raise CursorExpired(_("The CRM's mirror is filled anew."))
        yield CrmPage(CURSOR, complete=True)

    def apply(self, ops: Sequence[CrmOp]) -> Iterator[CrmAck]:
        """Say of each message whether its copy left with it."""
        for op in ops:
            if isinstance(op, LogEntry) and op.sent and self._went(op.key, self._address):
                yield CrmAck(op.key, self._address)
            else:
                yield CrmAck(op.key, error=_refusal(op))

    def timeline(self, account: str) -> list[TimelineEntry]:
        """Nothing can be read."""
        return []

    def close(self) -> None:
        """There is no connection."""


def _refusal(op: CrmOp) -> Rejected:
    if not isinstance(op, LogEntry):
        return Rejected(_("A CRM reached by a dropbox address alone takes no accounts and no contacts."))
    if not op.sent:
        return Rejected(_("A dropbox address takes only mail we send: this message was received."))
    return Rejected(_("This message was sent without a copy to the CRM's dropbox address."))
