"""Finding mail: words and operators, in both languages, whatever is typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.model import Address, Query
from crmmail.ops import Verb
from crmmail.store import Store, search
from tests.store.told import filled, headers, mail, page, state


@pytest.fixture
def archive(store: Store) -> Store:
    def told(number: int, subject: str, sender: str, text: str, *, extra: str = "") -> object:
        raw = f"From: {sender}\r\nTo: Bia Reis <bia@casa.example>\r\nSubject: {subject}\r\n{extra}\r\n{text}\r\n"
        of = state("inbox", unread=number == 1, starred=number == 2)
        return mail(number, of, raw=raw.encode())

    attachment = 'Content-Type: text/plain; name="ata.txt"\r\nContent-Disposition: attachment; filename="ata.txt"\r\n'
    store.ingest(
        "work",
        page(
            told(1, "Proposta comercial", "Ana Souza <ana.souza@acme.example>", "Segue a cotacao do forno."),  # type: ignore[arg-type]
            told(2, "Re: forno", "Rui <rui@outra.example>", "O preço do forno industrial subiu."),  # type: ignore[arg-type]
            told(3, "Ata", "Mariana <m@outra.example>", "Reunião com Ana", extra=attachment),  # type: ignore[arg-type]
            mail(4, state("trash"), subject="forno velho"),
        ),
    )
    return store


def found(store: Store, text: str, folder: str = "inbox", mailbox: str = "work") -> list[str]:
    query = Query(mailbox, folder, text)
    rows = store.window(query, 0, 99)
    assert store.count(query) == len(rows)
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    assert [store.position(query, row.id) for row in rows] == list(range(len(rows)))
    return [row.remote_id for row in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("forno", "21"),
        ("FORNO preco", "2"),
        ("cotação", "1"),
        ("indus", "2"),
        ("forno -preço", "1"),
        ("-forno", "3"),
        ("from:ana", "1"),
        ("de:Ana", "1"),
        ("from:souza", "1"),
        ("from:acme", "1"),
        ("from:ana.souza@acme.example", "1"),
        ("de:outra", "32"),
        ("to:bia", "321"),
        ("para:casa", "321"),
        ("subject:forno", "2"),
        ("assunto:proposta", "1"),
        ("ana", "1"),
        ("has:attachment", "3"),
        ("tem:anexo", "3"),
        ("is:unread", "1"),
        ("is:read", "32"),
        ("-is:unread", "32"),
        ("is:starred forno", "2"),
        ("in:trash forno", "4"),
        ("em:lixeira", "4"),
        ("in:nowhere forno", ""),
        ('"preço do forno"', "2"),
        ("before:2000", ""),
        ("after:2000-01-01", "321"),
        ("antes:01/01/2000", ""),
        ("2026 after:nonsense", ""),
        ('"', "321"),
        ("   ", "321"),
        ("zzz", ""),
    ],
)
def test_words_and_operators_find(archive: Store, text: str, expected: str) -> None:
    assert found(archive, text) == [f"m{number}" for number in expected]


def test_dates_cut_at_local_midnight(archive: Store) -> None:
    assert found(archive, "after:2023-11-14 before:2023-11-15") == ["m3", "m2", "m1"]
    assert found(archive, "after:2023-11-15") == []
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert search.parse("after:7d", now).after_ms == int(datetime(2026, 3, 3, 12, tzinfo=UTC).timestamp() * 1000)
    assert search.parse("before:31/02/2026", now).before_ms is None


def test_a_search_in_all_mailboxes_finds_in_each_but_not_in_the_trash(archive: Store) -> None:
    archive.ingest("home", page(mail(8, subject="forno novo")))
    assert found(archive, "forno", "all", "") == ["m8", "m2", "m1"]
    assert found(archive, "forno", "inbox", "") == ["m8", "m2", "m1"]
    assert found(archive, "forno in:trash", "inbox", "") == ["m4"]


def test_results_follow_what_the_user_does(archive: Store) -> None:
    number = archive.find("work", "m2") or 0
    archive.perform(Verb.TRASH, [number])
    assert found(archive, "forno") == ["m1"]
    assert found(archive, "forno", "trash") == ["m4", "m2"]
    archive.undo()
    assert found(archive, "forno") == ["m2", "m1"]


def test_a_search_can_be_narrowed_by_the_lists_own_filters(archive: Store) -> None:
    query = Query("work", "inbox", "forno", starred=True)
    assert [row.remote_id for row in archive.window(query, 0, 9)] == ["m2"]
    assert archive.count(query) == 1


def test_a_message_is_found_after_its_text_changed_by_the_new_words_only(store: Store) -> None:
    store.ingest("work", page(mail(1, subject="antigo")))
    store.ingest("work", page(mail(1, headers=headers("recente", to=(Address("", "x@y.example"),)))))
    assert found(store, "antigo") == []
    assert found(store, "recente") == ["m1"]
    store.ingest("work", page(removals=("m1",)))
    store.ingest("work", page(mail(1, subject="terceiro")))
    assert found(store, "recente") == []
    assert found(store, "terceiro") == ["m1"]


ODD = st.text() | st.text(alphabet="abc:\"*-()^{}+,. \\'éñ漢²½ⅷ\u0301\x00", max_size=30)
TERMS = st.sampled_from(
    ["from:", "in:", "before:", "-", '"', "AND", "OR NOT", "NEAR(", "is:", "has:", "*", "subject : "]
)


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Store:
    from tests.store.told import GMAIL

    store = Store.open(tmp_path_factory.mktemp("search") / "profile")
    store.register(GMAIL)
    filled(store, 5)
    return store


@settings(max_examples=150, deadline=None)
@given(st.lists(ODD | TERMS, max_size=5).map("".join))
def test_nothing_that_can_be_typed_raises(filled_once: Store, text: str) -> None:
    query = Query("work", "inbox", text)
    rows = filled_once.window(query, 0, 9)
    assert filled_once.count(query) == len(rows) <= 5
