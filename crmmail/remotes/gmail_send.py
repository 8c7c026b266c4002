"""Gmail's sending half: aliases, drafts, sending a draft, and finding out what became of it.

Quirks met here: sending replaces the Message-ID, so the one to keep is read back; a draft's inner message gets a new
id at every update, which makes that id the draft's version; a draft that was sent is gone, so a second `drafts.send`
cannot deliver it twice; an alias that is not verified is replaced silently; threads that vanished are a 404.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crmmail.errors import Rejected, RemoteError, Transient
from crmmail.i18n import _
from crmmail.model import Address, Identity, Outgoing
from crmmail.remotes import TOKEN_HEADER, DraftRef, Progress, SentRef, Where, Whereabouts, refusals
from crmmail.remotes.gmail_batch import Call
from crmmail.remotes.gmail_calls import MODIFY_SCOPE, UNITS, USER, Calls
from crmmail.remotes.http import Answer, decoded
from crmmail.remotes.outbound import WHOLE_LIMIT, check_size, fields, handle, parted, token_of
from crmmail.remotes.resumable import pour

AT_ONCE = 5_000_000
"""Bytes that go in one request; beyond that the upload is one that can be taken up again where it broke off."""
CHUNK = 4 * 256 * 1024  # a multiple of 256 KiB, as Google wants it
LOOKED_THROUGH = 60  # of the newest drafts or sent messages
LISTED = 500  # drafts told in one answer
_TOKEN = TOKEN_HEADER.lower()
_ASKED = (TOKEN_HEADER, "Message-ID")


class GmailSending:
    """Mixed into `Gmail`, which has the calls."""

    mailbox: str
    limit_bytes = WHOLE_LIMIT
    settle_seconds = 5.0
    _calls: Calls

    def identities(self) -> list[Identity]:
        """The send-as addresses, the default one first; `verified` False for those Gmail would silently replace."""
        told = self._calls.get("/settings/sendAs", "aliases").get("sendAs")
        found = [_identity(self.mailbox, one) for one in told or () if isinstance(one, dict) and one.get("sendAsEmail")]
        return sorted(found, key=lambda one: not one.default)

    # Drafts

    def save_draft(
        self,
        mime: bytes,
        remote_draft: str = "",
        remote_thread: str = "",
        progress: Progress | None = None,
        *,
        doubtful: bool = False,
    ) -> DraftRef:
        """See `Sender`."""
        check_size(mime, self.limit_bytes)
        if doubtful and (found := self._draft_with(token_of(mime))):
            return found
        draft, version = parted(remote_draft)
        known = self._draft(draft) if draft else {}
        told = known.get("message") or {}
        replaced = draft if told and version in ("", told.get("id")) else ""
        thread = remote_thread or (str(told.get("threadId") or "") if replaced else "")
        try:
            answer = self._put(mime, replaced, thread, progress)
        except Rejected as error:
            if not (error.gone and thread):
                raise
            answer = self._put(mime, replaced, "", progress)  # the conversation it belonged to is no longer there
        return _reference(answer, conflict=bool(draft) and not replaced)

    def delete_draft(self, remote_draft: str) -> bool:
        """See `Sender`."""
        draft, version = parted(remote_draft)
        told = (self._draft(draft) if draft else {}).get("message") or {}
        if not told:
            return True
        if version and told.get("id") != version:
            return False
        answer = self._calls.once("DELETE", f"{USER}/drafts/{quote(draft, safe='')}", "deleteDraft", repeatable=True)
        if answer.status != 404:
            _checked(answer)
        return True

    def draft_at(self, remote_id: str) -> DraftRef | None:
        """See `Sender`. Nothing leads from a message to its draft but the list of drafts, newest first."""
        page = ""
        while True:
            query = {"maxResults": str(LISTED)} | ({"pageToken": page} if page else {})
            told = self._calls.get("/drafts", "listDrafts", query)
            for one in told.get("drafts") or ():
                if isinstance(one, dict) and one.get("id") and (one.get("message") or {}).get("id") == remote_id:
                    return _reference(one)
            following = str(told.get("nextPageToken") or "")
            if not following or following == page:
                return None
            page = following

    def _put(self, mime: bytes, draft: str, thread: str, progress: Progress | None) -> dict[str, Any]:
        """drafts.update of `draft`, or drafts.create."""
        method, kind = ("PUT", "updateDraft") if draft else ("POST", "createDraft")
        path = f"{USER}/drafts/{quote(draft, safe='')}" if draft else f"{USER}/drafts"
        resource: dict[str, Any] = {"message": {"threadId": thread} if thread else {}}
        if len(mime) > AT_ONCE:
            answer = self._resumable(method, path, kind, resource, mime, progress)
        else:
            answer = self._multipart(method, path, kind, resource, mime)
        if progress is not None:
            progress(len(mime), len(mime))
        told = _checked(answer)
        if not told.get("id"):
            raise Transient(_("The server's answer was cut off or makes no sense."), status=answer.status)
        return told

    def _multipart(self, method: str, path: str, kind: str, resource: Mapping[str, Any], mime: bytes) -> Answer:
        import json

        boundary = f"crmmail_{secrets.token_hex(16)}"
        head = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(resource)}\r\n"
        middle = f"--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
        content = (head + middle).encode() + mime + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        query = {"uploadType": "multipart"}
        return self._calls.once(method, f"/upload{path}", kind, params=query, content=content, headers=headers)

    def _resumable(
        self, method: str, path: str, kind: str, resource: Mapping[str, Any], mime: bytes, progress: Progress | None
    ) -> Answer:
        headers = {"X-Upload-Content-Type": "message/rfc822", "X-Upload-Content-Length": str(len(mime))}
        query = {"uploadType": "resumable"}
        opened = self._calls.once(
            method, f"/resumable/upload{path}", kind, params=query, json=dict(resource), headers=headers
        )
        _checked(opened)
        place = opened.headers.get("location", "")
        if not place:
            raise Transient(_("The server's answer was cut off or makes no sense."), status=opened.status)
        return pour(
            lambda content, headers: self._calls.put(place, content, headers), mime, CHUNK, progress, self._calls.rest
        )

    def _draft(self, draft: str) -> dict[str, Any]:
        """The Draft resource with its headers, {} when there is no such draft (any more)."""
        try:
            return self._calls.get(f"/drafts/{quote(draft, safe='')}", "getDraft", {"format": "metadata"})
        except Rejected as error:
            if error.gone or error.status == 400:  # 400: an id that is malformed, so not one of ours
                return {}
            raise

    def _draft_with(self, token: str) -> DraftRef | None:
        """The newest draft that carries `token`."""
        if not token:
            return None
        told = self._calls.get("/drafts", "listDrafts", {"maxResults": str(LOOKED_THROUGH)}).get("drafts")
        drafts = {
            str(one["message"].get("id")): one
            for one in told or ()
            if isinstance(one, dict) and isinstance(one.get("message"), dict)
        }
        for message in self._headers(list(drafts)):
            if _fields(message).get(_TOKEN) == token:
                return _reference(drafts[str(message["id"])])
        return None

    # Sending

    def send_draft(self, remote_draft: str) -> SentRef:
        """See `Sender`. The Message-ID is read back by `look`."""
        draft, _version = parted(remote_draft)
        told = _checked(self._calls.once("POST", f"{USER}/drafts/send", "sendDraft", json={"id": draft}))
        if not told.get("id"):
            raise Transient(_("The server's answer was cut off or makes no sense."))
        return SentRef(str(told["id"]), remote_thread=str(told.get("threadId") or ""))

    def look(self, outgoing: Outgoing) -> Whereabouts:
        """See `Sender`. Where the copy's id is known it is read; else the draft, then the newest of Sent."""
        if outgoing.remote_id:
            sent = next((_sent(one) for one in self._headers([outgoing.remote_id])), None)
            return Whereabouts(Where.SENT, sent=sent or SentRef(outgoing.remote_id))
        draft, _version = parted(outgoing.remote_draft)
        told = self._draft(draft) if draft else {}
        message = told.get("message") or {}
        if message:
            mine = _fields(message).get(_TOKEN) == outgoing.token
            return Whereabouts(Where.DRAFT, _reference(told), ready=mine)
        if found := self._draft_with(outgoing.token):
            return Whereabouts(Where.DRAFT, found, ready=True)
        return self._among_sent(outgoing)

    def _among_sent(self, outgoing: Outgoing) -> Whereabouts:
        query = {"labelIds": "SENT", "maxResults": str(LOOKED_THROUGH)}
        listed = self._calls.get("/messages", "list", query).get("messages") or ()
        for message in self._headers([str(one.get("id")) for one in listed if isinstance(one, dict)]):
            if _is(outgoing, _fields(message)):
                return Whereabouts(Where.SENT, sent=_sent(message))
        return Whereabouts(Where.NOWHERE)

    def _headers(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The headers that tell our messages apart, in the order of `ids`; what is gone is left out."""
        names = "&".join(f"metadataHeaders={name}" for name in _ASKED)
        for start in range(0, len(ids), 15):
            chunk = ids[start : start + 15]
            paths = [f"{USER}/messages/{quote(one, safe='')}?format=metadata&{names}" for one in chunk]
            parts, error = self._calls.together([Call("GET", path, UNITS["get"]) for path in paths])
            if error is not None:
                raise error
            yield from (dict(parts[number].told) for number in sorted(parts) if parts[number].ok)


def _is(outgoing: Outgoing, told: Mapping[str, str]) -> bool:
    """Whether a sent message with these headers is the one we sent.

    Whether Gmail keeps headers of our own is not documented; the Message-ID it keeps only for some.
    """
    return outgoing.token == told.get(_TOKEN) or outgoing.message_id == told.get("message-id")


def _identity(mailbox: str, told: Mapping[str, Any]) -> Identity:
    from crmmail.mail.html import render
    from crmmail.mail.text import clean_line

    signature = told.get("signature")
    return Identity(
        mailbox,
        Address(clean_line(str(told.get("displayName") or ""), 200), str(told["sendAsEmail"])),
        default=bool(told.get("isDefault")),
        # The primary address has no status at all.
        verified=str(told.get("verificationStatus") or "accepted") == "accepted",
        signature=render(signature).text.strip() if isinstance(signature, str) else "",
        reply_to=str(told.get("replyToAddress") or ""),
    )


def _reference(told: Mapping[str, Any], *, conflict: bool = False) -> DraftRef:
    message = told.get("message") or {}
    inner = str(message.get("id") or "")
    return DraftRef(handle(str(told["id"]), inner), inner, str(message.get("threadId") or ""), conflict)


def _sent(message: Mapping[str, Any]) -> SentRef:
    seen = "SENT" in (message.get("labelIds") or ())
    identity = _fields(message).get("message-id", "")
    return SentRef(str(message["id"]), identity, str(message.get("threadId") or ""), seen)


def _fields(message: Mapping[str, Any]) -> dict[str, str]:
    payload = message.get("payload")
    return fields(payload.get("headers")) if isinstance(payload, Mapping) else {}


def _checked(answer: Answer) -> dict[str, Any]:
    """The JSON of an answer that succeeded. Raises the error a refusal means."""
    if answer.status >= 300:
        raise _refusal(answer)
    return answer.json() if answer.body else {}


def _refusal(answer: Answer) -> RemoteError:
    return refusals.refusal(answer.status, decoded(answer.body), answer.headers, scope=MODIFY_SCOPE)
