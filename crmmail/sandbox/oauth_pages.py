"""The pages a person meets while signing in, the same for both providers: consent, where codes are typed, and back.

A request for a consent page with the header `X-Sandbox-User: address` is approved at once (`X-Sandbox-Decision:
decline` declines it), and `POST /__sandbox/approve {"user_code"|"url": …, "user": …, "decision": …}` plays the user
anywhere.
"""

from __future__ import annotations

import html
import secrets
import uuid
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from crmmail.sandbox import consent
from crmmail.sandbox.consent import Attempt, SignIns
from crmmail.sandbox.http import Request, Response

if TYPE_CHECKING:
    from crmmail.sandbox.server import Sandbox, User

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
        fields["client_info"] = consent.client_info(attempt.user)
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


def open_device(table: SignIns, client: consent.Client, scopes: tuple[str, ...], tenant: str = "") -> tuple[str, str]:
    """(device code, the code to type) of a new device sign-in."""
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
