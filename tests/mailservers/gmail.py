"""The npm package hoodiecrow-imap as a server with Gmail's extensions (X-GM-EXT-1), in Portuguese."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from crmmail.sandbox import tls
from tests.conftest import MISSING_PART, part
from tests.mailservers.dovecot import free_port

HERE = Path(__file__).parent
USER, PASSWORD = "alice@gmail.example", "app-password"


class GmailServer:
    """Running with a few messages in the inbox and in "[Gmail]/Todos os e-mails"."""

    def __init__(self, installed: Path, count: int = 5) -> None:
        self._installed = installed
        self._count = count

    def __enter__(self) -> GmailServer:
        self._folder = tempfile.TemporaryDirectory(prefix="gmail")
        _context, ca_file = tls.context(Path(self._folder.name))
        self.ca_file = str(ca_file)
        self.port = free_port()
        chain = str(Path(self._folder.name) / "server.pem")
        self._process = subprocess.Popen(
            ["node", "gmail_imap.js", str(self.port), str(self._count), chain, chain],
            cwd=self._installed,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert self._process.stdout
        assert self._process.stdout.readline().startswith("ready")
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        if self._process.stdout:
            self._process.stdout.close()
        self._folder.cleanup()


def installed(folder: Path) -> Path:
    """Where the package lies; skips when npm cannot get it."""
    part("node")
    part("npm")
    for name in ("gmail_imap.js", "package.json"):
        shutil.copy(HERE / name, folder / name)
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        pytest.skip(f"{MISSING_PART}the npm package hoodiecrow-imap: {done.stderr[-300:]}")
    return folder
