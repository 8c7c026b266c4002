"""The command line: a parser and one `match`. Data goes to stdout, words to stderr, trouble to the exit code.

    0  done            3  another crmmail holds the profile     6  the server refused or did not answer
    1  nothing done    4  the local copy cannot be used         130  interrupted
    2  bad input       5  sign in (again)

Nothing heavy is imported here: each verb brings what it needs, so that `--help` stays under 0.15 s.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from crmmail import __version__, i18n
from crmmail.errors import CrmMailError
from crmmail.i18n import N_, _

VERBS = ("trash", "recover", "delete", "archive", "read", "unread", "favorite", "unfavorite")
NOTHING_ASKED = {"command": None, "profile": "default", "lang": ""}
ARGPARSE = (  # the words argparse says itself, marked so that the catalogue has them
    N_("usage: "),
    N_("options"),
    N_("positional arguments"),
    N_("show this help message and exit"),
    N_("%(prog)s: error: %(message)s\n"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"),
    N_("expected one argument"),
    N_("expected at least one argument"),
    N_("not allowed with argument %s"),
    N_("ignored explicit argument %r"),
    N_("ambiguous option: %(option)s could match %(matches)s"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `argv` names (the process's own arguments by default) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    i18n.use(_early_language(arguments))
    vars(argparse).update(_=i18n._, ngettext=i18n.ngettext)  # it would look its words up in the system's catalogues
    os.umask(0o077)
    # Opening the mailbox is what one waits for: it needs no parser, and none of the nouns the other verbs bring in.
    options = build_parser().parse_args(arguments) if arguments else argparse.Namespace(**NOTHING_ASKED)
    try:
        return run(options)
    except CrmMailError as error:
        print(f"crmmail: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`crmmail list | head`): not an error, but stdout must not be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _early_language(arguments: Sequence[str]) -> str:
    """`--lang`, before parsing: the help itself is in that language."""
    for index, item in enumerate(arguments):
        if item == "--lang" and index + 1 < len(arguments):
            return arguments[index + 1]
        if item.startswith("--lang="):
            return item.removeprefix("--lang=")
    return ""


def _lang(written: str) -> str:
    if written and not i18n.served(written):
        raise argparse.ArgumentTypeError(
            _("“{wish}” is no language crmmail speaks: {choices}").format(
                wish=written, choices=", ".join(i18n.LANGUAGES)
            )
        )
    return written


def run(options: argparse.Namespace) -> int:
    """Carry out parsed options; every branch imports only what it needs."""
    match options.command:
        case "demo":
            from crmmail import demo

            return demo.run(
                messages=options.messages,
                seed=options.seed,
                mail=options.mail,
                offline=options.offline,
                lang=options.lang,
            )
        case "sandbox":
            from crmmail.sandbox import serve

            return serve.run(port=options.port, messages=options.messages, seed=options.seed, mail=options.mail)
        case "keys":
            from crmmail.tui import commands

            print(commands.keys_table())
            return 0
        case _:
            from crmmail import shell

            return shell.run(options)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line, in the current language."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--profile", default="default", metavar="NAME", help=_("use another profile"))
    common.add_argument("--lang", default="", type=_lang, metavar="LANG", help=_("en or pt_BR"))
    parser = argparse.ArgumentParser(
        prog="crmmail",
        description=_("A mail client for the terminal whose mail is bound to CRM accounts."),
        epilog=_("Without a command it opens your mailbox. `crmmail demo` shows it all without a mailbox."),
        parents=[common],
    )
    version = f"crmmail {__version__}"
    parser.add_argument("--version", action="version", version=version, help=_("show the version and exit"))
    # A subcommand repeats the common options, but its defaults must not wipe out those given before its name.
    again = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    again.add_argument("--profile", metavar="NAME", help=_("use another profile"))
    again.add_argument("--lang", type=_lang, metavar="LANG", help=_("en or pt_BR"))
    commands = parser.add_subparsers(dest="command", metavar=_("COMMAND"))
    _add_start(commands, again)
    _add_reading(commands, again)
    _add_verbs(commands, again)
    return parser


def _add_start(commands: argparse._SubParsersAction[argparse.ArgumentParser], again: argparse.ArgumentParser) -> None:
    demo = commands.add_parser("demo", parents=[again], help=_("try everything on made-up mail, without a mailbox"))
    demo.add_argument("--messages", type=_count, default=2000, metavar="N", help=_("how many messages (2000)"))
    demo.add_argument("--seed", type=int, default=1, metavar="S", help=_("another seed, another mailbox"))
    demo.add_argument("--mail", type=Path, metavar="PATH", help=_("a Maildir, mbox or folder of .eml instead"))
    demo.add_argument("--offline", action="store_true", help=_("start without a connection"))

    sandbox = commands.add_parser("sandbox", parents=[again], help=_("run a local Gmail and Outlook to try against"))
    sandbox.add_argument("--port", type=_port, default=0, metavar="P", help=_("the plain HTTP port (any free one)"))
    sandbox.add_argument("--messages", type=_count, default=2000, metavar="N", help=_("how many messages (2000)"))
    sandbox.add_argument("--seed", type=int, default=1, metavar="S", help=_("another seed, another mailbox"))
    sandbox.add_argument("--mail", type=Path, metavar="PATH", help=_("a Maildir, mbox or folder of .eml instead"))

    remove = commands.add_parser("disconnect", parents=[again], help=_("forget a mailbox and its session"))
    remove.add_argument("name", help=_("the mailbox's short name"))
    commands.add_parser("keys", parents=[again], help=_("list the keys"))
    from crmmail import shell_accounts, shell_compose, shell_connect, shell_crm

    shell_compose.add_parsers(commands, again)
    shell_connect.add_parsers(commands, again)
    shell_crm.add_parsers(commands, again)
    shell_accounts.add_parsers(commands, again, _identifier)


def _add_reading(commands: argparse._SubParsersAction[argparse.ArgumentParser], again: argparse.ArgumentParser) -> None:
    boxes = commands.add_parser("mailboxes", parents=[again], help=_("list the mailboxes, their state and session"))
    boxes.add_argument("--json", action="store_true", help=_("as JSON"))

    sync = commands.add_parser("sync", parents=[again], help=_("catch up with the servers"))
    sync.add_argument("--once", action="store_true", help=_("one round, then end"))
    sync.add_argument("--mailbox", default="", metavar="M", help=_("only this one"))
    sync.add_argument("--json", action="store_true", help=_("as JSON"))

    listing = commands.add_parser("list", parents=[again], help=_("list messages, newest first"))
    listing.add_argument("--mailbox", default="", metavar="M", help=_("only this one"))
    listing.add_argument("--folder", default="inbox", metavar="ROLE", help=_("inbox, favorites, drafts, sent, trash …"))
    listing.add_argument("--search", default="", metavar="WORDS", help=_("as in the program's own search"))
    listing.add_argument("--limit", type=_count, default=50, metavar="N", help=_("how many (50)"))
    listing.add_argument("--json", action="store_true", help=_("as JSON"))

    show = commands.add_parser("show", parents=[again], help=_("show a message"))
    show.add_argument("id", type=_identifier)
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help=_("as JSON"))
    form.add_argument("--raw", action="store_true", help=_("the bytes as received"))

    outbox = commands.add_parser("outbox", parents=[again], help=_("what waits for a server, and what was refused"))
    outbox.add_argument("--json", action="store_true", help=_("as JSON"))
    choice = outbox.add_mutually_exclusive_group()
    choice.add_argument("--retry", type=int, metavar="ACT", help=_("try a refused one again"))
    choice.add_argument("--discard", type=int, metavar="ACT", help=_("give a refused one up"))
    choice.add_argument("--cancel", type=int, metavar="N", help=_("do not send a message: it is a draft again"))
    choice.add_argument("--resend", type=int, metavar="N", help=_("queue a message again that failed"))
    choice.add_argument("--mark-sent", type=int, metavar="N", help=_("a message did go out"))


def _add_verbs(commands: argparse._SubParsersAction[argparse.ArgumentParser], again: argparse.ArgumentParser) -> None:
    words = {
        "trash": _("send messages to the trash"),
        "recover": _("recover messages from the trash"),
        "delete": _("delete messages in the trash permanently"),
        "archive": _("archive messages"),
        "read": _("mark messages as read"),
        "unread": _("mark messages as unread"),
        "favorite": _("add messages to the favorites"),
        "unfavorite": _("remove messages from the favorites"),
    }
    for verb in VERBS:
        parser = commands.add_parser(verb, parents=[again], help=words[verb])
        parser.add_argument("ids", type=_identifier, nargs="+", metavar="ID")
        parser.add_argument("--json", action="store_true", help=_("as JSON"))
        if verb == "delete":
            parser.add_argument("--yes", action="store_true", help=_("do not ask; this cannot be undone"))
    for verb, text in (("undo", _("undo the last act")), ("redo", _("do the last undone act again"))):
        parser = commands.add_parser(verb, parents=[again], help=text)
        parser.add_argument("--json", action="store_true", help=_("as JSON"))


def _count(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(_("“{text}” is not a number of messages").format(text=text[:40]))
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(_("“{text}” is not a port").format(text=text[:40]))
    return int(text)


def _identifier(text: str) -> int:
    if not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(
            _("“{text}” is not a message id; `crmmail list` shows them").format(text=text[:40])
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
