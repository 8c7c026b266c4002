"""Writing from the shell: `send` queues exactly what it was given or nothing; `compose` trusts a link with nothing."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crmmail import config, mailboxes
from crmmail.cli import build_parser, main
from crmmail.mail.parse import parse
from crmmail.shell_compose import asked_for
from crmmail.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> config.Profile:
    can = {name: replace(one, send=True) for name, one in mailboxes.CAPABILITIES.items()}
    monkeypatch.setattr(mailboxes, "CAPABILITIES", can)
    place = config.profile().make()
    with config.update(place) as settings:
        settings.mailboxes["work"] = config.MailboxSettings(provider="gmail", address="eu@nos.example")
        settings.mailboxes["corp"] = config.MailboxSettings(provider="outlook", address="eu@corp.example")
    return place


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str, text: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_send_queues_the_text_of_standard_input_with_its_files(place: config.Profile, run: Run, tmp_path: Path) -> None:
    report = tmp_path / "Relatório 1.txt"
    report.write_bytes(b"linha\n")
    arguments = ["send", "--to", "Ana <ana@x.example>, b@x.example", "--bcc", "c@x.example", "--subject", "Olá"]
    code, out, err = run(*arguments, "--attach", str(report), "--json", text="Segue em anexo.\r\nAté logo\n")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["to"] == ["ana@x.example", "b@x.example", "c@x.example"]
    assert told["state"] == "queued"
    with Store.open(place.data_dir) as store:
        mime = store.mime(told["outgoing"])
        assert store.drafts() == []
    read = parse(mime)
    assert read.body.text.rstrip() == "Segue em anexo.\nAté logo"
    assert read.headers.sender.email == "eu@nos.example"
    assert [one.name for one in read.body.attachments] == ["Relatório 1.txt"]


def test_the_outbox_shows_states_and_takes_answers(place: config.Profile, run: Run) -> None:
    run("send", "--to", "ana@x.example", "--subject", "Olá", text="Oi")
    entry = json.loads(run("outbox", "--json")[1])[0]
    assert (entry["subject"], entry["state"], entry["error"]) == ("Olá", "queued", None)
    line = run("outbox")[1]
    assert line.split("\t")[:5] == ["#1", "work", "send", "queued", "ana@x.example"]
    assert run("outbox", "--cancel", "1")[0] == 0
    assert json.loads(run("outbox", "--json")[1])[0]["state"] == "cancelled"
    with Store.open(place.data_dir) as store:
        assert [draft.subject for draft in store.drafts()] == ["Olá"]
    code, _out, err = run("outbox", "--resend", "1")
    assert code != 0
    assert err.strip()


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["--to", "ana@x.example"], "Oi", "--yes"),
        (["--to", "nobody", "--subject", "x"], "Oi", "not a valid address"),
        (["--subject", "x"], "Oi", "no recipient"),
        (["--to", "a@x.example", "--subject", "x", "--attach", "/no/such/file"], "Oi", "no file"),
        (["--to", "a@x.example", "--subject", "x", "--from", "other@x.example"], "Oi", "not one of your addresses"),
        (["--to", "a@x.example", "--subject", "x"], "Dear {first_name},", "not been filled in"),
        (["--to", "a@x.example", "--subject", "x"], "See attached.", "nothing is attached"),
        (["--to", "a@x.example\r\nBcc: evil@x.example", "--subject", "x"], "", "--yes"),
    ],
)
def test_what_is_not_in_order_is_a_sentence_and_nothing_is_queued(
    place: config.Profile, run: Run, arguments: list[str], text: str, said: str
) -> None:
    code, out, err = run("send", *arguments, text=text)
    assert code == 2
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    with Store.open(place.data_dir) as store:
        assert store.outgoing() == []
        assert store.drafts() == []


def test_yes_sends_although_something_seems_to_be_missing(place: config.Profile, run: Run) -> None:
    code, _out, err = run("send", "--to", "a@x.example", "--yes", text="See attached.")
    assert code == 0
    assert "#1" in err


def test_the_sender_is_chosen_by_address_or_mailbox(place: config.Profile, run: Run) -> None:
    for wish in ("eu@corp.example", "corp"):
        code, out, _err = run("send", "--to", "a@x.example", "--subject", "x", "--from", wish, "--json", text="Oi")
        assert code == 0
        assert json.loads(out)["mailbox"] == "corp"


def test_without_a_mailbox_nothing_can_be_queued(run: Run) -> None:
    code, _out, err = run("send", "--to", "a@x.example", "--subject", "x", text="Oi")
    assert code == 2
    assert "crmmail connect" in err


def test_a_mailto_link_sets_people_subject_and_text_and_never_a_file() -> None:
    link = "mailto:ana@x.example?cc=b@x.example&subject=Ol%C3%A1&body=Um%0D%0Adois&attach=/etc/passwd&from=e@x.example"
    draft, notice = asked_for(build_parser().parse_args(["compose", link]))
    assert [one.email for one in (*draft.to, *draft.cc)] == ["ana@x.example", "b@x.example"]
    assert (draft.subject, draft.text) == ("Olá", "Um\ndois")
    assert draft.enclosures == ()
    assert draft.sender == ""
    assert "attach" in notice


def test_options_join_what_the_link_says(tmp_path: Path) -> None:
    body = tmp_path / "body.txt"
    body.write_bytes("\ufeffTexto\r\n".encode())
    arguments = ["compose", "mailto:a@x.example", "--to", "b@x.example; c@x.example", "--body-file", str(body)]
    draft, notice = asked_for(build_parser().parse_args(arguments))
    assert [one.email for one in draft.to] == ["a@x.example", "b@x.example", "c@x.example"]
    assert (draft.text, notice) == ("Texto", "")


@pytest.mark.parametrize(
    "arguments", [["compose"], ["compose", "https://x.example"], ["compose", "--to", "a@x.example"]]
)
def test_compose_without_a_terminal_is_one_sentence(run: Run, arguments: list[str]) -> None:
    code, _out, err = run(*arguments)
    assert code == 2
    assert "crmmail send" in err


def test_compose_opens_on_an_empty_profile_shows_the_link_and_keeps_the_draft(tmp_path: Path) -> None:
    """In a real terminal, the text from a pipe: the composer stands, says what is missing, and Esc keeps the draft."""
    environment = {
        **os.environ,
        "CRMMAIL_HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "LINES": "30",
    }
    leader, follower = pty.openpty()
    url = "mailto:ana@x.example?subject=From%20a%20link"
    process = subprocess.Popen(
        [sys.executable, "-m", "crmmail", "--lang", "en", "compose", url],
        stdin=follower, stdout=follower, stderr=follower, env=environment, close_fds=True, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    try:
        assert b"From a link" in _output_until(leader, b"From a link", 30)
        os.write(leader, b"\x1b")
        _output_until(leader, b"Draft saved: you will find it in Drafts", 10)
        os.write(leader, b"\x11")
        process.wait(15)
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    with Store.open(tmp_path / "default" / "data") as store:
        assert [(draft.subject, draft.to[0].email) for draft in store.drafts()] == [("From a link", "ana@x.example")]


def _output_until(handle: int, words: bytes, seconds: float) -> bytes:
    """What the terminal was sent until `words` stand in it."""
    found, ends = b"", time.monotonic() + seconds
    while words not in found and time.monotonic() < ends:
        if select.select([handle], [], [], 0.2)[0]:
            try:
                found += os.read(handle, 65536)
            except OSError:
                break
    return found
