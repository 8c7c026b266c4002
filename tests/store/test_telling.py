"""What the CRMs tell us and what they are told: nothing unless chosen, exactly what was shown, once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crmmail.crm.model import (
    Account,
    Contact,
    CrmAck,
    CrmCapabilities,
    CrmPage,
    LogEntry,
    LogSetting,
    LogStatus,
    NeverBy,
    NewAccount,
    NewContact,
    RemoteAccount,
    RemoteContact,
    Scope,
    Unlogged,
    Visibility,
)
from crmmail.errors import Rejected
from crmmail.model import Incoming, Query
from crmmail.store import Store
from crmmail.store.choices import Setting
from tests.store.told import BORN_MS, Clock, page, state

ME = "ana@acme.example"
FULL = LogSetting(on=True, visibility=Visibility.FULL)
CAN = CrmCapabilities(create_account=True, create_contact=True, log=True, timeline=True)
BETA = RemoteAccount("a1", "Beta & Filhos", domains=("beta.example",), phone="1")
BEA = RemoteContact("c1", "a1", "Bea", addresses=("bea@beta.example",))


def raw(
    number: int, sender: str, to: str, *, cc: str = "", bcc: str = "", subject: str = "", marker: str = ""
) -> bytes:
    lines = [
        f"From: {sender}", f"To: {to}", *([f"Cc: {cc}"] if cc else []), *([f"Bcc: {bcc}"] if bcc else []),
        f"Subject: {subject or f'Assunto {number}'} {marker}", f"Message-ID: <{number}@x.example>", "",
        f"Texto {number} {marker}",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def whole(number: int, sender: str, to: str = ME, *, thread: str = "", folder: str = "inbox", **more: str) -> Incoming:
    when = BORN_MS + number * 1000
    return Incoming(
        f"m{number}", state(folder), when, raw=raw(number, sender, to, **more), remote_thread=thread or f"t{number}"
    )


class Told:
    """A store with a connected CRM that knows Beta."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.register_crm("spring", CAN)
        store.mirror("spring", CrmPage("1", (BETA,), (BEA,), complete=True))
        self.beta = store.accounts("beta")[0].id

    def hear(self, *letters: Incoming) -> list[int]:
        self.store.ingest("work", page(*letters, complete=True))
        while self.store.log_step():
            pass
        return [self.store.find("work", one.remote_id) or 0 for one in letters]

    def why(self, message: int) -> tuple[LogStatus, Unlogged | None]:
        found = self.store.log_states([message])[message]
        return found.status, found.why

    def entries(self) -> list[LogEntry]:
        return [one for one in self.store.claim_log("spring") if isinstance(one, LogEntry)]


@pytest.fixture
def told(store: Store) -> Told:
    return Told(store)


# what a CRM tells


def test_a_mirrored_account_binds_mail_and_a_page_told_twice_changes_nothing(told: Told) -> None:
    account = told.store.account(told.beta)
    assert account is not None
    assert (account.name, account.crm, account.remote_id) == ("Beta & Filhos", "spring", "a1")
    (number,) = told.hear(whole(1, "bea@beta.example"))
    assert told.store.ids(Query(account=told.beta)) == [number]
    told.store.mirror("spring", CrmPage("1", (BETA,), (BEA,), complete=True))
    assert told.store.account_count() == 1
    assert told.store.crm_cursor("spring") == "1"


# nothing unless chosen


def test_nothing_is_logged_until_the_user_has_chosen_to(told: Told) -> None:
    (number,) = told.hear(whole(1, "bea@beta.example"))
    assert told.why(number) == (LogStatus.NOT_LOGGED, Unlogged.NOT_CHOSEN)
    assert told.entries() == []
    told.store.set_log_setting(FULL, mailbox="work")
    told.hear(whole(1, "bea@beta.example"))
    assert told.entries() == []  # what came before the choice is logged by hand only


def test_chosen_mail_is_queued_told_once_and_acknowledged(told: Told, clock: Clock) -> None:
    clock.now = BORN_MS / 1000
    told.store.set_log_setting(FULL, mailbox="work")
    received, sent = told.hear(whole(1, "Bea <bea@beta.example>"), whole(2, ME, "bea@beta.example", folder="sent"))
    assert told.why(received) == (LogStatus.QUEUED, None)
    first, second = told.entries()
    assert (first.key, first.account, first.contacts, first.sent) == ("<1@x.example>", "a1", ("c1",), False)
    assert (second.sent, second.recipients, second.subject.strip()) == (True, ("bea@beta.example",), "Assunto 2")
    assert "Texto 1" in first.text
    assert told.entries() == []
    refused = CrmAck(second.key, error=Rejected("No."))
    told.store.acknowledge_log("spring", [CrmAck(first.key, "n1"), refused])
    assert told.why(received) == (LogStatus.LOGGED, None)
    assert told.why(sent) == (LogStatus.FAILED, None)
    told.hear(whole(1, "Bea <bea@beta.example>"))
    assert told.entries() == []
    told.store.retry_log(told.store.log_states([sent])[sent].op)
    assert [entry.key for entry in told.entries()] == [second.key]


def test_what_was_on_its_way_when_all_stopped_waits_again_in_its_order(
    told: Told, directory: Path, clock: Clock
) -> None:
    clock.now = BORN_MS / 1000
    told.store.set_log_setting(FULL, mailbox="work")
    told.hear(*(whole(number, "bea@beta.example") for number in range(1, 4)))
    keys = [entry.key for entry in told.entries()]
    told.store.close()
    with Store.open(directory, clock=clock) as again:
        again.release_log("spring")
        assert [one.key for one in again.claim_log("spring")] == keys
        again.defer_log("spring", clock.now + 60, "down")
        assert again.claim_log("spring") == []
        clock.now += 61
        assert [one.key for one in again.claim_log("spring")] == keys


def test_the_preview_is_exactly_what_the_crm_is_told(told: Told) -> None:
    (number,) = told.hear(whole(1, "bea@beta.example", bcc="secret@gama.example"))
    for visibility in Visibility:
        told.store.set_log_setting(LogSetting(True, visibility), mailbox="work")
        _state, preview = told.store.log_preview(number)
        assert preview is not None
        assert preview.visibility is visibility
        assert (bool(preview.subject), bool(preview.text)) == (
            visibility is not Visibility.METADATA, visibility is Visibility.FULL,
        )  # fmt: skip
        assert "secret" not in repr(preview)
    assert told.store.log_now([number])[0].status is LogStatus.QUEUED
    assert told.entries() == [preview]


def test_an_accounts_choice_goes_before_its_mailboxs_but_never_widens_one_that_is_off(told: Told) -> None:
    (number,) = told.hear(whole(1, "bea@beta.example"))
    told.store.set_log_setting(FULL, mailbox="work")
    told.store.set_log_setting(LogSetting(on=False), account=told.beta)
    assert told.why(number) == (LogStatus.NOT_LOGGED, Unlogged.OFF)
    told.store.set_log_setting(LogSetting(on=False), mailbox="work")
    told.store.set_log_setting(FULL, account=told.beta)
    assert told.why(number) == (LogStatus.NOT_LOGGED, Unlogged.OFF)


def test_why_a_message_is_not_logged_is_said(told: Told, clock: Clock) -> None:
    clock.now = BORN_MS / 1000
    told.store.set_log_setting(FULL, mailbox="work")
    told.store.save_account(Account("", "Local", domains=("local.example",)))
    told.store.save_contact(Contact("", told.store.accounts("local")[0].id, "Lia", addresses=("lia@local.example",)))
    numbers = told.hear(
        whole(1, "x@nobody.example"),
        whole(2, "rui@acme.example"),
        whole(3, "lia@local.example"),
        whole(4, "bea@beta.example", folder="spam"),
        whole(5, "no-reply@beta.example"),
        Incoming("m6", state("inbox"), BORN_MS),
    )
    assert [told.why(number)[1] for number in numbers] == [
        Unlogged.NO_ACCOUNT, Unlogged.INTERNAL, Unlogged.NOT_IN_CRM, Unlogged.NOT_MAIL, Unlogged.AUTOMATIC,
        Unlogged.NOT_HERE,
    ]  # fmt: skip
    told.store.unregister_crm("spring")
    assert told.why(numbers[0])[1] is Unlogged.NO_CRM


def test_a_message_bound_anew_while_it_waits_asks_and_goes_to_neither_by_itself(told: Told) -> None:
    told.store.mirror("spring", CrmPage("2", (RemoteAccount("a2", "Gama"),)))
    gama = told.store.accounts("gama")[0].id
    (number,) = told.hear(whole(1, "bea@beta.example"))
    told.store.log_now([number])
    told.store.link([number], gama)
    assert told.entries() == []
    assert told.why(number)[0] is LogStatus.ASK
    told.store.log_now([number], gama)
    assert [entry.account for entry in told.entries()] == ["a2"]


def test_several_accounts_ask_for_which_one_is_meant(told: Told) -> None:
    told.store.mirror("spring", CrmPage("2", (RemoteAccount("a2", "Gama"),)))
    gama = told.store.accounts("gama")[0].id
    (number,) = told.hear(whole(1, "bea@beta.example"))
    told.store.link([number], told.beta)
    told.store.link([number], gama, also=True)
    assert told.why(number) == (LogStatus.ASK, Unlogged.SEVERAL)
    assert told.store.log_now([number])[0].status is LogStatus.ASK
    told.store.log_now([number], gama)
    assert [entry.account for entry in told.entries()] == ["a2"]


def test_an_account_made_here_is_created_there_with_its_contacts_and_then_logged_to(told: Told) -> None:
    account = told.store.save_account(Account("", "Nova", domains=("nova.example",)))
    person = told.store.save_contact(Contact("", account.id, "Noa", addresses=("noa@nova.example",)))
    assert told.store.push_account(account.id, "spring")
    assert [type(one) for one in told.store.claim_log("spring")] == [NewAccount]
    told.store.acknowledge_log("spring", [CrmAck(account.id, "a7")])
    (created,) = told.store.claim_log("spring")
    assert isinstance(created, NewContact)
    assert (created.account, created.contact.id) == ("a7", person.id)
    told.store.acknowledge_log("spring", [CrmAck(person.id, "c7")])
    (number,) = told.hear(whole(1, "noa@nova.example"))
    told.store.log_now([number])
    (entry,) = told.entries()
    assert (entry.account, entry.contacts) == ("a7", ("c7",))
    told.store.mirror("spring", CrmPage("9", (RemoteAccount("a7", "Nova"),)))
    assert told.store.account_count() == 2


# the fence


def test_what_becomes_private_while_it_waits_does_not_leave(told: Told) -> None:
    numbers = told.hear(whole(1, "bea@beta.example", thread="t"), whole(2, "bea@beta.example", thread="t"))
    told.store.log_now(numbers)
    told.store.set_private([numbers[0]], scope=Scope.THREAD)
    assert told.entries() == []
    assert told.why(numbers[1]) == (LogStatus.NOT_LOGGED, Unlogged.PRIVATE)
    (late,) = told.hear(whole(3, "bea@beta.example", thread="t"))
    assert told.store.is_private(late)
    told.store.undo()
    assert not told.store.is_private(late)


def _wish(number: int, choose: random.Random) -> tuple[Incoming, str]:
    """A random message with a marker in it, and its kind: only a plain one may ever leave."""
    kind = choose.choice(["plain", "internal", "never", "never_cc", "never_bcc", "tag", "private", "talk"])
    marker = f"MARK{number:05d}"
    people = {
        "internal": ("rui@acme.example", ME, "", ""),
        "never": ("lawyer@beta.example", ME, "", ""),
        "never_cc": ("bea@beta.example", ME, "Lawyer@Beta.example", ""),
        "never_bcc": (ME, "bea@beta.example", "", "x@secret.example"),
    }.get(kind, ("bea@beta.example", ME, "", ""))
    sender, to, cc, bcc = people
    letter = whole(
        number, sender, to, cc=cc, bcc=bcc, subject="[private]" if kind == "tag" else "", marker=marker,
        thread="hidden" if kind == "talk" else "", folder="sent" if sender == ME else "inbox",
    )  # fmt: skip
    return letter, kind


@pytest.mark.parametrize("seed", range(2))
def test_no_byte_of_private_internal_or_never_listed_mail_is_in_any_payload(
    told: Told, clock: Clock, seed: int
) -> None:
    choose = random.Random(seed)
    clock.now = BORN_MS / 1000
    store = told.store
    store.never(NeverBy.ADDRESS, "lawyer@beta.example")
    store.never(NeverBy.DOMAIN, "secret.example")
    store.never(NeverBy.TAG, "[private]")
    store.set_log_setting(FULL, mailbox="work")
    (seed_of_talk,) = told.hear(whole(0, "bea@beta.example", thread="hidden"))
    store.set_private([seed_of_talk], scope=Scope.THREAD)
    allowed, forbidden = set(), set()
    for letter, kind in [_wish(number, choose) for number in range(1, 100)]:
        (number,) = told.hear(letter)
        if kind == "private":
            store.set_private([number])
        (allowed if kind == "plain" else forbidden).add(f"MARK{int(letter.remote_id[1:]):05d}")
        if choose.random() < 0.3:
            store.log_now([number], told.beta)
        if choose.random() < 0.2:
            store.link([number], told.beta)
    payload = repr([store.claim_log("spring", 1000) for _turn in range(3)])
    assert {marker for marker in forbidden if marker in payload} == set()
    assert {marker for marker in allowed if marker in payload} == allowed


def test_internal_mail_is_logged_only_where_the_user_switches_the_rule_off(told: Told) -> None:
    (number,) = told.hear(whole(1, "rui@acme.example"))
    told.store.link([number], told.beta)
    assert told.store.log_now([number])[0].why is Unlogged.INTERNAL
    told.store.set_ourselves(Setting(log_internal=True))
    assert told.store.log_now([number])[0].status is LogStatus.QUEUED
