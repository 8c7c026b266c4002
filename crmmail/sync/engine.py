"""The threads: one for each mailbox, one for the CRM, one that binds mail anew; none waits for another.

A thread runs `step()` and waits for the next or for a wake-up; it holds no state worth saving. Journal and cursor are
durable, so the process may end at any moment: `stop` closes the connections and does not wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from crmmail.model import Mailbox, Phase, Status
from crmmail.sync.crm_thread import CrmLink, CrmWorker
from crmmail.sync.decide import decide
from crmmail.sync.pace import Pace
from crmmail.sync.rematch import Rematcher
from crmmail.sync.step import Outcome, RemoteSync, note
from crmmail.sync.terms import Terms, TermsOf

if TYPE_CHECKING:
    from crmmail.remotes import Remote
    from crmmail.store import Store

Connect = Callable[[Mailbox], "Remote"]

log = logging.getLogger("crmmail.sync")


class Engine:
    """Keeps every mailbox in agreement with its server. All methods may be called from the interface: none waits."""

    def __init__(
        self,
        store: Store,
        connect: Connect,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        pace: Pace | None = None,
        terms: TermsOf | None = None,
        crm: CrmLink | None = None,
    ) -> None:
        """`pace` counts for all mailboxes, `terms` for each its own."""
        self._store = store
        self._connect = connect
        self._clock = clock
        self._timer = timer
        same = Terms(pace or Pace())
        self._terms = terms or (lambda _mailbox: same)
        self._workers: dict[str, _Worker] = {}
        self._link = crm
        self._crm: CrmWorker | None = None
        self._rematcher: Rematcher | None = None

    def start(self) -> None:
        """Start a thread for every mailbox of the store, and one for the CRM where there is one."""
        for mailbox in self._store.mailboxes():
            self.add(mailbox)
        self.begin_crm()

    def begin_crm(self) -> None:
        """Start the CRM's thread where there is a CRM, and the one that binds mail anew."""
        if self._rematcher is None:
            self._rematcher = Rematcher(self._store)
            self._rematcher.start()
        self.use_crm(self._link)

    def stop(self, patience: float = 0.0) -> None:
        """End all connections and let the threads go; waits for them `patience` seconds at most."""
        beside = [worker for worker in (self._crm, self._rematcher) if worker is not None]
        self._end([*self._workers.values(), *beside], patience)
        self._workers.clear()
        self._crm = self._rematcher = None

    def use_crm(self, link: CrmLink | None, patience: float = 2.0) -> None:
        """Work with this CRM from now on (None: with none); one that ran before is ended."""
        if self._crm is not None:
            self._end([self._crm], patience)
            self._crm = None
        self._link = link
        if link is not None:
            self._crm = CrmWorker(self._store, link.name, link.connect, self._clock, self._timer, link.poll)
            self._crm.start()

    def want_timeline(self, account: str) -> None:
        """Read what the CRM tells of this account now; the store's change tells when it is here."""
        if self._crm is not None:
            self._crm.want_timeline(account)

    def wake_crm(self, *, look: bool = False) -> None:
        """Something waits to be logged; `look`: ask the CRM for news as well."""
        if self._crm is not None:
            self._crm.nudge(look=look)

    def add(self, mailbox: Mailbox) -> None:
        """Start syncing `mailbox`; nothing happens when it runs already."""
        if mailbox.id in self._workers:
            return
        worker = _Worker(self._store, self._connect, mailbox, self._clock, self._timer, self._terms)
        self._workers[mailbox.id] = worker
        worker.start()

    def remove(self, mailbox_id: str, patience: float = 2.0) -> None:
        """Stop syncing a mailbox, before it is taken out of the store; waits for a running write."""
        worker = self._workers.pop(mailbox_id, None)
        if worker is not None:
            self._end([worker], patience)

    def wake(self, mailbox_id: str | None = None) -> None:
        """Sync now: the user acted or asked for it. None: all mailboxes."""
        for worker in self._chosen(mailbox_id):
            worker.nudge()
        if mailbox_id is None:
            self.wake_crm()

    def want(self, message_id: int) -> None:
        """Fetch the body of this message before all others."""
        place = self._store.locate(message_id)
        if place is not None and place[0] in self._workers:
            self._workers[place[0]].want(place[1])

    def pause(self, mailbox_id: str | None = None) -> None:
        """Stop at the next page, until `resume`."""
        for worker in self._chosen(mailbox_id):
            worker.pause()

    def resume(self, mailbox_id: str | None = None) -> None:
        """Go on: after `pause`, a new sign-in, a consent, or the user's answer to the fuse. Connects anew."""
        for worker in self._chosen(mailbox_id):
            worker.resume()

    def scope_wanted(self, mailbox_id: str) -> str:
        """The permission an act in this mailbox waits for, '' when none does."""
        worker = self._workers.get(mailbox_id)
        return worker.scope_wanted if worker else ""

    def uploads(self) -> dict[int, tuple[int, int]]:
        """Of the messages being sent: outgoing id → (bytes uploaded, bytes in all)."""
        return {number: done for worker in self._workers.values() for number, done in worker.uploads.items()}

    def _chosen(self, mailbox_id: str | None) -> list[_Worker]:
        if mailbox_id is None:
            return list(self._workers.values())
        return [self._workers[mailbox_id]] if mailbox_id in self._workers else []

    @staticmethod
    def _end(workers: Iterable[_Worker | CrmWorker | Rematcher], patience: float) -> None:
        workers = list(workers)
        for worker in workers:
            worker.end()
        deadline = time.monotonic() + patience
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))


class _Worker(threading.Thread):
    """The thread of one mailbox."""

    def __init__(
        self,
        store: Store,
        connect: Connect,
        mailbox: Mailbox,
        clock: Callable[[], float],
        timer: Callable[[], float],
        terms: TermsOf,
    ) -> None:
        super().__init__(name=f"sync-{mailbox.id}", daemon=True)
        self._store = store
        self._connect = connect
        self._mailbox = mailbox
        self._clock = clock
        self._timer = timer
        self._terms = terms
        self._signal = threading.Event()
        self._ending = False
        self._paused = terms(mailbox.id).paused
        self._renew = False  # sign-in or settings may have changed: make a new connection
        self._remote: Remote | None = None
        self._sync: RemoteSync | None = None
        self._early: list[str] = []  # bodies wanted before there is a connection
        self._failures = 0

    # From any thread

    def nudge(self) -> None:
        if self._sync is not None:
            self._sync.lively()
        self._signal.set()

    def want(self, remote_id: str) -> None:
        if self._sync is not None:
            self._sync.want(remote_id)
        else:
            self._early.append(remote_id)
        self._signal.set()

    def pause(self) -> None:
        self._paused = True
        if self._sync is not None:
            self._sync.interrupt()
        self._signal.set()

    def resume(self) -> None:
        self._paused = False
        self._renew = True
        self._signal.set()

    def end(self) -> None:
        self._ending = True
        if self._sync is not None:
            self._sync.interrupt()
        self._signal.set()
        self._close()

    @property
    def scope_wanted(self) -> str:
        return self._sync.scope_wanted if self._sync else ""

    @property
    def uploads(self) -> Mapping[int, tuple[int, int]]:
        sync = self._sync
        return sync.uploads if sync else {}

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
                self._store.say(Status(self._mailbox.id, Phase.HELD))
                return threading.TIMEOUT_MAX
            outcome = self._ready().step()
            self._failures = 0
            return 0.0 if outcome.more and not self._paused else max(outcome.wait, 0.001)
        except Exception as error:  # noqa: BLE001 - the edge: a thread never dies quietly
            return self._trouble(error)

    def _ready(self) -> RemoteSync:
        """The running sync, connected anew after a resume."""
        hold = 0.0
        if self._renew:
            hold = self._sync.told_to_wait if self._sync else 0.0
            self._renew = False
            self._close()
            self._sync = None
        if self._sync is None:
            self._remote = self._connect(self._mailbox)
            if (listen := getattr(self._remote, "listen", None)) is not None:
                listen(self._signal.set)  # `remotes.Listener`: the server rings when there is something to ask for
            terms = self._terms(self._mailbox.id)
            sync = RemoteSync(
                self._store,
                self._remote,
                self._clock,
                timer=self._timer,
                pace=terms.pace,
                hold=hold,
                months=terms.months,
            )
            while self._early:
                sync.want(self._early.pop(0))
            self._sync = sync
        if self._paused or self._ending:
            self._sync.interrupt()
        return self._sync

    def _trouble(self, error: Exception) -> float:
        if self._ending:
            return 0.0
        decision = decide(error, self._failures, self._clock())
        self._failures += 1
        note(self._mailbox.id, error, decision)
        try:
            self._store.say(
                Status(
                    self._mailbox.id,
                    decision.phase,
                    decision.sentence,
                    decision.next_step,
                    retry_at=decision.at,
                )
            )
        except Exception as silent:  # noqa: BLE001 - the edge: what cannot be said is logged, and tried again
            log.error("%s: status not said: %s", self._mailbox.id, type(silent).__name__)
        return decision.wait

    def _close(self) -> None:
        remote, self._remote = self._remote, None
        if remote is None:
            return
        try:
            remote.close()
        except Exception as error:  # noqa: BLE001 - it is being thrown away; a failing farewell stops nobody
            log.info("%s: close failed: %s", self._mailbox.id, type(error).__name__)


def run_once(
    store: Store,
    connect: Connect,
    mailboxes: Iterable[Mailbox],
    *,
    patience: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
    terms: TermsOf | None = None,
) -> dict[str, Outcome]:
    """Sync each of `mailboxes` once, beside each other, for the command line; the outcome by mailbox id.

    Waits a server asks for are kept as long as they add up to less than `patience` seconds for a mailbox.
    """
    outcomes: dict[str, Outcome] = {}
    of = terms or (lambda _mailbox: Terms())
    threads = [
        threading.Thread(
            target=lambda box: outcomes.update(
                {box.id: _once(store, connect, box, patience, sleep, of(box.id).months)}
            ),
            args=(mailbox,),
            name=f"sync-{mailbox.id}",
            daemon=True,
        )
        for mailbox in mailboxes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _once(
    store: Store,
    connect: Connect,
    mailbox: Mailbox,
    patience: float,
    sleep: Callable[[float], None],
    months: int | None,
) -> Outcome:
    try:
        remote = connect(mailbox)
    except Exception as error:  # noqa: BLE001 - the edge: each mailbox has its own outcome
        decision = decide(error, 0, time.time())
        note(mailbox.id, error, decision)
        store.say(Status(mailbox.id, decision.phase, decision.sentence, decision.next_step, retry_at=decision.at))
        return Outcome(
            decision.phase, decision.wait, sentence=decision.sentence, next_step=decision.next_step, error=error
        )
    try:
        return _until_done(RemoteSync(store, remote, months=months), patience, sleep)
    finally:
        remote.close()


def _until_done(sync: RemoteSync, patience: float, sleep: Callable[[float], None]) -> Outcome:
    while True:
        outcome = sync.step()
        retried = outcome.error is not None and outcome.phase in (Phase.WAITING, Phase.OFFLINE)
        if retried and outcome.wait <= patience:
            patience -= outcome.wait
            sleep(outcome.wait)
        elif not outcome.more:
            return outcome
