"""The sandbox before clients we did not write: Google's and Microsoft's own libraries, each in its own environment.

Off unless CRMMAIL_CLIENT_TESTS names them: `google` (small), `graph` (473 MB installed), or `1` for all. The
environments are made once, in CRMMAIL_CLIENT_ENVIRONMENTS or a temporary directory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from crmmail.sandbox import Sandbox
from crmmail.sandbox.mailbox import Mailbox
from tests.sandbox.conftest import ANA, BRUNO, MAIL, MODIFY, fill

WANTED = set(os.environ.get("CRMMAIL_CLIENT_TESTS", "").split(","))
HERE = Path(__file__).parent


def wanted(name: str) -> pytest.MarkDecorator:
    """Run only when asked for."""
    return pytest.mark.skipif(not WANTED & {"1", name}, reason=f"CRMMAIL_CLIENT_TESTS does not name {name}")


def environment(package: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has `package`."""
    root = Path(os.environ.get("CRMMAIL_CLIENT_ENVIRONMENTS") or tmp_path_factory.mktemp("environments")) / package
    python = root / "bin" / "python"
    if not python.exists():
        venv.create(root, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", package], check=True, timeout=600)
    return python


def run(python: Path, script: str, *arguments: str) -> dict[str, Any]:
    """What the script saw."""
    ended = subprocess.run([python, HERE / script, *arguments], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-3000:]
    seen = dict(json.loads(ended.stdout))
    sys.stderr.write(f"{script}: {seen.pop('version')}\n")
    return seen


@wanted("google")
def test_googles_client_works_on_it(sandbox: Sandbox, ana: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    ids = fill(ana, 30, unread=True)
    python = environment("google-api-python-client", tmp_path_factory)
    seen = run(python, "google_client.py", sandbox.http_url, sandbox.grants.issue(ANA, MODIFY), ANA)
    assert seen == {
        "address": ANA,
        "listed": 30,
        "raw_starts": "From:",
        "subject": "Mensagem 29",
        "batch": [200] * 25 + [429] * 5,
        "untrashed": ["UNREAD"],
        "delete": 403,
        "delete_reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "draft_kept_its_id": True,
        "sent_labels": ["INBOX", "SENT", "UNREAD"],
        "message_id_kept": False,
        "uploaded_multipart": ["INBOX"],
        "uploaded_resumable": ["INBOX"],
        "history": ["labelsAdded", "labelsRemoved", "messagesAdded", "messagesDeleted"],
        "old_history": 404,
        "labels": True,
        "aliases": [ANA],
    }
    assert ana.state()[ids[-1]]["labels"] == ["INBOX", "STARRED"]
    assert len(sandbox.ledger.sends(ANA)) == 1
    assert sandbox.ledger.failures == []


@wanted("graph")
def test_microsofts_client_works_on_it(
    sandbox: Sandbox, bruno: Mailbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids = fill(bruno, 25, unread=True)
    python = environment("msgraph-sdk", tmp_path_factory)
    seen = run(python, "graph_client.py", sandbox.http_url, sandbox.grants.issue(BRUNO, MAIL))
    assert seen.pop("folders") == sorted(
        ["Archive", "Conversation History", "Deleted Items", "Drafts", "Inbox", "Junk Email", "Outbox", "Sent Items"]
    )
    assert seen == {
        "address": BRUNO,
        "listed": 25,
        "first_round": 25,
        "subject": "Mensagem 24",
        "mime_starts": "From:",
        "read": True,
        "id_survives_move": True,
        "reply": ["RE:", True],
        "attachments": ["a.txt"],
        "sent": True,
        "removed": [True, True],
        "missing": [404, "ErrorItemNotFound"],
    }
    assert bruno.state()[ids[-1]]["folder"] == bruno.place("archive").id
    assert [entry.detail["recipients"] for entry in sandbox.ledger.sends(BRUNO)] == [["outra@example.net"]]
    assert sandbox.ledger.failures == []
