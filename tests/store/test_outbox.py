"""The sync side: what is sent, and what the answers do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crmmail.errors import Rejected
from crmmail.model import Ack, Change, Delta, OpState, Patch, Query
from crmmail.ops import Verb
from crmmail.store import Store
from tests.store.told import FAVORITES, INBOX, OUTLOOK, TRASH, Clock, check, filled, mail, page, shown, state

Heard = Callable[[], Change]


def test_twenty_trashes_are_twenty_wishes_in_one_claim_in_the_order_they_were_made(store: Store) -> None:
    ids = filled(store, 20)
    for number in ids:
        store.perform(Verb.TRASH, [number])
    wishes = store.claim("work", 100)
    assert [wish.remote_id for wish in wishes] == [f"m{number}" for number in reversed(range(20))]
    assert wishes[0].delta == Delta(add=frozenset({"trash"}), remove=frozenset({"inbox"}))
    assert wishes[0].message_id == "<19@acme.example>"
    assert store.claim("work", 100) == []


def test_what_cancels_out_is_never_sent(store: Store) -> None:
    ids = filled(store, 1)
    store.perform(Verb.FAVORITE, ids)
    store.perform(Verb.UNFAVORITE, ids)
    assert store.claim("work", 10) == []
    assert store.outbox() == []
    assert not store.window(INBOX, 0, 1)[0].pending
    check(store)


def test_a_claim_takes_no_more_than_asked_and_the_next_one_the_rest(store: Store) -> None:
    store.perform(Verb.TRASH, filled(store, 5))
    first = store.claim("work", 2)
    second = store.claim("work", 9)
    assert len(first) == 2
    assert len({wish.remote_id for wish in first + second}) == 5


def test_an_answer_changes_nothing_on_the_screen(store: Store, heard: Heard) -> None:
    ids = filled(store, 3)
    store.perform(Verb.TRASH, ids)
    wishes = store.claim("work", 10)
    heard()
    store.acknowledge("work", [Ack(wish.remote_id) for wish in wishes])
    change = heard()
    assert change.folders == frozenset()
    assert change.messages == set(ids)  # only the mark that they wait
    assert store.outbox() == []
    store.ingest("work", page(patches=tuple(Patch(f"m{n}", state=state("trash")) for n in range(3))))
    assert heard() == Change()
    check(store)


def test_the_servers_own_word_wins_in_an_answer(store: Store) -> None:
    ids = filled(store, 1)
    store.perform(Verb.TRASH, ids)
    store.claim("work", 1)
    store.acknowledge("work", [Ack("m0", state=state("trash", "x:9", starred=True))])
    assert shown(store)["m0"] == state("trash", "x:9", starred=True)
    check(store)


def test_a_refused_op_brings_its_message_back_with_the_sentence_and_waits_for_the_user(
    store: Store, heard: Heard
) -> None:
    ids = filled(store, 3)
    act = store.perform(Verb.TRASH, ids)
    assert act is not None
    store.claim("work", 10)
    heard()
    store.acknowledge("work", [Ack("m0"), Ack("m1", error=Rejected("Not allowed here.")), Ack("m2")])
    assert heard().rejected == ((act.id, "Not allowed here."),)
    assert [row.remote_id for row in store.window(INBOX, 0, 9)] == ["m1"]
    (left,) = store.outbox()
    assert (left.state, left.error, left.remote_id) == (OpState.REJECTED, "Not allowed here.", "m1")
    assert store.claim("work", 10) == []
    check(store)
    store.retry(act.id)
    assert store.count(INBOX) == 0
    assert [wish.remote_id for wish in store.claim("work", 10)] == ["m1"]


def test_a_refused_op_can_be_given_up(store: Store) -> None:
    ids = filled(store, 1)
    act = store.perform(Verb.TRASH, ids)
    assert act is not None
    store.claim("work", 10)
    store.acknowledge("work", [Ack("m0", error=Rejected("No."))])
    store.discard(act.id)
    assert store.outbox() == []
    assert store.ids(INBOX) == ids
    assert store.undo() is None


def test_undo_passes_over_an_act_that_was_refused_whole(store: Store) -> None:
    ids = filled(store, 2)
    store.perform(Verb.FAVORITE, ids[:1])
    store.perform(Verb.TRASH, ids[1:])
    store.claim("work", 10)
    store.acknowledge("work", [Ack("m1"), Ack("m0", error=Rejected("No."))])
    assert (act := store.undo()) is not None and act.kind == "favorite"


def test_a_message_that_is_gone_is_removed_and_reported(store: Store, heard: Heard) -> None:
    ids = filled(store, 3)
    act = store.perform(Verb.TRASH, ids)
    assert act is not None
    store.claim("work", 10)
    heard()
    store.acknowledge("work", [Ack("m0", error=Rejected("No longer there.", gone=True)), Ack("m1"), Ack("m2")])
    assert heard().rejected == ((act.id, "No longer there."),)
    assert store.find("work", "m0") is None
    assert store.count(TRASH) == 2
    check(store)


def test_what_the_user_does_while_an_op_is_on_its_way_waits_and_is_folded_over_the_new_base(store: Store) -> None:
    ids = filled(store, 1)
    store.perform(Verb.FAVORITE, ids)
    (first,) = store.claim("work", 10)
    store.perform(Verb.UNFAVORITE, ids)
    store.perform(Verb.UNREAD, ids)
    assert store.claim("work", 10) == []
    store.acknowledge("work", [Ack(first.remote_id, state=state("inbox", "x:3", starred=True))])
    assert shown(store)["m0"] == state("inbox", "x:3", unread=True)
    (second,) = store.claim("work", 10)
    assert second.delta == Delta(unread=True, starred=False)
    assert second.base == state("inbox", "x:3", starred=True)
    check(store)


def test_a_deferred_op_waits_for_its_time_and_nothing_after_it_overtakes_it(store: Store, clock: Clock) -> None:
    ids = filled(store, 2)
    store.perform(Verb.FAVORITE, ids[:1])
    store.claim("work", 10)
    store.defer("work", ["m1"], clock.now + 60, "The server asked to wait.")
    store.perform(Verb.UNFAVORITE, ids[:1])
    store.perform(Verb.UNREAD, ids)
    assert [wish.remote_id for wish in store.claim("work", 10)] == ["m0"]
    waiting = store.outbox()[0]
    assert (waiting.attempts, waiting.error, waiting.state) == (1, "The server asked to wait.", OpState.PENDING)
    clock.now += 61
    (wish,) = store.claim("work", 10)
    assert wish.delta == Delta(unread=True, starred=False)  # the star may have arrived when it was tried


def test_a_deferred_op_can_be_hastened(store: Store, clock: Clock) -> None:
    store.perform(Verb.TRASH, filled(store, 1))
    store.claim("work", 10)
    store.defer("work", ["m0"], clock.now + 3600, "Offline.")
    assert store.claim("work", 10) == []
    store.hasten("home")
    assert store.claim("work", 10) == []
    store.hasten("work")
    assert len(store.claim("work", 10)) == 1


def test_what_was_on_its_way_at_a_crash_is_asked_again(store: Store, directory: Path) -> None:
    store.perform(Verb.TRASH, filled(store, 2))
    assert len(store.claim("work", 1)) == 1
    store.close()
    with Store.open(directory) as again:
        assert len(again.claim("work", 10)) == 2
        again.release("work")
        assert len(again.claim("work", 10)) == 2


def test_a_new_server_id_is_followed_by_message_journal_and_undo(store: Store) -> None:
    (number,) = filled(store, 1, "home")
    store.perform(Verb.TRASH, [number])
    store.claim("home", 1)
    store.perform(Verb.UNREAD, [number])
    store.acknowledge("home", [Ack("m0", remote_id_now="moved")])
    assert store.locate(number) == ("home", "moved")
    (wish,) = store.claim("home", 1)
    assert wish.remote_id == "moved"
    store.acknowledge("home", [Ack("moved")])
    store.undo()
    store.undo()
    assert shown(store, "home") == {"moved": state("inbox")}
    check(store)


def test_a_new_server_id_that_already_came_with_a_page_makes_no_double(store: Store) -> None:
    (number,) = filled(store, 1, "home")
    store.perform(Verb.TRASH, [number])
    store.claim("home", 1)
    store.ingest("home", page(mail(0, state("trash"), remote_thread="t"), removals=()))
    from dataclasses import replace

    store.ingest("home", page(replace(mail(0, state("trash")), remote_id="moved")))
    store.acknowledge("home", [Ack("m0", remote_id_now="moved")])
    assert shown(store, "home") == {"moved": state("trash")}
    check(store)


def test_ops_of_a_message_not_downloaded_again_yet_are_still_sent(store: Store, directory: Path) -> None:
    store.perform(Verb.TRASH, filled(store, 1, "home"))
    store.close()
    for path in directory.glob("cache.db*"):
        path.unlink()
    with Store.open(directory) as again:
        again.register(OUTLOOK)
        (wish,) = again.claim("home", 10)
        assert wish.base == state("inbox")
        again.release("home")
        again.ingest("home", page(mail(0)))
        assert again.ids(Query("home", "inbox")) == []
        check(again)
        again.claim("home", 1)
        again.acknowledge("home", [Ack("m0")])
        assert again.outbox() == []


def test_a_change_of_another_attribute_shows_at_once_while_ours_waits(store: Store) -> None:
    ids = filled(store, 1)
    store.perform(Verb.FAVORITE, ids)
    store.ingest("work", page(patches=(Patch("m0", delta=Delta(unread=True)),)))
    assert shown(store)["m0"] == state("inbox", unread=True, starred=True)
    assert store.ids(FAVORITES) == ids
    check(store)
