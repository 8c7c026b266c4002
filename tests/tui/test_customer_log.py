"""What a CRM is told is in the user's hand: private in one key, the exact entry to look at, nothing until chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crmmail.crm import entry as entries
from crmmail.crm.model import (
    Account,
    CrmCapabilities,
    CrmPage,
    LogSetting,
    LogStatus,
    RemoteAccount,
    RemoteContact,
    Unlogged,
    Visibility,
)
from crmmail.model import Page
from crmmail.remotes.local import Local
from crmmail.tui import format, log_lines
from crmmail.tui.dialogs import Confirm, Picker
from crmmail.tui.log_queue import LogQueue
from crmmail.tui.log_screens import LogPreview, LogSettings
from tests.tui.conftest import app_on, connect, fill, inbox, incoming, raw, shown, until

CRM = "sharpspring"


@pytest.fixture
def desk(store):
    """A mailbox with mail of ACME, an account mirrored from a CRM."""
    connect(store, "gmail")
    store.register_crm(CRM, CrmCapabilities(log=True, timeline=True))
    account = RemoteAccount("77", "ACME Ltda", ("acme.example",))
    contact = RemoteContact("501", "77", "Ana Souza", ("ana@acme.example",))
    store.mirror(CRM, CrmPage("1", (account,), (contact,), complete=True))
    text = "Olá,\n\nsegue a proposta de R$ 1.200.\n"
    mail = [
        incoming(number, content=raw(number, f"Proposta {number}", "Ana Souza <ana@acme.example>", text))
        for number in range(5)
    ]
    fill(store, "gmail", mail)
    while store.rematch_step():
        pass
    return store


def state(store, message):
    return store.log_states([message])[message]


async def test_nothing_is_logged_until_chosen_and_the_panel_says_so(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        while desk.log_step():
            pass
        assert all(state(desk, number).why is Unlogged.NOT_CHOSEN for number in inbox(desk))
        assert desk.claim_log(CRM) == []
        await pilot.press("i")
        await until(pilot, lambda: app.main.panel.briefing)
        assert "you have not chosen to" in shown(app)


async def test_the_preview_shows_every_byte_that_would_leave_and_logs_on_demand(desk):
    app = app_on(desk)
    message = inbox(desk)[0]
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        text = shown(app)
        assert "ACME Ltda (77)" in text
        assert "501" in text
        assert "<0@acme.example>" in text
        assert "Not told     the subject and the text" in text
        assert "R$ 1.200" not in text
        assert "Proposta 0" not in text.replace("“Proposta 0”", "")
        await pilot.press("l")
        await until(pilot, lambda: state(desk, message).status is LogStatus.QUEUED)
        await until(pilot, lambda: app.screen is app.main)
        assert "Will be logged" in shown(app)
        entry = desk.claim_log(CRM)[0]
        assert (entry.subject, entry.text, entry.account) == ("", "", "77")


@pytest.mark.parametrize("seen", list(Visibility))
async def test_the_preview_holds_the_entry_word_for_word_and_no_line_runs_out_of_sight(desk, seen):
    long = " ".join(f"palavra{number}" for number in range(30))
    content = raw(99, "Proposta final", "Ana Souza <ana@acme.example>", f"{long}\n\nAbraço\n")
    fill(desk, "gmail", [incoming(-1, content=content)], cursor="2")
    desk.set_log_setting(LogSetting(visibility=seen), mailbox="gmail")
    _state, entry = desk.log_preview(inbox(desk)[0])
    told = log_lines.payload(entry, CRM, "ACME Ltda")
    assert told.endswith(f"\n\n{entries.title(entry)}\n\n{entries.note(entry)}"), "as it is written, the key last"
    assert (long in told, "Proposta final" in told) == (seen is Visibility.FULL, seen is not Visibility.METADATA)
    app = app_on(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("comma", "l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        pane = app.screen.pane
        await until(pilot, lambda: pane.lines and pane.virtual_size.width <= pane.size.width)
        assert all(format.width(line) <= pane.size.width for line in pane.lines)
        assert " ".join(pane.lines).count("palavra") == (30 if seen is Visibility.FULL else 0)


async def test_a_crm_that_takes_no_files_is_not_shown_as_getting_them(desk):
    content = raw(99, "Proposta final", "Ana Souza <ana@acme.example>", "Segue.", attachment="proposta.pdf")
    fill(desk, "gmail", [incoming(-1, content=content)], cursor="2")
    desk.set_log_setting(LogSetting(visibility=Visibility.FULL), mailbox="gmail")
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "s")
        await until(pilot, lambda: isinstance(app.screen, LogSettings))
        await pilot.press("f")
        await until(pilot, lambda: "SharpSpring takes no files, only their names." in shown(app))
        await pilot.press("escape", "comma", "l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        assert "SharpSpring takes no files, only their names" in shown(app)
        assert "Attachments: proposta.pdf" in shown(app)
        assert "application/pdf" not in shown(app)


async def test_what_is_logged_is_chosen_in_the_settings_after_a_question(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "s")
        await until(pilot, lambda: isinstance(app.screen, LogSettings))
        assert "not chosen: nothing is logged" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, LogSettings))
        assert desk.log_setting(mailbox="gmail").on is None
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: desk.log_setting(mailbox="gmail").on)
        await until(pilot, lambda: isinstance(app.screen, LogSettings))
        assert desk.log_setting(mailbox="gmail").visibility is Visibility.METADATA
        await pilot.press("v", "v")
        assert desk.log_setting(mailbox="gmail").visibility is Visibility.FULL
        await pilot.press("f")
        assert desk.log_setting(mailbox="gmail").attachments
        assert "with subject and text, with files" in shown(app)
        await pilot.press("escape")
        fill(desk, "gmail", [incoming(-1, content=raw(99, "Pedido", "Ana <ana@acme.example>"))], cursor="2")
        while desk.log_step():
            pass
        entries = desk.claim_log(CRM)
        assert [entry.subject for entry in entries] == ["Pedido"]
        assert "this is message 99" in entries[0].text


async def test_one_key_keeps_a_message_or_its_conversation_private_and_takes_it_back(desk):
    app = app_on(desk)
    message = inbox(desk)[0]
    async with app.run_test(size=(120, 36)) as pilot:
        desk.log_now([message])
        await pilot.press("P")
        assert desk.is_private(message)
        assert "1 message is never logged" in shown(app)
        assert desk.claim_log(CRM) == []
        await pilot.press("P")
        assert not desk.is_private(message)
        await pilot.press("O")
        assert desk.is_private(message)
        await pilot.press("z")
        assert not desk.is_private(message)


async def test_the_conversation_of_a_private_message_is_kept_private_too_and_never_let_go_by_that_key(desk):
    more = [
        replace(incoming(number, content=raw(number, "Talk", "Ana Souza <ana@acme.example>")), remote_thread="t9")
        for number in (50, 51)
    ]
    fill(desk, "gmail", more, cursor="2")
    first, second = (desk.find("gmail", f"m{number}") for number in (50, 51))
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        app.main.messages.go_to(first)
        await pilot.press("P")
        assert (desk.is_private(first), desk.is_private(second)) == (True, False)
        await pilot.press("O")
        assert (desk.is_private(first), desk.is_private(second)) == (True, True)
        assert "1 conversation is never logged" in shown(app)
        await pilot.press("P")
        assert (desk.is_private(first), desk.is_private(second)) == (False, False)
        assert "1 conversation may be logged again" in shown(app), "not only the message under the cursor"
        await pilot.press("O")
        assert desk.is_private(second)
        await pilot.press("O")
        assert (desk.is_private(first), desk.is_private(second)) == (False, False)
        assert "1 conversation may be logged again" in shown(app)


async def test_what_the_crm_refused_is_said_where_it_is_seen_and_tried_again(desk):
    from crmmail.crm.model import CrmAck
    from crmmail.errors import Rejected

    app = app_on(desk)
    message = inbox(desk)[0]
    async with app.run_test(size=(120, 36)) as pilot:
        desk.log_now([message])
        entry = desk.claim_log(CRM)[0]
        desk.acknowledge_log(CRM, [CrmAck(entry.key, error=Rejected("The account is locked."))])
        await pilot.press("i")
        await until(pilot, lambda: "Not logged: The account is locked." in shown(app))
        await pilot.press("g", "l")
        await until(pilot, lambda: isinstance(app.screen, LogQueue))
        assert "Proposta 0" in shown(app)
        await pilot.press("r")
        await until(pilot, lambda: state(desk, message).status is LogStatus.QUEUED)
        await pilot.press("d")
        await until(pilot, lambda: state(desk, message).status is LogStatus.NOT_LOGGED)


def moved(desk, message):
    """Given to another account while it waited: it asks."""
    desk.log_now([message])
    other = desk.save_account(Account("", "Lima"))
    desk.link([message], other.id)
    assert desk.claim_log(CRM) == []
    assert state(desk, message).status is LogStatus.ASK


async def test_mail_given_to_another_account_while_it_waited_asks(desk):
    app = app_on(desk)
    message = inbox(desk)[0]
    async with app.run_test(size=(120, 36)) as pilot:
        moved(desk, message)
        await pilot.press("i")
        await until(pilot, lambda: "You decide" in shown(app))
        await pilot.press("g", "l")
        await until(pilot, lambda: isinstance(app.screen, LogQueue))
        assert "given to another account" in shown(app)
        assert all(words in shown(app) for words in ("Enter Open", "l Decide", "d Give it up"))


async def test_what_asks_is_opened_from_the_list_it_asks_in(desk):
    app = app_on(desk)
    message = inbox(desk)[3]
    async with app.run_test(size=(120, 36)) as pilot:
        moved(desk, message)
        await pilot.press("g", "l")
        await until(pilot, lambda: isinstance(app.screen, LogQueue))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
        assert app.main.reading
        assert app.main.reader.message.row.id == message


async def test_what_asks_is_decided_in_the_list_it_asks_in_after_a_look_at_what_would_be_told(desk):
    app = app_on(desk)
    message = inbox(desk)[3]
    async with app.run_test(size=(120, 36)) as pilot:
        moved(desk, message)
        desk.link([message], desk.accounts("acme")[0].id)
        desk.unlink([message], desk.accounts("lima")[0].id)
        await pilot.press("g", "l")
        await until(pilot, lambda: isinstance(app.screen, LogQueue))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        assert "<3@acme.example>" in shown(app)
        await pilot.press("l")
        await until(pilot, lambda: state(desk, message).status is LogStatus.QUEUED)
        assert [entry.key for entry in desk.claim_log(CRM)] == ["<3@acme.example>"]


async def test_private_in_the_preview_means_the_message_that_is_shown_there(desk):
    app = app_on(desk)
    message = inbox(desk)[3]
    async with app.run_test(size=(120, 36)) as pilot:
        moved(desk, message)
        await pilot.press("g", "l")
        await until(pilot, lambda: isinstance(app.screen, LogQueue))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        await pilot.press("P")
        await until(pilot, lambda: desk.is_private(message))
        assert not desk.is_private(inbox(desk)[0])


async def test_what_asks_is_given_up_and_an_account_that_is_told_is_opened(desk):
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        moved(desk, inbox(desk)[3])
        nova = desk.save_account(Account("", "Nova"))
        assert desk.push_account(nova.id, CRM)
        await pilot.press("g", "l")
        await until(pilot, lambda: isinstance(app.screen, LogQueue))
        assert "Nova" in shown(app)
        await pilot.press("j", "d")
        await until(pilot, lambda: state(desk, inbox(desk)[3]).status is LogStatus.NOT_LOGGED)
        await pilot.press("k", "enter")
        await until(pilot, lambda: app.main.account_shown == nova.id)


async def test_on_this_computer_the_timeline_keeps_what_was_logged_when_the_mail_is_gone(store):
    connect(store, "gmail")
    acme = store.save_account(Account("", "ACME Ltda", ("acme.example",)))
    fill(store, "gmail", [incoming(7, content=raw(7, "Proposta", "Ana Souza <ana@acme.example>"))])
    store.register_crm("local", Local.capabilities)
    (message,) = inbox(store)
    app = app_on(store)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("comma", "l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        assert "This computer" in shown(app)
        assert f"ACME Ltda ({acme.id})" in shown(app)
        await pilot.press("l")
        await until(pilot, lambda: state(store, message).status is LogStatus.QUEUED)
        store.acknowledge_log("local", list(Local("local", store).apply(store.claim_log("local"))))
        await pilot.press("i")
        await until(pilot, lambda: "Logged on this computer" in shown(app))
        store.ingest("gmail", Page("9", removals=("m7",)))
        assert inbox(store) == []
        await pilot.press("g", "c")
        await until(pilot, lambda: "ACME" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.main.account_shown == acme.id)
        await pilot.press("comma", "t")
        await until(pilot, lambda: "E-mail received" in shown(app))


async def test_mail_of_several_accounts_is_logged_to_the_one_that_is_chosen_as_it_is_shown_first(desk):
    lima = RemoteAccount("78", "Lima SA", ("lima.example",))
    desk.mirror(CRM, CrmPage("2", (lima,), complete=True))
    message = inbox(desk)[2]
    desk.link([message], desk.accounts("acme")[0].id)
    desk.link([message], desk.accounts("lima")[0].id, also=True)
    assert len(desk.links([message])) == 2
    assert state(desk, message).status is LogStatus.ASK
    app = app_on(desk)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("j", "j", "comma", "l")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        assert "ACME Ltda" in shown(app) and "Lima SA" in shown(app)
        at = [link.name for link in desk.links([message])].index("Lima SA")
        await pilot.press(*["down"] * at, "enter")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        assert "Lima SA (78)" in shown(app)
        await pilot.press("l")
        await until(pilot, lambda: state(desk, message).status is LogStatus.QUEUED)
        assert [entry.account for entry in desk.claim_log(CRM)] == ["78"]
        await pilot.press("comma", "l")
        await until(pilot, lambda: isinstance(app.screen, LogPreview))
        assert "Lima SA (78)" in shown(app), "what was decided is shown without a question"
