"""Google's own client library against a sandbox: run in its own environment with BASE and TOKEN as arguments.

Lists, reads, changes, drafts, sends, batches, uploads and follows changes; prints what it saw as JSON.
"""

from __future__ import annotations

import base64
import importlib.metadata
import io
import json
import sys
from pathlib import Path

import googleapiclient
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload

base, token, address = sys.argv[1:4]
# The library takes the addresses of uploads and batches from the document, not from `client_options`.
document = json.loads((Path(googleapiclient.__file__).parent / "discovery_cache/documents/gmail.v1.json").read_text())
document |= {"rootUrl": base + "/", "baseUrl": base + "/"}
gmail = build_from_document(document, credentials=Credentials(token))
users = gmail.users()
messages = users.messages()
seen: dict[str, object] = {"version": importlib.metadata.version("google-api-python-client")}

profile = users.getProfile(userId="me").execute()
seen["address"] = profile["emailAddress"]

ids = []
request = messages.list(userId="me", maxResults=7)
while request is not None:
    page = request.execute()
    ids += [message["id"] for message in page.get("messages", [])]
    request = messages.list_next(request, page)
seen["listed"] = len(set(ids))

raw = messages.get(userId="me", id=ids[0], format="raw").execute()
seen["raw_starts"] = base64.urlsafe_b64decode(raw["raw"])[:5].decode()
seen["subject"] = next(
    header["value"]
    for header in messages.get(userId="me", id=ids[0]).execute()["payload"]["headers"]
    if header["name"] == "Subject"
)

gathered: dict[str, int] = {}


def gather(request_id: str, response: dict[str, object] | None, failure: HttpError | None) -> None:
    """One inner answer of the batch."""
    gathered[request_id] = failure.resp.status if failure else 200


batch = gmail.new_batch_http_request(callback=gather)
for ident in ids[:30]:
    batch.add(messages.get(userId="me", id=ident, format="minimal"))
batch.execute()
seen["batch"] = sorted(gathered.values())

messages.modify(userId="me", id=ids[0], body={"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]}).execute()
messages.batchModify(userId="me", body={"ids": ids[1:3], "removeLabelIds": ["INBOX"]}).execute()
messages.trash(userId="me", id=ids[3]).execute()
seen["untrashed"] = messages.untrash(userId="me", id=ids[3]).execute().get("labelIds", [])
try:
    messages.delete(userId="me", id=ids[4]).execute()
except HttpError as refused:
    seen["delete"] = refused.resp.status
    seen["delete_reason"] = refused.error_details[0]["reason"]

mail = (
    f"From: {address}\r\nTo: {address}, outra@example.net\r\nSubject: do cliente\r\nMessage-ID: <meu@x>\r\n\r\nOi\r\n"
)
body = {"message": {"raw": base64.urlsafe_b64encode(mail.encode()).decode()}}
draft = users.drafts().create(userId="me", body=body).execute()
updated = users.drafts().update(userId="me", id=draft["id"], body=body).execute()
seen["draft_kept_its_id"] = updated["id"] == draft["id"] and updated["message"]["id"] != draft["message"]["id"]
sent = users.drafts().send(userId="me", body={"id": draft["id"]}).execute()
seen["sent_labels"] = sent["labelIds"]
headers = messages.get(userId="me", id=sent["id"], format="metadata", metadataHeaders=["Message-ID"]).execute()
seen["message_id_kept"] = headers["payload"]["headers"][0]["value"] == "<meu@x>"

for name, resumable in (("multipart", False), ("resumable", True)):
    media = MediaIoBaseUpload(io.BytesIO(mail.encode()), "message/rfc822", chunksize=256 * 1024, resumable=resumable)
    inserted = messages.insert(userId="me", body={"labelIds": ["INBOX"]}, media_body=media).execute()
    seen[f"uploaded_{name}"] = inserted["labelIds"]

kinds = set()
request = users.history().list(userId="me", startHistoryId=profile["historyId"], maxResults=3)
while request is not None:
    page = request.execute()
    for record in page.get("history", []):
        kinds |= record.keys() - {"id", "messages"}
    request = users.history().list_next(request, page)
seen["history"] = sorted(kinds)
try:
    users.history().list(userId="me", startHistoryId="1").execute()
except HttpError as expired:
    seen["old_history"] = expired.resp.status

label = users.labels().create(userId="me", body={"name": "Clientes"}).execute()
seen["labels"] = label["id"] in [one["id"] for one in users.labels().list(userId="me").execute()["labels"]]
seen["aliases"] = [one["sendAsEmail"] for one in users.settings().sendAs().list(userId="me").execute()["sendAs"]]
sys.stdout.write(json.dumps(seen))
