"""Microsoft's OAuth server: `/{tenant}/v2.0/.well-known/…`, `/{tenant}/oauth2/v2.0/{authorize,devicecode,token}`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from crmmail.sandbox import consent
from crmmail.sandbox.consent import DEVICE_GRANT, TENANT_ID, Attempt, client_info, object_id
from crmmail.sandbox.http import Request, Response
from crmmail.sandbox.oauth_pages import CODE_SECONDS, begin, is_loopback, open_device, page, resolve

if TYPE_CHECKING:
    from crmmail.sandbox.server import Sandbox

CODES: dict[str, tuple[str, int, str]] = {
    "pending": ("authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending."),
    "slow_down": ("slow_down", 0, "The client is polling too often."),
    "declined": ("authorization_declined", 70000, "The end-user denied the authorization request."),
    "expired": ("expired_token", 70019, "The verification code has expired."),
    "used": ("invalid_grant", 54005, "OAuth2 Authorization code was already redeemed."),
    "refresh": ("invalid_grant", 70008, "The refresh token has expired or is not valid."),
    "revoked": ("invalid_grant", 50173, "The provided grant has expired due to it being revoked."),
    "verifier": ("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge."),
    "unknown": ("unauthorized_client", 700016, "Application was not found in the directory."),
    "public": ("invalid_client", 7000218, "The request body must contain: 'client_assertion' or 'client_secret'."),
    "tenant": ("invalid_request", 90002, "Tenant not found."),
    "redirect": ("invalid_request", 50011, "The redirect URI does not match those configured."),
}


def microsoft_error(error: str, number: int, text: str, status: int = 400) -> Response:
    """An error body as the Entra token endpoint writes it."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    described = f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation}" if number else text
    codes = {"error_codes": [number]} if number else {}
    body = {"error": error, "error_description": described, **codes, "trace_id": trace, "correlation_id": correlation}
    return Response.of(body, status)


def microsoft_discovery(sandbox: Sandbox, request: Request) -> Response:
    """The OpenID configuration of a tenant."""
    tenant = request.match["tenant"]
    if tenant not in consent.of(sandbox).tenants:
        return microsoft_error(*CODES["tenant"])
    base = f"{request.base}/{tenant}"
    return Response.of(
        {
            "issuer": f"{request.base}/{TENANT_ID}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "id_token", "code id_token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["none"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
    )


def microsoft_authorize(sandbox: Sandbox, request: Request) -> Response:
    """The sign-in page."""
    table = consent.of(sandbox)
    client = table.clients.get(request.one("client_id"))
    if client is None or client.provider != "outlook":
        return page("Sorry, but we're having trouble signing you in", f"<p>AADSTS700016: {CODES['unknown'][2]}</p>")
    redirect = request.one("redirect_uri")
    if not is_loopback(redirect):
        return page("Sorry, but we're having trouble signing you in", f"<p>AADSTS50011: {CODES['redirect'][2]}</p>")
    attempt = Attempt(
        client,
        tuple(request.one("scope").split()),
        table.clock() + CODE_SECONDS,
        table.next_answer("outlook"),
        redirect=redirect,
        state=request.one("state"),
        challenge=request.one("code_challenge"),
        nonce=request.one("nonce"),
        mode=request.one("response_mode", "query"),
        tenant=request.match["tenant"],
        hint=request.one("login_hint"),
    )
    return begin(sandbox, request, attempt)


def microsoft_device(sandbox: Sandbox, request: Request) -> Response:
    """A device code."""
    table, fields = consent.of(sandbox), request.form()
    client = table.clients.get(fields.get("client_id", ""))
    if client is None or client.provider != "outlook":
        return microsoft_error(*CODES["unknown"])
    code, user_code = open_device(table, client, tuple(fields.get("scope", "").split()), request.match["tenant"])
    where = f"{request.base}/devicelogin"
    return Response.of(
        {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": where,
            "expires_in": int(table.device_seconds),
            "interval": int(table.interval),
            "message": f"To sign in, use a web browser to open the page {where} and enter the code {user_code}.",
        }
    )


def microsoft_token(sandbox: Sandbox, request: Request) -> Response:
    """Exchange a code or a device code, or renew; a renewal replaces the refresh token."""
    table, fields = consent.of(sandbox), request.form()
    client = table.clients.get(fields.get("client_id", ""))
    if client is None or client.provider != "outlook":
        return microsoft_error(*CODES["unknown"])
    if not client.public:
        return microsoft_error(*CODES["public"], 401)
    match fields.get("grant_type"):
        case "authorization_code":
            return _microsoft_code(sandbox, request, fields)
        case "refresh_token":
            held = table.use_refresh(fields.get("refresh_token", ""), client.id, rotate=True)
            if held is None:
                return microsoft_error(*CODES["refresh"])
            again = Attempt(client, held.scopes, 0, consent.Answer(), user=held.user, tenant=held.tenant)
            return _microsoft_granted(sandbox, request, again)
        case grant if grant in (DEVICE_GRANT, "device_code"):
            return _microsoft_poll(sandbox, request, fields)
    return microsoft_error("unsupported_grant_type", 70003, "The grant type is not supported.")


def _microsoft_code(sandbox: Sandbox, request: Request, fields: dict[str, str]) -> Response:
    attempt = consent.of(sandbox).redeem(fields.get("code", ""))
    if attempt is None:
        return microsoft_error(*CODES["used"])
    if attempt.redirect != fields.get("redirect_uri"):
        return microsoft_error(*CODES["redirect"])
    if not consent.verifies(attempt, fields.get("code_verifier", "")):
        return microsoft_error(*CODES["verifier"])
    if attempt.answer.error:
        return microsoft_error("invalid_grant", attempt.answer.error, "Access has been blocked.")
    return _microsoft_granted(sandbox, request, attempt)


def _microsoft_poll(sandbox: Sandbox, request: Request, fields: dict[str, str]) -> Response:
    table = consent.of(sandbox)
    attempt = table.attempts.get(fields.get("device_code", ""))
    outcome = table.poll(attempt) if attempt else "used"
    if attempt is None or outcome not in ("approve", "error"):
        return microsoft_error(*CODES[outcome])
    if outcome == "error":
        return microsoft_error("invalid_grant", attempt.answer.error, "Access has been blocked.")
    attempt.used, attempt.user = True, resolve(sandbox, "outlook", attempt.user)
    return _microsoft_granted(sandbox, request, attempt)


def _microsoft_granted(sandbox: Sandbox, request: Request, attempt: Attempt) -> Response:
    table, user = consent.of(sandbox), attempt.user
    life = table.lifetime(user)
    plain = tuple(scope.rpartition("/")[2] for scope in attempt.scopes)
    shown = [scope for scope in plain if scope != "offline_access"]
    granted: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(shown),
        "expires_in": int(life.access),
        "ext_expires_in": int(life.access),
        "access_token": sandbox.grants.issue(user, shown, life.access),
        "id_token": consent.plain_jwt(_claims(sandbox, request, attempt)),
        "client_info": client_info(user),
    }
    if "offline_access" in plain:
        granted["refresh_token"] = table.remember(attempt.client.id, user, attempt.scopes, attempt.tenant)
        attempt.issued.append(granted["refresh_token"])
    return Response.of(granted, Cache_Control="no-store")


def _claims(sandbox: Sandbox, request: Request, attempt: Attempt) -> dict[str, Any]:
    now = int(sandbox.clock())
    return {
        "iss": f"{request.base}/{TENANT_ID}/v2.0",
        "aud": attempt.client.id,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "oid": object_id(attempt.user),
        "sub": object_id(attempt.user),
        "tid": TENANT_ID,
        "preferred_username": attempt.user,
        "name": sandbox.users[attempt.user].name if attempt.user in sandbox.users else attempt.user,
        "ver": "2.0",
        **({"nonce": attempt.nonce} if attempt.nonce else {}),
    }
