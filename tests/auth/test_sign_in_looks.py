"""How signing in looks, in both languages and two sizes. Looked at by a person whenever it changes."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from crmmail import i18n
from crmmail.errors import SignInError
from crmmail.i18n import _
from crmmail.signing import Event, Failed, ShowCode, ShowUrl
from crmmail.tui.sign_in import SignInScreen
from tests.auth.test_sign_in_screen import Scripted, Stage, text, until

NOW = 1_795_360_000.0
URL = "https://login.microsoftonline.com/device"
CONSENT = "https://accounts.google.com/o/oauth2/v2/auth?client_id=7.apps.googleusercontent.com&state=x"


def told(screen: str) -> Event | None:
    """What the flow says before the picture is taken."""
    match screen:
        case "code":
            return ShowCode(URL, "FKM7PX2QD", NOW + 870)
        case "browser":
            return ShowUrl(
                CONSENT,
                _("Google gives no device code for mail permissions, so the sign-in goes on in the browser."),
                NOW + 300,
            )
        case "failed":
            return Failed(SignInError(_("You declined, or the provider did."), next_step=_("Start the sign-in again.")))
        case _:
            return None


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("screen", ["choose", "code", "browser", "failed"])
def test_looks(snap_compare: Any, screen: str, language: str, size: tuple[int, int]) -> None:
    i18n.use(language)
    guide = Scripted()
    event = told(screen)

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.screen, SignInScreen))
        if event is not None:
            await pilot.press("enter")
            await until(pilot, lambda: guide.flows)
            guide.flows[0].told.put(event)
            words = {"code": "F K M", "browser": "accounts.google.com"}.get(screen, "")
            await until(pilot, lambda: words in text(pilot.app) if words else isinstance(event, Failed))
        await pilot.pause(0.5)

    app = Stage(SignInScreen(guide, opens=lambda: False, clock=lambda: NOW))
    assert snap_compare(app, terminal_size=size, run_before=before)
