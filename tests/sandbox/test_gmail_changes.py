"""The sandbox's Gmail, changed: labels, trash, history, and what each leaves behind."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import ANA, EVERYTHING, Connect, fill, letter

HELD = "This message is under legal hold."


def history(client: httpx.Client, since: str | int, **params: Any) -> dict[str, Any]:
    """One page of history."""
    answer = client.get("/history", params={"startHistoryId": str(since), **params})
    assert answer.status_code == 200
    return dict(answer.json())


def test_modify_answers_with_the_labels_after_it(gmail: httpx.Client, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter(), unread=True))
    answer = gmail.post(f"/messages/{ident}/modify", json={"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]})
    assert answer.json() == {"id": ident, "threadId": ident, "labelIds": ["INBOX", "STARRED"]}


@pytest.mark.parametrize("label", ["SENT", "DRAFT", "CHAT", "Label_404"])
def test_some_labels_cannot_be_set(gmail: httpx.Client, ana: Mailbox, label: str) -> None:
    ident = ana.id_of(ana.add(letter()))
    answer = gmail.post(f"/messages/{ident}/modify", json={"addLabelIds": [label]})
    assert answer.status_code == 400
    assert label in answer.json()["error"]["message"]


def test_a_draft_takes_no_label(gmail: httpx.Client, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter(), folder="drafts"))
    assert gmail.post(f"/messages/{ident}/modify", json={"addLabelIds": ["STARRED"]}).status_code == 400


def test_trash_drops_the_inbox_and_untrash_does_not_bring_it_back(gmail: httpx.Client, ana: Mailbox) -> None:
    label = ana.new_place("Clientes")
    ident = ana.id_of(ana.add(letter(), labels=(label.id,), unread=True))
    assert gmail.post(f"/messages/{ident}/trash").json()["labelIds"] == sorted(["TRASH", "UNREAD", label.id])
    assert gmail.post(f"/messages/{ident}/untrash").json()["labelIds"] == sorted(["UNREAD", label.id])


def test_a_message_without_labels_has_no_label_ids(gmail: httpx.Client, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter()))
    answer = gmail.post(f"/messages/{ident}/modify", json={"removeLabelIds": ["INBOX"]}).json()
    assert "labelIds" not in answer


def test_batch_modify_skips_what_is_not_there_and_says_nothing(gmail: httpx.Client, ana: Mailbox) -> None:
    ids = fill(ana, 3)
    answer = gmail.post("/messages/batchModify", json={"ids": [*ids, "abcdef"], "removeLabelIds": ["INBOX"]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert all(state["labels"] == [] for state in ana.state().values())


def test_batch_modify_takes_a_thousand_ids_and_not_one_more(gmail: httpx.Client) -> None:
    for count, status in ((0, 400), (1000, 204), (1001, 400)):
        body = {"ids": [format(n + 1, "x") for n in range(count)], "addLabelIds": ["STARRED"]}
        assert gmail.post("/messages/batchModify", json=body).status_code == status


def test_batch_delete_needs_no_existence(connect: Connect, ana: Mailbox) -> None:
    ids = fill(ana, 2)
    client = connect(ANA, EVERYTHING)
    assert client.post("/messages/batchDelete", json={"ids": [ids[0], "abc"]}).status_code == 204
    assert list(ana.state()) == [ids[1]]


def test_history_tells_arrivals_labels_and_permanent_deletion(
    gmail: httpx.Client, connect: Connect, ana: Mailbox
) -> None:
    old = ana.id_of(ana.add(letter("velha")))
    since = gmail.get("/profile").json()["historyId"]
    new = ana.id_of(ana.deliver(letter("nova")))
    gmail.post(f"/messages/{old}/trash")
    connect(ANA, EVERYTHING).delete(f"/messages/{old}")
    told = history(gmail, since)
    added, trashed, deleted = told["history"]
    assert added["messagesAdded"][0]["message"]["id"] == new
    assert trashed["labelsAdded"][0]["labelIds"] == ["TRASH"]
    assert trashed["labelsRemoved"][0]["labelIds"] == ["INBOX"]
    assert "messagesDeleted" not in trashed
    assert deleted["messagesDeleted"][0]["message"]["id"] == old
    numbers = [int(record["id"]) for record in told["history"]]
    assert numbers == sorted(numbers)
    assert all(isinstance(record["id"], str) for record in told["history"])
    assert int(told["historyId"]) >= numbers[-1]


def test_no_news_is_an_answer_without_history(gmail: httpx.Client, ana: Mailbox) -> None:
    assert history(gmail, ana.sequence) == {"historyId": str(ana.sequence)}


def test_a_change_that_changes_nothing_is_no_history(gmail: httpx.Client, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter()))
    since = ana.sequence
    gmail.post(f"/messages/{ident}/modify", json={"addLabelIds": ["INBOX"], "removeLabelIds": ["UNREAD"]})
    assert "history" not in history(gmail, since)


def test_a_page_may_have_a_token_and_no_history(gmail: httpx.Client, ana: Mailbox) -> None:
    ident = ana.id_of(ana.add(letter()))
    since = ana.sequence
    gmail.post(f"/messages/{ident}/modify", json={"addLabelIds": ["STARRED"]})
    ana.deliver(letter("nova"))
    first = history(gmail, since, historyTypes="messageAdded", maxResults=1)
    assert "history" not in first
    second = history(gmail, since, historyTypes="messageAdded", maxResults=1, pageToken=first["nextPageToken"])
    assert len(second["history"]) == 1
    assert "nextPageToken" not in second


def test_a_label_narrows_the_history(gmail: httpx.Client, ana: Mailbox) -> None:
    since = ana.sequence
    ana.deliver(letter("fica"))
    ana.deliver(letter("some"), folder="spam")
    assert len(history(gmail, since, labelId="INBOX")["history"]) == 1


@pytest.mark.parametrize("start", ["1", "999999999"])
def test_history_from_nowhere_is_404(gmail: httpx.Client, start: str) -> None:
    answer = gmail.get("/history", params={"startHistoryId": start})
    assert answer.status_code == 404
    assert answer.json()["error"]["errors"][0]["reason"] == "notFound"


def test_expired_history_is_404_and_a_new_start_works(gmail: httpx.Client, ana: Mailbox) -> None:
    since = ana.sequence
    ana.deliver(letter())
    ana.expire_cursors()
    assert gmail.get("/history", params={"startHistoryId": str(since)}).status_code == 404
    assert "history" not in history(gmail, gmail.get("/profile").json()["historyId"])


def test_a_refused_message_says_why_and_the_others_are_changed(
    sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox
) -> None:
    held, free = fill(ana, 2)
    sandbox.faults.refuse(ANA, held, HELD)
    refused = gmail.post(f"/messages/{held}/trash")
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == HELD
    assert refused.json()["error"]["errors"][0]["reason"] == "failedPrecondition"
    both = gmail.post("/messages/batchModify", json={"ids": [held, free], "addLabelIds": ["STARRED"]})
    assert both.status_code == 400
    assert "STARRED" not in ana.state()[free]["labels"]
    assert gmail.post(f"/messages/{free}/trash").status_code == 200
    sandbox.faults.allow(ANA, held)
    assert gmail.post(f"/messages/{held}/trash").status_code == 200


def test_a_thread_is_changed_as_it_is_now(gmail: httpx.Client, ana: Mailbox) -> None:
    first = ana.add(letter("Pedido", Message_ID="<p1@x>"))
    second = ana.add(letter("Re: Pedido", In_Reply_To="<p1@x>"))
    thread = ana.id_of(first)
    gmail.post(f"/threads/{thread}/modify", json={"addLabelIds": ["STARRED"]})
    gmail.post(f"/threads/{thread}/trash")
    assert all(ana.get(key).labels == {"STARRED", "TRASH"} for key in (first, second))
    gmail.post(f"/threads/{thread}/untrash")
    assert all(ana.get(key).labels == {"STARRED"} for key in (first, second))
    assert gmail.post("/threads/abc/trash").status_code == 404


def test_labels_are_made_renamed_and_removed_from_their_messages(gmail: httpx.Client, ana: Mailbox) -> None:
    made = gmail.post("/labels", json={"name": "Clientes/Açaí", "labelListVisibility": "labelShow"}).json()
    assert made["id"].startswith("Label_")
    assert made["type"] == "user"
    assert gmail.post("/labels", json={"name": "clientes/açaí"}).status_code == 409
    ident = ana.id_of(ana.add(letter(), labels=(made["id"],)))
    assert gmail.patch(f"/labels/{made['id']}", json={"name": "Fornecedores"}).json()["name"] == "Fornecedores"
    assert gmail.delete(f"/labels/{made['id']}").status_code == 204
    assert ana.state()[ident]["labels"] == ["INBOX"]
    assert gmail.delete("/labels/INBOX").status_code == 400
