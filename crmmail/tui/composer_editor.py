"""Writing in the user's own editor: the program steps aside, and what was saved comes back. Never through a shell."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from crmmail.errors import CrmMailError
from crmmail.i18n import _

CANDIDATES = ("nano", "vim", "vi", "emacs")


def command() -> list[str]:
    """The editor's program and arguments: $VISUAL, $EDITOR, else one that is usual. Raises CrmMailError for none."""
    for name in ("VISUAL", "EDITOR"):
        words = _split(os.environ.get(name, ""))
        if words:
            return words
    found = next((path for name in CANDIDATES if (path := shutil.which(name))), None)
    if found is None:
        raise CrmMailError(_("No editor is set up."), next_step=_("Set $EDITOR to the editor you like."))
    return [found]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text.strip()] if text.strip() else []


def edit(text: str) -> str:
    """`text` after the user has edited it; raises CrmMailError when the editor cannot run or ends in failure."""
    program = command()
    folder = tempfile.mkdtemp(prefix="crmmail-")  # 0700: editors put their own copies beside the file
    path = Path(folder) / "message.txt"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        _run([*program, str(path)])
        return _read(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(arguments: list[str]) -> None:
    try:
        done = subprocess.run(arguments, check=False)
    except OSError as error:
        raise CrmMailError(
            _("The editor “{name}” could not be started: {reason}.").format(name=arguments[0], reason=error.strerror),
            next_step=_("Set $EDITOR to a program that exists."),
        ) from error
    if done.returncode:
        raise CrmMailError(_("The editor reported an error; the message is unchanged."))


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CrmMailError(_("The editor left no file; the message is unchanged.")) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text[:-1] if text.endswith("\n") else text
