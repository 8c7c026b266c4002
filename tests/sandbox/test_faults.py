"""Every fault does what its row says, to the request it is meant for, and to no other."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.faults import KINDS, PRESETS, Fault
from crmmail.sandbox.mailbox import Mailbox
from tests.conftest import SHARED
from tests.sandbox.conftest import ANA, BRUNO, fill

LABELS = "/labels"


@pytest.mark.parametrize("row", ["N01", "N02"])
def test_a_reset_before_the_work_leaves_nothing_done(
    sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox, row: str
) -> None:
    ident = fill(ana, 1)[0]
    sandbox.faults.preset(row, method="POST")
    with pytest.raises((httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
        gmail.post(f"/messages/{ident}/trash")
    assert ana.state()[ident]["labels"] == ["INBOX"]
    assert sandbox.ledger.accepted() == []
    assert gmail.post(f"/messages/{ident}/trash").status_code == 200


def test_a_reset_after_the_work_leaves_it_done(sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox) -> None:
    ident = fill(ana, 1)[0]
    sandbox.faults.add("reset_after", times=1)
    with pytest.raises(httpx.ReadError):
        gmail.post(f"/messages/{ident}/trash")
    assert ana.state()[ident]["labels"] == ["TRASH"]
    assert [entry.effect for entry in sandbox.ledger.accepted()] == ["modify"]


@pytest.mark.parametrize("at", [0, 1, 40, 200])
def test_an_answer_cut_at_a_byte(sandbox: Sandbox, gmail: httpx.Client, at: int) -> None:
    sandbox.faults.preset("N03", at=at)
    with pytest.raises(httpx.RemoteProtocolError):
        gmail.get(LABELS)
    assert gmail.get(LABELS).status_code == 200


def test_json_that_ends_too_soon_in_an_answer_that_does_not(sandbox: Sandbox) -> None:
    sandbox.faults.preset("N04")
    answer = httpx.get(sandbox.http_url + "/gmail/v1/users/me/profile")
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_length_that_promises_too_much(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.faults.preset("N04-length")
    with pytest.raises(httpx.RemoteProtocolError):
        gmail.get(LABELS)


def test_a_page_of_html_with_200(sandbox: Sandbox) -> None:
    sandbox.faults.preset("N04-html")
    answer = httpx.get(sandbox.http_url + "/gmail/v1/users/me/profile")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_bytes_that_come_one_by_one(sandbox: Sandbox) -> None:
    sandbox.faults.preset("N05", seconds=0.01)
    with httpx.stream("GET", sandbox.http_url + "/v1.0/me", timeout=5) as answer:
        assert len(b"".join(answer.iter_raw())) > 50


def test_a_server_that_never_answers(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.faults.preset("N06")
    with pytest.raises(httpx.ReadTimeout):
        gmail.get(LABELS, timeout=0.2)
    assert gmail.get(LABELS).status_code == 200


def test_a_body_without_end(sandbox: Sandbox) -> None:
    sandbox.faults.preset("N07")
    taken = 0
    with httpx.stream("GET", sandbox.http_url + "/v1.0/me", timeout=5) as answer:
        for chunk in answer.iter_raw():
            taken += len(chunk)
            if taken > 3_000_000:
                break
    assert taken > 3_000_000


def test_a_redirect_leads_to_another_host(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.faults.preset("N09", location="http://elsewhere.example/")
    answer = gmail.get(LABELS)
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://elsewhere.example/")


@pytest.mark.parametrize(
    ("row", "after"),
    [("R01", "3"), ("R02", "Wed, 01 Jan 2025 00:00:00 GMT"), ("R02-negative", "-5"), ("R02-absent", None)],
)
def test_too_many_requests_in_every_shape(sandbox: Sandbox, gmail: httpx.Client, row: str, after: str | None) -> None:
    sandbox.faults.preset(row)
    answer = gmail.get(LABELS)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, after)
    assert gmail.get(LABELS).status_code == 200


def test_gmails_rate_limit_is_a_403_with_a_reason(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.faults.preset("R03")
    error = gmail.get(LABELS).json()["error"]
    assert (error["code"], error["errors"][0]["reason"]) == (403, "rateLimitExceeded")


def test_a_burst_of_server_errors_ends(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.faults.preset("R04")
    assert [gmail.get(LABELS).status_code for _ in range(5)] == [500, 502, 503, 504, 200]


@pytest.mark.parametrize("row", ["C01", "C02"])
def test_a_cursor_expires_once(
    sandbox: Sandbox, gmail: httpx.Client, graph: httpx.Client, ana: Mailbox, row: str
) -> None:
    link = graph.get("/mailFolders/inbox/messages/delta").json()["@odata.deltaLink"]
    ask = {
        "C01": lambda: gmail.get("/history", params={"startHistoryId": ana.sequence}),
        "C02": lambda: graph.get(link),
    }
    sandbox.faults.preset(row)
    assert [ask[row]().status_code for _ in range(2)] == [{"C01": 404, "C02": 410}[row], 200]


def pages(client: httpx.Client, most: int = 12) -> list[list[str]]:
    """The ids of each page of the message list, `most` pages at most."""
    found, token = [], ""
    for _ in range(most):
        page = client.get("/messages", params={"maxResults": 4, **({"pageToken": token} if token else {})}).json()
        found.append([one["id"] for one in page.get("messages", [])])
        if not (token := page.get("nextPageToken", "")):
            break
    return found


@pytest.mark.parametrize(
    ("row", "sizes"), [("C04", [4, 4, 4, 2]), ("C04-overlap", [4, 4, 4]), ("C05-empty", [0, 4, 4, 2])]
)
def test_odd_pages_hold_every_message_at_least_once(
    sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox, row: str, sizes: list[int]
) -> None:
    ids = fill(ana, 10)
    sandbox.faults.preset(row, path=r"/messages\?")
    found = pages(gmail)
    assert [len(page) for page in found] == sizes
    assert {one for page in found for one in page} == set(ids)


def test_page_tokens_may_run_in_a_circle(sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox) -> None:
    fill(ana, 10)
    sandbox.faults.preset("C05")
    found = pages(gmail, 5)
    assert all(page == found[0] for page in found)


def test_graphs_lists_can_be_odd_too(sandbox: Sandbox, graph: httpx.Client, bruno: Mailbox) -> None:
    ids = fill(bruno, 12)
    sandbox.faults.add("page_repeat", nth=1)
    sandbox.faults.add("page_empty", nth=2)
    seen, link = [], "/messages?$select=id"
    while link:
        page = graph.get(link).json()
        seen += [one["id"] for one in page["value"]]
        link = page.get("@odata.nextLink", "")
    assert len(seen) > 12
    assert set(seen) == set(ids)


def test_a_message_gone_between_list_and_get(
    sandbox: Sandbox, gmail: httpx.Client, graph: httpx.Client, ana: Mailbox, bruno: Mailbox
) -> None:
    one, other = fill(ana, 1)[0], fill(bruno, 1)[0]
    sandbox.faults.preset("C06")
    assert gmail.get("/messages").status_code == 200
    gone = gmail.get(f"/messages/{one}", params={"format": "raw"})
    assert (gone.status_code, gone.json()["error"]["errors"][0]["reason"]) == (404, "notFound")
    assert gmail.get(f"/messages/{one}").status_code == 200
    sandbox.faults.preset("C06")
    assert graph.get(f"/messages/{other}/$value").json()["error"]["code"] == "ErrorItemNotFound"


def test_something_else_may_happen_first(sandbox: Sandbox, gmail: httpx.Client, ana: Mailbox) -> None:
    key = ana.add(b"Subject: a\r\n\r\nb")
    sandbox.faults.add("act", method="GET", nth=2, call=lambda: ana.modify(key, ("STARRED",)))
    assert [gmail.get(f"/messages/{ana.id_of(key)}").json()["labelIds"] for _ in range(2)] == [
        ["INBOX"],
        ["INBOX", "STARRED"],
    ]


def test_an_accepted_send_may_answer_503(sandbox: Sandbox, graph: httpx.Client) -> None:
    sandbox.faults.preset("S04")
    body = {"message": {"subject": "a", "toRecipients": [{"emailAddress": {"address": ANA}}]}}
    assert graph.post("/sendMail", json=body).status_code == 503
    assert len(sandbox.ledger.sends(BRUNO)) == 1


def test_a_send_may_be_accepted_with_retry_after(sandbox: Sandbox, graph: httpx.Client) -> None:
    sandbox.faults.preset("R05")
    body = {"message": {"subject": "a", "toRecipients": [{"emailAddress": {"address": ANA}}]}}
    answer = graph.post("/sendMail", json=body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "30")


def test_faults_are_chosen_by_number_user_method_and_path(
    sandbox: Sandbox, gmail: httpx.Client, graph: httpx.Client
) -> None:
    sandbox.faults.add("status", status=500, user=ANA, path="labels", nth=(2, 4))
    sandbox.faults.add("status", status=501, every=3, path="profile")
    assert [gmail.get(LABELS).status_code for _ in range(5)] == [200, 500, 200, 500, 200]
    assert [gmail.get("/profile").status_code for _ in range(6)] == [200, 200, 501, 200, 200, 501]
    assert graph.get("/mailFolders").status_code == 200
    sandbox.faults.clear()
    assert [gmail.get("/profile").status_code for _ in range(3)] == [200] * 3


def test_chance_is_the_same_for_the_same_seed(sandbox: Sandbox, gmail: httpx.Client) -> None:
    def run() -> list[int]:
        sandbox.faults.clear()
        sandbox.faults.add("status", probability=0.5, seed=7)
        return [gmail.get("/profile").status_code for _ in range(12)]

    first = run()
    assert first == run()
    assert {200, 503} == set(first)


def test_latency_waits_before_the_work(sandbox: Sandbox, gmail: httpx.Client) -> None:
    sandbox.faults.add("latency", seconds=0.15, times=1)
    began = time.monotonic()
    gmail.get("/profile")
    assert time.monotonic() - began >= 0.15


def test_stopping_does_not_wait_for_a_fault() -> None:
    began = time.monotonic()
    with Sandbox([(ANA, "gmail")]) as sandbox:
        sandbox.faults.add("silent")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(sandbox.http_url + "/x", timeout=0.1)
    assert time.monotonic() - began < 3


def test_a_fault_of_an_unknown_kind_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="is no fault"):
        Fault("gremlins")


def test_every_row_has_a_preset_or_a_reason() -> None:
    path = SHARED / "reference" / "faults.json"
    if not path.exists():
        pytest.skip("the fault list is not beside the checkout")
    elsewhere = {  # what plays them instead
        "N08": "Sandbox(tls=…)",
        "N10": "no name is resolved for 127.0.0.1; Sandbox.pause",
        "A05": "oauth",
        "A06": "oauth",
        "C03": "IMAP",
        "C07": "act",
        "C08": "delta",
        "C09": "history",
        "C10": "clock",
        "C11": "key",
        "S05": "Limits.send_lag",
        "S06": "Limits.graph_rewrites_message_id",
        "S08": "SMTP",
        "S09": "SMTP",
        "S10": "SMTP",
        "S11": "IMAP",
        "S12": "the client alone",
        "S13": "the client alone",
    }
    rows = {row["id"] for row in json.loads(path.read_text()) if row["id"][0] in "NRACS"}
    assert rows - elsewhere.keys() <= PRESETS.keys()
    for options in PRESETS.values():
        assert all(one["kind"] in KINDS and Fault(**one) for one in options)
