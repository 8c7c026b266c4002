"""What the rest of the program knows of a CRM: a remote with a cursor and an inbox for log entries.

A CRM's module keeps pure JSON ↔ nouns on top and one class with I/O below, as a mailbox's does. Writing is idempotent
by looking first: an entry carries its Message-ID as its last line, and one that stands there is not written again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Protocol

from crmmail.crm.model import CrmAck, CrmCapabilities, CrmOp, CrmPage, TimelineEntry
from crmmail.errors import AuthRequired, Rejected
from crmmail.i18n import _
from crmmail.mail.text import clean_line

Mirrored = Callable[[], tuple[frozenset[str], frozenset[str]]]
"""The remote ids of the accounts and of the contacts the mirror holds, so that what is gone can be told."""


class Crm(Protocol):
    """A CRM. Used by one thread at a time; `close()` may come from another and ends a waiting call.

    Every method but `close` raises Offline, Transient, AuthRequired or Rejected (`errors`).
    """

    @property
    def name(self) -> str:
        """The short name it is connected under; `crm` of what is mirrored from it."""
        ...

    @property
    def place(self) -> str:
        """Which company or database it is, in a few characters: whose rows its ids name."""
        ...

    @property
    def capabilities(self) -> CrmCapabilities:
        """What it can do."""
        ...

    def check(self) -> str:
        """Whom we are there as, for the eye. Connecting asks before anything is kept."""
        ...

    def changes(self, cursor: str, mirrored: Mirrored) -> Iterator[CrmPage]:
        """What happened since `cursor` ('' = never asked), page by page, accounts before their contacts.

        Each page's cursor may be stored the moment the page is: going on from it repeats or loses nothing. Raises
        CursorExpired for a cursor it cannot read: begin with ''.
        """
        ...

    def apply(self, ops: Sequence[CrmOp]) -> Iterator[CrmAck]:
        """Make the ops true, in this order; one ack each. Looks before it writes, so that twice is as good as once.

        A refusal of one op is an ack with `error`; what concerns them all is raised, and the rest stays queued.
        """
        ...

    def timeline(self, account: str) -> list[TimelineEntry]:
        """What the team wrote on the account with this remote id, newest first; [] where the CRM cannot tell."""
        ...

    def close(self) -> None:
        """End all connections."""
        ...


def place_of(*parts: str) -> str:
    """A short name for a company or database, by what tells it from all others."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def same_record(wanted: str, told: Iterable[str]) -> None:
    """Refuse an answer about other records than the one asked for: going on would put mail on the wrong account."""
    others = sorted({one for one in told if one and one != wanted})
    if others:
        raise Rejected(
            _("The CRM was asked for record {wanted} and answered with {told}; nothing was written.").format(
                wanted=clean_line(wanted, 40), told=clean_line(others[0], 40)
            ),
            next_step=_("Tell whoever looks after the CRM: crmmail does not guess which account was meant."),
            title=_("Wrong record"),
            reason="wrong_record",
        )


def missing_record() -> Rejected:
    """What the op is about is not in the CRM any more."""
    return Rejected(_("The account no longer exists in the CRM."), gone=True, reason="missing_record")


def bad_keys(status: int = 401, reason: str = "") -> AuthRequired:
    """The CRM does not know us: wrong or revoked keys."""
    return AuthRequired(
        _("The CRM does not accept these keys: they are wrong, or were revoked."),
        next_step=_("Connect it again with new keys: `crmmail crm connect`. What waits to be logged is kept."),
        status=status,
        reason=reason,
        title=_("CRM keys"),
    )


def number_of(remote_id: str) -> int:
    """A remote id as a number. Raises Rejected for what cannot be one of the CRM's ids."""
    if not remote_id.isdigit():
        raise missing_record()
    return int(remote_id)


def server_time(headers: Mapping[str, str]) -> float:
    """When the server says it is, in seconds since the epoch; 0 when it does not."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
