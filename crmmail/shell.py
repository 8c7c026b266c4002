"""The verbs of the interface in the shell: list, show, trash, undo, sync, connect, ...

Output is made for pipes: one line a message, or JSON (docs/using.md describes it); words go to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crmmail import config, i18n, mailboxes, model, shell_forms
from crmmail.errors import CrmMailError, ProfileBusy, SettingsError
from crmmail.i18n import _, ngettext
from crmmail.ops import Verb

if TYPE_CHECKING:
    from crmmail.store import Store
    from crmmail.sync import Engine

CONFIRM_BY_COUNT = 20  # above this many, the number itself must be typed, as in the interface
_AT_REST, _AT_WORK = (model.Phase.SYNCED, model.Phase.IDLE), (model.Phase.SYNCING, model.Phase.FILLING)
_FAREWELL = 3.0  # seconds in which what is under way may end


def run(options: argparse.Namespace) -> int:
    """Carry out `options` (cli.build_parser) on its profile; returns the exit code."""
    place = config.profile(options.profile).make()
    settings = config.load(place)
    if not options.lang and settings.language:
        i18n.use(settings.language)
    match options.command:
        case None:
            return _open(place, settings, options)
        case "mailboxes":
            return _mailboxes(place, settings, options)
        case "connect":
            from crmmail import shell_connect

            return shell_connect.connect(place, settings, options)
        case "crm" if options.crm_command not in ("import", "export"):
            return _crm(place, settings, options)
        case "crm" | "accounts" | "account" | "link" | "unlink" | "classify":
            return _accounts(place, settings, options)
        case "doctor":
            from crmmail import shell_connect

            return shell_connect.doctor(place, settings, options)
        case "disconnect":
            return _disconnect(place, settings, options)
        case "sync":
            return _sync(place, settings, options)
        case "list":
            return _list(place, settings, options)
        case "show":
            return _show(place, settings, options)
        case "outbox":
            return _outbox(place, settings, options)
        case "compose":
            from crmmail import shell_compose

            return shell_compose.compose(place, settings, options)
        case "send":
            return _send(place, settings, options)
        case "undo" | "redo":
            return _undo(place, settings, options)
        case verb:
            return _perform(place, settings, options, Verb(verb))


@contextmanager
def opened(place: config.Profile, settings: config.Settings, *, readonly: bool = False) -> Iterator[Store]:
    """The profile's store, its mailboxes registered, closed afterwards."""
    from crmmail.store import Store

    store = Store.open(place.data_dir, readonly=readonly)
    try:
        if not readonly:
            mailboxes.register(store, settings)
            store.finish_turning()  # a command has no background to leave it to
        yield store
    finally:
        for sentence in store.notices:
            _say(sentence)
        store.close()


@contextmanager
def read(place: config.Profile, settings: config.Settings) -> Iterator[Store]:
    """A store to read from: also while the program itself is open on the profile."""
    try:
        with opened(place, settings) as store:
            yield store
    except ProfileBusy:
        with opened(place, settings, readonly=True) as store:
            yield store


def _open(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SettingsError(
            _("crmmail needs a terminal to run in."),
            next_step=_("In a script use `crmmail list`, `crmmail show` and the other commands."),
        )
    from crmmail.tui import garbage

    garbage.pause()  # before the imports: they are half of the start
    from crmmail.tui import app

    return app.start(place, settings, lang=options.lang)


def _mailboxes(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    with read(place, settings) as store:
        statuses = store.statuses()
        found = [_mailbox_json(place, settings, box, statuses.get(box.id)) for box in mailboxes.listed(settings)]
    if options.json:
        return _print_json(found)
    if not found:
        _say(_("No mailbox yet. `crmmail` connects one; so does `crmmail connect`."))
        return 1
    for item in found:
        print(
            *(item[key] or "-" for key in ("id", "provider", "address", "state", "session", "session_renewed")),
            sep="\t",
        )
    return 0


def _mailbox_json(
    place: config.Profile, settings: config.Settings, box: model.Mailbox, status: model.Status | None
) -> dict[str, Any]:
    try:
        state = mailboxes.session(place, settings, box.id).describe()
        session, age = str(state.state), state.renewed_at
    except CrmMailError as error:
        session, age = error.title, 0.0
    return {
        "id": box.id,
        "provider": box.provider,
        "address": box.address,
        "state": str(status.phase) if status else str(model.Phase.IDLE),
        "sentence": status.sentence if status else "",
        "synced": shell_forms.moment(status.at * 1000) if status and status.at else None,
        "session": session,
        "session_renewed": shell_forms.moment(age * 1000) if age else None,
    }


def _disconnect(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    if options.name not in settings.mailboxes:
        raise SettingsError(
            _("There is no mailbox called “{name}”.").format(name=options.name),
            next_step=_("`crmmail mailboxes` lists those there are."),
        )
    with opened(place, settings) as store:
        mailboxes.forget(place, settings, options.name)
        store.unregister(options.name)
        with config.update(place) as changed:
            del changed.mailboxes[options.name]
    _say(_("{name} is forgotten here; nothing was changed on its server.").format(name=options.name))
    return 0


def _crm(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    from crmmail import shell_crm

    told = shell_crm.run(place, settings, options)
    if options.json:
        _print_json(told)
    else:
        print(*shell_crm.lines(told), sep="\n")
    return 0 if told.get("crm", True) and told.get("works", True) else 1


def _sync(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    from crmmail import crms, shell_crm
    from crmmail.sync import engine

    wanted = [box for box in mailboxes.listed(settings) if _is_asked_for(settings, box.id, options.mailbox)]
    if not wanted:
        raise SettingsError(_("There is no mailbox to catch up with."), next_step=_("`crmmail connect` connects one."))
    with opened(place, settings) as store:
        told: list[dict[str, Any]] = []
        if options.once:
            engine.run_once(store, mailboxes.connector(place, settings), wanted, terms=mailboxes.terms(settings))
            told += shell_crm.sync_once(store, place, settings) if not options.mailbox else []
            while store.rematch_step():
                pass  # all mail is bound by what is known now
        else:
            link = crms.link(place, settings, store) if not options.mailbox else None
            connect, terms = mailboxes.connector(place, settings), mailboxes.terms(settings)
            _sync_until_interrupted(engine.Engine(store, connect, terms=terms, crm=link), wanted)
        statuses = store.statuses()
    said = [shell_forms.status_json(box, statuses.get(box.id)) for box in wanted] + told
    if options.json:
        _print_json(said)
    for item in [] if options.json else said:
        print(f"{item['id']}\t{item['state']}\t{item['sentence']}")
    well = (*_AT_REST, *_AT_WORK) if not options.once else _AT_REST
    return 0 if all(item["state"] in well for item in said) else 6


def _is_asked_for(settings: config.Settings, name: str, named: str) -> bool:
    """A mailbox that is paused is synchronised only when it is named."""
    return name == named if named else not settings.mailboxes[name].paused


def _sync_until_interrupted(engine: Engine, wanted: list[model.Mailbox]) -> None:
    """Go on until Ctrl+C, and then let what is being written come to its end."""
    try:
        for box in wanted:
            engine.add(box)
        engine.begin_crm()
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        engine.stop(_FAREWELL)


def _accounts(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    from crmmail import shell_accounts

    code, told, lines = shell_accounts.run(place, settings, options)
    if options.json:
        _print_json(told)
    else:
        for line in lines:
            print(line)
    return code


def _list(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    with read(place, settings) as store:
        query = model.Query(options.mailbox, options.folder, options.search)
        if options.mailbox and options.mailbox not in settings.mailboxes:
            raise SettingsError(
                _("There is no mailbox called “{name}”.").format(name=options.mailbox),
                next_step=_("`crmmail mailboxes` lists those there are."),
            )
        _check_folder(store, [options.mailbox] if options.mailbox else list(settings.mailboxes), options.folder)
        rows = _rows(store, settings, query, options.limit)
    if options.json:
        return _print_json([shell_forms.row_json(row) for row in rows])
    for row in rows:
        print(shell_forms.row_line(row))
    return 0


def _check_folder(store: Store, names: Iterable[str], folder: str) -> None:
    """Raises SettingsError for what is neither a role nor a folder of theirs: an empty list would say little."""
    roles = [str(role) for role in model.Role if role is not model.Role.OTHER]
    if folder not in roles and all(folder != known.key for name in names for known in store.folders(name)):
        raise SettingsError(
            _("There is no folder “{name}”.").format(name=folder),
            next_step=_("Name one of {roles}.").format(roles=", ".join(roles)),
        )


def _rows(store: Store, settings: config.Settings, query: model.Query, limit: int) -> list[model.Row]:
    """A folder's newest rows; without a mailbox, the same role in all of them."""
    if query.mailbox or query.folder == model.Role.INBOX:
        return list(store.window(query, 0, limit))
    found: list[model.Row] = []
    for name in settings.mailboxes:
        found += store.window(model.Query(name, query.folder, query.text), 0, limit)
    return sorted(found, key=lambda row: -row.id)[:limit]


def _show(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    with read(place, settings) as store:
        message = store.message(options.id)
        raw = store.raw(options.id) if options.raw else None
    if message is None:
        raise _no_message(options.id)
    if options.raw:
        if raw is None:
            box = settings.mailboxes.get(message.row.mailbox)
            left_out = box is not None and box.download != "all"
            raise SettingsError(
                _("Message {id} is not downloaded yet.").format(id=options.id),
                next_step=_("Open it in crmmail, or let more be downloaded: the setting “download”.")
                if left_out
                else _("`crmmail sync --once` downloads it."),
            )
        sys.stdout.buffer.write(raw)
        return 0
    if options.json:
        return _print_json(shell_forms.message_json(message))
    print(shell_forms.as_text(message))
    return 0


def _perform(place: config.Profile, settings: config.Settings, options: argparse.Namespace, verb: Verb) -> int:
    with opened(place, settings) as store:
        known = store.states(options.ids)
        missing = [one for one in options.ids if one not in known]
        if missing:
            raise _no_message(missing[0])
        if verb is Verb.DELETE and not options.yes:
            _confirm_deletion(len(options.ids))
        act = store.perform(verb, options.ids)
    if act is None:
        _say(_("Nothing to do: that does not apply to any of these messages."))
        return 1
    return _acted(act, options)


def _confirm_deletion(count: int) -> None:
    question = ngettext(
        "Delete {count} message permanently? This cannot be undone.",
        "Delete {count} messages permanently? This cannot be undone.",
        count,
    ).format(count=count)
    expected = str(count) if count > CONFIRM_BY_COUNT else _("yes")
    hint = _("Type {word} to go on").format(word=expected)
    if not sys.stdin.isatty():
        raise SettingsError(question, next_step=_("Add --yes when you mean it."))
    print(f"{question} {hint}: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() != expected.casefold():
        raise SettingsError(_("Nothing was deleted."))


def _undo(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    from crmmail.store import records

    with opened(place, settings) as store:
        act = store.undo() if options.command == "undo" else store.redo()
        while act is not None and act.kind in records.KINDS and store.rematch_step():
            pass  # nothing goes on in the background once this ends
    if act is None:
        _say(_("There is nothing to undo.") if options.command == "undo" else _("There is nothing to redo."))
        return 1
    return _acted(act, options)


def _acted(act: model.Act, options: argparse.Namespace) -> int:
    if options.json:
        return _print_json({"act": act.id, "verb": act.kind, "count": act.count, "state": act.state})
    from crmmail.tui import words  # the same sentence as on the screen

    match options.command:
        case "undo":
            _say(words.undone(act.kind, act.count) + ". " + _("`crmmail redo` does it again."))
        case "redo":
            _say(words.redone(act.kind, act.count) + ". " + _("`crmmail undo` takes it back."))
        case command:
            way_back = _("This cannot be undone.") if command == "delete" else _("`crmmail undo` takes it back.")
            _say(words.done(act.kind, act.count) + ". " + _("The next synchronisation sends it.") + " " + way_back)
    return 0


def _outbox(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    from crmmail import shell_compose

    if options.retry is not None or options.discard is not None:
        with opened(place, settings) as store:
            act = options.retry if options.retry is not None else options.discard
            if act not in {op.act for op in store.outbox()}:
                raise SettingsError(
                    _("Nothing numbered {act} waits in the outbox.").format(act=act),
                    next_step=_("`crmmail outbox` lists what does."),
                )
            (store.retry if options.retry is not None else store.discard)(act)
        return 0
    if any(answer is not None for answer in (options.cancel, options.resend, options.mark_sent)):
        with opened(place, settings) as store:
            shell_compose.answer(store, options)
        return 0
    with read(place, settings) as store:
        waiting, leaving = store.outbox(), store.outgoing()
        subjects = {act.id: act.subject for act in store.acts(among={op.act for op in waiting})}
    if options.json:
        changes = [shell_forms.op_json(op, subjects.get(op.act, "")) for op in waiting]
        return _print_json([*changes, *map(shell_compose.outgoing_json, leaving)])
    for op in waiting:
        print(shell_forms.op_line(op, subjects.get(op.act, "")))
    for one in leaving:
        print(shell_compose.outgoing_line(one))
    return 0


def _send(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    from crmmail import shell_compose

    with opened(place, settings) as store:
        queued = shell_compose.send(store, settings, options)
    if options.json:
        return _print_json(shell_compose.outgoing_json(queued))
    _say(_("Queued as #{number}. The next synchronisation sends it.").format(number=queued.id))
    return 0


def _no_message(identifier: int) -> SettingsError:
    return SettingsError(
        _("There is no message {id}.").format(id=identifier), next_step=_("`crmmail list` shows the ids there are.")
    )


def _print_json(value: Any) -> int:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
    return 0


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
