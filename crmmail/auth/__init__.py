"""Signing in, staying signed in, and where the secrets lie.

Nothing here is imported before it is needed: `session_for` pulls in httpx, a sign-in msal or google-auth-oauthlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmmail.auth.flow import SignIn
    from crmmail.auth.session import Session
    from crmmail.auth.tokens import TokenStore
    from crmmail.config import MailboxSettings

GMAIL_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
"""Everything but permanent deletion: reading, sending, labels, trash (Gmail API, "Choose scopes")."""
GMAIL_FULL = "https://mail.google.com/"
"""The only scope that allows permanent deletion; asked for when that is first used."""


def session_for(name: str, settings: MailboxSettings, tokens: TokenStore) -> Session:
    """The session of the mailbox called `name`; it reads its tokens at the first request, not now."""
    from crmmail.auth import session

    return session.Session(name, tokens, session.renewer(settings), hosts=session.api_hosts(settings))


def sign_in(
    name: str, settings: MailboxSettings, tokens: TokenStore, *, browser: bool = False, widen: bool = False
) -> SignIn:
    """A sign-in for the mailbox called `name`, not started yet.

    `browser` skips the device code. `widen` asks Google for permanent deletion too. Raises SignInError when the
    client id is missing or the tokens could not be kept.
    """
    if settings.provider == "gmail":
        from crmmail.auth.google import GoogleSignIn

        return GoogleSignIn(name, settings, tokens, browser=browser, widen=widen)
    from crmmail.auth.microsoft import MicrosoftSignIn

    return MicrosoftSignIn(name, settings, tokens, browser=browser)
