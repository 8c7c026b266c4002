"""What the user does: shown at once, kept for good, undone exactly."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from crmmail.model import Ack, Act, Change, OpState, Patch, Query
from crmmail.ops import Verb
from crmmail.store import Store
from tests.store.told import (
    ALL,
    FAVORITES,
    GMAIL,
    INBOX,
    OUTLOOK,
    TRASH,
    Clock,
    check,
    filled,
    mail,
    page,
    shown,
    state,
)

Heard = Callable[[], Change]


def send_all(store: Store, mailbox: str = "work") -> None:
    """A server that grants every wish."""
    while wishes := store.claim(mailbox, 100):
        store.acknowledge(mailbox, [Ack(wish.remote_id) for wish in wishes])


def test_trash_takes_messages_out_of_the_list_at_once_and_tells_which_lists_moved(store: Store, heard: Heard) -> None:
    ids = filled(store, 5)
    heard()
    act = store.perform(Verb.TRASH, ids[:2])
    assert act == Act(act.id, "trash", 2, act.created_ms, "done") if act else False
    assert store.ids(INBOX) == ids[2:]
    assert store.ids(TRASH) == ids[:2]
    assert store.count(INBOX) == 3
    change = heard()
    assert change.folders == {("work", "inbox"), ("work", "trash"), ("work", "all"), ("", "inbox")}
    assert change.messages == set(ids[:2])
    assert change.outbox
    assert store.message(ids[0]).row.pending  # type: ignore[union-attr]
    check(store)


def test_a_verb_is_done_to_those_it_is_allowed_for_and_to_nobody_else(store: Store) -> None:
    store.ingest("work", page(mail(1, state("inbox", unread=True)), mail(2), mail(3, state("trash", unread=True))))
    one, two, three = (store.find("work", name) or 0 for name in ("m1", "m2", "m3"))
    act = store.perform(Verb.READ, [one, two, three, 12345])
    assert act is not None and act.count == 2
    assert store.perform(Verb.READ, [one, two, three]) is None
    assert store.perform(Verb.DELETE, [one, two]) is None
    assert store.perform(Verb.TRASH, []) is None


def test_favorites_do_not_exist_where_the_mailbox_has_none(store: Store) -> None:
    ids = filled(store, 1, "home")
    assert store.perform(Verb.FAVORITE, ids) is None


def test_the_title_of_an_act_on_one_message_is_its_subject(store: Store) -> None:
    ids = filled(store, 2)
    assert (one := store.perform(Verb.TRASH, ids[:1])) is not None
    assert one.subject == "Assunto 1"
    assert [act.subject for act in store.acts(5)] == ["Assunto 1"]
    number = store.acts(5)[0].id
    assert [act.id for act in store.acts(among=[number, number + 9])] == [number]
    assert store.acts(among=[]) == []


@pytest.mark.parametrize("mailbox", [GMAIL, OUTLOOK], ids=lambda mailbox: mailbox.provider)
@pytest.mark.parametrize("when", ["before it is sent", "while it is sent", "after it was sent"])
def test_undoing_a_trash_gives_folder_star_and_unread_back(store: Store, mailbox: object, when: str) -> None:
    assert isinstance(mailbox, type(GMAIL))
    before = state("inbox", unread=True, starred=mailbox.capabilities.favorites)
    if mailbox.capabilities.labels:
        before = state("inbox", "x:Label_1", unread=True, starred=True)
    ids = filled(store, 3, mailbox.id, before)
    store.perform(Verb.TRASH, ids)
    wishes = [] if when.startswith("before") else store.claim(mailbox.id, 10)
    if when.startswith("after"):
        store.acknowledge(mailbox.id, [Ack(wish.remote_id) for wish in wishes])
    assert store.undo() is not None
    assert set(shown(store, mailbox.id).values()) == {before}
    check(store)
    if when.startswith("while"):
        store.acknowledge(mailbox.id, [Ack(wish.remote_id) for wish in wishes])
    send_all(store, mailbox.id)
    assert set(shown(store, mailbox.id).values()) == {before}
    assert store.outbox() == []
    check(store)


def test_undo_before_sending_sends_nothing(store: Store) -> None:
    store.perform(Verb.TRASH, filled(store, 3))
    store.undo()
    assert store.claim("work", 10) == []
    assert store.outbox() == []


def test_redo_does_again_what_was_undone_until_something_new_is_done(store: Store) -> None:
    ids = filled(store, 3)
    store.perform(Verb.FAVORITE, ids[:1])
    store.perform(Verb.TRASH, ids[1:])
    store.undo()
    store.undo()
    assert store.ids(FAVORITES) == []
    assert (act := store.redo()) is not None and act.kind == "favorite"
    assert store.ids(FAVORITES) == ids[:1]
    store.redo()
    assert store.ids(TRASH) == ids[1:]
    assert store.redo() is None
    store.undo()
    store.perform(Verb.UNREAD, ids[:1])
    assert store.redo() is None
    check(store)


def test_undo_and_redo_alternate_any_number_of_times_across_sending(store: Store) -> None:
    ids = filled(store, 2)
    before = shown(store)
    store.perform(Verb.TRASH, ids)
    after = shown(store)
    for turn in range(9):
        if turn % 3 == 0:
            send_all(store)
        assert store.undo() is not None
        assert shown(store) == before
        if turn % 2 == 0:
            send_all(store)
        assert store.redo() is not None
        assert shown(store) == after
        check(store)
    send_all(store)
    assert shown(store) == after


def test_undo_of_a_flag_leaves_alone_what_happened_to_the_message_elsewhere(store: Store) -> None:
    store.ingest("work", page(mail(1, state("inbox", unread=True))))
    ids = store.ids(INBOX)
    store.perform(Verb.FAVORITE, ids)
    send_all(store)
    store.ingest("work", page(patches=(Patch("m1", state=state("inbox", "x:1", starred=True)),)))
    store.undo()
    assert shown(store)["m1"] == state("inbox", "x:1")


def test_recover_puts_a_message_back_where_the_journal_says_it_was(store: Store) -> None:
    store.ingest("work", page(mail(1, state("x:Label_7", starred=True, unread=True)), mail(2, state("sent"))))
    ids = store.ids(ALL)
    before = shown(store)
    store.perform(Verb.TRASH, ids)
    send_all(store)
    store.ingest("work", page(patches=(Patch("m1", state=state("trash", "x:Label_7")),)))
    store.perform(Verb.RECOVER, ids)
    assert shown(store) == before
    store.perform(Verb.TRASH, ids)
    store.perform(Verb.RECOVER, ids)
    assert shown(store) == before


def test_recover_of_mail_trashed_elsewhere_goes_to_the_inbox(store: Store) -> None:
    store.ingest("home", page(mail(1, state("trash", unread=True))))
    store.perform(Verb.RECOVER, [store.find("home", "m1") or 0])
    assert shown(store, "home")["m1"] == state("inbox", unread=True)


def test_recovering_survives_a_lost_cache(store: Store, directory: Path) -> None:
    store.ingest("home", page(mail(1, state("x:Project"))))
    store.perform(Verb.TRASH, [store.find("home", "m1") or 0])
    send_all(store, "home")
    store.close()
    for path in directory.glob("cache.db*"):
        path.unlink()
    with Store.open(directory) as again:
        again.register(OUTLOOK)
        again.ingest("home", page(mail(1, state("trash"))))
        again.perform(Verb.RECOVER, [again.find("home", "m1") or 0])
        assert shown(again, "home")["m1"] == state("x:Project")


def test_deleting_for_good_is_final_and_undo_goes_on_with_the_act_before(store: Store) -> None:
    ids = filled(store, 3)
    store.perform(Verb.FAVORITE, ids[:1])
    store.perform(Verb.TRASH, ids[1:])
    send_all(store)
    act = store.perform(Verb.DELETE, ids[1:])
    assert act is not None and act.state == "final"
    assert store.ids(TRASH) == []
    send_all(store)
    assert store.message(ids[1]) is None
    undone = store.undo()
    assert undone is not None and undone.kind == "favorite"
    assert store.undo() is None
    check(store)


def test_a_quiet_act_is_sent_but_undo_and_redo_do_not_come_by_it(store: Store) -> None:
    store.ingest("work", page(mail(1, state("inbox", unread=True)), mail(2)))
    one, two = (store.find("work", name) or 0 for name in ("m1", "m2"))
    store.perform(Verb.FAVORITE, [one])
    store.perform(Verb.TRASH, [two])
    store.undo()
    store.perform(Verb.READ, [one], quiet=True)
    assert (act := store.redo()) is not None and act.kind == "trash"
    store.undo()
    store.undo()
    assert shown(store) == {"m1": state("inbox"), "m2": state("inbox")}
    assert [wish.delta.unread for wish in store.claim("work", 9)] == [False]


def test_undo_does_not_touch_what_is_about_to_be_deleted_for_good(store: Store) -> None:
    ids = filled(store, 1)
    store.perform(Verb.TRASH, ids)
    store.perform(Verb.DELETE, ids)
    assert store.undo() is None
    check(store)
    (wish,) = store.claim("work", 9)
    assert wish.delta.gone


def test_undo_before_the_cache_is_downloaded_again_still_withdraws_what_was_not_sent(
    store: Store, directory: Path
) -> None:
    store.perform(Verb.TRASH, filled(store, 1))
    store.close()
    for path in directory.glob("cache.db*"):
        path.unlink()
    with Store.open(directory) as again:
        again.register(GMAIL)
        assert (act := again.undo()) is not None and act.count == 1
        assert again.claim("work", 9) == []


def test_undo_leaves_out_messages_that_are_gone(store: Store) -> None:
    ids = filled(store, 3)
    store.perform(Verb.TRASH, ids)
    send_all(store)
    store.ingest("work", page(removals=("m1",)))
    act = store.undo()
    assert act is not None and act.count == 2
    assert store.ids(INBOX) == [ids[0], ids[2]]


def test_everything_is_as_it_was_after_a_restart(store: Store, directory: Path) -> None:
    ids = filled(store, 4)
    store.perform(Verb.TRASH, ids[:2])
    store.perform(Verb.FAVORITE, ids[2:])
    store.undo()
    before = (shown(store), store.acts(9), store.outbox(), store.ids(INBOX))
    store.close()
    with Store.open(directory) as again:
        assert (shown(again), again.acts(9), again.outbox(), again.ids(INBOX)) == before
        assert again.redo() is not None
        assert again.ids(FAVORITES) == ids[2:]
        again.undo()
        again.undo()
        assert again.ids(INBOX) == ids


def test_fifty_random_acts_undone_restore_everything(directory: Path, clock: Clock) -> None:
    random_ = random.Random(4)
    verbs = [verb for verb in Verb if verb not in (Verb.DELETE, Verb.RESTORE)]
    store = Store.open(directory, clock=clock)
    store.register(GMAIL)
    folders = (("inbox",), ("inbox", "x:1"), ("x:2",), ("sent",), ("trash",), ("spam",), ())
    store.ingest(
        "work",
        page(*(mail(n, state(*folders[n % 7], unread=n % 2 == 0, starred=n % 3 == 0)) for n in range(21))),
    )
    ids = [store.find("work", f"m{number}") or 0 for number in range(21)]
    states = [shown(store)]
    while len(states) < 51:
        if store.perform(random_.choice(verbs), random_.sample(ids, random_.randint(1, 6))) is not None:
            states.append(shown(store))
        if random_.random() < 0.3:
            send_all(store)
        if random_.random() < 0.1:
            store.close()
            store = Store.open(directory, clock=clock)
    for expected in reversed(states[:-1]):
        assert store.undo() is not None
        assert shown(store) == expected
        if random_.random() < 0.3:
            send_all(store)
    check(store)
    for expected in states[1:]:
        assert store.redo() is not None
        assert shown(store) == expected
    send_all(store)
    assert shown(store) == states[-1]
    check(store)
    store.close()


def test_an_op_is_bound_to_the_message_not_to_its_place(store: Store) -> None:
    ids = filled(store, 3)
    painted = store.window(INBOX, 0, 3)
    store.ingest("work", page(mail(50), mail(51)))
    store.perform(Verb.TRASH, [painted[1].id])
    assert [row.remote_id for row in store.window(TRASH, 0, 9)] == ["m1"]
    assert ids[1] == painted[1].id


def test_the_same_message_in_two_mailboxes_is_two_messages(store: Store) -> None:
    filled(store, 2)
    filled(store, 2, "home")
    store.perform(Verb.TRASH, store.ids(INBOX))
    assert store.count(Query("home", "inbox")) == 2
    assert {op.mailbox for op in store.outbox()} == {"work"}
    assert {op.state for op in store.outbox()} == {OpState.PENDING}
