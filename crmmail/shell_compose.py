"""Writing from the shell: `crmmail compose` opens the composer, `crmmail send` queues without the interface.

What a mailto: address asks for is shown in the composer and never sent by itself; it can attach nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmmail import config
from crmmail.crm import dropbox
from crmmail.errors import DraftError, SettingsError
from crmmail.i18n import _
from crmmail.model import Address, Draft, Identity, Outgoing

if TYPE_CHECKING:
    from crmmail.store import Store

BODY_LIMIT = 16 * 1024 * 1024  # bytes


def compose(place: config.Profile, settings: config.Settings, options: argparse.Namespace) -> int:
    """Open the composer on what the options say; without a mailbox too. Returns the exit code."""
    if not sys.stdout.isatty():
        raise SettingsError(
            _("crmmail needs a terminal to run in."), next_step=_("In a script use `crmmail send`, which needs none.")
        )
    draft, notice = asked_for(options)
    for path in options.attach:
        _check_file(path)
    _terminal_back()
    from crmmail.tui import app

    return app.start(place, settings, lang=options.lang, draft=draft, notice=notice, attach=tuple(options.attach))


def asked_for(options: argparse.Namespace) -> tuple[Draft, str]:
    """(the draft the options describe, what of a mailto: address was not followed)."""
    from crmmail.mail import mailto

    link = mailto.parse(options.url) if getattr(options, "url", "") else mailto.Mailto()
    draft = link.draft(sender=options.sender)
    text = draft.text if options.body_file is None else _body(options.body_file)
    return (
        replace(
            draft,
            to=(*draft.to, *_people(options.to)),
            cc=(*draft.cc, *_people(options.cc)),
            bcc=(*draft.bcc, *_people(options.bcc)),
            subject=options.subject or draft.subject,
            text=text,
            cursor=len(text),
        ),
        link.notice(),
    )


def _people(values: list[str]) -> tuple[Address, ...]:
    from crmmail.mail.recipients import parse_recipients

    return tuple(person for value in values for person in parse_recipients(value))


def _body(name: str) -> str:
    """The text of a file, or of standard input for '-'. UTF-8."""
    from crmmail.mail import encode

    try:
        octets = sys.stdin.buffer.read(BODY_LIMIT + 1) if name == "-" else _file_head(Path(name))
        if len(octets) > BODY_LIMIT:
            raise SettingsError(_("The text is larger than {size} MB.").format(size=BODY_LIMIT // 1024 // 1024))
        return encode.lines(octets.decode("utf-8-sig")).rstrip("\n")
    except UnicodeDecodeError as error:
        raise SettingsError(_("The text is not UTF-8.")) from error
    except OSError as error:
        raise SettingsError(
            _("{file} cannot be read: {reason}.").format(file=name, reason=error.strerror or type(error).__name__)
        ) from error


def _file_head(path: Path) -> bytes:
    with path.expanduser().open("rb") as file:
        return file.read(BODY_LIMIT + 1)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise SettingsError(_("There is no file {file}.").format(file=path))


def _terminal_back() -> None:
    """Standard input was a pipe with the text: keys come from the terminal itself."""
    if sys.stdin.isatty():
        return
    try:
        handle = os.open("/dev/tty", os.O_RDONLY)
    except OSError as error:
        raise SettingsError(_("crmmail needs a terminal to run in.")) from error
    os.dup2(handle, 0)
    os.close(handle)


def send(store: Store, settings: config.Settings, options: argparse.Namespace) -> Outgoing:
    """Queue a message. Nothing is queued unless everything is in order. Raises SettingsError, DraftError."""
    from crmmail.mail import checks
    from crmmail.mail.compose import estimated_size

    for path in options.attach:
        _check_file(path)
    identity = _identity(store, options.sender)
    draft, _notice = asked_for(options)
    draft = replace(draft, mailbox=identity.mailbox, sender=identity.address.email)
    sizes = sum(path.stat().st_size for path in options.attach)
    around = checks.Circumstances(
        identity=identity,
        own=tuple(one.address.email for one in store.identities()),
        size=estimated_size(draft) + sizes * 4 // 3,
        limit=checks.LIMITS.get(settings.mailboxes[identity.mailbox].provider, 0),
    )
    _refuse(checks.check(draft, around), attached=bool(options.attach), sure=options.yes)
    return _queue(store, draft, identity, options.attach, settings.crm.address)


def _refuse(findings: tuple[Any, ...], *, attached: bool, sure: bool) -> None:
    """Raises DraftError for what blocks, and for what only the user can decide unless they have."""
    from crmmail.mail.checks import Code, Severity

    for finding in findings:
        if attached and finding.code is Code.MISSING_ATTACHMENT:
            continue
        if finding.severity is Severity.BLOCK:
            raise DraftError(finding.sentence, next_step=_("Nothing was queued."))
        if not sure:
            raise DraftError(finding.sentence, next_step=_("Nothing was queued. Add --yes if you mean it."))


def _identity(store: Store, wanted: str) -> Identity:
    """The identity to send as: the one named, else the first of the first mailbox that sends."""
    can = {box.id for box in store.mailboxes() if box.capabilities.send}
    known = [one for one in store.identities() if one.mailbox in can]
    if not known:
        raise SettingsError(
            _("No mailbox is connected to send from."), next_step=_("`crmmail connect gmail` connects one.")
        )
    if not wanted:
        return known[0]
    for one in known:
        if wanted.casefold() in (one.address.email.casefold(), one.mailbox.casefold()):
            return one
    raise SettingsError(
        _("“{address}” is not one of your addresses.").format(address=wanted[:200]),
        next_step=_("Yours are: {addresses}.").format(addresses=", ".join(one.address.email for one in known)),
    )


def _queue(store: Store, draft: Draft, identity: Identity, files: list[Path], address: str) -> Outgoing:
    """`address`: the CRM's dropbox address, '' for none."""
    import mimetypes
    import uuid

    from crmmail.mail import compose as mime

    token = uuid.uuid4().hex
    message_id = mime.new_message_id(identity.address.email, token)
    saved = store.new_draft(draft)
    try:
        for path in files:
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            saved = store.enclose(saved.id, path.name, kind, path)
        if store.takes_copy(saved):
            saved = dropbox.copied(saved, address)
        content = mime.build(
            saved,
            identity,
            store.enclosure,
            message_id=message_id,
            token=token,
            now=time.time(),
            keep_bcc=True,
        )
        return store.queue(saved, content, message_id, token, 0.0)
    except DraftError:
        store.discard_draft(saved.id)
        raise


def outgoing_json(one: Outgoing) -> dict[str, Any]:
    """A message on its way, as docs/using.md describes it."""
    return {
        "outgoing": one.id,
        "mailbox": one.mailbox,
        "subject": one.subject,
        "to": list(one.recipients),
        "state": str(one.state),
        "attempts": one.attempts,
        "not_before": one.not_before or None,
        "message_id": one.sent_message_id or one.message_id,
        "error": one.error or None,
    }


def outgoing_line(one: Outgoing) -> str:
    """The same as one line: number, mailbox, 'send', state, recipients, subject, error."""
    from crmmail.mail.text import clean_line

    fields = (f"#{one.id}", one.mailbox, "send", one.state, ",".join(one.recipients), one.subject, one.error)
    return "\t".join(clean_line(str(field)) for field in fields)


def answer(store: Store, options: argparse.Namespace) -> bool:
    """The user's answer for a message on its way (`--cancel`, `--resend`, `--mark-sent`); whether there was one."""
    for name, act in (("cancel", store.to_draft), ("resend", store.resend), ("mark_sent", store.mark_sent)):
        number = getattr(options, name)
        if number is not None:
            act(number)
            return True
    return False


def add_parsers(commands: Any, again: argparse.ArgumentParser) -> None:
    """`compose` and `send` for the command line."""
    writing = commands.add_parser("compose", parents=[again], help=_("write a message; also for mailto: links"))
    writing.add_argument("url", nargs="?", default="", metavar="mailto:…", help=_("a mailto: address"))
    _add_fields(writing)
    writing.add_argument("--body-file", default=None, metavar="FILE", help=_("its text; - for standard input"))
    sending = commands.add_parser("send", parents=[again], help=_("queue a message, its text from standard input"))
    _add_fields(sending)
    sending.add_argument("--body-file", default="-", metavar="FILE", help=_("its text; - for standard input"))
    sending.add_argument("--yes", action="store_true", help=_("send even if something seems to be missing"))
    sending.add_argument("--json", action="store_true", help=_("as JSON"))


def _add_fields(parser: argparse.ArgumentParser) -> None:
    for name, text in (("to", _("recipients")), ("cc", _("copies")), ("bcc", _("blind copies"))):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="WHO", help=text)
    parser.add_argument("--subject", default="", help=_("its subject"))
    parser.add_argument("--from", dest="sender", default="", metavar="ADDRESS", help=_("one of your addresses"))
    parser.add_argument(
        "--attach", action="append", default=[], type=Path, metavar="FILE", help=_("a file; may be repeated")
    )
