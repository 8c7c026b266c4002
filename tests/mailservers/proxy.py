"""A man in the middle for tests: passes IMAP or SMTP on, counts the commands, and cuts the line where it is told to.

Clients meet TLS with a certificate made for it; the real server behind is spoken to without, on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crmmail.sandbox import tls

_LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n$")


@dataclass(slots=True)
class Cut:
    """What to do when a command that `pattern` finds comes for the `nth` time.

    `how`: before (the server never hears it), after (carried out, and the answer lost), midway (the answer ends after
    `size` bytes), answer (the server never hears it; `told` is said in its place, {tag} being the command's), silent
    (the server never hears it, and nothing is said). `every`: each time again after so many.
    """

    pattern: str
    how: str = "after"
    nth: int | range = 1
    every: int = 0
    when: Callable[[bytes], bool] = lambda _command: True
    size: int = 40
    told: bytes = b""
    times: int = 1
    seen: int = 0
    fired: int = 0

    def meets(self, command: bytes) -> bool:
        if self.fired >= self.times or not re.search(self.pattern.encode(), command, re.I) or not self.when(command):
            return False
        self.seen += 1
        if self.every:
            due = self.seen % self.every == 0
        else:
            due = self.seen in self.nth if isinstance(self.nth, range) else self.seen >= self.nth
        self.fired += due
        return due


@dataclass(slots=True)
class _Pair:
    client: ssl.SSLSocket
    server: socket.socket
    said: bytearray = field(default_factory=bytearray)
    literal: int = 0  # bytes of one that are still to come
    inside: bool = False  # the next line belongs to the command before
    held: Cut | None = None  # the answer to the last command is not passed on as it is
    tag: bytes = b""
    passed: int = 0
    answer: bytearray = field(default_factory=bytearray)

    def end(self) -> None:
        for line in (self.client, self.server):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                line.close()


class Proxy:
    """Listens on `port`; `commands` are the lines clients sent, in order, without passwords and literals."""

    def __init__(self, upstream: int, *, kind: str = "good", protocol: str = "imap") -> None:
        self._upstream = upstream
        self._kind = kind
        self._protocol = protocol
        self.commands: list[str] = []
        self.cuts: list[Cut] = []
        self.rewrite: Callable[[bytes], bytes] | None = None
        self.refusing = False
        self._pairs: list[_Pair] = []

    def __enter__(self) -> Proxy:
        self._folder = tempfile.TemporaryDirectory(prefix="proxy")
        self._context, ca_file = tls.context(Path(self._folder.name), self._kind)
        self.ca_file = str(ca_file)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.drop()
        self._folder.cleanup()

    def drop(self) -> None:
        """Cut every connection there is."""
        for pair in list(self._pairs):
            pair.end()

    def cut(self, pattern: str, how: str = "after", **options: object) -> Cut:
        """Arm a cut."""
        made = Cut(pattern, how, **options)  # type: ignore[arg-type]
        self.cuts.append(made)
        return made

    @contextlib.contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The commands sent while this is open."""
        counted: list[str] = []
        before = len(self.commands)
        yield counted
        counted += self.commands[before:]

    def _serve(self) -> None:
        while True:
            try:
                raw, _address = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(raw,), daemon=True).start()

    def _meet(self, raw: socket.socket) -> None:
        if self.refusing:
            raw.close()
            return
        try:
            client = self._context.wrap_socket(raw, server_side=True)
            pair = _Pair(client, socket.create_connection(("127.0.0.1", self._upstream)))
            for line in (client, pair.server):  # or the second of two small pieces waits 40 ms for an acknowledgement
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ssl.SSLError):
            raw.close()
            return
        self._pairs.append(pair)
        try:
            self._carry(pair)
        except (OSError, ValueError):
            pass
        finally:
            pair.end()
            with contextlib.suppress(ValueError):
                self._pairs.remove(pair)

    def _carry(self, pair: _Pair) -> None:
        """One thread for both ways: a TLS line may not be read and written by two at once."""
        while True:
            waiting = [pair.client] if pair.client.pending() else []
            ready = waiting or select.select([pair.client, pair.server], [], [])[0]
            for line in ready:
                told = line.recv(65536)
                if not told:
                    return
                if not (self._heard(pair, told) if line is pair.client else self._answer(pair, told)):
                    return

    # What the client says

    def _heard(self, pair: _Pair, told: bytes) -> bool:
        """Pass on what the client said, line by line; False when the line is to be cut."""
        pair.said += told
        while pair.said:
            if pair.literal:
                piece = bytes(pair.said[: pair.literal])
                pair.literal -= len(piece)
                del pair.said[: len(piece)]
                pair.server.sendall(piece)
                continue
            end = pair.said.find(b"\n")
            if end < 0:
                return True
            line = bytes(pair.said[: end + 1])
            del pair.said[: end + 1]
            if not self._passed(pair, b"" if pair.inside else line, line):
                return False
            found = _LITERAL.search(line) if self._protocol == "imap" else None
            pair.literal = int(found[1]) if found else 0
            pair.inside = found is not None
        return True

    def _passed(self, pair: _Pair, command: bytes, line: bytes) -> bool:
        cut = self._noted(pair, command) if command else None
        if cut is not None and cut.how == "before":
            return False
        if cut is not None and cut.how == "silent":
            return True
        if cut is not None and cut.how == "answer":
            pair.client.sendall(cut.told.replace(b"{tag}", pair.tag))
            return True
        if cut is not None:
            pair.answer.clear()
            pair.passed = 0
            pair.held = cut
        pair.server.sendall(line)
        return True

    def _noted(self, pair: _Pair, command: bytes) -> Cut | None:
        text = command.rstrip()
        if self._protocol == "imap":
            tag, _space, rest = text.partition(b" ")
            if not rest and tag != b"DONE":
                return None  # the answer to a challenge
            pair.tag, text = tag, rest or tag
        secret = re.match(rb"(?i)(LOGIN|AUTHENTICATE \w+|AUTH \w+)", text)
        self.commands.append((secret[0] if secret else text).decode("utf-8", "replace"))
        return next((cut for cut in self.cuts if cut.meets(text)), None)

    # What the server says

    def _answer(self, pair: _Pair, told: bytes) -> bool:
        if pair.held is not None:
            return self._kept_back(pair, pair.held, told)
        pair.client.sendall(self.rewrite(told) if self.rewrite else told)
        return True

    def _kept_back(self, pair: _Pair, cut: Cut, told: bytes) -> bool:
        """False when the line is to be cut now."""
        pair.answer += told
        if cut.how == "midway":
            left = cut.size - pair.passed
            pair.client.sendall(told[: max(left, 0)])
            pair.passed += len(told)
            return pair.passed < cut.size
        return not self._answered(pair)

    def _answered(self, pair: _Pair) -> bool:
        if self._protocol == "imap":
            if pair.answer.startswith(b"+ "):  # asked to go on with a literal: that is not the answer
                pair.client.sendall(bytes(pair.answer))
                pair.answer.clear()
                return False
            return re.search(rb"(?:^|\n)" + re.escape(pair.tag) + rb" [^\n]*\n", bytes(pair.answer)) is not None
        if re.match(rb"3\d\d ", pair.answer):
            pair.client.sendall(bytes(pair.answer))
            pair.answer.clear()
            return False
        return re.search(rb"(?:^|\n)\d\d\d [^\n]*\n", bytes(pair.answer)) is not None
