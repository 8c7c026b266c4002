"""A mailbox's session: adds the access token to requests, renews it about hourly without the user, says how it stands.

    Active ──(under 5 minutes left, or one 401)──> Renewing ──> Active
      └──(24 hours without a renewal, invalid_grant, 401 right after a renewal)──> Expired: sign in again

One renewal at a time, across threads and processes; whoever waited uses what the other one got. The age of a token is
measured on the monotonic clock, so a computer whose clock is wrong neither renews all the time nor too late for good.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import httpx

from crmmail.auth import problems
from crmmail.auth.secrets import Tokens
from crmmail.auth.standing import SessionState, Standing
from crmmail.errors import AuthRequired, SignInError, Transient

if TYPE_CHECKING:
    from crmmail.auth.tokens import TokenStore
    from crmmail.config import MailboxSettings

RENEW_BEFORE = 300.0  # seconds left at which a token is renewed
USUAL_LIFE = 3600.0  # of an access token whose server does not say
SHORTEST_PAUSE = 60.0  # seconds between two renewals, whatever the server says of its tokens
RENEWAL_WINDOW = 24 * 3600.0  # without a renewal for so long, the user signs in again


class Renewer(Protocol):
    """The provider's part."""

    def renew(self, tokens: Tokens) -> Tokens:
        """New tokens for old. Raises AuthRequired when it is over for good, Transient to try again later."""
        ...


class Session(httpx.Auth):
    """httpx authentication for one mailbox; may be shared by its threads."""

    def __init__(
        self,
        name: str,
        tokens: TokenStore,
        renewer: Renewer,
        *,
        hosts: frozenset[str] = frozenset(),
        window: float = RENEWAL_WINDOW,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`hosts`: the only ones ever shown the token ('host:port' or 'host'); empty allows any."""
        self._name = name
        self._store = tokens
        self._renewer = renewer
        self._hosts = hosts
        self._window = window
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._tokens: Tokens | None = None
        self._renew_at = 0.0  # monotonic
        self._renewed_at = -SHORTEST_PAUSE  # monotonic; when this process last renewed
        self._renewing = False
        self._over: AuthRequired | None = None
        self._unsaved = False
        self._problem = ""

    def __repr__(self) -> str:
        return f"Session({self._name!r}, ***)"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with its token; once more with a new one after a 401; then AuthRequired."""
        if not self._may_see(request.url):
            yield request
            return
        used = self.token()
        request.headers["Authorization"] = f"Bearer {used!s}"
        response = yield request
        if response.status_code != 401:
            return
        renewed = self.token(refused=used)
        request.headers["Authorization"] = f"Bearer {renewed!s}"
        response = yield request
        if response.status_code == 401:
            raise self._end(problems.session_over(self._address(), "401"), keep=False)

    def token(self, refused: str = "") -> str:
        """A valid access token, renewed first when it is about to end or when it is the one a server just `refused`.

        Raises AuthRequired, or Transient (Offline) when a renewal is due and nobody answers.
        """
        with self._lock:
            held = self._current()
            if refused == held.access_token or self._monotonic() >= self._renew_at:
                held = self._renew(held, refused)
            return held.access_token

    def describe(self) -> SessionState:
        """How the session stands now. Reads what is kept; never waits for a renewal or the network."""
        held = self._tokens
        try:
            held = held or self._store.get(self._name)
        except AuthRequired as error:
            return SessionState(Standing.EXPIRED, place=self._store.where(self._name), problem=error.sentence)
        if held is None:
            return SessionState(Standing.EXPIRED, problem=problems.not_signed_in(self._name).sentence)
        over = self._over is not None or self._ended(held)
        standing = Standing.EXPIRED if over else Standing.RENEWING if self._renewing else Standing.ACTIVE
        problem = problems.session_over(held.address).sentence if over else self._problem
        return SessionState(
            standing,
            held.address,
            held.signed_in_at,
            held.renewed_at,
            held.renewed_at + self._window,
            self._store.where(self._name),
            problem,
            held.scopes,
        )

    def _may_see(self, url: httpx.URL) -> bool:
        return not self._hosts or bool({url.host, url.netloc.decode("ascii")} & self._hosts)

    def _address(self) -> str:
        return self._tokens.address if self._tokens else ""

    def _ended(self, held: Tokens) -> bool:
        return bool(held.ended) or self._clock() > held.renewed_at + self._window

    def _current(self) -> Tokens:
        """The session as it is kept, or as it was last renewed. A new sign-in revives one that was over."""
        if self._tokens is None or self._over is not None:
            self._load()
        assert self._tokens is not None
        return self._tokens

    def _load(self) -> None:
        known = self._tokens
        held = self._store.get(self._name)
        if held is None:
            raise problems.not_signed_in(self._name)
        if self._over is not None and known is not None and held.signed_in_at <= known.signed_in_at:
            raise self._again(self._over)
        self._over = None
        self._take(held)
        if self._ended(held):
            raise self._end(problems.session_over(held.address, held.ended or "24h"), keep=False)

    def _take(self, held: Tokens) -> None:
        """Use these tokens from now on. How old they are is only guessed from the clock when they come from disk."""
        self._tokens = held
        life = held.expires_at - held.renewed_at if held.expires_at > held.renewed_at else USUAL_LIFE
        age = min(max(self._clock() - held.renewed_at, 0.0), life)
        # A life shorter than the margin is used to its half: else every request would renew (expires_in 0, 60, ...)
        left = max(life - age - min(RENEW_BEFORE, life / 2), 0.0)
        self._renew_at = max(self._monotonic() + left, self._renewed_at + SHORTEST_PAUSE)

    def _renew(self, held: Tokens, refused: str) -> Tokens:
        """New tokens, from another process if it was faster. Called with the thread lock held."""
        pause = self._renewed_at + SHORTEST_PAUSE - self._monotonic()
        if pause > 0:
            raise problems.too_often(pause)
        self._renewing = True
        try:
            with self._store.lock(self._name):
                return self._renew_alone(held)
        except SignInError as error:  # the lock
            raise Transient(error.sentence, next_step=error.next_step, reason=error.code) from None
        except Transient as error:
            return self._carry_on(held, refused, error)
        finally:
            self._renewing = False

    def _renew_alone(self, held: Tokens) -> Tokens:
        """The renewal itself, with the file lock held too."""
        kept = self._kept(held)
        if kept.access_token != held.access_token and not kept.ended:
            self._take(kept)
            if self._monotonic() < self._renew_at:
                return kept  # another process, or a new sign-in, was faster
        if self._ended(kept):
            raise self._end(problems.session_over(kept.address, kept.ended or "24h"), keep=False)
        self._tokens = kept
        try:
            renewed = self._stamped(self._renewer.renew(kept))
        except AuthRequired as error:
            raise self._end(error, keep=True) from None
        self._renewed_at = self._monotonic()
        self._problem = ""
        self._take(renewed)
        self._save(renewed)
        return renewed

    def _stamped(self, renewed: Tokens) -> Tokens:
        """The same tokens, timed by this session's clock instead of the renewer's."""
        now = self._clock()
        expires_at = now + renewed.expires_at - renewed.renewed_at if renewed.expires_at else 0.0
        return dataclasses.replace(renewed, renewed_at=now, expires_at=expires_at)

    def _kept(self, held: Tokens) -> Tokens:
        """What the store holds; what we hold when it could not be saved or read (locked keyring, full disk)."""
        if self._unsaved:
            return held
        try:
            return self._store.get(self._name) or held
        except AuthRequired:
            return held

    def _save(self, held: Tokens) -> None:
        """Keep the tokens. When that fails they go on being used, and saving is tried at the next renewal."""
        try:
            self._store.put(self._name, held)
            self._unsaved = False
        except SignInError as error:
            self._unsaved = True
            self._problem = error.sentence

    def _carry_on(self, held: Tokens, refused: str, error: Transient) -> Tokens:
        """Nobody answered: a token that is not refused may well live for some minutes more. Ask again in one."""
        self._renew_at = self._monotonic() + SHORTEST_PAUSE
        self._problem = error.sentence
        if refused or (held.expires_at and self._clock() >= held.expires_at):
            self._renew_at = 0.0
            raise error
        return held

    def _end(self, error: AuthRequired, *, keep: bool) -> AuthRequired:
        """The session is over. `keep` also notes it beside the tokens, so that no later start asks in vain."""
        self._over = error
        if keep and self._tokens is not None:
            self._tokens = dataclasses.replace(self._tokens, ended=error.reason or "invalid_grant")
            self._save(self._tokens)
        return error

    @staticmethod
    def _again(error: AuthRequired) -> AuthRequired:
        """The same error anew: one raised twice would grow its traceback for ever."""
        return AuthRequired(error.sentence, next_step=error.next_step, status=error.status, reason=error.reason)


def renewer(settings: MailboxSettings) -> Renewer:
    """The provider's renewer for a mailbox; its library is imported at the first renewal."""
    if settings.provider == "gmail":
        from crmmail.auth.google import GoogleRenewer

        return GoogleRenewer(settings)
    from crmmail.auth.microsoft import MicrosoftRenewer

    return MicrosoftRenewer(settings)


def api_hosts(settings: MailboxSettings) -> frozenset[str]:
    """Who may be shown the token: the mail API and nobody else (upload addresses and redirects lead elsewhere)."""
    from crmmail.auth import google, microsoft

    default = google.API_URL if settings.provider == "gmail" else microsoft.API_URL
    return frozenset({urlsplit(settings.api_url or default).netloc})
