"""What needs a server: how much work a synchronised message is, and a hundred trashes against one that takes 3 s."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crmmail import config, demo, mailboxes
from crmmail.sandbox import person, serve
from crmmail.sandbox.generate import arrivals
from crmmail.sandbox.server import Sandbox
from crmmail.store import Store
from crmmail.sync import engine
from tests.bench.emulator import Terminal
from tests.bench.interface import COLUMNS, ROWS, Driver, cursor
from tests.bench.session import Session, tree_cpu_ns

LATENCY = 3.0
HELD, ARRIVING = 100, 50
KEYS_A_SECOND = 200  # faster than any keyboard repeats


@dataclass(frozen=True, slots=True)
class Filled:
    """A first fill of a Gmail and an Outlook mailbox by the real remotes over HTTPS."""

    messages: int
    cpu_ms: float  # of our process, a message: HTTP, TLS, JSON, parsing, store, index
    seconds: float


def fill(work: Path, messages: int) -> Filled:
    """Sign in to a sandbox in another process and fill an empty profile from it."""
    home = work / "fill"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ["CRMMAIL_HOME"] = str(home)
    place = config.profile("demo").make()
    sandbox = demo.Sandbox(home, "--messages", str(messages))
    try:
        settings = demo._settings(place, "", home)
        sandbox.place()
        began, used = time.monotonic(), _cpu()
        with demo._store(place, settings) as store:
            visitor = demo.Visitor(sandbox, place, settings, store)
            engine.run_once(store, visitor.connect, store.mailboxes())
            held = sum(folder.total for box in store.mailboxes() for folder in store.folders(box.id)
                       if folder.key in ("all", "trash", "spam"))  # fmt: skip
        spent = _cpu() - used
        return Filled(held, spent * 1000 / held, time.monotonic() - began)
    finally:
        sandbox.end()
        shutil.rmtree(home, ignore_errors=True)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True)
class Held:
    """`d` held down on a slow server while mail arrives."""

    interface_seconds: float  # from the first key to the screen that shows the last one's effect
    cpu_seconds: float  # of the program in that time
    exact: bool  # exactly the messages that were under the cursor are in the trash, here and on the server
    drained_seconds: float  # until the server had them all


def hold(work: Path, messages: int = 1000) -> Held:
    """Fill a Gmail profile, make the server slow, hold `d` for a hundred messages while fifty arrive."""
    home = work / "hold"
    shutil.rmtree(home, ignore_errors=True)
    with _gmail(home, messages) as (sandbox, place, settings):
        with Store.open(place.data_dir) as store:
            mailboxes.register(store, settings)
            engine.run_once(store, mailboxes.connector(place, settings), store.mailboxes())
        sandbox.faults.add("latency", path=r"^/(gmail|batch)", seconds=LATENCY)
        command = [str(Path(sys.executable).with_name("crmmail"))]
        session = Session(command, COLUMNS, ROWS, {"CRMMAIL_HOME": str(home)})
        try:
            return _held(session, sandbox)
        finally:
            session.close()
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _gmail(home: Path, messages: int) -> Iterator[tuple[Sandbox, config.Profile, config.Settings]]:
    """A sandbox with one Gmail user and a profile that is signed in to it."""
    home.mkdir(parents=True)
    os.environ["CRMMAIL_HOME"] = str(home)
    place = config.profile().make()
    with serve._sandbox(0) as sandbox:
        serve.furnish(sandbox.mailbox(serve.GMAIL.email), serve.plan(messages, 1, serve.GMAIL))
        box = dataclasses.replace(
            person.settings(sandbox, "gmail", serve.GMAIL.email), quota_per_second=demo.UNITS_PER_SECOND
        )
        with config.update(place) as settings:
            settings.token_store, settings.poll_seconds = "file", 5
            settings.mailboxes["gmail"] = box
        person.sign_in(sandbox, "gmail", box, mailboxes.tokens(place, settings), serve.GMAIL.email)
        yield sandbox, place, settings


def _held(session: Session, sandbox: Sandbox) -> Held:
    mailbox = sandbox.mailbox(serve.GMAIL.email)
    inbox = [message.key for message in mailbox.newest_first() if "INBOX" in message.labels]
    full = Driver._full(len(inbox))
    if not session.wait(session.start_ns, full, 20, 600)["ok"]:
        raise RuntimeError("no list:\n" + "\n".join(session.term.text()))
    expected = set(inbox[:HELD])
    ended = threading.Event()
    threading.Thread(target=_pour, args=(mailbox, ended), daemon=True).start()
    used, since = tree_cpu_ns(session.pid), time.monotonic_ns()
    typist = threading.Thread(target=_type, args=(session,), daemon=True)
    typist.start()
    seen = session.wait(since, lambda term: _shown(term, len(inbox) - HELD), 30, 400)
    used = tree_cpu_ns(session.pid) - used
    ended.set()
    drained = _drained(session, mailbox, expected, since)
    if not seen["ok"]:
        raise RuntimeError("not all trashed:\n" + "\n".join(session.term.text()))
    trashed = {message.key for message in mailbox.newest_first() if "TRASH" in message.labels and message.key in inbox}
    return Held(seen["match_ms"] / 1000, used / 1e9, trashed == expected, drained)


def _type(session: Session) -> None:
    for _ in range(HELD):
        session.type("d")
        time.sleep(1 / KEYS_A_SECOND)


def _pour(mailbox: object, ended: threading.Event) -> None:
    coming = arrivals(1, serve.GMAIL)
    for _ in range(ARRIVING):
        letter = next(coming)
        mailbox.deliver(letter.raw, received_ms=letter.received_ms)  # type: ignore[attr-defined]
        if ended.wait(0.01):
            return


def _shown(term: Terminal, left: int) -> bool:
    """The title counts `left` messages, or up to ARRIVING more that came meanwhile, and the cursor stands."""
    title = term.text()[0]
    counts = {int(word.replace(",", "")) for word in title.split() if word.replace(",", "").isdigit()}
    return cursor(term) > 0 and any(left <= count <= left + ARRIVING for count in counts)


def _drained(session: Session, mailbox: object, expected: set[int], since: int) -> float:
    """Seconds until the server has them all in the trash; the interface goes on meanwhile."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        messages = [mailbox.messages[key] for key in expected]  # type: ignore[attr-defined]
        if all("TRASH" in message.labels for message in messages):
            break
        session.wait(time.monotonic_ns(), None, 0.2, 200)
    return (time.monotonic_ns() - since) / 1e9
