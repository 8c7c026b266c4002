"""The one door to the local copy: what lists show, what the user does, what servers tell.

Reading is safe from any thread and never waits for a writer. Everything that writes goes through one connection
under one lock; a `Change` is published after the commit, in the thread that wrote, with the lock released.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from crmmail.errors import StoreError
from crmmail.faultpoint import fault
from crmmail.i18n import _
from crmmail.model import (
    Ack,
    Act,
    Change,
    Folder,
    Incoming,
    Mailbox,
    Message,
    Op,
    Page,
    Phase,
    Query,
    Row,
    State,
    Status,
    Wish,
)
from crmmail.ops import Verb
from crmmail.store import (
    acts,
    binding,
    codec,
    completion,
    drafts,
    faults,
    files,
    ingest,
    mailboxes,
    opening,
    outbox,
    projection,
    rematch,
    salvage,
    turning,
    window,
)
from crmmail.store.connections import Connections
from crmmail.store.incoming import prepare
from crmmail.store.journal import Entry
from crmmail.store.written_for import WrittenFor

T = TypeVar("T")
_TROUBLE = (*faults.BROKEN, OSError)
KEPT_MS = 30 * 86_400_000  # how long a discarded draft, and one that was sent, can still be brought back


class Store(WrittenFor):
    """A profile's mail. Made by `open`; `notices` holds what the user should be told about repairs."""

    def __init__(
        self,
        directory: Path,
        connections: Connections,
        lock: files.ProfileLock | None,
        clock: Callable[[], float],
        notices: list[str],
    ) -> None:
        self._directory = directory
        self._connections = connections
        self._profile_lock = lock
        self._clock = clock
        self._subscribers: list[Callable[[Change], None]] = []
        self._statuses: dict[str, Status] = {}
        self._registered: dict[str, Mailbox] = {}
        self._stale = True  # the projection may lag behind the desk
        self._depth = 0
        self._gathered = Change()
        self._pace = rematch.Pace()
        self.notices = notices
        self.readonly = lock is None

    # opening and closing

    @classmethod
    def open(cls, directory: Path, *, readonly: bool = False, clock: Callable[[], float] = time.time) -> Store:
        """Open a profile's data directory, made where missing. Raises ProfileBusy (unless read-only) and StoreError."""
        notices: list[str] = []
        if readonly:
            opening.check_readable(directory)
            return cls(directory, Connections(directory, None), None, clock, notices)
        files.prepare(directory)
        lock = files.ProfileLock(directory)
        try:
            connections = Connections(directory, opening.open_writer(directory, notices))
            store = cls(directory, connections, lock, clock, notices)
            store._resume()
        except BaseException as error:
            lock.release()
            if isinstance(error, _TROUBLE):
                raise faults.explain(error) from error
            raise
        return store

    def _resume(self) -> None:
        """After a crash: what was on its way is asked again, what the lists do not show yet is shown."""
        broken = self._commit(outbox.inspect)
        if broken:
            self.notices.append(
                _("{count} actions were altered on the disk; they are set aside and not sent.").format(count=broken)
            )
        altered = self._commit(drafts.inspect)
        if altered:
            self.notices.append(
                _(
                    "{count} drafts were altered on the disk; what can be read of them is kept, addressed to nobody."
                ).format(count=altered)
            )
        if self._commit(turning.abandon_running):
            self.notices.append(_("An import that broke off is taken back: nothing of it stays."))
        self._derive()
        self._commit(lambda connection: completion.catch_up(connection, self._now_ms()))
        self._commit(lambda connection: drafts.sweep(connection, self._now_ms() - KEPT_MS))
        self._catch_up()

    def close(self) -> None:
        """Let the profile go. Reading and writing end."""
        self._connections.close()
        if self._profile_lock is not None:
            self._profile_lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the two ways in: everything that reads or writes goes through one of them

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a snapshot of this thread's own connection."""
        return self._mended(lambda: self._in_snapshot(work))

    def _commit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction of the writer."""
        if self.readonly:
            raise StoreError(
                _("This profile is open for reading only."), next_step=_("Close the other crmmail, then start again.")
            )
        return self._mended(lambda: self._in_transaction(work))

    def _in_snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connections.snapshot() as connection:
            return work(connection)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._connections.transaction() as connection:
            return work(connection)

    def _mended(self, run: Callable[[], T]) -> T:
        """The answer of `run`; when it meets a damaged file, that of a second run after the repair."""
        generation = self._connections.generation
        try:
            return run()
        except _TROUBLE as error:
            if not faults.is_damage(error) or self.readonly:
                raise faults.explain(error) from error
            self._repair(generation)
        try:
            return run()
        except _TROUBLE as error:
            raise faults.explain(error) from error

    def _repair(self, generation: int) -> None:
        """Put the damaged file aside and go on with a sound one; the mirror fills again from the servers."""
        with self._connections.lock:
            if self._connections.generation != generation:
                return  # another thread met the damage first
            self._connections.drop_writer()
            damaged_desk = not salvage.is_sound(self._directory / files.DESK, thorough=True)
            try:
                writer = opening.open_writer(self._directory, self.notices, distrust_cache=not damaged_desk)
            except _TROUBLE as error:
                raise faults.explain(error) from error
            self._connections.replace(writer)
            self._in_transaction(self._register_again)
            self._pace = rematch.Pace()  # what was learnt of the damaged files
            self._stale = True
        self._publish(Change(mailboxes=frozenset(self._registered)))

    def _register_again(self, connection: sqlite3.Connection) -> None:
        for mailbox in self._registered.values():
            mailboxes.register(connection, mailbox)

    # what the lists show follows what is meant

    def _catch_up(self) -> None:
        """Project what a crash, a full disk or a repair kept from being projected."""
        if self._stale:
            change = self._commit(_project_unfinished)
            self._stale = False
            self._gather(change)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The write lock around a deed of several transactions; what changed is published after it is free again."""
        gathered = Change()
        with self._connections.lock:
            self._depth += 1
            try:
                if not self.readonly:
                    self._catch_up()
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    gathered, self._gathered = self._gathered, gathered
        self._publish(gathered)

    def _gather(self, change: Change) -> None:
        self._gathered = self._gathered | change

    def _on_desk(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A transaction on the desk. Should the projection not follow (power, full disk), the next deed catches up."""
        self._stale = True
        answer = self._commit(work)
        fault("store.desk")
        return answer

    def _project(self, ids: Sequence[int]) -> None:
        self._gather(self._commit(lambda connection: _projected(connection, ids)) | Change(outbox=True))
        self._stale = False
        fault("store.projected")

    def _publish(self, change: Change) -> None:
        if change:
            for callback in tuple(self._subscribers):
                callback(change)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Hear of every commit that changed something, in the thread that wrote; the answer ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    # mailboxes

    def register(self, mailbox: Mailbox) -> None:
        """Add a mailbox, or take over its new description."""
        with self._writing():
            self._registered[mailbox.id] = mailbox
            self._as_ourselves(lambda connection: mailboxes.register(connection, mailbox))
            self._gather(Change(mailboxes=frozenset({mailbox.id})))

    def unregister(self, mailbox: str) -> None:
        """Forget a mailbox's local copy; what is in its journal stays there."""
        with self._writing():
            self._registered.pop(mailbox, None)
            self._statuses.pop(mailbox, None)
            self._gather(self._as_ourselves(lambda connection: mailboxes.unregister(connection, mailbox)))
            self._commit(lambda connection: completion.recount(connection, self._now_ms()))

    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes, in the user's order, with what each can do."""
        return self._read(mailboxes.registered)

    def statuses(self) -> dict[str, Status]:
        """What was last said of each mailbox; of those nothing was said of, when the server was last fully heard."""
        heard = self._read(lambda connection: connection.execute("SELECT id, heard_ms FROM mailbox").fetchall())
        return {
            name: self._statuses.get(name) or Status(name, Phase.IDLE, at=heard_ms / 1000) for name, heard_ms in heard
        }

    def said(self, name: str) -> Status | None:
        """What was last said under this name in this process: a mailbox's, or a CRM's (`crm.` and its short name)."""
        return self._statuses.get(name)

    def say(self, status: Status) -> None:
        """Say what a mailbox's sync is doing."""
        if self._statuses.get(status.mailbox) != status:
            self._statuses[status.mailbox] = status
            self._publish(Change(mailboxes=frozenset({status.mailbox})))

    def missing(self, mailbox: str) -> dict[str, int]:
        """Folder key → server's count minus ours of the server's own word, where they differ. Empty: all is here."""
        return self._read(lambda connection: mailboxes.missing(connection, mailbox))

    # reading

    def window(self, query: Query, offset: int, limit: int) -> list[Row]:
        """The rows `offset` … `offset + limit` of a list, newest first."""
        return self._read(lambda connection: window.rows(connection, query, offset, limit))

    def count(self, query: Query) -> int:
        """How many rows a list has: a counter for folders, a scan for searches."""
        return self._read(lambda connection: window.count(connection, query))

    def position(self, query: Query, number: int) -> int:
        """The rank of a message in a list, or where it would stand."""
        return self._read(lambda connection: window.position(connection, query, number))

    def ids(self, query: Query, offset: int = 0, limit: int | None = None) -> list[int]:
        """The message ids of a list, newest first."""
        return self._read(lambda connection: window.ids(connection, query, offset, limit))

    def folders(self, mailbox: str) -> list[Folder]:
        """The folders to show with their counts; mailbox '' has the one over all inboxes."""
        return self._read(lambda connection: window.folders(connection, mailbox))

    def message(self, number: int) -> Message | None:
        """A message with its body ready to paint; None when it is not here (any more)."""
        return self._read(lambda connection: window.message(connection, number))

    def raw(self, number: int) -> bytes | None:
        """The message as the server sent it; None when it is not downloaded."""
        return self._read(lambda connection: window.raw(connection, number))

    def thread(self, number: int) -> list[Row]:
        """The conversation a message belongs to, oldest first."""
        return self._read(lambda connection: window.thread(connection, number))

    def states(self, numbers: Iterable[int]) -> dict[int, tuple[str, State]]:
        """Mailbox and shown state of each of these messages that is here."""
        wanted = list(numbers)
        return self._read(lambda connection: window.states(connection, wanted))

    def locate(self, number: int) -> tuple[str, str] | None:
        """(mailbox, remote id) of a message."""
        query = "SELECT mailbox, remote_id FROM message WHERE id = ?"
        found: tuple[str, str] | None = self._read(lambda connection: connection.execute(query, (number,)).fetchone())
        return found

    def remote_thread(self, number: int, mailbox: str) -> str:
        """The server's id of a message's conversation, where it lies in `mailbox`; '' in any other."""
        query = "SELECT remote_thread FROM message WHERE id = ? AND mailbox = ?"
        found = self._read(lambda connection: connection.execute(query, (number, mailbox)).fetchone())
        return str(found[0]) if found else ""

    def find(self, mailbox: str, remote_id: str) -> int | None:
        """The local id of a server's message."""
        found = self._read(lambda connection: outbox.local_ids(connection, [(mailbox, codec.storable(remote_id))]))
        return found[0] if found else None

    # the user's deeds

    def perform(self, verb: Verb, ids: Iterable[int], *, quiet: bool = False) -> Act | None:
        """Do `verb` to those of these messages that allow it. It is shown, and on the disk, when this returns.

        A `quiet` act (a message counts as read because it was opened) is nothing that undo would come by.
        """
        wanted = list(ids)
        return self._deed(lambda connection: acts.perform(connection, verb, wanted, self._now_ms(), quiet=quiet))

    def undo(self) -> Act | None:
        """Turn back the newest act that stands; None when there is none."""
        return self._deed(lambda connection: acts.turn(connection, self._now_ms(), back=True))

    def redo(self) -> Act | None:
        """Do again what was undone last; None when there is none or something new was done since."""
        return self._deed(lambda connection: acts.turn(connection, self._now_ms(), back=False))

    def _deed(self, work: Callable[[sqlite3.Connection], acts.Done | None]) -> Act | None:
        with self._writing():
            done = self._on_desk(work)
            if done is None:
                self._stale = False
                return None
            self._project(done[1])
            self._tell_turned(done[0])
        return done[0]

    def turnable(self, *, back: bool) -> Act | None:
        """The act undo (`back`) or redo is about, however many lie between; None when there is none."""
        return self._read(lambda connection: acts.turnable(connection, back=back))

    def acts(self, limit: int = -1, *, among: Iterable[int] | None = None) -> list[Act]:
        """Acts, newest first: `limit` of them, or those with these numbers."""
        numbers = None if among is None else list(among)
        return self._read(lambda connection: acts.newest(connection, limit, numbers))

    def outbox(self) -> list[Op]:
        """What the servers have not confirmed, and what they refused: oldest first."""
        return self._read(outbox.unsent)

    def retry(self, act: int) -> None:
        """Ask the server again for what it refused of an act."""
        self._outbox_deed(lambda connection: outbox.retry(connection, act))

    def discard(self, act: int) -> None:
        """Give up what was refused or not sent yet of an act."""
        self._outbox_deed(lambda connection: outbox.discard(connection, act))

    def _outbox_deed(self, work: Callable[[sqlite3.Connection], list[Entry]]) -> None:
        with self._writing():
            group = self._on_desk(work)
            names = [(entry.mailbox, entry.remote_id) for entry in group]
            self._project(self._commit(lambda connection: outbox.local_ids(connection, names)))

    # the sync side

    def cursor(self, mailbox: str) -> str:
        """Up to where the server was heard; '' for never."""
        query = "SELECT cursor FROM mailbox WHERE id = ?"
        row = self._read(lambda connection: connection.execute(query, (mailbox,)).fetchone())
        return str(row[0]) if row else ""

    def known(self, mailbox: str, remote_ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids whose raw message is here."""
        return self._read(lambda connection: mailboxes.whole(connection, mailbox, remote_ids))

    def here(self, mailbox: str, remote_ids: Iterable[str]) -> frozenset[str]:
        """Those of these ids that have a row, with or without raw."""
        return self._read(lambda connection: mailboxes.here(connection, mailbox, remote_ids))

    def unfetched(self, mailbox: str, limit: int, since_ms: int = 0) -> list[str]:
        """Remote ids to download: first those only heard of (a patch came before the message), then newest first.

        Messages received before `since_ms` are left out.
        """
        return self._read(lambda connection: mailboxes.unfetched(connection, mailbox, limit, since_ms))

    def unavailable(self, mailbox: str, remote_ids: Iterable[str]) -> None:
        """The server has no raw message for these: do not name them in `unfetched` again."""
        wanted = list(remote_ids)
        with self._writing():
            self._commit(lambda connection: mailboxes.unavailable(connection, mailbox, wanted))

    def ingest(self, mailbox: str, page: Page) -> Change:
        """Take over a page: messages, index, folders and cursor in one transaction. Raises FuseBlown and StoreError."""
        prepared = [prepare(mailbox, item) for item in _last_of_each(page.upserts)]
        unkept = self._read(lambda connection: ingest.unkept(connection, mailbox, page))
        with self._writing():
            change = self._commit(
                lambda connection: ingest.Ingest(connection, mailbox).run(page, prepared, unkept, self._now_ms())
            )
            self._gather(change)
        self._connections.tidy()
        return change

    def allow_mass_removal(self, mailbox: str) -> None:
        """The user's answer to the fuse: what the server removes until its next complete page may go."""
        with self._writing():
            query = "UPDATE mailbox SET allow_removal = 1 WHERE id = ?"
            self._commit(lambda connection: connection.execute(query, (mailbox,)))

    def claim(self, mailbox: str, limit: int = 1000) -> list[Wish]:
        """What up to `limit` messages should become on the server; they count as on their way when this returns."""
        with self._writing():
            wishes, settled = self._on_desk(lambda connection: outbox.claim(connection, mailbox, limit, self._clock()))
            self._settle(mailbox, settled)
        return wishes

    def acknowledge(self, mailbox: str, acks: Iterable[Ack]) -> None:
        """Take over the server's answers: its new truth becomes base, its refusals bring the message back."""
        heard = list(acks)
        with self._writing():
            answers = self._commit(lambda connection: outbox.read_acks(connection, mailbox, heard))
            self._gather(self._commit(lambda connection: outbox.settle_cache(connection, mailbox, answers)))
            fault("store.based")
            self._on_desk(lambda connection: outbox.settle_desk(connection, mailbox, answers))
            new_names = dict(answers.renamed)
            self._settle(mailbox, [new_names.get(name, name) for name in map(_storable_id, heard)])
            self._gather(Change(rejected=tuple(answers.acts)))
        self._connections.tidy()

    def _settle(self, mailbox: str, remote_ids: Sequence[str]) -> None:
        names = [(mailbox, name) for name in remote_ids]
        self._project(self._commit(lambda connection: outbox.local_ids(connection, names)))

    def defer(self, mailbox: str, remote_ids: Iterable[str], not_before: float, sentence: str) -> None:
        """What was on its way for these messages waits until `not_before` (seconds since the epoch)."""
        wanted = list(remote_ids)
        with self._writing():
            self._commit(lambda connection: outbox.defer(connection, mailbox, wanted, not_before, sentence))
            self._gather(Change(outbox=True))

    def hasten(self, mailbox: str) -> None:
        """What waits after a failure may be tried at once."""
        with self._writing():
            if self._commit(lambda connection: outbox.hasten(connection, mailbox)):
                self._gather(Change(outbox=True))

    def release(self, mailbox: str) -> None:
        """Nothing of this mailbox is on its way any more: what was, waits again."""
        with self._writing():
            if self._commit(lambda connection: outbox.release(connection, mailbox)):
                self._gather(Change(outbox=True))


def _last_of_each(upserts: Sequence[Incoming]) -> list[Incoming]:
    """One Incoming for each id: the last one told, for a page may name a message twice."""
    return list({item.remote_id: item for item in upserts}.values())


def _storable_id(ack: Ack) -> str:
    return codec.storable(ack.remote_id)


def _projected(connection: sqlite3.Connection, ids: Sequence[int]) -> Change:
    view = projection.Projection(connection)
    view.refresh(list(ids))
    change = view.finish()
    return change | binding.rebind(connection, view.messages)


def _project_unfinished(connection: sqlite3.Connection) -> Change:
    return _projected(connection, projection.unfinished(connection))
