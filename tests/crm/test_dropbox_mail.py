"""A CRM with a dropbox address gets a blind copy of what we send to customers: unseen by them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmmail import crms
from crmmail.crm.model import Account, Contact, LogSetting, LogStatus, NeverBy, Scope, Unlogged, Visibility
from crmmail.mailboxes import CAPABILITIES
from crmmail.model import Address, Draft, Identity, Mailbox, Query, SendState
from crmmail.remotes.dropbox import Dropbox
from crmmail.sandbox.server import User
from crmmail.shell_compose import _queue
from crmmail.store import Store
from crmmail.sync import RemoteSync
from crmmail.sync.crm import CrmSync
from tests.remotes.world import GmailWorld

ADDRESS = "4711@bcc.crm.example"
ME, BIA = "me@example.com", "bia@cedro.example"
FULL = LogSetting(on=True, visibility=Visibility.FULL)


class Office:
    """A mailbox of ours, one of the customer's, and a CRM that has nothing but an address."""

    def __init__(self, store: Store, mail: GmailWorld) -> None:
        self.store, self.mail = store, mail
        self.identity = Identity("work", Address("Eu", ME), default=True)
        self.bia = mail.box.add_user(User(BIA, "gmail")).mailbox
        store.register(Mailbox("work", "gmail", ME, "Work", "", replace(CAPABILITIES["gmail"], send=True)))
        self.cedro = store.save_account(Account("", "Cedro", ("cedro.example",))).id
        store.save_contact(Contact("", self.cedro, "Bia", (BIA,)))
        store.set_log_setting(FULL, mailbox="work")
        self.sync = RemoteSync(store, mail.connect())
        crm = Dropbox("bcc", ADDRESS, lambda key, address: crms.went(store, key, address))
        self.crm = CrmSync(store, crm, poll=0)
        assert self.crm.step().error is None

    def send(self, *to: str, **draft: object) -> None:
        """As the composer does, until it is seen in Sent."""
        people = tuple(Address("", one) for one in to or (BIA,))
        draft = {"subject": "Proposta", "text": "Segue.", **draft}
        written = Draft(0, "work", ME, to=people, **draft)  # type: ignore[arg-type]
        _queue(self.store, written, self.identity, [], ADDRESS)
        for _ in range(20):
            self.sync.step()
            if not self.store.outgoing([SendState.HELD, SendState.QUEUED, SendState.SENDING, SendState.ACCEPTED]):
                break
        while self.store.rematch_step():
            pass
        self.crm.step()

    def recipients(self) -> list[str]:
        """Whom the last message went to."""
        return sorted(self.mail.box.ledger.sends()[-1].detail["recipients"])

    def sent(self) -> int:
        return self.store.ids(Query("work", "sent"))[0]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with GmailWorld() as mail, Store.open(tmp_path / "profile") as store:
        yield Office(store, mail)


def test_what_is_sent_to_a_customer_goes_to_the_crm_too_and_the_customer_cannot_see_it(office: Office) -> None:
    office.send()
    assert office.recipients() == [ADDRESS, BIA]
    (received,) = [message.raw for message in office.bia.newest_first()]
    assert ADDRESS.encode() not in received
    assert b"Bcc" not in received
    state = office.store.log_states([office.sent()])[office.sent()]
    assert (state.status, state.remote_id) == (LogStatus.LOGGED, ADDRESS)


def test_mail_that_is_received_is_told_as_not_logged_with_the_reason(office: Office) -> None:
    raw = f"From: {BIA}\r\nTo: {ME}\r\nSubject: Pedido\r\nMessage-ID: <1@cedro.example>\r\n\r\nOi.\r\n".encode()
    office.mail.mailbox.deliver(raw)
    office.sync.step()
    office.crm.step()
    (number,) = office.store.ids(Query("work", "inbox"))
    state = office.store.log_states([number])[number]
    assert (state.status, state.why) == (LogStatus.NOT_LOGGED, Unlogged.RECEIVED)


@pytest.mark.parametrize(
    "setting",
    [LogSetting(), LogSetting(on=False), LogSetting(on=True), LogSetting(on=True, visibility=Visibility.SUBJECT)],
)
def test_no_copy_goes_unless_everything_may_be_told(office: Office, setting: LogSetting) -> None:
    office.store.set_log_setting(setting, mailbox="work")
    office.send()
    assert office.recipients() == [BIA]


def test_no_copy_goes_of_mail_to_nobodys_customer_or_to_colleagues(office: Office) -> None:
    office.send("somebody@nowhere.example")
    assert office.recipients() == ["somebody@nowhere.example"]
    own = office.store.ourselves()
    office.store.set_ourselves(replace(own, domains=("cedro.example", "example.com")))
    office.send()
    assert office.recipients() == [BIA]


def test_no_copy_goes_of_what_is_private_or_never_logged(office: Office) -> None:
    raw = f"From: {BIA}\r\nTo: {ME}\r\nSubject: Pedido\r\nMessage-ID: <1@cedro.example>\r\n\r\nOi.\r\n".encode()
    office.mail.mailbox.deliver(raw)
    office.sync.step()
    (number,) = office.store.ids(Query("work", "inbox"))
    office.store.set_private([number], scope=Scope.THREAD)
    office.send(parent=number)
    assert office.recipients() == [BIA]
    office.store.set_private([number], False, scope=Scope.THREAD)
    office.store.never(NeverBy.ADDRESS, BIA)
    office.send()
    assert office.recipients() == [BIA]


def test_a_message_sent_without_a_copy_says_so_when_it_is_asked_to_be_logged(office: Office) -> None:
    office.store.set_log_setting(LogSetting(on=True), mailbox="work")
    office.send()
    office.store.log_now([office.sent()])
    office.crm.step()
    state = office.store.log_states([office.sent()])[office.sent()]
    assert state.status is LogStatus.FAILED
    assert "without a copy" in state.error
