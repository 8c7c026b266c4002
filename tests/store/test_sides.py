"""Which side a message is of: what a colleague writes to a customer is ours, wherever one looks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from crmmail.crm.model import (
    CrmCapabilities,
    CrmPage,
    LogEntry,
    LogSetting,
    Owes,
    RemoteAccount,
    Scope,
    Unlogged,
    Visibility,
)
from crmmail.model import Address, Identity, Incoming, Query
from crmmail.store import Store
from crmmail.store.choices import Setting
from tests.store.told import BORN_MS, Clock, check, page, state

ME, OTHER_BOX, COLLEAGUE, CUSTOMER = "ana@acme.example", "ana@casa.example", "rui@acme.example", "bea@beta.example"
PARTNER = "eva@parceira.example"  # a domain the user may call our own
HOUR = 3_600_000


def told(
    number: int,
    sender: str,
    to: str,
    hours: float,
    *,
    cc: str = "",
    reply_to: str = "",
    thread: str = "t",
    folder: str = "inbox",
) -> Incoming:
    """Message `number` of a conversation, with a file, so many hours after the first."""
    lines = [
        f"From: {sender}", f"To: {to}", f"Cc: {cc or to}", f"Reply-To: {reply_to or sender}",
        f"Message-ID: <{number}@x.example>", "Subject: Contrato b", "Content-Type: application/pdf",
        f"Content-Disposition: attachment; filename=contrato-{number}.pdf", "", "x",
    ]  # fmt: skip
    when = BORN_MS + int(hours * HOUR)
    return Incoming(f"m{number}", state(folder), when, raw="\r\n".join(lines).encode(), remote_thread=thread)


@pytest.fixture
def beta(store: Store, clock: Clock) -> str:
    clock.now = BORN_MS / 1000
    store.register_crm("spring", CrmCapabilities(log=True))
    store.mirror("spring", CrmPage("1", (RemoteAccount("a1", "Beta", domains=("beta.example",)),), complete=True))
    store.set_log_setting(LogSetting(on=True, visibility=Visibility.FULL), mailbox="work")
    clock.now = BORN_MS / 1000 + 86_400
    return store.accounts("beta")[0].id


def settle(store: Store) -> None:
    while store.rematch_step() or store.log_step():
        pass


def hear(store: Store, *letters: Incoming) -> list[int]:
    store.ingest("work", page(*letters, complete=True))
    settle(store)
    return [store.find("work", one.remote_id) or 0 for one in letters]


def seen(store: Store, account: str) -> dict[str, object]:
    """What each place that tells sides apart says of an account's mail."""
    newest = store.briefing(store.ids(Query(account=account))[0])
    weeks = store.account_figures(account).weeks
    return {
        "panel": (newest.received and newest.received.sender_email, newest.sent and newest.sent.sender_email),
        "owes": newest.owes,
        "waiting": (store.count(Query(folder="waiting")), newest.waiting, store.accounts("beta")[0].waiting),
        "files": [(one.name, one.sent) for one in newest.files],
        "timeline": [(one.who, one.sent) for one in store.timeline(account)],
        "weeks": (sum(week.received for week in weeks), sum(week.sent for week in weeks)),
    }


def ours(sender: str) -> dict[str, object]:
    """What is seen after a customer wrote and `sender` of our side answered."""
    return {
        "panel": (CUSTOMER, sender),
        "owes": Owes.THEY,
        "waiting": (0, 0, 0),
        "files": [("contrato-2.pdf", True), ("contrato-1.pdf", False)],
        "timeline": [(sender, True), (CUSTOMER, False)],
        "weeks": (1, 1),
    }


@pytest.mark.parametrize("sender", [COLLEAGUE, "rui@vendas.acme.example", OTHER_BOX])
def test_an_answer_from_our_side_is_ours_in_panel_lists_timeline_and_figures(
    store: Store, beta: str, sender: str
) -> None:
    hear(store, told(1, CUSTOMER, ME, 0), told(2, sender, CUSTOMER, 2, cc=ME))
    assert seen(store, beta) == ours(sender)
    figures = store.account_figures(beta)
    assert (figures.our_response, figures.our_answers, figures.their_answers) == (2 * 3600.0, 1, 0)
    check(store)


def test_what_a_colleague_asks_a_customer_is_answered_by_them(store: Store, beta: str) -> None:
    hear(store, told(1, COLLEAGUE, CUSTOMER, 0, cc=ME), told(2, CUSTOMER, COLLEAGUE, 3, cc=ME))
    figures = store.account_figures(beta)
    assert (figures.their_response, figures.their_answers, figures.our_answers) == (3 * 3600.0, 1, 0)
    assert (seen(store, beta)["owes"], seen(store, beta)["waiting"]) == (Owes.WE, (1, 1, 1))


def test_the_crm_is_told_that_a_colleagues_mail_was_sent(store: Store, beta: str) -> None:
    received, sent = hear(store, told(1, CUSTOMER, ME, 0), told(2, COLLEAGUE, CUSTOMER, 2, cc=ME))
    assert [store.log_preview(number)[1].sent for number in (received, sent)] == [False, True]  # type: ignore[union-attr]
    entries = [one for one in store.claim_log("spring") if isinstance(one, LogEntry)]
    assert {one.sender: one.sent for one in entries} == {CUSTOMER: False, COLLEAGUE: True}


def test_a_colleagues_address_is_none_to_write_from(store: Store, beta: str) -> None:
    first, _second = hear(store, told(1, ME, CUSTOMER, 0, folder="sent"), told(2, COLLEAGUE, CUSTOMER, 2, cc=ME))
    assert store.briefing(first).identities == (ME,)


def test_mail_through_a_form_of_ours_is_the_customers(store: Store, beta: str) -> None:
    (number,) = hear(store, told(1, "site@acme.example", ME, 0, reply_to=CUSTOMER))
    found = seen(store, beta)
    assert (found["panel"], found["owes"]) == (("site@acme.example", None), Owes.WE)
    assert (found["waiting"], found["weeks"]) == ((1, 1, 1), (1, 0))
    assert store.log_preview(number)[1].sent is False  # type: ignore[union-attr]


def test_what_a_machine_of_ours_writes_answers_nobody(store: Store, beta: str) -> None:
    hear(store, told(1, CUSTOMER, ME, 0), told(2, "no-reply@acme.example", CUSTOMER, 1, cc=ME))
    found = seen(store, beta)
    assert found["panel"] == (CUSTOMER, "no-reply@acme.example")
    assert (found["owes"], found["waiting"]) == (Owes.WE, (1, 1, 1))


def test_a_word_among_colleagues_leaves_the_answer_to_the_customer_owed(store: Store, beta: str) -> None:
    asked, among = hear(store, told(1, CUSTOMER, ME, 0), told(2, COLLEAGUE, ME, 1))
    assert (store.verdict(among).why, store.log_states([among])[among].why) == ("internal", Unlogged.INTERNAL)
    assert store.briefing(asked).owes is Owes.WE
    assert store.ids(Query(folder="waiting")) == [asked]
    assert [entry.message for entry in store.timeline(beta)] == [asked]


def test_mail_among_colleagues_that_is_linked_by_hand_waits_for_nobody(store: Store, beta: str) -> None:
    (number,) = hear(store, told(1, COLLEAGUE, ME, 0))
    store.link([number], beta, Scope.THREAD)
    assert store.ids(Query(account=beta)) == [number]
    assert (store.briefing(number).owes, store.count(Query(folder="waiting"))) == (Owes.NOBODY, 0)


def test_naming_a_domain_our_own_changes_sides_and_taking_it_back_changes_them_again(store: Store, beta: str) -> None:
    letters = hear(store, told(1, CUSTOMER, ME, 0), told(2, PARTNER, CUSTOMER, 2, cc=ME))
    assert seen(store, beta)["weeks"] == (2, 0)
    store.set_ourselves(Setting(domains=frozenset({"parceira.example"})))
    settle(store)
    assert seen(store, beta) == ours(PARTNER)
    assert store.log_preview(letters[1])[1].sent is True  # type: ignore[union-attr]
    store.undo()
    settle(store)
    assert (seen(store, beta)["weeks"], seen(store, beta)["waiting"]) == ((2, 0), (1, 1, 1))


def test_an_address_the_user_adds_to_a_mailbox_is_ours(store: Store, beta: str) -> None:
    hear(store, told(1, CUSTOMER, ME, 0), told(2, PARTNER, CUSTOMER, 2, cc=ME))
    own = [Identity("work", Address("", one)) for one in (ME, PARTNER)]
    store.use_identities("work", own)
    settle(store)
    assert seen(store, beta) == ours(PARTNER)
    store.use_identities("work", own[:1])
    settle(store)
    assert seen(store, beta)["weeks"] == (2, 0)


def test_the_address_of_a_mailbox_that_is_removed_is_ours_no_longer(store: Store, beta: str) -> None:
    hear(store, told(1, CUSTOMER, ME, 0), told(2, OTHER_BOX, CUSTOMER, 2, cc=ME))
    store.unregister("home")
    settle(store)
    assert seen(store, beta)["weeks"] == (2, 0)


def test_sides_that_an_older_version_wrote_down_are_put_right(
    store: Store, beta: str, directory: Path, clock: Clock
) -> None:
    hear(store, told(1, CUSTOMER, ME, 0), told(2, COLLEAGUE, CUSTOMER, 2, cc=ME))
    store.close()
    connection = sqlite3.connect(directory / "cache.db")
    connection.executescript(
        "UPDATE bond SET people = substr(people, 2) WHERE people LIKE '1%'; PRAGMA user_version = 6"
    )
    connection.close()
    with Store.open(directory, clock=clock) as again:
        settle(again)
        assert seen(again, beta) == ours(COLLEAGUE)
        assert again.rematching().total == 0
        check(again)
