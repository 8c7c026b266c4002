"""The CRM's own thread, beside those of the mailboxes: none of them ever waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crmmail.model import Change, Phase, Status
from crmmail.sync.crm import POLL_SECONDS, CrmOutcome, CrmStore, CrmSync, status_name
from crmmail.sync.decide import decide
from crmmail.sync.step import note

if TYPE_CHECKING:
    from crmmail.remotes.crm import Crm

ConnectCrm = Callable[[], "Crm"]


class Heard(CrmStore, Protocol):
    """The store as the thread knows it: it also hears of what others write."""

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]: ...


log = logging.getLogger("crmmail.sync")


@dataclass(frozen=True, slots=True)
class CrmLink:
    """How to reach the CRM called `name`, and how often to ask it for news (seconds)."""

    name: str
    connect: ConnectCrm
    poll: float = POLL_SECONDS


class CrmWorker(threading.Thread):
    """Runs `CrmSync.step` and waits for the next or a wake-up. Holds nothing worth saving: it may end at any moment."""

    def __init__(
        self,
        store: Heard,
        name: str,
        connect: ConnectCrm,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        poll: float = POLL_SECONDS,
    ) -> None:
        super().__init__(name=f"sync-{status_name(name)}", daemon=True)
        self.crm = name
        self._store = store
        self._connect = connect
        self._clock = clock
        self._timer = timer
        self._poll = poll
        self._signal = threading.Event()
        self._ending = False
        self._paused = False
        self._renew = False
        self._remote: Crm | None = None
        self._sync: CrmSync | None = None
        self._failures = 0
        self._early: list[str] = []  # timelines wanted before there is a connection
        self._forget = store.subscribe(self._heard)

    # From any thread

    def _heard(self, change: Change) -> None:
        """Mail arrived or was bound, or the user chose something: perhaps there is something to log."""
        if threading.current_thread() is not self and (change.arrived or change.messages or change.crm):
            self._signal.set()

    def want_timeline(self, account: str) -> None:
        """Read what the CRM tells of this account (our id) now."""
        if self._sync is not None:
            self._sync.want_timeline(account)
        else:
            self._early.append(account)
        self._signal.set()

    def nudge(self, *, look: bool = False) -> None:
        """Something waits to be logged; `look`: ask the CRM for news as well."""
        if look and self._sync is not None:
            self._sync.look_now()
        self._signal.set()

    def pause(self) -> None:
        """Stop at the next page or entry, until `resume`."""
        self._paused = True
        if self._sync is not None:
            self._sync.interrupt()
        self._signal.set()

    def resume(self) -> None:
        """Go on with a new connection: the keys may be new."""
        self._paused, self._renew = False, True
        self._signal.set()

    def end(self) -> None:
        """End the connection; a waiting call wakes."""
        self._ending = True
        self._forget()
        if self._sync is not None:
            self._sync.interrupt()
        self._signal.set()
        self._close()

    # The thread

    def run(self) -> None:
        while not self._ending:
            self._signal.clear()
            wait = self._guarded()
            if wait > 0 and not self._ending:
                self._signal.wait(min(wait, threading.TIMEOUT_MAX))
        self._close()

    def _guarded(self) -> float:
        """One step, or one attempt to connect; the seconds until the next."""
        try:
            if self._paused:
                self._store.say(Status(status_name(self.crm), Phase.PAUSED))
                return threading.TIMEOUT_MAX
            outcome = self._ready().step()
            self._failures = 0
            return 0.0 if outcome.more and not self._paused else max(outcome.wait, 0.001)
        except Exception as error:  # noqa: BLE001 - the edge: a thread never dies quietly
            return self._trouble(error)

    def _ready(self) -> CrmSync:
        if self._renew:
            self._renew = False
            self._close()
            self._sync = None
        if self._sync is None:
            self._remote = self._connect()
            self._sync = CrmSync(self._store, self._remote, self._clock, timer=self._timer, poll=self._poll)
            while self._early:
                self._sync.want_timeline(self._early.pop(0))
        if self._paused or self._ending:
            self._sync.interrupt()
        return self._sync

    def _trouble(self, error: Exception) -> float:
        if self._ending:
            return 0.0
        decision = decide(error, self._failures, self._clock())
        self._failures += 1
        name = status_name(self.crm)
        note(name, error, decision)
        try:
            status = Status(name, decision.phase, decision.sentence, decision.next_step, retry_at=decision.at)
            self._store.say(status)
        except Exception as silent:  # noqa: BLE001 - the edge: what cannot be said is logged, and tried again
            log.error("%s: status not said: %s", name, type(silent).__name__)
        return decision.wait

    def _close(self) -> None:
        remote, self._remote = self._remote, None
        if remote is None:
            return
        try:
            remote.close()
        except Exception as error:  # noqa: BLE001 - it is being thrown away; a failing farewell stops nobody
            log.info("%s: close failed: %s", status_name(self.crm), type(error).__name__)


def crm_once(store: CrmStore, connect: ConnectCrm) -> CrmOutcome:
    """One round for the command line, connected and closed again. Raises what connecting raises."""
    crm = connect()
    try:
        return CrmSync(store, crm).step()
    finally:
        crm.close()
