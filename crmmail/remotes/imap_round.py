"""One round of reading an IMAP mailbox: what changed in each folder, what came, where what left a folder is now.

Quirks met here: a move is a message that vanishes in one folder and appears in another, in either order and perhaps in
different rounds, so nothing is told as removed before all folders were heard; a server without CONDSTORE tells changes
of flags only to those who compare all of them; UIDs mean nothing any more once a folder's UIDVALIDITY is another one;
an expunge is only told at once where QRESYNC is, else the UIDs are compared.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crmmail.model import Incoming, Page, Patch, Role, State
from crmmail.remotes import Known, imap_roles, imap_text
from crmmail.remotes.imap_index import Index, Seen, Spot
from crmmail.remotes.imap_line import Line, Selected
from crmmail.remotes.imap_text import HEADER_ITEM, Listed, Told

FIRST_PAGE, FULL_PAGE = 30, 250
PATCHES_PER_PAGE = 1000
COMPARE_EVERY = 300.0  # seconds between two comparisons of all flags, where the server counts no changes
COMPARED_AT_ONCE = 2000  # the newest messages of the inbox, compared at every look
METADATA_BYTES = 64 << 10  # of one message's headers, at most


@dataclass(frozen=True, slots=True)
class Layout:
    """How this mailbox is laid out: which folders are read, and what each is for.

    `labels`: Gmail's, where one folder holds everything and messages wear their folders as labels.
    """

    folders: tuple[Listed, ...]
    roles: Mapping[str, Role]
    labels: bool = False

    @property
    def read(self) -> list[Listed]:
        """The folders whose messages are read, the inbox first."""
        if self.labels:
            wanted = (Role.ALL, Role.TRASH, Role.SPAM)
            return [one for role in wanted for one in self.folders if self.roles.get(one.name) is role]
        own = [one for one in self.folders if not imap_text.is_view(self.roles.get(one.name, Role.OTHER))]
        order = list(imap_roles.ORDER)
        return sorted(own, key=lambda one: order.index(self.roles.get(one.name, Role.FAVORITES)))

    def key(self, name: str) -> str:
        """The folder key of a wire name."""
        return imap_roles.key_of(name, dict(self.roles))

    def name(self, key: str) -> str:
        """The wire name of a folder key, '' where there is none."""
        if key.startswith("x:"):
            return key[2:]
        return next((name for name, role in self.roles.items() if role.value == key), "")

    def state(self, marks: str, name: str) -> State:
        """The State of a message with these marks in the folder with this wire name."""
        return imap_text.state(marks, self.key(name), self.labels)

    @property
    def items(self) -> str:
        """What is fetched of a message's changing part."""
        return "FLAGS X-GM-LABELS" if self.labels else "FLAGS"

    @property
    def everything(self) -> str:
        """What is fetched of a message that is not known yet."""
        gmail = " X-GM-LABELS X-GM-MSGID X-GM-THRID" if self.labels else ""
        return f"FLAGS INTERNALDATE RFC822.SIZE{gmail} {HEADER_ITEM}"


def layout(line: Line, labels: bool) -> Layout:
    """The folders as they are now. Gmail's layout needs its folder of everything, which its settings may hide."""
    folders = line.folders()
    roles = imap_roles.roles_of(folders)
    gmail = labels and line.offers("X-GM-EXT-1") and Role.ALL in roles.values()
    return Layout(tuple(folders), roles, gmail)


class Round:
    """Reads everything that is new. Pages come with an empty cursor: the caller's is the same for all of them."""

    def __init__(
        self,
        line: Line,
        index: Index,
        place: Layout,
        known: Known,
        mailbox: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._line = line
        self._index = index
        self._place = place
        self._known = known
        self._mailbox = mailbox
        self._clock = clock
        self._before = index.folders()
        self._changed: dict[str, None] = {}  # ids whose marks are others now
        self._unread: dict[str, Listed] = {}  # folders to be read for the first time, or on from an interruption
        self._todo: dict[str, deque[int]] = {}  # folder → UIDs to be made acquaintance with, the newest first
        self._starts: dict[str, Selected] = {}
        self._sweep = bool(index.note("sweep"))
        self._done = 0
        self._total = 0
        self.changed = False

    def pages(self) -> Iterator[Page]:
        """The pages of the round; what is told of one is settled once the next is asked for."""
        filling = self._sweep or not any(seen.filled for seen in self._before.values())
        listed = {one.name for one in self._place.read}
        for name in [name for name in self._before if name not in listed]:
            self._index.drop(name)
            self.changed = True
        for one in self._place.read:
            self._look(one)
        yield from self._told_patches()
        yield from self._fill(filling)
        yield from self._farewell()

    # What happened in a folder

    def _look(self, one: Listed) -> None:
        seen = self._before.get(one.name)
        if seen is not None and seen.validity != one.status.get("UIDVALIDITY"):
            self._index.drop(one.name)
            seen = None
        if seen is None or not seen.filled:
            self._begin(one)
        elif self._differs(one, seen):
            self._compare(one, seen)

    def _differs(self, one: Listed, seen: Seen) -> bool:
        """Whether there is anything to ask this folder."""
        status = one.status
        count, deleted, unread = self._index.counts(one.name)
        if count != status.get("MESSAGES") or seen.next != status.get("UIDNEXT"):
            return True
        if seen.modseq and status.get("HIGHESTMODSEQ"):
            return seen.modseq != status["HIGHESTMODSEQ"] or (self._place.labels and self._is_due(seen))
        inbox = self._place.roles.get(one.name) is Role.INBOX
        return inbox or self._is_due(seen) or (not deleted and unread != status.get("UNSEEN"))

    def _is_due(self, seen: Seen) -> bool:
        return not 0 <= self._clock() - seen.compared < COMPARE_EVERY

    def _begin(self, one: Listed) -> None:
        """A folder is read for the first time, or on from where that was interrupted: when its turn comes."""
        self.changed = True
        if one.status.get("MESSAGES"):
            self._unread[one.name] = one
            self._todo[one.name] = deque()
            self._total += one.status["MESSAGES"]
            return
        self._index.drop(one.name)
        fresh = Seen(one.name, one.status.get("UIDVALIDITY", 0), one.status.get("HIGHESTMODSEQ", 0))
        self._index.saw(replace(fresh, next=one.status.get("UIDNEXT", 0), filled=True, compared=self._clock()))

    def _open(self, name: str) -> None:
        """Its turn has come: list what it holds."""
        seen = self._index.folders().get(name)
        selected = self._line.select(name)
        if seen is None or seen.validity != selected.validity:
            # What changes while the folder is read is told later, as a change since now.
            self._index.drop(name)
            self._index.saw(Seen(name, selected.validity, selected.modseq, selected.next, compared=self._clock()))
        have = self._index.uids(name)
        self._todo[name] = deque(uid for uid in reversed(self._line.search("ALL")) if uid not in have)
        self._starts[name] = selected
        self._done += len(have)

    def _compare(self, one: Listed, seen: Seen) -> None:
        """What changed in a folder that was read before."""
        selected = self._line.select(one.name, seen)
        if selected.validity != seen.validity:
            self._index.drop(one.name)
            self._begin(one)
            return
        have = self._index.uids(one.name)
        told, there, whole = self._heard(selected, seen, have)
        gone = list(selected.vanished) if there is None else [uid for uid in have if uid not in there]
        self._index.take(one.name, gone)
        back = self._remark(one.name, have, told)
        new = [*back, *(uid for uid in (told if there is None else there) if uid not in have)]
        self.changed = self.changed or bool(gone or new or self._changed)
        self._todo[one.name] = deque(sorted(new, reverse=True))
        self._starts[one.name] = selected
        compared = self._clock() if whole else seen.compared
        after = Seen(one.name, selected.validity, selected.modseq, selected.next, True, compared)
        if new:
            self._index.saw(replace(seen, compared=compared))  # told again until the new ones are here
        else:
            self._index.saw(after)

    def _heard(
        self, selected: Selected, seen: Seen, have: Mapping[int, str]
    ) -> tuple[dict[int, Told], set[int] | None, bool]:
        """(what is new of which UID, all UIDs there are or None where none is gone but as told, all was compared)."""
        if selected.modseq and seen.modseq:
            return self._counted(selected, seen, have)
        if selected.exists == 0:
            return {}, set(), True
        if self._is_due(seen) or len(have) <= COMPARED_AT_ONCE:
            told = self._line.fetch("1:*", self._place.items)
            return told, set(told), True
        told = self._line.fetch(f"{self._newest(have)}:*", self._place.items)
        return told, self._all_unless(selected, have, told), False

    def _counted(
        self, selected: Selected, seen: Seen, have: Mapping[int, str]
    ) -> tuple[dict[int, Told], set[int] | None, bool]:
        """As `_heard`, from a server that counts changes."""
        if selected.resynced and not self._place.labels:
            return selected.changed, self._all_if_odd(selected, seen, have), False
        told: dict[int, Told] = {}
        if seen.modseq != selected.modseq:
            told = self._line.fetch("1:*", self._place.items, since=seen.modseq)
        whole = self._place.labels and self._is_due(seen) and selected.exists > 0
        if whole:  # whether a label that comes or goes counts as a change is not documented
            told |= self._line.fetch(f"{self._newest(have)}:*", self._place.items)
        there = None if selected.resynced else self._all_unless(selected, have, told)
        return told, there, whole

    def _all_if_odd(self, selected: Selected, seen: Seen, have: Mapping[int, str]) -> set[int] | None:
        """All UIDs there are, where what the server told does not add up; None where it does.

        A server put back from a backup may keep its UIDVALIDITY and say that nothing changed.
        """
        left = len(have) - sum(uid in have for uid in selected.vanished)
        gained = [uid for uid in selected.changed if uid not in have]
        came = selected.next <= seen.next or any(uid >= seen.next for uid in gained)
        return None if left + len(gained) == selected.exists and came else set(self._line.search("ALL"))

    def _all_unless(self, selected: Selected, have: Mapping[int, str], told: Mapping[int, Told]) -> set[int] | None:
        """All UIDs there are; None when the number of messages says that none is gone."""
        gained = sum(uid not in have for uid in told)
        return None if len(have) + gained == selected.exists else set(self._line.search("ALL"))

    @staticmethod
    def _newest(have: Mapping[int, str]) -> int:
        return sorted(have)[-COMPARED_AT_ONCE] if len(have) > COMPARED_AT_ONCE else 1

    def _remark(self, name: str, have: Mapping[int, str], told: Mapping[int, Told]) -> list[int]:
        """Marks of known messages are others now; the UIDs of those that are no longer about to be expunged."""
        changed = {
            uid: one.marks
            for uid, one in told.items()
            if one.marks is not None and have.get(uid, one.marks) != one.marks
        }
        spots = self._index.spots(name, changed)
        self._index.put(replace(spot, marks=changed[uid]) for uid, spot in spots.items())
        doomed = [spot.id for uid, spot in spots.items() if imap_text.is_deleted(changed[uid])]
        self._index.lose(doomed)
        self._changed.update(dict.fromkeys(spot.id for spot in spots.values()))
        back = [uid for uid, spot in spots.items() if imap_text.is_deleted(spot.marks) and spot.id not in doomed]
        self._index.take(name, back, lost=False)
        return back

    # Pages

    def _told_patches(self) -> Iterator[Page]:
        """What is said is what the index holds by then: an act of ours may have come in between."""
        ids = list(self._changed)
        for start in range(0, len(ids), PATCHES_PER_PAGE):
            chunk = ids[start : start + PATCHES_PER_PAGE]
            places = self._index.places(chunk)
            alive = [spot for spots in places.values() for spot in spots if not imap_text.is_deleted(spot.marks)]
            have = self._known(chunk)
            patches = tuple(
                Patch(spot.id, state=self._place.state(spot.marks, spot.folder)) for spot in alive if spot.id in have
            )
            if patches:
                yield from self._page(Page("", patches=patches))
            yield from self._strangers([spot for spot in alive if spot.id not in have])

    def _strangers(self, spots: Sequence[Spot]) -> Iterator[Page]:
        """Changes of messages the local copy lacks bring the messages."""
        for start in range(0, len(spots), FULL_PAGE):
            upserts: list[Incoming] = []
            some = spots[start : start + FULL_PAGE]
            for folder in dict.fromkeys(spot.folder for spot in some):
                mine = {spot.uid: spot for spot in some if spot.folder == folder}
                self._line.select(folder)
                told = self._line.fetch(mine, self._place.everything, expecting=self._room(len(mine)))
                upserts += [self._incoming(mine[uid], one) for uid, one in told.items() if uid in mine]
            yield from self._page(Page("", tuple(upserts)))

    @staticmethod
    def _room(count: int) -> int:
        return count * METADATA_BYTES + (1 << 20)

    def _page(self, page: Page) -> Iterator[Page]:
        self.changed = True
        yield page
        self._index.settle()

    def _fill(self, filling: bool) -> Iterator[Page]:
        """One page of each folder in turn, the inbox first: every folder shows its newest mail early."""
        queue = deque(self._todo)
        first = set(queue)
        while queue:
            name = queue.popleft()
            size = FIRST_PAGE if name in first else FULL_PAGE
            first.discard(name)
            if self._unread.pop(name, None):
                self._open(name)
            todo = self._todo[name]
            uids = [todo.popleft() for _count in range(min(size, len(todo)))]
            yield from self._acquainted(name, uids, filling)
            if todo:
                queue.append(name)
            else:
                start = self._starts[name]
                self._index.saw(Seen(name, start.validity, start.modseq, start.next, True, self._clock()))

    def _acquainted(self, name: str, uids: Sequence[int], filling: bool) -> Generator[Page, None, None]:
        if not uids:
            return
        self._line.at(name, self._starts[name].validity)
        told = self._line.fetch(uids, self._place.everything, expecting=self._room(len(uids)))
        spots = self._named(name, [told[uid] for uid in uids if uid in told])
        have = self._known([spot.id for spot in spots])
        shown = [spot for spot in spots if not imap_text.is_deleted(spot.marks)]
        self._index.put(spots)
        self._index.lose(spot.id for spot in spots if imap_text.is_deleted(spot.marks))
        upserts = tuple(self._incoming(spot, told[spot.uid]) for spot in shown if spot.id not in have)
        patches = tuple(Patch(spot.id, state=self._place.state(spot.marks, name)) for spot in shown if spot.id in have)
        self._done += len(uids)
        progress = (self._done, max(self._total, self._done)) if filling else None
        yield from self._page(Page("", upserts, patches, progress=progress))

    def _incoming(self, spot: Spot, told: Told) -> Incoming:
        from crmmail.mail.parse import headers_of

        header = told.body or b""
        return Incoming(
            spot.id,
            self._place.state(spot.marks, spot.folder),
            max(told.moment, 0) * 1000,
            headers=headers_of(header),
            size=max(told.size, 0),
            remote_thread=format(told.gmail_thread, "x") if told.gmail_thread else "",
            has_attachments=imap_text.has_files(header),
        )

    # Who is who

    def _named(self, name: str, told: Sequence[Told]) -> list[Spot]:
        """The messages with their ids; one that lies somewhere else too, and really does, is a copy with its own id."""
        ids = {one.uid: imap_text.identity(one) for one in told}
        places = self._index.places(ids.values())
        stay = self._really_there([spot for one in places.values() for spot in one], name)
        taken: set[str] = {spot.id for spot in stay}
        spots = []
        # What is about to be expunged is no message any more: it takes no id from one that stays.
        for one in sorted(told, key=lambda item: (imap_text.is_deleted(item.marks or ""), item.uid)):
            identifier = ids[one.uid]
            if identifier in taken:
                identifier = imap_text.copy_of(identifier, name, self._starts[name].validity, one.uid)
            taken.add(identifier)
            spots.append(Spot(name, one.uid, identifier, one.marks or ""))
        return sorted(spots, key=lambda spot: -spot.uid)

    def _really_there(self, spots: Sequence[Spot], name: str) -> list[Spot]:
        """Those of `spots` that their folders still hold: what moved after its old folder was read lies in two."""
        there = []
        for folder in dict.fromkeys(spot.folder for spot in spots):
            mine = [spot for spot in spots if spot.folder == folder]
            self._line.select(folder)
            held = self._line.fetch([spot.uid for spot in mine], "FLAGS")
            alive = {uid for uid, one in held.items() if not imap_text.is_deleted(one.marks or "")}
            gone = [spot.uid for spot in mine if spot.uid not in held]
            self._index.take(folder, gone)
            self._index.put(
                replace(spot, marks=held[spot.uid].marks or "")
                for spot in mine
                if spot.uid in held and spot.uid not in alive
            )
            there += [spot for spot in mine if spot.uid in alive]
        self._line.select(name)
        return there

    # The end of the round

    def _farewell(self) -> Iterator[Page]:
        """What is nowhere any more, now that every folder was heard."""
        removals = tuple(self._index.missing())
        keep = frozenset(self._index.ids()) if self._sweep else None
        self._index.found()
        self._index.write("sweep", "")
        yield Page("", removals=() if keep is not None else removals, keep=keep, complete=True)
        self._index.settle()
