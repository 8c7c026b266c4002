"""The sandbox's Graph, written to: drafts, replies, attachments, sends."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.fields import header
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import ANA, BRUNO, letter

OUTSIDE = "cliente@fora.example"


def recipient(address: str, name: str = "") -> dict[str, Any]:
    return {"emailAddress": {"address": address, **({"name": name} if name else {})}}


def addresses(message: dict[str, Any], field: str) -> list[str]:
    return [one["emailAddress"]["address"] for one in message[field]]


def draft(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = {
        "subject": "Proposta",
        "body": {"contentType": "text", "content": "Olá"},
        "toRecipients": [recipient(OUTSIDE)],
    }
    answer = client.post("/messages", json={**body, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def raw_of(mailbox: Mailbox, ident: str) -> bytes:
    return mailbox.get(mailbox.key_of(ident)).raw


def test_a_json_draft_is_real_mail_in_drafts(graph: httpx.Client, bruno: Mailbox) -> None:
    made = draft(graph, ccRecipients=[recipient("ze@x.example", "José Conceição")], importance="high")
    assert made["isDraft"]
    assert made["isRead"]
    assert made["parentFolderId"] == bruno.place("drafts").id
    assert made["body"]["content"] == "Olá"
    assert made["importance"] == "high"
    assert made["ccRecipients"][0]["emailAddress"] == {"name": "José Conceição", "address": "ze@x.example"}
    assert header(raw_of(bruno, made["id"]), b"To") == OUTSIDE
    assert graph.get(f"/messages/{made['id']}/$value").content == raw_of(bruno, made["id"])


def test_the_message_id_may_be_set_on_a_draft_and_is_kept_on_send(graph: httpx.Client, sandbox: Sandbox) -> None:
    made = draft(graph, internetMessageId="<nosso@crm>")
    graph.post(f"/messages/{made['id']}/send")
    assert graph.get(f"/messages/{made['id']}").json()["internetMessageId"] == "<nosso@crm>"
    sandbox.limits.graph_rewrites_message_id = True
    made = draft(graph, internetMessageId="<outro@crm>")
    graph.post(f"/messages/{made['id']}/send")
    assert graph.get(f"/messages/{made['id']}").json()["internetMessageId"] != "<outro@crm>"


def test_a_mime_draft_keeps_its_own_headers(graph: httpx.Client, bruno: Mailbox) -> None:
    raw = letter("Re: Pedido", From=BRUNO, To=OUTSIDE, In_Reply_To="<p1@x>", References="<p0@x> <p1@x>")
    made = graph.post("/messages", content=base64.b64encode(raw), headers={"Content-Type": "text/plain"})
    assert made.status_code == 201
    assert header(raw_of(bruno, made.json()["id"]), b"References") == "<p0@x> <p1@x>"
    broken = graph.post("/messages", content=b"*not base64*", headers={"Content-Type": "text/plain"})
    assert broken.json()["error"]["code"] == "ErrorMimeContentInvalidBase64String"


@pytest.mark.parametrize(
    ("name", "status"), [("x-crm-id", 201), ("X-CRM-ID", 201), ("In-Reply-To", 400), ("References", 400)]
)
def test_own_headers_start_with_x(graph: httpx.Client, name: str, status: int) -> None:
    body = {"subject": "a", "internetMessageHeaders": [{"name": name, "value": "<1@x>"}]}
    answer = graph.post("/messages", json=body)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["code"] == "InvalidInternetMessageHeader"


def test_no_more_than_five_own_headers(graph: httpx.Client) -> None:
    headers = [{"name": f"x-{n}", "value": "1"} for n in range(6)]
    assert graph.post("/messages", json={"internetMessageHeaders": headers}).status_code == 400


def test_threading_headers_can_be_set_as_mapi_properties(graph: httpx.Client, bruno: Mailbox) -> None:
    made = draft(graph, singleValueExtendedProperties=[{"id": "String 0x1042", "value": "<p1@x>"}])
    assert header(raw_of(bruno, made["id"]), b"In-Reply-To") == "<p1@x>"


def test_headers_and_attachments_can_be_expanded(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = bruno.id_of(bruno.add(letter(In_Reply_To="<p1@x>")))
    clause = "singleValueExtendedProperties($filter=id eq 'String 0x1042')"
    shown = graph.get(f"/messages/{ident}", params={"$expand": clause}).json()
    assert shown["singleValueExtendedProperties"] == [{"id": "String 0x1042", "value": "<p1@x>"}]
    made = draft(graph, attachments=[attachment("a.bin", b"1")])
    shown = graph.get(f"/messages/{made['id']}", params={"$expand": "attachments"}).json()
    assert [one["name"] for one in shown["attachments"]] == ["a.bin"]


def test_editing_a_draft_keeps_what_is_not_named(graph: httpx.Client, bruno: Mailbox) -> None:
    made = draft(graph)
    edited = graph.patch(f"/messages/{made['id']}", json={"subject": "Proposta nº 2"}).json()
    assert edited["id"] == made["id"]
    assert (edited["subject"], edited["body"]["content"], addresses(edited, "toRecipients")) == (
        "Proposta nº 2",
        "Olá",
        [OUTSIDE],
    )
    assert edited["internetMessageId"] == made["internetMessageId"]


def test_a_reply_goes_to_reply_to_with_history_and_threading(graph: httpx.Client, bruno: Mailbox) -> None:
    parent = letter(
        "Pedido", "quanto custa?\r\n", Message_ID="<p1@x>", References="<p0@x>", Reply_To="vendas@x.example"
    )
    made = graph.post(f"/messages/{bruno.id_of(bruno.add(parent))}/createReply", json={}).json()
    assert made["subject"] == "RE: Pedido"
    assert addresses(made, "toRecipients") == ["vendas@x.example"]
    assert "quanto custa?" in made["body"]["content"]
    raw = raw_of(bruno, made["id"])
    assert (header(raw, b"In-Reply-To"), header(raw, b"References")) == ("<p1@x>", "<p0@x> <p1@x>")
    replaced = graph.patch(f"/messages/{made['id']}", json={"body": {"contentType": "text", "content": "100"}}).json()
    assert "quanto custa?" not in replaced["body"]["content"], "a new body replaces the quoted history"
    assert header(raw_of(bruno, made["id"]), b"In-Reply-To") == "<p1@x>"


def test_a_reply_to_all_leaves_oneself_out(graph: httpx.Client, bruno: Mailbox) -> None:
    parent = letter("Pedido", To=f"{BRUNO}, ze@x.example", Cc="lu@x.example")
    ident = bruno.id_of(bruno.add(parent))
    made = graph.post(f"/messages/{ident}/createReplyAll", json={"comment": "Sim <já>"}).json()
    assert addresses(made, "toRecipients") == ["carla@cliente.example"]
    assert addresses(made, "ccRecipients") == ["ze@x.example", "lu@x.example"]
    assert "Sim &lt;já&gt;" in made["body"]["content"]


def test_a_comment_and_a_body_exclude_each_other(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = bruno.id_of(bruno.add(letter()))
    body = {"comment": "a", "message": {"body": {"contentType": "text", "content": "b"}}}
    assert graph.post(f"/messages/{ident}/createReply", json=body).status_code == 400


def test_a_forward_takes_the_attachments_along(graph: httpx.Client, bruno: Mailbox) -> None:
    made = draft(graph, attachments=[attachment("contrato.pdf", b"%PDF")])
    body = {"toRecipients": [recipient("ze@x.example")]}
    forward = graph.post(f"/messages/{made['id']}/createForward", json=body).json()
    assert forward["subject"] == "FW: Proposta"
    assert forward["hasAttachments"]
    assert addresses(forward, "toRecipients") == ["ze@x.example"]


def attachment(name: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": name,
        "contentType": "application/octet-stream",
        "contentBytes": base64.b64encode(content).decode(),
        **more,
    }


def test_attachments_are_added_one_by_one_and_ignored_in_a_patch(graph: httpx.Client) -> None:
    made = draft(graph)
    where = f"/messages/{made['id']}/attachments"
    graph.patch(f"/messages/{made['id']}", json={"attachments": [attachment("x", b"1")]})
    assert graph.get(where).json()["value"] == []
    first = graph.post(where, json=attachment("relatório.bin", b"\x00\x01"))
    assert first.status_code == 201
    graph.post(where, json=attachment("b.bin", b"2"))
    assert [one["name"] for one in graph.get(where, params={"$select": "id,name,size"}).json()["value"]] == [
        "relatório.bin",
        "b.bin",
    ]
    one = f"{where}/{first.json()['id']}"
    assert graph.get(one + "/$value").content == b"\x00\x01"
    assert base64.b64decode(graph.get(one).json()["contentBytes"]) == b"\x00\x01"
    assert graph.delete(one).status_code == 204
    assert [item["name"] for item in graph.get(where).json()["value"]] == ["b.bin"]


def test_only_inline_pictures_do_not_count_as_attachments(graph: httpx.Client) -> None:
    inline = draft(graph, attachments=[attachment("logo.png", b"1", isInline=True, contentId="logo")])
    assert inline["hasAttachments"] is False
    assert graph.get(f"/messages/{inline['id']}/attachments").json()["value"][0]["isInline"] is True


def test_an_attached_message_is_an_item_and_its_value_is_mime(graph: httpx.Client, bruno: Mailbox) -> None:
    inner = letter("dentro").decode()
    raw = (
        'From: a@b.example\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\n"
        f"fora\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b--\r\n"
    )
    where = f"/messages/{bruno.id_of(bruno.add(raw.encode()))}/attachments"
    (item,) = graph.get(where).json()["value"]
    assert item["@odata.type"] == "#microsoft.graph.itemAttachment"
    assert item["name"] == "dentro"
    assert b"Subject: dentro" in graph.get(f"{where}/{item['id']}/$value").content


def test_a_large_attachment_goes_up_in_ranges_in_order_without_a_token(
    graph: httpx.Client, sandbox: Sandbox, bruno: Mailbox
) -> None:
    made = draft(graph)
    where = f"/messages/{made['id']}/attachments"
    item = {"attachmentType": "file", "name": "grande.bin", "size": 10}
    session = graph.post(where + "/createUploadSession", json={"AttachmentItem": item}).json()
    assert session["nextExpectedRanges"] == ["0-"]
    url = session["uploadUrl"]

    def put(start: int, content: bytes, **headers: str) -> httpx.Response:
        span = f"bytes {start}-{start + len(content) - 1}/10"
        return httpx.put(url, content=content, headers={"Content-Range": span, **headers})

    assert put(0, b"01234", Authorization="Bearer x").status_code == 401
    assert put(5, b"56789").status_code == 416
    assert put(0, b"01234").json()["nextExpectedRanges"] == ["5-"]
    assert httpx.get(url).json()["nextExpectedRanges"] == ["5-"]
    done = put(5, b"56789")
    assert done.status_code == 201
    assert graph.get(done.headers["Location"] + "/$value").content == b"0123456789"
    assert put(0, b"01234").status_code == 404


def test_requests_above_four_megabytes_are_413(graph: httpx.Client) -> None:
    answer = graph.post("/messages", json={"subject": "x" * (4 * 1024 * 1024)})
    assert answer.status_code == 413


def test_sending_moves_the_draft_to_sent_items_under_its_immutable_id(
    graph: httpx.Client, sandbox: Sandbox, bruno: Mailbox
) -> None:
    made = draft(graph)
    sent = graph.post(f"/messages/{made['id']}/send")
    assert (sent.status_code, sent.content) == (202, b"")
    after = graph.get(f"/messages/{made['id']}").json()
    assert (after["isDraft"], after["parentFolderId"]) == (False, bruno.place("sentitems").id)
    assert [send.detail["recipients"] for send in sandbox.ledger.sends(BRUNO)] == [[OUTSIDE]]
    assert graph.post(f"/messages/{made['id']}/send").status_code == 400, "what is sent is no draft"
    assert len(sandbox.ledger.sends()) == 1


def test_a_send_may_be_accepted_and_not_show_for_a_while(graph: httpx.Client, sandbox: Sandbox, bruno: Mailbox) -> None:
    sandbox.limits.send_lag = 30
    made = draft(graph)
    assert graph.post(f"/messages/{made['id']}/send").status_code == 202
    assert graph.get("/mailFolders/sentitems/messages").json()["value"] == []
    sandbox.clock.advance(31)
    assert len(graph.get("/mailFolders/sentitems/messages").json()["value"]) == 1


def test_send_mail_answers_202_and_tells_no_id(graph: httpx.Client, sandbox: Sandbox, bruno: Mailbox) -> None:
    message = {
        "subject": "Oi",
        "toRecipients": [recipient(ANA)],
        "body": {"contentType": "html", "content": "<b>a</b>"},
    }
    assert graph.post("/sendMail", json={"message": message}).status_code == 202
    assert graph.post("/sendMail", json={"message": message, "saveToSentItems": False}).status_code == 202
    raw = base64.b64encode(letter(From=BRUNO, To=ANA))
    assert graph.post("/sendMail", content=raw, headers={"Content-Type": "text/plain"}).status_code == 202
    assert len(sandbox.ledger.sends(BRUNO)) == 3
    assert len([m for m in bruno.messages.values() if m.folder == bruno.place("sentitems").id]) == 2
    assert len(sandbox.mailbox(ANA).messages) == 3


def test_a_reply_at_once_is_sent(graph: httpx.Client, sandbox: Sandbox, bruno: Mailbox) -> None:
    ident = bruno.id_of(bruno.add(letter("Pedido")))
    assert graph.post(f"/messages/{ident}/reply", json={"comment": "Sim"}).status_code == 202
    assert sandbox.ledger.sends(BRUNO)[0].detail["subject"] == "RE: Pedido"


@pytest.mark.parametrize(
    ("fields", "status"), [({"toRecipients": []}, 400), ({"from": recipient("chefe@example.com")}, 403)]
)
def test_what_cannot_be_sent_is_refused(
    graph: httpx.Client, sandbox: Sandbox, fields: dict[str, Any], status: int
) -> None:
    made = draft(graph, **fields)
    assert graph.post(f"/messages/{made['id']}/send").status_code == status
    assert sandbox.ledger.sends() == []
    assert graph.get(f"/messages/{made['id']}").json()["isDraft"]
