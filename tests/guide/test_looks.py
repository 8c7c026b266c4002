"""How the guide looks, in both languages and two sizes. Looked at by a person whenever it changes."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from crmmail import i18n, providers
from crmmail.connecting import Checked, Found, Kind, Part, Server
from crmmail.i18n import _
from tests.guide.stage import ScriptedSetup, Stage, start, until
from tests.tui.conftest import type_ahead

WORK = Found(
    "ana@cliente.example",
    Kind.IMAP,
    "Cliente",
    Server("imap.cliente.example", 993),
    Server("smtp.cliente.example", 465),
)


def checks() -> list[Checked]:
    from crmmail.setup import passed

    place = "imap.cliente.example:993"
    good = [Checked("imap", part, passed("imap", part, place)) for part in (Part.NAME, Part.PORT)]
    fingerprint = ":".join(["3F", "A0", "91", "5C"] * 8)
    return [
        *good,
        Checked(
            "imap",
            Part.TLS,
            _("The certificate of {host} was refused: {why}. Its SHA-256 fingerprint is {fingerprint}.").format(
                host="imap.cliente.example", why=_("it is self-signed"), fingerprint=fingerprint
            ),
            False,
            _(
                "If the server is your own and the fingerprint is right, name its certificate (ca_file, --ca-file); "
                "else do not trust this network."
            ),
            "ca_file",
            6,
        ),
    ]


def found(screen: str) -> Found:
    if screen == "unknown":
        return providers.unknown("ana@cliente.example")
    if screen in ("ways", "gmail"):
        google = providers.by_mx("ana@cliente.example", ["aspmx.l.google.com"])
        assert google is not None
        return google
    return WORK


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("language", ["en", "pt_BR"])
@pytest.mark.parametrize("screen", ["address", "ways", "gmail", "unknown", "trial", "done"])
def test_looks(snap_compare: Any, screen: str, language: str, size: tuple[int, int]) -> None:
    i18n.use(language)
    all_good = [Checked("smtp", Part.SENDING, "")]
    setup = ScriptedSetup(found(screen), [checks() if screen == "trial" else all_good])

    async def before(pilot: Pilot[Any]) -> None:
        guide = await start(pilot)
        if screen != "address":
            type_ahead(pilot.app, [*"ana@cliente.example", "enter"])
            await until(pilot, lambda: guide._step == "ways")
        if screen not in ("address", "ways"):
            await pilot.press(*(("down",) if screen == "gmail" else ()), "enter")
            await until(pilot, lambda: guide._step == "form")
        if screen in ("trial", "done"):
            type_ahead(pilot.app, [*"secret", "enter"])
            await until(pilot, lambda: guide.has_class("-failed") or guide._step == "done")
        await pilot.pause(0.1)

    assert snap_compare(Stage(setup), terminal_size=size, run_before=before)
