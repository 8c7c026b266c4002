"""Google's OAuth server: `/o/oauth2/v2/auth`, `/token`, `/device/code`, `/revoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmmail.sandbox import consent
from crmmail.sandbox.consent import DEVICE_GRANT, Attempt
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.oauth_pages import CODE_SECONDS, begin, is_loopback, open_device, page, resolve

if TYPE_CHECKING:
    from crmmail.sandbox.server import Sandbox

_APIS = "https://www.googleapis.com/auth/"
DEVICE_SCOPES = frozenset(
    {"email", "openid", "profile", _APIS + "drive.appdata", _APIS + "drive.file", _APIS + "youtube"}
)


def google_authorize(sandbox: Sandbox, request: Request) -> Response:
    """The consent page. Its own errors are pages too: there is nobody safe to redirect to."""
    table = consent.of(sandbox)
    client = table.clients.get(request.one("client_id"))
    if client is None or client.provider != "gmail":
        return page("Access blocked: authorisation error", "<p>Error 401: invalid_client</p>", 401)
    redirect = request.one("redirect_uri")
    if not is_loopback(redirect):
        return page("Access blocked: this app's request is invalid", "<p>Error 400: redirect_uri_mismatch</p>", 400)
    if request.one("code_challenge") and request.one("code_challenge_method", "plain") != "S256":
        return page("Access blocked", "<p>Error 400: invalid_request (code_challenge_method)</p>", 400)
    attempt = Attempt(
        client,
        tuple(request.one("scope").split()),
        table.clock() + CODE_SECONDS,
        table.next_answer("gmail"),
        redirect=redirect,
        state=request.one("state"),
        challenge=request.one("code_challenge"),
        offline=request.one("access_type") == "offline" and request.one("prompt") == "consent",
        hint=request.one("login_hint"),
    )
    return begin(sandbox, request, attempt)


def google_device(sandbox: Sandbox, request: Request) -> Response:
    """The device endpoint, which refuses Gmail's scopes at the very first request."""
    table, fields = consent.of(sandbox), request.form()
    client = table.clients.get(fields.get("client_id", ""))
    if client is None:
        return _google_error("invalid_client", "The OAuth client was not found.", 401)
    scopes = tuple(fields.get("scope", "").split())
    refused = [scope for scope in scopes if scope not in DEVICE_SCOPES]
    if refused and not client.device:
        return _google_error("invalid_scope", f"Invalid device flow scope: {refused[0]}", 400)
    code, user_code = open_device(table, client, scopes)
    return Response.of(
        {
            "device_code": code,
            "user_code": user_code,
            "expires_in": int(table.device_seconds),
            "interval": int(table.interval),
            "verification_url": f"{request.base}/devicelogin",
        }
    )


def google_token(sandbox: Sandbox, request: Request) -> Response:
    """Exchange a code or a device code, or renew."""
    table, fields = consent.of(sandbox), request.form()
    client = table.clients.get(fields.get("client_id", ""))
    if client is None or client.provider != "gmail":
        return _google_error("invalid_client", "The OAuth client was not found.", 401)
    if fields.get("client_secret", "") != client.secret:
        return _google_error("invalid_client", "The provided client secret is invalid.", 401)
    match fields.get("grant_type"):
        case "authorization_code":
            return _google_code(sandbox, fields)
        case "refresh_token":
            held = table.use_refresh(fields.get("refresh_token", ""), client.id, rotate=False)
            if held is None:
                return _google_error("invalid_grant", "Token has been expired or revoked.", 400)
            return _google_granted(sandbox, held.user, held.scopes)
        case grant if grant == DEVICE_GRANT:
            return _google_poll(sandbox, fields)
    return _google_error("unsupported_grant_type", "Invalid grant_type: " + fields.get("grant_type", ""), 400)


def _google_code(sandbox: Sandbox, fields: dict[str, str]) -> Response:
    table = consent.of(sandbox)
    attempt = table.redeem(fields.get("code", ""))
    if attempt is None:
        return _google_error("invalid_grant", "Bad Request", 400)
    if attempt.redirect != fields.get("redirect_uri"):
        return _google_error("redirect_uri_mismatch", "Bad Request", 400)
    if not consent.verifies(attempt, fields.get("code_verifier", "")):
        return _google_error("invalid_grant", "Invalid code verifier.", 400)
    return _google_granted(sandbox, attempt.user, attempt.scopes, attempt)


def _google_poll(sandbox: Sandbox, fields: dict[str, str]) -> Response:
    table = consent.of(sandbox)
    attempt = table.attempts.get(fields.get("device_code", ""))
    outcome = table.poll(attempt) if attempt else "used"
    errors = {
        "pending": ("authorization_pending", "Precondition Required", 428),
        "slow_down": ("slow_down", "Forbidden", 403),
        "declined": ("access_denied", "Forbidden", 403),
        "expired": ("expired_token", "Bad Request", 400),
    }
    if attempt is None or outcome != "approve":
        return _google_error(*errors.get(outcome, ("invalid_grant", "Bad Request", 400)))
    attempt.used, attempt.user = True, resolve(sandbox, "gmail", attempt.user)
    return _google_granted(sandbox, attempt.user, attempt.scopes, attempt)


def _google_granted(sandbox: Sandbox, user: str, scopes: tuple[str, ...], attempt: Attempt | None = None) -> Response:
    table = consent.of(sandbox)
    life = table.lifetime(user)
    granted: dict[str, Any] = {
        "access_token": sandbox.grants.issue(user, scopes, life.access),
        "expires_in": int(life.access),
        "scope": " ".join(scopes),
        "token_type": "Bearer",
    }
    if attempt is not None and attempt.offline:
        granted["refresh_token"] = table.remember(attempt.client.id, user, scopes)
        attempt.issued.append(granted["refresh_token"])
    return Response.of(granted, Cache_Control="no-store")


def google_revoke(sandbox: Sandbox, request: Request) -> Response:
    """End a grant, by its refresh or an access token."""
    table = consent.of(sandbox)
    token = request.form().get("token") or request.one("token")
    held = table.refreshes.get(token)
    grant = sandbox.grants.known(token)
    if held is None and grant is None:
        return _google_error("invalid_token", "Token expired or revoked", 400)
    user = held.user if held else grant.user if grant else ""
    table.revoke(user)
    sandbox.grants.revoke_all(user)
    return Response.of({})


def _google_error(error: str, description: str, status: int) -> Response:
    return Response.of({"error": error, "error_description": description}, status)
