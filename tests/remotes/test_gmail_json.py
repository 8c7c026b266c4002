"""Gmail's JSON and its batch format, as recorded shapes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmmail import ops
from crmmail.model import Delta, State, Wish
from crmmail.remotes import gmail_batch, gmail_json
from crmmail.remotes.gmail_json import Place

RAW = b"Subject: Ol\xc3\xa1\r\n\r\n\xff\xfe?"


@pytest.mark.parametrize("padding", [True, False])
def test_a_message_is_read_whole(padding: bool) -> None:
    raw = base64.urlsafe_b64encode(RAW).decode()
    message = {
        "id": "18c2f",
        "threadId": "18c2e",
        "labelIds": ["INBOX", "UNREAD", "STARRED", "IMPORTANT", "CATEGORY_UPDATES", "YELLOW_STAR", "CHAT", "Label_7"],
        "snippet": "Don&#39;t &lt;b&gt;",
        "historyId": "99",
        "internalDate": "1700000000123",
        "sizeEstimate": 42,
        "raw": raw if padding else raw.rstrip("="),
    }
    incoming = gmail_json.incoming(message)
    assert incoming.raw == RAW
    assert incoming.state == State(frozenset({"inbox", "x:Label_7"}), unread=True, starred=True)
    assert (incoming.received_ms, incoming.size, incoming.remote_thread) == (1_700_000_000_123, 42, "18c2e")
    assert incoming.snippet == "Don't <b>"


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"raw": "a"},
        {"raw": 3},
        {"internalDate": "soon", "sizeEstimate": None, "labelIds": None, "snippet": None},
        {"labelIds": [1, None, "INBOX"]},
        {"payload": {"headers": [{"name": "Subject"}, "x", None]}},
    ],
)
def test_a_message_with_odd_fields_is_no_crash(odd: dict[str, Any]) -> None:
    incoming = gmail_json.incoming({"id": "1"} | odd)
    assert incoming.remote_id == "1"
    assert incoming.raw is None


@pytest.mark.parametrize(
    "place",
    [Place("12"), Place("12", True), Place("12", True, "token", 30, 500, True)],
)
def test_a_place_survives_being_a_cursor(place: Place) -> None:
    assert gmail_json.load_place(gmail_json.dump_place(place)) == place


@pytest.mark.parametrize(
    ("delta", "add", "remove"),
    [
        (Delta(unread=False), set(), {"UNREAD"}),
        (Delta(unread=True, starred=True), {"UNREAD", "STARRED"}, set()),
        (Delta(starred=False), set(), {"STARRED"}),
        (Delta(add=frozenset({"trash"}), remove=frozenset({"inbox", "spam"})), {"TRASH"}, {"INBOX", "SPAM"}),
        (Delta(remove=frozenset({"inbox"})), set(), {"INBOX"}),
        (Delta(add=frozenset({"x:Label_1", "sent", "drafts", "archive"})), {"Label_1"}, set()),
        (Delta(move="spam"), {"SPAM"}, {"INBOX", "Label_2"}),
        (Delta(), set(), set()),
    ],
)
def test_a_wish_becomes_labels_that_may_be_set(delta: Delta, add: set[str], remove: set[str]) -> None:
    base = State(frozenset({"inbox", "sent", "x:Label_2"}))
    assert gmail_json.wanted_labels(Wish("1", delta, base)) == (add, remove)


LABELS = ["INBOX", "UNREAD", "STARRED", "TRASH", "Label_1"]
CHANGES = st.lists(st.tuples(st.booleans(), st.sampled_from(LABELS)), min_size=1, max_size=8)


@given(
    start=st.sets(st.sampled_from(LABELS)), changes=CHANGES, told=st.sampled_from(["then", "now", "never", "filled"])
)
def test_history_ends_in_the_servers_state_however_it_fills_in_labels(
    start: set[str], changes: list[tuple[bool, str]], told: str
) -> None:
    """`labelIds` as at the event, as they are today, left out, or left out when there are none."""
    labels = set(start)
    records = []
    for number, (added, label) in enumerate(changes):
        (labels.add if added else labels.discard)(label)
        message: dict[str, Any] = {"id": "m", "threadId": "t"}
        if told in ("then", "filled") and (labels or told == "then"):
            message["labelIds"] = sorted(labels)
        name = "labelsAdded" if added else "labelsRemoved"
        records.append({"id": str(number), name: [{"message": message, "labelIds": [label]}]})
    if told == "now":
        for record in records:
            for items in (record.get("labelsAdded"), record.get("labelsRemoved")):
                for item in items or ():  # type: ignore[attr-defined]
                    item["message"]["labelIds"] = sorted(labels)
    patch = gmail_json.events_of({"history": records})["m"].patch()
    base = patch.state or gmail_json.state_of(start)
    assert (ops.apply(base, patch.delta) if patch.delta else base) == gmail_json.state_of(labels)


def test_history_folds_coming_and_going() -> None:
    def record(name: str, message: str) -> dict[str, Any]:
        return {"id": "1", name: [{"message": {"id": message}}], "messages": [{"id": message}]}

    events = gmail_json.events_of(
        {
            "history": [
                record("messagesAdded", "a"),
                record("messagesDeleted", "a"),
                record("messagesDeleted", "b"),
                record("messagesAdded", "b"),
                {"id": "5", "messages": [{"id": "c"}]},
                {"id": "6", "labelsAdded": [{"message": {}}, {}]},
            ]
        }
    )
    assert {name: event.gone for name, event in events.items()} == {"a": True, "b": False}
    assert gmail_json.events_of({}) == {}


def test_ids_of_a_list_come_once_and_in_order() -> None:
    answer = {"messages": [{"id": "2"}, {"id": "1"}, {"id": "2"}, {}, None]}
    assert gmail_json.ids_in(answer) == ["2", "1"]
    assert gmail_json.ids_in({"resultSizeEstimate": 0}) == []


# The batch format

ANSWER = (
    b"preamble\r\n--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-part1>\r\n\r\n"
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Type: application/json\r\n\r\n"
    b'{"error": {"code": 429}}\r\n\r\n'
    b"--batch_x\r\nContent-Type: application/http\r\nContent-ID: response-part0\r\n\r\n"
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "a"}\r\n'
    b"--batch_x\r\nContent-Type: application/http\r\nContent-ID: <response-part2>\r\n\r\n"
    b"HTTP/1.1 204 No Content\r\n\r\n\r\n"
    b"--batch_x--\r\n"
)


def test_a_batch_answer_is_matched_by_its_ids_in_any_order() -> None:
    answers = gmail_batch.answers('multipart/mixed; boundary="batch_x"', ANSWER)
    assert {number: answer.status for number, answer in answers.items()} == {0: 200, 1: 429, 2: 204}
    assert answers[1].headers["retry-after"] == "7"
    assert json.loads(answers[0].body) == {"id": "a"}


@pytest.mark.parametrize("cut", range(0, len(ANSWER) - 4, 7))
def test_a_batch_answer_that_was_cut_tells_only_its_whole_parts(cut: int) -> None:
    answers = gmail_batch.answers("multipart/mixed; boundary=batch_x", ANSWER[:cut])
    whole = gmail_batch.answers("multipart/mixed; boundary=batch_x", ANSWER)
    assert all(whole[number].body.startswith(answer.body) for number, answer in answers.items())
    assert all(answer == whole[number] for number, answer in answers.items())


@pytest.mark.parametrize("kind", ["", "text/html", "multipart/mixed", "multipart/mixed; boundary=other"])
def test_what_is_no_batch_answer_has_no_parts(kind: str) -> None:
    assert gmail_batch.answers(kind, ANSWER) == {}
