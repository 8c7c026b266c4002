"""Handing a file or an address to the user's desktop: one program, one argument, never a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from crmmail import config
from crmmail.errors import CrmMailError
from crmmail.i18n import _


def opener() -> list[str]:
    """The desktop's own launcher. Raises CrmMailError where there is none (a bare server, SSH)."""
    names = {"darwin": ["open"]}.get(sys.platform, ["xdg-open", "wslview", "gio"])
    for name in names:
        path = shutil.which(name)
        if path and not (name == "xdg-open" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))):
            return [path, "open"] if name == "gio" else [path]
    raise CrmMailError(
        _("There is no desktop here that could open it."),
        next_step=_("Copy the link instead, or look for the saved file in your download folder."),
    )


def open_url(url: str) -> None:
    """Open an address the caller has checked with `mail.links.may_open`."""
    _start([*opener(), url])


def open_file(path: Path) -> None:
    """Open a saved file. The path is absolute, so it cannot be taken for an option."""
    _start([*opener(), str(path.absolute())])


def _start(command: list[str]) -> None:
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def download_folder(settings: config.Settings) -> Path:
    """Where attachments go: the user's choice, else the desktop's download folder."""
    if settings.download_folder:
        return Path(settings.download_folder).expanduser()
    import platformdirs

    return platformdirs.user_downloads_path()
