"""A CRM reached by its dropbox address alone: it says what it cannot do, and logs only what left with a copy."""

from __future__ import annotations

from typing import Any

import pytest

from crmmail.errors import CursorExpired, Rejected, SettingsError
from crmmail.remotes.crm import Crm
from crmmail.remotes.dropbox import Dropbox
from tests.remotes.crm_contract import EveryCrm
from tests.remotes.crm_world import CrmWorld, everything, log, new_account, new_contact

ADDRESS = "12345@bcc.crm.example"


class AddressOnly(CrmWorld):
    def make(self, options: dict[str, Any]) -> Crm:
        return dropbox()


@pytest.fixture
def world() -> AddressOnly:
    return AddressOnly()


class TestDropbox(EveryCrm):
    pass


def dropbox(*copied: str, address: str = ADDRESS) -> Dropbox:
    return Dropbox("bcc", address, lambda key, to: to == address and key in copied)


def test_it_is_there_under_its_address() -> None:
    assert dropbox().check() == ADDRESS


@pytest.mark.parametrize("address", ["", "acme", "@crm.example", "a@b", "a b@crm.example", "<a@crm.example>"])
def test_what_is_no_address_is_refused_before_anything_is_kept(address: str) -> None:
    with pytest.raises(SettingsError):
        dropbox(address=address).check()


def test_it_mirrors_nothing() -> None:
    mirror = everything(dropbox())
    assert (mirror.accounts, mirror.contacts) == ({}, {})
    assert mirror.pages[-1].complete
    assert everything(dropbox(), mirror.cursor).pages[-1].complete
    with pytest.raises(CursorExpired):
        everything(dropbox(), "another's")


def test_a_message_that_left_with_a_copy_is_logged_and_no_other() -> None:
    ops = [log("1", "<a@x.example>", sent=True), log("1", "<b@x.example>", sent=True), log("1", "<c@x.example>")]
    copied, alone, received = dropbox("<a@x.example>", "<c@x.example>").apply(ops)
    assert (copied.remote_id, copied.error) == (ADDRESS, None)
    assert isinstance(alone.error, Rejected) and "without a copy" in alone.error.sentence
    assert isinstance(received.error, Rejected) and "received" in received.error.sentence


def test_it_takes_neither_accounts_nor_contacts() -> None:
    can = dropbox().capabilities
    assert (can.create_account, can.create_contact, can.timeline, can.attachments) == (False, False, False, False)
    acks = list(dropbox().apply([new_account(), new_contact("1", "a@x.example")]))
    assert all(isinstance(ack.error, Rejected) for ack in acks)
    assert dropbox().timeline("1") == []
