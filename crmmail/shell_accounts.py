"""Accounts in the shell: `crmmail accounts`, `account`, `link`, `unlink`, `classify`, `crm import`, `crm export`.

What each prints with `--json` is described in docs/crm.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmmail import config, shell_forms
from crmmail.crm.model import Account, Contact, Link, Scope, Verdict
from crmmail.errors import SettingsError
from crmmail.i18n import N_, _, ngettext
from crmmail.model import Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmmail.store import Store
    from crmmail.store.importing import Imported

    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]

SHOWN = 50
CLEAR = "\r\033[K"  # the line is empty again
COMMANDS = frozenset({"accounts", "account", "link", "unlink", "classify"})
FILES = frozenset({"import", "export"})
_SCOPES = {
    Scope.MESSAGE: N_("these messages only"),
    Scope.THREAD: N_("their conversations"),
    Scope.SENDER: N_("all mail of their senders"),
    Scope.DOMAIN: N_("all mail of their senders' domains"),
}


def add_parsers(commands: Parsers, again: argparse.ArgumentParser, number: Callable[[str], int]) -> None:
    """The commands about accounts; `number` reads a message id."""
    listing = commands.add_parser("accounts", parents=[again], help=_("list accounts, by name"))
    listing.add_argument("search", nargs="*", help=_("words of a name, domain, address, person or tax id"))
    listing.add_argument("--limit", type=int, default=SHOWN, help=_("how many"))
    listing.add_argument("--json", action="store_true", help=_("as JSON"))
    one = commands.add_parser("account", parents=[again], help=_("show an account, its people and its mail"))
    one.add_argument("account", help=_("its id, or words that find it alone"))
    one.add_argument("--limit", type=int, default=SHOWN, help=_("how many"))
    one.add_argument("--json", action="store_true", help=_("as JSON"))
    for verb, text in (("link", _("say that mail belongs to an account")), ("unlink", _("say that it does not"))):
        parser = commands.add_parser(verb, parents=[again], help=text)
        parser.add_argument("ids", nargs="+", type=number, metavar="ID", help=_("message ids"))
        parser.add_argument("--account", required=True, help=_("its id, or words that find it alone"))
        parser.add_argument("--scope", choices=[scope.value for scope in Scope], default=Scope.MESSAGE.value,
                            help=_("how far it reaches: message, thread, sender or domain"))  # fmt: skip
        if verb == "link":
            parser.add_argument("--also", action="store_true", help=_("beside the accounts it has, not instead"))
        parser.add_argument("--dry-run", action="store_true", help=_("only tell what would change"))
        parser.add_argument("--json", action="store_true", help=_("as JSON"))
    queue = commands.add_parser("classify", parents=[again], help=_("list mail that belongs to no account yet"))
    queue.add_argument("--limit", type=int, default=SHOWN, help=_("how many"))
    queue.add_argument("--json", action="store_true", help=_("as JSON"))


def add_file_parsers(verbs: Parsers, again: argparse.ArgumentParser) -> None:
    """`crmmail crm import` and `export`."""
    text = _("take over accounts and contacts from a CSV or vCard file")
    into = verbs.add_parser("import", parents=[again], help=text)
    into.add_argument("file", type=Path, metavar=_("FILE"))
    into.add_argument("--dry-run", action="store_true", help=_("only tell what would change"))
    into.add_argument("--json", action="store_true", help=_("as JSON"))
    out = verbs.add_parser("export", parents=[again], help=_("write all accounts and contacts to a CSV or vCard file"))
    out.add_argument("file", type=Path, metavar=_("FILE"), help=_("its ending says which: .csv or .vcf"))
    out.add_argument("--dry-run", action="store_true", help=_("only tell what would change"))
    out.add_argument("--json", action="store_true", help=_("as JSON"))


def run(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    """Carry out a command: exit code, what `--json` prints, what is printed else."""
    from crmmail import shell

    dry = getattr(options, "dry_run", False)
    changes = options.command in ("link", "unlink") or getattr(options, "crm_command", "") == "import"
    with (shell.opened if changes and not dry else shell.read)(place, settings) as store:
        match getattr(options, "crm_command", "") or options.command:
            case "accounts":
                return _accounts(store, options)
            case "account":
                return _account(store, options)
            case "classify":
                return _classify(store, options)
            case "import":
                return _import(store, options)
            case "export":
                return _export(store, options)
            case _:
                return _link(store, options)


# looking


def _accounts(store: Store, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    text = " ".join(options.search)
    rows = store.accounts(text, 0, max(options.limit, 0))
    told = {
        "count": store.account_count(text),
        "accounts": [
            {
                "id": row.id, "name": row.name, "domain": row.domain, "tax_id": row.tax_id, "messages": row.total,
                "unread": row.unread, "waiting": row.waiting, "crm": row.crm or None,
            }
            for row in rows
        ],
    }  # fmt: skip
    lines = [f"{row.id}  {shell_forms.fitting(row.name, 32)}  {row.domain}" for row in rows]
    return (0 if rows or not text else 1), told, lines


def found(store: Store, named: str) -> Account:
    """The account of this id, or the only one these words find. Raises SettingsError."""
    account = store.account(named)
    if account is not None:
        return account
    rows = store.accounts(named, 0, 2)
    exact = [row for row in rows if row.name.casefold() == named.casefold()]
    if len(rows) != 1 and len(exact) != 1:
        count = store.account_count(named) if rows else 0
        several = ngettext("“{text}” finds {count} account.", "“{text}” finds {count} accounts.", count)
        sentence = several if count else _("“{text}” finds no account.")
        raise SettingsError(
            sentence.format(text=named, count=count),
            next_step=_("`crmmail accounts` lists them with their ids."),
        )
    whole = store.account((exact or rows)[0].id)
    assert whole is not None
    return whole


def _account(store: Store, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    account = found(store, options.account)
    people = store.contacts(account.id)
    entries = store.timeline(account.id, max(options.limit, 0))
    told = {
        **account_json(account),
        "contacts": [contact_json(one) for one in people],
        "messages": store.count(Query(account=account.id)),
        "timeline": [
            {
                "when": shell_forms.moment(entry.when_ms), "who": entry.who, "title": entry.title,
                "sent": entry.sent, "message": entry.message or None, "message_id": entry.message_id,
                "crm_id": entry.remote_id or None,
                "links": [_link_json(link) for link in store.links([entry.message])] if entry.message else [],
            }
            for entry in entries
        ],
    }  # fmt: skip
    from crmmail.crm import tax

    lines = [account.name, *account.domains, *filter(None, (tax.shown(account.tax_id), account.phone, account.website))]
    lines += [f"  {one.name}  {', '.join(one.addresses)}  {one.role}".rstrip() for one in people]
    lines += [
        f"{shell_forms.moment(entry.when_ms)[:16]}  {shell_forms.fitting(entry.who, 24)}  {entry.title}"
        for entry in entries
    ]
    return 0, told, lines


def account_json(account: Account) -> dict[str, Any]:
    """An account, as `crmmail account --json` documents it."""
    return {
        "id": account.id, "name": account.name, "domains": list(account.domains), "tax_id": account.tax_id,
        "website": account.website, "phone": account.phone, "owner": account.owner, "notes": account.notes,
        "fields": dict(account.fields), "crm": account.crm or None, "crm_id": account.remote_id or None,
    }  # fmt: skip


def contact_json(contact: Contact) -> dict[str, Any]:
    """A contact, as `crmmail account --json` documents it."""
    return {
        "id": contact.id, "name": contact.name, "addresses": list(contact.addresses), "phones": list(contact.phones),
        "role": contact.role,
    }  # fmt: skip


def _link_json(link: Link) -> dict[str, Any]:
    return {"account": link.account, "name": link.name, "reason": link.reason.name.lower(), "by": link.detail}


def _classify(store: Store, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    query = Query(folder="classify")
    rows = store.window(query, 0, max(options.limit, 0))
    verdicts = store.verdicts(row.id for row in rows)
    told = {
        "count": store.count(query),
        "messages": [
            {**shell_forms.row_json(row), "candidates": [_link_json(one) for one in verdicts[row.id].candidates]}
            for row in rows
        ],
    }
    lines = [f"{shell_forms.row_line(row)}  {_names(verdicts[row.id])}".rstrip() for row in rows]
    return 0, told, lines


def _names(verdict: Verdict) -> str:
    names = ", ".join(one.name for one in verdict.candidates)
    return f"({names}?)" if names else ""


# correcting


def _link(store: Store, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    account = found(store, options.account)
    known = store.states(options.ids)
    for one in options.ids:
        if one not in known:
            raise SettingsError(
                _("There is no message {id}.").format(id=one), next_step=_("`crmmail list` shows the ids.")
            )
    scope = Scope(options.scope)
    if not options.dry_run:
        if options.command == "link":
            act = store.link(options.ids, account.id, scope, also=options.also)
        else:
            act = store.unlink(options.ids, account.id, scope)
        while store.rematch_step():
            pass
        changed = act is not None
    else:
        changed = True
    told = {
        "account": account.id, "name": account.name, "scope": scope.value, "dry_run": options.dry_run,
        "changed": changed and not options.dry_run,
        "messages": [
            {"id": number, "state": verdict.bound.value, "links": [_link_json(link) for link in verdict.links]}
            for number, verdict in store.verdicts(options.ids).items()
        ],
    }  # fmt: skip
    sentences = {
        ("link", True): _("{scope}: would be linked to {name}."),
        ("link", False): _("{scope}: linked to {name}."),
        ("unlink", True): _("{scope}: would be unlinked from {name}."),
        ("unlink", False): _("{scope}: unlinked from {name}."),
    }
    already = _("It belongs there already.") if options.command == "link" else _("That is so already.")
    words = sentences[options.command, options.dry_run] if changed else already
    return (0 if changed else 1), told, [words.format(scope=_(_SCOPES[scope]), name=account.name)]


# files


def _import(store: Store, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    from crmmail.crm import files

    say = _progress(options.json)
    try:
        done = store.import_rows(files.read(options.file), options.file.name, dry_run=options.dry_run, progress=say)
    finally:
        say(0)
    if not options.dry_run:
        while store.rematch_step():
            pass
    tally = done.tally
    told = {
        "file": str(options.file), "dry_run": options.dry_run, "rows": tally.rows,
        "accounts": {"new": tally.accounts_new, "changed": tally.accounts_changed},
        "contacts": {"new": tally.contacts_new, "changed": tally.contacts_changed},
        "unchanged": tally.unchanged, "skipped": done.skipped_count,
        "reasons": [{"row": one.number, "why": one.why} for one in done.skipped],
        "act": done.act.id if done.act else None,
    }  # fmt: skip
    return 0, told, _imported_lines(done, options.dry_run)


def _progress(quiet: bool) -> Callable[[int], None]:
    def say(rows: int) -> None:
        if not quiet and sys.stderr.isatty():
            told = ngettext("{count} row…", "{count} rows…", rows).format(count=rows)
            sys.stderr.write(f"{CLEAR}{told}" if rows else CLEAR)
            sys.stderr.flush()

    return say


def _imported_lines(done: Imported, dry: bool) -> list[str]:
    tally = done.tally
    words = (
        _("Would take over {new} new and {changed} changed accounts, {people} new and {moved} changed contacts.")
        if dry
        else _("Took over {new} new and {changed} changed accounts, {people} new and {moved} changed contacts.")
    )
    lines = [
        words.format(
            new=tally.accounts_new,
            changed=tally.accounts_changed,
            people=tally.contacts_new,
            moved=tally.contacts_changed,
        )
    ]
    if done.act is not None:
        lines.append(_("`crmmail undo` takes it back."))
    lines += [_("Row {number}: {why}.").format(number=one.number, why=one.why) for one in done.skipped]
    rest = done.skipped_count - len(done.skipped)
    if rest:
        lines.append(ngettext("And {count} more row.", "And {count} more rows.", rest).format(count=rest))
    return lines


def _export(store: Store, options: argparse.Namespace) -> tuple[int, Any, list[str]]:
    from crmmail.crm import files

    count = store.account_count()
    told = {"file": str(options.file), "accounts": count, "dry_run": options.dry_run}
    if options.dry_run:
        files.writable(options.file)
    else:
        files.write(options.file, store.cards())
    words = ngettext("{count} account: {file}", "{count} accounts: {file}", count)
    return 0, told, [words.format(count=count, file=options.file)]
