"""Sentences and words several parts of the screen share: folders, sync states, toasts. Pure."""

from __future__ import annotations

from datetime import datetime

from crmmail.i18n import N_, _, ngettext, pgettext
from crmmail.model import Folder, Phase, Role, Status
from crmmail.ops import Verb

FOLDERS = {
    Role.INBOX: N_("Inbox"),
    Role.FAVORITES: N_("Favorites"),
    Role.DRAFTS: N_("Drafts"),
    Role.SENT: N_("Sent"),
    Role.TRASH: N_("Trash"),
    Role.SPAM: N_("Spam"),
    Role.ARCHIVE: N_("Archive"),
    Role.ALL: N_("All mail"),
}
OK, BUSY, WARN, BAD, QUIET = "ok", "busy", "warn", "bad", "quiet"


def folder(found: Folder) -> str:
    """What a folder is called: our word for system folders, the user's own for the rest."""
    if found.role is Role.ARCHIVE:
        return pgettext("folder", "Archive")  # without a context it is the act of archiving
    known = FOLDERS.get(found.role)
    return _(known) if known else found.name


def number(count: int) -> str:
    """A count with the thousands set apart as the language does."""
    return f"{count:,}".replace(",", _(","))


def clock(seconds: float) -> str:
    """A time of day, 24 h."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M")


def moment(seconds: float) -> str:
    """A day and a time: '24/11 08:00'."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%d/%m %H:%M")


def recently(seconds: float, now: float) -> str:
    """A moment of the last day by the clock, an earlier one with its day."""
    return clock(seconds) if now - seconds < 86_400 else moment(seconds)


def state(status: Status | None, key: str = "") -> tuple[str, str]:
    """A mailbox's sync state in few words, and its tone. `key` solves what needs the user."""
    if status is None:
        return _("Not synced yet"), QUIET
    missing = sum(count for count in status.missing.values() if count > 0)
    match status.phase:
        case Phase.FILLING if status.total:
            words = _("Filling {done} of {total}")
            return words.format(done=number(status.done), total=number(status.total)), BUSY
        case Phase.FILLING:
            return _("Filling…"), BUSY
        case Phase.SYNCING:
            return _("Syncing…"), BUSY
        case Phase.OFFLINE:
            return _("Offline"), WARN
        case Phase.WAITING:
            return _("Waiting until {time}").format(time=clock(status.retry_at)), WARN
        case Phase.SIGN_IN:
            return _("Sign in again ({key})").format(key=key), BAD
        case Phase.PAUSED:
            return _("Paused: decide ({key})").format(key=key), BAD
        case Phase.HELD:
            return _("Paused by you"), QUIET
        case Phase.ERROR:
            return _("Error"), BAD
        case Phase.SYNCED if not missing:
            return _("Synced {time}").format(time=clock(status.at)), OK
    if missing:
        return ngettext("{count} missing", "{count} missing", missing).format(count=number(missing)), WARN
    return (_("Checked {time}").format(time=clock(status.at)), QUIET) if status.at else (_("Not synced yet"), QUIET)


def done(kind: str, count: int) -> str:
    """What an act did, for the toast."""
    sentences = {
        Verb.READ: ngettext("{count} marked as read", "{count} marked as read", count),
        Verb.UNREAD: ngettext("{count} marked as unread", "{count} marked as unread", count),
        Verb.FAVORITE: ngettext("{count} added to favorites", "{count} added to favorites", count),
        Verb.UNFAVORITE: ngettext("{count} removed from favorites", "{count} removed from favorites", count),
        Verb.TRASH: ngettext("{count} moved to trash", "{count} moved to trash", count),
        Verb.RECOVER: ngettext("{count} recovered from trash", "{count} recovered from trash", count),
        Verb.ARCHIVE: ngettext("{count} archived", "{count} archived", count),
        Verb.DELETE: ngettext("{count} deleted permanently", "{count} deleted permanently", count),
        "create_account": _("account created"),
        "create_contact": _("contact created"),
        "save_account": _("account saved"),
        "save_contact": _("contact saved"),
        "remove_account": _("account removed"),
        "remove_contact": _("contact removed"),
        "merge_accounts": _("accounts merged"),
        "import": ngettext("{count} imported", "{count} imported", count),
        "link": ngettext("{count} linked", "{count} linked", count),
        "never": _("rule “never” set"),
        "private": ngettext("{count} marked private", "{count} marked private", count),
        "crm_setting": _("choice of what is logged"),
        "unlink": ngettext("{count} unlinked", "{count} unlinked", count),
    }
    words = sentences.get(kind)
    return (words or ngettext("{count} changed", "{count} changed", count)).format(count=number(count))


def undone(kind: str, count: int) -> str:
    """What undo took back."""
    return _("Undone: {what}").format(what=done(kind, count))


def redone(kind: str, count: int) -> str:
    """What redo did again."""
    return _("Done again: {what}").format(what=done(kind, count))


def nothing(verb: Verb) -> str:
    """Why a verb did nothing here."""
    return {
        Verb.READ: _("Already read."),
        Verb.UNREAD: _("Already unread."),
        Verb.FAVORITE: _("This mailbox has no favorites, or it is one already."),
        Verb.UNFAVORITE: _("It is not among the favorites."),
        Verb.TRASH: _("Already in the trash."),
        Verb.RECOVER: _("Only what is in the trash can be recovered."),
        Verb.DELETE: _("Only what is in the trash can be deleted permanently. First send it there."),
        Verb.ARCHIVE: _("Only what is in the inbox can be archived, where the mailbox has an archive."),
    }.get(verb, _("Nothing to do."))
