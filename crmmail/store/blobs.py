"""The files attached to drafts and the messages queued, each kept once under its SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from crmmail.errors import DraftError, StoreError
from crmmail.i18n import _
from crmmail.mail.text import clean_line

LARGEST = 150_000_000  # bytes: what the most generous provider takes of one file
_SAMPLE = 65_536
_PAYS = 0.7  # what a sample must shrink to: base64 of a picture shrinks to 0.76, which is not worth a second


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes made ready for their row before the write lock is taken."""

    digest: str
    size: int
    packed: bool
    content: bytes


def make(content: bytes) -> Blob:
    """`content` with its digest, compressed where a sample of its middle says that it pays."""
    middle = content[max(0, len(content) - _SAMPLE) // 2 :][:_SAMPLE]
    pays = len(zlib.compress(middle, 1)) < len(middle) * _PAYS
    digest = hashlib.sha256(content).hexdigest()
    return Blob(digest, len(content), pays, zlib.compress(content, 1) if pays else content)


def read(path: Path) -> bytes:
    """The whole file as it stood at one moment. Raises DraftError where there was no such moment."""
    name = clean_line(path.name)
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(handle, "rb") as file:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise DraftError(_("“{name}” is not a file that can be attached.").format(name=name))
            if before.st_size > LARGEST:
                raise DraftError(
                    _("“{name}” is larger than any provider accepts ({size} MB).").format(
                        name=name, size=before.st_size // 1_000_000
                    ),
                    next_step=_("Share it as a link instead."),
                )
            content = file.read(before.st_size + 1)
            after = os.fstat(handle)
    except (OSError, ValueError) as error:
        raise DraftError(
            _("“{name}” cannot be read: {reason}.").format(
                name=name, reason=clean_line(getattr(error, "strerror", None) or str(error))
            ),
            next_step=_("The message is kept as it was; choose the file again."),
        ) from error
    if len(content) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise DraftError(
            _("“{name}” was changing while it was read.").format(name=name),
            next_step=_("Attach it again when it is complete."),
        )
    return content


def put(connection: sqlite3.Connection, blob: Blob) -> None:
    """Keep `blob`, once; bytes the disk has changed meanwhile are mended."""
    connection.execute(
        "INSERT INTO blob(digest, packed, content) VALUES (?, ?, ?) ON CONFLICT(digest) DO UPDATE "
        "SET packed = excluded.packed, content = excluded.content "
        "WHERE content IS NOT excluded.content OR packed != excluded.packed",
        (blob.digest, blob.packed, blob.content),
    )


def has(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether there are bytes under `digest`."""
    return connection.execute("SELECT 1 FROM blob WHERE digest = ?", (digest,)).fetchone() is not None


def row(connection: sqlite3.Connection, digest: str) -> tuple[int, bytes] | None:
    """(packed, content) as stored, to be handed to `unpack` outside of any lock."""
    found: tuple[int, bytes] | None = connection.execute(
        "SELECT packed, CAST(content AS BLOB) FROM blob WHERE digest = ?", (digest,)
    ).fetchone()
    return found


def unpack(digest: str, found: tuple[int, bytes] | None) -> bytes:
    """The bytes of a row, proved by their digest. Raises StoreError when they are gone or not what was kept."""
    content = _unpacked(found)
    if content is None or hashlib.sha256(content).hexdigest() != digest:
        raise StoreError(
            _("An attachment of this message was damaged on the disk."),
            next_step=_("Attach it again."),
        )
    return content


def _unpacked(found: tuple[int, bytes] | None) -> bytes | None:
    if found is None or not isinstance(found[1], bytes):
        return None
    try:
        return zlib.decompress(found[1]) if found[0] else found[1]
    except zlib.error:
        return None


def collect(connection: sqlite3.Connection) -> int:
    """Drop what no draft, no outgoing message and no undo needs; how many. With a doubtful row nothing is dropped."""
    needed: set[str] = set()
    texts = connection.execute(
        "SELECT CAST(content AS BLOB) FROM draft "
        "UNION ALL SELECT CAST(other AS BLOB) FROM draft_turn WHERE other != '' "
        "UNION ALL SELECT content FROM quarantine WHERE source = 'draft' AND at > unixepoch() - 7776000"
    )
    for (text,) in texts.fetchall():
        digests = _digests(text)
        if digests is None:
            return 0
        needed |= digests
    needed |= {
        digest
        for (digest,) in connection.execute("SELECT digest FROM outgoing WHERE state NOT IN ('seen', 'cancelled')")
    }
    kept = json.dumps(sorted(needed))
    dropped = connection.execute("DELETE FROM blob WHERE digest NOT IN (SELECT value FROM json_each(?))", (kept,))
    return dropped.rowcount


def _digests(text: bytes | str) -> set[str] | None:
    """The digests a draft's content names, None when it cannot be read."""
    try:
        return {str(item["digest"]) for item in json.loads(text)["enclosures"]}
    except (ValueError, TypeError, KeyError):
        return None
