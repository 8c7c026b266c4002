"""The commands that write and send: the beginnings, the composer's own, those of the outbox. Pure.

Keys that terminals swallow have a function key beside them: many send Alt+B and Alt+F as word movements,
so that there the function key comes first and is the one that is shown.
"""

from __future__ import annotations

from collections.abc import Callable

from crmmail.i18n import N_
from crmmail.tui.command import ACT, PROGRAM, WRITE, Command, always
from crmmail.tui.context import COMPOSE, LIST, MAIL, OUTBOX, Context

_OUT = frozenset({OUTBOX})
_OPEN = ("held", "queued", "failed", "unknown")  # outgoing messages that can be called off


def _answers(context: Context) -> bool:
    return context.sends and context.targets == 1 and not context.draft


def _mail(*states: str) -> Callable[[Context], bool]:
    """In the outbox, on a message on its way that is in one of these states."""
    return lambda context: context.sending in states


def _acts(context: Context) -> bool:
    return context.acts > 0


def _cleared(context: Context) -> bool:
    return context.cleared


def _composer(
    id: str,
    keys: tuple[str, ...],
    label: str,
    help: str = "",
    short: str = "",
    footer: int = 0,
    needs: Callable[[Context], bool] = always,
) -> Command:
    return Command(id, keys, label, WRITE, help, short, frozenset({COMPOSE}), needs, footer=footer)


ANSWERS: tuple[Command, ...] = (
    Command(
        "reply",
        ("r",),
        N_("Reply"),
        ACT,
        N_("To the sender, from the address it was sent to."),
        panes=MAIL,
        needs=_answers,
        footer=25,
        menu=True,
    ),
    Command("reply_all", ("a", "R"), N_("Reply all"), ACT, panes=MAIL, needs=_answers, footer=26, menu=True),
    Command("forward", ("f",), N_("Forward"), ACT, panes=MAIL, needs=_answers, footer=27, menu=True),
)

COMPOSER: tuple[Command, ...] = (
    _composer(
        "compose_send",
        ("ctrl+j", "ctrl+enter", "alt+s", "f9"),
        N_("Send"),
        N_("After a check for what may have been forgotten; you can undo it for a few seconds."),
        footer=1,
    ),
    _composer("compose_later", ("alt+w", "f12"), N_("Send later"), N_("At a time you choose."), footer=40),
    _composer(
        "compose_save", ("ctrl+s",), N_("Save the draft now"), N_("Drafts are saved automatically anyway."), N_("Save")
    ),
    _composer(
        "compose_close",
        ("escape",),
        N_("Close and keep the draft"),
        N_("Nothing is lost: you will find it in Drafts."),
        N_("Close"),
        footer=2,
    ),
    _composer(
        "compose_account",
        ("alt+l", "f11"),
        N_("Choose the account"),
        N_("Whose mail it is; recipients are proposed from its contacts. What is typed can become a new account."),
        N_("Account"),
        footer=18,
    ),
    _composer(
        "compose_from", ("f2", "alt+f"), N_("Choose the sender"), N_("Your addresses in all mailboxes."), N_("From")
    ),
    _composer("compose_cc", ("alt+c", "f3"), N_("Cc"), N_("Show or hide the Cc field."), footer=20),
    _composer("compose_bcc", ("f4", "alt+b"), N_("Bcc"), N_("Show or hide the Bcc field."), footer=21),
    _composer("compose_attach", ("alt+a", "f5"), N_("Attach a file"), short=N_("Attach"), footer=10),
    _composer(
        "compose_template",
        ("alt+t", "f8"),
        N_("Insert a template"),
        N_("From the profile's templates folder; placeholders such as {first_name} are filled in."),
        N_("Template"),
    ),
    _composer(
        "compose_editor",
        ("ctrl+g",),
        N_("Write in your editor"),
        N_("The one in $VISUAL or $EDITOR; what you save there comes back here."),
        N_("Editor"),
        footer=30,
    ),
    _composer("compose_markdown", (), N_("Markdown on or off"), N_("Sent as text and as formatted text.")),
    _composer("compose_unclear", ("alt+z", "ctrl+z"), N_("Restore the fields"), needs=_cleared),
    _composer("compose_clear", ("alt+x",), N_("Clear fields"), N_("You can undo this."), N_("Clear")),
    _composer("compose_discard", (), N_("Discard the draft"), N_("The undo key brings it back.")),
    _composer("compose_menu", ("alt+m", "f10"), N_("Everything the composer can do"), short=N_("Menu"), footer=3),
)

WRITING: tuple[Command, ...] = (
    Command(
        "compose",
        ("c", "m"),
        N_("New message"),
        WRITE,
        short=N_("Write"),
        needs=lambda context: context.sends,
        footer=28,
        menu=True,
    ),
    Command(
        "forward_whole",
        (),
        N_("Forward as a file"),
        WRITE,
        N_("The whole message as an attachment, unchanged."),
        panes=MAIL,
        needs=_answers,
        menu=True,
    ),
    Command(
        "discard_draft",
        ("d", "#", "delete"),
        N_("Discard the draft"),
        WRITE,
        short=N_("Discard"),
        panes=frozenset({LIST}),
        needs=lambda context: context.draft,
        footer=20,
        menu=True,
    ),
    Command("unsend", ("z",), N_("Bring it back"), WRITE, needs=lambda context: context.unsendable),
    *COMPOSER,
)

SENDING: tuple[Command, ...] = (
    Command("look_again", ("l",), N_("Look again"), PROGRAM, panes=_OUT, needs=_mail("unknown", "accepted"), footer=19),
    Command("send_again", ("r",), N_("Send again"), PROGRAM, panes=_OUT, needs=_mail("failed", "unknown"), footer=20),
    Command("mark_sent", ("s",), N_("Mark as sent"), PROGRAM, panes=_OUT, needs=_mail("failed", "unknown"), footer=21),
    Command(
        "to_draft",
        ("e", "enter"),
        N_("Back to the composer"),
        PROGRAM,
        short=N_("Edit"),
        panes=_OUT,
        needs=_mail(*_OPEN),
        footer=22,
    ),
    Command(
        "cancel_sending",
        ("d", "#", "delete"),
        N_("Cancel sending"),
        PROGRAM,
        N_("The message goes back to Drafts."),
        short=N_("Cancel"),
        panes=_OUT,
        needs=_mail(*_OPEN),
        footer=23,
    ),
    Command("retry", ("r", "enter"), N_("Try again"), PROGRAM, panes=_OUT, needs=_acts, footer=24),
    Command(
        "discard",
        ("d", "#", "delete"),
        N_("Discard the change"),
        PROGRAM,
        short=N_("Discard"),
        panes=_OUT,
        needs=_acts,
        footer=25,
    ),
)
