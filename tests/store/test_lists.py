"""What lists show."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from crmmail.model import Address, Folder, Mailbox, Phase, Query, Role, Status
from crmmail.ops import Verb
from crmmail.store import Store
from tests.store.told import (
    ALL,
    BORN_MS,
    EVERY_INBOX,
    FAVORITES,
    GMAIL,
    INBOX,
    OUTLOOK,
    check,
    filled,
    headers,
    mail,
    page,
    state,
)


def test_a_list_is_newest_first_whatever_the_order_of_arrival(store: Store) -> None:
    store.ingest("work", page(mail(2), mail(5), mail(1)))
    store.ingest("work", page(mail(4), mail(3)))
    assert [row.remote_id for row in store.window(INBOX, 0, 10)] == ["m5", "m4", "m3", "m2", "m1"]
    check(store)


@pytest.mark.parametrize("offset", [0, 1, 29, 30, 31, 55, 59, 60, 99])
def test_a_window_is_the_same_from_whichever_end_it_is_counted(store: Store, offset: int) -> None:
    ids = filled(store, 60)
    assert store.ids(INBOX, offset, 7) == ids[offset : offset + 7]
    assert [row.id for row in store.window(INBOX, offset, 7)] == ids[offset : offset + 7]


def test_the_rank_of_a_message_is_its_offset_and_of_a_vanished_one_where_it_would_stand(store: Store) -> None:
    ids = filled(store, 9)
    assert [store.position(INBOX, number) for number in ids] == list(range(9))
    store.perform(Verb.TRASH, [ids[4]])
    assert store.position(INBOX, ids[4]) == 4
    assert store.ids(INBOX, 4, 1) == [ids[5]]


def test_views_follow_the_flags_and_leave_trash_and_spam_out(store: Store) -> None:
    store.ingest(
        "work",
        page(
            mail(1, state("inbox", starred=True)),
            mail(2, state("trash", starred=True)),
            mail(3, state("spam")),
            mail(4, state(), subject="archived"),
        ),
    )
    store.ingest("home", page(mail(9, state("inbox", unread=True))))
    assert [row.remote_id for row in store.window(FAVORITES, 0, 9)] == ["m1"]
    assert [row.remote_id for row in store.window(ALL, 0, 9)] == ["m4", "m1"]
    assert [(row.mailbox, row.remote_id) for row in store.window(EVERY_INBOX, 0, 9)] == [("home", "m9"), ("work", "m1")]
    assert [row.remote_id for row in store.window(Query("", "trash"), 0, 9)] == ["m2"]
    check(store)


def test_folders_come_in_the_seeds_order_with_counts_and_only_what_the_mailbox_can(store: Store) -> None:
    told = (
        Folder("work", "x:Label_2", Role.OTHER, "Zeta", "Label_2"),
        Folder("work", "x:Label_1", Role.OTHER, "alfa", "Label_1"),
        Folder("work", "inbox", Role.INBOX, "INBOX", "INBOX", server_total=3),
        Folder("work", "spam", Role.SPAM, "SPAM", "SPAM"),
    )
    store.ingest("work", page(mail(1, state("inbox", "x:Label_1", unread=True)), folders=told))
    found = store.folders("work")
    assert [folder.key for folder in found] == [
        *("inbox", "favorites", "drafts", "sent", "trash", "spam", "all"),
        *("x:Label_1", "x:Label_2"),
    ]
    assert [(folder.total, folder.unread) for folder in found if folder.key in {"inbox", "x:Label_1"}] == [(1, 1)] * 2
    assert "favorites" not in [folder.key for folder in store.folders("home")]
    assert [(folder.key, folder.total) for folder in store.folders("")] == [("inbox", 1)]


def test_a_folder_the_server_no_longer_lists_is_no_longer_shown(store: Store) -> None:
    label = Folder("work", "x:1", Role.OTHER, "Old", "1")
    store.ingest("work", page(folders=(label,)))
    assert "x:1" in [folder.key for folder in store.folders("work")]
    store.ingest("work", page(folders=()))
    assert "x:1" not in [folder.key for folder in store.folders("work")]


def test_sent_and_draft_folders_show_the_recipients(store: Store) -> None:
    to = (Address("Bia", "bia@x.example"), Address("", "leo@x.example"))
    store.ingest("work", page(mail(1, state("sent"), headers=headers(to=to))))
    assert store.window(Query("work", "sent"), 0, 1)[0].sender == "Bia, leo@x.example"
    assert store.window(ALL, 0, 1)[0].sender == "Rui Sá"


def test_unread_and_starred_filters_page_and_count(store: Store) -> None:
    store.ingest("work", page(*(mail(n, state("inbox", unread=n % 2 == 0, starred=n % 3 == 0)) for n in range(12))))
    for query, expected in (
        (Query("work", "inbox", unread=True), [10, 8, 6, 4, 2, 0]),
        (Query("work", "inbox", unread=False), [11, 9, 7, 5, 3, 1]),
        (Query("work", "inbox", starred=True), [9, 6, 3, 0]),
        (Query("work", "inbox", unread=True, starred=True), [6, 0]),
    ):
        assert [row.remote_id for row in store.window(query, 0, 99)] == [f"m{number}" for number in expected]
        assert store.count(query) == len(expected)
        assert [row.remote_id for row in store.window(query, 1, 2)] == [f"m{number}" for number in expected[1:3]]


def test_a_thread_is_shown_oldest_first_and_counted_without_the_trash(store: Store) -> None:
    store.ingest("work", page(mail(1, thread="a"), mail(2, thread="a"), mail(3, thread="b"), mail(4, thread="a")))
    newest = store.ids(INBOX)[0]
    assert [row.remote_id for row in store.thread(newest)] == ["m1", "m2", "m4"]
    assert store.window(INBOX, 0, 1)[0].thread_count == 3
    store.perform(Verb.TRASH, [store.find("work", "m2") or 0])
    assert store.window(INBOX, 0, 1)[0].thread_count == 2


def test_without_server_threads_a_late_message_joins_the_conversations_it_refers_to(store: Store) -> None:
    def told(number: int, *references: str) -> object:
        return mail(
            number,
            remote_thread="",
            headers=headers(f"Assunto {number}", message_id=f"<{number}>", references=references),
        )

    store.ingest("home", page(told(1), told(2, "<x>"), told(5)))  # type: ignore[arg-type]
    first, second, other = (store.find("home", name) or 0 for name in ("m1", "m2", "m5"))
    assert len(store.thread(first)) == len(store.thread(second)) == 1
    store.ingest("home", page(told(3, "<1>", "<x>")))  # type: ignore[arg-type]
    assert {row.remote_id for row in store.thread(first)} == {"m1", "m2", "m3"}
    assert [row.thread_count for row in store.thread(second)] == [3, 3, 3]
    assert len(store.thread(other)) == 1
    check(store)


def test_ids_sort_by_time_and_are_the_same_after_a_new_download(store: Store) -> None:
    ids = filled(store, 30)
    names = {store.locate(number): number for number in ids}
    store.unregister("work")
    assert store.ids(EVERY_INBOX) == []
    check(store)
    store.register(GMAIL)
    for number in reversed(range(30)):
        store.ingest("work", page(mail(number)))
    assert {store.locate(number): number for number in store.ids(INBOX)} == names


def test_thousands_of_messages_of_one_millisecond_all_find_an_id(store: Store) -> None:
    for received in (0, -5, BORN_MS, 1 << 62):
        told = [
            replace(mail(0), remote_id=f"{received}-{number}", received_ms=received, headers=None)
            for number in range(1500)
        ]
        store.ingest("work", page(*told))
    ids = store.ids(INBOX)
    assert len(set(ids)) == 6000
    assert min(ids) >= 0 and max(ids) < 1 << 53


def test_what_a_server_writes_into_its_texts_breaks_nothing(store: Store) -> None:
    odd = mail(1, headers=headers("Assunto \ud800 \x00 ' \" %", "\udfff <a@b>"), snippet="\ud83d")
    store.ingest("work", page(odd, folders=(Folder("work", "x:\ud800", Role.OTHER, "\ud800", "\ud800"),)))
    row = store.window(INBOX, 0, 1)[0]
    assert row.subject.startswith("Assunto ?")
    assert store.message(row.id) is not None
    store.ingest("work", page(removals=("m1", "\ud800")))
    check(store)


def test_statuses_are_what_was_said_last(store: Store) -> None:
    assert store.statuses()["work"].phase is Phase.IDLE
    store.say(Status("work", Phase.OFFLINE, "no network"))
    assert store.statuses()["work"].sentence == "no network"
    assert set(store.statuses()) == {"work", "home"}


def test_missing_compares_the_servers_count_with_the_servers_own_word_not_with_what_is_shown(store: Store) -> None:
    inbox = Folder("work", "inbox", Role.INBOX, "INBOX", "INBOX", server_total=5)
    trash = Folder("work", "trash", Role.TRASH, "TRASH", "TRASH", server_total=0)
    store.ingest("work", page(*(mail(number) for number in range(4)), folders=(inbox, trash)))
    assert store.missing("work") == {"inbox": 1}
    store.perform(Verb.TRASH, store.ids(INBOX)[:3])
    assert store.missing("work") == {"inbox": 1}
    store.ingest("work", page(mail(9)))
    assert store.missing("work") == {}


def test_mailboxes_keep_the_users_order_and_their_abilities(store: Store) -> None:
    assert store.mailboxes() == [GMAIL, OUTLOOK]
    store.register(Mailbox("home", "outlook", "x@y.example", position=-1))
    assert [mailbox.id for mailbox in store.mailboxes()] == ["home", "work"]


def test_reading_goes_on_in_other_threads_while_pages_arrive(store: Store) -> None:
    filled(store, 50)
    stop, failures, seen = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            total, rows = store.count(INBOX), store.window(INBOX, 0, 60)
            seen.append(len(rows))
            if [row.id for row in rows] != sorted((row.id for row in rows), reverse=True) or total < 50:
                failures.append(rows)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(50, 150, 5):
        store.ingest("work", page(*(mail(number + more) for more in range(5))))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert seen
    assert store.count(INBOX) == 150
