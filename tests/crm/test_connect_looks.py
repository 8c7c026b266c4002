"""How connecting a CRM looks, in both languages. Looked at by a person whenever it changes."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from crmmail import i18n
from crmmail.crm.connection import CrmConnected
from crmmail.remotes.crm import bad_keys
from crmmail.tui.connect_crm import ConnectCrmScreen
from tests.auth.test_sign_in_screen import until
from tests.crm.test_connect_screen import Scripted, Stage, type_keys


@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("step", ["choose", "tryton", "failed", "done"])
def test_looks(snap_compare: Any, step: str, language: str) -> None:
    i18n.use(language)
    ends = {"failed": bad_keys(), "done": CrmConnected("sharpspring", "Ana Souza", "file")}
    kind = {"choose": "", "tryton": "tryton"}.get(step, "sharpspring")
    app = Stage(ConnectCrmScreen(Scripted(*filter(None, [ends.get(step)])), kind))

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: pilot.app.screen is app.asked)
        if step in ends:
            await type_keys(pilot, "4711", "secret", "", "")
            await until(pilot, lambda: app.asked._step == step)
        for field in app.asked.query("Input"):
            field.cursor_blink = False  # type: ignore[attr-defined]
        await pilot.pause(0.5)

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)
