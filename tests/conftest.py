"""What every test stands on: its own profile folder, a fixed language and time zone, no network but 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmmail import i18n

SHARED = Path(os.environ.get("CRMMAIL_SHARED", Path(__file__).parents[2] / "shared"))
_LOCAL = ("127.0.0.1", "::1", "localhost")
# Hundreds of tests start the program: as installed, from its bytecode, not compiled anew each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# In the background of a script (`&`, `nohup`) these are ignored, and what is started here would inherit that: an
# interrupted program would go on. A handler of our own is not inherited.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


# The files that take longest, longest first. They begin first, or one worker is left alone with them at the end: by
# itself xdist begins with the files of most tests, and these have few.
LONGEST = (
    "crm/test_journey.py",
    "remotes/test_send.py",
    "tty/test_hostile.py",
    "tui/test_compose.py",
    "faults/test_kills.py",
    "store/test_completion.py",
    "remotes/test_imap.py",
    "tui/test_boxes.py",
    "faults/test_send_kills_outlook.py",
    "faults/test_crm_kills.py",
    "faults/test_imap.py",
    "faults/test_drafts.py",
    "tui/test_triage.py",
    "faults/test_send_kills_gmail.py",
    "remotes/test_tryton.py",
    "tui/test_accounts.py",
    "faults/test_send.py",
    "guide/test_flows.py",
    "faults/test_scale.py",
    "store/test_drafts.py",
    "faults/test_network.py",
    "faults/test_send_kills_any.py",
    "tui/test_customer_looks.py",
    "faults/test_send_mixed.py",
    "faults/test_crm_tryton.py",
    "test_demo.py",
    "tty/test_kills.py",
    "store/test_kill.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, everything else in its order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


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
