"""What the providers' error codes mean for the person in front of the screen, and what to do about each.

Codes: RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5, Google's "OAuth 2.0 for desktop apps", Microsoft's
"Entra authentication and authorization error codes". docs/connecting.md lists the same with more room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crmmail.errors import AuthRequired, Offline, SignInError, Transient
from crmmail.i18n import N_, _

_GUIDE = N_("docs/connecting.md shows the way.")
_AGAIN = N_("Start the sign-in again.")
_ADMIN = N_("Ask your administrator to allow crmmail; docs/connecting.md says what to send them.")
_OTHER_WAY = N_("Try the other way to sign in (browser instead of code, or the reverse); else ask your administrator.")
_REGISTRATION = N_("Correct the app registration as docs/connecting.md shows, then start again.")

COMMON: dict[str, tuple[str, str]] = {
    "access_denied": (N_("You declined, or the provider did."), _AGAIN),
    "authorization_declined": (N_("You declined, or the provider did."), _AGAIN),
    "expired_token": (N_("The code expired before it was used."), N_("Start again for a new code.")),
    "bad_verification_code": (N_("The code expired before it was used."), N_("Start again for a new code.")),
    "timeout": (N_("Nobody finished the sign-in in time."), _AGAIN),
    "cancelled": (N_("The sign-in was cancelled."), N_("Nothing was changed.")),
    "state_mismatch": (
        N_("This answer belongs to another sign-in and was refused."),
        N_("Finish the page that was opened last, or start again."),
    ),
    "no_code": (
        N_("This address holds no answer of the provider."),
        N_("Copy the whole address the browser ended at."),
    ),
    "code_used": (N_("This answer was used before, or is too old."), _AGAIN),
    "server_error": (N_("The provider has a problem of its own."), N_("Try again in a few minutes.")),
    "temporarily_unavailable": (N_("The provider has a problem of its own."), N_("Try again in a few minutes.")),
    "missing_client": (N_("No OAuth client id is set for this provider."), _GUIDE),
    "slow_down": (N_("The provider asks to be asked less often."), N_("Try again in a few minutes.")),
}

GOOGLE: dict[str, tuple[str, str]] = {
    "invalid_client": (
        N_("Google does not know this client id, or its secret is wrong."),
        N_("Compare both with the Google Cloud console (APIs & Services, Credentials); unused clients are deleted."),
    ),
    "deleted_client": (
        N_("This OAuth client was deleted at Google."),
        N_("Create a new one of the type “Desktop app”; docs/connecting.md shows how."),
    ),
    "unauthorized_client": (
        N_("This OAuth client may not sign in this way."),
        N_("Create one of the type “Desktop app”; docs/connecting.md shows how."),
    ),
    "redirect_uri_mismatch": (
        N_("This OAuth client is not of the type “Desktop app”."),
        N_("Create one of that type; docs/connecting.md shows how."),
    ),
    "admin_policy_enforced": (N_("Your organisation's Google Workspace does not allow this app."), _ADMIN),
    "domainPolicy": (N_("Your organisation's Google Workspace does not allow this app."), _ADMIN),
    "org_internal": (
        N_("This OAuth client only lets people of its own organisation in."),
        N_("Sign in with an address of that organisation, or set the consent screen to External."),
    ),
    "disallowed_useragent": (
        N_("Google does not accept sign-ins from this browser."),
        N_("Open the address in an ordinary browser."),
    ),
    "invalid_scope": (N_("Google refuses a permission that was asked for."), _GUIDE),
    "missing_scope": (
        N_("The permission to read and change your mail was left out."),
        N_("Start again and leave the box for Gmail ticked on Google's page."),
    ),
    "missing_full_scope": (
        N_("The permission to delete mail for good was left out; nothing was deleted."),
        N_("Try again and leave the box ticked. Moving to the trash works without it."),
    ),
    "no_refresh_token": (
        N_("Google gave no permission to stay signed in."),
        N_("Remove crmmail's access at myaccount.google.com/permissions, then start again."),
    ),
    "invalid_grant": (N_("This answer was used before, or is too old."), _AGAIN),
}

_MFA = (N_("Microsoft wants another proof of who you are."), N_("Sign in again."))
_DEVICE = (N_("Your organisation only lets registered devices or approved apps in."), _OTHER_WAY)
_BLOCKED = (N_("Your organisation's sign-in rules block this way of signing in."), _OTHER_WAY)
_CONSENT = (N_("An administrator has to allow this app before it may read mail."), _ADMIN)
_OVER = (N_("The session has ended: expired, revoked, or the password was changed."), N_("Sign in again."))
_TENANT = (
    N_("This account does not belong to the tenant, or the app is not open to it."),
    N_("Check the setting “tenant” and who the app registration is for; docs/connecting.md explains both."),
)

MICROSOFT_CODES: dict[int, tuple[str, str]] = {
    **dict.fromkeys((50074, 50076, 50078, 50079), _MFA),
    **dict.fromkeys((50005, 50097, 53000, 53001, 53002), _DEVICE),
    **dict.fromkeys((53003, 530032, 530034, 530035), _BLOCKED),
    **dict.fromkeys((65001, 90094, 90095), _CONSENT),
    65004: COMMON["access_denied"],
    **dict.fromkeys((50089, 50132, 50133, 50173, 70008, 70043, 700082, 700084), _OVER),
    **dict.fromkeys((70018, 70019), COMMON["expired_token"]),
    **dict.fromkeys((50020, 50194, 90002, 90130, 9002332), _TENANT),
    700016: (
        N_("Microsoft does not know this client id in this tenant."),
        N_("Compare it with “Application (client) ID” in the Entra portal, and check the setting “tenant”."),
    ),
    7000218: (
        N_("The app registration does not allow public client flows."),
        N_("Entra portal, Authentication: set “Allow public client flows” to Yes."),
    ),
    700025: (N_("The app registration is not a public client."), _REGISTRATION),
    50011: (
        N_("The app registration does not know the address http://localhost."),
        N_("Entra portal, Authentication: add “Mobile and desktop applications” with http://localhost."),
    ),
    70011: (N_("The app registration lacks a permission that was asked for."), _REGISTRATION),
    50196: (N_("Microsoft saw too many sign-ins in a row."), N_("Wait some minutes, then try again.")),
    54005: COMMON["code_used"],
}

MICROSOFT: dict[str, tuple[str, str]] = {
    "invalid_client": (N_("The app registration does not accept this client."), _REGISTRATION),
    "unauthorized_client": (
        N_("Microsoft does not know this client id, or it may not sign in this way."),
        _REGISTRATION,
    ),
    "invalid_scope": (N_("The app registration lacks a permission that was asked for."), _REGISTRATION),
    "consent_required": _CONSENT,
    "interaction_required": _MFA,
    "login_required": _MFA,
    "invalid_grant": _OVER,
    "no_tenant": (
        N_("There is no such tenant at Microsoft, or its address is wrong."),
        N_("Check the settings “tenant” and “authority_url”."),
    ),
    "missing_scope": (
        N_("The permission to read and change your mail was left out."),
        N_("Add Mail.ReadWrite to the app registration and start again."),
    ),
}

_UNKNOWN = N_("The provider refused: {reason}.")


def common(code: str) -> SignInError:
    """An error every provider shares."""
    sentence, next_step = COMMON[code]
    return SignInError(_(sentence), next_step=_(next_step), code=code)


def google(code: str, description: str = "") -> SignInError:
    """Google's `error` as a sentence; the description is only shown for codes nobody knows."""
    known = GOOGLE.get(code) or COMMON.get(code)
    return _told(known, code, description)


def microsoft(answer: Mapping[str, Any]) -> SignInError:
    """Microsoft's error body (or msal's copy of it) as a sentence; the AADSTS number decides, then `error`."""
    description = str(answer.get("error_description") or "")
    numbers = aadsts(answer)
    error = str(answer.get("error") or "")
    known = next((MICROSOFT_CODES[number] for number in numbers if number in MICROSOFT_CODES), None)
    known = known or MICROSOFT.get(error) or COMMON.get(error)
    code = f"AADSTS{numbers[0]}" if numbers else error
    told = _told(known, code or "unknown", description)
    if numbers and code not in told.next_step:
        told.next_step = f"{told.next_step} ({code})".strip()
    return told


def aadsts(answer: Mapping[str, Any]) -> list[int]:
    """The AADSTS numbers of an error, from `error_codes` or the text."""
    codes = answer.get("error_codes")
    listed: Iterable[Any] = codes if isinstance(codes, list) else ()
    numbers = [int(code) for code in listed if str(code).isdigit()]
    return numbers or [int(number) for number in re.findall(r"AADSTS(\d{4,8})", str(answer.get("error_description")))]


def _told(known: tuple[str, str] | None, code: str, description: str) -> SignInError:
    if known:
        return SignInError(_(known[0]), next_step=_(known[1]), code=code)
    return SignInError(_(_UNKNOWN).format(reason=_plain(description or code)), next_step=_(_GUIDE), code=code)


def _plain(text: str) -> str:
    """A server's words, one printable line of at most 200 characters without its trace ids."""
    line = text.split("\r")[0].split("\n")[0].split(" Trace ID:")[0]
    return "".join(letter for letter in line if letter.isprintable())[:200].rstrip(". ")


def unreachable(host: str, error: Exception) -> Offline:
    """No answer from the sign-in server. An untrusted certificate is told apart: waiting does not help there."""
    if "CERTIFICATE" in str(error).upper():
        return Offline(
            _("The certificate of {host} is not trusted.").format(host=host),
            next_step=_("Behind a company proxy, set “ca_file” to its certificate; else do not trust this network."),
            reason="certificate",
        )
    return Offline(
        _("{host} does not answer.").format(host=host),
        next_step=_("Check the network (and proxy) and try again."),
        reason=type(error).__name__,
    )


def busy(host: str, status: int, retry_after: str = "") -> Transient:
    """The sign-in server answered with an error of its own. `retry_after`: its header; only seconds count."""
    return Transient(
        _("{host} has a problem of its own ({status}).").format(host=host, status=status),
        next_step=_("It is tried again by itself."),
        status=status,
        retry_after=float(retry_after) if retry_after.isdigit() else None,
    )


def too_often(seconds: float) -> Transient:
    """The server refuses a token it gave moments ago: it is not asked for another one before the pause is over."""
    return Transient(
        _("The server refuses the session it has just renewed."),
        next_step=_("It is tried again by itself."),
        status=401,
        retry_after=seconds,
    )


def session_over(address: str, reason: str = "") -> AuthRequired:
    """Renewal has ended; only the user can sign in again."""
    return AuthRequired(
        _("The session of {address} has ended.").format(address=address) if address else _("The session has ended."),
        next_step=_("Sign in again. Your mail and what is queued are kept."),
        status=401,
        reason=reason,
    )


def not_signed_in(name: str) -> AuthRequired:
    """There is no session at all."""
    return AuthRequired(
        _("Nobody has signed in to {name} yet.").format(name=name),
        next_step=_("Sign in. Your mail and what is queued are kept."),
        reason="no_session",
    )
