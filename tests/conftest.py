"""What every test stands on: its own profile folder, a fixed language and time zone, no network but 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail import i18n

SHARED = Path(os.environ.get("CRMMAIL_SHARED", Path(__file__).parents[2] / "shared"))
WHILE = float(os.environ.get("W", "0.005"))  # seconds
_LOCAL = ("127.0.0.1", "::1", "localhost")
# Hundreds of tests start the program: as installed, from its bytecode, not compiled anew each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the user's home, locale or secrets."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CRMMAIL_HOME", str(home / "crmmail"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "LANGUAGE", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    for name in [key for key in os.environ if key.startswith("CRMMAIL_") and key.endswith(("_ID", "_SECRET", "_FILE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    i18n.use("en")
    yield
    i18n.use("en")


@pytest.fixture(autouse=True)
def _local_network_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere else is a failed test, not a slow one."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in _LOCAL and not str(address[0]).startswith("127."):
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


def pytest_collection_finish() -> None:
    """After each key Textual's pilot watches whether the process rests: twice 20 ms, a third of the interface's tests.

    As fine a look at shorter whiles (a rest is still less than a twentieth of the while) sees the same sooner.
    """
    if (watch := sys.modules.get("textual._wait")) is not None:
        watch.SLEEP_GRANULARITY = WHILE  # type: ignore[attr-defined]
        watch.SLEEP_IDLE = WHILE / 20  # type: ignore[attr-defined]


@pytest.fixture
def shared() -> Path:
    """Material that lies beside a developer's checkout; tests that need it skip in a plain clone."""
    if not SHARED.is_dir():
        pytest.skip("the folder with other projects' test data is not beside this checkout")
    return SHARED


MISSING_PART = "not installed here: "


def part(name: str) -> None:
    """Skip when the program `name` is not on the path; `.ci/run` turns such a skip into a failure."""
    if shutil.which(name) is None:
        pytest.skip(MISSING_PART + name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where every part must be there, a skip for a missing one is a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if os.environ.get("CRMMAIL_REQUIRE_PARTS") and report.skipped and MISSING_PART in str(report.longrepr):
        report.outcome = "failed"
