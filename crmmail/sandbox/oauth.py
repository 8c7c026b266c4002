"""Google's and Microsoft's OAuth servers, as their clients meet them: endpoints, pages, error bodies.

Google: `/o/oauth2/v2/auth`, `/token`, `/device/code`, `/revoke`. Microsoft: `/{tenant}/v2.0/.well-known/…`,
`/{tenant}/oauth2/v2.0/{authorize,devicecode,token}`, and `/devicelogin` where codes are typed. A request for a consent
page with the header `X-Sandbox-User: address` is approved at once (`X-Sandbox-Decision: decline` declines it), and
`POST /__sandbox/approve {"user_code"|"url": …, "user": …, "decision": …}` plays the user anywhere.
"""

from __future__ import annotations

import html
import secrets
import uuid
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from crmmail.sandbox import consent
from crmmail.sandbox.consent import Attempt, SignIns
from crmmail.sandbox.http import Request, Response

if TYPE_CHECKING:
    from crmmail.sandbox.server import Sandbox, User

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_APIS = "https://www.googleapis.com/auth/"
DEVICE_SCOPES = frozenset(
    {"email", "openid", "profile", _APIS + "drive.appdata", _APIS + "drive.file", _APIS + "youtube"}
)
CODE_SECONDS = 600.0
_PAGE = """<!doctype html><meta charset="utf-8"><title>Sandbox</title>
<style>body{{font:16px system-ui;max-width:36em;margin:8vh auto}}label{{display:block;margin:.4em 0}}</style>
<h1>{title}</h1>{body}"""


def page(title: str, body: str, status: int = 200) -> Response:
    """An HTML page; `body` is markup."""
    return Response.text(_PAGE.format(title=html.escape(title), body=body), status, "text/html; charset=utf-8")


def users_of(sandbox: Sandbox, provider: str) -> list[User]:
    """The provider's users, the first one first."""
    return [user for user in sandbox.users.values() if user.provider == provider]


def resolve(sandbox: Sandbox, provider: str, wish: str) -> str:
    """The address somebody signs in with: the wished one when it exists here, else the first of the provider."""
    known = [user.address for user in users_of(sandbox, provider)]
    return wish.lower() if wish.lower() in known else (known[0] if known else wish.lower())


# ---- the consent page, shared ----------------------------------------------------------------------------------


def begin(sandbox: Sandbox, request: Request, attempt: Attempt) -> Response:
    """Show the consent page, or answer it at once when that was planned or the request says who is asking."""
    table = consent.of(sandbox)
    key = table.open(attempt)
    user = request.header("X-Sandbox-User")
    decision = request.header("X-Sandbox-Decision", "approve") if user else attempt.answer.decision
    if decision in ("approve", "decline"):
        narrowed = tuple(attempt.answer.scopes.split()) or None
        return settle(sandbox, key, decision, user or attempt.answer.user, narrowed)
    return page("Sign in to the sandbox", _form(sandbox, key, attempt))


def _form(sandbox: Sandbox, key: str, attempt: Attempt) -> str:
    hint = resolve(sandbox, attempt.client.provider, attempt.hint)
    choices = "".join(
        f'<label><input type="radio" name="user" value="{html.escape(user.address)}"'
        f"{' checked' if user.address == hint else ''}> {html.escape(user.address)}</label>"
        for user in users_of(sandbox, attempt.client.provider)
    )
    boxes = "".join(
        f'<label><input type="checkbox" name="scope" value="{html.escape(scope)}" checked> {html.escape(scope)}</label>'
        for scope in attempt.scopes
    )
    return (
        f'<form method="post" action="/__sandbox/consent"><input type="hidden" name="request" value="{key}">'
        f"<p>Who are you?</p>{choices}<p>This app asks to:</p>{boxes}"
        '<button name="decision" value="approve">Allow</button> '
        '<button name="decision" value="decline">Deny</button></form>'
    )


def consented(sandbox: Sandbox, request: Request) -> Response:
    """The form of the consent page came back."""
    fields = parse_qsl(request.body.decode("utf-8", "replace"))
    said = dict(fields)
    scopes = tuple(value for name, value in fields if name == "scope")
    return settle(sandbox, said.get("request", ""), said.get("decision", "decline"), said.get("user", ""), scopes)


def settle(sandbox: Sandbox, key: str, decision: str, user: str, scopes: tuple[str, ...] | None = None) -> Response:
    """Send the browser back to the app, with a code or an error."""
    table = consent.of(sandbox)
    attempt = table.attempts.get(key)
    if attempt is None or attempt.decision:
        return page("This page is out of date", "<p>Start the sign-in again.</p>", 400)
    table.settle(attempt, decision, resolve(sandbox, attempt.client.provider, user), scopes)
    fields = {"state": attempt.state}
    if decision == "approve":
        attempt.expires = table.clock() + CODE_SECONDS
        fields["code"] = table.open(attempt, "4/" + secrets.token_urlsafe(40))
    else:
        fields["error"] = "access_denied"
    if attempt.client.provider == "outlook":
        _as_microsoft(fields, attempt)
    elif decision == "approve":
        fields["scope"] = " ".join(attempt.scopes)
    return _back(attempt, fields)


def _as_microsoft(fields: dict[str, str], attempt: Attempt) -> None:
    if "error" in fields:
        fields["error_description"] = "AADSTS65004: User declined to consent to access the app."
        fields["error_subcode"] = "cancel"
    else:
        fields["client_info"] = client_info(attempt.user)
        fields["session_state"] = str(uuid.uuid4())


def _back(attempt: Attempt, fields: dict[str, str]) -> Response:
    if attempt.mode == "form_post":
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items()
        )
        form = f'<form method="post" action="{html.escape(attempt.redirect)}">{inputs}<button>Go on</button></form>'
        return page("Going back to the app", form + "<script>document.forms[0].submit()</script>")
    joint = "&" if "?" in attempt.redirect else "?"
    return Response.redirect(f"{attempt.redirect}{joint}{urlencode(fields)}")


def is_loopback(redirect: str) -> bool:
    """What both providers let desktop apps come back to: this machine, any port."""
    parts = urlsplit(redirect)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


# ---- Google ----------------------------------------------------------------------------------------------------


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
    code, user_code = _open_device(table, client, scopes)
    return Response.of(
        {
            "device_code": code,
            "user_code": user_code,
            "expires_in": int(table.device_seconds),
            "interval": int(table.interval),
            "verification_url": f"{request.base}/devicelogin",
        }
    )


def _open_device(table: SignIns, client: consent.Client, scopes: tuple[str, ...], tenant: str = "") -> tuple[str, str]:
    attempt = Attempt(
        client,
        scopes,
        table.clock() + table.device_seconds,
        table.next_answer(client.provider),
        tenant=tenant,
        user_code=table.user_code(),
        interval=table.interval,
    )
    return table.open(attempt), attempt.user_code


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


# ---- Microsoft -------------------------------------------------------------------------------------------------

TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the one personal accounts live in
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
    code, user_code = _open_device(table, client, tuple(fields.get("scope", "").split()), request.match["tenant"])
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


def object_id(user: str) -> str:
    """A user's id in the directory, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, user))


def client_info(user: str) -> str:
    """What msal names an account by."""
    return consent.segment({"uid": object_id(user), "utid": TENANT_ID})


# ---- where codes are typed, and the levers ---------------------------------------------------------------------


def device_page(sandbox: Sandbox, request: Request) -> Response:
    """Where the user types the code."""
    del sandbox
    typed = html.escape(request.one("user_code"))
    return page(
        "Enter the code",
        f'<form method="post" action="/devicelogin"><input name="user_code" value="{typed}" autofocus> '
        '<input name="user" placeholder="you@…"> <button name="decision" value="approve">Allow</button> '
        '<button name="decision" value="decline">Deny</button></form>',
    )


def device_answer(sandbox: Sandbox, request: Request) -> Response:
    """The page's form came back."""
    fields = request.form()
    done = _decide(sandbox, fields.get("user_code", ""), fields.get("user", ""), fields.get("decision", "approve"))
    if not done:
        return page("That code didn't work", "<p>Check the code and try again.</p>", 400)
    return page("You have signed in", "<p>You may now close this window.</p>")


def _decide(sandbox: Sandbox, user_code: str, user: str, decision: str) -> bool:
    table = consent.of(sandbox)
    attempt = table.by_user_code(user_code)
    if attempt is None or table.clock() >= attempt.expires:
        return False
    table.settle(attempt, decision, resolve(sandbox, attempt.client.provider, user))
    return True


def lever(sandbox: Sandbox, request: Request) -> Response:
    """Play the user: for a `user_code`, or for the `url` of a consent page (answers where the browser is sent)."""
    said = request.json()
    user, decision = str(said.get("user", "")), str(said.get("decision", "approve"))
    if said.get("user_code"):
        done = _decide(sandbox, str(said["user_code"]), user, decision)
        return Response.of({"done": done}, 200 if done else 404)
    parts = urlsplit(str(said.get("url", "")))
    headers: Message = Message()
    for name, value in (("X-Sandbox-User", user or "-"), ("X-Sandbox-Decision", decision), ("Host", parts.netloc)):
        headers[name] = value
    asked = Request("GET", f"{parts.path}?{parts.query}", headers, scheme=parts.scheme)
    answer = sandbox.respond(asked)
    return Response.of({"status": answer.status, "location": answer.headers.get("Location", "")})


ROUTES = [
    ("GET", r"/o/oauth2/v2/auth", google_authorize),
    ("POST", r"/device/code", google_device),
    ("POST", r"/token", google_token),
    ("POST", r"/revoke", google_revoke),
    ("GET", r"/(?P<tenant>[^/]+)/v2\.0/\.well-known/openid-configuration", microsoft_discovery),
    ("GET", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/authorize", microsoft_authorize),
    ("POST", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/devicecode", microsoft_device),
    ("POST", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token", microsoft_token),
    ("GET", r"/devicelogin", device_page),
    ("POST", r"/devicelogin", device_answer),
    ("POST", r"/__sandbox/consent", consented),
    ("POST", r"/__sandbox/approve", lever),
]
