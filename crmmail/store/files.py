"""The profile's data directory: its modes, its lock, and files put aside."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from crmmail.errors import ProfileBusy, StoreError
from crmmail.i18n import _
from crmmail.store.faults import explain

DESK, CACHE, LOCK = "desk.db", "cache.db", "lock"
COMPANIONS = ("", "-wal", "-shm")


def prepare(directory: Path) -> None:
    """Make the directory and empty files that only the user can enter or read, whatever the umask is."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if stat.S_IMODE(directory.stat().st_mode) != 0o700:
            directory.chmod(0o700)
        for name in (DESK, CACHE):
            _private(directory / name)
    except OSError as error:
        raise explain(error) from error


def _private(path: Path) -> None:
    """Make `path` exist with mode 0600; SQLite gives the -wal and -shm beside it the same mode."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) != 0o600:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


class ProfileLock:
    """One writer per profile, held by the operating system for as long as this process lives."""

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK
        try:
            _private(path)
            self._handle = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise explain(error) from error
        try:
            _lock(self._handle)
        except BlockingIOError as error:
            os.close(self._handle)
            raise ProfileBusy(
                _("Another crmmail is using this profile."),
                next_step=_("Use that one, or open this one read-only."),
            ) from error
        except OSError as error:
            os.close(self._handle)
            raise StoreError(
                _("The file system of the data directory cannot lock files ({reason}).").format(reason=error),
                next_step=_("Choose a directory on a local disk."),
            ) from error

    def release(self) -> None:
        """Let the next one in."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def put_aside(directory: Path, name: str) -> Path:
    """Rename a damaged file with its companions out of the way; returns where it is now.

    Of a damaged cache only the newest is kept: it can be large, and all of it is on the server.
    """
    if name == CACHE:
        for old in directory.glob(f"{name}.damaged-*"):
            old.unlink()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    target = directory / f"{name}.damaged-{stamp}"
    for suffix in COMPANIONS:
        path = directory / f"{name}{suffix}"
        if path.exists():
            path.rename(f"{target}{suffix}")
    return target
