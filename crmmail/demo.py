"""`crmmail demo`: everything on made-up mail, in a profile that is gone afterwards.

A sandbox runs as a process of its own. The interface opens at once, on an empty local copy; behind it each mailbox
signs in through the real flows (a small browser answers the consent pages) and is filled as after any first sign-in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmmail import config, crms, i18n, mailboxes
from crmmail.crm.connection import SHARPSPRING, CrmWish
from crmmail.errors import CrmMailError, SettingsError, StoreError
from crmmail.i18n import _
from crmmail.model import Mailbox, Phase, Status

if TYPE_CHECKING:
    from crmmail.remotes import Remote
    from crmmail.remotes.crm import Crm
    from crmmail.store import Store
    from crmmail.tui.keeping import Engine

ADDRESSES = {"gmail": "ana.souza@lumen.example", "outlook": "ana@grupolumen.test"}  # as crmmail.sandbox.serve has them
ARRIVALS = 28.0  # seconds between two new messages, about
POLL = 5.0
CRM_POLL = 20.0
START_SECONDS = 90.0
END_SECONDS = 5.0
UNITS_PER_SECOND = 100_000.0  # the sandbox counts Gmail's quota but does not enforce it


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sandbox listens."""

    https_url: str
    ca_file: Path
    found: str = ""  # a sentence about the mail in it
    crm: CrmWish | None = None  # what its SharpSpring must be told


class Sandbox:
    """The sandbox's process. It ends when its input is closed, which the system does even if we are killed."""

    def __init__(self, home: Path, *options: str) -> None:
        self._log = home / "sandbox.log"
        self._ca_file = home / "sandbox-ca.pem"
        self._ready = threading.Event()
        self._said: dict[str, Any] = {}
        package = Path(__file__).parents[1]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH", "")])]
        # -P: a folder somebody runs the demo in must not become a place modules are imported from.
        command = [sys.executable, "-P", "-m", "crmmail.sandbox.serve", "--sweep", str(home), *options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "LANGUAGE": i18n.language()},
                start_new_session=True,  # Ctrl-C in the terminal is the interface's
            )
        threading.Thread(target=self._listen, name="sandbox-ready", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def place(self) -> Place:
        """Where it listens, once it does. SettingsError for mail it cannot use, StoreError when it died."""
        if not self._ready.wait(START_SECONDS) or not self._said:
            raise StoreError(
                _("The sandbox did not start: {reason}").format(reason=self._last_words()),
                next_step=_("Please report it; `crmmail sandbox` shows more."),
            )
        if "error" in self._said:
            raise SettingsError(self._said["error"], next_step=self._said["next_step"])
        # A copy: the sandbox takes its own away when it ends, and then the server has to be missing, not the file.
        shutil.copyfile(self._said["ca_file"], self._ca_file)
        return Place(self._said["https"], self._ca_file, self._said["found"], self._crm())

    def _crm(self) -> CrmWish:
        told = self._said["crm"]
        answers = {"user": told["account"], "url": told["url"], "ca_file": str(self._ca_file)}
        return CrmWish(SHARPSPRING, answers, told["key"])

    def end(self) -> None:
        """Stop it and wait until it is gone."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # ended before, by itself or by us
                self._process.stdin.write(b"bye")
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        with contextlib.suppress(ValueError):
            self._said = json.loads(line)
        self._ready.set()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), _("it gave no reason."))
        return _("it gave no reason.")


class Visitor:
    """Signs in to a mailbox, as a person would, when the engine first wants to reach it."""

    def __init__(self, sandbox: Sandbox, place: config.Profile, settings: config.Settings, store: Store) -> None:
        self._sandbox = sandbox
        self._place = place
        self._settings = settings
        self._store = store
        self._connect = mailboxes.connector(place, settings)
        self._writing = threading.Lock()
        self._signed_in: set[str] = set()
        for mailbox in store.mailboxes():
            store.say(Status(mailbox.id, Phase.FILLING, _("Signing in…")))

    def connect(self, mailbox: Mailbox) -> Remote:
        """What `sync.Engine` calls, in the mailbox's own thread. Raises what a sign-in or a connection raises."""
        if mailbox.id not in self._signed_in:
            self._sign_in(mailbox)
            self._signed_in.add(mailbox.id)
        return self._connect(mailbox)

    def connect_crm(self) -> Crm:
        """The same for the CRM, in its own thread: its keys are typed in as a person would, the first time."""
        if not self._settings.crm.user:
            wish = self._sandbox.place().crm
            assert wish is not None
            with self._writing:
                crms.ProfileCrmGuide(self._place, self._settings).connect(wish)
        return crms.connector(self._place, self._settings, self._store)()

    def _sign_in(self, mailbox: Mailbox) -> None:
        from crmmail.sandbox import person
        from crmmail.signing import Failed

        where = self._sandbox.place()
        box = person.settings(where, mailbox.provider, mailbox.address)
        box = dataclasses.replace(box, name=mailbox.name, quota_per_second=UNITS_PER_SECOND)
        with self._writing:
            self._settings.mailboxes[mailbox.id] = box
            with config.update(self._place) as kept:
                kept.mailboxes[mailbox.id] = box
        tokens = mailboxes.tokens(self._place, self._settings)
        outcome = person.sign_in(where, mailbox.id, box, tokens, mailbox.address)
        if isinstance(outcome, Failed):
            raise outcome.error


def run(*, messages: int = 2000, seed: int = 1, mail: Path | None = None, offline: bool = False, lang: str = "") -> int:
    """Show the program on made-up mail, or on a copy of `mail`; returns the exit code when the user leaves."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SettingsError(
            _("crmmail needs a terminal to run in."),
            next_step=_("In a script use `crmmail sandbox` and the other commands."),
        )
    options = ["--messages", str(messages), "--seed", str(seed), "--refuse"]
    if mail is not None:
        options += ["--mail", str(mail.absolute())]
    if not offline:
        options += ["--arrivals", str(ARRIVALS)]
    with _profile() as (home, place), _running(home, *options) as sandbox:
        settings = _settings(place, lang, home)
        if mail is not None:
            _tell(sandbox.place().found)
        with _store(place, settings) as store:
            visitor = Visitor(sandbox, place, settings, store)
            if offline:
                _fill(store, visitor)
                sandbox.end()
            return _open(store, settings, place, visitor)


@contextlib.contextmanager
def _profile() -> Iterator[tuple[Path, config.Profile]]:
    """(its folder, the profile): a profile in a temporary folder that is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="crmmail-demo-"))
    before = os.environ.get("CRMMAIL_HOME")
    os.environ["CRMMAIL_HOME"] = str(home)
    try:
        yield home, config.profile("demo").make()
    finally:
        os.environ.pop("CRMMAIL_HOME")
        if before is not None:
            os.environ["CRMMAIL_HOME"] = before
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _running(home: Path, *options: str) -> Iterator[Sandbox]:
    sandbox = Sandbox(home, *options)
    try:
        yield sandbox
    finally:
        sandbox.end()


@contextlib.contextmanager
def _store(place: config.Profile, settings: config.Settings) -> Iterator[Store]:
    from crmmail.store import Store

    store = Store.open(place.data_dir)
    try:
        mailboxes.register(store, settings)
        yield store
    finally:
        store.close()


def _settings(place: config.Profile, lang: str, home: Path) -> config.Settings:
    """Settings of the demo: saved attachments and tokens stay in its own folder, too."""
    with config.update(place) as settings:
        settings.language = lang
        settings.token_store = "file"
        settings.poll_seconds = int(POLL)
        settings.crm = config.CrmSettings(SHARPSPRING)
        settings.download_folder = str(home / "downloads")
        for provider, address in ADDRESSES.items():
            settings.mailboxes[provider] = config.MailboxSettings(provider, address, name=provider.title())
    return settings


def _engine(store: Store, visitor: Visitor) -> Callable[[], Engine]:
    def build() -> Engine:
        from crmmail.sync import Engine as SyncEngine
        from crmmail.sync.crm_thread import CrmLink
        from crmmail.sync.pace import Pace

        pace = Pace(shortest=POLL, longest=2 * POLL, interval=POLL)
        return SyncEngine(store, visitor.connect, pace=pace, crm=CrmLink(SHARPSPRING, visitor.connect_crm, CRM_POLL))

    return build


def _fill(store: Store, visitor: Visitor) -> None:
    """Fill the copy before the sandbox goes, telling how far it is."""
    from crmmail.sync import engine

    shown = 0
    done: dict[str, int] = {}
    total: dict[str, int] = {}

    def tell(_change: object) -> None:
        nonlocal shown
        for name, status in store.statuses().items():
            done[name], total[name] = max(done.get(name, 0), status.done), max(total.get(name, 0), status.total)
        if shown < (shown := max(shown, sum(done.values()))):
            words = _("Filling the copy: {done} of {total}").format(done=shown, total=sum(total.values()))
            sys.stderr.write(f"\r{words}")
            sys.stderr.flush()

    forget = store.subscribe(tell)
    try:
        outcomes = engine.run_once(store, visitor.connect, store.mailboxes())
    finally:
        forget()
        sys.stderr.write("\n")
    from crmmail.sync.crm_thread import crm_once

    mirrored = crm_once(store, visitor.connect_crm)
    for error in (*(outcome.error for outcome in outcomes.values()), mirrored.error):
        if isinstance(error, CrmMailError):
            raise error
    while store.rematch_step():
        pass


def _open(store: Store, settings: config.Settings, place: config.Profile, visitor: Visitor) -> int:
    from crmmail.tui import garbage

    garbage.pause()
    from crmmail.tui.app import CrmMail

    app = CrmMail(store, settings, engine=_engine(store, visitor), place=place)
    app.run(mouse=settings.mouse)
    return app.return_code or 0


def _tell(sentence: str) -> None:
    sys.stderr.write(f"crmmail: {sentence}\n")
