"""The first fill of a mailbox on a real Dovecot, beside mbsync on the same one.

    python -m tests.bench.imap [--count 50000] [--no-bodies]

mbsync copies files; crmmail also parses every message and builds the list, the search index and the conversations.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crmmail.auth.password import Login
from crmmail.auth.secrets import Secret
from crmmail.model import Mailbox, Query
from crmmail.remotes.dial import Server
from crmmail.remotes.imap import PLAIN, Imap
from crmmail.store import Store
from crmmail.sync import RemoteSync
from tests.mailservers.dovecot import Dovecot
from tests.mailservers.proxy import Proxy

USER, PASSWORD = "ana@mail.example", "secret"
START = 1_700_000_000
MBSYNC = """IMAPAccount bench
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {ca_file}

IMAPStore far
Account bench

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX
SubFolders Verbatim

Channel bench
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
"""


def letter(number: int) -> bytes:
    """A message of a few kilobytes, as most are."""
    rng = random.Random(number)
    words = " ".join(rng.choice(("proposta", "contrato", "reunião", "preço", "amanhã", "obra")) for _ in range(60))
    text = "".join(f"{words[:70]}\r\n" for _ in range(rng.randrange(5, 60)))
    return (
        f"Received: from mx.example by mail.example; Mon, 05 Jan 2026 09:00:00 +0000\r\n"
        f"From: Pessoa {number % 997} <p{number % 997}@empresa{number % 89}.example>\r\nTo: {USER}\r\n"
        f"Subject: =?utf-8?q?Proposta_n=C2=BA_{number}?=\r\nMessage-ID: <{number}@empresa.example>\r\n"
        f"Date: Mon, 05 Jan 2026 {number % 24:02d}:{number % 60:02d}:00 +0000\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}"
    ).encode()


def spent() -> float:
    """Seconds of CPU of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def fill(server: Dovecot, folder: Path, count: int, bodies: bool) -> None:
    """Sync until everything is here, and tell when what was."""
    store = Store.open(folder / "store")
    remote = Imap(
        "bench",
        login=Login(USER, lambda _refused: Secret(PASSWORD)),
        server=Server("imap", "127.0.0.1", server.imaps_port, "tls", server.ca_file),
        index=folder / "imap.db",
    )
    store.register(Mailbox("bench", "imap", USER, capabilities=PLAIN))
    began, cpu = time.perf_counter(), spent()
    first = 0.0
    for page in remote.changes("", lambda ids: store.known("bench", ids)):
        store.ingest("bench", page)
        if not first and store.window(Query("bench", "inbox"), 0, 30):
            first = time.perf_counter() - began
    listed, listed_cpu = time.perf_counter() - began, spent() - cpu
    sys.stdout.write(f"first page in the list after {first:.2f} s\n")
    report("list of all messages", listed, listed_cpu, count)
    if bodies:
        sync = RemoteSync(store, remote)
        while (outcome := sync.step()).more:
            pass
        assert outcome.error is None
        report("all bodies, parsed and indexed", time.perf_counter() - began, spent() - cpu, count)
    remote.close()
    again(server, store, folder)
    store.close()


def again(server: Dovecot, store: Store, folder: Path) -> None:
    """Nothing is new: what that costs."""
    with Proxy(server.imap_port) as between:
        remote = Imap(
            "bench",
            login=Login(USER, lambda _refused: Secret(PASSWORD)),
            server=Server("imap", "127.0.0.1", between.port, "tls", between.ca_file),
            index=folder / "imap.db",
        )
        for _round in range(2):
            with between.counted() as commands:
                began, cpu = time.perf_counter(), spent()
                pages = list(remote.changes(store.cursor("bench"), lambda ids: store.known("bench", ids)))
                took = time.perf_counter() - began
            sys.stdout.write(
                f"nothing new: {len(commands)} commands for {len(pages[-1].folders or ())} folders, "
                f"{took * 1000:.0f} ms, {(spent() - cpu) * 1000:.0f} ms of CPU\n"
            )
        remote.close()


def mbsync(server: Dovecot, folder: Path, count: int) -> None:
    """The same with mbsync."""
    mail = folder / "mail"
    mail.mkdir()
    settings = folder / "mbsyncrc"
    settings.write_text(
        MBSYNC.format(port=server.imaps_port, user=USER, password=PASSWORD, ca_file=server.ca_file, mail=mail)
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(["mbsync", "-q", "-c", str(settings), "bench"], check=True)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert len(list((mail / "INBOX").rglob("*,U=*"))) == count
    report("mbsync, files only", took, cpu, count)


def report(what: str, seconds: float, cpu: float, count: int) -> None:
    sys.stdout.write(
        f"{what}: {seconds:.1f} s, {count / seconds:.0f} messages/s, {cpu / count * 1000:.2f} ms of CPU a message\n"
    )
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--no-bodies", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crmmail-imap-"))
    try:
        with Dovecot({USER: PASSWORD}) as server:
            numbers = range(options.count)
            server.drop(
                USER, ((letter(number), "S") for number in numbers), moments=[START + number for number in numbers]
            )
            sys.stdout.write(f"{options.count} messages, {os.cpu_count()} cores\n")
            fill(server, folder, options.count, not options.no_bodies)
            if shutil.which("mbsync"):
                mbsync(server, folder, options.count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
