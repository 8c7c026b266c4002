"""HTTPS for sign-in: time limits, and an additional certificate authority that no environment variable overrules."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crmmail.errors import SettingsError
from crmmail.i18n import _

if TYPE_CHECKING:
    import httpx
    import requests

SECONDS = 20.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(url: str) -> bool:
    """Whether `url` stays on this machine: no proxy is used, and plain HTTP is allowed."""
    return urlsplit(url).hostname in _LOOPBACK


def host(url: str) -> str:
    """The host of `url`, for sentences."""
    return urlsplit(url).hostname or url[:80]


def context(ca_file: str) -> ssl.SSLContext:
    """The public authorities and that of `ca_file` ('' for none). Raises SettingsError for an unusable file."""
    import certifi

    made = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        try:
            made.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(
                _("The certificate file {path} cannot be used: {reason}.").format(
                    path=ca_file, reason=error.strerror or _("it is not PEM")
                ),
                next_step=_("Correct the setting “ca_file”."),
            ) from None
    return made


def client(ca_file: str, url: str) -> httpx.Client:
    """An httpx client for the server of `url`."""
    import httpx

    return httpx.Client(verify=context(ca_file), timeout=SECONDS, trust_env=not is_loopback(url))


def _hush() -> None:
    """These write codes and tokens into their debug lines (requests_oauthlib: the whole body of every answer)."""
    import logging

    for name in ("requests_oauthlib", "oauthlib", "msal", "urllib3", "httpcore"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))


def arrange(session: requests.Session, ca_file: str, url: str) -> requests.Session:
    """Give a requests session our limits and authorities.

    REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, common behind company proxies, overrule `session.verify`; an adapter that
    brings its own context is not overruled, and the proxies of the environment keep working.
    """
    from requests import HTTPError
    from requests.adapters import HTTPAdapter

    trusted = context(ca_file)
    _hush()

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
            return super().init_poolmanager(*args, ssl_context=trusted, **kwargs)

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            return super().proxy_manager_for(*args, ssl_context=trusted, **kwargs)

        def send(
            self,
            request: requests.PreparedRequest,
            stream: bool = False,
            timeout: float | tuple[float | None, float | None] | None = None,
            verify: bool | str = True,
            cert: str | tuple[str, str] | None = None,
            proxies: Any = None,
        ) -> requests.Response:
            answer = super().send(request, stream, timeout or SECONDS, True, cert, proxies)
            if answer.status_code == 429 or answer.status_code >= 500:
                # said here, because msal answers a 429 to a renewal with None: "nobody is signed in"
                raise HTTPError(response=answer)
            return answer

    session.trust_env = not is_loopback(url)
    session.mount("https://", Adapter())
    return session
