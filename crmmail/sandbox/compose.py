"""The bytes of a generated message: MIME written by hand, so that 100,000 of them are cheap.

Pure: the same facts and random source give the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import random
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from crmmail.sandbox.people import Person

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ZONE = -3 * 3600  # Brasília, where the owner sits


class Part(NamedTuple):
    """A MIME part: its header lines without the final empty one, and its encoded body."""

    head: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """The facts of a message's header. `extra` are whole header lines."""

    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str
    sent: int  # seconds since the epoch
    message_id: str
    references: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    arrived: bool = True  # came over the network: has trace headers


def date_header(seconds: int) -> str:
    day = time.gmtime(seconds + ZONE)
    return (
        f"{WEEKDAYS[day.tm_wday]}, {day.tm_mday:02d} {MONTHS[day.tm_mon - 1]} {day.tm_year} "
        f"{day.tm_hour:02d}:{day.tm_min:02d}:{day.tm_sec:02d} -0300"
    )


def encoded_words(text: str) -> str:
    """`text` as RFC 2047 wants it: ASCII alone, else base64 words of at most 30 characters each, folded."""
    if text.isascii():
        return text
    pieces = [text[start : start + 30].encode() for start in range(0, len(text), 30)]
    return "\r\n ".join(f"=?UTF-8?B?{base64.b64encode(piece).decode()}?=" for piece in pieces)


def mailbox(person: Person) -> str:
    name = f'"{person.name}"' if person.name.isascii() else encoded_words(person.name)
    return f"{name} <{person.email}>"


def message(rng: random.Random, envelope: Envelope, body: Part) -> bytes:
    """The whole message."""
    head = [*_trace(rng, envelope), *_headers(envelope), *body.head]
    return ("\r\n".join(head) + "\r\n\r\n").encode("ascii") + body.body


def _headers(envelope: Envelope) -> list[str]:
    head = [
        "MIME-Version: 1.0",
        f"Date: {date_header(envelope.sent)}",
        f"From: {mailbox(envelope.sender)}",
        f"Subject: {encoded_words(envelope.subject)}",
        f"Message-ID: {envelope.message_id}",
    ]
    if envelope.to:
        head.append("To: " + ",\r\n ".join(map(mailbox, envelope.to)))
    if envelope.cc:
        head.append("Cc: " + ",\r\n ".join(map(mailbox, envelope.cc)))
    if envelope.references:
        head.append(f"In-Reply-To: {envelope.references[-1]}")
        head.append("References: " + "\r\n ".join(envelope.references))
    return [*head, *envelope.extra]


def _trace(rng: random.Random, envelope: Envelope) -> list[str]:
    """What servers on the way add. The signature is noise of the right size: it takes room, it proves nothing."""
    if not envelope.arrived:
        return []
    domain, stamp = envelope.sender.domain, date_header(envelope.sent + 2)
    noise = base64.b64encode(rng.randbytes(192)).decode()
    signature = "\r\n         ".join(noise[start : start + 72] for start in range(0, len(noise), 72))
    return [
        f"Delivered-To: {(envelope.to or (envelope.sender,))[0].email}",
        f"Return-Path: <{envelope.sender.email}>",
        f"Received: from mx{rng.randint(1, 9)}.{domain} (mx.{domain} [192.0.2.{rng.randint(1, 254)}])\r\n"
        f"        by mx.lumen.example with ESMTPS id {rng.getrandbits(64):x}\r\n"
        f"        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\r\n        {stamp}",
        f"Authentication-Results: mx.lumen.example; dkim=pass header.i=@{domain} header.s=s1;\r\n"
        f"       spf=pass smtp.mailfrom={envelope.sender.email}; dmarc=pass header.from={domain}",
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s1;\r\n"
        f"        h=to:subject:message-id:date:from:mime-version;\r\n        b={signature}",
    ]


def text_part(text: str, subtype: str = "plain") -> Part:
    """`text` in quoted-printable UTF-8; lines end in CRLF."""
    encoded = binascii.b2a_qp(text.encode(), istext=True).replace(b"\n", b"\r\n")
    return Part(
        (f'Content-Type: text/{subtype}; charset="UTF-8"', "Content-Transfer-Encoding: quoted-printable"), encoded
    )


def attachment_part(name: str, content_type: str, content: bytes) -> Part:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    shown = encoded_words(name).replace("\r\n ", " ")
    return Part(
        (
            f'Content-Type: {content_type}; name="{shown}"',
            "Content-Transfer-Encoding: base64",
            f'Content-Disposition: attachment; filename="{shown}"',
        ),
        encoded,
    )


def multipart(kind: str, boundary: str, parts: Sequence[Part]) -> Part:
    lines: list[bytes] = []
    for part in parts:
        lines += [b"--" + boundary.encode(), "\r\n".join(part.head).encode("ascii"), b"", part.body]
    lines += [b"--" + boundary.encode() + b"--", b""]
    return Part((f'Content-Type: multipart/{kind}; boundary="{boundary}"',), b"\r\n".join(lines))


def reply_html(paragraphs: Sequence[str], signature: Sequence[str], quoted: str) -> str:
    """A reply as office programs write it: a style on every paragraph, a signature table, the quote in a blockquote."""
    style = 'style="font-family:Calibri,Arial,sans-serif;font-size:11pt;margin:0 0 8pt 0"'
    body = "\n".join(f"<p {style}>{escape(paragraph)}</p>" for paragraph in paragraphs)
    cells = "<br>".join(f'<span style="color:#555">{escape(line)}</span>' for line in signature)
    quote = "<br>".join(map(escape, quoted.split("\n")))
    tail = f'<blockquote style="border-left:1px #ccc solid;padding-left:1ex">{quote}</blockquote>' if quoted else ""
    return (
        '<html><head><meta charset="utf-8"><style>p{margin:0}a:link{color:#0563C1}</style></head><body>\n'
        f'{body}\n<table><tr><td style="border-left:2px solid #ccc">{cells}</td></tr></table>{tail}\n</body></html>\n'
    )


CELL = '<td align="left" valign="top" style="padding:12px 24px;font:15px Arial,sans-serif;color:#333">'
RULES = "".join(
    f".c{width}{{padding:{width}px;max-width:{600 - width}px;display:block!important}}"
    f"@media only screen and (max-width:{480 + width}px){{.m{width}{{width:100%!important}}}}"
    for width in range(24)
)


def newsletter_html(sender: Person, headline: str, paragraphs: Sequence[str], call: str, token: str) -> str:
    """A newsletter: nested tables, remote images, a tracking pixel, a button, an unsubscribe link."""
    domain = sender.domain
    rows = "\n".join(
        f'<tr>{CELL}<p>{escape(paragraph)}</p><img src="https://img.{domain}/{token[:8]}/{number}.jpg"></td></tr>'
        for number, paragraph in enumerate(paragraphs)
    )
    button = f'<a href="https://click.{domain}/ls/{token}" style="background:#0a66c2;color:#fff">{escape(call)}</a>'
    leave = f'<a href="https://{domain}/sair/{token}">Cancelar inscrição / Unsubscribe</a>'
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{RULES}</style></head>\n'
        f'<body bgcolor="#f4f4f4"><center><table width="600"><tr>{CELL}<h1>{escape(headline)}</h1></td></tr>\n'
        f"{rows}\n<tr>{CELL}{button}</td></tr>\n<tr>{CELL}<small>{escape(sender.name)} · {leave}</small></td></tr>"
        f'</table></center>\n<img src="https://o.{domain}/{token}.gif" width="1" height="1"></body></html>\n'
    )


def attachment(rng: random.Random, number: int) -> Part:
    """A small document whose bytes are what its type says."""
    kind = rng.choice(("pdf", "pdf", "pdf", "csv", "png"))
    if kind == "csv":
        rows = "\r\n".join(
            f"{rng.randint(1000, 9999)};{rng.randint(1, 90)};{rng.random() * 900:.2f}" for _ in range(60)
        )
        return attachment_part(f"rotas-{number}.csv", "text/csv", f"rota;volumes;valor\r\n{rows}\r\n".encode())
    if kind == "png":
        return attachment_part(f"foto-{number}.png", "image/png", tiny_png(rng))
    name = rng.choice(("proposta-{n}.pdf", "comprovante {n}.pdf", "aditivo_contrato_{n}.pdf", "laudo técnico {n}.pdf"))
    return attachment_part(name.format(n=number), "application/pdf", tiny_pdf(f"Documento {number}"))


def tiny_png(rng: random.Random, side: int = 24) -> bytes:
    """A valid PNG of one colour (PNG specification, RFC 2083)."""
    line = b"\0" + rng.randbytes(3) * side

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(line * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiny_pdf(title: str) -> bytes:
    """A valid one-page PDF showing `title` (ISO 32000-1), cross references included."""
    stream = f"BT /F1 24 Tf 72 720 Td ({title}) Tj ET".encode("latin-1", "replace")
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(out),
    )
