"""Other mail programs on the same mail, where they are installed: neomutt with a header cache, aerc on a Maildir.

Configurations as their manuals give them, without colours or hooks that would cost time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench import profiles
from tests.bench.ttyprobe import run_once

NEOMUTT = """set mbox_type=Maildir
set folder='{mail}'
set spoolfile='+INBOX'
set record='+Sent'
set trash='+Trash'
set from='ana.souza@lumen.example'
set sort=reverse-date
set sleep_time=0
set quit=yes
set wait_key=no
set mark_old=no
set read_inc=0
set pager_index_lines=0
ignore *
unignore from: date subject to cc
set tmpdir='{work}'
set header_cache='{work}/hcache'
"""
AERC = """[general]
[ui]
mouse-enabled=false
[viewer]
pager=less -Rc
[filters]
text/plain=cat
"""
AERC_ACCOUNT = """[bench]
source = maildir://{mail}
default = INBOX
from = Ana <ana.souza@lumen.example>
"""
STEPS = ("start", "next", "page down", "end", "home", "open", "close", "trash", "undo")


def installed() -> list[str]:
    """The programs there are to compare with; `floor` is a bare Textual list over the same store."""
    return ["floor", *(name for name in ("neomutt", "aerc") if shutil.which(name))]


def version(name: str) -> str:
    """What the program calls itself."""
    if name == "floor":
        return "a bare Textual list"
    said = subprocess.run([name, "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+[\d.]+", said)
    return f"{name} {found[0]}" if found else name


def measure(work: Path, name: str, count: int, rounds: int) -> dict[str, Any]:
    """Milliseconds by step and memory in MB of a peer, as `interface.Measured` has them."""
    scenario = _scenario(work, name, count)
    times: dict[str, list[float]] = {}
    memory: list[float] = []
    for turn in range(rounds + 1):  # the first one builds the header cache
        run = run_once(scenario)
        if run["failed"]:
            raise RuntimeError(f"{name}: {run['failed']}\n" + "\n".join(run["steps"][-1]["screen"]))
        for step in run["steps"] if turn else []:
            times.setdefault(step["step"], []).append(step["match_ms"])
            memory += [step["pss_kb"] / 1024] if "pss_kb" in step else []
    return {"times": times, "memory": memory}


def _scenario(work: Path, name: str, count: int) -> dict[str, Any]:
    if name == "floor":
        return _floor(profiles.profile(work, count))
    mail = profiles.maildir(work, count)
    return (_neomutt if name == "neomutt" else _aerc)(work / f"{name}-{count}", mail, count)


def _floor(home: Path) -> dict[str, Any]:
    return {
        "name": "floor",
        "cmd": [sys.executable, str(Path(__file__).with_name("floor.py")), str(home / "default" / "data")],
        "quiet_ms": 190,
        "steps": [
            {"name": "start", "expect": r"20\d\d-\d\d-\d\d", "row": 49, "min_rows": 50, "timeout_s": 60, "rss": 1},
            {"name": "next", "keys": "j", "expect": "@cursor", "repeat": 25},
            {"name": "page down", "keys": "<pgdn>", "expect": "@change", "repeat": 12},
            {"name": "end", "keys": "G", "expect": "@change", "timeout_s": 30},
            {"name": "home", "keys": "<home>", "expect": "@change", "timeout_s": 30},
            {"name": "quit", "keys": "<c-q>", "expect": "@exit", "timeout_s": 30},
        ],
    }


def _neomutt(work: Path, mail: Path, count: int) -> dict[str, Any]:
    work.mkdir(parents=True, exist_ok=True)
    (work / "neomuttrc").write_text(NEOMUTT.format(mail=mail, work=work))
    return {
        "name": "neomutt",
        "cmd": ["neomutt", "-n", "-F", str(work / "neomuttrc"), "-f", str(mail / "INBOX")],
        "steps": [
            {"name": "start", "expect": f"Msgs:{count}", "min_rows": 48, "timeout_s": 120, "rss": True},
            {"name": "next", "keys": "<down>", "expect": "@cursor", "repeat": 30},
            {"name": "page down", "keys": "<pgdn>", "expect": "@change", "repeat": 12},
            {"name": "end", "keys": "<end>", "expect": "@change"},
            {"name": "home", "keys": "<home>", "expect": "@change"},
            {"name": "open", "keys": "<enter>", "expect": "Subject: ", "timeout_s": 30},
            {"name": "close", "keys": "i", "expect": f"Msgs:{count}", "min_rows": 48},
            {"name": "trash", "keys": "d", "expect": "Del:1", "optional": True},
            {"name": "undo", "keys": "<up>u", "expect": "@change", "optional": True},
            {"name": "quit", "keys": "x", "expect": "@exit", "timeout_s": 60},
        ],
    }


def _aerc(work: Path, mail: Path, count: int) -> dict[str, Any]:
    del count
    folder = work / "aerc"
    (work / "run").mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy("/usr/share/aerc/binds.conf", folder / "binds.conf")
    (folder / "aerc.conf").write_text(AERC)
    account = folder / "accounts.conf"
    account.write_text(AERC_ACCOUNT.format(mail=mail))
    account.chmod(0o600)
    environment = {"XDG_CONFIG_HOME": work, "XDG_RUNTIME_DIR": work / "run", "XDG_DATA_HOME": work / "data"}
    listed = r"20\d\d-\d\d-\d\d"
    return {
        "name": "aerc",
        "cmd": ["aerc"],
        "env": {name: str(path) for name, path in environment.items()} | {"XDG_CACHE_HOME": str(work / "cache")},
        "quiet_ms": 150,
        "steps": [
            {"name": "start", "expect": listed, "row": 48, "min_rows": 49, "timeout_s": 99, "quiet_ms": 1500, "rss": 1},
            {"name": "next", "keys": "j", "expect": "@cursor", "repeat": 30},
            {"name": "page down", "keys": "<pgdn>", "expect": "@change", "repeat": 12},
            {"name": "end", "keys": "G", "expect": "@change", "timeout_s": 60},
            {"name": "home", "keys": "g", "expect": "@change", "timeout_s": 60},
            {"name": "open", "keys": "<enter>", "expect": "Subject:", "timeout_s": 60},
            {"name": "close", "keys": "q", "expect": listed, "row": 48, "min_rows": 49},
            {"name": "quit", "keys": ":quit -f<enter>", "expect": "@exit", "timeout_s": 60},
        ],
    }  # fmt: skip
