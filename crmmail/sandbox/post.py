"""The post office: what happens to a mail that was sent, whoever's API sent it."""

from __future__ import annotations

import functools
import hashlib
import secrets
from email.utils import formatdate
from typing import TYPE_CHECKING

from crmmail.sandbox import mime
from crmmail.sandbox.fields import header, header_block
from crmmail.sandbox.mailbox import Mailbox

if TYPE_CHECKING:
    from crmmail.sandbox.server import Sandbox


def recipients(raw: bytes) -> list[str]:
    """The envelope: every address in To, Cc and Bcc, lower-case, once."""
    found = [address for name in ("To", "Cc", "Bcc") for _who, address in mime.raw_addresses(raw, name)]
    return list(dict.fromkeys(address.lower() for address in found if "@" in address))


def refused(sandbox: Sandbox, to: list[str]) -> str:
    """The first of these recipients the server takes no mail for, '' when it takes mail for all."""
    return next((address for address in to if address in sandbox.limits.refused_recipients), "")


def digest(raw: bytes) -> str:
    """What makes two sends the same mail: recipients, subject, texts and attachments; not its id, date or boundary."""
    found = hashlib.sha256(f"{sorted(recipients(raw))}{header(raw, b'Subject')}".encode("utf-8", "replace"))
    for leaf in mime.leaves(mime.parse(raw)):
        found.update(leaf.content_type.encode("utf-8", "replace") + b"\0" + leaf.content.strip() + b"\0")
    return found.hexdigest()[:16]


def fresh_message_id(domain: str) -> str:
    """A Message-ID as the provider makes them."""
    return f"<CA{secrets.token_urlsafe(30)}@{domain}>"


def complete(raw: bytes, mailbox: Mailbox) -> bytes:
    """The mail with the Date and From it must have."""
    wanted = {}
    if not header(raw, b"Date"):
        wanted["Date"] = formatdate(mailbox.clock(), usegmt=True)
    if not header(raw, b"From"):
        wanted["From"] = f"{mailbox.name} <{mailbox.address}>"
    return mime.set_headers(raw, dict(wanted)) if wanted else raw


def hand_over(sandbox: Sandbox, sender: Mailbox, raw: bytes, item: str) -> None:
    """Note the send in the ledger and deliver to those recipients who have a mailbox here (but the sender)."""
    to = recipients(raw)
    sandbox.ledger.accept(
        sender.address,
        "send",
        item,
        recipients=to,
        subject=mime.first(mime.headers(raw), "Subject"),
        message_id=header(raw, b"Message-ID"),
        sender=header(raw, b"From"),
        digest=digest(raw),
        size=len(raw),
    )
    copy = mime.set_headers(raw, {"Bcc": None})
    for address in to:
        if address != sender.address and (user := sandbox.users.get(address)):
            sandbox.later(0.0, functools.partial(user.mailbox.deliver, copy))


def is_bare(raw: bytes) -> bool:
    """Whether this is no mail at all: not one header line."""
    return b":" not in header_block(raw)
