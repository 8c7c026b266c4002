"""A setup that says what a test hands it, and an application with nothing but the guide."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from crmmail import i18n
from crmmail.connecting import Checked, Form, Found
from crmmail.errors import CrmMailError
from crmmail.signing import Done
from crmmail.tui.dialogs import Choices
from crmmail.tui.guide import GuideScreen
from crmmail.tui.ink import with_text_colors
from tests.auth.test_sign_in_screen import Scripted, until

__all__ = ["Play", "ScriptedSetup", "Stage", "shown", "until"]

Play = Callable[[Pilot[None]], Awaitable[None]]


class ScriptedSetup:
    """Answers without any network. `hold`: `tried` stops before its last answer until it is set."""

    def __init__(
        self, found: Found | CrmMailError, checks: list[list[Checked]] | None = None, kept: CrmMailError | None = None
    ) -> None:
        self.found, self.checks, self.refusal = found, checks or [], kept
        self.asked: list[str] = []
        self.forms: list[Form] = []
        self.kept: list[Form] = []
        self.hold = threading.Event()
        self.hold.set()

    def recognise(self, address: str) -> Found:
        self.asked.append(address)
        self.hold.wait(10)
        if isinstance(self.found, CrmMailError):
            raise self.found
        return self.found

    def form_of(self, name: str) -> Form:
        raise NotImplementedError

    def tried(self, form: Form) -> Iterator[Checked]:
        self.forms.append(form)
        yield from self.checks[min(len(self.forms), len(self.checks)) - 1]

    def keep(self, form: Form) -> Done:
        if self.refusal is not None and form.token_store != "file":
            raise self.refusal
        self.kept.append(form)
        return Done(form.address, "file", "cliente")


class Stage(App[None]):
    """Nothing but the guide."""

    CSS_PATH = "../../crmmail/tui/crmmail.tcss"

    def __init__(self, setup: ScriptedSetup, signing: Scripted | None = None, form: Form | None = None) -> None:
        super().__init__()
        self.guide = GuideScreen(setup, signing or Scripted(), form=form, clock=lambda: 1_795_360_000.0)
        self.results: list[Done | None] = []
        self.animation_level = "none"

    def get_css_variables(self) -> dict[str, str]:
        return with_text_colors(super().get_css_variables())

    def on_mount(self) -> None:
        self.push_screen(self.guide, self.results.append)

    def use_language(self, wish: str) -> None:
        i18n.use(wish)


def shown(app: App[None]) -> str:
    """Everything on the screen."""
    return "\n".join(line.text for line in app.screen._compositor.render_strips())


async def start(pilot: Pilot[None]) -> GuideScreen:
    await until(pilot, lambda: isinstance(pilot.app.screen, GuideScreen))
    screen = pilot.app.screen
    assert isinstance(screen, GuideScreen)
    return screen


def field(app: App[None], name: str) -> str:
    return app.screen.query_one(f"#{name}", Input).value


def choices(app: App[None]) -> list[str]:
    return [text for text, _detail in app.screen.query_one(Choices).lines]


def statics(app: App[None]) -> str:
    return "\n".join(str(one.render()) for one in app.screen.query(Static).results(Static) if one.display)
