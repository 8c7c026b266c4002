"""Accounts in the shell: found, shown, imported, exported, linked; documented JSON and exit codes."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from crmmail import config
from tests.test_cli import Run, filled, place, run

__all__ = ["filled", "place", "run"]
CSV = "Empresa;Domínio;Nome;E-mail;Telefone\nCliente Um;cliente1.example;Ana;ana@cliente1.example;+55 11\nOutra;;;;\n"


@pytest.fixture
def imported(filled: config.Profile, run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "clientes.csv"
    path.write_text(CSV, encoding="cp1252")
    code, _out, err = run("crm", "import", str(path))
    assert (code, err) == (0, "")
    return path


def told(run: Run, *arguments: str, code: int = 0) -> Any:
    found, out, err = run(*arguments, "--json")
    assert (found, err) == (code, "")
    return json.loads(out)


def test_an_import_says_what_it_does_and_undo_takes_it_back(filled: config.Profile, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV + ";;;not an address;\n")
    dry = told(run, "crm", "import", str(path), "--dry-run")
    assert (dry["accounts"], dry["skipped"], dry["act"]) == ({"new": 2, "changed": 0}, 1, None)
    assert told(run, "accounts")["count"] == 0
    done = told(run, "crm", "import", str(path))
    assert done["reasons"][0]["row"] == 4
    assert told(run, "accounts")["count"] == 2
    assert run("undo")[0] == 0
    assert told(run, "accounts")["count"] == 0


def test_accounts_are_found_and_shown_with_people_and_mail(imported: Path, run: Run) -> None:
    found = told(run, "accounts", "cliente1.ex")
    (account,) = found["accounts"]
    assert (account["name"], account["messages"], account["unread"]) == ("Cliente Um", 1, 1)
    whole = told(run, "account", "cliente um")
    assert whole["id"] == account["id"]
    assert whole["contacts"][0]["addresses"] == ["ana@cliente1.example"]
    assert whole["timeline"][0]["links"][0]["reason"] == "address"
    code, out, _err = run("account", account["id"])
    assert code == 0
    assert "ana@cliente1.example" in out
    assert run("accounts", "nobody")[0] == 1


def test_mail_to_classify_is_listed_and_linked_and_unlinked(imported: Path, run: Run) -> None:
    before = told(run, "classify")
    message = str(before["messages"][0]["id"])
    dry = told(run, "link", message, "--account", "outra", "--dry-run")
    assert dry["changed"] is False
    assert told(run, "classify")["count"] == before["count"]
    done = told(run, "link", message, "--account", "outra", "--scope", "domain")
    assert done["messages"][0]["links"][0]["reason"] == "manual"
    assert told(run, "classify")["count"] == before["count"] - 1
    code, out, _err = run("link", message, "--account", "outra", "--scope", "domain")
    assert (code, out) == (1, "It belongs there already.\n"), "nothing is said to have been done"
    undone = told(run, "unlink", message, "--account", "outra", "--scope", "domain")
    assert undone["messages"][0]["state"] == "queued"


def test_what_is_exported_can_be_imported_again_and_is_for_its_owner_only(
    imported: Path, run: Run, tmp_path: Path
) -> None:
    for name in ("out.csv", "out.vcf"):
        path = tmp_path / name
        assert run("crm", "export", str(path))[0] == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = told(run, "crm", "import", str(path))
        assert (again["accounts"]["new"], again["contacts"]["new"]) == (0, 0)
    assert "'+55 11" in (tmp_path / "out.csv").read_text("utf-8-sig")
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("account", "nobody"), "“nobody” finds no account."),
        (("crm", "export", "/nonexistent/x.csv", "--dry-run"), "cannot be written"),
        (("link", "1", "--account", "outra"), "no message 1"),
        (("crm", "import", "/nonexistent.csv"), "cannot be read"),
        (("crm", "export", "/nonexistent/x.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_a_code(
    imported: Path, run: Run, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_how_far_an_import_is_stands_on_a_line_that_gives_way_to_the_answer(
    filled: config.Profile, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.csv"
    path.write_text("Empresa\n" + "".join(f"Cliente {number}\n" for number in range(1200)))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    code, out, err = run("crm", "import", str(path))
    assert code == 0
    assert "1000 rows…" in err
    assert err.endswith("\r\033[K"), "nothing of it is left in front of the answer"
    assert out.startswith("Took over 1200 new")
    assert "rows" not in run("crm", "import", str(path), "--json")[2]


def test_what_was_mended_is_said_once_and_beside_the_answer(imported: Path, filled: config.Profile, run: Run) -> None:
    desk = sqlite3.connect(filled.data_dir / "desk.db")
    desk.execute("UPDATE act SET state = 'running' WHERE kind = 'import'")
    desk.commit()
    desk.close()
    code, out, err = run("accounts", "--json")
    assert (code, json.loads(out)["count"]) == (0, 0)
    assert err == "An import that broke off is taken back: nothing of it stays.\n"
    assert run("accounts", "--json")[2] == ""
