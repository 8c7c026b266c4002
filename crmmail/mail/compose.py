"""A Draft → the bytes that are sent. Pure: the time, the ids and the files' content are arguments.

What goes out is valid by the letter (RFC 5322, 2045–2047, 2231; 7-bit but for a forwarded message that is not), and is
what the composer showed: text, names and files come back from it unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from email.utils import format_datetime

from crmmail.errors import DraftError
from crmmail.i18n import _
from crmmail.mail import addresses, attachments, encode, headers, mime
from crmmail.mail.text import clean_line
from crmmail.model import Address, Draft, Enclosure, Identity

Contents = Callable[[str], bytes]  # digest of an enclosure → its bytes; `store.enclosure`

TOKEN_FIELD = "X-Crmmail-Id"
_TOKEN = re.compile(r"[A-Za-z0-9._-]{8,100}\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}\Z")
_UNKNOWN = "application/octet-stream"
_MESSAGE = "message/rfc822"
_HEAD_SIZE = 600  # bytes, about, of the fields that are there in every message
_PART_SIZE = 250


@dataclass(frozen=True, slots=True)
class File:
    """A file that a forward carries along; `store.enclose` takes it."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Part:
    """A MIME part: its header fields, whole with line ends, and its encoded body, which ends with a line end."""

    head: bytes
    body: tuple[bytes, ...]
    eight_bit: bool = False


def build(
    draft: Draft,
    identity: Identity,
    enclosures: Contents,
    *,
    message_id: str,
    token: str,
    now: float,
    keep_bcc: bool,
    zone: tzinfo | None = None,
) -> bytes:
    """The message that `draft`, sent as `identity`, is.

    `message_id` and `token` as `new_message_id` and a fresh uuid give them; `now` seconds since the epoch, `zone` for
    the Date field (None: the computer's). `keep_bcc`: the APIs of Gmail and Graph read the blind recipients from the
    header, SMTP must not see it. Raises DraftError, with what to do, for an invalid address or a file that is gone.
    """
    return b"".join(pieces(draft, identity, enclosures, message_id, token, now, keep_bcc, zone))


def pieces(
    draft: Draft,
    identity: Identity,
    enclosures: Contents,
    message_id: str,
    token: str,
    now: float,
    keep_bcc: bool,
    zone: tzinfo | None = None,
) -> Iterator[bytes]:
    """The same bytes, a file at a time."""
    if not _TOKEN.match(token) or not message_id or headers.message_id(message_id.encode()) != message_id:
        raise ValueError("the token must be a plain word, the message id one id in angle brackets")
    yield b"".join(_fields(draft, identity, message_id, token, now, keep_bcc, zone))
    body = _body(draft, token)
    if not draft.enclosures:
        yield from _whole(body)
        return
    yield from _mixed(body, draft.enclosures, enclosures, token)


def new_message_id(email: str, token: str) -> str:
    """Our Message-ID: `token`, a fresh uuid, at the sender's domain, so that it says nothing about this computer."""
    domain = email.rpartition("@")[2]
    return f"<{token}@{domain if domain and not domain.startswith('[') else 'crmmail.invalid'}>"


def envelope(draft: Draft) -> list[str]:
    """The addresses `draft` goes to, each once. Raises DraftError for one that is not valid."""
    found: dict[str, str] = {}
    for person in (*draft.to, *draft.cc, *draft.bcc):
        email = _checked(person).email
        found.setdefault(email.casefold(), email)
    return list(found.values())


def estimated_size(draft: Draft) -> int:
    """About how many bytes `build` makes: within 2 % and some kilobytes, without reading a file."""
    people = (*draft.to, *draft.cc, *draft.bcc)
    size = _HEAD_SIZE + sum(60 + len(person.name) * 3 + len(person.email) for person in people)
    size += 3 * len(draft.subject) + sum(map(len, draft.references))
    text = encode.text_size(draft.text)
    size += text * 5 // 2 if draft.markdown else text
    for enclosure in draft.enclosures:
        is_message = enclosure.content_type == _MESSAGE
        size += _PART_SIZE + (enclosure.size if is_message else encode.base64_size(enclosure.size))
    return size


def _fields(
    draft: Draft, identity: Identity, message_id: str, token: str, now: float, keep_bcc: bool, zone: tzinfo | None
) -> Iterator[bytes]:
    sender = _checked(identity.address)
    sent = datetime.fromtimestamp(now, UTC).astimezone(zone)
    yield b"MIME-Version: 1.0\r\n"
    yield f"Date: {format_datetime(sent)}\r\n".encode("ascii")
    yield encode.people_field("From", (sender,))
    if identity.reply_to:
        yield encode.people_field("Reply-To", (_checked(Address("", identity.reply_to)),))
    for name, people in (("To", draft.to), ("Cc", draft.cc), ("Bcc", draft.bcc if keep_bcc else ())):
        if people:
            yield encode.people_field(name, [_checked(person) for person in people])
    if subject := encode.one_line(draft.subject):
        yield encode.text_field("Subject", subject)
    yield encode.ids_field("Message-ID", (message_id,))
    if parent := _ids((draft.in_reply_to,)):
        yield encode.ids_field("In-Reply-To", parent)
    if chain := _ids(draft.references):
        yield encode.ids_field("References", chain)
    yield f"{TOKEN_FIELD}: {token}\r\n".encode("ascii")


def _checked(person: Address) -> Address:
    """`person` with a valid address in ASCII, its domain as DNS spells it (RFC 5891)."""
    email = addresses.addr_spec(person.email)
    if email and email.isascii():
        return Address(person.name, email)
    shown = clean_line(person.email or person.name, 80)
    if email:
        raise DraftError(
            _("“{address}” has letters before the @ that not every mail server can carry.").format(address=shown),
            next_step=_("Ask for another address of this person."),
        )
    raise DraftError(
        _("“{address}” is not a valid address.").format(address=shown),
        next_step=_("Correct or remove it, then send again."),
    )


def _ids(ids: Iterable[str]) -> list[str]:
    """Those of `ids` that are message ids."""
    return [found for given in ids for found in headers.message_ids(given.encode("utf-8", "replace"))]


def _body(draft: Draft, token: str) -> _Part:
    plain = _text_part("plain", draft.text)
    if not draft.markdown:
        return plain
    from crmmail.mail import markdown

    return _joined("alternative", (plain, _text_part("html", markdown.html(draft.text))), token)


def _text_part(subtype: str, text: str) -> _Part:
    encoding, body = encode.text_body(text)
    charset = "us-ascii" if encoding == "7bit" else "utf-8"
    head = f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return _Part(head.encode("ascii"), (body,))


def _joined(subtype: str, parts: Sequence[_Part], token: str) -> _Part:
    """A multipart of `parts`, under a boundary that none of them holds."""
    boundary = _boundary(subtype, parts, token)
    eight_bit = any(part.eight_bit for part in parts)
    head = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n'
    head += "Content-Transfer-Encoding: 8bit\r\n" if eight_bit else ""
    line = b"--" + boundary.encode("ascii")
    body = [piece for part in parts for piece in (line + encode.CRLF, *_whole(part), encode.CRLF)]
    return _Part(head.encode("ascii"), (*body, line + b"--\r\n"), eight_bit)


def _boundary(subtype: str, parts: Sequence[_Part], token: str) -> str:
    """'=_' is in no base64 and no quoted-printable; the token keeps it out of all else, and that is looked up."""
    boundary = f"=_{subtype[:3]}_{token[:36]}"
    while any(boundary.encode("ascii") in piece for part in parts for piece in part.body):
        boundary += "_"
    return boundary


def _whole(part: _Part) -> Iterator[bytes]:
    yield part.head + encode.CRLF
    yield from part.body


def _mixed(body: _Part, files: Sequence[Enclosure], contents: Contents, token: str) -> Iterator[bytes]:
    parts = [body, *(_file_part(file, _content(file, contents), number) for number, file in enumerate(files, 1))]
    yield from _whole(_joined("mixed", parts, token))


def _content(file: Enclosure, contents: Contents) -> bytes:
    """The bytes of `file`, which must be as many as when it was attached."""
    try:
        content = contents(file.digest)
    except (KeyError, OSError) as error:
        raise _gone(file) from error
    if len(content) != file.size:
        raise _gone(file)
    return content


def _gone(file: Enclosure) -> DraftError:
    return DraftError(
        _("The attachment “{name}” is no longer what was attached.").format(name=clean_line(file.name, 80)),
        next_step=_("Attach the file again or remove it, then send again."),
    )


def _file_part(file: Enclosure, content: bytes, number: int) -> _Part:
    kind = file.content_type.strip().lower()
    kind = kind if _MEDIA_TYPE.match(kind) else _UNKNOWN
    name = attachments.name_for(file.name, kind, number)
    if kind == _MESSAGE and (carried := _message_lines(content)) is not None:
        return _message_part(name, carried)
    if kind.startswith(("message/", "multipart/")):
        kind = _UNKNOWN  # RFC 2046 §5.2: no message type may be in base64
    charset = "; charset=utf-8" if kind.startswith("text/") and _is_utf8(content) else ""
    head = f"Content-Type: {kind}{charset}\r\nContent-Transfer-Encoding: base64\r\n{_disposition(name)}"
    return _Part(head.encode("ascii"), (encode.base64_body(content) or encode.CRLF,))


def _disposition(name: str) -> str:
    return f"Content-Disposition: attachment;{encode.file_name(name)}\r\n"


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _message_part(name: str, content: bytes) -> _Part:
    eight_bit = not content.isascii()
    encoding = "8bit" if eight_bit else "7bit"
    head = f"Content-Type: {_MESSAGE}\r\nContent-Transfer-Encoding: {encoding}\r\n{_disposition(name)}"
    return _Part(head.encode("ascii"), (content,), eight_bit)


def _message_lines(content: bytes) -> bytes | None:
    """`content` where it can go as a message without a byte changed but line ends made CRLF; None where it cannot.

    RFC 5322 §2.1.1 and RFC 6152: no NUL, no lone CR, at most 998 bytes in a line.
    """
    if b"\r" not in content:
        content = content.replace(b"\n", encode.CRLF)
    breaks = content.count(encode.CRLF)
    if b"\0" in content or breaks != content.count(b"\n") or breaks != content.count(b"\r"):
        return None
    return None if any(len(line) > 998 for line in content.split(encode.CRLF)) else content


def carried(parent: bytes) -> list[File]:
    """The attachments of the message `parent`, for a forward that quotes it: all leaves that are not its text."""
    from crmmail.mail.parse import parse

    leaves = mime.walk(parent).leaves
    return [
        File(found.name, found.content_type, mime.decoded(parent, leaves[found.part]))
        for found in parse(parent).body.attachments
    ]


def carried_whole(parent: bytes) -> File:
    """The message `parent` as a file, for a forward that keeps it as evidence, byte by byte."""
    subject = headers.split(parent).text("subject", 80)
    return File(attachments.safe_name(f"{subject}.eml") if subject else "message.eml", _MESSAGE, parent)
