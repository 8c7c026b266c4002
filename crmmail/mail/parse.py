"""Raw bytes → `model.Parsed`: headers, readable body, attachments, warnings. Never raises, whatever the bytes.

Which part is the body follows RFC 8621 §4.1.4 (parseStructure). Plain text is preferred where it says something; the
HTML alternative stays readable beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from crmmail.mail import addresses, attachments, headers, html, links, mime
from crmmail.mail.charsets import decode as decode_charset
from crmmail.mail.text import TEXT_LIMIT, clean_line, clean_text
from crmmail.model import Address, Attachment, Body, Headers, Link, Parsed

BODY_BYTES = 2 * TEXT_LIMIT
ATTACHMENTS_LIMIT = 500
SNIPPET_LENGTH = 200
PLAIN_LINKS_LIMIT = 500

_MEDIA = ("image/", "audio/", "video/")
_TO_MANY = frozenset({b"bulk", b"list", b"junk"})
_URL = re.compile(r"https?://[^\s<>\"'`]{1,2000}", re.IGNORECASE)
_CHUNK = 64 * 1024
_STUB = re.compile(r"html|browser|navegador|visualiz|e-?mail client|leitor de e-?mail", re.IGNORECASE)
_WORDS = re.compile(r"\w+")
_NUMBER = re.compile(r" ?\[\d{1,4}\]")
_ATTRIBUTION = re.compile(r"(?:On|Em|Le|Am|El|Il) .{4,200}(?:wrote|escreveu|écrit|schrieb|escribió|scritto) ?:\Z")
_FLOWED_QUOTES = re.compile(r">*")


def parse(raw: bytes) -> Parsed:
    """What `raw`, a whole message, says."""
    fields = headers.split(raw)
    tree = mime.walk_from(raw, fields)
    decoded, flags = _headers(fields)
    body = _Body(raw, tree).build(flags)
    return Parsed(decoded, body, snippet(body), len(raw))


def headers_from(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Headers from the (name, value) pairs of a provider's JSON."""
    return _headers(headers.from_pairs(pairs))[0]


def headers_of(raw: bytes) -> Headers:
    """Only the headers of a message, for lists."""
    return _headers(headers.split(raw))[0]


def _headers(fields: headers.Fields) -> tuple[Headers, list[str]]:
    """(the headers a reader shows, warnings)."""
    sender, flags = addresses.sender(fields)
    decoded = Headers(
        subject=fields.text("subject"),
        sender=sender,
        reply_to=_people(fields, "reply-to"),
        to=_people(fields, "to"),
        cc=_people(fields, "cc"),
        bcc=_people(fields, "bcc"),
        date_ms=_date(fields),
        message_id=headers.message_id(fields.first("message-id")),
        in_reply_to=next(iter(headers.message_ids(fields.first("in-reply-to"))), ""),
        references=headers.message_ids(fields.first("references")),
        list_id=fields.text("list-id", 300),
        bulk=_is_bulk(fields),
    )
    return decoded, [*flags, "truncated"] if fields.truncated else [*flags]


def _people(fields: headers.Fields, name: str) -> tuple[Address, ...]:
    values = fields.values.get(name)
    if not values:
        return ()
    if len(values) == 1:
        return addresses.parse(values[0])
    return addresses.parse(b",".join(values[:20]))


def _is_bulk(fields: headers.Fields) -> bool:
    """Whether a message says that it goes to many or that a program wrote it (RFC 2369 §3.2, 2076 §3.9, 3834 §5)."""
    if fields.first("list-unsubscribe").strip() or fields.first("precedence").strip().lower() in _TO_MANY:
        return True
    told = fields.first("auto-submitted").replace(b";", b" ").replace(b"(", b" ").split()
    return bool(told) and told[0].lower() != b"no"


def _date(fields: headers.Fields) -> int | None:
    """The Date header, else when the nearest server says it received the message."""
    if (stamp := headers.date_ms(fields.first("date"))) is not None:
        return stamp
    for name in ("received", "delivery-date", "resent-date"):
        if (stamp := headers.date_ms(fields.first(name).rpartition(b";")[2])) is not None:
            return stamp
    return None


@dataclass(slots=True)
class _Structure:
    """RFC 8621's three lists. None: not collected here, the alternative serves."""

    text: list[mime.Part] | None = field(default_factory=list)
    html: list[mime.Part] | None = field(default_factory=list)
    attached: list[mime.Part] = field(default_factory=list)


def _sort(parts: tuple[mime.Part, ...], kind: str, in_alternative: bool, into: _Structure) -> None:
    """Put each leaf of `parts` where it belongs. Recursion is as deep as the walk allowed."""
    texts, htmls = len(into.text or ()), len(into.html or ())
    for position, part in enumerate(parts):
        if part.is_multipart:
            inner = part.kind.partition("/")[2]
            _sort(part.children, inner, in_alternative or inner == "alternative", into)
        elif not _is_inline(part, kind, position):
            into.attached.append(part)
        elif kind == "alternative":
            chosen = {"text/plain": into.text, "text/html": into.html}.get(part.kind, into.attached)
            if chosen is not None:
                chosen.append(part)
        else:
            _place(part, in_alternative, into)
    if kind == "alternative" and into.text is not None and into.html is not None:
        if len(into.text) == texts and len(into.html) != htmls:
            into.text.extend(into.html[htmls:])
        elif len(into.html) == htmls and len(into.text) != texts:
            into.html.extend(into.text[texts:])


def _place(part: mime.Part, in_alternative: bool, into: _Structure) -> None:
    """A part shown in place, outside of a choice between alternatives."""
    if in_alternative and part.kind == "text/plain":
        into.html = None if not into.html else into.html
        (into.text if into.text is not None else into.attached).append(part)
        return
    if in_alternative and part.kind == "text/html":
        (into.html if into.html is not None else into.attached).append(part)
        return
    if part.kind.startswith(_MEDIA):
        into.attached.append(part)
        return
    for chosen in (into.text, into.html):
        if chosen is not None:
            chosen.append(part)


def _is_inline(part: mime.Part, kind: str, position: int) -> bool:
    """RFC 8621's `isInline`: a part of the running text."""
    if part.disposition == "attachment":
        return False
    is_media = part.kind.startswith(_MEDIA)
    if not is_media and part.kind not in ("text/plain", "text/html"):
        return False
    return position == 0 or (kind != "related" and (is_media or not _declared_name(part)))


def _declared_name(part: mime.Part) -> str:
    return part.disposition_parameters.get("filename", "") or part.parameters.get("name", "")


class _Body:
    """Builds the body of one message."""

    def __init__(self, raw: bytes, tree: mime.Tree) -> None:
        self.raw = raw
        self.tree = tree
        self.flags: list[str] = []
        self.blocked = 0
        self.links: tuple[Link, ...] = ()
        self.too_complex = tree.too_complex

    def build(self, flags: list[str]) -> Body:
        """The body, with the warnings of the headers and its own."""
        self.flags = flags
        structure = _Structure()
        root = self.tree.root
        _sort((root,), "mixed", False, structure)
        if not structure.text and not structure.html:
            self._take_other_text(structure)
        plain, rich, from_html = self._views(structure)
        self._list_cut_off(structure.attached)
        attached = self._attachments(structure.attached)
        self._warn(self.tree.ambiguous, "ambiguous_structure")
        return Body(
            text=plain,
            links=self.links,
            attachments=attached,
            blocked_images=self.blocked,
            from_html=from_html,
            flags=tuple(dict.fromkeys(self.flags)),
            html_text=rich,
            too_complex=self.too_complex,
        )

    def _warn(self, condition: bool, flag: str) -> None:
        if condition:
            self.flags.append(flag)

    def _take_other_text(self, structure: _Structure) -> None:
        """A message of nothing but, say, text/enriched or an invitation: its source is better than an empty page."""
        for part in structure.attached:
            if part.kind.startswith("text/") and part.disposition != "attachment":
                structure.text = [part]
                return

    def _list_cut_off(self, attached: list[mime.Part]) -> None:
        """A message that ends in the middle of a part: where it belonged is a guess, so it is shown and listed."""
        if self.tree.cut_off >= 0 and all(part.index != self.tree.cut_off for part in attached):
            attached.append(self.tree.leaves[self.tree.cut_off])
            self._warn(True, "ambiguous_structure")

    def _views(self, structure: _Structure) -> tuple[str, str, bool]:
        """(text, HTML as text where it differs, whether the text itself came from HTML)."""
        text_parts, html_parts = structure.text or [], structure.html or []
        kinds = {part.kind for part in text_parts}
        plain = self._joined(text_parts or html_parts)
        from_html = "text/html" in kinds or (not text_parts and any(part.kind == "text/html" for part in html_parts))
        if not text_parts or not html_parts or text_parts == html_parts:
            return plain, "", from_html
        if not from_html:
            self.links = _plain_links(plain)
        plain_links = self.links
        rich = self._joined(html_parts)
        if not rich.strip() or _same_words(plain, rich):
            return plain, "", from_html
        if _is_stub(plain, rich):
            return self._again(html_parts, plain_links), "", True
        return plain, rich, from_html

    def _again(self, parts: list[mime.Part], plain_links: tuple[Link, ...]) -> str:
        """The HTML shown alone: its links are numbered from one."""
        if plain_links:
            self.links, self.blocked = (), 0
            return self._joined(parts)
        return self._joined(parts)

    def _joined(self, parts: list[mime.Part]) -> str:
        """The parts as text, one after the other: each is rendered apart, so that no tag reaches into the next."""
        pieces = [self._html(part) if part.kind == "text/html" else self._plain(part) for part in parts]
        text = "\n\n".join(piece.strip("\n") for piece in pieces if piece.strip())
        self._warn(len(text) > TEXT_LIMIT, "truncated")
        if not self.links and not any(part.kind == "text/html" for part in parts):
            self.links = _plain_links(text)
        return text[:TEXT_LIMIT]

    def _octets(self, part: mime.Part) -> str:
        octets = mime.decoded(self.raw, part, BODY_BYTES)
        self._warn(len(octets) >= BODY_BYTES, "truncated")
        return decode_charset(octets, part.parameters.get("charset", ""))

    def _plain(self, part: mime.Part) -> str:
        text = self._octets(part)
        self._warn(len(text) > TEXT_LIMIT, "truncated")
        text = clean_text(text)
        if part.parameters.get("format", "").lower() == "flowed":
            text = unflowed(text, part.parameters.get("delsp", "").lower() == "yes")
        return text

    def _html(self, part: mime.Part) -> str:
        rendered = html.render(self._octets(part), self.links)
        self.links = rendered.links
        self.blocked += rendered.blocked_images
        self.too_complex = self.too_complex or rendered.too_complex
        self._warn(rendered.hidden, "hidden_text")
        return rendered.text

    def _attachments(self, parts: list[mime.Part]) -> tuple[Attachment, ...]:
        self._warn(len(parts) > ATTACHMENTS_LIMIT, "truncated")
        return tuple(self._attachment(part, number) for number, part in enumerate(parts[:ATTACHMENTS_LIMIT], 1))

    def _attachment(self, part: mime.Part, number: int) -> Attachment:
        declared = _declared_name(part)
        if other := part.parameters.get("name", ""):
            self._warn(attachments.safe_name(declared) != attachments.safe_name(other), "ambiguous_attachment_name")
        if not declared and part.kind == "message/rfc822":
            subject = headers.split(self.raw, part.start, part.end).text("subject", 100)
            declared = f"{subject.replace('/', '_')}.eml" if subject else ""
        content_id = clean_line(part.fields.first("content-id").decode("ascii", "replace").strip(" <>"), 200)
        is_text = part.index == self.tree.cut_off and not declared and part.kind in ("text/plain", "text/html")
        is_picture = part.kind.startswith(_MEDIA) and bool(content_id)
        inline = part.disposition != "attachment" and (is_text or is_picture)
        name = attachments.name_for(declared, part.kind, number)
        return Attachment(part.index, name, part.kind, _size(self.raw, part), inline, content_id)


def _size(raw: bytes, part: mime.Part) -> int:
    """Decoded bytes, without decoding what is base64: exact where that is well-formed."""
    length = part.end - part.start
    if part.encoding == "base64":
        breaks = raw.count(b"\n", part.start, part.end) + raw.count(b"\r", part.start, part.end)
        padding = raw.count(b"=", max(part.start, part.end - 8), part.end)
        return max((length - breaks) * 3 // 4 - padding, 0)
    if part.encoding in ("", "7bit", "8bit", "binary"):
        return length
    return len(mime.decoded(raw, part))


def _plain_links(text: str) -> tuple[Link, ...]:
    """The web addresses written out in plain text, numbered in their order."""
    found: dict[str, Link] = {}
    if "://" not in text:
        return ()
    for match in _URL.finditer(text):
        url = _without_punctuation(match[0])
        if url not in found and (host := links.host_of(url)):
            misleading = links.is_misleading("", url)
            found[url] = Link(len(found) + 1, url, url, links.shown_host(host), misleading)
        if len(found) >= PLAIN_LINKS_LIMIT:
            break
    return tuple(found.values())


def _without_punctuation(url: str) -> str:
    """`url` without the full stop or bracket of the sentence it stands in."""
    url = url.rstrip(".,;:!?*_~|")
    for opening, closing in ("()", "[]", "{}"):
        if url.endswith(closing) and url.count(opening) < url.count(closing):
            url = url.rstrip(closing).rstrip(".,;:!?")
    return url


def _same_words(plain: str, rich: str) -> bool:
    """Whether the two alternatives say the same, layout and link numbers aside."""
    if len(plain) > 3 * len(rich) + 200 or len(rich) > 3 * len(plain) + 200:
        return False
    return _WORDS.findall(plain) == _WORDS.findall(_NUMBER.sub("", rich))


def _is_stub(plain: str, rich: str) -> bool:
    """Whether the plain text is empty, or only says that there is HTML to be read."""
    said = plain.strip()
    return not said or (len(said) < 300 and len(rich) > 8 * len(said) + 200 and _STUB.search(said) is not None)


def unflowed(text: str, delete_space: bool = False) -> str:
    """format=flowed text (RFC 3676) with its soft line breaks taken out."""
    lines: list[str] = []
    pieces: list[str] = []
    depth = 0
    for line in text.split("\n"):
        quotes = len(_FLOWED_QUOTES.match(line[:100])[0])  # type: ignore[index]
        content = line[quotes:].removeprefix(" ")
        if pieces and quotes != depth:
            lines.append(_quoted(depth, pieces))
            pieces = []
        depth = quotes
        is_soft = content.endswith(" ") and content != "-- "
        pieces.append(content[:-1] if is_soft and delete_space else content)
        if not is_soft:
            lines.append(_quoted(depth, pieces))
            pieces = []
    if pieces:
        lines.append(_quoted(depth, pieces))
    return "\n".join(lines)


def _quoted(depth: int, pieces: list[str]) -> str:
    text = "".join(pieces)
    return f"{'>' * depth} {text}" if depth else text


def snippet(body: Body) -> str:
    """The first words of a body for the list: no quotes, attributions or signature, one clean line."""
    words: list[str] = []
    length = 0
    for line in body.text[:8_000].split("\n"):
        line = line.strip()
        if line == "--" or length >= SNIPPET_LENGTH:
            break
        if not line or line.startswith((">", "--", "__", "==", "**", "──")) or _ATTRIBUTION.match(line):
            continue
        words.append(line)
        length += len(line) + 1
    text = " ".join(words)
    return clean_line(_NUMBER.sub("", text) if body.from_html else text, SNIPPET_LENGTH)
