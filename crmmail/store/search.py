"""The query language: words, `from:` `to:` `subject:` `has:` `is:` `in:` `before:` `after:`, in English and Portuguese.

Pure, and it never raises: what is not understood is looked for as words. All words must occur; `-word` must not.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crmmail.model import Role

MAX_TERMS = 32
COLUMNS = {
    "from": "sender",
    "de": "sender",
    "to": "recipients",
    "para": "recipients",
    "cc": "recipients",
    "subject": "subject",
    "assunto": "subject",
}
FOLDERS = {
    **{role.value: role.value for role in Role},
    "entrada": "inbox",
    "rascunhos": "drafts",
    "draft": "drafts",
    "enviados": "sent",
    "enviadas": "sent",
    "lixeira": "trash",
    "arquivo": "archive",
    "favoritos": "favorites",
    "starred": "favorites",
    "todos": "all",
    "tudo": "all",
}
FLAGS = {
    ("is", "unread"): ("unread", True),
    ("is", "read"): ("unread", False),
    ("is", "starred"): ("starred", True),
    ("is", "favorite"): ("starred", True),
    ("has", "attachment"): ("attachment", True),
    ("has", "attachments"): ("attachment", True),
    ("é", "nova"): ("unread", True),
    ("é", "lida"): ("unread", False),
    ("é", "favorita"): ("starred", True),
    ("is", "lida"): ("unread", False),
    ("is", "nova"): ("unread", True),
    ("is", "favorita"): ("starred", True),
    ("tem", "anexo"): ("attachment", True),
    ("tem", "anexos"): ("attachment", True),
}
BEFORE, AFTER = frozenset({"before", "antes"}), frozenset({"after", "depois", "desde", "since"})
IN = frozenset({"in", "em"})
_TERM = re.compile(r'(-?)(?:(\w+):)?(?:"([^"]*)"?|(\S+))')
_DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?|(\d{1,2})/(\d{1,2})/(\d{4})")
_AGO = re.compile(r"(\d{1,4})([dwsmya])")
_DAYS = {"d": 1, "w": 7, "s": 7, "m": 30, "y": 365, "a": 365}


@dataclass(frozen=True, slots=True)
class Search:
    """A query understood. `match`/`exclude` are FTS5 expressions, '' for none; flags None where not asked for."""

    match: str = ""
    exclude: tuple[str, ...] = ()
    unread: bool | None = None
    starred: bool | None = None
    attachment: bool | None = None
    folder: str = ""  # a folder key or a folder's name, '' for the list's own
    before_ms: int | None = None  # received earlier than
    after_ms: int | None = None  # received then or later


@dataclass(slots=True)
class _Reading:
    """What the terms said so far."""

    words: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    flags: dict[str, bool] = field(default_factory=dict)
    folder: str = ""
    before_ms: int | None = None
    after_ms: int | None = None


def parse(text: str, now: datetime | None = None) -> Search:
    """The query `text` as the user typed it; the last word also finds what it begins."""
    reading = _Reading()
    moment = now or datetime.now().astimezone()
    found = list(_TERM.finditer(text[:2000]))[:MAX_TERMS]
    for place, term in enumerate(found):
        _take(reading, term, moment, last=place == len(found) - 1)
    return Search(
        match=" AND ".join(reading.words),
        exclude=tuple(reading.exclude),
        unread=reading.flags.get("unread"),
        starred=reading.flags.get("starred"),
        attachment=reading.flags.get("attachment"),
        folder=reading.folder,
        before_ms=reading.before_ms,
        after_ms=reading.after_ms,
    )


def _take(reading: _Reading, term: re.Match[str], now: datetime, *, last: bool) -> None:
    minus, name, quoted, bare = term.group(1), (term.group(2) or "").lower(), term.group(3), term.group(4)
    value = quoted if quoted is not None else bare
    if _operator(reading, name, value, now, wanted=not minus):
        return
    column = COLUMNS.get(name, "")
    words = tokens(value if column or not name else f"{name} {value}")
    prefix = quoted is None and (last or bool(column))
    expressions = [_expression(word, column, prefix and word is words[-1]) for word in words]
    if minus:
        reading.exclude.extend(expressions[:1] if len(expressions) == 1 else [" AND ".join(expressions)] * bool(words))
    else:
        reading.words.extend(expressions)


def _operator(reading: _Reading, name: str, value: str, now: datetime, *, wanted: bool) -> bool:
    """Whether `name:value` was one of the operators that are not about words, and then taken."""
    flag = FLAGS.get((name, value.lower()))
    if flag is not None:
        reading.flags[flag[0]] = flag[1] == wanted
        return True
    if name in IN and wanted and value:
        reading.folder = FOLDERS.get(value.lower(), value)
        return True
    moment = _moment(value, now) if name in BEFORE | AFTER and wanted else None
    if moment is None:
        return False
    if name in BEFORE:
        reading.before_ms = moment
    else:
        reading.after_ms = moment
    return True


def tokens(text: str) -> list[str]:
    """The words of `text` as the index's tokenizer cuts them: runs of letters and digits, accents dropped."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return "".join(char if char.isalnum() else " " for char in plain).split()[:MAX_TERMS]


def _expression(word: str, column: str, prefix: bool) -> str:
    """An FTS5 expression for one word, which holds letters and digits only."""
    return f'{column + " : " if column else ""}"{word}"{" *" if prefix and len(word) > 1 else ""}'


def _moment(text: str, now: datetime) -> int | None:
    """Milliseconds of `2026`, `2026-11`, `2026-11-22`, `22/11/2026` (local midnight) or `7d`, `2w`, `3m`, `1y` ago."""
    if ago := _AGO.fullmatch(text.lower()):
        return int((now - timedelta(days=int(ago[1]) * _DAYS[ago[2]])).timestamp() * 1000)
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (found[1], found[2] or 1, found[3] or 1) if found[1] else (found[6], found[5], found[4])
    try:
        return int(datetime(int(year), int(month), int(day), tzinfo=now.tzinfo).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
