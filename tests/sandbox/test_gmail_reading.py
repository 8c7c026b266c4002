"""The sandbox's Gmail, read: lists, gets, search, partial answers, errors."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.mailbox import Mailbox
from tests.conftest import SHARED
from tests.sandbox.conftest import ANA, BRUNO, EVERYTHING, MAIL, MODIFY, Connect, fill, letter
from tests.sandbox.contract import gmail_contract

METADATA = "https://www.googleapis.com/auth/gmail.metadata"


def test_the_profile_counts_and_gives_the_history_id_as_a_string(gmail: httpx.Client, ana: Mailbox) -> None:
    fill(ana, 3)
    profile = gmail.get("/profile").json()
    assert profile["emailAddress"] == ANA
    assert profile["messagesTotal"] == profile["threadsTotal"] == 3
    assert profile["historyId"] == str(ana.sequence)


def test_an_empty_list_has_no_messages_key(gmail: httpx.Client) -> None:
    assert gmail.get("/messages").json() == {"resultSizeEstimate": 0}


def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(gmail: httpx.Client, ana: Mailbox) -> None:
    ids = fill(ana, 25)
    seen: list[str] = []
    token = ""
    while True:
        page = gmail.get("/messages", params={"maxResults": 10, **({"pageToken": token} if token else {})}).json()
        seen += [message["id"] for message in page["messages"]]
        if not (token := page.get("nextPageToken", "")):
            break
    assert seen == ids[::-1]


def test_mail_that_arrives_while_paging_moves_nothing(gmail: httpx.Client, ana: Mailbox) -> None:
    ids = fill(ana, 4)
    first = gmail.get("/messages", params={"maxResults": 2}).json()
    ana.deliver(letter("nova"))
    second = gmail.get("/messages", params={"maxResults": 2, "pageToken": first["nextPageToken"]}).json()
    assert [message["id"] for message in first["messages"] + second["messages"]] == ids[::-1]


def test_ids_are_lower_case_hex_and_nothing_else_is_found(gmail: httpx.Client, ana: Mailbox) -> None:
    key = ana.add(letter(), key=0x18BCFE738D80ABCD)
    assert gmail.get("/messages").json()["messages"][0]["id"] == format(key, "x")
    assert gmail.get("/messages/18BCFE738D80ABCD").status_code == 404
    assert gmail.get(f"/messages/{key}").status_code == 404


def test_label_ids_are_all_required_and_trash_is_hidden(gmail: httpx.Client, ana: Mailbox) -> None:
    both = ana.add(letter("a"), unread=True)
    ana.add(letter("b"))
    gone = ana.add(letter("c"), folder="trash")

    def ids(**params: object) -> list[str]:
        return [m["id"] for m in gmail.get("/messages", params=params).json().get("messages", [])]  # type: ignore[arg-type]

    assert ids(labelIds=["INBOX", "UNREAD"]) == [ana.id_of(both)]
    assert ana.id_of(gone) not in ids()
    assert ana.id_of(gone) in ids(includeSpamTrash="true")
    assert ids(labelIds="TRASH") == ids(q="in:trash") == [ana.id_of(gone)]
    assert gmail.get("/messages", params={"labelIds": "Label_99"}).status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject:orçamento", ["Orçamento 2026"]),
        ("from:carla", ["Orçamento 2026", "Fatura"]),
        ("from:carla -subject:fatura", ["Orçamento 2026"]),
        ("rfc822msgid:<fatura@x>", ["Fatura"]),
        ("rfc822msgid:fatura@x", ["Fatura"]),
        ("is:unread", ["Fatura"]),
        ("is:starred", ["Férias"]),
        ("in:sent", ["Férias"]),
        ('"segue em anexo"', ["Fatura"]),
        ("subject:fatura OR subject:férias", ["Fatura", "Férias"]),
        ("label:clientes", ["Orçamento 2026"]),
        ("has:attachment", []),
        ("after:2026/01/01", ["Fatura", "Férias", "Orçamento 2026"]),
        ("before:2026/01/01", []),
        ("older_than:1y", []),
    ],
)
def test_the_search_language(gmail: httpx.Client, ana: Mailbox, query: str, found: list[str]) -> None:
    label = ana.new_place("Clientes")
    ana.add(letter("Orçamento 2026"), labels=(label.id,))
    ana.add(letter("Fatura", "Segue em anexo.\r\n", Message_ID="<fatura@x>"), unread=True)
    ana.add(letter("Férias", From=ANA, To="carlos@x.example"), folder="sent", starred=True)
    listed = gmail.get("/messages", params={"q": query}).json().get("messages", [])
    subjects = [
        gmail.get(f"/messages/{one['id']}", params={"format": "metadata", "metadataHeaders": "Subject"}).json()
        for one in listed
    ]
    assert sorted(one["payload"]["headers"][0]["value"] for one in subjects) == sorted(found)


def test_raw_is_the_exact_bytes_in_base64url(gmail: httpx.Client, ana: Mailbox) -> None:
    raw = letter("Olá", "árvore ~~~ ???\r\n")
    key = ana.add(lambda: raw)
    message = gmail.get(f"/messages/{ana.id_of(key)}", params={"format": "raw"}).json()
    assert base64.urlsafe_b64decode(message["raw"]) == raw
    assert "payload" not in message
    assert message["sizeEstimate"] == len(raw)


def test_full_has_parts_and_the_attachment_id_differs_each_time(gmail: httpx.Client, ana: Mailbox) -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@x.example", ANA, "com anexo"
    mail.set_content("texto")
    mail.add_attachment(b"\x00\x01", "application", "pdf", filename="relatório.pdf")
    ident = ana.id_of(ana.add(mail.as_bytes()))
    first, second = (gmail.get(f"/messages/{ident}").json()["payload"]["parts"][1] for _ in range(2))
    assert first["filename"] == "relatório.pdf"
    assert first["partId"] == second["partId"] == "1"
    assert first["body"]["attachmentId"] != second["body"]["attachmentId"]
    got = gmail.get(f"/messages/{ident}/attachments/{first['body']['attachmentId']}").json()
    assert base64.urlsafe_b64decode(got["data"]) == b"\x00\x01"


def test_the_snippet_is_escaped_for_html(gmail: httpx.Client, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter("x", 'Tom & "Jerry" <b>it\'s</b>\r\n')))
    snippet = gmail.get(f"/messages/{ident}", params={"format": "minimal"}).json()["snippet"]
    assert snippet == "Tom &amp; &quot;Jerry&quot; &lt;b&gt;it&#39;s&lt;/b&gt;"


def test_fields_cut_the_answer_and_a_wrong_selector_is_refused(gmail: httpx.Client, ana: Mailbox) -> None:
    ids = fill(ana, 2)
    page = gmail.get("/messages", params={"fields": "messages(id),nextPageToken", "maxResults": 1}).json()
    assert page["messages"] == [{"id": ids[1]}]
    assert set(page) == {"messages", "nextPageToken"}
    one = gmail.get(f"/messages/{ids[0]}", params={"fields": "payload/headers/name"}).json()
    assert set(one["payload"]["headers"][0]) == {"name"}
    for wrong in ("messages(id", "messages/,", "nonsense,id"):
        assert gmail.get("/messages", params={"fields": wrong}).status_code == 400


def test_a_reply_joins_the_thread_of_the_mail_it_answers(gmail: httpx.Client, ana: Mailbox) -> None:
    first = ana.add(letter("Pedido", Message_ID="<p1@x>"))
    reply = ana.add(letter("Re: Pedido", Message_ID="<p2@x>", In_Reply_To="<p1@x>", References="<p1@x>"))
    third = ana.add(letter("Re: Pedido", Message_ID="<p3@x>", References="<p1@x> <p2@x>"))
    thread = gmail.get(f"/threads/{ana.id_of(first)}", params={"format": "minimal"}).json()
    assert [m["id"] for m in thread["messages"]] == [ana.id_of(key) for key in (first, reply, third)]
    assert [t["id"] for t in gmail.get("/threads").json()["threads"]] == [ana.id_of(first)]


def test_threads_page_without_repeating_one(gmail: httpx.Client, ana: Mailbox) -> None:
    for number in range(6):
        ana.add(letter(f"t{number % 3}"), thread=number % 3 or None, received_ms=1_790_000_000_000 + number)
    seen: list[str] = []
    params: dict[str, str | int] = {"maxResults": 1}
    while True:
        page = gmail.get("/threads", params=params).json()
        seen += [thread["id"] for thread in page.get("threads", [])]
        if "nextPageToken" not in page:
            break
        params["pageToken"] = page["nextPageToken"]
    assert len(seen) == len(set(seen)) == gmail.get("/profile").json()["threadsTotal"]


def test_labels_are_listed_without_counts_and_got_with_them(gmail: httpx.Client, ana: Mailbox) -> None:
    fill(ana, 3, unread=True)
    listed = {label["id"]: label for label in gmail.get("/labels").json()["labels"]}
    assert {"INBOX", "SENT", "DRAFT", "TRASH", "SPAM", "UNREAD", "STARRED"} <= set(listed)
    assert "messagesTotal" not in listed["INBOX"]
    assert gmail.get("/labels/INBOX").json()["messagesUnread"] == 3
    assert gmail.get("/labels/INBOX").json()["threadsTotal"] == 3


def test_the_metadata_scope_sees_neither_bodies_nor_search(connect: Connect, ana: Mailbox) -> None:
    client = connect(ANA, METADATA)
    ident = ana.id_of(ana.add(letter()))
    assert client.get(f"/messages/{ident}", params={"format": "metadata"}).status_code == 200
    assert client.get(f"/messages/{ident}", params={"format": "raw"}).status_code == 403
    assert client.get("/messages", params={"q": "x"}).status_code == 403


@pytest.mark.parametrize("trouble", ["none", "wrong", "expired", "revoked", "another provider's"])
def test_a_bad_token_gets_googles_401(sandbox: Sandbox, trouble: str) -> None:
    token = sandbox.grants.issue(ANA, MODIFY)
    match trouble:
        case "wrong":
            token = "made-up"
        case "expired":
            sandbox.clock.advance(3601)
        case "revoked":
            sandbox.grants.revoke(token)
        case "another provider's":
            token = sandbox.grants.issue(BRUNO, MAIL)
    headers = {} if trouble == "none" else {"Authorization": f"Bearer {token}"}
    answer = httpx.get(sandbox.http_url + "/gmail/v1/users/me/profile", headers=headers)
    error = answer.json()["error"]
    assert answer.status_code == error["code"] == 401
    assert error["status"] == "UNAUTHENTICATED"
    assert error["errors"][0]["reason"] == "authError"


def test_deleting_for_good_needs_the_widest_scope(gmail: httpx.Client, connect: Connect, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter()))
    refused = gmail.delete(f"/messages/{ident}")
    error = refused.json()["error"]
    assert refused.status_code == 403
    assert error["errors"][0]["reason"] == "insufficientPermissions"
    assert error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert gmail.post("/messages/batchDelete", json={"ids": [ident]}).status_code == 403
    assert connect(ANA, EVERYTHING).delete(f"/messages/{ident}").status_code == 204
    assert ana.state() == {}


def test_units_are_counted_as_google_prices_them(sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox) -> None:
    ident = fill(ana, 1)[0]
    for path, price in (("/profile", 1), ("/messages", 5), (f"/messages/{ident}", 20), ("/labels", 1)):
        before = sandbox.ledger.units(ANA)
        gmail.get(path)
        assert sandbox.ledger.units(ANA) - before == price


def test_an_enforced_quota_refuses_until_a_minute_has_passed(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.limits.gmail_units_per_minute = 10
    assert [gmail.get("/messages").status_code for _ in range(3)] == [200, 200, 403]
    refused = gmail.get("/messages").json()["error"]["errors"][0]
    assert (refused["domain"], refused["reason"]) == ("usageLimits", "userRateLimitExceeded")
    sandbox.clock.advance(61)
    assert gmail.get("/messages").status_code == 200


@pytest.mark.skipif(gmail_contract() is None, reason="Google's discovery document is not beside the checkout")
def test_the_routes_are_those_of_googles_document() -> None:
    from crmmail.sandbox import gmail, gmail_labels, gmail_threads, gmail_write

    contract = gmail_contract()
    assert contract is not None
    served = set()
    for method, pattern, _handler in gmail.ROUTES + gmail_labels.ROUTES + gmail_threads.ROUTES + gmail_write.ROUTES:
        path = pattern.replace("(?:/resumable)?/upload", "/upload")
        import re

        path = re.sub(r"\(\?P<\w+>\[\^/\]\+\)", "x", path)
        if not (path.startswith("/upload") and method == "PUT"):
            served.add(contract.route(method, path))
    assert None not in served
    mail = {
        name
        for name in contract.methods
        if re.match(r"gmail\.users\.(messages|drafts|labels|threads|history|getP)", name)
    }
    assert mail <= served


def test_hostile_mail_never_breaks_an_answer(sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox) -> None:
    corpus = SHARED / "corpora"
    files = sorted(corpus.rglob("*.eml"))[:400] if corpus.exists() else []
    if not files:
        pytest.skip("the corpora are not beside the checkout")
    for path in files:
        ident = ana.id_of(ana.add(path.read_bytes()))
        for form in ("full", "metadata"):
            answer = gmail.get(f"/messages/{ident}", params={"format": form})
            assert answer.status_code == 200, path
            json.dumps(answer.json()).encode("ascii")
