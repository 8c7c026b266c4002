"""`crmmail demo` in a real terminal: mail at once, a server behind it, and nothing left when it is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from crmmail.sandbox import serve
from crmmail.sandbox.mailbox import Refused
from tests.tty.terminal import Terminal

CRMMAIL = str(Path(sys.executable).with_name("crmmail"))
LIMIT = 60.0


class Demo(Terminal):
    """The demo with a temporary folder of its own, which is empty again when everything was cleared away."""

    def __init__(self, tmp_path: Path, *options: str) -> None:
        self.temporary = tmp_path / "temporary"
        self.temporary.mkdir()
        environment = {"TMPDIR": str(self.temporary), "COLUMNS": "120", "LINES": "36"}
        super().__init__([CRMMAIL, "demo", *options], columns=120, rows=36, environment=environment)

    def sandboxes(self) -> list[int]:
        """The process ids of sandboxes that belong to this demo."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"crmmail.sandbox.serve" in words and any(str(self.temporary).encode() in word for word in words):
                found.append(int(path.parent.name))
        return found

    def leave(self) -> int:
        self.type("ctrl+q")
        return self.wait_for_end()


def until(holds: Callable[[], bool], limit: float = 15.0) -> bool:
    end = time.monotonic() + limit
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def mail(path: Path, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "Bia <bia@cedro.example>", subject
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 -0300"
    message.set_content("texto")
    path.write_bytes(bytes(message))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up in /proc")
def test_it_signs_in_by_itself_fills_two_mailboxes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Demo(tmp_path, "--messages", "120") as demo:
        demo.wait_for("All inboxes", LIMIT)
        demo.wait_for(r"Gmail[\s\S]*Synced[\s\S]*Outlook[\s\S]*Synced", LIMIT)
        assert demo.sandboxes()
        assert "Traceback" not in demo.text
        assert demo.leave() == 0
        assert until(lambda: not demo.sandboxes())
        assert list(demo.temporary.iterdir()) == []
    assert list(Path(os.environ["HOME"]).iterdir()) == [], "nothing of it touches the user's own profile"


def test_its_crm_is_connected_by_itself_and_tells_whose_mail_it_is(tmp_path: Path) -> None:
    with Demo(tmp_path, "--messages", "60") as demo:
        demo.wait_for(r"Accounts +150", LIMIT)
        demo.type("ctrl+p", *"connect a crm".replace(" ", "\x20"), "enter")
        demo.wait_for("SharpSpring", LIMIT)
        demo.type("escape")
        assert demo.leave() == 0


def test_a_refused_operation_comes_back_with_the_servers_sentence(tmp_path: Path) -> None:
    with Demo(tmp_path, "--messages", "60") as demo:
        demo.wait_for(r"Gmail[\s\S]*Synced[\s\S]*Outlook[\s\S]*Synced", LIMIT)
        demo.type("*", "a", "d")
        demo.wait_for("server refused", LIMIT)
        assert "retention hold" in demo.text
        assert demo.leave() == 0


def test_offline_it_shows_a_filled_copy_without_any_server(tmp_path: Path) -> None:
    with Demo(tmp_path, "--offline", "--messages", "80") as demo:
        text = demo.wait_for(r"Offline", LIMIT)
        assert "80" in bytes(demo.raw).decode("utf-8", "replace")
        assert " message" in text
        assert demo.sandboxes() == []
        assert demo.leave() == 0
        assert list(demo.temporary.iterdir()) == []


def test_ones_own_mail_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / "mail" / "deep"
    folder.mkdir(parents=True)
    for subject in ("Primeira carta", "Segunda carta"):
        mail(folder / f"{subject}.eml", subject)
    with Demo(tmp_path, "--messages", "0", "--mail", str(tmp_path / "mail")) as demo:
        demo.wait_for(r"Primeira carta", LIMIT)
        demo.wait_for(r"Segunda carta", LIMIT)
        assert demo.leave() == 0
        assert list(demo.temporary.iterdir()) == []


def test_mail_that_is_not_there_is_a_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Demo(tmp_path, "--mail", str(tmp_path / "nowhere")) as demo:
        assert demo.wait_for_end(LIMIT) == 2
        assert "cannot be read" in " ".join(demo.text.split())
        assert "Traceback" not in demo.text
        assert list(demo.temporary.iterdir()) == []


def test_when_the_demo_is_killed_its_sandbox_goes_and_takes_the_profile_along(tmp_path: Path) -> None:
    with Demo(tmp_path, "--messages", "20") as demo:
        demo.wait_for("All inboxes", LIMIT)
        assert until(lambda: bool(demo.sandboxes()))
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait_for_end()
        assert until(lambda: not demo.sandboxes())
        assert until(lambda: list(demo.temporary.iterdir()) == [])


def test_without_a_terminal_it_says_so() -> None:
    done = subprocess.run([CRMMAIL, "demo"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


def test_one_read_message_among_the_ten_newest_refuses_every_change() -> None:
    sandbox = serve._sandbox(0)
    serve.populate(sandbox, 200)
    subject = serve.refuse_one(sandbox)
    mailbox = sandbox.mailbox(serve.GMAIL.email)
    newest = [message for message in mailbox.newest_first() if "INBOX" in message.labels][: serve.REFUSED_AMONG]
    refused = []
    for message in newest:
        try:
            mailbox.modify(message.key, remove=["INBOX"])
        except Refused as error:
            refused.append((message, str(error)))
    assert subject
    assert [sentence for _message, sentence in refused] == [serve.HOLD]
    assert "UNREAD" not in refused[0][0].labels, "opening it must not already be refused"


def test_mail_goes_on_arriving_in_both_mailboxes() -> None:
    sandbox, ended = serve._sandbox(0), threading.Event()
    pouring = threading.Thread(target=serve._arrive, args=(sandbox, 1, 0.01, ended), daemon=True)
    pouring.start()
    boxes = [sandbox.mailbox(owner.email) for owner in (serve.GMAIL, serve.OUTLOOK)]
    assert until(lambda: all(len(box.messages) >= 2 for box in boxes))
    ended.set()
    pouring.join(5)
    for box in boxes:
        assert all("UNREAD" in message.labels for message in box.messages.values())


def test_furnishing_keeps_places_labels_stars_and_threads() -> None:
    sandbox = serve._sandbox(0)
    serve.populate(sandbox, 500)
    gmail, outlook = (sandbox.mailbox(owner.email) for owner in (serve.GMAIL, serve.OUTLOOK))
    assert (len(gmail.messages), len(outlook.messages)) == (300, 200)
    labels = {place.name for place in gmail.places.values() if not place.system}
    folders = {place.name for place in outlook.places.values() if not place.system}
    assert "Clientes" in labels
    assert folders <= labels, "a folder of Outlook is made only for what is in it"
    assert any("STARRED" in message.labels for message in gmail.messages.values())
    assert not any("STARRED" in message.labels for message in outlook.messages.values())
    threads = [message.thread_key for message in gmail.messages.values() if message.thread_key]
    assert len(set(threads)) < len(threads)
