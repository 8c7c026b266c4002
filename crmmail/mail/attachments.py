"""Attachments: names that are safe to show and to save under, their content, and whether one may be opened."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from crmmail.errors import StoreError
from crmmail.i18n import _
from crmmail.mail import mime
from crmmail.mail.text import clean_line
from crmmail.model import Attachment

NAME_BYTES = 180  # of the 255 a file system allows: room for ' (2)' and for the part file's ending
COPIES_LIMIT = 10_000

_SEPARATORS = re.compile(r"[/\\\u2044\u2215\u29f5\u29f8\u29f9\ufe68\uff0f\uff3c]+")
_FORBIDDEN = re.compile(r"[:*?\"<>|;`$&\ufffd\ua789\uff1a]+")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\Z", re.IGNORECASE)
_EXTENSIONS = {
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "message/rfc822": ".eml",
    "message/delivery-status": ".txt",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/json": ".json",
    "application/pgp-signature": ".asc",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}


def safe_name(name: str) -> str:
    """`name` as a plain file name for any system; '' when nothing of it can be used.

    The last piece of a path; no controls, bidi or invisible characters; none of / \\ : * ? " < > | nor what a shell
    reads; no leading '-', '.', '~', no trailing '.' or ' '; no device name; at most NAME_BYTES bytes of UTF-8.
    """
    name = unicodedata.normalize("NFC", clean_line(name, 1_000))
    name = _SEPARATORS.split(name.rstrip("/\\ "))[-1].strip()
    name = _FORBIDDEN.sub("_", name)
    if name.strip(". ~_-") == "":
        return ""
    if name[0] in "-.~":
        name = f"_{name.lstrip('-.~ ')}"
    name = _shortened(name).rstrip(". ")
    stem = name.partition(".")[0].rstrip(" ")
    return f"_{name}" if _DEVICES.match(stem) else name


def _shortened(name: str) -> str:
    """`name` within NAME_BYTES, its extension kept so that the type stays to be seen."""
    if len(name.encode()) <= NAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 20:
        stem, extension = name, ""
    room = NAME_BYTES - len(f"…{dot if extension else ''}{extension}".encode())
    cut = stem.encode()[:room].decode("utf-8", "ignore").rstrip()
    return f"{cut}…{dot}{extension}" if extension else f"{cut}…"


def name_for(declared: str, kind: str, number: int) -> str:
    """The name of an attachment that declares `declared` ('' for none); one without gets a number and its type."""
    return safe_name(declared) or f"attachment-{number}{_EXTENSIONS.get(kind, '.bin')}"


def content(raw: bytes, part: int) -> bytes:
    """The decoded content of leaf `part` of the message `raw`. IndexError when there is no such part."""
    return mime.decoded(raw, mime.walk(raw).leaves[part])


def save(directory: Path, attachment: Attachment, content: bytes) -> Path:
    """Write `content` into `directory` under the attachment's name, mode 0600; returns where.

    Never writes over or through anything that is there: a second of the same name becomes 'name (2).ext'. Raises
    StoreError, leaving nothing behind, when the disk is full or the folder cannot be written.
    """
    name = safe_name(attachment.name) or "attachment.bin"
    try:
        target = _reserve(directory, name)
    except OSError as error:
        raise _failure(name, directory, error) from error
    part = target.with_name(f".{target.name[:60]}.{os.getpid()}.part")
    try:
        _write(part, content)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        raise _failure(name, directory, error) from error
    return target


def _exclusive(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o600)


def _reserve(directory: Path, name: str) -> Path:
    """An empty file of our own that holds the first free name."""
    stem, dot, extension = name.rpartition(".")
    for copy in range(1, COPIES_LIMIT):
        again = name if copy == 1 else f"{stem} ({copy}).{extension}" if dot else f"{name} ({copy})"
        try:
            os.close(_exclusive(directory / again))
        except FileExistsError:
            continue
        return directory / again
    raise FileExistsError(name)


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(_exclusive(path), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _failure(name: str, directory: Path, error: OSError) -> StoreError:
    return StoreError(
        _("“{name}” could not be saved in {folder}: {reason}.").format(
            name=name, folder=clean_line(str(directory)), reason=clean_line(error.strerror or str(error))
        ),
        next_step=_("Choose another folder or make room, then save again."),
    )


_SIGNATURES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-executable"),
    (b"#!", "text/x-script"),
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
)
_OFFICE = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_OPENABLE = {  # the sniffed type → the extensions a file of it may have
    "application/pdf": {"pdf"},
    "image/png": {"png"},
    "image/jpeg": {"jpg", "jpeg"},
    "image/gif": {"gif"},
    "image/webp": {"webp"},
    "text/plain": {"txt", "csv", "log", "md"},
    _OFFICE[0][1]: {"docx"},
    _OFFICE[1][1]: {"xlsx"},
    _OFFICE[2][1]: {"pptx"},
}
_TEXT_TYPES = {"text/plain", "text/csv", "text/markdown", "text/x-log"}
_VAGUE = "application/octet-stream"


def sniff(content: bytes) -> str:
    """The media type the first bytes show; 'application/octet-stream' when they show none."""
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"PK\x03\x04"):
        return _zip_kind(content)
    head = content[:4_096]
    if b"\0" in head:
        return _VAGUE
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lowered.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html", b"<script")):
        return "text/xml" if b"<html" not in lowered else "text/html"
    if lowered.startswith((b"[desktop entry]", b"[internetshortcut]")):
        return "application/x-desktop"
    return "text/plain" if _is_text(content) else _VAGUE


def _zip_kind(content: bytes) -> str:
    """A zip, or the Office document in it. One with macros is called what it is not allowed to be opened as."""
    if b"vbaProject" in content:
        return "application/vnd.ms-office.macro-enabled"
    if b"[Content_Types].xml" in content[:4_096] or b"_rels/.rels" in content[:4_096]:
        return next((kind for folder, kind in _OFFICE if folder in content), "application/zip")
    return "application/java-archive" if b"META-INF/" in content[:4_096] else "application/zip"


def _is_text(content: bytes) -> bool:
    try:
        text = content[:65_536].decode("utf-8", "strict" if len(content) <= 65_536 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\r\n\t" for letter in text[:4_096])


def openable(attachment: Attachment, content: bytes) -> str:
    """The real type of an attachment that may be opened in another program after a question; '' when it may not.

    Content, declared type and extension must agree on one of a few document types that run nothing.
    """
    kind = sniff(content)
    extension = attachment.name.rpartition(".")[2].lower()
    if extension not in _OPENABLE.get(kind, ()):
        return ""
    declared = attachment.content_type
    agrees = declared in (kind, _VAGUE) or (kind == "text/plain" and declared in _TEXT_TYPES)
    return kind if agrees or (kind == "image/jpeg" and declared == "image/jpg") else ""
