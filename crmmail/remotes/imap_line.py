"""The commands an IMAP mailbox needs, on one connection that is opened when it is needed and again after it broke."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmmail.errors import CursorExpired, Offline, Rejected, RemoteError
from crmmail.i18n import _
from crmmail.remotes import imap_connection, imap_text
from crmmail.remotes.dial import Server, odd
from crmmail.remotes.imap_connection import ALLOWANCE, Client
from crmmail.remotes.imap_index import Seen
from crmmail.remotes.imap_text import Listed, Piece, Told

if TYPE_CHECKING:
    from crmmail.auth.password import Login

STATUS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN")


@dataclass(frozen=True, slots=True)
class Selected:
    """A folder as SELECT tells it. `vanished` and `changed` since what was `Seen`, where the server can (QRESYNC)."""

    name: str
    validity: int
    exists: int
    next: int
    modseq: int
    resynced: bool = False
    vanished: tuple[int, ...] = ()
    changed: dict[int, Told] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copied:
    """Where COPY or MOVE put messages: source UID → UID there; empty when the server does not say (no UIDPLUS)."""

    validity: int = 0
    uids: dict[int, int] = field(default_factory=dict)


class Line:
    """Used by one thread at a time; `close` may come from any."""

    def __init__(self, server: Server, login: Login) -> None:
        self._server = server
        self._login = login
        self._client: Client | None = None
        self._selected: Selected | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._hidden: tuple[str, ...] = ()  # name prefixes of other people's and public folders
        self._resyncs = False
        self.prefix = ""  # of our own folders, such as INBOX.
        self.used_at = 0.0  # monotonic

    @property
    def server(self) -> Server:
        """Whom this talks to."""
        return self._server

    def close(self) -> None:
        """End the connection and whoever waits on it, for good."""
        with self._lock:
            self._closed = True
            client = self._client
        if client is not None:
            with contextlib.suppress(OSError, ValueError):
                # Not SSLSocket's own: that one would take the TLS away under a thread that reads.
                socket.socket.shutdown(client.socket(), socket.SHUT_RDWR)

    def drop(self) -> None:
        """Forget the connection; the next command opens another."""
        client, self._client, self._selected = self._client, None, None
        if client is not None:
            imap_connection.hang_up(client)

    def offers(self, capability: str) -> bool:
        """Whether the server can do this."""
        return self._ready().has_capability(capability)  # type: ignore[no-any-return]

    @property
    def counts_changes(self) -> bool:
        """Whether the server tells what changed since a moment (RFC 7162)."""
        return self.offers("CONDSTORE") or self.offers("QRESYNC")

    # The connection

    def _ready(self) -> Client:
        if self._closed:
            raise Offline(_("The connection was closed."), reason="closed")
        if self._client is not None:
            return self._client
        client = imap_connection.connect(self._server, self._login)
        with self._lock:
            self._client = client
            closed_meanwhile = bool(self.__dict__["_closed"])
        if closed_meanwhile:
            self.drop()
        with self._talking():
            self._introduce(client)
        return client

    def _introduce(self, client: Client) -> None:
        self._resyncs = False
        if client.has_capability("ENABLE"):
            if client.has_capability("QRESYNC"):
                self._resyncs = b"QRESYNC" in [one.upper() for one in client.enable("QRESYNC")]
            elif client.has_capability("CONDSTORE"):
                client.enable("CONDSTORE")
        self._hidden = ()
        if client.has_capability("NAMESPACE"):
            client.folder_encode = False
            spaces = client.namespace()
            others = [*(spaces.other or ()), *(spaces.shared or ())]
            prefixes = [prefix.decode() if isinstance(prefix, bytes) else prefix for prefix, _separator in others]
            self._hidden = tuple(prefix for prefix in prefixes if prefix)
            own = (spaces.personal or (("", ""),))[0][0]
            self.prefix = own.decode() if isinstance(own, bytes) else own

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        """What breaks the conversation ends the connection; a refusal does not."""
        try:
            with imap_connection.said(self._server):
                yield
        except Rejected:
            raise
        except RemoteError:
            self.drop()
            if self._closed:
                raise Offline(_("The connection was closed."), reason="closed") from None
            raise
        except BaseException:
            self.drop()
            raise
        self.used_at = time.monotonic()

    def _told(self, name: str, *arguments: str | bytes, expecting: int = ALLOWANCE) -> dict[str, list[Any]]:
        """Say a command; what the server said before its OK, by kind."""
        client = self._ready()
        with self._talking():
            wire = client.wire
            client.allow(expecting)
            wire.untagged_responses.clear()
            kind, data = wire._simple_command(name, *arguments)
            if kind != "OK":
                raise wire.error(f"{name} failed: NO {_words(data)}")
            return dict(wire.untagged_responses)

    def _by_uid(self, name: str, *arguments: str | bytes, expecting: int = ALLOWANCE) -> dict[str, list[Any]]:
        return self._told("UID", name, *arguments, expecting=expecting)

    # Folders

    def folders(self, *, again: bool = True) -> list[Listed]:
        """Every folder of ours, with its STATUS; in one round trip where the server can (RFC 5819)."""
        try:
            return self._folders()
        except Offline as error:
            if not again or self._closed or error.reason != "closed":
                raise
            return self.folders(again=False)  # a connection that had been idle for long was gone already

    def _leave(self) -> None:
        """Servers answer STATUS of the folder one is in with what it was when one last looked (RFC 9051 §6.3.11)."""
        if self._selected is None or self._client is None:
            return
        self._selected = None
        if self.offers("UNSELECT"):
            self._told("UNSELECT")
            self._client.wire.state = "AUTH"
        else:  # a SELECT that fails leaves no folder selected
            with contextlib.suppress(Rejected):
                self._told("EXAMINE", '"crmmail leaves"')
            self._client.wire.state = "AUTH"

    def _folders(self) -> list[Listed]:
        self._leave()
        wanted = [*STATUS, *(["HIGHESTMODSEQ"] if self.counts_changes else [])]
        items = " ".join(wanted)
        extended = self.offers("LIST-EXTENDED") and self.offers("LIST-STATUS")
        if extended:
            special = "SPECIAL-USE " if self.offers("SPECIAL-USE") else ""
            told = self._told("LIST", '""', '"*"', f"RETURN ({special}STATUS ({items}))")
        else:
            told = self._told("LIST", '""', '"*"')
        with self._talking():
            found = [one for one in imap_text.listed(told.get("LIST", ())) if self._is_ours(one)]
            status = imap_text.statuses(told.get("STATUS", ()))
        for one in found:
            one.status.update(status.get(one.name) or self.status(one.name, items))
        return [one for one in found if one.status]

    def _is_ours(self, one: Listed) -> bool:
        barred = {"\\noselect", "\\nonexistent"} & one.flags
        return not barred and not one.name.startswith(self._hidden or ("\0",))

    def status(self, name: str, items: str) -> dict[str, int]:
        """STATUS of one folder; {} for one that cannot be read."""
        try:
            told = self._told("STATUS", imap_text.quoted(name), f"({items})")
        except Rejected:
            return {}
        with self._talking():
            found = imap_text.statuses(told.get("STATUS", ()))
        return next(iter(found.values()), {})

    def create(self, name: str) -> None:
        """Make a folder and subscribe to it."""
        self._told("CREATE", imap_text.quoted(name))
        with contextlib.suppress(Rejected):
            self._told("SUBSCRIBE", imap_text.quoted(name))

    def select(self, name: str, since: Seen | None = None, *, fresh: bool = False) -> Selected:
        """Go to a folder. `since`: also hear what changed since then, where the server can.

        `fresh`: see it as it is now, not as it was when it was gone to.
        """
        here = self._selected if self._client is not None and not fresh and since is None else None
        if here is not None and here.name == name:
            return here
        self._ready()
        resync = since is not None and self._resyncs and since.modseq > 0
        extra = [f"(QRESYNC ({since.validity} {since.modseq}))"] if since is not None and resync else []
        self._selected = None
        told = self._told("SELECT", imap_text.quoted(name), *extra)
        assert self._client is not None
        self._client.wire.state = "SELECTED"
        with self._talking():
            self._selected = _selected(name, told, resync)
        return self._selected

    def at(self, name: str, validity: int) -> Selected:
        """Go to a folder whose UIDs must still mean the same. Raises CursorExpired when they do not."""
        selected = self.select(name)
        if selected.validity != validity:
            self._selected = None
            raise CursorExpired(_("The server no longer knows where we stopped reading."), reason="uidvalidity")
        return selected

    # Messages of the folder that is selected

    def search(self, *criteria: str) -> list[int]:
        """The UIDs that match, in ascending order."""
        if self.offers("ESEARCH"):
            told = self._by_uid("SEARCH", "RETURN (ALL)", *criteria)
            with self._talking():
                found = [uid for line in told.get("ESEARCH", ()) for uid in _all_of(line)]
        else:
            told = self._by_uid("SEARCH", *criteria)
            with self._talking():
                found = [int(uid) for line in told.get("SEARCH", ()) for uid in line.partition(b"(")[0].split()]
        return sorted(found)

    def fetch(
        self, uids: Iterable[int] | str, items: str, *, since: int = 0, expecting: int = ALLOWANCE
    ) -> dict[int, Told]:
        """What the server says of messages. `since`: only of those changed after that modseq."""
        wanted = uids if isinstance(uids, str) else imap_text.uid_set(uids)
        if not wanted:
            return {}
        more = (f"(CHANGEDSINCE {since})",) if since else ()
        told = self._by_uid("FETCH", wanted, f"(UID {items})", *more, expecting=expecting)
        with self._talking():
            return imap_text.fetched(told.get("FETCH", ()))

    def store(self, uids: Iterable[int], change: str, flags: str) -> None:
        """Set or clear flags (+FLAGS, -FLAGS) or Gmail's labels."""
        silent = "" if "X-GM" in change else ".SILENT"  # Google describes none for labels
        self._by_uid("STORE", imap_text.uid_set(uids), change + silent, f"({flags})")

    def move(self, uids: Iterable[int], target: str) -> Copied:
        """MOVE. Raises Rejected when the server does not do it."""
        told = self._by_uid("MOVE", imap_text.uid_set(uids), imap_text.quoted(target))
        with self._talking():
            return _copied(told)

    def copy(self, uids: Iterable[int], target: str) -> Copied:
        """COPY."""
        told = self._by_uid("COPY", imap_text.uid_set(uids), imap_text.quoted(target))
        with self._talking():
            return _copied(told)

    def expunge(self, uids: Iterable[int]) -> None:
        """Remove exactly these, which are marked as deleted (UIDPLUS): never others' deletions."""
        if not self.offers("UIDPLUS"):
            raise odd(self._server, "UIDPLUS")
        self._by_uid("EXPUNGE", imap_text.uid_set(uids))

    def append(
        self, name: str, raw: bytes, flags: str = "", progress: Callable[[int, int], None] | None = None
    ) -> tuple[int, int]:
        """Put a message into a folder; (UIDVALIDITY, UID) of it, zeros when the server does not say."""
        client = self._ready()
        with self._talking():
            wire = client.wire
            client.allow(ALLOWANCE)
            wire.untagged_responses.clear()
            wire.progress = progress
            wire.literal = raw  # type: ignore[assignment]
            kind, data = wire._simple_command("APPEND", imap_text.quoted(name), f"({flags})")
            if kind != "OK":
                raise wire.error(f"APPEND failed: NO {_words(data)}")
            codes: list[Any] = wire.untagged_responses.get("APPENDUID", [])
            numbers = [int(number) for number in codes[-1].split()[:2]] if codes else [0, 0]
            return numbers[0], numbers[1]


def _selected(name: str, told: dict[str, list[Any]], resync: bool) -> Selected:
    def number(kind: str) -> int:
        return int(told[kind][-1]) if told.get(kind) else 0

    vanished: list[int] = []
    for line in told.get("VANISHED", ()) if resync else ():
        earlier, _space, uids = line.partition(b") ")
        if earlier == b"(EARLIER":
            vanished += imap_text.uid_list(uids)
    changed = imap_text.fetched(told.get("FETCH", ())) if resync else {}
    exists = number("EXISTS")
    if "EXISTS" not in told or not told.get("UIDVALIDITY"):
        raise ValueError("SELECT without its answers")
    modseq = 0 if "NOMODSEQ" in told else number("HIGHESTMODSEQ")
    return Selected(name, number("UIDVALIDITY"), exists, number("UIDNEXT"), modseq, resync, tuple(vanished), changed)


def _all_of(line: bytes) -> list[int]:
    """The UIDs of an ESEARCH answer: (TAG "x") UID ALL 1:3,7"""
    _before, found, uids = line.partition(b" ALL ")
    return imap_text.uid_list(uids.split(b" ")[0]) if found else []


def _copied(told: dict[str, list[Any]]) -> Copied:
    lines = told.get("COPYUID", ())
    if not lines:
        return Copied()
    validity = 0
    uids: dict[int, int] = {}
    for line in lines:
        where, source, target = line.split(b" ")[:3]
        validity = int(where)
        uids.update(zip(imap_text.uid_list(source), imap_text.uid_list(target), strict=True))
    return Copied(validity, uids)


def _words(data: Any) -> str:
    first = data[0] if data else b""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


__all__ = ["Copied", "Line", "Piece", "Selected"]
