"""What the measured programs read: the same generated mail as a crmmail profile and as a Maildir.

Everything lies in one inbox, because that is the list whose size matters. Built once for a size and kept in the work
folder; each run gets a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from crmmail import config, mailboxes
from crmmail.model import Folder, Incoming, Page, Role, State
from crmmail.sandbox.generate import OWNER, Letter, plan
from crmmail.store import Store

NOW = 1_780_000_000.0  # one clock for all runs, so that a profile is the same whenever it is built
BATCH = 500
NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port: the interface runs offline
FOLDERS = (Role.INBOX, Role.DRAFTS, Role.SENT, Role.TRASH, Role.SPAM)


def letters(count: int) -> list[Letter]:
    """The mail of a size, newest first."""
    return plan(count, clock=lambda: NOW)


def profile(work: Path, count: int) -> Path:
    """The CRMMAIL_HOME of a profile with `count` messages; built when it is not there."""
    home = work / f"profile-{count}"
    done = home / "built.json"
    os.environ["CRMMAIL_HOME"] = str(home)
    place = config.profile()
    if done.exists():
        # A newer version migrates it, and looks at its mail again, here: once, and not beside every measured run.
        with Store.open(place.data_dir) as store:
            while store.rematch_step():
                pass
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    place.make()
    with config.update(place) as settings:
        settings.token_store = "file"
        settings.mailboxes["gmail"] = _box()
    began, used = time.monotonic(), time.process_time()
    with Store.open(place.data_dir) as store:
        mailboxes.register(store, settings)
        for page in pages(letters(count)):
            store.ingest("gmail", page)
            _tell(f"profile of {count:,}: {page.progress[0] if page.progress else 0:,}")
    done.write_text(json.dumps({"seconds": time.monotonic() - began, "cpu": time.process_time() - used}))
    _tell("", end="\n")
    return home


def _box() -> config.MailboxSettings:
    urls = dict.fromkeys(("api_url", "auth_url", "token_url", "device_url", "revoke_url"), NOWHERE)
    return config.MailboxSettings("gmail", OWNER.email, name="Gmail", client_id="bench", **urls)


def pages(mail: list[Letter]) -> Iterator[Page]:
    """`mail` as a first fill brings it: newest first, in batches."""
    folders = tuple(Folder("gmail", role.value, role, role.value.title(), role.name) for role in FOLDERS)
    coming, done = iter(mail), 0
    while batch := list(islice(coming, BATCH)):
        upserts = tuple(_incoming(letter) for letter in batch)
        done += len(batch)
        yield Page(
            f"cursor-{done}",
            upserts=upserts,
            folders=folders if done == len(batch) else None,
            complete=done == len(mail),
            progress=(done, len(mail)),
        )


def _incoming(letter: Letter) -> Incoming:
    state = State(frozenset({"inbox"}), unread=letter.unread, starred=letter.starred)
    raw = letter.raw()
    return Incoming(letter.name, state, letter.received_ms, raw, size=len(raw), remote_thread=letter.thread)


def maildir(work: Path, count: int) -> Path:
    """A Maildir root (INBOX, Sent, Trash) with the same mail, for other programs."""
    root = work / f"maildir-{count}"
    if (root / "built").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    for name in ("INBOX", "Sent", "Trash"):
        for part in ("cur", "new", "tmp"):
            (root / name / part).mkdir(parents=True)
    for number, letter in enumerate(letters(count)):
        seconds = letter.received_ms // 1000
        flags = ("F" if letter.starred else "") + ("" if letter.unread else "S")
        path = root / "INBOX" / "cur" / f"{seconds}.M{number:07d}.bench:2,{flags}"
        path.write_bytes(letter.raw().replace(b"\r\n", b"\n"))
        os.utime(path, (seconds, seconds))
    (root / "built").touch()
    return root


def copy(source: Path, target: Path) -> Path:
    """A fresh copy to measure on."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    os.sync()  # else the first commit of the measured program waits for these half a gigabyte
    return target


def _tell(text: str, end: str = "") -> None:
    sys.stderr.write(f"\r{text}{end}")
    sys.stderr.flush()
