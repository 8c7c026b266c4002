"""Whom the composer names while two letters are typed."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from crmmail.crm.model import Account, Contact
from crmmail.mail.parse import headers_of
from crmmail.model import Address, Draft, Headers, Identity, Incoming
from crmmail.sandbox.generate import accounts, plan
from crmmail.store import Store, completion
from tests.store.told import Clock, page, rows, state

DAY = 86_400
PEOPLE = 20_000
CONTACTS = 40  # of one account
REPLAYED = 5_000
FRAME_MS = 5.0
FLOORS = {
    ("sent", "initials"): 0.9,
    ("sent", "name"): 0.76,
    ("begun", "initials"): 0.83,
    ("begun", "name"): 0.61,
    ("chosen", "initials"): 0.96,
    ("chosen", "name"): 0.9,
    ("chosen", "any"): 0.9,
    ("customer", "initials"): 0.98,
    ("customer", "name"): 0.96,
    ("customer", "any"): 0.95,
    ("beside", "initials"): 0.9,
    ("beside", "name"): 0.71,
    ("beside chosen", "name"): 0.81,
}


def person(name: str, email: str) -> Address:
    return Address(name, email)


RUI, RITA = person("Rui Sá", "rui@acme.example"), person("Rita Conceição", "rita.c@banco.example")


class Post:
    """Sends and receives mail, days before the clock's now."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock, self.number = store, clock, 0

    def wrote(self, *to: Address, days: float = 0, cc: tuple[Address, ...] = (), folder: str = "sent") -> Incoming:
        return self._told(Headers("Oi", Address("Ana", "ana@acme.example"), to=to, cc=cc), days, folder)

    def heard(self, sender: Address, days: float = 0, folder: str = "inbox") -> Incoming:
        return self._told(Headers("Oi", sender, to=(Address("Ana", "ana@acme.example"),)), days, folder)

    def _told(self, headers: Headers, days: float, folder: str) -> Incoming:
        self.number += 1
        received_ms = int((self.clock() - days * DAY) * 1000)
        told = Incoming(f"p{self.number}", state(folder), received_ms, headers=headers)
        self.store.ingest("work", page(told))
        return told


@pytest.fixture
def post(store: Store, clock: Clock) -> Post:
    return Post(store, clock)


def names(found: list[Address]) -> list[str]:
    return [one.name for one in found]


def test_people_are_found_by_any_word_of_name_address_or_domain_without_case_or_accents(
    store: Store, post: Post
) -> None:
    post.wrote(RITA)
    for typed in ("ri", "RI", "conceicao", "Conceição", "rita.c@b", "banco", "c", "rita conc", '"Rita', "rc"):
        assert store.complete(typed) == [RITA], typed
    for typed in ("ita", "anco", "rita x", "%", "_"):
        assert store.complete(typed) == [], typed


def test_who_was_written_to_more_often_comes_first_and_what_is_long_ago_counts_less(store: Store, post: Post) -> None:
    post.wrote(RUI, days=100)
    post.wrote(RUI, days=101)
    post.wrote(RITA, days=100)
    assert names(store.complete("r")) == ["Rui Sá", "Rita Conceição"]
    post.wrote(RITA, days=40)
    assert names(store.complete("r")) == ["Rita Conceição", "Rui Sá"]


def test_somebody_who_only_writes_to_us_comes_after_somebody_we_write_to(store: Store, post: Post) -> None:
    post.wrote(RITA, days=60)
    for day in range(20):
        post.heard(RUI, days=day)
    assert names(store.complete("r")) == ["Rita Conceição", "Rui Sá"]


def test_who_has_just_answered_comes_before_older_habits(store: Store, post: Post) -> None:
    for day in range(3, 8):
        post.wrote(RUI, days=day)
    post.wrote(RITA, days=20)
    assert store.complete("r")[0] == RUI
    post.heard(RITA, days=0.02)
    assert store.complete("r")[0] == RITA


def test_spam_drafts_machines_and_ourselves_are_nobody_to_write_to(store: Store, post: Post) -> None:
    post.heard(RUI, folder="spam")
    post.wrote(RUI, folder="drafts")
    post.heard(person("Loja", "nao-responda@loja.example"))
    post.heard(person("Build", "no-reply@build.example"))
    store.set_identities("work", [Identity("work", Address("Ana", "ana.alias@acme.example"))])
    post.wrote(person("Eu", "ana@acme.example"), person("Eu", "Ana.Alias@acme.example"))
    assert store.complete("") == []


def test_a_message_counts_once_however_often_the_server_tells_it(store: Store, post: Post) -> None:
    told = post.wrote(RUI, days=3)
    score = rows(store, "SELECT score FROM person")
    for _again in range(3):
        store.ingest("work", page(told))
    assert rows(store, "SELECT score FROM person WHERE email = 'rui@acme.example'") == score


def test_a_draft_that_becomes_a_sent_message_counts_then(store: Store, post: Post) -> None:
    told = post.wrote(RUI, folder="drafts")
    assert store.complete("ru") == []
    store.ingest("work", page(Incoming(told.remote_id, state("sent"), told.received_ms)))
    assert store.complete("ru") == [RUI]


def test_whom_a_queued_message_goes_to_is_named_at_once(store: Store, clock: Clock) -> None:
    draft = store.new_draft(Draft(0, "work", to=(RUI,), bcc=(RITA,)))
    store.queue(draft, b"mime", "<1@acme.example>", "token-1", clock() + 10)
    assert set(store.complete("r")) == {RUI, RITA}


def test_a_forgotten_person_stays_forgotten_until_written_to_again(
    store: Store, post: Post, directory: Path, clock: Clock
) -> None:
    post.wrote(RUI, days=1)
    store.forget_completion("Rui@ACME.example")
    assert store.complete("rui") == []
    store.close()
    with Store.open(directory, clock=clock) as again:
        assert again.complete("rui") == []
        clock.now += DAY
        Post(again, clock).heard(RUI)
        assert again.complete("rui") == []
        headers = Headers("Oi", Address("Ana", "ana@acme.example"), to=(RUI,))
        again.ingest("work", page(Incoming("new", state("sent"), int(clock() * 1000), headers=headers)))
        assert again.complete("rui") == [RUI]


def test_a_mailbox_that_goes_takes_its_people_with_it(store: Store, post: Post) -> None:
    post.wrote(RUI)
    headers = Headers("Oi", Address("Ana", "ana@casa.example"), to=(RITA,))
    store.ingest("home", page(Incoming("h1", state("sent"), int(post.clock() * 1000), headers=headers)))
    store.unregister("work")
    assert store.complete("r") == [RITA]


def test_a_mirror_that_was_made_anew_names_the_same_people(store: Store, directory: Path, clock: Clock) -> None:
    Post(store, clock).wrote(RUI, RITA, days=2)
    before = store.complete("r")
    connection = store._connections.writer
    assert connection is not None
    connection.execute("DELETE FROM person")
    store.close()
    with Store.open(directory, clock=clock) as again:
        assert again.complete("r") == before


def _crowd(count: int) -> Iterator[tuple[object, ...]]:
    random_ = random.Random(3)
    syllables = ("an", "ma", "ri", "jo", "pe", "lu", "sa", "ro", "vi", "el", "de", "ca", "fe", "ti")
    for number in range(count):
        name = " ".join("".join(random_.choices(syllables, k=3)).title() for _ in range(2))
        email = f"{name.lower().replace(' ', '.')}{number}@{''.join(random_.choices(syllables, k=3))}.example"
        score = random_.random() * 1000
        yield email, email, name, completion.words(name, email), score, 1, 0, 1


def test_an_answer_among_twenty_thousand_people_takes_less_than_a_frame(store: Store) -> None:
    connection = store._connections.writer
    assert connection is not None
    everybody = list(_crowd(PEOPLE))
    connection.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?, ?, ?)", everybody)
    by_word = {(word, one[0]) for one in everybody for word in str(one[3]).split()}
    connection.executemany("INSERT INTO person_word VALUES (?, ?)", sorted(by_word))
    account = _account(store, *(person(str(one[2]), str(one[1])) for one in everybody[:CONTACTS]))
    for chosen in ("", account):
        taken = []
        for typed in ("a", "ma", "mar", "lu sa", "zz", "qualquer", "jo@", "", "ti") * 12:
            began = time.perf_counter()
            store.complete(typed, account=chosen)
            taken.append((time.perf_counter() - began) * 1000)
        taken.sort()
        print(f"{PEOPLE} people: median {taken[len(taken) // 2]:.2f} ms, 95 % {taken[len(taken) * 95 // 100]:.2f} ms")
        assert taken[len(taken) // 2] < FRAME_MS


def test_whom_one_writes_to_together_is_named_first_and_who_is_entered_no_more(store: Store, post: Post) -> None:
    rosa = person("Rosa Lima", "rosa@banco.example")
    for day in range(5, 15):
        post.wrote(RUI, days=day)
    post.wrote(RITA, rosa, days=20)
    assert names(store.complete("r"))[0] == "Rui Sá"
    assert names(store.complete("r", beside=["Rita.C@banco.example"])) == ["Rosa Lima", "Rui Sá"]
    assert names(store.complete("ru", beside=["rui@acme.example"])) == []


def test_a_first_name_is_meant_sooner_than_a_surname_and_both_sooner_than_a_domain(store: Store, post: Post) -> None:
    lira, mara = person("Lira Mota", "lm@banco.example"), person("Mara Lima", "mara@banco.example")
    other = person("Otto Reis", "otto@limpa.example")
    for day in (30, 31, 32, 33):
        post.wrote(other, days=day)
    post.wrote(mara, days=30)
    post.wrote(mara, days=31)
    post.wrote(lira, days=30)
    assert names(store.complete("li")) == ["Lira Mota", "Mara Lima", "Otto Reis"]
    assert names(store.complete("limp")) == ["Otto Reis"]
    for day in (10, 11, 12):
        post.wrote(mara, days=day)
    assert names(store.complete("li"))[0] == "Mara Lima"


def test_where_the_surname_comes_first_initials_are_those_one_says(store: Store, post: Post) -> None:
    post.wrote(person("Souza, Bruno", "x1@acme.example"))
    assert [names(store.complete(typed)) for typed in ("bs", "sb", "br", "so")] == [["Souza, Bruno"]] * 4
    assert completion.fit(["br"], "Souza, Bruno", "x1@acme.example") == 1.0
    assert completion.fit(["so"], "Souza, Bruno", "x1@acme.example") == completion.ELSE


def _account(store: Store, *contacts: Address) -> str:
    """Banco, a customer at banco.example, with these contacts."""
    account = store.save_account(Account("", "Banco", domains=("banco.example",)))
    for one in contacts:
        store.save_contact(Contact("", account.id, one.name, addresses=(one.email,)))
    return account.id


def test_the_people_of_the_account_come_first_the_likeliest_of_them_before_the_others(store: Store, post: Post) -> None:
    rosa, raul = person("Rosa Lima", "rosa@banco.example"), person("Raul Sá", "raul@livre.example")
    account = _account(store, raul, RITA, rosa)
    for day in range(1, 9):
        post.wrote(RUI, days=day)
    assert names(store.complete("r", account=account)) == ["Raul Sá", "Rita Conceição", "Rosa Lima", "Rui Sá"]
    post.wrote(rosa, days=90)
    assert names(store.complete("r", account=account))[:2] == ["Rosa Lima", "Raul Sá"]
    assert names(store.complete("conceicao", account=account)) == ["Rita Conceição"]
    assert names(store.complete("rc", account=account)) == ["Rita Conceição"]
    assert names(store.complete("ru", account=account)) == ["Rui Sá"]
    assert "Rosa Lima" not in names(store.complete("r", beside=["Rosa@banco.example"], account=account))
    assert names(store.complete("r"))[0] == "Rui Sá"


def test_whom_mail_knows_at_the_accounts_domain_is_one_of_its_people_until_forgotten(store: Store, post: Post) -> None:
    account = _account(store, person("Raul Sá", "raul@livre.example"))
    post.wrote(RUI, days=1)
    post.wrote(RITA, days=80)
    post.heard(person("Remo Dias", "remo@sul.banco.example"), days=3)
    assert names(store.complete("r", account=account)) == ["Rita Conceição", "Remo Dias", "Raul Sá", "Rui Sá"]
    store.forget_completion(RITA.email)
    assert names(store.complete("r", account=account)) == ["Remo Dias", "Raul Sá", "Rui Sá"]


def test_who_is_written_to_together_with_the_account_comes_before_everybody_else(store: Store, post: Post) -> None:
    account = _account(store, person("Zeca Sá", "zeca@banco.example"))
    for day in range(5, 25):
        post.wrote(RUI, days=day)
    helper = person("Rosa Lima", "rosa@acme.example")
    post.wrote(person("Zeca Sá", "zeca@banco.example"), days=40, cc=(helper,))
    assert names(store.complete("r")) == ["Rui Sá", "Rosa Lima"]
    assert names(store.complete("r", account=account)) == ["Rosa Lima", "Rui Sá"]


def test_contacts_are_proposed_in_the_order_one_writes_to_them(store: Store, post: Post) -> None:
    post.wrote(RUI, days=50)
    zoe = person("Zoé Sá", "zoe@acme.example")
    assert store.likeliest([zoe, RITA, RUI]) == [RUI, zoe, RITA]


def test_beginning_a_conversation_counts_more_than_answering_or_copying(store: Store, post: Post) -> None:
    rosa = person("Rosa Lima", "rosa@banco.example")
    post.wrote(RUI, days=30)
    for day in (30, 31):
        headers = Headers("Oi", Address("Ana", "ana@acme.example"), to=(RITA,), cc=(rosa,), in_reply_to="<a@b.example>")
        post.number += 1
        told = Incoming(f"p{post.number}", state("sent"), int((post.clock() - day * DAY) * 1000), headers=headers)
        store.ingest("work", page(told))
    assert names(store.complete("r")) == ["Rui Sá", "Rita Conceição", "Rosa Lima"]


def test_a_cache_from_before_counts_its_people_anew(store: Store, directory: Path, clock: Clock) -> None:
    Post(store, clock).wrote(RUI, RITA, days=2)
    store.close()
    connection = sqlite3.connect(directory / "cache.db")
    connection.executescript("DROP TABLE person_pair; UPDATE person SET score = 0; PRAGMA user_version = 4")
    connection.close()
    with Store.open(directory, clock=clock) as again:
        assert rows(again, "SELECT count(*) FROM person_pair") == [(2,)]
        assert rows(again, "SELECT count(*) FROM person WHERE score = 0") == [(0,)]


def _letters(who: Address) -> dict[str, str]:
    """Two letters a user types for somebody: `ru`, `sá` or `rs` for Rui Sá, `ru` for rui@acme.example."""
    spoken = completion.folded(who.name).split()
    return {
        "name": spoken[0][:2],
        "initials": spoken[0][0] + spoken[-1][0],
        "surname": spoken[-1][:2],
        "address": completion.folded(who.email)[:2],
    }


@dataclass
class Question:
    """Somebody a message of the Sent folder is addressed to: the first one, and another one beside."""

    told: Incoming
    begun: bool  # a conversation: these recipients were typed, those of an answer were there
    people: tuple[Address, ...]


def _replayed(count: int) -> Iterator[Question]:
    """Generated mail in the order of time, until `count` were sent."""
    sent = 0
    for letter in reversed(plan(count * 5 + 1000, clock=lambda: 1_790_000_000)):
        headers = headers_of(letter.raw())
        told = Incoming(letter.name, state(letter.place), letter.received_ms, headers=headers)
        mine = letter.place == "sent"
        sent += mine
        yield Question(told, not headers.in_reply_to, (*headers.to, *headers.cc) if mine else ())
        if sent == count:
            return


class Score:
    """Of those asked for, how often the first line was right."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.right: Counter[tuple[str, str]] = Counter()

    def ask(
        self, scopes: Sequence[str], store: Store, target: Address, beside: Sequence[Address] = (), account: str = ""
    ) -> None:
        self.asked.update(scopes)
        emails = [one.email for one in beside]
        letters = _letters(target)
        first = {typed: store.complete(typed, 1, emails, account) for typed in set(letters.values())}
        for kind, typed in letters.items():
            right = [one.email for one in first[typed]] == [target.email]
            self.right.update({(scope, kind): right for scope in scopes})

    def share(self, scope: str, kind: str) -> float:
        """Of one kind of letters; `any`: of all four alike."""
        kinds = ("name", "initials", "surname", "address") if kind == "any" else (kind,)
        return sum(self.right[scope, one] for one in kinds) / len(kinds) / self.asked[scope]

    def __str__(self) -> str:
        kinds = ("name", "initials", "surname", "address", "any")
        return "\n".join(
            f"{scope} ({count}): " + ", ".join(f"{kind} {self.share(scope, kind):.1%}" for kind in kinds)
            for scope, count in self.asked.items()
        )


def _customers(store: Store) -> dict[str, str]:
    """Keep the generated customers as accounts: the address of each contact → the account."""
    whose: dict[str, str] = {}
    for one in accounts():
        account = store.save_account(Account("", one.name, domains=(one.domain,)))
        for who in one.contacts:
            store.save_contact(Contact("", account.id, who.name, addresses=(who.email,)))
            whose[who.email] = account.id
    return whose


def test_the_right_person_after_two_letters_on_a_replayed_sent_folder(store: Store, clock: Clock) -> None:
    """Each message is asked for before it is told: is somebody it goes to, once known, the first line?

    The folder: 5,000 messages to some 320 people; whom a conversation is with is drawn by closeness, gamma distributed
    (shape 0.2), with 20 times as much to say to a customer while a project runs; sources in `sandbox/people.py`. The
    first person gets 5 % of it, the first 20 together 47 %. The draws are independent of all before: whoever knew the
    exact chances of each day, and nothing else, would have those with whom a conversation begins first in 69 % by two
    letters of the first name and in 90 % by initials (of a list of 57 first names, `ma` alone begins four).

    `begun`: conversations, nothing but the letters given. `chosen`: the same in the order of the composer's fields, the
    account chosen before where the message is for one (colleagues have none). `customer`: of these, those for one.
    `beside`: the second person of a conversation, the first one entered.
    """
    clock.now = 1_600_000_000
    whose = _customers(store)
    known: set[str] = set()
    score = Score()
    news: list[Incoming] = []
    for question in _replayed(REPLAYED):
        clock.now = question.told.received_ms / 1000
        people = question.people
        if people and news:
            store.ingest("work", page(*news))
            news.clear()
        account = next((whose[one.email] for one in people if one.email in whose), "")
        if people and people[0].email in known:
            score.ask(("sent", "begun") if question.begun else ("sent",), store, people[0])
            if question.begun:
                score.ask(("chosen", "customer") if account else ("chosen",), store, people[0], account=account)
        if question.begun and len(people) > 1 and people[1].email in known:
            score.ask(("beside",), store, people[1], people[:1])
            score.ask(("beside chosen",), store, people[1], people[:1], account)
        known.update(person.email for person in people)
        news.append(question.told)
    print(score)
    assert score.asked["sent"] > REPLAYED * 0.9
    for (scope, kind), floor in FLOORS.items():
        assert score.share(scope, kind) >= floor, (scope, kind)
