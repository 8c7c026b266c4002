"""One round of reading an Outlook mailbox: every folder's delta, then what became of the messages that left one.

Quirks met here: a move is told as "removed" by one folder and "present" by another, in either order and perhaps in
different rounds; a message that went away and came back between two rounds is told as removed only; a page without
items may have a successor; an update names only the fields that changed; the same item may be told again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from crmmail.errors import CursorExpired, Rejected, RemoteError, Transient
from crmmail.i18n import _
from crmmail.model import Folder, Incoming, Page, Patch
from crmmail.remotes import Known, graph_json
from crmmail.remotes.graph_calls import CALLS_PER_BATCH, Call, Calls
from crmmail.remotes.graph_json import Place
from crmmail.remotes.paging import LoopGuard

PAGE_SIZE = 50
IDS_PER_PAGE = 1000
Bodies = Callable[[list[str]], Iterator[Incoming]]
_Steps = Generator[Page, None, bool]  # ends with whether another page of the folder is to be read


class Round:
    """Reads on from `place`, which it changes as it goes: after each page its dump is that page's cursor."""

    def __init__(self, calls: Calls, place: Place, folders: list[Folder], known: Known, bodies: Bodies) -> None:
        self._calls = calls
        self._place = place
        self._folders = {folder.remote_id: folder for folder in folders}
        self._known = known
        self._bodies = bodies
        self._present: dict[str, str] = {}  # message id → the folder that has it, as told in this round
        self._seen: dict[str, set[str]] = {}  # ids of full rounds that this run saw from their first page
        self._unclear: set[str] = set()  # a change of a message that may not be here yet
        self._loop = LoopGuard()
        self._restarted: set[str] = set()
        self._over: list[str] = []  # folders whose full round has come to its end

    def pages(self) -> Iterator[Page]:
        """All pages of the round but the last one, which the caller makes of what is then in `place`."""
        place = self._place
        for folder in self._folders:
            if folder not in place.links:
                self._begin(folder)
        place.total = max(sum(folder.server_total or 0 for folder in self._folders.values()), place.done)
        yield from self._poll([folder for folder in place.links if folder not in place.reading])
        # One page of each folder in turn, the inbox first: every folder shows its newest mail early.
        queue = deque(folder for folder in self._folders if folder in place.reading)
        while queue:
            folder = queue.popleft()
            if (yield from self._step(folder)):
                queue.append(folder)
        yield from self._settled()
        # Only now, when every folder has told what it holds: a message that moved is not in the old folder any more.
        yield from self._kept()
        yield from self._vanished()

    # Reading folders

    def _begin(self, folder: str) -> None:
        """A folder's first full round, or one more after the server forgot our place in it."""
        path = f"/me/mailFolders/{quote(folder, safe='=')}/messages/delta"
        self._place.links[folder] = f"{path}?$select={graph_json.SELECT}&$orderby=receivedDateTime%20desc"
        self._place.reading.add(folder)
        self._seen[folder] = set()

    def _poll(self, folders: list[str]) -> Iterator[Page]:
        """What is new in folders read before: their delta links, twenty to a call."""
        folders = [folder for folder in folders if folder in self._folders]
        for start in range(0, len(folders), CALLS_PER_BATCH):
            chunk = folders[start : start + CALLS_PER_BATCH]
            prefer = f"odata.maxpagesize={PAGE_SIZE}"
            calls = [Call("GET", self._place.links[folder], prefer=prefer) for folder in chunk]
            parts, error = self._calls.together(calls)
            for number, part in parts.items():
                folder = chunk[number]
                more = yield from (self._took(folder, part.told) if part.ok else self._failed(folder, part.error()))
                while more:
                    more = yield from self._step(folder)
            if error is not None:
                raise error

    def _step(self, folder: str) -> _Steps:
        """One page of a folder."""
        link = self._place.links[folder]
        self._loop.check(link)
        try:
            answer = self._calls.get(link, f"odata.maxpagesize={PAGE_SIZE}")
        except (CursorExpired, Rejected) as error:
            return (yield from self._failed(folder, error))
        return (yield from self._took(folder, answer))

    def _failed(self, folder: str, error: RemoteError) -> _Steps:
        """A folder could not be read on: from its start when our place is forgotten, not at all when it is gone."""
        if isinstance(error, CursorExpired) and folder not in self._restarted:
            self._restarted.add(folder)
            self._begin(folder)
            return (yield from self._step(folder))
        if isinstance(error, Rejected) and error.gone:
            return False  # deleted since the folder list was read; the next list no longer has it
        raise error

    def _took(self, folder: str, answer: Mapping[str, Any]) -> _Steps:
        """Take in a delta page."""
        next_link, delta_link = answer.get("@odata.nextLink"), answer.get("@odata.deltaLink")
        if not (next_link or delta_link):
            raise Transient(_("The server's answer was cut off or makes no sense."))
        page = self._page(folder, [item for item in answer.get("value") or () if item.get("id")])
        place = self._place
        place.links[folder] = self._calls.relative(str(next_link or delta_link))
        if not next_link and folder in place.reading:
            self._over.append(folder)
        if page.upserts or page.patches:
            progress = (place.done, max(place.total, place.done)) if place.reading else None
            yield replace(page, cursor=place.dump(), progress=progress)
        return bool(next_link)

    def _page(self, folder: str, items: list[Mapping[str, Any]]) -> Page:
        newest = {str(item["id"]): item for item in items}  # an item told twice counts as told last
        for remote_id, item in newest.items():
            self._note(folder, remote_id, graph_json.is_removed(item))
        present = {remote_id: item for remote_id, item in newest.items() if not graph_json.is_removed(item)}
        have = self._known(present)
        key = self._folders[folder].key
        whole = {remote_id: item for remote_id, item in present.items() if graph_json.is_whole(item)}
        upserts = [graph_json.incoming(item, key) for remote_id, item in whole.items() if remote_id not in have]
        upserts += self._drafts({i: item for i, item in whole.items() if i in have and item.get("isDraft")}, key)
        fresh = {incoming.remote_id for incoming in upserts}
        patches = [graph_json.patch(present[remote_id], key) for remote_id in present if remote_id in have - fresh]
        self._unclear |= present.keys() - have - fresh  # an update of what is not here, or only its headers are
        if folder in self._place.reading:
            self._place.done += len(present)
        return Page("", tuple(upserts), tuple(patches))

    def _drafts(self, items: Mapping[str, Mapping[str, Any]], key: str) -> list[Incoming]:
        """Drafts that are here already: they may have another text under the same id."""
        raw = {incoming.remote_id: incoming.raw for incoming in self._bodies(list(items))} if items else {}
        found = [graph_json.incoming(item, key) for remote_id, item in items.items() if remote_id in raw]
        return [replace(incoming, raw=raw[incoming.remote_id]) for incoming in found]

    def _note(self, folder: str, remote_id: str, removed: bool) -> None:
        seen = self._seen.get(folder)
        if not removed:
            self._present[remote_id] = folder
            self._place.removed.discard(remote_id)
        elif self._present.get(remote_id, folder) == folder:
            self._present.pop(remote_id, None)
            self._place.removed.add(remote_id)
        if seen is not None:
            (seen.discard if removed else seen.add)(remote_id)

    def _ids(self, folder: str) -> frozenset[str]:
        """Every id in a folder that was read in full; asked for where this run did not see the beginning."""
        seen = self._seen.get(folder)
        if seen is not None:
            return frozenset(seen)
        link = f"/me/mailFolders/{quote(folder, safe='=')}/messages?$select=id&$top={IDS_PER_PAGE}"
        found: set[str] = set()
        while link:
            self._loop.check(link)
            answer = self._calls.get(link)
            found.update(str(item["id"]) for item in answer.get("value") or () if item.get("id"))
            link = str(answer.get("@odata.nextLink") or "")
        return frozenset(found)

    # After all folders

    def _settled(self) -> Iterator[Page]:
        """Messages that left a folder and were not seen in another: gone, or moved where we had read already."""
        unclear = sorted(self._place.removed | self._unclear)
        for start in range(0, len(unclear), CALLS_PER_BATCH):
            chunk = unclear[start : start + CALLS_PER_BATCH]
            urls = [f"/me/messages/{quote(i, safe='=')}?$select={graph_json.SELECT}" for i in chunk]
            parts, error = self._calls.together([Call("GET", url) for url in urls])
            upserts: list[Incoming] = []
            patches: list[Patch] = []
            removals: list[str] = []
            have = self._known(chunk)
            for number, part in parts.items():
                remote_id = chunk[number]
                folder = self._folders.get(str(part.told.get("parentFolderId") or ""))
                if part.ok and folder is not None and remote_id in have:
                    patches.append(Patch(remote_id, state=graph_json.state_in(part.told, folder.key)))
                elif part.ok and folder is not None:
                    upserts.append(graph_json.incoming(part.told, folder.key))
                elif part.ok or _is_gone(part.error()):
                    removals.append(remote_id)  # also what lies where nobody looks, such as "recoverable items"
            self._place.removed -= {chunk[number] for number in parts}
            yield Page(self._place.dump(), tuple(upserts), tuple(patches), tuple(removals))
            if error is not None:
                raise error

    def _kept(self) -> Iterator[Page]:
        """Which messages the folders read in full hold: nothing else belongs there."""
        for folder in self._over:
            keep = self._ids(folder)
            self._place.reading.discard(folder)
            yield Page(self._place.dump(), keep=keep, scope=self._folders[folder].key)

    def _vanished(self) -> Iterator[Page]:
        """Folders that are no longer there, with what the local copy still has in them."""
        for folder in [folder for folder in self._place.links if folder not in self._folders]:
            del self._place.links[folder]
            self._place.reading.discard(folder)
            yield Page(self._place.dump(), keep=frozenset(), scope=f"x:{folder}")


def _is_gone(error: RemoteError) -> bool:
    return isinstance(error, Rejected) and error.gone
