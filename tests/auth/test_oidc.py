"""msal and google-auth-oauthlib, through our flows, against an OpenID provider that others wrote and certified."""

from __future__ import annotations

import html.parser
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from crmmail import auth
from crmmail.auth.session import Session, Standing, renewer
from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings
from crmmail.errors import AuthRequired
from crmmail.sandbox import tls
from crmmail.signing import Done, Event, Failed, Flow, ShowCode, ShowUrl
from tests.conftest import MISSING_PART, part

HERE = Path(__file__).with_name("oidc")
CAROL = "carol@contoso.example"
MICROSOFT_CLIENT = "11111111-2222-3333-4444-555555555555"
GOOGLE_CLIENT, GOOGLE_SECRET = "crmmail.apps.googleusercontent.com", "GOCSPX-not-a-secret"


@dataclass(frozen=True, slots=True)
class Provider:
    """The running provider, and a mail API that only says whose mailbox it is."""

    url: str
    api: str
    ca_file: Path

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def settings(self, provider: str) -> MailboxSettings:
        if provider == "outlook":
            return MailboxSettings(
                "outlook", client_id=MICROSOFT_CLIENT, tenant="contoso", api_url=self.api, authority_url=self.url,
                ca_file=str(self.ca_file),
            )  # fmt: skip
        base = f"{self.url}/contoso/oauth2/v2.0"
        return MailboxSettings(
            "gmail", client_id=GOOGLE_CLIENT, client_secret=GOOGLE_SECRET, api_url=self.api,
            auth_url=f"{base}/authorize", token_url=f"{base}/token", device_url=f"{base}/devicecode",
            ca_file=str(self.ca_file),
        )  # fmt: skip

    def revoke_all(self) -> None:
        httpx.post(f"{self.url}/__test/revoke-all", verify=self.trust).raise_for_status()


class Profile(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        fields = {"emailAddress": CAROL, "mail": CAROL, "userPrincipalName": CAROL}
        body = json.dumps(fields if self.headers.get("Authorization", "").startswith("Bearer ") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    part("node")
    part("npm")
    folder = tmp_path_factory.mktemp("oidc")
    for name in ("provider.mjs", "package.json"):
        shutil.copy(HERE / name, folder / name)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if installed.returncode:
        pytest.skip(f"{MISSING_PART}the npm package oidc-provider: {installed.stderr[-300:]}")
    _context, ca_file = tls.context(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chain = str(folder / "server.pem")
    running = subprocess.Popen(
        ["node", "provider.mjs", "--port", str(port), "--cert", chain, "--key", chain],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Profile)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    try:
        assert running.stdout
        assert running.stdout.readline().startswith("ready")
        yield Provider(f"https://localhost:{port}", f"http://127.0.0.1:{api.server_address[1]}", ca_file)
    finally:
        running.terminate()
        running.wait(10)
        api.shutdown()


class Forms(html.parser.HTMLParser):
    """The forms of a page: (action, fields)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "form":
            self.found.append((said.get("action") or "", {}))
        elif tag == "input" and said.get("name") and self.found:
            self.found[-1][1][str(said["name"])] = said.get("value") or ""


def walk(provider: Provider, url: str, *, code: str = "", deny: bool = False) -> str:
    """Play the person in the browser: log in, consent; returns the address that leaves the provider ('' for none)."""
    with httpx.Client(verify=provider.trust) as browser:
        response = browser.get(url)
        for _ in range(20):
            if response.is_redirect:
                target = urllib.parse.urljoin(str(response.url), response.headers["location"])
                if not target.startswith(provider.url):
                    return target
                response = browser.get(target)
                continue
            forms = Forms()
            forms.feed(response.text)
            if not forms.found:
                return ""
            action, fields = forms.found[0]
            target = urllib.parse.urljoin(str(response.url), action)
            if "user_code" in fields:
                fields["user_code"] = fields["user_code"] or code
            if deny and "confirm" in fields:
                browser.post(target, data={**fields, "abort": "yes"})
                return ""
            if "login" in fields or fields.get("prompt") == "login":
                fields["login"], fields["password"] = CAROL, "any"
            response = browser.post(target, data=fields)
    raise RuntimeError("too many pages")


def run(provider: Provider, flow: Flow, *, deny: bool = False, paste: bool = False) -> list[Event]:
    """Take a sign-in to its end."""
    seen: list[Event] = []
    for event in flow.events():
        seen.append(event)
        if isinstance(event, ShowCode):
            walk(provider, event.url, code=event.code, deny=deny)
        elif isinstance(event, ShowUrl):
            back = walk(provider, event.url)
            if paste:
                flow.paste(back)
            else:
                assert httpx.get(back).status_code == 200
    return seen


@pytest.fixture
def short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """This provider names no interval, so clients wait 5 s; a tenth is enough for a test."""
    from crmmail.auth.flow import SignIn

    real = SignIn._wait
    monkeypatch.setattr(
        SignIn, "_wait", lambda self, seconds: real(self, min(seconds, 0.1) if seconds <= 5 else seconds)
    )


@pytest.mark.usefixtures("short_interval")
def test_msal_signs_in_by_device_code_renews_and_hears_of_a_revocation(provider: Provider, tokens: TokenStore) -> None:
    box = provider.settings("outlook")
    seen = run(provider, auth.sign_in("work", box, tokens))
    assert isinstance(seen[0], ShowCode)
    assert seen[-1] == Done(CAROL, "file", "work")
    first = tokens.get("work")
    assert first is not None
    session = Session("work", tokens, renewer(box))
    assert session.token(refused=first.access_token) != first.access_token
    renewed = tokens.get("work")
    assert renewed is not None
    assert renewed.cache != first.cache  # the refresh token was replaced, and the new one is kept
    again = Session("work", tokens, renewer(box))
    assert again.token(refused=renewed.access_token) != renewed.access_token
    provider.revoke_all()
    last = tokens.get("work")
    assert last is not None
    with pytest.raises(AuthRequired):
        Session("work", tokens, renewer(box)).token(refused=last.access_token)
    assert Session("work", tokens, renewer(box)).describe().state is Standing.EXPIRED


@pytest.mark.usefixtures("short_interval")
def test_msal_hears_a_no(provider: Provider, tokens: TokenStore) -> None:
    end = run(provider, auth.sign_in("work", provider.settings("outlook"), tokens), deny=True)[-1]
    assert isinstance(end, Failed)
    assert "declined" in end.error.sentence


@pytest.mark.parametrize("paste", [False, True], ids=["listener", "pasted"])
def test_msal_signs_in_by_browser(provider: Provider, tokens: TokenStore, paste: bool) -> None:
    seen = run(provider, auth.sign_in("work", provider.settings("outlook"), tokens, browser=True), paste=paste)
    assert seen[-1] == Done(CAROL, "file", "work"), seen[-1]


@pytest.mark.parametrize("paste", [False, True], ids=["listener", "pasted"])
def test_google_auth_oauthlib_signs_in_by_browser_and_renews(
    provider: Provider, tokens: TokenStore, paste: bool
) -> None:
    # this provider gives refresh tokens for the scope offline_access, Google for the parameter access_type=offline
    box = provider.settings("gmail")
    flow = auth.sign_in("work", box, tokens, browser=True)
    flow._scopes += ["openid", "offline_access"]  # type: ignore[attr-defined]
    seen = run(provider, flow, paste=paste)
    assert seen[-1] == Done(CAROL, "file", "work"), seen[-1]
    first = tokens.get("work")
    assert first is not None
    session = Session("work", tokens, renewer(box))
    assert session.token(refused=first.access_token) != first.access_token
    second = tokens.get("work")
    assert second is not None
    assert second.refresh_token != first.refresh_token
    provider.revoke_all()
    with pytest.raises(AuthRequired):
        Session("work", tokens, renewer(box)).token(refused=second.access_token)


@pytest.mark.usefixtures("short_interval")
def test_where_the_device_code_is_granted_for_mail_it_is_used(provider: Provider, tokens: TokenStore) -> None:
    flow = auth.sign_in("work", provider.settings("gmail"), tokens)
    flow._scopes += ["openid", "offline_access"]  # type: ignore[attr-defined]
    seen = run(provider, flow)
    assert isinstance(seen[0], ShowCode)
    assert seen[-1] == Done(CAROL, "file", "work"), seen[-1]


def test_a_wrong_verifier_is_refused_by_the_provider(provider: Provider, tokens: TokenStore) -> None:
    flow = auth.sign_in("work", provider.settings("gmail"), tokens, browser=True)
    events = flow.events()
    shown = next(event for event in events if isinstance(event, ShowUrl))
    flow._flow.code_verifier = "x" * 64  # type: ignore[attr-defined]
    flow.paste(walk(provider, shown.url))
    end = next(event for event in events if isinstance(event, Done | Failed))
    assert isinstance(end, Failed)
    assert tokens.get("work") is None
