"""What both providers need of a message on its way out: its token, its size, a handle for its draft. Pure."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
from collections.abc import Iterable, Mapping
from typing import Any

from crmmail.errors import Rejected
from crmmail.i18n import _
from crmmail.remotes import TOKEN_HEADER

WHOLE_LIMIT = 36_700_160
"""35 MiB of MIME. Gmail's limit (discovery document, `maxSize` of drafts), and Exchange Online's default one."""


def handle(draft: str, version: str) -> str:
    """One string for a draft and the version of it that we know. Neither provider's ids hold a '#'."""
    return f"{draft}#{version}" if version else draft


def parted(remote_draft: str) -> tuple[str, str]:
    """(the server's id of a draft, the version we know or '') of a handle."""
    draft, _mark, version = remote_draft.partition("#")
    return draft, version


def headers_of(mime: bytes) -> email.message.Message:
    """The header fields of our own message, undecoded."""
    end = mime.find(b"\r\n\r\n")
    block = mime[: end + 4] if end >= 0 else mime
    return email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(block)


def token_of(mime: bytes) -> str:
    """The value of our own header, '' when it is missing."""
    return str(headers_of(mime).get(TOKEN_HEADER) or "").strip()


def check_size(mime: bytes, limit: int) -> None:
    """Raises Rejected for a message the provider would not take, before anything is uploaded."""
    if len(mime) > limit:
        raise Rejected(
            _("The message is too large to send: {size} MB, and {limit} MB are allowed.").format(
                size=-(-len(mime) // 1_000_000), limit=limit // 1_000_000
            ),
            next_step=_("Remove an attachment, or share the file as a link."),
            status=413,
        )


def fields(told: Any) -> dict[str, str]:
    """Header fields by lower-case name, from the `[{name, value}]` both APIs tell them as; the first of a name wins."""
    found: dict[str, str] = {}
    for item in told if isinstance(told, Iterable) and not isinstance(told, str | Mapping) else ():
        if isinstance(item, Mapping):
            found.setdefault(str(item.get("name") or "").lower(), str(item.get("value") or "").strip())
    return found
