"""Outlook's sending half: drafts as MIME or in pieces, sending a draft, and finding out what became of it.

Quirks met here: a draft made from MIME cannot be replaced by MIME, so a new version is a new draft and the old one is
removed after it; MIME beyond about 2 MB is refused, sometimes with a 200, so larger messages go as fields and
attachments (`graph_upload`); 202 means accepted whatever else it says; a message's immutable id stays the same from
Drafts through Outbox to Sent Items; two headers a reply needs may be set only as MIME or as MAPI properties.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from crmmail.errors import Rejected, Transient
from crmmail.i18n import _
from crmmail.model import Address, Identity, Outgoing
from crmmail.remotes import TOKEN_HEADER, DraftRef, Progress, SentRef, Where, Whereabouts, graph_upload, refusals
from crmmail.remotes.graph_calls import SEND_SCOPE, Calls
from crmmail.remotes.outbound import WHOLE_LIMIT, check_size, fields, handle, parted, token_of

MIME_LIMIT = 2_200_000
"""Bytes of MIME that go in one request: 4 MB of base64 are documented, 2,240 KB were seen to fail silently."""
LOOKED_THROUGH = 50
_TOKEN = TOKEN_HEADER.lower()
_CONTENT = ("subject", "body", "toRecipients", "ccRecipients", "bccRecipients", "hasAttachments")
_SELECT = "id,isDraft,parentFolderId,conversationId,internetMessageId,internetMessageHeaders"


class GraphSending:
    """Mixed into `Graph`, which has the calls."""

    mailbox: str
    limit_bytes = WHOLE_LIMIT
    settle_seconds = 30.0
    _calls: Calls

    def identities(self) -> list[Identity]:
        """The mailbox's address and its aliases, as far as the grant lets us read them."""
        try:
            told = self._calls.get("/me?$select=displayName,mail,userPrincipalName,otherMails,proxyAddresses")
        except Rejected:
            told = self._calls.get("/me?$select=displayName,mail,userPrincipalName")  # personal accounts
        return _identities(self.mailbox, told)

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
        """See `Sender`. `remote_thread` is not needed: the conversation follows from the headers."""
        check_size(mime, self.limit_bytes)
        found = self._draft_with(token_of(mime)) if doubtful else {}
        if len(mime) <= MIME_LIMIT:
            told = found or self._from_mime(mime, progress)
        else:
            told = graph_upload.assemble(self._calls, mime, found, progress)
        old, _version = parted(remote_draft)
        replaced = not old or old == told["id"] or self.delete_draft(remote_draft)
        return _reference(self._reread(told), conflict=not replaced)

    def delete_draft(self, remote_draft: str) -> bool:
        """See `Sender`."""
        draft, version = parted(remote_draft)
        told = self._message(draft) if draft else {}
        if not told.get("isDraft"):
            return not told
        if version and _version_of(told) != version:
            return False
        path = f"/me/messages/{quote(draft, safe='=')}"
        try:
            self._calls.change("POST", f"{path}/permanentDelete", repeatable=True)
        except Rejected as error:
            if not error.gone:
                self._calls.change("DELETE", path, repeatable=True)  # national clouds have no permanent deletion
        return True

    def draft_at(self, remote_id: str) -> DraftRef | None:
        """See `Sender`. A draft thrown away elsewhere is still a draft, in another folder."""
        told = self._message(remote_id)
        if not told.get("isDraft") or told.get("parentFolderId") != self._place("drafts"):
            return None
        return _reference(told)

    def _reread(self, told: dict[str, Any]) -> dict[str, Any]:
        """The message as Exchange tells it from now on: its first answer may show the text another way.

        Raises Transient when that is not told: without the version that is there, no later change would be noticed.
        """
        return self._message(str(told["id"])) or told

    def _from_mime(self, mime: bytes, progress: Progress | None) -> dict[str, Any]:
        headers = {"Content-Type": "text/plain"}
        told = self._calls.change("POST", "/me/messages", content=base64.b64encode(mime), headers=headers)
        if not told.get("id") or told.get("isDraft") is False:
            raise Transient(_("The server's answer was cut off or makes no sense."))
        if progress is not None:
            progress(len(mime), len(mime))
        return told

    def _message(self, message: str) -> dict[str, Any]:
        """What we need to know of a message, {} when it is gone."""
        wanted = ",".join((_SELECT, *_CONTENT))
        try:
            return self._calls.get(f"/me/messages/{quote(message, safe='=')}?$select={wanted}")
        except Rejected as error:
            if error.gone or error.status == 400:  # 400: an id that is malformed, so not one of ours
                return {}
            raise

    def _draft_with(self, token: str) -> dict[str, Any]:
        """The newest draft that carries `token`, {} when none does."""
        found = (one for one in self._newest("drafts") if token and fields_of(one).get(_TOKEN) == token)
        return next((one for one in found if one.get("isDraft")), {})

    def _newest(self, folder: str) -> Iterator[dict[str, Any]]:
        listed = self._calls.get(f"/me/mailFolders/{folder}/messages?$top={LOOKED_THROUGH}&$select={_SELECT}")
        yield from (one for one in listed.get("value") or () if isinstance(one, dict) and one.get("id"))

    # Sending

    def send_draft(self, remote_draft: str) -> SentRef:
        """See `Sender`. 202 with Retry-After means accepted, and not to ask again for a while."""
        draft, _version = parted(remote_draft)
        answer = self._calls.once("POST", f"/me/messages/{quote(draft, safe='=')}/send", scope=SEND_SCOPE)
        if answer.status != 202:  # a page for people in between says 200
            raise Transient(_("The server's answer was cut off or makes no sense."), status=answer.status)
        return SentRef(draft, wait=refusals.asked_to_wait(answer.headers))

    def look(self, outgoing: Outgoing) -> Whereabouts:
        """See `Sender`. The immutable id tells it at once; without one, our token among the newest of each folder."""
        draft, _version = parted(outgoing.remote_draft)
        told = self._message(outgoing.remote_id or draft) if outgoing.remote_id or draft else {}
        if told and not self._going(told):
            mine = fields_of(told).get(_TOKEN) == outgoing.token
            return Whereabouts(Where.DRAFT, _reference(told), ready=mine)
        if told:
            return Whereabouts(Where.SENT, sent=self._sent(told))
        if found := self._draft_with(outgoing.token):
            return Whereabouts(Where.DRAFT, _reference(self._message(str(found["id"])) or found))
        for folder in ("sentitems", "outbox"):
            for one in self._newest(folder):
                if _is(outgoing, one):
                    return Whereabouts(Where.SENT, sent=self._sent(one))
        return Whereabouts(Where.NOWHERE)

    def _going(self, told: Mapping[str, Any]) -> bool:
        """Whether a message has left the drafts: what waits in the Outbox is the server's to send."""
        return told.get("isDraft") is False or told.get("parentFolderId") == self._place("outbox")

    def _sent(self, told: Mapping[str, Any]) -> SentRef:
        seen = told.get("parentFolderId") == self._place("sentitems")
        return SentRef(
            str(told["id"]),
            str(told.get("internetMessageId") or ""),
            str(told.get("conversationId") or ""),
            seen,
        )

    def _place(self, name: str) -> str:
        """The id of a well-known folder, asked once; '' where there is none."""
        places: dict[str, str] = self.__dict__.setdefault("_places", {})
        if name not in places:
            try:
                places[name] = str(self._calls.get(f"/me/mailFolders/{name}?$select=id").get("id") or "")
            except Rejected as error:
                if not error.gone:
                    raise
                places[name] = ""
        return places[name]


def fields_of(told: Mapping[str, Any]) -> dict[str, str]:
    """The header fields of a message resource."""
    return fields(told.get("internetMessageHeaders"))


def _is(outgoing: Outgoing, told: Mapping[str, Any]) -> bool:
    """Whether a message is the one we sent: our token, or the Message-ID where Exchange left it."""
    return fields_of(told).get(_TOKEN) == outgoing.token or told.get("internetMessageId") == outgoing.message_id


def _version_of(told: Mapping[str, Any]) -> str:
    """What a person sees of a draft, as a short digest: Exchange changes `changeKey` for reasons of its own."""
    shown = json.dumps([told.get(name) for name in _CONTENT], sort_keys=True)
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _reference(told: Mapping[str, Any], *, conflict: bool = False) -> DraftRef:
    draft = str(told["id"])
    version = _version_of(told) if "body" in told else ""
    return DraftRef(handle(draft, version), draft, str(told.get("conversationId") or ""), conflict)


def _identities(mailbox: str, told: Mapping[str, Any]) -> list[Identity]:
    from crmmail.mail.text import clean_line

    name = clean_line(str(told.get("displayName") or ""), 200)
    own = str(told.get("mail") or told.get("userPrincipalName") or "")
    proxies = [str(one)[5:] for one in told.get("proxyAddresses") or () if str(one)[:5].lower() == "smtp:"]
    others = [str(one) for one in told.get("otherMails") or ()]
    found: dict[str, Identity] = {}
    for address in (own, *proxies, *others):
        # Other addresses of a person are not the mailbox's own: Exchange decides at sending whether they may be used.
        usable = address == own or address in proxies
        if "@" in address:
            identity = Identity(mailbox, Address(name, address), default=address == own, verified=usable)
            found.setdefault(address.lower(), identity)
    return list(found.values())
