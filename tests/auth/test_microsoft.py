"""Signing in to Outlook, end to end against the sandbox: device code, browser, and what tenants forbid."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from crmmail import auth
from crmmail.auth import problems
from crmmail.auth.tokens import TokenStore
from crmmail.config import MailboxSettings
from crmmail.errors import SettingsError, SignInError
from crmmail.sandbox import consent, person
from crmmail.sandbox.consent import Answer
from crmmail.sandbox.server import Sandbox
from crmmail.signing import Done, Event, Failed, Notice, ShowCode
from tests.auth.conftest import BRUNO
from tests.auth.test_google import ending, failure, redirect_of, until_url


def token_statuses(sandbox: Sandbox) -> list[int]:
    return [asked.status for asked in sandbox.ledger.requests if asked.target.endswith("/token")]


def test_the_device_code_is_shown_with_its_time_and_polled_until_it_was_typed(
    sandbox: Sandbox, signins: consent.SignIns, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    signins.plan(Answer("approve", BRUNO, after=2))
    before = time.time()
    events = auth.sign_in("work", outlook, tokens).events()
    shown = next(events)
    assert isinstance(shown, ShowCode)
    assert shown.url.endswith("/devicelogin")
    assert len(shown.code) == 9
    assert before + 890 < shown.expires_at < time.time() + 901
    assert ending(events) == Done(BRUNO, "file", "work")
    assert token_statuses(sandbox) == [400, 400, 200]
    kept = tokens.get("work")
    assert kept is not None
    assert kept.cache
    assert "Mail.ReadWrite" in kept.scopes


def test_slow_down_makes_the_client_ask_less_often(
    sandbox: Sandbox,
    signins: consent.SignIns,
    outlook: MailboxSettings,
    tokens: TokenStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    from crmmail.auth.flow import SignIn

    real = SignIn._wait

    def instant(self: SignIn, seconds: float) -> tuple[str, dict[str, str] | str]:
        waits.append(seconds)
        sandbox.clock.advance(seconds)
        return real(self, 0)

    monkeypatch.setattr(SignIn, "_wait", instant)
    signins.plan(Answer("approve", BRUNO, slow_down=1))
    assert isinstance(ending(auth.sign_in("work", outlook, tokens).events()), Done)
    assert waits == [0, 5]


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (Answer("decline", BRUNO), "AADSTS70000", "declined"),
        (Answer("expire", BRUNO), "AADSTS70019", "expired"),
        (Answer(error=53003), "AADSTS53003", "block"),
        (Answer(error=65001), "AADSTS65001", "administrator"),
        (Answer(error=50076), "AADSTS50076", "proof"),
    ],
    ids=["declined", "expired", "conditional access", "admin consent", "another factor"],
)
def test_a_device_code_that_comes_to_nothing_gives_its_sentence(
    signins: consent.SignIns, outlook: MailboxSettings, tokens: TokenStore, answer: Answer, code: str, said: str
) -> None:
    signins.plan(answer)
    error = failure(auth.sign_in("work", outlook, tokens).events())
    assert error.code == code
    assert said in error.sentence
    assert tokens.get("work") is None


def test_the_browser_is_the_other_choice_from_the_start(
    sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    events = auth.sign_in("work", outlook, tokens, browser=True).events()
    shown = until_url(events)
    asked = dict(parse_qsl(urlsplit(shown.url).query))
    assert asked["code_challenge_method"] == "S256"
    assert urlsplit(asked["redirect_uri"]).hostname == "localhost"
    person.browse(sandbox, shown.url, BRUNO)
    assert ending(events) == Done(BRUNO, "file", "work")


def test_and_at_any_moment_while_the_code_is_shown(
    sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    flow = auth.sign_in("work", outlook, tokens)
    events = flow.events()
    assert isinstance(next(events), ShowCode)
    flow.use_browser()
    person.browse(sandbox, until_url(events).url, BRUNO)
    assert isinstance(ending(events), Done)


def test_the_address_can_be_pasted_back(sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore) -> None:
    flow = auth.sign_in("work", outlook, tokens, browser=True)
    events = flow.events()
    flow.paste(person.browse(sandbox, until_url(events).url, BRUNO, follow=False))
    assert isinstance(ending(events), Done)


def test_a_form_post_to_the_listener_counts_too(sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore) -> None:
    events = auth.sign_in("work", outlook, tokens, browser=True).events()
    shown = until_url(events)
    answered = urlsplit(person.browse(sandbox, shown.url, BRUNO, follow=False))
    port = urlsplit(redirect_of(shown.url)).port
    posted = httpx.post(f"http://127.0.0.1:{port}/", data=dict(parse_qsl(answered.query)))
    assert posted.status_code == 200
    assert isinstance(ending(events), Done)


def test_another_state_is_refused(sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore) -> None:
    flow = auth.sign_in("work", outlook, tokens, browser=True)
    events = flow.events()
    shown = until_url(events)
    flow.paste("http://localhost/?state=other&code=4/x")
    notice = next(events)
    assert isinstance(notice, Notice)
    assert notice.error.code == "state_mismatch"
    flow.cancel()
    assert failure(events).code == "cancelled"
    assert shown.url


def test_a_replayed_code_and_a_denied_consent_have_their_sentences(
    sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    events = auth.sign_in("work", outlook, tokens, browser=True).events()
    answered = person.browse(sandbox, until_url(events).url, BRUNO)
    assert isinstance(ending(events), Done)
    code = dict(parse_qsl(urlsplit(answered).query))["code"]
    again = auth.sign_in("second", outlook, tokens, browser=True)
    events = again.events()
    state = dict(parse_qsl(urlsplit(until_url(events).url).query))["state"]
    again.paste(f"http://localhost/?state={state}&code={code}")
    assert "used before" in failure(events).sentence
    events = auth.sign_in("third", outlook, tokens, browser=True).events()
    person.browse(sandbox, until_url(events).url, BRUNO, decision="decline")
    error = failure(events)
    assert (error.code, "declined" in error.sentence) == ("AADSTS65004", True)


def test_a_wrong_client_id_a_closed_registration_and_a_wrong_tenant_are_told_apart(
    sandbox: Sandbox, signins: consent.SignIns, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    outlook.client_id = "11111111-0000-0000-0000-000000000000"
    assert failure(auth.sign_in("work", outlook, tokens).events()).code == "AADSTS700016"
    outlook.client_id = consent.MICROSOFT_CLIENT
    signins.clients[consent.MICROSOFT_CLIENT].public = False
    assert failure(auth.sign_in("work", outlook, tokens).events()).code == "AADSTS7000218"
    outlook.tenant = "nowhere.example"
    assert failure(auth.sign_in("work", outlook, tokens).events()).code == "no_tenant"


def test_a_permission_the_registration_lacks_is_named(
    signins: consent.SignIns, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    signins.plan(Answer("approve", BRUNO, scopes="User.Read openid offline_access"))
    assert failure(auth.sign_in("work", outlook, tokens).events()).code == "missing_scope"


def test_a_missing_client_id_and_an_authority_without_tls_say_what_to_do(
    outlook: MailboxSettings, tokens: TokenStore
) -> None:
    outlook.client_id = ""
    with pytest.raises(SignInError, match="CRMMAIL_MICROSOFT_CLIENT_ID"):
        auth.sign_in("work", outlook, tokens)
    outlook.client_id, outlook.authority_url = "x", "http://login.example"
    end = ending(auth.sign_in("work", outlook, tokens).events())
    assert isinstance(end, Failed)
    assert isinstance(end.error, SettingsError)


def test_cancel_works_at_once_even_between_two_questions(
    signins: consent.SignIns, outlook: MailboxSettings, tokens: TokenStore
) -> None:
    signins.interval = 5
    flow = auth.sign_in("work", outlook, tokens)
    seen: list[Event] = []
    showing, over = threading.Event(), threading.Event()

    def follow() -> None:
        for event in flow.events():
            seen.append(event)
            showing.set()
        over.set()

    threading.Thread(target=follow, daemon=True).start()
    assert showing.wait(10)
    started = time.monotonic()
    flow.cancel()
    assert over.wait(10)
    assert time.monotonic() - started < 0.3
    assert isinstance(seen[-1], Failed)


def test_company_proxies_variables_do_not_overrule_the_authority_file(
    sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    monkeypatch.setenv("CURL_CA_BUNDLE", certifi.where())
    assert isinstance(person.sign_in(sandbox, "work", outlook, tokens), Done)


def test_no_network_is_a_sentence(sandbox: Sandbox, outlook: MailboxSettings, tokens: TokenStore) -> None:
    sandbox.pause()
    end = ending(auth.sign_in("work", outlook, tokens).events())
    assert isinstance(end, Failed)
    assert "does not answer" in end.error.sentence


def _every_known() -> Iterator[tuple[str, tuple[str, str]]]:
    for table in (problems.COMMON, problems.GOOGLE, problems.MICROSOFT):
        yield from table.items()
    yield from ((f"AADSTS{number}", words) for number, words in problems.MICROSOFT_CODES.items())


def test_every_known_error_has_a_sentence_and_a_way_out() -> None:
    for code, (sentence, next_step) in _every_known():
        assert sentence.endswith("."), code
        assert next_step.endswith("."), code


def test_an_unknown_error_shows_the_servers_words_without_its_trace_ids() -> None:
    error = problems.microsoft(
        {"error": "strange", "error_description": "AADSTS12345: Odd.\x1b[31m Trace ID: 1-2-3 Correlation ID: 4"}
    )
    assert error.code == "AADSTS12345"
    assert "Odd" in error.sentence
    assert "Trace" not in str(error)
    assert "\x1b" not in str(error)
