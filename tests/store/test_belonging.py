"""Whose mail is: bound as it arrives, corrected exactly as far as the user says, in order under every change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crmmail.crm.model import Account, Bound, Contact, Ignored, NeverBy, Reason, Scope
from crmmail.errors import SettingsError
from crmmail.model import Address, Change, Draft, Headers, Incoming, Query, State
from crmmail.ops import Verb
from crmmail.store import Store
from crmmail.store.choices import Setting
from tests.store.told import BORN_MS, Clock, page, state

ME = "ana@acme.example"
CLASSIFY = Query(folder="classify")


def letter(
    number: int,
    sender: str,
    to: str = ME,
    *,
    of: State | None = None,
    cc: str = "",
    thread: str = "",
    subject: str = "Oi",
    **more: object,
) -> Incoming:
    """Message `number`, from and to bare addresses."""
    people = tuple(Address("", one) for one in to.split())
    copied = tuple(Address("", one) for one in cc.split())
    given = Headers(subject, Address("", sender), to=people, cc=copied, message_id=f"<{number}@{sender}>")
    given = Headers(**{name: more.pop(name, getattr(given, name)) for name in Headers.__dataclass_fields__})  # type: ignore[arg-type]
    when = BORN_MS + number * 1000
    return Incoming(
        f"m{number}", of or state("inbox"), when, headers=given, remote_thread=thread or f"t{number}", **more  # type: ignore[arg-type]
    )  # fmt: skip


class Desk:
    """A store with two customers: Beta (bea@beta.example and its domain) and Gama (a shared mail host's address)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.beta = store.save_account(Account("", "Beta", domains=("beta.example",))).id
        self.gama = store.save_account(Account("", "Gama")).id
        store.save_contact(Contact("", self.beta, "Bea", addresses=("bea@beta.example",)))
        store.save_contact(Contact("", self.gama, "Gil", addresses=("gil@gmail.com",)))

    def hear(self, *letters: Incoming, mailbox: str = "work") -> list[int]:
        self.store.ingest(mailbox, page(*letters, complete=True))
        return [self.number(one.remote_id, mailbox) for one in letters]

    def number(self, remote_id: str, mailbox: str = "work") -> int:
        found = self.store.find(mailbox, remote_id)
        assert found is not None
        return found

    def of(self, message: int) -> tuple[str, str]:
        """(account, reason) when it is linked; ('ignored', why); ('queued', the candidates)."""
        verdict = self.store.verdict(message)
        if verdict.bound is Bound.LINKED:
            return ",".join(link.name for link in verdict.links), verdict.links[0].reason.name
        if verdict.bound is Bound.IGNORED:
            return "ignored", str(verdict.why)
        return "queued", ",".join(link.name for link in verdict.candidates)

    def mail(self, account: str) -> list[int]:
        """The account's list; its counter must agree."""
        found = self.store.ids(Query(account=account))
        assert self.store.count(Query(account=account)) == len(found)
        return found

    def settle(self) -> None:
        while self.store.rematch_step():
            pass


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


# as it arrives


def test_mail_is_bound_as_it_arrives_and_says_why(desk: Desk) -> None:
    numbers = desk.hear(
        letter(1, "bea@beta.example"),
        letter(2, "new@vendas.beta.example"),
        letter(3, "gil@gmail.com"),
        letter(4, "other@gmail.com"),
        letter(5, ME, "bea@beta.example", of=state("sent")),
        letter(6, "x@nobody.example"),
        letter(7, "x@nobody.example", thread="t1"),
    )
    assert [desk.of(number) for number in numbers] == [
        ("Beta", "ADDRESS"),
        ("Beta", "DOMAIN"),
        ("Gama", "ADDRESS"),
        ("queued", ""),
        ("Beta", "ADDRESS"),
        ("queued", ""),
        ("Beta", "THREAD"),
    ]
    assert desk.mail(desk.beta) == [numbers[6], numbers[4], numbers[1], numbers[0]]
    assert desk.store.ids(CLASSIFY) == [numbers[5], numbers[3]]
    assert desk.store.window(Query("work"), 0, 9)[0].account == "Beta"
    link = desk.store.links([numbers[0]])[0]
    assert (link.account, link.name, link.detail) == (desk.beta, "Beta", "bea@beta.example")


def test_mail_that_needs_no_account_says_why(desk: Desk) -> None:
    numbers = desk.hear(
        letter(1, "rui@acme.example"),
        letter(2, ME, ME),
        letter(3, "no-reply@shop.example"),
        letter(4, "x@list.example", list_id="<talk.list.example>"),
        letter(5, ""),
        letter(6, "x@nobody.example", of=state("spam")),
        letter(7, "bea@beta.example", of=state("spam")),
        letter(8, "x@nobody.example", of=state("trash")),
        letter(9, "editor@weekly.example", bulk=True),
    )
    assert [desk.of(number) for number in numbers] == [
        ("ignored", why)
        for why in (
            Ignored.INTERNAL, Ignored.NO_COUNTERPART, Ignored.NO_REPLY, Ignored.LIST, Ignored.INVALID_SENDER,
            Ignored.SPAM, Ignored.SPAM, Ignored.TRASH, Ignored.BULK,
        )
    ]  # fmt: skip
    assert (desk.mail(desk.beta), desk.store.ids(CLASSIFY)) == ([], [])
    assert sum(desk.store.bound_counts().values()) == len(numbers)


def test_two_accounts_on_one_message_ask(desk: Desk) -> None:
    (number,) = desk.hear(letter(1, "bea@beta.example", cc="gil@gmail.com"))
    assert desk.of(number) == ("queued", "Beta,Gama")


def test_a_conversation_answers_for_who_is_not_known_but_outvotes_no_address(desk: Desk) -> None:
    numbers = desk.hear(
        letter(1, "bea@beta.example", thread="t"),
        letter(2, "stranger@nobody.example", thread="t"),
        letter(3, ME, "gil@gmail.com", of=state("sent"), thread="t"),
        letter(4, "second@nobody.example", thread="t"),
    )
    assert [desk.of(number) for number in numbers] == [
        ("Beta", "ADDRESS"),
        ("queued", "Beta,Gama"),
        ("Gama", "ADDRESS"),
        ("queued", "Beta,Gama"),
    ]


def test_the_newest_mail_comes_first_and_its_conversation_catches_up(desk: Desk) -> None:
    (late,) = desk.hear(letter(9, "stranger@nobody.example", thread="t"))
    assert desk.of(late) == ("queued", "")
    desk.hear(letter(1, "bea@beta.example", thread="t"))
    assert desk.of(late) == ("Beta", "THREAD")
    desk.store.ingest("work", page(removals=("m1",)))
    assert desk.of(late) == ("queued", "")


def test_one_message_that_two_mailboxes_received_stands_once_in_the_account(desk: Desk) -> None:
    copy = letter(1, "bea@beta.example", f"{ME} ana@casa.example")
    (first,), (second,) = desk.hear(copy), desk.hear(copy, mailbox="home")
    assert desk.of(first) == desk.of(second) == ("Beta", "ADDRESS")
    assert len(desk.mail(desk.beta)) == 1
    desk.store.perform(Verb.TRASH, desk.mail(desk.beta))
    assert len(desk.mail(desk.beta)) == 1  # the other mailbox still has it
    desk.store.perform(Verb.TRASH, desk.mail(desk.beta))
    assert desk.mail(desk.beta) == []
    desk.store.undo()
    assert len(desk.mail(desk.beta)) == 1


def test_the_accounts_list_counts_unread_and_waiting(desk: Desk) -> None:
    desk.hear(
        letter(1, "bea@beta.example", thread="a", of=state("inbox", unread=True)),
        letter(2, ME, "bea@beta.example", thread="a", of=state("sent")),
        letter(3, "bea@beta.example", thread="b", of=state("inbox", unread=True)),
    )
    row = desk.store.accounts("beta")[0]
    assert (row.total, row.unread, row.waiting) == (3, 2, 1)
    desk.store.perform(Verb.READ, desk.mail(desk.beta))
    assert desk.store.accounts("beta")[0].unread == 0
    desk.hear(letter(4, ME, "bea@beta.example", thread="b", of=state("sent")))
    assert desk.store.accounts("beta")[0].waiting == 0
    assert desk.store.count(Query(folder="waiting")) == 0


def test_the_next_account_with_unread_mail_is_found_in_both_directions(desk: Desk) -> None:
    assert desk.store.next_account_with_unread() is None
    desk.hear(
        letter(1, "bea@beta.example", of=state("inbox", unread=True)),
        letter(2, "gil@gmail.com", of=state("inbox", unread=True)),
    )
    assert desk.store.next_account_with_unread() == desk.beta
    assert desk.store.next_account_with_unread(desk.beta) == desk.gama
    assert desk.store.next_account_with_unread(desk.gama) == desk.beta
    assert desk.store.next_account_with_unread(desk.gama, back=True) == desk.beta


# corrections


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        (Scope.MESSAGE, {"m1"}),
        (Scope.THREAD, {"m1", "m2"}),
        (Scope.SENDER, {"m1", "m3"}),
        (Scope.DOMAIN, {"m1", "m3", "m4"}),
    ],
)
def test_a_correction_spreads_exactly_as_chosen(desk: Desk, scope: Scope, reached: set[str]) -> None:
    letters = [
        letter(1, "ivo@omega.example", thread="t"),
        letter(2, "stranger@nobody.example", thread="t"),
        letter(3, "ivo@omega.example"),
        letter(4, "eva@omega.example"),
        letter(5, "zoe@zeta.example"),
    ]
    numbers = dict(zip((one.remote_id for one in letters), desk.hear(*letters), strict=True))
    desk.store.link([numbers["m1"]], desk.gama, scope)
    # What a sender or domain speaks for, its conversations inherit; a message alone speaks for nobody else.
    inherited = {"m2"} if scope in (Scope.SENDER, Scope.DOMAIN) else set()
    assert {name for name, number in numbers.items() if desk.of(number)[0] == "Gama"} == reached | inherited
    assert {name for name, number in numbers.items() if desk.of(number) == ("Gama", "MANUAL")} == reached
    desk.store.unlink([numbers["m1"]], desk.gama, scope)
    assert [desk.of(number) for number in numbers.values()] == [("queued", "")] * 5
    desk.store.undo()
    desk.store.undo()
    assert [desk.of(number) for number in numbers.values()] == [("queued", "")] * 5
    desk.store.redo()
    assert desk.of(numbers["m1"]) == ("Gama", "MANUAL")


@pytest.mark.parametrize("scope", list(Scope))
def test_what_belongs_to_several_accounts_is_unlinked_and_comes_back_in_one_go(desk: Desk, scope: Scope) -> None:
    numbers = desk.hear(
        letter(1, "ivo@omega.example", thread="a"), letter(2, "eva@sigma.example", thread="b"),
        letter(3, "ivo@omega.example", thread="a"), letter(4, "leo@nobody.example"),
    )  # fmt: skip
    desk.store.link(numbers[:1], desk.beta)
    desk.store.link(numbers[1:2], desk.gama, scope)
    desk.store.link(numbers[2:3], desk.beta)
    desk.store.link(numbers[2:3], desk.gama, also=True)
    before = {number: {link.name for link in desk.store.links([number])} for number in numbers}
    assert before == dict(zip(numbers, ({"Beta"}, {"Gama"}, {"Beta", "Gama"}, set()), strict=True))
    acts = len(desk.store.acts())
    act = desk.store.unlink(numbers, scope=scope)
    assert act is not None and act.count == 3
    assert len(desk.store.acts()) == acts + 1
    assert [desk.of(number) for number in numbers] == [("queued", "")] * 4
    desk.store.undo()
    assert {number: {link.name for link in desk.store.links([number])} for number in numbers} == before


def test_unlinking_says_nothing_of_accounts_a_message_was_not_linked_to(desk: Desk) -> None:
    numbers = desk.hear(letter(1, "bea@beta.example"), letter(2, "gil@gmail.com"))
    desk.store.unlink(numbers)
    desk.store.save_contact(Contact("", desk.gama, "Bea", addresses=("bea@beta.example",)))
    assert [desk.of(number) for number in numbers] == [("Gama", "ADDRESS"), ("queued", "")]
    assert desk.store.unlink(numbers[1:]) is None


def test_what_was_unlinked_no_match_brings_back(desk: Desk) -> None:
    numbers = desk.hear(letter(1, "bea@beta.example", thread="t"), letter(2, "bea@beta.example", thread="t"))
    desk.store.unlink([numbers[0]], desk.beta)
    assert [desk.of(number) for number in numbers] == [("queued", ""), ("Beta", "THREAD")]
    desk.store.save_account(Account(desk.beta, "Beta", domains=("beta.example", "beta.test")))
    desk.hear(letter(1, "bea@beta.example", thread="t", snippet="again"))
    desk.settle()
    assert [desk.of(number) for number in numbers] == [("queued", ""), ("Beta", "THREAD")]


def test_a_correction_outlives_the_cache_and_follows_the_message(desk: Desk, directory: Path, clock: Clock) -> None:
    (number,) = desk.hear(letter(1, "x@nobody.example"))
    desk.store.link([number], desk.gama)
    gama, store = desk.gama, desk.store
    store.close()
    for file in directory.glob("cache.db*"):
        file.unlink()
    with Store.open(directory, clock=clock) as again:
        from tests.store.told import GMAIL

        again.register(GMAIL)
        moved = letter(1, "x@nobody.example")
        again.ingest("work", page(Incoming("elsewhere", moved.state, moved.received_ms, headers=moved.headers)))
        assert again.ids(Query(account=gama)) == [again.find("work", "elsewhere")]
        forged = letter(2, "mallory@evil.example", message_id="<1@x@nobody.example>")
        again.ingest("work", page(forged))
        assert len(again.ids(Query(account=gama))) == 1  # a borrowed Message-ID opens no door


def test_a_message_may_belong_to_two_accounts_when_the_user_says_so(desk: Desk) -> None:
    (number,) = desk.hear(letter(1, "x@nobody.example"))
    desk.store.link([number], desk.beta)
    desk.store.link([number], desk.gama, also=True)
    assert [link.name for link in desk.store.links([number])] == ["Beta", "Gama"] or len(
        desk.store.links([number])
    ) == 2
    assert desk.mail(desk.beta) == desk.mail(desk.gama) == [number]


def test_never_takes_mail_out_of_the_queue_and_out_of_accounts(desk: Desk) -> None:
    numbers = desk.hear(
        letter(1, "x@nobody.example"), letter(2, "bea@beta.example"), letter(3, "gil@gmail.com", subject="[private] a")
    )
    desk.store.never_for(numbers[0], NeverBy.DOMAIN)
    desk.store.never(NeverBy.ADDRESS, "Bea@Beta.example")
    desk.store.never(NeverBy.TAG, "[Private]")
    desk.settle()
    assert [desk.of(number) for number in numbers] == [("ignored", "never")] * 3
    assert {(rule.by, rule.value) for rule in desk.store.nevers()} == {
        (NeverBy.DOMAIN, "nobody.example"), (NeverBy.ADDRESS, "bea@beta.example"), (NeverBy.TAG, "[private]"),
    }  # fmt: skip
    desk.store.undo()
    desk.settle()
    assert desk.of(numbers[2]) == ("Gama", "ADDRESS")


def test_what_cannot_be_corrected_is_told(desk: Desk) -> None:
    numbers = desk.hear(letter(1, "other@gmail.com"), letter(2, ""))
    with pytest.raises(SettingsError, match=r"gmail\.com"):
        desk.store.link([numbers[0]], desk.beta, Scope.DOMAIN)
    with pytest.raises(SettingsError):
        desk.store.link([numbers[1]], desk.beta, Scope.SENDER)
    with pytest.raises(SettingsError, match="no such account"):
        desk.store.link([numbers[0]], "nope")
    with pytest.raises(SettingsError):
        desk.store.never(NeverBy.DOMAIN, "not a domain")


# when accounts change


def test_mail_that_was_here_before_its_account_is_bound_when_that_comes(desk: Desk) -> None:
    letters = [letter(number, f"p{number % 7}@late.example") for number in range(40)]
    numbers = desk.hear(*letters)
    late = desk.store.save_account(Account("", "Late", domains=("late.example",))).id
    assert desk.mail(late) == sorted(numbers, reverse=True)
    desk.store.undo()
    assert (desk.mail(late), len(desk.store.ids(CLASSIFY))) == ([], 40)


SPELLED = ("g.il.souza@gmail.com", "gilsouza+nf@googlemail.com", "zoe+news@nobody.example", "gil.souza@gmail.com")


def test_a_contacts_new_address_finds_old_mail_however_its_writer_spelt_it(desk: Desk) -> None:
    numbers = desk.hear(*(letter(number, sender) for number, sender in enumerate((*SPELLED, "zo.e@nobody.example"))))
    person = Contact("", desk.gama, "Gil", addresses=("gil.souza@gmail.com", "zoe@nobody.example"))
    person = desk.store.save_contact(person)
    assert [desk.of(number)[0] for number in numbers] == ["Gama"] * 4 + ["queued"]
    assert desk.store.briefing(numbers[1]).strangers == ()
    assert [one.name for one in desk.store.briefing(numbers[1]).contacts] == ["Gil"]
    assert desk.store.contact_of("gilsouza+x@gmail.com") == person
    desk.store.save_contact(replace(person, addresses=("zoe@nobody.example",)))
    assert [desk.of(number)[0] for number in numbers] == ["queued", "queued", "Gama", "queued", "queued"]
    desk.store.undo()
    assert [desk.of(number)[0] for number in numbers] == ["Gama"] * 4 + ["queued"]


def test_a_contact_with_a_tag_in_its_address_stands_for_nobody_else_there(desk: Desk) -> None:
    numbers = desk.hear(letter(1, "desk@tickets.example"), letter(2, "desk+gama@tickets.example"))
    desk.store.save_contact(Contact("", desk.gama, "Tickets", addresses=("desk+gama@tickets.example",)))
    assert [desk.of(number)[0] for number in numbers] == ["queued", "Gama"]


def test_spellings_are_known_of_mail_and_contacts_an_older_version_kept(
    desk: Desk, directory: Path, clock: Clock
) -> None:
    numbers = desk.hear(*(letter(number, sender) for number, sender in enumerate(SPELLED)))
    desk.store.save_contact(Contact("", desk.beta, "Gil", addresses=("gil.souza@gmail.com",)))
    gama, store = desk.gama, desk.store
    store.close()
    connection = sqlite3.connect(directory / "cache.db")
    connection.executescript(
        "DELETE FROM handle WHERE key = 'gilsouza@gmail.com'; PRAGMA user_version = 7;"
        "DELETE FROM party WHERE address IN (SELECT id FROM party_address WHERE reversed IN "
        "('com.gmail@gilsouza', 'example.nobody@zoe'))"
    )
    connection.close()
    with Store.open(directory, clock=clock) as again:
        desk.store = again
        desk.settle()
        assert [desk.of(number)[0] for number in numbers] == ["Beta", "Beta", "queued", "Beta"]
        again.save_contact(Contact("", gama, "Zoe", addresses=("zoe@nobody.example",)))
        assert desk.of(numbers[2]) == ("Gama", "ADDRESS")


def test_many_messages_are_looked_at_bit_by_bit_and_a_crash_loses_nothing(
    desk: Desk, directory: Path, clock: Clock
) -> None:
    for start in range(0, 900, 300):
        desk.hear(*(letter(number, f"p{number % 70}@late.example") for number in range(start, start + 300)))
    late = desk.store.save_account(Account("", "Late", domains=("late.example",))).id
    assert desk.store.rematching().total == 900
    assert desk.store.rematch_step()
    done = desk.store.rematching().done
    assert 0 < done < 900
    desk.store.close()
    with Store.open(directory, clock=clock) as again:
        assert again.rematching().done == done
        while again.rematch_step():
            pass
        assert again.count(Query(account=late)) == 900
        assert again.rematching().total == 0


def test_removing_an_account_lets_its_mail_go_and_undo_brings_the_links_back(desk: Desk) -> None:
    numbers = desk.hear(letter(1, "bea@beta.example"), letter(2, "x@nobody.example"))
    desk.store.link([numbers[1]], desk.beta)
    desk.store.remove_account(desk.beta)
    desk.settle()
    assert [desk.of(number) for number in numbers] == [("queued", ""), ("queued", "")]
    desk.store.undo()
    desk.settle()
    assert [desk.of(number) for number in numbers] == [("Beta", "ADDRESS"), ("Beta", "MANUAL")]


def test_merging_accounts_loses_no_link(desk: Desk) -> None:
    numbers = desk.hear(letter(1, "gil@gmail.com"), letter(2, "x@nobody.example"), letter(3, "bea@beta.example"))
    desk.store.link([numbers[1]], desk.gama)
    desk.store.merge_accounts(desk.beta, [desk.gama])
    desk.settle()
    assert [desk.of(number) for number in numbers] == [("Beta", "ADDRESS"), ("Beta", "MANUAL"), ("Beta", "ADDRESS")]
    assert desk.mail(desk.gama) == desk.mail(desk.beta) == sorted(numbers, reverse=True)


def test_what_was_unlinked_stays_so_when_its_account_is_merged_twice(desk: Desk) -> None:
    (number,) = desk.hear(letter(1, "bea@beta.example"))
    delta = desk.store.save_account(Account("", "Delta")).id
    desk.store.unlink([number], desk.gama)
    desk.store.merge_accounts(delta, [desk.gama])
    desk.settle()
    assert desk.of(number) == ("Beta", "ADDRESS")
    desk.store.merge_accounts(desk.beta, [delta])
    desk.settle()
    assert desk.of(number) == ("queued", "")


def test_who_we_are_decides_what_is_internal(desk: Desk) -> None:
    (number,) = desk.hear(letter(1, "bea@beta.example"))
    desk.store.set_ourselves(Setting(domains=frozenset({"Beta.example"})))
    desk.settle()
    assert desk.of(number) == ("ignored", "internal")


def test_a_change_names_the_account_whose_list_moved(desk: Desk, heard: Callable[[], Change]) -> None:
    heard()
    (number,) = desk.hear(letter(1, "bea@beta.example", of=state("inbox", unread=True)))
    change = heard()
    assert change.accounts == {desk.beta}
    assert number in change.messages
    desk.store.perform(Verb.READ, [number])
    assert heard().accounts == {desk.beta}


def test_no_list_of_an_account_shows_in_the_sidebar(desk: Desk) -> None:
    desk.hear(letter(1, "bea@beta.example"))
    assert [folder.key for folder in desk.store.folders("")] == ["inbox"]


def test_an_accounts_list_can_be_searched_and_narrowed(desk: Desk) -> None:
    numbers = desk.hear(
        letter(1, "bea@beta.example", subject="Fatura"),
        letter(2, "bea@beta.example", of=state("archive")),
        letter(3, ME, "bea@beta.example", of=state("sent")),
    )
    assert desk.store.ids(Query(account=desk.beta, text="fatura")) == numbers[:1]
    assert desk.store.ids(Query(account=desk.beta, text="in:inbox")) == numbers[:1]
    assert desk.store.ids(Query(account=desk.beta, folder="sent")) == numbers[2:]
    assert desk.store.ids(Query("home", account=desk.beta)) == []
    assert desk.store.position(Query(account=desk.beta), numbers[0]) == 2


def test_the_lists_agree_with_what_the_bonds_say(desk: Desk, directory: Path) -> None:
    desk.hear(
        *(letter(number, sender) for number, sender in enumerate(("bea@beta.example", "q@q.example", "gil@gmail.com")))
    )
    with sqlite3.connect(directory / "cache.db") as connection:
        placed = connection.execute("SELECT message, placed FROM bond").fetchall()
        stood = connection.execute(
            "SELECT p.message, f.key FROM place p JOIN folder f ON f.id = p.folder "
            "WHERE f.mailbox = '' AND f.key != 'inbox'"
        ).fetchall()
    assert {(number, key) for number, text in placed for key in filter(None, text.split(","))} == set(stood)
    assert Reason.MANUAL > Reason.THREAD > Reason.ADDRESS > Reason.DOMAIN


@pytest.mark.parametrize("renamed", ["", "<other@server.example>"])
def test_a_message_written_for_an_account_belongs_to_it_when_it_comes_back(desk: Desk, renamed: str) -> None:
    stranger = Address("", "x@nobody.example")
    draft = desk.store.new_draft(Draft(0, "work", ME, to=(stranger,), subject="Oi", account=desk.gama))
    queued = desk.store.queue(draft, b"mime", "<ours@acme.example>", "token")
    if renamed:
        desk.store.note_outgoing(queued.id, sent_message_id=renamed)
    told = renamed or "<ours@acme.example>"
    sent, answer = desk.hear(
        letter(1, ME, "x@nobody.example", of=state("sent"), message_id=told, thread="t"),
        letter(2, "x@nobody.example", thread="t"),
    )
    assert desk.of(sent) == desk.of(answer) == ("Gama", "MANUAL")


def test_a_message_to_an_accounts_own_contact_needs_no_word(desk: Desk) -> None:
    draft = desk.store.new_draft(Draft(0, "work", ME, to=(Address("", "gil@gmail.com"),), account=desk.gama))
    desk.store.queue(draft, b"mime", "<ours@acme.example>", "token")
    (sent,) = desk.hear(letter(1, ME, "gil@gmail.com", of=state("sent"), message_id="<ours@acme.example>"))
    assert desk.of(sent) == ("Gama", "ADDRESS")
