"""Microsoft: device code and browser, both by msal; tenants block one or the other, so both are always offered.

msal's token cache is kept with the session after every answer, because each renewal replaces the refresh token.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crmmail.auth import clients, net, problems
from crmmail.auth.flow import SignIn, plain, shown
from crmmail.auth.google import as_remote, expiry, read_address
from crmmail.auth.secrets import Secret, Tokens, veil
from crmmail.errors import SettingsError, SignInError
from crmmail.i18n import _
from crmmail.signing import Event, ShowCode

if TYPE_CHECKING:
    from crmmail.auth.tokens import TokenStore
    from crmmail.config import MailboxSettings

AUTHORITY = "https://login.microsoftonline.com"
API_URL = "https://graph.microsoft.com/v1.0"
SCOPES = ("Mail.ReadWrite", "Mail.Send", "User.Read")  # msal adds offline_access, openid and profile
NEEDED = "mail.readwrite"
# What only the user can mend; every other refusal leaves the session alone.
_NEEDS_USER = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})


def profile_url(settings: MailboxSettings) -> str:
    """Where the mailbox's own address is read."""
    base = (settings.api_url or API_URL).rstrip("/").removesuffix("/me").removesuffix("/v1.0")
    return f"{base}/v1.0/me?$select=mail,userPrincipalName"


def scopes(settings: MailboxSettings) -> list[str]:
    """The permissions, named with their cloud where it is not the public one (Graph, "National clouds")."""
    host = urlsplit(settings.api_url).hostname or ""
    national = host.endswith((".microsoft.us", ".chinacloudapi.cn"))
    return [f"https://{host}/{scope}" if national else scope for scope in SCOPES]


class MicrosoftSignIn(SignIn):
    """Sign in to an Outlook mailbox."""

    provider = "outlook"
    loopback_host = "localhost"  # what app registrations allow with any port; the listener is on 127.0.0.1 only
    loopback_path = ""

    def __init__(self, name: str, settings: MailboxSettings, tokens: TokenStore, *, browser: bool = False) -> None:
        super().__init__(name, settings, tokens, browser=browser)
        self._client = clients.find(settings)
        self._app: Any = None
        self._cache: Any = None
        self._flow: dict[str, Any] = {}

    def _steps(self) -> Iterator[Event]:
        self._app, self._cache = application(self.settings, self._client.id)
        if self._wants_browser:
            yield from self._browser("")
        else:
            yield from self._device()

    def _device(self) -> Iterator[Event]:
        with _telling(self.settings):
            flow = self._app.initiate_device_flow(scopes=scopes(self.settings))
        if "user_code" not in flow:
            raise problems.microsoft(flow)
        yield ShowCode(shown(flow.get("verification_uri", "")), plain(flow["user_code"]), flow["expires_at"])
        deadline = time.monotonic() + flow["expires_in"]
        while True:
            kind, _value = self._wait(min(flow["interval"], deadline - time.monotonic()))
            if kind == "browser":
                yield from self._browser("")
                return
            if time.monotonic() >= deadline:
                raise problems.common("expired_token")
            # One question at a time: msal's own waiting notices a cancel a second late. It keeps the interval.
            with _telling(self.settings):
                result = veil(self._app.acquire_token_by_device_flow(flow, exit_condition=lambda _flow: True))
            if "access_token" in result:
                yield from self._finish(self._made(result))
                return
            if result.get("error") not in ("authorization_pending", "slow_down"):
                raise problems.microsoft(result)

    def _begin(self, redirect: str) -> str:
        with warnings.catch_warnings(), _telling(self.settings):
            # Only response_mode=query leaves the answer in the address bar, where it can be copied over SSH.
            warnings.simplefilter("ignore")
            self._flow = self._app.initiate_auth_code_flow(
                scopes(self.settings),
                redirect_uri=redirect,
                state=self._state,
                # Others than Microsoft give no refresh token unless consent is asked for (OpenID Connect Core §11)
                prompt="select_account" if _is_microsoft(self.settings) else "consent",
                login_hint=self.settings.address or None,
            )
        return str(self._flow["auth_uri"])

    def _exchange(self, answer: dict[str, str]) -> Tokens:
        if "error" in answer:
            raise problems.microsoft(answer)
        try:
            with _telling(self.settings):
                result = veil(self._app.acquire_token_by_auth_code_flow(self._flow, answer))
        except ValueError:  # also what a state that does not match would be, but that was checked before
            raise problems.common("no_code") from None
        if "access_token" not in result:
            refused = problems.microsoft(result)
            raise (
                problems.common("code_used")
                if result.get("error") == "invalid_grant" and not _blocks(result)
                else refused
            )
        return self._made(result)

    def _made(self, result: Mapping[str, Any]) -> Tokens:
        granted = tuple(str(result.get("scope") or " ".join(SCOPES)).split())
        if NEEDED not in {scope.rpartition("/")[2].lower() for scope in granted}:
            raise _named(problems.MICROSOFT["missing_scope"], "missing_scope")
        now = time.time()
        return Tokens(
            self.provider,
            self._client.id,
            Secret(result["access_token"]),
            expiry(now, result),
            now,
            now,
            cache=Secret(self._cache.serialize()),
            scopes=granted,
        )

    def _read_address(self, tokens: Tokens) -> str:
        return read_address(self.settings, profile_url(self.settings), tokens, ("mail", "userPrincipalName"))


class MicrosoftRenewer:
    """Renews an Outlook session."""

    def __init__(self, settings: MailboxSettings) -> None:
        self._settings = settings

    def renew(self, tokens: Tokens) -> Tokens:
        """New access by msal's cached refresh token. Raises AuthRequired, Transient, Offline or Rejected."""
        try:
            app, cache = application(self._settings, tokens.client_id, tokens.cache)
        except SignInError as error:
            raise as_remote(error) from None
        accounts = app.get_accounts()
        if not accounts:
            raise problems.session_over(tokens.address, "empty_cache")
        with _telling(self._settings):
            result = app.acquire_token_silent_with_error(
                scopes(self._settings), account=accounts[0], force_refresh=True
            )
        if result is None:
            raise problems.session_over(tokens.address, "no_refresh_token")
        result = veil(result)
        if "access_token" not in result:
            if result.get("error") in _NEEDS_USER:
                raise problems.session_over(tokens.address, problems.microsoft(result).code)
            raise as_remote(problems.microsoft(result))
        now = time.time()
        return dataclasses.replace(
            tokens,
            access_token=Secret(result["access_token"]),
            expires_at=expiry(now, result),
            renewed_at=now,
            cache=Secret(cache.serialize()),
        )


def application(settings: MailboxSettings, client_id: str, cached: str = "") -> tuple[Any, Any]:
    """(msal application, its token cache) for a mailbox. Asks the authority who it is. Raises SignInError, Offline."""
    import msal
    import requests

    authority = (settings.authority_url or AUTHORITY).rstrip("/")
    if not authority.startswith("https://"):
        raise SettingsError(
            _("The address {url} is not secure.").format(url=authority[:100]),
            next_step=_("Microsoft's sign-in needs https://; correct the setting “authority_url”."),
        )
    cache = msal.SerializableTokenCache()
    if cached:
        cache.deserialize(str(cached))
    with _telling(settings):
        try:
            app = msal.PublicClientApplication(
                client_id,
                authority=f"{authority}/{settings.tenant or 'common'}",
                instance_discovery=None if _is_microsoft(settings) else False,
                token_cache=cache,
                http_client=net.arrange(requests.Session(), settings.ca_file, authority),
            )
        except ValueError:
            raise _named(problems.MICROSOFT["no_tenant"], "no_tenant") from None
    return app, cache


def _is_microsoft(settings: MailboxSettings) -> bool:
    import msal.authority

    return net.host(settings.authority_url or AUTHORITY) in msal.authority.WELL_KNOWN_AUTHORITY_HOSTS


class _telling:
    """Turns what msal lets through (requests' exceptions, its own for 5xx) into our tree."""

    def __init__(self, settings: MailboxSettings) -> None:
        self._host = net.host(settings.authority_url or AUTHORITY)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        import json

        import msal.exceptions
        import requests

        if isinstance(error, requests.HTTPError) and error.response is not None:
            wish = error.response.headers.get("Retry-After", "")
            raise problems.busy(self._host, error.response.status_code, wish) from None
        if isinstance(error, msal.exceptions.MsalServiceError | json.JSONDecodeError):
            raise problems.busy(self._host, 503) from None
        if isinstance(error, requests.RequestException):
            raise problems.unreachable(self._host, error) from None


def _blocks(result: Mapping[str, Any]) -> bool:
    """Whether an invalid_grant carries a number we can explain better than "used before"."""
    return any(number in problems.MICROSOFT_CODES for number in problems.aadsts(result))


def _named(words: tuple[str, str], code: str) -> SignInError:
    return SignInError(_(words[0]), next_step=_(words[1]), code=code)
