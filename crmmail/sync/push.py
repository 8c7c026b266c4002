"""The user's acts on their way to a server: claimed, made true there, acknowledged.

Every write may be made twice (the answer to the first was lost), so nothing here asks whether it happened: a wish
is made until it is answered.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crmmail.errors import CrmMailError, Offline, Rejected, ScopeRequired, Transient
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.model import Ack, Op, OpState, Page, State, Wish
from crmmail.sync.decide import Decision, decide

if TYPE_CHECKING:
    from crmmail.remotes import Remote
    from crmmail.store import Store

BATCH = 1000  # wishes claimed at once: what Gmail's batchModify takes in one call
FLUSH = 100  # answers written together, so that a long batch does not lose all of them to a crash


@dataclass(slots=True)
class Pushed:
    """What a push did: messages changed there, messages refused there, messages that must wait."""

    done: int = 0
    rejected: int = 0
    deferred: int = 0


class Pusher:
    """Empties one mailbox's outbox. Used by one thread."""

    def __init__(self, store: Store, remote: Remote, clock: Callable[[], float], rng: random.Random) -> None:
        self._store = store
        self._remote = remote
        self._mailbox = remote.mailbox
        self._clock = clock
        self._rng = rng
        self._attempts: Counter[str] = Counter()  # failures in a row of one message
        self._waiting: set[str] = set()  # deferred in the push that runs
        self._vanished: set[str] = set()  # messages the server said are gone, while acts on them may wait
        self.consent: ScopeRequired | None = None  # an act waits for this permission

    def begin(self) -> None:
        """A new process or a new session: what was claimed is free again, and nothing waits for an old trouble."""
        self._store.release(self._mailbox)
        self.hasten()

    def pending(self) -> list[Op]:
        """The ops of this mailbox the server has not confirmed."""
        alive = (OpState.PENDING, OpState.SENDING)
        return [op for op in self._store.outbox() if op.mailbox == self._mailbox and op.state in alive]

    def hasten(self) -> None:
        """Let the acts that wait after a failure be tried at once."""
        self._store.hasten(self._mailbox)
        self.consent = None

    def heard(self, page: Page) -> None:
        """Note which messages are gone and which are there, so that no act is made in vain and unheard."""
        self._vanished.update(page.removals)
        self._vanished.difference_update(incoming.remote_id for incoming in page.upserts)

    def push(self, interrupted: Callable[[], bool]) -> Pushed:
        """Send until nothing is due. Raises what concerns the whole mailbox; what was answered before is kept."""
        result = Pushed()
        self._waiting.clear()
        while not interrupted() and (wishes := self._store.claim(self._mailbox, BATCH)):
            fault("push.claimed")
            if all(wish.remote_id in self._waiting for wish in wishes):
                self._store.release(self._mailbox)
                break
            try:
                self._send(self._without_vanished(wishes, result), result)
            except BaseException:
                self._store.release(self._mailbox)
                raise
            fault("push.sent")
        self._vanished.clear()
        return result

    def _without_vanished(self, wishes: Sequence[Wish], result: Pushed) -> list[Wish]:
        """Answer the wishes for messages that are gone ourselves; the others."""
        gone = [wish for wish in wishes if wish.remote_id in self._vanished]
        self._answered([_told(Ack(wish.remote_id, State(gone=True)), wish) for wish in gone], result)
        return [wish for wish in wishes if wish.remote_id not in self._vanished]

    def _send(self, wishes: Sequence[Wish], result: Pushed) -> None:
        """Offer `wishes`; what is refused as a whole is taken apart."""
        if not wishes:
            return
        unanswered, error = self._offer(wishes, result)
        if error is None:
            self._later([wish.remote_id for wish in unanswered], Transient(_("The server gave no answer.")), result)
        elif isinstance(error, ScopeRequired) and any(wish.delta.gone for wish in unanswered):
            self._later([wish.remote_id for wish in unanswered if wish.delta.gone], error, result)
            self._send([wish for wish in unanswered if not wish.delta.gone], result)
        elif isinstance(error, Rejected) and unanswered:
            self._single_out(unanswered, error, result)
        else:
            raise error

    def _single_out(self, wishes: Sequence[Wish], error: Rejected, result: Pushed) -> None:
        """Find by halving which of `wishes` the server refuses, so that one bad message does not stop the others."""
        if len(wishes) == 1:
            self._answered([Ack(wishes[0].remote_id, error=error)], result)
            return
        middle = len(wishes) // 2
        self._send(wishes[:middle], result)
        self._send(wishes[middle:], result)

    def _offer(self, wishes: Sequence[Wish], result: Pushed) -> tuple[list[Wish], Exception | None]:
        """Make one call of `apply`; the wishes left without an answer and why."""
        left = {wish.remote_id: wish for wish in wishes}
        acks: list[Ack] = []
        trouble: Exception | None = None
        try:
            for ack in self._remote.apply(wishes):
                fault("push.answered")
                acks.append(_told(ack, left.pop(ack.remote_id, None)))
                if len(acks) >= FLUSH:
                    trouble = self._answered(acks, result) or trouble
                    acks = []
        except CrmMailError as error:
            trouble = error
        finally:
            trouble = self._answered(acks, result) or trouble
        return list(left.values()), trouble

    def _answered(self, acks: Sequence[Ack], result: Pushed) -> Exception | None:
        """Write the answers down; returns the error among them that concerns the whole mailbox, if any."""
        final = [ack for ack in acks if ack.error is None or isinstance(ack.error, Rejected)]
        if final:
            self._store.acknowledge(self._mailbox, final)
            fault("push.acknowledged")
        for ack in final:
            self._attempts.pop(ack.remote_id, None)
            result.rejected += ack.error is not None
            result.done += ack.error is None
        whole: Exception | None = None
        for ack in acks:
            if ack.error is not None and not isinstance(ack.error, Rejected):
                self._later([ack.remote_id], ack.error, result)
                whole = ack.error if _concerns_all(ack.error) else whole
        return whole

    def _later(self, remote_ids: Sequence[str], error: Exception, result: Pushed) -> None:
        """Let these wait, each as long as its own history of failures asks for."""
        if isinstance(error, ScopeRequired):
            self.consent = error
        for remote_id in remote_ids:
            decision = self._decide(remote_id, error)
            self._store.defer(self._mailbox, [remote_id], decision.at, decision.sentence)
            self._attempts[remote_id] += 1
            self._waiting.add(remote_id)
            result.deferred += 1

    def _decide(self, remote_id: str, error: Exception) -> Decision:
        return decide(error, self._attempts[remote_id], self._clock(), self._rng.random())


def _told(ack: Ack, wish: Wish | None) -> Ack:
    """`ack` as a refusal where the message vanished under an act that did not mean that: the user should hear of it."""
    if wish is None or wish.delta.gone or ack.state is None or not ack.state.gone:
        return ack
    return replace(ack, error=Rejected(_("The message no longer exists on the server."), gone=True))


def _concerns_all(error: Exception) -> bool:
    """Whether what happened to one message says something of the whole mailbox: told to wait, session over."""
    if isinstance(error, ScopeRequired):
        return False
    if isinstance(error, Transient):
        return error.retry_after is not None or isinstance(error, Offline)
    return True
