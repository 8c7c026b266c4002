"""The sandbox: a Gmail, a Graph, their OAuth and a SharpSpring on 127.0.0.1, the same in plain HTTP and over TLS.

    with Sandbox([User("ana@example.com", "gmail"), User("bruno@example.com", "outlook")]) as sandbox:
        sandbox.users["ana@example.com"].mailbox.deliver(raw)
        token = sandbox.grants.issue("ana@example.com", "https://www.googleapis.com/auth/gmail.modify")
        httpx.get(sandbox.http_url + "/gmail/v1/users/me/profile", headers={"Authorization": f"Bearer {token}"})

Gmail answers below `/gmail/v1`, `/upload/gmail/v1`, `/resumable/upload/gmail/v1` and `/batch/gmail/v1`, Graph below
`/v1.0`, SharpSpring at `/pubapi/v1.2/`, the sandbox's own levers below `/__sandbox/`.
"""

from __future__ import annotations

import importlib
import re
import secrets
import shutil
import tempfile
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from crmmail.sandbox import ledger as ledger_module
from crmmail.sandbox.faults import Fault, Faults
from crmmail.sandbox.http import Listener, Request, Response
from crmmail.sandbox.ledger import Asked, Ledger
from crmmail.sandbox.mailbox import Mailbox

LEVERS = "/__sandbox/"
Handler = Callable[["Sandbox", Request], Response]
Route = tuple[str, str, Handler]  # method, regular expression for the whole path (with named groups), handler
MODULES = (
    "gmail",
    "gmail_threads",
    "gmail_labels",
    "gmail_batch",
    "gmail_write",
    "graph_delta",
    "graph_folders",
    "graph",
    "graph_batch",
    "graph_write",
    "graph_attach",
    "sharpspring",
    "admin",
    "oauth",
)  # each has a ROUTES: list[Route]


class Clock:
    """The server's clock. Tests move it instead of waiting."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self.offset = 0.0

    def __call__(self) -> float:
        """Seconds since the epoch, as this server sees them."""
        return self._base() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass (or go back)."""
        self.offset += seconds


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bearer token allows."""

    token: str
    user: str
    scopes: frozenset[str]
    expires: float  # seconds since the epoch, on the sandbox's clock
    revoked: bool = False


class Grants:
    """Every access token given out: token → user, scopes, expiry, revoked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}

    def issue(self, user: str, scopes: str | Iterable[str], lifetime: float = 3600) -> str:
        """A new access token for `user`; `scopes` as a list or as one string with spaces."""
        named = frozenset(scopes.split() if isinstance(scopes, str) else scopes)
        token = "sandbox." + secrets.token_urlsafe(32)
        with self._lock:
            self._grants[token] = Grant(token, user.lower(), named, self._clock() + lifetime)
        return token

    def find(self, token: str) -> Grant | None:
        """The grant of a token that is known, not revoked and not expired."""
        grant = self._grants.get(token)
        return grant if grant and not grant.revoked and grant.expires > self._clock() else None

    def known(self, token: str) -> Grant | None:
        """The grant of a token, good or not."""
        return self._grants.get(token)

    def of(self, user: str) -> list[Grant]:
        """Every grant of a user, the oldest first."""
        return [grant for grant in self._grants.values() if grant.user == user.lower()]

    def revoke(self, token: str) -> None:
        """This token is no longer good."""
        self._replace([token], revoked=True)

    def revoke_all(self, user: str) -> None:
        """No token of this user is good any more (consent withdrawn, password changed)."""
        self._replace([grant.token for grant in self.of(user)], revoked=True)

    def expire(self, user: str) -> None:
        """Every token of this user has run out."""
        self._replace([grant.token for grant in self.of(user)], expires=self._clock() - 1)

    def _replace(self, tokens: Iterable[str], *, revoked: bool | None = None, expires: float | None = None) -> None:
        with self._lock:
            for token in tokens:
                old = self._grants[token]
                self._grants[token] = Grant(
                    old.token,
                    old.user,
                    old.scopes,
                    old.expires if expires is None else expires,
                    old.revoked if revoked is None else revoked,
                )


@dataclass(slots=True)
class User:
    """Somebody with a mailbox here. There are no passwords: the sign-in pages ask only who you are."""

    address: str
    provider: str = "gmail"  # gmail | outlook
    name: str = ""
    mailbox: Mailbox = field(default=None, repr=False)  # type: ignore[assignment]  # the Sandbox sets it

    def __post_init__(self) -> None:
        self.address = self.address.lower()
        self.name = self.name or self.address.partition("@")[0].title()


@dataclass(slots=True)
class Limits:
    """What the providers limit. Change one to see what happens."""

    gmail_batch_concurrency: int = 25  # inner requests beyond it get 429
    gmail_units_per_minute: int = 0  # 0: counted, not enforced; the real one is 6,000
    graph_concurrency: int = 4  # requests in flight for one mailbox
    graph_body: int = 4 * 1024 * 1024  # bytes of a JSON or MIME request
    rewrite_message_id: bool = True  # Gmail, on send
    graph_rewrites_message_id: bool = False  # Exchange sometimes does
    send_lag: float = 0.0  # seconds until a sent mail is in Sent
    refused_recipients: frozenset[str] = frozenset()  # a mail to one of them is refused whole, as both APIs do
    skip_returned_messages: bool = True  # delta tells A→B→A only as removed (providers.md §2.3)


class Sandbox:
    """The servers. A context manager; or call `start` and `stop`."""

    def __init__(
        self,
        users: Iterable[User | tuple[str, str]] = (),
        *,
        clock: Callable[[], float] = time.time,
        port: int = 0,
        tls_port: int = 0,
        tls: str = "good",
        limits: Limits | None = None,
    ) -> None:
        self.clock = Clock(clock)
        self.ledger = Ledger()
        self.faults = Faults()
        self.grants = Grants(self.clock)
        self.limits = limits or Limits()
        self.users: dict[str, User] = {}
        self.state: dict[str, Any] = {}  # room for a module's own tables (sign-ins under way, …)
        self._ports = (port, tls_port)
        self._tls = tls
        self._listeners: list[Listener] = []
        self._directory: Path | None = None
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._busy: Counter[str] = Counter()
        self._due: list[tuple[float, Callable[[], Any]]] = []
        self._spent: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()
        for user in users:
            self.add_user(user if isinstance(user, User) else User(*user))

    # ---- life --------------------------------------------------------------------------------------------------

    def start(self) -> Sandbox:
        """Open both ports."""
        from crmmail.sandbox import tls

        self._routes = [(method, re.compile(path), handler) for method, path, handler in routes()]
        self._directory = Path(tempfile.mkdtemp(prefix="crmmail-sandbox-"))
        context, self._ca_file = tls.context(self._directory, self._tls)
        self._listeners = [
            Listener(self, port=self._ports[0]),
            Listener(self, port=self._ports[1], context=context),
        ]
        self.resume()
        return self

    def stop(self) -> None:
        """Close everything."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    def pause(self) -> None:
        """The server is down: connections end, new ones are refused. The ports stay ours."""
        for listener in self._listeners:
            listener.close(keep_port=True)

    def resume(self) -> None:
        """The server is back, on the same ports."""
        for listener in self._listeners:
            listener.open()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def http_url(self) -> str:
        """`http://127.0.0.1:port`"""
        return self._listeners[0].url

    @property
    def https_url(self) -> str:
        """`https://127.0.0.1:port`; its certificate also names localhost."""
        return self._listeners[1].url

    @property
    def ca_file(self) -> Path:
        """The authority to trust for `https_url`, as PEM."""
        return self._ca_file

    # ---- users -------------------------------------------------------------------------------------------------

    def add_user(self, user: User) -> User:
        """Give `user` a mailbox here."""
        address = user.address
        user.mailbox = user.mailbox or Mailbox(
            address,
            user.provider,
            name=user.name,
            clock=self.clock,
            note=self.ledger.accept,
            refusal=lambda item: self.faults.refusals.get((address, item)),
        )
        self.users[address] = user
        return user

    def mailbox(self, address: str) -> Mailbox:
        """The mailbox of `address`. Raises KeyError."""
        return self.users[address.lower()].mailbox

    def authorized(self, request: Request) -> Grant | None:
        """The good grant behind the request's bearer token."""
        scheme, _, token = request.header("Authorization").partition(" ")
        return self.grants.find(token.strip()) if scheme.lower() == "bearer" else None

    # ---- answering (http.Application) --------------------------------------------------------------------------

    def plan(self, request: Request) -> list[Fault]:
        """The faults this request meets on the wire."""
        self._name(request)
        return [] if request.path.startswith(LEVERS) else self.faults.plan(request)

    def plan_read(self, request: Request) -> list[Fault]:
        """The faults it meets now that its body is read."""
        return [] if request.path.startswith(LEVERS) else self.faults.plan_read(request)

    def _name(self, request: Request) -> None:
        grant = self.grants.known(request.header("Authorization").partition(" ")[2].strip())
        request.user = grant.user if grant else ""

    def respond(self, request: Request) -> Response:
        """Answer a request, and note it in the ledger. Also used for the inner requests of a batch."""
        if request.inner:
            self._name(request)
        self._run_due()
        if request.path.startswith(LEVERS):
            return self._dispatch(request)  # neither faulty nor on record
        token = ledger_module.current.set(request)
        try:
            response = self.faults.answer(request) or self._dispatch(request)
        except Exception:  # noqa: BLE001 - a server answers 500 and lives on
            self.ledger.failures.append(traceback.format_exc())
            response = Response.of({"error": {"code": 500, "message": "Internal error encountered."}}, 500)
        finally:
            ledger_module.current.reset(token)
        self._run_due()  # deliveries wait until the sender's mailbox is let go: two locks at once could deadlock
        self.ledger.ask(self._asked(request, response))
        return response

    def _dispatch(self, request: Request) -> Response:
        allowed = set()
        for method, pattern, handler in self._routes:
            if found := pattern.fullmatch(request.path):
                if method in (request.method, "*"):
                    request.match = {name: _decode(value) for name, value in found.groupdict().items()}
                    return handler(self, request)
                allowed.add(method)
        if allowed:
            return Response(405, b"", {"Allow": ", ".join(sorted(allowed))})
        return Response.of({"error": {"code": 404, "message": f"No such resource: {request.path}"}}, 404)

    def _asked(self, request: Request, response: Response) -> Asked:
        return Asked(
            len(self.ledger.requests) + 1,
            self.clock(),
            request.method,
            request.target,
            request.header("Host"),
            request.scheme,
            request.connection,
            bool(request.header("Authorization")),
            request.user,
            request.header("User-Agent"),
            request.header("Prefer"),
            len(request.body),
            request.inner,
            response.status,
            len(response.body),
        )

    def compresses(self, request: Request) -> bool:
        """Google compresses only for clients whose User-Agent says gzip too (providers.md §1.7)."""
        google = re.match(r"/(resumable/|upload/|batch/)*gmail/", request.path)
        return not google or "gzip" in request.header("User-Agent")

    def now(self) -> float:
        """The server's clock, for the Date header."""
        return self.clock()

    def later(self, seconds: float, task: Callable[[], Any]) -> None:
        """Do `task` once the answer is ready, or so many seconds later on the sandbox's clock."""
        with self._lock:
            self._due.append((self.clock() + seconds, task))

    def _run_due(self) -> None:
        now = self.clock()
        with self._lock:
            ready = [task for at, task in self._due if at <= now]
            self._due = [(at, task) for at, task in self._due if at > now]
        for task in ready:
            task()

    # ---- limits ------------------------------------------------------------------------------------------------

    @contextmanager
    def in_flight(self, user: str, limit: int) -> Iterator[bool]:
        """Count a request of `user` as being worked on; yields whether that is within `limit`."""
        with self._lock:
            self._busy[user] += 1
            fits = self._busy[user] <= limit
        try:
            yield fits
        finally:
            with self._lock:
                self._busy[user] -= 1

    def spend(self, user: str, units: int) -> bool:
        """Charge quota units to `user`; False when the minute's quota is enforced and used up."""
        self.ledger.charge(user, units)
        if not self.limits.gmail_units_per_minute:
            return True
        now = self.clock()
        with self._lock:
            spent = self._spent.setdefault(user, deque())
            while spent and spent[0][0] <= now - 60:
                spent.popleft()
            spent.append((now, units))
            return sum(amount for _at, amount in spent) <= self.limits.gmail_units_per_minute


def _decode(value: str | None) -> str:
    return unquote(value or "")


def routes() -> list[Route]:
    """Every module's routes, in the order they are tried."""
    found: list[Route] = []
    for name in MODULES:
        found += importlib.import_module(f"crmmail.sandbox.{name}").ROUTES
    return found
