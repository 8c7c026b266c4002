"""What a CRM is told of a message, word for word, as lines to read. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from crmmail.crm.model import LogEntry, LogSetting, Visibility
from crmmail.i18n import _
from crmmail.tui import account_words, format

LABEL = 12


def payload(entry: LogEntry, crm: str, account: str) -> str:
    """Every field of an entry, the text whole: nothing else leaves this computer."""
    when = datetime.fromtimestamp(entry.when_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [
        (_("CRM"), account_words.crm_name(crm)),
        (_("Account"), f"{account} ({entry.account})"),
        (_("Contacts"), ", ".join(entry.contacts) or "–"),
        (_("Direction"), _("sent by your team") if entry.sent else _("received")),
        (_("Date"), when),
        (_("From"), entry.sender),
        (_("To"), ", ".join(entry.recipients) or "–"),
        ("Message-ID", entry.key),
        (_("Subject"), entry.subject or _("(is not told)")),
    ]
    out = [f"{format.cells(label, LABEL)} {format.clean(text)}" for label, text in lines]
    for file in entry.attachments:
        name = format.clean(file.name)
        out.append(f"{format.cells(_('File'), LABEL)} {name}  {format.size(len(file.content))}  {file.content_type}")
    if not entry.attachments:
        out.append(f"{format.cells(_('Files'), LABEL)} –")
    out.append("")
    if entry.visibility is Visibility.FULL:
        out.append(format.clean(entry.text, lines=True))
    else:
        out.append(_("(the text is not told)"))
    return "\n".join(out)


def setting(said: LogSetting) -> str:
    """What was chosen, in one line."""
    if said.on is None:
        return _("not chosen: nothing is logged")
    if not said.on:
        return _("nothing is logged")
    words = [account_words.visibility(said.visibility or Visibility.METADATA)]
    words.append(_("with files") if said.attachments else _("without files"))
    return _("logged: {what}").format(what=", ".join(words))


def followed(said: LogSetting) -> str:
    """What was chosen for an account; not chosen there, its mailbox's choice counts."""
    return _("as the mailbox says") if said == LogSetting() else setting(said)


def next_on(said: LogSetting, *, account: bool) -> bool | None:
    """The choice after this one: on, off, and for an account again as the mailbox says."""
    order: tuple[bool | None, ...] = (None, True, False) if account else (True, False)
    at = order.index(said.on) if said.on in order else -1
    return order[(at + 1) % len(order)]


def next_visibility(said: LogSetting) -> Visibility:
    """The next wider, round at the end."""
    order = account_words.VISIBILITIES
    at = order.index(said.visibility or Visibility.METADATA)
    return order[(at + 1) % len(order)]
