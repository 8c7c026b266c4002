"""What was written for an account belongs to it, whoever it went to. `Store` inherits it.

The composer's choice of an account is the user's word on the message: it is kept under the Message-ID it goes out with,
and once more under the one a provider puts in its place.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from crmmail.crm.match import Choice
from crmmail.model import Draft, Outgoing
from crmmail.store import choices, drafts, outgoing, records, ties
from crmmail.store.importing import Importing


class WrittenFor(Importing):
    """Queueing and sending, with the account in mind."""

    def queue(self, draft: Draft, mime: bytes, message_id: str, token: str, not_before: float = 0.0) -> Outgoing:
        """As `Writing.queue`; the message belongs to the draft's account from now on."""
        queued = super().queue(draft, mime, message_id, token, not_before)
        if draft.account:
            self._keep_word(draft.account, draft.sender, message_id)
        return queued

    def note_outgoing(self, number: int, **changes: Any) -> Outgoing:
        """As `Writing.note_outgoing`; a message that a provider gave another Message-ID keeps its account."""
        noted = super().note_outgoing(number, **changes)
        replaced = changes.get("sent_message_id", "")
        if replaced and replaced != noted.message_id:
            account, sender = self._read(lambda connection: _written(connection, number))
            if account:
                self._keep_word(account, sender, replaced)
        return noted

    def _keep_word(self, account: str, sender: str, message_id: str) -> None:
        key = choices.key("m", ties.twin("", "", message_id, sender))
        text = choices.choice_text(Choice(yes=frozenset({account})), message_id=message_id)
        with self._writing():
            self._commit(lambda connection: records.write(connection, 0, {(records.CHOICE, key): text}))
            self._derive()


def _written(connection: sqlite3.Connection, number: int) -> tuple[str, str]:
    """(account, sender) of the draft an outgoing message was made of; '' and '' when it is gone."""
    queued = outgoing.entry(connection, number).outgoing
    kept = drafts.row(connection, queued.draft, *drafts.STATES)
    return (kept.draft.account, kept.draft.sender) if kept is not None else ("", "")
