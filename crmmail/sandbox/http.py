"""HTTP/1.1 by hand, on sockets, so that every way a connection can go wrong can be played.

One thread per connection, keep-alive, gzip when asked. A `Listener` knows nothing of mail: it reads a `Request`,
asks its application for a `Response` and writes it, with the faults the application planned for it on the way.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from crmmail.sandbox.faults import Fault

MAX_LINE = 65_536
MAX_BODY = 200 * 1024 * 1024  # Gmail takes 150 MiB on import
GZIP_FROM = 400  # bytes; smaller answers are sent as they are


@dataclass(slots=True)
class Request:
    """What a client asked. `path` is as sent (percent-encoded); `match` holds the route's groups, decoded."""

    method: str
    target: str
    headers: Message | Mapping[str, str]
    body: bytes = b""
    scheme: str = "http"
    connection: int = 0
    inner: bool = False  # came inside a batch
    match: dict[str, str] = field(default_factory=dict)
    path: str = ""
    query: list[tuple[str, str]] = field(default_factory=list)
    user: str = ""  # set once the bearer token is known

    def __post_init__(self) -> None:
        self.path, _, query = self.target.partition("?")
        self.query = parse_qsl(query, keep_blank_values=True)

    def header(self, name: str, default: str = "") -> str:
        """A header's value, whatever the case of its name."""
        if isinstance(self.headers, Message):
            return str(self.headers.get(name) or default)
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), default)

    def one(self, name: str, default: str = "") -> str:
        """The query parameter `name`, the last one when it is repeated."""
        return next((value for key, value in reversed(self.query) if key == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of the query parameter `name`, in order."""
        return [value for key, value in self.query if key == name]

    def json(self) -> Any:
        """The body as JSON ({} when empty). Raises ValueError."""
        return json.loads(self.body) if self.body.strip() else {}

    def form(self) -> dict[str, str]:
        """The body as application/x-www-form-urlencoded."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def base(self) -> str:
        """Where this request came in, as `http://host:port`: absolute links start with it."""
        return f"{self.scheme}://{self.header('Host', '127.0.0.1')}"


@dataclass(slots=True)
class Response:
    """What the client is answered. Build one with `Response.of`, `Response.text` or `Response.redirect`."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Response:
        """JSON. Header names are given with underscores: `Retry_After="3"`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return cls(status, body, {"Content-Type": "application/json; charset=utf-8", **named})

    @classmethod
    def text(cls, value: str, status: int = 200, kind: str = "text/plain; charset=utf-8") -> Response:
        """Text of any content type."""
        return cls(status, value.encode("utf-8", "replace"), {"Content-Type": kind})

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Response:
        """A redirection."""
        return cls(status, b"", {"Location": location})

    def json(self) -> Any:
        """The body read back as JSON (None when empty)."""
        return json.loads(self.body) if self.body else None


class Application(Protocol):
    """What a listener serves."""

    def plan(self, request: Request) -> list[Fault]:
        """The transport faults this request meets."""
        ...

    def plan_read(self, request: Request) -> list[Fault]:
        """Those it meets now that its body is read."""
        ...

    def respond(self, request: Request) -> Response:
        """The answer; never raises."""
        ...

    def compresses(self, request: Request) -> bool:
        """Whether the answer to `request` may be sent as gzip."""
        ...

    def now(self) -> float:
        """The server's clock, seconds since the epoch."""
        ...


def encode(response: Response, *, compress: bool, now: float, head_only: bool = False) -> tuple[bytes, bytes]:
    """The bytes of the response: (head, body)."""
    headers = dict(response.headers)
    body = response.body
    if compress and len(body) >= GZIP_FROM and "Content-Encoding" not in headers:
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    if not (response.status in (204, 304) or response.status < 200):
        headers.setdefault("Content-Length", str(len(body)))
    headers.setdefault("Date", formatdate(now, usegmt=True))
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}", *(f"{n}: {v}" for n, v in headers.items())]
    head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
    return head, b"" if head_only else body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"


class Wire:
    """One connection: reads requests, writes bytes, breaks when told to."""

    def __init__(self, sock: socket.socket, scheme: str, number: int, stopping: threading.Event) -> None:
        self.sock = sock
        self.scheme = scheme
        self.number = number
        self.stopping = stopping
        self.reader: BinaryIO = sock.makefile("rb")
        self.open: bool = True

    def alive(self) -> bool:
        """Whether nobody has closed or reset it here."""
        return self.open

    def read_head(self) -> Request | None:
        """The next request with its body still unread; None when the client has gone or speaks something else."""
        line = self.reader.readline(MAX_LINE + 1)
        while line in (b"\r\n", b"\n"):
            line = self.reader.readline(MAX_LINE + 1)
        parts = line.decode("latin-1").split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return None
        headers = http.client.parse_headers(self.reader)
        target = re.sub(r"^https?://[^/]*", "", parts[1])
        return Request(parts[0].upper(), target, headers, scheme=self.scheme, connection=self.number)

    def read_body(self, request: Request) -> None:
        """Read the body into `request`."""
        if request.header("Expect").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.header("Transfer-Encoding").lower() == "chunked":
            request.body = self._chunks()
        else:
            request.body = self.reader.read(min(int(request.header("Content-Length", "0")), MAX_BODY))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.reader.readline(MAX_LINE).split(b";")[0] or b"0", 16):
            body += self.reader.read(size)
            self.reader.readline(MAX_LINE)
        while self.reader.readline(MAX_LINE) not in (b"\r\n", b"\n", b""):
            pass
        return body

    def send(self, octets: bytes) -> None:
        """Write all of it."""
        self.sock.sendall(octets)

    def wait(self, seconds: float) -> None:
        """Sleep, but not past the server's end."""
        self.stopping.wait(seconds)

    def close(self) -> None:
        """End the connection in good order."""
        self.open = False
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self._release()

    def reset(self) -> None:
        """End the connection with a TCP reset: the client gets ECONNRESET."""
        self.open = False
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._release()

    def _release(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.reader.close()
        with contextlib.suppress(OSError):
            self.sock.close()


class Listener:
    """A port on 127.0.0.1 that serves `application`, over TLS when given a context."""

    def __init__(self, application: Application, *, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.application = application
        self.context = context
        self.scheme = "https" if context else "http"
        self._wires: dict[Wire, None] = {}
        self._lock = threading.Lock()
        self._connections = 0
        self._stopping = threading.Event()
        self._socket = self._bind(port)
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`"""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @staticmethod
    def _bind(port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return sock

    def open(self) -> None:
        """Accept connections."""
        self._stopping = threading.Event()
        self._socket.listen(128)
        threading.Thread(target=self._accept, args=(self._socket, self._stopping), daemon=True).start()

    def close(self, *, keep_port: bool = False) -> None:
        """Refuse connections and end those there are; `keep_port` holds the port for a later `open`."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._socket.close()
        with self._lock:
            wires = list(self._wires)
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        if keep_port:
            self._socket = self._bind(self.port)  # bound but not listening: the kernel refuses for us

    def _accept(self, listening: socket.socket, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                sock, _peer = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(sock, stopping), daemon=True).start()

    def _converse(self, sock: socket.socket, stopping: threading.Event) -> None:
        wire = None
        try:
            wire = self._greet(sock, stopping)
            while wire.alive() and not stopping.is_set() and (request := wire.read_head()):
                self._exchange(wire, request)
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the client went away, or does not speak HTTP: nothing to answer
        finally:
            if wire is None:
                sock.close()
            else:
                with self._lock:
                    self._wires.pop(wire, None)
                if wire.alive():
                    wire.close()

    def _greet(self, sock: socket.socket, stopping: threading.Event) -> Wire:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            sock.settimeout(10)
            sock = self.context.wrap_socket(sock, server_side=True)
            sock.settimeout(None)
        with self._lock:
            self._connections += 1
            wire = Wire(sock, self.scheme, self._connections, stopping)
            self._wires[wire] = None
        return wire

    def _exchange(self, wire: Wire, request: Request) -> None:
        faults = self.application.plan(request)
        for fault in faults:
            fault.before_body(wire)
        if not wire.alive():
            return
        wire.read_body(request)
        faults += self.application.plan_read(request)
        for fault in faults:
            fault.before_work(wire, request)
        if not wire.alive():
            return
        response = self.application.respond(request)
        compress = "gzip" in request.header("Accept-Encoding") and self.application.compresses(request)
        for fault in faults:
            response = fault.on_response(request, response)
        head, body = encode(response, compress=compress, now=self.application.now(), head_only=request.method == "HEAD")
        for fault in faults:
            if wire.alive():
                head, body = fault.on_wire(wire, head, body)
        if not wire.alive():
            return
        wire.send(head + body)
        if request.header("Connection").lower() == "close":
            wire.close()
