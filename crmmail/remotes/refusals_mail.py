"""What a mail server's refusal means. IMAP: RFC 5530's codes, then known words; SMTP: RFC 3463's and RFC 5321's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crmmail.errors import AuthRequired, Rejected, RemoteError, Transient
from crmmail.i18n import N_, _
from crmmail.mail.text import clean_line
from crmmail.remotes.dial import Server

_CODE = re.compile(r"\[([A-Z][A-Z-]*)")
_PASSING = ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CONTACTADMIN")
_CONNECT_AGAIN = N_("Correct the password: connect the mailbox again.")

# Words servers use, in the order they are looked for: (words, reason, sentence, next step).
_LOGIN: Sequence[tuple[tuple[str, ...], str, str, str]] = (
    (
        ("application-specific password", "app password", "app-specific password"),
        "app_password_needed",
        N_("{host} wants an app password, not the usual one."),
        N_("Create one in the provider's security settings; docs/connecting.md shows how."),
    ),
    (
        ("not enabled for imap", "imap access is disabled", "imap is disabled", "imap access disabled"),
        "imap_disabled",
        N_("IMAP is switched off for this mailbox."),
        N_("Switch it on in the mailbox's settings on the web, or ask your administrator."),
    ),
    (
        ("web browser", "web login", "webmail"),
        "web_login",
        N_("{host} wants you to sign in on the web once."),
        N_("Do so in a browser, then try again."),
    ),
    (
        ("basic authentication is disabled", "basicauthblocked", "authentication disabled", "password logins"),
        "password_not_taken",
        N_("{host} no longer takes passwords."),
        N_("Connect this mailbox by signing in with its provider instead."),
    ),
)
_BUSY = ("too many", "rate limit", "temporar", "try again later", "exceeded", "overquota")


def login(server: Server, told: str, *, bearer: bool = False) -> RemoteError:
    """A refused login. AuthRequired, or Transient when it is the server's own trouble."""
    code, words = _code(told), told.lower()
    if code in _PASSING or (code != "AUTHENTICATIONFAILED" and any(word in words for word in _BUSY)):
        return busy(server, told)
    for known, reason, sentence, step in _LOGIN:
        if any(word in words for word in known):
            return AuthRequired(_(sentence).format(host=server.host), next_step=_(step), reason=reason)
    if bearer:
        return AuthRequired(
            _("{host} refused the session.").format(host=server.host), next_step=_("Sign in again."), reason="token"
        )
    if code == "EXPIRED":
        return AuthRequired(
            _("The password of {host} has expired.").format(host=server.host),
            next_step=_(_CONNECT_AGAIN),
            reason="password_expired",
        )
    return AuthRequired(
        _("{host} refused the name or the password: {reason}.").format(host=server.host, reason=spoken(told)),
        next_step=_(_CONNECT_AGAIN),
        reason="wrong_password",
    )


def busy(server: Server, told: str) -> Transient:
    """The server has no time or a trouble of its own."""
    return Transient(
        _("{host} says: {reason}.").format(host=server.host, reason=spoken(told)),
        next_step=_("It is tried again by itself."),
        reason="busy",
    )


def imap(server: Server, told: str) -> RemoteError:
    """A command that was refused after the login. BAD is a trouble of one of us, and no verdict on a message."""
    code = _code(told)
    if code in _PASSING:
        return busy(server, told)
    if code in ("AUTHENTICATIONFAILED", "EXPIRED", "PRIVACYREQUIRED"):
        return login(server, told)
    sentence = _("{host} refuses: {reason}.").format(host=server.host, reason=spoken(told))
    if " BAD " in told and " NO " not in told:
        return Transient(sentence, next_step=_("It is tried again by itself."), reason="bad")
    return Rejected(sentence, reason=code.lower())


def spoken(told: str) -> str:
    """A server's own words, one harmless line without what the libraries put around them."""
    text = re.sub(r"^\w+ failed: |^\w+ command error: \w+ ", "", told)
    text = text.replace("[b'", "").replace("']", "").replace("b'", "").strip("'\" ")
    text = re.sub(r"^\[[A-Z][^\]]*\]\s*", "", text)
    return clean_line(text, 200).rstrip(". ") or _("no reason given")


def _code(told: str) -> str:
    found = _CODE.search(told)
    return found[1] if found else ""


def smtp(server: Server, code: int, text: bytes | str) -> RemoteError:
    """An SMTP answer of 400 to 599 outside of the login."""
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    words = re.sub(r"^\d\.\d+\.\d+\s*", "", told.replace("\n", " "))
    if code in (530, 534, 535):
        return login(server, told)
    sentence = _("{host} refuses: {reason}.").format(host=server.host, reason=spoken(words))
    if code < 500:
        return Transient(sentence, next_step=_("It is tried again by itself."), status=code, reason="busy")
    return Rejected(sentence, status=code)
