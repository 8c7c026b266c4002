"""What servers tell: one transaction a page, nothing removed by mistake, nothing told twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crmmail.errors import StoreError
from crmmail.model import Change, Delta, Incoming, Page, Patch, Query
from crmmail.ops import Verb
from crmmail.store import FuseBlown, Store
from tests.store.told import FAVORITES, INBOX, check, filled, mail, page, rows, shown, state

Heard = Callable[[], Change]
RAW = (
    b"From: Rui <rui@acme.example>\r\nSubject: Contrato\r\nMessage-ID: <c@x>\r\n\r\nPrezada Ana, segue o contrato.\r\n"
)


def test_the_cursor_is_stored_with_its_page(store: Store) -> None:
    assert store.cursor("work") == ""
    store.ingest("work", page(mail(1), cursor="after-1"))
    assert store.cursor("work") == "after-1"
    assert store.cursor("home") == ""


def test_a_page_told_twice_changes_nothing_the_second_time(store: Store, heard: Heard) -> None:
    told = page(*(mail(number, raw=RAW) for number in range(5)), complete=True)
    store.ingest("work", told)
    before = rows(store, "SELECT * FROM message") + rows(store, "SELECT * FROM place")
    heard()
    change = store.ingest("work", told)
    assert rows(store, "SELECT * FROM message") + rows(store, "SELECT * FROM place") == before
    assert change.folders == frozenset()
    check(store)


def test_a_message_named_twice_in_a_page_is_one_row_and_the_last_word_counts(store: Store) -> None:
    store.ingest("work", page(mail(1, state("inbox", unread=True)), mail(1, state("inbox", starred=True))))
    assert shown(store) == {"m1": state("inbox", starred=True)}
    check(store)


def test_a_message_removed_and_told_in_one_page_stays(store: Store) -> None:
    filled(store, 2)
    store.ingest("work", page(mail(1, state("x:moved")), removals=("m1",)))
    assert shown(store)["m1"] == state("x:moved")
    check(store)


def test_removals_take_rows_and_everything_that_hangs_on_them(store: Store, heard: Heard) -> None:
    store.ingest("work", page(*(mail(number, raw=RAW) for number in range(3))))
    number = store.find("work", "m1") or 0
    heard()
    store.ingest("work", page(removals=("m1", "never-seen")))
    assert store.message(number) is None and store.raw(number) is None
    assert heard().messages == {number}
    assert store.count(Query("work", "inbox", text="contrato")) == 2
    check(store)


def test_a_server_may_tell_the_end_of_a_message_in_other_words(store: Store) -> None:
    filled(store, 3)
    store.ingest(
        "work",
        page(
            mail(0, replace(state(), gone=True)),
            patches=(Patch("m1", delta=Delta(gone=True)), Patch("other", state=replace(state(), gone=True))),
        ),
    )
    assert list(shown(store)) == ["m2"]
    assert store.unfetched("work", 9) == ["m2"]
    check(store)


def test_a_change_of_a_message_never_seen_is_remembered_until_the_message_comes(store: Store) -> None:
    store.ingest("work", page(mail(1), patches=(Patch("m7", delta=Delta(unread=True)),)))
    assert store.unfetched("work", 9) == ["m7", "m1"]
    store.ingest("work", page(mail(7, raw=RAW)))
    assert store.unfetched("work", 9) == ["m1"]
    store.ingest("work", page(patches=(Patch("m8", state=state("inbox")), Patch("m9", state=state("inbox")))))
    store.unavailable("work", ["m8", "m1"])
    store.ingest("work", page(removals=("m9",)))
    assert store.unfetched("work", 9) == []


def test_bodies_come_later_and_are_then_whole(store: Store, heard: Heard) -> None:
    filled(store, 2)
    number = store.find("work", "m1") or 0
    assert store.message(number).body is None  # type: ignore[union-attr]
    assert store.known("work", ["m0", "m1", "nobody"]) == frozenset()
    heard()
    store.ingest("work", page(replace(mail(1), raw=RAW)))
    message = store.message(number)
    assert message is not None and message.body is not None
    assert "segue o contrato" in message.body.text
    assert message.row.subject == message.headers.subject == "Contrato"
    assert store.raw(number) == RAW
    assert store.known("work", ["m0", "m1", "nobody"]) == {"m1"}
    assert store.here("work", ["m0", "m1", "nobody"]) == {"m0", "m1"}
    assert heard().messages == {number}
    assert store.ids(Query("work", "inbox", text="Assunto 1 rui@acme.example")) == []
    check(store)


def test_the_servers_conversation_is_known_in_its_own_mailbox_only(store: Store) -> None:
    store.ingest("work", page(replace(mail(1), remote_thread="18f0c1")))
    number = store.find("work", "m1") or 0
    assert store.remote_thread(number, "work") == "18f0c1"
    assert store.remote_thread(number, "elsewhere") == ""


def test_a_body_that_comes_after_its_message_was_removed_makes_no_message(store: Store) -> None:
    store.ingest("work", Page("c1", removals=("gone",)))
    store.ingest("work", Page("c1", (Incoming("gone", None, 0, raw=b"Subject: late\r\n\r\nbody"),)))
    assert store.find("work", "gone") is None
    assert store.count(Query("work", "all")) == 0


def test_headers_told_after_the_body_do_not_replace_it(store: Store) -> None:
    store.ingest("work", page(mail(1, raw=RAW)))
    store.ingest("work", page(mail(1, state("inbox", starred=True))))
    number = store.ids(INBOX)[0]
    assert store.message(number).row.subject == "Contrato"  # type: ignore[union-attr]
    assert store.ids(FAVORITES) == [number]


def test_a_message_keeps_its_id_when_its_time_is_told_differently(store: Store) -> None:
    (number,) = filled(store, 1)
    store.ingest("work", page(replace(mail(0), received_ms=5)))
    assert store.ids(INBOX) == [number]


def test_new_unread_mail_in_an_inbox_has_arrived_but_not_what_fills_the_mailbox_at_first(store: Store) -> None:
    unread = state("inbox", unread=True)
    assert store.ingest("work", page(mail(1, unread), complete=True)).arrived == frozenset()
    change = store.ingest("work", page(mail(2, unread), mail(3), mail(4, state("x:1", unread=True)), mail(1, unread)))
    assert change.arrived == {store.find("work", "m2")}


def test_a_removal_of_more_than_half_of_a_folder_is_stopped_and_nothing_of_its_page_applied(store: Store) -> None:
    filled(store, 30)
    with pytest.raises(FuseBlown) as blown:
        store.ingest(
            "work", page(mail(99), cursor="bad", removals=tuple(f"m{number}" for number in range(16)), complete=True)
        )
    assert isinstance(blown.value, StoreError)
    assert "Nothing was removed here" in str(blown.value)
    assert (blown.value.folder, blown.value.removed, blown.value.total) == ("inbox", 16, 30)
    assert (store.count(INBOX), store.cursor("work"), store.find("work", "m99")) == (30, "c", None)
    store.ingest("work", page(removals=tuple(f"m{number}" for number in range(15)), complete=True))
    assert store.count(INBOX) == 15
    check(store)


def test_the_fuse_counts_over_pages_and_a_restart_until_the_server_was_heard_to_its_end(store: Store) -> None:
    filled(store, 30)
    for start in range(0, 15, 5):
        store.ingest("work", page(removals=tuple(f"m{number}" for number in range(start, start + 5))))
    with pytest.raises(FuseBlown, match=r"16 of 30 .* 15 are removed here already, the others are kept"):
        store.ingest("work", page(removals=("m20",)))
    store.allow_mass_removal("work")
    store.ingest("work", page(removals=tuple(f"m{number}" for number in range(15, 29)), complete=True))
    assert store.count(INBOX) == 1


def test_a_small_folder_may_empty_itself(store: Store) -> None:
    filled(store, 19)
    store.ingest("work", page(removals=tuple(f"m{number}" for number in range(19))))
    assert store.count(INBOX) == 0


def test_what_a_resync_does_not_name_is_removed_and_only_that(store: Store) -> None:
    filled(store, 5)
    filled(store, 5, "home")
    store.ingest("work", page(mail(9), keep=frozenset({"m0", "m3", "m4"})))
    assert sorted(shown(store)) == ["m0", "m3", "m4", "m9"]
    assert len(shown(store, "home")) == 5
    check(store)


def test_a_resync_of_one_folder_removes_within_it_only(store: Store) -> None:
    store.ingest("home", page(mail(1), mail(2), mail(3, state("x:1")), mail(4, state("trash"))))
    store.ingest("home", page(keep=frozenset({"m1"}), scope="inbox"))
    assert sorted(shown(store, "home")) == ["m1", "m3", "m4"]


def test_where_messages_wear_labels_a_resync_of_one_takes_the_label_not_the_message(store: Store) -> None:
    store.ingest("work", page(mail(1, state("inbox", "x:1")), mail(2, state("x:1"))))
    store.ingest("work", page(keep=frozenset({"m2"}), scope="x:1"))
    assert shown(store) == {"m1": state("inbox"), "m2": state("x:1")}
    check(store)


def test_a_resync_that_keeps_almost_nothing_is_stopped(store: Store) -> None:
    filled(store, 40)
    with pytest.raises(FuseBlown):
        store.ingest("work", page(keep=frozenset({"m1"})))
    assert store.count(INBOX) == 40


def test_a_message_the_user_trashed_offline_stays_trashed_when_the_server_tells_it_again(store: Store) -> None:
    ids = filled(store, 2)
    store.perform(Verb.TRASH, ids[:1])
    store.ingest("work", page(mail(1), mail(0)))
    assert store.ids(INBOX) == ids[1:]
    check(store)


def test_a_message_that_cannot_be_parsed_is_kept_raw_and_stops_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import crmmail.mail.parse

    def fail(_raw: bytes) -> object:
        raise RecursionError

    monkeypatch.setattr(crmmail.mail.parse, "parse", fail)
    store.ingest("work", page(mail(1, raw=b"poison"), mail(2)))
    number = store.find("work", "m1") or 0
    assert store.raw(number) == b"poison"
    assert store.message(number).body.flags == ("unreadable",)  # type: ignore[union-attr]
    assert store.count(INBOX) == 2


def test_a_page_for_a_mailbox_nobody_registered_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        store.ingest("stranger", page(mail(1)))
