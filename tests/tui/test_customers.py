"""The customer beside the mail: the panel, links corrected in two keys, the queue, going from account to account."""

from __future__ import annotations

import pytest

from crmmail.crm.model import Account, Bound, Contact, Reason
from crmmail.model import Query
from crmmail.tui.account_commands import CLASSIFY, EVERYWHERE
from crmmail.tui.account_picker import AccountPicker, LinkPicker
from crmmail.tui.accounts import AccountsScreen
from crmmail.tui.dialogs import Picker
from crmmail.tui.form import Form
from crmmail.tui.timeline import Timeline
from tests.tui.conftest import app_on, connect, fill, inbox, incoming, raw, shown, until

ACME, LIMA = "ACME Ltda", "Lima & Filhos"


def mail(number: int, sender: str, subject: str = "", **flags):
    return incoming(number, content=raw(number, subject=subject or f"Mail {number}", sender=sender), **flags)


@pytest.fixture
def desk(store):
    """A mailbox; ACME known by domain, Lima by its contact, mail of nobody known among theirs."""
    connect(store, "gmail")
    acme = store.save_account(Account("", ACME, ("acme.example",), "11222333000181", phone="+55 11 5555-0101"))
    store.save_contact(Contact("", acme.id, "Ana Souza", ("ana@acme.example",), role="Compras"))
    lima = store.save_account(Account("", LIMA))
    store.save_contact(Contact("", lima.id, "Bruno Lima", ("bruno@lima.test",)))
    people = ("Ana Souza <ana@acme.example>", "Bruno Lima <bruno@lima.test>", "Rui <rui@novo.example>")
    fill(store, "gmail", [mail(number, people[number % 3], unread=number % 2 == 0) for number in range(30)])
    followed(store)
    return store


def followed(store) -> None:
    while store.rematch_step():
        pass


def account(store, name: str) -> str:
    return store.accounts(name, 0, 1)[0].id


def linked(store, message: int) -> set[str]:
    return {link.name for link in store.links([message])}


def of(store, domain: str) -> list[int]:
    return [number for number in inbox(store) if store.message(number).headers.sender.email.endswith(domain)]


async def ready(pilot) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


# --- the panel


async def test_the_panel_stands_beside_the_message_on_wide_terminals_and_follows_it(desk):
    app = app_on(desk)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: app.main.panel.briefing)
        text = shown(app)
        assert ACME in text
        assert "11.222.333/0001-81" in text
        assert "By the address ana@acme.example" in text
        await pilot.press("j")
        await until(pilot, lambda: app.main.panel.message_id == app.main.messages.cursor_id)
        assert "By the address bruno@lima.test" in shown(app)
        await pilot.press("i")
        assert not app.main.panel.display


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 40), (250, 70)])
async def test_one_key_shows_and_hides_the_panel_at_every_width(desk, size):
    app = app_on(desk)
    async with app.run_test(size=size) as pilot:
        await pilot.press("enter")
        if not app.main.panel.display:
            await pilot.press("i")
        await until(pilot, lambda: app.main.panel.briefing)
        assert "By the address ana@acme.example" in shown(app)
        assert "Mail 0" in shown(app)
        assert all(len(line) <= size[0] for line in shown(app).split("\n"))
        await pilot.press("i")
        assert not app.main.panel.display
        assert "By the address" not in shown(app)


async def test_without_accounts_nothing_of_all_this_takes_room(gmail):
    app = app_on(gmail)
    async with app.run_test(size=(200, 40)) as pilot:
        await ready(pilot)
        assert not app.main.panel.display
        assert "To classify" not in shown(app)


async def test_the_panel_can_be_scrolled_by_keys_and_left(desk):
    app = app_on(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i", "tab")
        assert app.main.pane == "panel"
        await until(pilot, lambda: app.main.panel.briefing)
        await pilot.press("j")
        assert app.main.messages.index == 0
        await pilot.press("escape")
        assert app.main.pane == "list"


# --- corrections


async def test_a_link_is_corrected_in_two_keys_for_this_message_only(desk):
    app = app_on(desk)
    target, other = of(desk, "@novo.example")[:2]
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(target)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, LinkPicker))
        await pilot.press(*"acme", "enter")
        await until(pilot, lambda: "how far?" in shown(app))
        await pilot.press("m")
        await until(pilot, lambda: linked(desk, target) == {ACME})
        assert linked(desk, other) == set()
        assert "1 message linked to ACME Ltda" in shown(app)
        assert "z Undo" in shown(app)
        await pilot.press("z")
        await until(pilot, lambda: linked(desk, target) == set())


@pytest.mark.parametrize(("key", "reached"), [("s", "rui@novo.example"), ("d", "@novo.example")])
async def test_a_link_spreads_to_the_sender_or_the_domain_as_chosen(desk, key, reached):
    app = app_on(desk)
    target, *others = of(desk, "@novo.example")
    fill(desk, "gmail", [mail(100, "Zoe <zoe@novo.example>")], cursor="2")
    followed(desk)
    zoe = next(number for number in of(desk, "@novo.example") if number not in (target, *others))
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(target)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, LinkPicker))
        await pilot.press(*"lima", "enter")
        await until(pilot, lambda: "how far?" in shown(app))
        assert f"Everything of {reached}" in shown(app)
        await pilot.press(key)
        await until(pilot, lambda: app.screen is app.main)
        followed(desk)
        assert all(linked(desk, number) == {LIMA} for number in (target, *others))
        assert linked(desk, zoe) == ({LIMA} if key == "d" else set())


@pytest.mark.parametrize(
    ("headers", "reached"),
    [
        ("From: Eva <eva@gmail.example>\r\nTo: Rui <rui@novo.example>\r\nCc: me@gmail.example", "rui@novo.example"),
        (
            "From: no-reply@gmail.example\r\nReply-To: Zoe <zoe@novo.example>\r\nTo: me@gmail.example",
            "zoe@novo.example",
        ),
    ],
)
async def test_a_word_on_the_sender_of_what_our_side_wrote_names_whom_it_reaches(desk, headers, reached):
    content = f"{headers}\r\nSubject: Ours\r\nMessage-ID: <ours@gmail.example>\r\n\r\nText".encode()
    fill(desk, "gmail", [incoming(100, content=content)], cursor="2")
    followed(desk)
    target = desk.find("gmail", "m100")
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(target)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, LinkPicker))
        await pilot.press(*"lima", "enter")
        await until(pilot, lambda: "how far?" in shown(app))
        assert f"Everything of {reached}" in shown(app)
        assert "Everything of @novo.example" in shown(app)
        assert "of @gmail.example" not in shown(app)
        await pilot.press("escape")
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, LinkPicker))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "how far?" in shown(app))
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, Form))
        assert (app.screen.values["name"], app.screen.values["domains"]) == ("Novo", "novo.example")


async def test_an_account_is_made_in_the_picker_and_the_message_linked_to_it(desk):
    app = app_on(desk)
    target = of(desk, "@novo.example")[0]
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(target)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, LinkPicker))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "how far?" in shown(app))
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, Form))
        assert app.screen.values["domains"] == "novo.example"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: linked(desk, target) == {"Novo"})


async def test_what_is_unlinked_stays_unlinked(desk):
    app = app_on(desk)
    target, other = of(desk, "@acme.example")[:2]
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(target)
        await pilot.press("comma", "u")
        await until(pilot, lambda: linked(desk, target) == set())
        desk.save_contact(Contact("", account(desk, "acme"), "Outra", ("outra@acme.example",)))
        followed(desk)
        assert linked(desk, target) == set()
        assert linked(desk, other) == {ACME}
        assert "1 message unlinked" in shown(app)


async def test_a_selection_of_several_accounts_is_unlinked_and_undone_in_one_go(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        mine = inbox(desk)[:3]
        before = [linked(desk, number) for number in mine]
        assert {frozenset(names) for names in before} == {frozenset({ACME}), frozenset({LIMA}), frozenset()}
        await pilot.press("x", "j", "x", "j", "x", "k", "comma", "u")
        await until(pilot, lambda: [linked(desk, number) for number in mine] == [set()] * 3)
        assert "2 messages unlinked" in shown(app)
        await pilot.press("z")
        await until(pilot, lambda: [linked(desk, number) for number in mine] == before)


async def test_a_selection_is_linked_as_one_act(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("x", "j", "x", "j", "x", "A")
        await until(pilot, lambda: isinstance(app.screen, LinkPicker))
        await pilot.press(*"lima", "enter")
        await until(pilot, lambda: app.screen is app.main)
        assert [linked(desk, number) for number in inbox(desk)[:3]] == [{LIMA}] * 3
        await pilot.press("z")
        await until(pilot, lambda: linked(desk, inbox(desk)[0]) == {ACME})


async def test_never_for_this_sender_takes_all_their_mail_out(desk):
    app = app_on(desk)
    targets = of(desk, "@novo.example")
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(targets[0])
        await pilot.press("comma", "n")
        followed(desk)
        assert all(desk.verdict(number).bound is Bound.IGNORED for number in targets)
        assert "rui@novo.example" in shown(app)
        await pilot.press("z")
        followed(desk)
        assert all(desk.verdict(number).bound is Bound.QUEUED for number in targets)


# --- the queue


async def test_the_queue_has_its_place_with_a_count_and_single_keys_answer(desk):
    desk.save_contact(Contact("", account(desk, "acme"), "Rui", ("rui@novo.example",)))
    desk.save_contact(Contact("", account(desk, "lima"), "Rui", ("rui@novo.example",)))
    followed(desk)
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "To classify" in shown(app))
        queue = desk.ids(Query("", CLASSIFY))
        assert len(queue) == 10
        await pilot.press("g", "q")
        await until(pilot, lambda: app.main.panel.message_id == queue[0])
        assert "Whose is it?" in shown(app)
        first = desk.candidates(queue[0])[0].name
        await pilot.press("1")
        await until(pilot, lambda: linked(desk, queue[0]) == {first})
        await until(pilot, lambda: app.main.panel.message_id == queue[1])
        await pilot.press("space")
        await until(pilot, lambda: app.main.panel.message_id == queue[2])
        await pilot.press("0")
        followed(desk)
        await until(pilot, lambda: desk.count(Query("", CLASSIFY)) == 0)
        await until(pilot, lambda: "Everything has its account" in shown(app))
        await pilot.press("z")
        followed(desk)
        await until(pilot, lambda: desk.count(Query("", CLASSIFY)) == 9)


async def test_a_number_never_answers_for_a_message_whose_candidates_were_not_shown(desk):
    desk.save_contact(Contact("", account(desk, "lima"), "Rui", ("rui@novo.example",)))
    desk.save_contact(Contact("", account(desk, "acme"), "Rui", ("rui@novo.example",)))
    followed(desk)
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("g", "q")
        await until(pilot, lambda: app.main.panel.briefing)
        app.main.panel.show(None)
        app.main.guarded(lambda: app.main.classify(1))
        assert desk.count(Query("", CLASSIFY)) == 10
        assert "Press again" in shown(app) or "Press again" in app.main.notice.text


async def test_a_new_account_from_the_queue_takes_the_sender_along(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("g", "q")
        await until(pilot, lambda: app.main.panel.briefing)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Form))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.main)
        followed(desk)
        await until(pilot, lambda: desk.count(Query("", CLASSIFY)) == 0)
        assert all(linked(desk, number) == {"Novo"} for number in of(desk, "@novo.example"))


# --- account by account


async def test_all_mail_of_an_account_is_one_list_with_the_same_keys_and_escape_leads_back(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        before = app.main.messages.cursor_id
        await pilot.press("g", "c")
        await until(pilot, lambda: isinstance(app.screen, AccountsScreen))
        await pilot.press(*"acme", "enter")
        await until(pilot, lambda: app.main.account_shown)
        await ready(pilot)
        text = shown(app)
        assert ACME in text
        assert "Contacts" in text
        assert "Mail per week" in text
        assert app.main.messages.query_shown == Query("", EVERYWHERE, account=account(desk, "acme"))
        assert app.main.messages.count == 10
        await pilot.press("d")
        await until(pilot, lambda: desk.count(Query("gmail", "trash")) == 1)
        assert app.main.messages.count == 9
        await pilot.press("z", "enter")
        await until(pilot, lambda: app.main.reading)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, AccountsScreen))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen is app.main)
        assert app.main.messages.query_shown == Query("gmail")
        assert app.main.messages.cursor_id == before


async def test_searching_in_an_account_stays_with_it(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "o")
        await ready(pilot)
        await pilot.press("slash", *"rui")
        await until(pilot, lambda: app.main.messages.count == 0)
        await pilot.press("escape")
        await until(pilot, lambda: app.main.messages.count == 10)
        assert app.main.account_shown
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        assert "Contacts of ACME Ltda" in shown(app)


async def test_the_card_is_an_over_on_narrow_terminals(desk):
    app = app_on(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("comma", "o")
        await ready(pilot)
        assert "Contacts" not in shown(app)
        await pilot.press("tab")
        assert "Ana Souza" in shown(app)
        await pilot.press("escape")
        assert "11.222.333/0001-81" not in shown(app)


async def test_the_next_account_with_unread_mail_is_one_key_away(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: app.main.account_shown)
        await until(pilot, lambda: app.main.card.lines)  # it was given its place, though the list was painted before
        assert "Mail per week" in shown(app)
        first = app.main.account_shown
        assert app.main.messages.row.unread
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: app.main.account_shown != first)
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: app.main.account_shown == first)


async def test_the_list_is_narrowed_to_one_account_and_widened_again(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "f")
        await until(pilot, lambda: app.main.messages.count == 10)
        assert {row.account for row in app.main.messages.visible_rows} == {ACME}
        assert f"Inbox · {ACME}" in shown(app)
        await pilot.press("comma", "f")
        await until(pilot, lambda: app.main.messages.count == 30)


async def test_the_same_account_is_selected_by_two_keys(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("asterisk", "c")
        assert app.main.messages.selected == set(of(desk, "@acme.example"))


async def test_every_link_says_its_reason(desk):
    app = app_on(desk)
    fill(desk, "gmail", [mail(200, "Outra <outra@acme.example>")], cursor="2")
    followed(desk)
    target = next(number for number in of(desk, "@acme.example") if desk.links([number])[0].reason is Reason.DOMAIN)
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(target)
        await pilot.press("i")
        await until(pilot, lambda: app.main.panel.message_id == target)
        assert "By the domain acme.example" in shown(app)


async def test_accounts_that_may_be_the_same_customer_are_named_and_merged_in_two_keys(desk):
    desk.save_account(Account("", "ACME Matriz", ("acme.example",)))
    followed(desk)
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.show_account(account(desk, "acme ltda"))
        await until(pilot, lambda: "The same customer?" in shown(app))
        assert "ACME Matriz" in shown(app)
        await pilot.press("comma", "m")
        await until(pilot, lambda: isinstance(app.screen, AccountPicker))
        await pilot.press(*"matriz", "enter")
        await until(pilot, lambda: app.screen is app.main)
        followed(desk)
        assert all(linked(desk, number) == {"ACME Matriz"} for number in of(desk, "@acme.example"))
        await pilot.press("z")
        followed(desk)
        assert len(desk.accounts("acme", 0, 9)) == 2


async def test_the_mouse_leads_from_the_panel_to_the_account_and_from_the_list_into_it(desk):
    app = app_on(desk)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: app.main.panel.briefing)
        await pilot.click("#panel", offset=(4, 0))
        await until(pilot, lambda: app.main.account_shown == account(desk, "acme"))
        await pilot.press("escape")
        side = next(at for at, line in enumerate(app.main.sidebar.lines) if line.kind == "accounts")
        await pilot.click("#sidebar", offset=(5, side))
        await until(pilot, lambda: isinstance(app.screen, AccountsScreen))
        await pilot.click("#accounts", offset=(10, 1), times=2)
        await until(pilot, lambda: app.main.account_shown == account(desk, "lima"))


async def test_the_timeline_tells_what_happened_and_opens_a_message(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "t")
        await until(pilot, lambda: isinstance(app.screen, Timeline) and app.screen.entries.entries)
        assert "Timeline of ACME Ltda" in shown(app)
        assert "Mail 0" in shown(app)
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.main.reading)
        assert app.main.reader.message.headers.subject == "Mail 3"


async def test_reading_only_nothing_of_an_account_is_changed(desk):
    app = app_on(desk)
    app.readonly = True
    target = of(desk, "@acme.example")[0]
    async with app.run_test(size=(120, 36)) as pilot:
        for keys in (("comma", "u"), ("comma", "n"), ("P",), ("A",), ("comma", "e")):
            await pilot.press(*keys)
            assert app.screen is app.main
            assert "only read" in shown(app)
        assert linked(desk, target) == {ACME}
