"""How the main screens look, in both languages and two sizes. Looked at by a person whenever they change."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from crmmail import i18n
from crmmail.model import Phase, Status
from crmmail.store import Store
from tests.tui.conftest import NOW, app_on, connect, fill, incoming, raw, until

LETTER = """Hello,

the revised quote for the Curitiba branch is attached. The delivery date
moves to 12 December; everything else stays as agreed on Thursday.

On Thu, 19 Nov 2026 Bruno wrote:
> Could you send me the revised quote?
> The branch manager asks for the delivery date
> and for the warranty terms.
> Thank you.

Kind regards
Ana Souza
"""


@pytest.fixture
def office(store: Store) -> Store:
    """Two mailboxes on an ordinary Sunday."""
    connect(store, "gmail")
    connect(store, "outlook", 1)
    first = incoming(0, content=raw(0, text=LETTER, attachment="Quote 2026-1142.pdf"), unread=True)
    rest = [incoming(number, unread=number % 3 == 0, starred=number % 7 == 5) for number in range(1, 60)]
    fill(store, "gmail", [first, *rest, incoming(900, "trash")])
    fill(store, "outlook", [incoming(number, unread=number % 4 == 0) for number in range(100, 140)])
    store.say(Status("outlook", Phase.FILLING, done=340, total=2000))
    return store


SCREENS = {"main": (), "reader": ("enter",), "actions": ("full_stop",), "help": ("question_mark",)}


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("screen", SCREENS)
def test_looks(office, snap_compare, screen, language, size):
    i18n.use(language)

    async def before(pilot: Pilot[Any]) -> None:
        await pilot.press(*SCREENS[screen])
        app = pilot.app
        await until(pilot, lambda: (len(app.screen_stack) > 1) == (screen in ("actions", "help")))
        await pilot.pause(0.3)

    app = app_on(office, mark_read="never")
    assert app.clock() == NOW
    assert snap_compare(app, terminal_size=size, run_before=before)
