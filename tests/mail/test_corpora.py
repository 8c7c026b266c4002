"""Other projects' odd and malformed messages: all are read, cleanly and in time, and Stalwart's parser agrees."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmmail.mail import attachments
from crmmail.mail.parse import parse
from tests.mail.surfaces import INVISIBLE, controls, shown
from tests.mail.test_hostile import is_safe_name

NOT_MESSAGES = (".json", ".md", "LICENCE.txt")


def messages(corpora: Path) -> Iterator[Path]:
    for path in sorted(corpora.rglob("*")):
        if path.is_file() and not path.name.endswith(NOT_MESSAGES) and path.parent.name != "hostile":
            yield path


@pytest.fixture
def corpora(shared: Path) -> Path:
    folder = shared / "corpora"
    if not folder.is_dir():
        pytest.skip("the corpora of other projects are not beside this checkout")
    return folder


def test_every_message_of_every_corpus_is_read_clean_and_in_time(corpora: Path) -> None:
    troubles: list[str] = []
    read = Counter[str]()
    for path in messages(corpora):
        raw = path.read_bytes()
        start = time.process_time()
        parsed = parse(raw)
        took = time.process_time() - start
        read[path.relative_to(corpora).parts[0]] += 1
        name = str(path.relative_to(corpora))
        troubles += [f"{name}: {trouble}" for trouble in controls(parsed)]
        if INVISIBLE.search(shown(parsed).where(["list_row", "header_view", "filename"])):
            troubles.append(f"{name}: something invisible")
        if took > 2:
            troubles.append(f"{name}: {took:.1f} s")
        if not all(is_safe_name(item.name) for item in parsed.body.attachments):
            troubles.append(f"{name}: unsafe attachment name")
        for item in parsed.body.attachments:
            attachments.content(raw, item.part)
    print(dict(read))
    assert sum(read.values()) >= 628
    assert troubles == []


def test_an_ordinary_message_costs_less_than_a_millisecond_and_a_half(corpora: Path) -> None:
    ordinary = [raw for path in messages(corpora) if 3_000 < len(raw := path.read_bytes()) < 12_000]
    best = min(_seconds_for(ordinary) for _ in range(3))
    print(f"{len(ordinary)} messages, {1000 * best / len(ordinary):.2f} ms each")
    assert best / len(ordinary) < 0.0015


def _seconds_for(raws: list[bytes]) -> float:
    start = time.process_time()
    for raw in raws:
        parse(raw)
    return time.process_time() - start


# Where we differ from Stalwart's parser on purpose: (message, what) → why.
EXPLAINED = {
    (
        "malformed/012",
        "attachments",
    ): "a line of the outer boundary ends the inner multipart (RFC 2046 §5.1.2): the third "
    "forwarded message, which Stalwart loses, is listed",
}


def test_stalwart_agrees_on_subject_sender_and_attachments(corpora: Path) -> None:
    folder = corpora / "stalwart-mail-parser" / "eml"
    compared, differences = 0, []
    for expected_path in sorted(folder.rglob("*.json")):
        raw = _message_for(expected_path)
        if raw is None:
            continue
        parsed, expected = parse(raw), _expected(json.loads(expected_path.read_text("utf-8")))
        name = str(expected_path.relative_to(folder)).removesuffix(".json").removesuffix(".crlf")
        compared += 3
        if not _same_text(parsed.headers.subject, expected["subject"]):
            differences.append((name, "subject"))
        if parsed.headers.sender.email.lower() != expected["from"].lower():
            differences.append((name, "from"))
        if len(parsed.body.attachments) != expected["attachments"]:
            differences.append((name, "attachments"))
    print(f"{compared - len(differences)}/{compared} agree")
    assert compared >= 300
    assert [difference for difference in differences if difference not in EXPLAINED] == []
    assert len(differences) / compared <= 0.02


def _message_for(expected: Path) -> bytes | None:
    """The message an expectation belongs to; `.crlf.json` is for the same one with CRLF line ends."""
    with_crlf = expected.name.endswith(".crlf.json")
    path = expected.with_name(expected.name.replace(".crlf.json", ".json")).with_suffix(".eml")
    if not path.exists():
        return None
    raw = path.read_bytes()
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if with_crlf else raw


def _expected(oracle: dict[str, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    for header in oracle["parts"][0]["headers"]:
        headers.setdefault(str(header["name"]), header["value"])
    subject = headers.get("subject")
    people = headers.get("from")
    listed: list[dict[str, str]] = []
    if isinstance(people, dict) and "Address" in people:
        address = people["Address"]
        listed = address.get("List") or [one for group in address.get("Group", []) for one in group["addresses"]]
    return {
        "subject": (subject.get("Text") if isinstance(subject, dict) else None) or "",
        "from": (listed[0].get("address") or "") if listed else "",
        "attachments": len(oracle["attachments"]),
    }


def _same_text(ours: str, theirs: str) -> bool:
    """Equal, white space aside. Where Stalwart says U+FFFD for a raw 8-bit letter, ours may have read it."""
    theirs = " ".join(theirs.split())
    if len(ours) != len(theirs):
        return False
    return all(one == other or other == "\ufffd" for one, other in zip(ours, theirs, strict=True))
