"""The guided sign-in in the interface: by keyboard alone, at 80×24, with flows that do what they are told."""

from __future__ import annotations

import queue
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from crmmail import i18n
from crmmail.auth.connect import ProfileGuide
from crmmail.config import Profile, Settings, load, profile
from crmmail.errors import CrmMailError, SettingsError, SignInError
from crmmail.sandbox import person
from crmmail.sandbox.server import Sandbox
from crmmail.signing import Done, Event, Failed, Notice, ShowCode, ShowUrl, Wish, Working
from crmmail.tui.sign_in import SignInScreen
from tests.auth.conftest import ANA, BRUNO

URL = "https://login.microsoftonline.com/device"


class Script:
    """A flow whose events a test hands in."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.cancelled = 0
        self.pasted: list[str] = []
        self.browsers = 0

    def events(self) -> Iterator[Event]:
        while True:
            event = self.told.get()
            yield event
            if isinstance(event, Done | Failed):
                return

    def cancel(self) -> None:
        self.cancelled += 1
        self.told.put(Failed(SignInError("cancelled")))

    def paste(self, address: str) -> None:
        self.pasted.append(address)

    def use_browser(self) -> None:
        self.browsers += 1


class Scripted:
    """A guide that gives such flows."""

    def __init__(self, *, lacking: bool = False, error: CrmMailError | None = None) -> None:
        self.lacking, self.error = lacking, error
        self.flows: list[Script] = []
        self.wishes: list[Wish] = []

    def lacks_client(self, wish: Wish) -> bool:
        return self.lacking and not (wish.client_id or wish.client_file)

    def wish_for(self, name: str) -> Wish:
        return Wish("outlook", name)

    def begin(self, wish: Wish) -> Script:
        self.wishes.append(wish)
        if self.error:
            raise self.error
        self.flows.append(Script())
        return self.flows[-1]


class Stage(App[None]):
    """An application with nothing but the screen."""

    def __init__(self, screen: SignInScreen) -> None:
        super().__init__()
        self.asked = screen
        self.results: list[Done | None] = []
        self.copied: list[str] = []
        self.opened: list[str] = []

    def on_mount(self) -> None:
        self.push_screen(self.asked, self.results.append)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        self.opened.append(url)


async def until(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await pilot.pause(0.01)


def text(app: App[None]) -> str:
    """Everything shown."""
    return "\n".join(
        str(widget.render()) for widget in app.screen.query(Static).results(Static) if widget.display and widget.region
    )


def play(guide: object, act: Callable[[Stage, Pilot[None]], Awaitable[None]], **options: object) -> Stage:
    """Run `act` on a stage of 80×24."""
    import asyncio

    app = Stage(SignInScreen(guide, opens=lambda: False, **options))  # type: ignore[arg-type]

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, SignInScreen))
            await act(app, pilot)

    asyncio.run(run())
    return app


def test_the_provider_is_chosen_and_the_code_is_shown_copied_and_counted_down() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter")
        await until(pilot, lambda: guide.flows)
        assert guide.wishes[0].provider == "outlook"
        guide.flows[0].told.put(ShowCode(URL, "BCDF-GHJK", time.time() + 900))
        await until(pilot, lambda: "B C D F - G H J K" in text(app))
        shown = text(app)
        assert URL in shown
        assert "15:00 left" in shown or "14:59 left" in shown
        await pilot.press("c")
        await until(pilot, lambda: "copied" in text(app))
        await pilot.press("o")
        await until(pilot, lambda: "14:5" in text(app))
        guide.flows[0].told.put(Done("bruno@contoso.example", "file", "outlook"))
        await until(pilot, lambda: "Signed in as" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.results)

    app = play(guide, act)
    assert app.copied == ["BCDF-GHJK"]
    assert app.opened == [URL]
    assert app.results == [Done("bruno@contoso.example", "file", "outlook")]


def test_escape_cancels_at_once_and_what_still_arrives_is_not_shown() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: guide.flows)
        guide.flows[0].told.put(ShowCode(URL, "BCDF-GHJK", time.time() + 900))
        await until(pilot, lambda: "B C D F" in text(app))
        started = time.monotonic()
        await pilot.press("escape")
        await until(pilot, lambda: app.results)
        assert time.monotonic() - started < 1.0

    app = play(guide, act)
    assert app.results == [None]
    assert guide.flows[0].cancelled >= 1


def test_b_goes_on_in_the_browser_and_says_why_and_an_address_can_be_pasted() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: guide.flows)
        flow = guide.flows[0]
        flow.told.put(ShowCode(URL, "BCDF-GHJK", time.time() + 900))
        await until(pilot, lambda: "B C D F" in text(app))
        await pilot.press("b")
        assert flow.browsers == 1
        flow.told.put(ShowUrl("https://accounts.example/auth?x=1", "Because of this.", time.time() + 300))
        await until(pilot, lambda: "Because of this." in text(app))
        await pilot.press("c")
        await pilot.press("tab")
        assert isinstance(app.focused, Input)
        await pilot.press(*"http", "enter")
        assert flow.pasted == ["http"]
        flow.told.put(Notice(SignInError("This answer belongs to another sign-in.", next_step="Start again.")))
        await until(pilot, lambda: "belongs to another" in text(app))

    app = play(guide, act)
    assert app.copied == ["https://accounts.example/auth?x=1"]


def test_an_error_shows_its_way_out_and_r_tries_again() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: guide.flows)
        guide.flows[0].told.put(Working("Asking…"))
        guide.flows[0].told.put(Failed(SignInError("You declined.", next_step="Start the sign-in again.")))
        await until(pilot, lambda: "You declined." in text(app))
        assert "Start the sign-in again." in text(app)
        await pilot.press("r")
        await until(pilot, lambda: len(guide.flows) == 2)
        guide.flows[1].told.put(Failed(SignInError("No keyring.", next_step="Choose a file.", code="no_keyring")))
        await until(pilot, lambda: "No keyring." in text(app))
        await pilot.press("p")
        await until(pilot, lambda: len(guide.flows) == 3)
        guide.flows[2].told.put(Failed(SignInError("Blocked.", next_step="Try the other way.")))
        await until(pilot, lambda: "Blocked." in text(app))
        await pilot.press("b")
        await until(pilot, lambda: len(guide.flows) == 4)

    play(guide, act)
    assert [wish.token_store for wish in guide.wishes] == ["", "", "file", "file"]
    assert [wish.browser for wish in guide.wishes] == [False, False, False, True]


def test_a_missing_client_id_is_asked_for_with_where_to_get_one() -> None:
    guide = Scripted(lacking=True)

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "docs/connecting.md" in text(app))
        assert isinstance(app.focused, Input)
        await pilot.press(*"~/client.json", "enter")
        await until(pilot, lambda: guide.wishes)
        guide.flows[0].told.put(Failed(SignInError("Google does not know this client id.", next_step="Compare.")))
        await until(pilot, lambda: "does not know" in text(app))
        await pilot.press("k")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"7.apps.googleusercontent.com", "enter")
        await until(pilot, lambda: len(guide.wishes) == 2)

    play(guide, act)
    assert (guide.wishes[0].client_file, guide.wishes[0].client_id) == ("~/client.json", "")
    assert (guide.wishes[1].client_file, guide.wishes[1].client_id) == ("", "7.apps.googleusercontent.com")


def test_what_cannot_even_begin_is_a_sentence_not_a_traceback() -> None:
    guide = Scripted(error=SettingsError("The client file /x cannot be used.", next_step="Download it again."))

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be used" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.results)

    assert play(guide, act).results == [None]


def test_signing_in_again_begins_at_once_for_that_mailbox() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: guide.flows)
        assert app.screen.query_one(OptionList).display is False

    play(guide, act, mailbox="work")
    assert guide.wishes == [Wish("outlook", "work")]


def test_a_servers_text_is_shown_as_text_only() -> None:
    guide = Scripted()

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: guide.flows)
        guide.flows[0].told.put(Failed(SignInError("[red]bold\x1b[31m\u202e", next_step="[@click=app.quit]x[/]")))
        await until(pilot, lambda: "[@click=app.quit]x[/]" in text(app))
        assert "[red]bold" in text(app)
        assert "\x1b" not in text(app)

    play(guide, act)


@pytest.mark.parametrize("language", ["en", "pt_BR"])
def test_everything_fits_80_by_24(language: str) -> None:
    guide = Scripted()
    long_url = "https://accounts.google.com/o/oauth2/v2/auth?" + "x" * 420

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        i18n.use(language)
        await pilot.press("enter")
        await until(pilot, lambda: guide.flows)
        guide.flows[0].told.put(ShowUrl(long_url, "Google gives no device code for mail permissions.", time.time() + 9))
        await until(pilot, lambda: app.screen.query_one("#address").display)
        await pilot.pause()
        frame = app.screen.query_one("#frame").region
        assert frame.bottom <= 24
        assert frame.right <= 80
        keys = app.screen.query_one("#keys").region
        assert keys.height >= 2
        assert keys.bottom <= frame.bottom

    play(guide, act)


def place_for(sandbox: Sandbox) -> tuple[Profile, Settings]:
    place = profile().make()
    settings = Settings(token_store="file")
    for name, provider in (("gmail", "gmail"), ("outlook", "outlook")):
        settings.mailboxes[name] = person.settings(sandbox, provider)
    return place, settings


@pytest.mark.parametrize(("provider", "address"), [("gmail", ANA), ("outlook", BRUNO)])
def test_the_real_flows_end_to_end_through_the_screen(sandbox: Sandbox, provider: str, address: str) -> None:
    place, settings = place_for(sandbox)
    guide = ProfileGuide(place, settings)

    async def act(app: Stage, pilot: Pilot[None]) -> None:
        screen = app.screen
        assert isinstance(screen, SignInScreen)
        await until(pilot, lambda: screen._step in ("code", "url"))
        shown = screen._shown
        if isinstance(shown, ShowUrl):
            person.browse(sandbox, shown.url, address)
        elif isinstance(shown, ShowCode):
            person.type_code(sandbox, shown.code, address)
        await until(pilot, lambda: f"Signed in as {address}" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.results)

    app = play(guide, act, mailbox=provider)
    assert app.results == [Done(address, "file", provider)]
    assert load(place).mailboxes[provider].address == address
