"""The Mailboxes screen: by key and by mouse, in memory, in the file and in the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from crmmail import config, mailboxes
from crmmail.config import MailboxSettings
from crmmail.model import Draft, Phase, Query, Status
from crmmail.store import Store
from crmmail.tui.app import CrmMail
from crmmail.tui.boxes import Mailboxes
from tests.tui.conftest import NOW, fill, incoming, shown, until

Act = Callable[[CrmMail, Pilot[None]], Awaitable[None]]


class Engine:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., str]:
        def ask(*arguments: str) -> str:
            self.asked.append((name, *arguments))
            return ""

        return ask


@pytest.fixture
def place() -> config.Profile:
    place = config.profile().make()
    with config.update(place) as settings:
        settings.token_store = "file"
        for name, provider in (("work", "gmail"), ("corp", "outlook"), ("home", "imap")):
            box = MailboxSettings(provider, f"ana@{name}.example", name=name.title())
            settings.mailboxes[name] = box
        settings.mailboxes["home"].imap_host = "imap.home.example"
    return place


@pytest.fixture
def office(place: config.Profile) -> Iterator[Store]:
    with Store.open(place.data_dir, clock=lambda: NOW) as store:
        mailboxes.register(store, config.load(place))
        for at, name in enumerate(("work", "corp", "home")):
            fill(store, name, [incoming(at * 10 + number) for number in range(3)])
        store.say(Status("work", Phase.SYNCED, at=NOW))
        store.say(Status("corp", Phase.SIGN_IN, "The session has ended.", "Sign in again."))
        store.say(Status("home", Phase.OFFLINE, "imap.home.example does not answer.", "It is tried again by itself."))
        yield store


def play(store: Store, place: config.Profile, act: Act, size: tuple[int, int] = (120, 36)) -> tuple[CrmMail, Engine]:
    engine = Engine()
    app = CrmMail(store, config.load(place), place=place, clock=lambda: NOW)
    app.engine = engine  # type: ignore[assignment]

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await act(app, pilot)
            await app.workers.wait_for_complete()

    asyncio.run(run())
    return app, engine


async def opened(app: CrmMail, pilot: Pilot[None]) -> Mailboxes:
    await pilot.press("g", "b")
    await until(pilot, lambda: isinstance(app.screen, Mailboxes))
    assert isinstance(app.screen, Mailboxes)
    return app.screen


def test_each_mailbox_shows_its_own_state_and_what_to_do(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        text = shown(app)
        for said in ("Work", "Gmail · Synced", "Outlook · Sign in again", "IMAP · Offline"):
            assert said in text
        await pilot.press("down")
        await until(pilot, lambda: "The session has ended. Sign in again." in shown(app))
        await pilot.press("down")
        await until(pilot, lambda: "does not answer" in shown(app))
        await pilot.press("escape")
        assert app.screen is app.main

    play(office, place, act)


def sections(app: CrmMail) -> list[str]:
    """The mailboxes of the sidebar, from top to bottom."""
    return [line.mailbox for line in app.main.sidebar.lines if line.kind == "mailbox"]


def test_the_order_is_changed_by_key_and_kept(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        screen = await opened(app, pilot)
        await pilot.press("end", "K", "K")
        await until(pilot, lambda: [box.id for box in screen.boxes] == ["home", "work", "corp"])
        assert screen.chosen is not None
        assert screen.chosen.id == "home"
        await until(pilot, lambda: sections(app) == ["home", "work", "corp"])

    play(office, place, act)
    assert list(config.load(place).mailboxes) == ["home", "work", "corp"]


def test_a_mailbox_is_paused_and_resumed_in_the_engine_and_the_file(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("p")
        await app.workers.wait_for_complete()
        assert config.load(place).mailboxes["work"].paused
        await until(pilot, lambda: "Resume" in shown(app))
        await pilot.press("p")
        await app.workers.wait_for_complete()
        assert not config.load(place).mailboxes["work"].paused

    _app, engine = play(office, place, act)
    assert [call for call in engine.asked if call[0] in ("pause", "resume")] == [("pause", "work"), ("resume", "work")]


async def write(pilot: Pilot[None], app: CrmMail, name: str, text: str) -> None:
    for _count in range(8):
        if app.focused is not None and app.focused.id == name:
            break
        await pilot.press("tab")
    assert app.focused is not None
    assert app.focused.id == name
    if isinstance(app.focused, Input):
        await pilot.press("home", "ctrl+k")
    await pilot.press(*text)


def test_name_sender_addresses_signature_and_pace_are_written_in_one_form(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.screen.query("#sender_name"))
        await write(pilot, app, "name", "Casa")
        await write(pilot, app, "sender_name", "Ana Souza")
        await write(pilot, app, "identities", "Vendas <vendas@home.example>; x@home.example")
        await write(pilot, app, "poll_seconds", "60")
        await write(pilot, app, "signature", "Ana")
        await pilot.press("enter", *"Casa", "ctrl+j")
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))
        assert "Casa" in shown(app)
        assert "Ana Souza <ana@home.example>" in shown(app)

    app, engine = play(office, place, act)
    box = config.load(place).mailboxes["home"]
    assert (box.name, box.sender_name, box.poll_seconds, box.signature) == ("Casa", "Ana Souza", 60, "Ana\nCasa")
    assert box.identities == ["Vendas <vendas@home.example>", "x@home.example"]
    assert [one.address.email for one in app.store.identities("home")] == [
        "ana@home.example", "vendas@home.example", "x@home.example",
    ]  # fmt: skip
    assert ("resume", "home") in engine.asked


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("identities", "vendas", "is not one address"),
        ("poll_seconds", "2", "at least 5"),
        ("poll_seconds", "abc", "at least 5"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_changed(office, place, field: str, text: str, said: str) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query("#sender_name"))
        await write(pilot, app, field, text)
        await pilot.press("ctrl+j")
        await until(pilot, lambda: said in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))

    before = config.load(place)
    play(office, place, act)
    assert config.load(place) == before


def test_a_click_chooses_and_another_opens_the_form_that_the_mouse_can_leave(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        screen = await opened(app, pilot)
        await pilot.click("#choices", offset=(4, 1))
        await until(pilot, lambda: screen.chosen is not None and screen.chosen.id == "corp")
        await pilot.click("#choices", offset=(4, 1))
        await until(pilot, lambda: app.screen.query("#sender_name"))
        await pilot.click("#sender_name")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "sender_name")
        await pilot.press(*"Ana")
        await until(pilot, lambda: app.screen.query_one("#sender_name", Input).value == "Ana")
        await pilot.click("#yes")
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))

    play(office, place, act)
    assert config.load(place).mailboxes["corp"].sender_name == "Ana"


def test_how_much_to_download_is_chosen_and_heard_of_by_the_engine(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("m")
        await until(pilot, lambda: "Texts of the last 12 months" in shown(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))
        assert "Headers only" in shown(app)

    _app, engine = play(office, place, act)
    assert config.load(place).mailboxes["work"].download == "headers"
    assert ("resume", "work") in engine.asked
    assert mailboxes.terms(config.load(place))("work").months == 0


def test_internal_domains_are_said_once_for_all_mailboxes(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("i")
        await until(pilot, lambda: app.screen.query("#domains"))
        assert "work.example" in shown(app)
        await pilot.press(*"nonsense", "ctrl+j")
        await until(pilot, lambda: "“nonsense” is not a domain." in shown(app))
        assert app.store.ourselves().domains == frozenset()
        await pilot.press("home", "ctrl+k", *"Filial.Example; nos.example", "enter")
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))

    app, _engine = play(office, place, act)
    assert app.store.ourselves().domains == {"filial.example", "nos.example"}


def test_a_colour_is_chosen_and_worn(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("c")
        await until(pilot, lambda: not isinstance(app.screen, Mailboxes))
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))
        assert app.main.sidebar.stripes["work"].triplet.hex == "#22c55e"

    play(office, place, act)
    assert config.load(place).mailboxes["work"].color == "#22c55e"


@pytest.mark.parametrize(("key", "left"), [("y", 1), ("d", 0)])
def test_removing_asks_and_leaves_drafts_unless_told(office, place, key: str, left: int) -> None:
    office.new_draft(Draft(0, "work", subject="Proposta"))

    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("D")
        await until(pilot, lambda: "1 draft stays" in shown(app))
        await pilot.press("enter")  # the safe button
        await until(pilot, lambda: isinstance(app.screen, Mailboxes))
        assert "work" in config.load(place).mailboxes
        await pilot.press("D")
        await until(pilot, lambda: "1 draft stays" in shown(app))
        await pilot.press(key)
        await until(pilot, lambda: "work" not in app.settings.mailboxes)

    app, engine = play(office, place, act)
    assert list(config.load(place).mailboxes) == ["corp", "home"]
    assert ("remove", "work") in engine.asked
    assert len(app.store.drafts()) == left
    assert app.store.count(Query("work")) == 0
    assert app.store.count(Query("corp")) == 3


def test_a_number_after_g_goes_to_that_mailbox_and_without_one_a_list_opens(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await pilot.press("g", "2")
        await until(pilot, lambda: app.main.messages.query_shown.mailbox == "corp")
        await pilot.press("g", "3")
        await until(pilot, lambda: app.main.messages.query_shown.mailbox == "home")
        await pilot.press("g", "9")
        await until(pilot, lambda: "There is no mailbox 9." in shown(app))
        await pilot.press("g", "u")
        await until(pilot, lambda: app.main.messages.query_shown.mailbox == "")
        assert app.main.messages.count == 9
        await app.main.run_command("go_mailbox")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.main.messages.query_shown.mailbox == "corp")

    play(office, place, act)


def test_a_full_disk_is_said(office, place, monkeypatch: pytest.MonkeyPatch) -> None:
    from crmmail.errors import SettingsError

    def full(path: Path, content: bytes) -> None:
        raise SettingsError("config.toml cannot be written: the disk is full.")

    monkeypatch.setattr(config, "write_private", full)

    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await pilot.press("p", "escape")
        await until(pilot, lambda: "the disk is full" in shown(app))

    play(office, place, act)


def test_a_test_of_the_connection_says_what_to_mend(office, place) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        screen = await opened(app, pilot)
        await pilot.press("down", "t")
        await until(pilot, lambda: "✗" in screen.tested)
        assert "Sign in" in shown(app)

    play(office, place, act)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("screen", ["list", "form", "remove", "domains"])
def test_looks(office, place, snap_compare, screen: str, language: str, size: tuple[int, int]) -> None:
    from crmmail import i18n

    i18n.use(language)
    office.new_draft(Draft(0, "work", subject="Proposta"))
    settings = config.load(place)
    settings.mailboxes["work"].signature = "Ana Souza\nVendas"
    settings.mailboxes["work"].sender_name = "Ana Souza"
    mailboxes.register(office, settings)
    keys = {"list": (), "form": ("enter",), "remove": ("D",), "domains": ("i",)}[screen]

    async def before(pilot: Pilot[None]) -> None:
        await pilot.press("g", "b", *keys)
        await until(pilot, lambda: len(pilot.app.screen_stack) > (2 if keys else 1))
        await pilot.pause(0.3)

    assert snap_compare(CrmMail(office, settings, clock=lambda: NOW), terminal_size=size, run_before=before)


async def press_by_mouse(screen: Mailboxes, pilot: Pilot[None], label: str) -> None:
    """Click the words of a key that the screen offers."""
    for y, line in enumerate(screen.keys._shown):
        x = 0
        for text, _part, _command in line:
            if text == label:
                await pilot.click("#keys", offset=(x, y))
                return
            x += len(text)
    raise AssertionError(f"{label} is not offered: {screen.keys._shown}")


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)])
def test_every_key_that_is_shown_can_be_pressed_by_mouse(office, place, size) -> None:
    async def act(app: CrmMail, pilot: Pilot[None]) -> None:
        screen = await opened(app, pilot)
        offered = [entry.command for entry in screen.keys.entries]
        assert {"box_edit", "box_new", "box_color", "box_down", "box_pause", "box_test", "box_remove"} <= set(offered)
        assert [command for line in screen.keys._shown for _t, part, command in line if part == "label"] == offered
        assert screen.keys.region.bottom <= size[1] - 1
        await press_by_mouse(screen, pilot, "Pause")
        await until(pilot, lambda: "Resume" in shown(app))
        assert config.load(place).mailboxes["work"].paused
        await press_by_mouse(screen, pilot, "Resume")
        await until(pilot, lambda: not config.load(place).mailboxes["work"].paused)
        await press_by_mouse(screen, pilot, "Down")
        await until(pilot, lambda: [box.id for box in screen.boxes] == ["corp", "work", "home"])
        await press_by_mouse(screen, pilot, "Colour")
        await until(pilot, lambda: app.screen is not screen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await press_by_mouse(screen, pilot, "Back")
        await until(pilot, lambda: app.screen is app.main)

    play(office, place, act, size)
