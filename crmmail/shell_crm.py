"""`crmmail crm …`: connect a CRM, see how it stands, disconnect it.

A secret never stands in an argument, where every user of the machine could read it: it is typed, or piped in.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from crmmail import config, crms
from crmmail.crm.connection import LABELS, MIRRORED, QUESTIONS, CrmWish, Question
from crmmail.errors import CrmMailError, SettingsError
from crmmail.i18n import _
from crmmail.model import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmmail.store import Store

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

SECRET_LIMIT = 4096


def add_parsers(commands: Parsers, again: argparse.ArgumentParser) -> None:
    """`crmmail crm` and its verbs."""
    group = commands.add_parser("crm", parents=[again], help=_("connect a CRM, see how it stands, disconnect it"))
    verbs = group.add_subparsers(dest="crm_command", metavar=_("COMMAND"), required=True)
    connect = verbs.add_parser("connect", parents=[again], help=_("connect a CRM; its secret is asked for or read"))
    connect.add_argument("kind", choices=tuple(QUESTIONS))
    for question in _all_questions():
        names = ", ".join(kind for kind, asked in QUESTIONS.items() if question.name in {one.name for one in asked})
        text = f"{_(question.label)} ({names})"
        connect.add_argument(f"--{question.name.replace('_', '-')}", default="", metavar="…", help=text)
    connect.add_argument(
        "--token-store", choices=("keyring", "file"), default="", help=_("where to keep the secret: keyring or file")
    )
    connect.add_argument("--dry-run", action="store_true", help=_("only ask the CRM; keep nothing"))
    connect.add_argument("--json", action="store_true", help=_("as JSON"))
    status = verbs.add_parser("status", parents=[again], help=_("how the CRM stands: mirrored, waiting, in trouble"))
    status.add_argument("--json", action="store_true", help=_("as JSON"))
    status.add_argument("--check", action="store_true", help=_("ask the CRM whether the keys still work"))
    from crmmail import shell_accounts

    shell_accounts.add_file_parsers(verbs, again)
    leave = verbs.add_parser("disconnect", parents=[again], help=_("forget the CRM and its secret; accounts stay"))
    leave.add_argument("--dry-run", action="store_true", help=_("only tell what would change"))
    leave.add_argument("--json", action="store_true", help=_("as JSON"))


def _all_questions() -> Iterable[Question]:
    """Each question that is no secret once."""
    found = {one.name: one for asked in QUESTIONS.values() for one in reversed(asked) if not one.secret}
    return found.values()


def connect(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Connect as `options` say. Raises CrmMailError; nothing is kept then."""
    asked = QUESTIONS[options.kind]
    answers = {one.name: getattr(options, one.name) for one in asked if not one.secret}
    wish = CrmWish(options.kind, answers, token_store=options.token_store)
    lacking = [one for one in wish.lacks() if not one.secret]
    if lacking:
        raise SettingsError(
            _("“{label}” is missing.").format(label=_(lacking[0].label)),
            next_step=_("Give it as --{name}.").format(name=lacking[0].name.replace("_", "-")),
        )
    if secret := next((one for one in asked if one.secret), None):
        wish = CrmWish(options.kind, answers, _secret(_(secret.label)), options.token_store)
    guide = crms.ProfileCrmGuide(place, settings)
    if options.dry_run:
        return {"crm": options.kind, "as": guide.tried(wish), "kept_in": None, "dry_run": True}
    done = guide.connect(wish)
    return {"crm": done.name, "as": done.who, "kept_in": done.place}


def _secret(label: str) -> str:
    """Typed unseen where somebody sits there, else the first line of stdin. Raises SettingsError for none."""
    if sys.stdin.isatty():
        import getpass

        given = getpass.getpass(f"{label}: ", stream=sys.stderr)
    else:
        given = sys.stdin.readline(SECRET_LIMIT).rstrip("\r\n")
    if not given.strip():
        raise SettingsError(
            _("“{label}” is missing.").format(label=label),
            next_step=_("Type it, or pipe it in: crmmail crm connect … < file"),
        )
    return given


def run(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> dict[str, Any]:
    """Carry out a verb; what it told, as `--json` documents it."""
    match options.crm_command:
        case "connect":
            return connect(place, settings, options)
        case "disconnect" if options.dry_run:
            return {"forgotten": crms.connected(settings), "dry_run": True}
        case "disconnect":
            from crmmail.shell import opened

            with opened(place, settings) as store:
                name = crms.disconnect(place, settings)
                store.unregister_crm(name)
            return {"forgotten": name}
        case _:
            from crmmail.shell import read

            with read(place, settings) as store:
                return status(store, place, settings, options)


def status(
    store: Store, place: config.Profile, settings: config.Settings, options: argparse.Namespace
) -> dict[str, Any]:
    """How the CRM stands."""
    chosen = settings.crm
    if not chosen.kind:
        return {"crm": None}
    waiting, _due = store.log_waiting(chosen.kind)
    told: dict[str, Any] = {"crm": chosen.kind, "label": _(LABELS[chosen.kind])}
    if chosen.kind in MIRRORED:
        accounts, contacts = store.mirrored(chosen.kind)
        told |= {"accounts": len(accounts), "contacts": len(contacts), "filled": bool(store.crm_cursor(chosen.kind))}
    told |= {"waiting": waiting, "paused": chosen.paused}
    if options.check:
        told |= _checked(store, place, settings)
    return told


def _checked(store: Store, place: config.Profile, settings: config.Settings) -> dict[str, Any]:
    try:
        crm = crms.connector(place, settings, store)()
    except CrmMailError as error:
        return {"works": False, "sentence": str(error)}
    try:
        return {"works": True, "as": crm.check()}
    except CrmMailError as error:
        return {"works": False, "sentence": str(error)}
    finally:
        crm.close()


def sync_once(store: Store, place: config.Profile, settings: config.Settings) -> list[dict[str, Any]]:
    """One round with the CRM for `crmmail sync --once`; what came of it, none where there is no CRM."""
    from crmmail.sync.crm import status_name
    from crmmail.sync.crm_thread import crm_once

    link = crms.link(place, settings, store)
    if link is None:
        return []
    told: dict[str, Any] = {"id": status_name(link.name), "next_step": "", "missing": {}}
    try:
        outcome = crm_once(store, link.connect)
    except CrmMailError as error:
        return [{**told, "state": str(Phase.ERROR), "sentence": error.sentence, "next_step": error.next_step}]
    said = {"state": str(outcome.phase), "sentence": outcome.sentence, "next_step": outcome.next_step}
    return [{**told, **said}]


def lines(told: dict[str, Any]) -> list[str]:
    """The same for pipes: a name and a value on each line."""
    return [f"{name}\t{'-' if value is None else value}" for name, value in told.items()]
