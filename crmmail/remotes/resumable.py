"""A long upload in pieces, as Google takes it: 308 after each, and a question where an answer was lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from crmmail.errors import Transient
from crmmail.i18n import _
from crmmail.remotes import Progress, refusals
from crmmail.remotes.http import Answer, decoded

PATIENCE = 4  # failures in a row without a byte more

Put = Callable[[bytes, Mapping[str, str]], Answer]


def pour(put: Put, content: bytes, chunk: int, progress: Progress | None, rest: Callable[[float], None]) -> Answer:
    """Upload `content` and return the answer to its last piece, whatever its status.

    Raises Transient when it cannot be finished now; whether the last piece arrived is then not known.
    """
    done, failures, asking = 0, 0, False
    while True:
        try:
            answer = _ask(put, len(content)) if asking else _piece(put, content, done, chunk)
            if answer.status >= 500 or answer.status in (408, 429):
                raise refusals.refusal(answer.status, decoded(answer.body), answer.headers)
        except Transient as error:
            failures += 1
            asking = True
            if failures > PATIENCE:
                raise
            rest(min(error.retry_after or 2.0 ** (failures - 2), 8.0))
            continue
        if answer.status != 308:
            return _settled(answer, asking)
        before, done, asking = done, min(_kept(answer), len(content)), False
        failures = 0 if done > before else failures + 1
        if failures > PATIENCE:
            raise Transient(_("The upload was interrupted; it starts again."), status=answer.status)
        if progress is not None:
            progress(done, len(content))


def _piece(put: Put, content: bytes, start: int, chunk: int) -> Answer:
    piece = content[start : start + chunk]
    return put(piece, {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(content)}"})


def _ask(put: Put, total: int) -> Answer:
    return put(b"", {"Content-Range": f"bytes */{total}"})


def _kept(answer: Answer) -> int:
    """How many bytes the server has."""
    found = re.fullmatch(r"bytes=0-(\d{1,12})", answer.headers.get("range", "").strip())
    return int(found[1]) + 1 if found else 0


def _settled(answer: Answer, asking: bool) -> Answer:
    """The last answer. An upload that is no longer known when asked about may have been finished, or forgotten."""
    if asking and answer.status in (404, 410):
        raise Transient(_("The upload was interrupted; it starts again."), status=answer.status)
    return answer
