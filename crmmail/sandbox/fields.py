"""Reading single header fields straight from raw bytes, without parsing the message. Fast enough for 100,000."""

from __future__ import annotations

import re

_FOLD = re.compile(rb"\r?\n[ \t]+")


def header_block(raw: bytes) -> bytes:
    """The header part of a message, unfolded."""
    end = min((at for at in (raw.find(b"\r\n\r\n"), raw.find(b"\n\n")) if at >= 0), default=len(raw))
    return _FOLD.sub(b" ", raw[:end])


def header(raw: bytes, name: bytes) -> str:
    """The first value of a header, unfolded, not decoded; '' when it is not there."""
    found = re.search(rb"(?im)^" + re.escape(name) + rb"[ \t]*:[ \t]*(.*?)[ \t]*\r?$", header_block(raw))
    return found.group(1).decode("latin-1") if found else ""


def header_values(raw: bytes) -> tuple[str, str]:
    """References and In-Reply-To: whose reply this is."""
    block = header_block(raw)
    values = []
    for name in (rb"References", rb"In-Reply-To"):
        found = re.search(rb"(?im)^" + name + rb"[ \t]*:[ \t]*(.*?)[ \t]*\r?$", block)
        values.append(found.group(1).decode("latin-1") if found else "")
    return values[0], values[1]
