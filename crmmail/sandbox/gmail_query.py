"""Gmail's search language, the useful part of it: a query as a test of a message."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime

from crmmail.sandbox import mime
from crmmail.sandbox.fields import header
from crmmail.sandbox.mailbox import Mailbox, Message

Test = Callable[[Message], bool]
PLACES = {
    "inbox": "INBOX",
    "sent": "SENT",
    "trash": "TRASH",
    "spam": "SPAM",
    "draft": "DRAFT",
    "drafts": "DRAFT",
    "starred": "STARRED",
    "important": "IMPORTANT",
    "unread": "UNREAD",
}
UNITS = {"d": 86_400, "h": 3_600, "m": 30 * 86_400, "y": 365 * 86_400}
EVERYWHERE = re.compile(r"(?i)(^|\s)(in:(anywhere|trash|spam)|rfc822msgid:)")


def looks_everywhere(query: str) -> bool:
    """Whether the query itself reaches into spam and trash."""
    return EVERYWHERE.search(query) is not None


def compile_query(query: str, mailbox: Mailbox, now: float) -> Test:
    """A test for `query`. What it does not know is looked for as words, as Gmail does."""
    try:
        words = shlex.split(query.replace("'", "\\'").replace("(", " ").replace(")", " "))
    except ValueError:
        words = query.split()
    groups: list[list[Test]] = [[]]
    either = False
    for word in words:
        if word == "OR":
            either = True
            continue
        test = _term(word, mailbox, now)
        if either and groups[-1]:
            groups[-1].append(test)
        else:
            groups.append([test])
        either = False
    wanted = [group for group in groups if group]
    return lambda message: all(any(test(message) for test in group) for group in wanted)


def _term(word: str, mailbox: Mailbox, now: float) -> Test:
    if word.startswith("-") and len(word) > 1:
        inner = _term(word[1:], mailbox, now)
        return lambda message: not inner(message)
    name, colon, value = word.partition(":")
    maker = OPERATORS.get(name.lower()) if colon else None
    if maker:
        return maker(value, mailbox, now)
    return lambda message: word.lower() in _everything(message)


def _label(value: str, mailbox: Mailbox, _now: float) -> Test:
    lowered = value.lower()
    if lowered == "anywhere":
        return lambda message: True
    if lowered == "archive":
        return lambda message: not message.labels & {"INBOX", "TRASH", "SPAM", "SENT", "DRAFT"}
    wanted = PLACES.get(lowered) or next(
        (
            place.id
            for place in mailbox.places.values()
            if lowered in (place.id.lower(), place.name.lower(), re.sub(r"[\s/]+", "-", place.name.lower()))
        ),
        "",
    )
    return lambda message: wanted in message.labels


def _is(value: str, mailbox: Mailbox, now: float) -> Test:
    if value.lower() == "read":
        return lambda message: "UNREAD" not in message.labels
    return _label(value, mailbox, now)


def _header(name: str) -> Callable[[str, Mailbox, float], Test]:
    def make(value: str, _mailbox: Mailbox, _now: float) -> Test:
        lowered = value.lower()
        field = name.encode()
        return lambda message: lowered in mime.decode_header(header(message.raw, field)).lower()

    return make


def _message_id(value: str, mailbox: Mailbox, _now: float) -> Test:
    key = mailbox.by_message_id(value)
    return lambda message: message.key == key


def _moment(value: str) -> int:
    """Milliseconds of `2026/11/22`, `2026-11-22` or seconds since the epoch."""
    if value.isdigit():
        return int(value) * 1000
    found = re.fullmatch(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})", value)
    if not found:
        return 0
    year, month, day = (int(part) for part in found.groups())
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


def _after(value: str, _mailbox: Mailbox, _now: float) -> Test:
    moment = _moment(value)
    return lambda message: message.received_ms >= moment


def _before(value: str, _mailbox: Mailbox, _now: float) -> Test:
    moment = _moment(value)
    return lambda message: message.received_ms < moment


def _newer(value: str, _mailbox: Mailbox, now: float) -> Test:
    edge = _age(value, now)
    return lambda message: message.received_ms >= edge


def _older(value: str, _mailbox: Mailbox, now: float) -> Test:
    edge = _age(value, now)
    return lambda message: message.received_ms < edge


def _age(value: str, now: float) -> float:
    found = re.fullmatch(r"(\d+)([dhmy])", value.lower())
    return (now - int(found.group(1)) * UNITS[found.group(2)]) * 1000 if found else 0.0


def _has(value: str, _mailbox: Mailbox, _now: float) -> Test:
    if value.lower() != "attachment":
        return lambda message: False
    return lambda message: any(leaf.name for leaf in mime.leaves(mime.parse(message.raw)))


def _everything(message: Message) -> str:
    raw = message.raw
    pairs = mime.headers(raw)
    shown = " ".join(mime.first(pairs, name) for name in ("Subject", "From", "To", "Cc"))
    _kind, text = mime.body(list(mime.leaves(mime.parse(raw))))
    return f"{shown} {text}".lower()


OPERATORS: dict[str, Callable[[str, Mailbox, float], Test]] = {
    "in": _label,
    "label": _label,
    "is": _is,
    "from": _header("From"),
    "to": _header("To"),
    "cc": _header("Cc"),
    "bcc": _header("Bcc"),
    "subject": _header("Subject"),
    "list": _header("List-Id"),
    "rfc822msgid": _message_id,
    "after": _after,
    "before": _before,
    "newer": _after,
    "older": _before,
    "newer_than": _newer,
    "older_than": _older,
    "has": _has,
}
