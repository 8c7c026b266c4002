"""Mail on its way out: each message leaves exactly once, and where nobody can know whether it did, that is said.

    QUEUED ──claim──> SENDING ──draft there, noted──> send ──yes──> ACCEPTED ──seen in Sent──> SEEN
                         │                              ├──no, and it is still a draft──> FAILED, with the reason
                         └──nothing sent yet: QUEUED    └──no answer──> UNKNOWN ──look──> ACCEPTED, or QUEUED again

The server's draft is what makes it once: its id is written down before it is sent, and a draft that was sent is no
longer one. So after any doubt we look: still a draft, it did not go; in Sent, it did; neither, we wait and look again,
and in the end ask the user. Nothing is ever sent from UNKNOWN without having looked.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crmmail.errors import (
    AuthRequired,
    CrmMailError,
    Offline,
    Rejected,
    RemoteError,
    ScopeRequired,
    StoreError,
    Transient,
)
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.model import Outgoing, SendState
from crmmail.remotes import DraftRef, SentRef, Where, Whereabouts
from crmmail.sync.decide import Decision, decide

if TYPE_CHECKING:
    from crmmail.remotes import Sender
    from crmmail.store import Store

LOOKS = (30.0, 60.0, 120.0)  # seconds between looks for a message that is neither a draft nor in Sent
LATER = 900.0  # seconds between looks after those, quietly
ENOUGH = 12  # looks for an accepted message that never shows in Sent
FIRST_LOOK = 2.0  # seconds after a lost answer
IDENTITIES_EVERY = 3600.0  # seconds
_REFUSED_AT_THE_DOOR = (401, 403, 429)  # answers given before anything is done

log = logging.getLogger("crmmail.sync")


class Sending:
    """Empties one mailbox's outgoing queue. Used by one thread; `uploads` may be read by any."""

    def __init__(
        self,
        store: Store,
        mailbox: str,
        remote: Sender,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._mailbox = mailbox
        self._remote = remote
        self._clock = clock
        self._rng = rng or random.Random()
        self._looks: dict[int, int] = {}  # looks in a row that found nothing
        self._due: dict[int, float] = {}  # accepted ones: when to look for them in Sent
        self._since: dict[int, float] = {}  # since when nobody knows
        self._identities_at: float | None = None
        self._closed_until = 0.0  # the provider takes no more mail for now (a sending limit)
        self.consent: ScopeRequired | None = None  # a message waits for this permission
        self.uploads: dict[int, tuple[int, int]] = {}  # outgoing id → (bytes done, bytes in all)

    def hasten(self) -> None:
        """The user signed in again or gave a permission: what waited for that is tried at once."""
        self.consent = None
        self._closed_until = 0.0

    def step(self, interrupted: Callable[[], bool] = lambda: False) -> int:
        """Send what is due; how many were. Raises what concerns the whole mailbox, after writing down what is known."""
        if not self._remote.capabilities.send:
            return 0
        self._read_identities()
        self._recover()
        sent = 0
        for outgoing in self._mine(SendState.UNKNOWN):
            if not interrupted() and outgoing.not_before <= self._clock():
                self._look_again(outgoing)
        while not self._stopped(interrupted) and (claimed := self._store.claim_outgoing(self._mailbox, self._clock())):
            fault("send.claimed")
            sent += self._send(claimed)
        for outgoing in self._mine(SendState.ACCEPTED):
            if not interrupted() and self._due.get(outgoing.id, 0.0) <= self._clock():
                self._see(outgoing)
        return sent

    def wait(self) -> float:
        """Seconds until something of ours is due; infinite when nothing is."""
        if not self._remote.capabilities.send:
            return math.inf
        waiting = self._mine(SendState.HELD, SendState.QUEUED, SendState.UNKNOWN)
        moments = [outgoing.not_before for outgoing in waiting]
        moments = [max(moment, self._closed_until) for moment in moments]
        moments += [self._due.get(outgoing.id, 0.0) for outgoing in self._mine(SendState.ACCEPTED)]
        return max(0.0, min(moments, default=math.inf) - self._clock())

    def _mine(self, *states: SendState) -> list[Outgoing]:
        return [outgoing for outgoing in self._store.outgoing(states) if outgoing.mailbox == self._mailbox]

    def _stopped(self, interrupted: Callable[[], bool]) -> bool:
        return interrupted() or self._closed_until > self._clock()

    def _recover(self) -> None:
        """What an earlier step or process left half-way. Before a draft is noted nothing can have gone out."""
        for outgoing in self._mine(SendState.SENDING):
            if outgoing.remote_draft:
                self._doubt(outgoing, _("Sending was interrupted; crmmail is checking whether it went out."))
            else:
                self._requeue(outgoing)

    def _requeue(self, outgoing: Outgoing) -> None:
        """It never left: into the queue again."""
        self._since.pop(outgoing.id, None)
        self._note(outgoing, state=SendState.QUEUED, not_before=self._clock(), error="")
        fault("send.requeued")

    def _note(self, outgoing: Outgoing, **changes: Any) -> None:
        """Write down what became of it, unless the user decided otherwise meanwhile."""
        try:
            self._store.note_outgoing(outgoing.id, **changes)
        except StoreError:
            now = next((one for one in self._mine(*SendState) if one.id == outgoing.id), outgoing)
            if now.state in (outgoing.state, SendState.SENDING):
                raise  # the disk, not the user
            log.info("%s: an outgoing message was decided on meanwhile: %s", self._mailbox, now.state)

    # One message

    def _send(self, outgoing: Outgoing) -> int:
        """Carry one claimed message as far as it goes; 1 when the server has it."""
        try:
            prepared = self._prepared(outgoing)
        except CrmMailError as error:
            self._not_sent(outgoing, error)
            return 0
        if not isinstance(prepared, DraftRef):
            return prepared
        fault("send.before_send")
        try:
            sent = self._remote.send_draft(prepared.remote_draft)
        except CrmMailError as error:
            self._perhaps_sent(outgoing, error)
            return 0
        fault("send.after_send")
        self._accepted(outgoing, sent)
        return 1

    def _prepared(self, outgoing: Outgoing) -> DraftRef | int:
        """The draft to send, its id written down; or 1 when it has gone out already, 0 when that is not known."""
        again = outgoing.attempts > 1
        if again:
            found = self._looked(outgoing)
            if found.kind is Where.SENT:
                return self._accepted(outgoing, found.sent or SentRef())
            if found.kind is Where.DRAFT and outgoing.id in self._since and self._unsettled(outgoing):
                return self._too_early(outgoing)
            if found.kind is Where.DRAFT and found.ready and found.draft is not None:
                return self._noted(outgoing, found.draft)
            if found.kind is Where.NOWHERE and outgoing.remote_draft:
                return self._vanished(outgoing)
        try:
            draft = self._remote.save_draft(
                self._store.mime(outgoing.id),
                outgoing.remote_draft,
                outgoing.remote_thread,
                lambda done, total: self.uploads.update({outgoing.id: (done, total)}),
                doubtful=again,
            )
        finally:
            self.uploads.pop(outgoing.id, None)
        fault("send.draft_saved")
        return self._noted(outgoing, draft)

    def _too_early(self, outgoing: Outgoing) -> int:
        at = self._clock() + self._unsettled(outgoing)
        self._note(
            outgoing, state=SendState.UNKNOWN, not_before=at, error=_("crmmail is checking whether it went out.")
        )
        return 0

    def _noted(self, outgoing: Outgoing, draft: DraftRef) -> DraftRef:
        """Write down which draft will be sent, before it is."""
        thread = outgoing.remote_thread or draft.remote_thread
        self._note(outgoing, remote_draft=draft.remote_draft, remote_thread=thread)
        fault("send.draft_noted")
        return draft

    def _accepted(self, outgoing: Outgoing, sent: SentRef) -> int:
        self._note(
            outgoing,
            state=SendState.SEEN if sent.seen and sent.message_id else SendState.ACCEPTED,
            remote_id=sent.remote_id or outgoing.remote_id,
            remote_thread=sent.remote_thread or outgoing.remote_thread,
            sent_message_id=sent.message_id or outgoing.sent_message_id,
            error="",
        )
        fault("send.noted")
        self._looks.pop(outgoing.id, None)
        self._since.pop(outgoing.id, None)
        self._due[outgoing.id] = self._clock() + sent.wait
        self.consent = None
        return 1

    # What goes wrong

    def _not_sent(self, outgoing: Outgoing, error: CrmMailError) -> None:
        """Nothing has gone out yet: refused for good, or back into the queue."""
        if isinstance(error, Rejected):
            self._failed(outgoing, error)
            return
        self._held_back(outgoing, error)
        if _concerns_all(error):
            raise error

    def _perhaps_sent(self, outgoing: Outgoing, error: CrmMailError) -> None:
        """The send itself was refused or not answered."""
        if isinstance(error, RemoteError) and _refused_at_the_door(error):
            self._held_back(outgoing, error)
            if isinstance(error, AuthRequired):
                raise error
            self._closed_until = self._decide(outgoing, error).at  # a limit on sending: reading goes on
            return
        self._doubt(outgoing, error.sentence)
        fault("send.doubted")
        if isinstance(error, Rejected):
            self._judge(outgoing, error)
        elif _concerns_all(error):
            raise error

    def _judge(self, outgoing: Outgoing, error: Rejected) -> None:
        """A refusal counts when the draft is still there: an earlier send may be the reason for it."""
        try:
            found = self._looked(outgoing)
        except Transient:
            return  # a later round looks
        if found.kind is Where.DRAFT:
            self._failed(outgoing, error)
        elif found.kind is Where.SENT:
            self._accepted(outgoing, found.sent or SentRef())
        else:
            self._vanished(outgoing)

    def _failed(self, outgoing: Outgoing, error: Rejected) -> None:
        self._note(outgoing, state=SendState.FAILED, error=str(error))
        fault("send.failed")

    def _held_back(self, outgoing: Outgoing, error: CrmMailError) -> None:
        decision = self._decide(outgoing, error)
        if isinstance(error, ScopeRequired):
            self.consent = error
        at = self._clock() if isinstance(error, AuthRequired) else decision.at
        self._note(outgoing, state=SendState.QUEUED, not_before=at, error=decision.sentence)
        fault("send.held_back")

    def _doubt(self, outgoing: Outgoing, sentence: str) -> None:
        """Say that nobody knows yet, and look soon."""
        self._since[outgoing.id] = self._clock()
        at = self._clock() + FIRST_LOOK
        self._note(outgoing, state=SendState.UNKNOWN, not_before=at, error=sentence)

    def _unsettled(self, outgoing: Outgoing) -> float:
        """Seconds for which a draft that is still there proves nothing: what was accepted may not have moved yet."""
        since = self._since.get(outgoing.id, self._clock())
        return max(0.0, since + self._remote.settle_seconds - self._clock())

    def _vanished(self, outgoing: Outgoing) -> int:
        """Neither a draft nor in Sent: Sent may be slow, or somebody removed the draft."""
        looks = self._looks.get(outgoing.id, 0)
        self._looks[outgoing.id] = looks + 1
        sure = looks >= len(LOOKS)
        sentence = (
            _("It may have been sent: it is neither among the drafts nor in Sent.")
            if sure
            else _("It is not in Sent yet; crmmail will look again.")
        )
        wait = LATER if sure else LOOKS[looks]
        self._note(outgoing, state=SendState.UNKNOWN, not_before=self._clock() + wait, error=sentence)
        fault("send.vanished")
        return 0

    def _decide(self, outgoing: Outgoing, error: CrmMailError) -> Decision:
        return decide(error, max(0, outgoing.attempts - 1), self._clock(), self._rng.random())

    # Looking

    def _looked(self, outgoing: Outgoing) -> Whereabouts:
        """Where it is. A refusal to tell proves nothing."""
        try:
            found = self._remote.look(outgoing)
        except Rejected as error:
            log.info("%s: looking was refused (%s)", self._mailbox, error.status)
            found = Whereabouts(Where.NOWHERE)
        fault("send.looked")
        return found

    def _look_again(self, outgoing: Outgoing) -> None:
        """Find out what became of a message nobody knows about."""
        self._since.setdefault(outgoing.id, self._clock())
        found = self._looked(outgoing)
        if found.kind is Where.SENT:
            self._accepted(outgoing, found.sent or SentRef())
        elif found.kind is Where.DRAFT and (seconds := self._unsettled(outgoing)):
            self._note(outgoing, not_before=self._clock() + seconds)
        elif found.kind is Where.DRAFT or not outgoing.remote_draft:
            # It never left: what was noted before every send is not there, or is still a draft.
            self._requeue(outgoing)
        else:
            self._vanished(outgoing)

    def _see(self, outgoing: Outgoing) -> None:
        """Look for an accepted message in Sent, for the Message-ID it was given."""
        sent = self._looked(outgoing).sent
        if sent is not None and sent.seen:
            self._accepted(outgoing, sent)
            fault("send.seen")
            return
        looks = self._looks.get(outgoing.id, 0)
        self._looks[outgoing.id] = looks + 1
        wait = LOOKS[looks] if looks < len(LOOKS) else LATER if looks < ENOUGH else math.inf
        self._due[outgoing.id] = self._clock() + wait

    def _read_identities(self) -> None:
        now = self._clock()
        if self._identities_at is not None and 0 <= now - self._identities_at < IDENTITIES_EVERY:
            return
        self._identities_at = now
        try:
            self._store.set_identities(self._mailbox, self._remote.identities())
        except RemoteError as error:
            if isinstance(error, Transient | AuthRequired):
                self._identities_at = None
                raise
            # The addresses known so far go on being used.
            log.info("%s: identities not read: %s (%s)", self._mailbox, type(error).__name__, error.status)


def _refused_at_the_door(error: RemoteError) -> bool:
    """Whether the server refused before doing anything, so that nothing can have gone out."""
    if isinstance(error, AuthRequired | ScopeRequired):
        return True
    return isinstance(error, Transient) and error.status in _REFUSED_AT_THE_DOOR


def _concerns_all(error: CrmMailError) -> bool:
    """Whether the rest of the mailbox meets the same: no network, session over, told to stay away."""
    if isinstance(error, Transient):
        return isinstance(error, Offline) or error.retry_after is not None
    return not isinstance(error, ScopeRequired)
