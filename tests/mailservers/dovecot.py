"""A real Dovecot for tests: a private folder, free ports on 127.0.0.1, its own certificate, ended with it.

As root its processes run as the system user `dovecot`, else as whoever runs the tests. Debian and Ubuntu:
`apt-get install --no-install-recommends dovecot-imapd dovecot-submissiond`.
"""

from __future__ import annotations

import base64
import contextlib
import grp
import hashlib
import hmac
import json
import os
import pwd
import re
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from crmmail.sandbox import tls
from tests.conftest import MISSING_PART

HERE = Path(__file__).parent
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
_TOKEN_KEY = b"dovecot-fixture-shared-secret-0123456789"
PASSWORD = "pão com queijo"


def binary() -> str:
    """Where dovecot is. Skips without it, or with a version whose settings are written in another way."""
    found = shutil.which("dovecot", path=_PATH)
    if not found:
        pytest.skip(MISSING_PART + "dovecot")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"(\d+)\.(\d+)", told)
    if not version or (int(version[1]), int(version[2])) != (2, 3):
        pytest.skip(f"these settings are for Dovecot 2.3; 2.4 has another syntax, and here is {told.strip()[:40]}")
    return found


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Dovecot:
    """The running server. `users`: name → password. `relay_port`: also an SMTP submission server in front of it."""

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        relay_port: int = 0,
        namespace_prefix: str = "",
        special_use: bool = True,
        capability: str = "",
        extra: str = "",
    ) -> None:
        """`capability`: exactly what it claims to be able to, for servers of another kind."""
        self.users = dict(users)
        self._relay_port = relay_port
        self._prefix = namespace_prefix
        self._special_use = special_use
        self._capability = capability
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Dovecot:
        program = binary()
        # Short: the path of a Unix socket may have 107 bytes.
        self.base = Path(tempfile.mkdtemp(prefix="dvc", dir="/tmp"))
        self.imap_port, self.imaps_port, self.submission_port = free_port(), free_port(), free_port()
        self._account = pwd.getpwnam("dovecot") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._write_settings()
        self._own(self.base)
        self._process = subprocess.Popen(
            [program, "-F", "-c", str(self.base / "dovecot.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._await()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            # A graceful end takes up to 4 s while clients are connected; this is our own process group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def ca_file(self) -> str:
        """The authority clients trust."""
        return str(self.base / "tls" / "ca.pem")

    def log(self) -> str:
        """What it had to say."""
        path = self.base / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def token(self, user: str, lifetime: int = 3600) -> str:
        """An OAuth access token it accepts (a JWT it checks by itself)."""

        def coded(value: object) -> bytes:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

        now = int(time.time())
        signed = coded({"alg": "HS256", "typ": "JWT"}) + b"." + coded({"sub": user, "iat": now, "exp": now + lifetime})
        mac = hmac.new(_TOKEN_KEY, signed, hashlib.sha256).digest()
        return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()

    def drop(
        self,
        user: str,
        messages: Iterable[tuple[bytes, str]],
        folder: str = "INBOX",
        moments: Sequence[float] = (),
    ) -> None:
        """Put messages into a Maildir, as a delivery does: (bytes, Maildir flags such as 'S')."""
        place = self.base / "home" / user / "Maildir"
        place = place if folder == "INBOX" else place / ("." + folder.replace("/", "."))
        for name in ("cur", "new", "tmp"):
            (place / name).mkdir(parents=True, exist_ok=True)
        now = time.time_ns()
        for number, (raw, flags) in enumerate(messages):
            stamp = f"{now // 10**9}.M{number:06d}P{now % 10**9}.{os.urandom(3).hex()}.fixture,S={len(raw)}"
            target = place / "tmp" / stamp
            target.write_bytes(raw)
            self._own(target)
            if moments:  # when it was received
                os.utime(target, (moments[number], moments[number]))
            target.rename(place / ("cur" if flags else "new") / (stamp + (f":2,{flags}" if flags else "")))
        self._own(place.parent)
        self._own(place)
        for name in ("cur", "new", "tmp"):
            self._own(place / name)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            inner = path.rglob("*") if path == self.base else ()
            for one in (path, *inner):
                os.chown(one, self._account.pw_uid, self._account.pw_gid)

    def _write_settings(self) -> None:
        names = {
            "BASE": str(self.base),
            "IMAP_PORT": str(self.imap_port),
            "IMAPS_PORT": str(self.imaps_port),
            "USER": self._account.pw_name,
            "GROUP": grp.getgrgid(self._account.pw_gid).gr_name,
            "SUBMISSION_PORT": str(self.submission_port),
            "RELAY_PORT": str(self._relay_port or 25),
            "PREFIX": self._prefix,
            "FOLDERS": (HERE / "special_use.tmpl").read_text() if self._special_use else "",
            "CAPABILITY": f"imap_capability = {self._capability}" if self._capability else "",
            "EXTRA": self._extra,
        }
        for name in ["dovecot.conf", "oauth2.conf.ext"] + (["submission.conf"] if self._relay_port else []):
            text = string.Template((HERE / f"{name}.tmpl").read_text()).safe_substitute(names)
            (self.base / name).write_text(text)
        (self.base / "tls").mkdir()
        tls.context(self.base / "tls")
        (self.base / "users").write_text("".join(f"{user}:{{PLAIN}}{word}\n" for user, word in self.users.items()))
        key = self.base / "keys" / "default" / "HS256"
        key.mkdir(parents=True)
        (key / "default").write_text(base64.b64encode(_TOKEN_KEY).decode())
        for user in self.users:
            (self.base / "home" / user).mkdir(parents=True)
        self.base.chmod(0o755)

    def _await(self, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self._process is not None
            assert self._process.poll() is None, "dovecot did not start: " + self.log()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.imap_port), 1) as line:
                if line.recv(4) == b"* OK":
                    return
            assert time.monotonic() < deadline, "dovecot does not answer: " + self.log()
            time.sleep(0.02)
