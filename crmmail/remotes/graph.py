"""Outlook by Microsoft Graph v1.0. Immutable ids throughout: a move keeps a message's id."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from crmmail.errors import Rejected, RemoteError, ScopeRequired, Transient
from crmmail.i18n import _
from crmmail.model import Ack, Capabilities, Folder, Incoming, Page, Role, State, Wish
from crmmail.remotes import Known, graph_json, refusals
from crmmail.remotes.batching import Part
from crmmail.remotes.graph_calls import BURST, CALLS_PER_BATCH, REQUESTS_PER_SECOND, SCOPE, Call, Calls
from crmmail.remotes.graph_round import Round
from crmmail.remotes.graph_send import GraphSending
from crmmail.remotes.http import TooLarge, Wire
from crmmail.remotes.pace import Bucket
from crmmail.remotes.paging import LoopGuard

if TYPE_CHECKING:
    import httpx

BASE_URL = "https://graph.microsoft.com/v1.0"
BODIES_AT_ONCE = 3  # Exchange allows four calls at a time to a mailbox
FOLDERS_DEEP = 50
_FOLDER_QUERY = f"$top=100&$select={graph_json.FOLDER_SELECT}"


class Graph(GraphSending):
    """An Outlook mailbox. `base_url` ends in the API version."""

    def __init__(
        self,
        mailbox: str,
        *,
        auth: httpx.Auth | None,
        base_url: str = BASE_URL,
        ca_file: str | Path | None = None,
        requests_per_second: float = REQUESTS_PER_SECOND,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
        wire: Wire | None = None,
        pace: Bucket | None = None,
    ) -> None:
        self.mailbox = mailbox
        self.capabilities = Capabilities(archive=True, trash=True, delete_forever=True, send=True)
        pace = pace or Bucket(requests_per_second, burst, clock)
        self._calls = Calls(wire or Wire(base_url or BASE_URL, auth, ca_file, scope=SCOPE), pace)
        self._roles: dict[str, Role] = {}
        self._aside: frozenset[str] = frozenset()  # ids of folders that are Exchange's own

    def close(self) -> None:
        """End all connections and all waiting."""
        self._calls.close()

    def address(self) -> str:
        """The mailbox's own address."""
        told = self._calls.get("/me?$select=mail,userPrincipalName")
        return str(told.get("mail") or told.get("userPrincipalName") or "")

    def changes(self, cursor: str, known: Known) -> Iterator[Page]:
        """Everything since `cursor`, folder by folder; '' reads all, newest first, metadata before bodies."""
        place = graph_json.load_place(cursor)
        folders = self._folders()
        filling = not place.links or bool(place.reading)
        if filling:
            place.total = sum(folder.server_total or 0 for folder in folders)
            yield Page(cursor, folders=tuple(folders), progress=(place.done, max(place.total, place.done)))
        held: Page | None = None
        for page in Round(self._calls, place, folders, known, self.bodies).pages():
            if held is not None:
                yield held
            held = page
        if held is not None:
            folders = self._folders()  # the counts from before the round no longer fit what it brought
        last = held or Page("")
        yield replace(last, cursor=place.dump(), folders=tuple(folders), complete=True, progress=None)

    # Folders

    def _folders(self) -> list[Folder]:
        roles = self._known_roles()
        items: list[dict[str, Any]] = []
        level = [f"/me/mailFolders?{_FOLDER_QUERY}"]
        for _depth in range(FOLDERS_DEEP):
            found = [item for link in level for item in self._listed(link)]
            items += found
            level = [_children(item) for item in found if item.get("childFolderCount")]
            if not level:
                break
        return graph_json.folders_of(items, roles, self.mailbox, self._aside)

    def _listed(self, link: str) -> Iterator[dict[str, Any]]:
        loop = LoopGuard()
        while link:
            loop.check(link)
            answer = self._calls.get(link)
            yield from (item for item in answer.get("value") or () if isinstance(item, dict))
            link = str(answer.get("@odata.nextLink") or "")

    def _known_roles(self) -> Mapping[str, Role]:
        """Folder id → role, by the names that are the same in every language; asked once."""
        if self._roles:
            return self._roles
        known = list(graph_json.WELL_KNOWN)
        names = [*graph_json.WELL_KNOWN.values(), *graph_json.ASIDE]
        calls = [Call("GET", f"/me/mailFolders/{name}?$select=id") for name in names]
        parts, error = self._calls.together(calls)
        if error is not None:
            raise error
        for part in parts.values():
            if part.ok and not part.told.get("id"):  # taking it for "no such folder" would misplace its messages
                raise Transient(_("The server's answer was cut off or makes no sense."), status=part.status)
        ids = {number: str(part.told["id"]) for number, part in parts.items() if part.told.get("id")}
        roles = {remote_id: known[number] for number, remote_id in ids.items() if number < len(known)}
        if not roles:  # a mailbox without even an inbox: what the server says of it, not an empty mailbox
            raise parts[0].error()
        has_archive = Role.ARCHIVE in roles.values()
        self.capabilities = replace(self.capabilities, archive=has_archive)
        self._roles = roles
        self._aside = frozenset(ids.values()) - roles.keys()
        return roles

    # Bodies

    def bodies(self, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        """The raw messages of these ids, a few at once; what is gone or cannot be had is left out."""
        with ThreadPoolExecutor(BODIES_AT_ONCE, thread_name_prefix="crmmail-body") as pool:
            for start in range(0, len(remote_ids), 4 * BODIES_AT_ONCE):
                yield from self._some_bodies(pool, remote_ids[start : start + 4 * BODIES_AT_ONCE])

    def _some_bodies(self, pool: ThreadPoolExecutor, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        tasks = {pool.submit(self._body, remote_id): remote_id for remote_id in remote_ids}
        failed: RemoteError | None = None
        try:
            for task in as_completed(tasks):
                error = task.exception()
                if error is None:
                    yield Incoming(tasks[task], None, 0, raw=task.result(), size=len(task.result()))
                elif isinstance(error, RemoteError) and not isinstance(error, TooLarge | Rejected):
                    failed = error
                elif not isinstance(error, RemoteError):
                    raise error
        finally:
            for task in tasks:
                task.cancel()
        if failed is not None:
            raise failed

    def _body(self, remote_id: str) -> bytes:
        return self._calls.raw(f"/me/messages/{quote(remote_id, safe='=')}/$value")

    # The user's wishes

    def apply(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        """Make the wishes true, twenty to a call: flags first, then moves and deletions.

        Two rounds rather than a dependency inside a batch: half-done wishes are simply made again.
        """
        for start in range(0, len(wishes), CALLS_PER_BATCH):
            chunk = wishes[start : start + CALLS_PER_BATCH]
            yield from self._applied(chunk)

    def _applied(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        folder_of = {remote_id: role.value for remote_id, role in self._known_roles().items()}
        flagged = [wish for wish in wishes if wish.delta.unread is not None and not wish.delta.gone]
        told, late = self._answers(flagged, [_flag_call(wish) for wish in flagged])
        waiting = {wish.remote_id for wish in flagged} - told.keys()
        refused = {remote_id for remote_id, part in told.items() if not part.ok}
        moving = [wish for wish in wishes if _move_call(wish) is not None and wish.remote_id not in waiting | refused]
        calls = [call for wish in moving if (call := _move_call(wish)) is not None]
        moved, later = self._answers(moving, calls)
        waiting |= {wish.remote_id for wish in moving} - moved.keys()
        told |= moved
        done = [wish for wish in wishes if wish.remote_id not in waiting]
        failed = [wish for wish in done if wish.remote_id in told and not told[wish.remote_id].ok]
        looked = self._look(failed)
        errors = [told[wish.remote_id].error(SCOPE) for wish in failed]
        denied = next((error for error in errors if isinstance(error, ScopeRequired)), None)
        if denied is not None and not self._may_write():
            raise denied
        for wish in done:
            yield _acknowledged(wish, told.get(wish.remote_id), looked.get(wish.remote_id), folder_of)
        for error in (late, later):
            if error is not None:
                raise error

    def _may_write(self) -> bool:
        """Whether the grant covers changes: one message under a hold is refused with the same code as all of them.

        Asked by a change of a message that cannot exist: the permission is looked at before the message.
        """
        parts, _error = self._calls.together([Call("PATCH", "/me/messages/AAA=", {"isRead": True})])
        return 0 in parts and not isinstance(parts[0].error(), ScopeRequired)

    def _answers(self, wishes: Sequence[Wish], calls: Sequence[Call]) -> tuple[dict[str, Part], RemoteError | None]:
        parts, error = self._calls.together(calls) if calls else ({}, None)
        return {wishes[number].remote_id: part for number, part in parts.items()}, error

    def _look(self, wishes: Sequence[Wish]) -> dict[str, Part]:
        """What became of messages whose change was refused: a 404 may mean the message or its new folder."""
        path = "/me/messages/{id}?$select=id,parentFolderId,isRead"
        calls = [Call("GET", path.format(id=quote(wish.remote_id, safe="="))) for wish in wishes]
        parts, error = self._answers(wishes, calls)
        if error is not None:
            raise error
        return parts


def _children(item: Mapping[str, Any]) -> str:
    return f"/me/mailFolders/{quote(str(item['id']), safe='=')}/childFolders?{_FOLDER_QUERY}"


def _flag_call(wish: Wish) -> Call:
    return Call("PATCH", f"/me/messages/{quote(wish.remote_id, safe='=')}", {"isRead": not wish.delta.unread})


def _move_call(wish: Wish) -> Call | None:
    path = f"/me/messages/{quote(wish.remote_id, safe='=')}"
    if wish.delta.gone:
        return Call("POST", f"{path}/permanentDelete")
    goal = graph_json.goal(wish)
    return Call("POST", f"{path}/move", {"destinationId": graph_json.destination(goal)}) if goal else None


def _acknowledged(wish: Wish, part: Part | None, looked: Part | None, folder_of: Mapping[str, str]) -> Ack:
    """The answer to one wish: `part` of its last call (None: there was nothing to ask), `looked` where that failed."""
    if part is None or part.ok:
        told = part.told if part else None
        return Ack(wish.remote_id, State(gone=True) if wish.delta.gone else graph_json.after(wish, told, folder_of))
    error = part.error()
    if isinstance(error, ScopeRequired):
        error = refusals.refused(part.status, part.body)
    if looked is None:
        return Ack(wish.remote_id, error=error)
    if not looked.ok:
        absent = looked.error()
        is_gone = isinstance(absent, Rejected) and absent.gone
        return Ack(wish.remote_id, State(gone=True)) if is_gone else Ack(wish.remote_id, error=error)
    now = graph_json.after(wish, looked.told, folder_of)
    if graph_json.goal(wish) and now.folders == frozenset({graph_json.goal(wish)}):
        return Ack(wish.remote_id, now)  # it had been moved already: an earlier answer was lost
    if isinstance(error, Rejected) and error.gone:
        error = Rejected(_("The folder it should go to no longer exists."), status=error.status, reason=error.reason)
    return Ack(wish.remote_id, error=error)
