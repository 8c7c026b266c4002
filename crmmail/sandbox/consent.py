"""What the sandbox's OAuth servers remember: clients, codes, refresh tokens, and what the user is going to answer.

    signins = consent.of(sandbox)
    signins.plan(Answer("approve", user="bruno@example.com", after=2))     # the next sign-in: pending twice, then yes
    signins.lifetimes["ana@example.com"] = Lifetime(access=2, refresh=24 * 3600)
    signins.revoke("ana@example.com")                                      # consent withdrawn, password changed

Nothing planned: the pages ask, and a person (or `/__sandbox/approve`) answers.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmmail.sandbox.server import Sandbox

GOOGLE_CLIENT = "sandbox.apps.googleusercontent.com"
GOOGLE_SECRET = "GOCSPX-sandbox-not-confidential"
MICROSOFT_CLIENT = "5a4db0c5-0000-4000-8000-0c0ffee0c0de"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the one personal accounts live in
WEEK = 7 * 24 * 3600.0  # Google ends refresh tokens of an app in testing after it
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 §6.1: no vowels, no words


@dataclass(slots=True)
class Client:
    """A registered app. `public` False is Microsoft's "Allow public client flows: No"."""

    id: str
    provider: str
    secret: str = ""
    public: bool = True
    device: bool = False  # Google: may use the device endpoint for Gmail scopes, which the real one never lets it


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens at one sign-in: approve, decline, expire, ask (a person), or a number of Microsoft's (`error`).

    `after` polls are answered with authorization_pending first, `slow_down` ones before that with slow_down.
    `scopes` grants only these (a box left unticked). `user` '' is the provider's first user.
    """

    decision: str = "ask"
    user: str = ""
    after: int = 0
    slow_down: int = 0
    scopes: str = ""
    error: int = 0


@dataclass(slots=True)
class Lifetime:
    """Seconds that a user's tokens live. `refresh` None: for ever; `sliding`: counted from the last renewal."""

    access: float = 3599
    refresh: float | None = None
    sliding: bool = True


@dataclass(slots=True)
class Attempt:
    """A sign-in under way: an authorization request, its code, or a device code."""

    client: Client
    scopes: tuple[str, ...]
    expires: float
    answer: Answer
    user: str = ""
    decision: str = ""  # '' until somebody answered
    redirect: str = ""
    state: str = ""
    challenge: str = ""
    nonce: str = ""
    mode: str = "query"
    tenant: str = ""
    user_code: str = ""
    offline: bool = True
    hint: str = ""
    interval: float = 5
    polls: int = 0
    polled: float = 0.0
    used: bool = False
    issued: list[str] = field(default_factory=list)  # tokens that die when the code is used twice (RFC 6749 §4.1.2)


@dataclass(slots=True)
class Refresh:
    """A refresh token."""

    client: str
    user: str
    scopes: tuple[str, ...]
    born: float
    touched: float
    dead: bool = False
    tenant: str = ""


class SignIns:
    """The table of everything about signing in; one per sandbox."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.clients: dict[str, Client] = {
            GOOGLE_CLIENT: Client(GOOGLE_CLIENT, "gmail", GOOGLE_SECRET),
            MICROSOFT_CLIENT: Client(MICROSOFT_CLIENT, "outlook"),
        }
        self.tenants = {"common", "organizations", "consumers", "contoso", "contoso.example"}
        self.lifetimes: dict[str, Lifetime] = {}
        self.interval = 5.0  # seconds between two polls that are asked of clients
        self.device_seconds = 900.0
        self.always: dict[str, Answer] = {}  # provider → what every sign-in without a plan is answered
        self._plans: deque[Answer] = deque()
        self.attempts: dict[str, Attempt] = {}  # by request id, code and device code
        self.refreshes: dict[str, Refresh] = {}
        self.renewals: list[tuple[float, str]] = []  # (when, user), those that succeeded

    def plan(self, *answers: Answer) -> None:
        """What the next sign-ins are answered, in order."""
        self._plans.extend(answers)

    def next_answer(self, provider: str) -> Answer:
        """The answer for a sign-in that begins now."""
        with self.lock:
            return self._plans.popleft() if self._plans else self.always.get(provider, Answer())

    def lifetime(self, user: str) -> Lifetime:
        """How long the tokens of `user` live."""
        return self.lifetimes.setdefault(user.lower(), Lifetime())

    def open(self, attempt: Attempt, key: str = "") -> str:
        """Remember an attempt; returns its key."""
        key = key or secrets.token_urlsafe(32)
        with self.lock:
            self.attempts[key] = attempt
        return key

    def by_user_code(self, typed: str) -> Attempt | None:
        """The device sign-in whose code somebody typed, however they wrote it."""
        plain = "".join(letter for letter in typed.upper() if letter.isalnum())
        return next((a for a in self.attempts.values() if a.user_code and a.user_code.replace("-", "") == plain), None)

    def user_code(self) -> str:
        """A new code to type."""
        code = "".join(secrets.choice(LETTERS) for _ in range(8))
        return f"{code[:4]}-{code[4:]}"

    def settle(self, attempt: Attempt, decision: str, user: str, scopes: tuple[str, ...] | None = None) -> None:
        """Somebody answered."""
        with self.lock:
            attempt.decision, attempt.user = decision, user.lower()
            if scopes is not None:
                attempt.scopes = scopes

    def poll(self, attempt: Attempt) -> str:
        """A device client asks: pending, slow_down, expired, declined, error or approve."""
        with self.lock:
            now, early = self.clock(), self.clock() - attempt.polled < attempt.interval - 1
            first = attempt.polls == 0
            attempt.polls += 1
            attempt.polled = now
            if attempt.used:
                return "used"
            if now >= attempt.expires or (self._due(attempt) and attempt.answer.decision == "expire"):
                return "expired"
            if attempt.polls <= attempt.answer.slow_down or (early and not first):
                attempt.interval += 5
                return "slow_down"
            if not attempt.decision and self._due(attempt) and attempt.answer.decision in ("approve", "decline"):
                narrowed = tuple(attempt.answer.scopes.split()) or None
                self.settle(attempt, attempt.answer.decision, attempt.answer.user, narrowed)
            if attempt.answer.error and self._due(attempt):
                return "error"
            return {"": "pending", "approve": "approve", "decline": "declined"}[attempt.decision]

    @staticmethod
    def _due(attempt: Attempt) -> bool:
        return attempt.polls > attempt.answer.after + attempt.answer.slow_down

    def redeem(self, key: str) -> Attempt | None:
        """The approved attempt behind a code, once; a second time everything it gave dies and None comes back."""
        with self.lock:
            attempt = self.attempts.get(key)
            if attempt is None or attempt.decision != "approve" or self.clock() >= attempt.expires:
                return None
            if attempt.used:
                for token in attempt.issued:
                    self.refreshes[token].dead = True
                return None
            attempt.used = True
            return attempt

    def remember(self, client: str, user: str, scopes: tuple[str, ...], tenant: str = "") -> str:
        """A new refresh token."""
        token = "refresh." + secrets.token_urlsafe(48)
        now = self.clock()
        with self.lock:
            self.refreshes[token] = Refresh(client, user, scopes, now, now, tenant=tenant)
        return token

    def use_refresh(self, token: str, client: str, *, rotate: bool) -> Refresh | None:
        """The refresh token, when it is good; `rotate` kills it in the same breath."""
        with self.lock:
            held = self.refreshes.get(token)
            if held is None or held.dead or held.client != client:
                return None
            life = self.lifetime(held.user)
            since = held.touched if life.sliding else held.born
            if life.refresh is not None and self.clock() >= since + life.refresh:
                return None
            held.touched = self.clock()
            held.dead = rotate
            self.renewals.append((held.touched, held.user))
            return held

    def revoke(self, user: str) -> None:
        """Every refresh token of `user` is dead. The sandbox's `grants.revoke_all` does it to the access tokens."""
        with self.lock:
            for held in self.refreshes.values():
                held.dead = held.dead or held.user == user.lower()


def of(sandbox: Sandbox) -> SignIns:
    """The sandbox's table."""
    table = sandbox.state.get("oauth")
    if table is None:
        table = sandbox.state.setdefault("oauth", SignIns(sandbox.clock))
    return table  # type: ignore[no-any-return]


def verifies(attempt: Attempt, verifier: str) -> bool:
    """PKCE S256 (RFC 7636 §4.6)."""
    if not attempt.challenge:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == attempt.challenge


def plain_jwt(claims: dict[str, Any]) -> str:
    """An unsigned id token: clients that got it from the token endpoint over TLS need not check more."""
    return ".".join((segment({"alg": "none", "typ": "JWT"}), segment(claims), "unsigned"))


def segment(value: dict[str, Any]) -> str:
    """JSON in base64url without padding."""
    import json

    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def object_id(user: str) -> str:
    """A user's id in the directory, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, user))


def client_info(user: str) -> str:
    """What msal names an account by."""
    return segment({"uid": object_id(user), "utid": TENANT_ID})
