"""The truth behind the servers: order, ids, history, threads, and 100,000 messages."""

from __future__ import annotations

import time

import pytest

from crmmail.sandbox.mailbox import Mailbox, Missing, header
from tests.sandbox.conftest import ANA, BRUNO, START_MS, letter


def test_mail_that_was_always_there_makes_no_history_and_mail_that_arrives_does() -> None:
    mailbox = Mailbox(ANA)
    mailbox.add(letter("velha"))
    since = mailbox.sequence
    assert mailbox.events_after(since) == []
    key = mailbox.deliver(letter("nova"))
    assert [event.key for event in mailbox.events_after(since)] == [key]
    assert "UNREAD" in mailbox.get(key).labels


def test_order_is_by_the_time_received_not_by_arrival() -> None:
    mailbox = Mailbox(ANA)
    late = mailbox.add(letter("b"), received_ms=START_MS + 1)
    early = mailbox.add(letter("a"), received_ms=START_MS)
    twin = mailbox.add(letter("c"), received_ms=START_MS)
    assert [message.key for message in mailbox.newest_first()] == [late, twin, early]


@pytest.mark.parametrize("provider", ["gmail", "outlook"])
@pytest.mark.parametrize("role", ["inbox", "drafts", "sent", "trash", "spam", "archive"])
def test_roles_are_places_at_both_providers(provider: str, role: str) -> None:
    mailbox = Mailbox(ANA, provider)
    message = mailbox.get(mailbox.add(letter(), folder=role))
    if provider == "outlook":
        assert mailbox.places[message.folder].role == role
    else:
        assert message.labels == ({mailbox.place(role).id} if role != "archive" else frozenset())


def test_an_id_of_another_mailbox_is_not_found() -> None:
    one, other = Mailbox(BRUNO, "outlook"), Mailbox("x@example.com", "outlook")
    ident = one.id_of(one.add(letter(), key=5))
    other.add(letter(), key=5)
    assert one.key_of(ident) == 5
    for wrong in (ident[:-5], "", "AAkALg", "ção", "A" * 40):
        with pytest.raises(Missing):
            one.key_of(wrong)
    with pytest.raises(Missing):
        other.key_of(ident)


def test_threads_survive_long_chains_and_circles() -> None:
    mailbox = Mailbox(ANA)
    keys = [
        mailbox.add(letter(f"n{n}", Message_ID=f"<{n}@x>", In_Reply_To=f"<{n - 1}@x>"), received_ms=START_MS + n)
        for n in range(1500)
    ]
    assert mailbox.thread_of(keys[-1]) == keys[0]
    first = mailbox.add(letter("a", Message_ID="<a@x>", In_Reply_To="<b@x>"))
    second = mailbox.add(letter("b", Message_ID="<b@x>", In_Reply_To="<a@x>"))
    assert mailbox.thread_of(first) == mailbox.thread_of(second)


def test_a_header_is_read_without_parsing_the_message() -> None:
    raw = b"Subject: a\r\n b\r\nmessage-id:  <1@x> \r\n\r\nMessage-ID: <body@x>\r\n"
    assert header(raw, b"Message-ID") == "<1@x>"
    assert header(raw, b"Subject") == "a b"
    assert header(raw, b"From") == ""


def test_a_hundred_thousand_messages_are_cheap_and_not_read() -> None:
    mailbox = Mailbox(ANA)
    read: list[int] = []

    def source(number: int) -> bytes:
        read.append(number)
        return letter(f"Mensagem {number}")

    began = time.process_time()
    for number in range(100_000):
        mailbox.add(lambda number=number: source(number), received_ms=START_MS + number, unread=number % 3 == 0)  # type: ignore[misc]
    assert time.process_time() - began < 5, "0.5 s on the machine this was written on"
    assert read == []
    assert mailbox.counts("INBOX") == (100_000, 33_334)
    began = time.process_time()
    for key in mailbox.order[:1000]:
        mailbox.modify(key, ("STARRED",))
    assert time.process_time() - began < 5
    assert read == []
