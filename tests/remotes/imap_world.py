"""A mailbox on a real Dovecot behind a man in the middle, seen from both sides like those of the sandbox."""

from __future__ import annotations

import atexit
import imaplib
import itertools
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from crmmail.auth.password import Login
from crmmail.auth.secrets import Secret
from crmmail.model import Capabilities, State
from crmmail.remotes import imap_text
from crmmail.remotes.dial import Server
from crmmail.remotes.imap import PLAIN, Imap
from tests.mailservers.dovecot import PASSWORD, Dovecot
from tests.mailservers.proxy import Cut, Proxy
from tests.mailservers.sink import Sink
from tests.remotes.world import START, World, letter

PLACES = {"inbox": "INBOX", "trash": "Trash", "sent": "Sent", "drafts": "Drafts", "spam": "Junk", "archive": "Archive"}
_KEYS = {name: key for key, name in PLACES.items()}
_users = itertools.count()
_servers: dict[str, Dovecot] = {}


def server(capability: str = "", *, bare: bool = False) -> Dovecot:
    """The Dovecot of this test process that claims to be able to just this ('' all it can); ended with the process.

    `bare`: its mailboxes begin with nothing but an inbox.
    """
    kind = f"{capability}{bare}"
    if kind not in _servers:
        users = {f"user{number}@mail.example": PASSWORD for number in range(600)}
        made = Dovecot(users, capability=capability, special_use=not bare)
        made.__enter__()
        atexit.register(made.__exit__)
        _servers[kind] = made
    return _servers[kind]


@dataclass(slots=True)
class Faults:
    """The sandbox's words for what goes wrong, in IMAP's terms."""

    world: ImapWorld
    active: list[Cut] = field(default_factory=list)

    def add(self, kind: str, **options: Any) -> Cut:
        if "path" in options or "method" in options:
            return self._at(kind, {"path": "drafts"} | options)
        how = {
            "truncate": {"how": "midway", "size": options.get("at", 0), "nth": options.get("nth", 1), "times": 99},
            "status": {"how": "answer", "told": b"{tag} NO [UNAVAILABLE] No luck today\r\n", "times": 999},
            "silent": {"how": "silent", "times": 999},
            "reset_before": {"how": "before", "every": options.get("every", 0), "times": 999},
        }[kind]
        pattern = "^(UID FETCH|SELECT|LIST)" if kind in ("truncate", "silent") else "."
        cut = self.world.between.cut(pattern, **how)
        self.active.append(cut)
        return cut

    def _at(self, kind: str, options: dict[str, Any]) -> Cut:
        """A fault of what is sent, or of what is put among the drafts."""
        how = {"reset_after": "after", "truncate": "after", "reset_before": "before"}[kind]
        if "send" in options["path"]:
            cut = self.world.post.cut("^DATA$", how)
        else:
            cut = self.world.between.cut("^APPEND", how, times=options.get("times", 1))
        self.active.append(cut)
        return cut

    def preset(self, row: str) -> None:
        html = b"<html><body>Sign in to the hotel</body></html>\r\n"
        how: dict[str, dict[str, Any]] = {
            "N01": {"how": "before"},
            "N02": {"how": "after"},
            "N03": {"how": "midway", "size": 300},
            "N04": {"how": "midway", "size": 2000},
            "N04-length": {"how": "midway", "size": 7},
            "N04-html": {"how": "answer", "told": html},
        }
        self.world.between.cut("^UID FETCH", **how[row])

    def refuse(self, _address: str, remote_id: str, sentence: str) -> None:
        uid = self.world.admin.find(self.world.key(remote_id))[1]

        def names(command: bytes) -> bool:
            return uid in imap_text.uid_list(command.split(b" ")[2])

        told = b"{tag} NO " + sentence.encode() + b"\r\n"
        self.world.between.cut("^UID (MOVE|COPY|STORE)", how="answer", told=told, when=names, times=99)

    def clear(self) -> None:
        self.world.between.cuts.clear()
        self.active.clear()


class Admin:
    """Another client of the same mailbox."""

    def __init__(self, port: int, user: str) -> None:
        self._line = imaplib.IMAP4("127.0.0.1", port)
        self._line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # it speaks in small pieces
        self._line.login(user, PASSWORD) if PASSWORD.isascii() else self._line.authenticate(
            "PLAIN", lambda _asked: f"\0{user}\0{PASSWORD}".encode()
        )

    def close(self) -> None:
        self._line.shutdown()

    def names(self) -> list[str]:
        _ok, lines = self._line.list()
        return [line.decode().rpartition(' "/" ')[2].strip('"') for line in lines if line and b"\\Noselect" not in line]

    def select(self, name: str) -> None:
        kind, _told = self._line.select(f'"{name}"')
        assert kind == "OK", name

    def fetch(self, name: str, items: str) -> list[dict[str, Any]]:
        self.select(name)
        _ok, data = self._line.uid("FETCH", "1:*", f"(UID FLAGS INTERNALDATE RFC822.SIZE {items})")
        return [
            {"uid": uid, "marks": one.marks, "body": one.body or b"", "told": one}
            for uid, one in imap_text.fetched(data).items()
        ]

    def find(self, key: int) -> tuple[str, int]:
        """(folder, UID) of a message."""
        for name in self.names():
            self.select(name)
            _ok, data = self._line.uid("SEARCH", "HEADER", "Message-ID", f"<{key}@example.org>")
            if data and data[0]:
                return name, int(data[0].split()[0])
        raise KeyError(key)

    def store(self, name: str, uid: int, change: str, flag: str) -> None:
        self.select(name)
        self._line.uid("STORE", str(uid), change, f"({flag})")

    def move(self, key: int, target: str) -> None:
        name, uid = self.find(key)
        self.select(name)
        if target != name:
            kind, _told = self._line.uid("MOVE", str(uid), f'"{target}"')
            assert kind == "OK"

    def copy(self, key: int, target: str) -> None:
        name, uid = self.find(key)
        self.select(name)
        assert self._line.uid("COPY", str(uid), f'"{target}"')[0] == "OK"

    def expunge(self, name: str, uid: int) -> None:
        self.store(name, uid, "+FLAGS", r"\Deleted")
        self._line.uid("EXPUNGE", str(uid))

    def create(self, name: str) -> None:
        self._line.create(f'"{name}"')

    def remove(self, name: str) -> None:
        self._line.select("INBOX")
        self._line.delete(f'"{name}"')

    def append(self, name: str, raw: bytes, flags: str = "") -> None:
        self._line.append(f'"{name}"', f"({flags})", None, raw)


@dataclass(slots=True)
class Held:
    """A message as tests look at it."""

    key: int
    raw: bytes
    labels: set[str]
    folder: str
    uid: int
    remote_id: str


@dataclass(slots=True)
class Side:
    """`world.mailbox`: the server's side."""

    world: ImapWorld

    @property
    def messages(self) -> dict[int, Held]:
        found = {}
        for name in self.world.admin.names():
            for one in self.world.admin.fetch(name, "BODY.PEEK[]"):
                if imap_text.is_deleted(one["marks"]):
                    continue  # only waiting to be expunged
                key = _number(one["body"])
                labels = {"UNREAD"} if "S" not in one["marks"] else set()
                labels |= {"DRAFT"} if name == "Drafts" else set()
                head = one["body"].partition(b"\r\n\r\n")[0] + b"\r\n"
                remote_id = imap_text.identity(replace(one["told"], body=_shown(head)))
                found[key] = Held(key, one["body"], labels, name, one["uid"], remote_id)
        return found

    def id_of(self, key: int) -> str:
        return self.messages[key].remote_id

    def thread_of(self, key: int) -> str:
        """IMAP has no conversations of its own: what a client makes of the headers."""
        raw = self.get(key).raw
        found = re.search(rb"(?im)^in-reply-to: *(<[^>]*>)", raw) or re.search(rb"(?im)^message-id: *(<[^>]*>)", raw)
        return found[1].decode() if found else str(key)

    def modify(self, key: int, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
        held = self.get(key)
        self.world.admin.store(held.folder, held.uid, "-FLAGS" if "UNREAD" in add else "+FLAGS", r"\Seen")

    def update(self, key: int, source: bytes) -> None:
        """Another client saves a draft again: a new message, and the old one is removed."""
        held = self.get(key)
        self.world.admin.append(held.folder, source, r"\Draft")
        self.world.admin.expunge(held.folder, held.uid)

    def get(self, key: int) -> Held:
        return self.messages[key]

    def delete(self, key: int) -> None:
        self.world.admin.expunge(*self.world.admin.find(key))

    def expire_cursors(self) -> None:
        """Another UIDVALIDITY for every folder, as when a server is restored from a backup."""
        self.world.admin.close()
        self.world.between.drop()
        for path in self.world.home.rglob("dovecot*"):
            if path.name == "dovecot-uidlist":
                text = path.read_text()
                path.write_text(re.sub(r" V(\d+) ", lambda found: f" V{int(found[1]) + 1_000_000} ", text, count=1))
            elif path.is_file():
                path.unlink()
        self.world.admin = Admin(self.world.dovecot.imap_port, self.world.address)


_FIELDS = frozenset(re.findall(r"[A-Z-]+", imap_text.HEADER_ITEM.partition("(")[2].lower().upper()))


def _shown(head: bytes) -> bytes:
    """The header fields a remote asks for."""
    lines = re.split(rb"\r\n(?![ \t])", head)
    return b"\r\n".join(one for one in lines if one.partition(b":")[0].decode().upper() in _FIELDS) + b"\r\n"


def _number(raw: bytes) -> int:
    found = re.search(rb"(?i)Message-ID: <(\d+)@", raw)
    return int(found[1]) if found else -abs(hash(raw))


class ImapWorld(World):
    """One user of a Dovecot; the remote meets it through a proxy that counts and cuts."""

    provider = "imap"
    capability = ""
    bare = False

    def __init__(self) -> None:
        self.dovecot = server(self.capability, bare=self.bare)
        self.address = f"user{next(_users)}@mail.example"
        self.user = SimpleNamespace(address=self.address)
        self.remotes = []
        self._numbers = iter(range(1_000_000))
        self._made = 0
        self.home = self.dovecot.base / "home" / self.address
        self.between = Proxy(self.dovecot.imap_port)
        self.password = PASSWORD
        faults = Faults(self)
        grants = SimpleNamespace(revoke_all=lambda _address: self._revoke())
        self.sink = Sink(mode="behind", users={self.address: PASSWORD})
        ledger = SimpleNamespace(
            requests=self.between.commands, clear=self.between.commands.clear, sends=self._sends, asked=self._asked
        )
        self.box = SimpleNamespace(faults=faults, grants=grants, ledger=ledger, pause=self._pause, resume=self._resume)
        self.side = Side(self)

    def __enter__(self) -> ImapWorld:
        self.between.__enter__()
        self.admin = Admin(self.dovecot.imap_port, self.address)
        self.sink.__enter__()
        self.post = Proxy(self.sink.port, protocol="smtp")
        self.post.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for remote in self.remotes:
            remote.close()
        self.admin.close()
        self.post.__exit__()
        self.sink.__exit__()
        self.between.__exit__()

    @property
    def mailbox(self) -> Any:
        return self.side

    @property
    def can(self) -> Capabilities:
        return PLAIN

    @property
    def server(self) -> Server:
        return Server("imap", "127.0.0.1", self.between.port, "tls", self.between.ca_file)

    @property
    def smtp(self) -> Server:
        return Server("smtp", "127.0.0.1", self.post.port, "tls", self.post.ca_file)

    def _sends(self, _address: str) -> list[Any]:
        return [SimpleNamespace(detail={"recipients": one.recipients}) for one in self.sink.messages]

    def _asked(self, path: str) -> list[str]:
        assert path == "/send"
        return [command for command in self.post.commands if command.upper().startswith("DATA")]

    def login(self) -> Login:
        return Login(self.address, lambda _refused: Secret(self.password))

    def connect(self, **options: Any) -> Any:
        index = options.pop("index", self.home / "index.db" if options.pop("kept", False) else None)
        if index is None:
            index = Path(self.between._folder.name) / "index.db"
        options = {"smtp": self.smtp, "address": self.address} | options
        remote = Imap("work", login=self.login(), server=self.server, index=index, **options)
        self.remotes.append(remote)
        return remote

    def _revoke(self) -> None:
        self.password = "another one"
        self.between.drop()

    def _pause(self) -> None:
        self.between.refusing = True
        self.between.drop()

    def _resume(self) -> None:
        self.between.refusing = False

    def add(self, count: int = 1, **where: Any) -> list[str]:
        folder = PLACES.get(where.get("folder", "inbox"), where.get("folder", "inbox"))
        keys = [next(self._numbers) for _ in range(count)]
        self._made = max(self._made, keys[-1] + 1)
        flags = "" if where.get("unread") else "S"
        self.dovecot.drop(
            self.address,
            [(letter(key), flags) for key in keys],
            folder,
            moments=[START // 1000 + key * 60 for key in keys],
        )
        return [self.id_of(key) for key in keys]

    def deliver(self, **where: Any) -> str:
        return self.add(1, **({"unread": True} | where))[0]

    def id_of(self, key: int) -> str:
        raw = letter(key)
        header = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        return imap_text.identity(imap_text.Told(0, moment=START // 1000 + key * 60, size=len(raw), body=header))

    def key(self, remote_id: str) -> int:
        made = next((key for key in range(self._made) if self.id_of(key) == remote_id), None)
        if made is not None:
            return made
        return next(key for key, held in self.side.messages.items() if held.remote_id == remote_id)

    def folder_key(self, place: str) -> str:
        return _KEYS.get(place, place if place in PLACES else f"x:{place}")

    def truth(self) -> dict[str, State | None]:
        found: dict[str, State | None] = {}
        for name in self.admin.names():
            for one in self.admin.fetch(name, "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"):
                if not imap_text.is_deleted(one["marks"]):
                    found[self.id_of(_number(one["body"]))] = imap_text.state(one["marks"], self.folder_key(name))
        return found

    def state(self, key: int) -> State:
        found = self.truth()[self.id_of(key)]
        assert found is not None
        return found

    def move(self, remote_id: str, place: str) -> None:
        self.admin.move(self.key(remote_id), PLACES.get(place, place))

    def read(self, remote_id: str, unread: bool = False) -> None:
        name, uid = self.admin.find(self.key(remote_id))
        self.admin.store(name, uid, "-FLAGS" if unread else "+FLAGS", r"\Seen")

    def new_folder(self, name: str) -> str:
        self.admin.create(name)
        return name


class WithoutResync(ImapWorld):
    """A server that counts changes and does not tell what vanished, as Gmail does."""

    capability = "IMAP4rev1 LITERAL+ IDLE NAMESPACE UIDPLUS MOVE ENABLE CONDSTORE ESEARCH SPECIAL-USE LIST-EXTENDED ID"


class Bare(ImapWorld):
    """A server of 1998."""

    capability = "IMAP4rev1"


class Empty(ImapWorld):
    """A mailbox that was just made: nothing but an inbox."""

    bare = True


__all__ = ["Bare", "Callable", "Empty", "ImapWorld", "Iterator", "WithoutResync", "os"]
