"""mailto: addresses (RFC 6068), trusted with nothing: who, subject, text. Never a file, never another header.

A link on a web page decides what stands here, so everything is decoded once, cleaned, capped and shown before it is
sent; what is ignored is named (Evolution, KMail and others once attached the files a link asked for).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from crmmail.errors import SettingsError
from crmmail.i18n import _
from crmmail.mail import addresses, charsets, encode, headers
from crmmail.mail.text import clean_line, clean_text
from crmmail.model import Address, Draft

URL_LIMIT = 256 * 1024
RECIPIENTS_LIMIT = 100
SUBJECT_LIMIT = 1_000
TEXT_LIMIT = 100_000
_IGNORED_LIMIT = 20

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")  # in an address field: somebody tries to write another field
_SCHEME = re.compile(r"mailto:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mailto:
    """What a mailto: address asks for. `ignored` names the fields it set that are not followed."""

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    in_reply_to: str = ""
    ignored: tuple[str, ...] = ()

    def draft(self, mailbox: str = "", sender: str = "") -> Draft:
        """A new draft of it."""
        return Draft(
            id=0,
            mailbox=mailbox,
            sender=sender,
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            subject=self.subject,
            text=self.text,
            cursor=len(self.text),
            in_reply_to=self.in_reply_to,
            references=(self.in_reply_to,) if self.in_reply_to else (),
        )

    def notice(self) -> str:
        """The sentence that names what is not followed, '' when nothing was set aside."""
        if not self.ignored:
            return ""
        return _("The link also set {fields}: ignored.").format(fields=", ".join(self.ignored))


def parse(url: str) -> Mailto:
    """What `url` asks for. Raises SettingsError when it is no mailto: address."""
    if not _SCHEME.match(url) or len(url) > URL_LIMIT:
        raise SettingsError(
            _("“{url}” is not a mailto: address.").format(url=clean_line(url, 80)),
            next_step=_("It should look like mailto:name@example.com?subject=Hello."),
        )
    path, _mark, query = url[7:].partition("#")[0].partition("?")
    people: dict[str, list[Address]] = {"to": [], "cc": [], "bcc": []}
    texts: dict[str, bytes] = {}
    ignored: list[str] = []
    for name, value in (("to", _decoded(path)), *_fields(query)):
        if name in people and not _CONTROL.search(value):
            people[name] += _people(value)
        elif name in ("subject", "body", "in-reply-to") and name not in texts:
            texts[name] = value
        else:
            ignored.append(clean_line(name, 40) or "?")
    return Mailto(
        to=_unique(people["to"]),
        cc=_unique(people["cc"]),
        bcc=_unique(people["bcc"]),
        subject=headers.decode(_one_line(texts.get("subject", b"")), SUBJECT_LIMIT),
        text=_text(texts.get("body", b"")),
        in_reply_to=headers.message_id(_one_line(texts.get("in-reply-to", b""))),
        ignored=tuple(dict.fromkeys(ignored))[:_IGNORED_LIMIT],
    )


def _fields(query: str) -> Iterator[tuple[str, bytes]]:
    """(name in lower case, octets) for each field; '&amp;' as careless pages write it counts as '&'."""
    for field in query.replace("&amp;", "&").split("&", 1_000)[:1_000]:
        name, _equals, value = field.partition("=")
        if name:
            yield _decoded(name).decode("utf-8", "replace").strip().lower(), _decoded(value)


def _decoded(text: str) -> bytes:
    """`text` without percent encoding, once. A plus sign is a plus sign (RFC 6068 §5)."""
    return unquote_to_bytes(text.encode("utf-8", "replace"))


def _one_line(value: bytes) -> bytes:
    """`value` with its line breaks as spaces, so that nothing behind one counts as folded or as another field."""
    return encode.one_line(charsets.decode(value)).encode()


def _people(value: bytes) -> tuple[Address, ...]:
    return addresses.parse(value, RECIPIENTS_LIMIT)


def _unique(people: list[Address]) -> tuple[Address, ...]:
    found = {person.email.casefold() or person.name: person for person in reversed(people)}
    return tuple(reversed(found.values()))[:RECIPIENTS_LIMIT]


def _text(value: bytes) -> str:
    return clean_text(charsets.decode(value), TEXT_LIMIT)
