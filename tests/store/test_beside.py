"""The panel beside a message, figures and timeline of an account: from local data alone."""

from __future__ import annotations

import pytest

from crmmail.crm.model import Account, Contact, Owes, TimelineEntry
from crmmail.model import Address, Draft, Incoming, Query
from crmmail.store import Store
from crmmail.store.briefing import WEEKS
from tests.store.told import BORN_MS, Clock, page, state

ME = "ana@acme.example"
HOUR = 3_600_000
WITH_FILE = """From: {sender}\r
To: {to}\r
Message-ID: <{number}@x.example>\r
Subject: Contrato\r
Content-Type: multipart/mixed; boundary=B\r
\r
--B\r
\r
Segue.\r
--B\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename=contrato-{number}.pdf\r
\r
x\r
--B--\r
"""


def sent(number: int, sender: str, to: str, hours: float, *, thread: str = "t", folder: str = "inbox") -> Incoming:
    raw = WITH_FILE.format(sender=sender, to=to, number=number).encode()
    return Incoming(f"m{number}", state(folder), BORN_MS + int(hours * HOUR), raw=raw, remote_thread=thread)


@pytest.fixture
def beta(store: Store, clock: Clock) -> str:
    clock.now = BORN_MS / 1000 + 86_400
    account = store.save_account(Account("", "Beta", domains=("beta.example",)))
    store.save_contact(Contact("", account.id, "Bea", addresses=("bea@beta.example",)))
    letters = (
        sent(1, "Bea <bea@beta.example>", f"{ME}, new@beta.example", 0),
        sent(2, ME, "bea@beta.example", 2, folder="sent"),
        sent(3, "Bea <bea@beta.example>", ME, 5),
    )
    store.ingest("work", page(*letters, complete=True))
    return account.id


def test_the_briefing_tells_who_what_and_who_owes_an_answer(store: Store, beta: str) -> None:
    draft = store.new_draft(Draft(0, "work", ME, to=(Address("", "bea@beta.example"),), subject="Re"))
    store.new_draft(Draft(0, "work", ME, to=(Address("", "other@nobody.example"),)))
    newest, _middle, oldest = store.ids(Query(account=beta))
    found = store.briefing(oldest)
    assert found.account is not None
    assert (found.account.name, [one.name for one in found.contacts]) == ("Beta", ["Bea"])
    assert [one.email for one in found.strangers] == ["new@beta.example"]
    assert found.received is not None and found.sent is not None
    assert (found.received.id, found.sent.sender_email) == (newest, ME)
    assert (found.owes, found.since_ms) == (Owes.WE, BORN_MS + 5 * HOUR)
    assert [one.id for one in found.drafts] == [draft.id]
    assert [(one.name, one.sent) for one in found.files] == [
        ("contrato-3.pdf", False), ("contrato-2.pdf", True), ("contrato-1.pdf", False),
    ]  # fmt: skip
    assert (found.identities, found.total, found.waiting) == ((ME,), 3, 1)


def test_after_our_answer_they_owe_one(store: Store, beta: str) -> None:
    store.ingest("work", page(sent(4, ME, "bea@beta.example", 6, folder="sent")))
    assert store.briefing(store.ids(Query(account=beta))[0]).owes is Owes.THEY


def test_a_message_of_nobody_has_a_briefing_too(store: Store, beta: str) -> None:
    store.ingest("work", page(sent(9, "Zed <z@nobody.example>", ME, 7, thread="z")))
    found = store.briefing(store.ids(Query(folder="classify"))[0])
    assert (found.account, [one.name for one in found.strangers]) == (None, ["Zed"])


def test_figures_count_weeks_and_answers(store: Store, beta: str) -> None:
    figures = store.account_figures(beta)
    assert len(figures.weeks) == WEEKS
    assert (sum(week.received for week in figures.weeks), sum(week.sent for week in figures.weeks)) == (2, 1)
    assert (figures.our_response, figures.their_response) == (2 * 3600.0, 3 * 3600.0)
    assert (figures.our_answers, figures.their_answers) == (1, 1)


def test_the_timeline_joins_our_mail_and_the_crms_entries_without_doubles(store: Store, beta: str) -> None:
    told = [
        TimelineEntry(BORN_MS + 3 * HOUR, "Colleague", "Call", "Talked.", remote_id="n1"),
        TimelineEntry(BORN_MS, "Me", "E-mail", message_id="<1@x.example>", remote_id="n2"),
    ]
    store.keep_timeline(beta, told)
    found = store.timeline(beta)
    assert [(entry.title, bool(entry.message)) for entry in found] == [
        ("Contrato", True), ("Call", False), ("Contrato", True), ("Contrato", True),
    ]  # fmt: skip


def test_accounts_that_may_be_the_same_are_named(store: Store, beta: str) -> None:
    twin = store.save_account(Account("", "Béta"))
    other = store.save_account(Account("", "Beta Comércio", domains=("beta.example",)))
    store.save_account(Account("", "Gama"))
    assert {row.id for row in store.similar_accounts(beta)} == {twin.id, other.id}
