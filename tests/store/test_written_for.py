"""What was written for an account belongs to it, also when it went to somebody nobody knows."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from crmmail.crm.model import Account, Bound, Reason
from crmmail.mailboxes import CAPABILITIES
from crmmail.model import Address, Draft, Folder, Identity, Incoming, Mailbox, Page, Query, Role, SendState, State
from crmmail.store import Store

ME = "me@ourco.example"


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path, clock=lambda: 1_795_357_920.0)
    opened.register(Mailbox("gmail", "gmail", ME, "Me", "", CAPABILITIES["gmail"]))
    opened.set_identities("gmail", [Identity("gmail", Address("Me", ME), default=True)])
    yield opened
    opened.close()


def sent(message_id: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = ME, "stranger@nowhere.example"
    message["Subject"], message["Message-ID"] = "Proposta", message_id
    message.set_content("Segue.")
    return message.as_bytes()


def arrive(store: Store, message_id: str) -> int:
    folder = Folder("gmail", "sent", Role.SENT, "Sent", "sent")
    copy = Incoming("s1", State(frozenset({"sent"})), 1_795_357_930_000, raw=sent(message_id))
    store.ingest("gmail", Page(cursor="1", upserts=(copy,), folders=(folder,), complete=True))
    return store.ids(Query("gmail", "sent"))[0]


def queued(store: Store, account: str = "") -> tuple[int, str]:
    draft = store.new_draft(
        Draft(0, "gmail", ME, (Address("", "stranger@nowhere.example"),), subject="Proposta", account=account)
    )
    out = store.queue(draft, sent("<ours@ourco.example>"), "<ours@ourco.example>", "token-12345")
    return out.id, out.message_id


def test_the_sent_copy_is_linked_to_the_account_it_was_written_for(store):
    account = store.save_account(Account("", "ACME"))
    queued(store, account.id)
    (link,) = store.links([arrive(store, "<ours@ourco.example>")])
    assert (link.account, link.reason) == (account.id, Reason.MANUAL)


def test_also_when_the_provider_gave_it_another_message_id(store):
    account = store.save_account(Account("", "ACME"))
    number, _ours = queued(store, account.id)
    store.claim_outgoing("gmail", 1_795_357_999.0)
    store.note_outgoing(number, state=SendState.ACCEPTED, sent_message_id="<theirs@provider.example>")
    (link,) = store.links([arrive(store, "<theirs@provider.example>")])
    assert link.account == account.id


def test_what_was_written_for_nobody_is_asked_about_as_always(store):
    queued(store)
    assert store.verdict(arrive(store, "<ours@ourco.example>")).bound is Bound.QUEUED
