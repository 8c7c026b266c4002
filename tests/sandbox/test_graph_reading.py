"""The sandbox's Graph, read: folders, lists, filters, MIME, ids, errors."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import ANA, BRUNO, IMMUTABLE, MAIL, MODIFY, START_MS, Connect, fill, letter
from tests.sandbox.contract import EXAMPLES


def names(client: httpx.Client, path: str, **params: str) -> list[str]:
    return [folder["displayName"] for folder in client.get(path, params=params).json()["value"]]


def test_folders_come_by_ten_and_hidden_ones_only_when_asked_for(graph: httpx.Client, bruno: Mailbox) -> None:
    for number in range(5):
        graph.post("/mailFolders", json={"displayName": f"Cliente {number}"})
    first = graph.get("/mailFolders").json()
    assert len(first["value"]) == 10
    rest = graph.get(first["@odata.nextLink"]).json()
    assert "@odata.nextLink" not in rest
    assert len(rest["value"]) == 3
    assert "Clutter" not in names(graph, "/mailFolders", **{"$top": "100"})
    assert "Clutter" in names(graph, "/mailFolders", **{"$top": "100", "includeHiddenFolders": "true"})


def test_folders_inside_folders_must_be_asked_for(graph: httpx.Client) -> None:
    parent = graph.post("/mailFolders", json={"displayName": "Clientes"}).json()
    child = graph.post(f"/mailFolders/{parent['id']}/childFolders", json={"displayName": "Açaí"}).json()
    assert "Açaí" not in names(graph, "/mailFolders", **{"$top": "100"})
    assert graph.get(f"/mailFolders/{parent['id']}").json()["childFolderCount"] == 1
    assert names(graph, f"/mailFolders/{parent['id']}/childFolders") == ["Açaí"]
    assert child["parentFolderId"] == parent["id"]
    assert graph.post("/mailFolders", json={"displayName": "clientes"}).status_code == 409


@pytest.mark.parametrize("known", ["inbox", "drafts", "sentitems", "deleteditems", "junkemail", "archive", "SentItems"])
def test_well_known_names_stand_for_ids(graph: httpx.Client, known: str) -> None:
    folder = graph.get(f"/mailFolders/{known}").json()
    assert graph.get(f"/mailFolders/{folder['id']}").json() == folder
    assert folder["id"] != known


def test_a_mailbox_may_have_no_archive(graph: httpx.Client, bruno: Mailbox) -> None:
    del bruno.places[bruno.place("archive").id]
    assert graph.get("/mailFolders/archive").status_code == 404


def test_a_search_folder_is_listed_with_its_type(graph: httpx.Client, bruno: Mailbox) -> None:
    bruno.new_place("Não lidas", search=True, parent=bruno.place("msgfolderroot").id)
    found = [one for one in graph.get("/mailFolders", params={"$top": 100}).json()["value"] if "@odata.type" in one]
    assert [one["@odata.type"] for one in found] == ["#microsoft.graph.mailSearchFolder"]


def test_counts_follow_what_happens(graph: httpx.Client, bruno: Mailbox) -> None:
    ids = fill(bruno, 3, unread=True)
    graph.patch(f"/messages/{ids[0]}", json={"isRead": True})
    inbox = graph.get("/mailFolders/inbox").json()
    assert (inbox["totalItemCount"], inbox["unreadItemCount"]) == (3, 2)


def test_lists_come_by_ten_newest_first_with_absolute_links(
    graph: httpx.Client, bruno: Mailbox, sandbox: Sandbox
) -> None:
    ids = fill(bruno, 23)
    seen, link, pages = [], "/mailFolders/inbox/messages?$select=id", 0
    while link:
        page = graph.get(link).json()
        seen += [one["id"] for one in page["value"]]
        link, pages = page.get("@odata.nextLink", ""), pages + 1
        assert not link or link.startswith(sandbox.http_url + "/v1.0/me/")
    assert seen == ids[::-1]
    assert pages == 3


def test_a_list_of_everything_holds_deleted_items_too(graph: httpx.Client, bruno: Mailbox) -> None:
    bruno.add(letter("a"))
    bruno.add(letter("b"), folder="trash")
    assert len(graph.get("/messages").json()["value"]) == 2


def test_select_gives_what_it_names_and_refuses_what_is_not_there(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1)[0]
    one = graph.get(f"/messages/{ident}", params={"$select": "subject,internetMessageHeaders"}).json()
    assert {key for key in one if not key.startswith("@")} == {"id", "subject", "internetMessageHeaders"}
    assert "internetMessageHeaders" not in graph.get(f"/messages/{ident}").json()
    assert graph.get("/messages", params={"$select": "subjekt"}).status_code == 400


@pytest.mark.parametrize(
    ("clause", "count"),
    [
        ("isRead eq false", 2),
        ("isRead eq true", 1),
        ("receivedDateTime ge 2026-09-21T14:14:00Z", 2),
        ("receivedDateTime gt 2026-09-21T14:14:20Z and isRead eq false", 1),
        ("internetMessageId eq '<o''brien@x>'", 1),
        ("from/emailAddress/address eq 'carla@cliente.example'", 3),
        ("startswith(subject,'Mens')", 2),
        ("contains(subject,'especial') or isRead eq true", 2),
        ("not (isRead eq true)", 2),
        ("categories/any(c:c eq 'Clientes')", 1),
        ("flag/flagStatus eq 'flagged'", 1),
        ("isDraft eq true", 0),
    ],
)
def test_filters(graph: httpx.Client, bruno: Mailbox, clause: str, count: int) -> None:
    bruno.add(letter("Mensagem 0"), received_ms=START_MS, unread=True)
    bruno.add(letter("Mensagem 1"), received_ms=START_MS + 60_000)
    third = letter("Caso especial", Message_ID="<o'brien@x>")
    key = bruno.add(third, received_ms=START_MS + 120_000, unread=True, starred=True)
    bruno.update(key, categories=("Clientes",))
    answer = graph.get("/messages", params={"$filter": clause})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["value"]) == count


@pytest.mark.parametrize("clause", ["isRead eq", "isRead is true", "nonsense eq 1", "(isRead eq true", "'"])
def test_a_wrong_filter_is_400(graph: httpx.Client, clause: str) -> None:
    assert graph.get("/messages", params={"$filter": clause}).status_code == 400


def test_ordering_by_what_is_not_filtered_first_is_inefficient(graph: httpx.Client) -> None:
    params = {"$filter": "isRead eq false", "$orderby": "receivedDateTime desc"}
    refused = graph.get("/messages", params=params)
    assert refused.json()["error"]["code"] == "InefficientFilter"
    params["$filter"] = "receivedDateTime ge 2020-01-01T00:00:00Z and isRead eq false"
    assert graph.get("/messages", params=params).status_code == 200


def test_a_search_stands_alone(graph: httpx.Client, bruno: Mailbox) -> None:
    bruno.add(letter("Proposta", "valores em anexo\r\n"))
    bruno.add(letter("Fatura"))
    found = graph.get("/messages", params={"$search": '"from:carla subject:proposta"'}).json()["value"]
    assert [one["subject"] for one in found] == ["Proposta"]
    assert len(graph.get("/messages", params={"$search": '"valores"'}).json()["value"]) == 1
    assert graph.get("/messages", params={"$search": '"x"', "$filter": "isRead eq true"}).status_code == 400


def test_value_is_the_raw_message(graph: httpx.Client, bruno: Mailbox) -> None:
    raw = letter("Olá", "árvore\r\n")
    answer = graph.get(f"/messages/{bruno.id_of(bruno.add(raw))}/$value")
    assert answer.content == raw
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_the_body_can_be_asked_for_as_text(graph: httpx.Client, bruno: Mailbox) -> None:
    html = b"From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Ol\xc3\xa1 <b>mundo</b></p>"
    ident = bruno.id_of(bruno.add(html))
    assert graph.get(f"/messages/{ident}").json()["body"]["contentType"] == "html"
    asked = {"Prefer": 'IdType="ImmutableId", outlook.body-content-type="text"'}
    body = graph.get(f"/messages/{ident}", headers=asked).json()["body"]
    assert body["contentType"] == "text"
    assert "<" not in body["content"]


def test_ids_change_on_a_move_unless_they_are_asked_to_be_immutable(
    graph: httpx.Client, connect: Connect, bruno: Mailbox
) -> None:
    fill(bruno, 1)
    mutable = connect(BRUNO, MAIL)
    old = mutable.get("/messages").json()["value"][0]["id"]
    stable = graph.get("/messages").json()["value"][0]["id"]
    moved = mutable.post(f"/messages/{old}/move", json={"destinationId": "archive"})
    assert moved.status_code == 201
    assert moved.json()["id"] != old
    gone = mutable.get(f"/messages/{old}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "ErrorItemNotFound")
    assert graph.get(f"/messages/{stable}").json()["parentFolderId"] == bruno.place("archive").id


def test_a_move_keeps_an_immutable_id_and_says_so(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1)[0]
    moved = graph.post(f"/messages/{ident}/move", json={"destinationId": "deleteditems"})
    assert moved.json()["id"] == ident
    assert moved.headers["Preference-Applied"] == 'IdType="ImmutableId"'
    assert graph.post(f"/messages/{ident}/move", json={"destinationId": "nowhere"}).status_code == 400


def test_a_copy_is_another_message(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1)[0]
    copied = graph.post(f"/messages/{ident}/copy", json={"destinationId": "archive"}).json()
    assert copied["id"] != ident
    assert len(bruno.messages) == 2


def test_delete_is_soft_and_permanent_delete_is_not(graph: httpx.Client, bruno: Mailbox) -> None:
    soft, hard = fill(bruno, 2)
    assert graph.delete(f"/messages/{soft}").status_code == 204
    assert bruno.state()[soft]["folder"] == bruno.place("deleteditems").id
    assert graph.delete(f"/messages/{soft}").status_code == 204
    assert bruno.state()[soft]["folder"] == bruno.place("recoverableitemsdeletions").id
    assert graph.post(f"/messages/{hard}/permanentDelete").status_code == 204
    assert hard not in bruno.state()
    assert graph.post(f"/messages/{hard}/permanentDelete").status_code == 404


def test_patch_sets_read_flag_and_categories(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1, unread=True)[0]
    before = graph.get(f"/messages/{ident}").json()["changeKey"]
    body = {"isRead": True, "flag": {"flagStatus": "flagged"}, "categories": ["Clientes"]}
    after = graph.patch(f"/messages/{ident}", json=body).json()
    assert (after["isRead"], after["flag"], after["categories"]) == (True, {"flagStatus": "flagged"}, ["Clientes"])
    assert after["changeKey"] != before
    assert graph.patch(f"/messages/{ident}", json={"flag": {"flagStatus": "later"}}).status_code == 400
    assert graph.patch(f"/messages/{ident}", json={"subject": "outro"}).status_code == 400


def test_a_refused_message_says_why(sandbox: Sandbox, graph: httpx.Client, bruno: Mailbox) -> None:
    held, free = fill(bruno, 2)
    sandbox.faults.refuse(BRUNO, held, "This message is under legal hold.")
    for answer in (
        graph.patch(f"/messages/{held}", json={"flag": {"flagStatus": "flagged"}}),
        graph.post(f"/messages/{held}/move", json={"destinationId": "archive"}),
        graph.delete(f"/messages/{held}"),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"]["message"] == "This message is under legal hold."
    assert graph.post(f"/messages/{free}/move", json={"destinationId": "archive"}).status_code == 201


@pytest.mark.parametrize("trouble", ["none", "wrong", "expired", "another provider's"])
def test_a_bad_token_gets_graphs_401(sandbox: Sandbox, trouble: str) -> None:
    token = sandbox.grants.issue(BRUNO, MAIL)
    match trouble:
        case "wrong":
            token = "made-up"
        case "expired":
            sandbox.grants.expire(BRUNO)
        case "another provider's":
            token = sandbox.grants.issue(ANA, MODIFY)
    headers = {} if trouble == "none" else {"Authorization": f"Bearer {token}"}
    answer = httpx.get(sandbox.http_url + "/v1.0/me", headers=headers)
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert error["code"] == "InvalidAuthenticationToken"
    assert {"date", "request-id", "client-request-id"} <= set(error["innerError"])


def test_a_missing_permission_is_403(connect: Connect) -> None:
    refused = connect(BRUNO, "User.Read").get("/messages")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ErrorAccessDenied")


def test_more_than_four_at_once_are_told_to_wait(sandbox: Sandbox, graph: httpx.Client) -> None:
    with sandbox.in_flight(BRUNO, 4), sandbox.in_flight(BRUNO, 4), sandbox.in_flight(BRUNO, 4):
        assert graph.get("/mailFolders").status_code == 200
        with sandbox.in_flight(BRUNO, 4):
            refused = graph.get("/mailFolders")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert "MailboxConcurrency" in refused.json()["error"]["message"]


# ---- $batch ------------------------------------------------------------------------------------------------------


def batch(client: httpx.Client, requests: list[dict[str, object]]) -> httpx.Response:
    return client.post(str(client.base_url).replace("/me/", "/$batch"), json={"requests": requests})


def test_a_batch_answers_each_and_fails_what_depends_on_a_failure(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1)[0]
    answer = batch(
        graph,
        [
            {
                "id": "1",
                "method": "PATCH",
                "url": f"/me/messages/{ident}",
                "headers": {"Content-Type": "application/json"},
                "body": {"isRead": False},
            },
            {"id": "2", "method": "GET", "url": "/me/messages/nothing", "dependsOn": ["1"]},
            {"id": "3", "method": "GET", "url": "/me/mailFolders/inbox", "dependsOn": ["2"]},
            {"id": "4", "method": "GET", "url": f"/me/messages/{ident}?$select=subject", "headers": IMMUTABLE},
        ],
    )
    assert answer.status_code == 200
    inner = {one["id"]: one for one in answer.json()["responses"]}
    assert [inner[n]["status"] for n in "1234"] == [200, 404, 424, 200]
    assert inner["4"]["body"]["id"] == ident
    assert inner["1"]["body"]["id"] != ident, "each inner request needs its own Prefer"
    assert bruno.state()[ident]["unread"]


@pytest.mark.parametrize("count", [0, 21])
def test_a_batch_holds_one_to_twenty(graph: httpx.Client, count: int) -> None:
    assert batch(graph, [{"id": str(n), "method": "GET", "url": "/me"} for n in range(count)]).status_code == 400


def test_an_item_of_a_batch_may_be_throttled_while_the_batch_is_200(sandbox: Sandbox, graph: httpx.Client) -> None:
    sandbox.faults.add("status", path=r"/mailFolders/drafts", status=429, headers={"Retry-After": "7"}, times=1)
    answer = batch(graph, [{"id": n, "method": "GET", "url": f"/me/mailFolders/{n}"} for n in ("inbox", "drafts")])
    inner = {one["id"]: one for one in answer.json()["responses"]}
    assert (answer.status_code, inner["inbox"]["status"], inner["drafts"]["status"]) == (200, 200, 429)
    assert inner["drafts"]["headers"]["Retry-After"] == "7"


@pytest.mark.skipif(not EXAMPLES.exists(), reason="Microsoft's examples are not beside the checkout")
def test_answers_have_what_microsofts_examples_have(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = bruno.id_of(bruno.add(letter()))
    folder = graph.post("/mailFolders", json={"displayName": "Clientes"}).json()["id"]
    graph.post(f"/mailFolders/{folder}/childFolders", json={"displayName": "Açaí"})
    special = {"@odata.type", "@odata.id", "meetingMessageType", "event"}  # of calendar mail only
    checked = 0
    for mock in json.loads(EXAMPLES.read_text())["mocks"]:
        path = mock["request"]["url"].removeprefix("https://graph.microsoft.com/v1.0/me")
        body = mock["response"].get("body")
        method = mock["request"]["method"]
        if not isinstance(body, dict) or not re.fullmatch(r"/(messages|mailFolders)(/\*)?(/move|/childFolders)?", path):
            continue
        if method not in ("GET", "POST") or (method, path) in (("POST", "/messages"), ("POST", "/mailFolders/*/move")):
            continue
        ours = path.replace("*", ident if "messages" in path else folder)
        sent = {"destinationId": "archive"} if path.endswith("move") else {"displayName": f"Nova {checked}"}
        answer = graph.request(method, ours, json=sent if method == "POST" else None).json()
        there = answer["value"][0] if answer.get("value") else answer
        wanted = body["value"][0] if body.get("value") else body
        assert set(wanted) - special - {"value"} <= set(there) | {"conversationIndex"}, (method, path)
        checked += 1
    assert checked >= 6
