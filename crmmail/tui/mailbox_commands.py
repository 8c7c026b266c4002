"""The commands about mailboxes: going from one to another, and what the Mailboxes screen can do with each. Pure."""

from __future__ import annotations

from collections.abc import Callable

from crmmail.i18n import N_
from crmmail.tui.command import GO, PROGRAM, Command
from crmmail.tui.context import MAILBOXES, Context

_HERE = frozenset({MAILBOXES})


def _several(context: Context) -> bool:
    return context.mailboxes > 1


def _any(context: Context) -> bool:
    return bool(context.box)


def _running(context: Context) -> bool:
    return bool(context.box) and not context.held


def _held(context: Context) -> bool:
    return bool(context.box) and context.held


def _box(
    id: str,
    keys: tuple[str, ...],
    label: str,
    help: str = "",
    short: str = "",
    footer: int = 0,
    needs: Callable[[Context], bool] = _any,
) -> Command:
    return Command(id, keys, label, PROGRAM, help, short, _HERE, needs, footer=footer)


GOING: tuple[Command, ...] = (
    Command("next_mailbox", ("g m",), N_("Next mailbox"), GO, needs=_several),
    Command(
        "go_mailbox",
        tuple(f"g {number}" for number in range(1, 10)),
        N_("Go to a mailbox by its number"),
        GO,
        N_("In the order of the folders; g u goes to all inboxes."),
        needs=_several,
    ),
    Command("mailboxes", ("g b",), N_("Mailboxes"), GO, N_("Add, name, colour, order, pause, remove.")),
)

BOXES: tuple[Command, ...] = (
    _box("box_edit", ("enter", "e"), N_("Name, sender, signature"), short=N_("Edit"), footer=10),
    _box("box_new", ("n", "C"), N_("Connect a mailbox"), short=N_("New"), footer=20, needs=lambda context: True),
    _box("box_color", ("c",), N_("Colour"), footer=30),
    _box("box_up", ("K", "shift+up"), N_("Move up"), short=N_("Up"), footer=40, needs=_several),
    _box("box_down", ("J", "shift+down"), N_("Move down"), N_("The order of the folders."), N_("Down"), 41, _several),
    _box("box_pause", ("p",), N_("Pause"), N_("Not synchronised until you resume it."), footer=50, needs=_running),
    _box("box_resume", ("p",), N_("Resume"), footer=51, needs=_held),
    _box("box_sign_in", ("s",), N_("Sign in again"), N_("Or another password or server."), N_("Sign in"), 60),
    _box("box_test", ("t",), N_("Test the connection"), N_("Every step, and what to mend."), N_("Test"), 65),
    _box(
        "box_download", ("m",), N_("How much to download"), N_("Headers always; texts as you say."), N_("Download"), 66
    ),
    _box("box_domains", ("i",), N_("Internal domains"), N_("Mail among them is internal."), N_("Internal"), 67),
    _box("box_remove", ("D", "delete"), N_("Remove"), N_("Asks first; nothing changes on its server."), footer=70),
    _box("box_close", ("escape", "q", "left"), N_("Back"), footer=5, needs=lambda context: True),
)
