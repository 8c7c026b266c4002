"""A file of accounts and contacts, by its ending: cards or a table; read row by row, written as a whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from crmmail.crm import sheet, vcard
from crmmail.crm.model import Account, Contact
from crmmail.crm.rows import Row, Skipped
from crmmail.errors import SettingsError
from crmmail.i18n import _

VCARD = (".vcf", ".vcard")


def is_vcard(path: Path) -> bool:
    """Whether the file is one of cards."""
    return path.suffix.lower() in VCARD


def read(path: Path) -> Iterable[Row | Skipped]:
    """The rows of a file. Raises SettingsError for one that is nothing that can be imported."""
    return vcard.read(path) if is_vcard(path) else sheet.read(path, sheet.shape(path))


def write(path: Path, accounts: Iterable[tuple[Account, Sequence[Contact]]]) -> None:
    """A whole file or none: customers' data is for its owner's eyes. Raises SettingsError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    parts = vcard.write(accounts) if is_vcard(path) else sheet.write(accounts)
    try:
        encoding = "utf-8-sig" if path.suffix.lower() == ".csv" else "utf-8"  # Excel takes it for cp1252 without a mark
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding=encoding, newline="") as file:
            file.writelines(parts)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def writable(path: Path) -> None:
    """Whether `write` would find a place for it; nothing is left there. Raises SettingsError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        beside.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        _("{file} cannot be written: {why}.").format(file=path.name, why=error.strerror or type(error).__name__),
        next_step=_("Choose another place."),
    )
