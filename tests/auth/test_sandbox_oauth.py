"""The sandbox's OAuth servers keep the providers' quirks: a friendly one would hide what users meet."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

import httpx
import pytest

from crmmail.auth import GMAIL_MODIFY
from crmmail.sandbox import consent, person
from crmmail.sandbox.consent import GOOGLE_CLIENT, GOOGLE_SECRET, MICROSOFT_CLIENT, WEEK, Answer, Lifetime
from crmmail.sandbox.server import Sandbox
from tests.auth.conftest import ANA, BRUNO

DEVICE_GRANT = consent.DEVICE_GRANT
MAIL = "openid offline_access Mail.ReadWrite Mail.Send User.Read"


@pytest.fixture
def wire(sandbox: Sandbox) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=str(sandbox.ca_file))
    with httpx.Client(base_url=sandbox.https_url, verify=trust, trust_env=False) as client:
        yield client


def google_code(sandbox: Sandbox, **more: str) -> str:
    query = {
        "client_id": GOOGLE_CLIENT, "redirect_uri": "http://127.0.0.1:5/", "response_type": "code", "state": "s",
        "scope": GMAIL_MODIFY, "access_type": "offline", "prompt": "consent", **more,
    }  # fmt: skip
    url = httpx.URL(f"{sandbox.https_url}/o/oauth2/v2/auth", params=query)
    back = person.browse(sandbox, str(url), ANA, follow=False)
    return httpx.URL(back).params["code"]


def google_token(wire: httpx.Client, **fields: str) -> httpx.Response:
    return wire.post("/token", data={"client_id": GOOGLE_CLIENT, "client_secret": GOOGLE_SECRET, **fields})


def exchange(wire: httpx.Client, code: str, **fields: str) -> httpx.Response:
    return google_token(wire, grant_type="authorization_code", code=code, redirect_uri="http://127.0.0.1:5/", **fields)


def test_google_refuses_gmail_scopes_at_the_device_endpoint_word_for_word(wire: httpx.Client) -> None:
    answer = wire.post("/device/code", data={"client_id": GOOGLE_CLIENT, "scope": f"email {GMAIL_MODIFY}"})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_scope",
        "error_description": f"Invalid device flow scope: {GMAIL_MODIFY}",
    }
    assert wire.post("/device/code", data={"client_id": GOOGLE_CLIENT, "scope": "email openid"}).status_code == 200


def test_google_gives_a_refresh_token_only_when_consent_was_asked_for(sandbox: Sandbox, wire: httpx.Client) -> None:
    assert "refresh_token" in exchange(wire, google_code(sandbox)).json()
    assert "refresh_token" not in exchange(wire, google_code(sandbox, prompt="")).json()
    assert "refresh_token" not in exchange(wire, google_code(sandbox, access_type="")).json()


def test_pkce_the_redirect_and_the_secret_are_checked(sandbox: Sandbox, wire: httpx.Client) -> None:
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}
    assert exchange(wire, google_code(sandbox, **pkce), code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert exchange(wire, google_code(sandbox, **pkce), code_verifier=verifier).status_code == 200
    other = google_token(
        wire, grant_type="authorization_code", code=google_code(sandbox), redirect_uri="http://127.0.0.1:6/"
    )
    assert other.json()["error"] == "redirect_uri_mismatch"
    wrong = exchange(wire, google_code(sandbox), client_secret="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "redirect", ["https://evil.example/", "http://127.0.0.1.evil.example/", "urn:ietf:wg:oauth:2.0:oob"]
)
def test_only_loopback_redirects_are_followed(sandbox: Sandbox, wire: httpx.Client, redirect: str) -> None:
    query = {"client_id": GOOGLE_CLIENT, "redirect_uri": redirect, "scope": GMAIL_MODIFY}
    answer = wire.get("/o/oauth2/v2/auth", params=query, headers={"X-Sandbox-User": ANA})
    assert answer.status_code == 400
    assert "redirect_uri_mismatch" in answer.text


def test_an_app_in_testing_ends_after_seven_days_however_often_it_renews(
    sandbox: Sandbox, signins: consent.SignIns, wire: httpx.Client
) -> None:
    signins.lifetimes[ANA] = Lifetime(refresh=WEEK, sliding=False)
    refresh = exchange(wire, google_code(sandbox)).json()["refresh_token"]
    for _ in range(6):
        sandbox.clock.advance(24 * 3600)
        assert google_token(wire, grant_type="refresh_token", refresh_token=refresh).status_code == 200
    sandbox.clock.advance(24 * 3600)
    over = google_token(wire, grant_type="refresh_token", refresh_token=refresh)
    assert (over.status_code, over.json()) == (
        400,
        {"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
    )


def test_access_lives_as_long_as_was_said(sandbox: Sandbox, signins: consent.SignIns, wire: httpx.Client) -> None:
    signins.lifetimes[ANA] = Lifetime(access=120)
    granted = exchange(wire, google_code(sandbox)).json()
    assert granted["expires_in"] == 120
    header = {"Authorization": f"Bearer {granted['access_token']}"}
    assert wire.get("/gmail/v1/users/me/profile", headers=header).status_code == 200
    sandbox.clock.advance(121)
    assert wire.get("/gmail/v1/users/me/profile", headers=header).status_code == 401


def test_revoking_ends_access_and_renewal(sandbox: Sandbox, wire: httpx.Client) -> None:
    granted = exchange(wire, google_code(sandbox)).json()
    assert wire.post("/revoke", data={"token": granted["refresh_token"]}).status_code == 200
    header = {"Authorization": f"Bearer {granted['access_token']}"}
    assert wire.get("/gmail/v1/users/me/profile", headers=header).status_code == 401
    refused = google_token(wire, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"
    assert wire.post("/revoke", data={"token": "nobody's"}).status_code == 400


def device(wire: httpx.Client) -> dict[str, str]:
    answer = wire.post("/common/oauth2/v2.0/devicecode", data={"client_id": MICROSOFT_CLIENT, "scope": MAIL})
    assert answer.status_code == 200
    held: dict[str, str] = answer.json()
    return held


def poll(wire: httpx.Client, held: dict[str, str]) -> httpx.Response:
    fields = {"client_id": MICROSOFT_CLIENT, "grant_type": DEVICE_GRANT, "device_code": held["device_code"]}
    return wire.post("/common/oauth2/v2.0/token", data=fields)


def test_microsoft_errors_carry_their_number_in_the_body_and_the_text(wire: httpx.Client) -> None:
    pending = poll(wire, device(wire))
    assert pending.status_code == 400
    body = pending.json()
    assert (body["error"], body["error_codes"]) == ("authorization_pending", [70016])
    assert re.match(r"AADSTS70016: .* Trace ID: .* Correlation ID: ", body["error_description"])


def test_polling_too_fast_is_told_to_slow_down(sandbox: Sandbox, signins: consent.SignIns, wire: httpx.Client) -> None:
    signins.interval = 5
    held = device(wire)
    assert poll(wire, held).json()["error"] == "authorization_pending"
    assert poll(wire, held).json()["error"] == "slow_down"
    sandbox.clock.advance(5)
    assert poll(wire, held).json()["error"] == "slow_down"  # the interval is ten seconds now
    sandbox.clock.advance(15)
    assert poll(wire, held).json()["error"] == "authorization_pending"


def test_a_device_code_works_once_and_expires(sandbox: Sandbox, signins: consent.SignIns, wire: httpx.Client) -> None:
    signins.plan(Answer("approve", BRUNO))
    held = device(wire)
    assert poll(wire, held).status_code == 200
    assert poll(wire, held).json()["error"] == "invalid_grant"
    held = device(wire)
    sandbox.clock.advance(901)
    assert poll(wire, held).json()["error"] == "expired_token"
    assert person.type_code(sandbox, held["user_code"], BRUNO) is False


def test_the_code_may_be_typed_in_any_manner(sandbox: Sandbox, wire: httpx.Client) -> None:
    held = device(wire)
    typed = held["user_code"].lower().replace("-", " ")
    assert person.type_code(sandbox, typed, BRUNO) is True
    assert poll(wire, held).json()["token_type"] == "Bearer"


def test_microsoft_replaces_the_refresh_token_and_the_old_one_dies(
    sandbox: Sandbox, signins: consent.SignIns, wire: httpx.Client
) -> None:
    signins.plan(Answer("approve", BRUNO))
    first = poll(wire, device(wire)).json()["refresh_token"]
    fields = {"client_id": MICROSOFT_CLIENT, "grant_type": "refresh_token", "refresh_token": first}
    second = wire.post("/common/oauth2/v2.0/token", data=fields)
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first
    assert wire.post("/common/oauth2/v2.0/token", data=fields).json()["error_codes"] == [70008]


def test_form_post_answers_with_a_page_that_posts(sandbox: Sandbox, wire: httpx.Client) -> None:
    query = {"client_id": MICROSOFT_CLIENT, "redirect_uri": "http://localhost:5", "scope": MAIL, "state": "s"}
    answer = wire.get(
        "/common/oauth2/v2.0/authorize",
        params={**query, "response_mode": "form_post"},
        headers={"X-Sandbox-User": BRUNO},
    )
    assert answer.status_code == 200
    assert 'action="http://localhost:5"' in answer.text
    assert 'name="code"' in answer.text


def test_a_person_can_click_through_the_pages(sandbox: Sandbox, wire: httpx.Client) -> None:
    query = {"client_id": GOOGLE_CLIENT, "redirect_uri": "http://127.0.0.1:5/", "scope": f"openid {GMAIL_MODIFY}"}
    shown = wire.get("/o/oauth2/v2/auth", params={**query, "state": "<s>", "login_hint": "eva@lumen.example"})
    assert 'value="eva@lumen.example" checked' in shown.text
    key = re.search(r'name="request" value="([^"]+)"', shown.text)
    assert key
    form = {"request": key[1], "user": ANA, "scope": "openid", "decision": "approve"}
    back = httpx.URL(wire.post("/__sandbox/consent", data=form).headers["Location"])
    assert (back.params["state"], back.params["scope"]) == ("<s>", "openid")
    assert wire.post("/__sandbox/consent", data=form).status_code == 400


def test_the_lever_answers_for_an_address_and_for_a_code(sandbox: Sandbox, wire: httpx.Client) -> None:
    held = device(wire)
    said = {"user_code": held["user_code"], "decision": "decline", "user": BRUNO}
    assert wire.post("/__sandbox/approve", json=said).json() == {"done": True}
    assert poll(wire, held).json()["error"] == "authorization_declined"
    query = {"client_id": GOOGLE_CLIENT, "redirect_uri": "http://127.0.0.1:5/", "scope": GMAIL_MODIFY, "state": "s"}
    url = httpx.URL(f"{sandbox.https_url}/o/oauth2/v2/auth", params=query)
    answer = wire.post("/__sandbox/approve", json={"url": str(url), "user": ANA}).json()
    assert "code=" in answer["location"]
