"""A real Tryton for the tests: its own environment from PyPI, one server a worker, a fresh database for each test.

Tryton is GPL and no dependency of ours; it runs as a process of its own, in tests only. Off unless CRMMAIL_CLIENT_TESTS
names `tryton` (or is 1). Environment and initialised database are made once (about 15 s) in
CRMMAIL_CLIENT_ENVIRONMENTS, or in a folder of the system's temporary one that later runs find again.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

WANTED = {"1", "tryton"} & set(os.environ.get("CRMMAIL_CLIENT_TESTS", "").split(","))
PACKAGES = ["trytond>=8.2,<8.3", "trytond_party>=8.2,<8.3", "trytond_party_relationship>=8.2,<8.3"]
PASSWORD = "canary-tryton-password-1"
USER = "admin"
DATABASE = "crm"
START_SECONDS = 60.0


def needed() -> None:
    """Skip where no Tryton was asked for."""
    if not WANTED:
        pytest.skip("CRMMAIL_CLIENT_TESTS does not name tryton: it is fetched from PyPI")


def _home() -> Path:
    given = os.environ.get("CRMMAIL_CLIENT_ENVIRONMENTS")
    return Path(given or Path(tempfile.gettempdir()) / f"crmmail-tests-{os.getuid()}") / "tryton-8.2"


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One of the workers makes the environment; the others wait for it."""
    import fcntl

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(home: Path, *command: str) -> None:
    environment = {**os.environ, "TRYTONPASSFILE": str(home / "password")}
    ended = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]


def initialised() -> Path:
    """The folder with the environment and `empty.sqlite`, a database with the modules and nothing in it."""
    home = _home()
    with _alone(home):
        if (home / "empty.sqlite").exists():
            return home
        shutil.rmtree(home / "venv", ignore_errors=True)
        venv.create(home / "venv", with_pip=True)
        _run(home, str(home / "venv/bin/python"), "-m", "pip", "install", "-q", *PACKAGES)
        (home / "password").write_text(PASSWORD)
        making = home / "making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        (making / "crm.sqlite").touch()
        (making / "t.conf").write_text(f"[database]\nuri = sqlite://\npath = {making}\n")
        admin = [str(home / "venv/bin/trytond-admin"), "-c", str(making / "t.conf"), "-d", "crm"]
        _run(home, *admin, "--all", "--email", "admin@crm.example")
        _run(home, *admin, "-u", "party", "party_relationship", "--activate-dependencies")
        (making / "crm.sqlite").rename(home / "empty.sqlite")
    return home


@dataclass
class Server:
    """A running server with one database. `fresh` makes that as new, `stop` and `start` take the server down."""

    home: Path
    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fresh(self, template: Path | None = None) -> str:
        """The database as `template` is (empty where none is given); its name.

        Written into the open file: a server asked for a database it was not started with does not know its users.
        """
        source = sqlite3.connect(template or self.home / "empty.sqlite")
        target = sqlite3.connect(self.directory / f"{DATABASE}.sqlite", timeout=20)
        source.backup(target)
        source.close()
        target.close()
        return DATABASE

    def start(self) -> None:
        config = self.directory / "t.conf"
        lines = (
            "[database]",
            "uri = sqlite://",
            f"path = {self.directory}",
            "[web]",
            f"listen = 127.0.0.1:{self.port}",
        )
        config.write_text("\n".join(lines) + "\n")
        with (self.directory / "log").open("ab") as log:
            command = [str(self.home / "venv/bin/trytond"), "-c", str(config), "-d", DATABASE]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
            with contextlib.suppress(httpx.TransportError):
                body = {"id": 1, "method": "common.server.version", "params": []}
                if httpx.post(f"{self.url}/rpc/", json=body, trust_env=False).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("Tryton did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server on a free port."""
    home = initialised()
    with tempfile.TemporaryDirectory(prefix="crmmail-tryton-") as directory, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Server(home, Path(directory), probe.getsockname()[1])
        probe.close()
        server.fresh()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def crowd(server: Server, relation: int, accounts: int, contacts: int) -> None:
    """Fill the running database with companies and their people, past the server: by RPC it would take a minute."""
    with contextlib.closing(sqlite3.connect(server.directory / f"{DATABASE}.sqlite", timeout=20)) as database:
        base = database.execute("SELECT coalesce(max(id), 0) FROM party_party").fetchone()[0] + 1
        persons = base + accounts
        now = "2026-01-05 10:00:00.000000"
        parties = [(base + n, f"Empresa {n}", f"E{n}") for n in range(accounts)]
        parties += [(persons + n, f"Pessoa {n}", f"P{n}") for n in range(contacts)]
        party = "INSERT INTO party_party(id, name, code, active, create_date, create_uid) VALUES (?, ?, ?, 1, ?, 0)"
        database.executemany(party, [(*row, now) for row in parties])
        sites = [(base + n, "website", f"https://empresa{n}.example") for n in range(accounts)]
        mails = [(persons + n, "email", f"pessoa{n}@empresa{n % accounts}.example") for n in range(contacts)]
        way = (
            "INSERT INTO party_contact_mechanism(party, type, value, value_compact, active, create_date, create_uid) "
            "VALUES (?, ?, ?, ?, 1, ?, 0)"
        )
        database.executemany(way, [(*row, row[2], now) for row in (*sites, *mails)])
        bonds = [(persons + n, base + n % accounts, relation, now) for n in range(contacts)]
        bond = 'INSERT INTO party_relation(from_, "to", type, create_date, create_uid) VALUES (?, ?, ?, ?, 0)'
        database.executemany(bond, bonds)
        database.commit()


class Colleague:
    """Another client of the same database: raw JSON-RPC, nothing of ours."""

    def __init__(self, url: str, database: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        self._path = f"/{database}/rpc/"
        user, session = self._post("common.db.login", USER, {"password": PASSWORD}, "en")[:2]
        ticket = base64.b64encode(f"{USER}:{user}:{session}".encode()).decode()
        self._client.headers["Authorization"] = f"Session {ticket}"

    def __call__(self, method: str, *params: Any) -> Any:
        return self._post(method, *params, {})

    def _post(self, method: str, *params: Any) -> Any:
        answer = self._client.post(self._path, json={"id": 1, "method": method, "params": params})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert "error" not in told, told["error"]
        return told["result"]

    def close(self) -> None:
        self._client.close()
