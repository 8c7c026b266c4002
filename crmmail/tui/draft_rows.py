"""Drafts that only this computer has, as rows of the Drafts list. Ids are negative: no verb of mail acts on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Draft, Row
from crmmail.tui import format

if TYPE_CHECKING:
    from crmmail.store import Store

MARK = "✎"


def rows(store: Store, mailbox: str) -> list[Row]:
    """The open drafts of `mailbox`, and those of no mailbox that is connected, without those the server lists."""
    listed = set(store.drafted(mailbox).values())
    others = {box.id for box in store.mailboxes()} - {mailbox}
    parted = store.drafts_parted()
    return [
        marked(row(draft)) if draft.id in parted else row(draft)
        for draft in store.drafts()
        if draft.id not in listed and draft.mailbox not in others
    ]


def marked(row: Row) -> Row:
    """A draft another client has changed too: the other version has a line of its own."""
    return replace(row, subject=_("changed elsewhere too: {subject}").format(subject=row.subject))


def row(draft: Draft) -> Row:
    """How a draft looks in a list."""
    people = format.people((*draft.to, *draft.cc, *draft.bcc)) or _("(no recipient)")
    return Row(
        id=-draft.id,
        mailbox=draft.mailbox,
        remote_id="",
        thread=0,
        thread_count=1,
        subject=clean_line(draft.subject) or _("(no subject)"),
        sender=f"{MARK} {people}",
        sender_email="",
        snippet=clean_line(draft.text[:300]),
        received_ms=draft.saved_ms,
        unread=False,
        starred=False,
        has_attachments=bool(draft.enclosures),
        pending=True,
    )
