"""What is being written, kept among the server's drafts too, so that it can be gone on with anywhere.

Each try is written down before it is made; after a lost answer the same try is made again, and finds what the first one
left (`Sender.save_draft`, `doubtful`). So a draft is there once, whatever breaks, and nothing another client changed is
overwritten: the remote compares the version we know, and where it differs ours goes beside theirs.
"""

from __future__ import annotations

import logging
import math
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crmmail.errors import DraftError, Offline, Rejected, RemoteError, ScopeRequired, StoreError, Transient
from crmmail.faultpoint import fault
from crmmail.model import Address, Draft, Identity, Outgoing, SendState
from crmmail.remotes import DraftRef, Where
from crmmail.store.remote_drafts import Attempt, Followed, Standing, digest_of
from crmmail.sync.decide import decide

if TYPE_CHECKING:
    from crmmail.remotes import Remote, Sender
    from crmmail.store import Store

QUIET = 5.0  # seconds without a save: the user thinks, or has closed the composer
LONGEST = 60.0  # seconds for which somebody may type before the server hears of it all the same
LOOK_AGAIN = 300.0  # seconds until a copy that is on the server and not in the local copy is looked for again

log = logging.getLogger("crmmail.sync")


def due(saved: float, unheard: float, now: float) -> float:
    """Seconds until a draft is pushed that was saved last at `saved` and has something unheard since `unheard`."""
    return max(0.0, min(saved + QUIET, unheard + LONGEST) - now)


class Drafting:
    """Keeps one mailbox's drafts and the server's Drafts folder one. Used by one thread."""

    def __init__(
        self,
        store: Store,
        mailbox: str,
        remote: Remote,
        sender: Sender,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._mailbox = mailbox
        self._remote = remote
        self._sender = sender
        self._clock = clock
        self._rng = rng or random.Random()
        self._unheard: dict[int, float] = {}  # since when a draft has something the server lacks
        self._failures: Counter[int] = Counter()
        self._not_before: dict[int, float] = {}
        self._refused: dict[int, int] = {}  # the revision the server would not take
        self._looked: dict[int, float] = {}  # when a copy that is not here was last looked for

    def hasten(self) -> None:
        """A new session or permission: what waited for it is tried at once."""
        self._refused.clear()
        self._not_before.clear()

    def settle_queued(self) -> None:
        """Before anything is sent: its draft may have been saved without an answer, and must not stay behind."""
        for standing in self._standings():
            if standing.queued:
                try:
                    self._found(standing)
                except (Rejected, DraftError) as error:  # the message itself meets the same, and says so
                    log.info("%s: what a draft left was not found: %s", self._mailbox, type(error).__name__)
                    self._store.note_draft_attempt(standing.draft.id, None)

    def step(self, interrupted: Callable[[], bool] = lambda: False) -> int:
        """Push what is due; how many the server took. Raises what concerns the whole mailbox."""
        done = 0
        for standing in self._standings():
            if interrupted():
                break
            if self._wait(standing) <= 0:
                done += self._careful(standing)
        return done

    def wait(self) -> float:
        """Seconds until a draft is due; infinite when none is."""
        return min((self._wait(standing) for standing in self._standings()), default=math.inf)

    def follow(self) -> None:
        """Let go of drafts whose copy another client removed, sent or changed; the rest of them is known now."""
        if not self._sender.capabilities.send:
            return
        for one in self._store.drafts_followed(self._mailbox):
            self._follow(one)

    def _standings(self) -> Sequence[Standing]:
        return self._store.drafts_to_push(self._mailbox) if self._sender.capabilities.send else ()

    def _wait(self, standing: Standing) -> float:
        number, now = standing.draft.id, self._clock()
        if self._refused.get(number) == standing.draft.revision:
            return math.inf
        held = max(0.0, self._not_before.get(number, 0.0) - now)
        if standing.discarded or standing.queued or standing.draft.revision == standing.pushed:
            return held
        unheard = min(self._unheard.setdefault(number, now), now)
        return max(held, due(standing.draft.saved_ms / 1000, unheard, now))

    # One draft

    def _careful(self, standing: Standing) -> int:
        """Bring one draft to the server; 1 when it is there. One that fails holds up no other."""
        number = standing.draft.id
        try:
            self._carry(standing)
        except (Rejected, ScopeRequired) as error:
            log.info("%s: a draft was refused (%s)", self._mailbox, error.status)
            self._refused[number] = standing.draft.revision
            return 0
        except RemoteError as error:
            if not isinstance(error, Transient) or isinstance(error, Offline) or error.retry_after is not None:
                raise
            decision = decide(error, self._failures[number], self._clock(), self._rng.random())
            self._failures[number] += 1
            self._not_before[number] = decision.at
            return 0
        except DraftError as error:  # a file that is gone: the user hears of it when sending
            log.info("%s: a draft cannot be built: %s", self._mailbox, type(error).__name__)
            self._refused[number] = standing.draft.revision
            return 0
        for told in (self._failures, self._not_before, self._unheard, self._refused):
            told.pop(number, None)
        return 1

    def _carry(self, standing: Standing) -> None:
        standing = self._found(standing)
        if standing.discarded:
            self._remove(standing)
        elif standing.pushed != standing.draft.revision and not standing.queued:
            self._push(standing)

    def _found(self, standing: Standing) -> Standing:
        """With what the server calls it now, where that is open."""
        if standing.attempt is not None:
            standing = self._settle(standing)
        if standing.remote_message and not standing.remote_draft:
            standing = self._recognised(standing)
        return standing

    def _push(self, standing: Standing) -> None:
        attempt = Attempt(uuid.uuid4().hex, standing.draft)
        mime = self._mime(attempt)
        self._store.note_draft_attempt(standing.draft.id, attempt)
        fault("draft.attempted")
        self._saved(attempt, self._save(standing, attempt, mime))

    def _save(self, standing: Standing, attempt: Attempt, mime: bytes, *, doubtful: bool = False) -> DraftRef:
        try:
            reference = self._sender.save_draft(
                mime, standing.remote_draft, self._thread(attempt.draft), doubtful=doubtful
            )
        except Rejected:
            self._withdraw(standing, attempt)
            raise
        fault("draft.saved")
        return reference

    def _saved(self, attempt: Attempt, reference: DraftRef) -> None:
        if reference.conflict:
            log.info("%s: a draft was changed elsewhere too; both are kept", self._mailbox)
        self._store.note_draft(
            attempt.draft.id,
            attempt.draft.revision,
            remote_draft=reference.remote_draft,
            remote_message=reference.remote_id,
            parted=reference.conflict,
        )
        fault("draft.noted")

    def _remove(self, standing: Standing) -> None:
        """A discarded draft leaves the server, unless another client has changed it: then that one stays."""
        if standing.remote_draft:
            self._sender.delete_draft(standing.remote_draft)
            fault("draft.deleted")
        self._store.note_draft(standing.draft.id, 0)
        fault("draft.noted")

    def _settle(self, standing: Standing) -> Standing:
        """Make a try again whose answer was lost, so that what it left is found; the draft as it stands then."""
        attempt = standing.attempt
        assert attempt is not None
        mime = self._mime(attempt)
        reference = self._save(standing, attempt, mime, doubtful=True)
        if self._says(reference.remote_id, digest_of(mime)):
            self._saved(attempt, reference)
            return replace(
                standing,
                remote_draft=reference.remote_draft,
                remote_message=reference.remote_id,
                pushed=attempt.draft.revision,
                attempt=None,
            )
        # Another client has changed what our try left: it is theirs now.
        self._store.note_draft(standing.draft.id, 0, parted=True)
        return replace(standing, remote_draft="", remote_message="", pushed=0, attempt=None)

    def _withdraw(self, standing: Standing, attempt: Attempt) -> None:
        """The server refused a try for good: what it left half-made goes, what was there before stays."""
        sought = Outgoing(0, standing.draft.id, self._mailbox, SendState.SENDING, "", (), "", "", attempt.token)
        found = self._sender.look(sought)
        if found.kind is Where.DRAFT and found.draft is not None and found.draft.remote_id != standing.remote_message:
            self._sender.delete_draft(found.draft.remote_draft)
        self._store.note_draft_attempt(standing.draft.id, None)

    def _recognised(self, standing: Standing) -> Standing:
        """A draft begun elsewhere, as the server names it; nothing when it is no longer what was taken over."""
        reference = self._sender.draft_at(standing.remote_message)
        if reference is None or not self._says(standing.remote_message, standing.remote_digest):
            log.info("%s: a draft was changed or removed elsewhere; ours is kept beside it", self._mailbox)
            self._store.note_draft(standing.draft.id, 0, parted=reference is not None)
            return replace(standing, remote_draft="", remote_message="", pushed=0)
        if standing.queued:
            self._store.note_draft(
                standing.draft.id,
                standing.pushed,
                remote_draft=reference.remote_draft,
                remote_message=standing.remote_message,
                digest=standing.remote_digest,
            )
        return replace(standing, remote_draft=reference.remote_draft)

    def _says(self, remote_id: str, digest: str) -> bool:
        """Whether a draft on the server says what it did when `digest` was made; also when it gives no answer."""
        told = next((one.raw for one in self._remote.bodies([remote_id]) if one.raw is not None), None)
        return told is None or not digest or digest_of(told) == digest

    # What others did

    def _follow(self, one: Followed) -> None:
        standing = one.standing
        if one.here and not standing.remote_digest:
            raw = self._store.raw(one.message)
            if raw is not None:
                self._store.note_draft_digest(standing.draft.id, standing.remote_message, raw)
        elif one.here is False or (one.here is None and self._went(standing)):
            log.info("%s: a draft was removed, sent or changed elsewhere", self._mailbox)
            self._store.draft_went_elsewhere(standing.draft)

    def _went(self, standing: Standing) -> bool:
        """Whether a copy the local copy no longer lists is gone from the server's drafts, or is another one now."""
        number, now = standing.draft.id, self._clock()
        if now < self._looked.get(number, -math.inf) + LOOK_AGAIN:
            return False
        self._looked[number] = now
        reference = self._sender.draft_at(standing.remote_message)
        return reference is None

    # The message it is

    def _thread(self, draft: Draft) -> str:
        found = self._store.remote_thread(draft.parent, draft.mailbox) if draft.parent else ""
        return found or draft.remote_thread

    def _mime(self, attempt: Attempt) -> bytes:
        """The draft as a message. Addresses that are not valid yet are only here; Markdown stays as it is typed."""
        from crmmail.mail import compose

        draft = attempt.draft
        identity = self._identity(draft)
        whole = replace(draft, to=_valid(draft.to), cc=_valid(draft.cc), bcc=_valid(draft.bcc), markdown=False)
        return compose.build(
            whole,
            identity,
            self._file,
            message_id=compose.new_message_id(identity.address.email, attempt.token),
            token=attempt.token,
            now=draft.saved_ms / 1000 or self._clock(),
            keep_bcc=True,
        )

    def _file(self, digest: str) -> bytes:
        try:
            return self._store.enclosure(digest)
        except StoreError as error:
            raise DraftError(error.sentence) from error

    def _identity(self, draft: Draft) -> Identity:
        known = self._store.identities(self._mailbox)
        chosen = next((one for one in known if one.address.email.casefold() == draft.sender.casefold()), None)
        return chosen or (known[0] if known else Identity(self._mailbox, Address("", draft.sender)))


def _valid(people: Sequence[Address]) -> tuple[Address, ...]:
    from crmmail.mail import addresses

    return tuple(one for one in people if (found := addresses.addr_spec(one.email)) and found.isascii())
