"""Mail that is already there, to fill a sandbox with: a Maildir, an mbox, a folder of .eml or of anything, or one file.

Files are indexed first and read when a message is asked for. Nothing that lies there stops the loading: what cannot be
read, or is no mail, is left out and told.
"""

from __future__ import annotations

import email.utils
import mmap
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from crmmail.errors import SettingsError
from crmmail.i18n import N_, _, ngettext
from crmmail.sandbox.letter import Letter

HEAD = 64 * 1024  # bytes looked at for dates and flags
LARGEST = 35 * 1024 * 1024  # Gmail takes 25 MB, base64 on the way; what is longer is cut
PLAUSIBLE = (315_532_800, 2_145_916_800)  # 1980 .. 2038 in seconds: outside of it the file's own date is better

MAIL_ENDINGS = frozenset({".eml", ".msg", ".mbox", ".mbx"})
OUTLOOK_ITEM = b"\xd0\xcf\x11\xe0"  # an OLE container, which some call .msg too
OTHER_ENDINGS = frozenset({".json", ".xml", ".html", ".htm", ".md", ".out", ".golden", ".py", ".toml", ".csv"})
FIELD = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
SEPARATOR = re.compile(rb"From [^\r\n]*\d\d:\d\d[^\r\n]*\d{4}[^\r\n]*\r?\n")
FLAGS = re.compile(r"[:;!]2,([A-Za-z]*)$")  # ':' cannot stand in a file name everywhere

PLACES = {
    "sent": "sent", "sent items": "sent", "sent mail": "sent", "enviados": "sent", "itens enviados": "sent",
    "drafts": "drafts", "rascunhos": "drafts",
    "trash": "trash", "deleted items": "trash", "lixeira": "trash",
    "spam": "spam", "junk": "spam", "junk e-mail": "spam",
    "archive": "archive", "arquivo": "archive", "all mail": "archive",
    "inbox": "inbox", "entrada": "inbox",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that became no message. `reason` is a sentence in English (translate when showing)."""

    path: Path
    reason: str


@dataclass(slots=True)
class Loaded:
    """What was found: `letters` newest first, `left_out` with the reason for each, `cut` those longer than LARGEST."""

    letters: list[Letter] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    cut: int = 0

    @property
    def summary(self) -> str:
        """One sentence, translated."""
        text = _("{count} messages found").format(count=len(self.letters))
        if self.left_out:
            text += _(", {count} files left out").format(count=len(self.left_out))
        return text + (_(", {count} cut because of their size").format(count=self.cut) if self.cut else "")


def load(path: Path) -> Loaded:
    """All mail at or below `path`. Raises SettingsError when there is no such place or no mail in it."""
    loaded = Loaded()
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise SettingsError(
            _("{path} cannot be read: {reason}.").format(path=path, reason=getattr(error, "strerror", None) or error),
            next_step=_("Name a Maildir, an mbox file or a folder with .eml files."),
        ) from error
    files = _files(path, loaded) if stat.S_ISDIR(found.st_mode) else iter([path])
    for file in files:
        _take(file, path, loaded)
    if not loaded.letters:
        raise SettingsError(
            ngettext(
                "There is no mail in {path} ({count} file looked at).",
                "There is no mail in {path} ({count} files looked at).",
                len(loaded.left_out),
            ).format(path=path, count=len(loaded.left_out)),
            next_step=_("Name a Maildir, an mbox file or a folder with .eml files."),
        )
    loaded.letters.sort(key=lambda letter: (letter.received_ms, letter.name), reverse=True)
    return loaded


def _files(root: Path, loaded: Loaded) -> Iterator[Path]:
    """Every file below `root`, in a stable order; a Maildir's `tmp` is not looked at, links are not followed."""

    def complain(error: OSError) -> None:
        loaded.left_out.append(LeftOut(Path(error.filename or root), N_("The folder cannot be read.")))

    for directory, folders, names in os.walk(root, onerror=complain):
        if "cur" in folders and "tmp" in folders:
            folders.remove("tmp")
        folders.sort()
        yield from (Path(directory, name) for name in sorted(names))


def _take(path: Path, root: Path, loaded: Loaded) -> None:
    reason = ""
    try:
        # A named pipe would wait for a writer for ever: look before opening.
        status = path.stat() if path == root else path.lstat()
        if stat.S_ISREG(status.st_mode):
            reason = "" if _add(path, root, status, loaded) else N_("This is not an e-mail message.")
        else:
            reason = N_("It is not a file.")
    except OSError:
        reason = N_("The file cannot be read.")
    if reason:
        loaded.left_out.append(LeftOut(path, reason))


def _add(path: Path, root: Path, status: os.stat_result, loaded: Loaded) -> bool:
    """Add what is in the file; False when it is no mail. Raises OSError."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if not _is_mail(path, head):
        return False
    place, labels = _where(path, root)
    if path.suffix.lower() != ".eml" and SEPARATOR.match(head):
        loaded.letters += _mbox(path, place, labels, loaded)
    else:
        loaded.cut += status.st_size > LARGEST
        loaded.letters.append(_single(path, head, status.st_mtime, place, labels))
    return True


def _is_mail(path: Path, head: bytes) -> bool:
    """Whether to take a file: by its name where that says so, else when it begins as a message or an mbox does."""
    ending = path.suffix.lower()
    if ending in MAIL_ENDINGS or path.parent.name in ("cur", "new") or FLAGS.search(path.name):
        return bool(head.strip()) and not head.startswith(OUTLOOK_ITEM)
    if ending in OTHER_ENDINGS or b"\0" in head[:512]:
        return False
    start = _without_separator(head).lstrip(b"\r\n")
    return bool(FIELD.match(start)) and (start.count(b":", 0, 2000) > 1 or ending != ".txt")


def _without_separator(raw: bytes) -> bytes:
    """`raw` without an mbox's `From ` line before it (`From :` is a header field in its obsolete form)."""
    if raw.startswith(b"From ") and not FIELD.match(raw):
        return raw.partition(b"\n")[2]
    return raw


def _where(path: Path, root: Path) -> tuple[str, tuple[str, ...]]:
    """(place, labels) by the names of the folders: a known one decides, the first other one below `root` is a label."""
    try:
        steps = [step for step in path.relative_to(root).parts[:-1] if step not in ("cur", "new")]
    except ValueError:
        steps = []
    names = [name for step in steps for name in step.split(".") if name]
    if FLAGS.search(path.name) and "T" in _flags(path):
        return "trash", ()
    for name in reversed(names):
        if place := PLACES.get(name.strip("[]").casefold()):
            return place, ()
    return "inbox", tuple(names[:1])


def _flags(path: Path) -> str:
    found = FLAGS.search(path.name)
    return found[1].upper() if found else ""


def _single(path: Path, head: bytes, modified: float, place: str, labels: tuple[str, ...]) -> Letter:
    flags, fields = _flags(path), _fields(head)
    maildir = path.parent.name in ("cur", "new")
    return Letter(
        received_ms=_received(fields, modified),
        place="drafts" if "D" in flags else place,
        source=partial(_read, path),
        labels=labels,
        unread=(maildir and "S" not in flags) or _status(fields, "N"),
        starred="F" in flags or _status(fields, "F"),
        name=str(path),
    )


def _mbox(path: Path, place: str, labels: tuple[str, ...], loaded: Loaded) -> Iterator[Letter]:
    """The messages of an mbox. A separator stands at the start or after an empty line and ends in a time and a year."""
    modified = path.stat().st_mtime
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        starts = list(_separators(content))
        for number, (_start, after) in enumerate(starts):
            end = starts[number + 1][0] if number + 1 < len(starts) else len(content)
            fields = _fields(content[after : min(end, after + HEAD)])
            loaded.cut += end - after > LARGEST
            yield Letter(
                received_ms=_received(fields, modified),
                place=place,
                source=partial(_read, path, after, end - after, mbox=True),
                labels=labels,
                unread=not _status(fields, "R") and b"status" in fields,
                starred=_status(fields, "F"),
                name=f"{path}#{number + 1}",
            )


def _separators(content: mmap.mmap) -> Iterator[tuple[int, int]]:
    """(start, end) of every separator line."""
    at = 0
    while at >= 0:
        found = SEPARATOR.match(content[at : at + 400])
        blank = at == 0 or content[max(0, at - 4) : at].endswith((b"\n\n", b"\n\r\n"))
        if found and blank:
            yield at, at + found.end()
        at = content.find(b"\nFrom ", at)
        at = at + 1 if at >= 0 else -1


def _read(path: Path, start: int = 0, length: int = LARGEST, *, mbox: bool = False) -> bytes:
    """The bytes of one message, cut at LARGEST; a `From ` line before it is left out, mbox quoting undone."""
    with path.open("rb") as stream:
        stream.seek(start)
        raw = stream.read(min(length, LARGEST))
    if mbox:
        return re.sub(rb"(?m)^>(>*From )", rb"\1", raw.removesuffix(b"\n"))
    return _without_separator(raw)


def _fields(head: bytes) -> dict[bytes, bytes]:
    """The first value of each header field, lower-case names, folded lines joined; capped."""
    block = re.split(rb"\r?\n\r?\n", _without_separator(head), maxsplit=1)[0]
    fields: dict[bytes, bytes] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", block).splitlines()[:500]:
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower()[:100], value.strip()[:2000])
    return fields


def _status(fields: dict[bytes, bytes], letter: str) -> bool:
    """Whether the mbox fields Status and X-Status hold `letter` (R read, F flagged, N new)."""
    return letter.encode() in fields.get(b"status", b"") + fields.get(b"x-status", b"")


def _received(fields: dict[bytes, bytes], modified: float) -> int:
    """Ms since the epoch: when the last server took it, else what Date says, else when the file changed."""
    stamps = (fields.get(b"received", b"").rpartition(b";")[2], fields.get(b"date", b""))
    for stamp in stamps:
        seconds = _seconds(stamp[:100].decode("ascii", "replace"))
        if PLAUSIBLE[0] <= seconds <= min(PLAUSIBLE[1], time.time() + 86_400):
            return seconds * 1000
    return int(modified * 1000)


def _seconds(stamp: str) -> int:
    try:
        parsed = email.utils.parsedate_tz(stamp)
        return int(email.utils.mktime_tz(parsed)) if parsed else 0
    except (ValueError, OverflowError, IndexError, TypeError):  # what parsedate_tz lets through
        return 0
