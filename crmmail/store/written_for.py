"""A message that was written for an account belongs to it when it comes back from Sent. `Store` inherits this."""

from __future__ import annotations

import sqlite3
from typing import Any

from crmmail.crm.match import Choice
from crmmail.model import Draft, Outgoing
from crmmail.store import choices, directory, drafts, records, ties
from crmmail.store.importing import Importing


class WrittenFor(Importing):
    """The account of a draft goes with what is sent, as the user's word, whatever Message-ID the server gives it."""

    def queue(self, draft: Draft, mime: bytes, message_id: str, token: str, not_before: float = 0.0) -> Outgoing:
        """Queue `mime` (see `Writing.queue`), its account noted with it."""
        with self._writing():
            queued = super().queue(draft, mime, message_id, token, not_before)
            self._note_account(draft, queued.message_id)
        return queued

    def note_outgoing(self, number: int, **changes: Any) -> Outgoing:
        """Write down what became of a message (see `Writing.note_outgoing`); renamed there, it keeps its account."""
        with self._writing():
            noted = super().note_outgoing(number, **changes)
            if changes.get("sent_message_id"):
                draft = self._read(lambda connection: drafts.row(connection, noted.draft, *drafts.STATES))
                if draft is not None:
                    self._note_account(draft.draft, noted.sent_message_id)
        return noted

    def _note_account(self, draft: Draft, message_id: str) -> None:
        if draft.account and message_id and self._commit(lambda connection: _note(connection, draft, message_id)):
            self._derive()


def _note(connection: sqlite3.Connection, draft: Draft, message_id: str) -> int:
    """The user's word on a message of ours: on its conversation where it begins one. How many records differ.

    Where its recipients are the account's contacts and nobody else's, they say it themselves.
    """
    account = directory.account(connection, draft.account)
    if account is None:
        return 0
    people = directory.writers(connection, [one.email for one in (*draft.to, *draft.cc) if one.email])
    if {one.account for one in people} == {account.id}:
        return 0
    key = choices.key("t" if draft.kind == "new" else "m", ties.twin(draft.mailbox, "", message_id, draft.sender))
    text = choices.choice_text(Choice(frozenset({account.id})), mailbox=draft.mailbox, message_id=message_id)
    return records.write(connection, 0, {(records.CHOICE, key): text})
