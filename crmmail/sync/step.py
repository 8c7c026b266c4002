"""One mailbox, one round: push what the user did and wrote, pull what is new, fetch bodies. No thread, no waiting.

`RemoteSync.step()` is complete in itself: the engine's thread, `crmmail sync --once` and the tests call the same
thing. Whatever happens ends in an `Outcome` and a `Status` that was true when it was said.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from crmmail.errors import CursorExpired, Offline, RemoteError, ScopeRequired, StoreError, Transient, places
from crmmail.faultpoint import fault
from crmmail.i18n import _, ngettext
from crmmail.model import Page, Phase, Status
from crmmail.sync.bodies import Bodies
from crmmail.sync.decide import Decision, Move, decide
from crmmail.sync.drafts import Drafting
from crmmail.sync.pace import Pace
from crmmail.sync.pull import Circle, slices
from crmmail.sync.push import Pusher
from crmmail.sync.send import Sending
from crmmail.sync.terms import since

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from crmmail.remotes import Remote, Sender
    from crmmail.store import Store

REPAIR_EVERY = 3600.0  # seconds between two full readings for the sake of counts that differ
RESYNCS = 3  # an hour for cursors the server forgot: one that forgets them all must not make us read for ever
CLOCK_SLIP = 2.0  # seconds the time of day may fall behind before we say that it was set back

log = logging.getLogger("crmmail.sync")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step came to. `wait`: seconds until the next is due; `more`: there is work left for right now.

    `changed` counts messages whose row or body moved here, `pushed` those changed on the server.
    """

    phase: Phase
    wait: float = 0.0
    more: bool = False
    pushed: int = 0
    rejected: int = 0
    changed: int = 0
    sentence: str = ""
    next_step: str = ""
    error: BaseException | None = None


@dataclass(slots=True)
class _Round:
    """What the running step has done so far."""

    started: float
    pushed: int = 0
    rejected: int = 0
    changed: int = 0
    news: bool = False
    filling: tuple[int, int] | None = None


class RemoteSync:
    """Keeps one mailbox and its server in agreement. `step` belongs to one thread; the rest may come from any.

    `clock` is the time of day (shown, stored), `timer` a monotonic one that all waiting is measured by, so that a
    clock set back delays nothing. `hold`: seconds during which the server wants no call of ours.
    """

    def __init__(
        self,
        store: Store,
        remote: Remote,
        clock: Callable[[], float] = time.time,
        *,
        timer: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        pace: Pace | None = None,
        hold: float = 0.0,
        months: int | None = None,
    ) -> None:
        """`months`: how old a message may be whose text is fetched unasked; None any, 0 none."""
        self.mailbox = remote.mailbox
        self._store = store
        self._remote = remote
        self._clock = clock
        self._timer = timer
        self._rng = rng or random.Random()
        self._pace = pace or Pace()
        self._pusher = Pusher(store, remote, clock, self._rng)
        sender = cast("Sender", remote)
        self._sending = Sending(store, self.mailbox, sender, clock, self._rng)
        self._drafting = Drafting(store, self.mailbox, remote, sender, clock, self._rng)
        self._months = months
        self._bodies = Bodies(store, remote, self._take, lambda: since(months, clock()))
        self._work = _Round(timer())
        self._begun = False
        self._away = True  # long enough for others to have changed what our acts are about
        self._interrupted = False
        self._held_until = timer() + hold if hold else 0.0
        self._last = Outcome(Phase.IDLE)
        self._failures = 0
        self._reread = False  # the next pull reads everything again
        self._reread_at: float | None = None  # on `timer`: the last time it did so for the counts
        self._differed = False
        self._heard_at = 0.0
        self._expired: deque[float] = deque(maxlen=RESYNCS)  # on `timer`
        self._slip = clock() - timer()

    # From any thread

    def want(self, remote_id: str) -> None:
        """Fetch the body of `remote_id` before all others."""
        self._bodies.want(remote_id)

    def lively(self) -> None:
        """The user is at work: ask the server more often again."""
        self._pace = self._pace.lively()

    def interrupt(self) -> None:
        """End the running step at the next page; further ones do nothing until `resume`."""
        self._interrupted = True

    def resume(self) -> None:
        """Go on after an interruption, a new sign-in or a consent: waits that only the user ends are over."""
        self._interrupted = False
        if self._last.phase in (Phase.SIGN_IN, Phase.PAUSED, Phase.ERROR):
            self._held_until = 0.0
        self._begun = False

    @property
    def told_to_wait(self) -> float:
        """Seconds the server asked us to stay away for, still to come: a new connection must keep them too."""
        return max(0.0, self._held_until - self._timer()) if self._last.phase is Phase.WAITING else 0.0

    @property
    def scope_wanted(self) -> str:
        """The permission an act of the user's waits for, '' when none does."""
        return self._consent.scope if self._consent else ""

    @property
    def uploads(self) -> Mapping[int, tuple[int, int]]:
        """Of the messages being sent: outgoing id → (bytes uploaded, bytes in all)."""
        return dict(self._sending.uploads)

    @property
    def _consent(self) -> ScopeRequired | None:
        return self._pusher.consent or self._sending.consent

    # From the one thread

    def step(self) -> Outcome:
        """One round. Never raises for what a server, the network or the disk does; see `Outcome.error`."""
        held = self._held_until - self._timer()
        if self._interrupted or held > 0:
            return Outcome(
                self._last.phase,
                max(held, 0.0),
                sentence=self._last.sentence,
                next_step=self._last.next_step,
                error=self._last.error,
            )
        work = self._work = _Round(self._timer())
        try:
            self._begin()
            self._greet()
            self._catch_up(work)
            self._attend(work)
            exhausted = self._pull(work)
            more = self._fetch(work) if exhausted else True
            if exhausted:
                self._drafting.follow()
            self._last = self._settle(work, more)
        except Exception as error:  # noqa: BLE001 - the edge: everything becomes a status, nothing ends the thread
            self._last = self._trouble(error, work)
        return self._last

    def _begin(self) -> None:
        slip = self._clock() - self._timer()
        if not self._begun:
            self._pusher.begin()
            self._sending.hasten()
            self._drafting.hasten()
            self._bodies.forget_omitted()
            self._begun = True
        elif slip < self._slip - CLOCK_SLIP:
            self._pusher.hasten()
        self._slip = slip

    def _greet(self) -> None:
        """Say that something goes on, the first time; later rounds are silent until they have something to tell."""
        if not self._heard_at and not self._failures:
            self._say(Phase.SYNCING if self._store.cursor(self.mailbox) else Phase.FILLING)

    def _stopping(self) -> bool:
        return self._interrupted

    def _attend(self, work: _Round) -> None:
        """What the user waits for goes before everything else: a body to read, then acts to carry out."""
        self._bodies.fetch_wanted()
        pushed = self._pusher.push(self._stopping)
        work.pushed += pushed.done
        work.rejected += pushed.rejected
        self._drafting.settle_queued()
        work.pushed += self._sending.step(self._stopping)
        work.pushed += self._drafting.step(self._stopping)

    # Pull

    def _catch_up(self, work: _Round) -> None:
        """Back after an absence, with acts waiting: hear first what happened meanwhile, then carry them out.

        Else an act on a message that vanished would be made in vain, and unheard where a server answers a whole
        batch with one word (Gmail's batchModify).
        """
        away, self._away = self._away, False
        cursor = self._store.cursor(self.mailbox)
        if not (away and cursor and self._pusher.pending()):
            return
        try:
            self._read(cursor, work, pushing=False)
        except (CursorExpired, StoreError):
            return  # the pull of this round meets it again, when the acts are made

    def _pull(self, work: _Round) -> bool:
        """Everything the server has to tell; False when it was interrupted."""
        cursor = "" if self._reread else self._store.cursor(self.mailbox)
        try:
            return self._read(cursor, work)
        except CursorExpired as error:
            if not cursor:
                raise
            self._count_expiry(error)
            self._reread = True
            return self._read("", work)

    def _count_expiry(self, error: CursorExpired) -> None:
        log.info("%s: cursor expired%s, reading everything again", self.mailbox, _code(error))
        now = self._timer()
        often = len(self._expired) == RESYNCS and now - self._expired[0] < REPAIR_EVERY
        self._expired.append(now)
        if often:
            raise Transient(_("The server keeps forgetting what it told us."), retry_after=REPAIR_EVERY) from error

    def _read(self, cursor: str, work: _Round, *, pushing: bool = True) -> bool:
        circle = Circle()
        with closing(self._pages(cursor)) as pages:
            for page in pages:
                circle.check(page)
                self._take(page)
                self._reread = False
                if pushing:
                    self._attend(work)
                if self._interrupted:
                    return False
        return True

    def _pages(self, cursor: str) -> Generator[Page, None, None]:
        have = self._store.known if self._months is None else self._store.here  # texts may be left out on purpose
        yield from self._remote.changes(cursor, lambda ids: have(self.mailbox, ids))

    def _take(self, page: Page) -> None:
        work = self._work
        resting = self._store.cursor(self.mailbox)
        for piece in slices(page, resting):
            fault("pull.received")
            change = self._store.ingest(self.mailbox, piece)
            fault("pull.ingested")
            self._pusher.heard(piece)
            work.changed += len(change.messages)
            work.news = work.news or bool(change.arrived)
            time.sleep(0)
        if page.progress and not page.complete:
            work.filling = page.progress
            self._say(Phase.FILLING, done=page.progress[0], total=page.progress[1])

    def _fetch(self, work: _Round) -> bool:
        """Bodies not here yet until the next pull is due; True when some are left."""
        self._bodies.begin_round()
        while not self._interrupted:
            ids = self._bodies.next()
            if not ids:
                return False
            if self._timer() - work.started > self._pace.shortest:
                return True
            self._bodies.fetch(ids)
            self._attend(work)
        return True

    # What is said

    def _settle(self, work: _Round, more: bool) -> Outcome:
        """The round went well: say how local copy and server compare."""
        self._failures = 0
        self._heard_at = self._clock()
        busy = work.news or work.pushed or work.filling
        self._pace = self._pace.lively() if busy else self._pace.quiet()
        if self._interrupted:
            return self._outcome(work, self._last.phase, more=True)
        waiting = len(self._pusher.pending())
        missing = {key: count for key, count in self._store.missing(self.mailbox).items() if count}
        phase, sentence, next_step = self._verdict(waiting, missing, more)
        self._say(phase, sentence, next_step, missing=missing)
        self._schedule_repair(bool(missing) and not waiting and not more)
        wait = 0.0 if more else self._pace.shortest if missing or waiting else self._pace.interval
        wait = min(wait, self._sending.wait(), self._drafting.wait())
        return self._outcome(work, phase, wait, more, sentence, next_step, self._consent)

    def _verdict(self, waiting: int, missing: dict[str, int], more: bool) -> tuple[Phase, str, str]:
        if self._consent is not None:
            return Phase.SIGN_IN, self._consent.sentence, self._consent.next_step
        if waiting:
            text = ngettext("{count} change waits for the server.", "{count} changes wait for the server.", waiting)
            return Phase.SYNCING, text.format(count=waiting), ""
        if missing:
            count = sum(abs(number) for number in missing.values())
            text = ngettext(
                "{count} message differs from what the server counts.",
                "{count} messages differ from what the server counts.",
                count,
            )
            return Phase.SYNCING, text.format(count=count), _("crmmail checks again by itself.")
        if more:
            return Phase.SYNCING, _("Messages are here; their texts are being downloaded."), ""
        return Phase.SYNCED, "", ""

    def _schedule_repair(self, differs: bool) -> None:
        """Counts that still differ at a second look call for a full reading, once an hour at most."""
        now = self._timer()
        rested = self._reread_at is None or now - self._reread_at >= REPAIR_EVERY
        if differs and self._differed and rested:
            self._reread, self._reread_at = True, now
        self._differed = differs

    def _trouble(self, error: Exception, work: _Round) -> Outcome:
        """The round ended early: keep the queue, say why, wait as `decide` says."""
        if self._interrupted:
            return self._outcome(work, self._last.phase, more=True)
        decision = decide(error, self._failures, self._clock(), self._rng.random())
        note(self.mailbox, error, decision)
        self._failures += 1
        self._away = self._away or isinstance(error, Offline)
        self._held_until = self._timer() + decision.wait if decision.held else 0.0
        self._reread = self._reread or decision.move is Move.RESYNC
        self._say(decision.phase, decision.sentence, decision.next_step, retry_at=decision.at)
        if isinstance(error, ScopeRequired):
            self._pusher.consent = error
        return self._outcome(
            work, decision.phase, decision.wait, sentence=decision.sentence, next_step=decision.next_step, error=error
        )

    def _outcome(
        self,
        work: _Round,
        phase: Phase,
        wait: float = 0.0,
        more: bool = False,
        sentence: str = "",
        next_step: str = "",
        error: BaseException | None = None,
    ) -> Outcome:
        return Outcome(phase, wait, more, work.pushed, work.rejected, work.changed, sentence, next_step, error)

    def _say(
        self,
        phase: Phase,
        sentence: str = "",
        next_step: str = "",
        *,
        done: int = 0,
        total: int = 0,
        retry_at: float = 0.0,
        missing: dict[str, int] | None = None,
    ) -> None:
        self._store.say(
            Status(self.mailbox, phase, sentence, next_step, done, total, self._heard_at, retry_at, dict(missing or {}))
        )


def note(mailbox: str, error: Exception, decision: Decision) -> None:
    """Log `error` by class, status and place: its text may hold what a server said, which may hold anything."""
    if decision.expected:
        log.info("%s: %s%s, %s in %.1f s", mailbox, type(error).__name__, _code(error), decision.move, decision.wait)
        return
    log.error("%s: unexpected %s at %s", mailbox, type(error).__name__, places(error))


def _code(error: Exception) -> str:
    """Status and reason of a server's answer for the log, of the reason no more than a word."""
    if not isinstance(error, RemoteError):
        return ""
    word = re.match(r"[\w.-]{0,48}", error.reason)
    return f" ({error.status} {word.group() if word else ''})".replace(" )", ")")
