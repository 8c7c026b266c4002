"""Connecting from the shell and looking again: `crmmail connect`, `crmmail doctor`.

A password comes from standard input or is typed unseen; it is in no argument, environment or output.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from crmmail import config
from crmmail.connecting import (
    IMAP_PORT,
    SMTP_PORT,
    STARTTLS,
    TLS,
    Checked,
    Form,
    Kind,
    Part,
    Server,
    Setup,
    draft,
)
from crmmail.errors import CrmMailError, RemoteError, SettingsError, SignInError
from crmmail.i18n import _
from crmmail.signing import Done

if TYPE_CHECKING:
    from crmmail.doctor import Report

LONGEST_PASSWORD = 1024


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser], again: argparse.ArgumentParser) -> None:
    """`connect` and `doctor`."""
    connect = commands.add_parser("connect", parents=[again], help=_("connect a mailbox"))
    connect.add_argument("provider", choices=("gmail", "outlook", "imap"))
    connect.add_argument("--name", default="", help=_("a short name for the mailbox"))
    connect.add_argument(
        "--token-store", choices=("keyring", "file"), default="", help=_("where to keep the session: keyring or file")
    )
    _add_sign_in(connect.add_argument_group(_("signing in (gmail, outlook)")))
    _add_servers(connect.add_argument_group(_("password and servers (imap, gmail --app-password)")))

    doctor = commands.add_parser("doctor", parents=[again], help=_("try every mailbox and say what to mend"))
    doctor.add_argument("--mailbox", default="", metavar="M", help=_("only this one"))
    doctor.add_argument("--json", action="store_true", help=_("as JSON"))


def _add_sign_in(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--client-id", default="", metavar="ID", help=_("your own OAuth client id"))
    group.add_argument("--client-file", default="", metavar="FILE", help=_("the client JSON file from Google"))
    group.add_argument("--tenant", default="", help=_("Outlook: common, organizations, consumers or a tenant"))
    group.add_argument("--browser", action="store_true", help=_("sign in by browser instead of a device code"))
    group.add_argument("--paste", action="store_true", help=_("paste the address the browser ends at (over SSH)"))


def _add_servers(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--app-password", action="store_true", help=_("Gmail by IMAP with an app password"))
    group.add_argument("--address", default="", metavar="A", help=_("the mailbox's e-mail address"))
    group.add_argument("--user", default="", metavar="U", help=_("what to log in with; the address if not given"))
    group.add_argument("--imap-host", default="", metavar="H", help=_("the server mail is read from; else found out"))
    group.add_argument("--imap-port", type=_port, default=0, metavar="P", help=_("993, or 143 with --starttls"))
    group.add_argument("--smtp-host", default="", metavar="H", help=_("the server mail is sent by; else found out"))
    group.add_argument("--smtp-port", type=_port, default=0, metavar="P", help=_("465, or 587 with --starttls"))
    group.add_argument("--starttls", action="store_true", help=_("STARTTLS on both servers instead of TLS"))
    group.add_argument("--ca-file", default="", metavar="FILE", help=_("PEM of a certificate of your own"))
    group.add_argument("--password-stdin", action="store_true", help=_("read the password from standard input"))


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) < 65536:
        raise argparse.ArgumentTypeError(_("“{text}” is not a port").format(text=text[:40]))
    return int(text)


def connect(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    """`crmmail connect`; returns the exit code. Raises CrmMailError with what to do about it."""
    if options.provider == "imap" or options.app_password:
        name = _by_password(place, settings, options).name
    else:
        from crmmail.auth import console

        name = console.connect(place, settings, options)
    _say(_("Connected. `crmmail` opens it; `crmmail sync --once` downloads it from a script."))
    print(name)
    return 0


def _by_password(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> Done:
    from crmmail.setup import ProfileSetup

    if options.provider == "outlook":
        raise SettingsError(
            _("Microsoft takes no passwords from mail programs any more."),
            next_step=_("`crmmail connect outlook` signs in instead."),
        )
    setup = ProfileSetup(place, settings)
    form = dataclasses.replace(_form(setup, settings, options), password=_password(options))
    last: Checked | None = None
    for last in setup.tried(form):
        _say(f"{'✓' if last.ok else '✗'} {_side(last)}{last.sentence}")
    if last is not None and not last.ok:
        raise _failure(last)
    return _kept(setup, form)


def _form(setup: Setup, settings: config.Settings, options: argparse.Namespace) -> Form:
    """What the options name, over what is known of the mailbox or of its provider."""
    from crmmail import providers

    known = settings.mailboxes.get(options.name)
    if known is not None and known.provider == "imap" and not options.address:
        base = setup.form_of(options.name)
    elif options.provider == "gmail":
        base = draft(providers.google(providers.address(_address(options)), settings.providers_file))
    elif options.imap_host and options.smtp_host:
        base = Form(providers.address(_address(options)))
    else:
        base = _found(setup, _address(options))
    security = STARTTLS if options.starttls else ""
    return dataclasses.replace(
        base,
        user=options.user or base.user or base.address,
        imap=_server(base.imap, options.imap_host, options.imap_port, security, IMAP_PORT),
        smtp=_server(base.smtp, options.smtp_host, options.smtp_port, security, SMTP_PORT),
        ca_file=options.ca_file or base.ca_file,
        name=options.name,
        token_store=options.token_store,
    )


def _found(setup: Setup, address: str) -> Form:
    found = setup.recognise(address)
    if found.kind is Kind.UNKNOWN:
        raise SettingsError(
            _("Nobody could tell who keeps the mail of {domain}.").format(domain=found.domain),
            next_step=_("Name the servers: --imap-host and --smtp-host."),
        )
    if found.kind is Kind.MICROSOFT:
        raise SettingsError(
            _("Microsoft takes no passwords from mail programs any more."),
            next_step=_("`crmmail connect outlook` signs in instead."),
        )
    return draft(found)


def _server(base: Server, host: str, port: int, security: str, usual: dict[str, int]) -> Server:
    """The usual port of the way that is named, unless a port is named or the known server stays as it is."""
    way = security or (TLS if host else base.security)
    same = not host and way == base.security
    return Server(host or base.host, port or (base.port if same and base.port else usual[way]), way)


def _address(options: argparse.Namespace) -> str:
    if options.address:
        return str(options.address)
    if not sys.stdin.isatty() or options.password_stdin:
        raise SettingsError(_("No address was given."), next_step=_("Name it: --address ana@cliente.example."))
    print(_("E-mail address:"), end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _password(options: argparse.Namespace) -> str:
    """From standard input, or typed unseen. SettingsError when there is neither."""
    if options.password_stdin:
        line = sys.stdin.readline(LONGEST_PASSWORD).rstrip("\r\n")
        if not line:
            raise SettingsError(_("Standard input held no password."), next_step=_("Write it there, on one line."))
        return line
    if not sys.stdin.isatty():
        raise SettingsError(
            _("There is nobody here to type the password."), next_step=_("Use --password-stdin and write it there.")
        )
    import getpass

    if options.provider == "gmail":
        from crmmail.tui import guide_words

        _say(guide_words.numbered(guide_words.gmail_steps(), 78), "")
    return getpass.getpass(_("App password:") + " " if options.app_password else _("Password:") + " ")


def _kept(setup: Setup, form: Form) -> Done:
    from crmmail.auth import console

    try:
        done = setup.keep(form)
    except SignInError as error:
        if error.code != "no_keyring" or not console.agrees(error):
            raise
        done = setup.keep(dataclasses.replace(form, token_store="file"))
    where = _("a private file") if done.place == "file" else done.place
    _say(_("{address} is connected. The password is kept in: {where}.").format(address=done.address, where=where))
    return done


def _failure(check: Checked) -> CrmMailError:
    """The failed check as what ends the command, with the exit code that belongs to it."""
    kinds: dict[int, type[CrmMailError]] = {2: SettingsError, 5: SignInError}
    return kinds.get(check.code, RemoteError)(_("Nothing was saved."), next_step=check.next_step)


def _side(check: Checked) -> str:
    return f"{check.side.upper()}: " if check.side else ""


# doctor


def doctor(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    """`crmmail doctor`: 0 when all is well, 1 without a mailbox, else the exit code of the first trouble."""
    from crmmail import doctor as examining

    if options.mailbox and options.mailbox not in settings.mailboxes:
        raise SettingsError(
            _("There is no mailbox called “{name}”.").format(name=options.mailbox),
            next_step=_("`crmmail mailboxes` lists those there are."),
        )
    names = [options.mailbox] if options.mailbox else list(settings.mailboxes)
    if not names:
        _say(_("No mailbox yet. `crmmail` connects one; so does `crmmail connect`."))
        return 1
    reports = []
    for report in examining.examine(place, settings, names):
        reports.append(report)
        if not options.json:
            _print_report(report)
    if options.json:
        json.dump([_report_json(report) for report in reports], sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    failed = [check for report in reports for check in report.checks if not check.ok]
    return (failed[0].code or 6) if failed else 0


def _print_report(report: Report) -> None:
    box = report.mailbox
    print(f"{box.id}\t{box.provider}\t{box.address}\t{_('well') if report.ok else _('to mend')}")
    for check in report.checks:
        print(f"  {'✓' if check.ok else '✗'} {_side(check)}{check.sentence}")
        if not check.ok and check.next_step:
            print(f"    → {check.next_step}")


def _report_json(report: Report) -> dict[str, Any]:
    return {
        "id": report.mailbox.id,
        "provider": report.mailbox.provider,
        "address": report.mailbox.address,
        "ok": report.ok,
        "checks": [_check_json(check) for check in report.checks],
    }


def _check_json(check: Checked) -> dict[str, Any]:
    return {
        "server": check.side or None,
        "part": str(check.part if check.part is not Part.FORM else "settings"),
        "ok": check.ok,
        "sentence": check.sentence,
        "next_step": check.next_step or None,
    }


def _say(*sentences: str) -> None:
    print(*sentences, sep="\n", file=sys.stderr, flush=True)
