"""The guide to a CRM by keyboard alone, with a CRM that answers as it is told and with the sandbox's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from crmmail import config, crms, i18n
from crmmail.config import profile
from crmmail.crm.connection import CrmConnected, CrmGuide, CrmWish
from crmmail.errors import AuthRequired, CrmMailError, SettingsError, SignInError
from crmmail.sandbox import sharpspring
from crmmail.tui.connect_crm import ConnectCrmScreen
from tests.auth.test_sign_in_screen import text, until
from tests.remotes.crm_world import SharpSpringWorld


class Scripted:
    """A guide that answers `ends` in turn, when `gate` is open."""

    def __init__(self, *ends: CrmConnected | CrmMailError) -> None:
        self.ends = list(ends)
        self.wishes: list[CrmWish] = []
        self.kept: list[CrmWish] = []
        self.gate = threading.Event()
        self.gate.set()

    def connect(self, wish: CrmWish, wanted: Callable[[], bool] = lambda: True) -> CrmConnected:
        self.wishes.append(wish)
        self.gate.wait(10)
        end = self.ends.pop(0)
        if isinstance(end, CrmMailError):
            raise end
        if wanted():
            self.kept.append(wish)
        return end


class Stage(App[None]):
    """An application with nothing but the screen."""

    def __init__(self, screen: ConnectCrmScreen) -> None:
        super().__init__()
        self.asked = screen
        self.results: list[CrmConnected | None] = []

    def on_mount(self) -> None:
        self.push_screen(self.asked, self.results.append)


DONE = CrmConnected("sharpspring", "Ana Souza", "file")


def play(guide: CrmGuide, act: Callable[[Stage, Pilot[None]], Awaitable[None]], kind: str = "") -> Stage:
    app = Stage(ConnectCrmScreen(guide, kind))

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.screen is app.asked)
            await act(app, pilot)

    asyncio.run(run())
    return app


async def type_keys(pilot: Pilot[None], *answers: str) -> None:
    """Fill the fields from the first on, Enter after each."""
    for answer in answers:
        await pilot.press(*answer)
        await pilot.press("enter")


def test_a_crm_is_chosen_told_what_it_needs_and_connected() -> None:
    guide = Scripted(DONE)

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        assert "SharpSpring" in str(app.screen.query_one("#kinds").render_line(0).text)
        await pilot.press("enter")
        assert "Account ID" in text(app) and "docs/crm.md" in text(app)
        await type_keys(pilot, "17", "key", "", "")
        await until(pilot, lambda: "Connected as Ana Souza." in text(app))
        assert "nothing is logged before you say so" in text(app)
        await pilot.press("enter")

    app = play(guide, act)
    assert app.results == [DONE]
    (wish,) = guide.wishes
    assert (wish.kind, wish.answers["user"], wish.secret) == ("sharpspring", "17", "key")


def test_this_computer_is_asked_nothing_and_says_that_nothing_leaves_it() -> None:
    guide = Scripted(SettingsError("The disk is full."), CrmConnected("local", "you, on this computer"))

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("end", "enter")
        await until(pilot, lambda: "The disk is full." in text(app))
        await pilot.press("ctrl+j")
        await until(pilot, lambda: "Connected as you, on this computer." in text(app))
        assert "on this computer alone" in text(app)
        await pilot.press("enter")

    app = play(guide, act)
    assert [done and done.name for done in app.results] == ["local"]
    assert [wish.kind for wish in guide.wishes] == ["local", "local"]


def test_the_secret_is_never_shown() -> None:
    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await type_keys(pilot, "17")
        await pilot.press(*"canary")
        painted = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "canary" not in painted and "••••••" in painted
        assert "canary" not in repr(app.asked._wish())

    play(Scripted(), act, "sharpspring")


def test_wrong_keys_are_said_and_what_was_typed_stays() -> None:
    guide = Scripted(AuthRequired("The CRM does not accept these keys.", next_step="Look again."), DONE)

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await type_keys(pilot, "17", "key", "", "")
        await until(pilot, lambda: "does not accept these keys. Look again." in text(app))
        assert app.screen.query_one("#answer0", Input).value == "17"
        await pilot.press("tab", "end", "2")
        await pilot.press("ctrl+j")
        await until(pilot, lambda: "Connected as" in text(app))

    play(guide, act, "sharpspring")
    assert [wish.secret for wish in guide.wishes] == ["key", "key2"]


@pytest.mark.parametrize("key", ["ctrl+j", "ctrl+enter"])
def test_the_key_that_is_named_connects_from_any_field_in_every_terminal(key: str) -> None:
    """Most terminals send Ctrl+Enter as Enter, which goes to the next field."""
    guide = Scripted(DONE)

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        assert "Ctrl+J connect" in text(app)
        await type_keys(pilot, "17")
        await pilot.press(*"key", key)
        await until(pilot, lambda: "Connected as" in text(app))

    play(guide, act, "sharpspring")
    assert [wish.secret for wish in guide.wishes] == ["key"]


def test_a_question_without_an_answer_is_shown_before_the_crm_is_asked() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press(*"https://t.example", "ctrl+j")
        assert "“Database” is missing." in text(app)
        assert app.focused is app.screen.query_one("#answer1")

    play(guide, act, "tryton")
    assert guide.wishes == []


def test_leaving_while_the_crm_is_asked_keeps_nothing() -> None:
    guide = Scripted(DONE)
    guide.gate.clear()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await type_keys(pilot, "17", "key", "", "")
        await until(pilot, lambda: guide.wishes)
        await pilot.press("escape")
        guide.gate.set()
        await until(pilot, lambda: app.results)

    assert play(guide, act, "sharpspring").results == [None]
    assert guide.kept == []


def test_without_a_keyring_a_private_file_is_offered() -> None:
    guide = Scripted(SignInError("The system's keyring cannot keep your session.", code="no_keyring"), DONE)

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await type_keys(pilot, "17", "key", "", "")
        await until(pilot, lambda: "p keep it in a private file" in text(app))
        await pilot.press("p")
        await until(pilot, lambda: "Connected as" in text(app))

    play(guide, act, "sharpspring")
    assert [wish.token_store for wish in guide.wishes] == ["", "file"]


def test_it_speaks_portuguese() -> None:
    i18n.use("pt_BR")

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        assert "Qual CRM" in text(app)
        await pilot.press("enter")
        assert "Chave secreta" in text(app)

    play(Scripted(), act)


@pytest.fixture
def world() -> Iterator[SharpSpringWorld]:
    made = SharpSpringWorld()
    yield made
    made.close()


def test_the_sandboxs_sharpspring_is_connected_through_it(world: SharpSpringWorld) -> None:
    place = profile().make()
    with config.update(place) as settings:
        settings.token_store = "file"
    guide = crms.ProfileCrmGuide(place, config.load(place))
    url = f"{world.sandbox.http_url}{sharpspring.PATH}"

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await type_keys(pilot, *world.keys, "", url)
        await until(pilot, lambda: "Connected as Ana Souza." in text(app))
        assert "in a private file" in text(app)
        await pilot.press("enter")

    assert play(guide, act, "sharpspring").results == [CrmConnected("sharpspring", "Ana Souza", "file")]
    assert config.load(place).crm.url == url
