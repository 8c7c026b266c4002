"""Outlook: the contract, and what only Graph does."""

from __future__ import annotations

import pytest

from crmmail import ops
from crmmail.errors import CursorExpired, Rejected, ScopeRequired, Transient
from crmmail.model import Delta, Role, State
from crmmail.ops import Verb
from tests.remotes.contract import RemoteContract
from tests.remotes.mirror import Mirror
from tests.remotes.world import START, GraphWorld, World, letter
from tests.waiting import Patient

TO_TRASH = Delta(move="trash")


class TestGraph(RemoteContract):
    world_kind = GraphWorld


def test_every_request_asks_for_immutable_ids(outlook: World) -> None:
    outlook.add(60)
    mirror = Mirror().fill(outlook.connect())
    outlook.move(mirror.one(), "trash")
    mirror.fill(outlook.connect())
    mirror.push(outlook.connect(), [outlook.wish(mirror, i, Delta(unread=True)) for i in mirror.newest()[:2]])
    assert len(outlook.box.ledger.requests) > 20
    assert all('IdType="ImmutableId"' in asked.prefer for asked in outlook.box.ledger.requests)


def test_an_id_stays_the_same_through_moves(outlook: World) -> None:
    (remote_id,) = outlook.add(1)
    mirror = Mirror().fill(outlook.connect())
    for place in ("trash", "archive", "inbox"):
        outlook.move(remote_id, place)
        mirror.fill(outlook.connect())
        assert mirror.states() == {remote_id: State(frozenset({place}))}
    assert mirror.fetched == [remote_id]


def test_the_echo_of_our_own_moves_needs_no_look_at_each_message(outlook: World) -> None:
    outlook.add(30)
    remote = outlook.connect()
    mirror = Mirror().fill(remote)
    mirror.push(remote, [outlook.wish(mirror, i, TO_TRASH) for i in mirror.newest()])
    outlook.box.ledger.clear()
    mirror.pull(remote)
    assert mirror.states() == outlook.truth()
    assert not outlook.box.ledger.asked("/me/messages/")


def test_folders_are_read_in_any_depth_and_beyond_the_first_page(outlook: World) -> None:
    for number in range(130):
        outlook.new_folder(f"Projeto {number}")
    parent, deep = "msgfolderroot", []
    for number in range(4):
        parent = outlook.new_folder(f"Nível {number}", parent)  # type: ignore[call-arg]
        deep.append(parent)
    outlook.add(2, folder=deep[-1])
    mirror = Mirror().pull(outlook.connect())
    folders = {folder.remote_id: folder for folder in mirror.folders}
    assert len([folder for folder in mirror.folders if folder.name.startswith("Projeto")]) == 130
    assert [folders[i].parent for i in deep] == ["", *(f"x:{i}" for i in deep[:-1])]
    assert mirror.states() == outlook.truth()


def test_empty_folders_of_exchange_itself_are_hidden_whatever_their_names(outlook: World) -> None:
    for place in outlook.mailbox.places.values():
        place.name = {"outbox": "Caixa de Saída"}.get(place.well_known, place.name)
    hidden = {folder.name for folder in Mirror().pull(outlook.connect()).folders if folder.hidden}
    assert hidden == {"Caixa de Saída", "Conversation History"}


def test_hidden_and_search_folders_are_left_out(outlook: World) -> None:
    root = outlook.mailbox.place("msgfolderroot").id
    outlook.mailbox.new_place("Escondida", parent=root, hidden=True)
    outlook.mailbox.new_place("Procura", parent=root, search=True)
    names = [folder.name for folder in Mirror().pull(outlook.connect()).folders]
    assert not {"Escondida", "Procura"} & set(names)


def test_a_folder_that_vanished_takes_its_mail_along(outlook: World) -> None:
    folder = outlook.new_folder("Velha")
    outlook.add(3)
    ids = outlook.add(3, folder=folder)
    mirror = Mirror().fill(outlook.connect())
    outlook.move(ids[0], "inbox")
    for remote_id in ids[1:]:
        outlook.mailbox.delete(outlook.key(remote_id))
    del outlook.mailbox.places[folder]
    mirror.fill(outlook.connect())
    assert mirror.states() == outlook.truth()
    assert f"x:{folder}" not in {one.key for one in mirror.folders}
    assert folder not in mirror.cursor


def test_a_mailbox_without_archive_does_not_offer_it(outlook: World) -> None:
    del outlook.mailbox.places[outlook.mailbox.place("archive").id]
    remote = outlook.connect()
    Mirror().pull(remote)
    assert not remote.capabilities.archive
    assert remote.capabilities.trash
    assert not remote.capabilities.favorites


@pytest.mark.parametrize("row", ["C02", "C02-unknown", "C02-resync"])
def test_a_folder_whose_place_was_forgotten_is_read_again_and_only_that_one(outlook: World, row: str) -> None:
    outlook.add(30)
    outlook.add(5, folder="sent")
    mirror = Mirror().fill(outlook.connect())
    gone, moved, marked = mirror.newest()[10:13]
    outlook.mailbox.delete(outlook.key(gone))
    outlook.move(moved, "trash")
    outlook.read(marked, unread=True)
    outlook.box.faults.preset(row)
    mirror.fetched.clear()
    mirror.fill(outlook.connect())
    assert mirror.states() == outlook.truth()
    assert not mirror.fetched


def test_a_server_that_never_finds_our_place_gives_up_the_round(outlook: World) -> None:
    outlook.add(3)
    mirror = Mirror().pull(outlook.connect())
    outlook.box.faults.add("status", path="/messages/delta", status=410, body={"error": {"code": "resyncRequired"}})
    with pytest.raises(CursorExpired):
        mirror.pull(outlook.connect())
    assert mirror.states() == outlook.truth()


def test_a_killed_round_still_finds_out_what_became_of_a_removed_message(outlook: World) -> None:
    folders = [outlook.new_folder(f"P{number}") for number in range(3)]
    ids = outlook.add(6)
    mirror = Mirror().fill(outlook.connect())
    outlook.mailbox.delete(outlook.key(ids[0]))
    outlook.move(ids[1], folders[2])
    outlook.read(ids[2], unread=True)
    for pages in (1, 1, 2, 1):
        mirror.pull(outlook.connect(), pages=pages)
    mirror.fill(outlook.connect())
    assert mirror.states() == outlook.truth()


def test_a_draft_written_on_elsewhere_brings_its_new_text(outlook: World) -> None:
    (remote_id,) = outlook.add(1, folder="drafts")
    mirror = Mirror().fill(outlook.connect())
    outlook.mailbox.update(outlook.key(remote_id), source=letter(77))
    mirror.fill(outlook.connect())
    assert mirror.messages[remote_id].raw == letter(77)


def test_headers_are_there_before_the_body_and_say_the_same(outlook: World) -> None:
    (remote_id,) = outlook.add(1)
    mirror = Mirror().pull(outlook.connect())
    message = mirror.messages[remote_id]
    assert message.raw is None
    assert message.headers is not None
    assert message.headers.subject == "Proposta 0"
    assert (message.headers.sender.name, message.headers.sender.email) == ("Ana Souza", "ana@example.org")
    assert message.headers.message_id == "<0@example.org>"
    assert message.received_ms == START


def test_no_more_than_three_bodies_are_fetched_at_once(outlook: World) -> None:
    outlook.add(24)
    outlook.box.limits.graph_concurrency = 3
    outlook.box.faults.add("latency", path=r"\$value", seconds=0.05)
    mirror = Mirror().fill(outlook.connect())
    assert all(message.raw for message in mirror.messages.values())
    assert not [asked for asked in outlook.box.ledger.requests if asked.status == 429]


def test_one_body_in_trouble_does_not_hold_up_the_others(outlook: World) -> None:
    ids = outlook.add(10)
    mirror = Mirror().pull(outlook.connect())
    outlook.box.faults.add("status", path=rf"{ids[3]}/\$value", status=500)
    got = []
    with pytest.raises(Transient):
        for incoming in outlook.connect().bodies(mirror.newest()):
            got.append(incoming.remote_id)
    assert set(got) == set(ids) - {ids[3]}


def test_a_part_throttled_inside_a_good_batch_waits_as_told_and_is_made_again(outlook: World) -> None:
    ids = outlook.add(5)
    mirror = Mirror().pull(outlook.connect())
    told = {"error": {"code": "ApplicationThrottled", "message": "MailboxConcurrency"}}
    outlook.box.faults.add("status", path="/move", nth=(2,), status=429, headers={"Retry-After": "7"}, body=told)
    pace = Patient(outlook.box.clock.advance)
    acks = mirror.push(outlook.connect(pace=pace), [outlook.wish(mirror, i, TO_TRASH) for i in ids])
    assert all(ack.error is None for ack in acks.values())
    assert pace.rested == [7]
    assert {state.folders for state in outlook.truth().values() if state} == {frozenset({"trash"})}


def test_parts_told_to_wait_long_stay_pending_and_the_others_are_answered(outlook: World) -> None:
    ids = outlook.add(5)
    mirror = Mirror().pull(outlook.connect())
    outlook.box.faults.add(
        "status", path="/move", nth=(2,), status=429, headers={"Retry-After": "300"}, body={"error": {}}
    )
    answered = []
    with pytest.raises(Transient) as caught:
        for ack in outlook.connect().apply([outlook.wish(mirror, i, TO_TRASH) for i in ids]):
            answered.append(ack.remote_id)
    assert caught.value.retry_after == 300
    assert answered == [i for i in ids if i != ids[1]]


def test_many_wishes_go_twenty_to_a_call(outlook: World) -> None:
    outlook.add(45)
    mirror = Mirror().pull(outlook.connect())
    remote = outlook.connect()
    outlook.box.ledger.clear()
    mirror.push(remote, [outlook.wish(mirror, i, Delta(unread=True)) for i in mirror.newest()])
    batches = [asked for asked in outlook.box.ledger.asked("$batch") if not asked.inner]
    assert len(batches) == 3 + 1  # and one that asks for the folders' roles


def test_a_move_whose_answer_was_lost_is_a_move_made(outlook: World) -> None:
    ids = outlook.add(3)
    mirror = Mirror().pull(outlook.connect())
    outlook.box.faults.add("reset_after", path=r"\$batch", nth=(2,))
    remote = outlook.connect()
    acks: dict[str, State | None] = {}
    for _attempt in range(2):
        try:
            acks |= {a.remote_id: a.state for a in remote.apply([outlook.wish(mirror, i, TO_TRASH) for i in ids])}
        except Transient:
            continue
    assert acks == {i: State(frozenset({"trash"})) for i in ids}
    assert len(outlook.box.ledger.accepted(outlook.user.address, "move")) == 3


def test_a_destination_that_vanished_is_a_refusal_and_not_the_end_of_the_message(outlook: World) -> None:
    folder = outlook.new_folder("Velha")
    (remote_id,) = outlook.add(1)
    mirror = Mirror().fill(outlook.connect())
    del outlook.mailbox.places[folder]
    acks = mirror.push(outlook.connect(), [outlook.wish(mirror, remote_id, Delta(move=f"x:{folder}"))])
    error = acks[remote_id].error
    assert isinstance(error, Rejected)
    assert not error.gone
    assert remote_id in mirror.messages


def test_a_grant_that_only_reads_asks_for_more_when_something_is_to_change(outlook: World) -> None:
    outlook.add(2)
    remote = outlook.connect(scopes="https://graph.microsoft.com/Mail.Read")
    mirror = Mirror().pull(remote)
    with pytest.raises(ScopeRequired) as caught:
        list(remote.apply([outlook.wish(mirror, i, TO_TRASH) for i in mirror.newest()]))
    assert caught.value.scope.endswith("Mail.ReadWrite")


def test_undoing_a_trash_brings_a_message_back_to_the_folder_it_came_from(outlook: World) -> None:
    folder = outlook.new_folder("Clientes")
    ids = outlook.add(3, folder=folder, unread=True)
    mirror = Mirror().pull(outlook.connect())
    before = outlook.truth()
    mirror.push(outlook.connect(), [outlook.wish(mirror, i, TO_TRASH) for i in ids])
    back = [
        outlook.wish(
            mirror, i, ops.delta_for(Verb.RECOVER, mirror.messages[i].state or State(), outlook.can, before[i])
        )
        for i in ids
    ]
    mirror.push(outlook.connect(), back)
    assert outlook.truth() == before == mirror.states()


def test_outlooks_flag_is_no_star(outlook: World) -> None:
    outlook.add(1, starred=True)
    mirror = Mirror().pull(outlook.connect())
    assert [state.starred for state in mirror.states().values() if state] == [False]


def test_system_folders_are_known_in_any_language(outlook: World) -> None:
    for known, name in (("inbox", "Caixa de Entrada"), ("deleteditems", "Itens Excluídos")):
        outlook.mailbox.place(known).name = name
    roles = {folder.name: folder.role for folder in Mirror().pull(outlook.connect()).folders}
    assert roles["Caixa de Entrada"] is Role.INBOX
    assert roles["Itens Excluídos"] is Role.TRASH


def test_a_page_of_another_server_is_not_taken_for_a_message(outlook: World) -> None:
    (remote_id,) = outlook.add(1)
    mirror = Mirror().pull(outlook.connect())
    outlook.box.faults.add("html", path=r"\$value", times=1)
    with pytest.raises(Transient):
        list(outlook.connect().bodies([remote_id]))
    assert mirror.fill(outlook.connect()).messages[remote_id].raw == letter(0)


def test_roles_that_were_told_by_half_are_not_believed(outlook: World) -> None:
    outlook.add(2)
    outlook.box.faults.add("html", path=r"/mailFolders/inbox\?", times=1)
    mirror = Mirror().pull(outlook.connect())
    assert mirror.states() == outlook.truth()
    assert mirror.folders[0].role is Role.INBOX


def test_a_move_answered_by_another_server_has_not_been_made(outlook: World) -> None:
    (remote_id,) = outlook.add(1)
    mirror = Mirror().pull(outlook.connect())
    outlook.box.faults.add("html", path="/move", times=1)
    acks = mirror.push(outlook.connect(), [outlook.wish(mirror, remote_id, TO_TRASH)])
    assert acks[remote_id].state == State(frozenset({"trash"})) == outlook.truth()[remote_id]
