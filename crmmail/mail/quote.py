"""The shape of a text that is being written: what is quoted in it, what is signed, and what the writer said.

Texts are lines joined by newlines, without carriage returns. All linear; nothing here reads a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

from crmmail.i18n import _
from crmmail.mail.text import clean_line
from crmmail.model import Address, Headers

QUOTE_LIMIT = 200_000  # characters of somebody else's text taken into an answer
DELIMITER = "-- "  # RFC 3676 §4.3, with its space
_NAME_LENGTH = 100

_ATTRIBUTION = re.compile(
    r"(?:(?:On|Em|Le|Am|El|Il) .{4,300}|.{1,150}) ?(?:wrote|escreveu|écrit|schrieb|escribió|scritto) ?:\Z"
)
_CARRIED = re.compile(r"-{5,} ?[^-\n]{3,60}? ?-{5,}\Z")


def answered(parent: Headers, text: str, *, zone: tzinfo | None = None) -> str:
    """The body of a reply: two empty lines to write in, the quote line, `text` quoted."""
    if not text.strip():
        return ""
    return f"\n\n{attribution(parent, zone)}\n{quoted(_capped(text))}"


def forwarded(parent: Headers, text: str, *, zone: tzinfo | None = None) -> str:
    """The body of a forward: two empty lines to write in, who wrote what to whom and when, then `text` as it is."""
    head = [
        (_("From"), _people((parent.sender,))),
        (_("Date"), _moment(parent.date_ms, zone)),
        (_("Subject"), parent.subject),
        (_("To"), _people(parent.to)),
        (_("Cc"), _people(parent.cc)),
    ]
    lines = [f"---------- {_('Forwarded message')} ----------"]
    lines += [f"{name}: {value}" for name, value in head if value]
    return "\n\n" + "\n".join(lines) + "\n\n" + _capped(text).rstrip("\n") + "\n"


def attribution(parent: Headers, zone: tzinfo | None = None) -> str:
    """The line above a quotation, in the interface's language: 'On Nov 22, 2026 at 2:32 PM, Ana wrote:'."""
    name = clean_line(parent.sender.name or parent.sender.email, _NAME_LENGTH)
    date = _moment(parent.date_ms, zone)
    if date and name:
        return _("On {date}, {name} wrote:").format(date=date, name=name)
    return _("{name} wrote:").format(name=name or date or "?")


def _moment(milliseconds: int | None, zone: tzinfo | None) -> str:
    """Date and time to the minute in the interface's language, '' for none."""
    from babel.dates import format_date, format_time

    from crmmail.i18n import language

    if milliseconds is None:
        return ""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return ""
    day, clock = format_date(moment, "medium", language()), format_time(moment, "short", locale=language())
    return clean_line(_("{day} at {time}").format(day=day, time=clock))


def _people(people: Iterable[Address]) -> str:
    named = [f"{one.name} <{one.email}>" if one.name and one.email else one.email or one.name for one in people]
    return clean_line(", ".join(filter(None, named)))


def _capped(text: str) -> str:
    return text if len(text) <= QUOTE_LIMIT else text[:QUOTE_LIMIT].rpartition("\n")[0] + "\n[…]\n"


def quoted(text: str) -> str:
    """`text` as a quotation: "> " before a line, ">" before one that is quoted or empty (RFC 3676 §4.5)."""
    lines = text.strip("\n").split("\n")
    return "\n".join(f">{line}" if line.startswith(">") or not line else f"> {line}" for line in lines) + "\n"


def begins(text: str) -> int:
    """Where in `text` the first quotation or forwarded message begins, its quote line included; len(text) for none."""
    position, attributed = 0, -1
    for line in text.split("\n"):
        if line.startswith(">"):
            return position if attributed < 0 else attributed
        if _CARRIED.match(line.rstrip()):
            return position
        if line.strip():
            attributed = position if _ATTRIBUTION.match(line.rstrip()[:500]) else -1
        position += len(line) + 1
    return len(text)


def own_words(text: str, signature: str = "") -> str:
    """What the writer said in `text`: no quotes and quote lines, nothing of a forwarded message, no signature."""
    kept: list[str] = []
    if signature:
        text = text.replace(block(signature), "")
    for line in text.split("\n"):
        if line.startswith(">"):
            if kept and _ATTRIBUTION.match(kept[-1].rstrip()[:500]):
                kept.pop()
        elif _CARRIED.match(line.rstrip()):
            break
        else:
            kept.append(line)
    return "\n".join(kept)


def block(signature: str) -> str:
    """A signature as it stands in a text: its delimiter line, then its lines."""
    return f"{DELIMITER}\n{signature.strip(chr(10)).rstrip()}\n"


def signed(text: str, signature: str) -> str:
    """`text` with `signature` under what is written: above a quotation, where its readers see it, else at the end."""
    if not signature.strip():
        return text
    start = begins(text)
    own, rest = text[:start].rstrip("\n"), text[start:]
    return f"{own}\n\n{block(signature)}" + (f"\n{rest}" if rest else "")


def below(answer: str, signature: str) -> tuple[str, int]:
    """The body of a reply that is written below its quotation, signed at the end, and where the writing starts."""
    start = answer.strip("\n") + "\n\n"
    return start + (f"\n\n{block(signature)}" if signature.strip() else ""), len(start)


def resigned(text: str, old: str, new: str) -> str:
    """`text` after a change of identity: its `old` signature becomes `new`. One that was edited stays."""
    if not old.strip():
        return signed(text, new)
    position = text.find(block(old))
    if position < 0:
        return text
    rest = text[position + len(block(old)) :]
    if new.strip():
        return text[:position] + block(new) + rest
    return text[:position].rstrip("\n") + ("\n\n" + rest.lstrip("\n") if rest.strip() else "\n" if text else "")
