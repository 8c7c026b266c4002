"""What a mail API's refusal means. Pure: status, headers and body in, one error of our tree out.

Decided by the `reason` (Google) or `code` (Microsoft) first and by the status only where neither says anything: a
403 is both a throttle and a missing permission, a 404 both a vanished message and a mailbox that is not there.
Sources: Gmail API "Resolve errors"; Microsoft Graph "Error responses", "Throttling", "JSON batching".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from crmmail.errors import AuthRequired, CursorExpired, Rejected, RemoteError, ScopeRequired, Transient
from crmmail.i18n import _
from crmmail.mail.text import clean_line

SHORTEST_WAIT, LONGEST_WAIT = 1.0, 3600.0
_DEEPEST = 6  # nested innererror objects; real answers have two or three

# fmt: off
_THROTTLED = frozenset(
    {
        "ratelimitexceeded", "userratelimitexceeded", "quotaexceeded", "resource_exhausted",
        "toomanyrequests", "applicationthrottled", "errortoomanyrequests", "mailboxconcurrency",
        "errorserverbusy", "activitylimitreached", "rate_limit_exceeded", "errorexceededconnectioncount",
    }
)
_PASSING = frozenset(
    {
        "backenderror", "internalerror", "internalservererror", "errorinternalservererror",
        "errorinternalservertransienterror", "serviceunavailable", "unavailable", "deadline_exceeded",
        "gatewaytimeout", "requesttimeout", "timeout", "errortimeoutexpired",
        "errormailboxstoreunavailable", "errormailboxmoveinprogress", "errorconnectionfailed",
        "errorirresolvableconflict", "aborted", "errorstaleobject", "failedexternaldependency",
        "faileddependency", "unknownerror",
    }
)
_SIGNED_OUT = frozenset(
    {
        "autherror", "invalidauthenticationtoken", "unauthenticated", "invalid_grant", "invalid_token",
        "compacttokenexpired", "insufficient_claims", "tokenexpired",
    }
)
_SCOPE = frozenset(
    {
        "insufficientpermissions", "insufficientpermission", "access_token_scope_insufficient",
        "erroraccessdenied", "authorization_requestdenied", "accessdenied", "insufficient_scope",
    }
)
_FORGOTTEN = frozenset(
    {
        "syncstatenotfound", "resyncrequired", "syncstateinvalid", "errorinvalidsyncstatedata",
        "resyncchangesapplydifferences",
    }
)
_GONE = frozenset(
    {
        "notfound", "not_found", "erroritemnotfound", "itemnotfound", "errormessagenotfound",
    }
)
_ADMINISTRATOR = frozenset(
    {
        "domainpolicy", "accessnotconfigured", "service_disabled",
    }
)
# fmt: on
_TIMES = re.compile(r"retry after (\d{4}-\d\d-\d\dT[\d:.]+Z)", re.IGNORECASE)
_SECRET_LIKE = re.compile(r"[\w\-./+=~]{24,}")


def refusal(status: int, payload: Any, headers: Mapping[str, str], *, scope: str = "") -> RemoteError:
    """The error for an answer of `status` ≥ 300 with decoded JSON `payload` (None: no JSON) and lower-case `headers`.

    `scope` names the permission the call needed, for ScopeRequired.
    """
    reasons, told = reasons_of(payload), words(payload)
    found = {reason.lower() for reason in reasons}
    reason = reasons[0] if reasons else ""
    if payload is None and status < 500 and status not in (401, 408, 410, 429):
        return _nonsense(status)
    if found & _FORGOTTEN or status == 410:
        return CursorExpired(_("The server no longer knows where we stopped reading."), status=status, reason=reason)
    if "dailylimitexceeded" in found:
        return _busy(status, reason, LONGEST_WAIT)
    if found & _THROTTLED or status == 429:
        return _busy(status, reason, _asked(headers, told))
    if found & _SCOPE:
        return _permission(status, reason, scope)
    if found & _SIGNED_OUT or status == 401:
        return signed_out(status, reason)
    if found & _PASSING or status in (408, 412, 424, 425, 509) or (status >= 500 and status != 507):
        return Transient(_passing(told), status=status, reason=reason, retry_after=_asked(headers, told))
    return _refused(status, reason, found, told)


def signed_out(status: int = 401, reason: str = "") -> AuthRequired:
    """The session is over and only the user can start a new one."""
    return AuthRequired(
        _("The session has ended."),
        next_step=_("Sign in again; everything queued is kept."),
        status=status,
        reason=reason,
    )


def refused(status: int, payload: Any) -> Rejected:
    """The refusal of one message in the provider's own words, whatever its code usually means."""
    reasons = reasons_of(payload)
    return _refused(status, reasons[0] if reasons else "", set(), words(payload))


def _refused(status: int, reason: str, found: set[str], told: str) -> Rejected:
    if found & _GONE:
        return Rejected(_("It no longer exists on the server."), status=status, reason=reason, gone=True)
    if found & _ADMINISTRATOR:
        sentence = told or _("This program is not allowed to read this mailbox.")
        next_step = _("Ask the administrator of the mailbox or of the client id.")
        return Rejected(sentence, next_step=next_step, status=status, reason=reason)
    sentence = told or _("The server refused without a reason (status {status}).").format(status=status)
    return Rejected(sentence, status=status, reason=reason)


def _nonsense(status: int) -> Transient:
    """A page for people where JSON was due: a proxy, a hotel's sign-in page, a redirect. Never the mailbox itself."""
    return Transient(
        _("Something between here and the server answered instead of it (status {status}).").format(status=status),
        next_step=_("Check the network, and the server's address in the settings."),
        status=status,
    )


def _busy(status: int, reason: str, seconds: float | None) -> Transient:
    return Transient(_("The server asks us to slow down."), status=status, reason=reason, retry_after=seconds)


def _passing(told: str) -> str:
    return _("The server has a problem: {sentence}").format(sentence=told) if told else _("The server has a problem.")


def _permission(status: int, reason: str, scope: str) -> ScopeRequired:
    return ScopeRequired(
        _("This needs a permission you have not given yet."),
        next_step=_("Sign in again to give it."),
        scope=scope,
        status=status,
        reason=reason,
    )


def reasons_of(payload: Any) -> list[str]:
    """Every reason and code an error body names, the most telling first."""
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if isinstance(error, str):  # OAuth style: {"error": "invalid_grant"}
        return [error[:80]]
    return [reason[:80] for reason in _named(error)] if isinstance(error, Mapping) else []


def _named(error: Mapping[str, Any]) -> Iterator[str]:
    for item in [*_items(error, "errors"), *_items(error, "details")]:
        if isinstance(reason := item.get("reason"), str):
            yield reason
    for _depth in range(_DEEPEST):
        for name in ("code", "status"):
            if isinstance(value := error.get(name), str):
                yield value
        inner = error.get("innerError") or error.get("innererror")
        if not isinstance(inner, Mapping):
            return
        error = inner


def _items(error: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = error.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def words(payload: Any) -> str:
    """The provider's own sentence: one line, nothing that could be a token, at most 200 characters."""
    error = payload.get("error") if isinstance(payload, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else None
    if not isinstance(message, str):
        return ""
    return clean_line(_SECRET_LIKE.sub("…", message[:2000]), 200)


def asked_to_wait(headers: Mapping[str, str]) -> float:
    """Seconds an answer that succeeded asks us to stay away for, 0 for none."""
    return _asked(headers, "") or 0.0


def _asked(headers: Mapping[str, str], told: str) -> float | None:
    """Seconds the server asked us to wait, None where it did not."""
    value = headers.get("retry-after", "").strip()
    if not value:
        match = _TIMES.search(told)
        return _clamped(_until(match[1], headers)) if match else None
    try:
        return _clamped(float(value))
    except ValueError:
        return _clamped(_until(value, headers))


def _until(moment: str, headers: Mapping[str, str]) -> float | None:
    """Seconds from the server's own clock (its Date header, else ours) to `moment`."""
    then, now = _date(moment), _date(headers.get("date", "")) or datetime.now(UTC)
    return (then - now).total_seconds() if then else None


def _date(text: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _clamped(seconds: float | None) -> float | None:
    if seconds is None or seconds != seconds:  # NaN
        return None
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
