"""The sandbox's Graph, followed: delta rounds of a folder and of the folder list."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import BRUNO, MAIL, START_MS, Connect, fill, letter

INBOX, ARCHIVE = "/mailFolders/inbox/messages/delta", "/mailFolders/archive/messages/delta"


def follow(client: httpx.Client, link: str, **params: str) -> tuple[list[dict[str, Any]], str, int]:
    """(items, delta link, pages) of a whole round."""
    items: list[dict[str, Any]] = []
    for pages in range(1, 100):
        answer = client.get(link, params=params) if params else client.get(link)
        assert answer.status_code == 200, answer.text
        page, params = answer.json(), {}
        items += page["value"]
        assert ("@odata.nextLink" in page) != ("@odata.deltaLink" in page)
        if "@odata.deltaLink" in page:
            return items, str(page["@odata.deltaLink"]), pages
        link = page["@odata.nextLink"]
    raise AssertionError("the round never ends")


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def test_the_first_round_is_the_folder_and_the_next_one_is_empty(graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 25)
    items, link, pages = follow(graph, INBOX)
    assert sorted(ids(items)) == sorted(known)
    assert pages == 3
    assert follow(graph, link)[0] == []


def test_prefer_sets_the_page_size_and_orderby_the_newest_first(graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 25)
    graph.headers["Prefer"] = 'IdType="ImmutableId", odata.maxpagesize=20'
    items, _link, pages = follow(graph, INBOX, **{"$orderby": "receivedDateTime desc", "$select": "subject"})
    assert ids(items) == known[::-1]
    assert pages == 2
    assert {key for key in items[0] if key[0] != "@"} == {"id", "subject"}


def test_links_are_absolute_and_remember_select(graph: httpx.Client, bruno: Mailbox, sandbox: Sandbox) -> None:
    fill(bruno, 2)
    _items, link, _pages = follow(graph, INBOX, **{"$select": "isRead"})
    assert link.startswith(sandbox.http_url)
    bruno.deliver(letter())
    assert {key for key in follow(graph, link)[0][0] if key[0] != "@"} == {"id", "isRead"}


def test_both_spellings_of_the_function_work(graph: httpx.Client) -> None:
    assert graph.get(INBOX + "()").status_code == 200
    assert graph.get("/mailFolders/inbox/messages/microsoft.graph.delta()").status_code == 200
    assert graph.get("/messages/delta").status_code == 400, "change tracking is per folder"


def test_a_later_round_tells_new_changed_and_gone(graph: httpx.Client, bruno: Mailbox) -> None:
    changed, gone, same = fill(bruno, 3, unread=True)
    _items, link, _pages = follow(graph, INBOX)
    graph.patch(f"/messages/{changed}", json={"isRead": True})
    graph.post(f"/messages/{gone}/permanentDelete")
    new = bruno.id_of(bruno.deliver(letter("nova")))
    items, link, _pages = follow(graph, link)
    told = {item["id"]: item for item in items}
    assert same not in told
    assert told[gone] == {
        "@odata.type": "#microsoft.graph.message",
        "id": gone,
        "@removed": {"reason": "deleted"},
    }
    assert told[changed]["isRead"] is True
    assert told[new]["subject"] == "nova"
    assert follow(graph, link)[0] == []


def test_a_move_is_a_removal_here_and_an_arrival_there_under_one_id(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1)[0]
    _items, inbox, _pages = follow(graph, INBOX)
    _items, archive, _pages = follow(graph, ARCHIVE)
    graph.post(f"/messages/{ident}/move", json={"destinationId": "archive"})
    (left,), (came,) = follow(graph, inbox)[0], follow(graph, archive)[0]
    assert left["id"] == came["id"] == ident
    assert "@removed" in left
    assert "@removed" not in came


def test_with_mutable_ids_a_move_removes_the_old_id_and_makes_a_new_one(connect: Connect, bruno: Mailbox) -> None:
    fill(bruno, 1)
    client = connect(BRUNO, MAIL)
    (old,), inbox, _pages = follow(client, INBOX)
    _items, archive, _pages = follow(client, ARCHIVE)
    client.post(f"/messages/{old['id']}/move", json={"destinationId": "archive"})
    assert ids(follow(client, inbox)[0]) == [old["id"]]
    assert follow(client, archive)[0][0]["id"] != old["id"]


def test_there_and_back_is_only_told_as_removed(sandbox: Sandbox, graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1)[0]
    _items, link, _pages = follow(graph, INBOX)
    for target in ("archive", "inbox"):
        graph.post(f"/messages/{ident}/move", json={"destinationId": target})
    assert "@removed" in follow(graph, link)[0][0]
    assert graph.get(f"/messages/{ident}").json()["parentFolderId"] == bruno.place("inbox").id
    sandbox.limits.skip_returned_messages = False
    assert "@removed" not in follow(graph, link)[0][0]


def test_what_came_and_went_between_two_rounds_is_removed_though_never_seen(
    graph: httpx.Client, bruno: Mailbox
) -> None:
    _items, link, _pages = follow(graph, INBOX)
    ident = bruno.id_of(bruno.deliver(letter()))
    graph.post(f"/messages/{ident}/permanentDelete")
    assert "@removed" in follow(graph, link)[0][0]


def test_changes_during_the_first_round_come_in_the_next(graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 15, unread=True)
    first = graph.get(INBOX).json()
    graph.patch(f"/messages/{known[0]}", json={"isRead": True})
    new = bruno.id_of(bruno.deliver(letter("nova")))
    rest, link, _pages = follow(graph, first["@odata.nextLink"])
    later = follow(graph, link)[0]
    assert set(known) <= set(ids(first["value"] + rest))
    assert {known[0], new} <= set(ids(later)), "an item may come twice; none may be missing"


def test_a_filter_on_the_date_and_only_that(graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 3)
    items, _link, _pages = follow(graph, INBOX, **{"$filter": "receivedDateTime ge 2026-09-21T14:14:00Z"})
    assert START_MS + 60_000 >= 1_790_000_040_000
    assert sorted(ids(items)) == sorted(known[1:])
    for wrong in ({"$filter": "isRead eq false"}, {"$search": '"x"'}, {"$orderby": "subject"}):
        assert graph.get(INBOX, params=wrong).status_code == 400


def test_only_created_ones_when_so_asked(graph: httpx.Client, bruno: Mailbox) -> None:
    ident = fill(bruno, 1, unread=True)[0]
    _items, link, _pages = follow(graph, INBOX, changeType="created")
    graph.patch(f"/messages/{ident}", json={"isRead": True})
    new = bruno.id_of(bruno.deliver(letter("nova")))
    assert ids(follow(graph, link)[0]) == [new]


def test_an_expired_token_is_410_with_the_way_to_start_again(graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 2)
    _items, link, _pages = follow(graph, INBOX)
    bruno.expire_cursors()
    gone = graph.get(link)
    assert gone.status_code == 410
    assert gone.json()["error"]["code"] == "resyncRequired"
    assert sorted(ids(follow(graph, gone.headers["Location"])[0])) == sorted(known)


@pytest.mark.parametrize(
    ("row", "status", "code"),
    [("C02", 410, "resyncRequired"), ("C02-unknown", 400, "syncStateNotFound"), ("C02-resync", 400, "resyncRequired")],
)
def test_the_ways_a_token_can_be_refused(
    sandbox: Sandbox, graph: httpx.Client, row: str, status: int, code: str
) -> None:
    _items, link, _pages = follow(graph, INBOX)
    sandbox.faults.preset(row)
    refused = graph.get(link)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert graph.get(link).status_code == 200, "once is enough"


def test_a_token_of_nonsense_is_400(graph: httpx.Client) -> None:
    assert graph.get(INBOX, params={"$deltatoken": "nonsense"}).status_code == 400


def test_an_empty_page_with_a_next_link_is_not_the_end(sandbox: Sandbox, graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 12)
    sandbox.faults.add("page_empty", path="delta", nth=(1, 2))
    items, _link, pages = follow(graph, INBOX)
    assert sorted(ids(items)) == sorted(known)
    assert pages == 4


def test_a_page_may_be_replayed(sandbox: Sandbox, graph: httpx.Client, bruno: Mailbox) -> None:
    known = fill(bruno, 12)
    sandbox.faults.add("page_repeat", path="delta", nth=1)
    items, link, _pages = follow(graph, INBOX)
    assert len(items) == 22
    assert set(ids(items)) == set(known)
    graph.patch(f"/messages/{known[0]}", json={"isRead": False})
    sandbox.faults.add("page_repeat", path="delta", nth=1)
    assert ids(follow(graph, link)[0]) == [known[0], known[0]]


def test_next_links_may_run_in_a_circle(sandbox: Sandbox, graph: httpx.Client, bruno: Mailbox) -> None:
    fill(bruno, 30)
    sandbox.faults.add("page_loop", path="delta")
    first = graph.get(INBOX).json()
    second = graph.get(first["@odata.nextLink"]).json()
    third = graph.get(second["@odata.nextLink"]).json()
    assert ids(third["value"]) == ids(second["value"]) == ids(first["value"])


def test_the_folder_list_can_be_followed(graph: httpx.Client, bruno: Mailbox) -> None:
    items, link, _pages = follow(graph, "/mailFolders/delta")
    assert "Inbox" in [item["displayName"] for item in items]
    assert follow(graph, link)[0] == []
    made = graph.post("/mailFolders", json={"displayName": "Clientes"}).json()["id"]
    (new,), link, _pages = follow(graph, link)
    assert new["displayName"] == "Clientes"
    graph.patch(f"/mailFolders/{made}", json={"displayName": "Contas"})
    (renamed,), link, _pages = follow(graph, link)
    assert renamed["displayName"] == "Contas"
    graph.delete(f"/mailFolders/{made}")
    (gone,), _link, _pages = follow(graph, link)
    assert gone == {"id": made, "@removed": {"reason": "deleted"}}
