"""One CRM, one round: tell it what is to be logged, mirror what changed there. No thread, no waiting.

A CRM is a remote beside the mailboxes with a thread of its own: however slow or broken it is, no mail waits for it, and
what is to be logged waits in its queue, in order. `decide` says what every error means, as for a mailbox.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from crmmail.crm.model import Account, CrmAck, CrmCapabilities, CrmOp, CrmPage, TimelineEntry
from crmmail.errors import Rejected, StoreError, Transient
from crmmail.faultpoint import fault
from crmmail.i18n import _, ngettext
from crmmail.model import Phase, Status
from crmmail.sync.decide import Move, decide
from crmmail.sync.step import note

if TYPE_CHECKING:
    from collections.abc import Generator

    from crmmail.remotes.crm import Crm

POLL_SECONDS = 300.0
BATCH = 20  # entries claimed at once: each is three calls, and a batch should end within a few seconds
PORTION = 100  # rows written at once: 50 ms, for as long may a key of the user have to wait
STUCK_WAIT = 30.0  # seconds; the store's changes wake us earlier
FUSE_FROM = 20  # accounts; fewer may all vanish at once without a question

log = logging.getLogger("crmmail.sync")


class CrmStore(Protocol):
    """What a CRM's sync asks of the store."""

    def register_crm(self, name: str, capabilities: CrmCapabilities) -> None: ...
    def settle_crm(self, crm: str, place: str) -> None: ...
    def crm_cursor(self, name: str) -> str: ...
    def mirror(self, name: str, page: CrmPage) -> object: ...
    def mirrored(self, crm: str) -> tuple[frozenset[str], frozenset[str]]: ...
    def log_step(self) -> bool: ...
    def claim_log(self, crm: str, limit: int) -> Sequence[CrmOp]: ...
    def acknowledge_log(self, crm: str, acks: Sequence[CrmAck]) -> None: ...
    def release_log(self, crm: str) -> None: ...
    def log_waiting(self, crm: str) -> tuple[int, float]: ...
    def account(self, uid: str) -> Account | None: ...
    def keep_timeline(self, account: str, entries: Iterable[TimelineEntry]) -> None: ...
    def say(self, status: Status) -> None: ...


class MassRemoval(StoreError):
    """The CRM no longer has most of what we mirror: nothing of that was applied."""

    title = "Mass removal stopped"


@dataclass(frozen=True, slots=True)
class CrmOutcome:
    """What one step came to. `wait`: seconds until the next is due. `logged`, `refused`: entries; `told`: rows."""

    phase: Phase
    wait: float = 0.0
    more: bool = False
    logged: int = 0
    refused: int = 0
    told: int = 0
    sentence: str = ""
    next_step: str = ""
    error: BaseException | None = None


@dataclass(slots=True)
class _Round:
    logged: int = 0
    refused: int = 0
    told: int = 0


def status_name(crm: str) -> str:
    """The name a CRM's status is said under, which no mailbox can have."""
    return f"crm.{crm}"


def pieces(page: CrmPage, resting: str) -> Iterator[CrmPage]:
    """A page in portions that are written while nobody notices; all but the last rest at the cursor before it."""
    count = max(len(page.accounts), len(page.contacts), 1)
    for start in range(0, count, PORTION):
        part = slice(start, start + PORTION)
        piece = replace(page, accounts=page.accounts[part], contacts=page.contacts[part])
        last = start + PORTION >= count
        yield piece if last else replace(piece, cursor=resting, gone_accounts=(), gone_contacts=(), complete=False)


class CrmSync:
    """Keeps the mirror of one CRM and its log queue in agreement with it. `step` belongs to one thread."""

    def __init__(
        self,
        store: CrmStore,
        crm: Crm,
        clock: Callable[[], float] = time.time,
        *,
        timer: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._crm = crm
        self._clock = clock
        self._timer = timer
        self._rng = rng or random.Random()
        self._poll = poll
        self._begun = False
        self._interrupted = False
        self._failures = 0
        self._reread = False
        self._pull_at = 0.0  # on `timer`
        self._held_until = 0.0
        self._heard_at = 0.0
        self._timelines: deque[str] = deque()  # accounts somebody looks at

    @property
    def crm(self) -> str:
        """The CRM's short name."""
        return self._crm.name

    # From any thread

    def interrupt(self) -> None:
        """Stop at the next page or entry."""
        self._interrupted = True

    def look_now(self) -> None:
        """Ask the CRM for news at the next step, whatever the pace says."""
        self._pull_at = 0.0

    def want_timeline(self, account: str) -> None:
        """Read what the CRM tells of this account (our id), before anything else."""
        if account not in self._timelines:
            self._timelines.append(account)

    # The thread

    def step(self) -> CrmOutcome:
        """Log what waits, mirror what changed. Never raises: trouble is an outcome, said as a status."""
        work = _Round()
        wait = self._held_until - self._timer()
        if wait > 0:
            return CrmOutcome(Phase.WAITING, wait)
        try:
            if not self._begun:
                self._store.register_crm(self._crm.name, self._crm.capabilities)
                self._store.settle_crm(self._crm.name, self._crm.place)
                self._store.release_log(self._crm.name)
                self._begun = True
            self._read_timelines()
            self._push(work)
            if self._timer() >= self._pull_at:
                self._pull(work)
                self._heard_at = self._clock()
                self._pull_at = self._timer() + self._poll
            return self._settle(work)
        except Exception as error:  # noqa: BLE001 - the edge of a round, as in RemoteSync
            return self._trouble(error, work)

    def _read_timelines(self) -> None:
        """What the team wrote in the CRM on the accounts that are looked at."""
        while self._timelines and self._crm.capabilities.timeline:
            account = self._store.account(self._timelines[0])
            if account is not None and account.crm == self._crm.name and account.remote_id:
                try:
                    self._store.keep_timeline(account.id, self._crm.timeline(account.remote_id))
                except Rejected as refused:
                    log.info("%s: a timeline was refused (%s)", self._crm.name, refused.reason)
            self._timelines.popleft()

    def _push(self, work: _Round) -> None:
        """Tell the CRM what waits, in order. Raises what concerns all of it; what was answered is kept."""
        if not self._crm.capabilities.log:
            return
        while not self._interrupted and self._store.log_step():
            pass  # what is new and chosen to be logged is queued
        while not self._interrupted and (ops := self._store.claim_log(self._crm.name, BATCH)):
            fault("crm.claimed")
            try:
                self._tell(ops, work)
            finally:
                self._store.release_log(self._crm.name)

    def _tell(self, ops: Sequence[CrmOp], work: _Round) -> None:
        """Make one call of `apply`; every answer is written down before the next entry is told."""
        open_keys = [op.key for op in ops]
        with closing(cast("Generator[CrmAck, None, None]", self._crm.apply(ops))) as acks:
            for ack in acks:
                fault("crm.answered")
                if ack.error is not None and not isinstance(ack.error, Rejected):
                    raise ack.error
                self._store.acknowledge_log(self._crm.name, [ack])
                fault("crm.acknowledged")
                open_keys = [key for key in open_keys if key != ack.key]
                work.logged += ack.error is None
                work.refused += ack.error is not None
                if ack.error is not None:
                    log.info("%s: an entry was refused (%s)", self._crm.name, getattr(ack.error, "reason", ""))
                if self._interrupted:
                    return
        if open_keys:
            raise Transient(_("The CRM gave no answer."))

    def _pull(self, work: _Round) -> None:
        """Mirror what changed, telling how far a first fill is; what is queued meanwhile goes out between pages."""
        name = self._crm.name
        cursor = "" if self._reread else self._store.crm_cursor(name)
        if not cursor:
            self._say(Phase.FILLING)
        pages = self._crm.changes(cursor, lambda: self._store.mirrored(name))
        with closing(cast("Generator[CrmPage, None, None]", pages)) as told:
            for page in told:
                fault("crm.received")
                self._check(page)
                for piece in pieces(page, cursor):
                    self._store.mirror(name, piece)
                    fault("crm.mirrored")
                cursor = page.cursor
                self._reread = False
                work.told += len(page.accounts) + len(page.contacts)
                if page.progress and not page.complete:
                    self._say(Phase.FILLING, done=page.progress[0], total=page.progress[1])
                if self._interrupted:
                    return
                self._push(work)

    def _check(self, page: CrmPage) -> None:
        """Raise MassRemoval for a page that would take more than half of the mirrored accounts away."""
        if len(page.gone_accounts) < FUSE_FROM:
            return
        accounts, _contacts = self._store.mirrored(self._crm.name)
        gone = len(accounts.intersection(page.gone_accounts))
        if gone >= FUSE_FROM and gone * 2 > len(accounts):
            raise MassRemoval(
                _("The CRM no longer has {removed} of the {total} accounts mirrored from it.").format(
                    removed=gone, total=len(accounts)
                ),
                next_step=_("Nothing was removed here. Check the CRM; disconnect it if this is meant."),
            )

    # What is said

    def _settle(self, work: _Round) -> CrmOutcome:
        self._failures = 0
        waiting, due = self._store.log_waiting(self._crm.name)
        if waiting:
            text = ngettext(
                "{count} message waits to be logged.", "{count} messages wait to be logged.", waiting
            ).format(count=waiting)
            self._say(Phase.SYNCING, text)
        else:
            text = ""
            self._say(Phase.SYNCED)
        phase = Phase.SYNCING if waiting else Phase.SYNCED
        soon = due - self._clock()
        if soon <= 0 and not (work.logged or work.refused):
            soon = STUCK_WAIT  # it waits for something else: a text not downloaded, an account not made yet
        wait = max(0.05, min(self._pull_at - self._timer(), soon))
        more = self._interrupted
        return CrmOutcome(phase, wait, more, work.logged, work.refused, work.told, text)

    def _trouble(self, error: Exception, work: _Round) -> CrmOutcome:
        """The round ended early: the queue is kept, the reason said, and nothing tried before `decide` allows."""
        decision = decide(error, self._failures, self._clock(), self._rng.random())
        if not self._interrupted:
            note(status_name(self._crm.name), error, decision)
            self._failures += 1
            self._held_until = self._timer() + decision.wait if decision.held else 0.0
            self._say(decision.phase, decision.sentence, decision.next_step, retry_at=decision.at)
        if decision.move is Move.RESYNC:
            self._reread = True
        if isinstance(error, StoreError):
            self._begun = False  # what was claimed may not have been let go: it is, before the next round
        return CrmOutcome(
            decision.phase,
            decision.wait,
            self._interrupted,
            work.logged,
            work.refused,
            work.told,
            decision.sentence,
            decision.next_step,
            error,
        )

    def _say(
        self,
        phase: Phase,
        sentence: str = "",
        next_step: str = "",
        *,
        done: int = 0,
        total: int = 0,
        retry_at: float = 0.0,
    ) -> None:
        name = status_name(self._crm.name)
        self._store.say(Status(name, phase, sentence, next_step, done, total, self._heard_at, retry_at))
