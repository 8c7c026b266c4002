"""Gmail by its REST API v1.

Quirks met here: the history id is asked for before the first list, so that nothing falls between the two; a history
page may have a successor though it is empty, and only the last page's id is a cursor; a batch is 200 whatever became
of its parts, and above 15 gets it is throttled as "too many concurrent requests"; batchModify answers nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from crmmail.errors import CursorExpired, Rejected, ScopeRequired
from crmmail.i18n import _
from crmmail.model import Ack, Capabilities, Folder, Incoming, Page, Patch, State, Wish
from crmmail.remotes import Known, gmail_json
from crmmail.remotes.batching import Part
from crmmail.remotes.gmail_batch import Call
from crmmail.remotes.gmail_calls import BURST, DELETE_SCOPE, MODIFY_SCOPE, UNITS, UNITS_PER_SECOND, USER, Calls
from crmmail.remotes.gmail_json import Event, Place
from crmmail.remotes.gmail_send import GmailSending
from crmmail.remotes.http import Wire
from crmmail.remotes.pace import Bucket
from crmmail.remotes.paging import LoopGuard

if TYPE_CHECKING:
    import httpx

BASE_URL = "https://gmail.googleapis.com"
IDS_PER_LIST, IDS_PER_CHANGE, CALLS_PER_BATCH = 500, 1000, 15
FIRST_PAGE, FULL_PAGE = 30, 50
LABELS_EVERY = 300.0  # seconds after which labels are read even though nothing happened (a new, empty label)
_HISTORY = ("messageAdded", "messageDeleted", "labelAdded", "labelRemoved")


class Gmail(GmailSending):
    """A Gmail mailbox. `base_url` is the server's root; quota is paced in Google's units."""

    capabilities = Capabilities(labels=True, favorites=True, archive=True, trash=True, delete_forever=True, send=True)

    def __init__(
        self,
        mailbox: str,
        *,
        auth: httpx.Auth | None,
        base_url: str = BASE_URL,
        ca_file: str | Path | None = None,
        units_per_second: float = UNITS_PER_SECOND,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
        wire: Wire | None = None,
        pace: Bucket | None = None,
        headers_first: bool = False,
    ) -> None:
        """`headers_first`: pages hold headers only; which texts are wanted is for whoever asks `bodies`."""
        self.mailbox = mailbox
        self._form = "metadata" if headers_first else "raw"
        root = (base_url or BASE_URL).rstrip("/").removesuffix("/gmail/v1")
        pace = pace or Bucket(units_per_second or UNITS_PER_SECOND, burst, clock)
        self._calls = Calls(wire or Wire(root, auth, ca_file, scope=MODIFY_SCOPE), pace)
        self._clock = clock
        self._labels_at: float | None = None

    def close(self) -> None:
        """End all connections and all waiting for quota."""
        self._calls.close()

    def address(self) -> str:
        """The mailbox's own address."""
        return str(self._calls.get("/profile", "profile").get("emailAddress") or "")

    def changes(self, cursor: str, known: Known) -> Iterator[Page]:
        """Everything since `cursor`: the first fill (or a full resync) when it is '', and history from there on."""
        place = gmail_json.load_place(cursor)
        if place.filling:
            place = yield from self._fill(place, known)
        yield from self._history(place.history, known)

    def bodies(self, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        """The raw messages of these ids; what is gone is left out."""
        for fetched in self._calls.fetch(remote_ids, CALLS_PER_BATCH, CALLS_PER_BATCH):
            yield from fetched.messages
            if fetched.error is not None:
                raise fetched.error

    # First fill and full resync

    def _fill(self, place: Place, known: Known) -> Generator[Page, None, Place]:
        """Pages of messages, newest first, then one page that says which ids exist at all. Ends at a history id."""
        fresh_start = not place.history
        if fresh_start:
            profile = self._calls.get("/profile", "profile")
            total = int(profile.get("messagesTotal") or 0)
            place = replace(place, history=str(profile["historyId"]), total=total)
            yield Page(gmail_json.dump_place(place), folders=self._folders({}), progress=(0, total))
        seen: set[str] = set()
        lists = 0
        for token, ids in self._listing(place.token):
            lists += 1
            seen.update(ids)
            have = known(ids)
            stale = place.stale or (fresh_start and bool(have))
            place = replace(place, token=token, stale=stale, done=place.done + len(have))
            place = yield from self._filled(place, [i for i in ids if i not in have])
        if lists > 1 or not fresh_start:
            # Deletions shift the pages of a list that is read slowly: what slid past is found by reading it again.
            place, seen = yield from self._missed(place, known)
        if place.stale:
            yield from self._states(place, known)
        place = replace(place, filling=False)
        yield Page(gmail_json.dump_place(place), keep=frozenset(seen), complete=True)
        return place

    def _filled(self, place: Place, ids: Sequence[str]) -> Generator[Page, None, Place]:
        for fetched in self._calls.fetch(ids, FULL_PAGE if place.done else FIRST_PAGE, FULL_PAGE, self._form):
            place = replace(place, done=place.done + len(fetched.messages) + len(fetched.gone))
            progress = (place.done, max(place.total, place.done))
            yield Page(gmail_json.dump_place(place), tuple(fetched.messages), progress=progress)
            if fetched.error is not None:
                raise fetched.error
        return place

    def _missed(self, place: Place, known: Known) -> Generator[Page, None, tuple[Place, set[str]]]:
        seen = dict.fromkeys(message for _token, ids in self._listing("") for message in ids)
        have = known(seen)
        place = yield from self._filled(place, [message for message in seen if message not in have])
        return place, set(seen)

    def _states(self, place: Place, known: Known) -> Iterator[Page]:
        """The labels of messages that were here before this fill: one list per label is cheaper than a get each."""
        labels: dict[str, set[str]] = {}
        for _token, ids in self._listing(""):
            labels.update((message, set()) for message in known(ids))
        own = [
            str(label["id"]) for label in self._label_list() if gmail_json.key(str(label.get("id") or "")) is not None
        ]
        for label in dict.fromkeys([*gmail_json.SYSTEM, gmail_json.UNREAD, gmail_json.STARRED, *own]):
            for _token, ids in self._listing("", label):
                for message in labels.keys() & ids:
                    labels[message].add(label)
        patches = [Patch(message, state=gmail_json.state_of(found)) for message, found in labels.items()]
        for start in range(0, len(patches), IDS_PER_CHANGE):
            yield Page(gmail_json.dump_place(place), patches=tuple(patches[start : start + IDS_PER_CHANGE]))

    def _listing(self, token: str, label: str = "") -> Iterator[tuple[str, list[str]]]:
        """(token of the page, its ids) for messages.list from `token` on, newest first, with spam and trash."""
        loop = LoopGuard()
        while True:
            query = {"maxResults": str(IDS_PER_LIST), "includeSpamTrash": "true"}
            query |= {"labelIds": label} if label else {}
            try:
                answer = self._calls.get("/messages", "list", query | ({"pageToken": token} if token else {}))
            except Rejected as error:
                if not token or error.gone or error.status != 400:
                    raise
                token = ""  # the server forgot the page a fill was interrupted at: from the top, asking for no id twice
                continue
            yield token, gmail_json.ids_in(answer)
            token = str(answer.get("nextPageToken") or "")
            if not token:
                return
            loop.check(token)

    # History

    def _history(self, start: str, known: Known) -> Iterator[Page]:
        """Pages of changes. All but the last keep the old cursor: a crash between them repeats, and loses nothing."""
        old, last, loop = gmail_json.dump_place(Place(start)), start, LoopGuard()
        held: Page | None = None
        changed, token = False, ""
        while True:
            answer = self._history_page(start, token)
            for page in self._told(gmail_json.events_of(answer), known, old):
                changed = True
                if held is not None:
                    yield held
                held = page
            last = str(answer.get("historyId") or last)
            token = str(answer.get("nextPageToken") or "")
            if not token:
                break
            loop.check(token)
        page = held or Page(old)
        folders = self._folders(self._counts()) if changed or self._labels_due() else None
        yield replace(page, cursor=gmail_json.dump_place(Place(last)), folders=folders, complete=True)

    def _history_page(self, start: str, token: str) -> dict[str, Any]:
        query: dict[str, Any] = {"startHistoryId": start, "historyTypes": list(_HISTORY), "maxResults": IDS_PER_LIST}
        try:
            return self._calls.get("/history", "history", query | ({"pageToken": token} if token else {}))
        except Rejected as error:
            if not error.gone:
                raise
            sentence = _("The server no longer knows where we stopped reading.")
            raise CursorExpired(sentence, status=error.status, reason=error.reason) from error

    def _told(self, events: dict[str, Event], known: Known, cursor: str) -> Iterator[Page]:
        """The pages that one page of history makes: changes of messages we have, then those we have not."""
        alive = [message for message, event in events.items() if not event.gone]
        have = known(alive)
        patches = tuple(events[message].patch() for message in alive if message in have)
        removals = tuple(message for message, event in events.items() if event.gone)
        if patches or removals:
            yield Page(cursor, patches=patches, removals=removals)
        missing = [message for message in reversed(alive) if message not in have]
        for fetched in self._calls.fetch(missing, FULL_PAGE, FULL_PAGE, self._form):
            yield Page(cursor, upserts=tuple(fetched.messages), removals=tuple(fetched.gone))
            if fetched.error is not None:
                raise fetched.error

    # Labels

    def _labels_due(self) -> bool:
        return self._labels_at is None or self._clock() - self._labels_at > LABELS_EVERY

    def _label_list(self) -> list[dict[str, Any]]:
        answer = self._calls.get("/labels", "labels")
        return [label for label in answer.get("labels") or () if isinstance(label, dict)]

    def _folders(self, counts: Mapping[str, Mapping[str, Any]]) -> tuple[Folder, ...]:
        labels = self._label_list()
        self._labels_at = self._clock() if counts else None
        return tuple(gmail_json.folders_of(labels, counts, self.mailbox))

    def _counts(self) -> dict[str, Mapping[str, Any]]:
        """labels.get answers of the system folders by label id: labels.list has no counts."""
        calls = [Call("GET", f"{USER}/labels/{label}", UNITS["labels"]) for label in gmail_json.COUNTED]
        parts, error = self._calls.together(calls)
        if error is not None:
            raise error
        return {gmail_json.COUNTED[number]: part.told for number, part in parts.items() if part.ok and part.told}

    # The user's wishes

    def apply(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        """Make the wishes true: equal changes in one call, permanent deletion last.

        Where the grant does not cover deletion each such wish acks with ScopeRequired and all others are done.
        """
        groups: dict[tuple[frozenset[str], frozenset[str]], list[Wish]] = {}
        for wish in wishes:
            if not wish.delta.gone:
                groups.setdefault(gmail_json.wanted_labels(wish), []).append(wish)
        for wish in groups.pop((frozenset(), frozenset()), ()):
            yield Ack(wish.remote_id, gmail_json.after(wish))
        yield from self._each([group[0] for group in groups.values() if len(group) == 1])
        for (add, remove), group in groups.items():
            if len(group) > 1:
                yield from self._modify(group, add, remove)
        yield from self._delete([wish for wish in wishes if wish.delta.gone])

    def _modify(self, group: Sequence[Wish], add: frozenset[str], remove: frozenset[str]) -> Iterator[Ack]:
        change = {"addLabelIds": sorted(add), "removeLabelIds": sorted(remove)}
        for start in range(0, len(group), IDS_PER_CHANGE):
            chunk = group[start : start + IDS_PER_CHANGE]
            body = change | {"ids": [wish.remote_id for wish in chunk]}
            try:
                self._calls.post("/messages/batchModify", "batchModify", body)
            except Rejected:
                yield from self._each(chunk)  # one of them is refused: find which
                continue
            yield from (Ack(wish.remote_id, gmail_json.after(wish)) for wish in chunk)

    def _each(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        """Each wish by a call of its own, several to a batch."""
        for start in range(0, len(wishes), CALLS_PER_BATCH):
            chunk = wishes[start : start + CALLS_PER_BATCH]
            yield from self._answered(chunk, [self._call(wish) for wish in chunk])

    def _call(self, wish: Wish) -> Call:
        path = f"{USER}/messages/{quote(wish.remote_id, safe='')}"
        if wish.delta.gone:
            return Call("DELETE", path, UNITS["delete"])
        add, remove = gmail_json.wanted_labels(wish)
        change = {"addLabelIds": sorted(add), "removeLabelIds": sorted(remove)}
        return Call("POST", f"{path}/modify", UNITS["modify"], change)

    def _answered(self, wishes: Sequence[Wish], calls: Sequence[Call]) -> Iterator[Ack]:
        parts, error = self._calls.together(calls)
        for number, part in parts.items():
            yield _acknowledged(wishes[number], part)
        if error is not None:
            raise error

    def _delete(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        for start in range(0, len(wishes), IDS_PER_CHANGE):
            chunk = wishes[start : start + IDS_PER_CHANGE]
            if len(chunk) == 1:
                yield from self._each(chunk)
                continue
            body = {"ids": [wish.remote_id for wish in chunk]}
            try:
                self._calls.post("/messages/batchDelete", "batchDelete", body, scope=DELETE_SCOPE)
            except ScopeRequired as error:
                yield from (Ack(wish.remote_id, error=error) for wish in chunk)
            except Rejected:
                yield from self._each(chunk)
            else:
                yield from (Ack(wish.remote_id, State(gone=True)) for wish in chunk)


def _acknowledged(wish: Wish, part: Part) -> Ack:
    if part.ok:
        if wish.delta.gone:
            return Ack(wish.remote_id, State(gone=True))
        told = part.told.get("id") == wish.remote_id
        labels = gmail_json.labels_in(part.told) or ()
        return Ack(wish.remote_id, gmail_json.state_of(labels) if told else gmail_json.after(wish))
    error = part.error(DELETE_SCOPE if wish.delta.gone else MODIFY_SCOPE)
    if isinstance(error, Rejected) and error.gone:
        return Ack(wish.remote_id, State(gone=True))
    return Ack(wish.remote_id, error=error)
