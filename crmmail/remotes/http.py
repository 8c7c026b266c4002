"""HTTP as a mail API needs it: one kept-alive connection, every call bounded in time and size, the token kept home.

`client` builds the httpx.Client; `Wire` adds what httpx has no word for: a deadline for a whole call (a server that
drips one byte every few seconds never trips a read timeout), a cap on the unpacked answer, an end called from
another thread, and errors of our own tree instead of httpx's. httpx is imported at the first call, not before.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmmail import __version__
from crmmail.errors import CrmMailError, Offline, Rejected, RemoteError, SettingsError, Transient
from crmmail.i18n import _
from crmmail.remotes import refusals

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
CALL_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 100.0
SLOWEST_BYTES = 16 * 1024
"""Bytes a second that extend the deadline of a raw message, either way: 25 MB over a slow line are worth it."""
JSON_LIMIT = 16 * 1024 * 1024
RAW_LIMIT = 64 * 1024 * 1024
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class TooLarge(Transient):
    """The answer was bigger than the cap and has been dropped; ask for less."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are lower case; `body` is unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Transient for anything else: the page is dropped whole."""
        payload = decoded(self.body)
        if not isinstance(payload, dict):
            raise Transient(_("The server's answer was cut off or makes no sense."), status=self.status)
        return payload


def decoded(body: bytes) -> Any:
    """`body` as JSON, None when it is not."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def client(
    base_url: str,
    auth: httpx.Auth | None,
    ca_file: str | Path | None = None,
    *,
    connect: float = CONNECT_SECONDS,
    read: float = READ_SECONDS,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """An httpx.Client that keeps connections, verifies certificates, unpacks gzip and follows no redirect.

    `ca_file` is a PEM file trusted in addition. Raises SettingsError for an address without TLS outside this machine.
    """
    import httpx

    address = httpx.URL(base_url)
    local = address.host in _LOOPBACK
    if address.scheme != "https" and not (address.scheme == "http" and local):
        raise SettingsError(
            _("The address {url} is not protected (https).").format(url=base_url[:200]),
            next_step=_("Correct the server's address in the settings."),
        )
    return httpx.Client(
        base_url=base_url,
        auth=auth,
        verify=_trust(ca_file) if address.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        headers={"User-Agent": f"crmmail/{__version__} (gzip)", "Accept": "application/json"},
        timeout=httpx.Timeout(read, connect=connect),
        limits=httpx.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=KEEP_ALIVE_SECONDS),
        follow_redirects=False,
        trust_env=not local,  # a proxy of the environment has no business with this machine
        transport=transport,
    )


def _trust(ca_file: str | Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        # Python from python.org on macOS has no system store; Debian's is a folder read on demand and counts as 0.
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(Path(ca_file).expanduser())
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                _("The certificate file {path} cannot be used.").format(path=ca_file),
                next_step=_("ca_file must name a readable PEM file."),
            ) from error
    return context


class Wire:
    """Calls to one server. Safe for a few threads; `close()` may come from any and ends waiting calls."""

    def __init__(
        self,
        base_url: str,
        auth: httpx.Auth | None,
        ca_file: str | Path | None = None,
        *,
        scope: str = "",
        seconds: float = CALL_SECONDS,
        connect: float = CONNECT_SECONDS,
        read: float = READ_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._build: Callable[[], httpx.Client] = lambda: client(
            self._base, auth, ca_file, connect=connect, read=read, transport=transport
        )
        self._scope = scope
        self._seconds = seconds
        self._client: httpx.Client | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def json(self, method: str, url: str, *, scope: str = "", **options: Any) -> dict[str, Any]:
        """The JSON object a call answers, {} for an empty answer. Raises the error a refusal means."""
        answer = self.ok(method, url, scope=scope, **options)
        return answer.json() if answer.body else {}

    def ok(self, method: str, url: str, *, scope: str = "", **options: Any) -> Answer:
        """The answer of a call that succeeded. Raises the error a refusal means."""
        answer = self.call(method, url, **options)
        if answer.status >= 300:
            raise refusals.refusal(answer.status, decoded(answer.body), answer.headers, scope=scope or self._scope)
        return answer

    def call(
        self,
        method: str,
        url: str,
        *,
        limit: int = JSON_LIMIT,
        repeatable: bool = False,
        signed: bool = True,
        **options: Any,
    ) -> Answer:
        """One call, whatever its status. `url` is a path below the base or an address on the same host.

        Unless `signed` the call carries no token, and may then go to any protected address (an upload's own).

        `options` are httpx's params, json, content and headers. A kept-alive connection that the server closed just
        then costs nothing where the call may be made twice (GET, and what the caller says is `repeatable`): it is
        made once more on a fresh one. Raises Offline, Transient and what auth raises.
        """
        try:
            return self._exchange(method, url, limit, signed, options)
        except _StaleConnection as stale:
            if method != "GET" and not repeatable:
                raise stale.error from stale
        try:
            return self._exchange(method, url, limit, signed, options)
        except _StaleConnection as stale:
            raise stale.error from stale

    def relative(self, link: str) -> str:
        """A link of the server's as a path below our base. Raises Transient when it lies elsewhere."""
        path = self._target(link).removeprefix(self._base)
        if not path.startswith("/"):
            raise Transient(_("The server's answer was cut off or makes no sense."))
        return path

    def close(self) -> None:
        """End all connections; a call that waits raises Offline."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        self._cut()
        if client is not None:
            client.close()

    def _exchange(self, method: str, url: str, limit: int, signed: bool, options: dict[str, Any]) -> Answer:
        client = self._connected()
        target = self._target(url) if signed else self._elsewhere(url)
        with self._watched() as watch:
            watch.heard(len(options.get("content") or b""))
            try:
                request = client.build_request(method, target, extensions={"trace": watch.trace}, **options)
                response = client.send(request, stream=True) if signed else client.send(request, stream=True, auth=None)
                try:
                    body = _read(response, limit, watch)
                finally:
                    response.close()
            except CrmMailError:
                raise
            except Exception as error:
                ours = self._translated(error, watch)
                if ours is None:
                    raise
                raise ours from error
        return Answer(response.status_code, {name.lower(): text for name, text in response.headers.items()}, body)

    def _connected(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise Offline(_("The connection was closed."))
            if self._client is None:
                self._client = self._build()
            return self._client

    def _target(self, url: str) -> str:
        """`url` made whole; refused when it would carry the token to another host than ours."""
        if "://" not in url:
            return self._base + url
        import httpx

        try:
            wanted, ours = httpx.URL(url), httpx.URL(self._base)
        except httpx.InvalidURL as error:
            raise Transient(_("The server's answer was cut off or makes no sense.")) from error
        if (wanted.scheme, wanted.host, wanted.port) != (ours.scheme, ours.host, ours.port) or wanted.userinfo:
            raise Transient(
                _("The server pointed to another one, {host}; it was not followed.").format(host=wanted.host[:100]),
                next_step=_("Check the server's address in the settings."),
            )
        return url

    def _elsewhere(self, url: str) -> str:
        """`url` of a call without a token: protected, or on this machine when our server is."""
        import httpx

        try:
            wanted, ours = httpx.URL(url), httpx.URL(self._base)
        except httpx.InvalidURL as error:
            raise Rejected(_("The server's answer was cut off or makes no sense.")) from error
        near = wanted.host in _LOOPBACK and ours.host in _LOOPBACK
        if wanted.userinfo or not wanted.host or not (wanted.scheme == "https" or (wanted.scheme == "http" and near)):
            raise Rejected(
                _("The server pointed to another one, {host}; it was not followed.").format(host=wanted.host[:100])
            )
        return url

    @contextlib.contextmanager
    def _watched(self) -> Iterator[_Watch]:
        watch = _Watch(self._seconds, self._remember)
        threading.Thread(target=watch.guard, args=(self._cut,), name="crmmail-deadline", daemon=True).start()
        try:
            yield watch
        finally:
            watch.done.set()

    def _remember(self, line: socket.socket) -> None:
        with self._lock:
            self._sockets.add(line)

    def _cut(self) -> None:
        with self._lock:
            lines = list(self._sockets)
        for line in lines:
            with contextlib.suppress(OSError):  # already closed
                line.shutdown(socket.SHUT_RDWR)

    def _translated(self, error: Exception, watch: _Watch) -> Exception | None:
        """The error of our tree for one of httpx's, None when it is a defect."""
        import httpx

        if self._closed:
            return Offline(_("The connection was closed."))
        if watch.expired:
            return Offline(_("The server took too long to answer."))
        if not isinstance(error, httpx.HTTPError | httpx.StreamError | OSError):
            return None
        told = _told(error, watch)
        dropped = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
        return _StaleConnection(told) if dropped and not watch.fresh and not watch.answered else told


class _StaleConnection(Exception):
    """A kept-alive connection turned out to be dead before anything was answered."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__()
        self.error = error


class _Watch:
    """The deadline of one call, and what is known of its connection."""

    def __init__(self, seconds: float, remember: Callable[[socket.socket], None]) -> None:
        self.done = threading.Event()
        self.expired = False
        self.fresh = False  # a new connection was made for this call
        self.answered = False
        self._until = time.monotonic() + seconds
        self._remember = remember

    def guard(self, cut: Callable[[], None]) -> None:
        """Runs in its own thread: when the deadline passes, cut the connections so that the reader wakes."""
        while (left := self._until - time.monotonic()) > 0:
            if self.done.wait(left):
                return
        self.expired = True
        cut()

    def heard(self, count: int) -> None:
        """`count` bytes of body came, or have to go: a real transfer may take its time."""
        self._until += count / SLOWEST_BYTES

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's trace extension: remember each socket, so that it can be shut from outside."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self.fresh = True
            line = info["return_value"].get_extra_info("socket")
            if isinstance(line, socket.socket):
                self._remember(line)


def _read(response: httpx.Response, limit: int, watch: _Watch) -> bytes:
    watch.answered = True
    told = response.headers.get("content-length", "")
    patient = limit > JSON_LIMIT
    if told.isdigit() and int(told[:12]) > limit:
        raise TooLarge(_("The server's answer was too large and was dropped."), status=response.status_code)
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > limit:
            raise TooLarge(_("The server's answer was too large and was dropped."), status=response.status_code)
        if patient:
            watch.heard(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def _told(error: Exception, watch: _Watch) -> RemoteError:
    import httpx

    if _about_certificates(error):
        return Transient(
            _("The server could not prove who it is: its certificate is not trusted."),
            title=_("Certificate"),
            next_step=_("Check the date of this computer and the network; ca_file names a company's own authority."),
        )
    if isinstance(error, httpx.TimeoutException):
        return Offline(_("The server did not answer in time."))
    if watch.answered or isinstance(error, httpx.DecodingError):
        return Transient(_("The server's answer was cut off or makes no sense."))
    return Offline(_("The server cannot be reached."))


def _about_certificates(error: BaseException | None) -> bool:
    for _depth in range(8):
        if error is None:
            return False
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
