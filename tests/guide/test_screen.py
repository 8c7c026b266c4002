"""The guide's screen on answers a test hands it: ways back, the mouse, both languages, a keyring that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from crmmail import i18n, providers
from crmmail.connecting import Checked, Found, Kind, Part, Server
from crmmail.errors import SettingsError, SignInError
from crmmail.signing import Done
from crmmail.tui.guide import GuideScreen
from crmmail.tui.sign_in import SignInScreen
from tests.auth.test_sign_in_screen import Scripted
from tests.guide.stage import ScriptedSetup, Stage, choices, field, shown, start, until
from tests.tui.conftest import type_ahead

ANA = "ana@cliente.example"
WORK = Found(ANA, Kind.IMAP, "Cliente", Server("imap.cliente.example", 993), Server("smtp.cliente.example", 465))
GOOD = [Checked("imap", Part.LOGIN, "Right."), Checked("smtp", Part.SENDING, "Can be sent.")]
BAD = [Checked("imap", Part.PORT, "It does not accept connections.", False, "Check the port.", "imap_port", 6)]
Act = Callable[[Stage, Pilot[None], GuideScreen], Awaitable[None]]


def play(setup: ScriptedSetup, act: Act, signing: Scripted | None = None) -> Stage:
    app = Stage(setup, signing)

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await act(app, pilot, await start(pilot))

    asyncio.run(run())
    return app


async def to_form(pilot: Pilot[None], guide: GuideScreen) -> None:
    type_ahead(pilot.app, [*ANA, "enter"])
    await until(pilot, lambda: guide._step == "ways")
    await pilot.press("enter")
    await until(pilot, lambda: guide._step == "form")


def test_escape_leads_back_step_by_step_and_keeps_what_was_typed() -> None:
    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        await to_form(pilot, guide)
        for step in ("ways", "address"):
            await pilot.press("escape")
            await until(pilot, lambda step=step: guide._step == step)
        assert field(app, "typed") == ANA
        await pilot.press("escape")
        await until(pilot, lambda: app.results)

    assert play(ScriptedSetup(WORK), act).results == [None]


def test_a_look_up_can_be_left_and_its_late_answer_says_nothing() -> None:
    setup = ScriptedSetup(WORK)
    setup.hold.clear()

    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        type_ahead(app, [*ANA, "enter"])
        await until(pilot, lambda: setup.asked)
        await pilot.press("escape")
        await until(pilot, lambda: guide._step == "address")
        setup.hold.set()
        await pilot.pause(0.1)
        assert guide._step == "address"

    play(setup, act)


def test_a_failed_step_leads_to_its_field_with_all_of_them_shown_and_nothing_was_kept() -> None:
    setup = ScriptedSetup(WORK, [BAD, GOOD])

    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        await to_form(pilot, guide)
        assert not app.screen.query_one("#line-imap").display
        type_ahead(app, [*"secret", "enter"])
        await until(pilot, lambda: guide.has_class("-failed"))
        assert "Check the port." in shown(app)
        assert setup.kept == []
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "imap_port")
        assert field(app, "password") == "secret"
        await pilot.press("ctrl+j")
        await until(pilot, lambda: guide._step == "done")
        await pilot.press("enter")
        await until(pilot, lambda: app.results)

    assert play(setup, act).results == [Done(ANA, "file", "cliente")]


def test_without_a_keyring_a_private_file_is_offered_and_chosen_by_key() -> None:
    refusal = SignInError("The keyring cannot keep it.", next_step="Choose a file.", code="no_keyring")
    setup = ScriptedSetup(WORK, [GOOD], refusal)

    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        await to_form(pilot, guide)
        type_ahead(app, [*"secret", "enter"])
        await until(pilot, lambda: "readable by you alone?" in shown(app))
        assert "p keep it in a private file" in shown(app)
        await pilot.press("enter")
        assert guide._step == "trial"
        await pilot.press("p")
        await until(pilot, lambda: guide._step == "done")

    play(setup, act)
    assert [form.token_store for form in setup.kept] == ["file"]


def test_f2_shows_all_fields_and_keeps_the_password() -> None:
    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        await to_form(pilot, guide)
        await pilot.press(*"secret", "f2")
        await until(pilot, lambda: app.screen.query_one("#line-imap").display)
        assert (field(app, "password"), field(app, "imap_host")) == ("secret", "imap.cliente.example")

    play(ScriptedSetup(WORK), act)


def test_everything_can_be_done_by_mouse() -> None:
    setup = ScriptedSetup(WORK, [GOOD])

    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        type_ahead(app, ANA)
        await until(pilot, lambda: field(app, "typed") == ANA)
        await pilot.click("#on")
        await until(pilot, lambda: guide._step == "ways")
        await pilot.click("#choices", offset=(3, 0))
        await until(pilot, lambda: guide._step == "form")
        await pilot.click("#off")
        await until(pilot, lambda: guide._step == "ways")
        await pilot.click("#on")
        await until(pilot, lambda: guide._step == "form")
        await pilot.click("#password")
        await pilot.press(*"secret")
        await pilot.click("#on")
        await until(pilot, lambda: guide._step == "done")
        await pilot.click("#on")
        await until(pilot, lambda: app.results)

    assert play(setup, act).results == [Done(ANA, "file", "cliente")]


def test_the_language_is_switched_on_the_first_step() -> None:
    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        await pilot.press(*"ana", "f4")
        await until(pilot, lambda: "Qual endereço de e-mail" in shown(app))
        assert field(app, "typed") == "ana"
        await pilot.press("f4")
        await until(pilot, lambda: "Which e-mail address" in shown(app))

    play(ScriptedSetup(WORK), act)
    i18n.use("en")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (providers.known("a@gmail.com"), ["Sign in with Google", "Gmail with an app password", "Password and servers"]),
        (providers.known("a@outlook.com"), ["Sign in with Microsoft", "Password and servers"]),
        (providers.known("a@icloud.com"), ["App password", "Sign in with Google", "Sign in with Microsoft"]),
        (providers.known("a@uol.com.br"), ["Password", "Sign in with Google", "Sign in with Microsoft"]),
        (providers.unknown(ANA), ["Password and servers", "Sign in with Google", "Sign in with Microsoft"]),
    ],
)
def test_the_way_that_works_is_offered_first(found: Found, expected: list[str]) -> None:
    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        await pilot.press(*"a@b.c", "enter")
        await until(pilot, lambda: guide._step == "ways")
        assert choices(app) == expected

    play(ScriptedSetup(found), act)


def test_leaving_the_sign_in_comes_back_to_the_ways() -> None:
    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        type_ahead(app, [*"a@gmail.com", "enter"])
        await until(pilot, lambda: guide._step == "ways")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SignInScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is guide)
        assert guide._step == "ways"

    google = providers.known("a@gmail.com")
    assert google is not None
    play(ScriptedSetup(google), act)


def test_hostile_words_of_a_network_are_shown_as_text() -> None:
    hostile = Found(ANA, Kind.IMAP, "[red]x\x1b[31m", Server("imap.x.example", 993), Server("smtp.x.example", 465))

    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        type_ahead(app, [*ANA, "enter"])
        await until(pilot, lambda: guide._step == "ways")
        await pilot.pause()
        assert "\x1b" not in shown(app)

    play(ScriptedSetup(hostile), act)


def test_what_cannot_be_looked_up_leads_back_to_the_address() -> None:
    async def act(app: Stage, pilot: Pilot[None], guide: GuideScreen) -> None:
        type_ahead(app, [*ANA, "enter"])
        await until(pilot, lambda: "cannot be used" in shown(app))
        assert guide._step == "address"

    play(ScriptedSetup(SettingsError("The file of providers /x cannot be used.", next_step="Correct it.")), act)
