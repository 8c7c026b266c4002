"""Making the user's wishes true on an IMAP server, so that making them twice changes nothing.

Quirks met here: a message may not be where it was, because somebody moved it or because an answer of ours was lost, so
where it is gone from is no proof that it is gone; without MOVE a message is copied before its original is marked, and
what is marked is only removed by its own UID (UID EXPUNGE): a bare EXPUNGE would remove what others have marked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from crmmail import ops
from crmmail.errors import Rejected
from crmmail.i18n import _
from crmmail.model import Ack, State, Wish
from crmmail.remotes import imap_text
from crmmail.remotes.imap_index import Index, Spot
from crmmail.remotes.imap_line import Copied, Line
from crmmail.remotes.imap_round import Layout

AT_ONCE = 200  # messages in one command: a line may not be of any length
_CREATED = {"trash": "Trash", "archive": "Archive", "drafts": "Drafts", "sent": "Sent", "spam": "Junk"}
_FIXED = frozenset({"sent", "drafts", "all"})


@dataclass(frozen=True, slots=True)
class _Task:
    """A wish and where its message is now."""

    wish: Wish
    spot: Spot


class Wishes:
    """Carries out wishes on one connection."""

    def __init__(self, line: Line, index: Index, place: Layout, refresh: Callable[[], Layout]) -> None:
        """`refresh` reads the folder list again."""
        self._line = line
        self._index = index
        self._place = place
        self._refresh = refresh

    def apply(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        """As `Remote.apply`."""
        places = self._index.places(wish.remote_id for wish in wishes)
        lost: list[Wish] = []
        tasks: dict[str, list[_Task]] = {}
        for wish in wishes:
            spots = [spot for spot in places.get(wish.remote_id, ()) if not imap_text.is_deleted(spot.marks)]
            if spots:
                tasks.setdefault(spots[0].folder, []).append(_Task(wish, spots[0]))
            else:
                lost.append(wish)
        for folder, mine in tasks.items():
            for start in range(0, len(mine), AT_ONCE):
                yield from self._in(folder, mine[start : start + AT_ONCE], lost)
        yield from self._elsewhere(lost)

    def _elsewhere(self, lost: Sequence[Wish]) -> Iterator[Ack]:
        """Those that are not where they were: moved to another folder since, or gone."""
        if not lost:
            return
        found = self._arrivals({wish.remote_id for wish in lost})
        gone: list[Wish] = [wish for wish in lost if wish.remote_id not in found]
        for folder in dict.fromkeys(spot.folder for spot in found.values()):
            mine = [
                _Task(wish, found[wish.remote_id])
                for wish in lost
                if wish.remote_id in found and found[wish.remote_id].folder == folder
            ]
            yield from self._in(folder, mine, gone)
        yield from (Ack(wish.remote_id, State(gone=True)) for wish in gone)

    def _arrivals(self, wanted: set[str]) -> dict[str, Spot]:
        """Those of `wanted` that came into a folder since it was last read."""
        self._place = self._refresh()
        known = self._index.folders()
        found: dict[str, Spot] = {}
        for one in self._place.read:
            seen = known.get(one.name)
            if seen is not None and seen.next == one.status.get("UIDNEXT"):
                continue
            selected = self._line.select(one.name, fresh=True)
            first = seen.next if seen is not None and seen.validity == selected.validity else 1
            there = [uid for uid in self._line.search("UID", f"{max(first, 1)}:*") if uid >= first]
            for start in range(0, len(there), AT_ONCE):
                told = self._line.fetch(there[start : start + AT_ONCE], self._place.everything)
                for uid, item in told.items():
                    identifier = imap_text.identity(item)
                    if identifier in wanted and not imap_text.is_deleted(item.marks or ""):
                        found[identifier] = Spot(one.name, uid, identifier, item.marks or "")
        return found

    # In one folder

    def _in(self, folder: str, tasks: Sequence[_Task], lost: list[Wish]) -> Iterator[Ack]:
        """The wishes for messages of one folder; who is not there is added to `lost`."""
        seen = self._index.folders().get(folder)
        selected = self._line.select(folder, fresh=True)
        if seen is not None:
            self._line.at(folder, seen.validity)
        held = self._line.fetch([task.spot.uid for task in tasks], self._place.items)
        there = []
        for task in tasks:
            told = held.get(task.spot.uid)
            if told is None or told.marks is None:
                self._index.take(folder, [task.spot.uid])
                lost.append(task.wish)
            elif imap_text.is_deleted(told.marks):
                self._index.put([replace(task.spot, marks=told.marks)])
                self._index.lose([task.spot.id])
                lost.append(task.wish)
            else:
                there.append(_Task(task.wish, replace(task.spot, marks=told.marks)))
        self._index.put(task.spot for task in there)
        self._index.settle()
        yield from self._split(there, lambda some: self._carried_out(folder, selected.validity, some))

    def _split(self, tasks: Sequence[_Task], act: Callable[[Sequence[_Task]], list[Ack]]) -> Iterator[Ack]:
        """Act on all of them; when that is refused, on each half, until it is known which one it is."""
        if not tasks:
            return
        try:
            yield from act(tasks)
        except Rejected as error:
            if len(tasks) == 1:
                yield Ack(tasks[0].wish.remote_id, error=error)
                return
            middle = len(tasks) // 2
            yield from self._split(tasks[:middle], act)
            yield from self._split(tasks[middle:], act)

    def _carried_out(self, folder: str, validity: int, tasks: Sequence[_Task]) -> list[Ack]:
        """Flags first, then labels, then moves: a message that moved has another UID."""
        self._line.at(folder, validity)
        tasks = self._flagged(folder, tasks)
        if self._place.labels:
            tasks = self._labelled(folder, tasks)
        acks = []
        groups: dict[str, list[_Task]] = {}
        for task in tasks:
            groups.setdefault(self._target(task), []).append(task)
        for target, group in groups.items():
            if target == folder:
                acks += [self._ack(task, task.spot) for task in group]
        for target, group in groups.items():
            if target == "":
                acks += self._deleted(folder, group)
            elif target != folder:
                acks += self._moved(folder, validity, target, group)
        return acks

    def _ack(self, task: _Task, spot: Spot) -> Ack:
        return Ack(task.wish.remote_id, self._place.state(spot.marks, spot.folder))

    def _target(self, task: _Task) -> str:
        """The wire name of the folder a message belongs to after its wish, '' when it is to be deleted for good."""
        delta, here = task.wish.delta, self._place.key(task.spot.folder)
        if delta.gone:
            return ""
        if self._place.labels:
            return self._gmail_target(task)
        goal = delta.move or min(delta.add, default="")
        if not goal and here in delta.remove:
            goal = "archive"  # a label less (Gmail's way to archive), where a message is in one folder
        return task.spot.folder if goal in ("", here) else self._folder(goal)

    def _folder(self, key: str) -> str:
        """The wire name of a folder to move to; those every mailbox needs are made when they are missing."""
        name = self._place.name(key)
        if name and any(one.name == name for one in self._place.folders):
            return name
        self._place = self._refresh()
        name = self._place.name(key)
        if name and any(one.name == name for one in self._place.folders):
            return name
        if key not in _CREATED:
            raise Rejected(_("The folder it should go to no longer exists."), reason="nonexistent")
        self._line.create(self._line.prefix + _CREATED[key])
        self._place = self._refresh()
        return self._place.name(key) or self._line.prefix + _CREATED[key]

    # Flags and labels

    def _flagged(self, folder: str, tasks: Sequence[_Task]) -> list[_Task]:
        changes: dict[tuple[str, str], list[int]] = {}
        after = []
        for task in tasks:
            marks = task.spot.marks
            for flag, letter, wanted in _wanted(task.wish):
                if (letter in marks.partition(" ")[0]) != wanted:
                    changes.setdefault(("+FLAGS" if wanted else "-FLAGS", flag), []).append(task.spot.uid)
                    marks = _with(marks, letter, wanted)
            after.append(_Task(task.wish, replace(task.spot, marks=marks)))
        for (change, flag), uids in changes.items():
            self._line.store(uids, change, flag)
        self._remember(task.spot for task in after)
        return after

    def _remember(self, spots: Iterable[Spot]) -> None:
        self._index.put(spots)
        self._index.settle()

    def _labelled(self, folder: str, tasks: Sequence[_Task]) -> list[_Task]:
        """Gmail: folders of one's own and the inbox are labels; trash and spam are places (`_gmail_target`)."""
        changes: dict[tuple[str, str], list[int]] = {}
        after = []
        for task in tasks:
            before = self._place.state(task.spot.marks, folder)
            wanted = ops.apply(before, task.wish.delta)
            if task.wish.delta.gone or wanted.folders & {"trash", "spam"} or before.folders & {"trash", "spam"}:
                after.append(task)
                continue
            add, remove = wanted.folders - before.folders - _FIXED, before.folders - wanted.folders - _FIXED
            for change, keys in (("+X-GM-LABELS", add), ("-X-GM-LABELS", remove)):
                for key in keys - {"archive"}:
                    changes.setdefault((change, _label(key)), []).append(task.spot.uid)
            marks = _relabelled(task.spot.marks, add - {"archive"}, remove)
            after.append(_Task(task.wish, replace(task.spot, marks=marks)))
        for (change, label), uids in changes.items():
            self._line.store(uids, change, label)
        self._remember(task.spot for task in after)
        return after

    def _gmail_target(self, task: _Task) -> str:
        """Trash and spam are moved to; out of them a message goes to the inbox, or to everything."""
        here = self._place.key(task.spot.folder)
        before = self._place.state(task.spot.marks, task.spot.folder)
        wanted = ops.apply(before, task.wish.delta)
        for place in ("trash", "spam"):
            if place in wanted.folders:
                return task.spot.folder if here == place else self._folder(place)
        if here in ("trash", "spam"):
            return self._place.name("inbox" if "inbox" in wanted.folders else "all")
        return task.spot.folder

    # Moving and deleting

    def _moved(self, folder: str, validity: int, target: str, tasks: Sequence[_Task]) -> list[Ack]:
        uids = [task.spot.uid for task in tasks]
        if self._line.offers("MOVE"):
            copied = self._line.move(uids, target)
        else:
            copied = self._copied(folder, validity, target, tasks)
        self._index.take(folder, uids)
        acks = []
        seen = self._index.folders().get(target)
        # A copy an earlier attempt made may have been taken for a message of its own meanwhile.
        self._index.lose(spot.id for spot in self._index.spots(target, copied.uids.values()).values())
        for task in tasks:
            spot = replace(task.spot, folder=target, uid=copied.uids.get(task.spot.uid, 0))
            if self._place.labels:
                spot = replace(spot, marks=_moved_labels(spot.marks, self._place.key(target)))
            if spot.uid and seen is not None and seen.validity == copied.validity and not self._is_view(target):
                self._index.put([spot])
            acks.append(self._ack(task, spot))
        self._index.settle()
        return acks

    def _is_view(self, name: str) -> bool:
        """Gmail's inbox is one: what is moved there lies in its folder of everything."""
        return self._place.labels and name not in {one.name for one in self._place.read}

    def _copied(self, folder: str, validity: int, target: str, tasks: Sequence[_Task]) -> Copied:
        """Copy, mark, remove. What is to be copied is noted before: the answer may be lost, and a second copy made."""
        made: dict[int, int] = {}
        at = self._line.select(target, fresh=True)
        for task in tasks:
            key = f"copy {validity} {task.spot.uid} {folder}"
            noted = self._index.note(key)
            begun = json.loads(noted) if noted else {}
            if begun.get("target") != target:
                self._index.write(key, json.dumps({"target": target, "next": at.next}))
            elif copy := self._copy_since(target, begun["next"], task):
                made[task.spot.uid] = copy
        self._index.settle()
        self._line.select(folder)
        left = [task.spot.uid for task in tasks if task.spot.uid not in made]
        copied = self._line.copy(left, target) if left else Copied(at.validity)
        uids = [task.spot.uid for task in tasks]
        self._line.store(uids, "+FLAGS", r"\Deleted")
        if self._line.offers("UIDPLUS"):
            self._line.expunge(uids)
        for uid in uids:
            self._index.write(f"copy {validity} {uid} {folder}", "")
        return Copied(copied.validity, made | copied.uids)

    def _copy_since(self, target: str, first: int, task: _Task) -> int:
        """The UID of the copy an earlier attempt made, 0 for none."""
        self._line.select(target)
        told = self._line.fetch(f"{first}:*", self._place.everything)
        base = task.wish.remote_id.partition("~")[0]
        return next((uid for uid, one in told.items() if uid >= first and imap_text.identity(one) == base), 0)

    def _deleted(self, folder: str, tasks: Sequence[_Task]) -> list[Ack]:
        """For good: only where exactly these can be removed."""
        if not self._line.offers("UIDPLUS"):
            raise Rejected(
                _("This server cannot delete single messages for good."),
                next_step=_("They stay in the trash until the server empties it."),
                reason="no_uidplus",
            )
        uids = [task.spot.uid for task in tasks]
        if self._place.labels and self._place.key(folder) != "trash":  # elsewhere Gmail only takes a label off
            trash = self._folder("trash")
            moved = self._line.move(uids, trash)
            self._index.take(folder, uids)
            self._index.settle()
            if not moved.uids:
                raise Rejected(_("The server does not say where it put the message."), reason="no_copyuid")
            folder, uids = trash, list(moved.uids.values())
            self._line.select(folder)
        self._line.store(uids, "+FLAGS", r"\Deleted")
        self._line.expunge(uids)
        self._index.take(folder, uids)
        self._index.settle()
        return [Ack(task.wish.remote_id, State(gone=True)) for task in tasks]


def _wanted(wish: Wish) -> Iterator[tuple[str, str, bool]]:
    """(flag, its letter, whether it is to be set) of a wish."""
    if wish.delta.gone:
        return
    if wish.delta.unread is not None:
        yield r"\Seen", "S", not wish.delta.unread
    if wish.delta.starred is not None:
        yield r"\Flagged", "F", wish.delta.starred


def _with(marks: str, letter: str, wanted: bool) -> str:
    letters, space, rest = marks.partition(" ")
    held = set(letters) | {letter} if wanted else set(letters) - {letter}
    return "".join(one for one in "DSFA" if one in held) + space + rest


def _label(key: str) -> str:
    return r"\Inbox" if key == "inbox" else imap_text.quoted(key.removeprefix("x:"))


def _relabelled(marks: str, add: Iterable[str], remove: Iterable[str]) -> str:
    letters, _space, rest = marks.partition(" ")
    labels = set(json.loads(rest or "[]"))
    labels |= {r"\Inbox" if key == "inbox" else key.removeprefix("x:") for key in add}
    gone = {r"\inbox" if key == "inbox" else key.removeprefix("x:") for key in remove}
    kept = sorted(label for label in labels if label not in gone and label.lower() not in gone)
    return f"{letters} {json.dumps(kept)}"


def _moved_labels(marks: str, target: str) -> str:
    """Gmail takes off the inbox of what goes to trash or spam, and puts it on what is moved there."""
    return _relabelled(marks, ["inbox"] if target == "inbox" else [], [] if target == "inbox" else ["inbox"])
