"""Attachments are named safely, saved without harm and opened only when they are what they claim."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmmail.errors import StoreError
from crmmail.mail import attachments
from crmmail.mail.parse import parse
from crmmail.model import Attachment
from tests.mail.test_hostile import is_safe_name


def attachment(name: str, kind: str = "application/octet-stream") -> Attachment:
    return Attachment(0, name, kind, 0)


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("Relatório final.pdf", "Relatório final.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\x.exe", "x.exe"),
        ("..∕..／pwn.txt", "pwn.txt"),
        ("a:b*c?.txt", "a_b_c_.txt"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("~/.ssh", "_ssh"),
        ("name. . ", "name"),
        ("CON", "_CON"),
        ("com1.txt", "_com1.txt"),
        ("gpj.\u202egnp.exe", "gpj.gnp.exe"),
        ("a\r\nb\x00.txt", "a b_.txt"),
        ("report.pdf          .exe", "report.pdf .exe"),
        ("$(touch x);`id`|a&b>c.txt", "_(touch x)_id_a_b_c.txt"),
        ("", ""),
        ("..", ""),
        ("///", ""),
        ("…", "…"),
    ],
)
def test_a_name_is_plain_on_every_system(declared: str, name: str) -> None:
    assert attachments.safe_name(declared) == name


def test_a_long_name_keeps_its_extension() -> None:
    name = attachments.safe_name("é" * 500 + ".pdf")
    assert name.endswith("….pdf")
    assert len(name.encode()) <= attachments.NAME_BYTES


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(["..", "/", "\\", ".", "-", "~", "CON", "nul", " ", "\0", "\u202e", ":", "é", "a", ".exe"])
        | st.text(st.characters(codec=None), max_size=5),
        max_size=12,
    ).map("".join)
)
def test_any_name_is_safe_or_none(declared: str) -> None:
    name = attachments.safe_name(declared)
    assert name == "" or is_safe_name(name)
    assert attachments.safe_name(name) == name
    assert is_safe_name(attachments.name_for(declared, "text/plain", 1))


def test_an_attachment_without_a_name_is_called_by_its_type() -> None:
    raw = (
        b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nhi\n--b\nContent-Type: application/pdf\n\n%PDF-1\n'
        b"--b\nContent-Type: message/rfc822\n\nSubject: Re: A/B\n\nx\n--b--\n"
    )
    assert [item.name for item in parse(raw).body.attachments] == ["attachment-1.pdf", "Re_ A_B.eml"]


def test_content_is_decoded_byte_for_byte() -> None:
    raw = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n'
        b"--b\r\nContent-Disposition: attachment; filename=a\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC/w==\r\n"
        b"--b\r\nContent-Disposition: attachment; filename=b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"a=3D=\r\nb\r\n--b\r\nContent-Disposition: attachment; filename=c\r\n\r\nline\r\n\r\n--b\r\n"
        b"Content-Disposition: attachment; filename=d\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n"
        b"begin 644 d\r\n#0V%T\r\n`\r\nend\r\n--b--\r\n"
    )
    listed = parse(raw).body.attachments
    contents = [attachments.content(raw, item.part) for item in listed]
    assert contents == [b"\x00\x01\x02\xff", b"a=b", b"line\r\n", b"Cat"]
    assert [item.size for item in listed] == [4, 3, 6, 3]


def test_saving_never_overwrites_and_gives_a_private_file(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        paths = [attachments.save(tmp_path, attachment("a.tar.gz"), b"%d" % number) for number in range(3)]
    finally:
        os.umask(mask)
    assert [path.name for path in paths] == ["a.tar.gz", "a.tar (2).gz", "a.tar (3).gz"]
    assert [path.read_bytes() for path in paths] == [b"0", b"1", b"2"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_saving_never_writes_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").symlink_to(outside)
    (folder / "b.txt").symlink_to(tmp_path / "not there yet")
    assert attachments.save(folder, attachment("a.txt"), b"x").name == "a (2).txt"
    assert attachments.save(folder, attachment("b.txt"), b"x").name == "b (2).txt"
    assert outside.read_text() == "mine"
    assert not (tmp_path / "not there yet").exists()


def test_a_name_given_by_hand_cannot_leave_the_folder(tmp_path: Path) -> None:
    assert attachments.save(tmp_path, attachment("../../x.txt"), b"x").parent == tmp_path


def test_a_full_disk_leaves_nothing_behind_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"a\.txt.*No space left"):
        attachments.save(tmp_path, attachment("a.txt"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not be saved"):
        attachments.save(tmp_path / "missing", attachment("a.txt"), b"x")


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8


@pytest.mark.parametrize(
    ("name", "kind", "content", "opened_as"),
    [
        ("a.pdf", "application/pdf", b"%PDF-1.7", "application/pdf"),
        ("a.png", "image/png", PNG, "image/png"),
        ("a.png", "application/octet-stream", PNG, "image/png"),
        ("a.txt", "text/plain", "olá\n".encode(), "text/plain"),
        ("a.jpg", "image/jpg", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a.pdf", "application/pdf", b"MZ\x90", ""),
        ("a.pdf", "text/plain", b"%PDF-1.7", ""),
        ("a.pdf.exe", "application/pdf", b"%PDF-1.7", ""),
        ("a.sh", "text/plain", b"#!/bin/sh\n", ""),
        ("a.txt", "text/plain", b"#!/bin/sh\n", ""),
        ("a.desktop", "text/plain", b"[Desktop Entry]\nExec=x", ""),
        ("a.txt", "text/plain", b"[Desktop Entry]\nExec=x", ""),
        ("a.svg", "image/svg+xml", b"<svg onload=x>", ""),
        ("a.html", "text/html", b"<html>", ""),
        (
            "a.docx",
            attachments._OFFICE[0][1],
            b"PK\x03\x04[Content_Types].xml..word/document.xml",
            attachments._OFFICE[0][1],
        ),
        ("a.docx", attachments._OFFICE[0][1], b"PK\x03\x04[Content_Types].xml..word/vbaProject.bin", ""),
        ("a.jar", "application/java-archive", b"PK\x03\x04..META-INF/", ""),
        ("a.zip", "application/zip", b"PK\x03\x04", ""),
    ],
)
def test_only_documents_that_are_what_they_claim_may_be_opened(
    name: str, kind: str, content: bytes, opened_as: str
) -> None:
    assert attachments.openable(attachment(name, kind), content) == opened_as
