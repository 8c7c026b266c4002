"""Graph's JSON, as recorded shapes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from crmmail.model import Address, Delta, Patch, Role, State, Wish
from crmmail.remotes import graph_json
from crmmail.remotes.graph_json import Place

SHARED = Path(os.environ.get("CRMMAIL_SHARED") or Path(__file__).parents[3] / "shared")
EXAMPLES = SHARED / "contracts" / "graph-mail-examples.json"
ROLES = {"I": Role.INBOX, "T": Role.TRASH}


def test_a_message_is_read_with_its_headers() -> None:
    item = {
        "id": "AAk=",
        "conversationId": "C",
        "internetMessageId": "<1@example.org>",
        "subject": "Ol\u00e1 \x1b[31m\nmundo",
        "from": {"emailAddress": {"name": "Ana", "address": "ana@example.org"}},
        "toRecipients": [{"emailAddress": {"name": "bob@example.org", "address": "bob@example.org"}}, {}, None],
        "ccRecipients": [{"emailAddress": {"name": "Old", "address": "/O=EXCHANGELABS/CN=OLD"}}],
        "bccRecipients": [],
        "receivedDateTime": "2026-01-02T03:04:05.1234567Z",
        "sentDateTime": "2026-01-02T03:04:00Z",
        "isRead": False,
        "hasAttachments": True,
        "bodyPreview": "Um\r\n\r\ndois",
        "parentFolderId": "I",
    }
    incoming = graph_json.incoming(item, "inbox")
    assert incoming.state == State(frozenset({"inbox"}), unread=True)
    assert incoming.received_ms == 1_767_323_045_000
    assert incoming.raw is None
    assert incoming.snippet == "Um dois"
    assert incoming.has_attachments
    headers = incoming.headers
    assert headers is not None
    assert "\x1b" not in headers.subject
    assert "\n" not in headers.subject
    assert headers.sender == Address("Ana", "ana@example.org")
    assert headers.to == (Address("", "bob@example.org"),)
    assert headers.cc == (Address("Old", ""),)
    assert headers.message_id == "<1@example.org>"
    assert headers.date_ms == 1_767_323_040_000


@pytest.mark.parametrize(
    "odd",
    [
        {"subject": None, "from": None, "toRecipients": None, "receivedDateTime": None},
        {"subject": 3, "from": "x", "toRecipients": "y", "receivedDateTime": "yesterday", "internetMessageId": 4},
        {"from": {"emailAddress": None}, "toRecipients": [{"emailAddress": "z"}], "bodyPreview": None},
        {"receivedDateTime": "9999-99-99T99:99:99Z"},
    ],
)
def test_a_message_with_odd_fields_is_no_crash(odd: dict[str, Any]) -> None:
    incoming = graph_json.incoming({"id": "1", "isRead": True} | odd, "inbox")
    assert incoming.remote_id == "1"


def test_an_update_says_only_what_changed() -> None:
    assert not graph_json.is_whole({"id": "1", "isRead": True})
    assert graph_json.patch({"id": "1", "isRead": True}, "inbox") == Patch("1", delta=Delta(move="inbox", unread=False))
    assert graph_json.patch({"id": "1", "subject": "x"}, "trash") == Patch("1", delta=Delta(move="trash"))


def test_folders_come_with_roles_first_and_without_what_holds_nothing() -> None:
    items: list[dict[str, Any]] = [
        {"id": "X", "displayName": "Clientes\u202e", "parentFolderId": "R", "totalItemCount": 4, "unreadItemCount": 1},
        {"id": "T", "displayName": "Itens Excluídos", "parentFolderId": "R"},
        {"id": "I", "displayName": "Caixa de Entrada", "parentFolderId": "R"},
        {"id": "S", "@odata.type": "#microsoft.graph.mailSearchFolder", "displayName": "Busca"},
        {"id": "H", "displayName": "Oculta", "isHidden": True},
        {"id": "Y", "displayName": "ACME", "parentFolderId": "X"},
        {"displayName": "sem id"},
    ]
    folders = graph_json.folders_of(items, ROLES, "work")
    assert [folder.key for folder in folders] == ["inbox", "trash", "x:X", "x:Y"]
    assert folders[2].name == "Clientes"
    assert (folders[2].server_total, folders[2].server_unread, folders[2].parent) == (4, 1, "")
    assert folders[3].parent == "x:X"
    assert folders[0].server_total is None


def test_what_exchange_keeps_for_itself_is_hidden_while_it_is_empty() -> None:
    items = [{"id": "O", "displayName": "Outbox", "totalItemCount": 0}, {"id": "X", "totalItemCount": 0}]
    hidden = [one.hidden for one in graph_json.folders_of(items, ROLES, "work", {"O"})]
    assert hidden == [True, False]
    items[0]["totalItemCount"] = 1
    assert not graph_json.folders_of(items, ROLES, "work", {"O"})[0].hidden
    del items[0]["totalItemCount"]
    assert not graph_json.folders_of(items, ROLES, "work", {"O"})[0].hidden


def test_a_place_survives_being_a_cursor() -> None:
    place = Place({"I": "/me/x", "T": "/me/y"}, {"T"}, {"m1", "m2"}, 30, 500)
    assert graph_json.load_place(place.dump()) == place


@pytest.mark.parametrize(
    ("delta", "goal"),
    [
        (Delta(move="trash"), "trash"),
        (Delta(move="inbox"), ""),
        (Delta(add=frozenset({"x:A"}), remove=frozenset({"inbox"})), "x:A"),
        (Delta(unread=True), ""),
        (Delta(remove=frozenset({"inbox"})), ""),
    ],
)
def test_a_wish_moves_to_one_folder_at_most(delta: Delta, goal: str) -> None:
    assert graph_json.goal(Wish("1", delta, State(frozenset({"inbox"})))) == goal


def test_a_destination_is_a_well_known_name_or_an_id() -> None:
    assert graph_json.destination("trash") == "deleteditems"
    assert graph_json.destination("archive") == "archive"
    assert graph_json.destination("x:AAMk=") == "AAMk="


@pytest.mark.skipif(not EXAMPLES.exists(), reason="Microsoft's documented examples are not beside this checkout")
def test_microsofts_own_examples_are_understood() -> None:
    mocks = json.loads(EXAMPLES.read_text())["mocks"]
    read = folders = 0
    for mock in mocks:
        body = mock["response"].get("body")
        items = body.get("value", [body]) if isinstance(body, dict) else []
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict) or "id" not in item:
                continue
            if "receivedDateTime" in item:
                incoming = graph_json.incoming(item, "inbox")
                assert incoming.received_ms > 1_000_000_000_000
                assert incoming.headers is not None
                assert incoming.headers.subject == " ".join(str(item.get("subject") or "").split())
                read += 1
            elif "childFolderCount" in item:
                (folder,) = graph_json.folders_of([item], {}, "work") or [None]
                assert folder is None or folder.name == item["displayName"]
                folders += 1
    assert read >= 5
    assert folders >= 5
