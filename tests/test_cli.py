"""The same verbs in the shell: stable ids, documented JSON, exit codes, one sentence when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crmmail import cli, config, model
from crmmail.cli import main
from crmmail.store import Store

Run = Callable[..., tuple[int, str, str]]


def raw(number: int, body: str = "Segue a proposta.") -> bytes:
    return (
        f"From: Ana Souza <ana@cliente{number}.example>\r\nTo: eu@nos.example\r\n"
        f"Subject: Proposta {number}\r\nMessage-ID: <m{number}@cliente.example>\r\n"
        f"Date: Sun, 22 Nov 2026 10:{number % 60:02}:00 +0000\r\n\r\n{body}\r\n"
    ).encode()


@pytest.fixture
def place() -> config.Profile:
    place = config.profile().make()
    with config.update(place) as settings:
        settings.mailboxes["work"] = config.MailboxSettings(provider="gmail", address="eu@nos.example")
        settings.mailboxes["corp"] = config.MailboxSettings(provider="outlook", address="eu@corp.example")
    return place


@pytest.fixture
def filled(place: config.Profile) -> config.Profile:
    from crmmail import mailboxes

    store = Store.open(place.data_dir)
    mailboxes.register(store, config.load(place))
    for name in ("work", "corp"):
        folders = tuple(
            model.Folder(name, key, model.Role(key), key.title(), key.upper())
            for key in ("inbox", "drafts", "sent", "trash")
        )
        incoming = tuple(
            model.Incoming(f"r{n}", model.State(frozenset({"inbox"}), unread=True), 1_795_000_000_000 + n, raw(n))
            for n in range(1, 6)
        )
        store.ingest(name, model.Page("c1", incoming, folders=folders, complete=True))
    store.close()
    return place


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def listed(run: Run, *arguments: str) -> list[dict[str, object]]:
    code, out, _ = run("list", "--json", *arguments)
    assert code == 0
    found: list[dict[str, object]] = json.loads(out)
    return found


def test_list_is_newest_first_and_speaks_json(filled: config.Profile, run: Run) -> None:
    rows = listed(run, "--mailbox", "work")
    assert [row["subject"] for row in rows] == [f"Proposta {n}" for n in (5, 4, 3, 2, 1)]
    assert rows[0]["from"] == {"name": "Ana Souza", "email": "ana@cliente5.example"}
    assert rows[0]["unread"] is True
    assert rows[0]["received"].endswith("Z")  # type: ignore[attr-defined]


def test_list_without_a_mailbox_is_all_inboxes(filled: config.Profile, run: Run) -> None:
    assert len(listed(run)) == 10
    assert len(listed(run, "--limit", "3")) == 3


def test_ids_fit_a_double_so_that_json_readers_keep_them(filled: config.Profile, run: Run) -> None:
    assert all(int(row["id"]) < 2**53 for row in listed(run))  # type: ignore[call-overload]


def test_show_gives_text_json_and_the_bytes_as_received(
    filled: config.Profile, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    identifier = str(listed_binary(capfdbinary)[0]["id"])
    assert main(["show", identifier, "--raw"]) == 0
    assert capfdbinary.readouterr().out == raw(5)
    assert main(["show", identifier, "--json"]) == 0
    shown = json.loads(capfdbinary.readouterr().out)
    assert shown["message_id"] == "<m5@cliente.example>"
    assert "Segue a proposta." in shown["text"]
    assert main(["show", identifier]) == 0
    assert b"Subject: Proposta 5" in capfdbinary.readouterr().out


def listed_binary(capture: pytest.CaptureFixture[bytes]) -> list[dict[str, object]]:
    assert main(["list", "--json", "--mailbox", "work"]) == 0
    found: list[dict[str, object]] = json.loads(capture.readouterr().out)
    return found


def test_trash_undo_and_redo_are_durable_between_calls(filled: config.Profile, run: Run) -> None:
    identifier = str(listed(run, "--mailbox", "work")[0]["id"])
    code, out, _ = run("trash", identifier, "--json")
    assert code == 0
    assert json.loads(out)["count"] == 1
    assert len(listed(run, "--mailbox", "work")) == 4
    assert [str(row["id"]) for row in listed(run, "--mailbox", "work", "--folder", "trash")] == [identifier]
    assert run("undo")[0] == 0
    assert len(listed(run, "--mailbox", "work")) == 5
    assert run("redo")[0] == 0
    assert len(listed(run, "--mailbox", "work")) == 4
    assert run("recover", identifier)[0] == 0
    assert len(listed(run, "--mailbox", "work")) == 5


def test_what_waits_for_the_server_stands_in_the_outbox(filled: config.Profile, run: Run) -> None:
    message = listed(run, "--mailbox", "work")[0]
    run("favorite", str(message["id"]))
    waiting = json.loads(run("outbox", "--json")[1])
    assert [(op["verb"], op["state"], op["mailbox"]) for op in waiting] == [("favorite", "pending", "work")]
    assert waiting[0]["subject"] == message["subject"] != ""
    assert run("outbox")[1] == f"{waiting[0]['act']}\twork\tfavorite\tpending\t{message['subject']}\t\n"


def test_a_verb_that_does_not_apply_does_nothing_and_says_so(filled: config.Profile, run: Run) -> None:
    identifier = str(listed(run, "--mailbox", "corp")[0]["id"])
    code, _, err = run("favorite", identifier)
    assert code == 1
    assert "Nothing to do" in err


def test_permanent_deletion_asks_unless_told(filled: config.Profile, run: Run) -> None:
    identifier = str(listed(run, "--mailbox", "work")[0]["id"])
    run("trash", identifier)
    code, _, err = run("delete", identifier)
    assert code == 2
    assert "--yes" in err
    assert len(listed(run, "--mailbox", "work", "--folder", "trash")) == 1
    assert run("delete", identifier, "--yes")[0] == 0
    assert listed(run, "--mailbox", "work", "--folder", "trash") == []


def test_what_a_verb_did_is_said_as_on_the_screen_with_the_way_back(filled: config.Profile, run: Run) -> None:
    identifier = str(listed(run, "--mailbox", "work")[0]["id"])
    assert run("trash", identifier)[2] == (
        "1 moved to trash. The next synchronisation sends it. `crmmail undo` takes it back.\n"
    )
    assert run("undo")[2] == "Undone: 1 moved to trash. `crmmail redo` does it again.\n"
    assert run("redo")[2] == "Done again: 1 moved to trash. `crmmail undo` takes it back.\n"
    code, _, err = run("--lang", "pt_BR", "unread", identifier)
    assert code == 1
    _, _, err = run("--lang", "pt_BR", "read", identifier)
    assert err.startswith("1 e-mail marcado como lido. A próxima sincronização envia.")


def test_nobody_is_told_that_a_permanent_deletion_can_be_taken_back(filled: config.Profile, run: Run) -> None:
    identifier = str(listed(run, "--mailbox", "work")[0]["id"])
    run("trash", identifier)
    assert run("delete", identifier, "--yes")[2] == (
        "1 deleted permanently. The next synchronisation sends it. This cannot be undone.\n"
    )


def test_a_folder_of_the_mailbox_s_own_is_listed_by_its_key(filled: config.Profile, run: Run) -> None:
    with_label = model.Folder("work", "x:7", model.Role.OTHER, "Clientes", "7")
    store = Store.open(filled.data_dir)
    message = model.Incoming("r9", model.State(frozenset({"x:7"})), 1_795_000_000_009, raw(9))
    store.ingest("work", model.Page("c2", (message,), folders=(with_label,), complete=True))
    store.close()
    assert [row["subject"] for row in listed(run, "--mailbox", "work", "--folder", "x:7")] == ["Proposta 9"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["trash", "12345"],
        ["show", "99"],
        ["list", "--mailbox", "nobody"],
        ["list", "--folder", "nowhere"],
        ["list", "--mailbox", "work", "--folder", "nowhere"],
        ["--lang", "xx", "list"],
        ["list", "--lang", "tlh"],
        ["--profile", "../x", "list"],
        ["undo"],
        ["redo"],
        ["sync", "--once", "--mailbox", "nobody"],
        ["disconnect", "nobody"],
        ["outbox", "--retry", "7"],
        ["show", "abc"],
        ["trash", "-5"],
        ["frobnicate"],
        [],
    ],
)
def test_bad_input_gets_a_sentence_and_no_traceback(filled: config.Profile, run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert code != 0
    assert out == ""
    assert "Traceback" not in err
    assert err.strip()


def test_a_second_program_on_the_profile_may_read_but_not_write(filled: config.Profile, run: Run) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pathlib import Path; from crmmail.store import Store\n"
         "store = Store.open(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()", str(filled.data_dir)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        rows = listed(run, "--mailbox", "work")
        assert len(rows) == 5
        code, _, err = run("trash", str(rows[0]["id"]))
        assert code == 3
        assert "crmmail" in err
    finally:
        holder.communicate("")


def test_an_unusable_profile_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CRMMAIL_HOME", str(tmp_path / "file"))
    code, _, err = run("list")
    assert code == 2
    assert str(tmp_path / "file") in err


def test_the_help_speaks_portuguese(run: Run) -> None:
    code, out, _ = run("--lang", "pt_BR", "--help")
    assert code == 0
    assert "caixa" in out


def test_output_into_a_closed_pipe_ends_quietly(filled: config.Profile) -> None:
    done = subprocess.run(
        f"{sys.executable} -m crmmail list | true", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_opening_without_arguments_means_what_the_parser_would_make_of_them() -> None:
    assert vars(cli.build_parser().parse_args([])) == cli.NOTHING_ASKED
