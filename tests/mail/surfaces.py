"""Everything a message says to the user, as the strings the interface is handed, and what none of them may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

from crmmail.model import Parsed
from crmmail.tui import format

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
INVISIBLE = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\u061c\u180e\U000e0000-\U000e007f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
SENDER, SUBJECT = 24, 48


@dataclass(frozen=True, slots=True)
class Shown:
    """A parsed message on its surfaces."""

    list_row: str
    header_view: str
    subject: str
    body: str
    filename: str
    preview: str
    status_line: str = ""

    def where(self, wish: str | list[str] | None) -> str:
        """The text of the surfaces an invariant names; all of them for 'all'."""
        names = [wish] if isinstance(wish, str) else wish or ["all"]
        names = [field.name for field in fields(self)] if "all" in names else names
        return "\n".join(getattr(self, name) for name in names)


def shown(parsed: Parsed) -> Shown:
    """What is painted for `parsed`."""
    headers = parsed.headers
    everyone = (headers.sender, *headers.to, *headers.cc, *headers.bcc, *headers.reply_to)
    return Shown(
        list_row=f"{format.cells(format.person(headers.sender), SENDER)} {format.cells(headers.subject, SUBJECT)}",
        header_view="\n".join([*map(format.person_in_full, everyone), headers.subject]),
        subject=headers.subject,
        body="\n".join((parsed.body.text, parsed.body.html_text)),
        filename="\n".join(attachment.name for attachment in parsed.body.attachments),
        preview=parsed.snippet,
    )


def strings(value: object, name: str = "parsed") -> Iterator[tuple[str, str]]:
    """(where, string) for every string inside a parsed message."""
    if isinstance(value, str):
        yield name, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from strings(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from strings(item, f"{name}[{number}]")


def controls(parsed: Parsed) -> list[str]:
    """Where a control character stands; the newline is one except in a body's text."""
    found = []
    for name, text in strings(parsed):
        allowed = text.replace("\n", "") if name in ("parsed.body.text", "parsed.body.html_text") else text
        if match := CONTROL.search(allowed):
            found.append(f"{name}: {match[0]!r}")
    return found
