"""Gmail: the contract, and what only Gmail does."""

from __future__ import annotations

import pytest

from crmmail import ops
from crmmail.errors import CursorExpired, Rejected, ScopeRequired, Transient
from crmmail.model import Delta, Role, State
from crmmail.ops import Verb
from crmmail.remotes import gmail_calls
from tests.remotes.contract import RemoteContract
from tests.remotes.mirror import Mirror
from tests.remotes.world import START, GmailWorld, World, letter

MODIFY_ONLY = "https://www.googleapis.com/auth/gmail.modify"
TO_TRASH = Delta(add=frozenset({"trash"}), remove=frozenset({"inbox", "spam"}))


class TestGmail(RemoteContract):
    world_kind = GmailWorld


def outer(world: World, path: str) -> int:
    """How many requests of their own, not parts of a batch, had this in their path."""
    return len([asked for asked in world.box.ledger.asked(path) if not asked.inner])


def test_a_batch_never_holds_more_gets_than_google_takes(gmail: World) -> None:
    gmail.add(100)
    gmail.box.limits.gmail_batch_concurrency = 15
    mirror = Mirror().pull(gmail.connect())
    assert mirror.states() == gmail.truth()
    assert not [asked for asked in gmail.box.ledger.requests if asked.status == 429]
    assert outer(gmail, "/batch/") <= 100 / 15 + 2


def test_parts_throttled_inside_a_good_batch_are_asked_again_and_not_lost(gmail: World) -> None:
    gmail.add(30)
    gmail.box.limits.gmail_batch_concurrency = 9
    mirror = Mirror().pull(gmail.connect())
    assert mirror.states() == gmail.truth()
    assert len(mirror.fetched) == len(set(mirror.fetched)) == 30


def test_parts_throttled_for_long_are_left_to_the_next_try_and_the_others_kept(gmail: World) -> None:
    gmail.add(15)
    gmail.box.faults.add(
        "status", path=r"format=raw", nth=(3,), status=429, headers={"Retry-After": "60"}, body={"error": {"code": 429}}
    )
    mirror = Mirror()
    with pytest.raises(Transient) as caught:
        mirror.pull(gmail.connect())
    assert caught.value.retry_after == 60
    assert len(mirror.messages) == 14
    mirror.pull(gmail.connect())
    assert mirror.states() == gmail.truth()
    assert len(mirror.fetched) == 15


def test_a_used_up_quota_is_told_to_wait(gmail: World) -> None:
    gmail.add(20)
    gmail.box.limits.gmail_units_per_minute = 60
    with pytest.raises(Transient):
        Mirror().pull(gmail.connect())


def test_what_a_fill_costs_is_what_the_bucket_takes(gmail: World) -> None:
    gmail.add(60)
    seconds = 0.0
    remote = gmail.connect(units_per_second=1.0, burst=10_000.0, clock=lambda: seconds)
    Mirror().pull(remote)
    spent = 10_000.0 - (10_000.0 - remote._calls._pace._level)
    assert 10_000.0 - spent == gmail.box.ledger.units(gmail.user.address)


def test_a_token_that_ends_inside_a_batch_is_renewed_and_the_part_asked_again(gmail: World) -> None:
    gmail.add(10)
    told = {"error": {"code": 401, "errors": [{"reason": "authError"}]}}
    gmail.box.faults.add("status", path="format=raw", status=401, times=1, body=told)
    mirror = Mirror().pull(gmail.connect())
    assert mirror.states() == gmail.truth()


def test_equal_changes_go_in_one_call(gmail: World) -> None:
    gmail.add(30)
    mirror = Mirror().pull(gmail.connect())
    gmail.box.ledger.clear()
    mirror.push(gmail.connect(), [gmail.wish(mirror, i, TO_TRASH) for i in mirror.newest()])
    assert [asked.path for asked in gmail.box.ledger.requests] == ["/gmail/v1/users/me/messages/batchModify"]


def test_more_than_a_thousand_changes_go_in_several_calls(gmail: World) -> None:
    gmail.add(2)
    mirror = Mirror().pull(gmail.connect())
    (wish, _other) = [gmail.wish(mirror, i, Delta(unread=True)) for i in mirror.newest()]
    gmail.box.ledger.clear()
    acks = list(gmail.connect().apply([wish] * 2001))
    assert len(acks) == 2001
    assert outer(gmail, "batchModify") == 3


def test_trash_and_undo_restore_inbox_and_labels_exactly(gmail: World) -> None:
    label = gmail.new_folder("Clientes")
    gmail.add(3, labels=[label], starred=True, unread=True)
    gmail.add(1, labels=[label], folder="")
    mirror = Mirror().pull(gmail.connect())
    before = gmail.truth()
    ids = mirror.newest()
    deltas = {i: ops.delta_for(Verb.TRASH, mirror.messages[i].state or State(), gmail.can) for i in ids}
    mirror.push(gmail.connect(), [gmail.wish(mirror, i, deltas[i]) for i in ids])
    assert all("trash" in state.folders and f"x:{label}" in state.folders for state in gmail.truth().values() if state)
    back = [
        gmail.wish(mirror, i, ops.delta_for(Verb.RESTORE, mirror.messages[i].state or State(), gmail.can, before[i]))
        for i in ids
    ]
    mirror.push(gmail.connect(), back)
    assert gmail.truth() == before == mirror.states()


def test_googles_own_labels_are_not_folders(gmail: World) -> None:
    gmail.add(1, labels=["IMPORTANT", "CATEGORY_UPDATES"])
    mirror = Mirror().pull(gmail.connect())
    assert list(mirror.states().values()) == [State(frozenset({"inbox"}))]
    assert {folder.key for folder in mirror.folders} == {"inbox", "drafts", "sent", "trash", "spam"}


def test_labels_nest_by_their_names(gmail: World) -> None:
    top, below, loose = (gmail.new_folder(name) for name in ("Clientes", "Clientes/ACME", "Nada/Aqui"))
    folders = {folder.remote_id: folder for folder in Mirror().pull(gmail.connect()).folders}
    assert (folders[below].name, folders[below].parent) == ("ACME", f"x:{top}")
    assert (folders[loose].name, folders[loose].parent) == ("Nada/Aqui", "")
    assert folders[top].role is Role.OTHER


def test_permanent_deletion_without_the_wide_permission_asks_for_it_and_does_the_rest(gmail: World) -> None:
    ids = gmail.add(4, folder="trash", unread=True)
    mirror = Mirror().pull(gmail.connect())
    for doomed in (ids[:1], ids[:2]):
        wishes = [gmail.wish(mirror, i, Delta(gone=True)) for i in doomed]
        wishes += [gmail.wish(mirror, i, Delta(unread=False)) for i in ids[2:]]
        acks = {ack.remote_id: ack for ack in gmail.connect(scopes=MODIFY_ONLY).apply(wishes)}
        for remote_id in doomed:
            error = acks[remote_id].error
            assert isinstance(error, ScopeRequired)
            assert error.scope == "https://mail.google.com/"
        assert all(acks[i].state == State(frozenset({"trash"})) for i in ids[2:])
    assert set(gmail.truth()) == set(ids)


def test_a_history_that_is_too_old_is_an_expired_cursor(gmail: World) -> None:
    mirror = Mirror().pull(gmail.connect())
    gmail.box.faults.preset("C01")
    with pytest.raises(CursorExpired):
        mirror.pull(gmail.connect())


def test_a_fill_whose_page_token_was_forgotten_starts_at_the_top_without_fetching_twice(gmail: World) -> None:
    gmail.add(700)
    mirror = Mirror()
    for page in gmail.connect().changes("", mirror.known):
        mirror.take(page)
        if len(mirror.messages) > 550:
            break
    assert '"token": "ey' in mirror.cursor
    told = {"error": {"code": 400, "message": "Invalid pageToken", "errors": [{"reason": "invalidArgument"}]}}
    gmail.box.faults.add("status", path="pageToken=", status=400, body=told, times=1)
    mirror.pull(gmail.connect())
    assert mirror.states() == gmail.truth()
    assert len(mirror.fetched) == len(set(mirror.fetched)) == 700


def test_a_message_that_slid_past_while_the_list_was_read_is_found(gmail: World) -> None:
    """A deletion moves the later pages up by one where the server counts from the top."""
    ids = gmail.add(700)
    mirror = Mirror()
    remote = gmail.connect()
    asked = remote._calls.get
    hidden = ids[100]

    def get(path: str, kind: str, query: dict[str, object] | None = None) -> dict[str, object]:
        answer: dict[str, object] = asked(path, kind, query)
        if "pageToken" in (query or {}) and len(mirror.messages) < 690:
            answer["messages"] = [item for item in answer["messages"] if item["id"] != hidden]  # type: ignore[attr-defined]
        return answer

    remote._calls.get = get
    mirror.pull(remote)
    assert mirror.states() == gmail.truth()


def test_a_message_larger_than_the_cap_comes_with_its_headers_only(
    gmail: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gmail.add(20)
    big = gmail.mailbox.id_of(gmail.mailbox.add(letter(999) + b"x" * 90_000, received_ms=START))
    monkeypatch.setattr(gmail_calls, "RAW_LIMIT", 60_000)
    mirror = Mirror().pull(gmail.connect())
    assert mirror.states() == gmail.truth()
    assert [i for i, message in mirror.messages.items() if message.raw is None] == [big]
    headers = mirror.messages[big].headers
    assert headers is not None
    assert headers.subject == "Proposta 999"


def test_one_message_the_server_will_not_give_does_not_hold_up_the_others(gmail: World) -> None:
    ids = gmail.add(20)
    told = {"error": {"code": 400, "message": "Precondition check failed.", "errors": [{"reason": "badRequest"}]}}
    gmail.box.faults.add("status", path=f"{ids[4]}.format=raw", status=400, body=told)
    mirror = Mirror().pull(gmail.connect())
    assert set(mirror.messages) == set(ids) - {ids[4]}
    assert mirror.pages[-1].complete


def test_a_full_reading_after_an_expired_cursor_reads_every_label_again(gmail: World) -> None:
    label = gmail.new_folder("Clientes")
    ids = gmail.add(40, unread=True)
    mirror = Mirror().pull(gmail.connect())
    gmail.mailbox.modify(gmail.key(ids[3]), [label, "STARRED"], ["UNREAD", "INBOX"])
    mirror.cursor = ""
    mirror.fetched.clear()
    gmail.box.ledger.clear()
    mirror.pull(gmail.connect())
    assert mirror.states() == gmail.truth()
    assert not mirror.fetched
    assert gmail.box.ledger.units(gmail.user.address) < 150


def test_a_quiet_look_costs_two_units(gmail: World) -> None:
    gmail.add(3)
    remote = gmail.connect()
    mirror = Mirror().pull(remote)
    gmail.box.ledger.clear()
    mirror.pull(remote)
    assert gmail.box.ledger.units(gmail.user.address) == 2


def test_a_refusal_of_all_is_each_messages_own(gmail: World) -> None:
    ids = gmail.add(3)
    mirror = Mirror().pull(gmail.connect())
    wishes = [gmail.wish(mirror, i, Delta(add=frozenset({"x:Label_404"}))) for i in ids]
    acks = list(gmail.connect().apply(wishes))
    assert len(acks) == 3
    assert all(isinstance(ack.error, Rejected) for ack in acks)
