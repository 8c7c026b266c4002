"""The hostile corpus against the customers of CRM_FIXTURE.json: the forged binds to nothing, the private stays here."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from crmmail.crm import sheet
from crmmail.crm.model import (
    Account,
    Bound,
    CrmCapabilities,
    CrmPage,
    LogEntry,
    LogSetting,
    LogStatus,
    NeverBy,
    RemoteAccount,
    RemoteContact,
    Visibility,
)
from crmmail.mail.parse import parse
from crmmail.model import Capabilities, Incoming, Mailbox, Page, State
from crmmail.store import Store
from crmmail.store.choices import Setting
from tests.mail.hostile_files import DIRECTORY, Hostile, everything
from tests.store.told import BORN_MS, Clock

FIXTURE = json.loads((DIRECTORY / "CRM_FIXTURE.json").read_text())
MESSAGES = everything()
OF_THE_CRM = [message for message in MESSAGES if message.checks("crm")]


@pytest.fixture
def fixture(directory: Path, clock: Clock) -> Store:
    clock.now = BORN_MS / 1000
    store = Store.open(directory, clock=clock)
    store.register(Mailbox("me", "imap", FIXTURE["me"], capabilities=Capabilities()))
    hosts, ours = frozenset(FIXTURE["shared_mail_hosts"]), frozenset(FIXTURE["our_domains"])
    store.set_ourselves(Setting(ours, hosts))
    store.register_crm("crm", CrmCapabilities(log=True))
    accounts = tuple(RemoteAccount(one["id"], one["name"], tuple(one["domains"])) for one in FIXTURE["accounts"])
    contacts = tuple(
        RemoteContact(address, one["id"], address.partition("@")[0], (address,))
        for one in FIXTURE["accounts"]
        for address in one["contacts"]
    )
    store.mirror("crm", CrmPage("1", accounts, contacts, complete=True))
    for address in FIXTURE["never_log"]["addresses"]:
        store.never(NeverBy.ADDRESS, address)
    for tag in FIXTURE["never_log"]["subject_tags"]:
        store.never(NeverBy.TAG, tag)
    store.set_log_setting(LogSetting(True, Visibility.FULL, True), mailbox="me")
    return store


def bound(store: Store, message: Hostile) -> tuple[int, set[str], str]:
    """Take a message in: (its id, the accounts it binds to by the fixture's names, all a CRM would be told)."""
    sent = parse(message.raw()).headers.sender.email == FIXTURE["me"]
    incoming = Incoming(message.id, State(frozenset({"sent" if sent else "inbox"})), BORN_MS + 1000, message.raw())
    store.ingest("me", Page("c", (incoming,), complete=True))
    while store.log_step() or store.rematch_step():
        pass
    number = store.find("me", message.id)
    assert number is not None
    accounts = (store.account(link.account) for link in store.links([number]))
    told = [one for one in store.claim_log("crm") if isinstance(one, LogEntry)]
    return number, {account.remote_id for account in accounts if account is not None}, repr(told)


@pytest.mark.parametrize("message", OF_THE_CRM, ids=lambda message: message.id)
def test_every_crm_invariant_of_the_corpus_holds(fixture: Store, message: Hostile) -> None:
    number, accounts, told = bound(fixture, message)
    for want in message.checks("crm"):
        assert not accounts & set(want["must_not_bind"])
        assert accounts <= set(want["may_bind"])
        marker = message.sidecar["marker"] or "secret price"
        logged: Any = want.get("log", True)
        if logged is not True:
            assert marker not in told
            asked = fixture.log_now([number])[0].status
            assert asked in (LogStatus.ASK, LogStatus.NOT_LOGGED)
            assert fixture.claim_log("crm") == []
        elif want["may_bind"]:
            assert accounts == set(want["may_bind"])
            assert marker in told
        assert "bob@beta.example" not in told or message.id in ("crm-name-trick", "crm-forwarded-quote")
    if message.id == "crm-both-accounts":
        assert {one.name for one in fixture.candidates(number)} == {"Acme", "Beta"}
    fixture.close()


def test_no_other_hostile_message_binds_to_whom_it_only_claims_to_be(fixture: Store) -> None:
    """Two of them really are from a customer (they share a Message-ID); all others bind to nobody and go nowhere."""
    honest = {message.id for message in MESSAGES if message.id.startswith("db-dup-msgid")}
    seen = 0
    for message in MESSAGES:
        if message.checks("crm") or message.id in honest or len(message.raw()) >= 200_000:
            continue
        seen += 1
        number, accounts, told = bound(fixture, message)
        assert (accounts, told) == (set(), "[]"), message.id
        assert fixture.verdict(number).bound is not Bound.LINKED, message.id
    assert seen > 100
    assert sum(fixture.bound_counts().values()) == seen
    fixture.close()


@pytest.mark.parametrize("message", [one for one in MESSAGES if one.checks("csv_safe")], ids=lambda one: one.id)
def test_an_exported_cell_is_no_formula(message: Hostile) -> None:
    headers = parse(message.raw()).headers
    account = Account("", headers.subject, notes=headers.sender.name, owner=headers.subject)
    cells = [cell for row in csv.reader(io.StringIO("".join(sheet.write([(account, ())])))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
