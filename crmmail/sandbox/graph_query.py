"""OData as Graph's mail understands it: $select, $filter, $orderby and $search, the useful part of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from crmmail.sandbox import graph_json as shapes
from crmmail.sandbox import mime
from crmmail.sandbox.fields import header
from crmmail.sandbox.gmail_query import OPERATORS
from crmmail.sandbox.mailbox import Mailbox, Message

Test = Callable[[Message], bool]
TOKEN = re.compile(
    r"\s*(?:'((?:[^']|'')*)'|(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|\d{4}-\d\d-\d\d)|([A-Za-z_$][\w/.]*)|(\d+)|([(),:]))"
)
OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}
FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part.lower() in text.lower(),
    "startswith": lambda text, part: text.lower().startswith(part.lower()),
    "endswith": lambda text, part: text.lower().endswith(part.lower()),
}


def selected(text: str) -> tuple[str, ...]:
    """The fields of $select. Raises Problem for one that does not exist."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in shapes.FIELDS:
            raise shapes.bad(
                "RequestBroker--ParseUri",
                f"Could not find a property named '{name}' on type 'microsoft.graph.message'.",
            )
    return names


class Filter:
    """A parsed $filter: `test` a message; `properties` in the order they are named."""

    def __init__(self, text: str, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.properties: list[str] = []
        self._tokens = self._read(text)
        self.test = self._either() if self._tokens else (lambda _message: True)
        if self._tokens:
            raise self._wrong()

    def _read(self, text: str) -> list[tuple[str, Any]]:
        tokens: list[tuple[str, Any]] = []
        at = 0
        while at < len(text.rstrip()):
            found = TOKEN.match(text, at)
            if not found:
                raise self._wrong()
            quoted, moment, word, digits, mark = found.groups()
            if quoted is not None:
                tokens.append(("value", quoted.replace("''", "'")))
            elif moment:
                tokens.append(("value", _moment(moment)))
            elif word:
                tokens.append(("word", word))
            elif digits:
                tokens.append(("value", int(digits)))
            else:
                tokens.append(("mark", mark))
            at = found.end()
        return tokens

    @staticmethod
    def _wrong() -> shapes.Problem:
        return shapes.bad("BadRequest", "Invalid filter clause: there is a syntax error in it.")

    def _take(self, *expected: str) -> Any:
        if not self._tokens or (expected and self._tokens[0][1] not in expected):
            raise self._wrong()
        return self._tokens.pop(0)[1]

    def _next_is(self, word: str) -> bool:
        return bool(self._tokens) and self._tokens[0] == ("word", word)

    def _either(self) -> Test:
        tests = [self._both()]
        while self._next_is("or"):
            self._take("or")
            tests.append(self._both())
        return lambda message: any(test(message) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._next_is("and"):
            self._take("and")
            tests.append(self._one())
        return lambda message: all(test(message) for test in tests)

    def _one(self) -> Test:
        if self._next_is("not"):
            self._take("not")
            inner = self._one()
            return lambda message: not inner(message)
        if self._tokens and self._tokens[0] == ("mark", "("):
            self._take("(")
            inner = self._either()
            self._take(")")
            return inner
        name = str(self._take())
        if name in FUNCTIONS:
            return self._function(FUNCTIONS[name])
        if name.endswith("/any"):
            return self._any(name.removesuffix("/any"))
        return self._compare(name)

    def _function(self, function: Callable[[str, str], bool]) -> Test:
        self._take("(")
        name = self._property()
        self._take(",")
        value = str(self._take())
        self._take(")")
        return lambda message: function(str(self._value(message, name) or ""), value)

    def _any(self, name: str) -> Test:
        self.properties.append(name)
        self._take("(")
        self._take()
        self._take(":")
        self._take()
        self._take("eq")
        value = self._take()
        self._take(")")
        return lambda message: value in (self._value(message, name) or ())

    def _compare(self, name: str) -> Test:
        self._check(name)
        operation = OPERATIONS[self._take(*OPERATIONS)]
        value = self._take()
        wanted = {"true": True, "false": False, "null": None}.get(value, value) if isinstance(value, str) else value

        def test(message: Message) -> bool:
            try:
                return operation(self._value(message, name), wanted)
            except TypeError:
                return False

        return test

    def _property(self) -> str:
        name = str(self._take())
        self._check(name)
        return name

    def _check(self, name: str) -> None:
        if name.split("/")[0] not in shapes.FIELDS:
            raise shapes.bad(
                "BadRequest", f"Could not find a property named '{name}' on type 'microsoft.graph.message'."
            )
        self.properties.append(name)

    def _value(self, message: Message, name: str) -> Any:
        if name in ("receivedDateTime", "createdDateTime"):
            return message.received_ms // 1000 * 1000
        if name == "isRead":
            return "UNREAD" not in message.labels
        if name == "internetMessageId":
            return header(message.raw, b"Message-ID")
        if name == "parentFolderId":
            return message.folder
        first, *rest = name.split("/")
        value: Any = shapes.message(self.mailbox, message, (first,), immutable=True).get(first)
        for step in rest:
            value = value.get(step) if isinstance(value, dict) else None
        return _moment(value) if first.endswith("DateTime") and isinstance(value, str) else value


def _moment(text: str) -> int:
    """A date or a moment in milliseconds since the epoch."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def ordering(text: str, filtered: Filter) -> tuple[Callable[[Message], Any] | None, bool]:
    """(sort key or None for the received order, newest first). Raises Problem for what Exchange finds inefficient."""
    if not text:
        return None, True
    clauses = [clause.split() for clause in text.split(",")]
    names = [clause[0] for clause in clauses]
    if filtered.properties and filtered.properties[: len(names)] != names:
        raise shapes.bad("InefficientFilter", "The restriction or sort order is too complex for this operation.")
    name, descending = names[0], clauses[0][-1].lower() == "desc"
    if name in ("receivedDateTime", "createdDateTime"):
        return None, descending
    return lambda message: _sortable(filtered, message, name), descending


def _sortable(filtered: Filter, message: Message, name: str) -> Any:
    value = filtered._value(message, name)
    return str(value).lower()


def search(text: str, mailbox: Mailbox, now: float) -> Test:
    """A $search: KQL, words and `property:value`, in one pair of double quotes."""
    inner = text.strip().removeprefix('"').removesuffix('"').replace('\\"', '"')
    tests: list[Test] = []
    for word in re.findall(r'\w+:"[^"]*"|\w+:\S+|"[^"]*"|\S+', inner):
        if word in ("AND", "OR"):
            continue
        name, colon, value = word.partition(":")
        tests.append(_search_term(name.lower() if colon else "", (value if colon else word).strip('"'), mailbox, now))
    return lambda message: all(test(message) for test in tests)


def _search_term(name: str, value: str, mailbox: Mailbox, now: float) -> Test:
    lowered = value.lower()
    if name in ("from", "to", "cc", "bcc", "subject"):
        return OPERATORS[name](value, mailbox, now)
    if name in ("participants", "recipients"):
        fields = (b"From", b"To", b"Cc", b"Bcc") if name == "participants" else (b"To", b"Cc", b"Bcc")
        return lambda message: any(lowered in header(message.raw, field).lower() for field in fields)
    if name == "hasattachments":
        return OPERATORS["has"]("attachment", mailbox, now)
    return lambda message: lowered in _text(message)


def _text(message: Message) -> str:
    raw = message.raw
    pairs = mime.headers(raw)
    _kind, body = mime.body(list(mime.leaves(mime.parse(raw))))
    return " ".join([*(mime.first(pairs, name) for name in ("Subject", "From")), body]).lower()
