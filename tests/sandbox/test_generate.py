"""The generated mailbox is the same for a seed, looks like somebody's, and names nobody who exists."""

from __future__ import annotations

import email
import email.policy
import re
import time
from collections import Counter, defaultdict

import pytest

from crmmail.sandbox.generate import LABELS, OWNER, Person, accounts, arrivals, plan

NOW = 1_780_000_000.0  # a Thursday
RESERVED = (".example", ".test")


def clock() -> float:
    return NOW


@pytest.fixture(scope="module")
def letters() -> list:  # type: ignore[type-arg]
    return plan(600, clock=clock)


@pytest.fixture(scope="module")
def parsed(letters: list) -> list:  # type: ignore[type-arg]
    return [email.message_from_bytes(letter.raw(), policy=email.policy.default) for letter in letters]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(letters: list) -> None:  # type: ignore[type-arg]
    again = plan(600, clock=clock)
    assert [letter.raw() for letter in again[:80]] == [letter.raw() for letter in letters[:80]]
    assert again == letters
    assert plan(5, 2, clock=clock)[0].raw() != letters[0].raw()


def test_another_owner_has_other_mail_from_the_same_customers() -> None:
    other = plan(300, owner=Person("Ana Souza", "ana@horizonte.test"), clock=clock)
    assert b"ana@horizonte.test" in other[0].raw()
    senders = {email.message_from_bytes(letter.raw())["From"].rpartition("@")[2].strip(">") for letter in other}
    assert senders & {account.domain for account in accounts()}


def test_the_newest_is_a_minute_old_and_they_come_newest_first(letters: list) -> None:  # type: ignore[type-arg]
    ages = [NOW - letter.received_ms / 1000 for letter in letters]
    assert 0 <= ages[0] <= 120
    assert ages == sorted(ages)
    assert sum(age < 86_400 for age in ages) >= 10, "the first screen is today's mail"


def test_a_mailbox_has_something_of_everything(letters: list) -> None:  # type: ignore[type-arg]
    places = Counter(letter.place for letter in letters)
    assert set(places) == {"inbox", "sent", "drafts", "trash", "spam", "archive"}
    assert places["inbox"] > 300
    assert 30 < sum(letter.unread for letter in letters) < 200
    assert sum(letter.starred for letter in letters) > 5
    assert {label for letter in letters for label in letter.labels} == set(LABELS)


def test_every_header_decodes_and_every_address_is_reserved(parsed: list) -> None:  # type: ignore[type-arg]
    for message in parsed:
        assert message.defects == []
        addresses = [one for field in ("from", "to", "cc") if message[field] for one in message[field].addresses]
        assert addresses
        assert all(address.domain.endswith(RESERVED) for address in addresses), addresses


def test_no_host_of_anybody_stands_in_a_body(letters: list) -> None:  # type: ignore[type-arg]
    for letter in letters:
        whole = letter.raw().replace(b"=\r\n", b"").decode("ascii")
        hosts = re.findall(r"https?://([^/\"\s>]+)", whole)
        assert all(host.endswith(RESERVED) for host in hosts), hosts


def test_a_conversation_refers_to_what_came_before(letters: list, parsed: list) -> None:  # type: ignore[type-arg]
    threads = defaultdict(list)
    for letter, message in zip(reversed(letters), reversed(parsed), strict=True):
        threads[letter.thread].append(message)
    long = [messages for messages in threads.values() if len(messages) >= 3 and not messages[0]["References"]]
    assert long
    for messages in long:
        ids = [message["Message-ID"] for message in messages]
        assert len(set(ids)) == len(ids)
        assert messages[-1]["In-Reply-To"] == ids[-2]
        assert messages[2]["References"].split() == ids[:2]
        assert messages[1]["Subject"] == "Re: " + messages[0]["Subject"]


def test_message_ids_are_unique(parsed: list) -> None:  # type: ignore[type-arg]
    assert len({message["Message-ID"] for message in parsed}) == len(parsed)


def test_there_are_both_languages_html_attachments_quotes_lists_and_notices(parsed: list) -> None:  # type: ignore[type-arg]
    kinds: Counter[str] = Counter()
    for message in parsed:
        kinds[message.get_content_type()] += 1
        kinds["list"] += "List-Id" in message
        kinds["notice"] += "Auto-Submitted" in message
        body = message.get_body(("plain", "html"))
        text = body.get_content() if body else ""
        kinds["pt"] += "Atenciosamente" in text or "Obrigado" in text
        kinds["en"] += "regards" in text or "Thanks," in text
        kinds["quote"] += "\n> " in text
        for part in message.iter_attachments():
            kinds[part.get_content_type()] += 1
            assert part.get_content()
    wanted = ("text/plain", "text/html", "multipart/alternative", "multipart/mixed", "list", "notice", "pt", "en",
              "quote", "application/pdf", "text/csv", "image/png")  # fmt: skip
    assert [kind for kind in wanted if not kinds[kind]] == []


def test_the_language_mix_can_be_chosen() -> None:
    def portuguese(share: float) -> int:
        letters = plan(400, portuguese=share, clock=clock)
        return sum("prospectpt" in letter.raw().decode("ascii") for letter in letters)

    assert portuguese(0.0) == 0 < portuguese(1.0)


def test_customers_are_150_with_contacts_of_their_own() -> None:
    customers = accounts(1)
    assert len(customers) == 150
    assert len({account.domain for account in customers}) == 150
    assert all(account.contacts and account.domain.endswith(RESERVED) for account in customers)
    assert accounts(1) == customers != accounts(2)


def test_mail_that_arrives_is_new_unread_and_from_somebody_else() -> None:
    moments = iter(range(int(NOW), int(NOW) + 10_000, 30))
    newcomers = arrivals(clock=lambda: next(moments))
    letters = [next(newcomers) for _ in range(20)]
    assert all(letter.unread and letter.place == "inbox" for letter in letters)
    assert len({letter.raw() for letter in letters}) == 20
    assert all(f"From: {OWNER.name}".encode() not in letter.raw() for letter in letters)


def test_a_large_mailbox_is_planned_in_seconds_without_writing_a_message() -> None:
    begun = time.process_time()
    letters = plan(20_000, clock=clock)
    assert len(letters) == 20_000
    assert time.process_time() - begun < 5
    assert NOW - letters[-1].received_ms / 1000 > 300 * 86_400, "the span grows with the number"
