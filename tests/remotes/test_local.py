"""The CRM that is always there, this computer: the contract of all CRMs, and what is its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail.crm.model import Account, LogSetting, NeverBy, Visibility
from crmmail.errors import Rejected
from crmmail.model import Incoming, Page
from crmmail.remotes.local import Local
from crmmail.store import Store
from crmmail.sync.crm import CrmSync
from tests.faults.crm_faults import letter
from tests.remotes.crm_contract import Keeps, Tells, acked, ids
from tests.remotes.crm_world import LocalWorld, everything, log, new_account, new_contact
from tests.store.told import GMAIL, state


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    with Store.open(tmp_path / "profile") as store:
        yield LocalWorld(store, tmp_path / "profile")


class TestLocal(Keeps, Tells):
    pass


def test_its_accounts_are_here_already_so_nothing_is_told_of_them(world: LocalWorld) -> None:
    world.add_contact(world.add_account("Acme"), "Ana Lima", "ana@acme.example")
    mirror = everything(world.connect())
    assert (mirror.accounts, mirror.contacts) == ({}, {})
    acks = acked(world.connect(), new_account(), new_contact("1", "a@x.example"))
    assert all(isinstance(ack.error, Rejected) and "already" in ack.error.sentence for ack in acks)


def test_what_was_kept_is_there_after_a_new_start_and_without_the_copy_of_the_mail(
    world: LocalWorld, tmp_path: Path
) -> None:
    acme = world.add_account("Acme")
    ids(acked(world.connect(), log(acme)))
    world.store.close()
    for file in (tmp_path / "profile").glob("cache.db*"):
        file.unlink()
    with Store.open(tmp_path / "profile") as again:
        assert [entry.title for entry in Local("local", again).timeline(acme)] == ["E-mail received: Proposta & preço"]
        assert [entry.message_id for entry in again.timeline(acme)] == ["<1@cliente.example>"]


def test_what_was_kept_goes_where_its_account_goes_and_comes_back_with_it(world: LocalWorld) -> None:
    acme, other = world.add_account("Acme"), world.add_account("Other")
    crm = world.connect()
    ids(acked(crm, log(acme, "<a@x.example>"), log(other, "<b@x.example>")))
    world.store.merge_accounts(acme, [other])
    assert {entry.message_id for entry in crm.timeline(acme)} == {"<a@x.example>", "<b@x.example>"}
    ids(acked(crm, log(other, "<c@x.example>")))
    assert {account for account, _text in world.entries()} == {acme}
    world.store.remove_account(acme)
    assert world.entries() == []
    world.store.undo()
    assert len(world.entries_on(acme)) == 3
    world.store.undo()
    assert {entry.message_id for entry in crm.timeline(other)} == {"<b@x.example>"}


def test_an_entry_that_was_altered_on_the_disk_is_not_shown_as_what_was_logged(world: LocalWorld) -> None:
    acme = world.add_account("Acme")
    crm = world.connect()
    ids(acked(crm, log(acme)))
    world.store._commit(lambda desk: desk.execute("UPDATE record SET content = '{}' WHERE kind = 'entry'"))
    assert crm.timeline(acme) == []


def test_before_it_is_connected_nothing_is_kept() -> None:
    crm = Local("local", None)
    assert crm.check()
    (ack,) = acked(crm, log("1"))
    assert isinstance(ack.error, Rejected)
    assert crm.timeline("1") == []


def test_nothing_of_private_internal_or_never_logged_mail_is_kept(tmp_path: Path) -> None:
    with Store.open(tmp_path / "profile") as store:
        store.register(GMAIL)
        cedro = store.save_account(Account("", "Cedro", ("cedro.example",)))
        sync = CrmSync(store, Local("local", store), poll=0)
        assert sync.step().error is None
        store.set_log_setting(LogSetting(on=True, visibility=Visibility.FULL), mailbox=GMAIL.id)
        store.never(NeverBy.ADDRESS, "never@cedro.example")
        senders = ("bia@cedro.example", "never@cedro.example", f"colega@{GMAIL.address.partition('@')[2]}")
        now = int(time.time() * 1000)
        mail = tuple(
            Incoming(f"m{number}", state("inbox"), now + number, raw=letter(number, sender), remote_thread=f"t{number}")
            for number, sender in enumerate((*senders, senders[0]))
        )
        store.ingest(GMAIL.id, Page("1", upserts=mail, complete=True))
        store.set_private([store.find(GMAIL.id, "m3") or 0])
        assert sync.step().logged == 1
        assert [entry.message_id for entry in store.kept_entries(cedro.id)] == ["<0@cedro.example>"]
    desk = b"".join(file.read_bytes() for file in (tmp_path / "profile").glob("desk.db*"))
    assert [number for number in range(4) if f"Texto {number}.".encode() in desk] == [0]
