"""The commands around accounts: beside the mail, the To-classify queue, the list of accounts. Pure.

Everything about the account of a message follows the prefix `,`; what is done often has a key of its own as well.
"""

from __future__ import annotations

from collections.abc import Callable

from crmmail.i18n import N_
from crmmail.tui.command import ACT, CUSTOMER, GO, PROGRAM, SELECT, Command, always
from crmmail.tui.context import ACCOUNTS, LIST, LOGGING, MAIL, PANEL, Context

CLASSIFY = "classify"  # the queue, as a folder's key
EVERYWHERE = "all"  # of no one mailbox: where an account's own view looks, trash and spam included
WAITING = "waiting"  # conversations whose last word is the customer's, as a folder's key
INBOX_ONLY = "in:inbox"  # what narrows one account's mail to the inbox, for by itself it is of all folders
_HERE = MAIL | {PANEL}
_THERE = frozenset({ACCOUNTS})


def _targets(context: Context) -> bool:
    return context.targets > 0 and not context.draft


def _one(context: Context) -> bool:
    return context.targets == 1 and not context.draft


def _account(context: Context) -> bool:
    return context.account


def _queue(context: Context) -> bool:
    return context.folder == CLASSIFY and context.targets > 0


def _candidate(number: int) -> Callable[[Context], bool]:
    return lambda context: context.folder == CLASSIFY and context.candidates >= number


def _chosen(context: Context) -> bool:
    return context.rows > 0


def _there(
    id: str,
    keys: tuple[str, ...],
    label: str,
    short: str = "",
    needs: Callable[[Context], bool] = always,
    footer: int = 0,
) -> Command:
    return Command(id, keys, label, CUSTOMER, "", short, _THERE, needs, footer=footer)


# Before all others: in the queue these keys answer.
CLASSIFYING: tuple[Command, ...] = (
    *(
        Command(
            f"classify_{number}",
            (str(number),),
            N_("It belongs to this candidate"),
            CUSTOMER,
            short=N_("Candidate") if number == 1 else "",
            panes=_HERE,
            needs=_candidate(number),
            footer=6 if number == 1 else 0,
        )
        for number in range(1, 10)
    ),
    Command(
        "classify_new",
        ("n",),
        N_("A new account for this"),
        CUSTOMER,
        short=N_("New account"),
        panes=_HERE,
        needs=_queue,
        footer=7,
        menu=True,
    ),
    Command("classify_skip", ("space",), N_("Decide later"), CUSTOMER, panes=_HERE, needs=_queue),
)

CUSTOMERS: tuple[Command, ...] = (
    Command(
        "link_account",
        ("A",),
        N_("Link to an account"),
        ACT,
        N_("Choose the account, then how far: message, conversation, sender or domain."),
        N_("Account"),
        _HERE,
        _targets,
        footer=45,
        menu=True,
    ),
    Command(
        "unlink_account",
        (", u",),
        N_("Unlink from the account"),
        ACT,
        N_("No later match links it again."),
        panes=_HERE,
        needs=lambda context: _account(context) and _targets(context),
        menu=True,
    ),
    Command(
        "never_sender",
        (", n", "0"),
        N_("Never for this sender"),
        ACT,
        N_("Bound to no account and never logged."),
        panes=_HERE,
        needs=_one,
        menu=True,
    ),
    Command("never_domain", (", N", "-"), N_("Never for this domain"), ACT, panes=_HERE, needs=_one, menu=True),
    Command(
        "private",
        ("P", ", p"),
        N_("Private: keep it out of the CRM"),
        ACT,
        N_("This message is never logged. Again: it may be."),
        panes=_HERE,
        needs=_targets,
        menu=True,
    ),
    Command(
        "private_thread",
        ("O", ", P"),
        N_("Private conversation: keep it out of the CRM"),
        ACT,
        panes=_HERE,
        needs=_targets,
        menu=True,
    ),
    Command(
        "log_preview",
        (", l",),
        N_("What the CRM is told of this message"),
        CUSTOMER,
        N_("Exactly what is logged, before it is."),
        panes=_HERE,
        needs=_one,
        menu=True,
    ),
    Command("log_settings", (", s",), N_("Choose what is logged"), CUSTOMER),
    Command(
        "account_panel",
        ("i",),
        N_("Show or hide the account's panel"),
        CUSTOMER,
        N_("Whose mail it is, and how things stand with them."),
        N_("Panel"),
        _HERE,
        footer=67,
    ),
    Command(
        "account_open",
        (", o",),
        N_("Everything of this account"),
        CUSTOMER,
        N_("All its mail, of all mailboxes and folders, with its contacts and figures."),
        panes=_HERE,
        needs=_account,
        menu=True,
    ),
    Command("account_edit", (", e",), N_("Change the account"), CUSTOMER, needs=_account),
    Command("account_contacts", (", c",), N_("Contacts of the account"), CUSTOMER, needs=_account),
    Command("account_merge", (", m",), N_("Merge with another account"), CUSTOMER, needs=_account),
    Command("account_timeline", (", t",), N_("Timeline of the account"), CUSTOMER, needs=_account),
    Command("account_write", (", w",), N_("Write to the account"), CUSTOMER, needs=_account),
    Command(
        "filter_account",
        (", f",),
        N_("Only this account in the list"),
        CUSTOMER,
        N_("Again: all of them."),
        panes=_HERE,
        needs=lambda context: context.account or context.narrowed,
    ),
    Command("next_account", ("}",), N_("Next account with unread mail"), CUSTOMER),
    Command("previous_account", ("{",), N_("Previous account with unread mail"), CUSTOMER),
    Command(
        "select_account",
        ("* c",),
        N_("Select the same account"),
        SELECT,
        panes=frozenset({LIST}),
        needs=_account,
    ),
    Command(
        "leave_account",
        ("escape",),
        N_("Back from the account"),
        CUSTOMER,
        short=N_("Back"),
        panes=frozenset({LIST}),
        needs=lambda context: context.detail and not context.searching and not context.selected,
        footer=5,
    ),
    Command("go_accounts", ("g c",), N_("Accounts"), GO, N_("All customers, searched as you type.")),
    Command("go_log", ("g l",), N_("To the CRM"), GO, N_("What waits to be logged, what was refused, what was told.")),
    Command("go_waiting", ("g w",), N_("Waiting for your answer"), GO, N_("The customer had the last word.")),
    Command("go_classify", ("g q",), N_("To classify"), GO, N_("Mail whose account is not certain.")),
)

ACCOUNT_LIST: tuple[Command, ...] = (
    _there("accounts_open", ("enter", "o", "right"), N_("Open the account"), N_("Open"), _chosen, 10),
    _there("accounts_search", ("/", "ctrl+f", "tab"), N_("Search accounts"), N_("Search"), footer=12),
    _there("accounts_new", ("c", "n", "ctrl+n"), N_("New account"), N_("New"), footer=14),
    _there("accounts_edit", ("e", "f2"), N_("Change the account"), N_("Change"), _chosen, 16),
    _there("accounts_contacts", ("p", "f3"), N_("Contacts of the account"), N_("Contacts"), _chosen, 18),
    _there("accounts_write", ("w", "f4"), N_("Write to the account"), N_("Write"), _chosen, 20),
    _there("accounts_merge", ("m", "f6"), N_("Merge with another account"), N_("Merge"), _chosen, 22),
    _there("accounts_remove", ("d", "#", "delete", "f8"), N_("Remove the account"), N_("Remove"), _chosen, 24),
    _there("accounts_import", ("I", "f7"), N_("Import accounts and contacts"), N_("Import"), footer=26),
    _there("accounts_export", ("X", "f12"), N_("Export accounts and contacts"), N_("Export"), footer=28),
    Command("accounts_close", ("escape", "q", "left"), N_("Back"), PROGRAM, short=N_("Back"), panes=_THERE, footer=5),
)


def _log(
    id: str, keys: tuple[str, ...], label: str, short: str, needs: Callable[[Context], bool], footer: int
) -> Command:
    return Command(id, keys, label, CUSTOMER, "", short, frozenset({LOGGING}), needs, footer=footer)


LOG_QUEUE: tuple[Command, ...] = (
    _log(
        "log_open",
        ("enter", "o", "right"),
        N_("Open the message, or the account"),
        N_("Open"),
        lambda context: context.logging != "",
        10,
    ),
    _log(
        "log_decide",
        ("l",),
        N_("See what is told, and decide"),
        N_("Decide"),
        lambda context: context.logs_mail and context.logging == "ask",
        12,
    ),
    _log("log_again", ("r",), N_("Try again"), "", lambda context: context.logging == "failed", 14),
    _log(
        "log_give_up",
        ("d", "#", "delete"),
        N_("Give it up"),
        "",
        lambda context: context.logging in ("queued", "failed", "ask"),
        16,
    ),
    Command("log_close", ("escape", "q", "left"), N_("Back"), PROGRAM, panes=frozenset({LOGGING}), footer=5),
)
