"""A log entry as text, the same for every CRM that keeps texts: what is written is what the preview shows.

The last line is the Message-ID, the key by which an entry is found again before it would be written twice. Only the
last line counts: a message's own text may hold such a line too, and must not make us believe another one is there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from crmmail.crm.model import LogEntry
from crmmail.i18n import _
from crmmail.mail.text import clean_line, clean_text

KEY_LINE = "Message-ID: "
TEXT_LIMIT = 30_000
"""Characters of a message that go into one entry; SharpSpring's and Tryton's fields take about twice as many."""
TITLE_LIMIT = 200
STAMP = "%Y-%m-%d %H:%M UTC"
_STAMP = re.compile(r"^[^\n:]{1,40}: (\d{4}-\d\d-\d\d \d\d:\d\d UTC)$", re.MULTILINE)


def title(entry: LogEntry) -> str:
    """The heading of an entry: which way the message went, and what about where that may be told."""
    way = _("E-mail sent") if entry.sent else _("E-mail received")
    subject = clean_line(entry.subject, TITLE_LIMIT)
    return f"{way}: {subject}" if subject else way


def note(entry: LogEntry, limit: int = TEXT_LIMIT) -> str:
    """An entry as text: who, to whom, when, what about; the text, at most `limit` characters; the key."""
    head = [
        (_("From"), clean_line(entry.sender, 300)),
        (_("To"), clean_line(", ".join(entry.recipients), 1000)),
        (_("Date"), datetime.fromtimestamp(entry.when_ms / 1000, UTC).strftime(STAMP)),
        (_("Subject"), clean_line(entry.subject, 500)),
        (_("Attachments"), clean_line(", ".join(file.name for file in entry.attachments), 500)),
    ]
    parts = ["\n".join(f"{label}: {text}" for label, text in head if text)]
    body = clean_text(entry.text).strip("\n")
    if len(body) > limit:
        body = body[:limit].rstrip() + "\n" + _("[cut here: the message is longer]")
    parts += [body] if body else []
    return "\n\n".join([*parts, KEY_LINE + key_of(entry.key)])


def key_of(message_id: str) -> str:
    """A Message-ID as it stands in an entry: one line, in its angle brackets."""
    return f"<{clean_line(message_id, 900).strip('<> ')}>"


def key_in(text: str) -> str:
    """The Message-ID an entry was written for, '' for none."""
    last = text.rstrip().rpartition("\n")[2].strip()
    return key_of(last.removeprefix(KEY_LINE)) if last.startswith(KEY_LINE) else ""


def body_in(text: str) -> str:
    """An entry's text without its key."""
    return text.rstrip().rpartition("\n")[0].rstrip() if key_in(text) else text.strip()


def when_in(text: str) -> int:
    """When the message of an entry of ours was sent, in ms; 0 where the text does not say."""
    found = _STAMP.search(text.partition("\n\n")[0]) if key_in(text) else None
    if found is None:
        return 0
    try:
        return int(datetime.strptime(found[1], STAMP).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0
