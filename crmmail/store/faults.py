"""What SQLite and the disk may say, in our words."""

from __future__ import annotations

import sqlite3
import zlib

from crmmail.errors import StoreError
from crmmail.i18n import _, ngettext


class FuseBlown(StoreError):
    """Pages would remove more than half of a folder: nothing of the last one is applied until the user has answered.

    `removed` of `total` counts what the pages before it took out: `already`, too few to be noticed by themselves.
    """

    title = "Mass removal stopped"

    def __init__(self, mailbox: str, folder: str, removed: int, total: int, already: int = 0) -> None:
        asked = _("The server asks to remove {removed} of {total} messages from a folder.")
        kept = _("Nothing was removed here. Check the mailbox elsewhere, then allow or refuse it.")
        if already:
            kept = ngettext(
                "{count} is removed here already, the others are kept. Check the mailbox elsewhere, then allow or "
                "refuse it.",
                "{count} are removed here already, the others are kept. Check the mailbox elsewhere, then allow or "
                "refuse it.",
                already,
            ).format(count=already)
        super().__init__(asked.format(removed=removed, total=total), next_step=kept)
        self.mailbox, self.folder, self.removed, self.total = mailbox, folder, removed, total


class Damaged(Exception):
    """Content of a file that cannot be what was written to it."""


# What reading a broken file raises. UnicodeDecodeError: SQLite's own message may quote the broken bytes.
BROKEN = (sqlite3.Error, Damaged, zlib.error, UnicodeDecodeError)


def is_damage(error: BaseException) -> bool:
    """Whether `error` means that a file's content is broken, as opposed to a full disk, a lock or a defect of ours."""
    if isinstance(error, Damaged | zlib.error | UnicodeDecodeError):
        return True
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "Could not decode" in str(error)


def explain(error: Exception) -> StoreError:
    """The StoreError that tells the user what `error` means and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno == 28):
        return StoreError(_("The disk is full."), next_step=_("Free some space; nothing already saved is lost."))
    if code == sqlite3.SQLITE_BUSY:
        return StoreError(_("Another program keeps the local copy locked."), next_step=_("Close it and try again."))
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return StoreError(
            _("The local copy cannot be opened or written ({reason}).").format(reason=error),
            next_step=_("Check the permissions of its directory."),
        )
    if is_damage(error):
        return StoreError(_("The local copy is damaged."), next_step=_("Start crmmail again: it repairs it."))
    return StoreError(_("The local copy cannot be read or written ({reason}).").format(reason=error))
