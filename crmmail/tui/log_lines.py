"""What a CRM is told of a message, word for word, as lines to read. Pure."""

from __future__ import annotations

from crmmail.crm import entry as entries
from crmmail.crm.model import LogEntry, LogSetting, Visibility
from crmmail.i18n import _
from crmmail.tui import account_words, format

LABEL = 12


def payload(entry: LogEntry, crm: str, account: str, *, files: bool = True) -> str:
    """Where an entry goes, its files, then the entry as it is written: nothing else leaves this computer.

    `files`: whether the CRM takes them; else their names in the entry are all of them it gets.
    """
    lines = [
        (_("CRM"), account_words.crm_name(crm)),
        (_("Account"), f"{account} ({entry.account})"),
        (_("Contacts"), ", ".join(entry.contacts) or "–"),
    ]
    out = [f"{format.cells(label, LABEL)} {format.clean(text)}" for label, text in lines]
    for file in entry.attachments if files else ():
        name = format.clean(file.name)
        out.append(f"{format.cells(_('File'), LABEL)} {name}  {format.size(len(file.content))}  {file.content_type}")
    if not entry.attachments:
        out.append(f"{format.cells(_('Files'), LABEL)} –")
    elif not files:
        out.append(f"{format.cells(_('Files'), LABEL)} {no_files(crm)}")
    if entry.visibility is not Visibility.FULL:
        out.append(_("Not told").ljust(LABEL) + " " + _untold(entry.visibility))
    written = f"{entries.title(entry)}\n\n{entries.note(entry)}"
    return "\n".join([*out, "", format.clean(written, lines=True)])


def no_files(crm: str) -> str:
    """What becomes of files where a CRM takes none."""
    return _("{crm} takes no files, only their names").format(crm=account_words.crm_name(crm))


def _untold(seen: Visibility) -> str:
    return _("the text") if seen is Visibility.SUBJECT else _("the subject and the text")


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
