"""What a command is: its keys, its words, and when it is possible. Pure, standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crmmail.i18n import N_
from crmmail.ops import Verb
from crmmail.tui.context import MAIN, Context

WRITE, MOVE, READ, ACT, SELECT, GO, FIND, PROGRAM, CUSTOMER = (
    N_("Write"),
    N_("Move"),
    N_("Reading"),  # not "Read": that is the footer's word for marking as read
    N_("Act"),
    N_("Select"),
    N_("Go to"),
    N_("Find"),
    N_("Program"),
    N_("Account"),
)
GROUPS = (ACT, WRITE, CUSTOMER, SELECT, READ, MOVE, GO, FIND, PROGRAM)


def always(context: Context) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Command:
    """One thing the user can do. `label` and the texts below are msgids, translated when shown."""

    id: str
    keys: tuple[str, ...]
    label: str
    group: str
    help: str = ""
    short: str = ""  # for the footer; the label when empty
    panes: frozenset[str] = MAIN
    needs: Callable[[Context], bool] = always
    verb: Verb | None = None
    footer: int = 0  # place in the footer, 0: not there
    menu: bool = False  # whether the Actions menu holds it
    cli: str = ""  # its name in the shell


def possible(command: Command, context: Context) -> bool:
    """Whether `command` can be done now: the one gate, asked by keys, footer, menu, palette and `check_action`."""
    return context.pane in command.panes and command.needs(context)
