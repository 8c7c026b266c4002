"""Google: device code asked for first, then the browser; renewal by refresh token.

Google refuses the device code for every Gmail scope ("OAuth 2.0 for TV and limited-input devices", allowed scopes),
so in practice the browser takes over; a server that grants it is polled as RFC 8628 says.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from crmmail.auth import GMAIL_FULL, GMAIL_MODIFY, clients, net, problems
from crmmail.auth.flow import SignIn, plain, shown
from crmmail.auth.secrets import Secret, Tokens, veil
from crmmail.errors import Rejected, SettingsError, SignInError
from crmmail.i18n import _
from crmmail.signing import Event, ShowCode

if TYPE_CHECKING:
    import httpx

    from crmmail.auth.tokens import TokenStore
    from crmmail.config import MailboxSettings

AUTH_URL = "https://accounts.google.com/o/oauth2/v2/auth"
TOKEN_URL = "https://oauth2.googleapis.com/token"
DEVICE_URL = "https://oauth2.googleapis.com/device/code"
REVOKE_URL = "https://oauth2.googleapis.com/revoke"
API_URL = "https://gmail.googleapis.com"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Seconds between two questions for a device code, and what a slow_down adds (RFC 8628 §3.2, §3.5).
INTERVAL, SLOWER = 5.0, 5.0
_insecure = threading.Lock()


def profile_url(settings: MailboxSettings) -> str:
    """Where the mailbox's own address is read; `api_url` may end in the API's path or before it."""
    base = (settings.api_url or API_URL).rstrip("/").removesuffix("/users/me").removesuffix("/gmail/v1")
    return f"{base}/gmail/v1/users/me/profile"


class GoogleSignIn(SignIn):
    """Sign in to a Gmail mailbox."""

    provider = "gmail"

    def __init__(
        self,
        name: str,
        settings: MailboxSettings,
        tokens: TokenStore,
        *,
        browser: bool = False,
        widen: bool = False,
    ) -> None:
        super().__init__(name, settings, tokens, browser=browser)
        self._client = clients.find(settings)
        self._scopes = [GMAIL_MODIFY, GMAIL_FULL] if widen else [GMAIL_MODIFY]
        self._flow: Any = None

    def _steps(self) -> Iterator[Event]:
        if self._wants_browser:
            yield from self._browser("")
            return
        granted = self._ask_device()
        if isinstance(granted, str):
            yield from self._browser(granted)
        else:
            yield from self._device(granted)

    # the device code

    def _ask_device(self) -> dict[str, Any] | str:
        """The device code, or the sentence that says why it has to be the browser. Raises SignInError, Offline."""
        url = self.settings.device_url or DEVICE_URL
        fields = {"client_id": self._client.id, "scope": " ".join(self._scopes)}
        answer = _post(self.settings, url, fields)
        error, description = _refusal(answer)
        if error == "invalid_client" and self._client.secret:  # other servers want it here too (RFC 8628 §3.1)
            answer = _post(self.settings, url, {**fields, "client_secret": self._client.secret})
            error, description = _refusal(answer)
        if answer.status_code == 200:
            return _json(answer)
        if error == "invalid_client" and "type" not in description:
            raise problems.google(error, description)
        if error == "invalid_scope":
            return _("Google gives no device code for mail permissions, so the sign-in goes on in the browser.")
        return _("Google gives no device code here, so the sign-in goes on in the browser.")

    def _device(self, granted: dict[str, Any]) -> Iterator[Event]:
        """Show the code and ask until the user has typed it (RFC 8628 §3.4)."""
        seconds = float(granted.get("expires_in", 1800))
        interval = float(granted.get("interval", INTERVAL))
        deadline = time.monotonic() + seconds
        where = str(granted.get("verification_url") or granted.get("verification_uri") or "")
        yield ShowCode(shown(where), plain(str(granted.get("user_code", ""))), time.time() + seconds)
        while True:
            kind, _value = self._wait(min(interval, deadline - time.monotonic()))
            if kind == "browser":
                yield from self._browser("")
                return
            if time.monotonic() >= deadline:
                raise problems.common("expired_token")
            answer = self._token({"device_code": granted["device_code"], "grant_type": DEVICE_GRANT})
            if answer.status_code == 200:
                yield from self._finish(self._made(_json(answer)))
                return
            error, description = _refusal(answer)
            if error == "slow_down":
                interval += SLOWER
            elif error != "authorization_pending":
                raise problems.google(error, description)

    def _token(self, fields: dict[str, str]) -> httpx.Response:
        mine = {"client_id": self._client.id, "client_secret": self._client.secret}
        return _post(self.settings, self.settings.token_url or TOKEN_URL, {**mine, **fields})

    # the browser

    def _begin(self, redirect: str) -> str:
        from google_auth_oauthlib.flow import Flow

        installed = {
            "client_id": self._client.id,
            "client_secret": self._client.secret or None,
            "auth_uri": self.settings.auth_url or AUTH_URL,
            "token_uri": self.settings.token_url or TOKEN_URL,
        }
        self._flow = Flow.from_client_config({"installed": installed}, self._scopes, redirect_uri=redirect)
        net.arrange(self._flow.oauth2session, self.settings.ca_file, installed["token_uri"] or "")
        url, _state = self._flow.authorization_url(
            state=self._state, access_type="offline", prompt="consent", login_hint=self.settings.address or None
        )
        return str(url)

    def _exchange(self, answer: dict[str, str]) -> Tokens:
        """The code for tokens, by the Flow object that made the address: it holds the PKCE verifier."""
        if "error" in answer:
            raise problems.google(answer["error"], answer.get("error_description", ""))
        import oauthlib.oauth2
        import requests

        url = self.settings.token_url or TOKEN_URL
        try:
            with _plain_loopback(url):
                granted = veil(self._flow.fetch_token(code=answer["code"], include_client_id=True))
        except Warning as warning:  # oauthlib raises one when the user granted less (or more) than was asked
            granted = veil(getattr(warning, "token", {}))
        except oauthlib.oauth2.OAuth2Error as error:
            raise problems.google(str(error.error or ""), str(error.description or "")) from None
        except requests.HTTPError as error:
            status = 503 if error.response is None else error.response.status_code
            raise problems.busy(net.host(url), status) from None
        except requests.RequestException as error:
            raise problems.unreachable(net.host(url), error) from None
        return self._made(granted)

    def _made(self, granted: Mapping[str, Any]) -> Tokens:
        """Tokens from a token answer, after comparing what was granted with what was asked."""
        said = granted.get("scope")
        scopes = tuple(said.split() if isinstance(said, str) else said or self._scopes)
        if not {GMAIL_MODIFY, GMAIL_FULL} & set(scopes):
            raise problems.google("missing_scope")
        if GMAIL_FULL in self._scopes and GMAIL_FULL not in scopes:
            raise problems.google("missing_full_scope")
        if not granted.get("refresh_token"):
            raise problems.google("no_refresh_token")
        now = time.time()
        return Tokens(
            self.provider,
            self._client.id,
            Secret(granted["access_token"]),
            expiry(now, granted),
            now,
            now,
            Secret(granted["refresh_token"]),
            self._client.secret,
            scopes=scopes,
        )

    def _read_address(self, tokens: Tokens) -> str:
        return read_address(self.settings, profile_url(self.settings), tokens, ("emailAddress",))


class GoogleRenewer:
    """Renews a Gmail session."""

    def __init__(self, settings: MailboxSettings) -> None:
        self._settings = settings

    def renew(self, tokens: Tokens) -> Tokens:
        """New access by the refresh token. Raises AuthRequired when it is over, Transient or Offline to try again."""
        import dataclasses

        url = self._settings.token_url or TOKEN_URL
        fields = {
            "client_id": tokens.client_id,
            "client_secret": tokens.client_secret,
            "grant_type": "refresh_token",
            "refresh_token": tokens.refresh_token,
        }
        answer = _post(self._settings, url, fields)
        if answer.status_code != 200:
            error, description = _refusal(answer)
            if error == "invalid_grant":
                raise problems.session_over(tokens.address, error)
            raise as_remote(problems.google(error, description))
        granted, now = _json(answer), time.time()
        return dataclasses.replace(
            tokens,
            access_token=Secret(granted["access_token"]),
            refresh_token=Secret(granted.get("refresh_token") or tokens.refresh_token),
            expires_at=expiry(now, granted),
            renewed_at=now,
        )


def revoke(settings: MailboxSettings, tokens: Tokens) -> None:
    """Tell Google that the session is no longer wanted. Raises Offline or Transient; any other answer is fine."""
    _post(settings, settings.revoke_url or REVOKE_URL, {"token": tokens.refresh_token})


def expiry(now: float, granted: Mapping[str, Any]) -> float:
    """When an access token ends, seconds since the epoch; 0 when the server said nothing sensible (RFC 6749 §5.1)."""
    try:
        seconds = float(granted.get("expires_in") or 0)
    except (TypeError, ValueError):
        return 0.0
    return now + seconds if 0 < seconds < 10**8 else 0.0


def as_remote(error: SignInError) -> Rejected:
    """A refusal met while renewing, not while signing in: a wrong client id does not end the session."""
    return Rejected(error.sentence, next_step=error.next_step, title=error.title, reason=error.code)


def read_address(settings: MailboxSettings, url: str, tokens: Tokens, names: tuple[str, ...]) -> str:
    """The mailbox's address from the provider's own API: the first of `names` that the answer holds."""
    import httpx

    try:
        with net.client(settings.ca_file, url) as client:
            answer = client.get(url, headers={"Authorization": f"Bearer {tokens.access_token!s}"})
    except httpx.TransportError as error:
        raise problems.unreachable(net.host(url), error) from None
    if answer.status_code >= 500 or answer.status_code == 429:
        raise problems.busy(net.host(url), answer.status_code)
    said = _json(answer) if answer.status_code == 200 else {}
    address = next((said[name] for name in names if isinstance(said.get(name), str) and said[name]), "")
    if not address:
        raise SignInError(
            _("Signed in, but {host} does not show the mailbox ({status}).").format(
                host=net.host(url), status=answer.status_code
            ),
            next_step=_("Check that the account has a mailbox and that its API is enabled; see docs/connecting.md."),
            code=f"profile_{answer.status_code}",
        )
    return str(address)


def _post(settings: MailboxSettings, url: str, fields: dict[str, str]) -> httpx.Response:
    """POST a form. 5xx and silence are raised, everything else is the caller's."""
    import httpx

    if not url.startswith("https://") and not net.is_loopback(url):
        raise SettingsError(
            _("The address {url} is not secure.").format(url=url[:100]),
            next_step=_("Sign-in addresses start with https://."),
        )
    kept = {name: value for name, value in fields.items() if value}
    try:
        with net.client(settings.ca_file, url) as client:
            answer = client.post(url, data=kept)
    except httpx.TransportError as error:
        raise problems.unreachable(net.host(url), error) from None
    if answer.status_code == 429 or answer.status_code >= 500:
        raise problems.busy(net.host(url), answer.status_code, answer.headers.get("Retry-After", ""))
    return answer


def _json(answer: httpx.Response) -> dict[str, Any]:
    """The body as an object; a server that answers 200 with something else has a problem of its own."""
    try:
        held = answer.json()
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise problems.busy(answer.url.host, answer.status_code)
    return veil(held)


def _refusal(answer: httpx.Response) -> tuple[str, str]:
    """(error, description) of a refusal in the form of RFC 6749 §5.2."""
    try:
        held = answer.json()
    except ValueError:
        held = {}
    plain = held if isinstance(held, dict) else {}
    # Google's device endpoint says `error_code` where everything else says `error` when it limits the rate
    return str(plain.get("error") or plain.get("error_code") or ""), str(plain.get("error_description") or "")


@contextlib.contextmanager
def _plain_loopback(url: str) -> Iterator[None]:
    """Let oauthlib speak plain HTTP to a test server on this machine, and to nobody else."""
    if not (url.startswith("http://") and net.is_loopback(url)):
        yield
        return
    with _insecure:
        before = os.environ.get("OAUTHLIB_INSECURE_TRANSPORT")
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        try:
            yield
        finally:
            os.environ.pop("OAUTHLIB_INSECURE_TRANSPORT")
            if before is not None:
                os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = before
