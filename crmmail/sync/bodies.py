"""Raw messages that are not here yet: those the user wants to read at once, all others newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from crmmail.errors import Rejected
from crmmail.model import Incoming, Page

if TYPE_CHECKING:
    from crmmail.remotes import Remote
    from crmmail.store import Store

AT_ONCE = 10  # raw messages asked for in one go: a user's act waits for no more than this

Take = Callable[[Page], None]


class Bodies:
    """One mailbox's bodies. `want` may be called from any thread, the rest by one; `take` ingests a page."""

    def __init__(self, store: Store, remote: Remote, take: Take, since: Callable[[], int] = lambda: 0) -> None:
        """`since`: messages received before it (ms) are fetched only when wanted."""
        self._store = store
        self._remote = remote
        self._mailbox = remote.mailbox
        self._take = take
        self._since = since
        self._wanted: deque[str] = deque()
        self._omitted: set[str] = set()  # asked for and not given: gone there, refused, or a passing error
        self._omitted_before: set[str] = set()  # the same of earlier rounds, to be asked for once more

    def want(self, remote_id: str) -> None:
        """Fetch this one before all others."""
        self._wanted.append(remote_id)

    def forget_omitted(self) -> None:
        """Ask again for what was not given."""
        self._omitted.clear()

    def begin_round(self) -> None:
        """What was not given in the last round is asked for once more in this one."""
        self._omitted_before, self._omitted = self._omitted, set()

    def fetch_wanted(self) -> None:
        """The bodies the user waits for, also those the server would not give before."""
        wanted: dict[str, None] = {}
        while self._wanted:
            wanted[self._wanted.popleft()] = None
        self.fetch([remote_id for remote_id in wanted if self._lacks_body(remote_id)])

    def next(self) -> list[str]:
        """The ids to ask for next, newest first; empty when every body is here that is to be had."""
        ids = self._store.unfetched(self._mailbox, AT_ONCE + len(self._omitted), self._since())
        return [remote_id for remote_id in ids if remote_id not in self._omitted][:AT_ONCE]

    def fetch(self, remote_ids: Sequence[str]) -> None:
        """Ask for these. One that is refused keeps none of the others back; what came before an error is kept."""
        if not remote_ids:
            return
        got: list[Incoming] = []
        try:
            with closing(self._bodies(remote_ids)) as bodies:
                for incoming in bodies:
                    got.append(incoming)
        except Rejected:
            for remote_id in remote_ids if len(remote_ids) > 1 else ():
                self.fetch([remote_id])
        finally:
            if got:
                self._take(Page(self._store.cursor(self._mailbox), tuple(got)))
        self._note_omitted(set(remote_ids) - self._store.known(self._mailbox, remote_ids))

    def _bodies(self, remote_ids: Sequence[str]) -> Generator[Incoming, None, None]:
        yield from self._remote.bodies(remote_ids)

    def _lacks_body(self, remote_id: str) -> bool:
        number = self._store.find(self._mailbox, remote_id)
        return number is not None and self._store.raw(number) is None

    def _note_omitted(self, remote_ids: set[str]) -> None:
        """A body not given twice is not to be had; one not given once may have met a passing trouble."""
        if twice := remote_ids & self._omitted_before:
            self._store.unavailable(self._mailbox, sorted(twice))
        self._omitted |= remote_ids - twice
