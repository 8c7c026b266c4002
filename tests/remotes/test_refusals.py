"""What a refusal means: decided by reason and code, not by the status alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from crmmail.errors import AuthRequired, CursorExpired, Offline, Rejected, RemoteError, ScopeRequired, Transient
from crmmail.remotes.refusals import reasons_of, refusal, words


def google(code: int, reason: str, message: str = "No.", status: str = "") -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message, "errors": [{"domain": "global", "reason": reason}]}
    return {"error": error | ({"status": status} if status else {})}


def microsoft(code: str, message: str = "No.", *inner: str) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    spot = error
    for name in inner:
        spot["innerError"] = {"code": name}
        spot = spot["innerError"]
    return {"error": error}


@pytest.mark.parametrize(
    ("status", "payload", "kind"),
    [
        (403, google(403, "rateLimitExceeded"), Transient),
        (403, google(403, "userRateLimitExceeded"), Transient),
        (403, google(403, "dailyLimitExceeded"), Transient),
        (403, google(403, "insufficientPermissions"), ScopeRequired),
        (403, {"error": {"code": 403, "details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}, ScopeRequired),
        (403, google(403, "domainPolicy"), Rejected),
        (403, google(403, "accessNotConfigured"), Rejected),
        (400, google(400, "failedPrecondition", "Mail service not enabled"), Rejected),
        (401, google(401, "authError"), AuthRequired),
        (401, None, AuthRequired),
        (404, google(404, "notFound"), Rejected),
        (429, google(429, "rateLimitExceeded"), Transient),
        (429, None, Transient),
        (500, google(500, "backendError"), Transient),
        (503, None, Transient),
        (502, None, Transient),
        (404, microsoft("ErrorItemNotFound"), Rejected),
        (401, microsoft("InvalidAuthenticationToken"), AuthRequired),
        (403, microsoft("ErrorAccessDenied"), ScopeRequired),
        (410, microsoft("resyncRequired"), CursorExpired),
        (410, None, CursorExpired),
        (400, microsoft("syncStateNotFound"), CursorExpired),
        (404, microsoft("UnknownError", "No.", "ErrorGeneral", "SyncStateNotFound"), CursorExpired),
        (400, microsoft("resyncRequired"), CursorExpired),
        (429, microsoft("ApplicationThrottled"), Transient),
        (424, microsoft("FailedDependency"), Transient),
        (507, microsoft("ErrorQuotaExceeded", "The mailbox is full."), Rejected),
        (400, microsoft("ErrorInvalidRequest"), Rejected),
        (400, {"error": "invalid_grant"}, AuthRequired),
        (302, None, Transient),
        (404, None, Transient),
        (403, None, Transient),
        (400, {}, Rejected),
        (400, [], Rejected),
        (400, {"error": []}, Rejected),
        (400, {"error": {"errors": "x", "details": 3, "innerError": "y", "message": 7}}, Rejected),
    ],
)
def test_each_refusal_has_its_meaning(status: int, payload: Any, kind: type[RemoteError]) -> None:
    error = refusal(status, payload, {})
    assert type(error) is kind
    assert not isinstance(error, Offline)
    assert error.sentence
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "payload", "gone"),
    [
        (404, google(404, "notFound"), True),
        (404, {"error": {"code": 404, "status": "NOT_FOUND"}}, True),
        (404, microsoft("ErrorItemNotFound"), True),
        (404, microsoft("MailboxNotEnabledForRESTAPI"), False),
        (404, microsoft("ResourceNotFound"), False),
        (404, {"error": {"code": 404, "message": "No such resource"}}, False),
    ],
)
def test_only_the_message_itself_being_absent_counts_as_gone(status: int, payload: Any, gone: bool) -> None:
    error = refusal(status, payload, {})
    assert isinstance(error, Rejected)
    assert error.gone is gone


NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0.5", 1),
        ("-5", 1),
        ("0", 1),
        ("1000000000", 3600),
        ("inf", 3600),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Wed, 01 Jan 2025 00:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 99 Dec 99999 99:99:99 GMT", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
    ],
)
def test_retry_after_is_read_in_every_form_and_kept_within_bounds(value: str, seconds: float | None) -> None:
    error = refusal(429, None, {"retry-after": value, "date": format_datetime(NOW, usegmt=True)})
    assert isinstance(error, Transient)
    assert error.retry_after == seconds


def test_a_date_is_measured_by_the_clock_of_the_server() -> None:
    theirs = NOW + timedelta(days=1)
    headers = {
        "date": format_datetime(theirs, usegmt=True),
        "retry-after": format_datetime(theirs + timedelta(seconds=30), usegmt=True),
    }
    error = refusal(503, None, headers)
    assert isinstance(error, Transient)
    assert error.retry_after == 30


def test_the_time_google_writes_into_its_sentence_counts() -> None:
    when = (NOW + timedelta(seconds=600)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    told = google(429, "rateLimitExceeded", f"User-rate limit exceeded.  Retry after {when}")
    error = refusal(429, told, {"date": format_datetime(NOW, usegmt=True)})
    assert isinstance(error, Transient)
    assert error.retry_after == 600


def test_the_days_limit_waits_the_longest() -> None:
    error = refusal(403, google(403, "dailyLimitExceeded"), {})
    assert isinstance(error, Transient)
    assert error.retry_after == 3600


def test_a_missing_permission_is_named() -> None:
    error = refusal(403, google(403, "insufficientPermissions"), {}, scope="https://mail.google.com/")
    assert isinstance(error, ScopeRequired)
    assert error.scope == "https://mail.google.com/"


def test_the_providers_sentence_is_shown_clean_short_and_without_secrets() -> None:
    told = microsoft(
        "ErrorInvalidRequest", "Held\x1b[31m by\u202e\nlegal eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.abc. " + "x " * 900
    )
    error = refusal(400, told, {})
    assert "legal" in error.sentence
    assert "eyJhb" not in error.sentence
    assert len(error.sentence) <= 200
    assert not any(ord(character) < 32 or character == "\u202e" for character in error.sentence)


def test_reasons_and_words_survive_any_json() -> None:
    for payload in (None, 1, "x", [], {}, {"error": None}, {"error": {"errors": [None, {"reason": 4}]}}):
        assert reasons_of(payload) == []
        assert words(payload) == ""
