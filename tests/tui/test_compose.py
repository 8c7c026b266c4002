"""The composer: its fields and keys, drafts that are never lost, what goes to the outbox and how it comes back."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events

from crmmail import config
from crmmail.mailboxes import CAPABILITIES
from crmmail.model import Address, Draft, Identity, Mailbox, Phase, SendState, Status
from crmmail.store import Store
from crmmail.tui import composer_base
from crmmail.tui.app import CrmMail
from crmmail.tui.compose import ComposeScreen
from crmmail.tui.composer_base import Desk, content
from crmmail.tui.composer_dialogs import Checks, FilePicker, SendLater
from crmmail.tui.dialogs import Picker
from crmmail.tui.menu import ActionsMenu
from tests.tui.conftest import NOW, fill, inbox, incoming, raw, shown, until

ANA = Address("Ana Souza", "ana.souza@acme.example")


class Clock:
    """A moment that only the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def post(tmp_path, clock):
    """A Gmail mailbox that sends, with two identities and ten messages."""
    store = Store.open(tmp_path / "data", clock=clock)
    can = replace(CAPABILITIES["gmail"], send=True)
    store.register(Mailbox("gmail", "gmail", "me@gmail.example", "Maria Prado", "", can))
    store.say(Status("gmail", Phase.SYNCED, at=NOW))
    store.set_identities(
        "gmail",
        [
            Identity("gmail", Address("Maria Prado", "me@gmail.example"), default=True),
            Identity("gmail", Address("Vendas", "vendas@nos.example"), verified=False),
        ],
    )
    fill(store, "gmail", [incoming(number) for number in range(10)])
    yield store
    store.close()


def app_on(store: Store, clock: Clock, **settings: object) -> CrmMail:
    return CrmMail(store, config.Settings(**settings), clock=clock)  # type: ignore[arg-type]


def keys(text: str) -> list[str]:
    return ["space" if letter == " " else "enter" if letter == "\n" else letter for letter in text]


async def composer(pilot) -> ComposeScreen:
    await until(pilot, lambda: isinstance(pilot.app.screen, ComposeScreen))
    await pilot.pause()
    return pilot.app.screen


async def paste(pilot, text: str) -> None:
    pilot.app.screen.focused.post_message(events.Paste(text))
    await pilot.pause()


async def settled(pilot) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def write(pilot, to: str = "ana@x.example", subject: str = "Hello", text: str = "A word.") -> ComposeScreen:
    """A new message, typed."""
    await pilot.press("c")
    screen = await composer(pilot)
    await pilot.press(*keys(to), "tab", *keys(subject), "tab", *keys(text))
    return screen


# --- fields and keys


async def test_the_fields_stand_in_their_order_and_tab_goes_through_them(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        text = shown(app)
        order = [text.index(word) for word in ("From", "To", "Subject", "Message", "Attachments", "Clear fields")]
        assert order == sorted(order)
        assert "Maria Prado <me@gmail.example>" in text
        assert "Bcc" not in text.split("Message")[0]
        names = []
        for _step in range(6):
            names.append(screen.focused.id)
            await pilot.press("tab")
        assert names == ["to", "subject", "body", "files", "clear", "send"]


async def test_what_is_typed_is_text_and_never_an_act(post, clock):
    app = app_on(post, clock)
    before = inbox(post)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await write(pilot, "zdx#", "d#ez g i ?", "d # e z g i . q ? / x")
        assert screen.subject.value == "d#ez g i ?"
        assert screen.body.text == "d # e z g i . q ? / x"
        assert screen.fields["to"].people == [Address("zdx#", "")]
        assert app.screen is screen
    assert inbox(post) == before


@pytest.mark.parametrize("key", ["alt+b", "f4"])
async def test_copies_are_shown_on_demand_and_hidden_while_empty(post, clock, key):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press(key)
        await until(pilot, lambda: screen.focused is screen.fields["bcc"])
        await pilot.press(key)
        await until(pilot, lambda: screen.focused is screen.fields["to"])
        await pilot.press("alt+c")
        await until(pilot, lambda: screen.focused is screen.fields["cc"])
        assert " Cc " in shown(app)


async def test_chips_from_typing_pasting_and_backspace(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        field = screen.fields["to"]
        await pilot.press(*keys("ana@x.example,not an address;"))
        assert field.people == [Address("", "ana@x.example"), Address("not an address", "")]
        assert "not an address ✗" in shown(app)
        await pilot.press("backspace")
        assert field.people == [Address("", "ana@x.example")]
        await paste(pilot, 'Bruno <b@x.example>; "Lima, J" <j@x.example>\nana@x.example, d@x.example')
        assert [one.email for one in field.people] == ["ana@x.example", "b@x.example", "j@x.example", "d@x.example"]
        await pilot.press("left", "left", "delete")
        assert [one.email for one in field.people] == ["ana@x.example", "b@x.example", "d@x.example"]
        await pilot.press("enter")
        assert field.text == "d@x.example"
        await pilot.press("end", "tab")
        assert field.people[-1].email == "d@x.example"


async def test_suggestions_come_from_whom_one_wrote_to_and_one_key_takes_them(post, clock, monkeypatch):
    known = [ANA, Address("Anabela", "anabela@y.example")]
    monkeypatch.setattr(
        post, "complete", lambda text, limit=8, beside=(), account="": known if "ana".startswith(text) else []
    )
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("a", "n")
        await until(pilot, lambda: "anabela@y.example" in shown(app))
        await pilot.press("down", "enter")
        assert screen.fields["to"].people == [known[1]]
        await until(pilot, lambda: not screen.offers.display)
        await pilot.press("a", "n")
        await until(pilot, lambda: screen.offers.display)
        await pilot.press("escape")
        await until(pilot, lambda: not screen.offers.display)
        assert app.screen is screen
        await pilot.press("a", "tab")
        assert screen.fields["to"].people[1] == ANA


async def test_an_address_typed_to_its_end_is_taken_with_its_name_and_tab_goes_on(post, clock, monkeypatch):
    known = [Address("Anabela", "ana@y.example.br"), Address("Ana", "ana@y.example")]
    monkeypatch.setattr(
        post, "complete", lambda text, limit=8, beside=(), account="": known if text.startswith("ana") else []
    )
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press(*keys("ana@y.example"), "tab", *keys("Hello"))
        assert screen.fields["to"].everyone == (known[1],)
        assert screen.subject.value == "Hello"


async def test_a_send_while_a_file_is_read_says_so(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await write(pilot)
        screen.busy = True
        await pilot.press("ctrl+j")
        assert "still working on it" in shown(app)
        assert app.screen is screen


async def test_the_sender_is_chosen_and_an_unverified_one_says_so(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+f")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        assert "not verified" in shown(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is screen)
        assert screen.written().sender == "vendas@nos.example"
        await until(pilot, lambda: "not verified" in shown(app))


async def test_another_sender_signs_otherwise_and_an_edited_signature_stays(post, clock):
    mine, ours = Address("Maria Prado", "me@gmail.example"), Address("Vendas", "vendas@nos.example")
    identities = [
        Identity("gmail", mine, default=True, signature="Maria\nRua 1"),
        Identity("gmail", ours, signature="Equipe"),
    ]
    post.set_identities("gmail", identities)
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        screen.body.focus()
        await pilot.press(*keys("Hello"))
        assert screen.body.text == "Hello\n\n-- \nMaria\nRua 1\n"
        screen.sender.choose(1)
        await pilot.pause()
        assert screen.body.text == "Hello\n\n-- \nEquipe\n"
        assert screen.body.place == len("Hello")
        screen.sender.choose(0)
        await pilot.pause()
        assert screen.body.text == "Hello\n\n-- \nMaria\nRua 1\n"
        screen.body.put("Hello\n\n-- \nM.\n", 2)
        screen.sender.choose(1)
        await pilot.pause()
        assert screen.body.text == "Hello\n\n-- \nM.\n"


async def test_clearing_the_fields_can_be_taken_back(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await write(pilot)
        before = screen.written()
        await pilot.press("alt+x")
        assert (screen.body.text, screen.subject.value, screen.fields["to"].people) == ("", "", [])
        await pilot.press("alt+z")
        assert content(screen.written()) == content(before)


async def test_the_menu_holds_all_commands_with_their_keys(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.press("c")
        await composer(pilot)
        await pilot.press("alt+m")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        for words in ("Send later", "Insert a template", "Ctrl+G", "Discard the draft", "F2", "F4"):
            assert words in shown(app)


async def test_hostile_names_and_subjects_stay_letters(post, clock):
    subject = "[/urgent] [b]x[/b] [ @click=app.quit]y"
    content = raw(77, subject=subject, sender='"[/nope] [link=x]" <evil@x.example>')
    fill(post, "gmail", [incoming(-1, content=content)], cursor="2")
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("r")
        screen = await composer(pilot)
        assert f"Re: {subject}" in shown(app)
        assert "[/nope] [link=x]" in shown(app)
        screen.body.focus()
        await paste(pilot, "a\x1b]0;title\x07b\r\nc\u202ed")
        assert "a]0;titleb\ncd" in screen.body.text
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks) or post.outgoing())
        assert "\x1b" not in shown(app)


# --- drafts


async def test_a_draft_is_on_the_disk_within_a_second_of_a_key(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c", *keys("ana@x.example"))
        started = time.monotonic()
        while not post.drafts():
            await pilot.pause(0.02)
            assert time.monotonic() - started < 3
        await until(pilot, lambda: post.drafts()[0].to == (Address("", "ana@x.example"),))
        await pilot.press("tab", *keys("Price"))
        await until(pilot, lambda: post.drafts()[0].subject == "Price")
        assert len(post.drafts()) == 1


def test_a_late_save_of_an_older_state_changes_nothing(post):
    desk = Desk(post, Draft(0, "gmail"))
    older, newer = desk.ticket(), desk.ticket()
    desk.save(Draft(0, "gmail", text="One two"), newer)
    desk.save(Draft(0, "gmail", text="One"), older)
    assert [draft.text for draft in post.drafts()] == ["One two"]


async def test_escape_keeps_the_draft_says_so_and_enter_in_the_drafts_goes_on(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await write(pilot, text="Half a sen")
        await pilot.press("left", "escape")
        await until(pilot, lambda: app.screen is app.main)
        assert "Draft saved: you will find it in Drafts" in shown(app)
        assert post.drafts()[0].text == "Half a sen"
        await pilot.press("g", "d")
        assert "✎" in shown(app)
        assert "Hello" in shown(app)
        await pilot.press("enter")
        screen = await composer(pilot)
        assert screen.body.place == len("Half a se")
        assert screen.fields["to"].people == [Address("", "ana@x.example")]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert len(post.drafts()) == 1


async def test_several_drafts_stand_in_the_list_above_the_servers(post, clock):
    fill(post, "gmail", [incoming(50, "drafts", content=raw(50, subject="From the phone"))], cursor="3")
    post.new_draft(Draft(0, "gmail", subject="First"))
    clock.now += 1
    post.new_draft(Draft(0, "gmail", subject="Second"))
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("g", "d")
        text = shown(app)
        order = [text.index(word) for word in ("Second", "First", "From the phone")]
        assert order == sorted(order)
        await pilot.press("j", "j", "enter")
        screen = await composer(pilot)
        assert screen.subject.value == "From the phone"
        await pilot.press("end", *keys("!"), "escape")
        await until(pilot, lambda: app.screen is app.main)
        assert len(post.drafts()) == 3


async def test_opening_and_closing_keeps_nothing(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("c", "r"):
            await pilot.press(key)
            await composer(pilot)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)
    assert post.drafts() == []


async def test_a_discarded_draft_comes_back_with_undo(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot)
        await screen.run_command("compose_discard")
        await until(pilot, lambda: app.screen is app.main)
        assert post.drafts() == []
        await until(pilot, lambda: "z Undo" in shown(app))
        await pilot.press("z")
        await until(pilot, lambda: [draft.subject for draft in post.drafts()] == ["Hello"])
        await pilot.press("g", "d", "d")
        await until(pilot, lambda: post.drafts() == [])
        await pilot.press("z")
        await until(pilot, lambda: len(post.drafts()) == 1)


async def test_a_full_disk_is_said_and_the_text_stays(post, clock, monkeypatch):
    from crmmail.errors import StoreError

    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot)
        await settled(pilot)

        def full(draft):
            raise StoreError("The disk is full.")

        for way in ("new_draft", "save_draft"):  # whether it was saved before or not yet
            monkeypatch.setattr(post, way, full)
        await pilot.press("x", "escape")
        await until(pilot, lambda: "The disk is full." in shown(app))
        assert app.screen is screen
        assert screen.body.text == "A word.x"


async def test_what_a_full_disk_did_not_take_is_not_called_saved_and_is_saved_once_there_is_room(
    post, clock, monkeypatch
):
    from crmmail.errors import StoreError

    monkeypatch.setattr(composer_base, "SAVE_AGAIN_AFTER", 0.2)
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot)
        await until(pilot, lambda: "Draft saved" in shown(app))

        def full(draft):
            raise StoreError("The disk is full.")

        with monkeypatch.context() as small:
            small.setattr(post, "save_draft", full)
            await pilot.press("x")
            await until(pilot, lambda: "The disk is full." in shown(app))
            screen.renew()
            await pilot.pause()
            assert "Not saved yet" in shown(app)
        await until(pilot, lambda: "Draft saved" in shown(app))
        assert "The disk is full." not in shown(app)
        assert post.drafts()[0].text == "A word.x"


async def test_a_draft_changed_elsewhere_too_is_said_marked_and_said_again_when_it_is_opened(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(120, 30)) as pilot:
        alone = post.new_draft(Draft(0, "gmail", subject="Proposta", text="nossa"))
        kept = post.new_draft(Draft(0, "gmail", subject="Fatura", text="nossa"))
        fill(post, "gmail", [incoming(900, "drafts", content=raw(900, "Fatura"))])
        post.note_draft(alone.id, 0, parted=True)
        await until(pilot, lambda: "A draft was changed here and elsewhere" in shown(app))
        post.note_draft(kept.id, kept.revision, remote_draft="r", remote_message="m900", parted=True)
        await pilot.press("g", "d")
        await until(pilot, lambda: "changed elsewhere too: Proposta" in shown(app))
        assert "changed elsewhere too: Fatura" in shown(app)
        app.main.open_message(-alone.id)
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        await until(pilot, lambda: "the other version stands beside it" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main and "changed elsewhere too: Proposta" not in shown(app))
        assert "changed elsewhere too: Fatura" in shown(app)


# --- sending


@pytest.mark.parametrize("key", ["ctrl+j", "ctrl+enter", "alt+s", "f9"])
async def test_every_send_key_queues_exactly_what_was_written(post, clock, key):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await write(pilot, "ana@x.example", "Proposta", "Olá, tudo bem?")
        await pilot.press(key)
        await until(pilot, lambda: post.outgoing() and app.screen is app.main)
        queued = post.outgoing()[0]
        assert (queued.subject, queued.recipients) == ("Proposta", ("ana@x.example",))
        assert queued.state is SendState.HELD
        assert queued.not_before == NOW + 10
        mime = post.mime(queued.id)
        assert b"From: Maria Prado <me@gmail.example>" in mime
        assert b"To: ana@x.example" in mime
        assert queued.message_id.encode() in mime
        assert post.drafts() == []


async def test_undo_brings_back_subject_people_text_files_and_cursor_exactly(post, clock, tmp_path):
    (tmp_path / "Orçamento.pdf").write_bytes(b"%PDF-1.4 x")
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot, text="One two three")
        screen.attach(tmp_path / "Orçamento.pdf")
        await until(pilot, lambda: screen.files.enclosures)
        await settled(pilot)
        await pilot.press("alt+b", *keys("secret@x.example,"))
        screen.body.focus()
        await pilot.press("home", "right", "right")
        before = screen.written()
        await pilot.press("ctrl+j")
        await until(pilot, lambda: app.screen is app.main)
        assert "Sending in 10 s" in shown(app)
        clock.now += 3
        app.main._count()
        await pilot.pause()
        assert "Sending in 7 s" in shown(app)
        await pilot.press("z")
        again = await composer(pilot)
        after = again.written()
        for name in ("sender", "to", "cc", "bcc", "subject", "text", "cursor", "enclosures"):
            assert getattr(after, name) == getattr(before, name), name
        assert "nothing was sent" in shown(app)
        assert not post.outgoing([SendState.HELD, SendState.QUEUED])


async def test_after_the_window_undo_says_that_it_is_too_late(post, clock):
    app = app_on(post, clock)
    before = inbox(post)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("d")
        await write(pilot)
        clock.now += 1
        await pilot.press("ctrl+j")
        await until(pilot, lambda: app.screen is app.main)
        clock.now += 11
        post.claim_outgoing("gmail", clock.now)
        await pilot.press("z")
        await until(pilot, lambda: "Too late" in shown(app))
        assert inbox(post) == before[1:]
        await pilot.press("z")
        assert inbox(post) == before


@pytest.mark.parametrize("meanwhile", [("enter", "escape"), ("d", "z")], ids=["a message read", "an act undone"])
async def test_what_changed_nothing_since_sending_does_not_stand_before_its_undo(post, clock, meanwhile):
    fill(post, "gmail", [incoming(number, unread=True) for number in range(10)], cursor="2")
    app = app_on(post, clock)
    before = inbox(post)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("d")
        await write(pilot)
        clock.now += 1
        await pilot.press("ctrl+j")
        await until(pilot, lambda: app.screen is app.main)
        clock.now += 1
        await pilot.press(*meanwhile)
        await until(pilot, lambda: app.main.messages.display and inbox(post) == before[1:])
        await pilot.press("z")
        again = await composer(pilot)
        assert again.written().subject == "Hello"
        assert inbox(post) == before[1:]


async def test_undo_can_be_turned_off(post, clock):
    app = app_on(post, clock, undo_send_seconds=0)
    async with app.run_test(size=(100, 30)) as pilot:
        await write(pilot)
        await pilot.press("ctrl+j")
        await until(pilot, lambda: post.outgoing() and app.screen is app.main)
        assert post.outgoing()[0].not_before <= NOW
        assert "On its way" in shown(app)


async def test_checks_are_one_panel_one_key_overrides_them_and_escape_leads_to_the_place(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot, subject="", text="The contract is attached.")
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks))
        assert "The subject is empty." in shown(app)
        assert "nothing is attached" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert post.outgoing() == []
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks))
        await pilot.press("y")
        await until(pilot, lambda: len(post.outgoing()) == 1)


async def test_what_no_server_takes_cannot_be_overridden(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot, to="nobody")
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks))
        await pilot.press("y")
        await until(pilot, lambda: app.screen is screen)
        assert screen.focused is screen.fields["to"]
        assert post.outgoing() == []


async def test_send_later_at_a_typed_time(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await write(pilot)
        await pilot.press("alt+w")
        await until(pilot, lambda: isinstance(app.screen, SendLater))
        assert "Today at 18:00" in shown(app)
        await pilot.press(*keys("17:30"), "enter")
        await until(pilot, lambda: post.outgoing() and app.screen is app.main)
        assert post.outgoing()[0].not_before == NOW + (17 * 60 + 30 - 14 * 60 - 32) * 60
        assert "17:30" in shown(app)


async def test_keys_typed_faster_than_the_screen_keep_their_order(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        await composer(pilot)
        typed = [*keys("ana@x.example"), "tab", *keys("Hi all"), "backspace", "tab", *keys("One two\nthreee")]
        for key in [*typed, "backspace", "left", "X"]:
            app.post_message(events.Key(key, " " if key == "space" else key if len(key) == 1 else None))
        await until(pilot, lambda: "threXe" in app.screen.body.text)
        app.post_message(events.Paste("pasted "))
        app.post_message(events.Key("ctrl+j", None))
        await until(pilot, lambda: post.outgoing())
        queued = post.outgoing()[0]
        assert (queued.recipients, queued.subject) == (("ana@x.example",), "Hi al")
        assert b"One two\r\nthreXpasted e" in post.mime(queued.id)


async def test_a_send_during_a_send_is_one_message(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await write(pilot)
        for _press in range(5):
            app.post_message(events.Key("ctrl+j", "\n"))
        await until(pilot, lambda: post.outgoing() and app.screen is app.main)
        await settled(pilot)
        assert len(post.outgoing()) == 1


# --- answers


async def test_reply_goes_to_the_sender_quotes_the_text_and_threads(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("r")
        screen = await composer(pilot)
        draft = screen.written()
        assert [one.email for one in draft.to] == ["ana.souza@acme.example"]
        assert draft.subject == "Re: Revised quote for the Curitiba branch 0"
        assert "> this is message 0." in draft.text
        assert draft.in_reply_to == "<0@acme.example>"
        assert screen.focused is screen.body
        assert screen.body.cursor_location == (0, 0)
        await pilot.press(*keys("Yes"), "ctrl+j")
        await until(pilot, lambda: post.outgoing())
        mime = post.mime(post.outgoing()[0].id)
        assert b"In-Reply-To: <0@acme.example>" in mime
        assert b"References: <0@acme.example>" in mime


@pytest.mark.parametrize("below", [False, True])
async def test_the_answer_is_written_above_or_below_the_quotation_as_set(post, clock, below):
    identity = Identity("gmail", Address("Maria Prado", "me@gmail.example"), default=True, signature="Maria")
    post.set_identities("gmail", [identity])
    app = app_on(post, clock, reply_below=below)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("r")
        screen = await composer(pilot)
        await pilot.press(*keys("Yes."))
        text = screen.body.text
        assert text.index("Yes.") == (text.rindex("> Kind regards") + len("> Kind regards\n\n") if below else 0)
        assert (text.index("> Hello") < text.index("Yes.")) is below
        assert text.index("Yes.") < text.index("-- \nMaria")
        assert text.endswith("-- \nMaria\n") is below


async def test_a_reply_quotes_what_is_selected_in_the_reader(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "this is message 0." in shown(app))
        lines = [line.text for line in app.screen._compositor.render_strips()]
        y = next(at for at, line in enumerate(lines) if "this is message 0." in line)
        x = lines[y].index("message 0.")
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(x + 9, y))
        await pilot.mouse_up(offset=(x + 9, y))
        await pilot.press("r")
        screen = await composer(pilot)
        assert [line for line in screen.body.text.split("\n") if line.startswith(">")] == ["> message 0."]


@pytest.mark.parametrize("way", ["a", "R", "menu"])
async def test_reply_all_takes_everybody_but_ourselves(post, clock, way):
    content = raw(88).replace(b"To: me@gmail.example", b"To: me@example.com")
    content = content.replace(b"To: me@example.com", b"To: me@gmail.example, Bruno <b@x.example>\nCc: c@x.example")
    fill(post, "gmail", [incoming(-1, content=content)], cursor="2")
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        if way == "menu":
            await pilot.press("full_stop")
            await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
            ids = [entry.id for entry in app.screen.entries if entry]
            assert ids[:4] == ["reply", "reply_all", "forward", "unread"]
            await pilot.press("down", "enter")
        else:
            await pilot.press(way)
        screen = await composer(pilot)
        draft = screen.written()
        everybody = {one.email for one in (*draft.to, *draft.cc)}
        assert everybody == {"ana.souza@acme.example", "b@x.example", "c@x.example"}


async def test_forward_carries_text_and_files_or_the_whole_message(post, clock):
    content = raw(90, subject="Quote", attachment="Quote.pdf")
    fill(post, "gmail", [incoming(-1, content=content)], cursor="2")
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("enter")
        screen = await composer(pilot)
        assert screen.subject.value == "Fwd: Quote"
        assert [one.name for one in screen.files.enclosures] == ["Quote.pdf"]
        assert "this is message 90" in screen.body.text
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("down", "enter")
        screen = await composer(pilot)
        assert [one.content_type for one in screen.files.enclosures] == ["message/rfc822"]
        assert post.enclosure(screen.files.enclosures[0].digest) == content
        assert screen.body.text.strip() == ""


async def test_a_mailbox_that_cannot_send_offers_no_writing(post, clock):
    box = post.mailboxes()[0]
    post.register(replace(box, capabilities=replace(box.capabilities, send=False)))
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c", "r", "a", "f")
        await settled(pilot)
        assert app.screen is app.main
        await pilot.press("full_stop")
        await until(pilot, lambda: isinstance(app.screen, ActionsMenu))
        assert "Reply" not in shown(app)


# --- files, editor, templates


async def test_a_file_by_typing_its_path_and_out_again(post, clock, tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "contract [1].txt").write_bytes(b"x" * 1234)
    (folder / "other.txt").write_bytes(b"y")
    (folder / ".hidden").write_bytes(b"z")
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        await pilot.press("alt+a")
        await until(pilot, lambda: isinstance(app.screen, FilePicker))
        app.screen._put(f"{folder}/")
        await until(pilot, lambda: "other.txt" in shown(app))
        assert ".hidden" not in shown(app)
        await pilot.press("c", "tab", "enter")
        await until(pilot, lambda: app.screen is screen and screen.files.enclosures)
        await settled(pilot)
        assert "contract [1].txt" in shown(app)
        assert "1.2 kB" in shown(app)
        assert post.enclosure(screen.files.enclosures[0].digest) == b"x" * 1234
        screen.files.focus()
        await pilot.press("delete")
        assert screen.files.enclosures == []
        await until(pilot, lambda: post.drafts()[0].enclosures == ())


async def test_a_vanished_file_is_a_sentence_and_the_draft_is_intact(post, clock, tmp_path):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot)
        screen.attach(tmp_path / "gone.pdf")
        await settled(pilot)
        await until(pilot, lambda: screen.notice.tone == "bad")
        assert screen.files.enclosures == []
        assert post.drafts()[0].text == "A word."
        await pilot.press("ctrl+j")
        await until(pilot, lambda: post.outgoing())


async def test_the_own_editor_gets_the_text_and_gives_it_back(post, clock, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    script = tmp_path / "my editor.py"
    script.write_text(
        "import os, stat, sys\n"
        "path = sys.argv[-1]\n"
        "mode = stat.S_IMODE(os.stat(path).st_mode)\n"
        "text = open(path, encoding='utf-8').read()\n"
        f"open({str(seen)!r}, 'w', encoding='utf-8').write(f'{{mode:o}} {{path}} {{text}}')\n"
        "open(path, 'w', encoding='utf-8').write(text + ' ação; $(x)\\n')\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} '{script}' --wait")
    from crmmail.tui import composer_editor

    assert composer_editor.edit("Olá") == "Olá ação; $(x)"
    mode, path, text = seen.read_text(encoding="utf-8").split(" ", 2)
    assert (mode, text) == ("600", "Olá")
    assert not Path(path).parent.exists()
    monkeypatch.setenv("VISUAL", "false")
    with pytest.raises(Exception, match="message is unchanged"):
        composer_editor.edit("Olá")
    monkeypatch.setenv("VISUAL", "/no/such/editor")
    with pytest.raises(Exception, match="could not be started"):
        composer_editor.edit("Olá")


async def test_the_editor_key_leaves_the_text_in_the_composer(post, clock, monkeypatch):
    import contextlib

    from crmmail.tui import composer_editor

    monkeypatch.setattr(composer_editor, "edit", lambda text: text + "\nfrom outside")
    app = app_on(post, clock)
    monkeypatch.setattr(app, "suspend", contextlib.nullcontext)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: screen.body.text == "A word.\nfrom outside")
        await until(pilot, lambda: post.drafts()[0].text == "A word.\nfrom outside")


async def test_a_template_comes_in_filled_and_an_open_place_is_asked_about(post, clock, tmp_path):
    place = config.Profile(tmp_path, tmp_path, tmp_path, tmp_path)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.txt").write_text("Subject: Hi {first_name}\nDear {first_name} of {conta},\n")
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        screen = await composer(pilot)
        app.place = place  # a profile whose mailboxes nobody has connected would begin with connecting one
        await paste(pilot, "Ana Souza <ana@x.example>")
        await pilot.press("alt+t")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        assert screen.subject.value == "Hi Ana"
        assert screen.body.text.startswith("Dear Ana of {conta},")
        await pilot.press("ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Checks))
        await until(pilot, lambda: "{conta} has not been filled in" in shown(app))


# --- without a mailbox; in Portuguese; fast


async def test_without_a_mailbox_the_composer_opens_and_the_draft_is_kept(store, clock):
    app = app_on(store, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await write(pilot, text="Later")
        assert "No mailbox is connected" in shown(app)
        await pilot.press("ctrl+j")
        await settled(pilot)
        assert store.outgoing() == []
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
        assert store.drafts()[0].text == "Later"
        await pilot.press("g", "d")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("enter")
        screen = await composer(pilot)
        assert screen.body.text == "Later"


async def test_a_key_in_a_large_body_is_painted_within_a_frame(post, clock):
    text = "\n".join("palavras de um texto comprido que se quebra na tela" * 2 for _line in range(2000))
    assert len(text) > 200_000
    app = app_on(post, clock)
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.write(Draft(0, "gmail", to=(ANA,), subject="x", text=text, cursor=100_000))
        screen = await composer(pilot)
        taken = []
        for letter in "abcdefghijklmnopqrst":
            before = screen.body.place
            # The time this thread works: a busy test machine would measure its other work.
            start = time.thread_time()
            app.post_message(events.Key(letter, letter))
            while screen.body.place == before:
                await asyncio.sleep(0)
            screen._compositor.render_strips()
            taken.append(time.thread_time() - start)
        taken.sort()
        assert taken[len(taken) // 2] < 0.016, [round(one * 1000, 1) for one in taken]


async def test_a_huge_paste_is_taken(post, clock):
    app = app_on(post, clock)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await write(pilot, text="")
        await paste(pilot, "line of pasted text\r\n" * 20_000)
        assert screen.body.text.count("\n") == 20_000
