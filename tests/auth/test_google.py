"""Signing in to Gmail, end to end against the sandbox: no device code, so the browser; and every way it can fail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from crmmail import auth
from crmmail.auth import GMAIL_FULL, GMAIL_MODIFY
from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings
from crmmail.errors import SettingsError, SignInError
from crmmail.sandbox import consent, person
from crmmail.sandbox.consent import Answer
from crmmail.sandbox.server import Sandbox
from crmmail.signing import Done, Event, Failed, Notice, ShowCode, ShowUrl
from tests.auth.conftest import ANA


def until_url(events: Iterator[Event]) -> ShowUrl:
    return next(event for event in events if isinstance(event, ShowUrl))


def ending(events: Iterator[Event]) -> Done | Failed:
    return next(event for event in events if isinstance(event, Done | Failed))


def failure(events: Iterator[Event]) -> SignInError:
    end = ending(events)
    assert isinstance(end, Failed), end
    assert isinstance(end.error, SignInError)
    assert end.error.sentence
    assert end.error.next_step
    return end.error


def redirect_of(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["redirect_uri"]


def test_the_device_code_is_asked_for_first_and_the_browser_takes_over_saying_why(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    events = auth.sign_in("work", gmail, tokens).events()
    shown = until_url(events)
    assert "no device code" in shown.why
    assert [asked.target for asked in sandbox.ledger.requests] == ["/device/code"]
    assert sandbox.ledger.requests[0].status == 400
    person.browse(sandbox, shown.url, ANA)
    assert ending(events) == Done(ANA, "file", "work")
    kept = tokens.get("work")
    assert kept is not None
    assert kept.scopes == (GMAIL_MODIFY,)


def test_the_address_asks_for_pkce_state_offline_and_consent_on_a_loopback_port(
    gmail: MailboxSettings, tokens: TokenStore
) -> None:
    flow = auth.sign_in("work", gmail, tokens)
    events = flow.events()
    asked = dict(parse_qsl(urlsplit(until_url(events).url).query))
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 32
    assert (asked["access_type"], asked["prompt"], asked["scope"]) == ("offline", "consent", GMAIL_MODIFY)
    where = urlsplit(asked["redirect_uri"])
    assert where.hostname == "127.0.0.1"
    assert where.port is not None
    assert where.port > 1024
    flow.cancel()
    assert failure(events).code == "cancelled"


def test_over_ssh_the_address_the_browser_ended_at_can_be_pasted(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    flow = auth.sign_in("work", gmail, tokens)
    events = flow.events()
    ended_at = person.browse(sandbox, until_url(events).url, ANA, follow=False)
    flow.paste(f"  {ended_at}\n")
    assert ending(events) == Done(ANA, "file", "work")


def test_an_answer_with_another_state_is_refused_with_a_sentence_and_the_right_one_still_counts(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    events = auth.sign_in("work", gmail, tokens).events()
    shown = until_url(events)
    forged = httpx.get(f"{redirect_of(shown.url)}?state=forged&code=4/evil")
    assert forged.status_code == 400
    notice = next(events)
    assert isinstance(notice, Notice)
    assert notice.error.code == "state_mismatch"
    assert "another sign-in" in notice.error.sentence
    person.browse(sandbox, shown.url, ANA)
    assert isinstance(ending(events), Done)


def test_a_pasted_address_without_an_answer_says_what_to_copy(gmail: MailboxSettings, tokens: TokenStore) -> None:
    flow = auth.sign_in("work", gmail, tokens)
    events = flow.events()
    until_url(events)
    flow.paste("https://accounts.google.com/")
    notice = next(events)
    assert isinstance(notice, Notice)
    assert notice.error.code == "no_code"
    flow.cancel()
    assert failure(events).code == "cancelled"


def test_a_code_that_was_used_before_is_refused_and_what_it_gave_dies(
    sandbox: Sandbox, signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    first = auth.sign_in("work", gmail, tokens)
    events = first.events()
    answered = person.browse(sandbox, until_url(events).url, ANA)
    assert isinstance(ending(events), Done)
    code = dict(parse_qsl(urlsplit(answered).query))["code"]

    replayed = auth.sign_in("second", gmail, tokens)
    events = replayed.events()
    state = dict(parse_qsl(urlsplit(until_url(events).url).query))["state"]
    replayed.paste(f"http://127.0.0.1/?state={state}&code={code}")
    error = failure(events)
    assert error.code == "invalid_grant"
    assert "used before" in error.sentence
    assert tokens.get("second") is None
    assert all(held.dead for held in signins.refreshes.values())


def test_declining_gives_its_sentence_and_keeps_nothing(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    end = person.sign_in(sandbox, "work", gmail, tokens, ANA, decision="decline")
    assert isinstance(end, Failed)
    assert "declined" in end.error.sentence
    assert tokens.get("work") is None


def test_a_box_left_unticked_is_named(
    sandbox: Sandbox, signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    signins.plan(Answer("approve", ANA, scopes="openid"))
    error = failure(_driven(sandbox, auth.sign_in("work", gmail, tokens).events()))
    assert error.code == "missing_scope"
    assert "left out" in error.sentence


def _driven(sandbox: Sandbox, events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, ShowUrl):
            person.browse(sandbox, event.url, ANA)
        if isinstance(event, ShowCode):
            person.type_code(sandbox, event.code, ANA)
        yield event


def test_permanent_deletion_is_asked_for_only_when_it_is_wanted(
    sandbox: Sandbox, signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    end = ending(_driven(sandbox, auth.sign_in("work", gmail, tokens, widen=True).events()))
    assert isinstance(end, Done)
    kept = tokens.get("work")
    assert kept is not None
    assert set(kept.scopes) == {GMAIL_MODIFY, GMAIL_FULL}
    signins.plan(Answer("approve", ANA, scopes=GMAIL_MODIFY))
    error = failure(_driven(sandbox, auth.sign_in("work", gmail, tokens, widen=True).events()))
    assert error.code == "missing_full_scope"
    assert tokens.get("work") == kept


def test_an_unknown_client_id_is_told_from_a_wrong_secret_by_nothing_but_both_have_a_way_out(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    gmail.client_id = "nobody.apps.googleusercontent.com"
    assert failure(auth.sign_in("work", gmail, tokens).events()).code == "invalid_client"
    gmail.client_id, gmail.client_secret = consent.GOOGLE_CLIENT, "GOCSPX-wrong"
    assert failure(_driven(sandbox, auth.sign_in("work", gmail, tokens).events())).code == "invalid_client"


def test_a_missing_client_id_says_where_to_set_one(gmail: MailboxSettings, tokens: TokenStore) -> None:
    gmail.client_id = ""
    with pytest.raises(SignInError, match="CRMMAIL_GOOGLE_CLIENT_ID") as raised:
        auth.sign_in("work", gmail, tokens)
    assert raised.value.code == "missing_client"


def test_the_client_may_come_from_the_environment_or_from_googles_file(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gmail.client_id = gmail.client_secret = ""
    monkeypatch.setenv("CRMMAIL_GOOGLE_CLIENT_ID", consent.GOOGLE_CLIENT)
    monkeypatch.setenv("CRMMAIL_GOOGLE_CLIENT_SECRET", consent.GOOGLE_SECRET)
    assert isinstance(person.sign_in(sandbox, "work", gmail, tokens), Done)
    held = tmp_path / "client.json"
    held.write_text(
        json.dumps({"installed": {"client_id": consent.GOOGLE_CLIENT, "client_secret": consent.GOOGLE_SECRET}})
    )
    monkeypatch.delenv("CRMMAIL_GOOGLE_CLIENT_ID")
    gmail.client_file = str(held)
    assert isinstance(person.sign_in(sandbox, "work", gmail, tokens), Done)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no json", "not JSON"),
        (b'{"web": {"client_id": "x"}}', "web application"),
        (b"[]", "Desktop app"),
        (b"", "not JSON"),
        (b'{"installed": {"client_id": 7}}', "Desktop app"),
        (b"[" * 99_000, "not JSON"),
    ],
    ids=["text", "web client", "list", "empty", "wrong type", "nested too deep"],
)
def test_a_file_that_is_not_googles_is_a_sentence(
    gmail: MailboxSettings, tokens: TokenStore, tmp_path: Path, content: bytes, said: str
) -> None:
    held = tmp_path / "client.json"
    held.write_bytes(content)
    gmail.client_id, gmail.client_file = "", str(held)
    with pytest.raises(SettingsError, match=said):
        auth.sign_in("work", gmail, tokens)


def test_signing_in_as_somebody_else_does_not_touch_the_mailbox(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    assert isinstance(person.sign_in(sandbox, "work", gmail, tokens, ANA), Done)
    before = tokens.get("work")
    gmail.address = ANA
    end = person.sign_in(sandbox, "work", gmail, tokens, "eva@lumen.example")
    assert isinstance(end, Failed)
    assert "eva@lumen.example" in end.error.sentence
    assert tokens.get("work") == before


def test_a_server_that_grants_the_device_code_is_polled_to_the_end(
    sandbox: Sandbox, signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    signins.clients[consent.GOOGLE_CLIENT].device = True
    signins.plan(Answer("approve", ANA, after=2))
    events = list(auth.sign_in("work", gmail, tokens).events())
    assert isinstance(events[0], ShowCode)
    assert events[-1] == Done(ANA, "file", "work")
    assert [asked.status for asked in sandbox.ledger.requests if asked.target == "/token"] == [428, 428, 200]


@pytest.mark.parametrize(("answer", "code"), [("decline", "access_denied"), ("expire", "expired_token")])
def test_a_device_code_that_comes_to_nothing_gives_its_sentence(
    signins: consent.SignIns, gmail: MailboxSettings, tokens: TokenStore, answer: str, code: str
) -> None:
    signins.clients[consent.GOOGLE_CLIENT].device = True
    signins.plan(Answer(answer, ANA))
    assert failure(auth.sign_in("work", gmail, tokens).events()).code == code


def test_cancel_ends_the_waiting_at_once(gmail: MailboxSettings, tokens: TokenStore) -> None:
    flow = auth.sign_in("work", gmail, tokens)
    seen: list[Event] = []
    showing, over = threading.Event(), threading.Event()

    def follow() -> None:
        for event in flow.events():
            seen.append(event)
            if isinstance(event, ShowUrl):
                showing.set()
        over.set()

    threading.Thread(target=follow, daemon=True).start()
    assert showing.wait(10)
    started = time.monotonic()
    flow.cancel()
    assert over.wait(10)
    assert time.monotonic() - started < 0.3
    assert isinstance(seen[-1], Failed)


def test_nobody_coming_back_ends_in_a_sentence(
    gmail: MailboxSettings, tokens: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmmail.auth.flow.BROWSER_SECONDS", 0.05)
    assert failure(auth.sign_in("work", gmail, tokens).events()).code == "timeout"


def test_no_network_is_said_before_anything_is_asked_of_the_user(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore
) -> None:
    sandbox.pause()
    events = list(auth.sign_in("work", gmail, tokens).events())
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert "does not answer" in events[0].error.sentence


def test_a_server_with_a_certificate_nobody_vouches_for_is_named(gmail: MailboxSettings, tokens: TokenStore) -> None:
    gmail.ca_file = ""
    end = ending(auth.sign_in("work", gmail, tokens).events())
    assert isinstance(end, Failed)
    assert "not trusted" in end.error.sentence


def test_an_address_without_tls_is_refused_unless_it_stays_on_this_machine(
    gmail: MailboxSettings, tokens: TokenStore
) -> None:
    gmail.device_url = "http://oauth.example/device/code"
    end = ending(auth.sign_in("work", gmail, tokens).events())
    assert isinstance(end, Failed)
    assert "not secure" in end.error.sentence


def test_plain_http_on_this_machine_works_and_stays_the_exception(
    sandbox: Sandbox, gmail: MailboxSettings, tokens: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.delenv("OAUTHLIB_INSECURE_TRANSPORT", raising=False)
    gmail.token_url = f"{sandbox.http_url}/token"
    assert isinstance(person.sign_in(sandbox, "work", gmail, tokens), Done)
    assert "OAUTHLIB_INSECURE_TRANSPORT" not in os.environ
