"""Plays the person in front of the browser, so that the demo and the tests sign in through the real flows.

box = person.settings(sandbox, "outlook")
person.sign_in(sandbox, "work", box, tokens, "bruno@example.com")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from crmmail.config import MailboxSettings
from crmmail.sandbox import consent
from crmmail.signing import Done, Failed, Flow, ShowCode, ShowUrl

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from crmmail.auth.tokens import TokenStore


class Reachable(Protocol):
    """A sandbox, in this process or another."""

    @property
    def https_url(self) -> str:
        """Where it listens."""
        ...

    @property
    def ca_file(self) -> Path:
        """Whom to trust for that address."""
        ...


def settings(sandbox: Reachable, provider: str, address: str = "") -> MailboxSettings:
    """A mailbox's settings with every address leading to the sandbox, over TLS: msal accepts nothing else."""
    base = sandbox.https_url
    shared: dict[str, Any] = {"provider": provider, "address": address, "ca_file": str(sandbox.ca_file)}
    if provider == "outlook":
        return MailboxSettings(
            **shared,
            client_id=consent.MICROSOFT_CLIENT,
            api_url=f"{base}/v1.0",
            authority_url=base,
        )
    return MailboxSettings(
        **shared,
        client_id=consent.GOOGLE_CLIENT,
        client_secret=consent.GOOGLE_SECRET,
        api_url=base,
        auth_url=f"{base}/o/oauth2/v2/auth",
        token_url=f"{base}/token",
        device_url=f"{base}/device/code",
        revoke_url=f"{base}/revoke",
    )


def sign_in(
    sandbox: Reachable,
    name: str,
    box: MailboxSettings,
    tokens: TokenStore,
    user: str = "",
    *,
    decision: str = "approve",
) -> Done | Failed:
    """Sign in to `box` as `user` (the provider's first one when ''), doing in the browser what a person would."""
    from crmmail import auth

    return answer(sandbox, auth.sign_in(name, box, tokens), user, decision=decision)


def answer(sandbox: Reachable, flow: Flow, user: str = "", *, decision: str = "approve") -> Done | Failed:
    """Take a sign-in to its end."""
    for event in flow.events():
        if isinstance(event, ShowUrl):
            browse(sandbox, event.url, user, decision=decision)
        elif isinstance(event, ShowCode):
            type_code(sandbox, event.code, user, decision=decision)
        elif isinstance(event, Done | Failed):
            return event
    raise RuntimeError("a sign-in ends with Done or Failed")


def browse(sandbox: Reachable, url: str, user: str = "", *, decision: str = "approve", follow: bool = True) -> str:
    """Open a consent page, answer it, and let the browser go where it is sent; returns that address."""
    headers = {"X-Sandbox-User": user or "-", "X-Sandbox-Decision": decision}
    with _browser(sandbox) as browser:
        location = str(browser.get(url, headers=headers).headers.get("Location", ""))
        if location and follow:
            browser.get(location)
    return location


def type_code(sandbox: Reachable, code: str, user: str = "", *, decision: str = "approve") -> bool:
    """Type a device code into its page; False when the page does not know it."""
    form = {"user_code": code, "user": user, "decision": decision}
    with _browser(sandbox) as browser:
        return browser.post(f"{sandbox.https_url}/devicelogin", data=form).status_code == 200


def _browser(sandbox: Reachable) -> httpx.Client:
    import ssl

    import httpx

    return httpx.Client(verify=ssl.create_default_context(cafile=str(sandbox.ca_file)), trust_env=False)
