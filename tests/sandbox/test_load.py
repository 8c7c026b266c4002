"""Mail that lies somewhere becomes a mailbox, whatever else lies there."""

from __future__ import annotations

import mailbox
import os
from email.message import EmailMessage
from pathlib import Path

import pytest

from crmmail.errors import SettingsError
from crmmail.sandbox import load as load_module
from crmmail.sandbox.load import load

SHARED = Path(os.environ.get("CRMMAIL_SHARED", Path(__file__).parents[3] / "shared"))
CORPORA = SHARED / "corpora"


def message(subject: str, date: str = "Mon, 02 Mar 2026 10:00:00 -0300", body: str = "texto\n") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Bia Lima <bia@cedro.example>"
    mail["Subject"] = subject
    mail["Date"] = date
    mail.set_content(body)
    return mail


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    root = tmp_path / "Maildir"
    box = mailbox.Maildir(root)
    for subject, flags in (("lida", "S"), ("estrela", "FS"), ("lixo", "ST"), ("rascunho", "DS")):
        item = mailbox.MaildirMessage(message(subject))
        item.set_subdir("cur")
        item.set_flags(flags)
        box.add(item)
    box.add(mailbox.MaildirMessage(message("nova")))
    box.add_folder("Sent").add(mailbox.MaildirMessage(message("enviada")))
    box.add_folder("Clientes").add(mailbox.MaildirMessage(message("cliente")))
    (root / "tmp" / "half-written").write_bytes(b"From: nobody\n")
    return root


def by_subject(root: Path) -> dict[str, load_module.Letter]:
    return {line.split()[-1].decode(): letter for letter in load(root).letters for line in letter.raw().splitlines()
            if line.startswith(b"Subject:")}  # fmt: skip


def test_a_maildir_keeps_what_its_flags_say(maildir: Path) -> None:
    found = by_subject(maildir)
    assert len(found) == 7, "seven messages, and not what is still being written in tmp"
    assert [found[name].unread for name in ("lida", "estrela", "nova")] == [False, False, True]
    assert [found[name].starred for name in ("lida", "estrela")] == [False, True]
    assert (found["lixo"].place, found["rascunho"].place, found["enviada"].place) == ("trash", "drafts", "sent")
    assert (found["cliente"].place, found["cliente"].labels) == ("inbox", ("Clientes",))


def test_an_mbox_gives_each_message_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "old-mail"
    box = mailbox.mbox(path)
    item = mailbox.mboxMessage(message("um", body="From here on it is text.\n"))
    item.set_flags("R")
    box.add(item)
    item = mailbox.mboxMessage(message("dois", "Tue, 03 Mar 2026 10:00:00 -0300"))
    item.set_flags("OF")
    box.add(item)
    box.flush()
    newest, oldest = load(path).letters
    assert b"Subject: dois" in newest.raw()
    assert (newest.unread, newest.starred) == (True, True)
    assert (oldest.unread, oldest.starred) == (False, False)
    assert b"\nFrom here on it is text." in oldest.raw()
    assert not oldest.raw().startswith(b"From ")


def test_a_folder_is_searched_to_the_bottom_and_what_is_no_mail_is_told(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "one.eml").write_bytes(bytes(message("um")))
    (deep / "two.txt").write_bytes(bytes(message("dois")))
    (deep / "three").write_bytes(bytes(message("tres")))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (tmp_path / "notes.txt").write_text("just some words\n")
    (tmp_path / "item.msg").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    loaded = load(tmp_path)
    assert len(loaded.letters) == 3
    assert {each.path.name for each in loaded.left_out} == {"picture.png", "notes.txt", "item.msg"}
    assert "3" in loaded.summary


def test_an_unreadable_file_a_dangling_link_and_a_pipe_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "good.eml").write_bytes(bytes(message("um")))
    (tmp_path / "dangling.eml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.eml")
    locked = tmp_path / "locked.eml"
    locked.write_bytes(bytes(message("dois")))
    locked.chmod(0)
    loaded = load(tmp_path)
    left = {each.path.name for each in loaded.left_out}
    assert {"dangling.eml", "pipe.eml"} <= left
    assert len(loaded.letters) + len(left) == 4, "root reads a locked file, everybody else is told"


def test_a_huge_file_is_cut_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "LARGEST", 2000)
    (tmp_path / "huge.eml").write_bytes(bytes(message("um", body="x" * 70 + "\n")) + b"y\n" * 5000)
    loaded = load(tmp_path)
    assert loaded.cut == 1
    assert len(loaded.letters[0].raw()) == 2000


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Received: x; Wed, 04 Mar 2026 08:00:00 +0000\nDate: Mon, 02 Mar 2026 10:00:00 -0300\n", 1_772_611_200_000),
        (b"Received: no date\nDate: Mon, 02 Mar 2026 10:00:00 -0300\n", 1_772_456_400_000),
        (b"Date: Mon, 02 Mar 99999 10:00:00 -0300\n", 1_000_000_000_000),
        (b"Date: Mon, 99 Foo 2026 99:99:99 +9999999999999\n", 1_000_000_000_000),
        (b"Subject: nothing\n", 1_000_000_000_000),
    ],
)
def test_a_message_is_dated_by_its_server_then_its_writer_then_its_file(
    tmp_path: Path, head: bytes, expected: int
) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(head + b"Subject: x\n\nbody\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert load(path).letters[0].received_ms == expected


@pytest.mark.parametrize("name", ["nowhere", "empty", "bad\0name"])
def test_a_place_without_mail_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / name)
    assert caught.value.sentence
    assert caught.value.next_step


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the shared corpora are not here")
def test_every_message_of_the_corpora_is_found() -> None:
    loaded = load(CORPORA)
    taken = {letter.name.partition("#")[0] for letter in loaded.letters}
    missing = [path for path in CORPORA.rglob("*.eml") if str(path) not in taken]
    assert missing == []
    assert len(loaded.letters) >= 776
    assert all(letter.raw() for letter in loaded.letters)
    assert not [each for each in loaded.left_out if "cannot be read" in each.reason]
