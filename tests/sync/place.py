"""A small server in memory, with a script of troubles: what the tests of one step need before any HTTP exists.

The real judge is the sandbox (tests/faults); this one shows single situations quickly and exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from crmmail import ops
from crmmail.errors import CursorExpired
from crmmail.model import Ack, Capabilities, Folder, Incoming, Mailbox, Page, Patch, Role, State, Wish

ABLE = Capabilities(labels=True, favorites=True, archive=True, trash=True, delete_forever=True)
SYSTEM = (Role.INBOX, Role.DRAFTS, Role.SENT, Role.TRASH, Role.SPAM)
NOON = 1_790_000_000_000  # ms


def raw(number: int) -> bytes:
    """The message `number`, complete."""
    return (
        f"From: Ana <ana@example.com>\r\nTo: me@example.org\r\nSubject: Message {number}\r\n"
        f"Message-ID: <m{number}@example.com>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nText {number}.\r\n"
    ).encode()


@dataclass
class Place:
    """What the server holds. `history` grows by one entry for each change; a cursor is a position in it."""

    messages: dict[str, State] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    forgotten: int = 0  # history before this position is no longer known
    ledger: list[str] = field(default_factory=list)  # every write that was accepted
    calls: list[str] = field(default_factory=list)
    withheld: set[str] = field(default_factory=set)  # ids whose body is never given
    count_off_by: int = 0  # what its folder counts say too much

    def arrive(self, number: int, folders: Iterable[str] = ("inbox",), *, unread: bool = True) -> str:
        remote_id = f"m{number}"
        self.messages[remote_id] = State(frozenset(folders), unread)
        self.received[remote_id] = NOON + number * 1000
        self.history.append(remote_id)
        return remote_id

    def change(self, remote_id: str, state: State | None) -> None:
        """Another client changes a message; None deletes it for good."""
        if state is None:
            del self.messages[remote_id]
        else:
            self.messages[remote_id] = state
        self.history.append(remote_id)

    def forget(self) -> None:
        """Every cursor given so far is worthless from now on."""
        self.history.append("")
        self.forgotten = len(self.history)

    def folders(self, mailbox: str) -> tuple[Folder, ...]:
        return tuple(
            Folder(
                mailbox, role.value, role, role.value.title(), role.value.upper(), server_total=self._total(role.value)
            )
            for role in SYSTEM
        )

    def _total(self, key: str) -> int:
        total = sum(key in state.folders for state in self.messages.values())
        return total + (self.count_off_by if key == "inbox" else 0)


class Fake:
    """The remote of a `Place`. `script` maps the name of a call to errors raised by the next ones, None passing."""

    def __init__(self, mailbox: str, place: Place, *, page: int = 10, whole: bool = True) -> None:
        self.mailbox = mailbox
        self.capabilities = ABLE
        self.place = place
        self.page = page
        self.whole = whole
        self.script: dict[str, list[Exception | None]] = {}
        self.answers: dict[str, list[Exception]] = {}  # remote id → errors of its next acks
        self.before_page: Callable[[], None] = lambda: None
        self.closed = False

    def _call(self, name: str, about: str = "") -> None:
        self.place.calls.append(f"{name} {about}".strip())
        due = self.script.get(name)
        if due and (error := due.pop(0)) is not None:
            raise error

    def changes(self, cursor: str, known: Callable[[Iterable[str]], frozenset[str]]) -> Iterator[Page]:
        self._call("changes", cursor)
        if not cursor:
            yield from self._everything(known)
            return
        start = int(cursor)
        if start < self.place.forgotten:
            raise CursorExpired("Forgotten.", status=404, reason="notFound")
        yield self._since(start, known)

    def _everything(self, known: Callable[[Iterable[str]], frozenset[str]]) -> Iterator[Page]:
        position = str(len(self.place.history))
        keep = frozenset(self.place.messages)
        ids = sorted(self.place.messages, key=lambda one: -self.place.received[one])
        for start in range(0, len(ids), self.page):
            self.before_page()
            self._call("page")
            part = [one for one in ids[start : start + self.page] if one in self.place.messages]
            have = known(part)
            yield Page(
                "",
                tuple(self._incoming(one) for one in part if one not in have),
                tuple(Patch(one, self.place.messages[one]) for one in part if one in have),
                folders=self.place.folders(self.mailbox) if start == 0 else None,
                progress=(start + len(part), len(ids)),
            )
        yield Page(position, folders=self.place.folders(self.mailbox), keep=keep, complete=True)

    def _since(self, start: int, known: Callable[[Iterable[str]], frozenset[str]]) -> Page:
        self.before_page()
        touched = dict.fromkeys(one for one in self.place.history[start:] if one)
        there = [one for one in touched if one in self.place.messages]
        have = known(there)
        return Page(
            str(len(self.place.history)),
            tuple(self._incoming(one) for one in there if one not in have),
            tuple(Patch(one, self.place.messages[one]) for one in there if one in have),
            removals=tuple(one for one in touched if one not in self.place.messages),
            folders=self.place.folders(self.mailbox),
            complete=True,
        )

    def _incoming(self, remote_id: str) -> Incoming:
        body = raw(int(remote_id[1:])) if self.whole else None
        return Incoming(remote_id, self.place.messages[remote_id], self.place.received[remote_id], body)

    def apply(self, wishes: Sequence[Wish]) -> Iterator[Ack]:
        self._call("apply", str(len(wishes)))
        for wish in wishes:
            self._call("wish", wish.remote_id)
            if errors := self.answers.get(wish.remote_id):
                yield Ack(wish.remote_id, error=errors.pop(0))
            else:
                yield self._obey(wish)

    def _obey(self, wish: Wish) -> Ack:
        before = self.place.messages.get(wish.remote_id)
        if before is None:
            return Ack(wish.remote_id, State(gone=True))
        after = ops.apply(before, wish.delta)
        if after != before:
            self.place.ledger.append(wish.remote_id)
            self.place.change(wish.remote_id, None if after.gone else after)
        return Ack(wish.remote_id, after)

    def bodies(self, remote_ids: Sequence[str]) -> Iterator[Incoming]:
        self._call("bodies", " ".join(remote_ids))
        for remote_id in remote_ids:
            if remote_id in self.place.messages and remote_id not in self.place.withheld:
                yield replace(self._incoming(remote_id), raw=raw(int(remote_id[1:])))

    def close(self) -> None:
        self.closed = True


def mailbox(name: str = "a") -> Mailbox:
    """A mailbox whose server can do everything."""
    return Mailbox(name, "gmail", f"{name}@example.org", capabilities=ABLE)
