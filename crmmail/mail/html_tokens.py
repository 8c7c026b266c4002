"""HTML cut into tags and text, in one linear pass with hard limits.

Own code because no library is safe alone: 125,000 `<!--` or 50,000 attributes take any of them more than 40 s. Here
each character is looked at a bounded number of times: at most 1 MB, 50,000 tags and 64 attributes per tag are read.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

CHARACTERS_LIMIT = 1_000_000
TAGS_LIMIT = 50_000
ATTRIBUTES_LIMIT = 64

_TEXT = re.compile(r"(?:[^<]++|<(?![A-Za-z/!?]))++")
_SIMPLE_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)\s*+(/?)>")
_TAG_START = re.compile(r"<(/?)([A-Za-z][^\s/>]*+)")
_NAME = r"[\s/]*+([^\s/>=]++)(?:\s*+=\s*+(?:"
_VALUES = {  # by which quotes still follow: one that is never closed must not be searched for again and again
    (True, True): rf"""{_NAME}"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+)))?+""",
    (True, False): rf"""{_NAME}"([^"]*+)"|()([^\s>"][^\s>]*+)))?+""",
    (False, True): rf"""{_NAME}'([^']*+)'|()([^\s>'][^\s>]*+)))?+""",
    (False, False): rf"""{_NAME}()()([^\s>]++)))?+""",
}
_ATTRIBUTE = {quotes: re.compile(pattern) for quotes, pattern in _VALUES.items()}
_BETWEEN = re.compile(r"[\s/=]++")
_RAW_TEXT = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
_LONG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{8,};?")


class Tag(NamedTuple):
    """A start or end tag. Names are in lower case; `raw` is what a raw text element such as style holds."""

    name: str
    closing: bool = False
    attributes: dict[str, str] = {}
    raw: str = ""


class Overflow(NamedTuple):
    """The last token of a document that was longer or had more tags than the limits."""


_OVERFLOW = Overflow()


def tokens(source: str) -> Iterator[str | Tag | Overflow]:
    """The texts (entities decoded) and tags of `source` in order; comments and declarations are left out."""
    overflows = len(source) > CHARACTERS_LIMIT
    source = source[:CHARACTERS_LIMIT]
    reader = _Reader(source)
    position, tags, end = 0, 0, len(source)
    while position < end:
        if text := _TEXT.match(source, position):
            position = text.end()
            yield unescape(text[0])
            continue
        tags += 1
        if tags > TAGS_LIMIT:
            overflows = True
            break
        tag, position = reader.markup(position)
        if tag is not None:
            yield tag
    if overflows:
        yield _OVERFLOW


def unescape(text: str) -> str:
    """`text` with its entities decoded. Numbers no character has are taken out first: `int` refuses the very long."""
    if "&" not in text:
        return text
    if "&#" in text:
        text = _LONG_NUMBER.sub("\ufffd", text)
    return html.unescape(text)


class _Reader:
    """Reads one piece of markup at a time; remembers where the last quotes are, so that none is searched twice."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.last_double = source.rfind('"')
        self.last_single = source.rfind("'")

    def markup(self, position: int) -> tuple[Tag | None, int]:
        """(the tag at `position`, None for a comment or declaration; where it ends)."""
        source = self.source
        if simple := _SIMPLE_TAG.match(source, position):
            tag = Tag(simple[2].lower(), bool(simple[1]))
            return self._with_raw(tag, simple.end())
        if start := _TAG_START.match(source, position):
            attributes, end = self._attributes(start.end())
            return self._with_raw(Tag(start[2].lower(), bool(start[1]), attributes), end)
        return None, self._comment_end(position)

    def _comment_end(self, position: int) -> int:
        source = self.source
        if not source.startswith("<!--", position):
            end = source.find(">", position)
        elif source.startswith((">", "->"), position + 4):
            return source.find(">", position) + 1
        else:
            end = source.find("-->", position + 4) + 2
            end = -1 if end == 1 else end
        return len(source) if end < 0 else end + 1

    def _attributes(self, position: int) -> tuple[dict[str, str], int]:
        """(the attributes from `position` on, where the tag ends)."""
        source, end = self.source, len(self.source)
        found: dict[str, str] = {}
        while position < end:
            if source[position] == ">":
                return found, position + 1
            if len(found) >= ATTRIBUTES_LIMIT:
                close = source.find(">", position)
                return found, end if close < 0 else close + 1
            pattern = _ATTRIBUTE[position < self.last_double, position < self.last_single]
            if match := pattern.match(source, position):
                position = match.end()
                found.setdefault(match[1].lower(), unescape(match[2] or match[3] or match[4] or ""))
            elif between := _BETWEEN.match(source, position):
                position = between.end()
        return found, end

    def _with_raw(self, tag: Tag, position: int) -> tuple[Tag, int]:
        """A raw text element swallows everything up to its end tag (or the end of the document)."""
        if tag.closing or tag.name not in _RAW_TEXT:
            return tag, position
        close = _RAW_TEXT[tag.name].search(self.source, position)
        end = close.start() if close else len(self.source)
        return tag._replace(raw=self.source[position:end]), end
