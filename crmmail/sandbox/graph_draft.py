"""Graph's drafts as MIME: JSON fields in, raw bytes out, and back. Raw bytes are the only truth a draft has. No I/O."""

from __future__ import annotations

import base64
import email.header
import email.message
import email.policy
import email.utils
import html
import re
from dataclasses import dataclass, field
from typing import Any

from crmmail.sandbox import mime
from crmmail.sandbox.fields import header
from crmmail.sandbox.graph_json import MAPI, bad, people

RECIPIENTS = {"toRecipients": "To", "ccRecipients": "Cc", "bccRecipients": "Bcc", "replyTo": "Reply-To"}
EDITABLE = frozenset({*RECIPIENTS, "subject", "body", "from", "sender", "importance", "internetMessageId"})
MOST_HEADERS = 5
PRIORITY = {"high": "1", "normal": "3", "low": "5"}


@dataclass(slots=True)
class Piece:
    """An attachment of a draft."""

    name: str
    content_type: str
    content: bytes
    inline: bool = False
    content_id: str = ""


@dataclass(slots=True)
class Draft:
    """A draft taken apart: decoded headers by name, its body, its attachments."""

    headers: dict[str, str] = field(default_factory=dict)
    html: bool = False
    content: str = ""
    pieces: list[Piece] = field(default_factory=list)

    @classmethod
    def read(cls, raw: bytes) -> Draft:
        """Take raw bytes apart."""
        parts = list(mime.leaves(mime.parse(raw)))
        kind, content = mime.body(parts)
        kept = [
            Piece(leaf.name, leaf.content_type, leaf.content, leaf.inline or bool(leaf.content_id), leaf.content_id)
            for leaf in parts
            if leaf.attached
        ]
        skipped = ("content-type", "content-transfer-encoding", "mime-version", "content-disposition")
        named = {name: value for name, value in mime.headers(raw) if name.lower() not in skipped}
        for name in ("From", "Sender", *RECIPIENTS.values()):
            if found := mime.raw_addresses(raw, name):
                named[name] = written(found)
        return cls(named, kind == "html", content, kept)

    def set(self, name: str, value: str) -> None:
        """Set a header, whatever case its name had; '' removes it."""
        for known in [known for known in self.headers if known.lower() == name.lower()]:
            del self.headers[known]
        if value:
            self.headers[name] = value

    def raw(self) -> bytes:
        """The draft as bytes."""
        message = email.message.EmailMessage(policy=email.policy.SMTP)
        octets = self.content.encode("utf-8", "replace")  # as bytes: nothing is appended to them
        message.set_content(octets, "text", "html" if self.html else "plain", cte="base64", params={"charset": "utf-8"})
        for piece in self.pieces:
            main, _, sub = piece.content_type.partition("/")
            if main in ("multipart", "message") or not sub:
                main, sub = "application", "octet-stream"
            disposition = "inline" if piece.inline else "attachment"
            message.add_attachment(piece.content, main, sub, filename=piece.name, disposition=disposition)
            if piece.content_id:
                list(message.iter_attachments())[-1]["Content-ID"] = f"<{piece.content_id}>"
        lines = b"".join(field_line(name, value) for name, value in self.headers.items())
        return lines + message.as_bytes()


def field_line(name: str, value: str) -> bytes:
    """A header line. Encoded words only where needed, and never in the ids that threading rests on."""
    flat = re.sub(r"[\r\n]+", " ", value)
    if flat.isascii():
        return f"{name}: {flat}\r\n".encode()
    if name in ("From", "Sender", *RECIPIENTS.values()):
        pairs = email.utils.getaddresses([flat])
        return f"{name}: {', '.join(email.utils.formataddr(pair, 'utf-8') for pair in pairs)}\r\n".encode(
            "ascii", "replace"
        )
    return f"{name}: {email.header.Header(flat, 'utf-8').encode(linesep=chr(13) + chr(10))}\r\n".encode()


def written(pairs: list[tuple[str, str]]) -> str:
    """Addresses as a header shows them, names not encoded yet."""
    shown = []
    for name, address in pairs:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        shown.append(f'"{quoted}" <{address}>' if name and name != address else address)
    return ", ".join(shown)


def pair(recipient: Any) -> tuple[str, str]:
    """(name, address) of a recipient resource. Raises Problem."""
    try:
        said = recipient["emailAddress"]
        return str(said.get("name") or ""), str(said["address"])
    except (KeyError, TypeError, AttributeError):
        raise bad("ErrorInvalidRecipients", "At least one recipient isn't valid.") from None


def apply(draft: Draft, body: dict[str, Any]) -> None:
    """Take the message fields of a JSON body. Raises Problem."""
    if "subject" in body:
        draft.set("Subject", str(body["subject"] or ""))
    if "body" in body:
        said = body["body"] or {}
        draft.html = str(said.get("contentType", "text")).lower() == "html"
        draft.content = str(said.get("content") or "")
    for name, header_name in RECIPIENTS.items():
        if name in body:
            draft.set(header_name, written([pair(one) for one in body[name] or ()]))
    for name in ("from", "sender"):
        if body.get(name):
            draft.set(name.title(), written([pair(body[name])]))
    if "importance" in body:
        draft.set("Importance", str(body["importance"]))
        draft.set("X-Priority", PRIORITY.get(str(body["importance"]).lower(), "3"))
    if "internetMessageId" in body:
        draft.set("Message-ID", str(body["internetMessageId"]))
    own_headers(draft, body.get("internetMessageHeaders") or [])
    for one in body.get("singleValueExtendedProperties") or ():
        tag = str(one.get("id", "")).rpartition(" ")[2].lower()
        if tag in MAPI:
            draft.set(MAPI[tag], str(one.get("value") or ""))


def own_headers(draft: Draft, said: list[dict[str, Any]]) -> None:
    """Custom headers: their names start with x-, there are five at most. Raises Problem."""
    if len(said) > MOST_HEADERS:
        raise bad("InvalidInternetMessageHeaderCollection", f"Maximum number of headers is {MOST_HEADERS}.")
    for one in said:
        name = str(one.get("name", ""))
        if not name.lower().startswith("x-"):
            told = f"The internet message header name '{name}' should start with 'x-' or 'X-'."
            raise bad("InvalidInternetMessageHeader", told)
        draft.set(name, str(one.get("value") or ""))


def file_piece(body: dict[str, Any]) -> Piece:
    """A fileAttachment resource as an attachment. Raises Problem."""
    kind = str(body.get("@odata.type", "")).lstrip("#")
    if kind != "microsoft.graph.fileAttachment":
        raise bad("ErrorInvalidRequest", "Only #microsoft.graph.fileAttachment can be added here.")
    try:
        content = base64.b64decode(str(body.get("contentBytes") or ""), validate=True)
    except ValueError:
        raise bad("BadRequest", "contentBytes is not valid base64.") from None
    return Piece(
        str(body.get("name") or "attachment"),
        str(body.get("contentType") or "application/octet-stream"),
        content,
        bool(body.get("isInline")),
        str(body.get("contentId") or ""),
    )


def subject_with(prefix: str, raw: bytes) -> str:
    """The subject with one prefix."""
    subject = mime.first(mime.headers(raw), "Subject")
    return subject if subject.lower().startswith(prefix.lower()) else f"{prefix} {subject}".strip()


def answer(raw: bytes, own: frozenset[str], *, everyone: bool) -> Draft:
    """A reply draft: recipients (Reply-To is honoured), threading headers, quoted history."""
    draft = Draft(html=True, content=quoted(raw))
    sender = mime.raw_addresses(raw, "From")
    mine = any(address.lower() in own for _name, address in sender)
    target = mime.raw_addresses(raw, "To") if mine else mime.raw_addresses(raw, "Reply-To") or sender
    others = [*mime.raw_addresses(raw, "To"), *mime.raw_addresses(raw, "Cc")] if everyone else []
    named = {address.lower() for _name, address in target}
    copies = [one for one in others if one[1].lower() not in own | named]
    draft.set("To", written(target))
    draft.set("Cc", written(copies))
    draft.set("Subject", subject_with("RE:", raw))
    identity = header(raw, b"Message-ID")
    draft.set("In-Reply-To", identity)
    draft.set("References", f"{header(raw, b'References') or header(raw, b'In-Reply-To')} {identity}".strip())
    return draft


def passed_on(raw: bytes) -> Draft:
    """A forward draft: the quoted message with its attachments."""
    draft = Draft(html=True, content=quoted(raw), pieces=Draft.read(raw).pieces)
    draft.set("Subject", subject_with("FW:", raw))
    identity = header(raw, b"Message-ID")
    draft.set("References", f"{header(raw, b'References')} {identity}".strip())
    return draft


def quoted(raw: bytes) -> str:
    """The message as the history below a reply, as Outlook writes it."""
    kind, content = mime.body(list(mime.leaves(mime.parse(raw))))
    shown = content if kind == "html" else html.escape(content).replace("\n", "<br>\n")
    pairs = mime.headers(raw)
    lines = [
        f"<b>{label}:</b> {html.escape(mime.first(pairs, name))}<br>"
        for label, name in (("From", "From"), ("Sent", "Date"), ("To", "To"), ("Subject", "Subject"))
    ]
    return f'<html><body><hr tabindex="-1"><div id="divRplyFwdMsg">{"".join(lines)}</div><br>{shown}</body></html>'


def with_comment(draft: Draft, comment: str) -> None:
    """Put `comment` above the quoted history."""
    above = f"<div>{html.escape(comment)}</div>"
    draft.content = draft.content.replace("<body>", f"<body>{above}", 1) if "<body>" in draft.content else above


def addressed(raw: bytes) -> bool:
    """Whether the mail has a recipient at all."""
    return any(people(raw, name) for name in ("To", "Cc", "Bcc"))
