"""A server that says what a test wants it to, whatever it is asked: garbage, lies, lines without an end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from crmmail.sandbox import tls

Script = Callable[[socket.socket], None]


class Scripted:
    """Runs `script` on each connection; with `protected` after a TLS handshake."""

    def __init__(self, script: Script, *, protected: bool = True, kind: str = "good") -> None:
        self._script = script
        self._protected = protected
        self._kind = kind

    def __enter__(self) -> Scripted:
        self._folder = tempfile.TemporaryDirectory(prefix="scripted")
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
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                raw, _address = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(raw,), daemon=True).start()

    def _meet(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            line = self._context.wrap_socket(raw, server_side=True) if self._protected else raw
            with line:
                self._script(line)


def answering(greeting: bytes, answers: dict[bytes, bytes], heard: list[bytes] | None = None) -> Script:
    """Greets, then answers each command line by the first key found in it ({tag} is the command's first word)."""

    def script(line: socket.socket) -> None:
        line.sendall(greeting)
        for command in line.makefile("rb"):
            if heard is not None:
                heard.append(command)
            tag = command.split(b" ")[0].strip()
            told = next((told for key, told in answers.items() if key in command.upper()), b"{tag} BAD unknown\r\n")
            line.sendall(told.replace(b"{tag}", tag))

    return script


def saying(*pieces: bytes) -> Script:
    """Says the pieces and hangs up."""

    def script(line: socket.socket) -> None:
        for piece in pieces:
            line.sendall(piece)

    return script
