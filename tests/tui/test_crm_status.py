"""What the interface says of the CRM: how far it is copied, what it needs the user for, and nothing else."""

from __future__ import annotations

from crmmail.model import Phase, Status
from crmmail.store import Store
from tests.tui.conftest import app_on, shown, until


def status(phase: Phase, sentence: str = "", next_step: str = "", done: int = 0) -> Status:
    return Status("crm.sharpspring", phase, sentence, next_step, done)


async def test_it_tells_how_far_the_copy_is_and_asks_for_new_keys(gmail: Store) -> None:
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "Inbox" in shown(app))
        gmail.say(status(Phase.FILLING, done=1500))
        await until(pilot, lambda: "Copying accounts and contacts from the CRM: 1,500" in shown(app))
        gmail.say(status(Phase.SYNCED))
        await until(pilot, lambda: "0 accounts are here." in shown(app))
        gmail.say(status(Phase.SIGN_IN, "The CRM does not accept these keys.", "Connect it again."))
        await until(pilot, lambda: "The CRM does not accept these keys. Connect it again." in shown(app))


async def test_a_crm_that_is_away_for_a_while_is_not_the_users_trouble(gmail: Store) -> None:
    app = app_on(gmail)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "Inbox" in shown(app))
        before = shown(app)
        gmail.say(status(Phase.OFFLINE, "The server cannot be reached."))
        gmail.say(status(Phase.WAITING, "The CRM asks us to slow down."))
        await pilot.pause(0.1)
        assert shown(app) == before


async def test_the_palette_connects_a_crm(gmail: Store) -> None:
    from crmmail.config import MailboxSettings, profile
    from crmmail.tui.connect_crm import ConnectCrmScreen

    app = app_on(gmail, mailboxes={"gmail": MailboxSettings("gmail", "me@gmail.example")})
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "Inbox" in shown(app))
        app.place = profile().make()
        await pilot.press("ctrl+p", *"connect", "space", *"a", "space", *"crm", "enter")
        await until(pilot, lambda: isinstance(app.screen, ConnectCrmScreen))
        assert "Which CRM do you want to connect?" in shown(app)
