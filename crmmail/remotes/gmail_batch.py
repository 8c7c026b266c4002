"""Google's batch format: several calls in one multipart/mixed POST. Pure. Source: Gmail API, "Batching requests"."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmmail.remotes.http import Answer

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_NUMBER = re.compile(rb"content-id:\s*<?response-part(\d+)>?", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")


@dataclass(frozen=True, slots=True)
class Call:
    """One inner call: `path` with its query, below the server's root; `units` of quota it costs."""

    method: str
    path: str
    units: float
    body: Mapping[str, Any] | None = None


def request_body(calls: Sequence[Call], boundary: str) -> bytes:
    """The multipart body for `calls`, each part named by its position."""
    parts = [_part(number, call) for number, call in enumerate(calls)]
    opened = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"{opened}--{boundary}--\r\n".encode()


def _part(number: int, call: Call) -> str:
    outer = f"Content-Type: application/http\r\nContent-ID: <part{number}>\r\n\r\n"
    if call.body is None:
        return f"{outer}{call.method} {call.path} HTTP/1.1\r\n\r\n"
    body = json.dumps(call.body)
    inner = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return f"{outer}{call.method} {call.path} HTTP/1.1\r\n{inner}"


def answers(content_type: str, body: bytes) -> dict[int, Answer]:
    """The inner answers by the position of their call. A part that is missing or cut off is simply not there."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        return {}
    mark = b"--" + (match[1] or match[2]).encode()
    found: dict[int, Answer] = {}
    # What stands before the first mark is preamble; what stands after the last is a closing "--" or a cut part.
    for part in body.split(mark)[1:-1]:
        number, answer = _parsed(part)
        if answer is not None:
            found[number] = answer
    return found


def _parsed(part: bytes) -> tuple[int, Answer | None]:
    outer, _empty, inner = _halves(part.lstrip(b"\r\n"))
    head, _blank, content = _halves(inner.lstrip(b"\r\n"))
    number, status = _NUMBER.search(outer), _STATUS.match(head)
    if number is None or status is None:
        return -1, None
    lines = (line.decode("latin-1").partition(":") for line in head.splitlines()[1:])
    headers = {name.strip().lower(): value.strip() for name, _colon, value in lines}
    return int(number[1]), Answer(int(status[1]), headers, content.strip(b"\r\n"))


def _halves(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Split at the first empty line, however its ends are written."""
    windows, unix = text.find(b"\r\n\r\n"), text.find(b"\n\n")
    if unix >= 0 and (windows < 0 or unix < windows):
        return text.partition(b"\n\n")
    return text.partition(b"\r\n\r\n")
