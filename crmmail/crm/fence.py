"""The fence: what may leave for a CRM, decided before a byte does. Pure.

Nothing is logged until the user has chosen to. Private, internal and never-listed mail does not pass whatever else is
chosen: `refusal` looks at everybody on a message, Bcc too, and `entry` builds the only thing that is ever sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from crmmail.crm import domains, match
from crmmail.crm.match import Own
from crmmail.crm.model import LogEntry, LogFile, LogSetting, Unlogged, Visibility
from crmmail.model import Body, Headers

TEXT_LIMIT = 100_000  # characters of a message's text
FILE_LIMIT = 10_000_000  # bytes of all attachments of an entry
_AWAY = frozenset({"drafts", "spam", "trash"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user said that holds for all mail."""

    own: Own
    never: frozenset[str] = frozenset()  # addresses and @domains
    tags: tuple[str, ...] = ()
    log_internal: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is logged of an account's mail in a mailbox."""

    on: bool | None = None
    visibility: Visibility = Visibility.METADATA
    attachments: bool = False


def chosen(mailbox: LogSetting, account: LogSetting) -> Chosen:
    """The setting that counts: the account's where it says something, else the mailbox's; the least where neither."""
    on = mailbox.on if account.on is None else account.on
    if mailbox.on is False:  # a mailbox that is not logged stays so
        on = False
    visibility = account.visibility or mailbox.visibility or Visibility.METADATA
    attachments = mailbox.attachments if account.attachments is None else account.attachments
    return Chosen(on, visibility, bool(attachments) and visibility is Visibility.FULL)


def refusal(headers: Headers, flags: Iterable[str], folders: frozenset[str], rules: Rules) -> Unlogged | None:
    """Why a message must not be logged, whatever was chosen; None when nothing is against it."""
    if folders & _AWAY:
        return Unlogged.NOT_MAIL
    if not headers.sender.email or match.FORGED.intersection(flags):
        return Unlogged.INVALID_SENDER
    people = match.everybody(headers)
    if any(match.is_never(email, rules.never) for email in people) or match.has_tag(headers.subject, rules.tags):
        return Unlogged.NEVER
    if not rules.log_internal and all(_ours(email, rules.own) for email in people):
        return Unlogged.INTERNAL
    if not headers.message_id:
        return Unlogged.NO_KEY
    return None


def _ours(email: str, own: Own) -> bool:
    return own.is_me(email) or domains.is_below(email.rpartition("@")[2], own.domains)


def is_automatic(headers: Headers) -> bool:
    """Whether a list or a machine wrote it."""
    return match.machine_behind(headers) is not None


def entry(
    headers: Headers,
    body: Body,
    when_ms: int,
    own: Own,
    choice: Chosen,
    account: str,
    contacts: Sequence[str],
    files: Callable[[], Sequence[LogFile]],
) -> LogEntry:
    """What a CRM is told of a message, cut to its visibility. `files` is asked only where attachments go along.

    Bcc never goes: who was written to in secret is nobody else's business.
    """
    full = choice.visibility is Visibility.FULL
    return LogEntry(
        key=headers.message_id,
        account=account,
        contacts=tuple(contacts),
        sent=match.read(headers, body.flags, own).sent,
        when_ms=when_ms,
        sender=headers.sender.email,
        recipients=tuple(dict.fromkeys(one.email for one in (*headers.to, *headers.cc) if one.email)),
        subject="" if choice.visibility is Visibility.METADATA else headers.subject,
        text=body.text[:TEXT_LIMIT] if full else "",
        attachments=_fitting(files()) if full and choice.attachments else (),
        visibility=choice.visibility,
    )


def _fitting(files: Sequence[LogFile]) -> tuple[LogFile, ...]:
    """The files that fit together under the limit, in their order."""
    found: list[LogFile] = []
    size = 0
    for file in files:
        if size + len(file.content) <= FILE_LIMIT:
            found.append(file)
            size += len(file.content)
    return tuple(found)
