"""What a provider's server reads from raw bytes: decoded headers, parts, bodies, a preview. Never raises on bad mail.

Kept apart from `crmmail.mail` on purpose: a counterpart that reads mail with the client's own parser would share
its mistakes.
"""

from __future__ import annotations

import email
import email.header
import email.message
import email.parser
import email.policy
import email.utils
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from crmmail.sandbox.fields import header_block

TAGS = re.compile(r"(?is)<(script|style|head|title)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>")
SPACES = re.compile(r"[\s\u200b\u200c\u200d\ufeff\u034f\u00ad]+")
PREVIEW_READS = 20_000  # characters of a body that a preview looks at
MAX_PARTS = 500
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that is no container. `content` is decoded from its transfer encoding; text keeps its charset."""

    number: str  # Gmail's partId: '0', '1.0', …; '' for a message that is one part
    content_type: str
    name: str
    content: bytes
    charset: str
    inline: bool
    content_id: str
    attached: bool  # disposition attachment, or has a name, or is no text
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The content as text."""
        return as_text(self.content, self.charset)


@lru_cache(8)  # one call may look at a message several times, and 25 MB take a second
def parse(raw: bytes) -> email.message.Message:
    """The message tree; the standard library's most forgiving reading. Too deep to read: the headers and one part.

    Only to be read: whoever asks for the same message gets the same tree.
    """
    try:
        return email.message_from_bytes(raw, policy=email.policy.compat32)
    except (RecursionError, ValueError, LookupError, TypeError):
        return email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(raw)


def as_text(content: bytes, charset: str) -> str:
    """Bytes as text in `charset`, or in whatever fits."""
    for candidate in (charset, "utf-8", "cp1252"):
        try:
            return content.decode(candidate or "utf-8")
        except (LookupError, ValueError):
            continue
    return content.decode("utf-8", "replace")


def decode_header(value: str) -> str:
    """A header value with its encoded words decoded, on one line."""
    flat = re.sub(r"\r?\n[ \t]+", " ", str(value))
    flat = flat.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" not in flat:
        return flat
    try:
        pieces = email.header.decode_header(flat)
    except (ValueError, LookupError, TypeError, email.errors.HeaderParseError):
        return flat
    decoded = (text if isinstance(text, str) else as_text(text, charset or "us-ascii") for text, charset in pieces)
    return "".join(decoded)


def headers(raw: bytes) -> list[tuple[str, str]]:
    """(name, decoded value) of every header field, in order."""
    pairs = []
    for line in header_block(raw).splitlines():
        name, colon, value = line.partition(b":")
        if colon and name and not name.strip().count(b" "):
            pairs.append((as_text(name.strip(), "ascii"), decode_header(as_text(value.strip(), "utf-8"))))
    return pairs


def first(pairs: list[tuple[str, str]], name: str) -> str:
    """The first value of the header `name` among `pairs`, '' when there is none."""
    return next((value for key, value in pairs if key.lower() == name.lower()), "")


def addresses(value: str) -> list[tuple[str, str]]:
    """(name, address) pairs of a decoded address header."""
    try:
        found = email.utils.getaddresses([value], strict=False)
    except TypeError:  # Pythons before the 2024 patch have no `strict`
        found = email.utils.getaddresses([value])
    return [(name, address) for name, address in found if name or address]


def raw_addresses(raw: bytes, name: str) -> list[tuple[str, str]]:
    """(decoded name, address) pairs of the header `name`; quoting is read before encoded words are decoded."""
    for line in header_block(raw).splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.lower().encode():
            return [(decode_header(who), address) for who, address in addresses(as_text(value.strip(), "utf-8"))]
    return []


def leaves(message: email.message.Message, number: str = "", depth: int = 0) -> Iterator[Leaf]:
    """The parts that hold something, in order. An attached message is one leaf."""
    if message.is_multipart() and message.get_content_maintype() == "multipart" and depth < MAX_DEPTH:
        parts = message.get_payload()
        for position, part in enumerate(parts if isinstance(parts, list) else []):
            if isinstance(part, email.message.Message):
                yield from leaves(part, f"{number}.{position}".lstrip("."), depth + 1)
        return
    yield _leaf(message, number)


def _leaf(part: email.message.Message, number: str) -> Leaf:
    disposition = (part.get_content_disposition() or "").lower()
    name = file_name(part)
    kind = part.get_content_type()
    content = _content(part)
    is_text = kind in ("text/plain", "text/html")
    return Leaf(
        number,
        kind,
        name,
        content,
        str(part.get_param("charset", "") or ""),
        disposition == "inline",
        str(part.get("Content-ID", "") or "").strip().strip("<>"),
        disposition == "attachment" or bool(name) or not is_text,
        tuple((key, decode_header(str(value))) for key, value in part.items()),
    )


def _content(part: email.message.Message) -> bytes:
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
        inner = part.get_payload()
        first_inner = inner[0] if isinstance(inner, list) and inner else None
        if isinstance(first_inner, email.message.Message):
            try:
                return first_inner.as_bytes()
            except (UnicodeError, LookupError, ValueError, TypeError, KeyError):
                return b""
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError, TypeError):
        content = None
    if isinstance(content, bytes):
        return content
    return str(part.get_payload() or "").encode("utf-8", "surrogateescape") if not part.is_multipart() else b""


def file_name(part: email.message.Message) -> str:
    """The part's file name as a server tells it: decoded, never made safe."""
    try:
        return decode_header(part.get_filename() or "")
    except (ValueError, LookupError, TypeError):
        return ""


def body_leaf(parts: list[Leaf], kind: str) -> Leaf | None:
    """The first text part of this content type that is not an attachment."""
    return next((leaf for leaf in parts if leaf.content_type == kind and not leaf.attached), None)


def body(parts: list[Leaf]) -> tuple[str, str]:
    """('html'|'text', content): what a reader would be shown."""
    for kind, short in (("text/html", "html"), ("text/plain", "text")):
        if leaf := body_leaf(parts, kind):
            return short, leaf.text
    return "text", ""


def html_to_text(markup: str) -> str:
    """A rough plain text of some HTML."""
    return html.unescape(TAGS.sub(" ", markup))


def preview(parts: list[Leaf], length: int) -> str:
    """The first characters of the text, on one line."""
    plain = body_leaf(parts, "text/plain")
    if plain and plain.content.strip():
        text = plain.text[:PREVIEW_READS]
    else:
        kind, text = body(parts)
        text = html_to_text(text[: PREVIEW_READS * 2]) if kind == "html" else text[:PREVIEW_READS]
    return SPACES.sub(" ", text).strip()[:length].strip()


def date(value: str) -> datetime | None:
    """A Date header in UTC; None when it cannot be read."""
    try:
        found = email.utils.parsedate_to_datetime(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def set_headers(raw: bytes, changes: dict[str, str | None]) -> bytes:
    """`raw` with some header fields replaced (None: removed) and nothing else touched, not even their order."""
    end = min((at for at in (raw.find(b"\r\n\r\n"), raw.find(b"\n\n")) if at >= 0), default=len(raw))
    head, rest = raw[:end], raw[end:]
    newline = b"\r\n" if b"\r\n" in head or not head else b"\n"
    for name, value in changes.items():
        field = re.compile(rb"(?im)^" + re.escape(name.encode()) + rb"[ \t]*:.*(?:\r?\n[ \t].*)*(?:\r?\n)?")
        head = field.sub(b"", head)
        if value is not None:
            line = name.encode() + b": " + value.encode("utf-8", "surrogateescape")
            head = line + newline + head if head else line
    return head.rstrip(b"\r\n") + (rest or newline * 2)
