"""The parts of a message, found by one bounded walk over the raw bytes.

Nothing is copied but the headers. Limits: 50 levels, 1,000 parts, 20,000 boundary lines looked at; past them the rest
stays one part and the walk says `too_complex`. A forwarded message (message/rfc822) is one part, not opened.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from crmmail.mail import headers

DEPTH_LIMIT = 50
PARTS_LIMIT = 1_000
BOUNDARIES_LIMIT = 20_000

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,120}\Z")
_FIRST_WORD = re.compile(rb"[^\s;,]+")
_UU_BEGIN = re.compile(rb"(?:\A|\n)begin [0-7]{3,4} [^\r\n]*\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One node of the tree. `index` counts the leaves in order (-1 for a multipart); start and end are offsets."""

    index: int
    kind: str  # 'text/plain', in lower case
    parameters: dict[str, str]
    fields: headers.Fields
    start: int
    end: int
    children: tuple[Part, ...] = ()
    disposition: str = ""
    disposition_parameters: dict[str, str] = field(default_factory=dict)

    @property
    def is_multipart(self) -> bool:
        """Whether it was split into parts."""
        return self.index < 0

    @property
    def encoding(self) -> str:
        """The content transfer encoding, one word in lower case."""
        word = _FIRST_WORD.search(self.fields.first("content-transfer-encoding")[:200])
        return word[0].decode("ascii", "replace").lower() if word else ""


@dataclass(frozen=True, slots=True)
class Tree:
    """A walked message."""

    root: Part
    leaves: tuple[Part, ...]
    too_complex: bool = False
    ambiguous: bool = False  # two Content-Type fields and the like: others may read it differently
    cut_off: int = -1  # the leaf that ends with the message because no closing boundary came


@dataclass(slots=True)
class _Walk:
    raw: bytes
    leaves: list[Part] = field(default_factory=list)
    parts: int = 0
    boundaries: int = 0
    too_complex: bool = False
    ambiguous: bool = False
    cut_off: int = -1

    def part(self, start: int, end: int, depth: int, default: str) -> Part:
        """The part that raw[start:end] is, with its header."""
        return self.described(headers.split(self.raw, start, end), end, depth, default)

    def described(self, fields: headers.Fields, end: int, depth: int, default: str) -> Part:
        """The part whose header is `fields`."""
        self.parts += 1
        self.ambiguous |= any(len(fields.values.get(name, ())) > 1 for name in _SINGLE)
        kind, parameters = headers.parameters(fields.first("content-type"))
        disposition, more = headers.parameters(fields.first("content-disposition"))
        kind = _repaired(kind, default)
        body = min(fields.body, end)
        children: tuple[Part, ...] = ()
        if kind.startswith("multipart/") and parameters.get("boundary"):
            children = self._children(body, end, depth, kind, parameters["boundary"])
        if children:
            return Part(-1, kind, parameters, fields, body, end, children, disposition, more)
        kind = "text/plain" if kind.startswith("multipart/") else kind
        leaf = Part(len(self.leaves), kind, parameters, fields, body, end, (), disposition, more)
        self.leaves.append(leaf)
        return leaf

    def _children(self, start: int, end: int, depth: int, kind: str, boundary: str) -> tuple[Part, ...]:
        if depth >= DEPTH_LIMIT or self.parts >= PARTS_LIMIT:
            self.too_complex = True
            return ()
        default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
        children: list[Part] = []
        line = b"--" + boundary.encode("utf-8", "replace").strip()
        sections, is_closed = self._sections(start, end, line, exact=True)
        if not sections:
            # RFC 2046 §5.1.1 asks only that a line begin with the boundary; whole lines first tell nested ones apart.
            sections, is_closed = self._sections(start, end, line, exact=False)
        for first, last in sections:
            if self.parts >= PARTS_LIMIT:
                self.too_complex = True
                break
            children.append(self.part(first, last, depth + 1, default))
        if sections and not is_closed and sections[-1][1] == len(self.raw):
            self.cut_off = len(self.leaves) - 1
        return tuple(children)

    def _sections(self, start: int, end: int, line: bytes, *, exact: bool) -> tuple[list[tuple[int, int]], bool]:
        """(the byte ranges between the boundary lines, whether the closing one is there)."""
        sections: list[tuple[int, int]] = []
        opened = -1
        found = start if self.raw.startswith(line, start) else self._find(line, max(start - 1, 0), end)
        while found >= 0:
            after = found + len(line)
            line_end = self.raw.find(b"\n", after, end)
            line_end = end if line_end < 0 else line_end
            rest = self.raw[after : min(line_end, after + 100)].strip()
            closes = rest.startswith(b"--")
            if closes or not rest or not exact:
                if opened >= 0:
                    sections.append((opened, max(opened, self._without_line_end(found))))
                opened = min(line_end + 1, end)
                if closes:
                    return sections, True
            found = self._find(line, line_end, end)
        if 0 <= opened < end:
            sections.append((opened, end))
        return sections, False

    def _find(self, line: bytes, position: int, end: int) -> int:
        """Where the next line that begins with `line` begins, -1 without one."""
        self.boundaries += 1
        if self.boundaries > BOUNDARIES_LIMIT:
            self.too_complex = True
            return -1
        return self.raw.find(b"\n" + line, position, end) + 1 or -1

    def _without_line_end(self, position: int) -> int:
        """The line end in front of a boundary belongs to the boundary (RFC 2046 §5.1.1)."""
        return position - 2 if self.raw[position - 2 : position - 1] == b"\r" else position - 1


_SINGLE = ("content-type", "content-transfer-encoding", "content-disposition")


def walk(raw: bytes) -> Tree:
    """The tree of the message `raw`."""
    return walk_from(raw, headers.split(raw))


def walk_from(raw: bytes, fields: headers.Fields) -> Tree:
    """The tree of the message `raw` whose header was already split."""
    state = _Walk(raw)
    root = state.described(fields, len(raw), 0, "text/plain")
    return Tree(root, tuple(state.leaves), state.too_complex, state.ambiguous, state.cut_off)


def _repaired(kind: str, default: str) -> str:
    """`kind` where it is a media type; old and sloppy spellings read as what they mean."""
    if _TYPE.match(kind):
        return kind
    kind = kind.split()[0] if kind.split() else ""
    if _TYPE.match(kind):
        return kind
    return {"": default, "text": "text/plain", "html": "text/html"}.get(kind, "application/octet-stream")


def decoded(raw: bytes, part: Part, limit: int | None = None) -> bytes:
    """The content of a leaf with its transfer encoding taken off; at most about `limit` bytes where one is given."""
    encoding = part.encoding
    if encoding == "base64":
        return headers.decode_base64(raw[part.start : part.end])[:limit]
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw[part.start : part.end])[:limit]
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return _uudecoded(raw[part.start : part.end])[:limit]
    end = part.end if limit is None else min(part.end, part.start + limit)
    return raw[part.start : end]


def _uudecoded(content: bytes) -> bytes:
    begin = _UU_BEGIN.search(content)
    if begin is None:
        return content
    pieces: list[bytes] = []
    for line in content[begin.end() :].split(b"\n"):
        if line.rstrip() == b"end":
            break
        try:
            pieces.append(binascii.a2b_uu(line.rstrip(b"\r")))
        except binascii.Error:
            continue
    return b"".join(pieces)
