"""The sandbox's Gmail, written to: drafts, sends, inserts, uploads, batches."""

from __future__ import annotations

import email
import email.message
import json

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.fields import header
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import ANA, BRUNO, MODIFY, Connect, fill, letter, url64

OUTSIDE = "cliente@fora.example"


def mail(**headers: str) -> bytes:
    return letter("Proposta", "Segue.\r\n", **{"From": ANA, "To": OUTSIDE, **headers})


def message_id(client: httpx.Client, ident: str) -> str:
    """The Message-ID Gmail says the message has."""
    params = {"format": "metadata", "metadataHeaders": "Message-ID"}
    return str(client.get(f"/messages/{ident}", params=params).json()["payload"]["headers"][0]["value"])


def test_sending_replaces_the_message_id_and_keeps_no_trace_of_ours(gmail: httpx.Client, ana: Mailbox) -> None:
    sent = gmail.post("/messages/send", json={"raw": url64(mail(Message_ID="<nosso@crm>"))}).json()
    assert sent["labelIds"] == ["SENT"]
    assert message_id(gmail, sent["id"]).endswith("@mail.gmail.com>")
    assert b"nosso@crm" not in ana.get(ana.key_of(sent["id"])).raw
    assert "messages" not in gmail.get("/messages", params={"q": "rfc822msgid:<nosso@crm>"}).json()


def test_insert_and_import_keep_it(gmail: httpx.Client) -> None:
    for path in ("/messages", "/messages/import"):
        put = gmail.post(path, json={"raw": url64(mail(Message_ID=f"<guardado{len(path)}@crm>"))}).json()
        assert message_id(gmail, put["id"]) == f"<guardado{len(path)}@crm>"


def test_the_date_source_of_insert_is_a_query_parameter(gmail: httpx.Client) -> None:
    raw = url64(mail(Date="Mon, 01 Jan 2024 12:00:00 +0000"))
    by_header = gmail.post("/messages", params={"internalDateSource": "dateHeader"}, json={"raw": raw}).json()["id"]
    in_body = gmail.post("/messages", json={"raw": raw, "internalDateSource": "dateHeader"}).json()["id"]
    dates = [
        gmail.get(f"/messages/{one}", params={"format": "minimal"}).json()["internalDate"]
        for one in (by_header, in_body)
    ]
    assert dates[0] == "1704110400000"
    assert int(dates[1]) > 1_750_000_000_000


def test_a_drafts_id_stays_and_its_messages_id_does_not(gmail: httpx.Client, ana: Mailbox) -> None:
    since = ana.sequence
    draft = gmail.post("/drafts", json={"message": {"raw": url64(mail())}}).json()
    updated = gmail.put(f"/drafts/{draft['id']}", json={"message": {"raw": url64(mail(Cc="x@y.example"))}}).json()
    assert updated["id"] == draft["id"]
    assert updated["message"]["id"] != draft["message"]["id"]
    assert gmail.get(f"/messages/{draft['message']['id']}").status_code == 404
    assert [one["id"] for one in gmail.get("/drafts").json()["drafts"]] == [draft["id"]]
    told = gmail.get("/history", params={"startHistoryId": str(since)}).json()["history"]
    assert [key for record in told for key in record if key.startswith("messages") and key != "messages"] == [
        "messagesAdded",
        "messagesAdded",
        "messagesDeleted",
    ]


def test_a_sent_draft_is_gone_and_the_mail_has_a_new_id(gmail: httpx.Client) -> None:
    draft = gmail.post("/drafts", json={"message": {"raw": url64(mail())}}).json()
    sent = gmail.post("/drafts/send", json={"id": draft["id"]}).json()
    assert sent["id"] != draft["message"]["id"]
    assert gmail.get(f"/drafts/{draft['id']}").status_code == 404
    assert gmail.post("/drafts/send", json={"id": draft["id"]}).status_code == 404
    assert gmail.get("/drafts").json() == {"resultSizeEstimate": 0}


def test_deleting_a_draft_is_for_good_and_needs_no_wider_scope(gmail: httpx.Client, ana: Mailbox) -> None:
    draft = gmail.post("/drafts", json={"message": {"raw": url64(mail())}}).json()
    assert gmail.delete(f"/drafts/{draft['id']}").status_code == 204
    assert ana.state() == {}


def test_drafts_that_were_there_before_can_be_sent(gmail: httpx.Client, sandbox: Sandbox, ana: Mailbox) -> None:
    ana.add(mail(), folder="drafts")
    draft = gmail.get("/drafts").json()["drafts"][0]
    assert gmail.post("/drafts/send", json={"id": draft["id"]}).status_code == 200
    assert sandbox.ledger.sends(ANA)[0].detail["recipients"] == [OUTSIDE]


@pytest.mark.parametrize(
    ("status", "kept"), [("accepted", True), (None, True), ("pending", False), ("no alias at all", False)]
)
def test_an_unverified_from_is_replaced_without_a_word(
    gmail: httpx.Client, ana: Mailbox, status: str | None, kept: bool
) -> None:
    if status != "no alias at all":
        said = {"verificationStatus": status} if status else {}
        ana.aliases.append({"sendAsEmail": "vendas@example.com", "displayName": "Vendas", **said})
    sent = gmail.post("/messages/send", json={"raw": url64(mail(From="vendas@example.com"))})
    assert sent.status_code == 200
    sender = header(ana.get(ana.key_of(sent.json()["id"])).raw, b"From")
    assert ("vendas@example.com" in sender) is kept
    assert (ANA in sender) is not kept


def test_the_primary_address_has_no_verification_status(gmail: httpx.Client) -> None:
    (primary,) = gmail.get("/settings/sendAs").json()["sendAs"]
    assert primary["isPrimary"]
    assert "verificationStatus" not in primary
    assert gmail.get(f"/settings/sendAs/{ANA}").json() == primary


@pytest.mark.parametrize(
    ("subject", "references", "joins"),
    [("Re: Pedido", "<p1@x>", True), ("Outro", "<p1@x>", False), ("Re: Pedido", "<outro@x>", False)],
)
def test_a_thread_is_joined_only_when_id_subject_and_references_agree(
    gmail: httpx.Client, ana: Mailbox, subject: str, references: str, joins: bool
) -> None:
    thread = ana.id_of(ana.add(letter("Pedido", Message_ID="<p1@x>")))
    raw = letter(subject, From=ANA, To=OUTSIDE, References=references, In_Reply_To=references)
    sent = gmail.post("/messages/send", json={"raw": url64(raw), "threadId": thread}).json()
    assert (sent["threadId"] == thread) is joins


def test_mail_between_users_of_the_sandbox_arrives_without_bcc(
    gmail: httpx.Client, sandbox: Sandbox, bruno: Mailbox
) -> None:
    gmail.post("/messages/send", json={"raw": url64(mail(To=OUTSIDE, Bcc=BRUNO))})
    (state,) = bruno.state().values()
    assert state["unread"]
    raw = bruno.get(bruno.order[0]).raw
    assert header(raw, b"Bcc") == ""
    (send,) = sandbox.ledger.sends(ANA)
    assert send.detail["recipients"] == [OUTSIDE, BRUNO]


def test_mail_to_oneself_is_one_message_in_sent_and_inbox(gmail: httpx.Client, ana: Mailbox) -> None:
    sent = gmail.post("/messages/send", json={"raw": url64(mail(To=ANA))}).json()
    assert sent["labelIds"] == ["INBOX", "SENT", "UNREAD"]
    assert len(ana.messages) == 1


@pytest.mark.parametrize(
    "raw", ["", url64(b"no header here"), url64(b"From: a@b.example\r\n\r\nno one to send to"), "%%%"]
)
def test_what_cannot_be_sent_is_refused(gmail: httpx.Client, sandbox: Sandbox, raw: str) -> None:
    assert gmail.post("/messages/send", json={"raw": raw}).status_code == 400
    assert sandbox.ledger.sends() == []


def test_the_ledger_finds_a_mail_that_went_out_twice(gmail: httpx.Client, sandbox: Sandbox) -> None:
    for number in (1, 2):
        gmail.post("/messages/send", json={"raw": url64(mail(Message_ID=f"<{number}@crm>"))})
    gmail.post("/messages/send", json={"raw": url64(mail(Cc="outro@x.example"))})
    assert len(sandbox.ledger.sends()) == 3
    assert len(sandbox.ledger.duplicates()) == 1


def test_sent_mail_may_take_a_while_to_show(gmail: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.limits.send_lag = 30
    sent = gmail.post("/messages/send", json={"raw": url64(mail())}).json()
    assert gmail.get(f"/messages/{sent['id']}").status_code == 404
    sandbox.clock.advance(31)
    assert gmail.get("/messages", params={"labelIds": "SENT"}).json()["messages"][0]["id"] == sent["id"]


# ---- uploads -----------------------------------------------------------------------------------------------------


def upload(sandbox: Sandbox, connect: Connect) -> httpx.Client:
    client = connect(ANA, MODIFY)
    client.base_url = httpx.URL(sandbox.http_url)
    return client


def test_an_upload_of_plain_bytes(sandbox: Sandbox, connect: Connect, ana: Mailbox) -> None:
    client = upload(sandbox, connect)
    sent = client.post(
        "/upload/gmail/v1/users/me/messages/send",
        params={"uploadType": "media"},
        content=mail(),
        headers={"Content-Type": "message/rfc822"},
    )
    assert sent.json()["labelIds"] == ["SENT"]


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_an_upload_of_metadata_and_mail(sandbox: Sandbox, connect: Connect, ana: Mailbox, newline: str) -> None:
    raw = mail()
    metadata = json.dumps({"labelIds": ["INBOX"]})
    body = (
        newline.join(
            ["--b", "Content-Type: application/json", "", metadata, "--b", "Content-Type: message/rfc822", "", ""]
        ).encode()
        + raw
        + f"{newline}--b--".encode()
    )
    put = upload(sandbox, connect).post(
        "/upload/gmail/v1/users/me/messages",
        params={"uploadType": "multipart"},
        content=body,
        headers={"Content-Type": "multipart/related; boundary=b"},
    )
    assert put.json()["labelIds"] == ["INBOX"]
    assert ana.get(ana.key_of(put.json()["id"])).raw == raw


def test_an_upload_in_chunks_goes_on_where_it_was_cut(sandbox: Sandbox, connect: Connect, ana: Mailbox) -> None:
    client, raw = upload(sandbox, connect), mail() + b"x" * 1000
    opened = client.post(
        "/resumable/upload/gmail/v1/users/me/messages", params={"uploadType": "resumable"}, json={"labelIds": ["INBOX"]}
    )
    where = opened.headers["Location"]
    total = len(raw)
    first = client.put(where, content=raw[:100], headers={"Content-Range": f"bytes 0-99/{total}"})
    assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-99")
    asked = client.put(where, headers={"Content-Range": f"bytes */{total}"})
    assert (asked.status_code, asked.headers["Range"]) == (308, "bytes=0-99")
    last = client.put(where, content=raw[100:], headers={"Content-Range": f"bytes 100-{total - 1}/{total}"})
    assert ana.get(ana.key_of(last.json()["id"])).raw == raw
    assert client.put(where, content=b"").status_code == 404


def test_a_mail_above_the_limit_is_413(sandbox: Sandbox, connect: Connect) -> None:
    answer = upload(sandbox, connect).post(
        "/upload/gmail/v1/users/me/messages/send",
        params={"uploadType": "media"},
        content=mail() + b"x" * 36_700_160,
        headers={"Content-Type": "message/rfc822"},
        timeout=60,
    )
    assert answer.status_code == 413


# ---- batches -----------------------------------------------------------------------------------------------------


def batch(
    sandbox: Sandbox, token: str, requests: list[tuple[str, str, str]]
) -> tuple[int, dict[str, int], dict[str, str]]:
    """Send (id, request line, body)s; (outer status, inner statuses by id, inner bodies by id)."""
    parts = []
    for ident, line, body in requests:
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        parts.append(
            f"--b\r\nContent-Type: application/http\r\nContent-ID: <{ident}>\r\n\r\n"
            f"{line} HTTP/1.1\r\n{kind}\r\n{body}\r\n"
        )
    outer = httpx.post(
        sandbox.http_url + "/batch/gmail/v1",
        content="".join(parts) + "--b--",
        headers={"Content-Type": "multipart/mixed; boundary=b", "Authorization": f"Bearer {token}"},
    )
    whole = f"Content-Type: {outer.headers['Content-Type']}\r\n\r\n".encode() + outer.content
    tree = email.message_from_bytes(whole)
    statuses, bodies = {}, {}
    for part in tree.get_payload() if tree.is_multipart() else []:
        assert isinstance(part, email.message.Message)
        ident = str(part["Content-ID"])
        inner = str(part.get_payload())
        statuses[ident] = int(inner.split()[1])
        bodies[ident] = inner.partition("\n\n")[2] or inner.partition("\r\n\r\n")[2]
    return outer.status_code, statuses, bodies


def test_a_batch_answers_each_part_by_its_id(sandbox: Sandbox, ana: Mailbox) -> None:
    ident = fill(ana, 1)[0]
    base = "/gmail/v1/users/me/messages"
    status, inner, bodies = batch(
        sandbox,
        sandbox.grants.issue(ANA, MODIFY),
        [
            ("a", f"GET {base}/{ident}?format=minimal", ""),
            ("b", f"POST {base}/{ident}/modify", '{"addLabelIds":["STARRED"]}'),
            ("c", f"GET {base}/fff", ""),
        ],
    )
    assert status == 200
    assert inner == {"<response-a>": 200, "<response-b>": 200, "<response-c>": 404}
    assert json.loads(bodies["<response-a>"])["id"] == ident
    assert "STARRED" in ana.state()[ident]["labels"]


def test_a_batch_of_thirty_is_200_outside_and_429_for_five_inside(sandbox: Sandbox, ana: Mailbox) -> None:
    ids = fill(ana, 30)
    requests = [(str(n), f"GET /gmail/v1/users/me/messages/{one}?format=raw", "") for n, one in enumerate(ids)]
    status, inner, bodies = batch(sandbox, sandbox.grants.issue(ANA, MODIFY), requests)
    assert status == 200
    assert sorted(inner.values()) == [200] * 25 + [429] * 5
    refused = json.loads(bodies["<response-29>"])["error"]
    assert refused["status"] == "RESOURCE_EXHAUSTED"
    assert refused["message"] == "Too many concurrent requests for user"
    assert sandbox.ledger.units(ANA) == 25 * 20


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_of_none_or_of_more_than_a_hundred_is_refused(sandbox: Sandbox, count: int) -> None:
    requests = [(str(n), "GET /gmail/v1/users/me/profile", "") for n in range(count)]
    assert batch(sandbox, sandbox.grants.issue(ANA, MODIFY), requests)[0] == 400
